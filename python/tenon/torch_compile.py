"""``torch.compile(model, backend="tenon")``: graphs that PyTorch captures become engines.

What cannot be converted stays in PyTorch: a graph is then cut into parts, the longest that convert
become engines, and the logger ``tenon`` tells which operators stayed. Weights are taken as they are
at the first call; engines compute no gradients, so calls that need them run in PyTorch.

Options, ``torch.compile(model, backend="tenon", options={...})``: ``precision`` ("f32" or "f16"),
``min_nodes`` (shorter parts stay in PyTorch, 3), ``tolerance`` as of :func:`tenon.torch2trt`.
"""

import logging
import operator
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import torch
from torch import fx
from torch.fx.passes.split_module import split_module

from ._errors import Error
from .torch2trt import TRTModule, torch2trt

logger = logging.getLogger("tenon")


class Report:
    """What became of a graph: ``engines`` parts with ``converted`` nodes; the others ``stayed``, as
    {operator: why}."""

    def __init__(self) -> None:
        self.engines = 0
        self.converted = 0
        self.stayed: Dict[str, str] = {}

    def __str__(self) -> str:
        text = f"{self.converted} nodes in {self.engines} engine{'s' * (self.engines != 1)}"
        rows = [f"\n  {name} stays in PyTorch: {why}" for name, why in self.stayed.items()]
        return text + "".join(rows)


reports: List[Report] = []  # of the graphs that were compiled, the latest last


def backend(graph: fx.GraphModule, example_inputs: Sequence[Any], *,
            options: Optional[Dict[str, Any]] = None) -> Callable:
    """A function for a captured graph: it is built when it is first called, for each set of
    shapes."""
    return _Compiled(graph, options or {})


class _Compiled:
    def __init__(self, graph: fx.GraphModule, options: Dict[str, Any]):
        self.graph, self.options = graph, options
        self.made: Dict[Any, Callable] = {}
        self.told = False

    def __call__(self, *args: Any) -> Any:
        if torch.is_grad_enabled() and (any(isinstance(a, torch.Tensor) and a.requires_grad
                                            for a in args) or
                                        any(p.requires_grad for p in self.graph.parameters())):
            if not self.told:
                logger.warning("gradients may be asked for: the graph runs in PyTorch; use "
                               "torch.no_grad() or torch.inference_mode() for engines")
                self.told = True
            return self.graph(*args)
        key = tuple((tuple(a.shape), a.dtype, a.device) if isinstance(a, torch.Tensor) else a
                    for a in args)
        if key not in self.made:
            with torch.no_grad():
                self.made[key] = _make(self.graph, args, self.options)
        return self.made[key](*args)


def _is_weight(x: Any) -> bool:
    """Newer versions hand a module's parameters and buffers over as inputs."""
    return isinstance(x, torch.nn.Parameter) or hasattr(x, "_dynamo_static_input_type")


class _Fixed(torch.nn.Module):
    """A graph with some of its inputs as they are now."""

    def __init__(self, graph: torch.nn.Module, args: Sequence[Any]):
        super().__init__()
        self.graph = graph
        # A trace takes no constants that ask for gradients.
        self.args = [None if _varies(a) else a.detach() if isinstance(a, torch.Tensor) else a
                     for a in args]
        self.places = [i for i, a in enumerate(args) if _varies(a)]

    def forward(self, *inputs: torch.Tensor) -> Any:
        args = list(self.args)
        for place, x in zip(self.places, inputs):
            args[place] = x
        return self.graph(*args)


def _varies(x: Any) -> bool:
    return isinstance(x, torch.Tensor) and not _is_weight(x)


def _convert(module: torch.nn.Module, args: Sequence[Any], options: Dict[str, Any]) -> Callable:
    """An engine for a module on these arguments; Error, TypeError where there can be none."""
    fixed = _Fixed(module, args)
    inputs = tuple(args[i] for i in fixed.places)
    if not inputs:
        raise TypeError("it has no inputs")
    engine = torch2trt(fixed, inputs, fp16_mode=options.get("precision") == "f16",
                       tolerance=options.get("tolerance"), onnx_opset=options.get("opset", 17),
                       exporter="trace")  # of a graph that is a capture already
    return lambda *now: engine(*(now[i] for i in fixed.places))


def _make(graph: fx.GraphModule, args: Sequence[Any], options: Dict[str, Any]) -> Callable:
    report = Report()
    reports.append(report)
    count = sum(node.op.startswith("call_") for node in graph.graph.nodes)
    result: Optional[Callable] = None
    try:
        result = _convert(graph, args, options)
        report.engines, report.converted = 1, count
    except (Error, TypeError) as error:
        if isinstance(error, Error) and error.code != "UNSUPPORTED":
            raise
    if result is None:  # out of the handler: what the error holds of a failed export disturbs others
        result = _in_parts(graph, args, options, report)
    logger.log(logging.WARNING if report.stayed else logging.INFO, "%s", report)
    return result


# ---- Parts ---------------------------------------------------------------------------------------

