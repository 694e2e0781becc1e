/* Operators of your own: what ONNX Runtime calls a custom operator and TensorRT a plugin.
 *
 * An operator is a tn_op_spec: its domain and name as model files write them, its inputs and
 * outputs, a function that tells the shapes of its outputs, and one that computes them.
 *
 *     static tn_code shape(const tn_op_call *call)
 *     {
 *         return call->host->set_output_like(call, 0, 0);
 *     }
 *     static tn_code compute(const tn_op_call *call)
 *     {
 *         const float *x = call->input[0].data;
 *         float *y = call->output[0].data;
 *         double by = 1;
 *         call->host->attr_float(call, "by", &by);
 *         for (int64_t i = 0; i < call->host->count(&call->input[0]); i++) y[i] = x[i] * (float)by;
 *         return TN_OK;
 *     }
 *
 * A program that links libtenon registers it with tn_op_register. A shared library exports
 * tn_op_library_register instead, and is named with `tenon ... --op-library=FILE` or
 * tn_op_library_load. All that such a library uses of Tenon comes to it in tables (tn_op_registry,
 * tn_op_host), so it is compiled against this header alone and linked with nothing.
 *
 * Register before the models and engines that use the operator are loaded. What is registered stays
 * for the life of the process. An engine keeps attributes, not code: the operator must be
 * registered where the engine is loaded too.
 *
 * Threads: the functions of an operator may be called from several threads at the same time, each
 * with a call of its own. They must not keep anything of a call, and what `data` points to is
 * theirs to protect. tn_op_register and tn_op_library_load may be called from any thread.
 */
#ifndef TENON_OP_H
#define TENON_OP_H

#include <tenon/tenon.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of this header. It rises when a library compiled against an older one could no longer work;
 * structs grow at their ends without that, which their `size` tells. */
#define TN_OP_VERSION 1

/* ---- What an operator is ---------------------------------------------------------------------*/

typedef struct tn_op_call tn_op_call;
typedef struct tn_op_host tn_op_host;

enum {
    TN_OP_OPTIONAL = 1, /* may be absent */
    TN_OP_VARIADIC = 2, /* the last one only: any number of it, at least one unless optional */
};
#define TN_OP_DTYPE(name) (UINT64_C(1) << TN_DTYPE_##name)
#define TN_OP_FLOATS (TN_OP_DTYPE(F32) | TN_OP_DTYPE(F64) | TN_OP_DTYPE(F16) | TN_OP_DTYPE(BF16))

/* An input or output. */
typedef struct tn_op_port {
    const char *name; /* for messages; NULL: "input 0" */
    uint64_t dtypes;  /* TN_OP_DTYPE(F32) | TN_OP_DTYPE(F16); 0: every type */
    uint32_t flags;   /* TN_OP_OPTIONAL, TN_OP_VARIADIC */
    uint32_t group;   /* inputs of one group (1 to 26) must have one dtype; 0: none */
} tn_op_port;

typedef struct tn_op_spec {
    size_t size;        /* sizeof(tn_op_spec) */
    uint32_t version;   /* TN_OP_VERSION */
    uint32_t revision;  /* raise it when results change: engines choose anew */
    const char *domain; /* as in the model file; NULL or "": that of ONNX itself */
    const char *name;   /* the node's op_type: letters, digits and _ */
    int32_t opset;      /* of the domain, written to model files; 0: 1 */
    bool impure;        /* the same inputs may give other outputs: nodes are not computed ahead or
                           merged (random numbers, counters) */
    const tn_op_port *input, *output;
    int32_t input_count, output_count;
    void *data; /* given to every call; must stay valid */
    /* Tells the dtypes and shapes of all outputs with host->set_output. Asked when a model is
     * loaded, when dims are -1 in call->input where they are not known and data is there for
     * constants only; and again in a run for outputs whose shapes it left unknown, with all dims
     * and data. It must also refuse attributes and shapes that compute cannot take. */
    tn_code (*shape)(const tn_op_call *call);
    /* Bytes of scratch memory that compute wants for these shapes; NULL: none. */
    size_t (*scratch_bytes)(const tn_op_call *call);
    /* Writes every element of every output. */
    tn_code (*compute)(const tn_op_call *call);
} tn_op_spec;

/* ---- What its functions are given ------------------------------------------------------------*/

/* The same for all three functions; tables and pointers live for the call. */
struct tn_op_call {
    size_t size;
    const tn_op_host *host;
    void *data;       /* of the spec */
    const char *name; /* "my.ops.Scale" */
    int32_t input_count, output_count;
    /* Dense, row-major, read-only. dtype NONE: absent. In `shape`: rank -1 and dims of -1 are not
     * known, data is NULL unless it is known. */
    const tn_tensor *input;
    /* Where to write, dense; dtype NONE: nobody reads this output. NULL in `shape`. */
    const tn_tensor *output;
    void *scratch; /* in compute: scratch_bytes, aligned to 64; contents undefined */
    void *inside;  /* Tenon's */
};

