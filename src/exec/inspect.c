/* What is inside an engine, as JSON (include/tenon/engine.h describes it): the plan as a context
 * has resolved it for its shapes, with what the build remembered (layers.h) and reported. */
#include <inttypes.h>
#include <string.h>

#include "base/map.h"
#include "exec/context.h"
#include "tensor/tensor.h"

typedef struct inspector {
    tn_context *context;
    const tn_engine *engine;
    const tn_plan *plan;
    const tn_resolved *r;
    tn_find_ns find;
    void *self;
    tn_map choices;     /* problem -> its lines in the report */
    tn_map measured;    /* "problem\ttactic" -> the number in the text of measured times */
    tn_places *layers;  /* by node of the portable graph: the steps that compute it */
    int32_t node_count; /* of the portable graph, as far as layers name them */
    tn_arena *arena;
    tn_text *out;
} inspector;

/* ---- What the build wrote down ----------------------------------------------------------------*/

static const char *next_line(const char *line)
{
    line += strcspn(line, "\n");
    return *line ? line + 1 : line;
}

static tn_status line_text(const inspector *s, const char *from, size_t bytes, char **out)
{
    *out = tn_arena_text(s->arena, from, bytes);
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory to read a report");
    return NULL;
}

/* "choices:", then "  PROBLEM" and its "    by: ...", "    no: TACTIC: why" lines. */
static tn_status read_report(inspector *s)
{
    const char *line = strstr(s->engine->report, "choices:\n");
    char *problem;
    if (!line) return NULL;
    for (line = next_line(line); line[0] == ' '; line = next_line(line)) {
        if (!strncmp(line, "    ", 4)) continue;
        TN_TRY(line_text(s, line + 2, strcspn(line + 2, "\n"), &problem));
        const char *rest = next_line(line);
        TN_TRY(tn_map_put(&s->choices, problem, (void *)(uintptr_t)rest));
    }
    return NULL;
}

/* "PROBLEM", then "  TACTIC: 812 ns" lines. */
static tn_status read_measured(inspector *s)
{
    const char *problem = NULL, *line = s->engine->measured ? s->engine->measured : "";
    for (; *line; line = next_line(line)) {
        const char *end = line + strcspn(line, "\n"), *colon = end;
        if (line[0] != ' ') {
            problem = line;
            continue;
        }
        while (colon > line && *colon != ':') colon--;
        if (!problem || colon == line) continue;
        char *key = tn_arena_printf(s->arena, "%.*s\t%.*s", (int)strcspn(problem, "\n"), problem,
                                    (int)(colon - line - 2), line + 2);
        TN_CHECK(key, TN_OUT_OF_MEMORY, "no memory to read a report");
        TN_TRY(tn_map_put(&s->measured, key, (void *)(uintptr_t)(colon + 1)));
    }
    return NULL;
}

static tn_status find_layers(inspector *s)
{
    const tn_layers *l = &s->engine->layers;
    if (l->step_count != s->plan->step_count) return NULL;
    for (int32_t i = 0; i < l->step_count; i++)
        for (int32_t k = 0; k < l->step[i].node.count; k++)
            s->node_count = TN_MAX(s->node_count, l->step[i].node.at[k] + 1);
    /* Places are read from files, and only as large as those make them. */
    TN_CHECK(s->node_count <= (int64_t)s->engine->graph_text_bytes + 1, TN_CORRUPT,
             "the layers of the engine name node %d, which its graph cannot have", s->node_count);
    s->layers = TN_NEW_ARRAY(s->arena, tn_places, s->node_count);
    TN_CHECK(s->layers, TN_OUT_OF_MEMORY, "no memory to inspect an engine");
    for (int32_t i = 0; i < l->step_count; i++)
        for (int32_t k = 0; k < l->step[i].node.count; k++)
            if (l->step[i].node.at[k] >= 0)
                TN_TRY(tn_places_add(&s->layers[l->step[i].node.at[k]], i, s->arena));
    return NULL;
}

