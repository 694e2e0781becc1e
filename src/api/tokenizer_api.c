/* Tokenizers: argument checks, files, and batches as tensors. */
#include <string.h>

#include "api/api.h"
#include "base/file.h"
#include "text/tokenizer.h"

tn_status tn_tokenizer_load(const char *path, const tn_tokenizer_options *options,
                            tn_tokenizer **out)
{
    TN_NOT_NULL(path);
    TN_NOT_NULL(out);
    *out = NULL;
    tn_mapping mapping;
    size_t length = strlen(path);
    bool json = length >= 5 && strcmp(path + length - 5, ".json") == 0;
    TN_TRY(tn_file_map(path, &mapping));
    tn_status status = tn_tokenizer_parse(mapping.at, mapping.bytes, json, path, options, out);
    tn_file_unmap(&mapping);
    TN_TRY(status);
    return NULL;
}

tn_status tn_tokenizer_encode(const tn_tokenizer *tokenizer, const char *text, const char *pair,
                              int64_t max_length, int64_t *ids, int64_t *segment_ids,
                              size_t capacity, size_t *count)
{
    TN_NOT_NULL(tokenizer);
    TN_NOT_NULL(text);
    TN_NOT_NULL(count);
    TN_CHECK(ids || capacity == 0, TN_INVALID, "%s: ids is NULL, but the capacity %zu", __func__,
             capacity);
    tn_string first = {text, strlen(text)}, second = {pair, pair ? strlen(pair) : 0};
    tn_id_list list = {.at = ids, .capacity = capacity};
    size_t first_count;
    *count = 0;
    TN_TRY(tn_tokenizer_ids(tokenizer, &first, pair ? &second : NULL, max_length, &list,
                            &first_count));
    *count = list.count;
    if (capacity == 0) return NULL;
    TN_CHECK(list.count <= capacity, TN_INVALID,
             "the text has %zu tokens; there is room for %zu. Give more room, or a max_length",
             list.count, capacity);
    for (size_t i = 0; segment_ids && i < list.count; i++) segment_ids[i] = i >= first_count;
    return NULL;
}

/* ---- Batches
 * ------------------------------------------------------------------------------------*/

typedef struct row {
    size_t begin, count, first_count; /* in the list of all ids */
} row;

static tn_status encode_rows(const tn_tokenizer *tokenizer, const tn_string *texts,
                             const tn_string *pairs, int64_t count, int64_t max_length,
                             tn_id_list *all, row *rows, size_t *longest)
{
    for (int64_t i = 0; i < count; i++) {
        TN_CHECK(texts[i].text || !texts[i].bytes, TN_INVALID, "text %lld is NULL", (long long)i);
        TN_CHECK(!pairs || pairs[i].text || !pairs[i].bytes, TN_INVALID, "pair %lld is NULL",
                 (long long)i);
        rows[i].begin = all->count;
        TN_TRY_NOTE(tn_tokenizer_ids(tokenizer, &texts[i], pairs ? &pairs[i] : NULL, max_length,
                                     all, &rows[i].first_count),
                    "in text %lld of %lld", (long long)i, (long long)count);
        rows[i].count = all->count - rows[i].begin;
        *longest = TN_MAX(*longest, rows[i].count);
    }
    return NULL;
}

/* A tensor to fill: ours, which `made` says, or the caller's. */
static tn_status open_tensor(tn_tensor *tensor, const char *what, int64_t count, int64_t longest,
                             bool *made)
{
    if (!tensor) return NULL;
    if (!tensor->data) {
        TN_TRY(tn_tensor_new(TN_DTYPE_I64, (int64_t[]){count, longest}, 2, tensor));
        *made = true;
        return NULL;
    }
    bool shape = tensor->dtype == TN_DTYPE_I64 && tensor->rank == 2 && tensor->dim[0] == count;
    TN_CHECK(shape, TN_INVALID, "%s must be an i64 tensor of %lld rows", what, (long long)count);
    bool dense = (tensor->stride[0] == 0 && tensor->stride[1] == 0) ||
                 (tensor->stride[0] == tensor->dim[1] && tensor->stride[1] == 1);
    TN_CHECK(dense, TN_INVALID, "%s must be dense", what);
    TN_CHECK(tensor->dim[1] >= longest, TN_INVALID,
             "%s has rows of %lld; the longest text has %lld tokens", what,
             (long long)tensor->dim[1], (long long)longest);
    return NULL;
}

