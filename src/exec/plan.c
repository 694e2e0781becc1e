/* Checking and printing plans. A plan from a file is believed only after tn_plan_verify: from then
 * on no index in it can leave its array and no step reads what nobody wrote. */
#include "exec/plan.h"

#include "tensor/dtype.h"
#include "tensor/tensor.h"

enum { PORTS_MAX = 1 << 16, PARAMS_BYTES_MAX = 1 << 24 };

static const char *const place_names[] = {"none", "input", "constant", "block", "alias", "output"};

int32_t tn_plan_root(const tn_plan *plan, int32_t tensor)
{
    while (plan->tensor[tensor].place == TN_PLACE_ALIAS) tensor = plan->tensor[tensor].index;
    return tensor;
}

static tn_status verify_exprs(const tn_plan *plan)
{
    const tn_exprs *pool = &plan->exprs;
    TN_CHECK(pool->count >= 1 && pool->node[0].op == TN_EXPR_OP_NONE, TN_CORRUPT,
             "plan: the pool of expressions does not start with 'none'");
    for (int64_t i = 1; i < pool->count; i++) {
        const tn_expr_node *node = &pool->node[i];
        TN_CHECK((int)node->op >= TN_EXPR_OP_CONST && (int)node->op <= TN_EXPR_OP_SELECT,
                 TN_CORRUPT, "plan: expression %lld has the unknown operation %d", (long long)i,
                 (int)node->op);
        TN_CHECK(node->a < i && node->b < i && node->c < i, TN_CORRUPT,
                 "plan: expression %lld uses a later one", (long long)i);
        TN_CHECK(node->op != TN_EXPR_OP_SYMBOL || node->name, TN_CORRUPT,
                 "plan: symbol %lld has no name", (long long)i);
    }
    return NULL;
}

static tn_status verify_constants(const tn_plan *plan)
{
    for (int32_t i = 0; i < plan->constant_count; i++) {
        const tn_tensor *t = &plan->constant[i];
        TN_CHECK(tn_dtype_valid((int)t->dtype) && t->rank >= 0 && t->rank <= TN_RANK_MAX,
                 TN_CORRUPT, "plan: constant %d has no valid type", i);
        for (int axis = 0; axis < t->rank; axis++)
            TN_CHECK(t->dim[axis] >= 0, TN_CORRUPT, "plan: constant %d has a negative dim", i);
        TN_CHECK(tn_tensor_bytes(t) >= 0, TN_CORRUPT, "plan: the size of constant %d overflows", i);
        TN_CHECK(t->data || tn_tensor_bytes(t) == 0, TN_CORRUPT, "plan: constant %d has no data",
                 i);
    }
    return NULL;
}

/* A constant's declared type must be that of its bytes: kernels believe the plan. */
static tn_status verify_constant_tensor(const tn_plan *plan, int32_t index)
{
    const tn_plan_tensor *t = &plan->tensor[index];
    const tn_tensor *constant = &plan->constant[t->index];
    bool same = t->dtype == constant->dtype && t->rank == constant->rank;
    for (int axis = 0; same && axis < t->rank; axis++)
        same = tn_expr_equals(&plan->exprs, t->dim[axis], constant->dim[axis]);
    TN_CHECK(same, TN_CORRUPT, "plan: tensor %d is declared otherwise than its constant %d", index,
             t->index);
    return NULL;
}

