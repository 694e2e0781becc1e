/* The drawing of a graph, in SVG: boxes by kind of operator, with what the node's constants are;
 * each value's type once, under the box that gives it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "export/svg.h"

#define BOX_HEIGHT 36.0
#define LAYER_HEIGHT 78.0
#define MARGIN 24.0
#define HEAD 64.0
#define LINE_MAX 44 /* characters of a line in a box */
/* Of letters on the average, in the sizes that the style gives. */
#define TITLE_WIDTH 7.6
#define CHAR_WIDTH 6.3
#define TYPE_WIDTH 5.7

typedef enum kind { PORT, HEAVY, NORM, SIMPLE, MOVE, REDUCE, FLOW, KINDS } kind;
static const struct {
    const char *about, *fill, *stroke;
} kinds[KINDS] = {
    [PORT] = {"input, output", "#ffffff", "#222222"},
    [HEAVY] = {"product, convolution, recurrence", "#bcd7f5", "#2a5d9f"},
    [NORM] = {"normalisation, softmax", "#c9ecc4", "#3c7f33"},
    [SIMPLE] = {"element by element", "#fde2bd", "#b36b12"},
    [MOVE] = {"moves data", "#e7e7ea", "#6b6b75"},
    [REDUCE] = {"reduces, pools", "#e3d2f2", "#6a3d96"},
    [FLOW] = {"control, shapes", "#fbf3b0", "#8d7d10"},
};

static const struct {
    kind kind;
    const char *ops;
} groups[] = {
    {HEAVY, "|MatMul|Gemm|Conv|ConvTranspose|ConvInteger|MatMulInteger|QLinearConv|QLinearMatMul|"
            "LSTM|GRU|RNN|Attention|Einsum|DeformConv|LinearAttention|FusedMatMul|"},
    {NORM,
     "|Softmax|LogSoftmax|Hardmax|LayerNormalization|RMSNormalization|GroupNormalization|"
     "InstanceNormalization|BatchNormalization|LpNormalization|MeanVarianceNormalization|LRN|"},
    {MOVE, "|Reshape|Flatten|Squeeze|Unsqueeze|Identity|Transpose|Slice|Split|Concat|Gather|"
           "GatherND|GatherElements|Expand|Tile|Pad|ScatterND|ScatterElements|DepthToSpace|"
           "SpaceToDepth|Compress|ReverseSequence|Dropout|"},
    {REDUCE, "|MaxPool|AveragePool|GlobalAveragePool|GlobalMaxPool|LpPool|ReduceSum|ReduceMean|"
             "ReduceMax|ReduceMin|ReduceProd|ReduceL1|ReduceL2|ReduceLogSum|ReduceLogSumExp|"
             "ReduceSumSquare|ArgMax|ArgMin|TopK|CumSum|NonMaxSuppression|"},
    {FLOW, "|If|Loop|Scan|Shape|Size|Dims|Range|ConstantOfShape|NonZero|EyeLike|"},
};

static kind kind_of(const tn_op *op)
{
    char key[96];
    snprintf(key, sizeof(key), "|%.90s|", op->name);
    for (size_t i = 0; i < TN_COUNT(groups); i++)
        if (strstr(groups[i].ops, key)) return groups[i].kind;
    return SIMPLE;
}

/* What stands in a box, and of which node it is; NULL for inputs and outputs of the graph. */
typedef struct card {
    const tn_node *node;
    const char *title, *line, *types, *hint; /* types: under the box; "" for none */
    kind kind;
} card;

typedef struct artist {
    const tn_graph *graph;
    tn_arena *arena;
    tn_layout layout;
    card *card;
    int64_t card_count, card_capacity;
    int32_t *giver; /* by value id: box + 1 */
} artist;

/* ---- Text ------------------------------------------------------------------------------------*/

static void print_escaped(const char *text, tn_text *out)
{
    for (const char *c = text; *c; c++) {
        if (*c == '<') tn_text_printf(out, "&lt;");
        else if (*c == '>') tn_text_printf(out, "&gt;");
        else if (*c == '&') tn_text_printf(out, "&amp;");
        else if (*c == '"') tn_text_printf(out, "&quot;");
        else if ((unsigned char)*c < 0x20) tn_text_printf(out, " ");
        else tn_text_append(out, c, 1);
    }
}

