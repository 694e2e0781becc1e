/* A reader of pickles that runs nothing.
 *
 * A pickle is a program for a small stack machine; Python's own machine imports modules and calls
 * what it finds there. Ours knows the opcodes that torch.save writes (protocol 2), builds values of
 * its own, and calls nothing: a name is a text, the few calls that mean data (OrderedDict, set,
 * bytes, and by way of the hooks tensors) are made by code in this library, and any other call or
 * class gives an inert object that remembers what was asked. Names of modules that reach the system
 * (os, subprocess, ...) are refused on sight.
 *
 * Memory and time are linear in the bytes of the pickle: each opcode makes at most one value of
 * fixed size. Values may be shared and, by way of the memo, contain themselves: who walks them must
 * bound depth and number of steps. All errors name the byte.
 */
#ifndef TN_IMPORT_PICKLE_H
#define TN_IMPORT_PICKLE_H

#include "base/memory.h"

typedef enum tn_pickle_kind {
    TN_PICKLE_MARK, /* on the stack only */
    TN_PICKLE_NONE,
    TN_PICKLE_BOOL,
    TN_PICKLE_INT,
    TN_PICKLE_BIG, /* an integer beyond 64 bits: its bytes, little-endian two's complement */
    TN_PICKLE_FLOAT,
    TN_PICKLE_TEXT,
    TN_PICKLE_BYTES,
    TN_PICKLE_TUPLE,
    TN_PICKLE_LIST,
    TN_PICKLE_SET,
    TN_PICKLE_DICT,    /* key, value, key, value: in the order of insertion, repeated keys too */
    TN_PICKLE_GLOBAL,  /* "module name" as text "module.name" */
    TN_PICKLE_OBJECT,  /* something we do not know, or a module of a network */
    TN_PICKLE_STORAGE, /* made by the hooks */
    TN_PICKLE_TENSOR   /* made by the hooks */
} tn_pickle_kind;

typedef struct tn_pickle_value tn_pickle_value;

typedef struct tn_pickle_list {
    tn_pickle_value **at;
    int64_t count, capacity;
} tn_pickle_list;

struct tn_pickle_value {
    tn_pickle_kind kind;
    bool open; /* for walkers: being visited now */
    union {
        int64_t integer; /* and BOOL */
        double real;
        struct {
            const char *at; /* in the pickle or the arena; no zero at the end */
            size_t bytes;
        } text;              /* TEXT, BYTES, BIG, GLOBAL */
        tn_pickle_list list; /* TUPLE, LIST, SET, DICT */
        struct {
            const tn_pickle_value *of; /* the GLOBAL called or instantiated */
            tn_pickle_value *state;    /* given by BUILD; NULL: none */
        } object;
        void *made;
    } as;
};

typedef struct tn_pickle {
    tn_arena *arena;  /* of all values */
    const char *what; /* "data.pkl", for messages */
    const uint8_t *begin, *at, *end;
    size_t op_at; /* where the present opcode is, for messages */
    size_t base;  /* of `begin` in what messages count from */
    /* Persistent ids, and calls of names this reader does not know itself: *out stays NULL for a
     * call that is not known to the hook either. */
    tn_status (*persistent)(struct tn_pickle *pickle, const tn_pickle_value *id,
                            tn_pickle_value **out);
    tn_status (*call)(struct tn_pickle *pickle, const tn_pickle_value *callable,
                      const tn_pickle_value *arguments, tn_pickle_value **out);
    void *self; /* of the hooks */
    /* private */
    tn_pickle_list stack, memo;
    size_t copied; /* items and letters that calls have copied */
    int protocol;
    const tn_pickle_value *unknown; /* the first call of a name that nobody knows; NULL: none */
} tn_pickle;

/* Run one pickle up to its STOP; pickle->at is then behind it. The fields up to `self` are set by
 * the caller; a NULL hook refuses. */
tn_status tn_pickle_run(tn_pickle *pickle, tn_pickle_value **out) TN_MUST_USE;

tn_status tn_pickle_new(tn_pickle *pickle, tn_pickle_kind kind, tn_pickle_value **out) TN_MUST_USE;
bool tn_pickle_is(const tn_pickle_value *value, tn_pickle_kind kind, const char *text);
/* The value of a text key in a DICT, the last one given; NULL if absent or not a DICT. */
tn_pickle_value *tn_pickle_get(const tn_pickle_value *dict, const char *key);
/* "text", "tuple", ...: for messages. */
const char *tn_pickle_kind_name(tn_pickle_kind kind);

/* Bytes of a file for a message: at most 60, letters that a terminal would obey replaced. */
typedef struct tn_shown {
    char text[64];
} tn_shown;
tn_shown tn_show(const char *at, size_t bytes);

#endif
