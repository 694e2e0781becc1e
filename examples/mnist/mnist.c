/* A LeNet from PyTorch's file, through the network-definition API, to an engine and a prediction:
 * mnist FOLDER [INDEX] tells what digit INDEX (default: any) of the folder is and is taken for. */
#include <stdio.h>
#include <stdlib.h>
#include <tenon/tenon.h>
#include <unistd.h>

static void must(tn_status status)
{
    if (!status) return;
    fprintf(stderr, "%s\n", tn_status_message(status));
    exit(2);
}

/* `bytes` bytes from `at` on of an IDX file, which is a header and then items. */
static void read_at(const char *path, long at, void *dst, size_t bytes)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, at, SEEK_SET) || fread(dst, 1, bytes, file) != bytes) {
        fprintf(stderr, "%s: no %zu bytes from %ld on\n", path, bytes, at);
        exit(2);
    }
    fclose(file);
}

static tn_layer *add_conv_pool(tn_network *net, tn_layer *x, const tn_tensor *w, const tn_tensor *b)
{
    x = tn_network_add_convolution(net, x, w, b);
    x = tn_network_add_pooling(net, x, TN_POOL_MAX, TN_DIMS(2, 2));
    return tn_layer_set_ints(x, TN_SET_STRIDE, TN_DIMS(2, 2));
}

static void build(const tn_checkpoint *file, tn_engine **engine)
{
    tn_network *net;
    tn_model *model;
    must(tn_network_new("lenet", &net));
#define W(k) tn_network_weight(net, file, k ".weight"), tn_network_weight(net, file, k ".bias")
    tn_layer *x = tn_network_add_input(net, "data", TN_DTYPE_F32, TN_DIMS(-1, 1, 28, 28));
    x = add_conv_pool(net, x, W("conv1"));
    x = add_conv_pool(net, x, W("conv2"));
    x = tn_network_add_fully_connected(net, x, W("fc1"));
    x = tn_network_add_activation(net, x, TN_ACTIVATION_RELU);
    x = tn_network_add_fully_connected(net, x, W("fc2"));
    tn_network_mark_output(net, x, "prob");
    must(tn_model_from_network(net, &model)); /* tells the first failure of all calls above */
    must(tn_build(model, NULL, engine));
    tn_model_free(model);
    tn_network_free(net);
}

int main(int argc, char **argv)
{
    long index = argc > 2 ? atol(argv[2]) : getpid() % 20;
    unsigned char pixels[784], label;
    float image[784];
    if (argc > 1 && chdir(argv[1])) perror(argv[1]);
    read_at("digits-labels-idx1-ubyte", 8 + index, &label, 1);
    read_at("digits-images-idx3-ubyte", 16 + 784 * index, pixels, 784);
    for (int i = 0; i < 784; i++) image[i] = ((float)pixels[i] / 255 - 0.1307f) / 0.3081f;
    tn_checkpoint *file;
    tn_engine *engine;
    tn_context *context;
    tn_tensor data = tn_tensor_of(TN_DTYPE_F32, TN_DIMS(1, 1, 28, 28), image), prob;
    must(tn_checkpoint_load("mnist.pth", &file));
    build(file, &engine);
    must(tn_context_new(engine, &context));
    must(tn_context_bind(context, "data", &data));
    must(tn_context_run(context));
    must(tn_context_output(context, "prob", &prob));
    int best = 0;
    for (int i = 1; i < 10; i++)
        best = ((float *)prob.data)[i] > ((float *)prob.data)[best] ? i : best;
    printf("Test Case: %d\nPrediction: %d\n", label, best);
    tn_context_free(context);
    tn_engine_free(engine);
    tn_checkpoint_free(file);
    return best == label ? 0 : 1;
}
