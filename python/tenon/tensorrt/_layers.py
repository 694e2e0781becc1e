"""Layers and tensors of a network: handles with TensorRT's properties, which set the library's."""

from typing import Any, Callable, Optional, Tuple

from .. import _arrays, _tenon
from .._errors import Error
from ._basics import Dims, number_of, type_of
from ._enums import (DataType, Enum, LayerType, TensorFormat, TensorLocation, native)


class HasEnds:
    """What layers and networks share."""
    _inputs: Any
    _outputs: Any

    @property
    def num_inputs(self) -> int:
        return len(self._inputs)

    @property
    def num_outputs(self) -> int:
        return len(self._outputs)

    def get_input(self, index: int) -> Any:
        return self._inputs[index] if index < len(self._inputs) else None

    def get_output(self, index: int) -> Any:
        return self._outputs[index] if index < len(self._outputs) else None


class ITensor:
    """A tensor of a network. The shape leaves out the batch where it is implicit; -1 is a dim that
    is not known."""

    def __init__(self, network: Any, handle: Any, name: Optional[str] = None):
        self._network = network
        self._made = handle
        self._home = network._loop  # the loop whose body it belongs to
        self._name = name
        self._cast_to: Optional[DataType] = None
        self.dynamic_range: Optional[Tuple[float, float]] = None
        self.allowed_formats = 1 << int(TensorFormat.LINEAR)
        self.location = TensorLocation.DEVICE
        self.broadcast_across_batch = False

    @property
    def _own(self) -> Any:
        """The library's tensor."""
        return self._made

    @property
    def _handle(self) -> Any:
        """The library's tensor for a layer that is added now: in a loop, its body's."""
        return self._network._seen(self)

    def _describe(self) -> Tuple:
        return _tenon.layer_describe(self._own)

    @property
    def name(self) -> str:
        return self._name if self._name is not None else self._describe()[0]

    @name.setter
    def name(self, name: str) -> None:
        self._name = name

    @property
    def dtype(self) -> DataType:
        return self._cast_to if self._cast_to is not None else type_of(
            _arrays.NAMES[self._describe()[1]])

    @dtype.setter
    def dtype(self, dtype: DataType) -> None:
        self._cast_to = dtype  # where it is marked as an output

    @property
    def shape(self) -> Dims:
        dims = self._describe()[2]
        return Dims(dims[self._network._skip:]) if dims is not None else Dims()

    @property
    def is_network_input(self) -> bool:
        return False

    @property
    def is_network_output(self) -> bool:
        return any(t is self for t in self._network._outputs)

    @property
    def is_shape_tensor(self) -> bool:
        return False

    @property
    def is_execution_tensor(self) -> bool:
        return True

    def set_dynamic_range(self, min: float, max: float) -> bool:
        self.dynamic_range = (min, max)
        return True

    def reset_dynamic_range(self) -> None:
        self.dynamic_range = None

    def get_dimension_name(self, index: int) -> str:
        names = self._describe()[3]
        return (names[index + self._network._skip] if names else None) or ""

    def set_dimension_name(self, index: int, name: str) -> None:
        _tenon.layer_set(self._own, "dim_name", (index + self._network._skip, name))

    def __repr__(self) -> str:
        return f"<ITensor {self.name}>"


