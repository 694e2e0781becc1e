/* tenon run MODEL|ENGINE: once, with inputs from files or at random; prints or saves the outputs.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "tool.h"

static build_flags flags;
static struct {
    text_list shapes, inputs;
    const char *save;
    int seed, print;
    bool keep_denormals;
} own = {.seed = 1, .print = 8};

static int options(tool_option *out)
{
    const tool_option rows[] = {
        {"shapes", OPTION_LIST, &own.shapes, "NAME:1x3x4,...", "shapes of random inputs"},
        {"input", OPTION_LIST, &own.inputs, "NAME=FILE",
         "an input from a .npy or .pb file, or one of bare values"},
        {"seed", OPTION_INT, &own.seed, "N", "of random inputs, default 1"},
        {"print", OPTION_INT, &own.print, "N",
         "values of each output to print, default 8, -1: all"},
        {"save", OPTION_TEXT, &own.save, "FOLDER", "write each output there as NAME.npy"},
        {"keep-denormals", OPTION_FLAG, &own.keep_denormals, NULL,
         "compute with numbers below 1.2e-38; by default they are zeros on the CPU"},
    };
    memcpy(out, rows, sizeof(rows));
    int count = (int)(sizeof(rows) / sizeof(rows[0]));
    return count + build_options(&flags, out + count);
}

static void print_output(const char *name, const tn_tensor *t)
{
    char shape[200];
    printf("%s: %s %s", name, tn_dtype_name(t->dtype),
           shape_text(t->dim, t->rank, shape, sizeof(shape)));
    int64_t count = tn_tensor_count(t),
            show = own.print < 0 || own.print > count ? count : own.print;
    if (!has_values(t->dtype)) {
        printf(show ? "  (use --save to read values of this type)\n" : "\n");
        return;
    }
    printf("%s", show ? "  [" : "");
    for (int64_t i = 0; i < show; i++) printf("%s%.6g", i ? ", " : "", value_at(t, i));
    if (show) printf("%s", show < count ? ", ...]" : "]");
    printf("\n");
}

/* Names of outputs may hold '/': one file each all the same. */
static tn_status save_output(const char *name, const tn_tensor *t)
{
    char path[4096];
    int at = snprintf(path, sizeof(path), "%s/", own.save);
    snprintf(path + at, sizeof(path) - (size_t)at, "%s.npy", name);
    for (char *c = path + at; *c; c++)
        if (*c == '/') *c = '_';
    return tn_tensor_save(t, path);
}

static tn_status run_engine(const tn_engine *engine, const input_set *inputs)
{
    tn_context *context = NULL;
    tn_status status = tn_context_new(engine, &context);
    if (!status) status = inputs_bind(context, inputs);
    if (!status) status = tn_context_keep_denormals(context, own.keep_denormals);
    if (!status) status = tn_context_run(context);
    for (int i = 0; !status && i < tn_engine_output_count(engine); i++) {
        tn_io io;
        tn_tensor tensor;
        status = tn_engine_output(engine, i, &io);
        if (!status) status = tn_context_output(context, io.name, &tensor);
        if (status) break;
        print_output(io.name, &tensor);
        if (own.save) status = save_output(io.name, &tensor);
    }
    tn_context_free(context);
    return status;
}

static int run(text_list *arguments)
{
    static shape_list shapes;
    if (arguments->count != 1) {
        fprintf(stderr, "usage: tenon run MODEL.onnx|MODEL.pth|FILE.engine [OPTION ...]\n");
        return EXIT_USAGE;
    }
    if (!shapes_parse("shapes", &own.shapes, &shapes)) return EXIT_USAGE;
    if (own.save && mkdir(own.save, 0777) && errno != EEXIST) {
        fprintf(stderr, "error: cannot make the folder %s: %s\n", own.save, strerror(errno));
        return EXIT_FAILED;
    }
    set_verbose(flags.verbose);
    tn_engine *engine;
    int code = report(engine_open(arguments->at[0], &flags, &engine));
    if (code) return code;
    input_set inputs = {0};
    shapes_complete(engine, &own.inputs, &shapes);
    code = inputs_make(engine, &shapes, &own.inputs, (uint64_t)own.seed, &inputs);
    if (!code) code = report(run_engine(engine, &inputs));
    inputs_free(&inputs);
    tn_engine_free(engine);
    return code;
}

const tool_command command_run = {
    .name = "run",
    .usage = "MODEL.onnx|MODEL.pth|FILE.engine [OPTION ...]",
    .about = "Run once and print or save the outputs",
    .notes = "Inputs without a file are random: floats in [-1, 1), integers 0 or 1.",
    .options = options,
    .run = run,
};
