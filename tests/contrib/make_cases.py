#!/usr/bin/env python3
"""Writes tests/contrib/cases: one small model for each form of an operator of com.microsoft, in the
layout of the ONNX backend tests. Needs numpy, onnx and onnxruntime; the tests themselves do not.

Expected outputs are those of ONNX Runtime's own kernels with all optimisation off. A few operators
have no kernel for the CPU there; their outputs are computed here from their documentation (cases
made by `formula`).
"""
import pathlib
import shutil
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

ROOT = pathlib.Path(__file__).parent / "cases"
MS = "com.microsoft"
rng = np.random.default_rng(7)


def f32(*dim, scale=1.0):
    return (rng.standard_normal(dim) * scale).astype(np.float32)


def u8(*dim):
    return rng.integers(0, 256, dim).astype(np.uint8)


def i8(*dim):
    return rng.integers(-128, 128, dim).astype(np.int8)


def num(value, dtype=np.float32):
    return np.array(value, dtype)


def build(op, arrays, outputs, attrs, domain, fixed):
    """Arrays: None is an absent input. Those at positions in `fixed` are initializers."""
    names = ["" if a is None else f"x{i}" for i, a in enumerate(arrays)]
    inputs, constants = [], []
    for i, a in enumerate(arrays):
        if a is None:
            continue
        if i in fixed:
            constants.append(numpy_helper.from_array(a, names[i]))
        else:
            inputs.append(helper.make_tensor_value_info(
                names[i], helper.np_dtype_to_tensor_dtype(a.dtype), a.shape))
    outs = [o for o in outputs if o]
    node = helper.make_node(op, names, outputs, domain=domain, **attrs)
    values = [helper.make_empty_tensor_value_info(o) for o in outs]
    graph = helper.make_graph([node], op, inputs, values, constants)
    return helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 17), helper.make_opsetid(MS, 1)])


def case(name, op, arrays, outputs=("y",), fixed=(), domain=MS, expect=None, **attrs):
    model = build(op, arrays, list(outputs), attrs, domain, fixed)
    feeds = [(f"x{i}", a) for i, a in enumerate(arrays) if a is not None and i not in fixed]
    names = [o for o in outputs if o]
    if expect is None:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3
        session = ort.InferenceSession(model.SerializeToString(), options,
                                       providers=["CPUExecutionProvider"])
        expect = session.run(names, dict(feeds))
    store(name, model, feeds, list(zip(names, expect)))


def store(name, model, feeds, results):
    for value, (_, result) in zip(model.graph.output, results):
        dtype = helper.np_dtype_to_tensor_dtype(result.dtype)
        value.CopyFrom(helper.make_tensor_value_info(value.name, dtype, result.shape))
    folder = ROOT / name
    data = folder / "test_data_set_0"
    data.mkdir(parents=True)
    onnx.save(model, folder / "model.onnx")
    for kind, arrays in (("input", feeds), ("output", results)):
        for i, (key, array) in enumerate(arrays):
            (data / f"{kind}_{i}.pb").write_bytes(
                numpy_helper.from_array(array, key).SerializeToString())


def formula(name, op, arrays, expect, **more):
    """A case whose output is `expect`, computed here."""
    case(name, op, arrays, expect=[np.asarray(expect, arrays[0].dtype)], **more)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    from math import erf
    return x * 0.5 * (1 + np.vectorize(erf)(x / np.sqrt(2)))


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def activations():
    x, b = f32(2, 3, 8, scale=2), f32(8)
    case("gelu", "Gelu", [x])
    case("bias_gelu", "BiasGelu", [x, b])
    case("fast_gelu", "FastGelu", [x])
    case("fast_gelu_bias", "FastGelu", [x, b])
    case("quick_gelu", "QuickGelu", [x])
    case("quick_gelu_alpha", "QuickGelu", [x], alpha=1.0)
    s = x.astype(np.float64) + b
    formula("bias_split_gelu", "BiasSplitGelu", [x, b], s[..., :4] * gelu(s[..., 4:]))
    formula("bias_add", "BiasAdd", [x, b, x[::-1].copy()], s + x[::-1])
    m = f32(2, 1, 8)
    formula("bias_softmax", "BiasSoftmax", [x, m], softmax(x.astype(np.float64) + m), axis=2,
            is_inner_broadcast=1)


