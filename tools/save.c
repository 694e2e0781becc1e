/* Files that replace an old one once they are complete. */
#include <stdio.h>

#include "tool.h"

static void part_name(const char *path, char *out, size_t bytes)
{
    snprintf(out, bytes, "%s.part", path);
}

FILE *save_begin(const char *path)
{
    char name[4096];
    part_name(path, name, sizeof(name));
    FILE *file = fopen(name, "w");
    if (!file) fprintf(stderr, "error: cannot write %s\n", path);
    return file;
}

bool save_end(FILE *file, const char *path)
{
    char name[4096];
    part_name(path, name, sizeof(name));
    bool good = !ferror(file);
    good &= fclose(file) == 0;
    if (good && rename(name, path) == 0) return true;
    remove(name);
    fprintf(stderr, "error: cannot write %s\n", path);
    return false;
}

void print_json_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\') fprintf(out, "\\%c", *c);
        else if ((unsigned char)*c < ' ') fprintf(out, "\\u%04x", (unsigned char)*c);
        else fputc(*c, out);
    }
    fputc('"', out);
}
