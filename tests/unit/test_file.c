/* Mapping, writing beside and renaming, and names kept inside a folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "fault/failing_allocator.h"

static char folder[PATH_MAX / 2];
static tn_arena arena;

/* folder/name; lives until the arena does. */
static const char *at(const char *name)
{
    const char *path = tn_arena_printf(&arena, "%s/%s", folder, name);
    assert_non_null(path);
    return path;
}

static tn_status write_file(const char *path, const char *text)
{
    tn_file_write file;
    TN_TRY(tn_file_write_begin(path, &file));
    tn_status status = tn_file_write_bytes(&file, text, strlen(text));
    if (!status) status = tn_file_write_commit(&file);
    tn_file_write_end(&file);
    return status;
}

static void assert_holds(const char *path, const char *text)
{
    tn_mapping mapping;
    assert_null(tn_file_map(path, &mapping));
    assert_int_equal(mapping.bytes, strlen(text));
    if (mapping.bytes > 0) assert_memory_equal(mapping.at, text, mapping.bytes);
    tn_file_unmap(&mapping);
    assert_null(mapping.at);
}

static int count_files(void)
{
    int count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return count;
}

static mode_t mode_of(const char *path)
{
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    return about.st_mode & 07777;
}

static void what_is_written_is_mapped(void **state)
{
    (void)state;
    int before = count_files();
    assert_null(write_file(at("a"), "hello"));
    assert_holds(at("a"), "hello");
    assert_null(write_file(at("a"), "replaced by more"));
    assert_holds(at("a"), "replaced by more");
    assert_null(write_file(at("empty"), ""));
    assert_holds(at("empty"), "");
    assert_int_equal(count_files(), before + 2);
    unlink(at("a"));
    unlink(at("empty"));
}

static void nothing_changes_without_a_commit(void **state)
{
    (void)state;
    tn_file_write file;
    assert_null(write_file(at("old"), "old"));
    int before = count_files();
    assert_null(tn_file_write_begin(at("old"), &file));
    assert_null(tn_file_write_bytes(&file, "new", 3));
    assert_int_equal(file.bytes, 3);
    assert_int_equal(count_files(), before + 1);
    assert_holds(at("old"), "old");
    tn_file_write_end(&file);
    assert_int_equal(count_files(), before);
    assert_holds(at("old"), "old");
    unlink(at("old"));
}

static void modes_and_links_stay(void **state)
{
    (void)state;
    mode_t mask = umask(027);
    assert_null(write_file(at("fresh"), "x"));
    umask(mask);
    assert_int_equal(mode_of(at("fresh")), 0640);
    assert_int_equal(chmod(at("fresh"), 0604), 0);
    assert_int_equal(symlink("fresh", at("link")), 0);
    assert_null(write_file(at("link"), "through"));
    assert_int_equal(mode_of(at("fresh")), 0604);
    assert_holds(at("fresh"), "through");
    char target[16] = "";
    assert_int_equal(readlink(at("link"), target, sizeof(target) - 1), 5);
    assert_string_equal(target, "fresh");
    unlink(at("link"));
    unlink(at("fresh"));
}

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    tn_mapping mapping;
    tn_file_write file;
    tn_status status = tn_file_map(at("missing"), &mapping);
    assert_int_equal(tn_status_code(status), TN_NOT_FOUND);
    assert_non_null(strstr(tn_status_message(status), at("missing")));
    assert_non_null(strstr(tn_status_message(status), "No such file"));
    assert_int_equal(tn_status_code(tn_file_map(folder, &mapping)), TN_INVALID);
    assert_int_equal(tn_status_code(tn_file_map("/dev/null", &mapping)), TN_INVALID);
    assert_int_equal(mkfifo(at("pipe"), 0600), 0);
    assert_int_equal(tn_status_code(tn_file_map(at("pipe"), &mapping)), TN_INVALID);
    unlink(at("pipe"));
    assert_null(mapping.at);
    assert_int_equal(tn_status_code(tn_file_write_begin(folder, &file)), TN_INVALID);
    assert_int_equal(tn_status_code(tn_file_write_begin("/dev/null", &file)), TN_INVALID);
    assert_int_equal(tn_status_code(tn_file_write_begin(at("no/such"), &file)), TN_NOT_FOUND);
    assert_int_equal(tn_status_code(tn_file_write_begin("", &file)), TN_NOT_FOUND);
    tn_file_write_end(&file);
}

/* A limit on the size of files stands for a full disk: the write fails half way. */
static void a_failed_write_leaves_the_old_file(void **state)
{
    (void)state;
    struct rlimit old, small;
    static char much[100000];
    memset(much, 'x', sizeof(much) - 1);
    assert_null(write_file(at("kept"), "kept"));
    int before = count_files();
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 5000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    tn_status status = write_file(at("kept"), much);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_non_null(status);
    assert_non_null(strstr(tn_status_message(status), "File too large"));
    assert_int_equal(count_files(), before);
    assert_holds(at("kept"), "kept");
    if (access("/dev/full", W_OK) == 0) { /* the real thing, where the system has it */
        tn_file_write full = {.descriptor = -1};
        FILE *device = fopen("/dev/full", "w");
        assert_non_null(device);
        full.descriptor = dup(fileno(device));
        fclose(device);
        full.path = tn_text_copy("full");
        status = tn_file_write_bytes(&full, "x", 1);
        assert_int_equal(tn_status_code(status), TN_DEVICE);
        assert_non_null(strstr(tn_status_message(status), "free some space"));
        tn_file_write_end(&full);
    }
    unlink(at("kept"));
}