/* At most LINE_MAX characters; not cut inside one of several bytes. */
static const char *shorten(tn_arena *arena, const char *text, size_t bytes)
{
    size_t end = LINE_MAX - 3;
    if (bytes <= LINE_MAX) return tn_arena_text(arena, text, bytes);
    while (end && ((unsigned char)text[end] & 0xC0) == 0x80) end--;
    return tn_arena_printf(arena, "%.*s...", (int)end, text);
}

static const char *take_line(tn_arena *arena, tn_text *text)
{
    const char *line = text->failed ? NULL : shorten(arena, text->at ? text->at : "", text->bytes);
    tn_text_fini(text);
    return line;
}

static void print_shape(const tn_tensor *tensor, tn_text *out)
{
    for (int i = 0; i < tensor->rank; i++)
        tn_text_printf(out, "%s%lld", i ? "x" : "", (long long)tensor->dim[i]);
    if (!tensor->rank) tn_text_printf(out, "1");
}

static bool is_list_attr(const tn_attr *attr)
{
    static const char *const names[] = {"perm", "kernel_shape", "strides"};
    for (size_t i = 0; i < TN_COUNT(names); i++)
        if (!strcmp(attr->name, names[i])) return attr->kind == TN_ATTR_INTS;
    return false;
}

/* "64x768 + 768": shapes of weights, values of small constants; then the attributes that shape it.
 */
static const char *describe(tn_arena *arena, const tn_node *node)
{
    tn_text text = {0};
    for (int i = 0; i < node->in_count; i++) {
        const tn_value *value = node->in[i];
        if (!value || !tn_value_is_constant(value)) continue;
        const tn_tensor *tensor = &value->constant;
        int64_t count = tn_tensor_count(tensor);
        if (text.bytes) tn_text_printf(&text, ", ");
        if (count < 1 || count > 6 || tn_dtype_kind_of(tensor->dtype) == TN_KIND_S ||
            tn_dtype_kind_of(tensor->dtype) == TN_KIND_C) {
            print_shape(tensor, &text);
            continue;
        }
        if (count > 1) tn_text_printf(&text, "[");
        for (int64_t k = 0; k < count; k++) {
            if (k) tn_text_printf(&text, " ");
            tn_text_printf(&text, "%.4g", tn_load_f64(tensor->dtype, tensor->data, k));
        }
        if (count > 1) tn_text_printf(&text, "]");
    }
    for (int i = 0; i < node->attr_count; i++) {
        const tn_attr *attr = &node->attr[i];
        bool shown = attr->kind == TN_ATTR_INT && !strcmp(attr->name, "axis");
        if (!shown && !is_list_attr(attr)) continue;
        if (text.bytes) tn_text_printf(&text, ", ");
        tn_text_printf(&text, "%s ", attr->name);
        if (shown) tn_text_printf(&text, "%lld", (long long)attr->i);
        for (int64_t k = 0; k < attr->count && !shown; k++)
            tn_text_printf(&text, "%s%lld", k ? " " : "", (long long)attr->ints[k]);
    }
    const tn_attr *dims = tn_node_find_attr(node, "dims");
    for (int64_t k = 0; dims && dims->kind == TN_ATTR_TEXTS && k < dims->count; k++)
        tn_text_printf(&text, "%s%.*s", k ? ", " : "",
                       (int)TN_MIN(dims->texts[k].bytes, (size_t)40), dims->texts[k].text);
    return take_line(arena, &text);
}

/* The types of a node's outputs. */
static const char *describe_types(const artist *a, const tn_node *node)
{
    tn_text line = {0};
    for (int k = 0; k < node->out_count; k++) {
        char type[256];
        if (!node->out[k] || !tn_value_has_users(node->out[k])) continue;
        if (line.bytes) tn_text_printf(&line, ", ");
        tn_text_printf(&line, "%s",
                       tn_type_text(a->graph->exprs, &node->out[k]->type, type, sizeof(type)));
    }
    return take_line(a->arena, &line);
}

/* ---- Boxes and links -------------------------------------------------------------------------*/

