/* Figures over the queries of a timing run, by trtexec's definitions. */
#ifndef TENON_STATS_H
#define TENON_STATS_H

#include "tool.h"

typedef struct query {
    /* ms. Computing begins with the call that enqueues it, or where copies are apart from it, when
     * the card begins. */
    double h2d_begin, h2d_end, enqueue_begin, enqueue_end, compute_begin, d2h_begin, d2h_end;
    double device_ms; /* of the kernels on a card; -1: they ran in the call */
} query;

typedef enum time_kind {
    TIME_LATENCY,
    TIME_H2D,
    TIME_ENQUEUE, /* the call that starts a query, or runs it */
    TIME_COMPUTE, /* the kernels */
    TIME_D2H,
    TIME_KINDS
} time_kind;
double query_time(const query *q, time_kind kind);

typedef struct summary {
    double min, max, mean, median;
    double variance_percent; /* standard deviation (population) over mean */
    int percentile_count;
    double percentile[16], at_percentile[16];
} summary;

/* False when memory is short. count > 0. */
bool summarize(const query *at, size_t count, time_kind kind, const double *percentile,
               int percentile_count, summary *out);
/* "90,95,99" (the default) to numbers; -1: printed what is wrong. */
int percentiles_parse(const text_list *texts, double *out, int max);

#endif
