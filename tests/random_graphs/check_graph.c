/* Checking a graph: its text reads back as itself; the engine without any optimisation gives what
 * the reference kernels gave one by one; the optimised engine gives the same within rounding; saved
 * and loaded it gives the same bits, on one thread as on two. Shapes change between runs of one
 * context. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cpu/cpu.h"
#include "build/build.h"
#include "passes/passes.h"
#include "random_graphs.h"

enum { RUNS = SETS + 1 }; /* the first set once more at the end */

typedef struct side {
    const char *name;
    tn_engine *engine;
    tn_context *context;
    tn_code code[RUNS];
    char message[RUNS][700];
    tn_tensor *out[RUNS];
} side;

typedef struct checker {
    maker *m;
    verdict *v;
    tn_arena arena;
    tn_graph *parsed;
    tn_writer image;
    side plain, best, turned, loaded;
} checker;

/* ---- Memory ----------------------------------------------------------------------------------*/

enum { BLOCK_BYTES_MAX = 256 << 20 };
static int rubbish_byte;

static void *resize(void *self, void *p, size_t old_bytes, size_t new_bytes)
{
    void *fresh = NULL;
    (void)self;
    if (new_bytes > BLOCK_BYTES_MAX) return NULL;
    if (new_bytes && posix_memalign(&fresh, TN_ALIGNMENT, new_bytes)) return NULL;
    if (new_bytes) memset(fresh, rubbish_byte, new_bytes);
    if (p && new_bytes) memcpy(fresh, p, old_bytes < new_bytes ? old_bytes : new_bytes);
    free(p);
    return fresh;
}

void set_rubbish(int rubbish)
{
    static const tn_allocator allocator = {resize, NULL};
    rubbish_byte = rubbish;
    tn_set_allocator(&allocator);
}

/* ---- Findings --------------------------------------------------------------------------------*/

static void find(checker *c, const char *format, ...) TN_PRINTF(2, 3);

static void find(checker *c, const char *format, ...)
{
    va_list list;
    if (c->v->bad) return;
    c->v->bad = true;
    va_start(list, format);
    vsnprintf(c->v->text, sizeof c->v->text, format, list);
    va_end(list);
}

static bool good(checker *c, const char *what, tn_status status)
{
    char text[3000];
    if (!status) return true;
    if (tn_status_code(status) == TN_OUT_OF_MEMORY) return false;
    tn_status_text(status, true, text, sizeof text);
    find(c, "%s: %s: %s", what, tn_code_name(tn_status_code(status)), text);
    return false;
}

/* ---- Comparisons -----------------------------------------------------------------------------*/

static bool same_strings(const tn_tensor *a, const tn_tensor *b, int64_t *where)
{
    const tn_string *x = a->data, *y = b->data;
    for (int64_t i = 0; i < tn_tensor_count(a); i++) {
        if (x[i].bytes == y[i].bytes && (!x[i].bytes || !memcmp(x[i].text, y[i].text, x[i].bytes)))
            continue;
        *where = i;
        return false;
    }
    return true;
}

static bool same_bits(const tn_tensor *a, const tn_tensor *b, char *why, size_t why_bytes)
{
    char x[128], y[128];
    int64_t where = 0, bytes = tn_tensor_bytes(a);
    if (a->dtype != b->dtype || !tn_tensor_same_shape(a, b)) {
        snprintf(why, why_bytes, "it is %s and should be %s", tn_tensor_type_text(a, x, sizeof x),
                 tn_tensor_type_text(b, y, sizeof y));
        return false;
    }
    if (!tn_tensor_count(a)) return true;
    if (a->dtype == TN_DTYPE_STRING) {
        if (same_strings(a, b, &where)) return true;
        snprintf(why, why_bytes, "string %lld differs", (long long)where);
        return false;
    }
    if (!memcmp(a->data, b->data, (size_t)bytes)) return true;
    for (int64_t i = 0; i < tn_tensor_count(a); i++) {
        double p = tn_load_f64(a->dtype, a->data, i), q = tn_load_f64(b->dtype, b->data, i);
        if (p == q && signbit(p) == signbit(q)) continue;
        if (isnan(p) && isnan(q)) continue;
        snprintf(why, why_bytes, "element %lld of %s is %.9g and should be %.9g", (long long)i,
                 tn_tensor_type_text(a, x, sizeof x), p, q);
        return false;
    }
    return true; /* NaNs of other bits */
}

