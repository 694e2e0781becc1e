/* Each block carries a head of 64 bytes with its size, so that a free with another size is seen. */
#include "fault/failing_allocator.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_BYTES = 64 };
static const uint64_t alive = UINT64_C(0x54454e4f4e4c4956);

typedef struct head {
    uint64_t mark;
    size_t bytes;
} head;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static failing_counts counts;
static int64_t fail_at;
static failing_mode mode;

static head *head_of(void *p)
{
    return (head *)(void *)((char *)p - HEAD_BYTES);
}

static void *make(size_t bytes)
{
    void *block = NULL;
    if (bytes > SIZE_MAX - HEAD_BYTES) return NULL;
    if (posix_memalign(&block, HEAD_BYTES, HEAD_BYTES + bytes)) return NULL;
    *(head *)block = (head){.mark = alive, .bytes = bytes};
    counts.live_blocks++;
    counts.live_bytes += (int64_t)bytes;
    if (counts.live_bytes > counts.peak_bytes) counts.peak_bytes = counts.live_bytes;
    /* Fresh memory is full of rubbish: who takes it for zeros is found. */
    return memset((char *)block + HEAD_BYTES, 0xA5, bytes);
}

static void destroy(void *p)
{
    head *h = head_of(p);
    counts.live_blocks--;
    counts.live_bytes -= (int64_t)h->bytes;
    h->mark = 0;
    free(h);
}

static void *resize_locked(void *p, size_t old_bytes, size_t new_bytes)
{
    if (p && (head_of(p)->mark != alive || head_of(p)->bytes != old_bytes)) {
        counts.errors++;
        if (head_of(p)->mark != alive) return NULL;
        old_bytes = head_of(p)->bytes;
    }
    if (new_bytes == 0) {
        if (p) destroy(p);
        return NULL;
    }
    counts.requests++;
    bool fails =
        mode == FAIL_ONCE ? counts.requests == fail_at : fail_at > 0 && counts.requests >= fail_at;
    void *fresh = fails ? NULL : make(new_bytes);
    if (!fresh) {
        counts.failed++;
        return NULL;
    }
    if (p) {
        memcpy(fresh, p, old_bytes < new_bytes ? old_bytes : new_bytes);
        destroy(p);
    }
    return fresh;
}

static void *resize(void *self, void *p, size_t old_bytes, size_t new_bytes)
{
    (void)self;
    pthread_mutex_lock(&lock);
    void *result = resize_locked(p, old_bytes, new_bytes);
    pthread_mutex_unlock(&lock);
    return result;
}

void failing_install(int64_t at, failing_mode how)
{
    const tn_allocator allocator = {resize, NULL};
    pthread_mutex_lock(&lock);
    counts = (failing_counts){0};
    fail_at = at;
    mode = how;
    pthread_mutex_unlock(&lock);
    tn_set_allocator(&allocator);
}

failing_counts failing_read(void)
{
    pthread_mutex_lock(&lock);
    failing_counts now = counts;
    pthread_mutex_unlock(&lock);
    return now;
}

failing_counts failing_remove(void)
{
    tn_set_allocator(NULL);
    return failing_read();
}
