/* Settings of networks, "key=value". */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "nets/inside.h"

enum { SETTINGS_MAX = 64 };

const char *tn_net_text(tn_net_build *b, const char *key)
{
    const char *value = NULL;
    size_t bytes = strlen(key);
    for (int i = 0; i < b->setting_count && i < SETTINGS_MAX; i++) {
        const char *text = b->setting[i];
        if (strncmp(text, key, bytes) != 0 || text[bytes] != '=') continue;
        b->asked |= UINT64_C(1) << i;
        value = text + bytes + 1; /* the last one counts */
    }
    return value;
}

int64_t tn_net_int(tn_net_build *b, const char *key, int64_t otherwise, int64_t low, int64_t high)
{
    const char *text = tn_net_text(b, key);
    char *end = NULL;
    int64_t value = otherwise;
    if (b->draft.failed) return 0;
    errno = 0;
    if (text) value = strtoll(text, &end, 10);
    if (text && (end == text || *end || errno))
        TN_NET_FAIL(b, TN_INVALID, "%s: the setting %s wants a whole number, not '%s'",
                    b->net->name, key, text);
    else if (value < low || value > high)
        TN_NET_FAIL(b, TN_INVALID,
                    "%s: %s is %" PRId64 "%s; it must lie within %" PRId64 " to %" PRId64
                    " (--set %s=N sets it)",
                    b->net->name, key, value, text ? "" : " by the tensors' shapes", low, high,
                    key);
    return b->draft.failed ? 0 : value;
}

bool tn_net_flag(tn_net_build *b, const char *key, bool otherwise)
{
    return tn_net_int(b, key, otherwise, 0, 1) == 1;
}

double tn_net_number(tn_net_build *b, const char *key, double otherwise)
{
    const char *text = tn_net_text(b, key), *at = text;
    double value;
    if (!text || b->draft.failed) return otherwise;
    if (tn_number_parse(&at, &value) && !*at && value > 0 && value < 1) return value;
    TN_NET_FAIL(b, TN_INVALID, "%s: the setting %s wants a number between 0 and 1, not '%s'",
                b->net->name, key, text);
    return otherwise;
}

int tn_net_choice(tn_net_build *b, const char *key, const char *words, int otherwise)
{
    const char *text = tn_net_text(b, key);
    if (!text || b->draft.failed) return otherwise;
    int index = 0;
    for (const char *at = words;; index++) {
        size_t bytes = strcspn(at, "|");
        if (strlen(text) == bytes && memcmp(at, text, bytes) == 0) return index;
        if (!at[bytes]) break;
        at += bytes + 1;
    }
    TN_NET_FAIL(b, TN_INVALID, "%s: the setting %s is '%s'; it can be %s", b->net->name, key, text,
                words);
    return otherwise;
}

bool tn_net_ints(tn_net_build *b, const char *key, int64_t *at, int max, int *count)
{
    const char *text = tn_net_text(b, key), *p = text;
    if (!text || b->draft.failed) return false;
    for (*count = 0; *count < max; p++) {
        char *end;
        errno = 0;
        at[*count] = strtoll(p, &end, 10);
        if (end == p || errno || at[*count] < 1 || at[*count] > TN_NET_SIZE_MAX) break;
        (*count)++;
        p = end;
        if (!*p) return true;
        if (*p != ',') break;
    }
    TN_NET_FAIL(b, TN_INVALID,
                "%s: the setting %s wants up to %d numbers with commas between them, not '%s'",
                b->net->name, key, max, text);
    return false;
}

tn_status tn_net_end(tn_net_build *b)
{
    TN_TRY(tn_draft_end(&b->draft));
    for (int i = 0; i < b->setting_count && i < SETTINGS_MAX; i++)
        TN_CHECK(b->asked & UINT64_C(1) << i, TN_INVALID,
                 "%s: the setting '%s' is none of this network (or not of this form of it); "
                 "settings are:\n%s",
                 b->net->name, b->setting[i], b->net->settings);
    TN_CHECK(b->setting_count <= SETTINGS_MAX, TN_INVALID, "%s: more than %d settings",
             b->net->name, SETTINGS_MAX);
    return NULL;
}
