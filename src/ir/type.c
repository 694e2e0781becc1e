/* Types of values: making, comparing, printing; and how messages call a node. */
#include <stdio.h>
#include <string.h>

#include "ir/graph.h"
#include "ir/op.h"

tn_type tn_type_of(tn_dtype dtype, int rank, const tn_expr *dim)
{
    tn_type type = {.kind = TN_TYPE_TENSOR, .dtype = dtype, .rank = rank};
    for (int i = 0; i < rank && dim; i++) type.dim[i] = dim[i];
    return type;
}

bool tn_type_equals(const tn_type *a, const tn_type *b)
{
    if (a->kind != b->kind || a->dtype != b->dtype || a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i] || a->dim[i] == TN_EXPR_NONE) return false;
    return true;
}

void tn_type_print(const tn_exprs *exprs, const tn_type *type, tn_text *out)
{
    static const char *const words[] = {"", "sequence of ", "optional ", "optional sequence of "};
    tn_text_printf(out, "%s", words[type->kind]);
    tn_text_printf(out, "%s", tn_dtype_name(type->dtype));
    if (type->rank == 0) return;
    if (type->rank < 0) {
        tn_text_printf(out, "[...]");
        return;
    }
    for (int i = 0; i < type->rank; i++) {
        tn_text_printf(out, i ? "," : "[");
        tn_expr_print(exprs, type->dim[i], out);
    }
    tn_text_printf(out, "]");
}

const char *tn_type_text(const tn_exprs *exprs, const tn_type *type, char *dst, size_t dst_bytes)
{
    if (!dst_bytes) return dst;
    tn_text text = {0};
    tn_type_print(exprs, type, &text);
    snprintf(dst, dst_bytes, "%s", text.at && !text.failed ? text.at : "?");
    tn_text_fini(&text);
    return dst;
}

const char *tn_node_label(const tn_node *node, char *dst, size_t dst_bytes)
{
    const char *op = node->op ? node->op->name : "?";
    const tn_value *value = NULL;
    for (int i = 0; i < node->out_count && !value; i++) value = node->out[i];
    if (node->name && node->name[0]) snprintf(dst, dst_bytes, "%s '%s'", op, node->name);
    else if (value) snprintf(dst, dst_bytes, "%s giving '%s'", op, value->name);
    else snprintf(dst, dst_bytes, "%s", op);
    return dst;
}

tn_status tn_node_blame(const tn_node *node, tn_status status)
{
    if (!status) return NULL;
    char label[256];
    tn_node_label(node, label, sizeof label);
    if (strstr(tn_status_message(status), label)) return status;
    struct tn_status_record record;
    tn_status_copy(status, &record);
    char message[TN_MESSAGE_MAX];
    memcpy(message, record.message, sizeof message);
    /* A message that fills its place loses its end, never its beginning. */
    snprintf(record.message, sizeof record.message, "%s: %.*s", label,
             (int)(sizeof record.message - sizeof label - 3), message);
    return tn_status_adopt(&record);
}
