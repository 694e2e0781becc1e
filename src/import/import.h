/* Files to graphs. */
#ifndef TN_IMPORT_IMPORT_H
#define TN_IMPORT_IMPORT_H

#include "base/bytes.h"
#include "base/file.h"
#include "ir/graph.h"
#include "ir/op.h"

/* What the file says about itself. Texts live as long as the import. */
typedef struct tn_import_info {
    int64_t ir_version;
    int64_t opset;        /* of ai.onnx; 0: the file imports none */
    const char *producer; /* "pytorch 2.11.0"; "" if not said */
    const char *graph_name;
    int64_t node_count;      /* as in the file */
    const char *inputs_text; /* graph.input (initializers left out) in protobuf text format */
} tn_import_info;

/* An imported file. The graph's constants point into the arena and the mappings: graphs cloned
 * without their data must not outlive it. */
typedef struct tn_import {
    tn_arena arena;  /* strings and decoded data that the graph borrows */
    tn_graph *graph; /* upgraded, lowered, inferred, verified; not optimised */
    tn_import_info info;
    struct tn_mapping_list *mappings; /* of external data; private */
} tn_import;

/* bytes are copied where needed: they may go away. folder NULL: no external data. name: for
 * messages. options may be NULL; its size is not looked at. All operators that are missing are told
 * in one error. */
tn_status tn_onnx_import(const void *bytes, size_t byte_count, const char *name, const char *folder,
                         const tn_load_options *options, tn_import **out) TN_MUST_USE;
void tn_import_free(tn_import *import);

/* A bare ONNX TensorProto (.pb): dense tensor in memory of tn_alloc (tn_tensor_free). Strings too:
 * one block. */
tn_status tn_onnx_tensor_decode(const void *bytes, size_t byte_count, tn_tensor *out) TN_MUST_USE;
tn_status tn_onnx_tensor_encode(const tn_tensor *tensor, tn_writer *out) TN_MUST_USE;

/* A bare ONNX SequenceProto or, if `optional`, OptionalProto: *count tensors, -1 for an absent
 * optional, in memory of tn_alloc; tn_onnx_sequence_free. */
tn_status tn_onnx_sequence_decode(const void *bytes, size_t byte_count, bool optional,
                                  tn_tensor **out, int64_t *count) TN_MUST_USE;
void tn_onnx_sequence_free(tn_tensor *items, int64_t count);

#endif
