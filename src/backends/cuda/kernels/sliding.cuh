/* Windows that slide over images of up to three axes. */

struct sliding { /* mirrored in sliding.h */
    int32 in[3], kernel[3], stride[3], dilation[3], pad[3], pad_end[3];
    divider out[3];
};

static __device__ __forceinline__ int32 divide_up(int32 a, int32 b) /* ceil(a / b), b > 0 */
{
    return a > 0 ? (a + b - 1) / b : -(-a / b);
}

/* Where one window lies: the taps [begin, end) of each axis fall inside the image. */
struct reach {
    int32 from[3], begin[3], end[3];
    int32 padded; /* taps inside the image and its padding */
};

/* Of result n, counted over all images; *image: which of these. */
static __device__ __forceinline__ reach reach_of(const sliding &s, uint32 n, uint32 *image)
{
    reach out;
    out.padded = 1;
#pragma unroll
    for (int i = 2; i >= 0; i--) {
        uint32 at;
        n = divide(n, s.out[i], &at);
        out.from[i] = (int32)at * s.stride[i] - s.pad[i];
        out.begin[i] = max(0, divide_up(-out.from[i], s.dilation[i]));
        out.end[i] = min(s.kernel[i], divide_up(s.in[i] - out.from[i], s.dilation[i]));
        int32 last = divide_up(s.in[i] + s.pad_end[i] - out.from[i], s.dilation[i]);
        out.padded *= max(0, min(s.kernel[i], last));
    }
    *image = n;
    return out;
}

/* Where tap (a, b, c) lies in its image. */
static __device__ __forceinline__ int32 tap_of(const sliding &s, const reach &r, int a, int b, int c)
{
    return ((r.from[0] + a * s.dilation[0]) * s.in[1] + r.from[1] + b * s.dilation[1]) * s.in[2] +
           r.from[2] + c * s.dilation[2];
}
