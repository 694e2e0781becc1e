/* Recurrent networks: nn.LSTM, nn.GRU and nn.RNN of any depth, bare or with a Linear on the last
 * time step.
 *
 * PyTorch keeps the gates of an LSTM as rows i f g o, ONNX as i o f g; of a GRU as r z n and z r h.
 * Nodes of the graph put them in order, so that a parameter stays as PyTorch has it: constants are
 * folded, and a trainer gets gradients of the parameter itself. */
#include <stdio.h>
#include <string.h>

#include "nets/inside.h"

enum { CELL_LSTM, CELL_GRU, CELL_RNN };
static const char *const cell_op[] = {"LSTM", "GRU", "RNN"};
static const int64_t cell_gates[] = {4, 3, 1};
enum { LAYERS_MAX = 1000 };

typedef struct sizes {
    const char *prefix; /* of parameters: "lstm", or "" for a bare layer */
    int cell, relu;
    int64_t input, hidden, layers, directions, out, horizon;
    int64_t steps, batch; /* -1: dynamic */
    bool bias, batch_first, linear, states;
} sizes;

/* ---- Sizes ------------------------------------------------------------------------------------*/

/* The Linear goes by any name: it is the one layer beside the recurrent one that has a weight of
 * two dims. */
static void find_linear(tn_net_build *b, int64_t width)
{
    const char *wish = tn_net_text(b, "linear");
    const tn_checkpoint *c = b->checkpoint;
    for (int64_t i = 0; i < c->count && !b->draft.failed; i++) {
        const tn_checkpoint_tensor *t = &c->tensor[i];
        size_t bytes = strlen(t->name), trunk = strlen(b->names.trunk);
        if (!tn_net_ends_in(t->name, "weight") || t->view.rank != 2) continue;
        if (trunk && strncmp(t->name, b->names.trunk, trunk) == 0) continue;
        if (bytes >= sizeof(b->names.their_head)) continue;
        bytes -= strlen("weight");
        if (wish ? strlen(wish) + 1 != bytes || strncmp(wish, t->name, bytes - 1) != 0
                 : t->view.dim[1] != width)
            continue;
        b->names.head = "fc.";
        memcpy(b->names.their_head, t->name, bytes);
        b->names.their_head[bytes] = 0;
        return;
    }
    if (wish && strcmp(wish, "0") != 0)
        TN_NET_FAIL(b, TN_INVALID, "lstm: there is no '%s.weight' of two dims in the checkpoint",
                    wish);
}

static void find_cell(tn_net_build *b, sizes *s)
{
    int64_t rows = tn_net_dim(b, 2, 0, 0, "lstm.weight_hh_l0");
    int64_t hidden = tn_net_dim(b, 2, 1, 0, "lstm.weight_hh_l0");
    s->hidden = hidden ? hidden : 1;
    for (s->cell = 0; s->cell < 3 && rows != s->hidden * cell_gates[s->cell];) s->cell++;
    TN_NET_WANT(
        b, hidden > 0 && s->cell < 3, TN_INVALID,
        "lstm: weight_hh_l0 has %lld rows and %lld columns: of an LSTM there are 4 rows for "
        "each column, of a GRU 3, of an RNN 1",
        (long long)rows, (long long)hidden);
    TN_NET_WANT(b, !tn_net_tensor(b, "lstm.weight_hr_l0"), TN_UNSUPPORTED,
                "lstm: weight_hr_l0 is a projection (proj_size), which ONNX has no operator for");
    s->input = tn_net_dim(b, 2, 1, 1, "lstm.weight_ih_l0");
    s->layers = tn_net_count(b, "lstm.weight_ih_l%d");
    s->directions = tn_net_tensor(b, "lstm.weight_ih_l0_reverse") ? 2 : 1;
    s->bias = tn_net_tensor(b, "lstm.bias_ih_l0") != NULL;
    if (!b->draft.failed) find_linear(b, s->hidden * s->directions);
    s->linear = b->names.head != NULL;
    s->out = tn_net_dim(b, 2, 0, 1, "fc.weight");
}

