/* The constants of an engine: one block of memory, in a built engine and in a file alike.
 *
 * A file's weights may be gigabytes, so a constant is held against its checksum just before it is
 * first read, not when the file is opened: what nobody reads takes neither time nor memory.
 *
 * Weights that a kernel has packed are there once: as the kernel wants them, which alone are read
 * as a rule. As the graph has them they are put together when somebody asks: for shapes that the
 * kernel refuses, or to make another plan. */
#include <stdatomic.h>
#include <string.h>

#include "exec/exec.h"
#include "tensor/dtype.h"
#include "tensor/tensor.h"

/* ---- Checksums --------------------------------------------------------------------------------*/

enum { PIECE_BYTES = 256 << 10 };

typedef struct pieces {
    const uint8_t *at;
    size_t bytes;
    _Atomic uint64_t sum;
} pieces;

static tn_status add_pieces(void *arg, int64_t begin, int64_t end, int thread)
{
    pieces *p = arg;
    uint64_t sum = 0;
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        size_t from = (size_t)i * PIECE_BYTES, left = p->bytes - from;
        sum += tn_hash_seeded(p->at + from, TN_MIN(left, (size_t)PIECE_BYTES), (uint64_t)i);
    }
    atomic_fetch_add_explicit(&p->sum, sum, memory_order_relaxed);
    return NULL;
}

/* A sum over pieces, so that threads can share it; each with its number, so that they cannot be
 * exchanged. With the zeros after it up to the next constant: no byte of the block is left out. */
tn_status tn_exec_constant_hash(const tn_engine *engine, int32_t index, uint64_t *out)
{
    const tn_constant_place *place = &engine->constant_place[index];
    pieces p = {.at = engine->constant_data + place->offset,
                .bytes = tn_align_up(place->bytes, TN_ALIGNMENT)};
    int64_t count = (int64_t)((p.bytes + PIECE_BYTES - 1) / PIECE_BYTES);
    TN_TRY(tn_pool_run(engine->pool, count, 2, add_pieces, &p));
    *out = atomic_load(&p.sum);
    return NULL;
}

static void unpack(const tn_engine *engine, int32_t index)
{
    const tn_constant_place *place = &engine->constant_place[index];
    const void *from = engine->plan.constant[place->order.packed].data;
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&engine->unpack_lock; /* the engine's */
    pthread_mutex_lock(lock);
    if (!atomic_load_explicit(&engine->constant_good[index], memory_order_relaxed))
        tn_panels_unpack(&place->order.panels, from, engine->unpacked + place->offset);
    atomic_store_explicit(&engine->constant_good[index], true, memory_order_release);
    pthread_mutex_unlock(lock);
}

tn_status tn_exec_constant_check(const tn_engine *engine, int32_t index)
{
    atomic_bool *good = engine->constant_good;
    const tn_constant_place *place = &engine->constant_place[index];
    uint64_t hash;
    TN_CHECK(!engine->stripped || !place->stripped, TN_INVALID,
             "the engine has no weights: fill it with `tenon refit` (tn_engine_refit)");
    if (!good || atomic_load_explicit(&good[index], memory_order_acquire)) return NULL;
    if (place->order.packed >= 0) {
        TN_TRY(tn_exec_constant_check(engine, place->order.packed));
        unpack(engine, index);
        return NULL;
    }
    TN_TRY(tn_exec_constant_hash(engine, index, &hash));
    TN_CHECK(hash == place->hash, TN_CORRUPT,
             "constant %d of the engine is damaged: get the file anew", index);
    atomic_store_explicit(&good[index], true, memory_order_release);
    return NULL;
}

tn_status tn_exec_graph_check(const tn_engine *engine)
{
    for (int32_t i = 0; i < engine->graph_constant_count; i++)
        TN_TRY(tn_exec_constant_check(engine, engine->graph_constant[i]));
    return NULL;
}

