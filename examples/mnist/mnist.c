/* A LeNet from PyTorch's file, through the network-definition API, to an engine and a prediction:
 * mnist FOLDER [INDEX] tells what digit INDEX (0 to 15; default: any) is and is taken for. */
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
    static const char labels[] = "7210414959069015"; /* of the first 16 of MNIST's test set */
    long index = argc > 2 ? atol(argv[2]) : getpid() % 16;
    if (index < 0 || index > 15 || (argc > 1 && chdir(argv[1]))) {
        fprintf(stderr, "usage: mnist FOLDER [0..15]\n");
        return 2;
    }
    tn_checkpoint *file;
    tn_engine *engine;
    tn_context *context;
    tn_tensor digits, prob; /* f32[16,1,28,28], (pixel / 255 - 0.1307) / 0.3081 */
    must(tn_tensor_load("test_data_set_0/input_0.pb", &digits));
    float *pixels = (float *)digits.data + 784 * index;
    tn_tensor data = tn_tensor_of(TN_DTYPE_F32, TN_DIMS(1, 1, 28, 28), pixels);
    must(tn_checkpoint_load("mnist.pth", &file));
    build(file, &engine);
    must(tn_context_new(engine, &context));
    must(tn_context_bind(context, "data", &data));
    must(tn_context_run(context));
    must(tn_context_output(context, "prob", &prob));
    int best = 0;
    for (int i = 1; i < 10; i++)
        best = ((float *)prob.data)[i] > ((float *)prob.data)[best] ? i : best;
    printf("Test Case: %c\nPrediction: %d\n", labels[index], best);
    tn_context_free(context);
    tn_engine_free(engine);
    tn_checkpoint_free(file);
    tn_tensor_free(&digits);
    return best == labels[index] - '0' ? 0 : 1;
}
