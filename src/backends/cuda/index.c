#include "backends/cuda/index.h"

tn_cuda_divider tn_cuda_divider_of(int64_t by)
{
    uint32_t shift = 0;
    if (by < 1) by = 1;
    while (shift < 31 && (INT64_C(1) << shift) < by) shift++;
    uint64_t multiply =
        ((UINT64_C(1) << 32) * ((UINT64_C(1) << shift) - (uint64_t)by)) / (uint64_t)by + 1;
    return (tn_cuda_divider){.by = (uint32_t)by, .multiply = (uint32_t)multiply, .shift = shift};
}

void tn_cuda_dense_steps(const int64_t *dim, int rank, int64_t *step)
{
    int64_t next = 1;
    for (int axis = rank - 1; axis >= 0; axis--) {
        step[axis] = next;
        next *= dim[axis];
    }
}

void tn_cuda_index_broadcast(const tn_tensor *y, const tn_tensor *const *operands, int count,
                             tn_cuda_index *out)
{
    *out = (tn_cuda_index){.rank = y->rank, .operand_count = count};
    for (int axis = 0; axis < y->rank; axis++) out->dim[axis] = y->dim[axis];
    for (int k = 0; k < count; k++) {
        const tn_tensor *t = operands[k];
        int64_t step[TN_RANK_MAX];
        tn_cuda_dense_steps(t->dim, t->rank, step);
        for (int axis = 0; axis < t->rank; axis++) {
            int at = y->rank - t->rank + axis;
            if (at >= 0) out->step[k][at] = t->dim[axis] == 1 ? 0 : step[axis];
        }
    }
    tn_cuda_index_join(out);
}

/* Is one step of the axis above as long as all of this axis, for every operand? */
static bool runs_on(const tn_cuda_index *index, int above, int axis)
{
    for (int k = 0; k < index->operand_count; k++)
        if (index->step[k][above] != index->step[k][axis] * index->dim[axis]) return false;
    return true;
}

void tn_cuda_index_join(tn_cuda_index *index)
{
    int kept = 0;
    for (int axis = 0; axis < index->rank; axis++) {
        if (index->dim[axis] == 1) continue;
        bool joins = kept > 0 && runs_on(index, kept - 1, axis);
        if (!joins) kept++;
        index->dim[kept - 1] = joins ? index->dim[kept - 1] * index->dim[axis] : index->dim[axis];
        for (int k = 0; k < index->operand_count; k++)
            index->step[k][kept - 1] = index->step[k][axis];
    }
    if (kept == 0) {
        kept = 1;
        index->dim[0] = 1;
        for (int k = 0; k < index->operand_count; k++) index->step[k][0] = 0;
    }
    index->rank = kept;
}

bool tn_cuda_fits(const tn_problem *p)
{
    for (int i = 0; i < p->in_count; i++)
        if (tn_cuda_has(p, i) && tn_tensor_count(&p->in[i]) > INT32_MAX) return false;
    for (int i = 0; i < p->out_count; i++)
        if (p->out[i].dtype && tn_tensor_count(&p->out[i]) > INT32_MAX) return false;
    return true;
}

int tn_cuda_vector(size_t element_bytes)
{
    return element_bytes >= 16 ? 1 : (int)(16 / (element_bytes ? element_bytes : 16));
}

int tn_cuda_vector_dividing(int vector, int64_t count)
{
    while (vector > 1 && count % vector) vector /= 2;
    return vector;
}

int tn_cuda_vector_at(int vector, const void *at, size_t element_bytes)
{
    while (vector > 1 && (uintptr_t)at % TN_MIN((size_t)vector * element_bytes, 16)) vector /= 2;
    return vector;
}

const char *tn_cuda_wide(tn_dtype dtype)
{
    switch (tn_dtype_kind_of(dtype)) {
    case TN_KIND_F: return dtype == TN_DTYPE_F64 ? "double" : "float";
    case TN_KIND_I: return "int64";
    case TN_KIND_U:
    case TN_KIND_B: return "uint64";
    default: return NULL;
    }
}

const char *tn_cuda_word(size_t element_bytes)
{
    switch (element_bytes) {
    case 1: return "uint8";
    case 2: return "uint16";
    case 4: return "uint32";
    case 8: return "uint64";
    default: return NULL;
    }
}

const char *tn_cuda_word_of(tn_dtype dtype)
{
    int bits = tn_dtype_bits(dtype);
    return dtype == TN_DTYPE_STRING || bits % 8 ? NULL : tn_cuda_word((size_t)bits / 8);
}
