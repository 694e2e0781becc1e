/* Networks as they are recorded: layers, their inputs, weights and settings; the first failure. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "api/network.h"

static const struct setting {
    const char *name;
    char kind;
} settings[] = {
#define N 'N'
#define F 'F'
#define TN_SETTING_ROW(name, kind) {#name, kind},
    TN_SETTINGS(TN_SETTING_ROW)
#undef TN_SETTING_ROW
#undef N
#undef F
};

const char *tn_setting_name(tn_setting setting)
{
    return settings[setting].name;
}

/* ---- Failures --------------------------------------------------------------------------------*/

void tn_network_fail(tn_network *network, tn_status status)
{
    if (network->failed) return;
    tn_status_copy(status, &network->failure);
    network->failed = true;
}

const char *tn_layer_label(const tn_layer *layer, char *dst, size_t dst_bytes)
{
    const tn_layer *base = layer->base;
    const char *name = base->kind == &tn_layer_input_kind ? base->text : base->name;
    if (base->weight_of) {
        char of[128];
        tn_layer_label(base->weight_of, of, sizeof(of));
        snprintf(dst, dst_bytes, "the %s of %s", base->text, of);
    } else if (name) snprintf(dst, dst_bytes, "%s '%s'", base->kind->name, name);
    else snprintf(dst, dst_bytes, "%s (layer %lld)", base->kind->name, (long long)base->index);
    return dst;
}

static void fail_va(const tn_layer *layer, tn_code code, const char *format, va_list list)
{
    char label[160], text[TN_MESSAGE_MAX - 200];
    if (layer->network->failed) return;
    vsnprintf(text, sizeof(text), format, list);
    tn_layer_label(layer, label, sizeof(label));
    tn_network_fail(layer->network, TN_ERROR(code, "%s: %s", label, text));
}

void tn_layer_fail(const tn_layer *layer, tn_code code, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fail_va(layer, code, format, list);
    va_end(list);
}

/* ---- Making ----------------------------------------------------------------------------------*/

static tn_layer *new_layer(tn_network *network, const tn_layer_kind *kind, int in_count)
{
    tn_arena *arena = &network->arena;
    int room = TN_MAX(in_count, kind->inputs);
    tn_layer *layer = TN_NEW(arena, tn_layer);
    tn_layer **in = TN_NEW_ARRAY(arena, tn_layer *, room);
    if (!layer || !in) {
        tn_network_fail(network, TN_ERROR(TN_OUT_OF_MEMORY, "no memory for a layer"));
        return NULL;
    }
    *layer = (tn_layer){.network = network,
                        .kind = kind,
                        .base = layer,
                        .output_count = kind->outputs,
                        .index = -1,
                        .in = in,
                        .in_count = room};
    if (network->last) network->last->next = layer;
    else network->first = layer;
    network->last = layer;
    return layer;
}

/* The base of a tensor may be `layer` itself only by a cycle, which the writer finds. */
static bool check_input(const tn_layer *layer, int index, const tn_layer *tensor, bool needed)
{
    char label[160];
    if (!tensor) {
        if (needed)
            tn_layer_fail(layer, TN_INVALID, "input %d is NULL: it takes a tensor of the network",
                          index);
        return !needed;
    }
    if (tensor->network == layer->network) return true;
    tn_layer_fail(layer, TN_INVALID, "input %d, %s, belongs to another network", index,
                  tn_layer_label(tensor, label, sizeof(label)));
    return false;
}

tn_layer *tn_layer_add(tn_network *network, const tn_layer_kind *kind, tn_layer *const *in,
                       int in_count)
{
    if (!network || network->failed) return NULL;
    tn_layer *layer = new_layer(network, kind, in_count < 0 ? 0 : in_count);
    if (!layer) return NULL;
    layer->index = network->layer_count++;
    layer->made = tn_arena_printf(&network->arena, "%s_%lld", kind->name, (long long)layer->index);
    if (!layer->made) {
        tn_layer_fail(layer, TN_OUT_OF_MEMORY, "no memory for its name");
        return NULL;
    }
    if (in_count < 0 || (in_count > 0 && !in)) {
        tn_layer_fail(layer, TN_INVALID, "%d inputs%s", in_count, in ? "" : " at NULL");
        return NULL;
    }
    for (int i = 0; i < in_count; i++) {
        if (!check_input(layer, i, in[i], kind->inputs < 0 || i < kind->needs)) return NULL;
        layer->in[i] = in[i];
    }
    return layer;
}

tn_layer *tn_layer_done(tn_layer *layer)
{
    return layer && !layer->network->failed ? layer : NULL;
}

