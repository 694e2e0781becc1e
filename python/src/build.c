/* Building: engines from models, timing caches, other weights. */
#include "python.h"

#include <stdlib.h>
#include <string.h>

int to_profile(PyObject *object, void *out)
{
    tn_profile *const profile = out;
    dims low, best, high;
    if (!PyTuple_Check(object) || !PyArg_ParseTuple(object, "yO&O&O&", &profile->input, to_dims,
                                                    &low, to_dims, &best, to_dims, &high)) {
        return 0;
    }
    if (low.count != best.count || high.count != best.count) {
        PyErr_Format(PyExc_ValueError, "profile of '%s': min, opt and max differ in rank",
                     profile->input);
        return 0;
    }
    profile->rank = best.count;
    memcpy(profile->min, low.at, sizeof low.at);
    memcpy(profile->opt, best.at, sizeof best.at);
    memcpy(profile->max, high.at, sizeof high.at);
    return 1;
}

/* Called by the thread that builds, which Python knows: an exception stays with it, and ends the
 * build. */
static bool tell_progress(void *self, const char *stage, int64_t done, int64_t total)
{
    const PyGILState_STATE state = PyGILState_Ensure();
    bool go_on = false;
    PyObject *const result =
        PyObject_CallFunction(self, "sLL", stage, (long long)done, (long long)total);
    if (result) {
        go_on = result == Py_None || PyObject_IsTrue(result) == 1;
        Py_DECREF(result);
    }
    PyGILState_Release(state);
    return go_on;
}

/* What Python was told while the library worked comes first, then the library's own failure. */
static PyObject *give_engine(tn_status status, tn_engine *engine)
{
    if (PyErr_Occurred()) {
        tn_engine_free(engine);
        return NULL;
    }
    return status ? raise_status(status) : handle_new(HANDLE_ENGINE, engine, NULL);
}

/* build(model or engine, device, threads, profiles, check, optimize, budget_ms, tolerance,
 * timings_path, dump_folder, precision, timing cache, progress, refit, strip_weights, hold,
 * expose); an engine is tuned anew. */
static PyObject *build(PyObject *self, PyObject *args)
{
    PyObject *from, *profiles_, *progress, *hold_;
    tn_build_config config = {.size = sizeof config};
    int check, optimize, precision, refit, strip, expose;
    handle *timings;
    list profiles, hold;
    tn_engine *engine = NULL;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "OziOppddzziO&OppOp", &from, &config.device, &config.threads,
                          &profiles_, &check, &optimize, &config.budget_ms, &config.tolerance,
                          &config.timings_path, &config.dump_folder, &precision,
                          to_optional_timings, &timings, &progress, &refit, &strip, &hold_,
                          &expose)) {
        return NULL;
    }
    handle *source = NULL;
    const bool is_model = to_model(from, &source);
    if (!is_model) {
        PyErr_Clear();
        if (!to_engine(from, &source)) {
            return NULL;
        }
    }
    if ((is_model && source->is_busy) || (timings && timings->is_busy)) {
        return raise_busy();
    }
    if (!list_read(profiles_, sizeof(tn_profile), to_profile, &profiles)) {
        return NULL;
    }
    if (!list_read(hold_, sizeof(char *), to_text, &hold)) {
        free(profiles.at);
        return NULL;
    }
    config.no_check = !check;
    config.no_optimize = !optimize;
    config.profiles = profiles.at;
    config.profile_count = profiles.count;
    config.precision = (tn_precision)precision;
    config.timing_cache = timings ? timings->at : NULL;
    config.progress = progress == Py_None ? NULL : tell_progress;
    config.progress_self = progress;
    config.refit = refit;
    config.strip_weights = strip;
    config.hold = hold.at;
    config.hold_count = hold.count;
    config.expose = expose;
    if (timings) {
        timings->is_busy = true;
    }
    UNLOCKED(status, is_model ? source : NULL,
             is_model ? tn_build(source->at, &config, &engine)
                      : tn_engine_tune(source->at, &config, &engine));
    if (timings) {
        timings->is_busy = false;
    }
    free(profiles.at);
    free(hold.at);
    return give_engine(status, engine);
}

/* ---- Other weights ---------------------------------------------------------------------------*/

