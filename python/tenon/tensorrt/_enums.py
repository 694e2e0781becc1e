"""TensorRT's enums: as numbers, names and text they are what scripts expect."""

from enum import IntEnum
from typing import Any

from .. import _tenon


class Enum(IntEnum):
    def __str__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    __repr__ = __str__


def _enum(name: str, members: str, start: int = 0) -> Any:
    rows = [(m, start + i) for i, m in enumerate(members.split())]
    return Enum(name, rows, module=__name__)  # type: ignore[call-arg,arg-type]


class DataType(Enum):
    FLOAT = 0
    HALF = 1
    INT8 = 2
    INT32 = 3
    BOOL = 4
    UINT8 = 5
    FP8 = 6
    BF16 = 7
    INT64 = 8
    INT4 = 9
    FP4 = 10
    E8M0 = 11

    @property
    def itemsize(self) -> int:
        """Bytes an element takes."""
        return {"FLOAT": 4, "INT32": 4, "INT64": 8, "HALF": 2, "BF16": 2}.get(self.name, 1)


# TensorRT's types beside the library's names for them.
TYPE_NAMES = {DataType.FLOAT: "f32", DataType.HALF: "f16", DataType.INT8: "i8",
              DataType.INT32: "i32", DataType.BOOL: "bool", DataType.UINT8: "u8",
              DataType.FP8: "f8e4m3fn", DataType.BF16: "bf16", DataType.INT64: "i64",
              DataType.INT4: "i4", DataType.FP4: "f4e2m1", DataType.E8M0: "f8e8m0"}
TYPES = {name: dtype for dtype, name in TYPE_NAMES.items()}

ActivationType = _enum("ActivationType", "RELU SIGMOID TANH LEAKY_RELU ELU SELU SOFTSIGN SOFTPLUS "
                       "CLIP HARD_SIGMOID SCALED_TANH THRESHOLDED_RELU GELU_ERF GELU_TANH")
PoolingType = _enum("PoolingType", "MAX AVERAGE MAX_AVERAGE_BLEND")
ElementWiseOperation = _enum("ElementWiseOperation", "SUM PROD MAX MIN SUB DIV POW FLOOR_DIV AND OR "
                             "XOR EQUAL GREATER LESS")
UnaryOperation = _enum("UnaryOperation", "EXP LOG SQRT RECIP ABS NEG SIN COS TAN SINH COSH ASIN ACOS "
                       "ATAN ASINH ACOSH ATANH CEIL FLOOR ERF NOT SIGN ROUND ISINF ISNAN")
ReduceOperation = _enum("ReduceOperation", "SUM PROD MAX MIN AVG")
ScaleMode = _enum("ScaleMode", "UNIFORM CHANNEL ELEMENTWISE")
MatrixOperation = _enum("MatrixOperation", "NONE TRANSPOSE VECTOR")
TopKOperation = _enum("TopKOperation", "MAX MIN")
GatherMode = _enum("GatherMode", "DEFAULT ELEMENT ND")
ScatterMode = _enum("ScatterMode", "ELEMENT ND")
FillOperation = _enum("FillOperation", "LINSPACE RANDOM_UNIFORM RANDOM_NORMAL")
LoopOutput = _enum("LoopOutput", "LAST_VALUE CONCATENATE REVERSE")
TripLimit = _enum("TripLimit", "COUNT WHILE")
InterpolationMode = ResizeMode = _enum("InterpolationMode", "NEAREST LINEAR CUBIC")
ResizeCoordinateTransformation = _enum("ResizeCoordinateTransformation",
                                       "ALIGN_CORNERS ASYMMETRIC HALF_PIXEL")
ResizeRoundMode = _enum("ResizeRoundMode", "HALF_UP HALF_DOWN FLOOR CEIL")
ResizeSelector = _enum("ResizeSelector", "FORMULA UPPER")
BoundingBoxFormat = _enum("BoundingBoxFormat", "CORNER_PAIRS CENTER_SIZES")
CumulativeOperation = _enum("CumulativeOperation", "SUM")
PaddingMode = _enum("PaddingMode", "EXPLICIT_ROUND_DOWN EXPLICIT_ROUND_UP SAME_UPPER SAME_LOWER")


class SampleMode(Enum):
    STRICT_BOUNDS = 0
    DEFAULT = 0
    WRAP = 1
    CLAMP = 2
    FILL = 3
    REFLECT = 4


