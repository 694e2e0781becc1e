/* tenon compare MODEL [OTHER ...]: a model as it is against engines, other models and other
 * libraries; where they part, and what to hold back so that they do not. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "compare.h"

enum { PRECISIONS = 4, RUNS_MAX = LIST_MAX * PRECISIONS + LIST_MAX + 1 };

static build_flags flags;
static struct {
    text_list shapes, inputs, torch;
    int seed;
    double rtol, atol;
    bool bisect, precision_bisect, values, onnxruntime;
    const char *html, *json, *save;
} own = {.seed = 1};

static int options(tool_option *out)
{
    const tool_option rows[] = {
        {"bisect", OPTION_FLAG, &own.bisect, NULL,
         "where an output is beyond the tolerance, find the first layer that is"},
        {"precision-bisect", OPTION_FLAG, &own.precision_bisect, NULL,
         "where a lower precision is beyond the tolerance without the build's own check, find the "
         "fewest layers to hold back in float32"},
        {"values", OPTION_FLAG, &own.values, NULL,
         "compare every tensor between the layers too, for --html and --json"},
        {"onnxruntime", OPTION_FLAG, &own.onnxruntime, NULL,
         "compare ONNX Runtime as well, through $PYTHON or python3"},
        {"torch", OPTION_LIST, &own.torch, "FILE",
         "compare a module of PyTorch as well: TorchScript, an exported program (.pt2), or "
         "FILE.py:NAME, a function that gives a module; may be repeated"},
        {"shapes", OPTION_LIST, &own.shapes, "NAME:1x3x4,...",
         "shapes to run at; dynamic dims default to 1"},
        {"loadInputs", OPTION_LIST, &own.inputs, "NAME=FILE",
         "an input from a .npy or .pb file, or one of bare values; others are random: token ids "
         "inside of their table, masks of 0 and 1"},
        {"seed", OPTION_INT, &own.seed, "N", "of random inputs, default 1"},
        {"rtol", OPTION_NUMBER, &own.rtol, "X",
         "judge each element by atol + rtol * |want| in place of relative L2"},
        {"atol", OPTION_NUMBER, &own.atol, "X", "the same"},
        {"html", OPTION_TEXT, &own.html, "FILE", "what was found as a page"},
        {"json", OPTION_TEXT, &own.json, "FILE", "the same for programs"},
        {"save", OPTION_TEXT, &own.save, "FOLDER",
         "write the inputs and the reference's outputs here, for `tenon check`"},
    };
    memcpy(out, rows, sizeof(rows));
    int count = (int)(sizeof(rows) / sizeof(rows[0]));
    return count + build_options(&flags, out + count);
}

static bool between(void)
{
    return own.bisect || own.precision_bisect || own.values;
}

/* ---- The reference ---------------------------------------------------------------------------*/

static int make_inputs(comparison *c, const shape_list *shapes)
{
    input_set *set = &c->inputs;
    int code = inputs_make(c->reference.engine, shapes, &own.inputs, (uint64_t)own.seed, set);
    for (int i = 0; i < set->count && !code; i++)
        if (!input_file(&own.inputs, set->name[i]))
            code = report(tn_model_fill_input(c->model, set->tensor, i, (uint64_t)own.seed));
    return code;
}

static int run_reference(comparison *c, const shape_list *shapes)
{
    compare_run *run = &c->reference;
    build_flags slow = flags_of(c, TN_PRECISION_F32);
    slow.device = "cpu";
    slow.no_optimize = slow.no_check = true;
    slow.expose = between();
    slow.hold.count = 0;
    int code = report(engine_build(c->model, &slow, &run->engine));
    if (!code) code = make_inputs(c, shapes);
    if (!code) code = report(tn_context_new(run->engine, &run->context));
    if (!code) code = report(inputs_bind(run->context, &c->inputs));
    return code ? code : report(tn_context_run(run->context));
}

static int save_one(const char *kind, int index, const tn_tensor *tensor)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s_%d.pb", own.save, kind, index);
    return report(tn_tensor_save(tensor, path));
}

static int save_data(const comparison *c)
{
    int code = EXIT_DONE;
    tn_tensor tensor;
    tn_io io;
    if (mkdir(own.save, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "error: cannot make the folder %s: %s\n", own.save, strerror(errno));
        return EXIT_FAILED;
    }
    for (int i = 0; i < c->inputs.count && !code; i++)
        code = save_one("input", i, &c->inputs.tensor[i]);
    for (int i = 0; i < tn_model_output_count(c->model) && !code; i++) {
        code = report(tn_model_output(c->model, i, &io));
        if (!code) code = report(run_tensor(&c->reference, io.name, &tensor));
        if (!code) code = save_one("output", i, &tensor);
    }
    return code;
}

/* ---- Runs ------------------------------------------------------------------------------------*/

