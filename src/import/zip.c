/* Reading a zip archive from its end:
 *
 *     [local header, padding, data]...  [directory: one record an entry]  [zip64 end]  [end]
 *                  ^--------------------- offset in the record                          ^ found
 * first
 *
 * Numbers that do not fit the old fields stand in "zip64" fields (extra field 1 of a record; the
 * zip64 end for the directory's own).
 */
#include "import/zip.h"

#include <string.h>
#include <zlib.h>

#include "base/bytes.h"
#include "import/pickle.h"

enum {
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR_BYTES = 20,
    RECORD_BYTES = 46,
    LOCAL_BYTES = 30,
    COMMENT_MAX = 65535
};

static uint64_t load(const uint8_t *at, int bytes)
{
    uint64_t value = 0;
    for (int i = bytes; i-- > 0;) value = value << 8 | at[i];
    return value;
}

typedef struct directory {
    uint64_t at, bytes, count;
} directory;

/* The end record: its comment must reach exactly to the end of the file. */
static tn_status find_end(const tn_checkpoint *f, size_t *out)
{
    size_t lowest =
        f->byte_count > END_BYTES + COMMENT_MAX ? f->byte_count - END_BYTES - COMMENT_MAX : 0;
    for (size_t at = f->byte_count - TN_MIN(f->byte_count, (size_t)END_BYTES - 1); at-- > lowest;) {
        const uint8_t *end = f->bytes + at;
        if (memcmp(end, "PK\5\6", 4) != 0) continue;
        if (at + END_BYTES + load(end + 20, 2) != f->byte_count) continue;
        *out = at;
        return NULL;
    }
    TN_FAIL(TN_CORRUPT, "the zip archive has no end record: the file is cut short or damaged");
}

static tn_status find_directory(const tn_checkpoint *f, directory *out)
{
    size_t end_at;
    TN_TRY(find_end(f, &end_at));
    const uint8_t *end = f->bytes + end_at;
    *out = (directory){load(end + 16, 4), load(end + 12, 4), load(end + 10, 2)};
    bool wide = out->at == UINT32_MAX || out->bytes == UINT32_MAX || out->count == UINT16_MAX;
    uint64_t limit = end_at;
    if (wide && end_at >= LOCATOR_BYTES && memcmp(end - LOCATOR_BYTES, "PK\6\7", 4) == 0) {
        uint64_t at = load(end - LOCATOR_BYTES + 8, 8);
        TN_CHECK(end_at >= LOCATOR_BYTES + END64_BYTES &&
                     at <= end_at - LOCATOR_BYTES - END64_BYTES &&
                     memcmp(f->bytes + at, "PK\6\6", 4) == 0,
                 TN_CORRUPT, "the zip64 end record is not at byte %llu, where it should be",
                 (unsigned long long)at);
        const uint8_t *end64 = f->bytes + at;
        *out = (directory){load(end64 + 48, 8), load(end64 + 40, 8), load(end64 + 32, 8)};
        limit = at;
    }
    TN_CHECK(out->at <= limit && out->bytes <= limit - out->at, TN_CORRUPT,
             "the zip directory (%llu bytes at byte %llu) reaches beyond the end record",
             (unsigned long long)out->bytes, (unsigned long long)out->at);
    TN_CHECK(out->count <= out->bytes / RECORD_BYTES, TN_CORRUPT,
             "%llu entries do not fit a zip directory of %llu bytes",
             (unsigned long long)out->count, (unsigned long long)out->bytes);
    return NULL;
}

/* The zip64 extra field: 8 bytes for each of the old fields that is full of ones, in this order. */
static tn_status read_extra(const uint8_t *extra, size_t bytes, tn_zip_entry *e, uint64_t *local_at)
{
    uint64_t *const wide[] = {&e->bytes, &e->packed_bytes, local_at};
    while (bytes >= 4) {
        size_t id = (size_t)load(extra, 2), length = (size_t)load(extra + 2, 2), used = 0;
        TN_CHECK(length <= bytes - 4, TN_CORRUPT, "an extra field is longer than its record");
        for (size_t i = 0; id == 1 && i < TN_COUNT(wide); i++) {
            if (*wide[i] != UINT32_MAX) continue;
            TN_CHECK(length - used >= 8, TN_CORRUPT, "the zip64 extra field is too short");
            *wide[i] = load(extra + 4 + used, 8);
            used += 8;
        }
        extra += 4 + length;
        bytes -= 4 + length;
    }
    return NULL;
}

