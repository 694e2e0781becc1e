/* Drawing a plot: axes box, grid, ticks and their labels, the series, a legend. Measures are those
 * of matplotlib's default figure, in pixels at 100 to the inch: people know how to read it. */
#include <limits.h>
#include <math.h>
#include <stdio.h>

#include "image/plot.h"

static const double letter = 14, tick_length = 5, gap = 5, dot_radius = 4.1, line_width = 2.1;
static const tn_colour black = {0, 0, 0}, white = {255, 255, 255}, grey = {204, 204, 204};

typedef struct drawing {
    const tn_plot *plot;
    tn_canvas *canvas;
    tn_axis x, y;
    double left, right, top, bottom; /* of the axes box */
} drawing;

static double x_of(const drawing *d, double at)
{
    return d->left + (at - d->x.lo) / (d->x.hi - d->x.lo) * (d->right - d->left);
}

static double y_of(const drawing *d, double at)
{
    return d->bottom - (at - d->y.lo) / (d->y.hi - d->y.lo) * (d->bottom - d->top);
}

/* ---- Text
 * ---------------------------------------------------------------------------------------*/

static const char *exponent_text(const tn_tick *tick, char text[16])
{
    text[0] = 0;
    if (tick->exponent != INT_MIN) snprintf(text, 16, "%d", tick->exponent);
    return text;
}

static double tick_width(const tn_tick *tick)
{
    char text[16];
    return tn_text_width(tick->label, letter) +
           tn_text_width(exponent_text(tick, text), letter * 0.7);
}

static void draw_text(const drawing *d, const char *text, double size, double x, double y,
                      double align)
{
    tn_canvas_text(d->canvas, text, size, x, y, align, false);
}

static void draw_tick_label(const drawing *d, const tn_tick *tick, double x, double y, double align)
{
    char text[16];
    double left = x - tick_width(tick) * align;
    double width = tn_text_width(tick->label, letter);
    draw_text(d, tick->label, letter, left, y, 0);
    draw_text(d, exponent_text(tick, text), letter * 0.7, left + width, y - letter * 0.45, 0);
}

/* ---- Where things go
 * ---------------------------------------------------------------------------------*/

static void find_range(const tn_plot *plot, bool of_y, double *lo, double *hi)
{
    *lo = INFINITY;
    *hi = -INFINITY;
    for (const tn_plot_points *p = plot->first; p; p = p->next) {
        const double *at = of_y ? p->y : p->x;
        for (int64_t i = 0; i < p->count; i++) {
            *lo = at[i] < *lo ? at[i] : *lo;
            *hi = at[i] > *hi ? at[i] : *hi;
        }
    }
}

static void make_axis(const tn_plot *plot, bool of_y, double length, tn_axis *out)
{
    double lo, hi;
    find_range(plot, of_y, &lo, &hi);
    int room = (int)(length / (letter * (of_y ? 2.2 : 4)));
    room = TN_MIN(room, 9);
    if (of_y ? plot->options.log_y : plot->options.log_x) tn_axis_log(lo, hi, room, out);
    else tn_axis_linear(lo, hi, room, out);
}

static double widest_tick(const tn_axis *axis)
{
    double widest = 0;
    for (int i = 0; i < axis->tick_count; i++) widest = TN_MAX(widest, tick_width(&axis->tick[i]));
    return widest;
}

/* Labels that would touch: fewer ticks on the x axis. */
static void thin_out(tn_axis *axis, double length)
{
    double each = widest_tick(axis) + letter;
    int most = (int)(length / each), count = 0;
    int every = most > 0 ? (axis->tick_count + most - 1) / most : axis->tick_count;
    for (int i = 0; every > 1 && i < axis->tick_count; i += every)
        axis->tick[count++] = axis->tick[i];
    if (every > 1) axis->tick_count = count;
}

