/* Finding tactics: in a backend's table, then among those that were added. */
#include <stdatomic.h>
#include <string.h>

#include "device/device.h"

/* Newest first. Entries never change once they are here, so readers need no lock. */
static _Atomic(tn_tactic_entry *) added;

void tn_tactic_entry_add(tn_tactic_entry *entry)
{
    entry->next = atomic_load_explicit(&added, memory_order_relaxed);
    atomic_store_explicit(&added, entry, memory_order_release);
}

typedef struct walk {
    const tn_backend *backend;
    const tn_tactic *const *table;
    const tn_tactic_entry *entry;
} walk;

static walk walk_of(const tn_backend *backend)
{
    return (walk){backend, backend->tactics(), atomic_load_explicit(&added, memory_order_acquire)};
}

bool tn_tactic_is_allowed(const tn_tactic *tactic, tn_precision allowed)
{
    return tactic->precision == allowed || tactic->precision == TN_PRECISION_F32 ||
           (tactic->precision == TN_PRECISION_TF32 && allowed != TN_PRECISION_F32);
}

bool tn_tactic_is_of(const tn_tactic *tactic, const tn_backend *backend)
{
    size_t bytes = strlen(backend->name);
    return !strncmp(tactic->name, backend->name, bytes) && tactic->name[bytes] == '.';
}

static const tn_tactic *next(walk *w)
{
    if (*w->table) return *w->table++;
    while (w->entry && !tn_tactic_is_of(&w->entry->tactic, w->backend)) w->entry = w->entry->next;
    if (!w->entry) return NULL;
    const tn_tactic *tactic = &w->entry->tactic;
    w->entry = w->entry->next;
    return tactic;
}

const tn_tactic *tn_tactic_find(const tn_backend *backend, const char *name)
{
    const tn_tactic *t;
    for (walk w = walk_of(backend); (t = next(&w));)
        if (!strcmp(t->name, name)) return t;
    return NULL;
}

int tn_tactics_of(const tn_backend *backend, const char *op, uint64_t features,
                  const tn_tactic **out, int max)
{
    int count = 0;
    const tn_tactic *t;
    for (walk w = walk_of(backend); count < max && (t = next(&w));)
        if (!strcmp(t->op, op) && !(t->needs & ~features)) out[count++] = t;
    return count;
}

const tn_tactic *tn_tactic_reference(const tn_backend *backend, const char *op)
{
    const tn_tactic *t;
    for (walk w = walk_of(backend); (t = next(&w));)
        if (!strcmp(t->op, op) && strstr(t->name, ".reference")) return t;
    return NULL;
}
