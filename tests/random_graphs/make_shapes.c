/* Arithmetic on shapes, as exporters write it: sizes are taken from a tensor, computed with, put
 * together and given to an operator that wants a shape, a range or an index. */
#include "random_graphs.h"

#include <stdio.h>

enum { NUMBERS = TN_DTS_NUMBER | TN_DT(BOOL) };

static int rank_of(const maker *m, const tn_value *value)
{
    const item *it = find_item(m, value);
    return it ? it->at[0].rank : 0;
}

/* A scalar, or a vector of one element, becomes the other. */
static tn_value *as_vector(maker *m, tn_value *scalar)
{
    if (!scalar || rank_of(m, scalar)) return scalar;
    return chance(&m->dice, 80) ? add(m, "Unsqueeze", "", 2, scalar, add_ints(m, 1, (int64_t[]){0}))
                                : add(m, "Reshape", "", 2, scalar, add_ints(m, 1, (int64_t[]){-1}));
}

static tn_value *as_scalar(maker *m, tn_value *vector)
{
    if (!vector || !rank_of(m, vector)) return vector;
    return chance(&m->dice, 70) ? add(m, "Squeeze", "", 2, vector, add_ints(m, 1, (int64_t[]){0}))
                                : add(m, "Gather", "", 2, vector, add_int(m, 0));
}

/* The shape of x in one of several spellings; sizes in i32 or floats come back as i64. */
static tn_value *shape_of(maker *m, tn_value *x)
{
    tn_value *shape = add(m, "Shape", "", 1, x), *other = NULL;
    if (chance(&m->dice, 12)) {
        other = add(m, "Cast", chance(&m->dice, 50) ? "{to=i32}" : "{to=f32}", 1, shape);
        other = add(m, "Cast", "{to=i64}", 1, other);
    } else if (chance(&m->dice, 8)) {
        other = add(m, "Identity", "", 1, shape);
    } else if (chance(&m->dice, 8)) {
        other = add(m, "Concat", "{axis=0}", 2, add(m, "Shape", "{end=1}", 1, x),
                    add(m, "Shape", "{start=1}", 1, x));
    }
    return other ? other : shape;
}

/* One size of x, as a vector of one element or a scalar. */
static tn_value *size_of(maker *m, tn_value *shape, int axis, int rank)
{
    int64_t at = chance(&m->dice, 40) ? axis - rank : axis;
    char params[48];
    switch (pick(&m->dice, 5)) {
    case 0: return add(m, "Gather", "{axis=0}", 2, shape, add_int(m, at));
    case 1: return add(m, "Gather", "", 2, shape, add_ints(m, 1, &at));
    case 2:
        return add(m, "Slice", "", 4, shape, add_ints(m, 1, (int64_t[]){axis}),
                   add_ints(m, 1, (int64_t[]){axis + 1}), add_ints(m, 1, (int64_t[]){0}));
    case 3:
        if (!shape->producer || shape->producer->in_count != 1 || axis + 1 > rank) break;
        snprintf(params, sizeof params, "{start=%d, end=%d}", axis, axis + 1);
        return add(m, "Shape", params, 1, shape->producer->in[0]);
    default: break;
    }
    return add(m, "Gather", "{axis=-1}", 2, shape, add_int(m, axis));
}

/* Computed with a little; often left alone. */
static tn_value *tinker(maker *m, tn_value *size)
{
    static const char *const words[] = {"Add", "Sub", "Mul", "Div", "Mod", "Max", "Min"};
    if (!size || !chance(&m->dice, 45)) return size;
    int64_t number = 1 + pick(&m->dice, 4);
    tn_value *constant = rank_of(m, size) ? add_ints(m, 1, &number) : add_int(m, number);
    tn_value *other = chance(&m->dice, 20) ? pick_value(m, TN_DT(I64), rank_of(m, size)) : NULL;
    if (!other) other = constant;
    const char *word = words[pick(&m->dice, (int)TN_COUNT(words))];
    tn_value *out = NULL;
    switch (pick(&m->dice, 8)) {
    case 0: { /* through floats: floor(size * 0.5) */
        float scale = 0.5f * (float)(1 + pick(&m->dice, 4));
        tn_tensor t = tn_tensor_of(TN_DTYPE_F32, NULL, 0, &scale);
        out = add(m, "Mul", "", 2, add(m, "Cast", "{to=f32}", 1, size), add_constant(m, &t));
        out = add(m, chance(&m->dice, 50) ? "Floor" : "Ceil", "", 1, out);
        out = add(m, "Cast", "{to=i64}", 1, out);
        break;
    }
    case 1: /* size == 1 ? other : size */
        out = add(m, "Where", "", 3, add(m, "Equal", "", 2, size, add_int(m, 1)), other, size);
        break;
    case 2: out = add(m, "Where", "", 3, add(m, "Less", "", 2, size, other), size, other); break;
    case 3: out = add(m, "Mul", "", 2, add(m, "Div", "", 2, size, constant), constant); break;
    default:
        out = chance(&m->dice, 75) ? add(m, word, "", 2, size, other)
                                   : add(m, word, "", 2, other, size);
    }
    return out ? out : size;
}

