/* Tensors: (address, dtype, shape, strides) to and from the C API, DLPack, raw memory. */
#include "python.h"

#include <stdlib.h>

#ifndef PyBUF_WRITE /* which the limited API of 3.9 forgot */
#define PyBUF_WRITE 0x200
#endif

int to_dims(PyObject *object, void *out)
{
    dims *const d = out;
    d->count = 0;
    if (object == Py_None) {
        return 1;
    }
    const Py_ssize_t count = PySequence_Size(object);
    if (count < 0) {
        return 0;
    }
    if (count > TN_RANK_MAX) {
        PyErr_Format(PyExc_ValueError, "at most %d dims, not %zd", TN_RANK_MAX, count);
        return 0;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *const item = PySequence_GetItem(object, i);
        PyObject *const whole = item ? PyNumber_Index(item) : NULL;
        Py_XDECREF(item);
        d->at[i] = whole ? PyLong_AsLongLong(whole) : -1;
        Py_XDECREF(whole);
        if (PyErr_Occurred()) {
            return 0;
        }
    }
    d->count = (int)count;
    return 1;
}

int to_tensor(PyObject *object, void *out)
{
    tn_tensor *const tensor = out;
    *tensor = (tn_tensor){.dtype = TN_DTYPE_NONE};
    if (object == Py_None) {
        return 1;
    }
    unsigned long long address;
    int dtype;
    dims shape, strides;
    if (!PyTuple_Check(object) ||
        !PyArg_ParseTuple(object, "KiO&O&", &address, &dtype, to_dims, &shape, to_dims, &strides)) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_TypeError, "a tensor is (address, dtype, shape, strides)");
        }
        return 0;
    }
    *tensor = tn_tensor_of((tn_dtype)dtype, shape.at, shape.count, (void *)(uintptr_t)address);
    for (int i = 0; i < strides.count && i < shape.count; i++) {
        tensor->stride[i] = strides.at[i];
    }
    return 1;
}

bool list_read(PyObject *sequence, size_t item_bytes, int (*item)(PyObject *, void *), list *out)
{
    const Py_ssize_t count = sequence == Py_None ? 0 : PySequence_Size(sequence);
    *out = (list){0};
    if (count < 0 || count > INT32_MAX || count == 0) {
        return count == 0;
    }
    out->at = calloc((size_t)count, item_bytes);
    if (!out->at) {
        PyErr_NoMemory();
        return false;
    }
    out->count = (int)count;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *const object = PySequence_GetItem(sequence, i);
        const int ok = object && item(object, (char *)out->at + (size_t)i * item_bytes);
        Py_XDECREF(object); /* the sequence is a list or tuple, which keeps it */
        if (!ok) {
            free(out->at);
            *out = (list){0};
            return false;
        }
    }
    return true;
}

int to_text(PyObject *object, void *out)
{
    *(const char **)out = PyBytes_AsString(object);
    return *(const char **)out != NULL;
}

static PyObject *numbers(const int64_t *at, int count)
{
    PyObject *const tuple = PyTuple_New(count);
    for (int i = 0; tuple && i < count; i++) {
        PyObject *const item = PyLong_FromLongLong(at[i]);
        if (!item || PyTuple_SetItem(tuple, i, item) < 0) {
            Py_DECREF(tuple);
            return NULL;
        }
    }
    return tuple;
}

int to_optional_text(PyObject *object, void *out)
{
    *(const char **)out = NULL;
    return object == Py_None || to_text(object, out);
}

PyObject *tensor_tuple(const tn_tensor *tensor)
{
    return Py_BuildValue("(KiNN)", (unsigned long long)(uintptr_t)tensor->data, (int)tensor->dtype,
                         numbers(tensor->dim, tensor->rank), numbers(tensor->stride, tensor->rank));
}

PyObject *io_tuple(const tn_io *io)
{
    if (io->rank < 0) {
        return Py_BuildValue("(siOOi)", io->name, (int)io->dtype, Py_None, Py_None, (int)io->kind);
    }
    PyObject *const names = PyTuple_New(io->rank);
    for (int i = 0; names && i < io->rank; i++) {
        PyObject *const name = Py_BuildValue("z", io->dim_name[i]);
        if (!name || PyTuple_SetItem(names, i, name) < 0) {
            Py_DECREF(names);
            return NULL;
        }
    }
    return Py_BuildValue("(siNNi)", io->name, (int)io->dtype, numbers(io->dim, io->rank), names,
                         (int)io->kind);
}

