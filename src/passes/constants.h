/* Private to passes: what rules ask of constants. */
#ifndef TN_PASSES_CONSTANTS_H
#define TN_PASSES_CONSTANTS_H

#include "passes/passes.h"

/* A constant of one number. */
bool tn_constant_number(const tn_value *value, double *out);
bool tn_constant_is(const tn_value *value, double wanted);
/* The same to a few parts in a million: what is left of sqrt(2) after a file in f32 or f16. */
bool tn_constant_near(const tn_value *value, double wanted);
/* Apply rules one after the other; adds to *changed. */
tn_status tn_rules_apply(tn_graph *graph, const tn_rule *rule, size_t count,
                         int64_t *changed) TN_MUST_USE;

#endif
