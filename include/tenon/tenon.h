/* Tenon: take a trained network, build a checked and tuned engine, run it anywhere.
 *
 * This header and those it includes are the public C API and its manual: network.h (define a
 * network layer by layer), train.h (train one), image.h (pictures and plots), engine.h (timing
 * caches, other weights, what is inside an engine). op.h is for operators of your own. The journey:
 *
 *     tn_model_load   an ONNX file            -> tn_model     (graph, weights)
 *     tn_model_from_checkpoint, tn_model_from_network -> the same from a .pth, or from the program
 *     tn_build        a model + a config      -> tn_engine    (checked against the model, tuned)
 *     tn_engine_save / tn_engine_load         <-> one file that needs nothing beside it
 *     tn_context_new  an engine               -> tn_context   (one stream of execution)
 *     tn_context_bind, tn_context_run, tn_context_output
 *
 * Conventions, true of every function unless its comment says otherwise:
 *   - Functions that can fail return tn_status: NULL is success (see "Status").
 *   - Pointers given to a function are borrowed for the call. Handles made by `new`, `load` or
 *     `build` belong to the caller, who frees them; freeing NULL is allowed.
 *   - Strings are UTF-8, ended by a zero byte. Sizes are in bytes where the name says _bytes,
 *     else in elements. Times carry their unit in their name.
 *   - Threads: a model and a context belong to one thread at a time; an engine is immutable and
 *     may be shared by any number of threads.
 *   - Option structs start with their own size (set `.size = sizeof(...)`); zero means default.
 */
#ifndef TENON_TENON_H
#define TENON_TENON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define TN_API
#else
#define TN_API __attribute__((visibility("default")))
#endif
#if defined(__GNUC__)
#define TN_MUST_USE __attribute__((warn_unused_result))
#define TN_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define TN_MUST_USE
#define TN_PRINTF(fmt, args)
#endif

#define TN_VERSION_MAJOR 0
#define TN_VERSION_MINOR 1
#define TN_VERSION_PATCH 0

/* The first bytes of an engine file, whose first line says what wrote it. */
#define TN_ENGINE_MAGIC "TENON engine "

/* The version of the library in use, "0.1.0". Lives for ever. */
TN_API const char *tn_version(void);

/* ---- Status --------------------------------------------------------------------------------
 *
 * A tn_status is NULL on success. On failure it points at a record of the calling thread that
 * stays valid until the next failure on the same thread; there is nothing to free.
 */
typedef const struct tn_status_record *tn_status;

#define TN_STATUS_CODES(X)                                                                         \
    X(INVALID, "the input is not valid")                                                           \
    X(UNSUPPORTED, "valid, but not supported by this version")                                     \
    X(NOT_FOUND, "a file, name or device does not exist")                                          \
    X(CORRUPT, "a file is damaged or not of its kind")                                             \
    X(OUT_OF_MEMORY, "the allocator returned NULL")                                                \
    X(UNAVAILABLE, "a device, driver or library is missing")                                       \
    X(MISMATCH, "results differ from the reference by more than the tolerance")                    \
    X(DEVICE, "a device reported an error")                                                        \
    X(INTERNAL, "a defect of Tenon")                                                               \
    X(CANCELLED, "the caller asked to stop")

typedef enum tn_code {
    TN_OK = 0,
#define TN_CODE_ENUM(name, about) TN_##name,
    TN_STATUS_CODES(TN_CODE_ENUM)
#undef TN_CODE_ENUM
} tn_code;

/* The code of a status; TN_OK for NULL. */
TN_API tn_code tn_status_code(tn_status status);
/* The sentence: what, where, why, what to do. "" for NULL. Lives as long as the status. */
TN_API const char *tn_status_message(tn_status status);
/* The message, the notes ("while importing node 57 of 412") and, with `trail`, the file:line
 * trail, one line each, into `dst` (always ended by a zero). Returns the length it would need. */
TN_API size_t tn_status_text(tn_status status, bool trail, char *dst, size_t dst_bytes);
/* "INVALID" and so on; "OK" for TN_OK. */
TN_API const char *tn_code_name(tn_code code);

/* ---- Memory and log: optional, set once before anything else is called ----------------------*/

/* One function does it all: resize(self, NULL, 0, n) allocates, resize(self, p, n, 0) frees and
 * returns NULL, else p is moved or grown. Returned memory is aligned to 64 bytes. */
typedef struct tn_allocator {
    void *(*resize)(void *self, void *p, size_t old_bytes, size_t new_bytes);
    void *self;
} tn_allocator;
/* Every allocation of the library goes through this. NULL restores the default. */
TN_API void tn_set_allocator(const tn_allocator *allocator);

