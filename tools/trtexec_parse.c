/* The command line of trtexec, and the pages made from the table of its flags. */
#include <stdlib.h>
#include <string.h>

#include "trtexec.h"

enum { GIVEN_MAX = 256 };
static struct {
    const char *name, *value;
} given[GIVEN_MAX];
static int given_count;

const char *trt_given(const char *name)
{
    for (int i = given_count; i--;)
        if (strcmp(given[i].name, name) == 0) return given[i].value;
    return NULL;
}

static const trt_flag *find_flag(const char *name, size_t bytes)
{
    for (const trt_group *g = trt_groups; g->title; g++) {
        for (int i = 0; i < g->count; i++) {
            const char *names[] = {g->flag[i].name, g->flag[i].alias};
            for (int k = 0; k < 2; k++)
                if (names[k] && strlen(names[k]) == bytes && !memcmp(names[k], name, bytes))
                    return &g->flag[i];
        }
    }
    return NULL;
}

static void say_unknown(const char *word)
{
    const char *names[512];
    char name[64];
    int count = 0;
    for (const trt_group *g = trt_groups; g->title; g++) {
        for (int i = 0; i < g->count; i++) {
            names[count++] = g->flag[i].name;
            if (g->flag[i].alias) names[count++] = g->flag[i].alias;
        }
    }
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word + strspn(word, "-"));
    name[strcspn(name, "=")] = 0;
    const char *nearest = option_nearest(name, names, count);
    log_line('E', "Unknown option: %s%s%s%s", word, nearest ? "; did you mean --" : "",
             nearest ? nearest : "", nearest ? "?" : "");
}

/* Min, opt and max shapes of profiles that are not built for. */
static bool of_other_profile(const trt_flag *flag)
{
    return (flag->to == &trt.build.min || flag->to == &trt.build.opt ||
            flag->to == &trt.build.max) &&
           trt.present_profile != trt.profile;
}

static bool take(const trt_flag *flag, const char *value)
{
    static const char levels[] = {[TRT_IS_SO] = 'I', [TRT_LACKS] = 'W', [TRT_REFUSED] = 'E'};
    if (flag->kind == OPTION_FLAG && value) {
        log_line('E', "--%s takes no value, but '%s' was given", flag->name, value);
        return false;
    }
    if (given_count < GIVEN_MAX) {
        given[given_count].name = flag->name;
        given[given_count++].value = value ? value : "";
    }
    if (flag->verdict != TRT_DOES) {
        log_line(levels[flag->verdict], "--%s: %s", flag->name, flag->note);
        return flag->verdict != TRT_REFUSED;
    }
    if (flag->kind != OPTION_FLAG && !value) {
        log_line('E', "--%s wants a value: --%s=%s", flag->name, flag->name, flag->value);
        return false;
    }
    if (of_other_profile(flag)) return true;
    const tool_option row = {flag->name, flag->kind, flag->to, flag->value, flag->note};
    const char *why = option_store(&row, value);
    if (why) log_line('E', "--%s %s '%s'", flag->name, why, value);
    return !why;
}

bool trt_parse(int argc, char **argv)
{
    bool good = true;
    static const char use[] = "--useProfile=";
    for (int i = 0; i < argc; i++) /* it may stand behind the shapes of a profile */
        if (!strncmp(argv[i], use, sizeof(use) - 1)) trt.profile = atoi(argv[i] + sizeof(use) - 1);
    for (int i = 0; i < argc; i++) {
        bool dashes = strncmp(argv[i], "--", 2) == 0;
        const char *name = dashes ? argv[i] + 2 : argv[i], *equals = strchr(name, '=');
        const trt_flag *flag =
            dashes ? find_flag(name, equals ? (size_t)(equals - name) : strlen(name)) : NULL;
        if (flag) {
            good &= take(flag, equals ? equals + 1 : NULL);
        } else {
            say_unknown(argv[i]);
            good = false;
        }
    }
    return good;
}

/* ---- Pages -----------------------------------------------------------------------------------*/

static void flag_text(const trt_flag *flag, char *out, size_t bytes)
{
    snprintf(out, bytes, "--%s%s%s", flag->name, flag->value ? "=" : "",
             flag->value ? flag->value : "");
}