/* The tensors of an engine's run between its layers: by one more engine, which has them all. */
static tn_status see_inside(comparison *c, tn_model *model, const build_flags *given,
                            compare_run *run)
{
    compare_run inside = {0};
    tn_status status = model ? run_model(c, model, given, true, &inside)
                             : run_engine_file(c, run->path, WITH_VALUES, &inside);
    inside.limit = run->limit;
    if (!status) status = compare_values(c, &inside, &run->values);
    run_close(&inside);
    return status;
}

/* Another model, or the graph of an engine, by reference kernels alone: what differs then is in it,
 * and not in what was made of it. */
static tn_status compare_graphs(comparison *c, tn_model *other, compare_run *run)
{
    build_flags slow = flags_of(c, TN_PRECISION_F32);
    compare_run plain = {0};
    slow.no_optimize = true;
    slow.device = "cpu";
    tn_status status = other ? run_model(c, other, &slow, true, &plain)
                             : run_engine_file(c, run->path, ITS_GRAPH, &plain);
    plain.limit = run->limit;
    if (!status) status = compare_outputs(c, &plain, &plain.outputs);
    if (!status && !all_within(&plain.outputs)) {
        free(run->values.at);
        run->values = (compared_list){0};
        status = compare_values(c, &plain, &run->values);
        if (!status)
            find_fault(c, other, &run->values,
                       other ? "the models, unoptimised" : "the graph of the engine, unoptimised",
                       &run->fault);
    }
    run_close(&plain);
    return status;
}

static tn_status look_closer(comparison *c, tn_model *model, const build_flags *given,
                             compare_run *run)
{
    bool good = all_within(&run->outputs);
    tn_status status = NULL;
    if (own.values || (own.bisect && !good)) status = see_inside(c, model, given, run);
    if (status || !own.bisect || good) return status;
    if (model != c->model) status = compare_graphs(c, model, run);
    if (!status && !run->fault.looked) find_fault(c, NULL, &run->values, "the engine", &run->fault);
    return status;
}

/* The engine as a build without its own check makes it. */
static tn_status bisect_precision(comparison *c, compare_run *run)
{
    build_flags raw = flags_of(c, run->precision);
    compare_run plain = {0};
    raw.no_check = true;
    tn_status status = run_model(c, c->model, &raw, false, &plain);
    plain.limit = run->limit;
    if (!status) status = compare_outputs(c, &plain, &plain.outputs);
    run->hold = (hold_list){.looked = true, .builds = 1, .before = largest_l2(&plain.outputs)};
    run->hold.found = all_within(&plain.outputs);
    if (!status && !run->hold.found) {
        free(run->values.at);
        run->values = (compared_list){0};
        status = see_inside(c, c->model, &raw, run);
        if (!status) status = find_hold(c, c->model, run);
    }
    run_close(&plain);
    return status;
}

static int add_engine(comparison *c, const char *path, tn_precision precision, compare_run *run)
{
    tn_model *model = NULL;
    build_flags given = flags_of(c, precision);
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    bool is_file = is_engine_file(path), is_same = !strcmp(path, c->path);
    run->path = path;
    tn_status status = is_file || is_same ? NULL : model_open(path, &flags.model, &model);
    tn_model *used = is_file ? NULL : is_same ? c->model : model;
    if (!status)
        status = is_file ? run_engine_file(c, path, AS_IT_IS, run)
                         : run_model(c, used, &given, false, run);
    const char *word = is_file ? "" : precision_word(precision);
    if (is_same) snprintf(run->label, sizeof(run->label), "%s", word);
    else snprintf(run->label, sizeof(run->label), "%s%s%s", name, is_file ? "" : " ", word);
    if (!status) status = compare_outputs(c, run, &run->outputs);
    if (!status) status = look_closer(c, used, &given, run);
    if (!status && own.precision_bisect && is_same && precision != TN_PRECISION_F32)
        status = bisect_precision(c, run);
    tn_model_free(model);
    run_stop(run); /* what was found stays */
    return report(status);
}

static int add_peer(comparison *c, const char *library, const char *from, compare_run *run)
{
    int code = run_peer(c, library, from, between() && !from, run);
    if (!code) code = report(compare_outputs(c, run, &run->outputs));
    if (!code && between()) code = report(compare_values(c, run, &run->values));
    if (!code && own.bisect && !all_within(&run->outputs) && run->values.count)
        find_fault(c, NULL, &run->values, run->label, &run->fault);
    return code;
}

/* Those asked for; else float32, and where there is nothing else to compare, all that the device
 * tells apart. */
