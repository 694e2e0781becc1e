/* A stack of LSTM or GRU layers as one operator: nn.LSTM and nn.GRU of PyTorch.
 *
 * Layer l reads the layer below, both directions side by side: [T, B, D * H]. States are [L * D, B,
 * H], layer by layer. Each layer has W [D, gates * H, input], R [D, gates * H, H] and B [D, 2 *
 * gates * H] in the order of ONNX: gates i o f c or z r h, the biases of x before those of h. */
#ifndef TN_OPS_RECURRENT_STACK_H
#define TN_OPS_RECURRENT_STACK_H

#include "device/device.h"

enum { TN_STACK_LSTM, TN_STACK_GRU };

typedef struct tn_recurrent_stack_params {
    int64_t mode, hidden_size, layers, directions;
    int64_t linear_before_reset; /* GRU */
    int64_t batch_first;         /* X and Y are [B, T, ...]; the states stay as they are */
} tn_recurrent_stack_params;

/* Inputs, by number: W, R, B of layer l stand from TN_STACK_WEIGHTS + 3 * l on. */
enum { TN_STACK_X, TN_STACK_H0, TN_STACK_C0, TN_STACK_WEIGHTS };
enum { TN_STACK_Y, TN_STACK_HN, TN_STACK_CN };

/* A problem tells which of its inputs are constant in 64 bits. */
enum { TN_STACK_LAYERS_MAX = (64 - TN_STACK_WEIGHTS) / 3 };

/* Sizes of a problem, and the steps through X and Y in elements. */
typedef struct tn_recurrent_stack_shape {
    int64_t seq, batch, input, hidden, directions, layers, gates;
    int64_t x_time, x_batch, y_time, y_batch;
} tn_recurrent_stack_shape;
void tn_recurrent_stack_shape_of(const tn_problem *p, tn_recurrent_stack_shape *out);

#endif
