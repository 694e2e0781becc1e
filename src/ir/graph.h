/* The graph: values in SSA form and the nodes between them.
 *
 * A value has one producer (or is an input or a constant), a type, and knows its users. Nodes form
 * a list that is always in topological order. Everything lives in the graph's arena and is never
 * freed singly: removed nodes are unlinked. All edits go through the functions here, which keep
 * users and order right; ir/verify.c checks the result after every pass.
 */
#ifndef TN_IR_GRAPH_H
#define TN_IR_GRAPH_H

#include "base/map.h"
#include "device/device.h"
#include "tensor/expr.h"
#include "tensor/tensor.h"

typedef struct tn_graph tn_graph;
typedef struct tn_node tn_node;
typedef struct tn_value tn_value;
typedef struct tn_op tn_op;

/* A tensor, a list of tensors, either of them or nothing. All but tensors are described by the
 * tensors in them: a dim in which these may differ is NONE. */
typedef enum tn_type_kind {
    TN_TYPE_TENSOR,
    TN_TYPE_SEQUENCE,
    TN_TYPE_OPTIONAL,
    TN_TYPE_OPTIONAL_SEQUENCE,
} tn_type_kind;

typedef struct tn_type {
    tn_type_kind kind;
    tn_dtype dtype; /* NONE: not known, or an absent input */
    int32_t rank;   /* -1: not known */
    tn_expr dim[TN_RANK_MAX];
} tn_type;

/* Element values of a small integer or bool tensor (rank 0 or 1, at most TN_KNOWN_MAX elements), as
 * expressions, row-major. at == NULL: not known. Single elements may be TN_EXPR_NONE.
 * f32 and f64 tensors may be known too where they hold whole numbers: exporters take sizes through
 * floats. */
#define TN_KNOWN_MAX 64
typedef struct tn_known {
    const tn_expr *at;
    int64_t count;
} tn_known;

typedef enum tn_value_kind { TN_VALUE_INPUT, TN_VALUE_CONSTANT, TN_VALUE_NODE } tn_value_kind;

typedef struct tn_use {
    tn_node *node;
    int32_t index; /* node->in[index] == value */
} tn_use;

struct tn_value {
    tn_value_kind kind;
    uint32_t id;      /* unique in the graph, in order of making */
    const char *name; /* unique in the graph; never NULL */
    tn_type type;
    tn_known known;
    tn_tensor constant; /* CONSTANT: dense data, read-only, lives as long as the graph */
    tn_node *producer;  /* NODE */
    int32_t producer_index;
    tn_use *use;
    int64_t use_count, use_capacity;
    int32_t output_count; /* how many graph outputs it is */
    uint16_t varies;      /* INPUT of a loop's body: bit i: dim i differs from one iteration to the
                             next; TN_VARIES_RANK: the rank does */
    tn_graph *graph;
};
#define TN_VARIES_RANK (1u << 15)

/* Attributes as they came from the file; op->fields turn them into params. */
typedef enum tn_attr_kind {
    TN_ATTR_INT,
    TN_ATTR_FLOAT,
    TN_ATTR_TEXT,
    TN_ATTR_TENSOR,
    TN_ATTR_GRAPH,
    TN_ATTR_INTS,
    TN_ATTR_FLOATS,
    TN_ATTR_TEXTS,
    TN_ATTR_OTHER
} tn_attr_kind;
const char *tn_attr_kind_text(tn_attr_kind kind); /* "an integer", "a list of floats" */
typedef struct tn_attr {
    const char *name;
    tn_attr_kind kind;
    int64_t i;
    double f;
    tn_string text; /* zero-ended too */
    tn_tensor tensor;
    tn_graph *graph;
    int64_t count; /* of ints, floats, texts */
    const int64_t *ints;
    const float *floats;
    const tn_string *texts;
} tn_attr;