typedef enum fill_kind { FILL_IDS, FILL_SEGMENTS, FILL_MASK } fill_kind;

static void fill(tn_tensor *tensor, fill_kind kind, const row *rows, const int64_t *all,
                 int64_t pad)
{
    if (!tensor) return;
    int64_t length = tensor->dim[1];
    for (int64_t r = 0; r < tensor->dim[0]; r++) {
        int64_t *to = (int64_t *)tensor->data + r * length;
        int64_t first = (int64_t)rows[r].first_count, count = (int64_t)rows[r].count;
        for (int64_t i = 0; i < length; i++)
            to[i] =
                kind == FILL_MASK ? i < count : kind == FILL_SEGMENTS && i >= first && i < count;
        if (kind != FILL_IDS) continue;
        memcpy(to, all + rows[r].begin, rows[r].count * sizeof(*to));
        for (int64_t i = count; i < length; i++) to[i] = pad;
    }
}

static tn_status fill_tensors(const row *rows, int64_t count, int64_t longest, const int64_t *all,
                              int64_t pad, tn_tensor *ids, tn_tensor *segment_ids, tn_tensor *mask)
{
    tn_tensor *tensor[] = {ids, segment_ids, mask};
    static const char *const name[] = {"ids", "segment_ids", "mask"};
    bool made[3] = {false};
    tn_status status = NULL;
    for (int i = 0; i < 3 && !status; i++)
        status = open_tensor(tensor[i], name[i], count, longest, &made[i]);
    for (int i = 0; i < 3; i++) {
        if (!status) fill(tensor[i], (fill_kind)i, rows, all, pad);
        else if (made[i]) tn_tensor_free(tensor[i]);
    }
    return status;
}

tn_status tn_tokenizer_encode_batch(const tn_tokenizer *tokenizer, const tn_string *texts,
                                    const tn_string *pairs, int64_t count, int64_t max_length,
                                    tn_tensor *ids, tn_tensor *segment_ids, tn_tensor *mask)
{
    TN_NOT_NULL(tokenizer);
    TN_NOT_NULL(texts);
    TN_NOT_NULL(ids);
    TN_CHECK(count > 0 && count <= INT32_MAX, TN_INVALID, "%s: a batch of %lld texts", __func__,
             (long long)count);
    size_t row_bytes = (size_t)count * sizeof(row), longest = 0;
    row *rows = tn_alloc(row_bytes);
    TN_CHECK(rows, TN_OUT_OF_MEMORY, "no memory for a batch of %lld texts", (long long)count);
    tn_id_list all = {.grows = true};
    tn_status status =
        encode_rows(tokenizer, texts, pairs, count, max_length, &all, rows, &longest);
    int64_t pad = tn_tokenizer_find(tokenizer, "[PAD]");
    bool ragged =
        all.count < longest * (size_t)count || (ids->data && ids->dim[1] > (int64_t)longest);
    if (!status && ragged && pad < 0)
        status =
            TN_ERROR(TN_INVALID, "texts of different lengths need padding, but the vocabulary has "
                                 "no [PAD]; encode them one at a time");
    if (!status)
        status = fill_tensors(rows, count, (int64_t)longest, all.at, pad, ids, segment_ids, mask);
    tn_id_list_fini(&all);
    tn_free(rows, row_bytes);
    return status;
}
