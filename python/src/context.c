/* Contexts: the state of a run. Functions are named as in the C API. */
#include "python.h"

#include <stdlib.h>

static PyObject *context_new(PyObject *self, PyObject *args)
{
    handle *engine;
    tn_context *context = NULL;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&", to_engine, &engine)) {
        return NULL;
    }
    UNLOCKED(status, NULL, tn_context_new(engine->at, &context));
    return status ? raise_status(status) : handle_new(HANDLE_CONTEXT, context, (PyObject *)engine);
}

/* context_keep(context, object): that lives until the context has been freed, and no shorter. */
static PyObject *context_keep(PyObject *self, PyObject *args)
{
    handle *context;
    PyObject *object;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&O", to_context, &context, &object)) {
        return NULL;
    }
    PyObject *const both = PyTuple_Pack(2, context->keep, object);
    if (!both) {
        return NULL;
    }
    Py_DECREF(context->keep);
    context->keep = both;
    return Py_BuildValue("");
}

/* context_bind(context, name, tensor, is on the device) */
static PyObject *context_bind(PyObject *self, PyObject *args)
{
    handle *context;
    const char *name;
    tn_tensor tensor;
    int on_device;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&sO&p", to_context, &context, &name, to_tensor, &tensor,
                          &on_device)) {
        return NULL;
    }
    UNLOCKED(status, context,
             on_device ? tn_context_bind_device(context->at, name, &tensor)
                       : tn_context_bind(context->at, name, &tensor));
    return status ? raise_status(status) : Py_BuildValue("");
}

static PyObject *context_set_shape(PyObject *self, PyObject *args)
{
    handle *context;
    const char *name;
    dims d;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&sO&", to_context, &context, &name, to_dims, &d)) {
        return NULL;
    }
    UNLOCKED(status, context, tn_context_set_shape(context->at, name, d.at, d.count));
    return status ? raise_status(status) : Py_BuildValue("");
}

/* context_bind_sequence(context, name, tensors or None) */
static PyObject *context_bind_sequence(PyObject *self, PyObject *args)
{
    handle *context;
    const char *name;
    PyObject *items_;
    list items;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&sO", to_context, &context, &name, &items_)) {
        return NULL;
    }
    if (!list_read(items_, sizeof(tn_tensor), to_tensor, &items)) {
        return NULL;
    }
    if (context
            ->is_busy) { /* asked behind list_read, in which other threads may have begun a run */
        free(items.at);
        return raise_busy();
    }
    UNLOCKED(status, context,
             tn_context_bind_sequence(context->at, name, items.at,
                                      items_ == Py_None ? -1 : items.count));
    free(items.at);
    return status ? raise_status(status) : Py_BuildValue("");
}

static PyObject *call_unlocked(PyObject *args, tn_status (*call)(tn_context *))
{
    handle *context;
    tn_status status;
    if (!PyArg_ParseTuple(args, "O&", to_context, &context)) {
        return NULL;
    }
    UNLOCKED(status, context, call(context->at));
    return status ? raise_status(status) : Py_BuildValue("");
}

static PyObject *context_run(PyObject *self, PyObject *args)
{
    (void)self;
    return call_unlocked(args, tn_context_run);
}

static PyObject *context_wait(PyObject *self, PyObject *args)
{
    (void)self;
    return call_unlocked(args, tn_context_wait);
}

static PyObject *context_enqueue(PyObject *self, PyObject *args)
{
    handle *context;
    unsigned long long stream;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&K", to_context, &context, &stream)) {
        return NULL;
    }
    UNLOCKED(status, context, tn_context_enqueue(context->at, (void *)(uintptr_t)stream));
    return status ? raise_status(status) : Py_BuildValue("");
}

static PyObject *context_output(PyObject *self, PyObject *args)
{
    handle *context;
    const char *name;
    tn_tensor tensor;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&s", to_context, &context, &name)) {
        return NULL;
    }
    UNLOCKED(status, context, tn_context_output(context->at, name, &tensor));
    return status ? raise_status(status) : tensor_tuple(&tensor);
}

/* context_sequence(context, name): tensors of an output, None for an absent optional */
static PyObject *context_sequence(PyObject *self, PyObject *args)
{
    handle *context;
    const char *name;
    int64_t count = 0;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&s", to_context, &context, &name)) {
        return NULL;
    }
    UNLOCKED(status, context, tn_context_sequence_count(context->at, name, &count));
    if (status) {
        return raise_status(status);
    }
    if (count < 0) {
        Py_RETURN_NONE;
    }
    PyObject *result = PyList_New(0);
    for (int64_t i = 0; result && i < count; i++) {
        tn_tensor tensor;
        status = tn_context_sequence_item(context->at, name, i, &tensor);
        PyObject *const row = status ? raise_status(status) : tensor_tuple(&tensor);
        result = list_with(result, row);
    }
    return result;
}

