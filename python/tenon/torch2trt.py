"""torch2trt's names over Tenon: live PyTorch modules become engines.

    from tenon.torch2trt import torch2trt, TRTModule      # or tenon.torch2trt(...)

    model_trt = torch2trt(model.eval(), [x], fp16_mode=True, max_batch_size=8)
    y = model_trt(x)
    torch.save(model_trt.state_dict(), "model_trt.pth")
    model_trt = TRTModule()
    model_trt.load_state_dict(torch.load("model_trt.pth"))

A module goes through ``torch.onnx.export``, so whatever that knows is converted, LSTMs and attention
included: first by a trace of one run, and where that fails by ``torch.export``, which needs PyTorch 2.6
and the package ``onnxscript``. The engine is compared with the module on the sample inputs. It runs
on the card where the module is on one, else on the CPU.
"""

import contextlib
import importlib.util
import inspect
import io
import logging
import sys
import threading
import types
import warnings
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import torch

from . import _engine
from ._errors import Error
from ._files import compare
from ._model import Model

logger = logging.getLogger("tenon")

_TOLERANCES = {"f32": 1e-4, "f16": 1e-2}  # relative L2 to the module, which has errors of its own


# ---- Structures of tensors -----------------------------------------------------------------------

class Flattener:
    """The shape of a structure of lists, tuples and dicts, to take it apart and put it together.
    ``schema`` has the numbers of the tensors in their places."""

    def __init__(self, schema: Any, size: int):
        self.schema, self.size = schema, size

    @classmethod
    def from_value(cls, value: Any) -> "Flattener":
        count = 0

        def number(x: Any) -> Any:
            nonlocal count
            if isinstance(x, torch.Tensor):
                count += 1
                return count - 1
            if isinstance(x, (list, tuple)):
                return type(x)(map(number, x)) if type(x) in (list, tuple) else tuple(map(number, x))
            if isinstance(x, dict):
                return {k: number(v) for k, v in x.items()}
            raise TypeError(f"tensors, and lists, tuples and dicts of them are taken, not {type(x)}")

        schema = number(value)
        return cls(schema, count)

    @classmethod
    def from_dict(cls, state: dict) -> "Flattener":
        return cls(state["schema"], state["size"])

    def dict(self) -> dict:
        return {"schema": self.schema, "size": self.size}

    def flatten(self, value: Any) -> List[Any]:
        flat: List[Any] = [None] * self.size

        def take(x: Any, schema: Any) -> None:
            if isinstance(schema, int):
                flat[schema] = x
            elif isinstance(schema, dict):
                for key in schema:
                    take(x[key], schema[key])
            else:
                for item, part in zip(x, schema):
                    take(item, part)

        take(value, self.schema)
        return flat

    def unflatten(self, flat: Sequence[Any]) -> Any:
        def give(schema: Any) -> Any:
            if isinstance(schema, int):
                return flat[schema]
            if isinstance(schema, dict):
                return {k: give(v) for k, v in schema.items()}
            return type(schema)(map(give, schema))

        return give(self.schema)


# ---- Converters of one's own ---------------------------------------------------------------------

CONVERTERS: Dict[str, dict] = {}


class ConversionContext:
    """What a converter is given: ``network`` to add layers to, ``method_args`` and
    ``method_kwargs``, whose tensors have their ``_trt``, and ``method_return``, whose ``_trt`` it
    sets."""

    def __init__(self, network: Any, args: tuple, kwargs: dict, result: Any):
        self.network = network
        self.method_args = args
        self.method_kwargs = kwargs
        self.method_return = result


def tensorrt_converter(method: str, is_real: bool = True, enabled: bool = True,
                       imports: Sequence[str] = ()) -> Callable:
    """Decorate ``converter(ctx)`` to write down what calls of ``method``, the full name of a
    function ("torch.nn.functional.relu"), do. What it adds takes the place of the calls."""
    def register(converter: Callable) -> Callable:
        CONVERTERS[method] = {"converter": converter, "enabled": enabled, "imports": list(imports)}
        return converter
    return register


