#!/usr/bin/env python3
"""Checkpoints under other names, and recurrent networks with outputs computed here:
    python3 make_cases.py MODELS OUT
Each folder of OUT gets model.safetensors, flags (of tenon check) and data (where the data sets are).
Needs numpy, safetensors and onnx; PyTorch's files are read without PyTorch."""
import collections
import glob
import os
import pickle
import re
import sys
import zipfile

import numpy as np
import onnx
from onnx import numpy_helper
from safetensors.numpy import save_file

models, out = sys.argv[1:3]
random = np.random.RandomState(1)


class Reader(pickle.Unpickler):
    def __init__(self, archive):
        self.archive = zipfile.ZipFile(archive)
        self.folder = self.archive.namelist()[0].split("/")[0]
        super().__init__(self.archive.open(self.folder + "/data.pkl"))

    def find_class(self, module, name):
        if name == "OrderedDict":
            return collections.OrderedDict
        if name == "_rebuild_tensor_v2":
            return lambda storage, offset, size, stride, *rest: np.lib.stride_tricks.as_strided(
                storage[offset:], size, [s * storage.itemsize for s in stride]).copy()
        return {"FloatStorage": np.float32, "LongStorage": np.int64}[name]

    def persistent_load(self, record):
        return np.frombuffer(self.archive.read(f"{self.folder}/data/{record[2]}"), record[1])


def load(name):
    return Reader(os.path.join(models, name)).load()


def case(name, tensors, data, *flags):
    folder = os.path.join(out, name)
    os.makedirs(folder)
    tensors = {k: np.ascontiguousarray(v) for k, v in tensors.items()}
    save_file(tensors, os.path.join(folder, "model.safetensors"))
    for file, text in (("flags", "\n".join(flags)), ("data", data)):
        with open(os.path.join(folder, file), "w") as f:
            f.write(text)


def renamed(tensors, *rules):
    """Each name by the first rule that fits."""
    result = {}
    for name, tensor in tensors.items():
        for pattern, to in rules:
            if re.fullmatch(pattern, name):
                name = re.sub(pattern, to, name) if isinstance(to, str) else to(re.fullmatch(pattern, name))
                break
        result[name] = tensor
    return result


def data_of(name):
    return os.path.join(models, name)


# ---- Swin ----
swin = load("swin_t_mini/model.pth")
index = {f"layers.{s}.blocks.{b}.attn.relative_position_index": np.zeros((49, 49), np.int64)
         for s in range(4) for b in range(2)}
masks = {"layers.0.blocks.1.attn_mask": np.zeros((64, 49, 49), np.float32)}
down = r"layers\.(\d)\.downsample\.(.*)"
case("swin_microsoft",
     {"model." + k: v for k, v in renamed(
         {**swin, **index, **masks}, (down, lambda m: f"layers.{int(m[1]) - 1}.downsample.{m[2]}"),
         (r"head\.fc\.(.*)", r"head.\1")).items()}, data_of("swin_t_mini"), "--arch=swin")


def block(m, rest):
    return f"features.{2 * int(m[1]) + 1}.{m[2]}.{rest}"


case("swin_torchvision",
     renamed({**swin, **index},
             (r"patch_embed\.proj\.(.*)", r"features.0.0.\1"), (r"patch_embed\.norm\.(.*)", r"features.0.2.\1"),
             (down, lambda m: f"features.{2 * int(m[1])}.{m[2]}"),
             (r"layers\.(\d)\.blocks\.(\d)\.mlp\.fc1\.(.*)", lambda m: block(m, "mlp.0." + m[3])),
             (r"layers\.(\d)\.blocks\.(\d)\.mlp\.fc2\.(.*)", lambda m: block(m, "mlp.3." + m[3])),
             (r"layers\.(\d)\.blocks\.(\d)\.(.*)", lambda m: block(m, m[3])),
             (r"head\.fc\.(.*)", r"head.\1")), data_of("swin_t_mini"))
split = {}
for name, tensor in swin.items():
    if ".qkv." in name:
        for part, piece in zip("qkv", np.split(tensor, 3)):
            split[name.replace("qkv", part)] = piece
    else:
        split[name] = tensor
