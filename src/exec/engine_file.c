/* The engine file: docs/engine-format.md says what stands where. Sections are written and read in
 * the order of their kinds, each at the next multiple of 64 after the one before, with zeros
 * between; so every byte is under a checksum or must be zero. Those of the constants' data are
 * looked at when a constant is first read (constants.c), all others here.
 *
 * The plan is tied to the version that wrote it; the graph is not. A reader that cannot use the
 * plan builds a new one from the graph (build/build.c), so an engine file never goes stale. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec/exec.h"
#include "tensor/tensor.h"

static const char magic[] = TN_ENGINE_MAGIC, line_end[] = "\r\n\x1a";

enum {
    LAYOUT = 7,
    MAGIC_BYTES = sizeof(magic) - 1,
    LINE_BYTES = 96, /* what `head -1` shows; a copy in text mode breaks its end */
    LINE_END_BYTES = sizeof(line_end) - 1,
    HEADER_BYTES = LINE_BYTES + 40,
    ROW_BYTES = 32,
    META = 0,
    PLAN,
    CONSTANTS,
    GRAPH,
    REPORT,
    CODE,
    LAYERS,
    SOURCE,
    DATA,
    SECTION_COUNT,
    TABLE_BYTES = SECTION_COUNT * ROW_BYTES,
};

static const char *const section_names[SECTION_COUNT] = {
    "meta", "plan", "constants", "graph", "report", "code", "layers", "source", "data"};

#define STRIPPED UINT32_MAX /* in place of the number of a packed constant */

/* ---- Writing ---------------------------------------------------------------------------------*/

static void write_panels(const tn_panels *panels, tn_writer *out)
{
    tn_write_i64(out, panels->matrices);
    tn_write_i64(out, panels->rows);
    tn_write_i64(out, panels->columns);
    tn_write_i64(out, panels->width);
    tn_write_u8(out, panels->turned);
}

/* Damage of the file that the engine came from must not get a checksum that makes it good. */
static tn_status write_constants(const tn_engine *engine, tn_writer *out)
{
    tn_write_u32(out, (uint32_t)engine->plan.constant_count);
    for (int32_t i = 0; i < engine->plan.constant_count; i++) {
        const tn_tensor *t = &engine->plan.constant[i];
        uint64_t hash;
        const tn_constant_order *order = &engine->constant_place[i].order;
        tn_write_u8(out, (uint8_t)t->dtype);
        tn_write_u8(out, (uint8_t)t->rank);
        for (int axis = 0; axis < t->rank; axis++) tn_write_i64(out, t->dim[axis]);
        if (engine->constant_place[i].stripped) {
            tn_write_u32(out, STRIPPED);
            continue;
        }
        tn_write_u32(out, (uint32_t)(order->packed + 1));
        if (order->packed >= 0) {
            write_panels(&order->panels, out);
            continue;
        }
        TN_TRY(tn_exec_constant_check(engine, i));
        TN_TRY(tn_exec_constant_hash(engine, i, &hash));
        tn_write_u64(out, engine->constant_place[i].offset);
        tn_write_u64(out, engine->constant_place[i].bytes);
        tn_write_u64(out, hash);
    }
    return NULL;
}

