/* Checkpoints that lie, attack or are damaged: a clear error each, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoints/zip_maker.h"
#include "fault/failing_allocator.h"
#include "import/checkpoint.h"

#define SEEDS TN_SOURCE_DIR "/tests/fuzz/seeds/checkpoint/"

/* Reads bytes that lie in a block of exactly their size, and looks at every element. */
static tn_code read_bytes(const void *bytes, size_t count, char *text, size_t text_bytes)
{
    tn_checkpoint *c;
    void *exact = malloc(count ? count : 1);
    assert_non_null(exact);
    if (count) memcpy(exact, bytes, count);
    tn_status status = tn_checkpoint_read(exact, count, &c);
    tn_code code = tn_status_code(status);
    tn_status_text(status, false, text, text_bytes);
    if (!status) {
        for (int64_t i = 0; i < c->count; i++) {
            tn_tensor dense;
            const tn_tensor *view = &c->tensor[i].view;
            if (tn_tensor_bytes(view) > 1 << 20) continue; /* broadcast far beyond its storage */
            if (tn_tensor_new(view->dtype, view->dim, view->rank, &dense)) continue;
            if (tn_tensor_count(view)) assert_null(tn_tensor_copy(view, &dense));
            tn_tensor_free(&dense);
        }
        tn_checkpoint_close(c);
    }
    free(exact);
    return code;
}

static void assert_fails(const void *bytes, size_t count, tn_code want, const char *says)
{
    char text[4096];
    tn_code code = read_bytes(bytes, count, text, sizeof(text));
    if (code != want || !strstr(text, says))
        fail_msg("wanted %s with '%s', got %s: %s", tn_code_name(want), says, tn_code_name(code),
                 text);
}

static void assert_pickle(const char *pickle, size_t bytes, tn_code want, const char *says)
{
    static const float data[4] = {1, 2, 3, 4};
    zip_maker z = {0};
    zip_add(&z, "a/data.pkl", pickle, bytes);
    zip_add(&z, "a/data/0", data, sizeof(data));
    zip_end(&z);
    assert_fails(z.file.at, z.file.count, want, says);
    zip_free(&z);
}

#define PICKLE(text, code, says) assert_pickle(text, sizeof(text) - 1, code, says)

#define STORAGE(count)                                                                             \
    "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"                                             \
    "0X\3\0\0\0cpu" count "tQ"
#define TENSOR(count, offset, size, stride)                                                        \
    "ctorch._utils\n_rebuild_tensor_v2\n(" STORAGE(count) offset size stride                       \
        "\x89"                                                                                     \
        "ccollections\nOrderedDict\n)RtR"
#define NAMED(tensor) "\x80\2}X\1\0\0\0w" tensor "s."

static void pickles_that_would_run_code(void **state)
{
    (void)state;
    PICKLE("\x80\2cos\nsystem\nX\2\0\0\0ls\x85R.", TN_UNSUPPORTED, "os.system");
    PICKLE("\x80\2cos\nsystem\nX\2\0\0\0ls\x85R.", TN_UNSUPPORTED, "at byte 2 of data.pkl");
    PICKLE("\x80\2cposix\nsystem\n.", TN_UNSUPPORTED, "posix.system");
    PICKLE("\x80\2cos.path\njoin\n.", TN_UNSUPPORTED, "os.path.join");
    PICKLE("\x80\2c__builtin__\neval\nX\1\0\0\0"
           "1\x85R.",
           TN_UNSUPPORTED, "builtins.eval");
    PICKLE("\x80\2cbuiltins\ngetattr\n.", TN_UNSUPPORTED, "builtins.getattr");
    PICKLE("\x80\2csubprocess\nPopen\n.", TN_UNSUPPORTED, "subprocess.Popen");
    PICKLE("\x80\2X\2\0\0\0osX\6\0\0\0system\x93.", TN_UNSUPPORTED, "opcode 0x93");
    PICKLE("\x80\4\x95", TN_UNSUPPORTED, "protocol 4");
    PICKLE("(S'ls'\nios\nsystem\n.", TN_UNSUPPORTED, "opcode 0x53");
    /* an unknown name is a text: its call makes an inert object, and the note says so */
    PICKLE("\x80\2}X\1\0\0\0wcnumpy\nload\nX\1\0\0\0x\x85Rs.", TN_OK, "");
}

