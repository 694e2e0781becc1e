/* Constants stand second in sums and products, so that equal nodes look equal and rules need not
 * try both orders. */
#include <string.h>

#include "passes/constants.h"

static bool commutes(const tn_op *op)
{
    static const char *const names[] = {"Add", "Mul", "And", "Or", "Xor", "Equal"};
    if (op->domain && op->domain[0]) return false;
    for (size_t i = 0; i < TN_COUNT(names); i++)
        if (!strcmp(op->name, names[i])) return true;
    return false;
}

static tn_status run(tn_graph *graph, int64_t *changed)
{
    for (tn_node *node = graph->first; node; node = node->next) {
        if (!commutes(node->op) || node->in_count != 2 || !node->in[0] || !node->in[1]) continue;
        tn_value *first = node->in[0], *second = node->in[1];
        if (!tn_value_is_constant(first) || tn_value_is_constant(second)) continue;
        TN_TRY(tn_node_set_input(node, 0, second));
        TN_TRY(tn_node_set_input(node, 1, first));
        ++*changed;
    }
    return NULL;
}

const tn_pass tn_pass_order_operands = {
    .name = "order_operands",
    .about = "put constants second in sums and products",
    .run = run,
};
