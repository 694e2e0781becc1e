/* Which tactics serve a node, in order of preference.
 *
 * Every tactic of the operator is asked, and a refusal is written down with its reason. Those that
 * accept are measured where there are several and the budget allows; else they are ranked by their
 * estimates, else by their place in the table, which is best first. A later one has to win by a
 * clear margin, so that noise between equals does not make two builds differ. The reference always
 * stays as the last choice: it takes any shape that a run may bring.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "build/stage.h"
#include "ops/reference.h"

#define CLEAR_MARGIN 0.95
#define HOPELESS 1.9
#define PLENTY_MS 20   /* for each: then even the hopeless ones are measured */
#define CARD_LEFT_MS 1 /* a card's tactics take a few ms each: the last ones get that, too */

bool tn_tactic_is_reference(const tn_tactic *tactic)
{
    return strstr(tactic->name, ".reference") != NULL;
}

typedef struct candidate {
    const tn_tactic *tactic;
    double ns, estimated_ns; /* the latter: 0 where there is no estimate */
    bool known;              /* ns was measured, or estimated where nothing is measured */
} candidate;

typedef struct candidates {
    candidate at[TN_CANDIDATES_MAX];
    int count;
} candidates;

static void print_measured(tn_chooser *c, const char *problem, const candidate *at)
{
    tn_log(TN_LOG_INFO, "%s: %s takes %.0f ns", problem, at->tactic->name, at->ns);
    if (!c->measured) return;
    tn_text_printf(c->measured, "%s\n  %s: %.0f ns", problem, at->tactic->name, at->ns);
    if (at->estimated_ns > 0) tn_text_printf(c->measured, ", estimated %.0f", at->estimated_ns);
    tn_text_printf(c->measured, "\n");
}

/* A tactic that fails while it is measured is out, and says why. */
static tn_status time_candidate(tn_chooser *c, const char *problem, const tn_problem *p,
                                candidate *at, double limit_ms, bool *failed)
{
    bool found;
    TN_TRY(tn_timings_find(c->timings, problem, at->tactic, &found, &at->ns));
    at->known = found;
    if (found || limit_ms <= 0) return NULL;
    uint64_t begin = tn_clock_ns();
    tn_card *card = c->engine->card;
    bool on_card = card && tn_tactic_is_of(at->tactic, card->backend);
    if (on_card && !c->bench) TN_TRY(tn_card_bench_new(card, &c->bench));
    tn_status status = on_card ? tn_measure_card(c->bench, at->tactic, p, limit_ms, &at->ns)
                               : tn_measure(at->tactic, p, c->engine->pool, limit_ms, &at->ns);
    c->budget_ms -= (double)(tn_clock_ns() - begin) / 1e6;
    if (on_card) c->budget_ms = TN_MAX(c->budget_ms, CARD_LEFT_MS);
    if (tn_status_code(status) == TN_OUT_OF_MEMORY) return status;
    if (status) {
        *failed = true;
        tn_log(TN_LOG_WARNING, "%s: %s failed and is not used: %s", problem, at->tactic->name,
               tn_status_message(status));
        if (c->report)
            tn_text_printf(c->report, "    no: %s: failed: %s\n", at->tactic->name,
                           tn_status_message(status));
        return NULL;
    }
    at->known = true;
    print_measured(c, problem, at);
    return tn_timings_put(c->timings, problem, at->tactic, at->ns);
}

static void remove_candidate(candidates *list, int index)
{
    list->count--;
    memmove(&list->at[index], &list->at[index + 1],
            sizeof(candidate) * (size_t)(list->count - index));
}

/* Not worth measuring: what is estimated at far more than another and was not measured before,
 * unless there is plenty of time, `share` in all. The margin is wide, as estimates know little of
 * the machine. These go behind the others, whose number is *count. */
