/* What the sub-commands of `tenon` share. They see the public header only. */
#ifndef TENON_TOOL_H
#define TENON_TOOL_H

#include <stdio.h>
#include <tenon/tenon.h>

/* Exit codes, documented in docs/cli.md. */
enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,   /* the work failed: the error is on stderr */
    EXIT_USAGE = 2,    /* the command line was wrong */
    EXIT_MISMATCH = 3, /* it ran, but results are outside the tolerance */
};

/* ---- Options: one table a command; parsing, --help and docs/cli.md come from the same rows ----*/

typedef enum option_kind {
    OPTION_FLAG,
    OPTION_INT,
    OPTION_NUMBER,
    OPTION_TEXT,
    OPTION_LIST
} option_kind;

#define LIST_MAX 64
typedef struct text_list {
    int count;
    const char *at[LIST_MAX];
} text_list;

typedef struct tool_option {
    const char *name; /* without the dashes */
    option_kind kind;
    void *to;          /* bool, int, double, const char * or text_list */
    const char *value; /* how help names the value: "NAME:1x3x224x224" */
    const char *help;
} tool_option;

typedef struct tool_command {
    const char *name;
    const char *usage; /* what follows the name */
    const char *about; /* one line */
    const char *notes; /* more lines for --help, or NULL */
    /* Fills `out` with rows that point into the command's own options; returns their number. */
    int (*options)(tool_option *out);
    int (*run)(text_list *arguments);
    /* Instead of both: a command that reads its line itself. argv begins after the name. */
    int (*main)(int argc, char **argv);
} tool_command;

#define OPTIONS_MAX 48
extern const tool_command command_build, command_run, command_bench, command_check, command_inspect,
    command_simplify, command_export, command_tokenize, command_classify, command_train,
    command_plot, command_compare, command_devices, command_tune, command_refit, command_report,
    command_trtexec;

/* Reads argv into the rows and the rest into `arguments`. False: the error is printed. */
bool options_parse(const tool_command *command, const tool_option *option, int option_count,
                   int argc, char **argv, text_list *arguments);
/* Put a value where the row says. NULL, or what is wrong: "wants a number, not". */
const char *option_store(const tool_option *option, const char *value);
/* The name that may have been meant; NULL if none is near. Entries may be NULL. */
const char *option_nearest(const char *name, const char *const *names, int count);
void options_help(const tool_command *command, FILE *out);
void options_markdown(const tool_command *command, FILE *out);
/* Pages of the manual: the table of trtexec's flags, tenon-trtexec(1), tenon(1). */
void trtexec_markdown(void);
void trtexec_man(void);
void print_man(const tool_command *const *commands, int count);
/* Text as troff wants it. */
void print_man_text(const char *text);

/* ---- Shapes ----------------------------------------------------------------------------------*/

typedef struct named_shape {
    char name[256];
    int rank;
    int64_t dim[TN_RANK_MAX];
} named_shape;

#define SHAPES_MAX 64
typedef struct shape_list {
    int count;
    named_shape at[SHAPES_MAX];
} shape_list;

/* "input:1x3x10,h0:20x3x20" (names may contain ':', and stand in single quotes); "x:scalar" and
 * "x:" are rank 0. False: printed. Repeated flags add up. */
bool shapes_parse(const char *flag, const text_list *texts, shape_list *out);
const named_shape *shapes_find(const shape_list *shapes, const char *name);
/* "1x3x10" into dst, "scalar" for rank 0. */
const char *shape_text(const int64_t *dim, int rank, char *dst, size_t dst_bytes);

/* ---- Models
 * ------------------------------------------------------------------------------------*/

/* The flags of every command that reads a model. */
typedef struct model_flags {
    const char *arch;
    text_list set;
    bool random_weights;
    text_list op_libraries; /* main.c loads them before the command runs */
    const char *problem;    /* an operator instead of a file (tn_model_from_problem) */
} model_flags;

int model_options(model_flags *flags, tool_option *out);
/* An ONNX file, or a checkpoint of a network by name. */
tn_status model_open(const char *path, const model_flags *flags, tn_model **out) TN_MUST_USE;

/* ---- Building
 * ----------------------------------------------------------------------------------*/

/* The flags that build, run, bench and check share. */
typedef struct build_flags {
    model_flags model;
    text_list min, opt, max;
    int threads;
    double budget_ms;
    double tolerance;
    bool no_check, no_optimize, tf32, fp16, bf16, verbose, refit, strip_weights, expose;
    const char *device, *timings, *dump;
    text_list hold;
    tn_timing_cache *cache; /* of `tenon compare`, which builds a model many times */
} build_flags;