typedef enum tn_log_level {
    TN_LOG_ERROR,
    TN_LOG_WARNING,
    TN_LOG_INFO,
    TN_LOG_VERBOSE
} tn_log_level;
typedef void (*tn_log_sink)(void *self, tn_log_level level, const char *line);
/* Lines up to `level` go to `sink` (NULL: stderr). Default: warnings to stderr. */
TN_API void tn_set_log(tn_log_sink sink, void *self, tn_log_level level);

/* ---- Data types and tensors -----------------------------------------------------------------
 *
 * Values equal ONNX's TensorProto.DataType. Columns: name, number, bits an element, kind, text.
 * Kinds: F float, I signed, U unsigned, B bool, C complex, S string.
 */
#define TN_DTYPES(X)                                                                               \
    X(F32, 1, 32, F, "f32")                                                                        \
    X(U8, 2, 8, U, "u8")                                                                           \
    X(I8, 3, 8, I, "i8")                                                                           \
    X(U16, 4, 16, U, "u16")                                                                        \
    X(I16, 5, 16, I, "i16")                                                                        \
    X(I32, 6, 32, I, "i32")                                                                        \
    X(I64, 7, 64, I, "i64")                                                                        \
    X(STRING, 8, 128, S, "string")                                                                 \
    X(BOOL, 9, 8, B, "bool")                                                                       \
    X(F16, 10, 16, F, "f16")                                                                       \
    X(F64, 11, 64, F, "f64")                                                                       \
    X(U32, 12, 32, U, "u32")                                                                       \
    X(U64, 13, 64, U, "u64")                                                                       \
    X(C64, 14, 64, C, "c64")                                                                       \
    X(C128, 15, 128, C, "c128")                                                                    \
    X(BF16, 16, 16, F, "bf16")                                                                     \
    X(F8E4M3FN, 17, 8, F, "f8e4m3fn")                                                              \
    X(F8E4M3FNUZ, 18, 8, F, "f8e4m3fnuz")                                                          \
    X(F8E5M2, 19, 8, F, "f8e5m2")                                                                  \
    X(F8E5M2FNUZ, 20, 8, F, "f8e5m2fnuz")                                                          \
    X(U4, 21, 4, U, "u4")                                                                          \
    X(I4, 22, 4, I, "i4")                                                                          \
    X(F4E2M1, 23, 4, F, "f4e2m1")                                                                  \
    X(F8E8M0, 24, 8, F, "f8e8m0")                                                                  \
    X(U2, 25, 2, U, "u2")                                                                          \
    X(I2, 26, 2, I, "i2")

typedef enum tn_dtype {
    TN_DTYPE_NONE = 0, /* an absent tensor */
#define TN_DTYPE_ENUM(name, number, bits, kind, text) TN_DTYPE_##name = number,
    TN_DTYPES(TN_DTYPE_ENUM)
#undef TN_DTYPE_ENUM
        TN_DTYPE_END = 27
} tn_dtype;

/* "f32", "i64", ...; "none" for TN_DTYPE_NONE. */
TN_API const char *tn_dtype_name(tn_dtype dtype);
/* Bits an element takes in memory; types below 8 bits are packed, low bits first. */
TN_API int tn_dtype_bits(tn_dtype dtype);

/* One element of a string tensor: `bytes` bytes at `text`, no zero at the end. */
typedef struct tn_string {
    const char *text;
    size_t bytes;
} tn_string;

#define TN_RANK_MAX 8

/* A view of memory that somebody else owns. Strides are in elements; types below 8 bits must be
 * dense. In calls that take a tensor, all strides zero means dense row-major. */
typedef struct tn_tensor {
    void *data;
    tn_dtype dtype;
    int32_t rank;
    int64_t dim[TN_RANK_MAX];
    int64_t stride[TN_RANK_MAX];
} tn_tensor;

/* A dense row-major view; a call cannot fail, bad ranks give rank 0 and dtype NONE. */
TN_API tn_tensor tn_tensor_of(tn_dtype dtype, const int64_t *dim, int rank, void *data);
/* Elements, and the bytes they take when dense; -1 where the product of the dims other than 0
 * overflows (as in NumPy, an empty tensor may not have dims of any size). */
TN_API int64_t tn_tensor_count(const tn_tensor *tensor);
TN_API int64_t tn_tensor_bytes(const tn_tensor *tensor);

/* Read a tensor file: .npy (NumPy) or .pb (a bare ONNX TensorProto), by its contents. The tensor
 * and its memory are the caller's: free them with tn_tensor_free. */
TN_API TN_MUST_USE tn_status tn_tensor_load(const char *path, tn_tensor *out);
/* Write .npy or .pb, by the ending of `path`; an existing file is replaced only once the new one is
 * complete. */
