/* Sums of products: arithmetic, division, bounds. See expr_sum.h. */
#include "tensor/expr_sum.h"

bool tn_floor_div(int64_t a, int64_t b, int64_t *quotient, int64_t *remainder)
{
    if (b == 0 || (a == INT64_MIN && b == -1)) return false;
    int64_t q = a / b, r = a % b;
    if (r && (r < 0) != (b < 0)) {
        q--;
        r += b;
    }
    *quotient = q;
    *remainder = r;
    return true;
}

/* ---- Nodes and sums -------------------------------------------------------------------------*/

static bool is_inner(const tn_expr_node *node, tn_expr_op op)
{
    return node->op == op && node->value == 0;
}

static void term_of(const tn_exprs *exprs, tn_expr e, tn_term *out)
{
    const tn_expr_node *node = tn_expr_get(exprs, e);
    *out = (tn_term){.factor = 1};
    if (node->op == TN_EXPR_OP_CONST) {
        out->factor = node->value;
        return;
    }
    if (is_inner(node, TN_EXPR_OP_MUL) && exprs->node[node->a].op == TN_EXPR_OP_CONST) {
        out->factor = exprs->node[node->a].value;
        e = node->b;
        node = tn_expr_get(exprs, e);
    }
    tn_expr reversed[TN_TERM_DEGREE_MAX];
    int count = 0;
    while (is_inner(node, TN_EXPR_OP_MUL) && count < TN_TERM_DEGREE_MAX - 1) {
        reversed[count++] = node->b;
        e = node->a;
        node = tn_expr_get(exprs, e);
    }
    reversed[count++] = e;
    while (count > 0) out->atom[out->degree++] = reversed[--count];
}

void tn_sum_of(const tn_exprs *exprs, tn_expr e, tn_sum *out)
{
    tn_expr reversed[TN_SUM_TERMS_MAX];
    int count = 0;
    out->count = 0;
    if (tn_expr_equals(exprs, e, 0)) return;
    while (is_inner(tn_expr_get(exprs, e), TN_EXPR_OP_ADD) && count < TN_SUM_TERMS_MAX - 1) {
        reversed[count++] = exprs->node[e].b;
        e = exprs->node[e].a;
    }
    reversed[count++] = e;
    while (count > 0) term_of(exprs, reversed[--count], &out->at[out->count++]);
}

static tn_expr build_term(tn_exprs *exprs, const tn_term *term)
{
    if (term->degree == 0) return tn_expr_const(exprs, term->factor);
    tn_expr e = term->atom[0];
    for (int i = 1; i < term->degree; i++)
        e = tn_expr_make(exprs, &(tn_expr_node){.op = TN_EXPR_OP_MUL, .a = e, .b = term->atom[i]});
    if (term->factor == 1) return e;
    tn_expr factor = tn_expr_const(exprs, term->factor);
    return tn_expr_make(exprs, &(tn_expr_node){.op = TN_EXPR_OP_MUL, .a = factor, .b = e});
}

tn_expr tn_sum_build(tn_exprs *exprs, const tn_sum *sum)
{
    if (sum->count == 0) return tn_expr_const(exprs, 0);
    tn_expr e = build_term(exprs, &sum->at[0]);
    for (int i = 1; i < sum->count; i++) {
        tn_expr term = build_term(exprs, &sum->at[i]);
        e = tn_expr_make(exprs, &(tn_expr_node){.op = TN_EXPR_OP_ADD, .a = e, .b = term});
    }
    return e;
}

bool tn_sum_is_const(const tn_sum *sum, int64_t *value)
{
    if (sum->count > 1 || (sum->count == 1 && sum->at[0].degree > 0)) return false;
    *value = sum->count ? sum->at[0].factor : 0;
    return true;
}

static int order_terms(const tn_exprs *exprs, const tn_term *a, const tn_term *b)
{
    if (a->degree != b->degree) return a->degree > b->degree ? -1 : 1;
    for (int i = 0; i < a->degree; i++)
        if (a->atom[i] != b->atom[i]) return tn_expr_order(exprs, a->atom[i], b->atom[i]);
    return 0;
}

/* ---- Arithmetic -----------------------------------------------------------------------------*/

