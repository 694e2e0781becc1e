/* Windows of an image whose tokens lie in the image's order, ROWS of them in a window and SIDE of
 * these side by side: where they are, which regions they come from, and attention among them. */

constexpr float LOG2E = 1.44269504088896f;

struct tiling { /* mirrored in window.h */
    int each, count;             /* of an image; of all of them */
    int height, breadth, across; /* of the image; windows side by side */
    int down, right;             /* the shift */
    float scale, mask;           /* of scores; added where two tokens come from different regions */
};

struct place {
    int y, x;    /* of the window in the moved image */
    int64 image; /* the first token of the image */
    bool edge;   /* there are several regions */
};

static __device__ __forceinline__ place place_of(const tiling &all, int number)
{
    int window = number % all.each;
    place here;
    here.y = window / all.across * (ROWS / SIDE);
    here.x = window % all.across * SIDE;
    here.image = (int64)(number / all.each) * all.height * all.breadth;
    here.edge = all.mask != 0 && (here.y + ROWS / SIDE > all.height - all.down ||
                                  here.x + SIDE > all.breadth - all.right);
    return here;
}

static __device__ __forceinline__ int64 token_of(const tiling &all, const place &here, int row)
{
    int y = here.y + row / SIDE + all.down, x = here.x + row % SIDE + all.right;
    y -= y >= all.height ? all.height : 0;
    x -= x >= all.breadth ? all.breadth : 0;
    return here.image + y * all.breadth + x;
}

static __device__ __forceinline__ int region_of(const tiling &all, const place &here, int row)
{
    return 2 * (here.y + row / SIDE >= all.height - all.down) +
           (here.x + row % SIDE >= all.breadth - all.right);
}

/* Scores of one row, two keys in every eight, become weights; the sum of all of them. */
template <int TILES>
static __device__ __forceinline__ float weigh(const tiling &all, const place &here, int row, int i,
                                              float (*s)[4])
{
    int lane = threadIdx.x % 32, region = region_of(all, here, row);
    float top = __int_as_float(0xff800000), total = 0;
#pragma unroll
    for (int j = 0; j < TILES * 2; j++) {
        int key = j / 2 * 8 + lane % 4 * 2 + j % 2;
        float *x = &s[j / 2][2 * i + j % 2];
        *x *= all.scale * LOG2E;
        if (here.edge && region_of(all, here, key) != region) *x += all.mask * LOG2E;
        if (key >= ROWS) *x = __int_as_float(0xff800000);
        top = fmaxf(top, *x);
    }
    for (int n = 1; n < 4; n <<= 1) top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, n));
#pragma unroll
    for (int j = 0; j < TILES * 2; j++) {
        float *x = &s[j / 2][2 * i + j % 2];
        *x = exp2_approx(*x - top);
        total += *x;
    }
    for (int n = 1; n < 4; n <<= 1) total += __shfl_xor_sync(0xffffffffu, total, n);
    return total;
}

/* Attention of 16 queries of a window by a warp, `first` the first of them, with all of its keys and
 * values, in shared memory, lines of LINE elements. Scores begin as the table of positions, if any:
 * two keys of each eight of a thread's two rows. sum: two columns of each eight of these rows; to be
 * divided by total. */
template <class E, int HEAD_SIZE, int LINE_SIZE, int TILES, bool TABLE>
static __device__ __forceinline__ void
attend_window(const tiling &all, const place &here, int first, const E *keys, const E *values,
              const uint32 (*a)[HEAD_SIZE / (32 / sizeof(E))][4], const vec<E, 2> (*table)[2],
              float (*sum)[HEAD_SIZE / 8][4], float *total)
{
    float s[1][TILES][4], inverse = 1 / all.scale;
#pragma unroll
    for (int j = 0; j < TILES * 4; j++)
        s[0][j / 4][j % 4] = TABLE ? inverse * to_float(table[j / 4][j % 4 / 2].at[j % 2]) : 0;
    add_scores<E, HEAD_SIZE, LINE_SIZE, TILES, 1>(a, keys, s);
#pragma unroll
    for (int i = 0; i < 2; i++)
        total[i] = weigh<TILES>(all, here, first + threadIdx.x % 32 / 4 + i * 8, i, s[0]);
    add_values<E, HEAD_SIZE, LINE_SIZE, TILES, 1>(s, values, sum);
}
