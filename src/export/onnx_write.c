/* A graph as an ONNX file, in these steps:
 *
 *     choose the opset -> clone -> spell (onnx_spell.c, onnx_dims.c) -> forms (onnx_forms.c)
 *     -> names (onnx_names.c) -> messages (small parts in a buffer, weights by reference) -> files
 *
 * Field numbers are those of onnx.proto, which stands beside the importer. */
#include <stdio.h>
#include <string.h>

#include "export/onnx_names.h"
#include "export/onnx_wire.h"
#include "ir/subgraph.h"

#define MODEL_BYTES_MAX ((INT64_C(1) << 31) - 65536) /* protobuf's limit, less some room */
#define EXTERNAL_LEAST 1024                          /* smaller tensors stay in the model */
#define EXTERNAL_ALIGNMENT 64

typedef struct exporter {
    tn_graph *graph;
    const tn_onnx_write_options *options;
    int64_t opset;
    tn_arena arena;
    tn_onnx_names names;
    const tn_onnx_scope *scope; /* of the graph that is being written */
    const char *data_name;      /* of the external file; NULL: none */
    int64_t data_bytes;
    tn_wire model;
} exporter;

/* ---- Opsets ----------------------------------------------------------------------------------*/

int64_t tn_onnx_needed_opset(const tn_graph *graph)
{
    int64_t least = 0;
    for (const tn_node *node = graph->first; node; node = node->next) {
        const tn_graph *inside;
        least = TN_MAX(least, tn_onnx_node_opset(node, NULL, 0));
        for (int i = 0; (inside = tn_node_inside(node, i)); i++)
            least = TN_MAX(least, tn_onnx_needed_opset(inside));
    }
    return least;
}

tn_status tn_onnx_choose_opset(const tn_graph *graph, const tn_onnx_write_options *options,
                               int64_t *out)
{
    int64_t base = options->base_opset > 0 ? options->base_opset : 17;
    *out = options->opset;
    if (!*out) *out = TN_MAX(TN_MIN(base, TN_ONNX_WRITE_MAX), tn_onnx_needed_opset(graph));
    if (!options->opset && *out < TN_ONNX_WRITE_MIN) *out = TN_ONNX_WRITE_MIN;
    TN_CHECK(*out >= TN_ONNX_WRITE_MIN && *out <= TN_ONNX_WRITE_MAX, TN_UNSUPPORTED,
             "opset %lld cannot be written; it must be from %d to %d", (long long)*out,
             TN_ONNX_WRITE_MIN, TN_ONNX_WRITE_MAX);
    return NULL;
}

/* The IR version that came with an opset. */
static int64_t ir_version(int64_t opset)
{
    static const struct {
        int opset, ir;
    } rows[] = {{25, 13}, {24, 12}, {23, 11}, {21, 10}, {19, 9}, {15, 8}, {12, 7}};
    for (size_t i = 0; i < TN_COUNT(rows); i++)
        if (opset >= rows[i].opset) return rows[i].ir;
    return 6;
}

/* ---- Types -----------------------------------------------------------------------------------*/

static tn_status write_dim(const exporter *x, tn_expr e, tn_wire *dim)
{
    const tn_exprs *exprs = x->scope->graph->exprs;
    int64_t number;
    if (tn_expr_is_const(exprs, e, &number)) {
        tn_wire_int(dim, 1, number);
        return NULL;
    }
    /* Symbols of a graph inside mean nothing to readers. */
    if (x->scope->outer || e == TN_EXPR_NONE || tn_expr_is_runtime(exprs, e)) return NULL;
    const tn_expr_node *node = tn_expr_get(exprs, e);
    if (node->op == TN_EXPR_OP_SYMBOL) {
        tn_wire_text(dim, 2, node->name);
        return NULL;
    }
    tn_text text = {0};
    char *printed;
    tn_expr_print(exprs, e, &text);
    TN_TRY(tn_text_take(&text, &printed));
    tn_wire_text(dim, 2, printed);
    tn_text_free(printed);
    return NULL;
}

