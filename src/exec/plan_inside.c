/* Plans inside plans: making them, freeing them, and what must be true of the steps that run them.
 */
#include "exec/plan.h"

tn_status tn_plan_add_sub(tn_plan *plan, tn_plan **out, int32_t *number)
{
    int64_t capacity = plan->sub_count;
    tn_plan *sub = TN_NEW(&plan->arena, tn_plan);
    TN_CHECK(sub, TN_OUT_OF_MEMORY, "no memory for a plan");
    TN_TRY(tn_arena_grow(&plan->arena, &plan->sub, plan->sub_count, &capacity,
                         (int64_t)plan->sub_count + 1, sizeof(*plan->sub)));
    tn_arena_init(&sub->arena);
    *number = plan->sub_count;
    plan->sub[plan->sub_count++] = sub;
    *out = sub;
    return NULL;
}

void tn_plan_fini(tn_plan *plan)
{
    for (int32_t i = 0; i < plan->sub_count; i++) tn_plan_fini(plan->sub[i]);
    plan->sub_count = 0;
    tn_arena_fini(&plan->arena);
}

void tn_plan_set_constants(tn_plan *plan, tn_tensor *constant, int32_t count)
{
    plan->constant = constant;
    plan->constant_count = count;
    for (int32_t i = 0; i < plan->sub_count; i++)
        tn_plan_set_constants(plan->sub[i], constant, count);
}

/* ---- Steps with plans inside -----------------------------------------------------------------*/

/* Tensor `outer` of the plan is tensor `inner` of the one inside. An optional may be given a value.
 */
static bool same_kind(const tn_plan *plan, int32_t outer, const tn_plan *sub, int32_t inner)
{
    const tn_plan_tensor *a = &plan->tensor[outer], *b = &sub->tensor[inner];
    return a->dtype == b->dtype && (a->kind == TN_PLAN_TENSOR) == (b->kind == TN_PLAN_TENSOR);
}

static tn_status check_input(const tn_plan *plan, const tn_plan_step *s, int32_t k,
                             const tn_plan *sub, int32_t input)
{
    TN_CHECK(s->in[k] >= 0 && same_kind(plan, s->in[k], sub, sub->input[input].tensor), TN_CORRUPT,
             "plan: input %d of step '%s' is not what the plan inside reads", k, s->name);
    return NULL;
}

static tn_status check_output(const tn_plan *plan, const tn_plan_step *s, int32_t k,
                              const tn_plan *sub, int32_t output)
{
    TN_CHECK(output < sub->output_count, TN_CORRUPT,
             "plan: step '%s' has more outputs than the plan inside", s->name);
    TN_CHECK(s->out[k] < 0 || same_kind(plan, s->out[k], sub, sub->output[output].tensor),
             TN_CORRUPT, "plan: output %d of step '%s' is not what the plan inside gives", k,
             s->name);
    return NULL;
}

static tn_status check_carried(const tn_plan_step *s, const tn_plan *sub, int32_t input,
                               int32_t output, int64_t count)
{
    TN_CHECK(count >= 0 && count <= sub->input_count - input && count <= sub->output_count - output,
             TN_CORRUPT, "plan: step '%s' carries %lld values", s->name, (long long)count);
    for (int32_t i = 0; i < count; i++)
        TN_CHECK(same_kind(sub, sub->input[input + i].tensor, sub, sub->output[output + i].tensor),
                 TN_CORRUPT, "plan: step '%s' carries a value of changing type", s->name);
    return NULL;
}

static bool is_scalar(const tn_plan *plan, int32_t tensor, tn_dtype dtype)
{
    const tn_plan_tensor *t = &plan->tensor[tensor];
    return t->kind == TN_PLAN_TENSOR && t->dtype == dtype;
}

static tn_status verify_if(const tn_plan *plan, const tn_plan_step *s)
{
    TN_CHECK(s->sub_count == 2 && s->in_count >= 1 && s->in[0] >= 0 &&
                 is_scalar(plan, s->in[0], TN_DTYPE_BOOL),
             TN_CORRUPT, "plan: step '%s' has no condition or branches", s->name);
    for (int i = 0; i < 2; i++) {
        const tn_plan *sub = plan->sub[s->sub[i]];
        TN_CHECK(sub->input_count == s->in_count - 1, TN_CORRUPT,
                 "plan: step '%s' has another number of inputs than its branch", s->name);
        for (int32_t k = 1; k < s->in_count; k++) TN_TRY(check_input(plan, s, k, sub, k - 1));
        for (int32_t k = 0; k < s->out_count; k++) TN_TRY(check_output(plan, s, k, sub, k));
    }
    return NULL;
}

