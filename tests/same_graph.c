/* Two graphs are walked side by side. Values that nodes make are paired as they are met; a value
 * that a graph inside takes from around it is the value around it, and a constant is its contents.
 */
#include "same_graph.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ir/op.h"
#include "ir/subgraph.h"

#define DEPTH_MAX (TN_GRAPH_DEPTH_MAX + 1)

/* A graph that is walked, and the node it is in. */
typedef struct level {
    const tn_graph *graph[2];
    const tn_node *node[2];
} level;

typedef struct walk {
    tn_arena arena;
    tn_map pairs;   /* address of a value of a -> value of b */
    tn_map aliases; /* address of what an Identity of b gives -> what it reads */
    level at[DEPTH_MAX];
    int depth;
    char *why;
    size_t why_bytes;
} walk;

TN_PRINTF(2, 3) static bool differ(walk *w, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(w->why, w->why_bytes, format, list);
    va_end(list);
    return false;
}

/* ---- Values ----------------------------------------------------------------------------------*/

static const char *key_of(const tn_value *value)
{
    static char key[32];
    snprintf(key, sizeof key, "%p", (const void *)value);
    return key;
}

static bool pair(walk *w, const tn_value *a, const tn_value *b)
{
    return !tn_map_put(&w->pairs, key_of(a), (void *)(uintptr_t)b);
}

/* The value around the graphs inside that a captured input stands for; behind an Identity that was
 * put before an output, since in a file nodes alone give outputs, the value that it reads. */
static const tn_value *source_of(const walk *w, int side, const tn_value *value)
{
    const tn_value *before = side ? tn_map_find(&w->aliases, key_of(value)) : NULL;
    if (before) value = before;
    for (int i = w->depth; i > 0 && value && value->kind == TN_VALUE_INPUT; i--) {
        const level *at = &w->at[i];
        const tn_node *node = at->node[side];
        int64_t index = 0;
        if (value->graph != at->graph[side]) continue;
        while (at->graph[side]->input[index] != value) index++;
        if (index < tn_node_inside_given(node)) return value;
        value = node->in[index + tn_node_inside_shift(node)];
    }
    return value;
}

static bool same_data(const tn_tensor *a, const tn_tensor *b)
{
    int64_t bytes = tn_tensor_bytes(a);
    if (a->dtype != b->dtype || !tn_tensor_same_shape(a, b)) return false;
    if (a->dtype != TN_DTYPE_STRING) return bytes <= 0 || !memcmp(a->data, b->data, (size_t)bytes);
    const tn_string *x = a->data, *y = b->data;
    for (int64_t i = 0; i < tn_tensor_count(a); i++)
        if (x[i].bytes != y[i].bytes || (x[i].bytes && memcmp(x[i].text, y[i].text, x[i].bytes)))
            return false;
    return true;
}

static bool same_value(walk *w, const tn_value *a, const tn_value *b)
{
    a = source_of(w, 0, a);
    b = source_of(w, 1, b);
    if (!a || !b) return a == b;
    if (a->kind != b->kind) return false;
    if (a->kind == TN_VALUE_CONSTANT) return same_data(&a->constant, &b->constant);
    return tn_map_find(&w->pairs, key_of(a)) == b;
}

/* Names of dims count in the root, but those of sizes that a run finds out are made up. */
static bool same_type(walk *w, const tn_value *a, const tn_value *b)
{
    const tn_exprs *x = a->graph->exprs, *y = b->graph->exprs;
    const tn_type *s = &a->type, *t = &b->type;
    char one[200], other[200];
    bool same = s->kind == t->kind && s->dtype == t->dtype && s->rank == t->rank;
    for (int i = 0; same && i < s->rank; i++) {
        int64_t m = -1, n = -1;
        bool fixed = tn_expr_is_const(x, s->dim[i], &m);
        same = fixed == tn_expr_is_const(y, t->dim[i], &n) && m == n;
        if (fixed || w->depth || tn_expr_is_runtime(x, s->dim[i])) continue;
        tn_type left = tn_type_of(TN_DTYPE_F32, 1, &s->dim[i]),
                right = tn_type_of(TN_DTYPE_F32, 1, &t->dim[i]);
        same = same && !strcmp(tn_type_text(x, &left, one, sizeof one),
                               tn_type_text(y, &right, other, sizeof other));
    }
    if (same) return true;
    tn_type_text(x, s, one, sizeof one);
    tn_type_text(y, t, other, sizeof other);
    return differ(w, "'%.100s' is %s, then '%.100s' is %s", a->name, one, b->name, other);
}

static bool meet(walk *w, const tn_value *a, const tn_value *b)
{
    if (!a || !b) return a == b || differ(w, "an output is asked for once and once it is not");
    return same_type(w, a, b) && pair(w, a, b);
}

/* ---- Nodes -----------------------------------------------------------------------------------*/

/* Nodes of one name get a number behind it when they are written. */
static bool same_name(const char *a, const char *b)
{
    size_t bytes = strlen(a);
    if (strncmp(a, b, bytes) != 0) return false;
    if (!b[bytes]) return true;
    for (b += bytes + 1; isdigit((unsigned char)*b); b++) {
    }
    return !*b;
}

static bool is_field(const tn_op *op, const char *name)
{
    for (int i = 0; i < op->field_count; i++)
        if (!strcmp(op->field[i].name, name)) return true;
    return false;
}

