/* What compute-sanitizer's racecheck knows of barriers and copies: programs of a few lines, right
 * ones and wrong ones (whose sums come out wrong as well). scripts/test_gpu runs each under it and
 * compares with `reports` below, which is what docs/gpu.md says of the tool.
 *
 *     racecheck [NAME]   lists "NAME reports|silent right|wrong", or runs one
 *
 * ring: a thread copies pieces to a ring of stages, as product_ring does, and two warps add them
 * up. layers: groups of threads take steps that end at barriers of their own, as recurrent_small
 * does, between barriers of all of the block. */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cuda.h>

#include "backends/cuda/kernels/common.cuh"

enum { STAGES = 2, PIECES = 6, FLOATS = 256, BYTES = FLOATS * 4, READERS = 2 };
enum { GROUP = 160, GROUPS = 3, STEPS = 32, WIDTH = 36 };

enum what {
    ONE_LANE = 1,  /* tells for its warp, after __syncwarp, that a stage was read; else each lane */
    BOTH = 2,      /* a block copies to both of its cluster, which release to it */
    BY_MAP = 4,    /* copies by a map of a tensor */
    LATE = 8,      /* stages are read after they are released: wrong */
    LAYERS = 16,   /* the other program: groups that have nothing to do go on to the next layer */
    ALL_MEET = 32, /* or meet as often as the one that has */
    TWICE = 64,    /* or all meet twice */
    AND_TELL = 128, /* a third program: a barrier that also joins a bit */
};
static const struct {
    const char *name;
    int what;
    bool reports;
} programs[] = {
    {"one_lane", ONE_LANE, true},
    {"all_lanes", 0, false},
    {"all_lanes_late", LATE, true},
    {"multicast_one_lane", BOTH | ONE_LANE, true},
    {"multicast", BOTH, false},
    {"multicast_late", BOTH | LATE, true},
    {"map", BY_MAP | ONE_LANE, false},
    {"map_late", BY_MAP | LATE, false},
    {"layers", LAYERS, true},
    {"layers_all_meet", LAYERS | ALL_MEET, false},
    {"layers_twice", LAYERS | TWICE, false},
    {"and_tell", AND_TELL, false},
};

static __device__ __forceinline__ void release(uint32 barrier, int rank)
{
    uint32 there = cluster_address(barrier, rank);
    asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(there) : "memory");
}
static __device__ __forceinline__ void copy_to_both(uint32 to, const float *from, uint32 barrier)
{
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
                 ".multicast::cluster [%0], [%1], %2, [%3], %4;" ::"r"(to),
                 "l"(from), "r"((uint32)BYTES), "r"(barrier), "h"((uint16)3)
                 : "memory");
}

static __global__ void __cluster_dims__(2)
    ring(const __grid_constant__ tensor_map map, const float *x, float *out, int what)
{
    __shared__ alignas(128) float stage[STAGES][FLOATS];
    __shared__ uint64 full[STAGES], empty[STAGES];
    int rank = blockIdx.x % 2, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int blocks = what & BOTH ? 2 : 1;
    if (threadIdx.x == 0) {
        for (int s = 0; s < STAGES; s++) {
            barrier_make(shared_address(full + s), 1);
            barrier_make(shared_address(empty + s), READERS * blocks * (what & ONE_LANE ? 1 : 32));
        }
        barrier_made();
    }
    cluster_arrive();
    cluster_wait();
    float sum = 0;
    for (int i = 0; i < PIECES; i++) {
        int s = i % STAGES, turn = i / STAGES & 1;
        uint32 to = shared_address(stage[s]), filled = shared_address(full + s);
        if (threadIdx.x == 0) {
            if (i >= STAGES) barrier_wait_block(shared_address(empty + s), turn ^ 1);
            barrier_expect(filled, BYTES);
            if (what & BY_MAP) copy_tensor(to, &map, i * FLOATS, 0, 0, 0, filled);
            else if (!(what & BOTH)) copy_bulk(to, x + i * FLOATS, BYTES, filled);
            else if (rank == 0) copy_to_both(to, x + i * FLOATS, filled);
        } else if (warp > 0) {
            const volatile float *from = stage[s] + (warp - 1) * 128 + lane;
            barrier_wait_block(filled, turn);
            if (!(what & LATE)) sum += from[0] + from[32] + from[64] + from[96];
            __syncwarp();
            for (int n = 0; n < blocks; n++)
                if (!(what & ONE_LANE) || lane == 0)
                    release(shared_address(empty + s), what & BOTH ? n : rank);
            if (what & LATE) {
                for (long long begin = clock64(); clock64() < begin + 20000;) continue;
                sum += from[0] + from[32] + from[64] + from[96];
            }
        }
    }
    if (warp > 0) out[blockIdx.x * READERS * 32 + threadIdx.x - 32] = sum;
    cluster_arrive();
    cluster_wait();
}

