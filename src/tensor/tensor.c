/* Making, walking, copying and comparing tensors. Every walk over two views goes through `pair`. */
#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

/* ---- Shape and size --------------------------------------------------------------------------*/

void tn_tensor_set_dense(tn_tensor *t)
{
    int64_t stride = 1;
    for (int axis = t->rank - 1; axis >= 0; axis--) {
        t->stride[axis] = stride;
        /* A product that overflows is refused by whoever asks for the count. */
        if (!tn_mul_i64(stride, t->dim[axis], &stride)) stride = 0;
    }
}

tn_tensor tn_tensor_of(tn_dtype dtype, const int64_t *dim, int rank, void *data)
{
    tn_tensor t = {0};
    if (rank < 0 || rank > TN_RANK_MAX || !tn_dtype_valid((int)dtype)) return t;
    t.data = data;
    t.dtype = dtype;
    t.rank = rank;
    for (int axis = 0; axis < rank; axis++) t.dim[axis] = dim[axis];
    tn_tensor_set_dense(&t);
    return t;
}

int64_t tn_tensor_count(const tn_tensor *tensor)
{
    int64_t count = 1;
    bool empty = false;
    for (int axis = 0; axis < tensor->rank; axis++) {
        if (tensor->dim[axis] < 0) return -1;
        if (tensor->dim[axis] == 0) empty = true;
        else if (!tn_mul_i64(count, tensor->dim[axis], &count)) return -1;
    }
    if (count > INT64_MAX / 16) return -1; /* of the widest type, no bytes that fit */
    return empty ? 0 : count;
}

int64_t tn_tensor_bytes(const tn_tensor *tensor)
{
    return tn_dtype_bytes(tensor->dtype, tn_tensor_count(tensor));
}

int64_t tn_dims_product(const int64_t *dim, int begin, int end)
{
    uint64_t product = 1;
    for (int axis = begin; axis < end; axis++) product *= (uint64_t)dim[axis];
    return (int64_t)product;
}

int tn_axis_normal(int64_t axis, int rank)
{
    if (axis < -rank || axis >= rank) return -1;
    return (int)(axis < 0 ? axis + rank : axis);
}

bool tn_tensor_same_shape(const tn_tensor *a, const tn_tensor *b)
{
    if (a->rank != b->rank) return false;
    for (int axis = 0; axis < a->rank; axis++)
        if (a->dim[axis] != b->dim[axis]) return false;
    return true;
}

static bool has_no_strides(const tn_tensor *t)
{
    for (int axis = 0; axis < t->rank; axis++)
        if (t->stride[axis]) return false;
    return true;
}

bool tn_tensor_is_dense(const tn_tensor *t)
{
    int64_t stride = 1;
    if (has_no_strides(t) || tn_tensor_count(t) == 0) return true;
    for (int axis = t->rank - 1; axis >= 0; axis--) {
        if (t->dim[axis] == 1) continue; /* its stride is never used */
        if (t->stride[axis] != stride) return false;
        if (!tn_mul_i64(stride, t->dim[axis], &stride)) return false;
    }
    return true;
}

/* ---- Making ----------------------------------------------------------------------------------*/

/* Bytes of an owned block. One byte at least, so that an empty tensor has data too. Characters
 * count only where they lie in the block: elements of a user may point anywhere. */
static size_t owned_bytes(const tn_tensor *t)
{
    size_t bytes = (size_t)tn_tensor_bytes(t);
    if (t->dtype == TN_DTYPE_STRING) {
        const tn_string *element = t->data;
        int64_t count = tn_tensor_count(t);
        for (int64_t i = 0; i < count; i++)
            if (element[i].text == (const char *)t->data + bytes) bytes += element[i].bytes;
    }
    return TN_MAX(bytes, 1);
}

