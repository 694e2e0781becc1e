/* Parameters of the operators that run graphs inside them. */
#ifndef TN_OPS_CONTROL_FLOW_H
#define TN_OPS_CONTROL_FLOW_H

#include "device/device.h"

typedef struct tn_loop_params {
    int64_t carried; /* -1: all inputs behind the condition */
} tn_loop_params;

typedef struct tn_map_params {
    int64_t given; /* -1: all inputs */
} tn_map_params;

typedef struct tn_scan_params {
    int64_t num_scan_inputs,
        carried; /* -1: all inputs before the scanned ones, nothing is captured */
    tn_ints scan_input_axes, scan_output_axes;
    tn_ints scan_input_directions, scan_output_directions; /* 1: from the end */
} tn_scan_params;

#endif
