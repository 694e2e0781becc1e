/* The formats that are little more than pixels: BMP without compression, and binary PNM. */
#include <string.h>

#include "image/reader.h"

/* ---- BMP
 * ----------------------------------------------------------------------------------------*/

typedef struct bmp {
    uint32_t pixels_at, head_bytes, palette_count;
    int64_t width, height;
    bool top_down;
    int bits;
    const uint8_t *palette; /* B, G, R, 0 */
} bmp;

static tn_status read_bmp_head(const tn_image_source *s, bmp *b)
{
    tn_reader reader = tn_reader_of(s->at, s->bytes, s->what);
    const void *skipped;
    uint32_t width, height, planes_bits, packing, colours;
    TN_TRY(tn_read_bytes(&reader, 10, "file head", &skipped));
    TN_TRY(tn_read_u32(&reader, "offset of the pixels", &b->pixels_at));
    TN_TRY(tn_read_u32(&reader, "size of the head", &b->head_bytes));
    TN_CHECK(b->head_bytes >= 40, TN_UNSUPPORTED,
             "%s is a BMP of the old kind with a head of %u bytes; convert it to PNG", s->what,
             b->head_bytes);
    TN_TRY(tn_read_u32(&reader, "width", &width));
    TN_TRY(tn_read_u32(&reader, "height", &height));
    TN_TRY(tn_read_u32(&reader, "bits", &planes_bits));
    TN_TRY(tn_read_u32(&reader, "compression", &packing));
    TN_TRY(tn_read_bytes(&reader, 12, "resolution", &skipped));
    TN_TRY(tn_read_u32(&reader, "colours", &colours));
    b->bits = (int)(planes_bits >> 16);
    b->width = (int32_t)width;
    b->height = (int32_t)height;
    b->top_down = b->height < 0;
    if (b->top_down) b->height = -b->height;
    TN_CHECK(packing == 0 && (b->bits == 8 || b->bits == 24 || b->bits == 32), TN_UNSUPPORTED,
             "%s is a BMP of %d bits with compression %u; read are 8, 24 and 32 bits without. "
             "Convert it to PNG",
             s->what, b->bits, packing);
    TN_TRY(tn_image_check_size(s, b->height, b->width));
    if (b->bits != 8) return NULL;
    b->palette_count = colours && colours < 256 ? colours : 256;
    size_t palette_at = 14 + (size_t)b->head_bytes, palette_bytes = (size_t)b->palette_count * 4;
    TN_CHECK(palette_at + palette_bytes <= s->bytes, TN_CORRUPT,
             "%s: the palette of the BMP goes beyond the end of the file", s->what);
    b->palette = s->at + palette_at;
    return NULL;
}

static tn_status fill_bmp_row(const tn_image_source *s, const bmp *b, const uint8_t *from,
                              uint8_t *to)
{
    for (int64_t x = 0; x < b->width; x++, from += b->bits / 8, to += 3) {
        const uint8_t *bgr = from;
        if (b->palette) {
            TN_CHECK(*from < b->palette_count, TN_CORRUPT,
                     "%s: colour %d of a palette of %u, at byte %zu", s->what, *from,
                     b->palette_count, (size_t)(from - s->at));
            bgr = b->palette + *from * 4;
        }
        for (int c = 0; c < 3; c++) to[c] = bgr[2 - c];
    }
    return NULL;
}

static tn_status fill_bmp(const tn_image_source *s, const bmp *b, size_t stride, tn_picture *out)
{
    for (int64_t y = 0; y < b->height; y++) {
        int64_t row = b->top_down ? y : b->height - 1 - y;
        const uint8_t *from = s->at + b->pixels_at + (size_t)row * stride;
        uint8_t *to = (uint8_t *)out->pixels.data + y * b->width * 3;
        TN_TRY(fill_bmp_row(s, b, from, to));
    }
    return NULL;
}

