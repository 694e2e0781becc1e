/* Private to train: a network, its loss and gradients as an engine, and where its training stands.
 *
 *     train_graph.c    network + loss (+ gradients) -> graph -> engine
 *     trainer.c        steps, epochs, judging
 *     train_state.c    all of it to a file and back
 *     parameter.c      the values parameters begin with
 *     optimizer.c      a step down the gradient
 *
 * Parameters are inputs of the engines and lie in one block of floats, as do their gradients and
 * what the optimizer remembers: engines read and write them in place, and an optimizer's step is
 * one loop.
 */
#ifndef TN_TRAIN_TRAINER_H
#define TN_TRAIN_TRAINER_H

#include "exec/exec.h"
#include "ir/graph.h"
#include "train/dataset.h"
#include "train/optimizer.h"
#include "train/parameter.h"

/* An engine that takes samples, targets and parameters, and the context that runs it. */
typedef struct tn_train_engine {
    tn_engine *engine;
    tn_context *context;
    int64_t bound; /* samples of the batch that is bound; 0: none yet */
    float loss;
} tn_train_engine;

struct tn_trainer {
    const tn_dataset *dataset;
    tn_train_options options; /* defaults filled in */
    tn_arena arena;
    tn_parameter *parameter;
    int32_t parameter_count;
    int64_t parameter_capacity;
    int64_t value_count; /* floats in each block, with gaps between parameters */
    float *value, *gradient, *best;
    tn_optimizer_state optimizer;

    tn_train_engine step, judge; /* judge: only where there are samples to judge by */
    const char *score_name;      /* of the output that says what the network thinks */
    float *x;                    /* one batch */
    void *y;

    tn_torch_random random, epoch_random; /* now; and when the epoch began */
    int64_t *order;                       /* of the samples of an epoch */
    int64_t epoch, epoch_step;            /* done; within the epoch */
    double loss_sum;                      /* of the epoch's steps */
    double *losses, *judged;              /* of the epochs done */
    int64_t losses_capacity, judged_capacity;
    double best_loss;
    int64_t best_epoch; /* 0: none yet */
    bool early;         /* patience is used up */
};

#define TN_TRAIN_DATA "data"
#define TN_TRAIN_TARGET "target"
#define TN_TRAIN_LOSS "loss"

/* Builds an engine of the network: with gradients, or to judge by. The first one makes the list of
 * parameters. */
tn_status tn_train_engine_make(tn_trainer *trainer, bool gradients,
                               tn_train_engine *out) TN_MUST_USE;
/* Binds parameters and gradients, once their blocks are there. */
tn_status tn_train_engine_bind(tn_trainer *trainer, bool gradients,
                               tn_train_engine *engine) TN_MUST_USE;
void tn_train_engine_fini(tn_train_engine *engine);
/* The public functions without their checks of arguments. */
tn_status tn_trainer_make(const tn_dataset *dataset, const tn_train_options *options,
                          tn_trainer **out) TN_MUST_USE;
tn_status tn_trainer_train(tn_trainer *trainer, tn_train_watch watch, void *self,
                           tn_train_end *end) TN_MUST_USE;
tn_status tn_trainer_write_state(const tn_trainer *trainer, const char *path) TN_MUST_USE;
tn_status tn_trainer_read_state(tn_trainer *trainer, const char *path) TN_MUST_USE;
/* The order of samples for the epoch that begins, from the random stream. */
tn_status tn_trainer_draw_order(tn_trainer *trainer) TN_MUST_USE;
/* What is saved: the best parameters where patience asks for them, else the present ones. */
const float *tn_trainer_chosen(const tn_trainer *trainer);
tn_tensor tn_parameter_view(const tn_parameter *parameter, const float *block);

#endif