TN_API TN_MUST_USE tn_status tn_tensor_save(const tn_tensor *tensor, const char *path);
/* A dense tensor of zeros. */
TN_API TN_MUST_USE tn_status tn_tensor_new(tn_dtype dtype, const int64_t *dim, int rank,
                                           tn_tensor *out);
/* Frees what tn_tensor_load or tn_tensor_new made and clears the view. */
TN_API void tn_tensor_free(tn_tensor *tensor);
/* Fill with reproducible random values: floats uniform in [lo, hi), integers in [lo, hi). */
TN_API TN_MUST_USE tn_status tn_tensor_fill_random(tn_tensor *tensor, uint64_t seed, double lo,
                                                   double hi);

/* How far `got` is from `want` (shapes and types must be equal). NaN matches NaN. */
typedef struct tn_difference {
    double abs_max;       /* largest |got - want| */
    double rel_l2;        /* ||got - want|| / ||want||, 0 where both are 0 */
    int64_t beyond_count; /* elements where |got - want| > atol + rtol * |want| */
    int64_t worst_index;  /* row-major position of the worst element by that measure */
} tn_difference;
TN_API TN_MUST_USE tn_status tn_tensor_compare(const tn_tensor *got, const tn_tensor *want,
                                               double rtol, double atol, tn_difference *out);

/* ---- Checkpoints -----------------------------------------------------------------------------
 *
 * Files of named tensors: what torch.save writes (.pth, .pt: the zip form, the legacy form, state
 * dicts, nested dicts and modules saved whole) and safetensors. Nothing in such a file is ever run.
 */
typedef struct tn_checkpoint tn_checkpoint;

/* Does the file begin as a checkpoint does? False also where it cannot be read. */
TN_API bool tn_is_checkpoint(const char *path);
/* Read a checkpoint, told by its contents. Dicts inside dicts and modules inside modules give names
 * with dots; an optimizer's state is left out. A damaged file is CORRUPT, one that asks for
 * functions of the system UNSUPPORTED. The file is mapped and must not change while the checkpoint
 * lives, which threads may share. */
TN_API TN_MUST_USE tn_status tn_checkpoint_load(const char *path, tn_checkpoint **out);
TN_API void tn_checkpoint_free(tn_checkpoint *checkpoint);
TN_API int64_t tn_checkpoint_count(const tn_checkpoint *checkpoint);
/* A tensor in the file's order, from 0, or by name (NOT_FOUND if there is none). Views with
 * strides, which may overlap; read-only. They and *name live as long as the checkpoint. */
TN_API TN_MUST_USE tn_status tn_checkpoint_tensor_at(const tn_checkpoint *checkpoint, int64_t index,
                                                     const char **name, tn_tensor *out);
TN_API TN_MUST_USE tn_status tn_checkpoint_find(const tn_checkpoint *checkpoint, const char *name,
                                                tn_tensor *out);
/* Lines about the file: its form, the class of a module that was saved whole, what was left out. */
TN_API const char *tn_checkpoint_note(const tn_checkpoint *checkpoint);
/* Write tensors under names: a state dict that torch.load(weights_only=True) reads where `path`
 * ends in .pth or .pt, else safetensors (.safetensors). Any strides; names must be distinct. Types
 * that the form does not have are UNSUPPORTED. An existing file is replaced only once the new one
 * is complete. */
TN_API TN_MUST_USE tn_status tn_checkpoint_save(const char *path, const char *const *names,
                                                const tn_tensor *tensors, int64_t count);

/* ---- Models ---------------------------------------------------------------------------------*/

typedef struct tn_model tn_model;
typedef struct tn_engine tn_engine;
typedef struct tn_context tn_context;

typedef struct tn_load_options {
    size_t size;
    bool random_weights; /* generate weights that are absent (external data without its file) */
    const char *const *baked;       /* names of inputs to turn into constants ... */
    const tn_tensor *baked_tensors; /* ... with these values (copied) */
    int baked_count;
} tn_load_options;

/* Read an ONNX model. External data is mapped from the model's own folder. Errors name the node,
 * its operator and shapes; all unsupported operators are listed at once. options may be NULL. */
TN_API TN_MUST_USE tn_status tn_model_load(const char *path, const tn_load_options *options,
                                           tn_model **out);
/* The same from memory (copied); `folder` is where external data may lie, NULL: none allowed. */
TN_API TN_MUST_USE tn_status tn_model_load_bytes(const void *bytes, size_t byte_count,
                                                 const char *folder, const tn_load_options *options,
                                                 tn_model **out);
