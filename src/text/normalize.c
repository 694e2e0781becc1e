/* What becomes of a character: cleaning, ideographs, accents, case, punctuation.
 *
 * Both peers lower-case a character at a time or have no sigma left when they do whole words, so a
 * capital sigma becomes U+03C3 at the end of a word too. The one character whose lower case is two
 * is U+0130 (i and a dot above, which goes with the accents).
 *
 * Hugging Face's normaliser carries tables of Unicode 8: later marks, punctuation and format
 * characters are ordinary letters to it. `newer` lists them, so that ids agree there too.
 * bert4torch uses Python's tables, which like ours are today's.
 */
#include <string.h>
#include <utf8proc.h>

#include "text/tokenizer_inside.h"

size_t tn_utf8_read(const uint8_t *at, const uint8_t *end, uint32_t *code)
{
    uint32_t a = at[0];
    size_t left = (size_t)(end - at);
    if (a < 0x80) {
        *code = a;
        return 1;
    }
    if (a < 0xE0) {
        if (a < 0xC2 || left < 2 || (at[1] & 0xC0) != 0x80) return 0;
        *code = (a & 0x1F) << 6 | (at[1] & 0x3Fu);
        return 2;
    }
    if (a < 0xF0) {
        if (left < 3 || (at[1] & 0xC0) != 0x80 || (at[2] & 0xC0) != 0x80) return 0;
        *code = (a & 0x0F) << 12 | (at[1] & 0x3Fu) << 6 | (at[2] & 0x3Fu);
        return *code < 0x800 || (*code >= 0xD800 && *code < 0xE000) ? 0 : 3;
    }
    if (a > 0xF4 || left < 4 || (at[1] & 0xC0) != 0x80 || (at[2] & 0xC0) != 0x80 ||
        (at[3] & 0xC0) != 0x80)
        return 0;
    *code = (a & 7) << 18 | (at[1] & 0x3Fu) << 12 | (at[2] & 0x3Fu) << 6 | (at[3] & 0x3Fu);
    return *code < 0x10000 || *code > 0x10FFFF ? 0 : 4;
}

