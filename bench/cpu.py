"""Times Tenon beside ONNX Runtime, OpenVINO and PyTorch on this machine's CPU, network by network, in one run.

usage: cpu.py BUILD [--only "W1 ,W6"] [--threads 1,2] [--peers onnxruntime,openvino,torch] [--precision fp32,bf16] [--rounds 5]
       [--seconds 1] [--sets 4] [--models FOLDER] [--out FOLDER] [--no-build-times] [--profile] [--deadline SECONDS]

BUILD holds `tenon` and libtenon.so. Each engine is a process of its own (cpu_worker.py) that sleeps while it is not its turn. All
get the same sets of random inputs, and their outputs are compared before anything is timed. A round lets each have a turn, every
other round in the opposite order (A B B A), those of all classes of precision in one; a probe, fixed loops of multiply-adds and of
products of tiles, runs between rounds and tells how steady the machine was. Times are of all turns together. Results:
OUT/cpu-DATE-PRECISION.json and .md. TF32 has no peer of its own: its error is far below that of others' bfloat16, so it is set beside
theirs in float32. int8 is the same network quantised by ONNX Runtime's tools. --profile leaves each step's time in OUT/profiles.
With TN_CPU=avx2 in the environment, which limits Tenon, PyTorch is limited likewise; ONNX Runtime and OpenVINO have no way to be,
and compute with all that the machine has.
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
TOLERANCE = {"fp32": 1e-4, "tf32": 5e-3, "bf16": 5e-2, "int8": 1e-1}  # between engines, relative L2
# Who has arithmetic of a class, and of which class what it is set beside is
PEERS = {"fp32": ("onnxruntime", "openvino", "torch"), "bf16": ("openvino", "torch"), "int8": ("onnxruntime", "openvino")}
BESIDE = {"tf32": "fp32"}


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build")
    parser.add_argument("--only", default="")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--peers", default="onnxruntime,openvino,torch")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--sets", type=int, default=4)
    parser.add_argument("--models", default=os.path.join(HERE, "..", "..", "shared", "models"))
    parser.add_argument("--out", default=os.path.join(HERE, "results"))
    parser.add_argument("--no-build-times", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--deadline", type=float, default=float("inf"))
    return parser.parse_args()


class Worker:
    """An engine in its own process. It begins at once; `ready` raises where it cannot be had or cannot run the network."""
    def __init__(self, name, path, threads, precision, work):
        self.name, self.precision, self.at, self.times = name, precision, f"{work}/{name}.{precision}", []
        self.log = open(f"{self.at}.log", "w+")
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads))
        if name == "torch":
            environment.update(LIMITS.get(LIMIT, {}))
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "cpu_worker.py"), name, path, str(threads), precision, work], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, env=environment)

    def ready(self):
        self.facts = json.loads(self.answer())
        self.outputs = dict(np.load(f"{self.at}.npz"))

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
        self.times.append(np.load(f"{self.at}.npy"))

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.log.close()


def relative(got, want):
    return max(float(np.linalg.norm(got[key].astype(np.float64) - want[key]) / max(np.linalg.norm(want[key]), 1e-30)) for key in want)


def percentiles(times):
    p10, p50, p90, p99 = map(float, np.percentile(np.concatenate(times), [10, 50, 90, 99]))
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
            return {}
        return json.loads(subprocess.run([self.probe_path, str(threads)], capture_output=True, text=True).stdout)

    def model(self, network, is_quantised):
        key = network + (".int8" if is_quantised else "")
        if key not in self.models:
            path = os.path.join(self.work, key + ".onnx")
            if is_quantised:
                networks.quantise(network, self.model(network, False), path)
            else:
                why = networks.write(network, path, self.o.models, self.tenon)
                if why:
                    raise RuntimeError(why[:300])
            self.models[key] = path
        return self.models[key]

    def engine(self, model, feed, threads, precision, *more):
        """Builds; answers the file and the seconds."""
        path = os.path.join(self.work, f"tenon.{precision}.engine")
        shapes = ",".join(f"{name}:{'x'.join(map(str, value.shape))}" for name, value in feed.items())
        words = [self.tenon, "build", model, "-o", path, f"--threads={threads}", f"--optShapes={shapes}", *more]
        if self.o.no_build_times:  # of no interest: outputs are compared here
            words += ["--no-check", f"--timings={self.work}/timings.{threads}"]
        if precision in ("tf32", "bf16"):
            words.append("--" + precision)
        begin = time.time()
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError("tenon build: " + done.stderr.strip()[-300:])
        return path, time.time() - begin

    def profile(self, row, path, feed):
        """The time of each step of Tenon, to a file."""
        os.makedirs(f"{self.o.out}/profiles", exist_ok=True)
        shapes = ",".join(f"{name}:{'x'.join(map(str, value.shape))}" for name, value in feed.items())
        done = subprocess.run([self.tenon, "bench", path, f"--threads={row['threads']}", f"--shapes={shapes}", "--duration=0.1",
                               "--warmUp=20", "--dumpProfile"], capture_output=True, text=True)
        name = f"{row['workload']} {row['threads']} {row['precision']}".replace(" ", "-")
        with open(f"{self.o.out}/profiles/{name}.txt", "w") as file:
            file.write(done.stdout + done.stderr)

    def start(self, rows, network, feed, threads):
        """The workers that are there and agree with Tenon's of their class, by class and name."""
        built = {}
        for precision, row in rows.items():  # before anybody else runs: kernels are chosen by measuring
            try:
                model = self.model(network, precision == "int8")
                if not self.o.no_build_times:
                    row["build_estimated_s"] = self.engine(model, feed, threads, precision, "--budget=-1")[1]
                path, row["build_s"] = self.engine(model, feed, threads, precision)
            except RuntimeError as why:
                row["failed"] = str(why)
                continue
            row["engine_mib"] = os.path.getsize(path) / 2**20
            built[precision] = model, path
            if self.o.profile:
                self.profile(row, path, feed)
        workers = []
        for precision, (model, path) in built.items():
            workers.append(Worker("tenon", f"{self.library},{path}", threads, precision, self.work))
            for peer in self.o.peers.split(","):
                if peer in PEERS.get(precision, ()) and peer not in self.missing:
                    workers.append(Worker(peer, network if peer == "torch" else model, threads, precision, self.work))
        there, first = [], {}
        for worker in workers:
            row = rows[worker.precision]
            try:
                worker.ready()
            except RuntimeError as why:
                if "No module named" in str(why):
                    self.missing[worker.name] = str(why)
                if worker.name == "tenon":
                    row["failed"] = str(why)
                row["engines"][worker.name] = {"failed": str(why)}
                print(f"  {row['workload']}, {worker.precision}: {worker.name}: {why}", flush=True)
                continue
            there.append(worker)
            ours = first.setdefault(worker.precision, worker)
            if ours is worker and "fp32" in first and worker.precision != "fp32":
                worker.facts["from_fp32"] = relative(first["fp32"].outputs, worker.outputs)
            if ours is worker:
                continue
            worker.facts["difference"] = relative(ours.outputs, worker.outputs)
            if not worker.facts["difference"] <= TOLERANCE[worker.precision]:
                row["disagree"] = row.get("disagree", []) + [worker.name]
                print(f"  {row['workload']}, {worker.precision}: {worker.name} differs by {worker.facts['difference']:.1e}", flush=True)
        return there

    def run(self, workload, threads):
        """A row for each class."""
        network, data, on, goals = networks.WORKLOADS[workload]
        rows = {precision: {"workload": workload, "threads": threads, "precision": precision, "engines": {}, "probe": [],
                            "build_estimated_s": None} for precision in self.o.precision.split(",")
                if precision != "int8" or "int8" in goals}
        random = np.random.default_rng(7)
        sets = [{f"x{i}": value for i, value in enumerate(data(random))} for _ in range(self.o.sets)]
        np.savez(f"{self.work}/inputs.npz", **{f"{i}.{key}": value for i, one in enumerate(sets) for key, value in one.items()})
        workers, probes = self.start(rows, network, sets[0], threads), []
        try:
            for turn in range(self.o.rounds):
                probes.append(self.probe(threads))
                for worker in workers if turn % 2 == 0 else workers[::-1]:
                    worker.turn(self.o.seconds)
        finally:
            for worker in workers:
                worker.close()
        for worker in workers:
            self.versions[worker.name] = worker.facts.pop("version")
            rows[worker.precision]["engines"][worker.name] = {**worker.facts, **percentiles(worker.times)}
        for precision, row in rows.items():
            row["probe"] = probes
            if threads == on[-1]:
                row["commit"], row["stretch"] = goals.get(precision, (None, None))
            beside = rows.get(BESIDE.get(precision), row)
            if "failed" not in row:
                compare(row, {name: facts for name, facts in beside["engines"].items() if name != "tenon" and "p50" in facts})
        return list(rows.values())


