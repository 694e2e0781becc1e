/* Every operator x case x tactic: the reference against expected values that were found without it,
 * then every kernel of every variant that this CPU has against the reference.
 *
 *     op_suite [--list | --kernels] [--filter TEXT | --problem TEXT] [--tactic TEXT] [--part I/N]
 *              [--verbose]
 *              [--bench] [--device cuda]
 *
 * --tactic: kernels with TEXT in their names. --part: every N-th case from the I-th, for processes
 * side by side.
 *
 * A kernel gets its inputs as a plan would give them: weights only in packed form where it says
 * that it does not read them, outputs full of rubbish with a guard behind. One and two threads must
 * give the same bits.
 *
 * A large case without expected values is for kernels: where none is compared with the reference,
 * as on a CPU for what only cards have kernels for, it is skipped. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cpu/cpu.h"
#include "base/cpu.h"
#include "base/log.h"
#include "build/build.h"
#include "ops/reference.h"

enum { GUARD_BYTES = 64, RUBBISH = 0xA5, LARGE = 65536 /* bytes of inputs */ };

typedef struct suite {
    const char *filter, *problem; /* the latter: of one's own, instead of the operators' cases */
    const char *tactic;
    int part, parts, number; /* number: of the case, counted over all */
    bool list, verbose, bench;
    int passed, failed, skipped, refused;
    tn_pool *pool[2]; /* of 1 and 2 threads */
    uint64_t features;
    const tn_backend *backend; /* whose kernels are run */
    tn_card *card;             /* NULL: the CPU's */
    void *stream;
} suite;

static void report(suite *s, bool passed, const char *name, const char *problem, const char *why)
{
    if (passed) s->passed++;
    else s->failed++;
    if (passed && !s->verbose) return;
    printf("%s %s: %s%s%s\n", passed ? "ok  " : "FAIL", name, problem, why[0] ? "\n       " : "",
           why);
}

static void report_status(suite *s, const char *name, const char *problem, tn_status status)
{
    char text[2048];
    tn_status_text(status, true, text, sizeof text);
    report(s, false, name, problem, text);
}

/* ---- Data
 * --------------------------------------------------------------------------------------*/

static double random_unit(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / 9007199254740992.0;
}

/* Inputs without data get some, the same in every run. */
static tn_status fill_inputs(tn_problem *p, const tn_case *c, tn_arena *arena)
{
    uint64_t state = 88172645463325252u;
    for (const char *at = c->problem; *at; at++) state = state * 31 + (unsigned char)*at;
    for (int i = 0; i < p->in_count; i++) {
        tn_tensor *t = &p->in[i];
        tn_dtype_kind kind = tn_dtype_kind_of(t->dtype);
        if (t->data || t->dtype == TN_DTYPE_NONE) continue;
        TN_CHECK(kind != TN_KIND_S, TN_INVALID, "input %d: string inputs need data in the case", i);
        t->data = tn_arena_alloc(arena, (size_t)tn_tensor_bytes(t) + 1);
        TN_CHECK(t->data, TN_OUT_OF_MEMORY, "no memory for the inputs");
        bool given = c->lo != 0 || c->hi != 0;
        double lo = given ? c->lo : kind == TN_KIND_F ? -1 : 0;
        double hi = given ? c->hi : kind == TN_KIND_F ? 1 : 10;
        for (int64_t k = 0; k < tn_tensor_count(t); k++) {
            double value = lo + (hi - lo) * random_unit(&state);
            if (kind == TN_KIND_B) tn_store_i64(t->dtype, t->data, k, random_unit(&state) < 0.5);
            else if (kind == TN_KIND_F || kind == TN_KIND_C)
                tn_store_f64(t->dtype, t->data, k, value);
            else tn_store_i64(t->dtype, t->data, k, (int64_t)floor(value));
        }
    }
    return NULL;
}

/* ---- Comparisons
 * -------------------------------------------------------------------------------*/

