"""Builder, its configuration, profiles, calibrators."""

import os
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .. import _engine
from .._errors import Error
from ._basics import Dims, IHostMemory, ILogger, Reporter, use_logger
from ._enums import (BuilderFlag, CalibrationAlgoType, DeviceType, EngineCapability,
                     HardwareCompatibilityLevel, MemoryPoolType, PreviewFeature, ProfilingVerbosity,
                     RuntimePlatform, TacticSource, TilingOptimizationLevel)
from ._network import INetworkDefinition


def device() -> str:
    """Engines run on a card where there is one."""
    return os.environ.get("TENON_DEVICE") or ("cuda" if _engine.has_card() else "cpu")


class IOptimizationProfile:
    """Sizes of inputs to tune for: hints, never limits."""

    def __init__(self) -> None:
        self._shapes: Dict[str, Tuple[Dims, Dims, Dims]] = {}
        self._values: Dict[str, Tuple[Any, Any, Any]] = {}
        self.extra_memory_target = 1.0

    def set_shape(self, input: str, min: Sequence[int], opt: Sequence[int],
                  max: Sequence[int]) -> None:
        self._shapes[input] = Dims(min), Dims(opt), Dims(max)

    def get_shape(self, input: str) -> List[Dims]:
        return list(self._shapes.get(input, ()))

    def set_shape_input(self, input: str, min: Sequence[int], opt: Sequence[int],
                        max: Sequence[int]) -> None:
        self._values[input] = tuple(min), tuple(opt), tuple(max)

    def get_shape_input(self, input: str) -> List[Any]:
        return list(self._values.get(input, ()))

    def __bool__(self) -> bool:
        return all(len(a) == len(b) == len(c) and all(x <= y <= z for x, y, z in zip(a, b, c))
                   for a, b, c in self._shapes.values())

    is_valid = __bool__


class ITimingCache:
    """Measured times."""

    def __init__(self, data: bytes = b""):
        self._cache = _engine.TimingCache()
        if data:
            self._cache.add(bytes(data))

    def serialize(self) -> IHostMemory:
        return IHostMemory(self._cache.to_bytes())

    def combine(self, input_cache: "ITimingCache", ignore_mismatch: bool = False) -> bool:
        self._cache.add(input_cache._cache)
        return True

    def reset(self) -> bool:
        self._cache = _engine.TimingCache()
        return True


