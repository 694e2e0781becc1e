#!/bin/bash
# tenon report: the files it writes, and the page in a headless browser: clicks, search, sorting, no error on the
# console, nothing loaded from elsewhere. Without a browser only the files. Usage: run.sh TENON
set -u
tenon=$1
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
fail() { echo "FAIL $*"; failed=$((failed + 1)); }

. tests/report/browser.sh

# report NAME ARGUMENTS...: the page is well-formed JSON and script, and works
report() {
    local name=$1 page=$work/$1.html title
    shift
    "$tenon" report "$@" -o "$page" --json="$work/$name.json" --trace="$work/$name.trace" --iterations=5 >"$work/log" 2>&1 ||
        { fail "$name: $(tail -n 3 "$work/log")"; return; }
    for file in "$work/$name.json" "$work/$name.trace"; do
        python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$file" || fail "$file is no JSON"
    done
    grep -q '"ph": "X"' "$work/$name.trace" || fail "$name: the trace is empty"
    loads_nothing "$page" || fail "$name: the page loads something"
    [ -n "$browser" ] || return
    title=$(page_title "$page" tests/report/check.js)
    case $title in PASS*) echo "$name: $title" ;; *) fail "$name in $browser: ${title:-no title}" ;; esac
}

"$tenon" build examples/curve/curve.onnx -o "$work/curve.engine" --timings="$work/times" --budget=50 >/dev/null 2>&1 || fail build
report curve "$work/curve.engine" --timings="$work/times"
report bilstm10 examples/bilstm10/lstm.onnx --budget=20 --shapes=input:3x3x10,h0:20x3x20,c0:20x3x20
report bert examples/bert/bert.onnx --budget=50 --shapes=input_ids:2x16,segment_ids:2x16
report swin examples/swin/swin.pth --budget=50
[ $failed = 0 ] || exit 1
[ -n "$browser" ] || { echo "the files are right; no browser is here to open the page in"; exit 77; }
echo "reports work in $browser"
