#include "ops/cast/cast_text.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 320 /* the longest text read as a number: any double fits when written out */

/* A program may have set a locale with another decimal point; strings in models do not follow it.
 * The C library keeps the plain locale ready: no memory is needed for it. */
typedef struct plain_locale {
    locale_t plain, before;
} plain_locale;

static tn_status enter_plain_locale(plain_locale *l)
{
    l->plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    TN_CHECK(l->plain, TN_OUT_OF_MEMORY, "no memory for a locale");
    l->before = uselocale(l->plain);
    return NULL;
}

static void leave_plain_locale(const plain_locale *l)
{
    uselocale(l->before);
    freelocale(l->plain);
}

/* The value as it comes out of a round trip through `dtype`. */
static double narrow(tn_dtype dtype, double value)
{
    uint64_t room[2] = {0};
    tn_store_f64(dtype, room, 0, value);
    return tn_load_f64(dtype, room, 0);
}

static void write_float(tn_dtype dtype, double value, char *dst, size_t dst_bytes)
{
    if (isnan(value)) {
        snprintf(dst, dst_bytes, "NaN");
    } else if (isinf(value)) {
        snprintf(dst, dst_bytes, value > 0 ? "INF" : "-INF");
    } else if (fabs(value) < 1e7 && value == trunc(value)) { /* 100 rather than 1e+02 */
        snprintf(dst, dst_bytes, "%.0f", value);
    } else {
        for (int digits = 1; digits <= 17; digits++) {
            snprintf(dst, dst_bytes, "%.*g", digits, value);
            if (narrow(dtype, strtod(dst, NULL)) == value) break;
        }
    }
}

static tn_status write_all(const tn_tensor *x, tn_arena *arena, const tn_tensor *y)
{
    tn_dtype_kind kind = tn_dtype_kind_of(x->dtype);
    tn_string *out = y->data;
    for (int64_t i = 0; i < tn_tensor_count(x); i++) {
        char text[40];
        if (kind == TN_KIND_F) {
            write_float(x->dtype, tn_load_f64(x->dtype, x->data, i), text, sizeof(text));
        } else {
            int64_t value = tn_load_i64(x->dtype, x->data, i);
            if (kind == TN_KIND_U) snprintf(text, sizeof(text), "%" PRIu64, (uint64_t)value);
            else snprintf(text, sizeof(text), "%" PRId64, value);
        }
        size_t bytes = strlen(text);
        char *copy = tn_arena_text(arena, text, bytes);
        TN_CHECK(copy, TN_OUT_OF_MEMORY, "no memory for the text of %" PRId64 " elements",
                 tn_tensor_count(x));
        out[i] = (tn_string){copy, bytes};
    }
    return NULL;
}

tn_status tn_cast_to_text(const tn_tensor *x, tn_arena *arena, const tn_tensor *y)
{
    plain_locale locale;
    TN_TRY(enter_plain_locale(&locale));
    tn_status status = write_all(x, arena, y);
    leave_plain_locale(&locale);
    return status;
}

static tn_status read_number(tn_string src, const tn_tensor *y, int64_t index)
{
    char text[NUMBER_MAX + 1], *end;
    tn_dtype_kind kind = tn_dtype_kind_of(y->dtype);
    bool fits = src.bytes > 0 && src.bytes <= NUMBER_MAX && !memchr(src.text, 0, src.bytes);
    int shown = (int)TN_MIN(src.bytes, (size_t)60);
    TN_CHECK(fits, TN_INVALID, "\"%.*s\" cannot be read as a number", shown,
             src.bytes ? src.text : "");
    memcpy(text, src.text, src.bytes);
    text[src.bytes] = 0;
    if (kind == TN_KIND_I ||
        kind == TN_KIND_U) { /* all 64 bits; a fraction goes the way of floats */
        errno = 0;
        bool below_zero = strchr(text, '-') != NULL;
        int64_t value = kind == TN_KIND_U && !below_zero ? (int64_t)strtoull(text, &end, 10)
                                                         : strtoll(text, &end, 10);
        if (!errno && end != text && !*end) {
            tn_store_i64(y->dtype, y->data, index, value);
            return NULL;
        }
    }
    double value = strtod(text, &end);
    TN_CHECK(end != text && !*end, TN_INVALID, "\"%.*s\" cannot be read as a number", shown, text);
    tn_store_f64(y->dtype, y->data, index, value);
    return NULL;
}

tn_status tn_cast_from_text(const tn_tensor *x, const tn_tensor *y)
{
    const tn_string *src = x->data;
    plain_locale locale;
    tn_status status = NULL;
    TN_TRY(enter_plain_locale(&locale));
    for (int64_t i = 0; i < tn_tensor_count(x) && !status; i++) status = read_number(src[i], y, i);
    leave_plain_locale(&locale);
    return status;
}