static tn_status add_card(artist *a, const card *made)
{
    int32_t box;
    double width = (double)strlen(made->title) * TITLE_WIDTH + 20;
    width = TN_MAX(width, (double)strlen(made->line) * CHAR_WIDTH + 20);
    width = TN_MAX(width, (double)strlen(made->types) * TYPE_WIDTH - 4);
    width = TN_MAX(width, 64.0);
    TN_TRY(tn_layout_add_box(&a->layout, width, &box));
    TN_TRY(tn_arena_grow(a->arena, &a->card, a->card_count, &a->card_capacity, a->card_count + 1,
                         sizeof(*a->card)));
    a->card[a->card_count++] = *made;
    return NULL;
}

static tn_status add_port(artist *a, const char *name, const char *line)
{
    const char *title = shorten(a->arena, name, strlen(name));
    TN_CHECK(title, TN_OUT_OF_MEMORY, "no memory for a drawing");
    return add_card(a,
                    &(card){.title = title, .line = line, .types = "", .hint = name, .kind = PORT});
}

static tn_status add_node(artist *a, const tn_node *node)
{
    const char *line = describe(a->arena, node), *types = describe_types(a, node);
    int32_t self = (int32_t)a->card_count;
    TN_CHECK(line && types, TN_OUT_OF_MEMORY, "no memory for a drawing");
    const char *hint = node->name && node->name[0] ? node->name : "";
    TN_TRY(add_card(a, &(card){node, node->op->name, line, types, hint, kind_of(node->op)}));
    for (int k = 0; k < node->out_count; k++)
        if (node->out[k]) a->giver[node->out[k]->id] = self + 1;
    for (int i = 0; i < node->in_count; i++) {
        const tn_value *value = node->in[i];
        bool twice = false;
        for (int k = 0; k < i; k++) twice = twice || node->in[k] == value;
        if (!value || twice || !a->giver[value->id]) continue;
        TN_TRY(tn_layout_add_link(&a->layout, a->giver[value->id] - 1, self, (int32_t)value->id));
    }
    return NULL;
}

static tn_status add_all(artist *a)
{
    const tn_graph *graph = a->graph;
    a->giver = TN_NEW_ARRAY(a->arena, int32_t, graph->next_id);
    TN_CHECK(a->giver, TN_OUT_OF_MEMORY, "no memory for a drawing");
    for (int64_t i = 0; i < graph->input_count; i++) {
        char type[256];
        const tn_value *input = graph->input[i];
        tn_type_text(graph->exprs, &input->type, type, sizeof(type));
        const char *line = shorten(a->arena, type, strlen(type));
        TN_CHECK(line, TN_OUT_OF_MEMORY, "no memory for a drawing");
        a->giver[input->id] = (int32_t)a->card_count + 1;
        TN_TRY(add_port(a, input->name, line));
    }
    for (const tn_node *node = graph->first; node; node = node->next) TN_TRY(add_node(a, node));
    for (int64_t i = 0; i < graph->output_count; i++) {
        const tn_value *value = graph->output[i].value;
        int32_t self = (int32_t)a->card_count;
        TN_TRY(add_port(a, graph->output[i].name, "output"));
        if (a->giver[value->id])
            TN_TRY(
                tn_layout_add_link(&a->layout, a->giver[value->id] - 1, self, (int32_t)value->id));
    }
    return NULL;
}

/* ---- Drawing ---------------------------------------------------------------------------------*/

static double top_of(const tn_box *box)
{
    return HEAD + (double)box->layer * LAYER_HEIGHT;
}

/* Bends have no height: a curve runs straight through where a box would stand. */
static void draw_link(const artist *a, const tn_link *link, tn_text *out)
{
    const tn_box *from = &a->layout.box[link->from], *to = &a->layout.box[link->to];
    double x1 = from->x + MARGIN, x2 = to->x + MARGIN;
    double y1 = top_of(from) + BOX_HEIGHT, y2 = top_of(to), bow = (y2 - y1) / 2;
    if (from->bend) tn_text_printf(out, "<path d=\"M%.1f %.1fV%.1f", x1, top_of(from), y1);
    else tn_text_printf(out, "<path d=\"M%.1f %.1f", x1, y1);
    tn_text_printf(out, "C%.1f %.1f %.1f %.1f %.1f %.1f\"%s/>\n", x1, y1 + bow, x2, y2 - bow, x2,
                   y2, to->bend ? "" : " marker-end=\"url(#tip)\"");
}

