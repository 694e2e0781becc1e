#ifndef TN_OPS_SIGNAL_WINDOW_H
#define TN_OPS_SIGNAL_WINDOW_H

#include <stdint.h>

typedef struct tn_signal_window_params {
    int64_t output_datatype, periodic;
} tn_signal_window_params;

#endif
