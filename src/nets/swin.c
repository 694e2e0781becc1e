/* Swin transformers (T, S, B, L) as Microsoft, timm, torchvision and Hugging Face name them.
 *
 * Attention within windows of the image; every second block shifts the image by half a window, and
 * a mask keeps apart what the shift has joined. The bias of relative positions is a table, read at
 * an index that follows from the window alone. */
#include <inttypes.h>
#include <stdio.h>

#include "nets/inside.h"

enum { STAGES_MAX = 8, BLOCKS_MAX = 1000, WINDOW_MAX = 64, IMAGE_MAX = 4096 };
#define MASK_BYTES_MAX (INT64_C(1) << 30)

typedef struct sizes {
    int64_t image, channels, patch, width, window, classes, stages;
    int64_t depth[STAGES_MAX], heads[STAGES_MAX];
    int split; /* q, k and v are parameters of their own */
    double epsilon;
} sizes;

/* One stage: what its blocks share. */
typedef struct stage {
    int index;
    int64_t side, width, heads, hidden, window, shift;
    tn_value *mask, *position; /* of shifted blocks; index into the bias table */
} stage;

/* ---- Sizes ------------------------------------------------------------------------------------*/

/* A table of (2 w - 1)^2 rows is of windows of w x w; 0: of none. */
static int64_t window_of(int64_t rows)
{
    for (int64_t w = 1; w <= WINDOW_MAX; w++)
        if ((2 * w - 1) * (2 * w - 1) == rows) return w;
    return 0;
}

static void find_stages(tn_net_build *b, sizes *s)
{
    static const int64_t usual_depth[] = {2, 2, 6, 2};
    int depths = 0, heads = 0;
    bool given = tn_net_ints(b, "depths", s->depth, STAGES_MAX, &depths);
    for (int i = 0; !given && i < STAGES_MAX; i++) {
        char format[64];
        snprintf(format, sizeof(format), "layers.%d.blocks.%%d.norm1.weight", i);
        s->depth[i] = b->checkpoint ? tn_net_count(b, format) : i < 4 ? usual_depth[i] : 0;
        if (!s->depth[i]) break;
        depths = i + 1;
    }
    s->stages = TN_MAX(depths, 1);
    for (int64_t i = 0; i < s->stages; i++) {
        const int64_t width = s->width << i;
        s->depth[i] = TN_MAX(s->depth[i], 1);
        s->heads[i] = tn_net_dim(b, 2, 1, TN_MAX(width / 32, 1),
                                 "layers.%d.blocks.0.attn.relative_position_bias_table", (int)i);
        TN_NET_WANT(b, s->depth[i] <= BLOCKS_MAX, TN_INVALID, "swin: %" PRId64 " blocks in a stage",
                    s->depth[i]);
    }
    if (tn_net_ints(b, "heads", s->heads, STAGES_MAX, &heads))
        TN_NET_WANT(b, heads == s->stages, TN_INVALID, "swin: heads are %d numbers for %d stages",
                    heads, (int)s->stages);
    for (int64_t i = 0; i < s->stages && !b->draft.failed; i++)
        TN_NET_WANT(b, s->heads[i] > 0 && (s->width << i) % s->heads[i] == 0, TN_INVALID,
                    "swin: %" PRId64 " heads do not divide the width %" PRId64 " of stage %d",
                    s->heads[i], s->width << i, (int)i);
}

static void find_sizes(tn_net_build *b, sizes *s)
{
    const int64_t max = TN_NET_SIZE_MAX >> STAGES_MAX;
    const char *table = "layers.0.blocks.0.attn.relative_position_bias_table";
    const char *patch = "patch_embed.proj.weight";
    s->channels = tn_net_int(b, "channels", tn_net_dim(b, 4, 1, 3, "%s", patch), 1, max);
    s->width = tn_net_int(b, "width", tn_net_dim(b, 4, 0, 96, "%s", patch), 1, max);
    s->patch = tn_net_int(b, "patch", tn_net_dim(b, 4, 2, 4, "%s", patch), 1, 64);
    s->window =
        tn_net_int(b, "window", window_of(tn_net_dim(b, 2, 0, 169, "%s", table)), 2, WINDOW_MAX);
    s->classes =
        tn_net_int(b, "classes", tn_net_dim(b, 2, 0, 1000, "head.fc.weight"), 1, TN_NET_SIZE_MAX);
    s->epsilon = tn_net_number(b, "eps", 1e-5);
    s->split = tn_net_tensor(b, "layers.0.blocks.0.attn.q.weight") != NULL;
    find_stages(b, s);
    if (b->draft.failed) return;
    /* Of windows of 12 the pretrained models take images of 384. */
    int64_t usual = s->window % 12 == 0 ? 384 : s->window % 8 == 0 ? 256 : 224;
    s->image = tn_net_int(b, "image", usual, s->patch, IMAGE_MAX);
    TN_NET_WANT(b, b->draft.failed || s->image % s->patch == 0, TN_INVALID,
                "swin: patches of %d do not divide the image of %d", (int)s->patch, (int)s->image);
}

