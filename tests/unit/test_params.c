/* Parameters, problems and tactics: text, defaults, hashes, tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "device/device.h"
#include "fault/failing_allocator.h"

typedef struct sample {
    int64_t axis, mode, to;
    float alpha;
    int32_t pad;
    tn_ints pads, kinds;
    tn_floats scales;
    tn_chars equation;
    tn_scalar value;
} sample;

#define WORDS "constant|reflect|edge"

static const tn_field fields[] = {
    TN_INT(sample, axis, -1),       TN_ENUM(sample, mode, 1, WORDS),
    TN_DTYPE_FIELD(sample, to, 0),  TN_FLOAT(sample, alpha, 0.01),
    TN_INT_LIST(sample, pads),      TN_ENUM_LIST(sample, kinds, WORDS),
    TN_FLOAT_LIST(sample, scales),  TN_CHARS_FIELD(sample, equation),
    TN_SCALAR_FIELD(sample, value),
};

static sample parse(const char *text)
{
    sample s;
    tn_status status = tn_params_parse(&text, fields, TN_COUNT(fields), &s, sizeof s);
    if (status) fail_msg("%s", tn_status_message(status));
    assert_string_equal(text, "");
    return s;
}

static void assert_prints(const sample *s, const char *expected)
{
    tn_text text = {0};
    tn_text_append(&text, "", 0);
    tn_params_print(fields, TN_COUNT(fields), s, &text);
    assert_string_equal(text.at, expected);
    tn_text_fini(&text);
}

static void defaults_print_as_nothing(void **state)
{
    (void)state;
    sample s, parsed = parse("");
    memset(&s, 0x55, sizeof s);
    tn_params_default(fields, TN_COUNT(fields), &s, sizeof s);
    assert_int_equal(s.axis, -1);
    assert_int_equal(s.mode, 1);
    assert_true(s.alpha == 0.01f);
    assert_int_equal(s.pads.count, -1);
    assert_int_equal(s.scales.count, -1);
    assert_int_equal(s.pad, 0);
    assert_prints(&s, "");
    assert_memory_equal(&s, &parsed, sizeof s); /* padding too: params are hashed as bytes */
    s = parse("{}");
    assert_prints(&s, "");
}

static void text_reads_back(void **state)
{
    (void)state;
    static const char everything[] = "{axis=0, mode=edge, to=bool, alpha=inf, pads=[1], kinds=[], "
                                     "equation=\"}\", value=bool={1}}";
    static const char *const texts[] = {
        "{axis=1}",
        "{axis=-9223372036854775808, mode=edge}",
        "{mode=constant, to=f16, alpha=0.1}",
        "{alpha=-0}",
        "{alpha=0.010000001}",
        "{pads=[]}",
        "{pads=[0,1,-2]}",
        "{kinds=[edge,constant]}",
        "{scales=[1,0.5,1e-45]}",
        "{equation=\"b i j,b j k->\\\"x\\\"\"}",
        "{value=i64={-7}}",
        "{value=f32={nan}}",
        "{value=c128={1+2i}}",
        "{value=bf16={3.14}}",
        "{value=u4={9}}",
        everything,
    };
    for (size_t i = 0; i < TN_COUNT(texts); i++) {
        sample s = parse(texts[i]);
        assert_prints(&s, texts[i]);
    }
    sample s = parse("{ axis = 3 , pads=[ 1 , 2 ] }");
    assert_int_equal(s.axis, 3);
    assert_int_equal(s.pads.at[1], 2);
    s = parse("{value=f32[1]={2}}");
    assert_prints(&s, "{value=f32={2}}");
}

static void bad_text_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"{axes=1}", "there is no parameter 'axes'"},
        {"{axis=}", "an integer is missing"},
        {"{axis=99999999999999999999}", "an integer is missing"},
        {"{axis=1", "'}' is missing"},
        {"{axis=1 mode=edge}", "'}' is missing"},
        {"{axis 1}", "'=' is missing after 'axis'"},
        {"{mode=wrap}", "'wrap' is not one of constant|reflect|edge"},
        {"{mode=con}", "'con' is not one of"},
        {"{to=f31}", "'f31' is not a data type"},
        {"{to=ffffffffffffffffffffff}", "is not a data type"},
        {"{alpha=x}", "a number is missing"},
        {"{pads=1}", "'[' is missing"},
        {"{pads=[1 2]}", "']' is missing"},
        {"{pads=[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}", "more than 16 values"},
        {"{scales=[1,2,3,4,5,6,7,8,9]}", "more than 8 values"},
        {"{equation=abc}", "'\"' is missing"},
        {"{equation=\"a\\x00b\"}", "without a zero"},
        {"{value=f32}", "one number with its type"},
        {"{value=f32[2]={1,2}}", "one number with its type"},
        {"{value=string={\"a\"}}", "one number with its type"},
        {"{", "there is no parameter"},
    };
    for (size_t i = 0; i < TN_COUNT(bad); i++) {
        sample s;
        const char *at = bad[i].text;
        tn_status status = tn_params_parse(&at, fields, TN_COUNT(fields), &s, sizeof s);
        assert_int_equal(tn_status_code(status), TN_INVALID);
        if (!strstr(tn_status_message(status), bad[i].message))
            fail_msg("%s: %s", bad[i].text, tn_status_message(status));
    }
}

