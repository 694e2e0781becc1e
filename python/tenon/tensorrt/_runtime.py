"""Runtime, engines and execution contexts, in the words of both generations: bindings by number, and
tensors by name."""

import json
import re
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from .. import _arrays, _engine, _tenon
from .._errors import Error
from .._model import IO, Model
from ._basics import (Dims, IHostMemory, ILogger, Reporter, as_array, number_of, type_of,
                      use_logger)
from ._builder import device
from ._enums import (DataType, EngineCapability, ExecutionContextAllocationStrategy,
                     HardwareCompatibilityLevel, LayerInformationFormat, ProfilingVerbosity,
                     Severity, TensorFormat, TensorIOMode, TensorLocation)
from ._network import BATCH

_I32, _I64 = number_of(DataType.INT32), number_of(DataType.INT64)


class Runtime(Reporter):
    """Reads engines."""

    def __init__(self, logger: Optional[ILogger] = None):
        self.logger = use_logger(logger)
        self.max_threads = 1
        self.DLA_core = -1
        self.num_DLA_cores = 0
        self.engine_host_code_allowed = False
        self.gpu_allocator: Any = None

    def deserialize_cuda_engine(self, serialized_engine: Any) -> Optional["ICudaEngine"]:
        """An engine from bytes or from a reader with ``read(size)``; None, with a line in the log,
        where they are none."""
        data = serialized_engine
        if hasattr(data, "read") and not isinstance(data, (bytes, bytearray, memoryview)):
            data = b"".join(iter(lambda: serialized_engine.read(1 << 24), b""))
        try:
            engine = _engine.Engine.from_bytes(bytes(data), device())
        except Error as error:
            self.report(error)
            return None
        return ICudaEngine(engine, self.logger, getattr(serialized_engine, "_profiles", None))

    def get_plugin_registry(self) -> Any:
        return get_plugin_registry()


