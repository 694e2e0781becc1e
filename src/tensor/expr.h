/* Symbolic integers: what shapes are made of from import to launch.
 *
 * A tn_expr is an index into a pool of hash-consed nodes: two expressions that the simplifier finds
 * equal have the same index, so `==` compares them. A node's operands always have smaller indices,
 * so one pass from left to right evaluates the whole pool: that is what a context does per shape.
 *
 *     [0] none   [1] const 12   [2] symbol "batch"   [3] symbol "seq"   [4] mul 2 3 ...
 *
 * Symbols are sizes: their values are >= 0. Constants may be negative (values of small tensors).
 * Adding and multiplying keep a canonical sum-of-products order, so (N+1)-1 is N, 2*N is N+N,
 * (12*N)/12 is N and N*(a/b) only cancels where that is exact.
 */
#ifndef TN_TENSOR_EXPR_H
#define TN_TENSOR_EXPR_H

#include "base/memory.h"
#include "base/text.h"

typedef uint32_t tn_expr;
#define TN_EXPR_NONE 0u /* not known */

typedef enum tn_expr_op {
    TN_EXPR_OP_NONE,
    TN_EXPR_OP_CONST,
    TN_EXPR_OP_SYMBOL,
    TN_EXPR_OP_ADD,
    TN_EXPR_OP_MUL,
    TN_EXPR_OP_DIV, /* floor division; by zero is an error at evaluation */
    TN_EXPR_OP_MOD, /* sign of the divisor, as Python */
    TN_EXPR_OP_MIN,
    TN_EXPR_OP_MAX,
    TN_EXPR_OP_BROADCAST, /* a == 1 ? b : a; a, b both not 1 and unequal is an error */
    TN_EXPR_OP_EQ,        /* 0 or 1 */
    TN_EXPR_OP_LT,
    TN_EXPR_OP_SELECT, /* a ? b : c */
} tn_expr_op;

typedef struct tn_expr_node {
    tn_expr_op op;
    tn_expr a, b, c;
    int64_t value;    /* CONST: the value. SYMBOL: 1 if its value is only known during a run */
    const char *name; /* SYMBOL */
    int64_t lo, hi;   /* proven bounds, symbols being >= 0; INT64_MIN and INT64_MAX: none */
    bool runtime;     /* depends on a symbol that only a run finds out */
} tn_expr_node;

/* The pool. Read nodes through tn_expr_get. */
typedef struct tn_exprs {
    tn_arena *arena;
    tn_expr_node *node;
    int64_t count, capacity;
    uint32_t *slot; /* hash table of indices */
    int64_t slot_count;
    int64_t fresh; /* number of symbols made by tn_expr_fresh */
    bool failed;   /* memory ran out: results since are NONE; see tn_exprs_check */
} tn_exprs;

tn_status tn_exprs_init(tn_exprs *exprs, tn_arena *arena) TN_MUST_USE;
/* Builders cannot fail loudly; call this once after a group of them. */
tn_status tn_exprs_check(const tn_exprs *exprs) TN_MUST_USE;

tn_expr tn_expr_const(tn_exprs *exprs, int64_t value);
tn_expr tn_expr_symbol(tn_exprs *exprs, const char *name); /* same name, same symbol */
/* A new symbol whose value a run finds out ("nonzero_3.0"): the base for data-dependent shapes. */
tn_expr tn_expr_fresh(tn_exprs *exprs, const char *base);

/* Any operand NONE gives NONE. */
tn_expr tn_expr_add(tn_exprs *exprs, tn_expr a, tn_expr b);
tn_expr tn_expr_sub(tn_exprs *exprs, tn_expr a, tn_expr b);
tn_expr tn_expr_mul(tn_exprs *exprs, tn_expr a, tn_expr b);
tn_expr tn_expr_div(tn_exprs *exprs, tn_expr a, tn_expr b);
tn_expr tn_expr_ceil_div(tn_exprs *exprs, tn_expr a, tn_expr b);
tn_expr tn_expr_mod(tn_exprs *exprs, tn_expr a, tn_expr b);
tn_expr tn_expr_min(tn_exprs *exprs, tn_expr a, tn_expr b);
tn_expr tn_expr_max(tn_exprs *exprs, tn_expr a, tn_expr b);
tn_expr tn_expr_broadcast(tn_exprs *exprs, tn_expr a, tn_expr b);
tn_expr tn_expr_eq(tn_exprs *exprs, tn_expr a, tn_expr b);
tn_expr tn_expr_lt(tn_exprs *exprs, tn_expr a, tn_expr b);
tn_expr tn_expr_select(tn_exprs *exprs, tn_expr condition, tn_expr yes, tn_expr no);

const tn_expr_node *tn_expr_get(const tn_exprs *exprs, tn_expr e);
bool tn_expr_is_const(const tn_exprs *exprs, tn_expr e, int64_t *value);
bool tn_expr_equals(const tn_exprs *exprs, tn_expr e, int64_t value); /* is this constant */
/* Is e >= bound for all symbols >= 0; false if that cannot be proven. */
bool tn_expr_at_least(const tn_exprs *exprs, tn_expr e, int64_t bound);
/* A sum with symbols whose factors are so large that 64 bits could overflow at sizes that occur,
 * where a kernel would wrap. */
bool tn_expr_could_wrap(const tn_exprs *exprs, tn_expr e);
/* Depends on a symbol that only a run finds out. */
bool tn_expr_is_runtime(const tn_exprs *exprs, tn_expr e);

/* values[i] = value of node i, for all nodes of the pool. The caller has put the values of SYMBOL
 * nodes in place; a symbol not known yet holds TN_EXPR_UNKNOWN, which spreads. Overflow, division
 * by zero and broadcast conflicts are INVALID and print the expression. */
#define TN_EXPR_UNKNOWN INT64_MIN
tn_status tn_exprs_evaluate(const tn_exprs *exprs, int64_t *values) TN_MUST_USE;

/* "batch", "2*seq+1", "(N+1)/2", "min(N,5)", "$nonzero_3.0" for a symbol of the run, "?" for NONE;
 * names that are not words stand in single quotes. Parse accepts what print writes. */
void tn_expr_print(const tn_exprs *exprs, tn_expr e, tn_text *out);
tn_status tn_expr_parse(tn_exprs *exprs, const char *text, tn_expr *out) TN_MUST_USE;

#endif
