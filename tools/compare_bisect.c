/* Where a run leaves the tolerance, and which layers to hold back so that it does not. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"

/* ---- The first layer beyond the tolerance ----------------------------------------------------*/

/* By value: its row of what was compared, from 1; 0: it was not. */
static int *rows_by_value(const model_layers *layers, const compared_list *values)
{
    int *out = get_memory((size_t)layers->value_count, sizeof(*out));
    for (int i = 0; i < values->count; i++) {
        int value = layers_find(layers, values->at[i].name);
        if (value >= 0) out[value] = i + 1;
    }
    return out;
}

/* Back from the first tensor beyond the tolerance, as far as nothing was compared: one of these
 * layers is at fault. */
static void find_suspects(const model_layers *layers, const int *row, fault *out)
{
    bool *seen = get_memory((size_t)layers->count, sizeof(*seen));
    out->suspect = get_memory((size_t)layers->count, sizeof(*out->suspect));
    out->suspect[out->suspect_count++] = out->first.maker;
    seen[out->first.maker] = true;
    for (int i = 0; i < out->suspect_count; i++) {
        const model_layer *layer = &layers->at[out->suspect[i]];
        for (int k = 0; k < layer->input_count; k++) {
            int value = layer->input[k], maker = value < 0 ? -1 : layers->value[value].maker;
            if (maker < 0 || seen[maker] || row[value]) continue;
            seen[maker] = true;
            out->suspect[out->suspect_count++] = maker;
        }
    }
    free(seen);
}

/* What is not finite, or of another shape, counts as all of it. */
static double relative(const tensor_stats *s)
{
    return s->same_shape && s->rel_l2 < 1 ? s->rel_l2 : 1;
}

/* By value: its difference, where it was compared; else the largest of what it is computed from. */
static double *spread_errors(const model_layers *layers, const compared_list *values,
                             const int *row, double *own)
{
    double *error = get_memory((size_t)layers->value_count, sizeof(*error));
    for (int i = 0; i < layers->count; i++) {
        const model_layer *layer = &layers->at[i];
        double before = 0;
        own[i] = -1;
        for (int k = 0; k < layer->input_count; k++)
            if (layer->input[k] >= 0) before = fmax(before, error[layer->input[k]]);
        for (int k = 0; k < layer->output_count; k++) {
            int value = layer->output[k];
            if (value < 0) continue;
            error[value] = row[value] ? relative(&values->at[row[value] - 1].stats) : before;
            if (row[value]) own[i] = fmax(own[i], error[value] - before);
        }
    }
    return error;
}

static void find_steepest(const model_layers *layers, const compared_list *values, const int *row,
                          fault *out)
{
    double *own = get_memory((size_t)layers->count, sizeof(*own));
    double *error = spread_errors(layers, values, row, own);
    out->steepest = -1;
    for (int i = 0; i < layers->count; i++)
        if (own[i] > 0 && (out->steepest < 0 || own[i] > own[out->steepest])) out->steepest = i;
    if (out->steepest >= 0) {
        const model_layer *layer = &layers->at[out->steepest];
        out->steepest_after = layer->output[0] >= 0 ? error[layer->output[0]] : 0;
        out->steepest_before = fmax(0, out->steepest_after - own[out->steepest]);
    }
    free(error);
    free(own);
}

/* ---- Two models: what differs in a layer -----------------------------------------------------*/

typedef struct same_layer {
    const char *output; /* of the layer to find */
    char *op, *inputs;
} same_layer;

static char *join(const char *const *names, int count)
{
    size_t bytes = 1;
    for (int i = 0; i < count; i++) bytes += strlen(names[i]) + 1;
    char *out = get_memory(bytes, 1);
    for (int i = 0; i < count; i++) {
        strcat(out, names[i]);
        strcat(out, "\n");
    }
    return out;
}

static bool note_layer(void *self, const tn_node_about *node)
{
    same_layer *s = self;
    bool found = false;
    for (int i = 0; i < node->output_count; i++) found |= !strcmp(node->outputs[i], s->output);
    if (!found) return true;
    s->op = copy_text(node->op);
    s->inputs = join(node->inputs, node->input_count);
    return false;
}

