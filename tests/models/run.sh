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
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
