/* StringNormalizer-10: stop words are left out, the other strings are written in one case. If no
 * string is left, the output is one empty string.
 *
 * Case is that of ops/letters.h (Latin, Greek, Cyrillic) whatever the attribute `locale` says. The
 * stop words are an input behind X (ops/tables.h). */
#include "ops/string_normalizer/string_normalizer.h"

#include "ops/letters.h"
#include "ops/moving.h"
#include "ops/tables.h"

enum { X, STOP_WORDS };

static const tn_field fields[] = {
    TN_ENUM(tn_string_normalizer_params, case_change_action, TN_CASE_NONE, "NONE|LOWER|UPPER"),
    TN_INT(tn_string_normalizer_params, is_case_sensitive, 0),
};
static const tn_port ins[] = {
    {"X", TN_DT(STRING), 0, 0},
    {"stopwords", TN_DT(STRING), 0, TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"Y", TN_DT(STRING), 0, 0}};

/* The next character of `text`, small if `fold`; a byte that is none stays itself, above all
 * others. */
static uint32_t take(const tn_string *text, size_t *at, bool fold)
{
    uint32_t rune;
    uint8_t byte = (uint8_t)text->text[*at];
    *at += tn_utf8_next(text->text + *at, text->bytes - *at, &rune);
    if (rune == TN_RUNE_BAD) return TN_RUNE_LAST + 1 + byte;
    return fold ? tn_letter_lower(rune) : rune;
}

static bool same(const tn_string *a, const tn_string *b, bool fold)
{
    size_t i = 0, k = 0;
    while (i < a->bytes && k < b->bytes)
        if (take(a, &i, fold) != take(b, &k, fold)) return false;
    return i == a->bytes && k == b->bytes;
}

static bool is_kept(const tn_string_normalizer_params *params, const tn_string *x,
                    const tn_tensor *stop)
{
    for (int64_t i = 0; stop && i < tn_tensor_count(stop); i++)
        if (same(x, (const tn_string *)stop->data + i, !params->is_case_sensitive)) return false;
    return true;
}

static int64_t count_kept(const tn_string_normalizer_params *params, const tn_tensor *x,
                          const tn_tensor *stop)
{
    int64_t count = 0;
    for (int64_t i = 0; i < tn_tensor_count(x); i++)
        count += is_kept(params, (const tn_string *)x->data + i, stop);
    return count;
}

static tn_status infer(tn_infer *f)
{
    const tn_type *x = &f->in[X];
    bool has_stop = tn_infer_has(f, STOP_WORDS);
    const tn_tensor *data = &f->data[X], *stop = has_stop ? &f->data[STOP_WORDS] : NULL;
    tn_expr dim[2];
    char text[128];
    int64_t rows;
    bool fits = x->rank < 0 || x->rank == 1 ||
                (x->rank == 2 && (!tn_expr_is_const(f->exprs, x->dim[0], &rows) || rows == 1));
    TN_CHECK(fits, TN_INVALID, "X must be [C] or [1,C]: it is %s",
             tn_type_text(f->exprs, x, text, sizeof(text)));
    if (!has_stop || x->rank < 0) {
        tn_infer_same(f, 0, X);
        return NULL;
    }
    bool known = (data->data || !tn_tensor_count(data)) && data->dtype &&
                 (stop->data || !tn_tensor_count(stop)) && stop->dtype;
    dim[0] = x->dim[0];
    dim[x->rank - 1] = known ? tn_expr_const(f->exprs, TN_MAX(count_kept(f->params, data, stop), 1))
                             : tn_infer_fresh(f);
    tn_infer_set(f, 0, TN_DTYPE_STRING, x->rank, dim);
    return NULL;
}

