"""TensorRT's Python API over Tenon: ``import tenon.tensorrt as trt``.

Both generations are here: that of TensorRT 5 to 9 (``max_workspace_size``, ``build_cuda_engine``,
bindings by number, implicit batches, ``execute_async``) and that of 8.5 to 11 (tensors by name,
``execute_async_v3``). Engines run on a CUDA card where there is one, else on the CPU, and then
addresses are those of plain memory: see ``tenon.cuda`` for stand-ins of pycuda and cudart.
docs/migration/tensorrt-python.md lists what differs.
"""

from . import _enums
from ._basics import (Dims, Dims2, Dims3, Dims4, DimsExprs, DimsHW, IErrorRecorder, IHostMemory,
                      ILogger, Logger, Permutation, Weights, nptype, volume)
from ._builder import (Builder, IBuilderConfig, IInt8Calibrator, IInt8EntropyCalibrator,
                       IInt8EntropyCalibrator2, IInt8LegacyCalibrator, IInt8MinMaxCalibrator,
                       IOptimizationProfile, IProgressMonitor, ITimingCache)
from ._control import (IConditionLayer, IIfConditional, IIfConditionalInputLayer,
                       IIfConditionalOutputLayer, IIteratorLayer, ILoop, ILoopBoundaryLayer,
                       ILoopOutputLayer, IRecurrenceLayer, ITripLimitLayer)
from ._enums import *  # noqa: F401,F403  (all of TensorRT's enums)
from ._enums import DataType
from ._layers import *  # noqa: F401,F403
from ._network import INetworkDefinition
from ._parser import OnnxParser, ParserError
from ._runtime import (EngineInspector, ICudaEngine, IExecutionContext, IOutputAllocator, IProfiler,
                       IStreamReader, IStreamWriter, OnnxParserRefitter, Profiler, Refitter,
                       Runtime, get_plugin_registry, init_libnvinfer_plugins)
from .._errors import Error

# The version whose API has both generations. The library's own is tenon.__version__.
__version__ = "8.6.1"

float32, float16, int8, int32 = (DataType.FLOAT, DataType.HALF, DataType.INT8, DataType.INT32)
bool, uint8, fp8, bfloat16 = DataType.BOOL, DataType.UINT8, DataType.FP8, DataType.BF16
bf16, int64, int4, fp4, e8m0 = (DataType.BF16, DataType.INT64, DataType.INT4, DataType.FP4,
                                DataType.E8M0)


def get_builder_plugin_registry(capability: object = None) -> object:
    return get_plugin_registry()


_INSTEAD = {"Plugin": "plugins of TensorRT cannot be loaded; write an operator of your own "
                      "(include/tenon/op.h) and give it to tenon.load_operators",
            "UffParser": "export the model to ONNX", "CaffeParser": "export the model to ONNX"}


def __getattr__(name: str) -> object:
    why = next((text for part, text in _INSTEAD.items() if part in name), None)
    raise AttributeError(f"tenon.tensorrt has no {name}" + (f": {why}" if why else ""))
