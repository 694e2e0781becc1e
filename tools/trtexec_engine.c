/* The engine that trtexec times: built, loaded, or with weights put in. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <tenon/engine.h>

#include "trtexec.h"

/* Texts that live until the end. */
typedef struct kept_text {
    struct kept_text *before;
    char at[];
} kept_text;
static kept_text *last_kept;

const char *trt_join(const char *a, size_t a_bytes, const char *between, const char *b,
                     size_t b_bytes)
{
    size_t bytes = a_bytes + b_bytes + strlen(between) + 1;
    kept_text *fresh = malloc(sizeof(*fresh) + bytes);
    if (!fresh) {
        log_line('E', "out of memory");
        exit(EXIT_FAILED);
    }
    snprintf(fresh->at, bytes, "%.*s%s%.*s", (int)a_bytes, a, between, (int)b_bytes, b);
    fresh->before = last_kept;
    last_kept = fresh;
    return fresh->at;
}

/* ---- Shapes ----------------------------------------------------------------------------------*/

/* A name may hold one '*': such a shape is that of every input whose name fits. */
static bool fits(const char *name, const char *pattern, size_t bytes)
{
    const char *star = memchr(pattern, '*', bytes);
    size_t name_bytes = strlen(name);
    if (!star) return name_bytes == bytes && !memcmp(name, pattern, bytes);
    size_t head = (size_t)(star - pattern), tail = bytes - head - 1;
    return name_bytes >= head + tail && !memcmp(name, pattern, head) &&
           !memcmp(name + name_bytes - tail, star + 1, tail);
}

static void spread(text_list *list, const char *const *names, int count)
{
    static shape_list shapes;
    bool star = false;
    for (int i = 0; i < list->count; i++) star |= strchr(list->at[i], '*') != NULL;
    if (!star || !shapes_parse("shapes", list, &shapes)) return;
    list->count = 0;
    for (int i = 0; i < shapes.count; i++) {
        const named_shape *shape = &shapes.at[i];
        char text[200];
        shape_text(shape->dim, shape->rank, text, sizeof(text));
        for (int k = 0; k < count && list->count < LIST_MAX; k++)
            if (fits(names[k], shape->name, strlen(shape->name)))
                list->at[list->count++] =
                    trt_join(names[k], strlen(names[k]), ":", text, strlen(text));
    }
}

static void print_size(const char *what, const char *path)
{
    struct stat facts;
    if (stat(path, &facts) == 0)
        log_line('I', "%s engine with size: %g MiB", what, (double)facts.st_size / (1 << 20));
}

/* What is not given follows opt, then max, then min. */
static void print_profile_shapes(void)
{
    static const char *const words[] = {"minShapes", "optShapes", "maxShapes"};
    static const int order[] = {1, 2, 0};
    const text_list *const texts[] = {&trt.build.min, &trt.build.opt, &trt.build.max};
    static shape_list lists[3];
    for (int i = 0; i < 3; i++)
        if (!shapes_parse(words[i], texts[i], &lists[i])) return;
    for (int from = 0; from < 3; from++) {
        for (int i = 0; i < lists[order[from]].count; i++) {
            const named_shape *source = &lists[order[from]].at[i], *shape[3];
            char text[3][160];
            bool told = false;
            for (int k = 0; k < from; k++) told |= !!shapes_find(&lists[order[k]], source->name);
            for (int k = 0; k < 3 && !told; k++) {
                shape[k] = shapes_find(&lists[k], source->name);
                if (!shape[k])
                    log_line('W', "%s is being broadcasted to %s for tensor %s", words[order[from]],
                             words[k], source->name);
                if (!shape[k]) shape[k] = source;
                shape_text(shape[k]->dim, shape[k]->rank, text[k], sizeof(text[k]));
            }
            if (!told)
                log_line('I',
                         "Set shape of input tensor %s for optimization profile 0 to: MIN=%s "
                         "OPT=%s MAX=%s",
                         source->name, text[0], text[1], text[2]);
        }
    }
}

