/* Networks layer by layer. add(network, kind, arguments...) calls tn_network_add_KIND: the
 * arguments are those of the C function, with a list where it takes a pointer and a count. */
#include "python.h"

#include <string.h>

enum { LIST_MAX = 512 };

/* The arguments of one call, converted on demand; the first that cannot be sets the exception. */
typedef struct arguments {
    PyObject *tuple;
    tn_network *network;
    tn_tensor tensors[6];
    dims shapes[6];
    tn_layer *layers[LIST_MAX];
    tn_tensor weights[LIST_MAX];
} arguments;

static PyObject *item(const arguments *a, int i)
{
    PyObject *const object = PyTuple_GetItem(a->tuple, i);
    if (!object) {
        PyErr_Format(PyExc_TypeError, "argument %d is missing", i);
    }
    return object;
}

static tn_layer *as_layer(PyObject *object)
{
    handle *h;
    return object && object != Py_None && to_layer(object, &h) ? h->at : NULL;
}

static tn_layer *layer_at(const arguments *a, int i)
{
    return as_layer(item(a, i));
}

static int64_t int_at(const arguments *a, int i)
{
    PyObject *const object = item(a, i);
    PyObject *const whole = object ? PyNumber_Index(object) : NULL;
    const int64_t value = whole ? PyLong_AsLongLong(whole) : -1;
    Py_XDECREF(whole);
    return value;
}

static double float_at(const arguments *a, int i)
{
    PyObject *const object = item(a, i);
    return object ? PyFloat_AsDouble(object) : 0;
}

static const tn_tensor *tensor_at(arguments *a, int i)
{
    PyObject *const object = item(a, i);
    if (!object || object == Py_None || i >= 6 || !to_tensor(object, &a->tensors[i])) {
        return NULL;
    }
    return &a->tensors[i];
}

static const int64_t *dims_at(arguments *a, int i)
{
    PyObject *const object = item(a, i);
    if (!object || object == Py_None || !to_dims(object, &a->shapes[i])) {
        return NULL;
    }
    return a->shapes[i].at;
}

static int count_at(const arguments *a, int i)
{
    PyObject *const object = item(a, i);
    const Py_ssize_t count = !object || object == Py_None ? 0 : PySequence_Size(object);
    if (count > LIST_MAX) {
        PyErr_Format(PyExc_ValueError, "a list of %zd, at most %d are taken", count, LIST_MAX);
        return 0;
    }
    return count < 0 ? 0 : (int)count;
}

/* One call takes up to two lists of layers: `half` says which half of the room. */
static tn_layer *const *layers_at(arguments *a, int i, int half)
{
    const int count = count_at(a, i);
    tn_layer **const out = a->layers + half * LIST_MAX / 2;
    if (count > LIST_MAX / 2) {
        PyErr_SetString(PyExc_ValueError, "a list of more than 256 layers");
        return NULL;
    }
    for (int k = 0; k < count; k++) {
        PyObject *const object = PySequence_GetItem(item(a, i), k);
        out[k] = as_layer(object);
        Py_XDECREF(object); /* the list, which the arguments hold, keeps it */
    }
    return out;
}

static const tn_tensor *weights_at(arguments *a, int i)
{
    const int count = count_at(a, i);
    for (int k = 0; k < count; k++) {
        PyObject *const object = PySequence_GetItem(item(a, i), k);
        if (!object || !to_tensor(object, &a->weights[k])) {
            Py_XDECREF(object);
            return NULL;
        }
        Py_DECREF(object);
    }
    return a->weights;
}

static const char *text_at(const arguments *a, int i)
{
    PyObject *const object = item(a, i);
    return object && object != Py_None ? PyBytes_AsString(object) : NULL;
}

static tn_network *network_at(const arguments *a, int i)
{
    handle *h;
    PyObject *const object = item(a, i);
    return object && to_network(object, &h) ? h->at : NULL;
}

#define L(i) layer_at(a, i)
#define I(i) int_at(a, i)
#define E(type, i) (type) int_at(a, i)
#define F(i) float_at(a, i)
#define T(i) tensor_at(a, i)
#define D(i) dims_at(a, i), count_at(a, i)
#define TEXT(i) text_at(a, i)
#define N a->network

