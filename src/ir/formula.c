/* Formulas of drafts: a recursive descent over the text, each rule giving a value or a number.
 * Numbers among themselves are computed here; one that meets a value becomes a scalar constant. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "ir/draft.h"
#include "tensor/tensor.h"

enum { DEPTH_MAX = 32, ARGUMENTS_MAX = 6 };

typedef struct operand {
    tn_value *value; /* NULL: a number */
    double number;
} operand;

typedef struct parser {
    tn_draft *draft;
    const char *name, *text, *at;
    tn_dtype dtype;
    const tn_named *named;
    int named_count, depth;
} parser;

static operand parse_choice(parser *p);

static void fail(parser *p, const char *what)
{
    if (p->draft->failed) return;
    tn_draft_try(p->draft, TN_ERROR(TN_INTERNAL, "the formula \"%s\": %s at \"%.20s\"", p->text,
                                    what, p->at));
}

static bool take(parser *p, const char *word)
{
    size_t bytes = strlen(word);
    while (*p->at == ' ') p->at++;
    if (strncmp(p->at, word, bytes)) return false;
    p->at += bytes;
    return true;
}

static tn_value *value_of(parser *p, operand a)
{
    return a.value ? a.value : tn_draft_scalar(p->draft, p->dtype, a.number);
}

static operand combine(parser *p, const char *op, operand a, operand b)
{
    if (!a.value && !b.value) {
        if (!strcmp(op, "Add")) return (operand){.number = a.number + b.number};
        if (!strcmp(op, "Sub")) return (operand){.number = a.number - b.number};
        if (!strcmp(op, "Mul")) return (operand){.number = a.number * b.number};
        if (!strcmp(op, "Div")) return (operand){.number = a.number / b.number};
    }
    tn_value *left = value_of(p, a), *right = value_of(p, b);
    return (operand){.value = tn_draft_op(p->draft, op, p->name, TN_IN(left, right), TN_PLAIN)};
}

static operand parse_call(parser *p, const char *word)
{
    tn_value *in[ARGUMENTS_MAX];
    int count = 0;
    do {
        if (count == ARGUMENTS_MAX) {
            fail(p, "too many arguments");
            break;
        }
        in[count++] = value_of(p, parse_choice(p));
    } while (take(p, ","));
    if (!take(p, ")")) fail(p, "expected )");
    return (operand){.value = tn_draft_op(p->draft, word, p->name, in, count, TN_PLAIN)};
}

static operand parse_word(parser *p)
{
    char word[64];
    int length = 0;
    while (isalnum((unsigned char)p->at[length]) || p->at[length] == '_') length++;
    snprintf(word, sizeof(word), "%.*s", length, p->at);
    p->at += length;
    if (take(p, "(")) return parse_call(p, word);
    for (int i = 0; i < p->named_count; i++)
        if (!strcmp(p->named[i].name, word))
            return (operand){.value = p->named[i].value, .number = p->named[i].number};
    fail(p, "an unknown name before this");
    return (operand){0};
}

static operand parse_factor(parser *p)
{
    operand out = {0};
    if (p->draft->failed) return out;
    if (++p->depth > DEPTH_MAX) {
        fail(p, "nested too deeply");
    } else if (take(p, "-")) {
        out = parse_factor(p);
        if (out.value)
            out.value = tn_draft_op(p->draft, "Neg", p->name, TN_IN(out.value), TN_PLAIN);
        out.number = -out.number;
    } else if (take(p, "(")) {
        out = parse_choice(p);
        if (!take(p, ")")) fail(p, "expected )");
    } else if (isalpha((unsigned char)*p->at)) {
        out = parse_word(p);
    } else if (!tn_number_parse(&p->at, &out.number)) {
        fail(p, "expected a number");
    }
    p->depth--;
    return out;
}

static operand parse_product(parser *p)
{
    operand a = parse_factor(p);
    while (!p->draft->failed) {
        if (take(p, "*")) a = combine(p, "Mul", a, parse_factor(p));
        else if (take(p, "/")) a = combine(p, "Div", a, parse_factor(p));
        else break;
    }
    return a;
}

static operand parse_sum(parser *p)
{
    operand a = parse_product(p);
    while (!p->draft->failed) {
        if (take(p, "+")) a = combine(p, "Add", a, parse_product(p));
        else if (take(p, "-")) a = combine(p, "Sub", a, parse_product(p));
        else break;
    }
    return a;
}

static operand parse_choice(parser *p)
{
    static const struct {
        const char *sign, *op;
    } comparisons[] = {{">=", "GreaterOrEqual"},
                       {"<=", "LessOrEqual"},
                       {">", "Greater"},
                       {"<", "Less"},
                       {"==", "Equal"}};
    operand a = parse_sum(p);
    for (size_t i = 0; i < TN_COUNT(comparisons); i++) {
        if (!take(p, comparisons[i].sign)) continue;
        a = combine(p, comparisons[i].op, a, parse_sum(p));
        break;
    }
    if (!take(p, "?")) return a;
    tn_value *yes = value_of(p, parse_choice(p));
    if (!take(p, ":")) fail(p, "expected :");
    tn_value *no = value_of(p, parse_choice(p));
    return (operand){
        .value = tn_draft_op(p->draft, "Where", p->name, TN_IN(a.value, yes, no), TN_PLAIN)};
}

tn_value *tn_draft_formula(tn_draft *draft, const char *name, const char *text, tn_dtype dtype,
                           const tn_named *named, int named_count)
{
    parser p = {.draft = draft,
                .name = name,
                .text = text,
                .at = text,
                .dtype = dtype,
                .named = named,
                .named_count = named_count};
    operand out = parse_choice(&p);
    take(&p, "");
    if (*p.at) fail(&p, "something is left over");
    tn_value *value = value_of(&p, out);
    return draft->failed ? NULL : value;
}