static double default_tolerance(tn_dtype dtype)
{
    if (dtype == TN_DTYPE_F64) return 1e-12;
    if (dtype == TN_DTYPE_F32 || dtype == TN_DTYPE_C64) return 2e-6;
    return dtype == TN_DTYPE_F16 ? 1e-3 : 1e-2;
}

/* What a tactic may be off: more, where it serves lower precisions only. */
static double tolerance_of(const tn_tactic *t, double of_case)
{
    static const double least[] = {[TN_PRECISION_F32] = 0,
                                   [TN_PRECISION_TF32] = 3e-3,
                                   [TN_PRECISION_F16] = 1e-2,
                                   [TN_PRECISION_BF16] = 3e-2};
    return fmax(of_case, least[t->precision]);
}

static bool same_string(const tn_tensor *a, const tn_tensor *b, int64_t i)
{
    const tn_string *x = (const tn_string *)a->data + i, *y = (const tn_string *)b->data + i;
    return x->bytes == y->bytes && (x->bytes == 0 || !memcmp(x->text, y->text, x->bytes));
}

/* Expected values are written by hand: element by element, within rounding of the type. */
static bool same_values(const tn_tensor *got, const tn_tensor *want, char *why, size_t why_bytes)
{
    char a[128], b[128];
    tn_dtype_kind kind = tn_dtype_kind_of(want->dtype);
    if (got->dtype != want->dtype || !tn_tensor_same_shape(got, want)) {
        snprintf(why, why_bytes, "is %s, expected %s", tn_tensor_type_text(got, a, sizeof a),
                 tn_tensor_type_text(want, b, sizeof b));
        return false;
    }
    for (int64_t i = 0; i < tn_tensor_count(want); i++) {
        bool same;
        double x = 0, y = 0;
        if (kind == TN_KIND_S) {
            same = same_string(got, want, i);
        } else if (kind == TN_KIND_F || kind == TN_KIND_C) {
            x = tn_load_f64(got->dtype, got->data, i);
            y = tn_load_f64(want->dtype, want->data, i);
            double most = default_tolerance(want->dtype) * fmax(fabs(y), 1e-3);
            same = (isnan(x) && isnan(y)) || x == y || fabs(x - y) <= most;
        } else {
            int64_t m = tn_load_i64(got->dtype, got->data, i),
                    n = tn_load_i64(want->dtype, want->data, i);
            same = m == n;
            x = (double)m;
            y = (double)n;
        }
        if (same) continue;
        snprintf(why, why_bytes, "element %lld is %.9g, expected %.9g", (long long)i, x, y);
        return false;
    }
    return true;
}

/* Kernels: relative L2 over the tensor; what is not finite must be the same. */
static bool close_enough(const tn_tensor *got, const tn_tensor *want, double tolerance, char *why,
                         size_t why_bytes)
{
    tn_dtype_kind kind = tn_dtype_kind_of(want->dtype);
    if (kind != TN_KIND_F) return same_values(got, want, why, why_bytes);
    double error = 0, size = 0;
    if (tolerance == 0) tolerance = tn_dtype_bits(want->dtype) <= 16 ? 1e-2 : 1e-5;
    for (int64_t i = 0; i < tn_tensor_count(want); i++) {
        double x = tn_load_f64(got->dtype, got->data, i),
               y = tn_load_f64(want->dtype, want->data, i);
        if (!isfinite(y) || !isfinite(x)) {
            if (x == y || (isnan(x) && isnan(y))) continue;
            snprintf(why, why_bytes, "element %lld is %g, the reference has %g", (long long)i, x,
                     y);
            return false;
        }
        error += (x - y) * (x - y);
        size += y * y;
    }
    double relative = size > 0 ? sqrt(error / size) : sqrt(error);
    if (relative <= tolerance) return true;
    snprintf(why, why_bytes, "relative L2 error %.3g, allowed %.3g", relative, tolerance);
    return false;
}

/* ---- One kernel
 * --------------------------------------------------------------------------------*/

