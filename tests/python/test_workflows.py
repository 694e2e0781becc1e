"""The scripts of the workflows that use TensorRT's Python API, as they are run, and their results
beside the plain API's."""

import sys

import numpy as np
import pytest

import tenon
from conftest import EXAMPLES, ROOT, close, data_set

sys.path.insert(0, str(ROOT / "tests" / "python" / "scripts"))

import curve as curve_script  # noqa: E402
import mnist as mnist_script  # noqa: E402
import sentiment as sentiment_script  # noqa: E402


def test_curve(tmp_path, capsys):
    arguments = (str(EXAMPLES / "curve" / "curve.onnx"), str(EXAMPLES / "curve" / "data.csv"),
                 str(tmp_path))
    got, data = curve_script.main(*arguments)
    first = capsys.readouterr().out.splitlines()
    assert first[:3] == ["Succeeded finding ONNX file!", "Succeeded parsing .onnx file!",
                         "Succeeded building engine!"]
    assert first[3] == "[ 0]Input -> DataType.FLOAT (-1, 9, 2) (50, 9, 2) data"
    assert first[4].startswith("[ 1]Output-> DataType.FLOAT (-1, 1, 2) (50, 1, 2) ")
    assert sum(line.startswith("y_pred.shape: (") for line in first) == 5
    engine = tenon.Engine.from_bytes((tmp_path / "model.plan").read_bytes())
    assert close(got[:1], engine(data[:1]).reshape(-1, 2))
    curve_script.main(*arguments)
    assert capsys.readouterr().out.startswith("Succeeded getting serialized engine!")


def test_curve_says_what_fails(tmp_path, capsys):
    assert curve_script.get_engine(str(tmp_path / "no.onnx"), str(tmp_path / "p")) is None
    assert "Failed finding ONNX file!" in capsys.readouterr().out
    (tmp_path / "bad.onnx").write_bytes(b"\x08\x07 no model")
    assert curve_script.get_engine(str(tmp_path / "bad.onnx"), str(tmp_path / "p")) is None
    assert "Failed parsing .onnx file!" in capsys.readouterr().out


def test_mnist_both_generations(capsys):
    (x,), (y,) = data_set("mnist")
    want = y[0]
    results = mnist_script.main(EXAMPLES / "mnist" / "mnist.pth", x[0])
    for got in results:
        assert close(got, want)
    assert capsys.readouterr().out.count(f"Prediction: {np.argmax(want)}") == 2


def test_mnist_batches_and_parser():
    (x,), (y,) = data_set("mnist")
    weights = tenon.Checkpoint(EXAMPLES / "mnist" / "mnist.pth")
    engine = mnist_script.build_first(weights, max_batch=8)
    assert engine.has_implicit_batch_dimension and engine.max_batch_size == 8
    assert engine.get_binding_shape(0) == (1, 28, 28)
    again = mnist_script.trt.Runtime(mnist_script.TRT_LOGGER).deserialize_cuda_engine(
        bytes(engine.serialize()))
    assert again.has_implicit_batch_dimension and again.max_batch_size == 8
    count = min(len(x), 3)
    images, out = np.ascontiguousarray(x[:count]), np.zeros((count, 10), np.float32)
    if again._engine.device == "cpu":
        assert again.create_execution_context().execute(count, [images.ctypes.data, out.ctypes.data])
        assert close(out, y[:count])
    parsed = mnist_script.parse(EXAMPLES / "mnist" / "mnist.onnx")
    parsed_context = parsed.create_execution_context()
    assert not parsed.has_implicit_batch_dimension
    parsed_context.set_binding_shape(0, x.shape)
    assert parsed_context.get_binding_shape(1) == y.shape


@pytest.fixture(scope="module")
def sentiment_engine(tmp_path_factory):
    path = tmp_path_factory.mktemp("sentiment") / "bert_cls.trt"
    names = [i.name for i in tenon.load(EXAMPLES / "sentiment" / "sentiment.onnx").inputs]
    shapes = {name: ((1, 1), (1, 32), (20, 512)) for name in names}
    tenon.build(EXAMPLES / "sentiment" / "sentiment.onnx", profiles=shapes, budget_ms=-1,
                check=False).save(path)
    return path


def test_sentiment(sentiment_engine, capsys):
    vocab = EXAMPLES / "sentiment" / "vocab.txt"
    preds, got, ids, segments = sentiment_script.main(sentiment_engine, vocab, "我的心情很差",
                                                      "我今天特别开心")
    assert preds.tolist() == [0, 1]
    assert "Reading engine from file" in capsys.readouterr().out
    engine = tenon.Engine(sentiment_engine)
    assert close(got, engine(ids.astype(np.int64), segments.astype(np.int64)))
