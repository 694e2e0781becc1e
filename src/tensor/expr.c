/* The pool of symbolic integers and its simplifier.
 *
 * Sums and products are kept in the canonical form of expr_sum.h; the other operators are
 * simplified by the bounds that every node carries and by rules that hold for all values of the
 * symbols. A result that a rule cannot represent (overflow) is left as it was asked for and fails
 * when evaluated. */
#include "tensor/expr.h"

#include <string.h>

#include "base/bytes.h"
#include "tensor/expr_sum.h"

/* ---- The pool --------------------------------------------------------------------------------*/

tn_status tn_exprs_init(tn_exprs *exprs, tn_arena *arena)
{
    memset(exprs, 0, sizeof *exprs);
    exprs->arena = arena;
    TN_TRY(tn_arena_grow(arena, &exprs->node, 0, &exprs->capacity, 64, sizeof *exprs->node));
    exprs->slot_count = 128;
    exprs->slot = TN_NEW_ARRAY(arena, uint32_t, exprs->slot_count);
    TN_CHECK(exprs->slot, TN_OUT_OF_MEMORY, "no memory for expressions");
    exprs->node[0] = (tn_expr_node){.lo = INT64_MIN, .hi = INT64_MAX};
    exprs->count = 1;
    return NULL;
}

tn_status tn_exprs_check(const tn_exprs *exprs)
{
    TN_CHECK(!exprs->failed, TN_OUT_OF_MEMORY, "no memory for %lld expressions",
             (long long)exprs->count);
    return NULL;
}

static uint64_t hash_node(const tn_expr_node *node)
{
    if (node->op == TN_EXPR_OP_SYMBOL) return tn_hash_bytes(node->name, strlen(node->name));
    uint64_t key[] = {(uint64_t)node->op, node->a, node->b, node->c, (uint64_t)node->value};
    return tn_hash_bytes(key, sizeof key);
}

static bool same_node(const tn_expr_node *a, const tn_expr_node *b)
{
    if (a->op != b->op) return false;
    if (a->op == TN_EXPR_OP_SYMBOL) return !strcmp(a->name, b->name);
    return a->a == b->a && a->b == b->b && a->c == b->c && a->value == b->value;
}

/* The slot that holds the node, or the free one where it belongs. */
static uint32_t *find_slot(uint32_t *slot, int64_t slot_count, const tn_expr_node *nodes,
                           const tn_expr_node *node)
{
    uint64_t mask = (uint64_t)slot_count - 1, at = hash_node(node) & mask;
    while (slot[at] && !same_node(&nodes[slot[at]], node)) at = (at + 1) & mask;
    return &slot[at];
}

static bool grow_slots(tn_exprs *exprs)
{
    int64_t slot_count = exprs->slot_count * 2;
    uint32_t *slot = TN_NEW_ARRAY(exprs->arena, uint32_t, slot_count);
    if (!slot) return false;
    for (int64_t i = 1; i < exprs->count; i++)
        *find_slot(slot, slot_count, exprs->node, &exprs->node[i]) = (uint32_t)i;
    exprs->slot = slot;
    exprs->slot_count = slot_count;
    return true;
}

tn_expr tn_expr_make(tn_exprs *exprs, const tn_expr_node *node)
{
    bool unary = node->op == TN_EXPR_OP_CONST || node->op == TN_EXPR_OP_SYMBOL;
    if (exprs->failed || (!unary && (!node->a || !node->b))) return TN_EXPR_NONE;
    uint32_t *slot = find_slot(exprs->slot, exprs->slot_count, exprs->node, node);
    if (*slot) return *slot;
    tn_expr_node made = *node;
    bool room = exprs->count < INT32_MAX;
    if (room && exprs->count == exprs->capacity)
        room = !tn_arena_grow(exprs->arena, &exprs->node, exprs->count, &exprs->capacity,
                              exprs->count + 1, sizeof made);
    if (room && exprs->count * 2 > exprs->slot_count) {
        room = grow_slots(exprs);
        slot = find_slot(exprs->slot, exprs->slot_count, exprs->node, node);
    }
    if (room && made.name) {
        made.name = tn_arena_text(exprs->arena, made.name, strlen(made.name));
        room = made.name != NULL;
    }
    if (!room) {
        exprs->failed = true;
        return TN_EXPR_NONE;
    }
    tn_expr_bound(exprs, &made);
    exprs->node[exprs->count] = made;
    *slot = (uint32_t)exprs->count++;
    return *slot;
}

