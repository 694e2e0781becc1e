/* The module: handles, exceptions, the log. */
#include "python.h"

#include <stdlib.h>
#include <string.h>

/* ---- Handles ---------------------------------------------------------------------------------*/

static PyObject *handle_type;
static const char *const kind_names[] = {"model",      "engine",       "context",
                                         "checkpoint", "tokenizer",    "network",
                                         "layer",      "timing cache", "memory"};

static void handle_free(handle *h)
{
    void *const at = h->at;
    switch (h->kind) {
    case HANDLE_MODEL: tn_model_free(at); break;
    case HANDLE_ENGINE: tn_engine_free(at); break;
    case HANDLE_CONTEXT: tn_context_free(at); break;
    case HANDLE_CHECKPOINT: tn_checkpoint_free(at); break;
    case HANDLE_TOKENIZER: tn_tokenizer_free(at); break;
    case HANDLE_TIMINGS: tn_timing_cache_free(at); break;
    case HANDLE_NETWORK: tn_network_free(at); break;
    case HANDLE_MEMORY: tn_device_free(((handle *)h->keep)->at, at); break;
    case HANDLE_LAYER:
    case HANDLE_KIND_COUNT: break;
    }
}

static void handle_dealloc(PyObject *self)
{
    handle *const h = (handle *)self;
    PyTypeObject *const type = Py_TYPE(self);
    if (h->at) {
        Py_BEGIN_ALLOW_THREADS; /* threads of the library may wait for the lock to log */
        handle_free(h);
        Py_END_ALLOW_THREADS;
    }
    Py_XDECREF(h->keep);
    Py_XDECREF(h->hook);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyObject *handle_repr(PyObject *self)
{
    return PyUnicode_FromFormat("<%s at %p>", kind_names[((handle *)self)->kind],
                                ((handle *)self)->at);
}

static PyObject *handle_address(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromVoidPtr(((handle *)self)->at);
}

static PyGetSetDef handle_getset[] = {{"address", handle_address, NULL, NULL, NULL},
                                      {NULL, NULL, NULL, NULL, NULL}};
static PyType_Slot handle_slots[] = {{Py_tp_dealloc, (void *)handle_dealloc},
                                     {Py_tp_repr, (void *)handle_repr},
                                     {Py_tp_getset, (void *)handle_getset},
                                     {0, NULL}};
static PyType_Spec handle_spec = {"tenon._tenon.Handle", sizeof(handle), 0, Py_TPFLAGS_DEFAULT,
                                  handle_slots};

int handle_init(PyObject *module)
{
    handle_type = PyType_FromSpec(&handle_spec);
    if (!handle_type) {
        return -1;
    }
    Py_INCREF(handle_type); /* PyModule_AddObject takes one; ours stays for ever */
    return PyModule_AddObject(module, "Handle", handle_type);
}

PyObject *handle_new(handle_kind kind, void *at, PyObject *keep)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot((PyTypeObject *)handle_type, Py_tp_alloc);
    handle *const h = (handle *)allocate((PyTypeObject *)handle_type, 0);
    if (!h) {
        handle lost = {.at = at, .keep = keep, .kind = kind};
        handle_free(&lost);
        return NULL;
    }
    h->at = at;
    h->kind = kind;
    Py_XINCREF(keep);
    h->keep = keep;
    return (PyObject *)h;
}

void *handle_get(PyObject *object, handle_kind kind)
{
    if (!PyObject_TypeCheck(object, (PyTypeObject *)handle_type) ||
        ((handle *)object)->kind != kind) {
        PyErr_Format(PyExc_TypeError, "a handle of a %s is wanted, not %R", kind_names[kind],
                     object);
        return NULL;
    }
    return ((handle *)object)->at;
}

#define CONVERTER(name, kind)                                                                      \
    int name(PyObject *object, void *out)                                                          \
    {                                                                                              \
        *(handle **)out = (handle *)object;                                                        \
        return handle_get(object, kind) != NULL;                                                   \
    }
CONVERTER(to_model, HANDLE_MODEL)
CONVERTER(to_engine, HANDLE_ENGINE)
CONVERTER(to_context, HANDLE_CONTEXT)
CONVERTER(to_checkpoint, HANDLE_CHECKPOINT)
CONVERTER(to_tokenizer, HANDLE_TOKENIZER)
CONVERTER(to_network, HANDLE_NETWORK)
CONVERTER(to_layer, HANDLE_LAYER)
CONVERTER(to_timings, HANDLE_TIMINGS)

int to_optional_timings(PyObject *object, void *out)
{
    *(handle **)out = NULL;
    return object == Py_None || to_timings(object, out);
}

/* ---- Exceptions ------------------------------------------------------------------------------*/

static PyObject *error_class; /* called with code, message, trail */

