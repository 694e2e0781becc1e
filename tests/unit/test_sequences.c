/* Sequences and optionals: steps on lists, lists carried by loops, and binding and reading them. */
#include "engine_help.h"

#include <string.h>

#include "fault/failing_allocator.h"
#include "tensor/tensor.h"

/* Takes the sequence apart and puts it together: reversed, joined, and counted. */
static const char reverse[] = "graph \"reverse\" {\n"
                              "  input %s : sequence of f32[...]\n"
                              "  const %front : i64={0}\n"
                              "  %empty = SequenceEmpty()\n"
                              "  %n = SequenceLength(%s)\n"
                              "  %r = Loop{body=graph \"body\" {\n"
                              "      input %i : i64\n"
                              "      input %c : bool\n"
                              "      input %r : sequence of f32[...]\n"
                              "      input %s : sequence of f32[...]\n"
                              "      input %front : i64\n"
                              "      %x = SequenceAt(%s, %i)\n"
                              "      %t = SequenceInsert(%r, %x, %front)\n"
                              "      output \"c\" = %c\n"
                              "      output \"t\" = %t\n"
                              "    }, carried=1}(%n, _, %empty, %s, %front)\n"
                              "  %joined = ConcatFromSequence{axis=0}(%r)\n"
                              "  output \"r\" = %r\n"
                              "  output \"joined\" = %joined\n"
                              "  output \"n\" = %n\n"
                              "}\n";

static const char maybe[] = "graph \"maybe\" {\n"
                            "  input %o : optional f32[...]\n"
                            "  input %x : f32[2]\n"
                            "  %has = OptionalHasElement(%o)\n"
                            "  %y = If{then_branch=graph \"t\" {\n"
                            "      input %o : optional f32[...]\n"
                            "      input %x : f32[2]\n"
                            "      %e = OptionalGetElement(%o)\n"
                            "      output \"e\" = %e\n"
                            "    }, else_branch=graph \"e\" {\n"
                            "      input %o : optional f32[...]\n"
                            "      input %x : f32[2]\n"
                            "      %e = Neg(%x)\n"
                            "      output \"e\" = %e\n"
                            "    }}(%has, %o, %x)\n"
                            "  %same = Identity(%o)\n"
                            "  output \"has\" = %has\n"
                            "  output \"y\" = %y\n"
                            "  output \"same\" = %same\n"
                            "}\n";

static const char pieces[] = "graph \"pieces\" {\n"
                             "  input %x : f32[2,5]\n"
                             "  const %two : i64={2}\n"
                             "  const %at : i64={-3}\n"
                             "  %p = SplitToSequence{axis=1}(%x, %two)\n"
                             "  %q = SequenceErase(%p, %at)\n"
                             "  %z = ConcatFromSequence{axis=-1}(%q)\n"
                             "  %c = SplitToSequence{axis=1, keepdims=0}(%x)\n"
                             "  %d = ConcatFromSequence{axis=0, new_axis=1}(%c)\n"
                             "  output \"p\" = %p\n"
                             "  output \"z\" = %z\n"
                             "  output \"d\" = %d\n"
                             "}\n";

static int64_t count_of(tn_context *context, const char *name)
{
    int64_t count;
    assert_ok(tn_exec_context_sequence_count(context, name, &count));
    return count;
}

static void assert_values(const tn_tensor *t, const float *want, int64_t count)
{
    assert_int_equal(tn_tensor_count(t), count);
    for (int64_t i = 0; i < count; i++) assert_float_equal(((const float *)t->data)[i], want[i], 0);
}

static void run_reverse(tn_context *context, int64_t count)
{
    float data[] = {1, 2, 3, 4, 5, 6}, want[6];
    tn_tensor items[3], t;
    for (int64_t i = 0; i < count; i++)
        items[i] = view(TN_DTYPE_F32, data + i * (i + 1) / 2, 1, i + 1, 0);
    assert_ok(tn_exec_context_bind_sequence(context, "s", items, count));
    assert_ok(tn_exec_context_run(context));
    assert_int_equal(count_of(context, "r"), count);
    int64_t used = 0;
    for (int64_t i = 0; i < count; i++) {
        const tn_tensor *from = &items[count - 1 - i];
        assert_ok(tn_exec_context_sequence_item(context, "r", i, &t));
        assert_values(&t, from->data, tn_tensor_count(from));
        memcpy(want + used, from->data, (size_t)tn_tensor_bytes(from));
        used += tn_tensor_count(from);
    }
    assert_ok(tn_exec_context_output(context, "joined", &t));
    assert_values(&t, want, used);
}

