"""INetworkDefinition: layers written down one by one, or read by the ONNX parser."""

import re
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from .. import _arrays, _tenon
from .._errors import Error
from .._model import IO, Model
from . import _layers as layers
from ._basics import Dims, Weights, as_array, number_of, volume
from ._control import IIfConditional, ILoop
from ._enums import (ActivationType, DataType, ElementWiseOperation, FillOperation, GatherMode,
                     MatrixOperation, NetworkDefinitionCreationFlag, PoolingType, ReduceOperation,
                     ScaleMode, ScatterMode, TopKOperation, UnaryOperation, native)
from ._layers import HasEnds, ILayer, InputTensor, ITensor, ParsedLayer, ParsedTensor

_INTS = (DataType.INT32, DataType.INT64)
BATCH = "implicit_batch_"  # the dim's name in an engine; the largest batch follows


class INetworkDefinition(HasEnds):
    """A network. Without flags the batch is implicit where the first layer is one of windows (or
    fully connected) and its input has no batch, or where the builder's max_batch_size was set; else
    it is explicit, as in TensorRT 10 and later."""

    def __init__(self, builder: Any, flags: int = 0):
        self._builder = builder
        self._flags = int(flags)
        self._implicit: Optional[bool] = False if self._flags else None
        self._root = _tenon.network_new(None)
        self._net = self._root              # where layers go: a loop's body while it is written down
        self._loop: Optional[ILoop] = None
        self._copies: Dict[Tuple[int, Any], Any] = {}  # constants, once more for a body
        self._model: Optional[Model] = None  # of a file
        self._keep: List[np.ndarray] = []    # the library borrows weights
        self._inputs: List[ITensor] = []
        self._outputs: List[ITensor] = []
        self._marked: List[ITensor] = []
        self._layers: List[ILayer] = []
        self.name = "network"
        self.error_recorder = None

    # ---- batch ----

    def _settle(self, is_without_batch: Optional[bool]) -> None:
        if self._implicit is None:
            set_before = self._builder is not None and self._builder._batch_was_set
            self._implicit = set_before if is_without_batch is None else is_without_batch

    def _settle_windows(self, tensor: ITensor, rank: int) -> None:
        if isinstance(tensor, InputTensor) and self._implicit is None:
            self._settle(len(tensor.shape) == rank + 1)

    @property
    def _skip(self) -> int:
        return int(bool(self._implicit))

    @property
    def _batch_name(self) -> str:
        return f"{BATCH}{self._builder.max_batch_size if self._builder else 1}"

    @property
    def has_implicit_batch_dimension(self) -> bool:
        return bool(self._implicit)

    @property
    def has_explicit_precision(self) -> bool:
        return False

    @property
    def flags(self) -> int:
        return self._flags

    def get_flag(self, flag: NetworkDefinitionCreationFlag) -> bool:
        return bool(self._flags >> int(flag) & 1)

    # ---- plumbing ----

    def _warn(self, text: str) -> None:
        if self._builder is not None:
            self._builder.warn(text)

    def _raw(self, kind: str, *args: Any) -> Any:
        return _tenon.network_add(self._net, kind, *args)

    def _weights(self, array: Any, shape: Optional[Sequence[int]] = None,
                 like: Optional[ITensor] = None) -> Any:
        array = as_array(array)
        if array is None:
            return None
        if like is not None and array.dtype.kind == "f":
            wanted = {DataType.HALF: np.float16, DataType.FLOAT: np.float32}.get(like.dtype)
            if wanted is not None:
                array = array.astype(wanted, copy=False)
        if shape is not None:
            array = array.reshape(shape)
        self._keep.append(array)
        return _arrays.view(array).tensor

    def _add(self, kind: Any, raw: str, inputs: Sequence[Any], *args: Any, outputs: int = 1,
             result: Any = None) -> Any:
        if self._model is not None:
            raise Error("UNSUPPORTED", "this network was read from a file, to which layers cannot "
                                       "be added: change the model before it is parsed")
        layer = kind(self, self._raw(raw, *args), inputs, outputs)
        self._layers.append(layer)
        return layer

    def _indices(self, tensor: ITensor) -> Any:
        """A tensor of whole numbers as i64, which the library takes for shapes."""
        if tensor.dtype == DataType.INT32:
            return self._raw("cast", tensor._handle, number_of(DataType.INT64))
        return tensor._handle

    def _pair(self, a: ITensor, b: ITensor) -> Tuple[Any, Any]:
        """Two operands, of one type where TensorRT has one type of whole numbers."""
        first, second = a._handle, b._handle
        if a.dtype != b.dtype and a.dtype in _INTS and b.dtype in _INTS:
            first, second = self._indices(a), self._indices(b)
        return first, second

    def _value(self, tensor: ITensor, what: str) -> np.ndarray:
        """The numbers of a constant."""
        constant = self._constant(tensor)
        if constant is None:
            raise Error("UNSUPPORTED", f"{what} must be a constant")
        return np.asarray(constant.weights)

    def _constant(self, tensor: ITensor) -> Optional[layers.IConstantLayer]:
        return next((layer for layer in self._layers if isinstance(layer, layers.IConstantLayer) and
                     layer.get_output(0) is tensor), None)

    def _seen(self, tensor: ITensor) -> Any:
        """A tensor, as layers that are added now may read it."""
        own = tensor._own  # which closes the loop whose output it is
        if tensor._home is self._loop:
            return own
        constant = self._constant(tensor)
        if constant is not None:
            key = (id(tensor), self._loop)
            if key not in self._copies:
                self._copies[key] = self._raw("constant", self._weights(constant.weights))
            return self._copies[key]
        if self._loop is None:
            raise Error("UNSUPPORTED", f"'{tensor.name}' belongs to a loop, which has ended where the "
                                       "first of its outputs was used: only those may be read")
        return self._loop._take(tensor)

    def _order(self, order: Iterable[int]) -> Tuple[int, ...]:
        return tuple(range(self._skip)) + tuple(int(axis) + self._skip for axis in order)

    def _reshape(self, dims: Iterable[int]) -> Tuple[int, ...]:
        return (0,) * self._skip + tuple(int(d) for d in dims)

    def _lead(self, dims: Iterable[int], first: int) -> Tuple[int, ...]:
        return (first,) * self._skip + tuple(int(d) for d in dims)

    def _default_axis(self, tensor: ITensor) -> int:
        """The channels of an image."""
        return max(len(tensor.shape) - 3, 0) + self._skip

    # ---- inputs and outputs ----

    def add_input(self, name: str, dtype: DataType, shape: Sequence[int]) -> ITensor:
        tensor = InputTensor(self, name, dtype, shape)
        self._inputs.append(tensor)
        return tensor

    def mark_output(self, tensor: ITensor) -> None:
        if self._model is not None:
            if not tensor.is_network_output:
                raise Error("UNSUPPORTED", "an inner tensor of a network that was read from a file "
                                           "cannot become an output")
            return
        if not any(t is tensor for t in self._outputs):
            self._outputs.append(tensor)

    def unmark_output(self, tensor: ITensor) -> None:
        if any(t is tensor for t in self._marked) or self._model is not None:
            raise Error("UNSUPPORTED", f"'{tensor.name}' is an output already")
        self._outputs = [t for t in self._outputs if t is not tensor]

    def mark_output_for_shapes(self, tensor: ITensor) -> bool:
        self.mark_output(tensor)
        return True

    @property
    def num_layers(self) -> int:
        return len(self._layers)

    def get_layer(self, index: int) -> ILayer:
        return self._layers[index]

    def __len__(self) -> int:
        return len(self._layers)

    def __getitem__(self, index: int) -> ILayer:
        return self._layers[index]

    def __bool__(self) -> bool:
        return True

    def __enter__(self) -> "INetworkDefinition":
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def set_weights_name(self, weights: Any, name: str) -> bool:
        return True

    def mark_weights_refittable(self, name: str) -> bool:
        return True

    # ---- from a file, and into a model ----

    def _take(self, model: Model) -> None:
        self._implicit = False
        self._model = model
        self._inputs = [ParsedTensor(self, io, True) for io in model.inputs]
        self._outputs = [ParsedTensor(self, io, False) for io in model.outputs]
        known = {t.name: t for t in self._inputs + self._outputs}
        self._layers = []
        for name, op, given, made in _nodes(model.text("graph")):
            tensors = [known.setdefault(io.name, ParsedTensor(self, io, False)) for io in made]
            self._layers.append(ParsedLayer(self, name, op, [known.get(n) for n in given], tensors))

    def _rename(self, old: str, new: str, is_input: bool) -> None:
        if old != new:
            raise Error("UNSUPPORTED", f"'{old}' cannot be called '{new}': names of a network that "
                                       "was read from a file come from the model")

    def _fix_shape(self, io: Any, shape: Dims) -> None:
        assert self._model is not None
        self._model.simplify(shapes={io.name: tuple(shape)}, check=False)
        for tensor, fresh in zip(self._inputs, self._model.inputs):
            tensor._io = fresh  # type: ignore[attr-defined]

    def _to_model(self) -> Model:
        if self._model is not None:
            return self._model
        self._settle(None)
        for tensor in self._inputs + self._outputs:
            tensor._own
        if self._loop is not None:
            raise Error("INVALID", f"no output of {self._loop.name} is used")
        for tensor in self._outputs:
            if any(t is tensor for t in self._marked):
                continue
            handle = tensor._handle
            if tensor._cast_to is not None:
                handle = self._raw("cast", handle, number_of(tensor._cast_to))
            _tenon.network_mark_output(self._root, handle, tensor.name)
            self._marked.append(tensor)
        return Model(handle=_tenon.model_from_network(self._root))

    # ---- layers of windows ----

    def add_convolution_nd(self, input: ITensor, num_output_maps: int, kernel_shape: Sequence[int],
                           kernel: Any, bias: Any = None) -> layers.IConvolutionLayer:
        window = tuple(int(k) for k in kernel_shape)
        self._settle_windows(input, len(window))
        count = len(Weights(kernel)) // (num_output_maps * volume(window))
        return self._add_window(layers.IConvolutionLayer, "convolution", input, num_output_maps,
                                (num_output_maps, count) + window, kernel, bias)

    def _add_window(self, kind: Any, raw: str, input: ITensor, maps: int, shape: Tuple[int, ...],
                    kernel: Any, bias: Any) -> Any:
        layer = self._add(kind, raw, [input], input._handle, self._weights(kernel, shape, input),
                          self._weights(bias, (maps,), input))
        layer.num_output_maps, layer.kernel_size_nd = maps, Dims(shape[2:])
        layer.kernel, layer.bias = as_array(kernel), as_array(bias)
        return layer

    def add_convolution(self, input: ITensor, num_output_maps: int, kernel_shape: Sequence[int],
                        kernel: Any, bias: Any = None) -> layers.IConvolutionLayer:
        return self.add_convolution_nd(input, num_output_maps, kernel_shape, kernel, bias)

    def add_deconvolution_nd(self, input: ITensor, num_output_maps: int, kernel_shape: Sequence[int],
                             kernel: Any, bias: Any = None) -> layers.IDeconvolutionLayer:
        window = tuple(int(k) for k in kernel_shape)
        self._settle_windows(input, len(window))
        channels = input.shape[-len(window) - 1]
        count = len(Weights(kernel)) // (channels * volume(window))
        return self._add_window(layers.IDeconvolutionLayer, "deconvolution", input, num_output_maps,
                                (channels, count) + window, kernel, bias)

    add_deconvolution = add_deconvolution_nd

    def add_pooling_nd(self, input: ITensor, type: PoolingType,
                       window_size: Sequence[int]) -> layers.IPoolingLayer:
        self._settle_windows(input, len(window_size))
        layer = self._add(layers.IPoolingLayer, "pooling", [input], input._handle, native(type),
                          tuple(window_size))
        layer.__dict__.update(_value_TYPE=type, _value_WINDOW=tuple(window_size))
        return layer

    add_pooling = add_pooling_nd

    def add_fully_connected(self, input: ITensor, num_outputs: int, kernel: Any,
                            bias: Any = None) -> layers.IFullyConnectedLayer:
        self._settle_windows(input, 2)
        rank = len(input.shape) + self._skip
        size = len(Weights(kernel)) // num_outputs
        layer = self._add(layers.IFullyConnectedLayer, "fully_connected", [input], input._handle,
                          self._weights(kernel, (num_outputs, size), input),
                          self._weights(bias, (num_outputs,), input))
        layer._set("AXIS", (rank - 3,))
        folded = self._raw("shuffle", layer._layer)
        _tenon.layer_set(folded, "RESHAPE", (0,) * (rank - 3) + (num_outputs, 1, 1))
        layer._outputs = [ITensor(self, folded)]
        layer.num_output_channels = num_outputs
        layer.kernel, layer.bias = as_array(kernel), as_array(bias)
        return layer

    def add_lrn(self, input: ITensor, window: int, alpha: float, beta: float,
                k: float) -> layers.ILRNLayer:
        self._settle_windows(input, 2)
        return self._add(layers.ILRNLayer, "lrn", [input], input._handle, window, alpha, beta, k)

    def add_padding_nd(self, input: ITensor, pre_padding: Sequence[int],
                       post_padding: Sequence[int]) -> layers.IPaddingLayer:
        self._settle_windows(input, len(pre_padding))
        return self._add(layers.IPaddingLayer, "padding", [input], input._handle,
                         tuple(pre_padding), tuple(post_padding))

    add_padding = add_padding_nd

    # ---- element by element ----

    def add_activation(self, input: ITensor, type: ActivationType) -> layers.IActivationLayer:
        layer = self._add(layers.IActivationLayer, "activation", [input], input._handle, native(type))
        layer.__dict__["_value_TYPE"] = type
        return layer

    def add_parametric_relu(self, input: ITensor, slopes: ITensor) -> ILayer:
        return self._add(ILayer, "parametric_relu", [input, slopes], input._handle, slopes._handle)

    def add_unary(self, input: ITensor, op: UnaryOperation) -> layers.IUnaryLayer:
        layer = self._add(layers.IUnaryLayer, "unary", [input], input._handle, native(op))
        layer.__dict__["_value_TYPE"] = op
        return layer

    def add_elementwise(self, input1: ITensor, input2: ITensor,
                        op: ElementWiseOperation) -> layers.IElementWiseLayer:
        layer = self._add(layers.IElementWiseLayer, "elementwise", [input1, input2],
                          *self._pair(input1, input2), native(op))
        layer.__dict__["_value_TYPE"] = op
        return layer

    def add_scale_nd(self, input: ITensor, mode: ScaleMode, shift: Any = None, scale: Any = None,
                     power: Any = None, channel_axis: int = 0) -> layers.IScaleLayer:
        self._settle(None)
        axis = channel_axis + self._skip
        size = None if mode == ScaleMode.CHANNEL else tuple(input.shape)[channel_axis:]
        shape = () if mode == ScaleMode.UNIFORM else (-1,) if size is None else size
        layer = self._add(layers.IScaleLayer, "scale", [input], input._handle, native(mode),
                          *(self._weights(w, shape, input) for w in (shift, scale, power)))
        if mode != ScaleMode.UNIFORM:
            layer._set("AXIS", (axis,))
        layer.shift, layer.scale, layer.power = shift, scale, power
        return layer

    def add_scale(self, input: ITensor, mode: ScaleMode, shift: Any = None, scale: Any = None,
                  power: Any = None) -> layers.IScaleLayer:
        self._settle_windows(input, 2)
        return self.add_scale_nd(input, mode, shift, scale, power, 0 if self._skip else 1)

    def add_select(self, condition: ITensor, then_input: ITensor, else_input: ITensor) -> ILayer:
        return self._add(ILayer, "select", [condition, then_input, else_input], condition._handle,
                         *self._pair(then_input, else_input))

    def add_identity(self, input: ITensor) -> ILayer:
        return self._add(ILayer, "identity", [input], input._handle)

    def add_cast(self, input: ITensor, to_type: DataType) -> ILayer:
        return self._add(ILayer, "cast", [input], input._handle, number_of(to_type))

    def add_quantize(self, input: ITensor, scale: ITensor,
                     output_type: DataType = DataType.INT8) -> layers.IQuantizeLayer:
        return self._add(layers.IQuantizeLayer, "quantize", [input, scale], input._handle,
                         scale._handle, number_of(output_type))

    def add_dequantize(self, input: ITensor, scale: ITensor,
                       output_type: DataType = DataType.FLOAT) -> layers.IDequantizeLayer:
        return self._add(layers.IDequantizeLayer, "dequantize", [input, scale], input._handle,
                         scale._handle)

    # ---- along axes ----

    def add_reduce(self, input: ITensor, op: ReduceOperation, axes: int,
                   keep_dims: bool) -> layers.IReduceLayer:
        handle = input._handle
        layer = self._add(layers.IReduceLayer, "reduce", [input], handle, native(op),
                          layers.axes_of_mask(axes, self._skip), int(keep_dims))
        layer.__dict__.update(_value_TYPE=op, _value_AXES=axes, _value_KEEP_DIMS=keep_dims)
        return layer

    def add_softmax(self, input: ITensor) -> layers.ISoftMaxLayer:
        handle = input._handle
        axis = self._default_axis(input)
        layer = self._add(layers.ISoftMaxLayer, "softmax", [input], handle, axis)
        layer.__dict__["_value_AXIS"] = 1 << axis - self._skip
        return layer

    def add_ragged_softmax(self, input: ITensor, bounds: ITensor) -> ILayer:
        return self._add(ILayer, "ragged_softmax", [input, bounds], input._handle, bounds._handle)

    def add_topk(self, input: ITensor, op: TopKOperation, k: int, axes: int) -> layers.ITopKLayer:
        handle = input._handle
        return self._add(layers.ITopKLayer, "top_k", [input], handle, native(op), k,
                         layers.axes_of_mask(axes, self._skip)[0], outputs=2)

    def add_cumulative(self, input: ITensor, axis: ITensor, op: Any, exclusive: bool = False,
                       reverse: bool = False) -> layers.ICumulativeLayer:
        handle = input._handle
        number = int(self._value(axis, "the axis of a running sum").reshape(()))
        layer = self._add(layers.ICumulativeLayer, "cumulative", [input, axis], handle,
                          number + (self._skip if number >= 0 else 0))
        layer.exclusive, layer.reverse = exclusive, reverse
        return layer

    def add_normalization(self, input: ITensor, scale: ITensor, bias: ITensor,
                          axesMask: int) -> layers.INormalizationLayer:
        handle = input._handle
        axes = layers.axes_of_mask(axesMask, self._skip)
        rank = len(input.shape) + self._skip
        if not axes or axes != tuple(range(axes[0], rank)):
            raise Error("UNSUPPORTED", f"a normalisation over axes {axes} of {rank}: the last axes "
                                       "are supported")
        layer = self._add(layers.INormalizationLayer, "normalization", [input, scale, bias], handle,
                          _tenon.NORMALIZATION_LAYER, None, None)
        layer._set("AXIS", axes[:1])
        layer.axes = axesMask
        product = self._raw("elementwise", layer._layer, scale._handle,
                            native(ElementWiseOperation.PROD))
        layer._outputs = [ITensor(self, self._raw("elementwise", product, bias._handle,
                                                  native(ElementWiseOperation.SUM)))]
        return layer

    add_normalization_v2 = add_normalization

    # ---- matrices ----

    def add_matrix_multiply(self, input0: ITensor, op0: Any, input1: ITensor,
                            op1: Any) -> layers.IMatrixMultiplyLayer:
        first, second = (MatrixOperation(int(op)) for op in (op0, op1))
        layer = self._add(layers.IMatrixMultiplyLayer, "matrix_multiply", [input0, input1],
                          input0._handle, native(first), input1._handle, native(second))
        layer.__dict__.update(_value_OPERATION_A=first, _value_OPERATION_B=second)
        return layer

    def add_einsum(self, inputs: Sequence[ITensor], equation: str) -> ILayer:
        return self._add(ILayer, "einsum", inputs, [t._handle for t in inputs], equation.encode())

    def add_attention(self, query: ITensor, key: ITensor, value: ITensor, norm_op: Any = None,
                      causal: bool = False) -> layers.IAttentionLayer:
        layer = self._add(layers.IAttentionLayer, "attention", [query, key, value], query._handle,
                          key._handle, value._handle)
        layer._set("SCALE", (1.0,))
        layer.causal = causal
        return layer

    add_attention_v2 = add_attention

    def add_rotary_embedding(self, input: ITensor, cos_cache: ITensor, sin_cache: ITensor,
                             interleaved: bool = False, rotary_embedding_dim: int = 0) -> ILayer:
        layer = self._add(ILayer, "rotary_embedding", [input, cos_cache, sin_cache], input._handle,
                          cos_cache._handle, sin_cache._handle)
        layer._set("INTERLEAVED", (int(interleaved),))
        layer._set("ROTATED", (rotary_embedding_dim,))
        return layer

    def add_kv_cache_update(self, cache: ITensor, update: ITensor, write_indices: ITensor,
                            cache_mode: Any = None) -> ILayer:
        return self._add(ILayer, "kv_cache_update", [cache, update, write_indices], cache._handle,
                         update._handle, self._indices(write_indices))

    # ---- shapes ----

    def add_constant(self, shape: Sequence[int], weights: Any) -> layers.IConstantLayer:
        self._settle(None)
        array = as_array(weights)
        if array is None:
            array = np.empty(0, np.float32)
        array = array.reshape(tuple(shape))
        layer = self._add(layers.IConstantLayer, "constant", [],
                          self._weights(array, (1,) * self._skip + tuple(shape)))
        layer.weights, layer.shape = array, Dims(shape)
        return layer

    def add_shape(self, input: ITensor) -> ILayer:
        return self._add(ILayer, "shape", [input], input._handle)

    def add_shuffle(self, input: ITensor) -> layers.IShuffleLayer:
        return self._add(layers.IShuffleLayer, "shuffle", [input], input._handle)

    def add_squeeze(self, input: ITensor, axes: ITensor) -> ILayer:
        return self._add(ILayer, "squeeze", [input, axes], input._handle,
                         self._value(axes, "the axes of a squeeze").reshape(-1).tolist())

    def add_unsqueeze(self, input: ITensor, axes: ITensor) -> ILayer:
        return self._add(ILayer, "unsqueeze", [input, axes], input._handle,
                         self._value(axes, "the axes of an unsqueeze").reshape(-1).tolist())

    def add_concatenation(self, inputs: Sequence[ITensor]) -> layers.IConcatenationLayer:
        handles = [t._handle for t in inputs]
        if len({t.dtype for t in inputs}) > 1 and all(t.dtype in _INTS for t in inputs):
            handles = [self._indices(t) for t in inputs]
        axis = self._default_axis(inputs[0])
        layer = self._add(layers.IConcatenationLayer, "concatenation", inputs, handles, axis)
        layer.__dict__["_value_AXIS"] = axis - self._skip
        return layer

    def add_slice(self, input: ITensor, start: Sequence[int], shape: Sequence[int],
                  stride: Sequence[int]) -> layers.ISliceLayer:
        handle = input._handle
        layer = self._add(layers.ISliceLayer, "slice", [input], handle, self._lead(start, 0),
                          self._lead(shape, -1), self._lead(stride, 1))
        layer.__dict__.update(_value_START=start, _value_SIZE=shape, _value_STRIDE=stride)
        return layer

    def add_resize(self, input: ITensor) -> layers.IResizeLayer:
        self._settle_windows(input, 2)
        return self._add(layers.IResizeLayer, "resize", [input], input._handle, _tenon.NEAREST)

    def add_fill(self, shape: Sequence[int], op: FillOperation,
                 output_type: DataType = DataType.FLOAT) -> layers.IFillLayer:
        layer = self._add(layers.IFillLayer, "fill", [], native(op), tuple(shape))
        layer._set("DTYPE", (number_of(output_type),))
        return layer

    # ---- indices ----

    def add_gather(self, input: ITensor, indices: ITensor, axis: int) -> layers.IGatherLayer:
        layer = self.add_gather_v2(input, indices, GatherMode.DEFAULT)
        layer.axis = axis
        return layer

    def add_gather_v2(self, input: ITensor, indices: ITensor,
                      mode: GatherMode) -> layers.IGatherLayer:
        return self._add(layers.IGatherLayer, "gather", [input, indices], input._handle,
                         indices._handle, native(mode))

    def add_scatter(self, data: ITensor, indices: ITensor, updates: ITensor,
                    mode: ScatterMode) -> layers.IScatterLayer:
        return self._add(layers.IScatterLayer, "scatter", [data, indices, updates], data._handle,
                         indices._handle, updates._handle, native(mode))

    def add_one_hot(self, indices: ITensor, values: ITensor, depth: ITensor,
                    axis: int) -> layers.IOneHotLayer:
        handle = indices._handle
        count = int(self._value(depth, "the depth of a one-hot layer").reshape(()))
        return self._add(layers.IOneHotLayer, "one_hot", [indices, values, depth], handle,
                         values._handle, count, axis + (self._skip if axis >= 0 else 0))

    def add_non_zero(self, input: ITensor) -> ILayer:
        return self._add(ILayer, "non_zero", [input], input._handle)

    def add_nms(self, boxes: ITensor, scores: ITensor,
                max_output_boxes_per_class: ITensor) -> layers.INMSLayer:
        handle = boxes._handle
        count = int(self._value(max_output_boxes_per_class, "the number of boxes").reshape(()))
        return self._add(layers.INMSLayer, "nms", [boxes, scores, max_output_boxes_per_class], handle,
                         scores._handle, count, outputs=2)

    def add_reverse_sequence(self, input: ITensor,
                             sequence_lens: ITensor) -> layers.IReverseSequenceLayer:
        return self._add(layers.IReverseSequenceLayer, "reverse_sequence", [input, sequence_lens],
                         input._handle, self._indices(sequence_lens))

    def add_grid_sample(self, input: ITensor, grid: ITensor) -> layers.IGridSampleLayer:
        return self._add(layers.IGridSampleLayer, "grid_sample", [input, grid], input._handle,
                         grid._handle)

    # ---- loops and conditions ----

    def add_loop(self) -> ILoop:
        self._settle(None)
        return ILoop(self)

    def add_if_conditional(self) -> IIfConditional:
        return IIfConditional(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("add_"):
            raise Error("UNSUPPORTED", f"INetworkDefinition.{name}: there is no such layer here; "
                                       "write the part as ONNX or as an operator of your own "
                                       "(include/tenon/op.h), and parse that")
        raise AttributeError(name)


_NODE = re.compile(r'^  (%.*?) = ([A-Z]\w*)(?:\{.*?\})?\((.*?)\)(?: \{)?(?:  "(.*)")?$')


def _nodes(text: str) -> Iterator[Tuple[str, str, List[str], List[IO]]]:
    """(name, operator, names of inputs, outputs) of the nodes of a graph's text, which are lines
    like `  %y : f32[N,2] = Relu(%x)  "name"`."""
    for line in text.splitlines():
        found = _NODE.match(line)
        if not found:
            continue
        head, op, given, name = found.groups()
        made = []
        for tensor, dtype, dims in re.findall(r"%(\S+) : (\w+)(?:\[([^\]]*)\])?", head):
            names = [d for d in (dims or "").split(",") if d]
            shape = tuple(int(d) if d.isdigit() else -1 for d in names)
            made.append(IO(tensor, dtype, shape, tuple(None if d.isdigit() else d for d in names),
                           "tensor"))
        inputs = [n.strip()[1:] for n in given.split(",") if n.strip().startswith("%")]
        yield name or (made[0].name if made else op), op, inputs, made
