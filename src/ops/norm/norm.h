/* Normalisations: (x - mean) / sqrt(variance + epsilon) * scale + bias over one group of axes or
 * another. Variances are of the population (divided by the count). */
#ifndef TN_OPS_NORM_H
#define TN_OPS_NORM_H

#include <stdint.h>

typedef struct tn_batch_norm_params {
    int64_t training_mode;
    float epsilon, momentum;
} tn_batch_norm_params;

typedef struct tn_instance_norm_params {
    float epsilon, pad;
} tn_instance_norm_params;

typedef struct tn_group_norm_params {
    int64_t num_groups, stash_type;
    float epsilon, pad;
} tn_group_norm_params;

/* LayerNormalization and RMSNormalization. stash_type (a dtype) is that of the statistics that
 * leave the operator; inside they are double. */
typedef struct tn_layer_norm_params {
    int64_t axis, stash_type;
    float epsilon, pad;
} tn_layer_norm_params;

typedef struct tn_lrn_params {
    int64_t size;
    float alpha, beta, bias, pad;
} tn_lrn_params;

/* Mean and population variance of count values. */
void tn_norm_moments(const double *x, int64_t count, double *mean, double *variance);

#endif