int tn_expr_order(const tn_exprs *exprs, tn_expr a, tn_expr b)
{
    /* Nodes that differ differ in their operator, their leaf or an operand: one way down is enough.
     */
    while (a != b) {
        const tn_expr_node *x = &exprs->node[a], *y = &exprs->node[b];
        /* Symbols first, then compound nodes, numbers last: min(N,5). */
        int x_rank = x->op == TN_EXPR_OP_CONST ? 99 : x->op == TN_EXPR_OP_SYMBOL ? 0 : (int)x->op;
        int y_rank = y->op == TN_EXPR_OP_CONST ? 99 : y->op == TN_EXPR_OP_SYMBOL ? 0 : (int)y->op;
        if (x_rank != y_rank) return x_rank < y_rank ? -1 : 1;
        if (x->op == TN_EXPR_OP_SYMBOL) return strcmp(x->name, y->name) < 0 ? -1 : 1;
        if (x->a == y->a && x->b == y->b && x->c == y->c) return x->value < y->value ? -1 : 1;
        a = x->a != y->a ? x->a : x->b != y->b ? x->b : x->c;
        b = x->a != y->a ? y->a : x->b != y->b ? y->b : y->c;
    }
    return 0;
}

const tn_expr_node *tn_expr_get(const tn_exprs *exprs, tn_expr e)
{
    return &exprs->node[e < exprs->count ? e : TN_EXPR_NONE];
}

bool tn_expr_is_const(const tn_exprs *exprs, tn_expr e, int64_t *value)
{
    const tn_expr_node *node = tn_expr_get(exprs, e);
    if (node->op != TN_EXPR_OP_CONST) return false;
    *value = node->value;
    return true;
}

bool tn_expr_equals(const tn_exprs *exprs, tn_expr e, int64_t value)
{
    const tn_expr_node *node = tn_expr_get(exprs, e);
    return node->op == TN_EXPR_OP_CONST && node->value == value;
}

bool tn_expr_is_runtime(const tn_exprs *exprs, tn_expr e)
{
    return tn_expr_get(exprs, e)->runtime;
}

/* A product or sum whose factors did not fit. */
static bool is_opaque(const tn_expr_node *node)
{
    return (node->op == TN_EXPR_OP_ADD || node->op == TN_EXPR_OP_MUL) && node->value != 0;
}

bool tn_expr_could_wrap(const tn_exprs *exprs, tn_expr e)
{
    const int64_t most = (int64_t)1 << 40;
    tn_sum sum;
    int64_t number;
    if (e == TN_EXPR_NONE || tn_expr_is_const(exprs, e, &number)) return false;
    tn_sum_of(exprs, e, &sum);
    for (int i = 0; i < sum.count; i++) {
        const tn_term *term = &sum.at[i];
        if (term->factor > most || term->factor < -most) return true;
        for (int k = 0; k < term->degree; k++)
            if (is_opaque(&exprs->node[term->atom[k]])) return true;
    }
    return false;
}

bool tn_expr_at_least(const tn_exprs *exprs, tn_expr e, int64_t bound)
{
    tn_sum sum;
    if (e == TN_EXPR_NONE) return false;
    if (tn_expr_get(exprs, e)->lo >= bound) return true;
    tn_sum_of(exprs, e, &sum);
    return tn_sum_add_term(exprs, &sum, &(tn_term){.factor = bound}, -1) &&
           tn_sum_not_negative(exprs, &sum);
}

/* ---- Leaves ----------------------------------------------------------------------------------*/

tn_expr tn_expr_const(tn_exprs *exprs, int64_t value)
{
    return tn_expr_make(exprs, &(tn_expr_node){.op = TN_EXPR_OP_CONST, .value = value});
}

