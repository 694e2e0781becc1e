/* The thread pool: one parallel loop, static shares, caller included.
 *
 * Workers spin for a short while after work, then sleep on a futex. A pool may be called by several
 * threads at once: one gets the workers, the others run their loop themselves. Nesting runs inline.
 */
#ifndef TN_BASE_POOL_H
#define TN_BASE_POOL_H

#include "base/status.h"

typedef struct tn_pool tn_pool;

/* threads counts the caller: 1 makes no workers. 0: as many as this process may run on. */
tn_status tn_pool_new(int threads, tn_pool **out) TN_MUST_USE;
void tn_pool_free(tn_pool *pool);
int tn_pool_threads(const tn_pool *pool); /* 1 for NULL */

/* Calls work(arg, begin, end, thread) for shares that cover [0, count) once. `grain` is the
 * smallest share worth waking a thread for: count <= grain runs on the caller, unless there are
 * workers that still spin, which are worth an eighth of that. The first failure (by share
 * order) is returned. Shares run in the caller's floating-point mode (base/cpu.h). pool may be
 * NULL: all on the caller. */
typedef tn_status (*tn_pool_work)(void *arg, int64_t begin, int64_t end, int thread);
tn_status tn_pool_run(tn_pool *pool, int64_t count, int64_t grain, tn_pool_work work,
                      void *arg) TN_MUST_USE;

#endif
