/* Private to `tenon compare`: a reference, runs to hold against it, and what is found. */
#ifndef TENON_COMPARE_H
#define TENON_COMPARE_H

#include "tool.h"

/* ---- Statistics (compare_stats.c) ------------------------------------------------------------*/

/* What a tensor may differ by: relative L2, or, where that is 0, each element by
 * atol + rtol * |want|. */
typedef struct tensor_limit {
    double l2, rtol, atol;
} tensor_limit;

/* Differences by size: none, below 1e-12, then a decade each, the last what is not finite. */
enum { DECADES = 20, DECADE_LEAST = -12 };

typedef struct tensor_stats {
    bool same_shape, within;
    int64_t count;
    int64_t beyond, first, worst; /* elements beyond the limit, the first of them, the largest
                                     difference; -1: none */
    double abs_max, abs_mean, rel_max, rel_l2, cosine;
    double worst_got, worst_want;
    int64_t decade[DECADES];
} tensor_stats;

tn_status stats_of(const tn_tensor *got, const tn_tensor *want, const tensor_limit *limit,
                   tensor_stats *out) TN_MUST_USE;

/* ---- The reference's layers (compare_layers.c) -----------------------------------------------*/

typedef struct model_layer {
    char *op, *name;
    int input_count, output_count;
    int *input, *output; /* numbers of values; -1: absent */
} model_layer;

typedef struct model_value {
    char *name;
    int maker; /* number of a layer; -1: an input or a constant */
    int next;  /* of those with the same hash */
} model_value;

enum { VALUE_BUCKETS = 4096 };
typedef struct model_layers {
    int count, capacity;
    model_layer *at; /* each after those that it reads */
    int value_count, value_capacity;
    model_value *value;
    int bucket[VALUE_BUCKETS];
} model_layers;

tn_status layers_read(const tn_model *model, model_layers *out) TN_MUST_USE;
void layers_free(model_layers *layers);
/* -1: there is none. */
int layers_find(const model_layers *layers, const char *name);
/* Memory that a command cannot do without: it ends where there is none. */
void *get_memory(size_t count, size_t bytes);
void *grow_memory(void *at, size_t count, size_t bytes);
char *copy_text(const char *text);

/* ---- Runs (compare_run.c, compare_peer.c) ----------------------------------------------------*/

/* A tensor of a run beside the reference's. */
typedef struct compared_tensor {
    const char *name;
    int maker; /* layer of the reference; -1: not known */
    char type[160];
    tensor_stats stats;
} compared_tensor;

typedef struct compared_list {
    int count;
    compared_tensor *at;
} compared_list;

/* Where a run leaves the tolerance. */
typedef struct fault {
    bool looked, found;
    const char *in; /* what was compared: "the models, unoptimised", "the engine" */
    compared_tensor first;
    int *suspect; /* layers from tensors within the tolerance to the first beyond it */
    int suspect_count;
    char *why;    /* more about it, or NULL */
    int steepest; /* the layer that adds most to the difference; -1 */
    double steepest_before, steepest_after;
} fault;

/* Layers to hold back in float32. */
typedef struct hold_list {
    bool looked, found; /* found: with these the outputs are within the tolerance */
    text_list names;
    bool minimal;  /* with each of them missing they are not */
    double before; /* the largest relative L2 of an output without */
    int builds;
    int candidates;
} hold_list;

typedef struct compare_run {
    char label[160];
    const char *path; /* of a file of ours; NULL: another library's */
    tn_precision precision;
    tensor_limit limit;
    char *note; /* what is worth knowing, or NULL */
    tn_engine *engine;
    tn_context *context;
    int count; /* of another library: its tensors */
    char **name;
    tn_tensor *tensor;
    compared_list outputs, values;
    fault fault;
    hold_list hold;
} compare_run;

/* What all runs share. */
typedef struct comparison {
    const char *path;
    tn_model *model;
    model_layers layers;
    const build_flags *flags;
    tn_timing_cache *timings;
    tensor_limit limit; /* asked for; all zero: by the precision */
    input_set inputs;
    compare_run reference; /* every tensor of it, where asked for */
} comparison;

/* An engine of a model at a precision, with what is held back in it; with `expose` every tensor
 * that is still in it. Built, given the inputs and run. */
tn_status run_model(comparison *c, tn_model *model, const build_flags *flags, bool expose,
                    compare_run *out) TN_MUST_USE;
/* The same for an engine file; or for the graph in it, by reference kernels. */
typedef enum engine_view { AS_IT_IS, WITH_VALUES, ITS_GRAPH } engine_view;
tn_status run_engine_file(comparison *c, const char *path, engine_view view,
                          compare_run *out) TN_MUST_USE;
/* Takes what the flags of a precision are. */
build_flags flags_of(const comparison *c, tn_precision precision);
const char *precision_word(tn_precision precision);
/* A tensor of a run; NOT_FOUND. */
tn_status run_tensor(const compare_run *run, const char *name, tn_tensor *out) TN_MUST_USE;
bool run_has(const compare_run *run, const char *name);
/* The reference's outputs, or all tensors that both have, in the order of its layers. */
tn_status compare_outputs(const comparison *c, const compare_run *run,
                          compared_list *out) TN_MUST_USE;
tn_status compare_values(const comparison *c, const compare_run *run,
                         compared_list *out) TN_MUST_USE;
bool all_within(const compared_list *list);
double largest_l2(const compared_list *list);
/* Its engine and its tensors go; what was found stays. */
void run_stop(compare_run *run);
void run_close(compare_run *run);

/* Another library, by a helper in Python; `from` is its model (NULL: that of the comparison). 0, or
 * the exit code: what is missing is printed. */
int run_peer(comparison *c, const char *library, const char *from, bool values, compare_run *out);

/* ---- Searching (compare_bisect.c) ------------------------------------------------------------*/

/* Fills run->fault, from run->values. `other`: another model than the reference's, or NULL. */
void find_fault(const comparison *c, const tn_model *other, const compared_list *values,
                const char *in, fault *out);
/* Fills run->hold from run->values. */
tn_status find_hold(comparison *c, tn_model *model, compare_run *run) TN_MUST_USE;

/* ---- Telling (compare_write.c) ---------------------------------------------------------------*/

void compare_print(const comparison *c, const compare_run *run, int count);
/* False: printed. */
bool compare_write_json(const char *path, const comparison *c, const compare_run *run, int count);
bool compare_write_page(const char *path, const comparison *c, const compare_run *run, int count);

#endif