static void find_sizes(tn_net_build *b, sizes *s)
{
    const int64_t max = TN_NET_SIZE_MAX;
    *s = (sizes){.input = 1,
                 .hidden = 32,
                 .layers = 1,
                 .directions = 1,
                 .out = 1,
                 .bias = true,
                 .linear = true};
    if (b->checkpoint) find_cell(b, s);
    if (b->draft.failed) return;
    s->cell = tn_net_choice(b, "cell", "lstm|gru|rnn", s->cell);
    s->relu = s->cell == CELL_RNN && tn_net_choice(b, "nonlinearity", "tanh|relu", 0);
    s->input = tn_net_int(b, "input_size", s->input, 1, max);
    s->hidden = tn_net_int(b, "hidden_size", s->hidden, 1, max / 8);
    s->layers = tn_net_int(b, "num_layers", s->layers, 1, LAYERS_MAX);
    s->directions = tn_net_flag(b, "bidirectional", s->directions == 2) ? 2 : 1;
    s->bias = tn_net_flag(b, "bias", s->bias);
    if (!b->checkpoint) s->linear = tn_net_flag(b, "linear", true);
    else if (tn_net_text(b, "linear") && strcmp(tn_net_text(b, "linear"), "0") == 0)
        s->linear = false;
    s->batch_first = tn_net_flag(b, "batch_first", s->linear);
    s->states = tn_net_flag(b, "states", !s->linear);
    if (s->linear) {
        s->out = tn_net_int(b, "out_features", s->out, 1, max);
        s->horizon = tn_net_int(b, "horizon", 1, 1, max);
        TN_NET_WANT(b, b->draft.failed || s->out % s->horizon == 0, TN_INVALID,
                    "lstm: %lld outputs cannot be cut into a horizon of %lld steps",
                    (long long)s->out, (long long)s->horizon);
    }
    s->steps = tn_net_int(b, "steps", -1, -1, max);
    s->batch = tn_net_int(b, "batch", -1, -1, max);
    s->prefix = b->checkpoint || s->linear ? "lstm" : "";
}

/* ---- Parameters -------------------------------------------------------------------------------*/

/* The rows of the gates in ONNX's order. */
static tn_value *order_gates(tn_draft *d, const sizes *s, tn_value *x)
{
    const int64_t h = s->hidden;
    if (s->cell == CELL_RNN) return x;
    if (s->cell == CELL_GRU)
        return tn_draft_op(d, "Concat", NULL,
                           TN_IN(tn_draft_slice(d, NULL, x, 0, h, 2 * h),
                                 tn_draft_slice(d, NULL, x, 0, 0, h),
                                 tn_draft_slice(d, NULL, x, 0, 2 * h, 3 * h)),
                           TN_WITH(tn_attr_int("axis", 0)));
    return tn_draft_op(d, "Concat", NULL,
                       TN_IN(tn_draft_slice(d, NULL, x, 0, 0, h),
                             tn_draft_slice(d, NULL, x, 0, 3 * h, 4 * h),
                             tn_draft_slice(d, NULL, x, 0, h, 3 * h)),
                       TN_WITH(tn_attr_int("axis", 0)));
}

static tn_value *join(tn_draft *d, tn_value *a, tn_value *b)
{
    if (!a) return b;
    return tn_draft_op(d, "Concat", NULL, TN_IN(a, b), TN_WITH(tn_attr_int("axis", 0)));
}

/* W, R and B of one layer: one row of each for each direction. They are asked for in the order of
 * state_dict. */
