/* Einsum: products of elements, summed over the labels that the output does not name.
 *
 *     "ij,jk->ik"   every axis gets a label; the same label walks together, twice in one operand
 *     "...ij->...ji" takes the diagonal; "..." stands for the axes in front, which broadcast;
 *     "ij,jk"       without "->" the output has the labels seen once, in alphabetical order */
#include "ops/einsum/einsum.h"

#include <string.h>

#include "ir/op.h"

#define OPERANDS_MAX 8
#define LETTERS 52
#define LABELS (LETTERS + TN_RANK_MAX) /* after the letters: axes of "...", from the last one */

static const tn_field fields[] = {{.name = "equation",
                                   .kind = TN_FIELD_CHARS,
                                   .offset = offsetof(tn_einsum_params, equation),
                                   .required = true}};
static const tn_port ins[] = {{"Inputs", TN_DTS_NUMBER, 'T', TN_PORT_VARIADIC}};
static const tn_port outs[] = {{"Output", TN_DTS_NUMBER, 'T', 0}};

typedef struct einsum {
    int operand_count;
    int rank[OPERANDS_MAX];
    int label[OPERANDS_MAX][TN_RANK_MAX]; /* of each axis */
    int uses[LABELS];
    int dots; /* the most axes that "..." stands for */
    int out_rank;
    int out[TN_RANK_MAX];
} einsum;

static int label_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    return c >= 'a' && c <= 'z' ? c - 'a' + 26 : -1;
}

/* One term, "a...b": labels of `rank` axes; rank -1: as many as it has, dots standing for `dots`.
 */
static tn_status parse_term(const char *text, size_t bytes, int *rank, int dots, int *label)
{
    int letters = 0, count = 0, dot_count = 0;
    for (size_t i = 0; i < bytes; i++) {
        letters += label_of(text[i]) >= 0;
        dot_count += text[i] == '.';
    }
    TN_CHECK(dot_count == 0 || dot_count == 3, TN_INVALID, "\"%.*s\" is not a term", (int)bytes,
             text);
    if (*rank >= 0) dots = *rank - letters;
    if (dot_count == 0) dots = *rank >= 0 ? dots : 0;
    TN_CHECK(dots >= 0 && (dot_count || dots == 0) && letters + dots <= TN_RANK_MAX, TN_INVALID,
             "the term \"%.*s\" does not fit a tensor of rank %d", (int)bytes, text, *rank);
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == ' ') continue;
        if (text[i] != '.') {
            TN_CHECK(label_of(text[i]) >= 0, TN_INVALID, "'%c' is no label", text[i]);
            label[count++] = label_of(text[i]);
            continue;
        }
        TN_CHECK(i + 2 < bytes && text[i + 1] == '.' && text[i + 2] == '.', TN_INVALID,
                 "\"%.*s\" has dots that are not \"...\"", (int)bytes, text);
        for (int k = dots; k > 0; k--) label[count++] = LETTERS + k - 1;
        i += 2;
    }
    *rank = count;
    return NULL;
}

static tn_status set_implied_output(einsum *e)
{
    e->out_rank = 0;
    for (int k = e->dots; k > 0; k--) e->out[e->out_rank++] = LETTERS + k - 1;
    for (int label = 0; label < LETTERS; label++) {
        if (e->uses[label] != 1) continue;
        TN_CHECK(e->out_rank < TN_RANK_MAX, TN_UNSUPPORTED, "the output has more than %d axes",
                 TN_RANK_MAX);
        e->out[e->out_rank++] = label;
    }
    return NULL;
}

static tn_status set_output(einsum *e, const char *text)
{
    bool seen[LABELS] = {false};
    e->out_rank = -1;
    TN_TRY(parse_term(text, strlen(text), &e->out_rank, e->dots, e->out));
    for (int k = 0; k < e->out_rank; k++) {
        TN_CHECK(e->uses[e->out[k]] > 0 && !seen[e->out[k]], TN_INVALID,
                 "the output \"%s\" repeats a label, or has one that no input has", text);
        seen[e->out[k]] = true;
    }
    return NULL;
}

/* e->operand_count and e->rank are given. */
static tn_status parse(const char *equation, einsum *e)
{
    const char *arrow = strstr(equation, "->"), *at = equation;
    const char *end = arrow ? arrow : equation + strlen(equation);
    for (int k = 0; k < e->operand_count; k++) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        TN_CHECK((comma != NULL) == (k + 1 < e->operand_count), TN_INVALID,
                 "\"%s\" does not have as many terms as there are inputs (%d)", equation,
                 e->operand_count);
        size_t bytes = (size_t)((comma ? comma : end) - at);
        TN_TRY(parse_term(at, bytes, &e->rank[k], 0, e->label[k]));
        for (int axis = 0; axis < e->rank[k]; axis++) {
            int label = e->label[k][axis];
            e->uses[label]++;
            if (label >= LETTERS && label - LETTERS + 1 > e->dots) e->dots = label - LETTERS + 1;
        }
        at = comma ? comma + 1 : end;
    }
    return arrow ? set_output(e, arrow + 2) : set_implied_output(e);
}

