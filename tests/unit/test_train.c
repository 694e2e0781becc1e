/* Training: the first losses of a known run, optimizers, stopping and going on, early stopping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "fault/failing_allocator.h"
#include "train/optimizer.h"

/* y = ln x for x = 1 to 59, as the curve of the first workflow has it. */
static tn_dataset *make_curve(double validation)
{
    char path[] = "/tmp/tn_curve_XXXXXX";
    int descriptor = mkstemp(path);
    FILE *file = fdopen(descriptor, "w");
    assert_non_null(file);
    fprintf(file, "\xEF\xBB\xBFx,y\n");
    for (int x = 1; x < 60; x++) fprintf(file, "%d,%.9f\n", x, log(x));
    fclose(file);
    tn_series_options o = {.size = sizeof(o), .validation = validation};
    tn_dataset *dataset;
    assert_null(tn_dataset_load_series(path, &o, &dataset));
    unlink(path);
    return dataset;
}

static const char *const network[] = {"hidden_size=6", "num_layers=3", "bidirectional=1"};

static tn_train_options curve_options(int64_t epochs)
{
    return (tn_train_options){.size = sizeof(tn_train_options),
                              .arch = "lstm",
                              .settings = network,
                              .setting_count = 3,
                              .epochs = epochs,
                              .learning_rate = 0.01,
                              .threads = 1};
}

static tn_trainer *make_trainer(const tn_dataset *dataset, const tn_train_options *options)
{
    tn_trainer *trainer;
    tn_status status = tn_trainer_new(dataset, options, &trainer);
    if (status) fail_msg("%s", tn_status_message(status));
    return trainer;
}

static void run(tn_trainer *trainer, tn_train_watch watch, void *self, tn_train_end want)
{
    tn_train_end end;
    tn_status status = tn_trainer_run(trainer, watch, self, &end);
    if (status) fail_msg("%s", tn_status_message(status));
    assert_int_equal(end, want);
}

static void expect_same_parameters(const tn_trainer *a, const tn_trainer *b, bool same)
{
    bool equal = true;
    assert_int_equal(tn_trainer_parameter_count(a), tn_trainer_parameter_count(b));
    for (int i = 0; i < tn_trainer_parameter_count(a); i++) {
        tn_tensor x, y;
        assert_null(tn_trainer_parameter(a, i, NULL, &x));
        assert_null(tn_trainer_parameter(b, i, NULL, &y));
        equal &= memcmp(x.data, y.data, (size_t)tn_tensor_bytes(&x)) == 0;
    }
    assert_int_equal(equal, same);
}

/* ---- A known run -----------------------------------------------------------------------------*/

static bool check_progress(void *self, const tn_train_progress *p)
{
    int *calls = self;
    assert_int_equal(p->epoch, *calls / 6 + 1);
    assert_int_equal(p->epoch_done, *calls % 6 == 5);
    assert_int_equal(p->step, p->epoch_done ? 5 : *calls % 6 + 1);
    assert_true(p->step_count == 5 && p->batch == 10 && p->train_count == 50);
    assert_true(p->loss > 0 && p->judged_count == 0);
    ++*calls;
    return true;
}

/* torch 2.11 after manual_seed(0): epochs 1 to 5. */
static void losses_of_seed_0(void **state)
{
    (void)state;
    static const double want[] = {0.036709127575159074, 0.011335521703585982, 0.018223330401815473,
                                  0.014708179072476924, 0.012630014633759856};
    tn_dataset *data = make_curve(0);
    tn_train_options o = curve_options(5);
    tn_trainer *trainer = make_trainer(data, &o);
    int calls = 0;
    const double *losses, *judged;
    int64_t count;
    run(trainer, check_progress, &calls, TN_TRAIN_DONE);
    assert_int_equal(calls, 30);
    assert_null(tn_trainer_losses(trainer, &losses, &judged, &count));
    assert_int_equal(count, 5);
    assert_null(judged);
    for (int i = 0; i < 5; i++)
        if (!(fabs(losses[i] - want[i]) < 1e-4 * want[i]))
            fail_msg("epoch %d: %.17g, PyTorch has %.17g", i + 1, losses[i], want[i]);
    tn_trainer_free(trainer);
    tn_dataset_free(data);
}

