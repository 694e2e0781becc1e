/* From kernel sources to functions. The code of a source under its options is made once for each
 * card: taken from an engine file that brought it along, else from NVRTC or what NVRTC made before
 * (compile.c), else from an engine's code for an older architecture, which the driver translates.
 * Different codes are made by different threads at once.
 *
 * What a launch will need is found out by launching it on a copy of the card that only writes down
 * the functions it is asked for: the tactics are the only ones who know.
 *
 * TENON_CUDA_LIST=FILE appends a line "source entry options" for each function made:
 * tests/gpu/kernels.txt is such a list. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cuda/cuda.h"
#include "base/log.h"
#include "base/map.h"

typedef struct code {
    const tn_cuda_source *source;
    const char *options;
    tn_cu_module module; /* NULL: not made yet */
    void *bytes;
    size_t count;
    bool making;
    bool translated; /* by the driver, from code for an older architecture */
} code;

struct tn_cuda_function {
    tn_cu_function handle;
    size_t shared_bytes; /* allowed so far */
    bool translated;
};

struct tn_cuda_wishes {
    tn_arena *arena;
    tn_map seen; /* "source options" -> wish */
    struct wish {
        const tn_cuda_source *source;
        const char *options;
        bool missing; /* its code cannot be made */
    } * *at;
    int64_t count, capacity;
    struct whose {
        tn_card_work *work;
        const struct wish *wish;
    } * whose;
    int64_t whose_count, whose_capacity;
    tn_card_work *work; /* whose launch is looked at now */
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t made;
    tn_arena arena;
    tn_map code;     /* "ordinal source options" -> code */
    tn_map function; /* "ordinal source entry options" -> tn_cuda_function */
    tn_map kept;     /* name of a code from an engine file -> tn_card_code */
    bool ready;
} store = {.lock = PTHREAD_MUTEX_INITIALIZER, .made = PTHREAD_COND_INITIALIZER};

static const tn_cu *driver(void)
{
    const char *why;
    return tn_cu_open(&why);
}

static void lock_store(void)
{
    pthread_mutex_lock(&store.lock);
    if (store.ready) return;
    tn_arena_init(&store.arena);
    tn_map_init(&store.code, &store.arena);
    tn_map_init(&store.function, &store.arena);
    tn_map_init(&store.kept, &store.arena);
    store.ready = true;
}

static void unlock_store(void)
{
    pthread_mutex_unlock(&store.lock);
}

/* ---- Making ----------------------------------------------------------------------------------*/

static const char *arch_of(const tn_cuda_card *card, char *dst, size_t bytes)
{
    snprintf(dst, bytes, "sm_%d%d%s", card->major, card->minor,
             card->major == 9 || card->major == 10 ? "a" : "");
    return dst;
}

/* Bytes that came with an engine file; they live for ever. */
static tn_status find_kept(const code *c, const char *arch, tn_arena *arena,
                           const tn_card_code **out)
{
    char *name;
    TN_TRY(tn_cuda_code_name(c->source, c->options, arch, arena, &name));
    lock_store();
    *out = tn_map_find(&store.kept, name);
    unlock_store();
    return NULL;
}

static tn_status find_older(const tn_cuda_card *card, const code *c, tn_arena *arena,
                            const tn_card_code **out)
{
    static const int older[] = {120, 100, 90, 89, 86, 80, 75};
    char arch[32];
    *out = NULL;
    for (size_t i = 0; i < TN_COUNT(older) && !*out; i++) {
        if (older[i] > card->major * 10 + card->minor) continue;
        snprintf(arch, sizeof arch, "compute_%d", older[i]);
        TN_TRY(find_kept(c, arch, arena, out));
    }
    return NULL;
}

static tn_status load(const void *bytes, tn_cu_module *out)
{
    TN_CU("loading code", driver()->module_load(out, bytes));
    return NULL;
}

