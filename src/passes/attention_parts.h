/* Private to passes: the parts of an attention as they were found in a graph. */
#ifndef TN_PASSES_ATTENTION_PARTS_H
#define TN_PASSES_ATTENTION_PARTS_H

#include "passes/attention_lie.h"

#define TN_ADDENDS_MAX 4
typedef struct tn_attention_parts {
    tn_node *root;      /* new nodes go before it */
    tn_lie q, k, v, y;  /* y: what `root` gives */
    tn_value *k_turned; /* the keys as a product reads them, [.., head, rows]; NULL: they are not */
    double scale;       /* 0: 1 / sqrt(size of a head) */
    int addend_count;
    struct {
        tn_value *value; /* broadcast to [batch, heads, queries, keys] from the right ... */
        bool windows;    /* ... or to [1, m, heads, queries, keys]: batch b reads number b % m */
        bool no_heads;   /* ... or to [batch, queries, keys] */
    } addend[TN_ADDENDS_MAX];
} tn_attention_parts;

/* softmax(scale * q k^T + addends) v around a Softmax. */
bool tn_attention_from_softmax(tn_node *softmax, tn_attention_parts *out);
/* A plain Attention. */
bool tn_attention_from_node(tn_node *attention, tn_attention_parts *out);

#endif
