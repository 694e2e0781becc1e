/* Graphs as text (.tn): what dumps show and golden tests compare. parse.c reads it back. */
#include <ctype.h>
#include <string.h>

#include "ir/graph.h"
#include "ir/op.h"

#define INLINE_DEFAULT 8

typedef struct printer {
    const tn_graph *graph;
    tn_text *out;
    int64_t inline_max;
    tn_value **data; /* constants whose data is beside the text */
    int64_t data_count, data_capacity;
    tn_arena *arena;
    int indent;
} printer;

static tn_status print_graph(printer *p, const tn_graph *graph);

static void print_quoted(tn_text *out, const char *text, size_t bytes)
{
    tn_text_append(out, "\"", 1);
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') tn_text_printf(out, "\\%c", c);
        else if (c < 32 || c == 127) tn_text_printf(out, "\\x%02x", c);
        else tn_text_append(out, text + i, 1);
    }
    tn_text_append(out, "\"", 1);
}

static bool is_plain_name(const char *name)
{
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_./:-", *c)) return false;
    size_t bytes = strlen(name);
    /* A colon at the end would read as the start of a type. */
    return bytes && name[bytes - 1] != ':';
}

static void print_value_name(tn_text *out, const tn_value *value)
{
    if (!value) {
        tn_text_append(out, "_", 1);
        return;
    }
    tn_text_append(out, "%", 1);
    if (is_plain_name(value->name)) tn_text_printf(out, "%s", value->name);
    else print_quoted(out, value->name, strlen(value->name));
}

static void print_type(const printer *p, const tn_type *type)
{
    if (type->dtype == TN_DTYPE_NONE) return;
    tn_text_printf(p->out, " : ");
    tn_type_print(p->graph->exprs, type, p->out);
}

/* The shortest digits that read back, always recognisable as a float. */
static void print_float(tn_text *out, double value)
{
    size_t begin = out->bytes;
    tn_number_print(TN_DTYPE_F32, value, out);
    if (!out->failed && !strpbrk(out->at + begin, ".enf")) tn_text_printf(out, ".0");
}

static tn_status print_attr(printer *p, const tn_node *node, const tn_attr *attr)
{
    tn_text *out = p->out;
    char label[160];
    tn_text_printf(out, "%s=", attr->name);
    switch (attr->kind) {
    case TN_ATTR_INT: tn_text_printf(out, "%lld", (long long)attr->i); return NULL;
    case TN_ATTR_FLOAT: print_float(out, attr->f); return NULL;
    case TN_ATTR_TEXT: print_quoted(out, attr->text.text, attr->text.bytes); return NULL;
    case TN_ATTR_TENSOR: tn_tensor_print(&attr->tensor, 0, out); return NULL;
    case TN_ATTR_GRAPH: return print_graph(p, attr->graph);
    case TN_ATTR_OTHER:
        TN_FAIL(TN_UNSUPPORTED, "%s: attribute '%s' has no text form",
                tn_node_label(node, label, sizeof label), attr->name);
    default: break;
    }
    tn_text_printf(out, "[");
    for (int64_t i = 0; i < attr->count; i++) {
        if (i) tn_text_printf(out, ",");
        if (attr->kind == TN_ATTR_INTS) tn_text_printf(out, "%lld", (long long)attr->ints[i]);
        else if (attr->kind == TN_ATTR_FLOATS) print_float(out, (double)attr->floats[i]);
        else print_quoted(out, attr->texts[i].text, attr->texts[i].bytes);
    }
    tn_text_printf(out, "]");
    return NULL;
}

static tn_status print_constant(printer *p, tn_value *value)
{
    const tn_tensor *tensor = &value->constant;
    tn_text_printf(p->out, "%*sconst  ", p->indent, "");
    print_value_name(p->out, value);
    tn_text_printf(p->out, " : ");
    if (tn_tensor_count(tensor) <= p->inline_max && tensor->dtype != TN_DTYPE_STRING) {
        tn_tensor_print(tensor, 0, p->out);
    } else {
        tn_type_print(p->graph->exprs, &value->type, p->out);
        tn_text_printf(p->out, " = #%lld", (long long)p->data_count);
        if (p->arena)
            TN_TRY(tn_arena_grow(p->arena, &p->data, p->data_count, &p->data_capacity,
                                 p->data_count + 1, sizeof(tn_value *)));
        if (p->arena) p->data[p->data_count] = value;
        p->data_count++;
    }
    tn_text_printf(p->out, "\n");
    return NULL;
}