static tn_status set_apart(const tn_chooser *c, const char *problem, const tn_problem *p,
                           double share, candidates *list, int *count)
{
    candidates hopeless = {0};
    double least = INFINITY, ns;
    bool plenty = share > PLENTY_MS * list->count;
    *count = 0;
    for (int i = 0; i < list->count; i++) {
        const tn_tactic *tactic = list->at[i].tactic;
        list->at[i].estimated_ns = tactic->estimate_ns ? tactic->estimate_ns(p) : 0;
        if (tactic->estimate_ns) least = TN_MIN(least, list->at[i].estimated_ns);
    }
    for (int i = 0; i < list->count; i++) {
        bool measured;
        TN_TRY(tn_timings_find(c->timings, problem, list->at[i].tactic, &measured, &ns));
        bool apart = list->at[i].estimated_ns > HOPELESS * least && !measured && !plenty;
        if (apart) hopeless.at[hopeless.count++] = list->at[i];
        else list->at[(*count)++] = list->at[i];
    }
    memcpy(&list->at[*count], hopeless.at, sizeof(candidate) * (size_t)hopeless.count);
    return NULL;
}

/* A later one has to be faster by a clear margin. */
static int find_best(const candidates *list, int count, bool by_estimates)
{
    int best = 0;
    for (int i = 1; i < count; i++) {
        const candidate *a = &list->at[best], *b = &list->at[i];
        double before = by_estimates ? a->estimated_ns : a->ns;
        if ((by_estimates ? b->estimated_ns : b->ns) < before * CLEAR_MARGIN) best = i;
    }
    return best;
}

static void judge_estimates(tn_foresight *f, const candidates *list, int count, int best)
{
    const candidate *first = &list->at[best];
    for (int i = 0; i < count; i++)
        if (!(list->at[i].estimated_ns > 0 && list->at[i].ns > 0)) return;
    for (int i = 0; i < count; i++) {
        const candidate *at = &list->at[i];
        if (i == best) continue;
        double off = log(at->estimated_ns / first->estimated_ns) - log(at->ns / first->ns);
        f->square += off * off;
        f->others++;
    }
    f->problems++;
    f->best_ns += first->ns;
    f->chosen_ns += list->at[find_best(list, count, true)].ns;
}

void tn_choose_judge_estimates(const tn_chooser *chooser)
{
    const tn_foresight *f = &chooser->foresight;
    if (!f->problems || !chooser->measured || !chooser->measured->bytes) return;
    tn_text_printf(
        chooser->measured,
        "estimates, of %" PRId64 " problems with several kernels: from the best to another "
        "they are off by a factor of %.2f; by them alone those steps would take %.3f "
        "times as long\n",
        f->problems, exp(sqrt(f->square / (double)f->others)), f->chosen_ns / f->best_ns);
}

static tn_status rank(tn_chooser *c, const char *problem, const tn_problem *p, candidates *list)
{
    bool all_known = true, measured;
    int count;
    double share =
        c->budget_ms > 0 ? c->budget_ms / (double)TN_MAX(c->problems_left, INT64_C(1)) : 0;
    TN_TRY(set_apart(c, problem, p, share, list, &count));
    if (count < 2) return NULL;
    if (c->problems_left > 1) c->problems_left--;
    for (int i = 0; i < count;) {
        bool failed = false;
        TN_TRY(tn_watch_look(c->watch));
        TN_TRY(time_candidate(c, problem, p, &list->at[i], share / count, &failed));
        if (failed) {
            remove_candidate(list, i);
            count--;
        } else all_known &= list->at[i++].known;
    }
    measured = all_known && count > 0;
    if (!all_known) {
        all_known = true;
        for (int i = 0; i < count; i++) {
            list->at[i].known = list->at[i].estimated_ns > 0;
            list->at[i].ns = list->at[i].estimated_ns;
            all_known &= list->at[i].known;
        }
    }
    if (!all_known || count == 0) return NULL;
    int best = find_best(list, count, false);
    if (measured && count > 1) judge_estimates(&c->foresight, list, count, best);
    candidate first = list->at[best];
    memmove(&list->at[1], &list->at[0], sizeof(candidate) * (size_t)best);
    list->at[0] = first;
    return NULL;
}

static bool packs(const tn_tactic *tactic, const tn_problem *p)
{
    return p && tactic->packed_bytes && tactic->packed_bytes(p) > 0;
}

