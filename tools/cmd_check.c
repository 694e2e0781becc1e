/* tenon check MODEL|ENGINE FOLDER...: replay test_data_set folders and compare. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tool.h"

static build_flags flags;
static struct {
    double rtol, atol, l2;
} own = {.rtol = 1e-3, .atol = 1e-5};

static int options(tool_option *out)
{
    const tool_option rows[] = {
        {"rtol", OPTION_NUMBER, &own.rtol, "X", "relative tolerance, default 1e-3"},
        {"atol", OPTION_NUMBER, &own.atol, "X", "absolute tolerance, default 1e-5"},
        {"l2", OPTION_NUMBER, &own.l2, "X",
         "instead of both: the largest relative L2 difference of an output"},
    };
    memcpy(out, rows, sizeof(rows));
    return 3 + build_options(&flags, out + 3);
}

static bool exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

/* Reads folder/input_0.pb, input_1.pb, ... or .npy; the tensors follow the order of the graph. */
static tn_status read_tensors(const char *folder, const char *kind, int max, tn_tensor *out,
                              int *count)
{
    *count = 0;
    for (int i = 0; i < max; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s_%d.pb", folder, kind, i);
        if (!exists(path)) snprintf(path, sizeof(path), "%s/%s_%d.npy", folder, kind, i);
        if (!exists(path)) break;
        tn_status status = tn_tensor_load(path, &out[i]);
        if (status) return status;
        *count = i + 1;
    }
    return NULL;
}

typedef struct tally {
    int passed, failed;
    double worst; /* largest absolute difference */
} tally;

static tn_status compare_outputs(const tn_engine *engine, tn_context *context, const char *folder,
                                 const tn_tensor *want, int want_count, tally *score)
{
    bool good = true;
    double worst = 0;
    for (int i = 0; i < want_count; i++) {
        tn_io io;
        tn_tensor got;
        tn_difference difference;
        tn_status status = tn_engine_output(engine, i, &io);
        if (!status) status = tn_context_output(context, io.name, &got);
        if (!status) status = tn_tensor_compare(&got, &want[i], own.rtol, own.atol, &difference);
        if (status) return status;
        if (difference.abs_max > worst) worst = difference.abs_max;
        if (own.l2 > 0 && !(difference.rel_l2 <= own.l2)) {
            good = false;
            printf("  %s: relative L2 difference %.3g; largest difference %.3g\n", io.name,
                   difference.rel_l2, difference.abs_max);
        } else if (own.l2 <= 0 && difference.beyond_count) {
            good = false;
            printf(
                "  %s: %lld of %lld elements differ, the worst at %lld; largest difference %.3g\n",
                io.name, (long long)difference.beyond_count, (long long)tn_tensor_count(&got),
                (long long)difference.worst_index, difference.abs_max);
        }
    }
    printf("%s %s  max difference %.3g\n", good ? "PASS" : "FAIL", folder, worst);
    if (worst > score->worst) score->worst = worst;
    if (good) score->passed++;
    else score->failed++;
    return NULL;
}

static tn_status check_set(const tn_engine *engine, tn_context *context, const char *folder,
                           tally *score)
{
    static tn_tensor in[SHAPES_MAX], want[SHAPES_MAX];
    int in_count = 0, want_count = 0;
    tn_status status = read_tensors(folder, "input", tn_engine_input_count(engine), in, &in_count);
    if (!status)
        status = read_tensors(folder, "output", tn_engine_output_count(engine), want, &want_count);
    if (!status && want_count == 0) {
        printf("FAIL %s  no output_0.pb or output_0.npy\n", folder);
        score->failed++;
    } else {
        for (int i = 0; !status && i < in_count; i++) {
            tn_io io;
            status = tn_engine_input(engine, i, &io);
            if (!status) status = tn_context_bind(context, io.name, &in[i]);
        }
        if (!status) status = tn_context_run(context);
        if (!status) status = compare_outputs(engine, context, folder, want, want_count, score);
    }
    for (int i = 0; i < in_count; i++) tn_tensor_free(&in[i]);
    for (int i = 0; i < want_count; i++) tn_tensor_free(&want[i]);
    return status;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A data set itself (it holds input or output files), or a folder of test_data_set_N. */
static int check_folder(const tn_engine *engine, tn_context *context, const char *folder,
                        tally *score)
{
    char *found[256], path[4096];
    int count = 0, code = EXIT_DONE;
    DIR *listing = opendir(folder);
    if (!listing) {
        fprintf(stderr, "error: cannot read the folder %s\n", folder);
        return EXIT_FAILED;
    }
    for (struct dirent *entry; (entry = readdir(listing)) && count < 256;)
        if (strncmp(entry->d_name, "test_data_set_", 14) == 0 &&
            (found[count] = strdup(entry->d_name)))
            count++;
    closedir(listing);
    if (count == 0) return report(check_set(engine, context, folder, score));
    qsort(found, (size_t)count, sizeof(found[0]), by_name);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, found[i]);
        if (!code) code = report(check_set(engine, context, path, score));
        free(found[i]);
    }
    return code;
}

static int run(text_list *arguments)
{
    if (arguments->count < 2) {
        fprintf(stderr,
                "usage: tenon check MODEL.onnx|MODEL.pth|FILE.engine FOLDER... [OPTION ...]\n");
        return EXIT_USAGE;
    }
    set_verbose(flags.verbose);
    tn_engine *engine;
    tn_context *context;
    tally score = {0};
    int code = report(engine_open(arguments->at[0], &flags, &engine));
    if (code) return code;
    code = report(tn_context_new(engine, &context));
    for (int i = 1; !code && i < arguments->count; i++)
        code = check_folder(engine, context, arguments->at[i], &score);
    if (!code) {
        printf("%d passed, %d failed; largest difference %.3g (rtol %g, atol %g)\n", score.passed,
               score.failed, score.worst, own.rtol, own.atol);
        if (score.failed) code = EXIT_MISMATCH;
        tn_context_free(context);
    }
    tn_engine_free(engine);
    return code;
}

const tool_command command_check = {
    .name = "check",
    .usage = "MODEL.onnx|MODEL.pth|FILE.engine FOLDER... [OPTION ...]",
    .about =
        "Replay test_data_set folders (input_N.pb, output_N.pb or .npy) and compare the outputs",
    .notes = "An element passes when |got - want| <= atol + rtol * |want|.",
    .options = options,
    .run = run,
};
