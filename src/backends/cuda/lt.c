/* cuBLASLt: opening it, and products by its algorithms. */
#include "backends/cuda/lt.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"

/* ---- The library -----------------------------------------------------------------------------*/

static struct {
    tn_lt calls;
    size_t (*version)(void);
    bool usable;
    char why[200];
    pthread_once_t once;
} lt = {.once = PTHREAD_ONCE_INIT};

static void open_library(void)
{
#define ROW(member, name, parameters) {name, offsetof(tn_lt, member)},
    static const tn_cuda_symbol rows[] = {TN_LT_CALLS(ROW)};
#undef ROW
    static const char *const versions[] = {"13", "12", NULL};
    void *library = tn_cuda_library("libcublasLt.so", versions);
    if (!library) {
        snprintf(lt.why, sizeof lt.why, "cuBLASLt was not found (libcublasLt.so.13 or .12)");
        return;
    }
    const char *missing = tn_cuda_fill(library, rows, TN_COUNT(rows), &lt.calls);
    if (missing) snprintf(lt.why, sizeof lt.why, "cuBLASLt is too old: it has no %s", missing);
    lt.usable = !missing;
    void *version = dlsym(library, "cublasLtGetVersion");
    memcpy(&lt.version, &version, sizeof version);
}

const tn_lt *tn_lt_open(const char **why)
{
    pthread_once(&lt.once, open_library);
    *why = lt.why;
    return lt.usable ? &lt.calls : NULL;
}

size_t tn_lt_version(void)
{
    const char *why;
    return tn_lt_open(&why) && lt.version ? lt.version() : 0;
}

static tn_status fail(tn_lt_result result, const char *what)
{
    enum { ALLOC_FAILED = 3 };
    return TN_ERROR(result == ALLOC_FAILED ? TN_OUT_OF_MEMORY : TN_UNAVAILABLE,
                    "cuBLASLt, %s: error %d", what, result);
}
#define LT(what, call)                                                                             \
    do {                                                                                           \
        tn_lt_result result_ = (call);                                                             \
        if (result_) return tn_status_trail(fail(result_, what), __FILE__, __LINE__, __func__);    \
    } while (0)

/* ---- What was asked before -------------------------------------------------------------------*/

enum { KNOWN_MAX = 256 };

typedef struct entry {
    tn_lt_problem problem;
    tn_lt_desc desc;
    tn_lt_layout a, b, c, y;
    tn_lt_found found[TN_LT_CHOICES];
    int count;
} entry;

/* Belongs to a stream. A problem stands at its hash or close behind; a full table forgets the one
 * that is in the way. */
typedef struct memory {
    tn_lt_handle handle;
    entry *known[KNOWN_MAX];
} memory;

static void entry_free(entry *e)
{
    if (!e) return;
    if (e->desc) lt.calls.desc_free(e->desc);
    if (e->a) lt.calls.layout_free(e->a);
    if (e->b) lt.calls.layout_free(e->b);
    if (e->c) lt.calls.layout_free(e->c);
    if (e->y) lt.calls.layout_free(e->y);
    tn_free(e, sizeof *e);
}

static void memory_free(void *handle)
{
    memory *m = handle;
    for (int i = 0; i < KNOWN_MAX; i++) entry_free(m->known[i]);
    if (m->handle) lt.calls.destroy(m->handle);
    tn_free(m, sizeof *m);
}

static tn_status memory_of(tn_cuda_stream *stream, memory **out)
{
    const char *why;
    *out = stream->library[TN_CUDA_LIBRARY_LT];
    if (*out) return NULL;
    TN_CHECK(tn_lt_open(&why), TN_UNAVAILABLE, "%s", why);
    memory *m = tn_alloc_zero(sizeof *m);
    TN_CHECK(m, TN_OUT_OF_MEMORY, "no memory for cuBLASLt");
    /* A library that does not start knows no algorithm; that is remembered as well. */
    tn_lt_result result = lt.calls.create(&m->handle);
    if (result) {
        m->handle = NULL;
        tn_log(TN_LOG_WARNING, "cuBLASLt does not start (error %d) and is not used", result);
    }
    stream->library[TN_CUDA_LIBRARY_LT] = m;
    stream->library_free[TN_CUDA_LIBRARY_LT] = memory_free;
    *out = m;
    return NULL;
}

static tn_status layout_make(const tn_lt_problem *p, int64_t rows, int64_t columns, int64_t line,
                             int64_t step, tn_lt_layout *out)
{
    int32_t count = (int32_t)p->count;
    LT("describing a matrix",
       lt.calls.layout_new(out, p->type, (uint64_t)rows, (uint64_t)columns, line));
    LT("describing a batch", lt.calls.layout_set(*out, TN_LT_LAYOUT_BATCH, &count, sizeof count));
    LT("describing a batch", lt.calls.layout_set(*out, TN_LT_LAYOUT_STEP, &step, sizeof step));
    return NULL;
}

