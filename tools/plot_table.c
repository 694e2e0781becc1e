/* Tables of numbers from .npy and CSV files. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plot.h"

enum { ROWS_MAX = 1 << 24 };

void table_free(plot_table *table)
{
    for (int c = 0; c < table->columns; c++) free(table->name[c]);
    free(table->at);
    *table = (plot_table){0};
}

int table_find(const plot_table *table, const char *column)
{
    char *end;
    for (int c = 0; c < table->columns; c++)
        if (strcmp(table->name[c], column) == 0) return c;
    long number = strtol(column, &end, 10);
    return end != column && !*end && number >= 1 && number <= table->columns ? (int)number - 1 : -1;
}

static int fail(const char *path, const char *why)
{
    fprintf(stderr, "error: %s: %s\n", path, why);
    return EXIT_FAILED;
}

/* Columns named by their numbers, and room for the values. */
static int open_table(const char *path, int64_t columns, int64_t rows, plot_table *out)
{
    if (columns < 1 || columns > PLOT_COLUMNS_MAX)
        return fail(path, "1 to 256 columns can be drawn");
    if (rows > ROWS_MAX) return fail(path, "more than 16777216 rows");
    out->rows = rows;
    out->at = malloc((size_t)(columns * rows + 1) * sizeof(*out->at));
    if (!out->at) return fail(path, "no memory for its numbers");
    for (int c = 0; c < columns; c++) {
        char text[16];
        snprintf(text, sizeof(text), "%d", c + 1);
        out->name[out->columns] = strdup(text);
        if (!out->name[out->columns++]) return fail(path, "no memory for its columns");
    }
    return 0;
}

/* ---- .npy
 * -------------------------------------------------------------------------------------------*/

static bool is_npy(const char *path)
{
    char magic[6] = {0};
    FILE *file = fopen(path, "rb");
    size_t bytes = file ? fread(magic, 1, sizeof(magic), file) : 0;
    if (file) fclose(file);
    return bytes == sizeof(magic) && memcmp(magic, "\x93NUMPY", 6) == 0;
}

static bool number_at(const tn_tensor *t, int64_t i, double *out)
{
    switch (t->dtype) {
    case TN_DTYPE_F32: *out = (double)((const float *)t->data)[i]; return true;
    case TN_DTYPE_F64: *out = ((const double *)t->data)[i]; return true;
    case TN_DTYPE_I32: *out = ((const int32_t *)t->data)[i]; return true;
    case TN_DTYPE_I64: *out = (double)((const int64_t *)t->data)[i]; return true;
    case TN_DTYPE_U8: *out = ((const uint8_t *)t->data)[i]; return true;
    default: return false;
    }
}

static int load_npy(const char *path, plot_table *out)
{
    tn_tensor t = {0};
    int code = report(tn_tensor_load(path, &t));
    if (code) return code;
    int64_t count = tn_tensor_count(&t), columns = t.rank > 1 ? t.dim[t.rank - 1] : 1;
    code = open_table(path, columns, columns > 0 ? count / columns : 0, out);
    for (int64_t i = 0; i < count && !code; i++)
        if (!number_at(&t, i, &out->at[i % columns * out->rows + i / columns]))
            code = fail(path, "only f32, f64, i32, i64 and u8 can be drawn");
    tn_tensor_free(&t);
    return code;
}

/* ---- CSV
 * --------------------------------------------------------------------------------------------*/

/* The next cell of a line, without the blanks and quotes around it; NULL at the end. Cuts `*at`. */
static char *next_cell(char **at)
{
    char *begin = *at;
    if (!begin) return NULL;
    char *comma = strchr(begin, ',');
    *at = comma ? comma + 1 : NULL;
    if (comma) *comma = 0;
    begin += strspn(begin, " \t\"");
    for (size_t n = strlen(begin); n && strchr(" \t\r\"", begin[n - 1]); n--) begin[n - 1] = 0;
    return begin;
}

static bool read_number(const char *cell, double *out)
{
    char *end;
    *out = *cell ? strtod(cell, &end) : NAN;
    return !*cell || !*end;
}

static bool is_header(const char *line)
{
    double number;
    bool header = false;
    char *copy = strdup(line), *at = copy;
    for (char *cell; (cell = next_cell(&at));) header |= !read_number(cell, &number);
    free(copy);
    return header;
}

static int read_row(const char *path, int64_t line, char *text, int64_t row, plot_table *out)
{
    char *cell;
    for (int c = 0; (cell = next_cell(&text)); c++) {
        if (c == out->columns || !read_number(cell, &out->at[c * out->rows + row])) {
            fprintf(stderr, "error: %s, line %lld, column %d: %s '%.40s'\n", path, (long long)line,
                    c + 1, c == out->columns ? "there is no such column:" : "not a number:", cell);
            return EXIT_FAILED;
        }
        if (text || c + 1 == out->columns) continue;
        fprintf(stderr, "error: %s, line %lld has %d columns, not %d\n", path, (long long)line,
                c + 1, out->columns);
        return EXIT_FAILED;
    }
    return 0;
}

static int read_lines(const char *path, line_list *lines, plot_table *out)
{
    if (lines->count && strncmp(lines->at[0].text, "\xEF\xBB\xBF", 3) == 0)
        memmove((char *)lines->at[0].text, lines->at[0].text + 3, lines->at[0].bytes - 2);
    while (lines->count &&
           !lines->at[lines->count - 1].text[strspn(lines->at[lines->count - 1].text, " \t\r")])
        free((char *)lines->at[--lines->count].text);
    if (!lines->count) return fail(path, "it is empty");
    bool header = is_header(lines->at[0].text);
    int64_t columns = 1;
    for (const char *c = lines->at[0].text; *c; c++) columns += *c == ',';
    int code = open_table(path, columns, lines->count - header, out);
    char *at = (char *)lines->at[0].text, *cell;
    for (int c = 0; header && !code && (cell = next_cell(&at)); c++) {
        free(out->name[c]);
        out->name[c] = strdup(cell);
        if (!out->name[c]) code = fail(path, "no memory for its columns");
    }
    for (int64_t i = header; i < lines->count && !code; i++)
        code = read_row(path, i + 1, (char *)lines->at[i].text, i - header, out);
    return code;
}

static int load_csv(const char *path, plot_table *out)
{
    line_list lines = {0};
    FILE *file = fopen(path, "r");
    if (!file) return fail(path, strerror(errno));
    int code = lines_read(file, ROWS_MAX, &lines) ? 0 : EXIT_FAILED;
    fclose(file);
    if (!code) code = read_lines(path, &lines, out);
    lines_free(&lines);
    return code;
}

int table_load(const char *path, plot_table *out)
{
    *out = (plot_table){0};
    int code = is_npy(path) ? load_npy(path, out) : load_csv(path, out);
    if (code) table_free(out);
    return code;
}
