/* The shapes to tune and check at, from profiles, and what the graph's expressions are worth there.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "build/stage.h"

/* ---- Part of a pool --------------------------------------------------------------------------*/

tn_status tn_exprs_subset(const tn_exprs *src, bool *used, tn_arena *arena, tn_exprs *out,
                          tn_expr *remap)
{
    int64_t count = 1;
    used[0] = true;
    for (int64_t i = src->count - 1; i > 0; i--) {
        const tn_expr_node *node = tn_expr_get(src, (tn_expr)i);
        if (!used[i]) continue;
        count++;
        if (node->op == TN_EXPR_OP_CONST || node->op == TN_EXPR_OP_SYMBOL) continue;
        used[node->a] = used[node->b] = used[node->c] = true;
    }
    *out = (tn_exprs){.arena = arena, .capacity = count};
    out->node = TN_NEW_ARRAY(arena, tn_expr_node, count);
    TN_CHECK(out->node, TN_OUT_OF_MEMORY, "no memory for %" PRId64 " expressions", count);
    for (int64_t i = 0; i < src->count; i++) {
        remap[i] = TN_EXPR_NONE;
        if (!used[i]) continue;
        tn_expr_node node = *tn_expr_get(src, (tn_expr)i);
        bool leaf = node.op == TN_EXPR_OP_CONST || node.op == TN_EXPR_OP_SYMBOL || i == 0;
        node.a = leaf ? 0 : remap[node.a];
        node.b = leaf ? 0 : remap[node.b];
        node.c = leaf ? 0 : remap[node.c];
        if (node.op == TN_EXPR_OP_SYMBOL) {
            node.name = tn_arena_text(arena, node.name, strlen(node.name));
            TN_CHECK(node.name, TN_OUT_OF_MEMORY, "no memory for a symbol");
        } else {
            node.name = NULL;
        }
        remap[i] = (tn_expr)out->count;
        out->node[out->count++] = node;
    }
    return NULL;
}

/* Only what is used is evaluated: what inference tried and dropped may well not make sense here. */
static tn_status evaluate_some(const tn_exprs *exprs, bool *used, tn_arena *arena, int64_t *values)
{
    tn_exprs part;
    tn_expr *remap = TN_NEW_ARRAY(arena, tn_expr, exprs->count);
    TN_CHECK(remap, TN_OUT_OF_MEMORY, "no memory to evaluate shapes");
    TN_TRY(tn_exprs_subset(exprs, used, arena, &part, remap));
    int64_t *value = TN_NEW_ARRAY(arena, int64_t, part.count);
    TN_CHECK(value, TN_OUT_OF_MEMORY, "no memory to evaluate shapes");
    for (int64_t i = 1; i < exprs->count; i++)
        if (used[i]) value[remap[i]] = values[i];
    TN_TRY(tn_exprs_evaluate(&part, value));
    for (int64_t i = 1; i < exprs->count; i++)
        if (used[i]) values[i] = value[remap[i]];
    return NULL;
}

static void use_dims(bool *used, const tn_type *type)
{
    for (int axis = 0; axis < type->rank; axis++) used[type->dim[axis]] = true;
}

tn_status tn_shapes_values(const tn_graph *graph, const tn_shape_set *set, tn_arena *arena,
                           int64_t **out)
{
    const tn_exprs *exprs = graph->exprs;
    int64_t *values = TN_NEW_ARRAY(arena, int64_t, exprs->count);
    bool *used = TN_NEW_ARRAY(arena, bool, exprs->count);
    TN_CHECK(values && used, TN_OUT_OF_MEMORY, "no memory to evaluate shapes");
    for (int64_t i = 0; i < exprs->count; i++) values[i] = TN_EXPR_UNKNOWN;
    for (int64_t i = 0; i < graph->input_count; i++) {
        const tn_type *type = &graph->input[i]->type;
        use_dims(used, type);
        for (int axis = 0; axis < type->rank && axis < set->rank[i]; axis++)
            if (tn_expr_get(exprs, type->dim[axis])->op == TN_EXPR_OP_SYMBOL)
                values[type->dim[axis]] = set->dim[i][axis];
    }
    for (const tn_node *node = graph->first; node; node = node->next)
        for (int32_t k = 0; k < node->out_count; k++)
            if (node->out[k]) use_dims(used, &node->out[k]->type);
    TN_TRY(evaluate_some(exprs, used, arena, values));
    for (const tn_node *node = graph->first; node; node = node->next) {
        bool guessed = false;
        for (int64_t k = 0; k < node->runtime_count && node->op->guess; k++) {
            int64_t guess = node->op->guess(node, values, (int)k);
            if (guess != TN_EXPR_UNKNOWN) values[node->runtime[k]] = guess, guessed = true;
        }
        if (guessed) TN_TRY(evaluate_some(exprs, used, arena, values));
    }
    *out = values;
    return NULL;
}

/* ---- Profiles --------------------------------------------------------------------------------*/

