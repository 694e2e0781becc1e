/* Where two graphs part: both are made into plans again with every value that has the same name in
 * both as an output, run with the same inputs and compared value by value. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "build/gate.h"

typedef struct search {
    const tn_gate *gate;
    tn_graph *original, *optimised;
    tn_constant_list original_constants, optimised_constants;
    tn_engine *want, *got;
    tn_context *want_context, *got_context;
    tn_arena arena;
} search;

static bool is_output_name(const tn_graph *graph, const char *name)
{
    for (int64_t i = 0; i < graph->output_count; i++)
        if (!strcmp(graph->output[i].name, name)) return true;
    return false;
}

tn_status tn_expose_values(tn_graph *graph, const tn_graph *like)
{
    for (const tn_node *node = graph->first; node; node = node->next)
        for (int32_t k = 0; k < node->out_count; k++) {
            tn_value *value = node->out[k];
            if (!value || value->type.kind != TN_TYPE_TENSOR || !tn_value_has_users(value) ||
                is_output_name(graph, value->name))
                continue;
            const tn_value *other = like ? tn_map_find(&like->names, value->name) : value;
            if (other && other->kind == TN_VALUE_NODE && tn_value_has_users(other))
                TN_TRY(tn_graph_add_output(graph, value->name, value));
        }
    return NULL;
}

static tn_status run_both(search *s, const tn_graph *original, const tn_tensor *inputs)
{
    const tn_gate *gate = s->gate;
    TN_TRY(tn_graph_clone(original, false, &s->original));
    TN_TRY(tn_graph_clone(gate->optimised, false, &s->optimised));
    TN_TRY(tn_expose_values(s->original, s->optimised));
    TN_TRY(tn_expose_values(s->optimised, s->original));
    tn_chooser reference = tn_gate_reference_chooser(gate, &s->arena);
    TN_TRY(tn_gate_engine(gate, s->original, &reference, &s->original_constants, &s->want));
    TN_TRY(tn_gate_engine(gate, s->optimised, gate->chooser, &s->optimised_constants, &s->got));
    TN_TRY(tn_exec_context_new(s->want, &s->want_context));
    TN_TRY(tn_exec_context_new(s->got, &s->got_context));
    TN_TRY(tn_gate_execute(s->want_context, gate->original, inputs));
    return tn_gate_execute(s->got_context, gate->original, inputs);
}

/* Two graphs, ready to be asked for each value that both have; closed in any case. The plans are no
 * part of the report. */
static tn_status open_search(search *s, const tn_gate *gate, const tn_graph *original,
                             const tn_tensor *inputs)
{
    *s = (search){.gate = gate};
    tn_arena_init(&s->arena);
    tn_constants_init(&s->original_constants, &s->arena);
    tn_constants_init(&s->optimised_constants, &s->arena);
    tn_text *report = gate->chooser->report, *measured = gate->chooser->measured;
    gate->chooser->report = gate->chooser->measured = NULL;
    gate->chooser->budget_ms = 0;
    tn_status status = run_both(s, original, inputs);
    gate->chooser->report = report;
    gate->chooser->measured = measured;
    return status;
}

static void close_search(search *s)
{
    tn_exec_context_free(s->want_context);
    tn_exec_context_free(s->got_context);
    tn_exec_engine_release(s->want);
    tn_exec_engine_release(s->got);
    tn_constants_fini(&s->original_constants);
    tn_constants_fini(&s->optimised_constants);
    tn_graph_free(s->original);
    tn_graph_free(s->optimised);
    tn_arena_fini(&s->arena);
}

/* One value of both. *compared: false where only one graph has it. */
static tn_status compare_value(search *s, const tn_value *value, bool *compared, tn_tensor *want,
                               tn_tensor *got, tn_verdict_of *v)
{
    *compared = value && value->type.kind == TN_TYPE_TENSOR &&
                is_output_name(s->original, value->name) &&
                is_output_name(s->optimised, value->name);
    if (!*compared) return NULL;
    TN_TRY(tn_exec_context_output(s->want_context, value->name, want));
    TN_TRY(tn_exec_context_output(s->got_context, value->name, got));
    bool lowered =
        want->dtype == TN_DTYPE_F32 && (got->dtype == TN_DTYPE_F16 || got->dtype == TN_DTYPE_BF16);
    if (!lowered) return tn_gate_judge(got, want, s->gate->tolerance_used, v);
    tn_tensor wide;
    TN_TRY(tn_tensor_new(TN_DTYPE_F32, got->dim, got->rank, &wide));
    tn_status status = tn_tensor_convert(got, &wide);
    if (!status) status = tn_gate_judge(&wide, want, s->gate->tolerance_used, v);
    tn_tensor_free(&wide);
    return status;
}

