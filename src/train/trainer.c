/* Training: steps, epochs, judging. */
#include "train/trainer.h"

#include <math.h>
#include <string.h>

#include "base/log.h"

/* ---- Making ----------------------------------------------------------------------------------*/

static tn_status check_options(const tn_train_options *o)
{
    TN_CHECK(o->epochs >= 1 && o->batch >= 1 && o->judge_batch >= 1 && o->patience >= 0 &&
                 o->threads >= 0,
             TN_INVALID,
             "%lld epochs, a batch of %lld, %lld to judge at once, a patience of %lld and %d "
             "threads: none may be negative",
             (long long)o->epochs, (long long)o->batch, (long long)o->judge_batch,
             (long long)o->patience, o->threads);
    TN_CHECK(isfinite(o->learning_rate) && o->learning_rate > 0, TN_INVALID,
             "a learning rate of %g", o->learning_rate);
    TN_CHECK(o->momentum >= 0 && o->momentum < 1 && o->weight_decay >= 0 && o->clip_norm >= 0 &&
                 isfinite(o->weight_decay) && isfinite(o->clip_norm),
             TN_INVALID,
             "a momentum of %g (in [0, 1)), a weight decay of %g and gradients clipped at %g (0 or "
             "more)",
             o->momentum, o->weight_decay, o->clip_norm);
    TN_CHECK(o->optimizer == TN_OPTIMIZER_ADAM || o->optimizer == TN_OPTIMIZER_SGD, TN_INVALID,
             "there is no optimizer number %d", (int)o->optimizer);
    return NULL;
}

/* The strings are the trainer's own from here on. */
static tn_status take_options(tn_trainer *t, const tn_train_options *given)
{
    tn_train_options *o = &t->options;
    const tn_dataset_info *info = &t->dataset->info;
    *o = *given;
    if (o->epochs == 0) o->epochs = info->classes ? 2 : 400;
    if (o->batch == 0) o->batch = info->classes ? 64 : 10;
    if (o->judge_batch == 0) o->judge_batch = 100;
    if (o->learning_rate == 0) o->learning_rate = 0.01;
    TN_TRY(check_options(o));
    o->batch = TN_MIN(o->batch, info->train_count);
    o->judge_batch = TN_MIN(o->judge_batch, TN_MAX(info->count - info->train_count, 1));
    TN_CHECK(given->arch, TN_INVALID, "the options name no network (arch)");
    o->arch = tn_arena_text(&t->arena, given->arch, strlen(given->arch));
    const char **copy = TN_NEW_ARRAY(&t->arena, const char *, TN_MAX(o->setting_count, 0));
    TN_CHECK(o->arch && copy, TN_OUT_OF_MEMORY, "no memory for a trainer");
    for (int i = 0; i < o->setting_count; i++) {
        TN_CHECK(given->settings[i], TN_INVALID, "setting %d is NULL", i);
        copy[i] = tn_arena_text(&t->arena, given->settings[i], strlen(given->settings[i]));
        TN_CHECK(copy[i], TN_OUT_OF_MEMORY, "no memory for a trainer");
    }
    o->settings = copy;
    return NULL;
}

static tn_status make_blocks(tn_trainer *t)
{
    const tn_dataset *d = t->dataset;
    float **block[] = {&t->value, &t->gradient, &t->best, &t->optimizer.first,
                       &t->optimizer.second};
    size_t most = (size_t)TN_MAX(t->options.batch, t->options.judge_batch);
    size_t sample = (size_t)d->sample_values * sizeof(float);
    size_t target = d->info.classes ? sizeof(int64_t) : (size_t)d->target_values * sizeof(float);
    for (size_t i = 0; i < TN_COUNT(block); i++) {
        *block[i] = TN_NEW_ARRAY(&t->arena, float, t->value_count);
        TN_CHECK(*block[i], TN_OUT_OF_MEMORY, "no memory for %lld parameters",
                 (long long)t->value_count);
    }
    t->x = tn_arena_alloc_array(&t->arena, most, sample);
    t->y = tn_arena_alloc_array(&t->arena, most, target);
    t->order = TN_NEW_ARRAY(&t->arena, int64_t, d->info.count);
    TN_CHECK(t->x && t->y && t->order, TN_OUT_OF_MEMORY, "no memory for a batch of %zu samples",
             most);
    for (int64_t i = 0; i < d->info.count; i++) t->order[i] = i;
    return NULL;
}

