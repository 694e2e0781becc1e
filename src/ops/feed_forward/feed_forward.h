#ifndef TN_OPS_FEED_FORWARD_H
#define TN_OPS_FEED_FORWARD_H

#include "ops/epilogue.h"

typedef struct tn_feed_forward_params {
    tn_epilogue epilogue;
    float epsilon, pad;
} tn_feed_forward_params;

/* Inputs, by number; shift and the biases may be absent. */
enum { TN_FF_X, TN_FF_SCALE, TN_FF_SHIFT, TN_FF_W1, TN_FF_BIAS1, TN_FF_W2, TN_FF_BIAS2, TN_FF_INS };

/* Numbers of a problem. */
typedef struct tn_feed_forward_shape {
    int64_t rows, width, hidden;
} tn_feed_forward_shape;
void tn_feed_forward_shape_of(const tn_problem *p, tn_feed_forward_shape *out);
/* Whether cards have a kernel that makes all of it at once, and profit: both matrices fit the
 * shared memory of 16 multiprocessors, rows the registers of one, and there is no more than a card
 * does at once, about; rows -1: not known. */
bool tn_feed_forward_fits(int64_t rows, int64_t width, int64_t hidden);

#endif
