/* Where the cases are, and the names of their inputs.
 *
 * A case is a folder with model.onnx and test_data_set_N/, or a weightless graph light_NAME.onnx
 * with light_NAME_output_0.pb beside it. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "conformance.h"

typedef struct case_list {
    test_case *at;
    long count, capacity;
    size_t root_bytes; /* of the path in front of names */
} case_list;

static char *join(const char *a, const char *separator, const char *b)
{
    size_t bytes = strlen(a) + strlen(separator) + strlen(b) + 1;
    char *text = malloc(bytes);
    if (!text) {
        fprintf(stderr, "conformance: out of memory\n");
        exit(2);
    }
    snprintf(text, bytes, "%s%s%s", a, separator, b);
    return text;
}

static test_case *add_case(case_list *list, const char *path)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 256;
        list->at = realloc(list->at, (size_t)list->capacity * sizeof(*list->at));
        if (!list->at) {
            fprintf(stderr, "conformance: out of memory\n");
            exit(2);
        }
    }
    test_case *c = &list->at[list->count++];
    memset(c, 0, sizeof(*c));
    c->name = join(path + list->root_bytes, "", "");
    return c;
}

static bool ends_with(const char *text, const char *end)
{
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

static void add_light(case_list *list, const char *path)
{
    char *stem = join(path, "", ""), *output;
    struct stat info;
    stem[strlen(stem) - strlen(".onnx")] = 0;
    output = join(stem, "", "_output_0.pb");
    if (stat(output, &info) == 0) {
        test_case *c = add_case(list, stem);
        c->model = join(path, "", "");
        c->light = output;
    } else {
        free(output);
    }
    free(stem);
}

static void walk(case_list *list, const char *folder, int depth)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    if (!dir) return;
    while ((entry = readdir(dir))) {
        struct stat info;
        if (entry->d_name[0] == '.') continue;
        char *path = join(folder, "/", entry->d_name);
        if (stat(path, &info) == 0) {
            if (S_ISDIR(info.st_mode) && depth < 8) {
                walk(list, path, depth + 1);
            } else if (strcmp(entry->d_name, "model.onnx") == 0) {
                add_case(list, folder)->model = join(path, "", "");
            } else if (strncmp(entry->d_name, "light_", 6) == 0 && ends_with(path, ".onnx")) {
                add_light(list, path);
            }
        }
        free(path);
    }
    closedir(dir);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const test_case *)a)->name, ((const test_case *)b)->name);
}

test_case *find_cases(const char *root, long *count)
{
    case_list list = {.root_bytes = strlen(root)};
    while (list.root_bytes > 1 && root[list.root_bytes - 1] == '/') list.root_bytes--;
    char *clean = join(root, "", "");
    clean[list.root_bytes] = 0;
    list.root_bytes++; /* the slash */
    walk(&list, clean, 0);
    free(clean);
    if (list.count) qsort(list.at, (size_t)list.count, sizeof(*list.at), compare_names);
    *count = list.count;
    return list.at;
}

void free_cases(test_case *cases, long count)
{
    for (long i = 0; i < count; i++) {
        free(cases[i].name);
        free(cases[i].model);
        free(cases[i].light);
    }
    free(cases);
}

/* ---- Names of inputs: the least of protobuf that finds them
 * --------------------------------------*/

typedef struct span {
    const unsigned char *at, *end;
} span;

static bool next_varint(span *s, unsigned long long *out)
{
    *out = 0;
    for (int shift = 0; shift < 64 && s->at < s->end; shift += 7) {
        unsigned char byte = *s->at++;
        *out |= (unsigned long long)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return true;
    }
    return false;
}

/* The next field; `body` is what is in it if it has a length. */
static bool next_field(span *s, unsigned *field, span *body)
{
    unsigned long long tag, count = 0;
    if (s->at >= s->end || !next_varint(s, &tag)) return false;
    *field = (unsigned)(tag >> 3);
    *body = (span){s->at, s->at};
    switch (tag & 7) {
    case 0: return next_varint(s, &count);
    case 1: count = 8; break;
    case 2:
        if (!next_varint(s, &count)) return false;
        break;
    case 5: count = 4; break;
    default: return false;
    }
    if (count > (unsigned long long)(s->end - s->at)) return false;
    *body = (span){s->at, s->at + count};
    s->at += count;
    return true;
}

/* The text in `field` of a message; NULL if it has none. */
static char *text_in(span message, unsigned field)
{
    unsigned found;
    span body;
    while (next_field(&message, &found, &body)) {
        if (found != field) continue;
        size_t bytes = (size_t)(body.end - body.at);
        char *text = malloc(bytes + 1);
        if (!text) return NULL;
        if (bytes) memcpy(text, body.at, bytes);
        text[bytes] = 0;
        return text;
    }
    return NULL;
}

static bool has_initializer(span graph, const char *name)
{
    unsigned field;
    span body;
    while (next_field(&graph, &field, &body)) {
        if (field != 5) continue;
        char *initializer = text_in(body, 8);
        bool same = initializer && strcmp(initializer, name) == 0;
        free(initializer);
        if (same) return true;
    }
    return false;
}

static bool find_field(span message, unsigned wanted, span *out)
{
    unsigned field;
    while (next_field(&message, &field, out))
        if (field == wanted) return true;
    return false;
}

/* A ValueInfoProto's type: 1 tensor, 4 sequence, 9 optional, each with an elem_type 1. */
static tn_io_kind kind_of(span input)
{
    span type, inside, item, ignored;
    if (!find_field(input, 2, &type)) return TN_IO_TENSOR;
    if (find_field(type, 4, &inside)) return TN_IO_SEQUENCE;
    if (!find_field(type, 9, &inside)) return TN_IO_TENSOR;
    bool sequence = find_field(inside, 1, &item) && find_field(item, 4, &ignored);
    return sequence ? TN_IO_OPTIONAL_SEQUENCE : TN_IO_OPTIONAL;
}

static input_name *names_of(span graph, int *count)
{
    input_name *names = calloc(1024, sizeof(*names));
    unsigned field;
    span body, rest = graph;
    while (names && *count < 1024 && next_field(&rest, &field, &body)) {
        char *name = field == 11 ? text_in(body, 1) : NULL;
        if (name && !has_initializer(graph, name))
            names[(*count)++] = (input_name){name, kind_of(body)};
        else free(name);
    }
    return names;
}

static unsigned char *read_file(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    unsigned char *data = NULL;
    struct stat info;
    if (!file) return NULL;
    if (fstat(fileno(file), &info) == 0 && info.st_size > 0) {
        *bytes = (size_t)info.st_size;
        data = malloc(*bytes);
        if (data && fread(data, 1, *bytes, file) != *bytes) {
            free(data);
            data = NULL;
        }
    }
    fclose(file);
    return data;
}

input_name *read_input_names(const char *model_path, int *count)
{
    size_t bytes = 0;
    unsigned char *data = read_file(model_path, &bytes);
    input_name *names = NULL;
    unsigned field;
    span body;
    *count = 0;
    if (!data) return NULL;
    span model = {data, data + bytes};
    while (!names && next_field(&model, &field, &body))
        if (field == 7) names = names_of(body, count);
    free(data);
    return names;
}
