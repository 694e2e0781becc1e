/* The first byte chooses: a CSV file and how its series is cut and scaled, or an IDX file. What is
 * accepted must give samples of numbers, the first and the last of which are read. */
#include <math.h>
#include <string.h>

#include "train/dataset.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

static void read_sample(const tn_dataset *d, int64_t index)
{
    size_t x_bytes = (size_t)d->sample_values * sizeof(float);
    size_t y_bytes = (size_t)d->target_values * sizeof(float);
    float *x = tn_alloc(x_bytes), *y = tn_alloc(y_bytes);
    if (x && y) {
        tn_dataset_gather(d, &index, 1, x, y);
        for (int64_t i = 0; i < d->sample_values; i++)
            if (isnan(x[i])) __builtin_trap();
        for (int64_t i = 0; i < d->target_values; i++)
            if (isnan(y[i])) __builtin_trap();
    }
    tn_free(x, x_bytes);
    tn_free(y, y_bytes);
}

static void read_csv(uint8_t choice, const char *text, size_t bytes)
{
    static const char *const columns[] = {"y", "1"};
    static const double ranges[] = {100, -3};
    tn_series_options o = {.size = sizeof(o),
                           .window = 1 + (choice >> 6),
                           .horizon = 1 + (choice >> 5 & 1),
                           .scaling = (tn_scaling)((choice >> 1) % 5),
                           .ranges = ranges,
                           .range_count = 2,
                           .validation = choice & 16 ? 0.3 : 0};
    bool chosen = choice & 8 || o.scaling == TN_SCALING_RANGES;
    tn_arena arena;
    tn_table table;
    tn_dataset *d;
    tn_arena_init(&arena);
    if (tn_dataset_make(&d)) __builtin_trap();
    if (!tn_table_parse(text, bytes, "fuzz", columns, chosen ? 2 : 0, &arena, &table) &&
        !tn_series_make(&table, &o, "fuzz", d)) {
        if (d->info.count < 1 || d->info.train_count < 1) __builtin_trap();
        read_sample(d, 0);
        read_sample(d, d->info.count - 1);
    }
    tn_dataset_free(d);
    tn_arena_fini(&arena);
}

static void read_idx(int rank, const uint8_t *bytes, size_t count)
{
    tn_arena arena;
    tn_idx idx;
    uint8_t sum = 0;
    tn_arena_init(&arena);
    if (!tn_idx_parse(bytes, count, "fuzz", rank, &arena, &idx)) {
        for (int64_t i = 0; i < idx.count; i++) sum ^= idx.at[i];
        if (idx.rank != rank || idx.count < 1 || (sum && !idx.at)) __builtin_trap();
    }
    tn_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    if (byte_count < 1) return 0;
    tn_set_log(NULL, NULL, TN_LOG_ERROR);
    if (bytes[0] & 1) read_idx(1 + (bytes[0] >> 1 & 3) % 3, bytes + 1, byte_count - 1);
    else read_csv(bytes[0], (const char *)bytes + 1, byte_count - 1);
    return 0;
}