/* Its first operand is our b: a row-major [k, n] is a column-major [n, k]. */
static tn_status entry_describe(entry *e)
{
    const tn_lt_problem *p = &e->problem;
    bool wide = p->type == TN_LT_F64;
    int32_t turn_b = p->b_deep ? TN_LT_TRANSPOSE : 0, turn_a = p->a_deep ? 0 : TN_LT_TRANSPOSE;
    uint32_t epilogue = (uint32_t)p->epilogue;
    LT("describing a product", lt.calls.desc_new(&e->desc,
                                                 wide      ? TN_LT_COMPUTE_64F
                                                 : p->tf32 ? TN_LT_COMPUTE_TF32
                                                           : TN_LT_COMPUTE_32F,
                                                 wide ? TN_LT_F64 : TN_LT_F32));
    LT("describing a product",
       lt.calls.desc_set(e->desc, TN_LT_DESC_TRANSPOSE_A, &turn_b, sizeof turn_b));
    LT("describing a product",
       lt.calls.desc_set(e->desc, TN_LT_DESC_TRANSPOSE_B, &turn_a, sizeof turn_a));
    LT("describing a product",
       lt.calls.desc_set(e->desc, TN_LT_DESC_EPILOGUE, &epilogue, sizeof epilogue));
    TN_TRY(
        layout_make(p, p->b_deep ? p->k : p->n, p->b_deep ? p->n : p->k, p->ldb, p->b_step, &e->b));
    TN_TRY(
        layout_make(p, p->a_deep ? p->k : p->m, p->a_deep ? p->m : p->k, p->lda, p->a_step, &e->a));
    TN_TRY(layout_make(p, p->n, p->m, p->ldc, p->c_step, &e->c));
    return layout_make(p, p->n, p->m, p->ldy, p->y_step, &e->y);
}

static tn_status prefer(tn_lt_preference preference, const tn_lt_problem *p)
{
    uint32_t reductions = TN_LT_REDUCE_WIDE;
    LT("choosing", lt.calls.preference_set(preference, TN_LT_PREFER_WORKSPACE, &p->workspace_bytes,
                                           sizeof p->workspace_bytes));
    LT("choosing", lt.calls.preference_set(preference, TN_LT_PREFER_REDUCTIONS, &reductions,
                                           sizeof reductions));
    for (int i = 0; i < 4; i++) {
        uint32_t bytes = (uint32_t)p->aligned[i];
        LT("choosing",
           lt.calls.preference_set(preference, TN_LT_PREFER_ALIGN_A + i, &bytes, sizeof bytes));
    }
    return NULL;
}

static tn_status entry_choose(memory *m, entry *e)
{
    tn_lt_preference preference;
    LT("choosing", lt.calls.preference_new(&preference));
    tn_status status = prefer(preference, &e->problem);
    /* An error says that it knows no way: nothing is found then. */
    int found = 0;
    if (!status && lt.calls.find(m->handle, e->desc, e->b, e->a, e->c, e->y, preference,
                                 TN_LT_CHOICES, e->found, &found))
        found = 0;
    for (int i = 0; i < found; i++)
        if (e->found[i].state == 0) e->found[e->count++] = e->found[i];
    lt.calls.preference_free(preference);
    return status;
}

static tn_status set_bias(entry *e, const void *bias)
{
    if (bias)
        LT("setting the bias", lt.calls.desc_set(e->desc, TN_LT_DESC_BIAS, &bias, sizeof bias));
    return NULL;
}

/* The bias is there for its alignment. */
static tn_status entry_get(memory *m, const tn_lt_problem *problem, const void *bias, entry **out)
{
    enum { STEPS = 8 };
    uint64_t hash = tn_hash_bytes(problem, sizeof *problem);
    entry **place = &m->known[hash % KNOWN_MAX];
    for (uint64_t i = 0; i < STEPS; i++) {
        entry **at = &m->known[(hash + i) % KNOWN_MAX];
        if (*at && !memcmp(&(*at)->problem, problem, sizeof *problem)) {
            *out = *at;
            return NULL;
        }
        if (!*at) {
            place = at;
            break;
        }
    }
    entry *e = tn_alloc_zero(sizeof *e);
    TN_CHECK(e, TN_OUT_OF_MEMORY, "no memory to remember a product");
    e->problem = *problem;
    tn_status status = entry_describe(e);
    if (!status) status = set_bias(e, bias);
    if (!status) status = entry_choose(m, e);
    if (status) {
        entry_free(e);
        return status;
    }
    entry_free(*place);
    *out = *place = e;
    return NULL;
}

/* ---- Running ---------------------------------------------------------------------------------*/

tn_status tn_lt_run(tn_cuda_stream *stream, const tn_lt_problem *problem, const tn_lt_operands *x,
                    int choice, bool *known)
{
    memory *m;
    entry *e;
    *known = true;
    if (stream->card->wishes) return NULL;
    TN_TRY(tn_cuda_enter(stream->card));
    TN_TRY(memory_of(stream, &m));
    *known = m->handle != NULL;
    if (!*known) return NULL;
    TN_TRY(entry_get(m, problem, x->bias, &e));
    *known = e->count > 0;
    if (!*known) return NULL;
    const tn_lt_found *found = &e->found[TN_MIN(choice, e->count - 1)];
    TN_TRY(set_bias(e, x->bias));
    float alpha = x->alpha, beta = x->c ? x->beta : 0;
    double alpha_wide = (double)alpha, beta_wide = (double)beta;
    bool wide = problem->type == TN_LT_F64;
    LT("multiplying",
       lt.calls.matmul(m->handle, e->desc, wide ? (void *)&alpha_wide : (void *)&alpha, x->b, e->b,
                       x->a, e->a, wide ? (void *)&beta_wide : (void *)&beta, x->c ? x->c : x->y,
                       e->c, x->y, e->y, &found->algorithm, x->workspace, problem->workspace_bytes,
                       stream->handle));
    return NULL;
}
