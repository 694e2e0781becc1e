/* The gate: does the tuned engine compute what the graph says?
 *
 * The graph as it was imported is run by reference kernels alone, no pass, no fusion, no packed
 * weight, and the outputs of both are compared at every set of shapes. Where they differ, both
 * graphs are made into plans again with every value that has the same name in both as an output, to
 * say which tensor is the first that went wrong.
 *
 * Inputs that steer a graph (a shape as an input, say) may be impossible to guess. If the reference
 * itself refuses all values tried at a set of shapes, nothing is learnt there, and the report says
 * so.
 */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "build/gate.h"
#include "ir/subgraph.h"

/* ---- Engines to compare ----------------------------------------------------------------------*/

tn_status tn_gate_engine(const tn_gate *gate, const tn_graph *graph, tn_chooser *chooser,
                         tn_constant_list *constants, tn_engine **out)
{
    tn_engine *engine;
    TN_TRY(tn_exec_engine_new(gate->engine->backend, tn_pool_threads(gate->engine->pool), &engine));
    engine->card = chooser->reference_only ? NULL : gate->engine->card;
    tn_status status = tn_emit(graph, chooser, engine, constants);
    if (!status) {
        tn_plan_set_constants(&engine->plan, constants->at, (int32_t)constants->count);
        status = tn_exec_engine_ready(engine);
    }
    if (status) {
        tn_exec_engine_release(engine);
        return tn_status_trail(status, __FILE__, __LINE__, __func__);
    }
    *out = engine;
    return NULL;
}

tn_chooser tn_gate_reference_chooser(const tn_gate *gate, tn_arena *arena)
{
    tn_chooser chooser = {.engine = gate->engine,
                          .reference_only = true,
                          .timings = gate->chooser->timings,
                          .arena = arena};
    tn_map_init(&chooser.decided, arena);
    return chooser;
}

/* ---- Judging ---------------------------------------------------------------------------------*/

/* Small integers that come from rounding floats may fall to either side. */
tn_status tn_gate_judge(const tn_tensor *got, const tn_tensor *want, double tolerance,
                        tn_verdict_of *out)
{
    *out =
        (tn_verdict_of){.same_shape = got->dtype == want->dtype && tn_tensor_same_shape(got, want)};
    if (!out->same_shape) return NULL;
    out->within = true;
    if (tn_tensor_count(got) == 0) return NULL;
    TN_TRY(tn_tensor_compare(got, want, tolerance, tolerance, &out->difference));
    bool rounded = want->dtype == TN_DTYPE_U8 || want->dtype == TN_DTYPE_I8;
    const tn_difference *d = &out->difference;
    /* All but nothing next to nothing: x - x may leave 1e-9 where the reference leaves 0. */
    out->within =
        d->rel_l2 <= tolerance || d->abs_max <= tolerance * 1e-2 || (rounded && d->abs_max <= 1);
    return NULL;
}

void tn_gate_print_verdict(const tn_verdict_of *v, const tn_tensor *got, const tn_tensor *want,
                           tn_text *text)
{
    char a[128], b[128];
    if (!v->same_shape)
        tn_text_printf(text, "it is %s and should be %s", tn_tensor_type_text(got, a, sizeof(a)),
                       tn_tensor_type_text(want, b, sizeof(b)));
    else
        tn_text_printf(
            text, "relative L2 %.3g, largest difference %.3g, worst at element %" PRId64 " of %s",
            v->difference.rel_l2, v->difference.abs_max, v->difference.worst_index,
            tn_tensor_type_text(want, b, sizeof(b)));
}

tn_status tn_gate_execute(tn_context *context, const tn_graph *graph, const tn_tensor *inputs)
{
    for (int64_t i = 0; i < graph->input_count; i++)
        TN_TRY(tn_exec_context_bind(context, graph->input[i]->name, &inputs[i]));
    tn_exec_context_limit(context, TN_GATE_ITERATIONS_MAX);
    return tn_exec_context_run(context);
}

