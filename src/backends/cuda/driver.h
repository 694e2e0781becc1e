/* NVIDIA's libraries, opened when they are there: the driver (libcuda) and the run-time compiler
 * (NVRTC). Building Tenon needs no CUDA, so their calls are declared here, by the ABI that
 * NVIDIA's documentation of the driver API and NVRTC describes; handles are opaque pointers and
 * every call returns 0 for success.
 *
 * libcuda comes with the display driver. Libraries of the toolkit are looked for in this order:
 * $TENON_CUDA_PATH, the system's own search, $CUDA_HOME and $CUDA_PATH, /usr/local/cuda,
 * $CONDA_PREFIX, and the nvidia packages of the active Python environment ($VIRTUAL_ENV). */
#ifndef TN_BACKENDS_CUDA_DRIVER_H
#define TN_BACKENDS_CUDA_DRIVER_H

#include "base/status.h"

typedef int tn_cu_result;
typedef int tn_cu_device;
typedef uint64_t tn_cu_pointer;
typedef struct tn_cu_context *tn_cu_context;
typedef struct tn_cu_module *tn_cu_module;
typedef struct tn_cu_function *tn_cu_function;
typedef struct tn_cu_stream *tn_cu_stream;
typedef struct tn_cu_event *tn_cu_event;
typedef struct tn_cu_graph *tn_cu_graph;
typedef struct tn_cu_pool *tn_cu_pool;
typedef struct tn_cu_graph_exec *tn_cu_graph_exec;

/* Device attributes, function attributes and flags that are used. */
enum {
    TN_CU_SHARED_BYTES_MAX = 97, /* per block, opted in */
    TN_CU_MULTIPROCESSORS = 16,
    TN_CU_MAJOR = 75,
    TN_CU_MINOR = 76,
    TN_CU_L2_BYTES = 38,
    TN_CU_FUNCTION_SHARED_BYTES = 8, /* largest dynamic size */
    TN_CU_FUNCTION_ANY_CLUSTER = 14, /* non-portable cluster sizes are allowed */
    TN_CU_CONTEXT_SPIN = 1,
    TN_CU_STREAM_NON_BLOCKING = 1,
    TN_CU_CAPTURE_RELAXED = 2,
    TN_CU_HOST_PORTABLE_MAPPED = 1 | 2,
    TN_CU_LAUNCH_COOPERATIVE = 2,
    TN_CU_LAUNCH_CLUSTER = 4,
    TN_CU_LAUNCH_OVERLAP = 6,  /* programmatic stream serialization */
    TN_CU_POOL_KEEP_BYTES = 4, /* uint64: so much is not given back when it is free */
    TN_CU_MAP_F16 = 6,
    TN_CU_MAP_BF16 = 9,
    TN_CU_MAP_TF32 = 11,
    TN_CU_MAP_SWIZZLE_128 = 3, /* parts of 16 bytes exclusive-ored with the row */
    TN_CU_MAP_SWIZZLE_64 = 2,  /* in rows of 64 bytes, with half of it */
    TN_CU_MAP_PROMOTE_128 = 2, /* the second cache reads so many bytes */
    TN_CU_MAP_PROMOTE_256 = 3,
};

/* What a pool of memory is made of. */
typedef struct tn_cu_pool_kind {
    int allocation, handles, place, place_number; /* 1: fixed in place; 0; 1: a device; which */
    void *security;
    size_t bytes_max; /* 0: no limit */
    char reserved[56];
} tn_cu_pool_kind;

/* How the copy engine walks through a tensor (9.0). */
typedef struct tn_cu_map {
    _Alignas(64) uint64_t at[16];
} tn_cu_map;

typedef struct tn_cu_launch_attribute {
    int id;
    char pad[4];
    union {
        char bytes[64];
        unsigned cluster[3];
        int flag;
    } value;
} tn_cu_launch_attribute;

typedef struct tn_cu_launch_config {
    unsigned grid[3], block[3], shared_bytes;
    tn_cu_stream stream;
    tn_cu_launch_attribute *attribute;
    unsigned attribute_count;
} tn_cu_launch_config;

