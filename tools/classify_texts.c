/* tenon classify, texts: through a tokenizer and an engine to classes and probabilities.
 *
 * Lines are read in blocks; within one, lines of similar length share a batch, so that little is
 * spent on padding, and results are printed in the order of the lines. */
#include <stdlib.h>
#include <string.h>

#include "classify.h"

enum { LINES_AT_ONCE = 8192 };

/* ---- The network: which input is which, what the output holds
 * ---------------------------------------*/

typedef struct classifier {
    tn_tokenizer *tokenizer;
    tn_engine *engine;
    tn_context *context;
    char ids[256], segments[256], mask[256], output[256]; /* names; "" where there is none */
    int64_t rows, length; /* -1 where the network leaves them open */
    line_list labels;
} classifier;

static const classify_flags *own;

static bool take_name(char to[256], const char *name)
{
    if (to[0]) return false;
    snprintf(to, 256, "%s", name);
    return true;
}

/* By name where it tells, else the ids come first and the segments second. */
static bool take_input(classifier *c, const tn_io *io)
{
    if ((io->dtype != TN_DTYPE_I64 && io->dtype != TN_DTYPE_I32) || io->rank != 2) return false;
    if (io->dim[0] > 0) c->rows = io->dim[0];
    if (io->dim[1] > 0) c->length = io->dim[1];
    if (strstr(io->name, "mask")) return take_name(c->mask, io->name);
    if (strstr(io->name, "segment") || strstr(io->name, "type"))
        return take_name(c->segments, io->name);
    return take_name(c->ids, io->name) || take_name(c->segments, io->name) ||
           take_name(c->mask, io->name);
}

static int describe(classifier *c)
{
    tn_io io;
    c->rows = c->length = -1;
    for (int i = 0; i < tn_engine_input_count(c->engine); i++) {
        int code = report(tn_engine_input(c->engine, i, &io));
        if (code) return code;
        if (!take_input(c, &io)) {
            fprintf(stderr,
                    "error: input '%s' of the network is not one of a text classifier: token ids, "
                    "segment ids and a mask, integers of two dims\n",
                    io.name);
            return EXIT_FAILED;
        }
    }
    if (!c->ids[0] || tn_engine_output_count(c->engine) < 1) {
        fprintf(stderr, "error: the network has no input of token ids, or no output\n");
        return EXIT_FAILED;
    }
    int code = report(tn_engine_output(c->engine, 0, &io));
    if (!code) take_name(c->output, io.name);
    return code;
}

static int open_classifier(classifier *c)
{
    int code = tokenizer_open(&own->tokens, "classify", &c->tokenizer);
    if (!code) code = own->labels ? labels_read(own->labels, &c->labels) : 0;
    if (!code) code = report(engine_open(own->engine, &own->built, &c->engine));
    if (!code) code = describe(c);
    if (!code) code = report(tn_context_new(c->engine, &c->context));
    return code;
}

static void close_classifier(classifier *c)
{
    lines_free(&c->labels);
    tn_context_free(c->context);
    tn_engine_free(c->engine);
    tn_tokenizer_free(c->tokenizer);
}

/* ---- A batch
 * --------------------------------------------------------------------------------------*/

typedef struct result {
    size_t tokens;
    int64_t line; /* in the block */
    int class, class_count;
    float *probability; /* [class_count] */
} result;

static int take_output(const tn_tensor *out, result **results, int64_t count)
{
    if (out->dtype != TN_DTYPE_F32 || out->rank != 2 || out->dim[0] < count || out->dim[1] < 1) {
        fprintf(stderr, "error: the first output is not f32 [batch, classes]\n");
        return EXIT_FAILED;
    }
    int64_t classes = out->dim[1];
    for (int64_t r = 0; r < count; r++) {
        float *p = malloc((size_t)classes * sizeof(*p));
        if (!p) {
            fprintf(stderr, "error: no memory for the results\n");
            return EXIT_FAILED;
        }
        memcpy(p, (const float *)out->data + r * classes, (size_t)classes * sizeof(*p));
        classify_probabilities(p, classes);
        results[r]->probability = p;
        results[r]->class_count = (int)classes;
        for (int i = 1; i < classes; i++)
            if (p[i] > p[results[r]->class]) results[r]->class = i;
    }
    return 0;
}

