/* The pool: cover, order of failures, nesting, several callers, sleep, failing to start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/pool.h"
#include "fault/failing_allocator.h"

enum { ITEMS = 5000, THREADS = 4 };

typedef struct cover {
    uint8_t seen[ITEMS];
    _Atomic int shares;
    _Atomic int thread_seen[16];
} cover;

static tn_status mark(void *arg, int64_t begin, int64_t end, int thread)
{
    cover *c = arg;
    TN_CHECK(begin < end, TN_INTERNAL, "an empty share");
    for (int64_t i = begin; i < end; i++) c->seen[i]++;
    atomic_fetch_add(&c->shares, 1);
    atomic_fetch_add(&c->thread_seen[thread], 1);
    return NULL;
}

static void assert_covered(const cover *c, int64_t count)
{
    for (int64_t i = 0; i < ITEMS; i++) assert_int_equal(c->seen[i], i < count);
}

static void every_item_is_done_once(void **state)
{
    (void)state;
    static const int64_t counts[] = {1, 2, 3, 4, 5, 63, 64, 65, 1000, ITEMS};
    tn_pool *pool;
    assert_null(tn_pool_new(THREADS, &pool));
    assert_int_equal(tn_pool_threads(pool), THREADS);
    for (size_t i = 0; i < TN_COUNT(counts); i++) {
        cover c = {0};
        assert_null(tn_pool_run(pool, counts[i], 1, mark, &c));
        assert_covered(&c, counts[i]);
        assert_int_equal(c.shares, TN_MIN(counts[i], (int64_t)THREADS));
        for (int t = 0; t < THREADS; t++) assert_int_equal(c.thread_seen[t], t < c.shares);
    }
    assert_null(tn_pool_run(pool, 0, 1, mark, NULL));
    assert_null(tn_pool_run(pool, -3, 1, mark, NULL));
    tn_pool_free(pool);
    tn_pool_free(NULL);
}

static void small_work_stays_with_the_caller(void **state)
{
    (void)state;
    tn_pool *pool;
    assert_null(tn_pool_new(THREADS, &pool));
    static const struct {
        int64_t count, grain;
        int shares, most; /* most: of workers that spin */
    } rows[] = {{100, 1000, 1, 1}, {100, 100, 1, 4}, {100, 300, 1, 2}, {100, 51, 1, 4},
                {100, 50, 2, 4},   {100, 30, 3, 4},  {100, 0, 4, 4},   {9, 1000, 1, 1}};
    for (size_t i = 0; i < TN_COUNT(rows); i++) {
        cover c = {0};
        assert_null(tn_pool_run(pool, rows[i].count, rows[i].grain, mark, &c));
        assert_covered(&c, rows[i].count);
        assert_in_range(c.shares, rows[i].shares, rows[i].most);
    }
    tn_pool_free(pool);
    cover c = {0};
    assert_null(tn_pool_run(NULL, 77, 1, mark, &c));
    assert_covered(&c, 77);
    assert_int_equal(c.shares, 1);
    assert_int_equal(tn_pool_threads(NULL), 1);
}

/* arg: a mask of the shares (of one item each) that fail. */
static tn_status fail_some(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)end;
    unsigned mask = *(unsigned *)arg;
    if (!(mask >> begin & 1)) return NULL;
    return tn_status_note(TN_ERROR(TN_DEVICE, "share %d", (int)begin), "on thread %d", thread);
}

static void the_first_failure_by_share_is_returned(void **state)
{
    (void)state;
    tn_pool *pool;
    assert_null(tn_pool_new(THREADS, &pool));
    for (unsigned mask = 0; mask < 1u << THREADS; mask++) {
        tn_status status = tn_pool_run(pool, THREADS, 1, fail_some, &mask);
        if (mask == 0) {
            assert_null(status);
            continue;
        }
        char want[16] = "share 0";
        want[6] = (char)('0' + __builtin_ctz(mask));
        assert_int_equal(tn_status_code(status), TN_DEVICE);
        assert_string_equal(tn_status_message(status), want);
        assert_non_null(strstr(status->notes, "on thread"));
    }
    tn_pool_free(pool);
}

typedef struct nest {
    tn_pool *pool;
    _Atomic int64_t sum;
} nest;

static tn_status add(void *arg, int64_t begin, int64_t end, int thread)
{
    nest *n = arg;
    TN_CHECK(thread == 0, TN_INTERNAL, "a nested loop left its thread");
    for (int64_t i = begin; i < end; i++) atomic_fetch_add(&n->sum, i);
    return NULL;
}

static tn_status add_nested(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    nest *n = arg;
    for (int64_t i = begin; i < end; i++) TN_TRY(tn_pool_run(n->pool, 10, 1, add, n));
    return NULL;
}

static void nested_loops_run_inline(void **state)
{
    (void)state;
    nest n = {0};
    assert_null(tn_pool_new(THREADS, &n.pool));
    assert_null(tn_pool_run(n.pool, 100, 1, add_nested, &n));
    assert_int_equal(n.sum, 100 * 45);
    tn_pool_free(n.pool);
}

typedef struct caller {
    tn_pool *pool;
    pthread_t thread;
    int bad;
} caller;