int build_options(build_flags *flags, tool_option *out);
/* Those that fit an engine file as well. */
int tune_options(build_flags *flags, tool_option *out);
/* An engine from an engine file or a model file (built on the spot). `what` receives a line on how.
 */
tn_status engine_open(const char *path, const build_flags *flags, tn_engine **out) TN_MUST_USE;
/* Do the shapes make sense? What does not is printed. */
bool shapes_good(const build_flags *flags);
/* The engine of a model that is open. */
tn_status engine_build(const tn_model *model, const build_flags *flags,
                       tn_engine **out) TN_MUST_USE;
/* The engine of a file, built anew from the graph in it. */
tn_status engine_tune(const char *path, const build_flags *flags, tn_engine **out) TN_MUST_USE;
bool is_engine_file(const char *path);
bool is_checkpoint_file(const char *path);
/* Which kernels were chosen and what they were measured at; whole, before anything on stderr. */
tn_status print_choices(const tn_engine *engine) TN_MUST_USE;
/* Print the note and the tensors of a checkpoint. */
tn_status inspect_checkpoint(const char *path);
/* 0: done; else the status is printed and an exit code returned. */
int report(tn_status status);
/* Errors as lines of the log. */
void errors_to_log(bool on);
/* Warnings, or everything. */
void set_verbose(bool verbose);

/* ---- Inputs
 * ------------------------------------------------------------------------------------*/

typedef struct input_set {
    int count;
    tn_tensor tensor[SHAPES_MAX];
    const char *name[SHAPES_MAX];
} input_set;

/* Adds a shape for every dynamic input that has none, 1 for each dynamic dim, with a warning as
 * trtexec words it. */
void shapes_complete(const tn_engine *engine, const text_list *files, shape_list *shapes);
/* Tensors for all inputs: from files ("NAME=FILE" in `files`: .npy, .pb, or the bare values in the
 * shape given), else random in the given shapes, 1 for each dynamic dim without. 0, or the exit
 * code: what is wrong is printed. */
int inputs_make(const tn_engine *engine, const shape_list *shapes, const text_list *files,
                uint64_t seed, input_set *out) TN_MUST_USE;
/* The file that "NAME=FILE" gives for an input; NULL if there is none. */
const char *input_file(const text_list *files, const char *name);
tn_status inputs_bind(tn_context *context, const input_set *inputs) TN_MUST_USE;
void inputs_free(input_set *inputs);

/* An element of a dense tensor in the host's memory as a number, of types that have values. */
bool has_values(tn_dtype dtype);
double value_at(const tn_tensor *t, int64_t i);
/* The values in a file, as they lie in memory and nothing else, into a tensor that is there. 0, or
 * the exit code: printed. */
int values_read(const char *path, const char *name, const tn_tensor *into);

/* ---- Texts
 * -------------------------------------------------------------------------------------*/

/* The flags that tokenize and classify share. */
typedef struct tokenizer_flags {
    const char *vocab, *mode;
    bool keep_case;
    int max_length;
} tokenizer_flags;

int tokenizer_options(tokenizer_flags *flags, tool_option *out);
/* 0, or the exit code: what is wrong is printed. */
int tokenizer_open(const tokenizer_flags *flags, const char *command, tn_tokenizer **out);

/* Lines of a text file without their ends; the strings are zero-ended too. */
typedef struct line_list {
    int64_t count, capacity;
    tn_string *at;
} line_list;

/* Adds up to `most` lines to an empty list; fewer mean that the file has ended. False: printed. */
bool lines_read(FILE *file, int64_t most, line_list *out);
void lines_free(line_list *lines);

/* ---- Files
 * -------------------------------------------------------------------------------------*/

/* A file that replaces an old one once it is complete: between the two calls, write to what is
 * returned. What goes wrong is printed. */
FILE *save_begin(const char *path);
bool save_end(FILE *file, const char *path);
/* A JSON string. */
void print_json_text(FILE *out, const char *text);

/* ---- Log lines
 * -----------------------------------------------------------------------------------*/

/* "[11/20/2026-12:00:00] [I] text" on stdout, warnings and errors on stderr: trtexec's way. */
void log_line(char level, const char *format, ...) TN_PRINTF(2, 3);
double now_ms(void);

#endif
