/* What kernels for groups of four warps are made of (9.0): the copy engine, and products of 64 rows and
 * PRODUCT_COLUMNS columns of T elements. */

struct alignas(64) map { /* how the copy engine walks through a tensor: the driver's */
    uint64 at[16];
};
/* What only compute capability 9.0 has; elsewhere these kernels are never launched. */
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define hopper_asm asm volatile
#else
#define hopper_asm(...)
#endif

/* ---- Copies ------------------------------------------------------------------------------------*/

/* Of BM windows, from the pixel (h, w) of sample n on: 64 channels of the tap at (dh, dw). */
static __device__ __forceinline__ void copy_windows(uint32 to, const map &x, int c, int w, int h, int n,
                                                    int dw, int dh, uint32 barrier)
{
    hopper_asm("cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes "
               "[%0], [%1, {%2, %3, %4, %5}], [%6], {%7, %8};" ::"r"(to),
               "l"(&x), "r"(c), "r"(w), "r"(h), "r"(n), "r"(barrier), "h"((uint16)dw),
               "h"((uint16)dh)
               : "memory");
}
static __device__ __forceinline__ void map_ahead(const map &at)
{
    hopper_asm("prefetch.tensormap [%0];" ::"l"(&at) : "memory");
}
static __device__ __forceinline__ void copy_box(uint32 to, const map &from, int column, int row,
                                                uint32 barrier)
{
    hopper_asm("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
               "[%0], [%1, {%2, %3}], [%4];" ::"r"(to),
               "l"(&from), "r"(column), "r"(row), "r"(barrier)
               : "memory");
}
static __device__ __forceinline__ void store_box(const map &to, int column, int row, uint32 from)
{
    hopper_asm("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%1, %2}], [%3];" ::"l"(
                   &to),
               "r"(column), "r"(row), "r"(from)
               : "memory");
}
/* What was stored is a group; until all but the LEFT last groups have been read from shared memory. */
static __device__ __forceinline__ void store_end()
{
    hopper_asm("cp.async.bulk.commit_group;" ::: "memory");
}
template <int LEFT> static __device__ __forceinline__ void store_wait()
{
    hopper_asm("cp.async.bulk.wait_group.read %0;" ::"n"(LEFT) : "memory");
}
/* Registers go from the threads that bring to those that multiply. */
template <int LEFT> static __device__ __forceinline__ void registers_give()
{
    hopper_asm("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(LEFT));
}
template <int ALL> static __device__ __forceinline__ void registers_take()
{
    hopper_asm("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(ALL));
}
/* What this thread wrote to shared memory is seen by the copy engine, after a barrier. */
static __device__ __forceinline__ void show_to_copies()
{
    hopper_asm("fence.proxy.async.shared::cta;" ::: "memory");
}
/* The threads of a group that multiplies. */
static __device__ __forceinline__ void sync_group(int group)
{
    hopper_asm("bar.sync %0, 128;" ::"r"(group + 1) : "memory");
}
/* Four 8x8 matrices of 16-bit elements, each turned, as load_matrices reads them. */
static __device__ __forceinline__ void store_turned(void *to, const uint32 *x)
{
    hopper_asm("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(
                   shared_address(to)),
               "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3])
               : "memory");
}
/* ---- Tensor cores of four warps ----------------------------------------------------------------*/

/* Lines of 128 bytes, swizzled, from a multiple of 1024 bytes on: eight of them are 1024 bytes.
 * Adding 2 goes on by 32 bytes along the lines. */
static __device__ __forceinline__ uint64 matrix_at(uint32 at)
{
    return (uint64)(at >> 4 & 0x3fff) | (uint64)1 << 16 | (uint64)64 << 32 | (uint64)1 << 62;
}
static __device__ __forceinline__ void multiply_begin()
{
    hopper_asm("wgmma.fence.sync.aligned;" ::: "memory");
}
static __device__ __forceinline__ void multiply_end()
{
    hopper_asm("wgmma.commit_group.sync.aligned;" ::: "memory");
}
/* Until at most so many of what was ended are under way. */
template <int LEFT> static __device__ __forceinline__ void multiply_wait()
{
    hopper_asm("wgmma.wait_group.sync.aligned %0;" ::"n"(LEFT) : "memory");
}
/* No use of these sums is moved across. */
static __device__ __forceinline__ void settle(float (*c)[4])
{
#pragma unroll
    for (int i = 0; i < PRODUCT_COLUMNS / 8; i++)
        hopper_asm("" : "+f"(c[i][0]), "+f"(c[i][1]), "+f"(c[i][2]), "+f"(c[i][3])::"memory");
}
/* c[64, PRODUCT_COLUMNS] += x[64, 32 bytes] w[PRODUCT_COLUMNS, 32 bytes]; warp i has rows 16 i on, as
 * multiply_add has. */
#define FOUR(j) "+f"(c[j][0]), "+f"(c[j][1]), "+f"(c[j][2]), "+f"(c[j][3])
#define SIXTEEN(j) FOUR(j), FOUR(j + 1), FOUR(j + 2), FOUR(j + 3)
#define NAMES_16 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define NAMES_32                                                                                   \
    NAMES_16 ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define NAMES_52                                                                                   \
    NAMES_32 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "  \
             "%48, %49, %50, %51"
#define NAMES_56 NAMES_52 ", %52, %53, %54, %55"
#define NAMES_64                                                                                   \
    NAMES_52 ", %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define NAMES_96                                                                                   \
    NAMES_64 ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "  \
             "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define NAMES_128                                                                                  \
    NAMES_96 ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, "    \
             "%110, %111, %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, "      \
             "%123, %124, %125, %126, %127"
#if PRODUCT_COLUMNS == 64
#define COLUMNS "n64"
#define NAMES NAMES_32
#define SUMS SIXTEEN(0), SIXTEEN(4)
#define OPERANDS "%32, %33"
#define OPERANDS_BY "{%32, %33, %34, %35}, %36"
#elif PRODUCT_COLUMNS == 104
#define COLUMNS "n104"
#define NAMES NAMES_52
#define SUMS SIXTEEN(0), SIXTEEN(4), SIXTEEN(8), FOUR(12)
#define OPERANDS "%52, %53"
#define OPERANDS_BY "{%52, %53, %54, %55}, %56"
#elif PRODUCT_COLUMNS == 112
#define COLUMNS "n112"
#define NAMES NAMES_56
#define SUMS SIXTEEN(0), SIXTEEN(4), SIXTEEN(8), FOUR(12), FOUR(13)
#define OPERANDS "%56, %57"
#elif PRODUCT_COLUMNS == 128
#define COLUMNS "n128"
#define NAMES NAMES_64
#define SUMS SIXTEEN(0), SIXTEEN(4), SIXTEEN(8), SIXTEEN(12)
#define OPERANDS "%64, %65"
#elif PRODUCT_COLUMNS == 192
#define COLUMNS "n192"
#define NAMES NAMES_96
#define SUMS SIXTEEN(0), SIXTEEN(4), SIXTEEN(8), SIXTEEN(12), SIXTEEN(16), SIXTEEN(20)
#define OPERANDS "%96, %97"
#else
static_assert(PRODUCT_COLUMNS == 256, "");
#define COLUMNS "n256"
#define NAMES NAMES_128
#define SUMS                                                                                       \
    SIXTEEN(0), SIXTEEN(4), SIXTEEN(8), SIXTEEN(12), SIXTEEN(16), SIXTEEN(20), SIXTEEN(24),        \
        SIXTEEN(28)
#define OPERANDS "%128, %129"
#endif
#define MULTIPLY(type)                                                                             \
    hopper_asm("{ .reg .pred add; setp.eq.u32 add, 0, 0;"                                          \
               "wgmma.mma_async.sync.aligned.m64" COLUMNS "k16.f32." type "." type " {" NAMES      \
               "}, " OPERANDS ", add, 1, 1, 0, 0; }"                                               \
               : SUMS                                                                              \
               : "l"(x), "l"(w))
static __device__ __forceinline__ void multiply(half, float (*c)[4], uint64 x, uint64 w)
{
    MULTIPLY("f16");
}
static __device__ __forceinline__ void multiply(bf16, float (*c)[4], uint64 x, uint64 w)
{
    MULTIPLY("bf16");
}

#ifdef OPERANDS_BY
/* The same with x in registers, as multiply_add has them. */
#define MULTIPLY_BY(type)                                                                          \
    hopper_asm("{ .reg .pred add; setp.eq.u32 add, 0, 0;"                                          \
               "wgmma.mma_async.sync.aligned.m64" COLUMNS "k16.f32." type "." type " {" NAMES      \
               "}, " OPERANDS_BY ", add, 1, 1, 0; }"                                               \
               : SUMS                                                                              \
               : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "l"(w))
static __device__ __forceinline__ void multiply_by(half, float (*c)[4], const uint32 *x, uint64 w)
{
    MULTIPLY_BY("f16");
}
static __device__ __forceinline__ void multiply_by(bf16, float (*c)[4], const uint32 *x, uint64 w)
{
    MULTIPLY_BY("bf16");
}
#endif
/* 64 channels of rows of x and of w. */
static __device__ __forceinline__ void begin_step(uint32 x_at, uint32 w_at, float (*sum)[4])
{
    uint64 x = matrix_at(x_at), w = matrix_at(w_at);
    settle(sum);
    multiply_begin();
#pragma unroll
    for (int d = 0; d < 4; d++) multiply(T(), sum, x + d * 2, w + d * 2);
    multiply_end();
}
/* By a warp. */
static __device__ __forceinline__ void give_back(uint32 barrier)
{
    if (threadIdx.x % 32 == 0) barrier_arrive(barrier);
}

/* ---- What is where -----------------------------------------------------------------------------*/

/* Where a row of tiles stands in x and y, whose two axes are `size` long. */
struct pixel {
    int n, h, w;
    __device__ pixel(const divider *size, int row)
    {
        uint32 down, across;
        n = (int)divide(divide((uint32)row, size[1], &across), size[0], &down);
        h = (int)down;
        w = (int)across;
    }
};

/* COUNT places go round; the parity of their phases turns with every round. */
template <int COUNT> struct turn {
    int at = 0, parity = 0;
    __device__ void next()
    {
        if (++at < COUNT) return;
        at = 0;
        parity ^= 1;
    }
};