static tn_status verify_tensors(const tn_plan *plan)
{
    const int32_t limit[] = {[TN_PLACE_NONE] = 1,
                             [TN_PLACE_INPUT] = plan->input_count,
                             [TN_PLACE_CONSTANT] = plan->constant_count,
                             [TN_PLACE_BLOCK] = 1,
                             [TN_PLACE_OUTPUT] = plan->output_count};
    for (int32_t i = 0; i < plan->tensor_count; i++) {
        const tn_plan_tensor *t = &plan->tensor[i];
        TN_CHECK((unsigned)t->place <= TN_PLACE_OUTPUT, TN_CORRUPT,
                 "plan: tensor %d lies in the unknown place %d", i, (int)t->place);
        TN_CHECK(t->index >= 0 && t->index < (t->place == TN_PLACE_ALIAS ? i : limit[t->place]),
                 TN_CORRUPT, "plan: tensor %d refers to %s %d, which does not exist", i,
                 place_names[t->place], t->index);
        if (t->place == TN_PLACE_NONE) continue;
        TN_CHECK(tn_dtype_valid((int)t->dtype), TN_CORRUPT, "plan: tensor %d has no valid type", i);
        TN_CHECK((unsigned)t->kind <= TN_PLAN_OPTIONAL_SEQUENCE &&
                     (t->kind == TN_PLAN_TENSOR ||
                      (t->dynamic && t->rank == -1 && t->place != TN_PLACE_CONSTANT &&
                       t->place != TN_PLACE_ALIAS)),
                 TN_CORRUPT, "plan: tensor %d is of a kind that it cannot be", i);
        TN_CHECK(t->rank >= (t->dynamic ? -1 : 0) && t->rank <= TN_RANK_MAX, TN_CORRUPT,
                 "plan: tensor %d has rank %d", i, t->rank);
        for (int axis = 0; axis < t->rank; axis++) {
            TN_CHECK(t->dim[axis] < plan->exprs.count, TN_CORRUPT,
                     "plan: a dim of tensor %d is not in the pool", i);
            TN_CHECK(t->dynamic || t->dim[axis] != TN_EXPR_NONE, TN_CORRUPT,
                     "plan: tensor %d has an unknown dim", i);
        }
        TN_CHECK(!t->card ||
                     (t->kind == TN_PLAN_TENSOR && !t->dynamic && t->place != TN_PLACE_INPUT &&
                      t->place != TN_PLACE_OUTPUT && t->dtype != TN_DTYPE_STRING),
                 TN_CORRUPT, "plan: tensor %d cannot lie on a card", i);
        if (t->place == TN_PLACE_CONSTANT) TN_TRY(verify_constant_tensor(plan, i));
        if (t->place == TN_PLACE_ALIAS)
            TN_CHECK(plan->tensor[t->index].kind == TN_PLAN_TENSOR &&
                         plan->tensor[t->index].dtype == t->dtype && t->rank >= 0 &&
                         t->dynamic == plan->tensor[t->index].dynamic &&
                         t->card == plan->tensor[t->index].card,
                     TN_CORRUPT, "plan: tensor %d is an alias of another type", i);
    }
    return NULL;
}

static tn_status verify_symbols(const tn_plan *plan)
{
    for (int32_t i = 0; i < plan->symbol_count; i++) {
        const tn_plan_symbol *s = &plan->symbol[i];
        const tn_plan_tensor *t = NULL;
        TN_CHECK(s->expr > 0 && s->expr < plan->exprs.count &&
                     plan->exprs.node[s->expr].op == TN_EXPR_OP_SYMBOL && s->name,
                 TN_CORRUPT, "plan: symbol %d is not a symbol of the pool", i);
        if (s->input >= 0 && s->input < plan->input_count)
            t = &plan->tensor[plan->input[s->input].tensor];
        else if (s->input == -1 && s->tensor >= 0 && s->tensor < plan->tensor_count)
            t = &plan->tensor[s->tensor];
        TN_CHECK(t && s->axis >= 0 && s->axis < t->rank && t->dim[s->axis] == s->expr &&
                     (s->input >= 0 || t->dynamic),
                 TN_CORRUPT, "plan: symbol '%s' is bound to a dim that does not exist", s->name);
    }
    return NULL;
}

static tn_status verify_ios(const tn_plan *plan)
{
    for (int32_t i = 0; i < plan->input_count; i++) {
        const tn_plan_io *io = &plan->input[i];
        TN_CHECK(io->name && io->tensor >= 0 && io->tensor < plan->tensor_count &&
                     plan->tensor[io->tensor].place == TN_PLACE_INPUT &&
                     plan->tensor[io->tensor].index == i,
                 TN_CORRUPT, "plan: input %d has no tensor", i);
    }
    for (int32_t i = 0; i < plan->output_count; i++) {
        const tn_plan_io *io = &plan->output[i];
        TN_CHECK(io->name && io->tensor >= 0 && io->tensor < plan->tensor_count, TN_CORRUPT,
                 "plan: output %d has no tensor", i);
        int32_t root = tn_plan_root(plan, io->tensor);
        TN_CHECK(plan->tensor[root].place == TN_PLACE_OUTPUT && plan->tensor[root].index == i,
                 TN_CORRUPT, "plan: the tensor of output '%s' lies elsewhere", io->name);
    }
    return NULL;
}

