"""The plain API: load, build, run, save; arrays of all kinds; errors, threads, the log."""

import logging
import pickle
import shutil
import subprocess
import threading

import numpy as np
import pytest

import tenon
from conftest import EXAMPLES, ROOT, close, data_set


def problem(text, **options):
    return tenon.build(tenon.Model.from_problem(text), budget_ms=-1, **options)


def test_build_run_save_load(curve, tmp_path):
    (x,), (y,) = data_set("curve")
    assert [i.name for i in curve.inputs] == ["data"] and curve.inputs[0].dtype == "f32"
    assert curve.inputs[0].shape[1:] == (9, 2) and curve.inputs[0].shape[0] == -1
    got = curve(x)
    assert isinstance(got, np.ndarray) and close(got, y)
    curve.save(tmp_path / "curve.engine")
    again = tenon.Engine(tmp_path / "curve.engine")
    assert np.array_equal(again(data=x), got)
    assert np.array_equal(tenon.Engine.from_bytes(curve.to_bytes())(x), got)
    assert np.array_equal(pickle.loads(pickle.dumps(again))(x), got)
    assert list(again.run({"data": x})) == [o.name for o in curve.outputs]
    assert "curve" not in repr(again) and "data: f32[" in repr(again)
    assert "Step" in again.plan or "step" in again.plan
    assert len(again.report) > 100


def test_engine_builds_from_onnx(tmp_path):
    (x,), (y,) = data_set("mnist")
    engine = tenon.Engine(EXAMPLES / "mnist" / "mnist.onnx", budget_ms=-1)
    assert close(engine(x), y)
    engine.save(tmp_path / "mnist.engine")
    with pytest.raises(TypeError, match="options of building"):
        tenon.Engine(tmp_path / "mnist.engine", precision="f16")


def test_dynamic_shapes_reuse_the_engine(curve):
    (x,), (y,) = data_set("curve")
    for count in (1, 50, 7, 120):  # beyond the profile, which is a hint
        many = np.resize(x, (count, 9, 2))
        got = curve(many)
        assert got.shape[0] == count
        assert close(got[0], curve(many[:1])[0])


def test_several_outputs_by_name():
    inputs, outputs = data_set("bilstm10")
    engine = tenon.build(EXAMPLES / "bilstm10" / "lstm.onnx", budget_ms=-1)
    result = engine(*inputs)
    assert isinstance(result, tenon.Outputs) and len(result) == 3
    for name, got, want in zip(result.names, result, outputs):
        assert close(got, want) and result[name] is got
    assert set(result.as_dict()) == {o.name for o in engine.outputs}


def test_token_ids_of_both_sizes():
    inputs, (want,) = data_set("bert")
    engine = tenon.build(EXAMPLES / "bert" / "bert.onnx", budget_ms=-1)
    assert close(engine(*inputs), want)
    assert close(engine(*[i.astype(np.int32) for i in inputs]), want)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "int64", "uint8"])
def test_types(dtype):
    number = tenon.dtype_number(np.dtype(dtype))
    name = tenon.build(tenon.Model.from_problem(
        f"Add {short(dtype)}[2,3] {short(dtype)}[2,3]"), budget_ms=-1)
    a = np.arange(6, dtype=dtype).reshape(2, 3)
    got = name(a, a)
    assert got.dtype == a.dtype and np.array_equal(got, a + a)
    assert name.inputs[0].number == number


def short(dtype):
    return dtype[0] + dtype.lstrip("floatuint")


def test_bfloat16_by_its_bits():
    engine = problem("Neg bf16[4]")
    x = np.array([1.0, -2.0, 0.5, 3.0], np.float32)
    bits = (x.view(np.uint32) >> 16).astype(np.uint16)
    got = np.asarray(engine(bits.view(tenon.numpy_dtype(16))))
    assert np.array_equal((got.view(np.uint16).astype(np.uint32) << 16).view(np.float32), -x)


def test_lists_numbers_and_bool():
    engine = problem("Where bool[3] f32[3] f32[]")
    assert engine([True, False, True], [1, 2, 3], 9).tolist() == [1.0, 9.0, 3.0]


