/* One parallel loop over static shares.
 *
 * Each worker has a word, alone on its cache line, that goes round:
 *
 *     IDLE --caller: here is a share--> WORK --worker: mine--> TAKEN --worker: done--> IDLE
 *
 * The caller stores WORK into the words of the workers it needs and takes share 0 itself; what
 * nobody has taken by then it turns back to IDLE and does, too: a wake-up is never waited for. Then
 * it waits for the others to be IDLE again. A side that waits spins for a short while and then
 * sleeps on the word:
 *
 *  - A worker raises `asleep`, adds itself to pool->sleepers, and sleeps if the word is IDLE; when
 *    it is woken to an IDLE word it spins again.
 *    The caller stores the words, then adds 0 to the same counter: the two additions are ordered,
 *    so either the caller sees the sleeper and wakes it, or the sleeper's futex sees WORK.
 *  - The caller turns TAKEN into AWAITED and sleeps; the worker, when done, finds AWAITED and wakes
 *    it.
 *
 * Spinning pays only if everybody has a core: a pool larger than the machine sleeps at once.
 */
#include "base/pool.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/log.h"
#include "base/memory.h"

enum { IDLE, WORK, TAKEN, AWAITED, STOP };
enum { THREADS_MAX = 1024, SPIN_NS = 50000, SPINS_A_CLOCK = 32 };
enum { HOT = 8 }; /* a share may be smaller by this for a worker that spins */
enum { MISSES = 12, STREAM_NS = 200000 }; /* so many, each that soon after the last: a stream */

typedef struct worker {
    _Alignas(TN_ALIGNMENT) _Atomic uint32_t word;
    _Atomic bool asleep;
    int index;
    tn_pool *pool;
    pthread_t thread;
    bool failed;
    struct tn_status_record record; /* of the failed share */
} worker;

struct tn_pool {
    /* The job; written by the caller before the words. */
    tn_pool_work work;
    void *arg;
    int64_t count, shares;
    uint64_t float_mode; /* the caller's */

    uint64_t spin_ns;
    _Atomic uint64_t missed_ns; /* when there last was work for workers that slept, */
    _Atomic int missed;         /* and how often in a row */
    int threads;
    size_t bytes;
    _Alignas(TN_ALIGNMENT) _Atomic bool busy; /* a caller has the workers */
    _Atomic int sleepers;
    worker worker[]; /* [threads - 1] */
};

/* This thread is inside a share of some loop: a loop started from here runs inline. */
static _Thread_local bool inside;

static void futex_wait(_Atomic uint32_t *word, uint32_t expected)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Spin until the word is not `old` or the time is up; the word as last seen. */
static uint32_t spin_while(_Atomic uint32_t *word, uint32_t old, uint64_t spin_ns)
{
    uint32_t seen = atomic_load_explicit(word, memory_order_acquire);
    if (seen != old || spin_ns == 0) return seen;
    uint64_t end = tn_clock_ns() + spin_ns;
    for (int i = 1; seen == old; i++) {
        relax();
        seen = atomic_load_explicit(word, memory_order_acquire);
        if (i % SPINS_A_CLOCK == 0 && tn_clock_ns() > end) break;
    }
    return seen;
}

static uint32_t wait_for_work(worker *w)
{
    for (;;) {
        uint32_t seen = spin_while(&w->word, IDLE, w->pool->spin_ns);
        if (seen != IDLE) return seen;
        atomic_store_explicit(&w->asleep, true, memory_order_relaxed);
        atomic_fetch_add(&w->pool->sleepers, 1);
        futex_wait(&w->word, IDLE);
        atomic_store_explicit(&w->asleep, false, memory_order_relaxed);
        atomic_fetch_sub(&w->pool->sleepers, 1);
    }
}

static bool change(worker *w, uint32_t from, uint32_t to)
{
    return atomic_compare_exchange_strong(&w->word, &from, to);
}

static void wait_for_worker(worker *w)
{
    uint32_t seen = spin_while(&w->word, TAKEN, w->pool->spin_ns);
    if (seen == IDLE || !change(w, TAKEN, AWAITED)) return; /* or done just now */
    while (atomic_load_explicit(&w->word, memory_order_acquire) == AWAITED)
        futex_wait(&w->word, AWAITED);
}

/* The first count % shares shares are one longer. */
static tn_status run_share(const tn_pool *pool, int64_t index)
{
    int64_t each = pool->count / pool->shares, longer = pool->count % pool->shares;
    int64_t begin = index * each + TN_MIN(index, longer);
    int64_t end = begin + each + (index < longer);
    return pool->work(pool->arg, begin, end, (int)index);
}

/* The share of a worker, by whoever does it. */
static void run_share_of(worker *w)
{
    tn_status status = run_share(w->pool, w->index);
    w->failed = status != NULL;
    if (status) tn_status_copy(status, &w->record);
}

static void *run_worker(void *self)
{
    worker *w = self;
    inside = true;
    while (wait_for_work(w) != STOP) {
        if (!change(w, WORK, TAKEN)) continue; /* the caller was faster */
        if (tn_float_mode() != w->pool->float_mode) tn_float_mode_set(w->pool->float_mode);
        run_share_of(w);
        if (atomic_exchange(&w->word, IDLE) == AWAITED) futex_wake(&w->word);
    }
    return NULL;
}

/* Put `value` into the words of the first `count` workers. */
static void signal_workers(tn_pool *pool, int64_t count, uint32_t value)
{
    for (int64_t i = 0; i < count; i++)
        atomic_store_explicit(&pool->worker[i].word, value, memory_order_release);
    if (atomic_fetch_add(&pool->sleepers, 0) == 0) return;
    for (int64_t i = 0; i < count; i++) {
        worker *w = &pool->worker[i];
        if (atomic_load_explicit(&w->asleep, memory_order_relaxed)) futex_wake(&w->word);
    }
}