size_t tn_utf8_write(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

tn_status tn_utf8_fail(const uint8_t *begin, const uint8_t *at, const uint8_t *end)
{
    size_t left = (size_t)(end - at), place = (size_t)(at - begin);
    if (left >= 3 && at[0] == 0xED && at[1] >= 0xA0 && (at[2] & 0xC0) == 0x80)
        TN_FAIL(
            TN_INVALID,
            "the text is not UTF-8: a lone surrogate, U+%04X, at byte %zu; encode the text from "
            "whole characters",
            0xD000u | (at[1] & 0x3Fu) << 6 | (at[2] & 0x3Fu), place);
    TN_FAIL(TN_INVALID, "the text is not UTF-8: the byte 0x%02X at byte %zu %s", at[0], place,
            at[0] >= 0xC2 && at[0] <= 0xF4 ? "begins a character that is cut off or spelled wrongly"
                                           : "cannot begin a character");
}

/* ---- Properties ------------------------------------------------------------------------------*/

int tn_combining_class(uint32_t code)
{
    return utf8proc_get_property((utf8proc_int32_t)code)->combining_class;
}

static utf8proc_category_t category_of(uint32_t code)
{
    return utf8proc_category((utf8proc_int32_t)code);
}

bool tn_is_space(uint32_t code)
{
    if (code < 0x80) return code == ' ' || (code >= 9 && code <= 13);
    if (code == 0x85) return true;
    utf8proc_category_t c = category_of(code);
    return c == UTF8PROC_CATEGORY_ZS || c == UTF8PROC_CATEGORY_ZL || c == UTF8PROC_CATEGORY_ZP;
}

/* Marks, punctuation and format characters younger than Unicode 8. */
static const uint32_t newer[][2] = {
    {0x61D, 0x61D},     {0x7FD, 0x7FD},     {0x890, 0x891},     {0x898, 0x89F},
    {0x8CA, 0x8E2},     {0x9FD, 0x9FE},     {0xA76, 0xA76},     {0xAFA, 0xAFF},
    {0xB55, 0xB55},     {0xC04, 0xC04},     {0xC3C, 0xC3C},     {0xC77, 0xC77},
    {0xC84, 0xC84},     {0xD00, 0xD00},     {0xD3B, 0xD3C},     {0xD81, 0xD81},
    {0xEBA, 0xEBA},     {0xECE, 0xECE},     {0x180F, 0x180F},   {0x1885, 0x1886},
    {0x1ABF, 0x1ACE},   {0x1B7D, 0x1B7E},   {0x1DF6, 0x1DFB},   {0x2E43, 0x2E4F},
    {0x2E52, 0x2E5D},   {0xA82C, 0xA82C},   {0xA8C5, 0xA8C5},   {0xA8FF, 0xA8FF},
    {0xA9BD, 0xA9BD},   {0x10D24, 0x10D27}, {0x10EAB, 0x10EAD}, {0x10EFD, 0x10EFF},
    {0x10F46, 0x10F50}, {0x10F55, 0x10F59}, {0x10F82, 0x10F89}, {0x11070, 0x11070},
    {0x11073, 0x11074}, {0x110C2, 0x110C2}, {0x110CD, 0x110CD}, {0x111CF, 0x111CF},
    {0x1123E, 0x1123E}, {0x11241, 0x11241}, {0x1133B, 0x1133B}, {0x11438, 0x1143F},
    {0x11442, 0x11444}, {0x11446, 0x11446}, {0x1144B, 0x1144F}, {0x1145A, 0x1145B},
    {0x1145D, 0x1145E}, {0x11660, 0x1166C}, {0x116B9, 0x116B9}, {0x1182F, 0x11837},
    {0x11839, 0x1183B}, {0x1193B, 0x1193C}, {0x1193E, 0x1193E}, {0x11943, 0x11946},
    {0x119D4, 0x119D7}, {0x119DA, 0x119DB}, {0x119E0, 0x119E0}, {0x119E2, 0x119E2},
    {0x11A01, 0x11A0A}, {0x11A33, 0x11A38}, {0x11A3B, 0x11A47}, {0x11A51, 0x11A56},
    {0x11A59, 0x11A5B}, {0x11A8A, 0x11A96}, {0x11A98, 0x11A9C}, {0x11A9E, 0x11AA2},
    {0x11B00, 0x11B09}, {0x11C30, 0x11C36}, {0x11C38, 0x11C3D}, {0x11C3F, 0x11C3F},
    {0x11C41, 0x11C45}, {0x11C70, 0x11C71}, {0x11C92, 0x11CA7}, {0x11CAA, 0x11CB0},
    {0x11CB2, 0x11CB3}, {0x11CB5, 0x11CB6}, {0x11D31, 0x11D36}, {0x11D3A, 0x11D3A},
    {0x11D3C, 0x11D3D}, {0x11D3F, 0x11D45}, {0x11D47, 0x11D47}, {0x11D90, 0x11D91},
    {0x11D95, 0x11D95}, {0x11D97, 0x11D97}, {0x11EF3, 0x11EF4}, {0x11EF7, 0x11EF8},
    {0x11F00, 0x11F01}, {0x11F36, 0x11F3A}, {0x11F40, 0x11F40}, {0x11F42, 0x11F4F},
    {0x11FFF, 0x11FFF}, {0x12FF1, 0x12FF2}, {0x13430, 0x13440}, {0x13447, 0x13455},
    {0x16E97, 0x16E9A}, {0x16F4F, 0x16F4F}, {0x16FE2, 0x16FE2}, {0x16FE4, 0x16FE4},
    {0x1CF00, 0x1CF2D}, {0x1CF30, 0x1CF46}, {0x1E000, 0x1E006}, {0x1E008, 0x1E018},
    {0x1E01B, 0x1E021}, {0x1E023, 0x1E024}, {0x1E026, 0x1E02A}, {0x1E08F, 0x1E08F},
    {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF},
    {0x1E944, 0x1E94A}, {0x1E95E, 0x1E95F}};

static bool is_newer(uint32_t code)
{
    size_t low = 0, high = TN_COUNT(newer);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (code > newer[middle][1]) low = middle + 1;
        else if (code < newer[middle][0]) high = middle;
        else return true;
    }
    return false;
}

/* Characters whose category has changed since: an accent, punctuation and punctuation they were. */
enum { CHANGED_TO_LETTER = 0x1734, CHANGED_TO_ACCENT = 0x111C9, CHANGED_TO_SYMBOL = 0x166D };

static bool is_accent(const tn_rules *rules, uint32_t code)
{
    if (code < 0x300) return false;
    bool accent = category_of(code) == UTF8PROC_CATEGORY_MN;
    if (rules->bert4torch) return accent;
    if (code == CHANGED_TO_LETTER) return true;
    return accent && code != CHANGED_TO_ACCENT && !is_newer(code);
}

static bool is_control(const tn_rules *rules, uint32_t code)
{
    if (code == '\t' || code == '\n' || code == '\r') return false;
    if (code == 0xFFFD) return true;
    switch (category_of(code)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CO: return true;
    case UTF8PROC_CATEGORY_CF: return rules->bert4torch || !is_newer(code);
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CS: return rules->bert4torch;
    default: return false;
    }
}

static bool is_punctuation(const tn_rules *rules, uint32_t code)
{
    if (code < 0x80)
        return (code >= 33 && code <= 47) || (code >= 58 && code <= 64) ||
               (code >= 91 && code <= 96) || (code >= 123 && code <= 126);
    utf8proc_category_t c = category_of(code);
    if (c < UTF8PROC_CATEGORY_PC || c > UTF8PROC_CATEGORY_PO)
        return !rules->bert4torch && (code == CHANGED_TO_SYMBOL || code == CHANGED_TO_ACCENT);
    return rules->bert4torch || !is_newer(code);
}

/* Eight ranges; the seventh begins 256 later in Hugging Face's fast tokenizer, a slip of the pen
 * that models have been served with. */
