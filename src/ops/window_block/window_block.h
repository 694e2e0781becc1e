#ifndef TN_OPS_WINDOW_BLOCK_H
#define TN_OPS_WINDOW_BLOCK_H

#include "ops/window_attention/window_attention.h"

typedef struct tn_window_block_params {
    tn_window_attention_params attention; /* first: also those of a WindowAttention */
    float epsilon, pad;
} tn_window_block_params;

/* Inputs, by number; shift, the biases and the table of positions may be absent. */
enum {
    TN_WB_X,
    TN_WB_SCALE,
    TN_WB_SHIFT,
    TN_WB_W1,
    TN_WB_BIAS1,
    TN_WB_TABLE,
    TN_WB_W2,
    TN_WB_BIAS2,
    TN_WB_INS
};

/* Numbers of the attention inside. */
void tn_window_block_shape_of(const tn_problem *p, tn_window_attention_shape *out);
/* Whether cards have a kernel that makes all of it at once, and profit: a multiprocessor for each
 * head of a window, which keeps the weights of its head, and not many more of them than a card has;
 * rows: tokens of all images, -1: not known. */
bool tn_window_block_fits(const tn_window_attention_params *params, int64_t rows, int64_t width);

#endif
