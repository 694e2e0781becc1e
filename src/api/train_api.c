/* Data sets and trainers: argument checks and files. */
#include <string.h>

#include "api/api.h"
#include "export/checkpoint_write.h"
#include "train/trainer.h"

/* ---- Data sets -------------------------------------------------------------------------------*/

static tn_status read_series(const char *path, const tn_mapping *file,
                             const tn_series_options *options, tn_dataset *dataset)
{
    tn_arena scratch;
    tn_table table;
    tn_series_options o = options ? *options : (tn_series_options){0};
    if (o.window == 0) o.window = 9;
    if (o.horizon == 0) o.horizon = 1;
    tn_arena_init(&scratch);
    tn_status status = tn_table_parse((const char *)file->at, file->bytes, path, o.columns,
                                      o.column_count, &scratch, &table);
    if (!status) status = tn_series_make(&table, &o, path, dataset);
    tn_arena_fini(&scratch);
    return status;
}

tn_status tn_dataset_load_series(const char *path, const tn_series_options *options,
                                 tn_dataset **out)
{
    TN_NOT_NULL(path);
    TN_NOT_NULL(out);
    *out = NULL;
    TN_CHECK(!options ||
                 (options->column_count >= 0 && options->column_count <= TN_TABLE_COLUMNS_MAX &&
                  (options->columns || options->column_count == 0)),
             TN_INVALID, "%s: %d columns are asked for", __func__, options->column_count);
    tn_mapping file;
    tn_dataset *dataset;
    TN_TRY(tn_file_map(path, &file));
    tn_status status = tn_dataset_make(&dataset);
    if (!status) status = read_series(path, &file, options, dataset);
    tn_file_unmap(&file);
    if (status) tn_dataset_free(dataset);
    else *out = dataset;
    return status;
}

tn_status tn_dataset_load_images(const char *folder, tn_dataset **out)
{
    TN_NOT_NULL(folder);
    TN_NOT_NULL(out);
    *out = NULL;
    tn_dataset *dataset;
    TN_TRY(tn_dataset_make(&dataset));
    tn_status status = tn_images_make(folder, dataset);
    if (status) tn_dataset_free(dataset);
    else *out = dataset;
    return status;
}

tn_status tn_dataset_describe(const tn_dataset *dataset, tn_dataset_info *out)
{
    TN_NOT_NULL(dataset);
    TN_NOT_NULL(out);
    *out = dataset->info;
    return NULL;
}

tn_status tn_dataset_column(const tn_dataset *dataset, int32_t index, const char **name,
                            double *offset, double *scale)
{
    TN_NOT_NULL(dataset);
    TN_CHECK(index >= 0 && index < dataset->info.column_count, TN_INVALID,
             "column %d of a data set of %d", index, dataset->info.column_count);
    if (name) *name = dataset->column[index].name;
    if (offset) *offset = dataset->column[index].offset;
    if (scale) *scale = dataset->column[index].scale;
    return NULL;
}

/* A batch of samples in numbers: of all there are. */
static tn_status new_batch(const tn_dataset *d, int64_t count, tn_tensor *x, tn_tensor *y)
{
    int64_t x_dim[TN_RANK_MAX] = {count}, y_dim[TN_RANK_MAX] = {count};
    for (int i = 0; i < d->info.rank; i++) x_dim[1 + i] = d->info.dim[i];
    for (int i = 0; i < d->info.target_rank; i++) y_dim[1 + i] = d->info.target_dim[i];
    TN_TRY(tn_tensor_new(TN_DTYPE_F32, x_dim, 1 + d->info.rank, x));
    tn_status status = tn_tensor_new(d->info.classes ? TN_DTYPE_I64 : TN_DTYPE_F32, y_dim,
                                     1 + d->info.target_rank, y);
    if (status) tn_tensor_free(x);
    return status;
}

