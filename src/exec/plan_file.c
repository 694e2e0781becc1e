/* The plan section of an engine file; described with the rest in engine_file.c. The reader only
 * takes apart: tn_plan_verify then decides whether the plan makes sense. */
#include <string.h>

#include "exec/exec.h"

/* ---- Writing ---------------------------------------------------------------------------------*/

static void write_i32(tn_writer *out, int32_t value)
{
    tn_write_u32(out, (uint32_t)value);
}

static void write_exprs(const tn_exprs *pool, tn_writer *out)
{
    tn_write_u32(out, (uint32_t)pool->count);
    for (int64_t i = 0; i < pool->count; i++) {
        const tn_expr_node *node = &pool->node[i];
        tn_write_u8(out, (uint8_t)node->op);
        tn_write_u32(out, node->a);
        tn_write_u32(out, node->b);
        tn_write_u32(out, node->c);
        tn_write_i64(out, node->value);
        tn_write_text(out, node->name ? node->name : "");
    }
}

static void write_tensor(const tn_plan_tensor *t, tn_writer *out)
{
    tn_write_u8(out, (uint8_t)t->kind);
    tn_write_u8(out, (uint8_t)t->place);
    tn_write_u8(out, (uint8_t)t->dtype);
    tn_write_u8(out, t->dynamic);
    tn_write_u8(out, t->card);
    write_i32(out, t->index);
    write_i32(out, t->rank);
    for (int axis = 0; axis < t->rank; axis++) tn_write_u32(out, t->dim[axis]);
}

static void write_numbers(const int32_t *at, int32_t count, tn_writer *out)
{
    tn_write_u32(out, (uint32_t)count);
    for (int32_t i = 0; i < count; i++) write_i32(out, at[i]);
}

static void write_step(const tn_plan_step *s, tn_writer *out)
{
    tn_write_u8(out, (uint8_t)s->kind);
    tn_write_u8(out, s->card);
    tn_write_text(out, s->name);
    tn_write_text(out, s->op);
    tn_write_u32(out, s->params_bytes);
    if (s->params_bytes) tn_write_bytes(out, s->params, s->params_bytes);
    write_numbers(s->in, s->in_count, out);
    write_numbers(s->out, s->out_count, out);
    tn_write_u64(out, s->in_unused);
    tn_write_u32(out, (uint32_t)s->choice_count);
    for (int32_t k = 0; k < s->choice_count; k++) {
        tn_write_text(out, s->choice[k].tactic);
        tn_write_u32(out, s->choice[k].revision);
        write_i32(out, s->choice[k].packed);
        tn_write_i64(out, s->choice[k].from);
    }
    tn_write_u32(out, (uint32_t)s->dims_count);
    for (int32_t k = 0; k < s->dims_count; k++) tn_write_u32(out, s->dims[k]);
    write_numbers(s->sub, s->sub_count, out);
    tn_write_u32(out, (uint32_t)s->number_count);
    for (int32_t k = 0; k < s->number_count; k++) tn_write_i64(out, s->number[k]);
}

void tn_plan_write(const tn_plan *plan, tn_writer *out)
{
    write_exprs(&plan->exprs, out);
    tn_write_u32(out, (uint32_t)plan->symbol_count);
    for (int32_t i = 0; i < plan->symbol_count; i++) {
        const tn_plan_symbol *s = &plan->symbol[i];
        tn_write_text(out, s->name);
        tn_write_u32(out, s->expr);
        write_i32(out, s->input);
        write_i32(out, s->axis);
        write_i32(out, s->tensor);
    }
    tn_write_u32(out, (uint32_t)plan->tensor_count);
    for (int32_t i = 0; i < plan->tensor_count; i++) write_tensor(&plan->tensor[i], out);
    for (int pass = 0; pass < 2; pass++) {
        const tn_plan_io *io = pass ? plan->output : plan->input;
        int32_t count = pass ? plan->output_count : plan->input_count;
        tn_write_u32(out, (uint32_t)count);
        for (int32_t i = 0; i < count; i++) {
            tn_write_text(out, io[i].name);
            write_i32(out, io[i].tensor);
        }
    }
    tn_write_u32(out, (uint32_t)plan->step_count);
    for (int32_t i = 0; i < plan->step_count; i++) write_step(&plan->step[i], out);
    tn_write_u32(out, (uint32_t)plan->sub_count);
    for (int32_t i = 0; i < plan->sub_count; i++) tn_plan_write(plan->sub[i], out);
}

