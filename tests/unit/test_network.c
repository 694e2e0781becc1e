/* Networks as a whole: recording, settings that come late, shapes, models, failures and memory. */
#include "network_help.h"

#include <unistd.h>

#include "fault/failing_allocator.h"

static void fresh(void)
{
    tn_network_free(net);
    setup(NULL);
}

static tn_layer *pixels(void)
{
    return tn_network_add_input(net, "data", TN_DTYPE_F32, TN_DIMS(-1, 1, 4, 4));
}

/* ---- Shapes and settings ---------------------------------------------------------------------*/

static void shapes_follow_settings(void **state)
{
    (void)state;
    tn_io io;
    tn_layer *x = tn_layer_set_dim_name(pixels(), 0, "batch");
    tn_layer *pool = tn_network_add_pooling(net, x, TN_POOL_MAX, TN_DIMS(2, 2));
    tn_layer *next = tn_network_add_activation(net, pool, TN_ACTIVATION_RELU);
    assert_ok(tn_layer_describe(next, &io));
    assert_int_equal(io.dtype, TN_DTYPE_F32);
    assert_int_equal(io.rank, 4);
    assert_int_equal(io.dim[0], -1);
    assert_string_equal(io.dim_name[0], "batch");
    assert_int_equal(io.dim[2], 3);
    assert_string_equal(io.name, "activation_2");
    /* A setting of a layer below, after its shape was asked for. */
    tn_layer_set_ints(pool, TN_SET_STRIDE, TN_DIMS(2, 2));
    assert_ok(tn_layer_describe(next, &io));
    assert_int_equal(io.dim[2], 2);
    /* What comes behind is written on. */
    tn_layer *sum = tn_network_add_reduce(net, next, TN_REDUCE_SUM, TN_DIMS(2), true);
    assert_ok(tn_layer_describe(sum, &io));
    assert_int_equal(io.dim[2], 1);
    /* A mistake is told, and mended. */
    tn_layer_set_name(pool, "pool1");
    tn_layer_set_ints(pool, TN_SET_STRIDE, TN_DIMS(2, 2, 2));
    assert_fails(tn_layer_describe(sum, &io), TN_INVALID, "pooling 'pool1': STRIDE has 3 numbers");
    tn_layer_set_ints(pool, TN_SET_STRIDE, TN_DIMS(1, 2));
    assert_ok(tn_layer_describe(pool, &io));
    assert_string_equal(io.name, "pool1");
    assert_int_equal(io.dim[2], 3);
    assert_ok(tn_network_status(net));
}

static void inputs_may_come_later(void **state)
{
    (void)state;
    static const float x_values[] = {1, 2, 3, 4};
    static const int64_t shape_values[] = {4, 1};
    tn_layer *x = floats(x_values, 2, 2), *shuffle = tn_network_add_shuffle(net, x);
    tn_tensor shape = view(TN_DTYPE_I64, shape_values, TN_DIMS(2));
    tn_layer_set_input(shuffle, 1, tn_network_add_constant(net, &shape));
    check(shuffle, TN_DIMS(4, 1), D(1, 2, 3, 4));
    tn_layer_set_input(shuffle, 1, NULL);
    check(shuffle, TN_DIMS(2, 2), D(1, 2, 3, 4));
    tn_layer *a = tn_layer_set_name(tn_network_add_identity(net, x), "a");
    tn_layer *b = tn_network_add_identity(net, a);
    tn_layer_set_input(a, 0, b);
    tn_io io;
    assert_fails(tn_layer_describe(b, &io), TN_INVALID, "a cycle of layers");
    tn_layer_set_input(a, 0, x);
    assert_ok(tn_layer_describe(b, &io));
}

/* ---- Models ----------------------------------------------------------------------------------*/

