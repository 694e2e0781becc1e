/* Engine files that are no engine files. The checksums are put right first, so that the fuzzer gets
 * past them to the readers of sections, the plan's verifier, and the rebuild from the portable
 * graph. Plans are not run: a checksum keeps out damage, and a plan that names its kernels is as
 * trusted as a program. */
#include <stdlib.h>
#include <string.h>

#include "backends/cpu/cpu.h"
#include "build/build.h"
#include "exec/exec.h"

enum { LINE = 96, SECTIONS = 9, CONSTANTS = 2, DATA = 8, TABLE = LINE + 40, ROW = 32 };

static uint64_t load_u64(const uint8_t *at)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static void store_u64(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++) at[i] = (uint8_t)(value >> (8 * i));
}

/* The checksums of constants, in the table of section 3. */
static void mend_constants(uint8_t *at, const tn_reader *data, tn_reader in)
{
    uint32_t count, packed;
    uint8_t dtype, rank;
    uint64_t offset, bytes, left = (uint64_t)(data->end - data->begin);
    const void *dims;
    if (tn_read_u32(&in, "", &count)) return;
    for (uint32_t i = 0; i < count; i++) {
        if (tn_read_u8(&in, "", &dtype) || tn_read_u8(&in, "", &rank)) return;
        if (tn_read_bytes(&in, (size_t)rank * 8, "", &dims)) return;
        if (tn_read_u32(&in, "", &packed)) return;
        if (packed == UINT32_MAX) continue; /* stripped */
        if (packed) {
            if (tn_read_bytes(&in, 33, "", &dims)) return;
            continue;
        }
        if (tn_read_u64(&in, "", &offset) || tn_read_u64(&in, "", &bytes)) return;
        tn_constant_place place = {.offset = (size_t)offset, .bytes = (size_t)bytes};
        tn_engine engine = {.constant_data = data->begin, .constant_place = &place};
        uint8_t *hash_at = at + (in.at - (const uint8_t *)at);
        uint64_t hash = 0;
        if (tn_read_u64(&in, "", &hash)) return;
        if (offset > left || bytes > left || tn_align_up(bytes, 64) > left - offset) return;
        if (tn_exec_constant_hash(&engine, 0, &hash)) return;
        store_u64(hash_at, hash);
    }
}

static void mend(uint8_t *at, size_t bytes)
{
    if (bytes < TABLE + SECTIONS * ROW) return;
    memcpy(at, TN_ENGINE_MAGIC, sizeof(TN_ENGINE_MAGIC) - 1);
    memcpy(at + LINE - 3, "\r\n\x1a", 3);
    store_u64(at + LINE + 8, bytes);
    tn_reader section[SECTIONS] = {{0}};
    for (int i = 0; i < SECTIONS; i++) {
        const uint8_t *row = at + TABLE + i * ROW;
        uint64_t offset = load_u64(row + 8), count = load_u64(row + 16);
        if (offset <= bytes && count <= bytes - offset)
            section[i] = tn_reader_of(at + offset, (size_t)count, "a section");
    }
    if (section[CONSTANTS].at && section[DATA].at)
        mend_constants(at, &section[DATA], section[CONSTANTS]);
    for (int i = 0; i < SECTIONS; i++) {
        const tn_reader *s = &section[i];
        uint64_t hash = i == DATA ? 0 : tn_hash_bytes(s->begin, (size_t)(s->end - s->begin));
        if (s->at) store_u64(at + TABLE + i * ROW + 24, hash);
    }
    store_u64(at + LINE + 24, tn_hash_bytes(at + TABLE, SECTIONS * ROW));
    store_u64(at + LINE + 32, tn_hash_bytes(at, LINE + 32));
}

static void read_engine(const uint8_t *at, size_t bytes)
{
    tn_engine *engine, *again = NULL;
    if (tn_exec_engine_new(&tn_backend_cpu, 1, &engine)) abort();
    tn_status status = tn_engine_file_read(engine, (tn_mapping){at, bytes}, "fuzz");
    if (!status) status = tn_exec_engine_ready(engine);
    if (tn_status_code(status) == TN_UNAVAILABLE) status = tn_build_again(engine, NULL, 1, &again);
    if (status && !tn_status_message(status)[0]) abort(); /* every failure says something */
    tn_exec_engine_release(again);
    tn_exec_engine_release(engine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    void *copy = NULL;
    if (bytes == 0 || bytes > 1 << 20 || posix_memalign(&copy, 64, bytes)) return 0;
    memcpy(copy, data, bytes);
    tn_set_log(NULL, NULL, TN_LOG_ERROR);
    read_engine(copy, bytes); /* as it is */
    mend(copy, bytes);
    read_engine(copy, bytes);
    free(copy);
    return 0;
}