/* ---- Tolerance -------------------------------------------------------------------------------*/

/* By the precision that was asked for, and the coarsest numbers that the graph itself computes
 * with. Inputs of a run may lose up to twice as much as those of the gate, so of what a lower
 * precision may lose half is accepted. Where a float falls between two steps of quantisation, the
 * last bit of it decides which: what comes after is no nearer to the reference than quantisation is
 * to the network. */
static double default_tolerance(const tn_graph *graph, tn_precision precision)
{
    static const double by_precision[] = {[TN_PRECISION_F32] = 1e-5,
                                          [TN_PRECISION_TF32] = 1e-3 / 2,
                                          [TN_PRECISION_F16] = 5e-3 / 2,
                                          [TN_PRECISION_BF16] = 2e-2 / 2};
    double tolerance = by_precision[precision];
    const tn_graph *inside;
    for (const tn_node *node = graph->first; node; node = node->next) {
        for (int i = 0; (inside = tn_node_inside(node, i)); i++)
            tolerance = TN_MAX(tolerance, default_tolerance(inside, precision));
        if (tn_node_rounds(node)) tolerance = TN_MAX(tolerance, 5e-2);
        for (int32_t k = 0; k < node->out_count; k++) {
            if (!node->out[k]) continue;
            tn_dtype dtype = node->out[k]->type.dtype;
            double of = dtype == TN_DTYPE_F16 ? 5e-3 : dtype == TN_DTYPE_BF16 ? 2e-2 : 1e-5;
            if (tn_dtype_kind_of(dtype) == TN_KIND_F && tn_dtype_bits(dtype) <= 8) of = 1e-1;
            tolerance = TN_MAX(tolerance, of);
        }
    }
    return tolerance;
}

/* ---- Runs ------------------------------------------------------------------------------------*/

static void free_inputs(const tn_graph *graph, tn_tensor *inputs)
{
    for (int64_t i = 0; i < graph->input_count; i++) tn_tensor_free(&inputs[i]);
}

/* Runs the reference at a set, with the first values that it takes; those stay in `inputs`. */
static tn_status run_reference(const tn_gate *gate, const tn_shape_set *set, int draw,
                               tn_context *context, tn_tensor *inputs, bool *ran)
{
    tn_arena arena;
    tn_status status = NULL;
    int64_t *values = NULL;
    *ran = false;
    tn_arena_init(&arena);
    if (tn_status_code(tn_shapes_values(gate->original, set, &arena, &values)) == TN_OUT_OF_MEMORY)
        status = TN_ERROR(TN_OUT_OF_MEMORY, "no memory to evaluate shapes");
    for (int attempt = 0; attempt < TN_GATE_ATTEMPTS && !status && !*ran; attempt++) {
        free_inputs(gate->original, inputs);
        status = tn_gate_inputs(gate->original, set, values, attempt, draw, inputs);
        if (status) break;
        tn_status refused = tn_gate_execute(context, gate->original, inputs);
        tn_code code = tn_status_code(refused);
        if (code == TN_OUT_OF_MEMORY || code == TN_CANCELLED) status = refused;
        else if (refused)
            tn_log(TN_LOG_INFO,
                   "the gate, %s shapes: the reference refused the values of attempt %d: %s",
                   set->name, attempt, tn_status_message(refused));
        else *ran = true;
    }
    tn_arena_fini(&arena);
    return status;
}

/* ---- The comparison --------------------------------------------------------------------------*/