/* A tensor of the network's own length where it has one: then the tokenizer pads to that. */
static tn_status make_input(const classifier *c, const char *name, int64_t rows, tn_tensor *out)
{
    *out = (tn_tensor){0};
    if (!name[0] || c->length < 0) return NULL;
    return tn_tensor_new(TN_DTYPE_I64, (int64_t[]){rows, c->length}, 2, out);
}

static tn_status run_tensors(classifier *c, const tn_string *texts, int64_t rows,
                             int64_t max_length, tn_tensor tensor[3], tn_tensor *out)
{
    const char *name[] = {c->ids, c->segments, c->mask};
    tn_status status = NULL;
    for (int i = 0; i < 3 && !status; i++) status = make_input(c, name[i], rows, &tensor[i]);
    if (!status)
        status = tn_tokenizer_encode_batch(c->tokenizer, texts, NULL, rows, max_length, &tensor[0],
                                           c->segments[0] ? &tensor[1] : NULL,
                                           c->mask[0] ? &tensor[2] : NULL);
    for (int i = 0; i < 3 && !status; i++)
        if (name[i][0]) status = tn_context_bind(c->context, name[i], &tensor[i]);
    if (!status) status = tn_context_run(c->context);
    if (!status) status = tn_context_output(c->context, c->output, out);
    return status;
}

static int64_t max_length_of(const classifier *c)
{
    if (c->length < 0) return own->tokens.max_length;
    return own->tokens.max_length > 0 && own->tokens.max_length < c->length ? own->tokens.max_length
                                                                            : c->length;
}

static int run_batch(classifier *c, const line_list *lines, result **results, int64_t count)
{
    int64_t rows = c->rows > 0 ? c->rows : count;
    tn_string *texts = calloc((size_t)rows, sizeof(*texts)); /* empty texts fill a fixed batch */
    if (!texts) {
        fprintf(stderr, "error: no memory for a batch\n");
        return EXIT_FAILED;
    }
    for (int64_t i = 0; i < count; i++) texts[i] = lines->at[results[i]->line];
    tn_tensor tensor[3] = {0}, out;
    int code = report(run_tensors(c, texts, rows, max_length_of(c), tensor, &out));
    if (!code) code = take_output(&out, results, count);
    for (int i = 0; i < 3; i++) tn_tensor_free(&tensor[i]);
    free(texts);
    return code;
}

/* ---- A block of lines
 * --------------------------------------------------------------------------------*/

static int by_length(const void *a, const void *b)
{
    const result *x = *(result *const *)a, *y = *(result *const *)b;
    if (x->tokens != y->tokens) return x->tokens < y->tokens ? -1 : 1;
    return x->line < y->line ? -1 : x->line > y->line;
}

static int count_tokens(const classifier *c, const line_list *lines, result *results, int64_t first)
{
    for (int64_t i = 0; i < lines->count; i++) {
        results[i].line = i;
        int code = report(tn_tokenizer_encode(c->tokenizer, lines->at[i].text, NULL,
                                              max_length_of(c), NULL, NULL, 0, &results[i].tokens));
        if (code) fprintf(stderr, "  in line %lld\n", (long long)(first + i));
        if (code) return code;
    }
    return 0;
}

static int run_block(classifier *c, const line_list *lines, result *results, int64_t first)
{
    result **order = malloc((size_t)lines->count * sizeof(*order));
    if (!order) {
        fprintf(stderr, "error: no memory for the results\n");
        return EXIT_FAILED;
    }
    int code = count_tokens(c, lines, results, first);
    for (int64_t i = 0; i < lines->count; i++) order[i] = &results[i];
    qsort(order, (size_t)lines->count, sizeof(*order), by_length);
    int64_t batch = c->rows > 0 ? c->rows : own->batch;
    for (int64_t i = 0; i < lines->count && !code; i += batch)
        code = run_batch(c, lines, order + i, lines->count - i < batch ? lines->count - i : batch);
    free(order);
    return code;
}

static const char *label_of(const classifier *c, int class, char *number, size_t bytes)
{
    if (class < c->labels.count) return c->labels.at[class].text;
    snprintf(number, bytes, "%d", class);
    return number;
}

static void print_probabilities(const result *r)
{
    for (int i = 0; i < r->class_count; i++)
        printf("%s%.6f", i ? " " : "", (double)r->probability[i]);
}

