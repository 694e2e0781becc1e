/* tenon train: a network from data in files, with the lines that the Python originals print. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tenon/train.h>
#include <unistd.h>

#include "tool.h"
#include "train.h"

static struct {
    const char *arch, *data, *output, *onnx, *plot, *loss_plot, *columns, *scale, *cell, *optimizer;
    text_list set;
    int window, horizon, hidden, layers, directions;
    int epochs, batch, seed, patience, checkpoint, every, threads;
    double lr, momentum, decay, clip, validation;
    bool shuffle, in_order, resume;
} own = {.lr = -1, .momentum = -1};

static int options(tool_option *out)
{
    const tool_option rows[] = {
        {"output", OPTION_TEXT, &own.output, "FILE",
         "the parameters, .pth or .safetensors (also -o); default model.pth"},
        {"arch", OPTION_TEXT, &own.arch, "NAME",
         "the network: lstm (default), or lenet for images"},
        {"data", OPTION_TEXT, &own.data, "FOLDER",
         "a folder with the four IDX files of MNIST, as they are or .gz"},
        {"columns", OPTION_TEXT, &own.columns, "A,B",
         "columns of the CSV file to use, by name or number from 1; default all"},
        {"scale", OPTION_TEXT, &own.scale, "HOW",
         "decimal (default: by the power of ten above each column), none, min-max, standard, or a "
         "divisor for each column: 100,10"},
        {"window", OPTION_INT, &own.window, "N", "rows that a sample shows; default 9"},
        {"horizon", OPTION_INT, &own.horizon, "N", "rows to forecast behind them; default 1"},
        {"validation", OPTION_NUMBER, &own.validation, "PART",
         "hold back the last part of the samples, 0.2, and judge by them after each epoch"},
        {"cell", OPTION_TEXT, &own.cell, "NAME", "lstm (default), gru or rnn"},
        {"hidden", OPTION_INT, &own.hidden, "N", "hidden size; default 6"},
        {"layers", OPTION_INT, &own.layers, "N", "recurrent layers; default 3"},
        {"directions", OPTION_INT, &own.directions, "N", "1, or 2 (default): bidirectional"},
        {"set", OPTION_LIST, &own.set, "KEY=VALUE", "a setting of the network; may be repeated"},
        {"epochs", OPTION_INT, &own.epochs, "N", "default 400, for lenet 2"},
        {"batch", OPTION_INT, &own.batch, "N", "samples a step; default 10, for lenet 64"},
        {"optimizer", OPTION_TEXT, &own.optimizer, "NAME",
         "adam (default), or sgd (for lenet: new each epoch, as in the sample)"},
        {"lr", OPTION_NUMBER, &own.lr, "RATE", "learning rate; default 0.01, for lenet 0.0025"},
        {"momentum", OPTION_NUMBER, &own.momentum, "M", "of sgd; default 0, for lenet 0.9"},
        {"weight-decay", OPTION_NUMBER, &own.decay, "W", "part of a parameter in its gradient"},
        {"clip", OPTION_NUMBER, &own.clip, "LENGTH", "shorten gradients to this length"},
        {"seed", OPTION_INT, &own.seed, "N", "as torch.manual_seed; default 0"},
        {"shuffle", OPTION_FLAG, &own.shuffle, NULL,
         "take the samples in another order each epoch (lenet does)"},
        {"in-order", OPTION_FLAG, &own.in_order, NULL, "take them as they lie"},
        {"patience", OPTION_INT, &own.patience, "N",
         "stop after N epochs without a better loss; the best parameters are kept"},
        {"checkpoint", OPTION_INT, &own.checkpoint, "N",
         "write the parameters and OUTPUT.state every N epochs and at the end"},
        {"resume", OPTION_FLAG, &own.resume, NULL, "go on from OUTPUT.state"},
        {"every", OPTION_INT, &own.every, "N",
         "print each Nth epoch, default 10; for images each Nth step, default 100"},
        {"onnx", OPTION_TEXT, &own.onnx, "FILE", "write the trained network as ONNX too"},
        {"plot", OPTION_TEXT, &own.plot, "FILE",
         "draw the forecast of all samples beside the truth: .jpg, .png or .svg"},
        {"loss-plot", OPTION_TEXT, &own.loss_plot, "FILE", "draw the losses of the epochs"},
        {"threads", OPTION_INT, &own.threads, "N", "default: all cores"},
    };
    memcpy(out, rows, sizeof(rows));
    return (int)(sizeof(rows) / sizeof(rows[0]));
}

/* ---- Numbers as Python prints them -----------------------------------------------------------*/

