#!/bin/bash
# Networks by name: checkpoints give PyTorch's outputs, also under the names of other libraries; what is
# exported gives the same when read again, and in ONNX Runtime. Needs ../shared/models; the renamed
# checkpoints and ONNX Runtime need $PYTHON (or python3) with numpy, onnx, onnxruntime, safetensors.
# Usage: run.sh TENON
set -u
tenon=$(realpath "$1")
cd "$(dirname "$0")/../.."
models=../shared/models
[ -d $models ] || { echo "SKIP ../shared/models is not here"; exit 77; }
models=$(realpath $models)
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 exported=()

say() { # CODE WHAT [LOG]
    if [ "$1" = 0 ]; then
        passed=$((passed + 1))
        echo "PASS $2"
    else
        failed=$((failed + 1))
        echo "FAIL $2"
        [ -n "${3:-}" ] && printf '%s\n' "$3" | head -n 20 | sed 's/^/    /'
    fi
}

# 1e-5 of the value; of values near 0 1e-6, and 1e-5 among the logits of mnist, which go up to 20
check() { # WHAT MODEL FOLDER FLAGS...
    local what=$1 model=$2 folder=$3 atol=1e-6 out
    shift 3
    case $folder in *mnist) atol=1e-5 ;; esac
    out=$("$tenon" check "$model" "$folder" --rtol=1e-5 --atol=$atol --budget=-1 "$@" 2>&1)
    say $? "$what $(printf '%s\n' "$out" | tail -n 1)" "$out"
}

