/* Open addressing with linear probes; the table is a power of two and at most 3/4 full. */
#include "base/map.h"

#include <string.h>

#include "base/bytes.h"

typedef struct tn_map_entry {
    const char *key; /* NULL: free */
    uint64_t hash;
    void *value;
} map_entry;

void tn_map_init(tn_map *map, tn_arena *arena)
{
    *map = (tn_map){.arena = arena};
}

/* The key's entry, or the free one where it would go. The table must not be empty. */
static map_entry *find_entry(const tn_map *map, const char *key, uint64_t hash)
{
    size_t mask = map->capacity - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        map_entry *entry = &map->entry[i];
        if (!entry->key || (entry->hash == hash && strcmp(entry->key, key) == 0)) return entry;
    }
}

static map_entry *find(const tn_map *map, const char *key)
{
    if (map->count == 0) return NULL;
    map_entry *entry = find_entry(map, key, tn_hash_bytes(key, strlen(key)));
    return entry->key ? entry : NULL;
}

void *tn_map_find(const tn_map *map, const char *key)
{
    map_entry *entry = find(map, key);
    return entry ? entry->value : NULL;
}

bool tn_map_has(const tn_map *map, const char *key)
{
    return find(map, key) != NULL;
}

static tn_status grow(tn_map *map)
{
    tn_map larger = *map;
    larger.capacity = map->capacity ? map->capacity * 2 : 16;
    larger.entry = TN_NEW_ARRAY(map->arena, map_entry, larger.capacity);
    TN_CHECK(larger.entry, TN_OUT_OF_MEMORY, "no memory for a map of %zu entries", larger.capacity);
    for (size_t i = 0; i < map->capacity; i++) {
        const map_entry *entry = &map->entry[i];
        if (entry->key) *find_entry(&larger, entry->key, entry->hash) = *entry;
    }
    *map = larger;
    return NULL;
}

tn_status tn_map_put(tn_map *map, const char *key, void *value)
{
    size_t bytes = strlen(key);
    uint64_t hash = tn_hash_bytes(key, bytes);
    if (map->count + 1 > map->capacity / 4 * 3) TN_TRY(grow(map));
    map_entry *entry = find_entry(map, key, hash);
    if (!entry->key) {
        const char *copy = tn_arena_text(map->arena, key, bytes);
        TN_CHECK(copy, TN_OUT_OF_MEMORY, "no memory for a key of %zu bytes", bytes);
        *entry = (map_entry){.key = copy, .hash = hash};
        map->count++;
    }
    entry->value = value;
    return NULL;
}

/* The hole is filled by later entries of the same run that may stand there: an entry may move back
 * to the hole unless its home lies behind the hole. So no tombstones are needed. */
void tn_map_remove(tn_map *map, const char *key)
{
    map_entry *entry = find(map, key);
    if (!entry) return;
    size_t mask = map->capacity - 1, hole = (size_t)(entry - map->entry);
    for (size_t i = (hole + 1) & mask; map->entry[i].key; i = (i + 1) & mask) {
        size_t home = map->entry[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            map->entry[hole] = map->entry[i];
            hole = i;
        }
    }
    map->entry[hole] = (map_entry){0};
    map->count--;
}
