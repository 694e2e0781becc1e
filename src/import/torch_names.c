/* From the object of a pickle to names of tensors.
 *
 *     {"model": {"fc.weight": T}, "epoch": 3}      model.fc.weight
 *     Net(_modules={"fc": Linear(_parameters=      fc.weight, as its state_dict would call it
 *         {"weight": T})})
 *     {"state": ..., "param_groups": ...}          an optimizer's state: left out, and said so
 *     {"engine": bytearray}                        torch2trt: kept apart, and said so
 *
 * The values may be shared and may contain themselves: the walk is bounded in depth, and its steps
 * and the letters of its names by the bytes of the pickle, which no real file comes near.
 */
#include <stdio.h>
#include <string.h>

#include "import/torch_import.h"

enum { DEPTH_MAX = 64 };

typedef tn_pickle_value value;

typedef struct walk {
    tn_torch *torch;
    tn_checkpoint *checkpoint;
    char name[TN_CHECKPOINT_NAME_MAX + 1];
    size_t name_bytes;
    int depth;
    uint64_t steps_left, letters_left;
    bool inside_module;
} walk;

static tn_status visit(walk *w, value *v);

static tn_shown show_name(const walk *w)
{
    return tn_show(w->name, w->name_bytes);
}

/* Steps for looking through `items` items. */
static tn_status spend(walk *w, const value *list)
{
    uint64_t items = list && list->kind >= TN_PICKLE_TUPLE && list->kind <= TN_PICKLE_DICT
                         ? (uint64_t)list->as.list.count
                         : 0;
    TN_CHECK(w->steps_left > items, TN_CORRUPT,
             "its objects share each other more often than a network can (at '%s')",
             show_name(w).text);
    w->steps_left -= items + 1;
    return NULL;
}

static tn_status visit_named(walk *w, const char *name, size_t bytes, value *v)
{
    size_t before = w->name_bytes;
    if (v->kind < TN_PICKLE_BYTES || v->kind == TN_PICKLE_SET) return NULL;
    TN_CHECK(bytes < sizeof(w->name) - before - 1, TN_CORRUPT,
             "a name inside '%s' is longer than %d bytes", show_name(w).text,
             TN_CHECKPOINT_NAME_MAX);
    if (before > 0) w->name[w->name_bytes++] = '.';
    memcpy(w->name + w->name_bytes, name, bytes);
    w->name_bytes += bytes;
    TN_TRY(visit(w, v));
    w->name_bytes = before;
    return NULL;
}

static tn_status visit_key(walk *w, const value *key, value *v)
{
    char number[24];
    if (key->kind == TN_PICKLE_INT) {
        snprintf(number, sizeof(number), "%lld", (long long)key->as.integer);
        TN_TRY(visit_named(w, number, strlen(number), v));
    } else if (key->kind == TN_PICKLE_TEXT) {
        TN_TRY(visit_named(w, key->as.text.at, key->as.text.bytes, v));
    }
    return NULL;
}

static tn_status visit_list(walk *w, const value *list)
{
    char number[24];
    for (int64_t i = 0; i < list->as.list.count; i++) {
        snprintf(number, sizeof(number), "%lld", (long long)i);
        TN_TRY(visit_named(w, number, strlen(number), list->as.list.at[i]));
    }
    return NULL;
}

static tn_status visit_dict(walk *w, const value *dict)
{
    if (tn_pickle_get(dict, "param_groups") && tn_pickle_get(dict, "state")) {
        tn_checkpoint_say(w->checkpoint, "left out: the optimizer's state '%s'", show_name(w).text);
        return NULL;
    }
    for (int64_t i = 0; i + 1 < dict->as.list.count; i += 2)
        TN_TRY(visit_key(w, dict->as.list.at[i], dict->as.list.at[i + 1]));
    return NULL;
}

static bool in_set(const value *set, const value *key)
{
    if (!set || set->kind != TN_PICKLE_SET || key->kind != TN_PICKLE_TEXT) return false;
    for (int64_t i = 0; i < set->as.list.count; i++) {
        const value *member = set->as.list.at[i];
        if (member->kind == TN_PICKLE_TEXT && member->as.text.bytes == key->as.text.bytes &&
            memcmp(member->as.text.at, key->as.text.at, key->as.text.bytes) == 0)
            return true;
    }
    return false;
}

/* A module, in the order of its state_dict: parameters, buffers that are saved, modules inside. */
static tn_status visit_module(walk *w, const value *module)
{
    static const char *const parts[] = {"_parameters", "_buffers", "_modules"};
    const value *state = module->as.object.state, *class = module->as.object.of;
    const value *unsaved = tn_pickle_get(state, "_non_persistent_buffers_set");
    bool was_inside = w->inside_module;
    if (!was_inside) {
        tn_shown shown = tn_show(class->as.text.at, class->as.text.bytes);
        bool named = w->name_bytes > 0;
        tn_checkpoint_say(w->checkpoint, "class: %s%s%s%s (a module saved whole)", shown.text,
                          named ? " at '" : "", named ? show_name(w).text : "", named ? "'" : "");
        if (!w->checkpoint->module_class) {
            w->checkpoint->module_class =
                tn_arena_text(&w->checkpoint->arena, class->as.text.at, class->as.text.bytes);
            TN_CHECK(w->checkpoint->module_class, TN_OUT_OF_MEMORY, "no memory for a class name");
        }
    }
    w->inside_module = true;
    for (size_t k = 0; k < TN_COUNT(parts); k++) {
        const value *part = tn_pickle_get(state, parts[k]);
        if (!part || part->kind != TN_PICKLE_DICT) continue;
        TN_TRY(spend(w, part));
        for (int64_t i = 0; i + 1 < part->as.list.count; i += 2) {
            if (k == 1) TN_TRY(spend(w, unsaved));
            if (k == 1 && in_set(unsaved, part->as.list.at[i])) continue;
            TN_TRY(visit_key(w, part->as.list.at[i], part->as.list.at[i + 1]));
        }
    }
    w->inside_module = was_inside;
    return NULL;
}

