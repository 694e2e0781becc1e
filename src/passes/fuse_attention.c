/* Attention from its parts (attention_parts.c), in whichever spelling heads are split and merged
 * (attention_lie.c). Queries, keys and values that are thirds of one tensor become
 * tenon.PackedAttention; others the operator Attention, whose operands are [batch, rows, heads *
 * size] where heads are split and merged by moves alone, else [batch, heads, rows, size]. */
#include <math.h>
#include <string.h>

#include "ir/draft.h"
#include "passes/attention_parts.h"

enum { MOVES_MAX = 16 };

/* ---- Operands ---------------------------------------------------------------------------------*/

/* The furthest value on the way back that lies in the form. Of values no factor may be passed. */
static bool find_form(const tn_lie *from, const char *form, bool factors, tn_lie *out)
{
    tn_lie at = *from;
    bool found = false;
    for (int i = 0; i < MOVES_MAX; i++) {
        if (!factors && at.scale != 1) break;
        if (tn_lie_is(&at, form, NULL)) {
            *out = at;
            found = true;
        }
        if (!tn_lie_back(&at)) break;
    }
    return found;
}

static bool find_third(const tn_lie *from, int64_t wanted, tn_lie *out)
{
    int64_t part = -1;
    return find_form(from, "B|S|3HD", wanted < 2, out) && tn_lie_is(out, "B|S|3HD", &part) &&
           part == wanted;
}

/* Where the result goes: `value` is replaced by [batch, rows, heads * size], or `reshape`, which
 * reads the same elements in the same order, reads that. */
typedef struct merge {
    tn_value *value;
    tn_node *reshape;
} merge;

/* A 0 in the shape of a Reshape speaks of the input it had. */
static bool is_free(const tn_node *reshape)
{
    const tn_value *shape = reshape->in[1];
    const tn_exprs *exprs = shape->graph->exprs;
    if (tn_value_is_constant(shape)) {
        for (int64_t i = 0; i < tn_tensor_count(&shape->constant); i++)
            if (tn_load_i64(shape->constant.dtype, shape->constant.data, i) == 0) return false;
        return true;
    }
    for (int64_t i = 0; shape->known.at && i < shape->known.count; i++)
        if (shape->known.at[i] == TN_EXPR_NONE || tn_expr_equals(exprs, shape->known.at[i], 0))
            return false;
    return shape->known.at != NULL;
}

static bool find_merge(const tn_lie *y, merge *out)
{
    tn_lie at = *y;
    *out = (merge){0};
    for (int i = 0; i < MOVES_MAX; i++) {
        if (tn_lie_is(&at, "B|S|HD", NULL) && tn_value_has_users(at.value)) {
            *out = (merge){.value = at.value};
            return true;
        }
        tn_node *reader = tn_only_reader(at.value);
        if (!tn_lie_forward(&at)) break;
        if (!out->reshape && tn_lie_flows(&at, "BSHD") && !strcmp(reader->op->name, "Reshape") &&
            is_free(reader))
            out->reshape = reader;
    }
    return out->reshape != NULL;
}

/* ---- Masks ------------------------------------------------------------------------------------*/

/* [1, heads, rows, rows] or without the 1. */
static bool is_bias(const tn_attention_parts *p, int i)
{
    const tn_exprs *exprs = p->root->graph->exprs;
    const tn_type *t = &p->addend[i].value->type;
    if (p->addend[i].windows || (t->rank != 3 && t->rank != 4)) return false;
    return (t->rank == 3 || tn_expr_equals(exprs, t->dim[0], 1)) &&
           t->dim[t->rank - 3] == p->q.size.heads && t->dim[t->rank - 2] == p->q.size.rows &&
           t->dim[t->rank - 1] == p->k.size.rows;
}

/* Does the addend differ from one batch to another? */
static bool has_batch(const tn_attention_parts *p, int i)
{
    const tn_exprs *exprs = p->root->graph->exprs;
    const tn_type *t = &p->addend[i].value->type;
    if (t->rank == 5) return !tn_expr_equals(exprs, t->dim[1], 1);
    int rank = p->addend[i].no_heads ? 3 : 4;
    return t->rank == rank && !tn_expr_equals(exprs, t->dim[0], 1);
}