static void lay_out(drawing *d)
{
    const tn_plot_options *o = &d->plot->options;
    double width = o->width, height = o->height;
    d->top = o->title ? TN_MAX(height * 0.12, letter * 3) : TN_MAX(height * 0.06, letter * 1.6);
    d->bottom = height - TN_MAX(height * 0.11, letter * (o->x_label ? 3.9 : 2.4));
    make_axis(d->plot, true, d->bottom - d->top, &d->y);
    double beside = widest_tick(&d->y) + tick_length + gap * 2 + (o->y_label ? letter * 1.6 : 0);
    d->left = TN_MAX(width * 0.1, beside + 2);
    d->right = width * 0.95;
    make_axis(d->plot, false, d->right - d->left, &d->x);
    thin_out(&d->x, d->right - d->left);
}

/* ---- The box
 * ---------------------------------------------------------------------------------------*/

/* A straight line, one pixel wide, along the edges of pixels. */
static void draw_thin(const drawing *d, double left, double top, double right, double bottom,
                      tn_colour colour)
{
    tn_box box = {floor(left), floor(top), floor(right) + 1, floor(bottom) + 1};
    tn_canvas_fill(d->canvas, box, colour, 1);
}

static void draw_grid(const drawing *d)
{
    for (int i = 0; i < d->x.tick_count; i++) {
        double x = x_of(d, d->x.tick[i].at);
        draw_thin(d, x, d->top, x, d->bottom, grey);
    }
    for (int i = 0; i < d->y.tick_count; i++) {
        double y = y_of(d, d->y.tick[i].at);
        draw_thin(d, d->left, y, d->right, y, grey);
    }
}

static void draw_axes(const drawing *d)
{
    draw_thin(d, d->left, d->top, d->right, d->top, black);
    draw_thin(d, d->left, d->bottom, d->right, d->bottom, black);
    draw_thin(d, d->left, d->top, d->left, d->bottom, black);
    draw_thin(d, d->right, d->top, d->right, d->bottom, black);
    for (int i = 0; i < d->x.tick_count; i++) {
        double x = x_of(d, d->x.tick[i].at);
        draw_thin(d, x, d->bottom, x, d->bottom + tick_length, black);
        draw_tick_label(d, &d->x.tick[i], x, d->bottom + tick_length + gap + letter * 0.75, 0.5);
    }
    for (int i = 0; i < d->y.tick_count; i++) {
        double y = y_of(d, d->y.tick[i].at);
        draw_thin(d, d->left - tick_length, y, d->left, y, black);
        draw_tick_label(d, &d->y.tick[i], d->left - tick_length - gap, y + letter * 0.35, 1);
    }
}

static void draw_words(const drawing *d)
{
    const tn_plot_options *o = &d->plot->options;
    double middle = (d->left + d->right) / 2,
           labels = d->bottom + tick_length + gap + letter * 0.75;
    if (o->title) draw_text(d, o->title, letter * 1.2, middle, d->top - letter * 0.8, 0.5);
    if (o->x_label) draw_text(d, o->x_label, letter, middle, labels + letter * 1.5, 0.5);
    draw_text(d, d->x.factor, letter, d->right, labels + letter * 1.4, 1);
    draw_text(d, d->y.factor, letter, d->left, d->top - gap, 0);
    if (!o->y_label) return;
    double x = d->left - tick_length - gap * 2 - widest_tick(&d->y) - letter * 0.3;
    tn_canvas_text(d->canvas, o->y_label, letter, x, (d->top + d->bottom) / 2, 0.5, true);
}

/* ---- Series and legend
 * ------------------------------------------------------------------------------*/

static void draw_points(const drawing *d, const tn_plot_points *p)
{
    for (int64_t i = 0; i < p->count; i++) {
        p->at_x[i] = isnan(p->x[i]) ? NAN : x_of(d, p->x[i]);
        p->at_y[i] = y_of(d, p->y[i]);
        if (p->kind == TN_PLOT_DOTS && !isnan(p->at_x[i]))
            tn_canvas_disc(d->canvas, p->at_x[i], p->at_y[i], dot_radius, p->colour);
    }
    if (p->kind == TN_PLOT_LINE)
        tn_canvas_line(d->canvas, p->at_x, p->at_y, p->count, line_width, p->colour);
}

