#ifndef TN_OPS_TRANSPOSE_H
#define TN_OPS_TRANSPOSE_H

#include "device/device.h"

typedef struct tn_transpose_params {
    tn_ints perm; /* output axis i is input axis perm[i]; absent: reversed */
} tn_transpose_params;

#endif
