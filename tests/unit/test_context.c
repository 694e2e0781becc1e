/* Contexts: shapes, bindings, memory, run-time shapes, threads. */
#include "engine_help.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/cpu.h"
#include "fault/failing_allocator.h"
#include "tensor/tensor.h"

static const char mlp[] = "graph \"mlp\" {\n"
                          "  input %x : f32[batch,3]\n"
                          "  const %w : f32[3,2]={1,2,3,4,5,6}\n"
                          "  const %b : f32[2]={10,20}\n"
                          "  const %half : f32={0.5}\n"
                          "  %h : f32[batch,2] = MatMul(%x, %w)  \"mm\"\n"
                          "  %s : f32[batch,2] = Add(%h, %b)  \"bias\"\n"
                          "  %a : f32[batch,2] = Abs(%s)  \"size\"\n"
                          "  %d : f32[batch,2] = Add(%s, %a)  \"twice\"\n"
                          "  %y : f32[batch,2] = Mul(%d, %half)  \"act\"\n"
                          "  output \"y\" = %y\n"
                          "}\n";

static const char nonzero[] = "graph \"nonzero\" {\n"
                              "  input %x : f32[n]\n"
                              "  %i : i64[1,k] = NonZero(%x)  \"nz\"\n"
                              "  %f : f32[1,k] = Cast{to=1}(%i)  \"cast\"\n"
                              "  %r : f32[1,k] = Relu(%f)  \"relu\"\n"
                              "  output \"i\" = %i\n"
                              "  output \"r\" = %r\n"
                              "}\n";

static void run_mlp(tn_context *context, int64_t batch)
{
    float x[30], y[20];
    for (int i = 0; i < 30; i++) x[i] = (float)(i % 7) - 3;
    tn_tensor in = view(TN_DTYPE_F32, x, 2, batch, 3), out = view(TN_DTYPE_F32, y, 2, batch, 2);
    assert_ok(tn_exec_context_bind(context, "x", &in));
    assert_ok(tn_exec_context_bind(context, "y", &out));
    assert_ok(tn_exec_context_run(context));
    for (int64_t i = 0; i < batch; i++)
        for (int k = 0; k < 2; k++) {
            float sum = k ? 20 : 10;
            for (int j = 0; j < 3; j++) sum += x[i * 3 + j] * (float)(j * 2 + k + 1);
            assert_float_equal(y[i * 2 + k], sum > 0 ? sum : 0, 1e-4);
        }
}

static void a_network_runs_at_many_shapes(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text(mlp, NULL);
    tn_context *context = new_context(engine);
    tn_exec_engine_release(engine); /* the context keeps it */
    for (int64_t batch = 0; batch <= 10; batch++) run_mlp(context, batch);
    for (int64_t batch = 10; batch > 0; batch -= 3) run_mlp(context, batch);
    tn_exec_context_free(context);
}

static const char tiny[] = "graph \"tiny\" {\n"
                           "  input %x : f32[n]\n"
                           "  const %s : f32={0.01}\n"
                           "  %y : f32[n] = Mul(%x, %s)  \"scale\"\n"
                           "  output \"y\" = %y\n"
                           "}\n";

/* Both where they would come out and where they are read; on every thread. */
static void denormals_are_flushed_unless_they_are_kept(void **unused)
{
    (void)unused;
    enum { COUNT = 2000000 };
    tn_engine *engine = build_text(tiny, NULL);
    tn_context *context = new_context(engine);
    float *x = malloc(COUNT * sizeof(float)), *y = malloc(COUNT * sizeof(float));
    assert_non_null(x);
    assert_non_null(y);
    for (int i = 0; i < COUNT; i++) x[i] = i % 2 ? 1e-37f : 1e-39f;
    tn_tensor in = view(TN_DTYPE_F32, x, 1, COUNT, 0), out = view(TN_DTYPE_F32, y, 1, COUNT, 0);
    assert_ok(tn_exec_context_bind(context, "x", &in));
    assert_ok(tn_exec_context_bind(context, "y", &out));
    for (int keep = 0; keep < 2; keep++) {
        uint64_t mode = tn_float_mode();
        tn_exec_context_keep_denormals(context, keep);
        assert_ok(tn_exec_context_run(context));
        assert_int_equal(tn_float_mode(), mode);
        int wrong = 0;
        for (int i = 0; i < COUNT; i++) wrong += (fpclassify(y[i]) == FP_SUBNORMAL) != keep;
        assert_int_equal(wrong, 0);
    }
    free(x);
    free(y);
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
}

