/* Engine files: the same network after a round trip, in another process, on a machine without the
 * tuned kernels; and no damage that goes unnoticed. */
#include "engine_help.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/cpu/cpu.h"
#include "build/build.h"
#include "tensor/tensor.h"

static const char sample[] = "graph \"sample\" {\n"
                             "  input %x : f32[n,3]\n"
                             "  const %w : f32[3,4]={1,2,3,4,5,6,7,8,9,10,11,12}\n"
                             "  const %b : f32[4]={-40,0,40,0.5}\n"
                             "  %h : f32[n,4] = MatMul(%x, %w)  \"mm\"\n"
                             "  %a : f32[n,4] = Add(%h, %b)  \"bias\"\n"
                             "  %y : f32[n,4] = Relu(%a)  \"act\"\n"
                             "  output \"y\" = %y\n"
                             "}\n";

/* Where things stand: docs/engine-format.md. */
enum { LINE = 96, TABLE = LINE + 40, SECTIONS = 9, ROW = 32, SOURCE = 7, DATA = 8 };

/* With code as a card would have it. */
static tn_engine *build_sample(void)
{
    static tn_card_code code[] = {{"sm_90a relu 0123456789abcdef -DT=float", "machine code", 12},
                                  {"sm_90a sin 0123456789abcdef ", "", 0}};
    tn_engine *engine = build_text(sample, NULL);
    engine->code.at = code;
    engine->code.count = TN_COUNT(code);
    return engine;
}

static tn_writer image_of(const tn_engine *engine)
{
    tn_writer image = {0};
    assert_ok(tn_engine_file_write(engine, &image));
    return image;
}

/* Reads an engine from memory, as tn_engine_load does from a file. */
static tn_status read_image(const uint8_t *at, size_t bytes, tn_engine **out)
{
    tn_engine *engine;
    tn_mapping mapping = {at, bytes};
    *out = NULL;
    tn_status status = tn_exec_engine_new(&tn_backend_cpu, 1, &engine);
    if (status) return status;
    status = tn_engine_file_read(engine, mapping, "image");
    if (!status) status = tn_exec_engine_ready(engine);
    if (status) tn_exec_engine_release(engine);
    else *out = engine;
    return status;
}

static tn_status try_run(const tn_engine *engine, float *y)
{
    tn_context *context = new_context(engine);
    float x[6] = {1, 2, 3, -1, 0.5f, 2};
    tn_tensor in = view(TN_DTYPE_F32, x, 2, 2, 3), out = view(TN_DTYPE_F32, y, 2, 2, 4);
    assert_ok(tn_exec_context_bind(context, "x", &in));
    assert_ok(tn_exec_context_bind(context, "y", &out));
    tn_status status = tn_exec_context_run(context);
    tn_exec_context_free(context);
    return status;
}

static void run(const tn_engine *engine, float *y)
{
    assert_ok(try_run(engine, y));
}

static void a_round_trip_changes_nothing(void **unused)
{
    (void)unused;
    float before[8], after[8];
    tn_engine *engine = build_sample(), *loaded;
    tn_writer image = image_of(engine), again;
    run(engine, before);
    assert_ok(read_image(image.at, image.count, &loaded));
    run(loaded, after);
    assert_memory_equal(before, after, sizeof(before));
    assert_string_equal(engine->report, loaded->report);
    assert_int_equal(loaded->plan.input_count, 1);
    assert_string_equal(loaded->input[0].dim_name[0], "n");
    assert_int_equal(loaded->code.count, 2);
    assert_string_equal(loaded->code.at[0].name, engine->code.at[0].name);
    assert_memory_equal(loaded->code.at[0].bytes, "machine code", loaded->code.at[0].count);
    assert_true((uintptr_t)loaded->plan.constant[0].data >=
                (uintptr_t)image.at); /* used in place */
    again = image_of(loaded);
    assert_int_equal(again.count, image.count);
    assert_memory_equal(again.at, image.at, image.count);
    tn_exec_engine_release(engine);
    tn_exec_engine_release(loaded);
    tn_writer_fini(&image);
    tn_writer_fini(&again);
}