/* ---- Pieces ----------------------------------------------------------------------------------*/

static void print_pair(const inspector *s, const char *key, const char *value)
{
    tn_text_printf(s->out, ", \"%s\": ", key);
    tn_text_json(s->out, value);
}

static void print_numbers(const inspector *s, const char *key, const int32_t *at, int32_t count)
{
    tn_text_printf(s->out, ", \"%s\": [", key);
    for (int32_t i = 0; i < count; i++) tn_text_printf(s->out, i ? ", %d" : "%d", at[i]);
    tn_text_printf(s->out, "]");
}

static bool is_known(const tn_tensor *t)
{
    for (int axis = 0; axis < t->rank; axis++)
        if (t->dim[axis] < 0) return false;
    return t->rank >= 0 && t->dtype != TN_DTYPE_NONE;
}

static int64_t bytes_of(const tn_tensor *t)
{
    int64_t bytes = is_known(t) ? tn_tensor_bytes(t) : 0;
    return TN_MAX(bytes, 0);
}

static void print_type(const inspector *s, const tn_tensor *t)
{
    tn_text_printf(s->out, "\"type\": \"%s\", \"shape\": ", tn_dtype_name(t->dtype));
    if (!is_known(t)) {
        tn_text_printf(s->out, "null");
        return;
    }
    tn_text_printf(s->out, "[");
    for (int axis = 0; axis < t->rank; axis++)
        tn_text_printf(s->out, axis ? ", %" PRId64 : "%" PRId64, t->dim[axis]);
    tn_text_printf(s->out, "]");
}

static tn_status print_meta(const inspector *s, const char *key, bool first)
{
    const char *value;
    TN_TRY(tn_exec_engine_meta(s->engine, key, s->arena, &value));
    if (!value[0]) return NULL;
    if (!first) print_pair(s, key, value);
    else {
        tn_text_printf(s->out, "\"%s\": ", key);
        tn_text_json(s->out, value);
    }
    return NULL;
}

static tn_status print_engine(const inspector *s)
{
    static const char *const keys[] = {"tenon",     "device", "machine",   "card",
                                       "precision", "check",  "tolerance", "rebuilt"};
    tn_text_printf(s->out, "{\n\"engine\": {");
    for (size_t i = 0; i < TN_COUNT(keys); i++) TN_TRY(print_meta(s, keys[i], i == 0));
    tn_text_printf(s->out, "}");
    return NULL;
}

static void print_ios(const inspector *s)
{
    for (int pass = 0; pass < 2; pass++) {
        const tn_plan_io *io = pass ? s->plan->output : s->plan->input;
        int32_t count = pass ? s->plan->output_count : s->plan->input_count;
        tn_text_printf(s->out, ",\n\"%s\": [", pass ? "outputs" : "inputs");
        for (int32_t i = 0; i < count; i++) {
            tn_text_printf(s->out, i ? ",\n  {\"name\": " : "\n  {\"name\": ");
            tn_text_json(s->out, io[i].name);
            tn_text_printf(s->out, ", ");
            print_type(s, &s->r->at[io[i].tensor]);
            tn_text_printf(s->out, ", \"tensor\": %d}", io[i].tensor);
        }
        tn_text_printf(s->out, "]");
    }
}

static tn_status print_memory(const inspector *s)
{
    const tn_engine *engine = s->engine;
    size_t weights = 0, least = 0;
    for (int32_t i = 0; i < s->plan->constant_count; i++)
        if (engine->constant_place[i].order.packed < 0) weights += engine->constant_place[i].bytes;
    for (int32_t i = 0; i < s->plan->step_count; i++) {
        size_t alive = s->r->step[i].scratch_bytes;
        for (int32_t t = 0; t < s->plan->tensor_count; t++)
            if (s->plan->tensor[t].place == TN_PLACE_BLOCK && !s->plan->tensor[t].dynamic &&
                s->context->first[t] >= 0 && s->context->first[t] <= i && s->context->last[t] >= i)
                alive += (size_t)bytes_of(&s->r->at[t]);
        least = TN_MAX(least, alive);
    }
    tn_text_printf(s->out,
                   ",\n\"memory\": {\"block_bytes\": %zu, \"card_bytes\": %zu, \"least_bytes\": "
                   "%zu, \"weight_bytes\": %zu}",
                   s->r->block_bytes, s->r->card_bytes, least, weights);
    return NULL;
}

