/* What a kernel sees: problems, tactics, launches; and what a backend is.
 *
 * A problem is one instance of an operator: tensors (dense, data absent while a choice is made) and
 * a plain struct of parameters. A tactic is one way to solve it. A tactic answers four questions
 * and then runs; nothing is left to decide in `launch`, which allocates nothing.
 */
#ifndef TN_DEVICE_DEVICE_H
#define TN_DEVICE_DEVICE_H

#include "base/memory.h"
#include "base/pool.h"
#include "base/text.h"
#include "tensor/tensor.h"

/* ---- Parameters -------------------------------------------------------------------------------
 *
 * An operator's attributes become one plain struct of fixed-width fields (no pointers, no padding
 * that differs between machines), described by rows. The rows drive everything: reading attributes
 * at import, defaults, printing and parsing of problems and graphs, docs.
 */
#define TN_INTS_MAX 16
typedef struct tn_ints {
    int32_t count; /* -1: absent */
    int32_t pad;
    int64_t at[TN_INTS_MAX];
} tn_ints;

#define TN_FLOATS_MAX 8
typedef struct tn_floats {
    int32_t count; /* -1: absent */
    float at[TN_FLOATS_MAX];
    int32_t pad;
} tn_floats;

#define TN_CHARS_MAX 120
typedef struct tn_chars {
    char at[TN_CHARS_MAX]; /* zero-ended */
} tn_chars;

/* A tensor of one element, for attributes such as ConstantOfShape's value. */
typedef struct tn_scalar {
    int32_t dtype; /* 0: absent */
    int32_t pad;
    uint8_t bytes[16];
} tn_scalar;

/* Kinds, with the type of the struct member. */
typedef enum tn_field_kind {
    TN_FIELD_INT,    /* int64_t */
    TN_FIELD_FLOAT,  /* float */
    TN_FIELD_INTS,   /* tn_ints */
    TN_FIELD_FLOATS, /* tn_floats */
    TN_FIELD_ENUM,   /* int64_t: index into `choices` ("constant|reflect|edge|wrap") */
    TN_FIELD_ENUMS,  /* tn_ints of indices into `choices`: a list of strings */
    TN_FIELD_CHARS,  /* tn_chars: free text */
    TN_FIELD_SCALAR, /* tn_scalar */
    TN_FIELD_DTYPE,  /* int64_t: a tn_dtype, from an integer attribute */
} tn_field_kind;

typedef struct tn_field {
    const char *name; /* of the attribute */
    tn_field_kind kind;
    uint32_t offset;
    bool required;
    int64_t default_int; /* INT, ENUM (index), DTYPE; INTS, FLOATS, ENUMS are absent by default */
    double default_float;
    const char *choices;
} tn_field;

/* Rows for a params struct S whose member has the attribute's name. */
#define TN_INT(S, member, value)                                                                   \
    {                                                                                              \
        .name = #member, .kind = TN_FIELD_INT, .offset = offsetof(S, member),                      \
        .default_int = (value)                                                                     \
    }
#define TN_FLOAT(S, member, value)                                                                 \
    {                                                                                              \
        .name = #member, .kind = TN_FIELD_FLOAT, .offset = offsetof(S, member),                    \
        .default_float = (value)                                                                   \
    }
#define TN_INT_LIST(S, member)                                                                     \
    {                                                                                              \
        .name = #member, .kind = TN_FIELD_INTS, .offset = offsetof(S, member)                      \
    }
#define TN_FLOAT_LIST(S, member)                                                                   \
    {                                                                                              \
        .name = #member, .kind = TN_FIELD_FLOATS, .offset = offsetof(S, member)                    \
    }
#define TN_ENUM(S, member, first, words)                                                           \
    {                                                                                              \
        .name = #member, .kind = TN_FIELD_ENUM, .offset = offsetof(S, member),                     \
        .default_int = (first), .choices = (words)                                                 \
    }
#define TN_ENUM_LIST(S, member, words)                                                             \
    {                                                                                              \
        .name = #member, .kind = TN_FIELD_ENUMS, .offset = offsetof(S, member), .choices = (words) \
    }
