/* Reference kernels as tactics, and problems that stand alone: from text, inferred, run. */
#include "ops/reference.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The table ---------------------------------------------------------------------------------
 *
 * A tactic has no room for context, so all reference tactics share four functions that find the
 * operator by the problem's name. The table is filled once; after that it is only read. */
#define OPS_MAX 512
#define TACTIC_NAME_MAX 64

static tn_tactic tactics[OPS_MAX];
static char tactic_names[OPS_MAX][TACTIC_NAME_MAX];
static const tn_tactic *tactic_table[OPS_MAX + 1];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static tn_verdict accepts(const tn_problem *p)
{
    return tn_op_find_any(p->op) ? TN_YES : TN_NO("the operator is not in the table");
}

static size_t scratch_bytes(const tn_problem *p)
{
    const tn_op *op = tn_op_find_any(p->op);
    return op && op->scratch_bytes ? op->scratch_bytes(p) : 0;
}

static uint64_t unused(const tn_problem *p)
{
    const tn_op *op = tn_op_find_any(p->op);
    return op ? op->shape_inputs : 0;
}

static tn_status check(const tn_problem *p, tn_arena *arena);

tn_tactic tn_reference_tactic(const tn_op *op, const char *name)
{
    return (tn_tactic){
        .name = name,
        .op = op->name,
        .revision = 1,
        .params_bytes = op->params_bytes,
        .accepts = accepts,
        .scratch_bytes = scratch_bytes,
        .unused = unused,
        .launch = op->reference,
        .resolve = tn_problem_infer,
        .check = check,
    };
}

static void make_table(void)
{
    int count = 0;
    for (int i = 0; tn_op_table[i] && count < OPS_MAX; i++) {
        const tn_op *op = tn_op_table[i];
        if (!op->reference) continue;
        char *name = tactic_names[count];
        snprintf(name, TACTIC_NAME_MAX, "cpu.%s.any.reference", op->name);
        for (char *at = name; *at; at++) *at = (char)tolower((unsigned char)*at);
        tactics[count] = tn_reference_tactic(op, name);
        tactic_table[count] = &tactics[count];
        count++;
    }
}

const tn_tactic *const *tn_reference_tactics(void)
{
    pthread_once(&table_once, make_table);
    return tactic_table;
}

/* ---- Inference of a problem ------------------------------------------------------------------*/

static tn_type type_of_tensor(tn_exprs *exprs, const tn_tensor *t)
{
    tn_expr dim[TN_RANK_MAX];
    for (int axis = 0; axis < t->rank; axis++) dim[axis] = tn_expr_const(exprs, t->dim[axis]);
    return tn_type_of(t->dtype, t->rank, dim);
}

/* Values of small integer tensors, as ir keeps them for graphs. */
static tn_status known_of_tensor(tn_arena *arena, tn_exprs *exprs, const tn_tensor *t,
                                 tn_known *out)
{
    tn_dtype_kind kind = tn_dtype_kind_of(t->dtype);
    int64_t count = tn_tensor_count(t);
    if (!t->data || t->rank > 1 || count > TN_KNOWN_MAX) return NULL;
    if (kind != TN_KIND_I && kind != TN_KIND_U && kind != TN_KIND_B) return NULL;
    tn_expr *at = TN_NEW_ARRAY(arena, tn_expr, count);
    TN_CHECK(at, TN_OUT_OF_MEMORY, "no memory for the values of an input");
    for (int64_t i = 0; i < count; i++)
        at[i] = tn_expr_const(exprs, tn_load_i64(t->dtype, t->data, i));
    *out = (tn_known){.at = at, .count = count};
    return NULL;
}

/* "Slice f32[4,5] i64[1]": the inputs, for notes; outputs are not there yet. */
static tn_status note_problem(const tn_problem *p, tn_status status)
{
    tn_problem inputs = *p;
    tn_text text = {0};
    inputs.out_count = 0;
    tn_problem_print(&inputs, &text);
    status = tn_status_note(status, "in the problem %s", text.at ? text.at : p->op);
    tn_text_fini(&text);
    return status;
}