/* As coarse as the coarsest float of the graph. */
static double tolerance_of(const tn_graph *graph)
{
    double tolerance = 1e-5;
    for (const tn_node *node = graph->first; node; node = node->next) {
        for (int k = 0; k < node->out_count; k++) {
            tn_dtype dtype = node->out[k] ? node->out[k]->type.dtype : TN_DTYPE_NONE;
            double own = 1e-5;
            if (tn_dtype_kind_of(dtype) == TN_KIND_F && tn_dtype_bits(dtype) <= 16)
                own = dtype == TN_DTYPE_F16 ? 5e-3 : dtype == TN_DTYPE_BF16 ? 2e-2 : 1e-1;
            if (own > tolerance) tolerance = own;
        }
    }
    return tolerance;
}

static bool is_huge(const tn_tensor *t)
{
    for (int64_t i = 0; i < tn_tensor_count(t); i++) {
        double value = tn_load_f64(t->dtype, t->data, i);
        if (!isnan(value) && fabs(value) > 1e30) return true;
    }
    return false;
}

static bool close_enough(const tn_tensor *got, const tn_tensor *want, double tolerance, char *why,
                         size_t why_bytes)
{
    double error = 0, size = 0, most = 0;
    if (tn_dtype_kind_of(want->dtype) != TN_KIND_F || got->dtype != want->dtype ||
        !tn_tensor_same_shape(got, want))
        return same_bits(got, want, why, why_bytes);
    if (is_huge(want)) return true;
    for (int64_t i = 0; i < tn_tensor_count(want); i++) {
        double x = tn_load_f64(got->dtype, got->data, i),
               y = tn_load_f64(want->dtype, want->data, i);
        if (isnan(x) && isnan(y)) continue;
        if (!isfinite(x) || isnan(y)) {
            snprintf(why, why_bytes, "element %lld is %g and should be %g", (long long)i, x, y);
            return false;
        }
        error += (x - y) * (x - y);
        size += y * y;
        most = fmax(most, fabs(x - y));
    }
    if (sqrt(error) <= tolerance * sqrt(size) || most <= tolerance * 1e-2) return true;
    snprintf(why, why_bytes, "relative L2 %.3g, largest difference %.3g, allowed %.3g",
             sqrt(error) / (size > 0 ? sqrt(size) : 1), most, tolerance);
    return false;
}

/* ---- Runs ------------------------------------------------------------------------------------*/

static bool copy_tensor(checker *c, const tn_tensor *t, tn_tensor *out)
{
    int64_t count = tn_tensor_count(t), bytes = tn_tensor_bytes(t);
    *out = *t;
    tn_tensor_set_dense(out);
    if (bytes < 0) return false;
    out->data = tn_arena_alloc(&c->arena, (size_t)bytes + 16);
    if (!out->data) return false;
    if (count) memcpy(out->data, t->data, (size_t)bytes);
    for (int64_t i = 0; t->dtype == TN_DTYPE_STRING && i < count; i++) {
        tn_string *s = (tn_string *)out->data + i;
        s->text = tn_arena_text(&c->arena, s->text ? s->text : "", s->bytes);
        if (!s->text) return false;
    }
    return true;
}

static tn_status bind_inputs(const maker *m, tn_context *context, int set)
{
    for (int64_t i = 0; i < m->graph->input_count; i++) {
        const tn_value *value = m->graph->input[i];
        TN_TRY(tn_exec_context_bind(context, value->name, &find_item(m, value)->at[set]));
    }
    return NULL;
}

