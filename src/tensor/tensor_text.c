/* Tensors as text: "f32[2,3]", "i64[2]={1,-1}", "string[1]={\"a\"}". */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/tensor.h"

/* ---- Numbers --------------------------------------------------------------------------------*/

/* The program around us may have set a locale with a decimal comma; our texts always have a point.
 */
static char decimal_point(void)
{
    const struct lconv *conventions = localeconv();
    return conventions->decimal_point[0] ? conventions->decimal_point[0] : '.';
}

bool tn_number_parse(const char **text, double *out)
{
    char copy[64], point = decimal_point(), *end;
    size_t bytes = strspn(*text, "+-.0123456789abcdefinxptyABCDEFINXPTY");
    bytes = TN_MIN(bytes, sizeof copy - 1);
    memcpy(copy, *text, bytes);
    copy[bytes] = 0;
    for (char *c = copy; *c; c++)
        if (*c == '.') *c = point;
    *out = strtod(copy, &end);
    *text += end - copy;
    return end != copy;
}

/* Is what is read from `digits` the value itself, as an element of the type? */
static bool reads_back(tn_dtype dtype, double value, const char *digits)
{
    uint8_t element[16] = {0};
    double read = 0;
    if (!tn_number_parse(&digits, &read)) return false;
    tn_store_f64(dtype, element, 0, read);
    return tn_load_f64(dtype, element, 0) == value;
}

void tn_number_print(tn_dtype dtype, double value, tn_text *out)
{
    char digits[40], point = decimal_point();
    if (isnan(value) || isinf(value)) {
        tn_text_printf(out, "%s", isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
        return;
    }
    if (fabs(value) < 1e7 && value == trunc(value)) { /* 100 rather than 1e+02 */
        tn_text_printf(out, "%.0f", value);
        return;
    }
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        for (char *c = digits; *c; c++)
            if (*c == point) *c = '.';
        if (reads_back(dtype, value, digits)) break;
    }
    tn_text_printf(out, "%s", digits);
}

/* ---- Strings --------------------------------------------------------------------------------*/

void tn_quoted_print(const char *text, size_t bytes, tn_text *out)
{
    tn_text_append(out, "\"", 1);
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') tn_text_printf(out, "\\%c", c);
        else if (c == '\n') tn_text_append(out, "\\n", 2);
        else if (c == '\t') tn_text_append(out, "\\t", 2);
        else if (c < 0x20 || c == 0x7f) tn_text_printf(out, "\\x%02x", c);
        else tn_text_append(out, &text[i], 1);
    }
    tn_text_append(out, "\"", 1);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The character that an escape means; *at stands behind the backslash. -1 if there is no such one.
 */
static int read_escape(const char **at)
{
    char c = *(*at)++;
    if (c == 'n') return '\n';
    if (c == 't') return '\t';
    if (c == '"' || c == '\\') return c;
    int high = c == 'x' ? hex_digit((*at)[0]) : -1, low = high < 0 ? -1 : hex_digit((*at)[1]);
    if (low < 0) return -1;
    *at += 2;
    return high * 16 + low;
}

tn_status tn_quoted_parse(const char **text, tn_arena *arena, tn_string *out)
{
    const char *at = *text, *end;
    TN_CHECK(*at == '"', TN_INVALID, "'\"' is missing at '%.40s'", at);
    for (end = ++at; *end && *end != '"'; end++)
        if (*end == '\\' && end[1]) end++;
    TN_CHECK(*end == '"', TN_INVALID, "a string without its end: '%.40s'", *text);
    char *copy = tn_arena_alloc(arena, (size_t)(end - at) + 1);
    TN_CHECK(copy, TN_OUT_OF_MEMORY, "no memory for a string");
    size_t bytes = 0;
    while (at < end) {
        int c = *at == '\\' ? (at++, read_escape(&at)) : (uint8_t)*at++;
        TN_CHECK(c != -1 && at <= end, TN_INVALID, "an unknown escape in '%.40s'", *text);
        copy[bytes++] = (char)c;
    }
    copy[bytes] = 0;
    *out = (tn_string){copy, bytes};
    *text = end + 1;
    return NULL;
}

/* ---- Printing -------------------------------------------------------------------------------*/