/* For all sizes. */
static bool is_chosen(const tn_choices *choices, const tn_tactic *tactic)
{
    for (int i = 0; i < choices->count; i++)
        if (choices->tactic[i] == tactic && !choices->from[i]) return true;
    return false;
}

/* Behind the best, of each range of sizes: others that cost no memory, for shapes that these
 * refuse, and the reference. The gate runs none of them, so they are no less precise than what it
 * runs. */
static void take_choices(const candidates *list, const tn_problem *p, const tn_tactic *reference,
                         tn_choices *out)
{
    tn_precision least = TN_PRECISION_F32;
    for (int i = 0; i < out->count; i++) least = TN_MAX(least, out->tactic[i]->precision);
    for (int i = 0; i < list->count && out->count < TN_CHOICES_MAX - 1; i++) {
        const tn_tactic *t = list->at[i].tactic;
        if (!out->count) least = t->precision;
        else if (is_chosen(out, t) || packs(t, p) || t->precision > least) continue;
        out->tactic[out->count++] = t;
    }
    if (reference) out->tactic[out->count++] = reference;
}

static void report_choice(tn_chooser *c, const char *problem, const tn_choices *choices,
                          const candidates *list)
{
    if (!c->report) return;
    tn_text_printf(c->report, "  %s\n", problem);
    for (int i = 0; i < choices->count; i++) {
        const char *by = i && !choices->from[i - 1] ? "else" : "by";
        tn_text_printf(c->report, "    %s: %s", by, choices->tactic[i]->name);
        if (choices->from[i])
            tn_text_printf(c->report, ", for %" PRId64 " elements and more", choices->from[i]);
        tn_text_printf(c->report, "\n");
    }
    for (int i = 0; i < list->count; i++) {
        bool kept = false;
        for (int k = 0; k < choices->count; k++) kept |= choices->tactic[k] == list->at[i].tactic;
        if (!kept) tn_text_printf(c->report, "    lost: %s\n", list->at[i].tactic->name);
    }
}

/* Who of a backend takes the problem; the reference, where it is of that backend, stands apart. */
static const tn_tactic *find_candidates(const tn_chooser *c, const tn_backend *backend,
                                        uint64_t features, const tn_problem *p, const char *op,
                                        candidates *list, tn_text *refusals)
{
    const tn_tactic *all[TN_CANDIDATES_MAX], *reference = NULL;
    int count = tn_tactics_of(backend, op, features, all, TN_CANDIDATES_MAX);
    for (int i = 0; i < count; i++) {
        if (tn_tactic_is_reference(all[i])) {
            reference = all[i];
            continue;
        }
        if (c->reference_only || !tn_tactic_is_allowed(all[i], c->precision)) continue;
        tn_verdict why = p && all[i]->accepts ? all[i]->accepts(p) : TN_YES;
        /* With run-time shapes there is no problem to ask about, and nothing to pack for. */
        if (!p && all[i]->pack) why = TN_NO("shapes are only known in a run");
        if (why) tn_text_printf(refusals, "    no: %s: %s\n", all[i]->name, why);
        else list->at[list->count++].tactic = all[i];
    }
    return reference;
}

/* Shapes to tune for are a guess where nobody gave them: sizes that no weight of the operator fits
 * say nothing of it, and must not be packed for. */
static tn_status check_fits(const tn_chooser *c, const tn_problem *p, tn_arena *arena)
{
    const tn_tactic *all[TN_CANDIDATES_MAX];
    int count = tn_tactics_of(c->engine->backend, p->op, c->engine->device.features, all,
                              TN_CANDIDATES_MAX);
    for (int i = 0; i < count; i++)
        if (tn_tactic_is_reference(all[i]) && all[i]->check) TN_TRY(all[i]->check(p, arena));
    return NULL;
}

/* Who is how fast at one size, best first. */
typedef struct sample {
    int64_t size; /* elements of the first result */
    candidates list;
} sample;
typedef struct samples {
    sample at[TN_OTHERS_MAX + 1]; /* by size */
    int count;
} samples;

