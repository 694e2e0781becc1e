/* Data sets: making, freeing, and batches of samples. */
#include "train/dataset.h"

#include <string.h>

tn_status tn_dataset_make(tn_dataset **out)
{
    tn_dataset *dataset = tn_alloc_zero(sizeof(*dataset));
    *out = dataset;
    TN_CHECK(dataset, TN_OUT_OF_MEMORY, "no memory for a data set");
    tn_arena_init(&dataset->arena);
    return NULL;
}

void tn_dataset_free(tn_dataset *dataset)
{
    if (!dataset) return;
    tn_arena_fini(&dataset->arena);
    tn_free(dataset, sizeof(*dataset));
}

static void gather_windows(const tn_dataset *d, const int64_t *index, int64_t count, float *x,
                           float *y)
{
    size_t sample_bytes = (size_t)d->sample_values * sizeof(float);
    size_t target_bytes = (size_t)d->target_values * sizeof(float);
    for (int64_t i = 0; i < count; i++) {
        const float *from = d->row + index[i] * d->info.column_count;
        memcpy(x + i * d->sample_values, from, sample_bytes);
        memcpy(y + i * d->target_values, from + d->sample_values, target_bytes);
    }
}

static void gather_images(const tn_dataset *d, const int64_t *index, int64_t count, float *x,
                          int64_t *y)
{
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *from = d->pixel + index[i] * d->sample_values;
        float *to = x + i * d->sample_values;
        for (int64_t k = 0; k < d->sample_values; k++) to[k] = d->shade[from[k]];
        y[i] = d->label[index[i]];
    }
}

void tn_dataset_gather(const tn_dataset *dataset, const int64_t *index, int64_t count, float *x,
                       void *y)
{
    if (dataset->row) gather_windows(dataset, index, count, x, y);
    else gather_images(dataset, index, count, x, y);
}
