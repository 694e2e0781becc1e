/* LabelEncoder-4: each element looked up among keys; the value at its place, or a default.
 *
 * Of equal keys the last counts; a key NaN is found by every NaN. Keys, values and the default are
 * inputs behind X. LabelEncoder-1 had classes_strings: strings and their places, one way or the
 * other. */
#include <math.h>
#include <string.h>

#include "ops/ml/ml.h"

enum { X, KEYS, VALUES, OTHER };

#define LABELS (TN_DT(STRING) | TN_DT(I64) | TN_DT(F32) | TN_DT(I32) | TN_DT(I16) | TN_DT(F64))
static const tn_port ins[] = {
    {"X", LABELS, 'K', 0},
    {"keys", LABELS, 'K', 0},
    {"values", LABELS, 'V', 0},
    {"default", LABELS, 'V', 0},
};
static const tn_port outs[] = {{"Y", LABELS, 'V', 0}};

static tn_status infer(tn_infer *f)
{
    int64_t keys = tn_infer_length(f, KEYS), values = tn_infer_length(f, VALUES);
    TN_CHECK(keys < 0 || values < 0 || keys == values, TN_INVALID,
             "there are %lld keys and %lld values", (long long)keys, (long long)values);
    tn_infer_set(f, 0, f->in[VALUES].dtype, f->in[X].rank, f->in[X].dim);
    return NULL;
}

static bool same_label(const tn_tensor *x, int64_t at, const tn_tensor *keys, int64_t key)
{
    switch (tn_dtype_kind_of(x->dtype)) {
    case TN_KIND_S: {
        const tn_string *a = (const tn_string *)x->data + at,
                        *b = (const tn_string *)keys->data + key;
        return a->bytes == b->bytes && (a->bytes == 0 || !memcmp(a->text, b->text, a->bytes));
    }
    case TN_KIND_F: {
        double a = tn_load_f64(x->dtype, x->data, at),
               b = tn_load_f64(keys->dtype, keys->data, key);
        return a == b || (isnan(a) && isnan(b));
    }
    default: return tn_load_i64(x->dtype, x->data, at) == tn_load_i64(keys->dtype, keys->data, key);
    }
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *x = &p->in[X], *keys = &p->in[KEYS], *values = &p->in[VALUES],
                    *other = &p->in[OTHER];
    const tn_tensor *y = &p->out[0];
    TN_CHECK(tn_tensor_count(keys) == tn_tensor_count(values), TN_INVALID,
             "there are %lld keys and %lld values", (long long)tn_tensor_count(keys),
             (long long)tn_tensor_count(values));
    TN_CHECK(tn_tensor_count(other) >= 1, TN_INVALID, "there is no default");
    for (int64_t i = 0; i < tn_tensor_count(x); i++) {
        int64_t key = tn_tensor_count(keys) - 1;
        while (key >= 0 && !same_label(x, i, keys, key)) key--;
        if (key >= 0) tn_copy_elements(y->dtype, y->data, i, values->data, key, 1);
        else tn_copy_elements(y->dtype, y->data, i, other->data, 0, 1);
    }
    return NULL;
}

/* ---- Upgrades ---------------------------------------------------------------------------------*/

static tn_status add_string(tn_graph *graph, tn_node *node, int index, const char *text,
                            size_t bytes)
{
    tn_string *copy = TN_NEW(graph->arena, tn_string);
    char *chars = tn_arena_text(graph->arena, text, bytes);
    TN_CHECK(copy && chars, TN_OUT_OF_MEMORY, "no memory for a label");
    *copy = (tn_string){chars, bytes};
    tn_tensor table = tn_tensor_of(TN_DTYPE_STRING, NULL, 0, copy);
    return tn_table_add(graph, node, index, &table);
}

/* The default that goes with the type of the values. */
static tn_status add_default(tn_graph *graph, tn_node *node, tn_dtype dtype)
{
    const tn_attr *text = tn_node_find_attr(node, "default_string");
    tn_tensor table;
    tn_value *value;
    TN_TRY(tn_table_find(node, "default_tensor", &table));
    if (table.dtype == dtype && tn_tensor_count(&table) >= 1)
        return tn_table_add(graph, node, OTHER, &table);
    if (dtype == TN_DTYPE_STRING) {
        if (text && text->kind == TN_ATTR_TEXT)
            return add_string(graph, node, OTHER, text->text.text, text->text.bytes);
        return add_string(graph, node, OTHER, "_Unused", strlen("_Unused"));
    }
    if (tn_dtype_kind_of(dtype) == TN_KIND_F) {
        TN_TRY(tn_graph_add_scalar(graph, dtype, tn_node_float_attr(node, "default_float", -0.0),
                                   &value));
    } else if (dtype == TN_DTYPE_I64) {
        int64_t other = tn_node_int_attr(node, "default_int64", -1);
        TN_TRY(tn_graph_add_ints(graph, &other, 1, &value));
    } else {
        TN_TRY(tn_graph_add_scalar(graph, dtype,
                                   (double)tn_node_int_attr(node, "default_int64", -1), &value));
    }
    return tn_node_set_input(node, OTHER, value);
}