static void a_shape_seen_before_allocates_nothing(void **unused)
{
    (void)unused;
    failing_install(0, FAIL_ONCE);
    tn_engine *engine = build_text(mlp, NULL);
    tn_context *context = new_context(engine);
    for (int64_t batch = 1; batch <= 8; batch++) run_mlp(context, batch);
    int64_t before = failing_read().requests;
    for (int64_t batch = 8; batch >= 1; batch--) run_mlp(context, batch);
    assert_int_equal(failing_read().requests, before);
    run_mlp(context, 9); /* the ninth shape is new */
    assert_true(failing_read().requests > before);
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
    failing_counts counts = failing_remove();
    assert_int_equal(counts.live_bytes, 0);
    assert_int_equal(counts.errors, 0);
}

static void outputs_have_memory_of_their_own_when_not_bound(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text(mlp, NULL);
    tn_context *context = new_context(engine);
    float x[6] = {1, 1, 1, -9, -9, -9};
    tn_tensor in = view(TN_DTYPE_F32, x, 2, 2, 3), out;
    int64_t dim[2] = {2, 3};
    size_t bytes;
    assert_ok(tn_exec_context_set_shape(context, "x", dim, 2));
    assert_ok(tn_exec_context_output(context, "y", &out));
    assert_null(out.data);
    assert_int_equal(out.dim[0], 2);
    assert_int_equal(out.dim[1], 2);
    assert_ok(tn_exec_context_memory_bytes(context, &bytes));
    assert_true(bytes >= 64);
    assert_fails(tn_exec_context_run(context), TN_INVALID, "input 'x' has a shape but no data");
    assert_ok(tn_exec_context_bind(context, "x", &in));
    assert_ok(tn_exec_context_run(context));
    assert_ok(tn_exec_context_output(context, "y", &out));
    const float *y = out.data;
    assert_float_equal(y[0], 19, 1e-5);
    assert_float_equal(y[1], 32, 1e-5);
    assert_float_equal(y[2], 0, 1e-5);
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
}

static void strided_and_overlapping_memory_is_copied(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text(mlp, NULL);
    tn_context *context = new_context(engine);
    /* Columns first, and the result goes over the input. */
    float memory[6] = {1, 0, 2, 0, 3, 1};
    tn_tensor in = {
        .data = memory, .dtype = TN_DTYPE_F32, .rank = 2, .dim = {2, 3}, .stride = {1, 2}};
    tn_tensor out = {
        .data = memory, .dtype = TN_DTYPE_F32, .rank = 2, .dim = {2, 2}, .stride = {3, 1}};
    assert_ok(tn_exec_context_bind(context, "x", &in));
    assert_ok(tn_exec_context_bind(context, "y", &out));
    assert_ok(tn_exec_context_run(context));
    assert_float_equal(memory[0], 32, 1e-4);
    assert_float_equal(memory[1], 48, 1e-4);
    assert_float_equal(memory[2], 2, 0); /* not of the output */
    assert_float_equal(memory[3], 15, 1e-4);
    assert_float_equal(memory[4], 26, 1e-4);
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
}