static const tn_profile *find_profile(const tn_build_config *config, const char *input)
{
    for (int i = 0; i < config->profile_count; i++)
        if (config->profiles[i].input && !strcmp(config->profiles[i].input, input))
            return &config->profiles[i];
    return NULL;
}

static tn_status check_profile(const tn_graph *graph, const tn_profile *profile)
{
    const tn_value *input = NULL;
    char text[256];
    TN_CHECK(profile->input, TN_INVALID, "a profile does not name its input");
    for (int64_t i = 0; i < graph->input_count; i++)
        if (!strcmp(graph->input[i]->name, profile->input)) input = graph->input[i];
    TN_CHECK(input, TN_INVALID, "a profile is given for '%s', which is no input of the model",
             profile->input);
    const tn_type *type = &input->type;
    tn_type_text(graph->exprs, type, text, sizeof(text));
    TN_CHECK(profile->rank >= 0 && profile->rank <= TN_RANK_MAX &&
                 (type->rank < 0 || type->rank == profile->rank),
             TN_INVALID, "the profile of '%s' has rank %d, but the input is %s", profile->input,
             profile->rank, text);
    for (int axis = 0; axis < profile->rank; axis++) {
        int64_t fixed, min = profile->min[axis], opt = profile->opt[axis], max = profile->max[axis];
        TN_CHECK(min >= 0 && min <= opt && opt <= max, TN_INVALID,
                 "the profile of '%s' has min %" PRId64 ", opt %" PRId64 ", max %" PRId64
                 " at dim %d: they must rise",
                 profile->input, min, opt, max, axis);
        if (type->rank < 0 || !tn_expr_is_const(graph->exprs, type->dim[axis], &fixed)) continue;
        TN_CHECK(min == fixed && max == fixed, TN_INVALID,
                 "the profile of '%s' has %" PRId64 " to %" PRId64
                 " at dim %d, but the input is %s",
                 profile->input, min, max, axis, text);
    }
    return NULL;
}

enum { MIN, OPT, MAX, MORE };

static const int64_t *profile_dims(const tn_profile *profile, int which)
{
    return which == MIN ? profile->min : which == MAX ? profile->max : profile->opt;
}

/* Values of the inputs' symbols: profiles first, then 1; for MORE, dims without a profile are
 * larger and the batch is at least 2, to see what a network does with more than one of everything.
 */
static tn_status bind_profiles(const tn_graph *graph, const tn_build_config *config, int which,
                               int64_t *values)
{
    for (int64_t i = 0; i < graph->input_count; i++) {
        const tn_type *type = &graph->input[i]->type;
        const tn_profile *profile = find_profile(config, graph->input[i]->name);
        for (int axis = 0; profile && axis < type->rank; axis++) {
            tn_expr e = type->dim[axis];
            if (tn_expr_get(graph->exprs, e)->op != TN_EXPR_OP_SYMBOL) continue;
            int64_t dim = profile_dims(profile, which)[axis];
            if (which == MORE && axis == 0 && dim < 2) dim = 2;
            if (which == MORE && values[e] != TN_EXPR_UNKNOWN) continue;
            TN_CHECK(values[e] == TN_EXPR_UNKNOWN || values[e] == dim, TN_INVALID,
                     "the profiles give %s both %" PRId64 " and %" PRId64,
                     tn_expr_get(graph->exprs, e)->name, values[e], dim);
            values[e] = dim;
        }
    }
    for (int64_t i = 0; i < graph->input_count; i++) {
        const tn_type *type = &graph->input[i]->type;
        for (int axis = 0; axis < type->rank; axis++) {
            tn_expr e = type->dim[axis];
            if (tn_expr_get(graph->exprs, e)->op == TN_EXPR_OP_SYMBOL &&
                values[e] == TN_EXPR_UNKNOWN)
                values[e] = which == MORE ? (axis == 0 ? 2 : 3) : 1;
        }
    }
    return NULL;
}

static tn_status make_set(const tn_graph *graph, const tn_build_config *config, int which,
                          tn_arena *arena, tn_shape_set *set)
{
    static const char *const names[] = {"min", "opt", "max", "larger batch"};
    const tn_exprs *exprs = graph->exprs;
    int64_t *values = TN_NEW_ARRAY(arena, int64_t, exprs->count);
    bool *used = TN_NEW_ARRAY(arena, bool, exprs->count);
    set->name = names[which];
    set->rank = TN_NEW_ARRAY(arena, int32_t, graph->input_count);
    set->dim = tn_arena_alloc_array(arena, (size_t)graph->input_count, sizeof(*set->dim));
    TN_CHECK(values && used && set->rank && set->dim, TN_OUT_OF_MEMORY, "no memory for profiles");
    for (int64_t i = 0; i < exprs->count; i++) values[i] = TN_EXPR_UNKNOWN;
    for (int64_t i = 0; i < graph->input_count; i++) use_dims(used, &graph->input[i]->type);
    TN_TRY(bind_profiles(graph, config, which, values));
    TN_TRY(evaluate_some(exprs, used, arena, values));
    for (int64_t i = 0; i < graph->input_count; i++) {
        const tn_type *type = &graph->input[i]->type;
        const tn_profile *profile = find_profile(config, graph->input[i]->name);
        set->rank[i] = type->rank >= 0 ? type->rank : profile ? profile->rank : 1;
        for (int axis = 0; axis < set->rank[i]; axis++) {
            tn_expr e = type->rank >= 0 ? type->dim[axis] : TN_EXPR_NONE;
            int64_t dim = e ? values[e] : TN_EXPR_UNKNOWN;
            if (dim < 0) dim = profile ? profile_dims(profile, which)[axis] : 1;
            set->dim[i][axis] = dim;
        }
    }
    return NULL;
}