static void parsing_leaks_nothing(void **state)
{
    (void)state;
    const char *text = "{equation=\"ab\", value=i64={1}, pads=[1]}";
    for (int64_t n = 1;; n++) {
        sample s;
        const char *at = text;
        failing_install(n, FAIL_ONCE);
        tn_code code = tn_status_code(tn_params_parse(&at, fields, TN_COUNT(fields), &s, sizeof s));
        failing_counts counts = failing_remove();
        assert_int_equal(counts.live_bytes, 0);
        assert_int_equal(code, counts.failed ? TN_OUT_OF_MEMORY : TN_OK);
        if (!counts.failed) break;
    }
}

static void choices_are_words(void **state)
{
    (void)state;
    size_t bytes;
    assert_int_equal(tn_choice_find(WORDS, "edge", 4), 2);
    assert_int_equal(tn_choice_find(WORDS, "edg", 3), -1);
    assert_int_equal(tn_choice_find(NULL, "edge", 4), -1);
    assert_memory_equal(tn_choice_text(WORDS, 1, &bytes), "reflect", 7);
    assert_int_equal(bytes, 7);
    assert_null(tn_choice_text(WORDS, 3, &bytes));
    assert_null(tn_choice_text(WORDS, -1, &bytes));
}

/* ---- Problems -----------------------------------------------------------------------------*/

static void problems_are_told_apart(void **state)
{
    (void)state;
    sample params = parse("{axis=1}");
    int64_t dim[] = {2, 3};
    tn_tensor in[] = {
        tn_tensor_of(TN_DTYPE_F32, dim, 2, NULL), {0}, tn_tensor_of(TN_DTYPE_I64, dim, 1, NULL)};
    tn_tensor out[] = {tn_tensor_of(TN_DTYPE_F32, dim, 2, NULL),
                       tn_tensor_of(TN_DTYPE_BOOL, dim, 0, NULL)};
    tn_problem p = {.op = "Softmax",
                    .field = fields,
                    .field_count = TN_COUNT(fields),
                    .in_count = 3,
                    .out_count = 2,
                    .in = in,
                    .out = out,
                    .in_constant = 4,
                    .params = &params,
                    .params_bytes = sizeof params};
    tn_text text = {0};
    tn_problem_print(&p, &text);
    assert_string_equal(text.at, "Softmax{axis=1} f32[2,3] none i64[2]! -> f32[2,3] bool");
    tn_text_fini(&text);

    uint64_t hash[8] = {tn_problem_hash(&p)};
    float data[6] = {1};
    in[0].data = data;
    p.field = NULL;
    assert_int_equal(tn_problem_hash(&p), hash[0]); /* neither data nor rows count */
    tn_problem_print(&p, &text);
    assert_non_null(strstr(text.at, "Softmax{#"));
    tn_text_fini(&text);
    p.op = "Softmax2";
    hash[1] = tn_problem_hash(&p);
    p.op = "Softmax";
    params.axis = 0;
    hash[2] = tn_problem_hash(&p);
    params.axis = 1;
    in[0].dim[1] = 4;
    hash[3] = tn_problem_hash(&p);
    in[0].dim[1] = 3;
    in[0].dtype = TN_DTYPE_F16;
    hash[4] = tn_problem_hash(&p);
    in[0].dtype = TN_DTYPE_F32;
    p.in_constant = 0;
    hash[5] = tn_problem_hash(&p);
    p.in_constant = 4;
    p.in_count = 2;
    hash[6] = tn_problem_hash(&p);
    p.in_count = 3;
    out[1].rank = 1;
    hash[7] = tn_problem_hash(&p);
    for (int i = 0; i < 8; i++)
        for (int k = 0; k < i; k++) assert_true(hash[i] != hash[k]);
}

static const tn_tactic fast = {.name = "x.matmul.f32.fast", .op = "MatMul", .needs = 3};
static const tn_tactic other = {.name = "x.add.f32.rows", .op = "Add"};
static const tn_tactic slow = {.name = "x.matmul.any.slow", .op = "MatMul"};

static const tn_tactic *const *table(void)
{
    static const tn_tactic *const all[] = {&fast, &other, &slow, NULL};
    return all;
}

static void tactics_are_found(void **state)
{
    (void)state;
    const tn_backend backend = {.name = "x", .tactics = table};
    const tn_tactic *found[4];
    assert_ptr_equal(tn_tactic_find(&backend, "x.add.f32.rows"), &other);
    assert_null(tn_tactic_find(&backend, "x.add.f32"));
    assert_int_equal(tn_tactics_of(&backend, "MatMul", 7, found, 4), 2);
    assert_ptr_equal(found[0], &fast);
    assert_int_equal(tn_tactics_of(&backend, "MatMul", 1, found, 4), 1); /* lacks a feature */
    assert_ptr_equal(found[0], &slow);
    assert_int_equal(tn_tactics_of(&backend, "MatMul", 7, found, 1), 1);
    assert_int_equal(tn_tactics_of(&backend, "Conv", 7, found, 4), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_print_as_nothing), cmocka_unit_test(text_reads_back),
        cmocka_unit_test(bad_text_is_refused),       cmocka_unit_test(parsing_leaks_nothing),
        cmocka_unit_test(choices_are_words),         cmocka_unit_test(problems_are_told_apart),
        cmocka_unit_test(tactics_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
