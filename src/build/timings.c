/* Measured times, and the text file that keeps them from build to build.
 *
 *     # tenon timings 1
 *     Softmax{axis=1} f32[2,3] -> f32[2,3] TAB cpu.softmax.f32.rows.avx2 TAB 1 TAB Xeon (2 cores),
 * 2 threads TAB 812
 *
 * One line for each (problem, tactic, revision, machine): nanoseconds. A card's software is part of
 * the machine. The lines are sorted, so
 * that the same measurements give the same file, and files can be merged by concatenation.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cuda/cuda.h"
#include "base/log.h"
#include "build/stage.h"

static const char header[] = "# tenon timings 1\n";

tn_status tn_timings_init(tn_timings *timings, const tn_engine *engine, tn_arena *arena)
{
    tn_card *card = engine->card;
    tn_text text = {0};
    *timings = (tn_timings){.arena = arena};
    tn_map_init(&timings->index, arena);
    tn_text_printf(&text, "%s, %d threads", engine->device.name, tn_pool_threads(engine->pool));
    if (card) tn_text_printf(&text, ", %s", card->info.name);
    if (card && card->backend->card->software) {
        tn_text_printf(&text, ", ");
        card->backend->card->software(card, &text);
    }
    char *machine = text.failed ? NULL : tn_arena_text(arena, text.at, text.bytes);
    tn_text_fini(&text);
    TN_CHECK(machine, TN_OUT_OF_MEMORY, "no memory for timings");
    for (char *c = machine; *c; c++)
        if (*c == '\t' || *c == '\n') *c = ' ';
    timings->machine = machine;
    return NULL;
}

static tn_status make_key(tn_arena *arena, const tn_timing *t, char **out)
{
    *out = tn_arena_printf(arena, "%s\t%s\t%u\t%s", t->problem, t->tactic, t->revision, t->machine);
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory for timings");
    return NULL;
}

static tn_status put(tn_timings *timings, const tn_timing *timing)
{
    char *key;
    TN_TRY(make_key(timings->arena, timing, &key));
    tn_timing *known = tn_map_find(&timings->index, key);
    if (known) {
        known->ns = timing->ns;
        return NULL;
    }
    tn_timing *copy = TN_NEW(timings->arena, tn_timing);
    TN_CHECK(copy, TN_OUT_OF_MEMORY, "no memory for timings");
    *copy = *timing;
    TN_TRY(tn_arena_grow(timings->arena, &timings->list, timings->count, &timings->capacity,
                         timings->count + 1, sizeof(*timings->list)));
    timings->list[timings->count++] = copy;
    return tn_map_put(&timings->index, key, copy);
}

tn_status tn_timings_put(tn_timings *timings, const char *problem, const tn_tactic *tactic,
                         double ns)
{
    tn_timing timing = {.problem = tn_arena_text(timings->arena, problem, strlen(problem)),
                        .tactic = tactic->name,
                        .revision = tactic->revision,
                        .machine = timings->machine,
                        .ns = ns};
    TN_CHECK(timing.problem, TN_OUT_OF_MEMORY, "no memory for timings");
    timings->changed = true;
    return put(timings, &timing);
}

tn_status tn_timings_find(const tn_timings *timings, const char *problem, const tn_tactic *tactic,
                          bool *found, double *ns)
{
    tn_timing wanted = {.problem = problem,
                        .tactic = tactic->name,
                        .revision = tactic->revision,
                        .machine = timings->machine};
    tn_arena arena;
    char *key;
    *found = false;
    tn_arena_init(&arena);
    tn_status status = make_key(&arena, &wanted, &key);
    const tn_timing *timing = status ? NULL : tn_map_find(&timings->index, key);
    tn_arena_fini(&arena);
    if (timing) {
        *found = true;
        *ns = timing->ns;
    }
    return status;
}

/* ---- The file --------------------------------------------------------------------------------*/

enum { FIELDS = 5 };

/* Cuts a line at its tabs; false if it is no timing. */
static bool parse_line(char *line, tn_timing *out)
{
    char *field[FIELDS], *end;
    int count = 0;
    for (char *at = line; at && count < FIELDS; at = strchr(at, '\t')) {
        if (count > 0) *at++ = 0;
        field[count++] = at;
    }
    if (count != FIELDS || !*field[0] || !*field[1]) return false;
    unsigned long revision = strtoul(field[2], &end, 10);
    if (end == field[2] || *end || revision > UINT32_MAX) return false;
    double ns = strtod(field[4], &end);
    if (end == field[4] || *end || !isfinite(ns) || ns < 0) return false;
    *out = (tn_timing){field[0], field[1], (uint32_t)revision, field[3], ns};
    return true;
}