const char *tn_tensor_type_text(const tn_tensor *t, char *dst, size_t dst_bytes)
{
    int rank = t->rank > TN_RANK_MAX ? TN_RANK_MAX : t->rank;
    int at = snprintf(dst, dst_bytes, "%s%s", tn_dtype_name(t->dtype), rank > 0 ? "[" : "");
    for (int axis = 0; axis < rank && at >= 0 && (size_t)at < dst_bytes; axis++)
        at += snprintf(dst + at, dst_bytes - (size_t)at, "%lld%s", (long long)t->dim[axis],
                       axis == rank - 1 ? "]" : ",");
    return dst;
}

void tn_tensor_print_type(const tn_tensor *t, tn_text *out)
{
    char text[16 + TN_RANK_MAX * 21];
    tn_text_printf(out, "%s", tn_tensor_type_text(t, text, sizeof text));
}

static void print_element(tn_dtype dtype, const void *data, int64_t index, tn_text *out)
{
    tn_dtype_kind kind = tn_dtype_kind_of(dtype);
    if (kind == TN_KIND_S) {
        const tn_string *element = (const tn_string *)data + index;
        tn_quoted_print(element->text, element->bytes, out);
    } else if (kind == TN_KIND_C) {
        tn_dtype part = dtype == TN_DTYPE_C64 ? TN_DTYPE_F32 : TN_DTYPE_F64;
        double im = tn_load_f64(part, data, 2 * index + 1);
        tn_number_print(part, tn_load_f64(part, data, 2 * index), out);
        tn_text_printf(out, "%s", signbit(im) && !isnan(im) ? "" : "+");
        tn_number_print(part, im, out);
        tn_text_printf(out, "i");
    } else if (kind == TN_KIND_F) {
        tn_number_print(dtype, tn_load_f64(dtype, data, index), out);
    } else if (dtype == TN_DTYPE_U64) {
        tn_text_printf(out, "%llu", (unsigned long long)tn_load_i64(dtype, data, index));
    } else {
        tn_text_printf(out, "%lld", (long long)tn_load_i64(dtype, data, index));
    }
}

void tn_tensor_print(const tn_tensor *t, int64_t max, tn_text *out)
{
    int64_t count = tn_tensor_count(t), index[TN_RANK_MAX] = {0};
    tn_tensor view = *t;
    tn_tensor_print_type(t, out);
    if (!t->data || count < 0 || !tn_dtype_valid((int)t->dtype)) return;
    if (tn_tensor_is_dense(t)) tn_tensor_set_dense(&view);
    tn_text_printf(out, "={");
    for (int64_t i = 0; i < count; i++) {
        int64_t at = 0;
        if (max > 0 && i == max) {
            tn_text_printf(out, ",...");
            break;
        }
        for (int axis = 0; axis < t->rank; axis++) at += index[axis] * view.stride[axis];
        if (i) tn_text_printf(out, ",");
        print_element(t->dtype, t->data, at, out);
        for (int axis = t->rank - 1; axis >= 0 && ++index[axis] == t->dim[axis]; axis--)
            index[axis] = 0;
    }
    tn_text_printf(out, "}");
}

/* ---- Parsing --------------------------------------------------------------------------------*/

static void skip_spaces(const char **text)
{
    while (**text == ' ' || **text == '\n' || **text == '\t') (*text)++;
}

static bool take(const char **text, char c)
{
    skip_spaces(text);
    if (**text != c) return false;
    (*text)++;
    return true;
}

/* Whole numbers: the range of the type is checked, not wrapped. */
static tn_status parse_int(const char **text, tn_dtype dtype, void *data, int64_t index)
{
    char *end;
    bool is_u64 = dtype == TN_DTYPE_U64 && **text != '-';
    errno = 0;
    int64_t value = is_u64 ? (int64_t)strtoull(*text, &end, 10) : (int64_t)strtoll(*text, &end, 10);
    TN_CHECK(end != *text, TN_INVALID, "a number of type %s is missing at '%.40s'",
             tn_dtype_name(dtype), *text);
    bool fits = errno != ERANGE && (dtype != TN_DTYPE_U64 || is_u64 || value == 0);
    if (fits) {
        tn_store_i64(dtype, data, index, value);
        fits = tn_load_i64(dtype, data, index) == value;
    }
    TN_CHECK(fits, TN_INVALID, "%.*s does not fit into %s", (int)(end - *text), *text,
             tn_dtype_name(dtype));
    *text = end;
    return NULL;
}