/* member, symbol, parameters. The suffix is the version of the ABI that these parameters are of. */
#define TN_CU_CALLS(X)                                                                             \
    X(init, "cuInit", (unsigned flags))                                                            \
    X(driver_version, "cuDriverGetVersion", (int *version))                                        \
    X(error_text, "cuGetErrorString", (tn_cu_result error, const char **text))                     \
    X(device_count, "cuDeviceGetCount", (int *count))                                              \
    X(device, "cuDeviceGet", (tn_cu_device * device, int ordinal))                                 \
    X(device_name, "cuDeviceGetName", (char *name, int bytes, tn_cu_device device))                \
    X(device_bytes, "cuDeviceTotalMem_v2", (size_t * bytes, tn_cu_device device))                  \
    X(device_attribute, "cuDeviceGetAttribute", (int *value, int which, tn_cu_device device))      \
    X(context_flags, "cuDevicePrimaryCtxSetFlags_v2", (tn_cu_device device, unsigned flags))       \
    X(context_retain, "cuDevicePrimaryCtxRetain", (tn_cu_context * context, tn_cu_device device))  \
    X(context_set, "cuCtxSetCurrent", (tn_cu_context context))                                     \
    X(context_get, "cuCtxGetCurrent", (tn_cu_context * context))                                   \
    X(memory_alloc, "cuMemAlloc_v2", (tn_cu_pointer * at, size_t bytes))                           \
    X(memory_free, "cuMemFree_v2", (tn_cu_pointer at))                                             \
    X(host_alloc, "cuMemHostAlloc", (void **at, size_t bytes, unsigned flags))                     \
    X(host_free, "cuMemFreeHost", (void *at))                                                      \
    X(copy, "cuMemcpyAsync",                                                                       \
      (tn_cu_pointer to, tn_cu_pointer from, size_t bytes, tn_cu_stream stream))                   \
    X(fill, "cuMemsetD8Async",                                                                     \
      (tn_cu_pointer to, unsigned char value, size_t bytes, tn_cu_stream stream))                  \
    X(stream_new, "cuStreamCreate", (tn_cu_stream * stream, unsigned flags))                       \
    X(stream_free, "cuStreamDestroy_v2", (tn_cu_stream stream))                                    \
    X(stream_wait, "cuStreamSynchronize", (tn_cu_stream stream))                                   \
    X(event_new, "cuEventCreate", (tn_cu_event * event, unsigned flags))                           \
    X(event_free, "cuEventDestroy_v2", (tn_cu_event event))                                        \
    X(event_record, "cuEventRecord", (tn_cu_event event, tn_cu_stream stream))                     \
    X(event_wait, "cuEventSynchronize", (tn_cu_event event))                                       \
    X(event_ms, "cuEventElapsedTime", (float *ms, tn_cu_event from, tn_cu_event to))               \
    X(capture_begin, "cuStreamBeginCapture_v2", (tn_cu_stream stream, int mode))                   \
    X(capture_end, "cuStreamEndCapture", (tn_cu_stream stream, tn_cu_graph * graph))               \
    X(graph_ready, "cuGraphInstantiateWithFlags",                                                  \
      (tn_cu_graph_exec * exec, tn_cu_graph graph, unsigned long long flags))                      \
    X(graph_upload, "cuGraphUpload", (tn_cu_graph_exec exec, tn_cu_stream stream))                 \
    X(graph_launch, "cuGraphLaunch", (tn_cu_graph_exec exec, tn_cu_stream stream))                 \
    X(graph_exec_free, "cuGraphExecDestroy", (tn_cu_graph_exec exec))                              \
    X(graph_free, "cuGraphDestroy", (tn_cu_graph graph))                                           \
    X(module_load, "cuModuleLoadData", (tn_cu_module * module, const void *image))                 \
    X(module_free, "cuModuleUnload", (tn_cu_module module))                                        \
    X(module_function, "cuModuleGetFunction",                                                      \
      (tn_cu_function * function, tn_cu_module module, const char *name))                          \
    X(function_set, "cuFuncSetAttribute", (tn_cu_function function, int which, int value))         \
    X(launch, "cuLaunchKernelEx",                                                                  \
      (const tn_cu_launch_config *config, tn_cu_function function, void **args, void **extra))

