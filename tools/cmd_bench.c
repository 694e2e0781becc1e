/* tenon bench: time an engine and report as trtexec 8.6 does, line by line, so that existing eyes
 * and scripts read it. Where trtexec says GPU, an engine on the CPU says CPU.
 *
 * One query is bind, run, read. On the CPU inputs and outputs are used where they lie, so the
 * transfers are calls that take next to no time; they are measured all the same. The CPU runs a
 * query inside the call that enqueues it: Enqueue Time is the time of that call. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stats.h"
#include "tool.h"

enum { DEVICE_TENSORS_MAX = 64 };

static build_flags flags;
static struct {
    const char *onnx, *load, *save, *times;
    text_list shapes, inputs, percentile;
    int iterations, avg_runs, seed;
    double duration_s, warm_up_ms;
    bool no_transfers, profile, keep_denormals;
} own = {.iterations = 10, .avg_runs = 10, .seed = 1, .duration_s = 3, .warm_up_ms = 200};

static int options(tool_option *out)
{
    const tool_option rows[] = {
        {"onnx", OPTION_TEXT, &own.onnx, "FILE", "a model to build (or name it as the argument)"},
        {"problem", OPTION_TEXT, &flags.model.problem, "TEXT",
         "one operator instead of a file, every kernel that takes it timed; constants end in "
         "\"!\": "
         "\"MatMul f32[200,768] f32[768,3072]!\""},
        {"loadEngine", OPTION_TEXT, &own.load, "FILE", "an engine file to load"},
        {"saveEngine", OPTION_TEXT, &own.save, "FILE", "keep the built engine"},
        {"shapes", OPTION_LIST, &own.shapes, "NAME:1x3x4,...",
         "shapes to time; dynamic dims default to 1"},
        {"loadInputs", OPTION_LIST, &own.inputs, "NAME=FILE", "an input from a .npy or .pb file"},
        {"iterations", OPTION_INT, &own.iterations, "N", "at least so many queries, default 10"},
        {"duration", OPTION_NUMBER, &own.duration_s, "S", "at least so long, default 3 s"},
        {"warmUp", OPTION_NUMBER, &own.warm_up_ms, "MS",
         "run so long before measuring, default 200 ms"},
        {"avgRuns", OPTION_INT, &own.avg_runs, "N", "queries in each line of averages, default 10"},
        {"noDataTransfers", OPTION_FLAG, &own.no_transfers, NULL,
         "inputs and outputs stay in the memory of the card"},
        {"dumpProfile", OPTION_FLAG, &own.profile, NULL,
         "after the timing, run again step by step and print the time of each"},
        {"percentile", OPTION_LIST, &own.percentile, "P,...",
         "percentages to report, default 90,95,99"},
        {"exportTimes", OPTION_TEXT, &own.times, "FILE", "every query's times as JSON"},
        {"seed", OPTION_INT, &own.seed, "N", "of random inputs, default 1"},
        {"keep-denormals", OPTION_FLAG, &own.keep_denormals, NULL,
         "compute with numbers below 1.2e-38; by default they are zeros on the CPU"},
    };
    memcpy(out, rows, sizeof(rows));
    int count = (int)(sizeof(rows) / sizeof(rows[0]));
    return count + build_options(&flags, out + count);
}

void log_line(char level, const char *format, ...)
{
    char stamp[32];
    struct tm when;
    time_t now = time(NULL);
    localtime_r(&now, &when);
    strftime(stamp, sizeof(stamp), "%m/%d/%Y-%H:%M:%S", &when);
    FILE *out = level == 'W' || level == 'E' ? stderr : stdout;
    va_list arguments;
    va_start(arguments, format);
    if (out == stderr) fflush(stdout); /* lines in their order where both go to one place */
    fprintf(out, "[%s] [%c] ", stamp, level);
    vfprintf(out, format, arguments);
    fprintf(out, "\n");
    va_end(arguments);
}