/* A problem as it stands when kernels are chosen: only weights have data. */
static tn_status strip(const tn_problem *p, uint64_t keep, tn_arena *arena, tn_problem *out)
{
    *out = *p;
    out->in = TN_NEW_ARRAY(arena, tn_tensor, p->in_count + 1);
    out->out = TN_NEW_ARRAY(arena, tn_tensor, p->out_count + 1);
    TN_CHECK(out->in && out->out, TN_OUT_OF_MEMORY, "no memory for a problem");
    for (int i = 0; i < p->in_count; i++) {
        out->in[i] = p->in[i];
        if (i < 64 && !(keep >> i & 1)) out->in[i].data = NULL;
    }
    for (int i = 0; i < p->out_count; i++) {
        out->out[i] = p->out[i];
        out->out[i].data = NULL;
    }
    return NULL;
}

static tn_status alloc(tn_arena *arena, size_t bytes, void *out_pointer)
{
    uint8_t *at = tn_arena_alloc(arena, bytes + GUARD_BYTES + TN_ALIGNMENT);
    TN_CHECK(at, TN_OUT_OF_MEMORY, "no memory (%zu bytes)", bytes);
    at += (TN_ALIGNMENT - (uintptr_t)at % TN_ALIGNMENT) % TN_ALIGNMENT;
    memset(at, RUBBISH, bytes + GUARD_BYTES);
    *(void **)out_pointer = at;
    return NULL;
}

static bool guard_holds(const void *block, size_t bytes)
{
    const uint8_t *at = (const uint8_t *)block + bytes;
    for (int i = 0; i < GUARD_BYTES; i++)
        if (at[i] != RUBBISH) return false;
    return true;
}

static uint64_t time_launch(const tn_tactic *t, const tn_launch *l, tn_status *status)
{
    uint64_t best = UINT64_MAX, begin = tn_clock_ns();
    do {
        uint64_t start = tn_clock_ns();
        *status = t->launch(l);
        uint64_t took = tn_clock_ns() - start;
        if (took < best) best = took;
    } while (!*status && tn_clock_ns() - begin < 50000000);
    return best;
}

/* Weights that a tactic says it only moved are found again in what it packed. */
static tn_status check_panels(const tn_tactic *t, const tn_problem *bare, const void *packed,
                              size_t packed_bytes, tn_arena *arena)
{
    tn_panels panels;
    int64_t elements, floats;
    void *found;
    if (!t->panels || !t->panels(bare, &panels)) return NULL;
    size_t bytes = (size_t)tn_tensor_bytes(&bare->in[1]);
    TN_CHECK(tn_panels_counts(&panels, &elements, &floats) && (size_t)elements * 4 == bytes &&
                 (size_t)floats * 4 <= packed_bytes,
             TN_INTERNAL, "the panels are not those that were packed");
    TN_TRY(alloc(arena, bytes, &found));
    tn_panels_unpack(&panels, packed, found);
    TN_CHECK(guard_holds(found, bytes), TN_INTERNAL, "unpacking wrote behind its memory");
    TN_CHECK(!memcmp(found, bare->in[1].data, bytes), TN_MISMATCH,
             "the panels do not hold the weights");
    return NULL;
}

