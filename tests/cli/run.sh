#!/bin/bash
# The command as a user meets it: help, exit codes, mistakes, a file that must not be lost.
# Usage: run.sh TENON
set -u
tenon=$1
cd "$(dirname "$0")/../../examples"
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

expect 2 'usage: tenon COMMAND'
expect 0 'usage: tenon COMMAND' --help
expect 0 'tenon [0-9]+\.' --version
expect 2 "no command 'biuld'; did you mean build" biuld
expect 2 "no command 'x'$" x
for command in build tune refit run bench check inspect report compare devices; do expect 0 "usage: tenon $command" $command --help; done
expect 2 'did you mean --shapes' run bilstm10/lstm.onnx --shpaes=input:1x3x10
expect 2 'wants a number' run bilstm10/lstm.onnx --seed=x
expect 2 'is not a shape' run bilstm10/lstm.onnx --shapes=input:1xx10
expect 2 "has no input 'x'" run bilstm10/lstm.onnx --shapes=x:1
expect 1 'nowhere.onnx' run nowhere.onnx
expect 1 'input.*10' run bilstm10/lstm.onnx --shapes=input:1x3x11
expect 0 'cpu' devices

# texts
words=../tests/fixtures/tokenizer
expect 0 '^2 32 33 34 35 36 37 3$' tokenize --vocab=$words/vocab.txt 我的心情很差
expect 0 '^2 13 60 15 3$' tokenize --vocab=$words/tokenizer.json 'a<num>b'
expect 0 '^\[CLS\] un ##believ ##able \[SEP\] a \[SEP\]$' tokenize --vocab=$words/vocab.txt --tokens --pairs unbelievable a
expect 0 '^2 26 3$' tokenize --vocab=$words/vocab.txt --mode=bert4torch ...
expect 2 'even number' tokenize --vocab=$words/vocab.txt --pairs a
expect 2 'not .x.' tokenize --vocab=$words/vocab.txt --mode=x a
expect 1 'not UTF-8: the byte 0xFF at byte 1' tokenize --vocab=$words/vocab.txt "$(printf 'a\377')"
expect 1 "input 'data'" classify --vocab=$words/vocab.txt --engine=curve/curve.onnx --text=a

# build, then use the engine without the model
cp bilstm10/lstm.onnx "$work/model.onnx"
expect 0 'built' build "$work/model.onnx" -o "$work/a.engine"
expect 0 'measured in this build' build mnist/mnist.onnx -o "$work/m.engine" --budget=20 --report
"$tenon" build mnist/mnist.onnx -o "$work/m.engine" --budget=0 --report >"$work/out" 2>&1
if ! grep -q 'measured in this build' "$work/out" && grep -q '^built' "$work/out"; then
    passed=$((passed + 1))
else
    failed=$((failed + 1))
    echo "FAIL: tenon build --budget=0 measured something"
fi
rm "$work/model.onnx"
expect 0 '2 passed, 0 failed' check "$work/a.engine" bilstm10 --rtol=0 --atol=1.5e-5
expect 0 'tuned .* for cpu' tune "$work/a.engine" -o "$work/t.engine" --budget=50
expect 0 '2 passed, 0 failed' check "$work/t.engine" bilstm10 --rtol=0 --atol=1.5e-5
expect 0 'check before tuning: passed' inspect "$work/t.engine" --report
# other weights, and none
expect 0 'built' build mnist/mnist.onnx -o "$work/r.engine" --refit --budget=0
expect 0 'built' build mnist/mnist.onnx -o "$work/s.engine" --strip-weights --budget=0
expect 0 'fc1.weight f32 500x800, missing' inspect "$work/s.engine" --weights
expect 0 'fc1.weight f32 500x800$' inspect "$work/r.engine" --weights
expect 0 'not built with --refit' inspect "$work/a.engine" --weights
expect 0 'weights: none, until' inspect "$work/s.engine"
expect 1 'has no weights' run "$work/s.engine"
expect 0 'refit ' refit "$work/s.engine" mnist/mnist.pth -o "$work/f.engine"
expect 0 '1 passed, 0 failed' check "$work/f.engine" mnist
expect 0 'refit ' refit "$work/s.engine" mnist/mnist.onnx
expect 0 '1 passed, 0 failed' check "$work/s.engine" mnist
expect 1 "no weight of .* names given" refit "$work/r.engine" swin/swin.pth
expect 1 'without|not built for other weights' refit "$work/a.engine" mnist/mnist.pth
expect 2 'usage: tenon refit' refit "$work/a.engine"
if [ "$(head -n 1 "$work/a.engine" | cut -c1-13)" = 'TENON engine ' ]; then
    passed=$((passed + 1))
