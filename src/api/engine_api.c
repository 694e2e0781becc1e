/* The public functions about engines. */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "backends/cpu/cpu.h"
#include "base/log.h"
#include "build/build.h"
#include "exec/exec.h"

/* ---- Files -----------------------------------------------------------------------------------*/

tn_status tn_engine_save(const tn_engine *engine, const char *path)
{
    TN_NOT_NULL(engine);
    TN_NOT_NULL(path);
    return tn_engine_file_save(engine, path);
}

/* The card to use: the one asked for; else, where it can be had, one of the kind that the engine
 * was built for. *other: the plan is not for that device. */
static tn_status find_card(tn_engine *engine, const char *path, const char *device, tn_card **out,
                           bool *other)
{
    const char *built_for;
    TN_TRY(tn_exec_engine_meta(engine, "device", &engine->arena, &built_for));
    bool for_card = strcmp(built_for, "cpu") && built_for[0];
    bool asked = device || getenv("TENON_DEVICE");
    tn_status status = tn_build_card(asked ? device : built_for, out);
    if (status && !asked) {
        tn_log(TN_LOG_INFO, "%s was built for %s, and runs on the CPU here: %s", path, built_for,
               tn_status_message(status));
        status = NULL;
    }
    *other = for_card != (*out != NULL);
    return status;
}

/* Reads and makes ready; an engine tuned for what this machine or version does not have is built
 * anew from its own graph. */
static tn_status open_engine(tn_mapping mapping, const char *path, const char *device, int threads,
                             tn_engine **out)
{
    tn_engine *engine, *fresh = NULL;
    tn_card *card = NULL;
    bool other = false;
    TN_TRY(tn_exec_engine_new(&tn_backend_cpu, threads, &engine));
    tn_status status = tn_engine_file_read(engine, mapping, path);
    if (!status) status = find_card(engine, path, device, &card, &other);
    if (!status) {
        engine->card = card;
        status = other && !engine->stripped
                     ? TN_ERROR(TN_UNAVAILABLE, "it was built for another device")
                     : tn_exec_engine_ready(engine);
        /* Without weights there is nothing to build: a refit will. */
        if (tn_status_code(status) == TN_UNAVAILABLE && engine->stripped) status = NULL;
        if (tn_status_code(status) == TN_UNAVAILABLE) {
            tn_log(TN_LOG_INFO, "%s: built again: %s", path, tn_status_message(status));
            status = tn_build_again(engine, card, threads, &fresh);
            tn_exec_engine_release(engine);
            engine = fresh;
        }
    }
    if (status) {
        tn_exec_engine_release(engine);
        return tn_status_note(tn_status_trail(status, __FILE__, __LINE__, __func__),
                              "while loading the engine %s", path);
    }
    *out = engine;
    return NULL;
}

tn_status tn_engine_load(const char *path, const char *device, int threads, tn_engine **out)
{
    tn_mapping mapping;
    TN_NOT_NULL(out);
    *out = NULL;
    TN_NOT_NULL(path);
    TN_CHECK(threads >= 0, TN_INVALID, "%d threads were asked for", threads);
    tn_card *card;
    if (device) TN_TRY(tn_build_card(device, &card)); /* before the file is read */
    TN_TRY(tn_file_map(path, &mapping));
    tn_status status = open_engine(mapping, path, device, threads, out);
    /* An engine that was built again holds copies of its own. */
    if (!status && !(*out)->constant_owned) {
        (*out)->mapping = mapping;
        return NULL;
    }
    tn_file_unmap(&mapping);
    return status;
}

void tn_engine_free(tn_engine *engine)
{
    tn_exec_engine_release(engine);
}

/* ---- Questions -------------------------------------------------------------------------------*/

int tn_engine_input_count(const tn_engine *engine)
{
    return engine ? engine->plan.input_count : 0;
}

int tn_engine_output_count(const tn_engine *engine)
{
    return engine ? engine->plan.output_count : 0;
}

tn_status tn_engine_input(const tn_engine *engine, int index, tn_io *out)
{
    TN_NOT_NULL(engine);
    TN_NOT_NULL(out);
    TN_CHECK(index >= 0 && index < engine->plan.input_count, TN_INVALID,
             "there is no input %d: the engine has %d", index, engine->plan.input_count);
    *out = engine->input[index];
    return NULL;
}

tn_status tn_engine_output(const tn_engine *engine, int index, tn_io *out)
{
    TN_NOT_NULL(engine);
    TN_NOT_NULL(out);
    TN_CHECK(index >= 0 && index < engine->plan.output_count, TN_INVALID,
             "there is no output %d: the engine has %d", index, engine->plan.output_count);
    *out = engine->output[index];
    return NULL;
}

/* ---- Text ------------------------------------------------------------------------------------*/

/* Intermediates at 1 for each dynamic dim: a figure to compare plans by. A graph that cannot take 1
 * has none. */
static tn_status print_memory(const tn_engine *engine, tn_text *out)
{
    tn_context *context;
    size_t bytes = 0;
    if (engine->stripped) {
        tn_text_printf(out, "weights: none, until `tenon refit` puts them in\n");
        return NULL;
    }
    TN_TRY(tn_exec_context_new(engine, &context));
    tn_status status = NULL;
    for (int32_t i = 0; i < engine->plan.input_count && !status; i++) {
        const tn_io *io = &engine->input[i];
        int64_t dim[TN_RANK_MAX];
        for (int axis = 0; axis < TN_RANK_MAX; axis++)
            dim[axis] = io->dim[axis] < 0 ? 1 : io->dim[axis];
        status = tn_exec_context_set_shape(context, io->name, dim, TN_MAX(io->rank, 0));
    }
    if (!status) status = tn_exec_context_memory_bytes(context, &bytes);
    tn_exec_context_free(context);
    if (tn_status_code(status) == TN_OUT_OF_MEMORY) return status;
    if (status) tn_text_printf(out, "intermediates: not known at 1 for each dynamic dim\n");
    else tn_text_printf(out, "intermediates: %zu bytes at 1 for each dynamic dim\n", bytes);
    return NULL;
}

tn_status tn_engine_text(const tn_engine *engine, tn_engine_text_kind kind, char **out)
{
    tn_text text = {0};
    tn_status status = NULL;
    TN_NOT_NULL(out);
    *out = NULL;
    TN_NOT_NULL(engine);
    switch (kind) {
    case TN_TEXT_PLAN:
        tn_plan_print(&engine->plan, &text);
        status = print_memory(engine, &text);
        break;
    case TN_TEXT_REPORT:
        tn_text_printf(&text, "%s", engine->report);
        if (engine->measured)
            tn_text_printf(&text, "measured in this build:\n%s", engine->measured);
        break;
    default: status = TN_ERROR(TN_INVALID, "there is no text %d about engines", (int)kind);
    }
    if (!status) return tn_text_take(&text, out);
    tn_text_fini(&text);
    return tn_status_trail(status, __FILE__, __LINE__, __func__);
}
