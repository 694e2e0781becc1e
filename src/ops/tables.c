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