/* Its bytes lie in the arena, or live for ever. What is kept on disk may not load. */
static tn_status make_in(const tn_cuda_card *card, code *c, tn_arena *arena, const void **bytes)
{
    const tn_card_code *kept;
    const char *why;
    char arch[32];
    TN_TRY(tn_cuda_enter(card));
    TN_TRY(find_kept(c, arch_of(card, arch, sizeof arch), arena, &kept));
    if (!kept && !tn_nvrtc_open(&why)) {
        TN_TRY(find_older(card, c, arena, &kept));
        c->translated = kept != NULL;
    }
    if (kept) {
        *bytes = kept->bytes;
        c->count = kept->count;
        return load(*bytes, &c->module);
    }
    TN_TRY(tn_cuda_compile_once(c->source, c->options, arch, arena, bytes, &c->count));
    if (!load(*bytes, &c->module)) return NULL;
    TN_TRY(tn_cuda_compile(c->source, c->options, arch, arena, bytes, &c->count));
    return load(*bytes, &c->module);
}

static tn_status make(const tn_cuda_card *card, code *c)
{
    const void *bytes;
    tn_arena arena;
    tn_arena_init(&arena);
    tn_status status = make_in(card, c, &arena, &bytes);
    if (!status && (c->bytes = tn_alloc(TN_MAX(c->count, (size_t)1))))
        memcpy(c->bytes, bytes, c->count);
    tn_arena_fini(&arena);
    return status;
}

static tn_status find_or_add(const tn_cuda_card *card, const tn_cuda_source *source,
                             const char *options, code **out)
{
    tn_arena scratch;
    tn_arena_init(&scratch);
    const char *key =
        tn_arena_printf(&scratch, "%d %s %s", card->card.ordinal, source->name, options);
    code *c = key ? tn_map_find(&store.code, key) : NULL;
    tn_status status = NULL;
    if (!c) {
        c = key ? TN_NEW(&store.arena, code) : NULL;
        if (c) {
            c->source = source;
            c->options = tn_arena_text(&store.arena, options, strlen(options));
        }
        status = c && c->options ? tn_map_put(&store.code, key, c)
                                 : TN_ERROR(TN_OUT_OF_MEMORY, "no memory to find a kernel");
    }
    tn_arena_fini(&scratch);
    *out = c;
    return status;
}

/* The code, made by this thread or another. The store is locked, and open while code is made. */
static tn_status code_get(const tn_cuda_card *card, const tn_cuda_source *source,
                          const char *options, code **out)
{
    code *c;
    TN_TRY(find_or_add(card, source, options, &c));
    while (c->making) pthread_cond_wait(&store.made, &store.lock);
    *out = c;
    if (c->module) return NULL;
    c->making = true;
    unlock_store();
    tn_status status = make(card, c);
    lock_store();
    c->making = false;
    pthread_cond_broadcast(&store.made);
    return status;
}

/* ---- Functions -------------------------------------------------------------------------------*/

static void note_made(const tn_cuda_source *source, const char *entry, const char *options)
{
    const char *path = getenv("TENON_CUDA_LIST");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (!file) return;
    fprintf(file, "%s %s %s\n", source->name, entry, options);
    fclose(file);
}

static tn_status get(const tn_cuda_card *card, const tn_cuda_source *source, const char *entry,
                     const char *options, tn_arena *scratch, tn_cuda_function **out)
{
    code *c;
    const char *key =
        tn_arena_printf(scratch, "%d %s %s %s", card->card.ordinal, source->name, entry, options);
    TN_CHECK(key, TN_OUT_OF_MEMORY, "no memory to find a kernel");
    *out = tn_map_find(&store.function, key);
    if (*out) return NULL;
    TN_TRY_NOTE(code_get(card, source, options, &c), "while making kernel %s of %s", entry,
                source->name);
    *out = tn_map_find(&store.function, key); /* another thread, meanwhile */
    if (*out) return NULL;
    tn_cuda_function *made = TN_NEW(&store.arena, tn_cuda_function);
    TN_CHECK(made, TN_OUT_OF_MEMORY, "no memory for a kernel");
    TN_CU("finding a kernel", driver()->module_function(&made->handle, c->module, entry));
    made->translated = c->translated;
    note_made(source, entry, options);
    *out = made;
    return tn_map_put(&store.function, key, made);
}

