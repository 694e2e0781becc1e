/* Runs of our own: engines of models and of files, given the inputs and run once. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"

/* ---- Precisions ------------------------------------------------------------------------------*/

const char *precision_word(tn_precision precision)
{
    static const char *const words[] = {"fp32", "tf32", "fp16", "bf16"};
    return words[precision];
}

build_flags flags_of(const comparison *c, tn_precision precision)
{
    build_flags flags = *c->flags;
    flags.tf32 = precision == TN_PRECISION_TF32;
    flags.fp16 = precision == TN_PRECISION_F16;
    flags.bf16 = precision == TN_PRECISION_BF16;
    flags.cache = c->timings;
    return flags;
}

/* What the gate allowed is more where the graph itself has coarse numbers: quantised ones, say. */
static double gate_tolerance(const tn_engine *engine)
{
    char *text, *at;
    tn_status status = tn_engine_text(engine, TN_TEXT_REPORT, &text);
    if (status) return 0;
    static const char mark[] = "gate: tolerance ";
    double tolerance = (at = strstr(text, mark)) ? strtod(at + sizeof(mark) - 1, NULL) : 0;
    tn_text_free(text);
    return tolerance;
}

static void set_limit(const comparison *c, compare_run *run)
{
    static const double by_precision[] = {1e-5, 1e-3, 5e-3, 2e-2};
    run->limit = c->limit;
    if (run->limit.l2 > 0 || run->limit.rtol > 0 || run->limit.atol > 0) return;
    run->limit.l2 = fmax(by_precision[run->precision], gate_tolerance(run->engine));
}

/* ---- Running ---------------------------------------------------------------------------------*/

static tn_status start(comparison *c, compare_run *run)
{
    set_limit(c, run);
    tn_status status = tn_context_new(run->engine, &run->context);
    if (!status) status = inputs_bind(run->context, &c->inputs);
    return status ? status : tn_context_run(run->context);
}

/* A build whose own check fails is what this command is for: it is made all the same. */
static tn_status build_unchecked(tn_model *model, build_flags *flags, tn_status why,
                                 compare_run *out)
{
    char text[1024];
    snprintf(text, sizeof(text), "`tenon build` refuses this engine: %s", tn_status_message(why));
    out->note = copy_text(text);
    flags->no_check = true;
    return engine_build(model, flags, &out->engine);
}

static tn_precision engine_precision(const tn_engine *engine)
{
    tn_precision found = TN_PRECISION_F32;
    char *json;
    tn_status status = tn_engine_layers(engine, NULL, &json);
    if (status) return found;
    for (int p = TN_PRECISION_TF32; p <= TN_PRECISION_BF16; p++) {
        char text[64];
        snprintf(text, sizeof(text), "\"precision\": \"%s\"", precision_word((tn_precision)p));
        const char *end = strstr(json, "\"layers\""), *at = strstr(json, text);
        if (at && (!end || at < end)) found = (tn_precision)p;
    }
    tn_text_free(json);
    return found;
}

/* A build that loses too much is made in a better precision. */
static void note_precision(compare_run *run)
{
    tn_precision made = engine_precision(run->engine);
    char text[160];
    if (made == run->precision || run->note) return;
    snprintf(text, sizeof(text), "made in %s: at this tolerance %s loses too much",
             precision_word(made), precision_word(run->precision));
    run->note = copy_text(text);
}

tn_status run_model(comparison *c, tn_model *model, const build_flags *given, bool expose,
                    compare_run *out)
{
    build_flags flags = *given;
    flags.expose = expose;
    flags.no_check |= expose;
    out->precision = flags.fp16   ? TN_PRECISION_F16
                     : flags.bf16 ? TN_PRECISION_BF16
                     : flags.tf32 ? TN_PRECISION_TF32
                                  : TN_PRECISION_F32;
    tn_status status = engine_build(model, &flags, &out->engine);
    if (tn_status_code(status) == TN_MISMATCH) status = build_unchecked(model, &flags, status, out);
    if (!status) note_precision(out);
    return status ? status : start(c, out);
}

tn_status run_engine_file(comparison *c, const char *path, engine_view view, compare_run *out)
{
    const build_flags *flags = c->flags;
    const char *device = view == ITS_GRAPH ? "cpu" : flags->device;
    tn_status status = tn_engine_load(path, device, flags->threads, &out->engine);
    if (status) return status;
    out->precision = engine_precision(out->engine);
    if (view != AS_IT_IS) {
        const tn_build_config config = {.size = sizeof(config),
                                        .device = device,
                                        .threads = flags->threads,
                                        .budget_ms = -1,
                                        .no_check = true,
                                        .no_optimize = view == ITS_GRAPH,
                                        .expose = true};
        tn_engine *whole = out->engine;
        out->engine = NULL;
        status = tn_engine_tune(whole, &config, &out->engine);
        tn_engine_free(whole);
    }
    return status ? status : start(c, out);
}

void run_stop(compare_run *run)
{
    tn_context_free(run->context);
    tn_engine_free(run->engine);
    for (int i = 0; i < run->count; i++) {
        free(run->name[i]);
        tn_tensor_free(&run->tensor[i]);
    }
    free(run->name);
    free(run->tensor);
    run->context = NULL;
    run->engine = NULL;
    run->name = NULL;
    run->tensor = NULL;
    run->count = 0;
}

