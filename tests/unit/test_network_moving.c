/* Layers that move, pick and make elements, against numbers worked out by hand. */
#include "network_help.h"

static const float six[] = {1, 2, 3, 4, 5, 6};

/* ---- Shapes ----------------------------------------------------------------------------------*/

static void shuffle(void **state)
{
    (void)state;
    tn_layer *x = floats(six, 1, 2, 3), *y = tn_network_add_shuffle(net, x);
    check(y, TN_DIMS(1, 2, 3), D(1, 2, 3, 4, 5, 6));
    tn_layer_set_ints(y, TN_SET_FIRST_TRANSPOSE, TN_DIMS(0, 2, 1));
    check(y, TN_DIMS(1, 3, 2), D(1, 4, 2, 5, 3, 6));
    tn_layer_set_ints(y, TN_SET_RESHAPE, TN_DIMS(0, -1));
    check(y, TN_DIMS(1, 6), D(1, 4, 2, 5, 3, 6));
    tn_layer_set_ints(y, TN_SET_SECOND_TRANSPOSE, TN_DIMS(1, 0));
    check(y, TN_DIMS(6, 1), D(1, 4, 2, 5, 3, 6));
    y = tn_network_add_shuffle(net, x);
    tn_layer_set_input(y, 1, ints(N(3, 0), 2));
    tn_layer_set_input(y, 1, tn_network_add_shape(net, tn_network_add_squeeze(net, x, TN_DIMS(0))));
    check(y, TN_DIMS(2, 3), D(1, 2, 3, 4, 5, 6));
    x = floats(six, 0, 3);
    y = tn_network_add_shuffle(net, x);
    tn_layer_set_ints(y, TN_SET_RESHAPE, TN_DIMS(3, 0));
    tn_layer_set_int(y, TN_SET_ZERO_IS_PLACEHOLDER, 0);
    check(y, TN_DIMS(3, 0), NULL, 0);
}

static void squeeze_and_concatenate(void **state)
{
    (void)state;
    tn_layer *x = floats(six, 2, 3);
    tn_layer *y = tn_network_add_unsqueeze(net, x, TN_DIMS(0, -1));
    check(y, TN_DIMS(1, 2, 3, 1), D(1, 2, 3, 4, 5, 6));
    check(tn_network_add_squeeze(net, y, TN_DIMS(0, 3)), TN_DIMS(2, 3), D(1, 2, 3, 4, 5, 6));
    tn_layer *c = tn_network_add_concatenation(net, TN_LAYERS(x, floats(F(8, 9), 2, 1)), -1);
    check(c, TN_DIMS(2, 4), D(1, 2, 3, 8, 4, 5, 6, 9));
    check(tn_network_add_shape(net, c), TN_DIMS(2), D(2, 4));
}

static void slices_inside(void **state)
{
    (void)state;
    tn_layer *x = floats(six, 2, 3);
    tn_layer *y = tn_network_add_slice(net, x, N(0, 1), N(2, 2), NULL, 2);
    check(y, TN_DIMS(2, 2), D(2, 3, 5, 6));
    y = tn_network_add_slice(net, x, N(1, 2), N(2, 3), N(-1, -1), 2);
    check(y, TN_DIMS(2, 3), D(6, 5, 4, 3, 2, 1));
    y = tn_network_add_slice(net, x, N(1, 0), N(-1, 2), N(1, 2), 2);
    check(y, TN_DIMS(1, 2), D(4, 6));
    y = tn_network_add_slice(net, x, N(1, 1), N(1, -1), N(1, -1), 2);
    check(y, TN_DIMS(1, 2), D(5, 4));
    /* By tensors. */
    y = tn_network_add_slice(net, x, N(1, 2), N(2, 2), N(-1, -2), 2);
    tn_layer_set_input(y, 1, ints(N(1, 1), 2));
    tn_layer_set_input(y, 2, ints(N(2, 1), 2));
    check(y, TN_DIMS(2, 1), D(5, 2));
}

