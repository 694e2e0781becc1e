/* A growing piece of text: every printer of the library writes to one. Appending cannot fail; a
 * lack of memory is remembered and reported by tn_text_take. */
#ifndef TN_BASE_TEXT_H
#define TN_BASE_TEXT_H

#include "base/memory.h"

typedef struct tn_text {
    char *at;
    size_t bytes, capacity; /* bytes without the zero at the end */
    bool failed;
} tn_text;

void tn_text_printf(tn_text *text, const char *format, ...) TN_PRINTF(2, 3);
void tn_text_append(tn_text *text, const char *src, size_t bytes);
/* "a \"b\"": as a JSON string, with its quotes. */
void tn_text_json(tn_text *text, const char *src);
/* Hand the text to the caller (freed with tn_text_free) and clear `text`. */
tn_status tn_text_take(tn_text *text, char **out) TN_MUST_USE;
void tn_text_fini(tn_text *text);

#endif