/* The first of the attributes prefix_tensor, _strings, _int64s, _floats that is there. */
static tn_status add_labels(tn_graph *graph, tn_node *node, const char *const *attrs, int index,
                            tn_dtype *dtype)
{
    tn_tensor table;
    for (int i = 0; attrs[i]; i++) {
        TN_TRY(tn_table_find(node, attrs[i], &table));
        if (table.dtype == TN_DTYPE_NONE) continue;
        *dtype = table.dtype;
        return tn_table_add(graph, node, index, &table);
    }
    TN_FAIL(TN_INVALID, "none of %s, %s, %s and %s is given", attrs[0], attrs[1], attrs[2],
            attrs[3]);
}

#define ALL_ATTRS                                                                                  \
    "keys_tensor|keys_strings|keys_int64s|keys_floats|values_tensor|values_strings|values_int64s|" \
    "values_floats|"                                                                               \
    "default_tensor|default_string|default_int64|default_float|classes_strings"

static tn_status upgrade_tables(tn_graph *graph, tn_node *node)
{
    static const char *const keys[] = {"keys_tensor", "keys_strings", "keys_int64s", "keys_floats",
                                       NULL};
    static const char *const values[] = {"values_tensor", "values_strings", "values_int64s",
                                         "values_floats", NULL};
    tn_dtype dtype = TN_DTYPE_NONE;
    if (node->in_count > KEYS) return NULL; /* done by the upgrade from version 1 */
    TN_TRY(add_labels(graph, node, keys, KEYS, &dtype));
    TN_TRY(add_labels(graph, node, values, VALUES, &dtype));
    TN_TRY(add_default(graph, node, dtype));
    tn_table_drop(node, ALL_ATTRS);
    return NULL;
}

static tn_status upgrade_below_2(tn_graph *graph, tn_node *node)
{
    tn_tensor classes;
    TN_TRY(tn_table_find(node, "classes_strings", &classes));
    if (classes.dtype != TN_DTYPE_STRING || node->in_count < 1 || !node->in[0]) return NULL;
    bool from_strings = node->in[0]->type.dtype == TN_DTYPE_STRING;
    int64_t count = tn_tensor_count(&classes), *place = TN_NEW_ARRAY(graph->arena, int64_t, count);
    TN_CHECK(place, TN_OUT_OF_MEMORY, "no memory for %lld labels", (long long)count);
    for (int64_t i = 0; i < count; i++) place[i] = i;
    tn_tensor places = tn_tensor_of(TN_DTYPE_I64, &count, 1, place);
    TN_TRY(tn_table_add(graph, node, KEYS, from_strings ? &classes : &places));
    TN_TRY(tn_table_add(graph, node, VALUES, from_strings ? &places : &classes));
    TN_TRY(add_default(graph, node, from_strings ? TN_DTYPE_I64 : TN_DTYPE_STRING));
    tn_table_drop(node, ALL_ATTRS);
    return NULL;
}

/* The default is a tensor of one axis in files. */
static tn_status restore(tn_node *node)
{
    const int64_t one = 1;
    TN_TRY(tn_table_restore_tensor(node, KEYS, "keys_tensor"));
    TN_TRY(tn_table_restore_tensor(node, VALUES, "values_tensor"));
    TN_TRY(tn_table_restore_tensor(node, OTHER, "default_tensor"));
    const tn_attr *other = tn_node_find_attr(node, "default_tensor");
    if (!other || tn_tensor_count(&other->tensor) != 1) return NULL;
    tn_attr flat = *other;
    flat.tensor = tn_tensor_of(other->tensor.dtype, &one, 1, other->tensor.data);
    return tn_node_set_attr(node, &flat);
}

static const tn_case cases[] = {
    {.problem =
         "LabelEncoder string[3]={\"b\",\"a\",\"x\"} string[2]={\"a\",\"b\"} i64[2]={5,6} i64={-1}",
     .expect = "i64[3]={6,5,-1}"},
    {.problem = "LabelEncoder i64[2,2]={1,2,3,1} i64[3]={1,2,1} string[3]={\"p\",\"q\",\"r\"} "
                "string={\"none\"}",
     .expect = "string[2,2]={\"r\",\"q\",\"none\",\"r\"}"},
    {.problem = "LabelEncoder f32[3]={nan,1.5,2} f32[2]={1.5,nan} f64[2]={10,20} f64={0}",
     .expect = "f64[3]={20,10,0}"},
    {.problem = "LabelEncoder i16[40] i16[7] i32[7] i32[1]"},
    {0},
};

const tn_op tn_op_label_encoder = {
    .name = "LabelEncoder",
    .domain = TN_ML,
    .since = 4,
    .about = "each element looked up among keys: the value there, or a default",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .infer = infer,
    .reference = reference,
    .upgrade = {{2, upgrade_below_2}, {TN_OPSET_EVERY, upgrade_tables}},
    .restore = restore,
    .cases = cases,
};
