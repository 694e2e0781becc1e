/* Engines and contexts. The public functions of tenon.h are thin checks over these (api/). */
#ifndef TN_EXEC_EXEC_H
#define TN_EXEC_EXEC_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/watch.h"
#include "exec/layers.h"
#include "exec/plan.h"

/* A constant whose bytes another one has in another order: the weights as the graph has them, where
 * a kernel packed its own. */
typedef struct tn_constant_order {
    int32_t packed; /* number of that other constant; -1: there is none */
    tn_panels panels;
} tn_constant_order;

/* Where one constant lies in the data of all constants, which is one piece of memory, in the engine
 * file and in a built engine alike. Strings are stored as described in constants.c. */
typedef struct tn_constant_place {
    size_t offset, bytes;    /* offset: a multiple of 64 */
    uint64_t hash;           /* loaded: what the file says */
    tn_constant_order order; /* in another constant: offset is in engine->unpacked, hash 0 */
    bool stripped;           /* nowhere: only its type is known; offset, bytes and hash are 0 */
} tn_constant_place;

/* The graph as it was imported, for other weights (tn_engine_refit). */
typedef struct tn_source {
    const char *text; /* NULL: the engine was not built for it */
    size_t text_bytes;
    const char **name; /* of its "#k" ... */
    int32_t *constant; /* ... and their numbers in the plan */
    int32_t count;
} tn_source;

/* Immutable once ready, shared between threads, counted: a context holds a reference. */
struct tn_engine {
    const tn_backend *backend; /* of the host */
    tn_pool *pool;
    tn_device_info device; /* the host */
    tn_card *card;         /* NULL: all runs on the host */
    tn_plan plan;
    bool plan_usable; /* false: the file's plan is of another version (see needs_rebuild) */

    const uint8_t *constant_data; /* constant_owned, or inside the mapping */
    size_t constant_bytes;
    tn_constant_place *constant_place; /* one for each plan.constant */
    atomic_bool
        *constant_good; /* its checksum was found right, or it was unpacked; NULL: all are */
    uint8_t *unpacked;  /* room for constants that lie in others, which nobody may read */
    size_t unpacked_bytes;
    pthread_mutex_t unpack_lock;
    void *constant_owned; /* built here; NULL when mapped */
    void *card_memory;    /* copies of the constants that steps of the card read ... */
    void **card_constant; /* ... one for each plan.constant; NULL: none reads it */
    tn_card_codes code;   /* of the card's kernels at the shapes it was built for */
    tn_mapping mapping;   /* loaded: the file */

    const char *graph_text; /* the portable graph (.tn) */
    size_t graph_text_bytes;
    int32_t *graph_constant; /* its "#k" -> number of the plan's constant */
    int32_t graph_constant_count;
    tn_layers layers;
    tn_source source;
    bool stripped;         /* weights are missing: it cannot run before a refit */
    const char *report;    /* what was chosen and refused, the gate's figures: deterministic */
    const char *measured;  /* times measured while building, not saved; NULL when loaded */
    const char *meta;      /* "key=value" lines; see engine_file.c */
    tn_io *input, *output; /* of the plan, as the public header describes them */
    _Atomic int32_t references;
    tn_arena arena; /* of the strings and tables above */
};

/* Memory for tensors without elements: kernels get a pointer all the same. */
void *tn_buffer_nothing(void);

/* An empty engine with a thread pool and a plan to fill. */
tn_status tn_exec_engine_new(const tn_backend *backend, int threads, tn_engine **out) TN_MUST_USE;
/* Fixes the constants: `constant[i]` (dense, any memory) is copied into one block that the engine
 * owns; plan.constant points there. The plan's steps say which of them lie side by side, and which
 * need not be kept since order[i] (NULL: none has any) finds them in another. */
tn_status tn_exec_engine_own(tn_engine *engine, const tn_tensor *constant,
                             const tn_constant_order *order, int32_t count) TN_MUST_USE;
/* Verifies the plan and finds its tactics. UNAVAILABLE names the first step whose preferred tactic
 * this machine or this version does not have: the engine must be rebuilt from its graph. */
tn_status tn_exec_engine_ready(tn_engine *engine) TN_MUST_USE;
void tn_exec_engine_retain(const tn_engine *engine);
void tn_exec_engine_release(const tn_engine *engine);

/* The value of a meta key, in the arena, or a static "" if there is none. */
tn_status tn_exec_engine_meta(const tn_engine *engine, const char *key, tn_arena *arena,
                              const char **out) TN_MUST_USE;
/* Changes when the parameters of any operator change their layout: plans of another one are not
 * read. */
uint64_t tn_exec_params_hash(const tn_backend *backend);

/* engine_file.c: the format is described on top of that file and in docs/engine-format.md. */
tn_status tn_engine_file_write(const tn_engine *engine, tn_writer *out) TN_MUST_USE;
tn_status tn_engine_file_save(const tn_engine *engine, const char *path) TN_MUST_USE;
/* Fills a new engine, which uses the mapped memory from then on: put the mapping into
 * engine->mapping to hand it over, or keep it for as long as the engine lives. */
tn_status tn_engine_file_read(tn_engine *engine, tn_mapping mapping, const char *name) TN_MUST_USE;
/* constants.c. Whoever reads a constant of a loaded engine has it checked before: CORRUPT. A second
 * time costs nothing; on any number of threads. */
