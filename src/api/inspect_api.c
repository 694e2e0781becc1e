/* What is in a model: for people, for programs, and as a drawing. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "build/build.h"
#include "export/svg.h"

typedef struct op_count {
    const tn_op *op;
    int64_t count;
    double flops;
} op_count;

typedef struct summary {
    const tn_model *model;
    const tn_graph *graph;
    op_count *op;
    int64_t op_count;
    int64_t parameters, weight_bytes;
    tn_cost cost;
} summary;

static int compare_counts(const void *a, const void *b)
{
    const op_count *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    int order = strcmp(x->op->name, y->op->name);
    return order ? order
                 : strcmp(x->op->domain ? x->op->domain : "", y->op->domain ? y->op->domain : "");
}

static tn_status count_ops(summary *s, tn_arena *arena)
{
    s->op = TN_NEW_ARRAY(arena, op_count, s->graph->node_count);
    TN_CHECK(s->op, TN_OUT_OF_MEMORY, "no memory to count operators");
    for (const tn_node *node = s->graph->first; node; node = node->next) {
        int64_t i = 0;
        while (i < s->op_count && s->op[i].op != node->op) i++;
        if (i == s->op_count) s->op[s->op_count++].op = node->op;
        s->op[i].count++;
        s->op[i].flops += s->cost.node_flops[node->id];
    }
    if (s->op_count) qsort(s->op, (size_t)s->op_count, sizeof(*s->op), compare_counts);
    return NULL;
}

static tn_status summarise(const tn_model *model, tn_arena *arena, summary *s)
{
    *s = (summary){.model = model, .graph = model->graph};
    for (int64_t i = 0; i < s->graph->constant_count; i++) {
        const tn_value *value = s->graph->constant[i];
        if (!tn_value_has_users(value)) continue;
        s->parameters += tn_tensor_count(&value->constant);
        s->weight_bytes += tn_tensor_bytes(&value->constant);
    }
    TN_TRY(tn_build_cost(s->graph, NULL, arena, &s->cost));
    return count_ops(s, arena);
}

/* ---- For people ------------------------------------------------------------------------------*/

/* "1.23 G", "12.3 k" */
static const char *scaled(double value, char *dst, size_t bytes)
{
    static const char *const units[] = {"", " k", " M", " G", " T", " P"};
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < TN_COUNT(units)) {
        value /= 1000;
        unit++;
    }
    snprintf(dst, bytes, unit ? "%.3g%s" : "%.0f%s", value, units[unit]);
    return dst;
}

static void print_type(const summary *s, const char *kind, const char *name, const tn_type *type,
                       tn_text *out)
{
    char text[256];
    tn_text_printf(out, "%s '%s' %s\n", kind, name,
                   tn_type_text(s->graph->exprs, type, text, sizeof(text)));
}

/* Symbols of the inputs: "batch (dim 0 of x)". */
static void print_dynamic(const summary *s, tn_text *out)
{
    const tn_graph *graph = s->graph;
    int64_t number, count = 0;
    tn_text_printf(out, "dynamic dims:");
    for (int64_t i = 0; i < graph->input_count; i++) {
        const tn_type *type = &graph->input[i]->type;
        for (int axis = 0; axis < type->rank; axis++) {
            bool seen = tn_expr_is_const(graph->exprs, type->dim[axis], &number);
            for (int64_t k = 0; k <= i && !seen; k++) {
                const tn_type *other = &graph->input[k]->type;
                int end = k == i ? axis : other->rank;
                for (int a = 0; a < end; a++) seen = seen || other->dim[a] == type->dim[axis];
            }
            if (seen) continue;
            tn_text_printf(out, count++ ? ", " : " ");
            tn_expr_print(graph->exprs, type->dim[axis], out);
            tn_text_printf(out, " (dim %d of '%s')", axis, graph->input[i]->name);
        }
        if (type->rank < 0)
            tn_text_printf(out, "%sthe rank of '%s'", count++ ? ", " : " ", graph->input[i]->name);
    }
    tn_text_printf(out, count ? "\n" : " none\n");
}

static void print_costs(const summary *s, tn_text *out)
{
    char flops[32], bytes[32];
    tn_text_printf(out, "operations: %sflop, activations: %sB at once, at %s\n",
                   scaled(s->cost.flops, flops, sizeof(flops)),
                   scaled(s->cost.activation_bytes, bytes, sizeof(bytes)), s->cost.shapes);
    if (s->cost.unknown_count)
        tn_text_printf(out, "%" PRId64 " nodes are not in these sums: their sizes show in a run\n",
                       s->cost.unknown_count);
    if (s->cost.flops <= 0) return;
    tn_text_printf(out, "most of it:");
    for (int shown = 0; shown < 4; shown++) {
        const op_count *most = NULL;
        for (int64_t i = 0; i < s->op_count; i++) {
            int rank = 0; /* how many have more, or as much and come first */
            for (int64_t k = 0; k < s->op_count; k++)
                rank +=
                    s->op[k].flops > s->op[i].flops || (s->op[k].flops >= s->op[i].flops && k < i);
            if (rank == shown) most = &s->op[i];
        }
        if (!most || most->flops < s->cost.flops / 1000) break;
        tn_text_printf(out, "%s %s %.1f %%", shown ? "," : "", most->op->name,
                       most->flops / s->cost.flops * 100);
    }
    tn_text_printf(out, "\n");
}