struct tn_node {
    const tn_op *op;
    uint32_t id;
    const char *name; /* for messages; may be "" */
    tn_value **in;    /* NULL entries: absent optional inputs */
    int32_t in_count, in_capacity;
    tn_value **out; /* NULL entries: outputs nobody asked for */
    int32_t out_count;
    tn_attr *attr;
    int32_t attr_count, attr_capacity;
    void *params;          /* params_bytes; filled by tn_node_lower */
    uint32_t params_bytes; /* op->params_bytes, unless the operator packs them itself */
    tn_expr *runtime;      /* symbols that tn_infer_fresh made here: the same ones each time */
    int64_t runtime_count, runtime_capacity;
    tn_node *prev, *next;
    tn_graph *graph;  /* NULL once removed */
    tn_value *became; /* what tn_value_replace put in place of a result of it; NULL: nothing */
};

typedef struct tn_output {
    const char *name; /* the name the user knows, whatever the value is called */
    tn_value *value;
} tn_output;

/* A graph in an attribute of a node (a branch of If, the body of Loop or Scan) is a graph of its
 * own: values, names and expressions of the graph around it mean nothing in it. What it uses from
 * outside comes in as inputs behind those that the operator gives, and as inputs of the node: see
 * ir/subgraph.h. */
struct tn_graph {
    tn_arena *arena;  /* owned by the root graph, shared with the graphs inside it */
    tn_exprs *exprs;  /* its own */
    tn_graph *parent; /* of a graph in a node: the graph of the node */
    int32_t depth;    /* 0: a root */
    const char *name;
    tn_value **input;
    int64_t input_count, input_capacity;
    tn_output *output;
    int64_t output_count, output_capacity;
    tn_value **constant; /* all constants ever made; those without users are skipped by printers */
    int64_t constant_count, constant_capacity;
    tn_node *first, *last;
    int64_t node_count;
    uint32_t next_id;
    tn_map names; /* value name -> value */
};

/* ---- Making ----------------------------------------------------------------------------------*/

/* A root graph owns its arena; tn_graph_free takes it all away. */
tn_status tn_graph_new(const char *name, tn_graph **out) TN_MUST_USE;
void tn_graph_free(tn_graph *graph);
/* A graph for an attribute of a node of `parent`; freed with the root. At most TN_GRAPH_DEPTH_MAX
 * deep. */
#define TN_GRAPH_DEPTH_MAX 64
tn_status tn_graph_new_child(tn_graph *parent, const char *name, tn_graph **out) TN_MUST_USE;
/* A compact copy of a root with an arena of its own. Constants share the data of the original,
 * which must outlive the copy, unless `copy_data`. */
tn_status tn_graph_clone(const tn_graph *graph, bool copy_data, tn_graph **out) TN_MUST_USE;

/* Dims of a tensor that are NONE get symbols of their own, "x.0". */
tn_status tn_graph_add_input(tn_graph *graph, const char *name, tn_type type,
                             tn_value **out) TN_MUST_USE;
/* name NULL: a fresh one ("c12"). The data is borrowed for the graph's life unless `copy`. */
tn_status tn_graph_add_constant(tn_graph *graph, const char *name, const tn_tensor *tensor,
                                bool copy, tn_value **out) TN_MUST_USE;
/* Small constants: an i64 vector, an i64 scalar, a scalar of any numeric type. */
tn_status tn_graph_add_ints(tn_graph *graph, const int64_t *at, int64_t count,
                            tn_value **out) TN_MUST_USE;
tn_status tn_graph_add_scalar(tn_graph *graph, tn_dtype dtype, double value,
                              tn_value **out) TN_MUST_USE;
tn_status tn_graph_add_output(tn_graph *graph, const char *name, tn_value *value) TN_MUST_USE;

/* A node before `before` (NULL: at the end) with `out_count` fresh outputs. Entries of `in` may be
 * NULL (absent). out_names may be NULL or have NULL entries: fresh names. Types are not known until
 * tn_node_infer. An output whose name is "" is made NULL (not asked for). */
