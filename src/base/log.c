/* The log sink and the clock. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

static void print_line(void *self, tn_log_level level, const char *line)
{
    static const char *const word[] = {"error", "warning", "info", "verbose"};
    (void)self;
    fprintf(stderr, "tenon: %s: %s\n", word[level], line);
}

/* Set once at start, as tenon.h asks, so it is read without a lock. */
static struct {
    tn_log_sink sink;
    void *self;
    tn_log_level level;
} out = {print_line, NULL, TN_LOG_WARNING};

void tn_set_log(tn_log_sink sink, void *self, tn_log_level level)
{
    out.sink = sink ? sink : print_line;
    out.self = self;
    out.level = level;
}

bool tn_log_on(tn_log_level level)
{
    return level <= out.level;
}

void tn_log(tn_log_level level, const char *format, ...)
{
    char line[2048];
    va_list args;
    if (!tn_log_on(level)) return;
    va_start(args, format);
    int length = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (length >= 0) out.sink(out.self, level, line);
}

uint64_t tn_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
