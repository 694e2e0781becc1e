"""How the time of an inference grows with batch, length and threads.

usage: scaling.py BUILD [--only bert,lenet] [--threads 1,2] [--seconds 0.2] [--rounds 3] [--models FOLDER] [--out FOLDER]

BUILD holds `tenon` and libtenon.so; FOLDER holds full-size structures, whose weights are made up by rule, beside the models of
examples/. One engine a network and number of threads serves all shapes, tuned for one in the middle. Each round times all shapes,
every other round in the opposite order; the best time of a shape counts, since whatever else the machine does only adds to it.
"growth" is the time of a row over that of the row before, "work" the same for the operations: a row whose time grows by more than
its work, and a tenth, is marked. First comes what a loop over threads costs (fork_join, where BUILD has it). About four minutes on
two cores with nothing else to do. Results: OUT/scaling-DATE.md.
"""
import argparse
import datetime
import os
import subprocess
import tempfile
import time

import numpy as np

import tenon

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
SLACK = 1.1
BATCHES, LENGTHS = [1, 2, 4, 8, 16, 32], [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]


def transformer(width, inner, layers):
    """Operations of one pass over batch x length tokens."""
    return lambda batch, length: batch * length * layers * (8 * width * width + 4 * width * inner + 4 * length * width)


def linear(batch, length):
    return batch * length


def tokens(vocabulary):
    def make(random, batch, length):
        ids = random.integers(1, vocabulary, (batch, length))
        return {"input_ids": ids, "segment_ids": np.ones_like(ids)}
    return make


def floats(name, *dims):
    return lambda random, batch, length: {name: random.uniform(-1, 1, (batch, *dims)).astype(np.float32)}


def states(random, batch, length):
    return {name: random.uniform(-1, 1, (count, batch, width)).astype(np.float32)
            for name, count, width in (("input", length, 10), ("h0", 20, 20), ("c0", 20, 20))}


# Network: file, inputs, operations but for a factor, batch and length that the engine is tuned for, series of them to time
NETWORKS = {
    "lenet": ("examples/mnist/mnist.onnx", floats("data", 1, 28, 28), linear, (8, 1), [[(b, 1) for b in BATCHES]]),
    "curve": ("examples/curve/curve.onnx", floats("data", 9, 2), linear, (8, 1), [[(b, 1) for b in BATCHES]]),
    "lstm 10x20": ("examples/bilstm10/lstm.onnx", states, linear, (3, 16), [[(3, s) for s in LENGTHS]]),
    "bert small": ("examples/bert/bert.onnx", tokens(2000), transformer(64, 256, 2), (4, 64),
                   [[(b, 64) for b in BATCHES], [(1, s) for s in LENGTHS]]),
    "bert base": ("FULL/bert_base_full/bert_opset11.onnx", tokens(21128), transformer(768, 3072, 12), (2, 64),
                  [[(b, 32) for b in BATCHES], [(1, s) for s in LENGTHS]]),
    "resnet50": ("FULL/resnet50_full/resnet50.onnx", floats("input", 3, 224, 224), linear, (4, 1), [[(b, 1) for b in BATCHES]]),
}


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build")
    parser.add_argument("--only", default="")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=.2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", default=os.path.join(ROOT, "..", "shared", "models"))
    parser.add_argument("--out", default=os.path.join(HERE, "results"))
    return parser.parse_args()


def once(engine, tensors, seconds):
    """The best time of several runs, in ms."""
    engine.bind(tensors)
    engine.run()
    best, stop = float("inf"), time.perf_counter() + seconds
    while True:
        begin = time.perf_counter()
        engine.run()
        end = time.perf_counter()
        best = min(best, end - begin)
        if end > stop:
            return best * 1e3


def measure(options, name, threads, work):
    """By shape, in ms."""
    file, inputs, _, opt, series = NETWORKS[name]
    tool, path = os.path.join(options.build, "tenon"), f"{work}/{name}.engine".replace(" ", "_")
    model, random = os.path.join(ROOT, file), np.random.default_rng(1)
    if file.startswith("FULL/"):
        model = f"{work}/{name}.onnx".replace(" ", "_")
        if not os.path.exists(model):
            tenon.with_weights(tool, file.replace("FULL", options.models, 1), model)
    shapes = ",".join(f"{key}:{'x'.join(map(str, value.shape))}" for key, value in inputs(random, *opt).items())
    tenon.build(tool, model, path, f"--threads={threads}", f"--optShapes={shapes}", "--no-check")
    engine = tenon.Engine(os.path.join(options.build, "libtenon.so"), path, threads)
    feeds = {shape: inputs(random, *shape) for shape in sorted({shape for row in series for shape in row})}
    times = dict.fromkeys(feeds, float("inf"))
    for turn in range(options.rounds):
        for shape in list(feeds) if turn % 2 == 0 else list(feeds)[::-1]:
            times[shape] = min(times[shape], once(engine, engine.prepare(feeds[shape]), options.seconds))
    engine.close()
    os.remove(path)
    return times


def table(name, times):
    """Times by number of threads, then by shape."""
    _, _, work, opt, series = NETWORKS[name]
    lines, marked, most = [f"## {name}, tuned for batch {opt[0]}, length {opt[1]}", ""], 0, max(times)
    lines += ["| batch | length | " + " | ".join(f"{n} thread{'s' * (n > 1)}, ms | growth" for n in times) + f" | work | 1 / {most} threads |",
              "|---" * (4 + 2 * len(times)) + "|"]
    for row in series:
        for before, shape in zip([None, *row], row):
            wanted = work(*shape) / work(*before) if before else None
            cells = [str(shape[0]), str(shape[1])]
            for one in times.values():
                growth = one[shape] / one[before] if before else None
                beyond = before is not None and growth > wanted * SLACK
                marked += beyond
                cells += [f"{one[shape]:.4g}", f"{growth:.2f}{' (!)' if beyond else ''}" if before else ""]
            cells += [f"{wanted:.2f}" if before else "", f"{times[min(times)][shape] / times[most][shape]:.2f}"]
            lines.append("| " + " | ".join(cells) + " |")
    return lines + [""], marked


def main():
    options = arguments()
    wanted = [word for word in options.only.split(",") if word] or list(NETWORKS)
    threads = [int(word) for word in options.threads.split(",")]
    now = datetime.datetime.now(datetime.timezone.utc)
    lines = ["# How time grows on the CPU", "", f"{now:%Y-%m-%d %H:%M} UTC, {tenon.cpu_name()}, {len(os.sched_getaffinity(0))} cores. "
             f"`bench/scaling.py`: best of {options.rounds} turns of {options.seconds} s a shape; (!): grows by more than "
             f"{SLACK} times its work.", ""]
    fork_join, marked = os.path.join(options.build, "tests", "fork_join"), 0
    if os.path.exists(fork_join):
        lines += ["```", subprocess.run([fork_join], capture_output=True, text=True, check=True).stdout.rstrip(), "```", ""]
        print(lines[-3], flush=True)
    with tempfile.TemporaryDirectory() as work:
        for name in wanted:
            rows, count = table(name, {n: measure(options, name, n, work) for n in threads})
            marked += count
            lines += rows
            print("\n".join(rows), flush=True)
    lines.append(f"{marked} steps grow by more than their work.")
    os.makedirs(options.out, exist_ok=True)
    path = os.path.join(options.out, f"scaling-{now:%Y-%m-%d}.md")
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")
    print(path)


main()