def test_strided_memory_is_read_where_it_lies():
    engine = problem("Neg f32[3,4]")
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    for view in (base.T[:3, ::1], base[:3, 1:5], base[2::-1, :4], np.asfortranarray(base[:3, :4])):
        assert np.array_equal(engine(view[:3, :4]), -view[:3, :4])
    big = base[:3, :4].astype(">f4")
    assert np.array_equal(engine(big), -big)


class Dlpack:
    """An array of another library."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__()

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_dlpack():
    engine = problem("Neg f32[2,3]")
    x = np.arange(6, dtype=np.float32).reshape(3, 2).T
    assert np.array_equal(engine(Dlpack(x)), -x)


def test_a_card_array_is_refused_by_a_cpu_engine():
    class Card:
        __cuda_array_interface__ = {"shape": (2,), "typestr": "<f4", "data": (4096, False), "version": 3}
    with pytest.raises(tenon.Error, match="on a card"):
        problem("Neg f32[2]", device="cpu")(Card())


@pytest.mark.skipif(not tenon._engine.has_card(), reason="no card is here")
def test_memory_of_a_card_that_changes_from_call_to_call():
    """Calls go through places of the context's own then, so that recordings can be replayed."""
    from tenon.cuda import cudart
    engine = problem("Sub f32[4,5] f32[4,5]", device="cuda")
    context, kept = engine.context(), []

    def on_card(array):
        x = tenon.DeviceArray(engine._handle, array.shape, 1, 0)
        cudart.cudaMemcpy(x.address, array.ctypes.data, array.nbytes,
                          cudart.cudaMemcpyKind.cudaMemcpyHostToDevice)
        return x
    b = on_card(np.full((4, 5), 3, np.float32))
    for turn in range(6):
        a = np.full((4, 5), turn, np.float32)
        y = context(on_card(a), b) if turn != 4 else context(a, b)  # once from the host
        kept.append((y, a - 3))
    assert engine.outputs[0].name in context._stages and engine.inputs[1].name not in context._stages
    assert all(np.array_equal(y.numpy(), want) for y, want in kept)
    x = on_card(np.zeros((4, 5), np.float32))
    context.bind(engine.inputs[0].name, x)  # by hand: nothing is copied
    assert engine.inputs[0].name not in context._stages


def test_bound_memory_is_used_without_copies():
    engine = problem("Neg f32[2,2]")
    context = engine.context()
    x, y = np.ones((2, 2), np.float32), np.zeros((2, 2), np.float32)
    name_in, name_out = engine.inputs[0].name, engine.outputs[0].name
    context.bind(name_in, x)
    context.bind(name_out, y)
    context.run()
    assert (y == -1).all()
    x[:] = 5
    context.run()
    assert (y == -5).all()
    context.profile()
    context.measure()
    context.run()
    assert context.steps() and context.steps()[0].run_count == 1
    assert context.device_ms > 0


def test_shapes_in_advance(curve):
    context = curve.context()
    context.set_shape("data", (7, 9, 2))
    assert context.shape(curve.outputs[0].name)[0] == 7
    assert context.memory_bytes >= 0


def test_shapes_that_only_the_run_tells():
    engine = problem("NonZero f32[2,3]")
    x = np.array([[0, 1, 0], [2, 0, 3]], np.float32)
    assert np.array_equal(engine(x), np.array(np.nonzero(x)))
    assert engine(np.zeros((2, 3), np.float32)).shape == (2, 0)


def test_strings():
    engine = problem("Identity string[3]")
    assert engine(np.array(["eins", "", "zwei ü"], object)).tolist() == ["eins", "", "zwei ü"]


def test_sequences():
    engine = problem("SplitToSequence f32[4,2]")
    parts = engine(np.arange(8, dtype=np.float32).reshape(4, 2))
    assert len(parts) == 4 and np.array_equal(parts[3].ravel(), [6, 7])


def test_errors_tell_code_message_and_trail(curve):
    with pytest.raises(tenon.Error) as caught:
        curve(np.zeros((1, 9, 3), np.float32))
    assert caught.value.code == "INVALID" and "data" in caught.value.message
    assert ".c:" in caught.value.trail and "data" in str(caught.value)
    with pytest.raises(tenon.Error) as caught:
        tenon.load("/nowhere.onnx")
    assert caught.value.code == "NOT_FOUND"
    with pytest.raises(FileNotFoundError):
        tenon.Engine("/nowhere.engine")
    with pytest.raises(tenon.Error) as caught:
        tenon.Model.from_bytes(b"not a model")
    assert caught.value.code in ("CORRUPT", "INVALID")
    with pytest.raises(TypeError, match="missing"):
        curve()
    with pytest.raises(TypeError, match="no input 'x'"):
        curve(x=1)
    with pytest.raises(TypeError, match="twice"):
        curve(np.zeros((1, 9, 2), np.float32), data=1)


