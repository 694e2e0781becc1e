/* The flat list of nodes, the inputs and the initializers become a tn_graph.
 *
 * All values are made before any node reads one, so the order of nodes in the file does not matter;
 * tn_graph_sort finds an order or a cycle. Then each node in turn is rewritten to today's meaning
 * of its operator and inferred, so that rules for old opsets can look at the types of what they
 * read. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "import/onnx_import.h"

#define NODE_INPUTS_MAX 100000

/* ---- Operators
 * ---------------------------------------------------------------------------------*/

#define UNSUPPORTED_NAMES 3
typedef struct unsupported {
    struct unsupported *next;
    const char *op_type, *domain;
    int64_t count;
    const char *name[UNSUPPORTED_NAMES];
} unsupported;

static bool is_constant(const tn_onnx_node *node)
{
    return tn_onnx_is_standard(node->domain) && strcmp(node->op_type, "Constant") == 0;
}

/* "If (2 nodes: 'a', 'b'), com.x.Fused (9 nodes: 'c', 'd', 'e', ...)"; names are left out once they
 * would take the room of other operators. */
static void print_unsupported(const unsupported *first, bool names, tn_text *out)
{
    for (const unsupported *u = first; u; u = u->next) {
        tn_text_printf(out, "%s%s%s%s (%lld node%s", u == first ? "" : ", ", u->domain,
                       u->domain[0] ? "." : "", u->op_type, (long long)u->count,
                       u->count == 1 ? "" : "s");
        for (int i = 0; names && i < UNSUPPORTED_NAMES && u->name[i]; i++)
            tn_text_printf(out, "%s'%.60s'", i ? ", " : ": ", u->name[i]);
        tn_text_printf(out, "%s)", names && u->count > UNSUPPORTED_NAMES ? ", ..." : "");
    }
}

static tn_status report_unsupported(const tn_onnx_importer *importer, const unsupported *first,
                                    int64_t kinds)
{
    tn_text text = {0};
    char *printed;
    print_unsupported(first, true, &text);
    if (text.bytes > TN_MESSAGE_MAX - 200) {
        tn_text_fini(&text);
        text = (tn_text){0};
        print_unsupported(first, false, &text);
    }
    TN_TRY(tn_text_take(&text, &printed));
    tn_status status =
        TN_ERROR(TN_UNSUPPORTED, "%lld operator%s of %s %s not supported: %s", (long long)kinds,
                 kinds == 1 ? "" : "s", importer->name, kinds == 1 ? "is" : "are", printed);
    tn_text_free(printed);
    for (const unsupported *u = first; u; u = u->next)
        if (u->domain[0])
            return tn_status_note(status, "operators of other domains can be registered: "
                                          "--op-library=FILE, or tn_op_register (tenon/op.h)");
    return status;
}

typedef struct missing {
    unsupported *first, **last;
    int64_t kinds;
    tn_map seen;
} missing;

static tn_status add_missing(tn_onnx_importer *importer, const tn_onnx_node *node, missing *m)
{
    char *key = tn_arena_printf(importer->arena, "%s\n%s", node->domain, node->op_type);
    TN_CHECK(key, TN_OUT_OF_MEMORY, "no memory for names");
    unsupported *u = tn_map_find(&m->seen, key);
    if (!u) {
        u = TN_NEW(importer->arena, unsupported);
        TN_CHECK(u, TN_OUT_OF_MEMORY, "no memory for names");
        *u = (unsupported){.op_type = node->op_type, .domain = node->domain};
        TN_TRY(tn_map_put(&m->seen, key, u));
        *m->last = u;
        m->last = &u->next;
        m->kinds++;
    }
    if (u->count < UNSUPPORTED_NAMES)
        u->name[u->count] = node->name[0] || !node->out_count ? node->name : node->out[0];
    u->count++;
    return NULL;
}

/* Recursion: as deep as graphs are nested, which flattening has bounded. */
static tn_status find_missing(tn_onnx_importer *importer, tn_onnx_graph *graph, missing *m)
{
    for (int64_t i = 0; i < graph->node_count; i++) {
        tn_onnx_node *node = &graph->node[i];
        TN_CHECK(node->opset > 0 || !tn_onnx_is_standard(node->domain) ||
                     importer->import->info.opset > 0,
                 TN_INVALID, "%s uses operators of ai.onnx but imports no opset of it",
                 importer->name);
        node->op = is_constant(node) ? NULL : tn_op_find(node->domain, node->op_type);
        if (!node->op && !is_constant(node)) TN_TRY(add_missing(importer, node, m));
        for (int64_t k = 0; k < node->attr_count; k++)
            if (node->attr[k].graph) TN_TRY(find_missing(importer, node->attr[k].graph, m));
    }
    return NULL;
}

