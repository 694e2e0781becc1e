/* Pictures: argument checks and files. */
#include <string.h>

#include "api/api.h"
#include "base/file.h"
#include "image/image.h"
#include "image/prepare.h"

static tn_status take_options(const tn_image_options *given, tn_image_options *out)
{
    *out = (tn_image_options){.size = sizeof(*out)};
    if (!given) return NULL;
    TN_CHECK(given->size, TN_INVALID,
             "tn_image_options.size is 0: set it to sizeof(tn_image_options)");
    memcpy(out, given, TN_MIN(given->size, sizeof(*out)));
    TN_CHECK(out->colour >= TN_IMAGE_RGB && out->colour <= TN_IMAGE_GREY, TN_INVALID,
             "tn_image_options.colour is %d", (int)out->colour);
    return NULL;
}

tn_status tn_image_load_bytes(const void *bytes, size_t byte_count, const char *name,
                              const tn_image_options *options, tn_tensor *out)
{
    tn_image_options own;
    TN_NOT_NULL(name);
    TN_NOT_NULL(out);
    *out = (tn_tensor){0};
    TN_CHECK(bytes || byte_count == 0, TN_INVALID, "%s: bytes is NULL", __func__);
    TN_TRY(take_options(options, &own));
    TN_TRY(tn_image_decode(bytes, byte_count, name, &own, out));
    return NULL;
}

tn_status tn_image_load(const char *path, const tn_image_options *options, tn_tensor *out)
{
    tn_mapping mapping;
    TN_NOT_NULL(path);
    TN_NOT_NULL(out);
    *out = (tn_tensor){0};
    TN_TRY(tn_file_map(path, &mapping));
    tn_status status = tn_image_load_bytes(mapping.at, mapping.bytes, path, options, out);
    tn_file_unmap(&mapping);
    return status;
}

tn_status tn_image_preset(const char *name, int side, tn_image_steps *out)
{
    tn_image_steps found = {.size = sizeof(found)};
    TN_NOT_NULL(name);
    TN_NOT_NULL(out);
    TN_CHECK(out->size, TN_INVALID, "tn_image_steps.size is 0: set it to sizeof(tn_image_steps)");
    TN_TRY(tn_image_find_preset(name, side, &found));
    found.size = TN_MIN(out->size, sizeof(found));
    memcpy(out, &found, found.size);
    return NULL;
}

tn_status tn_image_prepare(const tn_tensor *image, const tn_image_steps *steps, tn_tensor *out)
{
    tn_image_steps own = {.size = sizeof(own)};
    char text[128];
    TN_NOT_NULL(image);
    TN_NOT_NULL(steps);
    TN_NOT_NULL(out);
    TN_CHECK(steps->size, TN_INVALID, "tn_image_steps.size is 0: set it to sizeof(tn_image_steps)");
    memcpy(&own, steps, TN_MIN(steps->size, sizeof(own)));
    TN_CHECK(own.filter >= TN_FILTER_BILINEAR && own.filter <= TN_FILTER_LANCZOS, TN_INVALID,
             "tn_image_steps.filter is %d", (int)own.filter);
    bool picture = image->data && image->dtype == TN_DTYPE_U8 && image->rank == 3 &&
                   image->dim[0] > 0 && image->dim[1] > 0 &&
                   (image->dim[2] == 1 || image->dim[2] == 3) && tn_tensor_is_dense(image);
    TN_CHECK(picture, TN_INVALID,
             "a picture is a dense u8[height,width,3] or u8[height,width,1], not %s",
             tn_tensor_type_text(image, text, sizeof(text)));
    TN_TRY(tn_image_follow(image, &own, out));
    return NULL;
}
