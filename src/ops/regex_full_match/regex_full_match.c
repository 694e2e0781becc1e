/* RegexFullMatch-20: does the pattern match the whole of each string? The syntax is RE2's; what is
 * not supported of it is said in regex.h. The pattern is an input behind X (ops/tables.h). */
#include "ir/op.h"
#include "ops/regex_full_match/regex.h"
#include "ops/tables.h"

enum { X, PATTERN };

static const tn_port ins[] = {
    {"X", TN_DT(STRING), 0, 0},
    {"pattern", TN_DT(STRING), 0, TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"Y", TN_DT(BOOL), 0, 0}};

typedef struct matcher {
    tn_regex regex;
    tn_regex_state state;
} matcher;

static tn_status compile(const tn_tensor *pattern, tn_regex *out)
{
    static const tn_string nothing = {"", 0};
    const tn_string *text = pattern && pattern->dtype ? pattern->data : &nothing;
    TN_CHECK(text == &nothing || tn_tensor_count(pattern) == 1, TN_INVALID,
             "there must be one pattern");
    return tn_regex_compile(text->text, text->bytes, out);
}

/* The pattern is read here already, so that a model with one that is wrong is refused when loaded.
 */
static tn_status infer(tn_infer *f)
{
    tn_infer_set(f, 0, TN_DTYPE_BOOL, f->in[X].rank, f->in[X].dim);
    if (!tn_infer_has(f, PATTERN) || !f->data[PATTERN].data) return NULL;
    tn_regex *regex = TN_NEW(f->arena, tn_regex);
    TN_CHECK(regex, TN_OUT_OF_MEMORY, "no memory for a pattern");
    return compile(&f->data[PATTERN], regex);
}

static size_t scratch_bytes(const tn_problem *p)
{
    (void)p;
    return sizeof(matcher);
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_string *x = p->in[X].data;
    matcher *m = l->scratch;
    TN_TRY(compile(p->in_count > PATTERN ? &p->in[PATTERN] : NULL, &m->regex));
    for (int64_t i = 0; i < tn_tensor_count(&p->in[X]); i++)
        tn_store_i64(TN_DTYPE_BOOL, p->out[0].data, i,
                     tn_regex_matches(&m->regex, x[i].text, x[i].bytes, &m->state));
    return NULL;
}

static tn_status upgrade_pattern(tn_graph *graph, tn_node *node)
{
    const tn_attr *pattern = tn_node_find_attr(node, "pattern");
    if (!pattern) return NULL;
    TN_CHECK(pattern->kind == TN_ATTR_TEXT, TN_INVALID, "attribute 'pattern' is no text");
    tn_string text = pattern->text;
    tn_tensor scalar = tn_tensor_of(TN_DTYPE_STRING, NULL, 0, &text);
    tn_value *value;
    TN_TRY(tn_graph_add_constant(graph, NULL, &scalar, true, &value));
    TN_TRY(tn_node_set_input(node, PATTERN, value));
    tn_node_remove_attr(node, "pattern");
    return NULL;
}

static tn_status restore(tn_node *node)
{
    const tn_value *pattern = node->in_count > PATTERN ? node->in[PATTERN] : NULL;
    if (!pattern) return NULL;
    TN_CHECK(tn_value_is_constant(pattern) && tn_tensor_count(&pattern->constant) == 1,
             TN_UNSUPPORTED, "the pattern is no constant, and model files have it as an attribute");
    const tn_attr attr = {.name = "pattern",
                          .kind = TN_ATTR_TEXT,
                          .text = *(const tn_string *)pattern->constant.data};
    TN_TRY(tn_node_set_attr(node, &attr));
    return tn_node_set_input(node, PATTERN, NULL);
}

static const tn_case cases[] = {
    {.problem = "RegexFullMatch string[4]={\"ab\",\"b\",\"aab\",\"abc\"} string={\"a*b\"}",
     .expect = "bool[4]={1,1,1,0}"},
    {.problem =
         "RegexFullMatch string[2,2]={\"me@gmail.com\",\"me@mail.com\",\"\",\"a.b@yahoo.com\"} "
         "string={\"(\\\\W|^)[\\\\w.\\\\-]{0,25}@(yahoo|gmail)\\\\.com(\\\\W|$)\"}",
     .expect = "bool[2,2]={1,0,0,1}"},
    {.problem = "RegexFullMatch string[0,3]={} string={\"x\"}", .expect = "bool[0,3]={}"},
    {.problem = "RegexFullMatch string[2]={\"\",\"a\"}", .expect = "bool[2]={1,0}"},
    {0},
};

const tn_op tn_op_regex_full_match = {
    .name = "RegexFullMatch",
    .since = 20,
    .about = "whether a pattern matches all of a string (RE2's syntax without \\p and \\C)",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .upgrade = {{TN_OPSET_EVERY, upgrade_pattern}},
    .restore = restore,
    .cases = cases,
};