static void add_sample(samples *s, int64_t size, const candidates *list)
{
    int at = s->count;
    for (int i = 0; i < s->count; i++)
        if (s->at[i].size == size) return;
    while (at > 0 && s->at[at - 1].size > size) at--;
    memmove(&s->at[at + 1], &s->at[at], sizeof(sample) * (size_t)(s->count - at));
    s->at[at] = (sample){size, *list};
    s->count++;
}

/* How much longer a tactic takes than the best there, as a logarithm; negative: not known. */
static double behind(const sample *s, const tn_tactic *tactic)
{
    for (int i = 0; i < s->list.count; i++) {
        const candidate *c = &s->list.at[i], *best = &s->list.at[0];
        if (c->tactic != tactic) continue;
        return c->known && best->known && best->ns > 0 ? fmax(log(c->ns / best->ns), 0) : -1;
    }
    return -1;
}

/* The size from which on the best of the larger sample is faster than that of the smaller one: as
 * if times grew by powers of the size between both. */
static int64_t crossing(const sample *a, const sample *b)
{
    double lost_a = behind(a, b->list.at[0].tactic), lost_b = behind(b, a->list.at[0].tactic);
    double share =
        lost_a < 0 || lost_b < 0 || lost_a + lost_b == 0 ? 0.5 : lost_a / (lost_a + lost_b);
    double size = (double)a->size * pow((double)b->size / (double)a->size, share);
    return TN_MAX((int64_t)ceil(size), a->size + 1);
}

/* Another size, for those that need no weights packed in another way than `first`. */
static tn_status add_size(tn_chooser *c, const tn_problem *q, const tn_problem *p,
                          const tn_tactic *first, samples *out)
{
    const tn_tactic *all[TN_CANDIDATES_MAX];
    candidates list = {0};
    tn_text text = {0};
    char *problem = NULL;
    int64_t size = tn_tensor_count(&q->out[0]);
    int count = tn_choose_on_card(c, q, all);
    for (int i = 0; i < count; i++)
        if (!packs(all[i], p) || (packs(first, p) && all[i]->pack == first->pack))
            list.at[list.count++].tactic = all[i];
    if (!list.count || size <= 0) return NULL;
    tn_problem_print(q, &text);
    TN_TRY(tn_text_take(&text, &problem));
    tn_status status = rank(c, problem, q, &list);
    tn_text_free(problem);
    if (!status && list.count) add_sample(out, size, &list);
    return status;
}

/* The best of each range of sizes, the largest first. */
static void take_ranges(const samples *s, tn_choices *out)
{
    for (int i = s->count - 1; i >= 0; i--) {
        const tn_tactic *best = s->at[i].list.at[0].tactic;
        if (i && s->at[i - 1].list.at[0].tactic == best) continue;
        out->from[out->count] = i ? crossing(&s->at[i - 1], &s->at[i]) : 0;
        out->tactic[out->count++] = best;
    }
}

/* Shapes that the operator does not take tell nothing. */
static tn_status ask_at_sizes(tn_chooser *c, const tn_node *node, const tn_problem *p,
                              const candidates *list, tn_choices *out)
{
    samples s = {0};
    tn_arena arena;
    tn_status status = NULL;
    add_sample(&s, tn_tensor_count(&p->out[0]), list);
    tn_arena_init(&arena);
    for (int i = 0; i < c->other_count && !status; i++) {
        tn_problem q;
        status = tn_node_problem(node, c->other[i], &arena, &q);
        if (!status) status = check_fits(c, &q, &arena);
        if (!status) status = add_size(c, &q, p, list->at[0].tactic, &s);
        else if (tn_status_code(status) != TN_OUT_OF_MEMORY) status = NULL;
    }
    tn_arena_fini(&arena);
    take_ranges(&s, out);
    return status;
}