def compare(row, peers):
    """Tenon beside the best of its peers."""
    if not peers:
        return
    ours = row["engines"]["tenon"]
    row["best_peer"] = best = min(peers, key=lambda name: peers[name]["p50"])
    row["best_peer_ms"] = peers[best]["p50"]
    row["ratio"] = peers[best]["p50"] / ours["p50"]
    # Each turn of ours beside the peer's of the same round: a claim needs all of them above 1.
    turns = [b / a for a, b in zip(ours["turns"], peers[best]["turns"])]
    row["ratio_least"], row["ratio_most"] = min(turns), max(turns)


def figure(value, form="{:.4g}"):
    return "-" if value is None else form.format(value)


def summary(rows):
    """What docs/performance.md shows."""
    lines = ["| workload | threads | Tenon | best peer | ratio | goal |", "|---|---|---|---|---|---|"]
    for row in rows:
        best = row.get("best_peer")
        peer = f"{figure(row['best_peer_ms'])} ({best})" if best else "-"
        lines.append(f"| {row['workload']} | {row['threads']} | **{figure(row['engines']['tenon']['p50'])}** | {peer} | "
                     f"{figure(row.get('ratio'), '{:.2f}')} | {figure(row.get('commit'))} |")
    return lines


def span(probes, key):
    rates = [probe[key] for probe in probes if key in probe]
    return f"{min(rates):.0f}..{max(rates):.0f}" if rates else "-"


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
              "| goal | probe GF/s, tiles | difference |", "|---" * (11 + len(peers)) + "|"]
    for row in rows:
        ours = row["engines"]["tenon"]
        others = [row["engines"].get(name, {}) for name in peers]
        spread = f"{row['ratio_least']:.2f}..{row['ratio_most']:.2f}" if "ratio" in row else "-"
        worst = max((facts["difference"] for facts in others if "difference" in facts), default=None)
        lines.append(
            f"| {row['workload']} | {row['threads']} | " + " | ".join(figure(ours[p]) for p in ("p10", "p50", "p90", "p99"))
            + " | " + " | ".join(figure(facts.get("p50")) for facts in others)
            + f" | {figure(row.get('ratio'), '{:.2f}')} | {spread} | {figure(row.get('commit'))} | "
            + f"{span(row['probe'], 'gflops')}, {span(row['probe'], 'tiles_gflops')} | {figure(worst, '{:.0e}')}"
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


def write(options, bench, rows, now):
    """Of each class, what there is so far."""
    os.makedirs(options.out, exist_ok=True)
    for precision in options.precision.split(","):
        report = {"date": now.strftime("%Y-%m-%d %H:%M"), "cpu": tenon.cpu_name(), "cores": len(os.sched_getaffinity(0)),
                  "precision": precision, "limit": LIMIT, "command": "make bench " + " ".join(sys.argv[2:]), "versions": bench.versions,
                  "missing": bench.missing, "rows": [row for row in rows if row["precision"] == precision]}
        path = os.path.join(options.out, f"cpu-{now.strftime('%Y-%m-%d')}-{precision}" + (f"-{LIMIT}" if LIMIT else ""))
        with open(path + ".json", "w") as file:
            json.dump(report, file, indent=1)
        with open(path + ".md", "w") as file:
            file.write(table(report))


def chosen(options):
    """Workloads and threads, in the order of --only."""
    wanted = [word for word in options.only.split(",") if word] or [""]
    names = [name for word in wanted for name in networks.WORKLOADS if name.startswith(word)]
    threads = [int(word) for word in options.threads.split(",")]
    return [(name, count) for name in dict.fromkeys(names) for count in threads if count in networks.WORKLOADS[name][2]]


def main():
    options, begin = arguments(), time.monotonic()
    now, rows = datetime.datetime.now(datetime.timezone.utc), []
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(options, work)
        for workload, threads in chosen(options):
            if time.monotonic() - begin > options.deadline:
                print(f"{workload}, {threads} threads: no time was left", flush=True)
                continue
            try:
                found = bench.run(workload, threads)
            except RuntimeError as why:
                found = [{"workload": workload, "threads": threads, "precision": precision, "failed": str(why)}
                         for precision in options.precision.split(",")]
            rows += found
            for row in found:
                shown = {name: float(round(facts["p50"], 5)) for name, facts in row.get("engines", {}).items() if "p50" in facts}
                off = row.get("engines", {}).get("tenon", {}).get("from_fp32")
                print(f"{workload}, {threads} threads, {row['precision']}: {row.get('failed') or shown}"
                      + (f", {off:.1e} from fp32, " if off else ", ") +
                      f"ratio {figure(row.get('ratio'), '{:.2f}')}, commit {figure(row.get('commit'))}, probe "
                      f"{span(row.get('probe', []), 'gflops')} {span(row.get('probe', []), 'tiles_gflops')}", flush=True)
            write(options, bench, rows, now)
    print(f"{options.out}/cpu-{now.strftime('%Y-%m-%d')}-*.md")


main()