tn_expr tn_expr_symbol(tn_exprs *exprs, const char *name)
{
    return tn_expr_make(exprs, &(tn_expr_node){.op = TN_EXPR_OP_SYMBOL, .name = name});
}

tn_expr tn_expr_runtime_symbol(tn_exprs *exprs, const char *name)
{
    return tn_expr_make(exprs, &(tn_expr_node){.op = TN_EXPR_OP_SYMBOL, .value = 1, .name = name});
}

tn_expr tn_expr_find_symbol(const tn_exprs *exprs, const char *name)
{
    tn_expr_node node = {.op = TN_EXPR_OP_SYMBOL, .name = name};
    return *find_slot(exprs->slot, exprs->slot_count, exprs->node, &node);
}

tn_expr tn_expr_fresh(tn_exprs *exprs, const char *base)
{
    char *name;
    do { /* a parsed pool may hold names of this form already */
        name = tn_arena_printf(exprs->arena, "%s.%lld", base, (long long)exprs->fresh++);
        if (!name) {
            exprs->failed = true;
            return TN_EXPR_NONE;
        }
    } while (tn_expr_find_symbol(exprs, name));
    return tn_expr_runtime_symbol(exprs, name);
}

/* ---- Sums and products -----------------------------------------------------------------------*/

static tn_expr make2(tn_exprs *exprs, tn_expr_op op, tn_expr a, tn_expr b)
{
    return tn_expr_make(exprs, &(tn_expr_node){.op = op, .a = a, .b = b});
}

/* The same for operators that commute; `opaque` marks ADD and MUL that are not in canonical form.
 */
static tn_expr make_ordered(tn_exprs *exprs, tn_expr_op op, tn_expr a, tn_expr b, bool opaque)
{
    bool turn = tn_expr_order(exprs, a, b) > 0;
    return tn_expr_make(
        exprs, &(tn_expr_node){.op = op, .a = turn ? b : a, .b = turn ? a : b, .value = opaque});
}

/* a + times * b */
static tn_expr add_times(tn_exprs *exprs, tn_expr a, tn_expr b, int64_t times)
{
    tn_sum sum, other;
    if (!a || !b) return TN_EXPR_NONE;
    tn_sum_of(exprs, a, &sum);
    tn_sum_of(exprs, b, &other);
    if (tn_sum_add(exprs, &sum, &other, times)) return tn_sum_build(exprs, &sum);
    if (times != 1) b = tn_expr_mul(exprs, tn_expr_const(exprs, times), b);
    return make_ordered(exprs, TN_EXPR_OP_ADD, a, b, true);
}

tn_expr tn_expr_add(tn_exprs *exprs, tn_expr a, tn_expr b)
{
    return add_times(exprs, a, b, 1);
}

tn_expr tn_expr_sub(tn_exprs *exprs, tn_expr a, tn_expr b)
{
    return add_times(exprs, a, b, -1);
}

tn_expr tn_expr_mul(tn_exprs *exprs, tn_expr a, tn_expr b)
{
    tn_sum x, y, product;
    if (!a || !b) return TN_EXPR_NONE;
    tn_sum_of(exprs, a, &x);
    tn_sum_of(exprs, b, &y);
    if (tn_sum_mul(exprs, &x, &y, &product)) return tn_sum_build(exprs, &product);
    return make_ordered(exprs, TN_EXPR_OP_MUL, a, b, true);
}

/* ---- Division --------------------------------------------------------------------------------*/

/* floor(a / b) where bounds alone tell: 0 if 0 <= a < b, -1 if -b <= a < 0. Where b >= 0 it may be
 * taken to be 1 at least, as division by zero is an error. */
static bool floor_is_known(const tn_exprs *exprs, const tn_sum *a, const tn_sum *b, int64_t *floor)
{
    tn_sum room = *b;
    int64_t lo, hi;
    tn_sum_range(exprs, a, &lo, &hi);
    *floor = hi < 0 ? -1 : 0;
    if (*floor == -1) {
        if (lo == -1 && tn_sum_not_negative(exprs, b)) return true;
        return tn_sum_add(exprs, &room, a, 1) && tn_sum_not_negative(exprs, &room);
    }
    return tn_sum_add(exprs, &room, a, -1) &&
           tn_sum_add_term(exprs, &room, &(tn_term){.factor = 1}, -1) &&
           tn_sum_not_negative(exprs, &room) && tn_sum_not_negative(exprs, a);
}

