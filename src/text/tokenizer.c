/* Loading, pairs and truncation. See tokenizer.h. */
#include "text/tokenizer.h"

#include <string.h>

#include "text/tokenizer_inside.h"

enum { SPECIALS_MAX = 4096 };

tn_status tn_tokenizer_add_special(tn_tokenizer *t, const char *text, size_t bytes, int32_t id)
{
    TN_CHECK(bytes > 0, TN_INVALID, "%s: a special token is empty", t->name);
    for (int i = 0; i < t->special_count; i++)
        if (t->special[i].bytes == bytes && memcmp(t->special[i].text, text, bytes) == 0)
            return NULL;
    TN_CHECK(t->special_count < SPECIALS_MAX, TN_UNSUPPORTED, "%s: more than %d special tokens",
             t->name, SPECIALS_MAX);
    /* Grown at powers of two. */
    if ((t->special_count & (t->special_count - 1)) == 0) {
        int room = t->special_count ? t->special_count * 2 : 1;
        tn_special *fresh = TN_NEW_ARRAY(&t->arena, tn_special, room);
        TN_CHECK(fresh, TN_OUT_OF_MEMORY, "no memory for %d special tokens", room);
        if (t->special_count > 0)
            memcpy(fresh, t->special, (size_t)t->special_count * sizeof(*fresh));
        t->special = fresh;
    }
    const char *copy = tn_arena_text(&t->arena, text, bytes);
    TN_CHECK(copy, TN_OUT_OF_MEMORY, "no memory for a special token");
    t->special[t->special_count++] = (tn_special){copy, bytes, id};
    return NULL;
}

static tn_status find_vital(const tn_tokenizer *t, const char *text, const char *use, int32_t *out)
{
    *out = tn_vocab_find(&t->vocab, text, strlen(text));
    TN_CHECK(*out >= 0, TN_INVALID,
             "%s: none of the %d lines is %s, which %s; is this the vocab.txt of a BERT?", t->name,
             t->vocab.id_count, text, use);
    return NULL;
}

static tn_status read_vocab(tn_tokenizer *t, const char *text, size_t bytes,
                            const tn_tokenizer_options *options)
{
    static const char *const specials[] = {"[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"};
    TN_TRY(tn_vocab_parse(&t->vocab, &t->arena, text, bytes, t->name));
    TN_TRY(find_vital(t, "[UNK]", "stands for unknown words", &t->unk));
    TN_TRY(find_vital(t, "[CLS]", "begins every text", &t->cls));
    TN_TRY(find_vital(t, "[SEP]", "ends every text", &t->sep));
    for (size_t i = 0; i < TN_COUNT(specials); i++) {
        int32_t id = tn_vocab_find(&t->vocab, specials[i], strlen(specials[i]));
        if (id >= 0) TN_TRY(tn_tokenizer_add_special(t, specials[i], strlen(specials[i]), id));
    }
    t->rules.bert4torch = options->mode == TN_TOKENIZER_BERT4TORCH;
    t->rules.clean = true;
    t->rules.lower = !options->keep_case;
    t->rules.strip = t->rules.lower;
    if (options->accents != 0) t->rules.strip = options->accents > 0;
    t->rules.ideographs = !options->join_ideographs;
    t->prefix = "##";
    t->prefix_bytes = 2;
    t->word_chars_max = 100;
    return NULL;
}

static tn_status add_never_split(tn_tokenizer *t, const tn_tokenizer_options *options)
{
    for (int i = 0; i < options->never_split_count; i++) {
        const char *text = options->never_split[i];
        TN_CHECK(text, TN_INVALID, "never_split[%d] is NULL", i);
        int32_t id = tn_vocab_find(&t->vocab, text, strlen(text));
        TN_CHECK(id >= 0, TN_INVALID, "%s: '%s' is not to be split, but is not in the vocabulary",
                 t->name, text);
        TN_TRY(tn_tokenizer_add_special(t, text, strlen(text), id));
    }
    return NULL;
}

static tn_status check_options(const tn_tokenizer_options *o, bool json, const char *name)
{
    bool bert4torch = o->mode == TN_TOKENIZER_BERT4TORCH;
    TN_CHECK(bert4torch || o->mode == TN_TOKENIZER_HUGGING_FACE, TN_INVALID,
             "%d is not a tokenizer mode", (int)o->mode);
    TN_CHECK(!json || !(bert4torch || o->keep_case || o->accents || o->join_ideographs), TN_INVALID,
             "%s says itself how it treats case, accents and ideographs, the way of Hugging Face; "
             "these options are for a vocab.txt",
             name);
    TN_CHECK(!bert4torch || !(o->accents || o->join_ideographs), TN_INVALID,
             "bert4torch strips accents exactly when it lower-cases, and splits ideographs always");
    TN_CHECK(o->never_split_count >= 0 && (o->never_split || !o->never_split_count), TN_INVALID,
             "never_split is NULL or never_split_count negative");
    return NULL;
}

