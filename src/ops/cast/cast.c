/* Cast and CastLike: every type to every other. How single elements convert is in tensor/dtype.c;
 * here are the choices that only Cast has (saturation, rounding of f8e8m0) and strings.
 *
 * Before opset 6 the type was spelled as text ("FLOAT"). */
#include "ops/cast/cast.h"

#include <string.h>
#include <strings.h>

#include "ir/gradient.h"
#include "ops/cast/cast_text.h"
#include "ops/elementwise/elementwise.h"

#define TYPES (TN_DTS_ANY & ~TN_DTS_COMPLEX)
static const tn_field fields[] = {
    TN_INT(tn_cast_params, saturate, 1),
    TN_ENUM(tn_cast_params, round_mode, 0, "up|down|nearest"),
    {.name = "to",
     .kind = TN_FIELD_DTYPE,
     .offset = offsetof(tn_cast_params, to),
     .required = true},
};
static const tn_port ins[] = {{"input", TYPES, 0, 0}, {"target_type", TYPES, 'T', 0}};
static const tn_port cast_outs[] = {{"output", TYPES, 0, 0}};
static const tn_port like_outs[] = {{"output", TYPES, 'T', 0}};

static tn_expr known_same(tn_exprs *exprs, const tn_expr *in, int count)
{
    (void)exprs, (void)count;
    return in[0];
}

static tn_expr known_truth(tn_exprs *exprs, const tn_expr *in, int count)
{
    (void)count;
    return tn_elementwise_not(exprs, tn_elementwise_not(exprs, in[0]));
}

static tn_status infer_to(tn_infer *f, tn_dtype to)
{
    tn_infer_set(f, 0, to, f->in[0].rank, f->in[0].dim);
    bool truth = to == TN_DTYPE_BOOL && f->in[0].dtype != TN_DTYPE_BOOL;
    tn_elementwise_known(f, 1, truth ? known_truth : known_same);
    return NULL;
}

static tn_status infer_cast(tn_infer *f)
{
    const tn_cast_params *params = f->params;
    bool valid = params->to > 0 && params->to < TN_DTYPE_END && (TYPES >> params->to & 1);
    TN_CHECK(valid, TN_UNSUPPORTED, "no conversion to %s", tn_dtype_name((tn_dtype)params->to));
    return infer_to(f, (tn_dtype)params->to);
}

static tn_status infer_like(tn_infer *f)
{
    return infer_to(f, f->in[1].dtype);
}

static tn_status reference(const tn_launch *l)
{
    const tn_cast_params *params = l->problem->params;
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    int64_t count = tn_tensor_count(x);
    bool narrow = (TN_DTS_F8 >> y->dtype & 1) && x->dtype != y->dtype;
    if (x->dtype == TN_DTYPE_STRING && y->dtype != TN_DTYPE_STRING) return tn_cast_from_text(x, y);
    if (y->dtype == TN_DTYPE_STRING && x->dtype != TN_DTYPE_STRING) {
        TN_CHECK(l->text, TN_UNSUPPORTED, "this run has no memory for new strings");
        return tn_cast_to_text(x, l->text, y);
    }
    if (!narrow || (params->saturate && y->dtype != TN_DTYPE_F8E8M0)) {
        tn_convert_elements(y->dtype, y->data, 0, x->dtype, x->data, 0, count);
        return NULL;
    }
    uint8_t *codes = y->data;
    for (int64_t i = 0; i < count; i++) {
        double value = tn_load_f64(x->dtype, x->data, i);
        codes[i] =
            y->dtype == TN_DTYPE_F8E8M0
                ? tn_f64_to_f8e8m0(value, (tn_round)params->round_mode, params->saturate != 0)
                : tn_f64_to_f8(y->dtype, value, params->saturate != 0);
    }
    return NULL;
}

static tn_status upgrade_below_6(tn_graph *graph, tn_node *node)
{
    static const char *const names[] = {
        "UNDEFINED", "FLOAT", "UINT8",   "INT8",   "UINT16", "INT16",  "INT32",     "INT64",
        "STRING",    "BOOL",  "FLOAT16", "DOUBLE", "UINT32", "UINT64", "COMPLEX64", "COMPLEX128"};
    (void)graph;
    const tn_attr *to = tn_node_find_attr(node, "to");
    if (!to || to->kind != TN_ATTR_TEXT) return NULL;
    for (int number = 1; number < (int)TN_COUNT(names); number++) {
        if (strlen(names[number]) != to->text.bytes) continue;
        if (strncasecmp(names[number], to->text.text, to->text.bytes) == 0)
            return tn_node_set_int(node, "to", number);
    }
    TN_FAIL(TN_INVALID, "\"%.40s\" is not a type", to->text.text);
}

static void gradient(tn_gradient *g)
{
    int64_t type = g->node->in[0]->type.dtype;
    tn_gradient_give(g, 0,
                     tn_gradient_op(g, "Cast", TN_IN(g->dy[0]), TN_WITH(tn_attr_int("to", type))));
}

extern const tn_case tn_cast_cases[], tn_cast_like_cases[];

const tn_op tn_op_cast = {
    .name = "Cast",
    .since = 25,
    .about = "the same values in the type `to`; integers wrap, floats are cut toward zero",
    .in = ins,
    .in_count = 1,
    .out = cast_outs,
    .out_count = 1,
    .field = fields,
    .field_count = 3,
    .params_bytes = sizeof(tn_cast_params),
    .infer = infer_cast,
    .reference = reference,
    .gradient = gradient,
    .upgrade = {{6, upgrade_below_6}},
    .cases = tn_cast_cases,
};

const tn_op tn_op_cast_like = {
    .name = "CastLike",
    .since = 25,
    .about = "Cast to the type of the second input, whose values are not read",
    .in = ins,
    .in_count = 2,
    .out = like_outs,
    .out_count = 1,
    .field = fields,
    .field_count = 2,
    .params_bytes = sizeof(tn_cast_params),
    .infer = infer_like,
    .reference = reference,
    .shape_inputs = 1u << 1,
    .gradient = gradient,
    .cases = tn_cast_like_cases,
};
