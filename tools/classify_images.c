/* tenon classify, pictures: decoded, made ready as the network was trained, run in batches. */
#include <stdlib.h>
#include <string.h>

#include "classify.h"

typedef struct classifier {
    const classify_flags *flags;
    tn_engine *engine;
    tn_context *context;
    tn_image_steps steps;
    tn_io input, output;
    int64_t channels, height, width; /* of the input; height and width -1 where they are open */
    line_list labels;
} classifier;

static int refuse(const char *format, const char *text)
{
    fprintf(stderr, format, text);
    return EXIT_USAGE;
}

/* ---- The steps, from the preset and the flags
 * --------------------------------------------------------*/

/* "224" gives one number, "224x320" two. */
static bool read_size(const char *text, int32_t *height, int32_t *width)
{
    char *end;
    long first = strtol(text, &end, 10), second = -1;
    bool good = end != text && first >= 0 && first <= 16384;
    if (good && *end == 'x') {
        char *begin = end + 1;
        second = strtol(begin, &end, 10);
        good = end != begin && second > 0 && second <= 16384 && first > 0;
    }
    if (!good || *end) return false;
    *height = (int32_t)first;
    *width = (int32_t)second;
    return true;
}

/* One number for all channels, or one for each. */
static bool read_three(const char *text, float out[3])
{
    int count = 0;
    for (char *end; count < 3; text = end + 1) {
        out[count++] = strtof(text, &end);
        if (end == text) return false;
        if (*end == 0) break;
        if (*end != ',' || count == 3) return false;
    }
    if (count == 1) out[1] = out[2] = out[0];
    return count != 2;
}

static int take_sizes(const classify_flags *f, tn_image_steps *s)
{
    int32_t height, width;
    if (f->resize) {
        if (!read_size(f->resize, &height, &width) || height == 0)
            return refuse("tenon classify: --resize=%s is not N or HxW\n", f->resize);
        s->shorter_side = width < 0 ? height : 0;
        s->resize_height = width < 0 ? 0 : height;
        s->resize_width = width < 0 ? 0 : width;
    }
    if (f->crop) {
        if (!read_size(f->crop, &height, &width))
            return refuse("tenon classify: --crop=%s is not N or HxW\n", f->crop);
        s->crop_height = height;
        s->crop_width = width < 0 ? height : width;
    }
    return 0;
}

static int take_flags(const classify_flags *f, tn_image_steps *s)
{
    static const char *const filters[] = {"bilinear", "bicubic", "nearest", "box", "lanczos"};
    int code = take_sizes(f, s);
    if (code) return code;
    if (f->filter) {
        size_t i = 0, count = sizeof(filters) / sizeof(filters[0]);
        while (i < count && strcmp(filters[i], f->filter) != 0) i++;
        if (i == count)
            return refuse("tenon classify: --filter=%s is not bilinear, bicubic, nearest, box or "
                          "lanczos\n",
                          f->filter);
        s->filter = (tn_image_filter)i;
    }
    if (f->mean && !read_three(f->mean, s->mean))
        return refuse("tenon classify: --mean=%s is not one number or three\n", f->mean);
    if (f->deviation && !read_three(f->deviation, s->deviation))
        return refuse("tenon classify: --std=%s is not one number or three\n", f->deviation);
    s->bgr = f->bgr;
    s->invert = f->invert;
    s->no_scale = f->no_scale;
    return 0;
}

/* The preset for the size that the network takes; with the flags, the size of what is made must be
 * known and be the network's. */
static int choose_steps(classifier *c)
{
    const char *preset = c->flags->preset;
    tn_image_steps *s = &c->steps;
    int64_t most = c->height > c->width ? c->height : c->width;
    s->size = sizeof(*s);
    if (!preset) preset = c->channels == 1 ? "mnist" : "imagenet";
    int code = report(tn_image_preset(preset, most > 0 && most <= 16384 ? (int)most : 0, s));
    if (code) return code;
    s->channels = (int32_t)c->channels;
    int32_t *end_height = s->crop_height ? &s->crop_height : &s->resize_height;
    int32_t *end_width = s->crop_height ? &s->crop_width : &s->resize_width;
    if (c->height > 0 && c->height <= 16384) *end_height = (int32_t)c->height;
    if (c->width > 0 && c->width <= 16384) *end_width = (int32_t)c->width;
    code = take_flags(c->flags, s);
    if (code) return code;
    int32_t height = s->crop_height ? s->crop_height : s->resize_height;
    int32_t width = s->crop_width ? s->crop_width : s->resize_width;
    if (height <= 0) {
        fprintf(stderr, "tenon classify: say what size the pictures become: --crop=N or "
                        "--resize=HxW\n");
        return EXIT_USAGE;
    }
    if ((c->height > 0 && height != c->height) || (c->width > 0 && width != c->width)) {
        fprintf(stderr, "tenon classify: the network takes %lldx%lld; the flags make %dx%d\n",
                (long long)c->height, (long long)c->width, height, width);
        return EXIT_USAGE;
    }
    c->height = height;
    c->width = width;
    return 0;
}

