/* tenon inspect model.pth: the tensors of a checkpoint. */
#include <inttypes.h>
#include <string.h>

#include "tool.h"

static bool ends_with(const char *text, const char *end)
{
    size_t text_bytes = strlen(text), end_bytes = strlen(end);
    return text_bytes >= end_bytes && strcmp(text + text_bytes - end_bytes, end) == 0;
}

bool is_checkpoint_file(const char *path)
{
    return ends_with(path, ".pth") || ends_with(path, ".pt") || ends_with(path, ".safetensors") ||
           tn_is_checkpoint(path);
}

/* A name from a file; what a terminal would obey is not printed. */
static void print_name(const char *name, int width)
{
    for (; *name; name++, width--) putchar((unsigned char)*name < 32 || *name == 127 ? '?' : *name);
    for (; width > 0; width--) putchar(' ');
}

static tn_status print_tensors(const tn_checkpoint *checkpoint)
{
    enum { WIDTH_MAX = 60 };
    int64_t count = tn_checkpoint_count(checkpoint), bytes = 0, elements = 0;
    int width = 6;
    const char *name;
    tn_tensor t;
    tn_status status = NULL;
    for (int64_t i = 0; i < count && !status; i++) {
        status = tn_checkpoint_tensor_at(checkpoint, i, &name, &t);
        if (!status && strlen(name) <= WIDTH_MAX && (int)strlen(name) > width)
            width = (int)strlen(name);
    }
    for (int64_t i = 0; i < count && !status; i++) {
        char type[160];
        int used = 0;
        status = tn_checkpoint_tensor_at(checkpoint, i, &name, &t);
        if (status) break;
        used = snprintf(type, sizeof(type), "%s[", tn_dtype_name(t.dtype));
        for (int axis = 0; axis < t.rank; axis++)
            used += snprintf(type + used, sizeof(type) - (size_t)used, "%s%" PRId64,
                             axis ? "," : "", t.dim[axis]);
        snprintf(type + used, sizeof(type) - (size_t)used, "]");
        print_name(name, width);
        printf("  %-24s %12" PRId64 " bytes\n", type, tn_tensor_bytes(&t));
        bytes += tn_tensor_bytes(&t);
        elements += tn_tensor_count(&t);
    }
    if (!status)
        printf("%" PRId64 " tensors, %" PRId64 " elements, %" PRId64 " bytes\n", count, elements,
               bytes);
    return status;
}

tn_status inspect_checkpoint(const char *path)
{
    tn_checkpoint *checkpoint;
    tn_status status = tn_checkpoint_load(path, &checkpoint);
    if (status) return status;
    printf("%s", tn_checkpoint_note(checkpoint));
    status = print_tensors(checkpoint);
    tn_checkpoint_free(checkpoint);
    return status;
}
