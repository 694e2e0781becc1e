"""Workflow 5: a BERT classifier from an engine file, with buffers sized by set_binding_shape.

Usage: sentiment.py ENGINE VOCAB TEXT..."""

import sys

import numpy as np
import tenon
import tenon.tensorrt as trt

import common

TRT_LOGGER = trt.Logger(trt.Logger.WARNING)


def get_engine(path):
    print("Reading engine from file {}".format(path))
    with open(path, "rb") as f, trt.Runtime(TRT_LOGGER) as runtime:
        return runtime.deserialize_cuda_engine(f.read())


def main(engine_path, vocab, *sentences):
    engine = get_engine(engine_path)
    context = engine.create_execution_context()
    tokenizer = tenon.Tokenizer(vocab, mode="bert4torch")
    encoded = [tokenizer.encode(text) for text in sentences]
    length = max(len(ids) for ids, _ in encoded)
    tokens_id, segment_ids = (np.array([row[k] + [0] * (length - len(row[k])) for row in encoded],
                                       np.int32) for k in (0, 1))
    context.active_optimization_profile = 0
    origin_inputshape = context.get_binding_shape(0)
    origin_inputshape[0], origin_inputshape[1] = tokens_id.shape
    context.set_binding_shape(0, (origin_inputshape))
    context.set_binding_shape(1, (origin_inputshape))
    inputs, outputs, bindings, stream = common.allocate_buffers(engine, context)
    inputs[0].host = tokens_id
    inputs[1].host = segment_ids
    trt_outputs = common.do_inference_v2(context, bindings=bindings, inputs=inputs, outputs=outputs,
                                         stream=stream)
    probabilities = trt_outputs[0].reshape(len(sentences), -1)
    preds = np.argmax(probabilities, axis=1)
    print("====preds====:", preds)
    return preds, probabilities, tokens_id, segment_ids


if __name__ == "__main__":
    main(*sys.argv[1:])
