"""What engines cost before and beside their inferences: load, first answer, memory, and how even their times are.

usage: start.py BUILD [--only W1,W6] [--threads 1,2] [--seconds 2] [--processes 5] [--models FOLDER] [--out FOLDER]

BUILD holds `tenon` and libtenon.so. The networks are those of networks.py. Each figure is from processes of their own (start.c),
the engine file in the page cache: the median of their loads and first answers (from before the load to the first result), the most
memory that any gained, the code of the library included. "beyond" is that less the weights, as float32, intermediates and outputs. Then
one process runs inferences; "loop" is p99 / p50 of a loop of multiplications that takes as long as an inference does.
Results: OUT/start-DATE.md.
"""
import argparse
import datetime
import json
import os
import subprocess
import tempfile

import numpy as np

import networks
import tenon

HERE = os.path.dirname(os.path.abspath(__file__))
# The goals: load in ms; p99 over p50 on one thread; MB beyond weights and intermediates
LOAD_MS, EVEN, BEYOND_MB = 2, 1.15, 2


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build")
    parser.add_argument("--only", default="")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--models", default=os.path.join(HERE, "..", "..", "shared", "models"))
    parser.add_argument("--out", default=os.path.join(HERE, "results"))
    return parser.parse_args()


def cases():
    """The workloads, and the shortest BERT for its first answer: name, network, inputs."""
    for name, (network, data, _, _) in networks.WORKLOADS.items():
        yield name, network, data(np.random.default_rng(1))
        if name == "W6 1x200":
            yield "W6 1x16", network, networks.tokens(1, 16)(np.random.default_rng(1))


def compile_start(options, work):
    build, program = os.path.abspath(options.build), os.path.join(work, "start")
    subprocess.run([os.environ.get("CC", "cc"), "-O2", os.path.join(HERE, "start.c"), "-I", os.path.join(HERE, "..", "include"),
                    "-L", build, "-ltenon", f"-Wl,-rpath,{build}", "-o", program], check=True)
    return program


def measure(options, program, model, engine, data, threads):
    shapes = ["x".join(map(str, value.shape)) for value in data]
    opt = ",".join(f"x{i}:{shape}" for i, shape in enumerate(shapes))
    tenon.build(os.path.join(options.build, "tenon"), model, engine, f"--threads={threads}", f"--optShapes={opt}", "--no-check")
    words = [("i" if value.dtype == np.int64 else "") + shape for value, shape in zip(data, shapes)]

    def start(seconds):
        done = subprocess.run([program, engine, str(threads), str(seconds), *words], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return json.loads(done.stdout)
    start(0)
    runs = [start(0) for _ in range(options.processes)] + [start(options.seconds)]
    weights, block = os.path.getsize(model), runs[-1]["block_bytes"]
    gained = max(run["gained_kib"] for run in runs) * 1024
    return {**runs[-1], "load_ms": float(np.median([run["load_ms"] for run in runs])),
            "first_ms": float(np.median([run["first_ms"] for run in runs])), "first_least_ms": min(run["first_ms"] for run in runs),
            "weights": weights, "engine": os.path.getsize(engine), "gained": gained, "beyond": gained - weights - block}


def mark(figure, text, goal):
    return text if figure <= goal else f"{text} (!)"


def row(name, threads, r):
    even, loop = r["p99"] / r["p50"], r["loop_p99"] / r["loop_p50"]
    return (f"| {name} | {threads} | {mark(r['load_ms'], '%.2f' % r['load_ms'], LOAD_MS)} | {r['first_ms']:.1f} ({r['first_least_ms']:.1f}) | "
            f"{r['p50']:.4g} | {mark(even, '%.2f' % even, EVEN) if threads == 1 else '%.2f' % even} | {loop:.2f} | {r['weights'] / 1e6:.1f} | "
            f"{r['engine'] / 1e6:.1f} | {r['block_bytes'] / 1e6:.2f} | {r['gained'] / 1e6:.1f} | "
            f"{mark(r['beyond'] / 1e6, '%.1f' % (r['beyond'] / 1e6), BEYOND_MB)} |")


def main():
    options = arguments()
    wanted = [word for word in options.only.split(",") if word]
    now = datetime.datetime.now(datetime.timezone.utc)
    lines = ["# Start, memory and evenness on the CPU", "", f"{now:%Y-%m-%d %H:%M} UTC, {tenon.cpu_name()}, {len(os.sched_getaffinity(0))} cores. "
             f"`bench/start.py`: {options.processes + 1} processes a row; ms and MB; first answers as median (least); (!): above {LOAD_MS} ms "
             f"of load, p99 / p50 of {EVEN} on one thread, {BEYOND_MB} MB beyond weights and intermediates.", "",
             "| workload | threads | load | first answer | p50 | p99 / p50 | loop's | weights | engine file | intermediates | gained | beyond |",
             "|---" * 12 + "|"]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as work:
        program = compile_start(options, work)
        for name, network, data in cases():
            if wanted and not any(name.startswith(word) for word in wanted):
                continue
            model, engine = f"{work}/{network}.onnx", f"{work}/{network}.engine"
            if not os.path.exists(model):
                why = networks.write(network, model, options.models, os.path.join(options.build, "tenon"))
                if why:
                    raise RuntimeError(why)
            for threads in map(int, options.threads.split(",")):
                lines.append(row(name, threads, measure(options, program, model, engine, data, threads)))
                print(lines[-1], flush=True)
            os.remove(engine)
    os.makedirs(options.out, exist_ok=True)
    with open(os.path.join(options.out, f"start-{now:%Y-%m-%d}.md"), "w") as file:
        file.write("\n".join(lines) + "\n")


main()
