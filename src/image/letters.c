/* A font of strokes. Each letter: its width, then M x y (move), L x y (line to), Q x y x y
 * (parabola by way of the first point). Capitals are 20 high, small letters 13, descenders reach to
 * -6. */
#include <math.h>

#include "image/canvas.h"

enum { FIRST = 33, LAST = 126, BOWS = 8 };

static const char *const letters[LAST - FIRST + 1] = {
    "0 M0 20L0 6M0 0L0 1",                                                           /* ! */
    "5 M0 20L0 14M5 20L5 14",                                                        /* " */
    "16 M5 20L2 0M13 20L10 0M1 13L16 13M0 6L15 6",                                   /* # */
    "13 M12 17Q10 20 6 20Q1 20 1 15Q1 11 6 10Q13 9 13 5Q13 0 6 0Q2 0 0 4M6 23L6 -3", /* $ */
    "18 M15 20L3 0M0 15Q0 20 4 20Q8 20 8 15Q8 10 4 10Q0 10 0 15"
    "M10 5Q10 10 14 10Q18 10 18 5Q18 0 14 0Q10 0 10 5",                                   /* % */
    "17 M17 0L4 14Q3 15 3 16Q3 20 7 20Q11 20 11 16Q11 13 6 11Q0 9 0 5Q0 0 7 0Q14 0 16 9", /* & */
    "0 M0 20L0 14",                                                                       /* ' */
    "5 M5 22Q0 16 0 8Q0 1 5 -5",                                                          /* ( */
    "5 M0 22Q5 16 5 8Q5 1 0 -5",                                                          /* ) */
    "10 M5 20L5 10M0 18L10 12M10 18L0 12",                                                /* * */
    "14 M7 15L7 1M0 8L14 8",                                                              /* + */
    "2 M2 1L2 0L0 -4",                                                                    /* , */
    "10 M0 8L10 8",                                                                       /* - */
    "0 M0 0L0 1",                                                                         /* . */
    "10 M10 22L0 -3",                                                                     /* / */
    "12 M0 10Q0 20 6 20Q12 20 12 10Q12 0 6 0Q0 0 0 10",                                   /* 0 */
    "12 M2 16L7 20L7 0",                                                                  /* 1 */
    "12 M1 15Q1 20 6 20Q11 20 11 15Q11 12 8 9L0 0L12 0",                                  /* 2 */
    "12 M1 17Q3 20 6 20Q11 20 11 15Q11 11 6 11L4 11M6 11Q12 11 12 5Q12 0 6 0Q2 0 0 3",    /* 3 */
    "12 M9 0L9 20L0 6L12 6",                                                              /* 4 */
    "12 M11 20L2 20L1 11Q3 13 6 13Q12 13 12 7Q12 0 6 0Q2 0 0 3",                          /* 5 */
    "12 M10 18Q8 20 6 20Q0 20 0 9Q0 0 6 0Q12 0 12 6Q12 12 6 12Q1 12 0 7",                 /* 6 */
    "12 M0 20L12 20L4 0",                                                                 /* 7 */
    "12 M6 11Q1 11 1 15Q1 20 6 20Q11 20 11 15Q11 11 6 11Q0 11 0 5Q0 0 6 0Q12 0 12 5Q12 11 6 11",
    "12 M2 2Q4 0 6 0Q12 0 12 11Q12 20 6 20Q0 20 0 14Q0 8 6 8Q11 8 12 13", /* 9 */
    "0 M0 0L0 1M0 11L0 12",                                               /* : */
    "2 M2 1L2 0L0 -4M2 11L2 12",                                          /* ; */
    "13 M13 15L0 8L13 1",                                                 /* < */
    "14 M0 11L14 11M0 5L14 5",                                            /* = */
    "13 M0 15L13 8L0 1",                                                  /* > */
    "10 M0 16Q1 20 5 20Q10 20 10 15Q10 12 7 10Q5 8 5 6M5 0L5 1",          /* ? */
    "20 M14 6Q12 4 10 4Q5 4 5 9Q5 14 10 14Q14 14 14 9L14 6Q15 4 17 4Q20 5 20 10"
    "Q20 20 10 20Q0 20 0 9Q0 -2 10 -2Q14 -2 17 0",                                    /* @ */
    "16 M0 0L8 20L16 0M3 7L13 7",                                                     /* A */
    "14 M0 0L0 20L8 20Q13 20 13 15Q13 11 8 11L0 11M8 11Q14 11 14 5Q14 0 8 0L0 0",     /* B */
    "15 M15 16Q13 20 8 20Q0 20 0 10Q0 0 8 0Q13 0 15 4",                               /* C */
    "15 M0 0L0 20L6 20Q15 20 15 10Q15 0 6 0L0 0",                                     /* D */
    "12 M12 20L0 20L0 0L12 0M0 11L10 11",                                             /* E */
    "12 M12 20L0 20L0 0M0 11L10 11",                                                  /* F */
    "16 M15 16Q13 20 8 20Q0 20 0 10Q0 0 8 0Q16 0 16 8L16 9L10 9",                     /* G */
    "14 M0 0L0 20M14 0L14 20M0 11L14 11",                                             /* H */
    "0 M0 0L0 20",                                                                    /* I */
    "9 M9 20L9 6Q9 0 4 0Q0 0 0 4",                                                    /* J */
    "14 M0 0L0 20M13 20L0 7M5 12L14 0",                                               /* K */
    "11 M0 20L0 0L11 0",                                                              /* L */
    "18 M0 0L0 20L9 4L18 20L18 0",                                                    /* M */
    "14 M0 0L0 20L14 0L14 20",                                                        /* N */
    "18 M0 10Q0 20 9 20Q18 20 18 10Q18 0 9 0Q0 0 0 10",                               /* O */
    "13 M0 0L0 20L7 20Q13 20 13 14Q13 9 7 9L0 9",                                     /* P */
    "18 M0 10Q0 20 9 20Q18 20 18 10Q18 0 9 0Q0 0 0 10M11 5L18 -2",                    /* Q */
    "14 M0 0L0 20L7 20Q13 20 13 15Q13 9 7 9L0 9M7 9L14 0",                            /* R */
    "13 M12 17Q10 20 6 20Q1 20 1 15Q1 11 6 10Q13 9 13 5Q13 0 6 0Q2 0 0 4",            /* S */
    "14 M0 20L14 20M7 20L7 0",                                                        /* T */
    "14 M0 20L0 7Q0 0 7 0Q14 0 14 7L14 20",                                           /* U */
    "16 M0 20L8 0L16 20",                                                             /* V */
    "22 M0 20L5 0L11 20L17 0L22 20",                                                  /* W */
    "14 M0 20L14 0M14 20L0 0",                                                        /* X */
    "14 M0 20L7 10L14 20M7 10L7 0",                                                   /* Y */
    "13 M0 20L13 20L0 0L13 0",                                                        /* Z */
    "5 M5 22L0 22L0 -5L5 -5",                                                         /* [ */
    "10 M0 22L10 -3",                                                                 /* \ */
    "5 M0 22L5 22L5 -5L0 -5",                                                         /* ] */
    "12 M0 11L6 20L12 11",                                                            /* ^ */
    "14 M0 -4L14 -4",                                                                 /* _ */
    "4 M0 21L4 17",                                                                   /* ` */
    "11 M11 13L11 0M11 6Q11 13 5 13Q0 13 0 6Q0 0 5 0Q11 0 11 6",                      /* a */
    "11 M0 20L0 0M0 6Q0 13 6 13Q11 13 11 6Q11 0 6 0Q0 0 0 6",                         /* b */
    "10 M10 11Q8 13 6 13Q0 13 0 6Q0 0 6 0Q8 0 10 2",                                  /* c */
    "11 M11 20L11 0M11 6Q11 13 5 13Q0 13 0 6Q0 0 5 0Q11 0 11 6",                      /* d */
    "11 M0 7L11 7Q11 13 6 13Q0 13 0 6Q0 0 6 0Q9 0 11 3",                              /* e */
    "8 M8 20Q3 21 3 16L3 0M0 13L7 13",                                                /* f */
    "11 M11 6Q11 13 5 13Q0 13 0 6Q0 0 5 0Q11 0 11 6M11 13L11 0Q11 -6 5 -6Q2 -6 0 -4", /* g */
    "10 M0 20L0 0M0 8Q1 13 6 13Q10 13 10 8L10 0",                                     /* h */
    "0 M0 13L0 0M0 18L0 19",                                                          /* i */
    "3 M3 13L3 -2Q3 -6 0 -6M3 18L3 19",                                               /* j */
    "10 M0 20L0 0M9 13L0 4M4 8L10 0",                                                 /* k */
    "0 M0 20L0 0",                                                                    /* l */
    "18 M0 13L0 0M0 8Q1 13 5 13Q9 13 9 8L9 0M9 8Q10 13 14 13Q18 13 18 8L18 0",        /* m */
    "10 M0 13L0 0M0 8Q1 13 6 13Q10 13 10 8L10 0",                                     /* n */
    "12 M0 6Q0 13 6 13Q12 13 12 6Q12 0 6 0Q0 0 0 6",                                  /* o */
    "11 M0 13L0 -6M0 6Q0 13 6 13Q11 13 11 6Q11 0 6 0Q0 0 0 6",                        /* p */
    "11 M11 13L11 -6M11 6Q11 13 5 13Q0 13 0 6Q0 0 5 0Q11 0 11 6",                     /* q */
    "7 M0 13L0 0M0 8Q1 13 7 13",                                                      /* r */
    "10 M9 11Q7 13 5 13Q1 13 1 10Q1 7 5 7Q10 6 10 3Q10 0 5 0Q2 0 0 2",                /* s */
    "8 M3 18L3 4Q3 0 8 0M0 13L8 13",                                                  /* t */
    "10 M0 13L0 5Q0 0 5 0Q9 0 10 5M10 13L10 0",                                       /* u */
    "10 M0 13L5 0L10 13",                                                             /* v */
    "16 M0 13L4 0L8 13L12 0L16 13",                                                   /* w */
    "10 M0 13L10 0M10 13L0 0",                                                        /* x */
    "10 M0 13L5 0M10 13L4 -3Q3 -6 0 -6",                                              /* y */
    "9 M0 13L9 13L0 0L9 0",                                                           /* z */
    "7 M7 22Q3 22 3 18L3 12Q3 9 0 8Q3 8 3 5L3 -1Q3 -5 7 -5",                          /* { */
    "0 M0 22L0 -5",                                                                   /* | */
    "7 M0 22Q4 22 4 18L4 12Q4 9 7 8Q4 8 4 5L4 -1Q4 -5 0 -5",                          /* } */
    "14 M0 6Q3 11 7 8Q11 5 14 10",                                                    /* ~ */
};
static const char unknown[] = "10 M0 0L0 14L10 14L10 0L0 0";

