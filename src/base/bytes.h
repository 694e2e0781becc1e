/* Bounded reading and writing of bytes: every binary file format goes through here. Little-endian.
 */
#ifndef TN_BASE_BYTES_H
#define TN_BASE_BYTES_H

#include "base/memory.h"

/* A reader never moves past `end`; a short read is CORRUPT and names the field. */
typedef struct tn_reader {
    const uint8_t *at, *end;
    const uint8_t *begin; /* for offsets in messages */
    const char *what;     /* "engine plan": the file or section, for messages */
} tn_reader;

tn_reader tn_reader_of(const void *bytes, size_t count, const char *what);
tn_status tn_read_bytes(tn_reader *reader, size_t count, const char *field,
                        const void **out) TN_MUST_USE;
tn_status tn_read_u8(tn_reader *reader, const char *field, uint8_t *out) TN_MUST_USE;
tn_status tn_read_u32(tn_reader *reader, const char *field, uint32_t *out) TN_MUST_USE;
tn_status tn_read_u64(tn_reader *reader, const char *field, uint64_t *out) TN_MUST_USE;
tn_status tn_read_i64(tn_reader *reader, const char *field, int64_t *out) TN_MUST_USE;
/* A count of items that take at least `item_bytes` each: refused when the rest cannot hold them, so
 * that no file makes us allocate more than it could fill. */
tn_status tn_read_count(tn_reader *reader, const char *field, size_t item_bytes,
                        uint32_t *out) TN_MUST_USE;
/* u32 length + bytes; *out is copied into the arena and zero-ended; inner zeros are refused. */
tn_status tn_read_text(tn_reader *reader, const char *field, tn_arena *arena,
                       const char **out) TN_MUST_USE;

/* A growing buffer; failure is remembered and reported by tn_writer_check. */
typedef struct tn_writer {
    uint8_t *at;
    size_t count, capacity;
    bool failed;
} tn_writer;

void tn_write_bytes(tn_writer *writer, const void *src, size_t count);
void tn_write_u8(tn_writer *writer, uint8_t value);
void tn_write_u32(tn_writer *writer, uint32_t value);
void tn_write_u64(tn_writer *writer, uint64_t value);
void tn_write_i64(tn_writer *writer, int64_t value);
void tn_write_text(tn_writer *writer, const char *text);
void tn_write_align(tn_writer *writer, size_t alignment); /* zeros up to the next multiple */
tn_status tn_writer_check(const tn_writer *writer) TN_MUST_USE;
void tn_writer_fini(tn_writer *writer);

/* XXH3 of the bytes (libxxhash, inlined). */
uint64_t tn_hash_bytes(const void *bytes, size_t count);
uint64_t tn_hash_seeded(const void *bytes, size_t count, uint64_t seed);

#endif