static tn_status infer(tn_infer *f)
{
    const tn_einsum_params *params = f->params;
    einsum e = {.operand_count = f->in_count};
    tn_expr size[LABELS] = {0}, dim[TN_RANK_MAX];
    TN_CHECK(f->in_count <= OPERANDS_MAX, TN_UNSUPPORTED, "%d inputs, at most %d are possible",
             f->in_count, OPERANDS_MAX);
    for (int k = 0; k < f->in_count; k++) {
        e.rank[k] = f->in[k].rank;
        if (e.rank[k] >= 0) continue;
        tn_infer_set(f, 0, f->in[0].dtype, -1, NULL);
        return NULL;
    }
    TN_TRY(parse(params->equation.at, &e));
    for (int k = 0; k < f->in_count; k++) {
        for (int axis = 0; axis < e.rank[k]; axis++) {
            tn_expr *at = &size[e.label[k][axis]], given = f->in[k].dim[axis];
            *at = *at == TN_EXPR_NONE ? given : tn_expr_broadcast(f->exprs, *at, given);
        }
    }
    for (int axis = 0; axis < e.out_rank; axis++) dim[axis] = size[e.out[axis]];
    tn_infer_set(f, 0, f->in[0].dtype, e.out_rank, dim);
    return NULL;
}

/* All labels as one index, those of the output first: the output's element moves on when the summed
 * ones have gone round. */
typedef struct einsum_loop {
    int count, out_count;
    int64_t dim[LABELS], index[LABELS], step[OPERANDS_MAX][LABELS];
    int64_t at[OPERANDS_MAX], summed; /* summed: how many products an output element has */
} einsum_loop;

static tn_status make_loop(const tn_problem *p, const einsum *e, einsum_loop *loop)
{
    int place[LABELS];
    *loop = (einsum_loop){.out_count = e->out_rank, .summed = 1};
    for (int label = 0; label < LABELS; label++) place[label] = -1;
    for (int axis = 0; axis < e->out_rank; axis++) place[e->out[axis]] = loop->count++;
    for (int label = 0; label < LABELS; label++)
        if (e->uses[label] && place[label] < 0) place[label] = loop->count++;
    for (int k = 0; k < loop->count; k++) loop->dim[k] = 1;
    for (int k = 0; k < e->operand_count; k++) {
        int64_t step = 1;
        for (int axis = e->rank[k] - 1; axis >= 0; axis--) {
            int at = place[e->label[k][axis]];
            int64_t dim = p->in[k].dim[axis];
            TN_CHECK(dim == loop->dim[at] || dim == 1 || loop->dim[at] == 1, TN_INVALID,
                     "two axes of one label have %lld and %lld elements", (long long)loop->dim[at],
                     (long long)dim);
            if (dim != 1) {
                loop->dim[at] = dim;
                loop->step[k][at] += step;
            }
            step *= dim;
        }
    }
    bool empty = false;
    for (int k = loop->out_count; k < loop->count; k++) empty = empty || loop->dim[k] == 0;
    for (int k = loop->out_count; !empty && k < loop->count; k++)
        TN_CHECK(tn_mul_i64(loop->summed, loop->dim[k], &loop->summed), TN_INVALID,
                 "more than 2^63 products for one element");
    if (empty) loop->summed = 0;
    return NULL;
}

static void advance(einsum_loop *loop, int operand_count)
{
    for (int k = loop->count - 1; k >= 0; k--) {
        for (int o = 0; o < operand_count; o++) loop->at[o] += loop->step[o][k];
        if (++loop->index[k] < loop->dim[k]) return;
        for (int o = 0; o < operand_count; o++) loop->at[o] -= loop->step[o][k] * loop->dim[k];
        loop->index[k] = 0;
    }
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_einsum_params *params = p->params;
    const tn_tensor *y = &p->out[0];
    bool floats = tn_dtype_kind_of(y->dtype) == TN_KIND_F;
    einsum e = {.operand_count = p->in_count};
    einsum_loop loop;
    for (int k = 0; k < p->in_count; k++) e.rank[k] = p->in[k].rank;
    TN_TRY(parse(params->equation.at, &e));
    TN_TRY(make_loop(p, &e, &loop));
    for (int64_t at = 0; at < tn_tensor_count(y); at++) {
        double sum = 0;
        uint64_t whole = 0;
        for (int64_t i = 0; i < loop.summed; i++, advance(&loop, p->in_count)) {
            double product = 1;
            uint64_t whole_product = 1;
            for (int k = 0; k < p->in_count; k++) {
                const tn_tensor *x = &p->in[k];
                if (floats) product *= tn_load_f64(x->dtype, x->data, loop.at[k]);
                else whole_product *= (uint64_t)tn_load_i64(x->dtype, x->data, loop.at[k]);
            }
            sum += product;
            whole += whole_product;
        }
        if (floats) tn_store_f64(y->dtype, y->data, at, sum);
        else tn_store_i64(y->dtype, y->data, at, (int64_t)whole);
    }
    return NULL;
}

extern const tn_case tn_einsum_cases[];

const tn_op tn_op_einsum = {
    .name = "Einsum",
    .since = 12,
    .about = "products of elements by labels of axes, summed over labels that the output lacks",
    .in = ins,
    .in_count = 1,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_einsum_params),
    .infer = infer,
    .reference = reference,
    .cases = tn_einsum_cases,
};
