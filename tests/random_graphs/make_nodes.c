/* Single nodes: an operator's own cases give attributes and inputs that belong together; then
 * values of the graph take the place of inputs, sizes become symbols, attributes are changed by
 * chance. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random_graphs.h"

enum { CASE_ELEMENTS_MAX = 3000 };

typedef struct sample {
    const tn_op *op;
    void *params;
    tn_tensor in[INPUTS_MAX];
    int in_count, out_count;
    double lo, hi;
} sample;

static int required_outputs(const tn_op *op)
{
    int required = 0;
    for (int i = 0; i < op->out_count; i++)
        if (!(op->out[i].flags & TN_PORT_OPTIONAL)) required = i + 1;
    return required;
}

static bool skip_word(const char **at, const char *word)
{
    size_t bytes = strlen(word);
    if (strncmp(*at, word, bytes) || ((*at)[bytes] && (*at)[bytes] != ' ')) return false;
    *at += bytes;
    return true;
}

/* "-> 2" or "-> f32[2] f32[2]" */
static int count_outputs(const char *at, int otherwise)
{
    int count = 0;
    if (strncmp(at, "->", 2)) return otherwise;
    at += 2;
    while (*at == ' ') at++;
    if (isdigit((unsigned char)*at)) return atoi(at);
    for (; *at; at++) count += *at != ' ' && (at[1] == ' ' || !at[1]);
    return count;
}

/* The text of a case, with params as they are written, not as `lower` leaves them. */
static bool read_case(maker *m, const tn_op *op, const tn_case *c, sample *out)
{
    const char *at = c->problem;
    int64_t elements = 0;
    *out = (sample){.op = op, .lo = c->lo, .hi = c->hi};
    while (isalnum((unsigned char)*at) || *at == '_') at++;
    out->params = tn_arena_alloc(&m->arena, op->params_bytes);
    if (!out->params ||
        tn_params_parse(&at, op->field, op->field_count, out->params, op->params_bytes))
        return false;
    for (;;) {
        bool constant;
        while (*at == ' ') at++;
        if (!*at || !strncmp(at, "->", 2)) break;
        if (out->in_count == INPUTS_MAX) return false;
        tn_tensor *t = &out->in[out->in_count++];
        if (skip_word(&at, "none") || skip_word(&at, "-")) continue;
        if (tn_tensor_parse(&at, &m->arena, t, &constant)) return false;
        elements += tn_tensor_count(t);
    }
    out->out_count = count_outputs(at, required_outputs(op));
    return out->out_count > 0 && out->out_count < 32 && elements <= CASE_ELEMENTS_MAX;
}

static bool random_case(maker *m, const tn_op *op, sample *out)
{
    int count = 0;
    while (op->cases && op->cases[count].problem) count++;
    return count && read_case(m, op, &op->cases[pick(&m->dice, count)], out);
}

/* ---- Attributes by chance --------------------------------------------------------------------*/

static void nudge(maker *m, int64_t *at)
{
    if (*at > -1000 && *at < 1000) *at += pick(&m->dice, 3) - 1;
}

static void change_ints(maker *m, tn_ints *ints, int rank)
{
    if (ints->count == rank && rank > 0 && chance(&m->dice, 70)) { /* a permutation, perhaps */
        for (int i = 0; i < rank; i++) ints->at[i] = i;
        for (int i = rank - 1; i > 0; i--) {
            int k = pick(&m->dice, i + 1);
            int64_t t = ints->at[i];
            ints->at[i] = ints->at[k];
            ints->at[k] = t;
        }
        return;
    }
    if (ints->count < 0) {
        ints->count = pick(&m->dice, 3) ? rank : 1;
        for (int i = 0; i < ints->count; i++) ints->at[i] = pick(&m->dice, rank + 1);
    } else if (ints->count) {
        nudge(m, &ints->at[pick(&m->dice, ints->count)]);
    }
}

