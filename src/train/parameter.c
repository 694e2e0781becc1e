/* Initial values by name and shape. The bounds are computed in the steps in which PyTorch computes
 * them, so that they round to the same floats. */
#include "train/parameter.h"

#include <math.h>
#include <string.h>

static const tn_parameter *find(const tn_parameter *parameter, int32_t count, const char *prefix,
                                size_t prefix_bytes, const char *rest)
{
    for (int32_t i = 0; i < count; i++)
        if (strncmp(parameter[i].name, prefix, prefix_bytes) == 0 &&
            strcmp(parameter[i].name + prefix_bytes, rest) == 0)
            return &parameter[i];
    return NULL;
}

/* "lstm.weight_ih_l0" -> "weight_ih_l0". */
static const char *last_part(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool is_recurrent(const char *part)
{
    return begins_with(part, "weight_ih_l") || begins_with(part, "weight_hh_l") ||
           begins_with(part, "bias_ih_l") || begins_with(part, "bias_hh_l");
}

/* The product of all dims but the first: inputs of one output. */
static double fan_in(const tn_parameter *weight)
{
    double fan = 1;
    for (int32_t i = 1; i < weight->rank; i++) fan *= (double)weight->dim[i];
    return fan;
}

static tn_status find_bound(const tn_parameter *all, int32_t count, const tn_parameter *p,
                            double *out)
{
    const char *part = last_part(p->name);
    size_t prefix = (size_t)(part - p->name);
    if (is_recurrent(part)) {
        const tn_parameter *hidden = find(all, count, p->name, prefix, "weight_hh_l0");
        TN_CHECK(hidden && hidden->rank == 2 && hidden->dim[1] > 0, TN_INVALID,
                 "the recurrent layer of '%s' has no weight_hh_l0 that tells its hidden size",
                 p->name);
        *out = 1.0 / sqrt((double)hidden->dim[1]);
        return NULL;
    }
    if (strcmp(part, "weight") == 0 && p->rank >= 2 && fan_in(p) > 0) {
        double slope = sqrt(5), gain = sqrt(2.0 / (1 + slope * slope));
        *out = sqrt(3.0) * (gain / sqrt(fan_in(p)));
        return NULL;
    }
    if (strcmp(part, "bias") == 0) {
        const tn_parameter *weight = find(all, count, p->name, prefix, "weight");
        if (weight && weight->rank >= 2 && fan_in(weight) > 0) {
            *out = 1.0 / sqrt(fan_in(weight));
            return NULL;
        }
    }
    TN_FAIL(TN_UNSUPPORTED,
            "no initial values are known for the parameter '%s' of rank %d: networks of recurrent, "
            "linear and convolution layers can be trained from nothing",
            p->name, p->rank);
}

tn_status tn_parameters_begin(const tn_parameter *parameter, int32_t count, tn_torch_random *random,
                              float *values)
{
    for (int32_t i = 0; i < count; i++) {
        double bound;
        TN_TRY(find_bound(parameter, count, &parameter[i], &bound));
        tn_torch_random_uniform(random, -bound, bound, values + parameter[i].offset,
                                parameter[i].count);
    }
    return NULL;
}
