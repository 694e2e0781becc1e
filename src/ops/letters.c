#include "ops/letters.h"

size_t tn_utf8_next(const char *at, size_t bytes, uint32_t *rune)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; /* by length: no longer forms */
    const uint8_t *b = (const uint8_t *)at;
    size_t count = b[0] < 0x80   ? 1
                   : b[0] < 0xC2 ? 0
                   : b[0] < 0xE0 ? 2
                   : b[0] < 0xF0 ? 3
                   : b[0] < 0xF5 ? 4
                                 : 0;
    *rune = TN_RUNE_BAD;
    if (count == 0 || count > bytes) return 1;
    uint32_t value = count == 1 ? b[0] : b[0] & (0x7Fu >> count);
    for (size_t i = 1; i < count; i++) {
        if ((b[i] & 0xC0) != 0x80) return 1;
        value = value << 6 | (b[i] & 0x3Fu);
    }
    bool surrogate = value >= 0xD800 && value <= 0xDFFF;
    if (value < least[count] || value > TN_RUNE_LAST || surrogate) return 1;
    *rune = value;
    return count;
}

size_t tn_utf8_put(uint32_t rune, char *dst)
{
    uint8_t *b = (uint8_t *)dst;
    if (rune < 0x80) {
        b[0] = (uint8_t)rune;
        return 1;
    }
    size_t count = rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;
    for (size_t i = count - 1; i > 0; i--, rune >>= 6) b[i] = (uint8_t)(0x80 | (rune & 0x3F));
    b[0] = (uint8_t)(0xF00 >> count | rune);
    return count;
}

/* Capitals first..last have their small letters `by` further on; with by = 1, capitals and small
 * letters take turns, beginning with a capital. */
static const struct letters {
    uint16_t first, last, by;
} letters[] = {
    {'A', 'Z', 32},       {0x00C0, 0x00D6, 32}, {0x00D8, 0x00DE, 32}, {0x0100, 0x012E, 1},
    {0x0132, 0x0136, 1},  {0x0139, 0x0147, 1},  {0x014A, 0x0176, 1},  {0x0179, 0x017D, 1},
    {0x0386, 0x0386, 38}, {0x0388, 0x038A, 37}, {0x038C, 0x038C, 64}, {0x038E, 0x038F, 63},
    {0x0391, 0x03A1, 32}, {0x03A3, 0x03AB, 32}, {0x0400, 0x040F, 80}, {0x0410, 0x042F, 32},
    {0x0460, 0x0480, 1},  {0x048A, 0x04BE, 1},  {0x04C1, 0x04CD, 1},  {0x04D0, 0x052E, 1},
};

/* Letters that only go one way, or far. */
static const struct odd_letter {
    uint16_t from, lower, upper;
} odd[] = {
    {0x0178, 0x00FF, 0x0178},                        /* Y with diaeresis */
    {0x00FF, 0x00FF, 0x0178}, {0x0130, 'i', 0x0130}, /* I with a dot */
    {0x0131, 0x0131, 'I'},                           /* i without one */
    {0x017F, 0x017F, 'S'},                           /* long s */
    {0x03C2, 0x03C2, 0x03A3},                        /* sigma at the end of a word */
    {0x00B5, 0x00B5, 0x039C},                        /* micro */
    {0x212A, 'k', 0x212A},                           /* kelvin */
};

static uint32_t change_case(uint32_t rune, bool up)
{
    for (size_t i = 0; i < TN_COUNT(odd); i++)
        if (odd[i].from == rune) return up ? odd[i].upper : odd[i].lower;
    for (size_t i = 0; i < TN_COUNT(letters); i++) {
        uint32_t first = letters[i].first, last = letters[i].last, by = letters[i].by;
        uint32_t base = up ? rune - by : rune; /* wraps below `by`: beyond every row then */
        if (base < first || base > last || (by == 1 && (base - first) % 2)) continue;
        return up ? base : rune + by;
    }
    return rune;
}

uint32_t tn_letter_lower(uint32_t rune)
{
    return change_case(rune, false);
}

uint32_t tn_letter_upper(uint32_t rune)
{
    return change_case(rune, true);
}
