/* MaxPool, AveragePool, LpPool and their global forms. */
#ifndef TN_OPS_POOL_H
#define TN_OPS_POOL_H

#include "ops/window/window.h"

typedef struct tn_pool_params {
    tn_window_params window;
    int64_t storage_order;     /* MaxPool: 1 numbers Indices with the first spatial axis fastest */
    int64_t count_include_pad; /* AveragePool */
    int64_t p;                 /* LpPool, GlobalLpPool */
} tn_pool_params;

/* ChannelsLastPool. */
typedef struct tn_pool_last_params {
    tn_pool_params pool; /* first */
    int64_t average;
} tn_pool_last_params;

typedef struct tn_max_unpool_params {
    tn_ints kernel_shape, strides, pads;
} tn_max_unpool_params;

/* Shared by the files of this folder. */
#define TN_POOL_WINDOW_FIELDS                                                                      \
    {.name = "kernel_shape",                                                                       \
     .kind = TN_FIELD_INTS,                                                                        \
     .required = true,                                                                             \
     .offset = offsetof(tn_pool_params, window.kernel_shape)},                                     \
        {.name = "strides",                                                                        \
         .kind = TN_FIELD_INTS,                                                                    \
         .offset = offsetof(tn_pool_params, window.strides)},                                      \
        {.name = "dilations",                                                                      \
         .kind = TN_FIELD_INTS,                                                                    \
         .offset = offsetof(tn_pool_params, window.dilations)},                                    \
        {.name = "pads", .kind = TN_FIELD_INTS, .offset = offsetof(tn_pool_params, window.pads)},  \
        {.name = "auto_pad",                                                                       \
         .kind = TN_FIELD_ENUM,                                                                    \
         .choices = TN_AUTO_PADS,                                                                  \
         .offset = offsetof(tn_pool_params, window.auto_pad)},                                     \
    {                                                                                              \
        .name = "ceil_mode", .kind = TN_FIELD_INT,                                                 \
        .offset = offsetof(tn_pool_params, window.ceil_mode)                                       \
    }

tn_status tn_pool_lower(const tn_node *node, void *params) TN_MUST_USE;
/* Output 0 from the window, of x's type. */
tn_status tn_pool_infer(tn_infer *f) TN_MUST_USE;
tn_status tn_pool_infer_global(tn_infer *f) TN_MUST_USE;
/* The window of a problem; for a global pooling the whole of x. */
void tn_pool_window(const tn_problem *p, bool global, tn_window *out);
void tn_pool_last_window(const tn_problem *p, tn_window *out); /* of ChannelsLastPool */

/* One window at output position `at` of a channel plane: visits the taps inside the input. */
typedef struct tn_pool_walk {
    const tn_window *w;
    int64_t start[3]; /* input position of tap 0, may be negative */
    int64_t tap[3];
    int64_t index; /* into the plane of the current tap */
} tn_pool_walk;
void tn_pool_walk_init(tn_pool_walk *walk, const tn_window *w, int64_t at);
bool tn_pool_walk_next(tn_pool_walk *walk); /* call before each tap; false: no more */

/* Rules of MaxPool and AveragePool, and of their global forms. */
void tn_pool_gradient(tn_gradient *g);
void tn_pool_gradient_global(tn_gradient *g);
void tn_pool_gradient_window(const tn_problem *p, tn_window *out);
/* Taps of the window at `walk` that AveragePool counts where padding does. */
int64_t tn_pool_count_padded(const tn_window *w, const tn_pool_walk *walk);

#endif
