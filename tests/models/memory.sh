#!/bin/bash
# The block of intermediates is at most 5 %, or a line of 64 bytes, larger than what lives at once, for the models of examples/ and, where that
# folder exists, ../shared/models: at batch 1, and larger where dims are open. Usage: memory.sh TENON
set -u
tenon=$1
cd "$(dirname "$0")/../.."
passed=0 failed=0

# The plans inside one engine have blocks of their own: the worst counts.
planned() { # MODEL SHAPES FLAGS...: shapes as --shapes takes them, "" for 1 in each open dim
    local model=$1 shapes=$2 found
    shift 2
    found=$("$tenon" run "$model" --no-check --budget=-1 --print=0 --verbose ${shapes:+"--shapes=$shapes" "--optShapes=$shapes"} "$@" 2>&1 |
        sed -n 's/.*intermediates: \([0-9]*\) bytes, where \([0-9]*\) live at once.*/\1 \2/p' | sort -u |
        awk '{ ratio = $2 ? $1 / $2 : 1; if (ratio >= worst) { worst = ratio; block = $1; alive = $2 } }
             END { if (NR) printf "%.4f %d for %d bytes%s", worst, block, alive, (block > alive * 1.05 + 64 ? " (too much)" : "") }')
    if [ -n "$found" ] && [ "${found%(too much)}" = "$found" ]; then
        passed=$((passed + 1))
        printf 'PASS %-60s %s %s\n' "$model" "$found" "$shapes"
    else
        failed=$((failed + 1))
        printf 'FAIL %-60s %s %s\n' "$model" "${found:-no plan was told of}" "$shapes"
    fi
}

planned examples/mnist/mnist.onnx data:32x1x28x28
planned examples/curve/curve.onnx data:50x9x2
planned examples/bilstm10/lstm.onnx input:100x3x10
planned examples/bert/bert.onnx input_ids:20x512,segment_ids:20x512
models=../shared/models
if [ -d $models ]; then
    for model in $models/{curve,mnist,bilstm10,sentiment,bert_mini,hf_bert_mini,alexnet_mini,resnet50_mini,swin_t_mini,public/*}/*.onnx; do
        planned "$model" ""
    done
    for model in $models/*_full/*.onnx; do planned "$model" "" --random-weights; done
    planned $models/resnet50_full/resnet50.onnx input:8x3x224x224 --random-weights
    planned $models/swin_t_full/swin_t.onnx input:4x3x224x224 --random-weights
    planned $models/bert_base_full/bert_opset11.onnx input_ids:1x200,segment_ids:1x200 --random-weights
    planned $models/bert_base_full/bert_opset11.onnx input_ids:8x128,segment_ids:8x128 --random-weights
else
    echo "SKIP ../shared/models is not here: only the models of examples/ were planned"
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
