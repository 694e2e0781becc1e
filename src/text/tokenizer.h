/* Text to token ids: BERT's WordPiece, as Hugging Face's BertTokenizerFast and as bert4torch do it.
 *
 *     text --normalize--> words --wordpiece--> ids --> [CLS] ids [SEP], cut to a length
 *
 * A tokenizer is immutable once loaded, so any number of threads may share it; encoding keeps its
 * state on the stack and allocates nothing but the growing of a list that asks for it. Text is read
 * once, a character at a time, and a word is never longer than a fixed buffer: a word of 10 MB
 * costs no memory.
 */
#ifndef TN_TEXT_TOKENIZER_H
#define TN_TEXT_TOKENIZER_H

#include "base/memory.h"

/* Reads `bytes` of a vocab.txt, or with `json` of a tokenizer.json; `name` stands in messages. The
 * text is only read during the call. options may be NULL. */
tn_status tn_tokenizer_parse(const void *text, size_t bytes, bool json, const char *name,
                             const tn_tokenizer_options *options, tn_tokenizer **out) TN_MUST_USE;

/* A list of ids that a caller or we own. Ids beyond the capacity are counted, not stored, unless it
 * grows. */
typedef struct tn_id_list {
    int64_t *at;
    size_t count, capacity;
    bool grows; /* `at` is ours: free it with tn_id_list_fini */
} tn_id_list;

void tn_id_list_fini(tn_id_list *list);

/* The ids of a text or, where `pair` is not NULL, of two: [CLS] text [SEP] or [CLS] text [SEP] pair
 * [SEP], at most max_length of them (0: no limit). *first_count is how many belong to segment 0.
 * `ids` is added to. A text that is not UTF-8 is INVALID and the message names the byte; without a
 * pair, what lies beyond max_length is not read. */
tn_status tn_tokenizer_ids(const tn_tokenizer *tokenizer, const tn_string *text,
                           const tn_string *pair, int64_t max_length, tn_id_list *ids,
                           size_t *first_count) TN_MUST_USE;

#endif
