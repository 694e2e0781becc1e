#ifndef TN_OPS_LOSS_H
#define TN_OPS_LOSS_H

#include <stdint.h>

#include "ir/op.h"

#define TN_LOSS_NO_IGNORE INT64_MIN

/* Of NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss. */
typedef struct tn_loss_params {
    int64_t ignore_index; /* a label that counts for nothing, or TN_LOSS_NO_IGNORE */
    int64_t reduction;    /* 0 mean, 1 sum, 2 none */
} tn_loss_params;

typedef struct tn_loss_gradient_params {
    int64_t ignore_index, reduction;
    int64_t softmax; /* 0: the scores are log probabilities */
} tn_loss_gradient_params;

void tn_loss_gradient(tn_gradient *g);

#endif
