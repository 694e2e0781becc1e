/* Training: networks by name, from data in files to a checkpoint that PyTorch reads.
 *
 *     tn_dataset_load_series / tn_dataset_load_images   files -> tn_dataset
 *     tn_trainer_new     a data set + options           -> tn_trainer (parameters at their start)
 *     tn_trainer_run     epochs, with a callback
 *     tn_trainer_save    the parameters as .pth or .safetensors
 *
 * A seed gives the values that PyTorch's CPU generator gives: the initial parameters and the order
 * of samples are those of a script that calls torch.manual_seed with it, makes the network, and
 * reads the samples through a DataLoader.
 */
#ifndef TENON_TRAIN_H
#define TENON_TRAIN_H

#include <tenon/tenon.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Data sets --------------------------------------------------------------------------------
 *
 * Samples in memory: the first `train_count` to train on, the rest to judge by. Immutable; trainers
 * and threads may share one.
 */
typedef struct tn_dataset tn_dataset;

/* How the values of a column are made small: (value - offset) / scale. The figures of all but
 * RANGES come from the rows that are trained on. */
typedef enum tn_scaling {
    TN_SCALING_DECIMAL, /* by the least power of ten above every magnitude: 59 -> 0.59 */
    TN_SCALING_NONE,
    TN_SCALING_RANGES,   /* by a number given for each column */
    TN_SCALING_MIN_MAX,  /* to [0, 1] */
    TN_SCALING_STANDARD, /* to mean 0 and standard deviation 1 */
} tn_scaling;

typedef struct tn_series_options {
    size_t size;
    /* By name or, where no column is called so, by number from 1. None: all columns. */
    const char *const *columns;
    int column_count;
    int64_t window;  /* rows that a sample shows; 0: 9 */
    int64_t horizon; /* rows behind them that are to be forecast; 0: 1 */
    tn_scaling scaling;
    const double *ranges; /* RANGES: one for each column */
    int range_count;
    double validation; /* the part of the samples, in [0, 1), that is held back: the last ones */
} tn_series_options;

/* A CSV file as a series: row by row, a number in each column. Fields are separated by commas, else
 * semicolons, else tabs; a byte order mark and a line of names at the top may be there. Sample i is
 * rows i to i + window - 1, its target the `horizon` rows behind. Values that are missing or not
 * numbers are INVALID, with file, line and column. options may be NULL. */
TN_API TN_MUST_USE tn_status tn_dataset_load_series(const char *path,
                                                    const tn_series_options *options,
                                                    tn_dataset **out);
/* A folder with the four files of MNIST, as they are or as .gz: train-images-idx3-ubyte,
 * train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte. The latter two are to
 * judge by. A sample is [1, rows, columns], (pixel / 255 - 0.1307) / 0.3081, its target a class. */
TN_API TN_MUST_USE tn_status tn_dataset_load_images(const char *folder, tn_dataset **out);
TN_API void tn_dataset_free(tn_dataset *dataset);

typedef struct tn_dataset_info {
    int64_t count, train_count; /* samples */
    int64_t row_count;          /* of a series; 0 for images */
    int32_t column_count;
    bool classes; /* targets are i64 class numbers and have no dims; else f32 */
    int32_t rank, target_rank;
    int64_t dim[TN_RANK_MAX], target_dim[TN_RANK_MAX]; /* of one sample */
} tn_dataset_info;
TN_API TN_MUST_USE tn_status tn_dataset_describe(const tn_dataset *dataset, tn_dataset_info *out);
/* A column of a series and how it is scaled. The name lives as long as the data set. */
TN_API TN_MUST_USE tn_status tn_dataset_column(const tn_dataset *dataset, int32_t index,
                                               const char **name, double *offset, double *scale);
/* Samples [begin, begin + count) as tensors [count, ...], the caller's (tn_tensor_free). targets
 * may be NULL. */
TN_API TN_MUST_USE tn_status tn_dataset_take(const tn_dataset *dataset, int64_t begin,
                                             int64_t count, tn_tensor *samples, tn_tensor *targets);

/* ---- Trainers ---------------------------------------------------------------------------------
 *
 * A trainer belongs to one thread at a time and borrows its data set, which must outlive it.
 */
typedef struct tn_trainer tn_trainer;

