/* Private to export: what values are called in a file.
 *
 * A graph inside a node speaks of outer values by name, so a name means one thing in a whole file.
 * What a graph inside captures is called as it is outside, and its large constants stand once, in
 * the graph of the model. */
#ifndef TN_EXPORT_ONNX_NAMES_H
#define TN_EXPORT_ONNX_NAMES_H

#include "export/onnx_forms.h"

typedef struct tn_onnx_scope {
    struct tn_onnx_scope *outer, *next;
    tn_graph *graph;
    const char **name; /* by value id */
    int64_t given;     /* inputs that are told; those behind them are captured */
} tn_onnx_scope;

/* A constant of a graph inside that the graph of the model holds. */
typedef struct tn_onnx_hoisted {
    struct tn_onnx_hoisted *next;
    const char *name;
    const tn_tensor *tensor;
} tn_onnx_hoisted;

typedef struct tn_onnx_names {
    tn_arena *arena;
    tn_onnx_scope *root, *last;
    tn_onnx_hoisted *hoisted, *last_hoisted;
    tn_map used, nodes;
    tn_map hoisted_by_data;
} tn_onnx_names;

#define TN_ONNX_HOISTED_LEAST 1024 /* bytes */

/* Names for all values and nodes of a graph, which gets Identity nodes where an output is no value
 * of its own. Nodes bear their new names afterwards. */
tn_status tn_onnx_names_make(tn_onnx_names *names, tn_graph *graph, tn_arena *arena) TN_MUST_USE;
const tn_onnx_scope *tn_onnx_scope_of(const tn_onnx_names *names, const tn_graph *graph);
/* "" for NULL. */
const char *tn_onnx_name_of(const tn_onnx_scope *scope, const tn_value *value);
/* Is the constant told in the graph of the model in place of its own. */
bool tn_onnx_is_hoisted(const tn_onnx_scope *scope, const tn_value *constant);

#endif
