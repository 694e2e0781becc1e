/* Operators that ONNX has too, under other names or with other forms of attributes. */
#include <string.h>

#include "ops/contrib/contrib.h"

tn_status tn_contrib_ms_trilu(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    tn_value *y = TN_MAKE(&r, "Trilu", tn_rewrite_in(&r, 0), tn_rewrite_in(&r, 1));
    tn_rewrite_give(&r, 0, tn_contrib_copy(&r, y, "upper"));
    return tn_rewrite_end(&r);
}

tn_status tn_contrib_ms_unique(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    tn_value *y = TN_MAKE_OUTS(&r, 4, "Unique", tn_rewrite_in(&r, 0));
    y = tn_rewrite_int(&r, y, "sorted", 0);
    tn_rewrite_give(&r, 0, y);
    tn_rewrite_give(&r, 1, tn_rewrite_out(&r, y, 2));
    tn_rewrite_give(&r, 2, tn_rewrite_out(&r, y, 3));
    return tn_rewrite_end(&r);
}

tn_status tn_contrib_ms_expand_dims(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    int64_t one = 1;
    tn_value *axis = tn_rewrite_cast(&r, tn_rewrite_in(&r, 1), TN_DTYPE_I64);
    axis = tn_rewrite_reshape(&r, axis, &one, 1);
    tn_rewrite_give(&r, 0, TN_MAKE(&r, "Unsqueeze", tn_rewrite_in(&r, 0), axis));
    return tn_rewrite_end(&r);
}

tn_status tn_contrib_ms_pad(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    int64_t all = -1;
    tn_value *pads = tn_rewrite_reshape(&r, tn_rewrite_in(&r, 1), &all, 1);
    tn_value *value = tn_rewrite_in(&r, 2);
    if (value) value = TN_MAKE(&r, "Squeeze", value);
    tn_value *y = TN_MAKE(&r, "Pad", tn_rewrite_in(&r, 0), pads, value);
    tn_rewrite_give(&r, 0, tn_contrib_copy(&r, y, "mode"));
    return tn_rewrite_end(&r);
}

tn_status tn_contrib_ms_range(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    tn_value *start = tn_rewrite_in(&r, 0), *delta = tn_rewrite_in(&r, 2);
    if (!delta) delta = tn_rewrite_scalar(&r, tn_rewrite_type(&r, start).dtype, 1);
    tn_rewrite_give(&r, 0,
                    TN_MAKE(&r, "Range", TN_MAKE(&r, "Squeeze", start),
                            TN_MAKE(&r, "Squeeze", tn_rewrite_in(&r, 1)),
                            TN_MAKE(&r, "Squeeze", delta)));
    return tn_rewrite_end(&r);
}

tn_status tn_contrib_ms_gather_nd(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    tn_value *indices = tn_rewrite_cast(&r, tn_rewrite_in(&r, 1), TN_DTYPE_I64);
    tn_rewrite_give(&r, 0, TN_MAKE(&r, "GatherND", tn_rewrite_in(&r, 0), indices));
    return tn_rewrite_end(&r);
}

static bool has_word(const tn_attr *attr, const char *word)
{
    return attr && attr->text.bytes == strlen(word) &&
           !memcmp(attr->text.text, word, attr->text.bytes);
}

tn_status tn_contrib_ms_grid_sample(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    const tn_attr *mode = tn_node_find_attr(node, "mode");
    tn_value *y = TN_MAKE(&r, "GridSample", tn_rewrite_in(&r, 0), tn_rewrite_in(&r, 1));
    y = tn_contrib_copy(&r, y, "align_corners|mode|padding_mode");
    if (has_word(mode, "bilinear")) y = tn_rewrite_text(&r, y, "mode", "linear");
    if (has_word(mode, "bicubic")) y = tn_rewrite_text(&r, y, "mode", "cubic");
    tn_rewrite_give(&r, 0, y);
    return tn_rewrite_end(&r);
}
