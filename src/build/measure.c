/* How long does a tactic take in a network? There its weights come from memory and its inputs were
 * written by another step, so every run here uses another copy of all buffers, enough of them that
 * the second-level cache has forgotten a copy by the time its turn comes again. The best of the
 * runs is the answer: whatever else the machine does only makes a run slower. */
#include <string.h>

#include "base/cpu.h"
#include "base/log.h"
#include "build/stage.h"

enum { RUNS_MIN = 3, RUNS_MAX = 40, SETS_MAX = 16 };
#define SET_BYTES_MAX ((size_t)256 << 20) /* of all copies together */

typedef struct set {
    tn_problem problem;
    tn_launch launch;
} set;

static size_t bytes_of(const tn_tensor *t)
{
    int64_t bytes = t->dtype == TN_DTYPE_NONE ? 0 : tn_tensor_bytes(t);
    return bytes > 0 ? tn_align_up((size_t)bytes, TN_ALIGNMENT) : 0;
}

static size_t bytes_touched(const tn_tactic *tactic, const tn_problem *p)
{
    size_t total = tactic->packed_bytes ? tactic->packed_bytes(p) : 0;
    for (int32_t i = 0; i < p->in_count; i++) total += bytes_of(&p->in[i]);
    for (int32_t i = 0; i < p->out_count; i++) total += bytes_of(&p->out[i]);
    return total;
}

static tn_status add_tensor(tn_arena *arena, tn_tensor *t, bool keep, uint64_t seed)
{
    size_t bytes = bytes_of(t);
    const void *src = keep ? t->data : NULL;
    if (t->dtype == TN_DTYPE_NONE) return NULL;
    t->data = tn_arena_alloc(arena, TN_MAX(bytes, (size_t)1));
    TN_CHECK(t->data, TN_OUT_OF_MEMORY, "no memory for %zu bytes to measure with", bytes);
    if (src) {
        if (tn_tensor_bytes(t) > 0) memcpy(t->data, src, (size_t)tn_tensor_bytes(t));
        return NULL;
    }
    /* Zeros are safe indices; floats are random, since zeros may take short cuts. */
    if (tn_dtype_kind_of(t->dtype) != TN_KIND_F) return NULL;
    return tn_tensor_fill_random(t, seed, -1, 1);
}

static tn_status make_set(const tn_tactic *tactic, const tn_problem *p, tn_pool *pool,
                          tn_arena *arena, set *out)
{
    out->problem = *p;
    out->problem.in = TN_NEW_ARRAY(arena, tn_tensor, p->in_count);
    out->problem.out = TN_NEW_ARRAY(arena, tn_tensor, p->out_count);
    TN_CHECK(out->problem.in && out->problem.out, TN_OUT_OF_MEMORY, "no memory to measure");
    for (int32_t i = 0; i < p->in_count; i++) {
        bool constant = i < 64 && (p->in_constant >> i & 1);
        out->problem.in[i] = p->in[i];
        TN_TRY(add_tensor(arena, &out->problem.in[i], constant, (uint64_t)i + 1));
    }
    for (int32_t i = 0; i < p->out_count; i++) {
        out->problem.out[i] = p->out[i];
        out->problem.out[i].data = NULL;
        TN_TRY(add_tensor(arena, &out->problem.out[i], false, (uint64_t)i + 100));
    }
    out->launch = (tn_launch){.pool = pool};
    size_t packed = tactic->packed_bytes ? tactic->packed_bytes(p) : 0;
    size_t scratch = tactic->scratch_bytes ? tactic->scratch_bytes(p) : 0;
    if (packed) {
        /* Large pieces of an arena are aligned to 64, small ones are made large. */
        void *at = tn_arena_alloc(arena, TN_MAX(packed, (size_t)1024));
        TN_CHECK(at, TN_OUT_OF_MEMORY, "no memory for %zu bytes of packed weights", packed);
        TN_TRY(tactic->pack(&out->problem, at));
        out->launch.packed = at;
    }
    if (scratch) {
        out->launch.scratch = tn_arena_alloc(arena, TN_MAX(scratch, (size_t)1024));
        TN_CHECK(out->launch.scratch, TN_OUT_OF_MEMORY, "no memory for %zu bytes of scratch",
                 scratch);
    }
    return NULL;
}

static tn_status run_sets(const tn_tactic *tactic, set *sets, int count, double limit_ms,
                          tn_arena *text, double *ns)
{
    uint64_t begin = tn_clock_ns(), best = UINT64_MAX;
    for (int run = 0; run < RUNS_MAX; run++) {
        set *s = &sets[run % count];
        s->launch.problem = &s->problem;
        s->launch.text = text;
        tn_arena_rewind(text);
        uint64_t before = tn_clock_ns();
        TN_TRY(tactic->launch(&s->launch));
        uint64_t after = tn_clock_ns();
        /* The first run of all wakes the threads and faults pages in. */
        if (run > 0) best = TN_MIN(best, after - before);
        if (run >= RUNS_MIN && (double)(after - begin) > limit_ms * 1e6) break;
    }
    *ns = (double)best;
    return NULL;
}

tn_status tn_measure(const tn_tactic *tactic, const tn_problem *p, tn_pool *pool, double limit_ms,
                     double *ns)
{
    size_t one = TN_MAX(bytes_touched(tactic, p), (size_t)1);
    size_t cache = TN_MAX(tn_cpu_cache_bytes(2), (size_t)1 << 20);
    size_t count = TN_MIN(2 * cache / one + 2, (size_t)SETS_MAX);
    while (count > 1 && one > SET_BYTES_MAX / count) count--;
    set sets[SETS_MAX] = {0};
    tn_arena arena, text;
    tn_status status = NULL;
    tn_arena_init(&arena);
    tn_arena_init(&text);
    for (size_t i = 0; i < count && !status; i++)
        status = make_set(tactic, p, pool, &arena, &sets[i]);
    if (!status) status = run_sets(tactic, sets, (int)count, limit_ms, &text, ns);
    tn_arena_fini(&text);
    tn_arena_fini(&arena);
    return status ? tn_status_trail(status, __FILE__, __LINE__, __func__) : NULL;
}
