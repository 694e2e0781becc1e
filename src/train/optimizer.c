/* Adam and SGD with momentum. Scalars are computed in double and rounded once, elements in float,
 * as PyTorch does. */
#include "train/optimizer.h"

#include <math.h>

static const double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;

void tn_gradient_clip(float *gradient, int64_t count, double most)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += (double)gradient[i] * (double)gradient[i];
    double factor = most / (sqrt(sum) + 1e-6);
    if (!(factor < 1)) return;
    for (int64_t i = 0; i < count; i++) gradient[i] *= (float)factor;
}

static void step_adam(const tn_train_options *o, tn_optimizer_state *state, float *restrict value,
                      const float *restrict gradient, int64_t count)
{
    float *restrict m = state->first, *restrict v = state->second;
    double done = (double)state->steps;
    float rate = (float)(o->learning_rate / (1 - pow(beta1, done)));
    float root = (float)sqrt(1 - pow(beta2, done)), tiny = (float)epsilon;
    float toward = (float)(1 - beta1), keep = (float)beta2, square = (float)(1 - beta2);
    for (int64_t i = 0; i < count; i++) {
        float g = gradient[i];
        m[i] += toward * (g - m[i]);
        v[i] = v[i] * keep + square * g * g;
        value[i] += -rate * m[i] / (sqrtf(v[i]) / root + tiny);
    }
}

static void step_sgd(const tn_train_options *o, tn_optimizer_state *state, float *restrict value,
                     const float *restrict gradient, int64_t count)
{
    float *restrict m = state->first;
    float rate = (float)o->learning_rate, momentum = (float)o->momentum;
    for (int64_t i = 0; i < count; i++) {
        m[i] = m[i] * momentum + gradient[i];
        value[i] += -rate * m[i];
    }
}

void tn_optimizer_step(const tn_train_options *options, tn_optimizer_state *state, float *value,
                       float *gradient, int64_t count)
{
    state->steps++;
    float decay = (float)options->weight_decay;
    for (int64_t i = 0; decay != 0 && i < count; i++) gradient[i] += decay * value[i];
    if (options->optimizer == TN_OPTIMIZER_ADAM) step_adam(options, state, value, gradient, count);
    else step_sgd(options, state, value, gradient, count);
}
