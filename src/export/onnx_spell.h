/* Private to export: small graphs in place of a node. */
#ifndef TN_EXPORT_ONNX_SPELL_H
#define TN_EXPORT_ONNX_SPELL_H

#include "export/onnx_forms.h"

/* Where new nodes go and what has failed: the first failure makes the rest of a chain give NULL, so
 * that formulas read as formulas and are checked once. */
typedef struct tn_speller {
    tn_graph *graph;
    tn_node *before; /* NULL: at the end */
    int64_t opset;
    tn_status status;
} tn_speller;

/* A node of ai.onnx, lowered and inferred; its output. attr may be NULL. */
tn_value *tn_spell_node(tn_speller *s, const char *op, tn_value *const *in, int in_count,
                        const tn_attr *attr);
tn_value *tn_spell1(tn_speller *s, const char *op, tn_value *a);
tn_value *tn_spell2(tn_speller *s, const char *op, tn_value *a, tn_value *b);
tn_value *tn_spell_ints(tn_speller *s, const int64_t *at, int64_t count);
tn_value *tn_spell_scalar(tn_speller *s, tn_dtype dtype, double value);
tn_value *tn_spell_cast(tn_speller *s, tn_value *a, tn_dtype dtype);
/* Everybody who reads output `index` of the node reads `with`. */
void tn_spell_replace(tn_speller *s, tn_node *node, int index, tn_value *with);

/* All tenon.Dims become arithmetic on shapes of inputs; Reshape and Expand get by with constants
 * where 0, -1 and 1 say enough. */
tn_status tn_onnx_spell_dims(tn_graph *graph, int64_t opset) TN_MUST_USE;

#endif