def add_missing_trt_tensors(network: Any, tensors: Sequence[Any]) -> List[Any]:
    """The tensors of the network: those that have none become constants."""
    found = []
    for x in tensors:
        if isinstance(x, torch.Tensor) and hasattr(x, "_trt"):
            found.append(x._trt)
        else:
            array = x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.array([x], np.float32)
            found.append(network.add_constant(array.shape or (1,), array).get_output(0))
    return found


def get_arg(ctx: ConversionContext, name: str, pos: int, default: Any) -> Any:
    if name in ctx.method_kwargs:
        return ctx.method_kwargs[name]
    return ctx.method_args[pos] if len(ctx.method_args) > pos else default


class _Call:
    """One call of a converted method in the module: the piece of network that replaces it."""

    def __init__(self, method: str, piece: Optional[bytes], outputs: int):
        self.method, self.piece, self.outputs = method, piece, outputs


_state = threading.local()


class _Converted(torch.autograd.Function):
    """Stands in the exported graph for a converted call: a node ``tenon::Converted_N``."""

    @staticmethod
    def forward(ctx: Any, number: int, *tensors: torch.Tensor) -> Any:
        result = _state.results[number]
        return tuple(y.clone() for y in result) if isinstance(result, tuple) else result.clone()

    @staticmethod
    def symbolic(g: Any, number: int, *tensors: Any) -> Any:
        count = _state.calls[number].outputs
        out = g.op(f"tenon::Converted_{number}", *tensors, outputs=count)
        return out


def _locate(method: str) -> Tuple[Any, str]:
    """The module or class that holds a function, and the function's name there."""
    path = method.split(".")
    owner: Any = sys.modules[path[0]] if path[0] in sys.modules else __import__(path[0])
    for name in path[1:-1]:
        owner = getattr(owner, name)
    return owner, path[-1]


def _replace(method: str, converter: Callable, original: Callable) -> Callable:
    def call(*args: Any, **kwargs: Any) -> Any:
        if getattr(_state, "inside", False):
            return original(*args, **kwargs)
        _state.inside = True
        tracing = torch._C._get_tracing_state()
        try:
            torch._C._set_tracing_state(None)  # what it does inside is not to be exported
            try:
                result = original(*args, **kwargs)
            finally:
                torch._C._set_tracing_state(tracing)
            tensors = _tensors((args, kwargs))
            piece = _piece(converter, args, kwargs, result, tensors)
            results = result if isinstance(result, tuple) else (result,)
            number = len(_state.calls)
            _state.calls.append(_Call(method, piece, len(results)))
            _state.results.append(result)
            return _Converted.apply(number, *tensors)
        finally:
            _state.inside = False
    return call


def _tensors(value: Any) -> List[torch.Tensor]:
    """All tensors in a structure, constants among them passed over."""
    if isinstance(value, torch.Tensor):
        return [] if isinstance(value, torch.nn.Parameter) else [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [t for x in value for t in _tensors(x)]
    return []


def _piece(converter: Callable, args: tuple, kwargs: dict, result: Any,
           tensors: List[torch.Tensor]) -> bytes:
    """What a converter adds, as ONNX."""
    from . import tensorrt as trt
    from ._arrays import NAMES, dtype_number
    from .tensorrt._basics import type_of
    network = trt.Builder(trt.Logger(trt.Logger.ERROR)).create_network(
        1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH))
    for i, tensor in enumerate(tensors):
        tensor._trt = network.add_input(f"in_{i}", type_of(NAMES[dtype_number(tensor.dtype)]),
                                        tuple(tensor.shape))
    try:
        converter(ConversionContext(network, args, kwargs, result))
        for i, out in enumerate(result if isinstance(result, tuple) else (result,)):
            if not hasattr(out, "_trt"):
                raise Error("INVALID", f"converter {converter.__name__}: ctx.method_return._trt is "
                                       "not set")
            out._trt.name = f"out_{i}"
            network.mark_output(out._trt)
        return _onnx_bytes(network._to_model())
    finally:
        for tensor in tensors:
            if hasattr(tensor, "_trt"):
                del tensor._trt


def _onnx_bytes(model: Model) -> bytes:
    with _engine._scratch_file() as path:
        model.save(path + ".onnx")
        with open(path + ".onnx", "rb") as file:
            return file.read()