tn_status tn_exec_constant_check(const tn_engine *engine, int32_t index) TN_MUST_USE;
tn_status tn_exec_graph_check(const tn_engine *engine) TN_MUST_USE; /* all that the graph reads */
/* Weights are left out of a ready engine: all constants that tn_is_weight, from
 * TN_STRIP_BYTES on, and those that kernels packed. */
#define TN_STRIP_BYTES 1024
tn_status tn_exec_strip(tn_engine *engine) TN_MUST_USE;
bool tn_is_weight(const tn_tensor *constant); /* floats, and others of at most 16 bits */
/* Memory for the constants that lie in others, which takes none before it is written. */
tn_status tn_exec_make_room(tn_engine *engine, size_t bytes) TN_MUST_USE;
tn_status tn_exec_constant_hash(const tn_engine *engine, int32_t index, uint64_t *out) TN_MUST_USE;
/* plan_file.c: the plan section. */
void tn_plan_write(const tn_plan *plan, tn_writer *out);
/* plan->constant is there already. */
tn_status tn_plan_read(tn_reader *reader, const tn_backend *backend, tn_plan *plan) TN_MUST_USE;
/* constants.c. String constants: stored as (offset u64, bytes u64) pairs, then the text. */
size_t tn_strings_stored_bytes(const tn_tensor *t); /* SIZE_MAX on overflow */
void tn_strings_store(const tn_tensor *t, uint8_t *dst);
tn_status tn_strings_load(const uint8_t *src, size_t bytes, tn_arena *arena,
                          tn_tensor *t) TN_MUST_USE;

/* card.c: the constants that its steps read go to the card. Part of tn_exec_engine_ready. */
tn_status tn_exec_engine_upload(tn_engine *engine) TN_MUST_USE;

/* context.c, bind.c, run.c */
tn_status tn_exec_context_new(const tn_engine *engine, tn_context **out) TN_MUST_USE;
void tn_exec_context_free(tn_context *context);
tn_status tn_exec_context_bind(tn_context *context, const char *name,
                               const tn_tensor *tensor) TN_MUST_USE;
/* card.c: data in the memory of the engine's card; tn_exec_context_bind where it has none. */
tn_status tn_exec_context_bind_device(tn_context *context, const char *name,
                                      const tn_tensor *tensor) TN_MUST_USE;
/* card.c: the card makes ready what a run at the present shapes will need; codes (may be NULL)
 * takes the code of its kernels. Inputs need no data. */
tn_status tn_exec_context_foresee(tn_context *context, tn_card_codes *codes) TN_MUST_USE;
void tn_exec_context_measure(tn_context *context, bool on);
double tn_exec_context_device_ns(const tn_context *context);
tn_status tn_exec_context_set_shape(tn_context *context, const char *name, const int64_t *dim,
                                    int rank) TN_MUST_USE;
tn_status tn_exec_context_bind_sequence(tn_context *context, const char *name,
                                        const tn_tensor *items, int64_t count) TN_MUST_USE;
tn_status tn_exec_context_sequence_count(tn_context *context, const char *name,
                                         int64_t *out) TN_MUST_USE;
tn_status tn_exec_context_sequence_item(tn_context *context, const char *name, int64_t index,
                                        tn_tensor *out) TN_MUST_USE;
/* A run in two halves: the card's work is put on a queue (of the caller's; NULL: the context's
 * own), and is done, with the outputs in place, once it has been waited for. What the host does
 * itself is done by then in any case. */
tn_status tn_exec_context_enqueue(tn_context *context, void *queue) TN_MUST_USE;
tn_status tn_exec_context_wait(tn_context *context) TN_MUST_USE;
/* Denormals are flushed meanwhile, unless they are to be kept. */
tn_status tn_exec_context_run(tn_context *context) TN_MUST_USE;
void tn_exec_context_keep_denormals(tn_context *context, bool on);
tn_status tn_exec_context_output(tn_context *context, const char *name, tn_tensor *out) TN_MUST_USE;
tn_status tn_exec_context_memory_bytes(tn_context *context, size_t *out) TN_MUST_USE;
/* Asked before every step of the runs that follow whether to go on; NULL: nobody is. */
void tn_exec_context_watch(tn_context *context, const tn_watch *watch);
/* A run whose loops make more iterations than this, all together, fails: for inputs that are made
 * up. */
void tn_exec_context_limit(tn_context *context, int64_t iterations);
void tn_exec_context_profile(tn_context *context, bool on);
int tn_exec_context_step_count(const tn_context *context);
tn_status tn_exec_context_step_time(const tn_context *context, int index,
                                    tn_step_time *out) TN_MUST_USE;
void tn_exec_context_profiler(tn_context *context, tn_profiler profiler, void *self);
/* inspect.c: the JSON that tenon.h describes, at the context's shapes. `find` (may be NULL) knows
 * more times; false: not this one. */
typedef bool (*tn_find_ns)(void *self, const char *problem, const tn_tactic *tactic, double *ns);
tn_status tn_exec_inspect(tn_context *context, tn_find_ns find, void *self,
                          tn_text *out) TN_MUST_USE;
bool tn_exec_context_has_shape(const tn_context *context, int32_t input);
const tn_engine *tn_exec_context_engine(const tn_context *context);

#endif
