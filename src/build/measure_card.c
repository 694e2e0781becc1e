/* How long does a tactic take on a card? A recording of one launch for each of several sets of
 * buffers, more than the card's cache holds where memory allows, is replayed between two marks: no
 * launch waits for the host, and weights come from memory as they do in a network. The best of the
 * replays, divided by the number of launches, is the answer. */
#include <string.h>

#include "base/log.h"
#include "build/stage.h"

enum { SETS_MAX = 16, LAUNCHES_MIN = 8, REPLAYS_MIN = 3, REPLAYS_MAX = 25 };
#define CACHE_BYTES ((size_t)50 << 20)
#define SETS_BYTES_MAX ((size_t)2 << 30)
#define ALIGNMENT 256

typedef struct set {
    tn_problem problem;
    tn_launch launch;
} set;

typedef struct bench {
    tn_card *card;
    const tn_card_calls *calls;
    void *stream;
    const tn_tactic *tactic;
    tn_arena arena;
    void *memory;  /* of all sets */
    void *staging; /* the host's, of one set */
    void *recording;
    size_t set_bytes;
    set at[SETS_MAX];
    int count;
} bench;

static size_t take(size_t *total, size_t bytes)
{
    size_t at = *total;
    *total += tn_align_up(bytes, ALIGNMENT);
    return at;
}

static size_t bytes_of(const tn_tensor *t)
{
    return t->dtype == TN_DTYPE_NONE ? 0 : (size_t)tn_tensor_bytes(t);
}

static tn_status fill_input(const tn_tensor *in, bool constant, uint64_t seed, void *staging)
{
    tn_tensor t = *in;
    size_t bytes = bytes_of(in);
    t.data = staging;
    if (constant && in->data) {
        memcpy(staging, in->data, bytes);
        return NULL;
    }
    memset(staging, 0, bytes); /* zeros are safe indices; floats are random */
    if (tn_dtype_kind_of(t.dtype) != TN_KIND_F) return NULL;
    return tn_tensor_fill_random(&t, seed, -1, 1);
}

/* The pointers of one set; with `fill`, its data, which is the same for all and made for the first.
 */
static tn_status make_set(bench *b, const tn_problem *p, char *base, bool fill, set *s)
{
    size_t total = 0;
    size_t packed = b->tactic->packed_bytes ? b->tactic->packed_bytes(p) : 0;
    size_t scratch = b->tactic->scratch_bytes ? b->tactic->scratch_bytes(p) : 0;
    char *staging = b->staging;
    bool first = fill && s == &b->at[0];
    s->problem = *p;
    s->problem.in = TN_NEW_ARRAY(&b->arena, tn_tensor, p->in_count);
    s->problem.out = TN_NEW_ARRAY(&b->arena, tn_tensor, p->out_count);
    TN_CHECK(s->problem.in && s->problem.out, TN_OUT_OF_MEMORY, "no memory to measure");
    for (int32_t i = 0; i < p->in_count; i++) {
        bool constant = i < 64 && (p->in_constant >> i & 1);
        size_t at = take(&total, bytes_of(&p->in[i]));
        s->problem.in[i] = p->in[i];
        if (p->in[i].dtype == TN_DTYPE_NONE) continue;
        s->problem.in[i].data = base + at;
        if (first) TN_TRY(fill_input(&p->in[i], constant, (uint64_t)i + 1, staging + at));
    }
    if (packed) {
        size_t at = take(&total, packed);
        s->launch.packed = base + at;
        if (first) {
            memset(staging + at, 0, packed);
            TN_TRY(b->tactic->pack(p, staging + at));
        }
    }
    if (fill) TN_TRY(b->calls->copy(b->stream, base, staging, total));
    for (int32_t i = 0; i < p->out_count; i++) {
        size_t at = take(&total, bytes_of(&p->out[i]));
        s->problem.out[i] = p->out[i];
        s->problem.out[i].data = p->out[i].dtype == TN_DTYPE_NONE ? NULL : base + at;
    }
    size_t at = take(&total, scratch);
    s->launch.scratch = scratch ? base + at : NULL;
    s->launch.problem = &s->problem;
    s->launch.stream = b->stream;
    b->set_bytes = total;
    return NULL;
}

static tn_status make_sets(bench *b, const tn_problem *p)
{
    set dry = {0};
    TN_TRY(make_set(b, p, NULL, false, &dry)); /* how many bytes */
    size_t one = TN_MAX(b->set_bytes, (size_t)1), count = 2 * CACHE_BYTES / one + 2;
    count = TN_MIN(count, (size_t)SETS_MAX);
    while (count > 1 && one > SETS_BYTES_MAX / count) count--;
    TN_TRY(b->calls->alloc(b->card, true, one, &b->staging));
    TN_TRY(b->calls->alloc(b->card, false, one * count, &b->memory));
    b->count = (int)count;
    for (int i = 0; i < b->count; i++)
        TN_TRY(make_set(b, p, (char *)b->memory + one * (size_t)i, true, &b->at[i]));
    return b->calls->wait(b->stream);
}

static tn_status launch_all(const bench *b, int launches)
{
    for (int i = 0; i < launches; i++) TN_TRY(b->tactic->launch(&b->at[i % b->count].launch));
    return NULL;
}

static tn_status run(bench *b, double limit_ms, double *ns)
{
    int launches = TN_MAX(b->count, LAUNCHES_MIN);
    double best = 0;
    TN_TRY(launch_all(b, 1)); /* compiles */
    TN_TRY(b->calls->wait(b->stream));
    TN_TRY(b->calls->record_begin(b->stream));
    tn_status status = launch_all(b, launches);
    if (status) {
        b->calls->record_end(b->stream, NULL);
        return status;
    }
    TN_TRY(b->calls->record_end(b->stream, &b->recording));
    uint64_t begin = tn_clock_ns();
    for (int i = 0; i < REPLAYS_MAX; i++) {
        double took;
        TN_TRY(b->calls->mark(b->stream, 0));
        TN_TRY(b->calls->replay(b->stream, b->recording));
        TN_TRY(b->calls->mark(b->stream, 1));
        TN_TRY(b->calls->elapsed_ns(b->stream, &took));
        if (i == 0) continue; /* the first one warms up */
        best = i == 1 ? took : TN_MIN(best, took);
        if (i >= REPLAYS_MIN && (double)(tn_clock_ns() - begin) > limit_ms * 1e6) break;
    }
    *ns = best / launches;
    return NULL;
}

tn_status tn_measure_card(const tn_tactic *tactic, const tn_problem *p, tn_card *card, void *stream,
                          double limit_ms, double *ns)
{
    bench b = {.card = card, .calls = card->backend->card, .stream = stream, .tactic = tactic};
    tn_arena_init(&b.arena);
    tn_status status = make_sets(&b, p);
    if (!status) status = run(&b, limit_ms, ns);
    if (status) b.calls->wait(stream);
    if (b.recording) b.calls->record_free(b.recording);
    b.calls->free(card, false, b.memory);
    b.calls->free(card, true, b.staging);
    tn_arena_fini(&b.arena);
    return status ? tn_status_trail(status, __FILE__, __LINE__, __func__) : NULL;
}