class _Recorder(fx.Interpreter):
    """Runs a graph and keeps what each node gave."""

    def __init__(self, graph: fx.GraphModule):
        super().__init__(graph, garbage_collect_values=False)
        self.values: Dict[fx.Node, Any] = {}

    def run_node(self, node: fx.Node) -> Any:
        self.values[node] = super().run_node(node)
        return self.values[node]


class _One(torch.nn.Module):
    """One node of a graph as a module of its tensors."""

    def __init__(self, graph: fx.GraphModule, node: fx.Node, values: Dict[fx.Node, Any]):
        super().__init__()
        self.node, self.values = node, values
        self.inner = graph.get_submodule(node.target) if node.op == "call_module" else None
        self.sources = [n for n in node.all_input_nodes if isinstance(values.get(n), torch.Tensor)
                        and n.op != "get_attr"]

    def forward(self, *inputs: torch.Tensor) -> Any:
        now = dict(zip(self.sources, inputs))

        def take(n: fx.Node) -> Any:
            return now.get(n, self.values.get(n))
        args = fx.node.map_arg(self.node.args, take)
        kwargs = fx.node.map_arg(self.node.kwargs, take)
        if self.inner is not None:
            return self.inner(*args, **kwargs)
        if self.node.op == "call_method":
            return getattr(args[0], self.node.target)(*args[1:], **kwargs)
        return self.node.target(*args, **kwargs)


def _label(graph: fx.GraphModule, node: fx.Node) -> str:
    if node.op == "call_module":
        return type(graph.get_submodule(node.target)).__name__
    return node.target if isinstance(node.target, str) else \
        getattr(node.target, "__name__", str(node.target))


def _why_not(graph: fx.GraphModule, node: fx.Node, values: Dict[fx.Node, Any]) -> Optional[str]:
    """Why a node cannot be converted; None where it can."""
    from ._model import Model
    from .torch2trt import Flattener, _trace
    module = _One(graph, node, values)
    inputs = tuple(values[n] for n in module.sources)
    try:
        size = Flattener.from_value(values[node]).size
        if not inputs or not size:
            return None  # numbers and shapes: they are what they are at these shapes
        names = [f"x{i}" for i in range(len(inputs))]
        Model.from_bytes(_trace(module, inputs, names, [f"y{i}" for i in range(size)], {}, 17))
    except Error as error:
        return error.message.splitlines()[0]
    except Exception as error:  # exporters fail in many ways: the node stays
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return None


def _likeness(graph: fx.GraphModule, node: fx.Node, values: Dict[fx.Node, Any]) -> str:
    """Nodes of the same text convert alike: the operator, its settings, types and shapes."""
    def told(n: fx.Node) -> Any:
        x = values.get(n)
        return f"{x.dtype}{list(x.shape)}" if isinstance(x, torch.Tensor) else str(x)
    what = graph.get_submodule(node.target) if node.op == "call_module" else node.target
    return f"{node.op} {what} {fx.node.map_arg((node.args, node.kwargs), told)}"


def _in_parts(graph: fx.GraphModule, args: Sequence[Any], options: Dict[str, Any],
              report: Report) -> Callable:
    recorder = _Recorder(graph)
    recorder.run(*args)
    part_of: Dict[fx.Node, int] = {}
    good: Dict[int, int] = {}  # part: its nodes, where they can be converted
    number, was = 0, None
    asked: Dict[Any, Optional[str]] = {}
    for node in graph.graph.nodes:
        if not node.op.startswith("call_"):
            continue
        source = node.args[0] if node.args else None
        if node.target is operator.getitem and isinstance(recorder.values.get(source), (tuple, list)):
            part_of[node] = part_of.get(source, number)  # with what it takes apart
            continue
        like = _likeness(graph, node, recorder.values)
        if like not in asked:
            asked[like] = _why_not(graph, node, recorder.values)
        why = asked[like]
        if why:
            report.stayed.setdefault(_label(graph, node), why)
        if was is not None and was != (why is None):
            number += 1
        was = why is None
        part_of[node] = number
        if was:
            good[number] = good.get(number, 0) + 1
    parts = split_module(graph, None, lambda node: part_of.get(node, number))
    inner = _Recorder(parts)
    inner.run(*args)
    for node in parts.graph.nodes:
        if node.op != "call_module" or not node.target.startswith("submod_"):
            continue
        count = good.get(int(node.target.split("_")[1]), 0)
        if count < options.get("min_nodes", 3):
            if count:
                report.stayed.setdefault(f"a part of {count} nodes", "it is too short for an engine")
            continue
        given = [inner.values[n] if isinstance(n, fx.Node) else n for n in node.args]
        try:
            engine = _convert(parts.get_submodule(node.target), given, options)
        except (Error, TypeError) as error:
            report.stayed.setdefault(f"a part of {count} nodes", str(error).splitlines()[0])
            continue
        report.engines += 1
        report.converted += count
        setattr(parts, node.target, _Call(engine))
    return parts


class _Call(torch.nn.Module):
    """An engine in the place of a part."""

    def __init__(self, engine: Callable):
        super().__init__()
        self.engine = engine

    def forward(self, *args: Any) -> Any:
        return self.engine(*args)
