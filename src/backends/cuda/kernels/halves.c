/* FeedForward, WindowBlock, NormLinear, LinearNormLinear and ConvPair by the kernels of their
 * parts, one behind the other: where no kernel takes all of it, and where there are so many rows
 * that libraries win. Each part is done by the first tactic of its operator, in the order of the
 * table, that the card has and that wants no packed weights; where products are not the inner parts
 * of more, the next ones are candidates too. */
#include <string.h>

#include "backends/cuda/kernels/halves.h"
#include "ops/conv_pair/conv_pair.h"
#include "ops/feed_forward/feed_forward.h"
#include "ops/linear/linear.h"
#include "ops/linear_norm_linear/linear_norm_linear.h"
#include "ops/norm/norm.h"
#include "ops/norm_linear/norm_linear.h"
#include "ops/wide/wide.h"
#include "ops/window_block/window_block.h"

enum { PARTS_MAX = 4, OPERANDS = 6 };

typedef struct part {
    bool wanted; /* by somebody else too, who gave it a place */
    tn_problem problem;
    tn_tensor in[OPERANDS], out;
    union {
        tn_layer_norm_params norm;
        tn_linear_params linear;
        tn_conv_last_params conv;
    } params;
} part;

/* The parts, whose results but the last go to scratch, one behind the other, or where somebody
 * wants them. */
typedef struct chain {
    int count;
    part at[PARTS_MAX];
} chain;

static bool serves(const tn_tactic *tactic, const tn_problem *p)
{
    return !strcmp(tactic->op, p->op) && !tactic->packed_bytes &&
           tactic->precision == TN_PRECISION_F32 && !tactic->accepts(p);
}

/* Of a card with such features; `skip` products are passed over, if there is one behind them. */
static const tn_tactic *tactic_of(const tn_problem *p, int skip, uint64_t features)
{
    const tn_tactic *last = NULL;
    if (strcmp(p->op, "Linear")) skip = 0;
    for (const tn_tactic *const *t = tn_backend_cuda.tactics(); *t && skip >= 0; t++) {
        if (((*t)->needs & ~features) || !serves(*t, p)) continue;
        last = *t;
        skip--;
    }
    return last;
}

/* What goes from one part to the next, without data. */
static tn_tensor like(const tn_tensor *x, int64_t columns)
{
    tn_tensor out = *x;
    out.data = NULL;
    out.dim[out.rank - 1] = columns;
    return out;
}

static part *add(chain *c, const char *op, const tn_tensor *const *in, int count, tn_tensor out)
{
    part *x = &c->at[c->count++];
    x->out = out;
    for (int i = 0; i < count; i++)
        if (in[i]) x->in[i] = *in[i];
    x->problem = (tn_problem){.op = op,
                              .in_count = count,
                              .out_count = 1,
                              .in = x->in,
                              .out = &x->out,
                              .in_constant = ~UINT64_C(1),
                              .params = &x->params,
                              .params_bytes = sizeof x->params};
    return x;
}

static const tn_tensor *input(const tn_problem *p, int i)
{
    return tn_wide_has(p, i) ? &p->in[i] : NULL;
}

/* Scale and shift are p's inputs from `scale` on. */
static void add_norm(chain *c, const tn_problem *p, const tn_tensor *rows, int scale, float epsilon)
{
    const tn_tensor *in[] = {rows, input(p, scale), input(p, scale + 1)};
    part *x = add(c, "LayerNormalization", in, 3, like(in[0], in[0]->dim[in[0]->rank - 1]));
    x->params.norm =
        (tn_layer_norm_params){.axis = -1, .stash_type = TN_DTYPE_F32, .epsilon = epsilon};
    x->problem.params_bytes = sizeof x->params.norm;
}

