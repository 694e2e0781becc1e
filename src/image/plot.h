/* Plots: a list of series, drawn on a canvas. The picture is the same on every machine. */
#ifndef TN_IMAGE_PLOT_H
#define TN_IMAGE_PLOT_H

#include "base/bytes.h"
#include "image/canvas.h"

typedef struct tn_plot_points {
    tn_plot_kind kind;
    const char *label; /* NULL: none */
    tn_colour colour;
    double *x, *y;       /* of the plane that is drawn: logarithms on a log axis; NaN: left out */
    double *at_x, *at_y; /* room for the places on a canvas */
    int64_t count;
    struct tn_plot_points *next;
} tn_plot_points;

struct tn_plot {
    tn_arena arena; /* the plot itself and all of its series */
    tn_plot_options options;
    tn_plot_points *first, *last;
    int series_count;
};

/* ---- Axes ------------------------------------------------------------------------------------*/

#define TN_TICKS_MAX 24
typedef struct tn_tick {
    double at;      /* in the plane that is drawn */
    char label[24]; /* "0.25" */
    int exponent;   /* of a label "10": drawn raised; INT_MIN: none */
} tn_tick;

typedef struct tn_axis {
    double lo, hi; /* of the plane that is drawn, with a margin around the data */
    int tick_count;
    tn_tick tick[TN_TICKS_MAX];
    char factor[16]; /* "1e-5": what the labels are to be multiplied with; "": 1 */
} tn_axis;

/* An axis over the data's range; lo > hi: there is no data. `room` is how many labels fit. */
void tn_axis_linear(double lo, double hi, int room, tn_axis *out);
/* lo and hi are logarithms to base 10. */
void tn_axis_log(double lo, double hi, int room, tn_axis *out);

/* ---- Drawing ---------------------------------------------------------------------------------*/

/* Draw onto an empty canvas of the plot's size. */
void tn_plot_draw(const struct tn_plot *plot, tn_canvas *canvas);

typedef enum tn_plot_form { TN_PLOT_PNG, TN_PLOT_JPEG, TN_PLOT_SVG } tn_plot_form;
/* Draw and append the file's bytes to `out`. */
tn_status tn_plot_encode(const struct tn_plot *plot, tn_plot_form form, tn_writer *out) TN_MUST_USE;

#endif