static tn_status visit_object(walk *w, value *object)
{
    const value *state = object->as.object.state, *class = object->as.object.of;
    TN_TRY(spend(w, state));
    if (tn_pickle_get(state, "_parameters") || tn_pickle_get(state, "_modules"))
        TN_TRY(visit_module(w, object));
    else if (class->as.text.bytes > 12 && memcmp(class->as.text.at, "torch._utils", 12) == 0)
        tn_checkpoint_say(w->checkpoint, "left out: '%s', which is of a kind that is not read (%s)",
                          show_name(w).text, tn_show(class->as.text.at, class->as.text.bytes).text);
    return NULL;
}

static tn_status add_tensor(walk *w, const tn_torch_tensor *t)
{
    tn_tensor view = t->shape;
    tn_torch_storage *s = t->view->storage;
    const char *name = w->name_bytes ? w->name : "tensor"; /* a tensor that was saved alone */
    size_t bytes = w->name_bytes ? w->name_bytes : strlen(name);
    if (t->data_end > 0) {
        if (!s->located) TN_TRY(w->torch->locate(w->torch, s));
        s->located = true;
        TN_CHECK(t->data_end <= s->data_bytes, TN_CORRUPT,
                 "storage '%s', named at byte %zu of the pickle, has %llu bytes in the file where "
                 "%llu are needed",
                 tn_show(s->key, strlen(s->key)).text, s->op_at, (unsigned long long)s->data_bytes,
                 (unsigned long long)t->data_end);
        view.data = (void *)(uintptr_t)(s->data + t->data_begin); /* read-only by contract */
    }
    TN_CHECK(bytes <= w->letters_left, TN_CORRUPT,
             "its tensors have more names than its size allows");
    w->letters_left -= bytes;
    TN_TRY(tn_checkpoint_settle(w->checkpoint, &view));
    TN_TRY(tn_checkpoint_add(w->checkpoint, name, bytes, &view));
    return NULL;
}

static void keep_bytes(walk *w, const value *bytes)
{
    tn_checkpoint *c = w->checkpoint;
    bool engine =
        !c->engine && w->name_bytes >= 6 && memcmp(w->name + w->name_bytes - 6, "engine", 6) == 0;
    if (!engine) {
        tn_checkpoint_say(c, "left out: '%s', %zu bytes that are not a tensor", show_name(w).text,
                          bytes->as.text.bytes);
        return;
    }
    uint8_t *copy = tn_arena_alloc(&c->arena, bytes->as.text.bytes);
    if (!copy) {
        c->note.failed = true; /* reported as a lack of memory when all is read */
        return;
    }
    memcpy(copy, bytes->as.text.at, bytes->as.text.bytes);
    c->engine = copy;
    c->engine_bytes = bytes->as.text.bytes;
    tn_checkpoint_say(c,
                      "'%s': a TensorRT engine of %zu bytes (torch2trt), which only TensorRT runs; "
                      "its network must be built from the checkpoint it was made of",
                      show_name(w).text, bytes->as.text.bytes);
}

static tn_status visit_inside(walk *w, value *v)
{
    switch (v->kind) {
    case TN_PICKLE_DICT: TN_TRY(visit_dict(w, v)); break;
    case TN_PICKLE_LIST:
    case TN_PICKLE_TUPLE: TN_TRY(visit_list(w, v)); break;
    case TN_PICKLE_OBJECT: TN_TRY(visit_object(w, v)); break;
    default: break;
    }
    return NULL;
}

static tn_status visit(walk *w, value *v)
{
    TN_TRY(spend(w, v));
    if (v->kind == TN_PICKLE_TENSOR) {
        TN_TRY_NOTE(add_tensor(w, v->as.made), "in tensor '%s'", show_name(w).text);
        return NULL;
    }
    if (v->kind == TN_PICKLE_BYTES) keep_bytes(w, v);
    bool is_list = v->kind >= TN_PICKLE_TUPLE && v->kind <= TN_PICKLE_DICT;
    if (v->kind != TN_PICKLE_OBJECT && !(is_list && v->as.list.count > 0)) return NULL;
    TN_CHECK(!v->open, TN_CORRUPT, "'%s' contains itself", show_name(w).text);
    TN_CHECK(w->depth < DEPTH_MAX, TN_CORRUPT, "'%s' is nested more than %d deep",
             show_name(w).text, DEPTH_MAX);
    v->open = true;
    w->depth++;
    TN_TRY(visit_inside(w, v));
    w->depth--;
    v->open = false;
    return NULL;
}

tn_status tn_torch_name_all(tn_torch *torch, value *root, size_t pickle_bytes)
{
    enum { STEPS_A_BYTE = 8, LETTERS_A_BYTE = 16 };
    walk w = {
        .torch = torch,
        .checkpoint = torch->checkpoint,
        .steps_left = (uint64_t)pickle_bytes * STEPS_A_BYTE,
        .letters_left = (uint64_t)pickle_bytes * LETTERS_A_BYTE,
    };
    TN_TRY(visit(&w, root));
    return NULL;
}
