"""Checkpoints, tokenizers, and comparing arrays."""

from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from . import _arrays, _tenon
from ._model import PathLike, path_bytes


class Checkpoint(Mapping[str, np.ndarray]):
    """The tensors of a .pth, .pt or .safetensors file, by name: read-only arrays over the mapped
    file. Nothing in the file is ever run."""

    def __init__(self, path: PathLike):
        self._handle = _tenon.checkpoint_load(path_bytes(path))
        self._tensors: Dict[str, _arrays.Tensor] = dict(_tenon.checkpoint_tensors(self._handle))

    def __getitem__(self, name: str) -> np.ndarray:
        address, number, shape, strides = self._tensors[name]
        dtype = _arrays.numpy_dtype(number)
        face = {"shape": shape, "typestr": dtype.str, "data": (address, True), "version": 3,
                "strides": tuple(s * dtype.itemsize for s in strides or ())}
        array = np.asarray(_Lent(face, self._handle))
        return array if array.dtype == dtype else array.view(dtype)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    @property
    def arch(self) -> Optional[str]:
        """The network whose tensors these are, where it is known."""
        return _tenon.checkpoint_arch(self._handle)

    @property
    def note(self) -> str:
        """The form of the file and what was left out."""
        return _tenon.checkpoint_note(self._handle)


class _Lent:
    """Memory of a handle, which NumPy keeps by this."""

    def __init__(self, face: dict, handle: Any):
        self.__array_interface__ = face
        self._handle = handle


def save_checkpoint(path: PathLike, tensors: Mapping[str, Any]) -> None:
    """Write arrays by name: .pth or .pt as torch.load reads it, else .safetensors."""
    views = [_arrays.view(x) for x in tensors.values()]
    _tenon.checkpoint_save(path_bytes(path), [n.encode() for n in tensors],
                           [v.tensor for v in views])


def load_tensor(path: PathLike) -> np.ndarray:
    """The array in a .npy file or a .pb file (a bare ONNX TensorProto)."""
    tensor, _owner = _tenon.tensor_load(path_bytes(path))
    return _arrays.copy_out(tensor)


def save_tensor(path: PathLike, x: Any) -> None:
    """Write an array as .npy or .pb, by the ending of the path."""
    view = _arrays.view(x)
    _tenon.tensor_save(view.tensor, path_bytes(path))


class Difference(NamedTuple):
    """How far two arrays are apart; see :func:`compare`."""
    abs_max: float
    rel_l2: float
    beyond_count: int
    worst_index: int


def compare(got: Any, want: Any, rtol: float = 1e-3, atol: float = 1e-5) -> Difference:
    """The largest and the relative L2 difference of two arrays of the same shape and type, and how
    many elements are beyond ``atol + rtol * |want|``."""
    a, b = _arrays.view(got), _arrays.view(want)
    return Difference(*_tenon.tensor_compare(a.tensor, b.tensor, rtol, atol))


class Tokenizer:
    """WordPiece for BERT models, from a vocab.txt or a tokenizer.json."""

    def __init__(self, path: PathLike, mode: str = "hugging_face", keep_case: bool = False):
        modes = {"hugging_face": 0, "bert4torch": 1}
        self._handle = _tenon.tokenizer_load(path_bytes(path), modes[mode], keep_case)

    def encode(self, text: str, pair: Optional[str] = None,
               max_length: int = 0) -> Tuple[List[int], List[int]]:
        """Token ids and segment ids of [CLS] text [SEP] (pair [SEP])."""
        count = _tenon.tokenizer_encode(self._handle, text, pair, max_length, 0, 0, 0)
        ids = np.empty((2, count), np.int64)
        _tenon.tokenizer_encode(self._handle, text, pair, max_length, count, ids[0].ctypes.data,
                                ids[1].ctypes.data)
        return ids[0].tolist(), ids[1].tolist()

    def token(self, number: int) -> Optional[str]:
        """The text of a token."""
        return _tenon.tokenizer_token(self._handle, number)

    def find(self, token: str) -> int:
        """The id of a token, -1 if there is none."""
        return _tenon.tokenizer_find(self._handle, token)