static tn_status run_tactic(suite *s, const tn_tactic *t, const tn_problem *p,
                            const tn_problem *bare, double tolerance, tn_arena *arena, char *why,
                            size_t why_bytes)
{
    uint64_t unused = t->unused ? t->unused(bare) : 0;
    size_t packed_bytes = t->packed_bytes ? t->packed_bytes(bare) : 0;
    size_t scratch_bytes = t->scratch_bytes ? t->scratch_bytes(bare) : 0;
    void *packed = NULL, *scratch = NULL, *first[64] = {NULL};
    if (packed_bytes) {
        TN_TRY(alloc(arena, packed_bytes, &packed));
        TN_TRY(t->pack(bare, packed));
        TN_CHECK(guard_holds(packed, packed_bytes), TN_INTERNAL, "pack wrote behind its memory");
        TN_TRY(check_panels(t, bare, packed, packed_bytes, arena));
    }
    tn_problem run;
    TN_TRY(strip(p, ~unused, arena, &run));
    for (int threads = 0; threads < 2; threads++) {
        TN_TRY(alloc(arena, scratch_bytes, &scratch));
        for (int i = 0; i < run.out_count; i++)
            TN_TRY(alloc(arena, (size_t)tn_tensor_bytes(&run.out[i]), &run.out[i].data));
        tn_launch l = {.problem = &run,
                       .scratch = scratch_bytes ? scratch : NULL,
                       .packed = packed,
                       .pool = s->pool[threads]};
        TN_TRY(t->launch(&l));
        TN_CHECK(guard_holds(scratch, scratch_bytes), TN_INTERNAL,
                 "wrote behind its scratch memory");
        for (int i = 0; i < run.out_count; i++) {
            char detail[256] = "";
            size_t bytes = (size_t)tn_tensor_bytes(&run.out[i]);
            TN_CHECK(guard_holds(run.out[i].data, bytes), TN_INTERNAL, "wrote behind output %d", i);
            TN_CHECK(close_enough(&run.out[i], &p->out[i], tolerance, detail, sizeof detail),
                     TN_MISMATCH, "output %d: %s", i, detail);
            if (i < 64 && threads == 0) first[i] = run.out[i].data;
            else if (i < 64)
                TN_CHECK(!memcmp(first[i], run.out[i].data, bytes), TN_MISMATCH,
                         "output %d differs between 1 and 2 threads", i);
        }
        if (s->bench) {
            tn_status status;
            uint64_t ns = time_launch(t, &l, &status);
            size_t length = strlen(why);
            TN_TRY(status);
            snprintf(why + length, why_bytes - length, "%s%.3f us on %d", threads ? ", " : "",
                     (double)ns / 1e3, threads + 1);
        }
    }
    return NULL;
}

/* ---- One kernel of a card
 * --------------------------------------------------------------------------------*/

typedef struct card_memory {
    const tn_card_calls *calls;
    tn_card *card;
    void *at[160];
    int count;
} card_memory;

/* bytes and a guard behind them, from `src` or full of rubbish. */
static tn_status card_alloc(suite *s, card_memory *m, size_t bytes, const void *src,
                            void *out_pointer)
{
    uint8_t guard[GUARD_BYTES];
    void *at;
    memset(guard, RUBBISH, sizeof guard);
    TN_CHECK(m->count < (int)TN_COUNT(m->at), TN_UNSUPPORTED, "too many tensors");
    TN_TRY(m->calls->alloc(s->card, false, bytes + GUARD_BYTES, &at));
    m->at[m->count++] = at;
    if (src) TN_TRY(m->calls->copy(s->stream, at, src, bytes));
    else TN_TRY(m->calls->fill(s->stream, at, RUBBISH, bytes));
    TN_TRY(m->calls->copy(s->stream, (char *)at + bytes, guard, sizeof guard));
    TN_TRY(m->calls->wait(s->stream));
    *(void **)out_pointer = at;
    return NULL;
}

static tn_status card_guard_holds(suite *s, const card_memory *m, const void *at, size_t bytes,
                                  const char *what)
{
    uint8_t guard[GUARD_BYTES];
    TN_TRY(m->calls->copy(s->stream, guard, (const char *)at + bytes, sizeof guard));
    TN_TRY(m->calls->wait(s->stream));
    for (int i = 0; i < GUARD_BYTES; i++)
        TN_CHECK(guard[i] == RUBBISH, TN_INTERNAL, "wrote behind %s", what);
    return NULL;
}

static tn_status time_on_card(suite *s, const card_memory *m, const tn_tactic *t,
                              const tn_launch *l, double *ns)
{
    enum { LAUNCHES = 20, REPLAYS = 8 };
    void *recording;
    *ns = 0;
    TN_TRY(m->calls->record_begin(s->stream));
    for (int i = 0; i < LAUNCHES; i++) TN_TRY(t->launch(l));
    TN_TRY(m->calls->record_end(s->stream, &recording));
    for (int i = 0; i < REPLAYS; i++) {
        double took;
        TN_TRY(m->calls->mark(s->stream, 0));
        TN_TRY(m->calls->replay(s->stream, recording));
        TN_TRY(m->calls->mark(s->stream, 1));
        TN_TRY(m->calls->elapsed_ns(s->stream, &took));
        if (!i || took / LAUNCHES < *ns) *ns = took / LAUNCHES;
    }
    m->calls->record_free(recording);
    return NULL;
}

