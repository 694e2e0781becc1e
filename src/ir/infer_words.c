/* The words in which operators write their shape logic (op.h, "Inference"). */
#include <ctype.h>
#include <string.h>

#include "ir/op.h"

bool tn_infer_has(const tn_infer *f, int input)
{
    return input < f->in_count && f->in[input].dtype != TN_DTYPE_NONE;
}

/* An integer or bool tensor of rank 0 or 1 whose data is here. */
static bool has_ints(const tn_infer *f, int input, int64_t *count)
{
    const tn_tensor *data = f->data ? &f->data[input] : NULL;
    if (!data || data->rank > 1 || data->rank < 0) return false;
    tn_dtype_kind kind = tn_dtype_kind_of(data->dtype);
    if (kind != TN_KIND_I && kind != TN_KIND_U && kind != TN_KIND_B) return false;
    *count = tn_tensor_count(data);
    return data->data || *count == 0;
}

bool tn_infer_exprs(tn_infer *f, int input, const tn_expr **at, int64_t *count)
{
    if (!tn_infer_has(f, input)) return false;
    if (f->known && f->known[input].at) {
        *at = f->known[input].at;
        *count = f->known[input].count;
        return true;
    }
    int64_t found;
    if (!has_ints(f, input, &found) || found > TN_KNOWN_MAX) return false;
    tn_expr *exprs = TN_NEW_ARRAY(f->arena, tn_expr, found);
    if (!exprs) return false;
    for (int64_t i = 0; i < found; i++)
        exprs[i] =
            tn_expr_const(f->exprs, tn_load_i64(f->data[input].dtype, f->data[input].data, i));
    *at = exprs;
    *count = found;
    return true;
}

bool tn_infer_ints(tn_infer *f, int input, int64_t *at, int max, int *count)
{
    if (!tn_infer_has(f, input)) return false;
    int64_t found;
    const tn_expr *exprs;
    if (has_ints(f, input, &found)) {
        if (found > max) return false;
        for (int64_t i = 0; i < found; i++)
            at[i] = tn_load_i64(f->data[input].dtype, f->data[input].data, i);
    } else {
        if (!tn_infer_exprs(f, input, &exprs, &found) || found > max) return false;
        for (int64_t i = 0; i < found; i++)
            if (!tn_expr_is_const(f->exprs, exprs[i], &at[i])) return false;
    }
    *count = (int)found;
    return true;
}

int64_t tn_infer_length(const tn_infer *f, int input)
{
    int64_t length;
    if (!tn_infer_has(f, input) || f->in[input].rank != 1) return -1;
    return tn_expr_is_const(f->exprs, f->in[input].dim[0], &length) ? length : -1;
}

tn_status tn_infer_axis(const tn_infer *f, int64_t axis, int rank, int *out)
{
    (void)f;
    *out = tn_axis_normal(axis, rank);
    TN_CHECK(*out >= 0, TN_INVALID, "axis %lld is outside [%d, %d)", (long long)axis, -rank, rank);
    return NULL;
}

tn_status tn_infer_ranks(const tn_infer *f, const int *rank, int count, bool *known)
{
    char text[128];
    for (int i = 0; i < count; i++) {
        if (!tn_infer_has(f, i)) continue;
        const tn_type *t = &f->in[i];
        TN_CHECK(t->rank < 0 || rank[i] < 0 || t->rank == rank[i], TN_INVALID,
                 "%s must have %d axes, it is %s", f->op->in[i].name, rank[i],
                 tn_type_text(f->exprs, t, text, sizeof text));
        *known = *known && t->rank >= 0;
    }
    return NULL;
}

tn_status tn_infer_size(const tn_infer *f, int input, int axis, tn_expr want)
{
    const tn_type *t = &f->in[input];
    char text[128];
    int64_t have, size;
    if (!tn_infer_has(f, input) || t->rank < 0 ||
        !tn_expr_is_const(f->exprs, t->dim[axis], &have) ||
        !tn_expr_is_const(f->exprs, want, &size))
        return NULL;
    TN_CHECK(have == size, TN_INVALID, "%s is %s, axis %d must have %lld", f->op->in[input].name,
             tn_type_text(f->exprs, t, text, sizeof text), axis, (long long)size);
    return NULL;
}