static void stacks_and_memos_that_do_not_fit(void **state)
{
    (void)state;
    PICKLE("", TN_CORRUPT, "ends early");
    PICKLE(".", TN_CORRUPT, "stack is empty");
    PICKLE("\x80\2}", TN_CORRUPT, "ends early");
    PICKLE("\x80\2}}.", TN_CORRUPT, "too many");
    PICKLE("\x80\2(.", TN_CORRUPT, "mark");
    PICKLE("\x80\2}t.", TN_CORRUPT, "no mark");
    PICKLE("\x80\2}u.", TN_CORRUPT, "no mark");
    PICKLE("\x80\2}\x86.", TN_CORRUPT, "tuple of 2");
    PICKLE("\x80\2}(K\1\x86.", TN_CORRUPT, "tuple of 2");
    PICKLE("\x80\2}K\1s.", TN_CORRUPT, "stack is empty");
    PICKLE("\x80\2}(K\1u.", TN_CORRUPT, "key without a value");
    PICKLE("\x80\2K\1K\1K\1s.", TN_CORRUPT, "set in a integer");
    PICKLE("\x80\2}K\1a.", TN_CORRUPT, "appended to a dict");
    PICKLE("\x80\2K\1}b.", TN_CORRUPT, "given a state");
    PICKLE("\x80\2h\5.", TN_CORRUPT, "memo number 5");
    PICKLE("\x80\2}r\xff\xff\xff\x7f.", TN_CORRUPT, "memo number 2147483647");
    PICKLE("\x80\2K\1)R.", TN_CORRUPT, "a integer is called");
    PICKLE("\x80\2ca\nb\nK\1R.", TN_CORRUPT, "arguments of a call");
    PICKLE("\x80\2ca\n", TN_CORRUPT, "a name is empty");
    PICKLE("\x80\2X\xff\xff\xff\x7f"
           "abc",
           TN_CORRUPT, "2147483647 bytes are needed");
    PICKLE("\x80\2\x8a\xff"
           "abc",
           TN_CORRUPT, "255 bytes are needed");
    PICKLE("\x80\2\x8b\xff\xff\xff\x7f", TN_UNSUPPORTED, "opcode 0x8b");
}

static void storages_and_tensors_that_do_not_fit(void **state)
{
    (void)state;
    PICKLE(NAMED(TENSOR("K\4", "K\0", "K\4\x85", "K\1\x85")), TN_OK, "");
    PICKLE(NAMED(TENSOR("K\4", "K\1", "K\4\x85", "K\1\x85")), TN_CORRUPT, "beyond its storage '0'");
    PICKLE(NAMED(TENSOR("K\4", "K\0", "K\2\x85", "K\4\x85")), TN_CORRUPT, "beyond its storage");
    PICKLE(NAMED(TENSOR("K\x40", "K\0", "K\4\x85", "K\1\x85")), TN_CORRUPT, "has 16 bytes");
    PICKLE(NAMED(TENSOR("J\xff\xff\xff\xff", "K\0", "K\4\x85", "K\1\x85")), TN_CORRUPT,
           "not described by");
    PICKLE(NAMED(TENSOR("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", "K\0", "K\4\x85", "K\1\x85")),
           TN_CORRUPT, "a storage of");
    PICKLE(NAMED(TENSOR("\x8a\x09\0\0\0\0\0\0\0\0\1", "K\0", "K\4\x85", "K\1\x85")), TN_CORRUPT,
           "not described by");
    PICKLE(NAMED(TENSOR("K\4", "J\xff\xff\xff\xff", "K\4\x85", "K\1\x85")), TN_CORRUPT, "offset");
    PICKLE(NAMED(TENSOR("K\4", "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", "K\4\x85", "K\1\x85")),
           TN_CORRUPT, "beyond its storage");
    PICKLE(NAMED(TENSOR("K\4", "K\0", "K\2\x85", "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85")),
           TN_CORRUPT, "beyond its storage");
    PICKLE(NAMED(TENSOR("K\4", "K\0", "J\xff\xff\xff\xff\x85", "K\1\x85")), TN_CORRUPT, "negative");
    PICKLE(NAMED(TENSOR("K\4", "K\0", "K\2K\2\x86", "K\1\x85")), TN_CORRUPT, "one length");
    PICKLE(NAMED(TENSOR("K\4", "K\0", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t",
                        "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t")),
           TN_UNSUPPORTED, "rank 9");
    PICKLE(NAMED(TENSOR("K\4", "K\0", "J\xff\xff\xff\x7fJ\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x87",
                        "K\0K\0K\0\x87")),
           TN_CORRUPT, "overflows");
    /* a broadcast of one element to 2^40: strides of 0 mean dense in a tn_tensor, so it would be
     * copied */
    PICKLE(NAMED(TENSOR("K\4", "K\0", "J\0\0\x10\0J\0\0\x10\0\x86", "K\0K\0\x86")), TN_CORRUPT,
           "more than a file of");
    PICKLE("\x80\2}X\1\0\0\0wX\3\0\0\0abcQs.", TN_CORRUPT, "persistent id is a text");
    PICKLE("\x80\2}X\1\0\0\0w(X\3\0\0\0abctQs.", TN_UNSUPPORTED, "kind 'abc'");
    PICKLE("\x80\2}X\1\0\0\0w(X\7\0\0\0storagectorch\nOddStorage\nX\1\0\0\0"
           "0X\3\0\0\0cpuK\4tQs.",
           TN_UNSUPPORTED, "torch.OddStorage");
    PICKLE("\x80\2}X\1\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(K\1K\2tRs.", TN_CORRUPT,
           "rebuilt from");
    PICKLE("\x80\2}X\1\0\0\0wctorch._utils\n_rebuild_parameter\n)Rs.", TN_CORRUPT,
           "made of nothing");
    PICKLE("\x80\2}(X\1\0\0\0w" TENSOR("K\4", "K\0", "K\4\x85", "K\1\x85") "q\1X\1\0\0\0wh\1u.",
           TN_CORRUPT, "two tensors named 'w'");
    PICKLE("\x80\2}X\3\0\0\0w\0w" TENSOR("K\4", "K\0", "K\4\x85", "K\1\x85") "s.", TN_CORRUPT,
           "has a zero in it");
}

