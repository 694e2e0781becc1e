#ifndef TN_OPS_STRING_NORMALIZER_H
#define TN_OPS_STRING_NORMALIZER_H

#include "device/device.h"

enum { TN_CASE_NONE, TN_CASE_LOWER, TN_CASE_UPPER };

typedef struct tn_string_normalizer_params {
    int64_t case_change_action;
    int64_t is_case_sensitive; /* 0: stop words match in any case */
} tn_string_normalizer_params;

#endif