static tn_status fail_mismatch(tn_gate *gate, const tn_shape_set *set, const char *output,
                               const tn_verdict_of *v, const tn_tensor *got, const tn_tensor *want,
                               const tn_tensor *inputs)
{
    tn_text text = {0};
    tn_text_printf(&text, "output '%s' differs from the unoptimised graph at the %s shapes (",
                   output, set->name);
    tn_shapes_print(gate->original, set, &text);
    tn_text_printf(&text, "): ");
    tn_gate_print_verdict(v, got, want, &text);
    tn_text_printf(&text, ", tolerance %.3g", gate->tolerance_used);
    if (gate->exact) {
        tn_status status = tn_gate_find_suspects(gate, inputs);
        if (status) {
            tn_text_fini(&text);
            return status;
        }
    }
    if (!gate->suspect_count) tn_gate_find_first(gate, inputs, &text);
    tn_status status = TN_ERROR(TN_MISMATCH, "%s", text.at ? text.at : "results differ");
    tn_text_fini(&text);
    return status;
}

/* A sequence or an optional, item by item: *v is of the first that differs, or of the worst. */
static tn_status judge_list(tn_context *want_context, tn_context *got_context, const char *name,
                            double tolerance, tn_tensor *want, tn_tensor *got, tn_verdict_of *v)
{
    int64_t want_count, got_count;
    tn_verdict_of one;
    TN_TRY(tn_exec_context_sequence_count(want_context, name, &want_count));
    TN_TRY(tn_exec_context_sequence_count(got_context, name, &got_count));
    TN_CHECK(want_count == got_count, TN_MISMATCH,
             "'%s' has %" PRId64 " tensors and should have %" PRId64, name, got_count, want_count);
    *v = (tn_verdict_of){.same_shape = true, .within = true};
    for (int64_t i = 0; i < want_count && v->within; i++) {
        TN_TRY(tn_exec_context_sequence_item(want_context, name, i, want));
        TN_TRY(tn_exec_context_sequence_item(got_context, name, i, got));
        TN_TRY(tn_gate_judge(got, want, tolerance, &one));
        if (!one.within || one.difference.rel_l2 > v->difference.rel_l2) *v = one;
    }
    return NULL;
}

static tn_status compare_outputs(tn_gate *gate, const tn_shape_set *set, tn_context *want_context,
                                 tn_context *got_context, const tn_tensor *inputs, double *worst)
{
    for (int64_t i = 0; i < gate->original->output_count; i++) {
        const char *name = gate->original->output[i].name;
        tn_tensor want, got;
        tn_verdict_of v;
        if (gate->original->output[i].value->type.kind != TN_TYPE_TENSOR) {
            TN_TRY(
                judge_list(want_context, got_context, name, gate->tolerance_used, &want, &got, &v));
        } else {
            TN_TRY(tn_exec_context_output(want_context, name, &want));
            TN_TRY(tn_exec_context_output(got_context, name, &got));
            TN_TRY_NOTE(tn_gate_judge(&got, &want, gate->tolerance_used, &v),
                        "while comparing output '%s'", name);
        }
        if (!v.within) return fail_mismatch(gate, set, name, &v, &got, &want, inputs);
        if (v.difference.rel_l2 > *worst) *worst = v.difference.rel_l2;
    }
    return NULL;
}

/* Errors of a lower precision are near what is allowed, and differ from input to input: there the
 * first set of shapes is looked at with several. */
static int draws_of(const tn_gate *gate, const tn_shape_set *set)
{
    return gate->precision != TN_PRECISION_F32 && set == gate->shapes->at ? TN_GATE_DRAWS : 1;
}

static tn_status check_set(tn_gate *gate, const tn_shape_set *set, tn_context *want,
                           tn_context *got, tn_tensor *inputs, int *compared)
{
    bool ran = true, any = false;
    double worst = 0;
    uint64_t begin = tn_clock_ns();
    for (int draw = 0; draw < draws_of(gate, set) && ran; draw++) {
        TN_TRY(run_reference(gate, set, draw, want, inputs, &ran));
        if (!ran) break;
        any = true;
        TN_TRY_NOTE(tn_gate_execute(got, gate->original, inputs),
                    "while checking the engine at the %s shapes", set->name);
        TN_TRY(compare_outputs(gate, set, want, got, inputs, &worst));
    }
    tn_text_printf(gate->report, "  %s (", set->name);
    tn_shapes_print(gate->original, set, gate->report);
    if (!any) {
        tn_text_printf(gate->report,
                       "): not compared, the reference takes none of the values tried\n");
        return NULL;
    }
    tn_text_printf(gate->report, "): relative L2 %.2g\n", worst);
    tn_log(TN_LOG_INFO, "the gate compared the %s shapes in %.0f ms", set->name,
           (double)(tn_clock_ns() - begin) / 1e6);
    ++*compared;
    return NULL;
}

