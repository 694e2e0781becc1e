/* What rules ask of constants. */
#include "passes/constants.h"

#include <math.h>

bool tn_constant_number(const tn_value *value, double *out)
{
    if (!value || !tn_value_is_constant(value) || tn_tensor_count(&value->constant) != 1)
        return false;
    tn_dtype_kind kind = tn_dtype_kind_of(value->constant.dtype);
    if (kind == TN_KIND_S || kind == TN_KIND_C) return false;
    *out = tn_load_f64(value->constant.dtype, value->constant.data, 0);
    return true;
}

bool tn_constant_is(const tn_value *value, double wanted)
{
    double number;
    return tn_constant_number(value, &number) && number == wanted;
}

bool tn_constant_near(const tn_value *value, double wanted)
{
    double number;
    if (!tn_constant_number(value, &number)) return false;
    double part = tn_dtype_bits(value->constant.dtype) < 32 ? 1e-3 : 2e-6;
    return fabs(number - wanted) <= part * fabs(wanted);
}

tn_status tn_rules_apply(tn_graph *graph, const tn_rule *rule, size_t count, int64_t *changed)
{
    for (size_t i = 0; i < count; i++) {
        int64_t applied = 0;
        TN_TRY(tn_rule_apply(graph, &rule[i], &applied));
        *changed += applied;
    }
    return NULL;
}
