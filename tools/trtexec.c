/* tenon trtexec: what TensorRT's trtexec does, with its flags, its log and its files, so that what
 * was written for it works by a change of name: `tenon trtexec ...`, or a link called trtexec.
 *
 * The metrics keep their names: on the CPU "GPU Compute Time" is the CPU's, which a line says. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <tenon/op.h>

#include "trtexec.h"

static void sink(void *self, tn_log_level level, const char *line)
{
    static const char levels[] = {'E', 'W', 'I', 'V'};
    (void)self;
    log_line(levels[level], "[TRT] %s", line);
}

/* ---- What the flags say, in our terms --------------------------------------------------------*/

/* Texts that live until the end. */
static const char *join(const char *a, size_t a_bytes, const char *between, const char *b,
                        size_t b_bytes)
{
    size_t bytes = a_bytes + b_bytes + strlen(between) + 1;
    char *text = malloc(bytes);
    if (!text) abort();
    snprintf(text, bytes, "%.*s%s%.*s", (int)a_bytes, a, between, (int)b_bytes, b);
    return text;
}

/* "x:file,'a:0':other" to "x=file", "a:0=other". */
static bool split_files(const char *flag, text_list *list)
{
    text_list out = {0};
    for (int i = 0; i < list->count; i++) {
        for (const char *at = list->at[i]; *at;) {
            const char *quote = *at == '\'' ? strchr(at + 1, '\'') : NULL;
            const char *colon = strchr(quote ? quote : at, ':');
            size_t bytes = colon ? strcspn(colon, ",") : 0;
            if (!colon || bytes < 2 || out.count == LIST_MAX) {
                log_line('E', "--%s: '%s' is not NAME:FILE,...", flag, at);
                return false;
            }
            const char *name = quote ? at + 1 : at, *end = quote ? quote : colon;
            out.at[out.count++] = join(name, (size_t)(end - name), "=", colon + 1, bytes - 1);
            at = colon + bytes + (colon[bytes] == ',');
        }
    }
    *list = out;
    return true;
}

/* A name may hold one '*': such a shape is that of every input whose name fits. */
static bool fits(const char *name, const char *pattern, size_t bytes)
{
    const char *star = memchr(pattern, '*', bytes);
    size_t name_bytes = strlen(name);
    if (!star) return name_bytes == bytes && !memcmp(name, pattern, bytes);
    size_t head = (size_t)(star - pattern), tail = bytes - head - 1;
    return name_bytes >= head + tail && !memcmp(name, pattern, head) &&
           !memcmp(name + name_bytes - tail, star + 1, tail);
}

static void spread(text_list *list, const char *const *names, int count)
{
    static shape_list shapes;
    bool star = false;
    for (int i = 0; i < list->count; i++) star |= strchr(list->at[i], '*') != NULL;
    if (!star || !shapes_parse("shapes", list, &shapes)) return;
    list->count = 0;
    for (int i = 0; i < shapes.count; i++) {
        const named_shape *shape = &shapes.at[i];
        char text[200];
        shape_text(shape->dim, shape->rank, text, sizeof(text));
        for (int k = 0; k < count && list->count < LIST_MAX; k++)
            if (fits(names[k], shape->name, strlen(shape->name)))
                list->at[list->count++] = join(names[k], strlen(names[k]), ":", text, strlen(text));
    }
}

static bool choose_device(tn_device_about *out)
{
    const char *asked = trt.cpu_only ? "cpu" : getenv("TENON_DEVICE");
    char id[32];
    bool cards = false;
    snprintf(id, sizeof(id), "cuda:%d", trt.device);
    if (asked && *asked) snprintf(id, sizeof(id), "%s%s", asked, strcmp(asked, "cuda") ? "" : ":0");
    trt.build.device = join(id, strlen(id), "", "", 0);
    for (int i = 0; !tn_device_at(i, out); i++) {
        if (!strcmp(out->id, id)) return true;
        cards |= out->capability > 0;
    }
    if ((asked && *asked) || cards) {
        log_line('E', "there is no device %s; `tenon devices` lists them", id);
        return false;
    }
    log_line(trt_given("device") ? 'W' : 'I', "there is no card here: the CPU is used");
    trt.build.device = "cpu";
    return !report(tn_device_at(0, out));
}

