#ifndef TN_OPS_EMBEDDING_NORM_H
#define TN_OPS_EMBEDDING_NORM_H

#include "device/device.h"

typedef struct tn_embedding_norm_params {
    float epsilon, pad;
} tn_embedding_norm_params;

/* Inputs, by number; shift, and tables but the first, may be absent. */
enum { TN_EN_SCALE, TN_EN_SHIFT, TN_EN_TABLE, TN_EN_IDS, TN_EN_TABLES = 3 };

/* A table: row r of the result takes the row ids[r % period] of it, or r % period without ids. */
typedef struct tn_embedding_table {
    const tn_tensor *rows, *ids; /* ids may be NULL */
    int64_t count, period;
} tn_embedding_table;

/* Numbers of a problem. */
typedef struct tn_embedding_norm_shape {
    int64_t rows, width;
    int tables;
    tn_embedding_table table[TN_EN_TABLES];
} tn_embedding_norm_shape;
void tn_embedding_norm_shape_of(const tn_problem *p, tn_embedding_norm_shape *out);
/* Which row of a table row r takes; an id that it does not have is INVALID. */
tn_status tn_embedding_row(const tn_embedding_table *table, int64_t r, int64_t *out) TN_MUST_USE;

#endif
