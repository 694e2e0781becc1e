/* Valid graphs of random operators: the optimised engine must give what the unoptimised one gives.
 *
 *     random_graphs [--seed N] [--count N | --seconds S] [--node K] [--keep FOLDER] [--verbose]
 *
 * Seeds N, N+1, ... are tried in child processes, so that a crash is a finding like any other. A
 * finding is narrowed down to the first node of its graph that fails alone, with all that it reads;
 * --keep writes that graph and what the optimiser made of it. --node K repeats such a narrowed
 * graph in this process. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/status.h"
#include "passes/passes.h"
#include "random_graphs.h"

enum { BATCH = 40, GRAPH_SECONDS = 60, OPS_MAX = 512, FOUND = 3 };

/* What a child tells; it survives the child. */
typedef struct board {
    uint64_t seed;
    int node_count;
    bool done;
    bool made; /* the graph was made without a finding on the way */
    int64_t graphs, nodes, refused, failed, unstable;
    int64_t used[OPS_MAX];
    char text[6000];
} board;

typedef struct options {
    uint64_t seed;
    int64_t count;
    double seconds;
    int node;
    const char *keep;
    bool verbose;
} options;

static board *shared;

/* ---- One graph -------------------------------------------------------------------------------*/

/* FOLDER/17.tn, or FOLDER/17-3.tn for node 3 alone. */
static void write_text(const char *folder, uint64_t seed, int only, const char *ending,
                       const char *text)
{
    char path[1024], node[16] = "";
    if (only >= 0) snprintf(node, sizeof node, "-%d", only);
    snprintf(path, sizeof path, "%s/%llu%s%s", folder, (unsigned long long)seed, node, ending);
    FILE *file = text ? fopen(path, "w") : NULL;
    if (!file) return;
    fputs(text, file);
    fclose(file);
}

/* Only what the outputs need. */
static void keep_graph(const options *o, const maker *m, uint64_t seed, int only)
{
    tn_graph *copy = NULL;
    int64_t changed = 0;
    if (!o->keep || tn_graph_clone(m->graph, true, &copy)) return;
    tn_status status = tn_pass_find("drop_dead")->run(copy, &changed);
    char *text = graph_text(status ? m->graph : copy);
    write_text(o->keep, seed, only, ".tn", text);
    tn_text_free(text);
    tn_graph_free(copy);
}

static void count_ops(const tn_graph *graph)
{
    for (const tn_node *node = graph->first; node; node = node->next)
        for (int i = 0; i < OPS_MAX && tn_op_table[i]; i++)
            if (tn_op_table[i] == node->op) shared->used[i]++;
}

/* True if nothing was found. */
static bool try_seed(const options *o, uint64_t seed, int only)
{
    verdict v = {0};
    maker *m = malloc(sizeof *m);
    if (!m) return true;
    alarm(GRAPH_SECONDS);
    shared->seed = seed;
    set_rubbish(0x33);
    maker_init(m, seed);
    tn_status status = make_graph(m, only);
    if (status && tn_status_code(status) != TN_OUT_OF_MEMORY) {
        v.bad = true;
        tn_status_text(status, true, v.text, sizeof v.text);
    } else if (!status) {
        shared->node_count = (int)m->graph->node_count;
        shared->nodes += m->graph->node_count;
        shared->refused += m->refused;
        count_ops(m->graph);
        check_graph(m, &v);
    }
    shared->graphs++;
    shared->failed += v.failed;
    shared->unstable += v.unstable;
    if (o->verbose && only < 0)
        printf("seed %llu: %d nodes, %d inputs, %d outputs%s%s\n", (unsigned long long)seed,
               shared->node_count, (int)m->graph->input_count, (int)m->graph->output_count,
               v.failed ? ", fails on all sides" : "", v.unstable ? ", unstable" : "");
    shared->made = !m->finding[0];
    if (v.bad) snprintf(shared->text, sizeof shared->text, "%s", v.text);
    if (v.bad && o->keep) {
        keep_graph(o, m, seed, only);
        write_text(o->keep, seed, only, ".optimised.tn", v.optimised);
        write_text(o->keep, seed, only, ".txt", v.text);
    }
    tn_text_free(v.optimised);
    maker_fini(m);
    free(m);
    alarm(0);
    return !v.bad;
}

/* ---- Children --------------------------------------------------------------------------------*/

