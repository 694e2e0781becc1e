/* NumPy's .npy format:
 *
 *     "\x93NUMPY"  major  minor  header length (u16 in 1.0, u32 since 2.0)
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   spaces   "\n"
 *     the elements
 *
 * The header is a Python literal; only what NumPy itself writes for plain arrays is understood. */
#include "tensor/npy.h"

#include <stdio.h>
#include <string.h>

static const uint8_t magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

static const struct {
    char letter;
    int bytes;
    tn_dtype dtype;
} formats[] = {
    {'f', 2, TN_DTYPE_F16}, {'f', 4, TN_DTYPE_F32},   {'f', 8, TN_DTYPE_F64},
    {'i', 1, TN_DTYPE_I8},  {'i', 2, TN_DTYPE_I16},   {'i', 4, TN_DTYPE_I32},
    {'i', 8, TN_DTYPE_I64}, {'u', 1, TN_DTYPE_U8},    {'u', 2, TN_DTYPE_U16},
    {'u', 4, TN_DTYPE_U32}, {'u', 8, TN_DTYPE_U64},   {'b', 1, TN_DTYPE_BOOL},
    {'c', 8, TN_DTYPE_C64}, {'c', 16, TN_DTYPE_C128},
};

bool tn_npy_is(const void *bytes, size_t byte_count)
{
    return byte_count >= sizeof magic && !memcmp(bytes, magic, sizeof magic);
}

/* ---- The header -----------------------------------------------------------------------------*/

typedef struct header {
    const char *at, *end; /* not zero-ended */
    tn_dtype dtype;
    bool big_endian, fortran_order;
    int rank;
    int64_t dim[TN_RANK_MAX];
    unsigned seen; /* bits of the three keys */
} header;

static void skip_spaces(header *h)
{
    while (h->at < h->end && (*h->at == ' ' || *h->at == '\n' || *h->at == '\t')) h->at++;
}

static bool take(header *h, char c)
{
    skip_spaces(h);
    if (h->at == h->end || *h->at != c) return false;
    h->at++;
    return true;
}

static bool take_word(header *h, const char *word)
{
    size_t bytes = strlen(word);
    skip_spaces(h);
    if ((size_t)(h->end - h->at) < bytes || memcmp(h->at, word, bytes)) return false;
    h->at += bytes;
    return true;
}

static bool read_int(header *h, int64_t *out)
{
    const char *begin;
    skip_spaces(h);
    *out = 0;
    for (begin = h->at; h->at < h->end && *h->at >= '0' && *h->at <= '9'; h->at++)
        if (!tn_mul_i64(*out, 10, out) || __builtin_add_overflow(*out, *h->at - '0', out))
            return false;
    if (h->at < h->end && *h->at == 'L' && h->at > begin) h->at++; /* as Python 2 wrote it */
    return h->at > begin;
}

static tn_status read_format(header *h)
{
    char quote = take(h, '\'') ? '\'' : '"';
    TN_CHECK(quote == '\'' || take(h, '"'), TN_UNSUPPORTED,
             ".npy: only arrays of plain numbers can be read (this one has structured elements)");
    const char *begin = h->at;
    while (h->at < h->end && *h->at != quote) h->at++;
    size_t bytes = (size_t)(h->at - begin);
    bool usual = h->at < h->end && bytes >= 3 && bytes <= 4 && memchr("<>|=", begin[0], 4);
    for (size_t i = 0; i < TN_COUNT(formats) && usual; i++) {
        char name[8];
        int name_bytes = snprintf(name, sizeof name, "%c%d", formats[i].letter, formats[i].bytes);
        if ((size_t)name_bytes == bytes - 1 && !memcmp(name, begin + 1, bytes - 1))
            h->dtype = formats[i].dtype;
    }
    TN_CHECK(h->dtype, TN_UNSUPPORTED,
             ".npy: elements of type '%.*s' cannot be read; numbers and "
             "bools can: save the array with .astype()",
             (int)TN_MIN(bytes, 32), begin);
    h->big_endian = begin[0] == '>';
    h->at++;
    return NULL;
}

