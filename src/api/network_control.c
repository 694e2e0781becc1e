/* If and Loop: networks inside layers, written as graphs inside nodes (ir/subgraph.h). */
#include <stdio.h>
#include <string.h>

#include "api/network.h"
#include "ir/subgraph.h"

enum { INSIDE_MAX = 2 };

static tn_status add_node(tn_pen *pen, const char *op, const char *const *attr_names,
                          tn_value *const *in, int in_count, tn_node **out)
{
    tn_graph *graph = pen->draft->graph;
    tn_attr attr = {.kind = TN_ATTR_GRAPH};
    const char *name = tn_layer_name(pen->layer);
    TN_TRY(tn_graph_add_node(graph, tn_op_find(NULL, op), name, in, in_count, NULL,
                             pen->layer->output_count, NULL, out));
    for (int i = 0; i < INSIDE_MAX && pen->layer->inside[i]; i++) {
        tn_network *inside = pen->layer->inside[i];
        TN_TRY(tn_graph_new_child(graph, inside->name, &attr.graph));
        tn_network_drop_sketch(inside);
        TN_TRY(tn_network_write(inside, attr.graph, pen->copy, NULL));
        attr.name = attr_names[i];
        TN_TRY(tn_node_set_attr(*out, &attr));
    }
    return NULL;
}

static void write_inside(tn_pen *pen, const char *op, const char *const *attr_names,
                         tn_value *const *in, int in_count, int64_t carried)
{
    tn_node *node = NULL;
    if (pen->draft->failed) return;
    tn_status status = add_node(pen, op, attr_names, in, in_count, &node);
    if (!status && carried >= 0) status = tn_node_set_int(node, "carried", carried);
    if (!status) status = tn_node_lower(node);
    if (!status) status = tn_node_settle(node);
    if (!status) status = tn_node_infer(node);
    if (!tn_draft_try(pen->draft, status)) return;
    for (int i = 0; i < pen->layer->output_count; i++) pen->out[i] = node->out[i];
}

/* A network that can stand inside this one, with as many inputs as it is given. */
static bool check_inside(tn_layer *layer, const tn_network *inside, const char *what, int given)
{
    if (!inside) tn_layer_fail(layer, TN_INVALID, "%s is NULL", what);
    else if (inside->failed)
        tn_layer_fail(layer, tn_status_code(&inside->failure), "%s: %s", what,
                      tn_status_message(&inside->failure));
    else if ((int)inside->inputs.count != given)
        tn_layer_fail(layer, TN_INVALID, "%s, network '%s', has %d inputs; it is given %d", what,
                      inside->name, (int)inside->inputs.count, given);
    else return true;
    return false;
}

/* ---- If --------------------------------------------------------------------------------------*/

static void write_if(tn_pen *pen)
{
    static const char *const names[] = {"then_branch", "else_branch"};
    write_inside(pen, "If", names, pen->in, pen->in_count, -1);
}

static tn_layer *add_with(tn_network *network, const tn_layer_kind *kind, tn_layer *const *front,
                          int front_count, tn_layer *const *given, int count)
{
    tn_layer *in[2 + 2 * 64] = {NULL};
    if (!network || network->failed) return NULL;
    bool fits = count >= 0 && count <= 128 && (count == 0 || given);
    for (int i = 0; i < front_count; i++) in[i] = front[i];
    for (int i = 0; fits && i < count; i++) in[front_count + i] = given[i];
    tn_layer *layer = tn_layer_add(network, kind, in, front_count + (fits ? count : 0));
    if (layer && !fits)
        tn_layer_fail(layer, TN_INVALID, "%d tensors are given; at most 128", count);
    for (int i = 0; layer && fits && i < count; i++)
        if (!given[i])
            tn_layer_fail(layer, TN_INVALID, "input %d is NULL: it takes a tensor of the network",
                          front_count + i);
    return tn_layer_done(layer);
}

tn_layer *tn_network_add_if(tn_network *network, tn_layer *condition, tn_network *then,
                            tn_network *otherwise, tn_layer *const *given, int count)
{
    static const tn_layer_kind kind = {"if", 0, 1, 0, 1, write_if};
    tn_layer *layer = add_with(network, &kind, TN_LAYERS(condition), given, count);
    if (!layer || !check_inside(layer, then, "the first branch", count) ||
        !check_inside(layer, otherwise, "the other branch", count))
        return NULL;
    layer->inside[0] = then;
    layer->inside[1] = otherwise;
    layer->output_count = (int32_t)then->output_count;
    network->nested = true;
    if (then->output_count != otherwise->output_count || then->output_count == 0)
        tn_layer_fail(layer, TN_INVALID, "its branches have %lld and %lld outputs",
                      (long long)then->output_count, (long long)otherwise->output_count);
    return tn_layer_done(layer);
}

/* ---- Loop ------------------------------------------------------------------------------------*/

static void write_loop(tn_pen *pen)
{
    static const char *const names[] = {"body"};
    write_inside(pen, "Loop", names, pen->in, pen->in_count, pen->layer->carried);
}

tn_layer *tn_network_add_loop(tn_network *network, tn_layer *trips, tn_layer *condition,
                              tn_network *body, tn_layer *const *carried, int carried_count,
                              tn_layer *const *given, int given_count)
{
    static const tn_layer_kind kind = {"loop", 0, 0, 0, 1, write_loop};
    tn_layer *all[128];
    bool fits = carried_count >= 0 && given_count >= 0 && carried_count <= 64 &&
                given_count <= 64 && (carried_count == 0 || carried) && (given_count == 0 || given);
    for (int i = 0; fits && i < carried_count; i++) all[i] = carried[i];
    for (int i = 0; fits && i < given_count; i++) all[carried_count + i] = given[i];
    int count = fits ? carried_count + given_count : 0;
    tn_layer *layer = add_with(network, &kind, TN_LAYERS(trips, condition), all, count);
    if (!layer) return NULL;
    if (!fits)
        tn_layer_fail(layer, TN_INVALID, "%d carried values and %d more are given; at most 64 each",
                      carried_count, given_count);
    else if (check_inside(layer, body, "its body", 2 + count)) {
        layer->inside[0] = body;
        layer->carried = carried_count;
        layer->output_count = (int32_t)body->output_count - 1;
        network->nested = true;
        if (body->output_count < 1 + carried_count || body->output_count < 2)
            tn_layer_fail(layer, TN_INVALID,
                          "its body gives %lld outputs; the condition and %d carried values are "
                          "needed",
                          (long long)body->output_count, carried_count);
    }
    return tn_layer_done(layer);
}
