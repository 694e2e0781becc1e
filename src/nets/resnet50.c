/* Residual networks as torchvision and timm have them: ResNet-50 and those of the same plan (18 to
 * 152 layers, wide ones, ResNeXt): what blocks there are and how wide is told by the tensors.
 * Batch normalisation stays an operator; passes fold it into the convolutions. */
#include <stdio.h>

#include "nets/inside.h"

enum { STAGES = 4, BLOCKS_MAX = 1000 };
static const int64_t usual_depth[STAGES] = {3, 4, 6, 3};

static tn_value *add_norm(tn_net_build *b, const char *name, tn_value *x, int64_t width)
{
    static const char *const what[] = {"weight", "bias", "running_mean", "running_var"};
    tn_value *p[4];
    for (int i = 0; i < 4; i++) p[i] = tn_net_parameter(b, name, what[i], TN_DIMS(width));
    return tn_draft_op(&b->draft, "BatchNormalization", name, TN_IN(x, p[0], p[1], p[2], p[3]),
                       TN_WITH(tn_attr_float("epsilon", 1e-5)));
}

/* Convolution number `index` of a block with its norm; `out` where no tensor tells the width. */
static tn_value *add_step(tn_net_build *b, const char *block, int index, bool deep, tn_value *x,
                          int64_t *width, int64_t out, int64_t kernel, int64_t stride)
{
    char name[128];
    snprintf(name, sizeof(name), "%s.conv%d", block, index);
    const int64_t in = *width;
    /* Groups (ResNeXt) are in the middle convolution of three, and its weight tells them. */
    const int64_t each = deep && index == 2 ? tn_net_dim(b, 4, 1, in, "%s.weight", name) : in;
    const tn_net_conv conv = {
        .in = in,
        .out = tn_net_dim(b, 4, 0, out, "%s.weight", name),
        .kernel = kernel,
        .stride = stride,
        .pad = kernel / 2,
        .groups = each > 0 && each < in && in % each == 0 ? in / each : 1,
        .no_bias = true,
    };
    x = tn_net_add_conv(b, name, x, &conv);
    snprintf(name, sizeof(name), "%s.bn%d", block, index);
    *width = conv.out;
    return add_norm(b, name, x, conv.out);
}

static tn_value *add_relu(tn_net_build *b, const char *block, const char *name, tn_value *x)
{
    char full[128];
    snprintf(full, sizeof(full), "%s.%s", block, name);
    return tn_net_add(b, "Relu", full, x, NULL);
}

typedef struct plan {
    bool deep; /* three convolutions a block */
    int64_t base;
} plan;

/* *width: of x, then of the result. */
static tn_value *add_block(tn_net_build *b, const plan *p, int stage, int index, tn_value *x,
                           int64_t *width)
{
    char block[64], name[128];
    const int64_t before = *width, stride = stage > 0 && index == 0 ? 2 : 1;
    const int64_t narrow = p->base << stage;
    tn_value *y = x;
    snprintf(block, sizeof(block), "layer%d.%d", stage + 1, index);
    if (p->deep) {
        y = add_relu(b, block, "relu1", add_step(b, block, 1, p->deep, y, width, narrow, 1, 1));
        y = add_relu(b, block, "relu2",
                     add_step(b, block, 2, p->deep, y, width, narrow, 3, stride));
        y = add_step(b, block, 3, p->deep, y, width, 4 * narrow, 1, 1);
    } else {
        y = add_relu(b, block, "relu1",
                     add_step(b, block, 1, p->deep, y, width, narrow, 3, stride));
        y = add_step(b, block, 2, p->deep, y, width, narrow, 3, 1);
    }
    /* Where shapes change the shortcut is a convolution too. */
    if (stride != 1 || before != *width) {
        snprintf(name, sizeof(name), "%s.downsample.0", block);
        x = tn_net_add_conv(
            b, name, x,
            &(tn_net_conv){
                .in = before, .out = *width, .kernel = 1, .stride = stride, .no_bias = true});
        snprintf(name, sizeof(name), "%s.downsample.1", block);
        x = add_norm(b, name, x, *width);
    }
    snprintf(name, sizeof(name), "%s.add", block);
    return add_relu(b, block, "relu", tn_net_add(b, "Add", name, y, x));
}

