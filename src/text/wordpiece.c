/* One walk over the text: characters become letters, letters words, words pieces.
 *
 *     text     Hello，世界[MASK]
 *     letters  h e l l o | ，| 世 | 界 | [MASK]     a table look-up for almost all
 *     pieces   hello  ，  世  界  [MASK]            longest first: un ##believ ##able
 *
 * A word by itself (ideograph, punctuation) has its id in the table already. Words of more than
 * word_chars_max characters are unknown, so a buffer of that size is enough for any text.
 */
#include <string.h>

#include "text/tokenizer_inside.h"

typedef struct word {
    int count; /* characters; beyond the limit they are only counted */
    uint32_t code[TN_WORD_CHARS_MAX];
} word;

typedef struct walk {
    const tn_tokenizer *t;
    const uint8_t *begin, *at, *end;
    size_t stop; /* ids->count at which there is enough */
    tn_id_list *ids;
    word word;
} walk;

tn_status tn_id_list_add(tn_id_list *list, int64_t id)
{
    if (list->count >= list->capacity && list->grows) {
        size_t wanted = TN_MAX(list->capacity * 2, (size_t)256), bytes;
        TN_CHECK(tn_mul_size(wanted, sizeof(int64_t), &bytes), TN_OUT_OF_MEMORY,
                 "a list cannot hold %zu ids", wanted);
        int64_t *fresh = tn_resize(list->at, list->capacity * sizeof(int64_t), bytes);
        TN_CHECK(fresh, TN_OUT_OF_MEMORY, "no memory for %zu ids", wanted);
        list->at = fresh;
        list->capacity = wanted;
    }
    if (list->count < list->capacity) list->at[list->count] = id;
    list->count++;
    return NULL;
}

void tn_id_list_fini(tn_id_list *list)
{
    tn_free(list->at, list->capacity * sizeof(int64_t));
    *list = (tn_id_list){0};
}

/* ---- A word to pieces
 * ---------------------------------------------------------------------------*/

/* Longest match first. A word of which a part matches nothing is one unknown token. */
static tn_status split_word(const tn_tokenizer *t, const uint32_t *code, int count, tn_id_list *ids)
{
    char text[4 * TN_WORD_CHARS_MAX];
    uint16_t start[TN_WORD_CHARS_MAX + 1]; /* of each character in the text */
    uint64_t hash[TN_WORD_CHARS_MAX + 1];
    int32_t piece[TN_WORD_CHARS_MAX];
    int piece_count = 0;
    size_t bytes = 0;
    for (int i = 0; i < count; i++) {
        start[i] = (uint16_t)bytes;
        bytes += tn_utf8_write(code[i], text + bytes);
    }
    start[count] = (uint16_t)bytes;
    for (int from = 0; from < count;) {
        size_t prefix_bytes = from > 0 ? t->prefix_bytes : 0;
        uint64_t state = from > 0 ? t->prefix_hash : TN_TOKEN_HASH_BEGIN;
        int to = from;
        while (to < count && start[to + 1] - start[from] + prefix_bytes <= t->vocab.bytes_max) {
            for (int i = start[to]; i < start[to + 1]; i++)
                state = tn_token_hash_add(state, (uint8_t)text[i]);
            hash[++to] = state;
        }
        int32_t id = -1;
        for (; to > from; to--) {
            id = tn_vocab_find_hashed(&t->vocab, tn_token_hash_finish(hash[to]), t->prefix,
                                      prefix_bytes, text + start[from],
                                      (size_t)(start[to] - start[from]));
            if (id >= 0) break;
        }
        if (id < 0) return tn_id_list_add(ids, t->unk);
        piece[piece_count++] = id;
        from = to;
    }
    for (int i = 0; i < piece_count; i++) TN_TRY(tn_id_list_add(ids, piece[i]));
    return NULL;
}

static tn_status end_word(walk *w)
{
    int count = w->word.count;
    if (count == 0) return NULL;
    w->word.count = 0;
    if (count > w->t->word_chars_max) return tn_id_list_add(w->ids, w->t->unk);
    return split_word(w->t, w->word.code, count, w->ids);
}

static inline void add_letter(walk *w, uint32_t code)
{
    if (w->word.count < w->t->word_chars_max) w->word.code[w->word.count] = code;
    /* One more than the limit says it all, and cannot overflow. */
    if (w->word.count <= w->t->word_chars_max) w->word.count++;
}