/* A size in a shape: a number, a dim of an input, or what is computed from them. 0: none. */
typedef uint32_t tn_op_dim;

typedef enum tn_op_arith {
    TN_OP_ADD,
    TN_OP_SUB,
    TN_OP_MUL,
    TN_OP_DIV,      /* rounded down */
    TN_OP_CEIL_DIV, /* rounded up */
    TN_OP_MIN,
    TN_OP_MAX,
} tn_op_arith;

/* What Tenon does for an operator. A mistake (an index out of range, an attribute of another kind
 * than asked for) is remembered and fails the call, whatever the function returns then. */
struct tn_op_host {
    size_t size;

    /* Says what is wrong and hands `code` back: return call->host->error(call, TN_INVALID, "axis is
     * %d", axis). The operator and node are named by Tenon. */
    tn_code (*error)(const tn_op_call *call, tn_code code, const char *format, ...) TN_PRINTF(3, 4);

    /* Attributes by name: false if the node has none of that name, and *out keeps what it held. An
     * attribute of another kind is a mistake. Lists live as long as the call. */
    bool (*attr_int)(const tn_op_call *call, const char *name, int64_t *out);
    bool (*attr_float)(const tn_op_call *call, const char *name, double *out);
    bool (*attr_text)(const tn_op_call *call, const char *name,
                      tn_string *out); /* zero-ended too */
    bool (*attr_tensor)(const tn_op_call *call, const char *name, tn_tensor *out);
    bool (*attr_ints)(const tn_op_call *call, const char *name, const int64_t **out,
                      int64_t *count);
    bool (*attr_floats)(const tn_op_call *call, const char *name, const float **out,
                        int64_t *count);
    /* An element of a list of texts; *count may be NULL. An index beyond the end gives false. */
    bool (*attr_text_at)(const tn_op_call *call, const char *name, int64_t index, tn_string *out,
                         int64_t *count);

    /* Elements of a tensor whose dims are known. */
    int64_t (*count)(const tn_tensor *tensor);

    /* Only in `shape`. */
    tn_op_dim (*dim_of)(const tn_op_call *call, int32_t input, int32_t axis);
    tn_op_dim (*dim_number)(const tn_op_call *call, int64_t number);
    tn_op_dim (*dim_unknown)(const tn_op_call *call); /* known once the inputs' data is */
    tn_op_dim (*dim_join)(const tn_op_call *call, tn_op_arith arith, tn_op_dim a, tn_op_dim b);
    bool (*dim_value)(const tn_op_call *call, tn_op_dim dim, int64_t *out); /* is it a number? */
    /* The elements of an integer input of rank 0 or 1, as dims, where they can be told before a run
     * (a shape that the graph computes): how many, at most `max`; -1: not known. */
    int64_t (*values)(const tn_op_call *call, int32_t input, tn_op_dim *out, int64_t max);
    /* rank -1: not known before a run. */
    void (*set_output)(const tn_op_call *call, int32_t output, tn_dtype dtype, int32_t rank,
                       const tn_op_dim *dim);
    void (*set_output_like)(const tn_op_call *call, int32_t output, int32_t input);

    /* Only in compute. Memory for the characters of an output of strings; NULL if there is none. */
    char *(*text)(const tn_op_call *call, size_t bytes);
    /* Calls work(arg, begin, end) for shares that cover [0, count) once, on as many threads as the
     * engine has; returns when all are done. `grain` is the smallest share worth a thread. `work`
     * may use nothing of the call but `error`. */
    void (*parallel)(const tn_op_call *call, int64_t count, int64_t grain,
                     void (*work)(void *arg, int64_t begin, int64_t end), void *arg);
};

/* ---- Registering -----------------------------------------------------------------------------*/

/* Adds an operator; the spec, its ports and its texts are copied. A name that exists already, be it
 * of Tenon's own, is INVALID. */
TN_API TN_MUST_USE tn_status tn_op_register(const tn_op_spec *spec);

/* Opens a shared library and adds all its operators, or none of them where that fails: the file is
 * missing (NOT_FOUND), no library, has no tn_op_library_register, was compiled against another
 * version of this header, brings a name that exists. The same file again does nothing. */
TN_API TN_MUST_USE tn_status tn_op_library_load(const char *path);

/* What the function of a library is given. */
typedef struct tn_op_registry {
    size_t size;
    uint32_t version;  /* TN_OP_VERSION of the Tenon that loads the library */
    const char *tenon; /* its version, "0.1.0" */
    /* Adds an operator, as tn_op_register does; on failure return the code. */
    tn_code (*add)(const struct tn_op_registry *registry, const tn_op_spec *spec);
    void *inside;
} tn_op_registry;

/* The function that a library of operators exports, defined as
 *
 *     TN_API tn_code tn_op_library_register(const tn_op_registry *registry)
 *     {
 *         return registry->add(registry, &scale);
 *     }
 */
#define TN_OP_LIBRARY_ENTRY "tn_op_library_register"
typedef tn_code (*tn_op_library_entry)(const tn_op_registry *registry);

#ifdef __cplusplus
}
#endif

#endif
