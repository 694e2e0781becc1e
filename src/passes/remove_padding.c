/* All that lies between the embeddings of a padded batch and the first token of each row.
 *
 *     place, start, first = RealTokens(mask)
 *     x [B, S, C]                     ->  Gather(Reshape(x, [-1, C]), place): [N, C]
 *     nodes that work row by row      ->  the same on [N, C]
 *     PackedAttention(qkv, mask)      ->  RaggedAttention(qkv, start, the mask's values there)
 *     Gather{axis=1}(y, 0)            ->  Gather{axis=0}(y, first)
 *
 * The region begins at the products that make q, k and v and spreads to whatever works row by row
 * on what it gives. If any other node reads from it, padded rows could be seen, and nothing is
 * done. */
#include "passes/remove_padding.h"

#include <string.h>

#include "passes/by_row.h"

typedef struct region {
    tn_graph *graph;
    tn_value *mask;
    bool *inside;      /* by node id: before anything is made */
    tn_value **packed; /* by value id: without padding */
    uint32_t ids;
    tn_value *place, *start, *first, *scores; /* scores: the mask's values */
} region;

/* ---- What belongs to it ----------------------------------------------------------------------*/

/* Attention under a mask that has one number for each key of each row of the batch. */
static bool is_attention(const tn_node *node)
{
    if (strcmp(node->op->name, "PackedAttention") || node->in_count != 2 || !node->in[1])
        return false;
    const tn_type *x = &node->in[0]->type, *mask = &node->in[1]->type;
    const tn_exprs *exprs = node->graph->exprs;
    return x->rank == 3 && mask->rank == 4 && mask->dim[0] == x->dim[0] &&
           tn_expr_equals(exprs, mask->dim[1], 1) && tn_expr_equals(exprs, mask->dim[2], 1) &&
           mask->dim[3] == x->dim[1] && !tn_expr_equals(exprs, x->dim[1], 1) &&
           !tn_value_is_constant(node->in[1]);
}

static bool has_tokens(const region *r, const tn_value *value)
{
    const tn_type *t = &value->type, *mask = &r->mask->type;
    int64_t width;
    return t->rank == 3 && t->dim[0] == mask->dim[0] && t->dim[1] == mask->dim[3] &&
           tn_expr_is_const(r->graph->exprs, t->dim[2], &width);
}

static bool is_inside(const region *r, const tn_value *value)
{
    return value->producer && value->producer->id < r->ids && r->inside[value->producer->id];
}

static bool takes_tokens(const region *r, const tn_node *node)
{
    bool rows[TN_BY_ROW_INPUTS];
    if (!tn_by_row(node, rows) || !has_tokens(r, node->out[0])) return false;
    for (int i = 0; i < node->in_count; i++)
        if (rows[i] && !has_tokens(r, node->in[i])) return false;
    return true;
}

static bool is_ours(const region *r, const tn_node *node)
{
    return is_attention(node) && node->in[1] == r->mask;
}

static int64_t mark(region *r)
{
    int64_t count = 0;
    for (tn_node *node = r->graph->first; node; node = node->next) {
        if (!is_ours(r, node)) continue;
        tn_node *qkv = node->in[0]->producer;
        if (qkv && takes_tokens(r, qkv)) r->inside[qkv->id] = true;
    }
    for (tn_node *node = r->graph->first; node; node = node->next) {
        bool reads = false;
        for (int i = 0; i < node->in_count; i++) reads |= node->in[i] && is_inside(r, node->in[i]);
        if (reads && (is_ours(r, node) || takes_tokens(r, node))) r->inside[node->id] = true;
        count += r->inside[node->id];
    }
    return count;
}

static bool picks_first(const tn_node *node)
{
    const tn_value *place = node->in_count > 1 ? node->in[1] : NULL;
    return !strcmp(node->op->name, "Gather") && !node->op->domain && place &&
           tn_value_is_constant(place) && place->constant.rank == 0 &&
           tn_load_i64(place->constant.dtype, place->constant.data, 0) == 0 &&
           tn_node_int_attr(node, "axis", 0) == 1;
}

static bool is_closed(const region *r)
{
    for (const tn_node *node = r->graph->first; node; node = node->next) {
        if (!r->inside[node->id]) continue;
        const tn_value *y = node->out[0];
        if (y->output_count) return false;
        for (int64_t i = 0; i < y->use_count; i++) {
            const tn_node *user = y->use[i].node;
            if (r->inside[user->id]) continue;
            if (!picks_first(user) || y->use[i].index != 0) return false;
        }
    }
    return true;
}

/* ---- What is made ----------------------------------------------------------------------------*/

static tn_status add(region *r, const char *domain, const char *op, const char *name,
                     tn_value *const *in, int in_count, int out_count, tn_node *before,
                     tn_node **out)
{
    return tn_graph_add_node(r->graph, tn_op_find(domain, op), name, in, in_count, NULL, out_count,
                             before, out);
}

static tn_status finish(tn_node *node)
{
    TN_TRY(tn_node_lower(node));
    return tn_node_infer(node);
}

