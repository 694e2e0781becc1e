/* Archives for tests, made by hand so that every field can lie. */
#ifndef TN_TESTS_ZIP_MAKER_H
#define TN_TESTS_ZIP_MAKER_H

#include <string.h>
#include <zlib.h>

#include "base/bytes.h"

typedef struct zip_maker {
    tn_writer file, directory;
    uint32_t count;
} zip_maker;

static inline void zip_number(tn_writer *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) tn_write_u8(out, (uint8_t)(i < 8 ? value >> (8 * i) : 0));
}

/* `bytes` is what the headers say of the unpacked size; `packed` bytes of data are written. */
static inline void zip_add_as(zip_maker *z, const char *name, const void *data, size_t packed,
                              uint64_t bytes, int method, uint32_t crc)
{
    size_t at = z->file.count, length = strlen(name);
    for (int k = 0; k < 2; k++) {
        tn_writer *out = k ? &z->directory : &z->file;
        tn_write_bytes(out, k ? "PK\1\2\x14\0" : "PK\3\4", k ? 6 : 4);
        zip_number(out, 20, 2);
        zip_number(out, 0, 2);
        zip_number(out, (uint64_t)method, 2);
        zip_number(out, 0, 4);
        zip_number(out, crc, 4);
        zip_number(out, packed, 4);
        zip_number(out, bytes, 4);
        zip_number(out, length, 2);
        zip_number(out, 0, k ? 12 : 2); /* lengths, disk, kinds */
        if (k) zip_number(out, at, 4);
        tn_write_bytes(out, name, length);
    }
    tn_write_bytes(&z->file, data, packed);
    z->count++;
}

static inline void zip_add(zip_maker *z, const char *name, const void *data, size_t bytes)
{
    zip_add_as(z, name, data, bytes, bytes, 0, (uint32_t)crc32(0, data, (uInt)bytes));
}

/* The whole archive, in z->file; freed by zip_free. */
static inline void zip_end(zip_maker *z)
{
    size_t at = z->file.count;
    tn_write_bytes(&z->file, z->directory.at, z->directory.count);
    tn_write_bytes(&z->file, "PK\5\6\0\0\0\0", 8);
    for (int i = 0; i < 2; i++) zip_number(&z->file, z->count, 2);
    zip_number(&z->file, z->directory.count, 4);
    zip_number(&z->file, at, 4);
    zip_number(&z->file, 0, 2);
}

static inline void zip_free(zip_maker *z)
{
    tn_writer_fini(&z->file);
    tn_writer_fini(&z->directory);
    *z = (zip_maker){0};
}

#endif
