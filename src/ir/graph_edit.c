/* Editing graphs: replacing, rewiring, removing, sorting. Users and order stay right. */
#include "ir/graph.h"
#include "ir/op.h"

static tn_status add_use(tn_value *value, tn_node *node, int index)
{
    if (value->use_count == value->use_capacity)
        TN_TRY(tn_arena_grow(value->graph->arena, &value->use, value->use_count,
                             &value->use_capacity, value->use_count + 1, sizeof(tn_use)));
    value->use[value->use_count++] = (tn_use){node, index};
    return NULL;
}

/* From the end: nodes die in reverse order, so the use is most often the last one. */
static void drop_use(tn_value *value, const tn_node *node, int index)
{
    for (int64_t i = value->use_count - 1; i >= 0; i--) {
        if (value->use[i].node != node || value->use[i].index != index) continue;
        for (int64_t k = i + 1; k < value->use_count; k++) value->use[k - 1] = value->use[k];
        value->use_count--;
        return;
    }
}

tn_status tn_value_replace(tn_value *old, tn_value *with)
{
    if (old == with) return NULL;
    TN_TRY(tn_arena_grow(with->graph->arena, &with->use, with->use_count, &with->use_capacity,
                         with->use_count + old->use_count, sizeof(tn_use)));
    for (int64_t i = 0; i < old->use_count; i++) {
        tn_use use = old->use[i];
        use.node->in[use.index] = with;
        with->use[with->use_count++] = use;
    }
    old->use_count = 0;
    if (old->producer) old->producer->became = with;
    tn_graph *graph = old->graph;
    for (int64_t i = 0; old->output_count && i < graph->output_count; i++) {
        if (graph->output[i].value != old) continue;
        graph->output[i].value = with;
        old->output_count--;
        with->output_count++;
    }
    return NULL;
}

tn_status tn_node_set_input(tn_node *node, int index, tn_value *value)
{
    if (index >= node->in_count) {
        int64_t capacity = node->in_capacity;
        TN_CHECK(index < INT32_MAX / 4, TN_UNSUPPORTED, "a node has too many inputs");
        TN_TRY(tn_arena_grow(node->graph->arena, &node->in, node->in_count, &capacity, index + 1,
                             sizeof(tn_value *)));
        for (int i = node->in_count; i <= index; i++) node->in[i] = NULL;
        node->in_capacity = (int32_t)capacity;
        node->in_count = index + 1;
    }
    tn_value *old = node->in[index];
    if (old == value) return NULL;
    if (value) TN_TRY(add_use(value, node, index));
    if (old) drop_use(old, node, index);
    node->in[index] = value;
    return NULL;
}

void tn_node_trim_inputs(tn_node *node)
{
    while (node->in_count && !node->in[node->in_count - 1]) node->in_count--;
}

void tn_graph_remove_input(tn_graph *graph, int64_t index)
{
    tn_map_remove(&graph->names, graph->input[index]->name);
    for (int64_t i = index + 1; i < graph->input_count; i++) graph->input[i - 1] = graph->input[i];
    graph->input_count--;
}

tn_status tn_node_remove_input(tn_node *node, int index)
{
    for (int i = index + 1; i < node->in_count; i++)
        TN_TRY(tn_node_set_input(node, i - 1, node->in[i]));
    TN_TRY(tn_node_set_input(node, node->in_count - 1, NULL));
    node->in_count--;
    return NULL;
}

void tn_node_remove(tn_node *node)
{
    tn_graph *graph = node->graph;
    if (!graph) return;
    for (int i = node->in_count - 1; i >= 0; i--) {
        if (node->in[i]) drop_use(node->in[i], node, i);
        node->in[i] = NULL;
    }
    for (int i = 0; i < node->out_count; i++)
        if (node->out[i]) tn_map_remove(&graph->names, node->out[i]->name);
    if (node->prev) node->prev->next = node->next;
    else graph->first = node->next;
    if (node->next) node->next->prev = node->prev;
    else graph->last = node->prev;
    graph->node_count--;
    node->graph = NULL;
    node->prev = node->next = NULL;
}

void tn_node_set_op(tn_node *node, const tn_op *op)
{
    node->op = op;
    node->params = NULL;
    node->params_bytes = 0;
}

bool tn_value_is_constant(const tn_value *value)
{
    return value && value->kind == TN_VALUE_CONSTANT;
}

bool tn_value_has_users(const tn_value *value)
{
    return value->use_count > 0 || value->output_count > 0;
}

/* ---- Sorting -----------------------------------------------------------------------------------
 *
 * Depth first over producers with a stack of our own: a node goes to the new list once all it reads
 * are there. Nodes are started in list order, so a list that is in order stays as it is.
 */
enum { UNSEEN, OPEN, DONE };

typedef struct frame {
    tn_node *node;
    int32_t next_input;
} frame;

typedef struct sorter {
    tn_graph *graph;
    uint8_t *mark; /* by node id */
    frame *stack;
    int64_t depth;
    tn_node *last;
} sorter;

static tn_status visit(sorter *s, tn_node *start)
{
    s->stack[s->depth++] = (frame){start, 0};
    s->mark[start->id] = OPEN;
    while (s->depth) {
        frame *top = &s->stack[s->depth - 1];
        if (top->next_input < top->node->in_count) {
            const tn_value *value = top->node->in[top->next_input++];
            tn_node *producer = value ? value->producer : NULL;
            if (!producer || producer->graph != s->graph || s->mark[producer->id] == DONE) continue;
            char label[160];
            TN_CHECK(s->mark[producer->id] == UNSEEN, TN_INVALID,
                     "%s: its input '%s' depends on its own output; the graph has a cycle",
                     tn_node_label(top->node, label, sizeof label), value->name);
            s->mark[producer->id] = OPEN;
            s->stack[s->depth++] = (frame){producer, 0};
            continue;
        }
        tn_node *node = top->node;
        s->depth--;
        s->mark[node->id] = DONE;
        /* `next` still leads the outer walk through the old list, so the new one hangs on `prev`.
         */
        node->prev = s->last;
        s->last = node;
    }
    return NULL;
}

tn_status tn_graph_sort(tn_graph *graph)
{
    size_t mark_bytes = (size_t)graph->next_id + 1;
    size_t stack_bytes = ((size_t)graph->node_count + 1) * sizeof(frame);
    sorter s = {.graph = graph, .mark = tn_alloc_zero(mark_bytes), .stack = tn_alloc(stack_bytes)};
    tn_status status = NULL;
    if (!s.mark || !s.stack) status = TN_ERROR(TN_OUT_OF_MEMORY, "no memory to sort the graph");
    for (tn_node *node = graph->first; node && !status; node = node->next)
        if (s.mark[node->id] == UNSEEN) status = visit(&s, node);
    if (!status) {
        tn_node *next = NULL;
        for (tn_node *node = s.last; node; node = node->prev) {
            node->next = next;
            next = node;
        }
        graph->first = next;
        graph->last = s.last;
    } else {
        /* The old order again: only `prev` was touched. */
        tn_node *prev = NULL;
        for (tn_node *node = graph->first; node; node = node->next) {
            node->prev = prev;
            prev = node;
        }
    }
    tn_free(s.mark, mark_bytes);
    tn_free(s.stack, stack_bytes);
    return status;
}
