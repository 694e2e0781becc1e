#ifndef TN_OPS_IMAGE_DECODER_H
#define TN_OPS_IMAGE_DECODER_H

#include <stdint.h>

typedef struct tn_image_decoder_params {
    int64_t pixel_format; /* a tn_image_colour */
} tn_image_decoder_params;

#endif
