/* What the two forms of tenon classify share: texts (classify_texts.c) and pictures
 * (classify_images.c). */
#ifndef TENON_CLASSIFY_H
#define TENON_CLASSIFY_H

#include "tool.h"

typedef struct classify_flags {
    const char *engine, *labels;
    int batch;
    build_flags built;
    /* texts */
    text_list texts;
    bool tsv;
    tokenizer_flags tokens;
    /* pictures */
    const char *preset, *resize, *crop, *filter, *mean, *deviation;
    bool bgr, invert, no_scale, as_stored;
    int top;
} classify_flags;

/* Each returns an exit code and prints what is wrong. */
int classify_texts_of(const classify_flags *flags);
int classify_images_of(const classify_flags *flags, const text_list *files);
/* The names of classes: a line each, or JSON, a list or an object from numbers to names (or to
 * lists that end in names). */
int labels_read(const char *path, line_list *out);
/* Logits become probabilities; what adds up to 1 already stays. */
void classify_probabilities(float *p, int64_t count);

#endif
