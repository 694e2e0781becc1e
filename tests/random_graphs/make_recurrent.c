/* Layers of LSTM and GRU as exporters of nn.LSTM and nn.GRU write them: right, or nearly right. */
#include <stdio.h>
#include <string.h>

#include "random_graphs.h"

typedef struct sizes {
    int64_t seq, batch, input, hidden, directions, layers;
    bool is_gru, batch_first, is_fixed;
    char params[160];
} sizes;

static int64_t one_of(maker *m, const int64_t *at, int count)
{
    return at[pick(&m->dice, count)];
}

static sizes choose(maker *m)
{
    static const int64_t few[] = {1, 1, 2, 3, 5, 7}, units[] = {1, 2, 3, 4, 5, 7, 8, 11, 17, 20};
    sizes s = {.seq = one_of(m, few, 6),
               .batch = one_of(m, few, 6),
               .input = one_of(m, few, 6),
               .hidden = one_of(m, units, 10),
               .directions = 1 + pick(&m->dice, 2),
               .layers = 1 + pick(&m->dice, 3),
               .is_gru = chance(&m->dice, 35),
               .batch_first = chance(&m->dice, 40),
               .is_fixed = chance(&m->dice, 60)};
    const char *direction = s.directions == 2 ? "bidirectional" : "forward";
    if (s.directions == 1 && chance(&m->dice, 5)) direction = "reverse";
    int used = snprintf(s.params, sizeof s.params, "{hidden_size=%d, direction=%s", (int)s.hidden,
                        direction);
    const char *more = s.is_gru && chance(&m->dice, 90) ? ", linear_before_reset=1" : "";
    if (chance(&m->dice, 4)) more = ", clip=0.5";
    snprintf(s.params + used, sizeof s.params - (size_t)used, "%s}", more);
    return s;
}

static tn_value *weight(maker *m, int64_t a, int64_t b, int64_t c)
{
    const int64_t dim[3] = {a, b, c};
    tn_value *x = add_random_input(m, TN_DTYPE_F32, c ? 3 : 2, dim, 0, -0.6, 0.6);
    if (!x || chance(&m->dice, 3)) return x;
    tn_tensor copy = find_item(m, x)->at[0];
    return add_constant(m, &copy);
}

/* The states before the first step, of all layers; NULL: none are given. `x` is [T, B, in]. */
static tn_value *first_states(maker *m, const sizes *s, tn_value *x)
{
    const int64_t all = s->layers * s->directions, dim[3] = {all, s->batch, s->hidden};
    if (chance(&m->dice, 25)) return NULL;
    if (s->is_fixed && chance(&m->dice, 70))
        return add_random_input(m, TN_DTYPE_F32, 3, dim, 0, 0, 0);
    tn_value *batch =
        add(m, "Gather", "", 2, add(m, "Shape", "", 1, x), add_ints(m, 1, (int64_t[]){1}));
    tn_value *shape =
        add(m, "Concat", "{axis=0}", 3, add_ints(m, 1, &all), batch, add_ints(m, 1, &s->hidden));
    if (chance(&m->dice, 60)) return add(m, "ConstantOfShape", "", 1, shape);
    float value = chance(&m->dice, 50) ? 0 : 0.25f;
    tn_tensor t = tn_tensor_of(TN_DTYPE_F32, NULL, 0, &value);
    return add(m, "Expand", "", 2, add_constant(m, &t), shape);
}

/* What a layer takes of them. */
static tn_value *part_of(maker *m, const sizes *s, tn_value *all, int layer)
{
    int64_t begin = layer * s->directions, end = begin + s->directions, axis = 0;
    if (!all || s->layers == 1) return all;
    if (chance(&m->dice, 3)) begin = 0, end = s->directions;
    return add(m, "Slice", "", 4, all, add_ints(m, 1, &begin), add_ints(m, 1, &end),
               add_ints(m, 1, &axis));
}