def _splice(data: bytes, calls: List[_Call]) -> bytes:
    """The exported graph with the pieces in the places of their nodes."""
    import onnx
    model = onnx.load_model_from_string(data)
    nodes = []
    for node in model.graph.node:
        if node.domain != "tenon":
            nodes.append(node)
            continue
        number = int(node.op_type.rsplit("_", 1)[1])
        piece = onnx.load_model_from_string(calls[number].piece)
        names = {f"in_{i}": name for i, name in enumerate(node.input)}
        names.update({f"out_{i}": name for i, name in enumerate(node.output)})
        names[""] = ""
        prefix = f"converted_{number}/"
        for constant in piece.graph.initializer:
            names[constant.name] = prefix + constant.name
            constant.name = prefix + constant.name
            model.graph.initializer.append(constant)
        for inner in piece.graph.node:
            inner.name = prefix + inner.name
            inner.input[:] = [names.get(n, prefix + n) for n in inner.input]
            inner.output[:] = [names.get(n, prefix + n) for n in inner.output]
            nodes.append(inner)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    wanted = max([_opset(onnx.load_model_from_string(c.piece)) for c in calls] + [_opset(model)])
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx") and entry.version != wanted:
            raise Error("UNSUPPORTED", f"a converter's layers need opset {wanted}: export with "
                                       f"onnx_opset={wanted}")
    return model.SerializeToString()


def _opset(model: Any) -> int:
    return max(e.version for e in model.opset_import if e.domain in ("", "ai.onnx"))


# ---- Modules -------------------------------------------------------------------------------------

class TRTModule(torch.nn.Module):
    """An engine as a module. Its state_dict has the keys of torch2trt's: ``engine`` (the bytes of an
    engine file), ``input_names``, ``output_names``, ``input_flattener``, ``output_flattener``."""

    def __init__(self, engine: Optional[_engine.Engine] = None,
                 input_names: Optional[Sequence[str]] = None,
                 output_names: Optional[Sequence[str]] = None,
                 input_flattener: Optional[Flattener] = None,
                 output_flattener: Optional[Flattener] = None):
        super().__init__()
        self.engine = engine
        self.input_names = list(input_names) if input_names else None
        self.output_names = list(output_names) if output_names else None
        self.input_flattener = input_flattener
        self.output_flattener = output_flattener
        self.difference: Any = None  # to the module it was made of, on the sample inputs
        self._register_state_dict_hook(TRTModule._on_state_dict)
        if engine is not None:
            self.input_names = self.input_names or [i.name for i in engine.inputs]
            self.output_names = self.output_names or [o.name for o in engine.outputs]

    def _on_state_dict(self, state_dict: dict, prefix: str, local_metadata: Any) -> None:
        if self.engine is None:
            return
        state_dict[prefix + "engine"] = bytearray(self.engine.to_bytes())
        state_dict[prefix + "input_names"] = self.input_names
        state_dict[prefix + "output_names"] = self.output_names
        for name in ("input_flattener", "output_flattener"):
            flattener = getattr(self, name)
            if flattener is not None:
                state_dict[prefix + name] = flattener.dict()

    def _load_from_state_dict(self, state_dict: dict, prefix: str, local_metadata: Any, strict: bool,
                              missing_keys: list, unexpected_keys: list, error_msgs: list) -> None:
        data = state_dict.get(prefix + "engine")
        if data is None:
            missing_keys.append(prefix + "engine")
            return
        self.engine = _engine.Engine.from_bytes(bytes(data))
        self.input_names = state_dict.get(prefix + "input_names") or [
            i.name for i in self.engine.inputs]
        self.output_names = state_dict.get(prefix + "output_names") or [
            o.name for o in self.engine.outputs]
        for name in ("input_flattener", "output_flattener"):
            state = state_dict.get(prefix + name)
            setattr(self, name, Flattener.from_dict(state) if state else None)

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """Run on tensors, given as the module took them."""
        if self.engine is None:
            raise Error("INVALID", "this TRTModule has no engine: load_state_dict gives it one")
        if kwargs:
            named = dict(zip(self.input_names or [], inputs), **kwargs)
            flat = [named[name] for name in self.input_names or []]
        else:
            flat = (self.input_flattener.flatten(inputs) if self.input_flattener else
                    list(inputs))
        on_card = self.engine.device != "cpu"
        home = flat[0].device if flat else torch.device("cpu")
        if home.type == "cuda" and not on_card:
            flat = [x.cpu() for x in flat]
        known = {i.name for i in self.engine.inputs}
        result = self.engine(**{name: x for name, x in zip(self.input_names or [], flat)
                                if name in known})
        outputs = ([result[n] for n in self.output_names or []]
                   if isinstance(result, _engine.Outputs) else [result])
        if home.type == "cuda" and not on_card:
            outputs = [y.to(home) for y in outputs]
        if self.output_flattener is not None:
            return self.output_flattener.unflatten(outputs)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def enable_profiling(self) -> None:
        """Time the steps of the calling thread's runs; ``engine_steps()`` tells them."""
        self._context().profile(True)

    def disable_profiling(self) -> None:
        self._context().profile(False)

    def engine_steps(self) -> List[_engine.StepTime]:
        return self._context().steps()

    def _context(self) -> _engine.Context:
        if self.engine is None:
            raise Error("INVALID", "this TRTModule has no engine")
        local = self.engine._local
        if getattr(local, "context", None) is None:
            local.context = self.engine.context()
        return local.context


