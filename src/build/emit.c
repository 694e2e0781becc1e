/* Graph to plan: every needed value becomes a tensor, every needed node a step, in order.
 *
 *     graph                        tensors                      steps
 *     x  input                     t0 input 0
 *     w  constant                  t1 constant 0
 *     y = MatMul(x, w)             t2 output 0                  MatMul t0 t1 -> t2
 *     z = Reshape(y, shape)        t3 alias of t2               none: z is y's bytes
 *     output "z"
 *
 * A value that is a graph output, or whose bytes one is, is written where the output lives; the
 * same value as a second output, an input or a constant as an output is copied there at the end.
 * While the plan is made, its dims are expressions of the graph; at the end the ones in use become
 * a pool of its own. A graph inside a node becomes a plan of its own inside the plan, in the same
 * way.
 */
#include <string.h>

#include "build/stage.h"
#include "ir/subgraph.h"
#include "ops/reference.h"

typedef struct emitter {
    const tn_graph *graph;
    tn_chooser *chooser;
    tn_plan *plan;
    tn_survey survey;
    tn_constant_list *constants;
    tn_arena *arena;           /* scratch */
    int32_t *tensor[2];        /* value id -> tensor + 1, in the host's memory and the card's */
    int32_t *claim;            /* id of a root value -> output + 1 */
    const bool *input_dynamic; /* of a plan inside another; else NULL */
    int64_t tensor_capacity, step_capacity, symbol_capacity;
} emitter;

/* ---- Tensors ---------------------------------------------------------------------------------*/

static tn_status add_tensor(emitter *e, const tn_plan_tensor *t, int32_t *out)
{
    int64_t capacity = e->tensor_capacity;
    TN_TRY(tn_arena_grow(&e->plan->arena, &e->plan->tensor, e->plan->tensor_count, &capacity,
                         (int64_t)e->plan->tensor_count + 1, sizeof(*e->plan->tensor)));
    e->tensor_capacity = capacity;
    e->plan->tensor[e->plan->tensor_count] = *t;
    *out = e->plan->tensor_count++;
    return NULL;
}

static tn_plan_tensor describe(const emitter *e, const tn_value *value)
{
    tn_plan_tensor t = {.place = TN_PLACE_BLOCK,
                        .dtype = value->type.dtype,
                        .rank = value->type.rank,
                        .dynamic = e->survey.value_dynamic[value->id]};
    if (value->type.kind != TN_TYPE_TENSOR) {
        t.kind = (tn_plan_kind)value->type.kind;
        t.dynamic = true;
        t.rank = -1;
    }
    for (int axis = 0; axis < t.rank; axis++) t.dim[axis] = value->type.dim[axis];
    return t;
}

/* Whose memory a value comes to be in: that of the step that makes it. */
static bool home_of(const emitter *e, const tn_value *value)
{
    while (value->kind == TN_VALUE_NODE && e->survey.node[value->producer->id].kind == TN_NODE_VIEW)
        value = value->producer->in[0];
    if (value->kind != TN_VALUE_NODE) return false;
    const tn_node_plan *plan = &e->survey.node[value->producer->id];
    return plan->kind == TN_NODE_LAUNCH && plan->choices.card;
}

static tn_status bring_over(emitter *e, const tn_value *value, bool card, int32_t *out);

/* The number of a value's tensor in either memory, made when first asked for: where it is not at
 * home, with a step that copies it. A value whose producer was left out is a shape without bytes.
 */
static tn_status tensor_of(emitter *e, const tn_value *value, bool card, int32_t *out)
{
    *out = e->tensor[card][value->id] - 1;
    if (*out >= 0) return NULL;
    if (card != home_of(e, value) && value->kind != TN_VALUE_CONSTANT)
        return bring_over(e, value, card, out);
    tn_plan_tensor t = describe(e, value);
    t.card = card;
    if (value->kind == TN_VALUE_CONSTANT) {
        t.place = TN_PLACE_CONSTANT;
        t.dynamic = false;
        TN_TRY(tn_constants_add(e->constants, &value->constant, false, &t.index));
    } else if (value->kind == TN_VALUE_INPUT) {
        t.place = TN_PLACE_INPUT;
        while (e->graph->input[t.index] != value) t.index++;
    } else if (e->claim[value->id]) {
        t.place = TN_PLACE_OUTPUT;
        t.index = e->claim[value->id] - 1;
    }
    TN_TRY(add_tensor(e, &t, out));
    e->tensor[card][value->id] = *out + 1;
    return NULL;
}