/* ---- Measuring -------------------------------------------------------------------------------*/

typedef struct trace {
    query *at;
    size_t count, capacity;
    int warm_up_count;
    double warm_up_ms;
} trace;

static bool trace_add(trace *t, query q)
{
    if (t->count == t->capacity) {
        size_t capacity = t->capacity ? t->capacity * 2 : 4096;
        query *grown = realloc(t->at, capacity * sizeof(*grown));
        if (!grown) return false;
        t->at = grown;
        t->capacity = capacity;
    }
    t->at[t->count++] = q;
    return true;
}

static bool on_card(const tn_engine *engine)
{
    return strcmp(tn_engine_device(engine), "cpu") != 0;
}

/* Inputs and outputs in the memory of the card, for all queries. */
static tn_status move_to_card(const tn_engine *engine, tn_context *context, const input_set *inputs,
                              void **memory, int *count)
{
    tn_status status = inputs_bind(context, inputs);
    int ins = tn_engine_input_count(engine), outs = tn_engine_output_count(engine);
    for (int i = 0; !status && i < ins + outs && *count < DEVICE_TENSORS_MAX; i++) {
        tn_io io;
        tn_tensor t;
        status = i < ins ? tn_engine_input(engine, i, &io) : tn_engine_output(engine, i - ins, &io);
        if (status) return status;
        if (i < ins) {
            for (int k = 0; k < inputs->count; k++)
                if (!strcmp(inputs->name[k], io.name)) t = inputs->tensor[k];
        } else {
            status = tn_context_output(context, io.name, &t);
            if (status) return status;
        }
        const void *host = t.data;
        size_t bytes = (size_t)tn_tensor_bytes(&t);
        status = tn_device_alloc(engine, bytes, &memory[*count]);
        if (status) return status;
        t.data = memory[(*count)++];
        if (i < ins) status = tn_device_copy(engine, t.data, host, bytes);
        if (!status) status = tn_context_bind_device(context, io.name, &t);
    }
    return status;
}

static tn_status run_query(const tn_engine *engine, tn_context *context, const input_set *inputs,
                           query *out)
{
    query q = {.device_ms = -1};
    bool card = on_card(engine);
    double ns;
    q.h2d_begin = now_ms();
    tn_status status = own.no_transfers ? NULL : inputs_bind(context, inputs);
    if (status) return status;
    q.compute_begin = now_ms();
    status = tn_context_run(context);
    if (status) return status;
    q.d2h_begin = now_ms();
    if (card) {
        status = tn_context_device_ns(context, &ns);
        if (status) return status;
        q.device_ms = ns * 1e-6;
    }
    for (int i = 0; i < tn_engine_output_count(engine); i++) {
        tn_io io;
        tn_tensor tensor;
        status = tn_engine_output(engine, i, &io);
        if (!status) status = tn_context_output(context, io.name, &tensor);
        if (status) return status;
    }
    q.d2h_end = now_ms();
    *out = q;
    return NULL;
}

/* Inputs rotate over two sets, so that no run sees just what the last one left in the caches. */
static tn_status measure(const tn_engine *engine, tn_context *context, const input_set sets[2],
                         trace *t)
{
    query q;
    double begin = now_ms();
    while (t->warm_up_count == 0 || now_ms() - begin < own.warm_up_ms) {
        tn_status status = run_query(engine, context, &sets[t->warm_up_count & 1], &q);
        if (status) return status;
        t->warm_up_count++;
    }
    t->warm_up_ms = own.warm_up_ms;
    begin = now_ms();
    while ((int64_t)t->count < own.iterations || now_ms() - begin < own.duration_s * 1e3) {
        tn_status status = run_query(engine, context, &sets[t->count & 1], &q);
        if (status) return status;
        if (!trace_add(t, q)) break; /* out of memory for the trace: report what there is */
    }
    return NULL;
}

