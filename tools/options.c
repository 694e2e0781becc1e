/* Options from one table: parsing, help, and the generated page. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* Levenshtein distance, for "did you mean". Names are short. */
static int distance(const char *a, const char *b)
{
    int row[64];
    int columns = (int)strlen(b);
    if (columns > 62) return 99;
    for (int j = 0; j <= columns; j++) row[j] = j;
    for (int i = 0; a[i]; i++) {
        int corner = row[0];
        row[0] = i + 1;
        for (int j = 0; j < columns; j++) {
            int change = corner + (a[i] != b[j]);
            corner = row[j + 1];
            int least = corner < row[j] ? corner : row[j];
            row[j + 1] = least + 1 < change ? least + 1 : change;
        }
    }
    return row[columns];
}

static const tool_option *find_option(const tool_option *option, int count, const char *name,
                                      size_t bytes)
{
    for (int i = 0; i < count; i++)
        if (strlen(option[i].name) == bytes && memcmp(option[i].name, name, bytes) == 0)
            return &option[i];
    return NULL;
}

const char *option_nearest(const char *name, const char *const *names, int count)
{
    const char *nearest = NULL;
    int best = (int)strlen(name); /* one with other letters throughout is not near */
    if (best > 4) best = 4;
    for (int i = 0; i < count; i++) {
        int d = names[i] ? distance(name, names[i]) : best;
        if (d < best) {
            best = d;
            nearest = names[i];
        }
    }
    return nearest;
}

static void say_unknown(const tool_command *command, const tool_option *option, int count,
                        const char *name)
{
    const char *names[OPTIONS_MAX];
    for (int i = 0; i < count; i++) names[i] = option[i].name;
    const char *nearest = option_nearest(name, names, count);
    fprintf(stderr, "tenon %s: there is no option --%s", command->name, name);
    if (nearest) fprintf(stderr, "; did you mean --%s?", nearest);
    fprintf(stderr, "\n`tenon %s --help` lists the options\n", command->name);
}

const char *option_store(const tool_option *option, const char *value)
{
    char *end;
    errno = 0;
    switch (option->kind) {
    case OPTION_FLAG: *(bool *)option->to = true; return NULL;
    case OPTION_TEXT: *(const char **)option->to = value; return NULL;
    case OPTION_INT: {
        long number = strtol(value, &end, 10);
        if (end == value || *end || errno || number < -1000000000L || number > 1000000000L) break;
        *(int *)option->to = (int)number;
        return NULL;
    }
    case OPTION_NUMBER: {
        double number = strtod(value, &end);
        if (end == value || *end || errno) break;
        *(double *)option->to = number;
        return NULL;
    }
    case OPTION_LIST: {
        text_list *list = option->to;
        if (list->count == LIST_MAX) return "is given too often, the last time as";
        list->at[list->count++] = value;
        return NULL;
    }
    }
    return "wants a number, not";
}

static bool store(const tool_command *command, const tool_option *option, const char *value)
{
    const char *why = option_store(option, value);
    if (why) fprintf(stderr, "tenon %s: --%s %s '%s'\n", command->name, option->name, why, value);
    return !why;
}

bool options_parse(const tool_command *command, const tool_option *option, int option_count,
                   int argc, char **argv, text_list *arguments)
{
    bool only_arguments = false;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (!only_arguments && strcmp(word, "--") == 0) {
            only_arguments = true;
            continue;
        }
        /* -o is the one short option, as compilers have it. */
        if (!only_arguments && strcmp(word, "-o") == 0) word = "--output";
        if (only_arguments || strncmp(word, "--", 2) != 0) {
            if (arguments->count == LIST_MAX) {
                fprintf(stderr, "tenon %s: more than %d arguments\n", command->name, LIST_MAX);
                return false;
            }
            arguments->at[arguments->count++] = word;
            continue;
        }
        const char *name = word + 2, *equals = strchr(name, '=');
        size_t bytes = equals ? (size_t)(equals - name) : strlen(name);
        const tool_option *found = find_option(option, option_count, name, bytes);
        if (!found) {
            char plain[64];
            snprintf(plain, sizeof(plain), "%.*s", (int)bytes, name);
            say_unknown(command, option, option_count, plain);
            return false;
        }
        const char *value = equals ? equals + 1 : NULL;
        if (found->kind == OPTION_FLAG && value) {
            fprintf(stderr, "tenon %s: --%s takes no value\n", command->name, found->name);
            return false;
        }
        if (found->kind != OPTION_FLAG && !value) {
            if (++i == argc) {
                fprintf(stderr, "tenon %s: --%s wants a value: --%s=%s\n", command->name,
                        found->name, found->name, found->value);
                return false;
            }
            value = argv[i];
        }
        if (!store(command, found, value)) return false;
    }
    return true;
}

void options_help(const tool_command *command, FILE *out)
{
    tool_option option[OPTIONS_MAX];
    int count = command->options(option);
    fprintf(out, "usage: tenon %s %s\n\n%s\n", command->name, command->usage, command->about);
    if (command->notes) fprintf(out, "\n%s\n", command->notes);
    fprintf(out, "\n");
    for (int i = 0; i < count; i++) {
        char left[80];
        snprintf(left, sizeof(left), "--%s%s%s", option[i].name, option[i].value ? "=" : "",
                 option[i].value ? option[i].value : "");
        fprintf(out, "  %-32s %s\n", left, option[i].help);
    }
}

void options_markdown(const tool_command *command, FILE *out)
{
    tool_option option[OPTIONS_MAX];
    int count = command->options(option);
    fprintf(out, "\n## tenon %s\n\n%s.\n\n    tenon %s %s\n", command->name, command->about,
            command->name, command->usage);
    if (command->notes) fprintf(out, "\n%s\n", command->notes);
    if (count == 0) return;
    fprintf(out, "\n| option | meaning |\n|---|---|\n");
    for (int i = 0; i < count; i++)
        fprintf(out, "| `--%s%s%s` | %s |\n", option[i].name, option[i].value ? "=" : "",
                option[i].value ? option[i].value : "", option[i].help);
}
