/* Decoding: which format it is, and what is left to do when its reader is through: turn the picture
 * as the camera was held, and give the colours asked for. */
#include <string.h>

#include "image/reader.h"

tn_status tn_image_check_size(const tn_image_source *s, int64_t height, int64_t width)
{
    TN_CHECK(height > 0 && width > 0, TN_CORRUPT, "%s: a picture of %lld x %lld pixels", s->what,
             (long long)width, (long long)height);
    TN_CHECK(height <= s->max_pixels / width, TN_INVALID,
             "%s: a picture of %lld x %lld pixels; the limit is %lld pixels", s->what,
             (long long)width, (long long)height, (long long)s->max_pixels);
    return NULL;
}

tn_status tn_picture_new(const tn_image_source *s, tn_dtype dtype, int64_t height, int64_t width,
                         int channels, tn_picture *out)
{
    TN_TRY(tn_image_check_size(s, height, width));
    out->orientation = 1;
    TN_TRY_NOTE(tn_tensor_new(dtype, (int64_t[]){height, width, channels}, 3, &out->pixels),
                "for the pixels of %s", s->what);
    return NULL;
}

/* ---- EXIF
 * ---------------------------------------------------------------------------------------*/

typedef struct exif {
    const uint8_t *at;
    size_t bytes;
    bool big_endian;
} exif;

/* 2 or 4 bytes at `offset`; 0 beyond the end, which no field of interest holds. */
static uint32_t exif_number(const exif *e, size_t offset, int bytes)
{
    uint32_t value = 0;
    if (offset > e->bytes || e->bytes - offset < (size_t)bytes) return 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint32_t)e->at[offset + i] << 8 * (e->big_endian ? bytes - 1 - i : i);
    return value;
}