/* ---- Steps -----------------------------------------------------------------------------------*/

static tn_status add_step(emitter *e, tn_plan_step **out)
{
    int64_t capacity = e->step_capacity;
    TN_TRY(tn_arena_grow(&e->plan->arena, &e->plan->step, e->plan->step_count, &capacity,
                         (int64_t)e->plan->step_count + 1, sizeof(*e->plan->step)));
    e->step_capacity = capacity;
    *out = &e->plan->step[e->plan->step_count];
    **out = (tn_plan_step){0};
    return NULL;
}

static tn_status name_step(emitter *e, tn_plan_step *step, const char *name, const char *op)
{
    step->name = tn_arena_text(&e->plan->arena, name, strlen(name));
    step->op = tn_arena_text(&e->plan->arena, op, strlen(op));
    TN_CHECK(step->name && step->op, TN_OUT_OF_MEMORY, "no memory for a step");
    return NULL;
}

/* unused: those of which only the shape is asked, in either memory. */
static tn_status tensors_of(emitter *e, tn_value *const *value, int32_t count, bool card,
                            uint64_t unused, int32_t **out)
{
    int32_t *at = TN_NEW_ARRAY(&e->plan->arena, int32_t, count);
    TN_CHECK(at, TN_OUT_OF_MEMORY, "no memory for a step");
    for (int32_t i = 0; i < count; i++) {
        at[i] = -1;
        if (!value[i]) continue;
        bool unread = i < 64 && (unused >> i & 1);
        TN_TRY(tensor_of(e, value[i], unread ? home_of(e, value[i]) : card, &at[i]));
    }
    *out = at;
    return NULL;
}

/* A step that copies a tensor to a new one. */
static tn_status copy_tensor(emitter *e, int32_t from, const tn_plan_tensor *type, const char *name,
                             int32_t *out)
{
    tn_plan_step *step;
    TN_TRY(add_tensor(e, type, out));
    TN_TRY(add_step(e, &step));
    TN_TRY(name_step(e, step, name, "Copy"));
    step->kind = TN_STEP_COPY;
    step->in_count = step->out_count = 1;
    step->in = TN_NEW_ARRAY(&e->plan->arena, int32_t, 1);
    step->out = TN_NEW_ARRAY(&e->plan->arena, int32_t, 1);
    TN_CHECK(step->in && step->out, TN_OUT_OF_MEMORY, "no memory for a step");
    step->in[0] = from;
    step->out[0] = *out;
    e->plan->step_count++;
    return NULL;
}

static tn_status bring_over(emitter *e, const tn_value *value, bool card, int32_t *out)
{
    int32_t from;
    TN_TRY(tensor_of(e, value, !card, &from));
    tn_plan_tensor t = describe(e, value);
    t.card = card;
    TN_TRY(copy_tensor(e, from, &t, value->name ? value->name : "", out));
    e->tensor[card][value->id] = *out + 1;
    return NULL;
}

/* What a node reads, in the memory where it runs: before its own step is begun, since this may add
 * steps that copy. */
static tn_status bring_inputs(emitter *e, const tn_node *node, bool card, uint64_t unused)
{
    int32_t tensor;
    for (int32_t i = 0; i < node->in_count; i++) {
        bool unread = i < 64 && (unused >> i & 1);
        if (node->in[i] && !unread) TN_TRY(tensor_of(e, node->in[i], card, &tensor));
    }
    return NULL;
}

static tn_status pack(emitter *e, const tn_tactic *tactic, const tn_problem *p, int32_t *out)
{
    *out = -1;
    size_t bytes = tactic->packed_bytes ? tactic->packed_bytes(p) : 0;
    if (bytes == 0) return NULL;
    int64_t dim = (int64_t)bytes;
    /* Zeroed: gaps that a tactic leaves must not differ from build to build. */
    void *memory = tn_alloc_zero(bytes);
    TN_CHECK(memory, TN_OUT_OF_MEMORY, "no memory for %zu bytes of packed weights", bytes);
    tn_status status = tactic->pack(p, memory);
    if (status) {
        tn_free(memory, bytes);
        return tn_status_trail(status, __FILE__, __LINE__, __func__);
    }
    tn_tensor packed = tn_tensor_of(TN_DTYPE_U8, &dim, 1, memory);
    tn_panels panels;
    bool moved = tactic->panels && tactic->panels(p, &panels);
    return tn_constants_pack(e->constants, &packed, &p->in[1], moved ? &panels : NULL, out);
}

