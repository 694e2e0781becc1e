/* Runs all cases of a suite, a process each, and holds the passes against a manifest. On a card,
 * where a process takes long to begin, a few processes share the cases.
 *
 *     conformance [options] FOLDER
 *
 * The manifest lists the cases that must pass, one name a line. A listed case that does not pass
 * and an unlisted one that does are both failures of the run: the list always says what is true. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conformance.h"

#define JOBS_MAX 64
#define GROUPS_SHOWN 40

static const char usage[] =
    "usage: conformance [options] FOLDER\n"
    "  --mode=given|baked|dynamic|written  inputs at run time (given), inputs after the first\n"
    "                        as constants, at run time with every dim declared dynamic, or given\n"
    "                        with the model written as ONNX and read again\n"
    "  --keep=FOLDER         keep the models that are written there, as NAME.onnx\n"
    "  --manifest=FILE       cases that must pass; a lost or an unlisted pass fails the run\n"
    "  --bless               write the manifest from this run instead\n"
    "  --filter=TEXT         only cases whose name contains TEXT\n"
    "  --rtol=X --atol=X     tolerance (1e-3, 1e-5)\n"
    "  --timeout=SECONDS     for each case (20)\n"
    "  --jobs=N              processes at a time (2)\n"
    "  --share               a process runs case after case until one fails\n"
    "  --expect-cases=N      fail if fewer cases are found\n"
    "  --no-optimize         no passes, reference kernels\n"
    "  --verbose             a line for each case\n"
    "  --operators           and a line with its operators\n"
    "exit code: 0 as the manifest says, 1 not so, 2 wrong usage or too few cases\n";

typedef struct job {
    pid_t pid;   /* 0: there is no process */
    int in, out; /* it reads numbers of cases, and writes their outcomes */
    long index;  /* -1: it has nothing to do */
    time_t deadline;
} job;

static void no_log(void *self, tn_log_level level, const char *line)
{
    (void)self;
    (void)level;
    (void)line;
}

/* Cases by their numbers, until there is none below 0. */
static void serve(int in, int out, const test_case *cases, const options *o)
{
    outcome result;
    long index;
    tn_set_log(no_log, NULL, TN_LOG_ERROR);
    while (read(in, &index, sizeof(index)) == (ssize_t)sizeof(index) && index >= 0) {
        run_case(&cases[index], o, &result);
        if (write(out, &result, sizeof(result)) != (ssize_t)sizeof(result)) _exit(3);
    }
    _exit(0);
}

static void start_process(job *j, const test_case *cases, const options *o)
{
    int in[2], out[2];
    fflush(NULL);
    if (pipe(in) != 0 || pipe(out) != 0 || (j->pid = fork()) < 0) {
        fprintf(stderr, "conformance: cannot start a process: %s\n", strerror(errno));
        exit(2);
    }
    if (j->pid == 0) {
        close(in[1]);
        close(out[0]);
        serve(in[0], out[1], cases, o);
    }
    close(in[0]);
    close(out[1]);
    j->in = in[1];
    j->out = out[0];
}

static void start_job(job *j, const test_case *cases, long index, const options *o)
{
    if (!j->pid) start_process(j, cases, o);
    j->index = index;
    j->deadline = time(NULL) + o->timeout_s;
    /* A process that is gone says so when its outcome is read. */
    ssize_t written = write(j->in, &index, sizeof(index));
    (void)written;
}

static int end_process(job *j)
{
    const long none = -1;
    int status = 0;
    ssize_t written = write(j->in, &none, sizeof(none));
    (void)written;
    while (waitpid(j->pid, &status, 0) < 0 && errno == EINTR) continue;
    close(j->in);
    close(j->out);
    j->pid = 0;
    return status;
}

/* The child has written, died, or run out of time. It goes on to another case only where processes
 * are shared, and never after a failure. */
