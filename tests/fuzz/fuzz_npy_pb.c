/* Bytes as a tensor file: .npy and .pb. What is read must survive being written and read again. */
#include <string.h>

#include "import/import.h"
#include "tensor/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

typedef tn_status (*decoder)(const void *bytes, size_t byte_count, tn_tensor *out);
typedef tn_status (*encoder)(const tn_tensor *tensor, tn_writer *out);

static bool same(const tn_tensor *a, const tn_tensor *b)
{
    if (a->dtype != b->dtype || !tn_tensor_same_shape(a, b)) return false;
    int64_t bytes = tn_tensor_bytes(a);
    return a->dtype == TN_DTYPE_STRING || !bytes || memcmp(a->data, b->data, (size_t)bytes) == 0;
}

static void round_trip(const tn_tensor *t, encoder encode, decoder decode)
{
    tn_writer writer = {0};
    tn_tensor again;
    if (!encode(t, &writer)) {
        if (decode(writer.at, writer.count, &again))
            __builtin_trap(); /* our own file is readable */
        if (!same(t, &again)) __builtin_trap();
        tn_tensor_free(&again);
    }
    tn_writer_fini(&writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    tn_tensor t;
    bool npy = tn_npy_is(bytes, byte_count);
    decoder decode = npy ? tn_npy_decode : tn_onnx_tensor_decode;
    if (decode(bytes, byte_count, &t)) return 0;
    round_trip(&t, tn_onnx_tensor_encode, tn_onnx_tensor_decode);
    round_trip(&t, tn_npy_encode, tn_npy_decode);
    tn_tensor_free(&t);
    return 0;
}