/* The user's own memory for outputs whose shape is known from an earlier run. */
static tn_status bind_outputs(checker *c, side *s, const tn_tensor *like)
{
    for (int64_t i = 0; i < c->m->graph->output_count; i++) {
        tn_tensor own = like[i];
        own.data = tn_arena_alloc(&c->arena, (size_t)tn_tensor_bytes(&own) + 16);
        TN_CHECK(own.data, TN_OUT_OF_MEMORY, "no memory for an output");
        TN_TRY(tn_exec_context_bind(s->context, c->m->graph->output[i].name, &own));
    }
    return NULL;
}

static tn_status run_once(checker *c, side *s, int run, tn_tensor **out)
{
    const tn_graph *graph = c->m->graph;
    TN_TRY(bind_inputs(c->m, s->context, run % SETS));
    if (s == &c->loaded && run == SETS && s->out[0]) TN_TRY(bind_outputs(c, s, s->out[0]));
    TN_TRY(tn_exec_context_run(s->context));
    *out = TN_NEW_ARRAY(&c->arena, tn_tensor, graph->output_count);
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory for outputs");
    for (int64_t i = 0; i < graph->output_count; i++) {
        tn_tensor t;
        TN_TRY(tn_exec_context_output(s->context, graph->output[i].name, &t));
        TN_CHECK(copy_tensor(c, &t, &(*out)[i]), TN_OUT_OF_MEMORY, "no memory for outputs");
    }
    return NULL;
}

static void run_side(checker *c, side *s)
{
    tn_status status = tn_exec_context_new(s->engine, &s->context);
    /* Kernels one by one, which results are compared with, flush nothing. */
    if (!status) tn_exec_context_keep_denormals(s->context, true);
    if (!good(c, s->name, status)) return;
    for (int run = 0; run < RUNS; run++) {
        tn_tensor *out = NULL;
        status = run_once(c, s, run, &out);
        s->code[run] = tn_status_code(status);
        tn_status_text(status, true, s->message[run], sizeof s->message[run]);
        if (!status) s->out[run] = out;
        if (s->code[run] == TN_INTERNAL || s->code[run] == TN_CORRUPT)
            find(c, "%s, run %d: %s", s->name, run, s->message[run]);
    }
}

/* ---- The sides -------------------------------------------------------------------------------*/

static void build_side(checker *c, side *s, const tn_graph *graph, bool optimize, int threads,
                       int rubbish)
{
    tn_build_config config = {.size = sizeof config,
                              .threads = threads,
                              .budget_ms = -1,
                              .no_check = true,
                              .no_optimize = !optimize};
    set_rubbish(rubbish);
    tn_status status = tn_build_engine(graph, &config, &s->engine);
    if (!status) {
        run_side(c, s);
        return;
    }
    for (int run = 0; run < RUNS; run++) {
        s->code[run] = tn_status_code(status);
        tn_status_text(status, true, s->message[run], sizeof s->message[run]);
    }
    if (s->code[0] == TN_INTERNAL) find(c, "%s, build: %s", s->name, s->message[0]);
}

static void load_side(checker *c)
{
    side *s = &c->loaded;
    set_rubbish(0x77);
    if (!good(c, "writing the engine", tn_engine_file_write(c->best.engine, &c->image)) ||
        !good(c, "an empty engine", tn_exec_engine_new(&tn_backend_cpu, 1, &s->engine)))
        return;
    tn_mapping mapping = {c->image.at, c->image.count};
    if (good(c, "reading the engine", tn_engine_file_read(s->engine, mapping, "image")) &&
        good(c, "the engine read", tn_exec_engine_ready(s->engine)))
        run_side(c, s);
}

static void close_side(side *s)
{
    tn_exec_context_free(s->context);
    tn_exec_engine_release(s->engine);
}

/* ---- Judgement -------------------------------------------------------------------------------*/

/* The first run again, for the same bits: what a context keeps between shapes must not matter. */
static void check_return(checker *c, const side *s)
{
    char why[300];
    if (s->code[0] != s->code[SETS])
        find(c, "%s: at the first shapes again: %s", s->name,
             s->code[0] ? s->message[0] : s->message[SETS]);
    for (int64_t i = 0; s->out[0] && s->out[SETS] && i < c->m->graph->output_count; i++)
        if (!same_bits(&s->out[SETS][i], &s->out[0][i], why, sizeof why))
            find(c, "%s: output %s at the first shapes again: %s", s->name,
                 c->m->graph->output[i].name, why);
}

