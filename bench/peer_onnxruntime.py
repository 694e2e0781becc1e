"""Times ONNX Runtime on one model: prints p50 and p99 of one query in ms.

usage: peer_onnxruntime.py MODEL.onnx NAME:1x3x10,... THREADS SECONDS
Inputs without a shape are made with 1 for dynamic dims; floats in [-1, 1), integers 0 or 1; two sets take turns.
"""
import sys
import time

import numpy as np
import onnxruntime as ort

model, shapes, threads, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
given = {}
for item in shapes.split(","):
    name, dims = item.rsplit(":", 1)
    given[name] = [int(d) for d in dims.split("x")]

options = ort.SessionOptions()
options.log_severity_level = 3
options.intra_op_num_threads = threads
session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
random = np.random.default_rng(1)
sets = []
for _ in range(2):
    feed = {}
    for value in session.get_inputs():
        shape = given.get(value.name, [d if isinstance(d, int) else 1 for d in value.shape])
        if "int" in value.type:
            feed[value.name] = random.integers(0, 2, shape).astype("int64" if "64" in value.type else "int32")
        else:
            feed[value.name] = random.uniform(-1, 1, shape).astype(np.float32)
    sets.append(feed)

begin, count = time.perf_counter(), 0
while time.perf_counter() - begin < 0.2:
    session.run(None, sets[count & 1])
    count += 1
times, begin = [], time.perf_counter()
while time.perf_counter() - begin < seconds or len(times) < 10:
    start = time.perf_counter()
    session.run(None, sets[len(times) & 1])
    times.append((time.perf_counter() - start) * 1e3)
times.sort()
print("%.6g %.6g" % (times[len(times) // 2], times[max(len(times) - 1 - int(0.01 * len(times)), 0)]))