static void cycles_and_bombs(void **state)
{
    (void)state;
    PICKLE("\x80\2}q\1X\1\0\0\0ah\1s.", TN_CORRUPT, "contains itself");
    PICKLE("\x80\2]q\1h\1a.", TN_CORRUPT, "contains itself");
    /* nested deeper than any network */
    tn_writer deep = {0};
    tn_write_bytes(&deep, "\x80\2", 2);
    for (int i = 0; i < 100000; i++) tn_write_bytes(&deep, "]", 1);
    for (int i = 1; i < 100000; i++) tn_write_bytes(&deep, "a", 1);
    tn_write_bytes(&deep, ".", 1);
    assert_pickle((const char *)deep.at, deep.count, TN_CORRUPT, "nested more than 64 deep");
    tn_writer_fini(&deep);
    /* forty lists, each of two times the one before: 2^40 ways to the innermost */
    tn_writer laughs = {0};
    tn_write_bytes(&laughs, "\x80\2]K\1aq", 7);
    tn_write_u8(&laughs, 0);
    for (uint8_t i = 0; i < 40; i++) {
        const uint8_t ops[] = {']', '(', 'h', i, 'h', i, 'e', 'q', (uint8_t)(i + 1)};
        tn_write_bytes(&laughs, ops, sizeof(ops));
        if (i < 39) continue;
        tn_write_u8(&laughs, '.');
    }
    /* all but the outermost lie below it on the stack, so that one tuple of all is the object */
    laughs.count--;
    tn_writer tuple = {0};
    tn_write_bytes(&tuple, "\x80\2(", 3);
    tn_write_bytes(&tuple, laughs.at + 2, laughs.count - 2);
    tn_write_bytes(&tuple, "t.", 2);
    assert_pickle((const char *)tuple.at, tuple.count, TN_CORRUPT, "share each other more often");
    tn_writer_fini(&tuple);
    tn_writer_fini(&laughs);
}

/* ---- Archives ---------------------------------------------------------------------------------*/

static const char good[] = NAMED(TENSOR("K\4", "K\0", "K\4\x85", "K\1\x85"));

static void zip_bombs(void **state)
{
    (void)state;
    enum { SIZE = 80 << 20 };
    uLongf packed = compressBound(SIZE);
    uint8_t *zeros = calloc(1, SIZE), *bytes = malloc(packed);
    assert_true(zeros && bytes);
    assert_int_equal(compress2(bytes, &packed, zeros, SIZE, 9), Z_OK);
    zip_maker z = {0};
    zip_add(&z, "a/data.pkl", good, sizeof(good) - 1);
    /* without zlib's own head of 2 and tail of 4 bytes */
    zip_add_as(&z, "a/data/0", bytes + 2, packed - 6, SIZE, 8, (uint32_t)crc32(0, zeros, SIZE));
    zip_end(&z);
    assert_fails(z.file.at, z.file.count, TN_CORRUPT, "more than a file of");
    zip_free(&z);
    /* more than the directory says */
    zip_add(&z, "a/data.pkl", good, sizeof(good) - 1);
    zip_add_as(&z, "a/data/0", bytes + 2, packed - 6, 16, 8, 0);
    zip_end(&z);
    assert_fails(z.file.at, z.file.count, TN_CORRUPT, "compressed data is damaged");
    zip_free(&z);
    free(zeros);
    free(bytes);
}

