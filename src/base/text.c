/* Growing text. See text.h. */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Room for `more` bytes and the zero. */
static bool reserve(tn_text *text, size_t more)
{
    size_t needed, capacity;
    if (text->failed) return false;
    if (!tn_add_size(text->bytes, more, &needed) || !tn_add_size(needed, 1, &needed)) goto failed;
    if (needed <= text->capacity) return true;
    capacity = TN_MAX(needed, text->capacity < 128 ? 256 : text->capacity * 2);
    char *at = tn_resize(text->at, text->capacity, capacity);
    if (!at) goto failed;
    text->at = at;
    text->capacity = capacity;
    return true;
failed:
    text->failed = true;
    return false;
}

void tn_text_printf(tn_text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) text->failed = true;
    if (length < 0 || !reserve(text, (size_t)length)) return;
    va_start(args, format);
    vsnprintf(text->at + text->bytes, (size_t)length + 1, format, args);
    va_end(args);
    text->bytes += (size_t)length;
}

void tn_text_append(tn_text *text, const char *src, size_t bytes)
{
    if (!reserve(text, bytes)) return;
    if (bytes > 0) memcpy(text->at + text->bytes, src, bytes);
    text->bytes += bytes;
    text->at[text->bytes] = 0;
}

void tn_text_json(tn_text *text, const char *src)
{
    tn_text_append(text, "\"", 1);
    for (const char *c = src; *c; c++) {
        if (*c == '"' || *c == '\\') tn_text_printf(text, "\\%c", *c);
        else if ((unsigned char)*c < 0x20) tn_text_printf(text, "\\u%04x", (unsigned)*c);
        else tn_text_append(text, c, 1);
    }
    tn_text_append(text, "\"", 1);
}

tn_status tn_text_take(tn_text *text, char **out)
{
    *out = NULL;
    tn_text_append(text, NULL, 0);
    if (!text->failed) {
        /* tn_text_free knows a block by the text in it, so both must be of one size: text with a
         * zero inside ends there. */
        size_t bytes = strlen(text->at) + 1;
        char *at = tn_resize(text->at, text->capacity, bytes);
        if (at) {
            *out = at;
            *text = (tn_text){0};
            return NULL;
        }
    }
    tn_text_fini(text);
    TN_FAIL(TN_OUT_OF_MEMORY, "no memory for text");
}

void tn_text_fini(tn_text *text)
{
    tn_free(text->at, text->capacity);
    *text = (tn_text){0};
}