static void find_depths(tn_net_build *b, int64_t depth[STAGES])
{
    int count = 0;
    bool given = tn_net_ints(b, "depths", depth, STAGES, &count);
    TN_NET_WANT(b, !given || count == STAGES, TN_INVALID, "resnet50: depths are %d numbers, not %d",
                STAGES, count);
    for (int stage = 0; stage < STAGES && !given; stage++) {
        char format[64];
        snprintf(format, sizeof(format), "layer%d.%%d.conv1.weight", stage + 1);
        depth[stage] = b->checkpoint ? TN_MAX(tn_net_count(b, format), 1) : usual_depth[stage];
    }
    for (int stage = 0; stage < STAGES; stage++)
        TN_NET_WANT(b, b->draft.failed || depth[stage] <= BLOCKS_MAX, TN_INVALID,
                    "resnet50: more than %d blocks in a stage", BLOCKS_MAX);
}

static void build(tn_net_build *b)
{
    const int64_t max = TN_NET_SIZE_MAX / 4;
    int64_t depth[STAGES], in, width;
    const plan p = {
        .deep = !b->checkpoint || tn_net_tensor(b, "layer1.0.conv3.weight"),
        .base = tn_net_int(b, "width", 64, 1, max / 32),
    };
    find_depths(b, depth);
    in = tn_net_int(b, "channels", tn_net_dim(b, 4, 1, 3, "conv1.weight"), 1, max);
    width = tn_net_int(b, "stem", tn_net_dim(b, 4, 0, p.base, "conv1.weight"), 1, max);
    int64_t classes = tn_net_int(b, "classes", tn_net_dim(b, 2, 0, 1000, "fc.weight"), 1, max);
    int64_t image = tn_net_int(b, "image", 224, 33, 8192);
    tn_value *x = tn_net_input(b, "input", TN_DTYPE_F32, (int64_t[]){-1, in, image, image},
                               (const char *[]){"batch", NULL, NULL, NULL}, 4);
    x = tn_net_add_conv(
        b, "conv1", x,
        &(tn_net_conv){
            .in = in, .out = width, .kernel = 7, .stride = 2, .pad = 3, .no_bias = true});
    x = tn_net_add(b, "Relu", "relu", add_norm(b, "bn1", x, width), NULL);
    x = tn_net_add_max_pool(b, "maxpool", x, 3, 2, 1);
    for (int stage = 0; stage < STAGES; stage++)
        for (int64_t k = 0; k < depth[stage] && !b->draft.failed; k++)
            x = add_block(b, &p, stage, (int)k, x, &width);
    x = tn_net_add(b, "GlobalAveragePool", "avgpool", x, NULL);
    x = tn_draft_op(&b->draft, "Flatten", "flatten", TN_IN(x), TN_WITH(tn_attr_int("axis", 1)));
    x = tn_net_add_linear(b, "fc", x, width, classes, true);
    tn_draft_output(&b->draft, "output", x);
}

static const tn_net_scheme schemes[] = {
    {.name = "torchvision and timm",
     .anchor =
         (const char *const[]){"layer1.0.conv1.weight", "conv1.weight", "bn1.running_mean", NULL}},
    {0},
};

const tn_net tn_net_resnet50 = {
    .name = "resnet50",
    .about = "ResNet-50 of torchvision or timm, and its kin of other depths and widths",
    .settings = "  image=224 channels=3 classes=1000 depths=3,4,6,3 width=64 stem=64\n",
    .scheme = schemes,
    .buffer = (const char *const[]){"num_batches_tracked", NULL},
    .build = build,
};
