"""Loops and conditions of a network.

TensorRT writes them down flat: whatever reads a loop's tensors is in it. Here the body of a loop is a
network of its own, and takes the layers from the loop's first iterator or recurrence on to the first
use of one of its outputs, which closes the loop. Of a condition both branches are computed.
"""

from typing import Any, Dict, List, Optional

import numpy as np

from .. import _tenon
from .._errors import Error
from ._basics import number_of
from ._enums import (DataType, ElementWiseOperation, GatherMode, LayerType, LoopOutput, TripLimit,
                     native)
from ._layers import ILayer, ITensor


class ILoopBoundaryLayer(ILayer):
    """A layer through which a loop meets what is around it."""

    def __init__(self, loop: "ILoop", handle: Any, inputs: Any):
        super().__init__(loop._network, handle, inputs)
        self.loop = loop
        loop._network._layers.append(self)


class ITripLimitLayer(ILoopBoundaryLayer):
    _type = LayerType.TRIP_LIMIT
    kind = TripLimit.COUNT


class IRecurrenceLayer(ILoopBoundaryLayer):
    """A value that goes from one turn to the next: input 0 at first, input 1 from then on."""
    _type = LayerType.RECURRENCE

    def set_input(self, index: int, tensor: ITensor) -> None:
        if index != 1:
            raise Error("UNSUPPORTED", "the initial value of a recurrence is what it was made with")
        self.loop._carried[self._layer] = tensor._handle
        self._inputs[1:] = [tensor]


class IIteratorLayer(ILoopBoundaryLayer):
    """Slices of a tensor, one a turn."""
    _type = LayerType.ITERATOR
    axis = 0
    reverse = False


class _LoopOutput(ITensor):
    """Closes its loop when it is read."""
    _layer: "ILoopOutputLayer"

    @property
    def _own(self) -> Any:
        self._layer.loop._close()
        return self._made


class ILoopOutputLayer(ILoopBoundaryLayer):
    _type = LayerType.LOOP_OUTPUT
    kind = LoopOutput.LAST_VALUE
    axis = 0

    def __init__(self, loop: "ILoop", source: ITensor, kind: LoopOutput, axis: int):
        self._source = source._handle
        super().__init__(loop, self._source, [source])
        self.kind, self.axis = kind, axis
        out = _LoopOutput(loop._network, None)
        out._home, out._layer = loop._around, self
        self._outputs = [out]

    def set_input(self, index: int, tensor: ITensor) -> None:
        self._inputs[index:] = [tensor]  # how many turns are collected: all that there are


