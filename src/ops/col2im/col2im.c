/* Col2Im-18: columns of blocks added up into an image: the transpose of cutting an image into
 * blocks. Input [N, C * block, blocks], output [N, C, image]; what falls on padding is dropped. */
#include "ops/col2im/col2im.h"

#include <string.h>

#include "ops/moving.h"

static const tn_field fields[] = {
    TN_INT_LIST(tn_col2im_params, dilations),
    TN_INT_LIST(tn_col2im_params, pads),
    TN_INT_LIST(tn_col2im_params, strides),
};
static const tn_port ins[] = {
    {"input", TN_DTS_NUMBER | TN_DTS_COMPLEX | TN_DT(BOOL), 'T', 0},
    {"image_shape", TN_DT(I64), 0, 0},
    {"block_shape", TN_DT(I64), 0, 0},
};
static const tn_port outs[] = {{"output", TN_DTS_NUMBER | TN_DTS_COMPLEX | TN_DT(BOOL), 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_type *x = &f->in[0];
    const tn_expr *image, *block;
    tn_expr dim[TN_RANK_MAX] = {0};
    int64_t count, block_count;
    TN_CHECK(x->rank < 0 || x->rank == 3, TN_INVALID, "the input has rank %d, must have 3",
             x->rank);
    TN_CHECK(tn_dtype_kind_of(x->dtype) != TN_KIND_C, TN_UNSUPPORTED, "sums of %s",
             tn_dtype_name(x->dtype));
    bool known = tn_infer_exprs(f, 1, &image, &count);
    if (!known) count = tn_infer_length(f, 1);
    TN_CHECK(count <= TN_RANK_MAX - 2, TN_UNSUPPORTED, "an image of %lld axes is above %d",
             (long long)count, TN_RANK_MAX - 2);
    if (count < 0 || x->rank < 0) {
        tn_infer_set(f, 0, x->dtype, count < 0 ? -1 : (int)count + 2, dim);
        return NULL;
    }
    dim[0] = x->dim[0];
    for (int k = 0; known && k < count; k++) dim[2 + k] = image[k];
    if (tn_infer_exprs(f, 2, &block, &block_count)) {
        TN_CHECK(block_count == count, TN_INVALID,
                 "block_shape has %lld elements, image_shape %lld", (long long)block_count,
                 (long long)count);
        dim[1] = tn_expr_div(f->exprs, x->dim[1], tn_infer_product(f, block, 0, (int)count));
    }
    for (int k = 0; k < count + 2; k++)
        if (!dim[k]) dim[k] = tn_infer_fresh(f);
    tn_infer_set(f, 0, x->dtype, (int)count + 2, dim);
    return NULL;
}

static int64_t item(const tn_ints *list, int index, int64_t otherwise)
{
    return list->count > index ? list->at[index] : otherwise;
}

static void add_element(const tn_tensor *x, int64_t from, const tn_tensor *y, int64_t to)
{
    if (tn_dtype_kind_of(x->dtype) == TN_KIND_F) {
        double sum = tn_load_f64(y->dtype, y->data, to) + tn_load_f64(x->dtype, x->data, from);
        tn_store_f64(y->dtype, y->data, to, sum);
    } else {
        uint64_t sum = (uint64_t)tn_load_i64(y->dtype, y->data, to) +
                       (uint64_t)tn_load_i64(x->dtype, x->data, from);
        tn_store_i64(y->dtype, y->data, to, (int64_t)sum);
    }
}

typedef struct geometry {
    int rank;
    int64_t block[TN_RANK_MAX], blocks[TN_RANK_MAX]; /* of a block; how many along each axis */
} geometry;

static tn_status read_geometry(const tn_problem *p, geometry *g)
{
    const tn_col2im_params *params = p->params;
    const tn_tensor *x = &p->in[0], *block = &p->in[2], *y = &p->out[0];
    int64_t columns = 1, cells = 1;
    g->rank = y->rank - 2;
    TN_CHECK(tn_tensor_count(block) == g->rank, TN_INVALID,
             "block_shape has %lld elements for %d axes", (long long)tn_tensor_count(block),
             g->rank);
    for (int k = 0; k < g->rank; k++) {
        int64_t dilation = item(&params->dilations, k, 1), stride = item(&params->strides, k, 1);
        int64_t padded =
            y->dim[2 + k] + item(&params->pads, k, 0) + item(&params->pads, k + g->rank, 0);
        g->block[k] = tn_load_i64(block->dtype, block->data, k);
        TN_CHECK(g->block[k] > 0 && stride > 0 && dilation > 0 && g->block[k] <= INT32_MAX &&
                     dilation <= INT32_MAX,
                 TN_INVALID, "block, stride and dilation of axis %d must be positive", k);
        int64_t room = padded - dilation * (g->block[k] - 1) - 1;
        g->blocks[k] = room < 0 ? 0 : room / stride + 1;
        TN_CHECK(tn_mul_i64(columns, g->blocks[k], &columns) &&
                     tn_mul_i64(cells, g->block[k], &cells),
                 TN_INVALID, "a block or image is too large");
    }
    TN_CHECK(columns == x->dim[2] && cells * y->dim[1] == x->dim[1], TN_INVALID,
             "the input has %lld rows and %lld columns where the blocks make %lld and %lld",
             (long long)x->dim[1], (long long)x->dim[2], (long long)(cells * y->dim[1]),
             (long long)columns);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_col2im_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    geometry g = {0};
    int64_t step[TN_RANK_MAX];
    TN_TRY(read_geometry(p, &g));
    if (tn_tensor_count(y) > 0) memset(y->data, 0, (size_t)tn_tensor_bytes(y));
    if (tn_tensor_count(x) == 0) return NULL;
    tn_dense_steps(y->dim, y->rank, step);
    int64_t planes = y->dim[0] * y->dim[1], from = 0;
    for (int64_t plane = 0; plane < planes; plane++) {
        int64_t cell[TN_RANK_MAX] = {0};
        do {
            int64_t place[TN_RANK_MAX] = {0};
            do {
                int64_t to = plane * step[1];
                bool inside = true;
                for (int k = 0; k < g.rank; k++) {
                    int64_t at = place[k] * item(&params->strides, k, 1) +
                                 cell[k] * item(&params->dilations, k, 1) -
                                 item(&params->pads, k, 0);
                    inside = inside && at >= 0 && at < y->dim[2 + k];
                    to += at * step[2 + k];
                }
                if (inside) add_element(x, from, y, to);
                from++;
            } while (tn_index_next(place, g.blocks, g.rank));
        } while (tn_index_next(cell, g.block, g.rank));
    }
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "Col2Im f32[1,4,1]={1,2,3,4} i64[2]={2,2} i64[2]={2,2}",
     .expect = "f32[1,1,2,2]={1,2,3,4}"},
    {.problem = "Col2Im f32[1,2,2]={1,2,3,4} i64[1]={3} i64[1]={2}",
     .expect = "f32[1,1,3]={1,5,4}"},
    {.problem = "Col2Im{pads=[1,1,1,1]} f32[2,18,20] i64[2]={4,5} i64[2]={3,3}"},
    {0},
};

const tn_op tn_op_col2im = {
    .name = "Col2Im",
    .since = 18,
    .about = "columns of blocks added up into an image",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_col2im_params),
    .infer = infer,
    .reference = reference,
    .shape_inputs = 1 << 1,
    .cases = cases,
};