static tn_status read_shape(header *h)
{
    TN_CHECK(take(h, '('), TN_CORRUPT, ".npy: the shape is not a tuple");
    while (!take(h, ')')) {
        TN_CHECK(h->rank < TN_RANK_MAX, TN_UNSUPPORTED, ".npy: more than %d dims", TN_RANK_MAX);
        TN_CHECK(read_int(h, &h->dim[h->rank]), TN_CORRUPT, ".npy: dim %d is not a number",
                 h->rank);
        h->rank++;
        if (take(h, ',')) continue;
        TN_CHECK(take(h, ')'), TN_CORRUPT, ".npy: the shape has no end");
        break;
    }
    return NULL;
}

static tn_status read_header(header *h)
{
    static const char *const key[] = {"descr", "fortran_order", "shape"};
    TN_CHECK(take(h, '{'), TN_CORRUPT, ".npy: the header is not a dict");
    while (!take(h, '}')) {
        unsigned k = 0;
        bool quoted = take(h, '\'') || take(h, '"');
        while (k < TN_COUNT(key) && !take_word(h, key[k])) k++;
        TN_CHECK(quoted && k < TN_COUNT(key) && (take(h, '\'') || take(h, '"')) && take(h, ':'),
                 TN_CORRUPT, ".npy: the header has an unknown key");
        TN_CHECK(!(h->seen >> k & 1), TN_CORRUPT, ".npy: the header has '%s' twice", key[k]);
        h->seen |= 1u << k;
        if (k == 0) TN_TRY(read_format(h));
        if (k == 1) {
            h->fortran_order = take_word(h, "True");
            TN_CHECK(h->fortran_order || take_word(h, "False"), TN_CORRUPT,
                     ".npy: fortran_order is neither True nor False");
        }
        if (k == 2) TN_TRY(read_shape(h));
        if (take(h, ',')) continue;
        TN_CHECK(take(h, '}'), TN_CORRUPT, ".npy: the header has no end");
        break;
    }
    skip_spaces(h);
    TN_CHECK(h->at == h->end && h->seen == 7, TN_CORRUPT, ".npy: the header is not complete");
    return NULL;
}

/* ---- Decoding -------------------------------------------------------------------------------*/

/* Reverse the bytes of every number; a complex one has two. */
static void swap_bytes(tn_tensor *t)
{
    size_t bits = (size_t)tn_dtype_bits(t->dtype), total = (size_t)tn_tensor_bytes(t);
    size_t size = (tn_dtype_kind_of(t->dtype) == TN_KIND_C ? bits / 2 : bits) / 8;
    for (uint8_t *at = t->data, *end = at + total; at < end; at += size) {
        for (size_t i = 0; i < size / 2; i++) {
            uint8_t byte = at[i];
            at[i] = at[size - 1 - i];
            at[size - 1 - i] = byte;
        }
    }
}

static tn_status copy_elements(const header *h, const void *bytes, tn_tensor *out)
{
    tn_tensor src = *out;
    int64_t stride = 1;
    src.data = (void *)(uintptr_t)bytes; /* only read */
    bool turned = h->fortran_order && tn_tensor_count(out) > 0;
    for (int axis = 0; axis < h->rank && turned; axis++) {
        src.stride[axis] = stride;
        stride *= h->dim[axis];
    }
    TN_TRY(tn_tensor_copy(&src, out));
    if (h->big_endian) swap_bytes(out);
    for (int64_t i = 0; h->dtype == TN_DTYPE_BOOL && i < tn_tensor_count(out); i++)
        tn_store_i64(TN_DTYPE_BOOL, out->data, i, tn_load_i64(TN_DTYPE_BOOL, out->data, i));
    return NULL;
}