static tn_status verify_choices(const tn_plan *plan, const tn_plan_step *s)
{
    TN_CHECK(s->choice_count > 0, TN_CORRUPT, "plan: step '%s' has no tactic", s->name);
    TN_CHECK(s->params_bytes <= PARAMS_BYTES_MAX && (s->params || s->params_bytes == 0), TN_CORRUPT,
             "plan: step '%s' has %u bytes of parameters", s->name, s->params_bytes);
    for (int32_t k = 0; k < s->choice_count; k++)
        TN_CHECK(s->choice[k].tactic && s->choice[k].packed >= -1 &&
                     s->choice[k].packed < plan->constant_count && s->choice[k].from >= 0,
                 TN_CORRUPT, "plan: choice %d of step '%s' is not valid", k, s->name);
    return NULL;
}

static tn_status verify_kind(const tn_plan *plan, const tn_plan_step *s)
{
    switch (s->kind) {
    case TN_STEP_LAUNCH: return verify_choices(plan, s);
    case TN_STEP_DIMS: {
        TN_CHECK(s->in_count == 0 && s->out_count == 1 && s->out[0] >= 0, TN_CORRUPT,
                 "plan: step '%s' writes dims to no tensor", s->name);
        tn_dtype_kind kind = tn_dtype_kind_of(plan->tensor[s->out[0]].dtype);
        TN_CHECK(kind == TN_KIND_I && !plan->tensor[s->out[0]].dynamic, TN_CORRUPT,
                 "plan: step '%s' writes dims to a tensor that cannot hold them", s->name);
        for (int32_t k = 0; k < s->dims_count; k++)
            TN_CHECK(s->dims[k] > 0 && s->dims[k] < plan->exprs.count, TN_CORRUPT,
                     "plan: a dim of step '%s' is not in the pool", s->name);
        return NULL;
    }
    case TN_STEP_COPY:
        TN_CHECK(s->in_count == 1 && s->out_count == 1 && s->in[0] >= 0 && s->out[0] >= 0 &&
                     plan->tensor[s->in[0]].dtype == plan->tensor[s->out[0]].dtype &&
                     (plan->tensor[s->in[0]].kind == TN_PLAN_TENSOR) ==
                         (plan->tensor[s->out[0]].kind == TN_PLAN_TENSOR),
                 TN_CORRUPT, "plan: step '%s' copies between different types", s->name);
        return NULL;
    case TN_STEP_IF:
    case TN_STEP_LOOP:
    case TN_STEP_SCAN:
    case TN_STEP_MAP: return tn_plan_verify_inside(plan, s);
    case TN_STEP_SEQUENCE: return tn_plan_verify_sequence(plan, s);
    }
    TN_FAIL(TN_CORRUPT, "plan: step '%s' is of the unknown kind %d", s->name, (int)s->kind);
}

/* A step finds what it reads, and leaves what it writes, in one memory; copies go between both. */
static tn_status verify_sides(const tn_plan *plan, const tn_plan_step *s)
{
    TN_CHECK(!s->card || s->kind == TN_STEP_LAUNCH, TN_CORRUPT,
             "plan: step '%s' cannot run on a card", s->name);
    if (s->kind == TN_STEP_COPY) return NULL;
    for (int32_t k = 0; k < s->in_count + s->out_count; k++) {
        int32_t t = k < s->in_count ? s->in[k] : s->out[k - s->in_count];
        if (t < 0 || plan->tensor[t].place == TN_PLACE_NONE) continue;
        bool unread =
            s->kind == TN_STEP_LAUNCH && k < s->in_count && k < 64 && (s->in_unused >> k & 1);
        TN_CHECK(unread || plan->tensor[t].card == s->card, TN_CORRUPT,
                 "plan: step '%s' and its tensor %d lie on different devices", s->name, t);
    }
    return NULL;
}