/* Where the data begins: behind the local header, whose lengths differ from the directory's. */
static tn_status find_data(const tn_checkpoint *f, uint64_t local_at, uint64_t limit,
                           tn_zip_entry *e)
{
    TN_CHECK(limit >= LOCAL_BYTES && local_at <= limit - LOCAL_BYTES, TN_CORRUPT,
             "its header would be at byte %llu, beyond the data", (unsigned long long)local_at);
    const uint8_t *local = f->bytes + local_at;
    TN_CHECK(memcmp(local, "PK\3\4", 4) == 0, TN_CORRUPT, "there is no header at byte %llu",
             (unsigned long long)local_at);
    uint64_t name_bytes = load(local + 26, 2),
             skip = LOCAL_BYTES + name_bytes + load(local + 28, 2);
    TN_CHECK(skip <= limit - local_at && e->packed_bytes <= limit - local_at - skip, TN_CORRUPT,
             "its %llu bytes at byte %llu reach into the directory",
             (unsigned long long)e->packed_bytes, (unsigned long long)local_at);
    TN_CHECK(name_bytes == strlen(e->name) &&
                 memcmp(local + LOCAL_BYTES, e->name, name_bytes) == 0 &&
                 load(local + 8, 2) == e->method,
             TN_CORRUPT, "its header at byte %llu says another name or method than the directory",
             (unsigned long long)local_at);
    e->at = local_at + skip;
    return NULL;
}

static tn_status read_record(tn_checkpoint *f, tn_arena *arena, const directory *d, uint64_t *at,
                             tn_zip_entry *e)
{
    const uint8_t *record = f->bytes + *at;
    uint64_t left = d->at + d->bytes - *at;
    TN_CHECK(left >= RECORD_BYTES && memcmp(record, "PK\1\2", 4) == 0, TN_CORRUPT,
             "the zip directory is damaged at byte %llu", (unsigned long long)*at);
    size_t name_bytes = (size_t)load(record + 28, 2), extra_bytes = (size_t)load(record + 30, 2);
    size_t whole = RECORD_BYTES + name_bytes + extra_bytes + (size_t)load(record + 32, 2);
    TN_CHECK(whole <= left, TN_CORRUPT, "the zip directory is damaged at byte %llu",
             (unsigned long long)*at);
    const char *name = (const char *)record + RECORD_BYTES;
    TN_CHECK(!memchr(name, 0, name_bytes), TN_CORRUPT, "the name of a zip entry has a zero in it");
    e->name = tn_arena_text(arena, name, name_bytes);
    TN_CHECK(e->name, TN_OUT_OF_MEMORY, "no memory for the name of a zip entry");
    e->method = (uint16_t)load(record + 10, 2);
    e->crc = (uint32_t)load(record + 16, 4);
    e->packed_bytes = load(record + 20, 4);
    e->bytes = load(record + 24, 4);
    uint64_t local_at = load(record + 42, 4);
    tn_shown shown = tn_show(name, name_bytes);
    TN_CHECK(!(load(record + 8, 2) & 1), TN_UNSUPPORTED, "the zip entry '%s' is encrypted",
             shown.text);
    TN_TRY_NOTE(read_extra(record + RECORD_BYTES + name_bytes, extra_bytes, e, &local_at),
                "in the zip entry '%s'", shown.text);
    TN_TRY_NOTE(find_data(f, local_at, d->at, e), "in the zip entry '%s'", shown.text);
    TN_CHECK(e->method == 8 || e->method == 0, TN_UNSUPPORTED,
             "the zip entry '%s' is compressed by method %d; only stored and deflated entries are "
             "read: pack the archive again",
             shown.text, e->method);
    TN_CHECK(e->method == 8 || e->bytes == e->packed_bytes, TN_CORRUPT,
             "the zip entry '%s' is stored, but its two sizes differ", shown.text);
    *at += whole;
    return NULL;
}