/* Windows take turns, which nothing else that differs by batch can be added to. */
static bool can_add_up(const tn_attention_parts *p, int skip, bool packed)
{
    int windows = 0, batches = 0;
    for (int i = 0; i < p->addend_count; i++) {
        if (i == skip || !has_batch(p, i)) continue;
        batches++;
        windows += p->addend[i].windows;
    }
    return windows == 0 || (packed && batches == 1);
}

/* In four axes, as far as there are any; at least one. */
static tn_value *shape_addend(tn_draft *d, const tn_attention_parts *p, int i)
{
    tn_value *value = p->addend[i].value;
    if (value->type.rank == 5) return tn_draft_squeeze(d, NULL, value, 0);
    if (value->type.rank == 0) return tn_draft_unsqueeze(d, NULL, value, 0);
    if (p->addend[i].no_heads && value->type.rank == 3 && has_batch(p, i))
        return tn_draft_unsqueeze(d, NULL, value, 1);
    return value;
}

/* The sum of all but one, or NULL. */
static tn_value *add_up(tn_draft *d, const tn_attention_parts *p, int skip)
{
    tn_value *sum = NULL;
    for (int i = 0; i < p->addend_count; i++) {
        if (i == skip) continue;
        tn_value *value = shape_addend(d, p, i);
        sum = sum ? tn_draft_op(d, "Add", NULL, TN_IN(sum, value), TN_PLAIN) : value;
    }
    return sum;
}

/* ---- Replacements -----------------------------------------------------------------------------*/

static bool find_scale(const tn_attention_parts *p, double factor, double *out)
{
    int64_t head;
    double scale = p->scale;
    if (scale == 0) {
        if (!tn_expr_is_const(p->root->graph->exprs, p->q.size.head, &head)) return false;
        scale = 1 / sqrt((double)head);
    }
    *out = scale * factor;
    return isfinite((float)*out) && (float)*out != 0;
}

static tn_status put(tn_draft *d, const merge *to, tn_value *y)
{
    TN_TRY(tn_draft_end(d));
    if (to->value) return tn_value_replace(to->value, y);
    TN_TRY(tn_node_set_input(to->reshape, 0, y));
    return tn_node_infer(to->reshape);
}

static tn_status try_packed(const tn_attention_parts *p, bool *done)
{
    tn_lie q, k, v;
    merge to;
    int64_t heads;
    double scale;
    const tn_lie_sizes *size = &p->q.size;
    if (!tn_expr_is_const(p->root->graph->exprs, size->heads, &heads) ||
        size->rows != p->k.size.rows || size->head != p->v.size.head || !find_merge(&p->y, &to) ||
        !find_third(&p->q, 0, &q) || !find_third(&p->k, 1, &k) || !find_third(&p->v, 2, &v) ||
        q.value != k.value || q.value != v.value || !find_scale(p, q.scale * k.scale, &scale))
        return NULL;
    int bias = -1;
    for (int i = 0; i < p->addend_count && bias < 0; i++)
        if (is_bias(p, i)) bias = i;
    if (!can_add_up(p, bias, true)) return NULL;
    tn_draft d = {.graph = p->root->graph, .before = p->root};
    tn_value *in[3] = {q.value, add_up(&d, p, bias), NULL};
    if (bias >= 0) in[2] = p->addend[bias].value;
    tn_value *y = tn_draft_op(&d, "PackedAttention", p->root->name, in,
                              in[2]   ? 3
                              : in[1] ? 2
                                      : 1,
                              TN_WITH(tn_attr_int("heads", heads), tn_attr_float("scale", scale)));
    TN_TRY(put(&d, &to, y));
    *done = true;
    return NULL;
}

/* The keys in a form, turned back where nothing else gives them: merge_transposes makes one
 * Transpose of two. */