static tn_value *join(maker *m, tn_value **part, int count)
{
    draft d = {.op = tn_op_find(NULL, "Concat"), .in_count = count, .out_count = 1};
    const char *text = "{axis=0}";
    void *params = d.op ? tn_arena_alloc(&m->arena, d.op->params_bytes) : NULL;
    if (!params || !count ||
        tn_params_parse(&text, d.op->field, d.op->field_count, params, d.op->params_bytes))
        return NULL;
    d.params = params;
    for (int i = 0; i < count; i++) {
        d.in[i] = as_vector(m, part[i]);
        if (!d.in[i]) return NULL;
    }
    tn_node *node = add_node(m, &d);
    return node && !find_item(m, node->out[0])->missing ? node->out[0] : NULL;
}

/* ---- Ends of chains --------------------------------------------------------------------------*/

/* Dims kept, merged, split or left to -1: most often what the tensor can take. */
static void end_reshape(maker *m, tn_value *x, tn_value *shape, int rank)
{
    tn_value *part[TN_RANK_MAX + 2];
    int count = 0, wild = chance(&m->dice, 50) ? pick(&m->dice, rank + 1) : -1;
    for (int i = 0; i < rank; i++) {
        tn_value *size = size_of(m, shape, i, rank);
        if (i == wild) {
            part[count++] = add_ints(m, 1, (int64_t[]){-1});
        } else if (i + 1 < rank && i + 1 != wild && chance(&m->dice, 25)) {
            size = add(m, "Mul", "", 2, as_vector(m, size),
                       as_vector(m, size_of(m, shape, i + 1, rank)));
            part[count++] = size;
            i++;
        } else if (chance(&m->dice, 20) && count < TN_RANK_MAX) {
            int64_t factor = 1 + pick(&m->dice, 3);
            part[count++] = add_ints(m, 1, &factor);
            part[count++] = add(m, "Div", "", 2, as_vector(m, size), add_ints(m, 1, &factor));
        } else if (chance(&m->dice, 10)) {
            part[count++] = add_ints(m, 1, (int64_t[]){0});
        } else {
            part[count++] = size;
        }
    }
    if (!count || chance(&m->dice, 10)) part[count++] = add_ints(m, 1, (int64_t[]){1});
    if (count <= TN_RANK_MAX) add(m, "Reshape", "", 2, x, join(m, part, count));
}

static void end_expand(maker *m, tn_value *x, tn_value *shape, int rank)
{
    tn_value *part[TN_RANK_MAX + 1];
    int count = 0;
    if (chance(&m->dice, 40)) part[count++] = tinker(m, add_ints(m, 1, (int64_t[]){2}));
    for (int i = 0; i < rank; i++)
        part[count++] = chance(&m->dice, 20) ? add_ints(m, 1, (int64_t[]){1})
                                             : tinker(m, size_of(m, shape, i, rank));
    if (!count || count > TN_RANK_MAX) return;
    tn_value *want = join(m, part, count);
    if (chance(&m->dice, 40)) { /* torch: where(shape == -1, 1, shape) */
        int64_t one = 1;
        tn_value *ones =
            add(m, "ConstantOfShape", "{value=i64={1}}", 1, add(m, "Shape", "", 1, want));
        tn_value *minus = add(m, "Mul", "", 2, ones, add_int(m, -one));
        tn_value *where = add(m, "Where", "", 3, add(m, "Equal", "", 2, want, minus), ones, want);
        if (where) want = where;
    }
    add(m, "Expand", "", 2, x, want);
}

