/* The CPU as a backend: kernels from cpu_tactics.def, then the reference of every operator. */
#ifndef TN_BACKENDS_CPU_H
#define TN_BACKENDS_CPU_H

#include "device/device.h"

extern const tn_backend tn_backend_cpu;

#endif