static PyObject *context_memory_bytes(PyObject *self, PyObject *args)
{
    handle *context;
    size_t bytes = 0;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&", to_context, &context)) {
        return NULL;
    }
    UNLOCKED(status, context, tn_context_memory_bytes(context->at, &bytes));
    return status ? raise_status(status) : PyLong_FromSize_t(bytes);
}

/* context_set(context, what, on): "denormals", "profile" or "measure" */
static PyObject *context_set(PyObject *self, PyObject *args)
{
    handle *context;
    const char *what;
    int on;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&sp", to_context, &context, &what, &on)) {
        return NULL;
    }
    if (context->is_busy) {
        return raise_busy();
    }
    switch (what[0]) {
    case 'd': status = tn_context_keep_denormals(context->at, on); break;
    case 'p': status = tn_context_profile(context->at, on); break;
    default: status = tn_context_measure(context->at, on); break;
    }
    return status ? raise_status(status) : Py_BuildValue("");
}

/* context_steps(context): [(name, tactic, total_ms, run_count)] */
static PyObject *context_steps(PyObject *self, PyObject *args)
{
    handle *context;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&", to_context, &context)) {
        return NULL;
    }
    PyObject *result = PyList_New(0);
    const int count = tn_context_step_count(context->at);
    for (int i = 0; result && i < count; i++) {
        tn_step_time time;
        const tn_status status = tn_context_step_time(context->at, i, &time);
        PyObject *const row = status ? raise_status(status)
                                     : Py_BuildValue("(ssdL)", time.name, time.tactic,
                                                     time.total_ms, (long long)time.run_count);
        result = list_with(result, row);
    }
    return result;
}

static PyObject *context_device_ns(PyObject *self, PyObject *args)
{
    handle *context;
    double ns = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&", to_context, &context)) {
        return NULL;
    }
    const tn_status status = tn_context_device_ns(context->at, &ns);
    return status ? raise_status(status) : PyFloat_FromDouble(ns);
}

/* context_layers(context or engine, timing cache or None): JSON */
static PyObject *context_layers(PyObject *self, PyObject *args)
{
    PyObject *of;
    handle *timings, *source = NULL;
    char *text = NULL;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "OO&", &of, to_optional_timings, &timings)) {
        return NULL;
    }
    const bool is_context = to_context(of, &source);
    if (!is_context) {
        PyErr_Clear();
        if (!to_engine(of, &source)) {
            return NULL;
        }
    }
    const tn_timing_cache *const cache = timings ? timings->at : NULL;
    UNLOCKED(status, is_context ? source : NULL,
             is_context ? tn_context_layers(source->at, cache, &text)
                        : tn_engine_layers(source->at, cache, &text));
    return status ? raise_status(status) : take_text(text);
}

/* By the thread that runs. An exception cannot stop a run: it is told and dropped. */
static void tell_step(void *self, const tn_step_event *event)
{
    const PyGILState_STATE state = PyGILState_Ensure();
    PyObject *const hook = ((handle *)self)->hook;
    PyObject *const result =
        hook ? PyObject_CallFunction(hook, "isssdd", event->index, event->name, event->op,
                                     event->tactic, event->begin_ms, event->ms)
             : NULL;
    if (hook && !result) {
        PyErr_WriteUnraisable(hook);
    }
    Py_XDECREF(result);
    PyGILState_Release(state);
}

/* context_set_profiler(context, function of index, name, op, tactic, begin_ms, ms; or None) */
static PyObject *context_set_profiler(PyObject *self, PyObject *args)
{
    handle *context;
    PyObject *hook;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&O", to_context, &context, &hook)) {
        return NULL;
    }
    if (context->is_busy) {
        return raise_busy();
    }
    const bool on = hook != Py_None;
    const tn_status status =
        tn_context_set_profiler(context->at, on ? tell_step : NULL, on ? context : NULL);
    if (status) {
        return raise_status(status);
    }
    PyObject *const old = context->hook;
    context->hook = NULL;
    if (on) {
        Py_INCREF(hook);
        context->hook = hook;
    }
    Py_XDECREF(old);
    return Py_BuildValue("");
}

PyMethodDef context_methods[] = {
    FUNCTION(context_new),          FUNCTION(context_keep),          FUNCTION(context_bind),
    FUNCTION(context_set_shape),    FUNCTION(context_bind_sequence), FUNCTION(context_run),
    FUNCTION(context_enqueue),      FUNCTION(context_wait),          FUNCTION(context_output),
    FUNCTION(context_sequence),     FUNCTION(context_memory_bytes),  FUNCTION(context_set),
    FUNCTION(context_steps),        FUNCTION(context_device_ns),     FUNCTION(context_layers),
    FUNCTION(context_set_profiler), {NULL, NULL, 0, NULL},
};
