/* One engine of a network of token ids at random shapes, beside an engine built for each of them.
 *
 *     gpu_shapes MODEL.onnx [PAIRS] [fp32|tf32|fp16|bf16] [LIMIT]
 *
 * Inputs are [batch, length]: batches of 1 to 20, lengths of 1 to 512. Weights that lie beside the
 * model and are absent are made up. Times are medians of the card's, by turns, A B B A, and the
 * better turn of each. Where one engine takes a tenth longer, the steps are told that are served
 * by other kernels.
 *
 * Exit 1: one engine takes more than LIMIT (1.25) times as long somewhere. Exit 77: no card. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tenon/tenon.h"

enum { BATCH_MAX = 20, LENGTH_MAX = 512, INPUTS_MAX = 4, RUNS = 31, BUDGET_MS = 1000 };
#define TURN_NS 60e6 /* for all runs of a turn */

static void must(tn_status status)
{
    if (!status) return;
    fprintf(stderr, "error: %s\n", tn_status_message(status));
    exit(tn_status_code(status) == TN_UNAVAILABLE ? 77 : 1);
}

/* The same numbers everywhere. */
static int draw(int most)
{
    static uint64_t state = 88172645463325252u;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (int)((state >> 33) % (unsigned)most) + 1;
}

typedef struct sizes {
    int64_t batch, length;
} sizes;

static tn_engine *build(const tn_model *model, tn_precision precision, sizes min, sizes opt,
                        sizes max)
{
    tn_profile profile[INPUTS_MAX];
    tn_engine *engine;
    tn_build_config config = {.size = sizeof config,
                              .device = "cuda",
                              .no_check = true,
                              .budget_ms = BUDGET_MS,
                              .precision = precision,
                              .profiles = profile};
    for (int i = 0; i < tn_model_input_count(model) && i < INPUTS_MAX; i++) {
        tn_io io;
        must(tn_model_input(model, i, &io));
        profile[i] = (tn_profile){.input = io.name,
                                  .rank = 2,
                                  .min = {min.batch, min.length},
                                  .opt = {opt.batch, opt.length},
                                  .max = {max.batch, max.length}};
        config.profile_count++;
    }
    must(tn_build(model, &config, &engine));
    return engine;
}

/* ---- Timing ----------------------------------------------------------------------------------*/

static void *ids; /* zeros on the card */

static tn_context *open_context(const tn_engine *engine, sizes at)
{
    tn_context *context;
    must(tn_context_new(engine, &context));
    for (int i = 0; i < tn_engine_input_count(engine); i++) {
        tn_io io;
        must(tn_engine_input(engine, i, &io));
        tn_tensor t = {.dtype = io.dtype,
                       .rank = 2,
                       .dim = {at.batch, at.length},
                       .stride = {at.length, 1},
                       .data = ids};
        must(tn_context_bind_device(context, io.name, &t));
    }
    for (int i = 0; i < 3; i++) must(tn_context_run(context));
    must(tn_context_measure(context, true));
    return context;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median_ns(tn_context *context)
{
    double at[RUNS], sum = 0;
    int count = 0;
    must(tn_context_run(context));
    while (count < RUNS && (count < 5 || sum < TURN_NS)) {
        must(tn_context_run(context));
        must(tn_context_device_ns(context, &at[count]));
        sum += at[count++];
    }
    qsort(at, (size_t)count, sizeof *at, compare);
    return at[count / 2];
}

/* Steps that both engines have, and that are served by others. */
static void tell(tn_context *one, tn_context *own)
{
    for (int i = 0; i < 5; i++) {
        if (i == 0) must(tn_context_profile(one, true));
        if (i == 0) must(tn_context_profile(own, true));
        must(tn_context_run(one));
        must(tn_context_run(own));
    }
    for (int i = 0; i < tn_context_step_count(one) && i < tn_context_step_count(own); i++) {
        tn_step_time a, b;
        must(tn_context_step_time(one, i, &a));
        must(tn_context_step_time(own, i, &b));
        if (!a.tactic || !b.tactic || !a.run_count || !b.run_count || !strcmp(a.tactic, b.tactic))
            continue;
        printf("    %s: %s %.1f us, its own %s %.1f us\n", a.name, a.tactic,
               a.total_ms * 1e3 / (double)a.run_count, b.tactic,
               b.total_ms * 1e3 / (double)b.run_count);
    }
}

static double compare_at(const tn_engine *one, const tn_engine *own, sizes at)
{
    double best[2] = {1e30, 1e30};
    tn_context *context[2] = {open_context(one, at), open_context(own, at)};
    for (int turn = 0; turn < 4; turn++) {
        int which = turn == 1 || turn == 2;
        double ns = median_ns(context[which]);
        if (ns < best[which]) best[which] = ns;
    }
    double ratio = best[0] / best[1];
    printf("%2d x %3d: one engine %7.1f us, its own %7.1f us, %.2f\n", (int)at.batch,
           (int)at.length, best[0] / 1e3, best[1] / 1e3, ratio);
    if (ratio > 1.1) tell(context[0], context[1]);
    for (int i = 0; i < 2; i++) tn_context_free(context[i]);
    fflush(stdout);
    return ratio;
}

int main(int argc, char **argv)
{
    static const char *const words[] = {"fp32", "tf32", "fp16", "bf16"};
    const tn_load_options load = {.size = sizeof load, .random_weights = true};
    int pairs = argc > 2 ? atoi(argv[2]) : 40, precision = 0;
    double limit = argc > 4 ? atof(argv[4]) : 1.25, worst = 0;
    tn_model *model;
    if (argc < 2) {
        fprintf(stderr, "usage: gpu_shapes MODEL.onnx [PAIRS] [fp32|tf32|fp16|bf16] [LIMIT]\n");
        return 2;
    }
    for (int i = 0; argc > 3 && i < 4; i++)
        if (!strcmp(argv[3], words[i])) precision = i;
    must(tn_model_load(argv[1], &load, &model));
    tn_engine *one = build(model, (tn_precision)precision, (sizes){1, 16}, (sizes){4, 128},
                           (sizes){BATCH_MAX, LENGTH_MAX});
    printf("%s on %s, %s: one engine for 1x16 to 20x512, opt 4x128\n", argv[1],
           tn_engine_device(one), words[precision]);
    size_t bytes = (size_t)BATCH_MAX * LENGTH_MAX * sizeof(int64_t);
    void *zeros = calloc(1, bytes);
    must(tn_device_alloc(one, bytes, &ids));
    if (zeros) must(tn_device_copy(one, ids, zeros, bytes));
    free(zeros);
    for (int i = 0; i < pairs; i++) {
        sizes at = {draw(BATCH_MAX), draw(LENGTH_MAX)};
        tn_engine *own = build(model, (tn_precision)precision, at, at, at);
        double ratio = compare_at(one, own, at);
        if (ratio > worst) worst = ratio;
        tn_engine_free(own);
    }
    printf("worst %.2f of %d\n", worst, pairs);
    tn_device_free(one, ids);
    tn_engine_free(one);
    tn_model_free(model);
    return worst > limit;
}