class ICudaEngine(Reporter):
    """An engine. As long as only the names of the first generation are used (bindings), int64
    tensors are int32, as they were for it."""

    def __init__(self, engine: _engine.Engine, logger: ILogger, profiles: Any = None):
        self._engine = engine
        self.logger = logger
        self._profiles: List[Dict[str, Tuple[Dims, Dims, Dims]]] = profiles or [
            _profile_of(engine.report)]
        self._io: List[IO] = list(engine.inputs) + list(engine.outputs)
        self._numbers = {io.name: i for i, io in enumerate(self._io)}
        self._input_count = len(engine.inputs)
        self._is_first_generation = False
        batches = [io.dim_names[0] for io in engine.inputs if io.dim_names and io.dim_names[0]]
        implicit = [b for b in batches if b.startswith(BATCH)]
        self._skip = int(bool(implicit) and len(implicit) == len(engine.inputs))
        self.max_batch_size = int(implicit[0][len(BATCH):]) if self._skip else 1
        self.name = "engine"
        self.engine_capability = EngineCapability.STANDARD
        self.hardware_compatibility_level = HardwareCompatibilityLevel.NONE
        self.profiling_verbosity = ProfilingVerbosity.DETAILED
        self.refittable = bool(engine.weights)
        self.tactic_sources = 0
        self.num_aux_streams = 0

    # ---- both ----

    @property
    def has_implicit_batch_dimension(self) -> bool:
        return bool(self._skip)

    @property
    def num_optimization_profiles(self) -> int:
        return len(self._profiles)

    @property
    def num_layers(self) -> int:
        return len(self._engine.context().steps())

    @property
    def device_memory_size(self) -> int:
        context = self._engine.context()
        try:
            for io in self._engine.inputs:
                context.set_shape(io.name, [1 if d < 0 else d for d in io.shape or ()])
            return context.memory_bytes
        except Error:  # where 1 is no size for a dynamic dim
            return 0

    device_memory_size_v2 = device_memory_size

    def get_device_memory_size_for_profile(self, profile_index: int) -> int:
        return self.device_memory_size

    def serialize(self) -> IHostMemory:
        plan = IHostMemory(self._engine.to_bytes())
        plan._profiles = self._profiles  # type: ignore[attr-defined]
        return plan

    def create_serialization_config(self) -> Any:
        class ISerializationConfig:
            flags = 0
        return ISerializationConfig()

    def serialize_with_config(self, config: Any) -> IHostMemory:
        return self.serialize()

    def create_execution_context(self, strategy: Any = None) -> "IExecutionContext":
        return IExecutionContext(self)

    def create_execution_context_without_device_memory(self) -> "IExecutionContext":
        return IExecutionContext(self)

    def create_engine_inspector(self) -> "EngineInspector":
        return EngineInspector(self)

    def _shape(self, io: IO) -> Dims:
        return Dims(io.shape[self._skip:]) if io.shape is not None else Dims()

    def _profile(self, index: int, io: IO) -> List[Dims]:
        known = self._profiles[index].get(io.name) if index < len(self._profiles) else None
        if known:
            return list(known)
        fixed = [Dims(1 if d < 0 else d for d in io.shape or ())]
        return fixed * 3

    def __iter__(self) -> Iterator[str]:
        return iter([io.name for io in self._io])

    def __len__(self) -> int:
        return len(self._io)

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, key: Any) -> Any:
        return self._numbers[key] if isinstance(key, str) else self._io[key].name

    # ---- bindings ----

    def _binding(self, key: Any) -> IO:
        self._is_first_generation = True
        return self._io[self._numbers[key] if isinstance(key, str) else int(key)]

    @property
    def num_bindings(self) -> int:
        self._is_first_generation = True
        return len(self._io)

    def get_binding_name(self, index: int) -> str:
        return self._binding(index).name

    def get_binding_index(self, name: str) -> int:
        self._is_first_generation = True
        return self._numbers.get(name, -1)

    def get_binding_shape(self, binding: Any) -> Dims:
        return self._shape(self._binding(binding))

    def get_binding_dtype(self, binding: Any) -> DataType:
        dtype = type_of(self._binding(binding).dtype)
        return DataType.INT32 if dtype == DataType.INT64 else dtype

    def binding_is_input(self, binding: Any) -> bool:
        return self._numbers[self._binding(binding).name] < self._input_count

    def is_shape_binding(self, binding: int) -> bool:
        return False

    def is_execution_binding(self, binding: int) -> bool:
        return True

    def get_location(self, binding: Any) -> TensorLocation:
        return TensorLocation.DEVICE

    def get_binding_format(self, index: int) -> TensorFormat:
        return TensorFormat.LINEAR

    def get_binding_format_desc(self, index: int) -> str:
        return "Row major linear FP32 format (kLINEAR)"

    def get_binding_bytes_per_component(self, index: int) -> int:
        return self.get_binding_dtype(index).itemsize

    def get_binding_components_per_element(self, index: int) -> int:
        return 1

    def get_binding_vectorized_dim(self, index: int) -> int:
        return -1

    def get_profile_shape(self, profile_index: int, binding: Any) -> List[Dims]:
        return self._profile(profile_index, self._binding(binding))

    # ---- tensors ----

    @property
    def num_io_tensors(self) -> int:
        return len(self._io)

    def get_tensor_name(self, index: int) -> str:
        return self._io[index].name

    def _tensor(self, name: str) -> IO:
        if name not in self._numbers:
            raise Error("NOT_FOUND", f"there is no tensor '{name}': {list(self._numbers)}")
        return self._io[self._numbers[name]]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        if name not in self._numbers:
            return TensorIOMode.NONE
        is_input = self._numbers[name] < self._input_count
        return TensorIOMode.INPUT if is_input else TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> Dims:
        return self._shape(self._tensor(name))

    def get_tensor_dtype(self, name: str) -> DataType:
        dtype = type_of(self._tensor(name).dtype)
        first = self._is_first_generation and dtype == DataType.INT64
        return DataType.INT32 if first else dtype

    def get_tensor_location(self, name: str) -> TensorLocation:
        return TensorLocation.DEVICE

    def is_shape_inference_io(self, name: str) -> bool:
        return False

    def get_tensor_format(self, name: str, profile_index: int = 0) -> TensorFormat:
        return TensorFormat.LINEAR

    def get_tensor_format_desc(self, name: str, profile_index: int = 0) -> str:
        return "Row major linear format (kLINEAR)"

    def get_tensor_bytes_per_component(self, name: str, profile_index: int = 0) -> int:
        return self.get_tensor_dtype(name).itemsize

    def get_tensor_components_per_element(self, name: str, profile_index: int = 0) -> int:
        return 1

    def get_tensor_vectorized_dim(self, name: str, profile_index: int = 0) -> int:
        return -1

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> List[Dims]:
        return self._profile(profile_index, self._tensor(name))


