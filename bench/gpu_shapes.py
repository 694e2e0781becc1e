"""One engine of BERT-base at random shapes, beside an engine built for each of them.

usage: gpu_shapes.py TENON [--pairs 40] [--seed 0] [--layers 12] [--precision fp32] [--limit 1.25] [--out FOLDER]

Batches of 1 to 20 and lengths of 1 to 512. Times are medians of device time, inputs on the card; each is the better of two turns,
which alternate. Exit 1: one engine takes more than `limit` times as long somewhere, 77: torch or transformers is not here.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import warnings

try:
    import torch
    from transformers import BertConfig, BertForSequenceClassification
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

warnings.filterwarnings("ignore")
parser = argparse.ArgumentParser(usage=__doc__)
parser.add_argument("tenon")
parser.add_argument("--pairs", type=int, default=40)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--layers", type=int, default=12)
parser.add_argument("--limit", type=float, default=1.25)
parser.add_argument("--precision", default="fp32", choices=["fp32", "tf32", "fp16", "bf16"])
parser.add_argument("--seconds", type=float, default=0.1)
parser.add_argument("--out", default="bench/results")
options = parser.parse_args()
precision = [] if options.precision == "fp32" else ["--" + options.precision]


class Logits(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.network = BertForSequenceClassification(BertConfig(vocab_size=21128, num_labels=2, num_hidden_layers=options.layers,
                                                                attn_implementation="eager")).eval()

    def forward(self, ids, mask):
        return self.network(input_ids=ids, attention_mask=mask).logits


def tenon(*words):
    done = subprocess.run([options.tenon, *words], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"tenon {words[0]}: {(done.stderr or done.stdout).strip()[-400:]}")


def shapes(batch, length):
    return f"ids:{batch}x{length},mask:{batch}x{length}"


def median_us(engine, batch, length, log):
    tenon("bench", engine, "--shapes=" + shapes(batch, length), "--noDataTransfers", f"--duration={options.seconds}",
          "--warmUp=20", f"--exportTimes={log}")
    times = sorted(record["computeMs"] for record in json.load(open(log)))
    return times[len(times) // 2] * 1e3


def main():
    torch.manual_seed(0)
    random.seed(options.seed)
    rows = []
    with tempfile.TemporaryDirectory() as work:
        model, one, own, log = (os.path.join(work, name) for name in ("model.onnx", "one.engine", "own.engine", "times.json"))
        sample = (torch.randint(1, 21128, (2, 16)), torch.ones(2, 16, dtype=torch.long))
        axes = {"ids": {0: "b", 1: "t"}, "mask": {0: "b", 1: "t"}, "y": {0: "b"}}
        torch.onnx.export(Logits(), sample, model, input_names=["ids", "mask"], output_names=["y"], dynamic_axes=axes,
                          opset_version=17, dynamo=False)
        tenon("build", model, "-o", one, "--device=cuda", "--no-check", "--minShapes=" + shapes(1, 16),
              "--optShapes=" + shapes(4, 128), "--maxShapes=" + shapes(20, 512), *precision)
        for _ in range(options.pairs):
            batch, length = random.randint(1, 20), random.randint(1, 512)
            tenon("build", model, "-o", own, "--device=cuda", "--no-check", "--optShapes=" + shapes(batch, length), *precision)
            turns = [(median_us(one, batch, length, log), median_us(own, batch, length, log)) for _ in range(2)]
            row = {"batch": batch, "length": length, "one_us": min(a for a, _ in turns), "own_us": min(b for _, b in turns)}
            row["ratio"] = row["one_us"] / row["own_us"]
            rows.append(row)
            print(f"{batch}x{length}: one engine {row['one_us']:.0f} us, its own {row['own_us']:.0f} us, {row['ratio']:.2f}", flush=True)
    os.makedirs(options.out, exist_ok=True)
    with open(os.path.join(options.out, f"gpu-shapes-{options.precision}.json"), "w") as file:
        json.dump({"gpu": torch.cuda.get_device_name(0), "precision": options.precision, "rows": rows}, file, indent=1)
    worst = max(row["ratio"] for row in rows)
    print(f"worst {worst:.2f} of {len(rows)}")
    return worst > options.limit


sys.exit(main())
