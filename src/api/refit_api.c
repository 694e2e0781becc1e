/* The public functions about the weights of engines. */
#include <string.h>

#include "api/api.h"
#include "build/build.h"

static const tn_tensor *constant_of(const tn_engine *engine, int32_t at)
{
    return &engine->plan.constant[engine->source.constant[at]];
}

int64_t tn_engine_weight_count(const tn_engine *engine)
{
    int64_t count = 0;
    for (int32_t i = 0; engine && i < engine->source.count; i++)
        count += tn_is_weight(constant_of(engine, i));
    return count;
}

tn_status tn_engine_weight(const tn_engine *engine, int64_t index, const char **name,
                           tn_tensor *out, bool *missing)
{
    TN_NOT_NULL(engine);
    TN_NOT_NULL(name);
    TN_NOT_NULL(out);
    int64_t left = index;
    for (int32_t i = 0; i < engine->source.count; i++) {
        if (!tn_is_weight(constant_of(engine, i)) || left-- != 0) continue;
        *name = engine->source.name[i];
        *out = *constant_of(engine, i);
        out->data = NULL;
        if (missing) *missing = engine->constant_place[engine->source.constant[i]].stripped;
        return NULL;
    }
    TN_FAIL(TN_INVALID, "there is no weight %lld: the engine has %lld that may be replaced",
            (long long)index, (long long)tn_engine_weight_count(engine));
}

tn_status tn_engine_refit(const tn_engine *engine, const char *const *names,
                          const tn_tensor *tensors, int64_t count, const tn_build_config *config,
                          tn_engine **out)
{
    TN_NOT_NULL(out);
    *out = NULL;
    TN_NOT_NULL(engine);
    TN_CHECK(count >= 0 && (count == 0 || (names && tensors)), TN_INVALID,
             "%s: %lld weights are announced, but names or tensors are NULL", __func__,
             (long long)count);
    const tn_refit refit = {.name = names, .tensor = tensors, .count = count};
    return tn_build_refit(engine, &refit, config, out);
}

tn_status tn_engine_refit_from_model(const tn_engine *engine, const tn_model *model,
                                     const tn_build_config *config, tn_engine **out)
{
    TN_NOT_NULL(out);
    *out = NULL;
    TN_NOT_NULL(engine);
    TN_NOT_NULL(model);
    const tn_graph *graph = tn_model_graph(model);
    tn_arena arena;
    tn_arena_init(&arena);
    const char **name = TN_NEW_ARRAY(&arena, const char *, graph->constant_count);
    tn_tensor *tensor = TN_NEW_ARRAY(&arena, tn_tensor, graph->constant_count);
    tn_refit refit = {.name = name, .tensor = tensor, .lenient = true};
    tn_status status = NULL;
    if (!name || !tensor) status = TN_ERROR(TN_OUT_OF_MEMORY, "no memory for a list of weights");
    for (int64_t i = 0; i < graph->constant_count && !status; i++) {
        if (!tn_value_has_users(graph->constant[i])) continue;
        name[refit.count] = graph->constant[i]->name;
        tensor[refit.count++] = graph->constant[i]->constant;
    }
    if (!status) status = tn_build_refit(engine, &refit, config, out);
    tn_arena_fini(&arena);
    return status ? tn_status_trail(status, __FILE__, __LINE__, __func__) : NULL;
}