static void add_weights(tn_net_build *b, const sizes *s, int64_t layer, int64_t input,
                        tn_value *out[3])
{
    static const char *const kind[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
    tn_draft *d = &b->draft;
    const int64_t h = s->hidden, rows = cell_gates[s->cell] * h;
    out[0] = out[1] = out[2] = NULL;
    for (int64_t k = 0; k < s->directions; k++) {
        tn_value *p[4] = {0};
        for (int i = 0; i < (s->bias ? 4 : 2); i++) {
            char what[64];
            const int64_t dim[] = {rows, i == 0 ? input : h};
            snprintf(what, sizeof(what), "%s_l%d%s", kind[i], (int)layer, k ? "_reverse" : "");
            p[i] = order_gates(d, s, tn_net_parameter(b, s->prefix, what, dim, i < 2 ? 2 : 1));
        }
        out[0] = join(d, out[0], tn_draft_reshape(d, NULL, p[0], TN_DIMS(1, rows, input)));
        out[1] = join(d, out[1], tn_draft_reshape(d, NULL, p[1], TN_DIMS(1, rows, h)));
        if (s->bias)
            out[2] = join(d, out[2],
                          tn_draft_reshape(d, NULL, join(d, p[2], p[3]), TN_DIMS(1, 2 * rows)));
    }
}

/* ---- Layers -----------------------------------------------------------------------------------*/

/* What layers share: the states of all of them, before and after. */
typedef struct states {
    tn_value *h0, *c0;
    tn_value *hn[LAYERS_MAX], *cn[LAYERS_MAX];
} states;

static tn_attr direction_of(const sizes *s)
{
    return tn_attr_text("direction", s->directions == 2 ? "bidirectional" : "forward");
}

/* x [time, batch, input] to [time, batch, directions * hidden]. */
static tn_value *add_layer(tn_net_build *b, const sizes *s, int64_t layer, tn_value *x, states *all)
{
    char name[64];
    tn_draft *d = &b->draft;
    const int64_t first = layer * s->directions, end = first + s->directions;
    const int64_t input = layer ? s->hidden * s->directions : s->input;
    tn_value *w[3], *out[3], *h0 = all->h0, *c0 = all->c0;
    snprintf(name, sizeof(name), "%s.l%d", s->linear ? "lstm" : cell_op[s->cell], (int)layer);
    add_weights(b, s, layer, input, w);
    if (h0 && s->layers > 1) h0 = tn_draft_slice(d, NULL, h0, 0, first, end);
    if (c0 && s->layers > 1) c0 = tn_draft_slice(d, NULL, c0, 0, first, end);
    const tn_string relu[] = {{"Relu", 4}, {"Relu", 4}};
    const tn_attr attr[] = {
        direction_of(s),
        tn_attr_int("hidden_size", s->hidden),
        s->cell == CELL_GRU ? tn_attr_int("linear_before_reset", 1)
                            : (tn_attr){.name = "activations",
                                        .kind = TN_ATTR_TEXTS,
                                        .texts = relu,
                                        .count = s->directions},
    };
    tn_draft_ops(d, cell_op[s->cell], name, TN_IN(x, w[0], w[1], w[2], NULL, h0, c0), attr,
                 s->cell == CELL_GRU || s->relu ? 3 : 2, out, s->cell == CELL_LSTM ? 3 : 2);
    all->hn[layer] = out[1];
    all->cn[layer] = s->cell == CELL_LSTM ? out[2] : NULL;
    x = tn_draft_transpose(d, NULL, out[0], TN_DIMS(0, 2, 1, 3));
    return tn_draft_reshape(d, NULL, x, TN_DIMS(0, 0, s->hidden * s->directions));
}

static tn_value *swap_batch(tn_net_build *b, const sizes *s, tn_value *x)
{
    return s->batch_first ? tn_draft_transpose(&b->draft, NULL, x, TN_DIMS(1, 0, 2)) : x;
}

static tn_value *add_input(tn_net_build *b, const sizes *s)
{
    const char *batch = s->linear ? "nBatchSize" : "batch";
    const int64_t first[] = {s->batch, s->steps, s->input},
                  later[] = {s->steps, s->batch, s->input};
    const char *const first_name[] = {batch, "sequence", NULL};
    const char *const later_name[] = {"sequence", batch, NULL};
    return tn_net_input(b, s->linear ? "data" : "input", TN_DTYPE_F32,
                        s->batch_first ? first : later, s->batch_first ? first_name : later_name,
                        3);
}

static tn_value *add_state_input(tn_net_build *b, const sizes *s, const char *name)
{
    return tn_net_input(b, name, TN_DTYPE_F32,
                        (int64_t[]){s->layers * s->directions, s->batch, s->hidden},
                        (const char *[]){NULL, s->linear ? "nBatchSize" : "batch", NULL}, 3);
}

static void add_state_output(tn_net_build *b, const sizes *s, const char *name, tn_value **state)
{
    tn_value *x = state[0];
    if (b->draft.failed) return;
    if (s->layers > 1)
        x = tn_draft_op(&b->draft, "Concat", name, state, (int)s->layers,
                        TN_WITH(tn_attr_int("axis", 0)));
    tn_draft_output(&b->draft, name, x);
}

/* The output of the last step, as the Linear sees it: of the reverse direction that is the state
 * after one step. */
static tn_value *add_head(tn_net_build *b, const sizes *s, tn_value *x)
{
    tn_draft *d = &b->draft;
    const int64_t width = s->hidden * s->directions;
    x = tn_draft_op(d, "Gather", "last", TN_IN(x, tn_draft_scalar(d, TN_DTYPE_I64, -1)),
                    TN_WITH(tn_attr_int("axis", 0)));
    x = tn_net_add_linear(b, "fc", x, width, s->out, true);
    return tn_draft_reshape(d, "steps", x, TN_DIMS(-1, s->horizon, s->out / s->horizon));
}

static void build_sized(tn_net_build *b, const sizes *s, states *all)
{
    tn_value *x = add_input(b, s);
    if (s->states) all->h0 = add_state_input(b, s, "h0");
    if (s->states && s->cell == CELL_LSTM) all->c0 = add_state_input(b, s, "c0");
    x = swap_batch(b, s, x);
    for (int64_t layer = 0; layer < s->layers && !b->draft.failed; layer++)
        x = add_layer(b, s, layer, x, all);
    tn_draft_output(&b->draft, "output", s->linear ? add_head(b, s, x) : swap_batch(b, s, x));
    if (s->states) add_state_output(b, s, "hn", all->hn);
    if (s->states && s->cell == CELL_LSTM) add_state_output(b, s, "cn", all->cn);
}

static void build(tn_net_build *b)
{
    sizes s;
    find_sizes(b, &s);
    if (b->draft.failed) return;
    states *all = tn_arena_alloc(b->draft.graph->arena, sizeof(*all));
    if (all) build_sized(b, &s, all);
    else TN_NET_FAIL(b, TN_OUT_OF_MEMORY, "no memory to build a network");
}

static const tn_net_scheme schemes[] = {
    {.name = "PyTorch's layers",
     .trunk = "lstm.",
     .anchor = (const char *const[]){"lstm.weight_ih_l0", NULL}},
    {0},
};

const tn_net tn_net_lstm = {
    .name = "lstm",
    .about = "nn.LSTM, nn.GRU or nn.RNN, alone or with a Linear on the last time step",
    .settings =
        "  cell=lstm|gru|rnn nonlinearity=tanh|relu input_size hidden_size num_layers\n"
        "  bidirectional=0|1 bias=0|1 linear=NAME|0 out_features horizon=1 (steps the outputs are\n"
        "  cut into) batch_first (1 with a Linear) states (1 without: inputs h0, c0 and outputs\n"
        "  hn, cn) steps, batch (to fix these dims)\n",
    .scheme = schemes,
    .build = build,
};
