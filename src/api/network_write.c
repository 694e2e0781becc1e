/* Recorded layers to the nodes of a graph: every layer once, after what it reads. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "api/network.h"

/* ---- What the writers of layers use ----------------------------------------------------------*/

const tn_kept *tn_layer_find(const tn_layer *layer, tn_setting setting)
{
    const tn_kept *kept = layer->base->kept;
    while (kept && kept->setting != setting) kept = kept->next;
    return kept;
}

void tn_pen_fail(const tn_pen *pen, tn_code code, const char *format, ...)
{
    char label[160], text[TN_MESSAGE_MAX - 200];
    va_list list;
    if (pen->draft->failed) return;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    tn_layer_label(pen->layer, label, sizeof(label));
    tn_draft_try(pen->draft, TN_ERROR(code, "%s: %s", label, text));
}

int64_t tn_pen_int(const tn_pen *pen, tn_setting setting, int64_t otherwise)
{
    const tn_kept *kept = tn_layer_find(pen->layer, setting);
    return kept && kept->count ? kept->number[0] : otherwise;
}

double tn_pen_float(const tn_pen *pen, tn_setting setting, double otherwise)
{
    const tn_kept *kept = tn_layer_find(pen->layer, setting);
    return kept && kept->count ? kept->real[0] : otherwise;
}

const char *tn_pen_choice(const tn_pen *pen, tn_setting setting, const char *const *names,
                          int count, int otherwise)
{
    int64_t value = tn_pen_int(pen, setting, otherwise);
    if (value >= 0 && value < count && names[value]) return names[value];
    tn_pen_fail(pen, TN_INVALID, "%s is %lld, which it cannot be", tn_setting_name(setting),
                (long long)value);
    return NULL;
}

bool tn_pen_each(const tn_pen *pen, tn_setting setting, int count, int64_t otherwise, int64_t *out)
{
    const tn_kept *kept = tn_layer_find(pen->layer, setting);
    for (int i = 0; i < count; i++) out[i] = kept && i < kept->count ? kept->number[i] : otherwise;
    if (kept && kept->count != count)
        tn_pen_fail(pen, TN_INVALID, "%s has %d numbers for %d axes", tn_setting_name(setting),
                    kept->count, count);
    return !pen->draft->failed;
}

int tn_pen_rank(const tn_pen *pen, int input)
{
    if (pen->draft->failed) return -1;
    int rank = pen->in[input]->type.rank;
    if (rank < 0)
        tn_pen_fail(pen, TN_UNSUPPORTED, "the rank of input %d is only known during a run", input);
    return rank;
}

int tn_pen_axis(const tn_pen *pen, tn_setting setting, int64_t otherwise, int rank)
{
    int64_t axis = tn_pen_int(pen, setting, otherwise);
    if (pen->draft->failed) return -1;
    if (tn_axis_normal(axis, rank) < 0)
        tn_pen_fail(pen, TN_INVALID, "%s %lld is outside [-%d, %d)", tn_setting_name(setting),
                    (long long)axis, rank, rank);
    return tn_axis_normal(axis, rank);
}

tn_value *tn_pen_op(const tn_pen *pen, const char *op, tn_value *const *in, int in_count,
                    const tn_attr *attr, int attr_count)
{
    return tn_draft_op(pen->draft, op, tn_layer_name(pen->layer), in, in_count, attr, attr_count);
}

tn_value *tn_pen_part(const tn_pen *pen, const char *op, tn_value *const *in, int in_count,
                      const tn_attr *attr, int attr_count)
{
    char name[256];
    snprintf(name, sizeof(name), "%s/%s", tn_layer_name(pen->layer), op);
    return tn_draft_op(pen->draft, op, name, in, in_count, attr, attr_count);
}

tn_value *tn_pen_formula(const tn_pen *pen, const char *text, const tn_named *named, int count)
{
    if (pen->draft->failed) return NULL;
    return tn_draft_formula(pen->draft, tn_layer_name(pen->layer), text, named[0].value->type.dtype,
                            named, count);
}

