/* Reference kernels: every case of every operator that states its outputs, the table of tactics,
 * problems from text, and shapes that only the data tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ops/reference.h"

static void fail_status(const char *what, tn_status status)
{
    char text[4096];
    tn_status_text(status, true, text, sizeof text);
    fail_msg("%s\n%s", what, text);
}

static void must(const char *what, tn_status status)
{
    if (status) fail_status(what, status);
}

/* Numbers as far apart as a rounding; all else bit for bit. */
static tn_status compare_outputs(const tn_case *c, const tn_problem *p, tn_arena *arena)
{
    const char *at = c->expect;
    for (int i = 0; i < p->out_count; i++) {
        tn_tensor want;
        tn_difference difference = {0};
        while (*at == ' ') at++;
        TN_CHECK(*at, TN_INVALID, "expect has fewer than %d outputs", p->out_count);
        TN_TRY(tn_tensor_parse(&at, arena, &want, NULL));
        TN_TRY(tn_tensor_compare(&p->out[i], &want, 1e-5, 1e-6, &difference));
        TN_CHECK(!difference.beyond_count, TN_MISMATCH, "output %d differs by %g at %lld", i,
                 difference.abs_max, (long long)difference.worst_index);
    }
    return NULL;
}

/* What a case leaves out is random: its outputs are stated because they do not hang on it. */
static tn_status fill(tn_problem *p, const tn_case *c, tn_arena *arena)
{
    for (int i = 0; i < p->in_count; i++) {
        tn_tensor *t = &p->in[i];
        if (!t->dtype || t->data) continue;
        t->data = tn_arena_alloc(arena, (size_t)tn_tensor_bytes(t));
        TN_CHECK(t->data, TN_OUT_OF_MEMORY, "no memory for an input");
        TN_TRY(tn_tensor_fill_random(t, (uint64_t)i + 1, c->lo, c->hi > c->lo ? c->hi : 1));
    }
    return NULL;
}

static tn_status run_case(const tn_case *c, tn_arena *arena, tn_problem *p)
{
    TN_TRY(tn_problem_parse(c->problem, arena, p));
    TN_TRY(fill(p, c, arena));
    TN_TRY(tn_problem_run_reference(p, arena));
    return compare_outputs(c, p, arena);
}

static bool case_passes(const tn_op *op, const tn_case *c)
{
    tn_arena arena;
    tn_problem p = {0};
    char text[2048];
    tn_arena_init(&arena);
    tn_status status = run_case(c, &arena, &p);
    bool passes = !status;
    if (status) {
        tn_status_text(status, false, text, sizeof text);
        print_error("%s: %s\n  wanted %s\n  %s", op->name, c->problem, c->expect, text);
        for (int i = 0; i < p.out_count; i++) {
            tn_text got = {0};
            tn_tensor_print(&p.out[i], 40, &got);
            print_error("  got    %s\n", got.at ? got.at : "?");
            tn_text_fini(&got);
        }
    }
    tn_arena_fini(&arena);
    return passes;
}

static void cases_have_their_outputs(void **state)
{
    int count = 0, bad = 0;
    (void)state;
    for (const tn_op *const *op = tn_op_table; *op; op++) {
        for (const tn_case *c = (*op)->cases; c && c->problem; c++) {
            if (!c->expect) continue;
            bad += !case_passes(*op, c);
            count++;
        }
    }
    print_message("%d cases with outputs\n", count);
    assert_int_equal(bad, 0);
    assert_true(count > 100);
}

static void every_reference_is_a_tactic(void **state)
{
    const tn_tactic *const *at = tn_reference_tactics();
    (void)state;
    for (const tn_op *const *op = tn_op_table; *op; op++) {
        if (!(*op)->reference) continue;
        assert_non_null(*at);
        assert_string_equal((*at)->op, (*op)->name);
        assert_ptr_equal((*at)->launch, (*op)->reference);
        assert_true(!strncmp((*at)->name, "cpu.", 4) && strstr((*at)->name, ".any.reference"));
        at++;
    }
    assert_null(*at);
    assert_ptr_equal(tn_reference_tactics(), tn_reference_tactics());
}

static void bad_problem(const char *text, const char *part)
{
    tn_arena arena;
    tn_problem p;
    char got[4096];
    tn_arena_init(&arena);
    tn_status status = tn_problem_parse(text, &arena, &p);
    if (!status) status = tn_problem_run_reference(&p, &arena);
    if (!status) fail_msg("\"%s\" is accepted", text);
    tn_status_text(status, false, got, sizeof got);
    if (!strstr(got, part)) fail_msg("%s: \"%s\" does not say \"%s\"", text, got, part);
    tn_arena_fini(&arena);
}

