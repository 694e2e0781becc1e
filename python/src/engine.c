/* Models and engines. Functions are named as in the C API. */
#include "python.h"

#include <stdlib.h>
#include <string.h>

static int to_shape(PyObject *object, void *out)
{
    tn_input_shape *const shape = out;
    dims d;
    if (!PyTuple_Check(object) || !PyArg_ParseTuple(object, "yO&", &shape->input, to_dims, &d)) {
        return 0;
    }
    shape->rank = d.count;
    memcpy(shape->dim, d.at, sizeof d.at);
    return 1;
}

/* ---- Models ----------------------------------------------------------------------------------*/

/* model_load(path or None, bytes or None, folder or None, random_weights, baked names, baked
 * tensors) */
static PyObject *model_load(PyObject *self, PyObject *args)
{
    const char *path, *bytes, *folder;
    Py_ssize_t byte_count;
    int random_weights;
    PyObject *names_, *tensors_;
    list names, tensors = {0};
    tn_model *model = NULL;
    tn_status status = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&z#O&pOO", to_optional_text, &path, &bytes, &byte_count,
                          to_optional_text, &folder, &random_weights, &names_, &tensors_) ||
        !list_read(names_, sizeof(char *), to_text, &names)) {
        return NULL;
    }
    const bool ok = list_read(tensors_, sizeof(tn_tensor), to_tensor, &tensors);
    if (ok) {
        const tn_load_options options = {.size = sizeof options,
                                         .random_weights = random_weights,
                                         .baked = names.at,
                                         .baked_tensors = tensors.at,
                                         .baked_count = names.count};
        UNLOCKED(status, NULL,
                 path ? tn_model_load(path, &options, &model)
                      : tn_model_load_bytes(bytes, (size_t)byte_count, folder, &options, &model));
    }
    free(names.at);
    free(tensors.at);
    return !ok ? NULL : status ? raise_status(status) : handle_new(HANDLE_MODEL, model, NULL);
}

/* model_from_checkpoint(checkpoint, arch or None, settings) */
static PyObject *model_from_checkpoint(PyObject *self, PyObject *args)
{
    handle *checkpoint;
    const char *arch;
    PyObject *settings_;
    list settings;
    tn_model *model = NULL;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&zO", to_checkpoint, &checkpoint, &arch, &settings_) ||
        !list_read(settings_, sizeof(char *), to_text, &settings)) {
        return NULL;
    }
    UNLOCKED(status, NULL,
             tn_model_from_checkpoint(checkpoint->at, arch, settings.at, settings.count, &model));
    free(settings.at);
    return status ? raise_status(status) : handle_new(HANDLE_MODEL, model, NULL);
}

static PyObject *model_from_problem(PyObject *self, PyObject *args)
{
    const char *problem;
    tn_model *model = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "s", &problem)) {
        return NULL;
    }
    const tn_status status = tn_model_from_problem(problem, &model);
    return status ? raise_status(status) : handle_new(HANDLE_MODEL, model, NULL);
}

static PyObject *archs_text(PyObject *self, PyObject *unused)
{
    char *text = NULL;
    (void)self, (void)unused;
    const tn_status status = tn_archs_text(&text);
    return status ? raise_status(status) : take_text(text);
}

/* The inputs or outputs of a model or an engine as a list of (name, dtype, dims, dim names, kind).
 */
static PyObject *io_list(const void *of, int count, tn_status (*get)(const void *, int, tn_io *))
{
    PyObject *result = PyList_New(0);
    for (int i = 0; result && i < count; i++) {
        tn_io io;
        const tn_status status = get(of, i, &io);
        PyObject *const row = status ? raise_status(status) : io_tuple(&io);
        result = list_with(result, row);
    }
    return result;
}

static tn_status model_input(const void *m, int i, tn_io *io)
{
    return tn_model_input(m, i, io);
}
static tn_status model_output(const void *m, int i, tn_io *io)
{
    return tn_model_output(m, i, io);
}
static tn_status engine_input(const void *e, int i, tn_io *io)
{
    return tn_engine_input(e, i, io);
}
static tn_status engine_output(const void *e, int i, tn_io *io)
{
    return tn_engine_output(e, i, io);
}

static PyObject *model_io(PyObject *self, PyObject *args)
{
    handle *m;
    (void)self;
    return PyArg_ParseTuple(args, "O&", to_model, &m)
               ? Py_BuildValue("(NN)", io_list(m->at, tn_model_input_count(m->at), model_input),
                               io_list(m->at, tn_model_output_count(m->at), model_output))
               : NULL;
}

static PyObject *engine_io(PyObject *self, PyObject *args)
{
    handle *e;
    (void)self;
    return PyArg_ParseTuple(args, "O&", to_engine, &e)
               ? Py_BuildValue("(NN)", io_list(e->at, tn_engine_input_count(e->at), engine_input),
                               io_list(e->at, tn_engine_output_count(e->at), engine_output))
               : NULL;
}

static PyObject *model_text(PyObject *self, PyObject *args)
{
    handle *model;
    int kind;
    char *text = NULL;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&i", to_model, &model, &kind)) {
        return NULL;
    }
    UNLOCKED(status, model, tn_model_text(model->at, (tn_model_text_kind)kind, &text));
    return status ? raise_status(status) : take_text(text);
}

