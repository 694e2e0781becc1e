/* An allocator that fails on demand and keeps the books, so that a test can fail every allocation
 * of a piece of work in turn:
 *
 *     for (int64_t n = 1;; n++) {
 *         failing_install(n, FAIL_ONCE);
 *         status = work();
 *         failing_counts counts = failing_remove();
 *         assert_int_equal(counts.live_bytes, 0);
 *         assert_int_equal(counts.errors, 0);
 *         if (!counts.failed) break;
 *     }
 *
 * Safe to use from many threads; install and remove it while the library is at rest. */
#ifndef TN_TESTS_FAILING_ALLOCATOR_H
#define TN_TESTS_FAILING_ALLOCATOR_H

#include <tenon/tenon.h>

typedef enum failing_mode {
    FAIL_ONCE,      /* the n-th request alone */
    FAIL_FROM_THERE /* the n-th and all after it */
} failing_mode;

typedef struct failing_counts {
    int64_t requests;    /* new blocks and changes of size, also those that failed */
    int64_t failed;      /* requests answered with NULL */
    int64_t live_blocks; /* not freed yet */
    int64_t live_bytes;
    int64_t peak_bytes;
    int64_t errors; /* blocks given back with a wrong size, or not ours */
} failing_counts;

/* fail_at counts from 1; 0 never fails. Starts all counts anew. */
void failing_install(int64_t fail_at, failing_mode mode);
failing_counts failing_read(void);
/* Put the library's own allocator back. Blocks that live on must not be freed through it. */
failing_counts failing_remove(void);

#endif