def norms():
    x, s, g, b, c = f32(2, 3, 8), f32(2, 3, 8), f32(8), f32(8), f32(8)
    case("skip_layer_norm", "SkipLayerNormalization", [x, s, g, b])
    case("skip_layer_norm_bias_sum", "SkipLayerNormalization", [x, s, g, b, c],
         ["y", "", "", "sum"], epsilon=1e-3)
    case("skip_layer_norm_no_beta", "SkipLayerNormalization", [x, s, g], epsilon=1e-5)
    case("skip_layer_norm_broadcast", "SkipLayerNormalization", [x, f32(1, 3, 8), g, b])
    case("skip_layer_norm_rank2", "SkipLayerNormalization", [f32(5, 8), f32(5, 8), g, b])
    case("skip_rms_norm", "SkipSimplifiedLayerNormalization", [x, s, g, c], ["y", "", "", "sum"],
         epsilon=1e-5)
    case("rms_norm", "SimplifiedLayerNormalization", [x, g], domain="", axis=-1, epsilon=1e-5)
    case("rms_norm_axis", "SimplifiedLayerNormalization", [x, f32(3, 8)], domain="", axis=1)
    ids = rng.integers(0, 10, (2, 5)).astype(np.int32)
    seg = rng.integers(0, 2, (2, 5)).astype(np.int32)
    word, pos, types = f32(10, 8), f32(7, 8), f32(2, 8)
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 0]], np.int32)
    where = np.array([[4, 3, 2, 1, 0], [6, 0, 1, 2, 3]], np.int32)
    case("embed", "EmbedLayerNormalization", [ids, seg, word, pos, types, g, b, mask],
         ["y", "mask_index"], fixed=(2, 3, 4, 5, 6), epsilon=1e-12)
    case("embed_no_segments", "EmbedLayerNormalization", [ids, None, word, pos, None, g, b],
         ["y", "", "sum"], fixed=(2, 3, 5, 6))
    case("embed_positions", "EmbedLayerNormalization",
         [ids, seg, word, pos, types, g, b, None, where], ["y", "mask_index"], fixed=(2, 3, 4))
    tables = [u8(10, 8), u8(7, 8), u8(2, 8), u8(8), u8(8)]
    scales = [num(v) for v in (0.02, 0.03, 0.01, 0.01, 0.02)]
    zeros = [num(v, np.uint8) for v in (128, 120, 130, 0, 100)]
    case("embed_quantised", "QEmbedLayerNormalization",
         [ids, seg, *tables, mask, *scales, *zeros], ["y", "mask_index"],
         fixed=tuple(i for i in range(2, 18) if i != 7))
    nhwc = f32(2, 3, 2, 8)
    wide = nhwc.astype(np.float64).reshape(2, 6, 4, 2)
    mean, var = wide.mean((1, 3), keepdims=True), wide.var((1, 3), keepdims=True)
    normal = ((wide - mean) / np.sqrt(var + 1e-5)).reshape(nhwc.shape) * g + b
    formula("group_norm_silu", "GroupNorm", [nhwc, g, b], normal * sigmoid(normal), groups=4,
            activation=1, channels_last=1, epsilon=1e-5)
    formula("group_norm_first", "GroupNorm", [nhwc.transpose(0, 3, 1, 2).copy(), g, b],
            normal.transpose(0, 3, 1, 2), groups=4, activation=0, channels_last=0, epsilon=1e-5)


