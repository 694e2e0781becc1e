#!/bin/bash
# The workflows of examples/, each run as its README says, and what they must print. Usage: run.sh TENON
set -u
tenon=$1
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
export RUNS=20 SECONDS_EACH=0.2

example() { # NAME, then for each line that must be there a fixed text; ":N" behind a text: at least N times
    local name=$1 wanted text times found ok=1 start=$SECONDS
    shift
    if ! "examples/$name/run" "$tenon" "$work/$name" >"$work/out" 2>&1; then
        ok=0
        echo "the command failed" >>"$work/out"
    fi
    for wanted in "$@"; do
        text=${wanted%:*} times=${wanted##*:}
        found=$(grep -cF -- "$text" "$work/out")
        [ "$found" -ge "$times" ] || { ok=0; echo "wanted $times of '$text', found $found" >>"$work/out"; }
    done
    if [ $ok = 1 ]; then
        passed=$((passed + 1))
        echo "PASS $name ($((SECONDS - start)) s)"
    else
        failed=$((failed + 1))
        echo "FAIL $name"
        tail -n 30 "$work/out"
    fi
}

example curve '样本数：59，维度：2:1' 'epoch=400 | loss=:1' 'finish training:1' 'y_pred.shape: (50, 2):1' 'Succeeded building engine!:1' \
    'Succeeded getting serialized engine!:1' '[ 1]Output-> f32:10' 'res_5.jpg:1'
example mnist 'Test Case: :1' 'Prediction: :1'
example alexnet '16 tensors, 184208 elements:1' '1 passed, 0 failed:1' 'PASSED Tenon.bench:1'
example swin 'check: passed:1' '1 passed, 0 failed:1' 'picture.jpg:1' '0.001357    951:1'
example bilstm10 'elem_type: 1:3' 'dim_param: "sequence":1' 'PASSED Tenon.bench:3' 'PASS:2'
example sentiment '====preds====: [0]:2' '====preds====: [1]:2' 'Tenon, tokenizer included:1' '0.788:1'
example user_op '1 passed, 0 failed:1' 'example.RunLengths:1'
echo "$passed passed, $failed failed"
[ $failed = 0 ]