PyObject *raise_status(tn_status status)
{
    const size_t bytes = tn_status_text(status, true, NULL, 0) + 1;
    char *const text = malloc(bytes);
    if (!text) {
        return PyErr_NoMemory();
    }
    tn_status_text(status, true, text, bytes);
    PyObject *const error = PyObject_CallFunction(error_class ? error_class : PyExc_RuntimeError,
                                                  "sss", tn_code_name(tn_status_code(status)),
                                                  tn_status_message(status), text);
    free(text);
    if (error) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return NULL;
}

PyObject *list_with(PyObject *items, PyObject *row)
{
    const bool failed = !row || PyList_Append(items, row) < 0;
    Py_XDECREF(row);
    if (!failed) {
        return items;
    }
    Py_DECREF(items);
    return NULL;
}

PyObject *raise_busy(void)
{
    const char *const text = "in use by another thread: contexts and models belong to one thread "
                             "at a time; make a context for each";
    PyObject *const error = PyObject_CallFunction(error_class ? error_class : PyExc_RuntimeError,
                                                  "sss", "INVALID", text, text);
    if (error) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return NULL;
}

static PyObject *set_error(PyObject *self, PyObject *type)
{
    (void)self;
    Py_INCREF(type);
    Py_XDECREF(error_class);
    error_class = type;
    Py_RETURN_NONE;
}

/* ---- The log ---------------------------------------------------------------------------------*/

static PyObject *log_sink; /* called with level, line, from any thread */

static void send_line(void *self, tn_log_level level, const char *line)
{
    (void)self;
    const PyGILState_STATE state = PyGILState_Ensure();
    if (log_sink) {
        PyObject *const sink = log_sink;
        PyObject *type, *value, *trace;
        Py_INCREF(sink);
        PyErr_Fetch(&type, &value, &trace);
        PyObject *const text = PyUnicode_DecodeUTF8(line, (Py_ssize_t)strlen(line), "replace");
        PyObject *const result = text ? PyObject_CallFunction(sink, "iO", (int)level, text) : NULL;
        Py_XDECREF(text);
        if (!result) {
            PyErr_WriteUnraisable(sink);
        }
        Py_XDECREF(result);
        PyErr_Restore(type, value, trace);
        Py_DECREF(sink);
    }
    PyGILState_Release(state);
}

static PyObject *set_log(PyObject *self, PyObject *args)
{
    PyObject *sink;
    int level;
    (void)self;
    if (!PyArg_ParseTuple(args, "Oi", &sink, &level)) {
        return NULL;
    }
    PyObject *const old = log_sink;
    Py_INCREF(sink);
    log_sink = sink == Py_None ? NULL : sink;
    tn_set_log(log_sink ? send_line : NULL, NULL, (tn_log_level)level);
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

PyObject *take_text(char *text)
{
    if (!text) {
        Py_RETURN_NONE;
    }
    PyObject *const result = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
    tn_text_free(text);
    return result;
}

static PyObject *version(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    return PyUnicode_FromString(tn_version());
}

static PyObject *devices_text(PyObject *self, PyObject *unused)
{
    char *text = NULL;
    tn_status status;
    (void)self, (void)unused;
    UNLOCKED(status, NULL, tn_devices_text(&text));
    return status ? raise_status(status) : take_text(text);
}

/* ---- The module ------------------------------------------------------------------------------*/

static PyMethodDef module_methods[] = {
    {"version", version, METH_NOARGS, NULL},
    {"devices_text", devices_text, METH_NOARGS, NULL},
    {"set_error", set_error, METH_O, NULL},
    {"set_log", set_log, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT, "_tenon", NULL, -1, module_methods, NULL, NULL, NULL, NULL};

/* {name: (number, bits, kind)} */
static int add_dtypes(PyObject *module)
{
    PyObject *const dict = PyDict_New();
    bool failed = !dict;
#define ROW(name, number, bits, kind, text)                                                        \
    if (!failed) {                                                                                 \
        PyObject *const row = Py_BuildValue("(iis)", number, bits, #kind);                         \
        failed = !row || PyDict_SetItemString(dict, text, row) < 0;                                \
        Py_XDECREF(row);                                                                           \
    }
    TN_DTYPES(ROW)
#undef ROW
    return failed ? -1 : PyModule_AddObject(module, "DTYPES", dict);
}

PyMODINIT_FUNC PyInit__tenon(void);
PyMODINIT_FUNC PyInit__tenon(void)
{
    PyObject *const module = PyModule_Create(&module_def);
    if (!module || handle_init(module) < 0 || PyModule_AddFunctions(module, tensor_methods) < 0 ||
        PyModule_AddFunctions(module, build_methods) < 0 ||
        PyModule_AddFunctions(module, engine_methods) < 0 ||
        PyModule_AddFunctions(module, context_methods) < 0 ||
        PyModule_AddFunctions(module, file_methods) < 0 ||
        PyModule_AddFunctions(module, network_methods) < 0 || network_init(module) < 0 ||
        add_dtypes(module) < 0 ||
        PyModule_AddStringConstant(module, "ENGINE_MAGIC", TN_ENGINE_MAGIC) < 0) {
        return NULL;
    }
    return module;
}
