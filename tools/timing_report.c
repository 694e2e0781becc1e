/* What was timed, in trtexec's words and files. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "timing.h"

plain_number plain(double value)
{
    plain_number out;
    double size = fabs(value);
    if (size >= 1e6) snprintf(out.text, sizeof(out.text), "%.0f", value);
    else if (size >= 1e-4 || size == 0) snprintf(out.text, sizeof(out.text), "%g", value);
    else {
        snprintf(out.text, sizeof(out.text), "%.9f", value);
        size_t end = strlen(out.text);
        while (out.text[end - 1] == '0') out.text[--end] = 0;
        if (out.text[end - 1] == '.') out.text[end - 1] = 0;
    }
    return out;
}

/* ---- On the console --------------------------------------------------------------------------*/

static void print_averages(const trace *t, const timing_options *options)
{
    log_line('I', "%s", "");
    log_line('I', "=== Trace details ===");
    log_line('I', "Trace averages of %d runs:", options->avg_runs);
    size_t group = options->avg_runs > 0 ? (size_t)options->avg_runs : 1, lines = t->count / group,
           shown = 200;
    for (size_t line = 0; line < lines; line++) {
        if (lines > 2 * shown && line == shown) {
            log_line('I', "... Omitting %zu lines", lines - 2 * shown);
            line = lines - shown;
        }
        double compute = 0, enqueue = 0, host = 0;
        for (size_t i = line * group; i < (line + 1) * group; i++) {
            compute += query_time(&t->at[i], TIME_COMPUTE);
            enqueue += query_time(&t->at[i], TIME_ENQUEUE);
            host += query_time(&t->at[i], TIME_LATENCY);
        }
        double n = (double)group;
        log_line('I',
                 "Average on %d runs - %s latency: %s ms - Host latency: %s ms (enqueue %s ms)",
                 (int)group, options->device, plain(compute / n).text, plain(host / n).text,
                 plain(enqueue / n).text);
    }
}

static void print_row(const char *name, const summary *s)
{
    char line[1024];
    int at = snprintf(
        line, sizeof(line), "%s: min = %s ms, max = %s ms, mean = %s ms, median = %s ms", name,
        plain(s->min).text, plain(s->max).text, plain(s->mean).text, plain(s->median).text);
    for (int i = 0; i < s->percentile_count && at < (int)sizeof(line) - 64; i++)
        at += snprintf(line + at, sizeof(line) - (size_t)at, ", percentile(%g%%) = %s ms",
                       s->percentile[i], plain(s->at_percentile[i]).text);
    log_line('I', "%s", line);
}

static void warn(const timing_options *options, const char *what, const char *hint)
{
    log_line('W', "* %s", what);
    if (options->hints) log_line('W', "  %s", hint);
}

static void print_warnings(const trace *t, const summary *row, const timing_options *options)
{
    char line[256];
    double compute = row[TIME_COMPUTE].median;
    /* On the CPU the call is the computing. */
    if (t->at[0].device_ms >= 0 && row[TIME_ENQUEUE].median > 0.8 * compute)
        warn(options,
             "Throughput may be bound by Enqueue Time rather than GPU Compute and the GPU may be "
             "under-utilized.",
             "If not already in use, --useCudaGraph (utilize CUDA graphs where possible) may "
             "increase the throughput.");
    for (int kind = TIME_H2D; kind <= TIME_D2H; kind += TIME_D2H - TIME_H2D) {
        if (row[kind].median < compute || options->no_transfers) continue;
        snprintf(line, sizeof(line),
                 "Throughput may be bound by %s rather than %s Compute and the %s may be "
                 "under-utilized.",
                 kind == TIME_H2D ? "host-to-device transfers for the inputs"
                                  : "device-to-host transfers for the outputs",
                 options->device, options->device);
        warn(options, line, "Add --noDataTransfers flag to disable data transfers.");
    }
    if (row[TIME_COMPUTE].variance_percent > 1.0) {
        snprintf(line, sizeof(line),
                 "%s compute time is unstable, with coefficient of variance = %s%%.",
                 options->device, plain(row[TIME_COMPUTE].variance_percent).text);
        warn(options, line,
             "If not already in use, locking GPU clock frequency or adding --useSpinWait may "
             "improve the stability.");
    }
    if (options->streams > 1)
        warn(options,
             "Multiple inference streams are used. Latencies may not be accurate since inferences "
             "may run in",
             "parallel. Please use \"Throughput\" as the performance metric instead.");
}

