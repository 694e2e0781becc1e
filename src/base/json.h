/* JSON, read by jansson with its memory through our door. */
#ifndef TN_BASE_JSON_H
#define TN_BASE_JSON_H

#include <jansson.h>

#include "base/memory.h"

/* A whole JSON text. Duplicate keys, text behind the value, invalid UTF-8 and nesting beyond
 * jansson's limit are CORRUPT and name line and column; `what` names the text in messages. The
 * value is freed with json_decref, by the thread and before the allocator is changed. */
tn_status tn_json_parse(const char *text, size_t bytes, const char *what, json_t **out) TN_MUST_USE;

#endif
