/* A network by name becomes an engine to train with: its parameters are inputs, its outputs the
 * loss and, for each parameter, the gradient. */
#include <stdio.h>
#include <string.h>

#include "build/build.h"
#include "nets/net.h"
#include "passes/gradient.h"
#include "train/trainer.h"

enum { SETTINGS_MAX = 64, SETTING_BYTES = 40 };

/* ---- Settings --------------------------------------------------------------------------------*/

/* What the data tells, as settings of the network, behind those that the user gave. */
typedef struct settings {
    const char *at[SETTINGS_MAX];
    int count;
    char own[8][SETTING_BYTES];
    int own_count;
} settings;

static bool is_given(const settings *s, const char *key)
{
    size_t bytes = strlen(key);
    for (int i = 0; i < s->count; i++)
        if (strncmp(s->at[i], key, bytes) == 0 && s->at[i][bytes] == '=') return true;
    return false;
}

static void add_setting(settings *s, const char *key, int64_t value)
{
    if (is_given(s, key) || s->count >= SETTINGS_MAX) return;
    char *own = s->own[s->own_count++];
    snprintf(own, SETTING_BYTES, "%s=%lld", key, (long long)value);
    s->at[s->count++] = own;
}

static tn_status make_settings(const tn_trainer *trainer, const char *net, settings *out)
{
    const tn_train_options *o = &trainer->options;
    const tn_dataset_info *info = &trainer->dataset->info;
    *out = (settings){0};
    TN_CHECK(o->setting_count >= 0 && o->setting_count <= SETTINGS_MAX - 8, TN_INVALID,
             "%d settings for a network; at most %d", o->setting_count, SETTINGS_MAX - 8);
    for (int i = 0; i < o->setting_count; i++) out->at[out->count++] = o->settings[i];
    if (strcmp(net, "lstm") == 0 && !info->classes) {
        add_setting(out, "input_size", info->column_count);
        add_setting(out, "out_features", info->column_count * info->target_dim[0]);
        add_setting(out, "horizon", info->target_dim[0]);
        add_setting(out, "steps", info->dim[0]);
    }
    if (strcmp(net, "lenet") == 0 && info->classes) add_setting(out, "image", info->dim[1]);
    return NULL;
}

/* ---- Parameters ------------------------------------------------------------------------------*/

enum { GAP = TN_ALIGNMENT / sizeof(float) }; /* every parameter begins at a multiple of it */

static tn_status note_parameter(tn_trainer *t, const char *name, const int64_t *dim, int rank)
{
    TN_TRY(tn_arena_grow(&t->arena, &t->parameter, t->parameter_count, &t->parameter_capacity,
                         t->parameter_count + 1, sizeof(*t->parameter)));
    tn_parameter *p = &t->parameter[t->parameter_count];
    *p = (tn_parameter){.rank = rank, .offset = t->value_count};
    for (int i = 0; i < rank; i++) p->dim[i] = dim[i];
    p->name = tn_arena_text(&t->arena, name, strlen(name));
    TN_CHECK(p->name, TN_OUT_OF_MEMORY, "no memory for a parameter");
    tn_tensor view = tn_tensor_of(TN_DTYPE_F32, dim, rank, NULL);
    p->count = tn_tensor_count(&view);
    TN_CHECK(p->count > 0 && tn_tensor_bytes(&view) > 0 &&
                 p->count < INT64_MAX / 64 - t->value_count,
             TN_INVALID, "the parameter '%s' is of a size that memory cannot hold", name);
    t->value_count += (int64_t)tn_align_up((size_t)p->count, GAP);
    t->parameter_count++;
    return NULL;
}

/* The parameters of one build. */
typedef struct inputs {
    tn_trainer *trainer;
    bool first; /* of the trainer's builds: it makes the list */
    int32_t count;
    tn_value **value;
    int64_t capacity;
} inputs;

static tn_status take_input(inputs *s, tn_draft *d, const char *key, const int64_t *dim, int rank)
{
    tn_expr at[TN_RANK_MAX];
    if (s->first) TN_TRY(note_parameter(s->trainer, key, dim, rank));
    for (int i = 0; i < rank; i++) at[i] = tn_expr_const(d->graph->exprs, dim[i]);
    TN_TRY(tn_arena_grow(&s->trainer->arena, &s->value, s->count, &s->capacity, s->count + 1,
                         sizeof(*s->value)));
    TN_TRY(
        tn_graph_add_input(d->graph, key, tn_type_of(TN_DTYPE_F32, rank, at), &s->value[s->count]));
    s->count++;
    return NULL;
}