/* Find every node's operator; those that are missing are told all at once. */
static tn_status find_operators(tn_onnx_importer *importer)
{
    missing m = {.last = NULL};
    m.last = &m.first;
    tn_map_init(&m.seen, importer->arena);
    TN_TRY(find_missing(importer, importer->now, &m));
    return m.first ? report_unsupported(importer, m.first, m.kinds) : NULL;
}

/* ---- Inputs and initializers
 * -------------------------------------------------------------------*/

/* A value of the caller as dense data in the arena. */
static tn_status copy_baked(tn_onnx_importer *importer, const char *name, const tn_tensor *src,
                            tn_tensor *out)
{
    int64_t bytes = tn_tensor_bytes(src);
    TN_CHECK(tn_dtype_valid((int)src->dtype) && bytes >= 0 && src->rank >= 0, TN_INVALID,
             "the value for input '%s' has no type or a shape that overflows", name);
    TN_CHECK(src->data || !bytes, TN_INVALID, "the value for input '%s' has no data", name);
    *out = tn_tensor_of(src->dtype, src->dim, src->rank,
                        tn_arena_alloc(importer->arena, (size_t)bytes));
    TN_CHECK(out->data, TN_OUT_OF_MEMORY, "no memory for the value of input '%s'", name);
    if (bytes && tn_tensor_is_dense(src)) memcpy(out->data, src->data, (size_t)bytes);
    else if (bytes) TN_TRY(tn_tensor_copy(src, out));
    if (src->dtype != TN_DTYPE_STRING) return NULL;
    tn_string *text = out->data;
    for (int64_t i = 0; i < tn_tensor_count(out); i++) {
        text[i].text =
            tn_arena_text(importer->arena, text[i].text ? text[i].text : "", text[i].bytes);
        TN_CHECK(text[i].text, TN_OUT_OF_MEMORY, "no memory for the value of input '%s'", name);
    }
    return NULL;
}

/* The position of an input in the list of those to bake; -1 if it is not there. */
static int find_baked(const tn_load_options *options, const char *name)
{
    for (int i = 0; options && i < options->baked_count; i++)
        if (strcmp(options->baked[i], name) == 0) return i;
    return -1;
}

static tn_status add_baked(tn_onnx_importer *importer, const char *name, const tn_type *type,
                           const tn_tensor *given)
{
    char declared[160], found[160];
    tn_tensor tensor;
    tn_value *value;
    TN_TRY(copy_baked(importer, name, given, &tensor));
    bool fits = tensor.dtype == type->dtype && (type->rank < 0 || type->rank == tensor.rank);
    for (int i = 0; fits && i < type->rank; i++) {
        int64_t dim;
        fits =
            !tn_expr_is_const(importer->graph->exprs, type->dim[i], &dim) || dim == tensor.dim[i];
    }
    TN_CHECK(fits, TN_INVALID, "the value for input '%s' is %s; the model declares %s", name,
             tn_tensor_type_text(&tensor, found, sizeof(found)),
             tn_type_text(importer->graph->exprs, type, declared, sizeof(declared)));
    return tn_graph_add_constant(importer->graph, name, &tensor, false, &value);
}

static tn_status check_new(const tn_onnx_importer *importer, const char *name, const char *what)
{
    TN_CHECK(name && name[0], TN_INVALID, "%s of the graph has no name", what);
    TN_CHECK(!tn_map_has(&importer->graph->names, name), TN_INVALID,
             "the name '%s' is given twice: %s has the name of another value", name, what);
    return NULL;
}