/* TypeProto of a tensor; what a sequence or an optional holds is told as its one field does. */
static tn_status write_tensor_type(const exporter *x, const tn_type *type, tn_wire *out)
{
    tn_wire tensor = {0}, shape = {0}, dim = {0};
    tn_status status = NULL;
    tn_wire_int(&tensor, 1, (int64_t)type->dtype);
    for (int i = 0; i < type->rank && !status; i++) {
        status = write_dim(x, type->dim[i], &dim);
        tn_wire_message(&shape, 1, &dim);
    }
    if (type->rank >= 0) tn_wire_message(&tensor, 2, &shape);
    tn_wire_message(out, 1, &tensor);
    tn_wire_fini(&tensor);
    tn_wire_fini(&shape);
    tn_wire_fini(&dim);
    return status;
}

static void wrap_type(tn_wire *type, int field)
{
    tn_wire held = {0};
    tn_wire_message(&held, 1, type);
    tn_wire_message(type, field, &held);
    tn_wire_fini(&held);
}

/* ValueInfoProto */
static tn_status write_value(const exporter *x, const char *name, const tn_type *type, int field,
                             tn_wire *out)
{
    enum { SEQUENCE = 4, OPTIONAL = 9 };
    tn_wire value = {0}, proto = {0};
    tn_status status = write_tensor_type(x, type, &proto);
    if (type->kind == TN_TYPE_SEQUENCE || type->kind == TN_TYPE_OPTIONAL_SEQUENCE)
        wrap_type(&proto, SEQUENCE);
    if (type->kind == TN_TYPE_OPTIONAL || type->kind == TN_TYPE_OPTIONAL_SEQUENCE)
        wrap_type(&proto, OPTIONAL);
    tn_wire_text(&value, 1, name);
    tn_wire_message(&value, 2, &proto);
    tn_wire_message(out, field, &value);
    tn_wire_fini(&value);
    tn_wire_fini(&proto);
    return status;
}

/* ---- Tensors ---------------------------------------------------------------------------------*/

static void write_entry(tn_wire *tensor, const char *key, const char *text)
{
    tn_wire entry = {0};
    tn_wire_text(&entry, 1, key);
    tn_wire_text(&entry, 2, text);
    tn_wire_message(tensor, 13, &entry);
    tn_wire_fini(&entry);
}

static bool is_external(const exporter *x, const tn_tensor *t)
{
    return x->data_name && t->dtype != TN_DTYPE_STRING && tn_tensor_bytes(t) >= EXTERNAL_LEAST;
}

static void write_external(exporter *x, tn_wire *tensor, int64_t bytes)
{
    char number[32];
    int64_t offset = (int64_t)tn_align_up((size_t)x->data_bytes, EXTERNAL_ALIGNMENT);
    write_entry(tensor, "location", x->data_name);
    snprintf(number, sizeof(number), "%lld", (long long)offset);
    write_entry(tensor, "offset", number);
    snprintf(number, sizeof(number), "%lld", (long long)bytes);
    write_entry(tensor, "length", number);
    tn_wire_int(tensor, 14, 1);
    x->data_bytes = offset + bytes;
}

/* TensorProto. Tensors of graphs are dense. */
static void write_tensor(exporter *x, const char *name, const tn_tensor *t, bool may_be_external,
                         int field, tn_wire *out)
{
    tn_wire tensor = {0};
    int64_t bytes = tn_tensor_bytes(t);
    for (int i = 0; i < t->rank; i++) tn_wire_int(&tensor, 1, t->dim[i]);
    tn_wire_int(&tensor, 2, (int64_t)t->dtype);
    if (name) tn_wire_text(&tensor, 8, name);
    if (t->dtype == TN_DTYPE_STRING) {
        const tn_string *text = t->data;
        for (int64_t i = 0; i < tn_tensor_count(t); i++)
            tn_wire_data(&tensor, 6, text[i].text, text[i].bytes);
    } else if (may_be_external && is_external(x, t)) {
        write_external(x, &tensor, bytes);
    } else {
        tn_wire_data(&tensor, 9, t->data, (size_t)bytes);
    }
    tn_wire_message(out, field, &tensor);
    tn_wire_fini(&tensor);
}

