/* ConvPair: two convolutions of single pixels, one behind the other. */
#ifndef TN_OPS_CONV_PAIR_H
#define TN_OPS_CONV_PAIR_H

#include "ops/conv/conv.h"

typedef struct tn_conv_pair_params {
    tn_conv_last_params conv; /* first: what makes M */
    tn_conv_last_params then; /* of M; its window is a single pixel */
} tn_conv_pair_params;

/* Inputs behind those of ChannelsLastConv, of which there are as many. */
enum { TN_CONV_PAIR_V = TN_CONV_LAST_W2 + 1, TN_CONV_PAIR_BIAS, TN_CONV_PAIR_INS };

/* The two as problems of ChannelsLastConv, with `between`, M, from one to the other: without data
 * if nobody wants it. `in` is room for the inputs of the second. They stay good as long as p is. */
void tn_conv_pair_parts(const tn_problem *p, tn_tensor *between, tn_tensor in[3], tn_problem *first,
                        tn_problem *second);

#endif
