/* UTF-8 and the case of letters, whatever the locale: what the string operators share. */
#ifndef TN_OPS_LETTERS_H
#define TN_OPS_LETTERS_H

#include "base/status.h"

#define TN_RUNE_BAD UINT32_MAX /* no character: bytes that are not UTF-8 */
#define TN_RUNE_LAST 0x10FFFFu

/* The character at `at`, of which `bytes` > 0 are left; returns how many it takes. A byte that
 * begins none is taken alone, as TN_RUNE_BAD. */
size_t tn_utf8_next(const char *at, size_t bytes, uint32_t *rune);
/* Returns how many bytes were written, at most 4. */
size_t tn_utf8_put(uint32_t rune, char *dst);

/* One letter to one letter, for the Latin (up to U+017F), Greek and Cyrillic scripts; anything else
 * stays. */
uint32_t tn_letter_lower(uint32_t rune);
uint32_t tn_letter_upper(uint32_t rune);

#endif