bool tn_sum_add_term(const tn_exprs *exprs, tn_sum *sum, const tn_term *term, int64_t times)
{
    tn_term added = *term;
    int at = 0, order = 1;
    if (!tn_mul_i64(term->factor, times, &added.factor)) return false;
    if (added.factor == 0) return true;
    while (at < sum->count && (order = order_terms(exprs, &sum->at[at], &added)) < 0) at++;
    if (at < sum->count && order == 0) {
        int64_t *factor = &sum->at[at].factor;
        /* INT64_MIN has no positive twin: it could not be printed and read as a difference. */
        if (__builtin_add_overflow(*factor, added.factor, factor) || *factor == INT64_MIN)
            return false;
        if (*factor == 0) {
            sum->count--;
            for (int i = at; i < sum->count; i++) sum->at[i] = sum->at[i + 1];
        }
        return true;
    }
    if (sum->count == TN_SUM_TERMS_MAX) return false;
    for (int i = sum->count; i > at; i--) sum->at[i] = sum->at[i - 1];
    sum->at[at] = added;
    sum->count++;
    return true;
}

bool tn_sum_add(const tn_exprs *exprs, tn_sum *sum, const tn_sum *other, int64_t times)
{
    for (int i = 0; i < other->count; i++)
        if (!tn_sum_add_term(exprs, sum, &other->at[i], times)) return false;
    return true;
}

static bool mul_terms(const tn_exprs *exprs, const tn_term *a, const tn_term *b, tn_term *out)
{
    int i = 0, k = 0;
    *out = (tn_term){.degree = a->degree + b->degree};
    if (out->degree > TN_TERM_DEGREE_MAX) return false;
    if (!tn_mul_i64(a->factor, b->factor, &out->factor)) return false;
    for (int at = 0; at < out->degree; at++) {
        bool first =
            k == b->degree || (i < a->degree && tn_expr_order(exprs, a->atom[i], b->atom[k]) <= 0);
        out->atom[at] = first ? a->atom[i++] : b->atom[k++];
    }
    return true;
}

bool tn_sum_mul(const tn_exprs *exprs, const tn_sum *a, const tn_sum *b, tn_sum *out)
{
    out->count = 0;
    for (int i = 0; i < a->count; i++) {
        for (int k = 0; k < b->count; k++) {
            tn_term term;
            if (!mul_terms(exprs, &a->at[i], &b->at[k], &term)) return false;
            if (!tn_sum_add_term(exprs, out, &term, 1)) return false;
        }
    }
    return true;
}

/* a = quotient * b + rest, where b's atoms are among a's; the factors divide with a floor. */
static bool divide_term(const tn_term *a, const tn_term *b, tn_term *quotient, tn_term *rest)
{
    int k = 0;
    *quotient = (tn_term){0};
    *rest = *a;
    for (int i = 0; i < a->degree; i++) {
        if (k < b->degree && a->atom[i] == b->atom[k]) k++;
        else quotient->atom[quotient->degree++] = a->atom[i];
    }
    return k == b->degree && tn_floor_div(a->factor, b->factor, &quotient->factor, &rest->factor);
}

bool tn_sum_divide(const tn_exprs *exprs, const tn_sum *a, const tn_sum *b, tn_sum *quotient,
                   tn_sum *rest)
{
    tn_term q, r;
    quotient->count = rest->count = 0;
    if (b->count == 0) return false;
    if (b->count == 1) { /* term by term: what is a multiple of b leaves the floor */
        for (int i = 0; i < a->count; i++) {
            bool divides = divide_term(&a->at[i], &b->at[0], &q, &r);
            if (divides && !tn_sum_add_term(exprs, quotient, &q, 1)) return false;
            if (!tn_sum_add_term(exprs, rest, divides ? &r : &a->at[i], 1)) return false;
        }
        return true;
    }
    *rest = *a; /* long division: all or nothing */
    for (int step = 0; step < TN_SUM_TERMS_MAX && rest->count > 0; step++) {
        tn_sum product, one = {.count = 1};
        if (!divide_term(&rest->at[0], &b->at[0], &q, &r) || r.factor != 0) break;
        one.at[0] = q;
        if (!tn_sum_mul(exprs, &one, b, &product) || !tn_sum_add(exprs, rest, &product, -1)) break;
        if (!tn_sum_add_term(exprs, quotient, &q, 1)) break;
    }
    if (rest->count > 0) {
        quotient->count = 0;
        *rest = *a;
    }
    return true;
}

