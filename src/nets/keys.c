/* How files name parameters: see net.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nets/inside.h"

enum { STARS_MAX = 4 };

/* The segments that `*` stand for. */
typedef struct stars {
    int count;
    struct {
        const char *at;
        size_t bytes;
    } star[STARS_MAX];
} stars;

/* What is left of `key` behind the pattern's segments; NULL: it does not fit. */
static const char *match(const char *key, const char *pattern, stars *found)
{
    found->count = 0;
    for (; *pattern; pattern++) {
        if (*pattern != '*') {
            if (*key++ != *pattern) return NULL;
            continue;
        }
        size_t bytes = strcspn(key, ".");
        if (!bytes || found->count == STARS_MAX) return NULL;
        found->star[found->count].at = key;
        found->star[found->count++].bytes = bytes;
        key += bytes;
    }
    return *key == 0 || *key == '.' ? key : NULL;
}

/* "{2a+1}" at *at, with a star in place of a; *at moves behind it. */
static bool put_star(const char **at, const stars *found, char *dst, size_t room)
{
    const char *p = *at + 1;
    char *end;
    long times = 1, plus = 0;
    if (*p >= '0' && *p <= '9') {
        times = strtol(p, &end, 10);
        p = end;
    }
    int index = *p++ - 'a';
    if (*p == '+' || *p == '-') {
        plus = strtol(p, &end, 10);
        p = end;
    }
    if (index < 0 || index >= found->count || *p != '}') return false;
    *at = p + 1;
    const char *text = found->star[index].at;
    size_t bytes = found->star[index].bytes;
    int put;
    if (times == 1 && plus == 0) put = snprintf(dst, room, "%.*s", (int)bytes, text);
    else put = snprintf(dst, room, "%ld", times * strtol(text, NULL, 10) + plus);
    return put >= 0 && (size_t)put < room;
}

static bool rename_key(const tn_net_scheme *scheme, const char *key, char *dst, size_t room)
{
    stars found;
    const char *rest = NULL, *theirs = NULL;
    const tn_net_rename *row = scheme ? scheme->rename : NULL;
    for (; row && row->ours && !rest; row++) {
        rest = match(key, row->ours, &found);
        theirs = row->theirs;
    }
    size_t used = 0;
    if (!rest) {
        rest = key;
        theirs = "";
    }
    while (*theirs) {
        if (*theirs == '{') {
            if (!put_star(&theirs, &found, dst + used, room - used)) return false;
            used += strlen(dst + used);
        } else if (used + 1 < room) {
            dst[used++] = *theirs++;
            dst[used] = 0;
        } else {
            return false;
        }
    }
    int put = snprintf(dst + used, room - used, "%s", rest);
    return put >= 0 && (size_t)put < room - used;
}

bool tn_net_translate(const tn_net_names *names, const char *key, char *dst, size_t dst_bytes)
{
    char theirs[TN_NET_KEY_MAX];
    const tn_net_scheme *scheme = names->scheme;
    size_t trunk = scheme && scheme->trunk ? strlen(scheme->trunk) : 0;
    size_t head = names->head ? strlen(names->head) : 0;
    int put;
    if (head && strncmp(key, names->head, head) == 0) {
        put = snprintf(dst, dst_bytes, "%s%s", names->their_head, key + head);
        return put >= 0 && (size_t)put < dst_bytes;
    }
    if (!rename_key(scheme, key, theirs, sizeof(theirs))) return false;
    if (trunk && strncmp(theirs, scheme->trunk, trunk) == 0)
        put = snprintf(dst, dst_bytes, "%s%s", names->trunk, theirs + trunk);
    else put = snprintf(dst, dst_bytes, "%s%s", names->root, theirs);
    return put >= 0 && (size_t)put < dst_bytes;
}

bool tn_net_ends_in(const char *name, const char *end)
{
    size_t bytes = strlen(name), end_bytes = strlen(end);
    if (bytes < end_bytes || strcmp(name + bytes - end_bytes, end) != 0) return false;
    return bytes == end_bytes || end[0] == '.' || name[bytes - end_bytes - 1] == '.';
}