def products():
    a, b = f32(2, 3, 4, 5), f32(2, 3, 5, 6)
    swap = lambda x: np.swapaxes(x, -1, -2).copy()
    batch = lambda x: np.moveaxis(x, -2, 0).copy()
    case("fused_matmul", "FusedMatMul", [a, b], alpha=0.125)
    case("fused_matmul_trans", "FusedMatMul", [swap(a), swap(b)], transA=1, transB=1)
    case("fused_matmul_batch", "FusedMatMul", [batch(a), batch(b)], transBatchA=1, transBatchB=1)
    case("fused_matmul_both", "FusedMatMul", [batch(swap(a)), batch(swap(b))], alpha=2.0, transA=1,
         transB=1, transBatchA=1, transBatchB=1)
    case("fused_matmul_vector", "FusedMatMul", [f32(5), b], alpha=0.5)
    case("transpose_matmul", "TransposeMatMul", [swap(a), b], transA=1)
    formula("fused_matmul_relu", "FusedMatMulActivation", [a, b],
            np.maximum(a.astype(np.float64) @ b, 0), activation="Relu")
    x, w, c = f32(3, 5), f32(4, 5), f32(4)
    case("fused_gemm_relu", "FusedGemm", [x, w, c], transB=1, alpha=0.5, beta=2.0,
         activation="Relu")
    case("fused_gemm_leaky", "FusedGemm", [x, w], transB=1, activation="LeakyRelu",
         activation_alpha=0.2)
    case("fused_gemm_hard_sigmoid", "FusedGemm", [x, w, c], transB=1, activation="HardSigmoid",
         activation_alpha=0.3, activation_beta=0.4)
    img, k, kb = f32(1, 4, 6, 5), f32(6, 2, 3, 3), f32(6)
    conv = dict(pads=[1, 1, 1, 1], strides=[2, 1], group=2, kernel_shape=[3, 3])
    case("fused_conv_relu", "FusedConv", [img, k, kb], activation="Relu", **conv)
    case("fused_conv_sum", "FusedConv", [img, k, kb, f32(1, 6, 3, 5)], activation="Relu", **conv)
    case("fused_conv_clip", "FusedConv", [img, k], activation="Clip",
         activation_params=[-0.5, 1.5], **conv)
    case("fused_conv_hard_sigmoid", "FusedConv", [img, k, kb], activation="HardSigmoid",
         activation_params=[0.1, 0.6], **conv)
    case("fused_conv_leaky", "FusedConv", [img, k, kb], activation="LeakyRelu",
         activation_params=[0.3], **conv)
    case("fused_conv_plain", "FusedConv", [f32(1, 2, 9), f32(3, 2, 3)])
    nhwc = img[:, :2].transpose(0, 2, 3, 1).copy()
    kernel = f32(3, 3, 2, 2)
    ref = np.zeros((1, 4, 4, 3))
    for y in range(4):
        for z in range(4):
            ref[0, y, z] = np.einsum("hwc,ohwc->o", nhwc[0, y:y + 3, z:z + 2].astype(float), kernel)
    formula("nhwc_conv", "NhwcConv", [nhwc, kernel], ref)
    q = u8(1, 6, 5, 3)
    case("nhwc_max_pool", "NhwcMaxPool", [q], kernel_shape=[2, 3], strides=[2, 1],
         pads=[0, 1, 0, 1])
    case("nhwc_max_pool_i8", "NhwcMaxPool", [i8(1, 6, 5, 3)], kernel_shape=[3, 3], dilations=[2, 1])
    inv = f32(2, 4, 4) + 3 * np.eye(4, dtype=np.float32)
    case("inverse", "Inverse", [inv])


