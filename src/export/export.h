/* Graphs to files. */
#ifndef TN_EXPORT_EXPORT_H
#define TN_EXPORT_EXPORT_H

#include "ir/graph.h"
#include "ir/op.h"

/* The opsets of ai.onnx that can be written. */
#define TN_ONNX_WRITE_MIN 11
#define TN_ONNX_WRITE_MAX 27

typedef struct tn_onnx_write_options {
    int64_t opset;      /* of ai.onnx; 0: the lowest from `base_opset` up that has every operator */
    int64_t base_opset; /* 0: 17 */
    bool external;      /* put the weights into a file beside the model, whatever the size */
    int64_t
        external_above; /* bytes of a model from which on that is done unasked; 0: 2 GB - 64 KB */
} tn_onnx_write_options;

/* What a graph needs to be written as it stands, without a spelling of parts. */
int64_t tn_onnx_needed_opset(const tn_graph *graph);
/* The opset that options ask for, checked. */
tn_status tn_onnx_choose_opset(const tn_graph *graph, const tn_onnx_write_options *options,
                               int64_t *out) TN_MUST_USE;

/* Rewrite, in place, what opset `opset` of ONNX has no operator for into operators that it has, and
 * tenon.Dims into arithmetic on shapes. The graph stays a valid graph of ours. Errors name the node
 * and the opset. */
tn_status tn_onnx_spell(tn_graph *graph, int64_t opset) TN_MUST_USE;

/* Write the graph as an ONNX model. The graph is not changed. Weights are streamed from where they
 * lie. An existing file is replaced only once the new one is complete; the file of the weights, if
 * there is one, lies beside the model and is called as the model with ".data" behind. */
tn_status tn_onnx_write(const tn_graph *graph, const tn_onnx_write_options *options,
                        const char *path) TN_MUST_USE;

#endif
