/* A drawing as the bytes of a file. */
#include <png.h>

#include "image/image.h"
#include "image/plot.h"

enum { QUALITY = 92 };

/* libpng writes to memory of a size that it is asked for first. */
static tn_status write_png(const tn_canvas *canvas, tn_writer *out)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (unsigned)canvas->width,
                       .height = (unsigned)canvas->height,
                       .format = PNG_FORMAT_RGB};
    png_alloc_size_t bytes = PNG_IMAGE_PNG_SIZE_MAX(image);
    void *file = tn_alloc(bytes);
    TN_CHECK(file, TN_OUT_OF_MEMORY, "no memory to write a PNG of %d x %d pixels", canvas->width,
             canvas->height);
    size_t room = bytes;
    bool written = png_image_write_to_memory(&image, file, &bytes, 0, canvas->pixels, 0, NULL);
    if (written) tn_write_bytes(out, file, bytes);
    tn_free(file, room);
    TN_CHECK(written, TN_INTERNAL, "writing a PNG: %s", image.message);
    TN_TRY(tn_writer_check(out));
    return NULL;
}

static tn_status write_out(tn_canvas *canvas, tn_plot_form form, tn_writer *out)
{
    TN_TRY(tn_canvas_check(canvas));
    switch (form) {
    case TN_PLOT_PNG: TN_TRY(write_png(canvas, out)); break;
    case TN_PLOT_SVG:
        tn_write_bytes(out, canvas->svg.at, canvas->svg.bytes);
        TN_TRY(tn_writer_check(out));
        break;
    case TN_PLOT_JPEG:
        TN_TRY(tn_jpeg_encode(canvas->pixels, canvas->width, canvas->height, QUALITY, out));
        break;
    }
    return NULL;
}

tn_status tn_plot_encode(const tn_plot *plot, tn_plot_form form, tn_writer *out)
{
    tn_canvas canvas;
    TN_TRY(tn_canvas_init(&canvas, plot->options.width, plot->options.height, form == TN_PLOT_SVG));
    tn_plot_draw(plot, &canvas);
    tn_status status = write_out(&canvas, form, out);
    tn_canvas_fini(&canvas);
    return status;
}
