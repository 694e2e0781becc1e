/* IDX, the form of the MNIST files: two zero bytes, a type (8: bytes), the number of dims, each dim
 * as a big-endian u32, the data. As it is or compressed by gzip. Sizes are believed only as far as
 * the file can hold what they say. */
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "train/dataset.h"

enum { DIM_MAX = 1 << 16, DEFLATE_MOST = 1032 }; /* bytes that one byte of deflate can become */

static void *allocate(void *self, unsigned count, unsigned size)
{
    size_t bytes;
    (void)self;
    return tn_mul_size(count, size, &bytes) ? tn_alloc_sized(bytes) : NULL;
}

static void release(void *self, void *p)
{
    (void)self;
    tn_free_sized(p);
}

/* Bytes of a file in order, inflated where they have to be. */
typedef struct source {
    const uint8_t *at;
    size_t left;
    bool packed, ended;
    z_stream z;
    const char *what;
} source;

static tn_status open_source(source *s, const uint8_t *bytes, size_t byte_count, const char *what)
{
    *s = (source){.at = bytes, .left = byte_count, .what = what};
    s->packed = byte_count >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
    if (!s->packed) return NULL;
    s->z.zalloc = allocate;
    s->z.zfree = release;
    TN_CHECK(inflateInit2(&s->z, MAX_WBITS + 16) == Z_OK, TN_OUT_OF_MEMORY,
             "no memory to inflate %s", what);
    return NULL;
}

static void close_source(source *s)
{
    if (s->packed) inflateEnd(&s->z);
}

/* Up to `count` bytes; *got is fewer only at the end of the data. */
static tn_status inflate_some(source *s, uint8_t *dst, size_t count, size_t *got)
{
    enum { PIECE = 1 << 30 };
    *got = 0;
    while (*got < count && !s->ended) {
        uInt in = (uInt)TN_MIN(s->left, (size_t)PIECE);
        uInt room = (uInt)TN_MIN(count - *got, (size_t)PIECE);
        s->z.next_in = (z_const Bytef *)(uintptr_t)s->at;
        s->z.avail_in = in;
        s->z.next_out = dst + *got;
        s->z.avail_out = room;
        int code = inflate(&s->z, Z_NO_FLUSH);
        s->at += in - s->z.avail_in;
        s->left -= in - s->z.avail_in;
        *got += room - s->z.avail_out;
        TN_CHECK(code != Z_MEM_ERROR, TN_OUT_OF_MEMORY, "no memory to inflate %s", s->what);
        TN_CHECK(code != Z_BUF_ERROR, TN_CORRUPT,
                 "%s is cut off: its compressed data has no end; fetch it again", s->what);
        TN_CHECK(code == Z_OK || code == Z_STREAM_END, TN_CORRUPT,
                 "%s: its compressed data is damaged (%s); fetch it again", s->what,
                 s->z.msg ? s->z.msg : "no reason given");
        s->ended = code == Z_STREAM_END;
    }
    return NULL;
}

static tn_status take(source *s, uint8_t *dst, size_t count)
{
    size_t got = TN_MIN(s->left, count);
    if (s->packed) {
        TN_TRY(inflate_some(s, dst, count, &got));
    } else {
        if (got) memcpy(dst, s->at, got);
        s->at += got;
        s->left -= got;
    }
    TN_CHECK(got == count, TN_CORRUPT, "%s is cut off: it ends %zu bytes too early", s->what,
             count - got);
    return NULL;
}

/* The data ends where the header says; for gzip that also proves the checksum. */
static tn_status expect_end(source *s)
{
    uint8_t beyond;
    size_t got = s->left > 0;
    if (s->packed) TN_TRY(inflate_some(s, &beyond, 1, &got));
    TN_CHECK(got == 0, TN_CORRUPT, "%s has more data than its header says", s->what);
    return NULL;
}

