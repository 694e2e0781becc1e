/* The plan: a flat list of steps over numbered tensors. exec knows nothing of graphs or operators:
 * a step is a tactic's name, a params blob and tensor numbers. build/emit.c writes plans;
 * engine_file.c stores them; context.c resolves them for a shape and runs them.
 *
 * Dims are expressions (tensor/expr.h) over symbols; one left-to-right evaluation of the pool gives
 * all sizes for a shape. A tensor whose dims hang on a run-time symbol is "dynamic": it is resolved
 * and given memory just before the step that writes it, in buffers that a context keeps and only
 * grows.
 */
#ifndef TN_EXEC_PLAN_H
#define TN_EXEC_PLAN_H

#include "device/device.h"
#include "tensor/expr.h"

typedef enum tn_plan_place {
    TN_PLACE_NONE,     /* an absent optional input */
    TN_PLACE_INPUT,    /* bound by the user: index is the input's number */
    TN_PLACE_CONSTANT, /* index is the constant's number */
    TN_PLACE_BLOCK,    /* an intermediate in the planned block */
    TN_PLACE_ALIAS,    /* the bytes of tensor `index` (same count) */
    TN_PLACE_OUTPUT, /* written to the user's or the context's output memory: index is its number */
} tn_plan_place;

/* A tensor, or a list of tensors: a sequence; an optional is a list of none or one, or a sequence
 * that may be absent. */
typedef enum tn_plan_kind {
    TN_PLAN_TENSOR,
    TN_PLAN_SEQUENCE,
    TN_PLAN_OPTIONAL,
    TN_PLAN_OPTIONAL_SEQUENCE,
} tn_plan_kind;

typedef struct tn_plan_tensor {
    tn_plan_kind kind; /* no tensor: dynamic, of rank -1; dtype is that of the tensors in it */
    tn_plan_place place;
    int32_t index;
    tn_dtype dtype;
    int32_t rank; /* -1: only known in a run */
    tn_expr dim[TN_RANK_MAX];
    bool card;    /* in the memory of the engine's card, not in the host's */
    bool dynamic; /* shape only known in a run, which may differ from the next one's though
                     the inputs' shapes do not; aliases of such a tensor too */
} tn_plan_tensor;

typedef enum tn_step_kind {
    TN_STEP_LAUNCH, /* a tactic */
    TN_STEP_DIMS,   /* write evaluated expressions as i64 elements of out[0] */
    TN_STEP_COPY,   /* in[0] to out[0]: an input or constant that is also an output; between the
                       host's memory and the card's */
    /* Plans inside: number is what they need to know. Inputs and outputs as in ir/subgraph.h. */
    TN_STEP_IF,   /* sub: then, else */
    TN_STEP_LOOP, /* sub: the body. number: carried */
    TN_STEP_SCAN, /* sub: the body. number: carried, scanned; then, for each scanned input, axis and
                     direction; then the same for each collected output */
    TN_STEP_SEQUENCE, /* by `op`: exec/sequence.c, which says what number is */
    TN_STEP_MAP,      /* sub: the body. number: how many inputs are given item by item */
} tn_step_kind;

enum { TN_PLAN_DEPTH_MAX = 65 };

typedef struct tn_plan_choice {
    const char *tactic; /* by name; in order of preference, the reference last */
    uint32_t revision;
    int32_t packed;         /* constant number of the packed weights, -1: none */
    int64_t from;           /* for results (the first) of at least so many elements */
    const tn_tactic *found; /* filled by the engine; NULL: this machine cannot run it */
} tn_plan_choice;

typedef struct tn_plan_step {
    tn_step_kind kind;
    bool card;        /* a launch of the card's tactics; the last choice may be one of the host's */
    const char *name; /* of the node, for messages and profiles */
    const char *op;
    void *params;
    uint32_t params_bytes;
    int32_t in_count, out_count;
    int32_t *in, *out;  /* tensor numbers; -1: absent */
    uint64_t in_unused; /* inputs that no choice reads: their data need not exist */
    tn_plan_choice *choice;
    int32_t choice_count;
    tn_expr *dims; /* DIMS: one for each element */
    int32_t dims_count;
    int32_t *sub; /* numbers of plans inside */
    int32_t sub_count;
    int64_t *number;
    int32_t number_count;
    /* Of a plan that was made here, not in files: */
    const char *problem; /* what the tactics were chosen for; NULL: none were */
    uint32_t node;       /* id + 1 in the graph that it is a plan of; 0: it is of no node */
} tn_plan_step;

typedef struct tn_plan_symbol {
    const char *name;
    tn_expr expr;
    int32_t input; /* bound from this input's dim; -1: run-time, from ... */
    int32_t axis;
    int32_t tensor; /* ... this tensor's dim `axis` once its step is resolved; if it is an
                       input, once a run begins */
} tn_plan_symbol;

typedef struct tn_plan_io {
    const char *name;
    int32_t tensor;
} tn_plan_io;

typedef struct tn_plan {
    tn_arena arena; /* everything below, but not the bytes of constants */
    tn_exprs exprs;
    tn_plan_symbol *symbol;
    int32_t symbol_count;
    tn_plan_tensor *tensor;
    int32_t tensor_count;
    tn_tensor *constant; /* data: in the engine's mapping, or memory of the builder */
    int32_t constant_count;
    tn_plan_io *input, *output;
    int32_t input_count, output_count;
    tn_plan_step *step;
    int32_t step_count;
    struct tn_plan **sub; /* plans inside steps, each with an arena of its own; constants are those
                             of the plan around them */
    int32_t sub_count;
} tn_plan;

/* Frees the arenas, not the struct. */
void tn_plan_fini(tn_plan *plan);
/* The constants of a plan and of all plans inside. */
void tn_plan_set_constants(tn_plan *plan, tn_tensor *constant, int32_t count);
/* A plan inside `plan`, empty. */
tn_status tn_plan_add_sub(tn_plan *plan, tn_plan **out, int32_t *number) TN_MUST_USE;
/* sequence.c: a step that works on sequences has what its operator needs. */
tn_status tn_plan_verify_sequence(const tn_plan *plan, const tn_plan_step *step) TN_MUST_USE;
/* A step with plans inside fits them. */
tn_status tn_plan_verify_inside(const tn_plan *plan, const tn_plan_step *step) TN_MUST_USE;

/* Every index in range, every tensor written before it is read, ranks and params sane: what a
 * reader of files must hold before anything runs. */
tn_status tn_plan_verify(const tn_plan *plan) TN_MUST_USE;
/* The tensor whose memory `tensor` is: itself, or the end of its chain of aliases. */
int32_t tn_plan_root(const tn_plan *plan, int32_t tensor);
void tn_plan_print(const tn_plan *plan, tn_text *out);

/* ---- Memory (memory_plan.c)
 * --------------------------------------------------------------------*/

/* One piece of memory, alive from step `first` to step `last` (both included). */
typedef struct tn_lifetime {
    size_t bytes;
    int32_t first, last;
    size_t offset; /* out: a multiple of 64 */
} tn_lifetime;
/* Offsets in one block so that no two that live together overlap; returns the block's size. */
tn_status tn_memory_plan(tn_lifetime *item, int64_t count, tn_arena *scratch,
                         size_t *block_bytes) TN_MUST_USE;
/* max over steps of the bytes alive: no plan can be smaller. */
size_t tn_memory_lower_bound(const tn_lifetime *item, int64_t count);

#endif
