/* What a build did, for people (the report) and for readers of engine files (the meta lines). Both
 * go into the file, so nothing here may differ between two builds that made the same choices:
 * measured times are kept apart. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "build/stage.h"
#include "ops/user_op.h"

static void append(tn_text *out, const tn_text *text)
{
    if (text->bytes) tn_text_append(out, text->at, text->bytes);
}

static const char *const precisions[] = {[TN_PRECISION_F32] = "fp32",
                                         [TN_PRECISION_TF32] = "tf32",
                                         [TN_PRECISION_F16] = "fp16",
                                         [TN_PRECISION_BF16] = "bf16"};

const char *tn_precision_name(tn_precision precision)
{
    return precisions[precision];
}

tn_precision tn_precision_find(const char *name)
{
    for (size_t i = 0; i < TN_COUNT(precisions); i++)
        if (!strcmp(precisions[i], name)) return (tn_precision)i;
    return TN_PRECISION_F32;
}

static void print_precision(const tn_record *r, tn_text *out)
{
    if (r->asked == TN_PRECISION_F32) return;
    tn_text_printf(out, "precision: %s", tn_precision_name(r->precision));
    if (r->precision != r->asked)
        tn_text_printf(out, " instead of %s, which loses too much here",
                       tn_precision_name(r->asked));
    if (r->lowered.low)
        tn_text_printf(out, ", %" PRId64 " nodes computed in it, %" PRId64 " in fp32",
                       r->lowered.low, r->lowered.kept);
    tn_text_printf(out, "\n");
    for (int i = 0; i < r->held_count; i++)
        tn_text_printf(out, "  held back in fp32: '%s'\n", r->held[i]);
    if (r->rounded_count)
        tn_text_printf(out,
                       "  held back in fp32, since QuantizeLinear rounds what they give: %" PRId64
                       " nodes\n",
                       r->rounded_count);
}

static void print_report(const tn_engine *engine, const tn_record *r, tn_text *out)
{
    const tn_plan *plan = &engine->plan;
    int64_t kind[TN_STEP_MAP + 1] = {0}, own = 0;
    size_t bytes = 0;
    for (int32_t i = 0; i < plan->step_count; i++) kind[plan->step[i].kind]++;
    for (int i = TN_STEP_IF; i <= TN_STEP_MAP; i++) own += kind[i];
    for (int32_t i = 0; i < plan->constant_count; i++)
        if (engine->constant_place[i].order.packed < 0) bytes += engine->constant_place[i].bytes;
    tn_text_printf(out, "Tenon %s on %s%s\n", tn_version(),
                   engine->card ? engine->card->backend->name : engine->backend->name,
                   r->rebuilt ? ", built again from the portable graph, by estimates" : "");
    tn_text_printf(out, "graph: %" PRId64 " nodes%s, %" PRId64 " after\n", r->nodes_before,
                   r->optimised ? "" : ", no passes were run", r->nodes_after);
    print_precision(r, out);
    append(out, &r->partition);
    tn_text_printf(out,
                   "plan: %d steps: %" PRId64 " kernels, %" PRId64 " of dims, %" PRId64
                   " copies, %" PRId64 " of control flow and sequences; %d constants, %zu bytes\n",
                   plan->step_count, kind[TN_STEP_LAUNCH], kind[TN_STEP_DIMS], kind[TN_STEP_COPY],
                   own, plan->constant_count, bytes);
    tn_text_printf(out, "choices:\n");
    append(out, &r->choices);
    append(out, &r->gate);
    tn_text_printf(out, "check: %s\n", r->check);
    if (r->check_before) tn_text_printf(out, "check before tuning: %s\n", r->check_before);
}

/* Operators of users, each once, in the order of the plan, with where they came from: a reader that
 * lacks them has to say what to do. Recursion: as deep as plans are nested. */
static void print_operators(const tn_plan *plan, tn_text *out)
{
    char line[300];
    for (int32_t i = 0; i < plan->step_count; i++) {
        const tn_op *op =
            plan->step[i].kind == TN_STEP_LAUNCH ? tn_op_find_any(plan->step[i].op) : NULL;
        const char *library = op ? tn_user_op_library(op) : NULL;
        if (!library) continue;
        snprintf(line, sizeof(line), "\nop:%s=", op->name);
        if (!out->failed && !strstr(out->at, line))
            tn_text_printf(out, "%s%s\n", line + 1, library);
    }
    for (int32_t i = 0; i < plan->sub_count; i++) print_operators(plan->sub[i], out);
}

static void print_meta(const tn_engine *engine, const tn_record *r, tn_text *out)
{
    const tn_card *card = engine->card;
    tn_text_printf(out, "tenon=%s\nparams=%016llx\ndevice=%s\nmachine=%s\n", tn_version(),
                   (unsigned long long)tn_exec_params_hash(engine->backend),
                   card ? card->backend->name : engine->backend->name, engine->device.name);
    if (card) tn_text_printf(out, "card=%s\n", card->info.name);
    tn_text_printf(out, "check=%s\n", r->check);
    if (r->tolerance > 0) tn_text_printf(out, "tolerance=%.9g\n", r->tolerance);
    if (r->rebuilt) tn_text_printf(out, "rebuilt=yes\n");
    if (r->precision != TN_PRECISION_F32)
        tn_text_printf(out, "precision=%s\n", tn_precision_name(r->precision));
    for (int i = 0, k = 0; i < r->profile_count; i++) {
        if (strchr(r->profiles[i].input, '\n')) continue;
        tn_text_printf(out, "profile:%d=", k++);
        tn_profile_print(&r->profiles[i], out);
        tn_text_printf(out, "\n");
    }
    for (int i = 0, k = 0; i < r->held_count; i++)
        if (!strchr(r->held[i], '\n')) tn_text_printf(out, "held:%d=%s\n", k++, r->held[i]);
    print_operators(&engine->plan, out);
}

static tn_status keep(tn_engine *engine, tn_text *text, const char **out)
{
    TN_CHECK(!text->failed, TN_OUT_OF_MEMORY, "no memory for the report");
    *out = tn_arena_text(&engine->arena, text->at ? text->at : "", text->bytes);
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory for the report");
    return NULL;
}

tn_status tn_report(tn_engine *engine, const tn_record *record)
{
    tn_text report = {0}, meta = {0}, measured = {0};
    print_report(engine, record, &report);
    print_meta(engine, record, &meta);
    append(&measured, &record->measured);
    tn_status status = keep(engine, &report, &engine->report);
    if (!status) status = keep(engine, &meta, &engine->meta);
    if (!status && measured.bytes) status = keep(engine, &measured, &engine->measured);
    tn_text_fini(&report);
    tn_text_fini(&meta);
    tn_text_fini(&measured);
    return status;
}

void tn_record_fini(tn_record *record)
{
    tn_text_fini(&record->partition);
    tn_text_fini(&record->choices);
    tn_text_fini(&record->gate);
    tn_text_fini(&record->measured);
}
