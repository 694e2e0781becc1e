/* Symbolic integers as text.
 *
 *     sum     = product { ("+" | "-") product }
 *     product = factor { ("*" | "/" | "%") factor }
 *     factor  = number | "-" factor | "?" | ["$"] name | name "(" sum { "," sum } ")" | "(" sum ")"
 *
 * A name is a word, or anything in single quotes. "$" marks a symbol that only a run finds out. */
#include <string.h>

#include "tensor/expr.h"
#include "tensor/expr_sum.h"

#define DEPTH_MAX 64   /* of parentheses, read or written */
#define PRINT_MAX 4096 /* bytes; shared operands can make text grow without bound */

static const struct {
    const char *name;
    tn_expr_op op;
    int operand_count;
} functions[] = {
    {"min", TN_EXPR_OP_MIN, 2}, {"max", TN_EXPR_OP_MAX, 2}, {"broadcast", TN_EXPR_OP_BROADCAST, 2},
    {"eq", TN_EXPR_OP_EQ, 2},   {"lt", TN_EXPR_OP_LT, 2},   {"select", TN_EXPR_OP_SELECT, 3},
};

static bool is_word_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_word_part(char c)
{
    return is_word_start(c) || (c >= '0' && c <= '9') || c == '.' || c == ':';
}

/* ---- Printing -------------------------------------------------------------------------------*/

typedef enum level { LEVEL_SUM, LEVEL_PRODUCT, LEVEL_FACTOR } level;

typedef struct printer {
    const tn_exprs *exprs;
    tn_text *out;
    size_t limit;
    int depth;
} printer;

static void print_at(printer *p, tn_expr e, level least);

static void print_name(tn_text *out, const char *name)
{
    bool word = is_word_start(name[0]);
    for (const char *c = name; *c && word; c++) word = is_word_part(*c);
    for (size_t i = 0; i < TN_COUNT(functions); i++)
        if (!strcmp(name, functions[i].name)) word = false;
    if (word) {
        tn_text_printf(out, "%s", name);
        return;
    }
    tn_text_printf(out, "'");
    for (const char *c = name; *c; c++) {
        if (*c == '\'' || *c == '\\') tn_text_printf(out, "\\%c", *c);
        else if ((unsigned char)*c < 0x20) tn_text_printf(out, "\\x%02x", (unsigned)*c);
        else tn_text_append(out, c, 1);
    }
    tn_text_printf(out, "'");
}

static void print_function(printer *p, const tn_expr_node *node)
{
    tn_expr operand[3] = {node->a, node->b, node->c};
    for (size_t i = 0; i < TN_COUNT(functions); i++) {
        if (functions[i].op != node->op) continue;
        tn_text_printf(p->out, "%s(", functions[i].name);
        for (int k = 0; k < functions[i].operand_count; k++) {
            if (k) tn_text_printf(p->out, ",");
            print_at(p, operand[k], LEVEL_SUM);
        }
        tn_text_printf(p->out, ")");
    }
}

static void print_term(printer *p, const tn_term *term, bool first)
{
    uint64_t size = term->factor < 0 ? 0 - (uint64_t)term->factor : (uint64_t)term->factor;
    bool plain = size == 1 && term->degree == 1;
    tn_text_printf(p->out, "%s", term->factor < 0 ? "-" : first ? "" : "+");
    if (size != 1 || term->degree == 0)
        tn_text_printf(p->out, "%llu%s", (unsigned long long)size, term->degree ? "*" : "");
    for (int i = 0; i < term->degree; i++) {
        if (i) tn_text_printf(p->out, "*");
        print_at(p, term->atom[i],
                 plain && (term->factor > 0 || !first) ? LEVEL_PRODUCT : LEVEL_FACTOR);
    }
}

/* An operator between two operands; what binds less than `least` gets parentheses. */
static void print_pair(printer *p, const tn_expr_node *node, const char *sign, level own,
                       level least)
{
    if (own < least) tn_text_printf(p->out, "(");
    print_at(p, node->a, own);
    tn_text_printf(p->out, "%s", sign);
    print_at(p, node->b, own == LEVEL_SUM ? LEVEL_PRODUCT : LEVEL_FACTOR);
    if (own < least) tn_text_printf(p->out, ")");
}

