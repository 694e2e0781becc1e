/* The first byte chooses: the rest is a vocab.txt or a tokenizer.json, up to a byte 0x1E or the
 * end, and what follows it a text; without one, a text for a small vocabulary. Whatever is accepted
 * must give ids that are tokens, within the length asked for, and the same when asked for twice. */
#include <string.h>

#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

static const char small[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##a\nb\n##b\n##ab\n...\n\xE4\xB8\xAD\n!\n";

static void encode(const tn_tokenizer *t, const tn_string *text, const tn_string *pair,
                   int64_t length)
{
    tn_id_list ids = {.grows = true}, counter = {0};
    size_t first, first_again;
    tn_status status = tn_tokenizer_ids(t, text, pair, length, &ids, &first);
    if (!status) {
        if (length && ids.count > (size_t)length) __builtin_trap();
        for (size_t i = 0; i < ids.count; i++)
            if (!tn_tokenizer_token(t, ids.at[i])) __builtin_trap();
        if (tn_tokenizer_ids(t, text, pair, length, &counter, &first_again)) __builtin_trap();
        if (counter.count != ids.count || first != first_again) __builtin_trap();
    }
    tn_id_list_fini(&ids);
}

/* One for each way of reading the small vocabulary, made once. */
static const tn_tokenizer *small_tokenizer(const tn_tokenizer_options *options, int choice)
{
    static tn_tokenizer *made[4];
    if (!made[choice] &&
        tn_tokenizer_parse(small, sizeof(small) - 1, false, "small", options, &made[choice]))
        __builtin_trap();
    return made[choice];
}

static void encode_all(const tn_tokenizer *t, const tn_string *text, int64_t more)
{
    tn_string half = {text->text, text->bytes / 2};
    encode(t, text, NULL, 0);
    encode(t, text, NULL, 2 + more);
    encode(t, text, &half, 3 + more);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    tn_tokenizer *t;
    if (byte_count < 1) return 0;
    uint8_t choice = *bytes++;
    byte_count--;
    tn_tokenizer_options options = {
        .size = sizeof(options),
        .mode = choice & 1 ? TN_TOKENIZER_BERT4TORCH : TN_TOKENIZER_HUGGING_FACE,
        .keep_case = choice & 2,
    };
    tn_string text = {(const char *)bytes, byte_count};
    tn_set_log(NULL, NULL, TN_LOG_ERROR);
    if (!(choice & 4)) {
        encode_all(small_tokenizer(&options, choice & 3), &text, choice / 16);
        return 0;
    }
    const uint8_t *end = byte_count ? memchr(bytes, 0x1E, byte_count) : NULL;
    size_t vocab = end ? (size_t)(end - bytes) : byte_count;
    bool json = choice & 8;
    if (tn_tokenizer_parse(bytes, vocab, json, "fuzz", json ? NULL : &options, &t)) return 0;
    text =
        end ? (tn_string){(const char *)end + 1, byte_count - vocab - 1} : (tn_string){"a ab!", 5};
    encode_all(t, &text, choice / 16);
    tn_tokenizer_free(t);
    return 0;
}
