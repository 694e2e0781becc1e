"""Times Tenon beside PyTorch on one NVIDIA GPU, network by network, in one run.

usage: gpu.py TENON [--only W1,W6] [--precision fp32] [--rounds 3] [--seconds 0.4] [--compile] [--out FOLDER]

Without --precision each network runs in the precisions that the project has goals for; else all of them in the one given. The
table, and JSON with all there is to know, go to bench/results/, anew after each network.

Each network is a PyTorch module, exported to ONNX with its weights, built by `tenon build --device=cuda` and compared with
the module on the same inputs; then both are timed by turns, A B B A. Times are microseconds of device time between two events
around one inference, inputs and outputs in the card's memory: PyTorch eager, in a CUDA graph, and (--compile) compiled in a
graph; Tenon by `tenon bench --noDataTransfers`. Needs torch, torchvision, transformers and numpy.
"""
import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
import torch.nn as nn

parser = argparse.ArgumentParser(usage=__doc__)
parser.add_argument("tenon")
parser.add_argument("--only", default="")
parser.add_argument("--precision", default="goals", choices=["goals", "fp32", "tf32", "fp16", "bf16"])
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--seconds", type=float, default=0.4)
parser.add_argument("--compile", action="store_true")
parser.add_argument("--out", default="bench/results")
options = parser.parse_args()
DEVICE = "cuda"
torch.backends.cudnn.benchmark = True

# floor, commit, stretch in microseconds: the project's goals for the H100
GOALS = {
    ("W1 bilstm10 T1 B3", "fp32"): (5, 12, 8),
    ("W1 bilstm10 T100 B3", "fp32"): (180, 300, 200),
    ("W1c lstm 2x256 T100 B32", "fp32"): (110, 450, 250),
    ("W1c lstm 2x256 T100 B32", "fp16"): (110, 300, 180),
    ("W1d bilstm 2x128 T60 B32", "fp32"): (45, 220, 120),
    ("W1d bilstm 2x128 T60 B32", "fp16"): (45, 160, 90),
    ("W2 curve B1", "fp32"): (6, 12, 8),
    ("W2 curve B50", "fp32"): (6, 12, 8),
    ("W3 lenet B1", "fp32"): (4, 8, 5),
    ("W4 alexnet B1", "fp16"): (41, 70, 48),
    ("W4 alexnet B32", "fp16"): (90, 180, 130),
    ("W5 swin_t B1", "fp16"): (120, 220, 140),
    ("W5 swin_t B32", "fp16"): (900, 1600, 1100),
    ("W6 bert 1x200", "fp16"): (152, 260, 170),
    ("W6 bert 1x200", "tf32"): (210, 420, 280),
    ("W6 bert 20x512", "fp16"): (1950, 3600, 3000),
    ("W7 resnet50 B1", "fp16"): (92, 220, 120),
    ("W7 resnet50 B32", "fp16"): (550, 750, 600),
}
# commit, stretch: host memory to host memory in microseconds, and a build with the default budget in seconds
HOST_GOALS = {("W1 bilstm10 T1 B3", "fp32"): (30, 18)}
BUILD_GOALS = {("W5 swin_t B1", "fp16"): (20, 8)}


class Lstm(nn.Module):
    def __init__(self, inputs, hidden, layers, both):
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, layers, bidirectional=both)

    def forward(self, x):
        return self.lstm(x)[0]


