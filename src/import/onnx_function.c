/* Model-local functions: every call is replaced by the function's nodes, so that the graph builder
 * sees one flat list for each graph.
 *
 * A call opens a scope that says what the names inside mean: formal inputs and outputs are the
 * caller's values, all else gets the call's name in front. Attributes that refer to the function's
 * own are replaced by the caller's value, the function's default, or nothing. A function that
 * reaches itself is refused, and the number of nodes is bounded, since a handful of functions that
 * call each other twice would grow without end.
 *
 * A graph in an attribute is made flat where it stands, in the same scope, and its node is told
 * which names it uses from outside.
 */
#include <string.h>

#include "import/onnx_import.h"

#define CALL_DEPTH_MAX 32
#define NESTING_MAX (TN_GRAPH_DEPTH_MAX + CALL_DEPTH_MAX) /* calls and graphs together */
#define ATTRS_MAX 1000
#define NODES_FREE 100000 /* besides 32 for each node in the file */

typedef struct function {
    const TnOnnx__FunctionProto *proto;
    bool active;
} function;

typedef struct flattener {
    tn_onnx_importer *importer;
    tn_arena *arena;
    tn_map functions;   /* "domain\nname\noverload" -> function */
    tn_onnx_graph *now; /* where nodes go */
    int64_t node_count, node_max, call_count;
    int nesting;
} flattener;

typedef struct scope {
    const TnOnnx__FunctionProto *function; /* NULL: the model's own graph */
    const tn_onnx_node *call;
    const char *prefix;
    tn_map values; /* name inside -> name in the flat graph */
    int depth;
} scope;

bool tn_onnx_is_standard(const char *domain)
{
    return !domain || !domain[0] || strcmp(domain, "ai.onnx") == 0;
}

bool tn_onnx_same_domain(const char *a, const char *b)
{
    if (tn_onnx_is_standard(a) || tn_onnx_is_standard(b))
        return tn_onnx_is_standard(a) && tn_onnx_is_standard(b);
    return strcmp(a, b) == 0;
}

int64_t tn_onnx_opset(TnOnnx__OperatorSetIdProto *const *imports, size_t count, const char *domain)
{
    for (size_t i = 0; i < count; i++)
        if (tn_onnx_same_domain(imports[i]->domain, domain)) return imports[i]->version;
    return 0;
}

static const char *text_or(const char *text, const char *otherwise)
{
    return text && text[0] ? text : otherwise;
}

static char *function_key(tn_arena *arena, const char *domain, const char *name,
                          const char *overload)
{
    return tn_arena_printf(arena, "%s\n%s\n%s", tn_onnx_is_standard(domain) ? "" : domain,
                           text_or(name, ""), text_or(overload, ""));
}

static tn_status index_functions(flattener *f)
{
    const TnOnnx__ModelProto *model = f->importer->model;
    tn_map_init(&f->functions, f->arena);
    for (size_t i = 0; i < model->n_functions; i++) {
        const TnOnnx__FunctionProto *proto = model->functions[i];
        char *key = function_key(f->arena, proto->domain, proto->name, proto->overload);
        function *item = TN_NEW(f->arena, function);
        TN_CHECK(key && item, TN_OUT_OF_MEMORY, "no memory for functions");
        TN_CHECK(!tn_map_has(&f->functions, key), TN_INVALID, "function '%s' is defined twice",
                 text_or(proto->name, ""));
        item->proto = proto;
        TN_TRY(tn_map_put(&f->functions, key, item));
    }
    return NULL;
}

/* What a name of the scope is called in the flat graph. */
static tn_status map_name(flattener *f, scope *s, const char *name, const char **out)
{
    *out = name;
    if (!s->function || !name[0]) return NULL;
    const char *known = tn_map_find(&s->values, name);
    if (!known) {
        known = tn_arena_printf(f->arena, "%s/%s", s->prefix, name);
        TN_CHECK(known, TN_OUT_OF_MEMORY, "no memory for names");
        TN_TRY(tn_map_put(&s->values, name, (void *)(uintptr_t)known));
    }
    *out = known;
    return NULL;
}

static tn_status map_names(flattener *f, scope *s, char *const *names, size_t count,
                           const char ***out, int64_t *out_count)
{
    *out = TN_NEW_ARRAY(f->arena, const char *, count);
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory for names");
    for (size_t i = 0; i < count; i++) TN_TRY(map_name(f, s, names[i], &(*out)[i]));
    *out_count = (int64_t)count;
    return NULL;
}

/* The value behind an attribute: its own, the caller's, or the function's default; none: value
 * NULL. */