int64_t tn_sum_gcd(const tn_sum *sum, int64_t with, bool all)
{
    uint64_t a = with < 0 ? 0 - (uint64_t)with : (uint64_t)with;
    for (int i = 0; i < sum->count; i++) {
        int64_t factor = sum->at[i].factor;
        uint64_t b = factor < 0 ? 0 - (uint64_t)factor : (uint64_t)factor;
        if (sum->at[i].degree == 0 && !all) continue;
        while (b) {
            uint64_t rest = a % b;
            a = b;
            b = rest;
        }
    }
    return a > INT64_MAX ? 1 : (int64_t)a;
}

/* ---- Bounds ---------------------------------------------------------------------------------*/

/* INT64_MIN as a lower and INT64_MAX as an upper bound are infinities; values beyond int64 are
 * errors of evaluation, so other sums may stop there. */
static int64_t add_clamped(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? (a < 0 ? INT64_MIN : INT64_MAX) : sum;
}

static int64_t add_lo(int64_t a, int64_t b)
{
    return a == INT64_MIN || b == INT64_MIN ? INT64_MIN : add_clamped(a, b);
}

static int64_t add_hi(int64_t a, int64_t b)
{
    return a == INT64_MAX || b == INT64_MAX ? INT64_MAX : add_clamped(a, b);
}

static int64_t mul_bounds(int64_t a, int64_t b)
{
    int64_t product, far = (a < 0) != (b < 0) ? INT64_MIN : INT64_MAX;
    bool infinite = a == INT64_MIN || a == INT64_MAX || b == INT64_MIN || b == INT64_MAX;
    if (a == 0 || b == 0) return 0;
    return infinite || !tn_mul_i64(a, b, &product) ? far : product;
}

static void mul_ranges(int64_t *lo, int64_t *hi, int64_t other_lo, int64_t other_hi)
{
    int64_t corner[4] = {mul_bounds(*lo, other_lo), mul_bounds(*lo, other_hi),
                         mul_bounds(*hi, other_lo), mul_bounds(*hi, other_hi)};
    *lo = *hi = corner[0];
    for (int i = 1; i < 4; i++) {
        *lo = TN_MIN(*lo, corner[i]);
        *hi = TN_MAX(*hi, corner[i]);
    }
    if (*hi == INT64_MIN) *hi = INT64_MIN + 1; /* no infinity on this side */
}

void tn_sum_range(const tn_exprs *exprs, const tn_sum *sum, int64_t *lo, int64_t *hi)
{
    int64_t low = 0, high = 0;
    for (int i = 0; i < sum->count; i++) {
        const tn_term *term = &sum->at[i];
        int64_t term_lo = term->factor, term_hi = term->factor;
        for (int k = 0; k < term->degree; k++) {
            const tn_expr_node *atom = &exprs->node[term->atom[k]];
            mul_ranges(&term_lo, &term_hi, atom->lo, atom->hi);
        }
        low = add_lo(low, term_lo);
        high = add_hi(high, term_hi);
    }
    *lo = low;
    *hi = high;
}

/* The sum without its term `at`, plus times * e. */
static bool exchange(const tn_exprs *exprs, const tn_sum *sum, int at, int64_t scale, tn_expr e,
                     int64_t times, tn_sum *out)
{
    tn_sum added;
    out->count = 0;
    tn_sum_of(exprs, e, &added);
    for (int i = 0; i < sum->count; i++)
        if (i != at && !tn_sum_add_term(exprs, out, &sum->at[i], scale)) return false;
    return tn_sum_add(exprs, out, &added, times);
}

/* A term that is a floor, a minimum or a maximum is replaced by a bound of it that is a plain sum.
 * With the whole times d: -floor(x/d) >= -x/d and floor(x/d) >= (x-d+1)/d, and as the sum is an
 * integer it is enough that d times it is > -d. -min(a,b) >= -a and >= -b; max likewise. */