/* The k-th call for a node gives the k-th symbol of an earlier inference, if there was one. */
tn_expr tn_infer_fresh(tn_infer *f)
{
    if (f->fresh_count < f->runtime_count) return f->runtime[f->fresh_count++];
    char base[64];
    size_t bytes = 0;
    for (const char *at = f->op ? f->op->name : "data"; *at && bytes + 1 < sizeof base; at++)
        base[bytes++] = (char)tolower((unsigned char)*at);
    base[bytes] = 0;
    tn_expr fresh = tn_expr_fresh(f->exprs, base);
    if (tn_arena_grow(f->arena, &f->runtime, f->runtime_count, &f->runtime_capacity,
                      f->runtime_count + 1, sizeof(tn_expr)))
        return TN_EXPR_NONE;
    f->runtime[f->runtime_count++] = fresh;
    f->fresh_count = f->runtime_count;
    return fresh;
}

void tn_infer_set(tn_infer *f, int index, tn_dtype dtype, int rank, const tn_expr *dim)
{
    f->out[index] = tn_type_of(dtype, rank, dim);
}

void tn_infer_same(tn_infer *f, int index, int input)
{
    f->out[index] = f->in[input];
}

void tn_infer_set_known(tn_infer *f, int index, const tn_expr *at, int64_t count)
{
    f->out_known[index] = (tn_known){0};
    if (count < 0 || count > TN_KNOWN_MAX) return;
    tn_expr *copy = TN_NEW_ARRAY(f->arena, tn_expr, count);
    if (!copy) return;
    if (count) memcpy(copy, at, (size_t)count * sizeof(tn_expr));
    f->out_known[index] = (tn_known){copy, count};
}

/* ---- Broadcasting
 * ------------------------------------------------------------------------------*/

/* One dim of two shapes. Returns false where they can never fit. A number other than 1 is the
 * answer whatever the other side is: a symbol must then turn out to be 1 or the same. */
static bool join_dims(tn_exprs *exprs, tn_expr a, tn_expr b, tn_expr *out)
{
    int64_t x, y;
    bool a_fixed = tn_expr_is_const(exprs, a, &x), b_fixed = tn_expr_is_const(exprs, b, &y);
    if (a_fixed && x == 1) *out = b;
    else if (b_fixed && y == 1) *out = a;
    else if (a_fixed && b_fixed && x != y) return false;
    else if (a_fixed) *out = a;
    else if (b_fixed) *out = b;
    else *out = tn_expr_broadcast(exprs, a, b);
    return true;
}

static tn_status fail_broadcast(const tn_infer *f, int first, int count)
{
    tn_text text = {0};
    for (int i = first; i < first + count && i < f->in_count; i++) {
        if (!tn_infer_has(f, i)) continue;
        if (text.bytes) tn_text_printf(&text, " and ");
        tn_type_print(f->exprs, &f->in[i], &text);
    }
    tn_status status = TN_ERROR(TN_INVALID, "the shapes %s cannot be broadcast together",
                                text.at && !text.failed ? text.at : "of its inputs");
    tn_text_fini(&text);
    return status;
}

tn_status tn_infer_broadcast(tn_infer *f, int first, int count, int *rank, tn_expr *dim)
{
    int top = 0;
    for (int i = first; i < first + count && i < f->in_count; i++) {
        if (!tn_infer_has(f, i)) continue;
        if (f->in[i].rank < 0) {
            *rank = -1;
            return NULL;
        }
        top = TN_MAX(top, f->in[i].rank);
    }
    *rank = top;
    for (int axis = 0; axis < top; axis++) dim[axis] = tn_expr_const(f->exprs, 1);
    for (int i = first; i < first + count && i < f->in_count; i++) {
        if (!tn_infer_has(f, i)) continue;
        const tn_type *type = &f->in[i];
        for (int k = 0; k < type->rank; k++) {
            int axis = top - type->rank + k;
            if (!join_dims(f->exprs, dim[axis], type->dim[k], &dim[axis]))
                return fail_broadcast(f, first, count);
        }
    }
    return NULL;
}
