/* Sequences and optionals, opset 11 and 15: lists of tensors that the plan keeps (exec/sequence.c).
 * Here is their schema and what is known of the tensors in them. */
#include <string.h>

#include "ir/subgraph.h"

typedef struct axis_params {
    int64_t axis, second; /* new_axis or keepdims */
} axis_params;

typedef struct empty_params {
    int64_t dtype;
} empty_params;

#define ANY TN_PORT_ANY_KIND
static const tn_port in_sequence[] = {{"input_sequence", TN_DTS_ANY, 0, ANY}};
static const tn_port in_position[] = {
    {"input_sequence", TN_DTS_ANY, 0, ANY},
    {"position", TN_DTS_INDEX, 0, TN_PORT_OPTIONAL},
};
static const tn_port in_insert[] = {
    {"input_sequence", TN_DTS_ANY, 0, ANY},
    {"tensor", TN_DTS_ANY, 0, 0},
    {"position", TN_DTS_INDEX, 0, TN_PORT_OPTIONAL},
};
static const tn_port in_tensors[] = {{"inputs", TN_DTS_ANY, 'T', TN_PORT_VARIADIC}};
static const tn_port in_split[] = {
    {"input", TN_DTS_ANY, 0, 0},
    {"split", TN_DTS_INDEX, 0, TN_PORT_OPTIONAL},
};
static const tn_port in_optional[] = {{"input", TN_DTS_ANY, 0, ANY | TN_PORT_OPTIONAL}};
static const tn_port in_any[] = {{"input", TN_DTS_ANY, 0, ANY}};
static const tn_port out_any[] = {{"output", TN_DTS_ANY, 0, ANY}};
static const tn_port out_tensor[] = {{"tensor", TN_DTS_ANY, 0, 0}};
static const tn_port out_length[] = {{"length", TN_DT(I64), 0, 0}};
static const tn_port out_bool[] = {{"output", TN_DT(BOOL), 0, 0}};

static tn_status need_sequence(const tn_infer *f)
{
    TN_CHECK(f->in[0].kind == TN_TYPE_SEQUENCE, TN_INVALID, "its input must be a sequence");
    return NULL;
}

/* A sequence of such tensors: dims that are no numbers are not the same for each of them. */
static tn_type sequence_of(const tn_exprs *exprs, const tn_type *item)
{
    tn_type type = *item;
    int64_t number;
    type.kind = TN_TYPE_SEQUENCE;
    for (int axis = 0; axis < type.rank; axis++)
        if (!tn_expr_is_const(exprs, type.dim[axis], &number)) type.dim[axis] = TN_EXPR_NONE;
    return type;
}

/* ---- Making ----------------------------------------------------------------------------------*/

static const tn_field empty_fields[] = {TN_DTYPE_FIELD(empty_params, dtype, TN_DTYPE_F32)};

static tn_status infer_empty(tn_infer *f)
{
    const empty_params *params = f->params;
    tn_infer_set(f, 0, (tn_dtype)params->dtype, -1, NULL);
    f->out[0].kind = TN_TYPE_SEQUENCE;
    return NULL;
}

static tn_status infer_construct(tn_infer *f)
{
    f->out[0] = f->in[0];
    for (int i = 1; i < f->in_count; i++) TN_TRY(tn_type_join(&f->out[0], &f->in[i], &f->out[0]));
    f->out[0] = sequence_of(f->exprs, &f->out[0]);
    return NULL;
}

static tn_status infer_insert(tn_infer *f)
{
    TN_TRY(need_sequence(f));
    TN_CHECK(f->in[0].dtype == f->in[1].dtype, TN_INVALID,
             "a tensor of %s is put into a sequence of %s", tn_dtype_name(f->in[1].dtype),
             tn_dtype_name(f->in[0].dtype));
    tn_type item = sequence_of(f->exprs, &f->in[1]);
    return tn_type_join(&f->in[0], &item, &f->out[0]);
}

static tn_status infer_erase(tn_infer *f)
{
    TN_TRY(need_sequence(f));
    tn_infer_same(f, 0, 0);
    return NULL;
}

/* ---- Reading ---------------------------------------------------------------------------------*/