face = r"swin.encoder.layers.\1.blocks.\2."
one = r"layers\.(\d)\.blocks\.(\d)\."
case("swin_hugging_face",
     renamed(split,
             (r"patch_embed\.proj\.(.*)", r"swin.embeddings.patch_embeddings.projection.\1"),
             (r"patch_embed\.norm\.(.*)", r"swin.embeddings.norm.\1"),
             (down, lambda m: f"swin.encoder.layers.{int(m[1]) - 1}.downsample.{m[2]}"),
             (one + r"norm1\.(.*)", face + r"layernorm_before.\3"), (one + r"norm2\.(.*)", face + r"layernorm_after.\3"),
             (one + r"attn\.q\.(.*)", face + r"attention.self.query.\3"),
             (one + r"attn\.k\.(.*)", face + r"attention.self.key.\3"),
             (one + r"attn\.v\.(.*)", face + r"attention.self.value.\3"),
             (one + r"attn\.proj\.(.*)", face + r"attention.output.dense.\3"),
             (one + r"attn\.rel(.*)", face + r"attention.self.rel\3"),
             (one + r"mlp\.fc1\.(.*)", face + r"intermediate.dense.\3"),
             (one + r"mlp\.fc2\.(.*)", face + r"output.dense.\3"),
             (r"norm\.(.*)", r"swin.layernorm.\1"), (r"head\.fc\.(.*)", r"classifier.\1")),
     data_of("swin_t_mini"))

# ---- Convolutions ----
case("alexnet_torchvision",
     renamed(load("alexnet_mini/model.pth"), (r"(1[69]|21)\.(.*)", lambda m: f"module.classifier.{int(m[1]) - 15}.{m[2]}"),
             (r"(\d+\..*)", r"module.features.\1")), data_of("alexnet_mini"), "--arch=alexnet")
case("resnet50_parallel", {"module." + k: v for k, v in load("resnet50_mini/model.pth").items()},
     data_of("resnet50_mini"))
case("lenet_f64", {"net." + k: v.astype(np.float64) for k, v in load("mnist/mnist.pth").items()}, data_of("mnist"))

# ---- BERT ----
bert = load("bert_mini/model.pth")
four = r"module.bert.encoderLayer.\1."
layer = r"blocks\.(\d)\."
case("bert4torch",
     {**renamed(bert, (r"we\.(.*)", r"module.bert.embeddings.word_embeddings.\1"),
                (r"pe\.(.*)", r"module.bert.embeddings.position_embeddings.\1"),
                (r"se\.(.*)", r"module.bert.embeddings.segment_embeddings.\1"),
                (r"n\.(.*)", r"module.bert.embeddings.layerNorm.\1"),
                (layer + r"([qkvo])\.(.*)", four + r"multiHeadAttention.\2.\3"),
                (layer + r"n([12])\.(.*)", four + r"layerNorm\2.\3"),
                (layer + r"f1\.(.*)", four + r"feedForward.intermediateDense.\2"),
                (layer + r"f2\.(.*)", four + r"feedForward.outputDense.\2"), (r"dense\.(.*)", r"module.dense.\1")),
      "module.bert.pooler.weight": np.zeros((64, 64), np.float32), "module.bert.pooler.bias": np.zeros(64, np.float32)},
     data_of("bert_mini"), "--set=heads=2")
# the same, as Hugging Face would have named it (LayerNorm as in files from TensorFlow)
two = r"bert.encoder.layer.\1."
self = dict(q="query", k="key", v="value")
case("bert_as_hugging_face",
     renamed(bert, (r"we\.(.*)", r"bert.embeddings.word_embeddings.\1"),
             (r"pe\.(.*)", r"bert.embeddings.position_embeddings.\1"),
             (r"se\.(.*)", r"bert.embeddings.token_type_embeddings.\1"),
             (r"n\.weight", "bert.embeddings.LayerNorm.gamma"), (r"n\.bias", "bert.embeddings.LayerNorm.beta"),
             (layer + r"([qkv])\.(.*)", lambda m: f"bert.encoder.layer.{m[1]}.attention.self.{self[m[2]]}.{m[3]}"),
             (layer + r"o\.(.*)", two + r"attention.output.dense.\2"),
             (layer + r"n1\.(.*)", two + r"attention.output.LayerNorm.\2"),
             (layer + r"n2\.(.*)", two + r"output.LayerNorm.\2"),
             (layer + r"f1\.(.*)", two + r"intermediate.dense.\2"), (layer + r"f2\.(.*)", two + r"output.dense.\2"),
             (r"dense\.(.*)", r"classifier.\1")) | {
         "bert.pooler.dense.weight": np.zeros((64, 64), np.float32), "bert.pooler.dense.bias": np.zeros(64, np.float32)},
     data_of("bert_mini"), "--set=heads=2", "--set=mask=ids", "--set=pool=cls", "--set=softmax=1", "--set=strict=0")
