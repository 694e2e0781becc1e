#!/usr/bin/env python3
"""Runs ONNX models in ONNX Runtime on data sets: onnx_runtime.py MODEL FOLDER [MODEL FOLDER ...]
An element passes when |got - want| <= atol + 1e-5 |want|, atol being 1e-5 of the largest |want|."""
import glob
import os
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper


def tensors(folder, kind):
    found = []
    for path in (os.path.join(folder, f"{kind}_{i}") for i in range(99)):
        if os.path.exists(path + ".pb"):
            found.append(numpy_helper.to_array(onnx.load_tensor(path + ".pb")))
        elif os.path.exists(path + ".npy"):
            found.append(np.load(path + ".npy"))
    return found


failed = 0
for path, folder in zip(sys.argv[1::2], sys.argv[2::2]):
    onnx.checker.check_model(path, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options)
    for data in sorted(glob.glob(os.path.join(folder, "test_data_set_*"))) or [folder]:
        want = tensors(data, "output")
        got = session.run(None, dict(zip((i.name for i in session.get_inputs()), tensors(data, "input"))))
        same = len(want) == len(got) and len(want) > 0 and all(
            g.shape == w.shape and (abs(g - w) <= 1e-5 * abs(w) + 1e-5 * abs(w).max()).all() for g, w in zip(got, want))
        worst = max(float(abs(g - w).max()) for g, w in zip(got, want))
        print("PASS" if same else "FAIL", os.path.basename(path), f"largest difference {worst:.3g}")
        failed += not same
sys.exit(failed > 0)
