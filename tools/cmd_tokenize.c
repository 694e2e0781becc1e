/* tenon tokenize: texts to token ids, from the command line or a line at a time. */
#include <stdlib.h>
#include <string.h>

#include "tool.h"

enum { LINES_AT_ONCE = 65536 };

static tokenizer_flags flags;
static struct {
    bool pairs, tokens, segments, bench;
} own;

static int options(tool_option *out)
{
    const tool_option rows[] = {
        {"pairs", OPTION_FLAG, &own.pairs, NULL,
         "texts come in twos: two arguments, or TEXT<TAB>TEXT on a line"},
        {"tokens", OPTION_FLAG, &own.tokens, NULL, "print the tokens, not their ids"},
        {"segments", OPTION_FLAG, &own.segments, NULL, "print the segment ids on a line below"},
        {"bench", OPTION_FLAG, &own.bench, NULL,
         "read all lines, then encode them for two seconds on one core and print lines/s"},
    };
    memcpy(out, rows, sizeof(rows));
    return 4 + tokenizer_options(&flags, out + 4);
}

static int64_t *ids, *segments;
static size_t room;

/* Grows the two arrays to what the text needs. */
static int encode(const tn_tokenizer *tokenizer, const char *text, const char *pair, size_t *count)
{
    tn_status status = NULL;
    for (int round = 0; round < 2; round++) {
        bool asked = room == 0;
        status = tn_tokenizer_encode(tokenizer, text, pair, flags.max_length, ids, segments, room,
                                     count);
        if ((!status && !asked) || *count <= room) break;
        free(ids);
        free(segments);
        room = *count * 2;
        ids = malloc(room * sizeof(*ids));
        segments = malloc(room * sizeof(*segments));
        if (!ids || !segments) {
            fprintf(stderr, "error: no memory for %zu ids\n", room);
            room = 0;
            return EXIT_FAILED;
        }
    }
    return report(status);
}

static int print_one(const tn_tokenizer *tokenizer, const char *text, const char *pair)
{
    size_t count = 0;
    int code = encode(tokenizer, text, pair, &count);
    if (code) return code;
    for (size_t i = 0; i < count; i++) {
        const char *gap = i ? " " : "", *token = NULL;
        if (own.tokens) token = tn_tokenizer_token(tokenizer, ids[i]);
        if (token) printf("%s%s", gap, token);
        else printf("%s%lld", gap, (long long)ids[i]);
    }
    printf("\n");
    for (size_t i = 0; own.segments && i < count; i++)
        printf("%s%lld%s", i ? " " : "", (long long)segments[i], i + 1 == count ? "\n" : "");
    return 0;
}

/* With --pairs a line is split at its tab. */
static int encode_line(const tn_tokenizer *tokenizer, const tn_string *line, int64_t number,
                       bool print)
{
    char *tab = own.pairs ? memchr(line->text, '\t', line->bytes) : NULL;
    size_t count;
    if (own.pairs && !tab) {
        fprintf(stderr, "error: line %lld has no tab between two texts\n", (long long)number);
        return EXIT_FAILED;
    }
    if (tab) *tab = 0;
    const char *pair = tab ? tab + 1 : NULL;
    int code = print ? print_one(tokenizer, line->text, pair)
                     : encode(tokenizer, line->text, pair, &count);
    if (tab) *tab = '\t';
    if (code) fprintf(stderr, "  in line %lld of standard input\n", (long long)number);
    return code;
}

static int run_bench(const tn_tokenizer *tokenizer, const line_list *lines)
{
    double begin = now_ms(), best = 1e300;
    size_t bytes = 0;
    if (lines->count == 0) return EXIT_DONE;
    for (int64_t i = 0; i < lines->count; i++) bytes += lines->at[i].bytes;
    while (now_ms() - begin < 2000) {
        double from = now_ms();
        for (int64_t i = 0; i < lines->count; i++) {
            int code = encode_line(tokenizer, &lines->at[i], i + 1, false);
            if (code) return code;
        }
        double ms = now_ms() - from;
        if (ms < best) best = ms;
    }
    printf("%lld lines of %.1f bytes: %.0f lines/s, %.1f MB/s\n", (long long)lines->count,
           (double)bytes / (double)lines->count, (double)lines->count / best * 1e3,
           (double)bytes / best / 1e3);
    return EXIT_DONE;
}

static int run_lines(const tn_tokenizer *tokenizer)
{
    int64_t number = 0, most = own.bench ? INT64_MAX : LINES_AT_ONCE;
    int code = EXIT_DONE;
    for (bool more = true; more && !code;) {
        line_list lines = {0};
        if (!lines_read(stdin, most, &lines)) code = EXIT_FAILED;
        more = !own.bench && lines.count == most;
        if (own.bench && !code) code = run_bench(tokenizer, &lines);
        for (int64_t i = 0; !own.bench && !code && i < lines.count; i++)
            code = encode_line(tokenizer, &lines.at[i], ++number, true);
        lines_free(&lines);
    }
    return code;
}

static int run(text_list *arguments)
{
    tn_tokenizer *tokenizer;
    if (own.pairs && arguments->count % 2) {
        fprintf(stderr, "tenon tokenize: --pairs wants an even number of texts\n");
        return EXIT_USAGE;
    }
    int code = tokenizer_open(&flags, "tokenize", &tokenizer);
    if (code) return code;
    int stride = own.pairs ? 2 : 1;
    for (int i = 0; i < arguments->count && !code; i += stride)
        code = print_one(tokenizer, arguments->at[i], own.pairs ? arguments->at[i + 1] : NULL);
    if (arguments->count == 0) code = run_lines(tokenizer);
    free(ids);
    free(segments);
    tn_tokenizer_free(tokenizer);
    return code;
}

const tool_command command_tokenize = {
    .name = "tokenize",
    .usage = "--vocab=FILE [OPTION ...] [TEXT ...]",
    .about = "Print the token ids of texts, or of each line of standard input",
    .options = options,
    .run = run,
};
