/* tokenizer.json of Hugging Face's tokenizers, as far as it describes a BERT: a WordPiece model
 * with BertNormalizer, BertPreTokenizer and the template [CLS] A [SEP] B [SEP]. What else the
 * format can say is refused by name: a tokenizer that is nearly right gives answers that are nearly
 * right. */
#include <string.h>

#include "base/json.h"
#include "text/tokenizer_inside.h"

static const char *type_of(const json_t *value)
{
    const char *type = json_string_value(json_object_get(value, "type"));
    return type ? type : json_is_null(value) || !value ? "null" : "(none)";
}

static tn_status expect_type(const tn_tokenizer *t, const json_t *value, const char *part,
                             const char *wanted)
{
    TN_CHECK(strcmp(type_of(value), wanted) == 0, TN_UNSUPPORTED,
             "%s: the %s is of type %.64s; only %s is supported", t->name, part, type_of(value),
             wanted);
    return NULL;
}

static tn_status get_flag(const tn_tokenizer *t, const json_t *object, const char *key,
                          bool otherwise, bool *out)
{
    const json_t *value = json_object_get(object, key);
    bool absent = !value || json_is_null(value);
    TN_CHECK(absent || json_is_boolean(value), TN_CORRUPT, "%s: '%s' is neither true nor false",
             t->name, key);
    *out = absent ? otherwise : json_is_true(value);
    return NULL;
}

static tn_status read_normalizer(tn_tokenizer *t, const json_t *root)
{
    const json_t *normalizer = json_object_get(root, "normalizer");
    TN_TRY(expect_type(t, normalizer, "normalizer", "BertNormalizer"));
    TN_TRY(get_flag(t, normalizer, "clean_text", true, &t->rules.clean));
    TN_TRY(get_flag(t, normalizer, "handle_chinese_chars", true, &t->rules.ideographs));
    TN_TRY(get_flag(t, normalizer, "lowercase", true, &t->rules.lower));
    return get_flag(t, normalizer, "strip_accents", t->rules.lower, &t->rules.strip);
}

/* ---- Tokens
 * ---------------------------------------------------------------------------------------*/

static tn_status get_id(const tn_tokenizer *t, const json_t *value, const char *token, int64_t *out)
{
    TN_CHECK(json_is_integer(value), TN_CORRUPT,
             "%s: the id of token '%.64s' is not a whole number", t->name, token);
    *out = json_integer_value(value);
    TN_CHECK(*out >= 0, TN_CORRUPT, "%s: the id %lld of token '%.64s' is negative", t->name,
             (long long)*out, token);
    return NULL;
}

/* One more than the greatest id. Ids far beyond the number of tokens are refused, so that a small
 * file cannot ask for much memory. */
static tn_status count_ids(const tn_tokenizer *t, const json_t *vocab, const json_t *added,
                           int64_t *out)
{
    const char *text;
    const json_t *value;
    size_t i;
    int64_t most = -1, id, total = (int64_t)(json_object_size(vocab) + json_array_size(added));
    json_object_foreach((json_t *)vocab, text, value)
    {
        TN_TRY(get_id(t, value, text, &id));
        most = TN_MAX(most, id);
    }
    json_array_foreach(added, i, value)
    {
        TN_TRY(get_id(t, json_object_get(value, "id"), "(added)", &id));
        most = TN_MAX(most, id);
    }
    TN_CHECK(most < 4 * total + 65536, TN_CORRUPT, "%s: %lld tokens, but one has the id %lld",
             t->name, (long long)total, (long long)most);
    *out = most + 1;
    return NULL;
}

/* Added tokens are found in the raw text; the forms that look at the text around them, or at the
 * normalised text, are refused. */
static tn_status add_token(tn_tokenizer *t, const json_t *added)
{
    static const char *const refused[] = {"single_word", "lstrip", "rstrip", "normalized"};
    const json_t *content = json_object_get(added, "content");
    TN_CHECK(json_is_string(content), TN_CORRUPT, "%s: an added token has no content", t->name);
    const char *text = json_string_value(content);
    size_t bytes = json_string_length(content);
    for (size_t i = 0; i < TN_COUNT(refused); i++) {
        bool on;
        TN_TRY(get_flag(t, added, refused[i], false, &on));
        TN_CHECK(!on, TN_UNSUPPORTED,
                 "%s: the added token '%.64s' is \"%s\", which is not supported", t->name, text,
                 refused[i]);
    }
    int32_t id = (int32_t)json_integer_value(json_object_get(added, "id")), old;
    int32_t known = tn_vocab_find(&t->vocab, text, bytes);
    if (known < 0) TN_TRY(tn_vocab_put(&t->vocab, text, bytes, id, 0, &old));
    TN_CHECK(known < 0 || known == id, TN_CORRUPT,
             "%s: the added token '%.64s' has the id %d, but %d in the vocabulary", t->name, text,
             id, known);
    return tn_tokenizer_add_special(t, text, bytes, id);
}

static tn_status read_tokens(tn_tokenizer *t, const json_t *root, const json_t *model)
{
    const json_t *vocab = json_object_get(model, "vocab"), *value;
    const json_t *added = json_object_get(root, "added_tokens");
    const char *text;
    size_t i;
    int32_t old;
    int64_t count;
    TN_CHECK(json_is_object(vocab) && json_object_size(vocab) > 0, TN_CORRUPT,
             "%s: the model has no vocab, or an empty one", t->name);
    TN_CHECK(!added || json_is_null(added) || json_is_array(added), TN_CORRUPT,
             "%s: added_tokens is not a list", t->name);
    TN_TRY(count_ids(t, vocab, added, &count));
    TN_TRY_NOTE(tn_vocab_init(&t->vocab, &t->arena, count), "while reading %s", t->name);
    json_object_foreach((json_t *)vocab, text, value) TN_TRY_NOTE(
        tn_vocab_put(&t->vocab, text, strlen(text), (int32_t)json_integer_value(value), 0, &old),
        "while reading the vocab of %s", t->name);
    json_array_foreach(added, i, value)
        TN_TRY_NOTE(add_token(t, value), "in added token %zu of %s", i, t->name);
    return NULL;
}