tn_status tn_graph_add_node(tn_graph *graph, const tn_op *op, const char *name, tn_value *const *in,
                            int in_count, const char *const *out_names, int out_count,
                            tn_node *before, tn_node **out) TN_MUST_USE;

/* One more output behind those of a node. */
tn_status tn_node_add_output(tn_node *node, tn_value **out) TN_MUST_USE;

/* ---- Editing ---------------------------------------------------------------------------------*/

/* Everybody who read `old` reads `with` (graph outputs too). */
tn_status tn_value_replace(tn_value *old, tn_value *with) TN_MUST_USE;
tn_status tn_node_set_input(tn_node *node, int index, tn_value *value) TN_MUST_USE; /* grows in[] */
void tn_node_trim_inputs(tn_node *node); /* drop absent inputs at the end */
/* Unlink a node none of whose outputs has users. */
void tn_node_remove(tn_node *node);
/* Drop an input that nobody reads. */
void tn_graph_remove_input(tn_graph *graph, int64_t index);
/* Drop an input and close the gap. */
tn_status tn_node_remove_input(tn_node *node, int index) TN_MUST_USE;
void tn_node_set_op(tn_node *node, const tn_op *op); /* params are lowered anew on the next lower */
/* Nodes into topological order (importers); a cycle is INVALID and names a node on it. */
tn_status tn_graph_sort(tn_graph *graph) TN_MUST_USE;
/* A value name not used yet, from a base. */
tn_status tn_graph_fresh_name(tn_graph *graph, const char *base, const char **out) TN_MUST_USE;

const tn_attr *tn_node_find_attr(const tn_node *node, const char *name);
int64_t tn_node_int_attr(const tn_node *node, const char *name, int64_t otherwise);
double tn_node_float_attr(const tn_node *node, const char *name, double otherwise);
/* Adds or replaces. Names, texts and lists are copied; the data of a tensor is borrowed. */
tn_status tn_node_set_attr(tn_node *node, const tn_attr *attr) TN_MUST_USE;
tn_status tn_node_set_int(tn_node *node, const char *name, int64_t value) TN_MUST_USE;
void tn_node_remove_attr(tn_node *node, const char *name);

bool tn_value_is_constant(const tn_value *value);
bool tn_value_has_users(const tn_value *value); /* nodes or graph outputs */

/* ---- Types -----------------------------------------------------------------------------------*/

tn_type tn_type_of(tn_dtype dtype, int rank, const tn_expr *dim);
bool tn_type_equals(const tn_type *a, const tn_type *b);
/* "f32[batch,10]", "f32[...]" for an unknown rank; returns dst. */
const char *tn_type_text(const tn_exprs *exprs, const tn_type *type, char *dst, size_t dst_bytes);
void tn_type_print(const tn_exprs *exprs, const tn_type *type, tn_text *out);

/* "Softmax 'attn/sm'", or "Softmax giving 'y'" for a node without a name. */
const char *tn_node_label(const tn_node *node, char *dst, size_t dst_bytes);
/* Puts the node's label before the message of a failure that does not name it yet. */
tn_status tn_node_blame(const tn_node *node, tn_status status) TN_MUST_USE;

/* ---- Lowering, inference, checking
 * ---------------------------------------------------------------*/

/* Attributes -> params by op->field (then op->lower). Unknown attributes, wrong kinds and missing
 * required ones are errors that name the node; those in op->own_attrs are left to the operator. */
tn_status tn_node_lower(tn_node *node) TN_MUST_USE;
/* Check arity and types against the schema, then op->infer. Needs lowered params. Output types that
 * were declared before (import) are refined, not overwritten by less; a contradiction is an error.
 * Where the rank is known no dim stays NONE: what infer cannot tell becomes a run-time symbol. */
tn_status tn_node_infer(tn_node *node) TN_MUST_USE;
/* The schema alone: arity and input types. For rules that rewrite the node rather than infer it. */
tn_status tn_node_check(const tn_node *node) TN_MUST_USE;
/* Lower and infer every node in order. */
tn_status tn_graph_infer(tn_graph *graph) TN_MUST_USE;
/* All invariants: users match inputs, order, unique names, every node lowered and typed. */
tn_status tn_graph_verify(const tn_graph *graph) TN_MUST_USE;

