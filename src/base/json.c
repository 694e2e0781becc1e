/* JSON: see json.h. */
#include "base/json.h"

#include <pthread.h>

/* jansson tells a lack of memory apart from bad text in some places only, so we note it here. */
static _Thread_local bool memory_is_gone;

static void *allocate(size_t bytes)
{
    /* Once short of memory, short for the rest of the text: jansson's lexer goes on when it could
     * not save a character, and would read past the end of what it has. */
    void *p = memory_is_gone ? NULL : tn_alloc_sized(bytes);
    if (!p) memory_is_gone = true;
    return p;
}

static pthread_once_t hooks_once = PTHREAD_ONCE_INIT;

static void set_hooks(void)
{
    json_set_alloc_funcs(allocate, tn_free_sized);
}

tn_status tn_json_parse(const char *text, size_t bytes, const char *what, json_t **out)
{
    json_error_t error;
    pthread_once(&hooks_once, set_hooks);
    memory_is_gone = false;
    *out = json_loadb(text, bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    bool gone = memory_is_gone;
    memory_is_gone = false; /* for the next text, and for who makes values otherwise */
    if (*out) return NULL;
    TN_CHECK(!gone, TN_OUT_OF_MEMORY, "no memory to read %s", what);
    TN_FAIL(TN_CORRUPT, "%s is not valid JSON: line %d, column %d: %s", what, error.line,
            error.column, error.text);
}