#define LAYER_CALLS(X)                                                                             \
    X(input, (N, TEXT(0), E(tn_dtype, 1), D(2)))                                                   \
    X(constant, (N, T(0)))                                                                         \
    X(identity, (N, L(0)))                                                                         \
    X(cast, (N, L(0), E(tn_dtype, 1)))                                                             \
    X(shape, (N, L(0)))                                                                            \
    X(convolution, (N, L(0), T(1), T(2)))                                                          \
    X(deconvolution, (N, L(0), T(1), T(2)))                                                        \
    X(pooling, (N, L(0), E(tn_pool_type, 1), D(2)))                                                \
    X(fully_connected, (N, L(0), T(1), T(2)))                                                      \
    X(lrn, (N, L(0), I(1), F(2), F(3), F(4)))                                                      \
    X(padding, (N, L(0), dims_at(a, 1), D(2)))                                                     \
    X(activation, (N, L(0), E(tn_activation_type, 1)))                                             \
    X(parametric_relu, (N, L(0), L(1)))                                                            \
    X(unary, (N, L(0), E(tn_unary_type, 1)))                                                       \
    X(elementwise, (N, L(0), L(1), E(tn_elementwise_type, 2)))                                     \
    X(scale, (N, L(0), E(tn_scale_mode, 1), T(2), T(3), T(4)))                                     \
    X(select, (N, L(0), L(1), L(2)))                                                               \
    X(quantize, (N, L(0), L(1), E(tn_dtype, 2)))                                                   \
    X(dequantize, (N, L(0), L(1)))                                                                 \
    X(reduce, (N, L(0), E(tn_reduce_type, 1), D(2), I(3) != 0))                                    \
    X(softmax, (N, L(0), I(1)))                                                                    \
    X(ragged_softmax, (N, L(0), L(1)))                                                             \
    X(cumulative, (N, L(0), I(1)))                                                                 \
    X(top_k, (N, L(0), E(tn_top_k_type, 1), I(2), I(3)))                                           \
    X(normalization, (N, L(0), E(tn_normalization_type, 1), T(2), T(3)))                           \
    X(batch_normalization, (N, L(0), T(1), T(2), T(3), T(4)))                                      \
    X(matrix_multiply, (N, L(0), E(tn_matrix_operation, 1), L(2), E(tn_matrix_operation, 3)))      \
    X(einsum, (N, layers_at(a, 0, 0), count_at(a, 0), TEXT(1)))                                    \
    X(attention, (N, L(0), L(1), L(2)))                                                            \
    X(rotary_embedding, (N, L(0), L(1), L(2)))                                                     \
    X(kv_cache_update, (N, L(0), L(1), L(2)))                                                      \
    X(shuffle, (N, L(0)))                                                                          \
    X(squeeze, (N, L(0), D(1)))                                                                    \
    X(unsqueeze, (N, L(0), D(1)))                                                                  \
    X(concatenation, (N, layers_at(a, 0, 0), count_at(a, 0), I(1)))                                \
    X(slice, (N, L(0), dims_at(a, 1), dims_at(a, 2), dims_at(a, 3), count_at(a, 1)))               \
    X(resize, (N, L(0), E(tn_interpolation, 1)))                                                   \
    X(fill, (N, E(tn_fill_type, 0), D(1)))                                                         \
    X(gather, (N, L(0), L(1), E(tn_gather_type, 2)))                                               \
    X(scatter, (N, L(0), L(1), L(2), E(tn_scatter_type, 3)))                                       \
    X(one_hot, (N, L(0), L(1), I(2), I(3)))                                                        \
    X(non_zero, (N, L(0)))                                                                         \
    X(nms, (N, L(0), L(1), I(2)))                                                                  \
    X(reverse_sequence, (N, L(0), L(1)))                                                           \
    X(grid_sample, (N, L(0), L(1)))                                                                \
    X(rnn, (N, E(tn_rnn_type, 0), L(1), I(2), I(3), I(4) != 0, weights_at(a, 5), count_at(a, 5)))  \
    X(if, (N, L(0), network_at(a, 1), network_at(a, 2), layers_at(a, 3, 0), count_at(a, 3)))       \
    X(loop, (N, L(0), L(1), network_at(a, 2), layers_at(a, 3, 0), count_at(a, 3),                  \
             layers_at(a, 4, 1), count_at(a, 4)))