/* Rows of x [..., C] at places of all its rows; columns 0: x is one number a token. */
static tn_status gather_tokens(region *r, tn_value *x, int64_t columns, tn_node *before,
                               tn_value **out)
{
    tn_node *flat, *node;
    tn_value *shape;
    const int64_t dims[] = {-1, columns};
    TN_TRY(tn_graph_add_ints(r->graph, dims, columns ? 2 : 1, &shape));
    TN_TRY(add(r, NULL, "Reshape", "", (tn_value *[]){x, shape}, 2, 1, before, &flat));
    TN_TRY(finish(flat));
    TN_TRY(add(r, NULL, "Gather", "", (tn_value *[]){flat->out[0], r->place}, 2, 1, before, &node));
    TN_TRY(finish(node));
    *out = node->out[0];
    return NULL;
}

/* Before `before`, which is the first node of the region. */
static tn_status find_tokens(region *r, tn_node *before)
{
    tn_node *node;
    TN_TRY(add(r, "tenon", "RealTokens", "", &r->mask, 1, 3, before, &node));
    TN_TRY(finish(node));
    r->place = node->out[0];
    r->start = node->out[1];
    r->first = node->out[2];
    return gather_tokens(r, r->mask, 0, before, &r->scores);
}

static tn_status packed_of(region *r, tn_value *value, tn_node *before, tn_value **out)
{
    int64_t width;
    *out = r->packed[value->id];
    if (*out) return NULL;
    tn_expr_is_const(r->graph->exprs, value->type.dim[2], &width);
    TN_TRY(gather_tokens(r, value, width, before, out));
    r->packed[value->id] = *out;
    return NULL;
}

static tn_status pack_attention(region *r, tn_node *node, tn_node **out)
{
    tn_value *in[] = {NULL, r->start, r->scores};
    TN_TRY(packed_of(r, node->in[0], node, &in[0]));
    TN_TRY(add(r, "tenon", "RaggedAttention", node->name, in, 3, 1, node, out));
    for (int i = 0; i < node->attr_count; i++) TN_TRY(tn_node_set_attr(*out, &node->attr[i]));
    return finish(*out);
}

static tn_status pack_node(region *r, tn_node *node)
{
    bool rows[TN_BY_ROW_INPUTS];
    tn_value *in[TN_BY_ROW_INPUTS];
    tn_node *made;
    if (is_ours(r, node)) {
        TN_TRY(pack_attention(r, node, &made));
    } else {
        tn_by_row(node, rows);
        for (int i = 0; i < node->in_count; i++) {
            in[i] = node->in[i];
            if (rows[i]) TN_TRY(packed_of(r, node->in[i], node, &in[i]));
        }
        TN_TRY(tn_by_row_again(node, in, node, &made));
    }
    r->packed[node->out[0]->id] = made->out[0];
    return NULL;
}

/* Readers of first tokens. */
static tn_status leave(region *r, tn_node *node)
{
    tn_node *pick;
    tn_value *in[] = {r->packed[node->in[0]->id], r->first};
    TN_TRY(add(r, NULL, "Gather", node->name, in, 2, 1, node, &pick));
    TN_TRY(finish(pick));
    return tn_value_replace(node->out[0], pick->out[0]);
}

static tn_status rewrite(region *r)
{
    tn_node *next, *first = r->graph->first;
    while (!r->inside[first->id]) first = first->next;
    TN_TRY(find_tokens(r, first));
    for (tn_node *node = r->graph->first; node; node = next) {
        next = node->next;
        if (node->id >= r->ids) continue;
        if (r->inside[node->id]) TN_TRY(pack_node(r, node));
        else if (picks_first(node) && is_inside(r, node->in[0])) TN_TRY(leave(r, node));
    }
    return tn_pass_run(r->graph, tn_pass_find("drop_dead"), &(int64_t){0});
}

/* Does the mask stand before all that it is to pack? */
static bool comes_first(const region *r)
{
    if (!r->mask->producer) return true;
    for (const tn_node *node = r->graph->first; node != r->mask->producer; node = node->next)
        if (r->inside[node->id]) return false;
    return true;
}

tn_status tn_remove_padding(tn_graph *graph, int64_t *changed)
{
    region r = {.graph = graph, .ids = graph->next_id};
    *changed = 0;
    for (tn_node *node = graph->first; node && !r.mask; node = node->next)
        if (is_attention(node)) r.mask = node->in[1];
    if (!r.mask) return NULL;
    r.inside = TN_NEW_ARRAY(graph->arena, bool, r.ids);
    r.packed = TN_NEW_ARRAY(graph->arena, tn_value *, r.ids);
    TN_CHECK(r.inside && r.packed, TN_OUT_OF_MEMORY, "no memory to look for padding");
    memset(r.inside, 0, sizeof(*r.inside) * r.ids);
    memset(r.packed, 0, sizeof(*r.packed) * r.ids);
    int64_t count = mark(&r);
    if (!count || !is_closed(&r) || !comes_first(&r)) return NULL;
    TN_TRY(rewrite(&r));
    *changed = count;
    return NULL;
}