# ---- Conversion ----------------------------------------------------------------------------------

def _trace(module: torch.nn.Module, inputs: tuple, names: List[str], output_names: List[str],
           dynamic: Dict[str, Dict[int, str]], opset: int) -> bytes:
    """ONNX of what a module did with the inputs, with converted calls replaced. Needs no further
    packages."""
    _state.calls, _state.results, _state.inside = [], [], False
    replaced: List[Tuple[Any, str, Any]] = []
    options: Dict[str, Any] = {}
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:
        options["dynamo"] = False
    buffer = io.BytesIO()
    try:
        for method, entry in CONVERTERS.items():
            if entry["enabled"]:
                owner, name = _locate(method)
                original = getattr(owner, name)
                setattr(owner, name, _replace(method, entry["converter"], original))
                replaced.append((owner, name, original))
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            if replaced:
                options["custom_opsets"] = {"tenon": 1}
            torch.onnx.export(module, inputs, buffer, input_names=names, output_names=output_names,
                              dynamic_axes=dynamic, opset_version=opset, **options)
    except Error:
        raise
    except Exception as error:
        kind = type(error).__name__
        if "onnx" not in type(error).__module__ and "Unsupported" not in kind:
            raise
        raise Error("UNSUPPORTED", f"{type(module).__name__} cannot be exported: "
                                   f"{str(error).splitlines()[0]}. A converter "
                                   "(tenon.tensorrt_converter) may write that part down") from error
    finally:
        for owner, name, original in reversed(replaced):
            setattr(owner, name, original)
    data = buffer.getvalue()
    return _splice(data, _state.calls) if _state.calls else data


def can_capture() -> bool:
    """Can modules go through ``torch.export``?"""
    return (hasattr(torch, "export") and hasattr(getattr(torch.export, "Dim", None), "DYNAMIC") and
            "dynamic_shapes" in inspect.signature(torch.onnx.export).parameters and
            importlib.util.find_spec("onnxscript") is not None)


def _capture(module: torch.nn.Module, inputs: tuple, names: List[str], output_names: List[str],
             dynamic: Dict[str, Dict[int, str]], opset: int) -> bytes:
    """ONNX of a module's program, as ``torch.export`` reads it."""
    if not can_capture():
        raise Error("UNSUPPORTED", "torch.export's exporter needs PyTorch 2.6 and the package onnxscript")
    shapes = Flattener.from_value(inputs).unflatten(
        [{axis: torch.export.Dim.DYNAMIC for axis in dynamic.get(name, ())} for name in names])
    with _engine._scratch_file() as path, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(module, inputs, path + ".onnx", input_names=names,
                              output_names=output_names, dynamic_shapes=shapes if dynamic else None,
                              opset_version=opset, dynamo=True, external_data=False, verbose=False)
        except Exception as error:  # of many kinds
            cause = error.__cause__ or error
            raise Error("UNSUPPORTED", f"{type(module).__name__} cannot be exported: "
                                       f"{(str(cause) or type(cause).__name__).splitlines()[0]}"
                        ) from error
        with open(path + ".onnx", "rb") as file:
            return file.read()


