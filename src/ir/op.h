/* An operator: one const struct at the end of its file in ops/<op>/.
 *
 * One meaning per operator, that of the newest opset; `upgrade` rewrites older ones at import.
 * Shape logic is written once: `infer` serves the symbolic graph at build time and, with all dims
 * and data known, shapes that only a run can tell (ops/reference.c).
 */
#ifndef TN_IR_OP_H
#define TN_IR_OP_H

#include "ir/graph.h"

typedef struct tn_gradient tn_gradient; /* ir/gradient.h */

/* ---- Inference
 * ---------------------------------------------------------------------------------*/

typedef struct tn_infer {
    const tn_op *op;
    const void *params;
    const char *label;   /* the node, for messages; message prefix is added by the caller */
    const tn_node *node; /* NULL for a problem; only for operators with own_attrs */
    tn_exprs *exprs;
    tn_arena *arena;
    tn_expr *runtime; /* what tn_infer_fresh gave, in order; filled with the node's own from
                         an earlier inference, so that symbols stay the same */
    int64_t runtime_count, runtime_capacity, fresh_count;
    int32_t in_count, out_count;
    const tn_type *in;     /* dtype NONE: absent */
    const tn_known *known; /* per input */
    const tn_tensor *data; /* per input: contents where known (constants; all, at run time), else
                              data NULL */
    tn_type *out;          /* to fill; entries of outputs not asked for are filled all the same */
    tn_known *out_known;   /* to fill where values can be told */
} tn_infer;

bool tn_infer_has(const tn_infer *f, int input); /* present */
/* Values of an integer input as expressions; false, with nothing written, if not known at all.
 * Elements may be NONE. */
bool tn_infer_exprs(tn_infer *f, int input, const tn_expr **at, int64_t *count);
/* Values if all are constants and there are at most `max`. */
bool tn_infer_ints(tn_infer *f, int input, int64_t *at, int max, int *count);
/* The number of elements of a rank-1 input if constant ("how many axes"), else -1. */
int64_t tn_infer_length(const tn_infer *f, int input);
/* Axis in [-rank, rank) to [0, rank). The error: "axis 4 is outside [-3, 3)". */
tn_status tn_infer_axis(const tn_infer *f, int64_t axis, int rank, int *out) TN_MUST_USE;
/* That inputs have so many axes (-1: any), the first `count`; absent ones are skipped. *known turns
 * false where a rank is not known. */
tn_status tn_infer_ranks(const tn_infer *f, const int *rank, int count, bool *known) TN_MUST_USE;
/* That an input, if it is there, has `want` along an axis, as far as both are known. */
tn_status tn_infer_size(const tn_infer *f, int input, int axis, tn_expr want) TN_MUST_USE;
/* A dim that only a run finds out. */
tn_expr tn_infer_fresh(tn_infer *f);
/* Fill out[index]: rank -1 leaves dims unknown. */
void tn_infer_set(tn_infer *f, int index, tn_dtype dtype, int rank, const tn_expr *dim);
void tn_infer_same(tn_infer *f, int index, int input); /* type of an input */
void tn_infer_set_known(tn_infer *f, int index, const tn_expr *at, int64_t count); /* copied */
/* Broadcast of input shapes [first, first+count) (absent ones are skipped). A provable conflict is
 * an error that prints both shapes. Unknown rank gives rank -1. */
tn_status tn_infer_broadcast(tn_infer *f, int first, int count, int *rank,
                             tn_expr *dim) TN_MUST_USE;

/* ---- Schema
 * ------------------------------------------------------------------------------------*/

enum {
    TN_PORT_OPTIONAL = 1, /* may be absent */
    TN_PORT_VARIADIC = 2, /* the last port: one or more of it */
    TN_PORT_ANY_KIND = 4, /* sequences and optionals too; infer has to look at the kind */
};

typedef struct tn_port {
    const char *name;
    tn_dtypes types;
    char var; /* ports with the same letter have the same dtype; 0: free */
    uint8_t flags;
} tn_port;

#define TN_PORTS_MAX 12

typedef struct tn_upgrade {
    int below; /* applies to nodes from an opset < below, in rising order of below */
    tn_status (*run)(tn_graph *graph, tn_node *node);
} tn_upgrade;
#define TN_UPGRADES_MAX 6

/* Test data of an operator: a problem in text (device.h) without outputs. Inputs without data are
 * filled at random from [lo, hi) (0, 0: [-1, 1) for floats, [0, 10) for integers). */
