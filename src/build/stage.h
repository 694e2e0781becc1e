/* Private to build: what the stages hand to each other. */
#ifndef TN_BUILD_STAGE_H
#define TN_BUILD_STAGE_H

#include "base/map.h"
#include "build/build.h"
#include "build/timings.h"
#include "ir/op.h"
#include "passes/lower_precision.h"

/* ---- Shapes (shapes.c) -----------------------------------------------------------------------*/

/* One shape for each input of the graph. */
typedef struct tn_shape_set {
    const char *name; /* "opt" */
    int32_t *rank;
    int64_t (*dim)[TN_RANK_MAX];
} tn_shape_set;

typedef struct tn_shape_sets {
    tn_shape_set at[4];
    int count;
    int opt; /* which of them to tune for */
} tn_shape_sets;

/* From the profiles: min, opt, max, and one with a larger batch where the first dim is dynamic.
 * Sets that are equal are there once. Profiles that do not fit the inputs are INVALID. */
tn_status tn_shapes_of(const tn_graph *graph, const tn_build_config *config, tn_arena *arena,
                       tn_shape_sets *out) TN_MUST_USE;
/* Each dim the geometric mean of those of both. */
tn_status tn_shapes_between(const tn_graph *graph, const tn_shape_set *a, const tn_shape_set *b,
                            tn_arena *arena, tn_shape_set *out) TN_MUST_USE;
/* The value of every expression that a type of the graph uses, TN_EXPR_UNKNOWN for others and for
 * what only a run can tell. */
tn_status tn_shapes_values(const tn_graph *graph, const tn_shape_set *set, tn_arena *arena,
                           int64_t **out) TN_MUST_USE;
/* The pool of the expressions in `used` and their operands (which become used too), in order; remap
 * goes from src to out. */
tn_status tn_exprs_subset(const tn_exprs *src, bool *used, tn_arena *arena, tn_exprs *out,
                          tn_expr *remap) TN_MUST_USE;
/* "x f32[1,3], mask f32[1,5]" */
void tn_shapes_print(const tn_graph *graph, const tn_shape_set *set, tn_text *out);

/* ---- Partition (partition.c) -----------------------------------------------------------------*/

/* Can every node be run at all? All operators that cannot are reported at once. Which nodes the
 * engine's card takes is decided as their kernels are chosen (choose.c). */
tn_status tn_partition(const tn_graph *graph, const tn_engine *engine, tn_text *report) TN_MUST_USE;

/* ---- Choosing (choose.c, measure.c) ----------------------------------------------------------*/

enum { TN_CANDIDATES_MAX = 96, TN_CHOICES_MAX = 10, TN_OTHERS_MAX = 4 };

/* In order of preference; the reference last. */
typedef struct tn_choices {
    const tn_tactic *tactic[TN_CHOICES_MAX];
    int64_t from[TN_CHOICES_MAX]; /* as in a plan */
    int count;
    const char *problem; /* as it stands in the report and in timings */
    bool card; /* the first ones are the card's; the last is the host's, for shapes they refuse */
} tn_choices;

/* How good estimates would have been, where all was measured: of problems with several candidates.
 */
typedef struct tn_foresight {
    int64_t problems, others;  /* others: measured candidates behind the best ones */
    double square;             /* of logarithms: how much slower they were estimated, and are */
    double best_ns, chosen_ns; /* of all the best, and of all that estimates put first */
} tn_foresight;

typedef struct tn_chooser {
    const tn_engine *engine;
    const int64_t *values; /* of the graph's expressions at the shapes to tune for ... */
    const int64_t *other[TN_OTHERS_MAX]; /* ... and at others, where a card is best at others */
    int other_count;
    bool reference_only;
    tn_precision precision;      /* the least that is allowed, ... */
    const tn_map *held;          /* ... but not to nodes with such results, nor ...  */
    const tn_map *rounded;       /* ... such ones (tn_find_rounded); both may be NULL */
    bool host_only;              /* inside graphs that the host runs */
    struct tn_card_bench *bench; /* to measure on the engine's card; made when first needed, freed
                                    by the builder */
    double budget_ms;            /* for all that is left to measure; <= 0: estimate */
    int64_t problems_left;       /* that share the budget (foresee.c counts them) */
    tn_timings *timings;
    tn_text *report;   /* may be NULL: choices and refusals, the same for the same choices */
    tn_text *measured; /* may be NULL: the times behind them */
    tn_foresight foresight;
    tn_watch *watch; /* may be NULL */
    tn_map decided;  /* problem text -> tn_choices */
    tn_arena *arena;
} tn_chooser;

bool tn_tactic_is_reference(const tn_tactic *tactic);
/* may_card: all values of the node are tensors of sizes that are known before a run. */
tn_status tn_choose(tn_chooser *chooser, const tn_node *node, bool may_card,
                    tn_choices *out) TN_MUST_USE;
/* After all choices: what estimates would have cost goes to `measured`, if anything was. */
void tn_choose_judge_estimates(const tn_chooser *chooser);
/* Best of several runs with cold weights, within about limit_ms. */
tn_status tn_measure(const tn_tactic *tactic, const tn_problem *p, tn_pool *pool, double limit_ms,
                     double *ns) TN_MUST_USE;
