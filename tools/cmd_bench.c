/* tenon bench: time an engine and report as trtexec 8.6 does, line by line, so that existing eyes
 * and scripts read it. Where trtexec says GPU, an engine on the CPU says CPU. */
#include <string.h>

#include "timing.h"

static build_flags flags;
static struct {
    const char *onnx, *load, *save, *times;
    text_list shapes, inputs, percentile;
    bool profile;
    timing_options timing;
} own = {.timing = {.iterations = 10,
                    .avg_runs = 10,
                    .seed = 1,
                    .streams = 1,
                    .duration_s = 3,
                    .warm_up_ms = 200,
                    .inputs = &own.inputs,
                    .percentile = &own.percentile}};

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
        {"loadInputs", OPTION_LIST, &own.inputs, "NAME=FILE",
         "an input from a .npy or .pb file, or one of bare values"},
        {"iterations", OPTION_INT, &own.timing.iterations, "N",
         "at least so many queries, default 10"},
        {"duration", OPTION_NUMBER, &own.timing.duration_s, "S", "at least so long, default 3 s"},
        {"warmUp", OPTION_NUMBER, &own.timing.warm_up_ms, "MS",
         "run so long before measuring, default 200 ms"},
        {"avgRuns", OPTION_INT, &own.timing.avg_runs, "N",
         "queries in each line of averages, default 10"},
        {"noDataTransfers", OPTION_FLAG, &own.timing.no_transfers, NULL,
         "inputs and outputs stay in the memory of the card"},
        {"dumpProfile", OPTION_FLAG, &own.profile, NULL,
         "after the timing, run again step by step and print the time of each"},
        {"percentile", OPTION_LIST, &own.percentile, "P,...",
         "percentages to report, default 90,95,99"},
        {"exportTimes", OPTION_TEXT, &own.times, "FILE", "every query's times as JSON"},
        {"seed", OPTION_INT, &own.timing.seed, "N", "of random inputs, default 1"},
        {"keep-denormals", OPTION_FLAG, &own.timing.keep_denormals, NULL,
         "compute with numbers below 1.2e-38; by default they are zeros on the CPU"},
    };
    memcpy(out, rows, sizeof(rows));
    int count = (int)(sizeof(rows) / sizeof(rows[0]));
    return count + build_options(&flags, out + count);
}

static int bench_engine(const tn_engine *engine, const shape_list *shapes, trace *t)
{
    enum { RUNS = 20 };
    session s;
    profile p;
    int code = session_open(engine, shapes, &own.timing, &s);
    if (code) return code;
    session_print(&s);
    code = timing_measure(&s, 1, t);
    if (!code && own.profile) {
        code = report(profile_measure(&s, RUNS, &p));
        if (!code) {
            profile_print(&p, true);
            profile_fini(&p);
        }
    }
    session_close(&s);
    return code;
}

static int bench(const char *path)
{
    static shape_list shapes;
    double percentile[16];
    if (!shapes_parse("shapes", &own.shapes, &shapes)) return EXIT_USAGE;
    if (percentiles_parse(&own.percentile, percentile, 16) < 0) return EXIT_USAGE;
    /* trtexec tunes for the shapes it times */
    if (!flags.opt.count) flags.opt = own.shapes;
    set_verbose(flags.verbose);
    bool loads = is_engine_file(path);
    double begin = now_ms();
    tn_engine *engine;
    int code = report(engine_open(path, &flags, &engine));
    if (code) return code;
    log_line('I', "Engine %s in %s sec.", loads ? "loaded" : "built",
             plain((now_ms() - begin) * 1e-3).text);
    if (own.save) code = report(tn_engine_save(engine, own.save));
    if (!code && flags.model.problem) code = report(print_choices(engine));
    trace t = {0};
    own.timing.device = on_card(engine) ? "GPU" : "CPU";
    own.timing.verbose = flags.verbose;
    if (!code) shapes_complete(engine, &own.inputs, &shapes);
    if (!code) code = bench_engine(engine, &shapes, &t);
    if (!code && !timing_print(&t, &own.timing)) code = EXIT_FAILED;
    if (!code && own.times && !timing_export(&t, own.times)) code = EXIT_FAILED;
    trace_fini(&t);
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
    if (own.timing.iterations < 1) own.timing.iterations = 1;
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
