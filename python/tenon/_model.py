"""Models: what is read from a file, before it is built."""

import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from . import _arrays, _tenon

PathLike = Union[str, "os.PathLike[str]"]
_KINDS = ("tensor", "sequence", "optional", "optional sequence")
_TEXTS = {"summary": 0, "graph": 1, "onnx_inputs": 2, "json": 3, "svg": 4}
Shape = Sequence[int]
Profiles = Mapping[str, Union[Shape, Tuple[Shape, Shape, Shape]]]


class IO(NamedTuple):
    """An input or output.

    ``shape`` has -1 where a dim is dynamic, and is None where not even the rank is known;
    ``dim_names`` names those dims ("batch"); ``dtype`` is the library's name ("f32", "i64");
    ``kind`` is "tensor", "sequence", "optional" or "optional sequence".
    """
    name: str
    dtype: str
    shape: Optional[Tuple[int, ...]]
    dim_names: Optional[Tuple[Optional[str], ...]]
    kind: str

    @property
    def number(self) -> int:
        """The type as ONNX numbers it."""
        return _arrays.dtype_number(self.dtype)


def io_of(row: Tuple) -> IO:
    name, number, shape, names, kind = row
    return IO(name, _arrays.NAMES.get(number, "none"), shape, names, _KINDS[kind])


def path_bytes(path: Optional[PathLike]) -> Optional[bytes]:
    return None if path is None else os.fsencode(path)


def profile_list(profiles: Optional[Profiles]) -> List[Tuple[bytes, Any, Any, Any]]:
    """{input: shape} or {input: (min, opt, max)} as the C API takes it."""
    rows: List[Tuple[bytes, Any, Any, Any]] = []
    for name, given in (profiles or {}).items():
        nested = len(given) == 3 and all(hasattr(d, "__len__") for d in given)
        low, best, high = given if nested else (given, given, given)  # type: ignore[misc]
        rows.append((name.encode(), low, best, high))
    return rows


class Model:
    """A model: its graph and weights. ``Model(path)`` reads ONNX; see :func:`load`."""

    def __init__(self, path: Optional[PathLike] = None, *, random_weights: bool = False,
                 constants: Optional[Mapping[str, Any]] = None, handle: Any = None):
        if handle is None:
            handle = _load(path_bytes(path), None, None, random_weights, constants)
        self._handle = handle
        inputs, outputs = _tenon.model_io(handle)
        self.inputs: Tuple[IO, ...] = tuple(io_of(r) for r in inputs)
        self.outputs: Tuple[IO, ...] = tuple(io_of(r) for r in outputs)

    @classmethod
    def from_bytes(cls, data: bytes, folder: Optional[PathLike] = None, *,
                   random_weights: bool = False,
                   constants: Optional[Mapping[str, Any]] = None) -> "Model":
        """ONNX from memory; ``folder`` is where its external data may lie."""
        return cls(handle=_load(None, bytes(data), folder, random_weights, constants))

    @classmethod
    def from_checkpoint(cls, checkpoint: Any, arch: Optional[str] = None,
                        **settings: Any) -> "Model":
        """The network ``arch`` (None: the one that is recognised) with the tensors of a
        :class:`Checkpoint` or of the .pth or .safetensors file of that path; settings as
        :func:`arch_names` describes them, ``heads=12``."""
        from ._files import Checkpoint
        if not isinstance(checkpoint, Checkpoint):
            checkpoint = Checkpoint(checkpoint)
        pairs = [f"{k}={int(v) if isinstance(v, bool) else v}".encode() for k, v in settings.items()]
        return cls(handle=_tenon.model_from_checkpoint(checkpoint._handle, arch, pairs))

    @classmethod
    def from_problem(cls, problem: str) -> "Model":
        """A model of one operator, from the text by which build reports call it."""
        return cls(handle=_tenon.model_from_problem(problem))

    def text(self, kind: str = "summary") -> str:
        """"summary", "graph", "onnx_inputs", "json" or "svg"."""
        return _tenon.model_text(self._handle, _TEXTS[kind])

    def save(self, path: PathLike, opset: int = 0, external_data: bool = False) -> None:
        """Write ONNX, at ``opset`` (0: the model's own, but at least 17)."""
        _tenon.model_save(self._handle, path_bytes(path), opset, external_data)

    def simplify(self, *, shapes: Optional[Mapping[str, Shape]] = None, keep: Sequence[str] = (),
                 profiles: Optional[Profiles] = None, opset: int = 0, check: bool = True,
                 tolerance: float = 0.0, threads: int = 0) -> str:
        """Make the model smaller, compare it with what it was, and say what was done. ``shapes``
        fixes dims of inputs (-1 leaves one)."""
        fixed = [(name.encode(), tuple(dims)) for name, dims in (shapes or {}).items()]
        report = _tenon.model_simplify(self._handle, opset, fixed, [k.encode() for k in keep],
                                       profile_list(profiles), check, tolerance, threads)
        inputs, outputs = _tenon.model_io(self._handle)
        self.inputs = tuple(io_of(r) for r in inputs)
        self.outputs = tuple(io_of(r) for r in outputs)
        return report

    def __repr__(self) -> str:
        return f"Model({[i.name for i in self.inputs]} -> {[o.name for o in self.outputs]})"


def _load(path: Optional[bytes], data: Optional[bytes], folder: Optional[PathLike],
          random_weights: bool, constants: Optional[Mapping[str, Any]]) -> Any:
    views = {name: _arrays.view(x) for name, x in (constants or {}).items()}
    return _tenon.model_load(path, data, path_bytes(folder), random_weights,
                             [name.encode() for name in views], [v.tensor for v in views.values()])


def load(path: PathLike, *, random_weights: bool = False,
         constants: Optional[Mapping[str, Any]] = None) -> Model:
    """Read an ONNX model. ``constants`` turns inputs into constants of these values;
    ``random_weights`` makes up those that are absent."""
    return Model(path, random_weights=random_weights, constants=constants)


def load_operators(path: PathLike) -> None:
    """Add the operators of a shared library (include/tenon/op.h) for models that are read
    afterwards."""
    _tenon.op_library_load(path_bytes(path))


def arch_names() -> str:
    """The networks that :meth:`Model.from_checkpoint` knows, with their settings."""
    return _tenon.archs_text()
