/* Symbolic integers: canonical form, simplification, evaluation, text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "fault/failing_allocator.h"
#include "tensor/expr.h"

static tn_arena arena;
static tn_exprs pool;

static int setup(void **state)
{
    (void)state;
    tn_arena_init(&arena);
    return tn_exprs_init(&pool, &arena) != NULL;
}

static int teardown(void **state)
{
    (void)state;
    tn_arena_fini(&arena);
    return 0;
}

static tn_expr number(int64_t value)
{
    return tn_expr_const(&pool, value);
}

static tn_expr parse(const char *text)
{
    tn_expr e = TN_EXPR_NONE;
    tn_status status = tn_expr_parse(&pool, text, &e);
    if (status) fail_msg("%s: %s", text, tn_status_message(status));
    return e;
}

static void assert_prints(tn_expr e, const char *expected)
{
    tn_text text = {0};
    tn_expr_print(&pool, e, &text);
    assert_string_equal(text.at, expected);
    tn_text_fini(&text);
}

/* Texts of equal expressions, and how both are written. */
static const struct {
    const char *text, *simple;
} equal[] = {
    /* sums of products */
    {"(N+1)-1", "N"},
    {"N+N", "2*N"},
    {"2*N", "2*N"},
    {"b*a", "a*b"},
    {"b+a", "a+b"},
    {"N-N", "0"},
    {"1+N*2+M", "M+2*N+1"},
    {"(N+1)*(N-1)", "N*N-1"},
    {"3-N", "-N+3"},
    {"a*(b+c)-a*c", "a*b"},
    {"-(a-b)", "-a+b"},
    {"7*6", "42"},
    /* division */
    {"(12*N)/12", "N"},
    {"(N*a+N*b)/N", "a+b"},
    {"(N*a+N*b)/(a+b)", "N"},
    {"(2*N+2)/(N+1)", "2"},
    {"(a*a-b*b)/(a-b)", "a+b"},
    {"(4*N+3)/6", "(2*N+1)/3"},
    {"(N/2)/3", "N/6"},
    {"((N-1)/2+1)", "(N+1)/2"},
    {"(((N+1)/2)+1)/2", "(N+3)/4"},
    {"((N+1)/2-1)/2+1", "(N+3)/4"},
    {"(7*N)/3", "2*N+N/3"},
    {"(N%4)/4", "0"},
    {"7/2", "3"},
    {"-7/2", "-4"},
    {"7/-2", "-4"},
    {"5/-3", "-2"},
    {"(10*N-9)/-10", "-N"},
    {"(10*N-9)%-10", "-9"},
    {"N/1", "N"},
    {"0/N", "0"},
    {"b*(a/b)", "b*(a/b)"},
    {"(a*b*64)/(a*64)", "b"},
    /* remainder */
    {"(12*N)%12", "0"},
    {"(12*N+5)%12", "5"},
    {"(5*N)%3", "2*N%3"},
    {"(N*a)%a", "0"},
    {"(2*N)%4", "2*(N%2)"},
    {"(N%8)%4", "N%4"},
    {"-1%N", "N-1"},
    {"-1/N", "-1"},
    {"(N-4)/(N+9)", "(N-4)/(N+9)"},
    {"(N+4)/(N+9)", "0"},
    {"-7%3", "2"},
    {"7%-3", "-2"},
    {"5%-3", "-1"},
    {"N%1", "0"},
    {"(N%5)%5", "N%5"},
    /* bounds */
    {"min(N,N+1)", "N"},
    {"max(N,N+1)", "N+1"},
    {"max(N,0)", "N"},
    {"max(N,-5)", "N"},
    {"min(N,9223372036854775807)", "N"},
    {"min(N,0)", "0"},
    {"min(5,N)", "min(N,5)"},
    {"min(min(N,5),7)", "min(N,5)"},
    {"min(min(N,7),5)", "min(N,5)"},
    {"max(min(N,5),0)", "min(N,5)"},
    {"max(0,N-N/2)", "N-N/2"},
    {"max(0,N-(N+1)/2)", "N-(N+1)/2"},
    {"max(0,N-min(N,M))", "N-min(M,N)"},
    {"min(min(M,N),N)", "min(M,N)"},
    {"max(0,N-1)", "max(N-1,0)"},
    /* conditions */
    {"eq(N,-1)", "0"},
    {"eq(N,N)", "1"},
    {"eq(2*N,1)", "0"},
    {"eq(N+1,0)", "0"},
    {"eq(M,N)", "eq(M,N)"},
    {"eq(N,1)", "eq(N,1)"},
    {"lt(N,0)", "0"},
    {"lt(N,N+1)", "1"},
    {"lt(N,5)", "lt(N,5)"},
    {"select(eq(N,-1),M,N)", "N"},
    {"select(lt(N,N+2),M,N)", "M"},
    {"select(lt(M,5),7,7)", "7"},
    {"select(lt(M,N),M,N)", "min(M,N)"},
    {"select(lt(M,N),N,M)", "max(M,N)"},
    {"select(eq(M,5),M,5)", "5"},
    {"select(eq(M,5),5,M)", "M"},
    {"select(lt(M,5),1,0)", "lt(M,5)"},
    {"select(1,M,N/0)", "M"},
    /* broadcasting */
    {"broadcast(1,N)", "N"},
    {"broadcast(N,1)", "N"},
    {"broadcast(N,N)", "N"},
    {"broadcast(8,N)", "8"},
    {"broadcast(N,8)", "8"},
    {"broadcast(N,M)", "broadcast(M,N)"},
    {"broadcast(broadcast(N,M),N)", "broadcast(M,N)"},
    {"broadcast(N,M+2)", "M+2"},
    {"broadcast(N,min(N,512))", "N"},
    {"broadcast(min(N,512),N)", "N"},
    {"broadcast(N,min(M,512))", "broadcast(N,min(M,512))"},
    /* text */
    {"'a b'+1", "'a b'+1"},
    {"'min'*2", "2*'min'"},
    {"N - - 3", "N+3"},
    {"$nonzero_3.0*2", "2*$nonzero_3.0"},
    {"?", "?"},
    {"?+1", "?"},
    {"-9223372036854775808", "-9223372036854775808"},
    {"x-(a/2)", "x-a/2"},
    {"1-a/2-b%3", "-(a/2)-b%3+1"},
};