/* Step by step, so that the sum is more than a run takes. */
static tn_status print_profile(const tn_engine *engine, tn_context *context,
                               const input_set *inputs)
{
    enum { RUNS = 20 };
    query q;
    double sum = 0;
    tn_step_time step;
    tn_status status = tn_context_profile(context, true);
    for (int i = 0; i < RUNS && !status; i++) status = run_query(engine, context, inputs, &q);
    int count = tn_context_step_count(context);
    for (int i = 0; i < count && !status; i++) {
        status = tn_context_step_time(context, i, &step);
        if (!status) sum += step.total_ms;
    }
    if (status) return status;
    log_line('I', "%s", "");
    log_line('I', "=== Profile (%d iterations) ===", RUNS);
    log_line('I', "  Time (ms)   Avg. (ms)    Time %%   Layer");
    for (int i = 0; i < count && !status; i++) {
        status = tn_context_step_time(context, i, &step);
        if (status) return status;
        log_line('I', "%11.3f %11.4f %8.1f   %s  [%s]", step.total_ms, step.total_ms / RUNS,
                 sum > 0 ? 100 * step.total_ms / sum : 0, step.name, step.tactic);
    }
    log_line('I', "%11.3f %11.4f %8.1f   Total", sum, sum / RUNS, 100.0);
    return tn_context_profile(context, false);
}

/* ---- Reporting
 * ---------------------------------------------------------------------------------*/

static void print_averages(const trace *t, const char *device)
{
    log_line('I', "%s", "");
    log_line('I', "=== Trace details ===");
    log_line('I', "Trace averages of %d runs:", own.avg_runs);
    size_t group = own.avg_runs > 0 ? (size_t)own.avg_runs : 1, lines = t->count / group,
           shown = 200;
    for (size_t line = 0; line < lines; line++) {
        if (lines > 2 * shown && line == shown) {
            log_line('I', "... Omitting %zu lines", lines - 2 * shown);
            line = lines - shown;
        }
        double compute = 0, enqueue = 0, host = 0;
        for (size_t i = line * group; i < (line + 1) * group; i++) {
            compute += query_time(&t->at[i], TIME_COMPUTE);
            enqueue += query_time(&t->at[i], TIME_ENQUEUE);
            host += query_time(&t->at[i], TIME_LATENCY);
        }
        double n = (double)group;
        log_line('I',
                 "Average on %d runs - %s latency: %g ms - Host latency: %g ms (enqueue %g ms)",
                 (int)group, device, compute / n, host / n, enqueue / n);
    }
}

static void print_row(const char *name, const summary *s)
{
    char line[1024];
    int at =
        snprintf(line, sizeof(line), "%s: min = %g ms, max = %g ms, mean = %g ms, median = %g ms",
                 name, s->min, s->max, s->mean, s->median);
    for (int i = 0; i < s->percentile_count && at < (int)sizeof(line) - 64; i++)
        at += snprintf(line + at, sizeof(line) - (size_t)at, ", percentile(%g%%) = %g ms",
                       s->percentile[i], s->at_percentile[i]);
    log_line('I', "%s", line);
}

static void print_explanations(void)
{
    static const char *const lines[] = {
        "=== Explanations of the performance metrics ===",
        "Total Host Walltime: host time from the start of the first measured query to the end of "
        "the last.",
        "CPU (GPU) Compute Time: time the kernels of one query take; on a card, between two events "
        "on its stream, with the copies of inputs and outputs unless --noDataTransfers is given.",
        "Total CPU Compute Time: CPU Compute Time of all queries; far below the walltime, the host "
        "was busy.",
        "Throughput: queries divided by Total Host Walltime.",
        "Enqueue Time: time of the call that starts a query; on the CPU the call runs it.",
        "H2D Latency: time to hand one query's inputs to the engine.",
        "D2H Latency: time to hand one query's outputs back.",
        "Latency: H2D Latency + Enqueue Time + D2H Latency of one query.",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) log_line('V', "%s", lines[i]);
}

