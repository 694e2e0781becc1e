/* If, Loop and Scan: plans inside plans, from the text of a graph to a run. */
#include "engine_help.h"

#include <stdlib.h>
#include <string.h>

#include "backends/cpu/cpu.h"
#include "fault/failing_allocator.h"
#include "passes/passes.h"
#include "tensor/tensor.h"

static const char choose[] = "graph \"choose\" {\n"
                             "  input %c : bool\n"
                             "  input %x : f32[n]\n"
                             "  %y = If{then_branch=graph \"yes\" {\n"
                             "      input %a : f32[n]\n"
                             "      %d = Concat{axis=0}(%a, %a)\n"
                             "      output \"d\" = %d\n"
                             "    }, else_branch=graph \"no\" {\n"
                             "      input %a : f32[n]\n"
                             "      %d = Neg(%a)\n"
                             "      output \"d\" = %d\n"
                             "    }}(%c, %x)  \"pick\"\n"
                             "  %z = Abs(%y)\n"
                             "  output \"y\" = %y\n"
                             "  output \"z\" = %z\n"
                             "}\n";

/* The state gets x behind it each time; the sum of its elements is collected. */
static const char grow[] = "graph \"grow\" {\n"
                           "  input %n : i64\n"
                           "  input %x : f32[k]\n"
                           "  %s, %sums = Loop{body=graph \"body\" {\n"
                           "      input %i : i64\n"
                           "      input %c : bool\n"
                           "      input %s : f32[m]\n"
                           "      input %x : f32[k]\n"
                           "      const %axes : i64[1]={0}\n"
                           "      %t = Concat{axis=0}(%s, %x)\n"
                           "      %sum = ReduceSum{keepdims=0}(%t, %axes)\n"
                           "      output \"c\" = %c\n"
                           "      output \"t\" = %t\n"
                           "      output \"sum\" = %sum\n"
                           "    }, carried=1}(%n, _, %x, %x)  \"grower\"\n"
                           "  %p = Neg(%s)\n"
                           "  output \"s\" = %s\n"
                           "  output \"p\" = %p\n"
                           "  output \"sums\" = %sums\n"
                           "}\n";

/* Doubles v while it is below a limit. */
static const char until[] = "graph \"until\" {\n"
                            "  input %c : bool\n"
                            "  input %v : f32\n"
                            "  input %limit : f32\n"
                            "  %last, %all = Loop{body=graph \"body\" {\n"
                            "      input %i : i64\n"
                            "      input %c : bool\n"
                            "      input %v : f32\n"
                            "      input %limit : f32\n"
                            "      %w = Add(%v, %v)\n"
                            "      %again = Less(%w, %limit)\n"
                            "      output \"again\" = %again\n"
                            "      output \"w\" = %w\n"
                            "      output \"each\" = %w\n"
                            "    }, carried=1}(_, %c, %v, %limit)\n"
                            "  output \"last\" = %last\n"
                            "  output \"all\" = %all\n"
                            "}\n";

/* sum over i < n of sum over k < i of x[k] */
static const char nested[] = "graph \"nested\" {\n"
                             "  input %n : i64\n"
                             "  input %x : f32[9]\n"
                             "  const %zero : f32={0}\n"
                             "  %sum = Loop{body=graph \"outer\" {\n"
                             "      input %i : i64\n"
                             "      input %c : bool\n"
                             "      input %sum : f32\n"
                             "      input %x : f32[9]\n"
                             "      %t = Loop{body=graph \"inner\" {\n"
                             "          input %k : i64\n"
                             "          input %c : bool\n"
                             "          input %sum : f32\n"
                             "          input %x : f32[9]\n"
                             "          %e = Gather{axis=0}(%x, %k)\n"
                             "          %t = Add(%sum, %e)\n"
                             "          output \"c\" = %c\n"
                             "          output \"t\" = %t\n"
                             "        }, carried=1}(%i, _, %sum, %x)  \"small\"\n"
                             "      output \"c\" = %c\n"
                             "      output \"t\" = %t\n"
                             "    }, carried=1}(%n, _, %zero, %x)  \"big\"\n"
                             "  output \"sum\" = %sum\n"
                             "}\n";