static bool not_negative(const tn_exprs *exprs, const tn_sum *sum, int depth, int *budget)
{
    int64_t lo, hi, d, slack;
    tn_sum next;
    tn_sum_range(exprs, sum, &lo, &hi);
    if (lo >= 0) return true;
    for (int i = 0; i < sum->count && depth > 0; i++) {
        const tn_term *term = &sum->at[i];
        const tn_expr_node *atom = &exprs->node[term->atom[0]];
        int64_t f = term->factor;
        if (term->degree != 1) continue;
        if (atom->op == TN_EXPR_OP_DIV && tn_expr_is_const(exprs, atom->b, &d) && d > 0) {
            if (--*budget < 0) return false;
            if (!tn_mul_i64(f > 0 ? 1 - f : 1, d - 1, &slack)) continue;
            if (exchange(exprs, sum, i, d, atom->a, f, &next) &&
                tn_sum_add_term(exprs, &next, &(tn_term){.factor = slack}, 1) &&
                not_negative(exprs, &next, depth - 1, budget))
                return true;
        } else if ((atom->op == TN_EXPR_OP_MIN && f < 0) || (atom->op == TN_EXPR_OP_MAX && f > 0)) {
            for (int k = 0; k < 2 && --*budget >= 0; k++)
                if (exchange(exprs, sum, i, 1, k ? atom->b : atom->a, f, &next) &&
                    not_negative(exprs, &next, depth - 1, budget))
                    return true;
        }
    }
    return false;
}

bool tn_sum_not_negative(const tn_exprs *exprs, const tn_sum *sum)
{
    int budget = 24; /* hostile sums must not make us search for long */
    return not_negative(exprs, sum, 3, &budget);
}

static void bound_div(tn_expr_node *node, const tn_expr_node *a, const tn_expr_node *b)
{
    int64_t least = TN_MAX(b->lo, 1), rest; /* dividing by zero is an error */
    if (b->lo < 0) return;
    int64_t low_divisor = a->lo < 0 ? least : b->hi, high_divisor = a->hi < 0 ? b->hi : least;
    if (a->lo != INT64_MIN && !tn_floor_div(a->lo, low_divisor, &node->lo, &rest))
        node->lo = INT64_MIN;
    if (a->hi != INT64_MAX && !tn_floor_div(a->hi, high_divisor, &node->hi, &rest))
        node->hi = INT64_MAX;
}

void tn_expr_bound(const tn_exprs *exprs, tn_expr_node *node)
{
    const tn_expr_node *a = &exprs->node[node->a], *b = &exprs->node[node->b];
    const tn_expr_node *c = &exprs->node[node->c];
    node->lo = INT64_MIN;
    node->hi = INT64_MAX;
    node->runtime = a->runtime || b->runtime || c->runtime;
    switch (node->op) {
    case TN_EXPR_OP_NONE: break;
    case TN_EXPR_OP_CONST: node->lo = node->hi = node->value; break;
    case TN_EXPR_OP_SYMBOL:
        node->lo = 0;
        node->runtime = node->value != 0;
        break;
    case TN_EXPR_OP_ADD:
        node->lo = add_lo(a->lo, b->lo);
        node->hi = add_hi(a->hi, b->hi);
        break;
    case TN_EXPR_OP_MUL:
        node->lo = a->lo;
        node->hi = a->hi;
        mul_ranges(&node->lo, &node->hi, b->lo, b->hi);
        break;
    case TN_EXPR_OP_DIV: bound_div(node, a, b); break;
    case TN_EXPR_OP_MOD:
        if (b->lo < 0) break;
        node->lo = 0;
        node->hi = b->hi == INT64_MAX ? INT64_MAX : TN_MAX(b->hi - 1, 0);
        if (a->lo >= 0) node->hi = TN_MIN(node->hi, a->hi);
        break;
    case TN_EXPR_OP_MIN:
        node->lo = TN_MIN(a->lo, b->lo);
        node->hi = TN_MIN(a->hi, b->hi);
        break;
    case TN_EXPR_OP_MAX:
        node->lo = TN_MAX(a->lo, b->lo);
        node->hi = TN_MAX(a->hi, b->hi);
        break;
    case TN_EXPR_OP_BROADCAST:
        node->lo = TN_MIN(a->lo, b->lo);
        node->hi = TN_MAX(a->hi, b->hi);
        break;
    case TN_EXPR_OP_EQ:
    case TN_EXPR_OP_LT:
        node->lo = 0;
        node->hi = 1;
        break;
    case TN_EXPR_OP_SELECT:
        node->lo = TN_MIN(b->lo, c->lo);
        node->hi = TN_MAX(b->hi, c->hi);
        break;
    }
}