class ILoop:
    """A loop that runs a number of times."""

    def __init__(self, network: Any):
        if network._skip:
            raise Error("UNSUPPORTED", "a loop in a network of an implicit batch: create the network "
                                       "with EXPLICIT_BATCH")
        self._network = network
        self.name = f"loop_{network.num_layers}"
        self._body: Any = None
        self._initial: List[Any] = []       # handles around the loop
        self._carried: Dict[Any, Any] = {}  # handles in it: the value at a turn, and for the next
        self._taken: Dict[int, Any] = {}
        self._trips: Optional[ITensor] = None
        self._results: List[ILoopOutputLayer] = []
        self._is_closed = False

    def _begin(self) -> None:
        network = self._network
        if self._is_closed:
            raise Error("INVALID", f"{self.name} has ended where the first of its outputs was used")
        if self._body is None:
            self._around, self._outer = network._loop, network._net
            self._body = _tenon.network_new(self.name)
            network._keep.append(self._body)
            network._net, network._loop = self._body, self
            self._turn = network._raw("input", b"turn", number_of(DataType.INT64), ())
            self._more = network._raw("input", b"more", number_of(DataType.BOOL), ())

    # ---- TensorRT's ----

    def add_trip_limit(self, tensor: ITensor, kind: TripLimit) -> ITripLimitLayer:
        if kind != TripLimit.COUNT:
            raise Error("UNSUPPORTED", "a loop that runs while a tensor is true: write it as the Loop "
                                       "of ONNX, and parse that")
        self._trips = tensor
        return ITripLimitLayer(self, tensor._own, [tensor])

    def add_recurrence(self, initial_value: ITensor) -> IRecurrenceLayer:
        self._begin()
        handle = self._carry(initial_value)
        self._carried[handle] = None
        return IRecurrenceLayer(self, handle, [initial_value])

    def add_iterator(self, tensor: ITensor, axis: int = 0, reverse: bool = False) -> IIteratorLayer:
        self._begin()
        network, source, turn = self._network, tensor._handle, self._turn
        if reverse:
            turn = network._raw("elementwise", self._last(source, axis), turn,
                                native(ElementWiseOperation.SUB))
        slices = network._raw("gather", source, turn, native(GatherMode.DEFAULT))
        _tenon.layer_set(slices, "AXIS", (axis,))
        layer = IIteratorLayer(self, slices, [tensor])
        layer.axis, layer.reverse = axis, reverse
        return layer

    def add_loop_output(self, tensor: ITensor, kind: LoopOutput, axis: int = 0) -> ILoopOutputLayer:
        self._begin()
        layer = ILoopOutputLayer(self, tensor, kind, axis)
        if kind == LoopOutput.LAST_VALUE and layer._source not in self._carried:
            raise Error("INVALID", f"the last value of '{tensor.name}': it is no recurrence's")
        self._results.append(layer)
        return layer

    # ---- what the body takes from around it, and gives ----

    def _take(self, tensor: ITensor) -> Any:
        """A tensor of another place, as the body sees it."""
        if id(tensor) not in self._taken:
            handle = self._carry(tensor)
            self._carried[handle] = handle  # for ever the same
            self._taken[id(tensor)] = handle
        return self._taken[id(tensor)]

    def _carry(self, tensor: ITensor) -> Any:
        network = self._network
        _, number, shape, _ = _tenon.layer_describe(tensor._own)[:4]
        name = b"carried_%d" % len(self._initial)
        network._net, network._loop = self._outer, self._around
        try:
            self._initial.append(tensor._handle)
        finally:
            network._net, network._loop = self._body, self
        return network._raw("input", name, number, tuple(shape or ()))

    def _numbers(self, value: Any) -> Any:
        return self._network._raw("constant", self._network._weights(np.asarray(value, np.int64)))

    def _last(self, source: Any, axis: int) -> Any:
        """The last index along an axis."""
        network = self._network
        size = network._raw("gather", network._raw("shape", source), self._numbers(axis),
                            native(GatherMode.DEFAULT))
        return network._raw("elementwise", size, self._numbers(1), native(ElementWiseOperation.SUB))

    def _close(self) -> None:
        network = self._network
        if self._is_closed:
            return
        if network._loop is not self:
            raise Error("INVALID", f"{self.name} is used before the loop inside it")
        if self._trips is None:
            raise Error("INVALID", f"{self.name} has no trip limit")
        if None in self._carried.values():
            raise Error("INVALID", f"{self.name}: a recurrence has no value for the next turn "
                                   "(set_input(1, tensor))")
        self._is_closed = True
        collected = [r for r in self._results if r.kind != LoopOutput.LAST_VALUE]
        for i, handle in enumerate([self._more, *self._carried.values(),
                                    *(r._source for r in collected), self._turn]):
            _tenon.network_mark_output(self._body, network._raw("identity", handle), f"out_{i}")
        network._net, network._loop = self._outer, self._around
        trips = network._raw("shuffle", network._indices(self._trips))
        _tenon.layer_set(trips, "RESHAPE", ())
        handle = network._raw("loop", trips, None, self._body, self._initial, [])
        places = list(self._carried)
        turns = _tenon.layer_output(handle, len(places) + len(collected))
        for result in self._results:
            if result.kind == LoopOutput.LAST_VALUE:
                at = _tenon.layer_output(handle, places.index(result._source))
            else:
                at = _tenon.layer_output(handle, len(places) + collected.index(result))
                at = self._arranged(at, result, turns)
            result._outputs[0]._made = at

    def _arranged(self, handle: Any, result: ILoopOutputLayer, turns: Any) -> Any:
        """What was collected along a new first axis, as a loop's output has it."""
        network = self._network
        if result.kind == LoopOutput.REVERSE:
            order = network._raw("elementwise", self._last(handle, 0), turns,
                                 native(ElementWiseOperation.SUB))
            handle = network._raw("gather", handle, order, native(GatherMode.DEFAULT))
        rank = len(_tenon.layer_describe(handle)[2])
        if result.axis % rank:
            axes = list(range(1, rank))
            axes.insert(result.axis % rank, 0)
            handle = network._raw("shuffle", handle)
            _tenon.layer_set(handle, "FIRST_TRANSPOSE", tuple(axes))
        return handle


class IConditionLayer(ILayer):
    _type = LayerType.CONDITION


class IIfConditionalInputLayer(ILayer):
    _type = LayerType.CONDITIONAL_INPUT


class IIfConditionalOutputLayer(ILayer):
    _type = LayerType.CONDITIONAL_OUTPUT


class IIfConditional:
    """One of two tensors, by a scalar."""

    def __init__(self, network: Any):
        self._network = network
        self._condition: Optional[ITensor] = None
        self.name = f"if_{network.num_layers}"

    def _same(self, kind: Any, tensor: ITensor) -> Any:
        return self._network._add(kind, "identity", [tensor], tensor._handle)

    def set_condition(self, condition: ITensor) -> IConditionLayer:
        self._condition = condition
        return self._same(IConditionLayer, condition)

    def add_input(self, input: ITensor) -> IIfConditionalInputLayer:
        return self._same(IIfConditionalInputLayer, input)

    def add_output(self, true_subgraph_output: ITensor,
                   false_subgraph_output: ITensor) -> IIfConditionalOutputLayer:
        branches = [true_subgraph_output, false_subgraph_output]
        if self._condition is None:
            raise Error("INVALID", f"{self.name} has no condition")
        if branches[0].shape != branches[1].shape:
            raise Error("UNSUPPORTED", f"the branches of {self.name} give {branches[0].shape} and "
                                       f"{branches[1].shape}: write them as the If of ONNX, and parse "
                                       "that")
        return self._network._add(IIfConditionalOutputLayer, "select", branches,
                                  self._condition._handle, *self._network._pair(*branches))
