/* Attributes to params, driven by the rows of the operator. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "ir/graph.h"
#include "ir/op.h"

const char *tn_attr_kind_text(tn_attr_kind kind)
{
    static const char *const text[] = {
        [TN_ATTR_INT] = "an integer",
        [TN_ATTR_FLOAT] = "a float",
        [TN_ATTR_TEXT] = "a text",
        [TN_ATTR_TENSOR] = "a tensor",
        [TN_ATTR_GRAPH] = "a graph",
        [TN_ATTR_INTS] = "a list of integers",
        [TN_ATTR_FLOATS] = "a list of floats",
        [TN_ATTR_TEXTS] = "a list of texts",
        [TN_ATTR_OTHER] = "of a kind not known here",
    };
    return text[kind];
}

/* What a row reads. An empty list has lost its kind on the way and fits every list. */
static const tn_attr_kind wanted_kind[] = {
    [TN_FIELD_INT] = TN_ATTR_INT,    [TN_FIELD_FLOAT] = TN_ATTR_FLOAT,
    [TN_FIELD_INTS] = TN_ATTR_INTS,  [TN_FIELD_FLOATS] = TN_ATTR_FLOATS,
    [TN_FIELD_ENUM] = TN_ATTR_TEXT,  [TN_FIELD_ENUMS] = TN_ATTR_TEXTS,
    [TN_FIELD_CHARS] = TN_ATTR_TEXT, [TN_FIELD_SCALAR] = TN_ATTR_TENSOR,
    [TN_FIELD_DTYPE] = TN_ATTR_INT,
};

static bool is_list(tn_attr_kind kind)
{
    return kind == TN_ATTR_INTS || kind == TN_ATTR_FLOATS || kind == TN_ATTR_TEXTS;
}

/* Position of a word in "a|b|c"; case does not count, as the file formats are not of one mind. */
static int find_word(const char *words, const tn_string *word)
{
    int index = 0;
    for (const char *at = words; at; index++) {
        const char *end = strchr(at, '|');
        size_t bytes = end ? (size_t)(end - at) : strlen(at);
        if (bytes == word->bytes && !strncasecmp(at, word->text, bytes)) return index;
        at = end ? end + 1 : NULL;
    }
    return -1;
}

static tn_status read_enum(const tn_field *field, const tn_string *word, int64_t *out)
{
    int index = find_word(field->choices, word);
    TN_CHECK(index >= 0, TN_INVALID, "attribute '%s' is \"%.*s\"; it must be one of %s",
             field->name, (int)TN_MIN(word->bytes, (size_t)100), word->text, field->choices);
    *out = index;
    return NULL;
}

static tn_status read_ints(const tn_field *field, const tn_attr *attr, tn_ints *list)
{
    if (attr->kind == TN_ATTR_INT) {
        *list = (tn_ints){.count = 1, .at = {attr->i}};
        return NULL;
    }
    TN_CHECK(attr->count <= TN_INTS_MAX, TN_UNSUPPORTED,
             "attribute '%s' has %lld elements; the limit is %d", field->name,
             (long long)attr->count, TN_INTS_MAX);
    list->count = (int32_t)attr->count;
    for (int i = 0; i < list->count; i++) {
        if (field->kind == TN_FIELD_INTS) list->at[i] = attr->ints[i];
        else TN_TRY(read_enum(field, &attr->texts[i], &list->at[i]));
    }
    return NULL;
}

static tn_status read_floats(const tn_field *field, const tn_attr *attr, tn_floats *list)
{
    TN_CHECK(attr->count <= TN_FLOATS_MAX, TN_UNSUPPORTED,
             "attribute '%s' has %lld elements; the limit is %d", field->name,
             (long long)attr->count, TN_FLOATS_MAX);
    list->count = (int32_t)attr->count;
    for (int i = 0; i < list->count; i++) list->at[i] = attr->floats[i];
    return NULL;
}

static tn_status read_chars(const tn_field *field, const tn_attr *attr, tn_chars *chars)
{
    TN_CHECK(attr->text.bytes < TN_CHARS_MAX, TN_UNSUPPORTED,
             "attribute '%s' has %zu bytes; the limit is %d", field->name, attr->text.bytes,
             TN_CHARS_MAX - 1);
    TN_CHECK(!attr->text.bytes || !memchr(attr->text.text, 0, attr->text.bytes), TN_INVALID,
             "attribute '%s' has a zero byte inside", field->name);
    if (attr->text.bytes) memcpy(chars->at, attr->text.text, attr->text.bytes);
    return NULL;
}

static tn_status read_scalar(const tn_field *field, const tn_attr *attr, tn_scalar *scalar)
{
    const tn_tensor *tensor = &attr->tensor;
    int64_t bytes = tn_dtype_bytes(tensor->dtype, 1);
    TN_CHECK(tn_tensor_count(tensor) == 1 && tensor->data, TN_INVALID,
             "attribute '%s' must be a tensor of one element", field->name);
    TN_CHECK(tensor->dtype != TN_DTYPE_STRING && bytes > 0 && bytes <= 16, TN_UNSUPPORTED,
             "attribute '%s' has type %s; it must be a number", field->name,
             tn_dtype_name(tensor->dtype));
    scalar->dtype = (int32_t)tensor->dtype;
    memcpy(scalar->bytes, tensor->data, (size_t)bytes);
    return NULL;
}

