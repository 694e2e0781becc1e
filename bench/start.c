/* What an engine costs before and beside its inferences:
 *
 *     start FILE.engine THREADS SECONDS DIMS...      DIMS: of each input, as 1x3x224x224; i1x200
 * where it is of integers
 *
 * prints JSON: milliseconds to load, and from before that to the first answer; KiB of memory gained
 * by both, the code of the library included; bytes of intermediates and outputs; percentiles of the
 * inferences. A loop of multiplications that takes as long as an inference has turns in between:
 * how uneven its times are is what the machine does, not the engine. Floats are random, integers 1.
 * Linked with libtenon. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tenon/tenon.h>
#include <time.h>

enum { INPUTS_MAX = 8, TURNS = 5, TIMES_MAX = 2000000 };

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* Memory of this process that is in use; shared pages of mapped files too. */
static long resident_kib(void)
{
    char line[256];
    long kib = -1;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "Rss: %ld", &kib) == 1) break;
    if (file) fclose(file);
    return kib;
}

static void check(tn_status status)
{
    if (!status) return;
    fprintf(stderr, "%s\n", tn_status_message(status));
    exit(1);
}

static void make_input(int index, const char *dims, tn_tensor *out)
{
    int64_t dim[8];
    int rank = 0;
    bool whole = *dims == 'i';
    for (const char *at = dims + whole; at && rank < 8; at = strchr(at, 'x')) {
        if (rank) at++;
        dim[rank++] = strtoll(at, NULL, 10);
    }
    check(tn_tensor_new(whole ? TN_DTYPE_I64 : TN_DTYPE_F32, dim, rank, out));
    check(tn_tensor_fill_random(out, 1 + (uint64_t)index, whole ? 1 : -1, whole ? 2 : 1));
}

static double multiply_ms(long count)
{
    float x = 1;
    double begin = now_ms();
    for (long i = 0; i < count; i++) {
        x *= 1.0000001f;
        __asm__ volatile("" : "+x"(x));
    }
    return now_ms() - begin;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(const double *sorted, long count, double p)
{
    return sorted[(long)(p * (double)(count - 1))];
}

/* Turns of inferences and of the loop, of `seconds` in all. */
static void time_runs(tn_context *context, double seconds)
{
    static double times[TIMES_MAX], loops[TIMES_MAX];
    long count = 0, loop_count = 0, length = 1000;
    double share = seconds * 1e3 / (2 * TURNS), begin, each = now_ms();
    for (int i = 0; i < 3; i++) check(tn_context_run(context));
    each = (now_ms() - each) / 3;
    length = (long)(each / (multiply_ms(4000000) / 4e6)) + 1;
    for (int turn = 0; turn < TURNS; turn++) {
        for (begin = now_ms(); now_ms() - begin < share * .1;) check(tn_context_run(context));
        for (begin = now_ms(); now_ms() - begin < share && count < TIMES_MAX; count++) {
            double at = now_ms();
            check(tn_context_run(context));
            times[count] = now_ms() - at;
        }
        for (begin = now_ms(); now_ms() - begin < share && loop_count < TIMES_MAX; loop_count++)
            loops[loop_count] = multiply_ms(length);
    }
    qsort(times, (size_t)count, sizeof *times, compare);
    qsort(loops, (size_t)loop_count, sizeof *loops, compare);
    printf(", \"runs\": %ld, \"p10\": %.6f, \"p50\": %.6f, \"p90\": %.6f, \"p99\": %.6f", count,
           percentile(times, count, .1), percentile(times, count, .5), percentile(times, count, .9),
           percentile(times, count, .99));
    printf(", \"loop_p50\": %.6f, \"loop_p99\": %.6f", percentile(loops, loop_count, .5),
           percentile(loops, loop_count, .99));
}

int main(int count, char **word)
{
    tn_engine *engine;
    tn_context *context;
    tn_tensor input[INPUTS_MAX];
    size_t block = 0;
    if (count < 5 || count - 4 > INPUTS_MAX) return 2;
    int inputs = count - 4;
    for (int i = 0; i < inputs; i++) make_input(i, word[4 + i], &input[i]);
    long before = resident_kib();
    double begin = now_ms();
    check(tn_engine_load(word[1], "cpu", atoi(word[2]), &engine));
    double loaded = now_ms();
    check(tn_context_new(engine, &context));
    for (int i = 0; i < inputs; i++) {
        tn_io io;
        check(tn_engine_input(engine, i, &io));
        check(tn_context_bind(context, io.name, &input[i]));
    }
    check(tn_context_run(context));
    double answered = now_ms();
    for (int i = 0; i < 2; i++) check(tn_context_run(context));
    long after = resident_kib();
    check(tn_context_memory_bytes(context, &block));
    for (int i = 0; i < tn_engine_output_count(engine); i++) {
        tn_io io;
        tn_tensor y;
        check(tn_engine_output(engine, i, &io));
        check(tn_context_output(context, io.name, &y));
        block += (size_t)tn_tensor_bytes(&y);
    }
    printf("{\"load_ms\": %.3f, \"first_ms\": %.3f, \"gained_kib\": %ld, \"block_bytes\": %zu",
           loaded - begin, answered - begin, after - before, block);
    if (atof(word[3]) > 0) time_runs(context, atof(word[3]));
    printf("}\n");
    tn_context_free(context);
    tn_engine_free(engine);
    return 0;
}
