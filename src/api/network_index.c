/* Layers that read and write places given by tensors. */
#include "api/network.h"

/* ---- Gather and scatter ----------------------------------------------------------------------*/

static tn_value *transpose(const tn_pen *pen, tn_value *x, const int64_t *perm, int rank)
{
    return tn_pen_part(pen, "Transpose", TN_IN(x), TN_WITH(tn_attr_ints("perm", perm, rank)));
}

/* The first `shared` axes belong to x and indices alike. GatherND can do that for the axis behind
 * them; another one is moved there, and what it became is moved back. */
static void gather_shared(tn_pen *pen, int axis, int shared, int rank)
{
    int index_rank = tn_pen_rank(pen, 1), between = axis - shared, own = index_rank - shared;
    int out_rank = rank + own - 1;
    int64_t perm[2 * TN_RANK_MAX], last = -1;
    if (index_rank < 0) return;
    if (own < 0 || axis < shared || out_rank > TN_RANK_MAX) {
        tn_pen_fail(pen, TN_INVALID,
                    "axis %d of a tensor of rank %d by indices of rank %d with %d batch dims", axis,
                    rank, index_rank, shared);
        return;
    }
    for (int i = 0; i < rank; i++) perm[i] = i <= shared || i > axis ? i : i - 1;
    perm[shared] = axis;
    tn_value *x = between ? transpose(pen, pen->in[0], perm, rank) : pen->in[0];
    tn_value *places = tn_pen_part(
        pen, "Unsqueeze", TN_IN(tn_pen_i64(pen, pen->in[1]), tn_draft_ints(pen->draft, &last, 1)),
        TN_PLAIN);
    tn_value *y =
        tn_pen_part(pen, "GatherND", TN_IN(x, places), TN_WITH(tn_attr_int("batch_dims", shared)));
    /* [shared, own, between, rest] to [shared, between, own, rest] */
    for (int i = 0; i < out_rank; i++) perm[i] = i;
    for (int i = 0; i < between; i++) perm[shared + i] = shared + own + i;
    for (int i = 0; i < own; i++) perm[shared + between + i] = shared + i;
    pen->out[0] =
        tn_pen_op(pen, "Transpose", TN_IN(y), TN_WITH(tn_attr_ints("perm", perm, out_rank)));
}

static void write_gather(tn_pen *pen)
{
    static const char *const ops[] = {"Gather", "GatherElements", "GatherND"};
    int64_t type = tn_pen_int(pen, TN_SET_TYPE, TN_GATHER);
    int64_t shared = tn_pen_int(pen, TN_SET_BATCH_DIMS, 0);
    int rank = tn_pen_rank(pen, 0);
    if (!tn_pen_choice(pen, TN_SET_TYPE, ops, TN_COUNT(ops), 0) || rank < 0) return;
    if (shared < 0 || shared > rank || (shared && type == TN_GATHER_ELEMENT)) {
        tn_pen_fail(pen, TN_INVALID, "BATCH_DIMS is %lld for an input of rank %d%s",
                    (long long)shared, rank,
                    type == TN_GATHER_ELEMENT ? "; elements share all but one axis anyway" : "");
        return;
    }
    if (type == TN_GATHER_ND) {
        pen->out[0] = tn_pen_op(pen, "GatherND", TN_IN(pen->in[0], tn_pen_i64(pen, pen->in[1])),
                                TN_WITH(tn_attr_int("batch_dims", shared)));
        return;
    }
    int axis = tn_pen_axis(pen, TN_SET_AXIS, 0, rank);
    if (axis < 0) return;
    if (shared) gather_shared(pen, axis, (int)shared, rank);
    else pen->out[0] = tn_pen_op(pen, ops[type], pen->in, 2, TN_WITH(tn_attr_int("axis", axis)));
}

