#!/usr/bin/env python3
"""How sentiment.onnx and vocab.txt here were made: the sentiment network with the rows of the common
characters only, and weights as 16-bit floats.
Usage: make_model.py SENTIMENT.onnx VOCAB.txt TEXTS.tsv   (the texts choose the characters)"""
import collections
import sys

import numpy
import onnx
from onnx import numpy_helper
from tokenizers import BertWordPieceTokenizer

model_path, vocab_path, texts_path = sys.argv[1:]
LEAST = 12  # a token stays that occurs this often
tokenizer = BertWordPieceTokenizer(vocab_path)
count = collections.Counter()
for line in open(texts_path, encoding="utf-8"):
    count.update(tokenizer.encode(line.split("\t")[0]).tokens)
special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
kept = special + sorted(token for token in count if count[token] >= LEAST and token not in special)
rows = numpy.array([tokenizer.token_to_id(token) for token in kept])

model = onnx.load(model_path)
graph = model.graph
casts = []
for tensor in graph.initializer:
    array = numpy_helper.to_array(tensor)
    if array.ndim == 2 and array.shape[0] == tokenizer.get_vocab_size():
        array = array[rows]
    if array.dtype == numpy.float32 and array.size > 256:
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(array.astype(numpy.float16), name + ".f16"))
        casts.append(onnx.helper.make_node("Cast", [name + ".f16"], [name], to=onnx.TensorProto.FLOAT))
nodes = casts + list(graph.node)
del graph.node[:]
graph.node.extend(nodes)
onnx.checker.check_model(model)
onnx.save(model, "sentiment.onnx")
with open("vocab.txt", "w", encoding="utf-8") as file:
    file.write("".join(token + "\n" for token in kept))
print(f"{len(kept)} tokens, {len(model.SerializeToString())} bytes")
