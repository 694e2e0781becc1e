/* The public functions about timing caches. */
#include "api/api.h"
#include "backends/cpu/cpu.h"
#include "build/timings.h"

tn_status tn_timing_cache_new(tn_timing_cache **out)
{
    TN_NOT_NULL(out);
    tn_timing_cache *cache = *out = tn_alloc_zero(sizeof(*cache));
    TN_CHECK(cache, TN_OUT_OF_MEMORY, "no memory for a timing cache");
    tn_arena_init(&cache->arena);
    cache->timings = (tn_timings){.arena = &cache->arena, .machine = "", .changed = true};
    tn_map_init(&cache->timings.index, &cache->arena);
    return NULL;
}

void tn_timing_cache_free(tn_timing_cache *cache)
{
    if (!cache) return;
    tn_arena_fini(&cache->arena);
    tn_free(cache, sizeof(*cache));
}

tn_status tn_timing_cache_load(tn_timing_cache *cache, const char *path)
{
    tn_mapping file;
    TN_NOT_NULL(cache);
    TN_NOT_NULL(path);
    TN_TRY(tn_file_map(path, &file));
    tn_status status = file.bytes ? tn_timings_parse(&cache->timings, &tn_backend_cpu, path,
                                                     (const char *)file.at, file.bytes)
                                  : NULL;
    tn_file_unmap(&file);
    return status;
}

tn_status tn_timing_cache_save(const tn_timing_cache *cache, const char *path)
{
    TN_NOT_NULL(cache);
    TN_NOT_NULL(path);
    return tn_timings_save(&cache->timings, path);
}

tn_status tn_timing_cache_text(const tn_timing_cache *cache, char **out)
{
    tn_text text = {0};
    TN_NOT_NULL(out);
    *out = NULL;
    TN_NOT_NULL(cache);
    tn_timings_print(&cache->timings, &text);
    return tn_text_take(&text, out);
}

tn_status tn_timing_cache_parse(tn_timing_cache *cache, const char *text, size_t bytes)
{
    TN_NOT_NULL(cache);
    TN_CHECK(text || !bytes, TN_INVALID, "%s: text is NULL", __func__);
    if (!bytes) return NULL;
    return tn_timings_parse(&cache->timings, &tn_backend_cpu, "a timing cache", text, bytes);
}

tn_status tn_timing_cache_merge(tn_timing_cache *cache, const tn_timing_cache *from)
{
    TN_NOT_NULL(cache);
    TN_NOT_NULL(from);
    return cache == from ? NULL : tn_timings_merge(&cache->timings, &from->timings);
}

int64_t tn_timing_cache_count(const tn_timing_cache *cache)
{
    return cache ? cache->timings.count : 0;
}
