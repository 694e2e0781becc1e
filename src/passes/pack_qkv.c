/* Several Linears that read the same x, as the Q, K and V of an attention, are one whose weights
 * lie side by side, and a Split of its columns. */
#include <string.h>

#include "passes/epilogue.h"

enum { X, W, BIAS, PARTS_MAX = 16 };

typedef struct group {
    tn_node *part[PARTS_MAX];
    int count;
    int64_t columns;
    bool bias;
} group;

/* A Linear of constants alone: fuse_linear has been here, so no MatMul is asked. */
static bool is_part(const tn_node *node)
{
    if (strcmp(node->op->name, "Linear") || !node->op->domain || strcmp(node->op->domain, "tenon"))
        return false;
    if (node->in_count > BIAS + 1 || !tn_value_has_users(node->out[0])) return false;
    for (int i = W; i < node->in_count; i++)
        if (node->in[i] && !tn_value_is_constant(node->in[i])) return false;
    return node->in[W]->constant.rank == 2;
}

static bool has_bias(const tn_node *node)
{
    return node->in_count > BIAS && node->in[BIAS];
}

static bool same_kind(const tn_node *a, const tn_node *b)
{
    tn_epilogue f = tn_epilogue_of_node(a), g = tn_epilogue_of_node(b);
    return f.kind == g.kind && f.alpha == g.alpha && f.beta == g.beta;
}

static bool same_kind_of_weights(const tn_tensor *a, const tn_tensor *b)
{
    return a->dtype == b->dtype && a->dim[0] == b->dim[0];
}

static bool collect(tn_node *first, group *out)
{
    const tn_tensor *w = &first->in[W]->constant;
    *out = (group){.part = {first}, .count = 1};
    for (tn_node *node = first->next; node && out->count < PARTS_MAX; node = node->next)
        if (is_part(node) && node->in[X] == first->in[X] && same_kind(first, node) &&
            same_kind_of_weights(w, &node->in[W]->constant))
            out->part[out->count++] = node;
    for (int i = 0; i < out->count; i++) {
        int64_t columns = out->part[i]->in[W]->constant.dim[1];
        if (columns > INT64_MAX - out->columns) return false;
        out->columns += columns;
        out->bias = out->bias || has_bias(out->part[i]);
    }
    return out->count > 1;
}

static bool is_among(const tn_node *node, const group *g)
{
    for (int i = 0; i < g->count; i++)
        if (g->part[i] == node) return true;
    return false;
}

/* Input `index` of all parts side by side; zeros where one is absent. rows: 1 for vectors. */
static tn_status join(tn_graph *graph, const group *g, int index, int64_t rows, tn_value **out)
{
    const tn_tensor *w = &g->part[0]->in[W]->constant;
    int64_t size = tn_dtype_bytes(w->dtype, 1), done = 0;
    const int64_t dim[2] = {rows, g->columns};
    tn_tensor to = tn_tensor_of(w->dtype, index == W ? dim : dim + 1, index == W ? 2 : 1, NULL);
    int64_t bytes = tn_tensor_bytes(&to);
    TN_CHECK(bytes >= 0, TN_OUT_OF_MEMORY, "no memory for weights side by side");
    uint8_t *dst = tn_arena_alloc(graph->arena, (size_t)bytes + 1);
    TN_CHECK(dst, TN_OUT_OF_MEMORY, "no memory for weights side by side");
    memset(dst, 0, (size_t)bytes);
    to.data = dst;
    for (int i = 0; i < g->count; i++) {
        const tn_node *part = g->part[i];
        int64_t columns = part->in[W]->constant.dim[1];
        const uint8_t *src = index < part->in_count && part->in[index]
                                 ? (const uint8_t *)part->in[index]->constant.data
                                 : NULL;
        for (int64_t row = 0; src && columns && row < rows; row++)
            memcpy(dst + (row * g->columns + done) * size, src + row * columns * size,
                   (size_t)(columns * size));
        done += columns;
    }
    return tn_graph_add_constant(graph, NULL, &to, false, out);
}

static tn_status pack(tn_graph *graph, const group *g)
{
    tn_node *first = g->part[0], *node, *split;
    tn_epilogue epilogue = tn_epilogue_of_node(first);
    tn_value *in[] = {first->in[X], NULL, NULL}, *sizes;
    int64_t columns[PARTS_MAX];
    for (int i = 0; i < g->count; i++) columns[i] = g->part[i]->in[W]->constant.dim[1];
    TN_TRY(join(graph, g, W, first->in[W]->constant.dim[0], &in[W]));
    if (g->bias) TN_TRY(join(graph, g, BIAS, 1, &in[BIAS]));
    TN_TRY(tn_graph_add_ints(graph, columns, g->count, &sizes));
    TN_TRY(tn_graph_add_node(graph, first->op, first->name, in, g->bias ? 3 : 2, NULL, 1, first,
                             &node));
    TN_TRY(tn_epilogue_set(node, &epilogue));
    TN_TRY(tn_node_lower(node));
    TN_TRY(tn_node_infer(node));
    TN_TRY(tn_graph_add_node(graph, tn_op_find(NULL, "Split"), first->name,
                             (tn_value *[]){node->out[0], sizes}, 2, NULL, g->count, first,
                             &split));
    TN_TRY(tn_node_set_int(split, "axis", -1));
    TN_TRY(tn_node_lower(split));
    TN_TRY(tn_node_infer(split));
    for (int i = 0; i < g->count; i++) {
        TN_TRY(tn_value_replace(g->part[i]->out[0], split->out[i]));
        tn_node_remove(g->part[i]);
    }
    return NULL;
}

static tn_status run(tn_graph *graph, int64_t *changed)
{
    group g;
    for (tn_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        if (!is_part(node) || node->in[X]->use_count < 2 || !collect(node, &g)) continue;
        while (next && is_among(next, &g)) next = next->next;
        TN_TRY(pack(graph, &g));
        ++*changed;
    }
    return NULL;
}

const tn_pass tn_pass_pack_qkv = {
    .name = "pack_qkv",
    .about = "one Linear with the weights of several side by side, and a Split",
    .run = run,
    .only_engines = true,
};
