/* Packed weights in the order that they came in. */
#include <string.h>

#include "device/device.h"

bool tn_panels_counts(const tn_panels *panels, int64_t *elements, int64_t *packed)
{
    const tn_panels *p = panels;
    int64_t panel, matrix;
    if (p->matrices < 1 || p->rows < 1 || p->columns < 1 || p->width < 1) return false;
    if (!tn_mul_i64(p->rows, p->width, &panel) || !tn_mul_i64(p->rows, p->columns, &matrix))
        return false;
    return tn_mul_i64(panel, (p->columns - 1) / p->width + 1, packed) &&
           tn_mul_i64(*packed, p->matrices, packed) && tn_mul_i64(matrix, p->matrices, elements);
}

/* Rows of a panel that are turned at once: a line of the cache of each column. */
enum { TURNED_ROWS = 16 };

static void unpack_panel(const tn_panels *p, int64_t columns, const uint32_t *src, uint32_t *dst)
{
    if (!p->turned) {
        for (int64_t row = 0; row < p->rows; row++)
            memcpy(dst + row * p->columns, src + row * p->width, (size_t)columns * sizeof *dst);
        return;
    }
    for (int64_t first = 0; first < p->rows; first += TURNED_ROWS) {
        int64_t end = TN_MIN(first + TURNED_ROWS, p->rows);
        for (int64_t column = 0; column < columns; column++)
            for (int64_t row = first; row < end; row++)
                dst[column * p->rows + row] = src[row * p->width + column];
    }
}

void tn_panels_unpack(const tn_panels *panels, const void *packed, void *dst)
{
    const tn_panels *p = panels;
    const uint32_t *src = packed;
    uint32_t *to = dst;
    for (int64_t matrix = 0; matrix < p->matrices; matrix++, to += p->rows * p->columns)
        for (int64_t column = 0; column < p->columns; column += p->width, src += p->rows * p->width)
            unpack_panel(p, TN_MIN(p->width, p->columns - column), src,
                         to + column * (p->turned ? p->rows : 1));
}
