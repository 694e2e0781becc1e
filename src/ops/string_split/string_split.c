/* StringSplit-20: each string cut at a delimiter, the pieces along a new last axis, which is as
 * long as the most pieces of any string; the others are filled up with empty strings. The second
 * output says how many each one has.
 *
 * Without a delimiter, any run of ASCII white space cuts, and none is left at either end. Behind
 * the last cut that maxsplit allows, the rest stays in one piece. */
#include "ops/string_split/string_split.h"

#include <string.h>

#include "ir/op.h"
#include "ops/moving.h"

static const tn_field fields[] = {
    TN_CHARS_FIELD(tn_string_split_params, delimiter),
    TN_INT(tn_string_split_params, maxsplit, -1),
};
static const tn_port ins[] = {{"X", TN_DT(STRING), 0, 0}};
static const tn_port outs[] = {{"Y", TN_DT(STRING), 0, 0}, {"Z", TN_DT(I64), 0, TN_PORT_OPTIONAL}};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* What is not cut yet, and how many cuts are left (below 0: no end of them). */
typedef struct rest {
    const char *at, *end;
    int64_t cuts;
    bool done;
} rest;

static bool next_word(rest *r, tn_string *piece)
{
    while (r->at < r->end && is_space(*r->at)) r->at++;
    if (r->at == r->end) return false;
    const char *begin = r->at;
    if (r->cuts == 0) {
        const char *last = r->end;
        while (is_space(last[-1])) last--;
        r->at = r->end;
        *piece = (tn_string){begin, (size_t)(last - begin)};
        return true;
    }
    while (r->at < r->end && !is_space(*r->at)) r->at++;
    if (r->cuts > 0) r->cuts--;
    *piece = (tn_string){begin, (size_t)(r->at - begin)};
    return true;
}

static bool next_piece(rest *r, const char *delimiter, size_t bytes, tn_string *piece)
{
    if (bytes == 0) return next_word(r, piece);
    if (r->done) return false;
    size_t left = (size_t)(r->end - r->at);
    const char *cut = r->cuts != 0 && left >= bytes ? memmem(r->at, left, delimiter, bytes) : NULL;
    r->done = !cut;
    *piece = (tn_string){r->at, (size_t)((cut ? cut : r->end) - r->at)};
    if (cut) r->at = cut + bytes;
    if (cut && r->cuts > 0) r->cuts--;
    return true;
}

/* Pieces go to `out` unless it is NULL; how many there are. */
static int64_t split(const tn_string_split_params *params, const tn_string *x, tn_string *out,
                     int64_t room)
{
    const char *begin = x->bytes ? x->text : "";
    size_t bytes = strlen(params->delimiter.at);
    rest r = {.at = begin, .end = begin + x->bytes, .cuts = params->maxsplit};
    int64_t count = 0;
    for (tn_string piece; next_piece(&r, params->delimiter.at, bytes, &piece); count++)
        if (out && count < room) out[count] = piece;
    return count;
}

static tn_status infer(tn_infer *f)
{
    const tn_type *x = &f->in[0];
    const tn_tensor *data = &f->data[0];
    tn_expr dim[TN_RANK_MAX], *last;
    TN_CHECK(x->rank < TN_RANK_MAX, TN_UNSUPPORTED,
             "the pieces would have rank %d; the limit is %d", x->rank + 1, TN_RANK_MAX);
    tn_infer_set(f, 1, TN_DTYPE_I64, x->rank, x->dim);
    if (x->rank < 0) {
        tn_infer_set(f, 0, TN_DTYPE_STRING, -1, NULL);
        return NULL;
    }
    memcpy(dim, x->dim, sizeof(*dim) * (size_t)x->rank);
    last = &dim[x->rank];
    if (data->data || (data->dtype && !tn_tensor_count(data))) {
        int64_t most = 0;
        for (int64_t i = 0; i < tn_tensor_count(data); i++)
            most = TN_MAX(most, split(f->params, &((const tn_string *)data->data)[i], NULL, 0));
        *last = tn_expr_const(f->exprs, most);
    } else {
        *last = tn_infer_fresh(f);
    }
    tn_infer_set(f, 0, TN_DTYPE_STRING, x->rank + 1, dim);
    return NULL;
}

/* The pieces are parts of the input's own characters. */
static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_string *x = p->in[0].data;
    const tn_tensor *y = &p->out[0];
    bool counted = p->out_count > 1 && p->out[1].data;
    int64_t total = tn_tensor_count(&p->in[0]), width = y->dim[y->rank - 1];
    tn_string *out = y->data;
    TN_TRY(tn_check_count(y, total * width));
    for (int64_t i = 0; i < total; i++, out += width) {
        int64_t count = split(p->params, &x[i], out, width);
        TN_CHECK(count <= width, TN_INVALID, "a string has %lld pieces, %lld were planned",
                 (long long)count, (long long)width);
        for (int64_t k = count; k < width; k++) out[k] = (tn_string){"", 0};
        if (counted) tn_store_i64(TN_DTYPE_I64, p->out[1].data, i, count);
    }
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "StringSplit{delimiter=\"-\"} string[2]={\"o-n--x-\",\"\"} -> 2",
     .expect = "string[2,5]={\"o\",\"n\",\"\",\"x\",\"\",\"\",\"\",\"\",\"\",\"\"} i64[2]={5,1}"},
    {.problem = "StringSplit string[3]={\"  a  bc \",\" \",\"d\"} -> 2",
     .expect = "string[3,2]={\"a\",\"bc\",\"\",\"\",\"d\",\"\"} i64[3]={2,0,1}"},
    {.problem = "StringSplit{maxsplit=1} string[2]={\" a  b c \",\"d\"} -> 2",
     .expect = "string[2,2]={\"a\",\"b c\",\"d\",\"\"} i64[2]={2,1}"},
    {.problem = "StringSplit{delimiter=\"ab\", maxsplit=2} string={\"abxabyab\"} -> 2",
     .expect = "string[3]={\"\",\"x\",\"yab\"} i64={3}"},
    {.problem = "StringSplit{maxsplit=0} string[1]={\" a b \"}", .expect = "string[1,1]={\"a b\"}"},
    {.problem = "StringSplit string[0]={} -> 2", .expect = "string[0,0]={} i64[0]={}"},
    {0},
};

const tn_op tn_op_string_split = {
    .name = "StringSplit",
    .since = 20,
    .about = "strings cut at a delimiter (none: ASCII white space), pieces along a new last axis",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_string_split_params),
    .infer = infer,
    .reference = reference,
    .cases = cases,
};