/* Only steps of the plan itself know what to do with lists. */
static tn_status verify_kinds(const tn_plan *plan, const tn_plan_step *s)
{
    if (s->kind != TN_STEP_LAUNCH && s->kind != TN_STEP_DIMS) return NULL;
    for (int32_t k = 0; k < s->in_count + s->out_count; k++) {
        int32_t t = k < s->in_count ? s->in[k] : s->out[k - s->in_count];
        TN_CHECK(t < 0 || plan->tensor[t].kind == TN_PLAN_TENSOR, TN_CORRUPT,
                 "plan: step '%s' computes with a sequence", s->name);
    }
    return NULL;
}

static tn_status verify_step(const tn_plan *plan, const tn_plan_step *s, bool *written)
{
    TN_CHECK(s->name && s->op && s->in_count >= 0 && s->out_count > 0 && s->in_count <= PORTS_MAX &&
                 s->out_count <= PORTS_MAX && s->dims_count >= 0,
             TN_CORRUPT, "plan: a step is not complete");
    for (int32_t k = 0; k < s->in_count; k++) {
        TN_CHECK(s->in[k] >= -1 && s->in[k] < plan->tensor_count, TN_CORRUPT,
                 "plan: step '%s' reads tensor %d, which does not exist", s->name, s->in[k]);
        if (s->in[k] < 0 || plan->tensor[s->in[k]].place == TN_PLACE_NONE) continue;
        if (s->kind == TN_STEP_LAUNCH && k < 64 && (s->in_unused >> k & 1)) continue;
        TN_CHECK(written[tn_plan_root(plan, s->in[k])], TN_CORRUPT,
                 "plan: step '%s' reads tensor %d before it is written", s->name, s->in[k]);
    }
    for (int32_t k = 0; k < s->out_count; k++) {
        int32_t t = s->out[k];
        if (t == -1) continue;
        TN_CHECK(t >= 0 && t < plan->tensor_count && !written[t] &&
                     (plan->tensor[t].place == TN_PLACE_BLOCK ||
                      plan->tensor[t].place == TN_PLACE_OUTPUT),
                 TN_CORRUPT, "plan: step '%s' may not write tensor %d", s->name, t);
        written[t] = true;
    }
    TN_TRY(verify_kinds(plan, s));
    TN_TRY(verify_sides(plan, s));
    return verify_kind(plan, s);
}

static tn_status verify_steps(const tn_plan *plan, tn_arena *arena)
{
    bool *written = TN_NEW_ARRAY(arena, bool, plan->tensor_count);
    TN_CHECK(written, TN_OUT_OF_MEMORY, "no memory to check a plan of %d tensors",
             plan->tensor_count);
    for (int32_t i = 0; i < plan->tensor_count; i++)
        written[i] =
            plan->tensor[i].place == TN_PLACE_INPUT || plan->tensor[i].place == TN_PLACE_CONSTANT;
    for (int32_t i = 0; i < plan->step_count; i++)
        TN_TRY(verify_step(plan, &plan->step[i], written));
    /* A plan inside has one context, so one step runs it. */
    bool *runs = TN_NEW_ARRAY(arena, bool, plan->sub_count);
    TN_CHECK(runs, TN_OUT_OF_MEMORY, "no memory to check a plan");
    for (int32_t i = 0; i < plan->step_count; i++)
        for (int32_t k = 0; k < plan->step[i].sub_count; k++) {
            int32_t sub = plan->step[i].sub[k];
            bool inside = sub >= 0 && sub < plan->sub_count && !runs[sub];
            TN_CHECK(inside, TN_CORRUPT, "plan: step '%s' runs a plan that is not its own",
                     plan->step[i].name);
            runs[sub] = true;
        }
    for (int32_t i = 0; i < plan->output_count; i++)
        TN_CHECK(written[tn_plan_root(plan, plan->output[i].tensor)], TN_CORRUPT,
                 "plan: nobody writes output '%s'", plan->output[i].name);
    return NULL;
}