/* Inputs that have an initializer are constants (the form of IR 3). */
static tn_status add_inputs(tn_onnx_importer *importer, const tn_map *initializers)
{
    const TnOnnx__GraphProto *graph = importer->model->graph;
    int baked_count = 0;
    for (size_t i = 0; i < graph->n_input; i++) {
        const TnOnnx__ValueInfoProto *input = graph->input[i];
        tn_type type;
        tn_value *value;
        TN_TRY(check_new(importer, input->name, "an input"));
        int baked = find_baked(importer->options, input->name);
        if (baked < 0 && tn_map_has(initializers, input->name)) continue;
        TN_TRY_NOTE(tn_onnx_type(importer, input->name, input->type, &type), "at input %zu of %zu",
                    i + 1, graph->n_input);
        if (baked >= 0) {
            baked_count++;
            TN_TRY(
                add_baked(importer, input->name, &type, &importer->options->baked_tensors[baked]));
        } else {
            TN_TRY(tn_graph_add_input(importer->graph, input->name, type, &value));
        }
    }
    for (int i = 0; importer->options && i < importer->options->baked_count; i++)
        TN_CHECK(tn_map_has(&importer->graph->names, importer->options->baked[i]), TN_NOT_FOUND,
                 "%s has no input '%s' to make constant", importer->name,
                 importer->options->baked[i]);
    TN_CHECK(!importer->options || baked_count == importer->options->baked_count, TN_INVALID,
             "an input is listed twice among those to make constant");
    return NULL;
}

static tn_status find_initializers(tn_onnx_importer *importer, tn_map *out)
{
    const TnOnnx__GraphProto *graph = importer->model->graph;
    tn_map_init(out, importer->arena);
    TN_CHECK(!graph->n_sparse_initializer, TN_UNSUPPORTED,
             "%s has sparse initializers; save it with dense ones", importer->name);
    for (size_t i = 0; i < graph->n_initializer; i++) {
        const char *name = graph->initializer[i]->name;
        TN_CHECK(name && name[0], TN_INVALID, "initializer %zu of %zu has no name", i + 1,
                 graph->n_initializer);
        TN_CHECK(!tn_map_has(out, name), TN_INVALID, "initializer '%s' is given twice", name);
        TN_TRY(tn_map_put(out, name, graph->initializer[i]));
    }
    return NULL;
}

static tn_status add_initializers(tn_onnx_importer *importer)
{
    const TnOnnx__GraphProto *graph = importer->now->proto;
    bool root = importer->graph == importer->root;
    for (size_t i = 0; graph && i < graph->n_initializer; i++) {
        const TnOnnx__TensorProto *proto = graph->initializer[i];
        const char *name = importer->now->initializer[i];
        tn_tensor tensor;
        tn_value *value;
        if (root && find_baked(importer->options, name) >= 0 &&
            tn_map_has(&importer->graph->names, name))
            continue;
        TN_TRY(check_new(importer, name, "an initializer"));
        TN_TRY(tn_onnx_tensor(importer, importer->arena, proto, &tensor));
        TN_TRY(tn_graph_add_constant(importer->graph, name, &tensor, false, &value));
    }
    return NULL;
}

/* ---- Nodes
 * -------------------------------------------------------------------------------------*/

static const char *label(const tn_onnx_node *node, char *dst, size_t dst_bytes)
{
    if (node->name[0]) snprintf(dst, dst_bytes, "%s '%s'", node->op_type, node->name);
    else
        snprintf(dst, dst_bytes, "%s giving '%s'", node->op_type,
                 node->out_count ? node->out[0] : "");
    return dst;
}

static tn_status add_constant_node(tn_onnx_importer *importer, const tn_onnx_node *node)
{
    tn_tensor tensor;
    tn_value *value;
    TN_TRY(tn_onnx_constant(importer, node, &tensor));
    if (!node->out[0][0]) return NULL;
    return tn_graph_add_constant(importer->graph, node->out[0], &tensor, false, &value);
}

static tn_status add_attributes(tn_onnx_importer *importer, const tn_onnx_node *source,
                                tn_node *node)
{
    for (int64_t i = 0; i < source->attr_count; i++) {
        tn_attr attr;
        if (source->attr[i].graph) {
            TN_CHECK(node->op->enter, TN_INVALID, "it has no attribute '%s' that is a graph",
                     source->attr[i].name);
            continue;
        }
        TN_TRY(tn_onnx_attribute(importer, &source->attr[i], &attr));
        TN_TRY(tn_node_set_attr(node, &attr));
    }
    return NULL;
}