static void archives_that_lie(void **state)
{
    (void)state;
    static const float data[4] = {1, 2, 3, 4};
    uint32_t crc = (uint32_t)crc32(0, (const void *)data, sizeof(data));
    zip_maker z = {0};
    zip_end(&z);
    assert_fails(z.file.at, z.file.count, TN_CORRUPT, "no 'data.pkl'");
    zip_free(&z);
    /* a name is looked up, never opened */
    zip_add(&z, "../../etc/passwd", good, sizeof(good) - 1);
    zip_end(&z);
    assert_fails(z.file.at, z.file.count, TN_CORRUPT, "no '../data.pkl'");
    zip_free(&z);
    zip_add(&z, "a/data.pkl", good, sizeof(good) - 1);
    zip_end(&z);
    assert_fails(z.file.at, z.file.count, TN_CORRUPT, "storage '0', named at byte");
    zip_free(&z);
    for (int i = 0; i < 2; i++) zip_add(&z, "a/data.pkl", good, sizeof(good) - 1);
    zip_end(&z);
    assert_fails(z.file.at, z.file.count, TN_CORRUPT, "two entries named");
    zip_free(&z);
    zip_add(&z, "a/data.pkl", good, sizeof(good) - 1);
    zip_add_as(&z, "a/data/0", data, 16, 16, 0, crc ^ 1);
    zip_end(&z);
    assert_fails(z.file.at, z.file.count, TN_CORRUPT, "its checksum is");
    zip_free(&z);
    zip_add(&z, "a/data.pkl", good, sizeof(good) - 1);
    zip_add_as(&z, "a/data/0", data, 16, 1 << 30, 0, crc);
    zip_end(&z);
    assert_fails(z.file.at, z.file.count, TN_CORRUPT, "its two sizes differ");
    zip_free(&z);
    zip_add(&z, "a/data.pkl", good, sizeof(good) - 1);
    zip_add_as(&z, "a/data/0", data, 16, 16, 14, crc);
    zip_end(&z);
    assert_fails(z.file.at, z.file.count, TN_UNSUPPORTED, "method 14");
    zip_free(&z);
    zip_add(&z, "a/data.pkl", good, sizeof(good) - 1);
    zip_add(&z, "a/constants.pkl", good, sizeof(good) - 1);
    zip_end(&z);
    assert_fails(z.file.at, z.file.count, TN_UNSUPPORTED, "TorchScript");
    zip_free(&z);
    zip_add(&z, "a/data.pkl", good, sizeof(good) - 1);
    zip_add(&z, "a/byteorder", "big", 3);
    zip_end(&z);
    assert_fails(z.file.at, z.file.count, TN_UNSUPPORTED, "'big' byte order");
    zip_free(&z);
    assert_fails("", 0, TN_CORRUPT, "not a checkpoint");
    assert_fails("hello, world", 12, TN_CORRUPT, "not a checkpoint");
}

static void assert_header(const char *json, const void *data, size_t bytes, tn_code code,
                          const char *says)
{
    tn_writer out = {0};
    tn_write_u64(&out, strlen(json));
    tn_write_bytes(&out, json, strlen(json));
    tn_write_bytes(&out, data, bytes);
    assert_fails(out.at, out.count, code, says);
    tn_writer_fini(&out);
}