tn_layer *tn_network_add_gather(tn_network *network, tn_layer *x, tn_layer *indices,
                                tn_gather_type type)
{
    static const tn_layer_kind kind = {
        "gather", TN_HAS(TYPE) | TN_HAS(AXIS) | TN_HAS(BATCH_DIMS), 2, 2, 1, write_gather};
    tn_layer *layer = tn_layer_add(network, &kind, TN_LAYERS(x, indices));
    tn_layer_keep(layer, TN_SET_TYPE, (int64_t)type);
    return tn_layer_done(layer);
}

static void write_scatter(tn_pen *pen)
{
    static const char *const ops[] = {"ScatterElements", "ScatterND"};
    const char *op = tn_pen_choice(pen, TN_SET_TYPE, ops, TN_COUNT(ops), 0);
    if (!op) return;
    tn_value *in[] = {pen->in[0], tn_pen_i64(pen, pen->in[1]), pen->in[2]};
    tn_attr axis = tn_attr_int("axis", tn_pen_int(pen, TN_SET_AXIS, 0));
    pen->out[0] = tn_pen_op(pen, op, in, 3, &axis, op == ops[TN_SCATTER_ELEMENT] ? 1 : 0);
}

tn_layer *tn_network_add_scatter(tn_network *network, tn_layer *x, tn_layer *indices,
                                 tn_layer *updates, tn_scatter_type type)
{
    static const tn_layer_kind kind = {"scatter",    TN_HAS(TYPE) | TN_HAS(AXIS), 3, 3, 1,
                                       write_scatter};
    tn_layer *layer = tn_layer_add(network, &kind, TN_LAYERS(x, indices, updates));
    tn_layer_keep(layer, TN_SET_TYPE, (int64_t)type);
    return tn_layer_done(layer);
}

/* ---- One-hot, non-zero -----------------------------------------------------------------------*/

static void write_one_hot(tn_pen *pen)
{
    tn_value *depth =
        tn_draft_scalar(pen->draft, TN_DTYPE_I64, (double)tn_pen_int(pen, TN_SET_DEPTH, 1));
    pen->out[0] = tn_pen_op(pen, "OneHot", TN_IN(pen->in[0], depth, pen->in[1]),
                            TN_WITH(tn_attr_int("axis", tn_pen_int(pen, TN_SET_AXIS, -1))));
}

tn_layer *tn_network_add_one_hot(tn_network *network, tn_layer *indices, tn_layer *values,
                                 int64_t depth, int64_t axis)
{
    static const tn_layer_kind kind = {"one_hot",    TN_HAS(DEPTH) | TN_HAS(AXIS), 2, 2, 1,
                                       write_one_hot};
    tn_layer *layer = tn_layer_add(network, &kind, TN_LAYERS(indices, values));
    tn_layer_keep(layer, TN_SET_DEPTH, depth);
    tn_layer_keep(layer, TN_SET_AXIS, axis);
    return tn_layer_done(layer);
}

static void write_non_zero(tn_pen *pen)
{
    pen->out[0] = tn_pen_op(pen, "NonZero", pen->in, 1, TN_PLAIN);
}

tn_layer *tn_network_add_non_zero(tn_network *network, tn_layer *x)
{
    static const tn_layer_kind kind = {"non_zero", 0, 1, 1, 1, write_non_zero};
    return tn_layer_add(network, &kind, TN_LAYERS(x));
}

/* ---- Boxes -----------------------------------------------------------------------------------*/