/* ---- Nodes -----------------------------------------------------------------------------------*/

static tn_status write_graph(exporter *x, tn_wire *out);

/* GraphProto of an attribute. Recursion: as deep as graphs are nested. */
static tn_status write_inside(exporter *x, const tn_graph *inside, tn_wire *attr)
{
    const tn_onnx_scope *outer = x->scope;
    tn_wire graph = {0};
    x->scope = tn_onnx_scope_of(&x->names, inside);
    tn_status status = x->scope ? write_graph(x, &graph)
                                : TN_ERROR(TN_INTERNAL, "a graph inside a node has no names");
    tn_wire_message(attr, 6, &graph);
    tn_wire_fini(&graph);
    x->scope = outer;
    return status;
}

/* AttributeProto, with its type's number there. */
static tn_status write_attr(exporter *x, const tn_attr *attr, tn_wire *out)
{
    static const int numbers[] = {
        [TN_ATTR_INT] = 2,    [TN_ATTR_FLOAT] = 1, [TN_ATTR_TEXT] = 3,
        [TN_ATTR_TENSOR] = 4, [TN_ATTR_INTS] = 7,  [TN_ATTR_FLOATS] = 6,
        [TN_ATTR_TEXTS] = 8,  [TN_ATTR_GRAPH] = 5, [TN_ATTR_OTHER] = 0,
    };
    TN_CHECK(attr->kind != TN_ATTR_OTHER, TN_UNSUPPORTED,
             "attribute '%s' is of a kind that cannot be written", attr->name);
    tn_wire proto = {0};
    tn_status status = NULL;
    tn_wire_text(&proto, 1, attr->name);
    switch (attr->kind) {
    case TN_ATTR_INT: tn_wire_int(&proto, 3, attr->i); break;
    case TN_ATTR_FLOAT: tn_wire_float(&proto, 2, (float)attr->f); break;
    case TN_ATTR_TEXT: tn_wire_data(&proto, 4, attr->text.text, attr->text.bytes); break;
    case TN_ATTR_TENSOR: write_tensor(x, NULL, &attr->tensor, false, 5, &proto); break;
    case TN_ATTR_INTS:
        for (int64_t i = 0; i < attr->count; i++) tn_wire_int(&proto, 8, attr->ints[i]);
        break;
    case TN_ATTR_FLOATS:
        for (int64_t i = 0; i < attr->count; i++) tn_wire_float(&proto, 7, attr->floats[i]);
        break;
    case TN_ATTR_TEXTS:
        for (int64_t i = 0; i < attr->count; i++)
            tn_wire_data(&proto, 9, attr->texts[i].text, attr->texts[i].bytes);
        break;
    case TN_ATTR_GRAPH: status = write_inside(x, attr->graph, &proto); break;
    default: break;
    }
    tn_wire_int(&proto, 20, numbers[attr->kind]);
    tn_wire_message(out, 5, &proto);
    tn_wire_fini(&proto);
    return status;
}

/* Operators whose attributes are moved to inputs of our own at import have no form in ONNX any
 * more, unless there is a way back. */
static bool is_rewritten(const tn_op *op)
{
    if (op->restore) return false;
    for (int i = 0; i < TN_UPGRADES_MAX && op->upgrade[i].run; i++)
        if (op->upgrade[i].below == INT32_MAX) return true;
    return false;
}

/* What a graph inside captures is no input in a file, and nobody says how many there are. */
static int told_inputs(const tn_node *node)
{
    int count = node->in_count;
    if (tn_node_has_inside(node))
        count = TN_MIN(count, tn_node_inside_given(node) + tn_node_inside_shift(node));
    while (count && !node->in[count - 1]) count--;
    return count;
}

