/* Models from files of any kind: ONNX, and checkpoints of networks that Tenon knows by name. */
#include <string.h>

#include "tool.h"

int model_options(model_flags *flags, tool_option *out)
{
    const tool_option rows[] = {
        {"arch", OPTION_TEXT, &flags->arch, "NAME",
         "network of a .pth or .safetensors file: lstm, lenet, alexnet, resnet50, swin, bert; "
         "default what its keys look like"},
        {"set", OPTION_LIST, &flags->set, "KEY=VALUE",
         "a setting of the network, may be repeated; `tenon export --list` shows them"},
        {"random-weights", OPTION_FLAG, &flags->random_weights, NULL,
         "generate weights whose external file is absent"},
        {"op-library", OPTION_LIST, &flags->op_libraries, "FILE",
         "shared library with operators of your own (tenon/op.h), may be repeated"},
    };
    memcpy(out, rows, sizeof(rows));
    return (int)(sizeof(rows) / sizeof(rows[0]));
}

static tn_status open_checkpoint(const char *path, const model_flags *flags, tn_model **out)
{
    tn_checkpoint *checkpoint;
    tn_status status = tn_checkpoint_load(path, &checkpoint);
    if (status) return status;
    const char *guess = flags->arch ? NULL : tn_checkpoint_arch(checkpoint);
    if (guess) fprintf(stderr, "%s: its keys are those of --arch=%s\n", path, guess);
    status =
        tn_model_from_checkpoint(checkpoint, flags->arch, flags->set.at, flags->set.count, out);
    tn_checkpoint_free(checkpoint);
    return status;
}

tn_status model_open(const char *path, const model_flags *flags, tn_model **out)
{
    const tn_load_options load = {.size = sizeof(load), .random_weights = flags->random_weights};
    if (flags->problem) return tn_model_from_problem(flags->problem, out);
    if (flags->arch || is_checkpoint_file(path)) return open_checkpoint(path, flags, out);
    return tn_model_load(path, &load, out);
}
