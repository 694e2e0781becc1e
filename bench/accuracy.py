"""Relative L2 difference of Tenon's outputs to float64, for the full-size networks.

usage: accuracy.py BUILD [--precision fp32] [--threads 2] [--only bert,swin] [--sets 2] [--out FOLDER]

BUILD holds `tenon` and libtenon.so. The networks are those of networks.py: exported to ONNX in float32 for Tenon, and run by PyTorch
with the same weights in float64. Engines are built with the default budget and without a check of their own. Prints the table of
docs/numerics.md, and keeps it in OUT/accuracy-DATE-PRECISION.md; the worst of all sets of inputs counts. TN_CPU in the environment
limits Tenon to fewer instructions. Above the tolerance of the precision: exit code 1.
"""
import argparse
import datetime
import os
import sys
import tempfile

import numpy as np
import torch

import networks
import tenon

LIMIT = os.environ.get("TN_CPU", "")
TOLERANCE = {"fp32": 1e-5, "tf32": 1e-3, "bf16": 2e-2}


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build")
    parser.add_argument("--precision", default="fp32", choices=TOLERANCE)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--sets", type=int, default=2)
    parser.add_argument("--out", default="")
    return parser.parse_args()


def exact(module, data):
    """The first output, computed in float64 from the float32 weights."""
    inputs = [torch.from_numpy(value) for value in data]
    with torch.no_grad():
        result = module(*[x.double() if x.is_floating_point() else x for x in inputs])
    return (result[0] if isinstance(result, tuple) else result).numpy()


def differences(options, network, sets, work):
    path, engine_path = f"{work}/{network}.onnx", f"{work}/{network}.engine"
    if not os.path.exists(path):
        why = networks.write(network, path, None, None)
        if why:
            raise RuntimeError(why)
    feeds = [{f"x{i}": np.ascontiguousarray(value) for i, value in enumerate(data)} for data in sets]
    shapes = ",".join(f"{name}:{'x'.join(map(str, value.shape))}" for name, value in feeds[0].items())
    words = [f"--threads={options.threads}", f"--optShapes={shapes}", "--no-check"]
    tenon.build(os.path.join(options.build, "tenon"), path, engine_path, *words,
                *([] if options.precision == "fp32" else ["--" + options.precision]))
    engine = tenon.Engine(os.path.join(options.build, "libtenon.so"), engine_path, options.threads)
    module, found = networks.make(network).double(), []
    for data, feed in zip(sets, feeds):
        engine.bind(engine.prepare(feed))
        engine.run()
        want = exact(module, data)
        found.append(float(np.linalg.norm(engine.output("y") - want) / np.linalg.norm(want)))
    engine.close()
    os.remove(engine_path)
    return found


def main():
    options, bad, random = arguments(), False, np.random.default_rng(3)
    wanted = [word for word in options.only.split(",") if word]
    now = datetime.datetime.now(datetime.timezone.utc)
    lines = ["# Full-size networks against float64", "", f"{now:%Y-%m-%d %H:%M} UTC, {tenon.cpu_name()}{LIMIT and ', limited to ' + LIMIT}, {options.threads} "
             f"threads; PyTorch {torch.__version__} in float64 on the same float32 weights; the worst of {options.sets} sets of inputs; limit "
             f"{TOLERANCE[options.precision]:g}.", "", f"| workload | inputs | relative L2 to float64, {options.precision} |", "|---|---|---|"]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as work:
        for workload, (network, data, _, _) in networks.WORKLOADS.items():
            if wanted and network not in wanted:
                continue
            sets = [data(random) for _ in range(options.sets)]
            worst = max(differences(options, network, sets, work))
            shapes = ", ".join("x".join(map(str, value.shape)) for value in sets[0])
            bad |= not worst <= TOLERANCE[options.precision]
            lines.append(f"| {workload} {network} | {shapes} | {worst:.1e} |")
            print(lines[-1], flush=True)
    if options.out:
        os.makedirs(options.out, exist_ok=True)
        name = f"accuracy-{now:%Y-%m-%d}-{options.precision}{LIMIT and '-' + LIMIT}.md"
        with open(os.path.join(options.out, name), "w") as file:
            file.write("\n".join(lines) + "\n")
    sys.exit(bad)


main()
