#!/usr/bin/env python3
"""Writes the small checkpoints that tests/unit/test_checkpoint.c reads and the fuzzer starts from:
    python3 make_checkpoints.py ../fuzz/seeds/checkpoint
Needs torch (made with 1.13). Values follow rules that the test knows, so nothing else is stored."""
import argparse
import collections
import io
import json
import os
import struct
import sys
import zipfile

import torch

folder = sys.argv[1]
TYPES = ["float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8",
         "bool", "complex64", "complex128"]


def path(name):
    return os.path.join(folder, name)


def save(thing, name, **options):
    """Through memory, so that no path of this machine is in the file."""
    buffer = io.BytesIO()
    torch.save(thing, buffer, **options)
    with open(path(name), "wb") as file:
        file.write(buffer.getvalue())


class Tied(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(2, 2)
        self.second = torch.nn.Linear(2, 2, bias=False)
        self.second.weight = self.first.weight
        self.norm = torch.nn.BatchNorm1d(2)
        self.register_buffer("kept", torch.arange(3))
        self.register_buffer("passing", torch.arange(4), persistent=False)
        for parameter in self.parameters():
            parameter.data = torch.arange(parameter.numel(), dtype=torch.float32).reshape(parameter.shape)


types = {name: torch.arange(6).reshape(2, 3).to(getattr(torch, name)) for name in TYPES}
types["scalar"] = torch.tensor(7.0)
types["empty"] = torch.zeros(0, 3)
save(types, "types.pth")

base = torch.arange(24, dtype=torch.float32)
grid = base.view(4, 6)
views = collections.OrderedDict(
    base=grid, transposed=grid.t(), row=base[6:12], column=grid[:, 2],
    windows=base.as_strided((5, 4), (2, 1), 3), expanded=base[7].expand(3, 2), repeated=base[:6].expand(3, 6))
save(views, "views.pth")
save(views, "views_legacy.pth", _use_new_zipfile_serialization=False)

torch.manual_seed(0)
net = torch.nn.Linear(2, 1)
optimizer = torch.optim.Adam(net.parameters())
net(torch.ones(1, 2)).sum().backward()
optimizer.step()
net.weight.data = torch.tensor([[1.0, 2.0]])
net.bias.data = torch.tensor([3.0])
save({"epoch": 3, "model": {"net": net.state_dict()}, "optimizer": optimizer.state_dict(),
      "args": argparse.Namespace(lr=0.1), "pair": (torch.tensor([4.0]), torch.tensor([5.0])),
      "size": torch.Size([1, 2]), "device": torch.device("cpu"), "huge": 1 << 100}, "training.pth")

save(Tied(), "module.pth")
save(torch.nn.Parameter(torch.arange(3, dtype=torch.float32)), "parameter.pth")
save(collections.OrderedDict(engine=bytearray(range(256)), input_names=["x"], output_names=["y"]), "torch2trt.pth")

with zipfile.ZipFile(path("views.pth")) as stored, \
        zipfile.ZipFile(path("deflated.pth"), "w", zipfile.ZIP_DEFLATED) as packed:
    for name in stored.namelist():
        packed.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), stored.read(name), zipfile.ZIP_DEFLATED)

# What newer versions write for types without a storage class of their own.
pickle = (b"\x80\x02}(X\x02\x00\x00\x00u2ctorch._utils\n_rebuild_tensor_v3\n((X\x07\x00\x00\x00storagectorch.storage\n"
          b"UntypedStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x0atQK\x02K\x03\x85K\x01\x85\x89ccollections\n"
          b"OrderedDict\n)Rctorch\nuint16\ntRu.")
with zipfile.ZipFile(path("untyped.pth"), "w") as archive:
    for name, data in (("data.pkl", pickle), ("data/0", struct.pack("<5H", *range(5))), ("version", b"3\n")):
        archive.writestr(zipfile.ZipInfo("archive/" + name, (1980, 1, 1, 0, 0, 0)), data)

header = json.dumps({
    "__metadata__": {"format": "pt"},
    "odd": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]},
    "unaligned": {"dtype": "F32", "shape": [2, 3], "data_offsets": [3, 27]},
    "scalar": {"dtype": "BF16", "shape": [], "data_offsets": [27, 29]},
    "empty": {"dtype": "I64", "shape": [0, 4], "data_offsets": [29, 29]},
}).encode()
with open(path("small.safetensors"), "wb") as file:
    file.write(struct.pack("<Q", len(header)) + header + bytes(range(3)) + struct.pack("<6f", *range(6)) + b"\xe0\x40")
