/* The function at the end of our own operators that have one (Linear, FusedConv): one attribute,
 * two numbers for those that need them, one meaning for references and kernels. */
#ifndef TN_OPS_ACTIVATION_H
#define TN_OPS_ACTIVATION_H

#include "device/device.h"

#define TN_EPILOGUES "none|relu|gelu|gelu_tanh|tanh|sigmoid|silu|hard_swish|leaky_relu|clip"
typedef enum tn_epilogue_kind {
    TN_EPILOGUE_NONE,
    TN_EPILOGUE_RELU,
    TN_EPILOGUE_GELU,
    TN_EPILOGUE_GELU_TANH,
    TN_EPILOGUE_TANH,
    TN_EPILOGUE_SIGMOID,
    TN_EPILOGUE_SILU, /* x * sigmoid(x) */
    TN_EPILOGUE_HARD_SWISH,
    TN_EPILOGUE_LEAKY_RELU, /* alpha: the slope below 0 */
    TN_EPILOGUE_CLIP,       /* to [alpha, beta]; beta wins where they cross */
} tn_epilogue_kind;

typedef struct tn_epilogue {
    int64_t kind; /* tn_epilogue_kind */
    float alpha, beta;
} tn_epilogue;

/* Rows for a params struct S with a member of this type. */
#define TN_EPILOGUE_FIELDS(S, member)                                                              \
    {.name = "activation",                                                                         \
     .kind = TN_FIELD_ENUM,                                                                        \
     .offset = offsetof(S, member.kind),                                                           \
     .choices = TN_EPILOGUES},                                                                     \
        {.name = "alpha", .kind = TN_FIELD_FLOAT, .offset = offsetof(S, member.alpha)},            \
    {                                                                                              \
        .name = "beta", .kind = TN_FIELD_FLOAT, .offset = offsetof(S, member.beta)                 \
    }

double tn_epilogue_of(const tn_epilogue *epilogue, double x);

#endif