static void expressions_have_one_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < TN_COUNT(equal); i++) {
        tn_expr e = parse(equal[i].text);
        assert_prints(e, equal[i].simple);
        assert_int_equal(parse(equal[i].simple), e); /* what is printed reads back as the same */
    }
    assert_null(tn_exprs_check(&pool));
}

static void ceil_div_is_right_for_all_signs(void **state)
{
    (void)state;
    tn_expr n = tn_expr_symbol(&pool, "N"), m = tn_expr_symbol(&pool, "M");
    assert_prints(tn_expr_ceil_div(&pool, n, number(2)), "(N+1)/2");
    assert_int_equal(tn_expr_ceil_div(&pool, tn_expr_mul(&pool, n, number(6)), number(3)),
                     tn_expr_mul(&pool, n, number(2)));
    assert_true(tn_expr_equals(&pool, tn_expr_ceil_div(&pool, number(7), number(2)), 4));
    assert_true(tn_expr_equals(&pool, tn_expr_ceil_div(&pool, number(7), number(-2)), -3));
    assert_true(tn_expr_equals(&pool, tn_expr_ceil_div(&pool, number(-7), number(2)), -3));
    assert_int_equal(tn_expr_ceil_div(&pool, tn_expr_mul(&pool, n, m), m), n);
}

static void bounds_are_proven_or_not(void **state)
{
    (void)state;
    assert_true(tn_expr_at_least(&pool, parse("N"), 0));
    assert_false(tn_expr_at_least(&pool, parse("N"), 1));
    assert_true(tn_expr_at_least(&pool, parse("2*N+3"), 3));
    assert_false(tn_expr_at_least(&pool, parse("N-M"), 0));
    assert_true(tn_expr_at_least(&pool, parse("N-N/2"), 0));
    assert_true(tn_expr_at_least(&pool, parse("N-N/3-N/3-N/3"), 0));
    assert_false(tn_expr_at_least(&pool, parse("N-N/2"), 1));
    assert_true(tn_expr_at_least(&pool, parse("N%7+1"), 1));
    assert_false(tn_expr_at_least(&pool, TN_EXPR_NONE, 0));
}

