/* Graphs written as ONNX and read again: the same graph comes back; what an older opset has no
 * words for is spelled so that it computes the same, or refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/map.h"
#include "build/build.h"
#include "export/export.h"
#include "import/import.h"
#include "passes/passes.h"
#include "same_graph.h"

static char folder[64];

static void ok(tn_status status, const char *what)
{
    if (!status) return;
    char text[4096];
    tn_status_text(status, true, text, sizeof text);
    fail_msg("%s: %s", what, text);
}

static tn_import *read_model(const char *path)
{
    const tn_load_options options = {.size = sizeof options, .random_weights = true};
    tn_arena arena;
    tn_mapping file;
    const char *beside;
    tn_import *import = NULL;
    tn_arena_init(&arena);
    ok(tn_path_folder(&arena, path, &beside), path);
    ok(tn_file_map(path, &file), path);
    ok(tn_onnx_import(file.at, file.bytes, path, beside, &options, &import), path);
    tn_file_unmap(&file);
    tn_arena_fini(&arena);
    return import;
}

static tn_graph *parse(const char *text)
{
    tn_graph *graph = NULL;
    ok(tn_graph_parse(text, strlen(text), NULL, 0, &graph), text);
    return graph;
}

/* ---- Round trips
 * ---------------------------------------------------------------------------------*/

static void round_trip(const char *path, const tn_onnx_write_options *options)
{
    char written[256], data[300];
    snprintf(written, sizeof written, "%s/written.onnx", folder);
    snprintf(data, sizeof data, "%s.data", written);
    tn_import *before = read_model(path);
    tn_onnx_write_options own = *options;
    own.base_opset = TN_MAX(17, before->info.opset); /* at another one it may read differently */
    ok(tn_onnx_write(before->graph, &own, written), path);
    if (options->external) assert_int_equal(access(data, R_OK), 0);
    tn_import *after = read_model(written);
    char why[400];
    if (!same_graph(before->graph, after->graph, why, sizeof why))
        fail_msg("%s comes back changed: %s", path, why);
    tn_import_free(before);
    tn_import_free(after);
    remove(written);
    remove(data);
}

/* Calls `visit` for each .onnx file below a folder; large ones are left to other tests. */
static int visit_models(const char *root, void (*visit)(const char *path), long long bytes_max)
{
    int count = 0;
    DIR *dir = opendir(root);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        char path[1024];
        struct stat info;
        snprintf(path, sizeof path, "%s/%s", root, entry->d_name);
        if (entry->d_name[0] == '.' || stat(path, &info)) continue;
        if (!strcmp(entry->d_name, "user_op")) continue; /* needs a library of operators */
        size_t length = strlen(path);
        if (S_ISDIR(info.st_mode)) {
            if (!strstr(path, "_full")) count += visit_models(path, visit, bytes_max);
        } else if (length > 5 && !strcmp(path + length - 5, ".onnx") && info.st_size <= bytes_max) {
            visit(path);
            count++;
        }
    }
    if (dir) closedir(dir);
    return count;
}

static void check_round_trip(const char *path)
{
    round_trip(path, &(tn_onnx_write_options){0});
}

static void test_round_trips(void **state)
{
    (void)state;
    assert_true(visit_models(TN_SOURCE_DIR "/examples", check_round_trip, INT64_MAX) >= 4);
    if (!visit_models(TN_SOURCE_DIR "/../shared/models", check_round_trip, INT64_MAX))
        print_message("../shared/models is not here: only the exports in examples/ were checked\n");
}

static void test_external_data(void **state)
{
    (void)state;
    const char *path = TN_SOURCE_DIR "/examples/mnist/mnist.onnx";
    round_trip(path, &(tn_onnx_write_options){.external = true});
    round_trip(path, &(tn_onnx_write_options){.external_above = 1});
}

