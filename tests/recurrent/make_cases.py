#!/usr/bin/env python3
"""Writes cases.txt: outputs of RNN, GRU and LSTM from onnxruntime, over a matrix of settings.

Needs numpy, onnx and onnxruntime; the test that replays the file (test_recurrent.c) does not.
Inputs are not in the file: both sides draw them from the same generator, seeded with the case's
number.
onnxruntime has no layout = 1; those cases are its layout = 0 with axes 0 and 1 (Y: moved) swapped.

    python3 make_cases.py > cases.txt
"""
import itertools
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

SEQ, BATCH, INPUT, HIDDEN = 4, 3, 2, 3
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
USUAL = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}
OUTPUTS = {"RNN": 2, "GRU": 2, "LSTM": 3}
FUNCTIONS = {  # name: (alpha, beta) worth giving, None where the function takes none
    "Relu": (None, None), "Tanh": (None, None), "Sigmoid": (None, None), "Affine": (0.75, 0.125),
    "LeakyRelu": (0.25, None), "ThresholdedRelu": (0.125, None), "ScaledTanh": (1.5, 0.5),
    "HardSigmoid": (0.25, 0.375), "Elu": (0.5, None), "Softsign": (None, None),
    "Softplus": (None, None)}
# Functions that onnxruntime can run without their alpha and beta.
WITH_DEFAULTS = ["LeakyRelu", "HardSigmoid", "Elu"]
LENS = [4, 1, 2]


class Draw:
    """Multiples of 1/8 in [-1, 1]: a 64-bit linear congruential generator, high bits."""

    def __init__(self, seed):
        self.state = seed

    def array(self, shape):
        values = []
        for _ in range(int(np.prod(shape))):
            self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
            values.append(((self.state >> 33) % 17 - 8) / 8)
        return np.array(values, np.float32).reshape(shape)


def text_of(array):
    """A tensor as tn_tensor_parse reads it."""
    kind = "i32" if array.dtype == np.int32 else "f32"
    values = ",".join(np.format_float_positional(v, unique=True, trim="-") if kind == "f32" and
                      1e-4 < abs(v) < 1e6 else repr(v.item()) for v in array.reshape(-1))
    return f"{kind}[{','.join(map(str, array.shape))}]={{{values}}}"


def attributes_text(attributes):
    def value(v):
        return "[" + ",".join(map(str, v)) + "]" if isinstance(v, list) else str(v)
    return "{" + ", ".join(f"{k}={value(v)}" for k, v in attributes.items()) + "}"


class Case:
    def __init__(self, op, direction="forward", bias=True, states=False, lens=None, peepholes=False,
                 keep=None, layers=1, **attributes):
        self.op, self.bias, self.states, self.lens = op, bias, states, lens
        self.peepholes, self.layers, self.attributes = peepholes, layers, attributes
        self.direction = direction
        self.layout = attributes.get("layout", 0)
        self.directions = 2 if direction == "bidirectional" else 1
        self.keep = range(OUTPUTS[op]) if keep is None else keep

    def inputs(self, draw, x):
        """In the model's layout; None where absent. x given: of a layer above."""
        op, d, rows = self.op, self.directions, GATES[self.op] * HIDDEN
        size = INPUT if x is None else x.shape[2]
        swap = self.layout == 1
        if x is None:
            x = draw.array((BATCH, SEQ, INPUT) if swap else (SEQ, BATCH, INPUT))
        state = (BATCH, d, HIDDEN) if swap else (d, BATCH, HIDDEN)
        made = [x, draw.array((d, rows, size)), draw.array((d, rows, HIDDEN)),
                draw.array((d, 2 * rows)) if self.bias else None,
                None if self.lens is None else np.array(self.lens, np.int32),
                draw.array(state) if self.states else None]
        if op == "LSTM":
            made.append(draw.array(state) if self.states else None)
            made.append(draw.array((d, 3 * HIDDEN)) if self.peepholes else None)
        while made[-1] is None:
            made.pop()
        return made

    def run(self, inputs):
        """onnxruntime's outputs, in the model's layout."""
        swap = self.layout == 1
        fed = [None if v is None else v.swapaxes(0, 1) if swap and i in (0, 5, 6) else v
               for i, v in enumerate(inputs)]
        attributes = {k: v for k, v in self.attributes.items() if k != "layout"}
        names = [f"i{i}" if v is not None else "" for i, v in enumerate(fed)]
        outs = [f"o{i}" for i in range(OUTPUTS[self.op])]
        node = helper.make_node(self.op, names, outs, hidden_size=HIDDEN, direction=self.direction,
                                **attributes)
        graph = helper.make_graph(
            [node], "g",
            [helper.make_tensor_value_info(
                f"i{i}", TensorProto.INT32 if i == 4 else TensorProto.FLOAT, v.shape)
             for i, v in enumerate(fed) if v is not None],
            [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outs])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                               providers=["CPUExecutionProvider"])
        got = session.run(None, {f"i{i}": v for i, v in enumerate(fed) if v is not None})
        if swap:
            got = [got[0].transpose(2, 0, 1, 3)] + [v.swapaxes(0, 1) for v in got[1:]]
        return got

    def problem(self, inputs):
        words = []
        for i, v in enumerate(inputs):
            if v is None:
                words.append("none")
            elif i == 4:
                words.append(text_of(v))
            else:
                words.append(f"f32[{','.join(map(str, v.shape))}]")
        attributes = dict(self.attributes)
        if self.direction != "forward":
            attributes["direction"] = self.direction
        attributes["hidden_size"] = HIDDEN
        return f"{self.op}{attributes_text(attributes)} {' '.join(words)} -> {OUTPUTS[self.op]}"

    def write(self, number, out):
        draw, x = Draw(number), None
        print(f"case {number}", file=out)
        for _ in range(self.layers):
            inputs = self.inputs(draw, x)
            got = self.run(inputs)
            print("layer", self.problem(inputs), file=out)
            # [seq, directions, batch, hidden] -> [seq, batch, directions * hidden]
            x = got[0].transpose(0, 2, 1, 3).reshape(SEQ, BATCH, self.directions * HIDDEN)
        print("expect", " ".join(text_of(v) if i in self.keep else "none"
                                 for i, v in enumerate(got)), file=out)