#define TN_DTYPE_FIELD(S, member, value)                                                           \
    {                                                                                              \
        .name = #member, .kind = TN_FIELD_DTYPE, .offset = offsetof(S, member),                    \
        .default_int = (value)                                                                     \
    }
#define TN_SCALAR_FIELD(S, member)                                                                 \
    {                                                                                              \
        .name = #member, .kind = TN_FIELD_SCALAR, .offset = offsetof(S, member)                    \
    }
#define TN_CHARS_FIELD(S, member)                                                                  \
    {                                                                                              \
        .name = #member, .kind = TN_FIELD_CHARS, .offset = offsetof(S, member)                     \
    }

/* Words of `choices`: index of one, -1 if it is not among them; text of one, NULL beyond the last.
 */
int tn_choice_find(const char *choices, const char *word, size_t word_bytes);
const char *tn_choice_text(const char *choices, int64_t index, size_t *bytes);
/* Zero the struct and put the defaults in. */
void tn_params_default(const tn_field *field, int field_count, void *params, size_t params_bytes);
/* "{axis=1, mode=reflect, pads=[0,1], value=f32={1.5}, equation=\"ij\", to=f16}": only what differs
 * from the default; nothing at all if all is default. */
void tn_params_print(const tn_field *field, int field_count, const void *params, tn_text *out);
/* Parses an optional "{...}" at *text over defaults; unknown names are INVALID. */
tn_status tn_params_parse(const char **text, const tn_field *field, int field_count, void *params,
                          size_t params_bytes) TN_MUST_USE;

/* ---- Problems --------------------------------------------------------------------------------*/

typedef struct tn_problem {
    const char *op;        /* "MatMul" */
    const tn_field *field; /* may be NULL in a loaded engine */
    int32_t field_count;
    int32_t in_count, out_count;
    tn_tensor *in; /* dtype NONE: an absent optional input. Data NULL unless known */
    tn_tensor *out;
    uint64_t in_constant; /* bit i: in[i] is a weight; its data is there for pack() */
    const void *params;
    uint32_t params_bytes;
} tn_problem;

/* "Softmax{axis=1} f32[2,3] -> f32[2,3]": the string in logs, timings and bench. Weights end in
 * '!'. */
void tn_problem_print(const tn_problem *p, tn_text *out);
/* Of op, params, types and which inputs are weights; not of data. */
uint64_t tn_problem_hash(const tn_problem *p);

/* ---- Launches and tactics --------------------------------------------------------------------*/

typedef struct tn_launch {
    const tn_problem *problem; /* with data in place */
    void *scratch;             /* scratch_bytes(problem), 64-byte aligned; contents undefined */
    const void *packed;        /* what pack() wrote; NULL without pack */
    tn_pool *pool;             /* may be NULL */
    void *stream;              /* of the card; NULL on the CPU */
    tn_arena *text; /* for the characters of string outputs, which must outlive the launch as
                       long as the outputs do; NULL: no new strings can be made */
} tn_launch;

/* What pack() wrote where it only moved the elements, of four bytes, of in[1]: its matrices one
 * after the other, each in panels of `width` columns, and in a panel row after row; columns beyond
 * the last are zeros. So in[1] need not be kept beside it. */
typedef struct tn_panels {
    int64_t matrices, rows, columns, width;
    bool turned; /* in[1] has column after column */
} tn_panels;
/* Elements of in[1] and of what was packed; false where these are no sizes. */
bool tn_panels_counts(const tn_panels *panels, int64_t *elements, int64_t *packed);
void tn_panels_unpack(const tn_panels *panels, const void *packed, void *dst);

/* An answer of `accepts`: NULL is yes, else why not, in words ("K is not a multiple of 32"). */
typedef const char *tn_verdict;
#define TN_YES NULL
#define TN_NO(why) (why)

