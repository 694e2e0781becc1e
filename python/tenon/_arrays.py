"""Memory that others own, as the C API takes it: (address, dtype, shape, strides)."""

from typing import Any, Dict, NamedTuple, Optional, Tuple

import numpy as np

from . import _tenon

try:  # types that NumPy lacks, where somebody has added them
    import ml_dtypes
except ImportError:
    ml_dtypes = None

Tensor = Tuple[int, int, Tuple[int, ...], Optional[Tuple[int, ...]]]

_NUMBER = {name: row[0] for name, row in _tenon.DTYPES.items()}
NAMES = {number: name for name, number in _NUMBER.items()}
BITS = {row[0]: row[1] for row in _tenon.DTYPES.values()}
STRING = _NUMBER["string"]

_NUMPY = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "i8": np.int8, "i16": np.int16,
          "i32": np.int32, "i64": np.int64, "u8": np.uint8, "u16": np.uint16, "u32": np.uint32,
          "u64": np.uint64, "bool": np.bool_, "c64": np.complex64, "c128": np.complex128,
          "string": np.object_}
_EXTRA = {"bf16": ("bfloat16", np.uint16), "f8e4m3fn": ("float8_e4m3fn", np.uint8),
          "f8e4m3fnuz": ("float8_e4m3fnuz", np.uint8), "f8e5m2": ("float8_e5m2", np.uint8),
          "f8e5m2fnuz": ("float8_e5m2fnuz", np.uint8), "f8e8m0": ("float8_e8m0fnu", np.uint8)}
for _name, (_extra, _bits) in _EXTRA.items():
    _NUMPY[_name] = getattr(ml_dtypes, _extra, _bits) if ml_dtypes else _bits
_TO_NUMPY = {_NUMBER[name]: np.dtype(t) for name, t in _NUMPY.items()}
_FROM_NUMPY: Dict[np.dtype, int] = {dtype: number for number, dtype in _TO_NUMPY.items()
               if NAMES[number] not in _EXTRA or dtype.kind == "V"}
_FROM_NUMPY[np.dtype(np.object_)] = STRING
_TORCH = {"float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16", "int8": "i8",
          "int16": "i16", "int32": "i32", "int64": "i64", "uint8": "u8", "uint16": "u16",
          "uint32": "u32", "uint64": "u64", "bool": "bool", "complex64": "c64",
          "complex128": "c128", "float8_e4m3fn": "f8e4m3fn", "float8_e5m2": "f8e5m2"}
_FROM_TORCH = {f"torch.{torch}": _NUMBER[name] for torch, name in _TORCH.items()}
TO_TORCH = {_NUMBER[name]: torch for torch, name in _TORCH.items()}

_DL_CPU, _DL_CUDA = 1, 2


def dtype_number(dtype: Any) -> int:
    """The number of a type as ONNX counts, from its name ("f32", "bf16"), a NumPy or a PyTorch
    type."""
    if isinstance(dtype, str) and dtype in _NUMBER:
        return _NUMBER[dtype]
    if str(dtype) in _FROM_TORCH:
        return _FROM_TORCH[str(dtype)]
    try:
        return _FROM_NUMPY[np.dtype(dtype)]
    except (KeyError, TypeError):
        raise TypeError(f"{dtype!r} is no type of a tensor") from None


def numpy_dtype(number: int) -> np.dtype:
    """The NumPy type for a type's number. bfloat16 and the 8-bit floats are those of ml_dtypes
    where that is installed, else their bits as unsigned numbers."""
    try:
        return _TO_NUMPY[number]
    except KeyError:
        raise TypeError(f"NumPy has no type for {NAMES.get(number, number)}") from None


class View(NamedTuple):
    """Memory as the library sees it. ``owner`` must live as long as it is used."""
    tensor: Tensor
    card: Optional[int]   # number of the CUDA card the memory is on, None: the host's
    stream: int           # on which the data is made, 0: the default one
    owner: Any
    family: str           # "numpy", "torch", or "device": what outputs should be


def view(x: Any, number: int = 0) -> View:
    """See ``x`` as a tensor; ``number`` is the type that lists and numbers become, and the type
    that the bits of an array stand for where NumPy has no such type."""
    if isinstance(x, np.ndarray):
        return _view_numpy(x, number)
    if hasattr(x, "data_ptr") and hasattr(x, "stride"):
        return _view_torch(x)
    if hasattr(x, "__cuda_array_interface__"):
        return _view_cuda(x)
    if hasattr(x, "__dlpack__") and not isinstance(x, np.generic):
        device, _ = x.__dlpack_device__()
        capsule = x.__dlpack__(stream=1) if device == _DL_CUDA else x.__dlpack__()
        tensor, device, card, owner = _tenon.dlpack_read(capsule)
        if device not in (_DL_CPU, _DL_CUDA, 3, 13):
            raise TypeError(f"an array on a device of DLPack's kind {device} cannot be read")
        on_card = device in (_DL_CUDA, 13)
        return View(tensor, card if on_card else None, 0, (x, owner), "device" if on_card else "numpy")
    wanted = numpy_dtype(number) if number in _TO_NUMPY else None
    return _view_numpy(np.asarray(x, dtype=wanted), number)


