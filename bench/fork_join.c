/* What it costs to spread work over threads: `fork_join [THREADS]` prints, in microseconds, what a
 * loop takes beyond the 5 of a single share (a caller takes back what nobody has begun: less would
 * tell nothing): on all threads while its workers still spin, the same once they sleep, and a loop
 * too small to wake them, which is done by the caller. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/pool.h"

enum { LOOPS = 20000, IDLE_LOOPS = 300, IDLE_NS = 1000000, SHARE_NS = 5000 };

static _Atomic int64_t done;

static tn_status share(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)arg;
    (void)thread;
    for (uint64_t stop = tn_clock_ns() + SHARE_NS; tn_clock_ns() < stop;) continue;
    atomic_fetch_add_explicit(&done, end - begin, memory_order_relaxed);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static tn_status measure(tn_pool *pool, const char *what, int64_t count, int64_t grain, int loops,
                         int64_t idle_ns)
{
    static uint64_t took[LOOPS];
    const struct timespec idle = {0, idle_ns};
    int64_t before = atomic_load(&done);
    for (int i = 0; i < loops; i++) {
        if (idle_ns) nanosleep(&idle, NULL);
        uint64_t begin = tn_clock_ns();
        TN_TRY(tn_pool_run(pool, count, grain, share, NULL));
        uint64_t ns = tn_clock_ns() - begin;
        took[i] = ns - TN_MIN(ns, (uint64_t)SHARE_NS);
    }
    TN_CHECK(atomic_load(&done) - before == count * loops, TN_INTERNAL, "items are missing");
    qsort(took, (size_t)loops, sizeof *took, compare);
    printf("%-34s p50 %7.2f  p90 %7.2f  p99 %7.2f\n", what, (double)took[loops / 2] * 1e-3,
           (double)took[loops * 9 / 10] * 1e-3, (double)took[loops * 99 / 100] * 1e-3);
    return NULL;
}

int main(int words, char **word)
{
    tn_pool *pool;
    tn_status status = tn_pool_new(words > 1 ? atoi(word[1]) : 0, &pool);
    if (!status) {
        int64_t threads = tn_pool_threads(pool);
        printf("%lld threads, microseconds\n", (long long)threads);
        status = measure(pool, "all threads, workers spin", threads, 1, LOOPS, 0);
        if (!status)
            status = measure(pool, "all threads, workers sleep", threads, 1, IDLE_LOOPS, IDLE_NS);
        if (!status)
            status = measure(pool, "too little to wake anybody", threads, 8, IDLE_LOOPS, IDLE_NS);
        tn_pool_free(pool);
    }
    if (status) fprintf(stderr, "%s\n", tn_status_message(status));
    return status != NULL;
}
