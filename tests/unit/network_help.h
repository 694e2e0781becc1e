/* For tests of the network-definition API: a network for each test, inputs with their values, and a
 * check that builds an engine, runs it, and compares. */
#ifndef TN_TESTS_NETWORK_HELP_H
#define TN_TESTS_NETWORK_HELP_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <tenon/tenon.h>

#define F(...) ((const float[]){__VA_ARGS__})
#define N(...) ((const int64_t[]){__VA_ARGS__})
#define B(...) ((const bool[]){__VA_ARGS__})
#define D(...) (const double[]){__VA_ARGS__}, (int)(sizeof((double[]){__VA_ARGS__}) / 8)

enum { GIVEN_MAX = 8 };

static tn_network *net;
static struct {
    const char *name;
    tn_tensor tensor;
} given[GIVEN_MAX];
static int given_count;

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        tn_status ok_ = (call);                                                                    \
        if (ok_) {                                                                                 \
            char text_[4096];                                                                      \
            tn_status_text(ok_, true, text_, sizeof(text_));                                       \
            fail_msg("%s", text_);                                                                 \
        }                                                                                          \
    } while (0)

/* The call fails with `code`, and its text (message and notes) has `part` in it. */
#define assert_fails(call, code_wanted, part)                                                      \
    do {                                                                                           \
        tn_status bad_ = (call);                                                                   \
        char text_[4096];                                                                          \
        assert_non_null(bad_);                                                                     \
        tn_status_text(bad_, false, text_, sizeof(text_));                                         \
        if (!strstr(text_, part)) fail_msg("\"%s\" is not in \"%s\"", part, text_);                \
        assert_int_equal(tn_status_code(bad_), code_wanted);                                       \
    } while (0)

static int setup(void **state)
{
    (void)state;
    given_count = 0;
    return tn_network_new("test", &net) ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    tn_network_free(net);
    return 0;
}

/* A view of values that the test owns. */
static inline tn_tensor view(tn_dtype dtype, const void *values, const int64_t *dim, int rank)
{
    return tn_tensor_of(dtype, dim, rank, (void *)(uintptr_t)values);
}

static inline tn_layer *input_of(tn_dtype dtype, const void *values, const int64_t *dim, int rank)
{
    static const char *const names[GIVEN_MAX] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    given[given_count].name = names[given_count];
    given[given_count].tensor = view(dtype, values, dim, rank);
    return tn_network_add_input(net, names[given_count++], dtype, dim, rank);
}

/* The dims after the values: floats(F(1, 2), 2) is [2]. */
#define floats(values, ...) input_of(TN_DTYPE_F32, values, TN_DIMS(__VA_ARGS__))
#define ints(values, ...) input_of(TN_DTYPE_I64, values, TN_DIMS(__VA_ARGS__))
#define bools(values, ...) input_of(TN_DTYPE_BOOL, values, TN_DIMS(__VA_ARGS__))
#define weight(values, ...) (&(tn_tensor[]){view(TN_DTYPE_F32, values, TN_DIMS(__VA_ARGS__))}[0])

static inline double value_at(const tn_tensor *t, int64_t i)
{
    switch (t->dtype) {
    case TN_DTYPE_F32: return (double)((float *)t->data)[i];
    case TN_DTYPE_F64: return ((double *)t->data)[i];
    case TN_DTYPE_I64: return (double)((int64_t *)t->data)[i];
    case TN_DTYPE_I32: return ((int32_t *)t->data)[i];
    case TN_DTYPE_I8: return ((int8_t *)t->data)[i];
    case TN_DTYPE_U8: return ((uint8_t *)t->data)[i];
    case TN_DTYPE_BOOL: return ((bool *)t->data)[i];
    default: fail_msg("no values of type %s", tn_dtype_name(t->dtype)); return 0;
    }
}

static inline tn_context *run_model(const tn_model *model)
{
    tn_build_config config = {.size = sizeof(config), .threads = 1, .budget_ms = -1};
    tn_engine *engine = NULL;
    tn_context *context = NULL;
    assert_ok(tn_build(model, &config, &engine));
    assert_ok(tn_context_new(engine, &context));
    tn_engine_free(engine);
    for (int i = 0; i < given_count; i++)
        assert_ok(tn_context_bind(context, given[i].name, &given[i].tensor));
    assert_ok(tn_context_run(context));
    return context;
}

static inline void compare_output(tn_context *context, const char *name, const int64_t *dim,
                                  int rank, const double *want, int count)
{
    tn_tensor got;
    assert_ok(tn_context_output(context, name, &got));
    assert_int_equal(got.rank, rank);
    for (int i = 0; i < rank; i++) assert_int_equal(got.dim[i], dim[i]);
    assert_int_equal(tn_tensor_count(&got), count);
    for (int i = 0; i < count; i++) {
        double value = value_at(&got, i);
        bool same = value == want[i] || (isnan(value) && isnan(want[i])) ||
                    fabs(value - want[i]) <= 2e-5 * fmax(1, fabs(want[i]));
        if (!same) fail_msg("%s[%d] is %.8g, not %.8g", name, i, value, want[i]);
    }
}

/* The tensor has these dims and values: check(y, TN_DIMS(2), D(1, 2)). The network may go on. */
static inline void check(tn_layer *tensor, const int64_t *dim, int rank, const double *want,
                         int count)
{
    static int outputs;
    char name[32];
    tn_model *model = NULL;
    snprintf(name, sizeof(name), "out%d", outputs++);
    tn_network_mark_output(net, tensor, name);
    assert_ok(tn_model_from_network(net, &model));
    tn_context *context = run_model(model);
    compare_output(context, name, dim, rank, want, count);
    tn_context_free(context);
    tn_model_free(model);
}

#endif
