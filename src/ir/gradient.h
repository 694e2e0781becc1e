/* What the gradient rules of operators are written with (passes/gradient.c runs them).
 *
 * A rule is called for a node on the way from the parameters to the loss. It has the gradients of
 * the node's outputs, dy, and gives those of its inputs, as nodes of ordinary operators:
 *
 *     static void gradient(tn_gradient *g)
 *     {
 *         tn_value *y = g->node->out[0], *dy = g->dy[0];
 *         tn_gradient_give(g, 0, tn_gradient_write(g, "dy * (1 - y * y)", NULL, 0));
 *     }
 *
 * After a failure all words do nothing and give NULL, as those of a draft.
 */
#ifndef TN_IR_GRADIENT_H
#define TN_IR_GRADIENT_H

#include "ir/draft.h"

struct tn_gradient {
    tn_draft *draft;
    tn_node *node;
    const char *name;   /* for new nodes */
    tn_value **dy;      /* of each output; NULL: the loss does not hang on it */
    tn_value **dx;      /* of each input, filled by tn_gradient_give */
    const bool *wanted; /* of each input */
};

bool tn_gradient_wants(const tn_gradient *g, int input);
/* The input, NULL if absent. */
tn_value *tn_gradient_input(const tn_gradient *g, int input);
/* A node of one output. */
tn_value *tn_gradient_op(tn_gradient *g, const char *op, tn_value *const *in, int in_count,
                         const tn_attr *attr, int attr_count);
/* A formula (draft.h) over a, b, c, d (the inputs), x (the first one), y and dy (of output 0), the
 * node's attributes that are numbers, and before all of these `more`. Numbers have the type of
 * input 0. */
tn_value *tn_gradient_write(tn_gradient *g, const char *text, const tn_named *more, int count);
/* The gradient of an input that was perhaps broadcast: sums over the axes along which it was.
 * `value` NULL gives nothing. */
void tn_gradient_give(tn_gradient *g, int input, tn_value *value);
/* The same for one that has to be broadcast to the shape of the input. */
void tn_gradient_give_spread(tn_gradient *g, int input, tn_value *value);
/* The formulas of op->derivative, divided by ';'. */
void tn_gradient_give_derivatives(tn_gradient *g);
/* dy[0] under the shape of input 0: the rule of all operators that only reshape. */
void tn_gradient_reshape(tn_gradient *g);

tn_value *tn_gradient_reshape_like(tn_gradient *g, tn_value *value, tn_value *like);
tn_value *tn_gradient_transpose_last(tn_gradient *g, tn_value *value); /* the last two axes */
tn_value *tn_gradient_zeros(tn_gradient *g, tn_value *like);
/* dy of an output, zeros if the loss does not hang on it. */
tn_value *tn_gradient_dy(tn_gradient *g, int output);
/* "<why>" as UNSUPPORTED. */
void tn_gradient_refuse(tn_gradient *g, const char *why);
/* Same rank and provably the same dims. */
bool tn_gradient_same_shape(const tn_value *a, const tn_value *b);

#endif