static tn_status fill(tn_tokenizer *t, const char *text, size_t bytes, bool json,
                      const tn_tokenizer_options *options)
{
    if (json) TN_TRY(tn_tokenizer_read_json(t, text, bytes));
    else TN_TRY(read_vocab(t, text, bytes, options));
    TN_TRY(add_never_split(t, options));
    return tn_tokenizer_prepare(t);
}

tn_status tn_tokenizer_parse(const void *text, size_t bytes, bool json, const char *name,
                             const tn_tokenizer_options *given, tn_tokenizer **out)
{
    tn_tokenizer_options options = {.size = sizeof(options)};
    *out = NULL;
    if (given) memcpy(&options, given, TN_MIN(given->size, sizeof(options)));
    TN_TRY(check_options(&options, json, name));
    tn_tokenizer *t = tn_alloc_zero(sizeof(*t));
    TN_CHECK(t, TN_OUT_OF_MEMORY, "no memory for a tokenizer");
    t->name = name; /* while loading */
    tn_status status = fill(t, text, bytes, json, &options);
    t->name = NULL;
    if (!status) *out = t;
    else tn_tokenizer_free(t);
    return status;
}

void tn_tokenizer_free(tn_tokenizer *t)
{
    if (!t) return;
    tn_arena_fini(&t->arena);
    tn_free(t, sizeof(*t));
}

/* ---- Truncation of pairs
 * ---------------------------------------------------------------------------*/

/* How many tokens of each of two texts stay when there is room for `room`: the shorter whole where
 * it fits into half the room, the rest for the longer; else half for each. Of an odd room
 * bert4torch, which takes tokens one at a time from the longer and from the first where both are
 * equal, leaves the second one more; Hugging Face leaves it to the longer, or the second where both
 * are equal. */
static void share_room(bool bert4torch, size_t room, size_t *first, size_t *second)
{
    size_t shorter = TN_MIN(*first, *second), low = TN_MIN(shorter, room / 2);
    if (*second <= SIZE_MAX - *first && *first + *second <= room) return;
    bool more_first = *first > *second && !(bert4torch && shorter > room / 2);
    *first = more_first ? room - low : low;
    *second = more_first ? low : room - low;
}

static tn_status encode_pair(const tn_tokenizer *t, const tn_string *text, const tn_string *pair,
                             int64_t max_length, tn_id_list *ids, size_t *first_count)
{
    size_t first = SIZE_MAX, second = SIZE_MAX, begin = ids->count;
    if (max_length > 0) {
        tn_id_list counter = {0};
        TN_TRY_NOTE(tn_wordpiece(t, text, SIZE_MAX, &counter), "in the first text of a pair");
        first = counter.count;
        counter.count = 0;
        TN_TRY_NOTE(tn_wordpiece(t, pair, SIZE_MAX, &counter), "in the second text of a pair");
        second = counter.count;
        share_room(t->rules.bert4torch, (size_t)max_length - 3, &first, &second);
    }
    TN_TRY(tn_id_list_add(ids, t->cls));
    TN_TRY_NOTE(tn_wordpiece(t, text, first, ids), "in the first text of a pair");
    TN_TRY(tn_id_list_add(ids, t->sep));
    *first_count = ids->count - begin;
    TN_TRY_NOTE(tn_wordpiece(t, pair, second, ids), "in the second text of a pair");
    return tn_id_list_add(ids, t->sep);
}

tn_status tn_tokenizer_ids(const tn_tokenizer *t, const tn_string *text, const tn_string *pair,
                           int64_t max_length, tn_id_list *ids, size_t *first_count)
{
    int least = pair ? 3 : 2;
    TN_CHECK(
        max_length == 0 || max_length >= least, TN_INVALID,
        "a max_length of %lld has no room for the %d tokens around %s; use %d or more, or 0 for "
        "no limit",
        (long long)max_length, least, pair ? "a pair" : "a text", least);
    if (pair) return encode_pair(t, text, pair, max_length, ids, first_count);
    size_t begin = ids->count;
    TN_TRY(tn_id_list_add(ids, t->cls));
    TN_TRY(tn_wordpiece(t, text, max_length ? (size_t)max_length - 2 : SIZE_MAX, ids));
    TN_TRY(tn_id_list_add(ids, t->sep));
    *first_count = ids->count - begin;
    return NULL;
}

/* ---- Tokens
 * -----------------------------------------------------------------------------------------*/

int64_t tn_tokenizer_count(const tn_tokenizer *t)
{
    return t ? t->vocab.id_count : 0;
}

const char *tn_tokenizer_token(const tn_tokenizer *t, int64_t id)
{
    return t && id >= 0 && id < t->vocab.id_count ? t->vocab.token[id].text : NULL;
}

int64_t tn_tokenizer_find(const tn_tokenizer *t, const char *token)
{
    return t && token ? tn_vocab_find(&t->vocab, token, strlen(token)) : -1;
}