tn_status tn_layer_check_tensor(const tn_layer *layer, const char *what, const tn_tensor *tensor)
{
    char label[160];
    tn_layer_label(layer, label, sizeof(label));
    TN_CHECK(tensor, TN_INVALID, "%s: %s is NULL", label, what);
    TN_CHECK(tn_dtype_valid((int)tensor->dtype), TN_INVALID, "%s: %s has no data type", label,
             what);
    TN_CHECK(tensor->rank >= 0 && tensor->rank <= TN_RANK_MAX, TN_INVALID,
             "%s: %s has rank %d, must be 0 to %d", label, what, tensor->rank, TN_RANK_MAX);
    TN_CHECK(tn_tensor_bytes(tensor) >= 0, TN_INVALID,
             "%s: %s has dims below 0 or is larger than memory can be", label, what);
    TN_CHECK(tensor->data || tn_tensor_count(tensor) == 0, TN_INVALID, "%s: %s has no data", label,
             what);
    return NULL;
}

void tn_layer_weight(tn_layer *layer, int index, const char *what, const tn_tensor *tensor,
                     bool optional)
{
    if (!layer || layer->network->failed || (!tensor && optional)) return;
    tn_status status = tn_layer_check_tensor(layer, what, tensor);
    tn_layer *constant = status ? NULL : new_layer(layer->network, &tn_layer_constant_kind, 0);
    if (status) tn_network_fail(layer->network, status);
    if (!constant) return;
    constant->tensor = *tensor;
    constant->text = what;
    constant->weight_of = layer;
    layer->in[index] = constant;
}

/* ---- Settings --------------------------------------------------------------------------------*/

void tn_layer_touch(tn_layer *layer)
{
    if (layer->base->written == layer->network->writing) tn_network_drop_sketch(layer->network);
}

static tn_kept *keep(tn_layer *layer, tn_setting setting, int count)
{
    tn_kept *kept = layer->kept;
    while (kept && kept->setting != setting) kept = kept->next;
    if (!kept) {
        kept = TN_NEW(&layer->network->arena, tn_kept);
        if (!kept) {
            tn_layer_fail(layer, TN_OUT_OF_MEMORY, "no memory for a setting");
            return NULL;
        }
        kept->next = layer->kept;
        kept->setting = setting;
        layer->kept = kept;
    }
    kept->count = count;
    tn_layer_touch(layer);
    return kept;
}

static bool check_list(const tn_layer *layer, tn_setting setting, const void *at, int count)
{
    bool good = count >= 0 && count <= TN_RANK_MAX && (count == 0 || at);
    if (!good)
        tn_layer_fail(layer, TN_INVALID, "%s takes up to %d numbers; %d were given%s",
                      settings[setting].name, TN_RANK_MAX, count, at ? "" : " at NULL");
    return good;
}

void tn_layer_keep_ints(tn_layer *layer, tn_setting setting, const int64_t *at, int count)
{
    if (!layer || layer->network->failed || !check_list(layer, setting, at, count)) return;
    if (setting == TN_SET_PADDING) {
        tn_layer_keep_ints(layer, TN_SET_PADDING_BEFORE, at, count);
        tn_layer_keep_ints(layer, TN_SET_PADDING_BEHIND, at, count);
        return;
    }
    tn_kept *kept = keep(layer, setting, count);
    for (int i = 0; kept && i < count; i++) {
        kept->number[i] = at[i];
        kept->real[i] = (double)at[i];
    }
}

void tn_layer_keep(tn_layer *layer, tn_setting setting, int64_t value)
{
    tn_layer_keep_ints(layer, setting, &value, 1);
}

static void keep_floats(tn_layer *layer, tn_setting setting, const double *at, int count)
{
    if (!layer || layer->network->failed || !check_list(layer, setting, at, count)) return;
    tn_kept *kept = keep(layer, setting, count);
    for (int i = 0; kept && i < count; i++) kept->real[i] = at[i];
}

void tn_layer_keep_float(tn_layer *layer, tn_setting setting, double value)
{
    keep_floats(layer, setting, &value, 1);
}

/* May this setting of this layer be set by such numbers? */
static bool allows(const tn_layer *layer, tn_setting setting, char kind)
{
    if (!layer || layer->network->failed) return false;
    if ((int)setting < 0 || setting >= TN_SET_END) {
        tn_layer_fail(layer, TN_INVALID, "there is no setting %d", (int)setting);
        return false;
    }
    if (!(layer->base->kind->settings >> setting & 1)) {
        tn_text has = {0};
        for (int i = 0; i < TN_SET_END; i++)
            if (layer->base->kind->settings >> i & 1)
                tn_text_printf(&has, "%s%s", has.bytes ? ", " : "", settings[i].name);
        tn_layer_fail(layer, TN_INVALID, "has no setting %s; it has %s", settings[setting].name,
                      has.bytes && has.at ? has.at : "none");
        tn_text_fini(&has);
        return false;
    }
    if (kind == 'F' && settings[setting].kind != 'F') {
        tn_layer_fail(layer, TN_INVALID, "%s takes whole numbers: tn_layer_set_int",
                      settings[setting].name);
        return false;
    }
    return true;
}

