/* Input tensors: from files or at random. */
#include <string.h>

#include "tool.h"

/* Does the file say the shape and the type of what is in it? */
static bool is_described(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && (strcmp(dot, ".npy") == 0 || strcmp(dot, ".pb") == 0);
}

const char *input_file(const text_list *files, const char *name)
{
    size_t bytes = strlen(name);
    for (int i = 0; i < files->count; i++)
        if (strncmp(files->at[i], name, bytes) == 0 && files->at[i][bytes] == '=')
            return files->at[i] + bytes + 1;
    return NULL;
}

static bool name_known(const tn_engine *engine, const char *name, size_t bytes)
{
    for (int i = 0; i < tn_engine_input_count(engine); i++) {
        tn_io io;
        if (tn_engine_input(engine, i, &io)) return false;
        if (strlen(io.name) == bytes && memcmp(io.name, name, bytes) == 0) return true;
    }
    return false;
}

/* Flags that name no input of the engine are mistakes worth stopping for. */
static bool names_good(const tn_engine *engine, const shape_list *shapes, const text_list *files)
{
    const char *bad = NULL;
    int bytes = 0;
    for (int i = 0; i < shapes->count && !bad; i++) {
        if (!name_known(engine, shapes->at[i].name, strlen(shapes->at[i].name))) {
            bad = shapes->at[i].name;
            bytes = (int)strlen(bad);
        }
    }
    for (int i = 0; i < files->count && !bad; i++) {
        size_t count = strcspn(files->at[i], "=");
        if (!files->at[i][count] || !name_known(engine, files->at[i], count)) {
            bad = files->at[i];
            bytes = (int)count;
        }
    }
    if (!bad) return true;
    fprintf(stderr, "tenon: the network has no input '%.*s'; it has:", bytes, bad);
    for (int i = 0; i < tn_engine_input_count(engine); i++) {
        tn_io io;
        if (!tn_engine_input(engine, i, &io)) fprintf(stderr, " %s", io.name);
    }
    fprintf(stderr, "\n");
    return false;
}

void shapes_complete(const tn_engine *engine, const text_list *files, shape_list *shapes)
{
    for (int i = 0; i < tn_engine_input_count(engine) && shapes->count < SHAPES_MAX; i++) {
        tn_io io;
        if (tn_engine_input(engine, i, &io) || shapes_find(shapes, io.name)) continue;
        const char *file = input_file(files, io.name);
        bool dynamic = io.rank < 0;
        named_shape *shape = &shapes->at[shapes->count];
        shape->rank = io.rank < 0 ? 0 : io.rank;
        for (int k = 0; k < shape->rank; k++) {
            dynamic |= io.dim[k] < 0;
            shape->dim[k] = io.dim[k] < 0 ? 1 : io.dim[k];
        }
        if (!dynamic || (file && is_described(file)) || strlen(io.name) >= sizeof(shape->name))
            continue;
        char text[160];
        log_line('W',
                 "Dynamic dimensions required for input: %s, but no shapes were provided. "
                 "Automatically overriding shape to: %s",
                 io.name, shape_text(shape->dim, shape->rank, text, sizeof(text)));
        snprintf(shape->name, sizeof(shape->name), "%s", io.name);
        shapes->count++;
    }
}

/* A tensor of zeros in the shape given, or with 1 for each dynamic dim. */
static tn_status make_empty(const tn_io *io, const shape_list *shapes, tn_tensor *out)
{
    int64_t dim[TN_RANK_MAX] = {0};
    int rank = io->rank < 0 ? 0 : io->rank;
    const named_shape *given = shapes_find(shapes, io->name);
    if (given) {
        rank = given->rank;
        memcpy(dim, given->dim, sizeof(dim));
    } else {
        for (int i = 0; i < rank; i++) dim[i] = io->dim[i] < 0 ? 1 : io->dim[i];
    }
    return tn_tensor_new(io->dtype, dim, rank, out);
}

static tn_status make_random(const tn_io *io, const shape_list *shapes, uint64_t seed,
                             tn_tensor *out)
{
    tn_status status = make_empty(io, shapes, out);
    if (status) return status;
    /* Integers are token ids, masks or indices more often than not: 0 and 1 are valid for all. */
    bool whole =
        io->dtype == TN_DTYPE_I64 || io->dtype == TN_DTYPE_I32 || io->dtype == TN_DTYPE_BOOL;
    return tn_tensor_fill_random(out, seed, whole ? 0 : -1, whole ? 2 : 1);
}

int values_read(const char *path, const char *name, const tn_tensor *into)
{
    size_t want = (size_t)tn_tensor_bytes(into);
    FILE *file = fopen(path, "rb");
    bool whole = file && fread(into->data, 1, want, file) == want && fgetc(file) == EOF;
    if (file) fclose(file);
    if (whole) return EXIT_DONE;
    char text[200];
    fprintf(stderr, "error: %s: '%s' is %s %s, %zu bytes; %s\n", path, name,
            tn_dtype_name(into->dtype), shape_text(into->dim, into->rank, text, sizeof(text)), want,
            file ? "the file has another size" : "the file cannot be read");
    return EXIT_FAILED;
}

/* What trtexec reads: the values as they lie in memory. */
static int read_values(const char *path, const tn_io *io, const shape_list *shapes, tn_tensor *out)
{
    int code = report(make_empty(io, shapes, out));
    if (code) return code;
    return values_read(path, io->name, out);
}

static int read_input(const char *path, const tn_io *io, const shape_list *shapes, tn_tensor *out)
{
    return is_described(path) ? report(tn_tensor_load(path, out))
                              : read_values(path, io, shapes, out);
}

int inputs_make(const tn_engine *engine, const shape_list *shapes, const text_list *files,
                uint64_t seed, input_set *out)
{
    out->count = 0;
    if (!names_good(engine, shapes, files)) return EXIT_USAGE;
    for (int i = 0; i < tn_engine_input_count(engine) && i < SHAPES_MAX; i++) {
        tn_io io;
        int code = report(tn_engine_input(engine, i, &io));
        if (code) return code;
        const char *file = input_file(files, io.name);
        tn_tensor *tensor = &out->tensor[i];
        out->name[i] = io.name;
        out->count = i + 1;
        *tensor = (tn_tensor){0};
        code = file ? read_input(file, &io, shapes, tensor)
                    : report(make_random(&io, shapes, seed * 1000 + (uint64_t)i, tensor));
        if (code) {
            inputs_free(out);
            return code;
        }
    }
    return EXIT_DONE;
}

tn_status inputs_bind(tn_context *context, const input_set *inputs)
{
    for (int i = 0; i < inputs->count; i++) {
        tn_status status = tn_context_bind(context, inputs->name[i], &inputs->tensor[i]);
        if (status) return status;
    }
    return NULL;
}

void inputs_free(input_set *inputs)
{
    for (int i = 0; i < inputs->count; i++) tn_tensor_free(&inputs->tensor[i]);
    inputs->count = 0;
}