static void writing_survives_lack_of_memory(void **state)
{
    (void)state;
    const char *path = at("scarce");
    int before = count_files();
    for (int64_t n = 1;; n++) {
        failing_install(n, FAIL_ONCE);
        tn_status status = write_file(path, "x");
        failing_counts counts = failing_remove();
        assert_int_equal(counts.live_bytes, 0);
        assert_int_equal(counts.errors, 0);
        if (!counts.failed) {
            assert_null(status);
            assert_true(n > 2);
            break;
        }
        assert_int_equal(tn_status_code(status), TN_OUT_OF_MEMORY);
        assert_int_equal(count_files(), before);
    }
    unlink(path);
}

static void folders_of_paths(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"model.onnx", "."}, {"a/model.onnx", "a"}, {"/model.onnx", "/"},
        {"/a/b/c", "/a/b"},  {"a/", "a"},           {"", "."},
    };
    for (size_t i = 0; i < TN_COUNT(pairs); i++) {
        const char *out;
        assert_null(tn_path_folder(&arena, pairs[i][0], &out));
        assert_string_equal(out, pairs[i][1]);
    }
}

static tn_code inside(const char *name)
{
    const char *out;
    tn_status status = tn_path_inside(&arena, at("in"), name, &out);
    if (status) assert_null(out);
    if (!status) assert_string_equal(out, at(tn_arena_printf(&arena, "in/%s", name)));
    return tn_status_code(status);
}

static void names_stay_inside(void **state)
{
    (void)state;
    const char *out;
    assert_int_equal(mkdir(at("in"), 0700), 0);
    assert_int_equal(mkdir(at("in/sub"), 0700), 0);
    assert_int_equal(mkdir(at("in-other"), 0700), 0);
    assert_null(write_file(at("in/w"), "w"));
    assert_null(write_file(at("in-other/secret"), "s"));
    assert_int_equal(symlink("../in-other/secret", at("in/leak")), 0);
    assert_int_equal(symlink("../in-other", at("in/leakdir")), 0);
    assert_int_equal(symlink("w", at("in/fine")), 0);
    assert_int_equal(symlink("loop", at("in/loop")), 0);

    assert_int_equal(inside("w"), TN_OK);
    assert_int_equal(inside("./w"), TN_OK);
    assert_int_equal(inside("..w"), TN_OK);
    assert_int_equal(inside("fine"), TN_OK);
    assert_int_equal(inside("not_yet"), TN_OK);
    assert_int_equal(inside("sub/not_yet"), TN_OK);
    assert_int_equal(inside("no_folder/not_yet"), TN_OK);

    assert_int_equal(inside(""), TN_INVALID);
    assert_int_equal(inside("/etc/passwd"), TN_INVALID);
    assert_int_equal(inside(".."), TN_INVALID);
    assert_int_equal(inside("../in-other/secret"), TN_INVALID);
    assert_int_equal(inside("sub/../w"), TN_INVALID);
    assert_int_equal(inside("sub/.."), TN_INVALID);
    assert_int_equal(inside("leak"), TN_INVALID);
    assert_int_equal(inside("leakdir/secret"), TN_INVALID);
    assert_int_equal(inside("leakdir/not_yet"), TN_INVALID);
    assert_int_equal(inside("loop"), TN_INVALID);
    assert_int_equal(tn_status_code(tn_path_inside(&arena, at("none"), "w", &out)), TN_NOT_FOUND);
    assert_null(tn_path_inside(&arena, "/", "tmp", &out));
    assert_string_equal(out, "/tmp");

    static const char *const all[] = {"in/w",    "in/leak", "in/leakdir",
                                      "in/fine", "in/loop", "in-other/secret"};
    for (size_t i = 0; i < TN_COUNT(all); i++) assert_int_equal(unlink(at(all[i])), 0);
    assert_int_equal(rmdir(at("in/sub")) | rmdir(at("in")) | rmdir(at("in-other")), 0);
}

static int make_folder(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    tn_arena_init(&arena);
    snprintf(folder, sizeof(folder), "%s/tenon-test-XXXXXX", base ? base : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    tn_arena_fini(&arena);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_mapped),
        cmocka_unit_test(nothing_changes_without_a_commit),
        cmocka_unit_test(modes_and_links_stay),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(a_failed_write_leaves_the_old_file),
        cmocka_unit_test(writing_survives_lack_of_memory),
        cmocka_unit_test(folders_of_paths),
        cmocka_unit_test(names_stay_inside),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
