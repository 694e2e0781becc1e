/* A picture made ready for a network: grey or not, resized, its centre cut out, values shifted and
 * scaled, channels in planes. The arithmetic, in f32, is that of torchvision's ToTensor and
 * Normalize. */
#include "image/prepare.h"

#include <math.h>
#include <string.h>

typedef struct preset {
    const char *name;
    tn_image_filter filter;
    int side; /* of the network's input */
    bool crops;
    int channels;
    float mean[3], deviation[3];
} preset;

#define IMAGENET                                                                                   \
    {0.485F, 0.456F, 0.406F},                                                                      \
    {                                                                                              \
        0.229F, 0.224F, 0.225F                                                                     \
    }
static const preset presets[] = {
    {"imagenet", TN_FILTER_BILINEAR, 224, true, 3, IMAGENET},
    {"alexnet", TN_FILTER_BILINEAR, 224, true, 3, IMAGENET},
    {"resnet", TN_FILTER_BILINEAR, 224, true, 3, IMAGENET},
    {"resnet50", TN_FILTER_BILINEAR, 224, true, 3, IMAGENET},
    {"swin", TN_FILTER_BICUBIC, 224, true, 3, IMAGENET},
    {"mnist", TN_FILTER_BILINEAR, 28, false, 1, {0.1307F}, {0.3081F}},
};

tn_status tn_image_find_preset(const char *name, int side, tn_image_steps *out)
{
    const preset *p = NULL;
    for (size_t i = 0; i < TN_COUNT(presets) && !p; i++)
        if (strcmp(presets[i].name, name) == 0) p = &presets[i];
    TN_CHECK(
        p, TN_NOT_FOUND,
        "there is no preset '%s'; there are imagenet (alexnet, resnet, resnet50), swin and mnist",
        name);
    TN_CHECK(side >= 0 && side <= 16384, TN_INVALID, "a network's input of %d pixels", side);
    if (!side) side = p->side;
    *out = (tn_image_steps){.size = out->size, .filter = p->filter, .channels = p->channels};
    if (p->crops) {
        out->shorter_side = (int)(256.0 / 224.0 * side);
        out->crop_height = out->crop_width = side;
    } else {
        out->resize_height = out->resize_width = side;
    }
    memcpy(out->mean, p->mean, sizeof(out->mean));
    memcpy(out->deviation, p->deviation, sizeof(out->deviation));
    return NULL;
}

static tn_status make_grey(const tn_tensor *image, tn_tensor *out)
{
    int64_t count = image->dim[0] * image->dim[1];
    const uint8_t *from = image->data;
    TN_TRY(tn_tensor_new(TN_DTYPE_U8, (int64_t[]){image->dim[0], image->dim[1], 1}, 3, out));
    uint8_t *to = out->data;
    for (int64_t i = 0; i < count; i++, from += 3)
        to[i] = (uint8_t)((from[0] * 19595 + from[1] * 38470 + from[2] * 7471 + 0x8000) >> 16);
    return NULL;
}

/* The size to resize to; the picture's own where no step says one. */
static void find_size(const tn_tensor *image, const tn_image_steps *steps, int64_t *height,
                      int64_t *width)
{
    int64_t h = image->dim[0], w = image->dim[1], side = steps->shorter_side;
    *height = steps->resize_height > 0 ? steps->resize_height : h;
    *width = steps->resize_width > 0 ? steps->resize_width : w;
    if (side <= 0) return;
    *height = h <= w ? side : (int64_t)((double)(side * h) / (double)w);
    *width = w <= h ? side : (int64_t)((double)(side * w) / (double)h);
}

/* Along one axis: the first pixel of the picture that is taken, and how many places before it are
 * border (one of the two is 0). Halves go to the even side, as Python rounds. */
static void find_crop(int64_t length, int64_t crop, int64_t *first, int64_t *border)
{
    *first = length > crop ? (int64_t)nearbyint((double)(length - crop) / 2.0) : 0;
    *border = crop > length ? (crop - length) / 2 : 0;
}

