/* See layers.h. */
#include "exec/layers.h"

#include <string.h>

tn_status tn_places_add(tn_places *places, int32_t place, tn_arena *arena)
{
    int32_t at = places->count;
    while (at > 0 && places->at[at - 1] > place) at--;
    if (at > 0 && places->at[at - 1] == place) return NULL;
    TN_TRY(tn_arena_grow(arena, &places->at, places->count, &places->capacity,
                         (int64_t)places->count + 1, sizeof(*places->at)));
    memmove(&places->at[at + 1], &places->at[at],
            sizeof(*places->at) * (size_t)(places->count - at));
    places->at[at] = place;
    places->count++;
    return NULL;
}

tn_status tn_places_join(tn_places *places, const tn_places *with, tn_arena *arena)
{
    for (int32_t i = 0; i < with->count; i++) TN_TRY(tn_places_add(places, with->at[i], arena));
    return NULL;
}

/* ---- Files -----------------------------------------------------------------------------------*/

static void write_places(const tn_places *places, tn_writer *out)
{
    tn_write_u32(out, (uint32_t)places->count);
    for (int32_t i = 0; i < places->count; i++) tn_write_u32(out, (uint32_t)places->at[i]);
}

void tn_layers_write(const tn_layers *layers, tn_writer *out)
{
    tn_write_u32(out, (uint32_t)layers->source_count);
    for (int32_t i = 0; i < layers->source_count; i++) {
        tn_write_text(out, layers->source[i].op);
        tn_write_text(out, layers->source[i].name);
        write_places(&layers->source[i].node, out);
    }
    tn_write_u32(out, (uint32_t)layers->step_count);
    for (int32_t i = 0; i < layers->step_count; i++) {
        tn_write_text(out, layers->step[i].problem);
        tn_write_u64(out, layers->step[i].flops);
        write_places(&layers->step[i].node, out);
    }
}

static tn_status read_places(tn_reader *in, tn_arena *arena, tn_places *out)
{
    uint32_t count, place;
    TN_TRY(tn_read_count(in, "the nodes of a layer", 4, &count));
    out->at = TN_NEW_ARRAY(arena, int32_t, count);
    TN_CHECK(out->at, TN_OUT_OF_MEMORY, "no memory for the layers of an engine");
    out->capacity = count;
    for (uint32_t i = 0; i < count; i++) {
        TN_TRY(tn_read_u32(in, "a node of a layer", &place));
        memcpy(&out->at[i], &place, sizeof(place));
        TN_CHECK(out->at[i] >= TN_NODE_CONSTANT && (i == 0 || out->at[i] > out->at[i - 1]),
                 TN_CORRUPT, "the nodes of a layer are not in order");
        out->count++;
    }
    return NULL;
}

tn_status tn_layers_read(tn_reader *in, tn_arena *arena, tn_layers *out)
{
    enum { SOURCE_MIN = 12, STEP_MIN = 16 };
    uint32_t count;
    *out = (tn_layers){0};
    TN_TRY(tn_read_count(in, "the nodes of the model", SOURCE_MIN, &count));
    out->source = TN_NEW_ARRAY(arena, tn_layer_source, count);
    TN_CHECK(out->source, TN_OUT_OF_MEMORY, "no memory for the layers of an engine");
    for (uint32_t i = 0; i < count; i++) {
        TN_TRY(tn_read_text(in, "an operator", arena, &out->source[i].op));
        TN_TRY(tn_read_text(in, "the name of a node", arena, &out->source[i].name));
        TN_TRY(read_places(in, arena, &out->source[i].node));
    }
    out->source_count = (int32_t)count;
    TN_TRY(tn_read_count(in, "the layers", STEP_MIN, &count));
    out->step = TN_NEW_ARRAY(arena, tn_layer_step, count);
    TN_CHECK(out->step, TN_OUT_OF_MEMORY, "no memory for the layers of an engine");
    for (uint32_t i = 0; i < count; i++) {
        TN_TRY(tn_read_text(in, "a problem", arena, &out->step[i].problem));
        TN_TRY(tn_read_u64(in, "the operations of a layer", &out->step[i].flops));
        TN_TRY(read_places(in, arena, &out->step[i].node));
    }
    out->step_count = (int32_t)count;
    TN_CHECK(in->at == in->end, TN_CORRUPT, "bytes are left over after the layers");
    return NULL;
}
