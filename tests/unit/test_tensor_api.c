/* tn_tensor_load and tn_tensor_save: both formats, and what they refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tensor/tensor.h"

static char folder[] = "/tmp/tn_tensor_api_XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static const char *in_folder(const char *name)
{
    static char path[96];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void writes_and_reads(void **state)
{
    (void)state;
    const char *names[] = {"t.npy", "t.pb"};
    int64_t dims[] = {2, 3};
    int64_t data[] = {1, -2, INT64_MAX, 4, 5, INT64_MIN};
    for (int i = 0; i < 2; i++) {
        const char *path = in_folder(names[i]);
        tn_tensor given = tn_tensor_of(TN_DTYPE_I64, dims, 2, data), got;
        assert_null(tn_tensor_save(&given, path));
        assert_null(tn_tensor_load(path, &got));
        assert_int_equal(got.dtype, TN_DTYPE_I64);
        assert_true(tn_tensor_same_shape(&given, &got));
        assert_memory_equal(got.data, data, sizeof(data));
        tn_tensor_free(&got);
        assert_int_equal(unlink(path), 0);
    }
}

/* The contents decide, whatever the file is called. */
static void reads_by_contents(void **state)
{
    (void)state;
    float value = 2.5f;
    tn_tensor given = tn_tensor_of(TN_DTYPE_F32, NULL, 0, &value), got;
    char *npy = strdup(in_folder("t.npy")), *other = strdup(in_folder("t.pb"));
    assert_null(tn_tensor_save(&given, npy));
    assert_int_equal(rename(npy, other), 0);
    assert_null(tn_tensor_load(other, &got));
    assert_int_equal(got.rank, 0);
    assert_true(*(float *)got.data == 2.5f);
    tn_tensor_free(&got);
    assert_int_equal(unlink(other), 0);
    free(npy);
    free(other);
}

static void keeps_types_that_only_onnx_has(void **state)
{
    (void)state;
    uint8_t bits[] = {0xE1, 0x07};
    int64_t dims[] = {3};
    tn_tensor given = tn_tensor_of(TN_DTYPE_I4, dims, 1, bits), got;
    const char *path = in_folder("t.npy");
    assert_int_equal(tn_status_code(tn_tensor_save(&given, path)), TN_UNSUPPORTED);
    assert_int_equal(access(path, F_OK), -1);
    path = in_folder("t.pb");
    assert_null(tn_tensor_save(&given, path));
    assert_null(tn_tensor_load(path, &got));
    assert_int_equal(tn_load_i64(TN_DTYPE_I4, got.data, 1), -2);
    tn_tensor_free(&got);
    assert_int_equal(unlink(path), 0);
}

static void refuses_with_the_path(void **state)
{
    (void)state;
    char text[4096];
    float value = 1;
    tn_tensor given = tn_tensor_of(TN_DTYPE_F32, NULL, 0, &value), got;
    tn_status status = tn_tensor_save(&given, in_folder("t.txt"));
    assert_int_equal(tn_status_code(status), TN_INVALID);
    assert_non_null(strstr(tn_status_message(status), "t.txt"));
    status = tn_tensor_load(in_folder("absent.pb"), &got);
    assert_int_equal(tn_status_code(status), TN_NOT_FOUND);
    assert_null(got.data);
    const char *path = in_folder("junk.pb");
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fputs("no tensor at all", file) >= 0);
    assert_int_equal(fclose(file), 0);
    status = tn_tensor_load(path, &got);
    assert_int_equal(tn_status_code(status), TN_CORRUPT);
    tn_status_text(status, false, text, sizeof(text));
    assert_non_null(strstr(text, path));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(tn_status_code(tn_tensor_load(NULL, &got)), TN_INVALID);
    assert_int_equal(tn_status_code(tn_tensor_save(NULL, "t.npy")), TN_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_and_reads),
        cmocka_unit_test(reads_by_contents),
        cmocka_unit_test(keeps_types_that_only_onnx_has),
        cmocka_unit_test(refuses_with_the_path),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