static void bad_problems_say_why(void **state)
{
    (void)state;
    bad_problem("Frobnicate f32[2]", "there is no operator \"Frobnicate\"");
    bad_problem("Transpose{perm=[0,0]} f32[2,3]", "names axis 0 twice");
    bad_problem("Transpose", "takes 1 to 1 inputs");
    bad_problem("Gather f32[3]={1,2,3} f32[1]={0}", "input indices is f32");
    bad_problem("Gather f32[3]={1,2,3} i64[1]={3}",
                "index 3 (element 0 of the indices) is outside [-3, 3)");
    bad_problem("Reshape f32[2,3] i64[1]={5}", "has 6 elements and cannot become f32[5]");
    bad_problem("Reshape f32[2,3] i64[2]={-1,-1}", "more than one -1");
    bad_problem("Reshape f32[2,3]={1,2,3,4,5,6} i64[1]",
                "hangs on the data of an input that is not there");
    bad_problem("Concat{axis=0} f32[2,3] f32[2,4]", "has 4 along axis 1");
    bad_problem("Split f32[5] i64[2]={2,2} -> 2", "the sizes add to 4, the dim is 5");
    bad_problem("Slice f32[5] i64[1]={0} i64[1]={5} i64[1]={0} i64[1]={0}",
                "the step along axis 0 is 0");
    bad_problem("Squeeze f32[2,1] i64[1]={0}", "axis 0 has 2 elements");
    bad_problem("Expand f32[2,3] i64[1]={4}", "cannot be expanded");
    bad_problem("ScatterND f32[3]={1,2,3} i64[1,1]={-4} f32[1]={1}", "index -4");
    bad_problem("TopK f32[3]={1,2,3} i64[1]={4}", "K is 4, axis 0 has 3 elements");
    bad_problem("Tile f32[2,3] i64[1]={4}", "1 repeats are given for a tensor of rank 2");
    bad_problem("ConstantOfShape i64[2]={4611686018427387904,4}", "larger than any memory");
}

/* As a run does it: types first, the data later. */
static void shapes_follow_the_data(void **state)
{
    tn_arena arena, scratch;
    tn_problem p;
    bool values[] = {true, false, true};
    (void)state;
    tn_arena_init(&arena);
    must("NonZero", tn_problem_parse("NonZero bool[3]", &arena, &p));
    assert_int_equal(p.out_count, 1);
    assert_int_equal(p.out[0].dtype, TN_DTYPE_NONE);
    p.in[0].data = values;
    const tn_tactic *tactic = NULL;
    for (const tn_tactic *const *at = tn_reference_tactics(); *at; at++)
        if (!strcmp((*at)->name, "cpu.nonzero.any.reference")) tactic = *at;
    assert_non_null(tactic);
    assert_null(tactic->accepts(&p));
    for (int i = 0; i < 2; i++) {
        values[1] = i == 1;
        tn_arena_init(&scratch);
        must("resolve", tactic->resolve(&p, &scratch));
        tn_arena_fini(&scratch);
        assert_int_equal(p.out[0].rank, 2);
        assert_int_equal(p.out[0].dim[0], 1);
        assert_int_equal(p.out[0].dim[1], 2 + i);
    }
    tn_arena_fini(&arena);
}

static void several_outputs_are_counted(void **state)
{
    tn_arena arena;
    tn_problem p;
    (void)state;
    tn_arena_init(&arena);
    must("Split", tn_problem_parse("Split{axis=1} f32[2,7] -> 3", &arena, &p));
    assert_int_equal(p.out_count, 3);
    assert_int_equal(p.out[2].dim[1], 1);
    must("TopK", tn_problem_parse("TopK f32[9] i64[1]={2}", &arena, &p));
    assert_int_equal(p.out_count, 2);
    must("Dropout", tn_problem_parse("Dropout f32[9] -> f32[9] bool[9]", &arena, &p));
    assert_int_equal(p.out_count, 2);
    must("Slice",
         tn_problem_parse("Slice f32[9]! i64[1]={2} i64[1]={5} none i64[1]={2}", &arena, &p));
    assert_int_equal(p.out[0].dim[0], 2);
    assert_int_equal(p.in[3].dtype, TN_DTYPE_NONE);
    assert_int_equal(p.in_constant, 1);
    tn_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases_have_their_outputs),
        cmocka_unit_test(every_reference_is_a_tactic),
        cmocka_unit_test(bad_problems_say_why),
        cmocka_unit_test(shapes_follow_the_data),
        cmocka_unit_test(several_outputs_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