static void messages_name_the_tensor_and_what_is_allowed(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text("graph \"two\" {\n"
                                   "  input %a : f32[n,4]\n"
                                   "  input %b : f32[n,4]\n"
                                   "  input %i : i64[n]\n"
                                   "  %s : f32[n,4] = Add(%a, %b)\n"
                                   "  %y : f32[n,4] = Gather{axis=0}(%s, %i)\n"
                                   "  output \"y\" = %y\n"
                                   "}\n",
                                   NULL);
    tn_context *context = new_context(engine);
    float data[40] = {0};
    int64_t index[5] = {0};
    tn_tensor t = view(TN_DTYPE_F32, data, 2, 3, 4);
    assert_fails(tn_exec_context_run(context), TN_INVALID, "input 'a', f32[n,4], is not bound");
    assert_ok(tn_exec_context_bind(context, "a", &t));
    t = view(TN_DTYPE_F32, data, 2, 3, 5);
    assert_fails(tn_exec_context_bind(context, "b", &t), TN_INVALID,
                 "'b' is given as f32[3,5], but must be f32[n,4]");
    t = view(TN_DTYPE_F32, data, 1, 3, 0);
    assert_fails(tn_exec_context_bind(context, "b", &t), TN_INVALID, "f32[3]");
    t = view(TN_DTYPE_I32, data, 2, 3, 4);
    assert_fails(tn_exec_context_bind(context, "b", &t), TN_INVALID,
                 "'b' is given as i32, but must be f32");
    assert_fails(tn_exec_context_bind(context, "c", &t), TN_NOT_FOUND, "'a' 'b' 'i' 'y'");
    t = view(TN_DTYPE_F32, NULL, 2, 3, 4);
    assert_fails(tn_exec_context_bind(context, "b", &t), TN_INVALID, "without data");
    t = view(TN_DTYPE_F32, data, 2, 2, 4);
    assert_ok(tn_exec_context_bind(context, "b", &t));
    t = view(TN_DTYPE_I64, index, 1, 3, 0);
    assert_ok(tn_exec_context_bind(context, "i", &t));
    assert_fails(tn_exec_context_run(context), TN_INVALID, "input 'b' is given as f32[2,4]");
    t = view(TN_DTYPE_F32, data, 2, 3, 4);
    assert_ok(tn_exec_context_bind(context, "b", &t));
    assert_ok(tn_exec_context_run(context));
    t = view(TN_DTYPE_F32, data, 2, 2, 4);
    assert_ok(tn_exec_context_bind(context, "y", &t));
    assert_fails(tn_exec_context_run(context), TN_INVALID,
                 "output 'y' is given memory for f32[2,4]");
    int64_t dim[1] = {3};
    assert_fails(tn_exec_context_set_shape(context, "y", dim, 1), TN_INVALID, "is an output");
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
}

static void indices_come_as_i32_or_i64(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text("graph \"gather\" {\n"
                                   "  input %i : i64[n]\n"
                                   "  const %t : f32[4]={5,6,7,8}\n"
                                   "  %y : f32[n] = Gather{axis=0}(%t, %i)\n"
                                   "  output \"y\" = %y\n"
                                   "  output \"same\" = %i\n"
                                   "}\n",
                                   NULL);
    tn_context *context = new_context(engine);
    int32_t narrow[3] = {3, 0, -1};
    int64_t wide[2] = {1, 2};
    tn_tensor t = view(TN_DTYPE_I32, narrow, 1, 3, 0), y, same;
    assert_ok(tn_exec_context_bind(context, "i", &t));
    assert_ok(tn_exec_context_run(context));
    assert_ok(tn_exec_context_output(context, "y", &y));
    assert_float_equal(((float *)y.data)[0], 8, 0);
    assert_float_equal(((float *)y.data)[2], 8, 0);
    assert_ok(tn_exec_context_output(context, "same", &same));
    assert_int_equal(same.dtype, TN_DTYPE_I64);
    assert_int_equal(((int64_t *)same.data)[2], -1);
    t = view(TN_DTYPE_I64, wide, 1, 2, 0);
    assert_ok(tn_exec_context_bind(context, "i", &t));
    assert_ok(tn_exec_context_run(context));
    assert_ok(tn_exec_context_output(context, "y", &y));
    assert_float_equal(((float *)y.data)[1], 7, 0);
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
}

