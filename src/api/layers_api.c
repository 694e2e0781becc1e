/* The public functions about what is inside an engine. */
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "build/build.h"
#include "build/timings.h"
#include "exec/exec.h"

typedef struct finder {
    const tn_timing_cache *cache;
    tn_timings here; /* for the name of this machine */
} finder;

static bool find_ns(void *self, const char *problem, const tn_tactic *tactic, double *ns)
{
    const finder *f = self;
    tn_timings timings = f->cache->timings;
    bool found = false;
    timings.machine = f->here.machine;
    return !tn_timings_find(&timings, problem, tactic, &found, ns) && found;
}

/* The shape that the engine was built for; 1 for dims that no profile gives. */
static tn_status set_built_shape(tn_context *context, const tn_engine *engine, const tn_io *io,
                                 tn_arena *arena)
{
    int64_t dim[TN_RANK_MAX];
    for (int axis = 0; axis < TN_RANK_MAX; axis++)
        dim[axis] = io->dim[axis] < 0 ? 1 : io->dim[axis];
    for (int i = 0;; i++) {
        char key[32];
        const char *line;
        tn_profile profile;
        snprintf(key, sizeof(key), "profile:%d", i);
        TN_TRY(tn_exec_engine_meta(engine, key, arena, &line));
        if (!line[0]) break;
        if (tn_profile_parse(line, &profile) && !strcmp(profile.input, io->name))
            return tn_exec_context_set_shape(context, io->name, profile.opt, profile.rank);
    }
    return tn_exec_context_set_shape(context, io->name, dim, TN_MAX(io->rank, 0));
}

static tn_status inspect(tn_context *context, const tn_engine *engine,
                         const tn_timing_cache *timings, tn_text *out)
{
    tn_arena arena;
    finder f = {.cache = timings};
    tn_arena_init(&arena);
    tn_status status = NULL;
    bool shaped = true;
    for (int32_t i = 0; i < engine->plan.input_count; i++)
        shaped &= tn_exec_context_has_shape(context, i);
    for (int32_t i = 0; i < engine->plan.input_count && !status && !shaped; i++)
        if (engine->input[i].kind == TN_IO_TENSOR)
            status = set_built_shape(context, engine, &engine->input[i], &arena);
    if (!status && timings) status = tn_timings_init(&f.here, engine, &arena);
    if (!status) status = tn_exec_inspect(context, timings ? find_ns : NULL, &f, out);
    tn_arena_fini(&arena);
    return status;
}

static tn_status take(tn_status status, tn_text *text, char **out)
{
    if (!status) return tn_text_take(text, out);
    tn_text_fini(text);
    return tn_status_trail(status, __FILE__, __LINE__, __func__);
}

tn_status tn_context_layers(tn_context *context, const tn_timing_cache *timings, char **json)
{
    tn_text text = {0};
    TN_NOT_NULL(json);
    *json = NULL;
    TN_NOT_NULL(context);
    tn_status status = inspect(context, tn_exec_context_engine(context), timings, &text);
    return take(status, &text, json);
}

tn_status tn_engine_layers(const tn_engine *engine, const tn_timing_cache *timings, char **json)
{
    tn_text text = {0};
    tn_context *context;
    TN_NOT_NULL(json);
    *json = NULL;
    TN_NOT_NULL(engine);
    TN_TRY(tn_exec_context_new(engine, &context));
    tn_status status = inspect(context, engine, timings, &text);
    tn_exec_context_free(context);
    return take(status, &text, json);
}

tn_status tn_context_set_profiler(tn_context *context, tn_profiler profiler, void *self)
{
    TN_NOT_NULL(context);
    tn_exec_context_profiler(context, profiler, self);
    return NULL;
}
