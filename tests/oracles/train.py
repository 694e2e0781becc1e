#!/usr/bin/env python3
"""`tenon train` beside PyTorch's own training, from the same seed: the curve network for 20 epochs, and the first
200 steps of LeNet, whose order of samples comes from a DataLoader.
Usage: train.py TENON CURVE.csv MNIST_FOLDER     Exit code 77: torch is not here."""
import gzip
import os
import re
import subprocess
import sys
import tempfile

try:
    import numpy
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError:
    print("skipped: torch is not installed")
    sys.exit(77)

tenon, csv, mnist = sys.argv[1:]
work = tempfile.mkdtemp()


def train(*arguments):
    out = subprocess.run([tenon, "train", *arguments], capture_output=True, text=True, check=True).stdout
    return out


def first_losses(count, *arguments):
    """Of a training that is ended when it has printed so many."""
    losses = []
    with subprocess.Popen([tenon, "train", *arguments], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            losses += [float(w) for w in re.findall(r"Loss: ([0-9.]+)", line)]
            if len(losses) == count:
                break
        process.terminate()
    return losses


def compare(name, ours, theirs, limit):
    worst = max(abs(a - b) / b for a, b in zip(ours, theirs))
    if len(ours) != len(theirs) or not worst < limit:
        sys.exit(f"{name}: losses {ours} instead of {theirs}")
    return f"{name}: {len(ours)} losses, at most {worst:.2g} apart"


class Curve(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(2, 6, 3, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(12, 2)

    def forward(self, x):
        return self.fc(self.lstm(x)[0][:, -1]).reshape(-1, 1, 2)


def curve(seed):
    rows = numpy.genfromtxt(csv, delimiter=",", skip_header=1) / [100, 10]
    x = torch.tensor(numpy.array([rows[i:i + 9] for i in range(50)]), dtype=torch.float32)
    y = torch.tensor(numpy.array([rows[i + 9:i + 10] for i in range(50)]), dtype=torch.float32)
    torch.manual_seed(seed)
    net = Curve()
    optimizer, losses = torch.optim.Adam(net.parameters(), lr=0.01), []
    for _ in range(20):
        steps = []
        for at in range(0, 50, 10):
            loss = F.mse_loss(net(x[at:at + 10]), y[at:at + 10])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps.append(loss.item())
        losses.append(numpy.mean(steps))
    out = train(csv, f"--seed={seed}", "--epochs=20", "--every=1", "-o", os.path.join(work, "curve.pth"))
    return compare(f"curve, seed {seed}", [float(w) for w in re.findall(r"loss=([^ ]+)", out)], losses, 1e-3)


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 20, 5), nn.Conv2d(20, 50, 5)
        self.fc1, self.fc2 = nn.Linear(800, 500), nn.Linear(500, 10)

    def forward(self, x):
        x = F.max_pool2d(self.conv1(x), 2)
        x = F.max_pool2d(self.conv2(x), 2).flatten(1)
        return F.log_softmax(self.fc2(F.relu(self.fc1(x))), 1)


def idx(name, header):
    return torch.from_numpy(numpy.frombuffer(gzip.open(os.path.join(mnist, name)).read(), numpy.uint8)[header:].copy())


def lenet():
    images = ((idx("train-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28).float() / 255) - 0.1307) / 0.3081
    labels = idx("train-labels-idx1-ubyte.gz", 8).long()
    torch.manual_seed(0)
    net = LeNet()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0025, momentum=0.9)
    data = torch.utils.data.TensorDataset(images, labels)
    losses = []
    for step, (x, y) in enumerate(torch.utils.data.DataLoader(data, batch_size=64, shuffle=True)):
        loss = F.nll_loss(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            losses.append(loss.item())
        if step == 200:
            break
    ours = first_losses(len(losses), f"--data={mnist}", "--epochs=1", "--seed=0", "--every=10", "-o", os.path.join(work, "mnist.pth"))
    # Rounding grows: PyTorch in doubles is 6e-4 from PyTorch in floats at step 100, 2e-3 at step 200.
    return ", ".join([compare("lenet, 50 steps", ours[:6], losses[:6], 1e-4), compare("200 steps", ours, losses, 2e-2)])


print("; ".join([curve(0), curve(1), lenet()]))
