/* Checkpoints: every form read, values by rule (tests/checkpoints/make_checkpoints.py wrote the
 * files), written and read again, and against the ONNX exports of the same networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "import/checkpoint.h"
#include "import/import.h"

#define SEEDS TN_SOURCE_DIR "/tests/fuzz/seeds/checkpoint/"
#define SHARED TN_SOURCE_DIR "/../shared/models/"

static tn_checkpoint *load(const char *path)
{
    tn_checkpoint *c;
    tn_status status = tn_checkpoint_load(path, &c);
    if (status) fail_msg("%s: %s", path, tn_status_message(status));
    return c;
}

/* A tensor as text, whatever its strides. */
static void print(const tn_tensor *view, tn_text *out)
{
    tn_tensor dense;
    assert_null(tn_tensor_new(view->dtype, view->dim, view->rank, &dense));
    if (tn_tensor_count(view)) assert_null(tn_tensor_copy(view, &dense));
    tn_tensor_print(&dense, 0, out);
    tn_tensor_free(&dense);
}

typedef struct expected {
    const char *name, *text;
} expected;

static void assert_holds(const char *path, const expected *rows, size_t count, const char *note)
{
    tn_checkpoint *c = load(path);
    assert_int_equal(tn_checkpoint_count(c), count);
    for (size_t i = 0; i < count; i++) {
        const char *name;
        tn_tensor at, found;
        tn_text text = {0};
        assert_null(tn_checkpoint_tensor_at(c, (int64_t)i, &name, &at));
        assert_string_equal(name, rows[i].name);
        assert_null(tn_checkpoint_find(c, name, &found));
        assert_ptr_equal(found.data, at.data);
        print(&at, &text);
        assert_string_equal(text.at, rows[i].text);
        tn_text_fini(&text);
    }
    if (!strstr(tn_checkpoint_note(c), note))
        fail_msg("%s: the note lacks '%s':\n%s", path, note, tn_checkpoint_note(c));
    tn_checkpoint_free(c);
}

static const expected types[] = {
    {"float32", "f32[2,3]={0,1,2,3,4,5}"},
    {"float64", "f64[2,3]={0,1,2,3,4,5}"},
    {"float16", "f16[2,3]={0,1,2,3,4,5}"},
    {"bfloat16", "bf16[2,3]={0,1,2,3,4,5}"},
    {"int64", "i64[2,3]={0,1,2,3,4,5}"},
    {"int32", "i32[2,3]={0,1,2,3,4,5}"},
    {"int16", "i16[2,3]={0,1,2,3,4,5}"},
    {"int8", "i8[2,3]={0,1,2,3,4,5}"},
    {"uint8", "u8[2,3]={0,1,2,3,4,5}"},
    {"bool", "bool[2,3]={0,1,1,1,1,1}"},
    {"complex64", "c64[2,3]={0+0i,1+0i,2+0i,3+0i,4+0i,5+0i}"},
    {"complex128", "c128[2,3]={0+0i,1+0i,2+0i,3+0i,4+0i,5+0i}"},
    {"scalar", "f32={7}"},
    {"empty", "f32[0,3]={}"},
};

static const expected views[] = {
    {"base", "f32[4,6]={0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23}"},
    {"transposed", "f32[6,4]={0,6,12,18,1,7,13,19,2,8,14,20,3,9,15,21,4,10,16,22,5,11,17,23}"},
    {"row", "f32[6]={6,7,8,9,10,11}"},
    {"column", "f32[4]={2,8,14,20}"},
    {"windows", "f32[5,4]={3,4,5,6,5,6,7,8,7,8,9,10,9,10,11,12,11,12,13,14}"},
    {"expanded", "f32[3,2]={7,7,7,7,7,7}"},
    {"repeated", "f32[3,6]={0,1,2,3,4,5,0,1,2,3,4,5,0,1,2,3,4,5}"},
};

static void every_storage_class(void **state)
{
    (void)state;
    assert_holds(SEEDS "types.pth", types, TN_COUNT(types), "form: PyTorch zip");
}

static void views_of_one_storage(void **state)
{
    (void)state;
    assert_holds(SEEDS "views.pth", views, TN_COUNT(views), "form: PyTorch zip");
    assert_holds(SEEDS "views_legacy.pth", views, TN_COUNT(views), "form: PyTorch legacy");
    assert_holds(SEEDS "deflated.pth", views, TN_COUNT(views), "form: PyTorch zip");
}

