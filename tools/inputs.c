/* Input tensors: from files or at random. */
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* "NAME=FILE" for this input; NULL if there is none. */
static const char *find_file(const text_list *files, const char *name)
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
static void check_names(const tn_engine *engine, const shape_list *shapes, const text_list *files)
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
    if (!bad) return;
    fprintf(stderr, "tenon: the network has no input '%.*s'; it has:", bytes, bad);
    for (int i = 0; i < tn_engine_input_count(engine); i++) {
        tn_io io;
        if (!tn_engine_input(engine, i, &io)) fprintf(stderr, " %s", io.name);
    }
    fprintf(stderr, "\n");
    exit(EXIT_USAGE);
}

static tn_status make_random(const tn_io *io, const shape_list *shapes, uint64_t seed,
                             tn_tensor *out)
{
    int64_t dim[TN_RANK_MAX] = {0};
    int rank = io->rank < 0 ? 0 : io->rank;
    const named_shape *given = shapes_find(shapes, io->name);
    if (given) {
        rank = given->rank;
        memcpy(dim, given->dim, sizeof(dim));
    } else {
        bool dynamic = io->rank < 0;
        for (int i = 0; i < rank; i++) {
            dynamic |= io->dim[i] < 0;
            dim[i] = io->dim[i] < 0 ? 1 : io->dim[i];
        }
        if (dynamic) {
            char text[160];
            fprintf(stderr,
                    "[W] Dynamic dimensions required for input: %s, but no shapes were provided. "
                    "Automatically overriding shape to: %s\n",
                    io->name, shape_text(dim, rank, text, sizeof(text)));
        }
    }
    tn_status status = tn_tensor_new(io->dtype, dim, rank, out);
    if (status) return status;
    /* Integers are token ids, masks or indices more often than not: 0 and 1 are valid for all. */
    bool whole =
        io->dtype == TN_DTYPE_I64 || io->dtype == TN_DTYPE_I32 || io->dtype == TN_DTYPE_BOOL;
    return tn_tensor_fill_random(out, seed, whole ? 0 : -1, whole ? 2 : 1);
}

tn_status inputs_make(const tn_engine *engine, const shape_list *shapes, const text_list *files,
                      uint64_t seed, input_set *out)
{
    out->count = 0;
    check_names(engine, shapes, files);
    for (int i = 0; i < tn_engine_input_count(engine) && i < SHAPES_MAX; i++) {
        tn_io io;
        tn_status status = tn_engine_input(engine, i, &io);
        if (status) return status;
        const char *file = find_file(files, io.name);
        tn_tensor *tensor = &out->tensor[i];
        status = file ? tn_tensor_load(file, tensor)
                      : make_random(&io, shapes, seed * 1000 + (uint64_t)i, tensor);
        if (status) {
            inputs_free(out);
            return status;
        }
        out->name[i] = io.name;
        out->count = i + 1;
    }
    return NULL;
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