static tn_status find_first(search *s, tn_text *text)
{
    for (const tn_node *node = s->original->first; node; node = node->next)
        for (int32_t k = 0; k < node->out_count; k++) {
            tn_tensor want, got;
            tn_verdict_of v;
            char label[200];
            bool compared;
            TN_TRY(compare_value(s, node->out[k], &compared, &want, &got, &v));
            /* in another form (of windows, say), it tells nothing */
            if (!compared || v.within || !v.same_shape) continue;
            tn_text_printf(text,
                           "; the first tensor that differs is '%s' of %s: ", node->out[k]->name,
                           tn_node_label(node, label, sizeof(label)));
            tn_gate_print_verdict(&v, &got, &want, text);
            return NULL;
        }
    return NULL;
}

void tn_gate_find_first(const tn_gate *gate, const tn_tensor *inputs, tn_text *text)
{
    search s;
    tn_status status = open_search(&s, gate, gate->original, inputs);
    if (!status) status = find_first(&s, text);
    if (status)
        tn_log(TN_LOG_INFO, "the first tensor that differs was not found: %s",
               tn_status_message(status));
    close_search(&s);
}

/* ---- Which nodes lose most -------------------------------------------------------------------*/

/* What a node adds to the errors of its operands; what is not finite counts as beyond all. */
static tn_status own_error(search *s, const tn_node *node, double *error, double *own)
{
    tn_tensor want, got;
    tn_verdict_of v;
    bool compared;
    double before = 0;
    TN_TRY(compare_value(s, node->out_count ? node->out[0] : NULL, &compared, &want, &got, &v));
    *own = -1;
    for (int i = 0; i < node->in_count; i++)
        if (node->in[i]) before = fmax(before, error[node->in[i]->id]);
    if (!compared || !v.same_shape) {
        for (int k = 0; k < node->out_count; k++)
            if (node->out[k]) error[node->out[k]->id] = before;
        return NULL;
    }
    double relative = v.difference.rel_l2 < 1 ? v.difference.rel_l2 : 1;
    for (int k = 0; k < node->out_count; k++)
        if (node->out[k]) error[node->out[k]->id] = relative;
    if (got.dtype != want.dtype || s->gate->precision == TN_PRECISION_TF32)
        *own = relative - before;
    return NULL;
}

static tn_status add_suspect(tn_gate *gate, const char *name)
{
    const char *copy = tn_arena_text(gate->chooser->arena, name, strlen(name));
    TN_CHECK(copy, TN_OUT_OF_MEMORY, "no memory for the layers that are held back");
    gate->suspect[gate->suspect_count++] = copy;
    return NULL;
}

/* All that lose half the tolerance by themselves, or half of what the worst of them loses. */
static tn_status collect(search *s, tn_gate *gate)
{
    uint32_t ids = s->original->next_id;
    double most = 0, *error = TN_NEW_ARRAY(&s->arena, double, ids);
    double *own = TN_NEW_ARRAY(&s->arena, double, ids);
    TN_CHECK(error && own, TN_OUT_OF_MEMORY, "no memory to look for layers to hold back");
    memset(error, 0, sizeof(*error) * ids);
    for (const tn_node *node = s->original->first; node; node = node->next) {
        TN_TRY(own_error(s, node, error, &own[node->id]));
        most = fmax(most, own[node->id]);
    }
    double least = fmin(gate->tolerance_used, most) / 2;
    for (const tn_node *node = s->original->first; node && most > 0; node = node->next)
        if (own[node->id] >= least && gate->suspect_count < TN_SUSPECTS_MAX)
            TN_TRY(add_suspect(gate, node->out[0]->name));
    return NULL;
}

tn_status tn_gate_find_suspects(tn_gate *gate, const tn_tensor *inputs)
{
    search s;
    gate->suspect_count = 0;
    tn_status status = open_search(&s, gate, gate->exact, inputs);
    if (!status) status = collect(&s, gate);
    close_search(&s);
    return status;
}
