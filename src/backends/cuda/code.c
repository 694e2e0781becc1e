/* From kernel sources to functions: compiled by NVRTC, kept in memory by what they are made of, and
 * on disk by a hash of it, so that a program compiles each kernel once per machine.
 *
 *     $XDG_CACHE_HOME/tenon/ (else ~/.cache/tenon/)  cuda-<hash>.cubin
 *
 * The hash is of the whole source, the options, the architecture and NVRTC's version; a cubin that
 * does not load is compiled anew. TENON_CACHE=off keeps nothing on disk. TENON_CUDA_LIST=FILE
 * appends a line "source entry options" for each function made: tests/gpu/kernels.txt is such a
 * list. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backends/cuda/cuda.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/log.h"
#include "base/map.h"

struct tn_cuda_function {
    tn_cu_module module;
    tn_cu_function handle;
    size_t shared_bytes; /* allowed so far */
};

static struct {
    pthread_mutex_t lock;
    tn_arena arena;
    tn_map map; /* "ordinal source entry options" -> tn_cuda_function */
    bool ready;
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- Compiling -------------------------------------------------------------------------------*/

enum { OPTIONS_MAX = 40 };

static tn_status compile(const tn_nvrtc *rtc, tn_nvrtc_program program,
                         const tn_cuda_source *source, char *options, const char *arch,
                         tn_arena *arena, const void **cubin, size_t *bytes)
{
    const char *option[OPTIONS_MAX] = {arch, "-default-device", "--std=c++17"};
    int count = 3;
    for (char *rest = options, *word; (word = strtok_r(rest, " ", &rest)) && count < OPTIONS_MAX;)
        option[count++] = word;
    tn_cu_result result = rtc->compile(program, count, option);
    if (result) {
        size_t log_bytes = 0;
        char *log = rtc->log_bytes(program, &log_bytes) || log_bytes == 0
                        ? NULL
                        : tn_arena_alloc(arena, log_bytes);
        if (log && rtc->log(program, log)) log = NULL;
        TN_FAIL(TN_INTERNAL, "kernel source '%s' does not compile (NVRTC error %d): %.700s",
                source->name, result, log ? log : "no message");
    }
    TN_CHECK(!rtc->cubin_bytes(program, bytes) && *bytes > 0, TN_INTERNAL,
             "kernel source '%s' gives no code", source->name);
    char *code = tn_arena_alloc(arena, *bytes);
    TN_CHECK(code, TN_OUT_OF_MEMORY, "no memory for the code of '%s'", source->name);
    TN_CHECK(!rtc->cubin(program, code), TN_INTERNAL, "kernel source '%s' gives no code",
             source->name);
    *cubin = code;
    return NULL;
}

static const char *full_text(const tn_cuda_source *source, tn_arena *arena)
{
    return tn_arena_printf(arena, "%s\n%s", tn_cuda_source_common.text, source->text);
}

tn_status tn_cuda_compile(const tn_cuda_source *source, const char *options, const char *arch,
                          tn_arena *arena, const void **cubin, size_t *bytes)
{
    const char *why;
    const tn_nvrtc *rtc = tn_nvrtc_open(&why);
    tn_nvrtc_program program = NULL;
    TN_CHECK(rtc, TN_UNAVAILABLE, "kernels cannot be compiled: %s", why);
    const char *text = full_text(source, arena);
    char *where = tn_arena_printf(arena, "--gpu-architecture=%s", arch);
    char *words = tn_arena_text(arena, options, strlen(options));
    char *file = tn_arena_printf(arena, "%s.cu", source->name);
    TN_CHECK(text && where && words && file, TN_OUT_OF_MEMORY, "no memory to compile a kernel");
    uint64_t begin = tn_clock_ns();
    TN_CHECK(!rtc->create(&program, text, file, 0, NULL, NULL), TN_INTERNAL,
             "NVRTC does not take kernel source '%s'", source->name);
    tn_status status = compile(rtc, program, source, words, where, arena, cubin, bytes);
    rtc->destroy(&program);
    tn_log(TN_LOG_INFO, "compiled kernels '%s' %s for %s in %.0f ms", source->name, options, arch,
           (double)(tn_clock_ns() - begin) / 1e6);
    return status;
}

/* ---- On disk ---------------------------------------------------------------------------------*/

/* NULL: nothing is kept. */
static const char *cache_path(uint64_t hash, tn_arena *arena)
{
    const char *off = getenv("TENON_CACHE"), *folder = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME"), *own;
    if (off && !strcmp(off, "off")) return NULL;
    if (folder && folder[0] == '/') own = tn_arena_printf(arena, "%s/tenon", folder);
    else if (home && home[0] == '/') own = tn_arena_printf(arena, "%s/.cache/tenon", home);
    else return NULL;
    if (!own) return NULL;
    char *slash = strrchr(own, '/');
    *slash = 0;
    mkdir(own, 0700);
    *slash = '/';
    mkdir(own, 0700);
    return tn_arena_printf(arena, "%s/cuda-%016llx.cubin", own, (unsigned long long)hash);
}

/* A cache that cannot be written is none; the failure is no failure of the caller's. */
static void keep(const char *path, const void *bytes, size_t count)
{
    tn_file_write file;
    if (tn_file_write_begin(path, &file)) return;
    if (!tn_file_write_bytes(&file, bytes, count) && tn_file_write_commit(&file))
        tn_log(TN_LOG_INFO, "%s cannot be written", path);
    tn_file_write_end(&file);
}

/* ---- Loading ---------------------------------------------------------------------------------*/

static tn_status load(const void *cubin, const char *entry, tn_cuda_function *out)
{
    const char *why;
    const tn_cu *cu = tn_cu_open(&why);
    TN_CU("loading code", cu->module_load(&out->module, cubin));
    TN_CU("finding a kernel", cu->module_function(&out->handle, out->module, entry));
    return NULL;
}

static tn_status make(tn_cuda_card *card, const tn_cuda_source *source, const char *entry,
                      const char *options, tn_arena *arena, tn_cuda_function *out)
{
    const char *why;
    const tn_nvrtc *rtc = tn_nvrtc_open(&why);
    int version[2] = {0, 0};
    const char *text = full_text(source, arena), *arch;
    const void *cubin;
    size_t bytes;
    TN_CHECK(rtc, TN_UNAVAILABLE, "kernels cannot be compiled: %s", why);
    rtc->version(&version[0], &version[1]);
    arch = tn_arena_printf(arena, "sm_%d%d%s", card->major, card->minor,
                           card->major == 9 || card->major == 10 ? "a" : "");
    const char *all = text && arch ? tn_arena_printf(arena, "%d.%d %s %s\n%s", version[0],
                                                     version[1], arch, options, text)
                                   : NULL;
    TN_CHECK(all, TN_OUT_OF_MEMORY, "no memory to compile a kernel");
    const char *path = cache_path(tn_hash_bytes(all, strlen(all)), arena);
    tn_mapping mapping;
    tn_status status = path ? tn_file_map(path, &mapping) : TN_ERROR(TN_NOT_FOUND, "no cache");
    if (!status) {
        status = load(mapping.at, entry, out);
        tn_file_unmap(&mapping);
    }
    if (!status) return NULL;
    TN_TRY(tn_cuda_compile(source, options, arch, arena, &cubin, &bytes));
    if (path) keep(path, cubin, bytes);
    return load(cubin, entry, out);
}

static void note_made(const tn_cuda_source *source, const char *entry, const char *options)
{
    const char *path = getenv("TENON_CUDA_LIST");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (!file) return;
    fprintf(file, "%s %s %s\n", source->name, entry, options);
    fclose(file);
}

static tn_status get(tn_cuda_card *card, const tn_cuda_source *source, const char *entry,
                     const char *options, tn_arena *scratch, tn_cuda_function **out)
{
    if (!cache.ready) {
        tn_arena_init(&cache.arena);
        tn_map_init(&cache.map, &cache.arena);
        cache.ready = true;
    }
    const char *key =
        tn_arena_printf(scratch, "%d %s %s %s", card->card.ordinal, source->name, entry, options);
    TN_CHECK(key, TN_OUT_OF_MEMORY, "no memory to find a kernel");
    *out = tn_map_find(&cache.map, key);
    if (*out) return NULL;
    tn_cuda_function made = {0};
    TN_TRY_NOTE(make(card, source, entry, options, scratch, &made), "while making kernel %s of %s",
                entry, source->name);
    *out = TN_NEW(&cache.arena, tn_cuda_function);
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory for a kernel");
    **out = made;
    note_made(source, entry, options);
    return tn_map_put(&cache.map, key, *out);
}

tn_status tn_cuda_function_get(tn_cuda_card *card, const tn_cuda_source *source, const char *entry,
                               const char *options, size_t shared_bytes,
                               const tn_cuda_function **out)
{
    const char *why;
    const tn_cu *cu = tn_cu_open(&why);
    tn_cuda_function *function = NULL;
    tn_arena scratch;
    *out = NULL;
    TN_CHECK(cu, TN_UNAVAILABLE, "no NVIDIA card can be used: %s", why);
    TN_TRY(tn_cuda_enter(card));
    tn_arena_init(&scratch);
    pthread_mutex_lock(&cache.lock);
    tn_status status = get(card, source, entry, options, &scratch, &function);
    if (!status && shared_bytes > function->shared_bytes) {
        enum { WITHOUT_ASKING = 48 << 10 };
        tn_cu_result result = shared_bytes <= WITHOUT_ASKING
                                  ? 0
                                  : cu->function_set(function->handle, TN_CU_FUNCTION_SHARED_BYTES,
                                                     (int)shared_bytes);
        if (result)
            status = tn_cu_fail(result, "asking for shared memory", __FILE__, __LINE__, __func__);
        else function->shared_bytes = shared_bytes;
    }
    pthread_mutex_unlock(&cache.lock);
    tn_arena_fini(&scratch);
    *out = function;
    return status ? tn_status_trail(status, __FILE__, __LINE__, __func__) : NULL;
}

/* ---- Running ---------------------------------------------------------------------------------*/

tn_status tn_cuda_run(const tn_launch *l, const tn_cuda_function *function,
                      const tn_cuda_grid *grid, void **args)
{
    const char *why;
    const tn_cu *cu = tn_cu_open(&why);
    const tn_cuda_stream *stream = l->stream;
    tn_cu_launch_attribute attribute[3];
    tn_cu_launch_config config = {.shared_bytes = (unsigned)grid->shared_bytes,
                                  .stream = stream->handle,
                                  .attribute = attribute};
    memset(attribute, 0, sizeof attribute);
    for (int i = 0; i < 3; i++) {
        config.grid[i] = grid->grid[i] ? grid->grid[i] : 1;
        config.block[i] = grid->block[i] ? grid->block[i] : 1;
    }
    bool hopper = stream->card->major >= 9;
    if (hopper && grid->cluster > 1) {
        tn_cu_launch_attribute *a = &attribute[config.attribute_count++];
        a->id = TN_CU_LAUNCH_CLUSTER;
        a->value.cluster[0] = grid->cluster;
        a->value.cluster[1] = a->value.cluster[2] = 1;
        if (grid->cluster > 8)
            TN_CU("allowing a large cluster",
                  cu->function_set(function->handle, TN_CU_FUNCTION_ANY_CLUSTER, 1));
    }
    if (grid->cooperative) {
        tn_cu_launch_attribute *a = &attribute[config.attribute_count++];
        a->id = TN_CU_LAUNCH_COOPERATIVE;
        a->value.flag = 1;
    }
    if (hopper && grid->overlap) {
        tn_cu_launch_attribute *a = &attribute[config.attribute_count++];
        a->id = TN_CU_LAUNCH_OVERLAP;
        a->value.flag = 1;
    }
    TN_CU("launching a kernel", cu->launch(&config, function->handle, args, NULL));
    return NULL;
}

const char *tn_cuda_type(tn_dtype dtype)
{
    switch (dtype) {
    case TN_DTYPE_F32: return "float";
    case TN_DTYPE_F16: return "half";
    case TN_DTYPE_BF16: return "bf16";
    case TN_DTYPE_F64: return "double";
    case TN_DTYPE_I8: return "int8";
    case TN_DTYPE_I16: return "int16";
    case TN_DTYPE_I32: return "int32";
    case TN_DTYPE_I64: return "int64";
    case TN_DTYPE_U8: return "uint8";
    case TN_DTYPE_U16: return "uint16";
    case TN_DTYPE_U32: return "uint32";
    case TN_DTYPE_U64: return "uint64";
    case TN_DTYPE_BOOL: return "uint8";
    default: return NULL;
    }
}

unsigned tn_cuda_blocks(int64_t count, int64_t per)
{
    int64_t blocks = count / per + (count % per != 0);
    return (unsigned)(blocks < 1 ? 1 : blocks > INT32_MAX ? INT32_MAX : blocks);
}