static tn_status emit_choices(emitter *e, const tn_node *node, const tn_choices *choices,
                              tn_plan_step *step)
{
    step->choice = TN_NEW_ARRAY(&e->plan->arena, tn_plan_choice, choices->count);
    TN_CHECK(step->choice, TN_OUT_OF_MEMORY, "no memory for a step");
    for (int i = 0; i < choices->count; i++) {
        const tn_tactic *tactic = choices->tactic[i];
        tn_plan_choice *choice = &step->choice[i];
        *choice =
            (tn_plan_choice){.revision = tactic->revision, .packed = -1, .from = choices->from[i]};
        choice->tactic = tn_arena_text(&e->plan->arena, tactic->name, strlen(tactic->name));
        TN_CHECK(choice->tactic, TN_OUT_OF_MEMORY, "no memory for a step");
        if (!tactic->packed_bytes) continue;
        tn_problem p;
        tn_arena arena;
        tn_arena_init(&arena);
        tn_status status = tn_node_problem(node, e->chooser->values, &arena, &p);
        if (!status) status = pack(e, tactic, &p, &choice->packed);
        tn_arena_fini(&arena);
        TN_TRY(status);
    }
    step->choice_count = choices->count;
    step->problem = tn_arena_text(&e->plan->arena, choices->problem, strlen(choices->problem));
    TN_CHECK(step->problem, TN_OUT_OF_MEMORY, "no memory for a step");
    return NULL;
}

/* Run-time symbols that a value binds. */
static tn_status emit_symbols_of(emitter *e, const tn_value *value)
{
    tn_plan *plan = e->plan;
    for (int axis = 0; axis < value->type.rank; axis++) {
        tn_expr expr = value->type.dim[axis];
        if (expr == TN_EXPR_NONE || e->survey.definer[expr] != value ||
            e->survey.definer_axis[expr] != axis)
            continue;
        int64_t capacity = e->symbol_capacity;
        TN_TRY(tn_arena_grow(&plan->arena, &plan->symbol, plan->symbol_count, &capacity,
                             (int64_t)plan->symbol_count + 1, sizeof(*plan->symbol)));
        e->symbol_capacity = capacity;
        plan->symbol[plan->symbol_count++] = (tn_plan_symbol){
            .expr = expr, .input = -1, .axis = axis, .tensor = e->tensor[0][value->id] - 1};
    }
    return NULL;
}

static tn_status emit_symbols(emitter *e, const tn_node *node)
{
    for (int32_t k = 0; k < node->out_count; k++)
        if (node->out[k]) TN_TRY(emit_symbols_of(e, node->out[k]));
    return NULL;
}

static tn_status emit_launch(emitter *e, const tn_node *node, const tn_node_plan *how,
                             tn_plan_step *step)
{
    tn_arena *arena = &e->plan->arena;
    step->kind = TN_STEP_LAUNCH;
    step->params_bytes = node->params_bytes;
    step->params = tn_arena_alloc(arena, step->params_bytes);
    TN_CHECK(step->params, TN_OUT_OF_MEMORY, "no memory for a step");
    if (step->params_bytes) memcpy(step->params, node->params, step->params_bytes);
    step->in_count = node->in_count;
    step->out_count = node->out_count;
    uint64_t inputs = node->in_count < 64 ? (UINT64_C(1) << node->in_count) - 1 : UINT64_MAX;
    step->in_unused = how->unused & inputs;
    step->card = how->choices.card;
    TN_TRY(tensors_of(e, node->in, node->in_count, step->card, step->in_unused, &step->in));
    TN_TRY(tensors_of(e, node->out, node->out_count, step->card, 0, &step->out));
    TN_TRY(emit_choices(e, node, &how->choices, step));
    return emit_symbols(e, node);
}

/* ---- Plans inside ----------------------------------------------------------------------------*/

static tn_status emit_graph(emitter *e);