static bool one_of(const char *flag, const char *value, const char *const *words)
{
    for (int i = 0; words[i] && value; i++)
        if (!strcmp(words[i], value)) return true;
    if (!value) return true;
    log_line('E', "--%s knows no '%s'; `trtexec --help` lists what it knows", flag, value);
    return false;
}

static bool settle(void)
{
    static const double budgets_ms[] = {0, 250, 1000, 2000, 8000, 30000};
    double percentile[16];
    static const char *const algorithms[] = {"l0", "l1", "l2", "lInf", "cos", NULL};
    static const char *const details[] = {"layer_names_only", "detailed", "none",
                                          "default",          "verbose",  NULL};
    if (!one_of("accuracyAlgorithm", trt.accuracy, algorithms) ||
        !one_of("profilingVerbosity", trt.verbosity, details))
        return false;
    if (trt.level < -1 || trt.level > 5) {
        log_line('E', "--builderOptimizationLevel goes from 0 to 5");
        return false;
    }
    if (trt.timing.streams < 1 || trt.timing.streams > STREAMS_MAX) {
        log_line('E', "--infStreams goes from 1 to %d", STREAMS_MAX);
        return false;
    }
    if (!trt.onnx && !trt.load) {
        log_line('E', "Model missing or format not recognized: give --onnx or --loadEngine");
        return false;
    }
    if (!split_files("loadInputs", &trt.inputs) ||
        !split_files("loadRefOutputs", &trt.references) ||
        percentiles_parse(&trt.percentile, percentile, 16) < 0)
        return false;
    if (trt.timing.iterations < 1) trt.timing.iterations = 1;
    if (trt.timing.avg_runs < 1) trt.timing.avg_runs = 1;
    trt.build.budget_ms = budgets_ms[trt.level < 0 ? 3 : trt.level];
    trt.build.fp16 = trt.fp16 || trt.best;
    trt.build.bf16 = trt.bf16 && !trt.build.fp16;
    trt.build.verbose = trt.timing.verbose = trt.verbose;
    return true;
}

/* Libraries of TensorRT's own hold nothing that could be used; the model says what it misses. */
static void load_plugins(void)
{
    for (int i = 0; i < trt.plugins.count; i++) {
        tn_status status = tn_op_library_load(trt.plugins.at[i]);
        if (status)
            log_line('W', "%s is passed over: %s", trt.plugins.at[i], tn_status_message(status));
        else log_line('I', "Loading plugins: %s", trt.plugins.at[i]);
    }
}

/* ---- The engine ------------------------------------------------------------------------------*/

static void print_size(const char *what, const char *path)
{
    struct stat facts;
    if (stat(path, &facts) == 0)
        log_line('I', "%s engine with size: %g MiB", what, (double)facts.st_size / (1 << 20));
}

/* What is not given follows opt, then max, then min. */
static void print_profile_shapes(void)
{
    static const char *const words[] = {"minShapes", "optShapes", "maxShapes"};
    static const int order[] = {1, 2, 0};
    const text_list *const texts[] = {&trt.build.min, &trt.build.opt, &trt.build.max};
    static shape_list lists[3];
    for (int i = 0; i < 3; i++)
        if (!shapes_parse(words[i], texts[i], &lists[i])) return;
    for (int from = 0; from < 3; from++) {
        for (int i = 0; i < lists[order[from]].count; i++) {
            const named_shape *source = &lists[order[from]].at[i], *shape[3];
            char text[3][160];
            bool told = false;
            for (int k = 0; k < from; k++) told |= !!shapes_find(&lists[order[k]], source->name);
            for (int k = 0; k < 3 && !told; k++) {
                shape[k] = shapes_find(&lists[k], source->name);
                if (!shape[k])
                    log_line('W', "%s is being broadcasted to %s for tensor %s", words[order[from]],
                             words[k], source->name);
                if (!shape[k]) shape[k] = source;
                shape_text(shape[k]->dim, shape[k]->rank, text[k], sizeof(text[k]));
            }
            if (!told)
                log_line('I',
                         "Set shape of input tensor %s for optimization profile 0 to: MIN=%s "
                         "OPT=%s MAX=%s",
                         source->name, text[0], text[1], text[2]);
        }
    }
}