/* Types with constant dims to tensors; data that is there stays. */
static tn_status take_output(const tn_exprs *exprs, const tn_problem *p, int index,
                             const tn_type *type, tn_tensor *out)
{
    TN_CHECK(type->dtype != TN_DTYPE_NONE, TN_INTERNAL, "%s: infer left output %d without a type",
             p->op, index);
    TN_CHECK(type->rank >= 0, TN_INVALID,
             "%s: the rank of output %d hangs on the data of an input that is not there", p->op,
             index);
    out->dtype = type->dtype;
    out->rank = type->rank;
    for (int axis = 0; axis < type->rank; axis++) {
        TN_CHECK(tn_expr_is_const(exprs, type->dim[axis], &out->dim[axis]), TN_INVALID,
                 "%s: dim %d of output %d hangs on the data of an input that is not there", p->op,
                 axis, index);
        TN_CHECK(out->dim[axis] >= 0, TN_INVALID, "%s: dim %d of output %d comes out as %lld",
                 p->op, axis, index, (long long)out->dim[axis]);
    }
    TN_CHECK(tn_tensor_bytes(out) >= 0, TN_INVALID, "%s: output %d is larger than any memory",
             p->op, index);
    tn_tensor_set_dense(out);
    return NULL;
}

/* With `partial`, an output that cannot be told yet is left without a type. */
static tn_status infer_problem(tn_problem *p, tn_arena *arena, bool partial)
{
    const tn_op *op = tn_op_find_any(p->op);
    TN_CHECK(op && op->infer, TN_NOT_FOUND, "there is no operator \"%s\"", p->op);
    tn_exprs *exprs = TN_NEW(arena, tn_exprs);
    int32_t out_count = TN_MAX(p->out_count, op->out_count);
    tn_type *in = TN_NEW_ARRAY(arena, tn_type, p->in_count);
    tn_known *known = TN_NEW_ARRAY(arena, tn_known, p->in_count);
    tn_type *out = TN_NEW_ARRAY(arena, tn_type, out_count);
    tn_known *out_known = TN_NEW_ARRAY(arena, tn_known, out_count);
    TN_CHECK(exprs && in && known && out && out_known, TN_OUT_OF_MEMORY, "no memory to infer %s",
             p->op);
    TN_TRY(tn_exprs_init(exprs, arena));
    for (int i = 0; i < p->in_count; i++) {
        if (p->in[i].dtype == TN_DTYPE_NONE) continue;
        in[i] = type_of_tensor(exprs, &p->in[i]);
        TN_TRY(known_of_tensor(arena, exprs, &p->in[i], &known[i]));
    }
    for (int i = 0; i < out_count; i++) out[i].rank = -1;
    tn_infer f = {
        .op = op,
        .params = p->params,
        .label = p->op,
        .exprs = exprs,
        .arena = arena,
        .in_count = p->in_count,
        .out_count = p->out_count,
        .in = in,
        .known = known,
        .data = p->in,
        .out = out,
        .out_known = out_known,
    };
    tn_status status = op->infer(&f);
    if (status) return note_problem(p, tn_status_trail(status, __FILE__, __LINE__, __func__));
    TN_TRY(tn_exprs_check(exprs));
    for (int i = 0; i < p->out_count; i++) {
        status = take_output(exprs, p, i, &out[i], &p->out[i]);
        if (status && !partial) return status;
        if (status) p->out[i].dtype = TN_DTYPE_NONE;
    }
    return NULL;
}

tn_status tn_problem_infer(tn_problem *p, tn_arena *arena)
{
    return infer_problem(p, arena, false);
}

/* The operator's own inference over these inputs must give these outputs. */
static tn_status check(const tn_problem *p, tn_arena *arena)
{
    tn_problem found = *p;
    char want[128], got[128];
    found.out = TN_NEW_ARRAY(arena, tn_tensor, p->out_count);
    TN_CHECK(found.out, TN_OUT_OF_MEMORY, "no memory to check the shapes of %s", p->op);
    TN_TRY(infer_problem(&found, arena, true));
    for (int i = 0; i < p->out_count; i++) {
        if (found.out[i].dtype == TN_DTYPE_NONE || p->out[i].dtype == TN_DTYPE_NONE) continue;
        if (found.out[i].dtype == p->out[i].dtype &&
            tn_tensor_same_shape(&found.out[i], &p->out[i]))
            continue;
        return note_problem(p,
                            TN_ERROR(TN_INVALID, "%s: output %d would be %s, but must be %s", p->op,
                                     i, tn_tensor_type_text(&found.out[i], got, sizeof(got)),
                                     tn_tensor_type_text(&p->out[i], want, sizeof(want))));
    }
    return NULL;
}

