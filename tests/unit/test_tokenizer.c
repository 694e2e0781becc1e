/* The tokenizer: the vectors of the workflow, 300 texts of a peer, both modes where they differ,
 * pairs, batches, hostile text and vocabularies, and every allocation failing in turn. The expected
 * ids of the small vocabulary are those of Hugging Face's tokenizers 0.23. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <tenon/tenon.h>

#include "base/file.h"
#include "base/json.h"
#include "fault/failing_allocator.h"
#include "text/tokenizer.h"

#define FIXTURES TN_SOURCE_DIR "/tests/fixtures/tokenizer/"
#define SHARED TN_SOURCE_DIR "/../shared/"
#define BERT_VOCAB SHARED "data/bert-base-chinese-vocab/vocab.txt"

static tn_tokenizer *load(const char *path, tn_tokenizer_mode mode)
{
    tn_tokenizer_options options = {.size = sizeof(options), .mode = mode};
    tn_tokenizer *t = NULL;
    assert_null(tn_tokenizer_load(path, &options, &t));
    assert_non_null(t);
    return t;
}

/* The ids as text, "2 7 8 3", or the message of the error. */
static const char *encode(const tn_tokenizer *t, const char *text, const char *pair,
                          int64_t max_length)
{
    static char out[8192];
    int64_t ids[1024], segments[1024];
    size_t count, at = 0;
    tn_status status = tn_tokenizer_encode(t, text, pair, max_length, ids, segments, 1024, &count);
    if (status) return tn_status_message(status);
    for (size_t i = 0; i < count; i++)
        at +=
            (size_t)snprintf(out + at, sizeof(out) - at, "%s%lld", i ? " " : "", (long long)ids[i]);
    if (!pair) return out;
    at += (size_t)snprintf(out + at, sizeof(out) - at, " |");
    for (size_t i = 0; i < count; i++)
        at += (size_t)snprintf(out + at, sizeof(out) - at, " %lld", (long long)segments[i]);
    return out;
}

static void test_small_vocabulary(void **state)
{
    static const char *const rows[][2] = {
        {"", "2 3"},
        {"  \t\r\n\xC2\xA0\xE3\x80\x80", "2 3"},
        {"unbelievable plays", "2 7 8 9 11 12 3"},
        {"The caf\xC3\x89, cafe\xCC\x81!", "2 6 21 28 21 29 3"},
        {"我的心情很差", "2 32 33 34 35 36 37 3"},
        {"[MASK]a[mask]", "2 4 13 1 1 1 3"},
        {"x\xE2\x80\x8By", "2 1 3"},
        {"...", "2 27 27 27 3"},
        {"\xE3\x81\x8C", "2 45 3"},       /* a voicing mark is an accent */
        {"\xEA\xB0\x81", "2 47 48 49 3"}, /* Hangul is decomposed */
        {"\xEF\xA4\x80", "2 59 3"},       /* a compatibility ideograph */
        {"\xC4\xB0", "2 17 3"},           /* I with a dot above is i and the dot, an accent */
        {"\xCE\xA3", "2 22 3"},           /* sigma, also at the end of a word */
        {"aba", "2 13 16 14 3"},
        {"ab\xEF\xBF\xBD\xC2\xAD"
         "a",
         "2 13 16 14 3"}, /* dropped: U+FFFD, a soft hyphen */
        {"-$￥", "2 30 31 58 3"},
    };
    const char *files[] = {FIXTURES "vocab.txt", FIXTURES "tokenizer.json"};
    (void)state;
    for (size_t f = 0; f < 2; f++) {
        tn_tokenizer *t = load(files[f], TN_TOKENIZER_HUGGING_FACE);
        for (size_t i = 0; i < TN_COUNT(rows); i++)
            assert_string_equal(encode(t, rows[i][0], NULL, 0), rows[i][1]);
        tn_tokenizer_free(t);
    }
}

static void test_bert4torch_quirks(void **state)
{
    tn_tokenizer *t = load(FIXTURES "vocab.txt", TN_TOKENIZER_BERT4TORCH);
    (void)state;
    assert_string_equal(encode(t, "...", NULL, 0), "2 26 3"); /* whole, as a token */
    assert_string_equal(encode(t, "##ING", NULL, 0), "2 10 3");
    assert_string_equal(encode(t, "你好", NULL, 0), "2 38 3");
    assert_string_equal(encode(t, "a...", NULL, 0), "2 13 27 27 27 3"); /* no token as a whole */
    assert_string_equal(encode(t, "a[SEP]...[SEP]a", NULL, 0), "2 13 3 26 3 13 3");
    assert_string_equal(encode(t,
                               "a\xEE\x80\x80\xCD\xB8"
                               "b",
                               NULL, 0),
                        "2 13 16 3"); /* Co and Cn */
    assert_string_equal(encode(t, "unbelievable plays", NULL, 0), "2 7 8 9 11 12 3");
    tn_tokenizer_free(t);
}

