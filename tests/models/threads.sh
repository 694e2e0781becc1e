#!/bin/bash
# The same engine gives the same bits for any number of threads: networks of examples/, and those of ../shared/models at
# full size where that folder exists. Usage: threads.sh TENON
set -u
tenon=$1
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

same() { # MODEL SHAPES FLAGS...: shapes as --shapes takes them, "" for those of the file
    local model=$1 shapes=$2 threads engine=$work/engine bad=""
    shift 2
    rm -rf "$work"/[1-9]* "$engine"
    if ! "$tenon" build "$model" -o "$engine" --no-check --budget=-1 ${shapes:+"--optShapes=$shapes"} "$@" >"$work/log" 2>&1; then
        bad="not built: $(tail -n 1 "$work/log")"
    fi
    for threads in 1 2 3 4 7; do
        [ -z "$bad" ] || break
        mkdir "$work/$threads"
        "$tenon" run "$engine" --threads=$threads --save="$work/$threads" ${shapes:+"--shapes=$shapes"} >"$work/log" 2>&1 ||
            bad="$threads threads: $(tail -n 1 "$work/log")"
        [ "$(find "$work/$threads" -name '*.npy' | wc -l)" -ge 1 ] || bad=${bad:-"$threads threads: no output"}
        diff -r "$work/1" "$work/$threads" >/dev/null || bad=${bad:-"$threads threads give other bits than one"}
    done
    if [ -z "$bad" ]; then
        passed=$((passed + 1))
        printf 'PASS %-56s %s\n' "$model" "$shapes"
    else
        failed=$((failed + 1))
        printf 'FAIL %-56s %s: %s\n' "$model" "$shapes" "$bad"
    fi
}

same examples/mnist/mnist.onnx data:5x1x28x28
same examples/curve/curve.onnx data:50x9x2
same examples/bilstm10/lstm.onnx input:7x3x10
same examples/bert/bert.onnx input_ids:3x77,segment_ids:3x77
for full in alexnet_full/alexnet resnet50_full/resnet50 swin_t_full/swin_t; do
    model=../shared/models/$full.onnx
    [ -f $model ] && same $model input:1x3x224x224 --random-weights
done
model=../shared/models/bert_base_full/bert_opset11.onnx
[ -f $model ] && for shape in 1x200 3x100; do same $model input_ids:$shape,segment_ids:$shape --random-weights; done
[ -d ../shared/models ] || echo "SKIP ../shared/models is not here: only the networks in examples/ were run"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
