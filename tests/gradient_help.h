/* For tests of gradients: a graph with a loss, differentiated, built as an engine, and held against
 * central differences. Inputs whose name begins with '_' and those that are no floats stay fixed.
 */
#ifndef TN_TESTS_GRADIENT_HELP_H
#define TN_TESTS_GRADIENT_HELP_H

#include <math.h>
#include <stdlib.h>

#include "engine_help.h"
#include "passes/gradient.h"

enum { TRAINING_INPUTS = 40, TRAINING_PROBES = 60 };

typedef struct training {
    const char *sizes; /* "n=3 m=1": of the symbols; 2 where nothing is said */
    double lo, hi;     /* of floats; integers are 0 or 1 */
    int threads;
    double budget_ms; /* as in tn_build_config */
    tn_graph *graph;
    tn_engine *engine;
    tn_context *context;
    int count;
    tn_tensor input[TRAINING_INPUTS];
    const char *name[TRAINING_INPUTS];
    bool moves[TRAINING_INPUTS];
    uint64_t random;
} training;

static inline double training_random(training *t)
{
    t->random = t->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(t->random >> 11) / 9007199254740992.0;
}

static inline int64_t training_size(const training *t, const char *symbol)
{
    size_t length = strlen(symbol);
    for (const char *at = t->sizes ? t->sizes : ""; *at; at++)
        if (!strncmp(at, symbol, length) && at[length] == '=') return atoi(at + length + 1);
    return 2;
}

static inline tn_tensor training_tensor(const training *t, const tn_type *type)
{
    const tn_exprs *e = t->graph->exprs;
    int64_t *values = calloc((size_t)e->count, sizeof(int64_t)), dim[TN_RANK_MAX];
    for (int64_t i = 0; i < e->count; i++) {
        const tn_expr_node *node = tn_expr_get(e, (tn_expr)i);
        if (node->op == TN_EXPR_OP_SYMBOL)
            values[i] = node->value ? TN_EXPR_UNKNOWN : training_size(t, node->name);
    }
    assert_ok(tn_exprs_evaluate(e, values));
    for (int i = 0; i < type->rank; i++) dim[i] = values[type->dim[i]];
    free(values);
    tn_tensor out = tn_tensor_of(type->dtype, dim, type->rank, NULL);
    out.data = calloc((size_t)tn_tensor_bytes(&out) + 1, 1);
    return out;
}

/* Differentiates in place: the graph is then owned by the training. */
static inline void training_open(training *t, tn_graph *graph, tn_value *loss, const char *what)
{
    tn_value *wrt[TRAINING_INPUTS], *gradient[TRAINING_INPUTS];
    char name[200];
    int count = 0;
    t->graph = graph;
    t->random = 12345;
    assert_true(graph->input_count <= TRAINING_INPUTS);
    for (int64_t i = 0; i < graph->input_count; i++) {
        tn_value *x = graph->input[i];
        bool real = x->type.dtype == TN_DTYPE_F64 || x->type.dtype == TN_DTYPE_F32;
        t->input[i] = training_tensor(t, &x->type);
        t->name[i] = x->name;
        t->moves[i] = real && x->name[0] != '_';
        if (t->moves[i]) wrt[count++] = x;
        for (int64_t k = 0; k < tn_tensor_count(&t->input[i]); k++) {
            double u = training_random(t);
            if (real) tn_store_f64(x->type.dtype, t->input[i].data, k, t->lo + u * (t->hi - t->lo));
            else tn_store_i64(x->type.dtype, t->input[i].data, k, u < 0.5);
        }
    }
    t->count = (int)graph->input_count;
    tn_status status = tn_graph_differentiate(graph, loss, wrt, count, gradient);
    if (status) {
        char text[4096];
        tn_status_text(status, true, text, sizeof(text));
        fail_msg("%s\n%s", what, text);
    }
    assert_ok(tn_graph_verify(graph));
    graph->output_count = 0;
    assert_ok(tn_graph_add_output(graph, "loss", loss));
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "d.%s", wrt[i]->name);
        assert_ok(tn_graph_add_output(graph, name, gradient[i]));
    }
    tn_build_config config = {.size = sizeof(config),
                              .threads = t->threads ? t->threads : 1,
                              .budget_ms = t->budget_ms != 0 ? t->budget_ms : -1,
                              .no_check = true};
    assert_ok(tn_build_engine(graph, &config, &t->engine));
    assert_ok(tn_exec_context_new(t->engine, &t->context));
    for (int i = 0; i < t->count; i++) {
        status = tn_exec_context_bind(t->context, t->name[i], &t->input[i]);
        if (status && tn_status_code(status) != TN_NOT_FOUND) assert_ok(status);
    }
}

static inline double training_loss(training *t)
{
    tn_tensor out;
    assert_ok(tn_exec_context_run(t->context));
    assert_ok(tn_exec_context_output(t->context, "loss", &out));
    return tn_load_f64(out.dtype, out.data, 0);
}

/* The gradient of input i after a run. */
static inline tn_tensor training_gradient(training *t, int i)
{
    char name[200];
    tn_tensor out;
    snprintf(name, sizeof(name), "d.%s", t->name[i]);
    assert_ok(tn_exec_context_output(t->context, name, &out));
    return out;
}

/* Against (L(x + h) - L(x - h)) / 2h, with h so small that no maximum changes hands, at some
 * elements of each input. */
static inline void training_check(training *t, const char *what, double tolerance)
{
    const double h = 1e-7;
    for (int i = 0; i < t->count; i++) {
        tn_tensor *x = &t->input[i];
        if (!t->moves[i]) continue;
        training_loss(t);
        tn_tensor g = training_gradient(t, i);
        int64_t count = tn_tensor_count(x);
        assert_int_equal(g.dtype, x->dtype);
        assert_int_equal(g.rank, x->rank);
        for (int k = 0; k < x->rank; k++) assert_int_equal(g.dim[k], x->dim[k]);
        double *got = calloc((size_t)count + 1, sizeof(double));
        for (int64_t k = 0; k < count; k++) got[k] = tn_load_f64(g.dtype, g.data, k);
        for (int probe = 0; probe < TRAINING_PROBES && probe < count; probe++) {
            int64_t k =
                count <= TRAINING_PROBES ? probe : (int64_t)(training_random(t) * (double)count);
            double was = tn_load_f64(x->dtype, x->data, k);
            tn_store_f64(x->dtype, x->data, k, was + h);
            double up = training_loss(t);
            tn_store_f64(x->dtype, x->data, k, was - h);
            double down = training_loss(t);
            tn_store_f64(x->dtype, x->data, k, was);
            double want = (up - down) / (2 * h);
            if (!(fabs(got[k] - want) <= tolerance * (1 + fabs(want))))
                fail_msg("%s\nd loss / d %s[%lld] is %.9g, differences give %.9g", what, t->name[i],
                         (long long)k, got[k], want);
        }
        free(got);
    }
}

static inline void training_close(training *t)
{
    for (int i = 0; i < t->count; i++) free(t->input[i].data);
    tn_exec_context_free(t->context);
    tn_exec_engine_release(t->engine);
    tn_graph_free(t->graph);
}

#endif