/* Of later drivers than the oldest one that is good enough: NULL where they are missing. */
#define TN_CU_LATER_CALLS(X)                                                                       \
    X(pool_new, "cuMemPoolCreate", (tn_cu_pool * pool, const tn_cu_pool_kind *kind))               \
    X(pool_set, "cuMemPoolSetAttribute", (tn_cu_pool pool, int which, void *value))                \
    X(pool_alloc, "cuMemAllocFromPoolAsync",                                                       \
      (tn_cu_pointer * at, size_t bytes, tn_cu_pool pool, tn_cu_stream stream))                    \
    X(pool_free, "cuMemFreeAsync", (tn_cu_pointer at, tn_cu_stream stream))                        \
    X(map_tiled, "cuTensorMapEncodeTiled",                                                         \
      (tn_cu_map * map, int type, uint32_t rank, tn_cu_pointer at, const uint64_t *dim,            \
       const uint64_t *step, const uint32_t *box, const uint32_t *stride, int interleave,          \
       int swizzle, int promotion, int fill))                                                      \
    X(map_windows, "cuTensorMapEncodeIm2col",                                                      \
      (tn_cu_map * map, int type, uint32_t rank, tn_cu_pointer at, const uint64_t *dim,            \
       const uint64_t *step, const int *lower, const int *upper, uint32_t channels,                \
       uint32_t pixels, const uint32_t *stride, int interleave, int swizzle, int promotion,        \
       int fill))

typedef struct tn_nvrtc_program *tn_nvrtc_program;
#define TN_NVRTC_CALLS(X)                                                                          \
    X(version, "nvrtcVersion", (int *major, int *minor))                                           \
    X(create, "nvrtcCreateProgram",                                                                \
      (tn_nvrtc_program * program, const char *source, const char *name, int header_count,         \
       const char *const *headers, const char *const *header_names))                               \
    X(compile, "nvrtcCompileProgram",                                                              \
      (tn_nvrtc_program program, int option_count, const char *const *options))                    \
    X(log_bytes, "nvrtcGetProgramLogSize", (tn_nvrtc_program program, size_t * bytes))             \
    X(log, "nvrtcGetProgramLog", (tn_nvrtc_program program, char *log))                            \
    X(cubin_bytes, "nvrtcGetCUBINSize", (tn_nvrtc_program program, size_t * bytes))                \
    X(cubin, "nvrtcGetCUBIN", (tn_nvrtc_program program, char *cubin))                             \
    X(ptx_bytes, "nvrtcGetPTXSize", (tn_nvrtc_program program, size_t * bytes))                    \
    X(ptx, "nvrtcGetPTX", (tn_nvrtc_program program, char *ptx))                                   \
    X(destroy, "nvrtcDestroyProgram", (tn_nvrtc_program * program))

#define TN_MEMBER(member, symbol, parameters) tn_cu_result(*member) parameters;
typedef struct tn_cu {
    TN_CU_CALLS(TN_MEMBER)
    TN_CU_LATER_CALLS(TN_MEMBER)
} tn_cu;
typedef struct tn_nvrtc {
    TN_NVRTC_CALLS(TN_MEMBER)
} tn_nvrtc;
#undef TN_MEMBER

/* Opened once for the process; NULL where the library is missing or too old, and *why then says so
 * in a sentence that lives for ever. */
const tn_cu *tn_cu_open(const char **why);
const tn_nvrtc *tn_nvrtc_open(const char **why);
/* Stretches of time by name, for NVIDIA's profilers: where TENON_NVTX is set and libnvToolsExt is
 * there. NULL ends the last one. */
void tn_nvtx_range(const char *name);
/* A library of the toolkit by its base name ("libcublasLt.so") and the versions to try ("13", "12",
 * ...; ended by NULL), as dlopen gives it; NULL where there is none. */
void *tn_cuda_library(const char *name, const char *const *versions);
typedef struct tn_cuda_symbol {
    const char *name;
    size_t offset; /* of its pointer in the struct of calls */
} tn_cuda_symbol;
/* Fills a struct of function pointers; the name of the first one that is missing, or NULL. */
const char *tn_cuda_fill(void *library, const tn_cuda_symbol *rows, size_t count, void *calls);

/* "CUDA: out of memory (2)" */
tn_status tn_cu_fail(tn_cu_result result, const char *what, const char *file, int line,
                     const char *function) TN_MUST_USE;
#define TN_CU(what, call)                                                                          \
    do {                                                                                           \
        tn_cu_result tn_result_ = (call);                                                          \
        if (tn_result_) return tn_cu_fail(tn_result_, what, __FILE__, __LINE__, __func__);         \
    } while (0)

#endif
