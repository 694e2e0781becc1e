"""PyTorch: tensors without copies, and live modules that become engines. Skipped without torch."""

import copy
import io
import logging

import numpy as np
import pytest

import tenon
from conftest import EXAMPLES, close, data_set

torch = pytest.importorskip("torch")

import networks  # noqa: E402
from tenon.torch2trt import TRTModule, can_capture, tensorrt_converter, torch2trt  # noqa: E402

CARD = torch.cuda.is_available() and tenon._engine.has_card()
DEVICES = ["cpu"] + (["cuda"] if CARD else [])
EXPORTERS = ["trace", pytest.param("export", marks=pytest.mark.skipif(
    not can_capture(), reason="torch.export's exporter is not here"))]


@pytest.fixture(autouse=True)
def no_tf32():
    """What modules give on a card is to be float32's."""
    with tenon.torch2trt.exact_float32():
        yield


@pytest.mark.parametrize("device", DEVICES)
def test_tensors_in_tensors_out(device):
    (x,), (y,) = data_set("curve")
    engine = tenon.build(EXAMPLES / "curve" / "curve.onnx", device, budget_ms=-1)
    got = engine(torch.from_numpy(x).to(device))
    assert isinstance(got, torch.Tensor) and got.device.type == device and close(got.cpu(), y)
    weights = torch.from_numpy(x).to(device).requires_grad_()
    assert close(engine(weights).cpu(), y)


def test_memory_of_tensors_is_bound():
    engine = tenon.build(tenon.Model.from_problem("Neg f32[2,3]"), budget_ms=-1)
    context = engine.context()
    x, y = torch.ones(2, 3), torch.zeros(2, 3)
    context.bind(engine.inputs[0].name, x)
    context.bind(engine.outputs[0].name, y)
    x[0, 0] = 7
    context.run()
    assert y[0, 0] == -7 and y[1, 2] == -1
    assert torch.equal(engine(torch.arange(6.0).view(3, 2).t()), -torch.arange(6.0).view(3, 2).t())


@pytest.mark.parametrize("name,dtype", [("bf16", torch.bfloat16), ("f16", torch.float16),
                                        ("bool", torch.bool), ("i64", torch.int64)])
def test_types_of_tensors(name, dtype):
    op = "Not" if name == "bool" else "Neg"
    engine = tenon.build(tenon.Model.from_problem(f"{op} {name}[4]"), budget_ms=-1)
    x = torch.tensor([0, 1, 2, 3]).to(dtype)
    got = engine(x)
    assert got.dtype == dtype and torch.equal(got, ~x if name == "bool" else -x)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("make,shape", [
    (lambda: networks.AlexNet(width=8, classes=10), (2, 3, 224, 224)),
    (lambda: networks.ResNet50(width=8, classes=10), (2, 3, 96, 96)),
    (lambda: networks.Swin(), (2, 3, 56, 56))], ids=["alexnet", "resnet50", "swin"])
def test_networks(make, shape, device, tmp_path):
    torch.manual_seed(0)
    model = make().eval().to(device)
    x = torch.randn(shape).to(device)
    converted = torch2trt(model, [x])
    with torch.no_grad():
        want = model(x)
    got = converted(x)
    assert got.device == want.device and close(got.cpu(), want.cpu(), 1e-4)
    assert all(d.rel_l2 < 1e-4 for d in converted.difference.values())
    torch.save(converted.state_dict(), tmp_path / "model.pth")
    state = torch.load(tmp_path / "model.pth")
    assert isinstance(state["engine"], bytearray)
    assert state["input_names"] == ["input_0"] and state["output_names"] == ["output_0"]
    again = TRTModule()
    again.load_state_dict(state)
    assert torch.equal(again(x).cpu(), got.cpu())