/* PyTorch's names, in its order, and a file of them that reads back. */
static void parameters_are_saved_as_a_state_dict(void **state)
{
    (void)state;
    tn_dataset *data = make_curve(0);
    tn_train_options o = curve_options(1);
    tn_trainer *trainer = make_trainer(data, &o);
    assert_int_equal(tn_trainer_parameter_count(trainer), 26);
    static const struct {
        int index;
        const char *name;
        int64_t dim[2];
    } want[] = {{0, "lstm.weight_ih_l0", {24, 2}},
                {1, "lstm.weight_hh_l0", {24, 6}},
                {2, "lstm.bias_ih_l0", {24, 1}},
                {7, "lstm.bias_hh_l0_reverse", {24, 1}},
                {8, "lstm.weight_ih_l1", {24, 12}},
                {25, "fc.bias", {2, 1}},
                {20, "lstm.weight_ih_l2_reverse", {24, 12}}};
    char path[] = "/tmp/tn_saved_XXXXXX.pth";
    close(mkstemps(path, 4));
    assert_null(tn_trainer_save(trainer, path));
    tn_checkpoint *file;
    assert_null(tn_checkpoint_load(path, &file));
    assert_int_equal(tn_checkpoint_count(file), 26);
    for (size_t i = 0; i < TN_COUNT(want); i++) {
        const char *name, *saved_name;
        tn_tensor own, saved;
        assert_null(tn_trainer_parameter(trainer, want[i].index, &name, &own));
        assert_null(tn_checkpoint_tensor_at(file, want[i].index, &saved_name, &saved));
        assert_string_equal(name, want[i].name);
        assert_string_equal(saved_name, want[i].name);
        assert_int_equal(saved.dim[0], want[i].dim[0]);
        assert_int_equal(tn_tensor_count(&saved), want[i].dim[0] * want[i].dim[1]);
        assert_memory_equal(saved.data, own.data, tn_tensor_bytes(&own));
    }
    tn_checkpoint_free(file);
    /* A folder that is not there: the file of before stays. */
    assert_int_equal(tn_status_code(tn_trainer_save(trainer, "/nonexistent/m.pth")), TN_NOT_FOUND);
    assert_int_equal(access(path, R_OK), 0);
    unlink(path);
    tn_trainer_free(trainer);
    tn_dataset_free(data);
}

/* ---- Optimizers ------------------------------------------------------------------------------*/

static void adam_as_it_is_defined(void **state)
{
    (void)state;
    enum { COUNT = 3, STEPS = 50 };
    tn_train_options o = {
        .optimizer = TN_OPTIMIZER_ADAM, .learning_rate = 0.1, .weight_decay = 0.02};
    float value[COUNT] = {1, -2, 0.5F}, gradient[COUNT], first[COUNT] = {0}, second[COUNT] = {0};
    double x[COUNT] = {1, -2, 0.5}, m[COUNT] = {0}, v[COUNT] = {0};
    tn_optimizer_state optimizer = {.first = first, .second = second};
    for (int step = 1; step <= STEPS; step++) {
        for (int i = 0; i < COUNT; i++) gradient[i] = (float)sin(step * (i + 1)) + value[i];
        for (int i = 0; i < COUNT; i++) {
            double g = sin(step * (i + 1)) + x[i] + 0.02 * x[i];
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            double m_hat = m[i] / (1 - pow(0.9, step)), v_hat = v[i] / (1 - pow(0.999, step));
            x[i] -= 0.1 * m_hat / (sqrt(v_hat) + 1e-8);
        }
        tn_optimizer_step(&o, &optimizer, value, gradient, COUNT);
    }
    for (int i = 0; i < COUNT; i++) assert_float_equal(value[i], x[i], 1e-4);
    assert_int_equal(optimizer.steps, STEPS);
}

