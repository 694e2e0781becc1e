/* Models to files, and the simplifier: passes -> spelling at the opset -> comparison -> the model.
 */
#include <inttypes.h>
#include <string.h>

#include "api/api.h"
#include "base/log.h"
#include "build/build.h"
#include "export/export.h"
#include "passes/passes.h"

/* Opset 17 is the least that readers of today are sure to have, and has LayerNormalization. */
static int64_t base_opset(const tn_model *model)
{
    return TN_MAX(model->import->info.opset, INT64_C(17));
}

/* ---- Saving ----------------------------------------------------------------------------------*/

tn_status tn_model_save(const tn_model *model, const char *path, const tn_save_options *given)
{
    tn_save_options options = {0};
    TN_NOT_NULL(model);
    TN_NOT_NULL(path);
    if (given) {
        TN_CHECK(given->size > 0, TN_INVALID,
                 "tn_save_options.size is 0: set it to sizeof(tn_save_options)");
        memcpy(&options, given, TN_MIN(given->size, sizeof(options)));
    }
    int64_t base = model->opset ? model->opset : base_opset(model);
    return tn_onnx_write(model->graph,
                         &(tn_onnx_write_options){.opset = options.opset,
                                                  .base_opset = base,
                                                  .external = options.external_data},
                         path);
}

/* ---- Fixed dims ------------------------------------------------------------------------------*/

static tn_value *find_input(const tn_graph *graph, const char *name)
{
    for (int64_t i = 0; name && i < graph->input_count; i++)
        if (!strcmp(graph->input[i]->name, name)) return graph->input[i];
    return NULL;
}

/* A symbol is the same size wherever it stands. */
static void fix_symbol(tn_graph *graph, tn_expr symbol, tn_expr number)
{
    for (int64_t i = 0; i < graph->input_count; i++) {
        tn_type *type = &graph->input[i]->type;
        for (int axis = 0; axis < type->rank; axis++)
            if (type->dim[axis] == symbol) type->dim[axis] = number;
    }
}

static tn_status fix_shape(tn_graph *graph, const tn_input_shape *shape)
{
    tn_value *input = find_input(graph, shape->input);
    char text[256];
    TN_CHECK(input, TN_NOT_FOUND, "the model has no input '%s' whose shape could be fixed",
             shape->input ? shape->input : "(NULL)");
    tn_type *type = &input->type;
    tn_type_text(graph->exprs, type, text, sizeof(text));
    TN_CHECK(shape->rank >= 0 && shape->rank <= TN_RANK_MAX &&
                 (type->rank < 0 || type->rank == shape->rank),
             TN_INVALID, "the shape for input '%s' has rank %d, but the input is %s", shape->input,
             shape->rank, text);
    for (int axis = 0; axis < shape->rank; axis++) {
        int64_t wanted = shape->dim[axis], fixed;
        tn_expr number = tn_expr_const(graph->exprs, wanted);
        if (wanted < 0 && type->rank >= 0) continue;
        TN_CHECK(wanted >= 0, TN_INVALID, "the rank of input '%s' is not known: give all its dims",
                 shape->input);
        if (type->rank < 0) continue;
        bool is_fixed = tn_expr_is_const(graph->exprs, type->dim[axis], &fixed);
        TN_CHECK(!is_fixed || fixed == wanted, TN_INVALID,
                 "dim %d of input '%s' cannot be %" PRId64 ": the input is %s", axis, shape->input,
                 wanted, text);
        if (!is_fixed) fix_symbol(graph, type->dim[axis], number);
    }
    if (type->rank >= 0) return tn_exprs_check(graph->exprs);
    type->rank = shape->rank;
    for (int axis = 0; axis < shape->rank; axis++)
        type->dim[axis] = tn_expr_const(graph->exprs, shape->dim[axis]);
    return tn_exprs_check(graph->exprs);
}

/* ---- What is to stay -------------------------------------------------------------------------*/