static bool same_attr(const tn_attr *a, const tn_attr *b)
{
    if (a->kind != b->kind || a->count != b->count) return false;
    switch (a->kind) {
    case TN_ATTR_INT: return a->i == b->i;
    case TN_ATTR_FLOAT: return !memcmp(&a->f, &b->f, sizeof a->f);
    case TN_ATTR_TEXT:
        return a->text.bytes == b->text.bytes && !memcmp(a->text.text, b->text.text, a->text.bytes);
    case TN_ATTR_TENSOR: return same_data(&a->tensor, &b->tensor);
    case TN_ATTR_INTS: return !a->count || !memcmp(a->ints, b->ints, (size_t)a->count * 8);
    case TN_ATTR_FLOATS: return !a->count || !memcmp(a->floats, b->floats, (size_t)a->count * 4);
    case TN_ATTR_TEXTS:
        for (int64_t i = 0; i < a->count; i++)
            if (a->texts[i].bytes != b->texts[i].bytes ||
                memcmp(a->texts[i].text, b->texts[i].text, a->texts[i].bytes))
                return false;
        return true;
    default: return true; /* graphs have a walk of their own */
    }
}

/* Fields are in the parameters; what is left are attributes that the operator reads itself. */
static bool same_attrs(walk *w, const tn_node *a, const tn_node *b)
{
    if (a->params_bytes != b->params_bytes ||
        (a->params_bytes && memcmp(a->params, b->params, a->params_bytes) != 0))
        return differ(w, "%s '%s' has other parameters", a->op->name, a->name);
    for (int i = 0; i < a->attr_count; i++) {
        const tn_attr *attr = &a->attr[i], *other = tn_node_find_attr(b, attr->name);
        if (is_field(a->op, attr->name)) continue;
        if (!other || !same_attr(attr, other))
            return differ(w, "%s '%s' has another attribute '%s'", a->op->name, a->name,
                          attr->name);
    }
    return true;
}

static bool same_graphs(walk *w);

/* Recursion: as deep as graphs are nested. */
static bool same_inside(walk *w, const tn_node *a, const tn_node *b)
{
    for (int i = 0;; i++) {
        const tn_graph *x = tn_node_inside(a, i), *y = tn_node_inside(b, i);
        if (!x || !y) return x == y || differ(w, "'%s' has lost a graph", a->name);
        w->at[++w->depth] = (level){{x, y}, {a, b}};
        if (!same_graphs(w)) return false;
        w->depth--;
    }
}

static bool same_node(walk *w, const tn_node *a, const tn_node *b)
{
    int inputs = TN_MAX(a->in_count, b->in_count);
    if (a->op != b->op || !same_name(a->name, b->name))
        return differ(w, "%s '%.100s' is %s '%.100s' then", a->op->name, a->name, b->op->name,
                      b->name);
    if (tn_node_has_inside(a)) {
        inputs = tn_node_inside_given(a) + tn_node_inside_shift(a);
        if (inputs != tn_node_inside_given(b) + tn_node_inside_shift(b))
            return differ(w, "%s '%s' gives its graphs another number of inputs", a->op->name,
                          a->name);
    }
    for (int i = 0; i < inputs; i++) {
        const tn_value *x = i < a->in_count ? a->in[i] : NULL;
        const tn_value *y = i < b->in_count ? b->in[i] : NULL;
        if (!same_value(w, x, y))
            return differ(w, "%s '%.100s' reads '%.100s' as input %d, then '%.100s'", a->op->name,
                          a->name, x ? x->name : "", i, y ? y->name : "");
    }
    if (!same_attrs(w, a, b) || !same_inside(w, a, b)) return false;
    for (int i = 0; i < TN_MAX(a->out_count, b->out_count); i++)
        if (!meet(w, i < a->out_count ? a->out[i] : NULL, i < b->out_count ? b->out[i] : NULL))
            return false;
    return true;
}

static bool same_graphs(walk *w)
{
    const level *at = &w->at[w->depth];
    const tn_graph *a = at->graph[0], *b = at->graph[1];
    int64_t given = w->depth ? tn_node_inside_given(at->node[0]) : a->input_count;
    if (!w->depth && a->input_count != b->input_count) return differ(w, "other inputs");
    for (int64_t i = 0; i < given; i++) {
        if (!w->depth && strcmp(a->input[i]->name, b->input[i]->name) != 0)
            return differ(w, "input '%s' is '%s' then", a->input[i]->name, b->input[i]->name);
        if (!meet(w, a->input[i], b->input[i])) return false;
    }
    const tn_node *x = a->first, *y = b->first;
    for (; y; y = y->next) {
        if (x && x->op == y->op) {
            if (!same_node(w, x, y)) return false;
            x = x->next;
        } else if (strcmp(y->op->name, "Identity") != 0 ||
                   tn_map_put(&w->aliases, key_of(y->out[0]), y->in[0])) {
            break;
        }
    }
    if (x || y)
        return differ(w, "there are %lld nodes, then %lld", (long long)a->node_count,
                      (long long)b->node_count);
    if (a->output_count != b->output_count) return differ(w, "other outputs");
    for (int64_t i = 0; i < a->output_count; i++) {
        if (!w->depth && strcmp(a->output[i].name, b->output[i].name) != 0)
            return differ(w, "output '%s' is '%s' then", a->output[i].name, b->output[i].name);
        if (!same_value(w, a->output[i].value, b->output[i].value))
            return differ(w, "output '%s' is another value", a->output[i].name);
    }
    return true;
}

bool same_graph(const tn_graph *a, const tn_graph *b, char *why, size_t why_bytes)
{
    walk w = {.why = why, .why_bytes = why_bytes};
    tn_arena_init(&w.arena);
    tn_map_init(&w.pairs, &w.arena);
    tn_map_init(&w.aliases, &w.arena);
    w.at[0] = (level){{a, b}, {NULL, NULL}};
    if (why_bytes) why[0] = 0;
    bool same = same_graphs(&w);
    tn_arena_fini(&w.arena);
    return same;
}
