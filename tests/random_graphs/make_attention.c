/* Attention as exporters write it: heads split in several ways, scales, masks and biases in several
 * places, heads merged or not; now and then with something that is not attention any more. */
#include <math.h>
#include <stdio.h>

#include "random_graphs.h"

typedef struct layer {
    maker *m;
    int64_t heads, head, rows;
    bool fixed_rows, fixed_batch;
    int64_t batch;
    tn_value *x; /* [batch, rows, columns] */
} layer;

static const tn_tensor *tensor_of(const layer *l, const tn_value *value)
{
    return &find_item(l->m, value)->at[0];
}

static tn_value *number(layer *l, double value)
{
    _Alignas(16) uint8_t data[16] = {0};
    tn_dtype dtype = tensor_of(l, l->x)->dtype;
    tn_store_f64(dtype, data, 0, value);
    tn_tensor t = tn_tensor_of(dtype, NULL, 0, data);
    return add_constant(l->m, &t);
}

/* A constant, or an input of fixed shape. */
static tn_value *table(layer *l, int rank, const int64_t *dim, double lo, double hi)
{
    tn_value *x = add_random_input(l->m, tensor_of(l, l->x)->dtype, rank, dim, 0, lo, hi);
    if (!x || chance(&l->m->dice, 30)) return x;
    tn_tensor copy = *tensor_of(l, x);
    return add_constant(l->m, &copy);
}

static tn_value *reshape(layer *l, tn_value *x, int rank, const int64_t *dim)
{
    return x ? add(l->m, "Reshape", "", 2, x, add_ints(l->m, rank, dim)) : NULL;
}

static tn_value *both(layer *l, const char *op, tn_value *a, tn_value *b)
{
    if (!a || !b) return NULL;
    return chance(&l->m->dice, 30) ? add(l->m, op, "", 2, b, a) : add(l->m, op, "", 2, a, b);
}

/* ---- Queries, keys and values -----------------------------------------------------------------*/

static tn_value *cut(layer *l, tn_value *x, int axis, int64_t begin, int64_t end)
{
    int64_t at = axis;
    return add(l->m, "Slice", "", 4, x, add_ints(l->m, 1, &begin), add_ints(l->m, 1, &end),
               add_ints(l->m, 1, &at));
}

/* [batch, heads, rows, head], or keys the other way round. */
static tn_value *split_heads(layer *l, tn_value *x, bool keys)
{
    const int64_t dim[] = {0, 0, l->heads, l->head};
    x = reshape(l, x, 4, dim);
    if (!x) return NULL;
    if (!keys) return add(l->m, "Transpose", "{perm=[0,2,1,3]}", 1, x);
    if (chance(&l->m->dice, 50)) return add(l->m, "Transpose", "{perm=[0,2,3,1]}", 1, x);
    x = add(l->m, "Transpose", "{perm=[0,2,1,3]}", 1, x);
    return x ? add(l->m, "Transpose", "{perm=[0,1,3,2]}", 1, x) : NULL;
}

/* All three out of one tensor with one Reshape and one Transpose. */
static void split_whole(layer *l, tn_value **part)
{
    const int64_t dim[] = {0, 0, 3, l->heads, l->head}, first = 0;
    tn_value *x = reshape(l, l->x, 5, dim);
    int way = pick(&l->m->dice, 2);
    if (x) x = add(l->m, "Transpose", "{perm=[2,0,3,1,4]}", 1, x);
    for (int i = 0; i < 3; i++) {
        if (!x) part[i] = NULL;
        else if (way) part[i] = add(l->m, "Gather", "{axis=0}", 2, x, add_int(l->m, i));
        else
            part[i] =
                add(l->m, "Squeeze", "", 2, cut(l, x, 0, i, i + 1), add_ints(l->m, 1, &first));
    }
    if (part[1]) part[1] = add(l->m, "Transpose", "{perm=[0,1,3,2]}", 1, part[1]);
}

static void make_parts(layer *l, tn_value **part)
{
    int64_t width = l->heads * l->head, columns = tensor_of(l, l->x)->dim[2];
    if (columns == 3 * width && chance(&l->m->dice, 50)) {
        split_whole(l, part);
        return;
    }
    int order = pick(&l->m->dice, 10);
    for (int i = 0; i < 3; i++) {
        int64_t from = order == 9 ? 2 - i : i, dim[] = {columns, width};
        tn_value *flat = columns == 3 * width
                             ? cut(l, l->x, 2, from * width, (from + 1) * width)
                             : add(l->m, "MatMul", "", 2, l->x, table(l, 2, dim, 0, 0));
        part[i] = split_heads(l, flat, i == 1);
    }
}

/* ---- Masks ------------------------------------------------------------------------------------*/

/* [batch, 1, 1, rows], made of x. */
static tn_value *key_mask(layer *l)
{
    const int64_t last = -1, one = 1;
    tn_value *mean = add(l->m, "ReduceMean", "", 2, l->x, add_ints(l->m, 1, &last));
    tn_value *mask = mean ? add(l->m, "Unsqueeze", "", 2, mean, add_ints(l->m, 1, &one)) : NULL;
    if (mask) mask = add(l->m, "Transpose", "{perm=[0,1,3,2]}", 1, mask);
    if (!mask || chance(&l->m->dice, 40)) return mask;
    double low = chance(&l->m->dice, 70) ? -10000 : -INFINITY;
    tn_value *seen = add(l->m, "Greater", "", 2, mask, number(l, -0.2));
    return seen ? add(l->m, "Where", "", 3, seen, number(l, 0), number(l, low)) : NULL;
}

