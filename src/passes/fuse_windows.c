/* Attention within windows of an image: what cuts the image into windows, turned and moved round
 * its edges, and what puts it together again, becomes addressing of tenon.WindowAttention.
 *
 * No spelling is looked for. Values are followed from a PackedAttention in both directions, through
 * moves of whole tokens and Linears, which work on each token alone, with the place in its image of
 * every token. Where these places are those of windows, on both sides the same, and the mask is
 * the one that follows from them, all of it is one node between the Linears. */
#include <math.h>
#include <string.h>

#include "ir/draft.h"
#include "ops/window_attention/window_attention.h"
#include "passes/epilogue.h"

enum { STEPS_MAX = 24, TOKENS_MAX = 1 << 16, RESIDUAL = 3 };

/* ---- Steps ------------------------------------------------------------------------------------*/

typedef enum kind { REGROUP, TURN, ROLL, LINEAR } kind;

/* What leads from one value to another: `from` is nearer to the input of the graph. */
typedef struct step {
    kind kind;
    tn_value *from, *to;
    tn_node *linear;
    int64_t perm[TN_RANK_MAX], axis, by; /* by: row i of `to` is row i + by of `from` */
} step;

static bool is_op(const tn_node *node, const char *name)
{
    return node && !strcmp(node->op->name, name);
}

static bool same_last(const tn_value *a, const tn_value *b)
{
    return a->type.rank > 1 && b->type.rank > 1 &&
           a->type.dim[a->type.rank - 1] == b->type.dim[b->type.rank - 1];
}

