/* The public functions about models. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "build/build.h"

tn_status tn_io_describe(tn_arena *arena, const char *name, const tn_value *value, bool is_output,
                         tn_io *io)
{
    const tn_exprs *exprs = value->graph->exprs;
    const tn_type *type = &value->type;
    *io = (tn_io){.name = name,
                  .dtype = type->dtype,
                  .rank = type->kind == TN_TYPE_TENSOR ? type->rank : -1,
                  .is_output = is_output,
                  .kind = (tn_io_kind)type->kind};
    if (type->kind != TN_TYPE_TENSOR) return NULL;
    for (int axis = 0; axis < type->rank; axis++) {
        if (tn_expr_is_const(exprs, type->dim[axis], &io->dim[axis])) continue;
        tn_text text = {0};
        tn_expr_print(exprs, type->dim[axis], &text);
        io->dim[axis] = -1;
        io->dim_name[axis] = text.failed ? NULL : tn_arena_text(arena, text.at, text.bytes);
        tn_text_fini(&text);
        TN_CHECK(io->dim_name[axis], TN_OUT_OF_MEMORY, "no memory to describe '%s'", name);
    }
    return NULL;
}

tn_status tn_model_describe(tn_model *model)
{
    const tn_graph *graph = model->graph;
    model->input = TN_NEW_ARRAY(&model->arena, tn_io, graph->input_count);
    model->output = TN_NEW_ARRAY(&model->arena, tn_io, graph->output_count);
    TN_CHECK(model->input && model->output, TN_OUT_OF_MEMORY, "no memory to describe a model");
    for (int64_t i = 0; i < graph->input_count; i++)
        TN_TRY(tn_io_describe(&model->arena, graph->input[i]->name, graph->input[i], false,
                              &model->input[i]));
    for (int64_t i = 0; i < graph->output_count; i++)
        TN_TRY(tn_io_describe(&model->arena, graph->output[i].name, graph->output[i].value, true,
                              &model->output[i]));
    return NULL;
}

/* An older caller's options are shorter: what they do not have is zero. */
static tn_status take_options(const tn_load_options *given, tn_load_options *out)
{
    *out = (tn_load_options){.size = sizeof(*out)};
    if (!given) return NULL;
    TN_CHECK(given->size > 0, TN_INVALID,
             "tn_load_options.size is 0: set it to sizeof(tn_load_options)");
    memcpy(out, given, TN_MIN(given->size, sizeof(*out)));
    out->size = sizeof(*out);
    TN_CHECK(out->baked_count >= 0 && (out->baked_count == 0 || (out->baked && out->baked_tensors)),
             TN_INVALID, "%d baked inputs are announced, but their names or tensors are not there",
             out->baked_count);
    return NULL;
}

static tn_status load_bytes(const void *bytes, size_t byte_count, const char *name,
                            const char *folder, const tn_load_options *given, tn_model **out)
{
    tn_load_options options;
    TN_TRY(take_options(given, &options));
    tn_model *model = tn_alloc_zero(sizeof(*model));
    TN_CHECK(model, TN_OUT_OF_MEMORY, "no memory for a model");
    tn_arena_init(&model->arena);
    tn_status status = tn_onnx_import(bytes, byte_count, name, folder, &options, &model->import);
    if (!status) {
        model->graph = model->import->graph;
        status = tn_model_describe(model);
    }
    if (status) {
        tn_model_free(model);
        return tn_status_trail(status, __FILE__, __LINE__, __func__);
    }
    *out = model;
    return NULL;
}

tn_status tn_model_load_bytes(const void *bytes, size_t byte_count, const char *folder,
                              const tn_load_options *options, tn_model **out)
{
    TN_NOT_NULL(out);
    *out = NULL;
    TN_CHECK(bytes || byte_count == 0, TN_INVALID, "%s: bytes is NULL", __func__);
    return load_bytes(bytes, byte_count, "model", folder, options, out);
}

tn_status tn_model_load(const char *path, const tn_load_options *options, tn_model **out)
{
    const char *folder;
    tn_mapping file;
    tn_arena arena;
    TN_NOT_NULL(out);
    *out = NULL;
    TN_NOT_NULL(path);
    TN_TRY(tn_file_map(path, &file));
    tn_arena_init(&arena);
    tn_status status = tn_path_folder(&arena, path, &folder);
    if (!status) status = load_bytes(file.at, file.bytes, path, folder, options, out);
    tn_arena_fini(&arena);
    tn_file_unmap(&file);
    return status ? tn_status_trail(status, __FILE__, __LINE__, __func__) : NULL;
}

void tn_model_free(tn_model *model)
{
    if (!model) return;
    tn_graph_free(model->simplified);
    tn_import_free(model->import);
    tn_checkpoint_close(model->checkpoint);
    tn_arena_fini(&model->arena);
    tn_free(model, sizeof(*model));
}

const tn_graph *tn_model_graph(const tn_model *model)
{
    return model->graph;
}

/* ---- Questions -------------------------------------------------------------------------------*/

