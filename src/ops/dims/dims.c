/* Dims, of the domain "tenon": numbers that hang on shapes alone, as a vector (or scalar) of i64.
 *
 * Chains of Shape, Gather, Add, Concat and so on whose values inference has found as expressions
 * end up as one of these: the attribute `dims` is the list of expressions, printed. A plan writes
 * them without a kernel. */
#include "ops/dims/dims.h"

#include "ir/op.h"

static const tn_field fields[] = {
    TN_INT(tn_dims_params, scalar, 0),
};
static const tn_port outs[] = {{"values", TN_DT(I64), 0, 0}};

static tn_status lower(const tn_node *node, void *params)
{
    const tn_dims_params *dims = params;
    const tn_attr *attr = tn_node_find_attr(node, "dims");
    TN_CHECK(attr && (attr->kind == TN_ATTR_TEXTS || attr->count == 0), TN_INVALID,
             "attribute 'dims' must be a list of texts");
    TN_CHECK(attr->count <= TN_KNOWN_MAX, TN_UNSUPPORTED,
             "attribute 'dims' has %lld elements, above %d", (long long)attr->count, TN_KNOWN_MAX);
    TN_CHECK(!dims->scalar || attr->count == 1, TN_INVALID,
             "attribute 'dims' has %lld elements, a scalar has 1", (long long)attr->count);
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_dims_params *params = f->params;
    tn_expr value[TN_KNOWN_MAX];
    TN_CHECK(f->node, TN_UNSUPPORTED, "Dims needs a graph, whose symbols it speaks of");
    const tn_attr *attr = tn_node_find_attr(f->node, "dims");
    TN_CHECK(attr && attr->count <= TN_KNOWN_MAX, TN_INVALID, "attribute 'dims' is missing");
    for (int64_t i = 0; i < attr->count; i++) {
        const char *text = tn_arena_text(f->arena, attr->texts[i].text, attr->texts[i].bytes);
        TN_CHECK(text, TN_OUT_OF_MEMORY, "no memory for an expression");
        TN_TRY_NOTE(tn_expr_parse(f->exprs, text, &value[i]), "in element %lld of dims",
                    (long long)i);
    }
    tn_expr count = tn_expr_const(f->exprs, attr->count);
    tn_infer_set(f, 0, TN_DTYPE_I64, params->scalar ? 0 : 1, &count);
    tn_infer_set_known(f, 0, value, attr->count);
    return NULL;
}

/* No cases: a problem has no symbols to speak of. */
const tn_op tn_op_dims = {
    .name = "Dims",
    .domain = "tenon",
    .since = 1,
    .about = "expressions over the dims of the graph's inputs, as i64",
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .own_attrs = "dims",
    .params_bytes = sizeof(tn_dims_params),
    .lower = lower,
    .infer = infer,
};