static tn_status infer_at(tn_infer *f)
{
    TN_TRY(need_sequence(f));
    tn_infer_same(f, 0, 0);
    f->out[0].kind = TN_TYPE_TENSOR;
    return NULL;
}

static tn_status infer_length(tn_infer *f)
{
    TN_TRY(need_sequence(f));
    tn_infer_set(f, 0, TN_DTYPE_I64, 0, NULL);
    return NULL;
}

/* ---- To and from one tensor ------------------------------------------------------------------*/

static const tn_field concat_fields[] = {
    {.name = "axis", .kind = TN_FIELD_INT, .offset = offsetof(axis_params, axis), .required = true},
    {.name = "new_axis", .kind = TN_FIELD_INT, .offset = offsetof(axis_params, second)},
};
static const tn_field split_fields[] = {
    TN_INT(axis_params, axis, 0),
    {.name = "keepdims",
     .kind = TN_FIELD_INT,
     .offset = offsetof(axis_params, second),
     .default_int = 1},
};

static tn_status infer_concat(tn_infer *f)
{
    const axis_params *params = f->params;
    tn_expr dim[TN_RANK_MAX];
    int axis, rank = f->in[0].rank, added = params->second != 0;
    TN_TRY(need_sequence(f));
    if (rank < 0) {
        tn_infer_set(f, 0, f->in[0].dtype, -1, NULL);
        return NULL;
    }
    TN_CHECK(rank + added <= TN_RANK_MAX, TN_UNSUPPORTED, "the result would have rank %d",
             rank + added);
    TN_TRY(tn_infer_axis(f, params->axis, rank + added, &axis));
    for (int i = 0; i < rank + added; i++)
        dim[i] = i == axis ? TN_EXPR_NONE : f->in[0].dim[added && i > axis ? i - 1 : i];
    tn_infer_set(f, 0, f->in[0].dtype, rank + added, dim);
    return NULL;
}

static tn_status infer_split(tn_infer *f)
{
    const axis_params *params = f->params;
    tn_type type = f->in[0];
    int axis;
    if (type.rank >= 0) {
        bool drop = params->second == 0 && !tn_infer_has(f, 1);
        TN_TRY(tn_infer_axis(f, params->axis, type.rank, &axis));
        type.dim[axis] = drop ? type.dim[axis] : TN_EXPR_NONE;
        if (drop) {
            for (int i = axis + 1; i < type.rank; i++) type.dim[i - 1] = type.dim[i];
            type.rank--;
        }
    }
    f->out[0] = sequence_of(f->exprs, &type);
    return NULL;
}

/* ---- Optionals -------------------------------------------------------------------------------*/

/* "f32" or "sequence of f32": the attribute `type`, which says what is absent. */
static tn_status parse_type(const tn_infer *f, tn_type *out)
{
    static const char sequence[] = "sequence of ";
    const tn_attr *attr = f->node ? tn_node_find_attr(f->node, "type") : NULL;
    TN_CHECK(attr && attr->kind == TN_ATTR_TEXT, TN_INVALID,
             "it has neither an input nor an attribute 'type'");
    const char *text = attr->text.text;
    bool is_sequence = !strncmp(text, sequence, sizeof(sequence) - 1);
    tn_dtype dtype = tn_dtype_find(is_sequence ? text + sizeof(sequence) - 1 : text);
    TN_CHECK(dtype != TN_DTYPE_NONE, TN_INVALID, "attribute 'type' is \"%.100s\"", text);
    *out = tn_type_of(dtype, -1, NULL);
    if (is_sequence) out->kind = TN_TYPE_SEQUENCE;
    return NULL;
}

static tn_status infer_optional(tn_infer *f)
{
    tn_type type;
    if (tn_infer_has(f, 0)) type = f->in[0];
    else TN_TRY(parse_type(f, &type));
    TN_CHECK(type.kind == TN_TYPE_TENSOR || type.kind == TN_TYPE_SEQUENCE, TN_UNSUPPORTED,
             "an optional of an optional cannot be made");
    if (type.kind == TN_TYPE_TENSOR)
        type = sequence_of(f->exprs, &type), type.kind = TN_TYPE_OPTIONAL;
    else type.kind = TN_TYPE_OPTIONAL_SEQUENCE;
    f->out[0] = type;
    return NULL;
}