# a real model of Hugging Face, whose tensors are in its export (biases are zeros, norms ones)
have = {i.name: numpy_helper.to_array(i) for i in onnx.load(os.path.join(models, "hf_bert_mini/bert_dynamo.onnx")).graph.initializer}
real = {k: v for k, v in have.items() if k.startswith("m.") and "LayerNorm" not in k}
zeros, ones = np.zeros(64, np.float32), np.ones(64, np.float32)
numbers = iter((49, 57, 65, 105, 109, 111, 115, 123, 131, 169, 173, 175))
assert not have["m.bert.embeddings.LayerNorm.bias"].any() and (have["m.bert.embeddings.LayerNorm.weight"] == 1).all()
real.update({"m.bert.embeddings.LayerNorm.weight": ones, "m.bert.embeddings.LayerNorm.bias": zeros,
             "m.bert.pooler.dense.bias": zeros, "m.classifier.bias": zeros[:2]})
for n in range(2):
    at = f"m.bert.encoder.layer.{n}."
    for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
                 "intermediate.dense", "output.dense"):
        real[f"{at}{part}.weight"] = have[f"val_{next(numbers)}"].T
        real[f"{at}{part}.bias"] = np.zeros(256 if part == "intermediate.dense" else 64, np.float32)
    for part in ("attention.output", "output"):
        real[f"{at}{part}.LayerNorm.weight"] = ones
        real[f"{at}{part}.LayerNorm.bias"] = zeros
case("bert_hugging_face", real, data_of("hf_bert_mini"), "--set=heads=2")


# ---- Recurrent networks, by PyTorch's formulas ----
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step(kind, x, h, wi, wh, bi, bh):
    a, b = x @ wi.T + bi, h @ wh.T + bh
    if kind == "rnn":
        return np.maximum(a + b, 0)
    (ar, az, an), (br, bz, bn) = np.split(a, 3, -1), np.split(b, 3, -1)
    z = sigmoid(az + bz)
    return (1 - z) * np.tanh(an + sigmoid(ar + br) * bn) + z * h


def recurrent(name, kind, layers, directions, linear, batch_first, *flags):
    inputs, hidden, batch, time, gates = 3, 4, 2, 5, 3 if kind == "gru" else 1
    def draw(*shape):
        return random.uniform(-0.7, 0.7, shape)
    x = draw(time, batch, inputs)
    h0 = np.zeros((layers * directions, batch, hidden)) if linear else draw(layers * directions, batch, hidden)
    given, tensors, last, prefix = x, {}, [], "net.gru." if linear else ""
    for k in range(layers):
        sides = []
        for d in range(directions):
            end = f"_l{k}" + ("_reverse" if d else "")
            p = [draw(gates * hidden, x.shape[2]), draw(gates * hidden, hidden), draw(gates * hidden), draw(gates * hidden)]
            for what, tensor in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), p):
                tensors[prefix + what + end] = tensor.astype(np.float32)
            h, ys = h0[k * directions + d], [None] * time
            for t in range(time)[::-1 if d else 1]:
                ys[t] = h = step(kind, x[t], h, *p)
            sides.append(np.stack(ys))
            last.append(h)
        x = np.concatenate(sides, -1)
    outputs = [x.swapaxes(0, 1) if batch_first else x, np.stack(last)]
    if linear:
        tensors["net.head.weight"], tensors["net.head.bias"] = draw(6, x.shape[2]), draw(6)
        outputs = [(x[-1] @ tensors["net.head.weight"].T + tensors["net.head.bias"]).reshape(batch, 3, 2)]
    data = os.path.join(out, name, "test_data_set_0")
    case(name, tensors, data, *flags)
    os.makedirs(data)
    feeds = [given.swapaxes(0, 1) if batch_first else given] + ([] if linear else [h0])
    for what, arrays in (("input", feeds), ("output", outputs)):
        for i, array in enumerate(arrays):
            np.save(os.path.join(data, f"{what}_{i}.npy"), np.ascontiguousarray(array, np.float32))


recurrent("gru_bare", "gru", 2, 2, False, False)
recurrent("gru_batch_first", "gru", 1, 1, False, True, "--set=batch_first=1")
recurrent("gru_forecast", "gru", 2, 2, True, True, "--arch=lstm", "--set=horizon=3")
recurrent("rnn_relu", "rnn", 2, 1, False, False, "--set=nonlinearity=relu")
print(len(glob.glob(os.path.join(out, "*"))), "checkpoints")