static int choose_precisions(bool alone, tn_precision out[PRECISIONS])
{
    bool asked[] = {false, flags.tf32, flags.fp16, flags.bf16};
    bool card = flags.device && strncmp(flags.device, "cuda", 4) == 0;
    int count = 0;
    for (int i = 1; i < PRECISIONS; i++)
        if (asked[i]) out[count++] = (tn_precision)i;
    if (count) return count;
    out[count++] = TN_PRECISION_F32;
    for (int i = 1; i < (card ? PRECISIONS : 2) && alone; i++) out[count++] = (tn_precision)i;
    return count;
}

/* A run that fails ends the work; those before it are told all the same. */
static int run_all(comparison *c, const text_list *paths, compare_run *runs, int *count)
{
    tn_precision precision[PRECISIONS];
    bool alone = paths->count == 1 && !own.onnxruntime && !own.torch.count;
    int code = EXIT_DONE, kinds = choose_precisions(alone, precision);
    for (int i = paths->count > 1; i < paths->count && !code; i++)
        for (int k = 0; k < kinds && !code; k++)
            code = add_engine(c, paths->at[i], precision[k], &runs[(*count)++]);
    if (own.onnxruntime && !code) code = add_peer(c, "onnxruntime", NULL, &runs[(*count)++]);
    for (int i = 0; i < own.torch.count && !code; i++)
        code = add_peer(c, "torch", own.torch.at[i], &runs[(*count)++]);
    if (code) run_close(&runs[--*count]);
    return code;
}

/* ---- The command -----------------------------------------------------------------------------*/

static int tell(const comparison *c, const compare_run *runs, int count)
{
    bool good = true;
    compare_print(c, runs, count);
    for (int i = 0; i < count; i++)
        good &= runs[i].outputs.count > 0 && all_within(&runs[i].outputs);
    if (own.json && !compare_write_json(own.json, c, runs, count)) return EXIT_FAILED;
    if (own.html && !compare_write_page(own.html, c, runs, count)) return EXIT_FAILED;
    if (own.html) fprintf(stderr, "wrote %s\n", own.html);
    return good ? EXIT_DONE : EXIT_MISMATCH;
}

static int run(text_list *arguments)
{
    static shape_list shapes;
    static compare_run runs[RUNS_MAX];
    static comparison c;
    int count = 0;
    if (arguments->count < 1) {
        fprintf(stderr, "usage: tenon compare MODEL.onnx|MODEL.pth [OTHER ...] [OPTION ...]\n");
        return EXIT_USAGE;
    }
    if (is_engine_file(arguments->at[0])) {
        fprintf(stderr,
                "tenon compare: the first file is the reference and must be a model, but "
                "%s is an engine; write the model first: tenon compare MODEL.onnx %s\n",
                arguments->at[0], arguments->at[0]);
        return EXIT_USAGE;
    }
    if (!shapes_parse("shapes", &own.shapes, &shapes)) return EXIT_USAGE;
    if (!flags.opt.count) flags.opt = own.shapes;
    if (!shapes_good(&flags)) return EXIT_USAGE;
    set_verbose(flags.verbose);
    c.path = arguments->at[0];
    c.flags = &flags;
    if (own.rtol > 0 || own.atol > 0) c.limit = (tensor_limit){.rtol = own.rtol, .atol = own.atol};
    else c.limit.l2 = flags.tolerance;
    int code = report(model_open(c.path, &flags.model, &c.model));
    if (!code) code = report(layers_read(c.model, &c.layers));
    if (!code) code = report(tn_timing_cache_new(&c.timings));
    if (!code) code = run_reference(&c, &shapes);
    if (!code && own.save) code = save_data(&c);
    if (!code) code = run_all(&c, arguments, runs, &count);
    int told = count ? tell(&c, runs, count) : EXIT_DONE;
    if (!code) code = told;
    for (int i = 0; i < count; i++) run_close(&runs[i]);
    run_close(&c.reference);
    inputs_free(&c.inputs);
    layers_free(&c.layers);
    tn_timing_cache_free(c.timings);
    tn_model_free(c.model);
    return code;
}

const tool_command command_compare = {
    .name = "compare",
    .usage = "MODEL.onnx|MODEL.pth [OTHER.onnx|OTHER.pth|FILE.engine ...] [OPTION ...]",
    .about = "Run a model as it is beside engines, other models or other libraries; find where "
             "they part",
    .notes =
        "The model is run without passes by reference kernels, with random inputs that make sense "
        "for it, and what\n"
        "is given beside it is held against that, output by output; alone, the engines that `tenon "
        "build` makes of it\n"
        "in each precision. An output is within the tolerance by its relative L2: 1e-5 for fp32, "
        "1e-3 for tf32, 5e-3 for\n"
        "fp16, 2e-2 for bf16, 1e-4 for another library, more where the model itself has coarser "
        "numbers; or --tolerance,\n"
        "or by each element, with --rtol and --atol. Exit code 3: an output is beyond it.",
    .options = options,
    .run = run,
};
