/* The public functions that build. */
#include "api/api.h"
#include "build/build.h"

tn_status tn_build(const tn_model *model, const tn_build_config *config, tn_engine **out)
{
    TN_NOT_NULL(out);
    *out = NULL;
    TN_NOT_NULL(model);
    return tn_build_engine(tn_model_graph(model), config, out);
}

tn_status tn_engine_tune(const tn_engine *engine, const tn_build_config *config, tn_engine **out)
{
    TN_NOT_NULL(out);
    *out = NULL;
    TN_NOT_NULL(engine);
    return tn_build_tuned(engine, config, out);
}