/* ---- Constants --------------------------------------------------------------------------------*/

static tn_value *add_data(tn_net_build *b, const char *name, tn_dtype dtype, const int64_t *dim,
                          int rank, void **data)
{
    tn_graph *graph = b->draft.graph;
    const char *fresh;
    tn_tensor t = tn_tensor_of(dtype, dim, rank, NULL);
    int64_t bytes = tn_tensor_bytes(&t);
    if (b->draft.failed) return NULL;
    TN_NET_WANT(b, bytes > 0 && bytes <= MASK_BYTES_MAX, TN_INVALID,
                "swin: %s would take %" PRId64 " bytes: the image or the windows are too large",
                name, bytes);
    if (b->draft.failed || !tn_draft_try(&b->draft, tn_graph_fresh_name(graph, name, &fresh)))
        return NULL;
    t.data = *data = tn_arena_alloc(graph->arena, (size_t)bytes);
    TN_NET_WANT(b, t.data, TN_OUT_OF_MEMORY, "no memory for %s", name);
    return b->draft.failed ? NULL : tn_draft_constant(&b->draft, fresh, &t, false);
}

/* Of every pair of fields of a window, the row of the bias table. */
static tn_value *add_position(tn_net_build *b, int64_t w)
{
    int64_t *at, area = w * w;
    void *data;
    tn_value *out =
        add_data(b, "relative_position_index", TN_DTYPE_I64, TN_DIMS(area * area), &data);
    if (!out) return NULL;
    at = data;
    for (int64_t i = 0; i < area; i++)
        for (int64_t j = 0; j < area; j++)
            *at++ = (i / w - j / w + w - 1) * (2 * w - 1) + i % w - j % w + w - 1;
    return out;
}

/* Which of three strips a row or column of the shifted image is of. */
static int64_t strip(int64_t at, const stage *s)
{
    return at < s->side - s->window ? 0 : at < s->side - s->shift ? 1 : 2;
}

/* 0 where two fields of a window come from one region of the image, -100 where not. */
static tn_value *add_mask(tn_net_build *b, const stage *s)
{
    const int64_t w = s->window, n = s->side / w, area = w * w;
    char name[64];
    void *data;
    snprintf(name, sizeof(name), "layers.%d.attn_mask", s->index);
    tn_value *out = add_data(b, name, TN_DTYPE_F32, (int64_t[]){1, n * n, 1, area, area}, 5, &data);
    if (!out) return NULL;
    float *at = data;
    for (int64_t k = 0; k < n * n; k++) {
        const int64_t y = k / n * w, x = k % n * w;
        for (int64_t i = 0; i < area; i++)
            for (int64_t j = 0; j < area; j++)
                *at++ = strip(y + i / w, s) == strip(y + j / w, s) &&
                                strip(x + i % w, s) == strip(x + j % w, s)
                            ? 0
                            : -100;
    }
    return out;
}

/* ---- Blocks -----------------------------------------------------------------------------------*/

/* The image [batch, side, side, width] moved by `by` fields along two axes, round the edges. */
static tn_value *roll(tn_net_build *b, tn_value *x, int64_t by)
{
    for (int64_t axis = 1; axis <= 2; axis++) {
        tn_value *head = tn_draft_slice(&b->draft, NULL, x, axis, 0, by);
        tn_value *tail = tn_draft_slice(&b->draft, NULL, x, axis, by, INT64_MAX);
        x = tn_draft_op(&b->draft, "Concat", NULL, TN_IN(tail, head),
                        TN_WITH(tn_attr_int("axis", axis)));
    }
    return x;
}

/* [batch, side, side, width] to [batch * windows, fields, width], and back. */
static tn_value *cut(tn_net_build *b, const stage *s, tn_value *x)
{
    const int64_t w = s->window, n = s->side / w;
    x = tn_draft_reshape(&b->draft, NULL, x, TN_DIMS(-1, n, w, n, w, s->width));
    x = tn_draft_transpose(&b->draft, NULL, x, TN_DIMS(0, 1, 3, 2, 4, 5));
    return tn_draft_reshape(&b->draft, NULL, x, TN_DIMS(-1, w * w, s->width));
}