static void change_params(maker *m, sample *s, int rank, int percent)
{
    for (int i = 0; i < s->op->field_count; i++) {
        const tn_field *field = &s->op->field[i];
        void *at = (char *)s->params + field->offset;
        size_t bytes = 0;
        int words = 0;
        if (!chance(&m->dice, percent)) continue;
        switch (field->kind) {
        case TN_FIELD_INT:
            if (strstr(field->name, "axis")) *(int64_t *)at = pick(&m->dice, 2 * rank + 1) - rank;
            else if (*(int64_t *)at == 0 || *(int64_t *)at == 1) *(int64_t *)at = pick(&m->dice, 2);
            else nudge(m, at);
            break;
        case TN_FIELD_FLOAT: *(float *)at = (float)(pick(&m->dice, 9) - 2) * 0.25f; break;
        case TN_FIELD_INTS: change_ints(m, at, TN_MIN(rank, TN_INTS_MAX)); break;
        case TN_FIELD_ENUM:
            while (tn_choice_text(field->choices, words, &bytes)) words++;
            *(int64_t *)at = pick(&m->dice, words);
            break;
        case TN_FIELD_DTYPE:
            if (*(int64_t *)at) *(int64_t *)at = 1 + pick(&m->dice, TN_DTYPE_BF16);
            break;
        default: break;
        }
    }
}

/* ---- Inputs of a case ------------------------------------------------------------------------*/

/* A value of the graph with this type and these sizes, and integers within what the case allows. */
static tn_value *find_like(maker *m, const tn_tensor *t, double lo, double hi)
{
    int start = pick(&m->dice, m->item_count);
    bool whole = tn_dtype_kind_of(t->dtype) == TN_KIND_I || tn_dtype_kind_of(t->dtype) == TN_KIND_U;
    for (int i = 0; i < m->item_count; i++) {
        const item *it = &m->item[(start + i) % m->item_count];
        bool fits = !it->missing && it->at[0].dtype == t->dtype;
        for (int s = 0; s < SETS && fits; s++) {
            fits = tn_tensor_same_shape(&it->at[s], t);
            for (int64_t k = 0; whole && (lo != 0 || hi != 0) && fits && k < tn_tensor_count(t);
                 k++) {
                double v = tn_load_f64(t->dtype, it->at[s].data, k);
                fits = v >= lo && v < hi;
            }
        }
        if (fits) return it->value;
    }
    return NULL;
}

/* The inputs of a case; those with `size` at some dim make it a symbol. Weights stay constants. */
static tn_value *case_input(maker *m, const sample *s, int index, int dynamic_percent)
{
    const tn_tensor *t = &s->in[index];
    tn_value *value = NULL;
    if (t->data || t->dtype == TN_DTYPE_STRING) {
        tn_tensor empty = *t;
        if (!t->data) return add_random_input(m, t->dtype, t->rank, t->dim, dynamic_percent, 0, 0);
        return chance(&m->dice, 85) ? add_constant(m, &empty) : add_input_of(m, t);
    }
    if (chance(&m->dice, 45)) value = find_like(m, t, s->lo, s->hi);
    if (value) return value;
    value = add_random_input(m, t->dtype, t->rank, t->dim, dynamic_percent, s->lo, s->hi);
    if (!value || !chance(&m->dice, 30) || dynamic_percent) return value;
    tn_tensor copy = find_item(m, value)->at[0];
    return add_constant(m, &copy);
}

static bool case_draft(maker *m, const sample *s, int dynamic_percent, draft *d)
{
    *d = (draft){
        .op = s->op, .params = s->params, .in_count = s->in_count, .out_count = s->out_count};
    for (int i = 0; i < s->in_count; i++) {
        if (s->in[i].dtype == TN_DTYPE_NONE) continue;
        d->in[i] = case_input(m, s, i, dynamic_percent);
        if (!d->in[i]) return false;
    }
    return true;
}

/* ---- Inputs of the graph ---------------------------------------------------------------------*/

/* Any value of the graph that the port takes, one with the sizes of the first input more often. */
static tn_value *graph_input(maker *m, const tn_port *port, tn_dtype settled, const tn_value *first)
{
    tn_dtypes types = settled ? UINT32_C(1) << settled : port->types;
    const item *it = first ? find_item(m, first) : NULL;
    tn_value *value = NULL;
    if (it && chance(&m->dice, 50) && types >> it->at[0].dtype & 1)
        value = find_like(m, &it->at[0], 0, 0);
    if (!value) value = pick_value(m, types, it && chance(&m->dice, 40) ? it->at[0].rank : -1);
    return value;
}

static void free_draft(maker *m, const sample *s, draft *d)
{
    tn_dtype settled[128] = {TN_DTYPE_NONE};
    *d = (draft){
        .op = s->op, .params = s->params, .in_count = s->in_count, .out_count = s->out_count};
    for (int i = 0; i < s->in_count; i++) {
        const tn_port *port = &s->op->in[TN_MIN(i, s->op->in_count - 1)];
        tn_dtype *letter = &settled[port->var & 127];
        if (s->in[i].dtype == TN_DTYPE_NONE) continue;
        if (s->in[i].data && i && chance(&m->dice, 60)) d->in[i] = add_constant(m, &s->in[i]);
        else
            d->in[i] =
                graph_input(m, port, port->var ? *letter : TN_DTYPE_NONE, i ? d->in[0] : NULL);
        if (!d->in[i]) d->in[i] = case_input(m, s, i, 30);
        const item *it = d->in[i] ? find_item(m, d->in[i]) : NULL;
        if (it && port->var && *letter == TN_DTYPE_NONE) *letter = it->at[0].dtype;
    }
}