/* Recursion: to TN_PLAN_DEPTH_MAX. */
static tn_status verify(const tn_plan *plan, int depth)
{
    tn_arena arena;
    TN_CHECK(depth < TN_PLAN_DEPTH_MAX, TN_CORRUPT, "plan: plans are nested more than %d deep",
             TN_PLAN_DEPTH_MAX);
    for (int32_t i = 0; i < plan->sub_count; i++) TN_TRY(verify(plan->sub[i], depth + 1));
    TN_TRY(verify_exprs(plan));
    if (depth == 0) TN_TRY(verify_constants(plan));
    TN_TRY(verify_tensors(plan));
    TN_TRY(verify_ios(plan));
    TN_TRY(verify_symbols(plan));
    tn_arena_init(&arena);
    tn_status status = verify_steps(plan, &arena);
    tn_arena_fini(&arena);
    return status;
}

tn_status tn_plan_verify(const tn_plan *plan)
{
    return verify(plan, 0);
}

/* ---- Text ------------------------------------------------------------------------------------*/

static void print_tensor(const tn_plan *plan, int32_t index, tn_text *out)
{
    if (index < 0) {
        tn_text_printf(out, "-");
        return;
    }
    const tn_plan_tensor *t = &plan->tensor[index];
    tn_text_printf(out, "t%d:%s", index, tn_dtype_name(t->dtype));
    if (t->rank < 0) tn_text_printf(out, "[...]");
    for (int axis = 0; axis < t->rank; axis++) {
        tn_text_printf(out, "%s", axis ? "," : "[");
        tn_expr_print(&plan->exprs, t->dim[axis], out);
    }
    if (t->rank > 0) tn_text_printf(out, "]");
    if (t->place == TN_PLACE_ALIAS) tn_text_printf(out, "=t%d", tn_plan_root(plan, index));
    if (t->place == TN_PLACE_CONSTANT) tn_text_printf(out, "=#%d", t->index);
    if (t->card) tn_text_printf(out, "@card");
}

/* Recursion: as deep as plans are nested. */
static void print_step(const tn_plan *plan, int32_t index, int indent, tn_text *out)
{
    const tn_plan_step *s = &plan->step[index];
    tn_text_printf(out, "%*s%3d %-20s", indent, "", index, s->op);
    for (int32_t k = 0; k < s->in_count; k++) {
        bool unread = k < 64 && (s->in_unused >> k & 1);
        tn_text_printf(out, "%s", unread ? " (" : " ");
        print_tensor(plan, s->in[k], out);
        if (unread) tn_text_printf(out, ")");
    }
    tn_text_printf(out, " ->");
    for (int32_t k = 0; k < s->out_count; k++) {
        tn_text_printf(out, " ");
        print_tensor(plan, s->out[k], out);
    }
    for (int32_t k = 0; k < s->choice_count; k++)
        tn_text_printf(out, "%s%s", k ? ", " : "  by ", s->choice[k].tactic);
    if (s->name[0]) tn_text_printf(out, "  \"%s\"", s->name);
    tn_text_printf(out, "\n");
    for (int32_t k = 0; k < s->sub_count; k++) {
        const tn_plan *sub = plan->sub[s->sub[k]];
        tn_text_printf(out, "%*splan %d inside:\n", indent + 4, "", s->sub[k]);
        for (int32_t i = 0; i < sub->step_count; i++) print_step(sub, i, indent + 6, out);
    }
}

void tn_plan_print(const tn_plan *plan, tn_text *out)
{
    size_t constant_bytes = 0;
    for (int32_t i = 0; i < plan->constant_count; i++)
        constant_bytes += (size_t)tn_tensor_bytes(&plan->constant[i]);
    for (int pass = 0; pass < 2; pass++) {
        const tn_plan_io *io = pass ? plan->output : plan->input;
        int32_t count = pass ? plan->output_count : plan->input_count;
        for (int32_t i = 0; i < count; i++) {
            tn_text_printf(out, "%s \"%s\" ", pass ? "output" : "input", io[i].name);
            print_tensor(plan, io[i].tensor, out);
            tn_text_printf(out, "\n");
        }
    }
    tn_text_printf(out, "constants: %d, %zu bytes\nsteps: %d\n", plan->constant_count,
                   constant_bytes, plan->step_count);
    for (int32_t i = 0; i < plan->step_count; i++) print_step(plan, i, 2, out);
}