static void shrink(tn_sum *sum, int64_t by)
{
    int64_t rest;
    int kept = 0;
    for (int i = 0; i < sum->count; i++) {
        tn_term term = sum->at[i];
        (void)tn_floor_div(term.factor, by, &term.factor, &rest);
        if (term.factor) sum->at[kept++] = term;
    }
    sum->count = kept;
}

/* One atom of `op` with a positive constant divisor, plus a constant. */
static const tn_expr_node *lone_atom(const tn_exprs *exprs, const tn_sum *sum, tn_expr_op op,
                                     int64_t *divisor, int64_t *plus)
{
    bool lone = sum->count >= 1 && sum->count <= 2 && sum->at[0].degree == 1 &&
                sum->at[0].factor == 1 && (sum->count == 1 || sum->at[1].degree == 0);
    const tn_expr_node *atom = lone ? &exprs->node[sum->at[0].atom[0]] : NULL;
    if (!lone || atom->op != op || !tn_expr_is_const(exprs, atom->b, divisor)) return NULL;
    *plus = sum->count == 2 ? sum->at[1].factor : 0;
    return *divisor > 0 ? atom : NULL;
}

/* A number that is smaller than the number it was divided by: the rest of a floor division. */
static bool is_final(const tn_sum *rest, const tn_sum *b)
{
    int64_t r, y;
    if (!tn_sum_is_const(rest, &r) || !tn_sum_is_const(b, &y)) return false;
    return y > 0 ? r >= 0 && r < y : r <= 0 && r > y;
}

/* floor(rest / b), where rest holds no multiple of b. */
static tn_expr div_rest(tn_exprs *exprs, tn_sum *rest, const tn_sum *b)
{
    int64_t c, inner, plus, product, floor;
    if (floor_is_known(exprs, rest, b, &floor)) return tn_expr_const(exprs, floor);
    if (!tn_sum_is_const(b, &c) || c <= 0)
        return make2(exprs, TN_EXPR_OP_DIV, tn_sum_build(exprs, rest), tn_sum_build(exprs, b));
    int64_t common = tn_sum_gcd(rest, c, false); /* floor((4*N+3)/6) = floor((2*N+1)/3) */
    shrink(rest, common);
    c /= common;
    /* floor((floor(x/d) + k) / c) = floor((x + k*d) / (d*c)) */
    const tn_expr_node *atom = lone_atom(exprs, rest, TN_EXPR_OP_DIV, &inner, &plus);
    if (atom && tn_mul_i64(inner, c, &product) && tn_mul_i64(plus, inner, &plus)) {
        tn_expr x = atom->a;
        x = tn_expr_add(exprs, x, tn_expr_const(exprs, plus));
        return tn_expr_div(exprs, x, tn_expr_const(exprs, product));
    }
    return make2(exprs, TN_EXPR_OP_DIV, tn_sum_build(exprs, rest), tn_expr_const(exprs, c));
}

tn_expr tn_expr_div(tn_exprs *exprs, tn_expr a, tn_expr b)
{
    tn_sum x, y, quotient, rest;
    if (!a || !b) return TN_EXPR_NONE;
    tn_sum_of(exprs, a, &x);
    tn_sum_of(exprs, b, &y);
    if (!tn_sum_divide(exprs, &x, &y, &quotient, &rest)) return make2(exprs, TN_EXPR_OP_DIV, a, b);
    if (rest.count == 0 || is_final(&rest, &y)) return tn_sum_build(exprs, &quotient);
    tn_expr whole = tn_sum_build(exprs, &quotient);
    return tn_expr_add(exprs, whole, div_rest(exprs, &rest, &y));
}

tn_expr tn_expr_ceil_div(tn_exprs *exprs, tn_expr a, tn_expr b)
{
    if (!a || !b) return TN_EXPR_NONE;
    tn_expr one = tn_expr_const(exprs, 1), zero = tn_expr_const(exprs, 0);
    if (tn_expr_at_least(exprs, b, 0)) /* reads better than the other: (N+1)/2 */
        return tn_expr_div(exprs, tn_expr_add(exprs, a, tn_expr_sub(exprs, b, one)), b);
    return tn_expr_sub(exprs, zero, tn_expr_div(exprs, tn_expr_sub(exprs, zero, a), b));
}

