/* tenon report ENGINE -o report.html: where the time of an engine goes, and why, as one page. */
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "stats.h"

enum { TRACED_RUNS = 3 };

static build_flags flags;
static struct {
    const char *output, *trace, *json;
    text_list shapes, inputs;
    int iterations, seed;
} own = {.output = "report.html", .iterations = 50, .seed = 1};

static int options(tool_option *out)
{
    const tool_option rows[] = {
        {"output", OPTION_TEXT, &own.output, "FILE", "the page (also -o); default report.html"},
        {"trace", OPTION_TEXT, &own.trace, "FILE",
         "a few runs, layer by layer, for chrome://tracing or Perfetto"},
        {"json", OPTION_TEXT, &own.json, "FILE", "what the page shows, for programs"},
        {"shapes", OPTION_LIST, &own.shapes, "NAME:1x3x4,...",
         "shapes to run at; dynamic dims default to 1"},
        {"loadInputs", OPTION_LIST, &own.inputs, "NAME=FILE",
         "an input from a .npy or .pb file, or one of bare values"},
        {"iterations", OPTION_INT, &own.iterations, "N", "runs to measure, default 50"},
        {"seed", OPTION_INT, &own.seed, "N", "of random inputs, default 1"},
    };
    memcpy(out, rows, sizeof(rows));
    int count = (int)(sizeof(rows) / sizeof(rows[0]));
    return count + build_options(&flags, out + count);
}

/* ---- Measuring -------------------------------------------------------------------------------*/

typedef struct span {
    tn_step_event event;
    double run_ms; /* when its run began */
} span;

typedef struct measured {
    double median_ms, device_ms; /* device_ms < 0: not a card */
    int count;
    span *span; /* of all runs, step after step */
    int step_count;
    int64_t span_count, span_capacity;
    double run_ms;
} measured;

static void note_step(void *self, const tn_step_event *event)
{
    measured *m = self;
    if (m->span_count == m->span_capacity) return;
    m->span[m->span_count++] = (span){*event, m->run_ms};
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *at, int count)
{
    qsort(at, (size_t)count, sizeof(*at), compare_doubles);
    return count % 2 ? at[count / 2] : (at[count / 2 - 1] + at[count / 2]) / 2;
}

/* As a whole first: layers that are timed one by one run otherwise. */
static tn_status time_runs(tn_context *context, bool card, double *host, double *device,
                           measured *m)
{
    tn_status status = tn_context_measure(context, card);
    for (int run = -3; run < own.iterations && !status; run++) {
        double begin = now_ms(), ns = 0;
        status = tn_context_run(context);
        double end = now_ms();
        if (!status && card) status = tn_context_device_ns(context, &ns);
        if (run < 0) continue;
        host[run] = end - begin;
        device[run] = ns * 1e-6;
    }
    if (status) return status;
    m->count = own.iterations;
    m->median_ms = median(host, own.iterations);
    m->device_ms = card ? median(device, own.iterations) : -1;
    return tn_context_measure(context, false);
}

static tn_status time_layers(tn_context *context, measured *m)
{
    double begin = now_ms();
    tn_status status = tn_context_run(context);
    if (!status) status = tn_context_set_profiler(context, note_step, m);
    for (int run = 0; run < own.iterations && !status; run++) {
        m->run_ms = now_ms() - begin;
        status = tn_context_run(context);
    }
    return status;
}

static tn_status measure(const tn_engine *engine, tn_context *context, measured *m)
{
    bool card = strcmp(tn_engine_device(engine), "cpu") != 0;
    double *host = calloc((size_t)own.iterations * 2, sizeof(*host));
    m->step_count = tn_context_step_count(context);
    m->span_capacity = (int64_t)own.iterations * m->step_count;
    m->span = calloc((size_t)m->span_capacity + 1, sizeof(*m->span));
    if (!host || !m->span) {
        fprintf(stderr, "error: no memory to measure %d runs\n", own.iterations);
        exit(EXIT_FAILED);
    }
    tn_status status = time_runs(context, card, host, host + own.iterations, m);
    free(host);
    return status ? status : time_layers(context, m);
}

/* ---- What else the page tells ----------------------------------------------------------------*/

/* Rows of token ids that end in zeros: how much of the tensor that is. */
static double padded_share(const tn_tensor *t)
{
    int64_t rows = t->rank == 2 ? t->dim[0] : 0, columns = t->rank == 2 ? t->dim[1] : 0, zeros = 0;
    if (rows * columns == 0 || (t->dtype != TN_DTYPE_I64 && t->dtype != TN_DTYPE_I32)) return 0;
    for (int64_t row = 0; row < rows; row++)
        for (int64_t at = columns - 1; at >= 0; at--, zeros++) {
            int64_t i = row * columns + at;
            bool zero = t->dtype == TN_DTYPE_I64 ? ((const int64_t *)t->data)[i] == 0
                                                 : ((const int32_t *)t->data)[i] == 0;
            if (!zero) break;
        }
    return (double)zeros / (double)(rows * columns);
}