static int run_child(const options *o, uint64_t seed, int64_t count, int only, bool quiet)
{
    shared->done = false;
    shared->seed = seed;
    shared->text[0] = 0;
    fflush(stdout);
    fflush(stderr);
    pid_t child = fork();
    if (child < 0) return -1;
    if (child == 0) {
        bool fine = true;
        if (quiet && !freopen("/dev/null", "w", stderr)) exit(1);
        for (int64_t i = 0; i < count && fine; i++) fine = try_seed(o, seed + (uint64_t)i, only);
        shared->done = true;
        exit(fine ? 0 : FOUND);
    }
    int status = 0;
    if (waitpid(child, &status, 0) < 0) return -1;
    if (WIFSIGNALED(status)) {
        snprintf(shared->text, sizeof shared->text, "%s", strsignal(WTERMSIG(status)));
        return 128 + WTERMSIG(status);
    }
    if (WEXITSTATUS(status) && !shared->text[0])
        snprintf(shared->text, sizeof shared->text, "exit code %d%s", WEXITSTATUS(status),
                 shared->done ? " at the end of a batch: a leak?" : "");
    return WEXITSTATUS(status);
}

/* The first node whose outputs alone show it. */
static void narrow(const options *o, uint64_t seed)
{
    char whole[sizeof shared->text];
    int count = shared->node_count;
    memcpy(whole, shared->text, sizeof whole);
    printf("FOUND seed %llu (%d nodes): %s\n", (unsigned long long)seed, count, whole);
    for (int i = 0; i < count && shared->made; i++) {
        if (!run_child(o, seed, 1, i, true)) continue;
        printf("  alone: --seed %llu --node %d: %s\n", (unsigned long long)seed, i, shared->text);
        fflush(stdout);
        return;
    }
    if (shared->made) printf("  no node shows it alone\n");
    fflush(stdout);
}

static int run_all(const options *o)
{
    int found = 0;
    uint64_t seed = o->seed, begin = tn_clock_ns();
    int64_t left = o->count;
    while (o->seconds > 0 ? (double)(tn_clock_ns() - begin) < o->seconds * 1e9 : left > 0) {
        int64_t count = o->seconds > 0 || left > BATCH ? BATCH : left;
        int code = run_child(o, seed, count, -1, false);
        uint64_t last = code ? shared->seed : seed + (uint64_t)count - 1;
        left -= (int64_t)(last - seed) + 1;
        seed = last + 1;
        if (!code) continue;
        found++;
        narrow(o, last);
    }
    printf("%lld graphs of %lld nodes, %lld candidates refused; %lld fail on all sides, %lld "
           "unstable; "
           "%d found; next seed %llu\n",
           (long long)shared->graphs, (long long)shared->nodes, (long long)shared->refused,
           (long long)shared->failed, (long long)shared->unstable, found, (unsigned long long)seed);
    for (int i = 0; o->verbose && i < OPS_MAX && tn_op_table[i]; i++)
        printf("%8lld %s\n", (long long)shared->used[i], tn_op_table[i]->name);
    return found ? 1 : 0;
}

static bool read_options(int argc, char **argv, options *o)
{
    for (int i = 1; i < argc; i++) {
        char *name = argv[i], *equals = strchr(name, '=');
        if (!strcmp(name, "--verbose")) {
            o->verbose = true;
            continue;
        }
        size_t bytes = equals ? (size_t)(equals - name) : strlen(name);
        const char *value = equals ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
        if (!value) return false;
        if (bytes == 6 && !memcmp(name, "--seed", 6)) o->seed = strtoull(value, NULL, 10);
        else if (bytes == 7 && !memcmp(name, "--count", 7)) o->count = strtoll(value, NULL, 10);
        else if (bytes == 9 && !memcmp(name, "--seconds", 9)) o->seconds = strtod(value, NULL);
        else if (bytes == 6 && !memcmp(name, "--node", 6)) o->node = (int)strtol(value, NULL, 10);
        else if (bytes == 6 && !memcmp(name, "--keep", 6)) o->keep = value;
        else return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    options o = {.seed = 1, .count = 100, .node = -1};
    if (!read_options(argc, argv, &o)) {
        fprintf(stderr, "usage: random_graphs [--seed N] [--count N | --seconds S] [--node K] "
                        "[--keep FOLDER] [--verbose]\n");
        return 2;
    }
    tn_set_log(NULL, NULL, TN_LOG_ERROR);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        fprintf(stderr, "no shared memory\n");
        return 2;
    }
    if (o.node < 0) return run_all(&o);
    bool fine = try_seed(&o, o.seed, o.node);
    printf("%s\n", fine ? "nothing found" : shared->text);
    return fine ? 0 : 1;
}
