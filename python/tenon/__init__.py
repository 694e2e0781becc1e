"""Tenon: take a trained network, build a checked and tuned engine, run it anywhere.

    import numpy as np, tenon

    engine = tenon.build("model.onnx", precision="f16")     # or tenon.Engine("model.engine")
    y = engine(np.zeros((1, 3, 224, 224), np.float32))      # one output: an array; several: a tuple
    y = engine(input_ids=ids, segment_ids=segments)         # inputs by name
    engine.save("model.engine")

Arrays may be NumPy arrays, PyTorch tensors (on the CPU or the engine's card), and whatever speaks
DLPack or ``__cuda_array_interface__``; their memory is read where it lies. Outputs come as what the
inputs were: NumPy arrays for NumPy arrays, tensors for tensors.

Failures raise :class:`tenon.Error`. The library logs to the logger ``tenon`` of :mod:`logging`.
``tenon.tensorrt`` has the names of TensorRT's Python API, ``tenon.torch2trt`` those of torch2trt.
"""

from ._errors import Error
from ._log import set_log_level
from ._arrays import DeviceArray, dtype_number, numpy_dtype
from ._model import IO, Model, arch_names, load, load_operators
from ._engine import (Context, Engine, Outputs, StepEvent, StepTime, TimingCache, Weight, build,
                      devices)
from ._files import (Checkpoint, Tokenizer, compare, load_tensor, save_checkpoint,
                     save_tensor)
from . import _tenon

__version__: str = _tenon.version()

__all__ = ["Checkpoint", "Context", "DeviceArray", "Engine", "Error", "IO", "Model", "Outputs",
           "StepEvent", "StepTime", "TRTModule", "TimingCache", "Tokenizer", "Weight",
           "arch_names", "build", "compare", "devices", "dtype_number", "load", "load_operators",
           "load_tensor", "numpy_dtype", "save_checkpoint", "save_tensor", "set_log_level", "tensorrt_converter", "torch2trt"]


def __getattr__(name: str):
    # PyTorch is asked for only where its names are.
    if name in ("torch2trt", "TRTModule", "tensorrt_converter"):
        import importlib
        module = importlib.import_module("tenon.torch2trt")  # which can be called
        return module if name == "torch2trt" else getattr(module, name)
    raise AttributeError(f"module 'tenon' has no attribute '{name}'")