static tn_status make(tn_dtype dtype, const int64_t *dim, int rank, size_t extra, tn_tensor *out)
{
    memset(out, 0, sizeof *out);
    TN_CHECK(rank >= 0 && rank <= TN_RANK_MAX, TN_INVALID,
             "a tensor of rank %d: 0 to %d is allowed", rank, TN_RANK_MAX);
    TN_CHECK(tn_dtype_valid((int)dtype), TN_INVALID, "%d is not a data type", (int)dtype);
    tn_tensor t = tn_tensor_of(dtype, dim, rank, NULL);
    char text[160];
    int64_t bytes = tn_tensor_bytes(&t);
    TN_CHECK(bytes >= 0, TN_INVALID, "%s: a negative dim, or more elements than memory can address",
             tn_tensor_type_text(&t, text, sizeof text));
    size_t total;
    TN_CHECK(tn_add_size((size_t)bytes, extra, &total), TN_INVALID, "a string tensor too large");
    t.data = tn_alloc_zero(TN_MAX(total, 1));
    TN_CHECK(t.data, TN_OUT_OF_MEMORY, "no memory for %s",
             tn_tensor_type_text(&t, text, sizeof text));
    *out = t;
    return NULL;
}

tn_status tn_tensor_new(tn_dtype dtype, const int64_t *dim, int rank, tn_tensor *out)
{
    TN_TRY(make(dtype, dim, rank, 0, out));
    return NULL;
}

tn_status tn_tensor_new_strings(const int64_t *dim, int rank, const tn_string *src, tn_tensor *out)
{
    tn_tensor shape = tn_tensor_of(TN_DTYPE_STRING, dim, rank, NULL);
    int64_t count = tn_tensor_count(&shape);
    size_t chars = 0;
    for (int64_t i = 0; i < count; i++)
        TN_CHECK(tn_add_size(chars, src[i].bytes, &chars), TN_INVALID, "a string tensor too large");
    TN_TRY(make(TN_DTYPE_STRING, dim, rank, chars, out));
    tn_string *element = out->data;
    char *at = (char *)out->data + tn_tensor_bytes(out);
    for (int64_t i = 0; i < count; i++) {
        element[i] = (tn_string){at, src[i].bytes};
        if (src[i].bytes) memcpy(at, src[i].text, src[i].bytes);
        at += src[i].bytes;
    }
    return NULL;
}

void tn_tensor_free(tn_tensor *tensor)
{
    if (!tensor) return;
    if (tensor->data) tn_free(tensor->data, owned_bytes(tensor));
    memset(tensor, 0, sizeof *tensor);
}

/* ---- Two views in step -----------------------------------------------------------------------*/

/* Both views are walked in row-major order as runs of `run` elements that are `step` apart; axes
 * that are dense in both have been joined into the run. */
typedef struct pair {
    int64_t run, step[2], at[2];
    int64_t outer; /* runs left */
    int rank;
    int64_t dim[TN_RANK_MAX], stride[2][TN_RANK_MAX], index[TN_RANK_MAX];
} pair;

/* Memory and strides of a view must be usable: packed types dense, offsets within int64. */
static tn_status check_view(const tn_tensor *t, const char *role)
{
    char text[160];
    int64_t count = tn_tensor_count(t), reach = 0;
    tn_tensor_type_text(t, text, sizeof text);
    TN_CHECK(tn_dtype_valid((int)t->dtype), TN_INVALID, "the %s has no data type", role);
    TN_CHECK(t->rank >= 0 && t->rank <= TN_RANK_MAX, TN_INVALID,
             "the %s has rank %d: 0 to %d is "
             "allowed",
             role, (int)t->rank, TN_RANK_MAX);
    TN_CHECK(tn_tensor_bytes(t) >= 0, TN_INVALID, "the %s %s has impossible dims", role, text);
    TN_CHECK(t->data || count == 0, TN_INVALID, "the %s %s has no data", role, text);
    TN_CHECK(tn_dtype_bits(t->dtype) >= 8 || tn_tensor_is_dense(t), TN_INVALID,
             "the %s %s has strides: types below 8 bits must be dense", role, text);
    for (int axis = 0; axis < t->rank && count > 0; axis++) {
        int64_t far = t->stride[axis];
        bool fits = far != INT64_MIN && tn_mul_i64(far < 0 ? -far : far, t->dim[axis] - 1, &far) &&
                    !__builtin_add_overflow(reach, far, &reach) && reach <= INT64_MAX / 16;
        TN_CHECK(fits, TN_INVALID, "the %s %s has stride %lld on axis %d: out of range", role, text,
                 (long long)t->stride[axis], axis);
    }
    return NULL;
}