/* Against the values that the maker found node by node. */
static void check_plain(checker *c)
{
    char why[300];
    const maker *m = c->m;
    for (int run = 0; run < SETS; run++) {
        if (c->plain.code[run] && !m->fails[run] && c->plain.code[run] != TN_OUT_OF_MEMORY)
            find(c, "%s, run %d: the reference kernels one by one do not fail, but: %s",
                 c->plain.name, run, c->plain.message[run]);
        for (int64_t i = 0; c->plain.out[run] && i < m->graph->output_count; i++) {
            const item *it = find_item(m, m->graph->output[i].value);
            if (it->missing) continue;
            if (!same_bits(&c->plain.out[run][i], &it->at[run], why, sizeof why))
                find(c, "%s, run %d: output %s differs from the reference kernels one by one: %s",
                     c->plain.name, run, m->graph->output[i].name, why);
        }
    }
}

/* Does the reference itself give other results when its roundings are others? */
static bool is_unstable(checker *c, int run, int64_t output, double tolerance)
{
    maker *m = c->m;
    dice d = {7};
    char why[300];
    const item *it = find_item(m, m->graph->output[output].value);
    for (int attempt = 0; attempt < 8; attempt++)
        if (!shake(m, run, &d) ||
            !close_enough(&it->at[SHAKEN], &c->plain.out[run][output], tolerance, why, sizeof why))
            return true;
    return false;
}

static void check_best(checker *c, const side *best)
{
    char why[300];
    const tn_graph *graph = c->m->graph;
    double tolerance = tolerance_of(graph);
    for (int run = 0; run < SETS; run++) {
        bool a = c->plain.code[run], b = best->code[run];
        if (c->plain.code[run] == TN_OUT_OF_MEMORY || best->code[run] == TN_OUT_OF_MEMORY) continue;
        /* What the reference refuses, an engine that did not have to look may let pass. */
        if (a != b && !c->m->fails[run])
            find(c, "run %d: only the %s engine fails: %s", run, a ? "unoptimised" : "optimised",
                 a ? c->plain.message[run] : best->message[run]);
        c->v->ran |= !a;
        c->v->failed |= a;
        for (int64_t i = 0; !a && !b && i < graph->output_count; i++) {
            if (close_enough(&best->out[run][i], &c->plain.out[run][i], tolerance, why, sizeof why))
                continue;
            if (tn_tensor_same_shape(&best->out[run][i], &c->plain.out[run][i]) &&
                is_unstable(c, run, i, tolerance)) {
                c->v->unstable = true;
                continue;
            }
            find(c, "run %d: output %s of the optimised engine: %s", run, graph->output[i].name,
                 why);
        }
    }
}

static void check_loaded(checker *c)
{
    char why[300];
    for (int run = 0; run < RUNS; run++) {
        if (c->loaded.code[run] == TN_OUT_OF_MEMORY || c->best.code[run] == TN_OUT_OF_MEMORY)
            continue;
        if (c->loaded.code[run] != c->best.code[run])
            find(c, "run %d: saved and loaded, or on one thread: %s; before: %s", run,
                 c->loaded.message[run], c->best.message[run]);
        for (int64_t i = 0; c->loaded.out[run] && c->best.out[run] && i < c->m->graph->output_count;
             i++)
            if (!same_bits(&c->loaded.out[run][i], &c->best.out[run][i], why, sizeof why))
                find(c, "run %d: output %s, saved and loaded, or on one thread: %s", run,
                     c->m->graph->output[i].name, why);
    }
}

/* ---- Text ------------------------------------------------------------------------------------*/

