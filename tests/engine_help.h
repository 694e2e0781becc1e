/* For tests of plans, engines and contexts: small graphs from text, built and run. */
#ifndef TN_TESTS_ENGINE_HELP_H
#define TN_TESTS_ENGINE_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "build/build.h"
#include "exec/exec.h"
#include "ir/graph.h"

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        tn_status ok_ = (call);                                                                    \
        if (ok_) {                                                                                 \
            char text_[4096];                                                                      \
            tn_status_text(ok_, true, text_, sizeof(text_));                                       \
            fail_msg("%s", text_);                                                                 \
        }                                                                                          \
    } while (0)

/* The call fails with `code`, and its message has `part` in it. */
#define assert_fails(call, code_wanted, part)                                                      \
    do {                                                                                           \
        tn_status bad_ = (call);                                                                   \
        assert_non_null(bad_);                                                                     \
        if (!strstr(tn_status_message(bad_), part))                                                \
            fail_msg("\"%s\" is not in \"%s\"", part, tn_status_message(bad_));                    \
        assert_int_equal(tn_status_code(bad_), code_wanted);                                       \
    } while (0)

static inline tn_graph *parse_graph(const char *text)
{
    tn_graph *graph = NULL;
    assert_ok(tn_graph_parse(text, strlen(text), NULL, 0, &graph));
    return graph;
}

static inline tn_engine *build_text(const char *text, const tn_build_config *config)
{
    tn_build_config plain = {.size = sizeof(plain), .threads = 1, .budget_ms = -1};
    tn_engine *engine = NULL;
    tn_graph *graph = parse_graph(text);
    assert_ok(tn_build_engine(graph, config ? config : &plain, &engine));
    tn_graph_free(graph);
    return engine;
}

static inline tn_context *new_context(const tn_engine *engine)
{
    tn_context *context = NULL;
    assert_ok(tn_exec_context_new(engine, &context));
    return context;
}

/* A dense tensor over the caller's memory. */
static inline tn_tensor view(tn_dtype dtype, void *data, int rank, int64_t d0, int64_t d1)
{
    int64_t dim[2] = {d0, d1};
    return tn_tensor_of(dtype, dim, rank, data);
}

#endif