/* The node and its outputs; what it reads comes later. */
static tn_status add_node(tn_onnx_importer *importer, const tn_onnx_node *source, tn_node **out)
{
    TN_CHECK(source->in_count <= NODE_INPUTS_MAX && source->out_count <= NODE_INPUTS_MAX,
             TN_UNSUPPORTED, "it has %lld inputs and %lld outputs", (long long)source->in_count,
             (long long)source->out_count);
    TN_CHECK(source->out_count > 0, TN_INVALID, "it has no outputs");
    for (int64_t i = 0; i < source->out_count; i++) {
        TN_CHECK(!source->out[i][0] || !tn_map_has(&importer->graph->names, source->out[i]),
                 TN_INVALID,
                 "it writes '%s', which is also written by another node or given as an input or "
                 "initializer",
                 source->out[i]);
    }
    *out = NULL;
    if (!source->op) return add_constant_node(importer, source);
    TN_TRY(tn_graph_add_node(importer->graph, source->op, source->name, NULL, 0, source->out,
                             (int)source->out_count, NULL, out));
    return add_attributes(importer, source, *out);
}

static tn_status connect_inputs(tn_onnx_importer *importer, const tn_onnx_node *source,
                                tn_node *node)
{
    int64_t count = source->in_count;
    while (count && !source->in[count - 1][0] && !node->op->enter) count--;
    for (int64_t i = count - 1; i >= 0; i--) {
        tn_value *value = NULL;
        if (source->in[i][0]) {
            value = tn_map_find(&importer->graph->names, source->in[i]);
            TN_CHECK(value, TN_INVALID,
                     "it reads '%s', which no node writes and which is no input or initializer",
                     source->in[i]);
        }
        TN_TRY(tn_node_set_input(node, (int)i, value));
    }
    return NULL;
}

/* `graph` was importer->now when the node was taken up: a failure inside leaves it elsewhere. */
static tn_status note_node(const tn_onnx_importer *importer, const tn_onnx_graph *graph,
                           int64_t index, tn_status status)
{
    char text[200];
    if (!status) return NULL;
    return tn_status_note(status, "while importing node %lld of %lld, %s, in %s",
                          (long long)index + 1, (long long)graph->node_count,
                          label(&graph->node[index], text, sizeof(text)), importer->name);
}

static tn_status add_nodes(tn_onnx_importer *importer, tn_node **made)
{
    tn_onnx_graph *now = importer->now;
    for (int64_t i = 0; i < now->node_count; i++)
        TN_TRY(note_node(importer, now, i, add_node(importer, &now->node[i], &made[i])));
    for (int64_t i = 0; i < now->node_count; i++)
        if (made[i])
            TN_TRY(note_node(importer, now, i, connect_inputs(importer, &now->node[i], made[i])));
    return NULL;
}

static tn_status add_outputs(tn_onnx_importer *importer)
{
    const tn_onnx_graph *graph = importer->now;
    bool inside = importer->graph != importer->root;
    tn_map seen;
    tn_map_init(&seen, importer->arena);
    TN_CHECK(graph->out_count, TN_INVALID, "the graph of %s has no outputs", importer->name);
    for (int64_t i = 0; i < graph->out_count; i++) {
        const char *name = graph->out[i];
        TN_CHECK(name[0], TN_INVALID, "output %lld of %lld has no name", (long long)i + 1,
                 (long long)graph->out_count);
        TN_CHECK(inside || !tn_map_has(&seen, name), TN_INVALID, "output '%s' is listed twice",
                 name);
        tn_value *value = tn_map_find(&importer->graph->names, name);
        TN_CHECK(value, TN_INVALID,
                 "the graph's output '%s' is written by no node and is no input or initializer",
                 name);
        /* Outputs of a body are known by their place: a value may be there twice. */
        if (tn_map_has(&seen, name))
            name = tn_arena_printf(importer->arena, "%s:%lld", name, (long long)i);
        TN_CHECK(name, TN_OUT_OF_MEMORY, "no memory for names");
        TN_TRY(tn_map_put(&seen, name, value));
        TN_TRY(tn_graph_add_output(importer->graph, name, value));
    }
    return NULL;
}

/* ---- Meaning
 * -----------------------------------------------------------------------------------*/

/* The node in today's meaning of its operator, by the operator's own rules. */
static tn_status upgrade_node(tn_onnx_importer *importer, tn_node *node, int64_t opset,
                              bool *changed)
{
    const tn_op *op = node->op;
    *changed = false;
    for (int done = 0;;) {
        const tn_upgrade *next = NULL;
        for (int i = 0; i < TN_UPGRADES_MAX && op->upgrade[i].run; i++)
            if (op->upgrade[i].below > TN_MAX(opset, (int64_t)done) &&
                (!next || op->upgrade[i].below < next->below))
                next = &op->upgrade[i];
        if (!next) return NULL;
        *changed = true;
        done = next->below;
        TN_TRY(next->run(importer->graph, node));
    }
}