/* memory(address, bytes): a view to copy from or to while the memory is known to live. */
static PyObject *memory(PyObject *self, PyObject *args)
{
    unsigned long long address;
    Py_ssize_t bytes;
    static char nothing[1];
    (void)self;
    if (!PyArg_ParseTuple(args, "Kn", &address, &bytes)) {
        return NULL;
    }
    char *const at = bytes ? (char *)(uintptr_t)address : nothing;
    return PyMemoryView_FromMemory(at, bytes, PyBUF_WRITE);
}

static void drop_tensor(PyObject *capsule)
{
    tn_tensor *const tensor = PyCapsule_GetPointer(capsule, "tenon.tensor");
    if (tensor) {
        tn_tensor_free(tensor);
        free(tensor);
    }
}

/* tensor_load(path): (tensor, owner) */
static PyObject *tensor_load(PyObject *self, PyObject *args)
{
    const char *path;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "y", &path)) {
        return NULL;
    }
    tn_tensor *const tensor = calloc(1, sizeof *tensor);
    PyObject *const owner = tensor ? PyCapsule_New(tensor, "tenon.tensor", drop_tensor) : NULL;
    if (!owner) {
        free(tensor);
        return tensor ? NULL : PyErr_NoMemory();
    }
    UNLOCKED(status, NULL, tn_tensor_load(path, tensor));
    if (status) {
        Py_DECREF(owner);
        return raise_status(status);
    }
    return Py_BuildValue("(NN)", tensor_tuple(tensor), owner);
}

/* tensor_save(tensor, path) */
static PyObject *tensor_save(PyObject *self, PyObject *args)
{
    tn_tensor tensor;
    const char *path;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&y", to_tensor, &tensor, &path)) {
        return NULL;
    }
    UNLOCKED(status, NULL, tn_tensor_save(&tensor, path));
    return status ? raise_status(status) : Py_BuildValue("");
}

/* tensor_compare(got, want, rtol, atol): (abs_max, rel_l2, beyond_count, worst_index) */
static PyObject *tensor_compare(PyObject *self, PyObject *args)
{
    tn_tensor got, want;
    double rtol, atol;
    tn_difference d = {0};
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&O&dd", to_tensor, &got, to_tensor, &want, &rtol, &atol)) {
        return NULL;
    }
    UNLOCKED(status, NULL, tn_tensor_compare(&got, &want, rtol, atol, &d));
    return status ? raise_status(status)
                  : Py_BuildValue("(ddLL)", d.abs_max, d.rel_l2, (long long)d.beyond_count,
                                  (long long)d.worst_index);
}

/* ---- DLPack: the structures of its version 0, which all libraries speak ----------------------*/

typedef struct dl_tensor {
    void *data;
    int32_t device_type, device_id;
    int32_t rank;
    uint8_t code, bits;
    uint16_t lanes;
    int64_t *shape, *strides;
    uint64_t byte_offset;
} dl_tensor;

typedef struct dl_managed {
    dl_tensor tensor;
    void *context;
    void (*deleter)(struct dl_managed *);
} dl_managed;

enum { DL_INT = 0, DL_UINT = 1, DL_FLOAT = 2, DL_BFLOAT = 4, DL_COMPLEX = 5, DL_BOOL = 6 };

static const struct {
    uint8_t code, bits;
    tn_dtype dtype;
} dl_types[] = {{DL_FLOAT, 32, TN_DTYPE_F32},    {DL_FLOAT, 16, TN_DTYPE_F16},
                {DL_FLOAT, 64, TN_DTYPE_F64},    {DL_BFLOAT, 16, TN_DTYPE_BF16},
                {DL_INT, 8, TN_DTYPE_I8},        {DL_INT, 16, TN_DTYPE_I16},
                {DL_INT, 32, TN_DTYPE_I32},      {DL_INT, 64, TN_DTYPE_I64},
                {DL_UINT, 8, TN_DTYPE_U8},       {DL_UINT, 16, TN_DTYPE_U16},
                {DL_UINT, 32, TN_DTYPE_U32},     {DL_UINT, 64, TN_DTYPE_U64},
                {DL_BOOL, 8, TN_DTYPE_BOOL},     {DL_COMPLEX, 64, TN_DTYPE_C64},
                {DL_COMPLEX, 128, TN_DTYPE_C128}};
enum { DL_TYPE_COUNT = sizeof dl_types / sizeof *dl_types };

