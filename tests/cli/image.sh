#!/bin/bash
# Pictures and plots on the command line: classify IMAGE..., plot.
# Usage: image.sh TENON
set -u
tenon=$1
cd "$(dirname "$0")/../.."
pictures=$PWD/tests/fixtures/image
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# expect CODE PATTERN ARGS...: exit code and a pattern in stdout or stderr
expect() {
    local code=$1 pattern=$2 got=0
    shift 2
    "$tenon" "$@" >"$work/out" 2>&1 || got=$?
    if [ $got = "$code" ] && grep -qE -- "$pattern" "$work/out"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL: tenon $*: exit $got (want $code), pattern: $pattern"
        sed 's/^/    /' "$work/out" | head -n 20
    fi
}

# expect_lines N: how many lines the last command printed
expect_lines() {
    if [ "$(wc -l <"$work/out")" = "$1" ]; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAIL: $(wc -l <"$work/out") lines, want $1"; sed 's/^/    /' "$work/out"; fi
}

# ---- plots
cat >"$work/loss.csv" <<'END'
epoch,training,validation
1,0.05,0.07
2,0.02,0.03
3,0.006,0.012
4,0.001,
5,0.0005,0.002
END
for ending in png jpg svg; do
    expect 0 'loss.*: 2 series' plot "$work/loss.csv" -o "$work/loss.$ending" --line --log-y --title='Loss' --x-label=epoch --y-label=loss
    [ -s "$work/loss.$ending" ] && passed=$((passed + 1)) || { echo "FAIL: no loss.$ending"; failed=$((failed + 1)); }
done
grep -q '<svg' "$work/loss.svg" && passed=$((passed + 1)) || { echo "FAIL: loss.svg is no SVG"; failed=$((failed + 1)); }
printf '\xef\xbb\xbfx,y\r\n1,0\r\n2,0.693\r\n' >"$work/bom.csv"
expect 0 'bom.png: 1 series' plot "$work/bom.csv" -o "$work/bom.png" --x=x --y=y --label=ln --colour=red --legend=upper-left --size=320x240
expect 0 'npy.png: 1 series' plot "$pictures/rgb.png.npy" -o "$work/npy.png" --y=1 --x=2
expect 1 "no column 'z'" plot "$work/bom.csv" -o "$work/a.png" --y=z
expect 1 'does not end in .png' plot "$work/bom.csv" -o "$work/a.gif"
expect 1 "'mauve' is not a colour" plot "$work/bom.csv" -o "$work/a.png" --colour=mauve
expect 1 'nowhere.csv' plot nowhere.csv -o "$work/a.png"
printf '1,2\n3,x\n' >"$work/bad.csv"
expect 1 "bad.csv, line 2, column 2: not a number: 'x'" plot "$work/bad.csv" -o "$work/a.png"
printf 'a,b\n3\n' >"$work/bad.csv"
expect 1 'bad.csv, line 2 has 1 columns, not 2' plot "$work/bad.csv" -o "$work/a.png"
printf '1,2\n3,4,5\n' >"$work/bad.csv"
expect 1 "bad.csv, line 2, column 3: there is no such column" plot "$work/bad.csv" -o "$work/a.png"
: >"$work/bad.csv"
expect 1 'bad.csv: it is empty' plot "$work/bad.csv" -o "$work/a.png"
expect 2 'is not WxH' plot "$work/bom.csv" -o "$work/a.png" --size=640
expect 2 'legend=left' plot "$work/bom.csv" -o "$work/a.png" --legend=left
expect 2 'usage: tenon plot' plot "$work/bom.csv"

# ---- classify: a network of one channel, from the examples' own, and larger ones where they are
expect 2 'usage: tenon classify IMAGE' classify "$pictures/rgb.png"
expect 1 "input 'data' is not that of a picture classifier" classify "$pictures/rgb.png" --engine=examples/curve/curve.onnx
models=../shared/models data=../shared/data
if [ -d $models ] && [ -d $data ]; then
    mnist=$models/mnist/mnist_opset12.onnx
    "$tenon" build $mnist -o "$work/mnist.engine" --budget=-1 >/dev/null 2>&1
    expect 0 '^  [01]\.[0-9]{6} +[0-9]$' classify "$pictures/rgb.png" "$pictures/grey.jpg" --engine="$work/mnist.engine" --top=3
    expect_lines 8
    printf 'zero\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n' >"$work/digits.txt"
    expect 0 '^  [01]\.[0-9]{6} +[0-9]  (zero|one|two|three|four|five|six|seven|eight|nine)$' classify "$pictures/turned.jpg" \
        --engine="$work/mnist.engine" --labels="$work/digits.txt" --invert
    head -c 300 "$pictures/baseline.jpg" >"$work/cut.jpg"
    expect 1 'cut.jpg: not a sound JPEG: .*, at byte 300' classify "$work/cut.jpg" --engine="$work/mnist.engine"
    expect 2 'the network takes 28x28; the flags make 32x32' classify "$pictures/rgb.png" --engine="$work/mnist.engine" --resize=32x32
    expect 1 "no preset 'vgg'" classify "$pictures/rgb.png" --engine="$work/mnist.engine" --preset=vgg
    expect 2 'filter=cubic is not' classify "$pictures/rgb.png" --engine="$work/mnist.engine" --filter=cubic
    expect 2 'mean=1,2 is not one number or three' classify "$pictures/rgb.png" --engine="$work/mnist.engine" --mean=1,2
    echo '["a", 5]' >"$work/labels.json"
    expect 1 'no name for class 1' classify "$pictures/rgb.png" --engine="$work/mnist.engine" --labels="$work/labels.json"
    echo '{"0": ["n0", "tench"], "1": "goldfish"' >"$work/labels.json"
    expect 1 'not valid JSON: line' classify "$pictures/rgb.png" --engine="$work/mnist.engine" --labels="$work/labels.json"
    expect 0 'chelsea.png' classify $data/photos/chelsea.png $data/photos/rocket.jpg --batch=1 --budget=-1 \
        --engine=$models/swin_t_mini/model_opset17.onnx --preset=swin --labels=$data/imagenet-classes/imagenet_labels.json
    expect_lines 12
else
    echo "pictures through networks: skipped, ../shared is not here"
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