static void test_options(void **state)
{
    const char *never[] = {"..."};
    tn_tokenizer_options o = {
        .size = sizeof(o), .keep_case = true, .never_split = never, .never_split_count = 1};
    tn_tokenizer *t;
    (void)state;
    assert_null(tn_tokenizer_load(FIXTURES "vocab.txt", &o, &t));
    assert_string_equal(encode(t, "Ab ab caf\xC3\xA9...!", NULL, 0), "2 52 13 16 20 26 29 3");
    tn_tokenizer_free(t);
    o = (tn_tokenizer_options){.size = sizeof(o), .join_ideographs = true, .accents = -1};
    assert_null(tn_tokenizer_load(FIXTURES "vocab.txt", &o, &t));
    assert_string_equal(encode(t, "你好 CAF\xC3\x89 我的", NULL, 0), "2 38 20 1 3");
    tn_tokenizer_free(t);
    never[0] = "nothing";
    o = (tn_tokenizer_options){.size = sizeof(o), .never_split = never, .never_split_count = 1};
    assert_int_equal(tn_status_code(tn_tokenizer_load(FIXTURES "vocab.txt", &o, &t)), TN_INVALID);
    o = (tn_tokenizer_options){.size = sizeof(o), .mode = TN_TOKENIZER_BERT4TORCH};
    assert_int_equal(tn_status_code(tn_tokenizer_load(FIXTURES "tokenizer.json", &o, &t)),
                     TN_INVALID);
    assert_null(t);
}

static void test_tokens(void **state)
{
    tn_tokenizer *t = load(FIXTURES "tokenizer.json", TN_TOKENIZER_HUGGING_FACE);
    (void)state;
    assert_int_equal(tn_tokenizer_count(t), 61); /* 60 of the model and an added one */
    assert_string_equal(tn_tokenizer_token(t, 10), "##ing");
    assert_string_equal(tn_tokenizer_token(t, 60), "<num>");
    assert_null(tn_tokenizer_token(t, 61));
    assert_null(tn_tokenizer_token(t, -1));
    assert_int_equal(tn_tokenizer_find(t, "[MASK]"), 4);
    assert_int_equal(tn_tokenizer_find(t, "absent"), -1);
    assert_string_equal(encode(t, "a<num>b", NULL, 0), "2 13 60 15 3");
    tn_tokenizer_free(t);
}

static void test_length(void **state)
{
    tn_tokenizer *t = load(FIXTURES "vocab.txt", TN_TOKENIZER_HUGGING_FACE);
    tn_tokenizer *b = load(FIXTURES "vocab.txt", TN_TOKENIZER_BERT4TORCH);
    int64_t ids[3];
    size_t count;
    (void)state;
    assert_string_equal(encode(t, "a b a b", NULL, 5), "2 13 15 13 3");
    assert_string_equal(encode(t, "unbelievable", NULL, 4), "2 7 8 3"); /* cut within a word */
    assert_string_equal(encode(t, "a b", NULL, 2), "2 3");
    assert_non_null(strstr(encode(t, "a b", NULL, 1), "max_length of 1"));
    assert_string_equal(encode(t, "a b", "的 心", 0), "2 13 15 3 33 34 3 | 0 0 0 0 1 1 1");
    assert_string_equal(encode(t, "a b a b a", "的", 6), "2 13 15 3 33 3 | 0 0 0 0 1 1");
    /* An odd room: Hugging Face leaves the longer the odd one, bert4torch the second. */
    assert_string_equal(encode(t, "a b a b a", "的 心 的", 6), "2 13 15 3 33 3 | 0 0 0 0 1 1");
    assert_string_equal(encode(b, "a b a b a", "的 心 的", 6), "2 13 3 33 34 3 | 0 0 0 1 1 1");
    assert_string_equal(encode(t, "a b", "的 心", 6), "2 13 3 33 34 3 | 0 0 0 1 1 1");
    assert_null(tn_tokenizer_encode(t, "a b", NULL, 0, NULL, NULL, 0, &count));
    assert_int_equal(count, 4);
    assert_int_equal(tn_status_code(tn_tokenizer_encode(t, "a b", NULL, 0, ids, NULL, 3, &count)),
                     TN_INVALID);
    assert_int_equal(count, 4);
    tn_tokenizer_free(t);
    tn_tokenizer_free(b);
}

