"""The networks that the CPU benchmark times: PyTorch modules with seeded weights, written to ONNX for everybody else.

usage: networks.py NETWORK FILE.onnx [STRUCTURE.onnx TENON]

With torch the module is exported, and torch itself can take part with the same weights. Without, the weights of STRUCTURE.onnx
(the network with its weights left out) are made up by `tenon export --random-weights`.
"""
import subprocess
import sys

import numpy as np

try:
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
except ImportError:
    torch = None


def floats(*shape):
    return lambda random: [random.uniform(-1, 1, shape).astype(np.float32)]


def states(steps, batch, inputs, hidden, layers):
    return lambda random: [random.uniform(-1, 1, shape).astype(np.float32)
                           for shape in ((steps, batch, inputs), (2 * layers, batch, hidden), (2 * layers, batch, hidden))]


def tokens(batch, length):
    return lambda random: [random.integers(1, 21128, (batch, length)), np.ones((batch, length), np.int64)]


# Network, inputs, threads; milliseconds to commit to and to stretch for, by precision class
WORKLOADS = {
    "W1 T1 B3": ("bilstm10", states(1, 3, 10, 20, 10), [1], {"fp32": (.0085, .0065), "bf16": (.0075, .0055)}),
    "W1-big B1": ("bilstm256", states(100, 1, 256, 256, 2), [1, 2], {"fp32": (2.4, 2.0), "tf32": (1.9, 1.6), "bf16": (1.3, .95)}),
    "W1-big B32": ("bilstm256", states(100, 32, 256, 256, 2), [1, 2], {"fp32": (33, 27), "tf32": (19, 15), "bf16": (9.5, 7.5)}),
    "W2 B50": ("curve64", floats(50, 9, 2), [1, 2], {"fp32": (.055, .040), "tf32": (.036, .028), "bf16": (.030, .022)}),
    "W3 B1": ("lenet", floats(1, 1, 28, 28), [1, 2], {"fp32": (.024, .018), "tf32": (.019, .015), "bf16": (.013, .009), "int8": (.012, .008)}),
    "W4 B1": ("alexnet", floats(1, 3, 224, 224), [1, 2], {"fp32": (9.0, 8.2), "tf32": (7.6, 6.7), "bf16": (3.6, 2.9), "int8": (1.8, 1.35)}),
    "W5 B1": ("swin", floats(1, 3, 224, 224), [1, 2], {"fp32": (25, 19), "tf32": (18, 13), "bf16": (11, 7.5), "int8": (9, 6)}),
    "W6 1x200": ("bert", tokens(1, 200), [1, 2], {"fp32": (75, 55), "tf32": (45, 32), "bf16": (20, 13), "int8": (15, 10.5)}),
    "W6 8x128": ("bert", tokens(8, 128), [1, 2], {"fp32": (340, 250), "tf32": (190, 140), "bf16": (85, 55), "int8": (60, 40)}),
    "W7 B1": ("resnet50", floats(1, 3, 224, 224), [1, 2], {"fp32": (17, 13.5), "tf32": (12, 9), "bf16": (5.5, 3.6), "int8": (3.6, 2.3)}),
}
# Dims that the exported file leaves open, by network: input, axes and their names
STATES = {"x0": {0: "steps", 1: "batch"}, "x1": {1: "batch"}, "x2": {1: "batch"}}
WORDS = {0: "batch", 1: "length"}
OPEN = {"bilstm10": STATES, "bilstm256": STATES, "curve64": {"x0": {0: "batch"}}, "bert": {"x0": WORDS, "x1": WORDS}}
# Where structures without weights are kept, below the folder that is asked for
STRUCTURES = {"alexnet": "alexnet_full/alexnet.onnx", "swin": "swin_t_full/swin_t.onnx", "bert": "bert_base_full/bert_opset11.onnx",
              "resnet50": "resnet50_full/resnet50.onnx"}