static void momentum_and_clipping(void **state)
{
    (void)state;
    tn_train_options o = {.optimizer = TN_OPTIMIZER_SGD, .learning_rate = 0.5, .momentum = 0.5};
    float value[] = {1}, gradient[] = {2}, first[] = {0};
    tn_optimizer_state optimizer = {.first = first};
    tn_optimizer_step(&o, &optimizer, value, gradient, 1); /* 1 - 0.5 * 2 */
    assert_true(value[0] == 0);
    tn_optimizer_step(&o, &optimizer, value, gradient, 1); /* - 0.5 * (0.5 * 2 + 2) */
    assert_true(value[0] == -1.5F);
    float pair[] = {3, 4};
    tn_gradient_clip(pair, 2, 10);
    assert_true(pair[0] == 3 && pair[1] == 4);
    tn_gradient_clip(pair, 2, 1);
    assert_float_equal(pair[0], 0.6, 1e-6);
    assert_float_equal(pair[1], 0.8, 1e-6);
}

/* ---- Stopping and going on -------------------------------------------------------------------*/

static bool stop_at(void *self, const tn_train_progress *p)
{
    const int64_t *at = self; /* epoch, step */
    return !(p->epoch == at[0] && p->step == at[1]);
}

static void go_on_from(const tn_dataset *data, const tn_train_options *options,
                       const tn_trainer *whole, int64_t epoch, int64_t step)
{
    char path[] = "/tmp/tn_state_XXXXXX";
    int64_t at[] = {epoch, step}, count, whole_count;
    const double *losses, *judged, *whole_losses, *whole_judged;
    close(mkstemp(path));
    tn_trainer *first = make_trainer(data, options);
    run(first, stop_at, at, TN_TRAIN_ASKED);
    expect_same_parameters(first, whole, false);
    assert_null(tn_trainer_save_state(first, path));
    tn_trainer *second = make_trainer(data, options);
    assert_null(tn_trainer_load_state(second, path));
    expect_same_parameters(first, second, true);
    run(second, NULL, NULL, TN_TRAIN_DONE);
    run(first, NULL, NULL, TN_TRAIN_DONE); /* the one that was stopped can go on as well */
    expect_same_parameters(second, whole, true);
    expect_same_parameters(first, whole, true);
    assert_null(tn_trainer_losses(second, &losses, &judged, &count));
    assert_null(tn_trainer_losses(whole, &whole_losses, &whole_judged, &whole_count));
    assert_int_equal(count, whole_count);
    assert_memory_equal(losses, whole_losses, (size_t)count * sizeof(double));
    assert_memory_equal(judged, whole_judged, (size_t)count * sizeof(double));
    tn_trainer_free(first);
    tn_trainer_free(second);
    unlink(path);
}

static void a_stopped_run_goes_on_to_the_same_bits(void **state)
{
    (void)state;
    tn_dataset *data = make_curve(0.2);
    for (int kind = 0; kind < 2; kind++) {
        tn_train_options o = curve_options(6);
        o.batch = 7; /* the last batch of the 40 is smaller */
        o.shuffle = true;
        o.clip_norm = 0.05;
        o.optimizer = kind ? TN_OPTIMIZER_SGD : TN_OPTIMIZER_ADAM;
        o.momentum = kind ? 0.9 : 0;
        o.momentum_restarts = kind;
        tn_trainer *whole = make_trainer(data, &o);
        run(whole, NULL, NULL, TN_TRAIN_DONE);
        go_on_from(data, &o, whole, 3, 4); /* within an epoch */
        go_on_from(data, &o, whole, 4, 6); /* after its last step */
        tn_trainer_free(whole);
    }
    tn_dataset_free(data);
}

/* More epochs than were meant at first: the same as if they had been. */
static void a_finished_run_can_be_made_longer(void **state)
{
    (void)state;
    char path[] = "/tmp/tn_state_XXXXXX";
    close(mkstemp(path));
    tn_dataset *data = make_curve(0);
    tn_train_options o = curve_options(4);
    o.shuffle = true;
    tn_trainer *whole = make_trainer(data, &o);
    run(whole, NULL, NULL, TN_TRAIN_DONE);
    o.epochs = 2;
    tn_trainer *half = make_trainer(data, &o);
    run(half, NULL, NULL, TN_TRAIN_DONE);
    assert_null(tn_trainer_save_state(half, path));
    o.epochs = 4;
    tn_trainer *longer = make_trainer(data, &o);
    assert_null(tn_trainer_load_state(longer, path));
    run(longer, NULL, NULL, TN_TRAIN_DONE);
    expect_same_parameters(longer, whole, true);
    tn_trainer_free(half);
    tn_trainer_free(longer);
    tn_trainer_free(whole);
    tn_dataset_free(data);
    unlink(path);
}

