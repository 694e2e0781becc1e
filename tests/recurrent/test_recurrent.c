/* Replays cases.txt (made by make_cases.py with onnxruntime) through the reference and every kernel
 * of RNN, GRU and LSTM: the official suite has sequences of one step and equal weights only, and
 * cannot see a wrong gate order. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/cpu/cpu.h"
#include "base/cpu.h"
#include "base/file.h"
#include "ops/reference.h"

enum { LAYERS_MAX = 2, OUTPUTS_MAX = 3 };

typedef struct fixture {
    int number, layers;
    const char *layer[LAYERS_MAX];
    const char *expect;
} fixture;

/* make_cases.py has the same generator. */
static float draw(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return ((float)((*state >> 33) % 17) - 8) / 8;
}

static tn_status allocate(tn_arena *arena, tn_tensor *t)
{
    t->data = tn_arena_alloc(arena, (size_t)tn_tensor_bytes(t));
    TN_CHECK(t->data, TN_OUT_OF_MEMORY, "no memory for a tensor");
    return NULL;
}

static tn_status fill(tn_problem *p, uint64_t *state, tn_arena *arena)
{
    for (int i = 0; i < p->in_count; i++) {
        tn_tensor *t = &p->in[i];
        if (t->data || t->dtype == TN_DTYPE_NONE) continue;
        TN_TRY(allocate(arena, t));
        for (int64_t k = 0; k < tn_tensor_count(t); k++) ((float *)t->data)[k] = draw(state);
    }
    return NULL;
}

/* Y of the layer below, [seq, directions, batch, hidden], as X: [seq, batch, directions * hidden].
 */
static tn_status stack(const tn_tensor *y, tn_tensor *x, tn_arena *arena)
{
    int64_t seq = y->dim[0], directions = y->dim[1], batch = y->dim[2], hidden = y->dim[3];
    const float *src = y->data;
    TN_TRY(allocate(arena, x));
    for (int64_t i = 0; i < seq * directions * batch * hidden; i++) {
        int64_t h = i % hidden, b = i / hidden % batch, d = i / hidden / batch % directions;
        int64_t t = i / hidden / batch / directions;
        ((float *)x->data)[((t * batch + b) * directions + d) * hidden + h] = src[i];
    }
    return NULL;
}

static tn_status launch(const tn_tactic *t, tn_problem *p, tn_arena *arena)
{
    tn_launch l = {.problem = p};
    size_t scratch = t->scratch_bytes ? t->scratch_bytes(p) : 0;
    size_t packed = t->packed_bytes ? t->packed_bytes(p) : 0;
    if (packed) {
        void *block = tn_arena_alloc(arena, packed + TN_ALIGNMENT);
        TN_CHECK(block, TN_OUT_OF_MEMORY, "no memory for packed weights");
        block = (void *)tn_align_up((uintptr_t)block, TN_ALIGNMENT);
        TN_TRY(t->pack(p, block));
        l.packed = block;
    }
    if (scratch) {
        l.scratch = tn_arena_alloc(arena, scratch + TN_ALIGNMENT);
        TN_CHECK(l.scratch, TN_OUT_OF_MEMORY, "no memory for scratch");
        l.scratch = (void *)tn_align_up((uintptr_t)l.scratch, TN_ALIGNMENT);
        memset(l.scratch, 0x7f, scratch);
    }
    for (int i = 0; i < p->out_count; i++) {
        if (p->out[i].dtype == TN_DTYPE_NONE) continue;
        TN_TRY(allocate(arena, &p->out[i]));
        memset(p->out[i].data, 0x7f, (size_t)tn_tensor_bytes(&p->out[i]));
    }
    return t->launch(&l);
}

static tn_status parse_expected(const char *at, tn_arena *arena, tn_tensor *want, int *count)
{
    for (*count = 0; *at && *count < OUTPUTS_MAX; (*count)++) {
        bool constant;
        want[*count] = (tn_tensor){0};
        while (*at == ' ') at++;
        if (!strncmp(at, "none", 4)) at += 4;
        else TN_TRY(tn_tensor_parse(&at, arena, &want[*count], &constant));
    }
    return NULL;
}

/* Single precision against double: absolute near 0, relative above 1. */
static tn_status compare(const tn_tensor *got, const tn_tensor *want, int output)
{
    char a[64], b[64];
    TN_CHECK(tn_tensor_same_shape(got, want), TN_MISMATCH, "output %d is %s, expected %s", output,
             tn_tensor_type_text(got, a, sizeof a), tn_tensor_type_text(want, b, sizeof b));
    for (int64_t i = 0; i < tn_tensor_count(want); i++) {
        double x = ((const float *)got->data)[i], y = ((const float *)want->data)[i];
        TN_CHECK(fabs(x - y) <= 1e-5 * fmax(1, fabs(y)), TN_MISMATCH,
                 "output %d, element %lld is %.9g, onnxruntime has %.9g", output, (long long)i, x,
                 y);
    }
    return NULL;
}

