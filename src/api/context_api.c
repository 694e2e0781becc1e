/* The public functions about contexts. */
#include "api/api.h"
#include "exec/exec.h"

tn_status tn_context_new(const tn_engine *engine, tn_context **out)
{
    TN_NOT_NULL(out);
    *out = NULL;
    TN_NOT_NULL(engine);
    return tn_exec_context_new(engine, out);
}

void tn_context_free(tn_context *context)
{
    tn_exec_context_free(context);
}

tn_status tn_context_bind(tn_context *context, const char *name, const tn_tensor *tensor)
{
    TN_NOT_NULL(context);
    TN_NOT_NULL(name);
    TN_NOT_NULL(tensor);
    return tn_exec_context_bind(context, name, tensor);
}

tn_status tn_context_set_shape(tn_context *context, const char *name, const int64_t *dim, int rank)
{
    TN_NOT_NULL(context);
    TN_NOT_NULL(name);
    TN_CHECK(dim || rank == 0, TN_INVALID, "%s: dim is NULL", __func__);
    return tn_exec_context_set_shape(context, name, dim, rank);
}

tn_status tn_context_bind_sequence(tn_context *context, const char *name, const tn_tensor *items,
                                   int64_t count)
{
    TN_NOT_NULL(context);
    TN_NOT_NULL(name);
    TN_CHECK(items || count <= 0, TN_INVALID, "%s: items is NULL", __func__);
    return tn_exec_context_bind_sequence(context, name, items, count);
}

tn_status tn_context_sequence_count(tn_context *context, const char *name, int64_t *out)
{
    TN_NOT_NULL(context);
    TN_NOT_NULL(name);
    TN_NOT_NULL(out);
    return tn_exec_context_sequence_count(context, name, out);
}

tn_status tn_context_sequence_item(tn_context *context, const char *name, int64_t index,
                                   tn_tensor *out)
{
    TN_NOT_NULL(context);
    TN_NOT_NULL(name);
    TN_NOT_NULL(out);
    return tn_exec_context_sequence_item(context, name, index, out);
}

tn_status tn_context_run(tn_context *context)
{
    TN_NOT_NULL(context);
    return tn_exec_context_run(context);
}

tn_status tn_context_enqueue(tn_context *context, void *stream)
{
    TN_NOT_NULL(context);
    return tn_exec_context_enqueue(context, stream);
}

tn_status tn_context_wait(tn_context *context)
{
    TN_NOT_NULL(context);
    return tn_exec_context_wait(context);
}

tn_status tn_context_output(tn_context *context, const char *name, tn_tensor *out)
{
    TN_NOT_NULL(context);
    TN_NOT_NULL(name);
    TN_NOT_NULL(out);
    return tn_exec_context_output(context, name, out);
}

tn_status tn_context_memory_bytes(tn_context *context, size_t *out)
{
    TN_NOT_NULL(context);
    TN_NOT_NULL(out);
    return tn_exec_context_memory_bytes(context, out);
}

tn_status tn_context_keep_denormals(tn_context *context, bool on)
{
    TN_NOT_NULL(context);
    tn_exec_context_keep_denormals(context, on);
    return NULL;
}

tn_status tn_context_profile(tn_context *context, bool on)
{
    TN_NOT_NULL(context);
    tn_exec_context_profile(context, on);
    return NULL;
}

tn_status tn_context_measure(tn_context *context, bool on)
{
    TN_NOT_NULL(context);
    tn_exec_context_measure(context, on);
    return NULL;
}

tn_status tn_context_device_ns(const tn_context *context, double *out)
{
    TN_NOT_NULL(context);
    TN_NOT_NULL(out);
    *out = tn_exec_context_device_ns(context);
    return NULL;
}

tn_status tn_context_bind_device(tn_context *context, const char *name, const tn_tensor *tensor)
{
    TN_NOT_NULL(context);
    TN_NOT_NULL(name);
    TN_NOT_NULL(tensor);
    return tn_exec_context_bind_device(context, name, tensor);
}

int tn_context_step_count(const tn_context *context)
{
    return context ? tn_exec_context_step_count(context) : 0;
}

tn_status tn_context_step_time(const tn_context *context, int index, tn_step_time *out)
{
    TN_NOT_NULL(context);
    TN_NOT_NULL(out);
    return tn_exec_context_step_time(context, index, out);
}
