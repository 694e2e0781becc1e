/* If-1, Loop-1, Scan-9, SequenceMap-17: graphs inside nodes, run by the plan. This is their schema
 * and the types of what goes in and comes out; ir/subgraph.h says which inputs are which. */
#include "ops/control_flow/control_flow.h"

#include <string.h>

#include "ir/subgraph.h"

static const tn_port if_ins[] = {
    {"cond", TN_DT(BOOL), 0, 0},
    {"captured", TN_DTS_ANY, 0, TN_PORT_OPTIONAL | TN_PORT_VARIADIC | TN_PORT_ANY_KIND},
};
static const tn_port loop_ins[] = {
    {"M", TN_DT(I64), 0, TN_PORT_OPTIONAL},
    {"cond", TN_DT(BOOL), 0, TN_PORT_OPTIONAL},
    {"v_initial", TN_DTS_ANY, 0, TN_PORT_OPTIONAL | TN_PORT_VARIADIC | TN_PORT_ANY_KIND},
};
static const tn_port scan_ins[] = {
    {"inputs", TN_DTS_ANY, 0, TN_PORT_VARIADIC | TN_PORT_ANY_KIND},
};
static const tn_port outs[] = {
    {"outputs", TN_DTS_ANY, 0, TN_PORT_VARIADIC | TN_PORT_ANY_KIND},
};

static tn_status need_graph(const tn_node *node, const char *name)
{
    const tn_attr *attr = tn_node_find_attr(node, name);
    TN_CHECK(attr && attr->kind == TN_ATTR_GRAPH && attr->graph, TN_INVALID,
             "attribute '%s' must be a graph", name);
    return NULL;
}

static tn_graph *graph_of(const tn_node *node, const char *name)
{
    const tn_attr *attr = node ? tn_node_find_attr(node, name) : NULL;
    return attr ? attr->graph : NULL;
}

/* Types of count outputs of a graph inside, from `first`, as the node's graph sees them. */
static tn_status outside_types(tn_infer *f, const tn_graph *inside, const tn_type *seen, int first,
                               int count, tn_type **out)
{
    tn_type *type = TN_NEW_ARRAY(f->arena, tn_type, count);
    *out = TN_NEW_ARRAY(f->arena, tn_type, count);
    TN_CHECK(type && *out, TN_OUT_OF_MEMORY, "no memory to infer types");
    for (int i = 0; i < count; i++) type[i] = inside->output[first + i].value->type;
    return tn_infer_outside(f, inside, seen, type, count, *out);
}

/* ---- If --------------------------------------------------------------------------------------*/

static tn_status lower_if(const tn_node *node, void *params)
{
    (void)params;
    TN_TRY(need_graph(node, "then_branch"));
    return need_graph(node, "else_branch");
}

static tn_status enter_if(const tn_node *node, const tn_graph *inside, const tn_type *in,
                          int in_count, tn_type *seen)
{
    (void)node;
    for (int64_t i = 0; i < inside->input_count && i + 1 < in_count; i++) seen[i] = in[i + 1];
    return NULL;
}

static tn_status infer_if(tn_infer *f)
{
    tn_graph *branch[2] = {graph_of(f->node, "then_branch"), graph_of(f->node, "else_branch")};
    tn_type *seen, *type[2];
    int count = f->out_count;
    for (int i = 0; i < 2; i++) {
        TN_CHECK(branch[i] && branch[i]->output_count >= count, TN_INVALID,
                 "its graph '%s' has %lld outputs; the node has %d",
                 branch[i] ? branch[i]->name : "",
                 (long long)(branch[i] ? branch[i]->output_count : 0), count);
        TN_TRY(tn_infer_inside(f, branch[i], &seen));
        TN_TRY(outside_types(f, branch[i], seen, 0, count, &type[i]));
    }
    for (int i = 0; i < count; i++)
        TN_TRY_NOTE(tn_type_join(&type[0][i], &type[1][i], &f->out[i]),
                    "output %d of its branches '%s' and '%s'", i, branch[0]->name, branch[1]->name);
    return NULL;
}

