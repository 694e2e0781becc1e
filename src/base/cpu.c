/* What this CPU can do, asked once. */
#include "base/cpu.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif

static struct {
    uint64_t features;
    size_t cache_bytes[4]; /* by level; 0 unused */
    char name[64];
} cpu;
static pthread_once_t once = PTHREAD_ONCE_INIT;

#define AVX2_LEVEL (TN_CPU_AVX2 | TN_CPU_FMA | TN_CPU_F16C)
#define AVX512_LEVEL                                                                               \
    (AVX2_LEVEL | TN_CPU_AVX512F | TN_CPU_AVX512BW | TN_CPU_AVX512VL | TN_CPU_AVX512DQ |           \
     TN_CPU_AVX512VNNI | TN_CPU_AVX512BF16)
#define AMX_LEVEL (TN_CPU_AMX_TILE | TN_CPU_AMX_BF16 | TN_CPU_AMX_INT8)

static uint64_t find_ceiling(void)
{
    const char *text = getenv("TN_CPU");
    if (!text || !text[0] || strcmp(text, "all") == 0) return UINT64_MAX;
    if (strcmp(text, "scalar") == 0) return 0;
    if (strcmp(text, "avx2") == 0) return AVX2_LEVEL | TN_CPU_NEON;
    if (strcmp(text, "avx512") == 0) return AVX512_LEVEL | TN_CPU_NEON;
    tn_log(TN_LOG_WARNING, "TN_CPU='%s' is not one of scalar, avx2, avx512, all: ignored", text);
    return UINT64_MAX;
}

#ifdef __x86_64__

/* A bit of cpuid says what the silicon has; XCR0 says whose registers the system saves. Both are
 * needed, and Linux wants to be asked before a process uses the large AMX state. */
enum { XCR0_AVX = 0x6, XCR0_AVX512 = 0xE6, XCR0_AMX = 0x60000 };

static uint64_t read_xcr0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static bool request_amx(void)
{
    enum { ARCH_REQ_XCOMP_PERM_ = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM_, XFEATURE_XTILEDATA) == 0;
}

static uint64_t find_features(uint64_t ceiling)
{
    uint32_t a, b, c, d;
    uint64_t found = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    if (!(c & bit_OSXSAVE) || !(c & bit_AVX)) return 0;
    uint64_t saved = read_xcr0();
    if ((saved & XCR0_AVX) != XCR0_AVX) return 0;
    if (c & bit_FMA) found |= TN_CPU_FMA;
    if (c & bit_F16C) found |= TN_CPU_F16C;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found & ceiling;
    uint32_t subleaf_max = a;
    if (b & 1u << 5) found |= TN_CPU_AVX2;
    if ((saved & XCR0_AVX512) == XCR0_AVX512 && (b & 1u << 16)) {
        found |= TN_CPU_AVX512F;
        if (b & 1u << 17) found |= TN_CPU_AVX512DQ;
        if (b & 1u << 30) found |= TN_CPU_AVX512BW;
        if (b & 1u << 31) found |= TN_CPU_AVX512VL;
        if (c & 1u << 11) found |= TN_CPU_AVX512VNNI;
    }
    if ((saved & XCR0_AMX) == XCR0_AMX && (d & 1u << 24)) {
        found |= TN_CPU_AMX_TILE;
        if (d & 1u << 22) found |= TN_CPU_AMX_BF16;
        if (d & 1u << 25) found |= TN_CPU_AMX_INT8;
    }
    if (subleaf_max >= 1 && (found & TN_CPU_AVX512F) && __get_cpuid_count(7, 1, &a, &b, &c, &d) &&
        (a & 1u << 5))
        found |= TN_CPU_AVX512BF16;
    found &= ceiling;
    if ((found & TN_CPU_AMX_TILE) && !request_amx()) found &= ~AMX_LEVEL;
    return found;
}

static void find_name(char *dst, size_t dst_bytes)
{
    uint32_t words[13] = {0}, a, b, c, d;
    bool branded = (uint32_t)__get_cpuid_max(0x80000000u, NULL) >= 0x80000004u;
    for (uint32_t i = 0; branded && i < 3; i++) {
        uint32_t *w = &words[4 * i];
        __get_cpuid(0x80000002u + i, &w[0], &w[1], &w[2], &w[3]);
    }
    const char *brand = (const char *)words;
    brand += strspn(brand, " ");
    if (*brand) {
        snprintf(dst, dst_bytes, "%s", brand);
        for (size_t end = strlen(dst); end > 0 && dst[end - 1] == ' '; end--) dst[end - 1] = 0;
        return;
    }
    if (!__get_cpuid(1, &a, &b, &c, &d)) a = 0;
    uint32_t family = (a >> 8 & 15) + (a >> 20 & 255), model = (a >> 4 & 15) | (a >> 12 & 0xF0);
    snprintf(dst, dst_bytes, "x86-64 family %u model %u", family, model);
}

