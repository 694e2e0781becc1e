/* How long does a tactic take on a card? A recording of one launch for each of several sets of
 * buffers is replayed between two marks: no launch waits for the host. Together the sets are more
 * than the card's cache holds, where memory allows and they are not so small that a whole network
 * of them would stay there; so weights come from memory, as they do in a network. The best of the
 * replays, divided by the number of launches, is the answer.
 *
 * In a network a launch stands between others, and a kernel that begins while the one ahead still
 * runs gains by that. So a small kernel that lets others overlap with it goes behind each launch,
 * and what it takes among its like is deducted in the end.
 *
 * Memory and data stay from one tactic to the next: all tactics for a problem read the same. */
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "build/stage.h"
#include "ops/reference.h"

enum { SETS_MIN = 8, SETS_MAX = 64, REPLAYS_MIN = 3, REPLAYS_MAX = 25 };
#define CACHE_BYTES ((size_t)50 << 20)
#define SETS_BYTES_MAX ((size_t)2 << 30)
#define RANDOM_BYTES ((size_t)256 << 10)
#define ALIGNMENT 256
#define NEIGHBOUR "Relu f32[32768]"
#define SHARE_MIN 0.1     /* of a launch and its neighbour, whatever the latter takes elsewhere */
#define REPLAY_NS_MAX 2e7 /* fewer launches of what takes long: some are hundreds of kernels */

typedef struct piece {
    tn_card *card; /* NULL: plain memory */
    void *at;
    size_t bytes;
} piece;

typedef struct set {
    tn_problem problem;
    tn_launch launch;
} set;

struct tn_card_bench {
    tn_card *card;
    const tn_card_calls *calls;
    void *stream;
    piece tensors, extras, staging; /* of all sets: operands; packed weights and scratch */
    struct {
        const tn_tactic *tactic; /* NULL: there is none */
        tn_arena arena;
        piece memory;
        set set;
        double ns;
    } neighbour;
    uint64_t problem; /* hash of the one whose data is in `tensors` */
    tn_status (*packer)(const tn_problem *, void *); /* whose weights of it are in `extras` ... */
    size_t packed_step;                              /* ... at every so many bytes */
    const tn_tactic *tactic;
    tn_arena arena;
    void *recording;
    set at[SETS_MAX];
    int count;
};

/* ---- Memory ----------------------------------------------------------------------------------*/

static void piece_free(piece *p)
{
    if (p->card) p->card->backend->card->free(p->card, false, p->at);
    else tn_free(p->at, p->bytes);
    p->at = NULL;
    p->bytes = 0;
}

static tn_status piece_grow(piece *p, size_t bytes, bool *moved)
{
    *moved = bytes > p->bytes;
    if (!*moved) return NULL;
    piece_free(p);
    if (p->card) TN_TRY(p->card->backend->card->alloc(p->card, false, bytes, &p->at));
    else p->at = tn_alloc(bytes);
    TN_CHECK(p->at, TN_OUT_OF_MEMORY, "no memory for %zu bytes to measure with", bytes);
    p->bytes = bytes;
    return NULL;
}

void tn_card_bench_free(tn_card_bench *b)
{
    if (!b) return;
    piece_free(&b->tensors);
    piece_free(&b->extras);
    piece_free(&b->staging);
    piece_free(&b->neighbour.memory);
    tn_arena_fini(&b->neighbour.arena);
    b->calls->stream_free(b->stream);
    tn_arena_fini(&b->arena);
    tn_free(b, sizeof *b);
}

/* ---- Layout ----------------------------------------------------------------------------------*/

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

static size_t tensors_bytes(const tn_problem *p)
{
    size_t total = 0;
    for (int32_t i = 0; i < p->in_count; i++) take(&total, bytes_of(&p->in[i]));
    for (int32_t i = 0; i < p->out_count; i++) take(&total, bytes_of(&p->out[i]));
    return TN_MAX(total, (size_t)ALIGNMENT);
}

static size_t packed_bytes(const tn_tactic *t, const tn_problem *p)
{
    return t->packed_bytes ? t->packed_bytes(p) : 0;
}

static size_t extras_bytes(const tn_tactic *t, const tn_problem *p)
{
    size_t total = 0;
    take(&total, packed_bytes(t, p));
    take(&total, t->scratch_bytes ? t->scratch_bytes(p) : 0);
    return total;
}

static void place(tn_tensor *t, char *base, size_t *total)
{
    size_t at = take(total, bytes_of(t));
    t->data = t->dtype == TN_DTYPE_NONE ? NULL : base + at;
}

static tn_status make_set(const tn_tactic *tactic, const tn_problem *p, char *tensors, char *extras,
                          tn_arena *arena, set *s)
{
    size_t total = 0, packed = packed_bytes(tactic, p), extra = 0;
    *s = (set){.problem = *p};
    s->problem.in = TN_NEW_ARRAY(arena, tn_tensor, p->in_count);
    s->problem.out = TN_NEW_ARRAY(arena, tn_tensor, p->out_count);
    TN_CHECK(s->problem.in && s->problem.out, TN_OUT_OF_MEMORY, "no memory to measure");
    for (int32_t i = 0; i < p->in_count; i++) {
        s->problem.in[i] = p->in[i];
        place(&s->problem.in[i], tensors, &total);
    }
    for (int32_t i = 0; i < p->out_count; i++) {
        s->problem.out[i] = p->out[i];
        place(&s->problem.out[i], tensors, &total);
    }
    take(&extra, packed);
    s->launch.packed = packed ? extras : NULL;
    s->launch.scratch = extras_bytes(tactic, p) > extra ? extras + extra : NULL;
    return NULL;
}