/* Files converted from TensorFlow call the two parameters of a LayerNorm otherwise. */
static const tn_checkpoint_tensor *look_up_gamma(const tn_checkpoint *c, const char *name)
{
    static const char *const pairs[][2] = {{"LayerNorm.weight", "gamma"},
                                           {"LayerNorm.bias", "beta"}};
    for (size_t i = 0; i < TN_COUNT(pairs); i++) {
        char other[TN_NET_KEY_MAX];
        if (!tn_net_ends_in(name, pairs[i][0])) continue;
        size_t keep = strlen(name) - strlen(strchr(pairs[i][0], '.') + 1);
        snprintf(other, sizeof(other), "%.*s%s", (int)keep, name, pairs[i][1]);
        return tn_checkpoint_get(c, other);
    }
    return NULL;
}

const tn_checkpoint_tensor *tn_net_lookup(const tn_checkpoint *c, const tn_net_names *names,
                                          const char *key)
{
    char name[TN_NET_KEY_MAX];
    if (!tn_net_translate(names, key, name, sizeof(name))) return NULL;
    const tn_checkpoint_tensor *found = tn_checkpoint_get(c, name);
    return found ? found : look_up_gamma(c, name);
}

/* Does the file have the anchors under these prefixes. */
static bool fits(const tn_checkpoint *c, const tn_net_names *names)
{
    for (const char *const *key = names->scheme->anchor; *key; key++)
        if (!tn_net_lookup(c, names, *key)) return false;
    for (const char *const *key = names->scheme->never; key && *key; key++)
        if (tn_net_lookup(c, names, *key)) return false;
    return true;
}

/* The prefixes, from a tensor that may be the first anchor. */
static bool try_prefix(const tn_checkpoint *c, const tn_net_scheme *scheme, const char *name,
                       const char *anchor, tn_net_names *out)
{
    size_t trunk = scheme->trunk ? strlen(scheme->trunk) : 0;
    if (trunk && strncmp(anchor, scheme->trunk, trunk) == 0) anchor += trunk;
    if (!tn_net_ends_in(name, anchor)) return false;
    size_t bytes = strlen(name) - strlen(anchor);
    if (bytes >= sizeof(out->trunk)) return false;
    *out = (tn_net_names){.scheme = scheme};
    memcpy(out->trunk, name, bytes);
    memcpy(out->root, name, bytes);
    if (trunk && bytes >= trunk && strcmp(out->root + bytes - trunk, scheme->trunk) == 0 &&
        (bytes == trunk || out->root[bytes - trunk - 1] == '.'))
        out->root[bytes - trunk] = 0;
    return fits(c, out);
}

bool tn_net_names_find(const tn_net *net, const tn_checkpoint *c, tn_net_names *out)
{
    for (const tn_net_scheme *scheme = net->scheme; scheme->name; scheme++) {
        char anchor[TN_NET_KEY_MAX];
        if (!rename_key(scheme, scheme->anchor[0], anchor, sizeof(anchor))) continue;
        for (int64_t i = 0; i < c->count; i++)
            if (try_prefix(c, scheme, c->tensor[i].name, anchor, out)) return true;
    }
    *out = (tn_net_names){0};
    return false;
}

const tn_net *tn_net_recognise(const tn_checkpoint *checkpoint)
{
    tn_net_names names;
    for (int i = 0; tn_net_table[i]; i++)
        if (tn_net_names_find(tn_net_table[i], checkpoint, &names)) return tn_net_table[i];
    return NULL;
}

/* ---- Sizes that tensors tell ------------------------------------------------------------------*/

const tn_tensor *tn_net_tensor(const tn_net_build *b, const char *format, ...)
{
    char key[TN_NET_KEY_MAX];
    va_list args;
    if (!b->checkpoint) return NULL;
    va_start(args, format);
    vsnprintf(key, sizeof(key), format, args);
    va_end(args);
    const tn_checkpoint_tensor *found = tn_net_lookup(b->checkpoint, &b->names, key);
    return found ? &found->view : NULL;
}

int64_t tn_net_dim(const tn_net_build *b, int rank, int axis, int64_t otherwise, const char *format,
                   ...)
{
    char key[TN_NET_KEY_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(key, sizeof(key), format, args);
    va_end(args);
    const tn_tensor *found = tn_net_tensor(b, "%s", key);
    return found && found->rank == rank ? found->dim[axis] : otherwise;
}

int tn_net_count(const tn_net_build *b, const char *format)
{
    char key[TN_NET_KEY_MAX];
    const char *star = strstr(format, "%d");
    int count = 0;
    for (; star; count++) {
        snprintf(key, sizeof(key), "%.*s%d%s", (int)(star - format), format, count, star + 2);
        if (!tn_net_tensor(b, "%s", key)) break;
    }
    return count;
}
