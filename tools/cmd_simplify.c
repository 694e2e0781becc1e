/* tenon simplify IN.onnx OUT.onnx */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tool.h"

static struct {
    text_list overwrite, keep, min, opt, max;
    int opset, threads;
    double tolerance;
    bool no_check, external_data, verbose;
} own;
static model_flags flags;

static int options(tool_option *out)
{
    const tool_option rows[] = {
        {"overwrite-shape", OPTION_LIST, &own.overwrite, "NAME:1x3x224x224,...",
         "fix the dims of inputs"},
        {"keep", OPTION_LIST, &own.keep, "NAME", "a node or value that must stay; may be repeated"},
        {"opset", OPTION_INT, &own.opset, "N",
         "opset of the result, 11 to 27; default the model's own, but at least 17"},
        {"no-check", OPTION_FLAG, &own.no_check, NULL, "do not compare the result with the model"},
        {"tolerance", OPTION_NUMBER, &own.tolerance, "X",
         "largest relative L2 difference, default 1e-5 for f32"},
        {"minShapes", OPTION_LIST, &own.min, "NAME:1x3x4,...", "smallest shapes to compare at"},
        {"optShapes", OPTION_LIST, &own.opt, "NAME:1x3x4,...", "usual shapes to compare at"},
        {"maxShapes", OPTION_LIST, &own.max, "NAME:1x3x4,...", "largest shapes to compare at"},
        {"external-data", OPTION_FLAG, &own.external_data, NULL,
         "put the weights into a file beside the model; done unasked above 2 GB"},
        {"threads", OPTION_INT, &own.threads, "N", "CPU threads; 0 (default) takes all cores"},
        {"verbose", OPTION_FLAG, &own.verbose, NULL, "say more"},
    };
    memcpy(out, rows, sizeof(rows));
    int count = (int)(sizeof(rows) / sizeof(rows[0]));
    return count + model_options(&flags, out + count);
}

static tn_input_shape fixed[SHAPES_MAX];
static tn_profile profile[SHAPES_MAX];
static shape_list overwrite, shapes[3];

static void fix_shapes(tn_simplify_options *simplify)
{
    for (int i = 0; i < overwrite.count; i++) {
        fixed[i].input = overwrite.at[i].name;
        fixed[i].rank = overwrite.at[i].rank;
        memcpy(fixed[i].dim, overwrite.at[i].dim, sizeof(fixed[i].dim));
    }
    simplify->shapes = fixed;
    simplify->shape_count = overwrite.count;
}

/* An input's profile from whichever of min, opt and max are given: the next takes the place of one
 * that is not. */
static void add_profile(tn_simplify_options *simplify, const char *name)
{
    const named_shape *min = shapes_find(&shapes[0], name), *opt = shapes_find(&shapes[1], name);
    const named_shape *max = shapes_find(&shapes[2], name);
    for (int i = 0; i < simplify->profile_count; i++)
        if (strcmp(profile[i].input, name) == 0) return;
    if (simplify->profile_count == SHAPES_MAX) return;
    if (!opt) opt = max ? max : min;
    if (!min) min = opt;
    if (!max) max = opt;
    tn_profile *p = &profile[simplify->profile_count++];
    p->input = name;
    p->rank = opt->rank;
    memcpy(p->min, min->dim, sizeof(p->min));
    memcpy(p->opt, opt->dim, sizeof(p->opt));
    memcpy(p->max, max->dim, sizeof(p->max));
}

static long long file_bytes(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (long long)info.st_size : 0;
}

static int simplify_model(const char *in, const char *out)
{
    tn_simplify_options simplify = {.size = sizeof(simplify),
                                    .opset = own.opset,
                                    .keep = own.keep.at,
                                    .keep_count = own.keep.count,
                                    .profiles = profile,
                                    .no_check = own.no_check,
                                    .tolerance = own.tolerance,
                                    .threads = own.threads};
    const tn_save_options save = {.size = sizeof(save), .external_data = own.external_data};
    tn_model *model;
    char *text = NULL;
    fix_shapes(&simplify);
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < shapes[k].count; i++) add_profile(&simplify, shapes[k].at[i].name);
    double begin = now_ms();
    fprintf(stderr, "reading %s\n", in);
    int code = report(model_open(in, &flags, &model));
    if (code) return code;
    fprintf(stderr, "simplifying%s\n",
            own.no_check ? "" : " and comparing with the model as it was");
    code = report(tn_model_simplify(model, &simplify, &text));
    if (!code) {
        fprintf(stderr, "writing %s\n", out);
        code = report(tn_model_save(model, out, &save));
    }
    if (!code) {
        char data[4200];
        snprintf(data, sizeof(data), "%s.data", out);
        long long written = file_bytes(out) + (own.external_data ? file_bytes(data) : 0);
        printf("%sfile: %lld bytes before, %lld now\n", text, file_bytes(in), written);
        fprintf(stderr, "done in %.2f s\n", (now_ms() - begin) * 1e-3);
    }
    tn_text_free(text);
    tn_model_free(model);
    return code;
}

static int run(text_list *arguments)
{
    if (arguments->count != 2) {
        fprintf(stderr, "usage: tenon simplify IN.onnx|IN.pth OUT.onnx [OPTION ...]\n");
        return EXIT_USAGE;
    }
    set_verbose(own.verbose);
    if (!shapes_parse("overwrite-shape", &own.overwrite, &overwrite) ||
        !shapes_parse("minShapes", &own.min, &shapes[0]) ||
        !shapes_parse("optShapes", &own.opt, &shapes[1]) ||
        !shapes_parse("maxShapes", &own.max, &shapes[2]))
        return EXIT_USAGE;
    return simplify_model(arguments->at[0], arguments->at[1]);
}

const tool_command command_simplify = {
    .name = "simplify",
    .usage = "IN.onnx|IN.pth OUT.onnx [OPTION ...]",
    .about = "Write a smaller model that computes the same",
    .notes = "The result is run beside the model on random inputs at a few shapes; a difference "
             "above the\n"
             "tolerance names the first tensor that differs and no file is written (exit code 3).",
    .options = options,
    .run = run,
};
