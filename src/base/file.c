/* Files: see file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

/* A failure of the system at `path`, in words, with the code that tells a caller most. */
static tn_status fail_at(const char *doing, const char *path, int reason)
{
    char words[128];
    tn_code code = TN_INVALID;
    const char *hint = "";
    if (reason == ENOENT) code = TN_NOT_FOUND;
    if (reason == ENOMEM) code = TN_OUT_OF_MEMORY;
    if (reason == EIO) code = TN_DEVICE;
    if (reason == ENOSPC || reason == EDQUOT) {
        code = TN_DEVICE;
        hint = "; free some space there and try again";
    }
    return TN_ERROR(code, "cannot %s '%s': %s%s", doing, path,
                    strerror_r(reason, words, sizeof(words)), hint);
}

/* ---- Reading --------------------------------------------------------------------------------*/

static tn_status map_descriptor(int descriptor, const char *path, tn_mapping *out)
{
    struct stat about;
    if (fstat(descriptor, &about)) return fail_at("read", path, errno);
    TN_CHECK(!S_ISDIR(about.st_mode), TN_INVALID, "cannot read '%s': it is a folder", path);
    TN_CHECK(S_ISREG(about.st_mode), TN_INVALID,
             "cannot read '%s': it is not a regular file (a pipe or a device cannot be mapped)",
             path);
    if (about.st_size == 0) return NULL;
    size_t bytes = (size_t)about.st_size;
    void *at = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (at == MAP_FAILED) return fail_at("map", path, errno);
    *out = (tn_mapping){.at = at, .bytes = bytes};
    return NULL;
}

