/* NVIDIA GPUs as a backend. The door (driver.h) opens NVIDIA's libraries where they are; card.c
 * does what every card does (device.h); code.c turns kernel sources into functions; the tactics
 * stand in files of their own, next to the CUDA C of their kernels (kernels/NAME.c, NAME.cu).
 *
 * Sources are embedded in the library and specialised by macros: sizes and types that a kernel
 * wants to know are -D options, and each combination is compiled by NVRTC for the card's
 * architecture when it is first asked for or foreseen, then kept on disk ($XDG_CACHE_HOME/tenon)
 * and in engine files. Nothing is compiled where a recording is replayed. */
#ifndef TN_BACKENDS_CUDA_H
#define TN_BACKENDS_CUDA_H

#include "backends/cuda/driver.h"
#include "device/device.h"

extern const tn_backend tn_backend_cuda;

enum { TN_CUDA_CARDS_MAX = 16 }; /* ordinals below that can be opened */

/* What a tactic may need (tn_tactic.needs): the compute capability is at least so much. */
enum { TN_SM75 = 1, TN_SM80 = 2, TN_SM89 = 4, TN_SM90 = 8, TN_SM100 = 16 };
/* What 9.0 has and later ones have not: products of warpgroups. */
enum { TN_SM90A = 32 };

typedef struct tn_cuda_card {
    tn_card card; /* first: a tn_card is one of these */
    tn_cu_device device;
    tn_cu_context context;
    int major, minor; /* compute capability */
    int multiprocessors;
    int shared_bytes_max; /* of one block */
    size_t l2_bytes;
    int cuda_version; /* of the driver: 13000 is 13.0 */
    tn_cu_pool pool; /* of its memory, and the queue that orders what comes and goes; NULL: plain */
    tn_cu_stream pool_queue;
    struct tn_cuda_wishes *wishes; /* of a copy on which nothing is launched: what a launch asks for
                                      is written down here. Whoever calls the driver or a library
                                      for a launch passes that over */
} tn_cuda_card;

/* Contexts are current by thread, and a call may come from any: before calls on a card. */
tn_status tn_cuda_enter(const tn_cuda_card *card) TN_MUST_USE;

/* What tn_launch.stream is. */
typedef struct tn_cuda_stream {
    tn_cuda_card *card;
    tn_cu_stream handle; /* where work goes now: its own, or one that the caller lent */
    tn_cu_stream own;
    tn_cu_event mark[2];
    bool backwards; /* the last kernel went through its samples from the last one on */
    void *
        library[4]; /* handles of NVIDIA's libraries that belong to this stream (lt.c, dnn.c) ... */
    void (*library_free[4])(void *handle); /* ... and how they are given back */
} tn_cuda_stream;
enum { TN_CUDA_LIBRARY_LT, TN_CUDA_LIBRARY_DNN };

/* CUDA C text, embedded at build time: NAME.cu is tn_cuda_source_NAME. common.cuh goes before it.
 */
typedef struct tn_cuda_source {
    const char *name; /* "softmax" */
    const char *text;
} tn_cuda_source;
extern const tn_cuda_source tn_cuda_source_common;
extern const tn_cuda_source *const tn_cuda_sources[]; /* all but that one, ended by NULL */
/* A source to machine code: arch is NVRTC's "sm_90a"; "compute_90" gives text that the drivers of
 * that card and later ones translate. Needs no card. The code lies in the arena. */
tn_status tn_cuda_compile(const tn_cuda_source *source, const char *options, const char *arch,
                          tn_arena *arena, const void **code, size_t *bytes) TN_MUST_USE;
/* The same, from the cache on disk where it is there. */
tn_status tn_cuda_compile_once(const tn_cuda_source *source, const char *options, const char *arch,
                               tn_arena *arena, const void **code, size_t *bytes) TN_MUST_USE;
/* "sm_90a softmax 0123456789abcdef -DT=float": what the code is made of, with a hash of the text.
 */
tn_status tn_cuda_code_name(const tn_cuda_source *source, const char *options, const char *arch,
                            tn_arena *arena, char **out) TN_MUST_USE;
/* foresee, take_code and add_portable of tn_card_calls. */
tn_status tn_cuda_foresee(tn_card *card, tn_card_work *work, int64_t count, tn_pool *pool,
                          tn_card_codes *codes) TN_MUST_USE;
tn_status tn_cuda_take_code(tn_card *card, const tn_card_code *code, int64_t count) TN_MUST_USE;
tn_status tn_cuda_add_portable(tn_card *card, tn_pool *pool, tn_card_codes *codes) TN_MUST_USE;

typedef struct tn_cuda_function tn_cuda_function;
/* The kernel `entry` (extern "C") of a source under these options ("-DT=float -DROWS=4"; compile
 * options of NVRTC, separated by one space). Compiled, or read from the cache, the first time.
 * Lives as long as the process. shared_bytes is the most dynamic shared memory a launch will ask
 * for. */
tn_status tn_cuda_function_get(tn_cuda_card *card, const tn_cuda_source *source, const char *entry,
                               const char *options, size_t shared_bytes,
                               const tn_cuda_function **out) TN_MUST_USE;

typedef struct tn_cuda_grid {
    unsigned grid[3], block[3]; /* zeros count as 1 */
    size_t shared_bytes;
    unsigned cluster; /* blocks of a cluster along x; 0: none (compute capability 9.0) */
    bool cooperative; /* all blocks run at once */
    bool overlap;     /* may start before the kernel ahead has ended (9.0): such a kernel calls
                         tn_wait_for_producer() before it touches what others write or read */
} tn_cuda_grid;
/* Arguments as cuLaunchKernel takes them: pointers to values. */
tn_status tn_cuda_run(const tn_launch *l, const tn_cuda_function *function,
                      const tn_cuda_grid *grid, void **args) TN_MUST_USE;
/* Both, for a kernel of blocks side by side that asks for no shared memory at the launch and may
 * start before the kernel ahead has ended. */
tn_status tn_cuda_run_plain(const tn_launch *l, const tn_cuda_source *source, const char *entry,
                            const char *options, unsigned blocks, unsigned threads,
                            void **args) TN_MUST_USE;

/* tn_card_calls.together, by kernels/program.c. */
tn_status tn_cuda_together(void *stream, const tn_launch *const *launch, int count, uint64_t hidden,
                           int *taken) TN_MUST_USE;

static inline tn_cuda_stream *tn_cuda_stream_of(const tn_launch *l)
{
    return l->stream;
}

/* Is a kernel to go the other way than the one before it? It finds more of what that one wrote last
 * in the second cache. */
static inline int32_t tn_cuda_turn(const tn_launch *l)
{
    tn_cuda_stream *s = tn_cuda_stream_of(l);
    s->backwards = !s->backwards;
    return s->backwards;
}

/* The way of the one before it: for a kernel that mostly reads what the one before that wrote. */
static inline int32_t tn_cuda_same_turn(const tn_launch *l)
{
    return tn_cuda_stream_of(l)->backwards;
}

/* "float", "half", "bf16", "double", "int8", ... : the name of a dtype in common.cuh, NULL for
 * those that kernels do not know. */
const char *tn_cuda_type(tn_dtype dtype);
/* ceil(count / per), at least 1 and at most 2^31 - 1. */
unsigned tn_cuda_blocks(int64_t count, int64_t per);

#endif
