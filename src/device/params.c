/* Parameters by their rows: defaults, printing, parsing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device/device.h"

static void *member(const tn_field *field, void *params)
{
    return (char *)params + field->offset;
}

static const void *member_of(const tn_field *field, const void *params)
{
    return (const char *)params + field->offset;
}

/* ---- Choices --------------------------------------------------------------------------------*/

int tn_choice_find(const char *choices, const char *word, size_t word_bytes)
{
    int index = 0;
    for (const char *at = choices ? choices : ""; *at; index++) {
        size_t bytes = strcspn(at, "|");
        if (bytes == word_bytes && !memcmp(at, word, bytes)) return index;
        at += bytes + (at[bytes] == '|');
    }
    return -1;
}

const char *tn_choice_text(const char *choices, int64_t index, size_t *bytes)
{
    const char *at = choices ? choices : "";
    for (; *at; index--) {
        *bytes = strcspn(at, "|");
        if (index == 0) return at;
        at += *bytes + (at[*bytes] == '|');
    }
    *bytes = 0;
    return NULL;
}

/* ---- Defaults -------------------------------------------------------------------------------*/

static void set_default(const tn_field *field, void *params)
{
    void *at = member(field, params);
    switch (field->kind) {
    case TN_FIELD_INT:
    case TN_FIELD_ENUM:
    case TN_FIELD_DTYPE: *(int64_t *)at = field->default_int; break;
    case TN_FIELD_FLOAT: *(float *)at = (float)field->default_float; break;
    case TN_FIELD_INTS:
    case TN_FIELD_ENUMS: *(tn_ints *)at = (tn_ints){.count = -1}; break;
    case TN_FIELD_FLOATS: *(tn_floats *)at = (tn_floats){.count = -1}; break;
    case TN_FIELD_CHARS: memset(at, 0, sizeof(tn_chars)); break;
    case TN_FIELD_SCALAR: memset(at, 0, sizeof(tn_scalar)); break;
    }
}

void tn_params_default(const tn_field *field, int field_count, void *params, size_t params_bytes)
{
    if (params_bytes) memset(params, 0, params_bytes);
    for (int i = 0; i < field_count; i++) set_default(&field[i], params);
}

static bool is_default(const tn_field *field, const void *at)
{
    float otherwise = (float)field->default_float;
    switch (field->kind) {
    case TN_FIELD_INT:
    case TN_FIELD_ENUM:
    case TN_FIELD_DTYPE: return *(const int64_t *)at == field->default_int;
    case TN_FIELD_FLOAT: return !memcmp(at, &otherwise, sizeof otherwise); /* -0 and NaN too */
    case TN_FIELD_INTS:
    case TN_FIELD_ENUMS: return ((const tn_ints *)at)->count < 0;
    case TN_FIELD_FLOATS: return ((const tn_floats *)at)->count < 0;
    case TN_FIELD_CHARS: return ((const tn_chars *)at)->at[0] == 0;
    case TN_FIELD_SCALAR: return ((const tn_scalar *)at)->dtype == TN_DTYPE_NONE;
    }
    return true;
}

/* ---- Printing -------------------------------------------------------------------------------*/

static void print_choice(const tn_field *field, int64_t index, tn_text *out)
{
    size_t bytes;
    const char *word = tn_choice_text(field->choices, index, &bytes);
    tn_text_printf(out, "%.*s", word ? (int)bytes : 1, word ? word : "?");
}

