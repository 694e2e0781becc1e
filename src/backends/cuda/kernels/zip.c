/* Operators of several inputs, element by element: the rows of ops/binary/binary.def, Where, and
 * the folds Sum, Mean, Min and Max. */
#include <stdio.h>
#include <string.h>

#include "backends/cuda/index.h"
#include "ops/binary/binary.h"

extern const tn_cuda_source tn_cuda_source_zip;

enum { THREADS = 256, FORM_BINARY = 0, FORM_SELECT, FORM_FOLD };

typedef struct operands { /* as the kernel takes them */
    const void *in[TN_CUDA_OPERANDS];
    void *y;
    uint32_t count;
    int32_t mode;
    tn_cuda_divider dim[TN_RANK_MAX];
    uint32_t step[TN_CUDA_OPERANDS][TN_RANK_MAX];
} operands;

/* What distinguishes one operator from another. */
typedef struct zip {
    const char *op, *wide, *out;        /* function and types */
    const char *type[TN_CUDA_OPERANDS]; /* of the operands */
    const tn_tensor *in[TN_CUDA_OPERANDS];
    int count, form, mode;
    bool divide, cut;
} zip;

/* Elements for each thread, as far as the innermost axis and the addresses go. */
static int vector_of(const zip *z, const tn_tensor *y, const tn_cuda_index *index, uint32_t last)
{
    size_t widest = tn_cuda_bytes(y);
    for (int k = 0; k < z->count; k++) widest = TN_MAX(widest, tn_cuda_bytes(z->in[k]));
    int vector = tn_cuda_vector_at(tn_cuda_vector(widest), y->data, tn_cuda_bytes(y));
    if (index->rank > 1) vector = tn_cuda_vector_dividing(vector, index->dim[index->rank - 1]);
    for (int k = 0; k < z->count; k++)
        if (last >> k & 1)
            vector = tn_cuda_vector_at(vector, z->in[k]->data, tn_cuda_bytes(z->in[k]));
    return vector;
}

static tn_status run(const tn_launch *l, const zip *z)
{
    const tn_tensor *y = &l->problem->out[0];
    operands args = {.y = y->data, .count = (uint32_t)tn_tensor_count(y), .mode = z->mode};
    tn_cuda_index index;
    uint32_t last = 0;
    char options[320];
    if (args.count == 0) return NULL;
    tn_cuda_index_broadcast(y, z->in, z->count, &index);
    int inner = index.rank - 1;
    for (int k = 0; k < z->count; k++) last |= (uint32_t)(index.step[k][inner] != 0) << k;
    int vector = vector_of(z, y, &index, last);
    for (int axis = 0; axis < index.rank; axis++) {
        bool innermost = axis == inner && axis > 0;
        args.dim[axis] = tn_cuda_divider_of(index.dim[axis] / (innermost ? vector : 1));
        for (int k = 0; k < z->count; k++)
            args.step[k][axis] = (uint32_t)(axis == inner ? (last >> k & 1) * (uint32_t)vector
                                                          : index.step[k][axis]);
    }
    for (int k = 0; k < z->count; k++) args.in[k] = z->in[k]->data;
    snprintf(options, sizeof options,
             "-DT0=%s -DT1=%s -DT2=%s -DTY=%s -DTW=%s -DVEC=%d -DRANK=%d -DCOUNT=%d -DLAST=%u "
             "-DFORM=%d -DDIVIDE=%d -DCUT=%d -DOP=op_%s",
             z->type[0], z->type[z->count > 1 ? 1 : 0], z->type[z->count > 2 ? 2 : 0], z->out,
             z->wide, vector, index.rank, z->count, last, z->form, z->divide, z->cut, z->op);
    return tn_cuda_run_plain(l, &tn_cuda_source_zip, "zip", options,
                             tn_cuda_blocks(args.count, (int64_t)THREADS * vector), THREADS,
                             (void *[]){&args});
}

/* ---- Two inputs ------------------------------------------------------------------------------*/

static tn_verdict accepts_binary(const tn_problem *p)
{
    if (!tn_cuda_type(p->in[0].dtype) || !tn_cuda_type(p->in[1].dtype))
        return TN_NO("kernels do not know the type");
    return tn_cuda_fits(p) ? TN_YES : TN_CUDA_TOO_LARGE;
}

/* Comparisons look at the sign; what only wraps is the same without one. */
static const char *wide_of(const tn_problem *p)
{
    tn_dtype a = p->in[0].dtype, b = p->in[1].dtype;
    if (a == b) return tn_cuda_wide(a);
    if (tn_cuda_is_float(a) || tn_cuda_is_float(b)) return "double";
    return tn_cuda_wide(b);
}