/* ---- Layers ----------------------------------------------------------------------------------*/

static const char *precision_of(const tn_tactic *tactic, const tn_problem *p)
{
    static const char *const names[] = {"fp32", "tf32", "fp16", "bf16"};
    const tn_tensor *t = p->in_count && p->in[0].dtype ? &p->in[0] : p->out;
    if (t == p->out && !p->out_count) return "";
    if (t->dtype == TN_DTYPE_I8 || t->dtype == TN_DTYPE_U8) return "int8";
    if (t->dtype == TN_DTYPE_F16) return "fp16";
    if (t->dtype == TN_DTYPE_F32)
        return names[tactic && (unsigned)tactic->precision < 4 ? tactic->precision : 0];
    return tn_dtype_name(t->dtype);
}

/* Of what these read, no more than they write. */
static bool takes_parts(const char *op)
{
    static const char *const ops[] = {"Gather", "GatherND", "GatherElements", "Slice"};
    for (size_t i = 0; i < TN_COUNT(ops); i++)
        if (!strcmp(op, ops[i])) return true;
    return false;
}

/* Bytes that a step has to move: packed weights in place of those that it does not read then. */
static void print_traffic(const inspector *s, int32_t index)
{
    const tn_plan_step *step = &s->plan->step[index];
    const tn_step_state *state = &s->r->step[index];
    uint64_t unused = step->in_unused;
    int64_t read = 0, written = 0;
    if (state->tactic && state->tactic->unused) unused |= state->tactic->unused(&state->problem);
    for (int32_t k = 0; k < step->choice_count; k++)
        if (step->choice[k].found && step->choice[k].found == state->tactic &&
            step->choice[k].packed >= 0)
            read += bytes_of(&s->plan->constant[step->choice[k].packed]);
    for (int32_t k = 0; k < step->out_count; k++)
        if (step->out[k] >= 0) written += bytes_of(&s->r->at[step->out[k]]);
    for (int32_t k = 0; k < step->in_count; k++) {
        if (step->in[k] < 0 || (k < 64 && unused >> k & 1)) continue;
        int64_t bytes = bytes_of(&s->r->at[step->in[k]]);
        read += k == 0 && takes_parts(step->op) ? TN_MIN(bytes, written) : bytes;
    }
    tn_text_printf(s->out, ", \"read_bytes\": %" PRId64 ", \"written_bytes\": %" PRId64, read,
                   written);
    if (state->scratch_bytes)
        tn_text_printf(s->out, ", \"scratch_bytes\": %zu", state->scratch_bytes);
}

static tn_status print_ns(const inspector *s, const char *problem, const char *name)
{
    const tn_tactic *tactic = tn_tactic_find(s->engine->backend, name);
    double ns;
    char *key = tn_arena_printf(s->arena, "%s\t%s", problem, name), *number;
    TN_CHECK(key, TN_OUT_OF_MEMORY, "no memory to inspect an engine");
    if (!tactic && s->engine->card) tactic = tn_tactic_find(s->engine->card->backend, name);
    const char *measured = tn_map_find(&s->measured, key);
    if (measured) {
        TN_TRY(line_text(s, measured + 1, strcspn(measured + 1, " \n"), &number));
        tn_text_printf(s->out, ", \"ns\": %s", number);
    } else if (tactic && s->find && s->find(s->self, problem, tactic, &ns)) {
        tn_text_printf(s->out, ", \"ns\": %.0f", ns);
    }
    return NULL;
}