class Curve(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(2, 6, 3, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(12, 2)

    def forward(self, x):
        y, _ = self.lstm(x)
        return self.fc(y[:, -1, :]).reshape(-1, 1, 2)


def lenet():
    return nn.Sequential(nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10))


def bert():
    from transformers import BertConfig, BertForSequenceClassification

    class Logits(nn.Module):
        """With a mask for Tenon. PyTorch is spared it, since the mask has ones only: it can be recorded then."""
        def __init__(self, attention):
            super().__init__()
            self.network = BertForSequenceClassification(BertConfig(vocab_size=21128, num_labels=2, attn_implementation=attention))
            self.masked = attention == "eager"

        def forward(self, ids, mask):
            return self.network(input_ids=ids, attention_mask=mask if self.masked else None).logits

        def peer(self):
            other = Logits("sdpa").eval()
            other.load_state_dict(self.state_dict())
            return other
    return Logits("eager")


def vision(name):
    def make():
        import torchvision
        return getattr(torchvision.models, name)(weights=None)
    return make


def floats(*shape):
    return lambda: (torch.randn(*shape),)


def tokens(batch, length):
    return lambda: (torch.randint(1, 21128, (batch, length)), torch.ones(batch, length, dtype=torch.long))


CASES = [
    ("W1 bilstm10 T1 B3", lambda: Lstm(10, 20, 10, True), floats(1, 3, 10)),
    ("W1 bilstm10 T100 B3", lambda: Lstm(10, 20, 10, True), floats(100, 3, 10)),
    ("W1c lstm 2x256 T100 B32", lambda: Lstm(256, 256, 2, False), floats(100, 32, 256)),
    ("W1d bilstm 2x128 T60 B32", lambda: Lstm(293, 128, 2, True), floats(60, 32, 293)),
    ("W2 curve B1", Curve, floats(1, 9, 2)),
    ("W2 curve B50", Curve, floats(50, 9, 2)),
    ("W3 lenet B1", lenet, floats(1, 1, 28, 28)),
    ("W4 alexnet B1", vision("alexnet"), floats(1, 3, 224, 224)),
    ("W5 swin_t B1", vision("swin_t"), floats(1, 3, 224, 224)),
    ("W6 bert 1x200", bert, tokens(1, 200)),
    ("W7 resnet50 B1", vision("resnet50"), floats(1, 3, 224, 224)),
    ("W4 alexnet B32", vision("alexnet"), floats(32, 3, 224, 224)),
    ("W5 swin_t B32", vision("swin_t"), floats(32, 3, 224, 224)),
    ("W6 bert 20x512", bert, tokens(20, 512)),
    ("W7 resnet50 B32", vision("resnet50"), floats(32, 3, 224, 224)),
    # More units than kernels of ours hold: no goals.
    ("lstm 2x512 T100 B1", lambda: Lstm(512, 512, 2, False), floats(100, 1, 512)),
    ("lstm 2x512 T100 B32", lambda: Lstm(512, 512, 2, False), floats(100, 32, 512)),
    ("lstm 2x1024 T100 B32", lambda: Lstm(1024, 1024, 2, False), floats(100, 32, 1024)),
]


def time_calls(call):
    for _ in range(3):
        call()
    torch.cuda.synchronize()
    times, begin = [], time.time()
    while time.time() - begin < options.seconds or len(times) < 10:
        first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        first.record()
        call()
        last.record()
        last.synchronize()
        times.append(first.elapsed_time(last) * 1e3)
    return statistics.median(times)


def graphed(module, inputs):
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream), torch.inference_mode():
        for _ in range(4):
            module(*inputs)
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph), torch.inference_mode():
        module(*inputs)
    return graph.replay, graph


def tenon(*words):
    done = subprocess.run([options.tenon, *words], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"tenon {words[0]}: {(done.stderr or done.stdout).strip()[-400:]}")
    return done.stdout


def relative(got, want):
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    return float(np.linalg.norm(got - want) / max(np.linalg.norm(want), 1e-30))


def run_case(name, make, data, precision, work):
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "fp32"
    module, inputs = make().eval(), data()
    model, engine = os.path.join(work, "model.onnx"), os.path.join(work, "model.engine")
    names = [f"x{i}" for i in range(len(inputs))]
    torch.onnx.export(module, inputs, model, input_names=names, output_names=["y"], opset_version=17, dynamo=False)
    begin = time.time()
    allowed = [] if precision == "fp32" else ["--" + precision]
    tenon("build", model, "-o", engine, "--device=cuda", "--no-check", *allowed)
    row = {"case": name, "precision": precision, "build_s": time.time() - begin}
    feeds = []
    for key, value in zip(names, inputs):
        np.save(os.path.join(work, key + ".npy"), value.numpy())
        feeds.append(f"--input={key}={os.path.join(work, key)}.npy")
    tenon("run", engine, *feeds, f"--save={work}", "--print=0")
    with torch.inference_mode():
        want = module.double()(*[x.double() if x.is_floating_point() else x for x in inputs])
    row["error"] = relative(np.load(os.path.join(work, "y.npy")), want.numpy())
    module = module.float()
    module = (module.peer() if hasattr(module, "peer") else module).to(DEVICE)
    inputs = tuple(x.to(DEVICE) for x in inputs)
    if precision in ("fp16", "bf16"):
        low = torch.float16 if precision == "fp16" else torch.bfloat16
        module, inputs = module.to(low), tuple(x.to(low) if x.is_floating_point() else x for x in inputs)
    with torch.inference_mode():
        row["torch_error"] = relative(module(*inputs).float().cpu().numpy(), want.numpy())
    peers = {"eager": lambda: module(*inputs)}
    kept = []
    for label in ["graph"] + (["compile"] if options.compile else []):
        try:
            made = module if label == "graph" else torch.compile(module, mode="max-autotune-no-cudagraphs")
            begin = time.time()
            peers[label], keep = graphed(made, inputs)
            if label == "compile":
                row["compile_s"] = time.time() - begin
            kept.append(keep)
        except Exception as error:  # a peer that cannot run a network is no reason to stop
            print(f"  {name}: PyTorch {label}: {type(error).__name__}: {str(error)[:120]}", flush=True)
    times = {label: [] for label in ["tenon", "host", *peers]}

    def ours():
        log = os.path.join(work, "times.json")
        for where, extra in (("tenon", ["--noDataTransfers"]), ("host", [])):
            tenon("bench", engine, f"--duration={options.seconds}", f"--exportTimes={log}", "--warmUp=50", *extra)
            records = json.load(open(log))
            key = "computeMs" if where == "tenon" else "latencyMs"
            times[where].append(statistics.median(r[key] for r in records) * 1e3)

    def theirs():
        with torch.inference_mode():
            for label, call in peers.items():
                times[label].append(time_calls(call))
    for turn in range(options.rounds):
        for part in ((ours, theirs) if turn % 2 == 0 else (theirs, ours)):
            part()
    for label, values in times.items():
        row[label + "_us"] = statistics.median(values)
        row[label + "_spread"] = (max(values) - min(values)) / max(statistics.median(values), 1e-9)
    row["best_peer"] = min(peers, key=lambda label: row[label + "_us"])
    row["best_peer_us"] = row[row["best_peer"] + "_us"]
    row["ratio"] = row["best_peer_us"] / row["tenon_us"]
    return row


