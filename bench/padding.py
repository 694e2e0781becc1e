"""What padding costs: BERT on a batch of real sentences beside the same batch without a mask.

usage: padding.py BUILD [--batch 20] [--length 512] [--rounds 3] [--threads 2] [--seed 1] [--models FOLDER] [--out FILE]

BUILD holds `tenon` and libtenon.so; FOLDER holds bert_base_full (structure; weights are made up by rule) and
sentiment/tokens.jsonl, from which the sentences are drawn. One engine serves both batches, and turns go A B B A. The padded batch's
answers are first held against those of each sentence alone, by an engine for single ones. The goal is a factor of 2.
"""
import argparse
import json
import os
import tempfile
import time

import numpy as np

import tenon

HERE = os.path.dirname(os.path.abspath(__file__))
GOAL, TOLERANCE = 2, 1e-5


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build")
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--models", default=os.path.join(HERE, "..", "..", "shared", "models"))
    parser.add_argument("--out", default="")
    return parser.parse_args()


def batches(options, random):
    """The padded one, the one whose sentences fill it, and the lengths. Token 0 is padding."""
    with open(f"{options.models}/sentiment/tokens.jsonl") as file:
        texts = [json.loads(line)["ids"] for line in file]
    chosen = [texts[i][:options.length] for i in random.choice(len(texts), options.batch, replace=False)]
    padded = np.zeros((options.batch, options.length), np.int64)
    for row, ids in zip(padded, chosen):
        row[:len(ids)] = ids
    full = random.integers(1, 21128, padded.shape)
    return padded, full, [len(ids) for ids in chosen]


def feed(ids):
    """Segment 1 is the first and only one, 0 is padding: the mask."""
    return {"input_ids": np.ascontiguousarray(ids), "segment_ids": np.ascontiguousarray((ids != 0).astype(np.int64))}


def answer(engine, values):
    engine.bind(engine.prepare(values))
    engine.run()
    return engine.output()


def seconds(engine, values):
    engine.bind(engine.prepare(values))
    begin = time.perf_counter()
    engine.run()
    return time.perf_counter() - begin


def main():
    options = arguments()
    random = np.random.default_rng(options.seed)
    padded, full, lengths = batches(options, random)
    tool, library = os.path.join(options.build, "tenon"), os.path.join(options.build, "libtenon.so")
    with tempfile.TemporaryDirectory() as work:
        model = tenon.with_weights(tool, f"{options.models}/bert_base_full/bert_opset11.onnx", work + "/bert.onnx")

        def engine(batch, length):
            shape, path = f"{batch}x{length}", f"{work}/{batch}x{length}.engine"
            # The reference would take minutes at this size: the answers are compared here instead.
            tenon.build(tool, model, path, "--no-check", f"--threads={options.threads}",
                        f"--optShapes=input_ids:{shape},segment_ids:{shape}")
            return tenon.Engine(library, path, options.threads)
        batch, single = engine(options.batch, options.length), engine(1, 128)
        a, b = feed(padded), feed(full)
        got = answer(batch, a)
        want = np.concatenate([answer(single, feed(ids[None, :n])) for ids, n in zip(padded, lengths)])
        difference = float(np.linalg.norm(got.astype(np.float64) - want) / np.linalg.norm(want))
        single.close()
        seconds(batch, b)
        times = {"padded": [], "full": []}
        for turn in range(options.rounds):
            pair = [("padded", a), ("full", b)]
            for name, values in pair if turn % 2 == 0 else pair[::-1]:
                times[name].append(seconds(batch, values))
    medians = {name: float(np.median(values)) for name, values in times.items()}
    report = {"batch": options.batch, "length": options.length, "threads": options.threads, "tokens": sum(lengths),
              "lengths": lengths, "difference": difference, "seconds": times, "ratio": medians["full"] / medians["padded"]}
    print(f"BERT-base {options.batch}x{options.length}, {sum(lengths)} of {padded.size} tokens real: {medians['padded']:.3f} s; "
          f"without a mask {medians['full']:.3f} s: {report['ratio']:.2f} times (goal {GOAL}); relative L2 to the sentences one by one "
          f"{difference:.1e}")
    if options.out:
        with open(options.out, "w") as file:
            json.dump(report, file, indent=1)
    if report["ratio"] < GOAL or not difference <= TOLERANCE:
        raise SystemExit("missed")


main()
