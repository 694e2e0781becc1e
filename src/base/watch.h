/* Somebody who is told how far a long piece of work is, and may end it. All functions take NULL, or
 * a watch that tells nobody. */
#ifndef TN_BASE_WATCH_H
#define TN_BASE_WATCH_H

#include "base/status.h"

typedef struct tn_watch {
    tn_progress tell; /* may be NULL */
    void *self;
    const char *stage;
    int64_t done, total;
} tn_watch;

/* CANCELLED where whoever watches does not want to go on. A new stage begins: */
tn_status tn_watch_begin(tn_watch *watch, const char *stage, int64_t total) TN_MUST_USE;
/* One more piece of it is done. */
tn_status tn_watch_step(tn_watch *watch) TN_MUST_USE;
/* Within a piece that takes long: nothing new, but it may be ended here. */
tn_status tn_watch_look(const tn_watch *watch) TN_MUST_USE;

#endif
