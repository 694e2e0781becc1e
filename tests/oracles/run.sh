#!/bin/bash
# What Tenon reads, writes and computes, against the packages that define it: torch, safetensors, tokenizers,
# onnx, onnxruntime, PIL. Each check says what it skipped for want of a package or of ../shared.
# Usage: run.sh TENON LIBTENON.so     PYTHON: an interpreter that has the packages (scripts/peers makes one)
set -u
tenon=$1 library=$2 python=${PYTHON:-python3}
cd "$(dirname "$0")/../.."
shared=../shared
passed=0 failed=0 skipped=0

check() { # NAME COMMAND...
    local name=$1 out code=0
    shift
    out=$("$@" 2>&1) || code=$?
    case $code in
    0) passed=$((passed + 1)) word=PASS ;;
    77) skipped=$((skipped + 1)) word=SKIP ;;
    *) failed=$((failed + 1)) word=FAIL ;;
    esac
    if [ $word = FAIL ]; then printf 'FAIL %s\n%s\n' "$name" "$out" | tail -n 20
    else printf '%s %-24s %s\n' $word "$name" "$(printf '%s\n' "$out" | tail -n 1)"; fi
}

absent() { echo "skipped: $shared is not here"; return 77; }
with_shared() { if [ -d $shared ]; then "$@"; else absent; fi; }

sentiment() { # the accuracy that the model's own authors measured, to the line
    local out
    out=$("$tenon" classify --engine=$shared/models/sentiment/sentiment_opset11.onnx \
        --vocab=$shared/data/bert-base-chinese-vocab/vocab.txt --mode=bert4torch --max-length=256 --tsv --budget=-1 \
        <$shared/data/sentiment-zh/sentiment.test.data 2>&1) || { echo "$out"; return 1; }
    printf '%s\n' "$out" | grep -q 'accuracy: 90.24 % (1905 of 2111)' || { echo "$out"; return 1; }
    echo "${out//$'\n'/; }"
}

check checkpoints "$python" tests/oracles/checkpoints.py "$library"
check tokenizer with_shared "$python" tests/oracles/tokenizer.py "$tenon" $shared/data/bert-base-chinese-vocab/vocab.txt \
    $shared/data/sentiment-zh/sentiment.test.data
check sentiment with_shared sentiment
suite=${TN_SUITES:-$shared/tests}/onnx-backend-tests.tar.zst
written() { [ -f "$suite" ] || absent && "$python" tests/oracles/written.py "$(dirname "$tenon")/tests/conformance" "$suite"; }
check written written
check images "$python" tests/oracles/images.py "$library" $(ls -d $shared/data/photos 2>/dev/null)
check training with_shared "$python" tests/oracles/train.py "$tenon" examples/curve/data.csv $shared/data/mnist
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
