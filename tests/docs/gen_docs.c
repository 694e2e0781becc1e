/* Prints the generated pages of docs/: `gen_docs ops`, `gen_docs errors`. */
#include <stdio.h>
#include <string.h>

#include "backends/cpu/cpu.h"
#include "ir/op.h"

static int upgrade_floor(const tn_op *op)
{
    int lowest = op->since;
    for (int i = 0; i < TN_UPGRADES_MAX && op->upgrade[i].run; i++)
        if (op->upgrade[i].below <= lowest) lowest = 1;
    return lowest;
}

static void print_types(const tn_port *port, int count)
{
    static const struct {
        tn_dtypes set;
        const char *text;
    } groups[] = {
        {TN_DTS_FLOAT, "float"},   {TN_DTS_F8, "float8"},       {TN_DTS_INT, "int"},
        {TN_DTS_UINT, "uint"},     {TN_DTS_SMALL, "2/4-bit"},   {TN_DT(BOOL), "bool"},
        {TN_DT(STRING), "string"}, {TN_DTS_COMPLEX, "complex"},
    };
    tn_dtypes all = 0;
    for (int i = 0; i < count; i++) all |= port[i].types;
    const char *comma = "";
    for (size_t g = 0; g < TN_COUNT(groups); g++) {
        tn_dtypes both = all & groups[g].set;
        if (!both) continue;
        if (both == groups[g].set) printf("%s%s", comma, groups[g].text);
        else {
            char text[256];
            printf("%s%s", comma, tn_dtypes_text(both, text, sizeof(text)));
        }
        comma = ", ";
    }
}

static void print_op(const tn_op *op)
{
    int cases = 0, floor = upgrade_floor(op);
    while (op->cases && op->cases[cases].problem) cases++;
    printf("| %s%s%s | %s | ", op->domain ? op->domain : "", op->domain ? "." : "", op->name,
           op->about ? op->about : "");
    if (op->domain && strcmp(op->domain, "tenon") == 0) printf("own");
    else if (floor < op->since) printf("all, as %d", op->since);
    else printf("%d", op->since);
    printf(" | ");
    print_types(op->in, op->in_count);
    printf(" | ");
    const char *comma = "";
    if (!op->reference) printf("none: rewritten at import");
    for (const tn_tactic *const *t = tn_backend_cpu.tactics(); op->reference && *t; t++) {
        if (strcmp((*t)->op, op->name) != 0 || strstr((*t)->name, ".any.reference")) continue;
        printf("%s`%s`", comma, (*t)->name);
        comma = "<br>";
    }
    printf(" | %d |\n", cases);
}

static int print_ops(void)
{
    int count = 0;
    for (const tn_op *const *op = tn_op_table; *op; op++) count++;
    printf(
        "# Operators\n\nMade from the operator table by `scripts/gen_docs`; `make test` fails when "
        "it "
        "is stale.\n\n%d operators. Each has a reference kernel for every type listed, or is "
        "rewritten to "
        "others when a model is imported; the tactics are the faster kernels beside it. The opset "
        "column names the meaning kept inside; older forms are rewritten to it at import "
        "where it says \"all\".\n\n",
        count);
    printf("| operator | meaning | opset | input types | tactics beside the reference | cases |\n"
           "|---|---|---|---|---|---|\n");
    for (const tn_op *const *op = tn_op_table; *op; op++) print_op(*op);
    return 0;
}

static int print_errors(void)
{
    printf("# Errors\n\nMade from the list of codes in `tenon.h` by `scripts/gen_docs`.\n\n"
           "A failing call returns a status: a code, a sentence that names the node or file, the "
           "shapes, "
           "the cause and what to do, notes on where it happened, and a trail of source lines (set "
           "`TN_TRAIL=1` to see it from the command).\n\n| code | meaning |\n|---|---|\n");
#define ROW_OF(name, about) printf("| `TN_" #name "` | " about " |\n");
    TN_STATUS_CODES(ROW_OF)
#undef ROW_OF
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "ops") == 0) return print_ops();
    if (argc == 2 && strcmp(argv[1], "errors") == 0) return print_errors();
    fprintf(stderr, "usage: gen_docs ops|errors\n");
    return 2;
}
