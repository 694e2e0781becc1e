"""torch.compile's backend, on captured graphs and, where this PyTorch has it, through torch.compile.
Skipped without torch."""

import logging

import pytest

from conftest import close

torch = pytest.importorskip("torch")

import networks  # noqa: E402
from tenon import torch_compile  # noqa: E402


class Cut(torch.nn.Module):
    """Two parts that convert, with one between them that does not."""

    def __init__(self):
        super().__init__()
        self.head = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.ReLU(), torch.nn.LayerNorm(9))
        self.tail = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))

    def forward(self, x):
        y = self.head(x).view(-1, 3, 3)
        y = torch.linalg.eigvalsh(y @ y.transpose(1, 2))
        return self.tail(y), y


def compiled(module, *inputs, **options):
    graph = torch.fx.symbolic_trace(module)
    return torch_compile.backend(graph, inputs, options=options)


def test_a_whole_graph_becomes_one_engine():
    torch.manual_seed(0)
    module, x = networks.ResNet50(width=8, classes=5, blocks=(1, 1)).eval(), torch.randn(2, 3, 32, 32)
    call = compiled(module, x)
    with torch.no_grad():
        want = module(x)
        assert close(call(x), want)
        report = torch_compile.reports[-1]
        assert report.engines == 1 and not report.stayed and report.converted > 10
        assert close(call(x[:1]), want[:1])  # another shape, another engine
    y = call(x)  # gradients may be asked for: PyTorch's own
    assert y.requires_grad and close(y.detach(), want)


def test_weights_may_come_as_inputs():
    """As newer versions of PyTorch hand them over."""
    torch.manual_seed(0)
    w, b = torch.nn.Parameter(torch.randn(9, 6)), torch.nn.Parameter(torch.randn(9))
    graph = torch.fx.symbolic_trace(
        lambda x, w, b: torch.nn.functional.linear(x, w, b).relu().mean(1).exp())
    x = torch.randn(5, 6)
    with torch.no_grad():
        assert close(torch_compile.backend(graph, (x, w, b))(x, w, b), graph(x, w, b))
    report = torch_compile.reports[-1]
    assert report.engines == 1 and not report.stayed


def test_what_does_not_convert_stays(caplog):
    torch.manual_seed(0)
    module, x = Cut().eval(), torch.randn(5, 6)
    call = compiled(module, x)
    with torch.no_grad(), caplog.at_level(logging.WARNING, logger="tenon"):
        got, want = call(x), module(x)
    assert all(close(g, w) for g, w in zip(got, want))
    report = torch_compile.reports[-1]
    assert report.engines == 2 and report.converted >= 6
    assert any("eigvalsh" in name for name in report.stayed)
    assert any("stays in PyTorch" in record.getMessage() for record in caplog.records)


def test_through_torch_compile():
    if not hasattr(torch, "compile"):
        pytest.skip("this PyTorch has no torch.compile")
    torch.manual_seed(0)
    module, x = Cut().eval(), torch.randn(5, 6)
    fast = torch.compile(module, backend="tenon")
    with torch.no_grad():
        assert all(close(g, w) for g, w in zip(fast(x), module(x)))
    assert torch_compile.reports[-1].engines == 2
    swin, image = networks.Swin().eval(), torch.randn(1, 3, 56, 56)
    fast = torch.compile(swin, backend=torch_compile.backend)
    with torch.no_grad():
        assert close(fast(image), swin(image))
    assert torch_compile.reports[-1].engines >= 1