/* ---- Reading ---------------------------------------------------------------------------------*/

static tn_status read_i32(tn_reader *in, const char *field, int32_t *out)
{
    uint32_t value;
    TN_TRY(tn_read_u32(in, field, &value));
    memcpy(out, &value, sizeof(*out));
    return NULL;
}

static tn_status read_exprs(tn_reader *in, tn_plan *plan)
{
    enum { ITEM = 1 + 3 * 4 + 8 + 4 };
    uint32_t count;
    TN_TRY(tn_read_count(in, "the pool of expressions", ITEM, &count));
    tn_exprs *pool = &plan->exprs;
    *pool = (tn_exprs){.arena = &plan->arena, .count = count, .capacity = count};
    pool->node = TN_NEW_ARRAY(&plan->arena, tn_expr_node, count);
    TN_CHECK(pool->node, TN_OUT_OF_MEMORY, "no memory for %u expressions", count);
    for (uint32_t i = 0; i < count; i++) {
        tn_expr_node *node = &pool->node[i];
        uint8_t op;
        const char *name;
        TN_TRY(tn_read_u8(in, "an expression", &op));
        node->op = (tn_expr_op)op;
        TN_TRY(tn_read_u32(in, "an expression", &node->a));
        TN_TRY(tn_read_u32(in, "an expression", &node->b));
        TN_TRY(tn_read_u32(in, "an expression", &node->c));
        TN_TRY(tn_read_i64(in, "an expression", &node->value));
        TN_TRY(tn_read_text(in, "the name of a symbol", &plan->arena, &name));
        node->name = node->op == TN_EXPR_OP_SYMBOL ? name : NULL;
    }
    return NULL;
}

static tn_status read_symbols(tn_reader *in, tn_plan *plan)
{
    uint32_t count;
    TN_TRY(tn_read_count(in, "the symbols", 20, &count));
    plan->symbol = TN_NEW_ARRAY(&plan->arena, tn_plan_symbol, count);
    TN_CHECK(plan->symbol, TN_OUT_OF_MEMORY, "no memory for %u symbols", count);
    plan->symbol_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        tn_plan_symbol *s = &plan->symbol[i];
        TN_TRY(tn_read_text(in, "a symbol", &plan->arena, &s->name));
        TN_TRY(tn_read_u32(in, "a symbol", &s->expr));
        TN_TRY(read_i32(in, "a symbol", &s->input));
        TN_TRY(read_i32(in, "a symbol", &s->axis));
        TN_TRY(read_i32(in, "a symbol", &s->tensor));
    }
    return NULL;
}

static tn_status read_tensors(tn_reader *in, tn_plan *plan)
{
    uint32_t count;
    TN_TRY(tn_read_count(in, "the tensors", 13, &count));
    plan->tensor = TN_NEW_ARRAY(&plan->arena, tn_plan_tensor, count);
    TN_CHECK(plan->tensor, TN_OUT_OF_MEMORY, "no memory for %u tensors", count);
    plan->tensor_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        tn_plan_tensor *t = &plan->tensor[i];
        uint8_t kind, place, dtype, dynamic, card;
        TN_TRY(tn_read_u8(in, "a tensor", &kind));
        TN_TRY(tn_read_u8(in, "a tensor", &place));
        TN_TRY(tn_read_u8(in, "a tensor", &dtype));
        TN_TRY(tn_read_u8(in, "a tensor", &dynamic));
        TN_TRY(tn_read_u8(in, "a tensor", &card));
        t->kind = (tn_plan_kind)kind;
        t->place = (tn_plan_place)place;
        t->dtype = (tn_dtype)dtype;
        t->dynamic = dynamic != 0;
        t->card = card != 0;
        TN_TRY(read_i32(in, "a tensor", &t->index));
        TN_TRY(read_i32(in, "a tensor", &t->rank));
        TN_CHECK(t->rank <= TN_RANK_MAX, TN_CORRUPT, "%s: tensor %u has rank %d", in->what, i,
                 t->rank);
        for (int axis = 0; axis < t->rank; axis++) TN_TRY(tn_read_u32(in, "a dim", &t->dim[axis]));
    }
    return NULL;
}

