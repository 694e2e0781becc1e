"""Dims, weights, loggers: what all parts of TensorRT's API share."""

import sys
import time
from typing import Any, Iterable, Optional

import numpy as np

from .. import _arrays, _log
from .._errors import Error
from ._enums import TYPE_NAMES, TYPES, DataType, ErrorCodeTRT, Severity


class Dims(list):
    """Sizes: a sequence whose items can be set, and which prints and compares as a tuple."""

    MAX_DIMS = 8

    def __init__(self, *args: Any):
        given = args[0] if len(args) == 1 and hasattr(args[0], "__iter__") else args
        super().__init__(int(d) for d in given)

    @property
    def nbDims(self) -> int:
        return len(self)

    @property
    def d(self) -> "Dims":
        return self

    def numel(self) -> int:
        return volume(self)

    def get_type(self, index: int) -> Any:
        return None

    def __eq__(self, other: Any) -> bool:
        return hasattr(other, "__len__") and tuple(self) == tuple(other)

    def __ne__(self, other: Any) -> bool:
        return not self == other

    def __add__(self, other: Iterable[int]) -> tuple:  # type: ignore[override]
        return tuple(self) + tuple(other)

    def __radd__(self, other: Iterable[int]) -> tuple:
        return tuple(other) + tuple(self)

    def __getitem__(self, index: Any) -> Any:
        item = super().__getitem__(index)
        return tuple(item) if isinstance(index, slice) else item

    def __repr__(self) -> str:
        return repr(tuple(self))

    __str__ = __repr__
    __hash__ = None  # type: ignore[assignment]


class Dims2(Dims):
    pass


class Dims3(Dims):
    pass


class Dims4(Dims):
    pass


class DimsHW(Dims):
    @property
    def h(self) -> int:
        return self[0]

    @property
    def w(self) -> int:
        return self[1]


class DimsExprs(Dims):
    pass


class Permutation(Dims):
    """An order of axes."""


def volume(shape: Iterable[int]) -> int:
    """The product of the sizes."""
    result = 1
    for size in shape:
        result *= int(size)
    return result


def nptype(dtype: DataType) -> type:
    """The NumPy type for a DataType."""
    return _arrays.numpy_dtype(_arrays.dtype_number(TYPE_NAMES[dtype])).type


def number_of(dtype: Any) -> int:
    """The library's number for a DataType or a NumPy type."""
    return _arrays.dtype_number(TYPE_NAMES[dtype] if isinstance(dtype, DataType) else dtype)


def type_of(name: str) -> DataType:
    """The DataType for one of the library's names."""
    if name not in TYPES:
        raise Error("UNSUPPORTED", f"TensorRT has no type {name}")
    return TYPES[name]


class Weights:
    """Numbers of a type: from an array, or none of a type."""

    array: np.ndarray

    def __init__(self, *args: Any):
        first = args[0] if args else DataType.FLOAT
        if isinstance(first, Weights):
            first = first.array
        if isinstance(first, DataType):
            if len(args) == 3:  # type, address, count
                number = number_of(first)
                self.array = _arrays.copy_out((int(args[1]), number, (int(args[2]),), None))
            else:
                self.array = np.empty(0, nptype(first))
        else:
            array = as_array(first)
            self.array = np.empty(0, np.float32) if array is None else array

    @property
    def dtype(self) -> DataType:
        return type_of(_arrays.NAMES[_arrays.dtype_number(self.array.dtype)])

    @property
    def size(self) -> int:
        return self.array.size

    @property
    def nbytes(self) -> int:
        return self.array.nbytes

    def numpy(self) -> np.ndarray:
        return self.array

    def __len__(self) -> int:
        return self.array.size


def as_array(weights: Any) -> Optional[np.ndarray]:
    """Weights, an array or a tensor as a dense array; None where there are none."""
    if weights is None:
        return None
    if isinstance(weights, Weights):
        return weights.array if weights.array.size else None
    if hasattr(weights, "detach"):
        weights = weights.detach().cpu().numpy()
    array = np.ascontiguousarray(weights)
    return array.reshape(np.shape(weights)) if array.size else None


# ---- Loggers -------------------------------------------------------------------------------------

_LEVEL_OF = (Severity.ERROR, Severity.WARNING, Severity.INFO, Severity.VERBOSE)


class ILogger:
    """Derive from it and define ``log(severity, message)``."""

    Severity = Severity
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = Severity
    min_severity = Severity.VERBOSE

    def log(self, severity: Any, msg: str) -> None:
        raise NotImplementedError("log(severity, msg) is to be defined")


class Logger(ILogger):
    """Writes lines up to a severity to stderr, ``[TRT] [W] ...``."""

    def __init__(self, min_severity: Severity = Severity.WARNING):
        self.min_severity = Severity(min_severity)

    def log(self, severity: Any, msg: str) -> None:
        if severity <= self.min_severity:
            stamp = time.strftime("%m/%d/%Y-%H:%M:%S")
            sys.stderr.write(f"[{stamp}] [TRT] [{'FEWIV'[severity]}] {msg}\n")


_logger: Optional[ILogger] = None


def use_logger(logger: Optional[ILogger]) -> ILogger:
    """The library has one log: it goes to the logger that was given last."""
    global _logger
    if logger is None:
        logger = _logger or Logger()
    if logger is not _logger:
        _logger = logger
        least = getattr(logger, "min_severity", Severity.VERBOSE)
        _log.set_log_level(("error", "error", "warning", "info", "verbose")[least])
        _log.listener = lambda level, line: logger.log(_LEVEL_OF[level], line)
    return logger


class IErrorRecorder:
    """Derive from it and define ``report_error(code, text)``."""

    def report_error(self, val: ErrorCodeTRT, desc: str) -> bool:
        return False


_CODES = {"INVALID": ErrorCodeTRT.INVALID_ARGUMENT, "OUT_OF_MEMORY": ErrorCodeTRT.FAILED_ALLOCATION,
          "UNAVAILABLE": ErrorCodeTRT.FAILED_INITIALIZATION, "DEVICE": ErrorCodeTRT.FAILED_EXECUTION,
          "UNSUPPORTED": ErrorCodeTRT.UNSUPPORTED_STATE, "CORRUPT": ErrorCodeTRT.INVALID_ARGUMENT,
          "INTERNAL": ErrorCodeTRT.INTERNAL_ERROR}


class Reporter:
    """Failures go to the logger and the error recorder, as TensorRT's do, and give None."""

    error_recorder: Optional[IErrorRecorder] = None
    logger: ILogger

    def report(self, error: Exception) -> None:
        text = str(error)
        self.logger.log(Severity.ERROR, text)
        if self.error_recorder is not None:
            code = _CODES.get(getattr(error, "code", ""), ErrorCodeTRT.UNSPECIFIED_ERROR)
            self.error_recorder.report_error(code, text)

    def warn(self, text: str) -> None:
        self.logger.log(Severity.WARNING, text)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def __del__(self) -> None:
        pass


class IHostMemory(bytes):
    """The bytes of a serialised engine or timing cache."""

    @property
    def nbytes(self) -> int:
        return len(self)

    @property
    def dtype(self) -> DataType:
        return DataType.INT8

    def __enter__(self) -> "IHostMemory":
        return self

    def __exit__(self, *_: Any) -> None:
        pass
