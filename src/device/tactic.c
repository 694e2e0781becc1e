/* Finding tactics in a backend's table. */
#include <string.h>

#include "device/device.h"

const tn_tactic *tn_tactic_find(const tn_backend *backend, const char *name)
{
    for (const tn_tactic *const *tactic = backend->tactics(); *tactic; tactic++)
        if (!strcmp((*tactic)->name, name)) return *tactic;
    return NULL;
}

int tn_tactics_of(const tn_backend *backend, const char *op, uint64_t features,
                  const tn_tactic **out, int max)
{
    int count = 0;
    for (const tn_tactic *const *tactic = backend->tactics(); *tactic && count < max; tactic++)
        if (!strcmp((*tactic)->op, op) && !((*tactic)->needs & ~features)) out[count++] = *tactic;
    return count;
}
