/* From a pattern to a program, in one pass: what an atom compiles to is a run of steps whose jumps
 * are relative, so that a repetition can copy it and an alternative can be put in front of it. */
#include "ops/regex_full_match/regex.h"

#include <string.h>

#include "ops/regex_full_match/regex_step.h"

enum { DEPTH_MAX = 200, REPEAT_MAX = 1000, SHOWN = 120 };

typedef struct parser {
    const char *pattern, *at, *end;
    tn_regex *out;
    bool fold, lines, dot_all; /* flags i, m, s */
    bool quoted;               /* within \Q \E */
    bool flags_only;           /* the last atom was flags, which cannot be repeated */
    int depth;
} parser;

static tn_status fail(const parser *p, tn_code code, const char *why)
{
    size_t bytes = (size_t)(p->end - p->pattern);
    TN_FAIL(code, "the pattern \"%.*s\"%s: %s, at byte %zu", (int)TN_MIN(bytes, (size_t)SHOWN),
            p->pattern, bytes > SHOWN ? "..." : "", why, (size_t)(p->at - p->pattern));
}

static bool next_is(const parser *p, const char *text)
{
    size_t bytes = strlen(text);
    return (size_t)(p->end - p->at) >= bytes && !memcmp(p->at, text, bytes);
}

static bool skip(parser *p, const char *text)
{
    if (!next_is(p, text)) return false;
    p->at += strlen(text);
    return true;
}

static tn_status take_rune(parser *p, uint32_t *rune)
{
    if (p->at == p->end) return fail(p, TN_INVALID, "it ends too early");
    size_t bytes = tn_utf8_next(p->at, (size_t)(p->end - p->at), rune);
    if (*rune == TN_RUNE_BAD) return fail(p, TN_INVALID, "it is not UTF-8");
    p->at += bytes;
    return NULL;
}

/* ---- Steps -----------------------------------------------------------------------------------*/

static tn_status make_room(parser *p, int32_t at, int32_t count)
{
    tn_regex *out = p->out;
    if (count > TN_REGEX_STEPS - out->step_count)
        return fail(p, TN_UNSUPPORTED, "it takes more than 8192 steps when compiled");
    memmove(&out->step[at + count], &out->step[at],
            sizeof(out->step[0]) * (size_t)(out->step_count - at));
    out->step_count += count;
    return NULL;
}

static tn_status put(parser *p, int32_t at, tn_regex_step step)
{
    TN_TRY(make_room(p, at, 1));
    p->out->step[at] = step;
    return NULL;
}

static tn_status append(parser *p, int kind, int32_t a, int32_t b)
{
    return put(p, p->out->step_count, (tn_regex_step){.kind = (uint8_t)kind, .a = a, .b = b});
}

static tn_status append_rune(parser *p, uint32_t rune)
{
    if (p->fold) rune = tn_letter_lower(tn_letter_upper(rune));
    return put(p, p->out->step_count,
               (tn_regex_step){
                   .kind = TN_RX_RANGE, .fold = p->fold, .a = (int32_t)rune, .b = (int32_t)rune});
}

/* ---- Classes ---------------------------------------------------------------------------------*/

static tn_status add_range(parser *p, uint32_t first, uint32_t last)
{
    tn_regex *out = p->out;
    if (out->range_count == TN_REGEX_RANGES)
        return fail(p, TN_UNSUPPORTED, "its classes have more than 4096 ranges");
    out->range[out->range_count++] = (tn_regex_range){first, last};
    return NULL;
}

/* ASCII characters as pairs of first and last, in rising order. */
typedef struct named_class {
    const char *name, *pairs;
    size_t bytes;
} named_class;
#define NAMED(name, pairs)                                                                         \
    {                                                                                              \
        name, pairs, sizeof(pairs) - 1                                                             \
    }

static tn_status add_pairs(parser *p, const named_class *class, bool others)
{
    uint32_t from = 0;
    for (size_t i = 0; i < class->bytes; i += 2) {
        uint32_t first = (uint8_t) class->pairs[i], last = (uint8_t) class->pairs[i + 1];
        if (!others) TN_TRY(add_range(p, first, last));
        else if (first > from) TN_TRY(add_range(p, from, first - 1));
        from = last + 1;
    }
    return others ? add_range(p, from, TN_RUNE_LAST) : NULL;
}

/* \d and its kin; NULL if p->at is on none of them. */
static const named_class *skip_perl_class(parser *p, bool *others)
{
    static const char letters[] = "dswDSW";
    static const named_class all[] = {NAMED("d", "09"), NAMED("s", "\t\n\f\r  "),
                                      NAMED("w", "09AZ__az")};
    if (p->end - p->at < 2 || p->at[0] != '\\' || !p->at[1]) return NULL;
    const char *letter = strchr(letters, p->at[1]);
    if (!letter) return NULL;
    p->at += 2;
    *others = letter - letters >= 3;
    return &all[(letter - letters) % 3];
}