/* "    by: TACTIC", "    else: ...", "    lost: ...", "    no: TACTIC: why" */
static tn_status print_candidates(const inspector *s, const char *problem)
{
    const char *line = tn_map_find(&s->choices, problem);
    bool any = false;
    if (!line) return NULL;
    tn_text_printf(s->out, ", \"candidates\": [");
    for (; !strncmp(line, "    ", 4); line = next_line(line)) {
        const char *word = line + 4, *colon = strstr(word, ": ");
        char *name, *why;
        if (!colon || colon > word + 5) continue;
        const char *tactic = colon + 2;
        size_t bytes = strcspn(tactic, ":\n");
        bool refused = !strncmp(word, "no:", 3);
        TN_TRY(line_text(s, tactic, bytes, &name));
        tn_text_printf(s->out, any ? ", {\"tactic\": " : "{\"tactic\": ");
        tn_text_json(s->out, name);
        any = true;
        if (refused && tactic[bytes] == ':') {
            const char *from = tactic + bytes + 2;
            TN_TRY(line_text(s, from, strcspn(from, "\n"), &why));
            print_pair(s, "refused", why);
        } else {
            TN_TRY(print_ns(s, problem, name));
        }
        tn_text_printf(s->out, "}");
    }
    tn_text_printf(s->out, "]");
    return NULL;
}

static void print_label(const inspector *s, const tn_layer_source *source)
{
    tn_text label = {0};
    tn_text_printf(&label, "%s '%s'", source->op, source->name);
    if (label.failed) s->out->failed = true;
    else tn_text_json(s->out, label.at);
    tn_text_fini(&label);
}

static tn_status print_origin(const inspector *s, int32_t index)
{
    const tn_layers *l = &s->engine->layers;
    bool any = false;
    if (!s->layers) return NULL;
    const tn_layer_step *step = &l->step[index];
    if (step->flops) tn_text_printf(s->out, ", \"flops\": %" PRIu64, step->flops);
    tn_text_printf(s->out, ", \"from\": [");
    for (int32_t i = 0; i < l->source_count; i++) {
        const tn_places *node = &l->source[i].node;
        bool mine = false;
        for (int32_t k = 0; k < node->count && !mine; k++)
            for (int32_t n = 0; n < step->node.count; n++)
                mine |= node->at[k] >= 0 && node->at[k] == step->node.at[n];
        if (!mine) continue;
        if (any) tn_text_printf(s->out, ", ");
        print_label(s, &l->source[i]);
        any = true;
    }
    tn_text_printf(s->out, "]");
    if (!step->problem[0]) return NULL;
    print_pair(s, "problem", step->problem);
    return print_candidates(s, step->problem);
}

static tn_status print_layer(const inspector *s, int32_t index)
{
    static const char *const kinds[] = {"kernel", "dims", "copy",     "if",
                                        "loop",   "scan", "sequence", "map"};
    const tn_plan_step *step = &s->plan->step[index];
    const tn_step_state *state = &s->r->step[index];
    const tn_tactic *tactic = state->tactic;
    tn_text_printf(s->out, "%s  {\"name\": ", index ? ",\n" : "\n");
    tn_text_json(s->out, step->name[0] ? step->name : step->op);
    print_pair(s, "op", step->op);
    print_pair(s, "kind", kinds[step->kind]);
    print_pair(s, "device", tn_step_is_card(s->plan, step) && !state->bounce ? "card" : "host");
    if (step->kind == TN_STEP_LAUNCH) {
        print_pair(s, "tactic", tactic ? tactic->name : step->choice[0].tactic);
        print_pair(s, "precision", precision_of(tactic, &state->problem));
    }
    print_numbers(s, "inputs", step->in, step->in_count);
    print_numbers(s, "outputs", step->out, step->out_count);
    print_traffic(s, index);
    TN_TRY(print_origin(s, index));
    if (s->context->step_runs[index])
        tn_text_printf(s->out, ", \"ms\": %.6g, \"runs\": %" PRId64,
                       (double)s->context->step_ns[index] / 1e6 /
                           (double)s->context->step_runs[index],
                       s->context->step_runs[index]);
    tn_text_printf(s->out, "}");
    return NULL;
}