static void print_inputs(FILE *out, const input_set *inputs)
{
    bool masked = false;
    for (int i = 0; i < inputs->count; i++) masked |= strstr(inputs->name[i], "mask") != NULL;
    fprintf(out, "\"inputs\": [");
    for (int i = 0, k = 0; i < inputs->count; i++) {
        bool given = false;
        size_t bytes = strlen(inputs->name[i]);
        for (int f = 0; f < own.inputs.count; f++)
            given |= !strncmp(own.inputs.at[f], inputs->name[i], bytes) &&
                     own.inputs.at[f][bytes] == '=';
        if (!given || strstr(inputs->name[i], "mask")) continue;
        fprintf(out, "%s{\"name\": ", k++ ? ", " : "");
        print_json_text(out, inputs->name[i]);
        fprintf(out, ", \"padded\": %.4f, \"masked\": %s}", padded_share(&inputs->tensor[i]),
                masked ? "true" : "false");
    }
    fprintf(out, "],\n");
}

/* Inputs with dynamic dims whose shape nobody gave. */
static void print_guessed(FILE *out, const tn_engine *engine, const shape_list *shapes)
{
    fprintf(out, "\"guessed\": [");
    for (int i = 0, k = 0; i < tn_engine_input_count(engine); i++) {
        tn_io io;
        bool known = tn_engine_input(engine, i, &io) || shapes_find(shapes, io.name), fixed = true;
        if (known) continue;
        size_t bytes = strlen(io.name);
        for (int f = 0; f < own.inputs.count; f++)
            known |= !strncmp(own.inputs.at[f], io.name, bytes) && own.inputs.at[f][bytes] == '=';
        for (int axis = 0; axis < io.rank; axis++) fixed &= io.dim[axis] >= 0;
        if (known || fixed) continue;
        fprintf(out, "%s", k++ ? ", " : "");
        print_json_text(out, io.name);
    }
    fprintf(out, "]");
}

/* The median of each: a mean would show what else the machine did meanwhile. */
static void print_layer_times(FILE *out, const measured *m)
{
    double *ms = calloc((size_t)own.iterations + 1, sizeof(*ms));
    int64_t runs = m->step_count ? m->span_count / m->step_count : 0;
    fprintf(out, "\"layer_ms\": [");
    for (int i = 0; i < m->step_count && ms && runs; i++) {
        for (int64_t run = 0; run < runs; run++)
            ms[run] = m->span[run * m->step_count + i].event.ms;
        fprintf(out, "%s%.6g", i ? ", " : "", median(ms, (int)runs));
    }
    fprintf(out, "], ");
    free(ms);
}

static void print_facts(FILE *out, const char *title, const tn_engine *engine,
                        const shape_list *shapes, const input_set *inputs, const measured *m,
                        const machine_speed *speed)
{
    fprintf(out, "\"title\": ");
    print_json_text(out, title);
    fprintf(out, ",\n\"run\": {\"median_ms\": %.6g, \"count\": %d, \"threads\": %d, ", m->median_ms,
            m->count, flags.threads);
    if (m->device_ms < 0) fprintf(out, "\"device_ms\": null, ");
    else fprintf(out, "\"device_ms\": %.6g, ", m->device_ms);
    print_layer_times(out, m);
    print_guessed(out, engine, shapes);
    fprintf(out, "},\n\"machine\": {\"rates\": [");
    for (int i = 0; i < speed->rate_count; i++)
        fprintf(out, "%s{\"bytes\": %.0f, \"bytes_per_s\": %.4g}", i ? ", " : "",
                speed->rate[i].bytes, speed->rate[i].bytes_per_s);
    fprintf(out, "], \"peaks\": {");
    for (int i = 0; i < speed->peak_count; i++)
        fprintf(out, "%s\"%s\": %.4g", i ? ", " : "", speed->peak[i].precision,
                speed->peak[i].flops_per_s);
    fprintf(out, "}},\n");
    print_inputs(out, inputs);
}