/* repr of a float: the fewest digits that read back, with an exponent below 1e-4 and from 1e16. */
static const char *python_number(double value, char *dst, size_t dst_bytes)
{
    char digits[40];
    int precision = 0, exponent;
    do snprintf(digits, sizeof(digits), "%.*e", precision, value);
    while (strtod(digits, NULL) != value && precision++ < 17);
    exponent = atoi(strchr(digits, 'e') + 1);
    if (exponent < -4 || exponent >= 16) snprintf(dst, dst_bytes, "%s", digits);
    else if (precision <= exponent) snprintf(dst, dst_bytes, "%.1f", value);
    else snprintf(dst, dst_bytes, "%.*f", precision - exponent, value);
    return dst;
}

/* ---- Progress --------------------------------------------------------------------------------*/

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

typedef struct session {
    const tn_dataset *data;
    tn_trainer *trainer;
    bool classes;
    int every;
    char state_path[4096];
    int code; /* of a checkpoint that could not be written */
} session;

static void print_series(const session *s, const tn_train_progress *p)
{
    char loss[48], judged[48];
    if (!p->epoch_done || p->epoch % s->every != 0) return;
    printf("epoch=%lld | loss=%s ", (long long)p->epoch,
           python_number(p->loss, loss, sizeof(loss)));
    if (p->judged_count)
        printf("| validation=%s ", python_number(p->judged_loss, judged, sizeof(judged)));
    printf("\n");
}

static void print_images(const session *s, const tn_train_progress *p)
{
    long long step = (long long)p->step - 1;
    if (p->epoch_done)
        printf("\nTest set: Average loss: %.4f, Accuracy: %lld/%lld (%.0f%%)\n\n", p->judged_loss,
               (long long)p->correct, (long long)p->judged_count,
               100.0 * (double)p->correct / (double)p->judged_count);
    else if (step % s->every == 0)
        printf("Train Epoch: %lld [%lld/%lld (%.0f%%)]\tLoss: %.6f\n", (long long)p->epoch,
               step * (long long)p->batch, (long long)p->train_count,
               100.0 * (double)step / (double)p->step_count, p->loss);
}

static int save_all(const session *s)
{
    int code = report(tn_trainer_save(s->trainer, own.output));
    return code ? code : report(tn_trainer_save_state(s->trainer, s->state_path));
}

static bool watch(void *self, const tn_train_progress *p)
{
    session *s = self;
    if (s->classes) print_images(s, p);
    else print_series(s, p);
    if (p->epoch_done || s->classes) fflush(stdout);
    if (p->epoch_done && own.checkpoint > 0 && p->epoch % own.checkpoint == 0)
        s->code = save_all(s);
    return !interrupted && !s->code;
}

/* ---- Data ------------------------------------------------------------------------------------*/

/* "a,b" into pieces of `copy`; -1: too many. */
static int split(const char *text, char *copy, size_t copy_bytes, const char **at, int most)
{
    int count = 0;
    if (strlen(text) >= copy_bytes) return -1;
    strcpy(copy, text);
    for (char *rest = copy, *comma; rest; rest = comma ? comma + 1 : NULL) {
        if (count == most) return -1;
        comma = strchr(rest, ',');
        if (comma) *comma = 0;
        at[count++] = rest;
    }
    return count;
}

enum { COLUMNS_MAX = 256 };

static bool parse_scale(tn_series_options *o, double *ranges)
{
    static const struct {
        const char *name;
        tn_scaling scaling;
    } word[] = {{"decimal", TN_SCALING_DECIMAL},
                {"none", TN_SCALING_NONE},
                {"min-max", TN_SCALING_MIN_MAX},
                {"standard", TN_SCALING_STANDARD}};
    char copy[4096];
    const char *part[COLUMNS_MAX];
    if (!own.scale) return true;
    for (size_t i = 0; i < sizeof(word) / sizeof(word[0]); i++)
        if (strcmp(own.scale, word[i].name) == 0) {
            o->scaling = word[i].scaling;
            return true;
        }
    o->range_count = split(own.scale, copy, sizeof(copy), part, COLUMNS_MAX);
    for (int i = 0; i < o->range_count; i++) {
        char *end;
        ranges[i] = strtod(part[i], &end);
        if (end == part[i] || *end) o->range_count = -1;
    }
    o->scaling = TN_SCALING_RANGES;
    o->ranges = ranges;
    if (o->range_count > 0) return true;
    fprintf(stderr,
            "tenon train: --scale wants decimal, none, min-max, standard or divisors like 100,10, "
            "not '%s'\n",
            own.scale);
    return false;
}

