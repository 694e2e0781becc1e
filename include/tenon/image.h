/* Tenon: pictures in (decode, prepare for a network) and plots out. Part of <tenon/tenon.h>, whose
 * conventions hold here.
 */
#ifndef TENON_IMAGE_H
#define TENON_IMAGE_H

#include <tenon/tenon.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Pictures --------------------------------------------------------------------------------
 *
 * JPEG (grey, colour, CMYK; baseline and progressive), PNG (every kind), BMP and binary PNM, told
 * by their contents. Any number of threads may decode at once.
 */
typedef enum tn_image_colour { TN_IMAGE_RGB, TN_IMAGE_BGR, TN_IMAGE_GREY } tn_image_colour;

typedef struct tn_image_options {
    size_t size;
    tn_image_colour colour;
    bool wide;          /* values of 16 bits as u16; default: their upper 8 bits */
    bool as_stored;     /* do not turn the picture the way its EXIF orientation asks */
    int64_t max_pixels; /* larger pictures are refused before memory is taken; 0: 2^27 */
} tn_image_options;

/* Decode a picture to u8 (or u16) [height, width, 3], or [height, width, 1] of grey. Transparency
 * is dropped; grey is made of RGB as (19595 R + 38470 G + 7471 B + 32768) >> 16, as PIL does. The
 * tensor is the caller's (tn_tensor_free). CORRUPT names the file and the place: a picture that
 * ends early is never returned in part. Formats that are known but not read are UNSUPPORTED.
 * options may be NULL. */
TN_API TN_MUST_USE tn_status tn_image_load(const char *path, const tn_image_options *options,
                                           tn_tensor *out);
/* The same from memory; `name` stands for the file in messages. */
TN_API TN_MUST_USE tn_status tn_image_load_bytes(const void *bytes, size_t byte_count,
                                                 const char *name, const tn_image_options *options,
                                                 tn_tensor *out);

/* How pixels are made from others when a picture is resized: as PIL does it, to the bit. All but
 * nearest take the mean over all pixels that an output pixel covers (antialiasing). */
typedef enum tn_image_filter {
    TN_FILTER_BILINEAR,
    TN_FILTER_BICUBIC, /* a = -0.5 */
    TN_FILTER_NEAREST,
    TN_FILTER_BOX,
    TN_FILTER_LANCZOS
} tn_image_filter;

/* What to do to a picture before a network sees it; in this order. Zero: nothing of the kind. */
typedef struct tn_image_steps {
    size_t size;
    int32_t shorter_side;                /* resize, keeping the proportions, until it is this ... */
    int32_t resize_height, resize_width; /* ... or to just this */
    tn_image_filter filter;
    int32_t crop_height, crop_width; /* of the centre; a smaller picture gets a black border */
    int32_t channels;                /* 3 (0 too) or 1 */
    bool bgr;                        /* the order of the channels; the picture given is RGB */
    bool invert;                     /* 255 - x: dark digits on white, for MNIST */
    bool no_scale;                   /* values stay 0 to 255; default: x / 255 */
    float mean[3], deviation[3];     /* then (x - mean) / deviation; deviation 0 counts as 1 */
} tn_image_steps;

/* The steps by name: "imagenet" (torchvision's, also by the names alexnet, resnet and resnet50):
 * shorter side 256 bilinear, centre 224, ImageNet's mean and deviation; "swin": the same with
 * bicubic; "mnist": 28 x 28 grey, mean 0.1307, deviation 0.3081. `side` is what the network takes
 * instead of 224 or 28 (the shorter side then is int(256/224*side)); 0: that. NOT_FOUND lists the
 * names. */
TN_API TN_MUST_USE tn_status tn_image_preset(const char *name, int side, tn_image_steps *out);

/* A picture as tn_image_load gives it (u8 [height, width, 3 or 1], dense) to f32 [1, channels,
 * height, width], which is made and is the caller's where out->data is NULL; else `out` must be
 * dense f32 of that shape, with or without the leading 1: a place in a batch. */
TN_API TN_MUST_USE tn_status tn_image_prepare(const tn_tensor *image, const tn_image_steps *steps,
                                              tn_tensor *out);

/* ---- Plots -----------------------------------------------------------------------------------
 *
 * Scatter and line plots as PNG, JPEG or SVG. No font is needed on the machine. A plot belongs to
 * one thread at a time.
 */
typedef struct tn_plot tn_plot;

typedef enum tn_plot_legend {
    TN_LEGEND_UPPER_LEFT,
    TN_LEGEND_UPPER_RIGHT,
    TN_LEGEND_LOWER_LEFT,
    TN_LEGEND_LOWER_RIGHT,
    TN_LEGEND_BEST, /* the corner with the fewest points */
    TN_LEGEND_NONE
} tn_plot_legend;

typedef struct tn_plot_options {
    size_t size;
    int width, height;                     /* in pixels, 160 to 8192; 0: 640 x 480 */
    const char *title, *x_label, *y_label; /* NULL: none */
    bool log_x, log_y;                     /* values that are not above 0 are then left out */
    bool no_grid;
    tn_plot_legend legend; /* drawn if a series has a label */
} tn_plot_options;

typedef enum tn_plot_kind { TN_PLOT_DOTS, TN_PLOT_LINE } tn_plot_kind;

typedef struct tn_plot_series {
    size_t size;
    tn_plot_kind kind;
    const char *label;  /* in the legend; NULL: not there */
    const char *colour; /* "blue", "red", "green", "black", "grey", "orange", "purple" or "#rrggbb";
                           NULL: the next of ten */
    const double *x, *y; /* x NULL: 0, 1, 2, ... */
    int64_t count;
} tn_plot_series;

/* An empty plot; strings are copied. options may be NULL. */
TN_API TN_MUST_USE tn_status tn_plot_new(const tn_plot_options *options, tn_plot **out);
/* Add a series; its points are copied. Points that are not numbers are left out and interrupt a
 * line. Text is UTF-8, of which the font has ASCII. */
TN_API TN_MUST_USE tn_status tn_plot_add(tn_plot *plot, const tn_plot_series *series);
/* Draw to a file: .png, .jpg, .jpeg or .svg by the ending of `path`. An existing file is replaced
 * only once the new one is complete. May be called again, also after more was added. */
TN_API TN_MUST_USE tn_status tn_plot_save(const tn_plot *plot, const char *path);
TN_API void tn_plot_free(tn_plot *plot);

#ifdef __cplusplus
}
#endif
#endif