#define CALL(kind, call)                                                                           \
    static tn_layer *add_##kind(arguments *a)                                                      \
    {                                                                                              \
        return tn_network_add_##kind call;                                                         \
    }
LAYER_CALLS(CALL)
#undef CALL

static const struct {
    const char *kind;
    tn_layer *(*add)(arguments *a);
} layer_calls[] = {
#define ROW(kind, call) {#kind, add_##kind},
    LAYER_CALLS(ROW)
#undef ROW
};

/* The layer as a handle, or the network's failure. */
static PyObject *give(handle *network, tn_layer *layer)
{
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (!layer) {
        return raise_status(tn_network_status(network->at));
    }
    return handle_new(HANDLE_LAYER, layer, (PyObject *)network);
}

static PyObject *network_new(PyObject *self, PyObject *args)
{
    const char *name;
    tn_network *network = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "z", &name)) {
        return NULL;
    }
    const tn_status status = tn_network_new(name, &network);
    return status ? raise_status(status) : handle_new(HANDLE_NETWORK, network, NULL);
}

static PyObject *network_add(PyObject *self, PyObject *args)
{
    handle *network;
    const char *kind;
    static arguments a; /* under the interpreter's lock */
    (void)self;
    PyObject *const head = PyTuple_GetSlice(args, 0, 2);
    const int ok = head && PyArg_ParseTuple(head, "O&s", to_network, &network, &kind);
    Py_XDECREF(head);
    if (!ok) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof layer_calls / sizeof *layer_calls; i++) {
        if (strcmp(layer_calls[i].kind, kind) == 0) {
            a.tuple = PyTuple_GetSlice(args, 2, PyTuple_Size(args));
            a.network = network->at;
            tn_layer *const layer = a.tuple ? layer_calls[i].add(&a) : NULL;
            Py_XDECREF(a.tuple);
            return give(network, layer);
        }
    }
    return PyErr_Format(PyExc_ValueError, "there is no layer '%s'", kind);
}

/* network_mark_output(network, layer, name or None) */
static PyObject *network_mark_output(PyObject *self, PyObject *args)
{
    handle *network, *layer;
    const char *name;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&O&z", to_network, &network, to_layer, &layer, &name)) {
        return NULL;
    }
    tn_network_mark_output(network->at, layer->at, name);
    const tn_status status = tn_network_status(network->at);
    return status ? raise_status(status) : Py_BuildValue("");
}

static PyObject *model_from_network(PyObject *self, PyObject *args)
{
    handle *network;
    tn_model *model = NULL;
    tn_status status;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&", to_network, &network)) {
        return NULL;
    }
    UNLOCKED(status, network, tn_model_from_network(network->at, &model));
    return status ? raise_status(status) : handle_new(HANDLE_MODEL, model, NULL);
}

static PyObject *layer_output(PyObject *self, PyObject *args)
{
    handle *layer;
    int index;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&i", to_layer, &layer, &index)) {
        return NULL;
    }
    return give((handle *)layer->keep, tn_layer_output(layer->at, index));
}

static PyObject *layer_describe(PyObject *self, PyObject *args)
{
    handle *layer;
    tn_io io;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&", to_layer, &layer)) {
        return NULL;
    }
    const tn_status status = tn_layer_describe(layer->at, &io);
    return status ? raise_status(status) : io_tuple(&io);
}

static PyObject *layer_name(PyObject *self, PyObject *args)
{
    handle *layer;
    (void)self;
    return PyArg_ParseTuple(args, "O&", to_layer, &layer)
               ? Py_BuildValue("s", tn_layer_name(layer->at))
               : NULL;
}

/* layer_set(layer, setting, numbers): ints or floats, as the setting has them; "name" and
 * "dim_name" take (text) and (axis, text); "input" (index, layer or None); "gate" (index, gate,
 * recurrent, weight, bias). */
