/* Which operators a model file uses, those of graphs inside and of functions included. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "conformance.h"
#include "onnx.pb-c.h"

typedef struct name_list {
    char **at;
    long count, capacity;
} name_list;

static void add_name(name_list *list, const TnOnnx__NodeProto *node)
{
    bool plain = !node->domain || !node->domain[0] || strcmp(node->domain, "ai.onnx") == 0;
    char name[NAME_MAX_BYTES];
    snprintf(name, sizeof(name), "%s%s%s", plain ? "" : node->domain, plain ? "" : ".",
             node->op_type ? node->op_type : "");
    for (long i = 0; i < list->count; i++)
        if (strcmp(list->at[i], name) == 0) return;
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 16;
        list->at = realloc(list->at, (size_t)list->capacity * sizeof(*list->at));
    }
    char *copy = list->at ? strdup(name) : NULL;
    if (!copy) {
        fprintf(stderr, "conformance: out of memory\n");
        exit(2);
    }
    list->at[list->count++] = copy;
}

/* Recursion: the files are those of the suites. */
static void add_nodes(name_list *list, TnOnnx__NodeProto *const *node, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add_name(list, node[i]);
        for (size_t k = 0; k < node[i]->n_attribute; k++) {
            const TnOnnx__AttributeProto *attr = node[i]->attribute[k];
            if (attr->g) add_nodes(list, attr->g->node, attr->g->n_node);
        }
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void print_operators(const char *model_path, FILE *out)
{
    name_list list = {0};
    tn_mapping file;
    if (tn_file_map(model_path, &file)) return;
    TnOnnx__ModelProto *model = tn_onnx__model_proto__unpack(NULL, file.bytes, file.at);
    if (model && model->graph) add_nodes(&list, model->graph->node, model->graph->n_node);
    for (size_t i = 0; model && i < model->n_functions; i++)
        add_nodes(&list, model->functions[i]->node, model->functions[i]->n_node);
    if (model) tn_onnx__model_proto__free_unpacked(model, NULL);
    tn_file_unmap(&file);
    if (list.count) qsort(list.at, (size_t)list.count, sizeof(*list.at), by_text);
    for (long i = 0; i < list.count; i++) {
        fprintf(out, "%s%s", i ? "," : "", list.at[i]);
        free(list.at[i]);
    }
    free(list.at);
}