/* ---- Problems from text ----------------------------------------------------------------------*/

static int required_ports(const tn_port *port, int count)
{
    int required = 0;
    for (int i = 0; i < count; i++)
        if (!(port[i].flags & TN_PORT_OPTIONAL)) required = i + 1;
    return required;
}

/* The schema's law, so that infer and reference may rely on it. */
static tn_status check_inputs(const tn_op *op, const tn_problem *p)
{
    bool variadic = op->in_count && (op->in[op->in_count - 1].flags & TN_PORT_VARIADIC);
    tn_dtype bound[128] = {TN_DTYPE_NONE};
    char set[160];
    TN_CHECK(p->in_count >= required_ports(op->in, op->in_count) &&
                 (variadic || p->in_count <= op->in_count),
             TN_INVALID, "%s takes %d to %d inputs, %d are given", op->name,
             required_ports(op->in, op->in_count), op->in_count, p->in_count);
    for (int i = 0; i < p->in_count; i++) {
        const tn_port *port = &op->in[TN_MIN(i, op->in_count - 1)];
        tn_dtype dtype = p->in[i].dtype;
        if (dtype == TN_DTYPE_NONE) {
            TN_CHECK(port->flags & TN_PORT_OPTIONAL, TN_INVALID, "%s needs its input %s", op->name,
                     port->name);
            continue;
        }
        TN_CHECK(port->types & (UINT32_C(1) << dtype), TN_INVALID, "%s: input %s is %s, must be %s",
                 op->name, port->name, tn_dtype_name(dtype),
                 tn_dtypes_text(port->types, set, sizeof(set)));
        if (port->var <= 0) continue;
        tn_dtype *same = &bound[(int)port->var];
        if (*same == TN_DTYPE_NONE) *same = dtype;
        TN_CHECK(*same == dtype, TN_INVALID, "%s: input %s is %s where another of its type is %s",
                 op->name, port->name, tn_dtype_name(dtype), tn_dtype_name(*same));
    }
    return NULL;
}

/* op->lower wants a node: one that only has types. */
static tn_status lower_params(const tn_op *op, const tn_problem *p, tn_arena *arena, void *params)
{
    int count = p->in_count + p->out_count;
    tn_value *value = TN_NEW_ARRAY(arena, tn_value, count);
    tn_value **at = TN_NEW_ARRAY(arena, tn_value *, count);
    tn_node *node = TN_NEW(arena, tn_node);
    TN_CHECK(value && at && node, TN_OUT_OF_MEMORY, "no memory to lower %s", op->name);
    for (int i = 0; i < count; i++) {
        value[i] = (tn_value){.name = i < p->in_count ? "input" : "output", .type.rank = -1};
        if (i < p->in_count) value[i].type.dtype = p->in[i].dtype;
        bool absent = i < p->in_count && p->in[i].dtype == TN_DTYPE_NONE;
        at[i] = absent ? NULL : &value[i];
    }
    *node = (tn_node){.op = op, .name = "", .params = params};
    node->in = at;
    node->in_count = node->in_capacity = p->in_count;
    node->out = at + p->in_count;
    node->out_count = p->out_count;
    return op->lower(node, params);
}

static const char *skip_spaces(const char *at)
{
    while (*at == ' ') at++;
    return at;
}

static bool take_word(const char **at, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(*at, word, length) || ((*at)[length] && (*at)[length] != ' ')) return false;
    *at += length;
    return true;
}