/* The problem of a node at the shapes to tune for, where the operator takes them; else INVALID. */
tn_status tn_choose_problem(const tn_chooser *chooser, const tn_node *node, tn_arena *arena,
                            tn_problem *out) TN_MUST_USE;
/* The card's tactics that take it, best first; at most TN_CANDIDATES_MAX. */
int tn_choose_on_card(const tn_chooser *chooser, const tn_problem *p, const tn_tactic **out);
/* measure_card.c: the same on a card: the best of several replays of a recording of launches that
 * each have buffers of their own, so that weights come from memory. */
typedef struct tn_card_bench tn_card_bench;
tn_status tn_card_bench_new(tn_card *card, tn_card_bench **out) TN_MUST_USE;
void tn_card_bench_free(tn_card_bench *bench);
tn_status tn_measure_card(tn_card_bench *bench, const tn_tactic *tactic, const tn_problem *p,
                          double limit_ms, double *ns) TN_MUST_USE;
/* A launch like those that are measured, at addresses that are not memory. */
tn_status tn_card_bench_sketch(const tn_tactic *tactic, const tn_problem *p, tn_arena *arena,
                               const tn_launch **out) TN_MUST_USE;
/* foresee.c: before choosing: counts what has to be measured, and has the card compile all that
 * measuring will launch, by all threads at once. */
tn_status tn_foresee(tn_chooser *chooser, const tn_graph *graph) TN_MUST_USE;
/* foresee.c: after all: the code of the kernels that the engine uses at these shapes goes into it.
 */
tn_status tn_keep_code(tn_engine *engine, const tn_shape_sets *shapes) TN_MUST_USE;

/* ---- Emitting (survey.c, constants.c, emit.c)
 * ----------------------------------------------------------*/

/* Constants of a plan while it is made: borrowed from the graph, or packed here. */
typedef struct tn_constant_list {
    tn_tensor *at;
    void **owned; /* tn_alloc memory of at[i], or NULL */
    tn_constant_order *order;
    int64_t count, capacity, owned_capacity, order_capacity;
    tn_map index; /* by type and hash */
    tn_map known; /* by type and address: equal bytes need not be looked at */
    tn_arena *arena;
} tn_constant_list;

void tn_constants_init(tn_constant_list *list, tn_arena *arena);
void tn_constants_fini(tn_constant_list *list);
/* The number of a constant with these bytes; `owned` memory is taken over, even on failure. */
tn_status tn_constants_add(tn_constant_list *list, const tn_tensor *t, bool owned,
                           int32_t *out) TN_MUST_USE;

/* What a tactic packed, which is taken over, from `t`; panels (may be NULL): how `t` is found in
 * it.
 */
tn_status tn_constants_pack(tn_constant_list *list, const tn_tensor *packed, const tn_tensor *t,
                            const tn_panels *panels, int32_t *out) TN_MUST_USE;

/* Fills engine->plan but for its constants, which go to the list. */
tn_status tn_emit(const tn_graph *graph, tn_chooser *chooser, tn_engine *engine,
                  tn_constant_list *constants) TN_MUST_USE;

/* sequence_numbers.c: the attributes of an operator that exec runs on sequences, as its step reads
 * them. */
tn_status tn_sequence_numbers(const tn_node *node, tn_arena *arena, tn_plan_step *step) TN_MUST_USE;

/* What the stages of emitting know of a node, by id. */
typedef enum tn_node_kind {
    TN_NODE_SKIP,
    TN_NODE_LAUNCH,
    TN_NODE_VIEW,
    TN_NODE_DIMS,
    TN_NODE_INSIDE,   /* by plans for the graphs inside */
    TN_NODE_SEQUENCE, /* by the plan itself */
} tn_node_kind;
typedef struct tn_node_plan {
    tn_node_kind kind;
    bool needed;     /* something reads it */
    bool resolves;   /* an output's shape is found only by running it */
    bool dims_known; /* output 0's elements are expressions known at this point */
    tn_choices choices;
    uint64_t unused;
} tn_node_plan;

typedef struct tn_survey {
    const tn_graph *graph;
    tn_node_plan *node; /* by node id */
    bool *value_needed; /* by value id */
    bool *value_dynamic;
    bool *input_bound; /* by expression: its symbols are all bound by inputs */
    bool *bound;       /* by expression: all bound at this point of the walk */
    bool *marked;
    tn_value **definer; /* by expression: the value whose dim binds a run-time symbol */
    int32_t *definer_axis;
    tn_expr *stack;
} tn_survey;

/* Which nodes are needed, and how each is served. input_dynamic (may be NULL): inputs whose shapes
 * a plan around this one finds out in a run, from one to the next. */
tn_status tn_survey_graph(const tn_graph *graph, tn_chooser *chooser, const bool *input_dynamic,
                          tn_arena *arena, tn_survey *out) TN_MUST_USE;

/* ---- The gate (gate.c, gate_inputs.c) --------------------------------------------------------*/

