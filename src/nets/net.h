/* Networks by name: graphs in C for the parameters of a checkpoint, or for training from nothing.
 *
 * A network (one file each: lstm.c, lenet.c, alexnet.c, resnet50.c, swin.c, bert.c, ending in one
 * `const tn_net`) is written once, over a draft of the graph and a source of parameters: constants
 * of a checkpoint, or graph inputs that a trainer owns.
 */
#ifndef TN_NETS_NET_H
#define TN_NETS_NET_H

#include "import/checkpoint.h"
#include "ir/draft.h"

typedef struct tn_net tn_net;

/* One network under construction. */
typedef struct tn_net_build {
    tn_draft draft;
    const tn_net *net;
    /* Settings "key=value" that the caller gave; sizes that tensors tell need none. */
    const char *const *setting;
    int setting_count;
    /* The parameter `key` as a value of the graph: its data, or an input. The shape is what the
     * network expects; a dim of -1 takes what the source has. NULL after a failure. */
    tn_value *(*parameter)(struct tn_net_build *build, const char *key, const int64_t *dim,
                           int rank);
    void *self;                      /* of parameter */
    const tn_checkpoint *checkpoint; /* NULL: there is none, all sizes come from settings */
} tn_net_build;

struct tn_net {
    const char *name;  /* "lstm" */
    const char *about; /* one line for help, with the settings and their defaults */
    /* Adds inputs, layers and outputs. Failures go to the draft. */
    void (*build)(tn_net_build *build);
};

extern const tn_net *const tn_net_table[];   /* ended by NULL */
const tn_net *tn_net_find(const char *name); /* NULL: there is none */

/* The graph of a network with the parameters of a checkpoint. Missing, unexpected and misshapen
 * keys are reported all at once, as PyTorch's load_state_dict does; keys that the network keeps as
 * buffers and never reads (relative_position_index, num_batches_tracked) are allowed. */
tn_status tn_net_load(const tn_net *net, const tn_checkpoint *checkpoint,
                      const char *const *setting, int setting_count, tn_graph **out) TN_MUST_USE;

#endif
