#!/bin/bash
# tenon compare: models that agree, faults planted into Swin and found by name (in the model, in the engine, in an
# engine file), layers to hold back, other libraries, the page in a headless browser, mistakes.
# ONNX Runtime and PyTorch are asked where $PYTHON (or python3) has them. Usage: run.sh BUILD_FOLDER
set -u
tenon=$(realpath "$1")/tenon plant=$(realpath "$1")/tests/plant
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/report/browser.sh
export TMPDIR=$work
python=${PYTHON:-python3}
passed=0 failed=0 skipped=

# expect CODE PATTERN ARGS...: the exit code, and a pattern in what is printed
expect() {
    local code=$1 pattern=$2 got=0
    shift 2
    "$tenon" compare "$@" >"$work/out" 2>&1 || got=$?
    if [[ $got = $code ]] && grep -qE -- "$pattern" "$work/out"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL: tenon compare $*: exit $got (want $code), pattern: $pattern"
        sed 's/^/    /' "$work/out" | head -n 30
    fi
}
say() { # WHAT CONDITION...
    local what=$1
    shift
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAIL: $what"; fi
}
has() { python3 -c "import json, sys; d = json.load(open(sys.argv[1])); assert $2, d" "$1" 2>"$work/why" || { tail -n 1 "$work/why" | cut -c1-400; false; }; }

# page NAME: loads nothing, and works
page() {
    local title
    say "$1 loads something" loads_nothing "$work/$1.html"
    [ -n "$browser" ] || return
    title=$(page_title "$work/$1.html" tests/report/check_compare.js)
    case $title in PASS*) passed=$((passed + 1)) ;; *) failed=$((failed + 1)); echo "FAIL: $1 in $browser: ${title:-no title}" ;; esac
}

# models and the engines made of them agree
quick=--budget=-1
expect 0 '^tf32: tolerance relative L2 0.001, within' examples/curve/curve.onnx $quick
expect 0 '^fp32 .* cn .* within$' examples/bilstm10/lstm.onnx $quick --shapes=input:3x3x10,h0:20x3x20,c0:20x3x20
expect 0 '^fp32: tolerance relative L2 1e-05, within' examples/bert/bert.onnx $quick --shapes=input_ids:2x16,segment_ids:2x16 --save="$work/data" --values \
    --json="$work/bert.json" --html="$work/bert.html"
say 'token ids are of the whole vocabulary' "$tenon" check examples/bert/bert.onnx "$work/data" $quick
say 'all that is between is within' has "$work/bert.json" 'len(d["runs"][0]["values"]) > 5 and all(t["within"] for t in d["runs"][0]["values"])'
page bert
expect 0 'within$' examples/swin/swin.pth $quick --rtol=1e-3 --atol=1e-4

# faults in Swin: in the model
keys=('layers.0.blocks.1.attn.qkv.weight' 'layers.2.blocks.0.mlp.fc1.weight' 'layers.1.downsample.norm.weight')
for key in "${keys[@]}"; do
    "$plant" examples/swin/swin.pth "$work/bad.safetensors" "$key" 1.5 || failed=$((failed + 1))
    expect 3 "its weight '.*' differs" examples/swin/swin.pth "$work/bad.safetensors" --arch=swin $quick --bisect --json="$work/swin.json" \
        --html="$work/swin.html"
    say "the fault in $key is named" has "$work/swin.json" "d['runs'][0]['bisect']['found'] and '${key%.*}' in d['runs'][0]['bisect']['layer']['name'] + d['runs'][0]['bisect']['why']"
done
page swin
# one element of a weight
"$plant" examples/swin/swin.pth "$work/bad.safetensors" layers.3.blocks.1.mlp.fc2.weight 1000 77
expect 3 "its weight '.*' differs: relative L2 .* 1 of [0-9]+ elements, the first at [0-9]+" examples/swin/swin.pth "$work/bad.safetensors" --arch=swin $quick --bisect

# in an engine: it has other weights than the model, and its own kernels
"$plant" examples/swin/swin.pth "$work/bad.safetensors" layers.2.blocks.1.attn.proj.weight -1 &&
    "$tenon" export examples/swin/swin.pth -o "$work/good.onnx" >"$work/log" 2>&1 &&
    "$tenon" export "$work/bad.safetensors" --arch=swin -o "$work/bad.onnx" >>"$work/log" 2>&1 &&
    "$tenon" build "$work/good.onnx" --refit $quick -o "$work/good.engine" >>"$work/log" 2>&1 &&
    "$tenon" refit "$work/good.engine" "$work/bad.onnx" -o "$work/bad.engine" >>"$work/log" 2>&1 || { failed=$((failed + 1)); cat "$work/log"; }
expect 0 '^good.engine: tolerance .* within' "$work/good.onnx" "$work/good.engine"
# by its name: an engine for refits carries the model's graph
expect 3 "the graph of the engine, unoptimised" "$work/good.onnx" "$work/bad.engine" --bisect --json="$work/engine.json"
say 'the fault in the engine is named' has "$work/engine.json" \
    "'layers.2.blocks.1.attn.proj' in d['runs'][0]['bisect']['layer']['name'] and len(d['runs'][0]['bisect']['suspects']) == 1"
