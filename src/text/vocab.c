/* The vocabulary: one hash table with linear probing over texts in the arena, and vocab.txt. */
#include <string.h>

#include "base/log.h"
#include "text/tokenizer_inside.h"

enum { TOKEN_BYTES_MAX = 4096, IDS_MAX = 1 << 26 };

tn_status tn_vocab_init(tn_vocab *vocab, tn_arena *arena, int64_t id_count)
{
    TN_CHECK(id_count > 0 && id_count <= IDS_MAX, TN_INVALID,
             "a vocabulary of %lld tokens; between 1 and %d are allowed", (long long)id_count,
             IDS_MAX);
    *vocab = (tn_vocab){.arena = arena, .id_count = (int32_t)id_count, .slot_count = 16};
    while (vocab->slot_count < 2 * (size_t)id_count) vocab->slot_count *= 2;
    vocab->token = TN_NEW_ARRAY(arena, tn_token, id_count);
    vocab->slot = TN_NEW_ARRAY(arena, tn_token_slot, vocab->slot_count);
    TN_CHECK(vocab->token && vocab->slot, TN_OUT_OF_MEMORY,
             "no memory for a vocabulary of %lld tokens", (long long)id_count);
    memset(vocab->slot, 0xff, vocab->slot_count * sizeof(tn_token_slot));
    return NULL;
}

static uint64_t hash_text(const char *text, size_t bytes)
{
    uint64_t state = TN_TOKEN_HASH_BEGIN;
    for (size_t i = 0; i < bytes; i++) state = tn_token_hash_add(state, (uint8_t)text[i]);
    return tn_token_hash_finish(state);
}

/* The slot of prefix + text, or the empty one where it belongs. */
static tn_token_slot *find_slot(const tn_vocab *vocab, uint64_t hash, const char *prefix,
                                size_t prefix_bytes, const char *text, size_t bytes)
{
    size_t mask = vocab->slot_count - 1;
    uint32_t tag = (uint32_t)(hash >> 32);
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        tn_token_slot *slot = &vocab->slot[i];
        if (slot->id < 0) return slot;
        const tn_token *token = &vocab->token[slot->id];
        if (slot->tag == tag && token->bytes == prefix_bytes + bytes &&
            memcmp(token->text, prefix, prefix_bytes) == 0 &&
            memcmp(token->text + prefix_bytes, text, bytes) == 0)
            return slot;
    }
}

int32_t tn_vocab_find_hashed(const tn_vocab *vocab, uint64_t hash, const char *prefix,
                             size_t prefix_bytes, const char *text, size_t bytes)
{
    return find_slot(vocab, hash, prefix, prefix_bytes, text, bytes)->id;
}

int32_t tn_vocab_find(const tn_vocab *vocab, const char *text, size_t bytes)
{
    return find_slot(vocab, hash_text(text, bytes), "", 0, text, bytes)->id;
}

tn_status tn_vocab_put(tn_vocab *vocab, const char *text, size_t bytes, int32_t id, uint32_t line,
                       int32_t *old)
{
    uint64_t hash = hash_text(text, bytes);
    TN_CHECK(bytes <= TOKEN_BYTES_MAX, TN_UNSUPPORTED,
             "token %d has %zu bytes; at most %d are supported", id, bytes, TOKEN_BYTES_MAX);
    TN_CHECK(!memchr(text, 0, bytes), TN_INVALID, "token %d has a zero byte in it", id);
    TN_CHECK(id >= 0 && id < vocab->id_count, TN_INVALID, "the token id %d is outside [0, %d)", id,
             vocab->id_count);
    TN_CHECK(!vocab->token[id].text, TN_INVALID, "two tokens have the id %d: '%s' and '%.*s'", id,
             vocab->token[id].text, (int)TN_MIN(bytes, (size_t)64), text);
    char *copy = tn_arena_text(vocab->arena, text, bytes);
    TN_CHECK(copy, TN_OUT_OF_MEMORY, "no memory for a token");
    tn_token_slot *slot = find_slot(vocab, hash, "", 0, text, bytes);
    *old = slot->id;
    if (slot->id < 0) vocab->used_count++;
    vocab->token[id] = (tn_token){.text = copy, .bytes = (uint32_t)bytes, .line = line};
    *slot = (tn_token_slot){.tag = (uint32_t)(hash >> 32), .id = id};
    vocab->bytes_max = TN_MAX(vocab->bytes_max, (uint32_t)bytes);
    return NULL;
}

