/* Tokenizer flags and lines of text, for tokenize and classify. */
#include <stdlib.h>
#include <string.h>

#include "tool.h"

int tokenizer_options(tokenizer_flags *flags, tool_option *out)
{
    const tool_option rows[] = {
        {"vocab", OPTION_TEXT, &flags->vocab, "FILE",
         "vocab.txt, or tokenizer.json of Hugging Face"},
        {"mode", OPTION_TEXT, &flags->mode, "hf|bert4torch", "whose tokenizer to be, default hf"},
        {"keep-case", OPTION_FLAG, &flags->keep_case, NULL, "do not lower-case (cased models)"},
        {"max-length", OPTION_INT, &flags->max_length, "N",
         "tokens kept of a text, [CLS] and [SEP] included, 0: all"},
    };
    memcpy(out, rows, sizeof(rows));
    return 4;
}

int tokenizer_open(const tokenizer_flags *flags, const char *command, tn_tokenizer **out)
{
    tn_tokenizer_options options = {.size = sizeof(options), .keep_case = flags->keep_case};
    if (!flags->vocab) {
        fprintf(stderr, "tenon %s: --vocab=FILE is missing\n", command);
        return EXIT_USAGE;
    }
    if (flags->mode && strcmp(flags->mode, "bert4torch") == 0) {
        options.mode = TN_TOKENIZER_BERT4TORCH;
    } else if (flags->mode && strcmp(flags->mode, "hf") != 0) {
        fprintf(stderr, "tenon %s: --mode is hf or bert4torch, not '%s'\n", command, flags->mode);
        return EXIT_USAGE;
    }
    return report(tn_tokenizer_load(flags->vocab, &options, out));
}

static bool add_line(line_list *lines, const char *text, size_t bytes)
{
    if (lines->count == lines->capacity) {
        int64_t wanted = lines->capacity ? lines->capacity * 2 : 1024;
        tn_string *fresh = realloc(lines->at, (size_t)wanted * sizeof(*fresh));
        if (!fresh) return false;
        lines->at = fresh;
        lines->capacity = wanted;
    }
    char *copy = malloc(bytes + 1);
    if (!copy) return false;
    memcpy(copy, text, bytes);
    copy[bytes] = 0;
    lines->at[lines->count++] = (tn_string){copy, bytes};
    return true;
}

bool lines_read(FILE *file, int64_t most, line_list *out)
{
    char *line = NULL;
    size_t capacity = 0;
    bool good = true;
    while (good && out->count < most) {
        ssize_t bytes = getline(&line, &capacity, file);
        if (bytes < 0) break;
        if (bytes > 0 && line[bytes - 1] == '\n') bytes--;
        if (bytes > 0 && line[bytes - 1] == '\r') bytes--;
        good = add_line(out, line, (size_t)bytes);
    }
    free(line);
    if (ferror(file)) {
        perror("error: cannot read the texts");
        return false;
    }
    if (!good) fprintf(stderr, "error: no memory for the texts\n");
    return good;
}

void lines_free(line_list *lines)
{
    for (int64_t i = 0; i < lines->count; i++) free((char *)lines->at[i].text);
    free(lines->at);
    *lines = (line_list){0};
}
