#include <string.h>

#include "ops/regex_full_match/regex_step.h"

static bool is_word(uint8_t c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool holds(int kind, const char *text, size_t bytes, size_t at)
{
    bool word_before = at > 0 && is_word((uint8_t)text[at - 1]);
    bool word_behind = at < bytes && is_word((uint8_t)text[at]);
    switch (kind) {
    case TN_RX_TEXT_BEGIN: return at == 0;
    case TN_RX_TEXT_END: return at == bytes;
    case TN_RX_LINE_BEGIN: return at == 0 || text[at - 1] == '\n';
    case TN_RX_LINE_END: return at == bytes || text[at] == '\n';
    case TN_RX_WORD_EDGE: return word_before != word_behind;
    default: return word_before == word_behind;
    }
}

static bool in_step(const tn_regex *regex, const tn_regex_step *step, uint32_t rune)
{
    if (step->kind == TN_RX_RANGE) return rune >= (uint32_t)step->a && rune <= (uint32_t)step->b;
    for (int32_t i = step->a; i < step->a + step->b; i++)
        if (rune >= regex->range[i].first && rune <= regex->range[i].last) return true;
    return false;
}

static bool takes(const tn_regex *regex, const tn_regex_step *step, uint32_t rune)
{
    bool found = in_step(regex, step, rune);
    if (!found && step->fold) {
        uint32_t upper = tn_letter_upper(rune);
        found = in_step(regex, step, upper) || in_step(regex, step, tn_letter_lower(rune)) ||
                in_step(regex, step, tn_letter_lower(upper));
    }
    return found != step->other;
}

static bool add(tn_regex_places *set, uint16_t place)
{
    uint16_t slot =
        set->slot[place]; /* of an earlier set perhaps: it counts if the member agrees */
    if (slot < set->count && set->member[slot] == place) return false;
    set->slot[place] = (uint16_t)set->count;
    set->member[set->count++] = place;
    return true;
}

/* All places that can be reached from `place` without a character. */
static void reach(const tn_regex *regex, const char *text, size_t bytes, size_t at, int32_t place,
                  tn_regex_places *set, uint16_t *stack)
{
    int32_t depth = 0;
    if (add(set, (uint16_t)place)) stack[depth++] = (uint16_t)place;
    while (depth > 0) {
        place = stack[--depth];
        if (place == regex->step_count) continue;
        const tn_regex_step *step = &regex->step[place];
        if (step->kind <= TN_RX_CLASS) continue;
        bool jumps = step->kind == TN_RX_FORK || step->kind == TN_RX_JUMP;
        bool goes_on = step->kind == TN_RX_FORK || (!jumps && holds(step->kind, text, bytes, at));
        int32_t target = place + step->a;
        if (jumps && add(set, (uint16_t)target)) stack[depth++] = (uint16_t)target;
        if (goes_on && add(set, (uint16_t)(place + 1))) stack[depth++] = (uint16_t)(place + 1);
    }
}

bool tn_regex_matches(const tn_regex *regex, const char *text, size_t bytes, tn_regex_state *state)
{
    tn_regex_places *now = &state->now, *next = &state->next;
    size_t at = 0;
    size_t slot_bytes = sizeof(now->slot[0]) * (size_t)(regex->step_count + 1);
    memset(now->slot, 0, slot_bytes);
    memset(next->slot, 0, slot_bytes);
    now->count = 0;
    reach(regex, text, bytes, at, 0, now, state->stack);
    while (at < bytes && now->count > 0) {
        uint32_t rune;
        at += tn_utf8_next(text + at, bytes - at, &rune);
        if (rune == TN_RUNE_BAD) return false;
        next->count = 0;
        for (int32_t i = 0; i < now->count; i++) {
            int32_t place = now->member[i];
            if (place == regex->step_count) continue;
            const tn_regex_step *step = &regex->step[place];
            if (step->kind <= TN_RX_CLASS && takes(regex, step, rune))
                reach(regex, text, bytes, at, place + 1, next, state->stack);
        }
        tn_regex_places *swap = now;
        now = next;
        next = swap;
    }
    for (int32_t i = 0; i < now->count; i++)
        if (now->member[i] == regex->step_count) return at == bytes;
    return false;
}
