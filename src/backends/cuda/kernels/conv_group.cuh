/* What convolutions whose windows the copy engine finds have in common. */

struct shape { /* mirrored in conv_last_group.c */
    map x, w, y, residual, more_x, more_w;
    const T *bias, *residual_at;
    T *y_at;
    int32 m, n, tiles, tiles_n;
    int32 steps, parts, channels; /* steps in all, and of a tap */
    int32 stride[2], pad[2], dilation[2];
    int32 own_steps, more_stride[2]; /* steps of x; of the other x, from pixel to pixel */
    int32 weights;   /* w is constant: nobody writes it before us */
    int32 backwards; /* from the last tile on */
    divider out[2], by_parts, by_width;
    int32 taps[2], tap_bytes[2], place_bytes, size[2]; /* of y, whose rows are out[] places long */
    float act_alpha, act_beta;
};