/* ---- The network
 * --------------------------------------------------------------------------------------*/

static int describe(classifier *c)
{
    int code = report(tn_engine_input(c->engine, 0, &c->input));
    if (!code) code = report(tn_engine_output(c->engine, 0, &c->output));
    if (code) return code;
    const tn_io *io = &c->input;
    if (tn_engine_input_count(c->engine) != 1 || io->dtype != TN_DTYPE_F32 || io->rank != 4 ||
        (io->dim[1] != 3 && io->dim[1] != 1)) {
        fprintf(stderr,
                "error: input '%s' is not that of a picture classifier: one input, f32 [batch, "
                "channels (3 or 1), height, width]\n",
                io->name);
        return EXIT_FAILED;
    }
    c->channels = io->dim[1];
    c->height = io->dim[2];
    c->width = io->dim[3];
    return 0;
}

static int open_classifier(classifier *c)
{
    int code = c->flags->labels ? labels_read(c->flags->labels, &c->labels) : 0;
    if (!code) code = report(engine_open(c->flags->engine, &c->flags->built, &c->engine));
    if (!code) code = describe(c);
    if (!code) code = choose_steps(c);
    if (!code) code = report(tn_context_new(c->engine, &c->context));
    return code;
}

static void close_classifier(classifier *c)
{
    lines_free(&c->labels);
    tn_context_free(c->context);
    tn_engine_free(c->engine);
}

/* ---- Batches
 * ------------------------------------------------------------------------------------------*/

static tn_status load(const classifier *c, const char *path, tn_tensor *place)
{
    tn_image_options options = {.size = sizeof(options), .as_stored = c->flags->as_stored};
    tn_tensor image;
    tn_status status = tn_image_load(path, &options, &image);
    if (!status) status = tn_image_prepare(&image, &c->steps, place);
    tn_tensor_free(&image);
    return status;
}

static void print_top(const classifier *c, const char *path, const float *p, int64_t classes)
{
    int64_t shown[LIST_MAX];
    int count = c->flags->top < LIST_MAX ? c->flags->top : LIST_MAX;
    if (count > classes) count = (int)classes;
    printf("%s\n", path);
    for (int k = 0; k < count; k++) {
        int64_t best = -1;
        for (int64_t i = 0; i < classes; i++) {
            bool taken = false;
            for (int j = 0; j < k; j++) taken |= shown[j] == i;
            if (!taken && (best < 0 || p[i] > p[best])) best = i;
        }
        shown[k] = best;
        bool named = best < c->labels.count;
        printf("  %8.6f  %5lld%s%s\n", (double)p[best], (long long)best, named ? "  " : "",
               named ? c->labels.at[best].text : "");
    }
}

static int print_results(const classifier *c, const tn_tensor *out, const char *const *paths,
                         int64_t count, int64_t rows)
{
    int64_t classes = tn_tensor_count(out) / rows;
    if (out->dtype != TN_DTYPE_F32 || out->rank < 2 || out->dim[0] != rows || classes < 1) {
        fprintf(stderr, "error: the first output is not f32 [batch, classes]\n");
        return EXIT_FAILED;
    }
    for (int64_t r = 0; r < count; r++) {
        float *p = (float *)out->data + r * classes;
        classify_probabilities(p, classes);
        print_top(c, paths[r], p, classes);
    }
    return 0;
}

static int run_batch(classifier *c, const char *const *paths, int64_t count)
{
    int64_t rows = c->input.dim[0] > 0 ? c->input.dim[0] : count; /* zeros fill a fixed batch */
    int64_t plane[] = {c->channels, c->height, c->width};
    int64_t pixels = plane[0] * plane[1] * plane[2];
    tn_tensor batch, out;
    tn_status status =
        tn_tensor_new(TN_DTYPE_F32, (int64_t[]){rows, plane[0], plane[1], plane[2]}, 4, &batch);
    for (int64_t i = 0; i < count && !status; i++) {
        tn_tensor place = tn_tensor_of(TN_DTYPE_F32, plane, 3, (float *)batch.data + i * pixels);
        status = load(c, paths[i], &place);
    }
    if (!status) status = tn_context_bind(c->context, c->input.name, &batch);
    if (!status) status = tn_context_run(c->context);
    if (!status) status = tn_context_output(c->context, c->output.name, &out);
    int code = report(status);
    if (!code) code = print_results(c, &out, paths, count, rows);
    tn_tensor_free(&batch);
    return code;
}

int classify_images_of(const classify_flags *flags, const text_list *files)
{
    classifier c = {.flags = flags};
    int code = open_classifier(&c);
    int64_t most = code ? 1 : c.input.dim[0] > 0 ? c.input.dim[0] : flags->batch;
    for (int64_t i = 0; i < files->count && !code; i += most)
        code = run_batch(&c, &files->at[i], files->count - i < most ? files->count - i : most);
    close_classifier(&c);
    return code;
}
