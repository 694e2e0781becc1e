/* tenon(1), from the tables that --help comes from. */
#include <string.h>

#include "tool.h"

/* A line of text as troff wants it: no dot or quote may begin it, and '-' and '\' are escaped. */
void print_man_text(const char *text)
{
    bool begins = true;
    for (const char *c = text; *c; c++) {
        if (begins && (*c == '.' || *c == '\'')) printf("\\&");
        if (*c == '\\') printf("\\e");
        else if (*c == '-') printf("\\-");
        else putchar(*c);
        begins = *c == '\n';
    }
}

static void print_command(const tool_command *command)
{
    tool_option option[OPTIONS_MAX];
    int count = command->options(option);
    printf(".SS tenon %s ", command->name);
    print_man_text(command->usage);
    printf("\n");
    print_man_text(command->about);
    printf(".\n");
    if (command->notes) {
        printf(".PP\n");
        print_man_text(command->notes);
        printf("\n");
    }
    for (int i = 0; i < count; i++) {
        printf(".TP\n.B \\-\\-%s", option[i].name);
        if (option[i].value) {
            printf("=");
            print_man_text(option[i].value);
        }
        printf("\n");
        print_man_text(option[i].help);
        printf("\n");
    }
}

void print_man(const tool_command *const *commands, int count)
{
    printf(".\\\" Made from the option tables by `tenon help --man`.\n"
           ".TH TENON 1 \"\" \"tenon %s\" \"User Commands\"\n"
           ".SH NAME\ntenon, trtexec \\- trained networks to checked, tuned engines\n"
           ".SH SYNOPSIS\n.B tenon\n.I COMMAND\n.RI [ OPTION \" ...]\"\n.br\n"
           ".B trtexec\n.RI [ \\-\\-FLAG[=VALUE] \" ...]\"\n"
           ".SH DESCRIPTION\n"
           "Takes a trained network (an ONNX file or a PyTorch checkpoint), builds a checked and "
           "tuned engine and runs it on CPUs and NVIDIA GPUs.\n"
           "Called as trtexec or tenon\\-trtexec it takes the flags of TensorRT's trtexec and "
           "prints its log: see tenon\\-trtexec(1).\n"
           ".SH COMMANDS\n",
           tn_version());
    for (int i = 0; i < count; i++) print_command(commands[i]);
    printf(".SH ENVIRONMENT\n"
           ".TP\n.B TENON_DEVICE\nThe device where none is named: cpu, cuda, cuda:1.\n"
           ".TP\n.B TENON_CACHE\n\"off\" keeps no compiled kernels on disk.\n"
           ".TP\n.B TENON_CUDA_PATH\nFolder in which the libraries of CUDA are looked for first.\n"
           ".TP\n.B TN_TRAIL\nSet, errors are printed with their trail of source lines.\n"
           ".SH EXIT STATUS\n"
           "0 done, 1 the work failed, 2 wrong usage, 3 results outside the tolerance; "
           "trtexec: 0 passed, 1 failed.\n"
           ".SH SEE ALSO\n.BR tenon\\-trtexec (1)\n");
}
