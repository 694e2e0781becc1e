"""Times Tenon beside ONNX Runtime, OpenVINO and PyTorch on this machine's CPU, network by network, in one run.

usage: cpu.py BUILD [--only "W1 ,W6"] [--threads 1,2] [--peers onnxruntime,openvino,torch] [--precision fp32] [--rounds 5]
       [--seconds 1] [--sets 4] [--models FOLDER] [--out FOLDER] [--no-build-times]

BUILD holds `tenon` and libtenon.so. Each engine is a process of its own (cpu_worker.py) that sleeps while it is not its turn. All
get the same sets of random inputs, and their outputs are compared before anything is timed. A round lets each have a turn, every
other round in the opposite order (A B B A); a probe, a fixed loop of multiply-adds, runs between rounds and tells how steady the
machine was. Times are of all turns together. Results: OUT/cpu-DATE-PRECISION.json and .md. With TN_CPU=avx2 in the environment, which limits
Tenon, PyTorch is limited likewise; ONNX Runtime and OpenVINO have no way to be, and compute with all that the machine has.
"""
import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

import networks
import tenon

HERE = os.path.dirname(os.path.abspath(__file__))
# How PyTorch is limited where TN_CPU limits Tenon: its own loops, oneDNN and OpenBLAS
LIMITS = {"avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2", "OPENBLAS_CORETYPE": "Haswell"}}
LIMIT = os.environ.get("TN_CPU", "")
TOLERANCE = {"fp32": 1e-4, "tf32": 5e-3, "bf16": 5e-2}  # between engines, relative L2


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build")
    parser.add_argument("--only", default="")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--peers", default="onnxruntime,openvino,torch")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "tf32", "bf16"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--sets", type=int, default=4)
    parser.add_argument("--models", default=os.path.join(HERE, "..", "..", "shared", "models"))
    parser.add_argument("--out", default=os.path.join(HERE, "results"))
    parser.add_argument("--no-build-times", action="store_true")
    return parser.parse_args()


class Worker:
    """An engine in its own process. Raises where it cannot be had or cannot run the network."""
    def __init__(self, name, path, threads, precision, work):
        self.name, self.work, self.times = name, work, []
        self.log = open(f"{work}/{name}.log", "w+")
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads))
        if name == "torch":
            environment.update(LIMITS.get(LIMIT, {}))
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "cpu_worker.py"), name, path, str(threads), precision, work], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, env=environment)
        self.facts = json.loads(self.answer())
        self.outputs = dict(np.load(f"{work}/{name}.npz"))

    def answer(self):
        line = self.process.stdout.readline()
        if line:
            return line
        self.process.wait()
        self.log.seek(0)
        lines = self.log.read().strip().splitlines() or [f"ended with {self.process.returncode}"]
        raise RuntimeError(lines[-1][:200])

    def turn(self, seconds):
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        self.answer()
        self.times.append(np.load(f"{self.work}/{self.name}.npy"))

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.log.close()


def relative(got, want):
    return max(float(np.linalg.norm(got[key].astype(np.float64) - want[key]) / max(np.linalg.norm(want[key]), 1e-30)) for key in want)


def percentiles(times):
    p10, p50, p90, p99 = np.percentile(np.concatenate(times), [10, 50, 90, 99])
    return {"p10": p10, "p50": p50, "p90": p90, "p99": p99, "runs": int(sum(map(len, times))),
            "turns": [float(np.median(t)) for t in times]}