static void check_opsets(const char *path)
{
    char written[256];
    snprintf(written, sizeof written, "%s/written.onnx", folder);
    tn_import *before = read_model(path);
    int done = 0;
    for (int opset = TN_ONNX_WRITE_MIN; opset <= TN_ONNX_WRITE_MAX; opset++) {
        tn_status status =
            tn_onnx_write(before->graph, &(tn_onnx_write_options){.opset = opset}, written);
        if (tn_status_code(status) == TN_UNSUPPORTED) continue;
        ok(status, path);
        tn_import *after = read_model(written);
        assert_int_equal(after->info.opset, opset);
        assert_int_equal(after->graph->output_count, before->graph->output_count);
        tn_import_free(after);
        remove(written);
        done++;
    }
    assert_true(done > 0);
    tn_import_free(before);
}

/* Graphs inside nodes: what is carried, scanned, collected, captured from one graph or two around,
 * and constants that large ones share. */
static const char *const with_insides[] = {
    "graph \"loop\" { input %n : i64 input %x : f32[k] const %w : f32[9]={1,2,3,4,5,6,7,8,9}\n"
    "  %s : f32[...], %sums : f32[...] = Loop{body=graph \"body\" {\n"
    "      input %i : i64 input %c : bool input %s : f32[m] input %x : f32[k] input %w : f32[9]\n"
    "      const %axes : i64[1]={0}\n"
    "      %t = Concat{axis=0}(%s, %x, %w) %sum = ReduceSum{keepdims=0}(%t, %axes)\n"
    "      output \"c\" = %c output \"t\" = %t output \"sum\" = %sum\n"
    "    }, carried=1}(%n, _, %x, %x, %w) \"grower\"\n"
    "  output \"s\" = %s output \"sums\" = %sums }\n",
    "graph \"nested\" { input %n : i64 input %x : f32[9] const %zero : f32={0}\n"
    "  %sum = Loop{body=graph \"outer\" {\n"
    "      input %i : i64 input %c : bool input %sum : f32 input %x : f32[9]\n"
    "      %t = Loop{body=graph \"inner\" {\n"
    "          input %k : i64 input %c : bool input %sum : f32 input %x : f32[9] input %i : i64\n"
    "          %j = Add(%k, %i) %e = Gather{axis=0}(%x, %j) %t = Add(%sum, %e)\n"
    "          output \"c\" = %c output \"t\" = %t\n"
    "        }, carried=1}(%i, _, %sum, %x, %i) \"small\"\n"
    "      output \"c\" = %c output \"t\" = %t\n"
    "    }, carried=1}(%n, _, %zero, %x) \"big\"\n"
    "  output \"sum\" = %sum }\n",
    "graph \"scan\" { input %s : f32[2] input %x : f32[2,n] input %b : f32[2]\n"
    "  %last, %sums = Scan{body=graph \"body\" {\n"
    "      input %s : f32[2] input %e : f32[2] input %b : f32[2]\n"
    "      %d = Mul(%e, %b) %t = Add(%s, %d) output \"t\" = %t output \"each\" = %t\n"
    "    }, num_scan_inputs=1, carried=1, scan_input_axes=[1], scan_input_directions=[1],\n"
    "    scan_output_axes=[-1], scan_output_directions=[1]}(%s, %x, %b)\n"
    "  output \"last\" = %last output \"sums\" = %sums }\n",
    "graph \"map\" { input %q : sequence of f32[...] input %c : bool input %x : f32[3]\n"
    "  %r = SequenceMap{body=graph \"body\" {\n"
    "      input %e : f32[...] input %x : f32[3] input %c : bool\n"
    "      %y = If{then_branch=graph \"t\" { input %e : f32[...] input %x : f32[3]\n"
    "          %a = Add(%e, %x) output \"a\" = %a\n"
    "        }, else_branch=graph \"e\" { input %e : f32[...] input %x : f32[3]\n"
    "          %a = Neg(%e) output \"a\" = %a }}(%c, %e, %x)\n"
    "      output \"y\" = %y\n"
    "    }, given=1}(%q, %x, %c)\n"
    "  output \"r\" = %r }\n",
};