static void print_model(const tn_model *model)
{
    char *text;
    log_line('I', "[TRT] ----------------------------------------------------------------");
    log_line('I', "[TRT] Input filename:   %s", trt.onnx);
    if (!tn_model_text(model, TN_TEXT_SUMMARY, &text)) {
        for (char *line = text, *end; *line; line = *end ? end + 1 : end) {
            end = line + strcspn(line, "\n");
            log_line(trt.verbose ? 'V' : 'I', "[TRT] %.*s", (int)(end - line), line);
            if (!trt.verbose) break;
        }
        tn_text_free(text);
    }
    log_line('I', "[TRT] ----------------------------------------------------------------");
}

static int build(tn_engine **engine)
{
    const char *names[SHAPES_MAX];
    int count = 0;
    tn_model *model;
    double begin = now_ms();
    log_line('I', "Start parsing network model.");
    int code = report(model_open(trt.onnx, &trt.build.model, &model));
    if (code) return code;
    print_model(model);
    log_line('I', "Finished parsing network model. Parse time: %s",
             plain((now_ms() - begin) * 1e-3).text);
    for (int i = 0; i < tn_model_input_count(model) && count < SHAPES_MAX; i++) {
        tn_io io;
        if (!tn_model_input(model, i, &io)) names[count++] = io.name;
    }
    text_list *const lists[] = {&trt.build.min, &trt.build.opt, &trt.build.max, &trt.shapes};
    for (int i = 0; i < 4; i++) spread(lists[i], names, count);
    /* As there: the shapes to time are those to tune for, where no others are given. */
    if (!trt.build.min.count && !trt.build.opt.count && !trt.build.max.count)
        trt.build.min = trt.build.opt = trt.build.max = trt.shapes;
    print_profile_shapes();
    begin = now_ms();
    code = shapes_good(&trt.build) ? report(engine_build(model, &trt.build, engine)) : EXIT_FAILED;
    if (!code) log_line('I', "Engine built in %s sec.", plain((now_ms() - begin) * 1e-3).text);
    if (!code && trt.save) {
        code = report(tn_engine_save(*engine, trt.save));
        if (!code) print_size("Created", trt.save);
        else tn_engine_free(*engine);
    }
    tn_model_free(model);
    return code;
}

static int load(tn_engine **engine)
{
    double begin = now_ms();
    int code = report(tn_engine_load(trt.load, trt.build.device, 0, engine));
    if (code) return code;
    const char *names[SHAPES_MAX];
    int count = 0;
    double seconds = (now_ms() - begin) * 1e-3;
    log_line('I', "Engine loaded in %s sec.", plain(seconds).text);
    print_size("Loaded", trt.load);
    log_line('I', "Engine deserialized in %s sec.", plain(seconds).text);
    for (int i = 0; i < tn_engine_input_count(*engine) && count < SHAPES_MAX; i++) {
        tn_io io;
        if (!tn_engine_input(*engine, i, &io)) names[count++] = io.name;
    }
    spread(&trt.shapes, names, count);
    return EXIT_DONE;
}

/* The first line of the build report: "Tenon 0.1.0 on ...". */
static int print_version(const tn_engine *engine)
{
    char *text;
    int code = report(tn_engine_text(engine, TN_TEXT_REPORT, &text));
    if (code) return code;
    const char *space = strchr(text, ' ');
    if (space)
        log_line('I', "Plan was created with Tenon version %.*s", (int)strcspn(space + 1, " \n"),
                 space + 1);
    tn_text_free(text);
    return EXIT_DONE;
}

static int time_load(const char *path)
{
    enum { RUNS = 20, WARM_UP = 2 };
    double sum = 0, first = 0;
    if (!path) {
        log_line('E', "--timeDeserialize wants an engine file: --loadEngine or --saveEngine");
        return EXIT_FAILED;
    }
    log_line('I', "Begin deserialization timing...");
    for (int i = 0; i < RUNS + WARM_UP; i++) {
        tn_engine *engine;
        double begin = now_ms();
        int code = report(tn_engine_load(path, NULL, 0, &engine));
        double ms = now_ms() - begin;
        if (code) return code;
        tn_engine_free(engine);
        if (i == 0) first = ms;
        if (i >= WARM_UP) sum += ms;
    }
    log_line('I',
             "Total deserialization time = %s milliseconds in %d iterations, average time = %s "
             "milliseconds, first time = %s milliseconds.",
             plain(sum).text, RUNS, plain(sum / RUNS).text, plain(first).text);
    return EXIT_DONE;
}

