/* JPEG out: baseline, no subsampling of the colours, so that thin coloured lines stay sharp. As in
 * the reader, libjpeg's longjmp ends in the one function that calls it. */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include "image/image.h"

typedef struct writer {
    struct jpeg_error_mgr errors;
    struct jpeg_destination_mgr output;
    struct jpeg_compress_struct jpeg;
    jmp_buf leave;
    char text[JMSG_LENGTH_MAX];
    tn_writer *out;
    uint8_t piece[4096];
    const uint8_t *pixels;
    size_t row_bytes;
    int width, height, quality;
    uint8_t *row; /* libjpeg takes rows that it could write to */
} writer;

static _Noreturn void leave(j_common_ptr cinfo)
{
    writer *w = cinfo->client_data;
    cinfo->err->format_message(cinfo, w->text);
    longjmp(w->leave, 1);
}

static void say_nothing(j_common_ptr cinfo)
{
    (void)cinfo;
}

static void begin(j_compress_ptr cinfo)
{
    writer *w = cinfo->client_data;
    w->output.next_output_byte = w->piece;
    w->output.free_in_buffer = sizeof(w->piece);
}

static boolean pass_on(j_compress_ptr cinfo)
{
    writer *w = cinfo->client_data;
    tn_write_bytes(w->out, w->piece, sizeof(w->piece));
    begin(cinfo);
    return TRUE;
}

static void end(j_compress_ptr cinfo)
{
    writer *w = cinfo->client_data;
    tn_write_bytes(w->out, w->piece, sizeof(w->piece) - w->output.free_in_buffer);
}

static void write_all(writer *w)
{
    struct jpeg_compress_struct *jpeg = &w->jpeg;
    jpeg_create_compress(jpeg);
    jpeg->dest = &w->output;
    jpeg->image_width = (JDIMENSION)w->width;
    jpeg->image_height = (JDIMENSION)w->height;
    jpeg->input_components = 3;
    jpeg->in_color_space = JCS_RGB;
    jpeg_set_defaults(jpeg);
    jpeg_set_quality(jpeg, w->quality, TRUE);
    jpeg->comp_info[0].h_samp_factor = jpeg->comp_info[0].v_samp_factor = 1;
    jpeg->optimize_coding = TRUE;
    jpeg_start_compress(jpeg, TRUE);
    while (jpeg->next_scanline < jpeg->image_height) {
        memcpy(w->row, w->pixels + jpeg->next_scanline * w->row_bytes, w->row_bytes);
        jpeg_write_scanlines(jpeg, &w->row, 1);
    }
    jpeg_finish_compress(jpeg);
}

static tn_status run(writer *w)
{
    if (setjmp(w->leave) == 0) {
        write_all(w);
        return NULL;
    }
    TN_FAIL(TN_INTERNAL, "writing a JPEG of %d x %d pixels: %s", w->width, w->height, w->text);
}

tn_status tn_jpeg_encode(const uint8_t *pixels, int width, int height, int quality, tn_writer *out)
{
    writer w = {.out = out,
                .pixels = pixels,
                .row_bytes = (size_t)width * 3,
                .width = width,
                .height = height,
                .quality = quality,
                .output = {.init_destination = begin,
                           .empty_output_buffer = pass_on,
                           .term_destination = end}};
    w.row = tn_alloc(w.row_bytes);
    TN_CHECK(w.row, TN_OUT_OF_MEMORY, "no memory for a row of %d pixels", width);
    w.jpeg.err = jpeg_std_error(&w.errors);
    w.jpeg.client_data = &w;
    w.errors.error_exit = leave;
    w.errors.output_message = say_nothing;
    tn_status status = run(&w);
    jpeg_destroy_compress(&w.jpeg);
    tn_free(w.row, w.row_bytes);
    TN_TRY(status);
    TN_TRY(tn_writer_check(out));
    return NULL;
}