static uint64_t load_u64(const uint8_t *at)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

/* Where a section begins. */
static size_t section_of(const tn_writer *image, int section)
{
    return (size_t)load_u64(image->at + TABLE + section * ROW + 8);
}

/* Damage in weights shows when they are first read: by a run, by a plan made anew from the graph,
 * by a copy. Each either says so or does not need the byte. */
static bool is_noticed_when_read(const tn_engine *loaded, const float *want)
{
    float y[8];
    tn_engine *again = NULL;
    tn_writer copy = {0};
    tn_code ran = tn_status_code(try_run(loaded, y));
    if (ran) assert_int_equal(ran, TN_CORRUPT);
    else assert_memory_equal(y, want, sizeof(y));
    assert_int_equal(tn_status_code(tn_engine_file_write(loaded, &copy)), TN_CORRUPT);
    tn_code built = tn_status_code(tn_build_again(loaded, NULL, 1, &again));
    if (built) {
        assert_int_equal(built, TN_CORRUPT);
    } else {
        run(again, y);
        for (int i = 0; i < 8; i++) assert_float_equal(y[i], want[i], 1e-4);
    }
    tn_exec_engine_release(again);
    tn_writer_fini(&copy);
    return ran || built;
}

static void every_flipped_byte_is_noticed(void **unused)
{
    (void)unused;
    float want[8];
    tn_engine *engine = build_sample(), *loaded;
    tn_writer image = image_of(engine);
    size_t data = section_of(&image, DATA);
    int64_t noticed = 0;
    run(engine, want);
    for (size_t i = 0; i < image.count; i++) {
        uint8_t flips[] = {1, 0x80, 0xff};
        for (size_t k = 0; k < sizeof(flips); k++) {
            image.at[i] ^= flips[k];
            tn_code code = tn_status_code(read_image(image.at, image.count, &loaded));
            /* Another version of the layout is not damage. */
            if (i >= LINE && i < LINE + 4) assert_int_equal(code, TN_UNSUPPORTED);
            else assert_int_equal(code, i < data ? TN_CORRUPT : TN_OK);
            if (!code) {
                noticed += is_noticed_when_read(loaded, want);
                tn_exec_engine_release(loaded);
            }
            image.at[i] ^= flips[k];
        }
    }
    assert_true(noticed >= 3 * 4 * 16); /* w and b at least */
    assert_ok(read_image(image.at, image.count, &loaded));
    tn_exec_engine_release(loaded);
    tn_exec_engine_release(engine);
    tn_writer_fini(&image);
}

static void every_truncation_is_noticed(void **unused)
{
    (void)unused;
    tn_engine *engine = build_sample(), *loaded;
    tn_writer image = image_of(engine);
    for (size_t bytes = 0; bytes < image.count; bytes++) {
        uint8_t *copy =
            malloc(bytes ? bytes : 1); /* exactly so large: a sanitizer sees any step beyond */
        memcpy(copy, image.at, bytes);
        assert_int_equal(tn_status_code(read_image(copy, bytes, &loaded)), TN_CORRUPT);
        free(copy);
    }
    tn_write_u8(&image, 0);
    assert_int_equal(tn_status_code(read_image(image.at, image.count, &loaded)), TN_CORRUPT);
    tn_exec_engine_release(engine);
    tn_writer_fini(&image);
}