typedef struct tn_case {
    const char *problem; /* "Slice f32[4,5] i64[1]={1} i64[1]={3}", "Softmax{axis=0} f32[7,3]" */
    const char *expect;  /* NULL, or the outputs: "f32[2]={1,2}", by hand or from a stated source */
    double lo, hi;
    double tolerance; /* relative L2 for other tactics than the reference; 0: 1e-5 (1e-2 for 16
                         bits) */
} tn_case;

/* What runs a node in a plan. */
typedef enum tn_runs {
    TN_RUNS_TACTIC, /* a kernel */
    TN_RUNS_IF,     /* the plan itself, with plans inside */
    TN_RUNS_LOOP,
    TN_RUNS_SCAN,
    TN_RUNS_MAP,
    TN_RUNS_SEQUENCE, /* the plan itself, which keeps sequences and optionals */
} tn_runs;

struct tn_op {
    const char *name;
    const char *domain;    /* NULL: ai.onnx. "tenon" for our own */
    const char *file_name; /* NULL: name. What model files and .tn text call it within its domain:
                              the name of a user's operator carries the domain, "my.ops.Scale", so
                              that no name of ours is ever taken for it */
    int since;             /* opset of this meaning */
    const char *about;     /* one line for docs/ops.md, with the formula */
    const tn_port *in, *out;
    int in_count, out_count; /* ports; optional trailing ones may be left off by a node */
    const tn_field *field;
    int field_count;
    const char *own_attrs; /* "a|b": attributes that are not fields; lower or infer read them from
                              the node */
    uint32_t params_bytes;
    /* After the fields are filled: checks and derived values. NULL: nothing more. */
    tn_status (*lower)(const tn_node *node, void *params);
    /* Instead of all of the above, for operators of users: every attribute of the node, in
     * parameters of their own size. */
    tn_status (*pack)(const tn_node *node, tn_arena *arena, void **params, uint32_t *bytes);
    tn_status (*infer)(tn_infer *f);
    /* What to take the node's k-th run-time symbol for while kernels are chosen, from the values of
     * the graph's expressions; TN_EXPR_UNKNOWN: no idea, like NULL. */
    int64_t (*guess)(const tn_node *node, const int64_t *values, int k);
    tn_runs runs;
    /* Of operators with graphs inside (ir/subgraph.h). enter: the types that the inputs of a graph
     * inside have seen from the node's graph, whose expressions they use. carried: how many inputs
     * of that graph are its own outputs of the iteration before: output out_first + i becomes input
     * in_first + i. */
    tn_status (*enter)(const tn_node *node, const tn_graph *inside, const tn_type *in, int in_count,
                       tn_type *seen);
    int (*carried)(const tn_node *node, int *in_first, int *out_first);
    /* The slow, obvious kernel for every dtype of the schema. Dense tensors. NULL only for
     * operators that exist to be rewritten (`expand`, or upgrade alone), and for those that the
     * plan itself runs. */
    tn_status (*reference)(const tn_launch *l);
    size_t (*scratch_bytes)(const tn_problem *p); /* of the reference */
    /* Inputs that only tell the output's shape, which the plan knows: bit i. The reference must not
     * read them. */
    uint64_t shape_inputs;
    bool view;   /* output 0 is input 0's data, bit for bit, under another shape (Reshape) */
    bool impure; /* not to be folded or merged (random) */
    tn_upgrade upgrade[TN_UPGRADES_MAX];
    /* The way back from an upgrade for every opset, for files: tables that it made inputs become
     * attributes again. The node then only serves to be written. NULL: there is no way back. */
    tn_status (*restore)(tn_node *node);
    /* Gradients for training (ir/gradient.h). `derivative` is the rule of operators that work
     * element by element, a formula for each input: "dy * b; dy * a". "0": the output is flat, no
     * gradient goes on from it. `gradient` is a rule in C, which goes first. Neither: cannot be
     * differentiated. */
    const char *derivative;
    void (*gradient)(tn_gradient *g);
    const tn_case *cases; /* ended by problem NULL */
};

/* The table of all operators, ended by NULL: made from the folders of ops/ by scripts/gen_ops,
 * linked by real references so that no linker drops one. */
extern const tn_op *const tn_op_table[];
/* domain NULL, "" and "ai.onnx" are the same. NULL if there is none. */
const tn_op *tn_op_find(const char *domain, const char *name);
/* By `name` alone: names are unique over our domains, except that ai.onnx goes first. */
const tn_op *tn_op_find_any(const char *name);
const char *tn_op_file_name(const tn_op *op);

/* Operators beside the table, which are found like those in it: what a program registers. An entry
 * lives for ever; one thread adds at a time, any number may look meanwhile. */
typedef struct tn_op_entry {
    tn_op op;
    struct tn_op_entry *next;
} tn_op_entry;
void tn_op_entry_add(tn_op_entry *entry);

#endif
