/* Shapes as trtexec writes them: input:1x3x224x224,mask:1x7 */
#include <stdlib.h>
#include <string.h>

#include "tool.h"

static bool parse_dims(const char *text, size_t bytes, named_shape *out)
{
    const char *at = text, *end = text + bytes;
    out->rank = 0;
    if (bytes == 0 || (bytes == 6 && memcmp(text, "scalar", 6) == 0)) return true;
    while (at < end) {
        char *stop;
        if (out->rank == TN_RANK_MAX || *at < '0' || *at > '9') return false;
        long long value = strtoll(at, &stop, 10);
        if (stop > end || value < 0 || value > (1LL << 40)) return false;
        out->dim[out->rank++] = value;
        at = stop;
        if (at < end && *at++ != 'x') return false;
        if (at == end && at[-1] == 'x') return false;
    }
    return out->rank > 0;
}

bool shapes_parse(const char *flag, const text_list *texts, shape_list *out)
{
    out->count = 0;
    for (int i = 0; i < texts->count; i++) {
        const char *at = texts->at[i];
        while (*at) {
            size_t bytes = strcspn(at, ",");
            const char *colon = NULL; /* the last one: names may contain colons */
            for (size_t k = 0; k < bytes; k++)
                if (at[k] == ':') colon = at + k;
            named_shape *shape = &out->at[out->count];
            if (out->count == SHAPES_MAX || !colon || colon == at ||
                (size_t)(colon - at) >= sizeof(shape->name) ||
                !parse_dims(colon + 1, bytes - (size_t)(colon + 1 - at), shape)) {
                fprintf(stderr, "tenon: --%s: '%.*s' is not a shape; write NAME:1x3x224x224,...\n",
                        flag, (int)bytes, at);
                return false;
            }
            size_t name_bytes = (size_t)(colon - at);
            bool quoted = name_bytes > 2 && at[0] == '\'' && colon[-1] == '\'';
            memcpy(shape->name, at + quoted, name_bytes - 2 * quoted);
            shape->name[name_bytes - 2 * quoted] = 0;
            out->count++;
            at += bytes + (at[bytes] == ',');
        }
    }
    return true;
}

const named_shape *shapes_find(const shape_list *shapes, const char *name)
{
    for (int i = 0; i < shapes->count; i++)
        if (strcmp(shapes->at[i].name, name) == 0) return &shapes->at[i];
    return NULL;
}

const char *shape_text(const int64_t *dim, int rank, char *dst, size_t dst_bytes)
{
    size_t at = 0;
    if (rank == 0) snprintf(dst, dst_bytes, "scalar");
    for (int i = 0; i < rank && at < dst_bytes; i++) {
        int wrote = snprintf(dst + at, dst_bytes - at, "%s%lld", i ? "x" : "", (long long)dim[i]);
        if (wrote < 0) break;
        at += (size_t)wrote;
    }
    return dst;
}