/* A layer with all its outputs. */
static tn_node *add_layer(maker *m, const sizes *s, tn_value *x, int64_t input,
                          tn_value *const *state)
{
    int64_t gates = s->is_gru ? 3 : 4, rows = gates * s->hidden;
    draft d = {
        .op = tn_op_find(NULL, s->is_gru ? "GRU" : "LSTM"),
        .in = {x, weight(m, s->directions, rows, input), weight(m, s->directions, rows, s->hidden)},
        .in_count = s->is_gru ? 6 : 7,
        .out_count = s->is_gru ? 2 : 3};
    const char *params = s->params;
    if (chance(&m->dice, 85)) d.in[3] = weight(m, s->directions, 2 * rows, 0);
    d.in[5] = state[0];
    d.in[6] = s->is_gru ? NULL : state[1];
    void *at = tn_arena_alloc(&m->arena, d.op->params_bytes);
    if (!x || !d.in[1] || !d.in[2] || !at ||
        tn_params_parse(&params, d.op->field, d.op->field_count, at, d.op->params_bytes))
        return NULL;
    d.params = at;
    return add_node(m, &d);
}

/* Y [T, D, B, H] to [T, B, D * H]. */
static tn_value *join_directions(maker *m, const sizes *s, tn_value *y)
{
    int64_t one = 1;
    const int64_t shape[3] = {0, 0, chance(&m->dice, 50) ? -1 : s->directions * s->hidden};
    if (s->directions == 1 && chance(&m->dice, 40))
        return add(m, "Squeeze", "", 2, y, add_ints(m, 1, &one));
    y = add(m, "Transpose", "{perm=[0,2,1,3]}", 1, y);
    return add(m, "Reshape", "", 2, y, add_ints(m, 3, shape));
}

static void join_states(maker *m, const sizes *s, tn_value *const *state)
{
    draft d = {.op = tn_op_find(NULL, "Concat"), .in_count = (int)s->layers, .out_count = 1};
    const char *params = "{axis=0}";
    void *at = tn_arena_alloc(&m->arena, d.op->params_bytes);
    for (int i = 0; i < s->layers; i++) d.in[i] = state[i];
    if (s->layers == 1 || chance(&m->dice, 20) || !at) return;
    if (tn_params_parse(&params, d.op->field, d.op->field_count, at, d.op->params_bytes)) return;
    d.params = at;
    add_node(m, &d);
}

void add_recurrent_layers(maker *m)
{
    sizes s = choose(m);
    const int64_t dim[3] = {s.batch_first ? s.batch : s.seq, s.batch_first ? s.seq : s.batch,
                            s.input};
    tn_value *x = add_random_input(m, TN_DTYPE_F32, 3, dim, s.is_fixed ? 0 : 70, 0, 0);
    tn_value *all[2] = {NULL}, *last[2][3] = {{NULL}};
    if (s.batch_first) x = add(m, "Transpose", "{perm=[1,0,2]}", 1, x);
    for (int k = 0; x && k < 2; k++)
        all[k] = k && chance(&m->dice, 30) ? all[0] : first_states(m, &s, x);
    for (int i = 0; i < s.layers && x; i++) {
        tn_value *state[2] = {part_of(m, &s, all[0], i), part_of(m, &s, all[1], i)};
        tn_node *node = add_layer(m, &s, x, i ? s.directions * s.hidden : s.input, state);
        if (!node || find_item(m, node->out[0])->missing) return;
        for (int k = 1; k < node->out_count; k++) last[k - 1][i] = node->out[k];
        x = join_directions(m, &s, node->out[0]);
        if (chance(&m->dice, 5)) x = add(m, "Relu", "", 1, x);
    }
    if (x && s.batch_first) x = add(m, "Transpose", "{perm=[1,0,2]}", 1, x);
    if (chance(&m->dice, 50)) return;
    join_states(m, &s, last[0]);
    if (!s.is_gru) join_states(m, &s, last[1]);
}