static void print_value(const tn_field *field, const void *at, tn_text *out)
{
    const tn_ints *ints = at;
    const tn_floats *floats = at;
    const tn_chars *chars = at;
    switch (field->kind) {
    case TN_FIELD_INT: tn_text_printf(out, "%lld", (long long)*(const int64_t *)at); break;
    case TN_FIELD_FLOAT: tn_number_print(TN_DTYPE_F32, (double)*(const float *)at, out); break;
    case TN_FIELD_ENUM: print_choice(field, *(const int64_t *)at, out); break;
    case TN_FIELD_DTYPE:
        tn_text_printf(out, "%s", tn_dtype_name((tn_dtype) * (const int64_t *)at));
        break;
    case TN_FIELD_INTS:
    case TN_FIELD_ENUMS:
        tn_text_printf(out, "[");
        for (int i = 0; i < ints->count && i < TN_INTS_MAX; i++) {
            if (i) tn_text_printf(out, ",");
            if (field->kind == TN_FIELD_ENUMS) print_choice(field, ints->at[i], out);
            else tn_text_printf(out, "%lld", (long long)ints->at[i]);
        }
        tn_text_printf(out, "]");
        break;
    case TN_FIELD_FLOATS:
        tn_text_printf(out, "[");
        for (int i = 0; i < floats->count && i < TN_FLOATS_MAX; i++) {
            if (i) tn_text_printf(out, ",");
            tn_number_print(TN_DTYPE_F32, (double)floats->at[i], out);
        }
        tn_text_printf(out, "]");
        break;
    case TN_FIELD_CHARS: tn_quoted_print(chars->at, strnlen(chars->at, TN_CHARS_MAX), out); break;
    case TN_FIELD_SCALAR: {
        tn_scalar scalar = *(const tn_scalar *)at;
        tn_tensor t = tn_tensor_of((tn_dtype)scalar.dtype, NULL, 0, scalar.bytes);
        tn_tensor_print(&t, 0, out);
        break;
    }
    }
}

void tn_params_print(const tn_field *field, int field_count, const void *params, tn_text *out)
{
    bool any = false;
    for (int i = 0; i < field_count; i++) {
        const void *at = member_of(&field[i], params);
        if (is_default(&field[i], at)) continue;
        tn_text_printf(out, "%s%s=", any ? ", " : "{", field[i].name);
        print_value(&field[i], at, out);
        any = true;
    }
    if (any) tn_text_printf(out, "}");
}

/* ---- Parsing --------------------------------------------------------------------------------*/

static bool take(const char **text, char c)
{
    while (**text == ' ') (*text)++;
    if (**text != c) return false;
    (*text)++;
    return true;
}

static tn_status parse_int(const char **text, int64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoll(*text, &end, 10);
    TN_CHECK(end != *text && errno != ERANGE, TN_INVALID, "an integer is missing at '%.40s'",
             *text);
    *text = end;
    return NULL;
}

static tn_status parse_float(const char **text, float *out)
{
    double value;
    TN_CHECK(tn_number_parse(text, &value), TN_INVALID, "a number is missing at '%.40s'", *text);
    *out = (float)value;
    return NULL;
}

static tn_status parse_choice(const char **text, const tn_field *field, int64_t *out)
{
    size_t bytes = strcspn(*text, ", ]}");
    *out = tn_choice_find(field->choices, *text, bytes);
    TN_CHECK(*out >= 0, TN_INVALID, "'%.*s' is not one of %s", (int)TN_MIN(bytes, 40), *text,
             field->choices ? field->choices : "");
    *text += bytes;
    return NULL;
}

/* "[a,b]": an item at a time; *more is false behind the last. */
static tn_status next_item(const char **text, int32_t count, int max, bool *more)
{
    if (count == 0) TN_CHECK(take(text, '['), TN_INVALID, "'[' is missing at '%.40s'", *text);
    *more = !take(text, ']');
    if (!*more) return NULL;
    TN_CHECK(count == 0 || take(text, ','), TN_INVALID, "']' is missing at '%.40s'", *text);
    TN_CHECK(count < max, TN_INVALID, "more than %d values", max);
    while (**text == ' ') (*text)++;
    return NULL;
}

static tn_status parse_ints(const char **text, const tn_field *field, tn_ints *out)
{
    bool more;
    for (*out = (tn_ints){0};; out->count++) {
        TN_TRY(next_item(text, out->count, TN_INTS_MAX, &more));
        if (!more) return NULL;
        if (field->kind == TN_FIELD_ENUMS) TN_TRY(parse_choice(text, field, &out->at[out->count]));
        else TN_TRY(parse_int(text, &out->at[out->count]));
    }
}

static tn_status parse_floats(const char **text, tn_floats *out)
{
    bool more;
    for (*out = (tn_floats){0};; out->count++) {
        TN_TRY(next_item(text, out->count, TN_FLOATS_MAX, &more));
        if (!more) return NULL;
        TN_TRY(parse_float(text, &out->at[out->count]));
    }
}

