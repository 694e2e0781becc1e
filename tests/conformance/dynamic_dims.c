/* The third mode of the runner: the same model with every dim of its inputs declared dynamic, so
 * that nothing can be settled at build time that a user's dynamic export would leave open. Shapes
 * that the file declares for anything else are dropped: they hold for the static dims only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance.h"
#include "onnx.pb-c.h"

#define DIM_VALUE TN_ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE
#define DIM_PARAM TN_ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM

static unsigned char *read_whole(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    unsigned char *data = NULL;
    long size = -1;
    if (file && fseek(file, 0, SEEK_END) == 0) size = ftell(file);
    if (size >= 0 && fseek(file, 0, SEEK_SET) == 0) data = malloc((size_t)size + 1);
    if (data && fread(data, 1, (size_t)size, file) != (size_t)size) {
        free(data);
        data = NULL;
    }
    if (file) fclose(file);
    *bytes = size < 0 ? 0 : (size_t)size;
    return data;
}

static TnOnnx__TensorShapeProto *shape_of(const TnOnnx__ValueInfoProto *value)
{
    bool tensor = value->type && value->type->value_case == TN_ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    return tensor ? value->type->tensor_type->shape : NULL;
}

static bool has_initializer(const TnOnnx__GraphProto *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (name && graph->initializer[i]->name && !strcmp(graph->initializer[i]->name, name))
            return true;
    return false;
}

/* Names that live until the message is packed. */
static char (*free_dims(TnOnnx__GraphProto *graph))[24]
{
    size_t count = 0, used = 0;
    for (size_t i = 0; i < graph->n_input; i++)
        if (shape_of(graph->input[i])) count += shape_of(graph->input[i])->n_dim;
    char(*names)[24] = calloc(count + 1, sizeof(*names));
    if (!names) return NULL;
    for (size_t i = 0; i < graph->n_input; i++) {
        TnOnnx__TensorShapeProto *shape = shape_of(graph->input[i]);
        if (!shape || has_initializer(graph, graph->input[i]->name)) continue;
        for (size_t k = 0; k < shape->n_dim; k++) {
            TnOnnx__TensorShapeProto__Dimension *dim = shape->dim[k];
            if (dim->value_case != DIM_VALUE) continue;
            snprintf(names[used], sizeof(*names), "free_%zu", used);
            dim->value_case = DIM_PARAM;
            dim->dim_param = names[used++];
        }
    }
    return names;
}

/* Our names lie in one block, ended by an empty one. */
static bool is_ours(char (*names)[24], const TnOnnx__TensorShapeProto__Dimension *dim)
{
    for (size_t i = 0; names && names[i][0]; i++)
        if (dim->value_case == DIM_PARAM && dim->dim_param == names[i]) return true;
    return false;
}

tn_status load_dynamic(const char *path, const tn_load_options *load, tn_model **model)
{
    size_t bytes = 0;
    unsigned char *data = read_whole(path, &bytes);
    TnOnnx__ModelProto *proto = data ? tn_onnx__model_proto__unpack(NULL, bytes, data) : NULL;
    TnOnnx__GraphProto *graph = proto ? proto->graph : NULL;
    free(data);
    if (!graph) { /* what is wrong with the file is the importer's to say */
        if (proto) tn_onnx__model_proto__free_unpacked(proto, NULL);
        return tn_model_load(path, load, model);
    }
    char(*names)[24] = free_dims(graph);
    size_t value_count = graph->n_value_info;
    TnOnnx__TensorShapeProto *outputs[64] = {0};
    graph->n_value_info = 0;
    for (size_t i = 0; i < graph->n_output && i < 64; i++) {
        outputs[i] = shape_of(graph->output[i]);
        if (outputs[i]) graph->output[i]->type->tensor_type->shape = NULL;
    }
    unsigned char *changed = malloc(tn_onnx__model_proto__get_packed_size(proto) + 1);
    size_t changed_bytes = changed && names ? tn_onnx__model_proto__pack(proto, changed) : 0;
    /* Back as they were, so that the message can be freed. */
    graph->n_value_info = value_count;
    for (size_t i = 0; i < graph->n_output && i < 64; i++)
        if (outputs[i]) graph->output[i]->type->tensor_type->shape = outputs[i];
    for (size_t i = 0; i < graph->n_input; i++) {
        TnOnnx__TensorShapeProto *shape = shape_of(graph->input[i]);
        for (size_t k = 0; shape && k < shape->n_dim; k++)
            if (is_ours(names, shape->dim[k])) shape->dim[k]->value_case = DIM_VALUE;
    }
    tn_onnx__model_proto__free_unpacked(proto, NULL);
    tn_status status = tn_model_load_bytes(changed, changed_bytes, NULL, load, model);
    free(changed);
    free(names);
    return status;
}