/* Canonical order: a mark moves before those of a higher class. */
static void add_mark(walk *w, uint32_t code, int class)
{
    uint32_t *at = w->word.code;
    int i = w->word.count;
    add_letter(w, code);
    if (i >= w->t->word_chars_max) return;
    for (; i > 0 && tn_combining_class(at[i - 1]) > class; i--) {
        at[i] = at[i - 1];
        at[i - 1] = code;
    }
}

static int32_t id_of(const tn_tokenizer *t, uint32_t code)
{
    char text[4];
    int32_t id = tn_vocab_find(&t->vocab, text, tn_utf8_write(code, text));
    return id < 0 ? t->unk : id;
}

static tn_status add_letters(walk *w, uint32_t code)
{
    tn_letter letter[TN_LETTERS_MAX];
    int count = tn_letters_of(&w->t->rules, code, letter);
    for (int i = 0; i < count; i++) {
        if (letter[i].kind != TN_LETTER_WORD) {
            TN_TRY(end_word(w));
            if (letter[i].kind == TN_LETTER_ALONE)
                TN_TRY(tn_id_list_add(w->ids, id_of(w->t, letter[i].code)));
            continue;
        }
        int class = tn_combining_class(letter[i].code);
        if (class > 0 && w->t->rules.strip) add_mark(w, letter[i].code, class);
        else add_letter(w, letter[i].code);
    }
    return NULL;
}

/* ---- Special tokens and whole pieces
 * --------------------------------------------------------------*/

static const tn_special *find_special(const tn_tokenizer *t, const uint8_t *at, const uint8_t *end)
{
    if (!t->special_lead[*at]) return NULL;
    for (int i = 0; i < t->special_count; i++)
        if (t->special[i].bytes <= (size_t)(end - at) &&
            memcmp(at, t->special[i].text, t->special[i].bytes) == 0)
            return &t->special[i];
    return NULL;
}

/* bert4torch takes a stretch between special tokens whole if, lowered and stripped, it is a token
 * itself ("...", "##ing", a word of several ideographs). Looks no further than the longest token is
 * long; *stop is the end of the stretch if that was reached. */
static int32_t find_whole(const walk *w, const uint8_t **stop)
{
    const tn_tokenizer *t = w->t;
    uint32_t code[TN_WORD_CHARS_MAX];
    char text[4 * TN_WORD_CHARS_MAX];
    int count = 0, most = (int)TN_MIN(t->vocab.bytes_max, (uint32_t)TN_WORD_CHARS_MAX);
    const uint8_t *at = w->at;
    while (at < w->end && !find_special(t, at, w->end)) {
        tn_letter letter[TN_LETTERS_MAX];
        uint32_t c;
        size_t step = tn_utf8_read(at, w->end, &c);
        if (step == 0) return -1; /* the walk will say so */
        int letters = tn_letters_plain(&t->rules, c, letter);
        if (count + letters > most) return -1;
        for (int i = 0; i < letters; i++) {
            int k = count++, class = tn_combining_class(letter[i].code);
            for (; class > 0 && k > 0 && tn_combining_class(code[k - 1]) > class; k--)
                code[k] = code[k - 1];
            code[k] = letter[i].code;
        }
        at += step;
    }
    size_t bytes = 0;
    for (int i = 0; i < count; i++) bytes += tn_utf8_write(code[i], text + bytes);
    *stop = at;
    return bytes > 0 ? tn_vocab_find(&t->vocab, text, bytes) : -1;
}

/* At the begin of a stretch between special tokens. */
static tn_status begin_stretch(walk *w)
{
    const uint8_t *stop;
    if (!w->t->rules.bert4torch) return NULL;
    int32_t id = find_whole(w, &stop);
    if (id < 0) return NULL;
    w->at = stop;
    return tn_id_list_add(w->ids, id);
}

/* ---- The walk
 * --------------------------------------------------------------------------------------*/