class IBuilderConfig:
    """How to build. What has no meaning here is kept and given back."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._profiles: List[IOptimizationProfile] = []
        self._pools: Dict[MemoryPoolType, int] = {}
        self._preview: Dict[PreviewFeature, bool] = {}
        self._layer_devices: Dict[str, DeviceType] = {}
        self._cache: Optional[ITimingCache] = None
        self._sources = sum(1 << int(source) for source in TacticSource)
        self.flags = 1 << int(BuilderFlag.TF32)
        self.max_workspace_size = 1 << 30
        self.builder_optimization_level = 3
        self.avg_timing_iterations = 1
        self.min_timing_iterations = 1
        self.max_num_tactics = -1
        self.max_aux_streams = -1
        self.profiling_verbosity = ProfilingVerbosity.LAYER_NAMES_ONLY
        self.engine_capability = EngineCapability.STANDARD
        self.hardware_compatibility_level = HardwareCompatibilityLevel.NONE
        self.runtime_platform = RuntimePlatform.SAME_AS_BUILD
        self.tiling_optimization_level = TilingOptimizationLevel.NONE
        self.l2_limit_for_tiling = -1
        self.default_device_type = DeviceType.GPU
        self.DLA_core = -1
        self.int8_calibrator: Any = None
        self.algorithm_selector: Any = None
        self.progress_monitor: Optional["IProgressMonitor"] = None
        self.profile_stream = 0
        self.quantization_flags = 0
        self.plugins_to_serialize: List[str] = []

    # flags
    def set_flag(self, flag: BuilderFlag) -> None:
        self.flags |= 1 << int(flag)

    def clear_flag(self, flag: BuilderFlag) -> None:
        self.flags &= ~(1 << int(flag))

    def get_flag(self, flag: BuilderFlag) -> bool:
        return bool(self.flags >> int(flag) & 1)

    def set_quantization_flag(self, flag: Any) -> None:
        self.quantization_flags |= 1 << int(flag)

    def get_quantization_flag(self, flag: Any) -> bool:
        return bool(self.quantization_flags >> int(flag) & 1)

    def clear_quantization_flag(self, flag: Any) -> None:
        self.quantization_flags &= ~(1 << int(flag))

    # memory
    def set_memory_pool_limit(self, pool: MemoryPoolType, pool_size: int) -> None:
        self._pools[pool] = int(pool_size)
        if pool == MemoryPoolType.WORKSPACE:
            self.max_workspace_size = int(pool_size)

    def get_memory_pool_limit(self, pool: MemoryPoolType) -> int:
        return (self.max_workspace_size if pool == MemoryPoolType.WORKSPACE else
                self._pools.get(pool, 0))

    # profiles
    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        if not profile:
            return -1
        self._profiles.append(profile)
        return len(self._profiles) - 1

    @property
    def num_optimization_profiles(self) -> int:
        return len(self._profiles)

    def set_calibration_profile(self, profile: IOptimizationProfile) -> bool:
        self._calibration_profile = profile
        return True

    def get_calibration_profile(self) -> Any:
        return getattr(self, "_calibration_profile", None)

    # timing cache, tactics, preview, devices
    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache:
        return ITimingCache(serialized_timing_cache)

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool = False) -> bool:
        self._cache = cache
        return True

    def get_timing_cache(self) -> Optional[ITimingCache]:
        return self._cache

    def set_tactic_sources(self, tactic_sources: int) -> bool:
        self._sources = int(tactic_sources)
        return True

    def get_tactic_sources(self) -> int:
        return self._sources

    def set_preview_feature(self, feature: PreviewFeature, enable: bool) -> None:
        self._preview[feature] = enable

    def get_preview_feature(self, feature: PreviewFeature) -> bool:
        return self._preview.get(feature, False)

    def set_device_type(self, layer: Any, device_type: DeviceType) -> None:
        self._layer_devices[layer.name] = device_type

    def get_device_type(self, layer: Any) -> DeviceType:
        return self._layer_devices.get(layer.name, self.default_device_type)

    def is_device_type_set(self, layer: Any) -> bool:
        return layer.name in self._layer_devices

    def can_run_on_DLA(self, layer: Any) -> bool:
        return False

    def reset_device_type(self, layer: Any) -> None:
        self._layer_devices.pop(layer.name, None)

    def __enter__(self) -> "IBuilderConfig":
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def _precision(self) -> str:
        for flag, name in ((BuilderFlag.FP16, "f16"), (BuilderFlag.BF16, "bf16")):
            if self.get_flag(flag):
                return name
        # TF32, which is on unless it is cleared, is a type of cards.
        return "tf32" if self.get_flag(BuilderFlag.TF32) and device() != "cpu" else "f32"


class IProgressMonitor:
    """Derive from it and define the three calls; False from ``step_complete`` ends the build. Its
    phases are "passes", "kernels" and "check", and may come again."""

    def phase_start(self, phase_name: str, parent_phase: Optional[str], num_steps: int) -> None:
        raise NotImplementedError

    def step_complete(self, phase_name: str, step: int) -> bool:
        raise NotImplementedError

    def phase_finish(self, phase_name: str) -> None:
        raise NotImplementedError


class IInt8Calibrator:
    """Calibrators can be derived and set. Ranges come from QuantizeLinear and DequantizeLinear in
    the model, as in TensorRT 11: a build says so and leaves float layers as they are."""

    algorithm = CalibrationAlgoType.LEGACY_CALIBRATION

    def get_algorithm(self) -> CalibrationAlgoType:
        return self.algorithm

    def get_batch_size(self) -> int:
        return 1

    def get_batch(self, names: Sequence[str]) -> Any:
        return None

    def read_calibration_cache(self) -> Any:
        return None

    def write_calibration_cache(self, cache: Any) -> None:
        pass


class IInt8LegacyCalibrator(IInt8Calibrator):
    pass


class IInt8EntropyCalibrator(IInt8Calibrator):
    algorithm = CalibrationAlgoType.ENTROPY_CALIBRATION


class IInt8EntropyCalibrator2(IInt8Calibrator):
    algorithm = CalibrationAlgoType.ENTROPY_CALIBRATION_2


class IInt8MinMaxCalibrator(IInt8Calibrator):
    algorithm = CalibrationAlgoType.MINMAX_CALIBRATION


_BUDGETS = {0: -1.0, 1: 250.0, 2: 1000.0, 3: 0.0, 4: 8000.0, 5: 30000.0}


class _Phases:
    """Stages of a build as phases of a monitor."""

    def __init__(self, monitor: IProgressMonitor):
        self.monitor, self.stage, self.steps = monitor, "", 0

    def __call__(self, stage: str, done: int, total: int) -> bool:
        if stage != self.stage or done < self.steps:
            self.finish()
            self.monitor.phase_start(stage, None, total)
            self.stage, self.steps = stage, 0
        go_on = True
        while self.steps < done and go_on:
            go_on = self.monitor.step_complete(stage, self.steps) is not False
            self.steps += 1
        return go_on

    def finish(self) -> None:
        if self.stage:
            self.monitor.phase_finish(self.stage)
        self.stage = ""



class Builder(Reporter):
    """Makes networks and builds engines of them. A failed build is logged and gives None."""

    def __init__(self, logger: Optional[ILogger] = None):
        self.logger = use_logger(logger)
        self._batch_was_set = False
        self._max_batch_size = 1
        # of TensorRT 5 to 7, where the builder is its own configuration
        self.max_workspace_size = 1 << 30
        self.fp16_mode = False
        self.int8_mode = False
        self.int8_calibrator: Any = None
        self.strict_type_constraints = False
        self.debug_sync = False
        self.refittable = False
        self.average_find_iterations = 1
        self.min_find_iterations = 1
        self.gpu_allocator: Any = None
        self.max_threads = 1
        self.max_DLA_batch_size = 1
        self.num_DLA_cores = 0

    @property
    def max_batch_size(self) -> int:
        return self._max_batch_size

    @max_batch_size.setter
    def max_batch_size(self, size: int) -> None:
        self._max_batch_size = int(size)
        self._batch_was_set = True

    @property
    def platform_has_fast_fp16(self) -> bool:
        return device() != "cpu"

    @property
    def platform_has_tf32(self) -> bool:
        return device() != "cpu"

    @property
    def platform_has_fast_int8(self) -> bool:
        return False

    def create_network(self, flags: int = 0) -> INetworkDefinition:
        return INetworkDefinition(self, flags)

    def create_builder_config(self) -> IBuilderConfig:
        return IBuilderConfig()

    def create_optimization_profile(self) -> IOptimizationProfile:
        return IOptimizationProfile()

    def is_network_supported(self, network: INetworkDefinition, config: IBuilderConfig) -> bool:
        try:
            network._to_model()
        except Error as error:
            self.report(error)
            return False
        return True

    def reset(self, network: Any = None) -> None:
        pass

    def get_plugin_registry(self) -> Any:
        from ._runtime import get_plugin_registry
        return get_plugin_registry()

    def _build(self, network: INetworkDefinition, config: IBuilderConfig) -> "_engine.Engine":
        model = network._to_model()
        profiles: Dict[str, Any] = {}
        for profile in config._profiles:
            for name, (low, best, high) in profile._shapes.items():
                if name in profiles:  # one profile here: as wide as all, best where the first is
                    low = Dims(map(min, low, profiles[name][0]))
                    high = Dims(map(max, high, profiles[name][2]))
                    best = profiles[name][1]
                profiles[name] = (tuple(low), tuple(best), tuple(high))
        if network.has_implicit_batch_dimension:
            for io in model.inputs:
                rest = tuple(io.shape or ())[1:]
                profiles[io.name] = ((1,) + rest, (self.max_batch_size,) + rest,
                                     (self.max_batch_size,) + rest)
        if config.get_flag(BuilderFlag.INT8) and config.int8_calibrator is not None:
            self.warn("calibration is not used: INT8 comes from QuantizeLinear and DequantizeLinear "
                      "in the model")
        strip = config.get_flag(BuilderFlag.STRIP_PLAN)
        phases = None if config.progress_monitor is None else _Phases(config.progress_monitor)
        try:
            return _engine.build(
                model, device(), precision=config._precision(), profiles=profiles,
                budget_ms=_BUDGETS.get(int(config.builder_optimization_level), 0.0),
                timing_cache=None if config._cache is None else config._cache._cache,
                progress=phases,
                refit=self.refittable or config.get_flag(BuilderFlag.REFIT) or strip,
                strip_weights=strip)
        finally:
            if phases:
                phases.finish()

    def _build_reported(self, network: Any, config: IBuilderConfig) -> Any:
        try:
            return self._build(network, config)
        except Error as error:
            self.report(error)
            return None

    def build_serialized_network(self, network: INetworkDefinition,
                                 config: IBuilderConfig) -> Optional[IHostMemory]:
        engine = self._build_reported(network, config)
        if engine is None:
            return None
        plan = IHostMemory(engine.to_bytes())
        plan._profiles = [dict(p._shapes) for p in config._profiles]  # type: ignore[attr-defined]
        return plan

    def build_serialized_network_to_stream(self, network: INetworkDefinition,
                                           config: IBuilderConfig, writer: Any) -> bool:
        plan = self.build_serialized_network(network, config)
        return plan is not None and writer.write(bytes(plan)) == len(bytes(plan))

    def build_engine(self, network: INetworkDefinition, config: IBuilderConfig) -> Any:
        from ._runtime import ICudaEngine
        engine = self._build_reported(network, config)
        return engine and ICudaEngine(engine, self.logger, [dict(p._shapes) for p in config._profiles])

    build_engine_with_config = build_engine

    def build_cuda_engine(self, network: INetworkDefinition) -> Any:
        config = IBuilderConfig()
        config.max_workspace_size = self.max_workspace_size
        config.int8_calibrator = self.int8_calibrator
        for on, flag in ((self.fp16_mode, BuilderFlag.FP16), (self.int8_mode, BuilderFlag.INT8)):
            if on:
                config.set_flag(flag)
        return self.build_engine(network, config)
