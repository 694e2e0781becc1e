/* What an engine remembers of how it was made: which nodes of the model became what. Nothing of it
 * is needed to run. Nodes are told by their place in the portable graph, in the order of its text,
 * so that a plan that is made anew from that graph can be traced back as well. */
#ifndef TN_EXEC_LAYERS_H
#define TN_EXEC_LAYERS_H

#include "base/bytes.h"

#define TN_NODE_CONSTANT (-1) /* computed when the engine was built */

/* Places in ascending order, each once. */
typedef struct tn_places {
    int32_t *at;
    int32_t count;
    int64_t capacity;
} tn_places;

/* A node of the model; no places: nothing needs it. */
typedef struct tn_layer_source {
    const char *op, *name;
    tn_places node;
} tn_layer_source;

/* A step of the plan: the nodes it computes. */
typedef struct tn_layer_step {
    const char *problem; /* at the shapes it was tuned for; "": no kernel was chosen for it */
    uint64_t flops;      /* there; an estimate */
    tn_places node;
} tn_layer_step;

typedef struct tn_layers {
    tn_layer_source *source;
    int32_t source_count;
    tn_layer_step *step; /* one for each step of the plan, or none */
    int32_t step_count;
} tn_layers;

tn_status tn_places_add(tn_places *places, int32_t place, tn_arena *arena) TN_MUST_USE;
tn_status tn_places_join(tn_places *places, const tn_places *with, tn_arena *arena) TN_MUST_USE;

/* The section of an engine file (docs/engine-format.md). */
void tn_layers_write(const tn_layers *layers, tn_writer *out);
tn_status tn_layers_read(tn_reader *in, tn_arena *arena, tn_layers *out) TN_MUST_USE;

#endif
