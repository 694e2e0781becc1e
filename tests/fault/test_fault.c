/* Every allocation of a model's whole journey fails in turn, once and from there on: a clean error,
 * the right code, nothing leaked, and afterwards everything works as if nothing had happened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <tenon/tenon.h>

#include "fault/failing_allocator.h"

static uint8_t *file;
static size_t file_bytes;
static char engine_path[256];

static int read_model(void **state)
{
    (void)state;
    FILE *in = fopen(TN_SOURCE_DIR "/examples/curve/curve.onnx", "rb");
    if (!in) return -1;
    file = malloc(1 << 20);
    file_bytes = file ? fread(file, 1, 1 << 20, in) : 0;
    fclose(in);
    snprintf(engine_path, sizeof(engine_path), "%s/fault-%d.engine", TN_BINARY_DIR, (int)getpid());
    return file_bytes ? 0 : -1;
}

static int drop_model(void **state)
{
    (void)state;
    free(file);
    remove(engine_path);
    return 0;
}

/* Runs the engine on a batch of two and gives one number that depends on all outputs. */
static tn_status run_engine(const tn_engine *engine, double *sum)
{
    static float in[2 * 9 * 2];
    for (int i = 0; i < 36; i++) in[i] = (float)i * 0.01f;
    tn_tensor x = tn_tensor_of(TN_DTYPE_F32, (int64_t[]){2, 9, 2}, 3, in), y;
    tn_context *context;
    tn_status status = tn_context_new(engine, &context);
    if (status) return status;
    status = tn_context_bind(context, "data", &x);
    if (!status) status = tn_context_run(context);
    if (!status) status = tn_context_output(context, "output", &y);
    if (!status) {
        *sum = 0;
        for (int i = 0; i < 4; i++) *sum += (double)((float *)y.data)[i] * (i + 1);
    }
    tn_context_free(context);
    return status;
}

/* Import, build with the gate, save, load, run. */
static tn_status whole_journey(double *sum)
{
    tn_model *model;
    tn_engine *engine = NULL, *loaded = NULL;
    tn_build_config config = {.size = sizeof(config), .threads = 2, .budget_ms = -1};
    tn_status status = tn_model_load_bytes(file, file_bytes, NULL, NULL, &model);
    if (status) return status;
    status = tn_build(model, &config, &engine);
    tn_model_free(model);
    if (status) return status;
    status = tn_engine_save(engine, engine_path);
    tn_engine_free(engine);
    if (status) return status;
    status = tn_engine_load(engine_path, "cpu", 1, &loaded);
    if (status) return status;
    status = run_engine(loaded, sum);
    tn_engine_free(loaded);
    return status;
}

/* Built without its weights and with a cache of times, saved, loaded, filled, looked at, run. */
static tn_status fill(const tn_model *model, tn_timing_cache *cache, tn_engine **out)
{
    tn_engine *engine = NULL, *loaded = NULL;
    tn_build_config config = {.size = sizeof(config),
                              .threads = 2,
                              .budget_ms = -1,
                              .no_check = true,
                              .timing_cache = cache,
                              .strip_weights = true};
    tn_status status = tn_build(model, &config, &engine);
    if (status) return status;
    status = tn_engine_save(engine, engine_path);
    tn_engine_free(engine);
    if (status) return status;
    status = tn_engine_load(engine_path, "cpu", 1, &loaded);
    if (status) return status;
    config.strip_weights = false;
    status = tn_engine_refit_from_model(loaded, model, &config, out);
    tn_engine_free(loaded);
    return status;
}

static tn_status journey_of_weights(double *sum)
{
    static const char line[] = "Relu f32[1]\tcpu.relu\t1\tmachine\t5\n";
    tn_model *model;
    tn_engine *engine = NULL;
    tn_timing_cache *cache = NULL;
    char *json = NULL;
    tn_status status = tn_model_load_bytes(file, file_bytes, NULL, NULL, &model);
    if (status) return status;
    status = tn_timing_cache_new(&cache);
    if (!status) status = tn_timing_cache_parse(cache, line, sizeof(line) - 1);
    if (!status) status = fill(model, cache, &engine);
    if (!status) status = tn_engine_layers(engine, cache, &json);
    if (!status) status = run_engine(engine, sum);
    tn_text_free(json);
    tn_timing_cache_free(cache);
    tn_engine_free(engine);
    tn_model_free(model);
    return status;
}

static void fail_each(tn_status (*journey)(double *sum), failing_mode mode, long step)
{
    double want = 0, got = 0;
    assert_int_equal(tn_status_code(journey(&want)), TN_OK);
    long failures = 0;
    for (long n = 1;; n += step) {
        failing_install(n, mode);
        tn_status status = journey(&got);
        tn_code code = tn_status_code(status);
        failing_counts count = failing_remove();
        if (count.live_blocks || count.errors)
            fail_msg("allocation %ld: %ld blocks leaked, %ld wrong frees", n,
                     (long)count.live_blocks, (long)count.errors);
        if (count.failed == 0) {
            /* nothing failed any more: all allocations were seen */
            assert_int_equal(code, TN_OK);
            break;
        }
        failures++;
        if (code == TN_OK) assert_true(got == want); /* it found a way without that memory */
        else if (code != TN_OUT_OF_MEMORY)
            fail_msg("allocation %ld: %s instead of OUT_OF_MEMORY: %s", n, tn_code_name(code),
                     tn_status_message(status));
    }
    printf("%ld failing allocations, each a clean error\n", failures);
    assert_true(failures > 50 / step);
    assert_int_equal(tn_status_code(journey(&got)), TN_OK);
    assert_true(got == want);
}

static void one_allocation_fails(void **state)
{
    (void)state;
    fail_each(whole_journey, FAIL_ONCE, 1);
}

static void one_allocation_of_a_refit_fails(void **state)
{
    (void)state;
    fail_each(journey_of_weights, FAIL_ONCE, 1);
}

static void all_fail_from_there(void **state)
{
    (void)state;
    fail_each(whole_journey, FAIL_FROM_THERE, 3);
    fail_each(journey_of_weights, FAIL_FROM_THERE, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_allocation_fails),
        cmocka_unit_test(one_allocation_of_a_refit_fails),
        cmocka_unit_test(all_fail_from_there),
    };
    return cmocka_run_group_tests(tests, read_model, drop_model);
}