TN_API void tn_model_free(tn_model *model);
/* A model of one operator, to time it alone: the text of a problem as build reports show it,
 * "Conv{pads=[1,1,1,1]} f32[1,64,56,56] f32[64,64,3,3]!". Operands with "!" become constants of
 * random values (floats from -1 to 1, integers 0 and 1), those with "={...}" of these values,
 * "none" is absent, the others are the inputs x0, x1, ...; outputs are y0, ... "-> 3" at the end
 * says how many, where the operator lets one choose. */
TN_API TN_MUST_USE tn_status tn_model_from_problem(const char *problem, tn_model **out);

/* ---- Networks by name -------------------------------------------------------------------------
 *
 * Graphs that Tenon writes down itself for the tensors of a checkpoint: lstm, lenet, alexnet,
 * resnet50, swin, bert. Names of parameters may be those of torchvision, timm, Microsoft's Swin,
 * bert4torch or Hugging Face, also behind prefixes ("module."). Sizes come from the tensors'
 * shapes; what these do not tell has defaults and can be set.
 */

/* The networks, their settings and defaults, a paragraph each; free with tn_text_free. */
TN_API TN_MUST_USE tn_status tn_archs_text(char **out);
/* The name of the network whose tensors these are; NULL: of none that is known. Lives for ever. */
TN_API const char *tn_checkpoint_arch(const tn_checkpoint *checkpoint);
/* The model of network `arch` (NULL: the one it is recognised as) with the checkpoint's tensors.
 * settings: "key=value", such as "heads=12"; "strict=0" lets tensors be that the network has no use
 * for. Tensors that are missing, not expected or of another shape are told all at once (INVALID).
 * Inputs and outputs are f32, and i64 token ids; other floats of the checkpoint are converted to
 * f32. The model keeps the checkpoint alive, which may be freed at once. */
TN_API TN_MUST_USE tn_status tn_model_from_checkpoint(tn_checkpoint *checkpoint, const char *arch,
                                                      const char *const *settings,
                                                      int setting_count, tn_model **out);

/* What an input or output is. All but tensors are lists of tensors (tn_context_bind_sequence). */
typedef enum tn_io_kind {
    TN_IO_TENSOR,
    TN_IO_SEQUENCE,
    TN_IO_OPTIONAL,          /* a tensor or nothing */
    TN_IO_OPTIONAL_SEQUENCE, /* a sequence or nothing */
} tn_io_kind;

/* An input or output of a model or engine. Strings live as long as the object asked. */
typedef struct tn_io {
    const char *name;
    tn_dtype dtype;
    int32_t rank;                      /* -1: not known before a run */
    int64_t dim[TN_RANK_MAX];          /* -1: dynamic */
    const char *dim_name[TN_RANK_MAX]; /* "batch", "2*N+1"; NULL where the dim is a number */
    bool is_output;
    tn_io_kind kind; /* no tensor: dtype is that of the tensors in it, rank is -1 */
} tn_io;

TN_API int tn_model_input_count(const tn_model *model);
TN_API int tn_model_output_count(const tn_model *model);
/* Index from 0; an index out of range gives INVALID. */
TN_API TN_MUST_USE tn_status tn_model_input(const tn_model *model, int index, tn_io *out);
TN_API TN_MUST_USE tn_status tn_model_output(const tn_model *model, int index, tn_io *out);

/* A node of the graph as it is after import. Strings live as long as the model, the arrays for the
 * call. */
typedef struct tn_node_about {
    const char *op;             /* "Softmax" */
    const char *name;           /* its own, or that of its first output */
    const char *const *inputs;  /* names of tensors; "" is an absent one */
    const char *const *outputs; /* the same; "" is one that nobody asked for */
    int input_count, output_count;
} tn_node_about;
typedef bool (*tn_node_visitor)(void *self, const tn_node_about *node);
/* Every node, in an order in which each comes after those that it reads, until `visit` says false.
 */
TN_API TN_MUST_USE tn_status tn_model_visit(const tn_model *model, tn_node_visitor visit,
                                            void *self);
/* A constant by its name: a view, read-only, that lives as long as the model; NOT_FOUND. */
TN_API TN_MUST_USE tn_status tn_model_constant(const tn_model *model, const char *name,
                                               tn_tensor *out);
/* Random values that make sense, into inputs[index]: floats in [-1, 1), token ids inside of their
 * table, lengths inside of their sequence, 0 and 1 for masks. `inputs` has a dense tensor for each
 * input of the model; of the others only the shapes are looked at. The same seed gives the same
 * values. */
TN_API TN_MUST_USE tn_status tn_model_fill_input(const tn_model *model, const tn_tensor *inputs,
                                                 int index, uint64_t seed);

