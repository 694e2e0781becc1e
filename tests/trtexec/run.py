#!/usr/bin/env python3
"""`tenon trtexec` as scripts written for TensorRT meet it: every flag of three releases (flags.txt), the commands of the
five workflows, its files, its exit codes, and its log, read by three kinds of parsers. Usage: run.py TENON"""
import json
import os
import re
import struct
import subprocess
import sys
import tempfile

import parsers

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.dirname(os.path.dirname(here))
tenon = os.path.abspath(sys.argv[1])
examples = os.path.join(root, "examples")
curve = os.path.join(examples, "curve", "curve.onnx")
lstm = os.path.join(examples, "bilstm10", "lstm.onnx")
passed, failures = 0, []
os.environ["TENON_DEVICE"] = "cpu"


def expect(condition, what, output=""):
    global passed
    if condition:
        passed += 1
    else:
        failures.append(what)
        print("FAIL:", what)
        print("".join("    " + line + "\n" for line in output.splitlines()[-15:]), end="")


def run(*words, program=(tenon, "trtexec"), **more):
    done = subprocess.run([*program, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, **more)
    return done.returncode, done.stdout


QUICK = ["--builderOptimizationLevel=0", "--iterations=1", "--duration=0", "--warmUp=0"]


def test_flags():
    """Each flag alone, as flags.txt says; and no flag of ours that is not there."""
    run(f"--onnx={curve}", "--saveEngine=kept.engine", "--skipInference", *QUICK)
    with open("values.bin", "wb") as file:
        file.write(struct.pack("<18f", *range(18)))
    marks = {"accepted": "I", "passed": "W", "refused": "E"}
    known = set()
    with open(os.path.join(here, "flags.txt"), encoding="utf-8") as file:
        rows = [line.split(None, 1) for line in file if line[0] != "#"]
    for flag, rest in rows:
        match = re.match(r"((?:7 |8\.6 |10\.16 |11\.1 )+)\s*(\w+)\s*(.*)", rest)
        here_is, pattern = match.group(2), match.group(3)
        name = flag.split("=")[0]
        known.add(name)
        flag = flag.format(model=curve, engine="kept.engine", values="values.bin")
        made = pattern[5:] if pattern.startswith("file:") else None
        if made and os.path.exists(made):
            os.remove(made)
        words = [word for word in QUICK if word.split("=")[0] != name]
        code, output = run(f"--onnx={curve}", *words, flag)
        said = re.findall(rf"^\[\S+\] \[(\w)\] {name}: .+", output, re.M)
        if here_is == "does":
            # alone they ask for more
            fails = name in ("--timeDeserialize", "--loadRefOutputs", "--getPlanVersionOnly", "--refitFromOnnx", "--timeRefit")
            good = code == fails and not said
            good = good and (os.path.getsize(made) > 0 if made else re.search(pattern, output))
            if made and made.endswith("json"):
                json.load(open(made, encoding="utf-8"))
        else:
            # an alias is told by its name proper
            told = said or re.findall(r"^\[\S+\] \[(\w)\] --\w+: .+", output, re.M)
            good = told == [marks[here_is]] and code == (here_is == "refused")
        expect(good, f"{flag}: exit {code}", output)
    listed = set(re.findall(r"^  (--?\w+)", run("--help")[1], re.M)) | set(
        re.findall(r"\(also (--\w+)\)", run("--help")[1]))
    expect(listed - known <= {"--help"}, f"flags.txt lacks {listed - known}")
    expect(known - listed <= {"-h"}, f"--help lacks {known - listed}")


def test_mistakes():
    code, output = run()
    expect(code == 0 and "usage: trtexec" in output, "no arguments: help", output)
    code, output = run(f"--onnx={curve}", "--fp61", "--shpaes=data:1x9x2")
    expect(code == 1 and "[E] Unknown option: --fp61; did you mean --fp16?" in output
           and "did you mean --shapes?" in output and "&&&& FAILED TensorRT.trtexec" in output, "unknown options", output)
    for words, pattern in [
        ([], r"Model missing"),
        (["--onnx=nowhere.onnx"], r"\[E\] .*nowhere.onnx"),
        ([f"--onnx={curve}", "--iterations=x"], r"--iterations wants a number, not 'x'"),
        ([f"--onnx={curve}", "--fp16=yes"], r"--fp16 takes no value"),
        ([f"--onnx={curve}", "--saveEngine"], r"--saveEngine wants a value"),
        ([f"--onnx={curve}", "--builderOptimizationLevel=9"], r"goes from 0 to 5"),
        ([f"--onnx={curve}", "--infStreams=0"], r"goes from 1 to"),
        ([f"--onnx={curve}", "--accuracyAlgorithm=l7"], r"knows no 'l7'"),
        ([f"--onnx={curve}", "--profilingVerbosity=loud"], r"knows no 'loud'"),
        ([f"--onnx={curve}", "--percentile=101"], r"0 to 100"),
        ([f"--onnx={curve}", "--shapes=nobody:1x9x2", *QUICK], r"nobody"),
        ([f"--onnx={curve}", "--shapes=data:1x", *QUICK], r"is not a shape"),
        ([f"--onnx={curve}", "--minShapes=data:1x9x2", "--optShapes=data:1x2", *QUICK], r"differ in rank"),
        ([f"--onnx={curve}", "--loadInputs=data", *QUICK], r"is not NAME:FILE"),
        ([f"--onnx={curve}", "--loadInputs=data:nowhere.bin", *QUICK], r"nowhere.bin"),
        ([f"--onnx={curve}", "--exportTimes=nowhere/times.json", *QUICK], r"cannot write nowhere/times.json"),
        ([f"--onnx={curve}", "--saveEngine=nowhere/x.engine", *QUICK], r"nowhere"),
        (["--loadEngine=" + curve], r"\[E\] .*is not an engine"),
    ]:
        code, output = run(*(words or ["--verbose"]))
        expect(code == 1 and re.search(pattern, output) and "&&&& FAILED TensorRT.trtexec" in output,
               f"{words}: exit {code}, wanted {pattern}", output)


def test_files():
    """What the JSON files hold, that outputs come back as inputs and references, and profiles."""
    code, output = run(f"--onnx={curve}", "--shapes=data:2x9x2", *QUICK, "--iterations=7", "--exportTimes=t.json",
                       "--exportOutput=o.json", "--exportProfile=p.json", "--exportLayerInfo=l.json",
                       "--profilingVerbosity=detailed", "--dumpRawBindingsToFile", "--dumpOutput")
    expect(code == 0, "a run with all exports", output)
    times = json.load(open("t.json"))
    keys = [a + b + "Ms" for b in ("Enq", "H2d", "Compute", "D2h") for a in ("start", "end")]
    expect(len(times) == 7 and list(times[0]) == keys + ["h2dMs", "computeMs", "d2hMs", "latencyMs"], "exportTimes", str(times[:1]))
    expect(all(a["startH2dMs"] <= b["startH2dMs"] and a["startComputeMs"] <= a["endComputeMs"] <= a["endD2hMs"]
               and abs(a["h2dMs"] + a["computeMs"] + a["d2hMs"] - a["latencyMs"]) < 1e-3 + 1e-4 * a["latencyMs"] for a, b in zip(times, times[1:])),
           "times of a query add up")
    outputs = json.load(open("o.json"))
    expect(outputs[0]["name"] == "output" and outputs[0]["dimensions"] == "2x1x2" and len(outputs[0]["values"]) == 4, "exportOutput")
    shown = re.search(r"output: \(2x1x2\)\n(.*)", output).group(1).split()
    expect([f"{x:.4g}" for x in outputs[0]["values"]] == [f"{float(x):.4g}" for x in shown], "dumpOutput shows the same")
    profile = json.load(open("p.json"))
    expect(profile[0] == {"count": 20} and abs(sum(row["percentage"] for row in profile[1:]) - 100) < 0.1
           and list(profile[1]) == ["name", "timeMs", "averageMs", "medianMs", "percentage"], "exportProfile", str(profile))
    layers = json.load(open("l.json"))
    expect(layers["Bindings"] == ["data", "output"] and len(layers["Layers"]) == len(profile) - 1
           and all(list(layer) == ["Name", "LayerType", "Inputs", "Outputs", "TacticName", "StreamId", "Metadata"]
                   for layer in layers["Layers"]), "exportLayerInfo", str(layers)[:500])
    tensors = [tensor for layer in layers["Layers"] for tensor in layer["Inputs"] + layer["Outputs"]]
    expect({"Name": "data", "Location": "Host", "Dimensions": [2, 9, 2], "Format/Datatype": "Row major linear FP32"} in tensors
           and any(tensor["Name"] == "output" for tensor in tensors), "tensors of layers", str(tensors))
    expect(any("[ONNX Layer: LSTM" in layer["Metadata"] for layer in layers["Layers"]), "layers name nodes of the model")
    raw = open("output.2x1x2.f32.raw", "rb").read()
    expect([f"{x:.6g}" for x in struct.unpack("<4f", raw)] == [f"{x:.6g}" for x in outputs[0]["values"]], "raw outputs")
    with open("off.raw", "wb") as file:
        file.write(struct.pack("<4f", *(x + 0.01 for x in struct.unpack("<4f", raw))))
    again = [f"--onnx={curve}", "--shapes=data:2x9x2", "--loadInputs=data:data.2x9x2.f32.raw", *QUICK]
    for algorithm in ("l0", "l1", "l2", "lInf", "cos"):
        code, output = run(*again, "--loadRefOutputs=output:output.2x1x2.f32.raw", f"--accuracyAlgorithm={algorithm}")
        expect(code == 0 and f"Accuracy of output: {algorithm} = " in output, f"{algorithm}: the same outputs", output)
        code, output = run(*again, "--loadRefOutputs=output:off.raw", f"--accuracyAlgorithm={algorithm}", "--accuracyThreshold=1e-9")
        expect(code == 1 and "Accuracy validation FAILED" in output, f"{algorithm}: other outputs", output)
    code, output = run(*again, "--loadRefOutputs=output:off.raw", "--atol=0.02")
    expect(code == 0, "--atol", output)
    code, output = run(f"--onnx={curve}", *QUICK, "--useProfile=1", "--profile=0", "--optShapes=data:2x9x2", "--profile=1",
                       "--optShapes=data:5x9x2")
    expect(code == 0 and "OPT=5x9x2" in output and "OPT=2x9x2" not in output, "the profile of --useProfile", output)
    run(f"--onnx={curve}", "--saveEngine=d.engine", "--skipInference", *QUICK)
    code, output = run("--loadEngine=d.engine", "--getPlanVersionOnly")
    expect(code == 0 and re.search(r"created with Tenon version \d+\.\d+\.\d+\n", output) and "deserialized" not in output,
           "--getPlanVersionOnly", output)
    # Weights taken out of a file and put in again.
    code, output = run(f"--onnx={curve}", "--saveEngine=thin.engine", "--stripWeights", "--skipInference", "--dumpRefit", *QUICK)
    names = re.findall(r"\[I\]   (\S+): f32 [0-9x]+", output)
    expect(code == 0 and len(names) > 2 and os.path.getsize("thin.engine") < os.path.getsize("d.engine"), "--stripWeights", output)
    code, output = run("--loadEngine=thin.engine", f"--refitFromOnnx={curve}", *again[1:], "--loadRefOutputs=output:output.2x1x2.f32.raw")
    expect(code == 0 and "Engine refitted from" in output, "--refitFromOnnx", output)
    code, output = run(f"--onnx={curve}", "--refit", "--timeRefit", *QUICK)
    expect(code == 0 and re.search(r"in 10 iterations, average time = [0-9.]+ milliseconds", output), "--timeRefit", output)
    code, output = run("--loadEngine=d.engine", "--timeDeserialize")
    expect(code == 0 and re.search(r"in 20 iterations, average time = [0-9.]+ milliseconds", output), "--timeDeserialize", output)
    os.symlink(tenon, "trtexec")
    code, output = run("--loadEngine=d.engine", "--shapes=data:3x9x2", *QUICK, program=("./trtexec",))
    expect(code == 0 and "dimensions 3x9x2" in output, "the program by the name of trtexec", output)
    os.symlink(tenon, "tenon-trtexec")
    expect(run("--help", program=("./tenon-trtexec",))[0] == 0, "the program by the name of tenon-trtexec")


def check_log(text, words):
    """All three parsers read it and agree."""
    sections, found, seen = parsers.by_sections(text), parsers.by_search(text), parsers.by_words(text)
    summary = sections["Performance summary"]
    expect(seen["running"] and seen["verdict"] == "PASSED", "the lines around", text)
    expect(seen["command"] == "trtexec " + " ".join(words), "the command in the last line", text)
    expect(sections["Model Options"]["Format"] in ("ONNX", "*") and sections["Inference Options"]["Batch"] == "Explicit"
           and "Selected Device" in sections["Device Information"] and "Averages" in sections["Reporting Options"]
           and "Precision" in sections["Build Options"], "the sections", str(sections))
    expect(list(summary) == ["Throughput", *parsers.METRICS[:3], "GPU Compute Time", "D2H Latency", "Total Host Walltime",
                             "Total GPU Compute Time"], "the order of the summary", str(list(summary)))
    for name in parsers.METRICS:
        row = [found[name, s] for s in ("min", "max", "mean", "median", "percentile(90%)", "percentile(95%)", "percentile(99%)")]
        expect(row == summary[name], f"{name} read twice", text)
        expect(row[0] <= row[3] <= row[4] <= row[5] <= row[6] <= row[1] and row[0] <= row[2] <= row[1], f"{name} in order", str(row))
    expect(seen["mean"] == found["GPU Compute Time", "mean"] and len(seen["averages"]) >= 1, "words", text)
    for name in parsers.SCALARS:
        expect(found[name] == summary[name], name, text)
    expect(abs(found["queries"] / found["Throughput"] - found["Total Host Walltime"]) < 0.02 * found["Total Host Walltime"],
           "throughput = queries / walltime", text)
    expect(abs(found["queries"] * found["GPU Compute Time", "mean"] / 1e3 - found["Total GPU Compute Time"])
           < 0.02 * found["Total GPU Compute Time"], "compute time adds up", text)
    expect(len(seen["shapes"]) >= 2, "shapes", text)


def timed(*words, streams=subprocess.STDOUT):
    words = [*words, "--duration=0.1", "--warmUp=10"]
    done = subprocess.run([tenon, "trtexec", *words], stdout=subprocess.PIPE, stderr=streams, text=True, timeout=120)
    expect(done.returncode == 0, f"trtexec {' '.join(words)}: exit {done.returncode}", done.stdout)
    if done.returncode == 0:
        check_log(done.stdout, words)
    return done


def test_logs():
    with open(os.path.join(here, "log-8.6.txt"), encoding="utf-8") as file:
        check_log(file.read(), ["--onnx=lstm.onnx", "--saveEngine=lstm.engine"])
    # Lines of information and detail on stdout, warnings and errors on stderr.
    done = timed(f"--onnx={curve}", "--int8", streams=subprocess.PIPE)
    expect(not re.search(r"\] \[[WEF]\] ", done.stdout) and "[W] --int8" in done.stderr
           and not re.search(r"\] \[[IV]\] ", done.stderr), "streams", done.stderr)
    expect(all(re.match(r"&&&& |\[\d\d/\d\d/\d{4}-\d\d:\d\d:\d\d\] \[[IV]\] ", line) for line in done.stdout.splitlines()),
           "every line has its stamp", done.stdout)
    done = timed(f"--onnx={curve}", "--infStreams=3")
    expect("* Multiple inference streams are used." in done.stdout, "streams are warned of", done.stdout)


def test_workflows():
    """Each network of the mission's five, from a file to a summary, with the flags of its time."""
    # 1: an LSTM that forecasts a curve, batches of 1 to 50.
    timed(f"--onnx={curve}", "--minShapes=data:1x9x2", "--optShapes=data:10x9x2", "--maxShapes=data:50x9x2",
          "--shapes=data:50x9x2", "--saveEngine=model.plan", "--memPoolSize=workspace:1024")
    # 2: ten LSTM layers, in float32 and with --fp16, without shapes.
    done = timed(f"--onnx={lstm}", "--saveEngine=lstm.engine", "--verbose")
    expect("[W] Dynamic dimensions required for input: input, but no shapes were provided. Automatically overriding shape to: "
           "1x3x10" in done.stdout and "=== Explanations of the performance metrics ===" in done.stdout, "workflow 2", done.stdout)
    timed(f"--onnx={lstm}", "--saveEngine=lstm_fp16.engine", "--fp16", "--verbose")
    timed("--loadEngine=lstm.engine", "--shapes=input:7x3x10")
    # 3: the digit network, as TensorRT 7 took it, and AlexNet as torch2trt has it, one engine of each.
    timed(f"--onnx={examples}/mnist/mnist.onnx", "--explicitBatch", "--workspace=1024", "--saveEngine=mnist.engine", "--useCudaGraph")
    timed(f"--onnx={examples}/alexnet/alexnet.pth", "--fp16", "--saveEngine=alexnet.engine", "--builderOptimizationLevel=0")
    # 4: Swin, exported at opset 12.
    code, output = run(f"{examples}/swin/swin.pth", "-o", "swin.onnx", "--opset=12", program=(tenon, "export"))
    expect(code == 0, "tenon export", output)
    timed("--onnx=swin.onnx", "--fp16", "--saveEngine=swin.engine", "--builderOptimizationLevel=0")
    # 5: sentiment of Chinese texts, batch and length dynamic.
    names = ["input_ids", "segment_ids"]
    shapes = {at: ",".join(f"{name}:{size}" for name in names) for at, size in
              {"min": "1x1", "opt": "20x512", "max": "20x512", "now": "1x202"}.items()}
    timed(f"--onnx={examples}/sentiment/sentiment.onnx", "--saveEngine=bert_cls.trt", "--workspace=10000",
          f"--minShapes={shapes['min']}", f"--optShapes={shapes['opt']}", f"--maxShapes={shapes['max']}",
          f"--shapes={shapes['now']}", "--builderOptimizationLevel=0")


def main():
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        for test in (test_flags, test_mistakes, test_files, test_logs, test_workflows):
            test()
        os.chdir("/")
    print(f"{passed} passed, {len(failures)} failed")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