static bool is_own_word(const tn_node *node, const tn_attr *attr)
{
    bool carries = node->op->runs == TN_RUNS_LOOP || node->op->runs == TN_RUNS_SCAN;
    return (carries && !strcmp(attr->name, "carried")) ||
           (node->op->runs == TN_RUNS_MAP && !strcmp(attr->name, "given"));
}

/* The type that an Optional without an input says it would hold is a TypeProto in files. */
static tn_status write_type_attr(const exporter *x, const tn_node *node, tn_wire *out)
{
    enum { TP = 14, TYPE_PROTO = 13, SEQUENCE = 4 };
    tn_wire proto = {0}, type = {0};
    tn_type held = node->out[0]->type;
    held.rank = -1;
    tn_status status = write_tensor_type(x, &held, &type);
    if (held.kind == TN_TYPE_OPTIONAL_SEQUENCE) wrap_type(&type, SEQUENCE);
    tn_wire_text(&proto, 1, "type");
    tn_wire_message(&proto, TP, &type);
    tn_wire_int(&proto, 20, TYPE_PROTO);
    tn_wire_message(out, 5, &proto);
    tn_wire_fini(&proto);
    tn_wire_fini(&type);
    return status;
}

static tn_status write_attrs(exporter *x, const tn_node *node, tn_wire *out)
{
    for (int i = 0; i < node->attr_count; i++) {
        const tn_attr *attr = &node->attr[i];
        bool type = tn_onnx_is_plain(node->op, "Optional") && !strcmp(attr->name, "type");
        if (is_own_word(node, attr)) continue;
        TN_TRY(type ? write_type_attr(x, node, out) : write_attr(x, attr, out));
    }
    return NULL;
}

static tn_status write_node(exporter *x, const tn_node *node, tn_wire *graph)
{
    tn_wire proto = {0};
    char label[160];
    tn_status status;
    const char *domain = node->op->domain;
    TN_CHECK(!is_rewritten(node->op) && (!domain || strcmp(domain, "tenon") != 0), TN_UNSUPPORTED,
             "%s has no form in ONNX after import: models with it cannot be written",
             tn_node_label(node, label, sizeof(label)));
    int in_count = told_inputs(node);
    for (int i = 0; i < in_count; i++)
        tn_wire_text(&proto, 1, tn_onnx_name_of(x->scope, node->in[i]));
    for (int i = 0; i < node->out_count; i++)
        tn_wire_text(&proto, 2, tn_onnx_name_of(x->scope, node->out[i]));
    if (node->name && node->name[0]) tn_wire_text(&proto, 3, node->name);
    tn_wire_text(&proto, 4, tn_op_file_name(node->op));
    status = write_attrs(x, node, &proto);
    if (!tn_onnx_is_plain(node->op, NULL)) tn_wire_text(&proto, 7, domain);
    tn_wire_message(graph, 1, &proto);
    tn_wire_fini(&proto);
    return status ? tn_node_blame(node, status) : NULL;
}

/* ---- The model -------------------------------------------------------------------------------*/

static tn_status write_types(exporter *x, tn_wire *out)
{
    const tn_graph *graph = x->scope->graph;
    for (const tn_node *node = graph->first; node; node = node->next)
        for (int k = 0; k < node->out_count; k++) {
            const tn_value *value = node->out[k];
            if (!value || value->type.dtype == TN_DTYPE_NONE || value->output_count) continue;
            TN_TRY(write_value(x, tn_onnx_name_of(x->scope, value), &value->type, 13, out));
        }
    return NULL;
}