static void print_summary(const summary *s, tn_text *out)
{
    const tn_import_info *info = &s->model->import->info;
    tn_text_printf(out, "graph: %s\nproducer: %s\nONNX IR %" PRId64 ", opset %" PRId64 "\n",
                   info->graph_name, info->producer[0] ? info->producer : "not said",
                   info->ir_version, info->opset);
    for (int64_t i = 0; i < s->graph->input_count; i++)
        print_type(s, "input ", s->graph->input[i]->name, &s->graph->input[i]->type, out);
    for (int64_t i = 0; i < s->graph->output_count; i++)
        print_type(s, "output", s->graph->output[i].name, &s->graph->output[i].value->type, out);
    print_dynamic(s, out);
    tn_text_printf(out, "nodes: %" PRId64 " in the file, %" PRId64 " after import\n",
                   info->node_count, s->graph->node_count);
    tn_text_printf(out, "operators:");
    for (int64_t i = 0; i < s->op_count; i++)
        tn_text_printf(out, "%s%s %" PRId64, i ? ", " : " ", s->op[i].op->name, s->op[i].count);
    tn_text_printf(out, "\nparameters: %" PRId64 ", %" PRId64 " bytes\n", s->parameters,
                   s->weight_bytes);
    print_costs(s, out);
}

/* ---- For programs ----------------------------------------------------------------------------*/

/* {"name": "x", "type": "f32", "shape": [1, "batch", null]} */
static void print_json_value(const summary *s, const char *name, const tn_type *type, tn_text *out)
{
    tn_text_printf(out, "{\"name\": ");
    tn_text_json(out, name);
    tn_text_printf(out, ", \"type\": \"%s\", \"shape\": ", tn_dtype_name(type->dtype));
    tn_text_printf(out, type->rank < 0 ? "null" : "[");
    for (int axis = 0; axis < type->rank; axis++) {
        int64_t number;
        tn_text dim = {0};
        if (axis) tn_text_printf(out, ", ");
        if (tn_expr_is_const(s->graph->exprs, type->dim[axis], &number)) {
            tn_text_printf(out, "%" PRId64, number);
            continue;
        }
        tn_expr_print(s->graph->exprs, type->dim[axis], &dim);
        out->failed = out->failed || dim.failed;
        if (!dim.failed) tn_text_json(out, dim.at);
        tn_text_fini(&dim);
    }
    tn_text_printf(out, type->rank < 0 ? "}" : "]}");
}

static void print_json(const summary *s, tn_text *out)
{
    const tn_import_info *info = &s->model->import->info;
    const tn_graph *graph = s->graph;
    tn_text_printf(out, "{\n  \"graph\": ");
    tn_text_json(out, info->graph_name);
    tn_text_printf(out, ",\n  \"producer\": ");
    tn_text_json(out, info->producer);
    tn_text_printf(out, ",\n  \"ir_version\": %" PRId64 ",\n  \"opset\": %" PRId64,
                   info->ir_version, info->opset);
    tn_text_printf(out, ",\n  \"inputs\": [");
    for (int64_t i = 0; i < graph->input_count; i++) {
        tn_text_printf(out, i ? ",\n    " : "\n    ");
        print_json_value(s, graph->input[i]->name, &graph->input[i]->type, out);
    }
    tn_text_printf(out, "\n  ],\n  \"outputs\": [");
    for (int64_t i = 0; i < graph->output_count; i++) {
        tn_text_printf(out, i ? ",\n    " : "\n    ");
        print_json_value(s, graph->output[i].name, &graph->output[i].value->type, out);
    }
    tn_text_printf(out, "\n  ],\n  \"nodes_in_file\": %" PRId64 ",\n  \"nodes\": %" PRId64,
                   info->node_count, graph->node_count);
    tn_text_printf(out, ",\n  \"operators\": {");
    for (int64_t i = 0; i < s->op_count; i++) {
        const tn_op *op = s->op[i].op;
        bool foreign = op->domain && op->domain[0];
        tn_text_printf(out, "%s\n    \"%s%s%s\": {\"count\": %" PRId64 ", \"flops\": %.0f}",
                       i ? "," : "", foreign ? op->domain : "", foreign ? "." : "",
                       tn_op_file_name(op), s->op[i].count, s->op[i].flops);
    }
    tn_text_printf(
        out,
        "\n  },\n  \"parameters\": %" PRId64 ",\n  \"weight_bytes\": %" PRId64
        ",\n  \"flops\": %.0f,\n  \"activation_bytes\": %.0f,\n  \"not_counted\": %" PRId64
        ",\n  \"at\": ",
        s->parameters, s->weight_bytes, s->cost.flops, s->cost.activation_bytes,
        s->cost.unknown_count);
    tn_text_json(out, s->cost.shapes);
    tn_text_printf(out, "\n}\n");
}

/* ---- The question ----------------------------------------------------------------------------*/

tn_status tn_model_summary_text(const tn_model *model, tn_model_text_kind kind, tn_text *out)
{
    tn_arena arena;
    summary s;
    if (kind == TN_TEXT_SVG) return tn_svg_print(model->graph, out);
    tn_arena_init(&arena);
    tn_status status = summarise(model, &arena, &s);
    if (!status && kind == TN_TEXT_JSON) print_json(&s, out);
    if (!status && kind == TN_TEXT_SUMMARY) print_summary(&s, out);
    tn_arena_fini(&arena);
    return status;
}
