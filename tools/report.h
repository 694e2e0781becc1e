/* Pages: of `tenon report`, and what others share of it. */
#ifndef TENON_REPORT_H
#define TENON_REPORT_H

#include "tool.h"

/* The best that a machine does, to hold layers against. */
enum { RATES_MAX = 8, PEAKS_MAX = 4 };
typedef struct machine_speed {
    struct {
        double bytes, bytes_per_s;
    } rate[RATES_MAX]; /* of a plain pass over so many bytes, by size */
    int rate_count;
    struct {
        const char *precision;
        double flops_per_s;
    } peak[PEAKS_MAX]; /* of a large product */
    int peak_count;
} machine_speed;

/* Measured in about a second on the device of an engine; `json` is that of its layers: of which
 * precisions it has. 0, or the exit code: what is wrong is printed. */
int machine_measure(const tn_engine *engine, const build_flags *flags, const char *json,
                    machine_speed *out) TN_MUST_USE;

/* report_page.c: a page of tools/report/parts.js and the scripts behind it (NULL-ended), with the
 * data that they show. False: printed. */
bool page_write(const char *path, const char *const *scripts, const char *json);
/* That of an engine. `json` is its layers; `facts` the rest, as JSON members. */
bool report_page_write(const char *path, const char *facts, const char *json);

#endif
