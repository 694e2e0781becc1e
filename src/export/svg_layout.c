/* Layered drawing, in the steps of Sugiyama and others: layers by longest path, bends where an edge
 * passes a layer, orders by sweeps of barycentres, then places that pull each box to the middle of
 * its neighbours while none overlap. */
#include <stdlib.h>
#include <string.h>

#include "export/svg.h"

#define BOXES_MAX 200000
#define SWEEPS 12
#define PULLS 24
#define GAP 18.0

tn_status tn_layout_add_box(tn_layout *layout, double width, int32_t *out)
{
    TN_CHECK(layout->box_count < BOXES_MAX, TN_UNSUPPORTED,
             "the drawing would have more than %d boxes and bends; draw a smaller graph",
             BOXES_MAX);
    TN_TRY(tn_arena_grow(layout->arena, &layout->box, layout->box_count, &layout->box_capacity,
                         layout->box_count + 1, sizeof(*layout->box)));
    layout->box[layout->box_count] = (tn_box){.width = width};
    *out = (int32_t)layout->box_count++;
    return NULL;
}

tn_status tn_layout_add_link(tn_layout *layout, int32_t from, int32_t to, int32_t edge)
{
    TN_TRY(tn_arena_grow(layout->arena, &layout->link, layout->link_count, &layout->link_capacity,
                         layout->link_count + 1, sizeof(*layout->link)));
    layout->link[layout->link_count++] = (tn_link){from, to, edge};
    return NULL;
}

/* ---- Layers ----------------------------------------------------------------------------------*/

/* Links by their end, so that one pass sees every box after all it hangs on. */
static int by_end(const void *a, const void *b)
{
    const tn_link *x = a, *y = b;
    if (x->to != y->to) return x->to < y->to ? -1 : 1;
    if (x->from != y->from) return x->from < y->from ? -1 : 1;
    return x->edge < y->edge ? -1 : x->edge > y->edge;
}

/* What hangs on one value at most stands just above its first reader, not as high as it could. */
static void sink(tn_layout *layout, const int32_t *arriving, int32_t *nearest)
{
    int64_t i = layout->link_count - 1;
    for (int64_t b = 0; b < layout->box_count; b++) nearest[b] = INT32_MAX;
    /* Backwards: all links that leave a box have been seen when its own turn comes. */
    for (int64_t b = layout->box_count - 1; b >= 0; b--) {
        if (arriving[b] <= 1 && nearest[b] != INT32_MAX) layout->box[b].layer = nearest[b] - 1;
        for (; i >= 0 && layout->link[i].to == b; i--) {
            int32_t from = layout->link[i].from;
            nearest[from] = TN_MIN(nearest[from], layout->box[b].layer);
        }
    }
}

static tn_status find_layers(tn_layout *layout)
{
    int32_t *arriving = TN_NEW_ARRAY(layout->arena, int32_t, layout->box_count);
    int32_t *nearest = TN_NEW_ARRAY(layout->arena, int32_t, layout->box_count);
    TN_CHECK(arriving && nearest, TN_OUT_OF_MEMORY, "no memory for a drawing");
    if (layout->link_count)
        qsort(layout->link, (size_t)layout->link_count, sizeof(*layout->link), by_end);
    for (int64_t i = 0; i < layout->link_count; i++) {
        const tn_link *link = &layout->link[i];
        int32_t layer = layout->box[link->from].layer + 1;
        arriving[link->to]++;
        if (layout->box[link->to].layer < layer) layout->box[link->to].layer = layer;
    }
    sink(layout, arriving, nearest);
    for (int64_t b = 0; b < layout->box_count; b++)
        layout->layer_count = TN_MAX(layout->layer_count, layout->box[b].layer + 1);
    return NULL;
}

static int by_edge(const void *a, const void *b)
{
    const tn_link *x = a, *y = b;
    if (x->edge != y->edge) return x->edge < y->edge ? -1 : 1;
    return by_end(a, b);
}

/* A link over several layers becomes one for each. The links of one edge share their bends: a value
 * that many read is one line with branches. */