static tn_status launch_binary(const tn_launch *l, const char *row)
{
    const tn_problem *p = l->problem;
    const tn_binary_params *params = p->params_bytes >= sizeof(tn_binary_params) ? p->params : NULL;
    zip z = {.op = row,
             .wide = wide_of(p),
             .out = tn_cuda_type(p->out[0].dtype),
             .count = 2,
             .form = FORM_BINARY};
    if (params) z.mode = params->fmod != 0 || params->direction != 0;
    for (int k = 0; k < 2; k++) {
        z.in[k] = &p->in[k];
        z.type[k] = tn_cuda_type(p->in[k].dtype);
    }
    z.cut = !strcmp(z.wide, "double") && !tn_cuda_is_float(p->out[0].dtype) &&
            p->out[0].dtype != TN_DTYPE_BOOL;
    return run(l, &z);
}

/* ---- Where -----------------------------------------------------------------------------------*/

static tn_verdict accepts_where(const tn_problem *p)
{
    if (!tn_cuda_word_of(p->in[1].dtype)) return TN_NO("elements are not of 1, 2, 4 or 8 bytes");
    return tn_cuda_fits(p) ? TN_YES : TN_CUDA_TOO_LARGE;
}

static tn_status launch_where(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const char *word = tn_cuda_word_of(p->in[1].dtype);
    zip z = {.op = "add",
             .wide = word,
             .out = word,
             .type = {"uint8", word, word},
             .in = {&p->in[0], &p->in[1], &p->in[2]},
             .count = 3,
             .form = FORM_SELECT};
    return run(l, &z);
}

/* ---- Folds -----------------------------------------------------------------------------------*/

static tn_verdict accepts_fold(const tn_problem *p)
{
    if (p->in_count > TN_CUDA_OPERANDS) return TN_NO("there are more than 8 inputs");
    if (!tn_cuda_type(p->in[0].dtype)) return TN_NO("kernels do not know the type");
    return tn_cuda_fits(p) ? TN_YES : TN_CUDA_TOO_LARGE;
}

static tn_status launch_fold(const tn_launch *l, const char *op)
{
    const tn_problem *p = l->problem;
    const char *type = tn_cuda_type(p->in[0].dtype);
    zip z = {.op = op,
             .wide = tn_cuda_wide(p->in[0].dtype),
             .out = type,
             .count = p->in_count,
             .form = FORM_FOLD,
             .divide = !strcmp(op, "mean")};
    for (int k = 0; k < p->in_count; k++) {
        z.in[k] = &p->in[k];
        z.type[k] = type;
    }
    return run(l, &z);
}

static tn_status launch_sum(const tn_launch *l)
{
    return launch_fold(l, "sum");
}

static tn_status launch_mean(const tn_launch *l)
{
    return launch_fold(l, "mean");
}

static tn_status launch_min(const tn_launch *l)
{
    return launch_fold(l, "min");
}

static tn_status launch_max(const tn_launch *l)
{
    return launch_fold(l, "max");
}

/* ---- The list --------------------------------------------------------------------------------*/

#define ROW(c, title, opset, types_a, types_b, result, f, i, known, attributes, old, rule, text)   \
    static tn_status launch_##c(const tn_launch *l)                                                \
    {                                                                                              \
        return launch_binary(l, #c);                                                               \
    }
#include "ops/binary/binary.def"
#undef ROW

#define TACTIC(c, title, accepts_it)                                                               \
    {                                                                                              \
        .name = "cuda." #c ".any.broadcast",                                                       \
        .op = title,                                                                               \
        .revision = 1,                                                                             \
        .needs = TN_SM75,                                                                          \
        .accepts = accepts_it,                                                                     \
        .launch = launch_##c,                                                                      \
    },
#define ROW(c, title, opset, types_a, types_b, result, f, i, known, attributes, old, rule, text)   \
    TACTIC(c, title, accepts_binary)

extern const tn_tactic tn_cuda_zip[];
const tn_tactic tn_cuda_zip[] = {
#include "ops/binary/binary.def"
    TACTIC(where, "Where", accepts_where) TACTIC(sum, "Sum", accepts_fold)
        TACTIC(mean, "Mean", accepts_fold) TACTIC(min, "Min", accepts_fold)
            TACTIC(max, "Max", accepts_fold){0},
};