tn_layer *tn_layer_set_ints(tn_layer *layer, tn_setting setting, const int64_t *at, int count)
{
    if (allows(layer, setting, 'N')) tn_layer_keep_ints(layer->base, setting, at, count);
    return layer;
}

tn_layer *tn_layer_set_int(tn_layer *layer, tn_setting setting, int64_t value)
{
    return tn_layer_set_ints(layer, setting, &value, 1);
}

tn_layer *tn_layer_set_floats(tn_layer *layer, tn_setting setting, const double *at, int count)
{
    if (allows(layer, setting, 'F')) keep_floats(layer->base, setting, at, count);
    return layer;
}

tn_layer *tn_layer_set_float(tn_layer *layer, tn_setting setting, double value)
{
    return tn_layer_set_floats(layer, setting, &value, 1);
}

/* ---- Inputs and names ------------------------------------------------------------------------*/

tn_layer *tn_layer_set_input(tn_layer *layer, int index, tn_layer *tensor)
{
    if (!layer || layer->network->failed) return layer;
    tn_layer *base = layer->base;
    if (index < 0 || index >= base->in_count) {
        tn_layer_fail(base, TN_INVALID, "there is no input %d: it has %d", index, base->in_count);
        return layer;
    }
    bool needed = base->kind->inputs < 0 || index < base->kind->needs;
    if (!check_input(base, index, tensor, needed)) return layer;
    base->in[index] = tensor;
    tn_layer_touch(base);
    return layer;
}

static const char *copy_text(tn_layer *layer, const char *what, const char *text)
{
    const char *copy = NULL;
    if (!text || !text[0]) tn_layer_fail(layer, TN_INVALID, "%s is empty", what);
    else {
        copy = tn_arena_text(&layer->network->arena, text, strlen(text));
        if (!copy) tn_layer_fail(layer, TN_OUT_OF_MEMORY, "no memory for a name");
    }
    return copy;
}

/* Inputs are found by name, so no two have the same. */
static void name_input(tn_layer *layer, const char *name)
{
    tn_map *inputs = &layer->network->inputs;
    if (layer->text && !strcmp(layer->text, name)) return;
    if (tn_map_has(inputs, name)) {
        tn_layer_fail(layer, TN_INVALID, "there is an input '%s' already", name);
        return;
    }
    tn_status status = tn_map_put(inputs, name, layer);
    if (status) tn_network_fail(layer->network, status);
    if (layer->text) tn_map_remove(inputs, layer->text);
    layer->text = name;
}

tn_layer *tn_layer_set_name(tn_layer *layer, const char *name)
{
    if (!layer || layer->network->failed) return layer;
    const char *copy = copy_text(layer, "the name", name);
    if (!copy) return layer;
    if (layer->kind == &tn_layer_input_kind) name_input(layer, copy);
    else layer->name = copy;
    tn_layer_touch(layer);
    return layer;
}

tn_layer *tn_layer_set_dim_name(tn_layer *layer, int axis, const char *name)
{
    if (!layer || layer->network->failed) return layer;
    const tn_kept *shape = tn_layer_find(layer, TN_SET_SHAPE);
    if (layer->kind != &tn_layer_input_kind)
        tn_layer_fail(layer, TN_INVALID, "only dims of inputs are named");
    else if (axis < 0 || axis >= shape->count || shape->number[axis] != -1)
        tn_layer_fail(layer, TN_INVALID, "axis %d is not dynamic", axis);
    else layer->dim_name[axis] = copy_text(layer, "the name of a dim", name);
    tn_layer_touch(layer);
    return layer;
}

tn_layer *tn_network_add_input(tn_network *network, const char *name, tn_dtype dtype,
                               const int64_t *dim, int rank)
{
    tn_layer *layer = tn_layer_add(network, &tn_layer_input_kind, NULL, 0);
    if (!layer) return NULL;
    const char *copy = copy_text(layer, "the name", name);
    if (copy) name_input(layer, copy);
    if (!tn_dtype_valid((int)dtype))
        tn_layer_fail(layer, TN_INVALID, "%d is not a data type", (int)dtype);
    tn_layer_keep_ints(layer, TN_SET_SHAPE, dim, rank);
    tn_layer_keep(layer, TN_SET_DTYPE, dtype);
    for (int i = 0; !network->failed && i < rank; i++)
        if (dim[i] < -1)
            tn_layer_fail(layer, TN_INVALID, "dim %d is %lld: sizes are 0 and more, or -1", i,
                          (long long)dim[i]);
    return tn_layer_done(layer);
}

tn_layer *tn_network_add_constant(tn_network *network, const tn_tensor *tensor)
{
    tn_layer *layer = tn_layer_add(network, &tn_layer_constant_kind, NULL, 0);
    if (!layer) return NULL;
    tn_status status = tn_layer_check_tensor(layer, "the tensor", tensor);
    if (status) {
        tn_network_fail(network, status);
        return NULL;
    }
    layer->tensor = *tensor;
    return layer;
}