static bool find_keys(const tn_attention_parts *p, const char *form, tn_lie *out, bool *turn)
{
    *turn = false;
    if (find_form(&p->k, form, true, out)) return true;
    const tn_value *k = p->k_turned;
    if (!k || k->kind != TN_VALUE_NODE || strcmp(k->producer->op->name, "Transpose") != 0)
        return false;
    *turn = true;
    *out = p->k;
    /* Four axes lie as they should then, and three of one head each. */
    return k->type.rank == 4
               ? !strcmp(form, "B|H|S|D")
               : !strcmp(form, "B|S|HD") && tn_expr_equals(k->graph->exprs, p->k.size.heads, 1);
}

static tn_value *turn_keys(tn_draft *d, tn_value *k)
{
    const int64_t perm4[] = {0, 1, 3, 2}, perm3[] = {0, 2, 1};
    int rank = k->type.rank;
    return tn_draft_transpose(d, NULL, k, rank == 4 ? perm4 : perm3, rank);
}

static tn_status try_separate(const tn_attention_parts *p, const char *form, bool *done)
{
    tn_lie q, k, v;
    merge to = {.value = p->y.value};
    bool turn, flat = !strcmp(form, "B|S|HD");
    int64_t heads = 0;
    double scale;
    if (flat && (!tn_expr_is_const(p->root->graph->exprs, p->q.size.heads, &heads) ||
                 !find_merge(&p->y, &to)))
        return NULL;
    if (!flat && !tn_lie_is(&p->y, form, NULL)) return NULL;
    if (!find_form(&p->q, form, true, &q) || !find_form(&p->v, form, false, &v) ||
        !find_keys(p, form, &k, &turn) || !can_add_up(p, -1, false) ||
        !find_scale(p, q.scale * k.scale, &scale))
        return NULL;
    tn_draft d = {.graph = p->root->graph, .before = p->root};
    tn_value *in[4] = {q.value, turn ? turn_keys(&d, k.value) : k.value, v.value,
                       add_up(&d, p, -1)};
    const tn_attr attr[] = {tn_attr_float("scale", scale), tn_attr_int("q_num_heads", heads),
                            tn_attr_int("kv_num_heads", heads)};
    tn_value *y = tn_draft_op(&d, "Attention", p->root->name, in, in[3] ? 4 : 3, attr,
                              flat ? (int)TN_COUNT(attr) : 1);
    TN_TRY(put(&d, &to, y));
    *done = true;
    return NULL;
}

static bool is_read(const tn_node *node)
{
    return node->out[0] && tn_value_has_users(node->out[0]);
}

/* The moves behind the root that nobody reads any more, and the root: it must not be found again.
 * `keep` is where the search stands. */
static void remove_moves(tn_node *const *moves, int count, const tn_node *keep)
{
    while (count-- > 0)
        if (moves[count] != keep && !is_read(moves[count])) tn_node_remove(moves[count]);
}

static tn_status fuse(const tn_attention_parts *p, const tn_node *found, int64_t *changed)
{
    bool done = false, separate = found != p->root;
    tn_node *moves[MOVES_MAX] = {p->root};
    int count = 1;
    for (tn_lie at = p->y; count < MOVES_MAX; count++) {
        moves[count] = tn_only_reader(at.value);
        if (!tn_lie_forward(&at)) break;
    }
    TN_TRY(try_packed(p, &done));
    if (separate && !done) TN_TRY(try_separate(p, "B|S|HD", &done));
    if (separate && !done) TN_TRY(try_separate(p, "B|H|S|D", &done));
    if (!done) return NULL;
    remove_moves(moves, count, found);
    ++*changed;
    return NULL;
}

static tn_status run(tn_graph *graph, int64_t *changed)
{
    tn_attention_parts parts;
    char label[160];
    for (tn_node *node = graph->first; node; node = node->next) {
        if (!node->out_count || !is_read(node)) continue;
        if (!tn_attention_from_softmax(node, &parts) && !tn_attention_from_node(node, &parts))
            continue;
        TN_TRY_NOTE(fuse(&parts, node, changed), "while fusing the attention around %s",
                    tn_node_label(node, label, sizeof label));
    }
    return NULL;
}

const tn_pass tn_pass_fuse_attention = {
    .name = "fuse_attention",
    .about = "attention from its parts, heads split and merged in any way",
    .run = run,
    .only_engines = true,
};