tn_status tn_npy_decode(const void *bytes, size_t byte_count, tn_tensor *out)
{
    tn_reader reader = tn_reader_of(bytes, byte_count, ".npy");
    const void *start, *text, *data;
    uint8_t major, minor, low, high;
    uint32_t length;
    memset(out, 0, sizeof *out);
    TN_TRY(tn_read_bytes(&reader, sizeof magic, "magic", &start));
    TN_CHECK(tn_npy_is(start, sizeof magic), TN_CORRUPT, "not a .npy file");
    TN_TRY(tn_read_u8(&reader, "version", &major));
    TN_TRY(tn_read_u8(&reader, "version", &minor));
    TN_CHECK(major >= 1 && major <= 3 && minor == 0, TN_UNSUPPORTED,
             ".npy: version %d.%d; 1.0, 2.0 and 3.0 can be read", major, minor);
    if (major == 1) {
        TN_TRY(tn_read_u8(&reader, "header length", &low));
        TN_TRY(tn_read_u8(&reader, "header length", &high));
        length = (uint32_t)high << 8 | low;
    } else {
        TN_TRY(tn_read_u32(&reader, "header length", &length));
    }
    TN_TRY(tn_read_bytes(&reader, length, "header", &text));
    header h = {.at = text, .end = (const char *)text + length};
    TN_TRY(read_header(&h));
    tn_tensor shape = tn_tensor_of(h.dtype, h.dim, h.rank, NULL);
    int64_t size = tn_tensor_bytes(&shape);
    TN_CHECK(size >= 0, TN_CORRUPT, ".npy: more elements than memory can address");
    TN_TRY(tn_read_bytes(&reader, (size_t)size, "elements", &data));
    TN_CHECK(reader.at == reader.end, TN_CORRUPT, ".npy: %zu bytes behind the elements",
             (size_t)(reader.end - reader.at));
    TN_TRY(tn_tensor_new(h.dtype, h.dim, h.rank, out));
    tn_status status = copy_elements(&h, data, out);
    if (status) tn_tensor_free(out);
    return status;
}

/* ---- Encoding -------------------------------------------------------------------------------*/

static tn_status write_elements(const tn_tensor *tensor, tn_writer *out)
{
    tn_tensor dense;
    TN_TRY(tn_tensor_new(tensor->dtype, tensor->dim, tensor->rank, &dense));
    tn_status status = tn_tensor_copy(tensor, &dense);
    if (!status) tn_write_bytes(out, dense.data, (size_t)tn_tensor_bytes(&dense));
    tn_tensor_free(&dense);
    return status;
}

tn_status tn_npy_encode(const tn_tensor *tensor, tn_writer *out)
{
    char text[64 + TN_RANK_MAX * 24];
    size_t i = 0;
    while (i < TN_COUNT(formats) && formats[i].dtype != tensor->dtype) i++;
    TN_CHECK(i < TN_COUNT(formats), TN_UNSUPPORTED,
             "NumPy has no type %s: save as .pb, or convert first", tn_dtype_name(tensor->dtype));
    int at = snprintf(text, sizeof text, "{'descr': '%c%c%d', 'fortran_order': False, 'shape': (",
                      formats[i].bytes == 1 ? '|' : '<', formats[i].letter, formats[i].bytes);
    for (int axis = 0; axis < tensor->rank; axis++)
        at += snprintf(text + at, sizeof text - (size_t)at, "%s%lld", axis ? ", " : "",
                       (long long)tensor->dim[axis]);
    at += snprintf(text + at, sizeof text - (size_t)at, "%s), }", tensor->rank == 1 ? "," : "");
    /* NumPy wants the elements to begin at a multiple of 64. */
    size_t total = tn_align_up(sizeof magic + 4 + (size_t)at + 1, 64);
    size_t length = total - sizeof magic - 4;
    tn_write_bytes(out, magic, sizeof magic);
    tn_write_u8(out, 1);
    tn_write_u8(out, 0);
    tn_write_u8(out, (uint8_t)(length & 0xff));
    tn_write_u8(out, (uint8_t)(length >> 8));
    tn_write_bytes(out, text, (size_t)at);
    for (size_t k = (size_t)at; k + 1 < length; k++) tn_write_u8(out, ' ');
    tn_write_u8(out, '\n');
    TN_TRY(write_elements(tensor, out));
    TN_TRY(tn_writer_check(out));
    return NULL;
}
