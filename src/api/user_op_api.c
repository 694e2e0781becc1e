/* Registering operators, in process and from shared libraries. */
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "api/api.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "ops/user_op.h"

tn_status tn_op_register(const tn_op_spec *spec)
{
    tn_user_op *op;
    TN_TRY(tn_user_op_new(spec, "", &op));
    tn_status status = tn_user_ops_add(op);
    if (!status) return NULL;
    tn_user_op_free(op);
    return tn_status_trail(status, __FILE__, __LINE__, __func__);
}

/* ---- Libraries -------------------------------------------------------------------------------*/

/* Handles of those that were loaded: the same file again gives the same handle. */
typedef struct library {
    struct library *next;
    void *handle;
} library;

static library *libraries;
static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER;

/* What its function registers, until all of it can be added. */
typedef struct pending {
    tn_op_registry registry;
    const char *name;
    tn_user_op *first, **last;
    int count;
    tn_status status;
} pending;

static tn_code add(const tn_op_registry *registry, const tn_op_spec *spec)
{
    pending *p = registry->inside;
    tn_user_op *op;
    tn_status status = tn_user_op_new(spec, p->name, &op);
    if (status) {
        p->status = status;
        return tn_status_code(status);
    }
    *p->last = op;
    p->last = &op->next;
    p->count++;
    return TN_OK;
}

static tn_status run_entry(pending *p, tn_op_library_entry entry, const char *path)
{
    tn_code code = entry(&p->registry);
    if (p->status) return p->status;
    TN_CHECK(code == TN_OK, code > TN_OK && code <= TN_INTERNAL ? code : TN_INVALID,
             "%s failed without a word", TN_OP_LIBRARY_ENTRY);
    TN_CHECK(p->first, TN_INVALID, "%s has registered no operator", TN_OP_LIBRARY_ENTRY);
    TN_TRY(tn_user_ops_add(p->first));
    tn_log(TN_LOG_INFO, "%s: %d operator%s", path, p->count, p->count == 1 ? "" : "s");
    return NULL;
}

/* Control characters would break the lines of an engine's meta section. */
static const char *name_of(const char *path, char *dst, size_t dst_bytes)
{
    const char *slash = strrchr(path, '/');
    size_t bytes = 0;
    for (const char *at = slash ? slash + 1 : path; *at && bytes + 1 < dst_bytes; at++)
        dst[bytes++] = *at;
    dst[bytes] = 0;
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)dst[i] < 32) dst[i] = '?';
    return dst;
}

static tn_status load(const char *path, void *handle)
{
    char name[128];
    pending p = {.name = name_of(path, name, sizeof(name))};
    union {
        void *symbol; /* what dlsym gives is a function's address all the same */
        tn_op_library_entry entry;
    } found = {.symbol = dlsym(handle, TN_OP_LIBRARY_ENTRY)};
    TN_CHECK(found.symbol, TN_INVALID,
             "%s is no library of operators: it exports no %s (see tenon/op.h)", path,
             TN_OP_LIBRARY_ENTRY);
    library *kept = tn_alloc_zero(sizeof(*kept));
    TN_CHECK(kept, TN_OUT_OF_MEMORY, "no memory for a library");
    p.registry = (tn_op_registry){.size = sizeof(p.registry),
                                  .version = TN_OP_VERSION,
                                  .tenon = tn_version(),
                                  .add = add,
                                  .inside = &p};
    p.last = &p.first;
    tn_status status = run_entry(&p, found.entry, path);
    if (!status) {
        *kept = (library){libraries, handle};
        libraries = kept;
        return NULL;
    }
    tn_free(kept, sizeof(*kept));
    for (tn_user_op *op = p.first, *next; op; op = next) {
        next = op->next;
        tn_user_op_free(op);
    }
    return tn_status_note(tn_status_trail(status, __FILE__, __LINE__, __func__),
                          "while loading the operators of %s", path);
}

/* dlopen looks for a name without a slash among the system's libraries; a file is meant. */
static void *open_file(const char *path)
{
    tn_text text = {0};
    tn_text_printf(&text, "%s%s", strchr(path, '/') ? "" : "./", path);
    void *handle = text.failed ? NULL : dlopen(text.at, RTLD_NOW | RTLD_LOCAL);
    tn_text_fini(&text);
    return handle;
}

static tn_status open_library(const char *path)
{
    void *handle = open_file(path);
    if (!handle) {
        const char *why = dlerror();
        TN_FAIL(TN_INVALID, "%s cannot be opened as a shared library: %s", path,
                why ? why : "no memory");
    }
    for (const library *known = libraries; known; known = known->next)
        if (known->handle == handle) {
            dlclose(handle);
            return NULL;
        }
    tn_status status = load(path, handle);
    if (status) dlclose(handle);
    return status;
}

tn_status tn_op_library_load(const char *path)
{
    tn_mapping file;
    TN_NOT_NULL(path);
    TN_TRY(tn_file_map(path, &file)); /* NOT_FOUND and the like, in our own words */
    tn_file_unmap(&file);
    pthread_mutex_lock(&load_lock);
    tn_status status = open_library(path);
    pthread_mutex_unlock(&load_lock);
    return status;
}