int tn_exif_orientation(const uint8_t *at, size_t bytes)
{
    enum { ENTRY_BYTES = 12, ORIENTATION = 0x0112, SHORT = 3 };
    exif e = {at, bytes, bytes >= 2 && at[0] == 'M'};
    if (bytes < 8 || (memcmp(at, "MM", 2) != 0 && memcmp(at, "II", 2) != 0)) return 1;
    if (exif_number(&e, 2, 2) != 42) return 1;
    size_t folder = exif_number(&e, 4, 4);
    uint32_t count = exif_number(&e, folder, 2);
    for (uint32_t i = 0; i < count; i++) {
        size_t entry = folder + 2 + (size_t)i * ENTRY_BYTES;
        if (exif_number(&e, entry, 2) != ORIENTATION || exif_number(&e, entry + 2, 2) != SHORT)
            continue;
        uint32_t value = exif_number(&e, entry + 8, 2);
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

/* ---- Turning and colours
 * -----------------------------------------------------------------------------*/

/* Where output pixels come from: pixel (y, x) is start + y * down + x * right of the source. The
 * eight orientations are the eight ways to lay a rectangle on its axes. */
typedef struct layout {
    int64_t height, width, start, down, right;
} layout;

static layout layout_of(int orientation, int64_t h, int64_t w)
{
    int64_t last_row = (h - 1) * w;
    switch (orientation) {
    case 2: return (layout){h, w, w - 1, w, -1};
    case 3: return (layout){h, w, last_row + w - 1, -w, -1};
    case 4: return (layout){h, w, last_row, -w, 1};
    case 5: return (layout){w, h, 0, 1, w};
    case 6: return (layout){w, h, last_row, 1, -w};
    case 7: return (layout){w, h, last_row + w - 1, -1, -w};
    case 8: return (layout){w, h, w - 1, -1, w};
    default: return (layout){h, w, 0, w, 1};
    }
}

/* One pixel, whatever the width of its values. */
#define CONVERT(type)                                                                              \
    static void convert_##type(const type *from, int channels, tn_image_colour colour, type *to)   \
    {                                                                                              \
        if (colour == TN_IMAGE_GREY) {                                                             \
            uint64_t sum = channels == 1 ? from[0] * UINT64_C(65536)                               \
                                         : from[0] * UINT64_C(19595) + from[1] * UINT64_C(38470) + \
                                               from[2] * UINT64_C(7471) + 0x8000;                  \
            to[0] = (type)(sum >> 16);                                                             \
            return;                                                                                \
        }                                                                                          \
        for (int c = 0; c < 3; c++)                                                                \
            to[c] = channels == 1 ? from[0] : from[colour == TN_IMAGE_BGR ? 2 - c : c];            \
    }
CONVERT(uint8_t)
CONVERT(uint16_t)

static void arrange(const tn_tensor *from, const layout *l, tn_image_colour colour, tn_tensor *to)
{
    int channels = (int)from->dim[2], made = (int)to->dim[2];
    for (int64_t y = 0; y < l->height; y++) {
        for (int64_t x = 0; x < l->width; x++) {
            int64_t source = (l->start + y * l->down + x * l->right) * channels;
            int64_t target = (y * l->width + x) * made;
            if (from->dtype == TN_DTYPE_U8)
                convert_uint8_t((const uint8_t *)from->data + source, channels, colour,
                                (uint8_t *)to->data + target);
            else
                convert_uint16_t((const uint16_t *)from->data + source, channels, colour,
                                 (uint16_t *)to->data + target);
        }
    }
}

/* Takes the picture's pixels. */
static tn_status finish(tn_picture *picture, const tn_image_options *options, tn_tensor *out)
{
    tn_tensor *p = &picture->pixels;
    int channels = options->colour == TN_IMAGE_GREY ? 1 : 3;
    int orientation = options->as_stored ? 1 : picture->orientation;
    if (orientation == 1 && p->dim[2] == channels && options->colour != TN_IMAGE_BGR) {
        *out = *p;
        return NULL;
    }
    layout l = layout_of(orientation, p->dim[0], p->dim[1]);
    tn_status status = tn_tensor_new(p->dtype, (int64_t[]){l.height, l.width, channels}, 3, out);
    if (!status) arrange(p, &l, options->colour, out);
    tn_tensor_free(p);
    return status;
}

/* ---- Formats
 * ------------------------------------------------------------------------------------------*/

typedef struct format {
    const char *name, *magic;
    size_t magic_bytes, offset;
    tn_status (*decode)(const tn_image_source *source, tn_picture *out); /* NULL: not read */
} format;

static const format formats[] = {
    {"JPEG", "\xFF\xD8\xFF", 3, 0, tn_jpeg_decode},
    {"PNG", "\x89PNG\r\n\x1A\n", 8, 0, tn_png_decode},
    {"BMP", "BM", 2, 0, tn_bmp_decode},
    {"PNM", "P5", 2, 0, tn_pnm_decode},
    {"PNM", "P6", 2, 0, tn_pnm_decode},
    {"TIFF", "II*\0", 4, 0, NULL},
    {"TIFF", "MM\0*", 4, 0, NULL},
    {"WebP", "WEBP", 4, 8, NULL},
    {"JPEG 2000", "\0\0\0\x0CjP  ", 8, 0, NULL},
    {"JPEG 2000", "\xFF\x4F\xFF\x51", 4, 0, NULL},
    {"GIF", "GIF8", 4, 0, NULL},
    {"AVIF or HEIF", "ftyp", 4, 4, NULL},
};

static const format *find_format(const uint8_t *at, size_t bytes)
{
    for (size_t i = 0; i < TN_COUNT(formats); i++) {
        const format *f = &formats[i];
        if (bytes >= f->offset + f->magic_bytes &&
            memcmp(at + f->offset, f->magic, f->magic_bytes) == 0)
            return f;
    }
    return NULL;
}

tn_status tn_image_decode(const void *bytes, size_t byte_count, const char *what,
                          const tn_image_options *options, tn_tensor *out)
{
    static const tn_image_options plain = {.size = sizeof(plain)};
    if (!options) options = &plain;
    tn_image_source source = {bytes, byte_count, what, options->max_pixels, options->wide};
    if (source.max_pixels <= 0) source.max_pixels = TN_IMAGE_PIXELS_MAX;
    *out = (tn_tensor){0};
    TN_CHECK(byte_count, TN_CORRUPT, "%s is empty: not a picture", what);
    const format *f = find_format(bytes, byte_count);
    TN_CHECK(f, TN_CORRUPT,
             "%s is not a picture that is known: it begins neither as JPEG nor as PNG, "
             "BMP or PNM",
             what);
    TN_CHECK(f->decode, TN_UNSUPPORTED,
             "%s is a picture in the format %s, which is not read; convert it to PNG or JPEG", what,
             f->name);
    tn_picture picture = {.orientation = 1};
    TN_TRY(f->decode(&source, &picture));
    TN_TRY_NOTE(finish(&picture, options, out), "for the pixels of %s", what);
    return NULL;
}
