#include "ops/pool/pool.h"

tn_status tn_pool_lower(const tn_node *node, void *params_out)
{
    const tn_pool_params *params = params_out;
    (void)node;
    TN_CHECK(params->storage_order == 0 || params->storage_order == 1, TN_INVALID,
             "storage_order is %lld, not 0 or 1", (long long)params->storage_order);
    return tn_window_check(&params->window);
}

tn_status tn_pool_infer(tn_infer *f)
{
    const tn_pool_params *params = f->params;
    const tn_type *x = &f->in[0];
    tn_expr dim[TN_RANK_MAX];
    char text[128];
    if (x->rank < 0) {
        tn_infer_set(f, 0, x->dtype, -1, NULL);
        return NULL;
    }
    TN_CHECK(x->rank >= 3, TN_INVALID, "X needs batch, channels and spatial axes: X is %s",
             tn_type_text(f->exprs, x, text, sizeof text));
    dim[0] = x->dim[0];
    dim[1] = x->dim[1];
    TN_TRY(tn_window_infer(f, &params->window, x, NULL, dim + 2));
    tn_infer_set(f, 0, x->dtype, x->rank, dim);
    return NULL;
}

tn_status tn_pool_infer_global(tn_infer *f)
{
    const tn_type *x = &f->in[0];
    tn_expr dim[TN_RANK_MAX];
    char text[128];
    TN_CHECK(x->rank < 0 || x->rank >= 2, TN_INVALID, "X needs batch and channels: X is %s",
             tn_type_text(f->exprs, x, text, sizeof text));
    for (int i = 0; i < x->rank; i++) dim[i] = i < 2 ? x->dim[i] : tn_expr_const(f->exprs, 1);
    tn_infer_set(f, 0, x->dtype, x->rank, dim);
    return NULL;
}

void tn_pool_window(const tn_problem *p, bool global, tn_window *out)
{
    const tn_pool_params *params = p->params;
    if (!global) {
        tn_window_of(&params->window, &p->in[0], NULL, &p->out[0], out);
        return;
    }
    int64_t count = tn_dims_product(p->in[0].dim, 2, p->in[0].rank);
    *out = (tn_window){.in = {1, 1, count},
                       .out = {1, 1, 1},
                       .kernel = {1, 1, count},
                       .stride = {1, 1, 1},
                       .dilation = {1, 1, 1},
                       .in_count = count,
                       .out_count = 1,
                       .kernel_count = count};
}

void tn_pool_walk_init(tn_pool_walk *walk, const tn_window *w, int64_t at)
{
    *walk = (tn_pool_walk){.w = w, .tap = {0, 0, -1}};
    for (int i = 2; i >= 0; i--) {
        walk->start[i] = at % w->out[i] * w->stride[i] - w->pad[i];
        at /= w->out[i];
    }
}

bool tn_pool_walk_next(tn_pool_walk *walk)
{
    const tn_window *w = walk->w;
    if (w->kernel_count == 0) return false;
    for (;;) {
        int axis = 2;
        while (axis >= 0 && ++walk->tap[axis] >= w->kernel[axis]) walk->tap[axis--] = 0;
        if (axis < 0) return false;
        bool inside = true;
        walk->index = 0;
        for (int i = 0; i < 3; i++) {
            int64_t at = walk->start[i] + walk->tap[i] * w->dilation[i];
            inside = inside && at >= 0 && at < w->in[i];
            walk->index = walk->index * w->in[i] + at;
        }
        if (inside) return true;
    }
}