/* Stored data is used where it lies: overlapping views share their memory. */
static void stored_data_is_not_copied(void **state)
{
    (void)state;
    tn_checkpoint *c = load(SEEDS "views.pth");
    tn_tensor base, row, transposed;
    assert_null(tn_checkpoint_find(c, "base", &base));
    assert_null(tn_checkpoint_find(c, "row", &row));
    assert_null(tn_checkpoint_find(c, "transposed", &transposed));
    assert_ptr_equal((float *)base.data + 6, row.data);
    assert_ptr_equal(base.data, transposed.data);
    assert_true((const uint8_t *)base.data > c->bytes &&
                (const uint8_t *)base.data < c->bytes + c->byte_count);
    tn_checkpoint_free(c);
}

static void nested_dicts_and_optimizers(void **state)
{
    (void)state;
    static const expected rows[] = {
        {"model.net.weight", "f32[1,2]={1,2}"},
        {"model.net.bias", "f32[1]={3}"},
        {"pair.0", "f32[1]={4}"},
        {"pair.1", "f32[1]={5}"},
    };
    assert_holds(SEEDS "training.pth", rows, TN_COUNT(rows),
                 "left out: the optimizer's state 'optimizer'");
}

static void whole_modules(void **state)
{
    (void)state;
    static const expected rows[] = {
        {"kept", "i64[3]={0,1,2}"},
        {"first.weight", "f32[2,2]={0,1,2,3}"},
        {"first.bias", "f32[2]={0,1}"},
        {"second.weight", "f32[2,2]={0,1,2,3}"},
        {"norm.weight", "f32[2]={0,1}"},
        {"norm.bias", "f32[2]={0,1}"},
        {"norm.running_mean", "f32[2]={0,0}"},
        {"norm.running_var", "f32[2]={1,1}"},
        {"norm.num_batches_tracked", "i64={0}"},
    };
    assert_holds(SEEDS "module.pth", rows, TN_COUNT(rows),
                 "class: __main__.Tied (a module saved whole)");
}

static void smaller_forms(void **state)
{
    (void)state;
    static const expected parameter[] = {{"tensor", "f32[3]={0,1,2}"}};
    static const expected untyped[] = {{"u2", "u16[3]={2,3,4}"}};
    static const expected small[] = {
        {"odd", "u8[3]={0,1,2}"},
        {"unaligned", "f32[2,3]={0,1,2,3,4,5}"},
        {"scalar", "bf16={7}"},
        {"empty", "i64[0,4]={}"},
    };
    assert_holds(SEEDS "parameter.pth", parameter, 1, "form");
    assert_holds(SEEDS "untyped.pth", untyped, 1, "form");
    assert_holds(SEEDS "small.safetensors", small, TN_COUNT(small), "metadata: format = pt");
}

static void engines_of_torch2trt(void **state)
{
    (void)state;
    assert_holds(SEEDS "torch2trt.pth", NULL, 0, "'engine': a TensorRT engine of 256 bytes");
    tn_checkpoint *c = load(SEEDS "torch2trt.pth");
    assert_int_equal(c->engine_bytes, 256);
    for (int i = 0; i < 256; i++) assert_int_equal(c->engine[i], i);
    tn_checkpoint_free(c);
}

/* ---- Writing ----------------------------------------------------------------------------------*/

static void temporary(char *dst, size_t bytes, const char *name)
{
    snprintf(dst, bytes, "%s/checkpoint-%d-%s", TN_BINARY_DIR, (int)getpid(), name);
}

/* All tensors of a file into another form; and what is read back is the same. */
static void copy_checkpoint(const char *path, const char *name, bool has_wide_complex)
{
    enum { MOST = 32 };
    const char *names[MOST];
    tn_tensor tensors[MOST];
    char target[512];
    int64_t kept = 0;
    tn_checkpoint *c = load(path), *back;
    temporary(target, sizeof(target), name);
    for (int64_t i = 0; i < tn_checkpoint_count(c); i++) {
        assert_null(tn_checkpoint_tensor_at(c, i, &names[kept], &tensors[kept]));
        if (has_wide_complex || tensors[kept].dtype != TN_DTYPE_C128) kept++;
    }
    tn_status status = tn_checkpoint_save(target, names, tensors, kept);
    if (status) fail_msg("%s: %s", target, tn_status_message(status));
    assert_true(tn_is_checkpoint(target));
    back = load(target);
    assert_int_equal(tn_checkpoint_count(back), kept);
    for (int64_t i = 0; i < kept; i++) {
        tn_text want = {0}, got = {0};
        assert_string_equal(back->tensor[i].name, names[i]);
        print(&tensors[i], &want);
        print(&back->tensor[i].view, &got);
        assert_string_equal(want.at, got.at);
        tn_text_fini(&want);
        tn_text_fini(&got);
    }
    tn_checkpoint_free(back);
    tn_checkpoint_free(c);
    assert_int_equal(remove(target), 0);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    static const char *const sources[] = {"types.pth", "views.pth", "module.pth",
                                          "small.safetensors"};
    for (size_t i = 0; i < TN_COUNT(sources); i++) {
        char path[512];
        snprintf(path, sizeof(path), "%s%s", SEEDS, sources[i]);
        copy_checkpoint(path, "copy.pth", true);
        copy_checkpoint(path, "copy.safetensors", false);
    }
}

