/* Samples to train on, and to judge by: windows of a series, or images with classes.
 *
 *     csv.c        text -> a table of numbers with names
 *     series.c     a table -> windows, scaled
 *     idx.c        the IDX files of MNIST, .gz or not -> images and labels
 *     dataset.c    batches of samples
 *
 * A series is kept once, row by row: a window is a piece of it. Images are kept as bytes.
 */
#ifndef TN_TRAIN_DATASET_H
#define TN_TRAIN_DATASET_H

#include <tenon/train.h>

#include "base/file.h"
#include "tensor/tensor.h"

typedef struct tn_series_column {
    const char *name;
    double offset, scale;
} tn_series_column;

struct tn_dataset {
    tn_arena arena;
    tn_dataset_info info;
    int64_t sample_values, target_values; /* of one sample */
    /* A series. */
    tn_series_column *column;
    float *row; /* [row_count, column_count], scaled */
    int64_t window;
    /* Images: [count, sample_values]. */
    uint8_t *pixel, *label;
    float shade[256]; /* of a pixel's byte */
};

/* An empty one, to be filled. */
tn_status tn_dataset_make(tn_dataset **out) TN_MUST_USE;
/* The samples numbered by `index` to x and y, dense: f32, f32 or i64. */
void tn_dataset_gather(const tn_dataset *dataset, const int64_t *index, int64_t count, float *x,
                       void *y);

/* ---- Tables (csv.c) --------------------------------------------------------------------------*/

#define TN_TABLE_COLUMNS_MAX 4096

/* Numbers of the columns asked for. `what` names the file in messages. */
typedef struct tn_table {
    int64_t row_count;
    int32_t column_count;
    const char **name;
    double *value; /* [row_count, column_count] */
} tn_table;

tn_status tn_table_parse(const char *text, size_t bytes, const char *what,
                         const char *const *columns, int column_count, tn_arena *arena,
                         tn_table *out) TN_MUST_USE;

/* series.c: the table becomes samples; options are checked. */
tn_status tn_series_make(const tn_table *table, const tn_series_options *options, const char *what,
                         tn_dataset *dataset) TN_MUST_USE;

/* ---- IDX (idx.c) -----------------------------------------------------------------------------*/

#define TN_IDX_RANK_MAX 3

/* Bytes in up to three dims; memory from the arena. */
typedef struct tn_idx {
    int32_t rank;
    int64_t dim[TN_IDX_RANK_MAX];
    int64_t count; /* of all bytes */
    uint8_t *at;
} tn_idx;

tn_status tn_idx_parse(const uint8_t *bytes, size_t byte_count, const char *what, int rank,
                       tn_arena *arena, tn_idx *out) TN_MUST_USE;
/* The four files of a folder. */
tn_status tn_images_make(const char *folder, tn_dataset *dataset) TN_MUST_USE;

#endif