void run_close(compare_run *run)
{
    run_stop(run);
    free(run->note);
    free(run->outputs.at);
    free(run->values.at);
    free(run->fault.suspect);
    free(run->fault.why);
    for (int i = 0; i < run->hold.names.count; i++) free((char *)run->hold.names.at[i]);
    *run = (compare_run){0};
}

/* ---- Tensors ---------------------------------------------------------------------------------*/

static int peer_tensor(const compare_run *run, const char *name)
{
    for (int i = 0; i < run->count; i++)
        if (!strcmp(run->name[i], name)) return i;
    return -1;
}

bool run_has(const compare_run *run, const char *name)
{
    tn_io io;
    for (int i = 0; run->engine && i < tn_engine_output_count(run->engine); i++)
        if (!tn_engine_output(run->engine, i, &io) && !strcmp(io.name, name))
            return io.kind == TN_IO_TENSOR;
    return !run->engine && peer_tensor(run, name) >= 0;
}

tn_status run_tensor(const compare_run *run, const char *name, tn_tensor *out)
{
    if (run->engine) return tn_context_output(run->context, name, out);
    *out = run->tensor[peer_tensor(run, name)];
    return NULL;
}

static tn_status compare_one(const comparison *c, const compare_run *run, const char *name,
                             const char *as, compared_tensor *out)
{
    tn_tensor want, got;
    char text[96];
    tn_status status = run_tensor(&c->reference, name, &want);
    if (!status) status = run_tensor(run, as, &got);
    if (!status) status = stats_of(&got, &want, &run->limit, &out->stats);
    if (status) return status;
    int value = layers_find(&c->layers, name);
    out->name = name;
    out->maker = value < 0 ? -1 : c->layers.value[value].maker;
    int at = snprintf(out->type, sizeof(out->type), "%s[%s]", tn_dtype_name(want.dtype),
                      want.rank ? shape_text(want.dim, want.rank, text, sizeof(text)) : "");
    if (got.dtype != want.dtype || !out->stats.same_shape)
        snprintf(out->type + at, sizeof(out->type) - (size_t)at, " as %s[%s]",
                 tn_dtype_name(got.dtype),
                 got.rank ? shape_text(got.dim, got.rank, text, sizeof(text)) : "");
    return NULL;
}

/* By name; where no name is the same, by place. */
static const char *output_as(const compare_run *run, const char *name, int index, bool by_place,
                             tn_io *io)
{
    if (!by_place) return run_has(run, name) ? name : NULL;
    if (!run->engine) return index < run->count ? run->name[index] : NULL;
    bool is_there = index < tn_engine_output_count(run->engine) &&
                    !tn_engine_output(run->engine, index, io) && io->kind == TN_IO_TENSOR;
    return is_there ? io->name : NULL;
}

tn_status compare_outputs(const comparison *c, const compare_run *run, compared_list *out)
{
    int count = tn_model_output_count(c->model), common = 0;
    tn_status status = NULL;
    tn_io io, other;
    out->at = get_memory((size_t)count, sizeof(*out->at));
    for (int i = 0; i < count; i++)
        if (!tn_model_output(c->model, i, &io)) common += run_has(run, io.name);
    for (int i = 0; i < count && !status; i++) {
        status = tn_model_output(c->model, i, &io);
        if (status || io.kind != TN_IO_TENSOR) continue;
        const char *as = output_as(run, io.name, i, !common, &other);
        if (as) status = compare_one(c, run, io.name, as, &out->at[out->count++]);
    }
    return status;
}

/* Adds `mark` to the values of the reference that a run has as tensors. */
static void mark_values(const model_layers *layers, const compare_run *run, char mark, char *marks)
{
    tn_io io;
    for (int i = 0; run->engine && i < tn_engine_output_count(run->engine); i++) {
        int value = tn_engine_output(run->engine, i, &io) ? -1 : layers_find(layers, io.name);
        if (value >= 0 && io.kind == TN_IO_TENSOR) marks[value] |= mark;
    }
    for (int i = 0; i < run->count; i++) {
        int value = layers_find(layers, run->name[i]);
        if (value >= 0) marks[value] |= mark;
    }
}

/* Of an optimised engine a tensor may be there in another form (without padding, say): that tells
 * nothing. */
tn_status compare_values(const comparison *c, const compare_run *run, compared_list *out)
{
    enum { OURS = 1, THEIRS = 2, BOTH = 3 };
    const model_layers *layers = &c->layers;
    bool optimised = run->engine && !c->flags->no_optimize;
    tn_status status = NULL;
    char *marks = get_memory((size_t)layers->value_count, 1);
    mark_values(layers, &c->reference, OURS, marks);
    mark_values(layers, run, THEIRS, marks);
    out->at = get_memory((size_t)layers->value_count, sizeof(*out->at));
    for (int i = 0; i < layers->count && !status; i++)
        for (int k = 0; k < layers->at[i].output_count && !status; k++) {
            int value = layers->at[i].output[k];
            if (value < 0 || marks[value] != BOTH) continue;
            const char *name = layers->value[value].name;
            compared_tensor *row = &out->at[out->count];
            status = compare_one(c, run, name, name, row);
            if (row->stats.same_shape || !optimised) out->count++;
        }
    free(marks);
    return status;
}

double largest_l2(const compared_list *list)
{
    double largest = 0;
    for (int i = 0; i < list->count; i++)
        largest = fmax(largest, list->at[i].stats.same_shape ? list->at[i].stats.rel_l2 : INFINITY);
    return largest;
}

bool all_within(const compared_list *list)
{
    for (int i = 0; i < list->count; i++)
        if (!list->at[i].stats.within) return false;
    return true;
}
