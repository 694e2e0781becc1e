/* Lines of a log as trtexec writes them. */
#include <stdarg.h>
#include <time.h>

#include "tool.h"

void log_line(char level, const char *format, ...)
{
    char stamp[32];
    struct tm when;
    time_t now = time(NULL);
    localtime_r(&now, &when);
    strftime(stamp, sizeof(stamp), "%m/%d/%Y-%H:%M:%S", &when);
    FILE *out = level == 'W' || level == 'E' ? stderr : stdout;
    va_list arguments;
    va_start(arguments, format);
    if (out == stderr) fflush(stdout); /* lines in their order where both go to one place */
    fprintf(out, "[%s] [%c] ", stamp, level);
    vfprintf(out, format, arguments);
    fprintf(out, "\n");
    va_end(arguments);
}