static void safetensors_rules(void **state)
{
    (void)state;
    static const uint8_t data[16];
#define ENTRY(name, type, shape, begin, end)                                                       \
    "\"" name "\":{\"dtype\":\"" type "\",\"shape\":[" shape "],\"data_offsets\":[" begin "," end  \
    "]}"
#define HEADER(text, bytes, code, says) assert_header("{" text "}", data, bytes, code, says)
    HEADER(ENTRY("a", "F32", "2,2", "0", "16"), 16, TN_OK, "");
    HEADER("", 0, TN_OK, "");
    HEADER(ENTRY("a", "F32", "2,2", "0", "16"), 15, TN_CORRUPT, "in tensor 'a'");
    HEADER(ENTRY("a", "F32", "2", "0", "8"), 16, TN_CORRUPT, "take 8 bytes");
    HEADER(ENTRY("a", "F32", "2", "8", "16"), 16, TN_CORRUPT, "begins at byte 8");
    HEADER(ENTRY("a", "F32", "3", "0", "12") "," ENTRY("b", "F32", "2", "8", "16"), 16, TN_CORRUPT,
           "no overlaps");
    HEADER(ENTRY("a", "F32", "1", "0", "4") "," ENTRY("b", "F32", "1", "8", "12"), 12, TN_CORRUPT,
           "no holes");
    HEADER(ENTRY("a", "F32", "2", "0", "8") "," ENTRY("a", "F32", "2", "8", "16"), 16, TN_CORRUPT,
           "duplicate");
    HEADER(ENTRY("a", "F32", "3", "0", "16"), 16, TN_CORRUPT, "need 12 bytes");
    HEADER(ENTRY("a", "F32", "-1", "0", "16"), 16, TN_CORRUPT, "whole number");
    HEADER(ENTRY("a", "F32", "2", "16", "8"), 16, TN_CORRUPT, "at bytes 16 to 8");
    HEADER(ENTRY("a", "F32", "9223372036854775807,4", "0", "16"), 16, TN_CORRUPT, "overflows");
    HEADER(ENTRY("a", "F32", "99999999999999999999", "0", "16"), 16, TN_CORRUPT, "JSON");
    HEADER(ENTRY("a", "F32", "2.5", "0", "16"), 16, TN_CORRUPT, "whole number");
    HEADER(ENTRY("a", "F9", "4", "0", "16"), 16, TN_UNSUPPORTED, "'F9'");
    HEADER(ENTRY("a", "F32", "1,1,1,1,1,1,1,1,4", "0", "16"), 16, TN_UNSUPPORTED, "rank 9");
    HEADER("\"a\":3", 0, TN_CORRUPT, "not described by");
    HEADER("\"a\":{\"dtype\":\"F32\"}", 0, TN_CORRUPT, "not described by");
    HEADER("\"__metadata__\":{\"a\":1}", 0, TN_CORRUPT, "not text");
    HEADER("\"__metadata__\":3", 0, TN_CORRUPT, "not an object");
    HEADER("\"\xff\":3", 0, TN_CORRUPT, "JSON");
    assert_header("{\"a\":{}", data, 0, TN_CORRUPT, "JSON");
    assert_header("{} x", data, 0, TN_CORRUPT, "JSON");
    assert_fails("\xff\0\0\0\0\0\0\0{}", 10, TN_CORRUPT, "the file ends after 2");
    assert_fails("\xff\xff\xff\x7f\0\0\0\0{}", 10, TN_CORRUPT, "the format allows");
    char deep[4096] = {0};
    memcpy(deep, "{\"a\":", 5);
    memset(deep + 5, '[', 4000);
    assert_header(deep, data, 0, TN_CORRUPT, "JSON");
}

/* ---- Damage -----------------------------------------------------------------------------------*/

static const char *const seeds[] = {
    "types.pth",  "views.pth",   "views_legacy.pth", "deflated.pth",  "training.pth",
    "module.pth", "untyped.pth", "parameter.pth",    "torch2trt.pth", "small.safetensors",
};

static uint8_t *read_seed(const char *name, size_t *bytes)
{
    char path[512];
    snprintf(path, sizeof(path), "%s%s", SEEDS, name);
    FILE *file = fopen(path, "rb");
    uint8_t *at = malloc(1 << 16);
    assert_true(file && at);
    *bytes = fread(at, 1, 1 << 16, file);
    fclose(file);
    assert_true(*bytes > 0 && *bytes < 1 << 16);
    return at;
}

static void every_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < TN_COUNT(seeds); i++) {
        size_t bytes;
        char text[4096];
        uint8_t *at = read_seed(seeds[i], &bytes);
        for (size_t length = 0; length < bytes; length++) {
            tn_code code = read_bytes(at, length, text, sizeof(text));
            if (code != TN_CORRUPT && code != TN_UNSUPPORTED)
                fail_msg("%s cut to %zu bytes: %s %s", seeds[i], length, tn_code_name(code), text);
        }
        free(at);
    }
}

