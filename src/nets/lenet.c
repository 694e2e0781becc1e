/* LeNet of the MNIST sample: two convolutions with pooling, no activation between them, and two
 * linear layers with a Relu between them. */
#include "nets/inside.h"

/* The side of a square with that many fields; -1: it is none. */
static int64_t root_of(int64_t square)
{
    int64_t side = 0;
    while (side * side < square && side < 4096) side++;
    return side * side == square ? side : -1;
}

static void build(tn_net_build *b)
{
    tn_draft *d = &b->draft;
    const int64_t max = TN_NET_SIZE_MAX;
    int64_t channels = tn_net_int(b, "channels", tn_net_dim(b, 4, 1, 1, "conv1.weight"), 1, max);
    int64_t c1 = tn_net_int(b, "conv1", tn_net_dim(b, 4, 0, 20, "conv1.weight"), 1, max);
    int64_t k1 = tn_net_int(b, "kernel1", tn_net_dim(b, 4, 3, 5, "conv1.weight"), 1, 64);
    int64_t c2 = tn_net_int(b, "conv2", tn_net_dim(b, 4, 0, 50, "conv2.weight"), 1, max);
    int64_t k2 = tn_net_int(b, "kernel2", tn_net_dim(b, 4, 3, 5, "conv2.weight"), 1, 64);
    int64_t hidden = tn_net_int(b, "hidden", tn_net_dim(b, 2, 0, 500, "fc1.weight"), 1, max);
    int64_t classes = tn_net_int(b, "classes", tn_net_dim(b, 2, 0, 10, "fc2.weight"), 1, max);
    if (d->failed) return;
    /* The image from what is left of it at fc1. */
    int64_t flat = tn_net_dim(b, 2, 1, -1, "fc1.weight"), side = 4;
    if (flat > 0 && flat % c2 == 0) side = root_of(flat / c2);
    int64_t image =
        tn_net_int(b, "image", side < 1 ? 28 : (side * 2 + k2 - 1) * 2 + k1 - 1, 1, 65536);
    side = ((image - k1 + 1) / 2 - k2 + 1) / 2;
    TN_NET_WANT(b, side > 0, TN_INVALID,
                "lenet: nothing is left of an image of %d x %d after the convolutions", (int)image,
                (int)image);
    tn_value *x = tn_net_input(b, "data", TN_DTYPE_F32, (int64_t[]){-1, channels, image, image},
                               (const char *[]){"batch", NULL, NULL, NULL}, 4);
    x = tn_net_add_conv(b, "conv1", x, &(tn_net_conv){.in = channels, .out = c1, .kernel = k1});
    x = tn_net_add_max_pool(b, "pool1", x, 2, 2, 0);
    x = tn_net_add_conv(b, "conv2", x, &(tn_net_conv){.in = c1, .out = c2, .kernel = k2});
    x = tn_net_add_max_pool(b, "pool2", x, 2, 2, 0);
    x = tn_draft_reshape(d, "flatten", x, TN_DIMS(-1, c2 * side * side));
    x = tn_net_add_linear(b, "fc1", x, c2 * side * side, hidden, true);
    x = tn_net_add(b, "Relu", "relu", x, NULL);
    x = tn_net_add_linear(b, "fc2", x, hidden, classes, true);
    tn_draft_output(d, "prob", x);
}

static const tn_net_scheme schemes[] = {
    {.name = "the MNIST sample",
     .anchor =
         (const char *const[]){"conv1.weight", "conv2.weight", "fc1.weight", "fc2.weight", NULL},
     .never = (const char *const[]){"conv3.weight", "bn1.weight", "fc3.weight", NULL}},
    {0},
};

const tn_net tn_net_lenet = {
    .name = "lenet",
    .about = "two convolutions, two linear layers (the MNIST sample)",
    .settings =
        "  image=28 channels=1 conv1=20 conv2=50 kernel1=5 kernel2=5 hidden=500 classes=10\n",
    .scheme = schemes,
    .build = build,
};
