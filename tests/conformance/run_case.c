/* One case through the public API: load, build without the gate and without measuring, run every
 * data set, compare. Runs in a child process, so nothing needs to survive a failure: such a process
 * gets no other case. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api.h"
#include "base/file.h"
#include "conformance.h"
#include "import/import.h"
#include "same_graph.h"

#define INPUTS_MAX 256

typedef struct run {
    const test_case *c;
    const options *o;
    outcome *out;
    input_name *names; /* of the inputs in the file */
    int name_count;
} run;

/* A value of a data set: one tensor, or the tensors of a sequence; count -1: an absent optional. */
typedef struct value {
    tn_tensor tensor;
    tn_tensor *item;
    int64_t count;
} value;

TN_PRINTF(3, 4) static bool conclude(run *r, verdict how, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    r->out->verdict = how;
    vsnprintf(r->out->note, sizeof(r->out->note), format, args);
    va_end(args);
    return false;
}

/* True for NULL; else the case has failed with the status. */
static bool succeeds(run *r, tn_status status, const char *what)
{
    if (!status) return true;
    return conclude(r, FAILED, "%s: %s: %s", what, tn_code_name(tn_status_code(status)),
                    tn_status_message(status));
}

static bool is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

/* The folder of data set `set`, "" where the case has no such set. */
static void set_folder(const run *r, int set, char *dst, size_t dst_bytes)
{
    int folder_bytes = (int)(strrchr(r->c->model, '/') - r->c->model);
    snprintf(dst, dst_bytes, "%.*s/test_data_set_%d", folder_bytes, r->c->model, set);
    if (!is_file(dst)) dst[0] = 0;
}

static tn_status load_value(const char *path, tn_io_kind kind, value *out)
{
    bool optional = kind == TN_IO_OPTIONAL || kind == TN_IO_OPTIONAL_SEQUENCE;
    tn_mapping file;
    *out = (value){.count = 0};
    if (kind == TN_IO_TENSOR) return tn_tensor_load(path, &out->tensor);
    tn_status status = tn_file_map(path, &file);
    if (status) return status;
    status = tn_onnx_sequence_decode(file.at, file.bytes, optional, &out->item, &out->count);
    tn_file_unmap(&file);
    return status;
}

static void free_value(value *v)
{
    tn_tensor_free(&v->tensor);
    tn_onnx_sequence_free(v->item, v->count);
}

static tn_status bind_value(tn_context *context, const input_name *input, const value *v)
{
    if (input->kind == TN_IO_TENSOR) return tn_context_bind(context, input->name, &v->tensor);
    return tn_context_bind_sequence(context, input->name, v->item, v->count);
}

/* Inputs of a data set; returns how many, -1 on failure. */
static int load_inputs(run *r, const char *folder, value *inputs)
{
    for (int i = 0;; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/input_%d.pb", folder, i);
        if (!is_file(path)) return i;
        if (i >= INPUTS_MAX || i >= r->name_count) {
            conclude(r, FAILED, "more input files than the model has inputs (%d)", r->name_count);
            return -1;
        }
        if (!succeeds(r, load_value(path, r->names[i].kind, &inputs[i]), "reading an input"))
            return -1;
    }
}

/* The inputs of a light graph are 0, 1/n, 2/n ...; dims that are not numbers are 1. */
static int make_light_inputs(run *r, const tn_engine *engine, tn_tensor *inputs)
{
    tn_io io;
    if (!succeeds(r, tn_engine_input(engine, 0, &io), "asking for the input")) return -1;
    for (int i = 0; i < io.rank; i++)
        if (io.dim[i] < 0) io.dim[i] = 1;
    if (!succeeds(r, tn_tensor_new(io.dtype, io.dim, io.rank, &inputs[0]), "making the input"))
        return -1;
    int64_t count = tn_tensor_count(&inputs[0]);
    for (int64_t i = 0; io.dtype == TN_DTYPE_F32 && i < count; i++)
        ((float *)inputs[0].data)[i] = (float)((double)i / (double)count);
    return 1;
}

static void print_shape(const tn_tensor *t, char *dst, size_t dst_bytes)
{
    size_t used = (size_t)snprintf(dst, dst_bytes, "%s[", tn_dtype_name(t->dtype));
    for (int i = 0; i < t->rank && used < dst_bytes; i++)
        used += (size_t)snprintf(dst + used, dst_bytes - used, "%s%lld", i ? "," : "",
                                 (long long)t->dim[i]);
    if (used < dst_bytes) snprintf(dst + used, dst_bytes - used, "]");
}