tn_expr tn_expr_mod(tn_exprs *exprs, tn_expr a, tn_expr b)
{
    tn_sum x, y, quotient, rest;
    int64_t c, inner, plus, floor;
    if (!a || !b) return TN_EXPR_NONE;
    tn_sum_of(exprs, a, &x);
    tn_sum_of(exprs, b, &y);
    if (!tn_sum_divide(exprs, &x, &y, &quotient, &rest)) return make2(exprs, TN_EXPR_OP_MOD, a, b);
    if (rest.count == 0) return tn_expr_const(exprs, 0);
    if (is_final(&rest, &y)) return tn_sum_build(exprs, &rest);
    if (floor_is_known(exprs, &rest, &y, &floor)) {
        tn_sum shifted = rest;
        if (tn_sum_add(exprs, &shifted, &y, -floor)) return tn_sum_build(exprs, &shifted);
    }
    if (!tn_sum_is_const(&y, &c) || c <= 0)
        return make2(exprs, TN_EXPR_OP_MOD, tn_sum_build(exprs, &rest), b);
    /* (x mod m + k) mod c = (x + k) mod c where c divides m */
    const tn_expr_node *atom = lone_atom(exprs, &rest, TN_EXPR_OP_MOD, &inner, &plus);
    if (atom && inner % c == 0)
        return tn_expr_mod(exprs, tn_expr_add(exprs, atom->a, tn_expr_const(exprs, plus)), b);
    int64_t common = tn_sum_gcd(&rest, c, true);
    shrink(&rest, common);
    tn_expr node =
        make2(exprs, TN_EXPR_OP_MOD, tn_sum_build(exprs, &rest), tn_expr_const(exprs, c / common));
    return tn_expr_mul(exprs, tn_expr_const(exprs, common), node);
}

/* ---- Comparing -------------------------------------------------------------------------------*/

static bool difference(const tn_exprs *exprs, tn_expr a, tn_expr b, tn_sum *out)
{
    tn_sum other;
    tn_sum_of(exprs, a, out);
    tn_sum_of(exprs, b, &other);
    return tn_sum_add(exprs, out, &other, -1);
}

/* a >= b, proven. */
static bool is_above(const tn_exprs *exprs, tn_expr a, tn_expr b)
{
    tn_sum sum;
    if (a == b || exprs->node[a].lo >= exprs->node[b].hi) return true;
    return difference(exprs, a, b, &sum) && tn_sum_not_negative(exprs, &sum);
}

/* a > b, proven. */
static bool is_strictly_above(const tn_exprs *exprs, tn_expr a, tn_expr b)
{
    tn_sum sum;
    return difference(exprs, a, b, &sum) &&
           tn_sum_add_term(exprs, &sum, &(tn_term){.factor = 1}, -1) &&
           tn_sum_not_negative(exprs, &sum);
}

/* min, max or broadcast of a and b where a already is one of b and something. */
static bool absorbs(const tn_exprs *exprs, tn_expr_op op, tn_expr a, tn_expr b)
{
    const tn_expr_node *node = &exprs->node[a];
    return node->op == op && (node->a == b || node->b == b);
}

static tn_expr extreme(tn_exprs *exprs, tn_expr_op op, tn_expr a, tn_expr b)
{
    int64_t x, y;
    if (!a || !b) return TN_EXPR_NONE;
    if (is_above(exprs, a, b)) return op == TN_EXPR_OP_MIN ? b : a;
    if (is_above(exprs, b, a)) return op == TN_EXPR_OP_MIN ? a : b;
    if (absorbs(exprs, op, a, b)) return a;
    if (absorbs(exprs, op, b, a)) return b;
    if (tn_expr_is_const(exprs, a, &x)) return extreme(exprs, op, b, a);
    const tn_expr_node *node = &exprs->node[a];
    if (node->op == op && tn_expr_is_const(exprs, b, &y) && tn_expr_is_const(exprs, node->b, &x)) {
        int64_t value = op == TN_EXPR_OP_MIN ? TN_MIN(x, y) : TN_MAX(x, y);
        tn_expr inner = node->a;
        return extreme(exprs, op, inner, tn_expr_const(exprs, value));
    }
    return make_ordered(exprs, op, a, b, false);
}

