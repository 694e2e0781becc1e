#!/bin/bash
# Operators from shared libraries: the example builds, runs and is missed when it is not there; libraries
# that are not right say why. Usage: run.sh TENON
set -u
tenon=$1
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R "$root/examples/user_op" "$work/example"
cd "$work" || exit 2
passed=0 failed=0

# expect CODE PATTERN ARGS...: exit code and a pattern in stdout or stderr, on one line
expect() {
    local code=$1 pattern=$2 got=0
    shift 2
    "$tenon" "$@" >out 2>&1 || got=$?
    if [ $got = "$code" ] && tr '\n' ' ' <out | grep -qE -- "$pattern"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL: tenon $*: exit $got (want $code), pattern: $pattern"
        sed 's/^/    /' out | head -n 20
    fi
}

# A library needs the header and nothing to link with.
strict="-std=c17 -Wall -Wextra -Wpedantic -Werror -shared -fPIC -I $root/include"
# shellcheck disable=SC2086
${CC:-cc} $strict -O2 example/ops.c -o ops.so -lm || exit 1
for odd in 1 2 3 4 5 6 7 8; do
    # shellcheck disable=SC2086
    ${CC:-cc} $strict -DODD=$odd "$here/odd.c" -o odd$odd.so || exit 1
done
if readelf -d ops.so | grep -q 'NEEDED.*tenon'; then echo "FAIL: ops.so needs libtenon"; failed=1; fi

model=example/model.onnx
with=--op-library=ops.so
expect 1 'example.Swish \(1 node: .swish.\), example.RunLengths.*--op-library' build $model -o a.engine
expect 0 '1 passed, 0 failed' check $model example $with
expect 0 '1 passed, 0 failed' check $model example $with --no-optimize
expect 0 'built' build $model -o a.engine $with
expect 0 '1 passed, 0 failed' check a.engine example --op-library="$work/ops.so"
expect 0 'y: f32 3x4' run a.engine $with --shapes=x:3x4,ids:5
expect 0 'example.Swish' inspect a.engine $with
expect 0 'example.RunLengths' inspect $model $with
expect 0 'mean' bench a.engine $with --shapes=x:3x4,ids:5 --iterations=3 --warmUp=0 --duration=0
expect 0 'check: passed' simplify $model small.onnx $with
expect 0 '1 passed, 0 failed' check small.onnx example $with
# the same file twice is once; two libraries go together
expect 0 '1 passed, 0 failed' check $model example $with --op-library=./ops.so

# an engine without its operators says which, of whom, and what to do
for command in "run a.engine" "check a.engine example" "bench a.engine" "inspect a.engine"; do
    # shellcheck disable=SC2086
    expect 1 "uses 2 operators that are not registered here.*'RunLengths' of domain 'example', which came from the library ops.so.*--op-library=FILE" $command
done

# libraries that are not right
expect 1 'nowhere.so' inspect $model --op-library=nowhere.so
expect 1 'model.onnx cannot be opened as a shared library' inspect $model --op-library=$model
expect 1 'exports no tn_op_library_register' inspect $model --op-library=odd1.so
expect 1 "'First' is written for version 2 of tenon/op.h.*odd2.so" inspect $model --op-library=odd2.so
expect 1 'has registered no operator' inspect $model --op-library=odd3.so
expect 1 'failed without a word' inspect $model --op-library=odd4.so
expect 1 "cannot be called 'not a name'.*odd5.so" inspect $model --op-library=odd5.so
expect 1 "'odd.First' is registered twice" inspect $model --op-library=odd6.so
expect 1 "'Swish' of domain 'example' already, from ops.so" inspect $model $with --op-library=odd7.so
expect 1 "'Swish' of domain 'example' already, from odd7.so" inspect $model --op-library=odd7.so $with
# another library's operators of the same name: the engine takes them, and their failure names the node
expect 1 "example.Swish: the machine is on fire.*example.Swish 'swish'" run a.engine --op-library=odd8.so --shapes=x:3x4,ids:5
expect 2 'wants a value' run a.engine --op-library

echo "$passed passed, $failed failed"
[ $failed = 0 ]