static int64_t count_inside(const drawing *d, double left, double top, double width, double height)
{
    int64_t count = 0;
    for (const tn_plot_points *p = d->plot->first; p; p = p->next) {
        for (int64_t i = 0; i < p->count; i++) {
            double x = x_of(d, p->x[i]), y = y_of(d, p->y[i]);
            count += x > left && x < left + width && y > top && y < top + height;
        }
    }
    return count;
}

/* The corner to the left and at the top of a legend of this size. */
static void place_legend(const drawing *d, double width, double height, double *left, double *top)
{
    static const tn_plot_legend order[] = {TN_LEGEND_UPPER_RIGHT, TN_LEGEND_UPPER_LEFT,
                                           TN_LEGEND_LOWER_LEFT, TN_LEGEND_LOWER_RIGHT};
    tn_plot_legend wanted = d->plot->options.legend;
    int64_t fewest = INT64_MAX;
    for (size_t i = 0; i < TN_COUNT(order); i++) {
        if (wanted != TN_LEGEND_BEST && wanted != order[i]) continue;
        bool right = order[i] == TN_LEGEND_UPPER_RIGHT || order[i] == TN_LEGEND_LOWER_RIGHT;
        bool low = order[i] == TN_LEGEND_LOWER_LEFT || order[i] == TN_LEGEND_LOWER_RIGHT;
        double x = right ? d->right - width - letter / 2 : d->left + letter / 2;
        double y = low ? d->bottom - height - letter / 2 : d->top + letter / 2;
        int64_t count = count_inside(d, x, y, width, height);
        if (count >= fewest) continue;
        fewest = count;
        *left = x;
        *top = y;
    }
}

static void draw_legend_box(const drawing *d, double left, double top, double width, double height)
{
    double right = floor(left + width), bottom = floor(top + height);
    double x[] = {left, right, right, left, left}, y[] = {top, top, bottom, bottom, top};
    tn_canvas_fill(d->canvas, (tn_box){left, top, right, bottom}, white, 0.85);
    tn_canvas_line(d->canvas, x, y, 5, 1, grey);
}

static void draw_legend(const drawing *d)
{
    const double sample = letter * 2, row = letter * 1.45, pad = letter * 0.5;
    double widest = 0, left = 0, top = 0;
    int rows = 0;
    for (const tn_plot_points *p = d->plot->first; p; p = p->next) {
        if (!p->label) continue;
        widest = TN_MAX(widest, tn_text_width(p->label, letter));
        rows++;
    }
    if (!rows || d->plot->options.legend == TN_LEGEND_NONE) return;
    double width = pad * 3 + sample + widest, height = pad * 1.4 + row * rows;
    place_legend(d, width, height, &left, &top);
    draw_legend_box(d, floor(left) + 0.5, floor(top) + 0.5, width, height);
    double y = top + pad * 0.7 + row / 2;
    for (const tn_plot_points *p = d->plot->first; p; p = p->next) {
        if (!p->label) continue;
        double x = left + pad;
        if (p->kind == TN_PLOT_DOTS)
            tn_canvas_disc(d->canvas, x + sample / 2, y, dot_radius, p->colour);
        else tn_canvas_segment(d->canvas, x, y, x + sample, y, line_width, p->colour);
        draw_text(d, p->label, letter, left + pad * 2 + sample, y + letter * 0.35, 0);
        y += row;
    }
}

void tn_plot_draw(const tn_plot *plot, tn_canvas *canvas)
{
    drawing d = {.plot = plot, .canvas = canvas};
    lay_out(&d);
    if (!plot->options.no_grid) draw_grid(&d);
    tn_canvas_clip(canvas, &(tn_box){d.left, d.top, d.right, d.bottom});
    for (const tn_plot_points *p = plot->first; p; p = p->next) draw_points(&d, p);
    tn_canvas_clip(canvas, NULL);
    draw_axes(&d);
    draw_words(&d);
    draw_legend(&d);
}