static tn_status read_ios(tn_reader *in, tn_plan *plan, tn_plan_io **out, int32_t *out_count)
{
    uint32_t count;
    TN_TRY(tn_read_count(in, "the inputs and outputs", 8, &count));
    tn_plan_io *io = TN_NEW_ARRAY(&plan->arena, tn_plan_io, count);
    TN_CHECK(io, TN_OUT_OF_MEMORY, "no memory for %u inputs or outputs", count);
    for (uint32_t i = 0; i < count; i++) {
        TN_TRY(tn_read_text(in, "an input or output", &plan->arena, &io[i].name));
        TN_TRY(read_i32(in, "an input or output", &io[i].tensor));
    }
    *out = io;
    *out_count = (int32_t)count;
    return NULL;
}

static tn_status read_numbers(tn_reader *in, tn_arena *arena, int32_t **out, int32_t *out_count)
{
    uint32_t count;
    TN_TRY(tn_read_count(in, "the tensors of a step", 4, &count));
    int32_t *at = TN_NEW_ARRAY(arena, int32_t, count);
    TN_CHECK(at, TN_OUT_OF_MEMORY, "no memory for a step");
    for (uint32_t i = 0; i < count; i++) TN_TRY(read_i32(in, "a tensor of a step", &at[i]));
    *out = at;
    *out_count = (int32_t)count;
    return NULL;
}

static tn_status read_choices(tn_reader *in, tn_arena *arena, tn_plan_step *s)
{
    uint32_t count;
    TN_TRY(tn_read_count(in, "the tactics of a step", 12, &count));
    s->choice = TN_NEW_ARRAY(arena, tn_plan_choice, count);
    TN_CHECK(s->choice, TN_OUT_OF_MEMORY, "no memory for a step");
    s->choice_count = (int32_t)count;
    for (uint32_t k = 0; k < count; k++) {
        TN_TRY(tn_read_text(in, "a tactic", arena, &s->choice[k].tactic));
        TN_TRY(tn_read_u32(in, "a tactic", &s->choice[k].revision));
        TN_TRY(read_i32(in, "a tactic", &s->choice[k].packed));
        TN_TRY(tn_read_i64(in, "a tactic", &s->choice[k].from));
    }
    return NULL;
}

/* Parameters are the operator's own struct: only one of exactly its size is believed, or one that
 * the operator has looked through. */
static tn_status read_params(tn_reader *in, const tn_backend *backend, tn_arena *arena,
                             tn_plan_step *s)
{
    const tn_tactic *reference = NULL;
    const void *bytes;
    TN_TRY(tn_read_count(in, "the parameters of a step", 1, &s->params_bytes));
    TN_TRY(tn_read_bytes(in, s->params_bytes, "the parameters of a step", &bytes));
    if (s->kind == TN_STEP_LAUNCH) {
        reference = tn_tactic_reference(backend, s->op);
        TN_CHECK(reference, TN_CORRUPT, "%s: there is no operator '%s'", in->what, s->op);
        TN_CHECK(reference->params_fit || reference->params_bytes == s->params_bytes, TN_CORRUPT,
                 "%s: %s '%s' has %u bytes of parameters, must have %u", in->what, s->op, s->name,
                 s->params_bytes, reference->params_bytes);
    }
    s->params = tn_arena_alloc(arena, s->params_bytes);
    TN_CHECK(s->params, TN_OUT_OF_MEMORY, "no memory for a step");
    if (s->params_bytes > 0) memcpy(s->params, bytes, s->params_bytes);
    TN_CHECK(!reference || !reference->params_fit ||
                 reference->params_fit(s->params, s->params_bytes),
             TN_CORRUPT, "%s: %s '%s' has parameters that make no sense", in->what, s->op, s->name);
    return NULL;
}

