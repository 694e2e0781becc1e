"""What scripts for TensorRT use of pycuda.driver."""

from typing import Any, Optional, Tuple

import numpy as np

from ._memory import backend, now_ms


class DeviceAllocation:
    """Memory of the device; ``int(...)`` is its address."""

    def __init__(self, count: int):
        self._address = backend().alloc(count)

    def __int__(self) -> int:
        return self._address

    __index__ = __int__

    def free(self) -> None:
        if self._address:
            backend().free(self._address)
            self._address = 0

    def __del__(self) -> None:
        try:
            self.free()
        except Exception:  # at the interpreter's end the driver may be gone
            pass


class Stream:
    """A queue of the device."""

    def __init__(self, flags: int = 0):
        self.handle = backend().stream_new()

    def synchronize(self) -> None:
        backend().synchronize(self.handle)

    def __del__(self) -> None:
        try:
            backend().stream_free(self.handle)
        except Exception:
            pass


class Event:
    """A moment in a stream; times are taken by waiting for it."""

    def __init__(self, flags: int = 0):
        self._ms = 0.0

    def record(self, stream: Optional[Stream] = None) -> "Event":
        self._ms = now_ms(stream.handle if stream else None)
        return self

    def synchronize(self) -> "Event":
        return self

    def time_since(self, earlier: "Event") -> float:
        return self._ms - earlier._ms

    def time_till(self, later: "Event") -> float:
        return later._ms - self._ms


class Context:
    """The device's context, of which there is one."""

    @staticmethod
    def synchronize() -> None:
        backend().synchronize()

    def push(self) -> None:
        pass

    @staticmethod
    def pop() -> None:
        pass

    def detach(self) -> None:
        pass


class Device:
    """A card, or the CPU."""

    def __init__(self, index: int = 0):
        self._index = index

    @staticmethod
    def count() -> int:
        return 1

    def name(self) -> str:
        return "CUDA card" if backend().is_card else "CPU"

    def make_context(self, flags: int = 0) -> Context:
        return Context()

    retain_primary_context = make_context


def init(flags: int = 0) -> None:
    backend()


def mem_alloc(count: int) -> DeviceAllocation:
    return DeviceAllocation(int(count))


def mem_get_info() -> Tuple[int, int]:
    return backend().free_and_total()


def pagelocked_empty(shape: Any, dtype: Any, order: str = "C", mem_flags: int = 0) -> np.ndarray:
    return np.empty(shape, dtype)


def pagelocked_zeros(shape: Any, dtype: Any, order: str = "C", mem_flags: int = 0) -> np.ndarray:
    return np.zeros(shape, dtype)


def _host(array: Any, written: bool) -> np.ndarray:
    array = np.asarray(array)
    if not array.flags.c_contiguous:
        if written:
            raise ValueError("the array to copy to is not contiguous")
        array = np.ascontiguousarray(array)
    return array


def memcpy_htod(dest: Any, src: Any) -> None:
    array = _host(src, False)
    backend().copy(int(dest), array.ctypes.data, array.nbytes)


def memcpy_dtoh(dest: Any, src: Any) -> None:
    array = _host(dest, True)
    backend().copy(array.ctypes.data, int(src), array.nbytes)


def memcpy_dtod(dest: Any, src: Any, size: int) -> None:
    backend().copy(int(dest), int(src), size)


def memcpy_htod_async(dest: Any, src: Any, stream: Optional[Stream] = None) -> None:
    array = _host(src, False)
    backend().copy(int(dest), array.ctypes.data, array.nbytes, stream.handle if stream else 0)


def memcpy_dtoh_async(dest: Any, src: Any, stream: Optional[Stream] = None) -> None:
    array = _host(dest, True)
    backend().copy(array.ctypes.data, int(src), array.nbytes, stream.handle if stream else 0)


def memcpy_dtod_async(dest: Any, src: Any, size: int, stream: Optional[Stream] = None) -> None:
    backend().copy(int(dest), int(src), size, stream.handle if stream else 0)


def memset_d8(dest: Any, value: int, count: int) -> None:
    backend().fill(int(dest), value, count)