static void test_insides(void **state)
{
    (void)state;
    char written[256], why[400];
    snprintf(written, sizeof written, "%s/written.onnx", folder);
    for (size_t i = 0; i < TN_COUNT(with_insides); i++) {
        tn_graph *graph = parse(with_insides[i]);
        ok(tn_onnx_write(graph, &(tn_onnx_write_options){0}, written), with_insides[i]);
        tn_import *after = read_model(written);
        if (!same_graph(graph, after->graph, why, sizeof why))
            fail_msg("%s comes back changed: %s", graph->name, why);
        /* once more, from what an importer makes */
        ok(tn_onnx_write(after->graph, &(tn_onnx_write_options){0}, written), with_insides[i]);
        tn_import *again = read_model(written);
        assert_true(same_graph(after->graph, again->graph, why, sizeof why));
        tn_import_free(again);
        tn_import_free(after);
        tn_graph_free(graph);
        remove(written);
    }
}

/* What is compared with, is it looked at? */
static void test_comparison(void **state)
{
    (void)state;
    static const char *const others[][2] = {
        {"={1,2,3,4,", "={1,2,4,4,"},         {"Concat{axis=0}", "Concat{axis=-1}"},
        {"(%s, %x, %w)", "(%x, %s, %w)"},     {"output \"t\" = %t", "output \"t\" = %s"},
        {"(%n, _, %x, %x", "(%n, _, %w, %x"}, {"input %x : f32[k]", "input %x : f32[h]"},
        {"\"grower\"", "\"other\""},
    };
    char why[400], text[2000];
    tn_graph *graph = parse(with_insides[0]);
    for (size_t i = 0; i < TN_COUNT(others); i++) {
        const char *at = strstr(with_insides[0], others[i][0]);
        assert_non_null(at);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - with_insides[0]), with_insides[0],
                 others[i][1], at + strlen(others[i][0]));
        tn_graph *other = parse(text);
        if (same_graph(graph, other, why, sizeof why)) fail_msg("nobody saw %s", others[i][1]);
        tn_graph_free(other);
    }
    tn_graph_free(graph);
}

static void test_every_opset(void **state)
{
    (void)state;
    assert_true(visit_models(TN_SOURCE_DIR "/examples", check_opsets, 2000000) >= 3);
}

/* ---- Spelling
 * --------------------------------------------------------------------------------------*/

static const char *const spelled[] = {
    "graph \"g\" { input %x : f32[N,4,6] const %s : f32[6]={1,2,3,4,5,6} const %b : "
    "f32[6]={6,5,4,3,2,1} %y = LayerNormalization{axis=-1, epsilon=0.01}(%x, %s, %b) output \"y\" "
    "= %y }",
    "graph \"g\" { input %x : f32[N,4,6] const %s : f32[4,6] = #0 %y = "
    "LayerNormalization{axis=1}(%x, %s) output \"y\" = %y }",
    "graph \"g\" { input %x : f32[N,4,6] const %s : f32[6]={1,2,3,4,5,6} %y = "
    "RMSNormalization(%x, %s) output \"y\" = %y }",
    "graph \"g\" { input %x : f32[N,4,6] const %s : f32[4]={1,2,3,4} const %b : f32[4]={4,3,2,1} "
    "%y = "
    "GroupNormalization{num_groups=2}(%x, %s, %b) output \"y\" = %y }",
    "graph \"g\" { input %x : f32[N,5] %w = Gelu(%x) %y = Gelu{approximate=\"none\"}(%w) %z = "
    "Gelu{approximate=\"tanh\"}(%y) output \"z\" = %z }",
    "graph \"g\" { input %x : f32[N,5] %a = HardSwish(%x) %b = Mish(%a) %c = Swish{alpha=0.5}(%b) "
    "output \"c\" = %c }",
    "graph \"g\" { input %x : f32[N,5] input %y : f32[N,5] %a = LessOrEqual(%x, %y) %b = "
    "GreaterOrEqual(%x, %x) output \"a\" = %a output \"b\" = %b }",
    "graph \"g\" { input %x : f32[N,5,3] %a = Softmax{axis=1}(%x) %b = LogSoftmax{axis=0}(%a) "
    "output \"b\" = %b }",
    "graph \"g\" { input %x : f32[N,5] input %i : i32[N,5] %a = CastLike(%i, %x) output \"a\" = %a "
    "}",
};