def activations(names, given=True):
    """Attributes for a list of functions, with alpha and beta of those that take them."""
    made = {"activations": names}
    alpha = [FUNCTIONS[n][0] for n in names if FUNCTIONS[n][0] is not None]
    beta = [FUNCTIONS[n][1] for n in names if FUNCTIONS[n][1] is not None]
    if given and alpha:
        made["activation_alpha"] = alpha
    if given and beta:
        made["activation_beta"] = beta
    return made


def cases():
    directions = ["forward", "reverse", "bidirectional"]
    for op in GATES:
        flags = {"RNN": [{}], "GRU": [{"linear_before_reset": 0}, {"linear_before_reset": 1}],
                 "LSTM": [{}, {"peepholes": True}]}[op]
        for direction, bias, states, lens, clip, flag in itertools.product(
                directions, [False, True], [False, True], [None, LENS], [None, 0.5], flags):
            if clip and not (bias and states):
                continue
            more = dict(flag, **({"clip": clip} if clip else {}))
            yield Case(op, direction, bias, states, lens, **more)
        for direction, states, lens in itertools.product(directions, [False, True], [None, LENS]):
            yield Case(op, direction, True, states, lens, layout=1)
        for direction in directions:
            for keep in [[0], [1], [2], [1, 2]][:4 if op == "LSTM" else 2]:
                yield Case(op, direction, lens=LENS, keep=keep)
            for layers_bias in [False, True]:
                yield Case(op, direction, bias=layers_bias, states=True, layers=2)
            if op == "LSTM":
                yield Case(op, direction, states=True, input_forget=1)
                yield Case(op, direction, states=True, peepholes=True, input_forget=1, clip=0.5)
        count = len(USUAL[op])
        for name in FUNCTIONS:
            for place in range(count):
                names = list(USUAL[op])
                names[place] = name
                yield Case(op, "forward", states=True, **activations(names))
            if name in WITH_DEFAULTS:
                yield Case(op, "forward", states=True, **activations([name] * count, given=False))
        # Different functions in each direction: alpha and beta are taken in turn.
        both = {"RNN": ["LeakyRelu", "Affine"],
                "GRU": ["HardSigmoid", "Elu", "Sigmoid", "LeakyRelu"],
                "LSTM": ["HardSigmoid", "Tanh", "Affine", "Sigmoid", "ScaledTanh", "LeakyRelu"]}[op]
        for lens in [None, LENS]:
            yield Case(op, "bidirectional", lens=lens, **activations(both))
            yield Case(op, "bidirectional", lens=lens, clip=0.75, states=True, **activations(both))


def main():
    out = sys.stdout
    print("# Made by make_cases.py with onnxruntime", onnxruntime.__version__, file=out)
    for number, case in enumerate(cases(), 1):
        try:
            case.write(number, out)
        except Exception as error:
            sys.exit(f"case {number} {case.__dict__}: {error}")


main()
