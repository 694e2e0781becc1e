/* Private to the network-definition API: what a layer is, and the words its writers use.
 *
 * Layers are recorded as they are called (inputs, settings, weights) and written to a graph as
 * nodes when a shape is asked for or the model is made; so settings may come in any order. A kind
 * of layer is one function that writes it, and a row of what it takes.
 */
#ifndef TN_API_NETWORK_H
#define TN_API_NETWORK_H

#include "ir/draft.h"
#include "tensor/tensor.h"

/* What a caller set, or gave with the layer's call. */
typedef struct tn_kept {
    struct tn_kept *next;
    tn_setting setting;
    int32_t count;
    int64_t number[TN_RANK_MAX];
    double real[TN_RANK_MAX];
} tn_kept;

/* One layer being written. */
typedef struct tn_pen {
    tn_draft *draft;
    tn_layer *layer;
    tn_value **in; /* as the layer's inputs; NULL: not set */
    int32_t in_count;
    tn_value **out; /* to fill */
    bool copy;      /* weights: the graph outlives them */
} tn_pen;

typedef struct tn_layer_kind {
    const char *name;
    uint64_t settings;     /* bit s: has setting s */
    int32_t needs, inputs; /* inputs that must be there, and that there can be; -1: any number */
    int32_t outputs;
    void (*write)(tn_pen *pen); /* failures go to the draft */
} tn_layer_kind;
#define TN_HAS(setting) (UINT64_C(1) << TN_SET_##setting)
_Static_assert(TN_SET_END <= 64, "settings are bits");

/* A gate of one layer and direction of an RNN: weight and bias, on the input and on the state. */
typedef struct tn_cell_weights {
    tn_tensor weight[2], bias[2]; /* dtype NONE: not given */
} tn_cell_weights;
#define TN_GATES (TN_GATE_HIDDEN + 1)

struct tn_layer {
    tn_network *network;
    const tn_layer_kind *kind;
    tn_layer *base; /* itself; or the layer of which this is output `output` */
    int32_t output, output_count;
    int64_t index;    /* in order of the calls */
    const char *name; /* NULL: not given */
    const char *made; /* "pooling_3" */
    tn_layer **more;  /* handles of the outputs, where they were asked for */
    tn_layer **in;
    int32_t in_count;
    tn_kept *kept;
    tn_layer *next;
    /* What single kinds need besides. */
    tn_tensor tensor;                  /* constants */
    const char *text;                  /* inputs: the name; Einsum: the equation; constants that
                                          are weights: what of their layer */
    const char *dim_name[TN_RANK_MAX]; /* inputs */
    tn_layer *weight_of;               /* constants: the layer that it is a weight of */
    tn_cell_weights *gate;             /* RNN: [layer * directions + direction][gate] */
    tn_network *inside[2];             /* If, Loop */
    int32_t carried;                   /* Loop */
    /* The present writing. */
    uint32_t written; /* network->writing when its values were made */
    bool open;        /* waits for its inputs */
    tn_value **value;
};

struct tn_network {
    tn_arena arena;
    const char *name;
    tn_layer *first, *last;
    int64_t layer_count;
    tn_map inputs; /* name -> layer */
    struct tn_network_output {
        tn_layer *tensor;
        const char *name;
    } * output;
    int64_t output_count, output_capacity;
    bool failed;
    struct tn_status_record failure;
    tn_graph *sketch; /* for tn_layer_describe: of the layers asked for since the last change */
    bool nested;      /* has networks inside, whose changes it does not see */
    uint32_t writing; /* counts graphs begun: tells values of this one from older ones */
    bool busy;        /* being written: it stands inside itself */
};

/* ---- Recording (network_record.c) ------------------------------------------------------------*/

/* A failure of the network; the first one stays. */
void tn_network_fail(tn_network *network, tn_status status);
/* "pooling 'p1'", "pooling (layer 3)"; returns dst. */
const char *tn_layer_label(const tn_layer *layer, char *dst, size_t dst_bytes);
/* A new layer with these inputs; NULL, and a failure, where the network has failed or an input that
 * must be there is not good. */
