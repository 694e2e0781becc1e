/* RotaryEmbedding-23: pairs of a head's elements turned by an angle that depends on the position.
 *
 *     y1 = cos * x1 - sin * x2        x1, x2: element k of the first and second half of what is
 * turned, y2 = sin * x1 + cos * x2        or elements 2k and 2k+1 if interleaved
 *
 * X is [B, H, S, D] or [B, S, H * D]. Only the first rotary_embedding_dim elements of a head turn.
 * The caches are [positions, R/2], read by position_ids [B, S], or [B, S, R/2] without them. */
#include "ops/rotary_embedding/rotary_embedding.h"

#include "ops/moving.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {
    TN_INT(tn_rotary_embedding_params, interleaved, 0),
    TN_INT(tn_rotary_embedding_params, num_heads, 0),
    TN_INT(tn_rotary_embedding_params, rotary_embedding_dim, 0),
};
static const tn_port ins[] = {
    {"X", TN_DTS_FLOAT, 'T', 0},
    {"cos_cache", TN_DTS_FLOAT, 'T', 0},
    {"sin_cache", TN_DTS_FLOAT, 'T', 0},
    {"position_ids", TN_DT(I64), 0, TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

static tn_status lower(const tn_node *node, void *params_out)
{
    const tn_rotary_embedding_params *params = params_out;
    (void)node;
    TN_CHECK(params->num_heads >= 0, TN_INVALID, "num_heads is %lld", (long long)params->num_heads);
    TN_CHECK(params->rotary_embedding_dim >= 0 && params->rotary_embedding_dim % 2 == 0, TN_INVALID,
             "rotary_embedding_dim is %lld; it must be even",
             (long long)params->rotary_embedding_dim);
    return NULL;
}

static tn_status check_cache(tn_infer *f, int input, int64_t half)
{
    const tn_type *cache = &f->in[input];
    char text[128];
    int64_t width;
    int want = tn_infer_has(f, 3) ? 2 : 3;
    TN_CHECK(cache->rank < 0 || cache->rank == want, TN_INVALID, "%s must have %d axes: it is %s",
             f->op->in[input].name, want, tn_type_text(f->exprs, cache, text, sizeof text));
    const tn_type *x = &f->in[0], *other = &f->in[3 - input];
    int64_t have, need;
    int rows = x->rank == 3 ? 1 : 2;
    /* Caches agree with each other, and with X where they lie beside it. */
    for (int i = 0; i < want - 1 && cache->rank == want; i++) {
        tn_expr like = want == 3             ? x->dim[i == 0 ? 0 : rows]
                       : other->rank == want ? other->dim[i]
                                             : TN_EXPR_NONE;
        if (tn_expr_is_const(f->exprs, cache->dim[i], &have) &&
            tn_expr_is_const(f->exprs, like, &need))
            TN_CHECK(have == need, TN_INVALID, "dim %d of %s must be %lld: it is %s", i,
                     f->op->in[input].name, (long long)need,
                     tn_type_text(f->exprs, cache, text, sizeof text));
    }
    if (half >= 0 && cache->rank > 0 &&
        tn_expr_is_const(f->exprs, cache->dim[cache->rank - 1], &width))
        TN_CHECK(width == half, TN_INVALID, "%s must have %lld columns: it is %s",
                 f->op->in[input].name, (long long)half,
                 tn_type_text(f->exprs, cache, text, sizeof text));
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_rotary_embedding_params *params = f->params;
    const tn_type *x = &f->in[0];
    char text[128];
    int64_t width, turned = params->rotary_embedding_dim ? params->rotary_embedding_dim : -1;
    tn_infer_same(f, 0, 0);
    if (x->rank < 0) return NULL;
    TN_CHECK(x->rank == 4 || (x->rank == 3 && params->num_heads > 0), TN_INVALID,
             "X must have 4 axes, or 3 and num_heads: X is %s, num_heads %lld",
             tn_type_text(f->exprs, x, text, sizeof text), (long long)params->num_heads);
    if (tn_expr_is_const(f->exprs, x->dim[x->rank - 1], &width)) {
        int64_t heads = x->rank == 3 ? params->num_heads : 1, head = width / heads;
        TN_CHECK(width % heads == 0 && turned <= head && (turned > 0 || head % 2 == 0), TN_INVALID,
                 "X is %s: heads must be of even size and hold the %lld elements that turn",
                 tn_type_text(f->exprs, x, text, sizeof text), (long long)turned);
        if (turned < 0) turned = head;
    }
    TN_TRY(check_cache(f, 1, turned < 0 ? -1 : turned / 2));
    return check_cache(f, 2, turned < 0 ? -1 : turned / 2);
}

static void turn(const tn_problem *p, int64_t at, int64_t cache_at, int64_t half)
{
    const tn_rotary_embedding_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    for (int64_t k = 0; k < half; k++) {
        int64_t first = at + (params->interleaved ? 2 * k : k);
        int64_t second = first + (params->interleaved ? 1 : half);
        double x1 = tn_load_f64(x->dtype, x->data, first),
               x2 = tn_load_f64(x->dtype, x->data, second);
        double cosine = tn_load_f64(p->in[1].dtype, p->in[1].data, cache_at + k);
        double sine = tn_load_f64(p->in[2].dtype, p->in[2].data, cache_at + k);
        tn_store_f64(y->dtype, y->data, first, cosine * x1 - sine * x2);
        tn_store_f64(y->dtype, y->data, second, sine * x1 + cosine * x2);
    }
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_rotary_embedding_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0], *ids = tn_wide_has(p, 3) ? &p->in[3] : NULL;
    bool flat = x->rank == 3;
    int64_t batch = x->dim[0], heads = flat ? params->num_heads : x->dim[1];
    int64_t rows = x->dim[flat ? 1 : 2], head = flat ? x->dim[2] / heads : x->dim[3];
    int64_t half = (params->rotary_embedding_dim ? params->rotary_embedding_dim : head) / 2;
    TN_CHECK(!ids || tn_tensor_count(ids) == batch * rows, TN_INVALID,
             "position_ids has %lld elements for %lld rows", (long long)tn_tensor_count(ids),
             (long long)(batch * rows));
    for (int64_t b = 0; b < batch; b++) {
        for (int64_t s = 0; s < rows; s++) {
            int64_t place = b * rows + s;
            if (ids) TN_TRY(tn_index_load(ids, place, p->in[1].dim[0], 0, &place));
            for (int64_t h = 0; h < heads; h++) {
                int64_t at =
                    (flat ? (b * rows + s) * heads + h : (b * heads + h) * rows + s) * head;
                turn(p, at, place * half, half);
                tn_copy_elements(x->dtype, y->data, at + 2 * half, x->data, at + 2 * half,
                                 head - 2 * half);
            }
        }
    }
    return NULL;
}

static const tn_case cases[] = {
    /* A quarter turn takes (x1, x2) to (-x2, x1). */
    {.problem = "RotaryEmbedding f32[1,1,1,4]={1,2,3,4} f32[1,1,2]={0,0} f32[1,1,2]={1,1}",
     .expect = "f32[1,1,1,4]={-3,-4,1,2}"},
    {.problem =
         "RotaryEmbedding{interleaved=1} f32[1,1,1,4]={1,2,3,4} f32[1,1,2]={0,0} f32[1,1,2]={1,1}",
     .expect = "f32[1,1,1,4]={-2,1,-4,3}"},
    /* Two heads in one row, positions from ids, the last two elements of a head stay. */
    {.problem =
         "RotaryEmbedding{num_heads=2, rotary_embedding_dim=2} f32[1,2,8]={1,2,3,4,5,6,7,8,1,2,3,4,"
         "5,6,7,8} f32[2,1]={1,0} f32[2,1]={0,1} i64[1,2]={1,0}",
     .expect = "f32[1,2,8]={-2,1,3,4,-6,5,7,8,1,2,3,4,5,6,7,8}"},
    {.problem = "RotaryEmbedding f32[2,4,3,8] f32[50,4] f32[50,4] i64[2,3]"},
    {.problem = "RotaryEmbedding{interleaved=1} f16[2,4,3,8] f16[2,3,4] f16[2,3,4]"},
    {0},
};

const tn_op tn_op_rotary_embedding = {
    .name = "RotaryEmbedding",
    .since = 23,
    .about = "pairs of elements of each head turned by the angle of their position",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_rotary_embedding_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .cases = cases,
};
