/* The ONNX importer and files that are cut short, damaged, made to hurt, or read with no memory
 * left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/log.h"
#include "fault/failing_allocator.h"
#include "import/import.h"
#include "onnx_writer.h"

static void quiet(void *self, tn_log_level level, const char *line)
{
    (void)level;
    (void)line;
    (*(int *)self)++;
}

static tn_status import(const tn_writer *m, tn_import **out)
{
    return tn_onnx_import(m->at, m->count, "test.onnx", NULL, NULL, out);
}

static void survives_truncation(void **state)
{
    (void)state;
    tn_writer g = small_graph(true), m = make_model(8, 17, &g);
    for (size_t count = 0; count < m.count; count++) {
        uint8_t *exact = malloc(count ? count : 1);
        tn_import *model;
        assert_non_null(exact);
        memcpy(exact, m.at, count);
        tn_status status = tn_onnx_import(exact, count, "cut", NULL, NULL, &model);
        assert_non_null(status);
        assert_true(tn_status_message(status)[0]);
        free(exact);
    }
    tn_writer_fini(&m);
}

static void survives_flipped_bits(void **state)
{
    (void)state;
    int lines = 0;
    tn_set_log(quiet, &lines, TN_LOG_WARNING);
    tn_writer g = small_graph(true), m = make_model(8, 17, &g);
    for (size_t bit = 0; bit < 8 * m.count; bit++) {
        tn_import *model;
        m.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        tn_status status = import(&m, &model);
        if (status) assert_true(tn_status_message(status)[0]);
        else tn_import_free(model);
        m.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    tn_writer_fini(&m);
    tn_set_log(NULL, NULL, TN_LOG_WARNING);
}

/* 10^6 graphs, each in an attribute of a node of the one around it: lengths from the inside out. */
static void refuses_deep_nesting(void **state)
{
    (void)state;
    enum { DEPTH = 1000000, ROOM = 16 * DEPTH };
    uint8_t *bytes = malloc(ROOM), *at = bytes + ROOM;
    assert_non_null(bytes);
    for (int i = 0; i < 3 * DEPTH; i++) {
        static const uint8_t tags[] = {6 << 3 | 2, 5 << 3 | 2, 1 << 3 | 2};
        uint64_t count = (uint64_t)(bytes + ROOM - at);
        uint8_t length[10];
        int n = 0;
        for (; count >= 0x80; count >>= 7) length[n++] = (uint8_t)(count | 0x80);
        length[n++] = (uint8_t)count;
        if (at - bytes < n + 1) break;
        at -= n;
        memcpy(at, length, (size_t)n);
        *--at = tags[i % 3];
    }
    tn_writer m = {0};
    put_int(&m, 1, 8);
    put_bytes(&m, 7, at, (size_t)(bytes + ROOM - at));
    free(bytes);
    tn_import *model;
    tn_status status = import(&m, &model);
    assert_int_equal(tn_status_code(status), TN_INVALID);
    assert_non_null(strstr(tn_status_message(status), "deep"));
    tn_writer_fini(&m);
}

/* Two bytes a node: a hundred times that in memory, were it unpacked. */
static void refuses_swollen_files(void **state)
{
    (void)state;
    size_t count = 4000000;
    uint8_t *bytes = malloc(2 * count);
    assert_non_null(bytes);
    for (size_t i = 0; i < count; i++) bytes[2 * i] = 1 << 3 | 2, bytes[2 * i + 1] = 0;
    tn_writer m = {0};
    put_int(&m, 1, 8);
    put_bytes(&m, 7, bytes, 2 * count);
    free(bytes);
    tn_import *model;
    failing_install(0, FAIL_ONCE);
    tn_status status = import(&m, &model);
    failing_counts counts = failing_remove();
    assert_int_equal(tn_status_code(status), TN_INVALID);
    assert_int_equal(counts.live_bytes, 0);
    assert_in_range(counts.peak_bytes, 0, 1 << 20);
    tn_writer_fini(&m);
}

/* Each allocation of an import fails in turn: the error says so, and all memory comes back. */
static void fails_cleanly_without_memory(void **state)
{
    (void)state;
    tn_writer inner[] = {make_node("", "Neg", "a", "t"), make_node("", "Softmax", "t", "b")};
    tn_writer nodes[] = {call("first", "inner", "x", "h"), make_node("", "Add", "h,w", "y")};
    tn_writer g = node_graph(nodes, 2), part;
    float w[3] = {1, 2, 3};
    part = raw_tensor("w", 1, shape_3, 1, w, sizeof(w)), put_message(&g, 5, &part);
    tn_writer m = make_model(8, 11, &g);
    part = make_function("inner", inner, 2), put_message(&m, 25, &part);
    for (int mode = FAIL_ONCE; mode <= FAIL_FROM_THERE; mode++) {
        failing_counts counts = {.failed = 1};
        for (int64_t n = 1; counts.failed; n++) {
            tn_import *model;
            failing_install(n, (failing_mode)mode);
            tn_status status = import(&m, &model);
            if (!status) tn_import_free(model);
            counts = failing_remove();
            assert_int_equal(counts.live_bytes, 0);
            assert_int_equal(counts.errors, 0);
            assert_int_equal(tn_status_code(status), counts.failed ? TN_OUT_OF_MEMORY : TN_OK);
        }
    }
    tn_writer_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_truncation),          cmocka_unit_test(survives_flipped_bits),
        cmocka_unit_test(refuses_deep_nesting),         cmocka_unit_test(refuses_swollen_files),
        cmocka_unit_test(fails_cleanly_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