class InputTensor(ITensor):
    """An input, which is written into the network when it is first used: until then its type and
    shape may change, and a network made without flags learns from its first layer whether the batch
    is implicit."""

    def __init__(self, network: Any, name: str, dtype: DataType, shape: Any):
        super().__init__(network, None, name)
        self._home = None
        self._name: str = name
        self._dtype = DataType(dtype)
        self._shape = Dims(shape)
        self._dim_names: dict = {}

    @property
    def _own(self) -> Any:
        if self._made is None:
            network = self._network
            network._settle(None)
            for other in network._inputs:  # in the order in which they were added
                if other is self:
                    break
                other._own
            dims = tuple(self._shape)
            if network._skip:
                dims = (-1,) + dims
            self._made = _tenon.network_add(network._root, "input", self._name.encode(),
                                            number_of(self._dtype), dims)
            if network._skip:
                _tenon.layer_set(self._made, "dim_name", (0, network._batch_name))
            for axis, name in self._dim_names.items():
                _tenon.layer_set(self._made, "dim_name", (axis + network._skip, name))
        return self._made

    @property
    def name(self) -> str:
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = name
        if self._made is not None:
            _tenon.layer_set(self._made, "name", (name,))

    @property
    def dtype(self) -> DataType:
        return self._dtype

    @dtype.setter
    def dtype(self, dtype: DataType) -> None:
        self._must_be_new("type")
        self._dtype = DataType(dtype)

    @property
    def shape(self) -> Dims:
        return Dims(self._shape)

    @shape.setter
    def shape(self, shape: Any) -> None:
        self._must_be_new("shape")
        self._shape = Dims(shape)

    def _must_be_new(self, what: str) -> None:
        if self._made is not None:
            raise Error("INVALID", f"the {what} of input '{self._name}' is to be set before a layer "
                                   "reads it")

    @property
    def is_network_input(self) -> bool:
        return True

    def set_dimension_name(self, index: int, name: str) -> None:
        self._dim_names[index] = name
        if self._made is not None:
            super().set_dimension_name(index, name)

    def get_dimension_name(self, index: int) -> str:
        return self._dim_names.get(index, "")


class ParsedTensor(ITensor):
    """A tensor of a network that was read from a file."""

    def __init__(self, network: Any, io: Any, is_input: bool):
        super().__init__(network, None, io.name)
        self._io = io
        self._is_input = is_input

    @property
    def _own(self) -> Any:
        raise Error("UNSUPPORTED", f"'{self._name}' belongs to a network that was read from a file, "
                                   "to which layers cannot be added: change the model before it is "
                                   "parsed")

    @property
    def name(self) -> str:
        return self._name or ""

    @name.setter
    def name(self, name: str) -> None:
        self._network._rename(self._io.name, name, self._is_input)
        self._name = name

    @property
    def dtype(self) -> DataType:
        return type_of(self._io.dtype)

    @dtype.setter
    def dtype(self, dtype: DataType) -> None:
        if DataType(dtype) != self.dtype:
            self._network._warn(f"'{self._name}' stays {self.dtype}: types come from the model")

    @property
    def shape(self) -> Dims:
        return Dims(self._io.shape or ())

    @shape.setter
    def shape(self, shape: Any) -> None:
        if not self._is_input:
            raise Error("INVALID", f"the shape of output '{self._name}' follows from the inputs")
        self._network._fix_shape(self._io, Dims(shape))

    @property
    def is_network_input(self) -> bool:
        return self._is_input

    @property
    def is_network_output(self) -> bool:
        return any(t is self for t in self._network._outputs)

    def get_dimension_name(self, index: int) -> str:
        return (self._io.dim_names[index] if self._io.dim_names else None) or ""


# ---- Settings as properties ----------------------------------------------------------------------

def _same(value: Any) -> Any:
    return value


class Setting:
    """A property that is a setting of the library's. ``to`` turns the value that scripts give into
    the numbers of the setting."""

    def __init__(self, setting: str, default: Any = None, to: Callable = _same,
                 back: Callable = _same):
        self.setting, self.default, self.to, self.back = setting, default, to, back

    def __set_name__(self, owner: type, name: str) -> None:
        self.slot = "_value_" + self.setting

    def __get__(self, layer: Any, owner: Any = None) -> Any:
        if layer is None:
            return self
        value = layer.__dict__.get(self.slot, self.default)
        return self.back(value(layer) if callable(value) else value)

    def __set__(self, layer: Any, value: Any) -> None:
        numbers = self.to(value)
        if isinstance(numbers, _OfLayer):
            numbers = numbers.call(layer)
        layer._set(self.setting, numbers)
        layer.__dict__[self.slot] = value


