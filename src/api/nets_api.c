/* The public functions about networks by name. */
#include <inttypes.h>
#include <string.h>

#include "api/api.h"
#include "nets/net.h"

tn_status tn_archs_text(char **out)
{
    tn_text text = {0};
    TN_NOT_NULL(out);
    *out = NULL;
    for (int i = 0; tn_net_table[i]; i++)
        tn_text_printf(&text, "%s: %s\n%s", tn_net_table[i]->name, tn_net_table[i]->about,
                       tn_net_table[i]->settings);
    tn_text_printf(&text, "all: strict=0 (tensors that the network has no use for are let be)\n");
    TN_TRY(tn_text_take(&text, out));
    return NULL;
}

const char *tn_checkpoint_arch(const tn_checkpoint *checkpoint)
{
    const tn_net *net = checkpoint ? tn_net_recognise(checkpoint) : NULL;
    return net ? net->name : NULL;
}

static void print_names(tn_text *out)
{
    for (int i = 0; tn_net_table[i]; i++)
        tn_text_printf(out, "%s%s", i ? ", " : "", tn_net_table[i]->name);
}

static tn_status find_net(const tn_checkpoint *checkpoint, const char *arch, const tn_net **out)
{
    tn_text names = {0};
    tn_status status = NULL;
    *out = arch ? tn_net_find(arch) : tn_net_recognise(checkpoint);
    if (*out) return NULL;
    print_names(&names);
    if (arch)
        status = TN_ERROR(TN_NOT_FOUND, "there is no network '%s'; there are %s", arch,
                          names.failed ? "" : names.at);
    else
        status = TN_ERROR(TN_INVALID,
                          "the %" PRId64
                          " tensors are not named as those of any network that is known (%s): a "
                          "checkpoint has no graph; name its network, or export it as ONNX",
                          checkpoint->count, names.failed ? "" : names.at);
    tn_text_fini(&names);
    return tn_status_trail(status, __FILE__, __LINE__, __func__);
}

tn_status tn_model_from_checkpoint(tn_checkpoint *checkpoint, const char *arch,
                                   const char *const *settings, int setting_count, tn_model **out)
{
    const tn_net *net;
    tn_graph *graph;
    TN_NOT_NULL(out);
    *out = NULL;
    TN_NOT_NULL(checkpoint);
    TN_CHECK(setting_count >= 0 && (setting_count == 0 || settings), TN_INVALID,
             "%d settings are announced, but settings is NULL", setting_count);
    for (int i = 0; i < setting_count; i++)
        TN_CHECK(settings[i] && strchr(settings[i], '='), TN_INVALID,
                 "the setting '%s' is not of the form key=value", settings[i] ? settings[i] : "");
    TN_TRY(find_net(checkpoint, arch, &net));
    TN_TRY(tn_net_load(net, checkpoint, settings, setting_count, &graph));
    TN_TRY(tn_model_of_graph(graph, "tenon, a network by name", out));
    tn_checkpoint_keep(checkpoint);
    (*out)->checkpoint = checkpoint;
    return NULL;
}
