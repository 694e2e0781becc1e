/* Does a pattern match a whole text? In time proportional to (length of pattern) * (length of text)
 * whatever the pattern: all ways through it are followed at once, one character at a time.
 *
 * The syntax is RE2's, since a full match has no use for groups or greed: | () (?:) (?P<name>)
 * (?ims-U) (?i:) * + ? {n,m} and lazy forms, . [] [^] [[:alpha:]] \d\s\w\D\S\W \b\B\A\z ^ $
 * \a\f\n\r\t\v \x41 \x{1F600} \012 \Q..\E. Text and pattern are UTF-8; text that is not is matched
 * by nothing. Not supported, and said so: \p{..} classes of Unicode, \C. (?i) folds the letters of
 * ops/letters.h. */
#ifndef TN_OPS_REGEX_H
#define TN_OPS_REGEX_H

#include "ops/letters.h"

enum { TN_REGEX_STEPS = 8192, TN_REGEX_RANGES = 4096 };

typedef struct tn_regex_step {
    uint8_t kind;
    bool fold;    /* compare in any case */
    bool other;   /* a class: what is not in it */
    int32_t a, b; /* a range of characters; first and count of ranges; relative jump */
} tn_regex_step;

typedef struct tn_regex_range {
    uint32_t first, last;
} tn_regex_range;

/* Compiled: a program that has matched where it is left at its end. */
typedef struct tn_regex {
    int32_t step_count, range_count;
    tn_regex_step step[TN_REGEX_STEPS];
    tn_regex_range range[TN_REGEX_RANGES];
} tn_regex;

/* The places in a program that can be reached with the text read so far: a set with its members in
 * order of arrival. */
typedef struct tn_regex_places {
    int32_t count;
    uint16_t member[TN_REGEX_STEPS + 1], slot[TN_REGEX_STEPS + 1];
} tn_regex_places;

typedef struct tn_regex_state {
    tn_regex_places now, next;
    uint16_t stack[TN_REGEX_STEPS + 1];
} tn_regex_state;

/* Errors quote the pattern and say what is wrong where. */
tn_status tn_regex_compile(const char *pattern, size_t bytes, tn_regex *out) TN_MUST_USE;
/* `state` is scratch; no contents are expected. */
bool tn_regex_matches(const tn_regex *regex, const char *text, size_t bytes, tn_regex_state *state);

#endif