/* NumPy has no bfloat16: older suites store such tensors as u16, bit for bit. */
static void call_bfloat(tn_tensor *t, tn_dtype wanted)
{
    if (t->dtype == TN_DTYPE_U16 && wanted == TN_DTYPE_BF16) t->dtype = TN_DTYPE_BF16;
}

static bool compare_output(run *r, const char *name, const tn_tensor *got, const tn_tensor *want)
{
    bool same = got->dtype == want->dtype && got->rank == want->rank;
    for (int i = 0; same && i < got->rank; i++) same = got->dim[i] == want->dim[i];
    if (!same) {
        char a[160], b[160];
        print_shape(got, a, sizeof(a));
        print_shape(want, b, sizeof(b));
        return conclude(r, FAILED, "wrong type or shape: output '%s' is %s, expected %s", name, a,
                        b);
    }
    tn_difference d;
    if (!succeeds(r, tn_tensor_compare(got, want, r->o->rtol, r->o->atol, &d), "comparing"))
        return false;
    if (d.beyond_count)
        return conclude(r, FAILED,
                        "wrong values: output '%s' differs in %lld of %lld elements, most at %lld; "
                        "largest difference %.3g",
                        name, (long long)d.beyond_count, (long long)tn_tensor_count(want),
                        (long long)d.worst_index, d.abs_max);
    return true;
}

static bool compare_sequence(run *r, tn_context *context, const char *name, const value *want)
{
    int64_t count;
    if (!succeeds(r, tn_context_sequence_count(context, name, &count), "asking for an output"))
        return false;
    if (count != want->count)
        return conclude(r, FAILED, "wrong length: output '%s' has %lld tensors, expected %lld",
                        name, (long long)count, (long long)want->count);
    for (int64_t i = 0; i < count; i++) {
        tn_tensor got;
        if (!succeeds(r, tn_context_sequence_item(context, name, i, &got),
                      "asking for an output") ||
            !compare_output(r, name, &got, &want->item[i]))
            return false;
    }
    return true;
}

static bool compare_outputs(run *r, const tn_engine *engine, tn_context *context,
                            const char *folder)
{
    int count = tn_engine_output_count(engine), compared = 0;
    for (int i = 0; i < count; i++) {
        char path[4096];
        tn_tensor got;
        value want;
        tn_io io;
        snprintf(path, sizeof(path), "%s/output_%d.pb", folder, i);
        if (r->c->light) snprintf(path, sizeof(path), "%s", r->c->light);
        if (!is_file(path)) continue;
        if (!succeeds(r, tn_engine_output(engine, i, &io), "asking for an output")) return false;
        if (!succeeds(r, load_value(path, io.kind, &want), "reading an expected output"))
            return false;
        if (io.kind != TN_IO_TENSOR) {
            if (!compare_sequence(r, context, io.name, &want)) return false;
            free_value(&want);
            compared++;
            continue;
        }
        if (!succeeds(r, tn_context_output(context, io.name, &got), "asking for an output"))
            return false;
        call_bfloat(&want.tensor, got.dtype);
        if (!compare_output(r, io.name, &got, &want.tensor)) return false;
        free_value(&want);
        compared++;
    }
    if (!compared) return conclude(r, SKIPPED, "there is no expected output in %s", folder);
    return true;
}

/* Element types as the model file declares them, for data that says u16 and means bfloat16. */
static bool declare_types(run *r, value *inputs, int count)
{
    tn_model *model;
    bool suspect = false;
    for (int i = 0; i < count; i++) suspect = suspect || inputs[i].tensor.dtype == TN_DTYPE_U16;
    if (!suspect) return true;
    if (!succeeds(r, tn_model_load(r->c->model, NULL, &model), "loading")) return false;
    for (int i = 0; i < tn_model_input_count(model); i++) {
        tn_io io;
        if (i < count && !tn_model_input(model, i, &io)) call_bfloat(&inputs[i].tensor, io.dtype);
    }
    tn_model_free(model);
    return true;
}

/* "node/test_abs" as a file of the folder; of the process alone where none is to be kept. */
static void written_path(const run *r, char *dst, size_t dst_bytes)
{
    if (!r->o->keep) {
        snprintf(dst, dst_bytes, "/tmp/tn_conformance_%ld.onnx", (long)getpid());
        return;
    }
    size_t begin = (size_t)snprintf(dst, dst_bytes, "%s/", r->o->keep);
    snprintf(dst + begin, dst_bytes - begin, "%s.onnx", r->c->name);
    for (char *at = dst + begin; *at; at++)
        if (*at == '/') *at = '.';
}

