#include "backends/cpu/cpu.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu.h"
#include "ops/reference.h"

#define TN_TACTIC(file, variant, needs) extern const tn_tactic tn_cpu_##file##_##variant[];
#include "backends/cpu/cpu_tactics.def"
#undef TN_TACTIC

#define NEEDS_AVX2 (TN_CPU_AVX2 | TN_CPU_FMA | TN_CPU_F16C)
#define NEEDS_AVX512                                                                               \
    (NEEDS_AVX2 | TN_CPU_AVX512F | TN_CPU_AVX512BW | TN_CPU_AVX512VL | TN_CPU_AVX512DQ)

#define NEEDS_AVX512BF16 (NEEDS_AVX512 | TN_CPU_AVX512BF16)
#define NEEDS_AVX512VNNI (NEEDS_AVX512 | TN_CPU_AVX512VNNI)
#define NEEDS_AMX (NEEDS_AVX512BF16 | TN_CPU_AMX_TILE | TN_CPU_AMX_BF16 | TN_CPU_AMX_INT8)

enum { KERNELS_MAX = 512, TABLE_MAX = 2048 };

static tn_tactic kernels[KERNELS_MAX];
static const tn_tactic *table[TABLE_MAX + 1];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

/* The needs stand in the .def alone, so kernels are copied and theirs filled in. */
static void make_table(void)
{
    const struct {
        const tn_tactic *tactic;
        uint64_t needs;
    } rows[] = {
#define TN_TACTIC(file, variant, needs) {tn_cpu_##file##_##variant, needs},
#include "backends/cpu/cpu_tactics.def"
#undef TN_TACTIC
    };
    int count = 0;
    for (size_t i = 0; i < TN_COUNT(rows); i++) {
        for (const tn_tactic *t = rows[i].tactic; t->name && count < KERNELS_MAX; t++, count++) {
            kernels[count] = *t;
            kernels[count].needs = rows[i].needs;
            table[count] = &kernels[count];
        }
    }
    const tn_tactic *const *reference = tn_reference_tactics();
    while (*reference && count < TABLE_MAX) table[count++] = *reference++;
    table[count] = NULL;
    TN_ASSERT(!*reference);
}

static const tn_tactic *const *tactics(void)
{
    pthread_once(&table_once, make_table);
    return table;
}

static tn_status devices(tn_device_info *out, int max, int *count, const char **why)
{
    *why = NULL;
    *count = 1;
    if (max < 1) return NULL;
    int cores = tn_cpu_count();
    snprintf(out->name, sizeof out->name, "%.100s (%d %s)", tn_cpu_name(), cores,
             cores == 1 ? "core" : "cores");
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    out->features = tn_cpu_features();
    out->units = cores;
    out->capability = 0;
    out->memory_bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
    return NULL;
}

const tn_backend tn_backend_cpu = {
    .name = "cpu",
    .devices = devices,
    .tactics = tactics,
};
