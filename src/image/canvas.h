/* A canvas for plots: lines, discs, rectangles and text, to pixels or to SVG.
 *
 * Why not a library: Debian's static cairo and pixman cannot go into a shared library (pixman keeps
 * a thread-local in a way that only executables can have), and what plots need is one rule: a pixel
 * is covered as far as it lies within half a line's width of the line. Text is drawn with lines too
 * (letters.c), so no font is needed, in SVG neither.
 *
 * Drawing cannot fail; a lack of memory is remembered (tn_canvas_check). x to the right, y down, in
 * pixels; the middle of the first pixel is at 0.5, 0.5.
 */
#ifndef TN_IMAGE_CANVAS_H
#define TN_IMAGE_CANVAS_H

#include "base/text.h"

typedef struct tn_colour {
    uint8_t r, g, b;
} tn_colour;

typedef struct tn_box {
    double left, top, right, bottom;
} tn_box;

typedef struct tn_canvas {
    int width, height;
    bool failed;
    tn_box clip; /* nothing is drawn outside */
    /* pixels, */
    uint8_t *pixels; /* RGB, [height][width][3] */
    uint8_t *mask;   /* [height][width]: how far the present line covers each pixel; 0 between */
    /* or SVG */
    bool is_svg;
    int clip_count;
    tn_text svg;
} tn_canvas;

/* White. */
tn_status tn_canvas_init(tn_canvas *canvas, int width, int height, bool svg) TN_MUST_USE;
void tn_canvas_fini(tn_canvas *canvas);
/* Ends an SVG; OUT_OF_MEMORY if any drawing was. */
tn_status tn_canvas_check(tn_canvas *canvas) TN_MUST_USE;

void tn_canvas_clip(tn_canvas *canvas, const tn_box *box); /* NULL: the whole canvas */
/* opacity: 0 to 1. */
void tn_canvas_fill(tn_canvas *canvas, tn_box box, tn_colour colour, double opacity);
void tn_canvas_disc(tn_canvas *canvas, double x, double y, double radius, tn_colour colour);
/* Through points, with round joins and ends; a point whose x is NaN lifts the pen. */
void tn_canvas_line(tn_canvas *canvas, const double *x, const double *y, int64_t count,
                    double width, tn_colour colour);
void tn_canvas_segment(tn_canvas *canvas, double x0, double y0, double x1, double y1, double width,
                       tn_colour colour);
/* `size` is what font sizes are: capitals are about 0.7 of it high. The baseline starts at x, y, or
 * `align` of the text's width before that; upright: it runs up. */
void tn_canvas_text(tn_canvas *canvas, const char *text, double size, double x, double y,
                    double align, bool upright);
double tn_text_width(const char *text, double size);

/* The strokes of a letter (of the byte at *text, which moves on by a UTF-8 sequence), in units of
 * which capitals are 20 high: points into x and y, at most LETTER_POINTS_MAX, x NaN where the pen
 * is lifted. Their number; *width is what lies between the letter's sides. */
#define TN_LETTER_POINTS_MAX 128
int tn_letter(const char **text, double *x, double *y, double *width);

#endif
