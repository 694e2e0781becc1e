/* Attributes of nodes: a short list, searched from the front. */
#include <string.h>

#include "ir/graph.h"

static int find_index(const tn_node *node, const char *name)
{
    for (int i = 0; i < node->attr_count; i++)
        if (!strcmp(node->attr[i].name, name)) return i;
    return -1;
}

const tn_attr *tn_node_find_attr(const tn_node *node, const char *name)
{
    int index = find_index(node, name);
    return index < 0 ? NULL : &node->attr[index];
}

int64_t tn_node_int_attr(const tn_node *node, const char *name, int64_t otherwise)
{
    const tn_attr *attr = tn_node_find_attr(node, name);
    return attr && attr->kind == TN_ATTR_INT ? attr->i : otherwise;
}

double tn_node_float_attr(const tn_node *node, const char *name, double otherwise)
{
    const tn_attr *attr = tn_node_find_attr(node, name);
    return attr && attr->kind == TN_ATTR_FLOAT ? attr->f : otherwise;
}

static tn_status copy_text(tn_arena *arena, const tn_string *src, tn_string *dst)
{
    dst->text = tn_arena_text(arena, src->text ? src->text : "", src->bytes);
    dst->bytes = src->bytes;
    TN_CHECK(dst->text, TN_OUT_OF_MEMORY, "no memory for an attribute");
    return NULL;
}

static tn_status copy_list(tn_arena *arena, const void *src, int64_t count, size_t size,
                           const void **dst)
{
    TN_CHECK(count >= 0, TN_INVALID, "an attribute has a list of negative length");
    void *copy = tn_arena_alloc_array(arena, (size_t)count, size);
    TN_CHECK(copy, TN_OUT_OF_MEMORY, "no memory for an attribute");
    if (count) memcpy(copy, src, (size_t)count * size);
    *dst = copy;
    return NULL;
}

static tn_status copy_attr(tn_arena *arena, const tn_attr *src, tn_attr *dst)
{
    *dst = *src;
    const void *list = NULL;
    dst->name = tn_arena_text(arena, src->name, strlen(src->name));
    TN_CHECK(dst->name, TN_OUT_OF_MEMORY, "no memory for an attribute");
    if (src->kind == TN_ATTR_TEXT) {
        TN_TRY(copy_text(arena, &src->text, &dst->text));
    } else if (src->kind == TN_ATTR_INTS) {
        TN_TRY(copy_list(arena, src->ints, src->count, sizeof(int64_t), &list));
        dst->ints = list;
    } else if (src->kind == TN_ATTR_FLOATS) {
        TN_TRY(copy_list(arena, src->floats, src->count, sizeof(float), &list));
        dst->floats = list;
    } else if (src->kind == TN_ATTR_TEXTS) {
        TN_CHECK(src->count >= 0, TN_INVALID, "an attribute has a list of negative length");
        tn_string *texts = TN_NEW_ARRAY(arena, tn_string, src->count);
        TN_CHECK(texts, TN_OUT_OF_MEMORY, "no memory for an attribute");
        for (int64_t i = 0; i < src->count; i++)
            TN_TRY(copy_text(arena, &src->texts[i], &texts[i]));
        dst->texts = texts;
    }
    return NULL;
}

tn_status tn_node_set_attr(tn_node *node, const tn_attr *attr)
{
    tn_arena *arena = node->graph->arena;
    tn_attr copy;
    TN_TRY(copy_attr(arena, attr, &copy));
    int index = find_index(node, attr->name);
    if (index < 0) {
        int64_t capacity = node->attr_capacity;
        TN_TRY(tn_arena_grow(arena, &node->attr, node->attr_count, &capacity,
                             (int64_t)node->attr_count + 1, sizeof(tn_attr)));
        node->attr_capacity = (int32_t)capacity;
        index = node->attr_count++;
    }
    node->attr[index] = copy;
    return NULL;
}

tn_status tn_node_set_int(tn_node *node, const char *name, int64_t value)
{
    return tn_node_set_attr(node, &(tn_attr){.name = name, .kind = TN_ATTR_INT, .i = value});
}

void tn_node_remove_attr(tn_node *node, const char *name)
{
    int index = find_index(node, name);
    if (index < 0) return;
    for (int i = index + 1; i < node->attr_count; i++) node->attr[i - 1] = node->attr[i];
    node->attr_count--;
}
