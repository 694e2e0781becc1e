/* The flags that say how an engine is built, and opening a model or engine file with them. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tool.h"

int tune_options(build_flags *flags, tool_option *out)
{
    const tool_option rows[] = {
        {"minShapes", OPTION_LIST, &flags->min, "NAME:1x3x4,...", "smallest shapes to check at"},
        {"optShapes", OPTION_LIST, &flags->opt, "NAME:1x3x4,...", "shapes to tune for"},
        {"maxShapes", OPTION_LIST, &flags->max, "NAME:1x3x4,...",
         "largest shapes to check at; hints, never limits"},
        {"device", OPTION_TEXT, &flags->device, "NAME",
         "cpu (default), cuda, or cuda:1 for a card by its number; an engine file by default runs "
         "on what it was built for"},
        {"threads", OPTION_INT, &flags->threads, "N", "CPU threads; 0 (default) takes all cores"},
        {"budget", OPTION_NUMBER, &flags->budget_ms, "MS",
         "time for measuring tactics, default 2000; 0 (or below) only estimates"},
        {"tolerance", OPTION_NUMBER, &flags->tolerance, "X",
         "largest relative L2 difference to the unoptimised graph; default: that of the precision, "
         "1e-5 for float32"},
        {"no-check", OPTION_FLAG, &flags->no_check, NULL,
         "skip the comparison with the unoptimised graph (the engine records it)"},
        {"tf32", OPTION_FLAG, &flags->tf32, NULL, "products may use TF32 (relative L2 1e-3)"},
        {"fp16", OPTION_FLAG, &flags->fp16, NULL,
         "compute in float16 where a card is (5e-3), sums in float32; TF32 where that is not so"},
        {"bf16", OPTION_FLAG, &flags->bf16, NULL, "the same with bfloat16 (2e-2)"},
        {"hold", OPTION_LIST, &flags->hold, "NAME",
         "compute the node or result of this name in float32 all the same, may be repeated; "
         "`tenon compare --precision-bisect` finds which"},
        {"timings", OPTION_TEXT, &flags->timings, "FILE", "measured times, read and kept here"},
        {"dump", OPTION_TEXT, &flags->dump, "FOLDER", "write the graph here after every pass"},
        {"verbose", OPTION_FLAG, &flags->verbose, NULL, "say more"},
    };
    flags->budget_ms = 2000;
    memcpy(out, rows, sizeof(rows));
    return (int)(sizeof(rows) / sizeof(rows[0]));
}

int build_options(build_flags *flags, tool_option *out)
{
    int count = tune_options(flags, out);
    out[count++] = (tool_option){"no-optimize", OPTION_FLAG, &flags->no_optimize, NULL,
                                 "no passes, reference kernels only: the slow, obvious engine"};
    return count + model_options(&flags->model, out + count);
}

/* Profiles from the three shape flags: what is not given follows opt, then max, then min. */
static bool make_profiles(const build_flags *flags, tn_profile *out, int *count,
                          shape_list store[3])
{
    if (!shapes_parse("minShapes", &flags->min, &store[0]) ||
        !shapes_parse("optShapes", &flags->opt, &store[1]) ||
        !shapes_parse("maxShapes", &flags->max, &store[2]))
        return false;
    *count = 0;
    for (int list = 0; list < 3; list++) {
        for (int i = 0; i < store[list].count; i++) {
            const char *name = store[list].at[i].name;
            bool known = false;
            for (int k = 0; k < *count; k++) known |= strcmp(out[k].input, name) == 0;
            if (known || *count == SHAPES_MAX) continue;
            const named_shape *min = shapes_find(&store[0], name),
                              *opt = shapes_find(&store[1], name),
                              *max = shapes_find(&store[2], name);
            if (!opt) opt = max ? max : min;
            if (!min) min = opt;
            if (!max) max = opt;
            if (min->rank != opt->rank || max->rank != opt->rank) {
                fprintf(stderr, "tenon: the shapes given for '%s' differ in rank\n", name);
                return false;
            }
            tn_profile *profile = &out[(*count)++];
            profile->input = name;
            profile->rank = opt->rank;
            memcpy(profile->min, min->dim, sizeof(min->dim));
            memcpy(profile->opt, opt->dim, sizeof(opt->dim));
            memcpy(profile->max, max->dim, sizeof(max->dim));
        }
    }
    return true;
}

