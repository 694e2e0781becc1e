/* RecurrentStack against what it stands for: LSTM and GRU, layer by layer. The reference and every
 * kernel of this machine, on one thread and on several, packed for other sizes than those of the
 * run. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/cpu/cpu.h"
#include "base/cpu.h"
#include "ops/recurrent_stack/recurrent_stack.h"
#include "ops/reference.h"

enum { TEXT = 1024 };

typedef struct sizes {
    int seq, batch, input, hidden, layers, directions;
    bool is_gru, batch_first, has_h0, has_c0;
} sizes;

static const sizes table[] = {
    {1, 3, 10, 20, 3, 2, false, false, true, true},
    {7, 2, 3, 5, 2, 2, false, true, false, true},
    {9, 1, 2, 6, 3, 2, false, true, false, false},
    {70, 1, 4, 33, 2, 1, false, false, true, false},
    {5, 13, 6, 18, 2, 2, false, true, true, true},
    {3, 7, 17, 1, 2, 2, false, false, true, true},
    {4, 33, 5, 64, 1, 1, false, false, false, false},
    {40, 2, 8, 70, 2, 2, false, false, true, true},
    {3, 4, 2, 130, 1, 2, false, true, true, true},
    {0, 2, 3, 5, 2, 1, false, false, true, true},
    {0, 2, 3, 5, 1, 2, false, true, false, false},
    {2, 0, 3, 5, 2, 2, false, false, true, true},
    {6, 5, 4, 13, 3, 2, true, false, true, false},
    {1, 1, 3, 20, 2, 1, true, false, false, false},
    {66, 1, 3, 35, 2, 2, true, true, true, false},
    {8, 9, 2, 2, 2, 2, true, true, true, false},
    {0, 3, 2, 4, 2, 1, true, false, true, false},
};

typedef struct run {
    sizes s;
    tn_arena arena;
    tn_problem stack;
    tn_tensor want[3]; /* Y, Y_h, Y_c of the chain */
} run;

static void ok(tn_status status)
{
    char text[2000];
    if (!status) return;
    tn_status_text(status, true, text, sizeof text);
    fail_msg("%s", text);
}

static void *memory(tn_arena *arena, size_t bytes)
{
    char *at = tn_arena_alloc(arena, bytes + TN_ALIGNMENT);
    assert_non_null(at);
    at = (char *)tn_align_up((uintptr_t)at, TN_ALIGNMENT);
    memset(at, 0x7f, bytes);
    return at;
}

static void fill(tn_arena *arena, tn_tensor *t, double size, uint64_t *seed)
{
    float *to = t->data = memory(arena, (size_t)tn_tensor_bytes(t));
    for (int64_t i = 0; i < tn_tensor_count(t); i++) {
        *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        to[i] = (float)(size * ((double)(*seed >> 33) / (double)(1u << 30) - 1));
    }
}

static char *add_text(char *at, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int used = vsnprintf(at, TEXT, format, list);
    va_end(list);
    return at + used;
}

static const char *text_of(run *r)
{
    const sizes *s = &r->s;
    int rows = (s->is_gru ? 3 : 4) * s->hidden, all = s->layers * s->directions;
    bool swap = s->batch_first;
    char *text = memory(&r->arena, 4 * TEXT), *at = text;
    at = add_text(at, "RecurrentStack{mode=%s, hidden_size=%d, layers=%d, directions=%d, ",
                  s->is_gru ? "gru" : "lstm", s->hidden, s->layers, s->directions);
    at = add_text(at, "batch_first=%d, linear_before_reset=%d} f32[%d,%d,%d]", swap, s->is_gru,
                  swap ? s->batch : s->seq, swap ? s->seq : s->batch, s->input);
    for (int i = 0; i < 2; i++)
        if (i ? s->has_c0 : s->has_h0)
            at = add_text(at, " f32[%d,%d,%d]", all, s->batch, s->hidden);
        else at = add_text(at, " none");
    for (int l = 0; l < s->layers; l++)
        at = add_text(at, " f32[%d,%d,%d]! f32[%d,%d,%d]! f32[%d,%d]!", s->directions, rows,
                      l ? s->directions * s->hidden : s->input, s->directions, rows, s->hidden,
                      s->directions, 2 * rows);
    add_text(at, " -> %d", s->is_gru ? 2 : 3);
    return text;
}

/* [T, B, n] and [B, T, n] into each other. */
static float *swapped(run *r, const float *from, int a, int b, int n)
{
    float *to = memory(&r->arena, (size_t)(a * b * n) * sizeof(float));
    for (int i = 0; i < a; i++)
        for (int k = 0; k < b; k++)
            for (int u = 0; u < n; u++) to[(k * a + i) * n + u] = from[(i * b + k) * n + u];
    return to;
}