/* Running sums over the columns of x, from the right, collected as columns. */
static const char scan[] =
    "graph \"scan\" {\n"
    "  input %s : f32[2]\n"
    "  input %x : f32[2,n]\n"
    "  %last, %sums = Scan{body=graph \"body\" {\n"
    "      input %s : f32[2]\n"
    "      input %e : f32[2]\n"
    "      %t = Add(%s, %e)\n"
    "      output \"t\" = %t\n"
    "      output \"each\" = %t\n"
    "    }, num_scan_inputs=1, scan_input_axes=[1], scan_input_directions=[1],\n"
    "    scan_output_axes=[-1], scan_output_directions=[1]}(%s, %x)\n"
    "  output \"last\" = %last\n"
    "  output \"sums\" = %sums\n"
    "}\n";

static void bind(tn_context *context, const char *name, tn_tensor t)
{
    assert_ok(tn_exec_context_bind(context, name, &t));
}

static tn_tensor output(tn_context *context, const char *name)
{
    tn_tensor t;
    assert_ok(tn_exec_context_output(context, name, &t));
    return t;
}

static void assert_floats(tn_context *context, const char *name, const float *want, int64_t count)
{
    tn_tensor t = output(context, name);
    assert_int_equal(tn_tensor_count(&t), count);
    for (int64_t i = 0; i < count; i++)
        assert_float_equal(((const float *)t.data)[i], want[i], 1e-6);
}

static void branches_give_other_shapes(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text(choose, NULL);
    tn_context *context = new_context(engine);
    float x[3] = {1, 2, 3};
    bool c = true;
    bind(context, "c", view(TN_DTYPE_BOOL, &c, 0, 0, 0));
    bind(context, "x", view(TN_DTYPE_F32, x, 1, 3, 0));
    for (int round = 0; round < 4; round++) {
        c = round % 2;
        assert_ok(tn_exec_context_run(context));
        assert_floats(context, "y", c ? (float[]){1, 2, 3, 1, 2, 3} : (float[]){-1, -2, -3},
                      c ? 6 : 3);
        assert_floats(context, "z", (float[]){1, 2, 3, 1, 2, 3}, c ? 6 : 3);
    }
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
}

/* What it gives, if it gives anything, is right. */
static tn_status try_grow(tn_context *context, int64_t n)
{
    float x[2] = {1, 2}, s[64], sums[31];
    bind(context, "n", view(TN_DTYPE_I64, &n, 0, 0, 0));
    bind(context, "x", view(TN_DTYPE_F32, x, 1, 2, 0));
    TN_TRY(tn_exec_context_run(context));
    for (int64_t i = 0; i < 2 * (n + 1); i++) s[i] = x[i % 2];
    for (int64_t i = 0; i < n; i++) sums[i] = 3 * (float)(i + 2);
    assert_floats(context, "s", s, 2 * (n + 1));
    assert_floats(context, "sums", sums, n);
    tn_tensor p = output(context, "p");
    assert_int_equal(p.dim[0], 2 * (n + 1));
    assert_float_equal(((const float *)p.data)[1], -2, 0);
    return NULL;
}

static void run_grow(tn_context *context, int64_t n)
{
    assert_ok(try_grow(context, n));
}

static void state_grows_and_zero_iterations_give_it_back(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text(grow, NULL);
    tn_context *context = new_context(engine);
    for (int64_t n = 0; n <= 30; n += 5) run_grow(context, n);
    run_grow(context, 0);
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
}

static void later_runs_allocate_nothing(void **unused)
{
    (void)unused;
    failing_install(0, FAIL_ONCE);
    tn_engine *engine = build_text(grow, NULL);
    tn_context *context = new_context(engine);
    run_grow(context, 30);
    run_grow(context, 30);
    int64_t before = failing_read().requests;
    for (int64_t n = 0; n <= 30; n += 3) run_grow(context, n);
    assert_int_equal(failing_read().requests, before);
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
    failing_counts counts = failing_remove();
    assert_int_equal(counts.live_bytes, 0);
    assert_int_equal(counts.errors, 0);
}