static bool is_regroup(const tn_node *node)
{
    static const char *const names[] = {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"};
    for (size_t i = 0; i < TN_COUNT(names); i++)
        if (is_op(node, names[i])) return same_last(node->in[0], node->out[0]);
    return false;
}

static bool is_linear(const tn_node *node)
{
    if (!is_op(node, "Linear") || node->in[0]->type.rank < 2) return false;
    for (int i = 1; i < node->in_count; i++)
        if (node->in[i] && (i >= RESIDUAL || !tn_value_is_constant(node->in[i]))) return false;
    return true;
}

/* Tokens turn as a whole, and images keep their order. */
static bool read_turn(const tn_node *node, step *out)
{
    const tn_attr *attr = tn_node_find_attr(node, "perm");
    int rank = node->in[0]->type.rank;
    if (!is_op(node, "Transpose") || !attr || attr->kind != TN_ATTR_INTS || attr->count != rank)
        return false;
    for (int i = 0; i < rank; i++) out->perm[i] = attr->ints[i];
    return out->perm[0] == 0 && out->perm[rank - 1] == rank - 1;
}

static bool read_ints(const tn_node *node, int index, int64_t *out)
{
    if (index >= node->in_count || !node->in[index]) return false;
    const tn_value *value = node->in[index];
    if (!tn_value_is_constant(value) || tn_tensor_count(&value->constant) != 1) return false;
    *out = tn_load_i64(value->constant.dtype, value->constant.data, 0);
    return true;
}

/* Rows [begin, end) of one axis. */
static bool read_slice(const tn_node *node, int64_t *axis, int64_t *begin, int64_t *end)
{
    int64_t by = 1, size;
    if (!is_op(node, "Slice") || !read_ints(node, 1, begin) || !read_ints(node, 2, end) ||
        !read_ints(node, 3, axis) ||
        (node->in_count > 4 && node->in[4] && !read_ints(node, 4, &by)) || by != 1)
        return false;
    const tn_type *t = &node->in[0]->type;
    *axis += *axis < 0 ? t->rank : 0;
    if (*axis < 0 || *axis >= t->rank ||
        !tn_expr_is_const(node->graph->exprs, t->dim[*axis], &size))
        return false;
    if (*begin < 0) *begin = TN_MAX(*begin + size, 0);
    if (*end < 0) *end += size;
    *end = TN_MIN(*end, size);
    return *begin < *end;
}

/* A Concat of all rows from `by` on and then of those before. */
static bool read_roll(const tn_node *node, step *out)
{
    int64_t axis, begin, middle, end, size;
    if (!is_op(node, "Concat") || node->in_count != 2) return false;
    const tn_node *tail = node->in[0]->producer, *head = node->in[1]->producer;
    if (node->in[0]->kind != TN_VALUE_NODE || node->in[1]->kind != TN_VALUE_NODE ||
        !read_slice(tail, &out->axis, &out->by, &end) ||
        !read_slice(head, &axis, &begin, &middle) || tail->in[0] != head->in[0])
        return false;
    const tn_value *x = tail->in[0];
    int64_t joined = tn_node_int_attr(node, "axis", 0);
    joined += joined < 0 ? x->type.rank : 0;
    return axis == out->axis && axis == joined && axis > 0 && axis < x->type.rank - 1 &&
           tn_expr_is_const(node->graph->exprs, x->type.dim[axis], &size) && begin == 0 &&
           middle == out->by && end == size;
}

static bool read_step(tn_node *node, step *out)
{
    *out = (step){.from = node->in_count ? node->in[0] : NULL, .to = node->out[0]};
    if (!out->from || !out->to || out->from->type.rank < 2) return false;
    if (is_regroup(node)) out->kind = REGROUP;
    else if (read_turn(node, out)) out->kind = TURN;
    else if (is_linear(node)) {
        out->kind = LINEAR;
        out->linear = node;
    } else if (read_roll(node, out)) {
        out->kind = ROLL;
        out->from = out->from->producer->in[0];
    } else return false;
    return true;
}

static bool step_back(const tn_value *at, step *out)
{
    return at->kind == TN_VALUE_NODE && read_step(at->producer, out) && out->to == at;
}

/* All readers are one step: a node, or the two halves of a roll. */
static bool step_forward(const tn_value *at, step *out)
{
    if (at->output_count || at->use_count < 1 || at->use_count > 2) return false;
    tn_node *node = at->use[0].node;
    if (at->use_count == 1) return at->use[0].index == 0 && read_step(node, out);
    for (int i = 0; i < 2; i++) {
        const tn_value *half = at->use[i].node->out[0];
        if (!is_op(at->use[i].node, "Slice") || half->use_count != 1 || half->output_count ||
            half->use[0].node != at->use[0].node->out[0]->use[0].node)
            return false;
    }
    return read_step(node->out[0]->use[0].node, out) && out->kind == ROLL && out->from == at;
}

/* ---- Places -----------------------------------------------------------------------------------*/

/* Every image has `tokens` of them; at[t]: the place of token t of the windows' order. */
typedef struct places {
    tn_expr batch;
    int64_t tokens, *at;
} places;

/* Sizes of the axes of an image's tokens in a value whose first axis counts images, or parts of
 * them. */
static bool read_sizes(const places *p, const tn_value *value, int64_t *size)
{
    tn_exprs *exprs = value->graph->exprs;
    int axes = value->type.rank - 1;
    int64_t others = 1;
    for (int i = 1; i < axes; i++) {
        if (!tn_expr_is_const(exprs, value->type.dim[i], &size[i]) || size[i] <= 0 ||
            size[i] > p->tokens)
            return false;
        others *= size[i];
        if (others > p->tokens) return false;
    }
    size[0] = p->tokens / others;
    return size[0] * others == p->tokens &&
           value->type.dim[0] == tn_expr_mul(exprs, p->batch, tn_expr_const(exprs, size[0]));
}

/* One place over a turn or a roll, back or forward. */
static int64_t move(const step *s, const int64_t *from, const int64_t *to, int axes, bool back,
                    int64_t place)
{
    int64_t at[TN_RANK_MAX], out[TN_RANK_MAX], result = 0;
    const int64_t *have = back ? to : from, *want = back ? from : to;
    for (int i = axes - 1; i >= 0; i--) {
        at[i] = place % have[i];
        place /= have[i];
    }
    for (int i = 0; i < axes; i++) {
        if (s->kind == ROLL) {
            int64_t by = i == s->axis ? (back ? s->by : have[i] - s->by) : 0;
            out[i] = (at[i] + by) % have[i];
        } else if (back) out[s->perm[i]] = at[i];
        else out[i] = at[s->perm[i]];
    }
    for (int i = 0; i < axes; i++) result = result * want[i] + out[i];
    return result;
}

static bool follow(places *p, const step *s, bool back)
{
    int64_t from[TN_RANK_MAX], to[TN_RANK_MAX];
    if (!read_sizes(p, s->from, from) || !read_sizes(p, s->to, to)) return false;
    if (s->kind == REGROUP || s->kind == LINEAR) return true;
    for (int64_t t = 0; t < p->tokens; t++)
        p->at[t] = move(s, from, to, s->from->type.rank - 1, back, p->at[t]);
    return true;
}

/* ---- Windows ----------------------------------------------------------------------------------*/

typedef struct found {
    tn_node *attention;
    step before[STEPS_MAX], behind[STEPS_MAX]; /* from the attention on */
    int before_count, behind_count;
    tn_value *image, *result;
    tn_window_attention_shape shape;
} found;

static bool are_windows(const places *p, const tn_window_attention_shape *s)
{
    for (int64_t t = 0; t < p->tokens; t++)
        if (p->at[t] != tn_window_token(s, t / s->rows, t % s->rows)) return false;
    return true;
}

/* Windows of s->rows tokens, of whatever sides, that the places are those of. */
static bool find_windows(const places *p, tn_window_attention_shape *s)
{
    s->shift[0] = p->at[0] / s->size[1];
    s->shift[1] = p->at[0] % s->size[1];
    for (int64_t side = 1; side <= s->rows; side++) {
        s->window[0] = s->rows / side;
        s->window[1] = side;
        if (s->rows % side || s->size[0] % s->window[0] || s->size[1] % side ||
            s->shift[0] >= s->window[0] || s->shift[1] >= side)
            continue;
        for (int i = 0; i < 2; i++) s->count[i] = s->size[i] / s->window[i];
        s->windows = s->count[0] * s->count[1];
        if (are_windows(p, s)) return true;
    }
    return false;
}

/* The mask in full, [batch * windows, heads, rows, rows] from the right, is one number where tokens
 * come from different regions and 0 elsewhere? */
static bool read_mask(const tn_value *value, tn_window_attention_shape *s)
{
    const tn_tensor *t = &value->constant;
    int64_t stride[4] = {0}, next = 1, size[4] = {1, 1, 1, 1};
    if (!tn_value_is_constant(value) || t->rank > 4) return false;
    for (int i = t->rank - 1, to = 3; i >= 0; i--, to--) {
        size[to] = t->dim[i];
        stride[to] = size[to] == 1 ? 0 : next;
        next *= size[to];
    }
    if (next <= 0 || s->windows % size[0]) return false;
    for (int64_t w = 0; w < s->windows; w++)
        for (int64_t h = 0; h < size[1]; h++)
            for (int64_t i = 0; i < s->rows; i++)
                for (int64_t j = 0; j < s->rows; j++) {
                    double x = tn_load_f64(t->dtype, t->data,
                                           w % size[0] * stride[0] + h * stride[1] + i * stride[2] +
                                               j * stride[3]);
                    bool apart = tn_window_region(s, w, i) != tn_window_region(s, w, j);
                    if (apart && s->mask == 0) s->mask = x;
                    if (apart ? x != s->mask : x != 0) return false;
                }
    return isfinite(s->mask);
}

static bool is_image(const tn_value *value, tn_window_attention_shape *s)
{
    const tn_exprs *exprs = value->graph->exprs;
    const tn_type *t = &value->type;
    return t->rank == 4 && tn_expr_is_const(exprs, t->dim[1], &s->size[0]) &&
           tn_expr_is_const(exprs, t->dim[2], &s->size[1]) && s->size[0] > 0 && s->size[1] > 0 &&
           s->size[0] <= TOKENS_MAX && s->size[1] <= TOKENS_MAX / s->size[0];
}

/* The furthest value behind the attention where tokens lie as in the image, if somebody reads it:
 * what was replaced stays until the end of the sweep. */
static bool find_result(found *f, const places *image, places *p)
{
    for (int64_t t = 0; t < p->tokens; t++) p->at[t] = t;
    int furthest = 0;
    for (int i = 0; i < f->behind_count && follow(p, &f->behind[i], false); i++) {
        const tn_type *t = &f->behind[i].to->type;
        bool same = t->rank == 4 && t->dim[0] == p->batch &&
                    memcmp(p->at, image->at, (size_t)p->tokens * sizeof *p->at) == 0;
        for (int k = 1; same && k < 3; k++)
            same = tn_expr_equals(f->attention->graph->exprs, t->dim[k], f->shape.size[k - 1]);
        if (same) furthest = i + 1;
    }
    f->behind_count = furthest;
    f->result = furthest ? f->behind[furthest - 1].to : NULL;
    return f->result && tn_value_has_users(f->result);
}

/* Is the value before step `steps` the image? */
static bool try_image(found *f, int steps, tn_arena *arena)
{
    tn_value *image = f->before[steps - 1].from;
    tn_window_attention_shape *s = &f->shape;
    const tn_type *qkv = &f->attention->in[0]->type;
    const tn_value *mask = f->attention->in_count > 1 ? f->attention->in[1] : NULL;
    *s = (tn_window_attention_shape){0};
    if (!is_image(image, s) || !tn_expr_is_const(image->graph->exprs, qkv->dim[1], &s->rows) ||
        s->rows <= 0)
        return false;
    places p[2];
    for (int i = 0; i < 2; i++) {
        p[i] = (places){.batch = image->type.dim[0], .tokens = s->size[0] * s->size[1]};
        p[i].at = tn_arena_alloc(arena, (size_t)p[i].tokens * sizeof *p[i].at);
        if (!p[i].at) return false;
        for (int64_t t = 0; t < p[i].tokens; t++) p[i].at[t] = t;
    }
    for (int i = 0; i < steps; i++)
        if (!follow(&p[0], &f->before[i], true)) return false;
    if (!find_windows(&p[0], s) || (mask && !read_mask(mask, s)) || !find_result(f, &p[0], &p[1]))
        return false;
    f->before_count = steps;
    f->image = image;
    return true;
}

static bool find(tn_node *attention, tn_arena *arena, found *f)
{
    *f = (found){.attention = attention};
    tn_value *at = attention->in[0];
    while (f->before_count < STEPS_MAX && step_back(at, &f->before[f->before_count]))
        at = f->before[f->before_count++].from;
    at = attention->out[0];
    while (f->behind_count < STEPS_MAX && step_forward(at, &f->behind[f->behind_count]))
        at = f->behind[f->behind_count++].to;
    const int behind = f->behind_count;
    for (int steps = f->before_count; steps > 0; steps--) {
        f->behind_count = behind;
        if (try_image(f, steps, arena)) return true;
    }
    return false;
}

/* ---- Replacement ------------------------------------------------------------------------------*/

/* The same Linear of another operand. */
static tn_status copy_linear(tn_draft *d, const tn_node *linear, tn_value **x)
{
    tn_value *in[RESIDUAL] = {*x};
    tn_node *node;
    tn_epilogue epilogue = tn_epilogue_of_node(linear);
    for (int i = 1; i < linear->in_count && i < RESIDUAL; i++) in[i] = linear->in[i];
    TN_TRY(tn_graph_add_node(d->graph, linear->op, linear->name, in, RESIDUAL, NULL, 1, d->before,
                             &node));
    tn_node_trim_inputs(node);
    TN_TRY(tn_epilogue_set(node, &epilogue));
    TN_TRY(tn_node_lower(node));
    TN_TRY(tn_node_infer(node));
    *x = node->out[0];
    return NULL;
}

static tn_status fuse(const found *f)
{
    const tn_node *old = f->attention;
    const tn_window_attention_shape *s = &f->shape;
    tn_draft d = {.graph = old->graph, .before = f->attention};
    tn_value *x = f->image;
    for (int i = f->before_count - 1; i >= 0; i--)
        if (f->before[i].kind == LINEAR) TN_TRY(copy_linear(&d, f->before[i].linear, &x));
    tn_value *in[2] = {x, old->in_count > 2 ? old->in[2] : NULL};
    const tn_attr attr[] = {tn_attr_int("heads", tn_node_int_attr(old, "heads", 1)),
                            tn_attr_float("scale", tn_node_float_attr(old, "scale", 0)),
                            tn_attr_ints("window", s->window, 2),
                            tn_attr_ints("shift", s->shift, 2), tn_attr_float("mask", s->mask)};
    x = tn_draft_op(&d, "WindowAttention", old->name, in, in[1] ? 2 : 1, attr,
                    s->mask != 0                 ? 5
                    : s->shift[0] || s->shift[1] ? 4
                                                 : 3);
    TN_TRY(tn_draft_end(&d));
    for (int i = 0; i < f->behind_count; i++)
        if (f->behind[i].kind == LINEAR) TN_TRY(copy_linear(&d, f->behind[i].linear, &x));
    return tn_value_replace(f->result, x);
}

static tn_status run(tn_graph *graph, int64_t *changed)
{
    tn_arena arena;
    found f;
    tn_status status = NULL;
    tn_arena_init(&arena);
    for (tn_node *node = graph->first; node && !status; node = node->next) {
        if (!is_op(node, "PackedAttention")) continue;
        if (find(node, &arena, &f)) {
            status = fuse(&f);
            ++*changed;
        }
        tn_arena_rewind(&arena);
    }
    tn_arena_fini(&arena);
    return status;
}

const tn_pass tn_pass_fuse_windows = {
    .name = "fuse_windows",
    .about = "attention within the windows of an image, without cutting the image up",
    .run = run,
    .only_engines = true,
};
