/* Attributes of operators on sequences and optionals -> the numbers of their steps
 * (exec/sequence.c). */
#include <string.h>

#include "build/stage.h"

tn_status tn_sequence_numbers(const tn_node *node, tn_arena *arena, tn_plan_step *step)
{
    /* One row for each operator: names of attributes in the order of the numbers, with defaults. */
    static const struct {
        const char *op;
        const char *attr[2];
        int64_t otherwise[2];
    } rows[] = {
        {"ConcatFromSequence", {"axis", "new_axis"}, {0, 0}},
        {"SplitToSequence", {"axis", "keepdims"}, {0, 1}},
    };
    for (size_t i = 0; i < TN_COUNT(rows); i++) {
        if (strcmp(node->op->name, rows[i].op) != 0) continue;
        step->number = TN_NEW_ARRAY(arena, int64_t, 2);
        TN_CHECK(step->number, TN_OUT_OF_MEMORY, "no memory for a step");
        step->number_count = 2;
        for (int k = 0; k < 2; k++)
            step->number[k] = tn_node_int_attr(node, rows[i].attr[k], rows[i].otherwise[k]);
    }
    return NULL;
}
