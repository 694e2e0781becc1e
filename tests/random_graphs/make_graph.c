/* Making graphs: operators are tried, and inference and the operator's own reference kernel say
 * whether they fit. Each value's contents are computed on the way, at every set of sizes, so that
 * indices and shapes among the inputs make sense, numbers stay tame, and what inference promises
 * can be checked. */
#include "random_graphs.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build/stage.h"
#include "ops/reference.h"

enum { ELEMENTS_MAX = 1 << 15, TAME = 1000 };

/* ---- Chance ----------------------------------------------------------------------------------*/

uint64_t roll(dice *d)
{
    uint64_t z = d->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

int pick(dice *d, int count)
{
    return count > 0 ? (int)(roll(d) % (uint64_t)count) : 0;
}

bool chance(dice *d, int percent)
{
    return pick(d, 100) < percent;
}

double unit(dice *d)
{
    return (double)(roll(d) >> 11) / 9007199254740992.0;
}

/* ---- Values ----------------------------------------------------------------------------------*/

const item *find_item(const maker *m, const tn_value *value)
{
    for (int i = 0; i < m->item_count; i++)
        if (m->item[i].value == value) return &m->item[i];
    return NULL;
}

static void push_item(maker *m, tn_value *value, const tn_tensor *at)
{
    if (m->item_count >= ITEMS_MAX) return;
    item *it = &m->item[m->item_count++];
    *it = (item){.value = value, .missing = !at};
    if (at) memcpy(it->at, at, SETS * sizeof *at);
}

static bool ok(maker *m, tn_status status)
{
    if (tn_status_code(status) == TN_OUT_OF_MEMORY) m->out_of_memory = true;
    return !status;
}

tn_value *pick_value(maker *m, tn_dtypes types, int rank)
{
    int found[ITEMS_MAX], count = 0;
    for (int i = 0; i < m->item_count; i++) {
        const item *it = &m->item[i];
        if (it->missing || !(types >> it->at[0].dtype & 1)) continue;
        if (rank >= 0 && it->at[0].rank != rank) continue;
        found[count++] = i;
    }
    if (!count) return NULL;
    int recent = count < 6 ? count : 6;
    int k = chance(&m->dice, 65) ? count - 1 - pick(&m->dice, recent) : pick(&m->dice, count);
    return m->item[found[k]].value;
}

static void fill(maker *m, tn_tensor *t, double lo, double hi)
{
    static const char *const words[] = {"", "a", "tenon", "Tenon", "2.5", "b c"};
    tn_dtype_kind kind = tn_dtype_kind_of(t->dtype);
    bool given = lo != 0 || hi != 0;
    if (!given) {
        lo = kind == TN_KIND_F || kind == TN_KIND_C ? -1 : 0;
        hi = kind == TN_KIND_F || kind == TN_KIND_C ? 1 : 4;
    }
    for (int64_t i = 0; i < tn_tensor_count(t); i++) {
        double value = lo + (hi - lo) * unit(&m->dice);
        if (kind == TN_KIND_S) {
            const char *word = words[pick(&m->dice, (int)TN_COUNT(words))];
            ((tn_string *)t->data)[i] = (tn_string){word, strlen(word)};
        } else if (kind == TN_KIND_B) {
            tn_store_i64(t->dtype, t->data, i, (int64_t)(roll(&m->dice) & 1));
        } else if (kind == TN_KIND_F || kind == TN_KIND_C) {
            tn_store_f64(t->dtype, t->data, i, value);
        } else {
            tn_store_i64(t->dtype, t->data, i, (int64_t)floor(value));
        }
    }
}

struct chunk {
    struct chunk *next;
    _Alignas(64) uint8_t data[];
};

static void *new_chunk(maker *m, size_t bytes)
{
    void *block = NULL;
    if (posix_memalign(&block, 64, sizeof(struct chunk) + (bytes ? bytes : 1))) {
        m->out_of_memory = true;
        return NULL;
    }
    struct chunk *c = block;
    memset(c->data, 0x5B, bytes);
    c->next = m->chunk;
    m->chunk = c;
    return c->data;
}

static bool new_tensor(maker *m, tn_dtype dtype, int rank, const int64_t *dim, tn_tensor *out)
{
    *out = (tn_tensor){.dtype = dtype, .rank = rank};
    for (int i = 0; i < rank; i++) out->dim[i] = dim[i];
    tn_tensor_set_dense(out);
    int64_t bytes = tn_tensor_bytes(out);
    if (bytes < 0 || tn_tensor_count(out) > ELEMENTS_MAX) return false;
    out->data = new_chunk(m, (size_t)bytes);
    return out->data;
}

tn_value *add_constant(maker *m, const tn_tensor *t)
{
    tn_value *value;
    tn_tensor at[SETS];
    if (!ok(m, tn_graph_add_constant(m->graph, NULL, t, true, &value))) return NULL;
    if (!new_tensor(m, t->dtype, t->rank, t->dim, &at[0])) return NULL;
    if (tn_tensor_count(t)) memcpy(at[0].data, value->constant.data, (size_t)tn_tensor_bytes(t));
    for (int s = 1; s < SETS; s++) at[s] = at[0];
    push_item(m, value, at);
    return value;
}

tn_value *add_ints(maker *m, int count, const int64_t *at)
{
    int64_t dim[1] = {count}, copy[TN_KNOWN_MAX];
    if (count) memcpy(copy, at, sizeof(*at) * (size_t)count);
    tn_tensor t = tn_tensor_of(TN_DTYPE_I64, dim, 1, copy);
    return add_constant(m, &t);
}

tn_value *add_int(maker *m, int64_t value)
{
    tn_tensor t = tn_tensor_of(TN_DTYPE_I64, NULL, 0, &value);
    return add_constant(m, &t);
}

static tn_value *add_input(maker *m, tn_dtype dtype, int rank, const tn_expr *dim,
                           const tn_tensor *at)
{
    tn_value *value;
    char name[24];
    if (m->graph->input_count >= INPUTS_MAX - 1) return NULL;
    snprintf(name, sizeof name, "x%d", (int)m->graph->input_count);
    if (!ok(m, tn_graph_add_input(m->graph, name, tn_type_of(dtype, rank, dim), &value)))
        return NULL;
    push_item(m, value, at);
    return value;
}

tn_value *add_input_of(maker *m, const tn_tensor *t)
{
    tn_expr dim[TN_RANK_MAX];
    tn_tensor at[SETS];
    if (!new_tensor(m, t->dtype, t->rank, t->dim, &at[0])) return NULL;
    if (tn_tensor_count(t)) memcpy(at[0].data, t->data, (size_t)tn_tensor_bytes(t));
    for (int s = 1; s < SETS; s++) at[s] = at[0];
    for (int i = 0; i < t->rank; i++) dim[i] = tn_expr_const(m->graph->exprs, t->dim[i]);
    return add_input(m, t->dtype, t->rank, dim, at);
}

/* A symbol that is `size` at the first set: an old one or a new one. */
static const symbol *symbol_of(maker *m, int64_t size)
{
    for (int i = 0; i < m->symbol_count; i++)
        if (m->symbol[i].at[0] == size && chance(&m->dice, 80)) return &m->symbol[i];
    if (m->symbol_count >= SYMBOLS_MAX) return NULL;
    symbol *s = &m->symbol[m->symbol_count];
    snprintf(s->name, sizeof s->name, "n%d", m->symbol_count++);
    s->at[0] = size;
    for (int k = 1; k < SETS; k++)
        s->at[k] = chance(&m->dice, 4)    ? 0
                   : chance(&m->dice, 15) ? 1
                                          : TN_MAX(1, size + pick(&m->dice, 7) - 3);
    return s;
}

tn_value *add_random_input(maker *m, tn_dtype dtype, int rank, const int64_t *dim,
                           int dynamic_percent, double lo, double hi)
{
    tn_expr expr[TN_RANK_MAX];
    int64_t size[SETS][TN_RANK_MAX];
    tn_tensor at[SETS];
    for (int i = 0; i < rank; i++) {
        const symbol *s = chance(&m->dice, dynamic_percent) ? symbol_of(m, dim[i]) : NULL;
        expr[i] =
            s ? tn_expr_symbol(m->graph->exprs, s->name) : tn_expr_const(m->graph->exprs, dim[i]);
        for (int k = 0; k < SETS; k++) size[k][i] = s ? s->at[k] : dim[i];
    }
    for (int k = 0; k < SETS; k++) {
        if (!new_tensor(m, dtype, rank, size[k], &at[k])) return NULL;
        fill(m, &at[k], lo, hi);
    }
    return add_input(m, dtype, rank, expr, at);
}

/* ---- Attributes ------------------------------------------------------------------------------*/

static tn_string text_of(maker *m, const char *at, size_t bytes)
{
    char *copy = tn_arena_text(&m->arena, at, bytes);
    m->out_of_memory |= !copy;
    return (tn_string){copy ? copy : "", copy ? bytes : 0};
}

static tn_string choice_of(maker *m, const tn_field *field, int64_t index)
{
    size_t bytes = 0;
    const char *word = tn_choice_text(field->choices, index, &bytes);
    return text_of(m, word ? word : "", bytes);
}

/* Whether the parameter is there at all; *out is the attribute that says it. */
static bool attr_of(maker *m, const tn_field *field, const void *member, tn_attr *out)
{
    const tn_ints *ints = member;
    const tn_floats *floats = member;
    const tn_scalar *scalar = member;
    tn_string *texts;
    *out = (tn_attr){.name = field->name};
    switch (field->kind) {
    case TN_FIELD_INT:
    case TN_FIELD_DTYPE:
        out->kind = TN_ATTR_INT;
        out->i = *(const int64_t *)member;
        return field->kind == TN_FIELD_INT ? out->i != field->default_int || field->required
                                           : out->i != 0;
    case TN_FIELD_FLOAT:
        out->kind = TN_ATTR_FLOAT;
        out->f = (double)*(const float *)member;
        return out->f != (double)(float)field->default_float || field->required;
    case TN_FIELD_INTS:
        out->kind = TN_ATTR_INTS;
        out->count = ints->count;
        out->ints = ints->at;
        return ints->count >= 0;
    case TN_FIELD_FLOATS:
        out->kind = TN_ATTR_FLOATS;
        out->count = floats->count;
        out->floats = floats->at;
        return floats->count >= 0;
    case TN_FIELD_ENUM:
        out->kind = TN_ATTR_TEXT;
        out->text = choice_of(m, field, *(const int64_t *)member);
        return true;
    case TN_FIELD_ENUMS:
        if (ints->count < 0) return false;
        texts = TN_NEW_ARRAY(&m->arena, tn_string, ints->count);
        m->out_of_memory |= !texts;
        for (int i = 0; texts && i < ints->count; i++) texts[i] = choice_of(m, field, ints->at[i]);
        out->kind = TN_ATTR_TEXTS;
        out->count = texts ? ints->count : 0;
        out->texts = texts;
        return texts;
    case TN_FIELD_CHARS:
        out->kind = TN_ATTR_TEXT;
        out->text =
            text_of(m, ((const tn_chars *)member)->at, strlen(((const tn_chars *)member)->at));
        return out->text.bytes > 0;
    case TN_FIELD_SCALAR:
        if (!scalar->dtype) return false;
        out->kind = TN_ATTR_TENSOR;
        if (!new_tensor(m, (tn_dtype)scalar->dtype, 1, (int64_t[]){1}, &out->tensor)) return false;
        memcpy(out->tensor.data, scalar->bytes, (size_t)tn_tensor_bytes(&out->tensor));
        return true;
    }
    return false;
}

static tn_status set_attrs(maker *m, tn_node *node, const draft *d)
{
    for (int i = 0; d->like && i < d->like->attr_count; i++)
        TN_TRY(tn_node_set_attr(node, &d->like->attr[i]));
    for (int i = 0; d->params && i < d->op->field_count; i++) {
        const tn_field *field = &d->op->field[i];
        tn_attr attr;
        if (attr_of(m, field, (const char *)d->params + field->offset, &attr))
            TN_TRY(tn_node_set_attr(node, &attr));
    }
    return NULL;
}

/* ---- What inference promises -----------------------------------------------------------------*/

static bool symbol_value(const maker *m, const tn_expr_node *e, tn_expr expr, int set, int64_t *out)
{
    for (int i = 0; i < m->symbol_count; i++) {
        if (strcmp(m->symbol[i].name, e->name)) continue;
        *out = m->symbol[i].at[set];
        return true;
    }
    for (int i = 0; i < m->bound_count; i++) {
        if (m->bound[i].expr != expr) continue;
        *out = m->bound[i].at[set];
        return true;
    }
    return false;
}

/* The value of one expression at a set, TN_EXPR_UNKNOWN where it hangs on what is not known. */
static tn_status evaluate(const maker *m, tn_expr expr, int set, tn_arena *arena, int64_t *out)
{
    const tn_exprs *exprs = m->graph->exprs;
    tn_exprs few;
    bool *used = TN_NEW_ARRAY(arena, bool, exprs->count);
    int64_t *values = TN_NEW_ARRAY(arena, int64_t, exprs->count + 1);
    tn_expr *back = TN_NEW_ARRAY(arena, tn_expr, exprs->count + 1);
    tn_expr *remap = TN_NEW_ARRAY(arena, tn_expr, exprs->count + 1);
    TN_CHECK(used && values && back && remap, TN_OUT_OF_MEMORY, "no memory to evaluate");
    used[expr] = true;
    TN_TRY(tn_exprs_subset(exprs, used, arena, &few, remap));
    for (tn_expr e = 1; e < exprs->count; e++)
        if (used[e]) back[remap[e]] = e;
    for (tn_expr e = 1; e < few.count; e++) {
        const tn_expr_node *node = tn_expr_get(&few, e);
        values[e] = TN_EXPR_UNKNOWN;
        if (node->op == TN_EXPR_OP_SYMBOL) symbol_value(m, node, back[e], set, &values[e]);
    }
    TN_TRY(tn_exprs_evaluate(&few, values));
    *out = values[remap[expr]];
    return NULL;
}

static void find(maker *m, const tn_node *node, int set, const char *what, tn_expr expr,
                 int64_t got, int64_t promised, tn_status status)
{
    tn_text text = {0};
    char label[200];
    if (m->finding[0]) return;
    tn_expr_print(m->graph->exprs, expr, &text);
    snprintf(
        m->finding, sizeof m->finding,
        "%s, set %d: inference says that %s is %.800s = %lld, the reference gives %lld%s%.800s",
        tn_node_label(node, label, sizeof label), set, what, text.at ? text.at : "",
        (long long)promised, (long long)got, status ? "; " : "",
        status ? tn_status_message(status) : "");
    tn_text_fini(&text);
}

static void bind(maker *m, tn_expr expr, int set, int64_t value)
{
    int i = 0;
    while (i < m->bound_count && m->bound[i].expr != expr) i++;
    if (i == BOUND_MAX) return;
    if (i == m->bound_count) {
        m->bound_count++;
        m->bound[i].expr = expr;
        for (int s = 0; s < SETS; s++) m->bound[i].at[s] = TN_EXPR_UNKNOWN;
    }
    m->bound[i].at[set] = value;
}

static void check_expr(maker *m, const tn_node *node, int set, const char *what, tn_expr expr,
                       int64_t got, bool is_dim, tn_arena *arena)
{
    int64_t promised = TN_EXPR_UNKNOWN;
    if (expr == TN_EXPR_NONE || m->finding[0]) return;
    tn_status status = evaluate(m, expr, set, arena, &promised);
    const tn_expr_node *e = tn_expr_get(m->graph->exprs, expr);
    if (!status && promised == TN_EXPR_UNKNOWN && is_dim && e->op == TN_EXPR_OP_SYMBOL)
        bind(m, expr, set, got);
    else if (status || (promised != TN_EXPR_UNKNOWN && promised != got))
        find(m, node, set, what, expr, got, promised, status);
}

static void check_promises(maker *m, const tn_node *node, int set, const tn_problem *p)
{
    char what[64];
    tn_arena arena;
    tn_arena_init(&arena);
    for (int k = 0; k < node->out_count; k++) {
        const tn_value *v = node->out[k];
        const tn_tensor *t = &p->out[k];
        if (!v) continue;
        snprintf(what, sizeof what, "the rank of output %d", k);
        if (v->type.rank >= 0 && v->type.rank != t->rank)
            find(m, node, set, what, TN_EXPR_NONE, t->rank, v->type.rank, NULL);
        for (int i = 0; i < v->type.rank && !m->finding[0]; i++) {
            snprintf(what, sizeof what, "dim %d of output %d", i, k);
            check_expr(m, node, set, what, v->type.dim[i], t->dim[i], true, &arena);
        }
        if (v->known.at && v->known.count != tn_tensor_count(t) && !m->finding[0])
            find(m, node, set, "the count", TN_EXPR_NONE, tn_tensor_count(t), v->known.count, NULL);
        for (int64_t i = 0; v->known.at && i < v->known.count && !m->finding[0]; i++) {
            double f = tn_load_f64(t->dtype, t->data, i);
            bool whole = tn_dtype_kind_of(t->dtype) != TN_KIND_F;
            if (!whole && !(fabs(f) < 9e15)) continue;
            snprintf(what, sizeof what, "element %d of output %d", (int)i, k);
            check_expr(m, node, set, what, v->known.at[i],
                       whole ? tn_load_i64(t->dtype, t->data, i) : (int64_t)f, false, &arena);
        }
    }
    tn_arena_fini(&arena);
}

/* ---- Nodes -----------------------------------------------------------------------------------*/

static bool is_tame(const tn_tensor *t)
{
    tn_dtype_kind kind = tn_dtype_kind_of(t->dtype);
    if (kind == TN_KIND_S || kind == TN_KIND_C) return true;
    for (int64_t i = 0; i < tn_tensor_count(t); i++)
        if (!(fabs(tn_load_f64(t->dtype, t->data, i)) <= TAME)) return false;
    return true;
}

/* The node's reference at one set. */
static tn_status compute(maker *m, const tn_node *node, int set, tn_problem *p)
{
    const tn_op *op = node->op;
    *p = (tn_problem){.op = op->name,
                      .field = op->field,
                      .field_count = op->field_count,
                      .params = node->params,
                      .params_bytes = op->params_bytes,
                      .in_count = node->in_count,
                      .out_count = node->out_count};
    p->in = TN_NEW_ARRAY(&m->arena, tn_tensor, p->in_count + 1);
    p->out = TN_NEW_ARRAY(&m->arena, tn_tensor, p->out_count + 1);
    TN_CHECK(p->in && p->out, TN_OUT_OF_MEMORY, "no memory to compute");
    for (int i = 0; i < p->in_count; i++)
        if (node->in[i]) p->in[i] = find_item(m, node->in[i])->at[set];
    TN_TRY(tn_problem_infer(p, &m->arena));
    for (int i = 0; i < p->out_count; i++) {
        TN_CHECK(tn_tensor_count(&p->out[i]) <= ELEMENTS_MAX, TN_UNSUPPORTED, "too large");
        p->out[i].data = new_chunk(m, (size_t)tn_tensor_bytes(&p->out[i]));
        TN_CHECK(p->out[i].data, TN_OUT_OF_MEMORY, "no memory for an output");
    }
    return tn_problem_run_reference(p, &m->arena);
}

/* A 0 in the shape of a Reshape copies a dim of the input, and -1 takes what is left. Inference
 * takes a computed size for the size that it stands for, also at a set where it comes out as 0 or
 * -1: the run refuses that, or tensors without elements come out in another shape. */
static bool has_stray_zero(const tn_node *node, const tn_problem *p)
{
    if (strcmp(node->op->name, "Reshape") != 0 || node->in[1]->kind == TN_VALUE_CONSTANT)
        return false;
    for (int64_t i = 0; i < tn_tensor_count(&p->in[1]); i++)
        if (tn_load_i64(p->in[1].dtype, p->in[1].data, i) <= 0) return true;
    return false;
}

/* Lowered, inferred, computed; false if it is not to stay. */
static bool accept(maker *m, tn_node *node, tn_problem p[SETS], bool fails[SETS])
{
    tn_status status = tn_node_lower(node);
    if (!status) status = tn_node_infer(node);
    if (tn_status_code(status) == TN_INTERNAL && !m->finding[0])
        tn_status_text(status, true, m->finding, sizeof m->finding);
    if (!ok(m, status)) return false;
    for (int s = 0; s < SETS; s++) {
        status = compute(m, node, s, &p[s]);
        if (tn_status_code(status) == TN_INTERNAL && !m->finding[0])
            tn_status_text(status, true, m->finding, sizeof m->finding);
        if (status && tn_status_code(status) != TN_INVALID) return false;
        fails[s] = status != NULL;
        if (!status && has_stray_zero(node, &p[s])) return false;
    }
    if (fails[0] || fails[1] || fails[2]) return chance(&m->dice, 1);
    for (int s = 0; s < SETS; s++)
        for (int i = 0; i < p[s].out_count; i++)
            if (!is_tame(&p[s].out[i]) && !chance(&m->dice, 2)) return false;
    return true;
}

static double rounding_of(tn_dtype dtype)
{
    if (dtype == TN_DTYPE_F64 || dtype == TN_DTYPE_F32) return 3e-7;
    return dtype == TN_DTYPE_F16 ? 2e-3 : dtype == TN_DTYPE_BF16 ? 1.6e-2 : 1e-1;
}

static bool shake_tensor(maker *m, const tn_tensor *from, dice *d, tn_tensor *to)
{
    *to = *from;
    if (tn_dtype_kind_of(from->dtype) != TN_KIND_F) return true;
    double unit_size = rounding_of(from->dtype), most = 0;
    if (!new_tensor(m, from->dtype, from->rank, from->dim, to)) return false;
    for (int64_t i = 0; i < tn_tensor_count(from); i++)
        most = fmax(most, fabs(tn_load_f64(from->dtype, from->data, i)));
    if (!isfinite(most)) most = 0;
    for (int64_t i = 0; i < tn_tensor_count(from); i++) {
        double value = tn_load_f64(from->dtype, from->data, i);
        /* Zeros stay: what is masked or padded is exact. */
        if (value != 0)
            value += unit_size * (value * (2 * unit(d) - 1) + 0.1 * most * (2 * unit(d) - 1));
        tn_store_f64(to->dtype, to->data, i, value);
    }
    return true;
}

bool shake(maker *m, int set, dice *d)
{
    tn_problem p;
    for (int i = 0; i < m->item_count; i++) {
        item *it = &m->item[i];
        if (!it->missing && it->value->kind != TN_VALUE_NODE &&
            !shake_tensor(m, &it->at[set], d, &it->at[SHAKEN]))
            return false;
    }
    for (const tn_node *node = m->graph->first; node; node = node->next) {
        if (node->out[0] && find_item(m, node->out[0])->missing) continue;
        if (compute(m, node, SHAKEN, &p)) return false;
        for (int k = 0; k < node->out_count; k++) {
            item *it = node->out[k] ? (item *)find_item(m, node->out[k]) : NULL;
            if (it && !shake_tensor(m, &p.out[k], d, &it->at[SHAKEN])) return false;
        }
    }
    return true;
}

tn_node *add_node(maker *m, const draft *d)
{
    tn_node *node;
    tn_problem p[SETS];
    bool fails[SETS] = {false}, missing = false;
    int room = ITEMS_MAX - m->item_count;
    if (d->out_count > room || m->finding[0] || m->out_of_memory) return NULL;
    if (!ok(m, tn_graph_add_node(m->graph, d->op, "", d->in, d->in_count, NULL, d->out_count, NULL,
                                 &node)))
        return NULL;
    if (!ok(m, set_attrs(m, node, d)) || !accept(m, node, p, fails)) {
        m->refused++;
        tn_node_remove(node);
        return NULL;
    }
    for (int s = 0; s < SETS; s++) {
        m->fails[s] |= fails[s];
        missing |= fails[s];
    }
    for (int s = 0; s < SETS && !missing; s++) check_promises(m, node, s, &p[s]);
    for (int k = 0; k < node->out_count; k++) {
        tn_tensor at[SETS];
        for (int s = 0; s < SETS; s++) at[s] = p[s].out[k];
        if (node->out[k]) push_item(m, node->out[k], missing ? NULL : at);
    }
    return node;
}

tn_value *add(maker *m, const char *name, const char *params, int in_count, ...)
{
    draft d = {.op = tn_op_find(NULL, name), .in_count = in_count, .out_count = 1};
    va_list list;
    bool whole = d.op;
    va_start(list, in_count);
    for (int i = 0; i < in_count; i++) d.in[i] = va_arg(list, tn_value *);
    va_end(list);
    for (int i = 0; whole && i < in_count; i++)
        whole = d.in[i] || (i < d.op->in_count && d.op->in[i].flags & TN_PORT_OPTIONAL);
    void *at = whole ? tn_arena_alloc(&m->arena, d.op->params_bytes) : NULL;
    if (!at ||
        !ok(m, tn_params_parse(&params, d.op->field, d.op->field_count, at, d.op->params_bytes)))
        return NULL;
    d.params = at;
    tn_node *node = add_node(m, &d);
    return node && !find_item(m, node->out[0])->missing ? node->out[0] : NULL;
}

void maker_init(maker *m, uint64_t seed)
{
    *m = (maker){.dice = {seed * UINT64_C(0x2545F4914F6CDD1D) + 1}};
    tn_arena_init(&m->arena);
}

void maker_fini(maker *m)
{
    tn_graph_free(m->graph);
    tn_arena_fini(&m->arena);
    while (m->chunk) {
        struct chunk *next = m->chunk->next;
        free(m->chunk);
        m->chunk = next;
    }
}
