/* Steps down a gradient, as torch.optim does them, on blocks of all parameters. */
#ifndef TN_TRAIN_OPTIMIZER_H
#define TN_TRAIN_OPTIMIZER_H

#include <tenon/train.h>

#include "base/status.h"

typedef struct tn_optimizer_state {
    int64_t steps;         /* done */
    float *first, *second; /* Adam: means of the gradient and of its square; SGD: its momentum */
} tn_optimizer_state;

/* Scales the gradient to a length of at most `most` (torch.nn.utils.clip_grad_norm_). */
void tn_gradient_clip(float *gradient, int64_t count, double most);
/* One step of `value`. The gradient is used up: weight decay is added in place. */
void tn_optimizer_step(const tn_train_options *options, tn_optimizer_state *state, float *value,
                       float *gradient, int64_t count);

#endif
