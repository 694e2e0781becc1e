"""Other libraries beside Tenon, layers held back, and tensors between an engine's steps."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import tenon
import tenon.peers
from conftest import EXAMPLES, close, data_set

MNIST = EXAMPLES / "mnist" / "mnist.onnx"


def test_tensors_between_steps():
    (x,), (y,) = data_set("mnist")
    engine = tenon.build(MNIST, budget_ms=-1, expose=True)
    plain = tenon.build(MNIST, optimize=False, expose=True)
    names = [o.name for o in engine.outputs]
    assert names[0] == "prob" and len(names) > 3 and len(plain.outputs) >= len(names)
    got, want = engine.run({engine.inputs[0].name: x}), plain.run({plain.inputs[0].name: x})
    assert close(got["prob"], y)
    for name in set(got) & set(want):
        assert close(got[name], want[name], 1e-5)


def test_hold_names_what_it_does_not_find():
    engine = tenon.build(MNIST, budget_ms=-1, precision="tf32", hold=["prob"])
    assert "held back in fp32: 'prob'" in engine.report
    with pytest.raises(tenon.Error, match="nowhere") as caught:
        tenon.build(MNIST, budget_ms=-1, precision="tf32", hold=["nowhere"])
    assert caught.value.code == "NOT_FOUND"


def test_onnxruntime():
    pytest.importorskip("onnxruntime")
    (x,), (y,) = data_set("mnist")
    name = tenon.load(MNIST).inputs[0].name
    result = tenon.peers.run_onnxruntime(str(MNIST), {name: x, "not an input": x})
    assert list(result) == ["prob"] and close(result["prob"], y)
    pytest.importorskip("onnx")
    more = tenon.peers.run_onnxruntime(str(MNIST), {name: x}, values=True)
    assert len(more) > 4 and close(more["prob"], y)


def test_torch(tmp_path):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Dropout(0.9), torch.nn.Tanh()).eval()
    x = np.random.RandomState(0).rand(2, 3).astype(np.float32)
    want = module(torch.from_numpy(x)).detach().numpy()
    path = str(tmp_path / "module.pt")
    torch.jit.script(module.train()).save(path)
    assert close(tenon.peers.run_torch(path, {"x": x}, ["y"])["y"], want, 1e-6)
    assert list(tenon.peers.run_torch(lambda x: {"a": x, "b": [x + 1, None]}, {"x": x}, ["p"])) == ["p", "output1"]
    source = tmp_path / "net.py"
    source.write_text("import torch\ndef make():\n    return torch.nn.Flatten(0)\n")
    assert tenon.peers.run_torch(f"{source}:make", {"x": x}, ["y"])["y"].shape == (6,)


def helper(tmp_path, request):
    (tmp_path / "request").write_text(request)
    return subprocess.run([sys.executable, tenon.peers.__file__, "--helper", str(tmp_path)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120)


def test_the_command_is_answered(tmp_path):
    pytest.importorskip("onnxruntime")
    (x,), (y,) = data_set("mnist")
    name = tenon.load(MNIST).inputs[0].name
    np.save(tmp_path / "input_0.npy", x)
    done = helper(tmp_path, f"library\tonnxruntime\nmodel\t{MNIST}\nvalues\t0\nthreads\t1\ninput\t{name}\tinput_0.npy\noutput\tprob\n")
    assert done.returncode == 0, done.stdout
    lines = [line.split("\t") for line in (tmp_path / "answer").read_text().splitlines()]
    assert lines[0][0] == "label" and lines[0][1].startswith("onnxruntime ")
    assert lines[1] == ["tensor", "prob", "tensor_0.npy"] and close(np.load(tmp_path / "tensor_0.npy"), y)


def test_failures_are_told(tmp_path):
    pytest.importorskip("onnxruntime")
    done = helper(tmp_path, "library\tonnxruntime\nmodel\tnowhere.onnx\nvalues\t0\nthreads\t1\n")
    assert done.returncode == 1 and "nowhere.onnx" in done.stdout and "Traceback" not in done.stdout


def test_without_the_command(tmp_path):
    environment = dict(os.environ, PATH=str(tmp_path))
    environment.pop("TENON", None)
    done = subprocess.run([sys.executable, "-m", "tenon.peers", str(MNIST)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, env=environment, timeout=120)
    assert done.returncode == 1 and "not in the PATH" in done.stdout
    fake = pathlib.Path(tmp_path / "tenon")
    fake.write_text("#!/bin/sh\necho \"$@\" with $PYTHON\n")
    fake.chmod(0o755)
    environment["TENON"] = str(fake)
    done = subprocess.run([sys.executable, "-m", "tenon.peers", "m.onnx", "--bisect"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, env=environment, timeout=120)
    words, python = done.stdout.strip().split(" with ")
    assert words == "compare m.onnx --bisect" and os.path.samefile(python, sys.executable)
