/* Do all kernels compile for every architecture? By the run-time compiler, which needs no card.
 *
 *     compile_kernels LIST [ARCH...]
 *
 * A line of LIST is "source entry options", as TENON_CUDA_LIST writes them on a machine with a
 * card; every source must be in it. Exit 77: CUDA's run-time compiler is not here. */
#include <stdio.h>
#include <string.h>

#include "backends/cuda/cuda.h"

static const char *const architectures[] = {"sm_75", "sm_80", "sm_86", "sm_89", "sm_90a", "sm_100"};

static const tn_cuda_source *find_source(const char *name, size_t bytes, int *index)
{
    for (int i = 0; tn_cuda_sources[i]; i++) {
        *index = i;
        if (strlen(tn_cuda_sources[i]->name) == bytes &&
            !memcmp(tn_cuda_sources[i]->name, name, bytes))
            return tn_cuda_sources[i];
    }
    return NULL;
}

/* The code names its kernels, so a wrong entry is found without a card. */
static bool has_entry(const void *code, size_t bytes, const char *entry, size_t entry_bytes)
{
    return memmem(code, bytes, entry, entry_bytes) != NULL;
}

static int compile_line(const char *line, const char *arch, bool *seen)
{
    size_t name = strcspn(line, " "), entry;
    const char *at = line + name + (line[name] != 0);
    int index = 0, failed = 1;
    const tn_cuda_source *source = find_source(line, name, &index);
    tn_arena arena;
    const void *code;
    size_t bytes;
    if (!source) {
        printf("FAIL there is no kernel source '%.*s'\n", (int)name, line);
        return 1;
    }
    seen[index] = true;
    entry = strcspn(at, " ");
    tn_arena_init(&arena);
    tn_status status =
        tn_cuda_compile(source, at[entry] ? at + entry + 1 : "", arch, &arena, &code, &bytes);
    if (status) printf("FAIL %s for %s: %s\n", line, arch, tn_status_message(status));
    else if (!has_entry(code, bytes, at, entry))
        printf("FAIL %s for %s: the code has no such entry\n", line, arch);
    else failed = 0;
    tn_arena_fini(&arena);
    return failed;
}

int main(int argc, char **argv)
{
    enum { SOURCES_MAX = 256 };
    bool seen[SOURCES_MAX] = {false};
    char line[2000];
    const char *why;
    int failed = 0, compiled = 0;
    FILE *list = argc > 1 ? fopen(argv[1], "r") : NULL;
    if (!list) {
        fprintf(stderr, "usage: compile_kernels LIST [ARCH...]\n");
        return 2;
    }
    if (!tn_nvrtc_open(&why)) {
        printf("skipped: %s\n", why);
        fclose(list);
        return 77;
    }
    const char *const *arch = argc > 2 ? (const char *const *)argv + 2 : architectures;
    int arch_count = argc > 2 ? argc - 2 : (int)TN_COUNT(architectures);
    while (fgets(line, sizeof line, list)) {
        line[strcspn(line, "\n")] = 0;
        if (!line[0] || line[0] == '#') continue;
        for (int i = 0; i < arch_count; i++, compiled++)
            failed += compile_line(line, arch[i], seen);
    }
    fclose(list);
    for (int i = 0; tn_cuda_sources[i] && i < SOURCES_MAX; i++) {
        if (seen[i]) continue;
        printf("FAIL no line compiles the kernel source '%s'\n", tn_cuda_sources[i]->name);
        failed++;
    }
    printf("%d compiled, %d failed\n", compiled - failed, failed);
    return failed ? 1 : 0;
}