/* engine_weights(engine): [(name, tensor without data, is missing)] */
static PyObject *engine_weights(PyObject *self, PyObject *args)
{
    handle *engine;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&", to_engine, &engine)) {
        return NULL;
    }
    PyObject *result = PyList_New(0);
    const int64_t count = tn_engine_weight_count(engine->at);
    for (int64_t i = 0; result && i < count; i++) {
        const char *name;
        tn_tensor tensor;
        bool missing;
        const tn_status status = tn_engine_weight(engine->at, i, &name, &tensor, &missing);
        PyObject *const row = status ? raise_status(status)
                                     : Py_BuildValue("(sNO)", name, tensor_tuple(&tensor),
                                                     missing ? Py_True : Py_False);
        result = list_with(result, row);
    }
    return result;
}

/* engine_refit(engine, model or None, names, tensors, threads, check, tolerance) */
static PyObject *engine_refit(PyObject *self, PyObject *args)
{
    handle *engine, *model = NULL;
    PyObject *model_, *names_, *tensors_;
    tn_build_config config = {.size = sizeof config};
    int check;
    list names, tensors = {0};
    tn_engine *out = NULL;
    tn_status status = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&OOOipd", to_engine, &engine, &model_, &names_, &tensors_,
                          &config.threads, &check, &config.tolerance) ||
        (model_ != Py_None && !to_model(model_, &model)) ||
        !list_read(names_, sizeof(char *), to_text, &names)) {
        return NULL;
    }
    config.no_check = !check;
    const bool ok = list_read(tensors_, sizeof(tn_tensor), to_tensor, &tensors) &&
                    (model || names.count == tensors.count);
    if (ok) {
        UNLOCKED(
            status, NULL,
            model ? tn_engine_refit_from_model(engine->at, model->at, &config, &out)
                  : tn_engine_refit(engine->at, names.at, tensors.at, names.count, &config, &out));
    }
    free(names.at);
    free(tensors.at);
    return ok ? give_engine(status, out) : NULL;
}

/* ---- Timing caches ---------------------------------------------------------------------------*/

static PyObject *timings_new(PyObject *self, PyObject *unused)
{
    tn_timing_cache *cache = NULL;
    (void)self, (void)unused;
    const tn_status status = tn_timing_cache_new(&cache);
    return status ? raise_status(status) : handle_new(HANDLE_TIMINGS, cache, NULL);
}

/* timings_read(cache, path or None, bytes or None) */
static PyObject *timings_read(PyObject *self, PyObject *args)
{
    handle *cache;
    const char *path, *bytes;
    Py_ssize_t count;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&O&z#", to_timings, &cache, to_optional_text, &path, &bytes,
                          &count)) {
        return NULL;
    }
    UNLOCKED(status, cache,
             path ? tn_timing_cache_load(cache->at, path)
                  : tn_timing_cache_parse(cache->at, bytes, (size_t)count));
    return status ? raise_status(status) : Py_BuildValue("");
}

static PyObject *timings_merge(PyObject *self, PyObject *args)
{
    handle *cache, *from;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&O&", to_timings, &cache, to_timings, &from)) {
        return NULL;
    }
    if (from->is_busy || from == cache) {
        return from == cache ? Py_BuildValue("") : raise_busy();
    }
    UNLOCKED(status, cache, tn_timing_cache_merge(cache->at, from->at));
    return status ? raise_status(status) : Py_BuildValue("");
}

static PyObject *timings_text(PyObject *self, PyObject *args)
{
    handle *cache;
    char *text = NULL;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&", to_timings, &cache)) {
        return NULL;
    }
    UNLOCKED(status, cache, tn_timing_cache_text(cache->at, &text));
    return status ? raise_status(status) : take_text(text);
}

static PyObject *timings_count(PyObject *self, PyObject *args)
{
    handle *cache;
    (void)self;
    return PyArg_ParseTuple(args, "O&", to_timings, &cache)
               ? PyLong_FromLongLong(tn_timing_cache_count(cache->at))
               : NULL;
}

PyMethodDef build_methods[] = {
    FUNCTION(build),        FUNCTION(engine_weights),
    FUNCTION(engine_refit), {"timings_new", timings_new, METH_NOARGS, NULL},
    FUNCTION(timings_read), FUNCTION(timings_merge),
    FUNCTION(timings_text), FUNCTION(timings_count),
    {NULL, NULL, 0, NULL},
};