static PyObject *layer_set(PyObject *self, PyObject *args)
{
    handle *h;
    const char *what;
    PyObject *value;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&sO!", to_layer, &h, &what, &PyTuple_Type, &value)) {
        return NULL;
    }
    tn_layer *const layer = h->at;
    tn_layer *result = NULL;
    if (strcmp(what, "name") == 0) {
        const char *name;
        if (PyArg_ParseTuple(value, "s", &name)) {
            result = tn_layer_set_name(layer, name);
        }
    } else if (strcmp(what, "dim_name") == 0) {
        const char *name;
        int axis;
        if (PyArg_ParseTuple(value, "is", &axis, &name)) {
            result = tn_layer_set_dim_name(layer, axis, name);
        }
    } else if (strcmp(what, "input") == 0) {
        PyObject *to;
        int index;
        if (PyArg_ParseTuple(value, "iO", &index, &to)) {
            tn_layer *const given = as_layer(to);
            result = PyErr_Occurred() ? NULL : tn_layer_set_input(layer, index, given);
        }
    } else if (strcmp(what, "gate") == 0) {
        int index, gate, recurrent;
        tn_tensor weight, bias;
        if (PyArg_ParseTuple(value, "iipO&O&", &index, &gate, &recurrent, to_tensor, &weight,
                             to_tensor, &bias)) {
            result = tn_layer_set_gate(layer, index, (tn_cell_gate)gate, recurrent, &weight,
                                       bias.dtype ? &bias : NULL);
        }
    } else {
        static const struct {
            const char *name;
            char kind;
        } settings[] = {
#define ROW(name, kind) {#name, #kind[0]},
            TN_SETTINGS(ROW)
#undef ROW
        };
        int i = 0;
        while (i < TN_SET_END && strcmp(settings[i].name, what) != 0) {
            i++;
        }
        dims ints;
        const Py_ssize_t count = PyTuple_Size(value);
        if (i == TN_SET_END) {
            PyErr_Format(PyExc_ValueError, "there is no setting '%s'", what);
        } else if (settings[i].kind == 'N') {
            if (to_dims(value, &ints)) {
                result = tn_layer_set_ints(layer, (tn_setting)i, ints.at, ints.count);
            }
        } else if (count > TN_RANK_MAX) {
            PyErr_Format(PyExc_ValueError, "%s takes at most %d numbers", what, TN_RANK_MAX);
        } else {
            double floats[TN_RANK_MAX];
            for (Py_ssize_t k = 0; k < count; k++) {
                floats[k] = PyFloat_AsDouble(PyTuple_GetItem(value, k));
            }
            result = PyErr_Occurred()
                         ? NULL
                         : tn_layer_set_floats(layer, (tn_setting)i, floats, (int)count);
        }
    }
    if (PyErr_Occurred()) {
        return NULL;
    }
    return result ? Py_BuildValue("") : raise_status(tn_network_status(((handle *)h->keep)->at));
}

PyMethodDef network_methods[] = {
    FUNCTION(network_new),        FUNCTION(network_add),  FUNCTION(network_mark_output),
    FUNCTION(model_from_network), FUNCTION(layer_output), FUNCTION(layer_describe),
    FUNCTION(layer_name),         FUNCTION(layer_set),    {NULL, NULL, 0, NULL},
};

/* The enums that layers take, by their names without TN_. */
#define ROW(name)                                                                                  \
    {                                                                                              \
#name, TN_##name                                                                           \
    }