static void test_batch(void **state)
{
    tn_tokenizer *t = load(FIXTURES "vocab.txt", TN_TOKENIZER_HUGGING_FACE);
    tn_string texts[] = {{"a b a", 5}, {"a\0b", 3}, {NULL, 0}},
              pairs[] = {{"的", 3}, {NULL, 0}, {NULL, 0}};
    tn_tensor ids = {0}, segments = {0}, mask = {0};
    static const int64_t want[3][5] = {{2, 13, 15, 13, 3}, {2, 13, 16, 3, 0}, {2, 3, 0, 0, 0}};
    (void)state;
    assert_null(tn_tokenizer_encode_batch(t, texts, NULL, 3, 0, &ids, &segments, &mask));
    assert_int_equal(ids.dim[0], 3);
    assert_int_equal(ids.dim[1], 5);
    assert_memory_equal(ids.data, want, sizeof(want));
    for (int i = 0; i < 15; i++) {
        assert_int_equal(((int64_t *)mask.data)[i], i < 9 || i == 10 || i == 11);
        assert_int_equal(((int64_t *)segments.data)[i], 0);
    }
    tn_tensor_free(&segments);
    tn_tensor_free(&mask);
    /* Into the caller's tensor: longer rows are padded, shorter ones refused. */
    int64_t own[3 * 7];
    tn_tensor wide = tn_tensor_of(TN_DTYPE_I64, (int64_t[]){3, 7}, 2, own);
    assert_null(tn_tokenizer_encode_batch(t, texts, pairs, 3, 0, &wide, &segments, NULL));
    static const int64_t row[] = {2, 13, 15, 13, 3, 33, 3}, row_segments[] = {0, 0, 0, 0, 0, 1, 1};
    assert_memory_equal(own, row, sizeof(row));
    assert_memory_equal(segments.data, row_segments, sizeof(row_segments));
    wide.dim[1] = 6;
    assert_int_equal(
        tn_status_code(tn_tokenizer_encode_batch(t, texts, pairs, 3, 0, &wide, NULL, NULL)),
        TN_INVALID);
    wide.dtype = TN_DTYPE_I32;
    assert_int_equal(
        tn_status_code(tn_tokenizer_encode_batch(t, texts, NULL, 3, 0, &wide, NULL, NULL)),
        TN_INVALID);
    assert_int_equal(
        tn_status_code(tn_tokenizer_encode_batch(t, texts, NULL, 0, 0, &wide, NULL, NULL)),
        TN_INVALID);
    tn_tensor_free(&segments);
    tn_tensor_free(&ids);
    tn_tokenizer_free(t);
}

/* ---- Hostile text
 * ---------------------------------------------------------------------------------*/

static void test_bad_utf8(void **state)
{
    static const char *const bad[] = {"ab\xFF",
                                      "ab\xC3",
                                      "ab\xE4\xB8",
                                      "ab\x80",
                                      "ab\xC0\x80",
                                      "ab\xF5\x80\x80\x80",
                                      "ab\xE0\x80\x80",
                                      "ab\xF0\x80\x80\x80",
                                      "ab\xF4\x90\x80\x80"};
    tn_tokenizer *t = load(FIXTURES "vocab.txt", TN_TOKENIZER_HUGGING_FACE);
    tn_string texts[] = {{"a", 1}, {"b\xFF", 2}};
    tn_tensor ids = {0};
    char text[4096];
    (void)state;
    for (size_t i = 0; i < TN_COUNT(bad); i++)
        assert_non_null(strstr(encode(t, bad[i], NULL, 0), "at byte 2"));
    assert_non_null(
        strstr(encode(t, "a\xED\xA0\x80", NULL, 0), "a lone surrogate, U+D800, at byte 1"));
    tn_status_text(tn_tokenizer_encode_batch(t, texts, NULL, 2, 0, &ids, NULL, NULL), false, text,
                   sizeof(text));
    assert_non_null(strstr(text, "in text 1 of 2"));
    assert_null(ids.data);
    tn_tokenizer_free(t);
}

/* Ten million bytes in one word, of accents, and of specials: no memory, and no time to speak of.
 */