def judged(value, goals):
    """The goals, and which of them is reached."""
    commit, stretch = goals
    return [f"{commit:g}", f"{stretch:g}", "stretch" if value <= stretch else "yes" if value <= commit else "**no**"]


COLUMNS = ["network", "precision", "error", "PyTorch's", "best peer", "peer us", "Tenon us", "ratio", "host us", "floor", "goal", "stretch",
           "reached", "build s"]


def lines_of(row):
    """Lines of the table for one network: the time on the card, and what else there is a goal for."""
    key = row["case"], row["precision"]
    if "failed" in row:
        return [[*key, "failed: " + row["failed"].replace("|", " ").replace("\n", " ")] + [""] * (len(COLUMNS) - 3)]
    floor = [f"{GOALS[key][0]:g}", *judged(row["tenon_us"], GOALS[key][1:])] if key in GOALS else [""] * 4
    lines = [[*key, f"{row['error']:.1e}", f"{row['torch_error']:.1e}", row["best_peer"], f"{row['best_peer_us']:.1f}",
              f"{row['tenon_us']:.1f}", f"{row['ratio']:.2f}", f"{row['host_us']:.1f}", *floor, f"{row['build_s']:.1f}"]]
    if key in HOST_GOALS:
        lines.append([key[0] + ", host to host", key[1], *[""] * 4, f"{row['host_us']:.1f}", "", "", "",
                      *judged(row["host_us"], HOST_GOALS[key]), ""])
    if key in BUILD_GOALS:
        peer = f"{row['compile_s']:.1f} s" if "compile_s" in row else ""
        lines.append([key[0] + ", build, s", key[1], "", "", "compile" if peer else "", peer, f"{row['build_s']:.1f} s", "", "", "",
                      *judged(row["build_s"], BUILD_GOALS[key]), ""])
    return lines


def write(facts, path):
    os.makedirs(options.out, exist_ok=True)
    with open(path + ".json", "w") as file:
        json.dump(facts, file, indent=1)
    with open(path + ".md", "w") as file:
        file.write("\n".join([f"`python3 bench/gpu.py {facts['command']}`: {facts['gpu']}, driver {facts['driver']}, {facts['tenon']}, "
                              f"PyTorch {facts['torch']}, cuDNN {facts['cudnn']}; medians of {options.rounds} turns.", "",
                              "| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS),
                              *("| " + " | ".join(line) + " |" for row in facts["rows"] for line in lines_of(row)), ""]))


def main():
    wanted = [word.strip() for word in options.only.split(",") if word.strip()]
    precisions = ["fp32", "tf32", "fp16"] if options.precision == "goals" else [options.precision]
    gpu = torch.cuda.get_device_name(0)
    facts = {"gpu": gpu, "driver": driver(), "torch": torch.__version__, "cudnn": torch.backends.cudnn.version(),
             "cpu": platform.processor(), "tenon": tenon("--version").strip(), "command": " ".join(sys.argv[1:]), "rows": []}
    short = next((word.lower() for word in gpu.split() if any(letter.isdigit() for letter in word)), "card")
    path = os.path.join(options.out, f"gpu-{short}-{datetime.date.today().isoformat()}-{options.precision}")
    widths = [26, 9, 8, 9, 9, 9, 9, 6, 9, 6, 6, 7, 7, 7]
    print(", ".join(str(facts[key]) for key in ("gpu", "driver", "torch", "cudnn", "tenon")), flush=True)
    print(" ".join(f"{word:>{width}s}" for word, width in zip(COLUMNS, widths)), flush=True)
    for precision in precisions:
        for name, make, data in CASES:
            if wanted and not any(name.startswith(word) for word in wanted):
                continue
            if options.precision == "goals" and (name, precision) not in GOALS:
                continue
            with tempfile.TemporaryDirectory() as work:
                try:
                    row = run_case(name, make, data, precision, work)
                except Exception as error:
                    row = {"case": name, "precision": precision, "failed": f"{type(error).__name__}: {str(error)[:600]}"}
            torch.cuda.empty_cache()
            facts["rows"].append(row)
            for line in lines_of(row):
                print(" ".join(f"{word:>{width}s}" for word, width in zip(line, widths)), flush=True)
            write(facts, path)
    print(path + ".md")


def driver():
    try:
        return subprocess.run(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"], capture_output=True,
                              text=True).stdout.strip()
    except OSError:
        return "unknown"


main()