static bool same_set(const tn_graph *graph, const tn_shape_set *a, const tn_shape_set *b)
{
    for (int64_t i = 0; i < graph->input_count; i++) {
        if (a->rank[i] != b->rank[i]) return false;
        for (int axis = 0; axis < a->rank[i]; axis++)
            if (a->dim[i][axis] != b->dim[i][axis]) return false;
    }
    return true;
}

tn_status tn_shapes_of(const tn_graph *graph, const tn_build_config *config, tn_arena *arena,
                       tn_shape_sets *out)
{
    *out = (tn_shape_sets){0};
    for (int i = 0; i < config->profile_count; i++)
        TN_TRY(check_profile(graph, &config->profiles[i]));
    for (int which = MIN; which <= MORE; which++) {
        tn_shape_set set;
        int same = 0;
        TN_TRY(make_set(graph, config, which, arena, &set));
        while (same < out->count && !same_set(graph, &out->at[same], &set)) same++;
        if (same == out->count) out->at[out->count++] = set;
        if (which == OPT) {
            out->opt = same;
            out->at[same].name = set.name;
        }
    }
    return NULL;
}

tn_status tn_shapes_between(const tn_graph *graph, const tn_shape_set *a, const tn_shape_set *b,
                            tn_arena *arena, tn_shape_set *out)
{
    out->name = "between";
    out->rank = a->rank;
    out->dim = tn_arena_alloc_array(arena, (size_t)graph->input_count, sizeof(*out->dim));
    TN_CHECK(out->dim, TN_OUT_OF_MEMORY, "no memory for shapes to tune for");
    for (int64_t i = 0; i < graph->input_count; i++)
        for (int axis = 0; axis < a->rank[i]; axis++)
            out->dim[i][axis] =
                (int64_t)lrint(sqrt((double)a->dim[i][axis] * (double)b->dim[i][axis]));
    return NULL;
}

void tn_shapes_print(const tn_graph *graph, const tn_shape_set *set, tn_text *out)
{
    for (int64_t i = 0; i < graph->input_count; i++) {
        const tn_value *input = graph->input[i];
        tn_text_printf(out, "%s%s %s", i ? ", " : "", input->name,
                       tn_dtype_name(input->type.dtype));
        for (int axis = 0; axis < set->rank[i]; axis++)
            tn_text_printf(out, "%s%" PRId64, axis ? "," : "[", set->dim[i][axis]);
        if (set->rank[i] > 0) tn_text_printf(out, "]");
    }
}

/* ---- Profiles as text ------------------------------------------------------------------------*/

void tn_profile_print(const tn_profile *profile, tn_text *out)
{
    const int64_t *dims[] = {profile->min, profile->opt, profile->max};
    for (size_t i = 0; i < TN_COUNT(dims); i++) {
        for (int axis = 0; axis < profile->rank; axis++)
            tn_text_printf(out, "%s%" PRId64, axis ? "x" : "", dims[i][axis]);
        tn_text_printf(out, "%s ", profile->rank ? "" : "scalar");
    }
    tn_text_printf(out, "%s", profile->input);
}

static const char *parse_dims(const char *at, int64_t *dim, int32_t *rank)
{
    static const char scalar[] = "scalar ";
    *rank = 0;
    if (!strncmp(at, scalar, sizeof scalar - 1)) return at + sizeof scalar - 1;
    while (*rank < TN_RANK_MAX) {
        char *end;
        errno = 0;
        dim[(*rank)++] = strtoll(at, &end, 10);
        if (end == at || errno) return NULL;
        if (*end == ' ') return end + 1;
        if (*end != 'x') return NULL;
        at = end + 1;
    }
    return NULL;
}

bool tn_profile_parse(const char *line, tn_profile *out)
{
    int32_t rank[3];
    int64_t *dims[] = {out->min, out->opt, out->max};
    *out = (tn_profile){0};
    for (size_t i = 0; i < TN_COUNT(dims); i++)
        if (!(line = parse_dims(line, dims[i], &rank[i]))) return false;
    out->rank = rank[0];
    out->input = line;
    return rank[0] == rank[1] && rank[0] == rank[2];
}