static tn_status read_header(source *s, int rank, size_t byte_count, tn_idx *out)
{
    uint8_t head[4 + 4 * TN_IDX_RANK_MAX];
    int64_t most =
        s->packed ? (int64_t)TN_MIN(byte_count, (size_t)(INT64_MAX / DEFLATE_MOST)) * DEFLATE_MOST
                  : (int64_t)byte_count;
    TN_TRY(take(s, head, 4));
    TN_CHECK(head[0] == 0 && head[1] == 0 && head[2] == 8 && head[3] == rank, TN_CORRUPT,
             "%s begins with %02x%02x%02x%02x where an IDX file of bytes in %d dim%s has "
             "000008%02x",
             s->what, head[0], head[1], head[2], head[3], rank, rank == 1 ? "" : "s", rank);
    TN_TRY(take(s, head + 4, 4 * (size_t)rank));
    out->rank = rank;
    out->count = 1;
    for (int i = 0; i < rank; i++) {
        const uint8_t *b = head + 4 + 4 * i;
        int64_t dim = (int64_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
        out->dim[i] = dim;
        TN_CHECK(dim > 0 && (i == 0 || dim <= DIM_MAX), TN_CORRUPT,
                 "%s says that its dim %d is %lld", s->what, i, (long long)dim);
        TN_CHECK(tn_mul_i64(out->count, dim, &out->count) && out->count <= most, TN_CORRUPT,
                 "%s says that it holds more than its %zu bytes can", s->what, byte_count);
    }
    return NULL;
}

static tn_status read_idx(source *s, int rank, size_t byte_count, tn_arena *arena, tn_idx *out)
{
    TN_TRY(read_header(s, rank, byte_count, out));
    out->at = tn_arena_alloc(arena, (size_t)out->count);
    TN_CHECK(out->at, TN_OUT_OF_MEMORY, "no memory for the %lld bytes of %s", (long long)out->count,
             s->what);
    TN_TRY(take(s, out->at, (size_t)out->count));
    return expect_end(s);
}

tn_status tn_idx_parse(const uint8_t *bytes, size_t byte_count, const char *what, int rank,
                       tn_arena *arena, tn_idx *out)
{
    source s;
    *out = (tn_idx){0};
    TN_CHECK(rank >= 1 && rank <= TN_IDX_RANK_MAX, TN_INVALID, "IDX files of %d dims are not read",
             rank);
    TN_TRY(open_source(&s, bytes, byte_count, what));
    tn_status status = read_idx(&s, rank, byte_count, arena, out);
    close_source(&s);
    return status;
}

/* ---- A folder --------------------------------------------------------------------------------*/

/* folder/name, or folder/name.gz. */
static tn_status open_file(const char *folder, const char *name, int rank, tn_arena *arena,
                           tn_idx *out)
{
    tn_mapping mapping;
    const char *path = tn_arena_printf(arena, "%s/%s", folder, name);
    const char *packed = tn_arena_printf(arena, "%s/%s.gz", folder, name);
    TN_CHECK(path && packed, TN_OUT_OF_MEMORY, "no memory for the name of a file");
    tn_status status = tn_file_map(path, &mapping);
    if (tn_status_code(status) == TN_NOT_FOUND) {
        path = packed;
        status = tn_file_map(path, &mapping);
        TN_CHECK(tn_status_code(status) != TN_NOT_FOUND, TN_NOT_FOUND,
                 "the folder %s has neither %s nor %s.gz", folder, name, name);
    }
    TN_TRY(status);
    status = tn_idx_parse(mapping.at, mapping.bytes, path, rank, arena, out);
    tn_file_unmap(&mapping);
    return status;
}

static tn_status read_part(const char *folder, const char *part, tn_arena *arena, tn_idx *images,
                           tn_idx *labels)
{
    char name[64];
    snprintf(name, sizeof(name), "%s-images-idx3-ubyte", part);
    TN_TRY(open_file(folder, name, 3, arena, images));
    snprintf(name, sizeof(name), "%s-labels-idx1-ubyte", part);
    TN_TRY(open_file(folder, name, 1, arena, labels));
    TN_CHECK(images->dim[0] == labels->dim[0], TN_INVALID, "%s: %s has %lld images but %lld labels",
             folder, part, (long long)images->dim[0], (long long)labels->dim[0]);
    return NULL;
}

/* Both parts behind each other. */
static tn_status join(tn_arena *arena, const tn_idx *a, const tn_idx *b, uint8_t **out)
{
    *out = tn_arena_alloc(arena, (size_t)(a->count + b->count));
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory for %lld bytes of images",
             (long long)(a->count + b->count));
    memcpy(*out, a->at, (size_t)a->count);
    memcpy(*out + a->count, b->at, (size_t)b->count);
    return NULL;
}

static tn_status fill(const char *folder, tn_arena *scratch, tn_dataset *dataset)
{
    tn_idx image[2], label[2];
    TN_TRY(read_part(folder, "train", scratch, &image[0], &label[0]));
    TN_TRY(read_part(folder, "t10k", scratch, &image[1], &label[1]));
    TN_CHECK(image[0].dim[1] == image[1].dim[1] && image[0].dim[2] == image[1].dim[2], TN_INVALID,
             "%s: images of %lldx%lld to train on, but of %lldx%lld to judge by", folder,
             (long long)image[0].dim[1], (long long)image[0].dim[2], (long long)image[1].dim[1],
             (long long)image[1].dim[2]);
    TN_TRY(join(&dataset->arena, &image[0], &image[1], &dataset->pixel));
    TN_TRY(join(&dataset->arena, &label[0], &label[1], &dataset->label));
    dataset->info = (tn_dataset_info){
        .count = image[0].dim[0] + image[1].dim[0],
        .train_count = image[0].dim[0],
        .classes = true,
        .rank = 3,
        .dim = {1, image[0].dim[1], image[0].dim[2]},
    };
    dataset->sample_values = image[0].dim[1] * image[0].dim[2];
    dataset->target_values = 1;
    for (int i = 0; i < 256; i++) dataset->shade[i] = ((float)i / 255.0F - 0.1307F) / 0.3081F;
    return NULL;
}

tn_status tn_images_make(const char *folder, tn_dataset *dataset)
{
    tn_arena scratch;
    tn_arena_init(&scratch);
    tn_status status = fill(folder, &scratch, dataset);
    tn_arena_fini(&scratch);
    return status;
}