# others carry what it was made into
"$tenon" build "$work/bad.onnx" $quick -o "$work/fused.engine" >"$work/log" 2>&1
expect 3 "layers.2.blocks.1.attn.proj" "$work/good.onnx" "$work/fused.engine" --bisect --json="$work/engine.json"
say 'the fault in a fused engine is among few' has "$work/engine.json" \
    "any('layers.2.blocks.1.attn.proj' in s['name'] for s in d['runs'][0]['bisect']['suspects']) and len(d['runs'][0]['bisect']['suspects']) < 60"

# an attribute
if "$python" -c 'import onnx' 2>/dev/null; then
    "$python" - "$work/good.onnx" "$work/other.onnx" <<'END'
import sys
import onnx
model = onnx.load(sys.argv[1])
node = [n for n in model.graph.node if n.op_type == "LayerNormalization"][5]
[a for a in node.attribute if a.name == "epsilon"][0].f = 0.5
onnx.save(model, sys.argv[2])
print(node.name)
END
    expect 3 "first beyond the tolerance: LayerNormalization '" "$work/good.onnx" "$work/other.onnx" $quick --bisect
    expect 3 'its attributes differ' "$work/good.onnx" "$work/other.onnx" $quick --bisect
else
    skipped="$skipped onnx"
fi

# layers to hold back: what TF32 loses is more than is allowed here
expect 0 'builds to find what to hold back' examples/swin/swin.pth --bf16 $quick --tolerance=1e-3 --precision-bisect --json="$work/hold.json"
hold=$(python3 -c 'import json, sys; print(*("--hold=" + n for n in json.load(open(sys.argv[1]))["runs"][0]["hold"]["names"]))' "$work/hold.json")
if [ -n "$hold" ]; then
    expect 3 '^bf16: .*BEYOND' examples/swin/swin.pth --bf16 $quick --tolerance=1e-3 --no-check
    # shellcheck disable=SC2086
    expect 0 '^bf16: .*within' examples/swin/swin.pth --bf16 $quick --tolerance=1e-3 --no-check $hold
else
    skipped="$skipped kernels of 16 bits"
fi

# other libraries
if "$python" -c 'import onnxruntime' 2>/dev/null; then
    export PYTHON=$python
    expect 0 '^onnxruntime [0-9.]+: tolerance relative L2 0.0001, within' examples/bert/bert.onnx $quick --onnxruntime --shapes=input_ids:2x16,segment_ids:2x16
    expect 0 '^onnxruntime' examples/mnist/mnist.pth $quick --onnxruntime
else
    skipped="$skipped onnxruntime"
fi
if "$python" -c 'import torch' 2>/dev/null; then
    cat >"$work/lenet.py" <<'END'
import torch
from torch import nn


def make(scale=1):
    net = nn.Sequential(nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.Flatten(),
                        nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10))
    values = list(torch.load("examples/mnist/mnist.pth", map_location="cpu").values())
    net.load_state_dict(dict(zip(net.state_dict(), [scale * v for v in values])))
    return net


def wrong():
    return make(1.01)


if __name__ == "__main__":
    torch.jit.script(make()).save("WORK/lenet.pt")
END
    sed -i "s|WORK|$work|" "$work/lenet.py" && "$python" "$work/lenet.py"
    export PYTHON=$python
    expect 0 '^torch [^ ]* lenet.py:make: tolerance .*within' examples/mnist/mnist.onnx $quick --torch="$work/lenet.py:make" --torch="$work/lenet.pt"
    expect 3 '^torch [^ ]* lenet.py:wrong: tolerance .*BEYOND' examples/mnist/mnist.onnx $quick --torch="$work/lenet.py:wrong"
    expect 1 'AttributeError.*nothing' examples/mnist/mnist.onnx $quick --torch="$work/lenet.py:nothing"
else
    skipped="$skipped torch"
fi
printf '#!/bin/sh\nexec python3 -S "$@"\n' >"$work/bare" && chmod +x "$work/bare"
PYTHON=$work/bare expect 1 'needs the package (numpy|onnxruntime)' examples/curve/curve.onnx $quick --onnxruntime
PYTHON=$work/nothing expect 1 'cannot be started.*PYTHON' examples/curve/curve.onnx $quick --onnxruntime
say 'no folder is left behind' [ -z "$(find "$work" -maxdepth 1 -name 'tenon-compare-*')" ]

# mistakes
expect 2 'usage: tenon compare'
expect 2 'is an engine; write the model first' "$work/good.engine"
expect 2 'did you mean --bisect' examples/curve/curve.onnx --bisekt
expect 1 'nowhere.onnx' examples/curve/curve.onnx nowhere.onnx
expect 1 "'data' is given as" examples/curve/curve.onnx examples/mnist/mnist.onnx $quick
expect 1 'no node and no result' examples/curve/curve.onnx $quick --hold=nowhere

[ -n "$browser" ] || skipped="$skipped browser"
echo "$passed passed, $failed failed${skipped:+; not here:$skipped}"
[ $failed = 0 ]