static double read_number(const char **at)
{
    int value = 0;
    while (**at == ' ') ++*at;
    bool minus = **at == '-';
    for (*at += minus; **at >= '0' && **at <= '9'; ++*at) value = value * 10 + (**at - '0');
    return minus ? -value : value;
}

typedef struct pen {
    double *x, *y;
    int count;
} pen;

static void put(pen *p, double x, double y)
{
    if (p->count == TN_LETTER_POINTS_MAX) return;
    p->x[p->count] = x;
    p->y[p->count++] = y;
}

static void draw_strokes(const char *at, pen *p)
{
    double x = 0, y = 0;
    while (*at) {
        char command = *at++;
        double x1 = read_number(&at), y1 = read_number(&at);
        if (command == 'M' && p->count) put(p, NAN, NAN);
        if (command == 'Q') {
            double x2 = read_number(&at), y2 = read_number(&at);
            for (int i = 1; i < BOWS; i++) {
                double t = (double)i / BOWS, s = 1 - t;
                put(p, s * s * x + 2 * s * t * x1 + t * t * x2,
                    s * s * y + 2 * s * t * y1 + t * t * y2);
            }
            x1 = x2;
            y1 = y2;
        }
        put(p, x1, y1);
        x = x1;
        y = y1;
    }
}

int tn_letter(const char **text, double *x, double *y, double *width)
{
    unsigned char c = (unsigned char)*(*text)++;
    pen p = {x, y, 0};
    while ((**text & 0xC0) == 0x80) ++*text; /* the rest of a UTF-8 sequence */
    *width = 6;
    if (c == ' ') return 0;
    const char *strokes = c >= FIRST && c <= LAST ? letters[c - FIRST] : unknown;
    *width = read_number(&strokes);
    while (*strokes == ' ') strokes++;
    draw_strokes(strokes, &p);
    return p.count;
}