static void test_spelling(void **state)
{
    (void)state;
    float data[24];
    for (int i = 0; i < 24; i++) data[i] = (float)i * 0.25F - 2;
    const tn_tensor tensor = tn_tensor_of(TN_DTYPE_F32, (int64_t[]){4, 6}, 2, data);
    for (size_t i = 0; i < TN_COUNT(spelled); i++) {
        const tn_build_config config = {.size = sizeof config};
        tn_graph *graph = NULL, *changed = NULL;
        tn_text report = {0};
        const char *result;
        ok(tn_graph_parse(spelled[i], strlen(spelled[i]), &tensor, 1, &graph), spelled[i]);
        int64_t count = graph->node_count;
        ok(tn_graph_clone(graph, false, &changed), "clone");
        ok(tn_onnx_spell(changed, 11), spelled[i]);
        assert_true(changed->node_count > count || i == 8);
        assert_true(tn_onnx_needed_opset(changed) <= 13);
        ok(tn_build_compare(graph, changed, &config, &report, &result), spelled[i]);
        assert_string_equal(result, "passed");
        tn_text_fini(&report);
        tn_graph_free(changed);
        tn_graph_free(graph);
    }
}

/* The next expression of dims=["N+1","M"], NONE at the end. */
static tn_expr next_dim(tn_exprs *exprs, const char **at)
{
    char text[100];
    tn_expr e;
    size_t bytes = 0;
    while (**at && **at != '"' && **at != ']') ++*at;
    if (**at != '"') return TN_EXPR_NONE;
    for (++*at; **at != '"' && bytes < sizeof text - 1; ++*at) text[bytes++] = **at;
    text[bytes] = 0;
    ++*at;
    ok(tn_expr_parse(exprs, text, &e), text);
    return e;
}

/* Symbols may be known in another order, and so be printed in another one. */
static bool same_dims(const char *got, const char *want)
{
    tn_arena arena;
    tn_exprs exprs;
    bool same = got != NULL;
    tn_arena_init(&arena);
    ok(tn_exprs_init(&exprs, &arena), "exprs");
    for (tn_expr a = 1, b = 1; same && (a || b);) {
        a = next_dim(&exprs, &got);
        b = next_dim(&exprs, &want);
        same = a == b;
    }
    tn_arena_fini(&arena);
    return same;
}

/* Arithmetic that is written for expressions is read back as the same expressions. */
static void check_dims(int opset, const char *dims, bool scalar)
{
    char text[600], path[256], want[400];
    tn_text out = {0};
    snprintf(
        text, sizeof text,
        "graph \"g\" { input %%x : f32[N,M,7] input %%t : f32[L] %%d = tenon.Dims{dims=[%s]%s}() "
        "output \"d\" = %%d }",
        dims, scalar ? ", scalar=1" : "");
    snprintf(path, sizeof path, "%s/dims.onnx", folder);
    snprintf(want, sizeof want, "tenon.Dims{dims=[%s]", dims);
    tn_graph *graph = parse(text);
    ok(tn_onnx_write(graph, &(tn_onnx_write_options){.opset = opset}, path), text);
    tn_import *import = read_model(path);
    ok(tn_passes_run(import->graph, NULL), text);
    ok(tn_graph_print(import->graph, NULL, &out, NULL, NULL, NULL), "print");
    if (!same_dims(strstr(out.at, "dims=["), strstr(want, "dims=[")))
        fail_msg("%s at opset %d becomes\n%s", dims, opset, out.at);
    tn_text_fini(&out);
    tn_import_free(import);
    tn_graph_free(graph);
    remove(path);
}

