/* tenon classify: texts or pictures to classes and probabilities. Which of the two is told by what
 * stands on the command line. */
#include <math.h>
#include <string.h>

#include "classify.h"

static classify_flags own = {.batch = 32, .top = 5, .tokens = {.max_length = 256}};

static int options(tool_option *out)
{
    const tool_option rows[] = {
        {"engine", OPTION_TEXT, &own.engine, "FILE",
         "the engine, or a model that is built on the spot"},
        {"labels", OPTION_TEXT, &own.labels, "FILE",
         "names of the classes: one on a line, or a JSON list"},
        {"batch", OPTION_INT, &own.batch, "N",
         "texts or pictures run together at most, default 32"},
        {"preset", OPTION_TEXT, &own.preset, "imagenet|swin|mnist",
         "what to make of pictures; default imagenet, mnist for networks of one channel"},
        {"resize", OPTION_TEXT, &own.resize, "N|HxW",
         "instead of the preset's: the shorter side, or just this size"},
        {"crop", OPTION_TEXT, &own.crop, "N|HxW", "cut this out of the centre; 0: all of it"},
        {"filter", OPTION_TEXT, &own.filter, "bilinear|bicubic|nearest|box|lanczos",
         "how to resize, as PIL does it"},
        {"mean", OPTION_TEXT, &own.mean, "X[,Y,Z]", "of each channel, of values 0 to 1"},
        {"std", OPTION_TEXT, &own.deviation, "X[,Y,Z]", "standard deviations, likewise"},
        {"bgr", OPTION_FLAG, &own.bgr, NULL, "the network wants blue first"},
        {"invert", OPTION_FLAG, &own.invert, NULL, "negative: digits on white paper for MNIST"},
        {"no-scale", OPTION_FLAG, &own.no_scale, NULL, "values stay 0 to 255 before mean and std"},
        {"as-stored", OPTION_FLAG, &own.as_stored, NULL, "do not turn pictures by their EXIF"},
        {"top", OPTION_INT, &own.top, "N", "classes printed for a picture, default 5"},
        {"text", OPTION_LIST, &own.texts, "TEXT",
         "a text; without any, and without pictures, each line of standard input"},
        {"tsv", OPTION_FLAG, &own.tsv, NULL,
         "lines are TEXT<TAB>CLASS: print the accuracy instead of each line"},
    };
    int count = (int)(sizeof(rows) / sizeof(rows[0]));
    memcpy(out, rows, sizeof(rows));
    count += tokenizer_options(&own.tokens, out + count);
    return count + build_options(&own.built, out + count);
}

void classify_probabilities(float *p, int64_t count)
{
    double sum = 0, most = -INFINITY, least = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += p[i];
        most = p[i] > most ? p[i] : most;
        least = p[i] < least ? p[i] : least;
    }
    if (fabs(sum - 1) < 1e-3 && least >= 0) return;
    sum = 0;
    for (int64_t i = 0; i < count; i++) sum += exp(p[i] - most);
    for (int64_t i = 0; i < count; i++) p[i] = (float)(exp(p[i] - most) / sum);
}

static int run(text_list *arguments)
{
    if (!own.engine || own.batch < 1 || own.top < 1 || (arguments->count && own.texts.count)) {
        fprintf(stderr,
                "usage: tenon classify IMAGE ... --engine=FILE [--labels=FILE] [OPTION ...]\n"
                "       tenon classify --text=TEXT --vocab=FILE --engine=FILE [OPTION ...]\n");
        return EXIT_USAGE;
    }
    set_verbose(own.built.verbose);
    return arguments->count ? classify_images_of(&own, arguments) : classify_texts_of(&own);
}

const tool_command command_classify = {
    .name = "classify",
    .usage = "--engine=FILE [OPTION ...] [IMAGE ... | --vocab=FILE [--text=TEXT ...]]",
    .about = "Print the classes of pictures or texts, with their probabilities",
    .notes = "Pictures are JPEG, PNG, BMP or PNM. Without pictures, each line of standard input "
             "gives CLASS<TAB>PROBABILITIES<TAB>TEXT; the speed goes to stderr.",
    .options = options,
    .run = run,
};
