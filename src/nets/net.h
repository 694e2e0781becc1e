/* Networks by name: graphs in C for the parameters of a checkpoint, or for training from nothing.
 *
 * A network (one file each: lstm.c, lenet.c, alexnet.c, resnet50.c, swin.c, bert.c, ending in one
 * `const tn_net`) is written once, over a draft of the graph and a source of parameters: constants
 * of a checkpoint, or graph inputs that a trainer owns.
 *
 *     net.c      the table, loading, settings
 *     keys.c     how files name parameters: schemes of names, prefixes, recognising a network
 *     layers.c   linear layers, convolutions, norms
 *
 * A trainer fills draft.graph, net, setting, parameter and self of a zeroed tn_net_build, calls
 * net->build and then tn_net_end. Parameters are asked for in the order of PyTorch's state_dict,
 * under the names that the first scheme of the network gives them.
 */
#ifndef TN_NETS_NET_H
#define TN_NETS_NET_H

#include "import/checkpoint.h"
#include "ir/draft.h"

typedef struct tn_net tn_net;

/* One way to name parameters. Names are renamed by their leading segments: `*` is one segment, and
 * in `theirs` it becomes {a}, the second {b}; numbers may be moved: {a-1}, {2a+1}. The first row
 * that fits is taken; names without a row stay as they are. */
typedef struct tn_net_rename {
    const char *ours, *theirs;
} tn_net_rename;

typedef struct tn_net_scheme {
    const char *name;            /* "torchvision" */
    const char *trunk;           /* "bert.": files of the bare trunk leave it off; NULL: none */
    const tn_net_rename *rename; /* ended by ours NULL; NULL: our own names */
    const char *const *anchor;   /* our names that such a file must have; ended by NULL */
    const char *const *never;    /* our names that such a file must not have; may be NULL */
    int style;                   /* for the network: forms of it that go with names */
} tn_net_scheme;

#define TN_NET_KEY_MAX 512

/* How the names of one file are found. */
typedef struct tn_net_names {
    const tn_net_scheme *scheme; /* NULL: our own names */
    char root[TN_NET_KEY_MAX];   /* before all names: "module." */
    char trunk[TN_NET_KEY_MAX];  /* in place of the scheme's trunk */
    /* A layer that files call as they like: `head.` of ours in their words. */
    const char *head;
    char their_head[TN_NET_KEY_MAX];
} tn_net_names;

/* One network under construction. */
typedef struct tn_net_build {
    tn_draft draft;
    const tn_net *net;
    /* Settings "key=value" that the caller gave; sizes that tensors tell need none. */
    const char *const *setting;
    int setting_count;
    /* The parameter `key` as a value of the graph: its data, or an input. All dims are known. NULL
     * after a failure, which goes to the draft. */
    tn_value *(*parameter)(struct tn_net_build *build, const char *key, const int64_t *dim,
                           int rank);
    void *self;                      /* of parameter */
    const tn_checkpoint *checkpoint; /* NULL: there is none, all sizes come from settings */
    tn_net_names names;              /* of the checkpoint */
    uint64_t asked;                  /* settings that the network has read, bit by bit */
    bool lax;                        /* strict=0: tensors that it does not know are let be */
} tn_net_build;

struct tn_net {
    const char *name;  /* "lstm" */
    const char *about; /* one line */
    const char
        *settings; /* a line each, with defaults, for help; names are what comes before ' ' */
    const tn_net_scheme *scheme; /* ended by name NULL */
    const char *const *buffer;   /* ends of names that are in files and not needed; ended by NULL */
    /* Adds inputs, layers and outputs. Failures go to the draft. */
    void (*build)(tn_net_build *build);
};

extern const tn_net *const tn_net_table[];   /* ended by NULL */
const tn_net *tn_net_find(const char *name); /* NULL: there is none */
/* The network whose names the checkpoint uses; NULL: none. */
const tn_net *tn_net_recognise(const tn_checkpoint *checkpoint);
/* After net->build: the draft's status, or that a setting is not one of the network's. */
tn_status tn_net_end(tn_net_build *build) TN_MUST_USE;

/* The graph of a network with the parameters of a checkpoint, which must outlive it: f32 data that
 * is dense is borrowed, other floats are converted. Missing, unexpected and misshapen keys are
 * reported all at once, as PyTorch's load_state_dict does; keys that the network keeps as buffers
 * and never reads (relative_position_index, num_batches_tracked) are allowed. */
tn_status tn_net_load(const tn_net *net, const tn_checkpoint *checkpoint,
                      const char *const *setting, int setting_count, tn_graph **out) TN_MUST_USE;

#endif