def _profile_of(report: str) -> Dict[str, Tuple[Dims, Dims, Dims]]:
    """The shapes that an engine was built for, from the check in its report:
    `  min (data f32[1,9,2], mask i64[1,9]): relative L2 ...`."""
    rows = {name: {io: Dims(int(d) for d in dims.split(",") if d) for io, dims in
                   re.findall(r"(\S+) \w+\[([\d,]*)\]", shapes)}
            for name, shapes in re.findall(r"^  (min|opt|max) \((.*)\): ", report, re.MULTILINE)}
    best = rows.get("opt", {})
    return {io: (rows.get("min", best).get(io, best[io]), best[io],
                 rows.get("max", best).get(io, best[io])) for io in best}


class IProfiler:
    """Derive from it and define ``report_layer_time(layer_name, ms)``."""

    def report_layer_time(self, layer_name: str, ms: float) -> None:
        raise NotImplementedError


class Profiler(IProfiler):
    """Prints the time of each layer."""

    def report_layer_time(self, layer_name: str, ms: float) -> None:
        print(f"{layer_name}: {ms}ms")


class IStreamReader:
    """Derive from it and define ``read(size)``, for ``Runtime.deserialize_cuda_engine``."""

    def read(self, size: int) -> bytes:
        raise NotImplementedError


class IStreamWriter:
    """Derive from it and define ``write(data)``, for ``Builder.build_serialized_network_to_stream``."""

    def write(self, data: bytes) -> int:
        raise NotImplementedError


class IOutputAllocator:
    """Derive from it and define ``reallocate_output(name, memory, size, alignment)`` and
    ``notify_shape(name, shape)``: for outputs whose shape only the run tells."""

    def reallocate_output(self, tensor_name: str, memory: int, size: int, alignment: int) -> int:
        raise NotImplementedError

    def reallocate_output_async(self, tensor_name: str, memory: int, size: int, alignment: int,
                                stream: int) -> int:
        return self.reallocate_output(tensor_name, memory, size, alignment)

    def notify_shape(self, tensor_name: str, shape: Dims) -> None:
        raise NotImplementedError


def _address(pointer: Any) -> int:
    """The address in what scripts give as one: a number, an allocation, a ctypes pointer."""
    if hasattr(pointer, "value"):  # ctypes.c_void_p
        return int(pointer.value or 0)
    if hasattr(pointer, "data_ptr"):
        return int(pointer.data_ptr())
    return int(pointer)


