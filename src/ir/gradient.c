#include "ir/gradient.h"

#include <stdio.h>
#include <string.h>

enum { NAMES_MAX = 32, TEXT_MAX = 256 };

bool tn_gradient_wants(const tn_gradient *g, int input)
{
    return input < g->node->in_count && g->wanted[input];
}

tn_value *tn_gradient_input(const tn_gradient *g, int input)
{
    return input < g->node->in_count ? g->node->in[input] : NULL;
}

tn_value *tn_gradient_op(tn_gradient *g, const char *op, tn_value *const *in, int in_count,
                         const tn_attr *attr, int attr_count)
{
    return tn_draft_op(g->draft, op, g->name, in, in_count, attr, attr_count);
}

static double field_number(const tn_field *field, const void *params)
{
    const char *at = (const char *)params + field->offset;
    float real;
    int64_t whole;
    if (field->kind == TN_FIELD_FLOAT) {
        memcpy(&real, at, sizeof(real));
        return (double)real;
    }
    memcpy(&whole, at, sizeof(whole));
    return (double)whole;
}

tn_value *tn_gradient_write(tn_gradient *g, const char *text, const tn_named *more, int count)
{
    static const char *const letters[] = {"a", "b", "c", "d"};
    const tn_node *node = g->node;
    tn_named named[NAMES_MAX];
    int used = 0;
    for (int i = 0; i < count && used < NAMES_MAX / 2; i++) named[used++] = more[i];
    named[used++] = (tn_named){.name = "x", .value = node->in[0]};
    named[used++] = (tn_named){.name = "y", .value = node->out[0]};
    named[used++] = (tn_named){.name = "dy", .value = g->dy[0]};
    for (int i = 0; i < node->in_count && i < (int)TN_COUNT(letters); i++)
        named[used++] = (tn_named){.name = letters[i], .value = node->in[i]};
    for (int i = 0; i < node->op->field_count && used < NAMES_MAX; i++) {
        const tn_field *field = &node->op->field[i];
        if (field->kind == TN_FIELD_FLOAT || field->kind == TN_FIELD_INT)
            named[used++] = (tn_named){field->name, NULL, field_number(field, node->params)};
    }
    return tn_draft_formula(g->draft, g->name, text, node->in[0]->type.dtype, named, used);
}

bool tn_gradient_same_shape(const tn_value *a, const tn_value *b)
{
    if (a->type.rank < 0 || a->type.rank != b->type.rank) return false;
    for (int i = 0; i < a->type.rank; i++)
        if (a->type.dim[i] == TN_EXPR_NONE || a->type.dim[i] != b->type.dim[i]) return false;
    return true;
}

static void add(tn_gradient *g, int input, tn_value *value)
{
    tn_value **to = &g->dx[input];
    *to = *to ? tn_gradient_op(g, "Add", TN_IN(*to, value), TN_PLAIN) : value;
}

void tn_gradient_give(tn_gradient *g, int input, tn_value *value)
{
    if (g->draft->failed || !value || !tn_gradient_wants(g, input)) return;
    tn_value *x = g->node->in[input];
    if (!tn_gradient_same_shape(value, x))
        value = tn_gradient_op(g, "SumTo", TN_IN(value, x), TN_PLAIN);
    add(g, input, value);
}

void tn_gradient_give_spread(tn_gradient *g, int input, tn_value *value)
{
    if (g->draft->failed || !value || !tn_gradient_wants(g, input)) return;
    tn_value *x = g->node->in[input];
    if (!tn_gradient_same_shape(value, x))
        value = tn_gradient_op(g, "Expand", TN_IN(value, tn_draft_shape(g->draft, x)), TN_PLAIN);
    add(g, input, value);
}

void tn_gradient_give_derivatives(tn_gradient *g)
{
    const char *at = g->node->op->derivative;
    for (int i = 0; i < g->node->in_count && *at; i++) {
        char text[TEXT_MAX];
        size_t length = strcspn(at, ";");
        while (*at == ' ') at++, length--;
        snprintf(text, sizeof(text), "%.*s", (int)length, at);
        if (tn_gradient_wants(g, i) && strcmp(text, "0"))
            tn_gradient_give(g, i, tn_gradient_write(g, text, NULL, 0));
        at += length;
        if (*at == ';') at++;
    }
}

tn_value *tn_gradient_reshape_like(tn_gradient *g, tn_value *value, tn_value *like)
{
    if (g->draft->failed || tn_gradient_same_shape(value, like)) return value;
    return tn_gradient_op(g, "Reshape", TN_IN(value, tn_draft_shape(g->draft, like)),
                          TN_WITH(tn_attr_int("allowzero", 1)));
}

void tn_gradient_reshape(tn_gradient *g)
{
    if (!tn_gradient_wants(g, 0) || !g->dy[0]) return;
    g->dx[0] = tn_gradient_reshape_like(g, g->dy[0], g->node->in[0]);
}

tn_value *tn_gradient_transpose_last(tn_gradient *g, tn_value *value)
{
    int64_t perm[TN_RANK_MAX];
    if (g->draft->failed) return NULL;
    int rank = value->type.rank;
    if (rank < 2) {
        tn_gradient_refuse(g, "a matrix of unknown rank cannot be transposed");
        return NULL;
    }
    for (int i = 0; i < rank; i++) perm[i] = i;
    perm[rank - 2] = rank - 1;
    perm[rank - 1] = rank - 2;
    return tn_gradient_op(g, "Transpose", TN_IN(value), TN_WITH(tn_attr_ints("perm", perm, rank)));
}

tn_value *tn_gradient_zeros(tn_gradient *g, tn_value *like)
{
    if (g->draft->failed) return NULL;
    tn_value *zero = tn_draft_scalar(g->draft, like->type.dtype, 0);
    return tn_gradient_op(g, "Expand", TN_IN(zero, tn_draft_shape(g->draft, like)), TN_PLAIN);
}

tn_value *tn_gradient_dy(tn_gradient *g, int output)
{
    return g->dy[output] ? g->dy[output] : tn_gradient_zeros(g, g->node->out[output]);
}

void tn_gradient_refuse(tn_gradient *g, const char *why)
{
    if (!g->draft->failed)
        tn_draft_try(g->draft, TN_ERROR(TN_UNSUPPORTED, "cannot be differentiated: %s", why));
}
