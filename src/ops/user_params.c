/* All attributes of a node as one block without pointers, which plans and engine files carry.
 *
 *     header | one row for each attribute, by name | names, numbers, texts, tensors
 *
 * Offsets are from the block's begin; data lies at multiples of 8. A TEXT is a list of one, an INT
 * and a FLOAT too. The texts of a list are pairs (offset, bytes), each text ended by a zero. */
#include <string.h>

#include "base/bytes.h"
#include "ops/user_op.h"
#include "tensor/dtype.h"

typedef struct header {
    uint32_t bytes, count; /* of the block, of the rows */
} header;

typedef struct row {
    uint32_t name; /* offset */
    uint32_t kind; /* tn_attr_kind */
    uint32_t dtype, rank;
    int64_t count; /* elements */
    uint64_t data, data_bytes;
    int64_t dim[TN_RANK_MAX];
} row;

typedef struct piece {
    uint64_t offset, bytes;
} piece;

enum { ATTRS_MAX = 1 << 12 };

/* ---- Packing ---------------------------------------------------------------------------------*/

static bool is_text(tn_attr_kind kind)
{
    return kind == TN_ATTR_TEXT || kind == TN_ATTR_TEXTS;
}

static void put(tn_writer *out, const void *data, size_t bytes, row *r)
{
    tn_write_align(out, 8);
    r->data = out->count;
    r->data_bytes = bytes;
    if (bytes) tn_write_bytes(out, data, bytes);
}

/* The pairs come first, with the offsets that the texts behind them will have. */
static void put_texts(tn_writer *out, const tn_string *text, int64_t count, row *r)
{
    tn_write_align(out, 8);
    r->data = out->count;
    r->data_bytes = (uint64_t)count * sizeof(piece);
    uint64_t at = r->data + r->data_bytes;
    for (int64_t i = 0; i < count; i++) {
        piece p = {at, text[i].bytes};
        tn_write_bytes(out, &p, sizeof(p));
        at += text[i].bytes + 1;
    }
    for (int64_t i = 0; i < count; i++) {
        if (text[i].bytes) tn_write_bytes(out, text[i].text, text[i].bytes);
        tn_write_u8(out, 0);
    }
}

static tn_status put_attr(tn_writer *out, const tn_attr *attr, row *r)
{
    float single = (float)attr->f;
    r->kind = (uint32_t)attr->kind;
    r->count = 1;
    switch (attr->kind) {
    case TN_ATTR_INT: put(out, &attr->i, sizeof(attr->i), r); return NULL;
    case TN_ATTR_FLOAT: put(out, &single, sizeof(single), r); return NULL;
    case TN_ATTR_TEXT: put_texts(out, &attr->text, 1, r); return NULL;
    case TN_ATTR_INTS: put(out, attr->ints, (size_t)attr->count * sizeof(*attr->ints), r); break;
    case TN_ATTR_FLOATS:
        put(out, attr->floats, (size_t)attr->count * sizeof(*attr->floats), r);
        break;
    case TN_ATTR_TEXTS: put_texts(out, attr->texts, attr->count, r); break;
    case TN_ATTR_TENSOR:
        TN_CHECK(attr->tensor.dtype != TN_DTYPE_STRING, TN_UNSUPPORTED,
                 "attribute '%s' is a tensor of strings: operators that are registered can have "
                 "lists of texts instead",
                 attr->name);
        r->dtype = (uint32_t)attr->tensor.dtype;
        r->rank = (uint32_t)attr->tensor.rank;
        for (int axis = 0; axis < attr->tensor.rank; axis++) r->dim[axis] = attr->tensor.dim[axis];
        put(out, attr->tensor.data, (size_t)tn_tensor_bytes(&attr->tensor), r);
        r->count = tn_tensor_count(&attr->tensor);
        return NULL;
    default:
        TN_FAIL(TN_UNSUPPORTED,
                "attribute '%s' is of a kind that operators that are registered "
                "cannot have",
                attr->name);
    }
    r->count = attr->count;
    return NULL;
}

/* By name, so that the order in the file makes no difference. */
static const tn_attr *next_attr(const tn_node *node, const char *after)
{
    const tn_attr *least = NULL;
    for (int i = 0; i < node->attr_count; i++) {
        const tn_attr *attr = &node->attr[i];
        if (after && strcmp(attr->name, after) <= 0) continue;
        if (!least || strcmp(attr->name, least->name) < 0) least = attr;
    }
    return least;
}

static tn_status pack(const tn_node *node, tn_writer *out)
{
    header h = {.count = (uint32_t)node->attr_count};
    size_t rows = sizeof(header) + sizeof(row) * h.count;
    const char *name = NULL;
    for (size_t i = 0; i < rows; i++) tn_write_u8(out, 0);
    for (uint32_t i = 0; i < h.count; i++) {
        row r = {0};
        const tn_attr *attr = next_attr(node, name);
        TN_CHECK(attr, TN_INVALID, "two attributes are called '%s'", name);
        name = attr->name;
        TN_TRY(put_attr(out, attr, &r));
        r.name = (uint32_t)out->count;
        tn_write_bytes(out, name, strlen(name) + 1);
        TN_TRY(tn_writer_check(out));
        TN_CHECK(out->count < UINT32_MAX / 2, TN_UNSUPPORTED, "its attributes take more than %u MB",
                 UINT32_MAX / 2 >> 20);
        memcpy(out->at + sizeof(header) + sizeof(row) * i, &r, sizeof(r));
    }
    tn_write_align(out, 8);
    TN_TRY(tn_writer_check(out));
    h.bytes = (uint32_t)out->count;
    memcpy(out->at, &h, sizeof(h));
    return NULL;
}