/* ---- Tensors and nodes -----------------------------------------------------------------------*/

static void print_tensor(const inspector *s, int32_t index)
{
    static const char *const places[] = {"none", "input", "constant", "block", "alias", "output"};
    const tn_plan_tensor *t = &s->plan->tensor[index];
    const tn_tensor *at = &s->r->at[index];
    tn_text_printf(s->out, "%s  {", index ? ",\n" : "\n");
    print_type(s, at);
    tn_text_printf(s->out, ", \"bytes\": %" PRId64 ", \"place\": \"%s\", \"on_card\": %s",
                   bytes_of(at), places[t->place], t->card ? "true" : "false");
    if (t->place == TN_PLACE_ALIAS) tn_text_printf(s->out, ", \"of\": %d", t->index);
    if (t->dynamic) tn_text_printf(s->out, ", \"dynamic\": true");
    if (s->r->offset[index] != TN_NO_OFFSET && t->place == TN_PLACE_BLOCK && !t->dynamic)
        tn_text_printf(s->out, ", \"offset\": %zu", s->r->offset[index]);
    if (s->context->first[index] >= 0)
        tn_text_printf(s->out, ", \"first\": %d, \"last\": %d", s->context->first[index],
                       TN_MIN(s->context->last[index], s->plan->step_count - 1));
    tn_text_printf(s->out, "}");
}

static tn_status print_node(const inspector *s, int32_t index)
{
    const tn_layer_source *source = &s->engine->layers.source[index];
    tn_places layers = {0};
    bool constant = false;
    for (int32_t i = 0; i < source->node.count; i++) {
        int32_t node = source->node.at[i];
        constant |= node < 0;
        if (node >= 0 && node < s->node_count)
            TN_TRY(tn_places_join(&layers, &s->layers[node], s->arena));
    }
    tn_text_printf(s->out, "%s  {\"op\": ", index ? ",\n" : "\n");
    tn_text_json(s->out, source->op);
    print_pair(s, "name", source->name);
    if (layers.count) print_numbers(s, "layers", layers.at, layers.count);
    else print_pair(s, "fate", constant ? "constant" : source->node.count ? "view" : "unused");
    tn_text_printf(s->out, "}");
    return NULL;
}

static tn_status print_all(inspector *s)
{
    TN_TRY(read_report(s));
    TN_TRY(read_measured(s));
    TN_TRY(find_layers(s));
    TN_TRY(print_engine(s));
    print_ios(s);
    TN_TRY(print_memory(s));
    tn_text_printf(s->out, ",\n\"layers\": [");
    for (int32_t i = 0; i < s->plan->step_count; i++) TN_TRY(print_layer(s, i));
    tn_text_printf(s->out, "],\n\"tensors\": [");
    for (int32_t i = 0; i < s->plan->tensor_count; i++) print_tensor(s, i);
    tn_text_printf(s->out, "],\n\"nodes\": [");
    for (int32_t i = 0; s->layers && i < s->engine->layers.source_count; i++)
        TN_TRY(print_node(s, i));
    tn_text_printf(s->out, "]\n}\n");
    return NULL;
}

tn_status tn_exec_inspect(tn_context *context, tn_find_ns find, void *self, tn_text *out)
{
    tn_arena arena;
    TN_TRY(tn_context_shapes(context));
    inspector s = {.context = context,
                   .engine = context->engine,
                   .plan = context->plan,
                   .r = context->now,
                   .find = find,
                   .self = self,
                   .arena = &arena,
                   .out = out};
    tn_arena_init(&arena);
    tn_map_init(&s.choices, &arena);
    tn_map_init(&s.measured, &arena);
    tn_status status = print_all(&s);
    tn_arena_fini(&arena);
    return status ? tn_status_trail(status, __FILE__, __LINE__, __func__) : NULL;
}
