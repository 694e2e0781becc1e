/* Where a training stands, as a file of named tensors (safetensors):
 *
 *     state/numbers  i64    see number_name, which is also their order
 *     state/reals    f64    the loss summed up in this epoch, the best loss
 *     state/random   i64    the random stream when the present epoch began
 *     state/losses   f64    of the epochs done, behind a 0; state/judged the same
 *     value/NAME, first/NAME, second/NAME, best/NAME  f32, for each parameter
 *
 * A run goes on from it to the same bits as one that was not stopped. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "export/checkpoint_write.h"
#include "import/checkpoint.h"
#include "train/trainer.h"

enum { FORMAT = 1, BLOCKS = 4, RANDOM_WORDS = TN_TORCH_RANDOM_WORDS + 1 };

/* What must be as it was, and then what is taken up. */
enum {
    NUMBER_FORMAT,
    NUMBER_OPTIMIZER,
    NUMBER_COUNT,
    NUMBER_TRAIN_COUNT,
    NUMBER_BATCH,
    NUMBER_SHUFFLE,
    NUMBER_RESTARTS,
    NUMBER_EPOCH,
    NUMBER_EPOCH_STEP,
    NUMBER_STEPS,
    NUMBER_BEST_EPOCH,
    NUMBERS
};

static const char *const number_name[NUMBER_EPOCH] = {
    "format of the state",           "optimizer", "number of samples",
    "number of samples to train on", "batch",     "shuffling",
    "restarting of the momentum",
};
static const char *const block_name[BLOCKS] = {"value", "first", "second", "best"};

static void list_blocks(const tn_trainer *t, float *out[BLOCKS])
{
    out[0] = t->value;
    out[1] = t->optimizer.first;
    out[2] = t->optimizer.second;
    out[3] = t->best;
}

static void list_numbers(const tn_trainer *t, int64_t out[NUMBERS])
{
    out[NUMBER_FORMAT] = FORMAT;
    out[NUMBER_OPTIMIZER] = t->options.optimizer;
    out[NUMBER_COUNT] = t->dataset->info.count;
    out[NUMBER_TRAIN_COUNT] = t->dataset->info.train_count;
    out[NUMBER_BATCH] = t->options.batch;
    out[NUMBER_SHUFFLE] = t->options.shuffle;
    out[NUMBER_RESTARTS] = t->options.momentum_restarts;
    out[NUMBER_EPOCH] = t->epoch;
    out[NUMBER_EPOCH_STEP] = t->epoch_step;
    out[NUMBER_STEPS] = t->optimizer.steps;
    out[NUMBER_BEST_EPOCH] = t->best_epoch;
}

/* ---- Writing ---------------------------------------------------------------------------------*/

typedef struct listing {
    tn_arena arena;
    const char **name;
    tn_tensor *tensor;
    int64_t count;
} listing;

static tn_status add(listing *l, tn_tensor tensor, const char *group, const char *name)
{
    l->name[l->count] = tn_arena_printf(&l->arena, "%s/%s", group, name);
    TN_CHECK(l->name[l->count], TN_OUT_OF_MEMORY, "no memory for the state of a training");
    l->tensor[l->count++] = tensor;
    return NULL;
}

static tn_status add_vector(listing *l, tn_dtype dtype, void *data, int64_t count, const char *name)
{
    return add(l, tn_tensor_of(dtype, &count, 1, data), "state", name);
}

/* The losses behind a 0: there is always an element to write. */
static tn_status add_losses(listing *l, const double *losses, int64_t count, const char *name)
{
    double *copy = TN_NEW_ARRAY(&l->arena, double, count + 1);
    TN_CHECK(copy, TN_OUT_OF_MEMORY, "no memory for the state of a training");
    if (count) memcpy(copy + 1, losses, (size_t)count * sizeof(double));
    return add_vector(l, TN_DTYPE_F64, copy, count + 1, name);
}