/* The format of chrome://tracing: complete events, in microseconds. */
static bool write_trace(const char *path, const char *title, const measured *m)
{
    FILE *out = fopen(path, "w");
    if (!out) return false;
    fprintf(out, "{\"displayTimeUnit\": \"ns\", \"traceEvents\": [\n"
                 "{\"name\": \"process_name\", \"ph\": \"M\", \"pid\": 1, \"args\": {\"name\": ");
    print_json_text(out, title);
    fprintf(out, "}}");
    int64_t first = m->span_count - TRACED_RUNS * m->step_count;
    for (int64_t i = first > 0 ? first : 0; i < m->span_count; i++) {
        const span *s = &m->span[i];
        fprintf(out, ",\n{\"name\": ");
        print_json_text(out, s->event.name);
        fprintf(out, ", \"cat\": ");
        print_json_text(out, s->event.op);
        fprintf(out,
                ", \"ph\": \"X\", \"pid\": 1, \"tid\": 1, \"ts\": %.3f, \"dur\": %.3f, \"args\": "
                "{\"layer\": %d, \"kernel\": ",
                (s->run_ms + s->event.begin_ms) * 1e3, s->event.ms * 1e3, s->event.index);
        print_json_text(out, s->event.tactic);
        fprintf(out, "}}");
    }
    fprintf(out, "\n]}\n");
    bool good = !ferror(out);
    return (fclose(out) == 0) && good;
}

static int refuse(const char *path)
{
    fprintf(stderr, "error: cannot write %s\n", path);
    return EXIT_FAILED;
}

static int write_all(const char *title, const char *facts, const char *json, const measured *m)
{
    if (own.json) {
        FILE *out = fopen(own.json, "w");
        if (!out) return refuse(own.json);
        fprintf(out, "{%s\"engine\": %s}\n", facts, json);
        if (fclose(out)) return refuse(own.json);
    }
    if (own.trace && !write_trace(own.trace, title, m)) return refuse(own.trace);
    return report_page_write(own.output, facts, json) ? EXIT_DONE : EXIT_FAILED;
}

/* ---- The command -----------------------------------------------------------------------------*/

static tn_status find_timings(tn_timing_cache **out)
{
    *out = NULL;
    if (!flags.timings) return NULL;
    tn_status status = tn_timing_cache_new(out);
    return status ? status : tn_timing_cache_load(*out, flags.timings);
}

static int make_report(const char *path, const tn_engine *engine, tn_context *context,
                       const shape_list *shapes, measured *m)
{
    input_set inputs = {0};
    tn_timing_cache *timings = NULL;
    machine_speed speed;
    char *json = NULL, *facts = NULL;
    size_t facts_bytes = 0;
    const char *slash = strrchr(path, '/'), *title = slash ? slash + 1 : path;
    int code = inputs_make(engine, shapes, &own.inputs, (uint64_t)own.seed, &inputs);
    if (!code) code = report(inputs_bind(context, &inputs));
    if (!code) code = report(measure(engine, context, m));
    if (!code) code = report(find_timings(&timings));
    if (!code) code = report(tn_context_layers(context, timings, &json));
    if (!code) code = machine_measure(engine, &flags, json, &speed);
    FILE *out = code ? NULL : open_memstream(&facts, &facts_bytes);
    if (out) {
        print_facts(out, title, engine, shapes, &inputs, m, &speed);
        fclose(out);
        code = write_all(title, facts, json, m);
    }
    free(facts);
    tn_text_free(json);
    tn_timing_cache_free(timings);
    inputs_free(&inputs);
    return code;
}

static int run(text_list *arguments)
{
    static shape_list shapes;
    measured m = {0};
    tn_engine *engine = NULL;
    tn_context *context = NULL;
    if (arguments->count != 1) {
        fprintf(stderr, "usage: tenon report FILE.engine|MODEL [-o report.html] [OPTION ...]\n");
        return EXIT_USAGE;
    }
    if (!shapes_parse("shapes", &own.shapes, &shapes)) return EXIT_USAGE;
    if (own.iterations < 1) own.iterations = 1;
    if (!flags.opt.count) flags.opt = own.shapes;
    set_verbose(flags.verbose);
    const char *path = arguments->at[0];
    int code = report(engine_open(path, &flags, &engine));
    if (!code) code = report(tn_context_new(engine, &context));
    if (!code) code = make_report(path, engine, context, &shapes, &m);
    if (!code)
        fprintf(stderr, "wrote %s: a run takes %.3g ms, median of %d\n", own.output, m.median_ms,
                m.count);
    free(m.span);
    tn_context_free(context);
    tn_engine_free(engine);
    return code;
}

const tool_command command_report = {
    .name = "report",
    .usage = "FILE.engine|MODEL.onnx|MODEL.pth [-o report.html] [OPTION ...]",
    .about = "Run an engine and write a page about where its time and memory go, and why",
    .notes =
        "The page is one file that needs no network: the graph, the time of each layer against "
        "its floor,\n"
        "memory over time, what became of each node of the model, the kernels that were asked "
        "and advice.\n"
        "An engine file does not keep the times of kernels that were not chosen: give the "
        "--timings that\n"
        "it was built with, or name the model, which is built then.",
    .options = options,
    .run = run,
};