class IExecutionContext(Reporter):
    """One stream of execution. Failures of a run are logged and give False."""

    def __init__(self, engine: ICudaEngine):
        self.engine = engine
        self.logger = engine.logger
        self.error_recorder = engine.error_recorder
        self._context = engine._engine.context()
        self._handle = self._context._handle
        self._on_card = engine._engine.device != "cpu"
        self._shapes: Dict[str, Tuple[int, ...]] = {}
        self._addresses: Dict[str, int] = {}
        self._bound: Dict[str, Any] = {}
        self._allocators: Dict[str, IOutputAllocator] = {}
        self._profiler: Optional[IProfiler] = None
        self._profile_index = 0
        self.name = ""
        self.debug_sync = False
        self.enqueue_emits_profile = True
        self.nvtx_verbosity = ProfilingVerbosity.LAYER_NAMES_ONLY
        self.persistent_cache_limit = 0
        self.device_memory: Any = None
        for io in engine._engine.inputs:
            if io.shape is not None and all(d >= 0 for d in io.shape):
                self._set_shape(io, io.shape)

    # ---- shapes ----

    def _set_shape(self, io: IO, shape: Sequence[int]) -> bool:
        try:
            self._context.set_shape(io.name, tuple(int(d) for d in shape))
        except Error as error:
            self.report(error)
            return False
        self._shapes[io.name] = tuple(int(d) for d in shape)
        self._bound.pop(io.name, None)
        return True

    def _shape(self, io: IO) -> Dims:
        skip = self.engine._skip
        if io.name in self._shapes:
            return Dims(self._shapes[io.name][skip:])
        if self.engine._numbers[io.name] < self.engine._input_count or not self._is_settled():
            return self.engine._shape(io)
        return Dims(self._context.shape(io.name)[skip:])

    def _is_settled(self) -> bool:
        return all(io.name in self._shapes for io in self.engine._engine.inputs)

    def set_binding_shape(self, binding: int, shape: Sequence[int]) -> bool:
        return self._set_shape(self.engine._binding(binding), shape)

    def get_binding_shape(self, binding: int) -> Dims:
        return self._shape(self.engine._binding(binding))

    def set_shape_input(self, binding: int, shape: Sequence[int]) -> bool:
        return True

    def get_strides(self, binding: int) -> Dims:
        return _strides(self.get_binding_shape(binding))

    @property
    def all_binding_shapes_specified(self) -> bool:
        return self._is_settled()

    @property
    def all_shape_inputs_specified(self) -> bool:
        return True

    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool:
        return self._set_shape(self.engine._tensor(name), shape)

    def get_tensor_shape(self, name: str) -> Dims:
        return self._shape(self.engine._tensor(name))

    def get_tensor_strides(self, name: str) -> Dims:
        return _strides(self.get_tensor_shape(name))

    def infer_shapes(self) -> List[str]:
        """The inputs whose shapes or addresses are missing."""
        return [io.name for io in self.engine._engine.inputs if io.name not in self._shapes]

    def get_max_output_size(self, name: str) -> int:
        shape = self.get_tensor_shape(name)
        if any(d < 0 for d in shape):
            return -1
        return int(np.prod(shape, dtype=np.int64)) * self.engine.get_tensor_dtype(name).itemsize

    @property
    def active_optimization_profile(self) -> int:
        return self._profile_index

    @active_optimization_profile.setter
    def active_optimization_profile(self, index: int) -> None:
        self._profile_index = index

    def set_optimization_profile_async(self, profile_index: int, stream_handle: Any) -> bool:
        if not 0 <= profile_index < self.engine.num_optimization_profiles:
            return False
        self._profile_index = profile_index
        return True

    # ---- memory ----

    def set_tensor_address(self, name: str, memory: Any) -> bool:
        self.engine._tensor(name)
        self._addresses[name] = _address(memory)
        return True

    def set_input_address(self, name: str, memory: Any) -> bool:
        return self.set_tensor_address(name, memory)

    def get_tensor_address(self, name: str) -> int:
        return self._addresses.get(name, 0)

    def set_output_allocator(self, name: str, output_allocator: Any) -> bool:
        self._allocators[name] = output_allocator
        return True

    def get_output_allocator(self, name: str) -> Any:
        return self._allocators.get(name)

    def set_device_memory(self, memory: Any, size: int = 0) -> None:
        self.device_memory = memory

    def update_device_memory_size_for_shapes(self) -> int:
        return self._context.memory_bytes

    def set_input_consumed_event(self, event: Any) -> bool:
        return True

    def set_aux_streams(self, streams: Any) -> None:
        pass

    def _is_i32(self, io: IO) -> bool:
        """Is this int64 tensor int32 for the script?"""
        return io.number == _I64 and self.engine._is_first_generation

    def _bind(self, io: IO, address: int, shape: Tuple[int, ...], number: int,
              on_card: bool) -> None:
        key = (address, shape, number)
        if self._bound.get(io.name) != key:
            _tenon.context_bind(self._handle, io.name, (address, number, shape, None), on_card)
            self._bound[io.name] = key

    def _bind_input(self, io: IO, address: int) -> None:
        shape = self._shapes[io.name]
        if self._is_i32(io) and self._on_card:  # cards take the declared type alone
            host = np.empty(shape, np.int32)
            _tenon.device_copy(self.engine._engine._handle, host.ctypes.data, address, host.nbytes)
            self._bound.pop(io.name, None)
            self._context.bind(io.name, host)
        else:
            self._bind(io, address, shape, _I32 if self._is_i32(io) else io.number, self._on_card)

    # ---- running ----

    def _run(self, addresses: Dict[str, int], stream: Optional[int]) -> bool:
        """Stream None: done when it returns."""
        try:
            for io in self.engine._engine.inputs:
                if io.name not in self._shapes:
                    raise Error("INVALID", f"the shape of input '{io.name}' is not set")
                if not addresses.get(io.name) and 0 not in self._shapes[io.name]:
                    raise Error("INVALID", f"input '{io.name}' has no address")
                self._bind_input(io, addresses.get(io.name, 0))
            later = []
            for io in self.engine._engine.outputs:
                shape = self._context.shape(io.name)
                address = addresses.get(io.name, 0)
                if io.name in self._allocators or self._is_i32(io) or any(d < 0 for d in shape):
                    later.append(io)  # into memory of the context, and from there
                elif address:
                    self._bind(io, address, shape, io.number, self._on_card)
            self._context.enqueue(stream or 0)
            if stream is not None and not later and self._profiler is None:
                return True
            self._context.wait()
            for io in later:
                self._hand_over(io, addresses.get(io.name, 0), stream or 0)
        except Error as error:
            self.report(error)
            return False
        return True

    def _hand_over(self, io: IO, address: int, stream: int) -> None:
        value = self._context.output(io.name)
        if self._is_i32(io):
            value = value.astype(np.int32)
        allocator = self._allocators.get(io.name)
        if allocator is not None:
            address = _address(allocator.reallocate_output_async(io.name, address, value.nbytes, 256,
                                                                 stream))
            allocator.notify_shape(io.name, Dims(value.shape))
        if address and value.nbytes:
            _tenon.device_copy(self.engine._engine._handle, address, value.ctypes.data, value.nbytes)

    def _from_bindings(self, bindings: Sequence[Any]) -> Dict[str, int]:
        return {io.name: _address(b) for io, b in zip(self.engine._io, bindings)}

    def _set_batch(self, size: int) -> None:
        if self.engine._skip:
            for io in self.engine._engine.inputs:
                shape = (int(size),) + tuple(io.shape or ())[1:]
                if self._shapes.get(io.name) != shape:
                    self._set_shape(io, shape)

    def execute(self, batch_size: int = 1, bindings: Sequence[Any] = ()) -> bool:
        self.engine._is_first_generation = True
        self._set_batch(batch_size)
        return self._run(self._from_bindings(bindings), None)

    def execute_async(self, batch_size: int = 1, bindings: Sequence[Any] = (),
                      stream_handle: Any = 0, input_consumed: Any = None) -> bool:
        self.engine._is_first_generation = True
        self._set_batch(batch_size)
        return self._run(self._from_bindings(bindings), _address(stream_handle or 0))

    def execute_v2(self, bindings: Sequence[Any]) -> bool:
        return self._run(self._from_bindings(bindings), None)

    def execute_async_v2(self, bindings: Sequence[Any], stream_handle: Any = 0,
                         input_consumed: Any = None) -> bool:
        return self._run(self._from_bindings(bindings), _address(stream_handle or 0))

    def execute_async_v3(self, stream_handle: Any = 0) -> bool:
        return self._run(self._addresses, _address(stream_handle or 0))

    # ---- profiling ----

    @property
    def profiler(self) -> Optional[IProfiler]:
        return self._profiler

    @profiler.setter
    def profiler(self, profiler: Optional[IProfiler]) -> None:
        self._profiler = profiler
        self._context.set_profiler(None if profiler is None else (
            lambda event: profiler.report_layer_time(event.name, event.ms)))

    def report_to_profiler(self) -> bool:
        return True