/* Only the first group has anything to do between the barriers of all. */
static __global__ void layers(const float *x, float *between, float *out, int what)
{
    __shared__ float xs[STEPS * WIDTH], sums[STEPS * GROUP], state[2][WIDTH];
    int group = threadIdx.x / GROUP, u = threadIdx.x % GROUP;
    float h = 0;
    for (int l = 0; l < 2; l++) {
        __syncthreads();
        if (threadIdx.x < WIDTH) state[0][u] = state[1][u] = 0;
        for (int i = threadIdx.x; i < STEPS * WIDTH; i += GROUP * GROUPS)
            xs[i] = __ldcg((l ? between : x) + i);
        __syncthreads();
        if (what & TWICE) __syncthreads();
        for (int s = group; s < STEPS; s += GROUPS) {
            float sum = 0;
            for (int k = u % 4; k < WIDTH; k += 4) sum += xs[s * WIDTH + k];
            sums[s * GROUP + u] = sum;
        }
        __syncthreads();
        for (int s = 0; s < STEPS && (group == 0 || (what & ALL_MEET)); s++) {
            if (group == 0) {
                float sum = sums[s * GROUP + u];
                for (int k = u % 4; k < WIDTH; k += 4) sum += state[s & 1][k];
                h = sum * 0.01f;
                if (u < WIDTH) between[s * WIDTH + u] = state[~s & 1][u] = h;
            }
            asm volatile("bar.sync %0, %1;" ::"r"(group + 1), "r"((int)GROUP) : "memory");
        }
    }
    out[threadIdx.x] = h;
}

static __global__ void tell(const float *x, float *out)
{
    __shared__ float xs[GROUP];
    float sum = 0;
    for (int i = 0; i < PIECES; i++) {
        xs[threadIdx.x] = x[i * FLOATS];
        if (__syncthreads_or(xs[threadIdx.x] > PIECES)) break;
        sum += 4 * xs[(threadIdx.x + 33) % GROUP];
        __syncthreads();
    }
    out[threadIdx.x] = sum;
}

static int run(int what)
{
    static float host[PIECES * FLOATS], got[GROUP * GROUPS];
    float *x, *between, *out;
    tensor_map map = {};
    void *encode = nullptr;
    cudaDriverEntryPointQueryResult found;
    for (int i = 0; i < PIECES * FLOATS; i++) host[i] = (float)(i / FLOATS + 1);
    cudaMalloc(&x, sizeof host);
    cudaMalloc(&between, sizeof host);
    cudaMalloc(&out, sizeof got);
    cudaMemcpy(x, host, sizeof host, cudaMemcpyHostToDevice);
    cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &encode, 12000, cudaEnableDefault,
                                     &found);
    if (!encode) return 2;
    const cuuint64_t dims[4] = {PIECES * FLOATS, 1, 1, 1};
    const cuuint64_t strides[3] = {sizeof host, sizeof host, sizeof host};
    const cuuint32_t box[4] = {FLOATS, 1, 1, 1}, one[4] = {1, 1, 1, 1};
    ((decltype(&cuTensorMapEncodeTiled))encode)(
        (CUtensorMap *)&map, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 4, x, dims, strides, box, one,
        CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_L2_PROMOTION_NONE,
        CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    if (what & LAYERS) layers<<<1, GROUP * GROUPS>>>(x, between, out, what);
    else if (what & AND_TELL) tell<<<1, GROUP>>>(x, out);
    else ring<<<2, 32 + READERS * 32>>>(map, x, out, what);
    cudaError_t error = cudaMemcpy(got, out, sizeof got, cudaMemcpyDeviceToHost);
    if (error) printf("%s\n", cudaGetErrorString(error));
    bool right = !error;
    for (int i = 0; i < 2 * READERS * 32 && !(what & LAYERS); i++)
        right = right && got[i] == 4 * PIECES * (PIECES + 1) / 2;
    return !right;
}

int main(int argc, char **argv)
{
    for (auto &program : programs) {
        if (argc > 1 && !strcmp(argv[1], program.name)) return run(program.what);
        if (argc == 1)
            printf("%s %s %s\n", program.name, program.reports ? "reports" : "silent",
                   program.what & LATE ? "wrong" : "right");
    }
    return argc > 1 ? 2 : 0;
}
