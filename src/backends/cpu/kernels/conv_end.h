/* What Conv and FusedConv do to their sums: a bias, a residual, a function. */
#ifndef TN_BACKENDS_CPU_CONV_END_H
#define TN_BACKENDS_CPU_CONV_END_H

#include "backends/cpu/kernels/tile_end.h"
#include "device/device.h"
#include "ops/conv/conv.h"

static inline const float *conv_input(const tn_problem *p, int index)
{
    return index < p->in_count && p->in[index].dtype != TN_DTYPE_NONE ? p->in[index].data : NULL;
}

static inline tile_end conv_end(const tn_problem *p)
{
    tile_end end = {.alpha = 1, .beta = 1, .bias_row = 1, .y = p->out[0].data};
    end.bias = conv_input(p, 2);
    if (p->op[0] == 'F') {
        const tn_fused_conv_params *params = p->params;
        end.residual = conv_input(p, 3);
        end.function = params->epilogue;
    }
    tile_end_close(&end);
    return end;
}

/* The same for kernels that add the bias themselves and bound sums from below, by 0 where that is
 * the function: `*end` is what is left to do. */
static inline void conv_end_split(const tn_problem *p, tile_end *end, const float **bias,
                                  float *low)
{
    *end = conv_end(p);
    *bias = end->bias;
    end->bias = NULL;
    *low = -INFINITY;
    if (end->function.kind == TN_EPILOGUE_RELU && !end->residual) {
        *low = 0;
        end->function.kind = TN_EPILOGUE_NONE;
    }
    tile_end_close(end);
}

#endif