/* ---- Text (.tn) ------------------------------------------------------------------------------
 *
 *     graph "bert" {
 *       input  %ids : i64[batch,seq]
 *       const  %w   : f32[768,768] = #0        # data lives beside the text, by number
 *       const  %two : i64[2]={0,1}             # small ones are written out
 *       %1 : f32[batch,seq,768] = Gather{axis=0}(%table, %ids)  "embeddings/Gather"
 *       output "logits" = %9
 *     }
 *
 * Names with other characters than letters, digits and _ . / : - are quoted: %"a b". Absent inputs
 * and outputs are "_". A second output: "%a : f32[2], %b : i64[2] = TopK(...)". A type may be left
 * off an output. Our own operators carry their domain: tenon.Dims{dims=["batch"]}(). Types that are
 * no tensors: "sequence of f32[?,3]", "optional f32[2]", "optional sequence of f32[...]". A graph
 * inside a node: If{then_branch=graph "" {...}, else_branch=graph "" {...}}(%c, %x).
 */
typedef struct tn_graph_print_options {
    int64_t inline_max; /* constants up to this many elements are written out (0: 8; below: none) */
} tn_graph_print_options;
/* `constants` (may be NULL) receives, in order, the values whose data is beside the text: an arena
 * array of *constant_count. */
tn_status tn_graph_print(const tn_graph *graph, const tn_graph_print_options *options, tn_text *out,
                         tn_arena *arena, const tn_value *const **constants,
                         int64_t *constant_count) TN_MUST_USE;
/* Constants "#k" take their data from data[k] (borrowed): k beyond the count is an error. Nodes are
 * lowered, inferred and verified. */
tn_status tn_graph_parse(const char *text, size_t bytes, const tn_tensor *data, int64_t data_count,
                         tn_graph **out) TN_MUST_USE;

/* ---- Pattern matching -------------------------------------------------------------------------
 *
 * A rule is data: a tree of nodes seen from its root (pattern[0]), a condition, a replacement.
 *
 *     static const tn_pattern pattern[] = {
 *         { "act", "Relu|Tanh", .in = { "mm" } },
 *         { "mm",  "MatMul",    .in = { "x", "w" }, .users = 1 },
 *     };
 * A name in `in` is another row, or a leaf that binds a value; the same leaf twice must be the same
 * value. .commutes tries both orders of two inputs.
 */
#define TN_PATTERN_INPUTS 6
#define TN_MATCH_MAX 32
typedef struct tn_pattern {
    const char *name;
    const char *op;                    /* "A|B" */
    const char *in[TN_PATTERN_INPUTS]; /* NULL-ended; "-" is an absent input; "*" anything */
    int users; /* >0: the matched output has exactly that many users and is no graph output */
    bool commutes;
} tn_pattern;

typedef struct tn_match {
    int count;
    struct {
        const char *name;
        tn_node *node;   /* of a pattern row */
        tn_value *value; /* its output 0, or the leaf */
    } bound[TN_MATCH_MAX];
} tn_match;

typedef struct tn_rule {
    const char *name;
    const tn_pattern *pattern;
    int pattern_count;
    bool (*holds)(const tn_match *match); /* NULL: always */
    tn_status (*replace)(tn_graph *graph,
                         const tn_match *match); /* edits the graph; dead nodes may stay */
} tn_rule;

bool tn_match_at(tn_node *root, const tn_pattern *pattern, int pattern_count, tn_match *out);
tn_value *tn_match_value(const tn_match *match, const char *name); /* NULL if not bound */
tn_node *tn_match_node(const tn_match *match, const char *name);
/* Apply a rule wherever it fits, until it fits no more (each root once a sweep); counts. */
tn_status tn_rule_apply(tn_graph *graph, const tn_rule *rule, int64_t *applied) TN_MUST_USE;

#endif
