/* Sums of products: the canonical form behind tn_expr, and what the simplifier computes with.
 *
 *     2*N*M + N - 1   =   {2, [N M]}  {1, [N]}  {-1, []}
 *
 * Terms are sorted by falling degree and then by their atoms, which is a monomial order, so that
 * long division works. An atom is any node but a number or a canonical ADD or MUL. What does not
 * fit (overflow of a factor, too many terms) stays an opaque ADD or MUL (node.value 1), itself an
 * atom. */
#ifndef TN_TENSOR_EXPR_SUM_H
#define TN_TENSOR_EXPR_SUM_H

#include "tensor/expr.h"

#define TN_TERM_DEGREE_MAX 8
#define TN_SUM_TERMS_MAX 24

typedef struct tn_term {
    int64_t factor;
    int32_t degree;
    tn_expr atom[TN_TERM_DEGREE_MAX]; /* sorted */
} tn_term;

typedef struct tn_sum {
    int32_t count;
    tn_term at[TN_SUM_TERMS_MAX];
} tn_sum;

/* The node (op, operands, value), made if it is new. NONE when memory is gone. */
tn_expr tn_expr_make(tn_exprs *exprs, const tn_expr_node *node);
/* A total order that does not hang on when nodes were made: symbols by name first. */
int tn_expr_order(const tn_exprs *exprs, tn_expr a, tn_expr b);
/* Existing symbol or NONE. */
tn_expr tn_expr_find_symbol(const tn_exprs *exprs, const char *name);
tn_expr tn_expr_runtime_symbol(tn_exprs *exprs, const char *name);

/* Floor division and its remainder; false where undefined or not representable. */
bool tn_floor_div(int64_t a, int64_t b, int64_t *quotient, int64_t *remainder);

void tn_sum_of(const tn_exprs *exprs, tn_expr e, tn_sum *out);
tn_expr tn_sum_build(tn_exprs *exprs, const tn_sum *sum);
/* These give false where the result does not fit; *sum is then undefined. */
bool tn_sum_add_term(const tn_exprs *exprs, tn_sum *sum, const tn_term *term, int64_t times);
bool tn_sum_add(const tn_exprs *exprs, tn_sum *sum, const tn_sum *other, int64_t times);
bool tn_sum_mul(const tn_exprs *exprs, const tn_sum *a, const tn_sum *b, tn_sum *out);
/* a = quotient * b + rest with floor(a / b) = quotient + floor(rest / b), b not 0. */
bool tn_sum_divide(const tn_exprs *exprs, const tn_sum *a, const tn_sum *b, tn_sum *quotient,
                   tn_sum *rest);
/* The number, if it is one. */
bool tn_sum_is_const(const tn_sum *sum, int64_t *value);
/* Greatest common divisor of the factors and `with`; constants included if `all`. */
int64_t tn_sum_gcd(const tn_sum *sum, int64_t with, bool all);
void tn_sum_range(const tn_exprs *exprs, const tn_sum *sum, int64_t *lo, int64_t *hi);
/* Is the sum provably >= 0. Knows x/d, min and max beyond their ranges: N - N/2, N - min(N, M). */
bool tn_sum_not_negative(const tn_exprs *exprs, const tn_sum *sum);

/* Bounds of a node from those of its operands. */
void tn_expr_bound(const tn_exprs *exprs, tn_expr_node *node);

#endif