static void end_slice(maker *m, tn_value *x, tn_value *shape, int rank)
{
    if (!rank) return;
    int axis = pick(&m->dice, rank);
    int64_t step = chance(&m->dice, 25) ? -1 : 1 + pick(&m->dice, 2), at = axis;
    tn_value *end = as_vector(m, tinker(m, size_of(m, shape, axis, rank)));
    tn_value *start = chance(&m->dice, 30) ? as_vector(m, tinker(m, size_of(m, shape, axis, rank)))
                                           : add_ints(m, 1, (int64_t[]){pick(&m->dice, 3) - 1});
    add(m, "Slice", "", 5, x, start, end, add_ints(m, 1, &at), add_ints(m, 1, &step));
}

static void end_repeat(maker *m, tn_value *x, tn_value *shape, int rank)
{
    tn_value *part[2 * TN_RANK_MAX];
    bool tile = chance(&m->dice, 50);
    int count = tile ? rank : 2 * rank;
    if (!rank) return;
    for (int i = 0; i < count; i++)
        part[i] = chance(&m->dice, 30) ? tinker(m, size_of(m, shape, pick(&m->dice, rank), rank))
                                       : add_ints(m, 1, (int64_t[]){tile});
    if (tile) add(m, "Tile", "", 2, x, join(m, part, count));
    else add(m, "Pad", chance(&m->dice, 30) ? "{mode=edge}" : "", 2, x, join(m, part, count));
}

static void end_range(maker *m, tn_value *x, tn_value *shape, int rank)
{
    if (!rank) return;
    int axis = pick(&m->dice, rank);
    char params[32];
    tn_value *size = as_scalar(m, size_of(m, shape, axis, rank));
    tn_value *range = chance(&m->dice, 70) ? add(m, "Range", "", 3, add_int(m, pick(&m->dice, 2)),
                                                 size, add_int(m, 1))
                                           : add(m, "Range", "", 3, add_int(m, 0), tinker(m, size),
                                                 add_int(m, 1 + pick(&m->dice, 2)));
    snprintf(params, sizeof params, "{axis=%d}", axis);
    if (chance(&m->dice, 70)) add(m, "Gather", params, 2, x, range);
    else add(m, "Less", "", 2, range, size);
}

static void end_other(maker *m, tn_value *x, tn_value *shape, int rank)
{
    tn_value *part[2];
    char params[32];
    if (!rank) return;
    int axis = pick(&m->dice, rank);
    tn_value *size = as_vector(m, size_of(m, shape, axis, rank));
    switch (pick(&m->dice, 5)) {
    case 0: add(m, "ConstantOfShape", "{value=f32={0.5}}", 1, shape); break;
    case 1: add(m, "ReduceProd", "{keepdims=0}", 1, shape); break;
    case 2: { /* split in two halves */
        draft d = {.op = tn_op_find(NULL, "Split"), .in_count = 2, .out_count = 2};
        snprintf(params, sizeof params, "{axis=%d}", axis);
        const char *text = params;
        part[0] = add(m, "Div", "", 2, size, add_ints(m, 1, (int64_t[]){2}));
        part[1] = add(m, "Sub", "", 2, size, part[0]);
        d.in[0] = x;
        d.in[1] = join(m, part, 2);
        void *at = d.op ? tn_arena_alloc(&m->arena, d.op->params_bytes) : NULL;
        if (!d.in[1] || !at ||
            tn_params_parse(&text, d.op->field, d.op->field_count, at, d.op->params_bytes))
            return;
        d.params = at;
        add_node(m, &d);
        break;
    }
    case 3: /* scaled by its size, as attention does */
        add(m, "Div", "", 2, x, add(m, "Sqrt", "", 1, add(m, "Cast", "{to=f32}", 1, size)));
        break;
    default:
        add(m, "Reshape", "", 2, x,
            add(m, "Concat", "{axis=0}", 2, add_ints(m, 1, (int64_t[]){-1}), size));
    }
}

void add_shape_chain(maker *m)
{
    static void (*const ends[])(maker *, tn_value *, tn_value *, int) = {
        end_reshape, end_expand, end_slice, end_repeat, end_range, end_other};
    tn_value *x = pick_value(m, NUMBERS, -1);
    tn_value *from = x && chance(&m->dice, 25) ? pick_value(m, NUMBERS, rank_of(m, x)) : x;
    tn_value *shape = from ? shape_of(m, from) : NULL;
    if (shape) ends[pick(&m->dice, (int)TN_COUNT(ends))](m, x, shape, rank_of(m, x));
}