/* ---- The kinds of steps ----------------------------------------------------------------------*/

static bool is_usable(const tn_op *op)
{
    return op->reference && op->infer && !op->impure && !op->own_attrs && op->cases &&
           op->out_count;
}

static const tn_op *random_op(maker *m)
{
    static const char *const common[] = {
        "Add",       "Mul",    "Sub",     "Relu",       "Reshape", "Transpose", "Concat", "Slice",
        "MatMul",    "Gather", "Softmax", "ReduceMean", "Cast",    "Unsqueeze", "Where",  "Expand",
        "Squeeze",   "Split",  "Tanh",    "ReduceSum",  "Clip",    "Sigmoid",   "Pad",    "Gemm",
        "ReduceMax", "Equal",  "Flatten", "NonZero",    "Range",   "Identity",  "Max",    "Tile"};
    int count = 0;
    if (chance(&m->dice, 45))
        return tn_op_find(NULL, common[pick(&m->dice, (int)TN_COUNT(common))]);
    while (tn_op_table[count]) count++;
    return tn_op_table[pick(&m->dice, count)];
}

static void add_operator(maker *m)
{
    sample s;
    draft d;
    const tn_op *op = random_op(m);
    if (!op || !is_usable(op) || !random_case(m, op, &s)) return;
    int optional = s.out_count;
    while (optional < op->out_count && !(op->out[optional].flags & TN_PORT_VARIADIC)) optional++;
    if (chance(&m->dice, 20))
        s.out_count = s.out_count + pick(&m->dice, optional - s.out_count + 1);
    if (m->item_count > 2 && chance(&m->dice, 60)) {
        for (int attempt = 0; attempt < 5; attempt++) {
            free_draft(m, &s, &d);
            const item *it = d.in[0] ? find_item(m, d.in[0]) : NULL;
            if (attempt > 1) change_params(m, &s, it ? it->at[0].rank : 1, 35);
            if (add_node(m, &d)) return;
        }
        if (!random_case(m, op, &s)) return;
    }
    if (chance(&m->dice, 25)) change_params(m, &s, s.in[0].rank, 20);
    if (case_draft(m, &s, chance(&m->dice, 60) ? 40 : 0, &d) && add_node(m, &d)) return;
    if (random_case(m, op, &s) && case_draft(m, &s, 0, &d)) add_node(m, &d);
}

/* The same node again: what computes equal things once must see it. */
static void add_duplicate(maker *m)
{
    int at = pick(&m->dice, (int)m->graph->node_count);
    const tn_node *node = m->graph->first;
    while (node && at--) node = node->next;
    if (!node) return;
    draft d = {
        .op = node->op, .like = node, .in_count = node->in_count, .out_count = node->out_count};
    for (int i = 0; i < node->in_count; i++) {
        d.in[i] = node->in[i];
        const item *it = node->in[i] ? find_item(m, node->in[i]) : NULL;
        if (it && it->missing) return;
    }
    add_node(m, &d);
}

/* What an optimiser may take out: neutral elements, casts there and back, shapes kept. */
static void add_neutral(maker *m)
{
    static const char *const words[] = {"Mul", "Div", "Pow", "Sub", "Add"};
    tn_value *x = pick_value(m, TN_DTS_FLOAT | TN_DTS_INT, -1);
    const item *it = x ? find_item(m, x) : NULL;
    if (!it) return;
    int word = pick(&m->dice, (int)TN_COUNT(words)), rank = it->at[0].rank;
    tn_dtype dtype = it->at[0].dtype;
    _Alignas(16) uint8_t data[16] = {0};
    tn_store_f64(dtype, data, 0, word < 3);
    int64_t ones[TN_RANK_MAX] = {1, 1, 1, 1, 1, 1, 1, 1};
    tn_tensor t =
        tn_tensor_of(dtype, ones, chance(&m->dice, 50) ? 0 : pick(&m->dice, rank + 2), data);
    switch (pick(&m->dice, 7)) {
    case 0: add(m, "Identity", "", 1, x); break;
    case 1: add(m, "CastLike", "", 2, x, pick_value(m, TN_DTS_NUMBER, -1)); break;
    case 2: add(m, "Reshape", "", 2, x, add(m, "Shape", "", 1, x)); break;
    case 3: add(m, "Transpose", "", 1, add(m, "Transpose", "", 1, x)); break;
    case 4: add(m, "Expand", "", 2, x, add_ints(m, rank, ones)); break;
    case 5: add(m, "Dropout", "", 1, x); break;
    default:
        if (t.rank <= TN_RANK_MAX) add(m, words[word], "", 2, x, add_constant(m, &t));
    }
}