static const struct {
    const char *name;
    int value;
} constants[] = {
    ROW(PADDING_ROUND_DOWN),
    ROW(PADDING_ROUND_UP),
    ROW(PADDING_SAME_UPPER),
    ROW(PADDING_SAME_LOWER),
    ROW(POOL_MAX),
    ROW(POOL_AVERAGE),
    ROW(POOL_MAX_AVERAGE),
    ROW(ACTIVATION_RELU),
    ROW(ACTIVATION_SIGMOID),
    ROW(ACTIVATION_TANH),
    ROW(ACTIVATION_LEAKY_RELU),
    ROW(ACTIVATION_ELU),
    ROW(ACTIVATION_SELU),
    ROW(ACTIVATION_SOFTSIGN),
    ROW(ACTIVATION_SOFTPLUS),
    ROW(ACTIVATION_CLIP),
    ROW(ACTIVATION_HARD_SIGMOID),
    ROW(ACTIVATION_SCALED_TANH),
    ROW(ACTIVATION_THRESHOLDED_RELU),
    ROW(ACTIVATION_GELU_ERF),
    ROW(ACTIVATION_GELU_TANH),
    ROW(ACTIVATION_SILU),
    ROW(ACTIVATION_HARD_SWISH),
    ROW(ACTIVATION_MISH),
    ROW(UNARY_EXP),
    ROW(UNARY_LOG),
    ROW(UNARY_SQRT),
    ROW(UNARY_RECIPROCAL),
    ROW(UNARY_ABS),
    ROW(UNARY_NEG),
    ROW(UNARY_SIN),
    ROW(UNARY_COS),
    ROW(UNARY_TAN),
    ROW(UNARY_SINH),
    ROW(UNARY_COSH),
    ROW(UNARY_ASIN),
    ROW(UNARY_ACOS),
    ROW(UNARY_ATAN),
    ROW(UNARY_ASINH),
    ROW(UNARY_ACOSH),
    ROW(UNARY_ATANH),
    ROW(UNARY_CEIL),
    ROW(UNARY_FLOOR),
    ROW(UNARY_ERF),
    ROW(UNARY_NOT),
    ROW(UNARY_SIGN),
    ROW(UNARY_ROUND),
    ROW(UNARY_IS_INF),
    ROW(UNARY_IS_NAN),
    ROW(ELEMENTWISE_SUM),
    ROW(ELEMENTWISE_PRODUCT),
    ROW(ELEMENTWISE_MAX),
    ROW(ELEMENTWISE_MIN),
    ROW(ELEMENTWISE_SUB),
    ROW(ELEMENTWISE_DIV),
    ROW(ELEMENTWISE_POW),
    ROW(ELEMENTWISE_FLOOR_DIV),
    ROW(ELEMENTWISE_AND),
    ROW(ELEMENTWISE_OR),
    ROW(ELEMENTWISE_XOR),
    ROW(ELEMENTWISE_EQUAL),
    ROW(ELEMENTWISE_GREATER),
    ROW(ELEMENTWISE_LESS),
    ROW(SCALE_UNIFORM),
    ROW(SCALE_CHANNEL),
    ROW(SCALE_ELEMENTWISE),
    ROW(REDUCE_SUM),
    ROW(REDUCE_PRODUCT),
    ROW(REDUCE_MAX),
    ROW(REDUCE_MIN),
    ROW(REDUCE_AVERAGE),
    ROW(TOP_K_MAX),
    ROW(TOP_K_MIN),
    ROW(NORMALIZATION_LAYER),
    ROW(NORMALIZATION_RMS),
    ROW(NORMALIZATION_INSTANCE),
    ROW(NORMALIZATION_GROUP),
    ROW(MATRIX),
    ROW(MATRIX_TRANSPOSED),
    ROW(VECTOR),
    ROW(OUTSIDE_REFUSED),
    ROW(OUTSIDE_WRAP),
    ROW(OUTSIDE_CLAMP),
    ROW(OUTSIDE_VALUE),
    ROW(OUTSIDE_REFLECT),
    ROW(NEAREST),
    ROW(LINEAR),
    ROW(CUBIC),
    ROW(COORDINATES_ALIGN_CORNERS),
    ROW(COORDINATES_ASYMMETRIC),
    ROW(COORDINATES_HALF_PIXEL),
    ROW(ROUNDING_HALF_UP),
    ROW(ROUNDING_HALF_DOWN),
    ROW(ROUNDING_FLOOR),
    ROW(ROUNDING_CEIL),
    ROW(FILL_LINSPACE),
    ROW(FILL_RANDOM_UNIFORM),
    ROW(FILL_RANDOM_NORMAL),
    ROW(GATHER),
    ROW(GATHER_ELEMENT),
    ROW(GATHER_ND),
    ROW(SCATTER_ELEMENT),
    ROW(SCATTER_ND),
    ROW(BOX_CORNERS),
    ROW(BOX_CENTER_SIZE),
    ROW(RNN_LSTM),
    ROW(RNN_GRU),
    ROW(RNN_TANH),
    ROW(RNN_RELU),
    ROW(GATE_INPUT),
    ROW(GATE_FORGET),
    ROW(GATE_CELL),
    ROW(GATE_OUTPUT),
    ROW(GATE_RESET),
    ROW(GATE_UPDATE),
    ROW(GATE_HIDDEN),
};
#undef ROW

int network_init(PyObject *module)
{
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (PyModule_AddIntConstant(module, constants[i].name, constants[i].value) < 0) return -1;
    return 0;
}
