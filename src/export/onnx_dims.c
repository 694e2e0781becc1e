/* tenon.Dims in words of ONNX. A Dims node holds expressions over the dims of the graph's inputs:
 *
 *     Dims{dims=["batch", "seq/2", "12"]}
 *         = Concat(Shape{start=0, end=1}(x), Div(Shape{start=1, end=2}(x), [2]), [12])
 *
 * All parts are vectors of one element and stand before the first node, each made once. */
#include <string.h>

#include "export/onnx_spell.h"
#include "tensor/expr_sum.h"

#define DEPTH_MAX 100 /* of operators in an expression; print and parse allow for less */

typedef struct arithmetic {
    tn_speller s;
    tn_arena *arena;
    int64_t count;
    tn_value **made;   /* by expression: its value as a vector of one element */
    tn_value **source; /* by expression: the input whose dim it is */
    int32_t *axis;
    tn_map shapes; /* input name -> its whole shape */
} arithmetic;

static bool is_dims(const tn_node *node)
{
    return node->op->domain && !strcmp(node->op->domain, "tenon") &&
           !strcmp(node->op->name, "Dims");
}

/* ---- Arithmetic ------------------------------------------------------------------------------*/

static tn_value *make_number(arithmetic *a, int64_t number)
{
    return tn_spell_ints(&a->s, &number, 1);
}

/* Dims [begin, end) of a value. */
static tn_value *make_dims(arithmetic *a, tn_value *of, int64_t begin, int64_t end)
{
    if (a->s.opset >= 15) {
        tn_value *out = NULL;
        if (a->s.status) return NULL;
        tn_node *node;
        a->s.status = tn_graph_add_node(a->s.graph, tn_op_find(NULL, "Shape"), "", &of, 1, NULL, 1,
                                        a->s.before, &node);
        if (!a->s.status && begin) a->s.status = tn_node_set_int(node, "start", begin);
        if (!a->s.status && end < of->type.rank) a->s.status = tn_node_set_int(node, "end", end);
        if (!a->s.status) a->s.status = tn_node_lower(node);
        if (!a->s.status) a->s.status = tn_node_infer(node);
        if (!a->s.status) out = node->out[0];
        return out;
    }
    tn_value *shape = tn_map_find(&a->shapes, of->name);
    if (!shape) {
        shape = tn_spell1(&a->s, "Shape", of);
        if (!a->s.status) a->s.status = tn_map_put(&a->shapes, of->name, shape);
    }
    if (!begin && end == of->type.rank) return shape;
    tn_value *in[] = {shape, make_number(a, begin), make_number(a, end), make_number(a, 0)};
    return tn_spell_node(&a->s, "Slice", in, 4, NULL);
}

static tn_value *make_expr(arithmetic *a, tn_expr e, int depth);

static tn_value *make_term(arithmetic *a, const tn_term *term, int64_t factor, int depth)
{
    tn_value *product = NULL;
    for (int i = 0; i < term->degree; i++) {
        tn_value *value = make_expr(a, term->atom[i], depth);
        product = product ? tn_spell2(&a->s, "Mul", product, value) : value;
    }
    if (!product) return make_number(a, factor);
    return factor == 1 ? product : tn_spell2(&a->s, "Mul", product, make_number(a, factor));
}

static tn_value *make_sum(arithmetic *a, const tn_sum *sum, int depth)
{
    tn_value *total = NULL;
    if (!sum->count) return make_number(a, 0);
    for (int i = 0; i < sum->count; i++) {
        const tn_term *term = &sum->at[i];
        bool minus = total && term->factor < 0 && term->factor != INT64_MIN;
        tn_value *value = make_term(a, term, minus ? -term->factor : term->factor, depth);
        total = total ? tn_spell2(&a->s, minus ? "Sub" : "Add", total, value) : value;
    }
    return total;
}

static tn_value *make_choice(arithmetic *a, tn_value *condition, tn_value *yes, tn_value *no)
{
    return tn_spell_node(&a->s, "Where", (tn_value *[]){condition, yes, no}, 3, NULL);
}