static tn_onnx_attr resolve_attr(const scope *s, const TnOnnx__AttributeProto *attr)
{
    const char *wanted = attr->ref_attr_name;
    if (!wanted || !wanted[0]) return (tn_onnx_attr){.value = attr};
    for (int64_t i = 0; i < s->call->attr_count; i++)
        if (strcmp(s->call->attr[i].name, wanted) == 0) return s->call->attr[i];
    for (size_t i = 0; i < s->function->n_attribute_proto; i++) {
        const TnOnnx__AttributeProto *defaults = s->function->attribute_proto[i];
        if (defaults->name && strcmp(defaults->name, wanted) == 0)
            return (tn_onnx_attr){.value = defaults};
    }
    return (tn_onnx_attr){0};
}

static tn_status flatten_inside(flattener *f, scope *s, const TnOnnx__GraphProto *proto,
                                tn_onnx_graph **out);

static tn_status read_attrs(flattener *f, scope *s, const TnOnnx__NodeProto *proto,
                            tn_onnx_node *node)
{
    TN_CHECK(proto->n_attribute <= ATTRS_MAX, TN_INVALID, "%s '%s' has %zu attributes",
             node->op_type, node->name, proto->n_attribute);
    node->attr = TN_NEW_ARRAY(f->arena, tn_onnx_attr, proto->n_attribute);
    TN_CHECK(node->attr, TN_OUT_OF_MEMORY, "no memory for attributes");
    for (size_t i = 0; i < proto->n_attribute; i++) {
        const TnOnnx__AttributeProto *attr = proto->attribute[i];
        const char *name = text_or(attr->name, "");
        TN_CHECK(name[0], TN_INVALID, "%s '%s' has an attribute without a name", node->op_type,
                 node->name);
        TN_CHECK(s->function || !attr->ref_attr_name || !attr->ref_attr_name[0], TN_INVALID,
                 "%s '%s': attribute '%s' refers to '%s', but the node is in no function",
                 node->op_type, node->name, name, attr->ref_attr_name);
        tn_onnx_attr value = resolve_attr(s, attr);
        if (!value.value) continue;
        for (int64_t k = 0; k < node->attr_count; k++)
            TN_CHECK(strcmp(node->attr[k].name, name) != 0, TN_INVALID,
                     "%s '%s' has the attribute '%s' twice", node->op_type, node->name, name);
        value.name = name;
        if (!value.graph && value.value->g)
            TN_TRY_NOTE(flatten_inside(f, s, value.value->g, &value.graph),
                        "in graph '%s' of %s '%s'", name, node->op_type, node->name);
        node->attr[node->attr_count++] = value;
    }
    return NULL;
}

static tn_status read_node(flattener *f, scope *s, const TnOnnx__NodeProto *proto,
                           tn_onnx_node *node)
{
    const TnOnnx__ModelProto *model = f->importer->model;
    memset(node, 0, sizeof(*node));
    node->op_type = text_or(proto->op_type, "");
    node->domain = tn_onnx_is_standard(proto->domain) ? "" : proto->domain;
    node->name = text_or(proto->name, "");
    if (s->function) node->name = tn_arena_printf(f->arena, "%s/%s", s->prefix, node->name);
    TN_CHECK(node->name, TN_OUT_OF_MEMORY, "no memory for names");
    TN_CHECK(node->op_type[0], TN_INVALID, "node '%s' has no operator", node->name);
    TN_TRY(map_names(f, s, proto->input, proto->n_input, &node->in, &node->in_count));
    TN_TRY(map_names(f, s, proto->output, proto->n_output, &node->out, &node->out_count));
    node->in_given = node->in_count;
    TN_TRY(read_attrs(f, s, proto, node));
    TN_TRY(tn_onnx_append_used(f->arena, node));
    if (s->function)
        node->opset =
            tn_onnx_opset(s->function->opset_import, s->function->n_opset_import, node->domain);
    if (!node->opset)
        node->opset = tn_onnx_opset(model->opset_import, model->n_opset_import, node->domain);
    return NULL;
}

static tn_status push(flattener *f, const tn_onnx_node *node)
{
    tn_onnx_graph *now = f->now;
    TN_CHECK(f->node_count++ < f->node_max, TN_INVALID,
             "the model's functions expand to more than %lld nodes", (long long)f->node_max);
    TN_TRY(tn_arena_grow(f->arena, &now->node, now->node_count, &now->node_capacity,
                         now->node_count + 1, sizeof(tn_onnx_node)));
    now->node[now->node_count] = *node;
    return tn_onnx_expand(f->importer, &now->node[now->node_count++]);
}