class _OfLayer:
    """Numbers that depend on the layer: axes shift where the batch is implicit."""

    def __init__(self, call: Callable):
        self.call = call


def _with_layer(call: Callable) -> Callable:
    return lambda value: _OfLayer(lambda layer: call(layer, value))


def one(value: Any) -> Tuple:
    return (value,)


def as_tuple(value: Any) -> Tuple:
    return tuple(int(v) for v in value)


def as_dims(value: Any) -> Any:
    return Dims(value) if value is not None else value


def as_enum(value: Enum) -> Tuple:
    return (native(value),)


def spatial(value: Any) -> Tuple:
    """Both spatial axes of a setting that TensorRT also gives as one number."""
    return as_tuple(value) if hasattr(value, "__len__") else (int(value), int(value))


def shifted(axis: Callable = int) -> Callable:
    return _with_layer(lambda layer, value: (int(value) + (layer._network._skip if value >= 0 else 0),))


def axes_of_mask(mask: int, skip: int) -> Tuple[int, ...]:
    """Axes from TensorRT's bit mask."""
    return tuple(i + skip for i in range(8) if int(mask) >> i & 1)


class ILayer(HasEnds):
    """A layer. Its type, precision and output types are kept; the types of tensors come from the
    graph, and the check of a build holds back what would lose too much."""

    _type = LayerType.IDENTITY

    def __init__(self, network: Any, handle: Any, inputs: Any, output_count: int = 1,
                 result: Any = None):
        self._network = network
        self._layer = handle  # whose settings these are; what it gives may be worked on further
        self._inputs = list(inputs)
        self._outputs = [ITensor(network, (result or handle) if i == 0 else
                                 _tenon.layer_output(handle, i)) for i in range(output_count)]
        self._output_types: dict = {}
        self.precision: Optional[DataType] = None
        self.metadata = ""

    def _set(self, setting: str, numbers: Tuple) -> None:
        _tenon.layer_set(self._layer, setting, tuple(numbers))

    @property
    def name(self) -> str:
        return _tenon.layer_name(self._layer)

    @name.setter
    def name(self, name: str) -> None:
        _tenon.layer_set(self._layer, "name", (name,))

    @property
    def type(self) -> LayerType:
        return self._type

    def set_input(self, index: int, tensor: ITensor) -> None:
        """Another tensor as an input, or one of the optional ones."""
        _tenon.layer_set(self._layer, "input", (index, self._as_input(index, tensor)))
        self._inputs += [None] * (index + 1 - len(self._inputs))
        self._inputs[index] = tensor

    def _as_input(self, index: int, tensor: ITensor) -> Any:
        return tensor._handle

    def set_output_type(self, index: int, dtype: DataType) -> None:
        self._output_types[index] = dtype

    def get_output_type(self, index: int) -> DataType:
        return self._output_types.get(index) or self._outputs[index].dtype

    def output_type_is_set(self, index: int) -> bool:
        return index in self._output_types

    def reset_output_type(self, index: int) -> None:
        self._output_types.pop(index, None)

    @property
    def precision_is_set(self) -> bool:
        return self.precision is not None

    def reset_precision(self) -> None:
        self.precision = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class _ShapeInputs(ILayer):
    """Inputs from 1 on are shapes, which the library has as i64."""

    def _as_input(self, index: int, tensor: ITensor) -> Any:
        return self._network._indices(tensor) if 1 <= index <= 3 else tensor._handle