@pytest.mark.parametrize("name,size", [("alexnet", 224), ("resnet50", 224), ("swin_t", 224)])
def test_networks_of_torchvision(name, size):
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    model = getattr(models, name)(weights=None).eval().to(DEVICES[-1])
    x = torch.randn(2, 3, size, size, device=DEVICES[-1])
    converted = torch2trt(model, [x])
    with torch.no_grad():
        want = model(x)
    assert close(converted(x).cpu(), want.cpu())
    assert torch.equal(reloaded(converted)(x), converted(x))


def test_a_layer_of_transformers():
    bert = pytest.importorskip("transformers.models.bert.modeling_bert")
    torch.manual_seed(0)
    settings = bert.BertConfig(attn_implementation="eager")  # BERT base
    model = bert.BertLayer(settings).eval().to(DEVICES[-1])
    x = torch.randn(2, 19, settings.hidden_size, device=DEVICES[-1])
    mask = torch.zeros(2, 1, 1, 19, device=DEVICES[-1])
    mask[1, ..., 11:] = torch.finfo(torch.float32).min
    converted = torch2trt(model, [x, mask])
    with torch.no_grad():
        got, want = converted(x, mask), model(x, mask)
    if isinstance(want, tuple):
        got, want = got[0], want[0]
    assert close(got.cpu(), want.cpu())
    assert len(converted.difference) >= 1


def test_the_difference_is_to_float32():
    """PyTorch takes TF32 for convolutions on cards, unless told otherwise."""
    seen = []

    class Watched(networks.AlexNet):
        def forward(self, x):
            seen.append(torch.backends.cudnn.allow_tf32)
            return super().forward(x)
    torch.manual_seed(0)
    model = Watched(width=8, classes=10).eval().to(DEVICES[-1])
    torch.backends.cudnn.allow_tf32 = True
    converted = torch2trt(model, [torch.randn(2, 3, 224, 224, device=DEVICES[-1])])
    assert torch.backends.cudnn.allow_tf32 and not seen[0]
    assert converted.difference["output_0"].rel_l2 < 2e-5