/* ---- Engines without weights ------------------------------------------------------------------*/

bool tn_is_weight(const tn_tensor *constant)
{
    tn_dtype_kind kind = tn_dtype_kind_of(constant->dtype);
    bool number = kind == TN_KIND_I || kind == TN_KIND_U;
    return kind == TN_KIND_F || (number && tn_dtype_bits(constant->dtype) <= 16);
}

/* What is kept stays where kernels want it: a multiple of 64 after the one before. */
static tn_status keep_rest(tn_engine *engine, uint8_t *to, size_t bytes)
{
    size_t at = 0;
    for (int32_t i = 0; i < engine->plan.constant_count; i++) {
        tn_constant_place *place = &engine->constant_place[i];
        tn_tensor *t = &engine->plan.constant[i];
        if (place->stripped) {
            *place = (tn_constant_place){.order.packed = -1, .stripped = true};
            t->data = tn_buffer_nothing();
            continue;
        }
        if (place->order.packed >= 0) continue;
        size_t room = tn_align_up(place->bytes, TN_ALIGNMENT);
        TN_CHECK(room <= bytes - at, TN_INTERNAL, "a constant was counted twice");
        if (room) memcpy(to + at, engine->constant_data + place->offset, room);
        if (t->dtype == TN_DTYPE_STRING)
            TN_TRY(tn_strings_load(to + at, place->bytes, &engine->arena, t));
        else t->data = to + at;
        place->offset = at;
        at += room;
    }
    return NULL;
}

tn_status tn_exec_strip(tn_engine *engine)
{
    const tn_tensor *constant = engine->plan.constant;
    tn_constant_place *place = engine->constant_place;
    int32_t count = engine->plan.constant_count;
    size_t bytes = 0;
    TN_CHECK(engine->constant_owned || !engine->constant_bytes, TN_INTERNAL,
             "only an engine that was built here is stripped");
    for (int32_t i = 0; i < count; i++)
        place[i].stripped =
            tn_is_weight(&constant[i]) && tn_tensor_bytes(&constant[i]) >= TN_STRIP_BYTES;
    for (int32_t i = 0; i < count; i++) /* small ones may lie in what a kernel packed */
        if (!place[i].stripped && place[i].order.packed >= 0)
            place[place[i].order.packed].stripped = false;
    for (int32_t i = 0; i < count; i++)
        if (!place[i].stripped && place[i].order.packed < 0)
            bytes += tn_align_up(place[i].bytes, TN_ALIGNMENT);
    uint8_t *to = tn_alloc(bytes);
    TN_CHECK(to || !bytes, TN_OUT_OF_MEMORY, "no memory for %zu bytes of constants", bytes);
    tn_status status = keep_rest(engine, to, bytes);
    tn_free(engine->constant_owned, engine->constant_bytes);
    engine->constant_data = engine->constant_owned = to;
    engine->constant_bytes = bytes;
    engine->stripped = true;
    return status;
}

/* ---- Strings ----------------------------------------------------------------------------------*/

size_t tn_strings_stored_bytes(const tn_tensor *t)
{
    int64_t count = tn_tensor_count(t);
    size_t total;
    if (count < 0 || !tn_mul_size((size_t)count, 16, &total)) return SIZE_MAX;
    for (int64_t i = 0; i < count; i++)
        if (!tn_add_size(total, ((const tn_string *)t->data)[i].bytes, &total)) return SIZE_MAX;
    return total;
}

static void store_u64(uint8_t *dst, uint64_t value)
{
    for (int i = 0; i < 8; i++) dst[i] = (uint8_t)(value >> (8 * i));
}

void tn_strings_store(const tn_tensor *t, uint8_t *dst)
{
    int64_t count = tn_tensor_count(t);
    size_t at = (size_t)count * 16;
    for (int64_t i = 0; i < count; i++) {
        const tn_string *s = (const tn_string *)t->data + i;
        store_u64(dst + i * 16, at);
        store_u64(dst + i * 16 + 8, s->bytes);
        if (s->bytes > 0) memcpy(dst + at, s->text, s->bytes);
        at += s->bytes;
    }
}

