/* StringConcat-20: the characters of one string behind those of the other, under broadcasting. */
#include <string.h>

#include "ir/op.h"

static const tn_port ins[] = {{"X", TN_DT(STRING), 'T', 0}, {"Y", TN_DT(STRING), 'T', 0}};
static const tn_port outs[] = {{"Z", TN_DT(STRING), 'T', 0}};

static tn_status infer(tn_infer *f)
{
    int rank;
    tn_expr dim[TN_RANK_MAX];
    TN_TRY(tn_infer_broadcast(f, 0, 2, &rank, dim));
    tn_infer_set(f, 0, TN_DTYPE_STRING, rank, dim);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_string *a = p->in[0].data, *b = p->in[1].data;
    tn_string *out = p->out[0].data;
    const tn_tensor *ins_of[] = {&p->in[0], &p->in[1]};
    tn_walk w;
    TN_CHECK(l->text, TN_UNSUPPORTED, "this run has no memory for new strings");
    TN_TRY(tn_walk_init(&w, &p->out[0], ins_of, 2));
    for (int64_t i = 0; i < w.count; i++, tn_walk_next(&w)) {
        tn_string x = a[w.at[0]], y = b[w.at[1]];
        size_t bytes;
        char *text = tn_add_size(x.bytes, y.bytes, &bytes) ? tn_arena_alloc(l->text, bytes) : NULL;
        TN_CHECK(text, TN_OUT_OF_MEMORY, "no memory for %lld strings", (long long)w.count);
        if (x.bytes > 0) memcpy(text, x.text, x.bytes);
        if (y.bytes > 0) memcpy(text + x.bytes, y.text, y.bytes);
        out[i] = (tn_string){text, bytes};
    }
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "StringConcat string[2]={\"a\",\"\"} string[2]={\"b\",\"cd\"}",
     .expect = "string[2]={\"ab\",\"cd\"}"},
    {.problem = "StringConcat string[2,1]={\"a\",\"b\"} string[2]={\"\",\".c\"}",
     .expect = "string[2,2]={\"a\",\"a.c\",\"b\",\"b.c\"}"},
    {.problem = "StringConcat string={\"\"} string={\"\"}", .expect = "string={\"\"}"},
    {.problem = "StringConcat string[0,2]={} string={\"x\"}", .expect = "string[0,2]={}"},
    {0},
};

const tn_op tn_op_string_concat = {
    .name = "StringConcat",
    .since = 20,
    .about = "x followed by y, under broadcasting",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .infer = infer,
    .reference = reference,
    .cases = cases,
};