static tn_status read_field(const tn_field *field, const tn_attr *attr, void *member)
{
    tn_attr_kind wanted = wanted_kind[field->kind];
    bool empty_list = is_list(attr->kind) && is_list(wanted) && !attr->count;
    /* Some exporters write a list of one as its element. */
    bool one = attr->kind == TN_ATTR_INT && field->kind == TN_FIELD_INTS;
    TN_CHECK(attr->kind == wanted || empty_list || one, TN_INVALID,
             "attribute '%s' is %s; it must be %s", field->name, tn_attr_kind_text(attr->kind),
             tn_attr_kind_text(wanted));
    switch (field->kind) {
    case TN_FIELD_INT: *(int64_t *)member = attr->i; break;
    case TN_FIELD_FLOAT: *(float *)member = (float)attr->f; break;
    case TN_FIELD_INTS:
    case TN_FIELD_ENUMS: return read_ints(field, attr, member);
    case TN_FIELD_FLOATS: return read_floats(field, attr, member);
    case TN_FIELD_ENUM: return read_enum(field, &attr->text, member);
    case TN_FIELD_CHARS: return read_chars(field, attr, member);
    case TN_FIELD_SCALAR: return read_scalar(field, attr, member);
    case TN_FIELD_DTYPE:
        TN_CHECK(attr->i > 0 && attr->i < TN_DTYPE_END && tn_dtype_valid((int)attr->i), TN_INVALID,
                 "attribute '%s' is %lld; that is no data type", field->name, (long long)attr->i);
        *(int64_t *)member = attr->i;
        break;
    }
    return NULL;
}

static const tn_field *find_field(const tn_op *op, const char *name)
{
    for (int i = 0; i < op->field_count; i++)
        if (!strcmp(op->field[i].name, name)) return &op->field[i];
    return NULL;
}

/* Exactly one of "a|b", case included. */
static bool is_own_attr(const tn_op *op, const char *name)
{
    size_t bytes = strlen(name);
    for (const char *at = op->own_attrs; at;) {
        const char *end = strchr(at, '|');
        size_t word_bytes = end ? (size_t)(end - at) : strlen(at);
        if (word_bytes == bytes && !memcmp(at, name, bytes)) return true;
        at = end ? end + 1 : NULL;
    }
    return false;
}

static void list_attrs(const tn_op *op, char *dst, size_t dst_bytes)
{
    size_t used = 0;
    snprintf(dst, dst_bytes, "none");
    for (int i = 0; i < op->field_count && used < dst_bytes; i++)
        used +=
            (size_t)snprintf(dst + used, dst_bytes - used, i ? ", %s" : "%s", op->field[i].name);
}

/* The same parameters again keep their place: passes lower many times over. */
static tn_status pack(tn_node *node)
{
    tn_arena scratch;
    void *params;
    uint32_t bytes;
    tn_arena_init(&scratch);
    tn_status status = node->op->pack(node, &scratch, &params, &bytes);
    bool same = !status && node->params && node->params_bytes == bytes &&
                !memcmp(node->params, params, bytes);
    if (!status && !same) {
        node->params = tn_arena_alloc(node->graph->arena, bytes);
        node->params_bytes = bytes;
        if (node->params) memcpy(node->params, params, bytes);
        else status = TN_ERROR(TN_OUT_OF_MEMORY, "no memory for parameters");
    }
    tn_arena_fini(&scratch);
    return status;
}

static tn_status lower(tn_node *node)
{
    const tn_op *op = node->op;
    if (op->pack) return pack(node);
    node->params_bytes = op->params_bytes;
    if (!node->params) node->params = tn_arena_alloc(node->graph->arena, op->params_bytes);
    TN_CHECK(node->params, TN_OUT_OF_MEMORY, "no memory for parameters");
    tn_params_default(op->field, op->field_count, node->params, op->params_bytes);
    uint64_t seen = 0;
    for (int i = 0; i < node->attr_count; i++) {
        const tn_attr *attr = &node->attr[i];
        const tn_field *field = find_field(op, attr->name);
        if (field) {
            TN_TRY(read_field(field, attr, (char *)node->params + field->offset));
            seen |= UINT64_C(1) << ((field - op->field) & 63);
        } else if (!is_own_attr(op, attr->name)) {
            char known[400];
            list_attrs(op, known, sizeof known);
            TN_FAIL(TN_INVALID, "it has no attribute '%s'; its attributes are: %s", attr->name,
                    known);
        }
    }
    for (int i = 0; i < op->field_count; i++)
        TN_CHECK(!op->field[i].required || seen >> (i & 63) & 1, TN_INVALID,
                 "attribute '%s' is required", op->field[i].name);
    return op->lower ? op->lower(node, node->params) : NULL;
}

tn_status tn_node_lower(tn_node *node)
{
    tn_status status = lower(node);
    if (status) return tn_node_blame(node, status);
    return NULL;
}
