/* A card made up for tests of plans: its memory is the host's at addresses that the host cannot
 * use, its kernels are the reference kernels behind a translation, its recordings lists of
 * launches. Work is done as late as a card may do it: when it is waited for. So what reads or
 * writes the wrong side crashes, and what does not wait is found out, without any card. */
#ifndef TN_TEST_FAKE_CARD_H
#define TN_TEST_FAKE_CARD_H

#include "engine_help.h"

#include "backends/cpu/cpu.h"
#include "build/stage.h"
#include "ops/reference.h"

#define FAR (UINT64_C(1) << 62) /* of an address of the card */
enum { ACTIONS_MAX = 64 };

typedef struct action {
    const tn_launch *launch; /* or a copy */
    void *to;
    const void *from;
    size_t bytes;
    bool coarse; /* the launch of a kernel whose results are one in a hundred too large */
} action;

typedef struct recording {
    action at[ACTIONS_MAX];
    int count;
} recording;

typedef struct queue {
    action at[1024];
    int count;
} queue;

typedef struct fake_stream {
    recording *open;
    queue own, *lent; /* lent by the caller, else NULL */
} fake_stream;

static int launches, replays, records, blocks, foreseen, taken, refused_dim = -1;
static const char *cannot_make; /* an operator without code */
static tn_card the_card;

static void *near_pointer(const void *at)
{
    return (void *)((uintptr_t)at & ~FAR);
}

static tn_status card_open(int ordinal, tn_card **out)
{
    (void)ordinal;
    *out = &the_card;
    return NULL;
}

static tn_status card_alloc(tn_card *card, bool host, size_t bytes, void **out)
{
    assert_ptr_equal(card, &the_card);
    uint8_t *at = tn_alloc_sized(bytes + 1);
    assert_non_null(at);
    memset(at, 0xA5, bytes);
    blocks++;
    *out = host ? (void *)at : (void *)((uintptr_t)at | FAR);
    return NULL;
}

static void card_free(tn_card *card, bool host, void *at)
{
    (void)card;
    if (!at) return;
    assert_true(host == !((uintptr_t)at & FAR));
    blocks--;
    tn_free_sized(near_pointer(at));
}

static tn_status stream_new(tn_card *card, void **out)
{
    (void)card;
    *out = tn_alloc_zero(sizeof(fake_stream));
    return NULL;
}

static void stream_free(void *stream)
{
    tn_free(stream, sizeof(fake_stream));
}

static tn_status run_launch(const tn_launch *l, bool coarse)
{
    const tn_problem *p = l->problem;
    tn_tensor in[8], out[8];
    tn_problem moved = *p;
    tn_launch here = *l;
    moved.in = in;
    moved.out = out;
    for (int32_t i = 0; i < p->in_count; i++) {
        in[i] = p->in[i];
        in[i].data = near_pointer(in[i].data);
    }
    for (int32_t i = 0; i < p->out_count; i++) {
        out[i] = p->out[i];
        out[i].data = near_pointer(out[i].data);
    }
    here.problem = &moved;
    here.stream = NULL;
    launches++;
    const tn_tactic *reference = tn_tactic_reference(&tn_backend_cpu, p->op);
    here.scratch =
        tn_alloc_sized(reference->scratch_bytes ? reference->scratch_bytes(&moved) + 1 : 1);
    tn_status status = reference->launch(&here);
    tn_free_sized(here.scratch);
    for (int64_t i = 0; coarse && !status && i < tn_tensor_count(&out[0]); i++)
        ((float *)out[0].data)[i] *= 1.01f;
    return status;
}

static queue *queue_of(fake_stream *s)
{
    return s->lent ? s->lent : &s->own;
}

static tn_status put(fake_stream *s, action a)
{
    queue *q = queue_of(s);
    if (s->open) {
        assert_null(s->lent); /* nobody else's work is recorded */
        assert_in_range(s->open->count, 0, ACTIONS_MAX - 1);
        s->open->at[s->open->count++] = a;
        return NULL;
    }
    assert_in_range(q->count, 0, TN_COUNT(q->at) - 1);
    q->at[q->count++] = a;
    return NULL;
}

static tn_status do_queue(queue *q)
{
    for (int i = 0; i < q->count; i++) {
        const action *a = &q->at[i];
        if (a->launch) TN_TRY(run_launch(a->launch, a->coarse));
        else memcpy(near_pointer(a->to), near_pointer(a->from), a->bytes);
    }
    q->count = 0;
    return NULL;
}

static void stream_use(void *stream, void *lent)
{
    ((fake_stream *)stream)->lent = lent;
}

static tn_status copy(void *stream, void *to, const void *from, size_t bytes)
{
    return put(stream, (action){.to = to, .from = from, .bytes = bytes});
}

static tn_status fill(void *stream, void *to, uint8_t value, size_t bytes)
{
    (void)stream;
    memset(near_pointer(to), value, bytes);
    return NULL;
}

static tn_status wait_stream(void *stream)
{
    assert_null(((fake_stream *)stream)->open);
    return do_queue(queue_of(stream));
}

static tn_status record_begin(void *stream)
{
    fake_stream *s = stream;
    assert_null(s->open);
    s->open = tn_alloc_zero(sizeof(recording));
    records++;
    return NULL;
}