def test_damaged_engine(curve, tmp_path):
    data = curve.to_bytes()
    with pytest.raises(tenon.Error) as caught:
        tenon.Engine.from_bytes(data[: len(data) // 2])
    assert caught.value.code == "CORRUPT"


def test_threads_share_an_engine(curve):
    (x,), (y,) = data_set("curve")
    failures = []

    def work():
        for _ in range(20):
            if not close(curve(x), y):
                failures.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_the_interpreter_is_free_during_a_run():
    engine = problem("MatMul f32[1200,1200] f32[1200,1200]", threads=1)
    context = engine.context()
    x = np.ones((1200, 1200), np.float32)
    for io in engine.inputs:
        context.bind(io.name, x)
    count, done = [0], threading.Event()

    def tick():
        while not done.is_set():
            count[0] += 1

    thread = threading.Thread(target=lambda: (context.run(), context.run(), done.set()))
    thread.start()
    tick()
    thread.join()
    assert count[0] > 100  # Python went on meanwhile


def test_one_context_in_two_threads_is_refused():
    engine = problem("MatMul f32[1500,1500] f32[1500,1500]", threads=1)
    context = engine.context()
    x = np.ones((1500, 1500), np.float32)
    for io in engine.inputs:
        context.bind(io.name, x)
    refused = []
    for _ in range(50):
        thread = threading.Thread(target=context.run)
        thread.start()
        try:
            while thread.is_alive() and not refused:
                context.shape(engine.outputs[0].name)
        except tenon.Error as error:
            refused.append(error)
        thread.join()
        if refused:
            break
    assert refused and "another thread" in refused[0].message


def test_the_log_goes_to_logging(caplog):
    tenon.set_log_level("verbose")
    try:
        with caplog.at_level(logging.DEBUG, logger="tenon"):
            problem("Add f32[2] f32[2]")
    finally:
        tenon.set_log_level("warning")
    assert caplog.records and all(r.name == "tenon" for r in caplog.records)


def test_timing_caches_are_read_and_added_to(tmp_path):
    model = tenon.Model.from_problem("Conv f32[1,8,14,14] f32[8,8,3,3]!")
    cache = tenon.TimingCache(tmp_path / "none yet")
    tenon.build(model, timing_cache=cache, budget_ms=200)
    assert len(cache) > 0
    cache.save(tmp_path / "times")
    again = tenon.TimingCache(tmp_path / "times")
    assert len(again) == len(cache) and again.to_bytes() == cache.to_bytes()
    first = tenon.build(model, timing_cache=again, budget_ms=200).to_bytes()
    assert first == tenon.build(model, timing_cache=again, budget_ms=200).to_bytes()
    more = tenon.TimingCache()
    more.add(cache)
    more.add(cache.to_bytes())
    assert len(more) == len(cache)


def test_progress_and_cancelling():
    stages = []
    tenon.build(EXAMPLES / "curve" / "curve.onnx", budget_ms=-1,
                progress=lambda stage, done, total: stages.append((stage, done, total)))
    assert {"passes", "check"} <= {stage for stage, _, _ in stages}
    with pytest.raises(tenon.Error) as caught:
        tenon.build(EXAMPLES / "curve" / "curve.onnx", progress=lambda *_: False)
    assert caught.value.code == "CANCELLED"

    def fails(stage, done, total):
        raise KeyError(stage)
    with pytest.raises(KeyError):
        tenon.build(EXAMPLES / "curve" / "curve.onnx", progress=fails)


def test_new_weights_for_an_engine(tmp_path):
    (x,), (y,) = data_set("mnist")
    engine = tenon.build(EXAMPLES / "mnist" / "mnist.onnx", budget_ms=-1, strip_weights=True)
    missing = [w for w in engine.weights if w.missing]
    assert missing and len(engine.to_bytes()) < 200_000
    with pytest.raises(tenon.Error):
        engine(x)
    full = engine.refit(EXAMPLES / "mnist" / "mnist.onnx")
    assert close(full(x), y)
    zeros = {w.name: np.zeros(w.shape, np.float32) for w in full.weights}
    assert not np.array_equal(full.refit(zeros)(x), y)
    with pytest.raises(tenon.Error, match="nothing"):
        full.refit({"nothing": np.zeros(3, np.float32)})
    weights = tenon.Checkpoint(EXAMPLES / "mnist" / "mnist.pth")
    tenon.save_checkpoint(tmp_path / "w.safetensors", weights)
    assert close(full.refit(tmp_path / "w.safetensors")(x), y)


def test_layers_and_profilers(curve):
    layers = curve.layers()
    assert layers["engine"]["device"] and layers["layers"][0]["name"]
    context = curve.context()
    events = []
    context.set_profiler(events.append)
    context(np.zeros((3, 9, 2), np.float32))
    assert [e.name for e in events] == [row["name"] for row in context.layers()["layers"]]
    assert isinstance(events[0], tenon.StepEvent) and events[0].ms >= 0
    context.set_profiler(None)
    context(np.zeros((3, 9, 2), np.float32))
    assert len(events) == len(context.steps())


def test_models_simplify_and_save(tmp_path):
    model = tenon.load(EXAMPLES / "curve" / "curve.onnx")
    report = model.simplify(shapes={"data": (3, 9, 2)})
    assert report and model.inputs[0].shape == (3, 9, 2)
    model.save(tmp_path / "small.onnx")
    (x,), _ = data_set("curve")
    small = tenon.Engine(tmp_path / "small.onnx", budget_ms=-1)
    assert small(np.resize(x, (3, 9, 2))).shape[0] == 3
    assert model.text("json").startswith("{")


def test_checkpoints(tmp_path):
    checkpoint = tenon.Checkpoint(EXAMPLES / "mnist" / "mnist.pth")
    assert checkpoint["conv1.weight"].shape == (20, 1, 5, 5)
    assert checkpoint.arch == "lenet"
    (x,), (y,) = data_set("mnist")
    engine = tenon.build(tenon.Model.from_checkpoint(checkpoint), budget_ms=-1)
    assert engine(x).shape == y.shape
    tenon.save_checkpoint(tmp_path / "copy.safetensors", checkpoint)
    copy = tenon.Checkpoint(tmp_path / "copy.safetensors")
    assert set(copy) == set(checkpoint)
    assert all(np.array_equal(copy[n], checkpoint[n]) for n in copy)


def test_tokenizer():
    tokenizer = tenon.Tokenizer(EXAMPLES / "sentiment" / "vocab.txt", mode="bert4torch")
    ids, segments = tokenizer.encode("我的心情很差")
    assert [tokenizer.token(i) for i in ids] == ["[CLS]", *"我的心情很差", "[SEP]"]
    assert segments == [0] * 8 and tokenizer.find("[SEP]") == ids[-1]
    assert tokenizer.encode("我的", "心情", max_length=4)[1].count(1) == 2


def test_operators_of_ones_own(tmp_path):
    compiler = shutil.which("cc") or pytest.skip("no C compiler")
    source = EXAMPLES / "user_op"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-I", str(ROOT / "include"),
                    str(source / "ops.c"), "-o", str(tmp_path / "ops.so"), "-lm"], check=True)
    with pytest.raises(tenon.Error) as caught:
        tenon.load(source / "model.onnx")
    assert caught.value.code == "UNSUPPORTED"
    tenon.load_operators(tmp_path / "ops.so")
    inputs, outputs = data_set("user_op")
    result = tenon.build(source / "model.onnx", budget_ms=-1)(*inputs)
    assert all(close(got, want) for got, want in zip(result, outputs))


def test_tensor_files(tmp_path):
    x = np.arange(6, dtype=np.int64).reshape(2, 3)
    for name in ("x.npy", "x.pb"):
        tenon.save_tensor(tmp_path / name, x)
        assert np.array_equal(tenon.load_tensor(tmp_path / name), x)
    assert np.array_equal(np.load(tmp_path / "x.npy"), x)
    assert tenon.compare(x.astype(np.float32), x.astype(np.float32) + 1).beyond_count == 6
