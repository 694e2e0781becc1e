"""TensorRT's API piece by piece: layers against NumPy, the parser, configurations, contexts."""

import json

import numpy as np
import pytest

import tenon
import tenon.tensorrt as trt
from conftest import EXAMPLES, close, data_set
from tenon.cuda import cudart

LOGGER = trt.Logger(trt.Logger.ERROR)
EXPLICIT = 1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)


def run(define, *arrays, flags=EXPLICIT, shapes=None, implicit=0):
    """The outputs of a network that `define(network, *inputs)` writes down."""
    builder = trt.Builder(LOGGER)
    if implicit:
        builder.max_batch_size = implicit
    network = builder.create_network(flags)
    types = {np.dtype(trt.nptype(t)): t for t in (trt.float32, trt.int32, trt.int64, trt.bool)}
    inputs = [network.add_input(f"x{i}", types[a.dtype], shapes[i] if shapes else a.shape)
              for i, a in enumerate(arrays)]
    outputs = define(network, *inputs)
    for i, tensor in enumerate(outputs if isinstance(outputs, tuple) else (outputs,)):
        tensor.name = f"y{i}"
        network.mark_output(tensor)
    config = builder.create_builder_config()
    config.builder_optimization_level = 0
    config.clear_flag(trt.BuilderFlag.TF32)  # a card would use it
    engine = trt.Runtime(LOGGER).deserialize_cuda_engine(
        builder.build_serialized_network(network, config))
    result = engine._engine(*arrays)
    return list(result) if isinstance(result, tuple) else result


X = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)


def test_elementwise_unary_activation():
    def define(net, a, b):
        c = net.add_elementwise(a, b, trt.ElementWiseOperation.PROD).get_output(0)
        d = net.add_unary(c, trt.UnaryOperation.ABS).get_output(0)
        layer = net.add_activation(d, trt.ActivationType.CLIP)
        layer.alpha, layer.beta = 0.25, 1.0
        assert layer.type == trt.ActivationType.CLIP and layer.alpha == 0.25
        return layer.get_output(0)
    b = X[:1, :, :1] + 0.5
    assert close(run(define, X, b), np.clip(np.abs(X * b), 0.25, 1.0))


@pytest.mark.parametrize("op,call", [("SUM", np.sum), ("MAX", np.max), ("AVG", np.mean),
                                     ("MIN", np.min), ("PROD", np.prod)])
def test_reduce(op, call):
    got = run(lambda net, x: net.add_reduce(x, trt.ReduceOperation[op], 1 << 1 | 1 << 3,
                                            True).get_output(0), X)
    assert close(got, call(X, axis=(1, 3), keepdims=True))


def test_shuffle_slice_concat_softmax():
    def define(net, x):
        shuffle = net.add_shuffle(x)
        shuffle.first_transpose = trt.Permutation([0, 2, 1, 3])
        shuffle.reshape_dims = (0, 0, -1)
        assert shuffle.reshape_dims == (0, 0, -1)
        y = shuffle.get_output(0)
        assert y.shape == (2, 4, 15)
        part = net.add_slice(y, (0, 1, 0), (2, 3, 5), (1, 1, 3)).get_output(0)
        both = net.add_concatenation([part, part])
        both.axis = 2
        soft = net.add_softmax(both.get_output(0))
        soft.axes = 1 << 2
        return soft.get_output(0)
    y = X.transpose(0, 2, 1, 3).reshape(2, 4, 15)[:, 1:4, 0:15:3]
    y = np.concatenate([y, y], 2)
    e = np.exp(y - y.max(2, keepdims=True))
    assert close(run(define, X), e / e.sum(2, keepdims=True))


def test_matrix_multiply_constant_topk():
    w = X[0, 0]

    def define(net, x):
        constant = net.add_constant(w.shape, trt.Weights(w))
        product = net.add_matrix_multiply(x, trt.MatrixOperation.NONE, constant.get_output(0),
                                          trt.MatrixOperation.TRANSPOSE)
        product.name = "scores"
        assert product.name == "scores" and product.op1 == trt.MatrixOperation.TRANSPOSE
        top = net.add_topk(product.get_output(0), trt.TopKOperation.MAX, 2, 1 << 1)
        return top.get_output(0), top.get_output(1)
    x = X[1, 1]
    values, places = run(define, x)
    want = x @ w.T
    order = np.argsort(-want, axis=1)[:, :2]
    assert close(values, np.take_along_axis(want, order, 1)) and np.array_equal(places, order)


