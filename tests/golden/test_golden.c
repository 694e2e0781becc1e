/* Graphs before and after passes, as text: passes/<pass>/<case>.in.tn and .out.tn. The folder "all"
 * goes through the whole list. TN_BLESS=1 writes the .out.tn files instead of comparing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "passes/passes.h"

#define FOLDER TN_SOURCE_DIR "/tests/golden/passes"

static void ok(tn_status status, const char *what)
{
    if (!status) return;
    char text[4096];
    tn_status_text(status, true, text, sizeof text);
    fail_msg("%s: %s", what, text);
}

static char *transform(const char *pass, const char *path)
{
    tn_mapping file;
    tn_graph *graph = NULL;
    tn_text text = {0};
    char *out;
    ok(tn_file_map(path, &file), path);
    ok(tn_graph_parse((const char *)file.at, file.bytes, NULL, 0, &graph), path);
    tn_file_unmap(&file);
    if (!strcmp(pass, "all")) {
        ok(tn_passes_run(graph, NULL), path);
    } else {
        int64_t changed = 0, again = 0;
        ok(tn_pass_find(pass)->run(graph, &changed), path);
        ok(tn_graph_infer(graph), path);
        ok(tn_graph_verify(graph), path);
        assert_true(changed > 0);
        /* A pass leaves nothing to do for itself. */
        ok(tn_pass_find(pass)->run(graph, &again), path);
        if (again) fail_msg("%s: the pass finds %lld more on a second run", path, (long long)again);
    }
    tn_graph_print_options options = {.inline_max = 64};
    ok(tn_graph_print(graph, &options, &text, NULL, NULL, NULL), path);
    ok(tn_text_take(&text, &out), path);
    tn_graph_free(graph);
    return out;
}

static void bless(const char *path, const char *text)
{
    tn_file_write file;
    ok(tn_file_write_begin(path, &file), path);
    ok(tn_file_write_bytes(&file, text, strlen(text)), path);
    ok(tn_file_write_commit(&file), path);
    tn_file_write_end(&file);
}

static void compare(const char *path, const char *text)
{
    tn_mapping file;
    ok(tn_file_map(path, &file), path);
    bool same = file.bytes == strlen(text) && !memcmp(file.at, text, file.bytes);
    tn_file_unmap(&file);
    if (!same) fail_msg("%s differs; TN_BLESS=1 writes it anew. The pass gives:\n%s", path, text);
}

static int run_folder(const char *pass)
{
    char folder[1024], in[2048], out[2048];
    int count = 0;
    snprintf(folder, sizeof folder, "%s/%s", FOLDER, pass);
    DIR *dir = opendir(folder);
    if (!dir) fail_msg("there is no folder %s: every pass has golden texts", folder);
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        const char *end = strstr(entry->d_name, ".in.tn");
        if (!end) continue;
        int bytes = (int)(end - entry->d_name);
        snprintf(in, sizeof in, "%s/%s", folder, entry->d_name);
        snprintf(out, sizeof out, "%s/%.*s.out.tn", folder, bytes, entry->d_name);
        char *text = transform(pass, in);
        if (getenv("TN_BLESS")) bless(out, text);
        else compare(out, text);
        tn_text_free(text);
        count++;
    }
    closedir(dir);
    return count;
}

static void test_each_pass(void **state)
{
    (void)state;
    for (int i = 0; tn_passes()[i]; i++) assert_true(run_folder(tn_passes()[i]->name) > 0);
}

static void test_all_passes(void **state)
{
    (void)state;
    assert_true(run_folder("all") > 0);
}

/* Every pass writes its dump, and the last one is the result. */
static void test_dumps(void **state)
{
    (void)state;
    char folder[] = "/tmp/tenon-dump-XXXXXX", path[1200];
    assert_non_null(mkdtemp(folder));
    const char *text = "graph \"g\" { input %x : f32[2] %y = Identity(%x) output \"y\" = %y }";
    tn_graph *graph = NULL;
    ok(tn_graph_parse(text, strlen(text), NULL, 0, &graph), "parse");
    ok(tn_passes_run(graph, folder), "passes");
    tn_graph_free(graph);
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    const struct dirent *entry;
    int count = 0;
    while ((entry = readdir(dir))) {
        if (!strstr(entry->d_name, ".tn")) continue;
        tn_mapping file;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        ok(tn_file_map(path, &file), path);
        ok(tn_graph_parse((const char *)file.at, file.bytes, NULL, 0, &graph), path);
        tn_graph_free(graph);
        tn_file_unmap(&file);
        remove(path);
        count++;
    }
    closedir(dir);
    assert_true(count >= 6);
    assert_int_equal(remove(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_pass),
        cmocka_unit_test(test_all_passes),
        cmocka_unit_test(test_dumps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