/* Text about a model: a summary a person reads, the graph in .tn form, the inputs in protobuf text
 * format as ONNX tools print graph.input, and others. Operations and memory are estimates, with 1
 * for each dynamic dim. After tn_model_simplify they are about the simplified graph. */
typedef enum tn_model_text_kind {
    TN_TEXT_SUMMARY,
    TN_TEXT_GRAPH,
    TN_TEXT_ONNX_INPUTS,
    TN_TEXT_JSON, /* the summary for programs: names, types, operators, flops, bytes */
    TN_TEXT_SVG   /* a drawing of the graph */
} tn_model_text_kind;
/* *out is the caller's: free with tn_text_free. */
TN_API TN_MUST_USE tn_status tn_model_text(const tn_model *model, tn_model_text_kind kind,
                                           char **out);
TN_API void tn_text_free(char *text);

typedef struct tn_save_options {
    size_t size;
    int opset; /* of ai.onnx, 11 to 27. 0: that of the model, but at least 17, and as much later
                  as one of its operators asks for */
    bool external_data; /* put weights of 1024 bytes and more into a file beside the model, called
                           as the model with ".data" behind; done unasked above 2 GB */
} tn_save_options;

/* Write a model as ONNX: the graph as it is after import (one meaning for each operator, constants
 * as initializers, names kept) or after tn_model_simplify. What the opset spells otherwise is
 * spelled so; what it cannot say is UNSUPPORTED and names the node and the opset it needs. Weights
 * are streamed from where they lie. An existing file is replaced only once the new one is complete.
 * The model is only read: threads may share it. options may be NULL. */
TN_API TN_MUST_USE tn_status tn_model_save(const tn_model *model, const char *path,
                                           const tn_save_options *options);

/* Sizes to tune and check at, for one input. A hint, never a limit. */
typedef struct tn_profile {
    const char *input;
    int32_t rank;
    int64_t min[TN_RANK_MAX], opt[TN_RANK_MAX], max[TN_RANK_MAX];
} tn_profile;

/* Fixed sizes for the dims of an input; -1 leaves a dim as it is. */
typedef struct tn_input_shape {
    const char *input;
    int32_t rank;
    int64_t dim[TN_RANK_MAX];
} tn_input_shape;

typedef struct tn_simplify_options {
    size_t size;
    int opset; /* that the result is to be written at; 0: as tn_save_options says */
    const tn_input_shape *shapes; /* dims to fix */
    int shape_count;
    const char *const *keep; /* names of nodes or values that must be there afterwards */
    int keep_count;
    const tn_profile *profiles; /* shapes to compare at */
    int profile_count;
    bool no_check;    /* do not compare */
    double tolerance; /* of the comparison, relative L2; 0: default for the precision */
    int threads;      /* 0: all cores */
} tn_simplify_options;

/* Make the model smaller: constants are folded, dead and repeated nodes go, arithmetic on shapes
 * becomes what it computes, and parts become operators where ONNX has one at the opset. Then the
 * result is run beside the model as it was, on random inputs at a few shapes; MISMATCH names the
 * first tensor that differs, and the model stays as it was (as on every failure). One thread at a
 * time. options may be NULL. *report, where report is not NULL, is text about what was done, freed
 * with tn_text_free. */
TN_API TN_MUST_USE tn_status tn_model_simplify(tn_model *model, const tn_simplify_options *options,
                                               char **report);

/* ---- Building --------------------------------------------------------------------------------*/

/* How exactly a graph of float32 must be computed; relative L2 error to float64 that the gate
 * allows. Sums, statistics of normalisations and softmax are float32 in all of them. Layers that
 * would break the tolerance are held back at float32, and the report says which. */
typedef enum tn_precision {
    TN_PRECISION_F32,  /* 1e-5: exact float32 */
    TN_PRECISION_TF32, /* 1e-3: factors of products may lose bits */
    TN_PRECISION_F16,  /* 5e-3: float16 values on a card; on the CPU what TF32 allows */
    TN_PRECISION_BF16, /* 2e-2: the same with bfloat16 */
} tn_precision;

/* Told how far a build is: `done` of `total` of a stage, "passes", "kernels" or "check" (total 0:
 * not known). A stage may come again, where layers have to be held back. False ends the build,
 * which is CANCELLED then. Called by the thread that builds. */
typedef bool (*tn_progress)(void *self, const char *stage, int64_t done, int64_t total);
typedef struct tn_timing_cache tn_timing_cache; /* engine.h */

