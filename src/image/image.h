/* Pictures: decoding to tensors, resizing as PIL does it, and what a network wants made of them.
 *
 * Sizes in a file are checked against the limit, and against what a file of its length can hold at
 * all, before memory is taken for them.
 */
#ifndef TN_IMAGE_IMAGE_H
#define TN_IMAGE_IMAGE_H

#include "base/bytes.h"
#include "tensor/tensor.h"

#define TN_IMAGE_PIXELS_MAX (INT64_C(1) << 27)

/* Decode with the options of tn_image_load; `what` names the picture in messages. */
tn_status tn_image_decode(const void *bytes, size_t byte_count, const char *what,
                          const tn_image_options *options, tn_tensor *out) TN_MUST_USE;

/* u8 [height, width, channels] to another size. */
tn_status tn_image_resize(const tn_tensor *image, int64_t height, int64_t width,
                          tn_image_filter filter, tn_tensor *out) TN_MUST_USE;

/* A baseline JPEG without subsampling of the colours, appended to `out`. Pixels are RGB, dense.
 * quality: 1 to 100. */
tn_status tn_jpeg_encode(const uint8_t *pixels, int width, int height, int quality,
                         tn_writer *out) TN_MUST_USE;

#endif
