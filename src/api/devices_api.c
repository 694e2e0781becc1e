/* What can run engines here. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "backends/cpu/cpu.h"
#include "backends/cuda/cuda.h"
#include "base/cpu.h"
#include "base/text.h"
#include "exec/exec.h"

enum { DEVICES_MAX = 16 };

static void print_features(uint64_t features, tn_text *out)
{
    static const struct {
        uint64_t bit;
        const char *text;
    } rows[] = {
#define ROW(name, bit, text) {UINT64_C(1) << (bit), text},
        TN_CPU_FEATURES(ROW)
#undef ROW
    };
    const char *between = "  features: ";
    for (size_t i = 0; i < TN_COUNT(rows); i++) {
        if (!(features & rows[i].bit)) continue;
        tn_text_printf(out, "%s%s", between, rows[i].text);
        between = " ";
    }
    tn_text_printf(out, "%s\n", between[0] == ' ' && between[1] == ' ' ? "  features: none" : "");
}

static tn_status print_backend(const tn_backend *backend, tn_text *out)
{
    tn_device_info info[DEVICES_MAX];
    const char *why = NULL;
    int count = 0, tactics = 0, kernels = 0;
    TN_TRY(backend->devices(info, DEVICES_MAX, &count, &why));
    if (count == 0)
        tn_text_printf(out, "%s: none: %s\n", backend->name, why ? why : "it does not say why");
    for (const tn_tactic *const *t = backend->tactics(); *t; t++) {
        tactics++;
        kernels += !strstr((*t)->name, ".reference");
    }
    for (int i = 0; i < count; i++) {
        tn_text_printf(out, "%s: %s\n", backend->name, info[i].name);
        if (!backend->card) print_features(info[i].features, out);
        tn_text_printf(out, "  memory: %.1f GiB\n",
                       (double)info[i].memory_bytes / (double)(1 << 30));
        if (!backend->card)
            tn_text_printf(out, "  caches: %zu KiB data, %zu KiB second, %zu KiB third level\n",
                           tn_cpu_cache_bytes(1) >> 10, tn_cpu_cache_bytes(2) >> 10,
                           tn_cpu_cache_bytes(3) >> 10);
        tn_text_printf(out, "  tactics: %d, of which %d are references\n", tactics,
                       tactics - kernels);
        if (why) tn_text_printf(out, "  note: %s\n", why);
    }
    return NULL;
}

tn_status tn_device_at(int index, tn_device_about *out)
{
    const tn_backend *const backends[] = {&tn_backend_cpu, &tn_backend_cuda};
    int before = 0;
    TN_NOT_NULL(out);
    for (size_t b = 0; b < TN_COUNT(backends); b++) {
        tn_device_info info[DEVICES_MAX];
        const char *why = NULL;
        int count = 0;
        TN_TRY(backends[b]->devices(info, DEVICES_MAX, &count, &why));
        int at = index - before;
        before += count;
        if (at < 0 || at >= count) continue;
        *out = (tn_device_about){.memory_bytes = info[at].memory_bytes,
                                 .units = info[at].units,
                                 .capability = info[at].capability};
        snprintf(out->name, sizeof(out->name), "%s", info[at].name);
        if (backends[b]->card) snprintf(out->id, sizeof(out->id), "%s:%d", backends[b]->name, at);
        else snprintf(out->id, sizeof(out->id), "%s", backends[b]->name);
        return NULL;
    }
    TN_FAIL(TN_NOT_FOUND, "there is no device %d: there are %d", index, before);
}

/* ---- Memory of a device ----------------------------------------------------------------------*/

const char *tn_engine_device(const tn_engine *engine)
{
    return engine && engine->card ? engine->card->info.name : "cpu";
}

tn_status tn_device_alloc(const tn_engine *engine, size_t bytes, void **out)
{
    TN_NOT_NULL(engine);
    TN_NOT_NULL(out);
    *out = NULL;
    if (engine->card) return engine->card->backend->card->alloc(engine->card, false, bytes, out);
    *out = tn_alloc_sized(TN_MAX(bytes, (size_t)1));
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory for %zu bytes", bytes);
    return NULL;
}

void tn_device_free(const tn_engine *engine, void *at)
{
    if (!engine || !at) return;
    if (engine->card) engine->card->backend->card->free(engine->card, false, at);
    else tn_free_sized(at);
}

tn_status tn_device_copy(const tn_engine *engine, void *to, const void *from, size_t bytes)
{
    void *stream, *none = NULL;
    TN_NOT_NULL(engine);
    if (!bytes) return NULL;
    TN_NOT_NULL(to);
    TN_NOT_NULL(from);
    if (!engine->card) {
        memmove(to, from, bytes);
        return NULL;
    }
    const tn_card_calls *calls = engine->card->backend->card;
    stream = atomic_exchange(&engine->card->idle_stream, NULL);
    if (!stream) TN_TRY(calls->stream_new(engine->card, &stream));
    tn_status status = calls->copy(stream, to, from, bytes);
    if (!status) status = calls->wait(stream);
    if (!status && atomic_compare_exchange_strong(&engine->card->idle_stream, &none, stream))
        return NULL;
    calls->stream_free(stream);
    return status;
}

tn_status tn_devices_text(char **out)
{
    tn_text text = {0};
    TN_NOT_NULL(out);
    *out = NULL;
    tn_status status = print_backend(&tn_backend_cpu, &text);
    if (!status) status = print_backend(&tn_backend_cuda, &text);
    if (!status) return tn_text_take(&text, out);
    tn_text_fini(&text);
    return tn_status_trail(status, __FILE__, __LINE__, __func__);
}