def test_convolution_settings():
    torchless = np.zeros((2, 6, 4, 5), np.float32)
    kernel = np.random.default_rng(1).standard_normal((6, 1, 3, 3)).astype(np.float32)
    padded = np.pad(X, ((0, 0), (0, 0), (1, 1), (1, 1)))
    for m in range(6):
        for i in range(3):
            for j in range(3):
                torchless[:, m] += kernel[m, 0, i, j] * padded[:, m // 2, i:i + 4, j:j + 5]

    def define(net, x):
        conv = net.add_convolution_nd(x, 6, (3, 3), kernel, trt.Weights())
        conv.num_groups, conv.padding_nd = 3, (1, 1)
        assert conv.padding == (1, 1) and conv.num_groups == 3 and conv.stride == (1, 1)
        return conv.get_output(0)
    assert close(run(define, X), torchless)


def test_scale_normalization_gather_select():
    def define(net, x, i):
        scaled = net.add_scale(x, trt.ScaleMode.CHANNEL, shift=np.float32([1, 2, 3]),
                               scale=np.float32([2, 2, 2]))
        y = scaled.get_output(0)
        ones = net.add_constant((1, 1, 1, 5), np.full(5, 2, np.float32)).get_output(0)
        norm = net.add_normalization(y, ones, ones, 1 << 3)
        norm.epsilon = 1e-6
        picked = net.add_gather(norm.get_output(0), i, 2).get_output(0)
        zero = net.add_constant((1, 1, 1, 1), np.zeros(1, np.float32)).get_output(0)
        positive = net.add_elementwise(picked, zero, trt.ElementWiseOperation.GREATER).get_output(0)
        return net.add_select(positive, picked, zero).get_output(0)
    y = X * 2 + np.float32([1, 2, 3])[:, None, None]
    y = (y - y.mean(3, keepdims=True)) / np.sqrt(y.var(3, keepdims=True) + 1e-6) * 2 + 2
    i = np.array([3, 0], np.int32)
    assert close(run(define, X, i), np.maximum(y[:, :, i], 0))


def test_shape_tensors_and_resize():
    def define(net, x):
        shape = net.add_shape(x).get_output(0)
        half = net.add_constant((4,), np.array([1, 1, 1, 1], np.int32)).get_output(0)
        target = net.add_elementwise(shape, half, trt.ElementWiseOperation.PROD).get_output(0)
        flat = net.add_shuffle(x)
        flat.reshape_dims = (-1,)
        back = net.add_shuffle(flat.get_output(0))
        back.set_input(1, target)
        resize = net.add_resize(back.get_output(0))
        resize.scales = (1, 1, 2, 2)
        resize.resize_mode = trt.InterpolationMode.NEAREST
        return resize.get_output(0)
    assert close(run(define, X, shapes=[(-1, 3, 4, 5)]), X.repeat(2, 2).repeat(2, 3))


def test_implicit_batch_shifts_axes():
    def define(net, x):
        assert x.shape == (3, 4, 5)
        shuffle = net.add_shuffle(x)
        shuffle.first_transpose = (1, 0, 2)
        y = shuffle.get_output(0)
        assert y.shape == (4, 3, 5)
        both = net.add_concatenation([y, y])  # along what stand for channels
        part = net.add_slice(both.get_output(0), (2, 0, 0), (4, 3, 5), (1, 1, 1)).get_output(0)
        return net.add_reduce(part, trt.ReduceOperation.SUM, 1 << 2, False).get_output(0)
    y = X.transpose(0, 2, 1, 3)
    want = np.concatenate([y, y], 1)[:, 2:6].sum(3)
    assert close(run(define, X, flags=0, shapes=[(3, 4, 5)], implicit=2), want)


def recurrent(net, x, w, r, reverse=False):
    """tanh(x[t] w + h r) for all t, as samples write it: the layers of a turn, then those behind."""
    first = net.add_constant((3, 4), np.zeros((3, 4), np.float32)).get_output(0)
    scale = net.add_unary(net.add_constant((1, 1), np.float32([[-1]])).get_output(0),
                          trt.UnaryOperation.ABS).get_output(0)
    loop = net.add_loop()
    count = net.add_slice(net.add_shape(x).get_output(0), (0,), (1,), (1,)).get_output(0)
    loop.add_trip_limit(count, trt.TripLimit.COUNT)
    turn = loop.add_iterator(x, 0, reverse)
    state = loop.add_recurrence(first)
    a, b = (net.add_matrix_multiply(left, trt.MatrixOperation.NONE, net.add_constant(
        m.shape, m).get_output(0), trt.MatrixOperation.NONE).get_output(0)
        for left, m in ((turn.get_output(0), w), (state.get_output(0), r)))
    both = net.add_elementwise(a, b, trt.ElementWiseOperation.SUM).get_output(0)
    both = net.add_elementwise(both, scale, trt.ElementWiseOperation.PROD).get_output(0)
    new = net.add_activation(both, trt.ActivationType.TANH).get_output(0)
    assert new.shape == (3, 4)
    state.set_input(1, new)
    last = loop.add_loop_output(state.get_output(0), trt.LoopOutput.LAST_VALUE)
    every = loop.add_loop_output(new, trt.LoopOutput.CONCATENATE, 1)
    every.set_input(1, count)
    back = loop.add_loop_output(new, trt.LoopOutput.REVERSE)
    back.set_input(1, count)
    two = net.add_constant((1, 1), np.float32([[2]])).get_output(0)  # written inside, read behind
    twice = net.add_elementwise(last.get_output(0), two, trt.ElementWiseOperation.PROD).get_output(0)
    assert loop.add_loop_output and last.get_output(0).shape == (3, 4)
    return twice, every.get_output(0), back.get_output(0), new


@pytest.mark.parametrize("reverse", [False, True])
def test_loops(reverse):
    rng = np.random.default_rng(3)
    x, w, r = (rng.standard_normal(s).astype(np.float32) for s in ((5, 3, 6), (6, 4), (4, 4)))
    h, steps = np.zeros((3, 4), np.float32), []
    for t in reversed(range(5)) if reverse else range(5):
        h = np.tanh(x[t] @ w + h @ r)
        steps.append(h)
    twice, every, back = run(lambda net, x: recurrent(net, x, w, r, reverse)[:3], x,
                             shapes=[(-1, 3, 6)])
    assert close(twice, 2 * h) and close(every, np.stack(steps, 1)) and close(back, np.stack(steps[::-1]))


def test_loops_in_loops_and_mistakes():
    def define(net, x):
        """x * 2 ** (3 * 2), and 3 added six times."""
        def count(n):
            return net.add_constant((), np.array([n], np.int32)).get_output(0)
        outer = net.add_loop()
        outer.add_trip_limit(count(3), trt.TripLimit.COUNT)
        a = outer.add_recurrence(x)
        inner = net.add_loop()
        inner.add_trip_limit(count(2), trt.TripLimit.COUNT)
        b = inner.add_recurrence(a.get_output(0))
        b.set_input(1, net.add_elementwise(b.get_output(0), b.get_output(0),
                                           trt.ElementWiseOperation.SUM).get_output(0))
        done = inner.add_loop_output(b.get_output(0), trt.LoopOutput.LAST_VALUE)
        a.set_input(1, done.get_output(0))
        return outer.add_loop_output(a.get_output(0), trt.LoopOutput.LAST_VALUE).get_output(0)
    assert close(run(define, X), X * 64)

    net = trt.Builder(LOGGER).create_network(EXPLICIT)
    x = net.add_input("x", trt.float32, (2, 3, 6))
    outputs = recurrent(net, x, np.zeros((6, 4), np.float32), np.zeros((4, 4), np.float32))
    with pytest.raises(tenon.Error, match="has ended"):
        net.add_identity(outputs[3])
    with pytest.raises(tenon.Error, match="no output of loop"):
        net.add_loop().add_recurrence(x)
        net._to_model()
    net = trt.Builder(LOGGER).create_network(EXPLICIT)
    x = net.add_input("x", trt.float32, (2, 3, 6))
    loop = net.add_loop()
    with pytest.raises(tenon.Error, match="ONNX"):
        loop.add_trip_limit(x, trt.TripLimit.WHILE)
    state = loop.add_recurrence(x)
    out = loop.add_loop_output(state.get_output(0), trt.LoopOutput.LAST_VALUE).get_output(0)
    with pytest.raises(tenon.Error, match="trip limit"):
        net.add_identity(out)
    loop.add_trip_limit(net.add_constant((), np.array([2], np.int32)).get_output(0), trt.TripLimit.COUNT)
    with pytest.raises(tenon.Error, match="no value for the next turn"):
        net.add_identity(out)


def test_conditions():
    def define(net, x, yes):
        condition = net.add_if_conditional()
        condition.set_condition(yes)
        inside = condition.add_input(x).get_output(0)
        a = net.add_unary(inside, trt.UnaryOperation.EXP).get_output(0)
        b = net.add_unary(inside, trt.UnaryOperation.NEG).get_output(0)
        with pytest.raises(tenon.Error, match="ONNX"):
            condition.add_output(a, net.add_shape(x).get_output(0))
        return condition.add_output(a, b).get_output(0)
    for yes in (True, False):
        assert close(run(define, X, np.array(yes)), np.exp(X) if yes else -X)


def test_updates_of_a_cache():
    cache, update = np.zeros((2, 1, 5, 3), np.float32), X[:, :1, :2, :3]
    got = run(lambda net, *given: net.add_kv_cache_update(*given).get_output(0), cache,
              np.ascontiguousarray(update), np.array([1, 3], np.int32))
    cache[0, :, 1:3], cache[1, :, 3:5] = update[0], update[1]
    assert close(got, cache)


def test_streams_of_bytes():
    class File(trt.IStreamReader, trt.IStreamWriter):
        data, at = b"", 0

        def write(self, data):
            self.data += data
            return len(data)

        def read(self, size):
            part = self.data[self.at:self.at + min(size, 1000)]
            self.at += len(part)
            return part
    builder = trt.Builder(LOGGER)
    network = builder.create_network(EXPLICIT)
    assert trt.OnnxParser(network, LOGGER).parse(model_of("Relu"))
    file = File()
    assert builder.build_serialized_network_to_stream(network, builder.create_builder_config(), file)
    engine = trt.Runtime(LOGGER).deserialize_cuda_engine(file)
    assert close(engine._engine(X[0, 0, :, :2]), np.maximum(X[0, 0, :, :2], 0))


def test_layers_that_are_not_there_say_so():
    network = trt.Builder(LOGGER).create_network(EXPLICIT)
    with pytest.raises(tenon.Error, match="add_plugin_v2"):
        network.add_plugin_v2([], None)
    with pytest.raises(AttributeError, match="load_operators"):
        trt.IPluginV3
    with pytest.raises(AttributeError, match="ONNX"):
        trt.UffParser
    assert not hasattr(trt, "nothing")
    x = network.add_input("x", trt.float32, (1, 2))
    with pytest.raises(tenon.Error):
        network.add_matrix_multiply(x, trt.MatrixOperation.NONE, x, trt.MatrixOperation.NONE
                                    ).get_output(0).shape


def test_parser_tells_all_errors(tmp_path, capsys):
    network = trt.Builder(trt.Logger(trt.Logger.ERROR)).create_network(EXPLICIT)
    parser = trt.OnnxParser(network, LOGGER)
    assert parser.supports_operator("Conv") and not parser.supports_operator("Foo")
    assert not parser.parse(model_of("Foo", "Bar"))
    assert parser.num_errors == 2
    first = parser.get_error(0)
    assert first.code() == trt.ErrorCode.UNSUPPORTED_NODE and first.node_operator() == "Foo"
    assert first.node_name() == "n0" and first.file().endswith(".c") and first.line() > 0
    assert "Foo" in str(first)
    parser.clear_errors()
    assert parser.parse(model_of("Relu", "Neg")) and parser.num_errors == 0
    assert [layer.name for layer in network] == ["n0", "n1"] and network.num_layers == 2
    last = network.get_layer(1)
    assert last.get_output(0) is network.get_output(0) and last.get_input(0).shape == (-1, 2)
    network.mark_output(last.get_output(0))  # as old scripts do, which it is already
    with pytest.raises(tenon.Error, match="inner tensor"):
        network.mark_output(last.get_input(0))
    assert network.get_input(0).shape == (-1, 2) and network.get_output(0).name == "y2"


def model_of(*ops):
    """ONNX by hand: a chain of operators on f32[N,2]."""
    def field(number, data):
        if isinstance(data, int):
            return bytes([number << 3, data])
        return bytes([number << 3 | 2, len(data)]) + data

    def value(name):
        dims = field(1, field(2, b"N")) + field(1, field(1, 2))
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))
    nodes = b"".join(field(1, field(1, b"y%d" % i) + field(2, b"y%d" % (i + 1)) + field(3, b"n%d" % i) +
                           field(4, op.encode())) for i, op in enumerate(ops))
    graph = nodes + field(2, b"g") + field(11, value(b"y0")) + field(12, value(b"y%d" % len(ops)))
    return field(1, 8) + field(7, graph) + field(8, field(2, 17))