static void print_sum(printer *p, tn_expr e, level least)
{
    tn_sum sum;
    tn_sum_of(p->exprs, e, &sum);
    bool product = sum.count == 1 && sum.at[0].factor >= 0, number = product && !sum.at[0].degree;
    level own = sum.count == 0 || number ? LEVEL_FACTOR : product ? LEVEL_PRODUCT : LEVEL_SUM;
    if (own < least) tn_text_printf(p->out, "(");
    if (sum.count == 0) tn_text_printf(p->out, "0");
    for (int i = 0; i < sum.count; i++) print_term(p, &sum.at[i], i == 0);
    if (own < least) tn_text_printf(p->out, ")");
}

static void print_at(printer *p, tn_expr e, level least)
{
    const tn_expr_node *node = tn_expr_get(p->exprs, e);
    if (p->depth >= DEPTH_MAX / 2 || p->out->bytes > p->limit) {
        tn_text_printf(p->out, "...");
        return;
    }
    p->depth++;
    switch (node->op) {
    case TN_EXPR_OP_NONE: tn_text_printf(p->out, "?"); break;
    case TN_EXPR_OP_SYMBOL:
        if (node->value) tn_text_printf(p->out, "$");
        print_name(p->out, node->name);
        break;
    case TN_EXPR_OP_CONST: print_sum(p, e, least); break;
    case TN_EXPR_OP_ADD:
        if (node->value) print_pair(p, node, "+", LEVEL_SUM, least);
        else print_sum(p, e, least);
        break;
    case TN_EXPR_OP_MUL:
        if (node->value) print_pair(p, node, "*", LEVEL_PRODUCT, least);
        else print_sum(p, e, least);
        break;
    case TN_EXPR_OP_DIV: print_pair(p, node, "/", LEVEL_PRODUCT, least); break;
    case TN_EXPR_OP_MOD: print_pair(p, node, "%", LEVEL_PRODUCT, least); break;
    default: print_function(p, node);
    }
    p->depth--;
}

void tn_expr_print(const tn_exprs *exprs, tn_expr e, tn_text *out)
{
    printer p = {exprs, out, out->bytes + PRINT_MAX, 0};
    print_at(&p, e, LEVEL_SUM);
}

/* ---- Parsing --------------------------------------------------------------------------------*/

typedef struct parser {
    tn_exprs *exprs;
    const char *text, *at;
    int depth;
} parser;

static tn_status parse_sum(parser *p, tn_expr *out);

static bool take(parser *p, char c)
{
    while (*p->at == ' ') p->at++;
    if (*p->at != c) return false;
    p->at++;
    return true;
}