static tn_status parse_tensors(const char **text, tn_arena *arena, tn_problem *p, tn_tensor **out,
                               int32_t *count)
{
    size_t most = 1;
    for (const char *at = *text; *at; at++) most += *at == ' ';
    *out = TN_NEW_ARRAY(arena, tn_tensor, most);
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory for a problem");
    *count = 0;
    for (const char *at = skip_spaces(*text);; at = skip_spaces(at)) {
        *text = at;
        if (!*at || !strncmp(at, "->", 2)) return NULL;
        tn_tensor *t = &(*out)[(*count)++];
        bool constant = false;
        if (take_word(&at, "none") || take_word(&at, "-")) continue;
        TN_TRY(tn_tensor_parse(&at, arena, t, &constant));
        if (constant && *count <= 64) p->in_constant |= UINT64_C(1) << (*count - 1);
    }
}

/* "-> 3" or "-> f32[2] f32[2]" says how many outputs; else as many as the schema requires. */
static tn_status parse_outputs(const char *at, const tn_op *op, tn_arena *arena, tn_problem *p)
{
    p->out_count = required_ports(op->out, op->out_count);
    if (!strncmp(at, "->", 2)) {
        tn_problem ignored = {0};
        char *end;
        at = skip_spaces(at + 2);
        long count = strtol(at, &end, 10);
        if (end != at && !*skip_spaces(end)) {
            p->out_count = count > 0 && count <= 4096 ? (int32_t)count : 0;
        } else {
            TN_TRY(parse_tensors(&at, arena, &ignored, &p->out, &p->out_count));
            TN_CHECK(!*at, TN_INVALID, "unexpected \"%s\" at the end of a problem", at);
        }
    }
    bool variadic = op->out_count && (op->out[op->out_count - 1].flags & TN_PORT_VARIADIC);
    TN_CHECK(p->out_count > 0 && (variadic || p->out_count <= op->out_count), TN_INVALID,
             "%s has 1 to %d outputs, not %d", op->name, op->out_count, p->out_count);
    p->out = TN_NEW_ARRAY(arena, tn_tensor, p->out_count);
    TN_CHECK(p->out, TN_OUT_OF_MEMORY, "no memory for a problem");
    return NULL;
}

tn_status tn_problem_parse(const char *text, tn_arena *arena, tn_problem *out)
{
    const char *at = skip_spaces(text), *name = at;
    while (isalnum((unsigned char)*at) || *at == '_') at++;
    char *op_name = tn_arena_text(arena, name, (size_t)(at - name));
    TN_CHECK(op_name, TN_OUT_OF_MEMORY, "no memory for a problem");
    const tn_op *op = tn_op_find_any(op_name);
    TN_CHECK(op, TN_NOT_FOUND, "there is no operator \"%s\" (problem \"%.200s\")", op_name, text);
    tn_problem p = {.op = op->name, .field = op->field, .field_count = op->field_count};
    void *params = tn_arena_alloc(arena, op->params_bytes);
    TN_CHECK(params, TN_OUT_OF_MEMORY, "no memory for a problem");
    TN_TRY_NOTE(tn_params_parse(&at, op->field, op->field_count, params, op->params_bytes),
                "in the problem \"%.200s\"", text);
    p.params = params;
    p.params_bytes = op->params_bytes;
    TN_TRY_NOTE(parse_tensors(&at, arena, &p, &p.in, &p.in_count), "in the problem \"%.200s\"",
                text);
    TN_TRY_NOTE(parse_outputs(at, op, arena, &p), "in the problem \"%.200s\"", text);
    TN_TRY_NOTE(check_inputs(op, &p), "in the problem \"%.200s\"", text);
    if (op->lower)
        TN_TRY_NOTE(lower_params(op, &p, arena, params), "in the problem \"%.200s\"", text);
    *out = p;
    return infer_problem(out, arena, true);
}

/* ---- Running ---------------------------------------------------------------------------------*/