/* Layer l on x [T, B, in]: its Y as [T, B, D * H]; its states go into want. */
static float *run_layer(run *r, int l, float *x)
{
    const sizes *s = &r->s;
    const tn_tensor *in = r->stack.in;
    int rows = (s->is_gru ? 3 : 4) * s->hidden, d = s->directions, one = d * s->batch * s->hidden;
    char text[TEXT], *at = text;
    tn_problem p;
    at = add_text(at, "%s{hidden_size=%d, direction=%s%s}", s->is_gru ? "GRU" : "LSTM", s->hidden,
                  d == 2 ? "bidirectional" : "forward", s->is_gru ? ", linear_before_reset=1" : "");
    at = add_text(at, " f32[%d,%d,%d] f32[%d,%d,%d] f32[%d,%d,%d] f32[%d,%d] none", s->seq,
                  s->batch, l ? d * s->hidden : s->input, d, rows, l ? d * s->hidden : s->input, d,
                  rows, s->hidden, d, 2 * rows);
    for (int i = 0; i < (s->is_gru ? 1 : 2); i++)
        if (i ? s->has_c0 : s->has_h0) at = add_text(at, " f32[%d,%d,%d]", d, s->batch, s->hidden);
        else at = add_text(at, " none");
    add_text(at, " -> %d", s->is_gru ? 2 : 3);
    ok(tn_problem_parse(text, &r->arena, &p));
    p.in[0].data = x;
    for (int i = 0; i < 3; i++) p.in[1 + i].data = in[TN_STACK_WEIGHTS + 3 * l + i].data;
    for (int i = 0; i < (s->is_gru ? 1 : 2); i++)
        if (p.in[5 + i].dtype) p.in[5 + i].data = (float *)in[TN_STACK_H0 + i].data + l * one;
    ok(tn_problem_run_reference(&p, &r->arena));
    for (int i = 1; i < p.out_count && one; i++)
        memcpy((float *)r->want[i].data + l * one, p.out[i].data, (size_t)one * sizeof(float));
    const float *y = p.out[0].data;
    float *to = memory(&r->arena, (size_t)(s->seq * one) * sizeof(float));
    for (int t = 0; t < s->seq; t++) {
        float *turned = swapped(r, y + t * one, d, s->batch, s->hidden);
        if (one) memcpy(to + t * one, turned, (size_t)one * sizeof(float));
    }
    return to;
}

static void begin(run *r, const sizes *s)
{
    uint64_t seed = (uint64_t)s->hidden;
    memset(r, 0, sizeof *r);
    r->s = *s;
    tn_arena_init(&r->arena);
    ok(tn_problem_parse(text_of(r), &r->arena, &r->stack));
    for (int i = 0; i < r->stack.in_count; i++)
        if (r->stack.in[i].dtype)
            fill(&r->arena, &r->stack.in[i], i < TN_STACK_WEIGHTS ? 1 : 1 / sqrt(s->hidden), &seed);
    ok(tn_problem_infer(&r->stack, &r->arena));
    for (int i = 0; i < r->stack.out_count; i++) {
        r->want[i] = r->stack.out[i];
        r->want[i].data = memory(&r->arena, (size_t)tn_tensor_bytes(&r->want[i]));
    }
    float *x = r->stack.in[0].data;
    if (s->batch_first) x = swapped(r, x, s->batch, s->seq, s->input);
    for (int l = 0; l < s->layers; l++) x = run_layer(r, l, x);
    if (s->batch_first) x = swapped(r, x, s->seq, s->batch, s->directions * s->hidden);
    r->want[0].data = x;
}

static void end(run *r)
{
    tn_arena_fini(&r->arena);
}

static void launch(run *r, const tn_tactic *t, const void *packed, tn_pool *pool, tn_tensor *out)
{
    tn_problem p = r->stack;
    p.out = out;
    tn_launch l = {.problem = &p, .packed = packed, .pool = pool};
    for (int i = 0; i < p.out_count; i++)
        if (out[i].dtype) out[i].data = memory(&r->arena, (size_t)tn_tensor_bytes(&out[i]));
    l.scratch = memory(&r->arena, t->scratch_bytes ? t->scratch_bytes(&p) : 0);
    ok(t->launch(&l));
}

static void compare(const run *r, const tn_tactic *t, const tn_tensor *got)
{
    double most = t->precision == TN_PRECISION_F32 ? 5e-6 : 2e-2;
    for (int i = 0; i < r->stack.out_count; i++)
        for (int64_t k = 0; got[i].dtype && k < tn_tensor_count(&got[i]); k++) {
            double a = ((const float *)got[i].data)[k], b = ((const float *)r->want[i].data)[k];
            if (!(fabs(a - b) <= most * fmax(1, fabs(b))))
                fail_msg("%s, T %d, B %d, H %d: output %d, element %lld is %.9g, not %.9g", t->name,
                         r->s.seq, r->s.batch, r->s.hidden, i, (long long)k, a, b);
        }
}