static tn_status allow_shared(tn_cuda_function *function, size_t bytes)
{
    enum { WITHOUT_ASKING = 48 << 10 };
    if (bytes <= function->shared_bytes) return NULL;
    if (bytes > WITHOUT_ASKING)
        TN_CU("asking for shared memory",
              driver()->function_set(function->handle, TN_CU_FUNCTION_SHARED_BYTES, (int)bytes));
    function->shared_bytes = bytes;
    return NULL;
}

static tn_status wish(struct tn_cuda_wishes *w, const tn_cuda_source *source, const char *options,
                      const tn_cuda_function **out)
{
    static const tn_cuda_function foreseen; /* nobody launches it */
    *out = &foreseen;
    const char *key = tn_arena_printf(w->arena, "%s %s", source->name, options);
    TN_CHECK(key, TN_OUT_OF_MEMORY, "no memory to note a kernel");
    struct wish *wish = tn_map_find(&w->seen, key);
    if (!wish) {
        wish = TN_NEW(w->arena, struct wish);
        TN_CHECK(wish, TN_OUT_OF_MEMORY, "no memory to note a kernel");
        *wish = (struct wish){source, key + strlen(source->name) + 1, false};
        TN_TRY(tn_map_put(&w->seen, key, wish));
        TN_TRY(
            tn_arena_grow(w->arena, &w->at, w->count, &w->capacity, w->count + 1, sizeof *w->at));
        w->at[w->count++] = wish;
    }
    TN_TRY(tn_arena_grow(w->arena, &w->whose, w->whose_count, &w->whose_capacity,
                         w->whose_count + 1, sizeof *w->whose));
    w->whose[w->whose_count++] = (struct whose){w->work, wish};
    return NULL;
}

tn_status tn_cuda_function_get(tn_cuda_card *card, const tn_cuda_source *source, const char *entry,
                               const char *options, size_t shared_bytes,
                               const tn_cuda_function **out)
{
    tn_cuda_function *function = NULL;
    tn_arena scratch;
    *out = NULL;
    if (card->wishes) return wish(card->wishes, source, options, out);
    TN_TRY(tn_cuda_enter(card));
    tn_arena_init(&scratch);
    lock_store();
    tn_status status = get(card, source, entry, options, &scratch, &function);
    if (!status) status = allow_shared(function, shared_bytes);
    unlock_store();
    tn_arena_fini(&scratch);
    *out = function;
    return status ? tn_status_trail(status, __FILE__, __LINE__, __func__) : NULL;
}

/* ---- Foreseeing ------------------------------------------------------------------------------*/

typedef struct job {
    const tn_cuda_card *card;
    struct tn_cuda_wishes *wishes;
    _Atomic int64_t next;
    tn_card_code *portable; /* NULL: make codes; else for each wish its code for newer cards */
    tn_arena *arena;        /* of each thread */
    const char *arch;
} job;

/* What does not compile tells so when it is launched. */
static void do_one(job *j, int64_t i, int thread)
{
    struct wish *w = j->wishes->at[i];
    tn_status status;
    if (j->portable) {
        tn_card_code *p = &j->portable[i];
        status = tn_cuda_compile_once(w->source, w->options, j->arch, &j->arena[thread], &p->bytes,
                                      &p->count);
        if (status) p->count = 0;
    } else {
        code *c;
        lock_store();
        status = code_get(j->card, w->source, w->options, &c);
        unlock_store();
        w->missing = status != NULL;
    }
    if (status)
        tn_log(TN_LOG_INFO, "kernels '%s' %s are not made: %s", w->source->name, w->options,
               tn_status_message(status));
}

