/* Operators that a test program registers, of the domain "t", and models with one node of them. */
#ifndef TN_TESTS_USER_OPS_H
#define TN_TESTS_USER_OPS_H

#include <stdatomic.h>
#include <tenon/op.h>

#include "onnx_writer.h"

/* ---- Affine: y = x * a + what the other attributes say + bias[0], if there is one
 * --------------*/

static inline tn_code affine_shape(const tn_op_call *call)
{
    call->host->set_output_like(call, 0, 0);
    return TN_OK;
}

static inline double affine_offset(const tn_op_call *call)
{
    const tn_op_host *host = call->host;
    double offset = 0;
    int64_t count = 0, shift = 0;
    const int64_t *ints;
    const float *floats;
    tn_string text;
    tn_tensor table;
    if (host->attr_int(call, "shift", &shift)) offset += (double)shift;
    if (host->attr_ints(call, "ints", &ints, &count))
        for (int64_t i = 0; i < count; i++) offset += (double)ints[i];
    if (host->attr_floats(call, "floats", &floats, &count))
        for (int64_t i = 0; i < count; i++) offset += (double)floats[i];
    if (host->attr_text(call, "word", &text) && text.text[text.bytes] == 0)
        offset += (double)text.bytes;
    for (int64_t i = 0; host->attr_text_at(call, "words", i, &text, &count); i++)
        offset += (double)(count * (int64_t)text.bytes);
    if (host->attr_tensor(call, "table", &table) && table.dtype == TN_DTYPE_F32)
        for (int64_t i = 0; i < host->count(&table); i++)
            offset += (double)((const float *)table.data)[i];
    return offset;
}

static inline size_t affine_scratch(const tn_op_call *call)
{
    return (size_t)call->host->count(&call->input[0]) * sizeof(float);
}

static inline tn_code affine_compute(const tn_op_call *call)
{
    const float *x = (const float *)call->input[0].data;
    float *y = (float *)call->output[0].data, *scratch = (float *)call->scratch;
    double a = 1, offset = affine_offset(call);
    int64_t count = call->host->count(&call->input[0]);
    call->host->attr_float(call, "a", &a);
    if (call->input_count > 1 && call->input[1].data) offset += *(const float *)call->input[1].data;
    for (int64_t i = 0; i < count; i++) scratch[i] = x[i] * (float)a;
    for (int64_t i = 0; i < count; i++) y[i] = scratch[i] + (float)offset;
    return TN_OK;
}

/* ---- Join: [a, c] and [b, c] and ... to [a+b+..., c], and as the second output all of it flat
 * --*/

static inline tn_code join_shape(const tn_op_call *call)
{
    const tn_op_host *host = call->host;
    tn_op_dim dim[2] = {host->dim_number(call, 0), host->dim_of(call, 0, 1)};
    for (int32_t i = 0; i < call->input_count; i++) {
        if (call->input[i].rank != 2)
            return host->error(call, TN_INVALID, "input %d has rank %d", i, call->input[i].rank);
        dim[0] = host->dim_join(call, TN_OP_ADD, dim[0], host->dim_of(call, i, 0));
    }
    host->set_output(call, 0, call->input[0].dtype, 2, dim);
    dim[0] = host->dim_join(call, TN_OP_MUL, dim[0], dim[1]);
    host->set_output(call, 1, call->input[0].dtype, 1, dim);
    return TN_OK;
}

static inline tn_code join_compute(const tn_op_call *call)
{
    for (int32_t k = 0; k < 2 && k < call->output_count; k++) {
        char *to = (char *)call->output[k].data;
        for (int32_t i = 0; to && i < call->input_count; i++) {
            size_t bytes = (size_t)call->host->count(&call->input[i]) * sizeof(float);
            if (bytes) memcpy(to, call->input[i].data, bytes);
            to += bytes;
        }
    }
    return TN_OK;
}

/* ---- Positive: those elements of x that are above 0; how many hangs on the data
 * ----------------*/

static inline tn_code positive_shape(const tn_op_call *call)
{
    const tn_tensor *x = &call->input[0];
    const float *at = (const float *)x->data;
    int64_t found = 0;
    for (int64_t i = 0; at && i < call->host->count(x); i++) found += at[i] > 0;
    tn_op_dim dim = at ? call->host->dim_number(call, found) : call->host->dim_unknown(call);
    call->host->set_output(call, 0, TN_DTYPE_F32, 1, &dim);
    return TN_OK;
}