static tn_value *uncut(tn_net_build *b, const stage *s, tn_value *x)
{
    const int64_t w = s->window, n = s->side / w;
    x = tn_draft_reshape(&b->draft, NULL, x, TN_DIMS(-1, n, n, w, w, s->width));
    x = tn_draft_transpose(&b->draft, NULL, x, TN_DIMS(0, 1, 3, 2, 4, 5));
    return tn_draft_reshape(&b->draft, NULL, x, TN_DIMS(-1, s->side, s->side, s->width));
}

/* q, k and v, [batch * windows, heads, fields, width of a head] each. */
static void add_qkv(tn_net_build *b, const sizes *all, const stage *s, const char *block,
                    tn_value *x, tn_value *out[3])
{
    static const char *const part[] = {"q", "k", "v"};
    char name[128];
    const int64_t area = s->window * s->window, each = s->width / s->heads;
    tn_value *joint = NULL;
    if (!all->split) {
        snprintf(name, sizeof(name), "%s.attn.qkv", block);
        joint = tn_net_add_linear(b, name, x, s->width, 3 * s->width, true);
        joint = tn_draft_reshape(&b->draft, NULL, joint, TN_DIMS(-1, area, 3, s->heads, each));
        joint = tn_draft_transpose(&b->draft, NULL, joint, TN_DIMS(2, 0, 3, 1, 4));
    }
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "%s.attn.%s", block, part[i]);
        if (joint) {
            out[i] = tn_draft_slice(&b->draft, NULL, joint, 0, i, i + 1);
            out[i] = tn_draft_squeeze(&b->draft, name, out[i], 0);
            continue;
        }
        out[i] = tn_net_add_linear(b, name, x, s->width, s->width, true);
        out[i] = tn_draft_reshape(&b->draft, NULL, out[i], TN_DIMS(-1, area, s->heads, each));
        out[i] = tn_draft_transpose(&b->draft, NULL, out[i], TN_DIMS(0, 2, 1, 3));
    }
}

static tn_value *add_bias(tn_net_build *b, const stage *s, const char *block)
{
    char name[128];
    const int64_t w = s->window, area = w * w;
    tn_draft *d = &b->draft;
    snprintf(name, sizeof(name), "%s.attn", block);
    tn_value *x = tn_net_parameter(b, name, "relative_position_bias_table",
                                   TN_DIMS((2 * w - 1) * (2 * w - 1), s->heads));
    x = tn_draft_op(d, "Gather", NULL, TN_IN(x, s->position), TN_WITH(tn_attr_int("axis", 0)));
    x = tn_draft_reshape(d, NULL, x, TN_DIMS(area, area, s->heads));
    x = tn_draft_transpose(d, NULL, x, TN_DIMS(2, 0, 1));
    snprintf(name, sizeof(name), "%s.attn.position_bias", block);
    return tn_draft_unsqueeze(d, name, x, 0);
}

static tn_value *add_attention(tn_net_build *b, const sizes *all, const stage *s, const char *block,
                               tn_value *x, bool shifted)
{
    char name[128];
    const int64_t area = s->window * s->window, windows = s->side / s->window;
    const int64_t each = s->width / s->heads;
    tn_draft *d = &b->draft;
    tn_value *qkv[3], *bias = add_bias(b, s, block);
    add_qkv(b, all, s, block, x, qkv);
    double scale = 1 / __builtin_sqrt((double)each);
    tn_value *q = tn_net_add(b, "Mul", NULL, qkv[0], tn_draft_scalar(d, TN_DTYPE_F32, scale));
    tn_value *k = tn_draft_transpose(d, NULL, qkv[1], TN_DIMS(0, 1, 3, 2));
    snprintf(name, sizeof(name), "%s.attn.scores", block);
    x = tn_net_add(b, "MatMul", name, q, k);
    x = tn_net_add(b, "Add", NULL, x, bias);
    if (shifted) {
        x = tn_draft_reshape(d, NULL, x, TN_DIMS(-1, windows * windows, s->heads, area, area));
        x = tn_net_add(b, "Add", NULL, x, s->mask);
        x = tn_draft_reshape(d, NULL, x, TN_DIMS(-1, s->heads, area, area));
    }
    snprintf(name, sizeof(name), "%s.attn.softmax", block);
    x = tn_draft_op(d, "Softmax", name, TN_IN(x), TN_WITH(tn_attr_int("axis", -1)));
    snprintf(name, sizeof(name), "%s.attn.context", block);
    x = tn_net_add(b, "MatMul", name, x, qkv[2]);
    x = tn_draft_transpose(d, NULL, x, TN_DIMS(0, 2, 1, 3));
    x = tn_draft_reshape(d, NULL, x, TN_DIMS(-1, area, s->width));
    snprintf(name, sizeof(name), "%s.attn.proj", block);
    return tn_net_add_linear(b, name, x, s->width, s->width, true);
}