static tn_status check_sets(tn_gate *gate, tn_context *want, tn_context *got, tn_arena *arena)
{
    int compared = 0;
    tn_tensor *inputs = TN_NEW_ARRAY(arena, tn_tensor, gate->original->input_count);
    TN_CHECK(inputs, TN_OUT_OF_MEMORY, "no memory for the inputs of the gate");
    tn_text_printf(gate->report, "gate: tolerance %.3g\n", gate->tolerance_used);
    for (int i = 0; i < gate->shapes->count; i++) {
        tn_status status = check_set(gate, &gate->shapes->at[i], want, got, inputs, &compared);
        free_inputs(gate->original, inputs);
        TN_TRY(status);
        TN_TRY(tn_watch_step(gate->watch));
    }
    gate->result = compared == gate->shapes->count ? "passed"
                   : compared                      ? "passed in part"
                                                   : "inconclusive";
    if (!compared)
        tn_log(TN_LOG_WARNING,
               "the engine was not compared with its graph: the reference takes none "
               "of the inputs tried (see the report)");
    return NULL;
}

/* Random numbers differ from run to run: there is nothing to compare. */
static const tn_node *find_impure(const tn_graph *graph)
{
    const tn_graph *inside;
    for (const tn_node *node = graph->first; node; node = node->next) {
        if (node->op->impure) return node;
        for (int i = 0; (inside = tn_node_inside(node, i)); i++) {
            const tn_node *found = find_impure(inside);
            if (found) return found;
        }
    }
    return NULL;
}

tn_status tn_gate_run(tn_gate *gate)
{
    const tn_node *impure = find_impure(gate->original);
    if (impure) {
        tn_text_printf(gate->report, "gate: not possible, %s gives other values at each run\n",
                       impure->op->name);
        gate->result = "inconclusive";
        return NULL;
    }
    for (int64_t i = 0; i < gate->original->input_count; i++) {
        if (gate->original->input[i]->type.kind == TN_TYPE_TENSOR) continue;
        tn_text_printf(gate->report,
                       "gate: not possible, input '%s' is a sequence or an optional\n",
                       gate->original->input[i]->name);
        gate->result = "inconclusive";
        return NULL;
    }
    tn_arena arena;
    tn_constant_list constants;
    tn_engine *engine = NULL;
    tn_context *want = NULL, *got = NULL;
    TN_TRY(tn_watch_begin(gate->watch, "check", gate->shapes->count));
    tn_arena_init(&arena);
    tn_constants_init(&constants, &arena);
    tn_chooser reference = tn_gate_reference_chooser(gate, &arena);
    gate->tolerance_used =
        gate->tolerance > 0 ? gate->tolerance : default_tolerance(gate->original, gate->precision);
    tn_status status = tn_gate_engine(gate, gate->original, &reference, &constants, &engine);
    if (!status) status = tn_exec_context_new(engine, &want);
    if (!status) status = tn_exec_context_new(gate->engine, &got);
    if (!status) {
        tn_exec_context_watch(want, gate->watch);
        tn_exec_context_watch(got, gate->watch);
        status = check_sets(gate, want, got, &arena);
    }
    tn_exec_context_free(want);
    tn_exec_context_free(got);
    tn_exec_engine_release(engine);
    tn_constants_fini(&constants);
    tn_arena_fini(&arena);
    return status ? tn_status_trail(status, __FILE__, __LINE__, __func__) : NULL;
}