tn_status tn_dataset_take(const tn_dataset *dataset, int64_t begin, int64_t count,
                          tn_tensor *samples, tn_tensor *targets)
{
    TN_NOT_NULL(dataset);
    TN_NOT_NULL(samples);
    TN_CHECK(begin >= 0 && count >= 0 && begin <= dataset->info.count &&
                 count <= dataset->info.count - begin,
             TN_INVALID, "%lld samples from number %lld on; the data set has %lld",
             (long long)count, (long long)begin, (long long)dataset->info.count);
    tn_tensor y;
    TN_TRY(new_batch(dataset, count, samples, &y));
    size_t sample = (size_t)dataset->sample_values * sizeof(float);
    for (int64_t i = 0; i < count; i++) {
        int64_t index = begin + i;
        tn_dataset_gather(dataset, &index, 1,
                          (float *)(void *)((uint8_t *)samples->data + (size_t)i * sample),
                          (uint8_t *)y.data + (size_t)(tn_tensor_bytes(&y) / count * i));
    }
    if (targets) *targets = y;
    else tn_tensor_free(&y);
    return NULL;
}

/* ---- Trainers --------------------------------------------------------------------------------*/

tn_status tn_trainer_new(const tn_dataset *dataset, const tn_train_options *options,
                         tn_trainer **out)
{
    TN_NOT_NULL(dataset);
    TN_NOT_NULL(options);
    TN_NOT_NULL(out);
    TN_CHECK(options->setting_count == 0 || (options->setting_count > 0 && options->settings),
             TN_INVALID, "%s: %d settings are announced, but there are none", __func__,
             options->setting_count);
    return tn_trainer_make(dataset, options, out);
}

tn_status tn_trainer_run(tn_trainer *trainer, tn_train_watch watch, void *self, tn_train_end *end)
{
    tn_train_end ignored;
    TN_NOT_NULL(trainer);
    return tn_trainer_train(trainer, watch, self, end ? end : &ignored);
}

int tn_trainer_parameter_count(const tn_trainer *trainer)
{
    return trainer ? trainer->parameter_count : 0;
}

tn_status tn_trainer_parameter(const tn_trainer *trainer, int index, const char **name,
                               tn_tensor *out)
{
    TN_NOT_NULL(trainer);
    TN_NOT_NULL(out);
    TN_CHECK(index >= 0 && index < trainer->parameter_count, TN_INVALID,
             "parameter %d of a network of %d", index, trainer->parameter_count);
    const tn_parameter *p = &trainer->parameter[index];
    if (name) *name = p->name;
    *out = tn_parameter_view(p, tn_trainer_chosen(trainer));
    return NULL;
}

static tn_status save(const tn_trainer *trainer, const char *path, tn_arena *arena)
{
    int count = trainer->parameter_count;
    const char **name = TN_NEW_ARRAY(arena, const char *, count);
    tn_tensor *tensor = TN_NEW_ARRAY(arena, tn_tensor, count);
    TN_CHECK(name && tensor, TN_OUT_OF_MEMORY, "no memory for a checkpoint");
    for (int i = 0; i < count; i++) TN_TRY(tn_trainer_parameter(trainer, i, &name[i], &tensor[i]));
    return tn_checkpoint_save(path, name, tensor, count);
}

tn_status tn_trainer_save(const tn_trainer *trainer, const char *path)
{
    TN_NOT_NULL(trainer);
    TN_NOT_NULL(path);
    tn_arena arena;
    tn_arena_init(&arena);
    tn_status status = save(trainer, path, &arena);
    tn_arena_fini(&arena);
    return status;
}

tn_status tn_trainer_save_state(const tn_trainer *trainer, const char *path)
{
    TN_NOT_NULL(trainer);
    TN_NOT_NULL(path);
    TN_TRY_NOTE(tn_trainer_write_state(trainer, path), "while writing the state %s", path);
    return NULL;
}

tn_status tn_trainer_load_state(tn_trainer *trainer, const char *path)
{
    TN_NOT_NULL(trainer);
    TN_NOT_NULL(path);
    return tn_trainer_read_state(trainer, path);
}

tn_status tn_trainer_losses(const tn_trainer *trainer, const double **train, const double **judged,
                            int64_t *count)
{
    TN_NOT_NULL(trainer);
    TN_NOT_NULL(count);
    *count = trainer->epoch;
    if (train) *train = trainer->losses;
    if (judged) *judged = trainer->judge.context ? trainer->judged : NULL;
    return NULL;
}