static void dl_drop(PyObject *capsule)
{
    dl_managed *const managed = PyCapsule_GetPointer(capsule, "tenon.dlpack");
    if (managed && managed->deleter) {
        managed->deleter(managed);
    }
}

/* dlpack_read(capsule): (tensor, device type, device id, owner). The owner is to be kept as long as
 * the tensor is used. */
static PyObject *dlpack_read(PyObject *self, PyObject *capsule)
{
    (void)self;
    dl_managed *const managed = PyCapsule_GetPointer(capsule, "dltensor");
    if (!managed) {
        return NULL;
    }
    const dl_tensor *const from = &managed->tensor;
    tn_dtype dtype = TN_DTYPE_NONE;
    for (int i = 0; i < DL_TYPE_COUNT && from->lanes == 1; i++) {
        if (dl_types[i].code == from->code && dl_types[i].bits == from->bits) {
            dtype = dl_types[i].dtype;
        }
    }
    if (dtype == TN_DTYPE_NONE || from->rank > TN_RANK_MAX) {
        PyErr_Format(PyExc_BufferError, "DLPack type (%d, %d bits, %d lanes) of rank %d",
                     from->code, from->bits, from->lanes, from->rank);
        return NULL;
    }
    tn_tensor tensor =
        tn_tensor_of(dtype, from->shape, from->rank, (char *)from->data + from->byte_offset);
    for (int i = 0; from->strides && i < from->rank; i++) {
        tensor.stride[i] = from->strides[i];
    }
    PyObject *const owner = PyCapsule_New(managed, "tenon.dlpack", dl_drop);
    if (!owner) {
        return NULL;
    }
    PyCapsule_SetName(capsule, "used_dltensor");
    return Py_BuildValue("(NiiN)", tensor_tuple(&tensor), (int)from->device_type,
                         (int)from->device_id, owner);
}

typedef struct dl_export {
    dl_managed managed;
    int64_t shape[TN_RANK_MAX], strides[TN_RANK_MAX];
    PyObject *owner;
} dl_export;

static void dl_delete(dl_managed *managed)
{
    dl_export *const e = managed->context;
    const PyGILState_STATE state = PyGILState_Ensure();
    Py_DECREF(e->owner);
    PyGILState_Release(state);
    free(e);
}

static void dl_unused(PyObject *capsule)
{
    if (PyCapsule_IsValid(capsule, "dltensor")) { /* else its consumer deletes it */
        dl_managed *const managed = PyCapsule_GetPointer(capsule, "dltensor");
        managed->deleter(managed);
    }
}

/* dlpack_make(tensor, device type, device id, owner): a capsule that keeps the owner. */
static PyObject *dlpack_make(PyObject *self, PyObject *args)
{
    tn_tensor tensor;
    int device_type, device_id;
    PyObject *owner;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&iiO", to_tensor, &tensor, &device_type, &device_id, &owner)) {
        return NULL;
    }
    int type = 0;
    while (type < DL_TYPE_COUNT && dl_types[type].dtype != tensor.dtype) {
        type++;
    }
    if (type == DL_TYPE_COUNT) {
        return PyErr_Format(PyExc_BufferError, "DLPack has no type %s",
                            tn_dtype_name(tensor.dtype));
    }
    dl_export *const e = calloc(1, sizeof *e);
    if (!e) {
        return PyErr_NoMemory();
    }
    for (int i = 0; i < tensor.rank; i++) {
        e->shape[i] = tensor.dim[i];
        e->strides[i] = tensor.stride[i];
    }
    e->managed =
        (dl_managed){{tensor.data, device_type, device_id, tensor.rank, dl_types[type].code,
                      dl_types[type].bits, 1, e->shape, e->strides, 0},
                     e,
                     dl_delete};
    Py_INCREF(owner);
    e->owner = owner;
    PyObject *const capsule = PyCapsule_New(&e->managed, "dltensor", dl_unused);
    if (!capsule) {
        dl_delete(&e->managed);
    }
    return capsule;
}

PyMethodDef tensor_methods[] = {
    {"memory", memory, METH_VARARGS, NULL},
    {"tensor_load", tensor_load, METH_VARARGS, NULL},
    {"tensor_save", tensor_save, METH_VARARGS, NULL},
    {"tensor_compare", tensor_compare, METH_VARARGS, NULL},
    {"dlpack_read", dlpack_read, METH_O, NULL},
    {"dlpack_make", dlpack_make, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
