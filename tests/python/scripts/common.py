"""The helpers by which TensorRT's samples allocate buffers and run: page-locked host memory and
device memory for each binding."""

import numpy as np
import tenon.cuda.driver as cuda
import tenon.cuda.autoinit  # noqa: F401
import tenon.tensorrt as trt


class HostDeviceMem:
    def __init__(self, host, device):
        self.host = host
        self.device = device


def allocate_buffers(engine, context=None):
    """Of the engine's shapes, or of the context's, which set_binding_shape has made definite."""
    inputs, outputs, bindings = [], [], []
    stream = cuda.Stream()
    for index in range(engine.num_bindings):
        shape = (context or engine).get_binding_shape(index)
        host = cuda.pagelocked_empty(trt.volume(shape), trt.nptype(engine.get_binding_dtype(index)))
        device = cuda.mem_alloc(host.nbytes)
        bindings.append(int(device))
        (inputs if engine.binding_is_input(index) else outputs).append(HostDeviceMem(host, device))
    return inputs, outputs, bindings, stream


def do_inference_v2(context, bindings, inputs, outputs, stream):
    for item in inputs:
        cuda.memcpy_htod_async(item.device, item.host, stream)
    context.execute_async_v2(bindings=bindings, stream_handle=stream.handle)
    for item in outputs:
        cuda.memcpy_dtoh_async(item.host, item.device, stream)
    stream.synchronize()
    return [item.host for item in outputs]


def do_inference(context, bindings, inputs, outputs, stream, batch_size=1):
    for item in inputs:
        cuda.memcpy_htod_async(item.device, item.host, stream)
    context.execute_async(batch_size=batch_size, bindings=bindings, stream_handle=stream.handle)
    for item in outputs:
        cuda.memcpy_dtoh_async(item.host, item.device, stream)
    stream.synchronize()
    return [item.host for item in outputs]