static void a_loop_carries_a_sequence(void **unused)
{
    (void)unused;
    failing_install(0, FAIL_ONCE);
    tn_engine *engine = build_text(reverse, NULL);
    tn_context *context = new_context(engine);
    run_reverse(context, 1);
    /* Putting tensors in moves their memory about: it takes a few runs until each piece fits all.
     */
    for (int i = 0; i < 8; i++) run_reverse(context, 3);
    int64_t before = failing_read().requests;
    run_reverse(context, 3);
    assert_int_equal(failing_read().requests, before);
    assert_ok(tn_exec_context_bind_sequence(context, "s", NULL, 0));
    tn_status status = tn_exec_context_run(context);
    assert_non_null(strstr(tn_status_message(status), "an empty sequence cannot be joined"));
    run_reverse(context, 2);
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
    failing_counts counts = failing_remove();
    assert_int_equal(counts.live_bytes, 0);
    assert_int_equal(counts.errors, 0);
}

static void an_optional_may_be_absent(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text(maybe, NULL);
    tn_context *context = new_context(engine);
    float x[2] = {1, 2}, o[3] = {7, 8, 9};
    tn_tensor in = view(TN_DTYPE_F32, x, 1, 2, 0), given = view(TN_DTYPE_F32, o, 1, 3, 0), t;
    assert_ok(tn_exec_context_bind(context, "x", &in));
    assert_non_null(tn_exec_context_run(context)); /* o is not bound */
    for (int round = 0; round < 4; round++) {
        bool absent = round % 2;
        assert_ok(tn_exec_context_bind_sequence(context, "o", &given, absent ? -1 : 1));
        assert_ok(tn_exec_context_run(context));
        assert_ok(tn_exec_context_output(context, "has", &t));
        assert_int_equal(*(const uint8_t *)t.data, !absent);
        assert_ok(tn_exec_context_output(context, "y", &t));
        assert_values(&t, absent ? (float[]){-1, -2} : o, absent ? 2 : 3);
        assert_int_equal(count_of(context, "same"), absent ? -1 : 1);
    }
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
}

static void tensors_are_split_and_joined(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text(pieces, NULL);
    tn_context *context = new_context(engine);
    float x[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    tn_tensor in = view(TN_DTYPE_F32, x, 2, 2, 5), t;
    assert_ok(tn_exec_context_bind(context, "x", &in));
    assert_ok(tn_exec_context_run(context));
    assert_int_equal(count_of(context, "p"), 3);
    assert_ok(tn_exec_context_sequence_item(context, "p", 2, &t));
    assert_int_equal(t.dim[1], 1);
    assert_values(&t, (float[]){4, 9}, 2);
    assert_ok(tn_exec_context_output(context, "z", &t));
    assert_values(&t, (float[]){2, 3, 4, 7, 8, 9}, 6);
    assert_ok(tn_exec_context_output(context, "d", &t));
    assert_int_equal(t.dim[0], 5);
    assert_values(&t, (float[]){0, 5, 1, 6, 2, 7, 3, 8, 4, 9}, 10);
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
}

static void wrong_uses_are_told(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text(maybe, NULL);
    tn_context *context = new_context(engine);
    float x[2] = {1, 2};
    int64_t number = 1, count;
    tn_tensor f = view(TN_DTYPE_F32, x, 1, 2, 0), i = view(TN_DTYPE_I64, &number, 0, 0, 0);
    tn_tensor two[2] = {f, f}, t;
    assert_int_equal(tn_status_code(tn_exec_context_bind(context, "o", &f)), TN_INVALID);
    assert_int_equal(tn_status_code(tn_exec_context_bind_sequence(context, "x", &f, 1)),
                     TN_INVALID);
    assert_int_equal(tn_status_code(tn_exec_context_bind_sequence(context, "o", &i, 1)),
                     TN_INVALID);
    assert_int_equal(tn_status_code(tn_exec_context_bind_sequence(context, "o", two, 2)),
                     TN_INVALID);
    assert_int_equal(tn_status_code(tn_exec_context_bind_sequence(context, "q", two, 2)),
                     TN_NOT_FOUND);
    assert_int_equal(tn_status_code(tn_exec_context_sequence_count(context, "same", &count)),
                     TN_INVALID);
    assert_int_equal(tn_status_code(tn_exec_context_output(context, "same", &t)), TN_INVALID);
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_carries_a_sequence),
        cmocka_unit_test(an_optional_may_be_absent),
        cmocka_unit_test(tensors_are_split_and_joined),
        cmocka_unit_test(wrong_uses_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
