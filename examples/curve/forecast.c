/* Workflow 1, the deployed half: ONNX file -> engine file -> five batches of random size, each
 * drawn beside the truth.
 *
 *     forecast DATA.csv MODEL.onnx MODEL.plan FOLDER [SEED]
 *
 * Writes FOLDER/res_1.jpg ... res_5.jpg. The engine takes a batch of any size as it is: nothing is
 * padded to the largest. */
#include <stdio.h>
#include <stdlib.h>
#include <tenon/tenon.h>
#include <time.h>

#define TRY(call)                                                                                  \
    do {                                                                                           \
        tn_status status_ = (call);                                                                \
        if (status_) return status_;                                                               \
    } while (0)

static tn_status build(const char *onnx, const char *plan, tn_engine **engine)
{
    const tn_profile profile = {
        .input = "data", .rank = 3, .min = {1, 9, 2}, .opt = {10, 9, 2}, .max = {50, 9, 2}};
    const tn_build_config config = {
        .size = sizeof config, .profiles = &profile, .profile_count = 1};
    tn_model *model;
    TRY(tn_model_load(onnx, NULL, &model));
    printf("Succeeded parsing .onnx file!\n");
    tn_status status = tn_build(model, &config, engine);
    tn_model_free(model);
    TRY(status);
    printf("Succeeded building engine!\n");
    return tn_engine_save(*engine, plan);
}

/* TensorRT's lines: number, direction, type, shape of the engine, shape of this run, name. */
static void print_binding(int index, const tn_io *io, const tn_tensor *now)
{
    printf("[%2d]%s %s (", index, io->is_output ? "Output->" : "Input ->",
           tn_dtype_name(io->dtype));
    for (int i = 0; i < io->rank; i++) printf("%s%lld", i ? ", " : "", (long long)io->dim[i]);
    printf(") (");
    for (int i = 0; i < now->rank; i++) printf("%s%lld", i ? ", " : "", (long long)now->dim[i]);
    printf(") %s\n", io->name);
}

static tn_status draw(const tn_tensor *truth, const tn_tensor *forecast, int round,
                      const char *folder)
{
    static const char *const label[] = {"y_true", "y_pred"}, *const colour[] = {"blue", "red"};
    const tn_tensor *of[] = {truth, forecast};
    char path[1024];
    tn_plot *plot;
    TRY(tn_plot_new(NULL, &plot));
    tn_status status = NULL;
    for (int k = 0; k < 2 && !status; k++) {
        double x[50], y[50];
        const float *at = of[k]->data;
        int64_t count = of[k]->dim[0];
        for (int64_t i = 0; i < count; i++) x[i] = at[2 * i], y[i] = at[2 * i + 1];
        const tn_plot_series series = {sizeof series, TN_PLOT_DOTS, label[k], colour[k], x, y,
                                       count};
        status = tn_plot_add(plot, &series);
    }
    snprintf(path, sizeof path, "%s/res_%d.jpg", folder, round);
    if (!status) status = tn_plot_save(plot, path);
    tn_plot_free(plot);
    return status;
}

static tn_status forecast(tn_context *context, const tn_engine *engine, const tn_tensor *samples,
                          const tn_tensor *truth, int round, const char *folder)
{
    struct timespec begin, end;
    tn_io in, out;
    tn_tensor y;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    TRY(tn_context_bind(context, "data", samples));
    TRY(tn_context_run(context));
    TRY(tn_context_output(context, "output", &y));
    clock_gettime(CLOCK_MONOTONIC, &end);
    TRY(tn_engine_input(engine, 0, &in));
    TRY(tn_engine_output(engine, 0, &out));
    print_binding(0, &in, samples);
    print_binding(1, &out, &y);
    printf("y_true.shape: (%lld, 2)\ny_pred.shape: (%lld, 2)\n", (long long)truth->dim[0],
           (long long)y.dim[0]);
    printf("Inference cost is: %.6f s\n",
           (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec));
    return draw(truth, &y, round, folder);
}

static tn_status run(char **argument)
{
    tn_dataset *data;
    tn_engine *engine;
    tn_context *context;
    const char *plan = argument[3];
    if (tn_engine_load(plan, NULL, 1, &engine)) TRY(build(argument[2], plan, &engine));
    else printf("Succeeded getting serialized engine!\n");
    TRY(tn_dataset_load_series(argument[1], NULL,
                               &data)); /* windows of 9 rows, scaled to x/100, y/10 */
    TRY(tn_context_new(engine, &context));
    for (int round = 1; round <= 5; round++) {
        int64_t batch = 1 + rand() % 50;
        tn_tensor samples, truth;
        TRY(tn_dataset_take(data, 0, batch, &samples, &truth));
        TRY(forecast(context, engine, &samples, &truth, round, argument[4]));
        tn_tensor_free(&samples);
        tn_tensor_free(&truth);
    }
    tn_context_free(context);
    tn_engine_free(engine);
    tn_dataset_free(data);
    return NULL;
}

int main(int count, char **argument)
{
    char text[2048];
    if (count < 5) {
        fprintf(stderr, "usage: forecast DATA.csv MODEL.onnx MODEL.plan FOLDER [SEED]\n");
        return 2;
    }
    srand(count > 5 ? (unsigned)strtoul(argument[5], NULL, 10) : (unsigned)time(NULL));
    tn_status status = run(argument);
    if (!status) return 0;
    tn_status_text(status, false, text, sizeof text);
    fprintf(stderr, "error: %s\n", text);
    return 1;
}