/* As a plan would run it, twice: the same bits, and nothing behind any output. */
static tn_status run_with(suite *s, card_memory *m, const tn_tactic *t, const tn_problem *p,
                          const tn_problem *bare, double tolerance, tn_arena *arena, char *why,
                          size_t why_bytes)
{
    uint64_t unused = t->unused ? t->unused(bare) : 0;
    size_t packed_bytes = t->packed_bytes ? t->packed_bytes(bare) : 0;
    size_t scratch_bytes = t->scratch_bytes ? t->scratch_bytes(bare) : 0;
    void *packed = NULL, *host, *scratch = NULL;
    tn_problem run;
    TN_TRY(strip(p, 0, arena, &run));
    if (packed_bytes) {
        TN_TRY(alloc(arena, packed_bytes, &host));
        TN_TRY(t->pack(bare, host));
        TN_CHECK(guard_holds(host, packed_bytes), TN_INTERNAL, "pack wrote behind its memory");
        TN_TRY(card_alloc(s, m, packed_bytes, host, &packed));
    }
    if (scratch_bytes) TN_TRY(card_alloc(s, m, scratch_bytes, NULL, &scratch));
    for (int i = 0; i < run.in_count; i++) {
        const tn_tensor *in = &p->in[i];
        if (in->dtype == TN_DTYPE_NONE || (i < 64 && (unused >> i & 1))) continue;
        TN_TRY(card_alloc(s, m, (size_t)tn_tensor_bytes(in), in->data, &run.in[i].data));
    }
    for (int round = 0; round < 2; round++) {
        tn_launch l = {.problem = &run, .scratch = scratch, .packed = packed, .stream = s->stream};
        for (int i = 0; i < run.out_count; i++)
            if (p->out[i].dtype != TN_DTYPE_NONE)
                TN_TRY(
                    card_alloc(s, m, (size_t)tn_tensor_bytes(&p->out[i]), NULL, &run.out[i].data));
        TN_TRY(t->launch(&l));
        TN_TRY(m->calls->wait(s->stream));
        if (scratch) TN_TRY(card_guard_holds(s, m, scratch, scratch_bytes, "its scratch memory"));
        for (int i = 0; i < run.out_count; i++) {
            char detail[256] = "", name[32];
            tn_tensor got = p->out[i];
            size_t bytes = (size_t)tn_tensor_bytes(&got);
            if (got.dtype == TN_DTYPE_NONE) continue;
            snprintf(name, sizeof name, "output %d", i);
            TN_TRY(card_guard_holds(s, m, run.out[i].data, bytes, name));
            TN_TRY(alloc(arena, bytes, &got.data));
            TN_TRY(m->calls->copy(s->stream, got.data, run.out[i].data, bytes));
            TN_TRY(m->calls->wait(s->stream));
            TN_CHECK(close_enough(&got, &p->out[i], tolerance, detail, sizeof detail), TN_MISMATCH,
                     "output %d: %s", i, detail);
        }
        if (s->bench && round) {
            double ns;
            TN_TRY(time_on_card(s, m, t, &l, &ns));
            snprintf(why, why_bytes, "%.3f us", ns / 1e3);
        }
    }
    return NULL;
}

static tn_status run_on_card(suite *s, const tn_tactic *t, const tn_problem *p,
                             const tn_problem *bare, double tolerance, tn_arena *arena, char *why,
                             size_t why_bytes)
{
    card_memory m = {.calls = s->card->backend->card};
    tn_status status = run_with(s, &m, t, p, bare, tolerance, arena, why, why_bytes);
    while (m.count) m.calls->free(s->card, false, m.at[--m.count]);
    return status;
}

