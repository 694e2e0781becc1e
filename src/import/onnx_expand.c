/* Nodes of the file that stand for others with graphs inside. */
#include <string.h>

#include "import/onnx_import.h"

/* A Loop may leave off the number of rounds and the condition; the inputs of its body do not. */
static tn_status pad_loop(tn_onnx_importer *importer, tn_onnx_node *node)
{
    if (node->in_given >= 2) return NULL;
    int64_t more = 2 - node->in_given;
    const char **in = TN_NEW_ARRAY(importer->arena, const char *, node->in_count + more);
    TN_CHECK(in, TN_OUT_OF_MEMORY, "no memory for names");
    for (int64_t i = 0; i < node->in_given; i++) in[i] = node->in[i];
    for (int64_t i = node->in_given; i < 2; i++) in[i] = "";
    for (int64_t i = node->in_given; i < node->in_count; i++) in[i + more] = node->in[i];
    node->in = in;
    node->in_given = 2;
    node->in_count += more;
    return NULL;
}

/* ---- Scan of opset 8 -------------------------------------------------------------------------
 *
 * Everything has a batch dim in front, which is a scan of its own:
 *
 *     Scan-8("", state, x) {body}  ->  Scan-9(state, x) { s, x -> Scan-9(s, x) {body} }
 */

static tn_status make_int(tn_arena *arena, const char *name, int64_t value, tn_onnx_attr *out)
{
    TnOnnx__AttributeProto *proto = TN_NEW(arena, TnOnnx__AttributeProto);
    TN_CHECK(proto, TN_OUT_OF_MEMORY, "no memory for an attribute");
    tn_onnx__attribute_proto__init(proto);
    proto->has_i = proto->has_type = true;
    proto->i = value;
    proto->type = 2;
    *out = (tn_onnx_attr){.name = name, .value = proto};
    return NULL;
}

static tn_status make_names(tn_arena *arena, const char *base, int64_t count, const char ***out)
{
    *out = TN_NEW_ARRAY(arena, const char *, count);
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory for names");
    for (int64_t i = 0; i < count; i++) {
        (*out)[i] = tn_arena_printf(arena, "%s:%lld", base, (long long)i);
        TN_CHECK((*out)[i], TN_OUT_OF_MEMORY, "no memory for names");
    }
    return NULL;
}

/* The scan over time, as the one node of the graph that the scan over the batch runs. */
static tn_status wrap_scan(tn_arena *arena, const tn_onnx_node *node, tn_onnx_graph *batch)
{
    tn_onnx_node *inner = TN_NEW(arena, tn_onnx_node);
    TN_CHECK(inner, TN_OUT_OF_MEMORY, "no memory for a node");
    *inner = *node;
    inner->opset = 9;
    batch->in_count = inner->in_count = inner->in_given = node->in_given - 1;
    batch->out_count = node->out_count;
    TN_TRY(make_names(arena, "batch.in", batch->in_count, &batch->in));
    TN_TRY(make_names(arena, "batch.out", batch->out_count, &batch->out));
    inner->in = batch->in;
    inner->out = batch->out;
    for (int64_t i = 0; i < inner->attr_count; i++)
        if (!strcmp(inner->attr[i].name, "directions"))
            inner->attr[i].name = "scan_input_directions";
    batch->name = "batch";
    batch->node = inner;
    batch->node_count = batch->node_capacity = 1;
    TN_TRY(tn_onnx_append_used(arena, inner));
    return tn_onnx_find_used(arena, batch);
}

static tn_status expand_scan(tn_onnx_importer *importer, tn_onnx_node *node)
{
    tn_arena *arena = importer->arena;
    tn_onnx_graph *batch = TN_NEW(arena, tn_onnx_graph);
    tn_onnx_attr *attr = TN_NEW_ARRAY(arena, tn_onnx_attr, 2);
    TN_CHECK(batch && attr, TN_OUT_OF_MEMORY, "no memory for a graph");
    TN_CHECK(node->in_given >= 2, TN_INVALID, "Scan '%s' has %lld inputs", node->name,
             (long long)node->in_given);
    TN_CHECK(!node->in[0][0], TN_UNSUPPORTED,
             "Scan '%s' of opset 8 has the input sequence_lens, which cannot be run", node->name);
    TN_TRY(wrap_scan(arena, node, batch));
    TN_TRY(make_int(arena, "num_scan_inputs", batch->in_count, &attr[0]));
    attr[1] = (tn_onnx_attr){.name = "body", .graph = batch};
    node->in++;
    node->in_count--;
    node->in_given--;
    node->attr = attr;
    node->attr_count = 2;
    node->opset = 9;
    return tn_onnx_append_used(arena, node);
}

tn_status tn_onnx_expand(tn_onnx_importer *importer, tn_onnx_node *node)
{
    if (!tn_onnx_is_standard(node->domain)) return NULL;
    if (!strcmp(node->op_type, "Loop")) return pad_loop(importer, node);
    if (!strcmp(node->op_type, "Scan") && node->opset == 8) return expand_scan(importer, node);
    return NULL;
}
