/* tenon refit ENGINE WEIGHTS: the same engine with other weights. */
#include <stdlib.h>
#include <string.h>

#include "tool.h"

static build_flags flags;
static struct {
    const char *output;
    bool partly;
} own;

static int options(tool_option *out)
{
    const tool_option rows[] = {
        {"output", OPTION_TEXT, &own.output, "FILE",
         "the new engine file (also -o); default: the old one is replaced"},
        {"partly", OPTION_FLAG, &own.partly, NULL,
         "pass over tensors of a checkpoint that the engine has no weight for"},
        {"no-check", OPTION_FLAG, &flags.no_check, NULL,
         "skip the comparison with the unoptimised graph (the engine records it)"},
        {"tolerance", OPTION_NUMBER, &flags.tolerance, "X",
         "largest relative L2 difference to the unoptimised graph; default: that of the precision"},
        {"threads", OPTION_INT, &flags.threads, "N", "CPU threads; 0 (default) takes all cores"},
        {"op-library", OPTION_LIST, &flags.model.op_libraries, "FILE",
         "shared library with operators of your own (tenon/op.h), may be repeated"},
        {"verbose", OPTION_FLAG, &flags.verbose, NULL, "say more"},
    };
    memcpy(out, rows, sizeof(rows));
    return (int)(sizeof(rows) / sizeof(rows[0]));
}

static bool has_weight(const tn_engine *engine, const char *wanted)
{
    int64_t count = tn_engine_weight_count(engine);
    for (int64_t i = 0; i < count; i++) {
        const char *name;
        tn_tensor t;
        if (!tn_engine_weight(engine, i, &name, &t, NULL) && !strcmp(name, wanted)) return true;
    }
    return false;
}

static tn_status refit_from_tensors(const tn_engine *engine, const tn_checkpoint *checkpoint,
                                    const tn_build_config *config, const char **name,
                                    tn_tensor *tensor, tn_engine **out)
{
    int64_t count = 0, all = tn_checkpoint_count(checkpoint);
    for (int64_t i = 0; i < all; i++) {
        tn_status status = tn_checkpoint_tensor_at(checkpoint, i, &name[count], &tensor[count]);
        if (status) return status;
        if (!own.partly || has_weight(engine, name[count])) count++;
    }
    return tn_engine_refit(engine, name, tensor, count, config, out);
}

static tn_status refit_from_checkpoint(const tn_engine *engine, const char *path,
                                       const tn_build_config *config, tn_engine **out)
{
    tn_checkpoint *checkpoint;
    tn_status status = tn_checkpoint_load(path, &checkpoint);
    if (status) return status;
    size_t count = (size_t)tn_checkpoint_count(checkpoint) + 1;
    const char **name = malloc(count * sizeof(*name));
    tn_tensor *tensor = malloc(count * sizeof(*tensor));
    if (name && tensor) status = refit_from_tensors(engine, checkpoint, config, name, tensor, out);
    else fprintf(stderr, "tenon refit: no memory for a list of weights\n");
    free(name);
    free(tensor);
    tn_checkpoint_free(checkpoint);
    return status;
}

static tn_status refit(const tn_engine *engine, const char *path, tn_engine **out)
{
    const tn_build_config config = {.size = sizeof(config),
                                    .threads = flags.threads,
                                    .no_check = flags.no_check,
                                    .tolerance = flags.tolerance};
    if (is_checkpoint_file(path)) return refit_from_checkpoint(engine, path, &config, out);
    tn_model *model;
    tn_status status = model_open(path, &flags.model, &model);
    if (status) return status;
    status = tn_engine_refit_from_model(engine, model, &config, out);
    tn_model_free(model);
    return status;
}

static int run(text_list *arguments)
{
    if (arguments->count != 2) {
        fprintf(stderr, "usage: tenon refit FILE.engine "
                        "WEIGHTS.safetensors|WEIGHTS.pth|MODEL.onnx [-o FILE] [OPTION ...]\n");
        return EXIT_USAGE;
    }
    set_verbose(flags.verbose);
    const char *path = own.output ? own.output : arguments->at[0];
    double begin = now_ms();
    tn_engine *engine, *fresh = NULL;
    int code = report(tn_engine_load(arguments->at[0], NULL, flags.threads, &engine));
    if (code) return code;
    code = report(refit(engine, arguments->at[1], &fresh));
    if (!code) code = fresh ? report(tn_engine_save(fresh, path)) : EXIT_FAILED;
    if (!code) fprintf(stderr, "refit %s in %.2f s\n", path, (now_ms() - begin) * 1e-3);
    tn_engine_free(fresh);
    tn_engine_free(engine);
    return code;
}

const tool_command command_refit = {
    .name = "refit",
    .usage = "FILE.engine WEIGHTS.safetensors|WEIGHTS.pth|MODEL.onnx [-o FILE] [OPTION ...]",
    .about = "Put other weights into an engine, by their names in the model",
    .notes =
        "For engines built with --refit, and for those built with --strip-weights, which have none "
        "until\n"
        "then. Nothing is measured: the kernels are those of the engine. `tenon inspect "
        "FILE.engine --weights`\n"
        "lists the names. The result is compared with the graph as after a build (exit code 3).",
    .options = options,
    .run = run,
};