static bool is_reference(const tn_tactic *t)
{
    const char *end = strrchr(t->name, '.');
    return end && !strcmp(end, ".reference");
}

#ifdef TN_AMX_MODEL
extern const tn_tactic tn_cpu_matmul_split_amx_model[], tn_cpu_matmul_bytes_amx_model[],
    tn_cpu_conv_bytes_amx_model[], tn_cpu_conv_bytes_last_amx_model[],
    tn_cpu_conv_split_amx_model[], tn_cpu_recurrent_tiles_amx_model[],
    tn_cpu_attention_blocks_amx_model[];
#endif

/* Kernels for instructions that few CPUs have, on a model of them that needs AVX-512 only. */
static const tn_tactic *const *models(const suite *s)
{
    static const tn_tactic *table[64];
#ifdef TN_AMX_MODEL
    const tn_tactic *const all[] = {
        tn_cpu_matmul_split_amx_model,    tn_cpu_matmul_bytes_amx_model,
        tn_cpu_conv_bytes_amx_model,      tn_cpu_conv_bytes_last_amx_model,
        tn_cpu_conv_split_amx_model,      tn_cpu_recurrent_tiles_amx_model,
        tn_cpu_attention_blocks_amx_model};
    const uint64_t needs = TN_CPU_AVX512F | TN_CPU_AVX512BW | TN_CPU_AVX512VL | TN_CPU_AVX512DQ;
    size_t count = 0;
    for (size_t i = 0; i < TN_COUNT(all) && !(needs & ~s->features) && !s->card; i++)
        for (const tn_tactic *t = all[i]; t->name && count + 1 < TN_COUNT(table); t++)
            table[count++] = t;
    table[count] = NULL;
#endif
    (void)s;
    return table;
}

static void run_one(suite *s, const tn_tactic *t, const tn_problem *p, const tn_problem *bare,
                    const tn_case *c, tn_arena *arena)
{
    char why[256] = "";
    if (t->needs & ~s->features) {
        s->skipped++;
        return;
    }
    tn_verdict verdict = t->accepts(bare);
    if (verdict) {
        s->refused++;
        if (s->verbose) printf("no   %s: %s\n       %s\n", t->name, c->problem, verdict);
        return;
    }
    double tolerance = tolerance_of(t, c->tolerance);
    tn_status status = s->card ? run_on_card(s, t, p, bare, tolerance, arena, why, sizeof why)
                               : run_tactic(s, t, p, bare, tolerance, arena, why, sizeof why);
    if (status) report_status(s, t->name, c->problem, status);
    else report(s, true, t->name, c->problem, why);
}

static bool is_wanted(const suite *s, const tn_tactic *t)
{
    return !is_reference(t) && (!s->tactic || strstr(t->name, s->tactic));
}

static bool has_wanted(const suite *s, const char *op)
{
    const tn_tactic *const *tables[] = {s->backend->tactics(), models(s)};
    for (size_t i = 0; i < TN_COUNT(tables); i++)
        for (const tn_tactic *const *at = tables[i]; *at; at++)
            if (!strcmp((*at)->op, op) && is_wanted(s, *at)) return true;
    return false;
}

static void run_tactics(suite *s, const tn_problem *p, const tn_case *c, tn_arena *arena)
{
    tn_problem bare;
    tn_status status = strip(p, p->in_constant, arena, &bare);
    if (status) {
        report_status(s, p->op, c->problem, status);
        return;
    }
    const tn_tactic *const *tables[] = {s->backend->tactics(), models(s)};
    for (size_t i = 0; i < TN_COUNT(tables); i++)
        for (const tn_tactic *const *at = tables[i]; *at; at++)
            if (!strcmp((*at)->op, p->op) && is_wanted(s, *at)) run_one(s, *at, p, &bare, c, arena);
}

