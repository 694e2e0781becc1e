/* The layers of an engine as TensorRT's inspector tells them: {"Layers": [...], "Bindings": [...]},
 * with names alone, or with types, shapes, kernels and the nodes of the model that they compute. */
#include <jansson.h>
#include <string.h>

#include <tenon/engine.h>

#include "trtexec.h"

static bool detailed(void)
{
    return trt.verbosity &&
           (!strcmp(trt.verbosity, "detailed") || !strcmp(trt.verbosity, "verbose"));
}

/* "Row major linear FP32": the one layout that tensors between layers have. */
static void print_type(FILE *out, const char *type)
{
    static const struct {
        const char *ours, *theirs;
    } rows[] = {{"f32", "FP32"}, {"f16", "FP16"},     {"bf16", "BF16"}, {"i8", "Int8"},
                {"u8", "UInt8"}, {"i32", "Int32"},    {"i64", "Int64"}, {"bool", "Bool"},
                {"i4", "Int4"},  {"f8e4m3fn", "FP8"}, {"f4e2m1", "FP4"}};
    const char *name = type;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (!strcmp(rows[i].ours, type)) name = rows[i].theirs;
    fprintf(out, "\"Format/Datatype\": \"Row major linear %s\"", name);
}

/* A view is the tensor that it shows, so that what one layer writes is what the next one reads. */
static json_int_t root_of(const json_t *all, json_int_t number)
{
    for (;;) {
        const json_t *tensor = json_array_get(json_object_get(all, "tensors"), (size_t)number);
        const json_t *of = json_object_get(tensor, "of");
        if (!of) return number;
        number = json_integer_value(of);
    }
}

/* The name of an input or output of the engine, or "t12". */
static void print_tensor_name(FILE *out, const json_t *all, json_int_t number)
{
    static const char *const lists[] = {"inputs", "outputs"};
    char text[32];
    for (int k = 0; k < 2; k++) {
        size_t i;
        json_t *io;
        json_array_foreach(json_object_get(all, lists[k]), i, io)
        {
            json_int_t at = json_integer_value(json_object_get(io, "tensor"));
            if (root_of(all, at) != root_of(all, number)) continue;
            print_json_text(out, json_string_value(json_object_get(io, "name")));
            return;
        }
    }
    snprintf(text, sizeof(text), "t%lld", (long long)root_of(all, number));
    print_json_text(out, text);
}

static void print_tensors(FILE *out, const json_t *all, const char *key, const json_t *numbers)
{
    size_t i, axis;
    json_t *number, *dim;
    bool any = false;
    fprintf(out, ", \"%s\": [", key);
    json_array_foreach(numbers, i, number)
    {
        json_int_t at = json_integer_value(number);
        const json_t *tensor = json_array_get(json_object_get(all, "tensors"), (size_t)at);
        if (!tensor) continue; /* an input that is left out */
        bool card = json_is_true(json_object_get(tensor, "on_card"));
        const char *type = json_string_value(json_object_get(tensor, "type"));
        fprintf(out, "%s{\"Name\": ", any ? ", " : "");
        print_tensor_name(out, all, at);
        fprintf(out, ", \"Location\": \"%s\", \"Dimensions\": [", card ? "Device" : "Host");
        json_array_foreach(json_object_get(tensor, "shape"), axis, dim)
        {
            fprintf(out, "%s%lld", axis ? "," : "", (long long)json_integer_value(dim));
        }
        fprintf(out, "], ");
        print_type(out, type ? type : "");
        fprintf(out, "}");
        any = true;
    }
    fprintf(out, "]");
}

/* "[ONNX Layer: Conv 'c1']", one after the other as there. */
static void print_sources(FILE *out, const json_t *layer)
{
    size_t i;
    json_t *source;
    char text[4096];
    size_t at = 0;
    text[0] = 0;
    json_array_foreach(json_object_get(layer, "from"), i, source)
    {
        const char *name = json_string_value(source);
        if (!name || at + strlen(name) + 32 > sizeof(text)) break;
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s[ONNX Layer: %s]", i ? "\x1e" : "",
                               name);
    }
    fprintf(out, ", \"Metadata\": ");
    print_json_text(out, text);
}

static void print_text(FILE *out, const char *key, const json_t *value)
{
    const char *text = json_string_value(value);
    fprintf(out, ", \"%s\": ", key);
    print_json_text(out, text ? text : "");
}

static void print_layers(FILE *out, const json_t *all)
{
    size_t i;
    json_t *layer;
    bool none = trt.verbosity && !strcmp(trt.verbosity, "none");
    fprintf(out, "{\"Layers\": [");
    json_array_foreach(none ? NULL : json_object_get(all, "layers"), i, layer)
    {
        const char *name = json_string_value(json_object_get(layer, "name"));
        fprintf(out, "%s\n  %s", i ? "," : "", detailed() ? "{\"Name\": " : "");
        print_json_text(out, name ? name : "");
        if (!detailed()) continue;
        print_text(out, "LayerType", json_object_get(layer, "op"));
        print_tensors(out, all, "Inputs", json_object_get(layer, "inputs"));
        print_tensors(out, all, "Outputs", json_object_get(layer, "outputs"));
        print_text(out, "TacticName", json_object_get(layer, "tactic"));
        fprintf(out, ", \"StreamId\": 0");
        print_sources(out, layer);
        fprintf(out, "}");
    }
    fprintf(out, "],\n\"Bindings\": [");
    for (int k = 0; k < 2; k++) {
        json_t *io;
        json_array_foreach(json_object_get(all, k ? "outputs" : "inputs"), i, io)
        {
            const char *name = json_string_value(json_object_get(io, "name"));
            fprintf(out, "%s", k || i ? ", " : "");
            print_json_text(out, name ? name : "");
        }
    }
    fprintf(out, "]}\n");
}

int trt_layers(session *s)
{
    char *text;
    json_error_t error;
    if (!trt.dump_layers && !trt.export_layers) return EXIT_DONE;
    int code = report(tn_context_layers(s->context, NULL, &text));
    if (code) return code;
    json_t *all = json_loads(text, 0, &error);
    tn_text_free(text);
    if (!all) {
        log_line('E', "cannot read what is in the engine: %s", error.text);
        return EXIT_FAILED;
    }
    if (trt.dump_layers) {
        log_line('I', "Layer Information:");
        print_layers(stdout, all);
    }
    FILE *file = trt.export_layers ? save_begin(trt.export_layers) : NULL;
    if (file) print_layers(file, all);
    bool good = !trt.export_layers || (file && save_end(file, trt.export_layers));
    json_decref(all);
    return good ? EXIT_DONE : EXIT_FAILED;
}