/* Every payload lies on 64 bytes, and the same tensors give the same bytes. */
static void writing_is_aligned_and_repeatable(void **state)
{
    (void)state;
    static float values[3] = {1, 2, 3};
    static uint8_t small[1] = {9};
    const char *const names[] = {"a", "quote \" \\ \n \xE5\xBF\x83", "empty"};
    const tn_tensor tensors[] = {
        tn_tensor_of(TN_DTYPE_U8, (int64_t[]){1}, 1, small),
        tn_tensor_of(TN_DTYPE_F32, (int64_t[]){3}, 1, values),
        tn_tensor_of(TN_DTYPE_F32, (int64_t[]){0, 2}, 2, NULL),
    };
    static const char *const endings[] = {"same.pth", "same.safetensors"};
    for (size_t k = 0; k < TN_COUNT(endings); k++) {
        char path[512];
        tn_mapping first;
        temporary(path, sizeof(path), endings[k]);
        assert_null(tn_checkpoint_save(path, names, tensors, 3));
        assert_null(tn_file_map(path, &first));
        uint8_t *kept = malloc(first.bytes);
        assert_non_null(kept);
        memcpy(kept, first.at, first.bytes);
        size_t bytes = first.bytes;
        tn_file_unmap(&first);
        assert_null(tn_checkpoint_save(path, names, tensors, 3));
        tn_checkpoint *c = load(path);
        assert_int_equal(c->byte_count, bytes);
        assert_memory_equal(c->bytes, kept, bytes);
        for (int i = 0; i < 2; i++) {
            const tn_tensor *t = &c->tensor[i].view;
            size_t offset = (size_t)((const uint8_t *)t->data - c->bytes);
            assert_true(offset < bytes);
            assert_int_equal(offset % (k == 0 ? 64 : (size_t)tn_dtype_bits(t->dtype) / 8), 0);
        }
        assert_string_equal(c->tensor[1].name, names[1]);
        tn_checkpoint_free(c);
        free(kept);
        remove(path);
    }
}

static void assert_refused(const char *name, const char *const *names, const tn_tensor *tensors,
                           int64_t count, tn_code code)
{
    char path[512];
    temporary(path, sizeof(path), name);
    tn_status status = tn_checkpoint_save(path, names, tensors, count);
    assert_int_equal(tn_status_code(status), code);
    assert_int_equal(access(path, F_OK), -1);
}

static void what_cannot_be_written(void **state)
{
    (void)state;
    static uint16_t values[4];
    const tn_tensor words = tn_tensor_of(TN_DTYPE_U16, (int64_t[]){4}, 1, values);
    const tn_tensor halves = tn_tensor_of(TN_DTYPE_F16, (int64_t[]){4}, 1, values);
    const tn_tensor both[] = {halves, halves},
                    nothing = tn_tensor_of(TN_DTYPE_F16, (int64_t[]){4}, 1, NULL);
    const tn_tensor small = tn_tensor_of(TN_DTYPE_I4, (int64_t[]){4}, 1, values);
    assert_refused("x.pth", (const char *const[]){"w"}, &words, 1, TN_UNSUPPORTED);
    assert_refused("x.safetensors", (const char *const[]){"w"}, &small, 1, TN_UNSUPPORTED);
    assert_refused("x.safetensors", (const char *const[]){"__metadata__"}, &halves, 1, TN_INVALID);
    assert_refused("x.pth", (const char *const[]){"w", "w"}, both, 2, TN_INVALID);
    assert_refused("x.pth", (const char *const[]){"w\xFF"}, &halves, 1, TN_INVALID);
    assert_refused("x.pth", (const char *const[]){""}, &halves, 1, TN_INVALID);
    assert_refused("x.pth", (const char *const[]){"w"}, &nothing, 1, TN_INVALID);
    assert_refused("x.onnx", (const char *const[]){"w"}, &halves, 1, TN_INVALID);
    assert_refused("x.pth", NULL, &halves, 1, TN_INVALID);
}

