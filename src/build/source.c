/* The graph that an engine was built of, with other weights. */
#include <string.h>

#include "build/stage.h"
#include "tensor/tensor.h"

enum { NAMED_MAX = 20 }; /* in one message */

static int32_t find_weight(const tn_engine *engine, const char *name)
{
    const tn_source *source = &engine->source;
    for (int32_t i = 0; i < source->count; i++)
        if (!strcmp(source->name[i], name) &&
            tn_is_weight(&engine->plan.constant[source->constant[i]]))
            return i;
    return -1;
}

static tn_status fit(const char *name, const tn_tensor *given, const tn_tensor *want,
                     tn_arena *arena, tn_tensor *out)
{
    char a[160], b[160];
    bool floats =
        tn_dtype_kind_of(given->dtype) == TN_KIND_F && tn_dtype_kind_of(want->dtype) == TN_KIND_F;
    bool same = tn_tensor_same_shape(given, want) && (given->dtype == want->dtype || floats);
    TN_CHECK(same && given->data, TN_INVALID, "weight '%s' is given as %s, but it is %s", name,
             tn_tensor_type_text(given, a, sizeof(a)), tn_tensor_type_text(want, b, sizeof(b)));
    *out = *want;
    tn_tensor_set_dense(out);
    tn_tensor from = *given;
    bool strides = false;
    for (int axis = 0; axis < from.rank; axis++) strides |= from.stride[axis] != 0;
    if (!strides) tn_tensor_set_dense(&from);
    if (from.dtype == want->dtype && tn_tensor_is_dense(&from)) {
        out->data = from.data;
        return NULL;
    }
    out->data = tn_arena_alloc(arena, TN_MAX((size_t)tn_tensor_bytes(out), (size_t)1));
    TN_CHECK(out->data, TN_OUT_OF_MEMORY, "no memory for weight '%s'", name);
    TN_TRY_NOTE(tn_tensor_convert(&from, out), "while converting weight '%s'", name);
    return NULL;
}

static tn_status take_given(const tn_engine *engine, const tn_refit *refit, tn_arena *arena,
                            tn_tensor *data)
{
    tn_text unknown = {0};
    int64_t count = 0;
    for (int64_t i = 0; i < refit->count; i++) {
        TN_CHECK(refit->name[i], TN_INVALID, "weight %lld has no name", (long long)i);
        int32_t at = find_weight(engine, refit->name[i]);
        if (at >= 0) {
            const tn_tensor *want = &engine->plan.constant[engine->source.constant[at]];
            tn_status status = fit(refit->name[i], &refit->tensor[i], want, arena, &data[at]);
            if (status) tn_text_fini(&unknown);
            TN_TRY(status);
        } else if (!refit->lenient && count++ < NAMED_MAX) {
            tn_text_printf(&unknown, "%s'%s'", count > 1 ? ", " : "", refit->name[i]);
        }
    }
    if (!count) return NULL;
    tn_status status =
        TN_ERROR(TN_INVALID, "the engine has no weight of %lld of the names given: %s%s",
                 (long long)count, unknown.at ? unknown.at : "", count > NAMED_MAX ? ", ..." : "");
    tn_text_fini(&unknown);
    return status;
}

/* The others are the engine's own, where it has them. */
static tn_status take_own(const tn_engine *engine, tn_tensor *data)
{
    const tn_source *source = &engine->source;
    tn_text missing = {0};
    int64_t count = 0;
    tn_status status = NULL;
    for (int32_t i = 0; i < source->count && !status; i++) {
        int32_t number = source->constant[i];
        if (data[i].dtype) continue;
        if (!engine->constant_place[number].stripped) {
            status = tn_exec_constant_check(engine, number);
            data[i] = engine->plan.constant[number];
        } else if (count++ < NAMED_MAX) {
            tn_text_printf(&missing, "%s'%s'", count > 1 ? ", " : "", source->name[i]);
        }
    }
    if (count && !status)
        status =
            TN_ERROR(TN_INVALID, "%lld weights of the engine are not given: %s%s", (long long)count,
                     missing.at ? missing.at : "", count > NAMED_MAX ? ", ..." : "");
    tn_text_fini(&missing);
    return status;
}

tn_status tn_source_parse(const tn_engine *engine, const tn_refit *refit, tn_arena *arena,
                          tn_graph **out)
{
    const tn_source *source = &engine->source;
    TN_CHECK(source->text, TN_INVALID,
             "the engine was not built for other weights: build it with --refit "
             "(tn_build_config.refit)");
    tn_tensor *data = TN_NEW_ARRAY(arena, tn_tensor, source->count);
    TN_CHECK(data, TN_OUT_OF_MEMORY, "no memory for the weights of an engine");
    TN_TRY(take_given(engine, refit, arena, data));
    TN_TRY(take_own(engine, data));
    TN_TRY_NOTE(tn_graph_parse(source->text, source->text_bytes, data, source->count, out),
                "while reading the source graph of an engine");
    return NULL;
}
