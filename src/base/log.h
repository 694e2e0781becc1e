/* The log sink. Logging is not error handling: a call that fails logs nothing. */
#ifndef TN_BASE_LOG_H
#define TN_BASE_LOG_H

#include <tenon/tenon.h>

void tn_log(tn_log_level level, const char *format, ...) TN_PRINTF(2, 3);
bool tn_log_on(tn_log_level level);
/* Nanoseconds of the monotonic clock. */
uint64_t tn_clock_ns(void);

#endif