/* Numbers that a step of the plan itself needs. */
static tn_status emit_numbers(emitter *e, const tn_node *node, tn_plan_step *step)
{
    int64_t carried, scanned = 0;
    int in_first, out_first;
    if (node->op->runs == TN_RUNS_IF) return NULL;
    if (node->op->runs == TN_RUNS_SEQUENCE || !node->op->carried)
        return tn_sequence_numbers(node, &e->plan->arena, step);
    carried = node->op->carried(node, &in_first, &out_first);
    if (node->op->runs == TN_RUNS_MAP) carried = in_first;
    if (node->op->runs == TN_RUNS_SCAN) scanned = tn_node_int_attr(node, "num_scan_inputs", 0);
    int64_t collected = scanned ? node->out_count - carried : 0;
    int64_t count = scanned ? 2 + 2 * (scanned + collected) : 1;
    step->number = TN_NEW_ARRAY(&e->plan->arena, int64_t, count);
    TN_CHECK(step->number && count < INT32_MAX, TN_OUT_OF_MEMORY, "no memory for a step");
    step->number[0] = carried;
    step->number_count = (int32_t)count;
    if (!scanned) return NULL;
    step->number[1] = scanned;
    for (int64_t i = 0; i < scanned + collected; i++) {
        bool in = i < scanned;
        const tn_attr *axes = tn_node_find_attr(node, in ? "scan_input_axes" : "scan_output_axes");
        const tn_attr *ways =
            tn_node_find_attr(node, in ? "scan_input_directions" : "scan_output_directions");
        int64_t k = in ? i : i - scanned;
        step->number[2 + 2 * i] = axes && k < axes->count ? axes->ints[k] : 0;
        step->number[3 + 2 * i] = ways && k < ways->count ? ways->ints[k] : 0;
    }
    return NULL;
}

/* The sizes to tune a graph inside for, from those around it; NULL where they cannot be told. */
static tn_status values_inside(emitter *e, const tn_node *node, const tn_graph *inside,
                               tn_arena *arena, int64_t **out)
{
    const int64_t *values = e->chooser->values;
    tn_type *in = TN_NEW_ARRAY(arena, tn_type, node->in_count);
    tn_type *seen = TN_NEW_ARRAY(arena, tn_type, inside->input_count);
    tn_shape_set set = {
        .name = "opt",
        .rank = TN_NEW_ARRAY(arena, int32_t, inside->input_count),
        .dim = tn_arena_alloc_array(arena, (size_t)inside->input_count, sizeof(*set.dim))};
    TN_CHECK(in && seen && set.rank && set.dim, TN_OUT_OF_MEMORY, "no memory for shapes");
    *out = NULL;
    if (!values) return NULL;
    for (int32_t i = 0; i < node->in_count; i++)
        if (node->in[i]) in[i] = node->in[i]->type;
    TN_TRY(node->op->enter(node, inside, in, node->in_count, seen));
    for (int64_t i = 0; i < inside->input_count; i++) {
        const tn_type *type = &inside->input[i]->type;
        if (type->kind != TN_TYPE_TENSOR) continue;
        if (type->rank < 0 || type->rank != seen[i].rank) return NULL;
        set.rank[i] = type->rank;
        for (int axis = 0; axis < type->rank; axis++) {
            tn_expr dim = seen[i].dim[axis];
            int64_t size = dim ? values[dim] : TN_EXPR_UNKNOWN;
            if (size == TN_EXPR_UNKNOWN && !tn_expr_is_const(e->graph->exprs, dim, &size)) size = 1;
            set.dim[i][axis] = size;
        }
    }
    tn_status status = tn_shapes_values(inside, &set, arena, out);
    if (!status) return NULL;
    *out = NULL;
    return tn_status_code(status) == TN_OUT_OF_MEMORY ? status : NULL;
}