static tn_status pair_init(pair *p, const tn_tensor *a, const tn_tensor *b)
{
    tn_tensor view[2] = {*a, *b};
    char text[2][160];
    TN_TRY(check_view(a, "source"));
    TN_TRY(check_view(b, "destination"));
    TN_CHECK(tn_tensor_same_shape(a, b), TN_INVALID, "shapes differ: %s and %s",
             tn_tensor_type_text(a, text[0], sizeof text[0]),
             tn_tensor_type_text(b, text[1], sizeof text[1]));
    for (int k = 0; k < 2; k++)
        if (has_no_strides(&view[k])) tn_tensor_set_dense(&view[k]);
    *p = (pair){.run = 1, .step = {1, 1}, .outer = 1};
    int axis = a->rank - 1;
    for (; axis >= 0; axis--) { /* join dense axes */
        if (a->dim[axis] != 1 && (view[0].stride[axis] != p->run || view[1].stride[axis] != p->run))
            break;
        p->run *= a->dim[axis];
    }
    if (p->run == 1 && axis >= 0) { /* nothing dense: the run is the innermost axis */
        p->run = a->dim[axis];
        for (int k = 0; k < 2; k++) p->step[k] = view[k].stride[axis];
        axis--;
    }
    for (int i = 0; i <= axis; i++) {
        p->dim[i] = a->dim[i];
        for (int k = 0; k < 2; k++) p->stride[k][i] = view[k].stride[i];
        p->outer *= a->dim[i];
    }
    p->rank = axis + 1;
    if (tn_tensor_count(a) == 0) p->outer = 0;
    return NULL;
}

static void pair_next(pair *p)
{
    p->outer--;
    for (int axis = p->rank - 1; axis >= 0; axis--) {
        for (int k = 0; k < 2; k++) p->at[k] += p->stride[k][axis];
        if (++p->index[axis] < p->dim[axis]) return;
        for (int k = 0; k < 2; k++) p->at[k] -= p->stride[k][axis] * p->dim[axis];
        p->index[axis] = 0;
    }
}

tn_status tn_tensor_convert(const tn_tensor *src, const tn_tensor *dst)
{
    pair p;
    TN_TRY(pair_init(&p, src, dst));
    TN_CHECK(src->dtype == dst->dtype ||
                 (src->dtype != TN_DTYPE_STRING && dst->dtype != TN_DTYPE_STRING),
             TN_UNSUPPORTED, "%s cannot be converted to %s here", tn_dtype_name(src->dtype),
             tn_dtype_name(dst->dtype));
    bool dense = p.step[0] == 1 && p.step[1] == 1;
    int64_t times = dense ? 1 : p.run, count = dense ? p.run : 1;
    for (; p.outer; pair_next(&p))
        for (int64_t i = 0; i < times; i++)
            tn_convert_elements(dst->dtype, dst->data, p.at[1] + i * p.step[1], src->dtype,
                                src->data, p.at[0] + i * p.step[0], count);
    return NULL;
}

tn_status tn_tensor_copy(const tn_tensor *src, const tn_tensor *dst)
{
    TN_CHECK(src->dtype == dst->dtype, TN_INVALID, "a copy from %s to %s: the types must be equal",
             tn_dtype_name(src->dtype), tn_dtype_name(dst->dtype));
    TN_TRY(tn_tensor_convert(src, dst));
    return NULL;
}

