/* Runs of other libraries: python/tenon/peers.py, which is embedded here, is given to Python with
 * a folder to work in. It reads a list of what to do and writes tensors and a list of them. */
#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compare.h"

/* Made of python/tenon/peers.py by scripts/embed. */
extern const char compare_peers_py[];
extern char **environ;

enum { FILES_MAX = 1 << 20 };

static void path_in(char out[4096], const char *folder, const char *name)
{
    snprintf(out, 4096, "%s/%s", folder, name);
}

/* The model as the library is to read it: an ONNX file as it stands, others are written as one. */
static tn_status model_file(const comparison *c, const char *folder, char out[4096])
{
    const char *dot = strrchr(c->path, '.');
    if (dot && !strcmp(dot, ".onnx")) {
        char *whole = realpath(c->path, NULL);
        snprintf(out, 4096, "%s", whole ? whole : c->path);
        free(whole);
        return NULL;
    }
    path_in(out, folder, "model.onnx");
    return tn_model_save(c->model, out, NULL);
}

/* A line each: word, tab, name, tab, file. */
static tn_status write_request(const comparison *c, const char *library, const char *from,
                               bool values, const char *folder)
{
    char path[4096], model[4096];
    tn_status status = NULL;
    tn_io io;
    if (from) snprintf(model, sizeof(model), "%s", from);
    else status = model_file(c, folder, model);
    path_in(path, folder, "request");
    FILE *out = status ? NULL : fopen(path, "w");
    if (!out) return status;
    fprintf(out, "library\t%s\nmodel\t%s\nvalues\t%d\nthreads\t%d\n", library, model, values,
            c->flags->threads);
    for (int i = 0; i < c->inputs.count && !status; i++) {
        char name[32];
        snprintf(name, sizeof(name), "input_%d.npy", i);
        path_in(path, folder, name);
        status = tn_tensor_save(&c->inputs.tensor[i], path);
        fprintf(out, "input\t%s\t%s\n", c->inputs.name[i], name);
    }
    for (int i = 0; i < tn_model_output_count(c->model); i++)
        if (!tn_model_output(c->model, i, &io)) fprintf(out, "output\t%s\n", io.name);
    fclose(out);
    return status;
}

static int call_python(const char *folder)
{
    static const char *const usual[] = {"python3", "python"};
    const char *named = getenv("PYTHON");
    char *argv[] = {NULL, "-c", (char *)compare_peers_py, "--helper", (char *)folder, NULL};
    int code, error = ENOENT;
    pid_t child;
    for (size_t i = 0; i < 2 && error == ENOENT; i++) {
        argv[0] = (char *)(named && named[0] ? named : usual[i]);
        error = posix_spawnp(&child, argv[0], NULL, NULL, argv, environ);
    }
    if (error) {
        fprintf(stderr,
                "error: %s cannot be started (%s): other libraries are asked through Python; set "
                "$PYTHON to one that has them\n",
                argv[0], strerror(error));
        return EXIT_FAILED;
    }
    while (waitpid(child, &code, 0) < 0)
        if (errno != EINTR) return EXIT_FAILED;
    return WIFEXITED(code) && WEXITSTATUS(code) == 0 ? EXIT_DONE : EXIT_FAILED;
}

static void add_tensor(compare_run *run, const char *name, const tn_tensor *tensor)
{
    size_t count = (size_t)run->count + 1;
    run->name = grow_memory(run->name, count, sizeof(*run->name));
    run->tensor = grow_memory(run->tensor, count, sizeof(*run->tensor));
    run->name[run->count] = copy_text(name);
    run->tensor[run->count++] = *tensor;
}

/* "label", "note" and "tensor" lines. */
static int read_answer(const char *folder, compare_run *run)
{
    char path[4096], *line = NULL;
    size_t capacity = 0;
    int code = EXIT_DONE;
    path_in(path, folder, "answer");
    FILE *in = fopen(path, "r");
    if (!in) {
        fprintf(stderr, "error: the helper in Python left no answer\n");
        return EXIT_FAILED;
    }
    while (!code && getline(&line, &capacity, in) > 0) {
        line[strcspn(line, "\n")] = 0;
        char *name = strchr(line, '\t'), *file = name ? strchr(name + 1, '\t') : NULL;
        if (!name) continue;
        *name++ = 0;
        if (file) *file++ = 0;
        if (!strcmp(line, "label")) {
            snprintf(run->label, sizeof(run->label), "%s", name);
        } else if (!strcmp(line, "note")) {
            free(run->note);
            run->note = copy_text(name);
        } else if (!strcmp(line, "tensor") && file) {
            tn_tensor tensor;
            path_in(path, folder, file);
            code = report(tn_tensor_load(path, &tensor));
            if (!code) add_tensor(run, name, &tensor);
        }
    }
    free(line);
    fclose(in);
    return code;
}

/* All names in the folder are ours. */
static void remove_folder(const char *folder)
{
    static const char *const plain[] = {"request", "answer", "model.onnx", "model.onnx.data"};
    static const char *const numbered[] = {"input", "tensor"};
    char path[4096 + 64];
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        path_in(path, folder, plain[i]);
        unlink(path);
    }
    for (size_t k = 0; k < 2; k++)
        for (int i = 0; i < FILES_MAX; i++) {
            snprintf(path, sizeof(path), "%s/%s_%d.npy", folder, numbered[k], i);
            if (unlink(path) != 0) break;
        }
    rmdir(folder);
}

int run_peer(comparison *c, const char *library, const char *from, bool values, compare_run *out)
{
    char folder[1024];
    const char *temporary = getenv("TMPDIR");
    snprintf(folder, sizeof(folder), "%s/tenon-compare-XXXXXX",
             temporary && temporary[0] ? temporary : "/tmp");
    if (!mkdtemp(folder)) {
        fprintf(stderr, "error: cannot make the folder %s: %s\n", folder, strerror(errno));
        return EXIT_FAILED;
    }
    snprintf(out->label, sizeof(out->label), "%s", library);
    out->limit = c->limit;
    if (out->limit.l2 <= 0 && out->limit.rtol <= 0 && out->limit.atol <= 0) out->limit.l2 = 1e-4;
    int code = report(write_request(c, library, from, values, folder));
    if (!code) code = call_python(folder);
    if (!code) code = read_answer(folder, out);
    remove_folder(folder);
    return code;
}
