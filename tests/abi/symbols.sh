#!/bin/sh
# The symbols a shared library exports are those its header declares, no more and no less.
# Usage: symbols.sh libtenon.so
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A declaration may span lines: join, then take the name before the first '(' after TN_API.
sed 's,/\*.*\*/,,' include/tenon/*.h | tr '\n' ' ' | grep -oE 'TN_API[^;{#]*;' |
    sed -E 's/TN_MUST_USE//; s/\(.*//; s/.*[ *]//' | LC_ALL=C sort -u >"$work/header"
nm -D --defined-only "$1" | awk '{ print $3 }' | sed 's/@.*//' | LC_ALL=C sort -u >"$work/library"
[ -s "$work/header" ] || { echo "no declarations found"; exit 1; }
diff "$work/header" "$work/library" || { echo "< only in the header, > only in the library"; exit 1; }
echo "$(wc -l <"$work/header") symbols, exported = declared"
