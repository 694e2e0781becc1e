#!/bin/bash
# Every export of the acceptance models against PyTorch's outputs: those in examples/, and those in
# ../shared/models where that folder exists. Usage: run.sh TENON
set -u
tenon=$1
cd "$(dirname "$0")/../.."
passed=0 failed=0 skipped=0

check() { # MODEL FOLDER FLAGS...
    local model=$1 folder=$2 out
    shift 2
    if out=$("$tenon" check "$model" "$folder" "$@" 2>&1); then
        passed=$((passed + 1))
        printf 'PASS %-60s %s\n' "$model" "$(printf '%s\n' "$out" | tail -n 1)"
    else
        failed=$((failed + 1))
        printf 'FAIL %s\n%s\n' "$model" "$out" | head -n 20
    fi
}

check examples/bilstm10/lstm.onnx examples/bilstm10 --rtol=0 --atol=1.5e-5
for name in curve/curve mnist/mnist bert/bert; do check examples/$name.onnx examples/${name%/*}; done

models=../shared/models
if [ -d $models ]; then
    check $models/bilstm10/lstm.onnx $models/bilstm10 --rtol=0 --atol=1.5e-5
    # static exports: one at length 1, one at length 7
    check $models/bilstm10/lstm_static.onnx $models/bilstm10/test_data_set_0 --rtol=0 --atol=1.5e-5
    check $models/bilstm10/lstm_dynamo_static.onnx $models/bilstm10/test_data_set_1 --rtol=0 --atol=1.5e-5
    for model in $models/{curve,mnist,sentiment,bert_mini,hf_bert_mini}/*.onnx; do
        check "$model" "$(dirname "$model")"
    done
else
    skipped=1
    echo "SKIP ../shared/models is not here: only the exports in examples/ were checked"
fi
# One engine serves every batch and length: the gate compares it with the reference at the smallest, a
# middle and the largest shapes, and fails the build where they differ.
sweep() { # MODEL INPUT INPUT
    local model=$1 shapes=() name which
    for which in min:1x1 opt:3x77 max:20x512; do shapes+=("--${which%%:*}Shapes=$2:${which##*:},$3:${which##*:}"); done
    name=$(mktemp)
    if "$tenon" build "$model" -o "$name" --budget=-1 --report "${shapes[@]}" >"$name.report" 2>&1 &&
        [ "$(grep -c 'relative L2' "$name.report")" -ge 3 ] && grep -q '^check: passed$' "$name.report"; then
        passed=$((passed + 1))
        echo "PASS $model from 1x1 to 20x512: $(grep -o 'relative L2 [^ ]*' "$name.report" | sort -g -k3 | tail -n 1)"
    else
        failed=$((failed + 1))
        echo "FAIL $model at batch 1 to 20, length 1 to 512"
        tail -n 20 "$name.report"
    fi
    rm -f "$name" "$name.report"
}
sweep examples/bert/bert.onnx input_ids segment_ids
if [ -d $models ]; then sweep $models/sentiment/sentiment_opset11.onnx input_ids segment_ids; fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
