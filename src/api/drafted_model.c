/* Models of graphs that no file was read for. */
#include <inttypes.h>

#include "api/api.h"
#include "passes/passes.h"

/* The inputs as ONNX tools print them. */
static tn_status print_inputs(const tn_graph *graph, tn_arena *arena, const char **out)
{
    tn_text text = {0};
    for (int64_t i = 0; i < graph->input_count; i++) {
        const tn_type *type = &graph->input[i]->type;
        tn_text_printf(&text,
                       "%sname: \"%s\"\ntype {\n  tensor_type {\n    elem_type: %d\n"
                       "    shape {\n",
                       i ? "\n" : "", graph->input[i]->name, (int)type->dtype);
        for (int axis = 0; axis < type->rank; axis++) {
            int64_t number;
            tn_text_printf(&text, "      dim {\n");
            if (tn_expr_is_const(graph->exprs, type->dim[axis], &number)) {
                tn_text_printf(&text, "        dim_value: %" PRId64 "\n", number);
            } else {
                tn_text_printf(&text, "        dim_param: \"");
                tn_expr_print(graph->exprs, type->dim[axis], &text);
                tn_text_printf(&text, "\"\n");
            }
            tn_text_printf(&text, "      }\n");
        }
        tn_text_printf(&text, "    }\n  }\n}\n");
    }
    *out = text.failed ? NULL : tn_arena_text(arena, text.at ? text.at : "", text.bytes);
    tn_text_fini(&text);
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory to describe a network");
    return NULL;
}

/* Weights in the order that operators want, sizes and the like are computed now, as an exporter
 * would, and what nothing needs goes. */
static tn_status fold(tn_graph *graph)
{
    static const char *const names[] = {"fold_constants", "drop_dead"};
    for (size_t i = 0; i < TN_COUNT(names); i++) {
        int64_t changed;
        const tn_pass *pass = tn_pass_find(names[i]);
        TN_CHECK(pass, TN_INTERNAL, "there is no pass %s", names[i]);
        TN_TRY(tn_pass_run(graph, pass, &changed));
    }
    return NULL;
}

static tn_status fill(tn_model *model, const char *producer)
{
    tn_import *import = model->import;
    TN_TRY(fold(import->graph));
    import->info = (tn_import_info){.ir_version = 8,
                                    .opset = 17,
                                    .producer = producer,
                                    .graph_name = import->graph->name,
                                    .node_count = import->graph->node_count};
    TN_TRY(print_inputs(import->graph, &import->arena, &import->info.inputs_text));
    model->graph = import->graph;
    return tn_model_describe(model);
}

tn_status tn_model_of_graph(tn_graph *graph, const char *producer, tn_model **out)
{
    tn_model *model = tn_alloc_zero(sizeof(*model));
    tn_import *import = tn_alloc_zero(sizeof(*import));
    tn_status status = NULL;
    if (model && import) {
        tn_arena_init(&model->arena);
        tn_arena_init(&import->arena);
        import->graph = graph;
        model->import = import;
        status = fill(model, producer);
    } else {
        tn_graph_free(graph);
        tn_free(import, sizeof(*import));
        status = TN_ERROR(TN_OUT_OF_MEMORY, "no memory for a model");
    }
    if (!status) {
        *out = model;
        return NULL;
    }
    tn_model_free(model);
    return tn_status_trail(status, __FILE__, __LINE__, __func__);
}
