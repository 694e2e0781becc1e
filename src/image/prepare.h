/* What a network wants made of a picture: the steps of tn_image_steps. */
#ifndef TN_IMAGE_PREPARE_H
#define TN_IMAGE_PREPARE_H

#include "image/image.h"

/* Fill the rest of *out, whose size is set. */
tn_status tn_image_find_preset(const char *name, int side, tn_image_steps *out) TN_MUST_USE;

/* u8 [height, width, 3 or 1] to f32 [1, channels, height, width]; data that is there is filled. */
tn_status tn_image_follow(const tn_tensor *image, const tn_image_steps *steps,
                          tn_tensor *out) TN_MUST_USE;

#endif
