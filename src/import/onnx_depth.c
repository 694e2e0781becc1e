/* From bytes to messages, safely.
 *
 * protobuf-c recurses into nested messages and allocates as it goes, so a small file could overflow
 * the stack (10^6 nested graphs) or the memory (an empty node is two bytes on the wire and a
 * hundred times that when unpacked). The guard walks the bytes first, without recursion, led by the
 * same descriptors that unpacking uses: it checks every tag, length and wire type, limits nesting,
 * and adds up what unpacking will allocate. What it lets through, protobuf-c can unpack.
 */
#include <limits.h>
#include <string.h>

#include "import/onnx_import.h"

/* A graph inside a graph is three messages deeper (graph, node, attribute): this is 64 graphs. */
#define DEPTH_MAX 200

/* What unpacking may take: real files need up to 25 times their size when they are all nodes, and
 * little more than their size when they are all weights. */
#define EXPANSION_MAX 40
#define EXPANSION_FREE (UINT64_C(8) << 20)

/* Bookkeeping of protobuf-c for each field it meets, and of the arena for each piece. */
#define FIELD_COST 48
#define PIECE_COST 16

typedef struct frame {
    const ProtobufCMessageDescriptor *type;
    const uint8_t *end;
    uint64_t seen; /* singular messages met, by index of the field */
} frame;

typedef struct walker {
    const uint8_t *begin, *at;
    const char *what;
    uint64_t cost, cost_max;
    int depth;
    frame frame[DEPTH_MAX];
} walker;

/* The offset in the file, for messages. */
static size_t offset_of(const walker *w)
{
    return (size_t)(w->at - w->begin);
}

static tn_status read_varint(walker *w, int bytes_max, uint64_t *out)
{
    const frame *f = &w->frame[w->depth - 1];
    uint64_t value = 0;
    for (int i = 0; i < bytes_max; i++) {
        TN_CHECK(w->at < f->end, TN_CORRUPT, "%s is damaged: it ends inside a %s, at byte %zu",
                 w->what, f->type->short_name, offset_of(w));
        uint8_t byte = *w->at++;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80)) {
            *out = value;
            return NULL;
        }
    }
    TN_FAIL(TN_CORRUPT, "%s is damaged or no ONNX file: number without end in a %s, at byte %zu",
            w->what, f->type->short_name, offset_of(w));
}

static bool is_fixed32(ProtobufCType type)
{
    return type == PROTOBUF_C_TYPE_FLOAT || type == PROTOBUF_C_TYPE_FIXED32 ||
           type == PROTOBUF_C_TYPE_SFIXED32;
}

static bool is_fixed64(ProtobufCType type)
{
    return type == PROTOBUF_C_TYPE_DOUBLE || type == PROTOBUF_C_TYPE_FIXED64 ||
           type == PROTOBUF_C_TYPE_SFIXED64;
}

static bool is_counted(ProtobufCType type)
{
    return type == PROTOBUF_C_TYPE_STRING || type == PROTOBUF_C_TYPE_BYTES ||
           type == PROTOBUF_C_TYPE_MESSAGE;
}

/* The wire type a field must come in; packed lists may come length-prefixed too. */
static unsigned expected_wire(ProtobufCType type)
{
    if (is_counted(type)) return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    if (is_fixed32(type)) return PROTOBUF_C_WIRE_TYPE_32BIT;
    if (is_fixed64(type)) return PROTOBUF_C_WIRE_TYPE_64BIT;
    return PROTOBUF_C_WIRE_TYPE_VARINT;
}

/* Check a packed list of `count` bytes and move past it. */
static tn_status pass_packed(walker *w, const ProtobufCFieldDescriptor *field, size_t count)
{
    size_t fixed = is_fixed32(field->type)   ? 4
                   : is_fixed64(field->type) ? 8
                                             : 0,
           items = 0, run = 0;
    const uint8_t *end = w->at + count;
    if (fixed) {
        TN_CHECK(count % fixed == 0, TN_CORRUPT, "%s is damaged: %s has %zu bytes, at byte %zu",
                 w->what, field->name, count, offset_of(w));
        items = count / fixed;
        w->at = end;
    } else {
        for (; w->at < end; w->at++) {
            run++;
            TN_CHECK(run <= 10, TN_CORRUPT, "%s is damaged: number without end in %s, at byte %zu",
                     w->what, field->name, offset_of(w));
            if (!(*w->at & 0x80)) {
                items++;
                run = 0;
            }
        }
        TN_CHECK(run == 0, TN_CORRUPT, "%s is damaged: %s ends inside a number, at byte %zu",
                 w->what, field->name, offset_of(w));
    }
    w->cost += items * 8 + PIECE_COST;
    return NULL;
}

/* Enter a nested message: its bytes become the next frame. */
static tn_status enter(walker *w, const ProtobufCFieldDescriptor *field, size_t count)
{
    frame *f = &w->frame[w->depth - 1];
    const ProtobufCMessageDescriptor *type = field->descriptor;
    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        /* Legal protobuf that nobody writes; unpacking would merge the copies, over and over. */
        uint64_t bit = UINT64_C(1) << ((size_t)(field - f->type->fields) & 63);
        TN_CHECK(!(f->seen & bit), TN_CORRUPT, "%s is damaged: a %s has '%s' twice, at byte %zu",
                 w->what, f->type->short_name, field->name, offset_of(w));
        f->seen |= bit;
    }
    TN_CHECK(w->depth < DEPTH_MAX, TN_INVALID,
             "%s nests messages more than %d deep (about %d graphs), at byte %zu", w->what,
             DEPTH_MAX, DEPTH_MAX / 3, offset_of(w));
    w->cost += type->sizeof_message + PIECE_COST;
    w->frame[w->depth++] = (frame){type, w->at + count, 0};
    return NULL;
}