def _view_numpy(x: np.ndarray, number: int) -> View:
    dtype = x.dtype
    found = _FROM_NUMPY.get(dtype)
    if found != number and number in _TO_NUMPY and _TO_NUMPY[number] == dtype:
        found = number
    if found is None or found == STRING:
        if dtype.kind in "USO":
            return _view_strings(x)
        if dtype.isnative:
            raise TypeError(f"an array of {dtype} is no tensor")
        return _view_numpy(x.astype(dtype.newbyteorder("=")), number)
    strides = None
    if not x.flags.c_contiguous:
        if any(s % dtype.itemsize for s in x.strides):
            x = np.ascontiguousarray(x)
        else:
            strides = tuple(s // dtype.itemsize for s in x.strides)
    return View((x.__array_interface__["data"][0], found, x.shape, strides), None, 0, x, "numpy")


def _view_strings(x: np.ndarray) -> View:
    texts = [t.encode() if isinstance(t, str) else bytes(t) for t in x.reshape(-1).tolist()]
    joined = np.frombuffer(b"".join(texts) or b"\0", np.uint8)
    lengths = np.array([len(t) for t in texts], np.uint64)
    table = np.empty((len(texts), 2), np.uint64)
    table[:, 0] = joined.ctypes.data + np.concatenate(
        ([0], np.cumsum(lengths)[:-1])).astype(np.uint64) if texts else 0
    table[:, 1] = lengths
    return View((table.ctypes.data, STRING, x.shape, None), None, 0, (joined, table), "numpy")


def _view_torch(x: Any) -> View:
    number = _FROM_TORCH.get(str(x.dtype))
    if number is None:
        raise TypeError(f"a tensor of {x.dtype} cannot be read")
    if x.device.type not in ("cpu", "cuda"):
        raise TypeError(f"a tensor on '{x.device}' cannot be read: copy it to the CPU")
    x = x.detach()
    card = stream = None
    if x.device.type == "cuda":
        import torch
        card = x.device.index or 0
        stream = torch.cuda.current_stream(x.device).cuda_stream
        x = x.contiguous()
    strides = None if x.is_contiguous() else tuple(x.stride())
    return View((x.data_ptr(), number, tuple(x.shape), strides), card, stream or 0, x, "torch")


def _view_cuda(x: Any) -> View:
    face = x.__cuda_array_interface__
    dtype = np.dtype(face["typestr"])
    if dtype not in _FROM_NUMPY:
        raise TypeError(f"an array of {dtype} is no tensor")
    strides = face.get("strides")
    if strides is not None:
        strides = tuple(s // dtype.itemsize for s in strides)
        dense = tuple(int(np.prod(face["shape"][i + 1:])) for i in range(len(strides)))
        if strides != dense:
            raise TypeError("an array on a card must be dense")
    return View((face["data"][0], _FROM_NUMPY[dtype], tuple(face["shape"]), None), 0,
                face.get("stream") or 0, x, "device")


def copy_out(tensor: Tensor) -> np.ndarray:
    """A NumPy array with a copy of what lies in the library's host memory."""
    address, number, shape, _ = tensor
    count = int(np.prod(shape, dtype=np.int64))
    if number == STRING:
        table = np.frombuffer(_tenon.memory(address, count * 16), np.uint64).reshape(count, 2)
        texts = np.empty(count, np.object_)
        for i, (at, length) in enumerate(table.tolist()):
            texts[i] = bytes(_tenon.memory(at, length)).decode("utf-8", "surrogateescape")
        return texts.reshape(shape)
    bits = BITS[number]
    if bits < 8:  # packed, low bits first: one number for each, as unsigned bits
        packed = np.frombuffer(_tenon.memory(address, (count * bits + 7) // 8), np.uint8)
        shifts = np.arange(0, 8, bits, dtype=np.uint8)
        return ((packed[:, None] >> shifts) & ((1 << bits) - 1)).reshape(-1)[:count].reshape(shape)
    data = np.frombuffer(_tenon.memory(address, count * bits // 8), np.uint8)
    return data.copy().view(numpy_dtype(number)).reshape(shape)


class DeviceArray:
    """An array in a card's memory: other libraries read it by ``__cuda_array_interface__`` or
    ``__dlpack__``; ``numpy()`` copies it to the host. Dense, of ``shape`` and ``dtype``."""

    def __init__(self, engine: Any, shape: Tuple[int, ...], number: int, card: int):
        self.shape = tuple(shape)
        self.number = number
        self.card = card
        self.nbytes = int(np.prod(shape, dtype=np.int64)) * BITS[number] // 8
        self._engine = engine
        self._memory = _tenon.device_alloc(engine, max(self.nbytes, 1))

    @property
    def dtype(self) -> np.dtype:
        return numpy_dtype(self.number)

    @property
    def address(self) -> int:
        return self._memory.address

    @property
    def __cuda_array_interface__(self) -> dict:
        return {"shape": self.shape, "typestr": self.dtype.str, "data": (self.address, False),
                "version": 3, "strides": None, "stream": None}

    def __dlpack__(self, stream: Optional[int] = None, **_: Any) -> Any:
        return _tenon.dlpack_make((self.address, self.number, self.shape, None), _DL_CUDA,
                                  self.card, self)

    def __dlpack_device__(self) -> Tuple[int, int]:
        return _DL_CUDA, self.card

    def numpy(self) -> np.ndarray:
        """A copy in the host's memory."""
        out = np.empty(self.shape, self.dtype)
        _tenon.device_copy(self._engine, out.ctypes.data, self.address, self.nbytes)
        return out

    def __repr__(self) -> str:
        return f"DeviceArray(shape={self.shape}, dtype={NAMES[self.number]}, card={self.card})"
