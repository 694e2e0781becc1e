/* Sums of products of words of bytes for conv_bytes_last.c: of some positions, whose windows are
 * runs of x, by some vectors of outputs. By dot products in the lanes of vectors, or by the tiles
 * of AMX, which want what windows read as a panel. */
#ifndef TN_BACKENDS_CPU_LAST_SUMS_H
#define TN_BACKENDS_CPU_LAST_SUMS_H

#include "backends/cpu/kernels/last_ends.h"
#if defined(__AVX512F__) && !defined(__AVX512VNNI__)
#define SUMS_BY_TILES
#include "backends/cpu/kernels/amx.h"
#else
#include "backends/cpu/kernels/words_dot.h"
#endif

#ifdef SUMS_BY_TILES
#define WORDS_MACS_NS 1500 /* multiply-adds in a nanosecond, for estimates */
enum { WORD = 4, STEP = 16, ROWS = 32, VECTORS = 2, PANEL = 6144 }; /* PANEL: bytes of a window */
enum { TILES_FIRST = false }; /* positions meet all weights, one strip after the other */
typedef uint8_t part;
typedef int8_t part_of_w;
#elif VF32_LANES == 16 || defined(__aarch64__)
enum { STEP = 1, ROWS = 6, VECTORS = 4 }; /* 24 of 32 registers */
#else
enum { STEP = 1, ROWS = 6, VECTORS = 2 }; /* 12 of 16 */
#endif
#ifndef SUMS_BY_TILES
enum { TILES_FIRST = true }; /* the weights of a strip meet all positions */
#endif

/* What a window reads: `words` words from each of `runs` places, relative to its own. depth: words
 * of all runs, in whole steps. */
typedef struct windows {
    int64_t runs, words, depth;
    int64_t *offset;
} windows;

/* Some positions next to each other, at one strip of outputs. */
typedef struct tile {
    int64_t sample, group, strip, first;
    int64_t at[3]; /* of the position behind the last one */
    int rows;
    const part *x[ROWS];
    _Alignas(TN_ALIGNMENT) int32_t sums[ROWS * VECTORS * VF32_LANES]; /* [row][vector] */
#ifdef SUMS_BY_TILES
    bool gathered;
    _Alignas(TN_ALIGNMENT) uint8_t panel[ROWS * PANEL]; /* [step][row][word of the step] */
#endif
} tile;

#ifdef SUMS_BY_TILES
static inline void sums_begin(tile *t)
{
    t->gathered = false;
    amx_begin();
}

static inline void sums_end(void)
{
    amx_end();
}

static void sums_gather(const windows *w, tile *t)
{
    enum { STEP_BYTES = STEP * WORD };
    for (int i = 0; i < t->rows; i++) {
        uint8_t *to = t->panel + i * STEP_BYTES;
        int64_t bytes = w->words * WORD, at = 0; /* at: of all runs */
        for (int64_t r = 0; r < w->runs; r++)
            for (int64_t k = 0, count; k < bytes; k += count, at += count) {
                int64_t room = STEP_BYTES - at % STEP_BYTES;
                count = TN_MIN(room, bytes - k);
                memcpy(to + at / STEP_BYTES * ROWS * STEP_BYTES + at % STEP_BYTES,
                       t->x[i] + w->offset[r] + k, (size_t)count);
            }
        /* What weights there are behind the last run is not known. */
        int64_t rest = w->depth * WORD - at;
        to += (w->depth / STEP - 1) * ROWS * STEP_BYTES + STEP_BYTES - rest;
        memset(to, 0, (size_t)rest);
    }
}

/* Tiles 0 to 3 are sums, 4 and 5 positions by words of x, 6 and 7 words by outputs. */
SIMD_INLINE void sums_run(bool high, bool wide, int64_t steps, const uint8_t *x, const uint32_t *w,
                          int32_t *sums)
{
    const int64_t line = (wide ? 2 : 1) * AMX_ROW_BYTES;
    AMX_ZERO(0);
    AMX_ZERO(1);
    AMX_ZERO(2);
    AMX_ZERO(3);
    for (int64_t s = 0; s < steps; s++, x += 2 * AMX_TILE_BYTES, w += STEP * line / 4) {
        AMX_LOAD(6, w, line);
        AMX_LOAD(4, x, AMX_ROW_BYTES);
        AMX_U8_I8(0, 4, 6);
        if (wide) {
            AMX_LOAD(7, w + 16, line);
            AMX_U8_I8(1, 4, 7);
        }
        if (!high) continue;
        AMX_LOAD(5, x + AMX_TILE_BYTES, AMX_ROW_BYTES);
        AMX_U8_I8(2, 5, 6);
        if (wide) AMX_U8_I8(3, 5, 7);
    }
    AMX_STORE(0, sums, line);
    if (wide) AMX_STORE(1, sums + 16, line);
    if (!high) return;
    AMX_STORE(2, sums + 4 * line, line);
    if (wide) AMX_STORE(3, sums + 4 * line + 16, line);
}