tn_expr tn_expr_min(tn_exprs *exprs, tn_expr a, tn_expr b)
{
    return extreme(exprs, TN_EXPR_OP_MIN, a, b);
}

tn_expr tn_expr_max(tn_exprs *exprs, tn_expr a, tn_expr b)
{
    return extreme(exprs, TN_EXPR_OP_MAX, a, b);
}

/* min(whole, c) with c >= 1: a table of c rows cut to a length. Beside the whole it only fits where
 * it is the whole, or both are 1. (That it fits is for kernels to check, as for a number and a
 * symbol.) */
static bool is_cut_of(const tn_exprs *exprs, tn_expr cut, tn_expr whole)
{
    const tn_expr_node *node = &exprs->node[cut];
    if (node->op != TN_EXPR_OP_MIN || (node->a != whole && node->b != whole)) return false;
    return tn_expr_at_least(exprs, node->a == whole ? node->b : node->a, 1);
}

tn_expr tn_expr_broadcast(tn_exprs *exprs, tn_expr a, tn_expr b)
{
    int64_t x, y;
    if (!a || !b) return TN_EXPR_NONE;
    if (a == b || tn_expr_equals(exprs, b, 1)) return a;
    if (tn_expr_equals(exprs, a, 1)) return b;
    bool a_const = tn_expr_is_const(exprs, a, &x), b_const = tn_expr_is_const(exprs, b, &y);
    if (a_const && b_const) return make2(exprs, TN_EXPR_OP_BROADCAST, a, b); /* a conflict */
    if (a_const) return a;
    if (b_const) return b;
    if (absorbs(exprs, TN_EXPR_OP_BROADCAST, a, b)) return a;
    if (absorbs(exprs, TN_EXPR_OP_BROADCAST, b, a)) return b;
    if (is_cut_of(exprs, b, a)) return a;
    if (is_cut_of(exprs, a, b)) return b;
    if (tn_expr_order(exprs, a, b) > 0) return tn_expr_broadcast(exprs, b, a);
    if (tn_expr_at_least(exprs, a, 2)) return a; /* b is 1 or equal */
    if (tn_expr_at_least(exprs, b, 2)) return b;
    return make2(exprs, TN_EXPR_OP_BROADCAST, a, b);
}

tn_expr tn_expr_eq(tn_exprs *exprs, tn_expr a, tn_expr b)
{
    tn_sum sum;
    if (!a || !b) return TN_EXPR_NONE;
    if (a == b) return tn_expr_const(exprs, 1);
    if (is_strictly_above(exprs, a, b) || is_strictly_above(exprs, b, a))
        return tn_expr_const(exprs, 0);
    if (difference(exprs, a, b, &sum) && sum.count > 0) { /* 2*N = 1 has no solution */
        int64_t common = tn_sum_gcd(&sum, 0, false);
        const tn_term *last = &sum.at[sum.count - 1];
        if (last->degree == 0 && common > 1 && last->factor % common != 0)
            return tn_expr_const(exprs, 0);
    }
    return make_ordered(exprs, TN_EXPR_OP_EQ, a, b, false);
}

tn_expr tn_expr_lt(tn_exprs *exprs, tn_expr a, tn_expr b)
{
    if (!a || !b) return TN_EXPR_NONE;
    if (is_strictly_above(exprs, b, a)) return tn_expr_const(exprs, 1);
    if (is_above(exprs, a, b)) return tn_expr_const(exprs, 0);
    return make2(exprs, TN_EXPR_OP_LT, a, b);
}