class Bench:
    def __init__(self, options, work):
        self.o, self.work, self.models, self.versions, self.missing = options, work, {}, {}, {}
        self.tenon = os.path.join(options.build, "tenon")
        self.library = os.path.join(options.build, "libtenon.so")
        self.probe_path = os.path.join(work, "probe")
        built = subprocess.run([os.environ.get("CC", "cc"), "-O3", "-march=native", "-pthread", os.path.join(HERE, "probe.c"), "-o",
                                self.probe_path], capture_output=True)
        if built.returncode:
            self.probe_path = None

    def probe(self, threads):
        if not self.probe_path:
            return None
        return json.loads(subprocess.run([self.probe_path, str(threads)], capture_output=True, text=True).stdout)["gflops"]

    def model(self, network):
        if network not in self.models:
            path = os.path.join(self.work, network + ".onnx")
            done = subprocess.run([sys.executable, os.path.join(HERE, "networks.py"), network, path, self.o.models, self.tenon],
                                  capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError((done.stderr.strip().splitlines() or ["no reason given"])[-1][:300])
            self.models[network] = path
        return self.models[network]

    def engine(self, model, feed, threads, *more):
        """Builds; answers the file and the seconds."""
        path = os.path.join(self.work, "tenon.engine")
        shapes = ",".join(f"{name}:{'x'.join(map(str, value.shape))}" for name, value in feed.items())
        words = [self.tenon, "build", model, "-o", path, f"--threads={threads}", f"--optShapes={shapes}", *more]
        if self.o.precision != "fp32":
            words.append("--" + self.o.precision)
        begin = time.time()
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError("tenon build: " + done.stderr.strip()[-300:])
        return path, time.time() - begin

    def start(self, row, network, model, feed, threads):
        """The workers that are there and agree; Tenon is the first."""
        estimated = None if self.o.no_build_times else self.engine(model, feed, threads, "--budget=-1")[1]
        path, seconds = self.engine(model, feed, threads)
        row.update(build_s=seconds, build_estimated_s=estimated, engine_mib=os.path.getsize(path) / 2**20)
        workers = [Worker("tenon", f"{self.library},{path}", threads, self.o.precision, self.work)]
        for peer in filter(None, self.o.peers.split(",")):
            if peer in self.missing:
                continue
            try:
                worker = Worker(peer, network if peer == "torch" else model, threads, self.o.precision, self.work)
            except RuntimeError as why:
                if "No module named" in str(why):
                    self.missing[peer] = str(why)
                row["engines"][peer] = {"failed": str(why)}
                print(f"  {row['workload']}: {peer}: {why}", flush=True)
                continue
            worker.facts["difference"] = relative(workers[0].outputs, worker.outputs)
            if not worker.facts["difference"] <= TOLERANCE[self.o.precision]:
                row["disagree"] = row.get("disagree", []) + [peer]
                print(f"  {row['workload']}: {peer} differs by {worker.facts['difference']:.1e}", flush=True)
            workers.append(worker)
        return workers

    def run(self, workload, threads):
        network, data, _, goals = networks.WORKLOADS[workload]
        row = {"workload": workload, "threads": threads, "engines": {}, "probe": []}
        model = self.model(network)
        random = np.random.default_rng(7)
        sets = [{f"x{i}": value for i, value in enumerate(data(random))} for _ in range(self.o.sets)]
        np.savez(f"{self.work}/inputs.npz", **{f"{i}.{key}": value for i, one in enumerate(sets) for key, value in one.items()})
        workers = self.start(row, network, model, sets[0], threads)
        try:
            for turn in range(self.o.rounds):
                row["probe"].append(self.probe(threads))
                for worker in workers if turn % 2 == 0 else workers[::-1]:
                    worker.turn(self.o.seconds)
        finally:
            for worker in workers:
                worker.close()
        for worker in workers:
            self.versions[worker.name] = worker.facts.pop("version")
            row["engines"][worker.name] = {**worker.facts, **percentiles(worker.times)}
        times = {name: facts["p50"] for name, facts in row["engines"].items() if "p50" in facts}
        peers = [name for name in times if name != "tenon"]
        if threads == networks.WORKLOADS[workload][2][-1]:
            row["commit"], row["stretch"] = goals.get(self.o.precision, (None, None))
        if peers:
            row["best_peer"] = min(peers, key=times.get)
            row["ratio"] = times[row["best_peer"]] / times["tenon"]
            # Each turn of ours beside the peer's of the same round: a claim needs all of them above 1.
            turns = [b / a for a, b in zip(row["engines"]["tenon"]["turns"], row["engines"][row["best_peer"]]["turns"])]
            row["ratio_least"], row["ratio_most"] = min(turns), max(turns)
        return row


def figure(value, form="{:.4g}"):
    return "-" if value is None else form.format(value)


def summary(rows):
    """What docs/performance.md shows."""
    lines = ["| workload | threads | Tenon | best peer | ratio | goal |", "|---|---|---|---|---|---|"]
    for row in rows:
        best = row.get("best_peer")
        peer = f"{figure(row['engines'][best]['p50'])} ({best})" if best else "-"
        lines.append(f"| {row['workload']} | {row['threads']} | **{figure(row['engines']['tenon']['p50'])}** | {peer} | "
                     f"{figure(row.get('ratio'), '{:.2f}')} | {figure(row.get('commit'))} |")
    return lines


def table(report):
    peers = [name for name in ("onnxruntime", "openvino", "torch") if name in report["versions"]]
    lines = ["# The CPU's workloads", "",
             f"{report['date']} UTC, {report['cpu']}, {report['cores']} cores; class {report['precision']}"
             + (f", Tenon and PyTorch limited to {LIMIT}. " if LIMIT else ". ")
             + ", ".join(f"{name} {version}" for name, version in report["versions"].items()) + ".",
             f"Command: `{report['command']}`. Latency of one inference in ms, p50 of all turns; turns go A B B A.", ""]
    lines += [f"Not to be had: {name}: {why}." for name, why in report["missing"].items()]
    rows = [row for row in report["rows"] if "failed" not in row]
    lines += ["", *summary(rows), "", "| workload | threads | Tenon p10 | p50 | p90 | p99 | " + " | ".join(peers) + " | ratio to the best | least..most "
              "| goal | probe GF/s | difference |", "|---" * (11 + len(peers)) + "|"]
    for row in rows:
        ours, probes = row["engines"]["tenon"], [p for p in row["probe"] if p]
        others = [row["engines"].get(name, {}) for name in peers]
        spread = f"{row['ratio_least']:.2f}..{row['ratio_most']:.2f}" if "ratio" in row else "-"
        worst = max((facts["difference"] for facts in others if "difference" in facts), default=None)
        lines.append(
            f"| {row['workload']} | {row['threads']} | " + " | ".join(figure(ours[p]) for p in ("p10", "p50", "p90", "p99"))
            + " | " + " | ".join(figure(facts.get("p50")) for facts in others)
            + f" | {figure(row.get('ratio'), '{:.2f}')} | {spread} | {figure(row.get('commit'))} | "
            + (f"{min(probes):.0f}..{max(probes):.0f}" if probes else "-") + f" | {figure(worst, '{:.0e}')}"
            + (f" ({', '.join(row['disagree'])} too far off)" if "disagree" in row else "") + " |")
    lines += ["", "Start and size: seconds to build (with default budget; by estimates alone), ms to load, ms of the first inference, "
              "MiB of resident memory gained by both.", "",
              "| workload | threads | build s | by estimates | engine MiB | "
              + " | ".join(f"{name} load, first, MiB" for name in ["tenon", *peers]) + " |", "|---" * (6 + len(peers)) + "|"]
    for row in rows:
        cells = [row["engines"].get(name, {}) for name in ["tenon", *peers]]
        lines.append(f"| {row['workload']} | {row['threads']} | {row['build_s']:.2f} | {figure(row['build_estimated_s'], '{:.2f}')} | "
                     f"{row['engine_mib']:.1f} | " + " | ".join(
                         f"{c['load_ms']:.3g}, {c['first_ms']:.3g}, {c['resident_mib']:.0f}" if "load_ms" in c else "-" for c in cells)
                     + " |")
    lines += ["", *(f"{row['workload']}, {row['threads']} threads: {row['failed']}" for row in report["rows"] if "failed" in row)]
    return "\n".join(lines).rstrip() + "\n"


def main():
    options = arguments()
    wanted = [word for word in options.only.split(",") if word]
    threads = [int(word) for word in options.threads.split(",")]
    rows = []
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(options, work)
        for workload, (_, _, on, _) in networks.WORKLOADS.items():
            if wanted and not any(workload.startswith(word) for word in wanted):
                continue
            for count in (n for n in threads if n in on):
                try:
                    row = bench.run(workload, count)
                except RuntimeError as why:
                    row = {"workload": workload, "threads": count, "failed": str(why)}
                rows.append(row)
                shown = {name: round(facts["p50"], 5) for name, facts in row.get("engines", {}).items() if "p50" in facts}
                print(f"{workload}, {count} threads: {row.get('failed') or shown} ratio {figure(row.get('ratio'), '{:.2f}')}, "
                      f"commit {figure(row.get('commit'))}", flush=True)
        now = datetime.datetime.now(datetime.timezone.utc)
        report = {"date": now.strftime("%Y-%m-%d %H:%M"), "cpu": tenon.cpu_name(), "cores": len(os.sched_getaffinity(0)),
                  "precision": options.precision, "limit": LIMIT, "command": "make bench " + " ".join(sys.argv[2:]), "versions": bench.versions,
                  "missing": bench.missing, "rows": rows}
    os.makedirs(options.out, exist_ok=True)
    path = os.path.join(options.out, f"cpu-{now.strftime('%Y-%m-%d')}-{options.precision}" + (f"-{LIMIT}" if LIMIT else ""))
    with open(path + ".json", "w") as file:
        json.dump(report, file, indent=1)
    with open(path + ".md", "w") as file:
        file.write(table(report))
    print(f"{path}.md")


main()