/* GraphProto */
static tn_status write_graph(exporter *x, tn_wire *out)
{
    const tn_onnx_scope *scope = x->scope;
    const tn_graph *graph = scope->graph;
    for (const tn_node *node = graph->first; node; node = node->next)
        TN_TRY(write_node(x, node, out));
    tn_wire_text(out, 2, graph->name && graph->name[0] ? graph->name : "graph");
    for (int64_t i = 0; i < graph->constant_count; i++) {
        const tn_value *value = graph->constant[i];
        if (tn_value_has_users(value) && !tn_onnx_is_hoisted(scope, value))
            write_tensor(x, tn_onnx_name_of(scope, value), &value->constant, true, 5, out);
    }
    if (!scope->outer)
        for (const tn_onnx_hoisted *h = x->names.hoisted; h; h = h->next)
            write_tensor(x, h->name, h->tensor, true, 5, out);
    for (int64_t i = 0; i < scope->given; i++)
        TN_TRY(write_value(x, tn_onnx_name_of(scope, graph->input[i]), &graph->input[i]->type, 11,
                           out));
    for (int64_t i = 0; i < graph->output_count; i++) {
        const tn_value *value = graph->output[i].value;
        TN_TRY(write_value(x, tn_onnx_name_of(scope, value), &value->type, 12, out));
    }
    if (!scope->outer) TN_TRY(write_types(x, out));
    return tn_wire_check(out);
}

static void write_opset(tn_wire *model, const char *domain, int64_t version)
{
    tn_wire opset = {0};
    tn_wire_text(&opset, 1, domain);
    tn_wire_int(&opset, 2, version);
    tn_wire_message(model, 8, &opset);
    tn_wire_fini(&opset);
}

/* The version of a domain that the nodes of a graph, and of those inside, ask for. */
typedef struct domain {
    struct domain *next;
    const char *name;
    int64_t version;
} domain;

static tn_status find_domains(const tn_graph *graph, tn_arena *arena, domain **first)
{
    for (const tn_node *node = graph->first; node; node = node->next) {
        const tn_graph *inside;
        for (int i = 0; (inside = tn_node_inside(node, i)); i++)
            TN_TRY(find_domains(inside, arena, first));
        if (tn_onnx_is_plain(node->op, NULL)) continue;
        domain **at = first;
        while (*at && strcmp((*at)->name, node->op->domain) != 0) at = &(*at)->next;
        if (!*at) {
            *at = TN_NEW(arena, domain);
            TN_CHECK(*at, TN_OUT_OF_MEMORY, "no memory for opsets");
            **at = (domain){.name = node->op->domain, .version = 1};
        }
        (*at)->version = TN_MAX((*at)->version, (int64_t)node->op->since);
    }
    return NULL;
}

static tn_status write_opsets(exporter *x, tn_wire *model)
{
    domain *first = NULL;
    write_opset(model, "", x->opset);
    TN_TRY(find_domains(x->graph, &x->arena, &first));
    for (const domain *d = first; d; d = d->next) write_opset(model, d->name, d->version);
    return NULL;
}

static tn_status write_model(exporter *x)
{
    tn_wire graph = {0};
    tn_wire_fini(&x->model);
    x->data_bytes = 0;
    tn_wire_int(&x->model, 1, ir_version(x->opset));
    tn_wire_text(&x->model, 2, "tenon");
    tn_wire_text(&x->model, 3, tn_version());
    x->scope = x->names.root;
    tn_status status = write_graph(x, &graph);
    if (!status) {
        tn_wire_message(&x->model, 7, &graph);
        status = write_opsets(x, &x->model);
        if (!status) status = tn_wire_check(&x->model);
    }
    tn_wire_fini(&graph);
    return status;
}

/* ---- Files -----------------------------------------------------------------------------------*/

static tn_status save_tensor(const exporter *x, const tn_tensor *tensor, tn_file_write *file,
                             int64_t *at)
{
    static const uint8_t zeros[EXTERNAL_ALIGNMENT] = {0};
    if (!is_external(x, tensor)) return NULL;
    int64_t offset = (int64_t)tn_align_up((size_t)*at, EXTERNAL_ALIGNMENT);
    int64_t bytes = tn_tensor_bytes(tensor);
    if (offset > *at) TN_TRY(tn_file_write_bytes(file, zeros, (size_t)(offset - *at)));
    TN_TRY(tn_file_write_bytes(file, tensor->data, (size_t)bytes));
    *at = offset + bytes;
    return NULL;
}