tn_status tn_strings_load(const uint8_t *src, size_t bytes, tn_arena *arena, tn_tensor *t)
{
    int64_t count = tn_tensor_count(t);
    tn_reader in = tn_reader_of(src, bytes, "a constant of strings");
    TN_CHECK(count >= 0 && (uint64_t)count <= bytes / 16, TN_CORRUPT,
             "%zu bytes cannot hold %lld strings", bytes, (long long)count);
    tn_string *string = TN_NEW_ARRAY(arena, tn_string, count);
    TN_CHECK(string, TN_OUT_OF_MEMORY, "no memory for %lld strings", (long long)count);
    for (int64_t i = 0; i < count; i++) {
        uint64_t offset, length;
        TN_TRY(tn_read_u64(&in, "a string", &offset));
        TN_TRY(tn_read_u64(&in, "a string", &length));
        TN_CHECK(offset <= bytes && length <= bytes - offset, TN_CORRUPT,
                 "string %lld of a constant lies outside of it", (long long)i);
        string[i] = (tn_string){(const char *)src + offset, (size_t)length};
    }
    t->data = string;
    return NULL;
}

/* ---- One block --------------------------------------------------------------------------------*/

static size_t stored_bytes(const tn_tensor *t)
{
    if (t->dtype == TN_DTYPE_STRING) return tn_strings_stored_bytes(t);
    int64_t bytes = tn_tensor_bytes(t);
    return bytes < 0 ? SIZE_MAX : (size_t)bytes;
}

static tn_status store_constant(tn_engine *engine, const tn_tensor *src, uint8_t *dst, size_t bytes,
                                tn_tensor *out)
{
    *out = *src;
    tn_tensor_set_dense(out);
    out->data = dst;
    if (src->dtype == TN_DTYPE_STRING) {
        tn_strings_store(src, dst);
        return tn_strings_load(dst, bytes, &engine->arena, out);
    }
    if (bytes > 0) memcpy(dst, src->data, bytes);
    return NULL;
}

tn_status tn_exec_make_room(tn_engine *engine, size_t bytes)
{
    const tn_constant_place *place = engine->constant_place;
    engine->unpacked = tn_alloc(bytes);
    TN_CHECK(engine->unpacked || !bytes, TN_OUT_OF_MEMORY,
             "no memory for %zu bytes of constants in their first order", bytes);
    engine->unpacked_bytes = bytes;
    for (int32_t i = 0; i < engine->plan.constant_count; i++)
        if (place[i].order.packed >= 0)
            engine->plan.constant[i].data = engine->unpacked + place[i].offset;
    return NULL;
}

/* What the first choices read: not the weights that they have packed, nor what others packed, nor
 * what is in the graph alone. A guess by size, since it only says what lies side by side in the
 * file. Recursion: as deep as plans are nested. */
static void mark_front(const tn_plan *plan, const tn_tensor *constant, bool *front)
{
    enum { SMALL_BYTES = 64 << 10 };
    for (int32_t i = 0; i < plan->step_count; i++) {
        const tn_plan_step *s = &plan->step[i];
        int32_t packed = s->choice_count ? s->choice[0].packed : -1;
        if (packed >= 0) front[packed] = true;
        for (int32_t k = 0; k < s->in_count; k++) {
            const tn_plan_tensor *t = s->in[k] < 0 ? NULL : &plan->tensor[s->in[k]];
            if (!t || t->place != TN_PLACE_CONSTANT) continue;
            if (packed < 0 || tn_tensor_bytes(&constant[t->index]) <= SMALL_BYTES)
                front[t->index] = true;
        }
    }
    for (int32_t i = 0; i < plan->sub_count; i++) mark_front(plan->sub[i], constant, front);
}