tn_status tn_card_bench_sketch(const tn_tactic *tactic, const tn_problem *p, tn_arena *arena,
                               const tn_launch **out)
{
    set *s = TN_NEW(arena, set);
    uintptr_t nowhere = (uintptr_t)1 << 40; /* addresses are only looked at */
    TN_CHECK(s, TN_OUT_OF_MEMORY, "no memory to look ahead");
    TN_TRY(make_set(tactic, p, (char *)nowhere, (char *)(nowhere << 1), arena, s));
    s->launch.problem = &s->problem;
    *out = &s->launch;
    return NULL;
}

/* ---- Data ------------------------------------------------------------------------------------*/

/* Floats are random; a piece of them is repeated, since that is all the same to a kernel. */
static tn_status fill_input(const tn_tensor *in, bool constant, uint64_t seed, char *dst)
{
    size_t bytes = bytes_of(in), done = TN_MIN(bytes, RANDOM_BYTES);
    if (constant && in->data) {
        memcpy(dst, in->data, bytes);
        return NULL;
    }
    memset(dst, 0, bytes); /* zeros are safe indices */
    if (tn_dtype_kind_of(in->dtype) != TN_KIND_F || bytes == 0) return NULL;
    tn_tensor t = {.dtype = in->dtype, .rank = 1, .data = dst};
    t.dim[0] = (int64_t)(done * 8 / (size_t)tn_dtype_bits(in->dtype));
    tn_tensor_set_dense(&t);
    TN_TRY(tn_tensor_fill_random(&t, seed, -1, 1));
    for (; done < bytes; done += TN_MIN(done, bytes - done))
        memcpy(dst + done, dst, TN_MIN(done, bytes - done));
    return NULL;
}

/* The first set's bytes, and from there to the others. */
static tn_status spread(tn_card_bench *b, const piece *p, size_t one, size_t bytes)
{
    char *base = p->at;
    if (!bytes) return NULL;
    TN_TRY(b->calls->copy(b->stream, base, b->staging.at, bytes));
    for (int i = 1; i < b->count; i++)
        TN_TRY(b->calls->copy(b->stream, base + one * (size_t)i, base, bytes));
    return b->calls->wait(b->stream); /* the staging is used again */
}

static tn_status fill_tensors(tn_card_bench *b, const tn_problem *p, size_t one)
{
    size_t total = 0;
    bool moved;
    TN_TRY(piece_grow(&b->staging, one, &moved));
    for (int32_t i = 0; i < p->in_count; i++) {
        bool constant = i < 64 && (p->in_constant >> i & 1);
        char *at = (char *)b->staging.at + take(&total, bytes_of(&p->in[i]));
        if (p->in[i].dtype != TN_DTYPE_NONE)
            TN_TRY(fill_input(&p->in[i], constant, (uint64_t)i + 1, at));
    }
    return spread(b, &b->tensors, one, total);
}

/* Tactics of a family pack alike: what the one before has packed stays. */
static tn_status fill_packed(tn_card_bench *b, const tn_problem *p, size_t one, bool stays)
{
    size_t bytes = packed_bytes(b->tactic, p);
    bool moved;
    if (bytes && stays && b->packer == b->tactic->pack && b->packed_step == one) return NULL;
    b->packer = NULL;
    if (!bytes) return NULL;
    TN_TRY(piece_grow(&b->staging, bytes, &moved));
    memset(b->staging.at, 0, bytes);
    TN_TRY(b->tactic->pack(p, b->staging.at));
    TN_TRY(spread(b, &b->extras, one, bytes));
    b->packer = b->tactic->pack;
    b->packed_step = one;
    return NULL;
}

static tn_status make_sets(tn_card_bench *b, const tn_problem *p)
{
    size_t one = tensors_bytes(p), extra = extras_bytes(b->tactic, p);
    size_t count = 2 * CACHE_BYTES / one + 2;
    uint64_t problem = tn_problem_hash(p);
    bool moved, moved_extras;
    if (count > SETS_MAX) count = SETS_MAX * one < CACHE_BYTES ? SETS_MIN : SETS_MAX;
    while (count > 1 && one + extra > SETS_BYTES_MAX / count) count--;
    TN_TRY(piece_grow(&b->tensors, one * count, &moved));
    TN_TRY(piece_grow(&b->extras, extra * count, &moved_extras));
    b->count = (int)count;
    for (int i = 0; i < b->count; i++) {
        set *s = &b->at[i];
        TN_TRY(make_set(b->tactic, p, (char *)b->tensors.at + one * (size_t)i,
                        (char *)b->extras.at + extra * (size_t)i, &b->arena, s));
        s->launch.problem = &s->problem;
        s->launch.stream = b->stream;
    }
    bool stays = !moved_extras && b->problem == problem;
    if (moved || b->problem != problem) TN_TRY(fill_tensors(b, p, one));
    b->problem = problem;
    return fill_packed(b, p, extra, stays);
}