static int load_series(const char *path, tn_dataset **out)
{
    tn_series_options o = {.size = sizeof(o),
                           .window = own.window,
                           .horizon = own.horizon,
                           .validation = own.validation};
    char names[4096];
    const char *column[COLUMNS_MAX];
    double ranges[COLUMNS_MAX] = {0};
    if (own.columns) {
        o.column_count = split(own.columns, names, sizeof(names), column, COLUMNS_MAX);
        o.columns = column;
        if (o.column_count < 0) {
            fprintf(stderr, "tenon train: --columns names more than %d columns\n", COLUMNS_MAX);
            return EXIT_USAGE;
        }
    }
    if (!parse_scale(&o, ranges)) return EXIT_USAGE;
    return report(tn_dataset_load_series(path, &o, out));
}

static int print_data(const tn_dataset *data, bool *classes)
{
    tn_dataset_info i;
    int code = report(tn_dataset_describe(data, &i));
    if (code) return code;
    *classes = i.classes;
    if (i.classes) return 0;
    printf("data shape:  (%lld, %d)\n", (long long)i.row_count, i.column_count);
    printf("样本数：%lld，维度：%d\n", (long long)i.row_count, i.column_count);
    printf("X_train.shape:  torch.Size([%lld, %lld, %lld]) "
           "Y_train.shape:  torch.Size([%lld, %lld, %lld])\n",
           (long long)i.train_count, (long long)i.dim[0], (long long)i.dim[1],
           (long long)i.train_count, (long long)i.target_dim[0], (long long)i.target_dim[1]);
    return 0;
}

/* ---- The trainer -----------------------------------------------------------------------------*/

/* The flags of recurrent networks as settings, in front of those given with --set. */
static int list_settings(bool series, const char **out, char text[4][40])
{
    int count = 0;
    if (series) {
        snprintf(text[0], 40, "hidden_size=%d", own.hidden ? own.hidden : 6);
        snprintf(text[1], 40, "num_layers=%d", own.layers ? own.layers : 3);
        snprintf(text[2], 40, "bidirectional=%d", own.directions != 1);
        snprintf(text[3], 40, "cell=%.30s", own.cell ? own.cell : "lstm");
        for (int i = 0; i < 4; i++) out[count++] = text[i];
    }
    for (int i = 0; i < own.set.count; i++) out[count++] = own.set.at[i];
    return count;
}

static bool make_options(bool classes, tn_train_options *o)
{
    bool sgd = own.optimizer ? strcmp(own.optimizer, "sgd") == 0 : classes;
    if (own.optimizer && !sgd && strcmp(own.optimizer, "adam") != 0) {
        fprintf(stderr, "tenon train: --optimizer is adam or sgd, not '%s'\n", own.optimizer);
        return false;
    }
    if (own.directions < 0 || own.directions > 2) {
        fprintf(stderr, "tenon train: --directions is 1 or 2, not %d\n", own.directions);
        return false;
    }
    *o = (tn_train_options){
        .size = sizeof(*o),
        .arch = own.arch,
        .epochs = own.epochs,
        .batch = own.batch,
        .optimizer = sgd ? TN_OPTIMIZER_SGD : TN_OPTIMIZER_ADAM,
        .learning_rate = own.lr >= 0      ? own.lr
                         : classes && sgd ? 0.0025
                                          : 0.01,
        .momentum = own.momentum >= 0 ? own.momentum
                    : classes && sgd  ? 0.9
                                      : 0,
        .momentum_restarts = classes && sgd,
        .weight_decay = own.decay,
        .clip_norm = own.clip,
        .seed = (uint64_t)own.seed,
        .shuffle = own.in_order ? false : own.shuffle || classes,
        .patience = own.patience,
        .threads = own.threads,
    };
    return true;
}

/* The network as it was saved. Its tensors tell all but the horizon. */
static int load_saved(bool classes, tn_model **out)
{
    const char *settings[LIST_MAX + 1];
    char horizon[40];
    int count = 0;
    for (int i = 0; i < own.set.count; i++) settings[count++] = own.set.at[i];
    snprintf(horizon, sizeof(horizon), "horizon=%d", own.horizon ? own.horizon : 1);
    if (!classes) settings[count++] = horizon;
    tn_checkpoint *checkpoint;
    int code = report(tn_checkpoint_load(own.output, &checkpoint));
    if (code) return code;
    code = report(tn_model_from_checkpoint(checkpoint, own.arch, settings, count, out));
    tn_checkpoint_free(checkpoint);
    return code;
}