typedef struct tn_build_config {
    size_t size;
    const char *device;         /* "cpu" (default), "cuda", "cuda:1"; NULL: $TENON_DEVICE, if set */
    int threads;                /* CPU threads, 0: all cores */
    const tn_profile *profiles; /* inputs without one: opt is 1 for each dynamic dim */
    int profile_count;
    bool no_check;    /* skip the comparison with the unoptimised graph (recorded) */
    bool no_optimize; /* run no passes and reference kernels only */
    double budget_ms; /* time for measuring tactics; 0: default (2000), < 0: estimate only */
    double tolerance; /* of the gate, relative L2; 0: default for the precision */
    const char *timings_path;      /* read and updated when not NULL */
    const char *dump_folder;       /* write the graph after every pass here when not NULL */
    tn_precision precision;        /* what is allowed at most; TF32 is, wherever F16 or BF16 are */
    tn_timing_cache *timing_cache; /* read and added to when not NULL */
    tn_progress progress;          /* may be NULL */
    void *progress_self;
    bool refit;         /* weights can be replaced later (tn_engine_refit) */
    bool strip_weights; /* the engine has none until then; implies refit */
    /* Results of the model to compute in float32 whatever the precision allows, by their names or
     * those of the nodes that give them; what was fused with such a node is held back with it. */
    const char *const *hold;
    int hold_count;
    /* To look into an engine: tensors between its steps are outputs too, behind the model's, each
     * by the name it has in the model. What was fused away is not there. tn_engine_tune with it
     * keeps the kernels that an engine has; with no_optimize too, it gives the graph that the
     * engine carries by reference kernels, which is the model's where it was built for a refit. */
    bool expose;
} tn_build_config;

/* Optimise, choose tactics by measuring, check, and make an engine ready to run. MISMATCH names the
 * first tensor that differs. config may be NULL. */
TN_API TN_MUST_USE tn_status tn_build(const tn_model *model, const tn_build_config *config,
                                      tn_engine **out);

/* ---- Engines ---------------------------------------------------------------------------------*/

/* Write the engine file: the new file replaces an old one only once it is complete. The same model,
 * config and timings give the same bytes. */
TN_API TN_MUST_USE tn_status tn_engine_save(const tn_engine *engine, const char *path);
/* Map an engine file. device: as in tn_build_config; NULL: what it was built for (or
 * $TENON_DEVICE), or the CPU where that cannot be had. An engine that was not tuned for the device
 * is built anew from the graph it carries, by estimates. threads: 0 for all cores. A damaged file
 * gives CORRUPT, here or, where a weight is damaged, from the first run that reads it; a device
 * that is asked for and missing, UNAVAILABLE. */
TN_API TN_MUST_USE tn_status tn_engine_load(const char *path, const char *device, int threads,
                                            tn_engine **out);
/* Build anew from the graph that an engine carries, measured and checked on a device:
 * config->device, or the engine's own where that is NULL. Shapes and precision are those that the
 * engine was built with, where config gives none (TN_PRECISION_F32 is none). config may be NULL. */
TN_API TN_MUST_USE tn_status tn_engine_tune(const tn_engine *engine, const tn_build_config *config,
                                            tn_engine **out);
/* Contexts keep their engine alive: an engine may be freed before its contexts. */
TN_API void tn_engine_free(tn_engine *engine);

TN_API int tn_engine_input_count(const tn_engine *engine);
TN_API int tn_engine_output_count(const tn_engine *engine);
TN_API TN_MUST_USE tn_status tn_engine_input(const tn_engine *engine, int index, tn_io *out);
TN_API TN_MUST_USE tn_status tn_engine_output(const tn_engine *engine, int index, tn_io *out);

typedef enum tn_engine_text_kind {
    TN_TEXT_PLAN,   /* inputs, outputs, steps with their tactics, memory */
    TN_TEXT_REPORT, /* the build report: every choice, timing and refusal, the gate's figures */
} tn_engine_text_kind;
TN_API TN_MUST_USE tn_status tn_engine_text(const tn_engine *engine, tn_engine_text_kind kind,
                                            char **out);

/* ---- Contexts --------------------------------------------------------------------------------*/

TN_API TN_MUST_USE tn_status tn_context_new(const tn_engine *engine, tn_context **out);
TN_API void tn_context_free(tn_context *context);

/* Bind memory to an input (read during run) or an output (written during run). The tensor's shape
 * sets the input's shape; the memory must stay valid until it is bound anew or the context is
 * freed. Integer inputs may be given as i32 or i64 whichever the model declares. An output that is
 * not bound is written to memory of the context. The characters of an output of strings belong to
 * the context, bound or not, and are gone with its next run. Errors name the tensor, what was given
 * and what is allowed. */
TN_API TN_MUST_USE tn_status tn_context_bind(tn_context *context, const char *name,
                                             const tn_tensor *tensor);
