/* A model of one operator, from the text of a problem: to time a kernel alone. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "ops/reference.h"

/* The operator with its attributes, as the problem has it: up to the first space outside braces. */
static size_t head_bytes(const char *problem)
{
    int depth = 0;
    bool quoted = false;
    const char *at = problem;
    for (; *at && (depth || quoted || *at != ' '); at++) {
        if (*at == '"' && (at == problem || at[-1] != '\\')) quoted = !quoted;
        if (!quoted) depth += (*at == '{') - (*at == '}');
    }
    return (size_t)(at - problem);
}

static tn_status fill(tn_tensor *t, uint64_t seed, tn_arena *arena)
{
    bool whole = !(UINT32_C(1) << t->dtype & TN_DTS_FLOAT);
    t->data = tn_arena_alloc(arena, (size_t)tn_tensor_bytes(t));
    TN_CHECK(t->data, TN_OUT_OF_MEMORY, "no memory for the weights of a problem");
    return tn_tensor_fill_random(t, seed, whole ? 0 : -1, whole ? 2 : 1);
}

/* Constants go beside the text, as data[k]. */
static tn_status write_inputs(tn_problem *p, tn_arena *arena, tn_text *out, tn_tensor *data,
                              int64_t *count)
{
    char type[160];
    for (int32_t i = 0; i < p->in_count; i++) {
        tn_tensor *t = &p->in[i];
        if (t->dtype == TN_DTYPE_NONE) continue;
        tn_tensor_type_text(t, type, sizeof type);
        bool constant = t->data || (i < 64 && p->in_constant >> i & 1);
        if (!constant) {
            tn_text_printf(out, "input %%x%d : %s\n", i, type);
            continue;
        }
        if (!t->data) TN_TRY(fill(t, (uint64_t)i + 1, arena));
        tn_text_printf(out, "const %%x%d : %s = #%lld\n", i, type, (long long)*count);
        data[(*count)++] = *t;
    }
    return NULL;
}

/* A problem has words as they are, a graph's text in quotes. */
static void write_head(const char *problem, tn_text *out)
{
    const char *at = problem, *end = problem + head_bytes(problem);
    while (at < end) {
        size_t bytes = strcspn(at, "=");
        bytes = TN_MIN(bytes + 1, (size_t)(end - at));
        tn_text_printf(out, "%.*s", (int)bytes, at);
        at += bytes;
        bytes = at < end ? strcspn(at, ",} ") : 0;
        bool number = bytes == 3 && (!strncmp(at, "inf", 3) || !strncmp(at, "nan", 3));
        bool word = bytes && !number && isalpha((unsigned char)*at);
        if (!word) continue;
        tn_text_printf(out, "\"%.*s\"", (int)bytes, at);
        at += bytes;
    }
}

static void write_node(const char *problem, const tn_problem *p, tn_text *out)
{
    const tn_op *op = tn_op_find_any(p->op);
    const char *domain = op->domain ? op->domain : "";
    for (int32_t i = 0; i < p->out_count; i++) tn_text_printf(out, "%s%%y%d", i ? ", " : "", i);
    tn_text_printf(out, " = %s%s", domain, *domain ? "." : "");
    write_head(problem, out);
    tn_text_printf(out, "(");
    for (int32_t i = 0; i < p->in_count; i++) {
        tn_text_printf(out, i ? ", " : "");
        if (p->in[i].dtype == TN_DTYPE_NONE) tn_text_printf(out, "_");
        else tn_text_printf(out, "%%x%d", i);
    }
    tn_text_printf(out, ")\n");
    for (int32_t i = 0; i < p->out_count; i++)
        tn_text_printf(out, "output \"y%d\" = %%y%d\n", i, i);
}

static tn_status graph_of(const char *problem, tn_arena *arena, tn_text *text, tn_graph **out)
{
    tn_problem p;
    tn_graph *borrowing;
    int64_t count = 0;
    problem += strspn(problem, " ");
    TN_TRY(tn_problem_parse(problem, arena, &p));
    tn_tensor *data = TN_NEW_ARRAY(arena, tn_tensor, p.in_count + 1);
    TN_CHECK(data, TN_OUT_OF_MEMORY, "no memory for a problem");
    tn_text_printf(text, "graph \"problem\" {\n");
    TN_TRY(write_inputs(&p, arena, text, data, &count));
    write_node(problem, &p, text);
    tn_text_printf(text, "}\n");
    TN_CHECK(!text->failed, TN_OUT_OF_MEMORY, "no memory for a problem");
    TN_TRY(tn_graph_parse(text->at, text->bytes, data, count, &borrowing));
    tn_status status = tn_graph_clone(borrowing, true, out);
    tn_graph_free(borrowing);
    return status;
}

tn_status tn_model_from_problem(const char *problem, tn_model **out)
{
    tn_arena arena;
    tn_text text = {0};
    tn_graph *graph;
    TN_NOT_NULL(problem);
    TN_NOT_NULL(out);
    tn_arena_init(&arena);
    tn_status status = graph_of(problem, &arena, &text, &graph);
    tn_text_fini(&text);
    tn_arena_fini(&arena);
    if (!status) status = tn_model_of_graph(graph, "problem", out);
    return status ? tn_status_trail(status, __FILE__, __LINE__, __func__) : NULL;
}
