/* Private to exec: the mutable state of one stream of execution.
 *
 * A context remembers, for each of the last few sets of input shapes, everything that follows from
 * them (tn_resolved). Memory is kept beside: one block for all intermediates, a buffer for each
 * input that has to be copied and each output that the user did not bind, and buffers for tensors
 * whose size only a run can tell. All of them only grow. Pointers are put into the resolved
 * problems when they have changed since (`generation`), so that a run with the same bindings does
 * nothing but launch.
 */
#ifndef TN_EXEC_CONTEXT_H
#define TN_EXEC_CONTEXT_H

#include "exec/exec.h"
#include "exec/list.h"

enum { TN_SHAPES_KEPT = 8, TN_SHAPE_KEY = TN_RANK_MAX + 1 };
#define TN_NO_OFFSET SIZE_MAX

typedef struct tn_binding {
    tn_tensor given; /* strides in place */
    bool shaped, bound;
    tn_buffer own; /* input: its dense copy; output: memory where the user bound none */
    bool direct;   /* as of the last patch: kernels use given.data itself */
    bool on_card;  /* given.data is memory of the engine's card */
    tn_list list;  /* an input that is a list: copies of what the user gave */
} tn_binding;

/* What a loop keeps from one run to the next. */
typedef struct tn_control {
    tn_buffer *carried; /* one for each value that is carried or scanned */
    tn_list *list;
    tn_tensor *now; /* the value as of this iteration */
    const tn_list **list_now;
    int64_t iteration;
    bool condition;
} tn_control;

typedef struct tn_step_state {
    tn_problem problem;
    tn_launch launch;
    const tn_tactic *tactic;
    size_t scratch_bytes,
        scratch_offset; /* in the block; steps with run-time shapes have none there */
    bool bounce; /* a step of the card that only the host's last choice takes at these shapes */
} tn_step_state;

/* Steps [first, end) that the card does without the host. */
typedef struct tn_segment {
    int32_t first, end;
    void *recording;
    uint64_t generation; /* of the pointers in it */
    int runs;            /* with these pointers, before it was recorded */
} tn_segment;

typedef struct tn_resolved {
    tn_arena arena;
    uint64_t used;       /* for throwing out the one not used for longest */
    uint64_t generation; /* of the pointers in `at` and `step` */
    bool *host_reads;    /* by input: a step of the host reads it */
    bool *card_writes;   /* by output: the card writes it */
    int64_t *key;        /* TN_SHAPE_KEY numbers for each input: rank, dims */
    int64_t *value;      /* of every expression of the plan */
    bool stale;          /* a run-time symbol changed since `value` was evaluated */
    tn_tensor *at;       /* every tensor of the plan */
    size_t *offset;      /* in the block, or TN_NO_OFFSET */
    int32_t *stand_in;   /* tensors of the card that stand for an input (its number + 1) or an
                            output (minus that), and may lie in the same memory; else 0 */
    tn_step_state *step;
    size_t block_bytes, card_bytes;
    tn_segment *segment;
    int32_t segment_count;
    bool *hidden;  /* by step: what it writes is read by the next step alone */
    bool foreseen; /* the card has been told what will be launched */
} tn_resolved;

struct tn_context {
    const tn_engine *engine;
    const tn_plan *plan;     /* the engine's, or one inside it */
    tn_context **sub;        /* for plan->sub */
    tn_control *control;     /* for each step */
    tn_list *list;           /* for each tensor: its own, where it is a list and no input */
    const tn_list **list_at; /* for each tensor: where it is a list, what a step reads */
    tn_arena arena;
    tn_binding *input, *output;
    /* What follows from the plan alone. */
    int32_t *first,
        *last;     /* of root tensors: the steps they live from and to; first -1: no memory */
    int32_t *slot; /* run-time tensors: their buffer; else -1 */
    bool *step_dynamic;
    bool dynamic;
    /* Memory. */
    tn_buffer block, scratch;
    /* A card: its part of the block, and where its work queues up. Inputs and outputs then always
     * go through buffers of the context, so that a recording stays valid when the user binds
     * others. */
    tn_buffer card_block;
    void *stream;
    void *queue;    /* of the caller's, where the stream's work goes; NULL: its own */
    bool card_busy; /* something on the stream may not be done */
    bool pending;   /* a run was begun whose outputs nobody has waited for */
    uint64_t begun; /* when, where time is measured */
    bool measuring, marked;
    double device_ns; /* of the last run; -1: not measured */
    tn_buffer *slot_buffer;
    int32_t slot_count;
    tn_arena run_arena;
    tn_arena text; /* characters of the strings that a run makes, until the next one */
    /* Shapes. */
    tn_resolved *seen[TN_SHAPES_KEPT];
    tn_resolved *now; /* NULL: an input's shape changed */
    int64_t *key;     /* scratch */
    uint64_t clock, generation;
    bool ran, keeps_denormals;
    int64_t *iterations_left; /* shared with the contexts inside; NULL: loops may run for ever */
    int64_t iterations;
    /* Profile. */
    bool profiling;       /* steps are timed: for these sums ... */
    bool summing;         /* ... as asked for ... */
    tn_profiler profiler; /* ... and for whoever listens */
    void *profiler_self;
    uint64_t run_begun;
    uint64_t *step_ns;
    int64_t *step_runs;
    const tn_watch *watch;
};