static tn_status add_bends(tn_layout *layout)
{
    int64_t count = layout->link_count;
    int32_t *bend = TN_NEW_ARRAY(layout->arena, int32_t, layout->layer_count); /* box + 1 */
    TN_CHECK(bend, TN_OUT_OF_MEMORY, "no memory for a drawing");
    if (count) qsort(layout->link, (size_t)count, sizeof(*layout->link), by_edge);
    for (int64_t i = 0; i < count; i++) {
        tn_link link = layout->link[i];
        if (!i || layout->link[i - 1].edge != link.edge)
            memset(bend, 0, (size_t)layout->layer_count * sizeof(*bend));
        int32_t layer = layout->box[link.from].layer + 1, last = layout->box[link.to].layer;
        for (; layer < last; layer++) {
            if (!bend[layer]) {
                int32_t made;
                TN_TRY(tn_layout_add_box(layout, 0, &made));
                layout->box[made].layer = layer;
                layout->box[made].bend = true;
                TN_TRY(tn_layout_add_link(layout, link.from, made, link.edge));
                bend[layer] = made + 1;
            }
            link.from = bend[layer] - 1;
        }
        layout->link[i].from = link.from;
    }
    return NULL;
}

/* ---- Orders ----------------------------------------------------------------------------------*/

typedef struct neighbours {
    int64_t *first; /* by box: where its entries begin; one more at the end */
    int32_t *at;
} neighbours;

static tn_status find_neighbours(const tn_layout *layout, bool above, neighbours *out)
{
    int64_t boxes = layout->box_count, links = layout->link_count;
    out->first = TN_NEW_ARRAY(layout->arena, int64_t, boxes + 1);
    out->at = TN_NEW_ARRAY(layout->arena, int32_t, links);
    int64_t *fill = TN_NEW_ARRAY(layout->arena, int64_t, boxes);
    TN_CHECK(out->first && out->at && fill, TN_OUT_OF_MEMORY, "no memory for a drawing");
    for (int64_t i = 0; i < links; i++)
        out->first[(above ? layout->link[i].to : layout->link[i].from) + 1]++;
    for (int64_t b = 0; b < boxes; b++) out->first[b + 1] += out->first[b];
    for (int64_t i = 0; i < links; i++) {
        const tn_link *link = &layout->link[i];
        int32_t self = above ? link->to : link->from, other = above ? link->from : link->to;
        out->at[out->first[self] + fill[self]++] = other;
    }
    return NULL;
}

typedef struct layers {
    int64_t *first; /* by layer */
    int32_t *at;    /* boxes in order */
} layers;

static tn_status find_members(const tn_layout *layout, layers *out)
{
    int64_t *fill = TN_NEW_ARRAY(layout->arena, int64_t, layout->layer_count);
    out->first = TN_NEW_ARRAY(layout->arena, int64_t, layout->layer_count + 1);
    out->at = TN_NEW_ARRAY(layout->arena, int32_t, layout->box_count);
    TN_CHECK(out->first && out->at && fill, TN_OUT_OF_MEMORY, "no memory for a drawing");
    for (int64_t b = 0; b < layout->box_count; b++) out->first[layout->box[b].layer + 1]++;
    for (int32_t l = 0; l < layout->layer_count; l++) out->first[l + 1] += out->first[l];
    for (int64_t b = 0; b < layout->box_count; b++) {
        int32_t layer = layout->box[b].layer;
        out->at[out->first[layer] + fill[layer]++] = (int32_t)b;
    }
    return NULL;
}

typedef struct ranked {
    double key;
    int32_t box, order;
} ranked;

static int by_key(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->key < y->key) return -1;
    if (x->key > y->key) return 1;
    return x->order < y->order ? -1 : 1;
}

static void number(tn_layout *layout, const layers *in, int32_t layer)
{
    for (int64_t i = in->first[layer]; i < in->first[layer + 1]; i++)
        layout->box[in->at[i]].order = (int32_t)(i - in->first[layer]);
}

/* Boxes of a layer by the mean place of their neighbours; those without stay where they are. */
static void sort_layer(tn_layout *layout, const layers *in, int32_t layer, const neighbours *near,
                       ranked *scratch)
{
    int64_t begin = in->first[layer], count = in->first[layer + 1] - begin;
    for (int64_t i = 0; i < count; i++) {
        int32_t box = in->at[begin + i];
        double sum = 0;
        int64_t degree = near->first[box + 1] - near->first[box];
        for (int64_t k = near->first[box]; k < near->first[box + 1]; k++)
            sum += layout->box[near->at[k]].order;
        scratch[i] = (ranked){degree ? sum / (double)degree : (double)i, box, (int32_t)i};
    }
    if (count > 1) qsort(scratch, (size_t)count, sizeof(*scratch), by_key);
    for (int64_t i = 0; i < count; i++) in->at[begin + i] = scratch[i].box;
    number(layout, in, layer);
}

/* ---- Places ----------------------------------------------------------------------------------*/

static double distance(const tn_box *left, const tn_box *right)
{
    return (left->width + right->width) / 2 + (left->bend && right->bend ? GAP / 2 : GAP);
}