tn_status tn_user_params_pack(const tn_node *node, tn_arena *arena, void **params, uint32_t *bytes)
{
    tn_writer out = {0};
    TN_CHECK(node->attr_count <= ATTRS_MAX, TN_UNSUPPORTED, "it has %d attributes; at most %d",
             node->attr_count, ATTRS_MAX);
    tn_status status = pack(node, &out);
    if (!status) {
        *bytes = (uint32_t)out.count;
        *params = tn_arena_alloc(arena, out.count);
        if (*params) memcpy(*params, out.at, out.count);
        else status = TN_ERROR(TN_OUT_OF_MEMORY, "no memory for parameters");
    }
    tn_writer_fini(&out);
    return status;
}

/* ---- Reading ---------------------------------------------------------------------------------*/

static row row_of(const void *params, uint32_t index)
{
    row r;
    memcpy(&r, (const uint8_t *)params + sizeof(header) + sizeof(row) * index, sizeof(r));
    return r;
}

/* `count` items of `size` bytes at an offset. */
static bool is_inside(uint32_t bytes, uint64_t offset, int64_t count, size_t size)
{
    return offset <= bytes && offset % 8 == 0 && count >= 0 &&
           (uint64_t)count <= (bytes - offset) / size;
}

static bool texts_fit(const uint8_t *at, uint32_t bytes, const row *r)
{
    if (!is_inside(bytes, r->data, r->count, sizeof(piece))) return false;
    for (int64_t i = 0; i < r->count; i++) {
        piece p;
        memcpy(&p, at + r->data + sizeof(p) * (size_t)i, sizeof(p));
        if (p.offset >= bytes || p.bytes >= bytes - p.offset || at[p.offset + p.bytes])
            return false;
    }
    return true;
}

static bool tensor_fits(uint32_t bytes, const row *r)
{
    tn_tensor t = {.dtype = (tn_dtype)r->dtype, .rank = (int32_t)r->rank};
    if (r->dtype >= TN_DTYPE_END || !tn_dtype_valid((int)r->dtype) || r->rank > TN_RANK_MAX ||
        t.dtype == TN_DTYPE_STRING)
        return false;
    for (uint32_t axis = 0; axis < r->rank; axis++) {
        if (r->dim[axis] < 0) return false;
        t.dim[axis] = r->dim[axis];
    }
    return tn_tensor_bytes(&t) >= 0 && r->count == tn_tensor_count(&t) &&
           is_inside(bytes, r->data, tn_tensor_bytes(&t), 1);
}

static bool row_fits(const uint8_t *at, uint32_t bytes, const row *r)
{
    bool single = r->kind == TN_ATTR_INT || r->kind == TN_ATTR_FLOAT || r->kind == TN_ATTR_TEXT;
    if (r->name >= bytes || !memchr(at + r->name, 0, bytes - r->name)) return false;
    if (single && r->count != 1) return false;
    switch (r->kind) {
    case TN_ATTR_INT:
    case TN_ATTR_INTS: return is_inside(bytes, r->data, r->count, sizeof(int64_t));
    case TN_ATTR_FLOAT:
    case TN_ATTR_FLOATS: return is_inside(bytes, r->data, r->count, sizeof(float));
    case TN_ATTR_TEXT:
    case TN_ATTR_TEXTS: return texts_fit(at, bytes, r);
    case TN_ATTR_TENSOR: return tensor_fits(bytes, r);
    default: return false;
    }
}

bool tn_user_params_fit(const void *params, uint32_t bytes)
{
    header h;
    if (bytes < sizeof(h)) return false;
    memcpy(&h, params, sizeof(h));
    if (h.bytes != bytes || h.count > (bytes - sizeof(h)) / sizeof(row)) return false;
    for (uint32_t i = 0; i < h.count; i++) {
        row r = row_of(params, i);
        if (!row_fits(params, bytes, &r)) return false;
    }
    return true;
}

bool tn_user_params_find(const void *params, const char *name, tn_user_attr *out)
{
    const uint8_t *at = params;
    header h;
    memcpy(&h, at, sizeof(h));
    for (uint32_t i = 0; i < h.count; i++) {
        row r = row_of(params, i);
        if (strcmp((const char *)at + r.name, name) != 0) continue;
        *out = (tn_user_attr){.kind = (tn_attr_kind)r.kind,
                              .count = r.count,
                              .data = at + r.data,
                              .texts = is_text((tn_attr_kind)r.kind) ? at : NULL};
        if (out->kind == TN_ATTR_TENSOR)
            out->tensor =
                tn_tensor_of((tn_dtype)r.dtype, r.dim, (int)r.rank, (void *)(uintptr_t)out->data);
        return true;
    }
    return false;
}

tn_string tn_user_params_text(const tn_user_attr *attr, int64_t index)
{
    piece p;
    memcpy(&p, (const uint8_t *)attr->data + sizeof(p) * (size_t)index, sizeof(p));
    return (tn_string){(const char *)attr->texts + p.offset, (size_t)p.bytes};
}