static tn_value *add_parameter(tn_net_build *build, const char *key, const int64_t *dim, int rank)
{
    inputs *s = build->self;
    if (build->draft.failed) return NULL;
    if (!tn_draft_try(&build->draft, take_input(s, &build->draft, key, dim, rank))) return NULL;
    return s->value[s->count - 1];
}

/* ---- The loss --------------------------------------------------------------------------------*/

static tn_value *add_loss(tn_draft *d, tn_value *said, bool classes)
{
    tn_type type = said->type;
    if (classes) {
        type.dtype = TN_DTYPE_I64;
        type.rank = 1;
    }
    tn_value *target = tn_draft_input(d, TN_TRAIN_TARGET, type);
    if (classes)
        return tn_draft_op(d, "SoftmaxCrossEntropyLoss", TN_TRAIN_LOSS, TN_IN(said, target),
                           TN_PLAIN);
    tn_value *off = tn_draft_op(d, "Sub", "off", TN_IN(said, target), TN_PLAIN);
    tn_value *square = tn_draft_op(d, "Mul", "square", TN_IN(off, off), TN_PLAIN);
    return tn_draft_op(d, "ReduceMean", TN_TRAIN_LOSS, TN_IN(square),
                       TN_WITH(tn_attr_int("keepdims", 0)));
}

static bool is_dim(const tn_graph *graph, tn_expr dim, int64_t want)
{
    int64_t value;
    return !tn_expr_is_const(graph->exprs, dim, &value) || value == want;
}

/* What the network says must be of the shape of the targets. */
static tn_status check_output(const tn_trainer *t, const tn_graph *graph)
{
    const tn_dataset_info *info = &t->dataset->info;
    char text[256];
    TN_CHECK(graph->output_count >= 1, TN_INVALID, "the network '%s' has no output",
             t->options.arch);
    const tn_value *said = graph->output[0].value;
    tn_type_text(graph->exprs, &said->type, text, sizeof(text));
    bool fits = said->type.dtype == TN_DTYPE_F32 &&
                said->type.rank == 1 + (info->classes ? 1 : info->target_rank);
    for (int i = 0; fits && i < info->target_rank; i++)
        fits = is_dim(graph, said->type.dim[1 + i], info->target_dim[i]);
    TN_CHECK(fits, TN_INVALID,
             "the network '%s' says %s, which does not fit the data's targets: %s", t->options.arch,
             text, info->classes ? "a class for each image" : "rows of a series");
    int64_t classes;
    if (!info->classes || !tn_expr_is_const(graph->exprs, said->type.dim[1], &classes)) return NULL;
    for (int64_t i = 0; i < info->count; i++)
        TN_CHECK(t->dataset->label[i] < classes, TN_INVALID,
                 "image %lld is of class %d, but the network tells only %lld classes apart",
                 (long long)i, t->dataset->label[i], (long long)classes);
    return NULL;
}

/* ---- The graph -------------------------------------------------------------------------------*/

static tn_status add_gradients(tn_graph *graph, tn_value *loss, const inputs *s, tn_arena *arena)
{
    tn_value **gradient = TN_NEW_ARRAY(arena, tn_value *, s->count);
    TN_CHECK(gradient, TN_OUT_OF_MEMORY, "no memory for gradients");
    TN_TRY(tn_graph_differentiate(graph, loss, s->value, s->count, gradient));
    for (int32_t i = 0; i < s->count; i++) {
        const char *name =
            tn_arena_printf(graph->arena, "gradient/%s", s->trainer->parameter[i].name);
        TN_CHECK(name, TN_OUT_OF_MEMORY, "no memory for gradients");
        TN_TRY(tn_graph_add_output(graph, name, gradient[i]));
    }
    return NULL;
}

