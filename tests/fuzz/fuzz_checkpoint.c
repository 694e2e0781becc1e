/* Bytes as a checkpoint of any form. What is read must be readable: every element is looked at, and
 * memory stays within what the bytes can justify. */
#include "import/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    tn_checkpoint *c;
    if (tn_checkpoint_read(bytes, byte_count, &c)) return 0;
    for (int64_t i = 0; i < c->count; i++) {
        tn_tensor dense;
        const tn_tensor *view = &c->tensor[i].view;
        if (!c->tensor[i].name || tn_tensor_bytes(view) < 0) __builtin_trap();
        if (tn_tensor_bytes(view) > 1 << 20) continue; /* a broadcast far beyond its storage */
        if (tn_tensor_new(view->dtype, view->dim, view->rank, &dense)) continue;
        if (tn_tensor_count(view) && tn_tensor_copy(view, &dense)) __builtin_trap();
        for (int64_t k = 0; view->dtype == TN_DTYPE_BOOL && k < tn_tensor_count(view); k++)
            if (((uint8_t *)dense.data)[k] > 1) __builtin_trap();
        tn_tensor_free(&dense);
    }
    tn_checkpoint_close(c);
    return 0;
}
