/* Nodes that compute the same from the same are one; so are small constants with equal bytes. Both
 * are found through one hash table; the first of the equals stays. */
#include <string.h>

#include "base/bytes.h"
#include "passes/passes.h"

#define CONSTANT_BYTES_MAX 4096

typedef struct slot {
    uint64_t hash;
    void *item; /* a tn_node or a tn_value, by table */
} slot;

typedef struct table {
    slot *slot;
    size_t mask;
} table;

static tn_status init_table(table *t, tn_arena *arena, int64_t count)
{
    size_t size = 16;
    while (size < (size_t)count * 2) size *= 2;
    t->slot = TN_NEW_ARRAY(arena, slot, size);
    t->mask = size - 1;
    TN_CHECK(t->slot, TN_OUT_OF_MEMORY, "no memory to compare nodes");
    return NULL;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    uint64_t pair[2] = {hash, value};
    return tn_hash_bytes(pair, sizeof pair);
}

/* The first item that equals `item`, or `item` itself, which is then added. */
static void *find_or_add(table *t, uint64_t hash, void *item,
                         bool (*same)(const void *, const void *))
{
    size_t at = (size_t)hash & t->mask;
    for (; t->slot[at].item; at = (at + 1) & t->mask)
        if (t->slot[at].hash == hash && same(t->slot[at].item, item)) return t->slot[at].item;
    t->slot[at] = (slot){hash, item};
    return item;
}

/* ---- Constants
 * ---------------------------------------------------------------------------------*/

static bool same_constant(const void *left, const void *right)
{
    const tn_tensor *a = &((const tn_value *)left)->constant,
                    *b = &((const tn_value *)right)->constant;
    int64_t bytes = tn_tensor_bytes(a);
    return a->dtype == b->dtype && tn_tensor_same_shape(a, b) &&
           (!bytes || !memcmp(a->data, b->data, (size_t)bytes));
}

static tn_status merge_constants(tn_graph *graph, tn_arena *arena, int64_t *changed)
{
    table t;
    TN_TRY(init_table(&t, arena, graph->constant_count));
    for (int64_t i = 0; i < graph->constant_count; i++) {
        tn_value *value = graph->constant[i];
        const tn_tensor *tensor = &value->constant;
        int64_t bytes = tn_tensor_bytes(tensor);
        if (!tn_value_has_users(value) || tensor->dtype == TN_DTYPE_STRING) continue;
        if (bytes < 0 || bytes > CONSTANT_BYTES_MAX) continue;
        uint64_t hash = mix((uint64_t)tensor->dtype, (uint64_t)tensor->rank);
        for (int k = 0; k < tensor->rank; k++) hash = mix(hash, (uint64_t)tensor->dim[k]);
        if (bytes) hash = mix(hash, tn_hash_bytes(tensor->data, (size_t)bytes));
        tn_value *first = find_or_add(&t, hash, value, same_constant);
        if (first == value) continue;
        TN_TRY(tn_value_replace(value, first));
        (*changed)++;
    }
    return NULL;
}

/* ---- Nodes
 * -------------------------------------------------------------------------------------*/

static bool is_field(const tn_op *op, const char *name)
{
    for (int i = 0; i < op->field_count; i++)
        if (!strcmp(op->field[i].name, name)) return true;
    return false;
}

static bool same_text(const tn_string *a, const tn_string *b)
{
    return a->bytes == b->bytes && !memcmp(a->text, b->text, a->bytes);
}

static bool same_attr(const tn_attr *a, const tn_attr *b)
{
    if (a->kind != b->kind || a->count != b->count) return false;
    switch (a->kind) {
    case TN_ATTR_INT: return a->i == b->i;
    case TN_ATTR_FLOAT: return !memcmp(&a->f, &b->f, sizeof a->f);
    case TN_ATTR_TEXT: return same_text(&a->text, &b->text);
    case TN_ATTR_INTS:
        return !a->count || !memcmp(a->ints, b->ints, (size_t)a->count * sizeof *a->ints);
    case TN_ATTR_FLOATS:
        return !a->count || !memcmp(a->floats, b->floats, (size_t)a->count * sizeof *a->floats);
    case TN_ATTR_TEXTS:
        for (int64_t i = 0; i < a->count; i++)
            if (!same_text(&a->texts[i], &b->texts[i])) return false;
        return true;
    default: return false; /* tensors and graphs: not worth a look */
    }
}

/* Attributes with a row are in params; the others are compared as they are. */
static bool same_attrs(const tn_node *a, const tn_node *b)
{
    for (int i = 0; i < a->attr_count; i++) {
        if (is_field(a->op, a->attr[i].name)) continue;
        const tn_attr *other = tn_node_find_attr(b, a->attr[i].name);
        if (!other || !same_attr(&a->attr[i], other)) return false;
    }
    for (int i = 0; i < b->attr_count; i++)
        if (!is_field(b->op, b->attr[i].name) && !tn_node_find_attr(a, b->attr[i].name))
            return false;
    return true;
}

static bool same_node(const void *left, const void *right)
{
    const tn_node *a = left, *b = right;
    if (a->op != b->op || a->in_count != b->in_count || a->out_count != b->out_count) return false;
    for (int i = 0; i < a->in_count; i++)
        if (a->in[i] != b->in[i]) return false;
    /* What the later one gives, the earlier one must give too. */
    for (int i = 0; i < a->out_count; i++)
        if (b->out[i] && !a->out[i]) return false;
    if (a->params_bytes != b->params_bytes) return false;
    if (a->params_bytes && memcmp(a->params, b->params, a->params_bytes) != 0) return false;
    if (a->op->pack) return true; /* all attributes are in there */
    return same_attrs(a, b);
}

static tn_status merge_nodes(tn_graph *graph, tn_arena *arena, int64_t *changed)
{
    table t;
    TN_TRY(init_table(&t, arena, graph->node_count));
    tn_node *next;
    for (tn_node *node = graph->first; node; node = next) {
        next = node->next;
        if (node->op->impure) continue;
        /* By the operator's name, not its address: the same order on every run. */
        uint64_t hash = tn_hash_bytes(node->op->name, strlen(node->op->name));
        for (int i = 0; i < node->in_count; i++)
            hash = mix(hash, node->in[i] ? (uint64_t)node->in[i]->id + 1 : 0);
        if (node->params_bytes) hash = mix(hash, tn_hash_bytes(node->params, node->params_bytes));
        tn_node *first = find_or_add(&t, hash, node, same_node);
        if (first == node) continue;
        for (int i = 0; i < node->out_count; i++)
            if (node->out[i]) TN_TRY(tn_value_replace(node->out[i], first->out[i]));
        tn_node_remove(node);
        (*changed)++;
    }
    return NULL;
}

static tn_status run(tn_graph *graph, int64_t *changed)
{
    tn_arena arena;
    tn_arena_init(&arena);
    tn_status status = merge_constants(graph, &arena, changed);
    if (!status) status = merge_nodes(graph, &arena, changed);
    tn_arena_fini(&arena);
    return status;
}

const tn_pass tn_pass_merge_same = {
    .name = "merge_same",
    .about = "compute equal things once",
    .run = run,
};