/* A letter in another case may take more bytes, but no more than 4. */
static tn_status change_case(tn_string *x, bool up, tn_arena *arena)
{
    size_t room = 0, at = 0, bytes = 0;
    uint32_t rune;
    if (x->bytes == 0) return NULL;
    TN_CHECK(tn_mul_size(x->bytes, 4, &room), TN_OUT_OF_MEMORY, "a string of %zu bytes", x->bytes);
    char *text = tn_arena_alloc(arena, room);
    TN_CHECK(text, TN_OUT_OF_MEMORY, "no memory for a string of %zu bytes", x->bytes);
    while (at < x->bytes) {
        char byte = x->text[at];
        at += tn_utf8_next(x->text + at, x->bytes - at, &rune);
        if (rune == TN_RUNE_BAD) text[bytes++] = byte;
        else bytes += tn_utf8_put(up ? tn_letter_upper(rune) : tn_letter_lower(rune), text + bytes);
    }
    *x = (tn_string){text, bytes};
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_string_normalizer_params *params = p->params;
    const tn_tensor *x = &p->in[X], *y = &p->out[0];
    const tn_tensor *stop =
        p->in_count > STOP_WORDS && p->in[STOP_WORDS].dtype ? &p->in[STOP_WORDS] : NULL;
    int64_t kept = stop ? count_kept(params, x, stop) : tn_tensor_count(x), at = 0;
    tn_string *out = y->data;
    TN_CHECK(x->rank == 1 || (x->rank == 2 && x->dim[0] == 1), TN_INVALID,
             "X must be [C] or [1,C]");
    TN_CHECK(l->text || params->case_change_action == TN_CASE_NONE, TN_UNSUPPORTED,
             "this run has no memory for new strings");
    TN_TRY(tn_check_count(y, stop ? TN_MAX(kept, (int64_t)1) : kept));
    if (stop && kept == 0) out[0] = (tn_string){"", 0};
    for (int64_t i = 0; i < tn_tensor_count(x); i++) {
        tn_string word = ((const tn_string *)x->data)[i];
        if (!is_kept(params, &word, stop)) continue;
        if (params->case_change_action != TN_CASE_NONE)
            TN_TRY(change_case(&word, params->case_change_action == TN_CASE_UPPER, l->text));
        out[at++] = word;
    }
    return NULL;
}

static tn_status upgrade_tables(tn_graph *graph, tn_node *node)
{
    tn_node_remove_attr(node, "locale");
    return tn_table_move(graph, node, "stopwords", STOP_WORDS);
}

static tn_status restore(tn_node *node)
{
    return tn_table_restore(node, STOP_WORDS, NULL, NULL, "stopwords");
}

static const tn_case cases[] = {
    {.problem = "StringNormalizer{case_change_action=UPPER} string[3]={\"Mon\",\"tue\",\"\"} "
                "string[1]={\"mON\"}",
     .expect = "string[2]={\"TUE\",\"\"}"},
    {.problem = "StringNormalizer{is_case_sensitive=1} string[1,3]={\"Mon\",\"mon\",\"\"} "
                "string[2]={\"mon\",\"\"}",
     .expect = "string[1,1]={\"Mon\"}"},
    {.problem = "StringNormalizer string[1,2]={\"a\",\"a\"} string[1]={\"a\"}",
     .expect = "string[1,1]={\"\"}"},
    {.problem =
         "StringNormalizer{case_change_action=LOWER} string[2]={\"\xc3\x84\xd0\xaf\xce\xa9\",\"\xff"
         "A\"}",
     .expect = "string[2]={\"\xc3\xa4\xd1\x8f\xcf\x89\",\"\xff"
               "a\"}"},
    {.problem = "StringNormalizer{case_change_action=UPPER} string[2]={\"stra\xc3\x9f"
                "e\",\"\xc5\xbf\"}",
     .expect = "string[2]={\"STRA\xc3\x9f"
               "E\",\"S\"}"},
    {0},
};

const tn_op tn_op_string_normalizer = {
    .name = "StringNormalizer",
    .since = 10,
    .about = "strings without stop words, in one case (Latin, Greek, Cyrillic; locale is not read)",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_string_normalizer_params),
    .infer = infer,
    .reference = reference,
    .upgrade = {{TN_OPSET_EVERY, upgrade_tables}},
    .restore = restore,
    .cases = cases,
};