# From the checkpoint, and through ONNX at several opsets.
whole() { # ARCH CHECKPOINT
    local arch=$1 file=$2 name opset out
    name=${file%%/*}
    check "$file" "$models/$file" "$models/$name" --arch="$arch"
    for opset in 11 12 17 0; do
        out=$("$tenon" export "$models/$file" --arch="$arch" --opset=$opset -o "$work/$name-$opset.onnx" 2>&1)
        say $? "$name exported at opset $opset" "$out"
        exported+=("$work/$name-$opset.onnx" "$models/$name")
    done
    check "$name.onnx read again" "$work/$name-12.onnx" "$models/$name"
}

whole lstm curve/model_cpu.pth
whole lstm bilstm10/lstm.pth
whole lenet mnist/mnist.pth
whole alexnet alexnet_mini/model.pth
whole resnet50 resnet50_mini/model.pth
whole swin swin_t_mini/model.pth
whole bert sentiment/sentiment.pth
whole bert bert_mini/model.pth
# other forms of the file, and no name of a network
for form in model_cuda.pth model_legacy.pth whole_module.pth model.safetensors; do
    check "curve/$form" "$models/curve/$form" "$models/curve"
done

# interfaces as in PyTorch's exports
inputs() { "$tenon" inspect "$@" 2>/dev/null | grep -E '^(input|output)'; }
for pair in bilstm10/lstm.pth:lstm mnist/mnist.pth:mnist_opset12 alexnet_mini/model.pth:model_opset12 \
    resnet50_mini/model.pth:model_opset13 swin_t_mini/model.pth:model_opset12 sentiment/sentiment.pth:sentiment_opset11 \
    curve/model_cpu.pth:model_opset12; do
    file=${pair%%:*} flags=()
    case $file in bilstm10*) flags=(--set=batch=3) ;; curve*) flags=(--set=steps=9) ;; esac
    case $file in bilstm10* | curve*) arch=lstm ;; mnist*) arch=lenet ;; sentiment*) arch=bert ;; *) arch=${file%%_*} ;; esac
    [ "$(inputs "$models/$file" --arch=$arch "${flags[@]}")" = "$(inputs "$models/${file%%/*}/${pair##*:}.onnx")" ]
    say $? "inputs and outputs of $file as in ${pair##*:}.onnx"
done

# engines, and what a person sees
"$tenon" build "$models/mnist/mnist.pth" --arch=lenet --budget=-1 -o "$work/mnist.engine" >/dev/null 2>&1 &&
    "$tenon" check "$work/mnist.engine" "$models/mnist" >/dev/null 2>&1
say $? 'an engine from mnist.pth'
"$tenon" simplify "$models/resnet50_mini/model.pth" "$work/resnet.onnx" >"$work/log" 2>&1 && grep -q '^check: passed$' "$work/log"
say $? 'simplify resnet50' "$(cat "$work/log")"
"$tenon" inspect "$work/resnet.onnx" >"$work/log" && ! grep -q BatchNorm "$work/log"
say $? 'norms of resnet50 are in its convolutions' "$(cat "$work/log")"
"$tenon" inspect "$models/bert_mini/model.pth" --arch=bert --graph | grep -q '"bert.encoder.layer.1.attention.softmax"'
say $? 'nodes are called as their layers'

# mistakes
expect() { # PATTERN ARGS...
    local pattern=$1 out code=0
    shift
    out=$("$tenon" "$@" 2>&1) || code=$?
    [ $code = 1 ] && printf '%s\n' "$out" | grep -qE -- "$pattern"
    say $? "tenon ${*##*/}: $pattern" "exit $code
$out"
}
expect "there is no network 'vgg'; there are lstm" build "$models/mnist/mnist.pth" --arch=vgg -o "$work/x"
expect 'they look like lenet' build "$models/mnist/mnist.pth" --arch=bert -o "$work/x"
expect '5 heads do not divide' build "$models/bert_mini/model.pth" --set=heads=5 -o "$work/x"
expect 'heads is 0; it must lie within 1' build "$models/bert_mini/model.pth" --set=heads=0 -o "$work/x"
expect "the setting 'head=2' is none of this network" build "$models/bert_mini/model.pth" --set=head=2 -o "$work/x"
expect "'heads' is not of the form key=value" build "$models/bert_mini/model.pth" --set=heads -o "$work/x"
expect 'windows of 7 do not divide' build "$models/swin_t_mini/model.pth" --set=image=256 -o "$work/x"
expect 'other shapes: "fc2.weight" is f32\[10,500\] and should be f32\[11,500\]' build "$models/mnist/mnist.pth" --set=classes=11 -o "$work/x"
expect 'needs opset|opset 10' export "$models/mnist/mnist.pth" --opset=10 -o "$work/x.onnx"
[ ! -e "$work/x" ] && [ ! -e "$work/x.onnx" ]
say $? 'a failed run leaves no file'

if "$python" -c 'import numpy, onnx, onnxruntime, safetensors' 2>/dev/null; then
    out=$("$python" tests/nets/onnx_runtime.py "${exported[@]}" 2>&1)
    say $? "ONNX Runtime runs $((${#exported[@]} / 2)) exported files with PyTorch's outputs" "$(printf '%s\n' "$out" | grep -v PASS)"
    out=$("$python" tests/nets/make_cases.py "$models" "$work/cases" 2>&1)
    say $? "checkpoints under other names: $(printf '%s\n' "$out" | tail -n 1)" "$out"
    exported=()
    for folder in "$work"/cases/*; do
        mapfile -t flags <"$folder/flags"
        check "${folder##*/}" "$folder/model.safetensors" "$(cat "$folder/data")" "${flags[@]}"
        "$tenon" export "$folder/model.safetensors" "${flags[@]}" --opset=13 -o "$folder/model.onnx" >/dev/null 2>&1
        say $? "${folder##*/} exported"
        exported+=("$folder/model.onnx" "$(cat "$folder/data")")
    done
    out=$("$python" tests/nets/onnx_runtime.py "${exported[@]}" 2>&1)
    say $? 'ONNX Runtime runs these too' "$(printf '%s\n' "$out" | grep -v PASS)"
else
    echo 'SKIP no python with numpy, onnx, onnxruntime and safetensors: names of other libraries and ONNX Runtime were not tried'
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