static void write_nms(tn_pen *pen)
{
    static const char *const formats[] = {"corners", "center and size"};
    tn_draft *d = pen->draft;
    const tn_kept *least = tn_layer_find(pen->layer, TN_SET_SCORE_THRESHOLD);
    int64_t perm[] = {0, 2, 1}, count = tn_pen_int(pen, TN_SET_K, 1);
    const char *format = tn_pen_choice(pen, TN_SET_BOX_FORMAT, formats, TN_COUNT(formats), 0);
    if (!format) return;
    tn_value *most =
        pen->in[2] ? tn_pen_i64(pen, pen->in[2]) : tn_draft_scalar(d, TN_DTYPE_I64, (double)count);
    tn_value *in[] = {pen->in[0], transpose(pen, pen->in[1], perm, 3), most,
                      tn_draft_scalar(d, TN_DTYPE_F32, tn_pen_float(pen, TN_SET_IOU_THRESHOLD, 0)),
                      least ? tn_draft_scalar(d, TN_DTYPE_F32, least->real[0]) : NULL};
    pen->out[0] = tn_pen_op(pen, "NonMaxSuppression", in, 5,
                            TN_WITH(tn_attr_int("center_point_box", format == formats[1])));
    tn_value *shape = tn_pen_part(pen, "Shape", TN_IN(pen->out[0]), TN_PLAIN);
    pen->out[1] =
        tn_pen_part(pen, "Gather", TN_IN(shape, tn_draft_scalar(d, TN_DTYPE_I64, 0)), TN_PLAIN);
}

tn_layer *tn_network_add_nms(tn_network *network, tn_layer *boxes, tn_layer *scores,
                             int64_t per_class)
{
    static const tn_layer_kind kind = {
        "nms", TN_HAS(K) | TN_HAS(BOX_FORMAT) | TN_HAS(IOU_THRESHOLD) | TN_HAS(SCORE_THRESHOLD),
        2,     3,
        2,     write_nms};
    tn_layer *layer = tn_layer_add(network, &kind, TN_LAYERS(boxes, scores));
    tn_layer_keep(layer, TN_SET_K, per_class);
    return tn_layer_done(layer);
}

/* ---- Sequences and grids ---------------------------------------------------------------------*/

static void write_reverse_sequence(tn_pen *pen)
{
    pen->out[0] =
        tn_pen_op(pen, "ReverseSequence", TN_IN(pen->in[0], tn_pen_i64(pen, pen->in[1])),
                  TN_WITH(tn_attr_int("batch_axis", tn_pen_int(pen, TN_SET_BATCH_AXIS, 1)),
                          tn_attr_int("time_axis", tn_pen_int(pen, TN_SET_SEQUENCE_AXIS, 0))));
}

tn_layer *tn_network_add_reverse_sequence(tn_network *network, tn_layer *x, tn_layer *lengths)
{
    static const tn_layer_kind kind = {
        "reverse_sequence",    TN_HAS(BATCH_AXIS) | TN_HAS(SEQUENCE_AXIS), 2, 2, 1,
        write_reverse_sequence};
    return tn_layer_add(network, &kind, TN_LAYERS(x, lengths));
}

static void write_grid_sample(tn_pen *pen)
{
    static const char *const modes[] = {"nearest", "linear", "cubic"}, *const outside[] = {
                                                                           NULL, NULL, "border",
                                                                           "zeros", "reflection"};
    const char *mode = tn_pen_choice(pen, TN_SET_INTERPOLATION, modes, TN_COUNT(modes), TN_LINEAR);
    const char *padding =
        tn_pen_choice(pen, TN_SET_OUTSIDE, outside, TN_COUNT(outside), TN_OUTSIDE_VALUE);
    if (!mode || !padding) return;
    pen->out[0] = tn_pen_op(
        pen, "GridSample", pen->in, 2,
        TN_WITH(tn_attr_text("mode", mode), tn_attr_text("padding_mode", padding),
                tn_attr_int("align_corners", tn_pen_int(pen, TN_SET_ALIGN_CORNERS, 0) != 0)));
}

tn_layer *tn_network_add_grid_sample(tn_network *network, tn_layer *x, tn_layer *grid)
{
    static const tn_layer_kind kind = {
        "grid_sample",    TN_HAS(INTERPOLATION) | TN_HAS(ALIGN_CORNERS) | TN_HAS(OUTSIDE), 2, 2, 1,
        write_grid_sample};
    return tn_layer_add(network, &kind, TN_LAYERS(x, grid));
}
