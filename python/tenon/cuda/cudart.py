"""What scripts for TensorRT use of cuda.cudart: every function gives (error, values...)."""

from enum import IntEnum
from typing import Any, Tuple

from ._memory import backend, now_ms


class cudaError_t(IntEnum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorUnknown = 999


class cudaMemcpyKind(IntEnum):
    cudaMemcpyHostToHost = 0
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2
    cudaMemcpyDeviceToDevice = 3
    cudaMemcpyDefault = 4


_OK = cudaError_t.cudaSuccess


def _attempt(call: Any, *args: Any) -> Tuple:
    try:
        value = call(*args)
    except MemoryError:
        return cudaError_t.cudaErrorMemoryAllocation, 0
    except (RuntimeError, OSError):
        return cudaError_t.cudaErrorUnknown, 0
    return _OK, value


def cudaMalloc(size: int) -> Tuple:
    return _attempt(backend().alloc, int(size))


cudaMallocHost = cudaHostAlloc = lambda size, flags=0: _attempt(_host().alloc, int(size))


def cudaMallocAsync(size: int, stream: int) -> Tuple:
    return cudaMalloc(size)


def cudaFree(address: Any) -> Tuple:
    return _attempt(backend().free, int(address))[:1]


def cudaFreeAsync(address: Any, stream: int) -> Tuple:
    backend().synchronize(int(stream))
    return cudaFree(address)


def cudaFreeHost(address: Any) -> Tuple:
    return _attempt(_host().free, int(address))[:1]


def cudaMemcpy(to: Any, source: Any, count: int, kind: Any = None) -> Tuple:
    return _attempt(backend().copy, int(to), int(source), int(count))[:1]


def cudaMemcpyAsync(to: Any, source: Any, count: int, kind: Any = None, stream: Any = 0) -> Tuple:
    return _attempt(backend().copy, int(to), int(source), int(count), int(stream))[:1]


def cudaMemset(to: Any, value: int, count: int) -> Tuple:
    return _attempt(backend().fill, int(to), value, int(count))[:1]


def cudaStreamCreate() -> Tuple:
    return _attempt(backend().stream_new)


def cudaStreamCreateWithFlags(flags: int) -> Tuple:
    return cudaStreamCreate()


def cudaStreamSynchronize(stream: Any) -> Tuple:
    return _attempt(backend().synchronize, int(stream))[:1]


def cudaStreamDestroy(stream: Any) -> Tuple:
    return _attempt(backend().stream_free, int(stream))[:1]


def cudaDeviceSynchronize() -> Tuple:
    return _attempt(backend().synchronize)[:1]


def cudaSetDevice(index: int) -> Tuple:
    return (_OK if index == 0 else cudaError_t.cudaErrorInvalidValue,)


def cudaGetDevice() -> Tuple:
    return _OK, 0


def cudaGetDeviceCount() -> Tuple:
    return _OK, 1


def cudaMemGetInfo() -> Tuple:
    free, total = backend().free_and_total()
    return _OK, free, total


def cudaGetErrorName(error: Any) -> Tuple:
    return _OK, cudaError_t(error).name.encode()


cudaGetErrorString = cudaGetErrorName


class _Event:
    ms = 0.0


def cudaEventCreate() -> Tuple:
    return _OK, _Event()


def cudaEventRecord(event: Any, stream: Any = 0) -> Tuple:
    event.ms = now_ms(int(stream))
    return (_OK,)


def cudaEventSynchronize(event: Any) -> Tuple:
    return (_OK,)


def cudaEventElapsedTime(begin: Any, end: Any) -> Tuple:
    return _OK, end.ms - begin.ms


def cudaEventDestroy(event: Any) -> Tuple:
    return (_OK,)


_host_memory = None


def _host() -> Any:
    global _host_memory
    if _host_memory is None:
        from ._memory import _Host
        _host_memory = _Host()
    return _host_memory
