/* The layers of a model and the values between them, by number. */
#include <stdlib.h>
#include <string.h>

#include "compare.h"

void *grow_memory(void *at, size_t count, size_t bytes)
{
    void *out = realloc(at, count ? count * bytes : 1);
    if (out) return out;
    fprintf(stderr, "error: no memory for %zu times %zu bytes\n", count, bytes);
    exit(EXIT_FAILED);
}

void *get_memory(size_t count, size_t bytes)
{
    void *out = grow_memory(NULL, count, bytes);
    memset(out, 0, count * bytes);
    return out;
}

char *copy_text(const char *text)
{
    char *out = get_memory(strlen(text) + 1, 1);
    return strcpy(out, text);
}

static unsigned hash_of(const char *name)
{
    unsigned hash = 2166136261u;
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 16777619u;
    return hash % VALUE_BUCKETS;
}

int layers_find(const model_layers *layers, const char *name)
{
    int at = layers->bucket[hash_of(name)] - 1;
    while (at >= 0 && strcmp(layers->value[at].name, name) != 0) at = layers->value[at].next;
    return at;
}

static int find_or_add(model_layers *layers, const char *name)
{
    int at = name[0] ? layers_find(layers, name) : -1;
    if (at >= 0 || !name[0]) return at;
    if (layers->value_count == layers->value_capacity) {
        layers->value_capacity = layers->value_capacity ? layers->value_capacity * 2 : 256;
        layers->value =
            grow_memory(layers->value, (size_t)layers->value_capacity, sizeof(*layers->value));
    }
    int *bucket = &layers->bucket[hash_of(name)];
    at = layers->value_count++;
    layers->value[at] = (model_value){.name = copy_text(name), .maker = -1, .next = *bucket - 1};
    *bucket = at + 1;
    return at;
}

static int *number_values(model_layers *layers, const char *const *names, int count)
{
    int *out = get_memory((size_t)count, sizeof(*out));
    for (int i = 0; i < count; i++) out[i] = find_or_add(layers, names[i]);
    return out;
}

static bool add_layer(void *self, const tn_node_about *node)
{
    model_layers *layers = self;
    if (layers->count == layers->capacity) {
        layers->capacity = layers->capacity ? layers->capacity * 2 : 256;
        layers->at = grow_memory(layers->at, (size_t)layers->capacity, sizeof(*layers->at));
    }
    model_layer *layer = &layers->at[layers->count];
    *layer = (model_layer){.op = copy_text(node->op),
                           .name = copy_text(node->name),
                           .input_count = node->input_count,
                           .output_count = node->output_count};
    layer->input = number_values(layers, node->inputs, node->input_count);
    layer->output = number_values(layers, node->outputs, node->output_count);
    for (int i = 0; i < layer->output_count; i++)
        if (layer->output[i] >= 0) layers->value[layer->output[i]].maker = layers->count;
    layers->count++;
    return true;
}

tn_status layers_read(const tn_model *model, model_layers *out)
{
    *out = (model_layers){0};
    return tn_model_visit(model, add_layer, out);
}

void layers_free(model_layers *layers)
{
    for (int i = 0; i < layers->count; i++) {
        free(layers->at[i].op);
        free(layers->at[i].name);
        free(layers->at[i].input);
        free(layers->at[i].output);
    }
    for (int i = 0; i < layers->value_count; i++) free(layers->value[i].name);
    free(layers->at);
    free(layers->value);
    *layers = (model_layers){0};
}
