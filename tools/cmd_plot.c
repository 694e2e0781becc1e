/* tenon plot: columns of numbers to a picture. */
#include <stdlib.h>
#include <string.h>

#include "plot.h"

static struct {
    text_list y, labels, colours;
    const char *output, *x, *title, *x_label, *y_label, *legend, *size;
    bool line, log_x, log_y, no_grid;
} own;

static int options(tool_option *out)
{
    const tool_option rows[] = {
        {"output", OPTION_TEXT, &own.output, "FILE", "(or -o) .png, .jpg or .svg"},
        {"x", OPTION_TEXT, &own.x, "COLUMN",
         "name or number of the column for x; default the first of several, else the row's number"},
        {"y", OPTION_LIST, &own.y, "COLUMN", "a column for y; default all others"},
        {"label", OPTION_LIST, &own.labels, "TEXT",
         "of a series, in order; default the file's name, or the column's if it has several"},
        {"colour", OPTION_LIST, &own.colours, "NAME|#rrggbb", "of a series, in order"},
        {"line", OPTION_FLAG, &own.line, NULL, "lines instead of dots"},
        {"log-x", OPTION_FLAG, &own.log_x, NULL, "logarithmic axis"},
        {"log-y", OPTION_FLAG, &own.log_y, NULL, "logarithmic axis"},
        {"title", OPTION_TEXT, &own.title, "TEXT", "above the plot"},
        {"x-label", OPTION_TEXT, &own.x_label, "TEXT", "below the x axis"},
        {"y-label", OPTION_TEXT, &own.y_label, "TEXT", "beside the y axis"},
        {"legend", OPTION_TEXT, &own.legend,
         "best|upper-left|upper-right|lower-left|lower-right|none", "where, default best"},
        {"no-grid", OPTION_FLAG, &own.no_grid, NULL, "without lines at the ticks"},
        {"size", OPTION_TEXT, &own.size, "WxH", "in pixels, default 640x480"},
    };
    memcpy(out, rows, sizeof(rows));
    return (int)(sizeof(rows) / sizeof(rows[0]));
}

static int refuse(const char *option, const char *value, const char *wanted)
{
    fprintf(stderr, "tenon plot: --%s=%s is not %s\n", option, value, wanted);
    return EXIT_USAGE;
}

static int open_plot(tn_plot **out)
{
    static const char *const corners[] = {"upper-left",  "upper-right", "lower-left",
                                          "lower-right", "best",        "none"};
    tn_plot_options o = {.size = sizeof(o),
                         .title = own.title,
                         .x_label = own.x_label,
                         .y_label = own.y_label,
                         .log_x = own.log_x,
                         .log_y = own.log_y,
                         .no_grid = own.no_grid,
                         .legend = TN_LEGEND_BEST};
    if (own.legend) {
        int i = 0;
        while (i < 6 && strcmp(corners[i], own.legend) != 0) i++;
        if (i == 6) return refuse("legend", own.legend, "one of those that --help lists");
        o.legend = (tn_plot_legend)i;
    }
    char rest;
    if (own.size && (sscanf(own.size, "%5dx%5d%c", &o.width, &o.height, &rest) != 2 ||
                     o.width < 1 || o.height < 1))
        return refuse("size", own.size, "WxH, as 640x480");
    return report(tn_plot_new(&o, out));
}

/* "y_pred" of "out/y_pred.npy" */
static void name_of(const char *path, char *out, size_t bytes)
{
    const char *slash = strrchr(path, '/');
    snprintf(out, bytes, "%s", slash ? slash + 1 : path);
    char *dot = strrchr(out, '.');
    if (dot && dot != out) *dot = 0;
}

static int add_column(tn_plot *plot, const char *path, const plot_table *table, int x, int y,
                      bool only, int *count)
{
    char name[256];
    name_of(path, name, sizeof(name));
    const char *label = only ? name : table->name[y];
    if (*count < own.labels.count) label = own.labels.at[*count];
    tn_plot_series series = {
        .size = sizeof(series),
        .kind = own.line ? TN_PLOT_LINE : TN_PLOT_DOTS,
        .label = label,
        .colour = *count < own.colours.count ? own.colours.at[*count] : NULL,
        .x = x < 0 ? NULL : table->at + x * table->rows,
        .y = table->at + y * table->rows,
        .count = table->rows,
    };
    ++*count;
    return report(tn_plot_add(plot, &series));
}

static int add_table(tn_plot *plot, const char *path, const plot_table *table, int *count)
{
    int x = table->columns > 1 ? 0 : -1, code = 0;
    if (own.x && (x = table_find(table, own.x)) < 0) {
        fprintf(stderr, "error: %s has no column '%s'\n", path, own.x);
        return EXIT_FAILED;
    }
    for (int i = 0; i < own.y.count && !code; i++) {
        int y = table_find(table, own.y.at[i]);
        if (y < 0) {
            fprintf(stderr, "error: %s has no column '%s'\n", path, own.y.at[i]);
            return EXIT_FAILED;
        }
        code = add_column(plot, path, table, x, y, own.y.count == 1, count);
    }
    bool only = table->columns - (x >= 0) == 1;
    for (int y = 0; y < table->columns && own.y.count == 0 && !code; y++)
        if (y != x) code = add_column(plot, path, table, x, y, only, count);
    return code;
}

static int run(text_list *arguments)
{
    tn_plot *plot = NULL;
    int count = 0;
    if (!arguments->count || !own.output) {
        fprintf(stderr, "usage: tenon plot FILE.csv|FILE.npy ... -o FILE.png [OPTION ...]\n");
        return EXIT_USAGE;
    }
    int code = open_plot(&plot);
    for (int i = 0; i < arguments->count && !code; i++) {
        plot_table table;
        code = table_load(arguments->at[i], &table);
        if (code) break;
        code = add_table(plot, arguments->at[i], &table, &count);
        table_free(&table);
    }
    if (!code) code = report(tn_plot_save(plot, own.output));
    if (!code) printf("%s: %d series\n", own.output, count);
    tn_plot_free(plot);
    return code;
}

const tool_command command_plot = {
    .name = "plot",
    .usage = "FILE.csv|FILE.npy ... -o FILE [OPTION ...]",
    .about = "Draw columns of numbers as dots or lines",
    .options = options,
    .run = run,
};