/* While passes run, a value to keep is an output: nobody drops or swallows it. */
static tn_status keep_name(tn_graph *graph, const char *name)
{
    tn_value *value = name ? tn_map_find(&graph->names, name) : NULL;
    bool found = value != NULL;
    if (found) TN_TRY(tn_graph_add_output(graph, value->name, value));
    for (const tn_node *node = graph->first; node && name; node = node->next) {
        if (!node->name || strcmp(node->name, name) != 0) continue;
        found = true;
        for (int i = 0; i < node->out_count; i++)
            if (node->out[i]) TN_TRY(tn_graph_add_output(graph, node->out[i]->name, node->out[i]));
    }
    TN_CHECK(found, TN_NOT_FOUND, "the model has no node or value '%s' to keep",
             name ? name : "(NULL)");
    return NULL;
}

/* The value bears the name from now on; where it cannot, a node behind it does. */
static tn_status rename_value(tn_graph *graph, tn_value *value, const char *name)
{
    tn_node *node;
    if (!strcmp(value->name, name)) return NULL;
    tn_value *holder = tn_map_find(&graph->names, name);
    if (holder && !tn_value_has_users(holder)) {
        TN_TRY(tn_graph_fresh_name(graph, "dead", &holder->name));
        TN_TRY(tn_map_put(&graph->names, holder->name, holder));
        tn_map_remove(&graph->names, name);
    }
    if (value->kind == TN_VALUE_INPUT || value->output_count > 1) {
        TN_TRY(tn_graph_add_node(graph, tn_op_find(NULL, "Identity"), "", &value, 1, &name, 1, NULL,
                                 &node));
        TN_TRY(tn_node_lower(node));
        return tn_node_infer(node);
    }
    tn_map_remove(&graph->names, value->name);
    value->name = tn_arena_text(graph->arena, name, strlen(name));
    TN_CHECK(value->name, TN_OUT_OF_MEMORY, "no memory for a name");
    return tn_map_put(&graph->names, value->name, value);
}

/* The outputs behind the model's own are told no more; their names stay. */
static tn_status unkeep(tn_graph *graph, int64_t output_count)
{
    while (graph->output_count > output_count) {
        tn_output *last = &graph->output[graph->output_count - 1];
        TN_TRY(rename_value(graph, last->value, last->name));
        last->value->output_count--;
        graph->output_count--;
    }
    return NULL;
}

/* ---- Simplifying -----------------------------------------------------------------------------*/

typedef struct simplifier {
    tn_model *model;
    tn_simplify_options options;
    tn_graph *graph;
    int64_t opset;
    const char *check;
    tn_text gate;
} simplifier;

static tn_status take_options(const tn_simplify_options *given, tn_simplify_options *out)
{
    *out = (tn_simplify_options){.size = sizeof(*out)};
    if (!given) return NULL;
    TN_CHECK(given->size > 0, TN_INVALID,
             "tn_simplify_options.size is 0: set it to sizeof(tn_simplify_options)");
    memcpy(out, given, TN_MIN(given->size, sizeof(*out)));
    TN_CHECK((out->shape_count == 0 || out->shapes) && (out->keep_count == 0 || out->keep) &&
                 (out->profile_count == 0 || out->profiles),
             TN_INVALID, "shapes, names or profiles are announced, but not given");
    return NULL;
}

/* What the spelling left twice or unread goes; passes that would undo it are not run. */
static tn_status clear_up(tn_graph *graph)
{
    static const char *const names[] = {"fold_for_files", "merge_same", "drop_dead"};
    for (size_t i = 0; i < TN_COUNT(names); i++) {
        int64_t changed;
        TN_TRY(tn_pass_run(graph, tn_pass_find(names[i]), &changed));
    }
    return NULL;
}