/* In the order of write_graph, which gave the offsets. */
static tn_status save_data(const exporter *x, tn_file_write *file)
{
    int64_t at = 0;
    for (int64_t i = 0; i < x->graph->constant_count; i++) {
        const tn_value *value = x->graph->constant[i];
        if (tn_value_has_users(value)) TN_TRY(save_tensor(x, &value->constant, file, &at));
    }
    for (const tn_onnx_hoisted *h = x->names.hoisted; h; h = h->next)
        TN_TRY(save_tensor(x, h->tensor, file, &at));
    return NULL;
}

/* The weights come first: a model that names a file has it. */
static tn_status save(exporter *x, const char *path)
{
    tn_file_write model, data;
    tn_status status;
    char *data_path = NULL;
    TN_TRY(tn_file_write_begin(path, &model));
    status = tn_wire_save(&x->model, &model);
    if (!status && x->data_name) {
        data_path = tn_arena_printf(&x->arena, "%s.data", path);
        if (!data_path) status = TN_ERROR(TN_OUT_OF_MEMORY, "no memory for a path");
        if (!status) status = tn_file_write_begin(data_path, &data);
        if (!status) {
            status = save_data(x, &data);
            if (!status) status = tn_file_write_commit(&data);
            tn_file_write_end(&data);
        }
    }
    if (!status) status = tn_file_write_commit(&model);
    tn_file_write_end(&model);
    return status;
}

/* Graphs inside first: their forms do not hang on the node around them. */
static tn_status form_nodes(tn_graph *graph, int64_t opset)
{
    for (tn_node *node = graph->first; node; node = node->next) {
        tn_graph *inside;
        for (int i = 0; (inside = tn_node_inside(node, i)); i++) TN_TRY(form_nodes(inside, opset));
        TN_TRY(tn_onnx_node_form(node, opset));
        if (node->op->restore) TN_TRY(tn_node_blame(node, node->op->restore(node)));
    }
    return NULL;
}

static tn_status make_messages(exporter *x, const char *path)
{
    const char *slash = strrchr(path, '/');
    int64_t limit = x->options->external_above > 0 ? x->options->external_above : MODEL_BYTES_MAX;
    TN_TRY(form_nodes(x->graph, x->opset));
    TN_TRY(tn_onnx_names_make(&x->names, x->graph, &x->arena));
    if (!x->options->external) TN_TRY(write_model(x));
    if (!x->options->external && tn_wire_bytes(&x->model) <= (uint64_t)limit) return NULL;
    x->data_name = tn_arena_printf(&x->arena, "%s.data", slash ? slash + 1 : path);
    TN_CHECK(x->data_name, TN_OUT_OF_MEMORY, "no memory for a name");
    TN_TRY(write_model(x));
    TN_CHECK(tn_wire_bytes(&x->model) <= MODEL_BYTES_MAX, TN_UNSUPPORTED,
             "the model has %llu bytes beside its weights; ONNX files are limited to 2 GB",
             (unsigned long long)tn_wire_bytes(&x->model));
    return NULL;
}

tn_status tn_onnx_write(const tn_graph *graph, const tn_onnx_write_options *options,
                        const char *path)
{
    const tn_onnx_write_options none = {0};
    exporter x = {.options = options ? options : &none};
    TN_TRY(tn_onnx_choose_opset(graph, x.options, &x.opset));
    TN_TRY(tn_graph_clone(graph, false, &x.graph));
    tn_arena_init(&x.arena);
    tn_status status = tn_onnx_spell(x.graph, x.opset);
    if (!status) status = make_messages(&x, path);
    if (!status) status = save(&x, path);
    tn_wire_fini(&x.model);
    tn_arena_fini(&x.arena);
    tn_graph_free(x.graph);
    if (status) return tn_status_note(status, "while writing %s", path);
    return NULL;
}