static void test_dims(void **state)
{
    (void)state;
    static const char *const lists[] = {
        "\"N\"",
        "\"N\",\"M\"",
        "\"L\",\"12\",\"M\"",
        "\"2*M+1\",\"M*N\"",
        "\"M/2\",\"(N+1)/2\"",
        "\"N%4\"",
        "\"min(N,M)\",\"max(L,3)\"",
        "\"N-M\"",
        "\"(N-5)/2\"",
        "\"eq(N,M)\",\"lt(N,M)\"",
    };
    for (int opset = 12; opset <= 18; opset += 3)
        for (size_t i = 0; i < TN_COUNT(lists); i++) check_dims(opset, lists[i], false);
    check_dims(17, "\"N+M\"", true);
}

static void test_refusals(void **state)
{
    (void)state;
    char path[256];
    snprintf(path, sizeof path, "%s/refused.onnx", folder);
    tn_graph *graph =
        parse("graph \"g\" { input %x : f32[3,3] %y = Trilu(%x) \"tri\" output \"y\" = %y }");
    tn_status status = tn_onnx_write(graph, &(tn_onnx_write_options){.opset = 12}, path);
    assert_int_equal(tn_status_code(status), TN_UNSUPPORTED);
    assert_non_null(strstr(tn_status_message(status), "'tri'"));
    assert_non_null(strstr(tn_status_message(status), "opset 14"));
    assert_int_equal(access(path, F_OK), -1);
    status = tn_onnx_write(graph, &(tn_onnx_write_options){.opset = 99}, path);
    assert_int_equal(tn_status_code(status), TN_UNSUPPORTED);
    tn_graph_free(graph);
    /* A list of axes that is computed cannot be an attribute. */
    graph = parse("graph \"g\" { input %x : f32[3,3] input %a : i64[1] %y = ReduceMean(%x, %a) "
                  "output \"y\" = %y }");
    status = tn_onnx_write(graph, &(tn_onnx_write_options){.opset = 17}, path);
    assert_int_equal(tn_status_code(status), TN_UNSUPPORTED);
    ok(tn_onnx_write(graph, NULL, path), "at the opset that it needs");
    tn_import *import = read_model(path);
    assert_int_equal(import->info.opset, 18);
    tn_import_free(import);
    tn_graph_free(graph);
    remove(path);
}

/* Outputs that are inputs, constants or one value twice have values of their own in a file. */
static void test_output_names(void **state)
{
    (void)state;
    char path[256];
    snprintf(path, sizeof path, "%s/names.onnx", folder);
    tn_graph *graph =
        parse("graph \"g\" { input %x : f32[2] const %c : f32[1]={5} %b = Relu(%x) %a = "
              "Neg(%b) output \"b\" = %a output \"x2\" = %x output \"twice\" = %a output "
              "\"five\" = %c }");
    ok(tn_onnx_write(graph, NULL, path), "write");
    tn_import *import = read_model(path);
    const char *const names[] = {"b", "x2", "twice", "five"};
    assert_int_equal(import->graph->output_count, 4);
    for (int i = 0; i < 4; i++) assert_string_equal(import->graph->output[i].name, names[i]);
    ok(tn_passes_run(import->graph, NULL), "passes");
    assert_string_equal(import->graph->output[0].value->producer->op->name, "Neg");
    assert_ptr_equal(import->graph->output[0].value, import->graph->output[2].value);
    assert_int_equal(import->graph->output[1].value->kind, TN_VALUE_INPUT);
    assert_int_equal(import->graph->output[3].value->kind, TN_VALUE_CONSTANT);
    tn_import_free(import);
    tn_graph_free(graph);
    remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),  cmocka_unit_test(test_external_data),
        cmocka_unit_test(test_insides),      cmocka_unit_test(test_comparison),
        cmocka_unit_test(test_every_opset),  cmocka_unit_test(test_spelling),
        cmocka_unit_test(test_dims),         cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_output_names),
    };
    strcpy(folder, "/tmp/tenon-write-XXXXXX");
    if (!mkdtemp(folder)) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}
