#!/bin/sh
# The Python package as users get it: one abi3 wheel, built by pip and installed into a fresh venv with NumPy,
# where the tests run and mypy reads the type hints; then beside a PyTorch, where there is one, the same wheel and all tests again.
# Exit 77: skipped, the last line says why. Usage: run.sh FOLDER [PYTHON_WITH_TORCH]
set -eu
work=$1
torch=${2:-}
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$work"
work=$(cd "$work" && pwd)
# A python of the path may be a shim or lack its headers: the first that has all.
for host in python3 /usr/bin/python3; do
    header=$("$host" -c 'import sys, sysconfig, venv; assert sys.version_info >= (3, 9); print(sysconfig.get_path("include"))' 2>/dev/null) || continue
    [ -f "$header/Python.h" ] && break
    header=
done
[ -n "${header:-}" ] || { echo "no Python from 3.9 on with venv and headers: skipped"; exit 77; }
rm -rf "$work/venv" "$work/wheel" "$work/side"
"$host" -m venv "$work/venv" || { echo "no venv can be made: skipped"; exit 77; }
python=$work/venv/bin/python
"$python" -m pip install -q numpy pytest >"$work/pip.log" 2>&1 || { echo "no packages can be had ($work/pip.log): skipped"; exit 77; }
"$python" -m pip wheel -q --no-deps -w "$work/wheel" "$root" --config-settings=build-dir="$work/build" \
    --config-settings=cmake.define.TN_WERROR="${TN_WERROR:-OFF}" >>"$work/pip.log" 2>&1 || { tail -n 40 "$work/pip.log"; exit 1; }
wheel=$(ls "$work"/wheel/tenon-*-cp39-abi3-*.whl)
"$python" -m pip install -q --no-deps "$wheel"
cd "$work" # nothing of the source folder is on the path
echo "$(basename "$wheel"), $(du -k "$wheel" | cut -f1) KiB, $("$python" --version)"
"$python" -m pytest -q -rs -p no:cacheprovider "$root/tests/python" >pytest.log 2>&1 || { tail -n 60 pytest.log; exit 1; }
grep SKIPPED pytest.log || true
result=$(tail -n 1 pytest.log)
if "$python" -m pip install -q mypy >>pip.log 2>&1; then
    "$python" -m mypy --ignore-missing-imports -p tenon >mypy.log 2>&1 || { tail -n 40 mypy.log; exit 1; }
    result="$result; $(tail -n 1 mypy.log)"
fi
if [ -n "$torch" ] && "$torch" -c 'import torch' 2>/dev/null; then
    "$python" -m pip install -q --target "$work/side" --no-deps "$wheel" pytest iniconfig packaging pluggy pygments
    PYTHONPATH=$work/side "$torch" -m pytest -q -rs -p no:cacheprovider "$root/tests/python" >torch.log 2>&1 || { tail -n 60 torch.log; exit 1; }
    grep SKIPPED torch.log || true
    result="$result; with torch $("$torch" -c 'import torch; print(torch.__version__)'): $(tail -n 1 torch.log)"
else
    result="$result; no PyTorch is here: its tests were skipped"
fi
echo "$result"