static tn_status read_step(tn_reader *in, const tn_backend *backend, tn_arena *arena,
                           tn_plan_step *s)
{
    uint8_t kind, card;
    uint32_t count;
    TN_TRY(tn_read_u8(in, "a step", &kind));
    TN_TRY(tn_read_u8(in, "a step", &card));
    s->kind = (tn_step_kind)kind;
    s->card = card != 0;
    TN_TRY(tn_read_text(in, "the name of a step", arena, &s->name));
    TN_TRY(tn_read_text(in, "the operator of a step", arena, &s->op));
    TN_TRY(read_params(in, backend, arena, s));
    TN_TRY(read_numbers(in, arena, &s->in, &s->in_count));
    TN_TRY(read_numbers(in, arena, &s->out, &s->out_count));
    TN_TRY(tn_read_u64(in, "a step", &s->in_unused));
    TN_TRY(read_choices(in, arena, s));
    TN_TRY(tn_read_count(in, "the dims of a step", 4, &count));
    s->dims = TN_NEW_ARRAY(arena, tn_expr, count);
    TN_CHECK(s->dims, TN_OUT_OF_MEMORY, "no memory for a step");
    s->dims_count = (int32_t)count;
    for (uint32_t k = 0; k < count; k++) TN_TRY(tn_read_u32(in, "a dim of a step", &s->dims[k]));
    TN_TRY(read_numbers(in, arena, &s->sub, &s->sub_count));
    TN_TRY(tn_read_count(in, "the numbers of a step", 8, &count));
    s->number = TN_NEW_ARRAY(arena, int64_t, count);
    TN_CHECK(s->number, TN_OUT_OF_MEMORY, "no memory for a step");
    s->number_count = (int32_t)count;
    for (uint32_t k = 0; k < count; k++)
        TN_TRY(tn_read_i64(in, "a number of a step", &s->number[k]));
    return NULL;
}

/* Recursion: to TN_PLAN_DEPTH_MAX. */
static tn_status read_plan(tn_reader *in, const tn_backend *backend, int depth, tn_plan *plan)
{
    enum { STEP_MIN = 1 + 4 + 4 + 4 + 4 + 4 + 8 + 4 + 4 + 4 + 4, PLAN_MIN = 7 * 4 };
    uint32_t count;
    TN_CHECK(depth < TN_PLAN_DEPTH_MAX, TN_CORRUPT, "%s: plans are nested more than %d deep",
             in->what, TN_PLAN_DEPTH_MAX);
    TN_TRY(read_exprs(in, plan));
    TN_TRY(read_symbols(in, plan));
    TN_TRY(read_tensors(in, plan));
    TN_TRY(read_ios(in, plan, &plan->input, &plan->input_count));
    TN_TRY(read_ios(in, plan, &plan->output, &plan->output_count));
    TN_TRY(tn_read_count(in, "the steps", STEP_MIN, &count));
    plan->step = TN_NEW_ARRAY(&plan->arena, tn_plan_step, count);
    TN_CHECK(plan->step, TN_OUT_OF_MEMORY, "no memory for %u steps", count);
    plan->step_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++)
        TN_TRY_NOTE(read_step(in, backend, &plan->arena, &plan->step[i]), "in step %u of %u", i,
                    count);
    TN_TRY(tn_read_count(in, "the plans inside", PLAN_MIN, &count));
    for (uint32_t i = 0; i < count; i++) {
        tn_plan *sub;
        int32_t number;
        TN_TRY(tn_plan_add_sub(plan, &sub, &number));
        TN_TRY_NOTE(read_plan(in, backend, depth + 1, sub), "in plan %u inside", i);
    }
    return NULL;
}

tn_status tn_plan_read(tn_reader *in, const tn_backend *backend, tn_plan *plan)
{
    TN_TRY(read_plan(in, backend, 0, plan));
    tn_plan_set_constants(plan, plan->constant, plan->constant_count);
    TN_CHECK(in->at == in->end, TN_CORRUPT, "%s: %zu bytes are left over", in->what,
             (size_t)(in->end - in->at));
    return NULL;
}
