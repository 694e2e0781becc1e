/* Private to passes: how the elements of a tensor lie over the axes of attention.
 *
 * Exporters split heads in many spellings of Reshape, Transpose, Split, Slice, Gather and Squeeze.
 * None of them computes anything, so a value is followed through them backwards (or forwards) with
 * a description of each of its axes: a row of pieces, outermost first, each a whole axis of
 * attention or a fixed index:
 *
 *     "B|H|S|D"   [batch, heads, rows, size of a head]
 *     "B|S|HD"    [batch, rows, heads * size]
 *     "B|S|3HD"   the same out of [batch, rows, 3 * heads * size], one of three parts
 *
 * Pieces of size 1 may be anywhere, so they are left out, on both sides of a comparison. */
#ifndef TN_PASSES_ATTENTION_LIE_H
#define TN_PASSES_ATTENTION_LIE_H

#include "passes/passes.h"

/* Of B, H, S and D. NONE: the form does not use it. */
typedef struct tn_lie_sizes {
    tn_expr batch, heads, rows, head;
} tn_lie_sizes;

#define TN_LIE_PIECES 6
typedef struct tn_lie {
    tn_value *value;
    tn_lie_sizes size;
    struct {
        int count;
        struct {
            char letter; /* B H S D, or 0: element `index` of an axis of `size` */
            tn_expr size;
            int64_t index;
        } at[TN_LIE_PIECES];
    } axis[TN_RANK_MAX];
    double scale; /* what the elements met on the way back were multiplied by */
} tn_lie;

/* A value of which the form is known. False if its dims are not those of the form. */
bool tn_lie_begin(tn_lie *lie, tn_value *value, const char *form, tn_lie_sizes size);
/* To what the value was made of; false, with nothing changed, where that is not known. */
bool tn_lie_back(tn_lie *lie);
/* To what its only reader makes of it. */
bool tn_lie_forward(tn_lie *lie);
/* 3 in a form stands for one of three parts, whose index is given if `part` is not NULL. */
bool tn_lie_is(const tn_lie *lie, const char *form, int64_t *part);
/* The same elements in the same order, however they are cut into axes? */
bool tn_lie_flows(const tn_lie *lie, const char *order);

/* Does the node multiply (or divide) by one finite number, without a change of type? */
bool tn_scales_by_constant(const tn_node *node, tn_value **x, double *factor);
/* The only node that reads the value, as input 0; NULL if there are others or an output. */
tn_node *tn_only_reader(const tn_value *value);

#endif