/* The 256 values that a byte of a channel can become. */
static void make_table(const tn_image_steps *steps, int channel, float table[256])
{
    float deviation = steps->deviation[channel] != 0 ? steps->deviation[channel] : 1.0F;
    for (int i = 0; i < 256; i++) {
        float value = (float)(steps->invert ? 255 - i : i);
        if (!steps->no_scale) value /= 255.0F;
        table[i] = (value - steps->mean[channel]) / deviation;
    }
}

static void fill_plane(const tn_tensor *image, int channel, const tn_tensor *out,
                       const float *table, float *to)
{
    int64_t channels = image->dim[2], height = out->dim[2], width = out->dim[3];
    int64_t top, left, above, before;
    find_crop(image->dim[0], height, &top, &above);
    find_crop(image->dim[1], width, &left, &before);
    for (int64_t y = 0; y < height; y++) {
        int64_t row = y - above + top;
        bool there = row >= 0 && row < image->dim[0];
        const uint8_t *from =
            (const uint8_t *)image->data + (there ? row * image->dim[1] * channels : 0) + channel;
        for (int64_t x = 0; x < width; x++) {
            int64_t column = x - before + left;
            bool inside = there && column >= 0 && column < image->dim[1];
            *to++ = table[inside ? from[column * channels] : 0];
        }
    }
}

/* The output's tensor: the caller's if it has memory, which must be of that shape. */
static tn_status open_output(const int64_t dim[4], tn_tensor *out)
{
    if (!out->data) {
        TN_TRY(tn_tensor_new(TN_DTYPE_F32, dim, 4, out));
        return NULL;
    }
    tn_tensor wanted = tn_tensor_of(TN_DTYPE_F32, dim, 4, out->data);
    char text[128], given[128];
    bool same = out->dtype == TN_DTYPE_F32 && (out->rank == 3 || out->rank == 4);
    for (int i = 0; same && i < out->rank; i++) same = out->dim[i] == dim[4 - out->rank + i];
    TN_CHECK(same && tn_tensor_is_dense(out), TN_INVALID,
             "the picture becomes a dense %s, not the %s that was given",
             tn_tensor_type_text(&wanted, text, sizeof(text)),
             tn_tensor_type_text(out, given, sizeof(given)));
    return NULL;
}

static tn_status fill_output(const tn_tensor *image, const tn_image_steps *steps, int channels,
                             tn_tensor *out)
{
    float table[256];
    int64_t height = steps->crop_height > 0 ? steps->crop_height : image->dim[0];
    int64_t width = steps->crop_width > 0 ? steps->crop_width : image->dim[1];
    int64_t dim[4] = {1, channels, height, width};
    TN_CHECK(width <= TN_IMAGE_PIXELS_MAX / height, TN_INVALID, "a crop of %lld x %lld pixels",
             (long long)width, (long long)height);
    TN_TRY(open_output(dim, out));
    tn_tensor planes = tn_tensor_of(TN_DTYPE_F32, dim, 4, out->data);
    for (int c = 0; c < channels; c++) {
        int from = image->dim[2] == 1 ? 0 : steps->bgr ? 2 - c : c;
        make_table(steps, c, table);
        fill_plane(image, from, &planes, table, (float *)out->data + c * height * width);
    }
    return NULL;
}

tn_status tn_image_follow(const tn_tensor *image, const tn_image_steps *steps, tn_tensor *out)
{
    int channels = steps->channels ? steps->channels : 3;
    int64_t height, width;
    TN_CHECK(channels == 1 || channels == 3, TN_INVALID,
             "steps to %d channels; 1 or 3 are possible", channels);
    tn_tensor grey = {0}, resized = {0};
    if (channels == 1 && image->dim[2] == 3) {
        TN_TRY(make_grey(image, &grey));
        image = &grey;
    }
    find_size(image, steps, &height, &width);
    tn_status status = NULL;
    if (height != image->dim[0] || width != image->dim[1]) {
        status = tn_image_resize(image, height, width, steps->filter, &resized);
        image = &resized;
    }
    if (!status) status = fill_output(image, steps, channels, out);
    tn_tensor_free(&grey);
    tn_tensor_free(&resized);
    return status;
}
