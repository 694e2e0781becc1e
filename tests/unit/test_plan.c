/* Plans: what the verifier refuses, what is emitted, and what the text shows. */
#include "engine_help.h"

#include <inttypes.h>

static const char sample[] = "graph \"sample\" {\n"
                             "  input %x : f32[n,4]\n"
                             "  const %w : f32[4,4]={1,0,0,0,0,1,0,0,0,0,1,0,0,0,0,1}\n"
                             "  const %s : i64[2]={-1,2}\n"
                             "  %h : f32[n,4] = MatMul(%x, %w)  \"mm\"\n"
                             "  %r : f32[n,4] = Relu(%h)  \"act\"\n"
                             "  %v : f32[2*n,2] = Reshape(%r, %s)  \"view\"\n"
                             "  %t : f32[2,2*n] = Transpose{perm=[1,0]}(%v)  \"turn\"\n"
                             "  output \"t\" = %t\n"
                             "}\n";

static tn_plan_step *find_step(tn_engine *engine, const char *op)
{
    for (int32_t i = 0; i < engine->plan.step_count; i++)
        if (!strcmp(engine->plan.step[i].op, op)) return &engine->plan.step[i];
    return NULL;
}

static void views_take_no_step_and_shape_operands_no_constant(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text(sample, NULL);
    assert_non_null(find_step(engine, "Linear"));
    assert_non_null(find_step(engine, "Transpose"));
    assert_null(find_step(engine, "Reshape"));
    int32_t in = find_step(engine, "Transpose")->in[0];
    assert_int_equal(engine->plan.tensor[in].place, TN_PLACE_ALIAS);
    assert_int_equal(tn_plan_root(&engine->plan, in), find_step(engine, "Linear")->out[0]);
    assert_int_equal(engine->plan.tensor[find_step(engine, "Transpose")->out[0]].place,
                     TN_PLACE_OUTPUT);
    for (int32_t i = 0; i < engine->plan.tensor_count; i++) /* nobody reads %s in the plan */
        if (engine->plan.tensor[i].place == TN_PLACE_CONSTANT)
            assert_int_equal(engine->plan.tensor[i].dtype, TN_DTYPE_F32);
    tn_exec_engine_release(engine);
}

static void the_text_names_everything(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text(sample, NULL);
    tn_text text = {0};
    char *out;
    tn_plan_print(&engine->plan, &text);
    assert_ok(tn_text_take(&text, &out));
    assert_non_null(strstr(out, "input \"x\" t0:f32[n,4]"));
    assert_non_null(strstr(out, "output \"t\""));
    assert_non_null(strstr(out, "cpu.transpose."));
    assert_non_null(strstr(out, "\"turn\""));
    assert_non_null(strstr(out, "[2,2*n]"));
    tn_text_free(out);
    tn_exec_engine_release(engine);
}

/* Values of shapes are written by the plan itself, without a kernel. */
static void dims_are_steps_of_the_plan(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text("graph \"dims\" {\n"
                                   "  input %x : f32[n,4]\n"
                                   "  %s : i64[2] = Shape(%x)\n"
                                   "  output \"s\" = %s\n"
                                   "}\n",
                                   NULL);
    assert_int_equal(engine->plan.step_count, 1);
    assert_int_equal(engine->plan.step[0].kind, TN_STEP_DIMS);
    assert_int_equal(engine->plan.step[0].dims_count, 2);
    tn_context *context = new_context(engine);
    float x[12];
    tn_tensor in = view(TN_DTYPE_F32, x, 2, 3, 4), s;
    assert_ok(tn_exec_context_bind(context, "x", &in));
    assert_ok(tn_exec_context_run(context));
    assert_ok(tn_exec_context_output(context, "s", &s));
    assert_int_equal(((int64_t *)s.data)[0], 3);
    assert_int_equal(((int64_t *)s.data)[1], 4);
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
}

