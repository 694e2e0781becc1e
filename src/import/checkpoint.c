/* Checkpoints: see checkpoint.h. */
#include "import/checkpoint.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "import/pickle.h"

/* ---- What the readers fill --------------------------------------------------------------------*/

tn_status tn_checkpoint_add(tn_checkpoint *c, const char *name, size_t name_bytes,
                            const tn_tensor *view)
{
    TN_CHECK(name_bytes <= TN_CHECKPOINT_NAME_MAX && !memchr(name, 0, name_bytes), TN_CORRUPT,
             "the name of a tensor ('%s') has a zero in it or more than %d bytes",
             tn_show(name, name_bytes).text, TN_CHECKPOINT_NAME_MAX);
    char *copy = tn_arena_text(&c->arena, name, name_bytes);
    TN_CHECK(copy, TN_OUT_OF_MEMORY, "no memory for a name");
    TN_CHECK(!tn_map_has(&c->names, copy), TN_CORRUPT, "there are two tensors named '%s'",
             tn_show(name, name_bytes).text);
    TN_TRY(tn_arena_grow(&c->arena, &c->tensor, c->count, &c->capacity, c->count + 1,
                         sizeof(*c->tensor)));
    c->tensor[c->count] = (tn_checkpoint_tensor){.name = copy, .view = *view};
    c->count++;
    TN_TRY(tn_map_put(&c->names, copy, (void *)(uintptr_t)c->count));
    return NULL;
}

const tn_checkpoint_tensor *tn_checkpoint_get(const tn_checkpoint *c, const char *name)
{
    uintptr_t index = (uintptr_t)tn_map_find(&c->names, name);
    return index ? &c->tensor[index - 1] : NULL;
}

void tn_checkpoint_say(tn_checkpoint *c, const char *format, ...)
{
    enum { LINES_MAX = 50 };
    char line[512];
    va_list args;
    if (++c->note_lines > LINES_MAX) {
        if (c->note_lines == LINES_MAX + 1) tn_text_printf(&c->note, "... and more\n");
        return;
    }
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    tn_text_printf(&c->note, "%s\n", line);
}

tn_status tn_checkpoint_copy_space(tn_checkpoint *c, size_t bytes, const char *what, uint8_t **out)
{
    TN_CHECK(bytes <= c->copy_left, TN_CORRUPT,
             "%s would take %zu bytes of memory: more than a file of %zu bytes is allowed to", what,
             bytes, c->byte_count);
    c->copy_left -= bytes;
    *out = tn_arena_alloc(&c->arena, bytes);
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory for %zu bytes of %s", bytes, what);
    return NULL;
}

/* A number or a part of a complex one: what must be aligned. */
static size_t part_bytes(tn_dtype dtype)
{
    size_t bytes = (size_t)TN_MAX(tn_dtype_bits(dtype) / 8, 1);
    return dtype == TN_DTYPE_C64 || dtype == TN_DTYPE_C128 ? bytes / 2 : bytes;
}

/* Elements of a strided view into dense memory, byte by byte: the source may be unaligned. */
static void gather(const tn_tensor *view, size_t width, uint8_t *dst)
{
    int64_t index[TN_RANK_MAX] = {0}, count = tn_tensor_count(view);
    const uint8_t *at = view->data;
    for (int64_t i = 0; i < count; i++, dst += width) {
        memcpy(dst, at, width);
        for (int axis = view->rank - 1; axis >= 0; axis--) {
            at += view->stride[axis] * (int64_t)width;
            if (++index[axis] < view->dim[axis]) break;
            at -= view->stride[axis] * view->dim[axis] * (int64_t)width;
            index[axis] = 0;
        }
    }
}

static bool has_odd_bool(const tn_tensor *view)
{
    int64_t last = 0;
    const uint8_t *at = view->data;
    if (view->dtype != TN_DTYPE_BOOL) return false;
    for (int axis = 0; axis < view->rank; axis++)
        last += (view->dim[axis] - 1) * view->stride[axis];
    for (int64_t i = 0; i <= last; i++)
        if (at[i] > 1) return true;
    return false;
}

