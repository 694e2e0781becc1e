/* ImageDecoder-20: the bytes of a picture's file to its pixels, u8 [height, width, channels].
 *
 * What cannot be decoded gives an empty matrix, as the operator is defined; formats that are sound
 * but not read here are an error all the same. The size is known only once all is decoded, so the
 * shape and the result each decode. */
#include "ops/image_decoder/image_decoder.h"

#include <assert.h>

#include "base/log.h"
#include "image/image.h"
#include "ops/moving.h"

static_assert(TN_IMAGE_RGB == 0 && TN_IMAGE_BGR == 1 && TN_IMAGE_GREY == 2, "order of choices");
static const tn_field fields[] = {
    TN_ENUM(tn_image_decoder_params, pixel_format, TN_IMAGE_RGB, "RGB|BGR|Grayscale"),
};
static const tn_port ins[] = {{"encoded_stream", TN_DT(U8), 0, 0}};
static const tn_port outs[] = {{"image", TN_DT(U8), 0, 0}};

/* *out without data: it is no sound picture, and *why says so. */
static tn_status decode(const tn_image_decoder_params *params, const tn_tensor *x, tn_tensor *out,
                        tn_status *why)
{
    tn_image_options options = {.size = sizeof(options),
                                .colour = (tn_image_colour)params->pixel_format,
                                .as_stored = true};
    *why =
        tn_image_decode(x->data, (size_t)tn_tensor_count(x), "the encoded stream", &options, out);
    tn_code code = tn_status_code(*why);
    if (code == TN_CORRUPT || code == TN_INVALID) return NULL;
    TN_TRY(*why);
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_image_decoder_params *params = f->params;
    const tn_tensor *data = &f->data[0];
    tn_expr dim[3];
    TN_CHECK(f->in[0].rank < 0 || f->in[0].rank == 1, TN_INVALID,
             "the encoded stream has rank %d, not 1", f->in[0].rank);
    if (data->data || (data->dtype && !tn_tensor_count(data))) {
        tn_tensor image;
        tn_status why;
        TN_TRY(decode(params, data, &image, &why));
        for (int i = 0; i < 2; i++) dim[i] = tn_expr_const(f->exprs, image.data ? image.dim[i] : 0);
        tn_tensor_free(&image);
    } else {
        for (int i = 0; i < 2; i++) dim[i] = tn_infer_fresh(f);
    }
    dim[2] = tn_expr_const(f->exprs, params->pixel_format == TN_IMAGE_GREY ? 1 : 3);
    tn_infer_set(f, 0, TN_DTYPE_U8, 3, dim);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    tn_tensor image;
    tn_status why;
    TN_TRY(decode(l->problem->params, x, &image, &why));
    int64_t count = image.data ? tn_tensor_count(&image) : 0;
    if (!image.data) tn_log(TN_LOG_WARNING, "ImageDecoder: %s", tn_status_message(why));
    tn_status status = tn_check_count(y, count);
    if (!status && count) tn_copy_elements(TN_DTYPE_U8, y->data, 0, image.data, 0, count);
    tn_tensor_free(&image);
    return status;
}

static const tn_case cases[] = {
    /* PNM, two pixels */
    {.problem = "ImageDecoder u8[17]={80,54,10,50,32,49,10,50,53,53,10,1,2,3,4,5,6}",
     .expect = "u8[1,2,3]={1,2,3,4,5,6}"},
    {.problem = "ImageDecoder{pixel_format=BGR} "
                "u8[17]={80,54,10,50,32,49,10,50,53,53,10,1,2,3,4,5,6}",
     .expect = "u8[1,2,3]={3,2,1,6,5,4}"},
    {.problem = "ImageDecoder{pixel_format=Grayscale} "
                "u8[13]={80,53,10,49,32,50,10,50,53,53,10,9,200}",
     .expect = "u8[2,1,1]={9,200}"},
    {.problem = "ImageDecoder{pixel_format=Grayscale} u8[3]={80,53,10}", .expect = "u8[0,0,1]={}"},
    {.problem = "ImageDecoder u8[0]={}", .expect = "u8[0,0,3]={}"},
    {0},
};

const tn_op tn_op_image_decoder = {
    .name = "ImageDecoder",
    .since = 20,
    .about = "a JPEG, PNG, BMP or PNM file to pixels [height, width, channels]",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_image_decoder_params),
    .infer = infer,
    .reference = reference,
    .cases = cases,
};
