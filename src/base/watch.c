/* See watch.h. */
#include "base/watch.h"

tn_status tn_watch_look(const tn_watch *watch)
{
    if (!watch || !watch->tell) return NULL;
    TN_CHECK(watch->tell(watch->self, watch->stage, watch->done, watch->total), TN_CANCELLED,
             "the caller ended the work (stage '%s', %lld of %lld)", watch->stage,
             (long long)watch->done, (long long)watch->total);
    return NULL;
}

tn_status tn_watch_begin(tn_watch *watch, const char *stage, int64_t total)
{
    if (!watch) return NULL;
    watch->stage = stage;
    watch->done = 0;
    watch->total = total;
    return tn_watch_look(watch);
}

tn_status tn_watch_step(tn_watch *watch)
{
    if (!watch) return NULL;
    if (!watch->total || watch->done < watch->total) watch->done++;
    return tn_watch_look(watch);
}