typedef struct tn_tactic {
    const char *name; /* <backend>.<op>.<dtypes>.<algorithm>[_<tile>].<variant> */
    const char *op;
    uint32_t revision;      /* raise it when results or speed change: old timings become stale */
    uint64_t needs;         /* feature bits of the device (base/cpu.h) */
    tn_precision precision; /* that must be allowed for its results on f32 tensors */
    uint32_t params_bytes;  /* of the operator's params struct; filled in reference tactics only,
                               where the reader of engine files looks it up */
    bool (*params_fit)(const void *params, uint32_t bytes); /* NULL: the size alone tells. Of
                              references whose parameters are of their own size */
    tn_verdict (*accepts)(const tn_problem *p);
    size_t (*scratch_bytes)(const tn_problem *p); /* NULL: none */
    double (*estimate_ns)(const tn_problem *p); /* NULL: no idea; used when nothing was measured */
    size_t (*packed_bytes)(
        const tn_problem *p); /* NULL or 0: no packing. From types and params only */
    tn_status (*pack)(const tn_problem *p, void *dst);   /* constant inputs have data */
    bool (*panels)(const tn_problem *p, tn_panels *out); /* NULL or false: pack writes otherwise */
    uint64_t (*unused)(const tn_problem *p); /* NULL: none. Bit i: in[i] is never read by launch (a
                                                shape operand, or a weight that is packed) */
    tn_status (*launch)(const tn_launch *l);
    /* Only for outputs whose shape hangs on data (inputs have data): fill dtype, rank, dim of
     * p->out. NULL: the tactic cannot serve such problems. `arena` is scratch that is rewound after
     * the call. */
    tn_status (*resolve)(tn_problem *p, tn_arena *arena);
    /* Only of references: are these shapes, inputs and outputs, an instance of the operator? What
     * only data could tell is passed over. Asked once for every new set of shapes, so that kernels
     * may rely on what the graph could only promise in symbols. */
    tn_status (*check)(const tn_problem *p, tn_arena *arena);
} tn_tactic;

/* ---- Backends --------------------------------------------------------------------------------*/

typedef struct tn_device_info {
    char name[128]; /* "Intel Xeon ... (2 cores)" */
    uint64_t features;
    uint64_t memory_bytes;
    int units;      /* cores, or multiprocessors */
    int capability; /* compute capability of a card: 90 for sm_90 */
} tn_device_info;

/* A device with a memory of its own, opened once per process and ordinal; it lives for ever. Its
 * kernels are put on a stream and run there in order, while the host goes on. */
typedef struct tn_card {
    const struct tn_backend *backend;
    tn_device_info info;
    int ordinal;
    _Atomic(void *) idle_stream; /* for copies beside runs: who copies takes it and puts it back */
} tn_card;

/* A launch that is to come. */
typedef struct tn_card_work {
    const tn_tactic *tactic;
    const tn_launch *launch;
    bool missing; /* out: what it needs cannot be had here */
} tn_card_work;

/* What kernels are made into, as an engine file keeps it: `name` says what from, and for what. */
typedef struct tn_card_code {
    const char *name;
    const void *bytes;
    size_t count;
} tn_card_code;
typedef struct tn_card_codes {
    tn_arena *arena;
    tn_card_code *at;
    int64_t count, capacity;
} tn_card_codes;