tn_status tn_problem_run_reference(tn_problem *p, tn_arena *arena)
{
    const tn_op *op = tn_op_find_any(p->op);
    TN_CHECK(op && op->reference, TN_NOT_FOUND, "%s has no reference kernel", p->op);
    for (int i = 0; i < p->in_count; i++) {
        bool read = i >= 64 || !(op->shape_inputs >> i & 1);
        TN_CHECK(!read || p->in[i].data || p->in[i].dtype == TN_DTYPE_NONE ||
                     !tn_tensor_count(&p->in[i]),
                 TN_INVALID, "%s: input %d has no data", p->op, i);
    }
    bool typed = true;
    for (int i = 0; i < p->out_count; i++) typed = typed && p->out[i].dtype != TN_DTYPE_NONE;
    if (!typed) TN_TRY(tn_problem_infer(p, arena));
    for (int i = 0; i < p->out_count; i++) {
        tn_tensor *t = &p->out[i];
        if (!t->data) t->data = tn_arena_alloc(arena, (size_t)tn_tensor_bytes(t));
        TN_CHECK(t->data, TN_OUT_OF_MEMORY, "no memory for output %d of %s", i, p->op);
    }
    tn_launch launch = {.problem = p, .text = arena};
    size_t scratch = op->scratch_bytes ? op->scratch_bytes(p) : 0;
    if (scratch) {
        uint8_t *block = scratch <= SIZE_MAX - TN_ALIGNMENT
                             ? tn_arena_alloc(arena, scratch + TN_ALIGNMENT)
                             : NULL;
        TN_CHECK(block, TN_OUT_OF_MEMORY, "no memory for the scratch of %s", p->op);
        launch.scratch = block + (TN_ALIGNMENT - (uintptr_t)block % TN_ALIGNMENT) % TN_ALIGNMENT;
    }
    tn_status status = op->reference(&launch);
    return status ? note_problem(p, tn_status_trail(status, __FILE__, __LINE__, __func__)) : NULL;
}

static tn_status tensor_of_type(const tn_node *node, const tn_type *type, const int64_t *values,
                                tn_tensor *out)
{
    char label[200], text[160];
    TN_CHECK(type->rank >= 0, TN_INVALID, "%s: the rank of a tensor is only known in a run",
             tn_node_label(node, label, sizeof(label)));
    *out = (tn_tensor){.dtype = type->dtype, .rank = type->rank};
    for (int axis = 0; axis < type->rank; axis++) {
        out->dim[axis] = type->dim[axis] ? values[type->dim[axis]] : TN_EXPR_UNKNOWN;
        TN_CHECK(out->dim[axis] >= 0, TN_INVALID, "%s: dim %d of %s %s",
                 tn_node_label(node, label, sizeof(label)), axis,
                 tn_type_text(node->graph->exprs, type, text, sizeof(text)),
                 out->dim[axis] == TN_EXPR_UNKNOWN ? "is only known in a run"
                                                   : "is negative at these shapes");
    }
    TN_CHECK(tn_tensor_bytes(out) >= 0, TN_INVALID, "%s: %s is larger than any memory",
             tn_node_label(node, label, sizeof(label)),
             tn_type_text(node->graph->exprs, type, text, sizeof(text)));
    tn_tensor_set_dense(out);
    return NULL;
}

tn_status tn_node_problem(const tn_node *node, const int64_t *values, tn_arena *arena,
                          tn_problem *out)
{
    const tn_op *op = node->op;
    tn_problem p = {
        .op = op->name,
        .field = op->field,
        .field_count = op->field_count,
        .in_count = node->in_count,
        .out_count = node->out_count,
        .params = node->params,
        .params_bytes = node->params_bytes,
    };
    p.in = TN_NEW_ARRAY(arena, tn_tensor, p.in_count);
    p.out = TN_NEW_ARRAY(arena, tn_tensor, p.out_count);
    TN_CHECK(p.in && p.out, TN_OUT_OF_MEMORY, "no memory for a problem of %s", op->name);
    for (int i = 0; i < p.in_count; i++) {
        const tn_value *value = node->in[i];
        if (!value) continue;
        if (!tn_value_is_constant(value)) {
            TN_TRY(tensor_of_type(node, &value->type, values, &p.in[i]));
            continue;
        }
        p.in[i] = value->constant;
        if (i < 64) p.in_constant |= UINT64_C(1) << i;
    }
    for (int i = 0; i < p.out_count; i++)
        if (node->out[i]) TN_TRY(tensor_of_type(node, &node->out[i]->type, values, &p.out[i]));
    *out = p;
    return NULL;
}