#else

static uint64_t find_features(uint64_t ceiling)
{
#ifdef __aarch64__
    return TN_CPU_NEON & ceiling; /* every AArch64 CPU has it */
#else
    return 0 & ceiling;
#endif
}

static void find_name(char *dst, size_t dst_bytes)
{
    static const char path[] = "/sys/devices/system/cpu/cpu0/regs/identification/midr_el1";
    unsigned long long midr = 0;
    FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%llx", &midr) != 1) midr = 0;
    if (file) fclose(file);
    if (midr)
        snprintf(dst, dst_bytes, "aarch64 implementer 0x%02llx part 0x%03llx", midr >> 24 & 0xFF,
                 midr >> 4 & 0xFFF);
    else snprintf(dst, dst_bytes, "unknown");
}

#endif

/* One word of what the kernel says about a cache of core 0; "" if it says nothing. */
static void read_cache_word(int index, const char *name, char dst[16])
{
    char path[96];
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, name);
    FILE *file = fopen(path, "re");
    if (!file || fscanf(file, "%15s", dst) != 1) dst[0] = 0;
    if (file) fclose(file);
}

static size_t find_cache_in_sys(int level)
{
    enum { INDEX_MAX = 8 };
    for (int index = 0; index < INDEX_MAX; index++) {
        char its_level[16], type[16], size[16];
        read_cache_word(index, "level", its_level);
        read_cache_word(index, "type", type);
        read_cache_word(index, "size", size); /* "32K" */
        if (atoi(its_level) == level && strcmp(type, "Instruction") != 0)
            return (size_t)strtoul(size, NULL, 10) << 10;
    }
    return 0;
}

#if defined(__x86_64__)
/* Flush to zero, denormals are zeros; and the flags of what has happened, which are not the mode's.
 */
enum { MXCSR_FLUSH = 0x8040, MXCSR_FLAGS = 0x3F };

uint64_t tn_float_mode(void)
{
    return __builtin_ia32_stmxcsr() & ~(uint64_t)MXCSR_FLAGS;
}

void tn_float_mode_set(uint64_t mode)
{
    __builtin_ia32_ldmxcsr((uint32_t)mode);
}

uint64_t tn_float_mode_flushing(uint64_t mode)
{
    return mode | MXCSR_FLUSH;
}
#elif defined(__aarch64__)
enum { FPCR_FLUSH = 1 << 24 };

uint64_t tn_float_mode(void)
{
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}

void tn_float_mode_set(uint64_t mode)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(mode));
}

uint64_t tn_float_mode_flushing(uint64_t mode)
{
    return mode | FPCR_FLUSH;
}
#else
uint64_t tn_float_mode(void)
{
    return 0;
}

void tn_float_mode_set(uint64_t mode)
{
    (void)mode;
}

uint64_t tn_float_mode_flushing(uint64_t mode)
{
    return mode;
}
#endif

static void find_all(void)
{
    static const int query[] = {0, _SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE,
                                _SC_LEVEL3_CACHE_SIZE};
    cpu.features = find_features(find_ceiling());
    find_name(cpu.name, sizeof(cpu.name));
    for (int level = 1; level <= 3; level++) {
        /* The C library comes second: on some AMD machines its L3 is the sum over the package. */
        cpu.cache_bytes[level] = find_cache_in_sys(level);
        long bytes = cpu.cache_bytes[level] ? 0 : sysconf(query[level]);
        if (bytes > 0) cpu.cache_bytes[level] = (size_t)bytes;
    }
}

uint64_t tn_cpu_features(void)
{
    pthread_once(&once, find_all);
    return cpu.features;
}

const char *tn_cpu_name(void)
{
    pthread_once(&once, find_all);
    return cpu.name;
}

size_t tn_cpu_cache_bytes(int level)
{
    pthread_once(&once, find_all);
    return level >= 1 && level <= 3 ? cpu.cache_bytes[level] : 0;
}

/* Not kept: the set may be changed while the process lives. */
int tn_cpu_count(void)
{
    cpu_set_t set;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
    return online > 0 ? (int)online : 1; /* more cores than the set has bits */
}