/* ---- Time ------------------------------------------------------------------------------------*/

static tn_status launch_neighbour(const tn_card_bench *b)
{
    const tn_tactic *tactic = b->neighbour.tactic;
    return tactic ? tactic->launch(&b->neighbour.set.launch) : NULL;
}

static tn_status launch_all(const tn_card_bench *b, int launches)
{
    for (int i = 0; i < launches; i++) {
        if (b->tactic) TN_TRY(b->tactic->launch(&b->at[i % b->count].launch));
        TN_TRY(launch_neighbour(b));
    }
    return NULL;
}

static tn_status record(tn_card_bench *b, int *launches)
{
    double alone;
    TN_TRY(launch_all(b, 1)); /* compiles, if nobody has foreseen it */
    TN_TRY(b->calls->mark(b->stream, 0));
    TN_TRY(launch_all(b, 1));
    TN_TRY(b->calls->mark(b->stream, 1));
    TN_TRY(b->calls->elapsed_ns(b->stream, &alone));
    double most = REPLAY_NS_MAX / TN_MAX(alone, 1.0);
    if (*launches > most) *launches = TN_MAX((int)most, 1);
    TN_TRY(b->calls->record_begin(b->stream));
    tn_status status = launch_all(b, *launches);
    if (status) {
        b->calls->record_end(b->stream, NULL);
        return status;
    }
    return b->calls->record_end(b->stream, &b->recording);
}

/* Of one launch, with a neighbour. */
static tn_status run(tn_card_bench *b, int launches, double limit_ms, double *ns)
{
    double best = 0;
    TN_TRY(record(b, &launches));
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

static void end(tn_card_bench *b)
{
    if (b->recording) b->calls->record_free(b->recording);
    b->recording = NULL;
    b->tactic = NULL;
}

/* The card's first tactic for it, and what that takes. */
static tn_status find_neighbour(tn_card_bench *b)
{
    const tn_tactic *all[TN_CANDIDATES_MAX], *found = NULL;
    tn_problem p;
    TN_TRY(tn_problem_parse(NEIGHBOUR, &b->neighbour.arena, &p));
    int count =
        tn_tactics_of(b->card->backend, p.op, b->card->info.features, all, TN_CANDIDATES_MAX);
    for (int i = 0; i < count && !found; i++)
        if (!all[i]->packed_bytes && !all[i]->scratch_bytes &&
            (!all[i]->accepts || !all[i]->accepts(&p)))
            found = all[i];
    if (!found) return NULL;
    bool moved;
    set *s = &b->neighbour.set;
    TN_TRY(piece_grow(&b->neighbour.memory, tensors_bytes(&p), &moved));
    TN_TRY(make_set(found, &p, b->neighbour.memory.at, NULL, &b->neighbour.arena, s));
    s->launch.problem = &s->problem;
    s->launch.stream = b->stream;
    b->neighbour.tactic = found;
    tn_status status = run(b, SETS_MAX, 0, &b->neighbour.ns);
    end(b);
    if (!status) return NULL;
    b->neighbour.tactic = NULL;
    TN_TRY(tn_status_code(status) == TN_OUT_OF_MEMORY ? status : NULL);
    tn_log(TN_LOG_INFO, "tactics are measured without a neighbour: %s", tn_status_message(status));
    return NULL;
}

tn_status tn_card_bench_new(tn_card *card, tn_card_bench **out)
{
    tn_card_bench *b = tn_alloc_zero(sizeof *b);
    *out = NULL;
    TN_CHECK(b, TN_OUT_OF_MEMORY, "no memory to measure on a card");
    b->card = b->tensors.card = b->extras.card = card;
    b->calls = card->backend->card;
    b->neighbour.memory.card = card;
    tn_arena_init(&b->arena);
    tn_arena_init(&b->neighbour.arena);
    tn_status status = b->calls->stream_new(card, &b->stream);
    if (!status) status = find_neighbour(b);
    if (status) {
        tn_card_bench_free(b);
        return status;
    }
    *out = b;
    return NULL;
}

tn_status tn_measure_card(tn_card_bench *b, const tn_tactic *tactic, const tn_problem *p,
                          double limit_ms, double *ns)
{
    b->tactic = tactic;
    tn_status status = make_sets(b, p);
    if (!status) status = run(b, TN_MAX(b->count, SETS_MIN), limit_ms, ns);
    if (!status) *ns = TN_MAX(*ns - b->neighbour.ns, *ns * SHARE_MIN);
    if (status) {
        b->problem = 0;
        b->packer = NULL;
        b->calls->wait(b->stream);
    }
    end(b);
    tn_arena_rewind(&b->arena);
    return status ? tn_status_trail(status, __FILE__, __LINE__, __func__) : NULL;
}