/* *verdict is set, and nothing is run, if the kernel refuses a layer. */
static tn_status replay(const fixture *f, const tn_tactic *t, bool constant, tn_arena *arena,
                        tn_verdict *verdict)
{
    tn_problem p[LAYERS_MAX];
    tn_tensor want[OUTPUTS_MAX];
    uint64_t state = (uint64_t)f->number;
    int count;
    TN_TRY(parse_expected(f->expect, arena, want, &count));
    for (int i = 0; i < f->layers; i++) {
        TN_TRY(tn_problem_parse(f->layer[i], arena, &p[i]));
        if (constant) p[i].in_constant = 1 << 1 | 1 << 2 | 1 << 3;
        if (i) TN_TRY(stack(&p[i - 1].out[0], &p[i].in[0], arena));
        TN_TRY(fill(&p[i], &state, arena));
        TN_TRY(tn_problem_infer(&p[i], arena));
        for (int k = 0; k < p[i].out_count && i == f->layers - 1; k++)
            if (want[k].dtype == TN_DTYPE_NONE) p[i].out[k].dtype = TN_DTYPE_NONE;
        *verdict = t->accepts(&p[i]);
        if (*verdict) return NULL;
        TN_TRY(launch(t, &p[i], arena));
    }
    const tn_problem *last = &p[f->layers - 1];
    TN_CHECK(count == last->out_count, TN_INVALID, "%d outputs are expected of %d", count,
             last->out_count);
    for (int i = 0; i < count; i++)
        if (want[i].dtype != TN_DTYPE_NONE) TN_TRY(compare(&last->out[i], &want[i], i));
    return NULL;
}

/* ---- The file
 * ----------------------------------------------------------------------------------*/

static char *text;
static fixture *fixtures;
static int fixture_count;

static int load(void **state)
{
    (void)state;
    tn_mapping file;
    if (tn_file_map(TN_SOURCE_DIR "/tests/recurrent/cases.txt", &file)) return -1;
    text = calloc(file.bytes + 1, 1);
    fixtures = calloc(file.bytes / 16 + 1, sizeof *fixtures);
    if (!text || !fixtures) return -1;
    memcpy(text, file.at, file.bytes);
    tn_file_unmap(&file);
    char *rest = text;
    fixture *at = fixtures - 1;
    for (char *line; (line = strsep(&rest, "\n"));) {
        if (!strncmp(line, "case ", 5)) (++at)->number = atoi(line + 5);
        else if (!strncmp(line, "layer ", 6)) at->layer[at->layers++] = line + 6;
        else if (!strncmp(line, "expect ", 7)) at->expect = line + 7;
    }
    fixture_count = (int)(at - fixtures) + 1;
    return 0;
}

static int unload(void **state)
{
    (void)state;
    free(text);
    free(fixtures);
    return 0;
}

static void replay_op(const char *op)
{
    int failed = 0, ran = 0;
    for (const tn_tactic *const *t = tn_backend_cpu.tactics(); *t; t++) {
        int accepted = 0, refused = 0;
        if (strcmp((*t)->op, op) || ((*t)->needs & ~tn_cpu_features())) continue;
        for (int i = 0; i < 2 * fixture_count; i++) {
            const fixture *f = &fixtures[i / 2];
            tn_verdict verdict = NULL;
            tn_arena arena;
            char why[1024];
            if (strncmp(f->layer[0], op, strlen(op)) || f->layer[0][strlen(op)] != '{') continue;
            tn_arena_init(&arena);
            tn_status status = replay(f, *t, i % 2, &arena, &verdict);
            if (status) {
                tn_status_text(status, false, why, sizeof why);
                print_error("case %d, %s: %s\n  %s\n", f->number, (*t)->name, why, f->layer[0]);
                failed++;
            }
            if (verdict) refused++;
            else accepted++;
            tn_arena_fini(&arena);
        }
        print_message("%-36s %4d cases, %d refused\n", (*t)->name, accepted, refused);
        assert_true(accepted > 0);
        ran++;
    }
    assert_true(ran > 0);
    assert_int_equal(failed, 0);
}

static void replay_rnn(void **state)
{
    (void)state;
    replay_op("RNN");
}

static void replay_gru(void **state)
{
    (void)state;
    replay_op("GRU");
}

static void replay_lstm(void **state)
{
    (void)state;
    replay_op("LSTM");
}

static void the_file_is_whole(void **state)
{
    (void)state;
    assert_true(fixture_count > 300);
    for (int i = 0; i < fixture_count; i++) {
        assert_int_equal(fixtures[i].number, i + 1);
        assert_true(fixtures[i].layers >= 1 && fixtures[i].expect);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_is_whole),
        cmocka_unit_test(replay_rnn),
        cmocka_unit_test(replay_gru),
        cmocka_unit_test(replay_lstm),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