/* The model as it comes back from a file that we have written. */
static bool rewrite(run *r, tn_model **model)
{
    char path[4096], why[400];
    written_path(r, path, sizeof(path));
    tn_status status = tn_model_save(*model, path, NULL);
    if (status) {
        tn_model_free(*model);
        return succeeds(r, status, "writing");
    }
    tn_model *back;
    status = tn_model_load(path, NULL, &back);
    if (!r->o->keep) remove(path);
    bool same =
        !status && same_graph(tn_model_graph(*model), tn_model_graph(back), why, sizeof(why));
    tn_model_free(*model);
    if (!succeeds(r, status, "reading what was written")) return false;
    *model = back;
    return same || conclude(r, FAILED, "written and read again: %s", why);
}

/* The tensors among the first `baked_count` inputs behind the first become constants. */
static bool build(run *r, const value *baked, int baked_count, tn_engine **engine)
{
    const char *names[INPUTS_MAX];
    tn_tensor tensors[INPUTS_MAX];
    tn_load_options load = {.size = sizeof(load)};
    tn_build_config config = {
        .size = sizeof(config), .threads = 1, .no_check = true, .budget_ms = -1};
    tn_model *model;
    config.no_optimize = r->o->no_optimize;
    for (int i = 0; i < baked_count; i++) {
        if (r->names[i + 1].kind != TN_IO_TENSOR) continue;
        names[load.baked_count] = r->names[i + 1].name;
        tensors[load.baked_count++] = baked[i].tensor;
    }
    load.baked = names;
    load.baked_tensors = tensors;
    tn_status (*loader)(const char *, const tn_load_options *, tn_model **) =
        r->o->dynamic ? load_dynamic : tn_model_load;
    if (!succeeds(r, loader(r->c->model, &load, &model), "loading")) return false;
    if (r->o->written && !rewrite(r, &model)) return false;
    bool built = succeeds(r, tn_build(model, &config, engine), "building");
    tn_model_free(model);
    return built;
}

static bool run_set(run *r, const tn_engine *engine, const value *inputs, int input_count,
                    int given_count, const char *folder)
{
    tn_context *context;
    if (!succeeds(r, tn_context_new(engine, &context), "making a context")) return false;
    bool good = true;
    for (int i = 0; good && i < given_count; i++)
        if (i < input_count || r->names[i].kind != TN_IO_TENSOR)
            good = succeeds(r, bind_value(context, &r->names[i], &inputs[i]), "binding");
    good = good && succeeds(r, tn_context_run(context), "running");
    good = good && compare_outputs(r, engine, context, folder);
    tn_context_free(context);
    return good;
}

static bool run_light(run *r)
{
    value input = {.count = 0};
    tn_engine *engine;
    if (!build(r, NULL, 0, &engine)) return false;
    bool good =
        make_light_inputs(r, engine, &input.tensor) == 1 && run_set(r, engine, &input, 1, 1, "");
    tn_engine_free(engine);
    return good;
}

/* Baked engines belong to one data set, the others to all of a case. */
static bool run_sets(run *r)
{
    tn_engine *engine = NULL;
    bool good = true;
    int sets = 0;
    for (int set = 0; good; set++) {
        value inputs[INPUTS_MAX];
        char folder[4000];
        set_folder(r, set, folder, sizeof(folder));
        if (!folder[0]) break;
        int count = load_inputs(r, folder, inputs);
        int baked = r->o->baked && count > 1 ? count - 1 : 0;
        if (count < 0) {
            /* The model's own refusal says more than the file's. */
            tn_model *model;
            if (succeeds(r, tn_model_load(r->c->model, NULL, &model), "loading"))
                tn_model_free(model);
            good = false;
            break;
        }
        good = declare_types(r, inputs, count);
        if (good && !engine) good = build(r, inputs + 1, baked, &engine);
        good = good && run_set(r, engine, inputs, count - baked, count, folder);
        for (int i = 0; i < count; i++) free_value(&inputs[i]);
        if (baked) {
            tn_engine_free(engine);
            engine = NULL;
        }
        sets++;
    }
    tn_engine_free(engine);
    if (good && !sets) return conclude(r, SKIPPED, "the case has no test_data_set_0");
    return good;
}

void run_case(const test_case *c, const options *o, outcome *out)
{
    run r = {.c = c, .o = o, .out = out};
    *out = (outcome){.verdict = FAILED};
    r.names = read_input_names(c->model, &r.name_count);
    if (!r.names) {
        conclude(&r, FAILED, "the model file cannot be read");
        return;
    }
    if (c->light ? run_light(&r) : run_sets(&r)) out->verdict = PASSED;
    for (int i = 0; i < r.name_count; i++) free(r.names[i].name);
    free(r.names);
}
