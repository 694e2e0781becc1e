/* The tile instructions of AMX: eight tiles of 16 rows of 64 bytes. As assembly, since compilers
 * of 2022 neither know that a product writes its tile nor that a configuration is read whole.
 *
 * Tests compile the same kernels with TN_AMX_MODEL, which does in C what the instructions do, so
 * that layouts and sums are proved on machines without them. */
#ifndef TN_BACKENDS_CPU_AMX_H
#define TN_BACKENDS_CPU_AMX_H

#include <stdint.h>
#include <string.h>

enum { AMX_ROWS = 16, AMX_ROW_BYTES = 64, AMX_TILE_BYTES = AMX_ROWS * AMX_ROW_BYTES };

#ifndef TN_AMX_MODEL

static inline void amx_begin(void)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = AMX_ROW_BYTES;
        config.rows[i] = AMX_ROWS;
    }
    __asm__ volatile("ldtilecfg (%0)" : : "r"(&config) : "memory");
}

/* Tiles make switching between threads dear: they are given back at once. */
static inline void amx_end(void)
{
    __asm__ volatile("tilerelease" : : : "memory");
}

/* Tile numbers are literals. `step`: bytes from row to row. */
#define AMX_ZERO(t) __asm__ volatile("tilezero %%tmm" #t : : :)
#define AMX_LOAD(t, src, step)                                                                     \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t                                               \
                     :                                                                             \
                     : "r"(src), "r"((int64_t)(step))                                              \
                     : "memor"                                                                     \
                       "y")
#define AMX_STORE(t, dst, step)                                                                    \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)"                                           \
                     :                                                                             \
                     : "r"(dst), "r"((int64_t)(step))                                              \
                     : "memory")
/* c (f32) += a (rows of 16 pairs of bf16) * b (16 rows of pairs, 16 columns) */
#define AMX_BF16(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c : : :)
/* c (i32) += a (rows of 16 fours of u8) * b (16 rows of fours of i8, 16 columns) */
#define AMX_U8_I8(c, a, b) __asm__ volatile("tdpbusd %%tmm" #b ", %%tmm" #a ", %%tmm" #c : : :)
/* The same of an a with signs and a b without. */
#define AMX_I8_U8(c, a, b) __asm__ volatile("tdpbsud %%tmm" #b ", %%tmm" #a ", %%tmm" #c : : :)

#else

#include <immintrin.h>

static _Thread_local uint8_t amx_tile[8][AMX_TILE_BYTES];

static inline void amx_begin(void)
{
    memset(amx_tile, 0, sizeof amx_tile);
}

static inline void amx_end(void)
{
    memset(amx_tile, 0xA5, sizeof amx_tile);
}

static inline void amx_move(uint8_t *dst, int64_t dst_step, const uint8_t *src, int64_t src_step)
{
    for (int i = 0; i < AMX_ROWS; i++)
        memcpy(dst + i * dst_step, src + i * src_step, AMX_ROW_BYTES);
}

/* Denormal numbers are zero, in and out. By vectors, as tests spend much of their time here. */
static inline __m512 amx_flush(__m512 x)
{
    __m512 least = _mm512_set1_ps(0x1p-126f);
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(_mm512_abs_ps(x), least, _CMP_NLT_UQ), x);
}

/* Number `half` of each of 16 pairs. */
static inline __m512 amx_row(const uint8_t *pairs, int half)
{
    __m512i bits = _mm512_loadu_si512(pairs);
    bits = half ? _mm512_and_si512(bits, _mm512_set1_epi32(-0x10000)) : _mm512_slli_epi32(bits, 16);
    return amx_flush(_mm512_castsi512_ps(bits));
}

/* The sums of even and of odd k are taken apart, and added to c at the end. */
static inline void amx_model_bf16(uint8_t *c, const uint8_t *a, const uint8_t *b)
{
    float a_row[16];
    __m512 b_row[2][16], sum[2];
    for (int p = 0; p < 16; p++)
        for (int h = 0; h < 2; h++) b_row[h][p] = amx_row(b + 64 * p, h);
    for (int i = 0; i < AMX_ROWS; i++, a += 64, c += 64) {
        for (int h = 0; h < 2; h++) {
            _mm512_storeu_ps(a_row, amx_row(a, h));
            sum[h] = _mm512_setzero_ps();
            for (int p = 0; p < 16; p++)
                sum[h] = amx_flush(_mm512_fmadd_ps(_mm512_set1_ps(a_row[p]), b_row[h][p], sum[h]));
        }
        __m512 all = amx_flush(_mm512_add_ps(sum[0], sum[1]));
        _mm512_storeu_ps(c, amx_flush(_mm512_add_ps(amx_flush(_mm512_loadu_ps(c)), all)));
    }
}

/* a_sign, b_sign: 128 where those bytes have one. */
static inline void amx_model_bytes(uint8_t *c, const uint8_t *a, int32_t a_sign, const uint8_t *b,
                                   int32_t b_sign)
{
    for (int i = 0; i < AMX_ROWS; i++)
        for (int j = 0; j < 16; j++) {
            uint32_t sum;
            memcpy(&sum, c + 4 * (16 * i + j), sizeof sum);
            for (int p = 0; p < 64; p++) {
                int32_t left = (a[64 * i + p] ^ a_sign) - a_sign;
                int32_t right = (b[64 * (p / 4) + 4 * j + p % 4] ^ b_sign) - b_sign;
                sum += (uint32_t)(left * right);
            }
            memcpy(c + 4 * (16 * i + j), &sum, sizeof sum);
        }
}

#define AMX_ZERO(t) memset(amx_tile[t], 0, AMX_TILE_BYTES)
#define AMX_LOAD(t, src, step) amx_move(amx_tile[t], AMX_ROW_BYTES, (const uint8_t *)(src), (step))
#define AMX_STORE(t, dst, step) amx_move((uint8_t *)(dst), (step), amx_tile[t], AMX_ROW_BYTES)
#define AMX_BF16(c, a, b) amx_model_bf16(amx_tile[c], amx_tile[a], amx_tile[b])
#define AMX_U8_I8(c, a, b) amx_model_bytes(amx_tile[c], amx_tile[a], 0, amx_tile[b], 128)
#define AMX_I8_U8(c, a, b) amx_model_bytes(amx_tile[c], amx_tile[a], 128, amx_tile[b], 0)

#endif

#endif