static tn_value *add_block(tn_net_build *b, const sizes *all, const stage *s, int index,
                           tn_value *x)
{
    char block[64], name[128];
    const bool shifted = index % 2 == 1 && s->shift > 0;
    tn_draft *d = &b->draft;
    snprintf(block, sizeof(block), "layers.%d.blocks.%d", s->index, index);
    snprintf(name, sizeof(name), "%s.norm1", block);
    tn_value *y = tn_net_add_layer_norm(b, name, x, s->width, all->epsilon);
    if (shifted) y = roll(b, y, s->shift);
    y = add_attention(b, all, s, block, cut(b, s, y), shifted);
    y = uncut(b, s, y);
    if (shifted) y = roll(b, y, s->side - s->shift);
    snprintf(name, sizeof(name), "%s.add1", block);
    x = tn_net_add(b, "Add", name, x, y);
    snprintf(name, sizeof(name), "%s.norm2", block);
    y = tn_net_add_layer_norm(b, name, x, s->width, all->epsilon);
    snprintf(name, sizeof(name), "%s.mlp.fc1", block);
    const int64_t hidden = tn_net_dim(b, 2, 0, 4 * s->width, "%s.weight", name);
    y = tn_net_add_linear(b, name, y, s->width, hidden, true);
    snprintf(name, sizeof(name), "%s.mlp.gelu", block);
    y = tn_draft_op(d, "Gelu", name, TN_IN(y), TN_PLAIN);
    snprintf(name, sizeof(name), "%s.mlp.fc2", block);
    y = tn_net_add_linear(b, name, y, hidden, s->width, true);
    snprintf(name, sizeof(name), "%s.add2", block);
    return tn_net_add(b, "Add", name, x, y);
}

/* Fields of 2 x 2 become one, in the order (0,0) (1,0) (0,1) (1,1) of rows and columns. */
static tn_value *add_merge(tn_net_build *b, const sizes *all, stage *s, tn_value *x)
{
    char name[64];
    const int64_t half = s->side / 2;
    TN_NET_WANT(b, b->draft.failed || s->side % 2 == 0, TN_INVALID,
                "swin: stage %d cannot halve %" PRId64 " x %" PRId64
                " fields: the image of %" PRId64 " must be a multiple of %" PRId64,
                s->index, s->side, s->side, all->image, all->patch << (all->stages - 1));
    x = tn_draft_reshape(&b->draft, NULL, x, TN_DIMS(-1, half, 2, half, 2, s->width));
    x = tn_draft_transpose(&b->draft, NULL, x, TN_DIMS(0, 1, 3, 4, 2, 5));
    x = tn_draft_reshape(&b->draft, NULL, x, TN_DIMS(-1, half, half, 4 * s->width));
    snprintf(name, sizeof(name), "layers.%d.downsample.norm", s->index);
    x = tn_net_add_layer_norm(b, name, x, 4 * s->width, all->epsilon);
    snprintf(name, sizeof(name), "layers.%d.downsample.reduction", s->index);
    x = tn_net_add_linear(b, name, x, 4 * s->width, 2 * s->width, false);
    s->side = half;
    s->width *= 2;
    return x;
}

static tn_value *add_stage(tn_net_build *b, const sizes *all, stage *s, tn_value *x)
{
    if (s->index > 0) x = add_merge(b, all, s, x);
    s->heads = all->heads[s->index];
    /* Where one window covers all, nothing is shifted. */
    s->window = TN_MIN(all->window, s->side);
    s->shift = s->side > s->window ? s->window / 2 : 0;
    TN_NET_WANT(b, b->draft.failed || s->side % s->window == 0, TN_UNSUPPORTED,
                "swin: windows of %" PRId64 " do not divide the %" PRId64 " x %" PRId64
                " fields of stage %d; --set image=N with N a multiple of %" PRId64,
                s->window, s->side, s->side, s->index,
                (all->patch << (all->stages - 1)) * all->window);
    if (b->draft.failed) return NULL;
    s->position = add_position(b, s->window);
    s->mask = s->shift && all->depth[s->index] > 1 ? add_mask(b, s) : NULL;
    for (int64_t i = 0; i < all->depth[s->index] && !b->draft.failed; i++)
        x = add_block(b, all, s, (int)i, x);
    return x;
}

