/* What the files of the extension share. The extension hands the C API to Python as it is: handles,
 * tensors as (address, dtype, shape, strides), and statuses as exceptions. All else is in Python.
 */
#ifndef TENON_PYTHON_H
#define TENON_PYTHON_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>
#include <tenon/tenon.h>

/* Every object of the library that Python holds. `keep` is what must outlive it. */
typedef enum handle_kind {
    HANDLE_MODEL,
    HANDLE_ENGINE,
    HANDLE_CONTEXT,
    HANDLE_CHECKPOINT,
    HANDLE_TOKENIZER,
    HANDLE_NETWORK,
    HANDLE_LAYER, /* belongs to its network */
    HANDLE_TIMINGS,
    HANDLE_MEMORY, /* of a device; `keep` is its engine */
    HANDLE_KIND_COUNT
} handle_kind;

typedef struct handle {
    PyObject_HEAD void *at;
    PyObject *keep;
    PyObject *hook; /* of a context: called after each step */
    handle_kind kind;
    bool is_busy; /* a call without the interpreter's lock is under way */
} handle;

int handle_init(PyObject *module);
/* Takes `at` over, also where it fails; NULL with an exception. `keep` may be NULL. */
PyObject *handle_new(handle_kind kind, void *at, PyObject *keep);
/* The thing in a handle of the kind; NULL with an exception. */
void *handle_get(PyObject *object, handle_kind kind);

/* Converters for "O&" of PyArg_ParseTuple, each into a `handle *`. */
int to_model(PyObject *object, void *out);
int to_engine(PyObject *object, void *out);
int to_context(PyObject *object, void *out);
int to_checkpoint(PyObject *object, void *out);
int to_tokenizer(PyObject *object, void *out);
int to_network(PyObject *object, void *out);
int to_layer(PyObject *object, void *out);
int to_timings(PyObject *object, void *out);
/* NULL for None. */
int to_optional_timings(PyObject *object, void *out);
/* Into a tn_tensor; None gives dtype NONE. */
int to_tensor(PyObject *object, void *out);

/* A list of whole numbers, at most TN_RANK_MAX. */
typedef struct dims {
    int count;
    int64_t at[TN_RANK_MAX];
} dims;
int to_dims(PyObject *object, void *out);

/* An array for the items of a sequence, each read by `item`; freed with free. Strings in it are
 * borrowed from the sequence, which the caller's arguments keep. */
typedef struct list {
    void *at;
    int count;
} list;
bool list_read(PyObject *sequence, size_t item_bytes, int (*item)(PyObject *, void *), list *out);
/* Text comes as bytes, which end with a zero: the limited API of 3.9 lends no UTF-8 of a str. */
int to_text(PyObject *object, void *out);
/* NULL for None. */
int to_optional_text(PyObject *object, void *out);

/* (name, min, opt, max) into a tn_profile. */
int to_profile(PyObject *object, void *out);

PyObject *tensor_tuple(const tn_tensor *tensor);
PyObject *io_tuple(const tn_io *io);
/* Sets the exception and gives NULL. */
PyObject *raise_status(tn_status status);
/* Text of the library's, freed; None for NULL. */
PyObject *take_text(char *text);

/* Run a call that gives a status without the interpreter's lock. `owner` (may be NULL) is the
 * handle whose object may be used by one thread at a time. */
#define UNLOCKED(status, owner, call)                                                              \
    do {                                                                                           \
        handle *const owner_ = (owner);                                                            \
        if (owner_ && owner_->is_busy) {                                                           \
            return raise_busy();                                                                   \
        }                                                                                          \
        if (owner_) {                                                                              \
            owner_->is_busy = true;                                                                \
        }                                                                                          \
        Py_BEGIN_ALLOW_THREADS;                                                                    \
        (status) = (call);                                                                         \
        Py_END_ALLOW_THREADS;                                                                      \
        if (owner_) {                                                                              \
            owner_->is_busy = false;                                                               \
        }                                                                                          \
    } while (0)
PyObject *raise_busy(void);

/* The list with a row more, which it takes over. NULL for the row is one that failed: then, as
 * where there is no memory, the list is let go and the answer is NULL. */
PyObject *list_with(PyObject *items, PyObject *row);

/* A row of a table of functions. */
#define FUNCTION(name)                                                                             \
    {                                                                                              \
#name, name, METH_VARARGS, NULL                                                            \
    }

/* The functions of each file, ended by an empty one. */
extern PyMethodDef build_methods[], engine_methods[], context_methods[], file_methods[],
    tensor_methods[], network_methods[];
int network_init(PyObject *module);

#endif
