/* A table as a series: scaled columns, and how many windows there are. */
#include <math.h>
#include <string.h>

#include "train/dataset.h"

static tn_status check_options(const tn_table *table, const tn_series_options *o, const char *what)
{
    TN_CHECK(o->window >= 1 && o->horizon >= 1 && o->window < INT32_MAX && o->horizon < INT32_MAX,
             TN_INVALID,
             "a window of %lld rows and a horizon of %lld: both must be at least 1 row, "
             "and no more than a file can have",
             (long long)o->window, (long long)o->horizon);
    TN_CHECK(o->validation >= 0 && o->validation < 1, TN_INVALID,
             "the part held back for validation is %g; it must be in [0, 1)", o->validation);
    TN_CHECK(table->row_count >= o->window + o->horizon, TN_INVALID,
             "%s has %lld row%s; a window of %lld and a horizon of %lld need at least %lld", what,
             (long long)table->row_count, table->row_count == 1 ? "" : "s", (long long)o->window,
             (long long)o->horizon, (long long)(o->window + o->horizon));
    TN_CHECK(o->scaling != TN_SCALING_RANGES ||
                 (o->ranges && o->range_count == table->column_count),
             TN_INVALID, "%d divisors are given for the %d columns of %s",
             o->ranges ? o->range_count : 0, table->column_count, what);
    for (int32_t k = 0; o->scaling == TN_SCALING_RANGES && k < table->column_count; k++)
        TN_CHECK(isfinite(o->ranges[k]) && o->ranges[k] != 0, TN_INVALID,
                 "column '%s' cannot be scaled by %g", table->name[k], o->ranges[k]);
    return NULL;
}

typedef struct figures {
    double least, most, mean, deviation;
} figures;

static figures measure(const tn_table *table, int32_t column, int64_t rows)
{
    const double *at = table->value + column;
    figures f = {.least = at[0], .most = at[0]};
    for (int64_t i = 0; i < rows; i++) {
        double value = at[i * table->column_count];
        f.least = fmin(f.least, value);
        f.most = fmax(f.most, value);
        f.mean += value / (double)rows;
    }
    for (int64_t i = 0; i < rows; i++) {
        double off = at[i * table->column_count] - f.mean;
        f.deviation += off * off / (double)rows;
    }
    f.deviation = sqrt(f.deviation);
    return f;
}

static double power_above(double magnitude)
{
    double power = 1;
    while (power <= magnitude && power < 1e300) power *= 10;
    return power;
}

static void scale_column(const tn_table *table, const tn_series_options *o, int32_t k, int64_t rows,
                         tn_series_column *out)
{
    figures f = measure(table, k, rows);
    out->offset = 0;
    out->scale = 1;
    switch (o->scaling) {
    case TN_SCALING_NONE: break;
    case TN_SCALING_DECIMAL: out->scale = power_above(fmax(fabs(f.least), fabs(f.most))); break;
    case TN_SCALING_RANGES: out->scale = o->ranges[k]; break;
    case TN_SCALING_MIN_MAX:
        out->offset = f.least;
        out->scale = f.most - f.least;
        break;
    case TN_SCALING_STANDARD:
        out->offset = f.mean;
        out->scale = f.deviation;
        break;
    }
    /* A column that never changes has no spread to divide by. */
    if (!(out->scale != 0) || !isfinite(out->scale)) out->scale = 1;
}

tn_status tn_series_make(const tn_table *table, const tn_series_options *options, const char *what,
                         tn_dataset *dataset)
{
    TN_TRY(check_options(table, options, what));
    int32_t columns = table->column_count;
    int64_t window = options->window, horizon = options->horizon;
    int64_t count = table->row_count - window - horizon + 1;
    int64_t held_back = (int64_t)(options->validation * (double)count);
    dataset->info = (tn_dataset_info){
        .count = count,
        .train_count = count - held_back,
        .row_count = table->row_count,
        .column_count = columns,
        .rank = 2,
        .target_rank = 2,
        .dim = {window, columns},
        .target_dim = {horizon, columns},
    };
    TN_CHECK(tn_mul_i64(window, columns, &dataset->sample_values) &&
                 tn_mul_i64(horizon, columns, &dataset->target_values),
             TN_INVALID, "a window of %lld rows of %d columns is too large", (long long)window,
             columns);
    dataset->window = window;
    dataset->column = TN_NEW_ARRAY(&dataset->arena, tn_series_column, columns);
    dataset->row = tn_arena_alloc_array(&dataset->arena, (size_t)table->row_count,
                                        (size_t)columns * sizeof(float));
    TN_CHECK(dataset->column && dataset->row, TN_OUT_OF_MEMORY, "no memory for the series of %s",
             what);
    int64_t train_rows = dataset->info.train_count + window + horizon - 1;
    for (int32_t k = 0; k < columns; k++) {
        tn_series_column *c = &dataset->column[k];
        c->name = tn_arena_text(&dataset->arena, table->name[k], strlen(table->name[k]));
        TN_CHECK(c->name, TN_OUT_OF_MEMORY, "no memory for the series of %s", what);
        scale_column(table, options, k, train_rows, c);
        for (int64_t i = k; i < table->row_count * columns; i += columns)
            dataset->row[i] = (float)((table->value[i] - c->offset) / c->scale);
    }
    return NULL;
}