def _export(module: torch.nn.Module, inputs: tuple, names: List[str], output_names: List[str],
            dynamic: Dict[str, Dict[int, str]], opset: Optional[int], exporter: Optional[str]) -> bytes:
    """ONNX of a module: by a trace, and where that fails by torch.export, unless one is named."""
    if exporter not in (None, "trace", "export"):
        raise ValueError(f"the exporter is 'trace', 'export' or None, not {exporter!r}")
    what = (module, inputs, names, output_names, dynamic)
    if exporter == "export":
        return _capture(*what, opset or 18)
    try:
        return _trace(*what, opset or 13)
    except Exception as error:
        replaces = any(entry["enabled"] for entry in CONVERTERS.values())  # which only a trace sees
        if exporter == "trace" or replaces or not can_capture():
            raise
        try:
            data = _capture(*what, max(opset or 18, 18))
        except Error as second:
            raise error from second
        logger.info("%s goes through torch.export: %s", type(module).__name__, error)
        return data


def _tf32_switches() -> List[Tuple[Any, str, Any]]:
    """(holder, name, value without TF32) of PyTorch's switches. Newer versions have others besides,
    and refuse to tell the old ones once the new ones were used."""
    cuda, cudnn = torch.backends.cuda, torch.backends.cudnn
    try:
        old = [(holder, "allow_tf32", False) for holder in (cuda.matmul, cudnn)]
        for holder, name, _ in old:
            getattr(holder, name)
        return old
    except RuntimeError:
        return [(holder, "fp32_precision", "ieee") for holder in (cuda.matmul, cudnn.conv, cudnn.rnn)]


@contextlib.contextmanager
def exact_float32() -> Iterator[None]:
    """Without TF32, which PyTorch takes for convolutions on a card unless it is told otherwise: what
    engines are compared with."""
    switches = _tf32_switches()
    before = [getattr(holder, name) for holder, name, _ in switches]
    try:
        for holder, name, value in switches:
            setattr(holder, name, value)
        yield
    finally:
        for (holder, name, _), value in zip(switches, before):
            setattr(holder, name, value)


def _samples(inputs: Any) -> List[Any]:
    """One sample, or all of a data set: a sequence whose items are themselves lists or dicts."""
    if isinstance(inputs, (list, tuple)):
        first = inputs[0] if inputs else None
        return list(inputs) if isinstance(first, (list, tuple)) and all(
            isinstance(x, torch.Tensor) for x in first) and len(inputs) > 1 and all(
            isinstance(s, (list, tuple)) for s in inputs) else [inputs]
    if isinstance(inputs, (dict, torch.Tensor)):
        return [inputs]
    return [inputs[i] for i in range(len(inputs))]  # torch2trt's data sets


