"""One engine, one network, one process: answers cpu.py, which lets several of these take turns.

usage: cpu_worker.py ENGINE FILE THREADS PRECISION WORK

ENGINE is tenon (FILE: library.so,file.engine), onnxruntime, openvino or torch (FILE: model.onnx, NETWORK); WORK holds
inputs.npz, sets of inputs "SET.INPUT". First the outputs of each set are written to WORK/ENGINE.PRECISION.npz, and a line of JSON
tells version, milliseconds to load and to the first answer, and MiB of resident memory gained. Then each line "SECONDS" on stdin is
a turn: the sets take turns for that long, and the milliseconds of each inference go to WORK/ENGINE.PRECISION.npy.
"""
import json
import sys
import time

import numpy as np

import tenon


class Tenon:
    def __init__(self, path, threads, precision):
        self.path, self.threads = path.split(","), threads

    def load(self):
        self.engine = tenon.Engine(*self.path, self.threads)
        self.version, self.prepare, self.bind = self.engine.version, self.engine.prepare, self.engine.bind
        self.run, self.output = self.engine.run, self.engine.output


class OnnxRuntime:
    def __init__(self, path, threads, precision):
        import onnxruntime
        self.ort, self.path, self.version = onnxruntime, path, onnxruntime.__version__
        self.options = onnxruntime.SessionOptions()
        self.options.log_severity_level = 3
        self.options.intra_op_num_threads = threads
        self.options.add_session_config_entry("session.set_denormal_as_zero", "1")

    def load(self):
        self.session = self.ort.InferenceSession(self.path, self.options, providers=["CPUExecutionProvider"])

    def prepare(self, feed):
        binding = self.session.io_binding()
        for name, value in feed.items():
            binding.bind_cpu_input(name, value)
        for output in self.session.get_outputs():
            binding.bind_output(output.name)
        return binding

    def bind(self, binding):
        self.binding = binding

    def run(self):
        self.session.run_with_iobinding(self.binding)

    def output(self):
        return self.binding.copy_outputs_to_cpu()[0]


class OpenVino:
    def __init__(self, path, threads, precision):
        import openvino
        self.core, self.path, self.version = openvino.Core(), path, openvino.__version__
        self.tensor = openvino.Tensor
        self.config = {"INFERENCE_NUM_THREADS": str(threads), "PERFORMANCE_HINT": "LATENCY",
                       "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32"}
        self.shapes = None

    def load(self):
        model = self.core.read_model(self.path)
        model.reshape(self.shapes)  # known shapes are its faster case
        self.request = self.core.compile_model(model, "CPU", self.config).create_infer_request()

    def prepare(self, feed):
        return {name: self.tensor(value, shared_memory=True) for name, value in feed.items()}

    def bind(self, tensors):
        for name, tensor in tensors.items():
            self.request.set_tensor(name, tensor)

    def run(self):
        self.request.infer()

    def output(self):
        return np.array(self.request.get_output_tensor(0).data)


class Torch:
    def __init__(self, path, threads, precision):
        import torch
        self.torch, self.path, self.version = torch, path, torch.__version__
        torch.set_num_threads(threads)
        torch.set_flush_denormal(True)
        self.bf16 = precision == "bf16"

    def load(self):
        import networks
        self.module = networks.make(self.path)
        self.scope = self.torch.inference_mode()
        self.scope.__enter__()
        self.cast = self.torch.autocast("cpu", self.torch.bfloat16, enabled=self.bf16)
        self.cast.__enter__()

    def prepare(self, feed):
        return [self.torch.from_numpy(value) for value in feed.values()]

    def bind(self, values):
        self.values = values

    def run(self):
        self.result = self.module(*self.values)

    def output(self):
        return (self.result[0] if isinstance(self.result, tuple) else self.result).float().numpy()


def resident():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS:"))


def main():
    name, path, threads, precision, work = sys.argv[1:]
    kinds = {"tenon": Tenon, "onnxruntime": OnnxRuntime, "openvino": OpenVino, "torch": Torch}
    feeds, loaded = {}, np.load(work + "/inputs.npz")
    for key in loaded.files:
        which, value = key.split(".")
        feeds.setdefault(which, {})[value] = np.ascontiguousarray(loaded[key])
    engine = kinds[name](path, int(threads), precision)
    engine.shapes = {key: list(value.shape) for key, value in feeds["0"].items()}
    before, begin = resident(), time.perf_counter()
    engine.load()
    loaded = time.perf_counter()
    sets = [engine.prepare(feed) for feed in feeds.values()]
    prepared = time.perf_counter()
    engine.bind(sets[0])
    engine.run()
    first = time.perf_counter()
    gained, outputs = resident() - before, {}
    for index, one in enumerate(sets):
        engine.bind(one)
        engine.run()
        outputs[str(index)] = np.array(engine.output())
    np.savez(f"{work}/{name}.{precision}.npz", **outputs)
    print(json.dumps({"version": engine.version, "load_ms": (loaded - begin) * 1e3, "first_ms": (first - prepared) * 1e3,
                      "resident_mib": gained}), flush=True)
    run, bind, clock = engine.run, engine.bind, time.perf_counter
    for line in sys.stdin:
        seconds, turn, times = float(line), 0, []
        stop = clock() + .1 * seconds
        while clock() < stop or turn < 1:  # warm after the others' turn
            bind(sets[turn % len(sets)])
            run()
            turn += 1
        stop = clock() + seconds
        while clock() < stop or not times:
            bind(sets[turn % len(sets)])
            begin = clock()
            run()
            times.append((clock() - begin) * 1e3)
            turn += 1
        np.save(f"{work}/{name}.{precision}.npy", np.array(times))
        print(len(times), flush=True)


main()
