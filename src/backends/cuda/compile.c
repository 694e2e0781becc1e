/* From kernel sources to machine code: compiled by NVRTC, and kept on disk by a hash of all it is
 * made of, so that a machine compiles each kernel once.
 *
 *     $XDG_CACHE_HOME/tenon/ (else ~/.cache/tenon/)  cuda-<hash>.cubin
 *
 * The hash is of the whole source, the options, the architecture and NVRTC's version.
 * TENON_CACHE=off keeps nothing on disk. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backends/cuda/cuda.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/log.h"

/* ---- Compiling -------------------------------------------------------------------------------*/

enum { OPTIONS_MAX = 40, INVALID_OPTION = 5 };

static tn_status take_code(const tn_nvrtc *rtc, tn_nvrtc_program program,
                           const tn_cuda_source *source, bool ptx, tn_arena *arena,
                           const void **out, size_t *bytes)
{
    tn_cu_result result = ptx ? rtc->ptx_bytes(program, bytes) : rtc->cubin_bytes(program, bytes);
    TN_CHECK(!result && *bytes > 0, TN_INTERNAL, "kernel source '%s' gives no code", source->name);
    char *code = tn_arena_alloc(arena, *bytes);
    TN_CHECK(code, TN_OUT_OF_MEMORY, "no memory for the code of '%s'", source->name);
    result = ptx ? rtc->ptx(program, code) : rtc->cubin(program, code);
    TN_CHECK(!result, TN_INTERNAL, "kernel source '%s' gives no code", source->name);
    *out = code;
    return NULL;
}

static tn_status compile(const tn_nvrtc *rtc, tn_nvrtc_program program,
                         const tn_cuda_source *source, char *options, const char *arch,
                         tn_arena *arena, const void **code, size_t *bytes)
{
    const char *option[OPTIONS_MAX] = {arch, "-default-device", "--std=c++17"};
    int count = 3;
    for (char *rest = options, *word; (word = strtok_r(rest, " ", &rest)) && count < OPTIONS_MAX;)
        option[count++] = word;
    tn_cu_result result = rtc->compile(program, count, option);
    if (result == INVALID_OPTION) {
        int version[2] = {0, 0};
        rtc->version(&version[0], &version[1]);
        TN_FAIL(
            TN_UNAVAILABLE,
            "CUDA's run-time compiler %d.%d does not take %s: a card of this kind needs that of "
            "a newer CUDA toolkit",
            version[0], version[1], arch);
    }
    if (result) {
        size_t log_bytes = 0;
        char *log = rtc->log_bytes(program, &log_bytes) || log_bytes == 0
                        ? NULL
                        : tn_arena_alloc(arena, log_bytes);
        if (log && rtc->log(program, log)) log = NULL;
        TN_FAIL(TN_INTERNAL, "kernel source '%s' does not compile (NVRTC error %d): %.700s",
                source->name, result, log ? log : "no message");
    }
    return take_code(rtc, program, source, strstr(arch, "=compute_") != NULL, arena, code, bytes);
}

static char *full_text(const tn_cuda_source *source, tn_arena *arena)
{
    return tn_arena_printf(arena, "%s\n%s", tn_cuda_source_common.text, source->text);
}

tn_status tn_cuda_code_name(const tn_cuda_source *source, const char *options, const char *arch,
                            tn_arena *arena, char **out)
{
    const char *text = full_text(source, arena);
    *out = text ? tn_arena_printf(arena, "%s %s %016llx %s", arch, source->name,
                                  (unsigned long long)tn_hash_bytes(text, strlen(text)), options)
                : NULL;
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory to name the code of '%s'", source->name);
    return NULL;
}

tn_status tn_cuda_compile(const tn_cuda_source *source, const char *options, const char *arch,
                          tn_arena *arena, const void **code, size_t *bytes)
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
    tn_status status = compile(rtc, program, source, words, where, arena, code, bytes);
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

/* ---- Both ------------------------------------------------------------------------------------*/

tn_status tn_cuda_compile_once(const tn_cuda_source *source, const char *options, const char *arch,
                               tn_arena *arena, const void **code, size_t *bytes)
{
    const char *why;
    const tn_nvrtc *rtc = tn_nvrtc_open(&why);
    int version[2] = {0, 0};
    char *name;
    TN_CHECK(rtc, TN_UNAVAILABLE, "kernels cannot be compiled: %s", why);
    rtc->version(&version[0], &version[1]);
    TN_TRY(tn_cuda_code_name(source, options, arch, arena, &name));
    const char *all = tn_arena_printf(arena, "%d.%d %s", version[0], version[1], name);
    TN_CHECK(all, TN_OUT_OF_MEMORY, "no memory to compile a kernel");
    const char *path = cache_path(tn_hash_bytes(all, strlen(all)), arena);
    tn_mapping mapping;
    if (path && !tn_file_map(path, &mapping)) {
        void *copy = mapping.bytes ? tn_arena_alloc(arena, mapping.bytes) : NULL;
        if (copy) memcpy(copy, mapping.at, mapping.bytes);
        *code = copy;
        *bytes = mapping.bytes;
        tn_file_unmap(&mapping);
        if (copy) return NULL;
    }
    TN_TRY(tn_cuda_compile(source, options, arch, arena, code, bytes));
    if (path) keep(path, *code, *bytes);
    return NULL;
}
