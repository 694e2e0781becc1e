#!/bin/bash
# tenon simplify as a user meets it: what it prints, what it writes, what it refuses; and what is written
# is valid to the onnx package, where python3 (or $PYTHON) has that. Usage: simplify.sh TENON
set -u
tenon=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root/examples"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

say() { # yes or no, and what
    if [ "$1" = 0 ]; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAIL: $2"
    fi
}

# expect CODE PATTERN ARGS...: exit code and a pattern in stdout or stderr
expect() {
    local code=$1 pattern=$2 got=0
    shift 2
    "$tenon" "$@" >"$work/out" 2>&1 || got=$?
    [ $got = "$code" ] && grep -qE -- "$pattern" "$work/out"
    say $? "tenon $*: exit $got (want $code), pattern: $pattern
$(sed 's/^/    /' "$work/out" | head -n 20)"
}

expect 0 'usage: tenon simplify' simplify --help
expect 2 'usage: tenon simplify' simplify curve/curve.onnx
expect 1 'nowhere.onnx' simplify nowhere.onnx "$work/x.onnx"
[ ! -e "$work/x.onnx" ]
say $? 'a failed run left a file'

# every example: compared, written, and the same network to tenon itself
checks=()
for model in curve/curve mnist/mnist bert/bert bilstm10/lstm; do
    out=$work/$(basename $model).onnx
    expect 0 '^check: passed$' simplify $model.onnx "$out"
    expect 0 '^nodes: [0-9]+ in the file, [0-9]+ without its constants, [0-9]+ now$' simplify $model.onnx "$out"
    expect 0 ' 0 failed' check "$out" "$(dirname $model)" --atol=1e-4
    checks+=("$out=$PWD/$model.onnx")
done

# BERT loses over 60 % of its nodes and keeps both dims dynamic
expect 0 '^nodes:' simplify bert/bert.onnx "$work/bert.onnx"
awk '/^nodes:/ { exit !($2 * 0.4 > $(NF - 1)) }' "$work/out"
say $? "bert.onnx keeps too many nodes: $(grep '^nodes:' "$work/out")"
expect 0 "input +'input_ids' i64\[[a-z_]+,[a-z_]+\]" inspect "$work/bert.onnx"

# opsets, fixed shapes, names that stay
expect 0 '^opset: 12$' simplify bert/bert.onnx "$work/bert12.onnx" --opset=12
checks+=("$work/bert12.onnx=$PWD/bert/bert.onnx")
expect 0 '^opset: 20$' simplify bert/bert.onnx "$work/bert20.onnx" --opset=20
expect 0 'Gelu' inspect "$work/bert20.onnx"
checks+=("$work/bert20.onnx=$PWD/bert/bert.onnx")
expect 1 'opset 99 cannot be written' simplify bert/bert.onnx "$work/x.onnx" --opset=99
expect 0 '^check: passed$' simplify bert/bert.onnx "$work/fixed.onnx" --overwrite-shape=input_ids:3x11
expect 0 "input +'input_ids' i64\[3,11\]" inspect "$work/fixed.onnx"
expect 0 "input +'segment_ids' i64\[3,11\]" inspect "$work/fixed.onnx"
checks+=("$work/fixed.onnx")
expect 1 "no input 'nobody'" simplify bert/bert.onnx "$work/x.onnx" --overwrite-shape=nobody:1
expect 1 'rank 1' simplify bert/bert.onnx "$work/x.onnx" --overwrite-shape=input_ids:7
expect 2 'is not a shape' simplify bert/bert.onnx "$work/x.onnx" --overwrite-shape=input_ids:ax3
expect 1 "no node or value 'nobody' to keep" simplify bert/bert.onnx "$work/x.onnx" --keep=nobody
value=$("$tenon" inspect --graph bert/bert.onnx | sed -n 's/^  %\([^ ]*\) .* = Erf(.*/\1/p' | head -n 1)
expect 0 '^check: passed$' simplify bert/bert.onnx "$work/kept.onnx" --opset=20 --keep="$value"
expect 0 "%$value " inspect --graph "$work/kept.onnx"
checks+=("$work/kept.onnx=$PWD/bert/bert.onnx")
expect 0 'skipped, as asked for' simplify mnist/mnist.onnx "$work/mnist2.onnx" --no-check

# weights in a file of their own
expect 0 '^check: passed$' simplify mnist/mnist.onnx "$work/outside.onnx" --external-data
[ "$(wc -c <"$work/outside.onnx")" -lt 20000 ] && [ "$(wc -c <"$work/outside.onnx.data")" -gt 1000000 ]
say $? 'the weights of outside.onnx are not beside it'
expect 0 ' 0 failed' check "$work/outside.onnx" mnist
checks+=("$work/outside.onnx=$PWD/mnist/mnist.onnx")

# inspect: costs, JSON, a drawing of the simplified graph and of the file's own
expect 0 'dynamic dims: batch_size \(dim 0' inspect bert/bert.onnx
expect 0 'most of it: MatMul' inspect bert/bert.onnx
expect 0 '"opset": [0-9]+' inspect mnist/mnist.onnx --json
expect 0 '^wrote ' inspect bert/bert.onnx --svg="$work/bert.svg"
expect 0 '^wrote ' inspect bert/bert.onnx --svg="$work/raw.svg" --as-is
grep -q '</svg>' "$work/bert.svg" && [ "$(grep -c '<g>' "$work/bert.svg")" -lt "$(grep -c '<g>' "$work/raw.svg")" ]
say $? 'the drawing of bert.onnx is not simpler than the file'
expect 1 'cannot write' inspect bert/bert.onnx --svg=/nowhere/x.svg

# the models beside the project, where they are
if [ -d ../../shared/models ]; then
    for model in ../../shared/models/swin_t_mini/model_opset{12,17} ../../shared/models/public/micro-kws-qdq/model; do
        out=$work/$(basename "$(dirname $model)")-$(basename $model).onnx
        expect 0 '^check: passed$' simplify $model.onnx "$out"
        case $model in *swin*)
            awk '/^nodes:/ { exit !($2 * 0.4 > $(NF - 1)) }' "$work/out"
            say $? "$model keeps too many nodes: $(grep '^nodes:' "$work/out")" ;;
        esac
        checks+=("$out=$PWD/$model.onnx")
    done
else
    echo "SKIP ../shared/models is not here: only the exports in examples/ were simplified"
fi

code=0
"${PYTHON:-python3}" "$root/tests/models/check_onnx.py" "${checks[@]}" >"$work/out" 2>&1 || code=$?
case $code in
77) echo "SKIP $(tail -n 1 "$work/out")" ;;
*) say $code "$(cat "$work/out")" ;;
esac
echo "$passed passed, $failed failed"
[ $failed = 0 ]
