#!/usr/bin/env python3
"""What libtenon.so writes, read by torch and by safetensors, against what NumPy put in.
Usage: checkpoints.py LIBTENON.so     Exit code 77: neither package is here, nothing was checked."""
import ctypes
import os
import sys
import tempfile

try:
    import numpy
except ImportError:
    print("skipped: numpy is not installed")
    sys.exit(77)
try:
    import torch
except ImportError:
    torch = None
try:
    import safetensors.numpy as safetensors
except ImportError:
    safetensors = None
if not torch and not safetensors:
    print("skipped: neither torch nor safetensors is installed")
    sys.exit(77)

RANK_MAX = 8
DTYPES = {"float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "bool": 9,
          "float16": 10, "float64": 11, "uint32": 12, "uint64": 13, "complex64": 14, "complex128": 15}


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("dtype", ctypes.c_int), ("rank", ctypes.c_int32),
                ("dim", ctypes.c_int64 * RANK_MAX), ("stride", ctypes.c_int64 * RANK_MAX)]


library = ctypes.CDLL(sys.argv[1])
library.tn_checkpoint_save.restype = ctypes.c_void_p
library.tn_status_message.restype = ctypes.c_char_p
library.tn_status_message.argtypes = [ctypes.c_void_p]


def save(path, arrays):
    """NumPy's own strides are handed on, so views are written too."""
    names = (ctypes.c_char_p * len(arrays))(*[name.encode() for name in arrays])
    tensors = (Tensor * len(arrays))()
    for tensor, array in zip(tensors, arrays.values()):
        tensor.data, tensor.dtype, tensor.rank = array.ctypes.data, DTYPES[array.dtype.name], array.ndim
        for axis in range(array.ndim):
            tensor.dim[axis] = array.shape[axis]
            tensor.stride[axis] = array.strides[axis] // array.itemsize
    status = library.tn_checkpoint_save(path.encode(), names, tensors, ctypes.c_int64(len(arrays)))
    if status:
        sys.exit(f"{path}: {library.tn_status_message(status).decode()}")


def compare(who, got, want):
    if list(got) != list(want) and sorted(got) != sorted(want):
        sys.exit(f"{who}: names {list(got)} instead of {list(want)}")
    for name, array in want.items():
        back = got[name]
        if back.dtype != array.dtype or back.shape != array.shape or not numpy.array_equal(back, array):
            sys.exit(f"{who}: '{name}' is {back.dtype}{back.shape} {back}, not {array.dtype}{array.shape} {array}")
    print(f"{who}: {len(want)} tensors agree")


def make(types):
    random = numpy.random.default_rng(1)
    arrays = {name: (random.standard_normal((3, 5)) * 50).astype(name) for name in types}
    arrays["transposed"] = random.standard_normal((4, 6)).astype("float32").T
    arrays["every other"] = numpy.arange(20, dtype="int64")[1::3]
    arrays["scalar"] = numpy.array(2.5, dtype="float64")
    arrays["empty"] = numpy.zeros((0, 3), dtype="float32")
    arrays["名.\"quoted\"\\"] = numpy.arange(3, dtype="float32")
    arrays["large"] = random.standard_normal((300, 1000)).astype("float32")
    for i in range(300):  # more than one byte of index
        arrays[f"layers.{i}.weight"] = numpy.full((2,), i, dtype="int32")
    return arrays


with tempfile.TemporaryDirectory() as folder:
    if torch:
        arrays = make(name for name in DTYPES if name not in ("uint16", "uint32", "uint64"))
        path = os.path.join(folder, "model.pth")
        save(path, arrays)
        loaded = torch.load(path, weights_only=True)
        compare(f"torch {torch.__version__}", {name: t.numpy() for name, t in loaded.items()}, arrays)
        linear = torch.nn.Linear(3, 2)
        save(path, {"weight": numpy.ones((2, 3), "float32"), "bias": numpy.zeros(2, "float32")})
        linear.load_state_dict(torch.load(path, weights_only=True))
        assert linear(torch.ones(1, 3)).tolist() == [[3.0, 3.0]]
    else:
        print("skipped: torch is not installed")
    if safetensors:
        arrays = make(name for name in DTYPES if not name.startswith("complex"))
        path = os.path.join(folder, "model.safetensors")
        save(path, arrays)
        compare("safetensors", safetensors.load_file(path), arrays)
        save(path, {})
        compare("safetensors, empty", safetensors.load_file(path), {})
    else:
        print("skipped: safetensors is not installed")