static void run_nonzero(tn_context *context, float *x, int64_t n, const int64_t *want,
                        int64_t count)
{
    tn_tensor in = view(TN_DTYPE_F32, x, 1, n, 0), i, r;
    assert_ok(tn_exec_context_bind(context, "x", &in));
    assert_ok(tn_exec_context_output(context, "i", &i));
    assert_null(i.data);
    assert_int_equal(i.dim[0], 1);
    assert_int_equal(i.dim[1], -1); /* only a run can tell */
    assert_ok(tn_exec_context_run(context));
    assert_ok(tn_exec_context_output(context, "i", &i));
    assert_ok(tn_exec_context_output(context, "r", &r));
    assert_int_equal(i.dim[1], count);
    assert_int_equal(r.dim[1], count);
    for (int64_t k = 0; k < count; k++) {
        assert_int_equal(((int64_t *)i.data)[k], want[k]);
        assert_float_equal(((float *)r.data)[k], (float)want[k], 0);
    }
}

static void shapes_that_hang_on_data(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text(nonzero, NULL);
    tn_context *context = new_context(engine);
    float few[5] = {0, 1, 0, 2, 0}, many[5] = {1, 1, 1, 1, 1}, none[5] = {0};
    run_nonzero(context, few, 5, (int64_t[]){1, 3}, 2);
    run_nonzero(context, many, 5, (int64_t[]){0, 1, 2, 3, 4}, 5);
    run_nonzero(context, none, 5, NULL, 0);
    run_nonzero(context, few, 4, (int64_t[]){1, 3}, 2);

    /* Memory for such an output must be of the size that comes out. */
    float r[2];
    tn_tensor out = view(TN_DTYPE_F32, r, 2, 1, 2), in = view(TN_DTYPE_F32, few, 1, 5, 0);
    assert_ok(tn_exec_context_bind(context, "r", &out));
    assert_ok(tn_exec_context_bind(context, "x", &in));
    assert_ok(tn_exec_context_run(context));
    assert_float_equal(r[1], 3, 0);
    in = view(TN_DTYPE_F32, many, 1, 5, 0);
    assert_ok(tn_exec_context_bind(context, "x", &in));
    assert_fails(tn_exec_context_run(context), TN_INVALID, "came out as f32[1,5]");
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
}

static void run_time_shapes_stop_allocating_too(void **unused)
{
    (void)unused;
    failing_install(0, FAIL_ONCE);
    tn_engine *engine = build_text(nonzero, NULL);
    tn_context *context = new_context(engine);
    float x[5] = {1, 1, 1, 1, 1};
    int64_t all[5] = {0, 1, 2, 3, 4};
    for (int i = 0; i < 3; i++) run_nonzero(context, x, 5, all, 5);
    int64_t before = failing_read().requests;
    for (int i = 0; i < 3; i++) run_nonzero(context, x, 5, all, 5);
    assert_int_equal(failing_read().requests, before);
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
    assert_int_equal(failing_remove().live_bytes, 0);
}

/* The symbol k must be found although nothing reads NonZero's elements. */
static void a_run_time_size_is_computed_for_its_size_alone(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text("graph \"count\" {\n"
                                   "  input %x : f32[n]\n"
                                   "  %i : i64[1,k] = NonZero(%x)\n"
                                   "  %s : i64[2] = Shape(%i)\n"
                                   "  %z = ConstantOfShape(%s)\n"
                                   "  output \"z\" = %z\n"
                                   "  output \"s\" = %s\n"
                                   "}\n",
                                   NULL);
    tn_context *context = new_context(engine);
    float x[4] = {1, 0, 1, 1};
    tn_tensor in = view(TN_DTYPE_F32, x, 1, 4, 0), z, s;
    assert_ok(tn_exec_context_bind(context, "x", &in));
    assert_ok(tn_exec_context_run(context));
    assert_ok(tn_exec_context_output(context, "z", &z));
    assert_ok(tn_exec_context_output(context, "s", &s));
    assert_int_equal(z.rank, 2);
    assert_int_equal(z.dim[1], 3);
    assert_int_equal(((int64_t *)s.data)[1], 3);
    assert_float_equal(((float *)z.data)[2], 0, 0);
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
}