/* Tiles of the same positions follow one another, from strip 0 on. to NULL: the sums stay as they
 * are, in memory; false: so they do where they do not end well. */
static bool sum_tile(const windows *ws, int64_t vectors, const uint32_t *w, tile *t,
                     const ending *e, const place *to)
{
    int64_t steps = ws->depth / STEP;
    bool high = t->rows > AMX_ROWS;
    if (t->strip == 0 || !t->gathered) sums_gather(ws, t);
    t->gathered = true;
    if (vectors == 2) sums_run(high, true, steps, t->panel, w, t->sums);
    else sums_run(high, false, steps, t->panel, w, t->sums);
    return !to || ends_tile(e, t->rows, vectors * VF32_LANES, t->sums, to);
}

#else

static inline void sums_begin(tile *t)
{
    (void)t;
}

static inline void sums_end(void)
{
}

/* What the sums become is told by `kind`: they are kept, ended, or ended and added to. */
enum { KEPT, ENDED, ADDED };

/* Sums in registers to their places; they are kept all the same where they do not end well. */
SIMD_INLINE bool sums_finish(int rows, int vectors, bool adds, vi32 sum[ROWS][VECTORS],
                             const ending *e, const place *to)
{
    vf32 off = {0};
    WORDS_EACH (v, vectors) {
        vi32 whole = ends_load(e->whole + v * VF32_LANES);
        vf32 quick = vf32_load(e->quick + v * VF32_LANES);
        WORDS_EACH (i, rows) {
            int64_t at = i * to->step + v * VF32_LANES;
            vi8 bytes =
                end_vector(e, adds, sum[i][v], whole, quick, adds ? to->more + at : NULL, &off);
            memcpy(to->y + at, &bytes, sizeof bytes);
        }
    }
    return !vf32_any((vi32)(off > OFF_MAX));
}

/* `rows`, `vectors` and `kind` are constants at every call: the sums are registers. */
SIMD_INLINE bool sums_run(int rows, int vectors, int kind, const windows *ws, const uint32_t *w,
                          tile *t, const ending *e, const place *to)
{
    vi32 sum[ROWS][VECTORS];
    WORDS_EACH (i, rows) {
        WORDS_EACH (v, vectors) sum[i][v] = (vi32){0};
    }
    for (int64_t r = 0; r < ws->runs; r++) {
        const part *x[ROWS];
        WORDS_EACH (i, rows) x[i] = t->x[i] + ws->offset[r];
        for (int64_t k = 0; k < ws->words; k++, w += vectors * VF32_LANES) {
            vi32 b[VECTORS];
            WORDS_EACH (v, vectors) memcpy(&b[v], w + v * VF32_LANES, sizeof b[v]);
            WORDS_EACH (i, rows) {
                uint32_t word;
                memcpy(&word, x[i] + k * WORD, sizeof word);
                vi32 a = words_set1(word);
                WORDS_EACH (v, vectors) sum[i][v] = words_dot(sum[i][v], a, b[v]);
            }
        }
    }
    if (kind != KEPT && sums_finish(rows, vectors, kind == ADDED, sum, e, to)) return true;
    WORDS_EACH (i, rows) {
        WORDS_EACH (v, vectors)
            memcpy(t->sums + (i * vectors + v) * VF32_LANES, &sum[i][v], sizeof(vi32));
    }
    return kind == KEPT;
}

#define SUMS_KEPT(rows, vectors)                                                                   \
    case rows:                                                                                     \
        (void)sums_run(rows, vectors, KEPT, ws, w, t, e, to);                                      \
        break;
/* Tiles of fewer rows, the last ones of an image, end from memory: three times the code gains them
 * nothing. */
#define SUMS_CASE(vectors)                                                                         \
    case vectors:                                                                                  \
        if (to && t->rows == ROWS)                                                                 \
            return e->adds ? sums_run(ROWS, vectors, ADDED, ws, w, t, e, to)                       \
                           : sums_run(ROWS, vectors, ENDED, ws, w, t, e, to);                      \
        switch (t->rows) {                                                                         \
            SUMS_KEPT(1, vectors)                                                                  \
            SUMS_KEPT(2, vectors)                                                                  \
            SUMS_KEPT(3, vectors)                                                                  \
            SUMS_KEPT(4, vectors)                                                                  \
            SUMS_KEPT(5, vectors)                                                                  \
            SUMS_KEPT(6, vectors)                                                                  \
        }                                                                                          \
        break;

/* to NULL: the sums stay as they are, in memory; false: so they do where they do not end well. */
static __attribute__((noinline)) bool sum_tile(const windows *ws, int64_t vectors,
                                               const uint32_t *w, tile *t, const ending *e,
                                               const place *to)
{
    switch (vectors) {
        SUMS_CASE(1)
        SUMS_CASE(2)
#if VF32_LANES == 16 || defined(__aarch64__)
        SUMS_CASE(3)
        SUMS_CASE(4)
#endif
    }
    return !to || ends_tile(e, t->rows, vectors * VF32_LANES, t->sums, to);
}
#endif

#endif
