/* Any bytes as a picture: what is accepted must have the promised shape, decode to the same pixels
 * twice, and go through the steps of a network. */
#include <string.h>

#include "image/image.h"
#include "image/prepare.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

static void check(const tn_tensor *t, bool wide, int channels)
{
    if (t->rank != 3 || t->dim[0] < 1 || t->dim[1] < 1 || t->dim[2] != channels) __builtin_trap();
    if (t->dtype != TN_DTYPE_U8 && !(wide && t->dtype == TN_DTYPE_U16)) __builtin_trap();
}

static void prepare(const tn_tensor *image, const char *preset)
{
    tn_image_steps steps = {.size = sizeof(steps)};
    tn_tensor out = {0};
    if (tn_image_find_preset(preset, 16, &steps)) __builtin_trap();
    /* A picture of one row is resized to a very long one, which may be refused. */
    if (tn_image_follow(image, &steps, &out)) return;
    if (out.rank != 4 || out.dim[2] != 16 || out.dim[3] != 16) __builtin_trap();
    tn_tensor_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    tn_image_options options = {.size = sizeof(options), .max_pixels = 1 << 18};
    tn_tensor first, second;
    tn_set_log(NULL, NULL, TN_LOG_ERROR);
    if (tn_image_decode(bytes, byte_count, "fuzz", &options, &first)) return 0;
    check(&first, false, 3);
    if (tn_image_decode(bytes, byte_count, "fuzz", &options, &second)) __builtin_trap();
    if (memcmp(first.data, second.data, (size_t)tn_tensor_bytes(&first)) != 0) __builtin_trap();
    tn_tensor_free(&second);
    if (first.dim[0] * first.dim[1] <= 1 << 14) {
        prepare(&first, "swin");
        prepare(&first, "mnist");
    }
    tn_tensor_free(&first);
    options.wide = true;
    options.colour = TN_IMAGE_GREY;
    if (tn_image_decode(bytes, byte_count, "fuzz", &options, &first)) __builtin_trap();
    check(&first, true, 1);
    tn_tensor_free(&first);
    return 0;
}