static tn_status infer_get(tn_infer *f)
{
    tn_infer_same(f, 0, 0);
    if (f->in[0].kind == TN_TYPE_OPTIONAL) f->out[0].kind = TN_TYPE_TENSOR;
    if (f->in[0].kind == TN_TYPE_OPTIONAL_SEQUENCE) f->out[0].kind = TN_TYPE_SEQUENCE;
    return NULL;
}

static tn_status infer_has(tn_infer *f)
{
    tn_expr known = tn_expr_const(f->exprs, tn_infer_has(f, 0));
    tn_infer_set(f, 0, TN_DTYPE_BOOL, 0, NULL);
    if (!tn_infer_has(f, 0) || f->in[0].kind == TN_TYPE_TENSOR || f->in[0].kind == TN_TYPE_SEQUENCE)
        tn_infer_set_known(f, 0, &known, 1);
    return NULL;
}

/* ---- The operators ---------------------------------------------------------------------------*/

#define PORTS(ins, outs)                                                                           \
    .in = (ins), .in_count = TN_COUNT(ins), .out = (outs), .out_count = TN_COUNT(outs),            \
    .runs = TN_RUNS_SEQUENCE
#define FIELDS(list, type)                                                                         \
    .field = (list), .field_count = TN_COUNT(list), .params_bytes = sizeof(type)

const tn_op tn_op_sequence_empty = {
    .name = "SequenceEmpty",
    .since = 11,
    .about = "a sequence without tensors",
    .out = out_any,
    .out_count = TN_COUNT(out_any),
    .runs = TN_RUNS_SEQUENCE,
    FIELDS(empty_fields, empty_params),
    .infer = infer_empty,
};
const tn_op tn_op_sequence_construct = {
    .name = "SequenceConstruct",
    .since = 11,
    .about = "the sequence of the inputs",
    PORTS(in_tensors, out_any),
    .infer = infer_construct,
};
const tn_op tn_op_sequence_insert = {
    .name = "SequenceInsert",
    .since = 11,
    .about = "the sequence with a tensor put in before a position, at the end by default",
    PORTS(in_insert, out_any),
    .infer = infer_insert,
};
const tn_op tn_op_sequence_erase = {
    .name = "SequenceErase",
    .since = 11,
    .about = "the sequence without the tensor at a position, the last by default",
    PORTS(in_position, out_any),
    .infer = infer_erase,
};
const tn_op tn_op_sequence_at = {
    .name = "SequenceAt",
    .since = 11,
    .about = "the tensor at a position",
    PORTS(in_position, out_tensor),
    .infer = infer_at,
};
const tn_op tn_op_sequence_length = {
    .name = "SequenceLength",
    .since = 11,
    .about = "how many tensors there are",
    PORTS(in_sequence, out_length),
    .infer = infer_length,
};
const tn_op tn_op_concat_from_sequence = {
    .name = "ConcatFromSequence",
    .since = 11,
    .about = "the tensors of a sequence behind one another along an axis, old or new",
    PORTS(in_sequence, out_tensor),
    FIELDS(concat_fields, axis_params),
    .infer = infer_concat,
};
const tn_op tn_op_split_to_sequence = {
    .name = "SplitToSequence",
    .since = 11,
    .about = "pieces of a tensor along an axis: of given sizes, of one size, or of size 1",
    PORTS(in_split, out_any),
    FIELDS(split_fields, axis_params),
    .infer = infer_split,
};
const tn_op tn_op_optional = {
    .name = "Optional",
    .since = 15,
    .about = "the input as a value that may be absent; absent without an input",
    PORTS(in_optional, out_any),
    .own_attrs = "type",
    .infer = infer_optional,
};
const tn_op tn_op_optional_get_element = {
    .name = "OptionalGetElement",
    .since = 15,
    .about = "the value in an optional, which must be there",
    PORTS(in_any, out_any),
    .infer = infer_get,
};
const tn_op tn_op_optional_has_element = {
    .name = "OptionalHasElement",
    .since = 15,
    .about = "is there a value in an optional",
    PORTS(in_optional, out_bool),
    .infer = infer_has,
};