static tn_status list_state(const tn_trainer *t, listing *l)
{
    float *block[BLOCKS];
    int64_t most = 8 + (int64_t)t->parameter_count * BLOCKS;
    l->name = TN_NEW_ARRAY(&l->arena, const char *, most);
    l->tensor = TN_NEW_ARRAY(&l->arena, tn_tensor, most);
    int64_t *numbers = TN_NEW_ARRAY(&l->arena, int64_t, NUMBERS);
    int64_t *random = TN_NEW_ARRAY(&l->arena, int64_t, RANDOM_WORDS);
    double *reals = TN_NEW_ARRAY(&l->arena, double, 2);
    TN_CHECK(l->name && l->tensor && numbers && random && reals, TN_OUT_OF_MEMORY,
             "no memory for the state of a training");
    const tn_torch_random *stream = t->epoch_step ? &t->epoch_random : &t->random;
    for (int i = 0; i < TN_TORCH_RANDOM_WORDS; i++) random[i] = stream->word[i];
    random[TN_TORCH_RANDOM_WORDS] = stream->next;
    reals[0] = t->loss_sum;
    reals[1] = t->best_loss;
    list_numbers(t, numbers);
    list_blocks(t, block);
    TN_TRY(add_vector(l, TN_DTYPE_I64, numbers, NUMBERS, "numbers"));
    TN_TRY(add_vector(l, TN_DTYPE_F64, reals, 2, "reals"));
    TN_TRY(add_vector(l, TN_DTYPE_I64, random, RANDOM_WORDS, "random"));
    TN_TRY(add_losses(l, t->losses, t->epoch, "losses"));
    TN_TRY(add_losses(l, t->judged, t->epoch, "judged"));
    for (int k = 0; k < BLOCKS; k++)
        for (int32_t i = 0; i < t->parameter_count; i++)
            TN_TRY(add(l, tn_parameter_view(&t->parameter[i], block[k]), block_name[k],
                       t->parameter[i].name));
    return NULL;
}

tn_status tn_trainer_write_state(const tn_trainer *trainer, const char *path)
{
    listing l = {0};
    tn_arena_init(&l.arena);
    tn_status status = list_state(trainer, &l);
    if (!status) status = tn_safetensors_write(l.name, l.tensor, l.count, path);
    tn_arena_fini(&l.arena);
    return status;
}

/* ---- Reading ---------------------------------------------------------------------------------*/

/* The dense data of a tensor of this type and shape. */
static tn_status get(const tn_checkpoint *file, const tn_tensor *want, const char *group,
                     const char *name, const void **out)
{
    char key[1200], is[256], must[256];
    snprintf(key, sizeof(key), "%s/%s", group, name);
    const tn_checkpoint_tensor *found = tn_checkpoint_get(file, key);
    TN_CHECK(found, TN_MISMATCH, "it has no '%s': it is of another network, or no state", key);
    bool same = found->view.dtype == want->dtype && tn_tensor_same_shape(&found->view, want) &&
                tn_tensor_is_dense(&found->view);
    TN_CHECK(same, TN_MISMATCH, "its '%s' is %s where this training has %s", key,
             tn_tensor_type_text(&found->view, is, sizeof(is)),
             tn_tensor_type_text(want, must, sizeof(must)));
    *out = found->view.data;
    return NULL;
}

static tn_status get_vector(const tn_checkpoint *file, tn_dtype dtype, int64_t count,
                            const char *name, const void **out)
{
    tn_tensor want = tn_tensor_of(dtype, &count, 1, NULL);
    return get(file, &want, "state", name, out);
}

