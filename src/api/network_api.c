/* The public functions about networks and their layers as a whole. */
#include <string.h>

#include "api/api.h"
#include "api/network.h"
#include "import/checkpoint.h"

tn_status tn_network_new(const char *name, tn_network **out)
{
    TN_NOT_NULL(out);
    *out = NULL;
    tn_network *network = tn_alloc_zero(sizeof(*network));
    TN_CHECK(network, TN_OUT_OF_MEMORY, "no memory for a network");
    tn_arena_init(&network->arena);
    tn_map_init(&network->inputs, &network->arena);
    network->writing = 1;
    name = name ? name : "network";
    network->name = tn_arena_text(&network->arena, name, strlen(name));
    if (!network->name) {
        tn_network_free(network);
        TN_FAIL(TN_OUT_OF_MEMORY, "no memory for a network");
    }
    *out = network;
    return NULL;
}

void tn_network_drop_sketch(tn_network *network)
{
    tn_graph_free(network->sketch);
    network->sketch = NULL;
    network->writing++;
}

void tn_network_free(tn_network *network)
{
    if (!network) return;
    tn_graph_free(network->sketch);
    tn_arena_fini(&network->arena);
    tn_free(network, sizeof(*network));
}

tn_status tn_network_status(const tn_network *network)
{
    TN_NOT_NULL(network);
    return network->failed ? tn_status_adopt(&network->failure) : NULL;
}

const tn_tensor *tn_network_weight(tn_network *network, const tn_checkpoint *checkpoint,
                                   const char *name)
{
    tn_tensor found, *kept = NULL;
    if (!network || network->failed) return NULL;
    tn_status status = tn_checkpoint_find(checkpoint, name, &found);
    if (!status) {
        kept = TN_NEW(&network->arena, tn_tensor);
        if (kept) *kept = found;
        else status = TN_ERROR(TN_OUT_OF_MEMORY, "no memory for the weight '%s'", name);
    }
    if (status) tn_network_fail(network, status);
    return kept;
}

/* ---- Layers ----------------------------------------------------------------------------------*/

tn_layer *tn_layer_output(tn_layer *layer, int index)
{
    if (!layer || layer->network->failed) return NULL;
    tn_layer *base = layer->base;
    if (index < 0 || index >= base->output_count) {
        tn_layer_fail(base, TN_INVALID, "there is no output %d: it has %d", index,
                      base->output_count);
        return NULL;
    }
    if (index == 0) return base;
    tn_arena *arena = &base->network->arena;
    if (!base->more) base->more = TN_NEW_ARRAY(arena, tn_layer *, base->output_count);
    if (base->more && base->more[index]) return base->more[index];
    tn_layer *output = base->more ? TN_NEW(arena, tn_layer) : NULL;
    const char *made = tn_arena_printf(arena, "%s.%d", tn_layer_name(base), index);
    if (!output || !made) {
        tn_layer_fail(base, TN_OUT_OF_MEMORY, "no memory for its output %d", index);
        return NULL;
    }
    *output = (tn_layer){
        .network = base->network, .kind = base->kind, .base = base, .output = index, .made = made};
    return base->more[index] = output;
}

const char *tn_layer_kind_name(const tn_layer *layer)
{
    return layer ? layer->kind->name : "";
}

const char *tn_layer_name(const tn_layer *layer)
{
    if (!layer) return "";
    if (layer->kind == &tn_layer_input_kind) return layer->text;
    return layer->name ? layer->name : layer->made;
}

void tn_network_mark_output(tn_network *network, tn_layer *tensor, const char *name)
{
    if (!network || network->failed) return;
    tn_status status = NULL;
    if (!tensor || tensor->network != network)
        status = TN_ERROR(TN_INVALID, "output %lld%s%s of network '%s' is %s",
                          (long long)network->output_count, name ? ", " : "", name ? name : "",
                          network->name, tensor ? "a tensor of another network" : "NULL");
    else if (!name) name = tn_layer_name(tensor);
    if (!status && !name[0]) status = TN_ERROR(TN_INVALID, "an output has no name");
    for (int64_t i = 0; i < network->output_count && !status; i++)
        if (!strcmp(network->output[i].name, name))
            status = TN_ERROR(TN_INVALID, "there is an output '%s' already", name);
    if (!status)
        status = tn_arena_grow(&network->arena, &network->output, network->output_count,
                               &network->output_capacity, network->output_count + 1,
                               sizeof(*network->output));
    const char *copy = status ? NULL : tn_arena_text(&network->arena, name, strlen(name));
    if (!status && !copy) status = TN_ERROR(TN_OUT_OF_MEMORY, "no memory for a name");
    if (status) tn_network_fail(network, status);
    else network->output[network->output_count++] = (struct tn_network_output){tensor, copy};
}

/* ---- Shapes and models -----------------------------------------------------------------------*/

tn_status tn_layer_describe(const tn_layer *tensor, tn_io *out)
{
    TN_NOT_NULL(tensor);
    TN_NOT_NULL(out);
    tn_network *network = tensor->network;
    if (network->failed) return tn_status_adopt(&network->failure);
    if (network->nested) tn_network_drop_sketch(network);
    tn_status status = NULL;
    if (!network->sketch) {
        network->writing++;
        status = tn_graph_new(network->name, &network->sketch);
    }
    if (!status) status = tn_network_write(network, network->sketch, false, tensor->base);
    if (!status)
        status = tn_io_describe(network->sketch->arena, tn_layer_name(tensor),
                                tensor->base->value[tensor->output], false, out);
    if (!status) return NULL;
    tn_network_drop_sketch(network);
    return tn_status_trail(status, __FILE__, __LINE__, __func__);
}

tn_status tn_model_from_network(tn_network *network, tn_model **out)
{
    tn_graph *graph;
    TN_NOT_NULL(out);
    *out = NULL;
    TN_NOT_NULL(network);
    if (network->failed) return tn_status_adopt(&network->failure);
    TN_CHECK(network->output_count > 0, TN_INVALID,
             "network '%s' has no output: tn_network_mark_output makes one", network->name);
    tn_network_drop_sketch(network);
    TN_TRY(tn_graph_new(network->name, &graph));
    tn_status status = tn_network_write(network, graph, true, NULL);
    if (!status) status = tn_graph_verify(graph);
    if (!status) return tn_model_of_graph(graph, "tenon, a network", out);
    tn_graph_free(graph);
    return tn_status_trail(status, __FILE__, __LINE__, __func__);
}