/* Upgrade one node of the file, infer it and what the upgrade put around it, and compare with what
 * the file declares (unless the upgrade changed which node writes the value). */
static tn_status settle_node(tn_onnx_importer *importer, const tn_onnx_node *source, tn_node *node,
                             const tn_map *declared)
{
    tn_node *before = node->prev, *after = node->next;
    bool changed;
    if (node->op->enter) TN_TRY(tn_onnx_build_inside(importer, source, node));
    TN_TRY(upgrade_node(importer, node, source->opset, &changed));
    for (tn_node *n = before ? before->next : importer->graph->first; n && n != after;
         n = n->next) {
        TN_TRY(tn_node_lower(n));
        TN_TRY(tn_node_infer(n));
    }
    for (int i = 0; !changed && i < node->out_count; i++) {
        if (!node->out[i]) continue;
        const TnOnnx__ValueInfoProto *info = tn_map_find(declared, node->out[i]->name);
        if (info) TN_TRY(tn_onnx_merge_type(importer, node->out[i], info->type));
    }
    return NULL;
}

static tn_status collect_declared(tn_onnx_importer *importer, tn_map *out)
{
    const TnOnnx__GraphProto *graph = importer->now->proto;
    tn_map_init(out, importer->arena);
    if (!graph) return NULL;
    for (size_t i = 0; i < graph->n_value_info; i++)
        if (graph->value_info[i]->name)
            TN_TRY(tn_map_put(out, graph->value_info[i]->name, graph->value_info[i]));
    for (size_t i = 0; i < graph->n_output; i++)
        if (graph->output[i]->name)
            TN_TRY(tn_map_put(out, graph->output[i]->name, graph->output[i]));
    return NULL;
}

/* In sorted order; the way back to the node of the file goes by id. */
static tn_status settle_nodes(tn_onnx_importer *importer, tn_node *const *made)
{
    tn_map declared;
    tn_onnx_graph *now = importer->now;
    size_t ids = (size_t)importer->graph->next_id;
    int64_t *index = TN_NEW_ARRAY(importer->arena, int64_t, ids);
    TN_CHECK(index, TN_OUT_OF_MEMORY, "no memory for %zu nodes", ids);
    for (int64_t i = 0; i < now->node_count; i++)
        if (made[i]) index[made[i]->id] = i;
    TN_TRY(collect_declared(importer, &declared));
    for (tn_node *node = importer->graph->first, *next; node; node = next) {
        int64_t i = index[node->id];
        next = node->next;
        TN_TRY(note_node(importer, now, i, settle_node(importer, &now->node[i], node, &declared)));
    }
    if (importer->differing_count > 3 && importer->graph == importer->root)
        tn_log(TN_LOG_WARNING,
               "%s: %lld declared shapes differ from what the nodes give; the "
               "declarations are ignored",
               importer->name, (long long)importer->differing_count);
    return NULL;
}

tn_status tn_onnx_fill_graph(tn_onnx_importer *importer)
{
    int64_t count = importer->now->node_count;
    TN_TRY(add_initializers(importer));
    tn_node **made = TN_NEW_ARRAY(importer->arena, tn_node *, count);
    TN_CHECK(made, TN_OUT_OF_MEMORY, "no memory for %lld nodes", (long long)count);
    TN_TRY(add_nodes(importer, made));
    TN_TRY(add_outputs(importer));
    TN_TRY_NOTE(tn_graph_sort(importer->graph), "while importing %s", importer->name);
    return settle_nodes(importer, made);
}

tn_status tn_onnx_build_graph(tn_onnx_importer *importer)
{
    tn_map initializers;
    TN_TRY(find_operators(importer));
    TN_TRY(tn_graph_new(importer->import->info.graph_name, &importer->root));
    importer->graph = importer->root;
    TN_TRY(find_initializers(importer, &initializers));
    TN_TRY(add_inputs(importer, &initializers));
    TN_TRY(tn_onnx_fill_graph(importer));
    TN_TRY_NOTE(tn_graph_verify(importer->graph), "while importing %s", importer->name);
    return NULL;
}