static tn_status parse_element(const char **text, tn_arena *arena, tn_dtype dtype, void *data,
                               int64_t index)
{
    tn_dtype_kind kind = tn_dtype_kind_of(dtype);
    double value;
    skip_spaces(text);
    if (kind == TN_KIND_S) {
        TN_TRY(tn_quoted_parse(text, arena, (tn_string *)data + index));
    } else if (kind == TN_KIND_F || kind == TN_KIND_C) {
        tn_dtype part = dtype == TN_DTYPE_C64    ? TN_DTYPE_F32
                        : dtype == TN_DTYPE_C128 ? TN_DTYPE_F64
                                                 : dtype;
        TN_CHECK(tn_number_parse(text, &value), TN_INVALID, "a number is missing at '%.40s'",
                 *text);
        tn_store_f64(dtype, data, index, value);
        if (TN_DTS_F8 >> dtype & 1 && isinf(value)) /* stores saturate, text means what it says */
            ((uint8_t *)data)[index] = tn_f64_to_f8(dtype, value, false);
        if (kind == TN_KIND_C && (**text == '+' || **text == '-')) {
            TN_CHECK(tn_number_parse(text, &value) && take(text, 'i'), TN_INVALID,
                     "an imaginary part is missing at '%.40s'", *text);
            tn_store_f64(part, data, 2 * index + 1, value);
        }
    } else {
        TN_TRY(parse_int(text, dtype, data, index));
    }
    return NULL;
}

static tn_status parse_type(const char **text, tn_tensor *out)
{
    char name[16];
    int64_t dim[TN_RANK_MAX];
    int rank = 0;
    skip_spaces(text);
    size_t bytes = strspn(*text, "abcdefghijklmnopqrstuvwxyz0123456789");
    snprintf(name, sizeof name, "%.*s", (int)TN_MIN(bytes, sizeof name - 1), *text);
    tn_dtype dtype = tn_dtype_find(name);
    TN_CHECK(dtype || !strcmp(name, "none"), TN_INVALID, "'%.40s' is not a data type", *text);
    *text += bytes;
    if (**text == '[' && !((*text)++, take(text, ']'))) {
        do {
            char *end;
            skip_spaces(text);
            TN_CHECK(rank < TN_RANK_MAX, TN_INVALID, "more than %d dims", TN_RANK_MAX);
            TN_CHECK(**text >= '0' && **text <= '9', TN_INVALID, "a dim is missing at '%.40s'",
                     *text);
            errno = 0;
            dim[rank++] = strtoll(*text, &end, 10);
            TN_CHECK(errno != ERANGE, TN_INVALID, "a dim too large at '%.40s'", *text);
            *text = end;
        } while (take(text, ','));
        TN_CHECK(take(text, ']'), TN_INVALID, "']' is missing at '%.40s'", *text);
    }
    *out = tn_tensor_of(dtype, dim, rank, NULL);
    TN_CHECK(!dtype || tn_tensor_bytes(out) >= 0, TN_INVALID,
             "more elements than memory can address");
    return NULL;
}

tn_status tn_tensor_parse(const char **text, tn_arena *arena, tn_tensor *out, bool *constant)
{
    tn_tensor t;
    memset(out, 0, sizeof *out);
    if (constant) *constant = false;
    TN_TRY(parse_type(text, &t));
    if (t.dtype && (*text)[0] == '=' && (*text)[1] == '{') {
        int64_t count = tn_tensor_count(&t);
        char type[160];
        *text += 2;
        tn_tensor_type_text(&t, type, sizeof type);
        /* Every value takes a byte at least: text must not make us allocate more than it can fill.
         */
        TN_CHECK((uint64_t)count <= strlen(*text), TN_INVALID, "%s needs %lld values", type,
                 (long long)count);
        t.data = tn_arena_alloc(arena, (size_t)tn_tensor_bytes(&t));
        TN_CHECK(t.data, TN_OUT_OF_MEMORY, "no memory for %s", type);
        for (int64_t i = 0; i < count; i++) {
            TN_CHECK(i == 0 || take(text, ','), TN_INVALID, "%s needs %lld values: there are %lld",
                     type, (long long)count, (long long)i);
            TN_TRY_NOTE(parse_element(text, arena, t.dtype, t.data, i), "in value %lld of %s",
                        (long long)i, type);
        }
        TN_CHECK(take(text, '}'), TN_INVALID, "%s takes %lld values: '}' is missing at '%.40s'",
                 type, (long long)count, *text);
    }
    if (**text == '!') {
        (*text)++;
        if (constant) *constant = true;
    }
    *out = t;
    return NULL;
}
