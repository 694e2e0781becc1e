/* Graphs in the attributes of a node. They are made when their node's turn comes, for then the
 * types of all that they use from outside are known; ir/subgraph.h says how they are tied to the
 * node. */
#include "import/onnx_import.h"
#include "ir/subgraph.h"

/* One input of the graph for each input of the node. What is captured and constant is a constant
 * inside as well; a name that only the other branch of an If uses may mean something else here. */
static tn_status add_inputs(tn_onnx_importer *importer, const tn_onnx_node *source,
                            const tn_onnx_graph *from, const tn_node *node, tn_graph *inside)
{
    tn_type any = {.dtype = TN_DTYPE_F32, .rank = -1}; /* until tn_node_enter */
    tn_value *value;
    for (int64_t i = 0; i < from->in_count; i++) {
        const char *name = from->in[i];
        TN_CHECK(name[0] && !tn_map_has(&inside->names, name), TN_INVALID,
                 "input %lld of its graph '%s' has no name or that of another", (long long)i,
                 from->name);
        TN_TRY(tn_graph_add_input(inside, name, any, &value));
    }
    for (int64_t i = source->in_given; i < source->in_count; i++) {
        const char *name = source->in[i];
        const tn_value *outer = node->in[i];
        bool used = tn_map_has(&from->used_names, name);
        if (!used) name = tn_arena_printf(importer->arena, "captured:%lld", (long long)i);
        TN_CHECK(name, TN_OUT_OF_MEMORY, "no memory for names");
        if (!tn_value_is_constant(outer)) TN_TRY(tn_graph_add_input(inside, name, any, &value));
        else if (used) TN_TRY(tn_graph_add_constant(inside, name, &outer->constant, false, &value));
    }
    return NULL;
}

static tn_status open_graphs(tn_onnx_importer *importer, const tn_onnx_node *source, tn_node *node)
{
    int64_t given = source->in_given - tn_node_inside_shift(node);
    for (int64_t i = 0; i < source->attr_count; i++) {
        const tn_onnx_graph *from = source->attr[i].graph;
        tn_attr attr = {.name = source->attr[i].name, .kind = TN_ATTR_GRAPH};
        if (!from) continue;
        TN_CHECK(from->in_count == given, TN_INVALID,
                 "its graph '%s' has %lld inputs where it is given %lld", from->name,
                 (long long)from->in_count, (long long)given);
        TN_TRY(tn_graph_new_child(importer->graph, from->name, &attr.graph));
        TN_TRY(add_inputs(importer, source, from, node, attr.graph));
        TN_TRY(tn_node_set_attr(node, &attr));
    }
    for (int64_t i = source->in_count - 1; i >= source->in_given; i--)
        if (tn_value_is_constant(node->in[i])) TN_TRY(tn_node_remove_input(node, (int)i));
    return NULL;
}

/* How many values are carried follows from the inputs in the file, before what is captured. */
static tn_status say_carried(const tn_onnx_node *source, tn_node *node)
{
    int64_t scanned = tn_node_int_attr(node, "num_scan_inputs", 0);
    if (node->op->runs == TN_RUNS_LOOP)
        return tn_node_set_int(node, "carried", source->in_given - 2);
    if (node->op->runs == TN_RUNS_MAP) return tn_node_set_int(node, "given", source->in_given);
    if (node->op->runs != TN_RUNS_SCAN) return NULL;
    TN_CHECK(scanned >= 1 && scanned <= source->in_given, TN_INVALID,
             "attribute 'num_scan_inputs' is %lld; the node has %lld inputs", (long long)scanned,
             (long long)source->in_given);
    return tn_node_set_int(node, "carried", source->in_given - scanned);
}

tn_status tn_onnx_build_inside(tn_onnx_importer *importer, const tn_onnx_node *source,
                               tn_node *node)
{
    tn_graph *graph = importer->graph;
    tn_onnx_graph *now = importer->now;
    TN_TRY(say_carried(source, node));
    TN_TRY(open_graphs(importer, source, node));
    TN_TRY(tn_node_enter(node));
    for (int64_t i = 0; i < source->attr_count; i++) {
        const tn_attr *attr = tn_node_find_attr(node, source->attr[i].name);
        if (!source->attr[i].graph || !attr) continue;
        importer->graph = attr->graph;
        importer->now = source->attr[i].graph;
        TN_TRY_NOTE(tn_onnx_fill_graph(importer), "in graph '%s'", attr->name);
        importer->graph = graph;
        importer->now = now;
    }
    TN_TRY(tn_node_lower(node));
    return tn_node_settle(node);
}