typedef enum tn_optimizer {
    TN_OPTIMIZER_ADAM, /* betas 0.9 and 0.999, eps 1e-8 */
    TN_OPTIMIZER_SGD
} tn_optimizer;

typedef struct tn_train_options {
    size_t size;
    const char *arch;            /* a network by name: "lstm", "lenet" */
    const char *const *settings; /* of the network, "hidden=6" */
    int setting_count;
    int64_t epochs;      /* 0: 400 for series, 2 for images */
    int64_t batch;       /* samples a step; 0: 10 for series, 64 for images */
    int64_t judge_batch; /* samples at once when judging; 0: 100 */
    tn_optimizer optimizer;
    double learning_rate;   /* 0: 0.01 */
    double momentum;        /* of SGD */
    bool momentum_restarts; /* each epoch begins without momentum */
    double weight_decay;    /* this part of a parameter is added to its gradient */
    double clip_norm;       /* gradients that together are longer are shortened to it; 0: never */
    uint64_t seed;          /* the low 32 bits count */
    bool shuffle;           /* the order of samples, anew each epoch */
    int64_t patience; /* stop after so many epochs without a better loss (of the samples to judge
                         by, or if there are none, of training), and go back to the best parameters;
                         0: never */
    int threads;      /* 0: all cores */
} tn_train_options;

/* Builds the network with its loss and gradients, and draws the initial parameters. */
TN_API TN_MUST_USE tn_status tn_trainer_new(const tn_dataset *dataset,
                                            const tn_train_options *options, tn_trainer **out);
TN_API void tn_trainer_free(tn_trainer *trainer);

/* Where a run stands: after a step, or after an epoch and its judging. */
typedef struct tn_train_progress {
    bool epoch_done;
    int64_t epoch, epoch_count; /* from 1 */
    int64_t step, step_count;   /* of the epoch, from 1 */
    int64_t batch;              /* samples of the step */
    int64_t train_count;        /* samples of an epoch */
    double loss;                /* of the step; with epoch_done the mean of the epoch's steps */
    int64_t judged_count;       /* samples judged; 0: none */
    double judged_loss;         /* the mean of their batches' losses */
    int64_t correct;            /* of those, classes told right */
} tn_train_progress;
/* False asks to stop: the run ends after this step and can be taken up again. The functions below
 * that save may be called from it. */
typedef bool (*tn_train_watch)(void *self, const tn_train_progress *progress);

/* Why a run ended. */
typedef enum tn_train_end {
    TN_TRAIN_DONE,
    TN_TRAIN_ASKED, /* the callback asked to stop */
    TN_TRAIN_EARLY, /* `patience` is used up */
} tn_train_end;
/* Runs the epochs that are left; a run that was stopped goes on where it was. A loss that is not
 * finite is INVALID and names epoch and step. watch and end may be NULL. */
TN_API TN_MUST_USE tn_status tn_trainer_run(tn_trainer *trainer, tn_train_watch watch, void *self,
                                            tn_train_end *end);

/* The parameters in PyTorch's order, under its names. The view lives as long as the trainer; its
 * values change with a run. */
TN_API int tn_trainer_parameter_count(const tn_trainer *trainer);
TN_API TN_MUST_USE tn_status tn_trainer_parameter(const tn_trainer *trainer, int index,
                                                  const char **name, tn_tensor *out);
/* Write the parameters as tn_checkpoint_save does. */
TN_API TN_MUST_USE tn_status tn_trainer_save(const tn_trainer *trainer, const char *path);
/* All that a run needs to go on to the same bits: parameters, the optimizer's memory, the random
 * stream, the place in the epoch, the losses. A new trainer with the same data and options takes it
 * up; `epochs` may differ. MISMATCH says what does not fit. */
TN_API TN_MUST_USE tn_status tn_trainer_save_state(const tn_trainer *trainer, const char *path);
TN_API TN_MUST_USE tn_status tn_trainer_load_state(tn_trainer *trainer, const char *path);
/* The losses of the epochs done: mean of the steps, and of the samples to judge by (NULL where
 * there are none). They live until the trainer runs on. */
TN_API TN_MUST_USE tn_status tn_trainer_losses(const tn_trainer *trainer, const double **train,
                                               const double **judged, int64_t *count);

#ifdef __cplusplus
}
#endif
#endif