tn_status tn_checkpoint_settle(tn_checkpoint *c, tn_tensor *view)
{
    int64_t count = tn_tensor_count(view), dense = 1;
    bool all_zero = true, is_dense = true;
    if (count == 0) {
        tn_tensor_set_dense(view);
        view->data = NULL;
        return NULL;
    }
    for (int axis = view->rank - 1; axis >= 0; axis--) {
        if (view->dim[axis] != 1) is_dense = is_dense && view->stride[axis] == dense;
        all_zero = all_zero && view->stride[axis] == 0;
        dense *= view->dim[axis];
    }
    bool keep = (uintptr_t)view->data % part_bytes(view->dtype) == 0 && !has_odd_bool(view) &&
                (is_dense || !all_zero);
    if (!keep) {
        size_t width = (size_t)tn_dtype_bits(view->dtype) / 8, bytes;
        uint8_t *copy;
        TN_CHECK(tn_mul_size((size_t)count, TN_MAX(width, 1), &bytes), TN_CORRUPT,
                 "a tensor has more bytes than memory can have");
        if (!width) bytes = (size_t)tn_tensor_bytes(view); /* packed: always dense */
        TN_TRY(tn_checkpoint_copy_space(c, bytes, "a copy of a tensor", &copy));
        if (width) gather(view, width, copy);
        else memcpy(copy, view->data, bytes);
        for (size_t i = 0; view->dtype == TN_DTYPE_BOOL && i < bytes; i++) copy[i] = copy[i] != 0;
        view->data = copy;
        is_dense = true;
    }
    if (is_dense) tn_tensor_set_dense(view);
    return NULL;
}

/* ---- Opening ----------------------------------------------------------------------------------*/

static bool starts(const tn_checkpoint *c, const char *with, size_t bytes)
{
    return c->byte_count >= bytes && memcmp(c->bytes, with, bytes) == 0;
}

/* PROTO 2, LONG1 of ten bytes: torch's magic number. */
static const char legacy_magic[] = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

typedef tn_status (*reader)(tn_checkpoint *checkpoint);

static reader find_reader(const tn_checkpoint *c)
{
    if (starts(c, "PK\3\4", 4) || starts(c, "PK\5\6", 4)) return tn_torch_zip_read;
    if (starts(c, legacy_magic, sizeof(legacy_magic) - 1)) return tn_torch_legacy_read;
    /* A header of less than 2^32 bytes, which is JSON. */
    if (c->byte_count >= 9 && memcmp(c->bytes + 4, "\0\0\0\0{", 5) == 0) return tn_safetensors_read;
    return NULL;
}

bool tn_checkpoint_is(const void *bytes, size_t byte_count)
{
    tn_checkpoint c = {.bytes = bytes, .byte_count = byte_count};
    return find_reader(&c) != NULL;
}

static tn_status read_all(tn_checkpoint *c)
{
    enum { COPY_TIMES = 64, COPY_ANYWAY = 64 << 20 };
    reader read = find_reader(c);
    c->copy_left =
        c->byte_count < SIZE_MAX / 128 ? c->byte_count * COPY_TIMES + COPY_ANYWAY : SIZE_MAX;
    TN_CHECK(
        read, TN_CORRUPT,
        "it is not a checkpoint: it begins neither as a zip of torch.save, nor as torch.save's "
        "legacy form, nor as safetensors (%zu bytes, the first are '%s')",
        c->byte_count, tn_show((const char *)c->bytes, TN_MIN(c->byte_count, 8u)).text);
    TN_TRY(read(c));
    TN_CHECK(!c->note.failed, TN_OUT_OF_MEMORY, "no memory for the note of a checkpoint");
    return NULL;
}

static tn_status new_checkpoint(tn_checkpoint **out)
{
    *out = tn_alloc_zero(sizeof(**out));
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory for a checkpoint");
    tn_arena_init(&(*out)->arena);
    tn_map_init(&(*out)->names, &(*out)->arena);
    return NULL;
}

tn_status tn_checkpoint_read(const void *bytes, size_t byte_count, tn_checkpoint **out)
{
    tn_checkpoint *c;
    *out = NULL;
    TN_TRY(new_checkpoint(&c));
    c->bytes = bytes;
    c->byte_count = byte_count;
    tn_status status = read_all(c);
    if (status) tn_checkpoint_close(c);
    TN_TRY(status);
    *out = c;
    return NULL;
}

tn_status tn_checkpoint_open(const char *path, tn_checkpoint **out)
{
    tn_mapping mapping;
    *out = NULL;
    TN_TRY(tn_file_map(path, &mapping));
    tn_status status = tn_checkpoint_read(mapping.at, mapping.bytes, out);
    if (status) tn_file_unmap(&mapping);
    TN_TRY_NOTE(status, "while reading the checkpoint %s", path);
    (*out)->mapping = mapping;
    return NULL;
}

void tn_checkpoint_keep(tn_checkpoint *c)
{
    __atomic_add_fetch(&c->keepers, 1, __ATOMIC_RELAXED);
}

void tn_checkpoint_close(tn_checkpoint *c)
{
    if (!c || __atomic_fetch_sub(&c->keepers, 1, __ATOMIC_ACQ_REL) > 0) return;
    tn_text_fini(&c->note);
    tn_arena_fini(&c->arena);
    tn_file_unmap(&c->mapping);
    tn_free(c, sizeof(*c));
}