tn_status tn_bmp_decode(const tn_image_source *s, tn_picture *out)
{
    bmp b = {0};
    TN_TRY(read_bmp_head(s, &b));
    size_t stride = tn_align_up((size_t)b.width * (size_t)(b.bits / 8), 4);
    size_t wanted = stride * (size_t)b.height;
    TN_CHECK(b.pixels_at <= s->bytes && wanted <= s->bytes - b.pixels_at, TN_CORRUPT,
             "%s: the BMP's %lld x %lld pixels take %zu bytes from byte %u on; the file has %zu",
             s->what, (long long)b.width, (long long)b.height, wanted, b.pixels_at, s->bytes);
    TN_TRY(tn_picture_new(s, TN_DTYPE_U8, b.height, b.width, 3, out));
    tn_status status = fill_bmp(s, &b, stride, out);
    if (status) tn_tensor_free(&out->pixels);
    return status;
}

/* ---- PNM
 * ----------------------------------------------------------------------------------------*/

/* Numbers of the head stand between white space and comments (# to the end of the line). */
static tn_status read_pnm_number(const tn_image_source *s, size_t *at, const char *field,
                                 int64_t *out)
{
    int64_t value = 0;
    int digits = 0;
    for (bool comment = false; *at < s->bytes; ++*at) {
        char c = (char)s->at[*at];
        if (c == '#') comment = true;
        if (comment && c != '\n') continue;
        comment = false;
        if (c != ' ' && (c < '\t' || c > '\r')) break;
    }
    for (; *at < s->bytes && s->at[*at] >= '0' && s->at[*at] <= '9' && digits < 10; ++*at, digits++)
        value = value * 10 + (s->at[*at] - '0');
    TN_CHECK(digits, TN_CORRUPT, "%s: the PNM's %s is not a number, at byte %zu", s->what, field,
             *at);
    *out = value;
    return NULL;
}

/* A value of up to `most` in the range of the output, rounded; of 16 bits the upper 8 if so. */
static uint16_t pnm_value(const tn_image_source *s, const uint8_t *at, int64_t most)
{
    int64_t value = most > 255 ? at[0] << 8 | at[1] : at[0];
    value = TN_MIN(value, most);
    if (most > 255) value = (value * 65535 + most / 2) / most;
    else return (uint16_t)((value * 255 + most / 2) / most);
    return (uint16_t)(s->wide ? value : value >> 8);
}

tn_status tn_pnm_decode(const tn_image_source *s, tn_picture *out)
{
    int64_t width, height, most;
    size_t at = 2;
    TN_TRY(read_pnm_number(s, &at, "width", &width));
    TN_TRY(read_pnm_number(s, &at, "height", &height));
    TN_TRY(read_pnm_number(s, &at, "greatest value", &most));
    TN_CHECK(most >= 1 && most <= 65535, TN_CORRUPT, "%s: the PNM's greatest value is %lld",
             s->what, (long long)most);
    TN_TRY(tn_image_check_size(s, height, width));
    int channels = s->at[1] == '6' ? 3 : 1, value_bytes = most > 255 ? 2 : 1;
    int64_t count = height * width * channels;
    at++; /* one white space */
    TN_CHECK(at <= s->bytes && count * value_bytes <= (int64_t)(s->bytes - at), TN_CORRUPT,
             "%s: the PNM's %lld x %lld pixels take %lld bytes from byte %zu on; the file has %zu",
             s->what, (long long)width, (long long)height, (long long)(count * value_bytes), at,
             s->bytes);
    bool wide = s->wide && most > 255;
    TN_TRY(tn_picture_new(s, wide ? TN_DTYPE_U16 : TN_DTYPE_U8, height, width, channels, out));
    for (int64_t i = 0; i < count; i++) {
        uint16_t value = pnm_value(s, s->at + at + (size_t)(i * value_bytes), most);
        if (wide) ((uint16_t *)out->pixels.data)[i] = value;
        else ((uint8_t *)out->pixels.data)[i] = (uint8_t)value;
    }
    return NULL;
}
