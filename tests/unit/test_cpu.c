/* What the CPU says of itself, against what the system and the compiler's runtime say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/log.h"

static bool has(uint64_t bit)
{
    return (tn_cpu_features() & bit) != 0;
}

static void features_agree_with_the_compilers_runtime(void **state)
{
    (void)state;
#ifdef __x86_64__
    __builtin_cpu_init();
    assert_int_equal(has(TN_CPU_AVX2), __builtin_cpu_supports("avx2") != 0);
    assert_int_equal(has(TN_CPU_FMA), __builtin_cpu_supports("fma") != 0);
    assert_int_equal(has(TN_CPU_AVX512F), __builtin_cpu_supports("avx512f") != 0);
    assert_int_equal(has(TN_CPU_AVX512BW), __builtin_cpu_supports("avx512bw") != 0);
    assert_int_equal(has(TN_CPU_AVX512VL), __builtin_cpu_supports("avx512vl") != 0);
    assert_int_equal(has(TN_CPU_AVX512DQ), __builtin_cpu_supports("avx512dq") != 0);
    assert_int_equal(has(TN_CPU_AVX512VNNI), __builtin_cpu_supports("avx512vnni") != 0);
    assert_int_equal(has(TN_CPU_AVX512BF16), __builtin_cpu_supports("avx512bf16") != 0);
    assert_false(has(TN_CPU_NEON));
#elif defined(__aarch64__)
    assert_int_equal(tn_cpu_features(), TN_CPU_NEON);
#endif
}

static int warnings;

static void count_warning(void *self, tn_log_level level, const char *line)
{
    (void)self;
    if (level == TN_LOG_WARNING && strstr(line, "TN_CPU")) warnings++;
}

/* Features are found once, so each ceiling is asked in a process of its own. The child's answer:
 * 0 the features lie below `allowed`, 1 they do not, 2 a warning was given. */
static int ask_with(const char *ceiling, uint64_t allowed)
{
    pid_t child = fork();
    if (child == 0) {
        setenv("TN_CPU", ceiling, 1);
        tn_set_log(count_warning, NULL, TN_LOG_WARNING);
        bool below = (tn_cpu_features() & ~allowed) == 0;
        _exit(warnings ? 2 : !below);
    }
    int result = -1;
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    return WEXITSTATUS(result);
}

/* Runs first: nothing in this process has asked for the features yet. */
static void environment_lowers_the_ceiling(void **state)
{
    (void)state;
    uint64_t avx2 = TN_CPU_AVX2 | TN_CPU_FMA | TN_CPU_F16C | TN_CPU_NEON;
    uint64_t amx = TN_CPU_AMX_TILE | TN_CPU_AMX_BF16 | TN_CPU_AMX_INT8;
    assert_int_equal(ask_with("scalar", 0), 0);
    assert_int_equal(ask_with("avx2", avx2), 0);
    assert_int_equal(ask_with("avx512", ~amx), 0);
    assert_int_equal(ask_with("all", UINT64_MAX), 0);
    assert_int_equal(ask_with("pentium", UINT64_MAX), 2);
}

static void name_and_caches_are_plausible(void **state)
{
    (void)state;
    assert_in_range(strlen(tn_cpu_name()), 1, 63);
    assert_int_equal(tn_cpu_cache_bytes(0), 0);
    assert_int_equal(tn_cpu_cache_bytes(4), 0);
    assert_int_equal(tn_cpu_cache_bytes(-1), 0);
#ifdef __x86_64__
    assert_in_range(tn_cpu_cache_bytes(1), 8 << 10, 1 << 20);
    assert_in_range(tn_cpu_cache_bytes(2), 64 << 10, 256 << 20);
#endif
}

static void *count_on_one_core(void *out)
{
    cpu_set_t all, one;
    sched_getaffinity(0, sizeof(all), &all);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &all)) continue;
        CPU_SET(i, &one);
        break;
    }
    sched_setaffinity(0, sizeof(one), &one);
    *(int *)out = tn_cpu_count();
    return NULL;
}

static void count_follows_the_affinity(void **state)
{
    (void)state;
    int count = 0;
    pthread_t thread;
    assert_in_range(tn_cpu_count(), 1, sysconf(_SC_NPROCESSORS_CONF));
    assert_int_equal(pthread_create(&thread, NULL, count_on_one_core, &count), 0);
    pthread_join(thread, NULL);
    assert_int_equal(count, 1);
}

static void devices_are_listed(void **state)
{
    (void)state;
    tn_device_about about;
    int count = 0;
    for (tn_status status; !(status = tn_device_at(count, &about)); count++) {
        bool cpu = count == 0;
        assert_int_equal(strcmp(about.id, "cpu") == 0, cpu);
        assert_int_equal(about.capability == 0, cpu);
        assert_true(about.name[0] && about.units >= 1 && about.memory_bytes > 0);
        if (cpu) assert_int_equal(about.units, tn_cpu_count());
    }
    assert_true(count >= 1);
    assert_int_equal(tn_status_code(tn_device_at(count, &about)), TN_NOT_FOUND);
    assert_int_equal(tn_status_code(tn_device_at(-1, &about)), TN_NOT_FOUND);
    assert_int_equal(tn_status_code(tn_device_at(0, NULL)), TN_INVALID);
}

int main(void)
{
    unsetenv("TN_CPU");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(environment_lowers_the_ceiling),
        cmocka_unit_test(features_agree_with_the_compilers_runtime),
        cmocka_unit_test(name_and_caches_are_plausible),
        cmocka_unit_test(count_follows_the_affinity),
        cmocka_unit_test(devices_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