def reloaded(module):
    """By way of a state_dict in a file."""
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    again = TRTModule()
    again.load_state_dict(torch.load(io.BytesIO(file.getvalue())))
    return again


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_lstm_with_states(exporter):
    torch.manual_seed(0)
    model = torch.nn.LSTM(10, 20, 3, bidirectional=True).eval()
    x, h, c = torch.randn(7, 3, 10), torch.randn(6, 3, 20), torch.randn(6, 3, 20)
    converted = torch2trt(model, (x, (h, c)), input_names=["x", "h", "c"],
                          exporter=exporter)
    y, (hn, cn) = converted(x, (h, c))
    with torch.no_grad():
        want_y, (want_h, want_c) = model(x, (h, c))
    assert close(y, want_y) and close(hn, want_h) and close(cn, want_c)
    again = reloaded(converted)
    assert torch.equal(again(x, (h, c))[1][0], hn)
    assert converted.input_flattener.dict() == {"schema": (0, (1, 2)), "size": 3}


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_bert_layer_with_dynamic_shapes(exporter):
    torch.manual_seed(0)
    model = networks.BertLayer().eval()
    mask = torch.ones(2, 16)
    mask[1, 9:] = 0
    converted = torch2trt(model, [torch.randn(2, 16, 64), mask], min_shapes=[(1, 1, 64), (1, 1)],
                          opt_shapes=[(2, 16, 64), (2, 16)], max_shapes=[(8, 64, 64), (8, 64)],
                          exporter=exporter)
    for batch, length in ((1, 5), (4, 33)):
        x, mask = torch.randn(batch, length, 64), torch.ones(batch, length)
        mask[0, length // 2:] = 0
        with torch.no_grad():
            assert close(converted(x, mask), model(x, mask))
            assert torch.equal(reloaded(converted)(x, mask), converted(x, mask))


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_max_batch_size_and_fp16(exporter):
    torch.manual_seed(0)
    model = networks.ResNet50(width=8, classes=5, blocks=(1, 1, 1, 1)).eval()
    converted = torch2trt(model, [torch.randn(1, 3, 64, 64)], max_batch_size=4, fp16_mode=True,
                          exporter=exporter)
    x = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        assert close(converted(x), model(x), 2e-2)
    converted.enable_profiling()
    converted(x)
    assert sum(step.run_count for step in converted.engine_steps()) > 0


class Odd(torch.nn.Module):
    """Has a part that the exporter does not know."""

    def forward(self, x):
        return torch.linalg.eigvalsh(x @ x.transpose(-1, -2)).sum(-1)


def test_unsupported_parts_are_reported():
    with pytest.raises(tenon.Error) as caught:
        torch2trt(Odd().eval(), [torch.randn(2, 3, 3)])
    assert caught.value.code == "UNSUPPORTED" and "Odd" in caught.value.message
    assert "eig" in caught.value.message or "linalg" in caught.value.message


class Shifted(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = torch.nn.Linear(6, 8), torch.nn.Linear(8, 3)

    def forward(self, x):
        return self.last(torch.special.entr(torch.sigmoid(self.first(x))))


def test_converters_of_ones_own():
    pytest.importorskip("onnx")
    from tenon import tensorrt as trt
    from tenon import torch2trt as module
    torch.manual_seed(0)
    model, x = Shifted().eval(), torch.randn(4, 6)
    with pytest.raises(tenon.Error):
        torch2trt(model, [x], exporter="trace")
    seen = []

    @tensorrt_converter("torch.special.entr")
    def convert_entr(ctx):
        x = ctx.method_args[0]
        seen.append(tuple(x._trt.shape))
        log = ctx.network.add_unary(x._trt, trt.UnaryOperation.LOG)
        log = ctx.network.add_unary(log.get_output(0), trt.UnaryOperation.NEG)
        layer = ctx.network.add_elementwise(log.get_output(0), x._trt,
                                            trt.ElementWiseOperation.PROD)
        ctx.method_return._trt = layer.get_output(0)

    try:
        converted = tenon.torch2trt(model, [x], onnx_opset=17)
    finally:
        del module.CONVERTERS["torch.special.entr"]
    assert seen == [(4, 8)]
    with torch.no_grad():
        assert close(converted(x), model(x))
    assert torch.special.entr(torch.tensor(0.5)) > 0  # the function is back


class Traceless(Shifted):
    """Has a part that only the newer exporter knows."""

    def forward(self, x):
        y = self.first(x)
        return self.last(torch.logaddexp2(y, -y))


def test_what_a_trace_cannot_is_left_to_torch_export(caplog):
    torch.manual_seed(0)
    model, x = Traceless().eval(), torch.randn(4, 6)
    with pytest.raises(tenon.Error, match="logaddexp2"):
        torch2trt(model, [x], exporter="trace")
    if not can_capture():
        with pytest.raises(tenon.Error, match="onnxscript"):
            torch2trt(model, [x], exporter="export")
        return
    with caplog.at_level(logging.INFO, logger="tenon"):
        converted = torch2trt(model, [x], max_batch_size=9)
    assert any("goes through torch.export" in record.getMessage() for record in caplog.records)
    with torch.no_grad():
        for batch in (4, 1, 9):
            x = torch.randn(batch, 6)
            assert close(converted(x), model(x))


def test_a_part_of_a_model_is_converted_in_place():
    torch.manual_seed(0)
    model = networks.AlexNet(width=8, classes=4).eval()
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        want = model(x)
    model.features = torch2trt(model.features, [x])
    model = copy.deepcopy(model)
    with torch.no_grad():
        assert close(model(x), want)
    state = model.state_dict()
    assert "features.engine" in state and "classifier.1.weight" in state
    fresh = networks.AlexNet(width=8, classes=4).eval()
    fresh.features = TRTModule()
    fresh.load_state_dict(state)
    with torch.no_grad():
        assert close(fresh(x), want)
