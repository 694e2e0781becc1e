/* PNG by libpng, of every kind, to 8 or 16 bits of grey or RGB.
 *
 * As with libjpeg, what can leave by longjmp is called only from the steps that run() guards.
 */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <png.h>

#include "image/reader.h"

/* Deflate makes at most this many bytes of one. */
enum { INFLATION_MAX = 1032 };

typedef struct reader {
    png_structp png;
    png_infop info;
    jmp_buf leave;
    const tn_image_source *source;
    size_t at;
    char text[256];
    bool through;        /* the step has come to its end */
    bool memory_is_gone; /* libpng does without some things then, which we do not */
    tn_picture *picture;
    uint32_t row; /* of the pass */
    int passes, pass;
} reader;

static _Noreturn void leave(png_structp png, const char *text)
{
    reader *r = png_get_error_ptr(png);
    snprintf(r->text, sizeof(r->text), "%s", text);
    longjmp(r->leave, 1);
}

static void ignore(png_structp png, const char *text)
{
    (void)png;
    (void)text;
}

static void *take_memory(png_structp png, png_alloc_size_t bytes)
{
    reader *r = png_get_mem_ptr(png);
    void *p = tn_alloc_sized(bytes);
    r->memory_is_gone |= !p;
    return p;
}

static void give_memory(png_structp png, void *p)
{
    (void)png;
    tn_free_sized(p);
}

static void read_bytes(png_structp png, uint8_t *to, size_t bytes)
{
    reader *r = png_get_io_ptr(png);
    if (r->source->bytes - r->at < bytes) {
        r->at = r->source->bytes;
        leave(png, "the file ends in the middle of the picture");
    }
    memcpy(to, r->source->at + r->at, bytes);
    r->at += bytes;
}

static void read_head(reader *r)
{
    png_set_user_limits(r->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* ours are checked next */
    png_set_read_fn(r->png, r, read_bytes);
    png_read_info(r->png, r->info);
}

/* What libpng shall make of the rows; grey stays grey, and transparency goes. */
static void choose_form(reader *r)
{
    int depth = png_get_bit_depth(r->png, r->info);
    png_set_expand(r->png);
    png_set_strip_alpha(r->png);
    if (depth == 16 && !r->source->wide) png_set_strip_16(r->png);
    if (depth == 16 && r->source->wide && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
        png_set_swap(r->png);
    r->passes = png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
}

static void read_rows(reader *r)
{
    uint8_t *to = r->picture->pixels.data;
    size_t stride = png_get_rowbytes(r->png, r->info);
    uint32_t height = png_get_image_height(r->png, r->info);
    for (r->pass = 0; r->pass < r->passes; r->pass++)
        for (r->row = 0; r->row < height; r->row++)
            png_read_row(r->png, to + r->row * stride, NULL);
    png_read_end(r->png, r->info);
}

static tn_status run(reader *r, void (*step)(reader *))
{
    r->through = false;
    if (setjmp(r->leave) == 0) {
        step(r);
        r->through = true;
    }
    TN_CHECK(!r->memory_is_gone, TN_OUT_OF_MEMORY, "no memory to read %s", r->source->what);
    if (r->through) return NULL;
    if (r->passes)
        TN_FAIL(TN_CORRUPT, "%s: not a sound PNG: %s, at byte %zu, row %u of %u", r->source->what,
                r->text, r->at, r->row, png_get_image_height(r->png, r->info));
    TN_FAIL(TN_CORRUPT, "%s: not a sound PNG: %s, at byte %zu", r->source->what, r->text, r->at);
}

static int orientation_of(reader *r)
{
    png_uint_32 bytes = 0;
    png_bytep exif = NULL;
    if (!png_get_eXIf_1(r->png, r->info, &bytes, &exif) || !exif) return 1;
    return tn_exif_orientation(exif, bytes);
}

static tn_status decode(reader *r)
{
    const tn_image_source *s = r->source;
    TN_TRY(run(r, read_head));
    int64_t height = png_get_image_height(r->png, r->info);
    int64_t width = png_get_image_width(r->png, r->info);
    TN_TRY(tn_image_check_size(s, height, width));
    int64_t packed = (int64_t)png_get_rowbytes(r->png, r->info) * height;
    TN_CHECK(packed / INFLATION_MAX <= (int64_t)s->bytes, TN_CORRUPT,
             "%s: a PNG of %lld x %lld pixels cannot be in a file of %zu bytes", s->what,
             (long long)width, (long long)height, s->bytes);
    TN_TRY(run(r, choose_form));
    int channels = png_get_channels(r->png, r->info);
    tn_dtype dtype = png_get_bit_depth(r->png, r->info) == 16 ? TN_DTYPE_U16 : TN_DTYPE_U8;
    TN_TRY(tn_picture_new(s, dtype, height, width, channels, r->picture));
    size_t stride = (size_t)(width * channels) * (dtype == TN_DTYPE_U16 ? 2 : 1);
    TN_CHECK((channels == 1 || channels == 3) && stride == png_get_rowbytes(r->png, r->info),
             TN_INTERNAL, "%s: libpng gives rows of %zu bytes, not of %zu", s->what,
             png_get_rowbytes(r->png, r->info), stride);
    r->picture->orientation = orientation_of(r);
    TN_TRY(run(r, read_rows));
    return NULL;
}

tn_status tn_png_decode(const tn_image_source *source, tn_picture *out)
{
    reader r = {.source = source, .picture = out};
    r.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &r, leave, ignore, &r, take_memory,
                                     give_memory);
    if (r.png) r.info = png_create_info_struct(r.png);
    tn_status status =
        r.info ? decode(&r) : TN_ERROR(TN_OUT_OF_MEMORY, "no memory to read %s", source->what);
    if (r.png) png_destroy_read_struct(&r.png, &r.info, NULL);
    if (status) tn_tensor_free(&out->pixels);
    return status;
}