static void test_huge_words(void **state)
{
    enum { BYTES = 10000000 };
    tn_tokenizer *t = load(FIXTURES "vocab.txt", TN_TOKENIZER_BERT4TORCH);
    char *text = malloc(BYTES + 1);
    size_t count;
    (void)state;
    assert_non_null(text);
    memset(text, 'a', BYTES);
    text[BYTES] = 0;
    failing_install(1, FAIL_FROM_THERE); /* nothing is allocated */
    assert_string_equal(encode(t, text, NULL, 0), "2 1 3");
    text[100] = 0;
    assert_null(tn_tokenizer_encode(t, text, NULL, 0, NULL, NULL, 0, &count));
    assert_int_equal(count, 102); /* a hundred characters are still a word */
    text[100] = 'a';
    text[101] = 0;
    assert_string_equal(encode(t, text, NULL, 0), "2 1 3");
    for (int i = 0; i < BYTES; i += 2) memcpy(text + i, "\xCC\x81", 2);
    assert_string_equal(encode(t, text, NULL, 0), "2 3");
    memset(text, '[', BYTES);
    assert_null(tn_tokenizer_encode(t, text, NULL, 0, NULL, NULL, 0, &count));
    assert_int_equal(count, BYTES + 2);
    failing_remove();
    free(text);
    tn_tokenizer_free(t);
}

/* ---- Bad vocabularies
 * -------------------------------------------------------------------------------*/

static const char *parse_error(const char *text, size_t bytes, bool json)
{
    static char out[4096];
    tn_tokenizer *t;
    tn_status status = tn_tokenizer_parse(text, bytes, json, "x.txt", NULL, &t);
    assert_non_null(status);
    assert_null(t);
    tn_status_text(status, false, out, sizeof(out));
    return out;
}

static void test_bad_vocabularies(void **state)
{
#define ERROR_OF(text) parse_error(text, sizeof(text) - 1, false)
    (void)state;
    assert_non_null(strstr(ERROR_OF(""), "x.txt: the vocabulary is empty"));
    assert_non_null(
        strstr(ERROR_OF("[PAD]\n[CLS]\n[SEP]\n"), "x.txt: none of the 3 lines is [UNK]"));
    assert_non_null(strstr(ERROR_OF("[UNK]\n[SEP]\n"), "is [CLS]"));
    assert_non_null(strstr(ERROR_OF("[UNK]\n[CLS]\n"), "is [SEP]"));
    assert_non_null(strstr(ERROR_OF("[UNK]\n[CLS]\na\n[UNK]\n[SEP]"), "x.txt:4: the token [UNK]"));
    assert_non_null(strstr(ERROR_OF("[UNK]\n[CLS]\na\n[UNK] \n[SEP]"), "it was on line 1"));
    assert_non_null(strstr(ERROR_OF("[UNK]\n\xFF\n"), "x.txt, line 2"));
    assert_non_null(strstr(ERROR_OF("[UNK]\na\0b\n"), "x.txt, line 2"));
    assert_non_null(strstr(
        parse_error("{\"model\": {\"vocab\": {\"[UNK]\": 1, \"[UNK]\": 2}}}", 47, true), "line 1"));
    assert_non_null(strstr(parse_error("{}", 2, true), "normalizer"));
    assert_int_equal(
        tn_status_code(tn_tokenizer_load("/nowhere/vocab.txt", NULL, &(tn_tokenizer *){NULL})),
        TN_NOT_FOUND);
#undef ERROR_OF
}

/* A byte order mark, CRLF, no end of line at the end, a repeated word. */
static void test_odd_vocabularies(void **state)
{
    static const char text[] = "\xEF\xBB\xBF[UNK]\r\n[CLS]\r\n[SEP]\r\n\r\n\r\na\r\nb\r\na";
    tn_tokenizer *t;
    (void)state;
    tn_set_log(NULL, NULL, TN_LOG_ERROR);
    assert_null(tn_tokenizer_parse(text, sizeof(text) - 1, false, "x.txt", NULL, &t));
    assert_string_equal(encode(t, "a b [PAD]", NULL, 0),
                        "1 7 6 0 0 0 2"); /* the later line counts */
    tn_tensor ids = {0};
    tn_string texts[] = {{"a", 1}, {"a b", 3}};
    assert_int_equal(
        tn_status_code(tn_tokenizer_encode_batch(t, texts, NULL, 2, 0, &ids, NULL, NULL)),
        TN_INVALID); /* nothing to pad with */
    assert_null(tn_tokenizer_encode_batch(t, texts, NULL, 1, 0, &ids, NULL, NULL));
    tn_tensor_free(&ids);
    tn_tokenizer_free(t);
    tn_set_log(NULL, NULL, TN_LOG_WARNING);
}