def packed_weights():
    k, n, block = 40, 6, 16
    blocks = -(-k // block)
    a, scales = f32(3, k), np.abs(f32(n, blocks)) * 0.1
    for bits in (2, 4, 8):
        each = block * bits // 8
        w = rng.integers(0, 256, (n, blocks, each)).astype(np.uint8)
        fixed = (1, 2, 3, 5)
        attrs = dict(K=k, N=n, bits=bits, block_size=block, fixed=fixed)
        numbers = np.stack([(w >> (i * bits)) & (2**bits - 1) for i in range(8 // bits)],
                           -1).reshape(n, blocks, block).astype(float)

        def product(zero, scales=scales, numbers=numbers):
            real = ((numbers - zero) * scales[:, :, None]).reshape(n, -1)[:, :k]
            return (a.astype(float) @ real.T).astype(np.float32)

        zp = rng.integers(0, 256, (n, -(-blocks * bits // 8))).astype(np.uint8)
        zeros = np.stack([(zp >> (i * bits)) & (2**bits - 1) for i in range(8 // bits)],
                         -1).reshape(n, -1)[:, :blocks, None].astype(float)
        bias = f32(n)
        # The numbers are the documentation's; ONNX Runtime agrees where it has a kernel.
        formula(f"matmul_{bits}bits", "MatMulNBits", [a, w, scales], product(2**(bits - 1)), **attrs)
        formula(f"matmul_{bits}bits_zero", "MatMulNBits", [a, w, scales, zp], product(zeros), **attrs)
        if bits != 2:
            case(f"matmul_{bits}bits_ort", "MatMulNBits", [a, w, scales.reshape(-1), zp.reshape(-1)],
                 **attrs)
        formula(f"matmul_{bits}bits_bias", "MatMulNBits", [a, w, scales, None, None, bias],
                product(2**(bits - 1)) + bias, **attrs)


def quantised():
    s = num
    for name, make, zero in (("u8", u8, np.uint8), ("i8", i8, np.int8)):
        a, b = make(2, 3, 4), make(3, 1)
        za, zb, zc = num(3, zero), num(-5 if zero is np.int8 else 120, zero), num(10, zero)
        for op in ("Add", "Mul"):
            case(f"qlinear_{op.lower()}_{name}", "QLinear" + op,
                 [a, s(0.03), za, b, s(0.05), zb, s(0.07 if op == "Add" else 0.4), zc])
        case(f"qlinear_sigmoid_{name}", "QLinearSigmoid", [a, s(0.04), za, s(1 / 256), num(0, zero)])
        case(f"qlinear_leaky_relu_{name}", "QLinearLeakyRelu", [a, s(0.04), za, s(0.03), zc],
             alpha=0.2)
        img = make(1, 3, 7, 6)
        pool = dict(kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1])
        case(f"qlinear_average_pool_{name}", "QLinearAveragePool", [img, s(0.1), za, s(0.09), zc],
             **pool)
        case(f"qlinear_average_pool_count_{name}", "QLinearAveragePool",
             [img, s(0.1), za, s(0.09), zc], count_include_pad=1, **pool)
        last = img.transpose(0, 2, 3, 1).copy()
        case(f"qlinear_average_pool_last_{name}", "QLinearAveragePool",
             [last, s(0.1), za, s(0.09), zc], channels_last=1, **pool)
        case(f"qlinear_global_pool_{name}", "QLinearGlobalAveragePool",
             [img, s(0.1), za, s(0.02), zc], channels_last=0)
        case(f"qlinear_global_pool_last_{name}", "QLinearGlobalAveragePool",
             [last, s(0.1), za, s(0.02), zc], channels_last=1)
        case(f"qlinear_concat_{name}", "QLinearConcat",
             [s(0.1), zc, a, s(0.08), za, make(2, 2, 4), s(0.1), zc], axis=1,
             fixed=(0, 1, 3, 4, 6, 7))
        # One scale throughout, so that every real is a whole number of steps.
        case(f"qlinear_softmax_{name}", "QLinearSoftmax",
             [a, s(0.05), za, s(1 / 256), num(0 if zero is np.uint8 else -128, zero)], axis=-1,
             opset=13)
        case(f"qlinear_softmax_flat_{name}", "QLinearSoftmax",
             [a, s(0.02), za, s(1 / 256), num(0 if zero is np.uint8 else -128, zero)], axis=1,
             opset=12)
        cond = rng.integers(0, 2, (2, 3, 4)).astype(bool)
        case(f"qlinear_where_{name}", "QLinearWhere",
             [cond, a, s(0.03), za, make(2, 3, 4), s(0.05), zb, s(0.06), zc],
             fixed=(2, 3, 5, 6, 7, 8))
    a = u8(2, 6)
    # ONNX Runtime's own type inference refuses absent zero points, which its schema allows.
    b = u8(6)
    formula("qlinear_add_no_zero", "QLinearAdd", [a, s(0.03), None, b, s(0.02), None, s(0.05)],
            np.clip(np.rint((a * 0.03 + b * 0.02) / 0.05), 0, 255))
    case("quantize_u16", "QuantizeLinear", [f32(3, 4), s(0.001), num(30000, np.uint16)])
    case("dequantize_i16", "DequantizeLinear",
         [rng.integers(-30000, 30000, (3, 4)).astype(np.int16), s(0.001), num(5, np.int16)])
    case("quantize_axis", "QuantizeLinear", [f32(3, 4), s([0.01, 0.02, 0.03, 0.04]),
                                             num([1, 2, 3, 4], np.int8)], axis=1)
    x, w = u8(1, 6, 5, 4), i8(6, 2, 3, 3)
    case("qlinear_conv_last", "QLinearConv",
         [x, s(0.02), num(100, np.uint8), w, s([0.01, 0.02, 0.03, 0.01, 0.02, 0.03]),
          num([0] * 6, np.int8), s(0.3), num(120, np.uint8), rng.integers(-500, 500, 6).astype(np.int32)],
         fixed=(1, 2, 3, 4, 5, 6, 7, 8), group=2, pads=[1, 1, 1, 1], channels_last=1)


def integers():
    s = num
    a, b, c = u8(4, 6), i8(5, 6), rng.integers(-900, 900, 5).astype(np.int32)
    za, zb = num(120, np.uint8), num(0, np.int8)
    many = s([0.01, 0.02, 0.015, 0.03, 0.01])
    case("qgemm", "QGemm", [a, s(0.02), za, b, s(0.01), zb, c, s(0.05), num(110, np.uint8)],
         fixed=(3, 4, 5, 6), transB=1)
    case("qgemm_columns", "QGemm",
         [a, s(0.02), za, b.T.copy(), many, num([0] * 5, np.int8), c, s(0.08), num(90, np.uint8)],
         fixed=(3, 4, 5, 6), alpha=1.5)
    case("qgemm_real", "QGemm", [a, s(0.02), za, b, many, num([0] * 5, np.int8), c],
         fixed=(3, 4, 5, 6), transB=1)
    w = i8(6, 5)
    case("matmul_integer_to_float", "MatMulIntegerToFloat", [a, w, s(0.02), s(0.01), za, zb, f32(5)])
    case("matmul_integer_to_float_columns", "MatMulIntegerToFloat",
         [u8(2, 4, 6), w, s(0.02), many, za, num([1, -2, 3, 0, 5], np.int8)], fixed=(1, 3, 5))
    case("dynamic_quantize_matmul", "DynamicQuantizeMatMul", [f32(3, 4, 6), w, s(0.01), zb, f32(5)],
         fixed=(1, 2, 3, 4))
    case("dynamic_quantize_matmul_columns", "DynamicQuantizeMatMul",
         [f32(4, 6), u8(6, 5), many, num([120, 130, 128, 0, 255], np.uint8)], fixed=(1, 2, 3))


def attentions():
    b, s, n, h = 2, 4, 2, 4
    d = n * h
    x, w, bias = f32(b, s, d), f32(d, 3 * d, scale=0.5), f32(3 * d)
    i32 = lambda v: np.array(v, np.int32)
    raw = i32([[1, 1, 1, 0], [1, 1, 0, 0]])
    left = i32([[0, 0, 1, 1], [0, 1, 1, 1]])
    square = rng.integers(0, 2, (b, s, s)).astype(np.int32)
    fixed = (1, 2)
    run = lambda name, rest=(), outs=("y",), w=w, bias=bias, **attrs: case(
        "attention" + name, "Attention", [x, w, bias, *rest], outs, fixed, num_heads=n, **attrs)
    run("")
    run("_scale", scale=0.3)
    run("_raw_mask", [raw])
    run("_lengths", [i32([3, 2])])
    run("_ends_starts", [i32([4, 3, 1, 0])])
    run("_square_mask", [square])
    # A filter that leaves the scores their digits: with -10000 the fourth is rounding.
    run("_all_masked", [i32([[0, 0, 0, 0], [1, 1, 0, 0]])], mask_filter_value=-30.0)
    run("_causal", unidirectional=1)
    run("_causal_mask", [raw], unidirectional=1)
    run("_causal_left", [left], unidirectional=1, mask_filter_value=-30.0)
    run("_filter", [raw], mask_filter_value=-3.0)
    run("_bias", [None, None, f32(b, n, s, s)])
    run("_mask_bias", [raw, None, f32(1, n, s, s)])
    past = f32(2, b, n, 3, h)
    run("_past", [None, past], ("y", "present"), unidirectional=1)
    run("_past_mask", [i32([[1, 1, 0, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 0]]), past],
        ("y", "present"), unidirectional=1)
    run("_present", outs=("y", "present"))
    run("_sizes", w=f32(d, 2 * d + 4, scale=0.5), bias=f32(2 * d + 4),
        qkv_hidden_sizes=[d, d, 4])
    # Without a bias ONNX Runtime's kernel reads through a null pointer.
    formula("attention_no_bias", "Attention", [x, w],
            attention_of(*np.split(x.astype(float) @ w, 3, -1), n), fixed=fixed, num_heads=n)
    qx, qw = u8(b, s, d), i8(d, 3 * d)
    scales = [num(0.02), num(0.01)]
    zeros = [num(120, np.uint8), num(0, np.int8)]
    fixed = (1, 2, 3, 4, 6, 7)
    qrun = lambda name, mask=None, past=None, outs=("y",), **attrs: case(
        "qattention" + name, "QAttention", [qx, qw, bias, *scales, mask, *zeros, past], outs, fixed,
        num_heads=n, **attrs)
    qrun("")
    qrun("_mask", raw)
    qrun("_past", None, past, ("y", "present"), unidirectional=1)
    case("qattention_columns", "QAttention",
         [qx, qw, bias, num(0.02), np.abs(f32(3 * d)) * 0.02, i32([3, 2]), num(120, np.uint8),
          rng.integers(-9, 9, 3 * d).astype(np.int8)], fixed=fixed, num_heads=n)
    heads(b, s, n, h)


def heads(b, s, n, h):
    d, t = n * h, 5
    q, k, v, bias = f32(b, s, d), f32(b, t, d), f32(b, t, d), f32(3 * d)
    i32 = lambda a: np.array(a, np.int32)
    run = lambda name, arrays, outs=("y",), **attrs: case(
        "heads" + name, "MultiHeadAttention", arrays, outs, num_heads=n, **attrs)
    run("", [q, k, v])
    run("_bias", [q, k, v, bias])
    run("_lengths", [q, k, v, bias, i32([3, 5])])
    run("_mask", [q, k, v, None, i32([[1, 1, 1, 0, 0], [0, 1, 1, 1, 1]])])
    run("_square_mask", [q, k, v, None, rng.integers(0, 2, (b, s, t)).astype(np.int32)])
    run("_scores", [q, k, v, None, None, f32(b, n, s, t)], scale=0.4)
    run("_scores_broadcast", [q, k, v, None, i32([2, 5]), f32(1, 1, s, t)])
    run("_causal", [q, q, q, bias], unidirectional=1)
    past = [f32(b, n, 3, h), f32(b, n, 3, h)]
    run("_past", [q, q, q, bias, None, None, *past], ("y", "key", "value"), unidirectional=1)
    run("_past_mask", [q, q, q, bias, i32([[1, 0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 0]]), None,
                       *past], ("y", "key", "value"))
    run("_cross", [q, f32(b, n, t, h), f32(b, n, t, h)])
    run("_wide_values", [q, k, f32(b, t, 2 * d), f32(4 * d)])
    # Packed forms have no kernel for the CPU; the plain form answers for them.
    parts = [f32(b, s, n, h) for _ in range(3)]
    plain = attention_of(*[p.reshape(b, s, d) for p in parts], n)
    formula("heads_packed", "MultiHeadAttention", [np.stack(parts, 3)], plain, num_heads=n)
    formula("heads_packed_keys", "MultiHeadAttention",
            [parts[0].reshape(b, s, d), np.stack(parts[1:], 3)], plain, num_heads=n)


def attention_of(q, k, v, n):
    split = lambda x: x.reshape(x.shape[0], x.shape[1], n, -1).transpose(0, 2, 1, 3).astype(float)
    q, k, v = split(q), split(k), split(v)
    y = softmax(q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1])) @ v
    return y.transpose(0, 2, 1, 3).reshape(y.shape[0], y.shape[2], -1)


def rotaries():
    b, s, n, h = 2, 3, 2, 8
    cos, sin = f32(10, h // 2), f32(10, h // 2)
    ids = np.array([[1, 2, 3], [7, 0, 4]], np.int64)
    first = np.array([4], np.int64)
    flat, split = f32(b, s, n * h), f32(b, n, s, h)
    case("rotary", "RotaryEmbedding", [flat, ids, cos, sin], fixed=(2, 3))
    case("rotary_interleaved", "RotaryEmbedding", [flat, ids, cos, sin], fixed=(2, 3), interleaved=1)
    case("rotary_first", "RotaryEmbedding", [flat, first, cos, sin], fixed=(2, 3))
    case("rotary_heads", "RotaryEmbedding", [split, ids, cos, sin], fixed=(2, 3))
    case("rotary_heads_first", "RotaryEmbedding", [split, first, cos, sin], fixed=(2, 3))
    case("rotary_part", "RotaryEmbedding", [flat, ids, f32(10, 2), f32(10, 2)], fixed=(2, 3),
         num_heads=n, rotary_embedding_dim=4)


def renamed():
    x = f32(2, 3, 4)
    case("trilu", "Trilu", [f32(4, 4), num(1, np.int64)], upper=0)
    case("expand_dims", "ExpandDims", [x, num(-2, np.int32)], fixed=(1,))
    case("unique", "Unique", [num([3, 1, 3, 2, 1, 1])], ("y", "index", "count"))
    case("pad", "Pad", [f32(2, 3), num([1, 0, 0, 2], np.int64), num([1.5])], fixed=(1, 2))
    case("range", "Range", [num(2), num(11), num(3)], fixed=(0, 1, 2))
    case("range_step", "Range", [num(2, np.int64), num(6, np.int64)], fixed=(0, 1))
    case("gather_nd", "GatherND", [x, num([[0, 1], [1, 2]], np.int64)])
    case("grid_sample", "GridSample", [f32(1, 2, 4, 4), f32(1, 3, 2, 2, scale=0.6)],
         mode="bilinear", align_corners=1)
    case("grid_sample_cubic", "GridSample", [f32(1, 1, 5, 5), f32(1, 2, 2, 2, scale=0.6)],
         mode="bicubic", padding_mode="border")


def whole(name, nodes, feeds, constants, output, level):
    """A graph of standard operators, in the form in which ONNX Runtime saves it at `level`."""
    constants = [numpy_helper.from_array(a, n) for n, a in constants.items()]
    inputs = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
              for n, a in feeds.items()]
    graph = helper.make_graph(nodes, name, inputs, [helper.make_empty_tensor_value_info(output)],
                              constants)
    graph.output[0].CopyFrom(helper.make_tensor_value_info(output, 1, None))
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = ort.InferenceSession(model.SerializeToString(), options).run(None, feeds)
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/model.onnx"
        options.graph_optimization_level = level
        options.optimized_model_filepath = path
        ort.InferenceSession(model.SerializeToString(), options)
        saved = onnx.load(path)
    kinds = sorted({n.op_type for n in saved.graph.node if n.domain == MS})
    print(f"{name}: {', '.join(kinds)}")
    del saved.opset_import[:]
    saved.opset_import.extend([helper.make_opsetid("", 17), helper.make_opsetid(MS, 1)])
    store(name, saved, list(feeds.items()), [(output, plain[0])])


def optimised():
    node = helper.make_node
    x = f32(2, 5, 8)
    layer = [
        node("MatMul", ["x", "wq"], ["q"]), node("MatMul", ["x", "wk"], ["k"]),
        node("Mul", ["q", "scale"], ["qs"]), node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        node("MatMul", ["qs", "kt"], ["s"]), node("Softmax", ["s"], ["p"], axis=-1),
        node("MatMul", ["p", "x"], ["a"]),
        node("Add", ["a", "x"], ["r"]), node("LayerNormalization", ["r", "g", "b"], ["n"]),
        node("MatMul", ["n", "w1"], ["h"]), node("Add", ["h", "b1"], ["hb"]),
        node("Div", ["hb", "root"], ["d"]), node("Erf", ["d"], ["e"]), node("Add", ["e", "one"], ["f"]),
        node("Mul", ["hb", "f"], ["m"]), node("Mul", ["m", "half"], ["u"]),
        node("MatMul", ["u", "w2"], ["o"]), node("Add", ["o", "n"], ["t"]),
        node("LayerNormalization", ["t", "g", "b"], ["y"]),
    ]
    weights = dict(wq=f32(8, 8), wk=f32(8, 8), g=f32(8), b=f32(8), w1=f32(8, 16), b1=f32(16),
                   w2=f32(16, 8), scale=num(0.35), root=num(np.sqrt(2)), one=num(1), half=num(0.5))
    level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    whole("optimised_layer", layer, {"x": x}, weights, "y", level)
    picture = [
        node("Conv", ["x", "k1", "b1"], ["c"], pads=[1, 1, 1, 1]), node("Relu", ["c"], ["r"]),
        node("Conv", ["r", "k2"], ["d"]), node("LeakyRelu", ["d"], ["l"], alpha=0.2),
        node("GlobalAveragePool", ["l"], ["p"]), node("Flatten", ["p"], ["v"]),
        node("Gemm", ["v", "w", "b2"], ["z"], transB=1), node("Relu", ["z"], ["y"]),
    ]
    weights = dict(k1=f32(4, 3, 3, 3), b1=f32(4), k2=f32(6, 4, 3, 3), w=f32(5, 6), b2=f32(5))
    whole("optimised_picture", picture, {"x": f32(1, 3, 8, 8)}, weights, "y", level)


def main():
    shutil.rmtree(ROOT, ignore_errors=True)
    for make in (activations, norms, products, packed_weights, quantised, integers, attentions,
                 rotaries, renamed, optimised):
        make()
    files = [f for f in ROOT.rglob("*") if f.is_file()]
    print(f"{len(list(ROOT.iterdir()))} cases, {sum(f.stat().st_size for f in files)} bytes")


if __name__ == "__main__":
    sys.exit(main())