static void the_api_checks_its_arguments(void **state)
{
    (void)state;
    tn_checkpoint *c = load(SEEDS "views.pth"), *none;
    tn_tensor t;
    const char *name;
    assert_int_equal(tn_status_code(tn_checkpoint_tensor_at(c, 7, &name, &t)), TN_INVALID);
    assert_int_equal(tn_status_code(tn_checkpoint_tensor_at(c, -1, &name, &t)), TN_INVALID);
    assert_int_equal(tn_status_code(tn_checkpoint_find(c, "bias", &t)), TN_NOT_FOUND);
    assert_int_equal(tn_status_code(tn_checkpoint_find(NULL, "bias", &t)), TN_INVALID);
    assert_int_equal(tn_status_code(tn_checkpoint_load("no/such.pth", &none)), TN_NOT_FOUND);
    assert_null(none);
    assert_int_equal(tn_checkpoint_count(NULL), 0);
    assert_false(tn_is_checkpoint(TN_SOURCE_DIR "/examples/curve/curve.onnx"));
    assert_false(tn_is_checkpoint(TN_SOURCE_DIR));
    tn_checkpoint_free(c);
    tn_checkpoint_free(NULL);
}

/* ---- Real checkpoints -------------------------------------------------------------------------*/

static bool have_shared(void)
{
    if (access(SHARED "index.json", R_OK) == 0) return true;
    printf("skipped: ../shared/models is not here\n");
    return false;
}

static void five_forms_of_one_network(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "curve/model_cpu.pth",    "curve/model_cuda.pth",    "curve/model_legacy.pth",
        "curve/whole_module.pth", "curve/model.safetensors",
    };
    if (!have_shared()) return;
    tn_checkpoint *first = load(SHARED "curve/model_cpu.pth");
    for (size_t i = 1; i < TN_COUNT(forms); i++) {
        char path[512];
        snprintf(path, sizeof(path), "%s%s", SHARED, forms[i]);
        tn_checkpoint *c = load(path);
        assert_int_equal(tn_checkpoint_count(c), 26);
        for (int64_t k = 0; k < 26; k++) {
            tn_text want = {0}, got = {0};
            tn_tensor t;
            assert_null(tn_checkpoint_find(c, first->tensor[k].name, &t));
            print(&first->tensor[k].view, &want);
            print(&t, &got);
            assert_string_equal(want.at, got.at);
            tn_text_fini(&want);
            tn_text_fini(&got);
        }
        if (i == 3) assert_string_equal(c->module_class, "__main__.Curve");
        else assert_null(c->module_class);
        tn_checkpoint_free(c);
    }
    tn_checkpoint_free(first);
}

/* Initializers of an export by TorchScript carry the names of the state dict. */
static void compare_with_onnx(const char *pth, const char *onnx, int at_least)
{
    char path[512];
    tn_mapping file;
    tn_import *import;
    int same = 0;
    snprintf(path, sizeof(path), "%s%s", SHARED, pth);
    tn_checkpoint *c = load(path);
    snprintf(path, sizeof(path), "%s%s", SHARED, onnx);
    assert_null(tn_file_map(path, &file));
    assert_null(tn_onnx_import(file.at, file.bytes, onnx, NULL, NULL, &import));
    for (int64_t i = 0; i < import->graph->constant_count; i++) {
        const tn_value *value = import->graph->constant[i];
        const tn_checkpoint_tensor *t = tn_checkpoint_get(c, value->name);
        tn_difference d;
        if (!t || !tn_tensor_same_shape(&t->view, &value->constant)) continue;
        assert_null(tn_tensor_compare(&t->view, &value->constant, 0, 0, &d));
        assert_int_equal(d.beyond_count, 0);
        same++;
    }
    if (same < at_least) fail_msg("%s: only %d tensors are in %s", pth, same, onnx);
    tn_import_free(import);
    tn_file_unmap(&file);
    tn_checkpoint_free(c);
}

static void values_are_those_of_the_exports(void **state)
{
    (void)state;
    if (!have_shared()) return;
    compare_with_onnx("mnist/mnist.pth", "mnist/mnist_opset12.onnx", 8);
    compare_with_onnx("alexnet_mini/model.pth", "alexnet_mini/model_opset17.onnx", 16);
    compare_with_onnx("sentiment/sentiment.pth", "sentiment/sentiment_opset11.onnx", 30);
    compare_with_onnx("swin_t_mini/model.pth", "swin_t_mini/model_opset17.onnx", 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_storage_class),
        cmocka_unit_test(views_of_one_storage),
        cmocka_unit_test(stored_data_is_not_copied),
        cmocka_unit_test(nested_dicts_and_optimizers),
        cmocka_unit_test(whole_modules),
        cmocka_unit_test(smaller_forms),
        cmocka_unit_test(engines_of_torch2trt),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(writing_is_aligned_and_repeatable),
        cmocka_unit_test(what_cannot_be_written),
        cmocka_unit_test(the_api_checks_its_arguments),
        cmocka_unit_test(five_forms_of_one_network),
        cmocka_unit_test(values_are_those_of_the_exports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
