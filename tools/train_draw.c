/* What tenon train shows of a forecast: the network as it was saved, over all samples, beside the
 * truth; and the losses of the epochs. */
#include <stdlib.h>
#include <string.h>
#include <tenon/train.h>

#include "tool.h"
#include "train.h"

enum { ROUND = 1024 }; /* samples forecast at once */

typedef struct points {
    double *x, *y;
    int64_t count;
} points;

/* The row behind each window: against each other where there are two columns, else the last column
 * over the sample's number. */
static void put(points *p, const tn_tensor *t, int64_t at)
{
    const float *value = t->data;
    int64_t columns = t->dim[t->rank - 1], each = tn_tensor_count(t) / t->dim[0];
    for (int64_t i = 0; i < t->dim[0]; i++) {
        const float *row = value + i * each;
        p->x[at + i] = columns == 2 ? (double)row[0] : (double)(at + i);
        p->y[at + i] = (double)row[columns - 1];
    }
}

static int forecast(tn_context *context, const tn_io *in, const tn_io *out, const tn_dataset *data,
                    int64_t count, points *truth, points *told)
{
    for (int64_t at = 0; at < count; at += ROUND) {
        tn_tensor samples, targets, y;
        int64_t some = count - at < ROUND ? count - at : ROUND;
        if (report(tn_dataset_take(data, at, some, &samples, &targets))) return EXIT_FAILED;
        int code = report(tn_context_bind(context, in->name, &samples));
        if (!code) code = report(tn_context_run(context));
        if (!code) code = report(tn_context_output(context, out->name, &y));
        if (!code) {
            put(truth, &targets, at);
            put(told, &y, at);
        }
        tn_tensor_free(&samples);
        tn_tensor_free(&targets);
        if (code) return code;
    }
    return 0;
}

static int run_all(const tn_model *model, const tn_dataset *data, int64_t count, points *truth,
                   points *told)
{
    const tn_build_config config = {.size = sizeof(config), .budget_ms = -1};
    tn_engine *engine;
    tn_context *context = NULL;
    tn_io in, out;
    int code = report(tn_build(model, &config, &engine));
    if (code) return code;
    code = report(tn_engine_input(engine, 0, &in));
    if (!code) code = report(tn_engine_output(engine, 0, &out));
    if (!code) code = report(tn_context_new(engine, &context));
    if (!code) code = forecast(context, &in, &out, data, count, truth, told);
    tn_context_free(context);
    tn_engine_free(engine);
    return code;
}

static int draw_two(const points *truth, const points *told, const char *path)
{
    const tn_plot_series series[] = {
        {sizeof(tn_plot_series), TN_PLOT_DOTS, "y_true", "blue", truth->x, truth->y, truth->count},
        {sizeof(tn_plot_series), TN_PLOT_DOTS, "y_pred", "red", told->x, told->y, told->count}};
    tn_plot *plot;
    int code = report(tn_plot_new(NULL, &plot));
    for (int i = 0; i < 2 && !code; i++) code = report(tn_plot_add(plot, &series[i]));
    if (!code) code = report(tn_plot_save(plot, path));
    tn_plot_free(plot);
    return code;
}

int train_show_forecast(const tn_model *model, const tn_dataset *data, const char *path)
{
    tn_dataset_info info;
    if (report(tn_dataset_describe(data, &info))) return EXIT_FAILED;
    double *room = calloc((size_t)info.count, 4 * sizeof(*room));
    if (!room) {
        fprintf(stderr, "error: no memory for %lld forecasts\n", (long long)info.count);
        return EXIT_FAILED;
    }
    points truth = {room, room + info.count, info.count};
    points told = {room + 2 * info.count, room + 3 * info.count, info.count};
    int code = run_all(model, data, info.count, &truth, &told);
    if (!code) {
        long long rows = (long long)(info.count * info.target_dim[0]);
        printf("y_true.shape: (%lld, %d)\ny_pred.shape: (%lld, %d)\n", rows, info.column_count,
               rows, info.column_count);
        if (path) code = draw_two(&truth, &told, path);
    }
    free(room);
    return code;
}

int train_show_losses(const tn_trainer *trainer, const char *path)
{
    const tn_plot_options options = {.size = sizeof(options),
                                     .x_label = "epoch",
                                     .y_label = "loss",
                                     .log_y = true,
                                     .legend = TN_LEGEND_UPPER_RIGHT};
    const double *of[2];
    static const char *const label[] = {"training", "validation"};
    int64_t count;
    tn_plot *plot;
    if (report(tn_trainer_losses(trainer, &of[0], &of[1], &count))) return EXIT_FAILED;
    double *epoch = calloc((size_t)count + 1, sizeof(*epoch));
    int code = epoch ? report(tn_plot_new(&options, &plot)) : EXIT_FAILED;
    if (code) {
        free(epoch);
        return code;
    }
    for (int64_t i = 0; i < count; i++) epoch[i] = (double)(i + 1);
    for (int k = 0; k < 2 && !code; k++) {
        const tn_plot_series series = {sizeof(series), TN_PLOT_LINE, label[k], NULL,
                                       epoch,          of[k],        count};
        if (of[k]) code = report(tn_plot_add(plot, &series));
    }
    if (!code) code = report(tn_plot_save(plot, path));
    tn_plot_free(plot);
    free(epoch);
    return code;
}