tn_value *tn_pen_constant(const tn_pen *pen, const char *name, const tn_tensor *tensor, bool copy)
{
    const char *fresh = NULL;
    if (pen->draft->failed) return NULL;
    tn_draft_try(pen->draft, tn_graph_fresh_name(pen->draft->graph, name, &fresh));
    return tn_draft_constant(pen->draft, fresh, tensor, copy);
}

tn_value *tn_pen_i64(const tn_pen *pen, tn_value *x)
{
    if (!x || x->type.dtype == TN_DTYPE_I64) return x;
    return tn_pen_part(pen, "Cast", TN_IN(x), TN_WITH(tn_attr_int("to", TN_DTYPE_I64)));
}

tn_value *tn_pen_reshape(const tn_pen *pen, tn_value *x, const int64_t *dim, int rank)
{
    return tn_pen_part(pen, "Reshape", TN_IN(x, tn_draft_ints(pen->draft, dim, rank)), TN_PLAIN);
}

/* ---- Inputs and constants --------------------------------------------------------------------*/

static void write_input(tn_pen *pen)
{
    const tn_layer *layer = pen->layer;
    const tn_kept *shape = tn_layer_find(layer, TN_SET_SHAPE);
    tn_exprs *exprs = pen->draft->graph->exprs;
    tn_expr dim[TN_RANK_MAX] = {TN_EXPR_NONE};
    for (int i = 0; i < shape->count; i++) {
        if (shape->number[i] >= 0) dim[i] = tn_expr_const(exprs, shape->number[i]);
        else if (layer->dim_name[i]) dim[i] = tn_expr_symbol(exprs, layer->dim_name[i]);
    }
    tn_type type = tn_type_of((tn_dtype)tn_pen_int(pen, TN_SET_DTYPE, 0), shape->count, dim);
    pen->out[0] = tn_draft_input(pen->draft, layer->text, type);
}

const tn_layer_kind tn_layer_input_kind = {.name = "input", .outputs = 1, .write = write_input};

/* A dense copy where it is not dense, or has to outlive what it is borrowed from. */
static void write_constant(tn_pen *pen)
{
    const tn_layer *layer = pen->layer;
    tn_tensor tensor = layer->tensor;
    bool strings = tensor.dtype == TN_DTYPE_STRING;
    char name[256];
    if (layer->weight_of)
        snprintf(name, sizeof(name), "%s.%s", tn_layer_name(layer->weight_of), layer->text);
    else snprintf(name, sizeof(name), "%s", tn_layer_name(layer));
    if (!tn_tensor_is_dense(&tensor) || (pen->copy && !strings)) {
        tensor = tn_tensor_of(
            tensor.dtype, tensor.dim, tensor.rank,
            tn_arena_alloc(pen->draft->graph->arena, (size_t)tn_tensor_bytes(&tensor)));
        if (!tensor.data)
            tn_pen_fail(pen, TN_OUT_OF_MEMORY, "no memory for %lld bytes",
                        (long long)tn_tensor_bytes(&tensor));
        else tn_draft_try(pen->draft, tn_tensor_copy(&layer->tensor, &tensor));
    }
    pen->out[0] = tn_pen_constant(pen, name, &tensor, pen->copy && strings);
}

const tn_layer_kind tn_layer_constant_kind = {
    .name = "constant", .outputs = 1, .write = write_constant};

/* ---- All layers ------------------------------------------------------------------------------*/

typedef struct writing {
    tn_network *network;
    tn_draft draft;
    bool copy;
    tn_layer **stack;
} writing;

static bool is_written(const writing *w, const tn_layer *layer)
{
    return layer->base->written == w->network->writing;
}