void trt_help(FILE *out)
{
    static const char *const words[] = {[TRT_DOES] = "",
                                        [TRT_IS_SO] = "accepted: ",
                                        [TRT_LACKS] = "passed over: ",
                                        [TRT_REFUSED] = "refused: "};
    fprintf(out, "usage: trtexec [--flag[=value] ...]\n\n"
                 "TensorRT's trtexec on Tenon: flags of 8.6, 10.16 and 11.1\n");
    for (const trt_group *g = trt_groups; g->title; g++) {
        fprintf(out, "\n=== %s Options ===\n", g->title);
        for (int i = 0; i < g->count; i++) {
            const trt_flag *flag = &g->flag[i];
            char left[96];
            flag_text(flag, left, sizeof(left));
            fprintf(out, "  %-34s %s%s", left, words[flag->verdict], flag->note);
            if (flag->alias) fprintf(out, " (also --%s)", flag->alias);
            fprintf(out, "\n");
        }
    }
    fprintf(out, "\n=== Help ===\n  %-34s %s\n", "--help, -h", "this page");
}

static void print_versions(int versions)
{
    static const struct {
        int bit;
        const char *text;
    } rows[] = {{IN_7, "7"}, {IN_8, "8.6"}, {IN_10, "10.16"}, {IN_11, "11.1"}};
    const char *comma = "";
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!(versions & rows[i].bit)) continue;
        printf("%s%s", comma, rows[i].text);
        comma = ", ";
    }
}

void trtexec_markdown(void)
{
    static const char *const words[] = {[TRT_DOES] = "does it",
                                        [TRT_IS_SO] = "accepted",
                                        [TRT_LACKS] = "passed over, with a warning",
                                        [TRT_REFUSED] = "refused"};

    for (const trt_group *g = trt_groups; g->title; g++) {
        printf("\n### %s\n\n| flag | known to | here | how |\n|---|---|---|---|\n", g->title);
        for (int i = 0; i < g->count; i++) {
            const trt_flag *flag = &g->flag[i];
            char text[96];
            flag_text(flag, text, sizeof(text));
            printf("| `");
            for (const char *c = text; *c; c++) printf(*c == '|' ? "\\|" : "%c", *c);
            printf("`");
            if (flag->alias) printf(", `--%s`", flag->alias);
            printf(" | ");
            print_versions(flag->versions);
            printf(" | %s | %s |\n", words[flag->verdict], flag->note);
        }
    }
}

void trtexec_man(void)
{
    static const char *const words[] = {[TRT_DOES] = "",
                                        [TRT_IS_SO] = "Accepted: ",
                                        [TRT_LACKS] = "Passed over: ",
                                        [TRT_REFUSED] = "Refused: "};
    printf(".\\\" Made from the table of flags by `tenon help --man-trtexec`.\n"
           ".TH TENON-TRTEXEC 1 \"\" \"tenon %s\" \"User Commands\"\n"
           ".SH NAME\ntenon\\-trtexec \\- the command line of TensorRT's trtexec on Tenon\n"
           ".SH SYNOPSIS\n.B tenon trtexec\n.RI [ \\-\\-FLAG[=VALUE] \" ...]\"\n"
           ".SH DESCRIPTION\nBuilds an engine from a model, or loads one, and times it, with the "
           "flags of trtexec 8.6, 10.16 and 11.1, its log and its files.\n",
           tn_version());
    for (const trt_group *g = trt_groups; g->title; g++) {
        printf(".SH \"%s options\"\n", g->title);
        for (int i = 0; i < g->count; i++) {
            const trt_flag *flag = &g->flag[i];
            char text[96];
            flag_text(flag, text, sizeof(text));
            printf(".TP\n.B ");
            print_man_text(text);
            if (flag->alias) printf(", \\-\\-%s", flag->alias);
            printf("\n");
            print_man_text(words[flag->verdict]);
            print_man_text(flag->note);
            printf("\n");
        }
    }
    printf(".SH EXIT STATUS\n0 passed, 1 failed.\n.SH SEE ALSO\n.BR tenon (1)\n");
}
