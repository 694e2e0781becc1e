/* Private to text: the vocabulary, the table of letters, and what joins them. */
#ifndef TN_TEXT_TOKENIZER_INSIDE_H
#define TN_TEXT_TOKENIZER_INSIDE_H

#include "text/tokenizer.h"

/* ---- Vocabulary: token text <-> id -----------------------------------------------------------*/

typedef struct tn_token {
    const char *text; /* zero-ended, in the arena; NULL: no token has this id */
    uint32_t bytes;
    uint32_t line; /* of the file, from 1; 0: not from a text file */
} tn_token;

typedef struct tn_token_slot {
    uint32_t tag; /* upper half of the hash */
    int32_t id;   /* -1: empty */
} tn_token_slot;

typedef struct tn_vocab {
    tn_arena *arena;
    tn_token *token; /* [id_count] */
    int32_t id_count;
    tn_token_slot *slot; /* open addressing, at most half full */
    size_t slot_count, used_count;
    uint32_t bytes_max; /* of the longest token */
} tn_vocab;

/* The hash of a text is built byte by byte, so that one walk over a word gives the hashes of all
 * its prefixes; FINISH mixes the state for use as an index. */
#define TN_TOKEN_HASH_BEGIN 0x9E3779B97F4A7C15ull
static inline uint64_t tn_token_hash_add(uint64_t state, uint8_t byte)
{
    return (state ^ byte) * 0x00000100000001B3ull;
}
static inline uint64_t tn_token_hash_finish(uint64_t state)
{
    state ^= state >> 29;
    state *= 0xBF58476D1CE4E5B9ull;
    return state ^ state >> 32;
}

/* Room for ids below id_count and as many texts. */
tn_status tn_vocab_init(tn_vocab *vocab, tn_arena *arena, int64_t id_count) TN_MUST_USE;
/* A text that is there already moves to the new id, as in the peers' dictionaries; *old is its
 * former id, or -1. */
tn_status tn_vocab_put(tn_vocab *vocab, const char *text, size_t bytes, int32_t id, uint32_t line,
                       int32_t *old) TN_MUST_USE;
/* -1 where there is none. */
int32_t tn_vocab_find(const tn_vocab *vocab, const char *text, size_t bytes);
/* The id of prefix + text, whose hash is known; -1 where there is none. */
int32_t tn_vocab_find_hashed(const tn_vocab *vocab, uint64_t hash, const char *prefix,
                             size_t prefix_bytes, const char *text, size_t bytes);
/* A token a line; ids count from 0. */
tn_status tn_vocab_parse(tn_vocab *vocab, tn_arena *arena, const char *text, size_t bytes,
                         const char *name) TN_MUST_USE;

/* ---- Letters: what becomes of a character -------------------------------------------------------
 *
 * Normalisation looks at one character at a time (combining marks that are kept are put in
 * canonical order within their word, later). A character becomes no, one or several letters, each
 * of a kind:
 */
typedef enum tn_letter_kind {
    TN_LETTER_WORD,  /* part of a word */
    TN_LETTER_ALONE, /* a word by itself: punctuation, an ideograph */
    TN_LETTER_SPACE, /* ends a word */
    TN_LETTER_DROP,  /* as if it were not there */
    TN_LETTER_MANY,  /* ask tn_letters_of */
} tn_letter_kind;

typedef struct tn_rules {
    bool bert4torch;
    bool clean; /* drop control characters */
    bool lower;
    bool strip;      /* decompose and drop accents */
    bool ideographs; /* are words by themselves */
} tn_rules;

#define TN_LETTERS_MAX 20
typedef struct tn_letter {
    tn_letter_kind kind;
    uint32_t code; /* the character */
} tn_letter;

int tn_letters_of(const tn_rules *rules, uint32_t code, tn_letter out[TN_LETTERS_MAX]);
/* bert4torch's first step alone: lower-case, decompose, drop accents; nothing is split. */
int tn_letters_plain(const tn_rules *rules, uint32_t code, tn_letter out[TN_LETTERS_MAX]);
int tn_combining_class(uint32_t code);

/* The next character of [at, end), at < end; 0 where the bytes there are not UTF-8. */
size_t tn_utf8_read(const uint8_t *at, const uint8_t *end, uint32_t *code);
size_t tn_utf8_write(uint32_t code, char out[4]);
/* INVALID, and says where and why. */
tn_status tn_utf8_fail(const uint8_t *begin, const uint8_t *at, const uint8_t *end) TN_MUST_USE;
bool tn_is_space(uint32_t code);

/* ---- The tokenizer
 * --------------------------------------------------------------------------------*/

/* Texts that are one token wherever they stand in the raw text. */
typedef struct tn_special {
    const char *text;
    size_t bytes;
    int32_t id;
} tn_special;

#define TN_WORD_CHARS_MAX 1000

struct tn_tokenizer {
    tn_arena arena;
    tn_vocab vocab;
    tn_rules rules;
    const char *name;
    tn_special *special; /* longest first */
    int special_count;
    bool special_lead[256]; /* bytes that one of them begins with */
    const char *prefix;     /* of a piece inside a word: "##" */
    size_t prefix_bytes;
    uint64_t prefix_hash; /* state after it */
    int word_chars_max;   /* longer words are unknown: 100 */
    int32_t unk, cls, sep;
    /* What becomes of each character below U+10000: a kind in the top 3 bits; below it the
     * character, or for ALONE the id of its token. */
    uint32_t *letter;
};

#define TN_LETTER_BITS 29
#define TN_LETTER_COUNT 0x10000

/* Fills letter, special_lead and the order of the specials, when all else is set. */
tn_status tn_tokenizer_prepare(tn_tokenizer *tokenizer) TN_MUST_USE;
tn_status tn_tokenizer_add_special(tn_tokenizer *tokenizer, const char *text, size_t bytes,
                                   int32_t id) TN_MUST_USE;
tn_status tn_tokenizer_read_json(tn_tokenizer *tokenizer, const char *text,
                                 size_t bytes) TN_MUST_USE;

/* The ids of a text without [CLS] and [SEP], at most `limit`, added to `ids`. */
tn_status tn_wordpiece(const tn_tokenizer *tokenizer, const tn_string *text, size_t limit,
                       tn_id_list *ids) TN_MUST_USE;
tn_status tn_id_list_add(tn_id_list *list, int64_t id) TN_MUST_USE;

#endif
