/* tenon trtexec: what TensorRT's trtexec does, with its flags, its log and its files, so that what
 * was written for it works by a change of name: `tenon trtexec ...`, or a link called trtexec.
 *
 * The metrics keep their names: on the CPU "GPU Compute Time" is the CPU's, which a line says. */
#include <stdlib.h>
#include <string.h>

#include <tenon/op.h>

#include "trtexec.h"

static void sink(void *self, tn_log_level level, const char *line)
{
    static const char levels[] = {'E', 'W', 'I', 'V'};
    (void)self;
    log_line(levels[level], "[TRT] %s", line);
}

/* ---- What the flags say, in our terms --------------------------------------------------------*/

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
            out.at[out.count++] = trt_join(name, (size_t)(end - name), "=", colon + 1, bytes - 1);
            at = colon + bytes + (colon[bytes] == ',');
        }
    }
    *list = out;
    return true;
}

static bool choose_device(tn_device_about *out)
{
    const char *asked = trt.cpu_only ? "cpu" : getenv("TENON_DEVICE");
    char id[32];
    bool cards = false;
    snprintf(id, sizeof(id), "cuda:%d", trt.device);
    if (asked && *asked) snprintf(id, sizeof(id), "%s%s", asked, strcmp(asked, "cuda") ? "" : ":0");
    trt.build.device = trt_join(id, strlen(id), "", "", 0);
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
    if (trt.plan_version) return trt_plan_version();
    int code = trt_engine(&engine);
    if (code) return code;
    if (trt.time_load) code = trt_time_load();
    else if (trt.skip_inference)
        log_line('I', "Skipped inference phase since --skipInference is added.");
    else if (trt_lacks_weights(engine))
        log_line('W', "Skipped inference phase since the engine has no weights: --refitFromOnnx.");
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
    for (int i = 0; i < argc; i++)
        line = trt_join(line, strlen(line), " ", argv[i], strlen(argv[i]));
    errors_to_log(true);
    setvbuf(stdout, NULL, _IOLBF, 0); /* in a pipe too, lines stand in order with those of stderr */
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