static tn_status set_up(tn_trainer *t, const tn_train_options *options)
{
    bool judges = t->dataset->info.count > t->dataset->info.train_count;
    TN_TRY(take_options(t, options));
    TN_TRY(tn_train_engine_make(t, true, &t->step));
    if (judges) TN_TRY(tn_train_engine_make(t, false, &t->judge));
    TN_TRY(make_blocks(t));
    TN_TRY(tn_train_engine_bind(t, true, &t->step));
    if (judges) TN_TRY(tn_train_engine_bind(t, false, &t->judge));
    tn_torch_random_seed(&t->random, t->options.seed);
    t->best_loss = INFINITY;
    return tn_parameters_begin(t->parameter, t->parameter_count, &t->random, t->value);
}

tn_status tn_trainer_make(const tn_dataset *dataset, const tn_train_options *options,
                          tn_trainer **out)
{
    *out = NULL;
    tn_trainer *t = tn_alloc_zero(sizeof(*t));
    TN_CHECK(t, TN_OUT_OF_MEMORY, "no memory for a trainer");
    t->dataset = dataset;
    tn_arena_init(&t->arena);
    tn_status status = set_up(t, options);
    if (status) {
        tn_trainer_free(t);
        return tn_status_trail(status, __FILE__, __LINE__, __func__);
    }
    *out = t;
    return NULL;
}

void tn_trainer_free(tn_trainer *trainer)
{
    if (!trainer) return;
    tn_train_engine_fini(&trainer->step);
    tn_train_engine_fini(&trainer->judge);
    tn_arena_fini(&trainer->arena);
    tn_free(trainer, sizeof(*trainer));
}

tn_tensor tn_parameter_view(const tn_parameter *parameter, const float *block)
{
    return tn_tensor_of(TN_DTYPE_F32, parameter->dim, parameter->rank,
                        (void *)(uintptr_t)(block + parameter->offset));
}

const float *tn_trainer_chosen(const tn_trainer *trainer)
{
    return trainer->options.patience > 0 && trainer->best_epoch > 0 ? trainer->best
                                                                    : trainer->value;
}

/* ---- Batches ---------------------------------------------------------------------------------*/

static tn_status bind_batch(tn_trainer *t, tn_train_engine *engine, int64_t count)
{
    const tn_dataset_info *info = &t->dataset->info;
    int64_t x_dim[TN_RANK_MAX] = {count}, y_dim[TN_RANK_MAX] = {count};
    if (engine->bound == count) return NULL;
    for (int i = 0; i < info->rank; i++) x_dim[1 + i] = info->dim[i];
    for (int i = 0; i < info->target_rank; i++) y_dim[1 + i] = info->target_dim[i];
    tn_tensor x = tn_tensor_of(TN_DTYPE_F32, x_dim, 1 + info->rank, t->x);
    tn_tensor y = tn_tensor_of(info->classes ? TN_DTYPE_I64 : TN_DTYPE_F32, y_dim,
                               1 + info->target_rank, t->y);
    TN_TRY(tn_exec_context_bind(engine->context, engine->engine->input[0].name, &x));
    TN_TRY(tn_exec_context_bind(engine->context, TN_TRAIN_TARGET, &y));
    engine->bound = count;
    return NULL;
}

static tn_status run_batch(tn_trainer *t, tn_train_engine *engine, const int64_t *index,
                           int64_t count)
{
    TN_TRY(bind_batch(t, engine, count));
    tn_dataset_gather(t->dataset, index, count, t->x, t->y);
    return tn_exec_context_run(engine->context);
}

/* A pass over the data in random order draws two numbers, as an iterator of torch's DataLoader
 * does: a seed for workers, which there are none of, and one for the order. */
static int64_t draw_pass(tn_trainer *t)
{
    (void)tn_torch_random_i64(&t->random);
    return tn_torch_random_i64(&t->random);
}

tn_status tn_trainer_draw_order(tn_trainer *trainer)
{
    tn_torch_random order;
    trainer->epoch_random = trainer->random;
    if (!trainer->options.shuffle) return NULL;
    tn_torch_random_seed(&order, (uint64_t)draw_pass(trainer));
    return tn_torch_random_permute(&order, trainer->order, trainer->dataset->info.train_count);
}

/* ---- Judging ---------------------------------------------------------------------------------*/

/* How many of the judge's last batch have their class as the highest score, the first of equals. */
static tn_status count_correct(tn_trainer *t, int64_t count, int64_t *correct)
{
    tn_tensor scores;
    if (!t->dataset->info.classes) return NULL;
    TN_TRY(tn_exec_context_output(t->judge.context, t->score_name, &scores));
    const float *score = scores.data;
    const int64_t *label = t->y;
    int64_t classes = scores.dim[1];
    for (int64_t i = 0; i < count; i++, score += classes) {
        int64_t best = 0;
        for (int64_t k = 1; k < classes; k++)
            if (score[k] > score[best]) best = k;
        *correct += best == label[i];
    }
    return NULL;
}