/* A function may hand an input through as an output: the caller's two names need a node between. */
static tn_status push_identity(flattener *f, const tn_onnx_node *call, const char *from,
                               const char *to)
{
    tn_onnx_node node = {.name = call->name, .op_type = "Identity", .domain = ""};
    const TnOnnx__ModelProto *model = f->importer->model;
    node.in = TN_NEW(f->arena, const char *);
    node.out = TN_NEW(f->arena, const char *);
    TN_CHECK(node.in && node.out, TN_OUT_OF_MEMORY, "no memory for nodes");
    node.in[0] = from;
    node.out[0] = to;
    node.in_count = node.in_given = node.out_count = 1;
    node.opset = tn_onnx_opset(model->opset_import, model->n_opset_import, "");
    return push(f, &node);
}

/* Formal names -> the caller's. */
static tn_status open_scope(flattener *f, const TnOnnx__FunctionProto *proto,
                            const tn_onnx_node *call, int depth, scope *s)
{
    *s = (scope){.function = proto, .call = call, .depth = depth};
    TN_CHECK((size_t)call->in_given <= proto->n_input && (size_t)call->out_count <= proto->n_output,
             TN_INVALID,
             "'%s' calls function %s with %lld inputs and %lld outputs; it has %zu and %zu",
             call->name, call->op_type, (long long)call->in_given, (long long)call->out_count,
             proto->n_input, proto->n_output);
    s->prefix = tn_arena_printf(f->arena, "%s.%lld", text_or(call->name, call->op_type),
                                (long long)f->call_count++);
    TN_CHECK(s->prefix, TN_OUT_OF_MEMORY, "no memory for names");
    tn_map_init(&s->values, f->arena);
    for (size_t i = 0; i < proto->n_input; i++) {
        const char *actual = (int64_t)i < call->in_given ? call->in[i] : "";
        TN_CHECK(!tn_map_has(&s->values, proto->input[i]), TN_INVALID,
                 "function %s has two inputs called '%s'", call->op_type, proto->input[i]);
        TN_TRY(tn_map_put(&s->values, proto->input[i], (void *)(uintptr_t)actual));
    }
    for (int64_t i = 0; i < call->out_count; i++) {
        const char *formal = proto->output[i], *known = tn_map_find(&s->values, formal);
        if (!call->out[i][0]) continue;
        if (known) TN_TRY(push_identity(f, call, known, call->out[i]));
        else TN_TRY(tn_map_put(&s->values, formal, (void *)(uintptr_t)call->out[i]));
    }
    return NULL;
}

/* Depth is bounded by CALL_DEPTH_MAX. */
static tn_status flatten(flattener *f, scope *s, TnOnnx__NodeProto *const *nodes, size_t count)
{
    tn_onnx_node node;
    for (size_t i = 0; i < count; i++) {
        if (!s->function) f->node_max++;
        TN_TRY(read_node(f, s, nodes[i], &node));
        function *callee = NULL;
        if (f->functions.count) {
            char *key = function_key(f->arena, node.domain, node.op_type, nodes[i]->overload);
            TN_CHECK(key, TN_OUT_OF_MEMORY, "no memory for names");
            callee = tn_map_find(&f->functions, key);
        }
        if (!callee) {
            TN_TRY(push(f, &node));
            continue;
        }
        scope inner;
        TN_CHECK(!callee->active, TN_INVALID, "function %s calls itself", node.op_type);
        TN_CHECK(s->depth < CALL_DEPTH_MAX && f->nesting < NESTING_MAX, TN_INVALID,
                 "functions call each other more than %d deep", CALL_DEPTH_MAX);
        TN_CHECK(++f->call_count <= f->node_max, TN_INVALID,
                 "the model's functions make more than %lld calls", (long long)f->node_max);
        TN_TRY(open_scope(f, callee->proto, &node, s->depth + 1, &inner));
        callee->active = true;
        f->nesting++;
        TN_TRY_NOTE(flatten(f, &inner, callee->proto->node, callee->proto->n_node),
                    "in function %s, called by '%s'", node.op_type, node.name);
        callee->active = false;
        f->nesting--;
    }
    return NULL;
}

/* ---- Graphs in attributes --------------------------------------------------------------------*/

static tn_status open_graph(flattener *f, scope *s, const TnOnnx__GraphProto *proto,
                            tn_onnx_graph **out)
{
    tn_onnx_graph *graph = TN_NEW(f->arena, tn_onnx_graph);
    TN_CHECK(graph, TN_OUT_OF_MEMORY, "no memory for a graph");
    *graph = (tn_onnx_graph){.name = text_or(proto->name, ""), .proto = proto};
    graph->in = TN_NEW_ARRAY(f->arena, const char *, proto->n_input);
    graph->out = TN_NEW_ARRAY(f->arena, const char *, proto->n_output);
    graph->initializer = TN_NEW_ARRAY(f->arena, const char *, proto->n_initializer);
    TN_CHECK(graph->in && graph->out && graph->initializer, TN_OUT_OF_MEMORY,
             "no memory for a graph");
    for (size_t i = 0; i < proto->n_input; i++)
        TN_TRY(map_name(f, s, text_or(proto->input[i]->name, ""), &graph->in[i]));
    for (size_t i = 0; i < proto->n_output; i++)
        TN_TRY(map_name(f, s, text_or(proto->output[i]->name, ""), &graph->out[i]));
    for (size_t i = 0; i < proto->n_initializer; i++)
        TN_TRY(map_name(f, s, text_or(proto->initializer[i]->name, ""), &graph->initializer[i]));
    graph->in_count = (int64_t)proto->n_input;
    graph->out_count = (int64_t)proto->n_output;
    *out = graph;
    return NULL;
}

