/* Operators at older opsets: what hinders (onnx_forms.def), and the few whose form was another. */
#include <stdio.h>
#include <string.h>

#include "export/onnx_forms.h"

typedef enum fact_kind { BORN, TYPES, ATTRIBUTE, WORD, INPUT } fact_kind;
typedef struct fact {
    const char *op;
    fact_kind kind;
    int opset;
    const char *name, *word;
    tn_dtypes types;
    int index;
} fact;

static const fact facts[] = {
#define TN_BORN(op, opset) {#op, BORN, opset, NULL, NULL, 0, 0},
#define TN_TYPES(op, opset, types) {#op, TYPES, opset, NULL, NULL, types, 0},
#define TN_ATTRIBUTE(op, name, opset) {#op, ATTRIBUTE, opset, #name, NULL, 0, 0},
#define TN_WORD(op, name, word, opset) {#op, WORD, opset, #name, #word, 0, 0},
#define TN_INPUT(op, index, opset) {#op, INPUT, opset, NULL, NULL, 0, index},
#include "export/onnx_forms.def"
};

/* The opset from which on a type exists at all. */
static const struct {
    tn_dtypes types;
    int opset;
} type_opsets[] = {
    {TN_DT(BF16), 13},           {TN_DTS_F8 & ~TN_DT(F8E8M0), 19},
    {TN_DT(U4) | TN_DT(I4), 21}, {TN_DT(F4E2M1), 23},
    {TN_DT(F8E8M0), 24},         {TN_DT(U2) | TN_DT(I2), 25},
};

bool tn_onnx_is_plain(const tn_op *op, const char *name)
{
    bool plain = !op->domain || !op->domain[0] || !strcmp(op->domain, "ai.onnx");
    return plain && (!name || !strcmp(op->name, name));
}

/* ---- Facts -----------------------------------------------------------------------------------*/

static tn_dtypes types_of(const tn_node *node)
{
    tn_dtypes types = 0;
    for (int i = 0; i < node->in_count; i++)
        if (node->in[i]) types |= UINT32_C(1) << node->in[i]->type.dtype;
    for (int i = 0; i < node->out_count; i++)
        if (node->out[i]) types |= UINT32_C(1) << node->out[i]->type.dtype;
    return types & ~UINT32_C(1);
}

static const tn_field *find_field(const tn_op *op, const char *name)
{
    for (int i = 0; i < op->field_count; i++)
        if (!strcmp(op->field[i].name, name)) return &op->field[i];
    return NULL;
}

static bool is_word(const tn_attr *attr, const char *word, size_t bytes)
{
    return attr->kind == TN_ATTR_TEXT && attr->text.bytes == bytes &&
           !memcmp(attr->text.text, word, bytes);
}

/* Does the attribute say what would hold without it? Lists of ones are the one default of lists
 * that stands in these attributes (dilations). */
static bool is_default(const tn_op *op, const tn_attr *attr)
{
    const tn_field *field = find_field(op, attr->name);
    size_t bytes;
    if (attr->kind == TN_ATTR_INTS) {
        for (int64_t i = 0; i < attr->count; i++)
            if (attr->ints[i] != 1) return false;
        return !strcmp(attr->name, "dilations") || !attr->count;
    }
    if (!field) return false;
    if (attr->kind == TN_ATTR_INT) return attr->i == field->default_int;
    if (attr->kind != TN_ATTR_TEXT || field->kind != TN_FIELD_ENUM) return false;
    const char *word = tn_choice_text(field->choices, field->default_int, &bytes);
    return word && is_word(attr, word, bytes);
}

/* Does the fact hinder the node below the fact's opset? */
static bool hinders(const fact *f, const tn_node *node)
{
    const tn_attr *attr = f->name ? tn_node_find_attr(node, f->name) : NULL;
    switch (f->kind) {
    case BORN: return true;
    case TYPES: return types_of(node) & f->types;
    case ATTRIBUTE: return attr && !is_default(node->op, attr);
    case WORD: return attr && is_word(attr, f->word, strlen(f->word));
    case INPUT: return f->index < node->in_count && node->in[f->index];
    }
    return true;
}