class IConvolutionLayer(ILayer):
    _type = LayerType.CONVOLUTION
    stride_nd = stride = Setting("STRIDE", lambda l: (1,) * len(l.kernel_size_nd), spatial, as_dims)
    dilation_nd = dilation = Setting("DILATION", lambda l: (1,) * len(l.kernel_size_nd), spatial,
                                     as_dims)
    padding_nd = padding = Setting("PADDING", lambda l: (0,) * len(l.kernel_size_nd), spatial, as_dims)
    pre_padding = Setting("PADDING_BEFORE", lambda l: (0,) * len(l.kernel_size_nd), spatial, as_dims)
    post_padding = Setting("PADDING_BEHIND", lambda l: (0,) * len(l.kernel_size_nd), spatial, as_dims)
    padding_mode = Setting("PADDING_MODE", None, as_enum)
    num_groups = Setting("GROUPS", 1, one)
    kernel: Any = None
    bias: Any = None
    num_output_maps = 0
    kernel_size_nd = Dims()

    @property
    def kernel_size(self) -> Dims:
        return self.kernel_size_nd


class IDeconvolutionLayer(IConvolutionLayer):
    _type = LayerType.DECONVOLUTION


class IPoolingLayer(ILayer):
    _type = LayerType.POOLING
    type = Setting("TYPE", None, as_enum)
    window_size_nd = window_size = Setting("WINDOW", None, spatial, as_dims)
    stride_nd = stride = Setting("STRIDE", lambda l: (1,) * len(l.window_size), spatial, as_dims)
    padding_nd = padding = Setting("PADDING", lambda l: (0,) * len(l.window_size), spatial, as_dims)
    pre_padding = Setting("PADDING_BEFORE", lambda l: (0,) * len(l.window_size), spatial, as_dims)
    post_padding = Setting("PADDING_BEHIND", lambda l: (0,) * len(l.window_size), spatial, as_dims)
    padding_mode = Setting("PADDING_MODE", None, as_enum)
    blend_factor = Setting("BLEND", 0.5, one)
    average_count_excludes_padding = Setting("COUNT_PADDING", True, lambda v: (int(not v),))


class IFullyConnectedLayer(ILayer):
    _type = LayerType.FULLY_CONNECTED
    kernel: Any = None
    bias: Any = None
    num_output_channels = 0


class IActivationLayer(ILayer):
    _type = LayerType.ACTIVATION
    type = Setting("TYPE", None, as_enum)
    alpha = Setting("ALPHA", None, one)
    beta = Setting("BETA", None, one)


class IElementWiseLayer(ILayer):
    _type = LayerType.ELEMENTWISE
    op = Setting("TYPE", None, as_enum)


class IUnaryLayer(ILayer):
    _type = LayerType.UNARY
    op = Setting("TYPE", None, as_enum)


class IScaleLayer(ILayer):
    _type = LayerType.SCALE
    mode = Setting("TYPE", None, as_enum)
    channel_axis = Setting("AXIS", 1, shifted())
    shift: Any = None
    scale: Any = None
    power: Any = None


class ILRNLayer(ILayer):
    _type = LayerType.LRN
    window_size = Setting("WINDOW", None, one)
    alpha = Setting("ALPHA", None, one)
    beta = Setting("BETA", None, one)
    k = Setting("BIAS", None, one)


class ISoftMaxLayer(ILayer):
    _type = LayerType.SOFTMAX
    axes = Setting("AXIS", None, _with_layer(
        lambda layer, mask: (axes_of_mask(mask, layer._network._skip) or (0,))[:1]))


class IConcatenationLayer(ILayer):
    _type = LayerType.CONCATENATION
    axis = Setting("AXIS", 0, shifted())


class IShuffleLayer(_ShapeInputs):
    _type = LayerType.SHUFFLE
    first_transpose = Setting("FIRST_TRANSPOSE", None, _with_layer(
        lambda layer, order: layer._network._order(order)))
    second_transpose = Setting("SECOND_TRANSPOSE", None, _with_layer(
        lambda layer, order: layer._network._order(order)))
    reshape_dims = Setting("RESHAPE", None, _with_layer(
        lambda layer, dims: layer._network._reshape(dims)), as_dims)
    zero_is_placeholder = Setting("ZERO_IS_PLACEHOLDER", True, lambda v: (int(v),))