static tn_status fill_graph(tn_trainer *t, bool gradients, inputs *s, tn_graph *graph)
{
    settings set;
    const tn_net *net = tn_net_find(t->options.arch);
    char known[256];
    size_t used = 0;
    for (int i = 0; !net && tn_net_table[i] && used < sizeof(known); i++)
        used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "",
                                 tn_net_table[i]->name);
    TN_CHECK(net, TN_NOT_FOUND, "there is no network '%s'; there are: %s", t->options.arch, known);
    TN_TRY(make_settings(t, net->name, &set));
    tn_net_build build = {.draft = {.graph = graph},
                          .net = net,
                          .setting = set.at,
                          .setting_count = set.count,
                          .parameter = add_parameter,
                          .self = s};
    net->build(&build);
    TN_TRY(tn_net_end(&build));
    TN_TRY(check_output(t, graph));
    t->score_name = tn_arena_printf(&t->arena, "%s", graph->output[0].name);
    TN_CHECK(t->score_name, TN_OUT_OF_MEMORY, "no memory for a network");
    tn_draft draft = {.graph = graph};
    tn_value *loss = add_loss(&draft, graph->output[0].value, t->dataset->info.classes);
    tn_draft_output(&draft, TN_TRAIN_LOSS, loss);
    TN_TRY(tn_draft_end(&draft));
    if (gradients) TN_TRY(add_gradients(graph, loss, s, &t->arena));
    return NULL;
}

/* Tactics are chosen by estimates, not by measuring: the same seed gives the same bits on every
 * run. */
static tn_status build_engine(const tn_trainer *t, const tn_graph *graph, int64_t batch,
                              tn_engine **out)
{
    tn_profile profile = {.input = graph->input[0]->name, .rank = graph->input[0]->type.rank};
    profile.opt[0] = batch;
    for (int i = 0; i < t->dataset->info.rank; i++) profile.opt[1 + i] = t->dataset->info.dim[i];
    for (int i = 0; i < profile.rank; i++) profile.min[i] = profile.max[i] = profile.opt[i];
    profile.min[0] = 1;
    TN_CHECK(profile.rank == 1 + t->dataset->info.rank, TN_INVALID,
             "the network '%s' takes an input of rank %d; the data's samples have rank %d",
             t->options.arch, profile.rank, t->dataset->info.rank);
    tn_build_config config = {.size = sizeof(config),
                              .threads = t->options.threads,
                              .profiles = &profile,
                              .profile_count = 1,
                              .no_check = true,
                              .budget_ms = -1};
    TN_TRY(tn_build_engine(graph, &config, out));
    return NULL;
}

tn_status tn_train_engine_make(tn_trainer *trainer, bool gradients, tn_train_engine *out)
{
    tn_graph *graph;
    inputs s = {.trainer = trainer, .first = trainer->parameter_count == 0};
    TN_TRY(tn_graph_new(trainer->options.arch, &graph));
    tn_status status = fill_graph(trainer, gradients, &s, graph);
    int64_t batch = gradients ? trainer->options.batch : trainer->options.judge_batch;
    if (!status) status = build_engine(trainer, graph, batch, &out->engine);
    tn_graph_free(graph);
    TN_TRY_NOTE(status, "while making the network '%s' for training", trainer->options.arch);
    TN_TRY(tn_exec_context_new(out->engine, &out->context));
    return NULL;
}

tn_status tn_train_engine_bind(tn_trainer *trainer, bool gradients, tn_train_engine *engine)
{
    tn_tensor loss = tn_tensor_of(TN_DTYPE_F32, NULL, 0, &engine->loss);
    TN_TRY(tn_exec_context_bind(engine->context, TN_TRAIN_LOSS, &loss));
    for (int32_t i = 0; i < trainer->parameter_count; i++) {
        const tn_parameter *p = &trainer->parameter[i];
        tn_tensor value = tn_parameter_view(p, trainer->value);
        tn_tensor gradient = tn_parameter_view(p, trainer->gradient);
        char name[1100];
        TN_TRY(tn_exec_context_bind(engine->context, p->name, &value));
        if (!gradients) continue;
        snprintf(name, sizeof(name), "gradient/%s", p->name);
        TN_TRY(tn_exec_context_bind(engine->context, name, &gradient));
    }
    return NULL;
}

void tn_train_engine_fini(tn_train_engine *engine)
{
    tn_exec_context_free(engine->context);
    if (engine->engine) tn_exec_engine_release(engine->engine);
    *engine = (tn_train_engine){0};
}
