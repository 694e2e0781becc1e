#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double query_time(const query *q, time_kind kind)
{
    switch (kind) {
    case TIME_H2D: return q->h2d_end - q->h2d_begin;
    case TIME_ENQUEUE: return q->enqueue_end - q->enqueue_begin;
    case TIME_COMPUTE: return q->device_ms >= 0 ? q->device_ms : q->d2h_begin - q->compute_begin;
    case TIME_D2H: return q->d2h_end - q->d2h_begin;
    default: return q->d2h_end - q->compute_begin + q->h2d_end - q->h2d_begin;
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

bool summarize(const query *at, size_t count, time_kind kind, const double *percentile,
               int percentile_count, summary *out)
{
    double *time = malloc(count * sizeof(*time));
    if (!time) {
        fprintf(stderr, "error: out of memory for %zu times\n", count);
        return false;
    }
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) sum += time[i] = query_time(&at[i], kind);
    out->mean = sum / (double)count;
    for (size_t i = 0; i < count; i++) squares += (time[i] - out->mean) * (time[i] - out->mean);
    out->variance_percent = out->mean > 0 ? sqrt(squares / (double)count) / out->mean * 100 : 0;
    qsort(time, count, sizeof(*time), by_value);
    out->min = time[0];
    out->max = time[count - 1];
    out->median = count % 2 ? time[count / 2] : (time[count / 2 - 1] + time[count / 2]) / 2;
    out->percentile_count = percentile_count;
    for (int i = 0; i < percentile_count; i++) {
        /* the index trtexec takes: max(n - 1 - int((1 - p/100) * n), 0) */
        int64_t index = (int64_t)count - 1 - (int64_t)((1 - percentile[i] / 100) * (double)count);
        out->percentile[i] = percentile[i];
        out->at_percentile[i] = time[index < 0 ? 0 : index];
    }
    free(time);
    return true;
}

int percentiles_parse(const text_list *texts, double *out, int max)
{
    static const char *const usual[] = {"90,95,99"};
    const char *const *list = texts->count ? texts->at : usual;
    int list_count = texts->count ? texts->count : 1, count = 0;
    for (int i = 0; i < list_count; i++) {
        for (const char *at = list[i]; *at;) {
            char *end;
            double value = strtod(at, &end);
            if (end == at || (*end && *end != ',') || !(value >= 0 && value <= 100) ||
                count == max) {
                fprintf(stderr, "tenon: --percentile wants numbers from 0 to 100, not '%s'\n",
                        list[i]);
                return -1;
            }
            out[count++] = value;
            at = *end ? end + 1 : end;
        }
    }
    return count;
}
