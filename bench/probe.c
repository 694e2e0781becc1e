/* How fast this machine is at the moment: `probe THREADS [all]` prints JSON with the rates of a
 * fixed loop of multiply-adds on all threads together, of one of products of bf16 tiles where there
 * are any, and, with `all`, of reading each level of memory. Built with -O3 -march=native. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
enum { SUMS = 12, FMAS = 4000000, THREADS_MAX = 64, REPEATS = 3 };
typedef float vector __attribute__((vector_size(LANES * 4)));

enum { MULTIPLY = 0, TILES = 1 }; /* in place of bytes */

typedef struct share {
    size_t bytes;
    double rate; /* per second */
} share;

static pthread_barrier_t start;
static volatile float sink;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double multiply(void)
{
    vector sum[SUMS], a, b;
    for (int lane = 0; lane < LANES; lane++) a[lane] = 0.999f, b[lane] = 0.001f;
#pragma GCC unroll 12
    for (int i = 0; i < SUMS; i++) sum[i] = b * (float)i;
    for (int k = 0; k < FMAS / SUMS; k++)
#pragma GCC unroll 12
        for (int i = 0; i < SUMS; i++) {
            sum[i] = sum[i] * a + b;
            __asm__ volatile("" : "+x"(sum[i]));
        }
#pragma GCC unroll 12
    for (int i = 1; i < SUMS; i++) sum[0] += sum[i];
    sink = sum[0][0];
    return 2.0 * LANES * (FMAS / SUMS * SUMS);
}

/* 0 where there are no tiles. */
static double multiply_tiles(void)
{
#ifdef __AMX_BF16__
    enum { PRODUCTS = 50000, ALLOW = 0x1023, TILE_DATA = 18 };
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    uint16_t ones[16 * 32]; /* a tile that was never loaded may be known to be zeros */
    for (int i = 0; i < 16 * 32; i++) ones[i] = 0x3F80;
    for (int i = 0; i < 8; i++) config.row_bytes[i] = 64, config.rows[i] = 16;
    if (syscall(SYS_arch_prctl, ALLOW, TILE_DATA)) return 0;
    __asm__ volatile("ldtilecfg (%0)" : : "r"(&config) : "memory");
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm4\n\ttileloadd (%0,%1,1), %%tmm5\n\t"
                     "tileloadd (%0,%1,1), %%tmm6\n\ttileloadd (%0,%1,1), %%tmm7"
                     :
                     : "r"(ones), "r"((int64_t)64)
                     : "memory");
    for (int i = 0; i < PRODUCTS; i++)
        __asm__ volatile("tdpbf16ps %%tmm6, %%tmm4, %%tmm0\n\ttdpbf16ps %%tmm7, %%tmm4, %%tmm1\n\t"
                         "tdpbf16ps %%tmm6, %%tmm5, %%tmm2\n\ttdpbf16ps %%tmm7, %%tmm5, %%tmm3"
                         :
                         :
                         :);
    __asm__ volatile("tilerelease" : : : "memory");
    return PRODUCTS * 4.0 * (2 * 16 * 16 * 32);
#else
    return 0;
#endif
}

static double read_all(const char *from, size_t bytes)
{
    size_t rounds = (64u << 20) / bytes + 1;
    for (size_t r = 0; r < rounds; r++)
        for (size_t at = 0; at < bytes; at += 8 * sizeof(vector))
            for (size_t i = 0; i < 8; i++) {
                vector v;
                memcpy(&v, from + at + i * sizeof v, sizeof v);
                __asm__ volatile("" : : "x"(v));
            }
    return (double)rounds * (double)bytes;
}

static void *work(void *arg)
{
    share *s = arg;
    char *memory = s->bytes > TILES ? aligned_alloc(4096, s->bytes) : NULL;
    if (s->bytes > TILES && !memory) abort();
    if (memory) memset(memory, 1, s->bytes);
    for (int i = 0; i < REPEATS; i++) {
        pthread_barrier_wait(&start);
        double begin = now();
        double done = memory              ? read_all(memory, s->bytes)
                      : s->bytes == TILES ? multiply_tiles()
                                          : multiply();
        double rate = done / (now() - begin);
        if (rate > s->rate) s->rate = rate;
    }
    free(memory);
    return NULL;
}

static double measure(int threads, size_t bytes)
{
    pthread_t id[THREADS_MAX];
    share s[THREADS_MAX];
    double sum = 0;
    pthread_barrier_init(&start, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++) {
        s[i] = (share){bytes, 0};
        if (pthread_create(&id[i], NULL, work, &s[i])) abort();
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(id[i], NULL);
        sum += s[i].rate;
    }
    pthread_barrier_destroy(&start);
    return sum * 1e-9;
}

int main(int count, char **word)
{
    static const size_t kib[] = {16, 256, 4096, 65536, 262144};
    int threads = count > 1 ? atoi(word[1]) : 1;
    if (threads < 1 || threads > THREADS_MAX) return 2;
    printf("{\"threads\": %d, \"gflops\": %.1f", threads, measure(threads, MULTIPLY));
    double tiles = measure(threads, TILES);
    if (tiles > 0) printf(", \"tiles_gflops\": %.0f", tiles);
    for (size_t i = 0; count > 2 && i < sizeof kib / sizeof *kib; i++)
        printf(", \"gbs_%zukib\": %.1f", kib[i], measure(threads, kib[i] << 10));
    printf("}\n");
    return 0;
}