static void slices_outside(void **state)
{
    (void)state;
    tn_layer *x = floats(F(1, 2, 3), 3);
    tn_layer *y = tn_network_add_slice(net, x, N(-2), N(7), NULL, 1);
    tn_layer_set_int(y, TN_SET_OUTSIDE, TN_OUTSIDE_WRAP);
    check(y, TN_DIMS(7), D(2, 3, 1, 2, 3, 1, 2));
    tn_layer_set_int(y, TN_SET_OUTSIDE, TN_OUTSIDE_CLAMP);
    check(y, TN_DIMS(7), D(1, 1, 1, 2, 3, 3, 3));
    tn_layer_set_int(y, TN_SET_OUTSIDE, TN_OUTSIDE_REFLECT);
    check(y, TN_DIMS(7), D(3, 2, 1, 2, 3, 2, 1));
    tn_layer_set_int(y, TN_SET_OUTSIDE, TN_OUTSIDE_VALUE);
    tn_layer_set_float(y, TN_SET_VALUE, -1);
    check(y, TN_DIMS(7), D(-1, -1, 1, 2, 3, -1, -1));
    tn_layer_set_ints(y, TN_SET_STRIDE, TN_DIMS(2));
    tn_layer_set_ints(y, TN_SET_SIZE, TN_DIMS(3));
    check(y, TN_DIMS(3), D(-1, 1, 3));
    x = floats(six, 2, 3);
    y = tn_network_add_slice(net, x, N(0, -1), N(3, 3), NULL, 2);
    tn_layer_set_int(y, TN_SET_OUTSIDE, TN_OUTSIDE_VALUE);
    tn_layer_set_input(y, 4, tn_network_add_constant(net, weight(F(9), 1)));
    check(y, TN_DIMS(3, 3), D(9, 1, 2, 9, 4, 5, 9, 9, 9));
    tn_layer_set_int(y, TN_SET_OUTSIDE, TN_OUTSIDE_CLAMP);
    check(y, TN_DIMS(3, 3), D(1, 1, 2, 4, 4, 5, 4, 4, 5));
}

/* A size that the run finds wanting is an error of the run. */
static void slices_of_dynamic_axes(void **state)
{
    (void)state;
    tn_model *model;
    tn_engine *engine;
    tn_context *context;
    tn_layer *x = tn_network_add_input(net, "x", TN_DTYPE_F32, TN_DIMS(-1));
    tn_layer *y = tn_layer_set_name(tn_network_add_slice(net, x, N(1), N(2), NULL, 1), "cut");
    tn_network_mark_output(net, y, "y");
    assert_ok(tn_model_from_network(net, &model));
    tn_profile profile = {.input = "x", .rank = 1, .min = {3}, .opt = {3}, .max = {6}};
    tn_build_config config = {.size = sizeof(config),
                              .budget_ms = -1,
                              .threads = 1,
                              .profiles = &profile,
                              .profile_count = 1};
    assert_ok(tn_build(model, &config, &engine));
    assert_ok(tn_context_new(engine, &context));
    tn_tensor three = view(TN_DTYPE_F32, six, TN_DIMS(3)),
              two = view(TN_DTYPE_F32, six, TN_DIMS(2));
    assert_ok(tn_context_bind(context, "x", &three));
    assert_ok(tn_context_run(context));
    compare_output(context, "y", TN_DIMS(2), D(2, 3));
    tn_status status = tn_context_bind(context, "x", &two);
    if (!status) status = tn_context_run(context);
    assert_non_null(status);
    assert_int_equal(tn_status_code(status), TN_INVALID);
    tn_context_free(context);
    tn_engine_free(engine);
    tn_model_free(model);
}