/* A length-prefixed field: text, bytes, a message or a packed list. */
static tn_status pass_counted(walker *w, const ProtobufCFieldDescriptor *field)
{
    const frame *f = &w->frame[w->depth - 1];
    const char *name = field ? field->name : "an unknown field";
    uint64_t count;
    TN_TRY(read_varint(w, 5, &count));
    TN_CHECK(
        count <= (uint64_t)(f->end - w->at), TN_CORRUPT,
        "%s is damaged or cut short: %s of a %s needs %llu bytes where %zu are left, at byte %zu",
        w->what, name, f->type->short_name, (unsigned long long)count, (size_t)(f->end - w->at),
        offset_of(w));
    TN_CHECK(count <= INT_MAX, TN_UNSUPPORTED,
             "%s: %s takes more than 2 GB; save the model with external data", w->what, name);
    if (!field) {
        w->cost += count + 2 * PIECE_COST;
    } else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        return enter(w, field, (size_t)count);
    } else if (is_counted(field->type)) {
        if (field->type == PROTOBUF_C_TYPE_STRING)
            TN_CHECK(!count || !memchr(w->at, 0, (size_t)count), TN_CORRUPT,
                     "%s is damaged: %s of a %s has a zero byte inside, at byte %zu", w->what, name,
                     f->type->short_name, offset_of(w));
        w->cost += count + 1 + PIECE_COST + sizeof(ProtobufCBinaryData);
    } else {
        return pass_packed(w, field, (size_t)count);
    }
    w->at += count;
    return NULL;
}

/* One field of the innermost message. */
static tn_status pass_field(walker *w)
{
    const frame *f = &w->frame[w->depth - 1];
    uint64_t tag, value;
    TN_TRY(read_varint(w, 5, &tag));
    unsigned wire = (unsigned)(tag & 7), id = (unsigned)(tag >> 3);
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(f->type, id);
    TN_CHECK(id != 0 && tag <= UINT32_MAX, TN_CORRUPT,
             "%s is damaged or no ONNX file: a %s has a field number 0, at byte %zu", w->what,
             f->type->short_name, offset_of(w));
    if (field) {
        bool packed = field->label == PROTOBUF_C_LABEL_REPEATED &&
                      wire == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
        TN_CHECK(wire == expected_wire(field->type) || packed, TN_CORRUPT,
                 "%s is damaged or no ONNX file: '%s' of a %s comes as wire type %u, at byte %zu",
                 w->what, field->name, f->type->short_name, wire, offset_of(w));
    }
    w->cost += FIELD_COST + 8;
    TN_CHECK(w->cost <= w->cost_max, TN_INVALID,
             "%s would take more than %d times its size in memory; it is made of empty or tiny "
             "fields and is refused",
             w->what, EXPANSION_MAX);
    switch (wire) {
    case PROTOBUF_C_WIRE_TYPE_VARINT: return read_varint(w, 10, &value);
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED: return pass_counted(w, field);
    case PROTOBUF_C_WIRE_TYPE_32BIT:
    case PROTOBUF_C_WIRE_TYPE_64BIT: {
        ptrdiff_t width = wire == PROTOBUF_C_WIRE_TYPE_32BIT ? 4 : 8;
        TN_CHECK(f->end - w->at >= width, TN_CORRUPT,
                 "%s is damaged: it ends inside a %s, at byte %zu", w->what, f->type->short_name,
                 offset_of(w));
        w->at += width;
        return NULL;
    }
    default:
        TN_FAIL(TN_CORRUPT, "%s is damaged or no ONNX file: wire type %u in a %s, at byte %zu",
                w->what, wire, f->type->short_name, offset_of(w));
    }
}

static tn_status check_wire(const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
                            size_t byte_count, const char *what)
{
    walker w;
    w.begin = w.at = bytes;
    w.what = what;
    w.cost = 0;
    if (__builtin_mul_overflow((uint64_t)byte_count, (uint64_t)EXPANSION_MAX, &w.cost_max) ||
        __builtin_add_overflow(w.cost_max, EXPANSION_FREE, &w.cost_max))
        w.cost_max = UINT64_MAX;
    w.depth = 1;
    w.frame[0] = (frame){type, bytes + byte_count, 0};
    while (w.depth > 0) {
        if (w.at == w.frame[w.depth - 1].end) w.depth--;
        else TN_TRY(pass_field(&w));
    }
    return NULL;
}

/* protobuf-c's allocator over an arena: nothing is freed singly. */
typedef struct arena_allocator {
    tn_arena *arena;
    bool failed;
} arena_allocator;

static void *allocate(void *self, size_t bytes)
{
    arena_allocator *allocator = self;
    void *p = tn_arena_alloc(allocator->arena, bytes);
    if (!p) allocator->failed = true;
    return p;
}

static void release(void *self, void *p)
{
    (void)self;
    (void)p;
}

tn_status tn_onnx_unpack(tn_arena *arena, const ProtobufCMessageDescriptor *type, const void *bytes,
                         size_t byte_count, const char *what, void **out)
{
    static const uint8_t nothing[1];
    arena_allocator state = {arena, false};
    ProtobufCAllocator allocator = {allocate, release, &state};
    if (!bytes) bytes = nothing, byte_count = 0;
    TN_TRY(check_wire(type, bytes, byte_count, what));
    *out = protobuf_c_message_unpack(type, &allocator, byte_count, bytes);
    TN_CHECK(!state.failed, TN_OUT_OF_MEMORY, "no memory to unpack %s (%zu bytes)", what,
             byte_count);
    TN_CHECK(*out, TN_CORRUPT, "%s is damaged or no ONNX file: it cannot be unpacked", what);
    return NULL;
}
