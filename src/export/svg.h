/* A graph as a drawing: layers from top to bottom, nodes as boxes, values as curves with their
 * shapes. Constants are told inside the boxes of the nodes that read them. */
#ifndef TN_EXPORT_SVG_H
#define TN_EXPORT_SVG_H

#include "ir/graph.h"
#include "ir/op.h"

/* An SVG document. Graphs of more than a few ten thousand nodes are UNSUPPORTED. */
tn_status tn_svg_print(const tn_graph *graph, tn_text *out) TN_MUST_USE;

/* ---- Layout (svg_layout.c) -------------------------------------------------------------------*/

/* A box, or a bend of an edge that passes a layer. */
typedef struct tn_box {
    int32_t layer;
    int32_t order; /* within the layer */
    double width;  /* given; 0 for bends */
    double x;      /* of the middle */
    bool bend;
} tn_box;

/* From a box to one in a later layer; after the layout, always to the next layer. */
typedef struct tn_link {
    int32_t from, to;
    int32_t edge; /* of the caller; a chain of links through bends has one */
} tn_link;

typedef struct tn_layout {
    tn_arena *arena;
    tn_box *box;
    int64_t box_count, box_capacity;
    tn_link *link;
    int64_t link_count, link_capacity;
    int32_t layer_count;
    double width; /* of the whole */
} tn_layout;

tn_status tn_layout_add_box(tn_layout *layout, double width, int32_t *out) TN_MUST_USE;
tn_status tn_layout_add_link(tn_layout *layout, int32_t from, int32_t to, int32_t edge) TN_MUST_USE;
/* Boxes are added in topological order. Gives layers (longest path), bends, an order with few
 * crossings (barycentres), and places. */
tn_status tn_layout_run(tn_layout *layout) TN_MUST_USE;

#endif
