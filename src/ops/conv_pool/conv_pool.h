/* ConvPool: a first layer and the pooling behind it. */
#ifndef TN_OPS_CONV_POOL_H
#define TN_OPS_CONV_POOL_H

#include "ops/conv/conv.h"
#include "ops/pool/pool.h"

typedef struct tn_conv_pool_params {
    tn_conv_last_params conv; /* first: its x is as it came, its window padded as attributes say */
    tn_pool_last_params pool;
} tn_conv_pool_params;

/* The two as problems of ChannelsLastConv and ChannelsLastPool, with `between` from one to the
 * other, without data; the data types of x and w are kept. They stay good as long as p is. */
void tn_conv_pool_parts(const tn_problem *p, tn_tensor *between, tn_problem *conv,
                        tn_problem *pool);

#endif
