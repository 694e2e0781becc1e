/* LinearAttention-27: attention as a recurrence over a state matrix S [Dk, Dv] for each head of
 * keys.
 *
 *     S *= exp(decay_t)                          gated: per row of S, or one for the head
 *     v_t = beta_t * (v_t - S^T k_t)             delta
 *     S += k_t v_t^T
 *     y_t = scale * S^T q_t                      heads of queries share heads of keys in groups
 *
 * All but the states is [B, T, heads * size]. States are [B, heads of keys, Dk, Dv]. */
#include "ops/linear_attention/linear_attention.h"

#include <math.h>

#include "ir/op.h"
#include "ops/wide/wide.h"

enum { QUERY, KEY, VALUE, PAST, DECAY, BETA };

static const tn_field fields[] = {
    {.name = "q_num_heads",
     .kind = TN_FIELD_INT,
     .required = true,
     .offset = offsetof(tn_linear_attention_params, q_num_heads)},
    {.name = "kv_num_heads",
     .kind = TN_FIELD_INT,
     .required = true,
     .offset = offsetof(tn_linear_attention_params, kv_num_heads)},
    TN_ENUM(tn_linear_attention_params, update_rule, TN_LINEAR_GATED_DELTA,
            "linear|gated|delta|gated_delta"),
    TN_INT(tn_linear_attention_params, chunk_size, 64),
    TN_FLOAT(tn_linear_attention_params, scale, 0),
};
static const tn_port ins[] = {
    {"query", TN_DTS_FLOAT, 'T', 0},
    {"key", TN_DTS_FLOAT, 'T', 0},
    {"value", TN_DTS_FLOAT, 'T', 0},
    {"past_state", TN_DTS_FLOAT, 'S', TN_PORT_OPTIONAL},
    {"decay", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"beta", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {
    {"output", TN_DTS_FLOAT, 'T', 0},
    {"present_state", TN_DTS_FLOAT, 'S', TN_PORT_OPTIONAL},
};

static bool is_gated(int64_t rule)
{
    return rule == TN_LINEAR_GATED || rule == TN_LINEAR_GATED_DELTA;
}

static bool is_delta(int64_t rule)
{
    return rule == TN_LINEAR_DELTA || rule == TN_LINEAR_GATED_DELTA;
}

static tn_status lower(const tn_node *node, void *params_out)
{
    const tn_linear_attention_params *params = params_out;
    int64_t q = params->q_num_heads, kv = params->kv_num_heads;
    bool decay = node->in_count > DECAY && node->in[DECAY],
         beta = node->in_count > BETA && node->in[BETA];
    TN_CHECK(q > 0 && kv > 0 && q % kv == 0, TN_INVALID,
             "%lld query heads do not share %lld key heads evenly", (long long)q, (long long)kv);
    TN_CHECK(decay == is_gated(params->update_rule), TN_INVALID,
             "decay must be given for the gated rules and only for them");
    TN_CHECK(beta == is_delta(params->update_rule), TN_INVALID,
             "beta must be given for the delta rules and only for them");
    return NULL;
}

static tn_status check_width(tn_infer *f, int input, int64_t heads, int64_t *size)
{
    const tn_type *t = &f->in[input];
    char text[128];
    int64_t width;
    TN_CHECK(t->rank == 3, TN_INVALID, "%s must be [batch, time, heads * size]: it is %s",
             f->op->in[input].name, tn_type_text(f->exprs, t, text, sizeof text));
    *size = -1;
    if (!tn_expr_is_const(f->exprs, t->dim[2], &width)) return NULL;
    TN_CHECK(width % heads == 0, TN_INVALID, "%s: %lld columns do not divide into %lld heads",
             f->op->in[input].name, (long long)width, (long long)heads);
    *size = width / heads;
    return NULL;
}

static tn_status check_gate(tn_infer *f, int input, int64_t one, int64_t other)
{
    const tn_type *t = &f->in[input];
    char text[128];
    int64_t width;
    if (!tn_infer_has(f, input) || t->rank < 0) return NULL;
    TN_CHECK(t->rank == 3 && (other < 0 || !tn_expr_is_const(f->exprs, t->dim[2], &width) ||
                              width == one || width == other),
             TN_INVALID, "%s must be [batch, time, %lld or %lld]: it is %s", f->op->in[input].name,
             (long long)one, (long long)other, tn_type_text(f->exprs, t, text, sizeof text));
    return NULL;
}

/* Batch and time are those of the query. */
static tn_status check_rows(tn_infer *f, int input)
{
    const tn_type *t = &f->in[input], *q = &f->in[QUERY];
    char text[128];
    int64_t a, b;
    for (int i = 0; i < 2 && tn_infer_has(f, input) && t->rank == 3; i++)
        if (tn_expr_is_const(f->exprs, t->dim[i], &a) && tn_expr_is_const(f->exprs, q->dim[i], &b))
            TN_CHECK(a == b, TN_INVALID, "%s must have the batch and time of the query: it is %s",
                     f->op->in[input].name, tn_type_text(f->exprs, t, text, sizeof text));
    return NULL;
}

static tn_status check_past(tn_infer *f, int64_t k_size, int64_t v_size)
{
    const tn_linear_attention_params *params = f->params;
    const tn_type *t = &f->in[PAST];
    char text[128];
    int64_t have, want[4] = {-1, params->kv_num_heads, k_size, v_size};
    if (!tn_infer_has(f, PAST) || t->rank < 0) return NULL;
    if (!tn_expr_is_const(f->exprs, f->in[QUERY].dim[0], &want[0])) want[0] = -1;
    bool fits = t->rank == 4;
    for (int i = 0; i < 4 && fits; i++)
        if (want[i] >= 0 && tn_expr_is_const(f->exprs, t->dim[i], &have)) fits = have == want[i];
    TN_CHECK(fits, TN_INVALID, "past_state must be [batch, heads, key size, value size]: it is %s",
             tn_type_text(f->exprs, t, text, sizeof text));
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_linear_attention_params *params = f->params;
    const tn_type *q = &f->in[QUERY], *v = &f->in[VALUE];
    tn_dtype state = tn_infer_has(f, PAST) ? f->in[PAST].dtype : q->dtype;
    int64_t q_size, k_size, v_size;
    if (q->rank < 0 || f->in[KEY].rank < 0 || v->rank < 0) {
        tn_infer_set(f, 0, q->dtype, -1, NULL);
        tn_infer_set(f, 1, state, -1, NULL);
        return NULL;
    }
    TN_TRY(check_width(f, QUERY, params->q_num_heads, &q_size));
    TN_TRY(check_width(f, KEY, params->kv_num_heads, &k_size));
    TN_TRY(check_width(f, VALUE, params->kv_num_heads, &v_size));
    for (int i = KEY; i < f->in_count; i++)
        if (i != PAST) TN_TRY(check_rows(f, i));
    TN_TRY(check_past(f, k_size, v_size));
    TN_CHECK(q_size < 0 || k_size < 0 || q_size == k_size, TN_INVALID,
             "heads of the query have %lld elements, those of the key %lld", (long long)q_size,
             (long long)k_size);
    TN_TRY(check_gate(f, DECAY, params->kv_num_heads,
                      k_size < 0 ? -1 : params->kv_num_heads * k_size));
    TN_TRY(check_gate(f, BETA, params->kv_num_heads, 1));
    tn_expr heads = tn_expr_const(f->exprs, params->kv_num_heads);
    tn_expr each_v = tn_expr_div(f->exprs, v->dim[2], heads);
    tn_expr each_k = tn_expr_div(f->exprs, f->in[KEY].dim[2], heads);
    tn_expr width = tn_expr_mul(f->exprs, tn_expr_const(f->exprs, params->q_num_heads), each_v);
    tn_infer_set(f, 0, q->dtype, 3, (tn_expr[]){q->dim[0], q->dim[1], width});
    tn_infer_set(f, 1, state, 4, (tn_expr[]){q->dim[0], heads, each_k, each_v});
    return NULL;
}

typedef struct work {
    const tn_problem *p;
    const tn_linear_attention_params *params;
    int64_t time, group, k_size, v_size;
    double scale;
    double *state, *row; /* [Dk, Dv], [Dv] */
} work;

static double load(const work *w, int input, int64_t at)
{
    return tn_load_f64(w->p->in[input].dtype, w->p->in[input].data, at);
}

static size_t scratch_bytes(const tn_problem *p)
{
    const tn_linear_attention_params *params = p->params;
    int64_t k_size = p->in[KEY].dim[2] / params->kv_num_heads, cells;
    int64_t v_size = p->in[VALUE].dim[2] / params->kv_num_heads;
    if (!tn_mul_i64(k_size, v_size, &cells)) cells = INT64_MAX;
    return tn_wide_add(tn_wide_bytes(cells), tn_wide_bytes(v_size));
}

static void decay_state(const work *w, int64_t place, int64_t head)
{
    int64_t heads = w->params->kv_num_heads;
    bool whole = w->p->in[DECAY].dim[2] == heads;
    for (int64_t d = 0; d < w->k_size; d++) {
        int64_t at = whole ? place * heads + head : (place * heads + head) * w->k_size + d;
        double factor = exp(load(w, DECAY, at));
        for (int64_t m = 0; m < w->v_size; m++) w->state[d * w->v_size + m] *= factor;
    }
}

/* row = S^T x, x being Dk elements of an input. */
static void read_state(const work *w, int input, int64_t at)
{
    for (int64_t m = 0; m < w->v_size; m++) w->row[m] = 0;
    for (int64_t d = 0; d < w->k_size; d++) {
        double x = load(w, input, at + d);
        for (int64_t m = 0; m < w->v_size; m++) w->row[m] += x * w->state[d * w->v_size + m];
    }
}

static void step(const work *w, int64_t place, int64_t head)
{
    int64_t heads = w->params->kv_num_heads, rule = w->params->update_rule;
    int64_t key_at = (place * heads + head) * w->k_size,
            value_at = (place * heads + head) * w->v_size;
    const tn_tensor *y = &w->p->out[0];
    if (is_gated(rule)) decay_state(w, place, head);
    if (is_delta(rule)) {
        double beta = load(w, BETA, w->p->in[BETA].dim[2] == 1 ? place : place * heads + head);
        read_state(w, KEY, key_at);
        for (int64_t m = 0; m < w->v_size; m++)
            w->row[m] = beta * (load(w, VALUE, value_at + m) - w->row[m]);
    } else {
        for (int64_t m = 0; m < w->v_size; m++) w->row[m] = load(w, VALUE, value_at + m);
    }
    for (int64_t d = 0; d < w->k_size; d++) {
        double key = load(w, KEY, key_at + d);
        for (int64_t m = 0; m < w->v_size; m++) w->state[d * w->v_size + m] += key * w->row[m];
    }
    for (int64_t g = 0; g < w->group; g++) {
        int64_t reader = place * w->params->q_num_heads + head * w->group + g;
        read_state(w, QUERY, reader * w->k_size);
        for (int64_t m = 0; m < w->v_size; m++)
            tn_store_f64(y->dtype, y->data, reader * w->v_size + m, w->scale * w->row[m]);
    }
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    work w = {.p = p, .params = p->params, .time = p->in[QUERY].dim[1]};
    int64_t heads = w.params->kv_num_heads, batch = p->in[QUERY].dim[0];
    void *scratch = l->scratch;
    w.group = w.params->q_num_heads / heads;
    w.k_size = p->in[KEY].dim[2] / heads;
    w.v_size = p->in[VALUE].dim[2] / heads;
    w.scale = w.params->scale != 0 ? w.params->scale : 1 / sqrt((double)TN_MAX(w.k_size, 1));
    w.state = tn_wide_take(&scratch, w.k_size * w.v_size);
    w.row = tn_wide_take(&scratch, w.v_size);
    int64_t cells = w.k_size * w.v_size;
    for (int64_t b = 0; b < batch; b++) {
        for (int64_t h = 0; h < heads; h++) {
            int64_t at = (b * heads + h) * cells;
            for (int64_t i = 0; i < cells; i++)
                w.state[i] = tn_wide_has(p, PAST) ? load(&w, PAST, at + i) : 0;
            for (int64_t t = 0; t < w.time; t++) step(&w, b * w.time + t, h);
            if (tn_wide_wants(p, 1))
                tn_store_f64s(p->out[1].dtype, p->out[1].data, at, cells, w.state);
        }
    }
    return NULL;
}

static const tn_case cases[] = {
    /* State 2*3 = 6, then 6 + 1*5 = 11; y = q * S. */
    {.problem =
         "LinearAttention{q_num_heads=1, kv_num_heads=1, update_rule=linear} f32[1,2,1]={1,2} "
         "f32[1,2,1]={2,1} f32[1,2,1]={3,5} -> 2",
     .expect = "f32[1,2,1]={6,22} f32[1,1,1,1]={11}"},
    /* Past 4, decay log(1/2): 2; delta: 0.5 * (6 - 2*1) = 2; state 4; y = 0.5 * 3 * 4. */
    {.problem =
         "LinearAttention{q_num_heads=1, kv_num_heads=1, scale=0.5} f32[1,1,1]={3} f32[1,1,1]={1} "
         "f32[1,1,1]={6} f32[1,1,1,1]={4} f32[1,1,1]={-0.6931472} f32[1,1,1]={0.5} -> 2",
     .expect = "f32[1,1,1]={6} f32[1,1,1,1]={4}"},
    {.problem =
         "LinearAttention{q_num_heads=4, kv_num_heads=2} f32[2,5,32] f32[2,5,16] f32[2,5,12] "
         "f32[2,2,8,6] f32[2,5,16] f32[2,5,1] -> 2",
     .lo = -0.5,
     .hi = 0.5},
    {.problem =
         "LinearAttention{q_num_heads=2, kv_num_heads=2, update_rule=gated} f16[1,3,8] f16[1,3,8] "
         "f16[1,3,8] none f16[1,3,2] -> 2",
     .lo = -0.5,
     .hi = 0.5},
    {0},
};

const tn_op tn_op_linear_attention = {
    .name = "LinearAttention",
    .since = 27,
    .about = "S = exp(decay) S + k (beta (v - S^T k))^T; y = scale S^T q, step by step",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_linear_attention_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = cases,
};