static tn_status do_share(void *arg, int64_t begin, int64_t end, int thread)
{
    job *j = arg;
    (void)begin;
    (void)end;
    for (int64_t i; (i = atomic_fetch_add(&j->next, 1)) < j->wishes->count;) do_one(j, i, thread);
    return NULL;
}

static tn_status do_all(job *j, tn_pool *pool)
{
    j->next = 0;
    return tn_pool_run(pool, TN_MIN((int64_t)tn_pool_threads(pool), j->wishes->count), 1, do_share,
                       j);
}

static tn_status add_code(tn_card_codes *codes, const struct wish *w, const char *arch,
                          const void *bytes, size_t count)
{
    char *name;
    TN_TRY(tn_cuda_code_name(w->source, w->options, arch, codes->arena, &name));
    for (int64_t i = 0; i < codes->count; i++)
        if (!strcmp(codes->at[i].name, name)) return NULL;
    void *copy = tn_arena_alloc(codes->arena, count);
    TN_CHECK(copy, TN_OUT_OF_MEMORY, "no memory to keep the code of '%s'", w->source->name);
    memcpy(copy, bytes, count);
    TN_TRY(tn_arena_grow(codes->arena, &codes->at, codes->count, &codes->capacity, codes->count + 1,
                         sizeof *codes->at));
    codes->at[codes->count++] = (tn_card_code){name, copy, count};
    return NULL;
}

static tn_status collect_code(const job *j, tn_card_codes *codes)
{
    char arch[32];
    for (int64_t i = 0; i < j->wishes->count; i++) {
        const struct wish *w = j->wishes->at[i];
        code *c;
        if (w->missing) continue;
        lock_store();
        tn_status status = code_get(j->card, w->source, w->options, &c);
        unlock_store();
        if (!status && c->bytes && !c->translated)
            TN_TRY(add_code(codes, w, arch_of(j->card, arch, sizeof arch), c->bytes, c->count));
    }
    return NULL;
}

static tn_status foresee(const tn_cuda_card *card, tn_card_work *work, int64_t count, tn_pool *pool,
                         tn_arena *arena, tn_card_codes *codes)
{
    struct tn_cuda_wishes wishes = {.arena = arena};
    tn_cuda_card only = *card;
    tn_cuda_stream stream = {.card = &only};
    tn_map_init(&wishes.seen, arena);
    only.wishes = &wishes;
    for (int64_t i = 0; i < count; i++) {
        tn_launch launch = *work[i].launch;
        launch.stream = &stream;
        wishes.work = &work[i];
        tn_status status = work[i].tactic->launch(&launch);
        if (tn_status_code(status) == TN_OUT_OF_MEMORY) return status;
    }
    job j = {.card = card, .wishes = &wishes};
    TN_TRY(do_all(&j, pool));
    for (int64_t i = 0; i < wishes.whose_count; i++)
        wishes.whose[i].work->missing |= wishes.whose[i].wish->missing;
    return codes ? collect_code(&j, codes) : NULL;
}

tn_status tn_cuda_foresee(tn_card *card, tn_card_work *work, int64_t count, tn_pool *pool,
                          tn_card_codes *codes)
{
    tn_arena arena;
    tn_arena_init(&arena);
    tn_status status = foresee((tn_cuda_card *)card, work, count, pool, &arena, codes);
    tn_arena_fini(&arena);
    return status ? tn_status_trail(status, __FILE__, __LINE__, __func__) : NULL;
}

/* ---- For cards that come later: in the driver's own language ---------------------------------*/

static const tn_cuda_source *find_source(const char *name, size_t bytes)
{
    for (int i = 0; tn_cuda_sources[i]; i++)
        if (strlen(tn_cuda_sources[i]->name) == bytes &&
            !memcmp(tn_cuda_sources[i]->name, name, bytes))
            return tn_cuda_sources[i];
    return NULL;
}