else
    failed=$((failed + 1))
    echo "FAIL: head -1 of an engine is $(head -n 1 "$work/a.engine" | od -c | head -n 2)"
fi
# what is inside
expect 0 '"from": \[.*"LSTM ' inspect "$work/a.engine" --json
expect 0 'wrote .*page.html' report "$work/a.engine" -o "$work/page.html" --iterations=2 --shapes=input:1x3x10,h0:20x3x20,c0:20x3x20
expect 2 'usage: tenon report' report
expect 1 'cannot write' report "$work/a.engine" -o "$work/nowhere/page.html" --iterations=1
expect 1 'is not an engine file' tune bilstm10/lstm.onnx
expect 2 'usage: tenon tune' tune
expect 0 'output: f32 5x3x40' run "$work/a.engine" --shapes=input:5x3x10 --save="$work/saved"
[ -s "$work/saved/output.npy" ] && passed=$((passed + 1)) || { echo "FAIL: no saved output"; failed=$((failed + 1)); }
expect 0 'h0.*=.*f32|h0' inspect "$work/a.engine"
expect 0 'LSTM' inspect bilstm10/lstm.onnx
expect 0 'dim_param: "sequence"' inspect --onnx-text bilstm10/lstm.onnx
seeds=../tests/fuzz/seeds/checkpoint
expect 0 'class: __main__.Tied' inspect $seeds/module.pth
expect 0 'uint8 +u8\[2,3\] +6 bytes' inspect $seeds/types.pth
expect 0 '4 tensors, 10 elements, 29 bytes' inspect $seeds/small.safetensors
head -c 1000 $seeds/types.pth >"$work/cut.pth"
expect 1 'no end record.*' inspect "$work/cut.pth"
expect 3 'FAIL' check "$work/a.engine" bilstm10 --rtol=0 --atol=1e-12

# a bad model leaves an existing engine file as it was
cp "$work/a.engine" "$work/kept.engine"
head -c 1000 bilstm10/lstm.onnx >"$work/broken.onnx"
expect 1 'error:' build "$work/broken.onnx" -o "$work/kept.engine"
cmp -s "$work/a.engine" "$work/kept.engine" && passed=$((passed + 1)) || { echo "FAIL: the old engine was lost"; failed=$((failed + 1)); }
head -c 500 "$work/a.engine" >"$work/short.engine"
expect 1 'error:.*' run "$work/short.engine"

# the summary, line by line as trtexec prints it
expect 0 'f32.tiles' bench --problem='MatMul f32[4,80] f32[80,50]!' --duration=0.05 --warmUp=5 --budget=50
expect 0 'PASSED' bench --problem='Split{axis=0} f32[6,2] i64[3]={1,2,3} -> 3' --duration=0.05 --warmUp=5
expect 0 'f32.tiles.*estimated' bench --problem='Linear{activation=relu} f32[4,80] f32[80,50]! f32[50]!' --duration=0.05 --warmUp=5 --budget=90
expect 1 'there is no operator "Nope"' bench --problem='Nope f32[2]'
expect 0 'PASSED' bench --onnx=bilstm10/lstm.onnx --duration=0.2 --warmUp=20 --verbose
stamp='\[[0-9/]+-[0-9:]+\] \[I\]'
row='min = [0-9.e+-]+ ms, max = [0-9.e+-]+ ms, mean = [0-9.e+-]+ ms, median = [0-9.e+-]+ ms, percentile\(90%\) = [0-9.e+-]+ ms, percentile\(95%\) = [0-9.e+-]+ ms, percentile\(99%\) = [0-9.e+-]+ ms'
while IFS= read -r pattern; do
    grep -qE "^$stamp $pattern\$" "$work/out" && passed=$((passed + 1)) ||
        { echo "FAIL: bench did not print: $pattern"; failed=$((failed + 1)); }
done <<PATTERNS
=== Trace details ===
Trace averages of 10 runs:
Average on 10 runs - CPU latency: [0-9.e+-]+ ms - Host latency: [0-9.e+-]+ ms \(enqueue [0-9.e+-]+ ms\)
=== Performance summary ===
Throughput: [0-9.e+]+ qps
Latency: $row
Enqueue Time: $row
H2D Latency: $row
CPU Compute Time: $row
D2H Latency: $row
Total Host Walltime: [0-9.e+]+ s
Total CPU Compute Time: [0-9.e+]+ s
PATTERNS
grep -q 'Dynamic dimensions required for input: input, but no shapes were provided. Automatically overriding shape to: 1x3x10' "$work/out" &&
    passed=$((passed + 1)) || { echo "FAIL: no word on the overridden shape"; failed=$((failed + 1)); }

echo "$passed passed, $failed failed"
[ $failed = 0 ]
