/* tenon COMMAND ...: finds the command, parses its options, runs it. */
#include <string.h>
#include <tenon/op.h>

#include "tool.h"

static const tool_command *const commands[] = {
    &command_build,   &command_tune,     &command_run,     &command_bench,    &command_check,
    &command_inspect, &command_simplify, &command_export,  &command_tokenize, &command_classify,
    &command_train,   &command_plot,     &command_devices, &command_refit,    &command_report,
    &command_compare, &command_trtexec,
};
#define COMMAND_COUNT ((int)(sizeof(commands) / sizeof(commands[0])))

static void print_usage(FILE *out)
{
    fprintf(out, "tenon %s: trained networks to checked, tuned engines\n\n", tn_version());
    fprintf(out, "usage: tenon COMMAND [OPTION ...]\n\n");
    for (int i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-8s %s\n", commands[i]->name, commands[i]->about);
    fprintf(out, "\n`tenon COMMAND --help` lists the options of a command.\n"
                 "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 results outside the tolerance.\n");
}

static const tool_command *find_command(const char *name)
{
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    return NULL;
}

static void print_markdown(void)
{
    printf("# The command line\n\nMade from the option tables by `tenon help --markdown`; "
           "`make test` fails when it is stale.\n\n"
           "Exit codes: 0 done, 1 the work failed, 2 wrong usage, 3 results outside the "
           "tolerance. Results go to stdout, errors and progress to stderr.\n");
    for (int i = 0; i < COMMAND_COUNT; i++) options_markdown(commands[i], stdout);
}

static void print_manual(void)
{
    print_man(commands, COMMAND_COUNT);
}

/* The pages that scripts/gen_docs asks for. False: there is no such page. */
static bool print_page(const char *name)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } pages[] = {
        {"--markdown", print_markdown},
        {"--man", print_manual},
        {"--markdown-trtexec", trtexec_markdown},
        {"--man-trtexec", trtexec_man},
    };
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        if (strcmp(pages[i].name, name) != 0) continue;
        pages[i].print();
        return true;
    }
    return false;
}

/* Engines need their operators as models do, so this goes before everything else. */
static int load_op_libraries(const tool_option *option, int count)
{
    int code = EXIT_DONE;
    for (int i = 0; i < count; i++) {
        if (strcmp(option[i].name, "op-library") != 0) continue;
        const text_list *files = option[i].to;
        for (int k = 0; k < files->count && !code; k++)
            code = report(tn_op_library_load(files->at[k]));
    }
    return code;
}

/* A command by the name of the program: trtexec, tenon-trtexec. */
static const tool_command *command_of_program(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (strncmp(name, "tenon-", 6) == 0) name += 6;
    return strcmp(name, command_trtexec.name) == 0 ? &command_trtexec : NULL;
}

int main(int argc, char **argv)
{
    const tool_command *program = argc ? command_of_program(argv[0]) : NULL;
    if (program) return program->main(argc - 1, argv + 1);
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0) {
        printf("tenon %s\n", tn_version());
        return EXIT_DONE;
    }
    if (strcmp(name, "help") == 0 && argc == 3 && print_page(argv[2])) return EXIT_DONE;
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        const tool_command *about = argc > 2 ? find_command(argv[2]) : NULL;
        if (about && about->main) return about->main(0, NULL);
        if (about) options_help(about, stdout);
        else print_usage(stdout);
        return EXIT_DONE;
    }
    const tool_command *chosen = find_command(name);
    if (!chosen) {
        const char *names[COMMAND_COUNT];
        for (int i = 0; i < COMMAND_COUNT; i++) names[i] = commands[i]->name;
        const char *nearest = option_nearest(name, names, COMMAND_COUNT);
        fprintf(stderr, "tenon: there is no command '%s'", name);
        if (nearest) fprintf(stderr, "; did you mean %s?", nearest);
        fprintf(stderr, "\n`tenon --help` lists the commands\n");
        return EXIT_USAGE;
    }
    if (chosen->main) return chosen->main(argc - 2, argv + 2);
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            options_help(chosen, stdout);
            return EXIT_DONE;
        }
    }
    tool_option option[OPTIONS_MAX];
    int count = chosen->options(option);
    text_list arguments = {0};
    if (!options_parse(chosen, option, count, argc - 2, argv + 2, &arguments)) return EXIT_USAGE;
    int code = load_op_libraries(option, count);
    return code ? code : chosen->run(&arguments);
}