SliceMode = SampleMode
LayerType = _enum("LayerType", "CONVOLUTION CAST ACTIVATION POOLING LRN SCALE SOFTMAX DECONVOLUTION "
                  "CONCATENATION ELEMENTWISE PLUGIN UNARY PADDING SHUFFLE REDUCE TOPK GATHER "
                  "MATRIX_MULTIPLY RAGGED_SOFTMAX CONSTANT IDENTITY PLUGIN_V2 SLICE SHAPE "
                  "PARAMETRIC_RELU RESIZE TRIP_LIMIT RECURRENCE ITERATOR LOOP_OUTPUT SELECT FILL "
                  "QUANTIZE DEQUANTIZE CONDITION CONDITIONAL_INPUT CONDITIONAL_OUTPUT SCATTER EINSUM "
                  "ASSERTION ONE_HOT NON_ZERO GRID_SAMPLE NMS REVERSE_SEQUENCE NORMALIZATION "
                  "PLUGIN_V3 SQUEEZE UNSQUEEZE CUMULATIVE DYNAMIC_QUANTIZE ATTENTION "
                  "ROTARY_EMBEDDING KV_CACHE_UPDATE FULLY_CONNECTED RNN_V2")
TensorFormat = _enum("TensorFormat", "LINEAR CHW2 HWC8 CHW4 CHW16 CHW32 DHWC8 CDHW32 HWC DLA_LINEAR "
                     "DLA_HWC4 HWC16 DHWC")
TensorLocation = _enum("TensorLocation", "DEVICE HOST")
TensorIOMode = _enum("TensorIOMode", "NONE INPUT OUTPUT")
DeviceType = _enum("DeviceType", "GPU DLA")
EngineCapability = _enum("EngineCapability", "STANDARD SAFETY DLA_STANDALONE")
ProfilingVerbosity = _enum("ProfilingVerbosity", "LAYER_NAMES_ONLY NONE DETAILED")
LayerInformationFormat = _enum("LayerInformationFormat", "ONELINE JSON")
MemoryPoolType = _enum("MemoryPoolType", "WORKSPACE DLA_MANAGED_SRAM DLA_LOCAL_DRAM DLA_GLOBAL_DRAM "
                       "TACTIC_DRAM TACTIC_SHARED_MEMORY")
TacticSource = _enum("TacticSource", "CUBLAS CUBLAS_LT CUDNN EDGE_MASK_CONVOLUTIONS JIT_CONVOLUTIONS")
PreviewFeature = _enum("PreviewFeature", "FASTER_DYNAMIC_SHAPES_0805 "
                       "DISABLE_EXTERNAL_TACTIC_SOURCES_FOR_CORE_0805 PROFILE_SHARING_0806 "
                       "ALIASED_PLUGIN_IO_10_03 RUNTIME_ACTIVATION_RESIZE_10_10")
HardwareCompatibilityLevel = _enum("HardwareCompatibilityLevel",
                                   "NONE AMPERE_PLUS SAME_COMPUTE_CAPABILITY")
RuntimePlatform = _enum("RuntimePlatform", "SAME_AS_BUILD WINDOWS_AMD64")
TilingOptimizationLevel = _enum("TilingOptimizationLevel", "NONE FAST MODERATE FULL")
ExecutionContextAllocationStrategy = _enum("ExecutionContextAllocationStrategy",
                                           "STATIC ON_PROFILE_CHANGE USER_MANAGED")
CalibrationAlgoType = _enum("CalibrationAlgoType", "LEGACY_CALIBRATION ENTROPY_CALIBRATION "
                            "ENTROPY_CALIBRATION_2 MINMAX_CALIBRATION")
QuantizationFlag = _enum("QuantizationFlag", "CALIBRATE_BEFORE_FUSION")
WeightsRole = _enum("WeightsRole", "KERNEL BIAS SHIFT SCALE CONSTANT ANY")
OnnxParserFlag = _enum("OnnxParserFlag", "NATIVE_INSTANCENORM "
                       "ENABLE_UINT8_AND_ASYMMETRIC_QUANTIZATION_DLA REPORT_CAPABILITY_DLA "
                       "ENABLE_PLUGIN_OVERRIDE ADJUST_FOR_DLA")