/* A shape that is an input: nothing is known before the run but the rank. */
static void a_shape_given_as_data(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text("graph \"reshape\" {\n"
                                   "  input %x : f32[n]\n"
                                   "  input %s : i64[2]\n"
                                   "  %y = Reshape(%x, %s)\n"
                                   "  %t = Transpose{perm=[1,0]}(%y)\n"
                                   "  output \"t\" = %t\n"
                                   "}\n",
                                   NULL);
    tn_context *context = new_context(engine);
    float x[6] = {0, 1, 2, 3, 4, 5};
    int64_t shape[2] = {2, -1};
    tn_tensor in = view(TN_DTYPE_F32, x, 1, 6, 0), s = view(TN_DTYPE_I64, shape, 1, 2, 0), t;
    assert_ok(tn_exec_context_bind(context, "x", &in));
    assert_ok(tn_exec_context_bind(context, "s", &s));
    assert_ok(tn_exec_context_run(context));
    assert_ok(tn_exec_context_output(context, "t", &t));
    assert_int_equal(t.dim[0], 3);
    assert_int_equal(t.dim[1], 2);
    assert_float_equal(((float *)t.data)[1], 3, 0);
    shape[0] = 4;
    assert_ok(tn_exec_context_bind(context, "s", &s));
    assert_non_null(tn_exec_context_run(context)); /* 6 elements are not 4 rows */
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
}

static void views_and_repeated_outputs(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text("graph \"views\" {\n"
                                   "  input %x : f32[n,4]\n"
                                   "  const %s : i64[3]={-1,2,2}\n"
                                   "  const %c : f32[2]={3,4}\n"
                                   "  %r : f32[n,4] = Relu(%x)\n"
                                   "  %v : f32[n,2,2] = Reshape(%r, %s)\n"
                                   "  %w : f32[n,2,2] = Reshape(%x, %s)\n"
                                   "  output \"v\" = %v\n"
                                   "  output \"again\" = %v\n"
                                   "  output \"r\" = %r\n"
                                   "  output \"w\" = %w\n"
                                   "  output \"c\" = %c\n"
                                   "}\n",
                                   NULL);
    tn_context *context = new_context(engine);
    float x[4] = {1, -2, 3, -4}, r[4];
    tn_tensor in = view(TN_DTYPE_F32, x, 2, 1, 4), out = view(TN_DTYPE_F32, r, 2, 1, 4), t;
    assert_ok(tn_exec_context_bind(context, "x", &in));
    assert_ok(tn_exec_context_bind(context, "r", &out));
    assert_ok(tn_exec_context_run(context));
    assert_float_equal(r[2], 3, 0);
    assert_ok(tn_exec_context_output(context, "v", &t));
    assert_int_equal(t.rank, 3);
    assert_float_equal(((float *)t.data)[0], 1, 0);
    assert_float_equal(((float *)t.data)[1], 0, 0);
    assert_ok(tn_exec_context_output(context, "again", &t));
    assert_float_equal(((float *)t.data)[2], 3, 0);
    assert_ok(tn_exec_context_output(context, "w", &t));
    assert_float_equal(((float *)t.data)[3], -4, 0);
    assert_ok(tn_exec_context_output(context, "c", &t));
    assert_float_equal(((float *)t.data)[1], 4, 0);
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
}

static void times_of_steps_are_counted(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text(mlp, NULL);
    tn_context *context = new_context(engine);
    run_mlp(context, 2);
    tn_exec_context_profile(context, true);
    for (int i = 0; i < 3; i++) run_mlp(context, 2);
    tn_exec_context_profile(context, false);
    run_mlp(context, 2);
    tn_step_time time;
    assert_true(tn_exec_context_step_count(context) > 0);
    assert_ok(tn_exec_context_step_time(context, 0, &time));
    assert_int_equal(time.run_count, 3);
    assert_true(time.total_ms > 0);
    assert_non_null(strstr(time.tactic, "cpu."));
    assert_fails(tn_exec_context_step_time(context, 99, &time), TN_INVALID, "no step 99");
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
}

