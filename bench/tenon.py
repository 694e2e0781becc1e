"""Tenon's library as Python programs of this folder use it: engines built by the command, run through the C API."""
import ctypes
import os
import subprocess

import numpy as np

KINDS = {"float32": 1, "int32": 6, "int64": 7, "float64": 11}  # ONNX's numbers


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("dtype", ctypes.c_int), ("rank", ctypes.c_int32), ("dim", ctypes.c_int64 * 8),
                ("stride", ctypes.c_int64 * 8)]


class Io(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("dtype", ctypes.c_int), ("rank", ctypes.c_int32), ("dim", ctypes.c_int64 * 8),
                ("dim_name", ctypes.c_char_p * 8), ("is_output", ctypes.c_bool), ("kind", ctypes.c_int)]


def cpu_name():
    with open("/proc/cpuinfo") as file:
        return next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown CPU")


def build(tool, model, path, *options):
    """Writes the engine; answers what the command printed."""
    done = subprocess.run([tool, "build", model, "-o", path, *options], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError("tenon build: " + done.stderr.strip()[-300:])
    return done.stdout + done.stderr


def with_weights(tool, structure, path):
    """A model file whose weights were left out, with weights made up by rule."""
    done = subprocess.run([tool, "export", structure, "--random-weights", "-o", path], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError("tenon export: " + done.stderr.strip()[-300:])
    return path


class Engine:
    """A loaded engine with one context. Memory is bound before a clock starts, as peers' is."""
    def __init__(self, library, path, threads):
        self.lib = ctypes.CDLL(os.path.abspath(library))
        self.lib.tn_version.restype = self.lib.tn_status_message.restype = ctypes.c_char_p
        self.lib.tn_status_message.argtypes = [ctypes.c_void_p]
        for name in ("tn_engine_load", "tn_context_new", "tn_context_run", "tn_context_bind", "tn_context_output", "tn_engine_output"):
            getattr(self.lib, name).restype = ctypes.c_void_p
        self.version = self.lib.tn_version().decode()
        self.engine, self.context = ctypes.c_void_p(), ctypes.c_void_p()
        self.ok(self.lib.tn_engine_load(path.encode(), b"cpu", threads, ctypes.byref(self.engine)))
        self.ok(self.lib.tn_context_new(self.engine, ctypes.byref(self.context)))
        self.call = self.lib.tn_context_run
        self.call.argtypes = [ctypes.c_void_p]

    def ok(self, status):
        if status:
            raise RuntimeError(self.lib.tn_status_message(status).decode())

    def prepare(self, feed):
        """For bind: the arrays must live, and lie dense, as long as they are bound."""
        return [(name.encode(), Tensor(value.ctypes.data, KINDS[str(value.dtype)], value.ndim, tuple(value.shape)))
                for name, value in feed.items()]

    def bind(self, tensors):
        for name, tensor in tensors:
            self.ok(self.lib.tn_context_bind(self.context, name, ctypes.byref(tensor)))

    def run(self):
        status = self.call(self.context)
        if status:
            self.ok(status)

    def output(self, name=None):
        """A copy of a float32 output, of the first one where none is named."""
        out = Tensor()
        if name is None:
            io = Io()
            self.ok(self.lib.tn_engine_output(self.engine, 0, ctypes.byref(io)))
            name = io.name.decode()
        self.ok(self.lib.tn_context_output(self.context, name.encode(), ctypes.byref(out)))
        shape = out.dim[:out.rank]
        data = (ctypes.c_float * int(np.prod(shape))).from_address(out.data)
        return np.array(data, np.float32).reshape(shape)

    def close(self):
        self.lib.tn_context_free(self.context)
        self.lib.tn_engine_free(self.engine)
