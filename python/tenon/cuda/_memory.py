"""Memory of the card by libcuda, or plain memory where there is none."""

import ctypes
import functools
import time
from typing import Any, Callable, Dict, Optional

import numpy as np

_ALIGNMENT = 64


class _Host:
    """Device memory is the host's, and a stream has nothing to wait for."""
    is_card = False

    def __init__(self) -> None:
        self._blocks: Dict[int, np.ndarray] = {}

    def alloc(self, count: int) -> int:
        block = np.empty(int(count) + _ALIGNMENT, np.uint8)
        address = -(-block.ctypes.data // _ALIGNMENT) * _ALIGNMENT
        self._blocks[address] = block
        return address

    def free(self, address: int) -> None:
        self._blocks.pop(address, None)

    def copy(self, to: int, source: int, count: int, stream: Optional[int] = None) -> None:
        ctypes.memmove(to, source, count)

    def fill(self, to: int, value: int, count: int) -> None:
        ctypes.memset(to, value, count)

    def stream_new(self) -> int:
        return 0

    def stream_free(self, stream: int) -> None:
        pass

    def synchronize(self, stream: Optional[int] = None) -> None:
        pass

    def free_and_total(self) -> "tuple[int, int]":
        return 0, 0


class _Card:
    """The primary context of a card."""
    is_card = True

    def __init__(self, index: int = 0) -> None:
        self._cuda = ctypes.CDLL("libcuda.so.1")
        self._call("cuInit", 0)
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self._call("cuDeviceGet", ctypes.byref(device), index)
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self._context = context

    def _call(self, name: str, *args: object) -> None:
        code = getattr(self._cuda, name)(*args)
        if code:
            raise RuntimeError(f"{name}: CUDA error {code}")

    def _enter(self, name: str, *args: object) -> None:
        self._call("cuCtxSetCurrent", self._context)
        self._call(name, *args)

    def alloc(self, count: int) -> int:
        at = ctypes.c_uint64()
        self._enter("cuMemAlloc_v2", ctypes.byref(at), ctypes.c_size_t(max(int(count), 1)))
        return at.value

    def free(self, address: int) -> None:
        self._enter("cuMemFree_v2", ctypes.c_uint64(address))

    def copy(self, to: int, source: int, count: int, stream: Optional[int] = None) -> None:
        self._enter("cuMemcpyAsync", ctypes.c_uint64(to), ctypes.c_uint64(source),
                    ctypes.c_size_t(count), ctypes.c_void_p(stream or None))
        if stream is None:
            self.synchronize(0)

    def fill(self, to: int, value: int, count: int) -> None:
        self._enter("cuMemsetD8_v2", ctypes.c_uint64(to), ctypes.c_ubyte(value),
                    ctypes.c_size_t(count))

    def stream_new(self, flags: int = 0) -> int:
        stream = ctypes.c_void_p()
        self._enter("cuStreamCreate", ctypes.byref(stream), flags)
        return stream.value or 0

    def stream_free(self, stream: int) -> None:
        self._enter("cuStreamDestroy_v2", ctypes.c_void_p(stream or None))

    def synchronize(self, stream: Optional[int] = None) -> None:
        if stream is None:
            self._enter("cuCtxSynchronize")
        else:
            self._enter("cuStreamSynchronize", ctypes.c_void_p(stream or None))

    def free_and_total(self) -> "tuple[int, int]":
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._enter("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value, total.value


class Lane:
    """The stream on which one context runs. Events put it in order with the streams of others, so
    that these may be the default one, which cannot be recorded, and may be gone before the context."""

    def __init__(self, card: _Card):
        self._card = card
        self.stream = card.stream_new(1)  # that does not wait for the default one
        self._events = []
        for _ in range(2):
            event = ctypes.c_void_p()
            card._enter("cuEventCreate", ctypes.byref(event), 2)  # without a time
            self._events.append(event)

    def run(self, enqueue: Callable[[int], None], stream: int) -> None:
        """Let a context enqueue its run behind what is on a stream, and before what will be."""
        begin, end = self._events
        other, mine = ctypes.c_void_p(stream or None), ctypes.c_void_p(self.stream)
        self._card._enter("cuEventRecord", begin, other)
        self._card._call("cuStreamWaitEvent", mine, begin, 0)
        enqueue(self.stream)
        self._card._enter("cuEventRecord", end, mine)
        self._card._call("cuStreamWaitEvent", other, end, 0)

    def copy(self, to: int, source: int, count: int) -> None:
        """Between two places of the card, behind what is on the lane."""
        self._card.copy(to, source, count, self.stream)

    def wait(self) -> None:
        self._card.synchronize(self.stream)

    def __del__(self) -> None:
        try:
            for event in self._events:
                self._card._enter("cuEventDestroy_v2", event)
            self._card.stream_free(self.stream)
        except Exception:  # at the interpreter's end the driver may be gone
            pass


card = functools.lru_cache(maxsize=None)(_Card)


@functools.lru_cache(maxsize=None)
def backend() -> Any:
    """The first card's memory where engines can run on one, else the host's."""
    from .._engine import has_card
    return card(0) if has_card() else _Host()


def now_ms(stream: Optional[int]) -> float:
    """The time once a stream is done: for events."""
    backend().synchronize(stream)
    return time.perf_counter() * 1e3