static void overflow_is_kept_for_evaluation(void **state)
{
    (void)state;
    int64_t values[64], value;
    tn_expr huge = number(INT64_MAX);
    tn_expr sum = tn_expr_add(&pool, huge, number(1));
    assert_false(tn_expr_is_const(&pool, sum, &value));
    assert_true(tn_expr_is_const(&pool, tn_expr_add(&pool, huge, number(-1)), &value));
    assert_int_equal(value, INT64_MAX - 1);
    tn_expr least = number(INT64_MIN);
    assert_false(tn_expr_is_const(&pool, tn_expr_div(&pool, least, number(-1)), &value));
    tn_status status = tn_exprs_evaluate(&pool, values);
    assert_int_equal(tn_status_code(status), TN_INVALID);
    assert_non_null(strstr(tn_status_message(status), "overflow in 1+9223372036854775807"));
}

/* The least integer has no positive twin, which a difference would be printed with. */
static void the_least_integer_is_printed_and_read(void **state)
{
    (void)state;
    tn_text text = {0};
    tn_expr e = tn_expr_sub(&pool, parse("N-9223372036854775807"), tn_expr_const(&pool, 1));
    tn_expr_print(&pool, e, &text);
    assert_int_equal(parse(text.at), e);
    tn_text_fini(&text);
}

/* Kernels wrap where an expression would fail: such values are not taken for known. */
static void large_factors_could_wrap(void **state)
{
    (void)state;
    assert_true(tn_expr_could_wrap(&pool, parse("9223372036854775807*N")));
    assert_true(tn_expr_could_wrap(&pool, parse("N-9223372036854775807")));
    assert_true(tn_expr_could_wrap(&pool, parse("2*max(N-2,0)*9223372036854775807")));
    assert_false(tn_expr_could_wrap(&pool, parse("9223372036854775807")));
    assert_false(tn_expr_could_wrap(&pool, parse("4096*N*M+7")));
    assert_false(tn_expr_could_wrap(&pool, TN_EXPR_NONE));
}

static void division_by_zero_is_an_error_of_evaluation(void **state)
{
    (void)state;
    int64_t values[64];
    tn_expr n = tn_expr_symbol(&pool, "N"), m = tn_expr_symbol(&pool, "M");
    tn_expr quotient = tn_expr_div(&pool, n, m);
    values[n] = 7;
    values[m] = 2;
    assert_null(tn_exprs_evaluate(&pool, values));
    assert_int_equal(values[quotient], 3);
    values[m] = 0;
    tn_status status = tn_exprs_evaluate(&pool, values);
    assert_int_equal(tn_status_code(status), TN_INVALID);
    assert_non_null(strstr(tn_status_message(status), "division by zero in N/M"));
    assert_int_equal(pool.node[tn_expr_div(&pool, number(1), number(0))].op, TN_EXPR_OP_DIV);
}

static void unknown_values_spread(void **state)
{
    (void)state;
    int64_t values[64];
    tn_expr n = tn_expr_symbol(&pool, "N"), r = tn_expr_fresh(&pool, "nonzero_3");
    tn_expr sum = tn_expr_add(&pool, n, r), twice = tn_expr_add(&pool, n, n);
    tn_expr chosen = tn_expr_select(&pool, tn_expr_lt(&pool, n, number(5)), twice, r);
    assert_true(tn_expr_is_runtime(&pool, sum));
    assert_false(tn_expr_is_runtime(&pool, twice));
    values[n] = 4;
    values[r] = TN_EXPR_UNKNOWN;
    assert_null(tn_exprs_evaluate(&pool, values));
    assert_int_equal(values[sum], TN_EXPR_UNKNOWN);
    assert_int_equal(values[twice], 8);
    assert_int_equal(values[chosen], 8);
    values[n] = 6;
    assert_null(tn_exprs_evaluate(&pool, values));
    assert_int_equal(values[chosen], TN_EXPR_UNKNOWN);
}

static void broadcast_conflicts_are_errors(void **state)
{
    (void)state;
    int64_t values[64];
    tn_expr n = tn_expr_symbol(&pool, "N"), m = tn_expr_symbol(&pool, "M");
    tn_expr e = tn_expr_broadcast(&pool, n, m);
    values[n] = 1;
    values[m] = 3;
    assert_null(tn_exprs_evaluate(&pool, values));
    assert_int_equal(values[e], 3);
    values[n] = 2;
    assert_int_equal(tn_status_code(tn_exprs_evaluate(&pool, values)), TN_INVALID);
    assert_int_equal(pool.node[tn_expr_broadcast(&pool, number(2), number(3))].op,
                     TN_EXPR_OP_BROADCAST);
}