const tn_op tn_op_if = {
    .name = "If",
    .since = 1,
    .about = "one of two graphs, by a condition",
    .in = if_ins,
    .in_count = TN_COUNT(if_ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .own_attrs = "then_branch|else_branch",
    .lower = lower_if,
    .infer = infer_if,
    .runs = TN_RUNS_IF,
    .enter = enter_if,
};

/* ---- Loop ------------------------------------------------------------------------------------*/

static const tn_field loop_fields[] = {TN_INT(tn_loop_params, carried, -1)};

static int clamp(int64_t value, int most)
{
    return value < 0 || value > most ? TN_MAX(most, 0) : (int)value;
}

static int carried_by_loop(const tn_node *node, int *in_first, int *out_first)
{
    *in_first = 2;
    *out_first = 1;
    return clamp(tn_node_int_attr(node, "carried", -1), node->in_count - 2);
}

static tn_status lower_loop(const tn_node *node, void *params)
{
    const tn_loop_params *loop = params;
    TN_CHECK(loop->carried >= -1 && loop->carried <= TN_MAX(node->in_count - 2, 0), TN_INVALID,
             "attribute 'carried' is %lld; the node has %d inputs", (long long)loop->carried,
             node->in_count);
    return need_graph(node, "body");
}

static tn_status enter_loop(const tn_node *node, const tn_graph *inside, const tn_type *in,
                            int in_count, tn_type *seen)
{
    (void)node;
    for (int64_t i = 0; i < inside->input_count && i < in_count; i++) seen[i] = in[i];
    if (inside->input_count > 0) seen[0] = tn_type_of(TN_DTYPE_I64, 0, NULL);
    if (inside->input_count > 1) seen[1] = tn_type_of(TN_DTYPE_BOOL, 0, NULL);
    return NULL;
}

static bool is_true(const tn_value *value)
{
    return value && value->kind == TN_VALUE_CONSTANT && tn_tensor_count(&value->constant) == 1 &&
           tn_load_i64(value->constant.dtype, value->constant.data, 0) == 1;
}

/* The body never ends the loop: it says so, or hands on what it was told. */
static bool runs_to_end(const tn_infer *f, const tn_graph *body)
{
    const tn_value *value = body->output[0].value;
    const tn_node *node = f->node;
    if (node->in_count > 1 && node->in[1] && !is_true(node->in[1])) return false;
    while (value->kind == TN_VALUE_NODE && !strcmp(value->producer->op->name, "Identity"))
        value = value->producer->in[0];
    return is_true(value) || value == body->input[1];
}

static tn_expr trip_count(tn_infer *f, const tn_graph *body)
{
    const tn_expr *at;
    int64_t count;
    if (!tn_infer_has(f, 0) || !runs_to_end(f, body)) return TN_EXPR_NONE;
    if (!tn_infer_exprs(f, 0, &at, &count) || count != 1 || !at[0]) return TN_EXPR_NONE;
    if (tn_expr_at_least(f->exprs, at[0], 0)) return at[0];
    return tn_expr_max(f->exprs, at[0], tn_expr_const(f->exprs, 0));
}

/* What is carried leaves as it goes in: that holds for no iteration too. */
static tn_status final_types(tn_infer *f, const tn_graph *body, const tn_type *seen, int in_first,
                             int out_first, int count)
{
    tn_type *type = TN_NEW_ARRAY(f->arena, tn_type, count);
    tn_type *out = TN_NEW_ARRAY(f->arena, tn_type, count);
    TN_CHECK(type && out, TN_OUT_OF_MEMORY, "no memory to infer types");
    for (int i = 0; i < count; i++) type[i] = body->input[in_first + i]->type;
    TN_TRY(tn_infer_outside(f, body, seen, type, count, out));
    for (int i = 0; i < count && i < f->out_count; i++) {
        f->out[i] = out[i];
        f->out[i].kind = body->output[out_first + i].value->type.kind;
        for (int axis = 0; axis < out[i].rank; axis++)
            if (body->input[in_first + i]->varies >> axis & 1) f->out[i].dim[axis] = TN_EXPR_NONE;
    }
    return NULL;
}

/* A scan output: what the body gives, with an axis for the iterations put in. */
static tn_status scanned_type(const tn_type *slice, tn_expr length, int64_t axis, int index,
                              tn_type *out)
{
    TN_CHECK(slice->kind == TN_TYPE_TENSOR, TN_INVALID,
             "output %d collects what the body gives, which must be a tensor", index);
    *out = *slice;
    if (slice->rank < 0) return NULL;
    TN_CHECK(slice->rank < TN_RANK_MAX, TN_UNSUPPORTED, "output %d would have more than %d dims",
             index, TN_RANK_MAX);
    int at = tn_axis_normal(axis, slice->rank + 1);
    TN_CHECK(at >= 0, TN_INVALID, "output %d is collected along axis %lld of %d", index,
             (long long)axis, slice->rank + 1);
    out->rank = slice->rank + 1;
    for (int k = slice->rank; k > at; k--) out->dim[k] = slice->dim[k - 1];
    out->dim[at] = length;
    return NULL;
}

static tn_status infer_loop(tn_infer *f)
{
    tn_graph *body = graph_of(f->node, "body");
    tn_type *seen, *type;
    int in_first, out_first;
    TN_TRY(tn_infer_inside(f, body, &seen));
    int carried = carried_by_loop(f->node, &in_first, &out_first);
    int64_t scans = body->output_count - 1 - carried;
    TN_CHECK(body->input_count >= 2 && scans >= 0 && f->out_count <= carried + scans, TN_INVALID,
             "its body has %lld inputs and %lld outputs, where %d values are carried and the node "
             "has %d outputs",
             (long long)body->input_count, (long long)body->output_count, carried, f->out_count);
    TN_CHECK(body->output[0].value->type.dtype == TN_DTYPE_BOOL, TN_INVALID,
             "the first output of its body, the condition, is %s; it must be bool",
             tn_dtype_name(body->output[0].value->type.dtype));
    TN_TRY(final_types(f, body, seen, in_first, out_first, carried));
    TN_TRY(outside_types(f, body, seen, 1 + carried, (int)scans, &type));
    tn_expr length = trip_count(f, body);
    for (int i = 0; i < scans && carried + i < f->out_count; i++)
        TN_TRY(scanned_type(&type[i], length, 0, carried + i, &f->out[carried + i]));
    return NULL;
}

const tn_op tn_op_loop = {
    .name = "Loop",
    .since = 1,
    .about = "a graph run again and again: a number of times, while a condition holds, or both",
    .in = loop_ins,
    .in_count = TN_COUNT(loop_ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = loop_fields,
    .field_count = TN_COUNT(loop_fields),
    .own_attrs = "body",
    .params_bytes = sizeof(tn_loop_params),
    .lower = lower_loop,
    .infer = infer_loop,
    .runs = TN_RUNS_LOOP,
    .enter = enter_loop,
    .carried = carried_by_loop,
};

/* ---- Scan ------------------------------------------------------------------------------------*/

static const tn_field scan_fields[] = {
    {.name = "num_scan_inputs",
     .kind = TN_FIELD_INT,
     .offset = offsetof(tn_scan_params, num_scan_inputs),
     .required = true},
    TN_INT(tn_scan_params, carried, -1),
    TN_INT_LIST(tn_scan_params, scan_input_axes),
    TN_INT_LIST(tn_scan_params, scan_output_axes),
    TN_INT_LIST(tn_scan_params, scan_input_directions),
    TN_INT_LIST(tn_scan_params, scan_output_directions),
};

static int carried_by_scan(const tn_node *node, int *in_first, int *out_first)
{
    *in_first = *out_first = 0;
    int64_t scanned = tn_node_int_attr(node, "num_scan_inputs", 0);
    if (scanned < 0 || scanned > node->in_count) return 0;
    return clamp(tn_node_int_attr(node, "carried", -1), node->in_count - (int)scanned);
}

static tn_status check_flags(const char *name, const tn_ints *list)
{
    for (int32_t i = 0; i < list->count; i++)
        TN_CHECK(list->at[i] == 0 || list->at[i] == 1, TN_INVALID,
                 "attribute '%s' has an element %lld; 0 and 1 are possible", name,
                 (long long)list->at[i]);
    return NULL;
}

static tn_status lower_scan(const tn_node *node, void *params)
{
    const tn_scan_params *scan = params;
    int64_t scanned = scan->num_scan_inputs, room = node->in_count - scanned;
    TN_CHECK(scanned >= 1 && room >= 0 && scan->carried >= -1 && scan->carried <= room, TN_INVALID,
             "%lld of its %d inputs are said to be scanned and %lld carried", (long long)scanned,
             node->in_count, (long long)scan->carried);
    int64_t carried = scan->carried < 0 ? room : scan->carried, scans = node->out_count - carried;
    TN_CHECK(scan->scan_input_axes.count <= 0 || scan->scan_input_axes.count == scanned, TN_INVALID,
             "attribute 'scan_input_axes' has %d elements for %lld scanned inputs",
             scan->scan_input_axes.count, (long long)scanned);
    TN_CHECK(scan->scan_input_directions.count <= 0 || scan->scan_input_directions.count == scanned,
             TN_INVALID,
             "attribute 'scan_input_directions' has %d elements for %lld scanned inputs",
             scan->scan_input_directions.count, (long long)scanned);
    TN_CHECK(scan->scan_output_axes.count <= 0 || scan->scan_output_axes.count >= scans, TN_INVALID,
             "attribute 'scan_output_axes' has %d elements for %lld collected outputs",
             scan->scan_output_axes.count, (long long)scans);
    TN_CHECK(scan->scan_output_directions.count <= 0 || scan->scan_output_directions.count >= scans,
             TN_INVALID,
             "attribute 'scan_output_directions' has %d elements for %lld collected outputs",
             scan->scan_output_directions.count, (long long)scans);
    TN_TRY(check_flags("scan_input_directions", &scan->scan_input_directions));
    TN_TRY(check_flags("scan_output_directions", &scan->scan_output_directions));
    return need_graph(node, "body");
}

static int64_t axis_of(const tn_node *node, const char *name, int index)
{
    const tn_attr *attr = tn_node_find_attr(node, name);
    return attr && attr->kind == TN_ATTR_INTS && index < attr->count ? attr->ints[index] : 0;
}

static tn_status enter_scan(const tn_node *node, const tn_graph *inside, const tn_type *in,
                            int in_count, tn_type *seen)
{
    int in_first, out_first, carried = carried_by_scan(node, &in_first, &out_first);
    int given = tn_node_inside_given(node);
    for (int i = 0; i < inside->input_count && i < in_count; i++) {
        seen[i] = in[i];
        if (i < carried || i >= given || in[i].rank < 0) continue;
        int64_t axis = axis_of(node, "scan_input_axes", i - carried);
        int at = tn_axis_normal(axis, in[i].rank);
        TN_CHECK(in[i].kind == TN_TYPE_TENSOR && at >= 0, TN_INVALID,
                 "input %d, of rank %d, cannot be scanned along axis %lld", i, in[i].rank,
                 (long long)axis);
        for (int k = at + 1; k < in[i].rank; k++) seen[i].dim[k - 1] = in[i].dim[k];
        seen[i].dim[in[i].rank - 1] = TN_EXPR_NONE;
        seen[i].rank--;
    }
    return NULL;
}

/* The length that all scanned inputs have. */
static tn_status scan_length(const tn_infer *f, int carried, int64_t scanned, tn_expr *out)
{
    *out = TN_EXPR_NONE;
    for (int i = 0; i < scanned; i++) {
        const tn_type *type = &f->in[carried + i];
        int64_t a, b;
        if (type->rank < 0) continue;
        int at = tn_axis_normal(axis_of(f->node, "scan_input_axes", i), type->rank);
        tn_expr dim = at < 0 ? TN_EXPR_NONE : type->dim[at];
        bool fixed = tn_expr_is_const(f->exprs, dim, &b);
        if (*out == TN_EXPR_NONE) *out = dim;
        else if (tn_expr_is_const(f->exprs, *out, &a))
            TN_CHECK(!fixed || a == b, TN_INVALID,
                     "its scanned inputs are %lld and %lld long; they must be equally long",
                     (long long)a, (long long)b);
        else if (fixed) *out = dim;
    }
    return NULL;
}

static tn_status infer_scan(tn_infer *f)
{
    const tn_scan_params *scan = f->params;
    tn_graph *body = graph_of(f->node, "body");
    tn_type *seen, *type;
    int in_first, out_first;
    tn_expr length;
    TN_TRY(tn_infer_inside(f, body, &seen));
    int carried = carried_by_scan(f->node, &in_first, &out_first);
    int64_t scans = body->output_count - carried;
    TN_CHECK(scans >= 0 && f->out_count <= body->output_count, TN_INVALID,
             "its body has %lld outputs, where %d values are carried and the node has %d outputs",
             (long long)body->output_count, carried, f->out_count);
    TN_TRY(final_types(f, body, seen, 0, 0, carried));
    TN_TRY(outside_types(f, body, seen, carried, (int)scans, &type));
    TN_TRY(scan_length(f, carried, scan->num_scan_inputs, &length));
    for (int i = 0; i < scans && carried + i < f->out_count; i++)
        TN_TRY(scanned_type(&type[i], length, axis_of(f->node, "scan_output_axes", i), carried + i,
                            &f->out[carried + i]));
    return NULL;
}

const tn_op tn_op_scan = {
    .name = "Scan",
    .since = 9,
    .about = "a graph run on every slice of its inputs, in order, with values carried along",
    .in = scan_ins,
    .in_count = TN_COUNT(scan_ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = scan_fields,
    .field_count = TN_COUNT(scan_fields),
    .own_attrs = "body",
    .params_bytes = sizeof(tn_scan_params),
    .lower = lower_scan,
    .infer = infer_scan,
    .runs = TN_RUNS_SCAN,
    .enter = enter_scan,
    .carried = carried_by_scan,
};

/* ---- SequenceMap -----------------------------------------------------------------------------*/

static const tn_field map_fields[] = {TN_INT(tn_map_params, given, -1)};

/* Nothing is carried; what is given comes first. */
static int given_to_map(const tn_node *node, int *in_first, int *out_first)
{
    *in_first = clamp(tn_node_int_attr(node, "given", -1), node->in_count);
    *out_first = 0;
    return 0;
}

static tn_status lower_map(const tn_node *node, void *params)
{
    const tn_map_params *map = params;
    TN_CHECK(map->given >= -1 && map->given <= node->in_count && map->given != 0, TN_INVALID,
             "attribute 'given' is %lld; the node has %d inputs", (long long)map->given,
             node->in_count);
    return need_graph(node, "body");
}

/* The body sees the tensors of a sequence one by one. */
static tn_status enter_map(const tn_node *node, const tn_graph *inside, const tn_type *in,
                           int in_count, tn_type *seen)
{
    int in_first, out_first;
    given_to_map(node, &in_first, &out_first);
    for (int i = 0; i < inside->input_count && i < in_count; i++) {
        seen[i] = in[i];
        if (i < in_first && in[i].kind == TN_TYPE_SEQUENCE) seen[i].kind = TN_TYPE_TENSOR;
    }
    return NULL;
}

static tn_status infer_map(tn_infer *f)
{
    tn_graph *body = graph_of(f->node, "body");
    tn_type *seen, *type;
    int64_t number;
    TN_CHECK(f->in_count > 0 && f->in[0].kind == TN_TYPE_SEQUENCE, TN_INVALID,
             "its first input must be a sequence");
    TN_TRY(tn_infer_inside(f, body, &seen));
    TN_CHECK(body->output_count >= f->out_count, TN_INVALID,
             "its body has %lld outputs; the node has %d", (long long)body->output_count,
             f->out_count);
    TN_TRY(outside_types(f, body, seen, 0, f->out_count, &type));
    for (int i = 0; i < f->out_count; i++) {
        TN_CHECK(type[i].kind == TN_TYPE_TENSOR, TN_INVALID, "output %d of its body is no tensor",
                 i);
        f->out[i] = type[i];
        f->out[i].kind = TN_TYPE_SEQUENCE;
        for (int axis = 0; axis < type[i].rank; axis++)
            if (!tn_expr_is_const(f->exprs, type[i].dim[axis], &number))
                f->out[i].dim[axis] = TN_EXPR_NONE;
    }
    return NULL;
}

const tn_op tn_op_sequence_map = {
    .name = "SequenceMap",
    .since = 17,
    .about = "a graph run on every tensor of a sequence; what it gives are sequences again",
    .in = scan_ins,
    .in_count = TN_COUNT(scan_ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = map_fields,
    .field_count = TN_COUNT(map_fields),
    .own_attrs = "body",
    .params_bytes = sizeof(tn_map_params),
    .lower = lower_map,
    .infer = infer_map,
    .runs = TN_RUNS_MAP,
    .enter = enter_map,
    .carried = given_to_map,
};
