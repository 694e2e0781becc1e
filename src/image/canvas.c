/* Drawing on a canvas: see canvas.h. */
#include <math.h>
#include <string.h>

#include "image/canvas.h"
#include "tensor/tensor.h"

tn_status tn_canvas_init(tn_canvas *c, int width, int height, bool svg)
{
    size_t area = (size_t)width * (size_t)height;
    *c = (tn_canvas){.width = width, .height = height, .is_svg = svg};
    c->clip = (tn_box){0, 0, width, height};
    if (svg) {
        tn_text_printf(&c->svg,
                       "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg "
                       "xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                       "viewBox=\"0 0 %d %d\">\n<rect width=\"%d\" height=\"%d\" "
                       "fill=\"white\"/>\n<g>\n",
                       width, height, width, height, width, height);
        return NULL;
    }
    c->pixels = tn_alloc(area * 3);
    c->mask = tn_alloc_zero(area);
    if (!c->pixels || !c->mask) tn_canvas_fini(c);
    TN_CHECK(c->pixels, TN_OUT_OF_MEMORY, "no memory to draw %d x %d pixels", width, height);
    memset(c->pixels, 255, area * 3);
    return NULL;
}

void tn_canvas_fini(tn_canvas *c)
{
    size_t area = (size_t)c->width * (size_t)c->height;
    if (c->pixels) tn_free(c->pixels, area * 3);
    if (c->mask) tn_free(c->mask, area);
    tn_text_fini(&c->svg);
    c->pixels = c->mask = NULL;
}

tn_status tn_canvas_check(tn_canvas *c)
{
    if (c->is_svg) tn_text_printf(&c->svg, "</g>\n</svg>\n");
    TN_CHECK(!c->failed && !c->svg.failed, TN_OUT_OF_MEMORY, "no memory to draw a plot");
    return NULL;
}

/* ---- SVG
 * ----------------------------------------------------------------------------------------*/

/* Hundredths are finer than any eye; written so, a locale cannot spoil them. */
static void put_number(tn_canvas *c, double value)
{
    tn_number_print(TN_DTYPE_F64, nearbyint(value * 100) / 100, &c->svg);
}

static void put_attribute(tn_canvas *c, const char *name, double value)
{
    tn_text_printf(&c->svg, " %s=\"", name);
    put_number(c, value);
    tn_text_printf(&c->svg, "\"");
}

static void put_box(tn_canvas *c, const tn_box *box)
{
    tn_text_printf(&c->svg, "<rect");
    put_attribute(c, "x", box->left);
    put_attribute(c, "y", box->top);
    put_attribute(c, "width", box->right - box->left);
    put_attribute(c, "height", box->bottom - box->top);
}

static void put_line(tn_canvas *c, const double *x, const double *y, int64_t count, double width,
                     tn_colour k)
{
    bool down = false;
    tn_text_printf(&c->svg, "<path d=\"");
    for (int64_t i = 0; i < count; i++) {
        if (isnan(x[i])) {
            down = false;
            continue;
        }
        tn_text_printf(&c->svg, down ? "L" : "M");
        put_number(c, x[i]);
        tn_text_printf(&c->svg, " ");
        put_number(c, y[i]);
        down = true;
    }
    tn_text_printf(&c->svg,
                   "\" fill=\"none\" stroke-linecap=\"round\" stroke-linejoin=\"round\" "
                   "stroke=\"#%02x%02x%02x\"",
                   k.r, k.g, k.b);
    put_attribute(c, "stroke-width", width);
    tn_text_printf(&c->svg, "/>\n");
}

/* ---- Pixels
 * ----------------------------------------------------------------------------------------*/

static void blend(tn_canvas *c, int x, int y, tn_colour k, double cover)
{
    uint8_t *p = c->pixels + ((size_t)y * (size_t)c->width + (size_t)x) * 3;
    const uint8_t to[3] = {k.r, k.g, k.b};
    for (int i = 0; i < 3; i++) p[i] = (uint8_t)(p[i] + (to[i] - p[i]) * cover + 0.5);
}

/* The pixels that a box touches, within the clip; false if there are none. */
static bool touched(const tn_canvas *c, tn_box box, int *x0, int *y0, int *x1, int *y1)
{
    *x0 = (int)floor(TN_MAX(box.left, c->clip.left));
    *y0 = (int)floor(TN_MAX(box.top, c->clip.top));
    *x1 = (int)ceil(TN_MIN(box.right, c->clip.right));
    *y1 = (int)ceil(TN_MIN(box.bottom, c->clip.bottom));
    return *x0 < *x1 && *y0 < *y1;
}

static double between(double value, double lo, double hi)
{
    return value < lo ? lo : value > hi ? hi : value;
}

/* How far pixel i lies in [lo, hi]. */
static double overlap(int i, double lo, double hi)
{
    return between(TN_MIN(i + 1.0, hi) - TN_MAX((double)i, lo), 0, 1);
}

/* Marks in the mask how far pixels are covered by a segment; its ends are round. */
static void mark_segment(tn_canvas *c, double ax, double ay, double bx, double by, double radius)
{
    double far = radius + 1, dx = bx - ax, dy = by - ay, square = dx * dx + dy * dy;
    int x0, y0, x1, y1;
    tn_box box = {TN_MIN(ax, bx) - far, TN_MIN(ay, by) - far, TN_MAX(ax, bx) + far,
                  TN_MAX(ay, by) + far};
    if (!touched(c, box, &x0, &y0, &x1, &y1)) return;
    for (int y = y0; y < y1; y++) {
        for (int x = x0; x < x1; x++) {
            double px = x + 0.5 - ax, py = y + 0.5 - ay;
            double t = square > 0 ? between((px * dx + py * dy) / square, 0, 1) : 0;
            double distance = hypot(px - t * dx, py - t * dy);
            uint8_t cover = (uint8_t)(between(radius + 0.5 - distance, 0, 1) * 255 + 0.5);
            uint8_t *mask = c->mask + (size_t)y * (size_t)c->width + (size_t)x;
            *mask = TN_MAX(*mask, cover);
        }
    }
}

