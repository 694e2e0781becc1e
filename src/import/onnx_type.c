/* Declared types. dim_params of the graph's inputs are the symbols that all shapes are made of;
 * what the file says about other values is only believed where inference knows nothing, since
 * exporters and editors leave stale shapes behind. */
#include <ctype.h>
#include <string.h>

#include "base/log.h"
#include "import/onnx_import.h"

/* Larger dims than any memory, but small enough that sums and products of a few stay exact. */
#define DIM_MAX (INT64_C(1) << 40)

/* A name as the text form of expressions can spell it: letters, digits, '_' and '.'. */
static tn_status make_name(tn_onnx_importer *importer, const char *text, const char **out)
{
    char *name =
        tn_arena_printf(importer->arena, "%s%.100s",
                        isalpha((unsigned char)text[0]) || text[0] == '_' ? "" : "d_", text);
    TN_CHECK(name, TN_OUT_OF_MEMORY, "no memory for a symbol");
    for (char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_' && *c != '.') *c = '_';
    const char *unique = name;
    for (int i = 2; tn_map_has(&importer->symbol_names, unique); i++) {
        unique = tn_arena_printf(importer->arena, "%s_%d", name, i);
        TN_CHECK(unique, TN_OUT_OF_MEMORY, "no memory for a symbol");
    }
    TN_TRY(tn_map_put(&importer->symbol_names, unique, importer));
    *out = unique;
    return NULL;
}

static tn_expr *find_symbol(const tn_onnx_importer *importer, const char *text)
{
    return tn_map_find(&importer->symbols, text);
}

/* The symbol of a dim_param; one is made where it is new. */
static tn_status get_symbol(tn_onnx_importer *importer, const char *text, tn_expr *out)
{
    tn_expr *known = find_symbol(importer, text);
    if (!known) {
        const char *name;
        known = TN_NEW(importer->arena, tn_expr);
        TN_CHECK(known, TN_OUT_OF_MEMORY, "no memory for a symbol");
        TN_TRY(make_name(importer, text, &name));
        *known = tn_expr_symbol(importer->graph->exprs, name);
        TN_TRY(tn_exprs_check(importer->graph->exprs));
        TN_TRY(tn_map_put(&importer->symbols, text, known));
    }
    *out = *known;
    return NULL;
}

static const char *kind_of(const TnOnnx__TypeProto *proto)
{
    switch (proto ? proto->value_case : TN_ONNX__TYPE_PROTO__VALUE__NOT_SET) {
    case TN_ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE: return "a sequence";
    case TN_ONNX__TYPE_PROTO__VALUE_MAP_TYPE: return "a map";
    case TN_ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE: return "an optional";
    case TN_ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE: return "a sparse tensor";
    case TN_ONNX__TYPE_PROTO__VALUE_OPAQUE_TYPE: return "an opaque value";
    default: return "of no type";
    }
}

static tn_status check_shape(const char *name, const TnOnnx__TypeProto__Tensor *tensor)
{
    TN_CHECK(tensor->elem_type != 0, TN_INVALID, "'%s' has no element type", name);
    TN_CHECK(tn_dtype_valid(tensor->elem_type), TN_UNSUPPORTED,
             "'%s' has element type %d, which is not known", name, tensor->elem_type);
    if (!tensor->shape) return NULL;
    TN_CHECK(tensor->shape->n_dim <= TN_RANK_MAX, TN_UNSUPPORTED,
             "'%s' has %zu dimensions; at most %d are supported", name, tensor->shape->n_dim,
             TN_RANK_MAX);
    for (size_t i = 0; i < tensor->shape->n_dim; i++) {
        const TnOnnx__TensorShapeProto__Dimension *dim = tensor->shape->dim[i];
        TN_CHECK(dim->value_case != TN_ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE ||
                     dim->dim_value <= DIM_MAX,
                 TN_INVALID, "'%s': dimension %zu is %lld, more than any memory holds", name, i,
                 (long long)dim->dim_value);
    }
    return NULL;
}

static bool is_number(const TnOnnx__TensorShapeProto__Dimension *dim)
{
    return dim->value_case == TN_ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
           dim->dim_value >= 0;
}

static bool is_named(const TnOnnx__TensorShapeProto__Dimension *dim)
{
    return dim->value_case == TN_ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM &&
           dim->dim_param && dim->dim_param[0];
}

/* A sequence or an optional. The shapes that files declare for what is in them are often those of
 * other tensors, and are not looked at. */
static tn_status read_list(const char *name, const TnOnnx__TypeProto *proto, tn_type *out)
{
    bool optional = proto->value_case == TN_ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE;
    const TnOnnx__TypeProto *inner = optional               ? proto->optional_type->elem_type
                                     : proto->sequence_type ? proto->sequence_type->elem_type
                                                            : NULL;
    bool sequence = !optional;
    if (optional && inner && inner->value_case == TN_ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE) {
        inner = inner->sequence_type->elem_type;
        sequence = true;
    }
    TN_CHECK(inner && inner->value_case == TN_ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE, TN_UNSUPPORTED,
             "'%s' holds %s; sequences and optionals of tensors are supported", name,
             kind_of(inner));
    TN_TRY(check_shape(name, inner->tensor_type));
    *out = tn_type_of((tn_dtype)inner->tensor_type->elem_type, -1, NULL);
    out->kind = optional && sequence ? TN_TYPE_OPTIONAL_SEQUENCE
                : optional           ? TN_TYPE_OPTIONAL
                                     : TN_TYPE_SEQUENCE;
    return NULL;
}

tn_status tn_onnx_type(tn_onnx_importer *importer, const char *name, const TnOnnx__TypeProto *proto,
                       tn_type *out)
{
    tn_expr at[TN_RANK_MAX];
    if (proto && (proto->value_case == TN_ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE ||
                  proto->value_case == TN_ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE))
        return read_list(name, proto, out);
    TN_CHECK(proto && proto->value_case == TN_ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE, TN_UNSUPPORTED,
             "'%s' is %s; tensors, sequences of them and optionals are supported", name,
             kind_of(proto));
    const TnOnnx__TypeProto__Tensor *tensor = proto->tensor_type;
    TN_TRY(check_shape(name, tensor));
    for (size_t i = 0; tensor->shape && i < tensor->shape->n_dim; i++) {
        const TnOnnx__TensorShapeProto__Dimension *dim = tensor->shape->dim[i];
        if (is_number(dim)) {
            at[i] = tn_expr_const(importer->graph->exprs, dim->dim_value);
        } else if (is_named(dim)) {
            TN_TRY(get_symbol(importer, dim->dim_param, &at[i]));
        } else {
            char *text = tn_arena_printf(importer->arena, "%s_dim%zu", name, i);
            TN_CHECK(text, TN_OUT_OF_MEMORY, "no memory for a symbol");
            TN_TRY(get_symbol(importer, text, &at[i]));
        }
    }
    TN_TRY(tn_exprs_check(importer->graph->exprs));
    *out =
        tn_type_of((tn_dtype)tensor->elem_type, tensor->shape ? (int)tensor->shape->n_dim : -1, at);
    return NULL;
}

/* The declared dim if it is a number or a symbol of the inputs, else one that a run finds out. */
static tn_expr declared_dim(tn_onnx_importer *importer, const char *name,
                            const TnOnnx__TensorShapeProto__Dimension *dim)
{
    if (is_number(dim)) return tn_expr_const(importer->graph->exprs, dim->dim_value);
    const tn_expr *symbol = is_named(dim) ? find_symbol(importer, dim->dim_param) : NULL;
    return symbol ? *symbol : tn_expr_fresh(importer->graph->exprs, name);
}

/* A shape that cannot be as declared is said once a value and counted; what inference found stays.
 */
static void report(tn_onnx_importer *importer, const tn_value *value)
{
    char text[160];
    if (importer->differing_count++ < 3)
        tn_log(TN_LOG_WARNING, "%s: '%s' is %s, not what the file declares", importer->name,
               value->name, tn_type_text(importer->graph->exprs, &value->type, text, sizeof(text)));
}

tn_status tn_onnx_merge_type(tn_onnx_importer *importer, tn_value *value,
                             const TnOnnx__TypeProto *proto)
{
    tn_type *type = &value->type;
    if (!proto || proto->value_case != TN_ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE) return NULL;
    if (type->kind != TN_TYPE_TENSOR) return NULL;
    const TnOnnx__TypeProto__Tensor *tensor = proto->tensor_type;
    if (!tensor->elem_type) return NULL;
    TN_TRY(check_shape(value->name, tensor));
    TN_CHECK((int)type->dtype == tensor->elem_type, TN_INVALID, "'%s' is declared as %s but is %s",
             value->name, tn_dtype_name((tn_dtype)tensor->elem_type), tn_dtype_name(type->dtype));
    if (!tensor->shape) return NULL;
    int rank = (int)tensor->shape->n_dim;
    if (type->rank < 0) {
        /* Numbers are believed; a declared symbol is but a name, which real files give to dims that
         * only a run can tell (a Squeeze without axes). */
        type->rank = rank;
        for (int i = 0; i < rank; i++)
            type->dim[i] = is_number(tensor->shape->dim[i])
                               ? declared_dim(importer, value->name, tensor->shape->dim[i])
                               : tn_expr_fresh(importer->graph->exprs, "declared");
        return tn_exprs_check(importer->graph->exprs);
    }
    bool differs = type->rank != rank;
    for (int i = 0; i < rank && !differs; i++) {
        int64_t found;
        differs = is_number(tensor->shape->dim[i]) &&
                  tn_expr_is_const(importer->graph->exprs, type->dim[i], &found) &&
                  found != tensor->shape->dim[i]->dim_value;
    }
    if (differs) report(importer, value);
    return NULL;
}
