/* Prints the generated pages of docs/: `gen_docs ops OPERATORS.txt`, `gen_docs errors`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cpu/cpu.h"
#include "backends/cuda/cuda.h"
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

/* ---- Cases of the suites: tests/conformance/operators.txt
 * ---------------------------------------*/

enum { COLUMNS = 5 };
typedef struct line {
    char *column[COLUMNS];
} line;

static line *lines;
static long line_count;

static bool read_lines(const char *path)
{
    static char text[65536];
    FILE *file = fopen(path, "r");
    if (!file) return false;
    while (fgets(text, sizeof(text), file)) {
        char *copy = strdup(text), *at = copy;
        lines = realloc(lines, (size_t)(line_count + 1) * sizeof(*lines));
        if (!copy || !lines) return false;
        copy[strcspn(copy, "\n")] = 0;
        line *l = &lines[line_count];
        for (int i = 0; i < COLUMNS; i++) {
            l->column[i] = at;
            at += strcspn(at, "\t");
            if (*at) *at++ = 0;
        }
        if (text[0] != '#') line_count++;
        else free(copy);
    }
    return fclose(file) == 0;
}

/* "ai.onnx.ml.Scaler": as the suites' files say it. */
static void name_of(const tn_op *op, char *dst, size_t dst_bytes)
{
    snprintf(dst, dst_bytes, "%s%s%s", op->domain ? op->domain : "", op->domain ? "." : "",
             op->name);
}

static void count_suites(const char *name, long *passed, long *all)
{
    *passed = *all = 0;
    for (long i = 0; i < line_count; i++) {
        if (strcmp(lines[i].column[0], "count") != 0 || strcmp(lines[i].column[1], name) != 0)
            continue;
        *passed += atol(lines[i].column[3]);
        *all += atol(lines[i].column[4]);
    }
}

/* Lines are sorted by reason, then by suite and case. */
static void print_reasons(void)
{
    const char *reason = NULL, *suite = NULL;
    printf(
        "\n## Cases of the suites that do not pass, and why\n\n"
        "Inputs as given; the other ways of running them are in `docs/conformance.md`. In brackets "
        "the operators in the file.\n");
    for (long i = 0; i < line_count; i++) {
        char *const *c = lines[i].column;
        if (strcmp(c[0], "why") != 0) continue;
        bool fresh = !reason || strcmp(reason, c[1]) != 0;
        if (fresh) printf("\n- %s\n", c[1][0] ? c[1] : "no reason is given");
        if (fresh || strcmp(suite, c[2]) != 0) printf("%s  - %s: ", fresh ? "" : "\n", c[2]);
        else printf(", ");
        printf("`%s` (%s)", c[3], c[4]);
        bool last = i + 1 == line_count || strcmp(lines[i + 1].column[0], "why") != 0 ||
                    strcmp(lines[i + 1].column[1], c[1]) != 0;
        if (last) printf("\n");
        reason = c[1];
        suite = c[2];
    }
}

/* ---- Operators -------------------------------------------------------------------------------*/

/* "half.packed": what a kernel of a card takes and how it goes about it, without its tile. */
static int kernel_words(const char *name, const char **at)
{
    *at = name;
    for (int dots = 0; dots < 2 && **at; ++*at) dots += **at == '.';
    return (int)strcspn(*at, "_");
}

/* Each once: kinds of kernels stand side by side in the table, but not always. */
static void print_kernels(const tn_op *op)
{
    const tn_tactic *const *all = tn_backend_cuda.tactics();
    const char *comma = "";
    for (int i = 0; op->reference && all[i]; i++) {
        const char *words, *other;
        int bytes = kernel_words(all[i]->name, &words);
        bool again = strcmp(all[i]->op, op->name) != 0;
        for (int k = 0; k < i && !again; k++)
            again = !strcmp(all[k]->op, op->name) && kernel_words(all[k]->name, &other) == bytes &&
                    !memcmp(other, words, (size_t)bytes);
        if (again) continue;
        printf("%s`%.*s`", comma, bytes, words);
        comma = ", ";
    }
}

static void print_op(const tn_op *op)
{
    char name[200];
    long passed, all;
    name_of(op, name, sizeof(name));
    count_suites(name, &passed, &all);
    int cases = 0, floor = upgrade_floor(op);
    while (op->cases && op->cases[cases].problem) cases++;
    printf("| %s | ", name);
    for (const char *c = op->about ? op->about : ""; *c; c++) printf(*c == '|' ? "\\|" : "%c", *c);
    printf(" | ");
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
    printf(" | ");
    print_kernels(op);
    printf(" | %d | ", cases);
    if (all) printf("%ld of %ld |\n", passed, all);
    else printf("none |\n");
}

/* What the suites test and we do not have: neighbouring lines are of one operator. */
static void print_missing(void)
{
    const char *last = NULL;
    for (long i = 0; i < line_count; i++) {
        const char *name = lines[i].column[1];
        bool known = strcmp(lines[i].column[0], "count") != 0 || strcmp(name, "Constant") == 0;
        char own[200];
        for (const tn_op *const *op = tn_op_table; *op && !known; op++) {
            name_of(*op, own, sizeof(own));
            known = strcmp(own, name) == 0;
        }
        if (known || (last && strcmp(last, name) == 0)) continue;
        long passed, all;
        count_suites(name, &passed, &all);
        if (passed == all) continue; /* a function that its file defines */
        if (!last) printf("\n## Operators of the suites that are not here\n\n");
        printf("- %s: %ld of %ld cases pass\n", name, passed, all);
        last = name;
    }
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
        "others when a model is imported; the tactics are the faster kernels beside it, and those "
        "of "
        "cards, by the types they take and their algorithm (an operator without stays on the "
        "host). "
        "The opset "
        "column names the meaning kept inside; older forms are rewritten to it at import "
        "where it says \"all\". Own cases are those of the operator's folder, run by every kernel. "
        "Suite "
        "cases are those of ONNX 1.22.0, of its older releases, of other projects and of ours for "
        "other domains in which the operator stands: how many pass, of how many.\n\n",
        count);
    printf("| operator | meaning | opset | input types | tactics beside the reference | on a card "
           "| own cases | suite cases passed |\n"
           "|---|---|---|---|---|---|---|---|\n");
    for (const tn_op *const *op = tn_op_table; *op; op++) print_op(*op);
    print_missing();
    print_reasons();
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
    if (argc == 3 && strcmp(argv[1], "ops") == 0) {
        if (read_lines(argv[2])) return print_ops();
        fprintf(stderr, "gen_docs: cannot read %s\n", argv[2]);
        return 1;
    }
    if (argc == 2 && strcmp(argv[1], "errors") == 0) return print_errors();
    fprintf(stderr, "usage: gen_docs ops OPERATORS.txt | errors\n");
    return 2;
}