/* Say an input's shape without binding memory yet, to ask output shapes and memory in advance. */
TN_API TN_MUST_USE tn_status tn_context_set_shape(tn_context *context, const char *name,
                                                  const int64_t *dim, int rank);
/* Bind an input that is a sequence or an optional: `count` tensors, which are copied. An optional
 * tensor is one tensor; count -1 is an absent optional. */
TN_API TN_MUST_USE tn_status tn_context_bind_sequence(tn_context *context, const char *name,
                                                      const tn_tensor *items, int64_t count);
/* Run with the bound inputs; returns when the outputs are written. Allocates nothing if these
 * shapes were seen before. */
TN_API TN_MUST_USE tn_status tn_context_run(tn_context *context);
/* Begin a run, and come back before a card has done its part of it: the work goes to `stream`, a
 * CUstream or cudaStream_t of the engine's card (NULL: one of the context's own), in order with
 * what else is put there. Inputs in the host's memory are read by the time that this returns; what
 * lies on the card (tn_context_bind_device) is read and written in the order of the stream, and
 * such runs may be begun one after the other without waiting. On the CPU, the run is done on
 * return. The stream must live until the context has waited, or runs elsewhere. */
TN_API TN_MUST_USE tn_status tn_context_enqueue(tn_context *context, void *stream);
/* Until all that was begun is done and outputs in the host's memory are written. */
TN_API TN_MUST_USE tn_status tn_context_wait(tn_context *context);
/* Numbers below 1.2e-38 (denormals) are zeros in a run on the CPU, because they are slow and mean
 * nothing to networks; `on` keeps them in the runs that follow. */
TN_API TN_MUST_USE tn_status tn_context_keep_denormals(tn_context *context, bool on);
/* The output after a run: shape and data. Valid until the next run or bind of this context. Before
 * a run, but with all input shapes set: the shape, with data NULL, and dims of -1 where the shape
 * depends on data. */
TN_API TN_MUST_USE tn_status tn_context_output(tn_context *context, const char *name,
                                               tn_tensor *out);
/* The same for an output that is a sequence or an optional, after a run: how many tensors it has,
 * -1 for an absent optional; and one of them. */
TN_API TN_MUST_USE tn_status tn_context_sequence_count(tn_context *context, const char *name,
                                                       int64_t *out);
TN_API TN_MUST_USE tn_status tn_context_sequence_item(tn_context *context, const char *name,
                                                      int64_t index, tn_tensor *out);
/* Bytes of the one block that holds intermediates at the present shapes. */
TN_API TN_MUST_USE tn_status tn_context_memory_bytes(tn_context *context, size_t *out);

/* Time spent in each step, summed over the runs since it was switched on. */
typedef struct tn_step_time {
    const char *name;   /* of the node(s) */
    const char *tactic; /* cpu.matmul.f32.tiles.avx2 */
    double total_ms;
    int64_t run_count;
} tn_step_time;
TN_API TN_MUST_USE tn_status tn_context_profile(tn_context *context, bool on);
TN_API int tn_context_step_count(const tn_context *context);
TN_API TN_MUST_USE tn_status tn_context_step_time(const tn_context *context, int index,
                                                  tn_step_time *out);

/* The time that the kernels of the last run took, in nanoseconds, from the first to the last one on
 * the device; on the CPU, that of the run. Measured in the runs after it is switched on; -1 before.
 */
TN_API TN_MUST_USE tn_status tn_context_measure(tn_context *context, bool on);
TN_API TN_MUST_USE tn_status tn_context_device_ns(const tn_context *context, double *out);

/* ---- Devices ---------------------------------------------------------------------------------*/

/* Text about what can run engines here, and in a sentence why a backend cannot. Free with
 * tn_text_free. */
TN_API TN_MUST_USE tn_status tn_devices_text(char **out);
/* The same for programs. */
typedef struct tn_device_about {
    char id[16];    /* as in tn_build_config: "cpu", "cuda:0" */
    char name[128]; /* "NVIDIA H100 80GB HBM3 (sm_90)" */
    uint64_t memory_bytes;
    int32_t units;      /* cores, or multiprocessors */
    int32_t capability; /* of a card, 90 for sm_90; 0 for the CPU */
} tn_device_about;
/* The CPU is device 0, cards follow. NOT_FOUND past the last of them. */
TN_API TN_MUST_USE tn_status tn_device_at(int index, tn_device_about *out);
/* "cpu", or the name of the card an engine runs on. Valid as long as the engine. */
TN_API const char *tn_engine_device(const tn_engine *engine);
/* Memory of the device that an engine runs on: on the CPU, plain memory. Freed with tn_device_free,
 * before the engine. Copies go from and to such memory or the host's, and are done on return. */