static bool print_summary(const trace *t, const char *device)
{
    char name[64];
    double percentile[16];
    int percentile_count = percentiles_parse(&own.percentile, percentile, 16);
    if (percentile_count < 0) return false;
    summary row[TIME_KINDS];
    for (int kind = 0; kind < TIME_KINDS; kind++)
        if (!summarize(t->at, t->count, (time_kind)kind, percentile, percentile_count, &row[kind]))
            return false;
    double wall_s = (t->at[t->count - 1].d2h_end - t->at[0].h2d_begin) * 1e-3;
    log_line('I', "%s", "");
    log_line('I', "=== Performance summary ===");
    log_line('I', "Throughput: %g qps", (double)t->count / wall_s);
    print_row("Latency", &row[TIME_LATENCY]);
    print_row("Enqueue Time", &row[TIME_ENQUEUE]);
    print_row("H2D Latency", &row[TIME_H2D]);
    snprintf(name, sizeof name, "%s Compute Time", device);
    print_row(name, &row[TIME_COMPUTE]);
    print_row("D2H Latency", &row[TIME_D2H]);
    log_line('I', "Total Host Walltime: %g s", wall_s);
    log_line('I', "Total %s Compute Time: %g s", device,
             row[TIME_COMPUTE].mean * (double)t->count * 1e-3);
    if (row[TIME_COMPUTE].variance_percent > 1.0)
        log_line('W', "* %s compute time is unstable, with coefficient of variance = %g%%.", device,
                 row[TIME_COMPUTE].variance_percent);
    log_line('I', "Explanations of the performance metrics are printed in the verbose logs.");
    if (flags.verbose) print_explanations();
    return true;
}

static bool export_times(const trace *t, const char *path)
{
    char temporary[4096];
    snprintf(temporary, sizeof(temporary), "%s.part", path);
    FILE *file = fopen(temporary, "w");
    if (!file) return false;
    double zero = t->at[0].h2d_begin;
    fprintf(file, "[\n");
    for (size_t i = 0; i < t->count; i++) {
        const query *q = &t->at[i];
        fprintf(file,
                "  %c { \"startEnqMs\" : %g, \"endEnqMs\" : %g, \"startH2dMs\" : %g, \"endH2dMs\" "
                ": %g, "
                "\"startComputeMs\" : %g, \"endComputeMs\" : %g, \"startD2hMs\" : %g, \"endD2hMs\" "
                ": %g, "
                "\"h2dMs\" : %g, \"computeMs\" : %g, \"d2hMs\" : %g, \"latencyMs\" : %g }\n",
                i ? ',' : ' ', q->compute_begin - zero, q->d2h_begin - zero, q->h2d_begin - zero,
                q->compute_begin - zero, q->compute_begin - zero, q->d2h_begin - zero,
                q->d2h_begin - zero, q->d2h_end - zero, query_time(q, TIME_H2D),
                query_time(q, TIME_COMPUTE), query_time(q, TIME_D2H), query_time(q, TIME_LATENCY));
    }
    fprintf(file, "]\n");
    bool good = !ferror(file);
    good &= fclose(file) == 0;
    return good && rename(temporary, path) == 0;
}