static tn_status step(walk *w)
{
    const tn_tokenizer *t = w->t;
    const tn_special *special = find_special(t, w->at, w->end);
    if (special) {
        TN_TRY(end_word(w));
        TN_TRY(tn_id_list_add(w->ids, special->id));
        w->at += special->bytes;
        return begin_stretch(w);
    }
    uint32_t code;
    size_t bytes = tn_utf8_read(w->at, w->end, &code);
    if (bytes == 0) return tn_utf8_fail(w->begin, w->at, w->end);
    w->at += bytes;
    uint32_t letter =
        code < TN_LETTER_COUNT ? t->letter[code] : (uint32_t)TN_LETTER_MANY << TN_LETTER_BITS;
    uint32_t value = letter & ((1u << TN_LETTER_BITS) - 1);
    switch ((tn_letter_kind)(letter >> TN_LETTER_BITS)) {
    case TN_LETTER_WORD: add_letter(w, value); return NULL;
    case TN_LETTER_ALONE: TN_TRY(end_word(w)); return tn_id_list_add(w->ids, value);
    case TN_LETTER_SPACE: return end_word(w);
    case TN_LETTER_DROP: return NULL;
    case TN_LETTER_MANY: break;
    }
    return add_letters(w, code);
}

tn_status tn_wordpiece(const tn_tokenizer *tokenizer, const tn_string *text, size_t limit,
                       tn_id_list *ids)
{
    walk w;
    if (text->bytes == 0) return NULL;
    w.t = tokenizer;
    w.begin = w.at = (const uint8_t *)text->text;
    w.end = w.begin + text->bytes;
    w.ids = ids;
    w.stop = limit > SIZE_MAX - ids->count ? SIZE_MAX : ids->count + limit;
    w.word.count = 0;
    TN_TRY(begin_stretch(&w));
    while (w.at < w.end && ids->count < w.stop) TN_TRY(step(&w));
    if (ids->count < w.stop) TN_TRY(end_word(&w));
    ids->count = TN_MIN(ids->count, w.stop);
    return NULL;
}

/* ---- The table
 * --------------------------------------------------------------------------------------*/

static bool is_within(uint32_t code, uint32_t first, uint32_t last)
{
    return code >= first && code <= last;
}

static uint32_t letter_entry(const tn_tokenizer *t, uint32_t code)
{
    /* Three blocks are most of the table, and known without asking for properties. */
    bool ideograph = is_within(code, 0x4E00, 0x9FFF) || is_within(code, 0x3400, 0x4DBF);
    if (t->rules.ideographs && ideograph)
        return (uint32_t)TN_LETTER_ALONE << TN_LETTER_BITS | (uint32_t)id_of(t, code);
    if (t->rules.clean && is_within(code, 0xE000, 0xF8FF))
        return (uint32_t)TN_LETTER_DROP << TN_LETTER_BITS;
    if (t->rules.strip && is_within(code, 0xAC00, 0xD7A3))
        return (uint32_t)TN_LETTER_MANY << TN_LETTER_BITS;
    tn_letter letter[TN_LETTERS_MAX];
    int count = tn_letters_of(&t->rules, code, letter);
    if (count == 0) return (uint32_t)TN_LETTER_DROP << TN_LETTER_BITS;
    bool marks = letter[0].kind == TN_LETTER_WORD && tn_combining_class(letter[0].code) > 0;
    if (count > 1 || marks) return (uint32_t)TN_LETTER_MANY << TN_LETTER_BITS;
    uint32_t value = letter[0].code;
    if (letter[0].kind == TN_LETTER_ALONE) value = (uint32_t)id_of(t, value);
    return (uint32_t)letter[0].kind << TN_LETTER_BITS | value;
}

tn_status tn_tokenizer_prepare(tn_tokenizer *t)
{
    uint64_t state = TN_TOKEN_HASH_BEGIN;
    for (size_t i = 0; i < t->prefix_bytes; i++)
        state = tn_token_hash_add(state, (uint8_t)t->prefix[i]);
    t->prefix_hash = state;
    /* Longest first, so that the first that fits is the longest. */
    for (int i = 1; i < t->special_count; i++) {
        tn_special moved = t->special[i];
        int k = i;
        for (; k > 0 && t->special[k - 1].bytes < moved.bytes; k--)
            t->special[k] = t->special[k - 1];
        t->special[k] = moved;
    }
    for (int i = 0; i < t->special_count; i++)
        t->special_lead[(uint8_t)t->special[i].text[0]] = true;
    t->letter = TN_NEW_ARRAY(&t->arena, uint32_t, TN_LETTER_COUNT);
    TN_CHECK(t->letter, TN_OUT_OF_MEMORY, "no memory for a table of letters");
    for (uint32_t code = 0; code < TN_LETTER_COUNT; code++) t->letter[code] = letter_entry(t, code);
    return NULL;
}