static void print_model(const tn_model *model)
{
    char *text;
    log_line('I', "[TRT] ----------------------------------------------------------------");
    log_line('I', "[TRT] Input filename:   %s", trt.onnx);
    if (!tn_model_text(model, TN_TEXT_SUMMARY, &text)) {
        for (char *line = text, *end; *line; line = *end ? end + 1 : end) {
            end = line + strcspn(line, "\n");
            log_line(trt.verbose ? 'V' : 'I', "[TRT] %.*s", (int)(end - line), line);
            if (!trt.verbose) break;
        }
        tn_text_free(text);
    }
    log_line('I', "[TRT] ----------------------------------------------------------------");
}

static int build(tn_engine **engine)
{
    const char *names[SHAPES_MAX];
    int count = 0;
    tn_model *model;
    double begin = now_ms();
    log_line('I', "Start parsing network model.");
    int code = report(model_open(trt.onnx, &trt.build.model, &model));
    if (code) return code;
    print_model(model);
    log_line('I', "Finished parsing network model. Parse time: %s",
             plain((now_ms() - begin) * 1e-3).text);
    for (int i = 0; i < tn_model_input_count(model) && count < SHAPES_MAX; i++) {
        tn_io io;
        if (!tn_model_input(model, i, &io)) names[count++] = io.name;
    }
    text_list *const lists[] = {&trt.build.min, &trt.build.opt, &trt.build.max, &trt.shapes};
    for (int i = 0; i < 4; i++) spread(lists[i], names, count);
    /* As there: the shapes to time are those to tune for, where no others are given. */
    if (!trt.build.min.count && !trt.build.opt.count && !trt.build.max.count)
        trt.build.min = trt.build.opt = trt.build.max = trt.shapes;
    print_profile_shapes();
    begin = now_ms();
    code = shapes_good(&trt.build) ? report(engine_build(model, &trt.build, engine)) : EXIT_FAILED;
    if (!code) log_line('I', "Engine built in %s sec.", plain((now_ms() - begin) * 1e-3).text);
    if (!code && trt.save) {
        code = report(tn_engine_save(*engine, trt.save));
        if (!code) print_size("Created", trt.save);
        else tn_engine_free(*engine);
    }
    tn_model_free(model);
    return code;
}

static int load(tn_engine **engine)
{
    double begin = now_ms();
    int code = report(tn_engine_load(trt.load, trt.build.device, 0, engine));
    if (code) return code;
    const char *names[SHAPES_MAX];
    int count = 0;
    double seconds = (now_ms() - begin) * 1e-3;
    log_line('I', "Engine loaded in %s sec.", plain(seconds).text);
    print_size("Loaded", trt.load);
    log_line('I', "Engine deserialized in %s sec.", plain(seconds).text);
    for (int i = 0; i < tn_engine_input_count(*engine) && count < SHAPES_MAX; i++) {
        tn_io io;
        if (!tn_engine_input(*engine, i, &io)) names[count++] = io.name;
    }
    spread(&trt.shapes, names, count);
    return EXIT_DONE;
}

/* ---- Weights ---------------------------------------------------------------------------------*/

bool trt_lacks_weights(const tn_engine *engine)
{
    for (int64_t i = 0; i < tn_engine_weight_count(engine); i++) {
        const char *name;
        tn_tensor weight;
        bool missing = false;
        if (!tn_engine_weight(engine, i, &name, &weight, &missing) && missing) return true;
    }
    return false;
}

static void print_weights(const tn_engine *engine)
{
    char text[200];
    log_line('I', "Refittable weights: %lld", (long long)tn_engine_weight_count(engine));
    for (int64_t i = 0; i < tn_engine_weight_count(engine); i++) {
        const char *name;
        tn_tensor t;
        if (tn_engine_weight(engine, i, &name, &t, NULL)) continue;
        log_line('I', "  %s: %s %s", name, tn_dtype_name(t.dtype),
                 shape_text(t.dim, t.rank, text, sizeof(text)));
    }
}