static tn_status parse_number(parser *p, bool negative, tn_expr *out)
{
    uint64_t value = 0, limit = (uint64_t)INT64_MAX + negative;
    for (; *p->at >= '0' && *p->at <= '9'; p->at++) {
        uint64_t digit = (uint64_t)(*p->at - '0');
        TN_CHECK(value <= (limit - digit) / 10, TN_INVALID, "a number too large in '%.200s'",
                 p->text);
        value = value * 10 + digit;
    }
    *out = tn_expr_const(p->exprs, (int64_t)(negative ? 0 - value : value));
    return NULL;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static tn_status parse_name(parser *p, char *name, size_t name_bytes)
{
    size_t bytes = 0;
    bool quoted = *p->at == '\'';
    if (quoted) p->at++;
    while (quoted ? *p->at && *p->at != '\'' : is_word_part(*p->at)) {
        char c = *p->at++;
        if (quoted && c == '\\') {
            c = *p->at ? *p->at++ : 0;
            if (c == 'x') {
                int high = hex_digit(p->at[0]), low = high < 0 ? -1 : hex_digit(p->at[1]);
                c = low < 0 ? 0 : (char)(high * 16 + low);
                p->at += low < 0 ? 0 : 2;
            }
        }
        TN_CHECK(c && bytes + 1 < name_bytes, TN_INVALID, "a bad or too long name in '%.200s'",
                 p->text);
        name[bytes++] = c;
    }
    name[bytes] = 0;
    TN_CHECK(!quoted || take(p, '\''), TN_INVALID, "a name without its end in '%.200s'", p->text);
    return NULL;
}

static tn_expr apply(tn_exprs *exprs, tn_expr_op op, const tn_expr *operand)
{
    switch (op) {
    case TN_EXPR_OP_MIN: return tn_expr_min(exprs, operand[0], operand[1]);
    case TN_EXPR_OP_MAX: return tn_expr_max(exprs, operand[0], operand[1]);
    case TN_EXPR_OP_BROADCAST: return tn_expr_broadcast(exprs, operand[0], operand[1]);
    case TN_EXPR_OP_EQ: return tn_expr_eq(exprs, operand[0], operand[1]);
    case TN_EXPR_OP_LT: return tn_expr_lt(exprs, operand[0], operand[1]);
    default: return tn_expr_select(exprs, operand[0], operand[1], operand[2]);
    }
}

static tn_status parse_word(parser *p, tn_expr *out)
{
    char name[256];
    bool quoted = *p->at == '\'';
    TN_TRY(parse_name(p, name, sizeof name));
    if (quoted || !take(p, '(')) {
        *out = tn_expr_symbol(p->exprs, name);
        return NULL;
    }
    for (size_t i = 0; i < TN_COUNT(functions); i++) {
        tn_expr operand[3] = {0};
        if (strcmp(name, functions[i].name)) continue;
        for (int k = 0; k < functions[i].operand_count; k++) {
            TN_CHECK(k == 0 || take(p, ','), TN_INVALID, "%s takes %d operands in '%.200s'", name,
                     functions[i].operand_count, p->text);
            TN_TRY(parse_sum(p, &operand[k]));
        }
        TN_CHECK(take(p, ')'), TN_INVALID, "')' is missing in '%.200s'", p->text);
        *out = apply(p->exprs, functions[i].op, operand);
        return NULL;
    }
    TN_FAIL(TN_INVALID, "'%.100s' is not a function, in '%.200s'", name, p->text);
}

static tn_status parse_factor(parser *p, tn_expr *out)
{
    bool negative = take(p, '-');
    while (*p->at == ' ') p->at++;
    if (*p->at >= '0' && *p->at <= '9') {
        TN_TRY(parse_number(p, negative, out));
        return NULL;
    }
    TN_CHECK(p->depth < DEPTH_MAX, TN_INVALID, "'%.200s' is nested too deeply", p->text);
    p->depth++;
    if (negative) {
        TN_TRY(parse_factor(p, out));
        *out = tn_expr_mul(p->exprs, tn_expr_const(p->exprs, -1), *out);
    } else if (take(p, '(')) {
        TN_TRY(parse_sum(p, out));
        TN_CHECK(take(p, ')'), TN_INVALID, "')' is missing in '%.200s'", p->text);
    } else if (take(p, '?')) {
        *out = TN_EXPR_NONE;
    } else if (take(p, '$')) {
        char name[256];
        TN_TRY(parse_name(p, name, sizeof name));
        TN_CHECK(name[0], TN_INVALID, "a name is missing after '$' in '%.200s'", p->text);
        *out = tn_expr_runtime_symbol(p->exprs, name);
    } else {
        TN_CHECK(is_word_start(*p->at) || *p->at == '\'', TN_INVALID,
                 "'%.200s' is not an expression: cannot read on at '%.40s'", p->text, p->at);
        TN_TRY(parse_word(p, out));
    }
    p->depth--;
    return NULL;
}

static tn_status parse_product(parser *p, tn_expr *out)
{
    TN_TRY(parse_factor(p, out));
    for (;;) {
        tn_expr right;
        char sign = take(p, '*') ? '*' : take(p, '/') ? '/' : take(p, '%') ? '%' : 0;
        if (!sign) return NULL;
        TN_TRY(parse_factor(p, &right));
        *out = sign == '*'   ? tn_expr_mul(p->exprs, *out, right)
               : sign == '/' ? tn_expr_div(p->exprs, *out, right)
                             : tn_expr_mod(p->exprs, *out, right);
    }
}

static tn_status parse_sum(parser *p, tn_expr *out)
{
    TN_TRY(parse_product(p, out));
    for (;;) {
        tn_expr right;
        char sign = take(p, '+') ? '+' : take(p, '-') ? '-' : 0;
        if (!sign) return NULL;
        TN_TRY(parse_product(p, &right));
        *out =
            sign == '+' ? tn_expr_add(p->exprs, *out, right) : tn_expr_sub(p->exprs, *out, right);
    }
}

tn_status tn_expr_parse(tn_exprs *exprs, const char *text, tn_expr *out)
{
    parser p = {exprs, text, text, 0};
    *out = TN_EXPR_NONE;
    TN_TRY(parse_sum(&p, out));
    while (*p.at == ' ') p.at++;
    TN_CHECK(!*p.at, TN_INVALID, "'%.200s' is not an expression: cannot read on at '%.40s'", text,
             p.at);
    TN_TRY(tn_exprs_check(exprs));
    return NULL;
}