static bool is_stale(const tn_backend *backend, const tn_timing *t)
{
    const tn_tactic *tactic = tn_tactic_find(backend, t->tactic);
    if (!tactic) tactic = tn_tactic_find(&tn_backend_cuda, t->tactic);
    return tactic && tactic->revision != t->revision;
}

tn_status tn_timings_parse(tn_timings *timings, const tn_backend *backend, const char *path,
                           const char *from, size_t bytes)
{
    int64_t bad = 0, stale = 0;
    char *text = tn_arena_text(timings->arena, from, bytes);
    TN_CHECK(text, TN_OUT_OF_MEMORY, "no memory to read %s", path);
    char *end = text + bytes;
    for (char *line = text; line < end;) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        if (!stop) stop = end;
        tn_timing timing;
        bool comment = *line == '#' || line == stop,
             whole = !memchr(line, 0, (size_t)(stop - line));
        *stop = 0; /* at the end this is the zero behind the text */
        if (!comment) {
            if (!whole || !parse_line(line, &timing)) bad++;
            else if (is_stale(backend, &timing)) stale++;
            else TN_TRY(put(timings, &timing));
        }
        line = stop + 1;
    }
    if (bad)
        tn_log(TN_LOG_WARNING, "%s: %lld lines are no timings and were ignored", path,
               (long long)bad);
    if (stale)
        tn_log(TN_LOG_INFO, "%s: %lld timings are of older kernels and were dropped", path,
               (long long)stale);
    timings->changed |= bad > 0 || stale > 0;
    return NULL;
}

tn_status tn_timings_load(tn_timings *timings, const tn_backend *backend, const char *path)
{
    tn_mapping file;
    tn_status status = tn_file_map(path, &file);
    if (tn_status_code(status) == TN_NOT_FOUND) {
        timings->changed = true; /* so that a file is made even if nothing had to be measured */
        return NULL;
    }
    TN_TRY(status);
    if (file.bytes)
        status = tn_timings_parse(timings, backend, path, (const char *)file.at, file.bytes);
    tn_file_unmap(&file);
    return status;
}

static int compare_timings(const void *a, const void *b)
{
    const tn_timing *x = *(tn_timing *const *)a, *y = *(tn_timing *const *)b;
    int order = strcmp(x->problem, y->problem);
    if (!order) order = strcmp(x->tactic, y->tactic);
    if (!order) order = x->revision < y->revision ? -1 : x->revision > y->revision;
    return order ? order : strcmp(x->machine, y->machine);
}

void tn_timings_print(const tn_timings *timings, tn_text *out)
{
    if (timings->count > 0)
        qsort(timings->list, (size_t)timings->count, sizeof(*timings->list), compare_timings);
    tn_text_append(out, header, sizeof(header) - 1);
    for (int64_t i = 0; i < timings->count; i++) {
        const tn_timing *t = timings->list[i];
        tn_text_printf(out, "%s\t%s\t%u\t%s\t%.0f\n", t->problem, t->tactic, t->revision,
                       t->machine, t->ns);
    }
}

tn_status tn_timings_merge(tn_timings *timings, const tn_timings *from)
{
    for (int64_t i = 0; i < from->count; i++) {
        const tn_timing *t = from->list[i];
        tn_timing copy = *t;
        copy.problem = tn_arena_text(timings->arena, t->problem, strlen(t->problem));
        copy.tactic = tn_arena_text(timings->arena, t->tactic, strlen(t->tactic));
        copy.machine = tn_arena_text(timings->arena, t->machine, strlen(t->machine));
        TN_CHECK(copy.problem && copy.tactic && copy.machine, TN_OUT_OF_MEMORY,
                 "no memory for timings");
        TN_TRY(put(timings, &copy));
    }
    timings->changed |= from->count > 0;
    return NULL;
}

tn_status tn_timings_save(const tn_timings *timings, const char *path)
{
    tn_text text = {0};
    tn_file_write file;
    if (!timings->changed) return NULL;
    tn_timings_print(timings, &text);
    tn_status status = text.failed ? TN_ERROR(TN_OUT_OF_MEMORY, "no memory to write %s", path)
                                   : tn_file_write_begin(path, &file);
    if (!status) {
        status = tn_file_write_bytes(&file, text.at, text.bytes);
        if (!status) status = tn_file_write_commit(&file);
        tn_file_write_end(&file);
    }
    tn_text_fini(&text);
    return status ? tn_status_trail(status, __FILE__, __LINE__, __func__) : NULL;
}