tn_status tn_walk_init(tn_walk *walk, const tn_tensor *out, const tn_tensor *const *operands,
                       int operand_count)
{
    char text[2][160];
    TN_CHECK(operand_count >= 0 && operand_count <= TN_WALK_MAX, TN_INTERNAL,
             "a walk over %d operands", operand_count);
    memset(walk, 0, sizeof *walk);
    walk->count = tn_tensor_count(out);
    walk->rank = out->rank;
    walk->operand_count = operand_count;
    for (int axis = 0; axis < out->rank; axis++) walk->dim[axis] = out->dim[axis];
    for (int k = 0; k < operand_count; k++) {
        const tn_tensor *t = operands[k];
        int shift = out->rank - t->rank;
        int64_t step = 1;
        bool fits = shift >= 0;
        for (int axis = t->rank - 1; fits && axis >= 0; axis--) {
            fits = t->dim[axis] == 1 || t->dim[axis] == out->dim[axis + shift];
            walk->step[k][axis + shift] = t->dim[axis] == 1 ? 0 : step;
            step *= t->dim[axis];
        }
        TN_CHECK(fits, TN_INVALID, "%s does not broadcast to %s",
                 tn_tensor_type_text(t, text[0], sizeof text[0]),
                 tn_tensor_type_text(out, text[1], sizeof text[1]));
    }
    return NULL;
}

/* ---- Random values ---------------------------------------------------------------------------*/