/* ---- Running ---------------------------------------------------------------------------------*/

static int profile_layers(session *s)
{
    enum { RUNS_MIN = 20 };
    profile p;
    int runs = trt.timing.iterations > RUNS_MIN ? trt.timing.iterations : RUNS_MIN;
    if (!trt.dump_profile && !trt.export_profile) return EXIT_DONE;
    if (report(profile_measure(s, runs, &p))) return EXIT_FAILED;
    if (trt.dump_profile) profile_print(&p, false);
    bool good = !trt.export_profile || profile_export(&p, trt.export_profile);
    profile_fini(&p);
    return good ? EXIT_DONE : EXIT_FAILED;
}

static int infer(const tn_engine *engine)
{
    static session sessions[STREAMS_MAX];
    static shape_list shapes;
    trace t = {0};
    size_t bytes;
    int code = EXIT_DONE, open = 0;
    if (!shapes_parse("shapes", &trt.shapes, &shapes)) return EXIT_FAILED;
    shapes_complete(engine, &trt.inputs, &shapes);
    while (!code && open < trt.timing.streams) {
        code = session_open(engine, &shapes, &trt.timing, &sessions[open]);
        open += !code;
    }
    if (!code && !tn_context_memory_bytes(sessions[0].context, &bytes))
        log_line('I', "Created execution context with device memory size: %s MiB",
                 plain((double)bytes / (1 << 20)).text);
    if (!code) session_print(&sessions[0]);
    if (!code) code = timing_measure(sessions, open, &t);
    if (!code && !timing_print(&t, &trt.timing)) code = EXIT_FAILED;
    if (!code) log_line('I', "%s", "");
    if (!code && trt.export_times && !timing_export(&t, trt.export_times)) code = EXIT_FAILED;
    if (!code) code = trt_outputs(&sessions[0]);
    if (!code) code = profile_layers(&sessions[0]);
    if (!code) code = trt_layers(&sessions[0]);
    trace_fini(&t);
    while (open) session_close(&sessions[--open]);
    return code;
}

static int work(void)
{
    tn_device_about device;
    tn_engine *engine;
    if (!settle() || !choose_device(&device)) return EXIT_FAILED;
    trt_print_options();
    trt_print_device(&device);
    tn_set_log(sink, NULL, trt.verbose ? TN_LOG_VERBOSE : TN_LOG_INFO);
    load_plugins();
    int code = trt.load ? load(&engine) : build(&engine);
    if (code) return code;
    if (trt.plan_version) code = print_version(engine);
    else if (trt.time_load) code = time_load(trt.load ? trt.load : trt.save);
    else if (trt.skip_inference)
        log_line('I', "Skipped inference phase since --skipInference is added.");
    else code = infer(engine);
    tn_engine_free(engine);
    return code;
}

static int trtexec(int argc, char **argv)
{
    static const char name[] = "TensorRT.trtexec";
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") != 0 && strcmp(argv[i], "-h") != 0) continue;
        trt_help(stdout);
        return EXIT_DONE;
    }
    if (argc == 0) {
        trt_help(stdout);
        return EXIT_DONE;
    }
    const char *line = "trtexec";
    for (int i = 0; i < argc; i++) line = join(line, strlen(line), " ", argv[i], strlen(argv[i]));
    errors_to_log(true);
    printf("&&&& RUNNING %s [Tenon v%s] # %s\n", name, tn_version(), line);
    int code = trt_parse(argc, argv) && !work() ? EXIT_DONE : EXIT_FAILED;
    fflush(stderr);
    printf("&&&& %s %s [Tenon v%s] # %s\n", code ? "FAILED" : "PASSED", name, tn_version(), line);
    return code;
}

static int options(tool_option *out)
{
    (void)out;
    return 0;
}

const tool_command command_trtexec = {
    .name = "trtexec",
    .usage = "[--FLAG[=VALUE] ...]",
    .about = "Build and time an engine with the flags, the log and the files of TensorRT's trtexec",
    .notes = "Also the program where it is called trtexec or tenon-trtexec. Exit codes are "
             "trtexec's: 0 passed, 1 failed.\n"
             "Every flag and what becomes of it: docs/migration/trtexec.md.",
    .options = options,
    .main = trtexec,
};
