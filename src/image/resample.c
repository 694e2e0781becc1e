/* Resizing as PIL does it, equal to the bit.
 *
 * An output pixel is the mean of the input pixels around its centre, weighted by the filter; when
 * the picture shrinks, the filter is stretched by as much, so that every input pixel counts. Rows
 * first, then columns (a tall picture the other way about), each time rounded to 8 bits. Weights
 * are fixed-point numbers of 22 bits behind the point: their sum is 1, and with filters whose lobes
 * add up to less than 2 in magnitude a sum of weighted bytes stays below 2^31.
 */
#include <math.h>
#include <string.h>

#include "image/image.h"

enum { POINT = 22 };
static const double pi = 3.14159265358979323846;

static double box(double x)
{
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double sinc(double x)
{
    if (x == 0.0) return 1.0;
    x = x * pi;
    return sin(x) / x;
}

static double lanczos(double x)
{
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

typedef struct kernel {
    double (*at)(double x);
    double support;
} kernel;

static kernel kernel_of(tn_image_filter filter)
{
    switch (filter) {
    case TN_FILTER_BICUBIC: return (kernel){bicubic, 2.0};
    case TN_FILTER_BOX: return (kernel){box, 0.5};
    case TN_FILTER_LANCZOS: return (kernel){lanczos, 3.0};
    case TN_FILTER_BILINEAR:
    case TN_FILTER_NEAREST: break;
    }
    return (kernel){bilinear, 1.0};
}

/* For each output position: where its input pixels begin, how many they are, and their weights. */
typedef struct weights {
    int32_t *begin, *count, *at; /* at: [length][most] */
    double *exact;               /* of one position: [most] */
    int64_t length, most;
    size_t bytes; /* of the block that all are in, which begins with `exact` */
} weights;

static tn_status open_weights(weights *w, int64_t length, double support)
{
    size_t words;
    *w = (weights){.length = length, .most = (int64_t)ceil(support) * 2 + 1};
    TN_CHECK(tn_mul_size((size_t)length, (size_t)w->most + 2, &words) &&
                 tn_mul_size(words, sizeof(int32_t), &w->bytes) &&
                 tn_add_size(w->bytes, (size_t)w->most * sizeof(double), &w->bytes),
             TN_INVALID, "resizing to %lld pixels with a filter of %g", (long long)length, support);
    w->exact = tn_alloc(w->bytes);
    TN_CHECK(w->exact, TN_OUT_OF_MEMORY, "no memory for the %zu bytes of a filter's weights",
             w->bytes);
    w->begin = (int32_t *)(w->exact + w->most);
    w->count = w->begin + length;
    w->at = w->count + length;
    return NULL;
}

static tn_status make_weights(int64_t in, int64_t out, kernel k, weights *w)
{
    double scale = (double)in / (double)out;
    double stretch = scale < 1.0 ? 1.0 : scale, support = k.support * stretch;
    TN_TRY(open_weights(w, out, support));
    for (int64_t i = 0; i < out; i++) {
        double centre = ((double)i + 0.5) * scale, sum = 0;
        int64_t begin = TN_MAX((int64_t)(centre - support + 0.5), 0);
        int64_t count = TN_MIN((int64_t)(centre + support + 0.5), in) - begin;
        for (int64_t x = 0; x < count; x++) {
            w->exact[x] = k.at(((double)(x + begin) - centre + 0.5) * (1.0 / stretch));
            sum += w->exact[x];
        }
        for (int64_t x = 0; x < count; x++) {
            double exact = sum != 0.0 ? w->exact[x] / sum : w->exact[x];
            w->at[i * w->most + x] = (int32_t)((exact < 0 ? -0.5 : 0.5) + exact * (1 << POINT));
        }
        w->begin[i] = (int32_t)begin;
        w->count[i] = (int32_t)count;
    }
    return NULL;
}

static uint8_t rounded(int32_t sum)
{
    int32_t value = sum >> POINT;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static void resample_row(const uint8_t *from, const weights *w, int channels, uint8_t *to)
{
    for (int64_t i = 0; i < w->length; i++) {
        const int32_t *weight = w->at + i * w->most;
        const uint8_t *pixel = from + (int64_t)w->begin[i] * channels;
        int32_t sum[3] = {1 << (POINT - 1), 1 << (POINT - 1), 1 << (POINT - 1)};
        if (channels == 3) {
            for (int32_t x = 0; x < w->count[i]; x++, pixel += 3)
                for (int c = 0; c < 3; c++) sum[c] += pixel[c] * weight[x];
        } else {
            for (int32_t x = 0; x < w->count[i]; x++) sum[0] += pixel[x] * weight[x];
        }
        for (int c = 0; c < channels; c++) *to++ = rounded(sum[c]);
    }
}

/* An output row from input rows, a strip of columns at a time, so that the sums stay in cache. */
static void resample_column(const uint8_t *from, int64_t row_bytes, const weights *w, int64_t i,
                            uint8_t *to)
{
    enum { STRIP = 1024 };
    int32_t sum[STRIP];
    const int32_t *weight = w->at + i * w->most;
    for (int64_t begin = 0; begin < row_bytes; begin += STRIP) {
        int64_t count = TN_MIN(row_bytes - begin, STRIP);
        for (int64_t x = 0; x < count; x++) sum[x] = 1 << (POINT - 1);
        for (int32_t k = 0; k < w->count[i]; k++) {
            const uint8_t *row = from + (w->begin[i] + k) * row_bytes + begin;
            for (int64_t x = 0; x < count; x++) sum[x] += row[x] * weight[k];
        }
        for (int64_t x = 0; x < count; x++) to[begin + x] = rounded(sum[x]);
    }
}

static tn_status resample_rows(const tn_tensor *in, int64_t width, kernel k, tn_tensor *out)
{
    int64_t height = in->dim[0], old = in->dim[1];
    int channels = (int)in->dim[2];
    weights w = {0};
    tn_status status = make_weights(old, width, k, &w);
    if (!status) status = tn_tensor_new(TN_DTYPE_U8, (int64_t[]){height, width, channels}, 3, out);
    for (int64_t y = 0; y < height && !status; y++)
        resample_row((const uint8_t *)in->data + y * old * channels, &w, channels,
                     (uint8_t *)out->data + y * width * channels);
    if (w.exact) tn_free(w.exact, w.bytes);
    return status;
}

static tn_status resample_columns(const tn_tensor *in, int64_t height, kernel k, tn_tensor *out)
{
    int64_t row_bytes = in->dim[1] * in->dim[2];
    weights w = {0};
    tn_status status = make_weights(in->dim[0], height, k, &w);
    if (!status)
        status = tn_tensor_new(TN_DTYPE_U8, (int64_t[]){height, in->dim[1], in->dim[2]}, 3, out);
    for (int64_t y = 0; y < height && !status; y++)
        resample_column(in->data, row_bytes, &w, y, (uint8_t *)out->data + y * row_bytes);
    if (w.exact) tn_free(w.exact, w.bytes);
    return status;
}

/* Steps are added up, as PIL does, not multiplied: that decides ties. */
static tn_status take_nearest(const tn_tensor *in, int64_t height, int64_t width, tn_tensor *out)
{
    int64_t channels = in->dim[2];
    size_t bytes = (size_t)width * sizeof(int64_t);
    int64_t *column = tn_alloc(bytes);
    TN_CHECK(column, TN_OUT_OF_MEMORY, "no memory to resize to %lld columns", (long long)width);
    double step = (double)in->dim[1] / (double)width, at = step * 0.5;
    for (int64_t x = 0; x < width; x++, at += step) column[x] = TN_MIN((int64_t)at, in->dim[1] - 1);
    tn_status status = tn_tensor_new(TN_DTYPE_U8, (int64_t[]){height, width, channels}, 3, out);
    step = (double)in->dim[0] / (double)height;
    at = step * 0.5;
    uint8_t *to = out->data;
    for (int64_t y = 0; y < height && !status; y++, at += step) {
        const uint8_t *row =
            (const uint8_t *)in->data + TN_MIN((int64_t)at, in->dim[0] - 1) * in->dim[1] * channels;
        for (int64_t x = 0; x < width; x++)
            for (int64_t c = 0; c < channels; c++) *to++ = row[column[x] * channels + c];
    }
    tn_free(column, bytes);
    return status;
}

typedef tn_status (*pass)(const tn_tensor *in, int64_t size, kernel k, tn_tensor *out);

static tn_status copy(const tn_tensor *in, tn_tensor *out)
{
    TN_TRY(tn_tensor_new(TN_DTYPE_U8, in->dim, 3, out));
    memcpy(out->data, in->data, (size_t)tn_tensor_bytes(in));
    return NULL;
}

static tn_status run_passes(const tn_tensor *in, int64_t height, int64_t width, kernel k,
                            tn_tensor *out)
{
    bool rows = width != in->dim[1], columns = height != in->dim[0];
    if (!rows && !columns) return copy(in, out);
    if (!columns) return resample_rows(in, width, k, out);
    if (!rows) return resample_columns(in, height, k, out);
    /* The order matters to the last bit; this is how Pillow decides since version 13. Before, rows
     * always came first, which differs only for pictures about twice as high as wide. */
    bool columns_first = in->dim[0] - height > 2 * TN_MAX(in->dim[1] - width, 0);
    pass first = columns_first ? resample_columns : resample_rows;
    pass second = columns_first ? resample_rows : resample_columns;
    tn_tensor between = {0};
    TN_TRY(first(in, columns_first ? height : width, k, &between));
    tn_status status = second(&between, columns_first ? width : height, k, out);
    tn_tensor_free(&between);
    return status;
}

tn_status tn_image_resize(const tn_tensor *image, int64_t height, int64_t width,
                          tn_image_filter filter, tn_tensor *out)
{
    *out = (tn_tensor){0};
    int64_t most = TN_MAX(image->dim[0], image->dim[1]);
    TN_CHECK(
        height > 0 && width > 0 && width <= TN_IMAGE_PIXELS_MAX / height, TN_INVALID,
        "a picture of %lld x %lld cannot be resized to %lld x %lld: 1 to %lld pixels are possible",
        (long long)image->dim[1], (long long)image->dim[0], (long long)width, (long long)height,
        (long long)TN_IMAGE_PIXELS_MAX);
    TN_CHECK(most <= INT32_MAX / 8, TN_INVALID, "a picture of %lld pixels in a row is too long",
             (long long)most);
    if (filter == TN_FILTER_NEAREST) TN_TRY(take_nearest(image, height, width, out));
    else TN_TRY(run_passes(image, height, width, kernel_of(filter), out));
    return NULL;
}
