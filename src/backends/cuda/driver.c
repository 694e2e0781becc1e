/* Finding and opening NVIDIA's libraries. */
#include "backends/cuda/driver.h"

#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *tn_cuda_fill(void *library, const tn_cuda_symbol *rows, size_t count, void *calls)
{
    for (size_t i = 0; i < count; i++) {
        void *at = dlsym(library, rows[i].name);
        if (!at) return rows[i].name;
        memcpy((char *)calls + rows[i].offset, &at, sizeof at);
    }
    return NULL;
}

/* ---- The driver ------------------------------------------------------------------------------*/

static struct {
    tn_cu calls;
    bool usable;
    char why[300];
    pthread_once_t once;
} driver = {.once = PTHREAD_ONCE_INIT};

static void open_driver(void)
{
#define ROW(member, name, parameters) {name, offsetof(tn_cu, member)},
    static const tn_cuda_symbol rows[] = {TN_CU_CALLS(ROW)}, later[] = {TN_CU_LATER_CALLS(ROW)};
#undef ROW
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    const char *text = NULL;
    if (!library) {
        snprintf(driver.why, sizeof driver.why,
                 "no NVIDIA driver is installed (libcuda.so.1 was not found)");
        return;
    }
    const char *missing = tn_cuda_fill(library, rows, TN_COUNT(rows), &driver.calls);
    if (missing) {
        snprintf(driver.why, sizeof driver.why,
                 "the NVIDIA driver is too old: it has no %s; install one for CUDA 12 or newer",
                 missing);
        return;
    }
    for (size_t i = 0; i < TN_COUNT(later); i++) tn_cuda_fill(library, &later[i], 1, &driver.calls);
    tn_cu_result result = driver.calls.init(0);
    if (result) {
        driver.calls.error_text(result, &text);
        snprintf(driver.why, sizeof driver.why, "the NVIDIA driver does not start: %s (%d)",
                 text ? text : "unknown error", result);
        return;
    }
    driver.usable = true;
}

const tn_cu *tn_cu_open(const char **why)
{
    pthread_once(&driver.once, open_driver);
    *why = driver.why;
    return driver.usable ? &driver.calls : NULL;
}

tn_status tn_cu_fail(tn_cu_result result, const char *what, const char *file, int line,
                     const char *function)
{
    enum { OUT_OF_MEMORY = 2 };
    const char *why, *text = NULL;
    const tn_cu *cu = tn_cu_open(&why);
    if (cu) cu->error_text(result, &text);
    return tn_status_trail(TN_ERROR(result == OUT_OF_MEMORY ? TN_OUT_OF_MEMORY : TN_UNAVAILABLE,
                                    "CUDA, %s: %s (%d)", what, text ? text : "unknown error",
                                    result),
                           file, line, function);
}

/* ---- The toolkit -----------------------------------------------------------------------------*/

