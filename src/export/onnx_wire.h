/* Protobuf on the wire, written: small pieces in a buffer, large ones by reference, so that a model
 * of gigabytes is streamed and not held. */
#ifndef TN_EXPORT_ONNX_WIRE_H
#define TN_EXPORT_ONNX_WIRE_H

#include "base/bytes.h"
#include "base/file.h"

/* `bytes` of foreign memory that stand before byte `at` of the buffer. */
typedef struct tn_wire_reference {
    size_t at;
    const void *data;
    size_t bytes;
} tn_wire_reference;

typedef struct tn_wire {
    tn_writer buffer;
    tn_wire_reference *reference;
    size_t reference_count, reference_capacity;
    uint64_t referenced_bytes;
    bool failed; /* memory ran out; see tn_wire_check */
} tn_wire;

uint64_t tn_wire_bytes(const tn_wire *wire);
void tn_wire_int(tn_wire *wire, int field, int64_t value);
void tn_wire_float(tn_wire *wire, int field, float value);
void tn_wire_data(tn_wire *wire, int field, const void *data, size_t bytes); /* copied if small */
void tn_wire_text(tn_wire *wire, int field, const char *text);
/* The message in `inner`, which is emptied. */
void tn_wire_message(tn_wire *wire, int field, tn_wire *inner);
tn_status tn_wire_check(const tn_wire *wire) TN_MUST_USE;
tn_status tn_wire_save(const tn_wire *wire, tn_file_write *file) TN_MUST_USE;
void tn_wire_fini(tn_wire *wire);

#endif