def _profile(flat: List[torch.Tensor], all_flat: List[List[torch.Tensor]], min_shapes: Any,
             opt_shapes: Any, max_shapes: Any, max_batch_size: Optional[int]) -> List[Tuple]:
    """(min, opt, max) for each input."""
    rows = []
    for i, x in enumerate(flat):
        shapes = sorted(tuple(sample[i].shape) for sample in all_flat)
        low = tuple(min(s[a] for s in shapes) for a in range(x.dim()))
        high = tuple(max(s[a] for s in shapes) for a in range(x.dim()))
        best = shapes[len(shapes) // 2]
        if max_batch_size is not None and x.dim():
            low, high = (1,) + low[1:], (max(int(max_batch_size), high[0]),) + high[1:]
        low = tuple(min_shapes[i]) if min_shapes is not None else low
        high = tuple(max_shapes[i]) if max_shapes is not None else high
        best = tuple(opt_shapes[i]) if opt_shapes is not None else tuple(
            min(max(b, l), h) for b, l, h in zip(best, low, high))
        rows.append((low, best, high))
    return rows


def torch2trt(module: torch.nn.Module, inputs: Any, input_names: Optional[Sequence[str]] = None,
              output_names: Optional[Sequence[str]] = None, log_level: Any = None,
              fp16_mode: bool = False, max_workspace_size: int = 1 << 25,
              strict_type_constraints: bool = False, keep_network: bool = True,
              int8_mode: bool = False, int8_calib_dataset: Any = None,
              int8_calib_algorithm: Any = None, use_onnx: bool = False,
              default_device_type: Any = None, dla_core: int = 0, gpu_fallback: bool = True,
              device_types: Any = None, min_shapes: Any = None, max_shapes: Any = None,
              opt_shapes: Any = None, onnx_opset: Optional[int] = None,
              max_batch_size: Optional[int] = None, avg_timing_iterations: Optional[int] = None,
              device: Optional[str] = None, tolerance: Optional[float] = None,
              exporter: Optional[str] = None, **kwargs: Any) -> TRTModule:
    """Convert a module. ``inputs`` is a list of sample tensors (or tuples, lists and dicts of them,
    as the module takes them), or a data set of such lists, whose shapes then become the profile.

    min_shapes, opt_shapes, max_shapes: a shape for each input; dims that differ are dynamic.
    max_batch_size: the first dim of each input is dynamic, from 1 to this.
    device: where the engine runs; None: where the module's tensors are.
    tolerance: relative L2 error to the module on the samples that is allowed; beyond it, an
        :class:`tenon.Error` with code MISMATCH.
    exporter: "trace" or "export", by torch.export; None: the first, and the second where that fails.

    The other arguments are torch2trt's; those that choose a device of TensorRT or its workspace have
    no meaning here. int8_mode asks for nothing: INT8 comes from quantised modules.
    """
    samples = _samples(inputs)
    sample = samples[0]
    arguments = tuple(sample) if isinstance(sample, (list, tuple)) else (sample,)
    was_training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        input_flattener = Flattener.from_value(arguments)
        flat = input_flattener.flatten(arguments)
        all_flat = [input_flattener.flatten(tuple(s) if isinstance(s, (list, tuple)) else (s,))
                    for s in samples]
        with torch.no_grad(), exact_float32():
            wanted = module(*arguments)
        output_flattener = Flattener.from_value(wanted)
        names = list(input_names or (f"input_{i}" for i in range(len(flat))))
        out_names = list(output_names or (f"output_{i}" for i in range(output_flattener.size)))
        rows = _profile(flat, all_flat, min_shapes, opt_shapes, max_shapes, max_batch_size)
        dynamic = {name: {axis: f"{name}_{axis}" if axis else "batch"
                          for axis in range(len(low)) if low[axis] != high[axis]}
                   for name, (low, _, high) in zip(names, rows)}
        dynamic = {name: axes for name, axes in dynamic.items() if axes}
        data = _export(module, arguments, names, out_names, dynamic, onnx_opset, exporter)
    finally:
        for part in was_training:
            part.training = True
    if device is None:
        home = flat[0].device if flat else torch.device("cpu")
        device = f"cuda:{home.index or 0}" if home.type == "cuda" and _engine.has_card() else "cpu"
    precision = "f16" if fp16_mode else "f32"
    try:
        model = Model.from_bytes(data)
    except Error as error:
        raise Error(error.code, f"{type(module).__name__}: {error.message}", error.trail) from None
    known = {i.name for i in model.inputs}  # an input that nothing reads is none
    profiles = {name: row for name, row in zip(names, rows) if name in known}
    engine = _engine.build(model, device, precision=precision, profiles=profiles)
    result = TRTModule(engine, names, out_names, input_flattener, output_flattener)
    result.difference = _check(result, arguments, output_flattener.flatten(wanted), out_names,
                               tolerance or _TOLERANCES[precision])
    return result


def _check(result: TRTModule, arguments: tuple, wanted: List[torch.Tensor], names: List[str],
           tolerance: float) -> Dict[str, Any]:
    got = (result.output_flattener or Flattener(0, 1)).flatten(result(*arguments))
    found = {}
    for name, y, want in zip(names, got, wanted):
        y = y.to(want.dtype)
        found[name] = compare(y.cpu().contiguous(), want.cpu().contiguous())
        if not found[name].rel_l2 <= tolerance:
            raise Error("MISMATCH", f"output '{name}' differs from the module's by "
                                    f"{found[name].rel_l2:.3g} relative L2, {tolerance:g} are "
                                    f"allowed (largest difference {found[name].abs_max:.3g})")
    return found


class _Callable(types.ModuleType):
    """``tenon.torch2trt`` is this module and the function in it."""

    def __call__(self, *args: Any, **kwargs: Any) -> TRTModule:
        return torch2trt(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