static void *call_often(void *arg)
{
    caller *self = arg;
    for (int round = 0; round < 200; round++) {
        cover c = {0};
        int64_t count = 100 + round;
        if (tn_pool_run(self->pool, count, 1, mark, &c)) self->bad++;
        for (int64_t i = 0; i < ITEMS; i++) self->bad += c.seen[i] != (i < count);
        unsigned mask = 4;
        tn_status status = tn_pool_run(self->pool, THREADS, 1, fail_some, &mask);
        /* With the workers share 2 fails; alone there is one share, which begins at 0. */
        if (status && strcmp(tn_status_message(status), "share 2") != 0) self->bad++;
    }
    return NULL;
}

static void several_callers_at_once(void **state)
{
    (void)state;
    caller callers[3] = {0};
    tn_pool *pool;
    assert_null(tn_pool_new(THREADS, &pool));
    for (size_t i = 0; i < TN_COUNT(callers); i++) {
        callers[i].pool = pool;
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call_often, &callers[i]), 0);
    }
    for (size_t i = 0; i < TN_COUNT(callers); i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].bad, 0);
    }
    tn_pool_free(pool);
}

/* Pauses around the spin time, so that workers are met spinning, falling asleep and asleep. */
static void sleeping_workers_wake(void **state)
{
    (void)state;
    tn_pool *pool;
    assert_null(tn_pool_new(TN_MIN(tn_cpu_count(), 8), &pool));
    for (long round = 0; round < 300; round++) {
        cover c = {0};
        struct timespec pause = {0, round % 2 ? round * 500 : 0};
        nanosleep(&pause, NULL);
        assert_null(tn_pool_run(pool, 64, 1, mark, &c));
        assert_covered(&c, 64);
    }
    tn_pool_free(pool);
}

static tn_status dawdle(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)begin, (void)end;
    struct timespec pause = {0, 2000000};
    if (thread > 0) nanosleep(&pause, NULL);
    atomic_fetch_add((_Atomic int *)arg, 1);
    return NULL;
}

static void the_caller_waits_for_slow_workers(void **state)
{
    (void)state;
    tn_pool *pool;
    assert_null(tn_pool_new(3, &pool));
    for (int round = 0; round < 5; round++) {
        _Atomic int done = 0;
        assert_null(tn_pool_run(pool, 3, 1, dawdle, &done));
        assert_int_equal(done, 3);
    }
    tn_pool_free(pool);
}

static void bad_sizes_are_refused(void **state)
{
    (void)state;
    tn_pool *pool;
    assert_int_equal(tn_status_code(tn_pool_new(-1, &pool)), TN_INVALID);
    assert_null(pool);
    assert_int_equal(tn_status_code(tn_pool_new(1000000, &pool)), TN_INVALID);
    assert_null(tn_pool_new(0, &pool));
    assert_int_equal(tn_pool_threads(pool), tn_cpu_count());
    tn_pool_free(pool);
}

static void starting_fails_cleanly(void **state)
{
    (void)state;
    tn_pool *pool;
    failing_install(1, FAIL_ONCE);
    tn_status status = tn_pool_new(2, &pool);
    failing_counts counts = failing_remove();
    assert_int_equal(tn_status_code(status), TN_OUT_OF_MEMORY);
    assert_null(pool);
    assert_int_equal(counts.live_bytes, 0);

    failing_install(0, FAIL_ONCE);
    assert_null(tn_pool_new(3, &pool));
    int64_t requests = failing_read().requests;
    cover c = {0};
    assert_null(tn_pool_run(pool, 100, 1, mark, &c));
    assert_int_equal(failing_read().requests, requests); /* a run allocates nothing */
    tn_pool_free(pool);
    counts = failing_remove();
    assert_int_equal(counts.live_bytes, 0);
    assert_int_equal(counts.errors, 0);
}

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

/* Without address space for stacks the system refuses threads after some have started. Sanitizers
 * need that space themselves. */
static void workers_that_cannot_start_are_an_error(void **state)
{
    (void)state;
#ifdef SANITIZED
    skip();
#else
    struct rlimit old, small;
    tn_pool *pool;
    assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
    small = old;
    small.rlim_cur = (rlim_t)200 << 20;
    assert_int_equal(setrlimit(RLIMIT_AS, &small), 0);
    tn_status status = tn_pool_new(200, &pool);
    assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
    assert_int_equal(tn_status_code(status), TN_UNAVAILABLE);
    assert_non_null(strstr(tn_status_message(status), "fewer threads"));
    assert_null(pool);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_is_done_once),
        cmocka_unit_test(small_work_stays_with_the_caller),
        cmocka_unit_test(the_first_failure_by_share_is_returned),
        cmocka_unit_test(nested_loops_run_inline),
        cmocka_unit_test(several_callers_at_once),
        cmocka_unit_test(sleeping_workers_wake),
        cmocka_unit_test(the_caller_waits_for_slow_workers),
        cmocka_unit_test(bad_sizes_are_refused),
        cmocka_unit_test(starting_fails_cleanly),
        cmocka_unit_test(workers_that_cannot_start_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
