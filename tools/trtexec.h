/* tenon trtexec: the command line of TensorRT's trtexec over what bench and build do. */
#ifndef TENON_TRTEXEC_H
#define TENON_TRTEXEC_H

#include "timing.h"

/* ---- Flags: one table; parsing, --help and docs/migration/trtexec.md come from the same rows
 * ---*/

/* The releases of trtexec that know a flag. */
enum { IN_7 = 1, IN_8 = 2, IN_10 = 4, IN_11 = 8 };

typedef enum trt_verdict {
    TRT_DOES,    /* here as there, `note` says how */
    TRT_IS_SO,   /* needs no flag here, or has no meaning here: said in a line of information */
    TRT_LACKS,   /* asks for what is not here: said in a warning, and the work goes on */
    TRT_REFUSED, /* nothing could be done without it: an error */
} trt_verdict;

typedef struct trt_flag {
    const char *name, *alias;
    option_kind kind;
    int versions;
    trt_verdict verdict;
    void *to;          /* where the value of a flag that does something goes */
    const char *value; /* how help names the value */
    const char *note;
} trt_flag;

typedef struct trt_group {
    const char *title; /* NULL ends the list */
    const trt_flag *flag;
    int count;
} trt_group;
extern const trt_group trt_groups[];

/* The words of the command line. False: every mistake is printed. */
bool trt_parse(int argc, char **argv);
/* The last value given for a flag, "" for one that takes none; NULL: it was not given. */
const char *trt_given(const char *name);
void trt_help(FILE *out);

/* ---- What they say ---------------------------------------------------------------------------*/

typedef struct trt_settings {
    const char *onnx, *save, *load;
    build_flags build;
    timing_options timing;
    text_list shapes, inputs, percentile, plugins, references;
    bool skip_inference, plan_version, time_load, verbose, cpu_only;
    bool dump_output, dump_raw, dump_profile, dump_layers, dump_refit, time_refit;
    bool fp16, best, bf16;
    const char *export_times, *export_output, *export_profile, *export_layers;
    const char *verbosity, *accuracy, *refit_from;
    int device, level;
    int profile, present_profile; /* the one to build for, and the one that flags speak of */
    double atol, rtol, threshold;
} trt_settings;
extern trt_settings trt;

/* Texts that live until the end. */
const char *trt_join(const char *a, size_t a_bytes, const char *between, const char *b,
                     size_t b_bytes);

/* ---- The engine ------------------------------------------------------------------------------*/

/* Built or loaded, and given other weights where that is asked for. 0, or 1: printed. */
int trt_engine(tn_engine **engine);
/* Was it built without weights and not given any? */
bool trt_lacks_weights(const tn_engine *engine);
/* What --getPlanVersionOnly and --timeDeserialize do. */
int trt_plan_version(void);
int trt_time_load(void);

/* ---- Output ----------------------------------------------------------------------------------*/

/* The options, section by section, and the device. */
void trt_print_options(void);
void trt_print_device(const tn_device_about *device);
/* Outputs of the last run: to the console, to files, beside references. 0, or 1: printed. */
int trt_outputs(session *s);
/* The layers of an engine as names or, where detailed, as objects. */
int trt_layers(session *s);

#endif
