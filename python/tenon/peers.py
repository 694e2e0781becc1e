"""What ONNX Runtime and PyTorch make of a model, to hold against Tenon's engines.

    python -m tenon.peers MODEL.onnx --onnxruntime --html=report.html
    python -m tenon.peers MODEL.onnx --torch=module.pt

is `tenon compare` with this Python: the command itself makes the inputs, runs the engines, compares and
writes the report, and asks this file for the other libraries' tensors. Without the command the functions
can be called: `run_onnxruntime("model.onnx", {"x": array})` gives arrays by name.

This file stands alone (the command carries a copy of it): it needs NumPy and the library that is asked.
"""

import os
import shutil
import sys


class Missing(Exception):
    """A package is not installed; the text says which, and how to get it."""


def _package(name, why):
    try:
        return __import__(name)
    except ImportError as error:
        raise Missing(f"{why} needs the package {name}, which {sys.executable} does not have: "
                      f"{sys.executable} -m pip install {name} (or set $PYTHON to one that has it)") from error


# ---- ONNX Runtime


def _with_values(model):
    """The model's bytes with every tensor between its nodes as an output; None without the package onnx."""
    try:
        import onnx
    except ImportError:
        return None
    loaded = onnx.load(model)
    known = {output.name for output in loaded.graph.output}
    for node in loaded.graph.node:
        for name in node.output:
            if name and name not in known:
                known.add(name)
                loaded.graph.output.append(onnx.ValueInfoProto(name=name))
    return loaded.SerializeToString()


def run_onnxruntime(model, inputs, values=False, threads=0):
    """Outputs by name, of one run on the CPU. With `values`, tensors between the nodes too (needs the package
    onnx); what is no tensor of NumPy's types is left out."""
    runtime = _package("onnxruntime", "the comparison with ONNX Runtime")
    import numpy

    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    source = _with_values(model) if values else None
    session = runtime.InferenceSession(source or model, options, providers=["CPUExecutionProvider"])
    known = {i.name for i in session.get_inputs()}
    names = [output.name for output in session.get_outputs()]
    results = session.run(names, {name: array for name, array in inputs.items() if name in known})
    return {name: array for name, array in zip(names, results) if isinstance(array, numpy.ndarray)}


# ---- PyTorch


def _load_module(path, torch):
    """TorchScript, an exported program, or FILE.py:NAME, a function that gives a module."""
    if ".py:" in path:
        import importlib.util

        file, _, name = path.rpartition(":")
        spec = importlib.util.spec_from_file_location("module_to_compare", file)
        source = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(source)
        return getattr(source, name)()
    if path.endswith(".pt2"):
        return torch.export.load(path).module()
    return torch.jit.load(path, map_location="cpu")


def _flatten(result):
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (list, tuple)):
        return [tensor for item in result for tensor in _flatten(item)]
    return [] if result is None else [result]


def run_torch(module, inputs, outputs=(), threads=0):
    """Outputs of a module (or of a file: TorchScript, .pt2, FILE.py:NAME), called with the inputs in their order and
    named by `outputs` in theirs."""
    torch = _package("torch", "the comparison with PyTorch")
    if threads:
        torch.set_num_threads(threads)
    exported = isinstance(module, str) and module.endswith(".pt2")
    if isinstance(module, str):
        module = _load_module(module, torch)
    if isinstance(module, torch.nn.Module) and not exported:
        module.eval()
    with torch.no_grad():
        results = _flatten(module(*(torch.from_numpy(array) for array in inputs.values())))
    names = list(outputs) + [f"output{i}" for i in range(len(outputs), len(results))]
    return {name: result.detach().cpu().numpy() for name, result in zip(names, results)}


# ---- For the command


def _read_request(folder):
    request = {"inputs": {}, "outputs": []}
    import numpy

    with open(os.path.join(folder, "request"), encoding="utf-8") as file:
        for line in file:
            word, *rest = line.rstrip("\n").split("\t")
            if word == "input":
                request["inputs"][rest[0]] = numpy.load(os.path.join(folder, rest[1]))
            elif word == "output":
                request["outputs"].append(rest[0])
            else:
                request[word] = rest[0]
    return request


def _help(folder):
    numpy = _package("numpy", "the comparison with other libraries")
    request = _read_request(folder)
    library, inputs, threads = request["library"], request["inputs"], int(request["threads"])
    values = request["values"] == "1"
    lines = []
    if library == "onnxruntime":
        results = run_onnxruntime(request["model"], inputs, values, threads)
        if values and not any(name not in request["outputs"] for name in results):
            lines.append("note\tonly its outputs: the package onnx is needed to see what is between them")
    else:
        results = run_torch(request["model"], inputs, request["outputs"], threads)
    label = f"{library} {sys.modules[library].__version__}"
    lines.append(f"label\t{label}" + (" " + os.path.basename(request["model"]) if library == "torch" else ""))
    plain = {name: array for name, array in results.items()
             if array.dtype.kind in "fiub" and "\t" not in name and "\n" not in name}
    for index, (name, array) in enumerate(plain.items()):
        file = f"tensor_{index}.npy"
        numpy.save(os.path.join(folder, file), array.copy(order="C"))
        lines.append(f"tensor\t{name}\t{file}")
    with open(os.path.join(folder, "answer"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return 0


def main(arguments):
    try:
        if len(arguments) == 2 and arguments[0] == "--helper":
            return _help(arguments[1])
    except Missing as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Exception as error:  # whatever the library raises about the model is its answer
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    command = os.environ.get("TENON") or shutil.which("tenon")
    if not command:
        print("error: the command `tenon` is not in the PATH, and $TENON does not name it; "
              "it makes the comparison (see docs/cli.md)", file=sys.stderr)
        return 1
    os.environ["PYTHON"] = sys.executable
    os.execv(command, [command, "compare", *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