static void stop_workers(tn_pool *pool, int count)
{
    signal_workers(pool, count, STOP);
    for (int i = 0; i < count; i++) pthread_join(pool->worker[i].thread, NULL);
}

static tn_status start_workers(tn_pool *pool)
{
    int count = pool->threads - 1;
    for (int i = 0; i < count; i++) {
        worker *w = &pool->worker[i];
        w->index = i + 1;
        w->pool = pool;
        int reason = pthread_create(&w->thread, NULL, run_worker, w);
        if (reason) {
            char words[128];
            stop_workers(pool, i);
            TN_FAIL(TN_UNAVAILABLE, "cannot start thread %d of %d: %s; ask for fewer threads",
                    i + 2, pool->threads, strerror_r(reason, words, sizeof(words)));
        }
        char name[16];
        snprintf(name, sizeof(name), "tenon-%d", w->index);
        pthread_setname_np(w->thread, name);
    }
    return NULL;
}

tn_status tn_pool_new(int threads, tn_pool **out)
{
    sigset_t all, old;
    int cores = tn_cpu_count();
    *out = NULL;
    TN_CHECK(threads >= 0 && threads <= THREADS_MAX, TN_INVALID,
             "%d threads: allowed are 1 to %d, or 0 for all cores", threads, THREADS_MAX);
    if (threads == 0) threads = TN_MIN(cores, (int)THREADS_MAX);
    size_t bytes = sizeof(tn_pool) + (size_t)(threads - 1) * sizeof(worker);
    tn_pool *pool = tn_alloc_zero(bytes);
    TN_CHECK(pool, TN_OUT_OF_MEMORY, "no memory for a pool of %d threads", threads);
    pool->threads = threads;
    pool->bytes = bytes;
    pool->spin_ns = threads <= cores ? SPIN_NS : 0;
    /* The program's signals are for its own threads: workers start with all of them blocked. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    tn_status status = start_workers(pool);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (status) {
        tn_free(pool, bytes);
        return status;
    }
    *out = pool;
    return NULL;
}

void tn_pool_free(tn_pool *pool)
{
    if (!pool) return;
    stop_workers(pool, pool->threads - 1);
    tn_free(pool, pool->bytes);
}

int tn_pool_threads(const tn_pool *pool)
{
    return pool ? pool->threads : 1;
}

/* Share 0 here, the others on the workers that are there. Shares are in order, so the first failure
 * found is the first by share. */
static tn_status run_shared(tn_pool *pool)
{
    int64_t workers = pool->shares - 1;
    signal_workers(pool, workers, WORK);
    inside = true;
    tn_status status = run_share(pool, 0);
    for (int64_t i = 0; i < workers; i++) {
        worker *w = &pool->worker[i];
        if (!change(w, WORK, IDLE)) continue;
        w->failed = false;
        if (!status) run_share_of(w); /* else its outcome is of no use, and may not replace that */
    }
    inside = false;
    for (int64_t i = 0; i < workers; i++) wait_for_worker(&pool->worker[i]);
    for (int64_t i = 0; i < workers && !status; i++) {
        const worker *w = &pool->worker[i];
        if (w->failed) status = tn_status_adopt(&w->record);
    }
    return status;
}

/* The first `count` workers sleep, some of them, and the work is not worth a wake-up. In a stream
 * of such work they are woken for what will follow, and nobody waits for that. */
static void miss(tn_pool *pool, int64_t count)
{
    uint64_t now = tn_clock_ns(), last = atomic_exchange(&pool->missed_ns, now);
    int missed = now - last < STREAM_NS ? atomic_load(&pool->missed) + 1 : 1;
    atomic_store(&pool->missed, missed < MISSES ? missed : 0);
    for (int64_t i = 0; missed >= MISSES && i < count; i++)
        if (atomic_load_explicit(&pool->worker[i].asleep, memory_order_relaxed))
            futex_wake(&pool->worker[i].word);
}

/* Shares of at least `grain`; of less where the workers need not be woken. */
static int64_t share_count(tn_pool *pool, int64_t count, int64_t grain)
{
    int64_t threads = tn_pool_threads(pool);
    int64_t shares = TN_MIN(count / TN_MAX(grain, (int64_t)1), threads);
    if (threads == 1 || pool->spin_ns == 0) return shares;
    int64_t most = TN_MIN(count / TN_MAX(grain / HOT, (int64_t)1), threads), awake = 1;
    while (awake < most &&
           !atomic_load_explicit(&pool->worker[awake - 1].asleep, memory_order_relaxed))
        awake++;
    if (awake < most && shares < most) miss(pool, most - 1);
    return TN_MAX(shares, TN_MIN(most, awake));
}

tn_status tn_pool_run(tn_pool *pool, int64_t count, int64_t grain, tn_pool_work work, void *arg)
{
    if (count <= 0) return NULL;
    int64_t shares = inside ? 1 : share_count(pool, count, grain);
    if (shares <= 1 || atomic_exchange_explicit(&pool->busy, true, memory_order_acquire))
        return work(arg, 0, count, 0);
    pool->work = work;
    pool->arg = arg;
    pool->count = count;
    pool->shares = shares;
    pool->float_mode = tn_float_mode();
    tn_status status = run_shared(pool);
    atomic_store_explicit(&pool->busy, false, memory_order_release);
    return status;
}