class IReduceLayer(ILayer):
    _type = LayerType.REDUCE
    op = Setting("TYPE", None, as_enum)
    axes = Setting("AXES", None, _with_layer(
        lambda layer, mask: axes_of_mask(mask, layer._network._skip)))
    keep_dims = Setting("KEEP_DIMS", None, lambda v: (int(v),))


class ITopKLayer(ILayer):
    _type = LayerType.TOPK
    op = Setting("TYPE", None, as_enum)
    k = Setting("K", None, one)
    axes = Setting("AXIS", None, _with_layer(
        lambda layer, mask: axes_of_mask(mask, layer._network._skip)[:1]))

    def _as_input(self, index: int, tensor: ITensor) -> Any:
        if index != 1:
            return tensor._handle
        return self._network._raw("unsqueeze", self._network._indices(tensor), (0,)) if len(
            tensor.shape) == 0 else self._network._indices(tensor)


class IGatherLayer(ILayer):
    _type = LayerType.GATHER
    axis = Setting("AXIS", 0, shifted())
    num_elementwise_dims = Setting("BATCH_DIMS", 0, one)
    mode = Setting("TYPE", None, as_enum)


class IScatterLayer(ILayer):
    _type = LayerType.SCATTER
    axis = Setting("AXIS", 0, shifted())
    mode = Setting("TYPE", None, as_enum)


class IMatrixMultiplyLayer(ILayer):
    _type = LayerType.MATRIX_MULTIPLY
    op0 = Setting("OPERATION_A", None, as_enum)
    op1 = Setting("OPERATION_B", None, as_enum)
    transpose0 = Setting("OPERATION_A", False, lambda v: (int(bool(v)),), bool)
    transpose1 = Setting("OPERATION_B", False, lambda v: (int(bool(v)),), bool)


class IConstantLayer(ILayer):
    _type = LayerType.CONSTANT
    weights: Any = None
    shape = Dims()


class ISliceLayer(_ShapeInputs):
    _type = LayerType.SLICE
    start = Setting("START", None, _with_layer(
        lambda layer, dims: layer._network._lead(dims, 0)), as_dims)
    shape = Setting("SIZE", None, _with_layer(
        lambda layer, dims: layer._network._lead(dims, -1)), as_dims)
    stride = Setting("STRIDE", None, _with_layer(
        lambda layer, dims: layer._network._lead(dims, 1)), as_dims)
    mode = Setting("OUTSIDE", None, as_enum)


class IResizeLayer(_ShapeInputs):
    _type = LayerType.RESIZE
    shape = Setting("SHAPE", None, as_tuple, as_dims)
    scales = Setting("SCALES", None, _with_layer(
        lambda layer, s: ((1.0,) if layer._network._skip else ()) + tuple(s)))
    resize_mode = interpolation_mode = Setting("INTERPOLATION", None, as_enum)
    coordinate_transformation = Setting("COORDINATES", None, as_enum)
    nearest_rounding = Setting("ROUNDING", None, as_enum)
    cubic_coeff = Setting("CUBIC", -0.75, one)
    exclude_outside = Setting("EXCLUDE_OUTSIDE", False, lambda v: (int(v),))


class IPaddingLayer(ILayer):
    _type = LayerType.PADDING
    pre_padding_nd = pre_padding = Setting("PADDING_BEFORE", None, as_tuple, as_dims)
    post_padding_nd = post_padding = Setting("PADDING_BEHIND", None, as_tuple, as_dims)


class IFillLayer(_ShapeInputs):
    _type = LayerType.FILL
    alpha = Setting("ALPHA", None, one)
    beta = Setting("BETA", None, one)
    shape = Setting("SHAPE", None, as_tuple, as_dims)
    operation = Setting("TYPE", None, as_enum)

    def _as_input(self, index: int, tensor: ITensor) -> Any:
        return self._network._indices(tensor) if index == 0 else tensor._handle