TN_API TN_MUST_USE tn_status tn_device_alloc(const tn_engine *engine, size_t bytes, void **out);
TN_API void tn_device_free(const tn_engine *engine, void *at);
TN_API TN_MUST_USE tn_status tn_device_copy(const tn_engine *engine, void *to, const void *from,
                                            size_t bytes);
/* Like tn_context_bind, with data in memory of the engine's device (of tn_device_alloc, or a
 * pointer of another CUDA library to the same card), dense and of the declared type: nothing is
 * copied. */
TN_API TN_MUST_USE tn_status tn_context_bind_device(tn_context *context, const char *name,
                                                    const tn_tensor *tensor);

/* ---- Tokenizers --------------------------------------------------------------------------------
 *
 * Text to token ids for BERT models (WordPiece). A tokenizer is immutable and may be shared by any
 * number of threads.
 */
typedef struct tn_tokenizer tn_tokenizer;

/* Hugging Face's BertTokenizerFast, or bert4torch, which takes a text whole that is a token itself
 * and drops characters that Unicode has not assigned. On ordinary text both give the same ids. */
typedef enum tn_tokenizer_mode {
    TN_TOKENIZER_HUGGING_FACE,
    TN_TOKENIZER_BERT4TORCH
} tn_tokenizer_mode;

typedef struct tn_tokenizer_options {
    size_t size;
    tn_tokenizer_mode mode;
    bool keep_case;       /* for cased models; default: lower-case */
    int accents;          /* 1: strip, -1: keep, 0: strip when lower-casing */
    bool join_ideographs; /* default: each Chinese character is a word */
    /* Texts found as they stand and taken as one token, beside [UNK], [SEP], [PAD], [CLS] and
     * [MASK]; each must be a token. */
    const char *const *never_split;
    int never_split_count;
} tn_tokenizer_options;

/* Read a vocab.txt (a token a line) or, where the name ends in .json, a Hugging Face
 * tokenizer.json, which has the options for case, accents and ideographs in it; its truncation and
 * padding are not used. Errors name the file, and the line of a vocab.txt. options may be NULL. */
TN_API TN_MUST_USE tn_status tn_tokenizer_load(const char *path,
                                               const tn_tokenizer_options *options,
                                               tn_tokenizer **out);
TN_API void tn_tokenizer_free(tn_tokenizer *tokenizer);

/* One more than the greatest id. */
TN_API int64_t tn_tokenizer_count(const tn_tokenizer *tokenizer);
/* The text of a token, "##ing"; NULL if there is none with this id. Lives as long as the tokenizer.
 */
TN_API const char *tn_tokenizer_token(const tn_tokenizer *tokenizer, int64_t id);
/* The id of a token, -1 if there is none. */
TN_API int64_t tn_tokenizer_find(const tn_tokenizer *tokenizer, const char *token);

/* The ids of [CLS] text [SEP], or of [CLS] text [SEP] pair [SEP] where pair is not NULL; at most
 * max_length of them (0: no limit): the end of the text is cut off, of a pair that of the longer.
 * segment_ids (may be NULL) are 0, and 1 from the pair on. Up to `capacity` are written; *count is
 * how many there are, and more than the capacity is INVALID, unless it is 0: then ids may be NULL
 * and only the count is asked for. Text must be UTF-8: INVALID names the byte that is not. */
TN_API TN_MUST_USE tn_status tn_tokenizer_encode(const tn_tokenizer *tokenizer, const char *text,
                                                 const char *pair, int64_t max_length, int64_t *ids,
                                                 int64_t *segment_ids, size_t capacity,
                                                 size_t *count);

/* Many texts, as i64 tensors [count, longest]: ids padded with [PAD], segment ids with 0 and the
 * mask, 1 for tokens and 0 for padding. pairs, segment_ids and mask may be NULL. A tensor whose
 * data is NULL is made and is the caller's (tn_tensor_free); else it must be a dense i64 [count,
 * L], and rows are padded to L, which must hold the longest. Texts may hold zero bytes. INVALID
 * names the text. */
TN_API TN_MUST_USE tn_status tn_tokenizer_encode_batch(const tn_tokenizer *tokenizer,
                                                       const tn_string *texts,
                                                       const tn_string *pairs, int64_t count,
                                                       int64_t max_length, tn_tensor *ids,
                                                       tn_tensor *segment_ids, tn_tensor *mask);

#ifdef __cplusplus
}
#endif

#include <tenon/engine.h>
#include <tenon/image.h>
#include <tenon/network.h>

#include <tenon/train.h>

#endif