static bool is_ideograph(const tn_rules *rules, uint32_t code)
{
    if (code < 0x3400) return false;
    return (code >= 0x4E00 && code <= 0x9FFF) || (code >= 0x3400 && code <= 0x4DBF) ||
           (code >= 0x20000 && code <= 0x2A6DF) || (code >= 0x2A700 && code <= 0x2B73F) ||
           (code >= 0x2B740 && code <= 0x2B81F) ||
           (code >= (rules->bert4torch ? 0x2B820u : 0x2B920u) && code <= 0x2CEAF) ||
           (code >= 0xF900 && code <= 0xFAFF) || (code >= 0x2F800 && code <= 0x2FA1F);
}

static int lower_case(uint32_t code, uint32_t out[2])
{
    if (code == 0x130) {
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
    return 1;
}

enum { DECOMPOSED_MAX = 8 };

/* Canonical decomposition less the accents. */
static int strip_accents(const tn_rules *rules, uint32_t code, uint32_t out[DECOMPOSED_MAX])
{
    utf8proc_int32_t part[DECOMPOSED_MAX] = {(utf8proc_int32_t)code};
    int boundary = 0, count = 0;
    utf8proc_ssize_t parts = 1;
    if (code >= 0x80)
        parts = utf8proc_decompose_char((utf8proc_int32_t)code, part, DECOMPOSED_MAX,
                                        UTF8PROC_DECOMPOSE, &boundary);
    for (utf8proc_ssize_t i = 0; i < parts && i < DECOMPOSED_MAX; i++)
        if (!is_accent(rules, (uint32_t)part[i])) out[count++] = (uint32_t)part[i];
    return count;
}

/* ---- The two orders of the same steps
 * ----------------------------------------------------------*/

static tn_letter classify(const tn_rules *rules, uint32_t code)
{
    if (rules->clean && is_control(rules, code)) return (tn_letter){TN_LETTER_DROP, code};
    if (tn_is_space(code)) return (tn_letter){TN_LETTER_SPACE, code};
    if (is_punctuation(rules, code)) return (tn_letter){TN_LETTER_ALONE, code};
    return (tn_letter){TN_LETTER_WORD, code};
}

int tn_letters_plain(const tn_rules *rules, uint32_t code, tn_letter out[TN_LETTERS_MAX])
{
    uint32_t low[2] = {code}, part[DECOMPOSED_MAX];
    int low_count = 1, count = 0;
    if (rules->lower) low_count = lower_case(code, low);
    for (int i = 0; i < low_count; i++) {
        part[0] = low[i];
        int parts = rules->strip ? strip_accents(rules, low[i], part) : 1;
        for (int k = 0; k < parts; k++) out[count++] = (tn_letter){TN_LETTER_WORD, part[k]};
    }
    return count;
}

/* Lower, decompose and strip first, then clean, set ideographs apart, lower again, split. */
static int letters_of_bert4torch(const tn_rules *rules, uint32_t code,
                                 tn_letter out[TN_LETTERS_MAX])
{
    tn_letter part[TN_LETTERS_MAX];
    int parts = tn_letters_plain(rules, code, part), count = 0;
    for (int i = 0; i < parts; i++) {
        uint32_t low[2] = {part[i].code};
        int low_count = rules->lower ? lower_case(part[i].code, low) : 1;
        bool apart = rules->ideographs && is_ideograph(rules, part[i].code);
        for (int k = 0; k < low_count; k++) {
            tn_letter letter = classify(rules, low[k]);
            if (letter.kind == TN_LETTER_WORD && apart) letter.kind = TN_LETTER_ALONE;
            if (letter.kind != TN_LETTER_DROP) out[count++] = letter;
        }
    }
    return count;
}

/* Clean and set ideographs apart by the character as it stands, then strip, lower, split. */
static int letters_of_hugging_face(const tn_rules *rules, uint32_t code,
                                   tn_letter out[TN_LETTERS_MAX])
{
    tn_letter whole = classify(rules, code);
    if (whole.kind == TN_LETTER_DROP) return 0;
    if (whole.kind == TN_LETTER_SPACE) {
        out[0] = whole;
        return 1;
    }
    bool apart = rules->ideographs && is_ideograph(rules, code);
    uint32_t part[DECOMPOSED_MAX] = {code}, low[2];
    int parts = rules->strip ? strip_accents(rules, code, part) : 1, count = 0;
    for (int i = 0; i < parts; i++) {
        low[0] = part[i];
        int low_count = rules->lower ? lower_case(part[i], low) : 1;
        for (int k = 0; k < low_count; k++) {
            tn_letter letter = {TN_LETTER_WORD, low[k]};
            if (tn_is_space(low[k])) letter.kind = TN_LETTER_SPACE;
            else if (apart || is_punctuation(rules, low[k])) letter.kind = TN_LETTER_ALONE;
            out[count++] = letter;
        }
    }
    return count;
}

int tn_letters_of(const tn_rules *rules, uint32_t code, tn_letter out[TN_LETTERS_MAX])
{
    return rules->bert4torch ? letters_of_bert4torch(rules, code, out)
                             : letters_of_hugging_face(rules, code, out);
}
