/* Files: map to read, write beside and rename to replace. Messages name the path and the system's
 * reason. */
#ifndef TN_BASE_FILE_H
#define TN_BASE_FILE_H

#include "base/memory.h"

typedef struct tn_mapping {
    const uint8_t *at; /* NULL for an empty file */
    size_t bytes;
} tn_mapping;

/* Map a regular file read-only; a folder, a pipe or a missing file is NOT_FOUND or INVALID. */
tn_status tn_file_map(const char *path, tn_mapping *out) TN_MUST_USE;
void tn_file_unmap(tn_mapping *mapping);

/* Write through a temporary file in the same folder, renamed over `path` by commit. If anything
 * fails the old file is untouched and the temporary is removed by tn_file_write_end. */
typedef struct tn_file_write {
    int descriptor;
    char *path, *temporary;
    uint64_t bytes;
    bool committed;
} tn_file_write;

tn_status tn_file_write_begin(const char *path, tn_file_write *out) TN_MUST_USE;
tn_status tn_file_write_bytes(tn_file_write *file, const void *src, size_t bytes) TN_MUST_USE;
tn_status tn_file_write_commit(tn_file_write *file) TN_MUST_USE;
void tn_file_write_end(tn_file_write *file); /* always; removes the temporary if not committed */

/* The folder part of a path ("." if none), and folder/name with the name kept inside: an absolute
 * name or one with a ".." component is refused (INVALID). Links that leave the folder too. */
tn_status tn_path_folder(tn_arena *arena, const char *path, const char **out) TN_MUST_USE;
tn_status tn_path_inside(tn_arena *arena, const char *folder, const char *name,
                         const char **out) TN_MUST_USE;

#endif