static void *run_thread(void *engine)
{
    tn_context *context = NULL;
    tn_status status = tn_exec_context_new(engine, &context);
    float x[30], y[20];
    for (int i = 0; i < 30; i++) x[i] = (float)i;
    for (int round = 0; round < 200 && !status; round++) {
        int64_t batch = 1 + round % 10;
        tn_tensor in = view(TN_DTYPE_F32, x, 2, batch, 3), out = view(TN_DTYPE_F32, y, 2, batch, 2);
        status = tn_exec_context_bind(context, "x", &in);
        if (!status) status = tn_exec_context_bind(context, "y", &out);
        if (!status) status = tn_exec_context_run(context);
        if (!status && (y[0] != 23 || y[1] != 36)) break;
        if (round == 199 && !status) engine = NULL;
    }
    tn_exec_context_free(context);
    return engine; /* NULL: all went well */
}

static void two_threads_share_an_engine(void **unused)
{
    (void)unused;
    tn_build_config config = {.size = sizeof(config), .threads = 2, .budget_ms = -1};
    tn_engine *engine = build_text(mlp, &config);
    pthread_t thread[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, run_thread, engine), 0);
    for (int i = 0; i < 2; i++) {
        void *failed;
        pthread_join(thread[i], &failed);
        assert_null(failed);
    }
    tn_exec_engine_release(engine);
}

/* What symbols could only promise is checked for each new shape, before a kernel sees it. */
static void sizes_that_do_not_fit_are_refused(void **unused)
{
    static const char text[] = "graph \"sizes\" {\n"
                               "  input %x : f32[n,k]\n"
                               "  input %b : f32[m]\n"
                               "  const %w : f32[4,3]={1,2,3,4,5,6,7,8,9,10,11,12}\n"
                               "  %s = Add(%x, %b)\n"
                               "  %y = MatMul(%s, %w)\n"
                               "  output \"y\" = %y\n"
                               "}\n";
    static float x[6 * 8], b[8];
    (void)unused;
    tn_engine *engine = build_text(text, NULL);
    tn_context *context = new_context(engine);
    tn_tensor given = view(TN_DTYPE_F32, x, 2, 2, 4), bias = view(TN_DTYPE_F32, b, 1, 4, 0);
    assert_ok(tn_exec_context_bind(context, "x", &given));
    assert_ok(tn_exec_context_bind(context, "b", &bias));
    assert_ok(tn_exec_context_run(context));
    /* 4 and 5 do not broadcast */
    given = view(TN_DTYPE_F32, x, 2, 2, 5);
    assert_ok(tn_exec_context_bind(context, "x", &given));
    assert_int_equal(tn_status_code(tn_exec_context_run(context)), TN_INVALID);
    /* they do now, but the weight has 4 rows */
    bias = view(TN_DTYPE_F32, b, 1, 5, 0);
    assert_ok(tn_exec_context_bind(context, "b", &bias));
    assert_fails(tn_exec_context_run(context), TN_INVALID, "f32[4,3]");
    /* and the context is as good as before */
    given = view(TN_DTYPE_F32, x, 2, 6, 4);
    bias = view(TN_DTYPE_F32, b, 1, 1, 0);
    assert_ok(tn_exec_context_bind(context, "x", &given));
    assert_ok(tn_exec_context_bind(context, "b", &bias));
    assert_ok(tn_exec_context_run(context));
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_that_do_not_fit_are_refused),
        cmocka_unit_test(a_network_runs_at_many_shapes),
        cmocka_unit_test(denormals_are_flushed_unless_they_are_kept),
        cmocka_unit_test(a_shape_seen_before_allocates_nothing),
        cmocka_unit_test(outputs_have_memory_of_their_own_when_not_bound),
        cmocka_unit_test(strided_and_overlapping_memory_is_copied),
        cmocka_unit_test(messages_name_the_tensor_and_what_is_allowed),
        cmocka_unit_test(indices_come_as_i32_or_i64),
        cmocka_unit_test(shapes_that_hang_on_data),
        cmocka_unit_test(run_time_shapes_stop_allocating_too),
        cmocka_unit_test(a_run_time_size_is_computed_for_its_size_alone),
        cmocka_unit_test(a_shape_given_as_data),
        cmocka_unit_test(views_and_repeated_outputs),
        cmocka_unit_test(times_of_steps_are_counted),
        cmocka_unit_test(two_threads_share_an_engine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
