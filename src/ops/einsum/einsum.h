#ifndef TN_OPS_EINSUM_H
#define TN_OPS_EINSUM_H

#include "device/device.h"

typedef struct tn_einsum_params {
    tn_chars equation; /* "ij,jk->ik" */
} tn_einsum_params;

#endif
