"""Times one text of LENGTH tokens in ONNX Runtime and in PyTorch, where they are installed.

usage: peers.py MODEL.onnx LENGTH RUNS
PyTorch runs its own encoder of the same sizes with random weights: a checkpoint would not change its time.
"""
import sys
import time

model, length, runs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def median(run):
    times = []
    for i in range(runs + 10):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return sorted(times[10:])[runs // 2]


def row(name, value):
    print(f"    {name:46} {value:8.3f}")


try:
    import numpy
    import onnxruntime
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    feed = {"input_ids": numpy.full((1, length), 1000, numpy.int64), "segment_ids": numpy.zeros((1, length), numpy.int64)}
    row("ONNX Runtime " + onnxruntime.__version__, median(lambda: session.run(None, feed)))
except ImportError:
    print("    (ONNX Runtime is not installed)")

try:
    import torch
    from torch import nn
    WIDTH, HEADS, LAYERS, INNER, TOKENS = 128, 4, 4, 512, 2880

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.k, self.v, self.o = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
            self.norm1, self.norm2 = nn.LayerNorm(WIDTH, 1e-12), nn.LayerNorm(WIDTH, 1e-12)
            self.up, self.down = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)

        def forward(self, x, mask):
            q, k, v = (f(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for f in (self.q, self.k, self.v))
            scores = q @ k.transpose(-1, -2) / (WIDTH / HEADS) ** 0.5 + mask
            x = self.norm1(x + self.o((scores.softmax(-1) @ v).transpose(1, 2).flatten(2)))
            return self.norm2(x + self.down(nn.functional.gelu(self.up(x))))

    words, places, norm = nn.Embedding(TOKENS, WIDTH), nn.Embedding(512, WIDTH), nn.LayerNorm(WIDTH, 1e-12)
    layers, head = nn.ModuleList(Layer() for _ in range(LAYERS)), nn.Linear(WIDTH, 2)
    ids = torch.full((1, length), 1000)

    def run():
        with torch.inference_mode():
            mask = (ids == 0)[:, None, None].float() * -10000
            x = norm(words(ids) + places(torch.arange(length)))
            for layer in layers:
                x = layer(x, mask)
            return head(x[:, 0]).softmax(-1)

    row("PyTorch " + torch.__version__, median(run))
except ImportError:
    print("    (PyTorch is not installed)")