typedef struct tn_card_calls {
    tn_status (*open)(int ordinal, tn_card **out);
    /* Memory of the card, or of the host where the card can read and write it. */
    tn_status (*alloc)(tn_card *card, bool host, size_t bytes, void **out);
    void (*free)(tn_card *card, bool host, void *at);
    /* Streams belong to one thread at a time. */
    tn_status (*stream_new)(tn_card *card, void **stream);
    void (*stream_free)(void *stream);
    /* What follows goes to a queue of the caller's (a CUstream), until it is told otherwise; NULL:
     * to its own. Nothing is waited for. */
    void (*stream_use)(void *stream, void *queue);
    /* From and to memory of either kind, in order with the kernels of the stream. */
    tn_status (*copy)(void *stream, void *to, const void *from, size_t bytes);
    tn_status (*fill)(void *stream, void *to, uint8_t value, size_t bytes);
    tn_status (*wait)(void *stream); /* until all that was put on the stream is done */
    /* What is put on the stream between the first two calls is recorded instead, and done by each
     * replay: with the same pointers and parameters. record_end(stream, NULL) throws it away. */
    tn_status (*record_begin)(void *stream);
    tn_status (*record_end)(void *stream, void **recording);
    tn_status (*replay)(void *stream, void *recording);
    void (*record_free)(void *recording);
    /* May be NULL. Does the first of these launches, which follow one another, in one if that is
     * faster, and tells how many in *taken: 0 where each is to go by itself. hidden, bit i: what
     * launch i writes is read by the next one alone, so that nobody misses it. */
    tn_status (*together)(void *stream, const tn_launch *const *launch, int count, uint64_t hidden,
                          int *taken);
    /* Marks 0 and 1 on the stream, and the time between them, which waits for the second. */
    tn_status (*mark)(void *stream, int which);
    tn_status (*elapsed_ns)(void *stream, double *ns);
    /* Makes ready what these launches will need (kernels are compiled, by the threads of the pool);
     * nothing is launched. Their stream is not looked at, and their pointers need not be memory,
     * only aligned as they will be. What cannot be made is no failure: the launch would say why.
     * codes (may be NULL) takes the code that they need, the same for the same work. NULL: this
     * card needs nothing of the kind, and has no code. */
    tn_status (*foresee)(tn_card *card, tn_card_work *work, int64_t count, tn_pool *pool,
                         tn_card_codes *codes);
    /* "CUDA 13.0, NVRTC 13.0, cuBLASLt 130100": what times on the card may change with, beside the
     * card. NULL: nothing. */
    void (*software)(tn_card *card, tn_text *out);
    /* A named stretch of time for NVIDIA's profilers, ended by NULL; NULL: there is nobody to tell.
     */
    void (*range)(const char *name);
    /* Code from an engine file, to be used instead of making it where it fits. It is copied. */
    tn_status (*take_code)(tn_card *card, const tn_card_code *code, int64_t count);
    /* Adds to codes of this card what later cards can use in their place: for an engine file, since
     * making it takes as long as making the code. NULL: there is no such thing. */
    tn_status (*add_portable)(tn_card *card, tn_pool *pool, tn_card_codes *codes);
} tn_card_calls;

typedef struct tn_backend {
    const char *name; /* "cpu" */
    /* How many devices; 0 is not an error. *why says what is missing, in a sentence: for there to
     * be one, or for those that there are to be faster; else it is NULL. */
    tn_status (*devices)(tn_device_info *out, int max, int *count, const char **why);
    /* All tactics, best kernels first, references last; ends by NULL. The table is made on the
     * first call and lives for ever. */
    const tn_tactic *const *(*tactics)(void);
    const tn_card_calls *card; /* NULL: kernels work in the host's memory and run when called */
} tn_backend;

/* Tactics beside the tables of the backends, which are found like those in them: those of operators
 * that a program registers. An entry lives for ever; one thread adds at a time, any number may look
 * meanwhile. The name tells the backend. */
typedef struct tn_tactic_entry {
    tn_tactic tactic;
    struct tn_tactic_entry *next;
} tn_tactic_entry;
void tn_tactic_entry_add(tn_tactic_entry *entry);

/* May the tactic be used where `allowed` is the least precision? Both 16-bit kinds allow tf32, but
 * not one another. */
bool tn_tactic_is_allowed(const tn_tactic *tactic, tn_precision allowed);
/* By its name: "cpu.softmax.any.reference" is of "cpu". */
bool tn_tactic_is_of(const tn_tactic *tactic, const tn_backend *backend);
/* By name; NULL if there is none. */
const tn_tactic *tn_tactic_find(const tn_backend *backend, const char *name);

/* Tactics of `op` on a backend that this device can run, in table order; at most max. */
int tn_tactics_of(const tn_backend *backend, const char *op, uint64_t features,
                  const tn_tactic **out, int max);
/* The reference of `op`, which knows what parameters it takes; NULL if the backend has no such
 * operator. */
const tn_tactic *tn_tactic_reference(const tn_backend *backend, const char *op);

#endif