def _strides(shape: Dims) -> Dims:
    return Dims(int(np.prod(shape[i + 1:], dtype=np.int64)) for i in range(len(shape)))


class EngineInspector:
    """The steps of an engine with their kernels, shapes, memory and the nodes they were made of: a
    line each, or JSON. With an ``execution_context``, at its shapes."""

    def __init__(self, engine: ICudaEngine):
        self._engine = engine
        self.execution_context: Any = None
        self.error_recorder: Any = None

    def _layers(self) -> List[Dict[str, Any]]:
        of = self.execution_context._context if self.execution_context else self._engine._engine
        return [{"Name": row["name"], "LayerType": row["op"], "TacticName": row.get("tactic", ""),
                 **row} for row in of.layers()["layers"]]

    @staticmethod
    def _text(row: Dict[str, Any], format: LayerInformationFormat) -> str:
        if format == LayerInformationFormat.JSON:
            return json.dumps(row, ensure_ascii=False, indent=2)
        return f"{row['Name']} {row['LayerType']} [{row['TacticName']}]"

    def get_layer_information(self, layer_index: int, format: LayerInformationFormat) -> str:
        return self._text(self._layers()[layer_index], format)

    def get_engine_information(self, format: LayerInformationFormat) -> str:
        rows = self._layers()
        if format == LayerInformationFormat.JSON:
            return json.dumps({"Layers": rows, "Bindings": list(self._engine)}, ensure_ascii=False,
                              indent=2)
        return "\n".join(["Layers:"] + [self._text(row, format) for row in rows] + ["Bindings:"] +
                         list(self._engine))


