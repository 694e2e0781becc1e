/* Measured times of tactics, kept from build to build. */
#ifndef TN_BUILD_TIMINGS_H
#define TN_BUILD_TIMINGS_H

#include "base/map.h"
#include "exec/exec.h"

typedef struct tn_timing {
    const char *problem, *tactic;
    uint32_t revision;
    const char *machine; /* the device's name and the number of threads */
    double ns;
} tn_timing;

typedef struct tn_timings {
    tn_arena *arena;
    const char *machine;
    tn_map index; /* "problem\ttactic\trevision\tmachine" -> tn_timing */
    tn_timing **list;
    int64_t count, capacity;
    bool changed;
} tn_timings;

tn_status tn_timings_init(tn_timings *timings, const tn_engine *engine,
                          tn_arena *arena) TN_MUST_USE;
/* A missing file is an empty one; lines that are no timings, or of tactics that have changed since,
 * are left out, with a warning for the former. */
tn_status tn_timings_load(tn_timings *timings, const tn_backend *backend,
                          const char *path) TN_MUST_USE;
/* The same from text; `what` names it in warnings. */
tn_status tn_timings_parse(tn_timings *timings, const tn_backend *backend, const char *what,
                           const char *text, size_t bytes) TN_MUST_USE;
void tn_timings_print(const tn_timings *timings, tn_text *out); /* sorts them */
tn_status tn_timings_merge(tn_timings *timings, const tn_timings *from) TN_MUST_USE;
tn_status tn_timings_save(const tn_timings *timings, const char *path) TN_MUST_USE;
tn_status tn_timings_put(tn_timings *timings, const char *problem, const tn_tactic *tactic,
                         double ns) TN_MUST_USE;
/* On this machine; false if it was not measured. */
tn_status tn_timings_find(const tn_timings *timings, const char *problem, const tn_tactic *tactic,
                          bool *found, double *ns) TN_MUST_USE;

/* What the public handle is: times of all machines. */
struct tn_timing_cache {
    tn_arena arena;
    tn_timings timings; /* its machine: "" */
};

#endif