static tn_status print_node(printer *p, const tn_node *node)
{
    tn_text *out = p->out;
    tn_text_printf(out, "%*s", p->indent, "");
    for (int i = 0; i < node->out_count; i++) {
        if (i) tn_text_printf(out, ", ");
        print_value_name(out, node->out[i]);
        if (node->out[i]) print_type(p, &node->out[i]->type);
    }
    if (!node->out_count) tn_text_printf(out, "_");
    const char *domain = node->op->domain;
    tn_text_printf(out, domain && domain[0] ? " = %s.%s" : " = %s%s",
                   domain && domain[0] ? domain : "", tn_op_file_name(node->op));
    for (int i = 0; i < node->attr_count; i++) {
        tn_text_printf(out, i ? ", " : "{");
        TN_TRY(print_attr(p, node, &node->attr[i]));
    }
    if (node->attr_count) tn_text_printf(out, "}");
    tn_text_printf(out, "(");
    for (int i = 0; i < node->in_count; i++) {
        if (i) tn_text_printf(out, ", ");
        print_value_name(out, node->in[i]);
    }
    tn_text_printf(out, ")");
    if (node->name && node->name[0]) {
        tn_text_printf(out, "  ");
        print_quoted(out, node->name, strlen(node->name));
    }
    tn_text_printf(out, "\n");
    return NULL;
}

static void print_inputs(const printer *p)
{
    const tn_graph *graph = p->graph;
    for (int64_t i = 0; i < graph->input_count; i++) {
        tn_text_printf(p->out, "%*sinput  ", p->indent, "");
        print_value_name(p->out, graph->input[i]);
        print_type(p, &graph->input[i]->type);
        tn_text_printf(p->out, "\n");
    }
}

static void print_outputs(const printer *p)
{
    const tn_graph *graph = p->graph;
    for (int64_t i = 0; i < graph->output_count; i++) {
        tn_text_printf(p->out, "%*soutput ", p->indent, "");
        print_quoted(p->out, graph->output[i].name, strlen(graph->output[i].name));
        tn_text_printf(p->out, " = ");
        print_value_name(p->out, graph->output[i].value);
        tn_text_printf(p->out, "\n");
    }
}

/* Recursion: as deep as graphs are nested. */
static tn_status print_graph(printer *p, const tn_graph *graph)
{
    const tn_graph *outer = p->graph;
    p->graph = graph;
    p->indent += 2;
    tn_text_printf(p->out, "graph ");
    print_quoted(p->out, graph->name, strlen(graph->name));
    tn_text_printf(p->out, " {\n");
    print_inputs(p);
    for (int64_t i = 0; i < graph->constant_count; i++)
        if (tn_value_has_users(graph->constant[i])) TN_TRY(print_constant(p, graph->constant[i]));
    for (const tn_node *node = graph->first; node; node = node->next) TN_TRY(print_node(p, node));
    print_outputs(p);
    p->indent -= 2;
    tn_text_printf(p->out, "%*s}", p->indent, "");
    p->graph = outer;
    return NULL;
}

tn_status tn_graph_print(const tn_graph *graph, const tn_graph_print_options *options, tn_text *out,
                         tn_arena *arena, const tn_value *const **constants,
                         int64_t *constant_count)
{
    printer p = {.out = out, .inline_max = INLINE_DEFAULT};
    if (options && options->inline_max) p.inline_max = options->inline_max;
    if (constants) p.arena = arena;
    TN_TRY(print_graph(&p, graph));
    tn_text_printf(out, "\n");
    if (constants) *constants = (const tn_value *const *)p.data;
    if (constant_count) *constant_count = p.data_count;
    return NULL;
}