def parsed(define=lambda config, builder: None, model=None):
    builder = trt.Builder(LOGGER)
    network = builder.create_network(EXPLICIT)
    parser = trt.OnnxParser(network, LOGGER)
    assert parser.parse(model or model_of("Relu", "Neg"))
    config = builder.create_builder_config()
    config.builder_optimization_level = 0
    define(config, builder)
    return builder.build_serialized_network(network, config)


def test_configuration_timing_cache_and_profiles():
    seen = []

    class Monitor(trt.IProgressMonitor):
        def phase_start(self, phase_name, parent_phase, num_steps):
            seen.append("start")

        def step_complete(self, phase_name, step):
            seen.append("step")
            return True

        def phase_finish(self, phase_name):
            seen.append("finish")

    caches = []

    def define(config, builder):
        config.set_flag(trt.BuilderFlag.FP16)
        assert config.get_flag(trt.BuilderFlag.FP16) and config.get_flag(trt.BuilderFlag.TF32)
        config.clear_flag(trt.BuilderFlag.FP16)
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 1 << 20)
        assert config.max_workspace_size == 1 << 20
        cache = config.create_timing_cache(b"")
        assert config.set_timing_cache(cache, ignore_mismatch=False)
        caches.append(cache)
        config.progress_monitor = Monitor()
        profile = builder.create_optimization_profile()
        profile.set_shape("y0", (1, 2), (4, 2), (9, 2))
        assert config.add_optimization_profile(profile) == 0
        config.builder_optimization_level = 1

    plan = parsed(define)
    assert seen[0] == "start" and seen[-1] == "finish" and "step" in seen
    assert seen.count("start") == seen.count("finish")
    blob = caches[0].serialize()
    assert isinstance(blob, bytes) and trt.Builder(LOGGER).create_builder_config(
        ).create_timing_cache(blob).serialize() == blob
    engine = trt.Runtime(LOGGER).deserialize_cuda_engine(bytes(plan))
    assert engine.get_tensor_profile_shape("y0", 0) == [(1, 2), (4, 2), (9, 2)]
    assert engine.get_profile_shape(0, "y0")[2] == (9, 2)
    bad = trt.Builder(LOGGER).create_optimization_profile()
    bad.set_shape("y0", (3, 2), (1, 2), (9, 2))
    assert not bad and trt.Builder(LOGGER).create_builder_config().add_optimization_profile(bad) == -1


