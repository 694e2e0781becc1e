/* Readers and writers of bytes. See bytes.h. */
#include "base/bytes.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

tn_reader tn_reader_of(const void *bytes, size_t count, const char *what)
{
    const uint8_t *begin = count > 0 ? bytes : (const uint8_t *)"";
    return (tn_reader){.at = begin, .end = begin + count, .begin = begin, .what = what};
}

tn_status tn_read_bytes(tn_reader *reader, size_t count, const char *field, const void **out)
{
    size_t left = (size_t)(reader->end - reader->at);
    TN_CHECK(count <= left, TN_CORRUPT, "%s: %s needs %zu bytes at offset %zu, %zu are left",
             reader->what, field, count, (size_t)(reader->at - reader->begin), left);
    *out = reader->at;
    reader->at += count;
    return NULL;
}

/* Bytes are put together by shifts: no alignment, no byte order of the host; compilers make one
 * load of it. */
static tn_status read_unsigned(tn_reader *reader, const char *field, size_t count, uint64_t *out)
{
    const void *bytes;
    uint64_t value = 0;
    TN_TRY(tn_read_bytes(reader, count, field, &bytes));
    for (size_t i = 0; i < count; i++) value |= (uint64_t)((const uint8_t *)bytes)[i] << (8 * i);
    *out = value;
    return NULL;
}

tn_status tn_read_u8(tn_reader *reader, const char *field, uint8_t *out)
{
    uint64_t value;
    TN_TRY(read_unsigned(reader, field, 1, &value));
    *out = (uint8_t)value;
    return NULL;
}

tn_status tn_read_u32(tn_reader *reader, const char *field, uint32_t *out)
{
    uint64_t value;
    TN_TRY(read_unsigned(reader, field, 4, &value));
    *out = (uint32_t)value;
    return NULL;
}

tn_status tn_read_u64(tn_reader *reader, const char *field, uint64_t *out)
{
    return read_unsigned(reader, field, 8, out);
}

tn_status tn_read_i64(tn_reader *reader, const char *field, int64_t *out)
{
    uint64_t value;
    TN_TRY(read_unsigned(reader, field, 8, &value));
    memcpy(out, &value, sizeof(*out));
    return NULL;
}

tn_status tn_read_count(tn_reader *reader, const char *field, size_t item_bytes, uint32_t *out)
{
    uint32_t count;
    TN_TRY(tn_read_u32(reader, field, &count));
    size_t left = (size_t)(reader->end - reader->at);
    TN_CHECK(count <= left / TN_MAX(item_bytes, (size_t)1), TN_CORRUPT,
             "%s: %s says %u items of %zu bytes at offset %zu, %zu bytes are left", reader->what,
             field, count, item_bytes, (size_t)(reader->at - reader->begin), left);
    *out = count;
    return NULL;
}

tn_status tn_read_text(tn_reader *reader, const char *field, tn_arena *arena, const char **out)
{
    uint32_t count;
    const void *bytes;
    TN_TRY(tn_read_count(reader, field, 1, &count));
    TN_TRY(tn_read_bytes(reader, count, field, &bytes));
    TN_CHECK(!memchr(bytes, 0, count), TN_CORRUPT, "%s: %s has a zero byte in its text",
             reader->what, field);
    *out = tn_arena_text(arena, bytes, count);
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "%s: no memory for %s of %u bytes", reader->what, field,
             count);
    return NULL;
}

/* The place where `count` more bytes go; NULL if the writer has failed. */
static uint8_t *extend(tn_writer *writer, size_t count)
{
    size_t needed;
    if (writer->failed) return NULL;
    if (!tn_add_size(writer->count, count, &needed)) goto failed;
    if (needed > writer->capacity) {
        size_t capacity = TN_MAX(needed, writer->capacity < 512 ? 1024 : writer->capacity * 2);
        uint8_t *at = tn_resize(writer->at, writer->capacity, capacity);
        if (!at) goto failed;
        writer->at = at;
        writer->capacity = capacity;
    }
    uint8_t *place = writer->at + writer->count;
    writer->count = needed;
    return place;
failed:
    writer->failed = true;
    return NULL;
}

void tn_write_bytes(tn_writer *writer, const void *src, size_t count)
{
    if (count == 0) return;
    uint8_t *place = extend(writer, count);
    if (place) memcpy(place, src, count);
}

static void write_unsigned(tn_writer *writer, uint64_t value, size_t count)
{
    uint8_t *place = extend(writer, count);
    for (size_t i = 0; place && i < count; i++) place[i] = (uint8_t)(value >> (8 * i));
}

void tn_write_u8(tn_writer *writer, uint8_t value)
{
    write_unsigned(writer, value, 1);
}

void tn_write_u32(tn_writer *writer, uint32_t value)
{
    write_unsigned(writer, value, 4);
}

void tn_write_u64(tn_writer *writer, uint64_t value)
{
    write_unsigned(writer, value, 8);
}

void tn_write_i64(tn_writer *writer, int64_t value)
{
    write_unsigned(writer, (uint64_t)value, 8);
}

void tn_write_text(tn_writer *writer, const char *text)
{
    size_t count = strlen(text);
    if (count > UINT32_MAX) writer->failed = true;
    tn_write_u32(writer, (uint32_t)count);
    tn_write_bytes(writer, text, count);
}

void tn_write_align(tn_writer *writer, size_t alignment)
{
    size_t count = (alignment - writer->count % alignment) % alignment;
    if (count == 0) return;
    uint8_t *place = extend(writer, count);
    if (place) memset(place, 0, count);
}

tn_status tn_writer_check(const tn_writer *writer)
{
    TN_CHECK(!writer->failed, TN_OUT_OF_MEMORY, "no memory for a file of more than %zu bytes",
             writer->count);
    return NULL;
}

void tn_writer_fini(tn_writer *writer)
{
    tn_free(writer->at, writer->capacity);
    *writer = (tn_writer){0};
}

uint64_t tn_hash_bytes(const void *bytes, size_t count)
{
    return XXH3_64bits(count > 0 ? bytes : "", count);
}

uint64_t tn_hash_seeded(const void *bytes, size_t count, uint64_t seed)
{
    return XXH3_64bits_withSeed(count > 0 ? bytes : "", count, seed);
}
