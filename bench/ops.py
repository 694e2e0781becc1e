"""Times single problems against what this machine can do at best.

usage: ops.py BUILD [--problem "MatMul f32[200,768] f32[768,3072]!"] [--flops N] [--filter TEXT]

Each problem runs through every kernel that takes it (`op_suite --bench`, outputs checked). Its roof is the longer of two times:
the operations at the rate of a fixed loop of multiply-adds, and the bytes of its tensors, once each, at the rate of reading from
the level of memory that holds them all; both rates are measured just before, on as many threads. A problem of one's own may
have its operations given. What is below 100 % is what a kernel loses, or work beside the operations counted.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def lstm(steps, batch, inputs, hidden, directions=2, layers=1):
    """A stack, and its operations."""
    gates, weights, flops = 4 * hidden, "", 0
    for layer in range(layers):
        columns = inputs if layer == 0 else directions * hidden
        weights += f" f32[{directions},{gates},{columns}]! f32[{directions},{gates},{hidden}]! f32[{directions},{2 * gates}]!"
        flops += 2 * steps * batch * directions * gates * (columns + hidden)
    return (f"RecurrentStack{{hidden_size={hidden}, layers={layers}, directions={directions}}} f32[{steps},{batch},{inputs}] none "
            f"none{weights} -> 3", flops)


def matmul(rows, columns, depth):
    return f"MatMul f32[{rows},{depth}] f32[{depth},{columns}]!", 2 * rows * columns * depth


def conv(side, inputs, outputs, size, stride=1):
    pad = size // 2
    result = (side + 2 * pad - size) // stride + 1
    return (f"Conv{{pads=[{pad},{pad},{pad},{pad}], strides=[{stride},{stride}]}} f32[1,{inputs},{side},{side}] "
            f"f32[{outputs},{inputs},{size},{size}]!", 2 * result * result * outputs * inputs * size * size)


PROBLEMS = [
    matmul(200, 3072, 768), matmul(200, 768, 3072), matmul(3136, 288, 96), matmul(49, 2304, 768), matmul(1, 4096, 9216),
    matmul(1, 500, 800), conv(56, 64, 64, 3), conv(14, 256, 256, 3), conv(14, 256, 1024, 1), conv(224, 3, 64, 7, 2),
    lstm(1, 3, 40, 20), lstm(100, 1, 256, 256), lstm(100, 32, 256, 256), lstm(9, 50, 2, 64, directions=1),
    ("Attention f32[1,12,200,64] f32[1,12,200,64] f32[1,12,200,64]", 4 * 12 * 200 * 200 * 64),
    ("Softmax f32[12,200,200]", 0), ("LayerNormalization f32[200,768] f32[768]! f32[768]!", 0), ("Gelu f32[200,3072]", 0),
]


def probe(threads):
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, "probe")
        subprocess.run([os.environ.get("CC", "cc"), "-O3", "-march=native", "-pthread", os.path.join(HERE, "probe.c"), "-o", path],
                       check=True)
        return json.loads(subprocess.run([path, str(threads), "all"], capture_output=True, text=True, check=True).stdout)


def read_rate(limits, size):
    """GB/s of the smallest level that holds so many bytes on one core."""
    levels = sorted((int(key[4:-3]), rate) for key, rate in limits.items() if key.startswith("gbs_"))
    return next((rate for kib, rate in levels if kib * 1024 * limits["threads"] >= size), levels[-1][1])


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build")
    parser.add_argument("--problem")
    parser.add_argument("--flops", type=float, default=0)
    parser.add_argument("--filter", default="")
    options = parser.parse_args()
    cores = min(2, len(os.sched_getaffinity(0)))
    limits = [probe(threads) for threads in range(1, cores + 1)]
    for one in limits:
        print(", ".join(f"{key} {value}" for key, value in one.items()))
    for text, flops in [(options.problem, options.flops)] if options.problem else PROBLEMS:
        if options.filter not in text:
            continue
        done = subprocess.run([os.path.join(options.build, "tests", "op_suite"), "--bench", "--problem", text], text=True,
                              capture_output=True)
        size = re.search(r"us, (\d+) bytes", done.stdout)
        if done.returncode or not size:
            sys.exit(done.stdout + done.stderr)
        size = int(size[1])
        print(f"\n{text}\n  {flops / 1e6:.1f} Mflop, {size / 1e6:.2f} MB")
        for name, times in re.findall(r"^ok   (\S+): .*\n +(.* us on 1.*)$", done.stdout, re.M):
            cells = []
            for one, time in zip(limits, re.findall(r"([0-9.]+) us on", times)):
                roof = max(flops / one["gflops"], size / read_rate(one, size)) / 1e3
                cells.append(f"{float(time):10.2f} us {flops / float(time) / 1e3:7.1f} GF/s {100 * roof / float(time):5.1f} %")
            print(f"  {name:48s}" + " |".join(cells))


main()
