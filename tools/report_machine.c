/* How fast is this machine at its best? A layer cannot be done before its bytes have been moved nor
 * before its operations have been made; what both take at least is measured with kernels of Tenon:
 * a pass over arrays of several sizes, which caches hold or do not, and a product of large
 * matrices. */
#include <string.h>

#include "report.h"

enum { RUNS = 40, RUNS_MIN = 6 };
#define LIMIT_MS 40

typedef struct stopwatch {
    double best_ms, run_ms;
} stopwatch;

/* The longest step is the one in question: casts and copies may stand around it. */
static void note_step(void *self, const tn_step_event *event)
{
    stopwatch *s = self;
    if (event->ms > s->run_ms) s->run_ms = event->ms;
}

static tn_status time_runs(tn_context *context, double *best_ms)
{
    stopwatch s = {.best_ms = 1e30};
    tn_status status = tn_context_set_profiler(context, note_step, &s);
    double begin = now_ms();
    for (int run = 0; run < RUNS && !status; run++) {
        if (run > RUNS_MIN && now_ms() - begin > LIMIT_MS) break;
        s.run_ms = 0;
        status = tn_context_run(context);
        if (run > 1 && s.run_ms > 0 && s.run_ms < s.best_ms) s.best_ms = s.run_ms;
    }
    *best_ms = s.best_ms;
    return status;
}

static int time_engine(const tn_engine *engine, double *best_ms)
{
    static const shape_list no_shapes;
    static const text_list no_files;
    input_set inputs = {0};
    tn_context *context = NULL;
    int code = inputs_make(engine, &no_shapes, &no_files, 1, &inputs);
    if (!code) code = report(tn_context_new(engine, &context));
    if (!code) code = report(inputs_bind(context, &inputs));
    if (!code) code = report(time_runs(context, best_ms));
    tn_context_free(context);
    inputs_free(&inputs);
    return code;
}

static int time_problem(const char *problem, const tn_build_config *config, double *best_ms)
{
    tn_model *model = NULL;
    tn_engine *engine = NULL;
    int code = report(tn_model_from_problem(problem, &model));
    if (!code) code = report(tn_build(model, config, &engine));
    tn_model_free(model);
    if (!code) code = time_engine(engine, best_ms);
    tn_engine_free(engine);
    return code;
}

static bool has_precision(const char *json, const char *name)
{
    char text[64];
    snprintf(text, sizeof(text), "\"precision\": \"%s\", \"inputs\"", name);
    return strstr(json, text) != NULL;
}

static int measure_peaks(const tn_build_config *base, bool card, const char *json,
                         machine_speed *out)
{
    static const struct {
        const char *name;
        tn_precision precision;
    } kinds[PEAKS_MAX] = {{"fp32", TN_PRECISION_F32},
                          {"tf32", TN_PRECISION_TF32},
                          {"fp16", TN_PRECISION_F16},
                          {"bf16", TN_PRECISION_BF16}};
    double size = card ? 4096 : 768, ms;
    char problem[80];
    snprintf(problem, sizeof(problem), "MatMul f32[%.0f,%.0f] f32[%.0f,%.0f]!", size, size, size,
             size);
    for (int i = 0; i < PEAKS_MAX; i++) {
        tn_build_config config = *base;
        if (i && !has_precision(json, kinds[i].name)) continue;
        config.precision = kinds[i].precision;
        int code = time_problem(problem, &config, &ms);
        if (code) return code;
        out->peak[out->peak_count].precision = kinds[i].name;
        out->peak[out->peak_count++].flops_per_s = 2 * size * size * size / (ms * 1e-3);
    }
    return EXIT_DONE;
}

int machine_measure(const tn_engine *engine, const build_flags *flags, const char *json,
                    machine_speed *out)
{
    bool card = strcmp(tn_engine_device(engine), "cpu") != 0;
    const tn_build_config config = {.size = sizeof(config),
                                    .device = card ? "cuda" : "cpu",
                                    .threads = flags->threads,
                                    .no_check = true,
                                    .budget_ms = 300};
    *out = (machine_speed){0};
    for (double bytes = 4096; bytes <= 64 << 20 && out->rate_count < RATES_MAX; bytes *= 8) {
        char problem[64];
        double ms;
        snprintf(problem, sizeof(problem), "Relu f32[%.0f]", bytes / 2 / sizeof(float));
        int code = time_problem(problem, &config, &ms);
        if (code) return code;
        out->rate[out->rate_count].bytes = bytes;
        out->rate[out->rate_count++].bytes_per_s = bytes / (ms * 1e-3);
    }
    return measure_peaks(&config, card, json, out);
}