static tn_status parse_chars(const char **text, tn_arena *scratch, tn_chars *out)
{
    tn_string string;
    TN_TRY(tn_quoted_parse(text, scratch, &string));
    TN_CHECK(string.bytes < TN_CHARS_MAX && !memchr(string.text, 0, string.bytes), TN_INVALID,
             "text of %zu bytes: up to %d without a zero are allowed", string.bytes,
             TN_CHARS_MAX - 1);
    memset(out, 0, sizeof *out);
    memcpy(out->at, string.text, string.bytes);
    return NULL;
}

static tn_status parse_scalar(const char **text, tn_arena *scratch, tn_scalar *out)
{
    tn_tensor t;
    TN_TRY(tn_tensor_parse(text, scratch, &t, NULL));
    TN_CHECK(t.dtype && t.dtype != TN_DTYPE_STRING && t.data && tn_tensor_count(&t) == 1,
             TN_INVALID, "one number with its type is wanted, such as f32={1}");
    *out = (tn_scalar){.dtype = (int32_t)t.dtype};
    memcpy(out->bytes, t.data, (size_t)tn_tensor_bytes(&t));
    return NULL;
}

static tn_status parse_dtype(const char **text, int64_t *out)
{
    char name[16] = "";
    size_t bytes = strcspn(*text, ", }");
    if (bytes < sizeof name) memcpy(name, *text, bytes);
    *out = (int64_t)tn_dtype_find(name);
    TN_CHECK(*out || !strcmp(name, tn_dtype_name(TN_DTYPE_NONE)), TN_INVALID,
             "'%.*s' is not a data type", (int)TN_MIN(bytes, 40), *text);
    *text += bytes;
    return NULL;
}

static tn_status parse_value(const char **text, const tn_field *field, tn_arena *scratch, void *at)
{
    while (**text == ' ') (*text)++;
    switch (field->kind) {
    case TN_FIELD_INT: return parse_int(text, at);
    case TN_FIELD_FLOAT: return parse_float(text, at);
    case TN_FIELD_ENUM: return parse_choice(text, field, at);
    case TN_FIELD_DTYPE: return parse_dtype(text, at);
    case TN_FIELD_INTS:
    case TN_FIELD_ENUMS: return parse_ints(text, field, at);
    case TN_FIELD_FLOATS: return parse_floats(text, at);
    case TN_FIELD_CHARS: return parse_chars(text, scratch, at);
    case TN_FIELD_SCALAR: return parse_scalar(text, scratch, at);
    }
    TN_FAIL(TN_INTERNAL, "field '%s' has no kind", field->name);
}

static tn_status parse_fields(const char **text, const tn_field *field, int field_count,
                              tn_arena *scratch, void *params)
{
    bool first = true;
    while (!take(text, '}')) {
        TN_CHECK(first || take(text, ','), TN_INVALID, "'}' is missing at '%.40s'", *text);
        while (**text == ' ') (*text)++;
        size_t bytes = strcspn(*text, "= ,}");
        int i = 0;
        while (i < field_count &&
               (strlen(field[i].name) != bytes || memcmp(field[i].name, *text, bytes) != 0))
            i++;
        TN_CHECK(i < field_count, TN_INVALID, "there is no parameter '%.*s'",
                 (int)TN_MIN(bytes, 80), *text);
        *text += bytes;
        TN_CHECK(take(text, '='), TN_INVALID, "'=' is missing after '%s'", field[i].name);
        TN_TRY_NOTE(parse_value(text, &field[i], scratch, member(&field[i], params)),
                    "in parameter '%s'", field[i].name);
        first = false;
    }
    return NULL;
}

tn_status tn_params_parse(const char **text, const tn_field *field, int field_count, void *params,
                          size_t params_bytes)
{
    tn_arena scratch;
    tn_params_default(field, field_count, params, params_bytes);
    if (**text != '{') return NULL;
    (*text)++;
    tn_arena_init(&scratch);
    tn_status status = parse_fields(text, field, field_count, &scratch, params);
    tn_arena_fini(&scratch);
    return status;
}
