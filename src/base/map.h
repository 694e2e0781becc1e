/* Hash map from text to pointer, in an arena. Keys are copied; a key appears once. */
#ifndef TN_BASE_MAP_H
#define TN_BASE_MAP_H

#include "base/memory.h"

typedef struct tn_map {
    tn_arena *arena;
    struct tn_map_entry *entry;
    size_t count, capacity;
} tn_map;

void tn_map_init(tn_map *map, tn_arena *arena);
/* NULL if absent (a stored NULL reads the same). */
void *tn_map_find(const tn_map *map, const char *key);
bool tn_map_has(const tn_map *map, const char *key);
/* Adds or replaces. */
tn_status tn_map_put(tn_map *map, const char *key, void *value) TN_MUST_USE;
void tn_map_remove(tn_map *map, const char *key);

#endif