static void free_results(result *results, int64_t count)
{
    for (int64_t i = 0; i < count; i++) free(results[i].probability);
    free(results);
}

/* ---- Texts of the command line, and of standard input
 * ------------------------------------------------*/

static int classify_texts(classifier *c)
{
    tn_string text[LIST_MAX];
    char number[16];
    line_list lines = {.count = own->texts.count, .at = text};
    result *results = calloc((size_t)lines.count, sizeof(*results));
    if (!results) return EXIT_FAILED;
    for (int i = 0; i < lines.count; i++)
        text[i] = (tn_string){own->texts.at[i], strlen(own->texts.at[i])};
    int code = run_block(c, &lines, results, 1);
    for (int i = 0; i < lines.count && !code; i++) {
        printf("====preds====: [%d]\n", results[i].class);
        printf("probabilities: ");
        print_probabilities(&results[i]);
        if (c->labels.count) printf("  %s", label_of(c, results[i].class, number, sizeof(number)));
        printf("\n");
    }
    free_results(results, lines.count);
    return code;
}

/* Splits TEXT<TAB>CLASS at the last tab; the class is a number or a label. */
static int split_labels(const classifier *c, line_list *lines, int *wanted, int64_t first)
{
    for (int64_t i = 0; i < lines->count; i++) {
        char *tab = strrchr(lines->at[i].text, '\t'), *end = NULL;
        long class = tab ? strtol(tab + 1, &end, 10) : -1;
        for (int k = 0; tab && (end == tab + 1 || *end) && k < c->labels.count; k++)
            if (strcmp(tab + 1, c->labels.at[k].text) == 0) class = k, end = tab + strlen(tab);
        if (!tab || end == tab + 1 || *end || class < 0 || class > 1 << 20) {
            fprintf(stderr, "error: line %lld is not TEXT<TAB>CLASS: '%.40s'\n",
                    (long long)(first + i), tab ? tab + 1 : "(no tab)");
            return EXIT_FAILED;
        }
        *tab = 0;
        lines->at[i].bytes = (size_t)(tab - lines->at[i].text);
        wanted[i] = (int)class;
    }
    return 0;
}

static int classify_block(classifier *c, line_list *lines, int64_t first, int64_t *right)
{
    char number[16];
    result *results = calloc((size_t)lines->count, sizeof(*results));
    int *wanted = calloc((size_t)lines->count, sizeof(*wanted));
    int code = results && wanted ? 0 : EXIT_FAILED;
    if (code) fprintf(stderr, "error: no memory for %lld lines\n", (long long)lines->count);
    if (!code && own->tsv) code = split_labels(c, lines, wanted, first);
    if (!code) code = run_block(c, lines, results, first);
    for (int64_t i = 0; i < lines->count && !code; i++) {
        *right += results[i].class == wanted[i];
        if (own->tsv) continue;
        printf("%s\t", label_of(c, results[i].class, number, sizeof(number)));
        print_probabilities(&results[i]);
        printf("\t%s\n", lines->at[i].text);
    }
    if (results) free_results(results, lines->count);
    free(wanted);
    return code;
}

static int classify_lines(classifier *c)
{
    int64_t total = 0, right = 0;
    int code = EXIT_DONE;
    double begin = now_ms();
    for (bool more = true; more && !code;) {
        line_list lines = {0};
        if (!lines_read(stdin, LINES_AT_ONCE, &lines)) code = EXIT_FAILED;
        if (!code && lines.count) code = classify_block(c, &lines, total + 1, &right);
        more = lines.count == LINES_AT_ONCE;
        total += lines.count;
        lines_free(&lines);
        fflush(stdout);
    }
    if (code || total == 0) return code;
    double seconds = (now_ms() - begin) / 1e3;
    if (own->tsv)
        printf("accuracy: %.2f %% (%lld of %lld)\n", 100.0 * (double)right / (double)total,
               (long long)right, (long long)total);
    fprintf(stderr, "%lld lines in %.2f s: %.1f lines/s\n", (long long)total, seconds,
            (double)total / seconds);
    return EXIT_DONE;
}

int classify_texts_of(const classify_flags *given)
{
    static classifier c;
    own = given;
    int code = open_classifier(&c);
    if (!code) code = own->texts.count ? classify_texts(&c) : classify_lines(&c);
    close_classifier(&c);
    return code;
}