/* What is taken up must be what a run can have come to. */
static tn_status check_numbers(const tn_trainer *t, const int64_t *is, const int64_t *random)
{
    int64_t own[NUMBERS];
    list_numbers(t, own);
    for (int i = 0; i < NUMBER_EPOCH; i++)
        TN_CHECK(is[i] == own[i], TN_MISMATCH,
                 "its %s is %lld where this training has %lld: give the same options and data",
                 number_name[i], (long long)is[i], (long long)own[i]);
    int64_t count = t->dataset->info.train_count;
    int64_t steps = (count + t->options.batch - 1) / t->options.batch;
    bool sane = is[NUMBER_EPOCH] >= 0 && is[NUMBER_EPOCH] < INT32_MAX &&
                is[NUMBER_EPOCH_STEP] >= 0 && is[NUMBER_EPOCH_STEP] < steps &&
                is[NUMBER_STEPS] >= 0 && is[NUMBER_BEST_EPOCH] >= 0 &&
                is[NUMBER_BEST_EPOCH] <= is[NUMBER_EPOCH] && random[RANDOM_WORDS - 1] >= 0 &&
                random[RANDOM_WORDS - 1] <= TN_TORCH_RANDOM_WORDS;
    TN_CHECK(sane, TN_CORRUPT, "its numbers are not those of a training");
    return NULL;
}

static tn_status take_losses(tn_trainer *t, const double *train, const double *judged,
                             int64_t count)
{
    TN_TRY(tn_arena_grow(&t->arena, &t->losses, 0, &t->losses_capacity, count + 1, sizeof(double)));
    TN_TRY(tn_arena_grow(&t->arena, &t->judged, 0, &t->judged_capacity, count + 1, sizeof(double)));
    for (int64_t i = 0; i < count; i++) {
        t->losses[i] = train[1 + i];
        t->judged[i] = judged[1 + i];
    }
    return NULL;
}

static tn_status take_state(tn_trainer *t, const tn_checkpoint *file)
{
    const void *numbers, *reals, *random, *losses, *judged, *data;
    float *block[BLOCKS];
    TN_TRY(get_vector(file, TN_DTYPE_I64, NUMBERS, "numbers", &numbers));
    TN_TRY(get_vector(file, TN_DTYPE_F64, 2, "reals", &reals));
    TN_TRY(get_vector(file, TN_DTYPE_I64, RANDOM_WORDS, "random", &random));
    const int64_t *is = numbers, *words = random;
    TN_TRY(check_numbers(t, is, words));
    TN_TRY(get_vector(file, TN_DTYPE_F64, is[NUMBER_EPOCH] + 1, "losses", &losses));
    TN_TRY(get_vector(file, TN_DTYPE_F64, is[NUMBER_EPOCH] + 1, "judged", &judged));
    list_blocks(t, block);
    /* All that could be wrong is found before anything is changed. */
    for (int round = 0; round < 2; round++)
        for (int k = 0; k < BLOCKS; k++)
            for (int32_t i = 0; i < t->parameter_count; i++) {
                const tn_parameter *p = &t->parameter[i];
                tn_tensor view = tn_parameter_view(p, block[k]);
                TN_TRY(get(file, &view, block_name[k], p->name, &data));
                if (round == 1) memcpy(view.data, data, (size_t)p->count * sizeof(float));
            }
    TN_TRY(take_losses(t, losses, judged, is[NUMBER_EPOCH]));
    t->epoch = is[NUMBER_EPOCH];
    t->epoch_step = is[NUMBER_EPOCH_STEP];
    t->optimizer.steps = is[NUMBER_STEPS];
    t->best_epoch = is[NUMBER_BEST_EPOCH];
    t->loss_sum = ((const double *)reals)[0];
    t->best_loss = t->best_epoch ? ((const double *)reals)[1] : INFINITY;
    t->early = false;
    for (int i = 0; i < TN_TORCH_RANDOM_WORDS; i++) t->random.word[i] = (uint32_t)words[i];
    t->random.next = (int32_t)words[TN_TORCH_RANDOM_WORDS];
    t->random.normal_kept = false;
    return t->epoch_step ? tn_trainer_draw_order(t) : NULL;
}

tn_status tn_trainer_read_state(tn_trainer *trainer, const char *path)
{
    tn_checkpoint *file;
    TN_TRY(tn_checkpoint_open(path, &file));
    tn_status status = take_state(trainer, file);
    tn_checkpoint_close(file);
    TN_TRY_NOTE(status, "while taking up the training in %s", path);
    return NULL;
}