/* Damage in a name or a version goes unseen; anything else is one of two errors. */
static void every_byte_flipped(void **state)
{
    (void)state;
    static const uint8_t masks[] = {0xFF, 0x01, 0x80};
    for (size_t i = 0; i < TN_COUNT(seeds); i++) {
        size_t bytes;
        char text[4096];
        uint8_t *at = read_seed(seeds[i], &bytes);
        for (size_t k = 0; k < bytes * TN_COUNT(masks); k++) {
            at[k / TN_COUNT(masks)] ^= masks[k % TN_COUNT(masks)];
            tn_code code = read_bytes(at, bytes, text, sizeof(text));
            if (code != TN_OK && code != TN_CORRUPT && code != TN_UNSUPPORTED)
                fail_msg("%s, byte %zu: %s %s", seeds[i], k / TN_COUNT(masks), tn_code_name(code),
                         text);
            at[k / TN_COUNT(masks)] ^= masks[k % TN_COUNT(masks)];
        }
        free(at);
    }
}

/* Weights of a zip are under a checksum: no damage to them passes. */
static void damaged_weights_are_seen(void **state)
{
    (void)state;
    size_t bytes;
    char text[4096];
    uint8_t *at = read_seed("views.pth", &bytes);
    tn_checkpoint *c;
    assert_null(tn_checkpoint_read(at, bytes, &c));
    size_t begin = (size_t)((const uint8_t *)c->tensor[0].view.data - at);
    tn_checkpoint_close(c);
    for (size_t k = begin; k < begin + 96; k++) {
        at[k] ^= 0x10;
        assert_int_equal(read_bytes(at, bytes, text, sizeof(text)), TN_CORRUPT);
        at[k] ^= 0x10;
    }
    free(at);
}

static void every_allocation_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < TN_COUNT(seeds); i++) {
        size_t bytes;
        uint8_t *at = read_seed(seeds[i], &bytes);
        for (int64_t n = 1;; n++) {
            tn_checkpoint *c = NULL;
            failing_install(n, FAIL_ONCE);
            tn_status status = tn_checkpoint_read(at, bytes, &c);
            tn_code code = tn_status_code(status);
            tn_checkpoint_close(c);
            failing_counts counts = failing_remove();
            assert_int_equal(counts.live_bytes, 0);
            assert_int_equal(counts.errors, 0);
            if (!counts.failed) {
                assert_int_equal(code, TN_OK);
                break;
            }
            if (code != TN_OUT_OF_MEMORY)
                fail_msg("%s, allocation %d: %s %s", seeds[i], (int)n, tn_code_name(code),
                         tn_status_message(status));
        }
        free(at);
    }
}

static void every_allocation_of_writing_fails(void **state)
{
    (void)state;
    static const char *const paths[] = {TN_BINARY_DIR "/fault.pth",
                                        TN_BINARY_DIR "/fault.safetensors"};
    static float values[6];
    tn_tensor t[2] = {tn_tensor_of(TN_DTYPE_F32, (int64_t[]){2, 3}, 2, values),
                      tn_tensor_of(TN_DTYPE_F32, (int64_t[]){3, 2}, 2, values)};
    t[1].stride[0] = 1;
    t[1].stride[1] = 3;
    for (size_t i = 0; i < TN_COUNT(paths); i++)
        for (int64_t n = 1;; n++) {
            failing_install(n, FAIL_ONCE);
            tn_code code =
                tn_status_code(tn_checkpoint_save(paths[i], (const char *const[]){"a", "b"}, t, 2));
            failing_counts counts = failing_remove();
            assert_int_equal(counts.live_bytes, 0);
            assert_int_equal(counts.errors, 0);
            bool there = remove(paths[i]) == 0;
            assert_int_equal(code, counts.failed ? TN_OUT_OF_MEMORY : TN_OK);
            assert_int_equal(there, !counts.failed);
            if (!counts.failed) break;
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pickles_that_would_run_code),
        cmocka_unit_test(stacks_and_memos_that_do_not_fit),
        cmocka_unit_test(storages_and_tensors_that_do_not_fit),
        cmocka_unit_test(cycles_and_bombs),
        cmocka_unit_test(zip_bombs),
        cmocka_unit_test(archives_that_lie),
        cmocka_unit_test(safetensors_rules),
        cmocka_unit_test(every_length),
        cmocka_unit_test(every_byte_flipped),
        cmocka_unit_test(damaged_weights_are_seen),
        cmocka_unit_test(every_allocation_fails),
        cmocka_unit_test(every_allocation_of_writing_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