static void *try_folder(const char *folder, const char *between, const char *name,
                        const char *version)
{
    char path[4096];
    int bytes = snprintf(path, sizeof path, "%s%s/%s%s%s", folder, between, name,
                         version[0] ? "." : "", version);
    if (bytes < 0 || (size_t)bytes >= sizeof path) return NULL;
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

/* <path>/<package>/lib */
static void *try_packages(const char *path, const char *name, const char *version)
{
    char folder[4096];
    void *library = NULL;
    DIR *packages = opendir(path);
    for (struct dirent *p; packages && !library && (p = readdir(packages));) {
        if (p->d_name[0] == '.') continue;
        int bytes = snprintf(folder, sizeof folder, "%s/%s", path, p->d_name);
        if (bytes > 0 && (size_t)bytes < sizeof folder)
            library = try_folder(folder, "/lib", name, version);
    }
    if (packages) closedir(packages);
    return library;
}

/* PREFIX/lib/python3.12/site-packages/nvidia, or dist-packages where the system's pip installs. */
static void *try_python(const char *prefix, const char *name, const char *version)
{
    static const char *const kinds[] = {"site", "dist"};
    char path[4096];
    void *library = NULL;
    snprintf(path, sizeof path, "%s/lib", prefix);
    DIR *lib = opendir(path);
    for (struct dirent *at; lib && !library && (at = readdir(lib));) {
        if (strncmp(at->d_name, "python3", 7)) continue;
        for (size_t k = 0; k < TN_COUNT(kinds) && !library; k++) {
            int bytes = snprintf(path, sizeof path, "%s/lib/%s/%s-packages/nvidia", prefix,
                                 at->d_name, kinds[k]);
            if (bytes > 0 && (size_t)bytes < sizeof path)
                library = try_packages(path, name, version);
        }
    }
    if (lib) closedir(lib);
    return library;
}

/* Of the first python3 of the PATH: PREFIX/bin/python3. */
static void *try_path(const char *name, const char *version)
{
    const char *at = getenv("PATH");
    char file[4096], prefix[4096];
    for (; at && *at; at += strcspn(at, ":"), at += *at == ':') {
        int bytes = (int)TN_MIN(strcspn(at, ":"), sizeof prefix - 1);
        snprintf(prefix, sizeof prefix, "%.*s", bytes, at);
        int length = snprintf(file, sizeof file, "%s/python3", prefix);
        if (length < 0 || (size_t)length >= sizeof file || access(file, X_OK)) continue;
        char *bin = strrchr(prefix, '/');
        if (!bin || strcmp(bin, "/bin")) return NULL;
        *bin = 0;
        return try_python(prefix, name, version);
    }
    return NULL;
}

static void *try_version(const char *name, const char *version)
{
    static const char *const homes[] = {"TENON_CUDA_PATH", "CUDA_HOME", "CUDA_PATH"};
    static const char *const between[] = {"", "/lib64", "/lib"};
    const char *folder = getenv(homes[0]);
    void *library = NULL;
    for (size_t k = 0; folder && !library && k < TN_COUNT(between); k++)
        library = try_folder(folder, between[k], name, version);
    if (!library) {
        char plain[128];
        snprintf(plain, sizeof plain, "%s%s%s", name, version[0] ? "." : "", version);
        library = dlopen(plain, RTLD_NOW | RTLD_LOCAL);
    }
    for (size_t i = 1; i < TN_COUNT(homes); i++)
        for (size_t k = 1; k < TN_COUNT(between) && !library; k++)
            if ((folder = getenv(homes[i])))
                library = try_folder(folder, between[k], name, version);
    if (!library) library = try_folder("/usr/local/cuda", "/lib64", name, version);
    if (!library && (folder = getenv("CONDA_PREFIX"))) {
        library = try_folder(folder, "/lib", name, version);
        if (!library) library = try_python(folder, name, version);
    }
    if (!library && (folder = getenv("VIRTUAL_ENV"))) library = try_python(folder, name, version);
    if (!library) library = try_path(name, version);
    return library ? library : try_python("/usr/local", name, version);
}

void *tn_cuda_library(const char *name, const char *const *versions)
{
    void *library = NULL;
    for (; *versions && !library; versions++) library = try_version(name, *versions);
    return library ? library : try_version(name, "");
}

static struct {
    tn_nvrtc calls;
    bool usable;
    char why[300];
    pthread_once_t once;
} nvrtc = {.once = PTHREAD_ONCE_INIT};

static void open_nvrtc(void)
{
#define ROW(member, name, parameters) {name, offsetof(tn_nvrtc, member)},
    static const tn_cuda_symbol rows[] = {TN_NVRTC_CALLS(ROW)};
#undef ROW
    static const char *const versions[] = {"13", "12", NULL};
    void *library = tn_cuda_library("libnvrtc.so", versions);
    if (!library) {
        snprintf(nvrtc.why, sizeof nvrtc.why,
                 "CUDA's run-time compiler was not found (libnvrtc.so.13 or .12): install the "
                 "CUDA toolkit or the Python package nvidia-cuda-nvrtc, or point TENON_CUDA_PATH "
                 "at its folder");
        return;
    }
    const char *missing = tn_cuda_fill(library, rows, TN_COUNT(rows), &nvrtc.calls);
    if (missing)
        snprintf(nvrtc.why, sizeof nvrtc.why, "CUDA's run-time compiler is too old: it has no %s",
                 missing);
    nvrtc.usable = !missing;
}

const tn_nvrtc *tn_nvrtc_open(const char **why)
{
    pthread_once(&nvrtc.once, open_nvrtc);
    *why = nvrtc.why;
    return nvrtc.usable ? &nvrtc.calls : NULL;
}

/* ---- Ranges ----------------------------------------------------------------------------------*/

static struct {
    int (*push)(const char *name);
    int (*pop)(void);
    bool usable;
    pthread_once_t once;
} nvtx = {.once = PTHREAD_ONCE_INIT};

static void open_nvtx(void)
{
    static const tn_cuda_symbol rows[] = {{"nvtxRangePushA", offsetof(__typeof__(nvtx), push)},
                                          {"nvtxRangePop", offsetof(__typeof__(nvtx), pop)}};
    static const char *const versions[] = {"1", NULL};
    /* The second is what CUDA 13 has in place of the first. */
    static const char *const names[] = {"libnvToolsExt.so", "libnvtx3interop.so"};
    void *library = NULL;
    for (size_t i = 0; getenv("TENON_NVTX") && i < TN_COUNT(names) && !library; i++)
        library = tn_cuda_library(names[i], versions);
    nvtx.usable = library && !tn_cuda_fill(library, rows, TN_COUNT(rows), &nvtx);
}

void tn_nvtx_range(const char *name)
{
    pthread_once(&nvtx.once, open_nvtx);
    if (!nvtx.usable) return;
    if (name) nvtx.push(name);
    else nvtx.pop();
}
