/* Convolutions as graphs of cuDNN's: y = relu(conv(x, w) + residual + bias) of tensors with the
 * channels along memory, each part but the first where it is asked for. The library names engines
 * for a graph, best first as it thinks: each is a choice, to be measured. */
#ifndef TN_BACKENDS_CUDA_DNN_GRAPH_H
#define TN_BACKENDS_CUDA_DNN_GRAPH_H

#include "backends/cuda/dnn.h"

enum { TN_DNN_CHOICES = 4 };

/* A key: no padding that is not zero. Sizes are [N, C, H, W]; `algorithm` is not looked at. */
typedef struct tn_dnn_graph {
    tn_dnn_conv conv;
    int32_t bias, residual, relu;
    int32_t pad_end[2];
} tn_dnn_graph;

/* How many engines there are, at most TN_DNN_CHOICES; 0 where the library has none, or is none. On
 * the first card, since a problem does not say where it will run; answers are remembered. */
int tn_dnn_graph_choices(const tn_dnn_graph *graph);
/* Makes the plan of a choice ready, which may take a while. False: it does not work after all. */
bool tn_dnn_graph_workspace(const tn_dnn_graph *graph, int choice, size_t *bytes);
/* All addresses are multiples of 16. *known is false, and nothing is done, where there is no plan.
 */
tn_status tn_dnn_graph_run(tn_cuda_stream *stream, const tn_dnn_graph *graph, int choice,
                           const tn_dnn_operands *operands, bool *known) TN_MUST_USE;

#endif