/* Recursion: as deep as graphs are nested. */
static tn_status emit_sub(emitter *e, const tn_node *node, const tn_graph *inside, int32_t *number)
{
    tn_chooser chooser = *e->chooser;
    chooser.host_only = true;
    chooser.other_count = 0;
    emitter sub = {.graph = inside, .chooser = &chooser, .constants = e->constants};
    int64_t *values;
    tn_arena arena;
    bool *dynamic;
    TN_TRY(tn_plan_add_sub(e->plan, &sub.plan, number));
    tn_arena_init(&arena);
    sub.arena = &arena;
    sub.input_dynamic = dynamic = TN_NEW_ARRAY(&arena, bool, inside->input_count);
    tn_status status = dynamic ? values_inside(e, node, inside, &arena, &values)
                               : TN_ERROR(TN_OUT_OF_MEMORY, "no memory for a plan");
    int shift = tn_node_inside_shift(node), given = tn_node_inside_given(node);
    for (int64_t i = 0; i < inside->input_count && !status; i++) {
        const tn_value *outer = node->in[i + shift];
        bool own =
            node->op->runs == TN_RUNS_LOOP && i < 2; /* the number of the round, the condition */
        dynamic[i] =
            inside->input[i]->varies || (!own && outer && outer->kind != TN_VALUE_CONSTANT &&
                                         e->survey.value_dynamic[outer->id]);
        /* A value that leaves the body with another size than the one it came with. */
        if (i < given && inside->input[i]->type.rank < 0) dynamic[i] = true;
    }
    if (!status) {
        chooser.values = values;
        status = emit_graph(&sub);
    }
    /* What was decided and spent inside counts outside too. */
    chooser.values = e->chooser->values;
    chooser.host_only = e->chooser->host_only;
    *e->chooser = chooser;
    tn_arena_fini(&arena);
    if (status)
        return tn_status_note(tn_status_trail(status, __FILE__, __LINE__, __func__),
                              "in graph '%s' of %s '%s'", inside->name, node->op->name, node->name);
    return NULL;
}

static tn_status emit_inside(emitter *e, const tn_node *node, tn_plan_step *step)
{
    static const char *const branches[] = {"then_branch", "else_branch"};
    bool is_if = node->op->runs == TN_RUNS_IF;
    step->kind = is_if                            ? TN_STEP_IF
                 : node->op->runs == TN_RUNS_LOOP ? TN_STEP_LOOP
                 : node->op->runs == TN_RUNS_MAP  ? TN_STEP_MAP
                                                  : TN_STEP_SCAN;
    step->sub = TN_NEW_ARRAY(&e->plan->arena, int32_t, 2);
    TN_CHECK(step->sub, TN_OUT_OF_MEMORY, "no memory for a step");
    step->sub_count = is_if ? 2 : 1;
    for (int i = 0; i < step->sub_count; i++) {
        const tn_attr *attr = tn_node_find_attr(node, is_if ? branches[i] : "body");
        TN_CHECK(attr && attr->graph, TN_INTERNAL, "a node lost its graph");
        TN_TRY(emit_sub(e, node, attr->graph, &step->sub[i]));
    }
    return NULL;
}

/* A step that the plan itself runs. */
static tn_status emit_own(emitter *e, const tn_node *node, tn_plan_step *step)
{
    step->in_count = node->in_count;
    step->out_count = node->out_count;
    TN_TRY(tensors_of(e, node->in, node->in_count, false, 0, &step->in));
    TN_TRY(tensors_of(e, node->out, node->out_count, false, 0, &step->out));
    TN_TRY(emit_numbers(e, node, step));
    step->kind = TN_STEP_SEQUENCE;
    if (e->survey.node[node->id].kind == TN_NODE_INSIDE) TN_TRY(emit_inside(e, node, step));
    return emit_symbols(e, node);
}

static tn_status emit_dims(emitter *e, const tn_node *node, tn_plan_step *step)
{
    const tn_known *known = &node->out[0]->known;
    step->kind = TN_STEP_DIMS;
    step->out_count = 1;
    TN_TRY(tensors_of(e, node->out, 1, false, 0, &step->out));
    step->dims = TN_NEW_ARRAY(&e->plan->arena, tn_expr, known->count);
    TN_CHECK(step->dims, TN_OUT_OF_MEMORY, "no memory for a step");
    memcpy(step->dims, known->at, sizeof(tn_expr) * (size_t)known->count);
    step->dims_count = (int32_t)known->count;
    return NULL;
}

static tn_status emit_view(emitter *e, const tn_node *node)
{
    const tn_value *value = node->out[0];
    tn_plan_tensor t = describe(e, value);
    int32_t number;
    t.place = TN_PLACE_ALIAS;
    t.card = home_of(e, value);
    TN_TRY(tensor_of(e, node->in[0], t.card, &t.index));
    t.dynamic = e->plan->tensor[t.index].dynamic;
    /* All that reads this value has to know that its bytes come in a run. */
    e->survey.value_dynamic[value->id] = t.dynamic;
    TN_TRY(add_tensor(e, &t, &number));
    e->tensor[t.card][value->id] = number + 1;
    return NULL;
}

