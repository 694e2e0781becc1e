/* What was found: as text, as JSON, and as a page. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "report.h"

/* ---- Text ------------------------------------------------------------------------------------*/

static const char *layer_text(const comparison *c, int maker, char *dst, size_t bytes)
{
    if (maker < 0) snprintf(dst, bytes, "the model");
    else snprintf(dst, bytes, "%s '%s'", c->layers.at[maker].op, c->layers.at[maker].name);
    return dst;
}

static void print_row(const char *label, const compared_tensor *t)
{
    const tensor_stats *s = &t->stats;
    printf("%-24.24s %-20.20s %-18s ", label, t->name, t->type);
    if (!s->same_shape) {
        printf("another shape\n");
        return;
    }
    printf("%9.2e %9.2e %9.2e %9.2e %11.8f %8lld  %s\n", s->abs_max, s->abs_mean, s->rel_max,
           s->rel_l2, s->cosine, (long long)s->beyond, s->within ? "within" : "BEYOND");
}

static void print_limit(const tensor_limit *limit)
{
    if (limit->l2 > 0) printf("relative L2 %g", limit->l2);
    else printf("|got - want| <= %g + %g |want|", limit->atol, limit->rtol);
}

static bool only_moves(const char *op)
{
    static const char *const names[] = {"Reshape", "Transpose", "Slice",   "Concat",  "Split",
                                        "Squeeze", "Unsqueeze", "Flatten", "Identity"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(op, names[i])) return true;
    return false;
}

/* Layers that compute, as far as there is room; the rest is counted. */
static void print_suspects(const comparison *c, const fault *f)
{
    enum { SHOWN = 16 };
    char text[400];
    int shown = 0;
    printf("    what it is made of was not compared up to here, as the engine has these layers as "
           "one; the fault is in one of them:\n");
    for (int i = 0; i < f->suspect_count && shown < SHOWN; i++) {
        if (only_moves(c->layers.at[f->suspect[i]].op)) continue;
        printf("      %s\n", layer_text(c, f->suspect[i], text, sizeof(text)));
        shown++;
    }
    if (f->suspect_count > shown)
        printf("      and %d more, most of which move data\n", f->suspect_count - shown);
}

static void print_fault(const comparison *c, const compare_run *run)
{
    const fault *f = &run->fault;
    const tensor_stats *s = &f->first.stats;
    char text[400];
    printf("\n%s: in %s, %d tensors were compared\n", run->label, f->in, run->values.count);
    if (!f->found) {
        printf("  all are within the tolerance\n");
    } else {
        printf("  first beyond the tolerance: %s\n",
               layer_text(c, f->first.maker, text, sizeof(text)));
        printf("    its result '%s' %s: ", f->first.name, f->first.type);
        if (s->same_shape)
            printf("relative L2 %.3g, largest difference %.3g at %lld (%.7g for %.7g), first "
                   "beyond at %lld\n",
                   s->rel_l2, s->abs_max, (long long)s->worst, s->worst_got, s->worst_want,
                   (long long)s->first);
        else printf("another shape\n");
        if (f->why) printf("    %s\n", f->why);
        if (f->suspect_count > 1) print_suspects(c, f);
    }
    if (f->steepest >= 0)
        printf("  largest step: %s, from relative L2 %.3g to %.3g\n",
               layer_text(c, f->steepest, text, sizeof(text)), f->steepest_before,
               f->steepest_after);
}

static void print_hold(const comparison *c, const compare_run *run)
{
    const hold_list *hold = &run->hold;
    char text[400];
    if (!hold->looked) return;
    printf("\n%s: without the build's own check relative L2 %.3g; %d builds to find what to hold "
           "back in float32\n",
           run->label, hold->before, hold->builds);
    if (!hold->found) {
        printf("  with all %d layers that were compared held back (at most %d) it is still beyond "
               "the tolerance\n",
               hold->candidates, LIST_MAX);
        return;
    }
    if (!hold->names.count) printf("  nothing: it is within the tolerance as it is\n");
    for (int i = 0; i < hold->names.count; i++) {
        int value = layers_find(&c->layers, hold->names.at[i]);
        int maker = value < 0 ? -1 : c->layers.value[value].maker;
        printf("  --hold=%s  (%s)\n", hold->names.at[i], layer_text(c, maker, text, sizeof(text)));
    }
    if (hold->names.count)
        printf("  with %s it is within the tolerance%s\n",
               hold->names.count == 1 ? "this one" : "these",
               hold->minimal && hold->names.count > 1 ? ", with any of them missing it is not"
                                                      : "");
}

