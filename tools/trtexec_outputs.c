/* What comes out of an engine under trtexec: outputs, and how far they are from references. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trtexec.h"

static const char *dims_text(const tn_tensor *t, char *dst, size_t dst_bytes)
{
    return shape_text(t->dim, t->rank, dst, dst_bytes);
}

/* ---- Outputs ---------------------------------------------------------------------------------*/

typedef struct output_list {
    int count;
    const char *name[SHAPES_MAX];
    tn_tensor tensor[SHAPES_MAX];
    void *copy[SHAPES_MAX]; /* of what lies on a card */
} output_list;

static void free_outputs(output_list *all)
{
    for (int i = 0; i < all->count; i++) free(all->copy[i]);
}

static tn_status read_outputs(session *s, output_list *out)
{
    out->count = 0;
    tn_status status = session_run(s);
    for (int i = 0; !status && i < tn_engine_output_count(s->engine) && i < SHAPES_MAX; i++) {
        tn_io io;
        tn_tensor t;
        status = tn_engine_output(s->engine, i, &io);
        if (status || io.kind != TN_IO_TENSOR) continue;
        status = tn_context_output(s->context, io.name, &t);
        if (status) break;
        int at = out->count++;
        out->name[at] = io.name;
        out->copy[at] = NULL;
        if (s->moved_count) {
            size_t bytes = (size_t)tn_tensor_bytes(&t);
            out->copy[at] = malloc(bytes + 1);
            if (out->copy[at]) status = tn_device_copy(s->engine, out->copy[at], t.data, bytes);
            t.data = out->copy[at];
        }
        if (!t.data || !has_values(t.dtype)) out->count--;
        else out->tensor[at] = t;
    }
    if (status) free_outputs(out);
    return status;
}

static void print_outputs(const output_list *all)
{
    char text[200];
    log_line('I', "Output Tensors:");
    for (int i = 0; i < all->count; i++) {
        const tn_tensor *t = &all->tensor[i];
        log_line('I', "%s: (%s)", all->name[i], dims_text(t, text, sizeof(text)));
        for (int64_t k = 0, count = tn_tensor_count(t); k < count; k++)
            printf("%s%g%s", k ? " " : "", value_at(t, k), k + 1 == count ? "\n" : "");
    }
}

static bool export_outputs(const output_list *all, const char *path)
{
    char text[200];
    FILE *file = save_begin(path);
    if (!file) return false;
    fprintf(file, "[\n");
    for (int i = 0; i < all->count; i++) {
        const tn_tensor *t = &all->tensor[i];
        fprintf(file, "%s { \"name\" : ", i ? "," : " ");
        print_json_text(file, all->name[i]);
        fprintf(file, ", \"dimensions\" : \"%s\", \"values\" : [ ",
                dims_text(t, text, sizeof(text)));
        for (int64_t k = 0, count = tn_tensor_count(t); k < count; k++) {
            double value = value_at(t, k);
            if (isfinite(value)) fprintf(file, "%s%.9g", k ? ", " : "", value);
            else fprintf(file, "%snull", k ? ", " : ""); /* JSON has no other word for it */
        }
        fprintf(file, " ] }\n");
    }
    fprintf(file, "]\n");
    return save_end(file, path);
}

/* Bare values, NAME.DIMS.TYPE.raw: what --loadInputs reads. */
static bool dump_raw(const char *name, const tn_tensor *t)
{
    char path[600], dims[200];
    int at = snprintf(path, sizeof(path), "%.255s", name);
    for (char *c = path; *c; c++)
        if (*c == '/' || *c == ':') *c = '_';
    snprintf(path + at, sizeof(path) - (size_t)at, ".%s.%s.raw", dims_text(t, dims, sizeof(dims)),
             tn_dtype_name(t->dtype));
    FILE *file = save_begin(path);
    if (!file) return false;
    fwrite(t->data, 1, (size_t)tn_tensor_bytes(t), file);
    return save_end(file, path);
}