static tn_status record_end(void *stream, void **out)
{
    fake_stream *s = stream;
    assert_non_null(out);
    *out = s->open;
    s->open = NULL;
    return NULL;
}

static tn_status replay(void *stream, void *at)
{
    const recording *r = at;
    replays++;
    for (int i = 0; i < r->count; i++) TN_TRY(put(stream, r->at[i]));
    return NULL;
}

static void record_free(void *at)
{
    tn_free(at, sizeof(recording));
}

static tn_status mark(void *stream, int which)
{
    (void)stream;
    (void)which;
    return NULL;
}

static tn_status elapsed_ns(void *stream, double *ns)
{
    *ns = 1;
    return wait_stream(stream);
}

/* A code for each tactic. */
static tn_status foresee(tn_card *card, tn_card_work *work, int64_t count, tn_pool *pool,
                         tn_card_codes *codes)
{
    (void)card;
    (void)pool;
    foreseen += (int)count;
    for (int64_t i = 0; cannot_make && i < count; i++)
        work[i].missing = !strcmp(work[i].tactic->op, cannot_make);
    for (int64_t i = 0; codes && i < count; i++) {
        bool there = false;
        for (int64_t k = 0; k < codes->count; k++)
            there |= !strcmp(codes->at[k].name, work[i].tactic->name);
        if (there) continue;
        TN_TRY(tn_arena_grow(codes->arena, &codes->at, codes->count, &codes->capacity,
                             codes->count + 1, sizeof(*codes->at)));
        codes->at[codes->count++] = (tn_card_code){work[i].tactic->name, "code", 4};
    }
    return NULL;
}

/* Another for each. */
static tn_status add_portable(tn_card *card, tn_pool *pool, tn_card_codes *codes)
{
    int64_t count = codes->count;
    (void)card;
    (void)pool;
    TN_TRY(tn_arena_grow(codes->arena, &codes->at, count, &codes->capacity, 2 * count,
                         sizeof(*codes->at)));
    for (int64_t i = 0; i < count; i++) {
        char *name = tn_arena_printf(codes->arena, "a later %s", codes->at[i].name);
        codes->at[codes->count++] = (tn_card_code){name, "code", 4};
    }
    return NULL;
}

static tn_status take_code(tn_card *card, const tn_card_code *code, int64_t count)
{
    (void)card;
    for (int64_t i = 0; i < count; i++) assert_memory_equal(code[i].bytes, "code", 4);
    taken += (int)count;
    return NULL;
}

static tn_verdict accepts(const tn_problem *p)
{
    for (int axis = 0; axis < p->in[0].rank; axis++)
        if (p->in[0].dim[axis] == refused_dim) return TN_NO("the tester says so");
    return TN_YES;
}

static tn_status launch(const tn_launch *l)
{
    assert_non_null(l->stream);
    return put(l->stream, (action){.launch = l});
}

static tn_status launch_coarse(const tn_launch *l)
{
    return put(l->stream, (action){.launch = l, .coarse = true});
}

#define TACTIC(op_name)                                                                            \
    {                                                                                              \
        .name = "fake." op_name ".any", .op = op_name, .revision = 1, .accepts = accepts,          \
        .launch = launch                                                                           \
    }
static const tn_tactic kernels[] = {TACTIC("Relu"), TACTIC("Add"), TACTIC("MatMul"), TACTIC("Neg"),
                                    TACTIC("Slice")};
static const tn_tactic large = {
    .name = "fake.Neg.large", .op = "Neg", .revision = 1, .accepts = accepts, .launch = launch};
static const tn_tactic coarse = {.name = "fake.Neg.coarse",
                                 .op = "Neg",
                                 .revision = 1,
                                 .precision = TN_PRECISION_TF32,
                                 .accepts = accepts,
                                 .launch = launch_coarse};
static const tn_tactic *const table[] = {&kernels[0], &kernels[1], &kernels[2], &kernels[3],
                                         &kernels[4], &large,      &coarse,     NULL};

static const tn_tactic *const *tactics(void)
{
    return table;
}

/* Two launches as one, where nobody else reads what lies between: here, one by one. */
static bool joins;
static int joined;

static tn_status together(void *stream, const tn_launch *const *l, int count, uint64_t hidden,
                          int *first)
{
    *first = 0;
    if (!joins || count < 2 || !(hidden & 1)) return NULL;
    assert_true(l[1]->problem->in[0].data == l[0]->problem->out[0].data);
    joined++;
    *first = 2;
    for (int i = 0; i < 2; i++) TN_TRY(put(stream, (action){.launch = l[i]}));
    return NULL;
}

static const tn_card_calls calls = {
    .open = card_open,
    .alloc = card_alloc,
    .free = card_free,
    .stream_new = stream_new,
    .stream_free = stream_free,
    .stream_use = stream_use,
    .copy = copy,
    .fill = fill,
    .wait = wait_stream,
    .record_begin = record_begin,
    .record_end = record_end,
    .replay = replay,
    .record_free = record_free,
    .together = together,
    .mark = mark,
    .elapsed_ns = elapsed_ns,
    .foresee = foresee,
    .take_code = take_code,
    .add_portable = add_portable,
};
static const tn_backend fake_backend = {.name = "fake", .tactics = tactics, .card = &calls};
static tn_card the_card = {.backend = &fake_backend, .info = {.name = "a card made up"}};

#endif