static void finish_job(job *j, test_case *c, bool late, const options *o)
{
    ssize_t got = late ? 0 : read(j->out, &c->outcome, sizeof(c->outcome));
    bool whole = got == (ssize_t)sizeof(c->outcome);
    if (late) kill(j->pid, SIGKILL);
    int status = o->share && whole && c->outcome.verdict != FAILED ? 0 : end_process(j);
    if (late) {
        c->outcome.verdict = FAILED;
        snprintf(c->outcome.note, sizeof(c->outcome.note), "time limit of %d s", o->timeout_s);
    } else if (!whole) {
        c->outcome.verdict = FAILED;
        snprintf(c->outcome.note, sizeof(c->outcome.note), "CRASH: %s %d",
                 WIFSIGNALED(status) ? "signal" : "exit code",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    c->outcome.note[sizeof(c->outcome.note) - 1] = 0;
    for (char *at = c->outcome.note; *at; at++)
        if (*at == '\n') *at = ' ';
    c->done = true;
    j->index = -1;
    if (o->verbose)
        printf("%s %s%s%s\n",
               c->outcome.verdict == PASSED   ? "pass"
               : c->outcome.verdict == FAILED ? "FAIL"
                                              : "skip",
               c->name, c->outcome.note[0] ? ": " : "", c->outcome.note);
}

static void run_all(test_case *cases, long count, const options *o)
{
    job jobs[JOBS_MAX] = {0};
    long next = 0, running = 0;
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < o->jobs; i++) jobs[i].index = -1;
    while (next < count || running) {
        struct pollfd wait[JOBS_MAX];
        for (int i = 0; i < o->jobs; i++) {
            if (jobs[i].index < 0 && next < count) {
                start_job(&jobs[i], cases, next, o);
                next++, running++;
            }
            wait[i] = (struct pollfd){.fd = jobs[i].index < 0 ? -1 : jobs[i].out, .events = POLLIN};
        }
        if (poll(wait, (nfds_t)o->jobs, 500) < 0 && errno != EINTR) break;
        for (int i = 0; i < o->jobs; i++) {
            if (jobs[i].index < 0) continue;
            bool ready = wait[i].revents & (POLLIN | POLLHUP), late = time(NULL) > jobs[i].deadline;
            if (!ready && !late) continue;
            finish_job(&jobs[i], &cases[jobs[i].index], !ready, o);
            running--;
        }
    }
    for (int i = 0; i < o->jobs; i++)
        if (jobs[i].pid) end_process(&jobs[i]);
}

/* ---- Summary
 * -------------------------------------------------------------------------------------*/

typedef struct group {
    char text[NOTE_MAX_BYTES];
    const char *example;
    long count;
} group;

/* The note without what differs from case to case: texts in quotes, paths, and lists of nodes. */
static void strip_names(const char *note, char *dst, size_t dst_bytes)
{
    size_t used = 0;
    while (*note && used + 8 < dst_bytes) {
        const char *nodes = strstr(note, " node"), *close = strchr(note, ')');
        size_t word = strcspn(note, " '");
        if (*note == '\'') {
            const char *end = strchr(note + 1, '\'');
            used += (size_t)snprintf(dst + used, dst_bytes - used, "'*'");
            note = end ? end + 1 : note + strlen(note);
        } else if (*note == '(' && nodes && close && nodes < close) {
            note = close + 1;
        } else if (memchr(note, '/', word)) {
            used += (size_t)snprintf(dst + used, dst_bytes - used, "*");
            note += word;
        } else {
            size_t count = word ? word : 1;
            if (count > dst_bytes - used - 8) count = dst_bytes - used - 8;
            memcpy(dst + used, note, count);
            used += count;
            note += count;
        }
    }
    dst[used] = 0;
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(((const group *)a)->text, ((const group *)b)->text);
}

static int compare_count(const void *a, const void *b)
{
    long x = ((const group *)a)->count, y = ((const group *)b)->count;
    return x != y ? (x < y ? 1 : -1) : compare_text(a, b);
}

static void print_groups(const test_case *cases, long count)
{
    group *groups = calloc((size_t)count + 1, sizeof(*groups));
    long used = 0, kinds = 0;
    if (!groups) return;
    for (long i = 0; i < count; i++) {
        if (cases[i].outcome.verdict != FAILED) continue;
        strip_names(cases[i].outcome.note, groups[used].text, sizeof(groups[used].text));
        groups[used].example = cases[i].name;
        groups[used++].count = 1;
    }
    qsort(groups, (size_t)used, sizeof(*groups), compare_text);
    for (long i = 0; i < used; i++) {
        if (kinds && strcmp(groups[kinds - 1].text, groups[i].text) == 0) groups[kinds - 1].count++;
        else groups[kinds++] = groups[i];
    }
    qsort(groups, (size_t)kinds, sizeof(*groups), compare_count);
    if (kinds) printf("failures by cause:\n");
    for (long i = 0; i < kinds && i < GROUPS_SHOWN; i++)
        printf("  %4ld  %.200s  (%s)\n", groups[i].count, groups[i].text, groups[i].example);
    if (kinds > GROUPS_SHOWN) printf("  and %ld causes more\n", kinds - GROUPS_SHOWN);
    free(groups);
}

/* ---- Manifest
 * ------------------------------------------------------------------------------------*/

static test_case *find_case(test_case *cases, long count, const char *name)
{
    long low = 0, high = count;
    while (low < high) {
        long middle = (low + high) / 2;
        int order = strcmp(cases[middle].name, name);
        if (order == 0) return &cases[middle];
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    return NULL;
}

static int write_manifest(const test_case *cases, long count, const options *o)
{
    FILE *file = fopen(o->manifest, "w");
    if (!file) {
        fprintf(stderr, "conformance: cannot write %s: %s\n", o->manifest, strerror(errno));
        return 2;
    }
    fprintf(file, "# Cases that must pass; conformance --bless writes this file.\n");
    for (long i = 0; i < count; i++)
        if (cases[i].outcome.verdict == PASSED) fprintf(file, "%s\n", cases[i].name);
    return fclose(file) == 0 ? 0 : 2;
}

/* Says what differs from the manifest and returns how many cases do. */
static long compare_manifest(test_case *cases, long count, const options *o)
{
    FILE *file = fopen(o->manifest, "r");
    char line[NAME_MAX_BYTES + 2];
    bool *listed = calloc((size_t)count + 1, sizeof(*listed));
    long differing = 0;
    while (listed && file && fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = 0;
        if (!line[0] || line[0] == '#' || (o->filter && !strstr(line, o->filter))) continue;
        const test_case *c = find_case(cases, count, line);
        if (c) listed[c - cases] = true;
        if (c && c->outcome.verdict == PASSED) continue;
        printf("LOST %s: %s\n", line, c ? c->outcome.note : "the case was not found");
        differing++;
    }
    for (long i = 0; listed && i < count; i++) {
        if (cases[i].outcome.verdict != PASSED || listed[i]) continue;
        printf("NEW  %s: passes but is not in the manifest\n", cases[i].name);
        differing++;
    }
    if (!file) printf("there is no manifest %s; --bless writes it\n", o->manifest);
    if (file) fclose(file);
    free(listed);
    if (differing) printf("%ld cases differ from %s\n", differing, o->manifest);
    return differing;
}

/* ---- Options
 * -------------------------------------------------------------------------------------*/

static bool read_options(int argc, char **argv, options *o)
{
    static const struct option known[] = {
        {"mode", required_argument, NULL, 'm'},
        {"manifest", required_argument, NULL, 'f'},
        {"keep", required_argument, NULL, 'k'},
        {"bless", no_argument, NULL, 'b'},
        {"filter", required_argument, NULL, 'F'},
        {"rtol", required_argument, NULL, 'r'},
        {"atol", required_argument, NULL, 'a'},
        {"timeout", required_argument, NULL, 't'},
        {"jobs", required_argument, NULL, 'j'},
        {"expect-cases", required_argument, NULL, 'e'},
        {"no-optimize", no_argument, NULL, 'n'},
        {"verbose", no_argument, NULL, 'v'},
        {"operators", no_argument, NULL, 'O'},
        {"share", no_argument, NULL, 's'},
        {0},
    };
    *o = (options){.rtol = 1e-3, .atol = 1e-5, .timeout_s = 20, .jobs = 2};
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 'm':
            o->baked = strcmp(optarg, "baked") == 0;
            o->dynamic = strcmp(optarg, "dynamic") == 0;
            o->written = strcmp(optarg, "written") == 0;
            if (!o->baked && !o->dynamic && !o->written && strcmp(optarg, "given") != 0)
                return false;
            break;
        case 'k': o->keep = optarg; break;
        case 'f': o->manifest = optarg; break;
        case 'b': o->bless = true; break;
        case 'F': o->filter = optarg; break;
        case 'r': o->rtol = strtod(optarg, NULL); break;
        case 'a': o->atol = strtod(optarg, NULL); break;
        case 't': o->timeout_s = atoi(optarg); break;
        case 'j': o->jobs = atoi(optarg); break;
        case 'e': o->expected_cases = atol(optarg); break;
        case 'n': o->no_optimize = true; break;
        case 'v': o->verbose = true; break;
        case 'O': o->operators = true; break;
        case 's': o->share = true; break;
        default: return false;
        }
    }
    if (o->jobs < 1 || o->jobs > JOBS_MAX || o->timeout_s < 1) return false;
    return optind + 1 == argc && !(o->bless && (!o->manifest || o->filter));
}

