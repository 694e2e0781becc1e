/* What can run engines here. */
#include <string.h>

#include "api/api.h"
#include "backends/cpu/cpu.h"
#include "base/cpu.h"
#include "base/text.h"

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
    enum { DEVICES_MAX = 16 };
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
        print_features(info[i].features, out);
        tn_text_printf(out, "  memory: %.1f GiB\n",
                       (double)info[i].memory_bytes / (double)(1 << 30));
        tn_text_printf(out, "  caches: %zu KiB data, %zu KiB second, %zu KiB third level\n",
                       tn_cpu_cache_bytes(1) >> 10, tn_cpu_cache_bytes(2) >> 10,
                       tn_cpu_cache_bytes(3) >> 10);
        tn_text_printf(out, "  tactics: %d, of which %d are references\n", tactics,
                       tactics - kernels);
    }
    return NULL;
}

tn_status tn_devices_text(char **out)
{
    tn_text text = {0};
    TN_NOT_NULL(out);
    *out = NULL;
    tn_status status = print_backend(&tn_backend_cpu, &text);
    tn_text_printf(&text, "cuda: none: this version of Tenon has no backend for NVIDIA GPUs\n");
    if (!status) return tn_text_take(&text, out);
    tn_text_fini(&text);
    return tn_status_trail(status, __FILE__, __LINE__, __func__);
}
