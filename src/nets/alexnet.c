/* AlexNet as torchvision has it: five convolutions, three linear layers. */
#include <stdio.h>

#include "nets/inside.h"

/* Numbers within torchvision's `features`; the last three within `classifier`. */
static const struct {
    int number, kernel, stride, pad, width;
    bool pool;
} conv[] = {
    {0, 11, 4, 2, 64, true},  {3, 5, 1, 2, 192, true},  {6, 3, 1, 1, 384, false},
    {8, 3, 1, 1, 256, false}, {10, 3, 1, 1, 256, true},
};
static const int linear[] = {1, 4, 6};
enum { CELLS = 6 }; /* the adaptive pooling leaves 6 x 6 */

/* Mean over cells, where the side is a multiple of 6 (at 224 it is 6: nothing to do). */
static tn_value *add_adaptive_pool(tn_net_build *b, tn_value *x, int64_t side)
{
    const int64_t k = side / CELLS;
    TN_NET_WANT(b, b->draft.failed || (side > 0 && side % CELLS == 0), TN_UNSUPPORTED,
                "alexnet: the image leaves %d x %d fields, which cannot be averaged to 6 x 6 cells "
                "of one size; --set image=224 leaves 6 x 6",
                (int)side, (int)side);
    if (k == 1) return x;
    return tn_draft_op(&b->draft, "AveragePool", "avgpool", TN_IN(x),
                       TN_WITH(tn_attr_ints("kernel_shape", (int64_t[]){k, k}, 2),
                               tn_attr_ints("strides", (int64_t[]){k, k}, 2)));
}

static void build(tn_net_build *b)
{
    char name[64];
    int64_t in =
        tn_net_int(b, "channels", tn_net_dim(b, 4, 1, 3, "features.0.weight"), 1, TN_NET_SIZE_MAX);
    int64_t classes = tn_net_int(b, "classes", tn_net_dim(b, 2, 0, 1000, "classifier.6.weight"), 1,
                                 TN_NET_SIZE_MAX);
    int64_t image = tn_net_int(b, "image", 224, 63, 8192), side = image;
    tn_value *x = tn_net_input(b, "input", TN_DTYPE_F32, (int64_t[]){-1, in, image, image},
                               (const char *[]){"batch", NULL, NULL, NULL}, 4);
    for (size_t i = 0; i < TN_COUNT(conv) && !b->draft.failed; i++) {
        snprintf(name, sizeof(name), "features.%d", conv[i].number);
        const tn_net_conv c = {
            .in = in,
            .out = tn_net_dim(b, 4, 0, conv[i].width, "%s.weight", name),
            .kernel = conv[i].kernel,
            .stride = conv[i].stride,
            .pad = conv[i].pad,
        };
        x = tn_net_add_conv(b, name, x, &c);
        in = c.out;
        side = (side + 2 * c.pad - c.kernel) / c.stride + 1;
        snprintf(name, sizeof(name), "features.%d", conv[i].number + 1);
        x = tn_net_add(b, "Relu", name, x, NULL);
        snprintf(name, sizeof(name), "features.%d", conv[i].number + 2);
        if (conv[i].pool) {
            x = tn_net_add_max_pool(b, name, x, 3, 2, 0);
            side = (side - 3) / 2 + 1;
        }
    }
    x = add_adaptive_pool(b, x, side);
    x = tn_draft_op(&b->draft, "Flatten", "flatten", TN_IN(x), TN_WITH(tn_attr_int("axis", 1)));
    in *= CELLS * CELLS;
    for (size_t i = 0; i < TN_COUNT(linear) && !b->draft.failed; i++) {
        snprintf(name, sizeof(name), "classifier.%d", linear[i]);
        int64_t out = i == 2 ? classes : tn_net_dim(b, 2, 0, 4096, "%s.weight", name);
        x = tn_net_add_linear(b, name, x, in, out, true);
        in = out;
        snprintf(name, sizeof(name), "classifier.%d", linear[i] + 1);
        if (i < 2) x = tn_net_add(b, "Relu", name, x, NULL);
    }
    tn_draft_output(&b->draft, "output", x);
}

/* The same layers in one nn.Sequential, with pooling, flattening and dropout between the halves. */
static const tn_net_rename in_a_row[] = {
    {"features.*", "{a}"},
    {"classifier.*", "{a+15}"},
    {0},
};

#define ANCHOR                                                                                     \
    (const char *const[])                                                                          \
    {                                                                                              \
        "features.0.weight", "features.10.weight", "classifier.6.weight", NULL                     \
    }
#define NEVER                                                                                      \
    (const char *const[])                                                                          \
    {                                                                                              \
        "features.1.weight", "features.12.weight", NULL                                            \
    }
static const tn_net_scheme schemes[] = {
    {.name = "torchvision", .anchor = ANCHOR, .never = NEVER},
    {.name = "nn.Sequential", .rename = in_a_row, .anchor = ANCHOR, .never = NEVER},
    {0},
};

const tn_net tn_net_alexnet = {
    .name = "alexnet",
    .about = "AlexNet of torchvision, of any width",
    .settings = "  image=224 channels=3 classes=1000\n",
    .scheme = schemes,
    .build = build,
};