static inline tn_code positive_compute(const tn_op_call *call)
{
    const float *x = (const float *)call->input[0].data;
    float *y = (float *)call->output[0].data;
    for (int64_t i = 0; i < call->host->count(&call->input[0]); i++)
        if (x[i] > 0) *y++ = x[i];
    return TN_OK;
}

/* ---- Tally, Dice: copies that count their calls; Dice says that it is impure
 * -------------------*/

static atomic_int tally_count, dice_count;

static inline tn_code count_compute(const tn_op_call *call)
{
    atomic_fetch_add((atomic_int *)call->data, 1);
    memcpy(call->output[0].data, call->input[0].data,
           (size_t)call->host->count(&call->input[0]) * sizeof(float));
    return TN_OK;
}

/* ---- Stars: as many stars as the numbers say, as texts; and a loop in shares
 * -------------------*/

static inline tn_code stars_shape(const tn_op_call *call)
{
    tn_op_dim dim = call->host->dim_of(call, 0, -1);
    call->host->set_output(call, 0, TN_DTYPE_STRING, 1, &dim);
    return TN_OK;
}

typedef struct stars_work {
    const tn_op_call *call;
    tn_string *to;
} stars_work;

static inline void stars_share(void *arg, int64_t begin, int64_t end)
{
    stars_work *w = (stars_work *)arg;
    const int64_t *x = (const int64_t *)w->call->input[0].data;
    for (int64_t i = begin; i < end; i++) {
        if (x[i] < 0) w->call->host->error(w->call, TN_INVALID, "%lld stars", (long long)x[i]);
        else w->to[i].bytes = (size_t)x[i];
    }
}

static inline tn_code stars_compute(const tn_op_call *call)
{
    stars_work w = {call, (tn_string *)call->output[0].data};
    int64_t count = call->host->count(&call->input[0]);
    for (int64_t i = 0; i < count; i++) w.to[i].bytes = 0;
    call->host->parallel(call, count, 1, stars_share, &w);
    for (int64_t i = 0; i < count; i++) {
        char *text = call->host->text(call, w.to[i].bytes + 1);
        if (!text) return TN_OUT_OF_MEMORY;
        memset(text, '*', w.to[i].bytes);
        w.to[i].text = text;
    }
    return TN_OK;
}

/* ---- Bad: goes wrong in the way that its attribute says
 * ----------------------------------------*/

static inline tn_code bad_shape(const tn_op_call *call)
{
    const tn_op_host *host = call->host;
    int64_t how = 0;
    double kind = 0;
    tn_op_dim dims[9], far = 1000000;
    for (int i = 0; i < 9; i++) dims[i] = host->dim_number(call, 1);
    host->attr_int(call, "how", &how);
    if (how != 5) host->set_output_like(call, 0, 0);
    switch (how) {
    case 1: host->set_output(call, 0, TN_DTYPE_F32, 9, dims); break;
    case 2: host->set_output(call, 0, (tn_dtype)77, 0, NULL); break;
    case 3: host->set_output(call, 3, TN_DTYPE_F32, 0, NULL); break;
    case 4: host->set_output(call, 0, TN_DTYPE_F32, 1, &far); break;
    case 6:
        dims[0] = host->dim_number(call, -3);
        host->set_output(call, 0, 1, 1, dims);
        break;
    case 7: host->dim_of(call, 4, 0); break;
    case 8: host->dim_of(call, 0, 7); break;
    case 9: host->attr_float(call, "how", &kind); break;
    case 10: return (tn_code)4711;
    case 11: host->dim_join(call, TN_OP_DIV, dims[0], host->dim_number(call, 0)); break;
    case 12: host->set_output(call, 0, TN_DTYPE_I64, 1, dims); break;
    case 13: return host->error(call, TN_UNSUPPORTED, "x has rank %d", call->input[0].rank);
    case 14: host->text(call, 3); break;
    case 15: host->set_output(call, 0, TN_DTYPE_F32, 2, NULL); break;
    case 16:
        dims[0] = 0;
        host->set_output(call, 0, TN_DTYPE_F32, 1, dims);
        break;
    case 17: host->parallel(call, 1, 1, stars_share, NULL); break;
    default: break;
    }
    return TN_OK;
}