/* The nearest places to `want` that keep the order and the gaps: the mean of the solution pushed
 * from the left and of that pushed from the right. */
static void place_layer(tn_layout *layout, const layers *in, int32_t layer, const double *want,
                        double *left, double *right)
{
    int64_t begin = in->first[layer], count = in->first[layer + 1] - begin;
    tn_box *box = layout->box;
    for (int64_t i = 0; i < count; i++) {
        int32_t self = in->at[begin + i];
        left[i] = want[i];
        if (i) {
            double least = left[i - 1] + distance(&box[in->at[begin + i - 1]], &box[self]);
            left[i] = TN_MAX(left[i], least);
        }
    }
    for (int64_t i = count - 1; i >= 0; i--) {
        int32_t self = in->at[begin + i];
        right[i] = want[i];
        if (i + 1 < count) {
            double most = right[i + 1] - distance(&box[self], &box[in->at[begin + i + 1]]);
            right[i] = TN_MIN(right[i], most);
        }
    }
    for (int64_t i = 0; i < count; i++) box[in->at[begin + i]].x = (left[i] + right[i]) / 2;
}

static void pull_layer(tn_layout *layout, const layers *in, int32_t layer, const neighbours *near,
                       double *scratch)
{
    int64_t begin = in->first[layer], count = in->first[layer + 1] - begin;
    for (int64_t i = 0; i < count; i++) {
        int32_t box = in->at[begin + i];
        double sum = 0;
        int64_t degree = near->first[box + 1] - near->first[box];
        for (int64_t k = near->first[box]; k < near->first[box + 1]; k++)
            sum += layout->box[near->at[k]].x;
        scratch[i] = degree ? sum / (double)degree : layout->box[box].x;
    }
    place_layer(layout, in, layer, scratch, scratch + layout->box_count,
                scratch + 2 * layout->box_count);
}

static tn_status place(tn_layout *layout, const layers *in, const neighbours *above,
                       const neighbours *below)
{
    double *scratch = TN_NEW_ARRAY(layout->arena, double, 3 * layout->box_count);
    TN_CHECK(scratch, TN_OUT_OF_MEMORY, "no memory for a drawing");
    for (int32_t l = 0; l < layout->layer_count; l++) {
        double x = 0;
        for (int64_t i = in->first[l]; i < in->first[l + 1]; i++) {
            tn_box *box = &layout->box[in->at[i]];
            if (i > in->first[l]) x += distance(&layout->box[in->at[i - 1]], box);
            box->x = x;
        }
        for (int64_t i = in->first[l]; i < in->first[l + 1]; i++) layout->box[in->at[i]].x -= x / 2;
    }
    for (int pull = 0; pull < PULLS; pull++) {
        for (int32_t l = 1; l < layout->layer_count; l++) pull_layer(layout, in, l, above, scratch);
        for (int32_t l = layout->layer_count - 2; l >= 0; l--)
            pull_layer(layout, in, l, below, scratch);
    }
    for (int32_t l = 1; l < layout->layer_count; l++) pull_layer(layout, in, l, above, scratch);
    double least = 0, most = 0;
    for (int64_t b = 0; b < layout->box_count; b++) {
        const tn_box *box = &layout->box[b];
        if (!b || box->x - box->width / 2 < least) least = box->x - box->width / 2;
        if (!b || box->x + box->width / 2 > most) most = box->x + box->width / 2;
    }
    for (int64_t b = 0; b < layout->box_count; b++) layout->box[b].x -= least;
    layout->width = most - least;
    return NULL;
}

tn_status tn_layout_run(tn_layout *layout)
{
    layers in;
    neighbours above, below;
    TN_TRY(find_layers(layout));
    TN_TRY(add_bends(layout));
    TN_TRY(find_members(layout, &in));
    TN_TRY(find_neighbours(layout, true, &above));
    TN_TRY(find_neighbours(layout, false, &below));
    ranked *scratch = TN_NEW_ARRAY(layout->arena, ranked, layout->box_count);
    TN_CHECK(scratch, TN_OUT_OF_MEMORY, "no memory for a drawing");
    for (int32_t l = 0; l < layout->layer_count; l++) number(layout, &in, l);
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        for (int32_t l = 1; l < layout->layer_count; l++)
            sort_layer(layout, &in, l, &above, scratch);
        for (int32_t l = layout->layer_count - 2; l >= 0; l--)
            sort_layer(layout, &in, l, &below, scratch);
    }
    return place(layout, &in, &above, &below);
}
