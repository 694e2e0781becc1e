#ifndef TN_OPS_ATTENTION_H
#define TN_OPS_ATTENTION_H

#include "device/device.h"

typedef struct tn_attention_params {
    int64_t is_causal, q_num_heads, kv_num_heads; /* heads: of 3-D inputs */
    int64_t softmax_precision, qk_matmul_output_mode;
    int64_t left_window_size, right_window_size; /* -1: no bound */
    float scale;                                 /* 0: 1 / sqrt(head size) */
    float softcap;                               /* 0: none */
} tn_attention_params;

/* Inputs and outputs, by number. */
enum { TN_ATT_Q, TN_ATT_K, TN_ATT_V, TN_ATT_MASK, TN_ATT_PAST_K, TN_ATT_PAST_V, TN_ATT_LENGTHS };
enum { TN_ATT_Y, TN_ATT_PRESENT_K, TN_ATT_PRESENT_V, TN_ATT_QK };

/* Steps, in elements, through one of Q, K, V, Y: [B, H, S, D], or [B, S, H * D] for three axes. */
typedef struct tn_attention_steps {
    int64_t batch, head, row;
} tn_attention_steps;

/* Numbers of a problem. Keys and values are the past's, `past` of them, and then the new ones. */
typedef struct tn_attention_shape {
    int64_t batch, q_heads, kv_heads, q_rows, new_rows, past, rows, head, v_head;
    tn_attention_steps q, k, v, y;
    double scale;
    int64_t mask_columns; /* of the mask; 1: for all keys; keys beyond it are masked */
    int64_t mask_step[4]; /* over batch, head, query, key; 0 along broadcast axes */
} tn_attention_shape;
void tn_attention_shape_of(const tn_problem *p, tn_attention_shape *out);

/* Keys [*begin, *end) that query `row` of `batch` may see by causality, windows and lengths. */
void tn_attention_range(const tn_problem *p, const tn_attention_shape *s, int64_t batch,
                        int64_t row, int64_t *begin, int64_t *end);

#endif