static void say(const fact *f, char *why, size_t bytes)
{
    switch (f->kind) {
    case BORN: snprintf(why, bytes, "the operator"); break;
    case TYPES: snprintf(why, bytes, "its data type"); break;
    case ATTRIBUTE: snprintf(why, bytes, "its attribute '%s'", f->name); break;
    case WORD:
        snprintf(why, bytes, "its attribute '%s' with the word '%s'", f->name, f->word);
        break;
    case INPUT: snprintf(why, bytes, "its input %d", f->index); break;
    }
}

/* ---- Forms -----------------------------------------------------------------------------------*/

/* Inputs that were attributes. */
static const struct {
    const char *op, *attribute;
    int below;
} moved[] = {
    {"Squeeze", "axes", 13},         {"Unsqueeze", "axes", 13},       {"ReduceSum", "axes", 13},
    {"Split", "split", 13},          {"ReduceL1", "axes", 18},        {"ReduceL2", "axes", 18},
    {"ReduceLogSum", "axes", 18},    {"ReduceLogSumExp", "axes", 18}, {"ReduceMax", "axes", 18},
    {"ReduceMean", "axes", 18},      {"ReduceMin", "axes", 18},       {"ReduceProd", "axes", 18},
    {"ReduceSumSquare", "axes", 18},
};

static const tn_value *second_input(const tn_node *node)
{
    return node->in_count > 1 ? node->in[1] : NULL;
}

/* Softmax and its like flattened the axes from `axis` on before opset 13. */
static bool is_flattening(const tn_op *op)
{
    return tn_onnx_is_plain(op, "Softmax") || tn_onnx_is_plain(op, "LogSoftmax") ||
           tn_onnx_is_plain(op, "Hardmax");
}

static bool is_last_axis(const tn_node *node)
{
    int64_t axis = tn_node_int_attr(node, "axis", -1), rank = node->in[0]->type.rank;
    return rank > 0 && (axis == -1 || axis == rank - 1);
}

/* The size of the axis that Split cuts, if it is a number. */
static int64_t split_size(const tn_node *node)
{
    const tn_type *type = &node->in[0]->type;
    int64_t axis = tn_node_int_attr(node, "axis", 0), size = -1;
    if (axis < 0) axis += type->rank;
    if (axis < 0 || axis >= type->rank) return -1;
    return tn_expr_is_const(node->graph->exprs, type->dim[axis], &size) ? size : -1;
}

/* Below 18, a Split without sizes has equal parts. */
static bool has_odd_parts(const tn_node *node)
{
    if (!tn_onnx_is_plain(node->op, "Split") || second_input(node)) return false;
    int64_t size = split_size(node);
    return (size < 0 || size % node->out_count != 0) && tn_node_find_attr(node, "num_outputs");
}

/* The least opset at which the form can be had. */
static int form_opset(const tn_node *node, char *why, size_t bytes)
{
    for (size_t i = 0; i < TN_COUNT(moved); i++) {
        if (!tn_onnx_is_plain(node->op, moved[i].op)) continue;
        const tn_value *value = second_input(node);
        if (value && (!tn_value_is_constant(value) || value->type.dtype != TN_DTYPE_I64)) {
            snprintf(why, bytes, "input '%s', which no constant gives,", moved[i].attribute);
            return moved[i].below;
        }
    }
    if (has_odd_parts(node)) {
        snprintf(why, bytes, "an uneven split");
        return 18;
    }
    if (is_flattening(node->op) && !is_last_axis(node)) {
        snprintf(why, bytes, "an axis that is not the last");
        return 13;
    }
    return 0;
}