def lstm(inputs, hidden, layers):
    """Both directions, with the states before and after as inputs and outputs."""
    class Lstm(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(inputs, hidden, layers, bidirectional=True)

        def forward(self, x, h, c):
            y, (h, c) = self.lstm(x, (h, c))
            return y, h, c
    return Lstm()


def curve64():
    class Curve(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(2, 64, batch_first=True)
            self.fc = nn.Linear(64, 2)

        def forward(self, x):
            return self.fc(self.lstm(x)[0][:, -1])
    return Curve()


def lenet():
    return nn.Sequential(nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10))


def alexnet():
    def conv(inputs, outputs, size, **more):
        return [nn.Conv2d(inputs, outputs, size, **more), nn.ReLU()]
    return nn.Sequential(
        *conv(3, 64, 11, stride=4, padding=2), nn.MaxPool2d(3, 2), *conv(64, 192, 5, padding=2), nn.MaxPool2d(3, 2),
        *conv(192, 384, 3, padding=1), *conv(384, 256, 3, padding=1), *conv(256, 256, 3, padding=1), nn.MaxPool2d(3, 2),
        nn.Flatten(), nn.Linear(9216, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000))


def resnet50():
    def conv(inputs, outputs, size, stride=1, act=True):
        parts = [nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs)]
        return parts + ([nn.ReLU()] if act else [])

    class Block(nn.Module):
        def __init__(self, inputs, width, stride):
            super().__init__()
            self.way = nn.Sequential(*conv(inputs, width, 1), *conv(width, width, 3, stride), *conv(width, 4 * width, 1, act=False))
            same = inputs == 4 * width
            self.past = nn.Identity() if same else nn.Sequential(*conv(inputs, 4 * width, 1, stride, act=False))

        def forward(self, x):
            return F.relu(self.way(x) + self.past(x))
    parts, inputs = conv(3, 64, 7, 2) + [nn.MaxPool2d(3, 2, 1)], 64
    for stage, depth in enumerate((3, 4, 6, 3)):
        for block in range(depth):
            parts.append(Block(inputs, 64 << stage, 2 if stage and not block else 1))
            inputs = 4 * (64 << stage)
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 1000))


def attend(q, k, v, bias, exporting, mask=None):
    """Softmax(q k' / sqrt(d) + bias + mask) v; in torch's own kernel where it has one. A mask is for each window [windows, n, n],
    and exported as models are published: in a reshape of the scores, for any number of images."""
    if not exporting and hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v, bias if mask is None else bias + mask[:, None])
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -.5 + bias
    if mask is not None:
        apart = scores.reshape(-1, mask.shape[0], *scores.shape[1:]) + mask[None, :, None]
        scores = apart.reshape(scores.shape)
    return torch.softmax(scores, -1) @ v