/* Blends what the mask marks, within a box, and clears it. */
static void blend_mask(tn_canvas *c, tn_box box, tn_colour k)
{
    int x0, y0, x1, y1;
    if (!touched(c, box, &x0, &y0, &x1, &y1)) return;
    for (int y = y0; y < y1; y++) {
        uint8_t *mask = c->mask + (size_t)y * (size_t)c->width;
        for (int x = x0; x < x1; x++) {
            if (mask[x]) blend(c, x, y, k, mask[x] / 255.0);
            mask[x] = 0;
        }
    }
}

static void mark_line(tn_canvas *c, const double *x, const double *y, int64_t count, double width,
                      tn_colour k)
{
    double radius = width / 2, far = radius + 1;
    tn_box box = {INFINITY, INFINITY, -INFINITY, -INFINITY};
    for (int64_t i = 0; i < count; i++) {
        if (isnan(x[i])) continue;
        box.left = TN_MIN(box.left, x[i] - far);
        box.right = TN_MAX(box.right, x[i] + far);
        box.top = TN_MIN(box.top, y[i] - far);
        box.bottom = TN_MAX(box.bottom, y[i] + far);
        bool joined = i > 0 && !isnan(x[i - 1]);
        mark_segment(c, joined ? x[i - 1] : x[i], joined ? y[i - 1] : y[i], x[i], y[i], radius);
    }
    if (box.left < box.right) blend_mask(c, box, k);
}

/* ---- Both
 * ------------------------------------------------------------------------------------------*/

void tn_canvas_clip(tn_canvas *c, const tn_box *box)
{
    c->clip = box ? *box : (tn_box){0, 0, c->width, c->height};
    if (!c->is_svg) return;
    tn_text_printf(&c->svg, "</g>\n");
    if (box) {
        tn_text_printf(&c->svg, "<clipPath id=\"clip%d\">", ++c->clip_count);
        put_box(c, box);
        tn_text_printf(&c->svg, "/></clipPath>\n<g clip-path=\"url(#clip%d)\">\n", c->clip_count);
    } else {
        tn_text_printf(&c->svg, "<g>\n");
    }
}

void tn_canvas_fill(tn_canvas *c, tn_box box, tn_colour k, double opacity)
{
    int x0, y0, x1, y1;
    if (c->is_svg) {
        put_box(c, &box);
        tn_text_printf(&c->svg, " fill=\"#%02x%02x%02x\"", k.r, k.g, k.b);
        if (opacity < 1) put_attribute(c, "fill-opacity", opacity);
        tn_text_printf(&c->svg, "/>\n");
        return;
    }
    if (!touched(c, box, &x0, &y0, &x1, &y1)) return;
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++)
            blend(c, x, y, k,
                  opacity * overlap(x, box.left, box.right) * overlap(y, box.top, box.bottom));
}

void tn_canvas_disc(tn_canvas *c, double x, double y, double radius, tn_colour k)
{
    if (!c->is_svg) {
        mark_line(c, &x, &y, 1, radius * 2, k);
        return;
    }
    tn_text_printf(&c->svg, "<circle");
    put_attribute(c, "cx", x);
    put_attribute(c, "cy", y);
    put_attribute(c, "r", radius);
    tn_text_printf(&c->svg, " fill=\"#%02x%02x%02x\"/>\n", k.r, k.g, k.b);
}

void tn_canvas_line(tn_canvas *c, const double *x, const double *y, int64_t count, double width,
                    tn_colour k)
{
    if (c->is_svg) put_line(c, x, y, count, width, k);
    else mark_line(c, x, y, count, width, k);
}

void tn_canvas_segment(tn_canvas *c, double x0, double y0, double x1, double y1, double width,
                       tn_colour k)
{
    tn_canvas_line(c, (double[]){x0, x1}, (double[]){y0, y1}, 2, width, k);
}

/* ---- Text
 * ------------------------------------------------------------------------------------------*/

/* Of a letter's unit at a font size; and the room on both sides of a letter, in units. */
static double unit_of(double size)
{
    return size * 0.036;
}
static const double room = 6;

double tn_text_width(const char *text, double size)
{
    double x[TN_LETTER_POINTS_MAX], y[TN_LETTER_POINTS_MAX], width, sum = 0;
    while (*text) {
        tn_letter(&text, x, y, &width);
        sum += width + room;
    }
    return sum * unit_of(size);
}

void tn_canvas_text(tn_canvas *c, const char *text, double size, double x, double y, double align,
                    bool upright)
{
    const tn_colour black = {0, 0, 0};
    double px[TN_LETTER_POINTS_MAX], py[TN_LETTER_POINTS_MAX], width, unit = unit_of(size);
    double at = room / 2 * unit - align * tn_text_width(text, size);
    while (*text) {
        int count = tn_letter(&text, px, py, &width);
        for (int i = 0; i < count; i++) {
            double along = at + px[i] * unit, up = py[i] * unit;
            px[i] = upright ? x - up : x + along;
            py[i] = upright ? y - along : y - up;
        }
        if (count) tn_canvas_line(c, px, py, count, size * 0.085, black);
        at += (width + room) * unit;
    }
}
