#!/bin/sh
# The public face: headers compile alone in C99, C17 and C++17; exported symbols are those declared; an
# outside project finds the installed library with find_package and with pkg-config, links and runs.
# Usage: run.sh BUILD_FOLDER
set -eu
build=$1
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for header in "$root"/include/tenon/*.h; do
    name=tenon/${header##*/}
    printf '#include <%s>\nint main(void) { return 0; }\n' "$name" >"$work/h.c"
    cp "$work/h.c" "$work/h.cc"
    for standard in c99 c17; do
        ${CC:-cc} -std=$standard -Wall -Wextra -Wpedantic -Werror -I"$root/include" -fsyntax-only "$work/h.c"
    done
    if command -v c++ >/dev/null 2>&1; then
        c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror -I"$root/include" -fsyntax-only "$work/h.cc"
    fi
    echo "$name compiles alone"
done

sh "$here/symbols.sh" "$build/libtenon.so"

cmake --install "$build" --prefix "$work/installed" >/dev/null
cp -R "$here/client" "$work/client"
cmake -S "$work/client" -B "$work/out" -DCMAKE_PREFIX_PATH="$work/installed" >/dev/null
cmake --build "$work/out" >/dev/null
"$work/out/client"
lib=$(dirname "$(find "$work/installed" -name libtenon.so | head -n 1)")
flags=$(PKG_CONFIG_PATH="$lib/pkgconfig" pkg-config --cflags --libs tenon)
# shellcheck disable=SC2086
${CC:-cc} -std=c17 "$work/client/client.c" $flags -Wl,-rpath,"$lib" -o "$work/client_pc"
"$work/client_pc"
LD_LIBRARY_PATH="$lib" "$work/installed/bin/tenon" --version
for name in trtexec tenon-trtexec; do
    "$work/installed/bin/$name" --help | grep -q 'usage: trtexec' || { echo "$name is not installed"; exit 1; }
done
for page in tenon tenon-trtexec; do
    [ -s "$work/installed/share/man/man1/$page.1" ] || { echo "$page.1 is not installed"; exit 1; }
done
echo "find_package and pkg-config clients run"