static inline tn_code bad_compute(const tn_op_call *call)
{
    int64_t how = 0;
    call->host->attr_int(call, "how", &how);
    if (how == 20) return call->host->error(call, TN_DEVICE, "the lamp is %s", "out");
    if (how == 21) return TN_INTERNAL;
    if (how == 22) call->host->dim_number(call, 1);
    memset(call->output[0].data, 0, (size_t)call->host->count(&call->input[0]) * sizeof(float));
    return TN_OK;
}

/* ---- The specs -------------------------------------------------------------------------------*/

static const tn_op_port float_ports[] = {{"x", TN_OP_DTYPE(F32), 0, 0},
                                         {NULL, TN_OP_DTYPE(F32), TN_OP_OPTIONAL, 0}};
static const tn_op_port join_in[] = {{"x", TN_OP_FLOATS, TN_OP_VARIADIC, 1}};
static const tn_op_port join_out[] = {{"y", 0, 0, 0}, {"flat", 0, TN_OP_OPTIONAL, 0}};
static const tn_op_port star_in[] = {{"x", TN_OP_DTYPE(I64), 0, 0}};
static const tn_op_port star_out[] = {{"y", TN_OP_DTYPE(STRING), 0, 0}};

static inline tn_op_spec spec_of(const char *name, const tn_op_port *in, int32_t in_count,
                                 const tn_op_port *out, int32_t out_count,
                                 tn_code (*shape)(const tn_op_call *),
                                 tn_code (*compute)(const tn_op_call *))
{
    return (tn_op_spec){.size = sizeof(tn_op_spec),
                        .version = TN_OP_VERSION,
                        .domain = "t",
                        .name = name,
                        .input = in,
                        .input_count = in_count,
                        .output = out,
                        .output_count = out_count,
                        .shape = shape,
                        .compute = compute};
}

static inline tn_status register_all(void)
{
    const tn_op_port *f = float_ports;
    tn_op_spec specs[] = {
        spec_of("Affine", f, 2, f, 1, affine_shape, affine_compute),
        spec_of("Join", join_in, 1, join_out, 2, join_shape, join_compute),
        spec_of("Positive", f, 1, f, 1, positive_shape, positive_compute),
        spec_of("Tally", f, 1, f, 1, affine_shape, count_compute),
        spec_of("Dice", f, 1, f, 1, affine_shape, count_compute),
        spec_of("Stars", star_in, 1, star_out, 1, stars_shape, stars_compute),
        spec_of("Bad", f, 1, f, 1, bad_shape, bad_compute),
        /* names of ours, in another domain: nothing may take them for ours */
        spec_of("Identity", f, 1, f, 1, affine_shape, count_compute),
        spec_of("affine", f, 1, f, 1, affine_shape, count_compute),
    };
    specs[0].scratch_bytes = affine_scratch;
    specs[0].opset = 3;
    specs[3].data = &tally_count;
    specs[4].data = &dice_count;
    specs[4].impure = true;
    specs[7].data = specs[8].data = &dice_count;
    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        tn_status status = tn_op_register(&specs[i]);
        if (status) return status;
    }
    return NULL;
}

/* ---- Models ----------------------------------------------------------------------------------*/

static inline tn_writer user_node(const char *name, const char *op, const char *in, const char *out)
{
    tn_writer n = make_node(name, op, in, out);
    put_text(&n, 7, "t");
    return n;
}

static inline void put_attr(tn_writer *node, const char *name, int type, tn_writer *value)
{
    tn_writer a = {0};
    put_text(&a, 1, name);
    if (value->count) tn_write_bytes(&a, value->at, value->count);
    put_int(&a, 20, type);
    tn_writer_fini(value);
    *value = (tn_writer){0};
    put_message(node, 5, &a);
}

static inline void put_int_attr(tn_writer *node, const char *name, int64_t value)
{
    tn_writer v = {0};
    put_int(&v, 3, value);
    put_attr(node, name, 2, &v);
}

/* A model over inputs that the caller has put, with an import of "t". */
static inline tn_writer user_model(tn_writer *graph)
{
    tn_writer m = make_model(8, 17, graph), import = {0};
    put_text(&import, 1, "t");
    put_int(&import, 2, 1);
    put_message(&m, 8, &import);
    return m;
}

#endif