/* Weights and bias are p's inputs from w on. */
static void add_linear(chain *c, const tn_problem *p, const tn_tensor *from, int w,
                       const tn_tensor *residual, const tn_epilogue *epilogue)
{
    const tn_tensor *in[] = {from, &p->in[w], input(p, w + 1), residual};
    part *x = add(c, "Linear", in, residual ? 4 : 3, like(from, p->in[w].dim[1]));
    x->params.linear.epilogue = *epilogue;
    x->problem.params_bytes = sizeof x->params.linear;
    x->problem.in_constant = 6;
}

static void add_convs(chain *c, const tn_problem *p)
{
    tn_tensor between, in[3];
    tn_problem both[2];
    tn_conv_pair_parts(p, &between, in, &both[0], &both[1]);
    for (int i = 0; i < 2; i++) {
        part *x = &c->at[c->count++];
        x->out = both[i].out[0];
        memcpy(x->in, both[i].in, (size_t)both[i].in_count * sizeof *x->in);
        memcpy(&x->params.conv, both[i].params, sizeof x->params.conv);
        x->problem = both[i];
        x->problem.in = x->in;
        x->problem.out = &x->out;
        x->problem.params = &x->params;
    }
    c->at[0].wanted = p->out_count > 1 && p->out[1].dtype != TN_DTYPE_NONE;
}

/* What the last part gives. */
static const tn_tensor *given(const chain *c)
{
    return &c->at[c->count - 1].out;
}

/* That it goes to an output of p, if it is asked for. */
static void want(chain *c, const tn_problem *p, int out)
{
    part *x = &c->at[c->count - 1];
    x->wanted = p->out_count > out && p->out[out].dtype != TN_DTYPE_NONE;
    if (x->wanted) x->out.data = p->out[out].data;
}

static void chain_of(const tn_problem *p, chain *c)
{
    const tn_epilogue none = {0};
    memset(c, 0, sizeof *c);
    if (!strcmp(p->op, "ConvPair")) {
        add_convs(c, p);
        return;
    }
    if (!strcmp(p->op, "FeedForward")) {
        const tn_feed_forward_params *params = p->params;
        add_norm(c, p, &p->in[0], TN_FF_SCALE, params->epsilon);
        add_linear(c, p, given(c), TN_FF_W1, NULL, &params->epilogue);
        add_linear(c, p, given(c), TN_FF_W2, &p->in[0], &none);
        return;
    }
    if (!strcmp(p->op, "NormLinear")) {
        const tn_norm_linear_params *params = p->params;
        add_norm(c, p, &p->in[0], TN_NL_SCALE, params->epsilon);
        want(c, p, 1);
        add_linear(c, p, given(c), TN_NL_W, NULL, &params->epilogue);
        return;
    }
    if (!strcmp(p->op, "LinearNormLinear")) {
        const tn_linear_norm_linear_params *params = p->params;
        add_linear(c, p, &p->in[0], TN_LNL_W1, input(p, TN_LNL_RESIDUAL), &none);
        want(c, p, TN_LNL_H);
        add_norm(c, p, given(c), TN_LNL_SCALE, params->epsilon);
        want(c, p, TN_LNL_N);
        add_linear(c, p, given(c), TN_LNL_W2, NULL, &params->epilogue);
        return;
    }
    const tn_window_block_params *params = p->params;
    add_norm(c, p, &p->in[0], TN_WB_SCALE, params->epsilon);
    add_linear(c, p, given(c), TN_WB_W1, NULL, &none);
    const tn_tensor *in[] = {given(c), input(p, TN_WB_TABLE)};
    part *x = add(c, "WindowAttention", in, 2, like(&p->in[0], p->in[0].dim[3]));
    x->problem.params = &params->attention;
    x->problem.params_bytes = sizeof params->attention;
    add_linear(c, p, given(c), TN_WB_W2, &p->in[0], &none);
}