/* ---- The model and the template
 * ---------------------------------------------------------------------*/

static tn_status read_model(tn_tokenizer *t, const json_t *root)
{
    const json_t *model = json_object_get(root, "model");
    const json_t *limit = json_object_get(model, "max_input_chars_per_word");
    const char *unk = json_string_value(json_object_get(model, "unk_token"));
    const char *prefix = json_string_value(json_object_get(model, "continuing_subword_prefix"));
    /* Files older than the field say what they are by what they hold. */
    if (!json_object_get(model, "type"))
        TN_CHECK(prefix, TN_UNSUPPORTED, "%s: the model has no type, and is no WordPiece", t->name);
    else TN_TRY(expect_type(t, model, "model", "WordPiece"));
    if (!unk) unk = "[UNK]";
    if (!prefix) prefix = "##";
    int64_t chars = limit ? json_integer_value(limit) : 100;
    TN_CHECK(chars >= 1 && chars <= TN_WORD_CHARS_MAX, TN_UNSUPPORTED,
             "%s: max_input_chars_per_word is %lld; 1 to %d are supported", t->name,
             (long long)chars, TN_WORD_CHARS_MAX);
    t->word_chars_max = (int)chars;
    t->prefix_bytes = strlen(prefix);
    t->prefix = tn_arena_text(&t->arena, prefix, t->prefix_bytes);
    TN_CHECK(t->prefix, TN_OUT_OF_MEMORY, "no memory for a prefix");
    TN_TRY(read_tokens(t, root, model));
    t->unk = tn_vocab_find(&t->vocab, unk, strlen(unk));
    TN_CHECK(t->unk >= 0, TN_INVALID, "%s: the unknown token '%.64s' is not in the vocab", t->name,
             unk);
    return NULL;
}

static tn_status find_token(const tn_tokenizer *t, const char *text, int32_t *out)
{
    TN_CHECK(text, TN_CORRUPT, "%s: the post_processor names no token where it must", t->name);
    *out = tn_vocab_find(&t->vocab, text, strlen(text));
    TN_CHECK(*out >= 0, TN_INVALID,
             "%s: the token '%.64s' of the post_processor is not in the vocab", t->name, text);
    return NULL;
}

static const char *special_at(const json_t *template, size_t i)
{
    const json_t *special = json_object_get(json_array_get(template, i), "SpecialToken");
    return json_string_value(json_object_get(special, "id"));
}

/* The item is a sequence, or a special token, of the segment. */
static bool item_is(const json_t *template, size_t i, const char *kind, const char *id, int segment)
{
    const json_t *item = json_object_get(json_array_get(template, i), kind);
    const char *text = json_string_value(json_object_get(item, "id"));
    const json_t *type = json_object_get(item, "type_id");
    return text && id && strcmp(text, id) == 0 && json_is_integer(type) &&
           json_integer_value(type) == segment;
}

static bool is_bert_template(const json_t *single, const json_t *pair, const char *cls,
                             const char *sep)
{
    return json_array_size(single) == 3 && item_is(single, 0, "SpecialToken", cls, 0) &&
           item_is(single, 1, "Sequence", "A", 0) && item_is(single, 2, "SpecialToken", sep, 0) &&
           json_array_size(pair) == 5 && item_is(pair, 0, "SpecialToken", cls, 0) &&
           item_is(pair, 1, "Sequence", "A", 0) && item_is(pair, 2, "SpecialToken", sep, 0) &&
           item_is(pair, 3, "Sequence", "B", 1) && item_is(pair, 4, "SpecialToken", sep, 1);
}

static tn_status read_template(tn_tokenizer *t, const json_t *root)
{
    const json_t *post = json_object_get(root, "post_processor");
    const char *cls, *sep;
    if (strcmp(type_of(post), "BertProcessing") == 0) {
        cls = json_string_value(json_array_get(json_object_get(post, "cls"), 0));
        sep = json_string_value(json_array_get(json_object_get(post, "sep"), 0));
    } else {
        TN_TRY(expect_type(t, post, "post_processor", "TemplateProcessing"));
        const json_t *single = json_object_get(post, "single"),
                     *pair = json_object_get(post, "pair");
        cls = special_at(single, 0);
        sep = special_at(single, 2);
        TN_CHECK(is_bert_template(single, pair, cls, sep), TN_UNSUPPORTED,
                 "%s: the template is not [CLS] A [SEP] and [CLS] A [SEP] B [SEP]", t->name);
    }
    TN_TRY(find_token(t, cls, &t->cls));
    return find_token(t, sep, &t->sep);
}

tn_status tn_tokenizer_read_json(tn_tokenizer *t, const char *text, size_t bytes)
{
    json_t *root;
    TN_TRY(tn_json_parse(text, bytes, t->name, &root));
    tn_status status = read_normalizer(t, root);
    if (!status)
        status = expect_type(t, json_object_get(root, "pre_tokenizer"), "pre_tokenizer",
                             "BertPreTokenizer");
    if (!status) status = read_model(t, root);
    if (!status) status = read_template(t, root);
    json_decref(root);
    return status;
}