int tn_model_input_count(const tn_model *model)
{
    return model ? (int)model->graph->input_count : 0;
}

int tn_model_output_count(const tn_model *model)
{
    return model ? (int)model->graph->output_count : 0;
}

tn_status tn_model_input(const tn_model *model, int index, tn_io *out)
{
    TN_NOT_NULL(model);
    TN_NOT_NULL(out);
    TN_CHECK(index >= 0 && index < tn_model_input_count(model), TN_INVALID,
             "there is no input %d: the model has %d", index, tn_model_input_count(model));
    *out = model->input[index];
    return NULL;
}

tn_status tn_model_output(const tn_model *model, int index, tn_io *out)
{
    TN_NOT_NULL(model);
    TN_NOT_NULL(out);
    TN_CHECK(index >= 0 && index < tn_model_output_count(model), TN_INVALID,
             "there is no output %d: the model has %d", index, tn_model_output_count(model));
    *out = model->output[index];
    return NULL;
}

/* ---- Nodes and values ------------------------------------------------------------------------*/

static const char **name_values(tn_value *const *values, int count, tn_arena *arena)
{
    const char **out = TN_NEW_ARRAY(arena, const char *, count);
    for (int i = 0; out && i < count; i++) out[i] = values[i] ? values[i]->name : "";
    return out;
}

tn_status tn_model_visit(const tn_model *model, tn_node_visitor visit, void *self)
{
    tn_arena arena;
    bool memory = true, go_on = true;
    TN_NOT_NULL(model);
    TN_CHECK(visit, TN_INVALID, "%s: visit is NULL", __func__);
    tn_arena_init(&arena);
    for (const tn_node *node = model->graph->first; node && memory && go_on; node = node->next) {
        tn_node_about about = {.op = node->op->name,
                               .name = node->name,
                               .input_count = node->in_count,
                               .output_count = node->out_count};
        about.inputs = name_values(node->in, node->in_count, &arena);
        about.outputs = name_values(node->out, node->out_count, &arena);
        memory = about.inputs && about.outputs;
        if (!memory) break;
        if (!node->name[0] && node->out_count) about.name = about.outputs[0];
        go_on = visit(self, &about);
    }
    tn_arena_fini(&arena);
    TN_CHECK(memory, TN_OUT_OF_MEMORY, "no memory to describe a node");
    return NULL;
}

tn_status tn_model_constant(const tn_model *model, const char *name, tn_tensor *out)
{
    TN_NOT_NULL(model);
    TN_NOT_NULL(name);
    TN_NOT_NULL(out);
    const tn_value *value = tn_map_find(&model->graph->names, name);
    TN_CHECK(value && value->kind == TN_VALUE_CONSTANT, TN_NOT_FOUND,
             "the model has no constant '%s'", name);
    *out = value->constant;
    return NULL;
}

tn_status tn_model_fill_input(const tn_model *model, const tn_tensor *inputs, int index,
                              uint64_t seed)
{
    TN_NOT_NULL(model);
    TN_NOT_NULL(inputs);
    TN_CHECK(index >= 0 && index < tn_model_input_count(model), TN_INVALID,
             "there is no input %d: the model has %d", index, tn_model_input_count(model));
    const tn_value *input = model->graph->input[index];
    TN_CHECK(input->type.kind == TN_TYPE_TENSOR, TN_UNSUPPORTED,
             "input '%s' is no tensor: there are no random values for it", input->name);
    TN_CHECK(inputs[index].dtype == input->type.dtype, TN_INVALID,
             "input '%s' is %s, the tensor to fill %s", input->name,
             tn_dtype_name(input->type.dtype), tn_dtype_name(inputs[index].dtype));
    return tn_build_fill_input(model->graph, inputs, index, seed);
}

/* ---- Text ------------------------------------------------------------------------------------*/

static tn_status print_graph(const tn_model *model, tn_text *out)
{
    tn_arena arena;
    tn_arena_init(&arena);
    const tn_value *const *constants;
    int64_t count;
    tn_status status = tn_graph_print(model->graph, NULL, out, &arena, &constants, &count);
    tn_arena_fini(&arena);
    return status;
}

tn_status tn_model_text(const tn_model *model, tn_model_text_kind kind, char **out)
{
    tn_text text = {0};
    tn_status status = NULL;
    TN_NOT_NULL(out);
    *out = NULL;
    TN_NOT_NULL(model);
    switch (kind) {
    case TN_TEXT_SUMMARY:
    case TN_TEXT_JSON:
    case TN_TEXT_SVG: status = tn_model_summary_text(model, kind, &text); break;
    case TN_TEXT_GRAPH: status = print_graph(model, &text); break;
    case TN_TEXT_ONNX_INPUTS: tn_text_printf(&text, "%s", model->import->info.inputs_text); break;
    default: status = TN_ERROR(TN_INVALID, "there is no text %d about models", (int)kind);
    }
    if (!status) return tn_text_take(&text, out);
    tn_text_fini(&text);
    return tn_status_trail(status, __FILE__, __LINE__, __func__);
}
