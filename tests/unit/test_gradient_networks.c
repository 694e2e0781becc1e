/* Whole networks: gradients in f64 against differences, and those of the fast kernels in f32
 * against the f64 ones. */
#include "engine_help.h"

#include "gradient_help.h"
#include "gradient_networks.h"

typedef tn_value *(*network)(tn_draft *d, tn_dtype type);

static tn_value *lenet(tn_draft *d, tn_dtype type)
{
    return network_lenet(d, type, 10);
}

static tn_value *lstm(tn_draft *d, tn_dtype type)
{
    return network_forecast(d, type, "LSTM", 3, 6);
}

static tn_value *gru(tn_draft *d, tn_dtype type)
{
    return network_forecast(d, type, "GRU", 2, 5);
}

static void open_network(training *t, network make, tn_dtype type, const char *name)
{
    tn_graph *graph;
    assert_ok(tn_graph_new(name, &graph));
    tn_draft d = {.graph = graph};
    tn_value *loss = make(&d, type);
    assert_ok(tn_draft_end(&d));
    training_open(t, graph, loss, name);
}

static void check_network(network make, const char *name)
{
    training wide = {.sizes = "n=5", .lo = -0.3, .hi = 0.3}, narrow = wide;
    open_network(&wide, make, TN_DTYPE_F64, name);
    training_check(&wide, name, 1e-6);
    open_network(&narrow, make, TN_DTYPE_F32, name);
    double want = training_loss(&wide), got = training_loss(&narrow);
    assert_true(fabs(got - want) <= 1e-5 * fabs(want));
    for (int i = 0; i < wide.count; i++) {
        double off = 0, all = 0;
        if (!wide.moves[i]) continue;
        tn_tensor a = training_gradient(&wide, i), b = training_gradient(&narrow, i);
        for (int64_t k = 0; k < tn_tensor_count(&a); k++) {
            double x = tn_load_f64(a.dtype, a.data, k), y = tn_load_f64(b.dtype, b.data, k);
            off += (x - y) * (x - y);
            all += x * x;
        }
        if (!(off <= 1e-10 * all))
            fail_msg("%s: the gradient of %s in f32 is off by %g", name, wide.name[i],
                     sqrt(off / all));
    }
    training_close(&wide);
    training_close(&narrow);
}

static void lenet_learns(void **unused)
{
    (void)unused;
    check_network(lenet, "lenet");
}

static void lstm_learns(void **unused)
{
    (void)unused;
    check_network(lstm, "lstm");
}

static void gru_learns(void **unused)
{
    (void)unused;
    check_network(gru, "gru");
}

/* The same bits, however many threads there are. */
static void threads_change_nothing(void **unused)
{
    (void)unused;
    training one = {.sizes = "n=20", .lo = -0.3, .hi = 0.3, .threads = 1}, two = one;
    two.threads = 3;
    open_network(&one, lenet, TN_DTYPE_F32, "lenet");
    open_network(&two, lenet, TN_DTYPE_F32, "lenet");
    training_loss(&one);
    training_loss(&two);
    for (int i = 0; i < one.count; i++) {
        if (!one.moves[i]) continue;
        tn_tensor a = training_gradient(&one, i), b = training_gradient(&two, i);
        assert_memory_equal(a.data, b.data, (size_t)tn_tensor_bytes(&a));
    }
    training_close(&one);
    training_close(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lenet_learns),
        cmocka_unit_test(lstm_learns),
        cmocka_unit_test(gru_learns),
        cmocka_unit_test(threads_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