/* A code says in its name what it was made of: "sm_90a softmax 0123456789abcdef -DT=float". What
 * was made of other text than this library's, or for another card, stays alone. */
static tn_status wish_again(struct tn_cuda_wishes *w, const char *arch, const char *name)
{
    const tn_cuda_function *nobody;
    char *again;
    const char *source = name + strcspn(name, " ") + 1;
    if (strncmp(name, arch, strlen(arch)) || source[-1] != ' ') return NULL;
    size_t bytes = strcspn(source, " "),
           hash = source[bytes] ? strcspn(source + bytes + 1, " ") : 0;
    const tn_cuda_source *found = find_source(source, bytes);
    if (!found || source[bytes + 1 + hash] != ' ') return NULL;
    const char *options = source + bytes + hash + 2;
    TN_TRY(tn_cuda_code_name(found, options, arch, w->arena, &again));
    return strcmp(again, name) ? NULL : wish(w, found, options, &nobody);
}

static tn_status add_portable(job *j, tn_pool *pool, tn_arena *arena, tn_card_codes *codes)
{
    char arch[32], own[32];
    int threads = tn_pool_threads(pool);
    arch_of(j->card, own, sizeof own);
    for (int64_t i = 0; i < codes->count; i++)
        TN_TRY(wish_again(j->wishes, own, codes->at[i].name));
    snprintf(arch, sizeof arch, "compute_%d%d", j->card->major, j->card->minor);
    j->arch = arch;
    j->portable = TN_NEW_ARRAY(arena, tn_card_code, j->wishes->count);
    j->arena = TN_NEW_ARRAY(arena, tn_arena, threads);
    TN_CHECK(j->portable && j->arena, TN_OUT_OF_MEMORY, "no memory to keep code");
    for (int i = 0; i < threads; i++) tn_arena_init(&j->arena[i]);
    tn_status status = do_all(j, pool);
    for (int64_t i = 0; i < j->wishes->count && !status; i++)
        if (j->portable[i].count)
            status =
                add_code(codes, j->wishes->at[i], arch, j->portable[i].bytes, j->portable[i].count);
    for (int i = 0; i < threads; i++) tn_arena_fini(&j->arena[i]);
    return status;
}

tn_status tn_cuda_add_portable(tn_card *card, tn_pool *pool, tn_card_codes *codes)
{
    tn_arena arena;
    const char *why;
    if (!tn_nvrtc_open(&why)) return NULL;
    tn_arena_init(&arena);
    struct tn_cuda_wishes wishes = {.arena = &arena};
    tn_map_init(&wishes.seen, &arena);
    job j = {.card = (tn_cuda_card *)card, .wishes = &wishes};
    tn_status status = add_portable(&j, pool, &arena, codes);
    tn_arena_fini(&arena);
    return status ? tn_status_trail(status, __FILE__, __LINE__, __func__) : NULL;
}

/* ---- From an engine file ---------------------------------------------------------------------*/

static bool is_wanted(const tn_cuda_card *card, const tn_card_code *c)
{
    char arch[32];
    const char *why;
    size_t bytes = strcspn(c->name, " ");
    arch_of(card, arch, sizeof arch);
    if (strlen(arch) == bytes && !memcmp(c->name, arch, bytes)) return true;
    return !strncmp(c->name, "compute_", 8) && !tn_nvrtc_open(&why);
}

/* Text for the driver ends with a zero; so does every copy here. */
static tn_status take(const tn_card_code *c)
{
    if (tn_map_has(&store.kept, c->name)) return NULL;
    tn_card_code *copy = TN_NEW(&store.arena, tn_card_code);
    char *bytes = tn_alloc(c->count + 1);
    TN_CHECK(copy && bytes, TN_OUT_OF_MEMORY, "no memory for the code of an engine");
    memcpy(bytes, c->bytes, c->count);
    bytes[c->count] = 0;
    *copy = (tn_card_code){NULL, bytes, c->count};
    return tn_map_put(&store.kept, c->name, copy);
}