static tn_status transform(simplifier *s)
{
    const tn_model *model = s->model;
    const tn_simplify_options *options = &s->options;
    tn_onnx_write_options at = {.opset = options->opset, .base_opset = base_opset(model)};
    TN_TRY(tn_graph_clone(model->graph, false, &s->graph));
    for (int i = 0; i < options->shape_count; i++) TN_TRY(fix_shape(s->graph, &options->shapes[i]));
    if (options->shape_count) {
        TN_TRY_NOTE(tn_graph_infer(s->graph), "with the shapes that were given");
        TN_TRY(tn_graph_verify(s->graph));
    }
    for (int i = 0; i < options->keep_count; i++) TN_TRY(keep_name(s->graph, options->keep[i]));
    TN_TRY(tn_onnx_choose_opset(s->graph, &at, &s->opset));
    TN_TRY(tn_passes_run_for(s->graph, &(tn_pass_options){.for_file = true, .opset = s->opset}));
    tn_log(TN_LOG_INFO, "%" PRId64 " nodes after the passes", s->graph->node_count);
    TN_TRY(tn_onnx_choose_opset(s->graph, &at, &s->opset));
    TN_TRY(tn_onnx_spell(s->graph, s->opset));
    TN_TRY(clear_up(s->graph));
    return unkeep(s->graph, model->graph->output_count);
}

static tn_status compare(simplifier *s)
{
    const tn_build_config config = {.size = sizeof(config),
                                    .threads = s->options.threads,
                                    .profiles = s->options.profiles,
                                    .profile_count = s->options.profile_count,
                                    .tolerance = s->options.tolerance};
    s->check = "skipped, as asked for";
    if (s->options.no_check) return NULL;
    TN_TRY(tn_build_compare(s->model->graph, s->graph, &config, &s->gate, &s->check));
    TN_CHECK(strcmp(s->check, "inconclusive") != 0, TN_UNSUPPORTED,
             "the result could not be compared with the model, which takes none of the values that "
             "were tried or is random: give shapes that it takes (profiles, --optShapes) or skip "
             "the comparison (no_check, --no-check)");
    return NULL;
}

static int64_t weight_bytes(const tn_graph *graph)
{
    int64_t bytes = 0;
    for (int64_t i = 0; i < graph->constant_count; i++)
        if (tn_value_has_users(graph->constant[i]))
            bytes += tn_tensor_bytes(&graph->constant[i]->constant);
    return bytes;
}

static tn_status write_report(const simplifier *s, char **report)
{
    tn_text text = {0};
    tn_text_printf(&text,
                   "nodes: %" PRId64 " in the file, %" PRId64 " without its constants, %" PRId64
                   " now\nconstants: %" PRId64 " bytes before, %" PRId64 " now\nopset: %" PRId64
                   "\ncheck: %s\n",
                   s->model->import->info.node_count, s->model->graph->node_count,
                   s->graph->node_count, weight_bytes(s->model->graph), weight_bytes(s->graph),
                   s->opset, s->check);
    if (s->gate.bytes) tn_text_append(&text, s->gate.at, s->gate.bytes);
    return tn_text_take(&text, report);
}

/* The model takes the graph; what it said about itself before stays in its arena. */
static tn_status adopt(simplifier *s)
{
    tn_model *model = s->model;
    const tn_model before = *model;
    model->graph = s->graph;
    tn_status status = tn_model_describe(model);
    if (status) {
        *model = before;
        return status;
    }
    tn_graph_free(model->simplified);
    model->simplified = s->graph;
    model->opset = s->opset;
    s->graph = NULL;
    return NULL;
}

tn_status tn_model_simplify(tn_model *model, const tn_simplify_options *options, char **report)
{
    simplifier s = {.model = model};
    if (report) *report = NULL;
    TN_NOT_NULL(model);
    TN_CHECK(!model->simplified, TN_INVALID, "the model is simplified already");
    tn_status status = take_options(options, &s.options);
    if (!status) status = transform(&s);
    if (!status) status = compare(&s);
    if (!status && report) status = write_report(&s, report);
    if (!status) status = adopt(&s);
    if (status && report) {
        tn_text_free(*report);
        *report = NULL;
    }
    tn_graph_free(s.graph);
    tn_text_fini(&s.gate);
    return status ? tn_status_trail(status, __FILE__, __LINE__, __func__) : NULL;
}