static char *say(const char *format, ...) TN_PRINTF(1, 2);
static char *say(const char *format, ...)
{
    char text[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    return copy_text(text);
}

/* The first constant of a layer that is not the same in both models; NULL: they are. */
static char *differing_weight(const comparison *c, const tn_model *other, const model_layer *layer)
{
    for (int i = 0; i < layer->input_count; i++) {
        tn_tensor mine, theirs;
        tensor_stats s;
        const char *name = layer->input[i] < 0 ? "" : c->layers.value[layer->input[i]].name;
        if (!name[0] || tn_model_constant(c->model, name, &mine)) continue;
        if (tn_model_constant(other, name, &theirs))
            return say("its operand '%s' is no constant of the other model", name);
        if (stats_of(&theirs, &mine, &(tensor_limit){.atol = 1e-300}, &s)) continue;
        if (!s.same_shape) return say("its weight '%s' has another shape", name);
        if (s.abs_max > 0)
            return say("its weight '%s' differs: relative L2 %.3g, %lld of %lld elements, the "
                       "first at %lld",
                       name, s.rel_l2, (long long)s.beyond, (long long)s.count, (long long)s.first);
    }
    return NULL;
}

static char *say_difference(const comparison *c, const tn_model *other, const fault *f)
{
    const model_layer *layer = &c->layers.at[f->first.maker];
    same_layer mine = {.output = f->first.name}, theirs = mine;
    char *why = NULL;
    if (tn_model_visit(c->model, note_layer, &mine) || tn_model_visit(other, note_layer, &theirs))
        return NULL;
    if (!mine.op || !theirs.op) why = NULL;
    else if (strcmp(mine.op, theirs.op) != 0)
        why = say("it is %s in the one model and %s in the other", mine.op, theirs.op);
    else if (strcmp(mine.inputs, theirs.inputs) != 0)
        why = say("its operands are not the same in both models");
    else why = differing_weight(c, other, layer);
    if (!why && theirs.op)
        why = say("operator, operands and weights are the same: its attributes differ");
    free(mine.op);
    free(mine.inputs);
    free(theirs.op);
    free(theirs.inputs);
    return why;
}

void find_fault(const comparison *c, const tn_model *other, const compared_list *values,
                const char *in, fault *out)
{
    int *row = rows_by_value(&c->layers, values);
    out->looked = true;
    out->in = in;
    find_steepest(&c->layers, values, row, out);
    for (int i = 0; i < values->count && !out->found; i++) {
        if (values->at[i].stats.within || values->at[i].maker < 0) continue;
        out->found = true;
        out->first = values->at[i];
        find_suspects(&c->layers, row, out);
        if (other) out->why = say_difference(c, other, out);
    }
    free(row);
}

/* ---- Layers to hold back ---------------------------------------------------------------------*/

typedef struct candidate {
    const char *name; /* of its first result */
    double own;       /* what it adds to the difference */
} candidate;

static int by_own(const void *a, const void *b)
{
    double x = ((const candidate *)a)->own, y = ((const candidate *)b)->own;
    return x > y ? -1 : x < y;
}

/* Every layer that gives floats, those that add most to the difference first: the others may lose
 * as much where what they read has lost more. */
static candidate *find_candidates(const comparison *c, const compared_list *values, int *count)
{
    const model_layers *layers = &c->layers;
    int *row = rows_by_value(layers, values);
    double *own = get_memory((size_t)layers->count, sizeof(*own));
    free(spread_errors(layers, values, row, own));
    candidate *out = get_memory((size_t)layers->count, sizeof(*out));
    *count = 0;
    for (int i = 0; i < layers->count; i++)
        for (int k = 0; k < layers->at[i].output_count; k++) {
            int value = layers->at[i].output[k];
            const compared_tensor *t =
                value >= 0 && row[value] ? &values->at[row[value] - 1] : NULL;
            if (!t || !strchr("fb", t->type[0]) || !strncmp(t->type, "bool", 4)) continue;
            out[(*count)++] = (candidate){layers->value[value].name, own[i]};
            break;
        }
    qsort(out, (size_t)*count, sizeof(*out), by_own);
    free(own);
    free(row);
    return out;
}

/* Is the engine with these layers held back within the tolerance? */
static tn_status try_held(comparison *c, tn_model *model, compare_run *run, const text_list *names,
                          bool *good)
{
    build_flags flags = flags_of(c, run->precision);
    compare_run trial = {0};
    flags.hold = *names;
    flags.no_check = true;
    run->hold.builds++;
    tn_status status = run_model(c, model, &flags, false, &trial);
    trial.limit = run->limit;
    if (!status) status = compare_outputs(c, &trial, &trial.outputs);
    *good = !status && all_within(&trial.outputs);
    run_close(&trial);
    return status;
}

static text_list first_of(const candidate *at, int count)
{
    text_list out = {.count = count};
    for (int i = 0; i < count; i++) out.at[i] = at[i].name;
    return out;
}

/* The shortest list of the worst that is enough, by halves. */
static tn_status find_prefix(comparison *c, tn_model *model, compare_run *run, const candidate *at,
                             int most, text_list *out)
{
    int low = 0, high = most; /* `low` are not enough, `high` are */
    *out = first_of(at, most);
    tn_status status = try_held(c, model, run, out, &run->hold.found);
    while (!status && run->hold.found && high - low > 1) {
        bool good;
        int middle = low + (high - low) / 2;
        text_list some = first_of(at, middle);
        status = try_held(c, model, run, &some, &good);
        if (good) high = middle;
        else low = middle;
    }
    *out = first_of(at, high);
    return status;
}

/* Each that is not needed beside the others goes, the least suspect first. */
static tn_status drop_needless(comparison *c, tn_model *model, compare_run *run, text_list *names)
{
    for (int i = names->count - 1; i >= 0 && names->count > 1; i--) {
        bool good;
        text_list fewer = *names;
        memmove(&fewer.at[i], &fewer.at[i + 1],
                sizeof(fewer.at[0]) * (size_t)(fewer.count - i - 1));
        fewer.count--;
        tn_status status = try_held(c, model, run, &fewer, &good);
        if (status) return status;
        if (good) *names = fewer;
    }
    run->hold.minimal = true;
    return NULL;
}

tn_status find_hold(comparison *c, tn_model *model, compare_run *run)
{
    hold_list *hold = &run->hold;
    text_list names = {0};
    tn_status status = NULL;
    candidate *at = find_candidates(c, &run->values, &hold->candidates);
    int most = hold->candidates < LIST_MAX ? hold->candidates : LIST_MAX;
    hold->builds++; /* for the tensors between the layers */
    if (most) status = find_prefix(c, model, run, at, most, &names);
    if (!status && hold->found) status = drop_needless(c, model, run, &names);
    for (int i = 0; i < names.count && hold->found; i++)
        hold->names.at[hold->names.count++] = copy_text(names.at[i]);
    free(at);
    return status;
}