/* model_save(model, path, opset, external_data) */
static PyObject *model_save(PyObject *self, PyObject *args)
{
    handle *model;
    const char *path;
    int opset, external;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&yip", to_model, &model, &path, &opset, &external)) {
        return NULL;
    }
    const tn_save_options options = {
        .size = sizeof options, .opset = opset, .external_data = external};
    UNLOCKED(status, NULL, tn_model_save(model->at, path, &options));
    return status ? raise_status(status) : Py_BuildValue("");
}

/* model_simplify(model, opset, shapes, keep, profiles, check, tolerance, threads): the report */
static PyObject *model_simplify(PyObject *self, PyObject *args)
{
    handle *model;
    tn_simplify_options options = {.size = sizeof options};
    PyObject *shapes_, *keep_, *profiles_;
    int check;
    list shapes = {0}, keep = {0}, profiles = {0};
    char *report = NULL;
    tn_status status = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&iOOOpdi", to_model, &model, &options.opset, &shapes_, &keep_,
                          &profiles_, &check, &options.tolerance, &options.threads)) {
        return NULL;
    }
    if (model->is_busy) {
        return raise_busy();
    }
    const bool ok = list_read(shapes_, sizeof(tn_input_shape), to_shape, &shapes) &&
                    list_read(keep_, sizeof(char *), to_text, &keep) &&
                    list_read(profiles_, sizeof(tn_profile), to_profile, &profiles);
    if (ok) {
        options.no_check = !check;
        options.shapes = shapes.at;
        options.shape_count = shapes.count;
        options.keep = keep.at;
        options.keep_count = keep.count;
        options.profiles = profiles.at;
        options.profile_count = profiles.count;
        UNLOCKED(status, model, tn_model_simplify(model->at, &options, &report));
    }
    free(shapes.at);
    free(keep.at);
    free(profiles.at);
    return !ok ? NULL : status ? raise_status(status) : take_text(report);
}

/* ---- Engines ---------------------------------------------------------------------------------*/

static PyObject *engine_save(PyObject *self, PyObject *args)
{
    handle *engine;
    const char *path;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&y", to_engine, &engine, &path)) {
        return NULL;
    }
    UNLOCKED(status, NULL, tn_engine_save(engine->at, path));
    return status ? raise_status(status) : Py_BuildValue("");
}

/* engine_load(path, device or None, threads) */
static PyObject *engine_load(PyObject *self, PyObject *args)
{
    const char *path, *device;
    int threads;
    tn_engine *engine = NULL;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "yzi", &path, &device, &threads)) {
        return NULL;
    }
    UNLOCKED(status, NULL, tn_engine_load(path, device, threads, &engine));
    return status ? raise_status(status) : handle_new(HANDLE_ENGINE, engine, NULL);
}

static PyObject *engine_text(PyObject *self, PyObject *args)
{
    handle *engine;
    int kind;
    char *text = NULL;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&i", to_engine, &engine, &kind)) {
        return NULL;
    }
    UNLOCKED(status, NULL, tn_engine_text(engine->at, (tn_engine_text_kind)kind, &text));
    return status ? raise_status(status) : take_text(text);
}

static PyObject *engine_device(PyObject *self, PyObject *args)
{
    handle *engine;
    (void)self;
    return PyArg_ParseTuple(args, "O&", to_engine, &engine)
               ? Py_BuildValue("s", tn_engine_device(engine->at))
               : NULL;
}

static PyObject *device_alloc(PyObject *self, PyObject *args)
{
    handle *engine;
    unsigned long long bytes;
    void *at = NULL;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&K", to_engine, &engine, &bytes)) {
        return NULL;
    }
    UNLOCKED(status, NULL, tn_device_alloc(engine->at, (size_t)bytes, &at));
    return status ? raise_status(status) : handle_new(HANDLE_MEMORY, at, (PyObject *)engine);
}

/* device_copy(engine, to, from, bytes) */
static PyObject *device_copy(PyObject *self, PyObject *args)
{
    handle *engine;
    unsigned long long to, from, bytes;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&KKK", to_engine, &engine, &to, &from, &bytes)) {
        return NULL;
    }
    UNLOCKED(status, NULL,
             tn_device_copy(engine->at, (void *)(uintptr_t)to, (const void *)(uintptr_t)from,
                            (size_t)bytes));
    return status ? raise_status(status) : Py_BuildValue("");
}

PyMethodDef engine_methods[] = {
    FUNCTION(model_load),         FUNCTION(model_from_checkpoint),
    FUNCTION(model_from_problem), {"archs_text", archs_text, METH_NOARGS, NULL},
    FUNCTION(model_io),           FUNCTION(model_text),
    FUNCTION(model_save),         FUNCTION(model_simplify),
    FUNCTION(engine_save),        FUNCTION(engine_load),
    FUNCTION(engine_io),          FUNCTION(engine_text),
    FUNCTION(engine_device),      FUNCTION(device_alloc),
    FUNCTION(device_copy),        {NULL, NULL, 0, NULL},
};