static void add_some_input(maker *m)
{
    static const tn_dtype types[] = {TN_DTYPE_F32, TN_DTYPE_F32,  TN_DTYPE_F32,   TN_DTYPE_F32,
                                     TN_DTYPE_I64, TN_DTYPE_BOOL, TN_DTYPE_I32,   TN_DTYPE_F16,
                                     TN_DTYPE_F64, TN_DTYPE_U8,   TN_DTYPE_STRING};
    static const int64_t sizes[] = {1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 8};
    int64_t dim[TN_RANK_MAX];
    int rank = chance(&m->dice, 8) ? 0 : 1 + pick(&m->dice, 4);
    for (int i = 0; i < rank; i++)
        dim[i] = chance(&m->dice, 3) ? 0 : sizes[pick(&m->dice, (int)TN_COUNT(sizes))];
    tn_dtype dtype = types[pick(&m->dice, (int)TN_COUNT(types))];
    tn_value *x = add_random_input(m, dtype, rank, dim, chance(&m->dice, 70) ? 40 : 0, 0, 0);
    if (!x || !chance(&m->dice, 25)) return;
    tn_tensor copy = find_item(m, x)->at[0];
    add_constant(m, &copy);
}

/* ---- Outputs ---------------------------------------------------------------------------------*/

static tn_status add_output(maker *m, tn_value *value)
{
    char name[32];
    snprintf(name, sizeof name, "y%d", (int)m->graph->output_count);
    return tn_graph_add_output(m->graph, name, value);
}

static tn_status add_outputs(maker *m)
{
    int count = 1 + pick(&m->dice, 4);
    const tn_node *last = m->graph->last;
    for (int i = 0; last && i < last->out_count; i++)
        if (last->out[i]) TN_TRY(add_output(m, last->out[i]));
    for (int i = 0; i < m->item_count; i++) /* what fails must be seen to fail */
        if (m->item[i].missing) TN_TRY(add_output(m, m->item[i].value));
    for (int i = 0; i < count && m->item_count; i++) {
        tn_value *value = m->item[pick(&m->dice, m->item_count)].value;
        if (value->kind != TN_VALUE_NODE && !chance(&m->dice, 25)) continue;
        TN_TRY(add_output(m, value));
        if (chance(&m->dice, 12)) TN_TRY(add_output(m, value));
    }
    return m->graph->output_count ? NULL : add_output(m, m->item[0].value);
}

static tn_status only_outputs_of(maker *m, int only)
{
    const tn_node *node = m->graph->first;
    while (node && only--) node = node->next;
    TN_CHECK(node, TN_INVALID, "there is no such node");
    for (int i = 0; i < node->out_count; i++)
        if (node->out[i]) TN_TRY(add_output(m, node->out[i]));
    return NULL;
}

tn_status make_graph(maker *m, int only)
{
    TN_TRY(tn_graph_new("random", &m->graph));
    int inputs = 1 + pick(&m->dice, 3), nodes = 3 + pick(&m->dice, chance(&m->dice, 30) ? 37 : 12);
    for (int i = 0; i < inputs; i++) add_some_input(m);
    for (int tries = 0; m->graph->node_count < nodes && tries < 4 * nodes; tries++) {
        int way = pick(&m->dice, 100);
        if (m->finding[0] || m->out_of_memory) break;
        if (way < 50) add_operator(m);
        else if (way < 69) add_shape_chain(m);
        else if (way < 84) add_pattern(m);
        else if (way < 91) add_neutral(m);
        else if (way < 96) add_duplicate(m);
        else add_some_input(m);
    }
    TN_CHECK(!m->out_of_memory && m->item_count, TN_OUT_OF_MEMORY, "no memory to make a graph");
    if (m->finding[0]) only = (int)m->graph->node_count - 1; /* the node that was made last */
    return only >= 0 ? only_outputs_of(m, only) : add_outputs(m);
}