tn_status tn_cuda_take_code(tn_card *card, const tn_card_code *at, int64_t count)
{
    tn_status status = NULL;
    lock_store();
    for (int64_t i = 0; i < count && !status; i++)
        if (is_wanted((tn_cuda_card *)card, &at[i])) status = take(&at[i]);
    unlock_store();
    return status;
}

/* ---- Running ---------------------------------------------------------------------------------*/

tn_status tn_cuda_run(const tn_launch *l, const tn_cuda_function *function,
                      const tn_cuda_grid *grid, void **args)
{
    const tn_cu *cu = driver();
    const tn_cuda_stream *stream = l->stream;
    if (stream->card->wishes) return NULL;
    tn_cu_launch_attribute attribute[3];
    tn_cu_launch_config config = {.shared_bytes = (unsigned)grid->shared_bytes,
                                  .stream = stream->handle,
                                  .attribute = attribute};
    memset(attribute, 0, sizeof attribute);
    for (int i = 0; i < 3; i++) {
        config.grid[i] = grid->grid[i] ? grid->grid[i] : 1;
        config.block[i] = grid->block[i] ? grid->block[i] : 1;
    }
    bool hopper = stream->card->major >= 9;
    if (hopper && grid->cluster > 1) {
        tn_cu_launch_attribute *a = &attribute[config.attribute_count++];
        a->id = TN_CU_LAUNCH_CLUSTER;
        a->value.cluster[0] = grid->cluster;
        a->value.cluster[1] = a->value.cluster[2] = 1;
        if (grid->cluster > 8)
            TN_CU("allowing a large cluster",
                  cu->function_set(function->handle, TN_CU_FUNCTION_ANY_CLUSTER, 1));
    }
    if (grid->cooperative) {
        tn_cu_launch_attribute *a = &attribute[config.attribute_count++];
        a->id = TN_CU_LAUNCH_COOPERATIVE;
        a->value.flag = 1;
    }
    if (hopper && grid->overlap && !function->translated) {
        tn_cu_launch_attribute *a = &attribute[config.attribute_count++];
        a->id = TN_CU_LAUNCH_OVERLAP;
        a->value.flag = 1;
    }
    TN_CU("launching a kernel", cu->launch(&config, function->handle, args, NULL));
    return NULL;
}

tn_status tn_cuda_run_plain(const tn_launch *l, const tn_cuda_source *source, const char *entry,
                            const char *options, unsigned blocks, unsigned threads, void **args)
{
    const tn_cuda_function *function;
    tn_cuda_grid grid = {.grid = {blocks}, .block = {threads}, .overlap = true};
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, source, entry, options, 0, &function));
    return tn_cuda_run(l, function, &grid, args);
}

const char *tn_cuda_type(tn_dtype dtype)
{
    switch (dtype) {
    case TN_DTYPE_F32: return "float";
    case TN_DTYPE_F16: return "half";
    case TN_DTYPE_BF16: return "bf16";
    case TN_DTYPE_F64: return "double";
    case TN_DTYPE_I8: return "int8";
    case TN_DTYPE_I16: return "int16";
    case TN_DTYPE_I32: return "int32";
    case TN_DTYPE_I64: return "int64";
    case TN_DTYPE_U8: return "uint8";
    case TN_DTYPE_U16: return "uint16";
    case TN_DTYPE_U32: return "uint32";
    case TN_DTYPE_U64: return "uint64";
    case TN_DTYPE_BOOL: return "uint8";
    default: return NULL;
    }
}

unsigned tn_cuda_blocks(int64_t count, int64_t per)
{
    int64_t blocks = count / per + (count % per != 0);
    return (unsigned)(blocks < 1 ? 1 : blocks > INT32_MAX ? INT32_MAX : blocks);
}
