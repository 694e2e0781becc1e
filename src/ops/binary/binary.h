#ifndef TN_OPS_BINARY_H
#define TN_OPS_BINARY_H

#include <stdint.h>

/* One struct for the family: an operator reads the members that are its attributes. */
typedef struct tn_binary_params {
    int64_t fmod;      /* Mod: 1 takes the sign of the dividend, as C */
    int64_t direction; /* BitShift: 0 left, 1 right */
} tn_binary_params;

#endif
