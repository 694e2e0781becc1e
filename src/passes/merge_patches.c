/* Every second row and column of an image, four times with other beginnings, side by side in the
 * channels: one turn of axes.
 *
 *     Concat(x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2])
 *       ->  x as [B, H/2, 2, W/2, 2, C], turned to [B, H/2, W/2, 2, 2, C], as [B, H/2, W/2, 4 C] */
#include <string.h>

#include "ir/draft.h"
#include "passes/passes.h"

enum { PARTS = 4, SLICES_MAX = 4 };

/* What a part takes of x: from `begin` on along rows and columns, every `by`th. */
typedef struct part {
    tn_value *x;
    int64_t begin[2], by[2];
} part;

static const tn_tensor *ints_of(const tn_node *node, int index, int64_t count)
{
    const tn_value *value = index < node->in_count ? node->in[index] : NULL;
    bool fits = value && tn_value_is_constant(value) && tn_tensor_count(&value->constant) == count;
    return fits ? &value->constant : NULL;
}

/* One Slice more on the way back: of whole axes, or every second from 0 or 1 to the end. */
static bool read_slice(const tn_node *node, part *p)
{
    const tn_exprs *exprs = node->graph->exprs;
    const tn_type *t = &node->in[0]->type;
    if (node->in_count < 5 || !node->in[1] || !tn_value_is_constant(node->in[1])) return false;
    int64_t count = tn_tensor_count(&node->in[1]->constant), at[4], size;
    const tn_tensor *operand[4];
    for (int i = 0; i < 4; i++)
        if (!(operand[i] = ints_of(node, 1 + i, count))) return false;
    for (int64_t k = 0; k < count; k++) {
        for (int i = 0; i < 4; i++) at[i] = tn_load_i64(operand[i]->dtype, operand[i]->data, k);
        int64_t begin = at[0], end = at[1], axis = at[2] + (at[2] < 0 ? t->rank : 0), by = at[3];
        if (axis < 0 || axis >= t->rank || !tn_expr_is_const(exprs, t->dim[axis], &size))
            return false;
        if (begin == 0 && end >= size && by == 1) continue;
        if ((axis != 1 && axis != 2) || p->by[axis - 1] != 1 || by != 2 || begin < 0 || begin > 1 ||
            end < size || size % 2)
            return false;
        p->begin[axis - 1] = begin;
        p->by[axis - 1] = by;
    }
    p->x = node->in[0];
    return true;
}

static bool read_part(tn_value *value, part *p)
{
    *p = (part){.x = value, .by = {1, 1}};
    for (int i = 0; i < SLICES_MAX; i++) {
        if (p->x->kind != TN_VALUE_NODE || strcmp(p->x->producer->op->name, "Slice") != 0) break;
        if (!read_slice(p->x->producer, p)) return false;
    }
    return p->by[0] == 2 && p->by[1] == 2 && p->x->type.rank == 4;
}

/* rows_first: the rows' beginning changes from one part to the next. */
static bool read_parts(const tn_node *concat, tn_value **x, bool *rows_first)
{
    part p;
    int64_t axis = tn_node_int_attr(concat, "axis", 0);
    if (strcmp(concat->op->name, "Concat") != 0 || concat->in_count != PARTS ||
        (axis != -1 && axis != 3))
        return false;
    for (int i = 0; i < PARTS; i++) {
        if (!read_part(concat->in[i], &p)) return false;
        if (i == 0) *x = p.x;
        if (i == 1) *rows_first = p.begin[0] == 1;
        int64_t fast = p.begin[*rows_first ? 0 : 1], slow = p.begin[*rows_first ? 1 : 0];
        if (p.x != *x || (i == 0 ? fast + slow != 0 : fast != i % 2 || slow != i / 2)) return false;
    }
    return true;
}

static tn_status merge(tn_node *concat, tn_value *x, bool rows_first, int64_t *changed)
{
    const tn_exprs *exprs = concat->graph->exprs;
    int64_t size[3];
    for (int i = 0; i < 3; i++)
        if (!tn_expr_is_const(exprs, x->type.dim[1 + i], &size[i]) || size[i] <= 0) return NULL;
    tn_draft d = {.graph = concat->graph, .before = concat};
    const int64_t cut[] = {-1, size[0] / 2, 2, size[1] / 2, 2, size[2]};
    const int64_t perm[] = {0, 1, 3, rows_first ? 4 : 2, rows_first ? 2 : 4, 5};
    const int64_t whole[] = {-1, size[0] / 2, size[1] / 2, PARTS * size[2]};
    tn_value *y = tn_draft_reshape(&d, NULL, x, cut, 6);
    y = tn_draft_transpose(&d, concat->name, y, perm, 6);
    y = tn_draft_reshape(&d, NULL, y, whole, 4);
    TN_TRY(tn_draft_end(&d));
    ++*changed;
    return tn_value_replace(concat->out[0], y);
}

static tn_status run(tn_graph *graph, int64_t *changed)
{
    tn_value *x = NULL;
    bool rows_first = false;
    for (tn_node *node = graph->first; node; node = node->next)
        if (node->out_count == 1 && tn_value_has_users(node->out[0]) &&
            read_parts(node, &x, &rows_first))
            TN_TRY(merge(node, x, rows_first, changed));
    return NULL;
}

const tn_pass tn_pass_merge_patches = {
    .name = "merge_patches",
    .about = "every second row and column, side by side in the channels, as one turn of axes",
    .run = run,
    .only_engines = true,
};