/* ---- References ------------------------------------------------------------------------------*/

/* By --accuracyAlgorithm; l0 counts the elements that are off. */
static double distance_of(const tn_tensor *got, const tn_tensor *want, const char *algorithm)
{
    double off = 0, sum = 0, squares = 0, most = 0, dot = 0, gg = 0, ww = 0;
    int64_t count = tn_tensor_count(got);
    for (int64_t i = 0; i < count; i++) {
        double g = value_at(got, i), w = value_at(want, i), d = fabs(g - w);
        if (isnan(d)) d = isnan(g) && isnan(w) ? 0 : INFINITY;
        off += !(d <= trt.atol + trt.rtol * fabs(w));
        sum += d;
        squares += d * d;
        if (d > most) most = d;
        dot += g * w;
        gg += g * g;
        ww += w * w;
    }
    if (!strcmp(algorithm, "l1")) return count ? sum / (double)count : 0;
    if (!strcmp(algorithm, "l2")) return count ? sqrt(squares / (double)count) : 0;
    if (!strcmp(algorithm, "lInf")) return most;
    if (!strcmp(algorithm, "cos")) return gg > 0 && ww > 0 ? 1 - dot / sqrt(gg * ww) : gg != ww;
    return off;
}

static bool compare_output(const char *name, const tn_tensor *got, const char *path)
{
    const char *algorithm = trt.accuracy ? trt.accuracy : "l0", *dot = strrchr(path, '.');
    bool described = dot && (!strcmp(dot, ".npy") || !strcmp(dot, ".pb"));
    tn_tensor want = {0};
    int code = report(described ? tn_tensor_load(path, &want)
                                : tn_tensor_new(got->dtype, got->dim, got->rank, &want));
    if (!code && !described) code = values_read(path, name, &want);
    bool alike = !code && tn_tensor_count(&want) == tn_tensor_count(got) && has_values(want.dtype);
    if (!code && !alike) log_line('E', "%s: the reference of '%s' has another shape", path, name);
    if (alike) {
        double distance = distance_of(got, &want, algorithm);
        bool counts = !strcmp(algorithm, "l0");
        alike = counts ? distance == 0 : distance <= trt.threshold;
        log_line(alike ? 'I' : 'E', "Accuracy of %s: %s = %g%s", name, algorithm, distance,
                 counts ? " elements beyond --atol + --rtol * reference" : "");
    }
    tn_tensor_free(&want);
    return alike;
}

static bool compare_outputs(const output_list *all)
{
    bool good = true;
    for (int i = 0; i < trt.references.count; i++) {
        bool found = false;
        for (int k = 0; k < all->count; k++) {
            const text_list one = {1, {trt.references.at[i]}};
            const char *path = input_file(&one, all->name[k]);
            if (!path) continue;
            found = true;
            good &= compare_output(all->name[k], &all->tensor[k], path);
        }
        if (!found)
            log_line('E', "--loadRefOutputs: no output is named as in '%s'", trt.references.at[i]);
        good &= found;
    }
    if (!good) log_line('E', "Accuracy validation FAILED");
    return good;
}

int trt_outputs(session *s)
{
    output_list all;
    if (!trt.dump_output && !trt.export_output && !trt.dump_raw && !trt.references.count)
        return EXIT_DONE;
    if (report(read_outputs(s, &all))) return EXIT_FAILED;
    bool good = true;
    if (trt.dump_output) print_outputs(&all);
    if (trt.export_output) good &= export_outputs(&all, trt.export_output);
    for (int i = 0; trt.dump_raw && i < s->sets[0].count; i++)
        good &= dump_raw(s->sets[0].name[i], &s->sets[0].tensor[i]);
    for (int i = 0; trt.dump_raw && i < all.count; i++)
        good &= dump_raw(all.name[i], &all.tensor[i]);
    if (trt.references.count) good &= compare_outputs(&all);
    free_outputs(&all);
    return good ? EXIT_DONE : EXIT_FAILED;
}