static void build(tn_net_build *b)
{
    sizes s = {0};
    find_sizes(b, &s);
    if (b->draft.failed) return;
    tn_draft *d = &b->draft;
    stage at = {.side = s.image / s.patch, .width = s.width};
    tn_value *x =
        tn_net_input(b, "input", TN_DTYPE_F32, (int64_t[]){-1, s.channels, s.image, s.image},
                     (const char *[]){"batch", NULL, NULL, NULL}, 4);
    x = tn_net_add_conv(
        b, "patch_embed.proj", x,
        &(tn_net_conv){.in = s.channels, .out = s.width, .kernel = s.patch, .stride = s.patch});
    x = tn_draft_transpose(d, NULL, x, TN_DIMS(0, 2, 3, 1));
    x = tn_net_add_layer_norm(b, "patch_embed.norm", x, s.width, s.epsilon);
    for (at.index = 0; at.index < s.stages && !d->failed; at.index++) x = add_stage(b, &s, &at, x);
    x = tn_net_add_layer_norm(b, "norm", x, at.width, s.epsilon);
    x = tn_draft_op(d, "ReduceMean", "avgpool", TN_IN(x, tn_draft_ints(d, (int64_t[]){1, 2}, 2)),
                    TN_WITH(tn_attr_int("keepdims", 0)));
    x = tn_net_add_linear(b, "head.fc", x, at.width, s.classes, true);
    tn_draft_output(d, "output", x);
}

/* ---- Names ------------------------------------------------------------------------------------*/

/* Ours are those of timm since 0.9, where a stage begins with its merging. */
static const tn_net_rename microsoft[] = {
    {"head.fc", "head"},
    {"layers.*.downsample", "layers.{a-1}.downsample"},
    {0},
};
static const tn_net_rename torchvision[] = {
    {"patch_embed.proj", "features.0.0"},
    {"patch_embed.norm", "features.0.2"},
    {"layers.*.downsample", "features.{2a}"},
    {"layers.*.blocks.*.mlp.fc1", "features.{2a+1}.{b}.mlp.0"},
    {"layers.*.blocks.*.mlp.fc2", "features.{2a+1}.{b}.mlp.3"},
    {"layers.*.blocks.*", "features.{2a+1}.{b}"},
    {"head.fc", "head"},
    {0},
};
#define FACE "swin.encoder.layers.{a}.blocks.{b}."
static const tn_net_rename hugging_face[] = {
    {"patch_embed.proj", "swin.embeddings.patch_embeddings.projection"},
    {"patch_embed.norm", "swin.embeddings.norm"},
    {"layers.*.downsample", "swin.encoder.layers.{a-1}.downsample"},
    {"layers.*.blocks.*.norm1", FACE "layernorm_before"},
    {"layers.*.blocks.*.norm2", FACE "layernorm_after"},
    {"layers.*.blocks.*.attn.q", FACE "attention.self.query"},
    {"layers.*.blocks.*.attn.k", FACE "attention.self.key"},
    {"layers.*.blocks.*.attn.v", FACE "attention.self.value"},
    {"layers.*.blocks.*.attn.proj", FACE "attention.output.dense"},
    {"layers.*.blocks.*.attn", FACE "attention.self"},
    {"layers.*.blocks.*.mlp.fc1", FACE "intermediate.dense"},
    {"layers.*.blocks.*.mlp.fc2", FACE "output.dense"},
    {"norm", "swin.layernorm"},
    {"head.fc", "classifier"},
    {0},
};

#define TABLE "layers.0.blocks.0.attn.relative_position_bias_table"
static const tn_net_scheme schemes[] = {
    {.name = "timm", .anchor = (const char *const[]){TABLE, "head.fc.weight", NULL}},
    {.name = "Microsoft's Swin",
     .rename = microsoft,
     .anchor = (const char *const[]){TABLE, "patch_embed.proj.weight", NULL}},
    {.name = "torchvision",
     .rename = torchvision,
     .anchor = (const char *const[]){TABLE, "patch_embed.proj.weight", NULL}},
    {.name = "Hugging Face",
     .trunk = "swin.",
     .rename = hugging_face,
     .anchor = (const char *const[]){TABLE, "patch_embed.proj.weight", NULL}},
    {0},
};

const tn_net tn_net_swin = {
    .name = "swin",
    .about = "Swin transformers (T, S, B, L): classification of images",
    .settings =
        "  image=224 (256 for windows of 8, 384 for 12) channels=3 patch=4 window=7 width=96\n"
        "  depths=2,2,6,2 heads=3,6,12,24 classes=1000 eps=1e-5\n",
    .scheme = schemes,
    .buffer = (const char *const[]){"relative_position_index", "attn_mask", "relative_coords_table",
                                    NULL},
    .build = build,
};
