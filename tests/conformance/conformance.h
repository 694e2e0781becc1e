/* The conformance runner: finds test cases in the layout of the ONNX backend tests, runs each in a
 * process of its own (or in one that ran others before) through the public API, and compares with
 * what is expected to pass. */
#ifndef TN_TESTS_CONFORMANCE_H
#define TN_TESTS_CONFORMANCE_H

#include <stdio.h>
#include <tenon/tenon.h>

#define NAME_MAX_BYTES 256
#define NOTE_MAX_BYTES 600

typedef enum verdict { PASSED, FAILED, SKIPPED } verdict;

/* What a child sends to its parent. */
typedef struct outcome {
    verdict verdict;
    char note[NOTE_MAX_BYTES];
} outcome;

typedef struct test_case {
    char *name;  /* "node/test_abs": the folder, seen from the suite's root */
    char *model; /* path of the .onnx file */
    char *light; /* a weightless zoo graph: path of its one expected output; else NULL */
    outcome outcome;
    bool done;
} test_case;

typedef struct options {
    bool baked;   /* inputs after the first are constants */
    bool dynamic; /* every dim of the inputs is declared dynamic */
    bool written; /* the model is written as ONNX and read again first */
    bool no_optimize, bless, verbose, operators;
    bool share; /* processes run case after case */
    double rtol, atol;
    int timeout_s, jobs;
    long expected_cases;
    const char *filter, *manifest;
    const char *keep; /* folder for the models that were written; NULL: none is kept */
} options;

/* All cases below a folder, sorted by name. Exits with a message where memory or the folder fails.
 */
test_case *find_cases(const char *root, long *count);
void free_cases(test_case *cases, long count);
/* Names of the inputs of a model file that have no initializer, in order, and what they are. NULL
 * if it cannot be read. */
typedef struct input_name {
    char *name;
    tn_io_kind kind;
} input_name;
input_name *read_input_names(const char *model_path, int *count);
/* "Add,ai.onnx.ml.Scaler": the operators of a model file, each once; nothing if it cannot be read.
 */
void print_operators(const char *model_path, FILE *out);
/* tn_model_load of the model with all input dims dynamic. */
tn_status load_dynamic(const char *path, const tn_load_options *load, tn_model **model);
void run_case(const test_case *c, const options *o, outcome *out);

#endif