static void resize(void **state)
{
    (void)state;
    tn_layer *x = floats(F(1, 2, 3, 4), 1, 1, 2, 2);
    tn_layer *y = tn_network_add_resize(net, x, TN_NEAREST);
    tn_layer_set_ints(y, TN_SET_SHAPE, TN_DIMS(1, 1, 2, 4));
    check(y, TN_DIMS(1, 1, 2, 4), D(1, 1, 2, 2, 3, 3, 4, 4));
    tn_layer_set_int(y, TN_SET_ROUNDING, TN_ROUNDING_CEIL);
    check(y, TN_DIMS(1, 1, 2, 4), D(1, 2, 2, 2, 3, 4, 4, 4));
    y = tn_network_add_resize(net, x, TN_LINEAR);
    tn_layer_set_int(y, TN_SET_COORDINATES, TN_COORDINATES_ALIGN_CORNERS);
    tn_layer_set_floats(y, TN_SET_SCALES, D(1, 1, 1, 1.5));
    check(y, TN_DIMS(1, 1, 2, 3), D(1, 1.5, 2, 3, 3.5, 4));
    tn_layer_set_input(y, 1, ints(N(1, 1, 3, 2), 4));
    check(y, TN_DIMS(1, 1, 3, 2), D(1, 2, 2, 3, 3, 4));
    y = tn_network_add_resize(net, x, TN_LINEAR);
    tn_layer_set_ints(y, TN_SET_SHAPE, TN_DIMS(1, 1, 2, 4));
    tn_layer_set_int(y, TN_SET_COORDINATES, TN_COORDINATES_HALF_PIXEL);
    check(y, TN_DIMS(1, 1, 2, 4), D(1, 1.25, 1.75, 2, 3, 3.25, 3.75, 4));
    tn_layer_set_int(y, TN_SET_INTERPOLATION, TN_CUBIC);
    tn_layer_set_float(y, TN_SET_CUBIC, -0.5);
    /* Keys' kernel at distances 1.25, .25, .75, 1.75, edges repeated. */
    check(y, TN_DIMS(1, 1, 2, 4),
          D(0.9296875, 1.203125, 1.796875, 2.0703125, 2.9296875, 3.203125, 3.796875, 4.0703125));
}

static void fill(void **state)
{
    (void)state;
    tn_io io;
    tn_layer *y = tn_network_add_fill(net, TN_FILL_LINSPACE, TN_DIMS(4));
    check(y, TN_DIMS(4), D(0, 1, 2, 3));
    tn_layer_set_float(y, TN_SET_ALPHA, 0.1);
    tn_layer_set_float(y, TN_SET_BETA, 0.1);
    check(y, TN_DIMS(4), D(0.1, 0.2, 0.3, 0.4));
    tn_layer_set_input(y, 0, ints(N(2), 1));
    check(y, TN_DIMS(2), D(0.1, 0.2));
    y = tn_network_add_fill(net, TN_FILL_LINSPACE, TN_DIMS(3));
    tn_layer_set_int(y, TN_SET_DTYPE, TN_DTYPE_I64);
    tn_layer_set_int(y, TN_SET_ALPHA, 5);
    tn_layer_set_int(y, TN_SET_BETA, -2);
    check(y, TN_DIMS(3), D(5, 3, 1));
    assert_ok(tn_layer_describe(y, &io));
    assert_int_equal(io.dtype, TN_DTYPE_I64);
}

static void random_fill(void **state)
{
    (void)state;
    tn_model *model;
    tn_tensor got;
    tn_layer *even = tn_network_add_fill(net, TN_FILL_RANDOM_UNIFORM, TN_DIMS(50, 200));
    tn_layer_set_float(even, TN_SET_ALPHA, 2);
    tn_layer_set_float(even, TN_SET_BETA, 4);
    tn_layer_set_int(even, TN_SET_SEED, 7);
    tn_layer *normal = tn_network_add_fill(net, TN_FILL_RANDOM_NORMAL, TN_DIMS(100, 100));
    tn_layer_set_float(normal, TN_SET_ALPHA, 2);
    tn_layer_set_float(normal, TN_SET_BETA, 4);
    tn_layer_set_int(normal, TN_SET_SEED, 7);
    tn_network_mark_output(net, even, "even");
    tn_network_mark_output(net, normal, "normal");
    assert_ok(tn_model_from_network(net, &model));
    tn_context *context = run_model(model);
    for (int which = 0; which < 2; which++) {
        assert_ok(tn_context_output(context, which ? "normal" : "even", &got));
        assert_int_equal(tn_tensor_count(&got), 10000);
        double sum = 0, squares = 0, least = 1e9, most = -1e9;
        for (int i = 0; i < 10000; i++) {
            double v = value_at(&got, i);
            sum += v;
            squares += v * v;
            least = fmin(least, v);
            most = fmax(most, v);
        }
        double mean = sum / 10000, deviation = sqrt(squares / 10000 - mean * mean);
        assert_true(fabs(mean - (which ? 2 : 3)) < (which ? 0.2 : 0.05));
        assert_true(fabs(deviation - (which ? 4 : 2 / sqrt(12))) < (which ? 0.2 : 0.02));
        if (!which) assert_true(least >= 2 && most < 4);
    }
    tn_context_free(context);
    tn_model_free(model);
}