static void what_nobody_reads_is_not_run(void **unused)
{
    (void)unused;
    tn_build_config config = {.size = sizeof(config), .threads = 1, .no_optimize = true};
    tn_engine *engine = build_text("graph \"dead\" {\n"
                                   "  input %x : f32[n]\n"
                                   "  %e : f32[n] = Exp(%x)\n"
                                   "  %s : i64[1] = Shape(%e)\n"
                                   "  %z : f32[n] = ConstantOfShape(%s)\n"
                                   "  output \"z\" = %z\n"
                                   "}\n",
                                   &config);
    assert_null(find_step(engine, "Exp"));
    assert_null(find_step(engine, "Shape"));
    assert_int_equal(engine->plan.step_count, 1);
    tn_exec_engine_release(engine);
}

/* Every change must be refused, and putting it back accepted again. */
#define REFUSED(place, value)                                                                      \
    do {                                                                                           \
        __typeof__(place) old_ = (place);                                                          \
        (place) = (value);                                                                         \
        assert_int_equal(tn_status_code(tn_plan_verify(plan)), TN_CORRUPT);                        \
        (place) = old_;                                                                            \
        assert_ok(tn_plan_verify(plan));                                                           \
    } while (0)

static void damaged_plans_are_refused(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text(sample, NULL);
    tn_plan *plan = &engine->plan;
    tn_plan_step *first = &plan->step[0], *turn = find_step(engine, "Transpose");
    tn_plan_tensor *alias = &plan->tensor[turn->in[0]];
    assert_ok(tn_plan_verify(plan));

    REFUSED(plan->exprs.node[plan->exprs.count - 1].a, (tn_expr)plan->exprs.count);
    REFUSED(plan->exprs.node[plan->exprs.count - 1].op, (tn_expr_op)99);
    REFUSED(plan->exprs.node[0].op, TN_EXPR_OP_CONST);
    REFUSED(plan->symbol[0].expr, (tn_expr)plan->exprs.count);
    REFUSED(plan->symbol[0].expr, 0);
    REFUSED(plan->symbol[0].input, plan->input_count);
    REFUSED(plan->symbol[0].axis, 1);
    REFUSED(plan->symbol[0].axis, -1);

    REFUSED(alias->index, turn->in[0]);
    REFUSED(alias->index, -1);
    REFUSED(alias->dtype, TN_DTYPE_F64);
    REFUSED(alias->dynamic, true);
    REFUSED(alias->place, (tn_plan_place)17);
    REFUSED(plan->tensor[0].rank, 9);
    REFUSED(plan->tensor[0].rank, -1);
    REFUSED(plan->tensor[0].dim[0], (tn_expr)plan->exprs.count);
    REFUSED(plan->tensor[0].dim[0], TN_EXPR_NONE);
    REFUSED(plan->tensor[0].dtype, (tn_dtype)77);
    REFUSED(plan->tensor[0].index, 1);
    REFUSED(plan->constant[0].dim[0], -1);
    REFUSED(plan->constant[0].dim[0], 3);
    REFUSED(plan->constant[0].dim[0], INT64_C(1) << 62);
    REFUSED(plan->constant[0].data, NULL);
    REFUSED(plan->constant[0].rank, 3);

    REFUSED(plan->input[0].tensor, plan->tensor_count);
    REFUSED(plan->output[0].tensor, 0);
    REFUSED(plan->output[0].tensor, -5);

    REFUSED(first->in[0], plan->tensor_count);
    REFUSED(first->in[0], -2);
    REFUSED(first->in[0], turn->out[0]); /* not written yet */
    REFUSED(first->out[0], 0);           /* an input */
    REFUSED(turn->out[0], turn->in[0]);  /* an alias */
    REFUSED(first->kind, (tn_step_kind)7);
    REFUSED(first->kind, TN_STEP_DIMS);
    REFUSED(first->kind, TN_STEP_COPY);
    REFUSED(first->choice_count, 0);
    REFUSED(first->choice[0].packed, plan->constant_count);
    REFUSED(first->choice[0].packed, -2);
    REFUSED(first->params_bytes, 1u << 30);
    REFUSED(plan->step_count, plan->step_count - 1); /* nobody writes the output */
    tn_exec_engine_release(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_take_no_step_and_shape_operands_no_constant),
        cmocka_unit_test(the_text_names_everything),
        cmocka_unit_test(dims_are_steps_of_the_plan),
        cmocka_unit_test(what_nobody_reads_is_not_run),
        cmocka_unit_test(damaged_plans_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
