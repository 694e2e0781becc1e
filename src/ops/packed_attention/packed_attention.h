#ifndef TN_OPS_PACKED_ATTENTION_H
#define TN_OPS_PACKED_ATTENTION_H

#include "device/device.h"

typedef struct tn_packed_attention_params {
    int64_t heads;
    float scale; /* 0: 1 / sqrt(head size) */
    int32_t pad;
} tn_packed_attention_params;

/* Inputs, by number. */
enum { TN_PATT_QKV, TN_PATT_MASK, TN_PATT_BIAS };

/* Numbers of a problem. Element d of head h of row s: q at s * 3 * width + h * head + d of its
 * batch, k and v `width` and 2 * `width` further on; y at s * width + h * head + d. */
typedef struct tn_packed_attention_shape {
    int64_t batch, rows, heads, head, width; /* width = heads * head */
    double scale;
    int64_t mask_batches; /* batch b reads mask b % mask_batches */
    int64_t mask_step[4]; /* over batch, head, query, key, in elements; 0 along broadcast axes */
    int64_t bias_step[2]; /* over head, query */
} tn_packed_attention_shape;
void tn_packed_attention_shape_of(const tn_problem *p, tn_packed_attention_shape *out);

#endif
