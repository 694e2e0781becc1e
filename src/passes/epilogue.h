/* Private to passes: the function that an operator with an activation takes over. */
#ifndef TN_PASSES_EPILOGUE_H
#define TN_PASSES_EPILOGUE_H

#include "ops/epilogue.h"
#include "passes/constants.h"

/* Rows of a pattern whose root is a function of row "sum", whose output nobody else reads:
 *     y = Relu(sum), ..., or sum * Sigmoid(sum)
 * `op` is what "sum" may be. Constants stand second, so no order of `Clip` is asked. */
#define TN_EPILOGUE_OPS "Relu|Gelu|Tanh|Sigmoid|HardSwish|Swish|LeakyRelu|Clip"
#define TN_EPILOGUE_PLAIN(op)                                                                      \
    {"y", TN_EPILOGUE_OPS, .in = {"sum", "*", "*"}},                                               \
    {                                                                                              \
        "sum", op, .users = 1                                                                      \
    }
#define TN_EPILOGUE_GATED(op)                                                                      \
    {"y", "Mul", .in = {"sum", "gate"}, .commutes = true},                                         \
        {"gate", "Sigmoid|HardSigmoid", .in = {"sum"}, .users = 1},                                \
    {                                                                                              \
        "sum", op, .users = 2                                                                      \
    }

/* What such a match computes of "sum"; false: none that there is an activation for. */
bool tn_epilogue_read(const tn_match *match, tn_epilogue *out);
/* The same question, of a rule: and "sum" has no activation yet. */
bool tn_epilogue_holds(const tn_match *match);
/* A node that takes the place of a match's root "y", with this activation; what nobody reads any
 * more goes. */
tn_status tn_epilogue_end(const tn_match *match, tn_node *node,
                          const tn_epilogue *epilogue) TN_MUST_USE;
/* Until nothing changes: what one rule made may be what an earlier one looks for. */
tn_status tn_epilogue_rules(tn_graph *graph, const tn_rule *rules, int count,
                            int64_t *changed) TN_MUST_USE;
/* The attributes of a node that has them, and back. */
tn_epilogue tn_epilogue_of_node(const tn_node *node);
tn_status tn_epilogue_set(tn_node *node, const tn_epilogue *epilogue) TN_MUST_USE;
/* Remove the nodes of a match that nobody reads any more: rules ask how many readers there are. */
void tn_match_clear(const tn_match *match);
/* May `other`, of the same type, be the residual of the node that gives `sum` and go into it where
 * `y` stands? Not if it is produced after it: then what gives it should take `sum` instead. */
bool tn_residual_fits(const tn_value *sum, const tn_value *other, const tn_node *y);

#endif
