/* Private to nets: what the networks are written with. */
#ifndef TN_NETS_INSIDE_H
#define TN_NETS_INSIDE_H

#include "base/log.h"
#include "nets/net.h"

/* A shape as two arguments. */
#define TN_DIMS(...)                                                                               \
    (const int64_t[]){__VA_ARGS__}, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

#define TN_NET_SIZE_MAX                                                                            \
    (INT64_C(1) << 24) /* of one dim: products of two stay far from overflow                       \
                        */

/* ---- Settings and sizes ----------------------------------------------------------------------*/

/* The text of a setting; NULL: not given. */
const char *tn_net_text(tn_net_build *b, const char *key);
/* A whole number within [low, high]; `otherwise`, checked the same, where it is not given. 0 after
 * a failure. */
int64_t tn_net_int(tn_net_build *b, const char *key, int64_t otherwise, int64_t low, int64_t high);
/* 0 or 1. */
bool tn_net_flag(tn_net_build *b, const char *key, bool otherwise);
double tn_net_number(tn_net_build *b, const char *key, double otherwise);
/* The index of a setting among words "a|b|c". */
int tn_net_choice(tn_net_build *b, const char *key, const char *words, int otherwise);
/* Numbers "2,2,6,2" over those in `at`; false: not given, or a failure. */
bool tn_net_ints(tn_net_build *b, const char *key, int64_t *at, int max, int *count);

/* The tensor of the checkpoint for our name; NULL: there is none. */
const tn_tensor *tn_net_tensor(const tn_net_build *b, const char *format, ...) TN_PRINTF(2, 3);
/* A dim of it where it has that rank; `otherwise` where it is not there. */
int64_t tn_net_dim(const tn_net_build *b, int rank, int axis, int64_t otherwise, const char *format,
                   ...) TN_PRINTF(5, 6);
/* How many of "layers.0.x", "layers.1.x", ... there are; the format has one %d. */
int tn_net_count(const tn_net_build *b, const char *format);

/* ---- Names -----------------------------------------------------------------------------------*/

/* What the file calls it. False: the name is too long. */
bool tn_net_translate(const tn_net_names *names, const char *key, char *dst, size_t dst_bytes);
/* The scheme whose names the checkpoint uses, and its prefixes. */
bool tn_net_names_find(const tn_net *net, const tn_checkpoint *checkpoint, tn_net_names *out);
const tn_checkpoint_tensor *tn_net_lookup(const tn_checkpoint *checkpoint,
                                          const tn_net_names *names, const char *key);
/* "a.b.weight" ends in "b.weight" at a dot, or is it. */
bool tn_net_ends_in(const char *name, const char *end);

/* ---- Layers ----------------------------------------------------------------------------------
 *
 * `name` is that of the parameters ("layer1.0.conv1") and of the nodes.
 */
tn_value *tn_net_parameter(tn_net_build *b, const char *layer, const char *what, const int64_t *dim,
                           int rank);
typedef struct tn_net_conv {
    int64_t in, out, kernel, stride, pad, groups; /* stride, groups 0: 1 */
    bool no_bias;
} tn_net_conv;
tn_value *tn_net_add_conv(tn_net_build *b, const char *name, tn_value *x, const tn_net_conv *conv);
tn_value *tn_net_add_max_pool(tn_net_build *b, const char *name, tn_value *x, int64_t kernel,
                              int64_t stride, int64_t pad);
/* x of any rank: its last dim goes from in to out. Gemm at rank 2, MatMul and Add above. */
tn_value *tn_net_add_linear(tn_net_build *b, const char *name, tn_value *x, int64_t in, int64_t out,
                            bool bias);
tn_value *tn_net_add_layer_norm(tn_net_build *b, const char *name, tn_value *x, int64_t width,
                                double epsilon);
tn_value *tn_net_add(tn_net_build *b, const char *op, const char *name, tn_value *x, tn_value *y);
/* An input [names..., numbers...]: a dim below 1 is dynamic and called as `symbol` says. */
tn_value *tn_net_input(tn_net_build *b, const char *name, tn_dtype dtype, const int64_t *dim,
                       const char *const *symbol, int rank);

/* Keep a failure; a statement. */
#define TN_NET_FAIL(b, code, ...)                                                                  \
    do {                                                                                           \
        if (!(b)->draft.failed) tn_draft_try(&(b)->draft, TN_ERROR(code, __VA_ARGS__));            \
    } while (0)
#define TN_NET_WANT(b, condition, code, ...)                                                       \
    do {                                                                                           \
        if (!(condition)) TN_NET_FAIL(b, code, __VA_ARGS__);                                       \
    } while (0)

#endif
