/* More about engines: timing caches, new weights, what is inside, where time goes.
 *
 *     tn_timing_cache    what building has measured, to build again at once
 *     tn_engine_refit    the same engine with other weights
 *     tn_context_layers  every step as JSON: kernel, shapes, memory, what it was made of
 *     tn_context_set_profiler   the time of every step, as it runs
 *
 * Progress and cancelling of a build are in tn_build_config (tenon.h).
 */
#ifndef TENON_ENGINE_H
#define TENON_ENGINE_H

#include <tenon/tenon.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Timing caches ----------------------------------------------------------------------------
 *
 * A build measures how long a kernel takes for a problem ("Softmax{axis=1} f32[2,3] -> f32[2,3]")
 * on a machine. A cache keeps that from build to build: tn_build_config.timing_cache. Times of
 * other machines and of kernels that have changed since are kept apart and never used. A build with
 * a cache that knows all its problems measures nothing, and gives the same engine each time. One
 * thread at a time.
 */
TN_API TN_MUST_USE tn_status tn_timing_cache_new(tn_timing_cache **out);
TN_API void tn_timing_cache_free(tn_timing_cache *cache);
/* Add what a file of tn_timing_cache_save or of `tenon build --timings` has; of a time that both
 * have, that of the file stays. NOT_FOUND where there is none. Lines that are no times are left
 * out, with a warning. */
TN_API TN_MUST_USE tn_status tn_timing_cache_load(tn_timing_cache *cache, const char *path);
/* The file is replaced only once the new one is complete. The same times give the same bytes. */
TN_API TN_MUST_USE tn_status tn_timing_cache_save(const tn_timing_cache *cache, const char *path);
/* The same to and from memory: text, a line for each time. Free with tn_text_free. */
TN_API TN_MUST_USE tn_status tn_timing_cache_text(const tn_timing_cache *cache, char **out);
TN_API TN_MUST_USE tn_status tn_timing_cache_parse(tn_timing_cache *cache, const char *text,
                                                   size_t bytes);
/* Add all that another cache has; of a time that both have, the other's stays. */
TN_API TN_MUST_USE tn_status tn_timing_cache_merge(tn_timing_cache *cache,
                                                   const tn_timing_cache *from);
/* How many times there are. */
TN_API int64_t tn_timing_cache_count(const tn_timing_cache *cache);

/* ---- What is inside ---------------------------------------------------------------------------
 *
 * JSON about the steps of a context's engine at the context's shapes; where an input has no shape
 * yet, all have those that the engine was built for. Keys, where a value is known:
 *
 *     engine    tenon, device, machine, card, precision, check, tolerance, rebuilt
 *     inputs, outputs   name, type, shape, tensor
 *     memory    block_bytes, card_bytes, least_bytes (what is alive at once), weight_bytes
 *     layers    of each step: name, op, kind ("kernel", "dims", "copy", "if", "loop", ...), device,
 *               tactic, precision, problem, flops, read_bytes, written_bytes, inputs and outputs
 *               (numbers of tensors), scratch_bytes, from (nodes of the model that it computes),
 *               candidates (tactic; ns: measured; or refused: why), ms and runs: its time,
 *               profiled (tn_context_profile)
 *     tensors   type, shape, bytes, place ("input", "output", "constant", "block", "alias",
 *               "none"), of (the tensor it is an alias of), on_card, offset in its block, and the
 *               steps first and last that it lives from and to
 *     nodes     of the model: op, name, layers (that compute it) or fate: "constant" (computed when
 *               the engine was built), "view" (no bytes move), "unused"
 *
 * A loop is one layer. Times of candidates: measured by this process when it built the engine, or
 * of `timings` (may be NULL), on the machine that the engine runs on. */
TN_API TN_MUST_USE tn_status tn_context_layers(tn_context *context, const tn_timing_cache *timings,
                                               char **json);
/* The same for an engine, at the shapes it was built for. */
TN_API TN_MUST_USE tn_status tn_engine_layers(const tn_engine *engine,
                                              const tn_timing_cache *timings, char **json);

/* ---- Where time goes --------------------------------------------------------------------------*/

/* A step that has run. Strings live as long as the context. */
typedef struct tn_step_event {
    int index;          /* from 0, as in tn_context_step_time */
    const char *name;   /* of the node(s) */
    const char *op;     /* "Conv" */
    const char *tactic; /* "cpu.matmul.f32.tiles.avx2", or the kind of a step that has none */
    double begin_ms;    /* since the run began, on the host's clock */
    double ms;          /* that it took; on a card, between two events on its stream */
} tn_step_event;
typedef void (*tn_profiler)(void *self, const tn_step_event *event);
/* Called after every step of the runs that follow, by the thread that runs; NULL: no more. Steps of
 * a card then run one by one, so that a run as a whole takes longer. The sums of tn_context_profile
 * are kept besides. */
TN_API TN_MUST_USE tn_status tn_context_set_profiler(tn_context *context, tn_profiler profiler,
                                                     void *self);

/* ---- Other weights ----------------------------------------------------------------------------
 *
 * An engine that is built with tn_build_config.refit keeps the graph as it was imported, so that
 * its weights can be replaced by their names in the model: all that was made of them (folded,
 * merged, packed) is made anew, by the same passes and with the kernels that were chosen, and
 * nothing is measured. With strip_weights the weights themselves are not in the file: it is small,
 * cannot run, and is filled by a refit with all of them. Weights are the model's named constants of
 * floats or of at most 16 bits an element, from 1024 bytes on; smaller ones stay in the file and
 * may be replaced all the same.
 */
/* The weights that may be replaced, in the model's order: 0 where it was not built for it. */
TN_API int64_t tn_engine_weight_count(const tn_engine *engine);
/* Type and dims; data is NULL: what stands in for it is not looked up. *missing (may be NULL): it
 * was stripped. */
TN_API TN_MUST_USE tn_status tn_engine_weight(const tn_engine *engine, int64_t index,
                                              const char **name, tn_tensor *out, bool *missing);
/* A new engine with `count` weights replaced; a name that is no weight, another type or other dims
 * are INVALID (floats of other types are converted), and so are weights that are still missing: all
 * are named at once. What matters of config: threads, no_check, tolerance, progress; may be NULL.
 * The result is checked against its graph as after a build. */
TN_API TN_MUST_USE tn_status tn_engine_refit(const tn_engine *engine, const char *const *names,
                                             const tn_tensor *tensors, int64_t count,
                                             const tn_build_config *config, tn_engine **out);
/* The same with the weights of a model of the same graph, as tn_model_load gives it. Constants that
 * are not in the engine are passed over. */
TN_API TN_MUST_USE tn_status tn_engine_refit_from_model(const tn_engine *engine,
                                                        const tn_model *model,
                                                        const tn_build_config *config,
                                                        tn_engine **out);

#ifdef __cplusplus
}
#endif

#endif