static tn_status ask(tn_chooser *c, const tn_node *node, const char *problem, const tn_problem *p,
                     bool may_card, tn_choices *out)
{
    const char *op = node->op->name;
    candidates list = {0}, host = {0};
    tn_text refusals = {0};
    const tn_card *card = c->engine->card;
    if (card && may_card && p)
        find_candidates(c, card->backend, card->info.features, p, op, &list, &refusals);
    bool on_card = list.count > 0;
    const tn_tactic *reference = find_candidates(c, c->engine->backend, c->engine->device.features,
                                                 p, op, on_card ? &host : &list, &refusals);
    tn_text *report = c->report;
    c->report = report ? &refusals : NULL; /* what fails while it is measured goes there as well */
    *out = (tn_choices){0};
    tn_status status = p ? rank(c, problem, p, &list) : NULL;
    if (!status && on_card && list.count) status = ask_at_sizes(c, node, p, &list, out);
    c->report = report;
    take_choices(&list, p, reference, out);
    out->card = on_card && list.count > 0;
    report_choice(c, problem, out, &list);
    if (report && refusals.bytes) tn_text_append(report, refusals.at, refusals.bytes);
    tn_text_fini(&refusals);
    TN_TRY(status);
    TN_CHECK(out->count > 0, TN_UNSUPPORTED, "no tactic serves %s", problem);
    return NULL;
}

tn_status tn_choose_problem(const tn_chooser *chooser, const tn_node *node, tn_arena *arena,
                            tn_problem *out)
{
    TN_CHECK(chooser->values, TN_INVALID, "no shapes to tune for");
    TN_TRY(tn_node_problem(node, chooser->values, arena, out));
    return check_fits(chooser, out, arena);
}

int tn_choose_on_card(const tn_chooser *chooser, const tn_problem *p, const tn_tactic **out)
{
    const tn_card *card = chooser->engine->card;
    candidates list = {0};
    tn_text refusals = {0};
    find_candidates(chooser, card->backend, card->info.features, p, p->op, &list, &refusals);
    tn_text_fini(&refusals);
    for (int i = 0; i < list.count; i++) out[i] = list.at[i].tactic;
    return list.count;
}

static bool is_held(const tn_chooser *c, const tn_node *node)
{
    const char *name = node->out_count && node->out[0] ? node->out[0]->name : NULL;
    if (c->precision == TN_PRECISION_F32 || !name) return false;
    return (c->held && tn_map_has(c->held, name)) || (c->rounded && tn_map_has(c->rounded, name));
}

tn_status tn_choose(tn_chooser *chooser, const tn_node *node, bool may_card, tn_choices *out)
{
    tn_problem p;
    tn_text text = {0};
    tn_arena arena;
    tn_arena_init(&arena);
    tn_status status = tn_choose_problem(chooser, node, &arena, &p);
    bool known = !status;
    if (tn_status_code(status) == TN_OUT_OF_MEMORY) {
        tn_arena_fini(&arena);
        return status;
    }
    if (known) tn_problem_print(&p, &text);
    else tn_text_printf(&text, "%s with run-time shapes", node->op->name);
    if (!may_card && chooser->engine->card) tn_text_printf(&text, ", on the host");
    tn_precision allowed = chooser->precision;
    if (is_held(chooser, node)) {
        tn_text_printf(&text, ", held back");
        chooser->precision = TN_PRECISION_F32;
    }
    char *problem = NULL;
    status = tn_text_take(&text, &problem);
    const tn_choices *decided = status ? NULL : tn_map_find(&chooser->decided, problem);
    if (decided) {
        *out = *decided;
    } else if (!status) {
        status = ask(chooser, node, problem, known ? &p : NULL, may_card, out);
        tn_choices *copy = status ? NULL : TN_NEW(chooser->arena, tn_choices);
        out->problem = tn_arena_text(chooser->arena, problem, strlen(problem));
        if (!out->problem) copy = NULL;
        if (copy) *copy = *out;
        if (!status)
            status = copy ? tn_map_put(&chooser->decided, problem, copy)
                          : TN_ERROR(TN_OUT_OF_MEMORY, "no memory for a choice");
    }
    chooser->precision = allowed;
    tn_text_free(problem);
    tn_arena_fini(&arena);
    return status ? tn_status_trail(status, __FILE__, __LINE__, __func__) : NULL;
}