bool shapes_good(const build_flags *flags)
{
    static shape_list store[3];
    static tn_profile profile[SHAPES_MAX];
    int profile_count = 0;
    return make_profiles(flags, profile, &profile_count, store);
}

bool is_engine_file(const char *path)
{
    char magic[sizeof(TN_ENGINE_MAGIC) - 1] = {0};
    FILE *file = fopen(path, "rb");
    if (!file) return false;
    size_t got = fread(magic, 1, sizeof(magic), file);
    fclose(file);
    return got == sizeof(magic) && memcmp(magic, TN_ENGINE_MAGIC, sizeof(magic)) == 0;
}

static void make_config(const build_flags *flags, tn_build_config *out)
{
    static shape_list store[3];
    static tn_profile profile[SHAPES_MAX];
    int profile_count = 0;
    if (!make_profiles(flags, profile, &profile_count, store)) exit(EXIT_USAGE);
    *out = (tn_build_config){
        .size = sizeof(*out),
        .device = flags->device,
        .threads = flags->threads,
        .profiles = profile,
        .profile_count = profile_count,
        .no_check = flags->no_check,
        .no_optimize = flags->no_optimize,
        .budget_ms = flags->budget_ms > 0 ? flags->budget_ms : -1, /* 0 is tenon.h's default */
        .tolerance = flags->tolerance,
        .timings_path = flags->timings,
        .dump_folder = flags->dump,
        .refit = flags->refit,
        .strip_weights = flags->strip_weights,
        .hold = flags->hold.at,
        .hold_count = flags->hold.count,
        .expose = flags->expose,
        .timing_cache = flags->cache,
        .precision = flags->fp16   ? TN_PRECISION_F16
                     : flags->bf16 ? TN_PRECISION_BF16
                     : flags->tf32 ? TN_PRECISION_TF32
                                   : TN_PRECISION_F32,
    };
}

tn_status engine_build(const tn_model *model, const build_flags *flags, tn_engine **out)
{
    tn_build_config config;
    make_config(flags, &config);
    return tn_build(model, &config, out);
}

tn_status engine_open(const char *path, const build_flags *flags, tn_engine **out)
{
    tn_model *model;
    if (is_engine_file(path)) return tn_engine_load(path, flags->device, flags->threads, out);
    tn_status status = model_open(path, &flags->model, &model);
    if (status) return status;
    status = engine_build(model, flags, out);
    tn_model_free(model);
    return status;
}

tn_status engine_tune(const char *path, const build_flags *flags, tn_engine **out)
{
    tn_build_config config;
    tn_engine *engine;
    make_config(flags, &config);
    tn_status status = tn_engine_load(path, NULL, flags->threads, &engine);
    if (status) return status;
    status = tn_engine_tune(engine, &config, out);
    tn_engine_free(engine);
    return status;
}

static bool to_log;

void errors_to_log(bool on)
{
    to_log = on;
}

tn_status print_choices(const tn_engine *engine)
{
    char *text;
    tn_status status = tn_engine_text(engine, TN_TEXT_REPORT, &text);
    if (status) return status;
    printf("%s", text);
    fflush(stdout);
    tn_text_free(text);
    return NULL;
}

int report(tn_status status)
{
    if (!status) return EXIT_DONE;
    static char text[8192];
    tn_status_text(status, getenv("TN_TRAIL") != NULL, text, sizeof(text));
    size_t bytes = strlen(text);
    if (bytes && text[bytes - 1] == '\n') text[bytes - 1] = 0;
    for (char *line = text, *end; to_log && *line; line = *end ? end + 1 : end) {
        end = line + strcspn(line, "\n");
        log_line('E', "%.*s", (int)(end - line), line);
    }
    if (!to_log) fprintf(stderr, "error: %s\n", text);
    return tn_status_code(status) == TN_MISMATCH ? EXIT_MISMATCH : EXIT_FAILED;
}

void set_verbose(bool verbose)
{
    tn_set_log(NULL, NULL, verbose ? TN_LOG_VERBOSE : TN_LOG_WARNING);
}

double now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}