/* Is any kernel compared with the reference? */
static tn_status is_compared(const suite *s, const tn_problem *p, tn_arena *arena, bool *compared)
{
    tn_problem bare;
    const tn_tactic *const *tables[] = {s->backend->tactics(), models(s)};
    *compared = false;
    TN_TRY(strip(p, p->in_constant, arena, &bare));
    for (size_t i = 0; i < TN_COUNT(tables); i++)
        for (const tn_tactic *const *at = tables[i]; *at && !*compared; at++)
            *compared = !strcmp((*at)->op, p->op) && is_wanted(s, *at) &&
                        !((*at)->needs & ~s->features) && !(*at)->accepts(&bare);
    return NULL;
}

/* ---- One case
 * ----------------------------------------------------------------------------------*/

static tn_status check_expected(const tn_problem *p, const char *expect, tn_arena *arena)
{
    const char *at = expect;
    for (int i = 0; i < p->out_count; i++) {
        tn_tensor want = {0};
        bool constant = false;
        char detail[256];
        while (*at == ' ') at++;
        TN_CHECK(*at, TN_INVALID, "nothing is expected of output %d", i);
        TN_TRY(tn_tensor_parse(&at, arena, &want, &constant));
        TN_CHECK(want.data || !tn_tensor_count(&want), TN_INVALID,
                 "expected output %d has no values", i);
        TN_CHECK(same_values(&p->out[i], &want, detail, sizeof detail), TN_MISMATCH, "output %d %s",
                 i, detail);
    }
    while (*at == ' ') at++;
    TN_CHECK(!*at, TN_INVALID, "more is expected than there are outputs: \"%s\"", at);
    return NULL;
}

/* Whether it is of use here: see the top. */
static tn_status make_problem(const suite *s, const tn_case *c, tn_arena *arena, tn_problem *p,
                              bool *useful)
{
    long long bytes = 0;
    *useful = true;
    TN_TRY(tn_problem_parse(c->problem, arena, p));
    TN_TRY(fill_inputs(p, c, arena));
    TN_TRY(tn_problem_infer(p, arena));
    for (int i = 0; i < p->in_count; i++)
        if (p->in[i].dtype) bytes += tn_tensor_bytes(&p->in[i]);
    return c->expect || bytes < LARGE ? NULL : is_compared(s, p, arena, useful);
}

static tn_status run_reference(const tn_case *c, tn_arena *arena, tn_problem *p, uint64_t *ns)
{
    uint64_t start = tn_clock_ns();
    TN_TRY(tn_problem_run_reference(p, arena));
    *ns = tn_clock_ns() - start;
    if (c->expect) TN_TRY(check_expected(p, c->expect, arena));
    return NULL;
}

/* Of all that is read and written. */
static long long problem_bytes(const tn_problem *p)
{
    long long bytes = 0;
    for (int i = 0; i < p->in_count; i++)
        if (p->in[i].dtype) bytes += tn_tensor_bytes(&p->in[i]);
    for (int i = 0; i < p->out_count; i++)
        if (p->out[i].dtype) bytes += tn_tensor_bytes(&p->out[i]);
    return bytes;
}

static void run_case(suite *s, const tn_op *op, const tn_case *c)
{
    char name[128], why[64] = "";
    tn_arena arena;
    tn_problem p;
    bool useful;
    uint64_t ns = 0;
    if (s->filter && !strstr(c->problem, s->filter)) return;
    if (s->parts && s->number++ % s->parts != s->part) return;
    if (s->list) {
        printf("%s%s\n", c->problem, c->expect ? "  (expected values)" : "");
        return;
    }
    snprintf(name, sizeof name, "%s reference", op->name);
    tn_arena_init(&arena);
    tn_status status = make_problem(s, c, &arena, &p, &useful);
    if (!status && !useful) {
        s->skipped++;
        tn_arena_fini(&arena);
        return;
    }
    if (!status) status = run_reference(c, &arena, &p, &ns);
    if (s->bench && !status)
        snprintf(why, sizeof why, "%.3f us, %lld bytes", (double)ns / 1e3, problem_bytes(&p));
    if (status) report_status(s, name, c->problem, status);
    else report(s, true, name, c->problem, why);
    if (!status && !op->impure) run_tactics(s, &p, c, &arena);
    tn_arena_fini(&arena);
}

