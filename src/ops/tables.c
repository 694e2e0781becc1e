#include "ops/tables.h"

#include <stdio.h>
#include <string.h>

/* The view is only read; a tensor has no const pointer. */
static tn_tensor view(tn_dtype dtype, int64_t count, const void *at)
{
    return tn_tensor_of(dtype, &count, 1, (void *)(uintptr_t)at);
}

tn_status tn_table_find(const tn_node *node, const char *name, tn_tensor *out)
{
    const tn_attr *attr = tn_node_find_attr(node, name);
    *out = (tn_tensor){.dtype = TN_DTYPE_NONE};
    if (!attr) return NULL;
    switch (attr->kind) {
    case TN_ATTR_TENSOR: *out = attr->tensor; return NULL;
    case TN_ATTR_INTS: *out = view(TN_DTYPE_I64, attr->count, attr->ints); break;
    case TN_ATTR_FLOATS: *out = view(TN_DTYPE_F32, attr->count, attr->floats); break;
    case TN_ATTR_TEXTS: *out = view(TN_DTYPE_STRING, attr->count, attr->texts); break;
    default: TN_FAIL(TN_INVALID, "attribute '%s' is no list and no tensor", name);
    }
    if (attr->count == 0) out->dtype = TN_DTYPE_NONE;
    return NULL;
}

tn_status tn_table_ints(const tn_node *node, const char *attr, const int64_t **at, int64_t *count)
{
    tn_tensor table;
    *at = NULL;
    *count = 0;
    TN_TRY(tn_table_find(node, attr, &table));
    if (table.dtype == TN_DTYPE_NONE) return NULL;
    TN_CHECK(table.dtype == TN_DTYPE_I64, TN_INVALID, "attribute '%s' must be integers", attr);
    *at = table.data;
    *count = tn_tensor_count(&table);
    return NULL;
}

tn_status tn_table_add(tn_graph *graph, tn_node *node, int index, const tn_tensor *table)
{
    tn_value *value;
    TN_TRY(tn_graph_add_constant(graph, NULL, table, false, &value));
    return tn_node_set_input(node, index, value);
}

tn_status tn_table_move(tn_graph *graph, tn_node *node, const char *attr, int index)
{
    tn_tensor table;
    TN_TRY(tn_table_find(node, attr, &table));
    if (table.dtype != TN_DTYPE_NONE) TN_TRY(tn_table_add(graph, node, index, &table));
    tn_node_remove_attr(node, attr);
    return NULL;
}

/* The contents of a constant input, which goes; dtype NONE without it. */
static tn_status take_input(tn_node *node, int index, tn_tensor *out)
{
    const tn_value *value = index < node->in_count ? node->in[index] : NULL;
    *out = (tn_tensor){.dtype = TN_DTYPE_NONE};
    if (!value) return NULL;
    TN_CHECK(tn_value_is_constant(value), TN_UNSUPPORTED,
             "input %d, '%s', is no constant, and model files have it as an attribute", index,
             value->name);
    *out = value->constant;
    return tn_node_set_input(node, index, NULL);
}

tn_status tn_table_restore(tn_node *node, int index, const char *ints, const char *floats,
                           const char *texts)
{
    tn_tensor t;
    TN_TRY(take_input(node, index, &t));
    if (t.dtype == TN_DTYPE_NONE) return NULL;
    tn_attr attr = {.count = tn_tensor_count(&t), .ints = t.data, .floats = t.data};
    attr.texts = t.data;
    if (t.dtype == TN_DTYPE_I64) attr.name = ints, attr.kind = TN_ATTR_INTS;
    if (t.dtype == TN_DTYPE_F32) attr.name = floats, attr.kind = TN_ATTR_FLOATS;
    if (t.dtype == TN_DTYPE_STRING) attr.name = texts, attr.kind = TN_ATTR_TEXTS;
    TN_CHECK(attr.name, TN_UNSUPPORTED, "input %d is %s, for which model files have no attribute",
             index, tn_dtype_name(t.dtype));
    return tn_node_set_attr(node, &attr);
}

tn_status tn_table_restore_tensor(tn_node *node, int index, const char *name)
{
    tn_attr attr = {.name = name, .kind = TN_ATTR_TENSOR};
    TN_TRY(take_input(node, index, &attr.tensor));
    return attr.tensor.dtype ? tn_node_set_attr(node, &attr) : NULL;
}

void tn_table_drop(tn_node *node, const char *attrs)
{
    char name[64];
    for (const char *at = attrs; *at;) {
        size_t bytes = strcspn(at, "|");
        snprintf(name, sizeof name, "%.*s", (int)bytes, at);
        tn_node_remove_attr(node, name);
        at += bytes + (at[bytes] == '|');
    }
}
