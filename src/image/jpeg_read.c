/* JPEG by libjpeg.
 *
 * libjpeg leaves on an error by longjmp. It is called only from the two steps below, which run()
 * guards and which own nothing: all that must be freed hangs on `reader` in the frame of
 * tn_jpeg_decode, where the checks and the taking of memory happen, between the steps.
 */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "base/log.h"
#include "image/reader.h"

/* More scans than any encoder writes: each costs a walk over the whole picture. */
enum { SCANS_MAX = 200 };
/* A block of 8 x 8 values takes at least one bit, Huffman-coded; the factors of the components
 * reduce that to a block for 32 x 32 pixels. */
enum { PIXELS_A_BYTE = 8 * 32 * 32 };

typedef struct reader {
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr input;
    struct jpeg_progress_mgr progress;
    struct jpeg_decompress_struct jpeg;
    jmp_buf leave;
    const tn_image_source *source;
    bool ended;                 /* the file has ended: libjpeg was given an end marker */
    const char *why;            /* our own reason to leave, in place of libjpeg's */
    char text[JMSG_LENGTH_MAX]; /* libjpeg's */
    tn_picture *picture;
    uint8_t *row; /* of CMYK */
    size_t row_bytes;
    int orientation;
} reader;

static reader *reader_of(void *cinfo)
{
    return ((struct jpeg_common_struct *)cinfo)->client_data;
}

static _Noreturn void leave(j_common_ptr cinfo)
{
    reader *r = reader_of(cinfo);
    if (!r->why) cinfo->err->format_message(cinfo, r->text);
    longjmp(r->leave, 1);
}

static _Noreturn void leave_why(j_common_ptr cinfo, const char *why)
{
    reader_of(cinfo)->why = why;
    leave(cinfo);
}

/* Level below 0: a warning, damage that libjpeg has papered over. Where the data just ends, that
 * is an error for us; a wrong bit in a photograph is not, as for everybody else. */
static void take_message(j_common_ptr cinfo, int level)
{
    reader *r = reader_of(cinfo);
    if (level >= 0) return;
    if (r->ended) leave_why(cinfo, "the file ends in the middle of the picture");
    if (cinfo->err->num_warnings++) return;
    cinfo->err->format_message(cinfo, r->text);
    tn_log(TN_LOG_WARNING, "%s: %s", r->source->what, r->text);
}

static void say_nothing(j_common_ptr cinfo)
{
    (void)cinfo;
}

static void do_nothing(j_decompress_ptr cinfo)
{
    (void)cinfo;
}

static boolean past_the_end(j_decompress_ptr cinfo)
{
    static const JOCTET end[] = {0xFF, JPEG_EOI};
    reader *r = reader_of(cinfo);
    r->ended = true;
    r->input.next_input_byte = end;
    r->input.bytes_in_buffer = sizeof(end);
    return TRUE;
}

static void skip(j_decompress_ptr cinfo, long bytes)
{
    reader *r = reader_of(cinfo);
    if (bytes <= 0) return;
    if ((size_t)bytes > r->input.bytes_in_buffer) {
        past_the_end(cinfo);
        return;
    }
    r->input.next_input_byte += bytes;
    r->input.bytes_in_buffer -= (size_t)bytes;
}

static void watch(j_common_ptr cinfo)
{
    if (((j_decompress_ptr)cinfo)->input_scan_number > SCANS_MAX)
        leave_why(cinfo, "there are more than 200 scans");
}

static int read_orientation(const struct jpeg_decompress_struct *jpeg)
{
    for (jpeg_saved_marker_ptr m = jpeg->marker_list; m; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length > 6 && !memcmp(m->data, "Exif\0", 6))
            return tn_exif_orientation(m->data + 6, m->data_length - 6);
    return 1;
}

static void read_head(reader *r)
{
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    jpeg_create_decompress(jpeg);
    jpeg->progress = &r->progress;
    jpeg->src = &r->input;
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xFFFF);
    jpeg_read_header(jpeg, TRUE);
    r->orientation = read_orientation(jpeg);
    bool ink = jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
    bool grey = jpeg->jpeg_color_space == JCS_GRAYSCALE;
    jpeg->out_color_space = ink ? JCS_CMYK : grey ? JCS_GRAYSCALE : JCS_RGB;
}