/* ---- Indices ---------------------------------------------------------------------------------*/

static void gather(void **state)
{
    (void)state;
    tn_layer *x = floats(six, 2, 3);
    tn_layer *y = tn_network_add_gather(net, x, ints(N(2, 0), 2), TN_GATHER);
    tn_layer_set_int(y, TN_SET_AXIS, 1);
    check(y, TN_DIMS(2, 2), D(3, 1, 6, 4));
    y = tn_network_add_gather(net, x, ints(N(-1), 1, 1), TN_GATHER);
    check(y, TN_DIMS(1, 1, 3), D(4, 5, 6));
    y = tn_network_add_gather(net, x, ints(N(1, 0, 1), 1, 3), TN_GATHER_ELEMENT);
    check(y, TN_DIMS(1, 3), D(4, 2, 6));
    y = tn_network_add_gather(net, x, ints(N(1, 2, 0, 0), 2, 2), TN_GATHER_ND);
    check(y, TN_DIMS(2), D(6, 1));
    y = tn_network_add_gather(net, x, ints(N(2, 0), 2, 1), TN_GATHER_ND);
    tn_layer_set_int(y, TN_SET_BATCH_DIMS, 1);
    check(y, TN_DIMS(2), D(3, 4));
}

static void gather_with_batch_dims(void **state)
{
    (void)state;
    tn_layer *x = floats(six, 2, 3), *places = ints(N(2, 0, 1, 1), 2, 2);
    tn_layer *y = tn_network_add_gather(net, x, places, TN_GATHER);
    tn_layer_set_int(y, TN_SET_AXIS, 1);
    tn_layer_set_int(y, TN_SET_BATCH_DIMS, 1);
    check(y, TN_DIMS(2, 2), D(3, 1, 5, 5));
    /* x[b][m][places[b][i]][r] with an axis between and one behind. */
    x = floats(F(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), 2, 2, 2, 2);
    places = ints(N(1, 0, 0, 0, 1, 1), 2, 3);
    y = tn_network_add_gather(net, x, places, TN_GATHER);
    tn_layer_set_int(y, TN_SET_AXIS, 2);
    tn_layer_set_int(y, TN_SET_BATCH_DIMS, 1);
    check(y, TN_DIMS(2, 2, 3, 2),
          D(2, 3, 0, 1, 0, 1, 6, 7, 4, 5, 4, 5, 8, 9, 10, 11, 10, 11, 12, 13, 14, 15, 14, 15));
}

static void scatter(void **state)
{
    (void)state;
    tn_layer *x = floats(six, 2, 3);
    tn_layer *y = tn_network_add_scatter(net, x, ints(N(2, 0), 2, 1), floats(F(8, 9), 2, 1),
                                         TN_SCATTER_ELEMENT);
    tn_layer_set_int(y, TN_SET_AXIS, 1);
    check(y, TN_DIMS(2, 3), D(1, 2, 8, 9, 5, 6));
    y = tn_network_add_scatter(net, x, ints(N(1), 1, 1), floats(F(7, 8, 9), 1, 3), TN_SCATTER_ND);
    check(y, TN_DIMS(2, 3), D(1, 2, 3, 7, 8, 9));
}

