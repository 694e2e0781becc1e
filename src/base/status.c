/* The one error record of each thread. See status.h for the idea. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local struct tn_status_record own;

#define TEXT_OF_(x) #x
#define TEXT_OF(x) TEXT_OF_(x)

const char *tn_version(void)
{
    return TEXT_OF(TN_VERSION_MAJOR) "." TEXT_OF(TN_VERSION_MINOR) "." TEXT_OF(TN_VERSION_PATCH);
}

const char *tn_code_name(tn_code code)
{
    switch (code) {
    case TN_OK: return "OK";
#define CODE_NAME(name, about)                                                                     \
    case TN_##name: return #name;
        TN_STATUS_CODES(CODE_NAME)
#undef CODE_NAME
    }
    return "UNKNOWN";
}

/* Text that did not fit ends in "...", and never in half a UTF-8 character. */
static void mark_cut(char *text, size_t capacity)
{
    size_t end = capacity - sizeof("...");
    while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80) end--;
    memcpy(text + end, "...", sizeof("..."));
}

/* Arguments may point into the record itself, so the text is made beside it and copied. */
static TN_PRINTF(3, 0) void format_text(char *dst, size_t dst_bytes, const char *format,
                                        va_list args)
{
    int length = vsnprintf(dst, dst_bytes, format, args);
    if (length < 0) snprintf(dst, dst_bytes, "(message cannot be formatted: %.200s)", format);
    else if ((size_t)length >= dst_bytes) mark_cut(dst, dst_bytes);
}

tn_status tn_status_fail(tn_code code, const char *file, int line, const char *function,
                         const char *format, ...)
{
    char message[TN_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    format_text(message, sizeof(message), format, args);
    va_end(args);
    own.code = code;
    memcpy(own.message, message, sizeof(message));
    own.notes[0] = 0;
    own.trail_count = 0;
    return tn_status_trail(&own, file, line, function);
}

void tn_status_copy(tn_status status, struct tn_status_record *out)
{
    if (status) *out = *status;
    else memset(out, 0, sizeof(*out));
}

/* A status may be another thread's record: what is added goes to ours. */
static void adopt(tn_status failure)
{
    TN_ASSERT(failure);
    if (failure != &own) own = *failure;
}

tn_status tn_status_adopt(const struct tn_status_record *record)
{
    if (!record || record->code == TN_OK) return NULL;
    adopt(record);
    return &own;
}

tn_status tn_status_trail(tn_status status, const char *file, int line, const char *function)
{
    adopt(status);
    if (own.trail_count < TN_TRAIL_MAX) {
        own.trail[own.trail_count].file = file;
        own.trail[own.trail_count].line = line;
        own.trail[own.trail_count].function = function;
        own.trail_count++;
    }
    return &own;
}

/* Notes that no longer fit are dropped whole: the inner ones say more. */
tn_status tn_status_note(tn_status status, const char *format, ...)
{
    char note[TN_NOTES_MAX / 2];
    va_list args;
    va_start(args, format);
    format_text(note, sizeof(note), format, args);
    va_end(args);
    adopt(status);
    size_t used = strlen(own.notes), length = strlen(note);
    if (used + length + 2 <= sizeof(own.notes)) {
        memcpy(own.notes + used, note, length);
        memcpy(own.notes + used + length, "\n", 2);
    }
    return &own;
}

tn_code tn_status_code(tn_status status)
{
    return status ? status->code : TN_OK;
}

const char *tn_status_message(tn_status status)
{
    return status ? status->message : "";
}

/* snprintf at `length`, counting on past the end of dst. */
static TN_PRINTF(4, 5) void append(char *dst, size_t dst_bytes, size_t *length, const char *format,
                                   ...)
{
    va_list args;
    size_t left = *length < dst_bytes ? dst_bytes - *length : 0;
    va_start(args, format);
    int added = vsnprintf(left ? dst + *length : NULL, left, format, args);
    va_end(args);
    if (added > 0) *length += (size_t)added;
}

size_t tn_status_text(tn_status status, bool trail, char *dst, size_t dst_bytes)
{
    size_t length = 0;
    if (dst_bytes > 0) dst[0] = 0;
    if (!status) return 0;
    append(dst, dst_bytes, &length, "%s", status->message);
    for (const char *note = status->notes; *note;) {
        const char *end = strchr(note, '\n');
        append(dst, dst_bytes, &length, "\n  %.*s", (int)(end - note), note);
        note = end + 1;
    }
    for (int i = 0; trail && i < status->trail_count; i++)
        append(dst, dst_bytes, &length, "\n  at %s:%d  %s", status->trail[i].file,
               status->trail[i].line, status->trail[i].function);
    return length;
}

#ifdef TN_DEBUG
#include <stdlib.h>

void tn_assert_fail(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, what);
    abort();
}
#endif