def swin():
    """Swin-T for 224 x 224."""
    class Block(nn.Module):
        def __init__(self, width, heads, side, shift):
            super().__init__()
            self.heads, self.side, self.shift = heads, side, shift
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
            at = torch.stack(torch.meshgrid(torch.arange(7), torch.arange(7), indexing="ij")).reshape(2, 49)
            apart = at[:, :, None] - at[:, None] + 6
            bias = (torch.randn(169, heads) * .02)[apart[0] * 13 + apart[1]].permute(2, 0, 1)[None]
            mask = None
            if shift:  # windows that were cut apart do not see each other
                row = torch.arange(side)
                part = (row >= side - 7).long() + (row >= side - shift).long()
                part = self.windows((part[:, None] * 3 + part)[None, :, :, None].float())[..., 0]
                mask = torch.where(part[:, :, None] == part[:, None], 0., -100.)
            self.register_buffer("bias", bias.contiguous())
            self.register_buffer("mask", mask)
            self.exporting = False

        def windows(self, x):
            count = self.side // 7
            x = x.reshape(-1, count, 7, count, 7, x.shape[-1]).permute(0, 1, 3, 2, 4, 5)
            return x.reshape(-1, 49, x.shape[-1])

        def forward(self, x):
            width, count = x.shape[-1], self.side // 7
            y = self.norm1(x)
            if self.shift:
                y = torch.roll(y, (-self.shift, -self.shift), (1, 2))
            q, k, v = self.qkv(self.windows(y)).reshape(-1, 49, 3, self.heads, 32).permute(2, 0, 3, 1, 4).unbind(0)
            y = self.out(attend(q, k, v, self.bias, self.exporting, self.mask).transpose(1, 2).reshape(-1, 49, width))
            y = y.reshape(-1, count, count, 7, 7, width).permute(0, 1, 3, 2, 4, 5).reshape(-1, self.side, self.side, width)
            if self.shift:
                y = torch.roll(y, (self.shift, self.shift), (1, 2))
            x = x + y
            return x + self.mlp(self.norm2(x))

    class Merge(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.norm, self.linear = nn.LayerNorm(4 * width), nn.Linear(4 * width, 2 * width, bias=False)

        def forward(self, x):
            return self.linear(self.norm(torch.cat([x[:, a::2, b::2] for b in (0, 1) for a in (0, 1)], -1)))

    class Swin(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.norm0, parts = nn.Conv2d(3, 96, 4, 4), nn.LayerNorm(96), []
            for stage, depth in enumerate((2, 2, 6, 2)):
                width, side = 96 << stage, 56 >> stage
                if stage:
                    parts.append(Merge(width // 2))
                parts += [Block(width, 3 << stage, side, 3 if i % 2 and side > 7 else 0) for i in range(depth)]
            self.parts, self.norm, self.head = nn.Sequential(*parts), nn.LayerNorm(768), nn.Linear(768, 1000)

        def forward(self, x):
            x = self.parts(self.norm0(self.stem(x).permute(0, 2, 3, 1)))
            return self.head(self.norm(x).mean((1, 2)))
    return Swin()


def bert():
    """BERT-base with the Chinese vocabulary and a classifier of two labels."""
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.k, self.v, self.out = (nn.Linear(768, 768) for _ in range(4))
            self.up, self.down = nn.Linear(768, 3072), nn.Linear(3072, 768)
            self.norm1, self.norm2 = nn.LayerNorm(768, 1e-12), nn.LayerNorm(768, 1e-12)
            self.exporting = False

        def forward(self, x, bias):
            def heads(y):
                return y.reshape(y.shape[0], y.shape[1], 12, 64).transpose(1, 2)
            y = attend(heads(self.q(x)), heads(self.k(x)), heads(self.v(x)), bias, self.exporting)
            x = self.norm1(x + self.out(y.transpose(1, 2).reshape(x.shape)))
            return self.norm2(x + self.down(F.gelu(self.up(x))))

    class Bert(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.places, self.types = nn.Embedding(21128, 768), nn.Embedding(512, 768), nn.Embedding(2, 768)
            self.norm, self.layers = nn.LayerNorm(768, 1e-12), nn.ModuleList(Layer() for _ in range(12))
            self.pooler, self.classifier = nn.Linear(768, 768), nn.Linear(768, 2)
            for part in self.modules():
                if isinstance(part, (nn.Linear, nn.Embedding)):
                    nn.init.normal_(part.weight, std=.02)

        def forward(self, ids, mask):
            x = self.words(ids) + self.places.weight[:ids.shape[1]] + self.types.weight[0]
            x, bias = self.norm(x), (1 - mask[:, None, None].to(x.dtype)) * -10000.
            for layer in self.layers:
                x = layer(x, bias)
            return self.classifier(torch.tanh(self.pooler(x[:, 0])))
    return Bert()


def make(name):
    """The module of a network, the same at each call."""
    torch.manual_seed(0)
    builders = {"bilstm10": lambda: lstm(10, 20, 10), "curve64": curve64, "lenet": lenet, "alexnet": alexnet,
                "bilstm256": lambda: lstm(256, 256, 2), "resnet50": resnet50, "swin": swin, "bert": bert}
    return builders[name]().eval()


def data_of(name):
    return next(data for network, data, _, _ in WORKLOADS.values() if network == name)


def quantise(name, model, path):
    """The network quantised by ONNX Runtime's tools: convolutional ones with u8 activations and i8 weights per channel, their ranges
    from one input; the weights of transformers, whose activations are quantised as they come."""
    from onnxruntime import quantization

    class Once(quantization.CalibrationDataReader):
        def __init__(self):
            self.feeds = [{f"x{i}": value for i, value in enumerate(data_of(name)(np.random.default_rng(3)))}]

        def get_next(self):
            return self.feeds.pop() if self.feeds else None
    if name in ("swin", "bert"):
        quantization.quantize_dynamic(model, path, weight_type=quantization.QuantType.QInt8)
    else:
        quantization.quantize_static(model, path, Once(), quant_format=quantization.QuantFormat.QDQ, per_channel=True,
                                     activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8)


def write(name, path, structures, tenon):
    """The ONNX file; an answer is why it cannot be made."""
    if torch is None:
        if name not in STRUCTURES or not structures:
            return "torch is not there to make it"
        done = subprocess.run([tenon, "export", f"{structures}/{STRUCTURES[name]}", "--random-weights", "-o", path],
                              capture_output=True, text=True)
        return done.stderr.strip()[-200:] if done.returncode else None
    module = make(name)
    for part in module.modules():
        part.exporting = True
    inputs = tuple(torch.from_numpy(x) for x in data_of(name)(np.random.default_rng(1)))
    names = [f"x{i}" for i in range(len(inputs))]
    # The exporter of torch 2.9 and later wants to be told that the classic one is meant.
    newer = {"dynamo": False} if int(torch.__version__.split(".")[0]) >= 2 else {}
    outputs = ["y", "h", "c"] if "lstm" in name else ["y"]
    torch.onnx.export(module, inputs, path, opset_version=14, input_names=names, output_names=outputs,
                      dynamic_axes=OPEN.get(name), **newer)
    return None


if __name__ == "__main__":
    why = write(sys.argv[1], sys.argv[2], *(sys.argv[3:] or ["", ""]))
    if why:
        sys.exit(why)
