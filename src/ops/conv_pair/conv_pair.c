/* ConvPair, of the domain "tenon": the end of one block of a residual network and the beginning of
 * the next.
 *
 *     M = ChannelsLastConv{...}(X, W, B, residual, X2, W2)
 *     Y = ChannelsLastConv{activation=then_activation, ...}(M, V, C)
 *
 * V is [O, 1, ..., channels of M]. M is a result as well, where somebody asks for it. A pass makes
 * it for cards, so that M, the wide one, is read from where it is made. */
#include "ops/conv_pair/conv_pair.h"

#include "ops/wide/wide.h"

static const tn_field fields[] = {
    TN_CONV_FIELDS,
    TN_EPILOGUE_FIELDS(tn_conv_pair_params, conv.fused.epilogue),
    {.name = "more_strides",
     .kind = TN_FIELD_INTS,
     .offset = offsetof(tn_conv_pair_params, conv.more_strides)},
    {.name = "then_activation",
     .kind = TN_FIELD_ENUM,
     .offset = offsetof(tn_conv_pair_params, then.fused.epilogue.kind),
     .choices = TN_EPILOGUES},
    {.name = "then_alpha",
     .kind = TN_FIELD_FLOAT,
     .offset = offsetof(tn_conv_pair_params, then.fused.epilogue.alpha)},
    {.name = "then_beta",
     .kind = TN_FIELD_FLOAT,
     .offset = offsetof(tn_conv_pair_params, then.fused.epilogue.beta)},
};
static const tn_port ins[] = {
    {"X", TN_DTS_FLOAT, 'T', 0},
    {"W", TN_DTS_FLOAT, 'T', 0},
    {"B", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"residual", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"X2", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"W2", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"V", TN_DTS_FLOAT, 'T', 0},
    {"C", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0},
                               {"M", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL}};
enum { FIRST_INS = TN_CONV_PAIR_V, SECOND_INS = 3 };

extern const tn_op tn_op_conv_last;

static tn_status lower(const tn_node *node, void *params_out)
{
    tn_conv_pair_params *params = params_out;
    tn_window_params *window = &params->then.fused.conv.window;
    window->kernel_shape.count = window->strides.count = -1;
    window->dilations.count = window->pads.count = -1;
    params->then.fused.conv.group = 1;
    params->then.more_strides.count = -1;
    return tn_op_conv_last.lower(node, params);
}

/* By the first as ChannelsLastConv, and by the second of what that gives. */
static tn_status infer(tn_infer *f)
{
    const tn_conv_pair_params *params = f->params;
    const tn_type *given = f->in, *v = &given[TN_CONV_PAIR_V];
    int32_t count = f->in_count;
    int64_t taps;
    for (int i = 1; i < v->rank - 1; i++)
        if (tn_expr_is_const(f->exprs, v->dim[i], &taps))
            TN_CHECK(taps == 1, TN_INVALID, "V has %lld taps, not one", (long long)taps);
    f->in_count = TN_MIN(count, FIRST_INS);
    tn_status status = tn_op_conv_last.infer(f);
    tn_type between = f->out[0], in[SECOND_INS] = {between, *v};
    if (!status && between.rank >= 0) {
        if (count > TN_CONV_PAIR_BIAS) in[2] = given[TN_CONV_PAIR_BIAS];
        f->in = in;
        f->in_count = count > TN_CONV_PAIR_BIAS ? SECOND_INS : SECOND_INS - 1;
        f->params = &params->then;
        status = tn_op_conv_last.infer(f);
    }
    f->in = given;
    f->in_count = count;
    f->params = params;
    if (f->out_count > 1) f->out[1] = between;
    return status;
}

void tn_conv_pair_parts(const tn_problem *p, tn_tensor *between, tn_tensor in[3], tn_problem *first,
                        tn_problem *second)
{
    const tn_conv_pair_params *params = p->params;
    const tn_tensor *w = &p->in[1], *y = &p->out[0];
    *between = *y;
    between->dim[y->rank - 1] = w->dim[0];
    between->data = p->out_count > 1 && p->out[1].dtype ? p->out[1].data : NULL;
    *first = *second = *p;
    first->op = second->op = tn_op_conv_last.name;
    first->field = second->field = NULL;
    first->field_count = second->field_count = 0;
    first->params = &params->conv;
    second->params = &params->then;
    first->params_bytes = second->params_bytes = sizeof params->conv;
    first->in_count = TN_MIN(p->in_count, FIRST_INS);
    first->out_count = second->out_count = 1;
    first->out = between;
    second->in = in;
    second->in_count = p->in_count > TN_CONV_PAIR_BIAS ? SECOND_INS : SECOND_INS - 1;
    second->in_constant = p->in_constant >> TN_CONV_PAIR_V << 1;
    in[0] = *between;
    for (int i = 1; i < second->in_count; i++) in[i] = p->in[TN_CONV_PAIR_V + i - 1];
}

/* ---- Kernel -----------------------------------------------------------------------------------*/

/* What is between is double there. */
static size_t between_bytes(const tn_problem *p)
{
    tn_tensor between, in[SECOND_INS];
    tn_problem first, second;
    tn_conv_pair_parts(p, &between, in, &first, &second);
    between.dtype = TN_DTYPE_F64;
    return tn_wide_tensor_bytes(&between);
}

static size_t scratch_bytes(const tn_problem *p)
{
    tn_tensor between, in[SECOND_INS];
    tn_problem first, second;
    tn_conv_pair_parts(p, &between, in, &first, &second);
    size_t one = tn_op_conv_last.scratch_bytes(&first);
    size_t other = tn_op_conv_last.scratch_bytes(&second);
    return tn_wide_add(between_bytes(p), TN_MAX(one, other));
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    tn_tensor between, in[SECOND_INS];
    tn_problem first, second;
    tn_launch part = *l;
    size_t bytes = between_bytes(p);
    tn_conv_pair_parts(p, &between, in, &first, &second);
    between.dtype = in[0].dtype = TN_DTYPE_F64;
    between.data = in[0].data = l->scratch;
    part.scratch = (uint8_t *)l->scratch + bytes;
    part.problem = &first;
    TN_TRY(tn_op_conv_last.reference(&part));
    if (tn_wide_wants(p, 1))
        tn_store_f64s(p->out[1].dtype, p->out[1].data, 0, tn_tensor_count(&p->out[1]), l->scratch);
    part.problem = &second;
    return tn_op_conv_last.reference(&part);
}

extern const tn_case tn_conv_pair_cases[];

const tn_op tn_op_conv_pair = {
    .name = "ConvPair",
    .domain = "tenon",
    .since = 1,
    .about = "two ChannelsLastConv, the second of single pixels of what the first gives, M",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_conv_pair_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = tn_conv_pair_cases,
};