tn_status tn_zip_open(tn_checkpoint *file, tn_arena *arena, tn_zip *out)
{
    directory d;
    *out = (tn_zip){.file = file};
    tn_map_init(&out->names, arena);
    TN_TRY(find_directory(file, &d));
    out->entry = TN_NEW_ARRAY(arena, tn_zip_entry, d.count);
    TN_CHECK(out->entry, TN_OUT_OF_MEMORY, "no memory for a zip directory");
    uint64_t at = d.at;
    for (; out->count < (int64_t)d.count; out->count++) {
        tn_zip_entry *e = &out->entry[out->count];
        TN_TRY(read_record(file, arena, &d, &at, e));
        TN_CHECK(!tn_map_has(&out->names, e->name), TN_CORRUPT,
                 "the zip archive has two entries named '%s'",
                 tn_show(e->name, strlen(e->name)).text);
        TN_TRY(tn_map_put(&out->names, e->name, e));
    }
    return NULL;
}

const tn_zip_entry *tn_zip_find(const tn_zip *zip, const char *name)
{
    return tn_map_find(&zip->names, name);
}

static void *allocate(void *self, unsigned count, unsigned size)
{
    size_t bytes;
    (void)self;
    return tn_mul_size(count, size, &bytes) ? tn_alloc_sized(bytes) : NULL;
}

static void release(void *self, void *p)
{
    (void)self;
    tn_free_sized(p);
}

/* All of the entry into dst, which has its size; zlib counts in 32 bits, so in pieces. */
static tn_status inflate_into(const uint8_t *src, uint64_t src_bytes, uint8_t *dst,
                              uint64_t dst_bytes)
{
    enum { PIECE = 1 << 30 };
    z_stream z = {.zalloc = allocate, .zfree = release};
    uint8_t nothing;
    int code = inflateInit2(&z, -MAX_WBITS);
    TN_CHECK(code == Z_OK, TN_OUT_OF_MEMORY, "no memory to inflate");
    z.next_in = (z_const Bytef *)(uintptr_t)src;
    z.next_out = dst_bytes ? dst : &nothing;
    while (code == Z_OK) {
        z.avail_in = (uInt)TN_MIN(src_bytes, (uint64_t)PIECE);
        z.avail_out = (uInt)TN_MIN(dst_bytes, (uint64_t)PIECE);
        uInt in = z.avail_in, room = z.avail_out;
        code = inflate(&z, Z_NO_FLUSH);
        src_bytes -= in - z.avail_in;
        dst_bytes -= room - z.avail_out;
    }
    inflateEnd(&z);
    TN_CHECK(code != Z_MEM_ERROR, TN_OUT_OF_MEMORY, "no memory to inflate");
    TN_CHECK(code == Z_STREAM_END && src_bytes == 0 && dst_bytes == 0, TN_CORRUPT,
             "its compressed data is damaged or has another size than the directory says");
    return NULL;
}

static tn_status read_data(const tn_zip *zip, const tn_zip_entry *e, const uint8_t **out)
{
    uint8_t *copy;
    *out = zip->file->bytes + e->at;
    if (e->method == 8) {
        TN_CHECK(e->bytes <= SIZE_MAX, TN_CORRUPT, "it is too large");
        TN_TRY(tn_checkpoint_copy_space(zip->file, (size_t)e->bytes, "compressed data", &copy));
        TN_TRY(inflate_into(*out, e->packed_bytes, copy, e->bytes));
        *out = copy;
    }
    uint32_t crc = (uint32_t)crc32_z(0, *out, (z_size_t)e->bytes);
    TN_CHECK(crc == e->crc, TN_CORRUPT,
             "its checksum is %08x where the archive says %08x: the file is damaged (or was saved "
             "without checksums: load it with torch and save it again)",
             crc, e->crc);
    return NULL;
}

tn_status tn_zip_data(const tn_zip *zip, const tn_zip_entry *entry, const uint8_t **out)
{
    TN_TRY_NOTE(read_data(zip, entry, out), "in the zip entry '%s'",
                tn_show(entry->name, strlen(entry->name)).text);
    return NULL;
}