static void one_hot_and_non_zero(void **state)
{
    (void)state;
    tn_layer *y = tn_network_add_one_hot(net, ints(N(1, 0), 2), floats(F(0, 5), 2), 3, -1);
    check(y, TN_DIMS(2, 3), D(0, 5, 0, 5, 0, 0));
    tn_layer_set_int(y, TN_SET_AXIS, 0);
    check(y, TN_DIMS(3, 2), D(0, 5, 5, 0, 0, 0));
    check(tn_network_add_non_zero(net, floats(F(0, 3, 4, 0), 2, 2)), TN_DIMS(2, 2), D(0, 1, 1, 0));
}

static void nms(void **state)
{
    (void)state;
    tn_layer *boxes = floats(F(0, 0, 2, 2, 0, 0, 2, 1.9f, 5, 5, 6, 6), 1, 3, 4);
    tn_layer *scores = floats(F(0.5f, 0.1f, 0.9f, 0.2f, 0.3f, 0.8f), 1, 3, 2);
    tn_layer *y = tn_network_add_nms(net, boxes, scores, 2);
    tn_layer_set_float(y, TN_SET_IOU_THRESHOLD, 0.5);
    check(y, TN_DIMS(4, 3), D(0, 0, 1, 0, 0, 2, 0, 1, 2, 0, 1, 1));
    tn_layer_set_float(y, TN_SET_SCORE_THRESHOLD, 0.25);
    check(y, TN_DIMS(3, 3), D(0, 0, 1, 0, 0, 2, 0, 1, 2));
    check(tn_layer_output(y, 1), NULL, 0, D(3));
    tn_layer_set_int(y, TN_SET_BOX_FORMAT, TN_BOX_CENTER_SIZE);
    tn_layer_set_int(y, TN_SET_K, 1);
    check(tn_layer_output(y, 1), NULL, 0, D(2));
}

static void sequences_and_grids(void **state)
{
    (void)state;
    tn_layer *y = tn_network_add_reverse_sequence(net, floats(six, 3, 2), ints(N(2, 3), 2));
    check(y, TN_DIMS(3, 2), D(3, 6, 1, 4, 5, 2));
    tn_layer_set_int(y, TN_SET_BATCH_AXIS, 0);
    tn_layer_set_int(y, TN_SET_SEQUENCE_AXIS, 1);
    tn_layer_set_input(y, 1, ints(N(2, 1, 2), 3));
    check(y, TN_DIMS(3, 2), D(2, 1, 3, 4, 6, 5));
    tn_layer *x = floats(F(1, 2, 3, 4), 1, 1, 2, 2);
    tn_layer *grid = floats(F(-1, -1, 0, 0, 3, 3), 1, 1, 3, 2);
    y = tn_network_add_grid_sample(net, x, grid);
    tn_layer_set_int(y, TN_SET_ALIGN_CORNERS, 1);
    check(y, TN_DIMS(1, 1, 1, 3), D(1, 2.5, 0));
    tn_layer_set_int(y, TN_SET_OUTSIDE, TN_OUTSIDE_CLAMP);
    check(y, TN_DIMS(1, 1, 1, 3), D(1, 2.5, 4));
    tn_layer_set_int(y, TN_SET_INTERPOLATION, TN_NEAREST);
    tn_layer_set_int(y, TN_SET_OUTSIDE, TN_OUTSIDE_REFLECT);
    tn_layer_set_input(y, 1, floats(F(-1, -1, 0.9f, -0.9f, 3, 1), 1, 1, 3, 2));
    check(y, TN_DIMS(1, 1, 1, 3), D(1, 2, 3));
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(shuffle),
        test(squeeze_and_concatenate),
        test(slices_inside),
        test(slices_outside),
        test(slices_of_dynamic_axes),
        test(resize),
        test(fill),
        test(random_fill),
        test(gather),
        test(gather_with_batch_dims),
        test(scatter),
        test(one_hot_and_non_zero),
        test(nms),
        test(sequences_and_grids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