/* ONNX divides toward zero, expressions toward minus infinity. */
static tn_value *make_quotient(arithmetic *a, const tn_expr_node *node, tn_value *x, tn_value *y)
{
    const tn_exprs *exprs = a->s.graph->exprs;
    bool plain = tn_expr_at_least(exprs, node->a, 0) && tn_expr_at_least(exprs, node->b, 0);
    if (!plain) x = tn_spell2(&a->s, "Sub", x, tn_spell2(&a->s, "Mod", x, y));
    return tn_spell2(&a->s, "Div", x, y);
}

static tn_value *make_atom(arithmetic *a, tn_expr e, int depth)
{
    const tn_expr_node node = *tn_expr_get(a->s.graph->exprs, e);
    if (node.op == TN_EXPR_OP_SYMBOL) {
        if (e < a->count && a->source[e])
            return make_dims(a, a->source[e], a->axis[e], a->axis[e] + 1);
        if (!a->s.status)
            a->s.status =
                TN_ERROR(TN_UNSUPPORTED, "the size '%s' is no dim of an input", node.name);
        return NULL;
    }
    tn_value *x = make_expr(a, node.a, depth), *y = make_expr(a, node.b, depth);
    switch (node.op) {
    case TN_EXPR_OP_ADD: return tn_spell2(&a->s, "Add", x, y);
    case TN_EXPR_OP_MUL: return tn_spell2(&a->s, "Mul", x, y);
    case TN_EXPR_OP_DIV: return make_quotient(a, &node, x, y);
    case TN_EXPR_OP_MOD: return tn_spell2(&a->s, "Mod", x, y);
    case TN_EXPR_OP_MIN: return tn_spell2(&a->s, "Min", x, y);
    case TN_EXPR_OP_MAX: return tn_spell2(&a->s, "Max", x, y);
    case TN_EXPR_OP_BROADCAST:
        return make_choice(a, tn_spell2(&a->s, "Equal", x, make_number(a, 1)), y, x);
    case TN_EXPR_OP_EQ: return tn_spell_cast(&a->s, tn_spell2(&a->s, "Equal", x, y), TN_DTYPE_I64);
    case TN_EXPR_OP_LT: return tn_spell_cast(&a->s, tn_spell2(&a->s, "Less", x, y), TN_DTYPE_I64);
    case TN_EXPR_OP_SELECT: {
        tn_value *no = make_expr(a, node.c, depth);
        return make_choice(a, tn_spell_cast(&a->s, x, TN_DTYPE_BOOL), y, no);
    }
    default: break;
    }
    if (!a->s.status) a->s.status = TN_ERROR(TN_INTERNAL, "a size that is not known is asked for");
    return NULL;
}

/* tn_spell_cast looks at its operand, so a failed one must not reach it: every step asks first. */
static tn_value *make_expr(arithmetic *a, tn_expr e, int depth)
{
    int64_t number;
    tn_sum sum;
    if (!a->s.status && depth > DEPTH_MAX)
        a->s.status =
            TN_ERROR(TN_UNSUPPORTED, "an expression is nested more than %d deep", DEPTH_MAX);
    if (a->s.status) return NULL;
    if (tn_expr_is_const(a->s.graph->exprs, e, &number)) return make_number(a, number);
    if (e < a->count && a->made[e]) return a->made[e];
    tn_sum_of(a->s.graph->exprs, e, &sum);
    bool atom =
        sum.count == 1 && sum.at[0].factor == 1 && sum.at[0].degree == 1 && sum.at[0].atom[0] == e;
    tn_value *value = atom ? make_atom(a, e, depth + 1) : make_sum(a, &sum, depth + 1);
    if (e < a->count) a->made[e] = value;
    return value;
}

/* ---- Vectors ---------------------------------------------------------------------------------*/

/* How many of the expressions from `at` on are consecutive dims of the input that has the first. */
static int64_t count_run(const arithmetic *a, const tn_expr *at, int64_t count)
{
    const tn_value *source = at[0] < a->count ? a->source[at[0]] : NULL;
    int64_t run = 0;
    if (!source) return 0;
    while (run < count && a->axis[at[0]] + run < source->type.rank &&
           source->type.dim[a->axis[at[0]] + run] == at[run])
        run++;
    return run;
}