static void a_condition_ends_the_loop(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text(until, NULL);
    tn_context *context = new_context(engine);
    float v = 3, limit = 20;
    bool c = true;
    bind(context, "c", view(TN_DTYPE_BOOL, &c, 0, 0, 0));
    bind(context, "v", view(TN_DTYPE_F32, &v, 0, 0, 0));
    bind(context, "limit", view(TN_DTYPE_F32, &limit, 0, 0, 0));
    assert_ok(tn_exec_context_run(context));
    assert_floats(context, "last", (float[]){24}, 1);
    assert_floats(context, "all", (float[]){6, 12, 24}, 3);
    c = false;
    assert_ok(tn_exec_context_run(context));
    assert_floats(context, "last", (float[]){3}, 1);
    tn_tensor all = output(context, "all");
    assert_int_equal(all.rank, 1);
    assert_int_equal(all.dim[0], 0);
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
}

static void loops_nest_and_read_what_is_outside(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text(nested, NULL);
    tn_context *context = new_context(engine);
    float x[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    int64_t n = 4;
    bind(context, "n", view(TN_DTYPE_I64, &n, 0, 0, 0));
    bind(context, "x", view(TN_DTYPE_F32, x, 1, 9, 0));
    assert_ok(tn_exec_context_run(context));
    assert_floats(context, "sum", (float[]){1 + 3 + 6}, 1);
    n = 11; /* the inner loop reads x[9] in iteration 10 */
    tn_status status = tn_exec_context_run(context);
    char text[4096];
    tn_status_text(status, false, text, sizeof(text));
    assert_non_null(strstr(text, "in iteration 9 of Loop 'small'"));
    assert_non_null(strstr(text, "in iteration 10 of Loop 'big'"));
    n = 2;
    assert_ok(tn_exec_context_run(context));
    assert_floats(context, "sum", (float[]){1}, 1);
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
}

static void scans_go_along_any_axis_in_both_directions(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text(scan, NULL);
    tn_context *context = new_context(engine);
    float s[2] = {100, 200}, x[6] = {1, 2, 3, 4, 5, 6};
    bind(context, "s", view(TN_DTYPE_F32, s, 1, 2, 0));
    bind(context, "x", view(TN_DTYPE_F32, x, 2, 2, 3));
    assert_ok(tn_exec_context_run(context));
    assert_floats(context, "last", (float[]){106, 215}, 2);
    assert_floats(context, "sums", (float[]){106, 105, 103, 215, 211, 206}, 6);
    bind(context, "x", view(TN_DTYPE_F32, x, 2, 2, 0));
    assert_ok(tn_exec_context_run(context));
    assert_floats(context, "last", s, 2);
    assert_floats(context, "sums", NULL, 0);
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
}

/* ---- Graphs ----------------------------------------------------------------------------------*/

static char *print(const tn_graph *graph)
{
    tn_text text = {0};
    char *out = NULL;
    assert_ok(tn_graph_print(graph, NULL, &text, NULL, NULL, NULL));
    assert_ok(tn_text_take(&text, &out));
    return out;
}

static tn_graph *parse(const char *text)
{
    tn_graph *graph;
    assert_ok(tn_graph_parse(text, strlen(text), NULL, 0, &graph));
    return graph;
}

/* The text with the first `from` replaced. */
static tn_graph *parse_with(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    tn_text changed = {0};
    assert_non_null(at);
    tn_text_printf(&changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    tn_graph *graph = parse(changed.at);
    tn_text_fini(&changed);
    return graph;
}

static void text_and_copies_keep_what_is_inside(void **unused)
{
    (void)unused;
    const char *const texts[] = {choose, grow, until, nested, scan};
    for (size_t i = 0; i < TN_COUNT(texts); i++) {
        tn_graph *graph = parse(texts[i]), *copy;
        assert_ok(tn_graph_clone(graph, true, &copy));
        assert_ok(tn_graph_verify(copy));
        char *a = print(graph), *b = print(copy);
        tn_graph_free(graph);
        assert_string_equal(a, b);
        graph = parse(a);
        tn_text_free(b);
        b = print(graph);
        assert_string_equal(a, b);
        tn_text_free(a);
        tn_text_free(b);
        tn_graph_free(graph);
        tn_graph_free(copy);
    }
}

static void a_known_condition_leaves_one_branch(void **unused)
{
    (void)unused;
    tn_graph *graph = parse_with(choose, "input %c : bool", "const %c : bool={1}");
    assert_ok(tn_passes_run(graph, NULL));
    assert_int_equal(graph->node_count, 2);
    for (const tn_node *node = graph->first; node; node = node->next)
        assert_string_not_equal(node->op->name, "If");
    tn_graph_free(graph);
}

static void captured_constants_go_inside(void **unused)
{
    (void)unused;
    tn_graph *graph = parse_with(grow, "input %x : f32[k]", "const %x : f32[2]={1,2}");
    assert_ok(tn_passes_run(graph, NULL));
    assert_string_equal(graph->first->op->name, "Loop");
    assert_int_equal(graph->first->in_count, 3);
    tn_graph_free(graph);
}

static void nesting_has_an_end(void **unused)
{
    (void)unused;
    enum { DEPTH = 70 };
    tn_text text = {0};
    tn_graph *graph;
    tn_text_printf(&text, "graph \"g\" {\n input %%c : bool\n %%y = ");
    for (int i = 0; i < DEPTH; i++)
        tn_text_printf(&text, "If{then_branch=graph \"t\" { input %%c : bool output \"c\" = %%c }, "
                              "else_branch=graph \"e\" { input %%c : bool\n %%y = ");
    tn_text_printf(&text, "Not(%%c)");
    for (int i = 0; i < DEPTH; i++) tn_text_printf(&text, "\n output \"y\" = %%y }}(%%c, %%c)");
    tn_text_printf(&text, "\n output \"y\" = %%y\n}\n");
    tn_status status = tn_graph_parse(text.at, text.bytes, NULL, 0, &graph);
    assert_int_equal(tn_status_code(status), TN_UNSUPPORTED);
    assert_non_null(strstr(tn_status_message(status), "nested more than"));
    tn_text_fini(&text);
}

static void what_is_carried_must_keep_its_type(void **unused)
{
    (void)unused;
    char text[sizeof(grow)];
    memcpy(text, grow, sizeof(grow));
    char *state = strstr(text, "input %s : f32[m]");
    memcpy(state, "input %s : f32[3]", 17);
    tn_graph *graph;
    tn_status status = tn_graph_parse(text, strlen(text), NULL, 0, &graph);
    assert_int_equal(tn_status_code(status), TN_INVALID);
    assert_non_null(strstr(tn_status_message(status), "the value carried as 's'"));
}

/* ---- Engine files ----------------------------------------------------------------------------*/

static tn_status read_image(const uint8_t *at, size_t bytes, tn_engine **out)
{
    tn_engine *engine;
    tn_mapping mapping = {at, bytes};
    tn_status status = tn_exec_engine_new(&tn_backend_cpu, 1, &engine);
    if (status) return status;
    status = tn_engine_file_read(engine, mapping, "image");
    if (!status) status = tn_exec_engine_ready(engine);
    if (status) tn_exec_engine_release(engine);
    else *out = engine;
    return status;
}

static void an_engine_file_holds_plans_inside(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text(grow, NULL), *loaded;
    tn_writer image = {0}, again = {0};
    assert_ok(tn_engine_file_write(engine, &image));
    tn_exec_engine_release(engine);
    assert_ok(read_image(image.at, image.count, &loaded));
    assert_int_equal(loaded->plan.sub_count, 1);
    assert_ok(tn_engine_file_write(loaded, &again));
    assert_int_equal(image.count, again.count);
    assert_memory_equal(image.at, again.at, image.count);
    tn_context *context = new_context(loaded);
    run_grow(context, 7);
    tn_exec_context_free(context);
    tn_exec_engine_release(loaded);
    size_t data = 0, noticed = 0; /* where the constants lie: row 9 of the section table */
    memcpy(&data, image.at + 136 + 8 * 32 + 8, sizeof(data));
    for (size_t i = 0; i < image.count; i++) {
        image.at[i] ^= 0x41;
        tn_code code = tn_status_code(read_image(image.at, image.count, &loaded));
        if (!code) {
            assert_true(i >= data);
            context = new_context(loaded);
            code = tn_status_code(try_grow(context, 7));
            tn_exec_context_free(context);
            tn_exec_engine_release(loaded);
        }
        if (i < data || code)
            assert_int_equal(code, i >= 96 && i < 100 ? TN_UNSUPPORTED : TN_CORRUPT);
        noticed += i >= data && code;
        image.at[i] ^= 0x41;
    }
    assert_true(noticed > 0);
    tn_writer_fini(&image);
    tn_writer_fini(&again);
}

/* The plan alone, without checksums: whatever a byte becomes, it is refused or read without harm.
 */
static void damaged_plans_are_read_without_harm(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text(nested, NULL);
    tn_writer image = {0};
    int64_t refused = 0;
    tn_plan_write(&engine->plan, &image);
    for (size_t i = 0; i < image.count; i++)
        for (int k = 0; k < 3; k++) {
            static const uint8_t flips[] = {1, 0x80, 0xff};
            tn_plan plan = {.constant = engine->plan.constant,
                            .constant_count = engine->plan.constant_count};
            tn_arena_init(&plan.arena);
            image.at[i] ^= flips[k];
            tn_reader reader = tn_reader_of(image.at, image.count, "a plan");
            tn_status status = tn_plan_read(&reader, engine->backend, &plan);
            if (!status) status = tn_plan_verify(&plan);
            refused += status != NULL;
            image.at[i] ^= flips[k];
            tn_plan_fini(&plan);
        }
    assert_true(refused > (int64_t)image.count);
    tn_writer_fini(&image);
    tn_exec_engine_release(engine);
}

static tn_status build_and_run(void)
{
    tn_build_config config = {.size = sizeof(config), .threads = 1, .budget_ms = -1};
    tn_engine *engine = NULL;
    tn_context *context = NULL;
    tn_graph *graph = NULL;
    float x[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    int64_t n = 3;
    tn_tensor in = view(TN_DTYPE_F32, x, 1, 9, 0), count = view(TN_DTYPE_I64, &n, 0, 0, 0);
    tn_status status = tn_graph_parse(nested, strlen(nested), NULL, 0, &graph);
    if (!status) status = tn_build_engine(graph, &config, &engine);
    if (!status) status = tn_exec_context_new(engine, &context);
    if (!status) status = tn_exec_context_bind(context, "x", &in);
    if (!status) status = tn_exec_context_bind(context, "n", &count);
    if (!status) status = tn_exec_context_run(context);
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
    tn_graph_free(graph);
    return status;
}

static void every_allocation_may_fail(void **unused)
{
    (void)unused;
    int64_t n = 1;
    for (bool done = false; !done; n += 1 + n / 64) {
        failing_install(n, FAIL_FROM_THERE);
        tn_status status = build_and_run();
        failing_counts counts = failing_remove();
        done = !counts.failed;
        if (done) assert_null(status);
        assert_int_equal(counts.live_bytes, 0);
        assert_int_equal(counts.errors, 0);
    }
    assert_true(n > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(branches_give_other_shapes),
        cmocka_unit_test(state_grows_and_zero_iterations_give_it_back),
        cmocka_unit_test(later_runs_allocate_nothing),
        cmocka_unit_test(a_condition_ends_the_loop),
        cmocka_unit_test(loops_nest_and_read_what_is_outside),
        cmocka_unit_test(scans_go_along_any_axis_in_both_directions),
        cmocka_unit_test(text_and_copies_keep_what_is_inside),
        cmocka_unit_test(a_known_condition_leaves_one_branch),
        cmocka_unit_test(captured_constants_go_inside),
        cmocka_unit_test(nesting_has_an_end),
        cmocka_unit_test(what_is_carried_must_keep_its_type),
        cmocka_unit_test(an_engine_file_holds_plans_inside),
        cmocka_unit_test(damaged_plans_are_read_without_harm),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
