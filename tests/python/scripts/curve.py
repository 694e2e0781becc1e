"""Workflow 1: an ONNX file becomes a plan, once; then batches of any size run in a buffer of 50.

Usage: curve.py MODEL.onnx DATA.csv FOLDER"""

import os
import random
import sys

import numpy as np
import tenon.tensorrt as trt
from tenon.cuda import cudart

WINDOW, MAX_BATCH = 9, 50
FP16 = False


def get_engine(onnx_file, plan_file):
    logger = trt.Logger(trt.Logger.ERROR)
    if os.path.isfile(plan_file):
        with open(plan_file, "rb") as file:
            plan = file.read()
        print("Succeeded getting serialized engine!")
    else:
        builder = trt.Builder(logger)
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH))
        profile = builder.create_optimization_profile()
        config = builder.create_builder_config()
        config.max_workspace_size = 1 << 30
        if FP16:
            config.set_flag(trt.BuilderFlag.FP16)
        parser = trt.OnnxParser(network, logger)
        if not os.path.exists(onnx_file):
            print("Failed finding ONNX file!")
            return None
        print("Succeeded finding ONNX file!")
        with open(onnx_file, "rb") as model:
            if not parser.parse(model.read()):
                print("Failed parsing .onnx file!")
                for index in range(parser.num_errors):
                    print(parser.get_error(index))
                return None
        print("Succeeded parsing .onnx file!")
        tensor = network.get_input(0)
        profile.set_shape(tensor.name, [1, WINDOW, 2], [10, WINDOW, 2], [MAX_BATCH, WINDOW, 2])
        config.add_optimization_profile(profile)
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            print("Failed building engine!")
            return None
        print("Succeeded building engine!")
        with open(plan_file, "wb") as file:
            file.write(plan)
    return trt.Runtime(logger).deserialize_cuda_engine(plan)


def windows(csv):
    rows = np.loadtxt(csv, delimiter=",", skiprows=1, encoding="utf-8-sig") / (100, 10)
    return np.stack([rows[i:i + WINDOW] for i in range(len(rows) - WINDOW)]).astype(np.float32)


def main(onnx_file, csv, folder):
    engine = get_engine(onnx_file, os.path.join(folder, "model.plan"))
    count = engine.num_bindings
    names = [engine.get_binding_name(i) for i in range(count)]
    n_input = np.sum([engine.binding_is_input(i) for i in range(count)])
    context = engine.create_execution_context()
    context.set_binding_shape(0, [MAX_BATCH, WINDOW, 2])
    for i in range(count):
        print("[%2d]%s->" % (i, "Input " if i < n_input else "Output"), engine.get_binding_dtype(i),
              engine.get_binding_shape(i), context.get_binding_shape(i), names[i])
    host = [np.zeros(context.get_binding_shape(i), dtype=trt.nptype(engine.get_binding_dtype(i)))
            for i in range(count)]
    device = [cudart.cudaMalloc(array.nbytes)[1] for array in host]
    data = windows(csv)
    for turn in range(1, 6):
        print("========= infer count: %d ========" % turn)
        batch = random.randint(1, MAX_BATCH)
        host[0][:batch] = np.ascontiguousarray(data[:batch])
        cudart.cudaMemcpy(device[0], host[0].ctypes.data, host[0].nbytes,
                          cudart.cudaMemcpyKind.cudaMemcpyHostToDevice)
        context.execute_v2(device)
        cudart.cudaMemcpy(host[1].ctypes.data, device[1], host[1].nbytes,
                          cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost)
        y_pred = host[1].reshape((-1, 2))[:batch]
        print("y_pred.shape:", y_pred.shape)
    for address in device:
        cudart.cudaFree(address)
    return host[1].reshape((-1, 2)).copy(), data


if __name__ == "__main__":
    main(*sys.argv[1:])