static tn_value *make_vector(arithmetic *a, const tn_expr *at, int64_t count)
{
    tn_value *part[TN_KNOWN_MAX], *vector;
    int part_count = 0;
    int64_t numbers[TN_KNOWN_MAX], number_count = 0;
    for (int64_t i = 0; i <= count;) {
        int64_t number = 0, run = 0;
        bool is_number = i < count && tn_expr_is_const(a->s.graph->exprs, at[i], &number);
        if (!is_number && number_count) {
            part[part_count++] = tn_spell_ints(&a->s, numbers, number_count);
            number_count = 0;
        }
        if (i == count) break;
        if (is_number) {
            numbers[number_count++] = number;
            i++;
            continue;
        }
        run = count_run(a, &at[i], count - i);
        part[part_count++] =
            run > 1 ? make_dims(a, a->source[at[i]], a->axis[at[i]], a->axis[at[i]] + run)
                    : make_expr(a, at[i], 0);
        i += TN_MAX(run, INT64_C(1));
    }
    if (a->s.status || part_count == 1) return part[0];
    const tn_attr axis = {.name = "axis", .kind = TN_ATTR_INT, .i = 0};
    vector = tn_spell_node(&a->s, "Concat", part, part_count, &axis);
    return vector;
}

static tn_status replace_dims(arithmetic *a, tn_node *node)
{
    tn_value *out = node->out[0], *value;
    TN_CHECK(out->known.at, TN_INTERNAL, "the sizes of tenon.Dims giving '%s' are not known",
             out->name);
    if (!out->known.count) value = tn_spell_ints(&a->s, NULL, 0);
    else value = make_vector(a, out->known.at, out->known.count);
    if (!a->s.status && out->type.rank == 0) value = tn_spell1(&a->s, "Squeeze", value);
    TN_TRY(a->s.status);
    TN_TRY(tn_value_replace(out, value));
    tn_node_remove(node);
    return NULL;
}

/* Of several inputs with a dim the first that the graph reads is asked. */
static void find_sources(arithmetic *a)
{
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < a->s.graph->input_count; i++) {
            tn_value *input = a->s.graph->input[i];
            if (!pass && !tn_value_has_users(input)) continue;
            for (int axis = 0; axis < input->type.rank; axis++) {
                tn_expr e = input->type.dim[axis];
                if (tn_expr_get(a->s.graph->exprs, e)->op != TN_EXPR_OP_SYMBOL || a->source[e])
                    continue;
                a->source[e] = input;
                a->axis[e] = axis;
            }
        }
}

static tn_status spell_all(tn_graph *graph, int64_t opset, tn_arena *arena)
{
    arithmetic a = {.s = {.graph = graph, .before = graph->first, .opset = opset},
                    .arena = arena,
                    .count = graph->exprs->count};
    a.made = TN_NEW_ARRAY(arena, tn_value *, a.count);
    a.source = TN_NEW_ARRAY(arena, tn_value *, a.count);
    a.axis = TN_NEW_ARRAY(arena, int32_t, a.count);
    TN_CHECK(a.made && a.source && a.axis, TN_OUT_OF_MEMORY, "no memory to spell shapes");
    tn_map_init(&a.shapes, arena);
    find_sources(&a);
    tn_node *next;
    for (tn_node *node = graph->first; node; node = next) {
        next = node->next;
        if (!is_dims(node)) continue;
        /* The first node must stay where it is, as the place before which parts are put. */
        if (node == a.s.before) a.s.before = next;
        TN_TRY(replace_dims(&a, node));
    }
    return NULL;
}

tn_status tn_onnx_spell_dims(tn_graph *graph, int64_t opset)
{
    tn_arena arena;
    tn_node *before;
    for (tn_node *node = graph->last; node; node = before) {
        before = node->prev;
        if (is_dims(node) && !tn_value_has_users(node->out[0])) tn_node_remove(node);
    }
    tn_arena_init(&arena);
    tn_status status = spell_all(graph, opset, &arena);
    tn_arena_fini(&arena);
    return status;
}
