"""Workflow 3: a network written down layer by layer with trained weights, in the words of TensorRT
5 to 7 (implicit batch, add_fully_connected, build_cuda_engine) and of 8 to 11.

Usage: mnist.py WEIGHTS.pth"""

import sys

import numpy as np
import tenon
import tenon.cuda.autoinit  # noqa: F401
import tenon.cuda.driver as cuda
import tenon.tensorrt as trt

import common

TRT_LOGGER = trt.Logger(trt.Logger.WARNING)


def populate_first(network, weights):
    """With a fully connected layer, on (1, 28, 28)."""
    data = network.add_input(name="data", dtype=trt.float32, shape=(1, 28, 28))
    conv1 = network.add_convolution(input=data, num_output_maps=20, kernel_shape=(5, 5),
                                    kernel=weights["conv1.weight"], bias=weights["conv1.bias"])
    conv1.stride = (1, 1)
    pool1 = network.add_pooling(input=conv1.get_output(0), type=trt.PoolingType.MAX,
                                window_size=(2, 2))
    pool1.stride = (2, 2)
    conv2 = network.add_convolution(pool1.get_output(0), 50, (5, 5), weights["conv2.weight"],
                                    weights["conv2.bias"])
    conv2.stride = (1, 1)
    pool2 = network.add_pooling(conv2.get_output(0), trt.PoolingType.MAX, (2, 2))
    pool2.stride = (2, 2)
    fc1 = network.add_fully_connected(input=pool2.get_output(0), num_outputs=500,
                                      kernel=weights["fc1.weight"], bias=weights["fc1.bias"])
    relu1 = network.add_activation(input=fc1.get_output(0), type=trt.ActivationType.RELU)
    fc2 = network.add_fully_connected(relu1.get_output(0), 10, weights["fc2.weight"],
                                      weights["fc2.bias"])
    fc2.get_output(0).name = "prob"
    network.mark_output(tensor=fc2.get_output(0))


def build_first(weights, max_batch=1):
    with trt.Builder(TRT_LOGGER) as builder, builder.create_network() as network:
        builder.max_batch_size = max_batch
        builder.max_workspace_size = 1 << 20
        populate_first(network, weights)
        return builder.build_cuda_engine(network)


def populate_second(network, weights):
    """With matrix products, on (1, 1, 28, 28)."""
    def dense(x, w, b):
        rows = 1 if len(x.shape) == 3 else x.shape[0]
        depth = int(np.prod(x.shape) / rows)
        size = int(w.size / depth)
        flat = network.add_shuffle(x)
        flat.reshape_dims = trt.Dims2(rows, depth)
        kernel = network.add_constant(trt.Dims2(size, depth), w)
        product = network.add_matrix_multiply(flat.get_output(0), trt.MatrixOperation.NONE,
                                              kernel.get_output(0), trt.MatrixOperation.TRANSPOSE)
        bias = network.add_constant(trt.Dims2(1, size), b)
        total = network.add_elementwise(product.get_output(0), bias.get_output(0),
                                        trt.ElementWiseOperation.SUM)
        wide = network.add_shuffle(total.get_output(0))
        wide.reshape_dims = trt.Dims4(rows, size, 1, 1)
        return wide

    x = network.add_input(name="data", dtype=trt.float32, shape=(1, 1, 28, 28))
    for name, maps in (("conv1", 20), ("conv2", 50)):
        conv = network.add_convolution_nd(input=x, num_output_maps=maps, kernel_shape=(5, 5),
                                          kernel=weights[name + ".weight"],
                                          bias=weights[name + ".bias"])
        conv.stride_nd = (1, 1)
        pool = network.add_pooling_nd(input=conv.get_output(0), type=trt.PoolingType.MAX,
                                      window_size=(2, 2))
        pool.stride_nd = trt.Dims2(2, 2)
        x = pool.get_output(0)
    fc1 = dense(x, weights["fc1.weight"], weights["fc1.bias"])
    relu1 = network.add_activation(input=fc1.get_output(0), type=trt.ActivationType.RELU)
    fc2 = dense(relu1.get_output(0), weights["fc2.weight"], weights["fc2.bias"])
    fc2.get_output(0).name = "prob"
    network.mark_output(tensor=fc2.get_output(0))


def build_second(weights):
    builder = trt.Builder(TRT_LOGGER)
    network = builder.create_network(0)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 1 << 30)
    populate_second(network, weights)
    plan = builder.build_serialized_network(network, config)
    return trt.Runtime(TRT_LOGGER).deserialize_cuda_engine(plan)


def parse(path):
    """The same from ONNX, serialised and read again."""
    with trt.Builder(TRT_LOGGER) as builder, builder.create_network() as network, \
            trt.OnnxParser(network, TRT_LOGGER) as parser:
        with open(path, "rb") as model:
            parser.parse(model.read())
        builder.max_batch_size = 1
        builder.max_workspace_size = 1 << 20
        with builder.build_cuda_engine(network) as engine:
            serialized = engine.serialize()
    with trt.Runtime(TRT_LOGGER) as runtime:
        return runtime.deserialize_cuda_engine(serialized)


def infer_first(engine, image):
    """By bindings, with buffers of the shapes that the engine tells."""
    h_input = cuda.pagelocked_empty(trt.volume(engine.get_binding_shape(0)), dtype=np.float32)
    h_output = cuda.pagelocked_empty(trt.volume(engine.get_binding_shape(1)), dtype=np.float32)
    d_input = cuda.mem_alloc(h_input.nbytes)
    d_output = cuda.mem_alloc(h_output.nbytes)
    stream = cuda.Stream()
    with engine.create_execution_context() as context:
        np.copyto(h_input, image.ravel())
        cuda.memcpy_htod_async(d_input, h_input, stream)
        context.execute_async(bindings=[int(d_input), int(d_output)], stream_handle=stream.handle)
        cuda.memcpy_dtoh_async(h_output, d_output, stream)
        stream.synchronize()
    return h_output


def infer_second(engine, image):
    """By names."""
    context = engine.create_execution_context()
    stream = cuda.Stream()
    host, device = {}, {}
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        host[name] = np.empty(engine.get_tensor_shape(name),
                              trt.nptype(engine.get_tensor_dtype(name)))
        device[name] = cuda.mem_alloc(host[name].nbytes)
        context.set_tensor_address(name, int(device[name]))
        if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
            np.copyto(host[name], image.reshape(host[name].shape))
            cuda.memcpy_htod_async(device[name], host[name], stream)
    context.execute_async_v3(stream_handle=stream.handle)
    for name in host:
        if engine.get_tensor_mode(name) == trt.TensorIOMode.OUTPUT:
            cuda.memcpy_dtoh_async(host[name], device[name], stream)
            stream.synchronize()
            return host[name].ravel()


def main(path, image):
    weights = tenon.Checkpoint(path)
    inputs, outputs, bindings, stream = common.allocate_buffers(build_first(weights))
    results = [infer_first(build_first(weights), image), infer_second(build_second(weights), image)]
    for result in results:
        print("Prediction: " + str(np.argmax(result)))
    return results


if __name__ == "__main__":
    main(sys.argv[1], np.zeros((1, 28, 28), np.float32))
