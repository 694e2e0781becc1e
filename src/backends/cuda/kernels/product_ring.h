/* Products with packed weights by product_ring.cu, of normalised rows and of others, for whoever
 * launches them. The weights are laid out once, as product_packed.cu and product_ring.cu want them
 * whatever their tiles: steps of 128 bytes along k; in a step groups of eight columns; in a group a
 * line of 128 bytes for each column. */
#ifndef TN_CUDA_PRODUCT_RING_H
#define TN_CUDA_PRODUCT_RING_H

#include "backends/cuda/kernels/product.h"

enum { TN_CUDA_LINE = 128, TN_CUDA_GROUP = 8, TN_CUDA_PART = 16 };

/* m x n is made by a block; blocks of a cluster share k in `splits` parts, share_m have the same
 * columns and share_n the same rows. Where these are 0 it is product_packed.cu's, whose warps make
 * warp_m x warp_n each from so many stages. */
typedef struct tn_cuda_packed_tile {
    int m, n, splits, share_m, share_n, warp_m, warp_n, stages;
} tn_cuda_packed_tile;
#define TN_CUDA_RING(m, n, splits, share_m, share_n)                                               \
    {                                                                                              \
        m, n, splits, share_m, share_n, 0, 0, 0                                                    \
    }

int64_t tn_cuda_packed_steps(const tn_cuda_product *x); /* of 128 bytes along k */
size_t tn_cuda_packed_bytes(const tn_cuda_product *x);
void tn_cuda_pack_weights(const tn_cuda_product *x, const void *weights, void *dst);
/* Can the operands be multiplied so, those of tf32 or those of 16 bits; is the tile worth a try? */
tn_verdict tn_cuda_packed_fits(const tn_cuda_product *x, bool tf32);
tn_verdict tn_cuda_packed_tile_fits(const tn_cuda_product *x, const tn_cuda_packed_tile *t);

/* Weights of normalised rows: shift and bias may be NULL. What is packed has the scale in it, and
 * behind it what the kernel takes the mean with, the bias, scale and shift. */
typedef struct tn_cuda_norm_weights {
    const tn_tensor *w, *scale, *shift, *bias;
} tn_cuda_norm_weights;
size_t tn_cuda_norm_packed_bytes(const tn_cuda_product *x);
tn_status tn_cuda_norm_pack(const tn_cuda_product *x, const tn_cuda_norm_weights *norm,
                            void *dst) TN_MUST_USE;

/* One launch. Of normalised rows: the rows themselves go to `normed` if somebody wants them; their
 * sums come from the kernel ahead where it told them, in `told` parts of each row, [told, m] pairs
 * of a sum and one of squares. tn_cuda_ring_tells says in how many parts a tile tells those of y,
 * which go to `tells`. */
typedef struct tn_cuda_ring {
    const tn_cuda_product *x;
    const tn_cuda_packed_tile *tile;
    const void *packed;
    bool constant_row; /* c is one row for all, and known before the kernel ahead has ended */
    bool norm;
    float epsilon;
    void *normed;
    int64_t told;
    void *sums, *tells; /* told by the kernel ahead; to be told; or NULL */
} tn_cuda_ring;
int64_t tn_cuda_ring_tells(const tn_cuda_product *x, const tn_cuda_packed_tile *t);
/* Does the card have what it takes, and do the operands lie right? */
bool tn_cuda_ring_serves(const tn_launch *l, const tn_cuda_ring *r);
tn_status tn_cuda_ring_run(const tn_launch *l, const tn_cuda_ring *r) TN_MUST_USE;

#endif