class Refitter(Reporter):
    """Other weights for an engine that was built with REFIT: they are collected, and
    ``refit_cuda_engine`` gives the engine them; contexts that are made afterwards have them. Weights
    go by their names in the model; of a network written layer by layer, by those that
    ``get_all_weights`` tells."""

    def __init__(self, engine: ICudaEngine, logger: Optional[ILogger] = None):
        self.logger = use_logger(logger)
        self._engine = engine
        self._weights: Dict[str, np.ndarray] = {}
        self.max_threads = 1
        self.weights_validation = True

    def set_named_weights(self, name: str, weights: Any, location: Any = None) -> bool:
        known = {w.name: w for w in self._engine._engine.weights}
        array = as_array(weights)
        if name not in known or array is None or array.size != int(np.prod(known[name].shape)):
            self.logger.log(Severity.ERROR, f"'{name}' is no weight of the engine of this size")
            return False
        self._weights[name] = array.reshape(known[name].shape)
        return True

    def get_all_weights(self) -> List[str]:
        return [w.name for w in self._engine._engine.weights]

    def get_missing_weights(self) -> List[str]:
        return [w.name for w in self._engine._engine.weights
                if w.missing and w.name not in self._weights]

    def get_named_weights(self, name: str) -> Any:
        return self._weights.get(name)

    def refit_cuda_engine(self) -> bool:
        try:
            self._engine._engine = self._engine._engine.refit(self._weights,
                                                              check=self.weights_validation)
        except Error as error:
            self.report(error)
            return False
        return True

    def refit_cuda_engine_async(self, stream_handle: Any) -> bool:
        return self.refit_cuda_engine()


class OnnxParserRefitter(Reporter):
    """Collects the weights of an ONNX file of the same graph for a Refitter."""

    def __init__(self, refitter: Refitter, logger: Optional[ILogger] = None):
        self.logger = use_logger(logger)
        self._refitter = refitter
        self.num_errors = 0

    def _take(self, make: Any, *args: Any) -> bool:
        engine = self._refitter._engine
        try:
            engine._engine = engine._engine.refit(make(*args))
        except Error as error:
            self.num_errors = 1
            self.report(error)
            return False
        return True

    def refit_from_file(self, model: str) -> bool:
        return self._take(Model, model)

    def refit_from_bytes(self, model: bytes, path: Optional[str] = None) -> bool:
        return self._take(Model.from_bytes, bytes(model))


class _PluginRegistry:
    """There are no plugins: operators of your own are C functions (include/tenon/op.h)."""

    plugin_creator_list: List[Any] = []
    all_creators: List[Any] = []

    def get_plugin_creator(self, type: str, version: str, plugin_namespace: str = "") -> None:
        return None

    get_creator = get_plugin_creator

    def load_library(self, plugin_path: str) -> Any:
        raise Error("UNSUPPORTED", f"'{plugin_path}': plugins of TensorRT cannot be loaded")


def get_plugin_registry() -> _PluginRegistry:
    return _PluginRegistry()


def init_libnvinfer_plugins(logger: Any, namespace: str) -> bool:
    return True