static char *print(const tn_graph *graph, tn_arena *arena, const tn_value *const **constants,
                   int64_t *count)
{
    tn_graph_print_options options = {.inline_max = 1 << 20};
    tn_text text = {0};
    char *out = NULL;
    if (tn_graph_print(graph, &options, &text, arena, constants, count) ||
        tn_text_take(&text, &out)) {
        tn_text_fini(&text);
        return NULL;
    }
    return out;
}

char *graph_text(const tn_graph *graph)
{
    return print(graph, NULL, NULL, NULL);
}

/* Strings have no text form: their data lies beside the text. */
static bool parse(checker *c, const char *text, const tn_value *const *constants, int64_t count)
{
    tn_tensor *data = TN_NEW_ARRAY(&c->arena, tn_tensor, count);
    for (int64_t i = 0; data && i < count; i++) data[i] = constants[i]->constant;
    return data && good(c, "reading the graph's text back",
                        tn_graph_parse(text, strlen(text), data, count, &c->parsed));
}

/* Symbols of the run are numbered anew by each inference, and sums stand in the order of their
 * symbols: types with such dims are left out. */
static void strip_symbols(char *text)
{
    char *to = text;
    for (const char *at = text; *at; at++) {
        size_t bytes = *at == '[' ? strcspn(at, "]\n") : 0;
        if (bytes && memchr(at, '$', bytes)) at += bytes;
        else *to++ = *at;
    }
    *to = 0;
}

static void check_text(checker *c)
{
    const tn_value *const *constants = NULL;
    int64_t count = 0;
    char *first = print(c->m->graph, &c->arena, &constants, &count), *second = NULL;
    if (!first) {
        find(c, "the graph cannot be printed");
        return;
    }
    if (parse(c, first, constants, count)) {
        second = graph_text(c->parsed);
        strip_symbols(first);
        if (second) strip_symbols(second);
        if (!second || strcmp(first, second)) {
            size_t at = 0;
            while (second && first[at] && first[at] == second[at]) at++;
            size_t from = at > 200 ? at - 200 : 0;
            find(c, "the text changes when read back: \"%.400s\" becomes \"%.400s\"", first + from,
                 second ? second + from : "");
        }
    }
    tn_text_free(first);
    tn_text_free(second);
}

/* The graph as the plan of a card has it, which the host can run as well. */
static void check_turned(checker *c)
{
    tn_graph *graph = NULL;
    if (good(c, "a copy for a card", tn_graph_clone(c->parsed, false, &graph)) &&
        good(c, "the passes for a card",
             tn_passes_run_for(graph, &(tn_pass_options){.for_card = true}))) {
        build_side(c, &c->turned, graph, true, 1, 0x33);
        check_best(c, &c->turned);
    }
    close_side(&c->turned);
    tn_graph_free(graph);
}

static void check_sides(checker *c)
{
    if (!good(c, "the graph is not sound", tn_graph_verify(c->m->graph))) return;
    check_text(c);
    if (!c->parsed) return;
    build_side(c, &c->plain, c->m->graph, false, 1, 0x11);
    check_plain(c);
    build_side(c, &c->best, c->parsed, true, 2, 0xFF);
    check_best(c, &c->best);
    if (c->plain.engine) check_return(c, &c->plain);
    if (!c->best.engine) return;
    check_turned(c);
    check_return(c, &c->best);
    c->v->optimised = tn_text_copy(c->best.engine->graph_text);
    load_side(c);
    if (!c->loaded.engine || c->v->bad) return;
    check_return(c, &c->loaded);
    check_loaded(c);
}

void check_graph(maker *m, verdict *out)
{
    checker c = {.m = m,
                 .v = out,
                 .plain.name = "unoptimised",
                 .best.name = "optimised",
                 .turned.name = "for a card",
                 .loaded.name = "loaded"};
    *out = (verdict){0};
    tn_arena_init(&c.arena);
    if (m->finding[0]) find(&c, "%s", m->finding);
    else check_sides(&c);
    close_side(&c.plain);
    close_side(&c.best);
    close_side(&c.loaded);
    tn_writer_fini(&c.image);
    tn_graph_free(c.parsed);
    tn_arena_fini(&c.arena);
}
