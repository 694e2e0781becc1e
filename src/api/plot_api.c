/* Plots: options and series, checked and copied; files. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "base/file.h"
#include "image/plot.h"

/* Ten colours that are easy to tell apart (the ones readers know from matplotlib). */
static const char *const cycle[] = {"#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd",
                                    "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"};
static const struct {
    const char *name, *value;
} names[] = {
    {"blue", "#0000ff"},   {"red", "#ff0000"},  {"green", "#008000"},  {"black", "#000000"},
    {"orange", "#ffa500"}, {"grey", "#808080"}, {"purple", "#800080"},
};

static tn_status read_colour(const char *text, tn_colour *out)
{
    unsigned r, g, b;
    char rest;
    const char *value = text;
    for (size_t i = 0; i < TN_COUNT(names); i++)
        if (strcmp(names[i].name, text) == 0) value = names[i].value;
    TN_CHECK(
        strlen(value) == 7 && sscanf(value, "#%2x%2x%2x%c", &r, &g, &b, &rest) == 3, TN_INVALID,
        "'%s' is not a colour: #rrggbb, or blue, red, green, black, orange, grey, purple", text);
    *out = (tn_colour){(uint8_t)r, (uint8_t)g, (uint8_t)b};
    return NULL;
}

/* NULL stays NULL; else a copy, and false if there is no memory. */
static bool copy_text(tn_arena *arena, const char **text)
{
    if (!*text) return true;
    *text = tn_arena_text(arena, *text, strlen(*text));
    return *text != NULL;
}

tn_status tn_plot_new(const tn_plot_options *options, tn_plot **out)
{
    tn_plot_options own = {.size = sizeof(own)};
    TN_NOT_NULL(out);
    *out = NULL;
    TN_CHECK(!options || options->size, TN_INVALID,
             "tn_plot_options.size is 0: set it to sizeof(tn_plot_options)");
    if (options) memcpy(&own, options, TN_MIN(options->size, sizeof(own)));
    if (!own.width) own.width = 640;
    if (!own.height) own.height = 480;
    TN_CHECK(own.width >= 160 && own.width <= 8192 && own.height >= 160 && own.height <= 8192,
             TN_INVALID, "a plot of %d x %d pixels; each side may be 160 to 8192", own.width,
             own.height);
    TN_CHECK(own.legend >= TN_LEGEND_UPPER_LEFT && own.legend <= TN_LEGEND_NONE, TN_INVALID,
             "tn_plot_options.legend is %d", (int)own.legend);
    tn_arena arena;
    tn_arena_init(&arena);
    tn_plot *plot = TN_NEW(&arena, tn_plot);
    if (!plot || !copy_text(&arena, &own.title) || !copy_text(&arena, &own.x_label) ||
        !copy_text(&arena, &own.y_label)) {
        tn_arena_fini(&arena);
        TN_FAIL(TN_OUT_OF_MEMORY, "no memory for a plot");
    }
    plot->arena = arena;
    plot->options = own;
    *out = plot;
    return NULL;
}

void tn_plot_free(tn_plot *plot)
{
    if (!plot) return;
    tn_arena arena = plot->arena; /* the plot is in it */
    tn_arena_fini(&arena);
}

/* Where a value lies on its axis; NaN for what cannot be drawn. */
static double place_of(double value, bool log)
{
    if (!(fabs(value) < 1e300) || (log && value <= 0)) return NAN;
    return log ? log10(value) : value;
}

tn_status tn_plot_add(tn_plot *plot, const tn_plot_series *series)
{
    tn_plot_series own = {0};
    TN_NOT_NULL(plot);
    TN_NOT_NULL(series);
    TN_CHECK(series->size, TN_INVALID,
             "tn_plot_series.size is 0: set it to sizeof(tn_plot_series)");
    memcpy(&own, series, TN_MIN(series->size, sizeof(own)));
    TN_CHECK(own.count >= 0 && (own.y || own.count == 0), TN_INVALID,
             "a series of %lld points at %s", (long long)own.count, own.y ? "y" : "NULL");
    TN_CHECK(own.kind == TN_PLOT_DOTS || own.kind == TN_PLOT_LINE, TN_INVALID,
             "tn_plot_series.kind is %d", (int)own.kind);
    tn_colour colour;
    TN_TRY(read_colour(
        own.colour ? own.colour : cycle[(size_t)plot->series_count % TN_COUNT(cycle)], &colour));
    tn_plot_points *points = TN_NEW(&plot->arena, tn_plot_points);
    double *x = TN_NEW_ARRAY(&plot->arena, double, own.count);
    double *y = TN_NEW_ARRAY(&plot->arena, double, own.count);
    double *at_x = TN_NEW_ARRAY(&plot->arena, double, own.count);
    double *at_y = TN_NEW_ARRAY(&plot->arena, double, own.count);
    TN_CHECK(points && x && y && at_x && at_y && copy_text(&plot->arena, &own.label),
             TN_OUT_OF_MEMORY, "no memory for %lld points", (long long)own.count);
    for (int64_t i = 0; i < own.count; i++) {
        x[i] = place_of(own.x ? own.x[i] : (double)i, plot->options.log_x);
        y[i] = place_of(own.y[i], plot->options.log_y);
        if (isnan(x[i]) || isnan(y[i])) x[i] = y[i] = NAN;
    }
    *points = (tn_plot_points){.kind = own.kind,
                               .label = own.label,
                               .colour = colour,
                               .x = x,
                               .y = y,
                               .at_x = at_x,
                               .at_y = at_y,
                               .count = own.count};
    if (plot->last) plot->last->next = points;
    else plot->first = points;
    plot->last = points;
    plot->series_count++;
    return NULL;
}

static bool ends_in(const char *path, const char *ending)
{
    size_t length = strlen(path), bytes = strlen(ending);
    return length > bytes && strcmp(path + length - bytes, ending) == 0;
}

tn_status tn_plot_save(const tn_plot *plot, const char *path)
{
    TN_NOT_NULL(plot);
    TN_NOT_NULL(path);
    bool png = ends_in(path, ".png"), svg = ends_in(path, ".svg");
    TN_CHECK(png || svg || ends_in(path, ".jpg") || ends_in(path, ".jpeg"), TN_INVALID,
             "'%s' does not end in .png, .jpg, .jpeg or .svg", path);
    tn_writer bytes = {0};
    tn_file_write file = {0};
    tn_status status = tn_plot_encode(plot,
                                      png   ? TN_PLOT_PNG
                                      : svg ? TN_PLOT_SVG
                                            : TN_PLOT_JPEG,
                                      &bytes);
    if (!status) {
        status = tn_file_write_begin(path, &file);
        if (!status) status = tn_file_write_bytes(&file, bytes.at, bytes.count);
        if (!status) status = tn_file_write_commit(&file);
        tn_file_write_end(&file);
    }
    tn_writer_fini(&bytes);
    return status;
}