static int compare_codes(const void *a, const void *b)
{
    const tn_card_code *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* The engine's own, and what later cards can use. */
static tn_status gather_code(const tn_engine *engine, tn_card_codes *codes)
{
    int64_t count = engine->code.count;
    TN_TRY(tn_arena_grow(codes->arena, &codes->at, 0, &codes->capacity, count, sizeof *codes->at));
    if (count) memcpy(codes->at, engine->code.at, (size_t)count * sizeof *codes->at);
    codes->count = count;
    if (count && engine->card && engine->card->backend->card->add_portable)
        TN_TRY(engine->card->backend->card->add_portable(engine->card, engine->pool, codes));
    if (count) qsort(codes->at, (size_t)codes->count, sizeof *codes->at, compare_codes);
    return NULL;
}

static tn_status write_code(const tn_engine *engine, tn_writer *out)
{
    tn_arena arena;
    tn_arena_init(&arena);
    tn_card_codes codes = {.arena = &arena};
    tn_status status = gather_code(engine, &codes);
    tn_write_u32(out, (uint32_t)codes.count);
    for (int64_t i = 0; i < codes.count && !status; i++) {
        tn_write_text(out, codes.at[i].name);
        tn_write_u64(out, codes.at[i].count);
        tn_write_bytes(out, codes.at[i].bytes, codes.at[i].count);
    }
    tn_arena_fini(&arena);
    return status;
}

static void write_source(const tn_source *source, tn_writer *out)
{
    if (!source->text) return;
    tn_write_u32(out, (uint32_t)source->count);
    for (int32_t i = 0; i < source->count; i++) {
        tn_write_text(out, source->name[i]);
        tn_write_u32(out, (uint32_t)source->constant[i]);
    }
    tn_write_bytes(out, source->text, source->text_bytes);
}

static tn_status write_section(const tn_engine *engine, int kind, tn_writer *out)
{
    switch (kind) {
    case META: tn_write_bytes(out, engine->meta, strlen(engine->meta)); break;
    case PLAN: tn_plan_write(&engine->plan, out); break;
    case CONSTANTS: return write_constants(engine, out);
    case GRAPH:
        tn_write_u32(out, (uint32_t)engine->graph_constant_count);
        for (int32_t i = 0; i < engine->graph_constant_count; i++)
            tn_write_u32(out, (uint32_t)engine->graph_constant[i]);
        tn_write_bytes(out, engine->graph_text, engine->graph_text_bytes);
        break;
    case REPORT: tn_write_bytes(out, engine->report, strlen(engine->report)); break;
    case CODE: return write_code(engine, out);
    case LAYERS: tn_layers_write(&engine->layers, out); break;
    case SOURCE: write_source(&engine->source, out); break;
    default: break;
    }
    return NULL;
}

typedef struct row {
    uint64_t offset, bytes, hash;
} row;

/* "TENON engine layout 7, tenon 0.1.0, for cpu", spaces, and the end. */
static tn_status write_line(const tn_engine *engine, tn_writer *out)
{
    enum { TEXT_BYTES = LINE_BYTES - LINE_END_BYTES };
    char line[TEXT_BYTES + 1];
    const char *device, *card;
    tn_arena arena;
    tn_arena_init(&arena);
    tn_status status = tn_exec_engine_meta(engine, "device", &arena, &device);
    if (!status) status = tn_exec_engine_meta(engine, "card", &arena, &card);
    if (!status)
        snprintf(line, sizeof(line), "%slayout %d, tenon %s, for %s%s", magic, LAYOUT, tn_version(),
                 card[0] ? card : device, engine->stripped ? ", no weights" : "");
    tn_arena_fini(&arena);
    TN_TRY(status);
    for (size_t i = strlen(line); i < TEXT_BYTES; i++) line[i] = ' ';
    tn_write_bytes(out, line, TEXT_BYTES);
    tn_write_bytes(out, line_end, LINE_END_BYTES);
    return NULL;
}

static tn_status write_header(const tn_engine *engine, const row *table, uint64_t file_bytes,
                              tn_writer *out)
{
    size_t begin = out->count;
    TN_TRY(write_line(engine, out));
    tn_writer rows = {0};
    for (uint32_t i = 0; i < SECTION_COUNT; i++) {
        tn_write_u32(&rows, i + 1);
        tn_write_u32(&rows, 0);
        tn_write_u64(&rows, table[i].offset);
        tn_write_u64(&rows, table[i].bytes);
        tn_write_u64(&rows, table[i].hash);
    }
    tn_write_u32(out, LAYOUT);
    tn_write_u32(out, SECTION_COUNT);
    tn_write_u64(out, file_bytes);
    tn_write_u64(out, 0);
    tn_write_u64(out, rows.failed ? 0 : tn_hash_bytes(rows.at, rows.count));
    tn_write_u64(out, out->failed ? 0 : tn_hash_bytes(out->at + begin, HEADER_BYTES - 8));
    tn_write_bytes(out, rows.at, rows.count);
    out->failed |= rows.failed;
    tn_writer_fini(&rows);
    return NULL;
}

/* Everything but the data, which may be gigabytes, is written from where it lies, and has its
 * checksums in the table of constants. */
static tn_status write_sections(const tn_engine *engine, tn_writer *body, row *table)
{
    for (int i = 0; i < SECTION_COUNT; i++) {
        tn_write_align(body, TN_ALIGNMENT);
        size_t begin = body->count;
        TN_TRY(write_section(engine, i, body));
        table[i] = (row){begin, body->count - begin, 0};
        if (i == DATA) table[i].bytes = engine->constant_bytes;
        else if (!body->failed) table[i].hash = tn_hash_bytes(body->at + begin, table[i].bytes);
    }
    return NULL;
}

static tn_status write_front(const tn_engine *engine, tn_writer *out)
{
    row table[SECTION_COUNT];
    size_t base = HEADER_BYTES + TABLE_BYTES;
    tn_writer body = {0};
    for (size_t i = 0; i < base; i++) tn_write_u8(&body, 0);
    tn_status status = write_sections(engine, &body, table);
    if (!status) {
        status = write_header(engine, table, table[DATA].offset + table[DATA].bytes, out);
        if (!body.failed) tn_write_bytes(out, body.at + base, body.count - base);
        out->failed |= body.failed;
    }
    tn_writer_fini(&body);
    return status ? status : tn_writer_check(out);
}

tn_status tn_engine_file_write(const tn_engine *engine, tn_writer *out)
{
    TN_TRY(write_front(engine, out));
    if (engine->constant_bytes) tn_write_bytes(out, engine->constant_data, engine->constant_bytes);
    return tn_writer_check(out);
}

tn_status tn_engine_file_save(const tn_engine *engine, const char *path)
{
    tn_writer front = {0};
    tn_file_write file;
    tn_status status = write_front(engine, &front);
    if (!status) {
        status = tn_file_write_begin(path, &file);
        if (!status) {
            status = tn_file_write_bytes(&file, front.at, front.count);
            if (!status && engine->constant_bytes)
                status = tn_file_write_bytes(&file, engine->constant_data, engine->constant_bytes);
            if (!status) status = tn_file_write_commit(&file);
            tn_file_write_end(&file);
        }
    }
    tn_writer_fini(&front);
    return status ? tn_status_trail(status, __FILE__, __LINE__, __func__) : NULL;
}

/* ---- Reading ---------------------------------------------------------------------------------*/

typedef struct image {
    const char *name; /* of the file, for messages */
    const uint8_t *at;
    size_t bytes;
    tn_reader section[SECTION_COUNT];
} image;

/* Layouts 1 to 6 began with a line of their own. */
static tn_status check_begin(const image *file)
{
    static const char before[] = "TENON\r\n\x1a";
    TN_CHECK(file->bytes < sizeof(before) - 1 || memcmp(file->at, before, sizeof(before) - 1),
             TN_UNSUPPORTED, "%s has a layout of engine files before %d: build the engine anew",
             file->name, LAYOUT);
    TN_CHECK(file->bytes >= LINE_BYTES && !memcmp(file->at, magic, MAGIC_BYTES), TN_CORRUPT,
             "%s is not an engine file", file->name);
    TN_CHECK(!memcmp(file->at + LINE_BYTES - LINE_END_BYTES, line_end, LINE_END_BYTES), TN_CORRUPT,
             "%s: its first line is damaged, as by a copy in text mode", file->name);
    return NULL;
}

static tn_status read_header(image *file, tn_reader *table)
{
    tn_reader in = tn_reader_of(file->at, file->bytes, "engine header");
    const void *bytes;
    uint32_t layout, sections;
    uint64_t file_bytes, zero, table_hash, header_hash;
    TN_TRY(check_begin(file));
    TN_TRY(tn_read_bytes(&in, LINE_BYTES, "the first line", &bytes));
    TN_TRY(tn_read_u32(&in, "the version", &layout));
    TN_CHECK(layout == LAYOUT, TN_UNSUPPORTED,
             "%s has layout %u of engine files, this version reads %d: build the engine anew",
             file->name, layout, LAYOUT);
    TN_TRY(tn_read_u32(&in, "the number of sections", &sections));
    TN_TRY(tn_read_u64(&in, "the size of the file", &file_bytes));
    TN_TRY(tn_read_u64(&in, "the reserved field", &zero));
    TN_TRY(tn_read_u64(&in, "a checksum", &table_hash));
    TN_TRY(tn_read_u64(&in, "a checksum", &header_hash));
    TN_CHECK(tn_hash_bytes(file->at, HEADER_BYTES - 8) == header_hash && zero == 0 &&
                 sections == SECTION_COUNT,
             TN_CORRUPT, "%s: the header is damaged", file->name);
    TN_CHECK(file_bytes == file->bytes, TN_CORRUPT,
             "%s: has %zu bytes, was written with %llu: it is not complete", file->name,
             file->bytes, (unsigned long long)file_bytes);
    TN_TRY(tn_read_bytes(&in, TABLE_BYTES, "the section table", &bytes));
    TN_CHECK(tn_hash_bytes(bytes, TABLE_BYTES) == table_hash, TN_CORRUPT,
             "%s: the section table is damaged", file->name);
    *table = tn_reader_of(bytes, TABLE_BYTES, "engine section table");
    return NULL;
}

static tn_status read_section(image *file, tn_reader *table, int index, size_t *end)
{
    uint32_t kind, zero;
    uint64_t offset, bytes, hash;
    TN_TRY(tn_read_u32(table, "a section", &kind));
    TN_TRY(tn_read_u32(table, "a section", &zero));
    TN_TRY(tn_read_u64(table, "a section", &offset));
    TN_TRY(tn_read_u64(table, "a section", &bytes));
    TN_TRY(tn_read_u64(table, "a section", &hash));
    TN_CHECK(
        kind == (uint32_t)index + 1 && zero == 0 && offset == tn_align_up(*end, TN_ALIGNMENT) &&
            offset <= file->bytes && bytes <= file->bytes - offset,
        TN_CORRUPT, "%s: section '%s' lies outside of the file", file->name, section_names[index]);
    for (size_t i = *end; i < offset; i++)
        TN_CHECK(file->at[i] == 0, TN_CORRUPT, "%s: byte %zu between sections is not zero",
                 file->name, i);
    uint64_t want = index == DATA ? 0 : tn_hash_bytes(file->at + offset, (size_t)bytes);
    TN_CHECK(hash == want, TN_CORRUPT, "%s: section '%s' is damaged", file->name,
             section_names[index]);
    file->section[index] = tn_reader_of(file->at + offset, (size_t)bytes, section_names[index]);
    *end = (size_t)(offset + bytes);
    return NULL;
}

/* With the zeros up to the next multiple of 64, which the checksum takes in. */
static tn_status read_place(const tn_engine *engine, tn_reader *in, size_t *total,
                            tn_constant_place *place)
{
    uint64_t offset, bytes;
    TN_TRY(tn_read_u64(in, "an offset", &offset));
    TN_TRY(tn_read_u64(in, "a size", &bytes));
    TN_TRY(tn_read_u64(in, "a checksum", &place->hash));
    TN_CHECK(offset % TN_ALIGNMENT == 0 && offset <= engine->constant_bytes &&
                 bytes <= engine->constant_bytes - offset &&
                 tn_align_up((size_t)bytes, TN_ALIGNMENT) <= engine->constant_bytes - offset,
             TN_CORRUPT, "the data lies outside of its section");
    place->offset = (size_t)offset;
    place->bytes = (size_t)bytes;
    TN_CHECK(tn_add_size(*total, tn_align_up(place->bytes, TN_ALIGNMENT), total), TN_CORRUPT,
             "the sizes overflow");
    return NULL;
}

static tn_status read_panels(tn_reader *in, tn_panels *panels)
{
    uint8_t turned;
    TN_TRY(tn_read_i64(in, "the order of a constant", &panels->matrices));
    TN_TRY(tn_read_i64(in, "the order of a constant", &panels->rows));
    TN_TRY(tn_read_i64(in, "the order of a constant", &panels->columns));
    TN_TRY(tn_read_i64(in, "the order of a constant", &panels->width));
    TN_TRY(tn_read_u8(in, "the order of a constant", &turned));
    TN_CHECK(turned <= 1, TN_CORRUPT, "an order of the unknown kind %d", turned);
    panels->turned = turned;
    return NULL;
}

static tn_status read_constant(tn_engine *engine, tn_reader *in, int32_t index, size_t *total)
{
    uint8_t dtype, rank;
    uint32_t packed;
    tn_tensor *t = &engine->plan.constant[index];
    tn_constant_place *place = &engine->constant_place[index];
    *t = (tn_tensor){0};
    TN_TRY(tn_read_u8(in, "a type", &dtype));
    TN_TRY(tn_read_u8(in, "a rank", &rank));
    TN_CHECK(tn_dtype_valid(dtype) && rank <= TN_RANK_MAX, TN_CORRUPT, "type %d of rank %d", dtype,
             rank);
    t->dtype = (tn_dtype)dtype;
    t->rank = rank;
    for (int axis = 0; axis < rank; axis++) {
        TN_TRY(tn_read_i64(in, "a dim", &t->dim[axis]));
        TN_CHECK(t->dim[axis] >= 0, TN_CORRUPT, "a negative dim");
    }
    TN_CHECK(tn_tensor_bytes(t) >= 0, TN_CORRUPT, "the size overflows");
    tn_tensor_set_dense(t);
    TN_TRY(tn_read_u32(in, "the place of a constant", &packed));
    place->order.packed = -1;
    if (packed == STRIPPED) {
        TN_CHECK(t->dtype != TN_DTYPE_STRING, TN_CORRUPT, "strings are never stripped");
        place->stripped = engine->stripped = true;
        t->data = tn_buffer_nothing();
        return NULL;
    }
    TN_CHECK(packed <= INT32_MAX, TN_CORRUPT, "constant %u is out of range", packed);
    place->order.packed = (int32_t)packed - 1;
    if (packed) return read_panels(in, &place->order.panels);
    TN_TRY(read_place(engine, in, total, place));
    const uint8_t *data = engine->constant_data + place->offset;
    if (t->dtype == TN_DTYPE_STRING) {
        TN_TRY(tn_exec_constant_check(engine, index)); /* read now, to make pointers of it */
        return tn_strings_load(data, place->bytes, &engine->arena, t);
    }
    TN_CHECK((uint64_t)tn_tensor_bytes(t) == place->bytes, TN_CORRUPT,
             "the size does not fit the dims");
    /* Read-only memory in truth: nothing writes constants, and tn_tensor has one kind of pointer.
     */
    t->data = (void *)(uintptr_t)data;
    return NULL;
}

/* The constant that this one lies in is in the file, holds the panels, and nobody else's. */
static tn_status check_order(const tn_engine *engine, int32_t index, bool *taken)
{
    const tn_plan *plan = &engine->plan;
    const tn_constant_order *order = &engine->constant_place[index].order;
    const tn_tensor *t = &plan->constant[index];
    int64_t elements, packed;
    TN_CHECK(order->packed < plan->constant_count && !taken[order->packed] &&
                 engine->constant_place[order->packed].order.packed < 0,
             TN_CORRUPT, "constant %d lies in %d, which cannot be", index, order->packed);
    TN_CHECK(!engine->constant_place[order->packed].stripped, TN_CORRUPT,
             "constant %d lies in %d, which was stripped", index, order->packed);
    const tn_tensor *from = &plan->constant[order->packed];
    TN_CHECK(t->dtype == TN_DTYPE_F32 && from->dtype == TN_DTYPE_U8 &&
                 tn_panels_counts(&order->panels, &elements, &packed) &&
                 elements == tn_tensor_count(t) && packed <= tn_tensor_bytes(from) / 4,
             TN_CORRUPT, "constant %d does not fit into %d", index, order->packed);
    taken[order->packed] = true;
    return NULL;
}

static tn_status place_unpacked(tn_engine *engine)
{
    int32_t count = engine->plan.constant_count;
    size_t total = 0;
    bool *taken = TN_NEW_ARRAY(&engine->arena, bool, count);
    TN_CHECK(taken, TN_OUT_OF_MEMORY, "no memory for %d constants", count);
    for (int32_t i = 0; i < count; i++) {
        tn_constant_place *place = &engine->constant_place[i];
        if (place->order.packed < 0) continue;
        TN_TRY(check_order(engine, i, taken));
        place->offset = total;
        place->bytes = (size_t)tn_tensor_bytes(&engine->plan.constant[i]);
        total += tn_align_up(place->bytes, TN_ALIGNMENT);
    }
    return tn_exec_make_room(engine, total);
}

static tn_status read_constants(tn_engine *engine, tn_reader *in, tn_reader *data)
{
    uint32_t count;
    size_t total = 0;
    engine->constant_data = data->begin;
    engine->constant_bytes = (size_t)(data->end - data->begin);
    TN_TRY(tn_read_count(in, "the constants", 6, &count));
    engine->plan.constant = TN_NEW_ARRAY(&engine->plan.arena, tn_tensor, count);
    engine->constant_place = TN_NEW_ARRAY(&engine->arena, tn_constant_place, count);
    engine->constant_good = TN_NEW_ARRAY(&engine->arena, atomic_bool, count);
    TN_CHECK(engine->plan.constant && engine->constant_place && engine->constant_good,
             TN_OUT_OF_MEMORY, "no memory for %u constants", count);
    for (uint32_t i = 0; i < count; i++)
        TN_TRY_NOTE(read_constant(engine, in, (int32_t)i, &total), "in constant %u of %u", i,
                    count);
    engine->plan.constant_count = (int32_t)count;
    TN_CHECK(in->at == in->end, TN_CORRUPT, "bytes are left over after the constants");
    TN_CHECK(total == engine->constant_bytes, TN_CORRUPT, "the constants are not all of the data");
    return place_unpacked(engine);
}

static tn_status read_graph(tn_engine *engine, tn_reader *in)
{
    uint32_t count, number;
    TN_TRY(tn_read_count(in, "the constants of the graph", 4, &count));
    engine->graph_constant = TN_NEW_ARRAY(&engine->arena, int32_t, count);
    TN_CHECK(engine->graph_constant, TN_OUT_OF_MEMORY, "no memory for a graph");
    for (uint32_t i = 0; i < count; i++) {
        TN_TRY(tn_read_u32(in, "a constant of the graph", &number));
        TN_CHECK(number < (uint32_t)engine->plan.constant_count, TN_CORRUPT,
                 "the graph uses constant %u, which does not exist", number);
        engine->graph_constant[i] = (int32_t)number;
    }
    engine->graph_constant_count = (int32_t)count;
    engine->graph_text_bytes = (size_t)(in->end - in->at);
    engine->graph_text =
        tn_arena_text(&engine->arena, (const char *)in->at, engine->graph_text_bytes);
    TN_CHECK(engine->graph_text, TN_OUT_OF_MEMORY, "no memory for a graph");
    return NULL;
}

static tn_status read_source(tn_engine *engine, tn_reader *in)
{
    uint32_t count, number;
    tn_source *out = &engine->source;
    if (in->at == in->end) return NULL;
    TN_TRY(tn_read_count(in, "the weights", 8, &count));
    out->name = TN_NEW_ARRAY(&engine->arena, const char *, count);
    out->constant = TN_NEW_ARRAY(&engine->arena, int32_t, count);
    TN_CHECK(out->name && out->constant, TN_OUT_OF_MEMORY, "no memory for the source graph");
    for (uint32_t i = 0; i < count; i++) {
        TN_TRY(tn_read_text(in, "the name of a weight", &engine->arena, &out->name[i]));
        TN_TRY(tn_read_u32(in, "the constant of a weight", &number));
        TN_CHECK(number < (uint32_t)engine->plan.constant_count, TN_CORRUPT,
                 "the source graph uses constant %u, which does not exist", number);
        out->constant[i] = (int32_t)number;
    }
    out->count = (int32_t)count;
    out->text_bytes = (size_t)(in->end - in->at);
    out->text = tn_arena_text(&engine->arena, (const char *)in->at, out->text_bytes);
    TN_CHECK(out->text, TN_OUT_OF_MEMORY, "no memory for the source graph");
    return NULL;
}

static tn_status read_code(tn_engine *engine, tn_reader *in)
{
    uint32_t count;
    TN_TRY(tn_read_count(in, "the code of kernels", 12, &count));
    engine->code.at = TN_NEW_ARRAY(&engine->arena, tn_card_code, count);
    TN_CHECK(engine->code.at, TN_OUT_OF_MEMORY, "no memory for a table of code");
    for (uint32_t i = 0; i < count; i++) {
        tn_card_code *c = &engine->code.at[i];
        uint64_t bytes;
        TN_TRY(tn_read_text(in, "the name of a code", &engine->arena, &c->name));
        TN_TRY(tn_read_u64(in, "the size of a code", &bytes));
        TN_TRY(tn_read_bytes(in, (size_t)bytes, "a code", &c->bytes));
        c->count = (size_t)bytes;
    }
    engine->code.count = engine->code.capacity = count;
    TN_CHECK(in->at == in->end, TN_CORRUPT, "bytes are left over after the code");
    return NULL;
}

static tn_status read_text(tn_engine *engine, const tn_reader *in, const char **out)
{
    size_t bytes = (size_t)(in->end - in->at);
    TN_CHECK(bytes == 0 || !memchr(in->at, 0, bytes), TN_CORRUPT, "section '%s' is no text",
             in->what);
    *out = tn_arena_text(&engine->arena, (const char *)in->at, bytes);
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory for a section of %zu bytes", bytes);
    return NULL;
}

/* Is the plan ours to read? */
static tn_status check_version(tn_engine *engine)
{
    const char *version, *params;
    TN_TRY(tn_exec_engine_meta(engine, "tenon", &engine->arena, &version));
    TN_TRY(tn_exec_engine_meta(engine, "params", &engine->arena, &params));
    char *want = tn_arena_printf(&engine->arena, "%016llx",
                                 (unsigned long long)tn_exec_params_hash(engine->backend));
    TN_CHECK(want, TN_OUT_OF_MEMORY, "no memory for a line of text");
    engine->plan_usable = !strcmp(version, tn_version()) && !strcmp(params, want);
    return NULL;
}

/* Operators of users stand in lines "op:my.ops.Scale=libscale.so", told all at once when they are
 * missing: neither the plan nor the portable graph can do without. */
static tn_status check_operators(const tn_engine *engine, const char *name)
{
    tn_text missing = {0};
    int count = 0;
    for (const char *line = engine->meta; *line;) {
        size_t bytes = strcspn(line, "\n"), op_bytes = strcspn(line, "=\n");
        char op[256];
        if (!strncmp(line, "op:", 3) && op_bytes < bytes && op_bytes - 3 < sizeof(op)) {
            memcpy(op, line + 3, op_bytes - 3);
            op[op_bytes - 3] = 0;
            const char *dot = strrchr(op, '.'), *from = line + op_bytes + 1;
            int from_bytes = (int)(bytes - op_bytes - 1);
            if (!tn_tactic_reference(engine->backend, op)) {
                tn_text_printf(&missing, "%s'%s' of domain '%.*s', ", count++ ? "; " : "",
                               dot ? dot + 1 : op, dot ? (int)(dot - op) : 0, op);
                if (from_bytes)
                    tn_text_printf(&missing, "which came from the library %.*s", from_bytes, from);
                else tn_text_printf(&missing, "which the program that built it registered itself");
            }
        }
        line += bytes + (line[bytes] != 0);
    }
    if (!count) return NULL;
    tn_status status =
        TN_ERROR(TN_UNAVAILABLE,
                 "%s uses %d operator%s that %s not registered here: %s. Name the library with "
                 "--op-library=FILE (tn_op_library_load), or call tn_op_register, before the "
                 "engine is loaded",
                 name, count, count == 1 ? "" : "s", count == 1 ? "is" : "are",
                 missing.at ? missing.at : "no memory for their names");
    tn_text_fini(&missing);
    return status;
}

tn_status tn_engine_file_read(tn_engine *engine, tn_mapping mapping, const char *name)
{
    image file = {.name = name, .at = mapping.at, .bytes = mapping.bytes};
    size_t end = HEADER_BYTES + TABLE_BYTES;
    tn_reader table;
    TN_CHECK(((uintptr_t)mapping.at & 7) == 0, TN_INVALID, "%s: the engine's memory is not aligned",
             name);
    TN_TRY(read_header(&file, &table));
    for (int i = 0; i < SECTION_COUNT; i++) TN_TRY(read_section(&file, &table, i, &end));
    TN_CHECK(end == file.bytes, TN_CORRUPT, "%s: bytes are left over at the end", name);
    TN_TRY_NOTE(read_text(engine, &file.section[META], &engine->meta), "in %s", name);
    TN_TRY_NOTE(read_text(engine, &file.section[REPORT], &engine->report), "in %s", name);
    TN_TRY_NOTE(read_constants(engine, &file.section[CONSTANTS], &file.section[DATA]), "in %s",
                name);
    TN_TRY_NOTE(read_graph(engine, &file.section[GRAPH]), "in %s", name);
    TN_TRY_NOTE(read_code(engine, &file.section[CODE]), "in %s", name);
    TN_TRY_NOTE(tn_layers_read(&file.section[LAYERS], &engine->arena, &engine->layers), "in %s",
                name);
    TN_TRY_NOTE(read_source(engine, &file.section[SOURCE]), "in %s", name);
    TN_TRY(check_version(engine));
    TN_TRY(check_operators(engine, name));
    if (engine->plan_usable)
        TN_TRY_NOTE(tn_plan_read(&file.section[PLAN], engine->backend, &engine->plan), "in %s",
                    name);
    return NULL;
}