NetworkDefinitionCreationFlag = _enum("NetworkDefinitionCreationFlag", "EXPLICIT_BATCH STRONGLY_TYPED "
                                      "PREFER_AOT_PYTHON_PLUGINS PREFER_JIT_PYTHON_PLUGINS "
                                      "EXPLICIT_PRECISION")
BuilderFlag = _enum("BuilderFlag", "FP16 INT8 DEBUG GPU_FALLBACK STRICT_TYPES REFIT "
                    "DISABLE_TIMING_CACHE TF32 SPARSE_WEIGHTS SAFETY_SCOPE OBEY_PRECISION_CONSTRAINTS "
                    "PREFER_PRECISION_CONSTRAINTS DIRECT_IO REJECT_EMPTY_ALGORITHMS ENABLE_TACTIC_"
                    "HEURISTIC VERSION_COMPATIBLE EXCLUDE_LEAN_RUNTIME FP8 "
                    "ERROR_ON_TIMING_CACHE_MISS BF16 DISABLE_COMPILATION_CACHE STRIP_PLAN "
                    "WEIGHT_STREAMING INT4 REFIT_INDIVIDUAL STRICT_NANS MONITOR_MEMORY FP4 "
                    "EDITABLE_TIMING_CACHE DISTRIBUTIVE_INDEPENDENCE REFIT_IDENTICAL")
Severity = _enum("Severity", "INTERNAL_ERROR ERROR WARNING INFO VERBOSE")
ErrorCodeTRT = _enum("ErrorCodeTRT", "SUCCESS UNSPECIFIED_ERROR INTERNAL_ERROR INVALID_ARGUMENT "
                     "INVALID_CONFIG FAILED_ALLOCATION FAILED_INITIALIZATION FAILED_EXECUTION "
                     "FAILED_COMPUTATION INVALID_STATE UNSUPPORTED_STATE")
ErrorCode = _enum("ErrorCode", "SUCCESS INTERNAL_ERROR MEM_ALLOC_FAILED MODEL_DESERIALIZE_FAILED "
                  "INVALID_VALUE INVALID_GRAPH INVALID_NODE UNSUPPORTED_GRAPH UNSUPPORTED_NODE "
                  "UNSUPPORTED_NODE_ATTR UNSUPPORTED_NODE_INPUT UNSUPPORTED_NODE_DATATYPE "
                  "UNSUPPORTED_NODE_DYNAMIC UNSUPPORTED_NODE_SHAPE REFIT_FAILED")

# What the library calls them, by the names of TensorRT's members.
_ALIASES = {"PROD": "PRODUCT", "RECIP": "RECIPROCAL", "ISINF": "IS_INF", "ISNAN": "IS_NAN",
            "AVG": "AVERAGE", "MAX_AVERAGE_BLEND": "MAX_AVERAGE", "CORNER_PAIRS": "CORNERS",
            "EXPLICIT_ROUND_DOWN": "ROUND_DOWN", "EXPLICIT_ROUND_UP": "ROUND_UP",
            "STRICT_BOUNDS": "REFUSED", "FILL": "VALUE", "CENTER_SIZES": "CENTER_SIZE"}
_PREFIXES = {"ActivationType": "ACTIVATION_", "PoolingType": "POOL_", "UnaryOperation": "UNARY_",
             "ElementWiseOperation": "ELEMENTWISE_", "ReduceOperation": "REDUCE_",
             "ScaleMode": "SCALE_", "TopKOperation": "TOP_K_", "ScatterMode": "SCATTER_",
             "FillOperation": "FILL_", "InterpolationMode": "", "PaddingMode": "PADDING_",
             "ResizeCoordinateTransformation": "COORDINATES_", "ResizeRoundMode": "ROUNDING_",
             "BoundingBoxFormat": "BOX_", "SampleMode": "OUTSIDE_"}
_WHOLE = {"MatrixOperation.NONE": "MATRIX", "MatrixOperation.TRANSPOSE": "MATRIX_TRANSPOSED",
          "MatrixOperation.VECTOR": "VECTOR", "GatherMode.DEFAULT": "GATHER",
          "GatherMode.ELEMENT": "GATHER_ELEMENT", "GatherMode.ND": "GATHER_ND"}


def native(member: Enum) -> int:
    """The library's number for a member."""
    name = _WHOLE.get(str(member)) or (_PREFIXES[type(member).__name__] +
                                       _ALIASES.get(member.name, member.name))
    return getattr(_tenon, name)