/* ---- The real vocabulary
 * ----------------------------------------------------------------------------*/

static bool is_there(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file) fclose(file);
    else print_message("%s is not here: skipped\n", path);
    return file;
}

static void test_workflow(void **state)
{
    (void)state;
    if (!is_there(BERT_VOCAB)) skip();
    for (int mode = 0; mode < 2; mode++) {
        tn_tokenizer *t = load(BERT_VOCAB, (tn_tokenizer_mode)mode);
        assert_int_equal(tn_tokenizer_count(t), 21128);
        assert_string_equal(tn_tokenizer_token(t, 343), "");
        assert_string_equal(tn_tokenizer_token(t, 13502), "##");
        assert_string_equal(encode(t, "我的心情很差", NULL, 0),
                            "101 2769 4638 2552 2658 2523 2345 102");
        assert_string_equal(encode(t, "我今天特别开心", NULL, 0),
                            "101 2769 791 1921 4294 1166 2458 2552 102");
        assert_string_equal(encode(t, "我今天特别生气", NULL, 0),
                            "101 2769 791 1921 4294 1166 4495 3698 102");
        assert_string_equal(encode(t, "你在干嘛呢？这几天外面的天气", NULL, 13),
                            "101 872 1762 2397 1658 1450 8043 6821 1126 1921 1912 7481 102");
        tn_tokenizer_free(t);
    }
}

/* {"text": ..., "ids": [...]} on each line. */
static void test_peer_texts(void **state)
{
    static char line[1 << 16];
    const char *path = SHARED "models/sentiment/tokens.jsonl";
    (void)state;
    if (!is_there(BERT_VOCAB) || !is_there(path)) skip();
    for (int mode = 0; mode < 2; mode++) {
        tn_tokenizer *t = load(BERT_VOCAB, (tn_tokenizer_mode)mode);
        FILE *file = fopen(path, "rb");
        int count = 0;
        for (; fgets(line, sizeof(line), file); count++) {
            json_t *root;
            int64_t ids[512];
            size_t got;
            assert_null(tn_json_parse(line, strlen(line), path, &root));
            const json_t *want = json_object_get(root, "ids");
            const char *text = json_string_value(json_object_get(root, "text"));
            assert_null(tn_tokenizer_encode(t, text, NULL, 256, ids, NULL, 512, &got));
            assert_int_equal(got, json_array_size(want));
            for (size_t i = 0; i < got; i++)
                assert_int_equal(ids[i], json_integer_value(json_array_get(want, i)));
            json_decref(root);
        }
        fclose(file);
        assert_int_equal(count, 300);
        tn_tokenizer_free(t);
    }
}

/* ---- Failing allocations
 * ----------------------------------------------------------------------------*/

static tn_status whole_journey(const tn_mapping *file, bool json)
{
    tn_tokenizer *t;
    tn_tensor ids = {0}, mask = {0};
    tn_string texts[] = {{"a b a", 5}, {"a", 1}};
    tn_status status = tn_tokenizer_parse(file->at, file->bytes, json, "x", NULL, &t);
    if (status) return status;
    status = tn_tokenizer_encode_batch(t, texts, NULL, 2, 0, &ids, NULL, &mask);
    tn_tensor_free(&ids);
    tn_tensor_free(&mask);
    tn_tokenizer_free(t);
    return status;
}

static void test_failing_allocations(void **state)
{
    const char *files[] = {FIXTURES "vocab.txt", FIXTURES "tokenizer.json"};
    (void)state;
    for (int f = 0; f < 2; f++) {
        tn_mapping file;
        assert_null(tn_file_map(files[f], &file));
        for (int64_t n = 1;; n++) {
            failing_install(n, n % 2 ? FAIL_ONCE : FAIL_FROM_THERE);
            tn_status status = whole_journey(&file, f == 1);
            failing_counts counts = failing_remove();
            assert_int_equal(counts.live_bytes, 0);
            assert_int_equal(counts.errors, 0);
            if (!counts.failed) {
                assert_null(status);
                assert_true(n > 5);
                break;
            }
            assert_int_equal(tn_status_code(status), TN_OUT_OF_MEMORY);
        }
        tn_file_unmap(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_vocabulary),
        cmocka_unit_test(test_bert4torch_quirks),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_bad_utf8),
        cmocka_unit_test(test_huge_words),
        cmocka_unit_test(test_bad_vocabularies),
        cmocka_unit_test(test_odd_vocabularies),
        cmocka_unit_test(test_workflow),
        cmocka_unit_test(test_peer_texts),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
