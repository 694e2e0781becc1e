/* Patterns against graphs. A match walks from the root to its inputs; trying the other order of a
 * commuting pair takes back what the first order bound. Alternatives are not tried again once the
 * row that held them has matched: patterns are small and written with that in mind. */
#include <stdio.h>
#include <string.h>

#include "ir/graph.h"
#include "ir/op.h"

typedef struct matcher {
    const tn_pattern *pattern;
    int pattern_count;
    tn_match *match;
} matcher;

static const tn_pattern *find_row(const matcher *m, const char *name)
{
    for (int i = 0; i < m->pattern_count; i++)
        if (!strcmp(m->pattern[i].name, name)) return &m->pattern[i];
    return NULL;
}

static int find_bound(const tn_match *match, const char *name)
{
    for (int i = 0; i < match->count; i++)
        if (!strcmp(match->bound[i].name, name)) return i;
    return -1;
}

/* A name stands for one value (and node) throughout a match. */
static bool bind(matcher *m, const char *name, tn_node *node, tn_value *value)
{
    int index = find_bound(m->match, name);
    if (index >= 0)
        return m->match->bound[index].node == node && m->match->bound[index].value == value;
    if (m->match->count == TN_MATCH_MAX) return false;
    m->match->bound[m->match->count].name = name;
    m->match->bound[m->match->count].node = node;
    m->match->bound[m->match->count++].value = value;
    return true;
}

/* "MatMul|tenon.Dims": our own operators carry their domain. */
static bool op_fits(const tn_op *op, const char *words)
{
    char full[128];
    bool foreign = op->domain && op->domain[0];
    snprintf(full, sizeof full, foreign ? "%s.%s" : "%s%s", foreign ? op->domain : "",
             tn_op_file_name(op));
    size_t bytes = strlen(full);
    for (const char *at = words; at;) {
        const char *end = strchr(at, '|');
        size_t word_bytes = end ? (size_t)(end - at) : strlen(at);
        if (word_bytes == bytes && !memcmp(at, full, bytes)) return true;
        at = end ? end + 1 : NULL;
    }
    return false;
}

static bool match_row(matcher *m, const tn_pattern *row, tn_node *node, int depth);

static bool match_input(matcher *m, const char *name, tn_value *value, int depth)
{
    if (!strcmp(name, "*")) return true;
    if (!strcmp(name, "-")) return !value;
    if (!value) return false;
    const tn_pattern *row = find_row(m, name);
    if (!row) return bind(m, name, NULL, value);
    if (value->kind != TN_VALUE_NODE || value->producer_index != 0) return false;
    return match_row(m, row, value->producer, depth + 1);
}

static bool match_inputs(matcher *m, const tn_pattern *row, const tn_node *node, bool swapped,
                         int depth)
{
    int count = 0;
    while (count < TN_PATTERN_INPUTS && row->in[count]) count++;
    for (int i = count; count && i < node->in_count; i++)
        if (node->in[i]) return false;
    for (int i = 0; i < count; i++) {
        int from = swapped && i < 2 ? 1 - i : i;
        tn_value *value = from < node->in_count ? node->in[from] : NULL;
        if (!match_input(m, row->in[i], value, depth)) return false;
    }
    return true;
}

static bool match_row(matcher *m, const tn_pattern *row, tn_node *node, int depth)
{
    tn_value *out = node->out_count ? node->out[0] : NULL;
    if (depth > m->pattern_count || !out || !op_fits(node->op, row->op)) return false;
    if (row->users > 0 && (out->use_count != row->users || out->output_count)) return false;
    int before = m->match->count;
    if (!bind(m, row->name, node, out)) return false;
    int after = m->match->count;
    if (match_inputs(m, row, node, false, depth)) return true;
    m->match->count = after;
    if (row->commutes && match_inputs(m, row, node, true, depth)) return true;
    m->match->count = before;
    return false;
}

bool tn_match_at(tn_node *root, const tn_pattern *pattern, int pattern_count, tn_match *out)
{
    matcher m = {pattern, pattern_count, out};
    out->count = 0;
    return pattern_count > 0 && match_row(&m, &pattern[0], root, 0);
}

tn_value *tn_match_value(const tn_match *match, const char *name)
{
    int index = find_bound(match, name);
    return index < 0 ? NULL : match->bound[index].value;
}

tn_node *tn_match_node(const tn_match *match, const char *name)
{
    int index = find_bound(match, name);
    return index < 0 ? NULL : match->bound[index].node;
}

/* A root that nobody reads any more was replaced already. */
static bool is_read(const tn_node *node)
{
    for (int i = 0; i < node->out_count; i++)
        if (node->out[i] && tn_value_has_users(node->out[i])) return true;
    return false;
}

static tn_status sweep(tn_graph *graph, const tn_rule *rule, tn_node **nodes, int64_t count,
                       int64_t *applied)
{
    tn_match match;
    for (int64_t i = 0; i < count; i++) {
        tn_node *node = nodes[i];
        /* A replacement may have removed nodes further on in this list. */
        if (!node->graph || !is_read(node)) continue;
        if (!tn_match_at(node, rule->pattern, rule->pattern_count, &match)) continue;
        if (rule->holds && !rule->holds(&match)) continue;
        char label[160];
        TN_TRY_NOTE(rule->replace(graph, &match), "while applying rule '%s' at %s", rule->name,
                    tn_node_label(node, label, sizeof label));
        (*applied)++;
    }
    return NULL;
}

#define SWEEPS_MAX 100

tn_status tn_rule_apply(tn_graph *graph, const tn_rule *rule, int64_t *applied)
{
    *applied = 0;
    for (int round = 0; round < SWEEPS_MAX; round++) {
        int64_t before = *applied, count = 0;
        size_t bytes = ((size_t)graph->node_count + 1) * sizeof(tn_node *);
        tn_node **nodes = tn_alloc(bytes);
        TN_CHECK(nodes, TN_OUT_OF_MEMORY, "no memory to apply rule '%s'", rule->name);
        for (tn_node *node = graph->first; node; node = node->next) nodes[count++] = node;
        tn_status status = sweep(graph, rule, nodes, count, applied);
        tn_free(nodes, bytes);
        if (status) return status;
        if (*applied == before) return NULL;
    }
    TN_FAIL(TN_INTERNAL, "rule '%s' still fits after %d sweeps", rule->name, SWEEPS_MAX);
}