static int show_saved(const session *s)
{
    const tn_save_options save = {.size = sizeof(save), .opset = 12};
    tn_model *model = NULL;
    int code = s->classes && !own.onnx ? 0 : load_saved(s->classes, &model);
    if (!code && own.onnx) code = report(tn_model_save(model, own.onnx, &save));
    if (!code && !s->classes) code = train_show_forecast(model, s->data, own.plot);
    if (!code && own.loss_plot) code = train_show_losses(s->trainer, own.loss_plot);
    tn_model_free(model);
    return code;
}

static int train(session *s)
{
    tn_train_end end;
    int code = 0;
    if (own.resume) code = report(tn_trainer_load_state(s->trainer, s->state_path));
    if (code) return code;
    struct sigaction action = {.sa_handler = on_signal}, old_int, old_term;
    sigaction(SIGINT, &action, &old_int);
    sigaction(SIGTERM, &action, &old_term);
    code = report(tn_trainer_run(s->trainer, watch, s, &end));
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGTERM, &old_term, NULL);
    if (code || s->code) return code ? code : s->code;
    if (end == TN_TRAIN_ASKED) {
        code = save_all(s);
        if (!code)
            fprintf(stderr, "stopped: %s and %s are written, --resume goes on from there\n",
                    own.output, s->state_path);
        return code ? code : EXIT_FAILED;
    }
    if (end == TN_TRAIN_EARLY)
        fprintf(stderr, "no better loss for %d epochs: the best parameters are kept\n",
                own.patience);
    if (!s->classes) printf("finish training\n");
    code = own.checkpoint > 0 ? save_all(s) : report(tn_trainer_save(s->trainer, own.output));
    return code ? code : show_saved(s);
}

static int run_on(const tn_dataset *data)
{
    session s = {.data = data};
    const char *settings[LIST_MAX + 4];
    char text[4][40];
    tn_train_options o;
    int code = print_data(data, &s.classes);
    if (code) return code;
    if (!make_options(s.classes, &o)) return EXIT_USAGE;
    o.settings = settings;
    o.setting_count = list_settings(strcmp(own.arch, "lstm") == 0, settings, text);
    s.every = own.every > 0 ? own.every : s.classes ? 100 : 10;
    snprintf(s.state_path, sizeof(s.state_path), "%s.state", own.output);
    code = report(tn_trainer_new(data, &o, &s.trainer));
    if (!code) code = train(&s);
    tn_trainer_free(s.trainer);
    return code;
}

static bool ends_with(const char *text, const char *end)
{
    size_t bytes = strlen(text), end_bytes = strlen(end);
    return bytes >= end_bytes && strcmp(text + bytes - end_bytes, end) == 0;
}

/* Better said before hours of training than after. */
static int check_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char folder[4096] = ".";
    struct stat is;
    if (slash) snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path) + 1, path);
    if (stat(folder, &is) == 0 && access(folder, W_OK) == 0) return 0;
    fprintf(stderr, "error: cannot write '%s': %s\n", path, strerror(errno));
    return EXIT_FAILED;
}

static int check_output(const char *path)
{
    if (ends_with(path, ".pth") || ends_with(path, ".pt") || ends_with(path, ".safetensors"))
        return check_folder(path);
    fprintf(stderr, "tenon train: the name of the output ends in .pth, .pt or .safetensors\n");
    return EXIT_USAGE;
}

static int run(text_list *arguments)
{
    tn_dataset *data = NULL;
    if (arguments->count != (own.data ? 0 : 1)) {
        fprintf(stderr, "usage: tenon train %s\n", command_train.usage);
        return EXIT_USAGE;
    }
    if (!own.arch) own.arch = own.data ? "lenet" : "lstm";
    if (!own.output) own.output = "model.pth";
    int code = check_output(own.output);
    if (!code && own.onnx) code = check_folder(own.onnx);
    if (!code && own.plot) code = check_folder(own.plot);
    if (!code && own.loss_plot) code = check_folder(own.loss_plot);
    if (!code)
        code = own.data ? report(tn_dataset_load_images(own.data, &data))
                        : load_series(arguments->at[0], &data);
    if (!code) code = run_on(data);
    tn_dataset_free(data);
    return code;
}

const tool_command command_train = {
    .name = "train",
    .usage = "DATA.csv|--data=FOLDER [--arch=NAME] [-o FILE] [OPTION ...]",
    .about = "Train a network by name: forecast a series from a CSV file, or tell images apart",
    .notes =
        "A seed gives the parameters and the order of samples that PyTorch gives. Ctrl-C ends "
        "the run after\n"
        "the present step and writes the parameters and, beside them, OUTPUT.state, from which "
        "--resume goes\n"
        "on to the same bits (exit code 1).",
    .options = options,
    .run = run,
};
