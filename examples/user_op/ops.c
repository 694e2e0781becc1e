/* Two operators of the domain "example", as a shared library that needs nothing but this header:
 *
 *     cc -shared -fPIC -O2 -I ../../include ops.c -o ops.so -lm
 *     tenon run model.onnx --op-library=ops.so
 */
#include <math.h>
#include <tenon/op.h>

/* ---- Swish: y = x / (1 + exp(-beta * x)), with an attribute -----------------------------------*/

static tn_code swish_shape(const tn_op_call *call)
{
    double beta = 1;
    call->host->attr_float(call, "beta", &beta);
    if (!(beta > 0))
        return call->host->error(call, TN_INVALID, "beta is %g, must be above 0", beta);
    call->host->set_output_like(call, 0, 0);
    return TN_OK;
}

typedef struct swish_work {
    const float *x;
    float *y;
    float beta;
} swish_work;

static void swish_share(void *arg, int64_t begin, int64_t end)
{
    const swish_work *w = (const swish_work *)arg;
    for (int64_t i = begin; i < end; i++) w->y[i] = w->x[i] / (1 + expf(-w->beta * w->x[i]));
}

static tn_code swish_compute(const tn_op_call *call)
{
    double beta = 1;
    call->host->attr_float(call, "beta", &beta);
    swish_work w = {(const float *)call->input[0].data, (float *)call->output[0].data, (float)beta};
    call->host->parallel(call, call->host->count(&call->input[0]), 10000, swish_share, &w);
    return TN_OK;
}

static const tn_op_port swish_input[] = {{"x", TN_OP_DTYPE(F32), 0, 0}};
static const tn_op_port swish_output[] = {{"y", TN_OP_DTYPE(F32), 0, 0}};

/* ---- RunLengths: the values of a vector without repeats, and how often each comes in a row ------
 *
 * How many there are hangs on the data. Before a run the size is unknown; in the run the function
 * is asked again, with data, and counts. */

static int64_t count_runs(const int64_t *at, int64_t count)
{
    int64_t runs = count > 0;
    for (int64_t i = 1; i < count; i++) runs += at[i] != at[i - 1];
    return runs;
}

static tn_code runs_shape(const tn_op_call *call)
{
    const tn_op_host *host = call->host;
    const tn_tensor *x = &call->input[0];
    if (x->rank > 1) return host->error(call, TN_INVALID, "x has rank %d, must have 1", x->rank);
    bool told = x->rank == 1 && x->dim[0] >= 0 && (x->data || x->dim[0] == 0);
    const int64_t *data = (const int64_t *)x->data;
    tn_op_dim runs =
        told ? host->dim_number(call, count_runs(data, x->dim[0])) : host->dim_unknown(call);
    host->set_output(call, 0, TN_DTYPE_I64, 1, &runs);
    host->set_output(call, 1, TN_DTYPE_I64, 1, &runs);
    return TN_OK;
}

static tn_code runs_compute(const tn_op_call *call)
{
    const int64_t *x = (const int64_t *)call->input[0].data;
    int64_t *value = (int64_t *)call->output[0].data, *length = (int64_t *)call->output[1].data;
    int64_t run = -1;
    for (int64_t i = 0; i < call->input[0].dim[0]; i++) {
        if (i == 0 || x[i] != x[i - 1]) {
            run++;
            if (value) value[run] = x[i];
            if (length) length[run] = 0;
        }
        if (length) length[run]++;
    }
    return TN_OK;
}

static const tn_op_port runs_input[] = {{"x", TN_OP_DTYPE(I64), 0, 0}};
static const tn_op_port runs_output[] = {{"values", TN_OP_DTYPE(I64), 0, 0},
                                         {"lengths", TN_OP_DTYPE(I64), TN_OP_OPTIONAL, 0}};

/* ---- The library -----------------------------------------------------------------------------*/

static const tn_op_spec specs[] = {
    {
        .size = sizeof(tn_op_spec),
        .version = TN_OP_VERSION,
        .domain = "example",
        .name = "Swish",
        .input = swish_input,
        .input_count = 1,
        .output = swish_output,
        .output_count = 1,
        .shape = swish_shape,
        .compute = swish_compute,
    },
    {
        .size = sizeof(tn_op_spec),
        .version = TN_OP_VERSION,
        .domain = "example",
        .name = "RunLengths",
        .input = runs_input,
        .input_count = 1,
        .output = runs_output,
        .output_count = 2,
        .shape = runs_shape,
        .compute = runs_compute,
    },
};

TN_API tn_code tn_op_library_register(const tn_op_registry *registry);
TN_API tn_code tn_op_library_register(const tn_op_registry *registry)
{
    for (unsigned i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        tn_code code = registry->add(registry, &specs[i]);
        if (code != TN_OK) return code;
    }
    return TN_OK;
}