/* Inks are stored inverted, as all who write them do: 255 is none. */
static void ink_to_rgb(const uint8_t *from, int64_t count, uint8_t *to)
{
    for (int64_t i = 0; i < count; i++, from += 4, to += 3)
        for (int c = 0; c < 3; c++) to[c] = (uint8_t)(from[3] - tn_mul_255(255 - from[c], from[3]));
}

static void read_rows(reader *r)
{
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    const tn_tensor *pixels = &r->picture->pixels;
    size_t stride = (size_t)(pixels->dim[1] * pixels->dim[2]);
    jpeg_start_decompress(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *to = (uint8_t *)pixels->data + jpeg->output_scanline * stride;
        uint8_t *row = r->row ? r->row : to;
        jpeg_read_scanlines(jpeg, &row, 1);
        if (r->row) ink_to_rgb(r->row, pixels->dim[1], to);
    }
    if (r->ended && jpeg_has_multiple_scans(jpeg))
        leave_why((j_common_ptr)jpeg, "the file ends before the last scan");
}

static tn_status run(reader *r, void (*step)(reader *))
{
    if (setjmp(r->leave) == 0) {
        step(r);
        return NULL;
    }
    size_t left = r->ended ? 0 : r->input.bytes_in_buffer;
    bool rows = r->jpeg.global_state != 0 && r->jpeg.output_height && r->jpeg.output_scanline;
    if (rows)
        TN_FAIL(TN_CORRUPT, "%s: not a sound JPEG: %s, at byte %zu, row %u of %u", r->source->what,
                r->why ? r->why : r->text, r->source->bytes - left, r->jpeg.output_scanline,
                r->jpeg.output_height);
    TN_FAIL(TN_CORRUPT, "%s: not a sound JPEG: %s, at byte %zu", r->source->what,
            r->why ? r->why : r->text, r->source->bytes - left);
}

static tn_status decode(reader *r)
{
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    TN_TRY(run(r, read_head));
    int64_t height = jpeg->image_height, width = jpeg->image_width;
    TN_TRY(tn_image_check_size(r->source, height, width));
    TN_CHECK(jpeg->arith_code || height * width / PIXELS_A_BYTE <= (int64_t)r->source->bytes,
             TN_CORRUPT, "%s: a JPEG of %lld x %lld pixels cannot be in a file of %zu bytes",
             r->source->what, (long long)width, (long long)height, r->source->bytes);
    if (jpeg->out_color_space == JCS_CMYK) {
        r->row_bytes = (size_t)width * 4;
        r->row = tn_alloc(r->row_bytes);
        TN_CHECK(r->row, TN_OUT_OF_MEMORY, "no memory for a row of %s", r->source->what);
    }
    int channels = jpeg->out_color_space == JCS_GRAYSCALE ? 1 : 3;
    TN_TRY(tn_picture_new(r->source, TN_DTYPE_U8, height, width, channels, r->picture));
    r->picture->orientation = r->orientation;
    TN_TRY(run(r, read_rows));
    return NULL;
}

tn_status tn_jpeg_decode(const tn_image_source *source, tn_picture *out)
{
    reader r = {
        .source = source,
        .picture = out,
        .input = {.next_input_byte = source->at,
                  .bytes_in_buffer = source->bytes,
                  .init_source = do_nothing,
                  .fill_input_buffer = past_the_end,
                  .skip_input_data = skip,
                  .resync_to_restart = jpeg_resync_to_restart,
                  .term_source = do_nothing},
        .progress = {.progress_monitor = watch},
    };
    r.jpeg.err = jpeg_std_error(&r.errors);
    r.jpeg.client_data = &r;
    r.errors.error_exit = leave;
    r.errors.emit_message = take_message;
    r.errors.output_message = say_nothing;
    tn_status status = decode(&r);
    jpeg_destroy_decompress(&r.jpeg);
    if (r.row) tn_free(r.row, r.row_bytes);
    if (status) tn_tensor_free(&out->pixels);
    return status;
}
