/* The entries of a zip archive in memory. Stored entries are used where they lie; deflated ones are
 * inflated by zlib. Names are only looked up, never used as paths. */
#ifndef TN_IMPORT_ZIP_H
#define TN_IMPORT_ZIP_H

#include "import/checkpoint.h"

typedef struct tn_zip_entry {
    const char *name;
    uint64_t at, packed_bytes; /* where the data lies in the file, and how much */
    uint64_t bytes;            /* unpacked */
    uint32_t crc;
    uint16_t method; /* 0 stored, 8 deflated */
} tn_zip_entry;

typedef struct tn_zip {
    tn_checkpoint *file; /* its bytes, and the memory for what is inflated */
    tn_zip_entry *entry; /* in the order of the directory */
    int64_t count;
    tn_map names;
} tn_zip;

/* The list of entries, in the arena. Every header is checked against the file's bounds and against
 * its twin in the directory; a name may appear once. */
tn_status tn_zip_open(tn_checkpoint *file, tn_arena *arena, tn_zip *out) TN_MUST_USE;
const tn_zip_entry *tn_zip_find(const tn_zip *zip, const char *name);
/* The contents, with their checksum verified. */
tn_status tn_zip_data(const tn_zip *zip, const tn_zip_entry *entry,
                      const uint8_t **out) TN_MUST_USE;

#endif