void compare_print(const comparison *c, const compare_run *run, int count)
{
    printf("reference: %s, unoptimised, by reference kernels\n", c->path);
    for (int i = 0; i < c->inputs.count; i++) {
        char text[160];
        const tn_tensor *t = &c->inputs.tensor[i];
        printf("input: %s %s[%s]\n", c->inputs.name[i], tn_dtype_name(t->dtype),
               t->rank ? shape_text(t->dim, t->rank, text, sizeof(text)) : "");
    }
    printf("\n%-24s %-20s %-18s %9s %9s %9s %9s %11s %8s\n", "run", "tensor", "type", "max abs",
           "mean abs", "max rel", "rel L2", "cosine", "beyond");
    for (int i = 0; i < count; i++)
        for (int k = 0; k < run[i].outputs.count; k++)
            print_row(run[i].label, &run[i].outputs.at[k]);
    printf("\n");
    for (int i = 0; i < count; i++) {
        printf("%s: tolerance ", run[i].label);
        print_limit(&run[i].limit);
        printf(", %s\n", !run[i].outputs.count         ? "NOTHING COMPARED"
                         : all_within(&run[i].outputs) ? "within"
                                                       : "BEYOND");
        if (run[i].note) printf("  %s\n", run[i].note);
    }
    for (int i = 0; i < count; i++) {
        if (run[i].fault.looked) print_fault(c, &run[i]);
        print_hold(c, &run[i]);
    }
}

/* ---- JSON ------------------------------------------------------------------------------------*/

/* What is not finite: 1e999, which is infinite to every reader, or null. */
static void json_number(FILE *out, const char *name, double value)
{
    fprintf(out, "\"%s\": ", name);
    if (isnan(value)) fputs("null", out);
    else if (isinf(value)) fputs(value > 0 ? "1e999" : "-1e999", out);
    else fprintf(out, "%.9g", value);
}

static void json_text(FILE *out, const char *name, const char *value)
{
    fprintf(out, "\"%s\": ", name);
    if (value) print_json_text(out, value);
    else fputs("null", out);
}

static void json_tensor(FILE *out, const comparison *c, const compared_tensor *t)
{
    const tensor_stats *s = &t->stats;
    fputc('{', out);
    json_text(out, "name", t->name);
    fputs(", ", out);
    json_text(out, "type", t->type);
    fputs(", ", out);
    json_text(out, "op", t->maker < 0 ? NULL : c->layers.at[t->maker].op);
    fputs(", ", out);
    json_text(out, "layer", t->maker < 0 ? NULL : c->layers.at[t->maker].name);
    fprintf(out, ", \"same_shape\": %s, \"within\": %s", s->same_shape ? "true" : "false",
            s->within ? "true" : "false");
    if (s->same_shape) {
        fprintf(out, ", \"count\": %lld, \"beyond\": %lld, \"first\": %lld, \"worst\": %lld",
                (long long)s->count, (long long)s->beyond, (long long)s->first,
                (long long)s->worst);
        const struct {
            const char *name;
            double value;
        } rows[] = {{"abs_max", s->abs_max},      {"abs_mean", s->abs_mean},
                    {"rel_max", s->rel_max},      {"rel_l2", s->rel_l2},
                    {"cosine", s->cosine},        {"worst_got", s->worst_got},
                    {"worst_want", s->worst_want}};
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            fputs(", ", out);
            json_number(out, rows[i].name, rows[i].value);
        }
        fputs(", \"decades\": [", out);
        for (int i = 0; i < DECADES; i++)
            fprintf(out, "%s%lld", i ? "," : "", (long long)s->decade[i]);
        fputc(']', out);
    }
    fputc('}', out);
}

static void json_list(FILE *out, const comparison *c, const char *name, const compared_list *list)
{
    fprintf(out, "\"%s\": [", name);
    for (int i = 0; i < list->count; i++) {
        if (i) fputs(",\n", out);
        json_tensor(out, c, &list->at[i]);
    }
    fputc(']', out);
}

static void json_layer(FILE *out, const comparison *c, int maker)
{
    fputc('{', out);
    json_text(out, "op", maker < 0 ? NULL : c->layers.at[maker].op);
    fputs(", ", out);
    json_text(out, "name", maker < 0 ? NULL : c->layers.at[maker].name);
    fputc('}', out);
}