/* Where results between the parts lie; how much that takes. */
static size_t place(chain *c, void *scratch)
{
    size_t at = 0;
    for (int i = 0; i < c->count; i++) {
        if (i > 0) c->at[i].in[0].data = c->at[i - 1].out.data;
        if (i == c->count - 1) break;
        if (c->at[i].wanted) continue;
        c->at[i].out.data = scratch ? (uint8_t *)scratch + at : NULL;
        at = tn_wide_add(at, ((size_t)tn_tensor_bytes(&c->at[i].out) + 255) / 256 * 256);
    }
    return at;
}

static tn_verdict accepts(const tn_problem *p)
{
    chain c;
    chain_of(p, &c);
    for (int i = 0; i < c.count; i++)
        if (!tactic_of(&c.at[i].problem, 0, ~UINT64_C(0))) return TN_NO("a part has no kernel");
    return TN_YES;
}

size_t tn_cuda_parts_scratch(const tn_problem *p)
{
    chain c;
    size_t most = 0;
    chain_of(p, &c);
    for (int i = 0; i < c.count; i++)
        for (const tn_tactic *const *t = tn_backend_cuda.tactics(); *t; t++)
            if ((*t)->scratch_bytes && serves(*t, &c.at[i].problem))
                most = TN_MAX(most, (*t)->scratch_bytes(&c.at[i].problem));
    return tn_wide_add(place(&c, NULL), most);
}

static tn_status launch_skipping(const tn_launch *l, int skip)
{
    chain c;
    chain_of(l->problem, &c);
    size_t used = place(&c, l->scratch);
    uint64_t features = tn_cuda_stream_of(l)->card->card.info.features;
    c.at[c.count - 1].out.data = l->problem->out[0].data;
    for (int i = 0; i < c.count; i++) {
        const tn_tactic *t = tactic_of(&c.at[i].problem, skip, features);
        TN_CHECK(t, TN_UNSUPPORTED, "this card has no kernel for %s", c.at[i].problem.op);
        tn_launch one = *l;
        one.problem = &c.at[i].problem;
        one.scratch = (uint8_t *)l->scratch + used;
        one.packed = NULL;
        TN_TRY(t->launch(&one));
    }
    return NULL;
}

tn_status tn_cuda_parts_run(const tn_launch *l)
{
    return launch_skipping(l, 0);
}

#define CHOICES(X) X(0) X(1) X(2) X(3)
#define LAUNCH(skip)                                                                               \
    static tn_status launch_##skip(const tn_launch *l)                                             \
    {                                                                                              \
        return launch_skipping(l, skip);                                                           \
    }
CHOICES(LAUNCH)

#define ROW(skip, op_, text)                                                                       \
    {.name = "cuda." text ".any.parts_" #skip,                                                     \
     .op = op_,                                                                                    \
     .revision = 1,                                                                                \
     .needs = TN_SM75,                                                                             \
     .accepts = accepts,                                                                           \
     .scratch_bytes = tn_cuda_parts_scratch,                                                       \
     .launch = launch_##skip},
#define NORM_LINEAR(skip) ROW(skip, "NormLinear", "norm_linear")
#define LINEAR_NORM_LINEAR(skip) ROW(skip, "LinearNormLinear", "linear_norm_linear")

extern const tn_tactic tn_cuda_halves[];
const tn_tactic tn_cuda_halves[] = {
    {
        .name = "cuda.feed_forward.any.parts",
        .op = "FeedForward",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts,
        .scratch_bytes = tn_cuda_parts_scratch,
        .launch = tn_cuda_parts_run,
    },
    {
        .name = "cuda.window_block.any.parts",
        .op = "WindowBlock",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts,
        .scratch_bytes = tn_cuda_parts_scratch,
        .launch = tn_cuda_parts_run,
    },
    {
        .name = "cuda.convpair.any.parts",
        .op = "ConvPair",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts,
        .scratch_bytes = tn_cuda_parts_scratch,
        .launch = tn_cuda_parts_run,
    },
    CHOICES(NORM_LINEAR) CHOICES(LINEAR_NORM_LINEAR){0},
};