/* splitmix64 of the element's number: any element can be made alone, in any order. */
static uint64_t random_bits(uint64_t seed, uint64_t index)
{
    uint64_t z = seed * UINT64_C(0xd1342543de82ef95) + (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* floor(bits / 2^64 * span): by halves, as there is no 128-bit type in C17. */
static uint64_t scale_bits(uint64_t bits, uint64_t span)
{
    uint64_t low = (bits & UINT32_MAX) * (span & UINT32_MAX);
    uint64_t mid = (bits >> 32) * (span & UINT32_MAX) + (low >> 32);
    uint64_t mid2 = (bits & UINT32_MAX) * (span >> 32) + (mid & UINT32_MAX);
    return (bits >> 32) * (span >> 32) + (mid >> 32) + (mid2 >> 32);
}

static void fill_floats(const tn_tensor *t, int64_t count, uint64_t seed, double lo, double hi)
{
    bool is_complex = tn_dtype_kind_of(t->dtype) == TN_KIND_C;
    tn_dtype part = t->dtype == TN_DTYPE_C64    ? TN_DTYPE_F32
                    : t->dtype == TN_DTYPE_C128 ? TN_DTYPE_F64
                                                : t->dtype;
    for (int64_t i = 0; i < (is_complex ? 2 * count : count); i++) {
        double unit = (double)(random_bits(seed, (uint64_t)i) >> 11) * 0x1p-53;
        tn_store_f64(part, t->data, i, lo + unit * (hi - lo));
        /* Rounding to a narrow type may reach hi, which is outside. */
        if (tn_load_f64(part, t->data, i) >= hi) tn_store_f64(part, t->data, i, lo);
    }
}

tn_status tn_tensor_fill_random(tn_tensor *tensor, uint64_t seed, double lo, double hi)
{
    tn_dtype_kind kind = tn_dtype_kind_of(tensor->dtype);
    TN_TRY(check_view(tensor, "tensor"));
    TN_CHECK(tn_tensor_is_dense(tensor), TN_INVALID, "random values need a dense tensor");
    TN_CHECK(kind != TN_KIND_S, TN_UNSUPPORTED, "there are no random strings");
    TN_CHECK(isfinite(lo) && isfinite(hi) && isfinite(hi - lo) && lo <= hi, TN_INVALID,
             "random values from [%g, %g): give finite bounds in rising order", lo, hi);
    int64_t count = tn_tensor_count(tensor);
    if (kind == TN_KIND_F || kind == TN_KIND_C) {
        fill_floats(tensor, count, seed, lo, hi);
        return NULL;
    }
    if (kind == TN_KIND_B) {
        for (int64_t i = 0; i < count; i++) {
            uint64_t bits = random_bits(seed, (uint64_t)i);
            tn_store_i64(tensor->dtype, tensor->data, i, (int64_t)(bits >> 63));
        }
        return NULL;
    }
    TN_CHECK(lo >= -0x1p63 && lo < 0x1p63 && hi <= 0x1p63, TN_INVALID,
             "random integers from [%g, %g): outside i64", lo, hi);
    uint64_t first = (uint64_t)(int64_t)ceil(lo);
    uint64_t last = hi > 0x1.fffffffffffffp62 ? UINT64_C(1) << 63 : (uint64_t)(int64_t)ceil(hi);
    uint64_t span = last - first;
    bool all = lo == -0x1p63 && hi == 0x1p63; /* a span of 2^64 does not fit */
    for (int64_t i = 0; i < count; i++) {
        uint64_t bits = random_bits(seed, (uint64_t)i);
        uint64_t value = first + (all ? bits : scale_bits(bits, span));
        tn_store_i64(tensor->dtype, tensor->data, i, (int64_t)value);
    }
    return NULL;
}

/* ---- Comparing -------------------------------------------------------------------------------*/

/* |got - want| and |want| of one element; the distance is infinite where nothing could excuse it.
 */
static double distance(tn_dtype dtype, const void *got, int64_t g, const void *want, int64_t w,
                       double *size)
{
    tn_dtype_kind kind = tn_dtype_kind_of(dtype);
    if (kind == TN_KIND_S) {
        const tn_string *a = (const tn_string *)got + g, *b = (const tn_string *)want + w;
        *size = 1;
        return a->bytes == b->bytes && (!a->bytes || !memcmp(a->text, b->text, a->bytes)) ? 0 : 1;
    }
    if (kind == TN_KIND_C) {
        tn_dtype part = dtype == TN_DTYPE_C64 ? TN_DTYPE_F32 : TN_DTYPE_F64;
        double size_im, re = distance(part, got, 2 * g, want, 2 * w, size);
        double im = distance(part, got, 2 * g + 1, want, 2 * w + 1, &size_im);
        *size = hypot(*size, size_im);
        return hypot(re, im);
    }
    if (kind != TN_KIND_F) {
        int64_t a = tn_load_i64(dtype, got, g), b = tn_load_i64(dtype, want, w);
        bool above = dtype == TN_DTYPE_U64 ? (uint64_t)a > (uint64_t)b : a > b;
        *size = fabs(tn_load_f64(dtype, want, w));
        return (double)(above ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a);
    }
    double a = tn_load_f64(dtype, got, g), b = tn_load_f64(dtype, want, w);
    *size = isfinite(b) ? fabs(b) : 0;
    if (a == b || (isnan(a) && isnan(b))) return 0;
    return isfinite(a) && isfinite(b) ? fabs(a - b) : INFINITY;
}

tn_status tn_tensor_compare(const tn_tensor *got, const tn_tensor *want, double rtol, double atol,
                            tn_difference *out)
{
    char text[2][160];
    pair p;
    *out = (tn_difference){.worst_index = -1};
    TN_CHECK(got->dtype == want->dtype && tn_tensor_same_shape(got, want), TN_INVALID,
             "%s cannot be compared with %s", tn_tensor_type_text(got, text[0], sizeof text[0]),
             tn_tensor_type_text(want, text[1], sizeof text[1]));
    TN_TRY(pair_init(&p, got, want));
    bool exact = got->dtype == TN_DTYPE_STRING;
    long double error = 0, norm = 0; /* of squares: wide enough for every f64 */
    double worst = -INFINITY;
    int64_t row = 0;
    for (; p.outer; pair_next(&p)) {
        for (int64_t i = 0; i < p.run; i++, row++) {
            double size, far = distance(got->dtype, got->data, p.at[0] + i * p.step[0], want->data,
                                        p.at[1] + i * p.step[1], &size);
            double allowed = exact ? 0 : atol + rtol * size, excess = far - allowed;
            if (isinf(far)) excess = INFINITY;
            out->beyond_count += excess > 0;
            out->abs_max = fmax(out->abs_max, far);
            if (excess > worst) {
                worst = excess;
                out->worst_index = row;
            }
            error += (long double)far * far;
            norm += (long double)size * size;
        }
    }
    if (error > 0) out->rel_l2 = norm > 0 ? (double)sqrtl(error / norm) : INFINITY;
    return NULL;
}