enum { TN_SUSPECTS_MAX = 16 };

typedef struct tn_gate {
    const tn_graph *original, *optimised;
    const tn_graph *exact; /* what `optimised` was before its precision was lowered; NULL: layers
                              cannot be held back */
    tn_precision precision;
    const tn_engine *engine;
    tn_chooser *chooser; /* to make the same plan again with more outputs */
    const tn_shape_sets *shapes;
    double tolerance; /* 0: by the precision of the graph */
    tn_watch *watch;  /* may be NULL */
    tn_text *report;
    const char *result;    /* out: "passed" or "inconclusive" */
    double tolerance_used; /* out */
    /* out, on a MISMATCH: results of the nodes of `exact` that should not have been lowered */
    const char *suspect[TN_SUSPECTS_MAX];
    int suspect_count;
} tn_gate;

/* Tensors that nodes give and something reads become outputs, in the order of the nodes: those that
 * `like` (NULL: any) has too. */
tn_status tn_expose_values(tn_graph *graph, const tn_graph *like) TN_MUST_USE;
/* MISMATCH names the first tensor that differs. */
tn_status tn_gate_run(tn_gate *gate) TN_MUST_USE;
/* Random but sensible values: tokens inside their tables, masks of 0 and 1. attempt 0: random, 1:
 * integers 1, 2: integers 0, for inputs that steer the graph. draw: 0 floats in [-1, 1), 1 in
 * [0, 1), 2 in [-4, 4). Memory of tn_tensor_new. */
tn_status tn_gate_inputs(const tn_graph *graph, const tn_shape_set *set, const int64_t *values,
                         int attempt, int draw, tn_tensor *out) TN_MUST_USE;
enum { TN_GATE_ATTEMPTS = 3, TN_GATE_DRAWS = 3 };

/* ---- The graph before all passes (source.c) --------------------------------------------------*/

/* That of an engine that keeps one; what is not replaced is the engine's, which must outlive it. */
tn_status tn_source_parse(const tn_engine *engine, const tn_refit *refit, tn_arena *arena,
                          tn_graph **out) TN_MUST_USE;

/* ---- Tracing (trace.c) -----------------------------------------------------------------------*/

/* Begun on a fresh copy, ended when the copy was changed: by node of `from`, in order, the places
 * of what it became in the copy. */
typedef struct tn_trace {
    const tn_graph *from, *copy;
    const tn_node **node; /* of the copy, as it was */
} tn_trace;
tn_status tn_trace_begin(const tn_graph *from, const tn_graph *copy, tn_arena *arena,
                         tn_trace *out) TN_MUST_USE;
tn_status tn_trace_end(const tn_trace *trace, tn_arena *arena, tn_places **out) TN_MUST_USE;
/* Before its end: values that passes made in place of one of `from` get that one's name back. */
tn_status tn_trace_names(const tn_trace *trace, tn_graph *copy) TN_MUST_USE;

typedef struct tn_layer_facts {
    const tn_graph *source;    /* that the build began with ... */
    const tn_layers *before;   /* ... and what that came from, where it is the graph of an engine */
    const tn_places *portable; /* by node of the source; NULL: it is the portable graph */
    const tn_places *lowered;  /* by node of the portable graph; NULL: that is planned itself */
    int64_t portable_count;
    const tn_graph *planned;
    const tn_build_config *config;
} tn_layer_facts;
/* Fills engine->layers. */
tn_status tn_layers_keep(const tn_layer_facts *facts, tn_arena *arena,
                         tn_engine *engine) TN_MUST_USE;

/* ---- Finishing (finish.c, report.c) ----------------------------------------------------------*/

/* Constants, portable graph text, that of the source too (NULL: is not kept), and the tactics
 * found: the engine is ready. */
tn_status tn_finish(tn_engine *engine, const tn_graph *graph, const tn_graph *source,
                    tn_constant_list *constants) TN_MUST_USE;

/* The engine's report (deterministic), measured times and meta lines, from the texts of the stages.
 */
enum { TN_HELD_MAX = 256 };
typedef struct tn_record {
    tn_text partition, choices, gate, measured;
    const char *check;        /* "passed", "skipped", ... */
    const char *check_before; /* of the engine that is tuned; else NULL */
    double tolerance;
    int64_t nodes_before, nodes_after;
    bool optimised, rebuilt;
    tn_precision precision, asked; /* better than what was asked for, where that loses too much */
    const tn_profile *profiles;    /* for those who build it again */
    int profile_count;
    tn_lowered lowered;
    const char *held[TN_HELD_MAX]; /* results that the gate holds back in float32 */
    int held_count;
    int64_t rounded_count; /* nodes that stay in float32 for a QuantizeLinear behind them */
} tn_record;
/* "fp32", "tf32", "fp16", "bf16"; found by its name, F32 for others. */
const char *tn_precision_name(tn_precision precision);
tn_precision tn_precision_find(const char *name);
tn_status tn_report(tn_engine *engine, const tn_record *record) TN_MUST_USE;
void tn_record_fini(tn_record *record);

#endif
