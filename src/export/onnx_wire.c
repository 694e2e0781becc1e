/* Tags, varints and lengths. A message's length stands before it, so messages are made inside out.
 */
#include <string.h>

#include "export/onnx_wire.h"

enum { VARINT = 0, BYTES = 2, FIXED32 = 5 };
#define COPY_MAX 512 /* larger data is referred to */

static void write_varint(tn_writer *out, uint64_t value)
{
    while (value >= 0x80) {
        tn_write_u8(out, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    tn_write_u8(out, (uint8_t)value);
}

static void write_tag(tn_wire *wire, int field, int kind)
{
    write_varint(&wire->buffer, (uint64_t)field << 3 | (uint64_t)kind);
}

static void add_reference(tn_wire *wire, size_t at, const void *data, size_t bytes)
{
    if (wire->reference_count == wire->reference_capacity) {
        size_t size = sizeof(*wire->reference), old = wire->reference_capacity;
        size_t capacity = old ? old * 2 : 16;
        void *grown = tn_resize(wire->reference, old * size, capacity * size);
        if (!grown) {
            wire->failed = true;
            return;
        }
        wire->reference = grown;
        wire->reference_capacity = capacity;
    }
    wire->reference[wire->reference_count++] = (tn_wire_reference){at, data, bytes};
    wire->referenced_bytes += bytes;
}

uint64_t tn_wire_bytes(const tn_wire *wire)
{
    return wire->buffer.count + wire->referenced_bytes;
}

void tn_wire_int(tn_wire *wire, int field, int64_t value)
{
    write_tag(wire, field, VARINT);
    write_varint(&wire->buffer, (uint64_t)value);
}

void tn_wire_float(tn_wire *wire, int field, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    write_tag(wire, field, FIXED32);
    tn_write_u32(&wire->buffer, bits);
}

void tn_wire_data(tn_wire *wire, int field, const void *data, size_t bytes)
{
    write_tag(wire, field, BYTES);
    write_varint(&wire->buffer, bytes);
    if (bytes > COPY_MAX) add_reference(wire, wire->buffer.count, data, bytes);
    else if (bytes) tn_write_bytes(&wire->buffer, data, bytes);
}

void tn_wire_text(tn_wire *wire, int field, const char *text)
{
    write_tag(wire, field, BYTES);
    write_varint(&wire->buffer, strlen(text));
    if (text[0]) tn_write_bytes(&wire->buffer, text, strlen(text));
}

void tn_wire_message(tn_wire *wire, int field, tn_wire *inner)
{
    write_tag(wire, field, BYTES);
    write_varint(&wire->buffer, tn_wire_bytes(inner));
    size_t base = wire->buffer.count;
    for (size_t i = 0; i < inner->reference_count; i++)
        add_reference(wire, base + inner->reference[i].at, inner->reference[i].data,
                      inner->reference[i].bytes);
    if (inner->buffer.count) tn_write_bytes(&wire->buffer, inner->buffer.at, inner->buffer.count);
    wire->failed = wire->failed || inner->failed || inner->buffer.failed;
    inner->buffer.count = 0;
    inner->reference_count = 0;
    inner->referenced_bytes = 0;
}

tn_status tn_wire_check(const tn_wire *wire)
{
    TN_CHECK(!wire->failed, TN_OUT_OF_MEMORY, "no memory to write a model");
    return tn_writer_check(&wire->buffer);
}

tn_status tn_wire_save(const tn_wire *wire, tn_file_write *file)
{
    size_t done = 0;
    TN_TRY(tn_wire_check(wire));
    for (size_t i = 0; i < wire->reference_count; i++) {
        const tn_wire_reference *r = &wire->reference[i];
        if (r->at > done) TN_TRY(tn_file_write_bytes(file, wire->buffer.at + done, r->at - done));
        TN_TRY(tn_file_write_bytes(file, r->data, r->bytes));
        done = r->at;
    }
    if (done == wire->buffer.count) return NULL;
    return tn_file_write_bytes(file, wire->buffer.at + done, wire->buffer.count - done);
}

void tn_wire_fini(tn_wire *wire)
{
    tn_writer_fini(&wire->buffer);
    tn_free(wire->reference, wire->reference_capacity * sizeof(*wire->reference));
    *wire = (tn_wire){0};
}