static void print_explanations(const timing_options *options)
{
    const char *device = options->device;
    static const char *const lines[] = {
        "Throughput: queries divided by Total Host Walltime.",
        "Enqueue Time: time of the call that starts a query; on the CPU the call runs it.",
        "H2D Latency: time to hand one query's inputs to the engine.",
        "D2H Latency: time to hand one query's outputs back.",
        "Latency: H2D Latency + time from the start to the end of a query + D2H Latency.",
    };
    log_line('V', "=== Explanations of the performance metrics ===");
    log_line('V', "Total Host Walltime: host time from the start of the first measured query to "
                  "the end of the last.");
    log_line('V',
             "%s Compute Time: time the kernels of one query take; on a card, between two events "
             "on its stream%s.",
             device,
             options->apart ? ""
                            : ", with the copies of inputs and outputs unless --noDataTransfers is "
                              "given");
    log_line('V',
             "Total %s Compute Time: %s Compute Time of all queries; far below the walltime, the "
             "host was busy.",
             device, device);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) log_line('V', "%s", lines[i]);
}

static double wall_ms(const trace *t)
{
    double end = 0;
    for (size_t i = 0; i < t->count; i++)
        if (t->at[i].d2h_end > end) end = t->at[i].d2h_end;
    return end - t->at[0].h2d_begin;
}

bool timing_print(const trace *t, const timing_options *options)
{
    char name[64];
    double percentile[16], wall_s = wall_ms(t) * 1e-3;
    int percentile_count = percentiles_parse(options->percentile, percentile, 16);
    if (percentile_count < 0) return false;
    summary row[TIME_KINDS];
    for (int kind = 0; kind < TIME_KINDS; kind++)
        if (!summarize(t->at, t->count, (time_kind)kind, percentile, percentile_count, &row[kind]))
            return false;
    log_line('I', "Warmup completed %d queries over %s ms", t->warm_up_count,
             plain(t->warm_up_ms).text);
    log_line('I', "Timing trace has %zu queries over %s s", t->count, plain(wall_s).text);
    print_averages(t, options);
    log_line('I', "%s", "");
    log_line('I', "=== Performance summary ===");
    log_line('I', "Throughput: %s qps", plain((double)t->count / wall_s).text);
    print_row("Latency", &row[TIME_LATENCY]);
    print_row("Enqueue Time", &row[TIME_ENQUEUE]);
    print_row("H2D Latency", &row[TIME_H2D]);
    snprintf(name, sizeof(name), "%s Compute Time", options->device);
    print_row(name, &row[TIME_COMPUTE]);
    print_row("D2H Latency", &row[TIME_D2H]);
    log_line('I', "Total Host Walltime: %s s", plain(wall_s).text);
    log_line('I', "Total %s Compute Time: %s s", options->device,
             plain(row[TIME_COMPUTE].mean * (double)t->count * 1e-3).text);
    print_warnings(t, row, options);
    log_line('I', "Explanations of the performance metrics are printed in the verbose logs.");
    if (options->verbose) print_explanations(options);
    return true;
}

/* ---- Files -----------------------------------------------------------------------------------*/

bool timing_export(const trace *t, const char *path)
{
    FILE *file = save_begin(path);
    if (!file) return false;
    double zero = t->at[0].h2d_begin;
    fprintf(file, "[\n");
    for (size_t i = 0; i < t->count; i++) {
        const query *q = &t->at[i];
        const struct {
            const char *name;
            double ms;
        } fields[] = {
            {"startEnqMs", q->enqueue_begin - zero},     {"endEnqMs", q->enqueue_end - zero},
            {"startH2dMs", q->h2d_begin - zero},         {"endH2dMs", q->h2d_end - zero},
            {"startComputeMs", q->compute_begin - zero}, {"endComputeMs", q->d2h_begin - zero},
            {"startD2hMs", q->d2h_begin - zero},         {"endD2hMs", q->d2h_end - zero},
            {"h2dMs", query_time(q, TIME_H2D)},          {"computeMs", query_time(q, TIME_COMPUTE)},
            {"d2hMs", query_time(q, TIME_D2H)},          {"latencyMs", query_time(q, TIME_LATENCY)},
        };
        fprintf(file, "  %c {", i ? ',' : ' ');
        for (size_t k = 0; k < sizeof(fields) / sizeof(fields[0]); k++)
            fprintf(file, "%s \"%s\" : %g", k ? "," : "", fields[k].name, fields[k].ms);
        fprintf(file, " }\n");
    }
    fprintf(file, "]\n");
    return save_end(file, path);
}