static tn_status bench_engine(const tn_engine *engine, const shape_list *shapes, trace *t)
{
    input_set sets[2] = {{0}, {0}};
    void *memory[DEVICE_TENSORS_MAX];
    int memory_count = 0;
    tn_context *context;
    tn_status status = tn_context_new(engine, &context);
    if (status) return status;
    for (int k = 0; !status && k < 2; k++)
        status = inputs_make(engine, shapes, &own.inputs, (uint64_t)(own.seed + k), &sets[k]);
    for (int i = 0; !status && i < sets[0].count; i++) {
        char text[200];
        const tn_tensor *x = &sets[0].tensor[i];
        log_line('I', "Using random values for input %s", sets[0].name[i]);
        log_line('I', "Input binding for %s with dimensions %s is created.", sets[0].name[i],
                 shape_text(x->dim, x->rank, text, sizeof(text)));
    }
    if (!status) status = tn_context_keep_denormals(context, own.keep_denormals);
    if (!status) status = tn_context_measure(context, on_card(engine));
    if (!status && own.no_transfers) {
        status = move_to_card(engine, context, &sets[0], memory, &memory_count);
    }
    if (!status) {
        log_line('I', "Starting inference");
        status = measure(engine, context, sets, t);
        if (!status && own.profile) status = print_profile(engine, context, &sets[0]);
    }
    for (int k = 0; k < 2; k++) inputs_free(&sets[k]);
    tn_context_free(context);
    while (memory_count) tn_device_free(engine, memory[--memory_count]);
    return status;
}

/* What each kernel took. */
static tn_status print_report(const tn_engine *engine)
{
    char *text;
    tn_status status = tn_engine_text(engine, TN_TEXT_REPORT, &text);
    if (status) return status;
    printf("%s\n", text);
    tn_text_free(text);
    return NULL;
}

static int bench(const char *path)
{
    static shape_list shapes;
    if (!shapes_parse("shapes", &own.shapes, &shapes)) return EXIT_USAGE;
    /* trtexec tunes for the shapes it times */
    if (!flags.opt.count) flags.opt = own.shapes;
    set_verbose(flags.verbose);
    bool loads = is_engine_file(path);
    double begin = now_ms();
    tn_engine *engine;
    int code = report(engine_open(path, &flags, &engine));
    if (code) return code;
    log_line('I', "Engine %s in %g sec.", loads ? "loaded" : "built", (now_ms() - begin) * 1e-3);
    if (own.save) code = report(tn_engine_save(engine, own.save));
    if (!code && flags.model.problem) code = report(print_report(engine));
    trace t = {0};
    if (!code) code = report(bench_engine(engine, &shapes, &t));
    if (!code) {
        log_line('I', "Warmup completed %d queries over %g ms", t.warm_up_count, t.warm_up_ms);
        log_line('I', "Timing trace has %zu queries over %g s", t.count,
                 (t.at[t.count - 1].d2h_end - t.at[0].h2d_begin) * 1e-3);
        const char *device = on_card(engine) ? "GPU" : "CPU";
        print_averages(&t, device);
        if (!print_summary(&t, device)) code = EXIT_USAGE;
    }
    if (!code && own.times && !export_times(&t, own.times)) {
        fprintf(stderr, "error: cannot write %s\n", own.times);
        code = EXIT_FAILED;
    }
    free(t.at);
    tn_engine_free(engine);
    return code;
}

static int run(text_list *arguments)
{
    const char *path = own.load              ? own.load
                       : own.onnx            ? own.onnx
                       : flags.model.problem ? flags.model.problem
                       : arguments->count    ? arguments->at[0]
                                             : NULL;
    if (!path || arguments->count > 1) {
        fprintf(stderr, "usage: tenon bench MODEL.onnx|MODEL.pth|FILE.engine [OPTION ...]\n");
        return EXIT_USAGE;
    }
    if (own.iterations < 1) own.iterations = 1;
    printf("&&&& RUNNING Tenon.bench [Tenon v%s] # %s\n", tn_version(), path);
    int code = bench(path);
    printf("&&&& %s Tenon.bench [Tenon v%s] # %s\n", code ? "FAILED" : "PASSED", tn_version(),
           path);
    return code;
}

const tool_command command_bench = {
    .name = "bench",
    .usage = "MODEL.onnx|MODEL.pth|FILE.engine [OPTION ...]",
    .about = "Time an engine and print trtexec's performance summary",
    .notes =
        "Defaults are trtexec's: 200 ms of warm-up, then at least 10 queries and at least 3 s.",
    .options = options,
    .run = run,
};