static tn_status judge(tn_trainer *t, tn_train_progress *p)
{
    const tn_dataset_info *info = &t->dataset->info;
    int64_t batches = 0;
    double sum = 0;
    if (!t->judge.context) return NULL;
    if (t->options.shuffle) (void)draw_pass(t);
    for (int64_t i = info->train_count; i < info->count; i += t->options.judge_batch, batches++) {
        int64_t count = TN_MIN(t->options.judge_batch, info->count - i);
        TN_TRY(run_batch(t, &t->judge, t->order + i, count));
        TN_TRY(count_correct(t, count, &p->correct));
        sum += (double)t->judge.loss;
    }
    p->judged_count = info->count - info->train_count;
    p->judged_loss = sum / (double)batches;
    return NULL;
}

/* ---- Epochs ----------------------------------------------------------------------------------*/

static tn_status take_step(tn_trainer *t, tn_train_progress *p)
{
    const tn_train_options *o = &t->options;
    int64_t begin = t->epoch_step * o->batch;
    p->batch = TN_MIN(o->batch, p->train_count - begin);
    TN_TRY(run_batch(t, &t->step, t->order + begin, p->batch));
    p->loss = (double)t->step.loss;
    TN_CHECK(isfinite(p->loss), TN_INVALID,
             "the loss of epoch %lld, step %lld is %g: take a lower learning rate than %g, or clip "
             "the gradients",
             (long long)p->epoch, (long long)p->step, p->loss, o->learning_rate);
    if (o->clip_norm > 0) tn_gradient_clip(t->gradient, t->value_count, o->clip_norm);
    tn_optimizer_step(o, &t->optimizer, t->value, t->gradient, t->value_count);
    t->loss_sum += p->loss;
    t->epoch_step++;
    return NULL;
}

static tn_status keep_losses(tn_trainer *t, const tn_train_progress *p)
{
    TN_TRY(tn_arena_grow(&t->arena, &t->losses, t->epoch, &t->losses_capacity, t->epoch + 1,
                         sizeof(double)));
    TN_TRY(tn_arena_grow(&t->arena, &t->judged, t->epoch, &t->judged_capacity, t->epoch + 1,
                         sizeof(double)));
    t->losses[t->epoch] = p->loss;
    t->judged[t->epoch] = p->judged_loss;
    return NULL;
}

static tn_status end_epoch(tn_trainer *t, tn_train_progress *p)
{
    p->epoch_done = true;
    p->loss = t->loss_sum / (double)p->step_count;
    TN_TRY(judge(t, p));
    TN_TRY(keep_losses(t, p));
    t->epoch++;
    t->epoch_step = 0;
    t->loss_sum = 0;
    if (t->options.patience == 0) return NULL;
    double loss = p->judged_count ? p->judged_loss : p->loss;
    if (loss < t->best_loss) {
        t->best_loss = loss;
        t->best_epoch = t->epoch;
        memcpy(t->best, t->value, (size_t)t->value_count * sizeof(float));
    }
    t->early = t->epoch - t->best_epoch >= t->options.patience;
    return NULL;
}

static tn_status begin_epoch(tn_trainer *t)
{
    TN_TRY(tn_trainer_draw_order(t));
    if (t->options.momentum_restarts)
        memset(t->optimizer.first, 0, (size_t)t->value_count * sizeof(float));
    return NULL;
}

tn_status tn_trainer_train(tn_trainer *trainer, tn_train_watch watch, void *self, tn_train_end *end)
{
    tn_trainer *t = trainer;
    const tn_train_options *o = &t->options;
    int64_t count = t->dataset->info.train_count, steps = (count + o->batch - 1) / o->batch;
    bool go = true;
    *end = TN_TRAIN_ASKED;
    while (go && t->epoch < o->epochs && !t->early) {
        if (t->epoch_step == 0) TN_TRY(begin_epoch(t));
        tn_train_progress p = {.epoch = t->epoch + 1,
                               .epoch_count = o->epochs,
                               .step_count = steps,
                               .train_count = count};
        while (t->epoch_step < steps) {
            p.step = t->epoch_step + 1;
            TN_TRY(take_step(t, &p));
            go = !watch || watch(self, &p);
            if (!go && t->epoch_step < steps) return NULL;
        }
        TN_TRY(end_epoch(t, &p));
        if (watch && !watch(self, &p)) go = false;
    }
    if (t->early) *end = TN_TRAIN_EARLY;
    else if (t->epoch >= o->epochs) *end = TN_TRAIN_DONE;
    return NULL;
}
