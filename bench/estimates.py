"""How far the cost model is off: what kernels are estimated at, beside what they were measured at.

usage: estimates.py BUILD [--threads 1] [--budget 500] [--models FOLDER] [--out FOLDER]

BUILD holds `tenon`. Full-size networks and those of examples/ are built to learn their problems; each problem that several kernels
take is then built alone, with time to measure them all, and the report is read: times beside estimates. Per kernel: how many, by what
factor it takes longer than estimated (geometric mean), and the spread around that factor. Kernels of one operator are ranked by
estimates where nothing is measured (`--budget=0`, shapes not seen before): there only differences of their factors count. What such
choices cost is the last line: the times of all problems by estimates alone, beside the best. Results: OUT/estimates-DATE.md.
Constants of the model (conv_cost.h, matmul_tiles.c) are set by this table.
"""
import argparse
import collections
import datetime
import math
import os
import re
import subprocess
import tempfile

import tenon

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
# Network: file, shapes to tune for
NETWORKS = {
    "lenet": ("examples/mnist/mnist.onnx", "data:1x1x28x28"),
    "bert small": ("examples/bert/bert.onnx", "input_ids:4x64,segment_ids:4x64"),
    "alexnet": ("FULL/alexnet_full/alexnet.onnx", "input:1x3x224x224"),
    "alexnet, 8": ("FULL/alexnet_full/alexnet.onnx", "input:8x3x224x224"),
    "resnet50": ("FULL/resnet50_full/resnet50.onnx", "input:1x3x224x224"),
    "swin": ("FULL/swin_t_full/swin_t.onnx", "input:1x3x224x224"),
    "bert 1x16": ("FULL/bert_base_full/bert_opset11.onnx", "input_ids:1x16,segment_ids:1x16"),
    "bert 1x200": ("FULL/bert_base_full/bert_opset11.onnx", "input_ids:1x200,segment_ids:1x200"),
}


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--budget", type=int, default=500)
    parser.add_argument("--models", default=os.path.join(ROOT, "..", "shared", "models"))
    parser.add_argument("--out", default=os.path.join(HERE, "results"))
    return parser.parse_args()


def problems(options, work):
    """The problem lines of all reports, each once."""
    found = {}
    for file, shapes in NETWORKS.values():
        full = file.startswith("FULL/")
        model = file.replace("FULL", options.models, 1) if full else os.path.join(ROOT, file)
        report = tenon.build(os.path.join(options.build, "tenon"), model, work + "/engine", "--no-check", "--report", "--budget=0",
                             f"--threads={options.threads}", f"--optShapes={shapes}", *(["--random-weights"] if full else []))
        for problem, rest in re.findall(r"^  (\w+\{?.*?) -> .*\n((?:    .*\n)*)", report, re.M):
            if "lost:" in rest:
                found[problem] = True
    return list(found)


def measured(options, problem):
    """(kernel, ns, estimated ns) of all kernels that were measured."""
    words = [os.path.join(options.build, "tenon"), "bench", "--problem=" + problem, f"--threads={options.threads}", "--no-check",
             f"--budget={options.budget}", "--iterations=1", "--duration=0", "--warmUp=0"]
    report = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return [(kernel, float(ns), float(estimated))
            for kernel, ns, estimated in re.findall(r"^  (\S+): (\d+) ns, estimated (\d+)$", report, re.M)]


def main():
    options = arguments()
    now, by_kernel, best, chosen = datetime.datetime.now(datetime.timezone.utc), collections.defaultdict(list), 0, 0
    with tempfile.TemporaryDirectory() as work:
        all_problems = problems(options, work)
        for problem in all_problems:
            rows = measured(options, problem)
            if len(rows) < 2:
                continue
            for kernel, ns, estimated in rows:
                by_kernel[kernel].append(math.log(ns / estimated))
            best += min(ns for _, ns, _ in rows)
            chosen += min(rows, key=lambda row: row[2])[1]
    lines = ["# Estimates beside measured times", "", f"{now:%Y-%m-%d %H:%M} UTC, {tenon.cpu_name()}, {options.threads} thread(s), "
             f"`bench/estimates.py`: {len(all_problems)} problems of {len(NETWORKS)} networks.", "",
             "| kernel | problems | takes, of its estimate | spread |", "|---|---|---|---|"]
    for kernel, logs in sorted(by_kernel.items(), key=lambda item: (item[0].split(".")[1].replace("fused", ""), item[0])):
        mean = sum(logs) / len(logs)
        spread = math.sqrt(sum((x - mean) ** 2 for x in logs) / len(logs))
        lines.append(f"| {kernel} | {len(logs)} | {math.exp(mean):.2f} | {math.exp(spread):.2f} |")
    lines += ["", f"By estimates alone these problems take {chosen / 1e6:.2f} ms, by the best kernels {best / 1e6:.2f} ms: "
              f"{chosen / best:.3f} times as long."]
    print("\n".join(lines))
    os.makedirs(options.out, exist_ok=True)
    with open(os.path.join(options.out, f"estimates-{now:%Y-%m-%d}.md"), "w") as file:
        file.write("\n".join(lines) + "\n")


main()