static tn_status emit_node(emitter *e, const tn_node *node)
{
    const tn_node_plan *how = &e->survey.node[node->id];
    tn_plan_step *step;
    if (how->kind == TN_NODE_SKIP) return NULL;
    if (how->kind == TN_NODE_VIEW) return emit_view(e, node);
    if (how->kind == TN_NODE_LAUNCH) TN_TRY(bring_inputs(e, node, how->choices.card, how->unused));
    else if (how->kind != TN_NODE_DIMS) TN_TRY(bring_inputs(e, node, false, 0));
    TN_TRY(add_step(e, &step));
    TN_TRY(name_step(e, step, node->name, node->op->name));
    step->node = node->id + 1;
    if (how->kind == TN_NODE_DIMS) TN_TRY(emit_dims(e, node, step));
    else if (how->kind == TN_NODE_LAUNCH) TN_TRY(emit_launch(e, node, how, step));
    else TN_TRY(emit_own(e, node, step));
    e->plan->step_count++;
    return NULL;
}

/* ---- Inputs and outputs ----------------------------------------------------------------------*/

static tn_status emit_inputs(emitter *e)
{
    const tn_graph *graph = e->graph;
    tn_plan *plan = e->plan;
    bool *bound = TN_NEW_ARRAY(e->arena, bool, graph->exprs->count);
    plan->input = TN_NEW_ARRAY(&plan->arena, tn_plan_io, graph->input_count);
    TN_CHECK(bound && plan->input, TN_OUT_OF_MEMORY, "no memory for the inputs");
    for (int64_t i = 0; i < graph->input_count; i++) {
        const tn_value *value = graph->input[i];
        plan->input[i].name = tn_arena_text(&plan->arena, value->name, strlen(value->name));
        TN_CHECK(plan->input[i].name, TN_OUT_OF_MEMORY, "no memory for the inputs");
        TN_TRY(tensor_of(e, value, false, &plan->input[i].tensor));
        if (plan->tensor[plan->input[i].tensor].dynamic) {
            TN_TRY(emit_symbols_of(e, value));
            continue;
        }
        for (int axis = 0; axis < value->type.rank; axis++) {
            tn_expr expr = value->type.dim[axis];
            if (tn_expr_get(graph->exprs, expr)->op != TN_EXPR_OP_SYMBOL || bound[expr]) continue;
            int64_t capacity = e->symbol_capacity;
            TN_TRY(tn_arena_grow(&plan->arena, &plan->symbol, plan->symbol_count, &capacity,
                                 (int64_t)plan->symbol_count + 1, sizeof(*plan->symbol)));
            e->symbol_capacity = capacity;
            plan->symbol[plan->symbol_count++] =
                (tn_plan_symbol){.expr = expr, .input = (int32_t)i, .axis = axis, .tensor = -1};
            bound[expr] = true;
        }
    }
    plan->input_count = (int32_t)graph->input_count;
    return NULL;
}

static const tn_value *root_of(const emitter *e, const tn_value *value)
{
    while (value->kind == TN_VALUE_NODE && e->survey.node[value->producer->id].kind == TN_NODE_VIEW)
        value = value->producer->in[0];
    return value;
}

static void claim_outputs(emitter *e)
{
    for (int64_t i = 0; i < e->graph->output_count; i++) {
        const tn_value *root = root_of(e, e->graph->output[i].value);
        if (root->kind == TN_VALUE_NODE && !home_of(e, root) && !e->claim[root->id])
            e->claim[root->id] = (int32_t)i + 1;
    }
}

/* A copy of a value into output i. */
static tn_status emit_copy(emitter *e, int32_t i, int32_t from, int32_t *out)
{
    tn_plan_tensor t = e->plan->tensor[from];
    t.place = TN_PLACE_OUTPUT;
    t.index = i;
    t.card = false;
    return copy_tensor(e, from, &t, e->graph->output[i].name, out);
}