/* "f32[batch,10]" as the plan declares a tensor. */
const char *tn_plan_type_text(const tn_plan *plan, int32_t tensor, char *dst, size_t dst_bytes);

/* resolve.c: everything that follows from the shapes in context->key. */
tn_status tn_resolve(tn_context *context, tn_resolved *r) TN_MUST_USE;
/* Run-time symbols forgotten; expressions evaluated where something changed. */
void tn_resolved_forget(const tn_plan *plan, tn_resolved *r);
tn_status tn_resolved_evaluate(const tn_plan *plan, tn_resolved *r) TN_MUST_USE;
/* dtype, rank, dims of a plan tensor from the values; *known is false where one is not known yet.
 */
tn_status tn_resolved_type(const tn_plan *plan, const tn_resolved *r, int32_t tensor,
                           tn_tensor *out, bool *known) TN_MUST_USE;
/* The reference's word on whether these shapes fit its operator; the run's arena is rewound. */
tn_status tn_step_check(tn_context *context, const tn_plan_step *step,
                        const tn_problem *p) TN_MUST_USE;
/* The first choice that takes the problem; the constants it reads are checked. */
tn_status tn_step_choose(const tn_context *context, const tn_plan_step *step, const tn_problem *p,
                         const tn_plan_choice **out) TN_MUST_USE;
/* Those that this choice reads; NULL: all that the step may read. */
tn_status tn_step_check_constants(const tn_context *context, const tn_plan_step *step,
                                  const tn_problem *p, const tn_plan_choice *choice) TN_MUST_USE;

/* context.c: context->now, from the shapes seen or resolved anew. */
tn_status tn_context_shapes(tn_context *context) TN_MUST_USE;
/* bind.c: memory and pointers for context->now. */
tn_status tn_context_patch(tn_context *context) TN_MUST_USE;
/* bind.c: an input of a plan inside another: memory of that one's. What has not changed costs
 * nothing. */
tn_status tn_context_give(tn_context *context, int32_t input, const tn_tensor *tensor) TN_MUST_USE;
tn_status tn_context_give_list(tn_context *context, int32_t input, const tn_list *list) TN_MUST_USE;

/* run.c: what steps with run-time shapes do. Shapes and data of what a step reads, into p->in. */
tn_status tn_step_read(tn_context *context, const tn_plan_step *step, tn_problem *p) TN_MUST_USE;
/* Output k has been found to be of this type: it gets memory, and symbols that hang on it their
 * values. A fixed shape must be just this one. */
tn_status tn_step_give(tn_context *context, const tn_plan_step *step, int32_t k,
                       const tn_tensor *found, tn_tensor *out) TN_MUST_USE;
/* The strings of a tensor with characters that last as long as this run; other tensors as they are.
 */
tn_status tn_context_keep_text(tn_context *context, const tn_tensor *from,
                               tn_tensor *out) TN_MUST_USE;

/* card.c: the parts of a plan that a card does. Before the first run at these shapes: the card
 * makes ready what it will launch; what it cannot, the host will do. codes: as
 * tn_exec_context_foresee. */
tn_status tn_context_foresee(tn_context *context, tn_card_codes *codes) TN_MUST_USE;
tn_status tn_context_find_segments(tn_context *context, tn_resolved *r) TN_MUST_USE;
void tn_resolved_free_segments(const tn_context *context, tn_resolved *r);
tn_status tn_segment_run(tn_context *context, tn_segment *segment) TN_MUST_USE;
/* One step of the card, or a copy from or to it; the stream is not waited for. */
tn_status tn_step_run_card(tn_context *context, int32_t step) TN_MUST_USE;
/* Where such a tensor lies: the memory of the input or output it stands for, if the card may use
 * it. */
void *tn_stand_in_data(const tn_context *context, int32_t stand_in, const tn_tensor *at);
tn_status tn_context_find_stand_ins(tn_context *context, tn_resolved *r) TN_MUST_USE;
/* The bytes of an input or output that is bound on the card, for and from steps of the host. */
tn_status tn_context_move(tn_context *context, void *to, const void *from,
                          const tn_tensor *type) TN_MUST_USE;
/* device_ns of the run that is done. */
tn_status tn_context_read_marks(tn_context *context) TN_MUST_USE;
/* Times of single steps: between the marks 0 and 1. */
tn_status tn_context_mark(tn_context *context, int which) TN_MUST_USE;
tn_status tn_context_elapsed(tn_context *context, double *ns) TN_MUST_USE;
bool tn_step_is_card(const tn_plan *plan, const tn_plan_step *step);
/* Until all that was put on the stream is done. */
tn_status tn_context_drain(tn_context *context) TN_MUST_USE;
/* Where the stream's work goes from now on, in order with what went elsewhere. */
tn_status tn_context_use(tn_context *context, void *queue) TN_MUST_USE;
/* NULL: what tn_context_range began with a name ends. */
void tn_context_range(const tn_context *context, const char *name);

/* control.c and sequence.c: steps that no tactic runs. */
tn_status tn_step_run_control(tn_context *context, int32_t step) TN_MUST_USE;
tn_status tn_step_run_sequence(tn_context *context, int32_t step) TN_MUST_USE;

#endif