/* The cases whose names have the filter in them come first, in their order; how many there are. */
static long apply_filter(test_case *cases, long count, const char *filter)
{
    long kept = 0;
    for (long i = 0; i < count; i++) {
        if (filter && !strstr(cases[i].name, filter)) continue;
        test_case c = cases[i];
        cases[i] = cases[kept];
        cases[kept++] = c;
    }
    return kept;
}

int main(int argc, char **argv)
{
    options o;
    long found = 0, totals[3] = {0};
    if (!read_options(argc, argv, &o)) {
        fputs(usage, stderr);
        return 2;
    }
    test_case *cases = find_cases(argv[optind], &found);
    if (found < o.expected_cases || !found) {
        fprintf(stderr, "conformance: %ld cases found in %s, %ld expected\n", found, argv[optind],
                o.expected_cases);
        return 2;
    }
    long count = apply_filter(cases, found, o.filter);
    run_all(cases, count, &o);
    for (long i = 0; o.operators && i < count; i++) {
        printf("ops %s ", cases[i].name);
        print_operators(cases[i].model, stdout);
        printf("\n");
    }
    for (long i = 0; i < count; i++) totals[cases[i].outcome.verdict]++;
    print_groups(cases, count);
    long differing = 0;
    int code = 0;
    if (o.manifest && o.bless) code = write_manifest(cases, count, &o);
    else if (o.manifest) differing = compare_manifest(cases, count, &o);
    printf("%ld passed, %ld failed, %ld skipped\n", totals[PASSED], totals[FAILED],
           totals[SKIPPED]);
    free_cases(cases, found);
    if (code) return code;
    if (o.manifest) return differing ? 1 : 0;
    return totals[FAILED] ? 1 : 0;
}