static void draw_card(const artist *a, int64_t index, tn_text *out)
{
    const card *c = &a->card[index];
    const tn_box *box = &a->layout.box[index];
    double x = box->x + MARGIN, y = top_of(box);
    tn_text_printf(out, "<g>");
    if (c->hint[0]) {
        tn_text_printf(out, "<title>");
        print_escaped(c->hint, out);
        tn_text_printf(out, "</title>");
    }
    tn_text_printf(out,
                   "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" rx=\"%d\" "
                   "fill=\"%s\" stroke=\"%s\"/>",
                   x - box->width / 2, y, box->width, BOX_HEIGHT, c->kind == PORT ? 16 : 5,
                   kinds[c->kind].fill, kinds[c->kind].stroke);
    tn_text_printf(out, "<text class=\"b\" x=\"%.1f\" y=\"%.1f\">", x, y + (c->line[0] ? 15 : 22));
    print_escaped(c->title, out);
    tn_text_printf(out, "</text>");
    if (c->line[0]) {
        tn_text_printf(out, "<text x=\"%.1f\" y=\"%.1f\">", x, y + 29);
        print_escaped(c->line, out);
        tn_text_printf(out, "</text>");
    }
    tn_text_printf(out, "</g>\n");
    if (!c->types[0]) return;
    tn_text_printf(out, "<text class=\"t\" x=\"%.1f\" y=\"%.1f\">", x, y + BOX_HEIGHT + 12);
    print_escaped(c->types, out);
    tn_text_printf(out, "</text>\n");
}

static void draw_head(const artist *a, double width, double height, tn_text *out)
{
    double x = MARGIN;
    tn_text_printf(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" "
        "height=\"%.0f\">\n<style>text{font:11px sans-serif;text-anchor:middle;fill:#222}"
        ".b{font-weight:bold;font-size:12px}.t{font-size:10px;fill:#555;stroke:#fff;"
        "stroke-width:3px;paint-order:stroke}.l{text-anchor:start}.h{text-anchor:start;"
        "font-size:15px;font-weight:bold}path{fill:none;stroke:#8a8a94;stroke-width:1.2}</style>\n"
        "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"6\" "
        "markerHeight=\"6\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" "
        "style=\"fill:#8a8a94;stroke:none\"/></marker></defs>\n"
        "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n<text class=\"h\" x=\"%.0f\" "
        "y=\"24\">",
        width, height, width, height, MARGIN);
    print_escaped(a->graph->name, out);
    tn_text_printf(out, ", %lld nodes</text>\n", (long long)a->graph->node_count);
    for (int k = 0; k < KINDS; k++) {
        tn_text_printf(out,
                       "<rect x=\"%.0f\" y=\"35\" width=\"12\" height=\"12\" rx=\"2\" fill=\"%s\" "
                       "stroke=\"%s\"/><text class=\"l\" x=\"%.0f\" y=\"45\">%s</text>\n",
                       x, kinds[k].fill, kinds[k].stroke, x + 17, kinds[k].about);
        x += 17 + (double)strlen(kinds[k].about) * 6 + 18;
    }
}

static tn_status draw(artist *a, tn_text *out)
{
    double head = MARGIN;
    for (int k = 0; k < KINDS; k++) head += 35 + (double)strlen(kinds[k].about) * 6;
    TN_TRY(add_all(a));
    TN_TRY(tn_layout_run(&a->layout));
    double width = TN_MAX(a->layout.width + 2 * MARGIN, head);
    double room = (width - a->layout.width) / 2 - MARGIN;
    for (int64_t b = 0; b < a->layout.box_count; b++) a->layout.box[b].x += room;
    draw_head(a, width, HEAD + (double)a->layout.layer_count * LAYER_HEIGHT, out);
    for (int64_t i = 0; i < a->layout.link_count; i++) draw_link(a, &a->layout.link[i], out);
    for (int64_t i = 0; i < a->card_count; i++) draw_card(a, i, out);
    tn_text_printf(out, "</svg>\n");
    return NULL;
}

tn_status tn_svg_print(const tn_graph *graph, tn_text *out)
{
    tn_arena arena;
    tn_arena_init(&arena);
    artist a = {.graph = graph, .arena = &arena, .layout = {.arena = &arena}};
    tn_status status = draw(&a, out);
    tn_arena_fini(&arena);
    return status;
}