def test_contexts_by_name_with_profiler_and_inspector():
    engine = trt.Runtime(LOGGER).deserialize_cuda_engine(parsed())
    assert len(engine) == 2 and list(engine) == ["y0", "y2"] and engine["y2"] == 1
    assert engine.get_tensor_mode("y0") == trt.TensorIOMode.INPUT
    assert engine.get_tensor_dtype("y0") == trt.DataType.FLOAT and engine[0] == "y0"
    context = engine.create_execution_context()
    assert context.infer_shapes() == ["y0"] and not context.execute_async_v3(0)
    assert context.set_input_shape("y0", (3, 2)) and not context.set_input_shape("y0", (3, 5))
    assert context.get_tensor_shape("y2") == (3, 2) and context.infer_shapes() == []
    times = []

    class Times(trt.IProfiler):
        def report_layer_time(self, layer_name, ms):
            times.append((layer_name, ms))
    context.profiler = Times()
    x = np.random.default_rng(2).standard_normal((3, 2)).astype(np.float32)
    y = np.zeros_like(x)
    where = {}
    for name, array in (("y0", x), ("y2", y)):
        where[name] = cudart.cudaMalloc(array.nbytes)[1]
        context.set_tensor_address(name, where[name])
    cudart.cudaMemcpy(where["y0"], x.ctypes.data, x.nbytes,
                      cudart.cudaMemcpyKind.cudaMemcpyHostToDevice)
    error, stream = cudart.cudaStreamCreate()
    assert error == cudart.cudaError_t.cudaSuccess
    assert context.execute_async_v3(stream)
    cudart.cudaStreamSynchronize(stream)
    cudart.cudaMemcpy(y.ctypes.data, where["y2"], y.nbytes,
                      cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost)
    assert close(y, -np.maximum(x, 0)) and times and all(ms >= 0 for _, ms in times)
    inspector = engine.create_engine_inspector()
    layers = json.loads(inspector.get_engine_information(trt.LayerInformationFormat.JSON))["Layers"]
    kernels = [row for row in layers if row["LayerType"] != "Copy"]  # to a card and back
    assert len(layers) == engine.num_layers
    assert kernels and all(row["TacticName"] for row in kernels)