tn_expr tn_expr_select(tn_exprs *exprs, tn_expr condition, tn_expr yes, tn_expr no)
{
    if (!condition) return TN_EXPR_NONE;
    const tn_expr_node *node = &exprs->node[condition];
    if (node->lo > 0 || node->hi < 0) return yes;
    if (node->lo == 0 && node->hi == 0) return no;
    if (!yes || !no) return TN_EXPR_NONE;
    if (yes == no) return yes;
    bool straight = node->a == yes && node->b == no, crossed = node->a == no && node->b == yes;
    if (node->op == TN_EXPR_OP_EQ && (straight || crossed)) return no;
    if (node->op == TN_EXPR_OP_LT && straight) return tn_expr_min(exprs, yes, no);
    if (node->op == TN_EXPR_OP_LT && crossed) return tn_expr_max(exprs, yes, no);
    if (node->lo == 0 && node->hi == 1 && tn_expr_equals(exprs, yes, 1) &&
        tn_expr_equals(exprs, no, 0))
        return condition;
    return tn_expr_make(
        exprs, &(tn_expr_node){.op = TN_EXPR_OP_SELECT, .a = condition, .b = yes, .c = no});
}

/* ---- Evaluating -------------------------------------------------------------------------------*/

/* What went wrong, or NULL. */
static const char *evaluate_pair(tn_expr_op op, int64_t a, int64_t b, int64_t *out)
{
    int64_t rest;
    bool overflow = false;
    switch (op) {
    case TN_EXPR_OP_ADD: overflow = __builtin_add_overflow(a, b, out); break;
    case TN_EXPR_OP_MUL: overflow = !tn_mul_i64(a, b, out); break;
    case TN_EXPR_OP_DIV:
        if (b == 0) return "division by zero";
        overflow = !tn_floor_div(a, b, out, &rest);
        break;
    case TN_EXPR_OP_MOD:
        if (b == 0) return "division by zero";
        if (b == -1) *out = 0; /* INT64_MIN / -1 overflows, its rest does not */
        else overflow = !tn_floor_div(a, b, &rest, out);
        break;
    case TN_EXPR_OP_MIN: *out = TN_MIN(a, b); break;
    case TN_EXPR_OP_MAX: *out = TN_MAX(a, b); break;
    case TN_EXPR_OP_BROADCAST:
        if (a != 1 && b != 1 && a != b) return "sizes that do not broadcast";
        *out = a == 1 ? b : a;
        break;
    case TN_EXPR_OP_EQ: *out = a == b; break;
    case TN_EXPR_OP_LT: *out = a < b; break;
    default: return "an unknown operator";
    }
    /* The smallest number means "unknown" in tables of values. */
    return overflow || *out == INT64_MIN ? "overflow" : NULL;
}

static tn_status fail_evaluation(const tn_exprs *exprs, tn_expr e, const char *why, int64_t a,
                                 int64_t b)
{
    tn_text text = {0};
    tn_expr_print(exprs, e, &text);
    tn_status status = TN_ERROR(TN_INVALID, "%s in %s: the operands are %lld and %lld", why,
                                text.at ? text.at : "a shape", (long long)a, (long long)b);
    tn_text_fini(&text);
    return status;
}

tn_status tn_exprs_evaluate(const tn_exprs *exprs, int64_t *values)
{
    values[0] = TN_EXPR_UNKNOWN;
    for (int64_t i = 1; i < exprs->count; i++) {
        const tn_expr_node *node = &exprs->node[i];
        int64_t a = values[node->a], b = values[node->b];
        if (node->op == TN_EXPR_OP_SYMBOL) continue;
        if (node->op == TN_EXPR_OP_CONST) {
            values[i] = node->value;
            continue;
        }
        bool a_known = a != TN_EXPR_UNKNOWN || exprs->node[node->a].op == TN_EXPR_OP_CONST;
        bool b_known = b != TN_EXPR_UNKNOWN || exprs->node[node->b].op == TN_EXPR_OP_CONST;
        values[i] = TN_EXPR_UNKNOWN;
        if (node->op == TN_EXPR_OP_SELECT) {
            if (a_known) values[i] = a ? b : values[node->c];
        } else if (a_known && b_known) {
            const char *why = evaluate_pair(node->op, a, b, &values[i]);
            if (why) return fail_evaluation(exprs, (tn_expr)i, why, a, b);
        }
    }
    return NULL;
}