/* Weights of an ONNX file, `runs` times for a clock. The engine is replaced. */
static int refit(tn_engine **engine, const char *path, int runs)
{
    const tn_build_config config = {.size = sizeof(config), .no_check = runs > 1};
    tn_model *model;
    int code = report(model_open(path, &trt.build.model, &model));
    if (code) return code;
    double sum = 0;
    for (int i = 0; i < runs && !code; i++) {
        tn_engine *fresh;
        double begin = now_ms();
        code = report(tn_engine_refit_from_model(*engine, model, &config, &fresh));
        sum += now_ms() - begin;
        if (code) break;
        tn_engine_free(*engine);
        *engine = fresh;
    }
    tn_model_free(model);
    if (!code && runs > 1)
        log_line('I',
                 "Total refit time = %s milliseconds in %d iterations, average time = %s "
                 "milliseconds.",
                 plain(sum).text, runs, plain(sum / runs).text);
    else if (!code)
        log_line('I', "Engine refitted from %s in %s sec.", path, plain(sum * 1e-3).text);
    return code;
}

/* ---- All of it -------------------------------------------------------------------------------*/

int trt_engine(tn_engine **engine)
{
    enum { REFITS = 10 };
    const char *weights = trt.refit_from ? trt.refit_from : trt.onnx;
    int code = trt.load ? load(engine) : build(engine);
    if (code) return code;
    if (trt.dump_refit) print_weights(*engine);
    if (trt.refit_from) code = refit(engine, trt.refit_from, 1);
    if (!code && trt.time_refit && !weights) {
        log_line('E', "--timeRefit wants the weights of a model: --onnx or --refitFromOnnx");
        code = EXIT_FAILED;
    }
    if (!code && trt.time_refit) code = refit(engine, weights, REFITS);
    if (code) tn_engine_free(*engine);
    return code;
}

/* An engine file begins with a line: "TENON engine layout 7, tenon 0.1.0, for cpu". */
int trt_plan_version(void)
{
    char line[128] = "";
    const char *word = NULL;
    if (!trt.load) {
        log_line('E', "--getPlanVersionOnly wants an engine file: --loadEngine");
        return EXIT_FAILED;
    }
    FILE *file = fopen(trt.load, "rb");
    if (file && is_engine_file(trt.load) && fgets(line, sizeof(line), file))
        word = strstr(line, ", tenon ");
    if (file) fclose(file);
    if (!word) {
        log_line('E', "%s is not an engine file", trt.load);
        return EXIT_FAILED;
    }
    word += strlen(", tenon ");
    log_line('I', "Plan was created with Tenon version %.*s", (int)strcspn(word, ",\r\n "), word);
    return EXIT_DONE;
}

int trt_time_load(void)
{
    enum { RUNS = 20, WARM_UP = 2 };
    const char *path = trt.load ? trt.load : trt.save;
    double sum = 0, first = 0;
    if (!path) {
        log_line('E', "--timeDeserialize wants an engine file: --loadEngine or --saveEngine");
        return EXIT_FAILED;
    }
    log_line('I', "Begin deserialization timing...");
    for (int i = 0; i < RUNS + WARM_UP; i++) {
        tn_engine *engine;
        double begin = now_ms();
        int code = report(tn_engine_load(path, trt.build.device, 0, &engine));
        double ms = now_ms() - begin;
        if (code) return code;
        tn_engine_free(engine);
        if (i == 0) first = ms;
        if (i >= WARM_UP) sum += ms;
    }
    log_line('I',
             "Total deserialization time = %s milliseconds in %d iterations, average time = %s "
             "milliseconds, first time = %s milliseconds.",
             plain(sum).text, RUNS, plain(sum / RUNS).text, plain(first).text);
    return EXIT_DONE;
}
