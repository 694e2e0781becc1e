"""The networks that are converted from live PyTorch modules, written out: no torchvision."""

import torch
from torch import nn
from torch.nn import functional as F


class AlexNet(nn.Module):
    def __init__(self, width=64, classes=1000):
        super().__init__()
        w = width
        self.features = nn.Sequential(
            nn.Conv2d(3, w, 11, 4, 2), nn.ReLU(True), nn.MaxPool2d(3, 2),
            nn.Conv2d(w, 3 * w, 5, padding=2), nn.ReLU(True), nn.MaxPool2d(3, 2),
            nn.Conv2d(3 * w, 6 * w, 3, padding=1), nn.ReLU(True),
            nn.Conv2d(6 * w, 4 * w, 3, padding=1), nn.ReLU(True),
            nn.Conv2d(4 * w, 4 * w, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(3, 2))
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Linear(4 * w * 36, 64 * w), nn.ReLU(True), nn.Dropout(),
            nn.Linear(64 * w, 64 * w), nn.ReLU(True), nn.Linear(64 * w, classes))

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class Bottleneck(nn.Module):
    def __init__(self, channels, width, stride=1):
        super().__init__()
        out = 4 * width
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out))
        self.short = nn.Identity() if channels == out and stride == 1 else nn.Sequential(
            nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        return F.relu(self.body(x) + self.short(x))


class ResNet50(nn.Module):
    def __init__(self, width=64, classes=1000, blocks=(3, 4, 6, 3)):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width),
                                  nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        stages, channels = [], width
        for stage, count in enumerate(blocks):
            for block in range(count):
                stages.append(Bottleneck(channels, width << stage, 2 if stage and not block else 1))
                channels = 4 * (width << stage)
        self.stages = nn.Sequential(*stages)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        return self.fc(self.stages(self.stem(x)).mean((2, 3)))


class BertLayer(nn.Module):
    def __init__(self, hidden=64, heads=4):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(hidden, hidden) for _ in range(4))
        self.norm1, self.norm2 = nn.LayerNorm(hidden, 1e-12), nn.LayerNorm(hidden, 1e-12)
        self.wide, self.narrow = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)

    def forward(self, x, mask):
        batch, length, hidden = x.shape

        def split(y):
            return y.view(batch, length, self.heads, hidden // self.heads).transpose(1, 2)
        scores = split(self.q(x)) @ split(self.k(x)).transpose(2, 3) / (hidden // self.heads) ** 0.5
        scores = scores + (1.0 - mask[:, None, None, :]) * -10000.0
        y = (scores.softmax(-1) @ split(self.v(x))).transpose(1, 2).reshape(batch, length, hidden)
        x = self.norm1(x + self.o(y))
        return self.norm2(x + self.narrow(F.gelu(self.wide(x))))


class SwinBlock(nn.Module):
    def __init__(self, dim, heads, size, window, shift):
        super().__init__()
        self.heads, self.window, self.shift, self.size = heads, window, shift, size
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.table = nn.Parameter(torch.randn((2 * window - 1) ** 2, heads) * 0.02)
        place = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window),
                                           indexing="ij")).flatten(1)
        apart = (place[:, :, None] - place[:, None]) + window - 1
        self.register_buffer("index", apart[0] * (2 * window - 1) + apart[1])
        mask = None
        if shift:
            region = torch.zeros(size, size)
            cuts = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
            for i, rows in enumerate(cuts):
                for j, columns in enumerate(cuts):
                    region[rows, columns] = 3 * i + j
            parts = self.split(region[None, :, :, None]).squeeze(-1)
            mask = torch.where(parts[:, None] == parts[:, :, None], 0.0, -100.0)
        self.register_buffer("mask", mask)

    def split(self, x):
        b, h, w, c = x.shape
        n = self.window
        return x.view(b, h // n, n, w // n, n, c).transpose(2, 3).reshape(-1, n * n, c)

    def forward(self, x):
        b, length, c = x.shape
        n, size = self.window, self.size
        y = self.norm1(x).view(b, size, size, c)
        if self.shift:
            y = torch.roll(y, (-self.shift, -self.shift), (1, 2))
        y = self.split(y)
        q, k, v = self.qkv(y).view(-1, n * n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        scores = (q * (c // self.heads) ** -0.5) @ k.transpose(-2, -1)
        bias = self.table[self.index.view(-1)].view(n * n, n * n, -1).permute(2, 0, 1)
        scores = scores + bias[None]
        if self.mask is not None:
            count = self.mask.shape[0]
            scores = (scores.view(-1, count, self.heads, n * n, n * n) + self.mask[:, None]).view(
                -1, self.heads, n * n, n * n)
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(-1, n * n, c)
        y = self.proj(y).view(b, size // n, size // n, n, n, c).transpose(2, 3).reshape(
            b, size, size, c)
        if self.shift:
            y = torch.roll(y, (self.shift, self.shift), (1, 2))
        x = x + y.reshape(b, length, c)
        return x + self.mlp(self.norm2(x))


class Merge(nn.Module):
    def __init__(self, dim, size):
        super().__init__()
        self.size = size
        self.norm, self.narrow = nn.LayerNorm(4 * dim), nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x):
        b, _, c = x.shape
        x = x.view(b, self.size, self.size, c)
        x = torch.cat([x[:, i::2, j::2] for i, j in ((0, 0), (1, 0), (0, 1), (1, 1))], -1)
        return self.narrow(self.norm(x.view(b, -1, 4 * c)))


class Swin(nn.Module):
    def __init__(self, dim=16, depths=(2, 2), heads=(2, 4), image=56, window=7, classes=10):
        super().__init__()
        self.patch = nn.Conv2d(3, dim, 4, 4)
        self.norm0 = nn.LayerNorm(dim)
        size, parts = image // 4, []
        for stage, depth in enumerate(depths):
            if stage:
                parts.append(Merge(dim, size))
                dim, size = 2 * dim, size // 2
            parts += [SwinBlock(dim, heads[stage], size, window,
                                window // 2 if block % 2 and size > window else 0)
                      for block in range(depth)]
        self.parts = nn.Sequential(*parts)
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, classes)

    def forward(self, x):
        x = self.norm0(self.patch(x).flatten(2).transpose(1, 2))
        return self.head(self.norm(self.parts(x)).mean(1))
