/* The steps of a compiled pattern: between regex.c, which writes them, and regex_run.c. */
#ifndef TN_OPS_REGEX_STEP_H
#define TN_OPS_REGEX_STEP_H

#include "ops/regex_full_match/regex.h"

enum {
    TN_RX_RANGE, /* one character from a to b */
    TN_RX_CLASS, /* one character of ranges a .. a + b - 1, or none of them */
    TN_RX_FORK,  /* to the next step, and to the one `a` further on */
    TN_RX_JUMP,  /* to the one `a` further on */
    TN_RX_TEXT_BEGIN,
    TN_RX_TEXT_END,
    TN_RX_LINE_BEGIN,
    TN_RX_LINE_END,
    TN_RX_WORD_EDGE,
    TN_RX_NO_WORD_EDGE,
};

#endif
