"""Writes model.onnx: Swish(x, beta=2) beside RunLengths(ids), with Relu and Add around the first."""
import sys

import onnx
from onnx import TensorProto, helper

nodes = [
    helper.make_node("Relu", ["x"], ["r"], name="relu"),
    helper.make_node("Swish", ["r"], ["s"], name="swish", domain="example", beta=2.0),
    helper.make_node("Add", ["s", "x"], ["y"], name="add"),
    helper.make_node("RunLengths", ["ids"], ["values", "lengths"], name="runs", domain="example"),
]
graph = helper.make_graph(
    nodes,
    "user_op",
    [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 4]),
        helper.make_tensor_value_info("ids", TensorProto.INT64, ["count"]),
    ],
    [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 4]),
        helper.make_tensor_value_info("values", TensorProto.INT64, ["runs"]),
        helper.make_tensor_value_info("lengths", TensorProto.INT64, ["runs"]),
    ],
)
opsets = [helper.make_opsetid("", 17), helper.make_opsetid("example", 1)]
model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
onnx.save(model, sys.argv[1] if len(sys.argv) > 1 else "model.onnx")
