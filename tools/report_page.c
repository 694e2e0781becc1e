/* One page that needs nothing beside it: tools/report/ with the data put in. */
#include <stdlib.h>
#include <string.h>

#include "report.h"

/* Made of tools/report/ by scripts/embed. */
extern const char report_page_html[], report_page_css[], report_parts_js[], report_page_js[],
    report_graph_js[];

/* Names of a network must not end the element that they stand in; "<" is in strings only. */
static void print_data(FILE *out, const char *json)
{
    for (const char *c = json; *c; c++) {
        if (*c == '<') fputs("\\u003c", out);
        else fputc(*c, out);
    }
}

static void print_part(FILE *out, const char *name, const char *const *scripts, const char *json)
{
    if (!strncmp(name, "css", 3)) {
        fputs(report_page_css, out);
    } else if (!strncmp(name, "js", 2)) {
        fputs(report_parts_js, out);
        for (int i = 0; scripts[i]; i++) fprintf(out, "\n%s", scripts[i]);
    } else {
        print_data(out, json);
    }
}

bool page_write(const char *path, const char *const *scripts, const char *json)
{
    FILE *out = save_begin(path);
    if (!out) return false;
    for (const char *at = report_page_html; *at;) {
        const char *mark = strstr(at, "{{"), *end = mark ? strstr(mark, "}}") : NULL;
        if (!end) {
            fputs(at, out);
            break;
        }
        fwrite(at, 1, (size_t)(mark - at), out);
        print_part(out, mark + 2, scripts, json);
        at = end + 2;
    }
    return save_end(out, path);
}

bool report_page_write(const char *path, const char *facts, const char *json)
{
    const char *const scripts[] = {report_page_js, report_graph_js, NULL};
    char *data = NULL;
    size_t bytes = 0;
    FILE *text = open_memstream(&data, &bytes);
    if (!text) return false;
    fprintf(text, "{%s\"engine\": %s}", facts, json);
    fclose(text);
    bool good = page_write(path, scripts, data);
    free(data);
    return good;
}