static tn_status write_one(writing *w, tn_layer *layer)
{
    tn_arena *arena = w->draft.graph->arena;
    char label[160];
    tn_pen pen = {.draft = &w->draft, .layer = layer, .in_count = layer->in_count, .copy = w->copy};
    pen.in = TN_NEW_ARRAY(arena, tn_value *, layer->in_count);
    pen.out = TN_NEW_ARRAY(arena, tn_value *, layer->output_count);
    TN_CHECK(pen.in && pen.out, TN_OUT_OF_MEMORY, "no memory for a layer");
    for (int32_t i = 0; i < layer->in_count; i++)
        if (layer->in[i]) pen.in[i] = layer->in[i]->base->value[layer->in[i]->output];
    layer->kind->write(&pen);
    TN_TRY_NOTE(tn_draft_end(&w->draft), "in %s, layer %lld of network '%s'",
                tn_layer_label(layer, label, sizeof(label)),
                (long long)(layer->weight_of ? layer->weight_of : layer)->index, w->network->name);
    layer->value = pen.out;
    layer->written = w->network->writing;
    return NULL;
}

/* A layer that must be written before this one can be; NULL: none. */
static tn_layer *find_missing(const writing *w, const tn_layer *layer)
{
    for (int32_t i = 0; i < layer->in_count; i++)
        if (layer->in[i] && !is_written(w, layer->in[i])) return layer->in[i]->base;
    return NULL;
}

/* An input may come from a layer that was added later (tn_layer_set_input), so each layer first
 * asks for those it reads; one that is asked for while it waits stands on a cycle. */
static tn_status write_with_inputs(writing *w, tn_layer *goal)
{
    int64_t depth = 0;
    char label[160];
    if (is_written(w, goal)) return NULL;
    w->stack[depth++] = goal->base;
    while (depth) {
        tn_layer *layer = w->stack[depth - 1], *missing = find_missing(w, layer);
        layer->open = missing != NULL;
        if (!missing) {
            TN_TRY(write_one(w, layer));
            depth--;
            continue;
        }
        TN_CHECK(!missing->open, TN_INVALID, "%s reads what it gives itself: a cycle of layers",
                 tn_layer_label(missing, label, sizeof(label)));
        w->stack[depth++] = missing;
    }
    return NULL;
}

static tn_status write_outputs(writing *w)
{
    const tn_network *network = w->network;
    for (int64_t i = 0; i < network->output_count; i++) {
        const tn_layer *tensor = network->output[i].tensor;
        tn_draft_output(&w->draft, network->output[i].name, tensor->base->value[tensor->output]);
    }
    return tn_draft_end(&w->draft);
}

static tn_status write_all(writing *w, tn_layer *only)
{
    int64_t count = 1;
    for (tn_layer *layer = w->network->first; layer; layer = layer->next) {
        layer->open = false;
        count++;
    }
    w->stack = TN_NEW_ARRAY(w->draft.graph->arena, tn_layer *, count);
    TN_CHECK(w->stack, TN_OUT_OF_MEMORY, "no memory for a network");
    for (tn_layer *layer = w->network->first; layer; layer = layer->next)
        if (layer->kind == &tn_layer_input_kind) TN_TRY(write_with_inputs(w, layer));
    if (only) return write_with_inputs(w, only);
    for (tn_layer *layer = w->network->first; layer; layer = layer->next)
        TN_TRY(write_with_inputs(w, layer));
    return write_outputs(w);
}

tn_status tn_network_write(tn_network *network, tn_graph *graph, bool copy, tn_layer *only)
{
    writing w = {.network = network, .draft = {.graph = graph}, .copy = copy};
    TN_CHECK(!network->busy, TN_INVALID, "network '%s' stands inside itself", network->name);
    if (network->failed) return tn_status_adopt(&network->failure);
    network->busy = true;
    tn_status status = write_all(&w, only);
    network->busy = false;
    return status ? tn_status_trail(status, __FILE__, __LINE__, __func__) : NULL;
}