def test_output_allocators():
    engine = trt.Runtime(LOGGER).deserialize_cuda_engine(parsed(model=model_of("Neg")))
    context = engine.create_execution_context()
    context.set_input_shape("y0", (2, 2))
    kept = {}

    class Allocator(trt.IOutputAllocator):
        def reallocate_output(self, tensor_name, memory, size, alignment):
            kept["address"], kept["size"] = cudart.cudaMalloc(size)[1], size
            return kept["address"]

        def notify_shape(self, tensor_name, shape):
            kept["shape"] = shape
    context.set_output_allocator("y1", Allocator())
    x = np.ones((2, 2), np.float32)
    at = cudart.cudaMalloc(x.nbytes)[1]
    cudart.cudaMemcpy(at, x.ctypes.data, x.nbytes)
    context.set_tensor_address("y0", at)
    assert context.execute_async_v3(0)
    y = np.zeros_like(x)
    cudart.cudaMemcpy(y.ctypes.data, kept["address"], y.nbytes)
    assert (y == -1).all() and kept["shape"] == (2, 2) and kept["size"] == 16


def test_loggers_get_the_lines():
    lines = []

    class Mine(trt.ILogger):
        def __init__(self):
            trt.ILogger.__init__(self)

        def log(self, severity, msg):
            lines.append((severity, msg))
    assert trt.Runtime(Mine()).deserialize_cuda_engine(b"nothing") is None
    assert lines and lines[-1][0] == trt.Logger.ERROR
    trt.Runtime(LOGGER)