tn_status tn_file_map(const char *path, tn_mapping *out)
{
    *out = (tn_mapping){0};
    /* O_NONBLOCK: opening a pipe that nobody writes to would wait for ever. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return fail_at("open", path, errno);
    tn_status status = map_descriptor(descriptor, path, out);
    close(descriptor);
    return status;
}

void tn_file_unmap(tn_mapping *mapping)
{
    if (mapping->at) munmap((void *)(uintptr_t)mapping->at, mapping->bytes);
    *mapping = (tn_mapping){0};
}

/* ---- Writing --------------------------------------------------------------------------------*/

/* Bytes of the folder part, with its slash; 0 if there is none. */
static size_t folder_bytes(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* "folder/.tenon-<16 hex digits>.tmp": short whatever the length of the final name, created by us
 * or not at all. A new file takes the user's usual mode; one that replaces another, the other's. */
static tn_status open_temporary(tn_file_write *file, const struct stat *replaced)
{
    static _Atomic uint64_t serial;
    enum { NAME_BYTES = sizeof(".tenon-0123456789abcdef.tmp"), TRIES = 100 };
    size_t folder = folder_bytes(file->path);
    file->temporary = tn_alloc(folder + NAME_BYTES);
    TN_CHECK(file->temporary, TN_OUT_OF_MEMORY, "no memory to write '%s'", file->path);
    memcpy(file->temporary, file->path, folder);
    for (int i = 0; i < TRIES && file->descriptor < 0; i++) {
        uint64_t salt = tn_clock_ns() + (uint64_t)atomic_fetch_add(&serial, 1);
        uint64_t mark = salt * UINT64_C(0x9E3779B97F4A7C15) ^ (uint64_t)getpid() << 32;
        snprintf(file->temporary + folder, NAME_BYTES, ".tenon-%016llx.tmp",
                 (unsigned long long)mark);
        file->descriptor = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file->descriptor < 0 && errno != EEXIST) break;
    }
    if (file->descriptor >= 0) {
        if (!replaced || fchmod(file->descriptor, replaced->st_mode & 07777) == 0) return NULL;
        return fail_at("set the mode of", file->temporary, errno);
    }
    int reason = errno;
    tn_free(file->temporary, folder + NAME_BYTES); /* nothing of ours lies there */
    file->temporary = NULL;
    return fail_at("write", file->path, reason);
}

/* A link to an existing file is followed, so that the link stays and its target is replaced. Things
 * that are not files (/dev/null) would be lost by a rename, and are refused. */
tn_status tn_file_write_begin(const char *path, tn_file_write *out)
{
    struct stat replaced;
    char real[PATH_MAX];
    const char *target = path;
    *out = (tn_file_write){.descriptor = -1};
    TN_CHECK(path[0], TN_NOT_FOUND, "cannot write a file without a name");
    bool exists = stat(path, &replaced) == 0;
    if (exists) {
        TN_CHECK(S_ISREG(replaced.st_mode), TN_INVALID, "cannot write '%s': it is %s", path,
                 S_ISDIR(replaced.st_mode) ? "a folder" : "not a regular file");
        if (!realpath(path, real)) return fail_at("write", path, errno);
        target = real;
    }
    out->path = tn_text_copy(target);
    TN_CHECK(out->path, TN_OUT_OF_MEMORY, "no memory to write '%s'", path);
    tn_status status = open_temporary(out, exists ? &replaced : NULL);
    if (status) tn_file_write_end(out);
    return status;
}

tn_status tn_file_write_bytes(tn_file_write *file, const void *src, size_t bytes)
{
    enum { PIECE = 1 << 30 };
    const char *at = src;
    while (bytes > 0) {
        ssize_t done = write(file->descriptor, at, TN_MIN(bytes, (size_t)PIECE));
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return fail_at("write", file->path, errno);
        at += done;
        bytes -= (size_t)done;
        file->bytes += (uint64_t)done;
    }
    return NULL;
}

/* The bytes must be on the disk before the name points at them: else a crash could leave an empty
 * file in place of the old one. */
tn_status tn_file_write_commit(tn_file_write *file)
{
    if (fsync(file->descriptor)) return fail_at("write", file->path, errno);
    int descriptor = file->descriptor;
    file->descriptor = -1;
    if (close(descriptor)) return fail_at("write", file->path, errno);
    if (rename(file->temporary, file->path)) return fail_at("replace", file->path, errno);
    file->committed = true;
    return NULL;
}

void tn_file_write_end(tn_file_write *file)
{
    if (file->descriptor >= 0) close(file->descriptor);
    if (file->temporary && !file->committed) unlink(file->temporary);
    tn_text_free(file->temporary);
    tn_text_free(file->path);
    *file = (tn_file_write){.descriptor = -1};
}

/* ---- Paths ----------------------------------------------------------------------------------*/

tn_status tn_path_folder(tn_arena *arena, const char *path, const char **out)
{
    size_t bytes = folder_bytes(path);
    if (bytes > 1) bytes--; /* the slash goes, but "/" stays */
    *out = bytes > 0 ? tn_arena_text(arena, path, bytes) : tn_arena_text(arena, ".", 1);
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory for a path");
    return NULL;
}

static bool has_dot_dot(const char *name)
{
    for (const char *part = name; part;) {
        size_t bytes = strcspn(part, "/");
        if (bytes == 2 && part[0] == '.' && part[1] == '.') return true;
        part = part[bytes] ? part + bytes + 1 : NULL;
    }
    return false;
}

/* The real path of the file, or of its folder if there is no file yet; "" if there is neither. */
static tn_status resolve(const char *path, char real[PATH_MAX])
{
    char parent[PATH_MAX];
    size_t bytes = folder_bytes(path);
    if (realpath(path, real)) return NULL;
    if (errno != ENOENT) return fail_at("follow", path, errno);
    TN_CHECK(bytes < sizeof(parent), TN_INVALID, "the path '%s' is too long", path);
    memcpy(parent, path, bytes);
    parent[bytes] = 0;
    if (realpath(parent, real)) return NULL;
    if (errno != ENOENT) return fail_at("follow", path, errno);
    real[0] = 0;
    return NULL;
}

tn_status tn_path_inside(tn_arena *arena, const char *folder, const char *name, const char **out)
{
    char base[PATH_MAX], real[PATH_MAX];
    size_t folder_end = strlen(folder);
    *out = NULL;
    TN_CHECK(name[0], TN_INVALID, "an empty file name");
    TN_CHECK(name[0] != '/', TN_INVALID,
             "the file name '%s' is absolute; it must be relative to '%s'", name, folder);
    TN_CHECK(!has_dot_dot(name), TN_INVALID,
             "the file name '%s' has a '..' in it; it must stay inside '%s'", name, folder);
    if (!realpath(folder, base)) return fail_at("open the folder", folder, errno);
    const char *slash = folder_end > 0 && folder[folder_end - 1] == '/' ? "" : "/";
    const char *path = tn_arena_printf(arena, "%s%s%s", folder, slash, name);
    TN_CHECK(path, TN_OUT_OF_MEMORY, "no memory for a path");
    TN_TRY(resolve(path, real));
    size_t bytes = strcmp(base, "/") == 0 ? 0 : strlen(base);
    bool inside = strncmp(real, base, bytes) == 0 && (real[bytes] == '/' || !real[bytes]);
    TN_CHECK(!real[0] || inside, TN_INVALID,
             "the file name '%s' leads out of '%s' through a link, to '%s'", name, folder, real);
    *out = path;
    return NULL;
}
