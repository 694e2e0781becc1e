"""Is each FILE valid to the onnx package's checker, types and shapes inferred? Where onnxruntime is here and
a data set lies beside ORIGINAL, are the outputs the same? Usage: check_onnx.py FILE[=ORIGINAL] ...

Exit 77: the onnx package is not here."""
import glob
import os
import sys

try:
    import numpy
    import onnx
    from onnx import numpy_helper
except ImportError:
    print("python3 has no onnx package: what is written was not checked with it")
    sys.exit(77)
try:
    import onnxruntime
except ImportError:
    onnxruntime = None


def load(path):
    with open(path, "rb") as file:
        tensor = onnx.TensorProto()
        tensor.ParseFromString(file.read())
    return numpy_helper.to_array(tensor)


def run(path, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [x.name for x in session.get_inputs()]
    return session.run(None, dict(zip(names, feeds)))


def compare(path, original):
    """The largest difference of an output, or None where there is nothing to run."""
    files = sorted(glob.glob(os.path.join(os.path.dirname(original), "test_data_set_0", "input_*.pb")))
    if not onnxruntime or not files:
        return None
    feeds = [load(name) for name in files]
    worst = 0.0
    for got, want in zip(run(path, feeds), run(original, feeds)):
        if got.shape != want.shape or got.dtype != want.dtype:
            raise ValueError(f"{got.dtype}{got.shape} instead of {want.dtype}{want.shape}")
        if want.size:
            worst = max(worst, float(numpy.abs(got.astype("f8") - want.astype("f8")).max()))
    return worst


failed = 0
for argument in sys.argv[1:]:
    path, _, original = argument.partition("=")
    try:
        onnx.checker.check_model(path, full_check=True)
        difference = compare(path, original) if original else None
        if difference is not None and difference > 1e-4:
            raise ValueError(f"an output differs by {difference:.3g}")
        print(f"PASS {path}" + ("" if difference is None else f" differs by {difference:.2g}"))
    except Exception as error:
        failed += 1
        print(f"FAIL {path}: {str(error)[:500]}")
print(f"{len(sys.argv) - 1 - failed} passed, {failed} failed")
sys.exit(1 if failed else 0)