tn_layer *tn_layer_add(tn_network *network, const tn_layer_kind *kind, tn_layer *const *in,
                       int in_count);
/* What a layer's call gives: NULL after a failure. */
tn_layer *tn_layer_done(tn_layer *layer);
/* A weight as input `index`: a constant of its own. NULL: none, which `optional` says is allowed.
 */
void tn_layer_weight(tn_layer *layer, int index, const char *what, const tn_tensor *tensor,
                     bool optional);
/* Is it a tensor with memory, of a type and shape that tensors can have? */
tn_status tn_layer_check_tensor(const tn_layer *layer, const char *what,
                                const tn_tensor *tensor) TN_MUST_USE;
/* A failure of the network that begins with the layer's label. */
void tn_layer_fail(const tn_layer *layer, tn_code code, const char *format, ...) TN_PRINTF(3, 4);
const char *tn_setting_name(tn_setting setting);
/* Settings that a layer's call takes as arguments; a copy. */
void tn_layer_keep_ints(tn_layer *layer, tn_setting setting, const int64_t *at, int count);
void tn_layer_keep(tn_layer *layer, tn_setting setting, int64_t value);
void tn_layer_keep_float(tn_layer *layer, tn_setting setting, double value);
/* The layer was changed: what was sketched with it is void. */
void tn_layer_touch(tn_layer *layer);

/* ---- Writing (network_write.c) ---------------------------------------------------------------*/

const tn_kept *tn_layer_find(const tn_layer *layer, tn_setting setting);
int64_t tn_pen_int(const tn_pen *pen, tn_setting setting, int64_t otherwise);
double tn_pen_float(const tn_pen *pen, tn_setting setting, double otherwise);
/* The index of the setting among names; a failure and NULL where it is none of them. */
const char *tn_pen_choice(const tn_pen *pen, tn_setting setting, const char *const *names,
                          int count, int otherwise);
/* `count` numbers, one for each axis; false after a failure. */
bool tn_pen_each(const tn_pen *pen, tn_setting setting, int count, int64_t otherwise, int64_t *out);
/* A failure of the layer. */
void tn_pen_fail(const tn_pen *pen, tn_code code, const char *format, ...) TN_PRINTF(3, 4);
/* The rank of an input, which must be known: -1 after a failure. */
int tn_pen_rank(const tn_pen *pen, int input);
/* An axis setting in [0, rank); -1 after a failure. */
int tn_pen_axis(const tn_pen *pen, tn_setting setting, int64_t otherwise, int rank);
/* A node under the layer's name. */
tn_value *tn_pen_op(const tn_pen *pen, const char *op, tn_value *const *in, int in_count,
                    const tn_attr *attr, int attr_count);
/* A node that is only a part of the layer: "name/Op". */
tn_value *tn_pen_part(const tn_pen *pen, const char *op, tn_value *const *in, int in_count,
                      const tn_attr *attr, int attr_count);
/* A formula over inputs and numbers (ir/draft.h), numbers of the type of the first. */
tn_value *tn_pen_formula(const tn_pen *pen, const char *text, const tn_named *named, int count);
/* A constant under a fresh name like this one; the data is borrowed unless `copy`. */
tn_value *tn_pen_constant(const tn_pen *pen, const char *name, const tn_tensor *tensor, bool copy);
/* Integers as i64; NULL gives NULL. */
tn_value *tn_pen_i64(const tn_pen *pen, tn_value *x);
/* The same data under another shape. */
tn_value *tn_pen_reshape(const tn_pen *pen, tn_value *x, const int64_t *dim, int rank);

/* Write the network into an empty graph: all inputs, then the layers that `only` needs, or all
 * layers and the outputs. */
tn_status tn_network_write(tn_network *network, tn_graph *graph, bool copy,
                           tn_layer *only) TN_MUST_USE;
void tn_network_drop_sketch(tn_network *network);

extern const tn_layer_kind tn_layer_input_kind, tn_layer_constant_kind;

#endif