static tn_status add_named_class(parser *p)
{
    static const named_class all[] = {
        NAMED("alnum:]", "09AZaz"),
        NAMED("alpha:]", "AZaz"),
        NAMED("ascii:]", "\0\x7f"),
        NAMED("blank:]", "\t\t  "),
        NAMED("cntrl:]", "\0\x1f\x7f\x7f"),
        NAMED("digit:]", "09"),
        NAMED("graph:]", "!~"),
        NAMED("lower:]", "az"),
        NAMED("print:]", " ~"),
        NAMED("punct:]", "!/:@[`{~"),
        NAMED("space:]", "\t\r  "),
        NAMED("upper:]", "AZ"),
        NAMED("word:]", "09AZ__az"),
        NAMED("xdigit:]", "09AFaf"),
    };
    bool others = skip(p, "^");
    for (size_t i = 0; i < TN_COUNT(all); i++)
        if (skip(p, all[i].name)) return add_pairs(p, &all[i], others);
    return fail(p, TN_INVALID, "there is no such class of characters");
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

/* \x41 or \x{1F600}, behind the x. */
static tn_status take_hex(parser *p, uint32_t *rune)
{
    bool braced = skip(p, "{");
    int count = 0;
    *rune = 0;
    for (; p->at < p->end && digit_of(*p->at) < 16 && (braced || count < 2); p->at++, count++) {
        *rune = *rune * 16 + (uint32_t)digit_of(*p->at);
        if (*rune > TN_RUNE_LAST) return fail(p, TN_INVALID, "there is no such character");
    }
    if (count == 0 || (!braced && count < 2) || (braced && !skip(p, "}")))
        return fail(p, TN_INVALID, "\\x is followed by two hexadecimal digits, or some in braces");
    return NULL;
}

/* An escape that stands for one character, behind the backslash. */
static tn_status take_escape(parser *p, uint32_t *rune)
{
    static const char from[] = "afnrtv", to[] = "\a\f\n\r\t\v";
    char c = p->at < p->end ? *p->at : 0;
    const char *simple = c ? strchr(from, c) : NULL;
    bool octal = c >= '0' && c <= '7', more = p->end - p->at > 1 && digit_of(p->at[1]) < 8;
    if (simple) {
        p->at++;
        *rune = (uint8_t)to[simple - from];
        return NULL;
    }
    if (c == 'x') {
        p->at++;
        return take_hex(p, rune);
    }
    if (c == '0' || (octal && more)) {
        *rune = 0;
        for (int i = 0; i < 3 && p->at < p->end && digit_of(*p->at) < 8; i++)
            *rune = *rune * 8 + (uint32_t)digit_of(*p->at++);
        return NULL;
    }
    bool letter = digit_of(c) < 10 || ((c | 32) >= 'a' && (c | 32) <= 'z');
    if (c > 0 && !letter) {
        p->at++;
        *rune = (uint8_t)c;
        return NULL;
    }
    if (c == 'p' || c == 'P')
        return fail(p, TN_UNSUPPORTED, "classes of Unicode are not supported");
    if (c == 'C') return fail(p, TN_UNSUPPORTED, "single bytes are not supported");
    return fail(p, TN_INVALID, "there is no such escape");
}

static tn_status take_class_rune(parser *p, uint32_t *rune)
{
    return skip(p, "\\") ? take_escape(p, rune) : take_rune(p, rune);
}

/* Behind the "[". */
static tn_status take_class(parser *p)
{
    int32_t first_range = p->out->range_count;
    bool other = skip(p, "^");
    for (bool first = true; first || !skip(p, "]"); first = false) {
        uint32_t low, high;
        bool others;
        const named_class *class = skip_perl_class(p, &others);
        if (class) {
            TN_TRY(add_pairs(p, class, others));
        } else if (skip(p, "[:")) {
            TN_TRY(add_named_class(p));
        } else {
            TN_TRY(take_class_rune(p, &low));
            high = low;
            bool range = next_is(p, "-") && p->end - p->at > 1 && p->at[1] != ']';
            if (range && skip(p, "-")) TN_TRY(take_class_rune(p, &high));
            if (high < low) return fail(p, TN_INVALID, "a range goes backwards");
            TN_TRY(add_range(p, low, high));
        }
    }
    return put(p, p->out->step_count,
               (tn_regex_step){.kind = TN_RX_CLASS,
                               .fold = p->fold,
                               .other = other,
                               .a = first_range,
                               .b = p->out->range_count - first_range});
}

static bool take_count(const char **at, const char *end, int *out)
{
    const char *begin = *at;
    *out = 0;
    for (; *at < end && digit_of(**at) < 10; ++*at)
        if (*out <= REPEAT_MAX) *out = *out * 10 + digit_of(**at);
    return *at > begin;
}

/* "{2}", "{2,}", "{2,5}"; *most is -1 without an end. What does not look like that is plain text.
 */
static bool skip_braces(parser *p, int *least, int *most)
{
    const char *at = p->at;
    if (at == p->end || *at++ != '{' || !take_count(&at, p->end, least)) return false;
    *most = *least;
    if (at < p->end && *at == ',') {
        at++;
        if (!take_count(&at, p->end, most)) *most = -1;
    }
    if (at == p->end || *at != '}') return false;
    p->at = at + 1;
    return true;
}

static bool skip_repeat(parser *p, int *least, int *most)
{
    if (skip_braces(p, least, most)) return true;
    *most = next_is(p, "?") ? 1 : -1;
    *least = next_is(p, "+");
    return skip(p, "*") || skip(p, "+") || skip(p, "?");
}

/* ---- Atoms -----------------------------------------------------------------------------------*/

static tn_status take_alternatives(parser *p);

/* "ims-U)" or "i:", behind "(?". *closed: the group is only flags, for what follows. */
static tn_status take_flags(parser *p, bool *closed)
{
    bool on = true, any = false;
    for (;; p->at++) {
        char c = p->at < p->end ? *p->at : 0;
        switch (c) {
        case 'i': p->fold = on; break;
        case 'm': p->lines = on; break;
        case 's': p->dot_all = on; break;
        case 'U': break; /* greed makes no difference to a full match */
        case '-':
            if (!on) return fail(p, TN_INVALID, "flags cannot be switched off twice");
            on = any = false;
            continue;
        case ':':
        case ')':
            if (!on && !any) return fail(p, TN_INVALID, "there are no flags to switch off");
            *closed = c == ')';
            p->at++;
            return NULL;
        default: return fail(p, TN_INVALID, "there is no such flag or group");
        }
        any = true;
    }
}

static tn_status skip_group_name(parser *p)
{
    const char *begin = p->at;
    while (p->at < p->end && (*p->at == '_' || digit_of(*p->at) < 10 ||
                              ((*p->at | 32) >= 'a' && (*p->at | 32) <= 'z')))
        p->at++;
    if (p->at == begin || !skip(p, ">")) return fail(p, TN_INVALID, "a group's name is not ended");
    return NULL;
}

/* Behind the "(". Flags of the group end with it; (?i) alone holds for the rest of the group
 * around it. */
static tn_status take_group(parser *p)
{
    parser before = *p;
    bool closed = false;
    if (skip(p, "?P<") || skip(p, "?<")) TN_TRY(skip_group_name(p));
    else if (skip(p, "?")) TN_TRY(take_flags(p, &closed));
    p->flags_only = closed;
    if (closed) return NULL;
    if (++p->depth > DEPTH_MAX) return fail(p, TN_UNSUPPORTED, "groups are nested over 200 deep");
    TN_TRY(take_alternatives(p));
    if (!skip(p, ")")) return fail(p, TN_INVALID, "a group is not closed");
    p->depth--;
    p->flags_only = false;
    p->fold = before.fold;
    p->lines = before.lines;
    p->dot_all = before.dot_all;
    return NULL;
}

static tn_status take_dot(parser *p)
{
    if (p->dot_all) return append(p, TN_RX_RANGE, 0, (int32_t)TN_RUNE_LAST);
    int32_t first = p->out->range_count;
    TN_TRY(add_range(p, '\n', '\n'));
    return put(p, p->out->step_count,
               (tn_regex_step){.kind = TN_RX_CLASS, .other = true, .a = first, .b = 1});
}

static tn_status take_atom(parser *p)
{
    bool others;
    uint32_t rune;
    int32_t first = p->out->range_count;
    const named_class *class = skip_perl_class(p, &others);
    if (class) {
        TN_TRY(add_pairs(p, class, others));
        return append(p, TN_RX_CLASS, first, p->out->range_count - first);
    }
    if (skip(p, "(")) return take_group(p);
    if (skip(p, "[")) return take_class(p);
    if (skip(p, ".")) return take_dot(p);
    if (skip(p, "^")) return append(p, p->lines ? TN_RX_LINE_BEGIN : TN_RX_TEXT_BEGIN, 0, 0);
    if (skip(p, "$")) return append(p, p->lines ? TN_RX_LINE_END : TN_RX_TEXT_END, 0, 0);
    if (skip(p, "\\A")) return append(p, TN_RX_TEXT_BEGIN, 0, 0);
    if (skip(p, "\\z")) return append(p, TN_RX_TEXT_END, 0, 0);
    if (skip(p, "\\b")) return append(p, TN_RX_WORD_EDGE, 0, 0);
    if (skip(p, "\\B")) return append(p, TN_RX_NO_WORD_EDGE, 0, 0);
    if (skip_repeat(p, &(int){0}, &(int){0}))
        return fail(p, TN_INVALID, "there is nothing to repeat");
    if (skip(p, "\\")) TN_TRY(take_escape(p, &rune));
    else TN_TRY(take_rune(p, &rune));
    return append_rune(p, rune);
}

/* ---- Repetition ------------------------------------------------------------------------------*/

/* Steps [first, end) become `least` to `most` times themselves. */
static tn_status repeat(parser *p, int32_t first, int least, int most)
{
    tn_regex *out = p->out;
    int32_t count = out->step_count - first, copies = most < 0 ? TN_MAX(least, 1) : most;
    if (count == 0) return NULL;
    if (copies == 0) {
        out->step_count = first;
        return NULL;
    }
    if ((int64_t)copies * (count + 2) > TN_REGEX_STEPS)
        return fail(p, TN_UNSUPPORTED, "it takes more than 8192 steps when compiled");
    for (int32_t i = 1; i < copies; i++) {
        int32_t at = out->step_count;
        TN_TRY(make_room(p, at, count));
        memcpy(&out->step[at], &out->step[first], sizeof(out->step[0]) * (size_t)count);
    }
    if (most < 0) { /* the last copy again and again */
        TN_TRY(append(p, TN_RX_FORK, -count, 0));
        if (least > 0) return NULL;
        return put(p, first, (tn_regex_step){.kind = TN_RX_FORK, .a = count + 2});
    }
    for (int32_t i = copies - 1; i >= least;
         i--) { /* each of the rest may be left out, with what follows */
        int32_t at = first + i * count, behind = out->step_count - at;
        TN_TRY(put(p, at, (tn_regex_step){.kind = TN_RX_FORK, .a = behind + 1}));
    }
    return NULL;
}

/* ---- Sequences -------------------------------------------------------------------------------*/

static tn_status take_piece(parser *p)
{
    int32_t first = p->out->step_count;
    int least, most;
    uint32_t rune;
    p->flags_only = false;
    if (p->quoted) {
        TN_TRY(take_rune(p, &rune));
        TN_TRY(append_rune(p, rune));
        if (skip(p, "\\E")) p->quoted = false;
        if (p->quoted) return NULL;
    } else {
        TN_TRY(take_atom(p));
    }
    if (!skip_repeat(p, &least, &most)) return NULL;
    if (p->flags_only) return fail(p, TN_INVALID, "there is nothing to repeat");
    if (least > REPEAT_MAX || most > REPEAT_MAX || (most >= 0 && most < least))
        return fail(p, TN_INVALID,
                    "repetition goes from a number to one not below it, 1000 at most");
    skip(p, "?"); /* lazy */
    TN_TRY(repeat(p, first, least, most));
    if (skip_repeat(p, &least, &most)) return fail(p, TN_INVALID, "a repetition is repeated");
    return NULL;
}

static tn_status take_sequence(parser *p)
{
    while (p->at < p->end) {
        if (p->quoted && skip(p, "\\E")) {
            p->quoted = false;
        } else if (!p->quoted && skip(p, "\\Q")) {
            p->quoted = true;
        } else if (!p->quoted && (next_is(p, "|") || next_is(p, ")"))) {
            break;
        } else {
            TN_TRY(take_piece(p));
        }
    }
    return NULL;
}

/* a|b|c: fork(a, fork(b, c)), and a and b end in a jump behind all. The jumps are a chain until
 * that place is known. */
static tn_status take_alternatives(parser *p)
{
    tn_regex *out = p->out;
    int32_t chain = -1;
    for (;;) {
        int32_t first = out->step_count;
        TN_TRY(take_sequence(p));
        if (!skip(p, "|")) break;
        TN_TRY(
            put(p, first, (tn_regex_step){.kind = TN_RX_FORK, .a = out->step_count - first + 2}));
        TN_TRY(append(p, TN_RX_JUMP, chain, 0));
        chain = out->step_count - 1;
    }
    while (chain >= 0) {
        int32_t before = out->step[chain].a;
        out->step[chain].a = out->step_count - chain;
        chain = before;
    }
    return NULL;
}

tn_status tn_regex_compile(const char *pattern, size_t bytes, tn_regex *out)
{
    if (bytes == 0) pattern = "";
    parser p = {.pattern = pattern, .at = pattern, .end = pattern + bytes, .out = out};
    out->step_count = out->range_count = 0;
    TN_TRY(take_alternatives(&p));
    if (p.at < p.end) return fail(&p, TN_INVALID, "a group is closed that was not opened");
    return NULL;
}
