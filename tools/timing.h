/* Timing an engine and reporting it as trtexec does: what `tenon bench` and `tenon trtexec` share.
 *
 * A session is one stream of execution: a context and its inputs. Several of them time an engine
 * under load, a thread each. */
#ifndef TENON_TIMING_H
#define TENON_TIMING_H

#include "stats.h"

typedef struct timing_options {
    const text_list *inputs; /* "NAME=FILE" */
    const text_list *percentile;
    int iterations, avg_runs, seed, streams;
    double duration_s, warm_up_ms;
    double sleep_ms, idle_ms; /* gaps before the kernels of a query, and between queries */
    bool no_transfers;        /* inputs and outputs stay in the memory of the card */
    bool apart;               /* copies to and from a card around a run, not inside it */
    bool keep_denormals, verbose;
    bool hints;         /* with each warning, the flag of trtexec that may help */
    const char *device; /* how the lines call what computes: "GPU", "CPU" */
} timing_options;

enum { DEVICE_TENSORS_MAX = 64, STREAMS_MAX = 64 };

/* An input or output in the memory of the card. */
typedef struct card_tensor {
    void *card, *host; /* host: of an output that is copied back */
    size_t bytes;
    int input; /* its number in a set; -1: an output */
} card_tensor;

typedef struct session {
    const tn_engine *engine;
    const timing_options *options;
    tn_context *context;
    input_set sets[2]; /* queries take turns */
    card_tensor moved[DEVICE_TENSORS_MAX];
    int moved_count;
} session;

typedef struct trace {
    query *at;
    size_t count, capacity;
    int warm_up_count;
    double warm_up_ms;
} trace;

bool on_card(const tn_engine *engine);
/* A context with inputs, bound where they stay in the card's memory. 0, or the exit code: what is
 * wrong is printed, and it is closed. */
int session_open(const tn_engine *engine, const shape_list *shapes, const timing_options *options,
                 session *out) TN_MUST_USE;
void session_close(session *s);
/* The lines about inputs and outputs, up to "Starting inference". */
void session_print(const session *s);
/* One query with the first set of inputs. */
tn_status session_run(session *s) TN_MUST_USE;
/* Warm up and measure, every session in a thread of its own. 0, or the exit code: printed. */
int timing_measure(session *at, int count, trace *t);
void trace_fini(trace *t);

/* "Warmup completed", the averages and the summary with its warnings. False: printed. */
bool timing_print(const trace *t, const timing_options *options);
/* The JSON of --exportTimes. */
bool timing_export(const trace *t, const char *path);

/* Times of every step over a number of runs of their own; the sum is more than a run takes. */
typedef struct profile {
    int step_count, run_count;
    tn_step_time *step;
    double *median_ms;
} profile;
tn_status profile_measure(session *s, int runs, profile *out) TN_MUST_USE;
void profile_print(const profile *p, bool tactics);
bool profile_export(const profile *p, const char *path);
void profile_fini(profile *p);

/* A number as printf's %g has it, but never with an exponent: scripts look for digits and a dot. */
typedef struct plain_number {
    char text[32];
} plain_number;
plain_number plain(double value);

#endif
