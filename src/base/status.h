/* Errors are values that remember their way.
 *
 * tn_status is a pointer to a record of the calling thread, NULL on success. Making one allocates
 * nothing, so it works when memory is gone. The next failure on the same thread reuses the record;
 * the thread pool copies a worker's record to the caller's.
 *
 * Input (a file, a shape, a flag, a driver) is never asserted. TN_ASSERT is for our own invariants
 * and is compiled in only with TN_DEBUG.
 */
#ifndef TN_BASE_STATUS_H
#define TN_BASE_STATUS_H

#include <tenon/tenon.h>

/* Tells the compiler that a failure is never NULL, so it sees that TN_TRY leaves on every failure.
 */
#define TN_NEVER_NULL __attribute__((returns_nonnull))

#define TN_MESSAGE_MAX 1024
#define TN_NOTES_MAX 1024
#define TN_TRAIL_MAX 16

struct tn_status_record {
    tn_code code;
    char message[TN_MESSAGE_MAX];
    char notes[TN_NOTES_MAX]; /* lines, innermost first, each ended by '\n' */
    struct {
        const char *file, *function;
        int line;
    } trail[TN_TRAIL_MAX];
    int trail_count;
};

/* Start a record: the message of a new failure. Truncates cleanly at TN_MESSAGE_MAX. */
tn_status tn_status_fail(tn_code code, const char *file, int line, const char *function,
                         const char *format, ...) TN_PRINTF(5, 6) TN_MUST_USE TN_NEVER_NULL;
/* Add a hop to the trail of a failure (never NULL) and hand it back. */
tn_status tn_status_trail(tn_status status, const char *file, int line,
                          const char *function) TN_MUST_USE TN_NEVER_NULL;
/* Add a note, "while importing node 57 of 412". */
tn_status tn_status_note(tn_status status, const char *format, ...)
    TN_PRINTF(2, 3) TN_MUST_USE TN_NEVER_NULL;
/* Copy a record out of a thread and into this thread's (for the pool). */
void tn_status_copy(tn_status status, struct tn_status_record *out);
tn_status tn_status_adopt(const struct tn_status_record *record) TN_MUST_USE;

/* The four control-flow macros of the project. Each may return from the calling function. */
#define TN_TRY(call)                                                                               \
    do {                                                                                           \
        tn_status tn_try_ = (call);                                                                \
        if (tn_try_) return tn_status_trail(tn_try_, __FILE__, __LINE__, __func__);                \
    } while (0)

#define TN_TRY_NOTE(call, ...)                                                                     \
    do {                                                                                           \
        tn_status tn_try_ = (call);                                                                \
        if (tn_try_)                                                                               \
            return tn_status_note(tn_status_trail(tn_try_, __FILE__, __LINE__, __func__),          \
                                  __VA_ARGS__);                                                    \
    } while (0)

#define TN_CHECK(condition, code, ...)                                                             \
    do {                                                                                           \
        if (!(condition)) return tn_status_fail(code, __FILE__, __LINE__, __func__, __VA_ARGS__);  \
    } while (0)

#define TN_FAIL(code, ...) return tn_status_fail(code, __FILE__, __LINE__, __func__, __VA_ARGS__)

/* Not control flow: the value of a failure, for functions that clean up at an `out:` label. */
#define TN_ERROR(code, ...) tn_status_fail(code, __FILE__, __LINE__, __func__, __VA_ARGS__)

#ifdef TN_DEBUG
void tn_assert_fail(const char *what, const char *file, int line);
#define TN_ASSERT(condition)                                                                       \
    do {                                                                                           \
        if (!(condition)) tn_assert_fail(#condition, __FILE__, __LINE__);                          \
    } while (0)
#else
#define TN_ASSERT(condition) ((void)sizeof(condition))
#endif

#define TN_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TN_MIN(a, b) ((a) < (b) ? (a) : (b))
#define TN_MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