static void fresh_symbols_are_new(void **state)
{
    (void)state;
    tn_expr taken = tn_expr_symbol(&pool, "r.0"), a = tn_expr_fresh(&pool, "r");
    assert_int_not_equal(a, taken);
    assert_int_not_equal(a, tn_expr_fresh(&pool, "r"));
    assert_int_equal(tn_expr_symbol(&pool, "r.0"), taken);
}

/* ---- Random expressions against plain arithmetic -----------------------------------------*/

static uint64_t seed = 1;

static int64_t random_below(int64_t limit)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int64_t)(seed >> 33) % limit;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return q - (a % b != 0 && (a < 0) != (b < 0));
}

typedef struct made {
    tn_expr e;
    int64_t value[8]; /* under 8 choices of the symbols */
    bool bad;         /* divided by zero somewhere */
} made;

static made combine(int op, const made *a, const made *b, const made *c)
{
    made m = {.bad = a->bad || b->bad || (op == 9 && c->bad)};
    for (int k = 0; k < 8; k++) {
        int64_t x = a->value[k], y = b->value[k];
        if ((op == 3 || op == 4 || op == 8) && y == 0) m.bad = true;
        if (m.bad) break;
        switch (op) {
        case 0: m.value[k] = x + y; break;
        case 1: m.value[k] = x - y; break;
        case 2: m.value[k] = x * y; break;
        case 3: m.value[k] = floor_div(x, y); break;
        case 4: m.value[k] = x - floor_div(x, y) * y; break;
        case 5: m.value[k] = x < y ? x : y; break;
        case 6: m.value[k] = x > y ? x : y; break;
        case 7: m.value[k] = x == y; break;
        case 8: m.value[k] = -floor_div(-x, y); break;
        case 9: m.value[k] = x ? y : c->value[k]; break;
        default: m.value[k] = x < y; break;
        }
        if (m.value[k] > 1000000 || m.value[k] < -1000000)
            m.bad = true; /* keep clear of overflow */
    }
    if (m.bad) return m;
    static tn_expr (*const build[])(tn_exprs *, tn_expr, tn_expr) = {
        tn_expr_add, tn_expr_sub, tn_expr_mul, tn_expr_div,     tn_expr_mod,
        tn_expr_min, tn_expr_max, tn_expr_eq,  tn_expr_ceil_div};
    if (op == 9) m.e = tn_expr_select(&pool, a->e, b->e, c->e);
    else m.e = op == 10 ? tn_expr_lt(&pool, a->e, b->e) : build[op](&pool, a->e, b->e);
    return m;
}

static void simplifying_keeps_the_value(void **state)
{
    (void)state;
    enum { POOL = 60 };
    int evaluated = 0;
    static made all[POOL];
    static int64_t values[1 << 16];
    for (int round = 0; round < 300; round++) {
        tn_arena_fini(&arena);
        assert_int_equal(setup(NULL), 0);
        for (int i = 0; i < 9; i++) {
            static const char *const name[] = {"a", "b", "c", "d"};
            all[i] = (made){.e = i < 4 ? tn_expr_symbol(&pool, name[i]) : number(i * i - 26)};
            if (i == 8) all[i].e = number(2);
            for (int k = 0; k < 8; k++)
                all[i].value[k] = i < 4 ? random_below(k < 4 ? 4 : 40) : i == 8 ? 2 : i * i - 26;
        }
        for (int i = 9; i < POOL; i++) {
            const made *a = &all[random_below(i)], *b = &all[random_below(i)];
            all[i] = combine((int)random_below(11), a, b, &all[random_below(i)]);
            if (all[i].bad) all[i] = all[random_below(9)];
        }
        for (int k = 0; k < 8; k++) {
            assert_true(pool.count <= (int64_t)TN_COUNT(values));
            for (int i = 0; i < 4; i++) values[all[i].e] = all[i].value[k];
            /* Nodes the simplifier made on its way may divide by zero: values of the rest still
             * hold. */
            if (tn_exprs_evaluate(&pool, values)) continue;
            evaluated++;
            for (int i = 0; i < POOL; i++) {
                assert_int_equal(values[all[i].e], all[i].value[k]);
                const tn_expr_node *node = tn_expr_get(&pool, all[i].e);
                assert_true(node->lo <= all[i].value[k] && all[i].value[k] <= node->hi);
            }
        }
        for (int i = 0; i < POOL; i++) { /* and text keeps the expression */
            tn_text text = {0};
            tn_expr_print(&pool, all[i].e, &text);
            if (!strstr(text.at, "...")) assert_int_equal(parse(text.at), all[i].e);
            tn_text_fini(&text);
        }
    }
    assert_true(evaluated > 600);
}