/* Masks that take turns. */
static tn_value *add_windows(layer *l, tn_value *score)
{
    int64_t m = l->batch % 2 ? 1 : 2;
    const int64_t wide[] = {l->batch / m, m, l->heads, l->rows, l->rows};
    const int64_t flat[] = {l->batch, l->heads, l->rows, l->rows};
    const int64_t mask[] = {1, m, 1, l->rows, l->rows};
    return reshape(l, both(l, "Add", reshape(l, score, 5, wide), table(l, 5, mask, -3, 0)), 4,
                   flat);
}

static tn_value *add_mask(layer *l, tn_value *score)
{
    const int64_t shapes[4][4] = {{1, l->heads, l->rows, l->rows},
                                  {1, 1, l->rows, l->rows},
                                  {1, 1, 1, l->rows},
                                  {1, l->heads, 1, 1}};
    if (!score) return NULL;
    if (chance(&l->m->dice, 50)) return both(l, "Add", score, key_mask(l));
    if (!l->fixed_rows) return score;
    if (l->fixed_batch && chance(&l->m->dice, 40)) return add_windows(l, score);
    int shape = pick(&l->m->dice, 4), skip = pick(&l->m->dice, 5);
    return both(l, "Add", score, table(l, 4 - skip, shapes[shape] + skip, -2, 2));
}

/* ---- The whole --------------------------------------------------------------------------------*/

static tn_value *scale(layer *l, tn_value *x, double factor)
{
    if (!x) return NULL;
    return chance(&l->m->dice, 50) ? add(l->m, "Div", "", 2, x, number(l, 1 / factor))
                                   : both(l, "Mul", x, number(l, factor));
}

static void merge(layer *l, tn_value *y)
{
    const int64_t whole[] = {0, 0, l->heads * l->head}, flat[] = {-1, l->heads * l->head};
    int way = pick(&l->m->dice, 8);
    if (y) y = add(l->m, "Transpose", way ? "{perm=[0,2,1,3]}" : "{perm=[0,1,3,2]}", 1, y);
    if (way == 1) reshape(l, y, 2, flat);
    else if (way > 1) reshape(l, y, 3, whole);
}

static bool begin(layer *l)
{
    maker *m = l->m;
    l->heads = 1 + pick(&m->dice, 3);
    l->head = 1 + pick(&m->dice, 5);
    int64_t width = l->heads * l->head, columns = chance(&m->dice, 60) ? 3 * width : 4;
    const int64_t dim[] = {1 + pick(&m->dice, 4), 1 + pick(&m->dice, 6), columns};
    l->x = add_random_input(m, chance(&m->dice, 90) ? TN_DTYPE_F32 : TN_DTYPE_F64, 3, dim, 0, 0, 0);
    /* Batch and rows may be sizes of a run. */
    if (chance(&m->dice, 50)) {
        tn_value *like = pick_value(m, TN_DT(F32), 2);
        const int64_t one[] = {1, columns}, last = 2;
        tn_value *wide = like ? add(m, "Unsqueeze", "", 2, like, add_ints(m, 1, &last)) : NULL;
        tn_value *row = add_random_input(m, TN_DTYPE_F32, 2, one, 0, 0, 0);
        tn_value *x = wide && row ? add(m, "MatMul", "", 2, wide, row) : NULL;
        if (x) l->x = x;
    }
    if (!l->x || l->x->type.rank != 3) return false;
    const tn_exprs *exprs = m->graph->exprs;
    l->fixed_batch = tn_expr_is_const(exprs, l->x->type.dim[0], &l->batch);
    l->fixed_rows = tn_expr_is_const(exprs, l->x->type.dim[1], &l->rows);
    return l->batch * l->rows <= 64;
}

void add_attention(maker *m)
{
    layer l = {.m = m};
    tn_value *part[3];
    if (!begin(&l)) return;
    make_parts(&l, part);
    double factor = 0.25 + unit(&m->dice);
    int scaled = pick(&m->dice, 4);
    if (scaled == 1 || scaled == 2) part[0] = scale(&l, part[0], factor);
    if (scaled == 2) part[1] = scale(&l, part[1], factor);
    if (!part[0] || !part[1] || !part[2]) return;
    tn_value *score = add(m, "MatMul", "", 2, part[0], part[1]);
    if (scaled == 3) score = scale(&l, score, factor);
    for (int i = pick(&m->dice, 3); i > 0; i--) score = add_mask(&l, score);
    if (chance(&m->dice, 5)) score = scale(&l, score, factor);
    tn_value *p =
        score ? add(m, "Softmax", chance(&m->dice, 95) ? "" : "{axis=1}", 1, score) : NULL;
    if (p && chance(&m->dice, 30)) {
        tn_value *nan = add(m, "IsNaN", "", 1, p);
        if (nan) p = add(m, "Where", "", 3, nan, number(&l, 0), p);
    }
    if (p) merge(&l, add(m, "MatMul", "", 2, p, part[2]));
}