/* ---- vocab.txt
 * ------------------------------------------------------------------------------------
 *
 * A line ends at LF alone: U+2028 and others are tokens. Space at the end of a line is no part of
 * the token, nor, as bert4torch strips both ends, at its begin: no token can have any inside a
 * word.
 */
static void strip_line(const char **line, size_t *bytes)
{
    const uint8_t *at = (const uint8_t *)*line, *end = at + *bytes;
    const uint8_t *first = NULL, *last = at;
    while (at < end) {
        uint32_t code;
        size_t step = tn_utf8_read(at, end, &code);
        if (!tn_is_space(code)) {
            if (!first) first = at;
            last = at + step;
        }
        at += step;
    }
    *bytes = first ? (size_t)(last - first) : 0;
    if (first) *line = (const char *)first;
}

static tn_status check_utf8(const char *line, size_t bytes)
{
    const uint8_t *at = (const uint8_t *)line, *end = at + bytes;
    while (at < end) {
        uint32_t code;
        size_t step = tn_utf8_read(at, end, &code);
        if (step == 0) return tn_utf8_fail((const uint8_t *)line, at, end);
        at += step;
    }
    return NULL;
}

/* Tokens by which the tokenizer stands or falls; two of them mean that two files were joined. */
static bool is_vital(const char *text, size_t bytes)
{
    static const char *const vital[] = {"[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"};
    for (size_t i = 0; i < TN_COUNT(vital); i++)
        if (strlen(vital[i]) == bytes && memcmp(vital[i], text, bytes) == 0) return true;
    return false;
}

static tn_status add_line(tn_vocab *vocab, const char *line, size_t bytes, int32_t id,
                          const char *name, int *repeat_count)
{
    int32_t old;
    TN_TRY(check_utf8(line, bytes));
    strip_line(&line, &bytes);
    TN_TRY(tn_vocab_put(vocab, line, bytes, id, (uint32_t)id + 1, &old));
    if (old < 0 || bytes == 0) return NULL;
    TN_CHECK(!is_vital(line, bytes), TN_INVALID,
             "%s:%d: the token %.*s stands a second time; it was on line %u. Remove one of the two",
             name, id + 1, (int)bytes, line, vocab->token[old].line);
    if ((*repeat_count)++ == 0)
        tn_log(TN_LOG_WARNING,
               "%s:%d: the token '%.*s' was on line %u already; the later id counts", name, id + 1,
               (int)TN_MIN(bytes, (size_t)64), line, vocab->token[old].line);
    return NULL;
}

tn_status tn_vocab_parse(tn_vocab *vocab, tn_arena *arena, const char *text, size_t bytes,
                         const char *name)
{
    if (bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        bytes -= 3;
    }
    TN_CHECK(bytes > 0, TN_CORRUPT, "%s: the vocabulary is empty", name);
    const char *end = text + bytes;
    int64_t line_count = end[-1] != '\n';
    for (const char *at = text; (at = memchr(at, '\n', (size_t)(end - at))); at++) line_count++;
    TN_TRY_NOTE(tn_vocab_init(vocab, arena, line_count), "while reading %s", name);
    int repeat_count = 0;
    for (int32_t id = 0; id < vocab->id_count; id++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        if (!stop) stop = end;
        TN_TRY_NOTE(add_line(vocab, text, (size_t)(stop - text), id, name, &repeat_count),
                    "while reading %s, line %d", name, id + 1);
        text = stop + 1;
    }
    if (repeat_count > 1)
        tn_log(TN_LOG_WARNING, "%s: %d lines repeat an earlier token", name, repeat_count);
    return NULL;
}