static void expect_load(tn_trainer *trainer, const char *path, tn_code code, const char *says)
{
    tn_status status = tn_trainer_load_state(trainer, path);
    if (tn_status_code(status) != code || !strstr(tn_status_message(status), says))
        fail_msg("%s: %s", tn_code_name(tn_status_code(status)), tn_status_message(status));
}

static void states_that_do_not_fit(void **state)
{
    (void)state;
    char path[] = "/tmp/tn_state_XXXXXX", model[] = "/tmp/tn_model_XXXXXX.safetensors";
    close(mkstemp(path));
    close(mkstemps(model, 12));
    tn_dataset *data = make_curve(0), *other = make_curve(0.5);
    tn_train_options o = curve_options(2);
    tn_trainer *trainer = make_trainer(data, &o), *wrong;
    assert_null(tn_trainer_save_state(trainer, path));
    assert_null(tn_trainer_save(trainer, model));
    expect_load(trainer, model, TN_MISMATCH, "it has no 'state/numbers'");
    wrong = make_trainer(other, &o);
    expect_load(wrong, path, TN_MISMATCH, "samples to train on is 50");
    tn_trainer_free(wrong);
    o.batch = 5;
    wrong = make_trainer(data, &o);
    expect_load(wrong, path, TN_MISMATCH, "its batch is 10 where this training has 5");
    tn_trainer_free(wrong);
    o.batch = 0;
    o.setting_count = 2;
    wrong = make_trainer(data, &o);
    expect_load(wrong, path, TN_MISMATCH, "value/lstm.weight_ih_l1' is f32[24,12]");
    tn_trainer_free(wrong);
    assert_int_equal(truncate(path, 1000), 0);
    expect_load(trainer, path, TN_CORRUPT, "");
    unlink(path);
    expect_load(trainer, path, TN_NOT_FOUND, "");
    unlink(model);
    tn_trainer_free(trainer);
    tn_dataset_free(data);
    tn_dataset_free(other);
}

/* ---- Early stopping --------------------------------------------------------------------------*/

typedef struct best {
    double loss;
    int64_t epoch;
    float first; /* of the parameters then */
    tn_trainer *trainer;
} best;

static bool follow(void *self, const tn_train_progress *p)
{
    best *b = self;
    if (!p->epoch_done) return true;
    assert_int_equal(p->judged_count, 12);
    if (p->judged_loss < b->loss) {
        tn_tensor now;
        assert_null(tn_trainer_parameter(b->trainer, 0, NULL, &now));
        b->loss = p->judged_loss;
        b->epoch = p->epoch;
        b->first = ((const float *)now.data)[0];
    }
    return true;
}

static void the_best_parameters_are_kept(void **state)
{
    (void)state;
    tn_dataset *data = make_curve(0.25);
    tn_train_options o = curve_options(400);
    o.patience = 3;
    tn_trainer *trainer = make_trainer(data, &o);
    best b = {.loss = INFINITY, .trainer = trainer};
    run(trainer, follow, &b, TN_TRAIN_EARLY);
    const double *judged;
    int64_t count;
    tn_tensor kept;
    assert_null(tn_trainer_losses(trainer, NULL, &judged, &count));
    assert_int_equal(count, b.epoch + 3);
    assert_true(judged[b.epoch - 1] == b.loss);
    assert_null(tn_trainer_parameter(trainer, 0, NULL, &kept));
    assert_true(((const float *)kept.data)[0] == b.first);
    tn_trainer_free(trainer);
    tn_dataset_free(data);
}

/* ---- What cannot be --------------------------------------------------------------------------*/