/* ---- Step by step ----------------------------------------------------------------------------*/

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* A context sums times up, so what one run took is a difference. */
static tn_status read_times(session *s, profile *p, double *run_ms, int run)
{
    for (int i = 0; i < p->step_count; i++) {
        double before = p->step[i].total_ms;
        tn_status status = tn_context_step_time(s->context, i, &p->step[i]);
        if (status) return status;
        run_ms[i * p->run_count + run] = p->step[i].total_ms - before;
    }
    return NULL;
}

tn_status profile_measure(session *s, int runs, profile *out)
{
    *out = (profile){.run_count = runs};
    double *run_ms = NULL;
    tn_status status = tn_context_profile(s->context, true);
    for (int run = 0; run < runs && !status; run++) {
        status = session_run(s);
        if (!status && run == 0) {
            size_t count = (size_t)(out->step_count = tn_context_step_count(s->context));
            out->step = calloc(count + 1, sizeof(*out->step));
            out->median_ms = calloc(count + 1, sizeof(*out->median_ms));
            run_ms = calloc(count * (size_t)runs + 1, sizeof(*run_ms));
            if (!out->step || !out->median_ms || !run_ms) {
                fprintf(stderr, "error: out of memory for %zu layers\n", count);
                out->step_count = 0;
                break;
            }
        }
        if (!status) status = read_times(s, out, run_ms, run);
    }
    for (int i = 0; i < out->step_count && !status; i++) {
        qsort(run_ms + i * runs, (size_t)runs, sizeof(*run_ms), by_size);
        out->median_ms[i] = (run_ms[i * runs + (runs - 1) / 2] + run_ms[i * runs + runs / 2]) / 2;
    }
    free(run_ms);
    if (status) {
        profile_fini(out);
        return status;
    }
    return tn_context_profile(s->context, false);
}

static double sum_ms(const profile *p)
{
    double sum = 0;
    for (int i = 0; i < p->step_count; i++) sum += p->step[i].total_ms;
    return sum;
}

void profile_print(const profile *p, bool tactics)
{
    double sum = sum_ms(p), medians = 0, runs = p->run_count;
    log_line('I', "%s", "");
    log_line('I', "=== Profile (%d iterations ) ===", p->run_count);
    log_line('I', "   Time(ms)     Avg.(ms)   Median(ms)   Time(%%)   Layer");
    for (int i = 0; i < p->step_count; i++) {
        const tn_step_time *step = &p->step[i];
        medians += p->median_ms[i];
        if (step->total_ms == 0) continue;
        log_line('I', "%11.2f %12.4f %12.4f %9.1f   %s%s%s%s", step->total_ms,
                 step->total_ms / runs, p->median_ms[i], sum > 0 ? 100 * step->total_ms / sum : 0,
                 step->name, tactics ? "  [" : "", tactics ? step->tactic : "", tactics ? "]" : "");
    }
    log_line('I', "%11.2f %12.4f %12.4f %9.1f   Total", sum, sum / runs, medians, 100.0);
    log_line('I', "%s", "");
}

bool profile_export(const profile *p, const char *path)
{
    double sum = sum_ms(p);
    FILE *file = save_begin(path);
    if (!file) return false;
    fprintf(file, "[\n  { \"count\" : %d }\n", p->run_count);
    for (int i = 0; i < p->step_count; i++) {
        const tn_step_time *step = &p->step[i];
        fprintf(file, ", { \"name\" : ");
        print_json_text(file, step->name);
        fprintf(file,
                ", \"timeMs\" : %g, \"averageMs\" : %g, \"medianMs\" : %g, \"percentage\" : %g }\n",
                step->total_ms, step->total_ms / p->run_count, p->median_ms[i],
                sum > 0 ? 100 * step->total_ms / sum : 0);
    }
    fprintf(file, "]\n");
    return save_end(file, path);
}

void profile_fini(profile *p)
{
    free(p->step);
    free(p->median_ms);
    *p = (profile){0};
}