/* The operator is the first word of the text. Numbers are small: larger ones as weights of a long
 * recurrence would make it chaotic. */
static void run_problem(suite *s)
{
    size_t bytes = strcspn(s->problem, "{ ");
    for (const tn_op *const *op = tn_op_table; *op; op++)
        if (strlen((*op)->name) == bytes && !memcmp((*op)->name, s->problem, bytes)) {
            run_case(s, *op, &(tn_case){.problem = s->problem, .lo = -0.0625, .hi = 0.0625});
            return;
        }
    report(s, false, s->problem, "is of no operator", "");
}

static void run_op(suite *s, const tn_op *op)
{
    int cases = 0, expected = 0;
    if (!op->reference && !op->cases) return; /* exists only to be rewritten at import */
    if (s->tactic && !has_wanted(s, op->name)) return;
    for (const tn_case *c = op->cases; c && c->problem; c++) {
        cases++;
        expected += c->expect != NULL;
        run_case(s, op, c);
    }
    if (s->list || (s->filter && !strstr(op->name, s->filter))) return;
    if (!cases) report(s, false, op->name, "has no cases", "");
    else if (!expected && !op->impure)
        report(s, false, op->name, "has no case with expected values", "");
}

static void list_kernels(const suite *s)
{
    for (const tn_tactic *const *at = s->backend->tactics(); *at; at++)
        if (is_wanted(s, *at) && !((*at)->needs & ~s->features)) printf("%s\n", (*at)->name);
}

int main(int argc, char **argv)
{
    suite s = {.features = tn_cpu_features(), .backend = &tn_backend_cpu};
    const char *device = NULL;
    bool kernels = false;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--list")) s.list = true;
        else if (!strcmp(argv[i], "--kernels")) kernels = true;
        else if (!strcmp(argv[i], "--verbose")) s.verbose = true;
        else if (!strcmp(argv[i], "--bench")) s.bench = s.verbose = true;
        else if (!strcmp(argv[i], "--filter") && i + 1 < argc) s.filter = argv[++i];
        else if (!strcmp(argv[i], "--problem") && i + 1 < argc) s.problem = argv[++i];
        else if (!strcmp(argv[i], "--device") && i + 1 < argc) device = argv[++i];
        else if (!strcmp(argv[i], "--tactic") && i + 1 < argc) s.tactic = argv[++i];
        else if (!strcmp(argv[i], "--part") && i + 1 < argc &&
                 sscanf(argv[i + 1], "%d/%d", &s.part, &s.parts) == 2 && s.part >= 0 &&
                 s.parts > s.part)
            i++;
        else {
            fprintf(stderr, "usage: op_suite [--list | --kernels] [--filter TEXT | --problem TEXT] "
                            "[--tactic TEXT] [--part I/N] [--verbose] [--bench] [--device cuda]\n");
            return 2;
        }
    }
    if (device) {
        tn_status status = tn_build_card(device, &s.card);
        if (!status) status = s.card->backend->card->stream_new(s.card, &s.stream);
        if (status) {
            fprintf(stderr, "%s\n", tn_status_message(status));
            return 2;
        }
        s.backend = s.card->backend;
        s.features = s.card->info.features;
    }
    if (kernels) {
        list_kernels(&s);
        return 0;
    }
    for (int i = 0; i < 2; i++) {
        tn_status status = tn_pool_new(i + 1, &s.pool[i]);
        if (status) {
            fprintf(stderr, "%s\n", tn_status_message(status));
            return 2;
        }
    }
    if (s.problem) run_problem(&s);
    for (const tn_op *const *op = tn_op_table; *op && !s.problem; op++) run_op(&s, *op);
    for (int i = 0; i < 2; i++) tn_pool_free(s.pool[i]);
    if (s.list) return 0;
    printf("%d refusals (--verbose tells why); skipped: variants that this CPU lacks, "
           "large cases that no kernel takes\n",
           s.refused);
    printf("%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped);
    return s.failed ? 1 : 0;
}
