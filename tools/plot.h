/* Tables of numbers for tenon plot. */
#ifndef TENON_PLOT_H
#define TENON_PLOT_H

#include "tool.h"

#define PLOT_COLUMNS_MAX 256
typedef struct plot_table {
    int columns;
    int64_t rows;
    char *name[PLOT_COLUMNS_MAX]; /* of the header, else "1", "2", ... */
    double *at;                   /* [columns][rows]; NaN for an empty cell */
} plot_table;

/* A .npy file (the last axis is the columns) or else CSV, with or without a header. An exit code;
 * what is wrong is printed, with file and line. */
int table_load(const char *path, plot_table *out);
void table_free(plot_table *table);
/* By name, else by number from 1; -1 if there is none. */
int table_find(const plot_table *table, const char *column);

#endif
