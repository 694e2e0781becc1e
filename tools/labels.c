/* Names of classes, from lines of text or from JSON. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "classify.h"

enum { LABELS_MAX = 1 << 20, FILE_MAX = 64 << 20 };

static int fail(const char *path, const char *why)
{
    fprintf(stderr, "error: %s: %s\n", path, why);
    return EXIT_FAILED;
}

static char *read_all(FILE *file, size_t *bytes)
{
    size_t capacity = 1 << 16;
    char *text = malloc(capacity);
    for (*bytes = 0; text;) {
        *bytes += fread(text + *bytes, 1, capacity - *bytes, file);
        if (*bytes < capacity || capacity >= FILE_MAX) return text;
        char *more = realloc(text, capacity *= 2);
        if (!more) free(text);
        text = more;
    }
    return NULL;
}

/* The text of a name: a string, or the last string of a list ("n01440764", "tench"). */
static const char *name_of(const json_t *value)
{
    if (json_is_array(value) && json_array_size(value))
        value = json_array_get(value, json_array_size(value) - 1);
    return json_string_value(value);
}

static int take_names(const char *path, const json_t *root, line_list *out)
{
    size_t count = json_is_array(root) ? json_array_size(root) : json_object_size(root);
    if (count == 0 || count > LABELS_MAX) return fail(path, "not a list or object of names");
    out->at = calloc(count, sizeof(*out->at));
    if (!out->at) return fail(path, "no memory for the names");
    for (size_t i = 0; i < count; i++) {
        char key[24];
        snprintf(key, sizeof(key), "%zu", i);
        const json_t *value =
            json_is_array(root) ? json_array_get(root, i) : json_object_get(root, key);
        const char *name = name_of(value);
        char *copy = name ? strdup(name) : NULL;
        if (!copy) {
            fprintf(stderr, "error: %s: there is no name for class %zu\n", path, i);
            return EXIT_FAILED;
        }
        out->at[out->count++] = (tn_string){copy, strlen(copy)};
    }
    return 0;
}

static int read_json(const char *path, FILE *file, line_list *out)
{
    size_t bytes;
    json_error_t error;
    char *text = read_all(file, &bytes);
    if (!text) return fail(path, "no memory to read it");
    json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    int code = EXIT_FAILED;
    if (root) code = take_names(path, root, out);
    else
        fprintf(stderr, "error: %s is not valid JSON: line %d, column %d: %s\n", path, error.line,
                error.column, error.text);
    json_decref(root);
    free(text);
    return code;
}

int labels_read(const char *path, line_list *out)
{
    FILE *file = fopen(path, "r");
    if (!file) return fail(path, strerror(errno));
    int first = ' ';
    while (first == ' ' || (first >= '\t' && first <= '\r')) first = fgetc(file);
    rewind(file);
    int code = first == '[' || first == '{'        ? read_json(path, file, out)
               : lines_read(file, LABELS_MAX, out) ? 0
                                                   : EXIT_FAILED;
    fclose(file);
    return code;
}
