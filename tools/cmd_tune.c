/* tenon tune FILE.engine: the engine anew, for the device that is here. */
#include <string.h>

#include "tool.h"

static build_flags flags;
static struct {
    const char *output;
    bool report;
} own;

static int options(tool_option *out)
{
    const tool_option rows[] = {
        {"output", OPTION_TEXT, &own.output, "FILE",
         "the new engine file (also -o); default: the old one is replaced"},
        {"report", OPTION_FLAG, &own.report, NULL,
         "print every choice, refusal and the check's figures"},
        {"op-library", OPTION_LIST, &flags.model.op_libraries, "FILE",
         "shared library with operators of your own (tenon/op.h), may be repeated"},
    };
    int count = (int)(sizeof(rows) / sizeof(rows[0]));
    memcpy(out, rows, sizeof(rows));
    return count + tune_options(&flags, out + count);
}

static int run(text_list *arguments)
{
    if (arguments->count != 1) {
        fprintf(stderr, "usage: tenon tune FILE.engine [-o FILE] [OPTION ...]\n");
        return EXIT_USAGE;
    }
    set_verbose(flags.verbose);
    const char *path = own.output ? own.output : arguments->at[0];
    double begin = now_ms();
    tn_engine *engine;
    int code = report(engine_tune(arguments->at[0], &flags, &engine));
    if (code) return code;
    code = report(tn_engine_save(engine, path));
    if (!code && own.report) code = report(print_choices(engine));
    if (!code)
        fprintf(stderr, "tuned %s for %s in %.2f s\n", path, tn_engine_device(engine),
                (now_ms() - begin) * 1e-3);
    tn_engine_free(engine);
    return code;
}

const tool_command command_tune = {
    .name = "tune",
    .usage = "FILE.engine [-o FILE] [OPTION ...]",
    .about = "Build an engine anew from the graph it carries, measured on the device that is here",
    .notes =
        "Shapes and precision are those that the engine was built with, unless they are given. "
        "The result is\n"
        "compared with the graph as after a build (exit code 3).",
    .options = options,
    .run = run,
};