/* Checksums put right after the damage: now the checks behind them are on their own. */
static void store_u64(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static void mend_checksums(uint8_t *at)
{
    for (int i = 0; i < DATA; i++) { /* that of the data is 0 */
        uint8_t *row = at + TABLE + i * ROW;
        store_u64(row + 24, tn_hash_bytes(at + load_u64(row + 8), (size_t)load_u64(row + 16)));
    }
    store_u64(at + LINE + 24, tn_hash_bytes(at + TABLE, SECTIONS * ROW));
    store_u64(at + LINE + 32, tn_hash_bytes(at, LINE + 32));
}

static void no_byte_of_plan_or_tables_crashes_the_reader(void **unused)
{
    (void)unused;
    tn_engine *engine = build_sample(), *loaded;
    tn_writer image = image_of(engine);
    int64_t refused = 0, tried = 0;
    for (int section = 0; section < SOURCE; section++) {
        if (section == 4) continue; /* text, all the same to a reader */
        size_t begin = section_of(&image, section);
        size_t bytes = (size_t)load_u64(image.at + TABLE + section * ROW + 16);
        for (size_t i = begin; i < begin + bytes; i++) {
            uint8_t flips[] = {0x01, 0xff};
            for (size_t k = 0; k < sizeof(flips); k++, tried++) {
                image.at[i] ^= flips[k];
                mend_checksums(image.at);
                if (read_image(image.at, image.count, &loaded)) refused++;
                else tn_exec_engine_release(loaded);
                image.at[i] ^= flips[k];
            }
        }
    }
    assert_true(tried > 1000);
    assert_true(refused > tried / 4);
    tn_exec_engine_release(engine);
    tn_writer_fini(&image);
}

/* ---- Weights that are there once -------------------------------------------------------------*/

enum { WIDE_ROWS = 160, WIDE_COLUMNS = 120, WIDE = WIDE_ROWS * WIDE_COLUMNS };

static float wide_weight(int i)
{
    return (float)(i * 7919 % 1000) / 512;
}

/* The same weights by rows and by columns, too large to lie beside what the kernels packed. */
static tn_engine *build_wide(void)
{
    tn_text text = {0};
    tn_text_printf(&text, "graph \"wide\" {\n  input %%x : f32[n,%d]\n", WIDE_ROWS);
    for (int turned = 0; turned < 2; turned++) {
        tn_text_printf(&text, "  const %%w%d : f32[%d,%d]={", turned, WIDE_ROWS, WIDE_COLUMNS);
        for (int i = 0; i < WIDE; i++)
            tn_text_printf(&text, "%s%.9g", i ? "," : "", (double)wide_weight(i));
        tn_text_printf(&text, "}\n");
    }
    tn_text_printf(&text,
                   "  %%y : f32[n,%d] = MatMul(%%x, %%w0)\n"
                   "  %%z : f32[n,%d] = Gemm{transB=1}(%%y, %%w1)\n"
                   "  output \"z\" = %%z\n}\n",
                   WIDE_COLUMNS, WIDE_ROWS);
    assert_false(text.failed);
    tn_engine *engine = build_text(text.at, NULL);
    tn_text_fini(&text);
    return engine;
}

/* A pass may have turned the second one. */
static void check_wide(const tn_engine *engine)
{
    int found = 0;
    assert_ok(tn_exec_graph_check(engine));
    for (int32_t i = 0; i < engine->graph_constant_count; i++) {
        const tn_tensor *t = &engine->plan.constant[engine->graph_constant[i]];
        if (tn_tensor_count(t) != WIDE) continue;
        found++;
        for (int k = 0; k < WIDE; k++) {
            int row = k / (int)t->dim[1], column = k % (int)t->dim[1];
            int at = t->dim[0] == WIDE_ROWS ? k : column * WIDE_COLUMNS + row;
            assert_float_equal(((const float *)t->data)[k], wide_weight(at), 0);
        }
    }
    assert_int_equal(found, 2);
}

static void run_wide(const tn_engine *engine, float *z)
{
    static float x[3 * WIDE_ROWS];
    tn_context *context = new_context(engine);
    for (int i = 0; i < 3 * WIDE_ROWS; i++) x[i] = (float)(i % 37) / 16 - 1;
    tn_tensor in = view(TN_DTYPE_F32, x, 2, 3, WIDE_ROWS);
    tn_tensor out = view(TN_DTYPE_F32, z, 2, 3, WIDE_ROWS);
    assert_ok(tn_exec_context_bind(context, "x", &in));
    assert_ok(tn_exec_context_bind(context, "z", &out));
    assert_ok(tn_exec_context_run(context));
    tn_exec_context_free(context);
}

static void packed_weights_are_there_once(void **unused)
{
    (void)unused;
    static float want[3 * WIDE_ROWS], got[3 * WIDE_ROWS];
    tn_engine *engine = build_wide(), *loaded, *again;
    run_wide(engine, want);
    tn_writer image = image_of(engine), copy;
    /* Two of panels that are a little wider than the weights. */
    assert_true(image.count > 2 * WIDE * sizeof(float));
    assert_true(image.count < 3 * WIDE * sizeof(float));
    assert_ok(read_image(image.at, image.count, &loaded));
    run_wide(loaded, got);
    assert_memory_equal(got, want, sizeof want);
    check_wide(engine);
    check_wide(loaded);
    check_wide(loaded); /* it is put together once */
    copy = image_of(loaded);
    assert_int_equal(copy.count, image.count);
    assert_memory_equal(copy.at, image.at, image.count);
    assert_ok(tn_build_again(loaded, NULL, 1, &again));
    run_wide(again, got);
    assert_memory_equal(got, want, sizeof want);
    tn_exec_engine_release(again);
    tn_exec_engine_release(loaded);
    tn_exec_engine_release(engine);
    tn_writer_fini(&image);
    tn_writer_fini(&copy);
}

/* Whatever stands in the table: an engine that is read can be read whole. */
static void no_byte_of_an_order_crashes_the_reader(void **unused)
{
    (void)unused;
    tn_engine *engine = build_wide(), *loaded;
    tn_writer image = image_of(engine);
    size_t begin = section_of(&image, 2), end = section_of(&image, 3);
    int64_t refused = 0;
    for (size_t i = begin; i < end; i++) {
        uint8_t flips[] = {0x01, 0x02, 0x80, 0xff};
        for (size_t k = 0; k < sizeof(flips); k++) {
            image.at[i] ^= flips[k];
            mend_checksums(image.at);
            if (read_image(image.at, image.count, &loaded)) {
                refused++;
            } else {
                tn_code code = tn_status_code(tn_exec_graph_check(loaded));
                assert_true(code == TN_OK || code == TN_CORRUPT);
                tn_exec_engine_release(loaded);
            }
            image.at[i] ^= flips[k];
        }
    }
    assert_true(refused > 100);
    tn_exec_engine_release(engine);
    tn_writer_fini(&image);
}

/* `head -1 FILE` says what wrote it. */
static void the_first_line_is_for_people(void **unused)
{
    (void)unused;
    tn_engine *engine = build_sample(), *loaded;
    tn_writer image = image_of(engine);
    char want[128];
    snprintf(want, sizeof(want), "TENON engine layout 7, tenon %s, for cpu ", tn_version());
    assert_memory_equal(image.at, want, strlen(want));
    assert_memory_equal(image.at, TN_ENGINE_MAGIC, strlen(TN_ENGINE_MAGIC));
    for (size_t i = 0; i < LINE - 3; i++) assert_in_range(image.at[i], ' ', '~');
    assert_memory_equal(image.at + LINE - 3, "\r\n\x1a", 3);
    memcpy(image.at, "TENON\r\n\x1a\6\0\0\0", 12); /* as before layout 7 */
    assert_fails(read_image(image.at, image.count, &loaded), TN_UNSUPPORTED, "build the engine");
    tn_exec_engine_release(engine);
    tn_writer_fini(&image);
}

static void what_is_no_engine_is_said_to_be_none(void **unused)
{
    (void)unused;
    tn_engine *loaded;
    const uint8_t text[] =
        "this is no engine file at all, but long enough to have a header in it ...";
    assert_fails(read_image(text, sizeof(text), &loaded), TN_CORRUPT,
                 "image is not an engine file");
    assert_fails(tn_engine_load("/nowhere/x.engine", NULL, 1, &loaded), TN_NOT_FOUND, "x.engine");
    assert_fails(tn_engine_load("/nowhere/x.engine", "toaster", 1, &loaded), TN_NOT_FOUND,
                 "toaster");
}

static void temporary_path(char *path, size_t bytes)
{
    snprintf(path, bytes, "%s/test_engine_%d.engine", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp",
             (int)getpid());
}

static void another_process_runs_the_file(void **unused)
{
    (void)unused;
    char path[256];
    float want[8];
    tn_engine *engine = build_sample();
    temporary_path(path, sizeof(path));
    assert_ok(tn_engine_save(engine, path));
    run(engine, want);
    tn_exec_engine_release(engine);
    pid_t child = fork();
    if (child == 0) {
        tn_engine *loaded = NULL;
        float got[8];
        int code = tn_engine_load(path, "cpu", 1, &loaded) ? 2 : 0;
        if (!code) {
            run(loaded, got);
            code = memcmp(got, want, sizeof(want)) ? 3 : 0;
        }
        tn_engine_free(loaded);
        _exit(code);
    }
    int state;
    assert_int_equal(waitpid(child, &state, 0), child);
    assert_true(WIFEXITED(state));
    assert_int_equal(WEXITSTATUS(state), 0);
    unlink(path);
}

/* An engine of another version: its plan is not read, its graph is. */
static void a_foreign_plan_is_built_again(void **unused)
{
    (void)unused;
    char path[256];
    float want[8], got[8];
    tn_engine *engine = build_sample(), *loaded = NULL;
    run(engine, want);
    char *meta = tn_text_copy(engine->meta);
    assert_non_null(meta);
    assert_ptr_equal(strstr(meta, "tenon="), meta);
    meta[6] = '9';
    engine->meta = meta;
    /* And one whose first tactic does not exist. */
    for (int round = 0; round < 2; round++) {
        temporary_path(path, sizeof(path));
        if (round) {
            meta[6] = tn_version()[0];
            engine->plan.step[0].choice[0].tactic = "cpu.matmul.f32.future.avx1024";
        }
        assert_ok(tn_engine_save(engine, path));
        assert_ok(tn_engine_load(path, NULL, 1, &loaded));
        unlink(path);
        run(loaded, got);
        for (int i = 0; i < 8; i++) assert_float_equal(got[i], want[i], 1e-4);
        assert_non_null(strstr(loaded->report, "built again"));
        tn_engine_free(loaded);
    }
    engine->meta = "";
    tn_text_free(meta);
    tn_exec_engine_release(engine);
}

static void strings_survive(void **unused)
{
    (void)unused;
    tn_string words[3] = {{"hello", 5}, {"", 0}, {"wörld", 6}};
    int64_t dim = 3;
    tn_tensor t = tn_tensor_of(TN_DTYPE_STRING, &dim, 1, words);
    tn_engine *engine, *loaded;
    assert_ok(tn_exec_engine_new(&tn_backend_cpu, 1, &engine));
    tn_plan *plan = &engine->plan;
    assert_ok(tn_exprs_init(&plan->exprs, &plan->arena));
    assert_ok(tn_exec_engine_own(engine, &t, NULL, 1));
    tn_text text = {0};
    tn_text_printf(&text, "tenon=%s\nparams=%016llx\n", tn_version(),
                   (unsigned long long)tn_exec_params_hash(&tn_backend_cpu));
    engine->meta = text.at;
    tn_writer image = image_of(engine);
    assert_ok(read_image(image.at, image.count, &loaded));
    const tn_string *got = loaded->plan.constant[0].data;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(got[i].bytes, words[i].bytes);
        assert_memory_equal(got[i].text, words[i].text, words[i].bytes);
    }
    tn_exec_engine_release(loaded);
    tn_exec_engine_release(engine);
    tn_text_fini(&text);
    tn_writer_fini(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_round_trip_changes_nothing),
        cmocka_unit_test(every_flipped_byte_is_noticed),
        cmocka_unit_test(every_truncation_is_noticed),
        cmocka_unit_test(no_byte_of_plan_or_tables_crashes_the_reader),
        cmocka_unit_test(packed_weights_are_there_once),
        cmocka_unit_test(no_byte_of_an_order_crashes_the_reader),
        cmocka_unit_test(the_first_line_is_for_people),
        cmocka_unit_test(what_is_no_engine_is_said_to_be_none),
        cmocka_unit_test(another_process_runs_the_file),
        cmocka_unit_test(a_foreign_plan_is_built_again),
        cmocka_unit_test(strings_survive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
