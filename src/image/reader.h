/* Private to image: what the readers of the formats share. */
#ifndef TN_IMAGE_READER_H
#define TN_IMAGE_READER_H

#include "image/image.h"

typedef struct tn_image_source {
    const uint8_t *at;
    size_t bytes;
    const char *what;
    int64_t max_pixels;
    bool wide;
} tn_image_source;

typedef struct tn_picture {
    tn_tensor pixels; /* u8 or u16 [height, width, 1 or 3]: grey or RGB */
    int orientation;  /* EXIF's: 1 to 8 */
} tn_picture;

/* Each leaves `out` empty when it fails. */
tn_status tn_jpeg_decode(const tn_image_source *source, tn_picture *out) TN_MUST_USE;
tn_status tn_png_decode(const tn_image_source *source, tn_picture *out) TN_MUST_USE;
tn_status tn_bmp_decode(const tn_image_source *source, tn_picture *out) TN_MUST_USE;
tn_status tn_pnm_decode(const tn_image_source *source, tn_picture *out) TN_MUST_USE;

/* Refuse empty pictures and those beyond the limit; then make room for the pixels. */
tn_status tn_image_check_size(const tn_image_source *source, int64_t height,
                              int64_t width) TN_MUST_USE;
tn_status tn_picture_new(const tn_image_source *source, tn_dtype dtype, int64_t height,
                         int64_t width, int channels, tn_picture *out) TN_MUST_USE;

/* The orientation in an EXIF block that starts with its TIFF header; 1 where there is none. */
int tn_exif_orientation(const uint8_t *at, size_t bytes);

/* a * b / 255, rounded, for 0 <= a, b <= 255. */
static inline int tn_mul_255(int a, int b)
{
    int t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

#endif