static void json_fault(FILE *out, const comparison *c, const fault *f)
{
    if (!f->looked) {
        fputs("\"bisect\": null", out);
        return;
    }
    fprintf(out, "\"bisect\": {\"found\": %s, ", f->found ? "true" : "false");
    json_text(out, "in", f->in);
    if (f->found) {
        fputs(", ", out);
        json_text(out, "tensor", f->first.name);
        fputs(", \"layer\": ", out);
        json_layer(out, c, f->first.maker);
        fputs(", \"suspects\": [", out);
        for (int i = 0; i < f->suspect_count; i++) {
            if (i) fputs(", ", out);
            json_layer(out, c, f->suspect[i]);
        }
        fputs("], ", out);
        json_text(out, "why", f->why);
    }
    if (f->steepest >= 0) {
        fputs(", \"steepest\": {\"layer\": ", out);
        json_layer(out, c, f->steepest);
        fputs(", ", out);
        json_number(out, "before", f->steepest_before);
        fputs(", ", out);
        json_number(out, "after", f->steepest_after);
        fputc('}', out);
    }
    fputc('}', out);
}

static void json_hold(FILE *out, const hold_list *hold)
{
    if (!hold->looked) {
        fputs("\"hold\": null", out);
        return;
    }
    fprintf(out, "\"hold\": {\"found\": %s, \"minimal\": %s, \"builds\": %d, ",
            hold->found ? "true" : "false", hold->minimal ? "true" : "false", hold->builds);
    json_number(out, "before", hold->before);
    fputs(", \"names\": [", out);
    for (int i = 0; i < hold->names.count; i++) {
        if (i) fputs(", ", out);
        print_json_text(out, hold->names.at[i]);
    }
    fputs("]}", out);
}

static void json_run(FILE *out, const comparison *c, const compare_run *run)
{
    fputc('{', out);
    json_text(out, "label", run->label);
    fputs(", ", out);
    json_text(out, "note", run->note);
    fputs(", \"tolerance\": {", out);
    json_number(out, "l2", run->limit.l2);
    fputs(", ", out);
    json_number(out, "rtol", run->limit.rtol);
    fputs(", ", out);
    json_number(out, "atol", run->limit.atol);
    fprintf(out, "}, \"within\": %s,\n",
            run->outputs.count && all_within(&run->outputs) ? "true" : "false");
    json_list(out, c, "outputs", &run->outputs);
    fputs(",\n", out);
    json_list(out, c, "values", &run->values);
    fputs(",\n", out);
    json_fault(out, c, &run->fault);
    fputs(", ", out);
    json_hold(out, &run->hold);
    fputc('}', out);
}

static void print_json(FILE *out, const comparison *c, const compare_run *run, int count)
{
    const char *slash = strrchr(c->path, '/');
    fputc('{', out);
    json_text(out, "title", slash ? slash + 1 : c->path);
    fputs(", ", out);
    json_text(out, "tenon", tn_version());
    fprintf(out, ", \"decade_least\": %d, \"layer_count\": %d,\n\"inputs\": [", DECADE_LEAST,
            c->layers.count);
    for (int i = 0; i < c->inputs.count; i++) {
        char text[160];
        const tn_tensor *t = &c->inputs.tensor[i];
        fprintf(out, "%s{", i ? ", " : "");
        json_text(out, "name", c->inputs.name[i]);
        fprintf(out, ", \"type\": \"%s[%s]\"}", tn_dtype_name(t->dtype),
                t->rank ? shape_text(t->dim, t->rank, text, sizeof(text)) : "");
    }
    fputs("],\n\"runs\": [", out);
    for (int i = 0; i < count; i++) {
        if (i) fputs(",\n", out);
        json_run(out, c, &run[i]);
    }
    fputs("]}\n", out);
}

bool compare_write_json(const char *path, const comparison *c, const compare_run *run, int count)
{
    FILE *out = save_begin(path);
    if (!out) return false;
    print_json(out, c, run, count);
    return save_end(out, path);
}

/* ---- The page --------------------------------------------------------------------------------*/

/* Made of tools/report/ by scripts/embed. */
extern const char report_compare_js[];

bool compare_write_page(const char *path, const comparison *c, const compare_run *run, int count)
{
    char *json = NULL;
    size_t bytes = 0;
    FILE *text = open_memstream(&json, &bytes);
    if (!text) return false;
    print_json(text, c, run, count);
    fclose(text);
    const char *const scripts[] = {report_compare_js, NULL};
    bool good = page_write(path, scripts, json);
    free(json);
    return good;
}