/* Depth is bounded by NESTING_MAX. */
static tn_status flatten_inside(flattener *f, scope *s, const TnOnnx__GraphProto *proto,
                                tn_onnx_graph **out)
{
    tn_onnx_graph *outer = f->now;
    TN_CHECK(f->nesting < NESTING_MAX, TN_INVALID,
             "graphs and functions are nested more than %d deep", NESTING_MAX);
    TN_TRY(open_graph(f, s, proto, out));
    f->now = *out;
    f->nesting++;
    TN_TRY(flatten(f, s, proto->node, proto->n_node));
    f->nesting--;
    f->now = outer;
    return tn_onnx_find_used(f->arena, *out);
}

static tn_status use_name(tn_arena *arena, tn_onnx_graph *graph, const tn_map *made,
                          const char *name)
{
    if (!name[0] || tn_map_has(made, name) || tn_map_has(&graph->used_names, name)) return NULL;
    TN_TRY(tn_arena_grow(arena, &graph->used, graph->used_count, &graph->used_capacity,
                         graph->used_count + 1, sizeof(*graph->used)));
    graph->used[graph->used_count++] = name;
    return tn_map_put(&graph->used_names, name, graph);
}

tn_status tn_onnx_find_used(tn_arena *arena, tn_onnx_graph *graph)
{
    tn_map made;
    size_t initializers = graph->proto ? graph->proto->n_initializer : 0;
    tn_map_init(&made, arena);
    tn_map_init(&graph->used_names, arena);
    for (int64_t i = 0; i < graph->in_count; i++) TN_TRY(tn_map_put(&made, graph->in[i], graph));
    for (size_t i = 0; i < initializers; i++)
        TN_TRY(tn_map_put(&made, graph->initializer[i], graph));
    for (int64_t i = 0; i < graph->node_count; i++)
        for (int64_t k = 0; k < graph->node[i].out_count; k++)
            TN_TRY(tn_map_put(&made, graph->node[i].out[k], graph));
    for (int64_t i = 0; i < graph->node_count; i++)
        for (int64_t k = 0; k < graph->node[i].in_count; k++)
            TN_TRY(use_name(arena, graph, &made, graph->node[i].in[k]));
    for (int64_t i = 0; i < graph->out_count; i++)
        TN_TRY(use_name(arena, graph, &made, graph->out[i]));
    return NULL;
}

tn_status tn_onnx_append_used(tn_arena *arena, tn_onnx_node *node)
{
    tn_map seen;
    int64_t most = node->in_given;
    for (int64_t i = 0; i < node->attr_count; i++)
        if (node->attr[i].graph) most += node->attr[i].graph->used_count;
    if (most == node->in_given) return NULL;
    const char **in = TN_NEW_ARRAY(arena, const char *, most);
    TN_CHECK(in, TN_OUT_OF_MEMORY, "no memory for names");
    tn_map_init(&seen, arena);
    node->in_count = node->in_given;
    for (int64_t i = 0; i < node->in_given; i++) in[i] = node->in[i];
    for (int64_t i = 0; i < node->attr_count; i++) {
        const tn_onnx_graph *graph = node->attr[i].graph;
        for (int64_t k = 0; graph && k < graph->used_count; k++) {
            if (tn_map_has(&seen, graph->used[k])) continue;
            TN_TRY(tn_map_put(&seen, graph->used[k], node));
            in[node->in_count++] = graph->used[k];
        }
    }
    node->in = in;
    return NULL;
}

tn_status tn_onnx_flatten(tn_onnx_importer *importer)
{
    const TnOnnx__ModelProto *model = importer->model;
    flattener f = {.importer = importer, .arena = importer->arena};
    scope top = {0};
    f.node_max = NODES_FREE + 32 * (int64_t)model->graph->n_node;
    for (size_t i = 0; i < model->n_functions; i++)
        f.node_max += 32 * (int64_t)model->functions[i]->n_node;
    TN_TRY(index_functions(&f));
    TN_TRY(open_graph(&f, &top, model->graph, &importer->now));
    f.now = importer->now;
    return flatten(&f, &top, model->graph->node, model->graph->n_node);
}