static void large_sums_stay_correct(void **state)
{
    (void)state;
    static int64_t values[4096];
    tn_expr sum = number(0);
    char name[16];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "s%d", i);
        sum = tn_expr_add(&pool, sum, tn_expr_symbol(&pool, name));
    }
    tn_expr square = tn_expr_mul(&pool, sum, sum);
    assert_null(tn_exprs_check(&pool));
    for (int64_t i = 0; i < pool.count; i++) values[i] = i % 7;
    int64_t expected = 0;
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "s%d", i);
        values[tn_expr_symbol(&pool, name)] = i;
        expected += i;
    }
    assert_null(tn_exprs_evaluate(&pool, values));
    assert_int_equal(values[sum], expected);
    assert_int_equal(values[square], expected * expected);
}

static void bad_text_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "1+",
                                      "(N",
                                      "N)",
                                      "N M",
                                      "min(N)",
                                      "max(1,2,3)",
                                      "foo(1)",
                                      "'a",
                                      "$",
                                      "99999999999999999999",
                                      "a b",
                                      "1..",
                                      "*2",
                                      "#"};
    char deep[300];
    tn_expr e;
    for (size_t i = 0; i < TN_COUNT(bad); i++)
        assert_int_equal(tn_status_code(tn_expr_parse(&pool, bad[i], &e)), TN_INVALID);
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    assert_int_equal(tn_status_code(tn_expr_parse(&pool, deep, &e)), TN_INVALID);
    memset(deep, '-', sizeof deep - 1);
    assert_int_equal(tn_status_code(tn_expr_parse(&pool, deep, &e)), TN_INVALID);
}

static void deep_expressions_print_bounded(void **state)
{
    (void)state;
    tn_expr e = tn_expr_symbol(&pool, "N"), m = tn_expr_symbol(&pool, "M");
    for (int i = 0; i < 5000; i++)
        e = tn_expr_max(&pool, tn_expr_div(&pool, tn_expr_add(&pool, e, m), number(3)), number(i));
    tn_text text = {0};
    tn_expr_print(&pool, e, &text);
    assert_true(text.bytes < 20000 && strstr(text.at, "..."));
    tn_text_fini(&text);
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    for (int64_t fail = 1;; fail++) {
        tn_arena local;
        tn_exprs exprs;
        failing_install(fail, FAIL_ONCE);
        tn_arena_init(&local);
        tn_status status = tn_exprs_init(&exprs, &local);
        if (!status) {
            tn_expr e = tn_expr_symbol(&exprs, "N");
            for (int i = 0; i < 2000; i++)
                e = tn_expr_max(&exprs, tn_expr_div(&exprs, e, tn_expr_const(&exprs, 3)),
                                tn_expr_const(&exprs, i));
            status = tn_exprs_check(&exprs);
        }
        tn_code code = tn_status_code(status);
        tn_arena_fini(&local);
        failing_counts counts = failing_remove();
        assert_int_equal(counts.live_bytes, 0);
        if (code == TN_OK) {
            assert_true(fail > 3);
            return;
        }
        assert_int_equal(code, TN_OUT_OF_MEMORY);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(expressions_have_one_form),
        TEST(ceil_div_is_right_for_all_signs),
        TEST(bounds_are_proven_or_not),
        TEST(overflow_is_kept_for_evaluation),
        TEST(the_least_integer_is_printed_and_read),
        TEST(large_factors_could_wrap),
        TEST(division_by_zero_is_an_error_of_evaluation),
        TEST(unknown_values_spread),
        TEST(broadcast_conflicts_are_errors),
        TEST(fresh_symbols_are_new),
        TEST(simplifying_keeps_the_value),
        TEST(large_sums_stay_correct),
        TEST(bad_text_is_refused),
        TEST(deep_expressions_print_bounded),
        TEST(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