static void refuse(const tn_dataset *data, const tn_train_options *o, tn_code code,
                   const char *says)
{
    tn_trainer *trainer;
    tn_status status = tn_trainer_new(data, o, &trainer);
    if (tn_status_code(status) != code || !strstr(tn_status_message(status), says))
        fail_msg("%s: %s", tn_code_name(tn_status_code(status)), tn_status_message(status));
    assert_null(trainer);
}

static void options_that_make_no_sense(void **state)
{
    (void)state;
    tn_dataset *data = make_curve(0);
    tn_train_options o = curve_options(1);
    o.arch = "gpt";
    refuse(data, &o, TN_NOT_FOUND, "there is no network 'gpt'; there are: ");
    o.arch = "lenet";
    o.setting_count = 0;
    refuse(data, &o, TN_INVALID, "does not fit the data's targets");
    o = curve_options(1);
    o.learning_rate = NAN;
    refuse(data, &o, TN_INVALID, "learning rate");
    o = curve_options(-1);
    refuse(data, &o, TN_INVALID, "-1 epochs");
    o = curve_options(1);
    o.settings = (const char *const[]){"hidden_size=6", "wings=2"};
    o.setting_count = 2;
    refuse(data, &o, TN_INVALID, "wings");
    o = curve_options(3);
    o.optimizer = TN_OPTIMIZER_SGD;
    o.learning_rate = 1e30;
    tn_trainer *trainer = make_trainer(data, &o);
    tn_status status = tn_trainer_run(trainer, NULL, NULL, NULL);
    assert_int_equal(tn_status_code(status), TN_INVALID);
    assert_non_null(strstr(tn_status_message(status), "the loss of epoch 1, step"));
    tn_trainer_free(trainer);
    tn_dataset_free(data);
}

/* ---- Lack of memory --------------------------------------------------------------------------*/

static tn_status train_a_little(const char *csv, const char *state)
{
    tn_series_options series = {.size = sizeof(series), .validation = 0.2};
    const char *const settings[] = {"hidden_size=2"};
    tn_train_options o = curve_options(2);
    tn_dataset *data = NULL;
    tn_trainer *trainer = NULL;
    o.settings = settings;
    o.setting_count = 1;
    o.shuffle = true;
    tn_status status = tn_dataset_load_series(csv, &series, &data);
    if (!status) status = tn_trainer_new(data, &o, &trainer);
    if (!status) status = tn_trainer_run(trainer, NULL, NULL, NULL);
    if (!status) status = tn_trainer_save_state(trainer, state);
    if (!status) status = tn_trainer_load_state(trainer, state);
    tn_trainer_free(trainer);
    tn_dataset_free(data);
    return status;
}

static void every_lack_of_memory_is_an_error(void **state)
{
    (void)state;
    char csv[] = "/tmp/tn_csv_XXXXXX", path[] = "/tmp/tn_state_XXXXXX";
    FILE *file = fdopen(mkstemp(csv), "w");
    assert_non_null(file);
    for (int x = 0; x < 30; x++) fprintf(file, "%d\n", x);
    fclose(file);
    close(mkstemp(path));
    assert_null(train_a_little(csv, path)); /* what is made once is made now */
    bool failed = true;
    for (int64_t n = 1; failed; n += 1 + n / 12) {
        failing_install(n, FAIL_ONCE);
        tn_code code = tn_status_code(train_a_little(csv, path));
        failing_counts counts = failing_remove();
        failed = counts.failed > 0;
        if (code != TN_OK && code != TN_OUT_OF_MEMORY)
            fail_msg("request %d: code %d", (int)n, code);
        assert_int_equal(counts.live_bytes, 0);
        assert_int_equal(counts.errors, 0);
    }
    unlink(csv);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_of_seed_0),
        cmocka_unit_test(parameters_are_saved_as_a_state_dict),
        cmocka_unit_test(adam_as_it_is_defined),
        cmocka_unit_test(momentum_and_clipping),
        cmocka_unit_test(a_stopped_run_goes_on_to_the_same_bits),
        cmocka_unit_test(a_finished_run_can_be_made_longer),
        cmocka_unit_test(states_that_do_not_fit),
        cmocka_unit_test(the_best_parameters_are_kept),
        cmocka_unit_test(options_that_make_no_sense),
        cmocka_unit_test(every_lack_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