/* What lies in another constant has its place in the room for what is unpacked. */
static tn_status place_constants(tn_engine *engine, const tn_tensor *constant,
                                 const tn_constant_order *order, int32_t count, size_t *unpacked)
{
    bool *front = TN_NEW_ARRAY(&engine->arena, bool, count);
    TN_CHECK(front, TN_OUT_OF_MEMORY, "no memory for a table of %d constants", count);
    mark_front(&engine->plan, constant, front);
    for (int turn = 1; turn >= 0; turn--)
        for (int32_t i = 0; i < count; i++) {
            if (front[i] != turn) continue;
            tn_constant_place *place = &engine->constant_place[i];
            place->bytes = stored_bytes(&constant[i]);
            place->order.packed = turn || !order ? -1 : order[i].packed;
            if (place->order.packed >= 0) place->order.panels = order[i].panels;
            size_t *total = place->order.packed < 0 ? &engine->constant_bytes : unpacked;
            TN_CHECK(place->bytes < PTRDIFF_MAX &&
                         *total < PTRDIFF_MAX - place->bytes - TN_ALIGNMENT,
                     TN_OUT_OF_MEMORY, "the constants take more memory than there are addresses");
            place->offset = *total;
            *total += tn_align_up(place->bytes, TN_ALIGNMENT);
        }
    return NULL;
}

/* The gaps are written to the file and must not differ from build to build. */
static tn_status store_constants(tn_engine *engine, const tn_tensor *constant, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        const tn_constant_place *place = &engine->constant_place[i];
        tn_tensor *t = &engine->plan.constant[i];
        if (place->order.packed >= 0) {
            *t = constant[i];
            tn_tensor_set_dense(t);
            continue;
        }
        uint8_t *dst = (uint8_t *)engine->constant_owned + place->offset;
        TN_TRY(store_constant(engine, &constant[i], dst, place->bytes, t));
        size_t gap = tn_align_up(place->bytes, TN_ALIGNMENT) - place->bytes;
        if (gap) memset(dst + place->bytes, 0, gap);
    }
    return NULL;
}

/* Nothing was read from a file: what is not to be unpacked is good. */
static tn_status mark_good(tn_engine *engine, int32_t count)
{
    engine->constant_good = TN_NEW_ARRAY(&engine->arena, atomic_bool, count);
    TN_CHECK(engine->constant_good, TN_OUT_OF_MEMORY, "no memory for a table of %d constants",
             count);
    for (int32_t i = 0; i < count; i++)
        atomic_init(&engine->constant_good[i], engine->constant_place[i].order.packed < 0);
    return NULL;
}

tn_status tn_exec_engine_own(tn_engine *engine, const tn_tensor *constant,
                             const tn_constant_order *order, int32_t count)
{
    size_t unpacked = 0;
    engine->constant_place = TN_NEW_ARRAY(&engine->arena, tn_constant_place, count);
    engine->plan.constant = TN_NEW_ARRAY(&engine->plan.arena, tn_tensor, count);
    TN_CHECK(engine->constant_place && engine->plan.constant, TN_OUT_OF_MEMORY,
             "no memory for a table of %d constants", count);
    TN_TRY(place_constants(engine, constant, order, count, &unpacked));
    TN_TRY(mark_good(engine, count));
    if (engine->constant_bytes > 0) {
        engine->constant_owned = tn_alloc(engine->constant_bytes);
        TN_CHECK(engine->constant_owned, TN_OUT_OF_MEMORY, "no memory for %zu bytes of constants",
                 engine->constant_bytes);
    }
    engine->constant_data = engine->constant_owned;
    TN_TRY(store_constants(engine, constant, count));
    engine->plan.constant_count = count;
    TN_TRY(tn_exec_make_room(engine, unpacked));
    tn_plan_set_constants(&engine->plan, engine->plan.constant, count);
    return NULL;
}