def test_cancelling():
    class Stop(trt.IProgressMonitor):
        def phase_start(self, phase_name, parent_phase, num_steps):
            pass

        def step_complete(self, phase_name, step):
            return False

        def phase_finish(self, phase_name):
            pass
    assert parsed(lambda config, builder: setattr(config, "progress_monitor", Stop())) is None


def test_refitting():
    (x,), (y,) = data_set("mnist")
    builder = trt.Builder(LOGGER)
    network = builder.create_network(EXPLICIT)
    parser = trt.OnnxParser(network, LOGGER)
    assert parser.parse_from_file(str(EXAMPLES / "mnist" / "mnist.onnx"))
    config = builder.create_builder_config()
    config.set_flag(trt.BuilderFlag.STRIP_PLAN)
    config.clear_flag(trt.BuilderFlag.TF32)  # a card would use it
    config.builder_optimization_level = 0
    engine = trt.Runtime(LOGGER).deserialize_cuda_engine(
        builder.build_serialized_network(network, config))
    assert engine.refittable
    refitter = trt.Refitter(engine, LOGGER)
    missing = refitter.get_missing_weights()
    assert missing and set(missing) <= set(refitter.get_all_weights())
    assert not refitter.refit_cuda_engine()  # they are still missing
    assert not refitter.set_named_weights("nothing", trt.Weights(np.zeros(3, np.float32)))
    weights = tenon.Checkpoint(EXAMPLES / "mnist" / "mnist.pth")
    for name in missing:
        assert refitter.set_named_weights(name, trt.Weights(weights[name]))
    assert refitter.refit_cuda_engine() and close(engine._engine(x), y)


def test_dims_weights_enums():
    dims = trt.Dims([1, -1])
    dims[0], dims[1] = 4, 5
    assert dims == (4, 5) and str(dims) == "(4, 5)" and trt.volume(dims) == 20
    assert np.empty(dims).shape == (4, 5) and dims + (1,) == (4, 5, 1)
    assert str(trt.float32) == "DataType.FLOAT" and trt.int64.itemsize == 8
    assert trt.nptype(trt.float16) == np.float16
    w = trt.Weights(np.ones(3, np.float16))
    assert w.dtype == trt.float16 and w.size == 3 and len(trt.Weights(trt.float32)) == 0
    assert int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH) == 0
    assert trt.Logger.VERBOSE == trt.Logger.Severity.VERBOSE
    assert trt.init_libnvinfer_plugins(LOGGER, "")
