#!/bin/sh
# The archive of make dist: the command runs in an empty root with nothing but libc, builds an engine
# there and runs it. Needs to be root for chroot; else a user namespace; else skipped with a word.
set -eu
cd "$(dirname "$0")/../.."
scripts/dist
archive=$(ls -t dist/*.tar.gz | head -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar -C "$work" -xzf "$archive"
stage=$(echo "$work"/tenon-*)
sh tests/abi/symbols.sh "$stage/lib/libtenon.so"
mkdir -p "$work/root/tmp"
cp "$stage/bin/tenon" "$work/root/tenon"
# libc, libm and the loader, nothing else
ldd "$work/root/tenon" | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' | while read -r file; do
    mkdir -p "$work/root$(dirname "$file")"
    cp -L "$file" "$work/root$file"
done
model=$(find examples -name '*.onnx' -size -64k | LC_ALL=C sort | head -n 1)
cp "$model" "$work/root/model.onnx"
if [ "$(id -u)" = 0 ] && chroot "$work/root" /tenon --version >/dev/null 2>&1; then
    enter="chroot $work/root"
elif unshare -r chroot "$work/root" /tenon --version >/dev/null 2>&1; then
    enter="unshare -r chroot $work/root"
else
    echo "no right to chroot here: skipped"
    exit 77
fi
$enter /tenon devices
$enter /tenon build /model.onnx -o /model.engine
rm "$work/root/model.onnx"
$enter /tenon run /model.engine
# Operators of a shared library, which is linked with nothing: the command has no libtenon to offer it.
cp examples/user_op/model.onnx "$work/root/ops.onnx"
${CC:-cc} -shared -fPIC -O2 -I "$stage/include" examples/user_op/ops.c -o "$work/root/ops.so" -lm
$enter /tenon run /ops.onnx --op-library=/ops.so --shapes=x:2x4,ids:5
echo "the archive's command runs in an empty root: $(du -h "$stage/bin/tenon" | cut -f1) static, $(find "$work/root" -type f | wc -l) files"
