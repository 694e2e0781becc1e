/* One page that needs nothing beside it: tools/report/ with the data put in. */
#include <stdlib.h>
#include <string.h>

#include "report.h"

/* Made of tools/report/ by cmake/embed.cmake. */
extern const unsigned char report_page_html[], report_page_css[], report_page_js[],
    report_graph_js[];

/* Names of a network must not end the element that they stand in; "<" is in strings only. */
static void print_data(FILE *out, const char *json)
{
    for (const char *c = json; *c; c++) {
        if (*c == '<') fputs("\\u003c", out);
        else fputc(*c, out);
    }
}

static void print_part(FILE *out, const char *name, const char *facts, const char *json)
{
    if (!strncmp(name, "css", 3)) {
        fputs((const char *)report_page_css, out);
    } else if (!strncmp(name, "js", 2)) {
        fprintf(out, "%s\n%s", (const char *)report_page_js, (const char *)report_graph_js);
    } else {
        fputc('{', out);
        print_data(out, facts);
        fputs("\"engine\": ", out);
        print_data(out, json);
        fputc('}', out);
    }
}

bool report_page_write(const char *path, const char *facts, const char *json)
{
    char temporary[4096];
    snprintf(temporary, sizeof(temporary), "%s.part", path);
    FILE *out = fopen(temporary, "w");
    if (!out) return false;
    for (const char *at = (const char *)report_page_html; *at;) {
        const char *mark = strstr(at, "{{"), *end = mark ? strstr(mark, "}}") : NULL;
        if (!end) {
            fputs(at, out);
            break;
        }
        fwrite(at, 1, (size_t)(mark - at), out);
        print_part(out, mark + 2, facts, json);
        at = end + 2;
    }
    bool good = !ferror(out);
    good &= fclose(out) == 0;
    return good && rename(temporary, path) == 0;
}
