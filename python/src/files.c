/* Checkpoints, tokenizers, libraries of operators. Functions are named as in the C API. */
#include "python.h"

#include <stdlib.h>
#include <tenon/op.h>

/* ---- Checkpoints -----------------------------------------------------------------------------*/

static PyObject *checkpoint_load(PyObject *self, PyObject *args)
{
    const char *path;
    tn_checkpoint *checkpoint = NULL;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "y", &path)) {
        return NULL;
    }
    UNLOCKED(status, NULL, tn_checkpoint_load(path, &checkpoint));
    return status ? raise_status(status) : handle_new(HANDLE_CHECKPOINT, checkpoint, NULL);
}

/* checkpoint_tensors(checkpoint): [(name, tensor)] */
static PyObject *checkpoint_tensors(PyObject *self, PyObject *args)
{
    handle *checkpoint;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&", to_checkpoint, &checkpoint)) {
        return NULL;
    }
    PyObject *result = PyList_New(0);
    const int64_t count = tn_checkpoint_count(checkpoint->at);
    for (int64_t i = 0; result && i < count; i++) {
        const char *name;
        tn_tensor tensor;
        const tn_status status = tn_checkpoint_tensor_at(checkpoint->at, i, &name, &tensor);
        PyObject *const row =
            status ? raise_status(status) : Py_BuildValue("(sN)", name, tensor_tuple(&tensor));
        result = list_with(result, row);
    }
    return result;
}

static PyObject *checkpoint_arch(PyObject *self, PyObject *args)
{
    handle *checkpoint;
    (void)self;
    return PyArg_ParseTuple(args, "O&", to_checkpoint, &checkpoint)
               ? Py_BuildValue("z", tn_checkpoint_arch(checkpoint->at))
               : NULL;
}

static PyObject *checkpoint_note(PyObject *self, PyObject *args)
{
    handle *checkpoint;
    (void)self;
    return PyArg_ParseTuple(args, "O&", to_checkpoint, &checkpoint)
               ? Py_BuildValue("s", tn_checkpoint_note(checkpoint->at))
               : NULL;
}

/* checkpoint_save(path, names, tensors) */
static PyObject *checkpoint_save(PyObject *self, PyObject *args)
{
    const char *path;
    PyObject *names_, *tensors_;
    list names, tensors = {0};
    tn_status status = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "yOO", &path, &names_, &tensors_) ||
        !list_read(names_, sizeof(char *), to_text, &names)) {
        return NULL;
    }
    const bool ok = list_read(tensors_, sizeof(tn_tensor), to_tensor, &tensors);
    if (ok) {
        UNLOCKED(status, NULL,
                 tn_checkpoint_save(path, names.at, tensors.at,
                                    names.count < tensors.count ? names.count : tensors.count));
    }
    free(names.at);
    free(tensors.at);
    return !ok ? NULL : status ? raise_status(status) : Py_BuildValue("");
}

/* ---- Tokenizers ------------------------------------------------------------------------------*/

/* tokenizer_load(path, mode, keep_case) */
static PyObject *tokenizer_load(PyObject *self, PyObject *args)
{
    const char *path;
    int mode, keep_case;
    tn_tokenizer *tokenizer = NULL;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "yip", &path, &mode, &keep_case)) {
        return NULL;
    }
    const tn_tokenizer_options options = {
        .size = sizeof options, .mode = (tn_tokenizer_mode)mode, .keep_case = keep_case};
    UNLOCKED(status, NULL, tn_tokenizer_load(path, &options, &tokenizer));
    return status ? raise_status(status) : handle_new(HANDLE_TOKENIZER, tokenizer, NULL);
}

/* tokenizer_encode(tokenizer, text, pair or None, max_length, count, address of ids, address of
 * segment ids): how many there are; count 0 asks for that alone. */
static PyObject *tokenizer_encode(PyObject *self, PyObject *args)
{
    handle *tokenizer;
    const char *text, *pair;
    long long max_length;
    unsigned long long capacity, ids, segments;
    size_t count = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&szLKKK", to_tokenizer, &tokenizer, &text, &pair, &max_length,
                          &capacity, &ids, &segments)) {
        return NULL;
    }
    const tn_status status =
        tn_tokenizer_encode(tokenizer->at, text, pair, max_length, (int64_t *)(uintptr_t)ids,
                            (int64_t *)(uintptr_t)segments, (size_t)capacity, &count);
    return status ? raise_status(status) : PyLong_FromSize_t(count);
}

static PyObject *tokenizer_token(PyObject *self, PyObject *args)
{
    handle *tokenizer;
    long long id;
    (void)self;
    return PyArg_ParseTuple(args, "O&L", to_tokenizer, &tokenizer, &id)
               ? Py_BuildValue("z", tn_tokenizer_token(tokenizer->at, id))
               : NULL;
}

static PyObject *tokenizer_find(PyObject *self, PyObject *args)
{
    handle *tokenizer;
    const char *token;
    (void)self;
    return PyArg_ParseTuple(args, "O&s", to_tokenizer, &tokenizer, &token)
               ? PyLong_FromLongLong(tn_tokenizer_find(tokenizer->at, token))
               : NULL;
}

static PyObject *op_library_load(PyObject *self, PyObject *args)
{
    const char *path;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "y", &path)) {
        return NULL;
    }
    UNLOCKED(status, NULL, tn_op_library_load(path));
    return status ? raise_status(status) : Py_BuildValue("");
}

PyMethodDef file_methods[] = {
    FUNCTION(checkpoint_load), FUNCTION(checkpoint_tensors), FUNCTION(checkpoint_arch),
    FUNCTION(checkpoint_note), FUNCTION(checkpoint_save),    FUNCTION(op_library_load),
    FUNCTION(tokenizer_load),  FUNCTION(tokenizer_encode),   FUNCTION(tokenizer_token),
    FUNCTION(tokenizer_find),  {NULL, NULL, 0, NULL},
};