static tn_status emit_outputs(emitter *e)
{
    const tn_graph *graph = e->graph;
    tn_plan *plan = e->plan;
    plan->output = TN_NEW_ARRAY(&plan->arena, tn_plan_io, graph->output_count);
    TN_CHECK(plan->output, TN_OUT_OF_MEMORY, "no memory for the outputs");
    for (int32_t i = 0; i < graph->output_count; i++) {
        const tn_output *output = &graph->output[i];
        int32_t tensor;
        plan->output[i].name = tn_arena_text(&plan->arena, output->name, strlen(output->name));
        TN_CHECK(plan->output[i].name, TN_OUT_OF_MEMORY, "no memory for the outputs");
        TN_TRY(tensor_of(e, output->value, home_of(e, output->value), &tensor));
        if (e->claim[root_of(e, output->value)->id] != i + 1)
            TN_TRY(emit_copy(e, i, tensor, &tensor));
        plan->output[i].tensor = tensor;
    }
    plan->output_count = (int32_t)graph->output_count;
    return NULL;
}

/* ---- Expressions -----------------------------------------------------------------------------*/

static tn_status own_exprs(emitter *e)
{
    tn_plan *plan = e->plan;
    const tn_exprs *pool = e->graph->exprs;
    bool *used = TN_NEW_ARRAY(e->arena, bool, pool->count);
    tn_expr *remap = TN_NEW_ARRAY(e->arena, tn_expr, pool->count);
    TN_CHECK(used && remap, TN_OUT_OF_MEMORY, "no memory for the expressions of a plan");
    for (int32_t i = 0; i < plan->tensor_count; i++)
        for (int axis = 0; axis < plan->tensor[i].rank; axis++)
            used[plan->tensor[i].dim[axis]] = true;
    for (int32_t i = 0; i < plan->step_count; i++)
        for (int32_t k = 0; k < plan->step[i].dims_count; k++) used[plan->step[i].dims[k]] = true;
    for (int32_t i = 0; i < plan->symbol_count; i++) used[plan->symbol[i].expr] = true;
    TN_TRY(tn_exprs_subset(pool, used, &plan->arena, &plan->exprs, remap));
    for (int32_t i = 0; i < plan->tensor_count; i++)
        for (int axis = 0; axis < plan->tensor[i].rank; axis++)
            plan->tensor[i].dim[axis] = remap[plan->tensor[i].dim[axis]];
    for (int32_t i = 0; i < plan->step_count; i++)
        for (int32_t k = 0; k < plan->step[i].dims_count; k++)
            plan->step[i].dims[k] = remap[plan->step[i].dims[k]];
    for (int32_t i = 0; i < plan->symbol_count; i++) {
        tn_plan_symbol *s = &plan->symbol[i];
        s->expr = remap[s->expr];
        s->name = plan->exprs.node[s->expr].name;
    }
    return NULL;
}

static tn_status emit_graph(emitter *e)
{
    const tn_graph *graph = e->graph;
    for (int i = 0; i < 2; i++) e->tensor[i] = TN_NEW_ARRAY(e->arena, int32_t, graph->next_id);
    e->claim = TN_NEW_ARRAY(e->arena, int32_t, graph->next_id);
    TN_CHECK(e->tensor[0] && e->tensor[1] && e->claim, TN_OUT_OF_MEMORY, "no memory for a plan");
    TN_CHECK(graph->input_count < INT32_MAX && graph->output_count < INT32_MAX, TN_UNSUPPORTED,
             "the graph has too many inputs or outputs");
    TN_TRY(tn_survey_graph(graph, e->chooser, e->input_dynamic, e->arena, &e->survey));
    claim_outputs(e);
    TN_TRY(emit_inputs(e));
    for (const tn_node *node = graph->first; node; node = node->next) TN_TRY(emit_node(e, node));
    TN_TRY(emit_outputs(e));
    return own_exprs(e);
}

tn_status tn_emit(const tn_graph *graph, tn_chooser *chooser, tn_engine *engine,
                  tn_constant_list *constants)
{
    tn_arena arena;
    emitter e = {.graph = graph,
                 .chooser = chooser,
                 .plan = &engine->plan,
                 .constants = constants,
                 .arena = &arena};
    tn_arena_init(&arena);
    tn_status status = emit_graph(&e);
    tn_arena_fini(&arena);
    return status ? tn_status_trail(status, __FILE__, __LINE__, __func__) : NULL;
}