int64_t tn_onnx_node_opset(const tn_node *node, char *why, size_t why_bytes)
{
    char text[96] = "";
    int64_t least = form_opset(node, text, sizeof(text));
    if (!tn_onnx_is_plain(node->op, NULL)) return 0;
    for (size_t i = 0; i < TN_COUNT(facts); i++) /* num_outputs is dealt with as a form. */
        if (facts[i].opset > least && !strcmp(facts[i].op, node->op->name) &&
            (!facts[i].name || strcmp(facts[i].name, "num_outputs") != 0) &&
            hinders(&facts[i], node)) {
            least = facts[i].opset;
            say(&facts[i], text, sizeof(text));
        }
    for (size_t i = 0; i < TN_COUNT(type_opsets); i++)
        if (type_opsets[i].opset > least && types_of(node) & type_opsets[i].types) {
            least = type_opsets[i].opset;
            snprintf(text, sizeof(text), "its data type");
        }
    if (why) snprintf(why, why_bytes, "%s", text);
    return least;
}

/* ---- Writing a form --------------------------------------------------------------------------*/

static tn_status set_ints(tn_node *node, const char *name, const int64_t *at, int64_t count)
{
    return tn_node_set_attr(
        node, &(tn_attr){.name = name, .kind = TN_ATTR_INTS, .ints = at, .count = count});
}

static tn_status move_input(tn_node *node, const char *name)
{
    const tn_value *value = second_input(node);
    if (!value) return NULL;
    const tn_tensor *tensor = &value->constant;
    TN_TRY(set_ints(node, name, tensor->data, tn_tensor_count(tensor)));
    TN_TRY(tn_node_set_input(node, 1, NULL));
    tn_node_trim_inputs(node);
    return NULL;
}

/* From 18 on a Split without sizes must say how many parts; before, it must not. */
static tn_status form_split(tn_node *node, int64_t opset)
{
    tn_node_remove_attr(node, "num_outputs");
    if (second_input(node) || opset < 18 || tn_node_find_attr(node, "split")) return NULL;
    return tn_node_set_int(node, "num_outputs", node->out_count);
}

/* Before 13 the inputs roi and scales had to be there, if only as empty tensors. */
static tn_status form_resize(tn_node *node, int64_t opset)
{
    tn_value *value;
    int64_t none = 0;
    float nothing = 0;
    for (int i = 1; i < 3 && opset < 13; i++) {
        if (i < node->in_count && node->in[i]) continue;
        tn_tensor empty = tn_tensor_of(TN_DTYPE_F32, &none, 1, &nothing);
        TN_TRY(tn_graph_add_constant(node->graph, NULL, &empty, true, &value));
        TN_TRY(tn_node_set_input(node, i, value));
    }
    return NULL;
}

static tn_status drop_new_defaults(tn_node *node, int64_t opset)
{
    for (size_t i = 0; i < TN_COUNT(facts); i++)
        if (facts[i].kind == ATTRIBUTE && facts[i].opset > opset &&
            !strcmp(facts[i].op, node->op->name))
            tn_node_remove_attr(node, facts[i].name);
    return NULL;
}

tn_status tn_onnx_node_form(tn_node *node, int64_t opset)
{
    char why[96] = "", label[160];
    if (!tn_onnx_is_plain(node->op, NULL)) return NULL;
    int64_t least = tn_onnx_node_opset(node, why, sizeof(why));
    TN_CHECK(least <= opset, TN_UNSUPPORTED,
             "%s cannot be written at opset %lld: %s needs opset %lld; ask for that opset or a "
             "later one",
             tn_node_label(node, label, sizeof(label)), (long long)opset, why, (long long)least);
    TN_TRY(drop_new_defaults(node, opset));
    for (size_t i = 0; i < TN_COUNT(moved); i++)
        if (opset < moved[i].below && tn_onnx_is_plain(node->op, moved[i].op))
            TN_TRY(move_input(node, moved[i].attribute));
    if (tn_onnx_is_plain(node->op, "Split")) TN_TRY(form_split(node, opset));
    if (tn_onnx_is_plain(node->op, "Resize")) TN_TRY(form_resize(node, opset));
    if (is_flattening(node->op) && opset < 13)
        TN_TRY(tn_node_set_int(node, "axis", node->in[0]->type.rank - 1));
    return NULL;
}
