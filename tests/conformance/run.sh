#!/usr/bin/env bash
# The ONNX suites against their manifests: run.sh [--bless] BUILD_FOLDER RESULTS_FOLDER
# The archives are looked for in $TN_SUITES, then in ../shared/tests; suites whose archive is not there
# are skipped and said so. RESULTS_FOLDER gets SUITE.MODE.txt, the output of each run, ended by "N passed,
# N failed, N skipped". TN_MODES="given" runs only these modes; TN_SHARE=1 runs many cases in a
# process, TN_JOBS=N so many processes at a time.
set -u
cd "$(dirname "$0")/../.."
bless=()
[ "${1:-}" = --bless ] && bless=(--bless) && shift
build=${1:?usage: run.sh [--bless] BUILD_FOLDER RESULTS_FOLDER}
results=${2:?usage: run.sh [--bless] BUILD_FOLDER RESULTS_FOLDER}
archives=${TN_SUITES:-../shared/tests}
runner=$build/tests/conformance
jobs=${TN_JOBS:-$(nproc 2>/dev/null || echo 2)}
mkdir -p "$results" || exit 2
[ -x "$runner" ] || { echo "there is no $runner; build first"; exit 2; }
share=() # a process on a card takes longer to begin than its case
case ${TN_SHARE:-}${TENON_DEVICE:-cpu} in cpu) ;; *) share=(--share) ;; esac
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
code=0 summary=()

# modes NAME FOLDER CASES MODE...
modes() {
    local name=$1 folder=$2 cases=$3 mode
    shift 3
    for mode in "$@"; do
        case " ${TN_MODES:-$mode} " in *" $mode "*) ;; *) continue ;; esac
        local out=$results/$name.$mode.txt
        echo "== $name, inputs $mode"
        if ! "$runner" --verbose --operators --mode="$mode" --jobs="$jobs" --expect-cases="$cases" ${bless[@]+"${bless[@]}"} ${share[@]+"${share[@]}"} \
            --manifest="tests/conformance/expected-$name-$mode.txt" "$folder" >"$out" 2>&1; then
            code=1
        fi
        grep -v -e "^pass " -e "^ops " "$out"
        summary+=("$name $mode: $(tail -n 1 "$out")")
    done
}

# suite NAME ARCHIVE FOLDER CASES MODE...
suite() {
    local name=$1 archive=$2 folder=$3 cases=$4
    shift 4
    if [ ! -d "$work/$archive" ]; then
        if [ ! -f "$archives/$archive.tar.zst" ]; then
            echo "skipped $name: there is no $archives/$archive.tar.zst"
            return
        fi
        if ! zstd -dcq "$archives/$archive.tar.zst" | tar -xf - -C "$work"; then
            echo "cannot unpack $archives/$archive.tar.zst"
            code=1
            return
        fi
    fi
    modes "$name" "$work/$folder" "$cases" "$@"
}

# Cases of our own, made with ONNX Runtime: tests/contrib/make_cases.py.
modes contrib tests/contrib/cases 145 given baked dynamic
base=onnx-backend-tests/v1.22.0
# The weightless zoo graphs are a suite of their own: the others are the 1,905 that everybody counts.
suite light onnx-backend-tests $base/light 9 given
rm -rf "${work:?}/$base/light"
suite onnx-1.22.0 onnx-backend-tests $base 1905 given baked dynamic written
suite onnx-historic onnx-backend-tests-historic onnx-backend-tests-historic 1999 given baked
suite peers onnx-peer-op-tests onnx-peer-op-tests 851 given

printf '%s\n' "${summary[@]}"
exit $code