class INormalizationLayer(ILayer):
    _type = LayerType.NORMALIZATION
    epsilon = Setting("EPSILON", 1e-5, one)
    axes = 0
    _groups = 1

    @property
    def num_groups(self) -> int:
        return self._groups

    @num_groups.setter
    def num_groups(self, count: int) -> None:
        self._groups = count
        self._set("TYPE", (_tenon.NORMALIZATION_GROUP,))
        self._set("GROUPS", (count,))


class IQuantizeLayer(ILayer):
    _type = LayerType.QUANTIZE
    axis = Setting("AXIS", 1, shifted())


class IDequantizeLayer(ILayer):
    _type = LayerType.DEQUANTIZE
    axis = Setting("AXIS", 1, shifted())


class ICumulativeLayer(ILayer):
    _type = LayerType.CUMULATIVE
    exclusive = Setting("EXCLUSIVE", False, lambda v: (int(v),))
    reverse = Setting("REVERSE", False, lambda v: (int(v),))


class INMSLayer(ILayer):
    _type = LayerType.NMS
    bounding_box_format = Setting("BOX_FORMAT", None, as_enum)


class IGridSampleLayer(ILayer):
    _type = LayerType.GRID_SAMPLE
    interpolation_mode = Setting("INTERPOLATION", None, as_enum)
    align_corners = Setting("ALIGN_CORNERS", False, lambda v: (int(v),))
    sample_mode = Setting("OUTSIDE", None, as_enum)


class IReverseSequenceLayer(ILayer):
    _type = LayerType.REVERSE_SEQUENCE
    batch_axis = Setting("BATCH_AXIS", 1, one)
    sequence_axis = Setting("SEQUENCE_AXIS", 0, one)


class IOneHotLayer(ILayer):
    _type = LayerType.ONE_HOT
    axis = Setting("AXIS", None, shifted())


class IAttentionLayer(ILayer):
    _type = LayerType.ATTENTION
    causal = Setting("CAUSAL", False, lambda v: (int(v),))

    @property
    def mask(self) -> Optional[ITensor]:
        return self.get_input(3)

    @mask.setter
    def mask(self, tensor: ITensor) -> None:
        self.set_input(3, tensor)


class ParsedLayer(ILayer):
    """A node of a network that was read from a file: what is known of it."""

    def __init__(self, network: Any, name: str, op: str, inputs: Any, outputs: Any):
        self._network = network
        self._inputs, self._outputs, self._output_types = inputs, outputs, {}
        self._node_name, self.op_name = name, op
        self.precision = None
        self.metadata = f"[ONNX Layer: {name}]"

    @property  # type: ignore[misc]
    def name(self) -> str:
        return self._node_name

    @property
    def type(self) -> LayerType:
        return {"Conv": LayerType.CONVOLUTION, "MatMul": LayerType.MATRIX_MULTIPLY,
                "Gemm": LayerType.MATRIX_MULTIPLY, "Softmax": LayerType.SOFTMAX,
                "Concat": LayerType.CONCATENATION, "Gather": LayerType.GATHER,
                "Slice": LayerType.SLICE, "Cast": LayerType.CAST, "Shape": LayerType.SHAPE,
                "MaxPool": LayerType.POOLING, "AveragePool": LayerType.POOLING,
                "Relu": LayerType.ACTIVATION, "Sigmoid": LayerType.ACTIVATION,
                "Tanh": LayerType.ACTIVATION, "Reshape": LayerType.SHUFFLE,
                "Transpose": LayerType.SHUFFLE, "Add": LayerType.ELEMENTWISE,
                "Sub": LayerType.ELEMENTWISE, "Mul": LayerType.ELEMENTWISE,
                "Div": LayerType.ELEMENTWISE, "Pow": LayerType.ELEMENTWISE,
                "LayerNormalization": LayerType.NORMALIZATION,
                "Constant": LayerType.CONSTANT}.get(self.op_name, LayerType.IDENTITY)