static void models_are_saved_and_simplified(void **state)
{
    (void)state;
    char path[256];
    tn_model *model, *again;
    static const float image[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    /* Weights of any strides, gone once the model is made. */
    float *w = malloc(8 * sizeof(float));
    for (int i = 0; i < 8; i++) w[i] = (float)(i - 3);
    tn_tensor weights = {
        .data = w, .dtype = TN_DTYPE_F32, .rank = 4, .dim = {1, 1, 2, 2}, .stride = {8, 8, 1, 4}};
    tn_layer *x = pixels();
    tn_layer *y = tn_layer_set_name(tn_network_add_convolution(net, x, &weights, NULL), "conv1");
    tn_network_add_unary(net, y, TN_UNARY_EXP);
    tn_layer *top = tn_network_add_top_k(net, y, TN_TOP_K_MAX, 1, -1);
    tn_network_mark_output(net, y, NULL);
    tn_network_mark_output(net, tn_layer_output(top, 1), "best");
    assert_ok(tn_model_from_network(net, &model));
    free(w);
    fresh();
    assert_int_equal(tn_model_input_count(model), 1);
    assert_int_equal(tn_model_output_count(model), 2);
    char *text;
    assert_ok(tn_model_text(model, TN_TEXT_GRAPH, &text));
    assert_non_null(strstr(text, "conv1.weight"));
    assert_null(strstr(text, "Exp")); /* no output needs it */
    tn_text_free(text);
    assert_ok(tn_model_text(model, TN_TEXT_ONNX_INPUTS, &text));
    assert_non_null(strstr(text, "name: \"data\""));
    assert_non_null(strstr(text, "dim_value: 4"));
    tn_text_free(text);
    snprintf(path, sizeof(path), "%s/test_network_%d.onnx",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (int)getpid());
    assert_ok(tn_model_save(model, path, NULL));
    assert_ok(tn_model_load(path, NULL, &again));
    unlink(path);
    assert_ok(tn_model_simplify(model, NULL, NULL));
    given_count = 1;
    given[0].name = "data";
    given[0].tensor = view(TN_DTYPE_F32, image, TN_DIMS(1, 1, 4, 4));
    for (int i = 0; i < 2; i++) {
        tn_context *context = run_model(i ? again : model);
        /* kernel rows: -3 1 and -2 2 */
        compare_output(context, "conv1", TN_DIMS(1, 1, 3, 3),
                       D(3, 1, -1, -5, -7, -9, -13, -15, -17));
        compare_output(context, "best", TN_DIMS(1, 1, 3, 1), D(0, 0, 0));
        tn_context_free(context);
    }
    tn_model_free(model);
    tn_model_free(again);
}

/* ---- Failures --------------------------------------------------------------------------------*/

/* What stands between the braces fails with this text, and nothing but the network tells. */
#define assert_refused(part, ...)                                                                  \
    do {                                                                                           \
        fresh();                                                                                   \
        tn_layer *x = pixels();                                                                    \
        __VA_ARGS__(void) x;                                                                       \
        assert_fails(tn_network_status(net), TN_INVALID, part);                                    \
        tn_model *model;                                                                           \
        assert_fails(tn_model_from_network(net, &model), TN_INVALID, part);                        \
        assert_null(model);                                                                        \
    } while (0)

static void bad_calls_name_the_layer(void **state)
{
    (void)state;
    tn_tensor holes = {.dtype = TN_DTYPE_F32, .rank = 1, .dim = {-3}};
    assert_refused("pooling (layer 1): input 0 is NULL",
                   tn_network_add_pooling(net, NULL, TN_POOL_MAX, TN_DIMS(2, 2)););
    assert_refused("pooling (layer 1): WINDOW takes up to 8 numbers; -1 were given",
                   tn_network_add_pooling(net, x, TN_POOL_MAX, N(2, 2), -1););
    assert_refused("pooling (layer 1): WINDOW takes up to 8 numbers; 2 were given at NULL",
                   tn_network_add_pooling(net, x, TN_POOL_MAX, NULL, 2););
    assert_refused("convolution (layer 1): weight is NULL",
                   tn_network_add_convolution(net, x, NULL, NULL););
    assert_refused("convolution (layer 1): weight has dims below 0",
                   tn_network_add_convolution(net, x, &holes, NULL););
    assert_refused("fully_connected (layer 1): bias has no data",
                   tn_tensor empty = view(TN_DTYPE_F32, NULL, TN_DIMS(3));
                   tn_network_add_fully_connected(net, x, weight(F(1), 1, 1), &empty););
    assert_refused("constant (layer 1): the tensor has no data type",
                   tn_network_add_constant(net, &(tn_tensor){.dtype = TN_DTYPE_NONE}););
    assert_refused("concatenation (layer 1): -2 inputs",
                   tn_network_add_concatenation(net, &x, -2, 0););
    assert_refused("softmax 'prob': has no setting STRIDE; it has AXIS",
                   tn_layer_set_ints(tn_layer_set_name(tn_network_add_softmax(net, x, 1), "prob"),
                                     TN_SET_STRIDE, TN_DIMS(1)););
    assert_refused("softmax (layer 1): AXIS takes whole numbers",
                   tn_layer_set_float(tn_network_add_softmax(net, x, 1), TN_SET_AXIS, 1.5););
    assert_refused("there is no setting 999",
                   tn_layer_set_int(tn_network_add_softmax(net, x, 1), (tn_setting)999, 1););
    assert_refused("top_k (layer 1): there is no output 2: it has 2",
                   tn_layer_output(tn_network_add_top_k(net, x, TN_TOP_K_MAX, 1, 1), 2););
    assert_refused("select (layer 1): there is no input 3",
                   tn_layer_set_input(tn_network_add_select(net, x, x, x), 3, x););
    assert_refused("select (layer 1): input 1 is NULL",
                   tn_layer_set_input(tn_network_add_select(net, x, x, x), 1, NULL););
    assert_refused("input (layer 1): there is an input 'data' already", pixels(););
    assert_refused("input (layer 1): the name is empty",
                   tn_network_add_input(net, "", TN_DTYPE_F32, NULL, 0););
    assert_refused("input 'y': dim 1 is -7",
                   tn_network_add_input(net, "y", TN_DTYPE_F32, TN_DIMS(1, -7)););
    assert_refused("input 'y': 77 is not a data type",
                   tn_network_add_input(net, "y", (tn_dtype)77, NULL, 0););
    assert_refused("input 'data': axis 1 is not dynamic", tn_layer_set_dim_name(x, 1, "n"););
    assert_refused("output 0, y of network 'test' is NULL",
                   tn_network_mark_output(net, NULL, "y"););
    assert_refused("there is an output 'y' already", tn_network_mark_output(net, x, "y");
                   tn_network_mark_output(net, x, "y"););
    assert_refused("einsum (layer 1): its equation is NULL",
                   tn_network_add_einsum(net, TN_LAYERS(x), NULL););
}

static void networks_do_not_mix(void **state)
{
    (void)state;
    tn_network *other;
    assert_ok(tn_network_new(NULL, &other));
    tn_layer *theirs = tn_network_add_input(other, "theirs", TN_DTYPE_F32, TN_DIMS(2));
    assert_refused("elementwise (layer 1): input 1, input 'theirs', belongs to another network",
                   tn_network_add_elementwise(net, x, theirs, TN_ELEMENTWISE_SUM););
    assert_refused("is a tensor of another network", tn_network_mark_output(net, theirs, "y"););
    assert_ok(tn_network_status(other));
    tn_network_free(other);
}

/* The first failure stays, whatever is called after it and fails elsewhere. */
static void failures_stay(void **state)
{
    (void)state;
    tn_checkpoint *none = NULL;
    tn_model *model;
    tn_layer *x = pixels();
    tn_layer *y = tn_layer_set_name(tn_network_add_softmax(net, NULL, 1), "lost");
    assert_null(y);
    assert_null(tn_network_add_softmax(net, x, 1));
    assert_null(tn_layer_output(x, 0));
    assert_null(tn_network_weight(net, none, "w"));
    tn_network_mark_output(net, y, "y");
    assert_non_null(tn_model_load("/nowhere/at/all", NULL, &model));
    assert_fails(tn_model_from_network(net, &model), TN_INVALID, "softmax (layer 1): input 0 is");
    fresh();
    assert_null(tn_network_weight(net, none, "w"));
    assert_fails(tn_network_status(net), TN_INVALID, "checkpoint is NULL");
}

static void mistakes_of_shape_name_the_layer(void **state)
{
    (void)state;
    tn_io io;
    tn_model *model;
    tn_layer *x = pixels();
    tn_layer *conv = tn_network_add_convolution(net, x, weight(F(1, 2, 3, 4), 2, 2, 1, 1), NULL);
    tn_layer_set_name(conv, "conv1");
    assert_fails(tn_layer_describe(conv, &io), TN_INVALID, "Conv 'conv1'");
    tn_network_mark_output(net, x, "y");
    assert_fails(tn_model_from_network(net, &model), TN_INVALID,
                 "in convolution 'conv1', layer 1 of network 'test'");
    fresh();
    x = pixels();
    assert_fails(tn_model_from_network(net, &model), TN_INVALID, "network 'test' has no output");
    static const struct {
        const char *part;
        int which;
    } wrong[] = {{"activation (layer 1): there is no activation 99", 0},
                 {"unary (layer 1): TYPE is 77, which it cannot be", 1},
                 {"Softmax 'softmax_1': axis 9", 2},
                 {"padding (layer 1): OUTSIDE is 0", 3},
                 {"slice (layer 1): axis 2: elements 3 to 6 are outside of its 4 elements", 4},
                 {"resize (layer 1): neither SHAPE nor SCALES", 5},
                 {"attention (layer 1): input 0 has rank 1", 6},
                 {"scale (layer 1): a weight has 3 elements, must have 1", 7},
                 {"gather (layer 1): BATCH_DIMS is 9", 8},
                 {"convolution (layer 1): PADDING_MODE TN_PADDING_ROUND_UP", 9},
                 {"slice (layer 1): START has 1 numbers for 4 axes", 10}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        fresh();
        x = pixels();
        tn_layer *y = NULL;
        switch (wrong[i].which) {
        case 0: y = tn_network_add_activation(net, x, (tn_activation_type)99); break;
        case 1: y = tn_network_add_unary(net, x, (tn_unary_type)77); break;
        case 2: y = tn_network_add_softmax(net, x, 9); break;
        case 3:
            y = tn_network_add_padding(net, x, N(1), N(1), 1);
            tn_layer_set_int(y, TN_SET_OUTSIDE, TN_OUTSIDE_REFUSED);
            break;
        case 4: y = tn_network_add_slice(net, x, N(0, 0, 3, 0), N(-1, 1, 4, 4), NULL, 4); break;
        case 5: y = tn_network_add_resize(net, x, TN_LINEAR); break;
        case 6: {
            tn_layer *flat = tn_network_add_shuffle(net, x);
            tn_layer_set_ints(flat, TN_SET_RESHAPE, TN_DIMS(-1));
            y = tn_network_add_attention(net, flat, flat, flat);
            break;
        }
        case 7:
            y = tn_network_add_scale(net, x, TN_SCALE_CHANNEL, weight(F(1, 2, 3), 3), NULL, NULL);
            break;
        case 8:
            y = tn_network_add_gather(net, x, x, TN_GATHER_ND);
            tn_layer_set_int(y, TN_SET_BATCH_DIMS, 9);
            break;
        case 9:
            y = tn_network_add_convolution(net, x, weight(F(1), 1, 1, 1, 1), NULL);
            tn_layer_set_int(y, TN_SET_PADDING_MODE, TN_PADDING_ROUND_UP);
            break;
        default: y = tn_network_add_slice(net, x, N(0), N(1), NULL, 1); break;
        }
        const char *part = wrong[i].part;
        char other[128];
        if (wrong[i].which == 6) {
            snprintf(other, sizeof(other), "attention (layer 2)%s", strchr(part, ':'));
            part = other;
        }
        assert_fails(tn_layer_describe(y, &io), wrong[i].which == 9 ? TN_UNSUPPORTED : TN_INVALID,
                     part);
    }
}

static void null_networks_are_harmless(void **state)
{
    (void)state;
    tn_io io;
    tn_model *model;
    assert_null(tn_network_add_input(NULL, "x", TN_DTYPE_F32, NULL, 0));
    assert_null(tn_network_add_pooling(NULL, NULL, TN_POOL_MAX, TN_DIMS(2)));
    assert_null(tn_network_add_lstm(NULL, NULL, 1, 1, false, NULL, 0));
    assert_null(tn_network_add_if(NULL, NULL, NULL, NULL, NULL, 0));
    assert_null(tn_layer_set_int(NULL, TN_SET_AXIS, 1));
    assert_null(tn_layer_set_name(NULL, "n"));
    tn_network_mark_output(NULL, NULL, NULL);
    tn_network_free(NULL);
    assert_string_equal(tn_layer_name(NULL), "");
    assert_fails(tn_layer_describe(NULL, &io), TN_INVALID, "NULL");
    assert_fails(tn_network_status(NULL), TN_INVALID, "NULL");
    assert_fails(tn_model_from_network(NULL, &model), TN_INVALID, "NULL");
    assert_fails(tn_network_new("n", NULL), TN_INVALID, "NULL");
}

/* ---- Memory ----------------------------------------------------------------------------------*/

static tn_status make_model(void)
{
    static const float w[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, bias[1] = {1};
    tn_network *network;
    tn_model *model = NULL;
    tn_io io;
    tn_tensor kernel = view(TN_DTYPE_F32, w, TN_DIMS(1, 1, 3, 3)),
              shift = view(TN_DTYPE_F32, bias, TN_DIMS(1));
    tn_status status = tn_network_new("memory", &network);
    if (status) return status;
    tn_layer *x = tn_network_add_input(network, "x", TN_DTYPE_F32, TN_DIMS(-1, 1, 5, 5));
    tn_layer *y = tn_network_add_convolution(network, x, &kernel, &shift);
    tn_layer_set_ints(y, TN_SET_PADDING, TN_DIMS(1, 1));
    tn_layer *top = tn_network_add_top_k(network, y, TN_TOP_K_MAX, 2, -1);
    tn_layer *index = tn_layer_set_name(tn_layer_output(top, 1), "places");
    if (index) status = tn_layer_describe(index, &io);
    tn_network_mark_output(network, index, NULL);
    if (!status) status = tn_model_from_network(network, &model);
    tn_model_free(model);
    tn_network_free(network);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (int64_t n = 1;; n++) {
        failing_install(n, n % 2 ? FAIL_ONCE : FAIL_FROM_THERE);
        tn_status status = make_model();
        failing_counts counts = failing_remove();
        assert_int_equal(counts.live_bytes, 0);
        assert_int_equal(counts.errors, 0);
        if (!counts.failed) {
            assert_ok(status);
            break;
        }
        if (status) assert_int_equal(tn_status_code(status), TN_OUT_OF_MEMORY);
    }
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(shapes_follow_settings),
        test(inputs_may_come_later),
        test(models_are_saved_and_simplified),
        test(bad_calls_name_the_layer),
        test(networks_do_not_mix),
        test(failures_stay),
        test(mistakes_of_shape_name_the_layer),
        test(null_networks_are_harmless),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
