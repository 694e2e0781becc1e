#ifndef TN_OPS_STRING_SPLIT_H
#define TN_OPS_STRING_SPLIT_H

#include "device/device.h"

typedef struct tn_string_split_params {
    tn_chars delimiter; /* "": white space */
    int64_t maxsplit;   /* below 0: no limit */
} tn_string_split_params;

#endif