/* What a kernel packs hangs on the weights alone: those of one step of one row will do. */
static void *pack(run *r, const tn_tactic *t)
{
    sizes s = r->s;
    run other = {.s = s, .arena = r->arena};
    other.s.seq = other.s.batch = 1;
    tn_problem one;
    ok(tn_problem_parse(text_of(&other), &other.arena, &one));
    ok(tn_problem_infer(&one, &other.arena));
    r->arena = other.arena;
    for (int i = TN_STACK_WEIGHTS; i < one.in_count; i++) one.in[i].data = r->stack.in[i].data;
    assert_int_equal(t->packed_bytes(&one), t->packed_bytes(&r->stack));
    void *packed = memory(&r->arena, t->packed_bytes(&one));
    ok(t->pack(&one, packed));
    return packed;
}

static void check_kernel(run *r, const tn_tactic *t)
{
    tn_tensor first[3], got[3];
    const void *packed = t->packed_bytes ? pack(r, t) : NULL;
    memcpy(first, r->stack.out, (size_t)r->stack.out_count * sizeof *first);
    launch(r, t, packed, NULL, first);
    compare(r, t, first);
    for (int threads = 2; threads <= 3; threads++) {
        tn_pool *pool;
        ok(tn_pool_new(threads, &pool));
        memcpy(got, r->stack.out, (size_t)r->stack.out_count * sizeof *got);
        launch(r, t, packed, pool, got);
        tn_pool_free(pool);
        for (int i = 0; i < r->stack.out_count; i++)
            assert_memory_equal(got[i].data, first[i].data, tn_tensor_bytes(&got[i]));
    }
    for (int i = 0; i < r->stack.out_count; i++) { /* outputs that nobody asked for */
        memcpy(got, r->stack.out, (size_t)r->stack.out_count * sizeof *got);
        got[i].dtype = TN_DTYPE_NONE;
        launch(r, t, packed, NULL, got);
        compare(r, t, got);
    }
}

/* Each kernel that this CPU has meets every problem that it does not refuse (tiles want many
 * units): some at least. */
static void test_kernels(void **state)
{
    int kernels = 0;
    (void)state;
    for (const tn_tactic *const *t = tn_backend_cpu.tactics(); *t; t++) {
        if (strcmp((*t)->op, "RecurrentStack") || ((*t)->needs & ~tn_cpu_features())) continue;
        int accepted = 0;
        for (size_t i = 0; i < TN_COUNT(table); i++) {
            run r;
            begin(&r, &table[i]);
            if (!(*t)->accepts || !(*t)->accepts(&r.stack)) {
                check_kernel(&r, *t);
                accepted++;
            }
            end(&r);
        }
        if (!accepted) fail_msg("%s refuses everything", (*t)->name);
        kernels += accepted;
    }
    assert_true(kernels >= 2 * (int)TN_COUNT(table)); /* the reference and a kernel at least */
}

/* Long steps of two directions: a thread for each. */
static void test_long_steps(void **state)
{
    static const sizes big = {3, 2, 8, 200, 2, 2, false, false, true, true};
    run r;
    (void)state;
    begin(&r, &big);
    for (const tn_tactic *const *t = tn_backend_cpu.tactics(); *t; t++)
        if (!strcmp((*t)->op, "RecurrentStack") && !((*t)->needs & ~tn_cpu_features()))
            check_kernel(&r, *t);
    end(&r);
}

static void test_refusals(void **state)
{
    static const char *const wrong[] = {
        "RecurrentStack{hidden_size=2} f32[3,1,2] none none f32[1,8,2] f32[1,8,2]",
        "RecurrentStack{hidden_size=2} f32[3,1,3] none none f32[1,8,2] f32[1,8,2] f32[1,16]",
        "RecurrentStack{hidden_size=2, layers=2} f32[3,1,2] none none f32[1,8,2] f32[1,8,2] "
        "f32[1,16]",
        "RecurrentStack{hidden_size=2} f32[3,1,2] f32[1,2,2] none f32[1,8,2] f32[1,8,2] f32[1,16]",
        "RecurrentStack{hidden_size=2, directions=3} f32[3,1,2] none none f32[3,8,2] f32[3,8,2] "
        "f32[3,16]",
        "RecurrentStack{mode=gru, hidden_size=1} f32[3,1,2] none f32[1,1,1] f32[1,3,2] f32[1,3,1] "
        "f32[1,6]",
        "RecurrentStack f32[3,1,2] none none f32[1,8,2] f32[1,8,2] f32[1,16]",
        "RecurrentStack{hidden_size=2} f32[3,2] none none f32[1,8,2] f32[1,8,2] f32[1,16]",
    };
    (void)state;
    for (size_t i = 0; i < TN_COUNT(wrong); i++) {
        tn_arena arena;
        tn_problem p;
        tn_arena_init(&arena);
        if (!tn_problem_parse(wrong[i], &arena, &p)) fail_msg("accepted: %s", wrong[i]);
        tn_arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_long_steps),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