static tn_status verify_loop(const tn_plan *plan, const tn_plan_step *s)
{
    TN_CHECK(s->sub_count == 1 && s->number_count == 1 && s->in_count >= 2, TN_CORRUPT,
             "plan: step '%s' is no complete loop", s->name);
    const tn_plan *sub = plan->sub[s->sub[0]];
    bool fits = sub->input_count == s->in_count && sub->output_count >= 1 &&
                (s->in[0] < 0 || is_scalar(plan, s->in[0], TN_DTYPE_I64)) &&
                (s->in[1] < 0 || is_scalar(plan, s->in[1], TN_DTYPE_BOOL)) &&
                is_scalar(sub, sub->input[0].tensor, TN_DTYPE_I64) &&
                is_scalar(sub, sub->input[1].tensor, TN_DTYPE_BOOL) &&
                is_scalar(sub, sub->output[0].tensor, TN_DTYPE_BOOL);
    TN_CHECK(fits, TN_CORRUPT, "plan: step '%s' does not fit its body", s->name);
    TN_TRY(check_carried(s, sub, 2, 1, s->number[0]));
    for (int32_t k = 2; k < s->in_count; k++) TN_TRY(check_input(plan, s, k, sub, k));
    for (int32_t k = 0; k < s->out_count; k++) {
        TN_TRY(check_output(plan, s, k, sub, k + 1));
        TN_CHECK(k < s->number[0] || is_scalar(sub, sub->output[k + 1].tensor,
                                               sub->tensor[sub->output[k + 1].tensor].dtype),
                 TN_CORRUPT, "plan: step '%s' collects what is no tensor", s->name);
    }
    return NULL;
}

static tn_status verify_scan(const tn_plan *plan, const tn_plan_step *s)
{
    TN_CHECK(s->sub_count == 1 && s->number_count >= 2, TN_CORRUPT,
             "plan: step '%s' is no complete scan", s->name);
    const tn_plan *sub = plan->sub[s->sub[0]];
    int64_t carried = s->number[0], scanned = s->number[1], collected = s->out_count - carried;
    TN_CHECK(carried >= 0 && scanned >= 1 && carried <= s->in_count &&
                 scanned <= s->in_count - carried && collected >= 0 &&
                 s->number_count == 2 + 2 * (scanned + collected) &&
                 sub->input_count == s->in_count && sub->output_count >= s->out_count,
             TN_CORRUPT, "plan: step '%s' does not fit its body", s->name);
    for (int32_t i = 2; i < s->number_count; i += 2)
        TN_CHECK(s->number[i] >= -TN_RANK_MAX && s->number[i] < TN_RANK_MAX &&
                     (s->number[i + 1] & ~INT64_C(1)) == 0,
                 TN_CORRUPT, "plan: step '%s' scans along no axis", s->name);
    TN_TRY(check_carried(s, sub, 0, 0, carried));
    for (int32_t k = 0; k < s->in_count; k++) {
        TN_TRY(check_input(plan, s, k, sub, k));
        TN_CHECK(k < carried || k >= carried + scanned ||
                     plan->tensor[s->in[k]].kind == TN_PLAN_TENSOR,
                 TN_CORRUPT, "plan: step '%s' scans what is no tensor", s->name);
    }
    for (int32_t k = 0; k < s->out_count; k++) {
        TN_TRY(check_output(plan, s, k, sub, k));
        TN_CHECK(k < carried || sub->tensor[sub->output[k].tensor].kind == TN_PLAN_TENSOR,
                 TN_CORRUPT, "plan: step '%s' collects what is no tensor", s->name);
    }
    return NULL;
}

static tn_status verify_map(const tn_plan *plan, const tn_plan_step *s)
{
    TN_CHECK(s->sub_count == 1 && s->number_count == 1 && s->in_count >= 1 && s->number[0] >= 1 &&
                 s->number[0] <= s->in_count && s->in[0] >= 0 &&
                 plan->tensor[s->in[0]].kind != TN_PLAN_TENSOR,
             TN_CORRUPT, "plan: step '%s' maps no sequence", s->name);
    const tn_plan *sub = plan->sub[s->sub[0]];
    TN_CHECK(sub->input_count == s->in_count && sub->output_count >= s->out_count, TN_CORRUPT,
             "plan: step '%s' does not fit its body", s->name);
    for (int32_t k = 0; k < s->in_count; k++) {
        const tn_plan_tensor *inner = &sub->tensor[sub->input[k].tensor];
        TN_CHECK(s->in[k] >= 0, TN_CORRUPT, "plan: step '%s' lacks input %d", s->name, k);
        if (k >= s->number[0]) TN_TRY(check_input(plan, s, k, sub, k));
        else
            TN_CHECK(inner->kind == TN_PLAN_TENSOR && inner->dtype == plan->tensor[s->in[k]].dtype,
                     TN_CORRUPT, "plan: input %d of step '%s' is not what its body reads", k,
                     s->name);
    }
    for (int32_t k = 0; k < s->out_count; k++) {
        const tn_plan_tensor *inner = &sub->tensor[sub->output[k].tensor];
        if (s->out[k] < 0) continue;
        TN_CHECK(plan->tensor[s->out[k]].kind != TN_PLAN_TENSOR && inner->kind == TN_PLAN_TENSOR &&
                     inner->dtype == plan->tensor[s->out[k]].dtype,
                 TN_CORRUPT, "plan: output %d of step '%s' is not what its body gives", k, s->name);
    }
    return NULL;
}

tn_status tn_plan_verify_inside(const tn_plan *plan, const tn_plan_step *s)
{
    for (int32_t i = 0; i < s->sub_count; i++)
        TN_CHECK(s->sub[i] >= 0 && s->sub[i] < plan->sub_count, TN_CORRUPT,
                 "plan: step '%s' runs plan %d, which does not exist", s->name, s->sub[i]);
    if (s->kind == TN_STEP_IF) return verify_if(plan, s);
    if (s->kind == TN_STEP_LOOP) return verify_loop(plan, s);
    if (s->kind == TN_STEP_MAP) return verify_map(plan, s);
    return verify_scan(plan, s);
}
