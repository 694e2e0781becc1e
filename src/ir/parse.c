/* The .tn reader: recursive descent, where only graphs inside nodes recur, to a bounded depth; over
 * a private copy of the text that ends in a zero. Every limit is an error that names the line. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/graph.h"
#include "ir/op.h"

#define ITEMS_MAX 4096 /* inputs, outputs or attributes of one node; elements of a list */

typedef struct parser {
    const char *begin, *at;
    tn_arena arena; /* scratch: text, names, lists */
    tn_graph *graph;
    const tn_tensor *data;
    int64_t data_count;
} parser;

/* ---- Words ------------------------------------------------------------------------------------*/

/* Blanks and comments: '#' up to the end of the line, unless a number follows (that is data). */
static void skip_space(parser *p)
{
    for (;;) {
        while (isspace((unsigned char)*p->at)) p->at++;
        if (*p->at != '#' || isdigit((unsigned char)p->at[1])) return;
        while (*p->at && *p->at != '\n') p->at++;
    }
}

static bool accept(parser *p, const char *word)
{
    skip_space(p);
    size_t bytes = strlen(word);
    if (strncmp(p->at, word, bytes) != 0) return false;
    if (isalpha((unsigned char)word[0]) &&
        (isalnum((unsigned char)p->at[bytes]) || p->at[bytes] == '_'))
        return false;
    p->at += bytes;
    return true;
}

static tn_status expect(parser *p, const char *word)
{
    TN_CHECK(accept(p, word), TN_INVALID, "expected '%s' before \"%.20s\"", word, p->at);
    return NULL;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

static tn_status parse_quoted(parser *p, tn_string *out)
{
    TN_TRY(expect(p, "\""));
    const char *end = p->at;
    while (*end && *end != '"') end += *end == '\\' && end[1] ? 2 : 1;
    TN_CHECK(*end == '"', TN_INVALID, "a quoted text does not end");
    char *dst = tn_arena_alloc(&p->arena, (size_t)(end - p->at) + 1);
    TN_CHECK(dst, TN_OUT_OF_MEMORY, "no memory to read a graph");
    size_t bytes = 0;
    while (p->at < end) {
        char c = *p->at++;
        if (c == '\\' && *p->at == 'x') {
            int high = hex_digit(p->at[1]), low = high < 0 ? -1 : hex_digit(p->at[2]);
            TN_CHECK(low >= 0, TN_INVALID, "\\x needs two digits");
            c = (char)(high * 16 + low);
            p->at += 3;
        } else if (c == '\\') {
            c = *p->at++;
        }
        dst[bytes++] = c;
    }
    p->at = end + 1;
    *out = (tn_string){dst, bytes};
    return NULL;
}

/* A quoted text that serves as a name. */
static tn_status parse_quoted_name(parser *p, const char **out)
{
    tn_string text;
    TN_TRY(parse_quoted(p, &text));
    TN_CHECK(!memchr(text.text, 0, text.bytes), TN_INVALID, "a name has a zero byte inside");
    *out = text.text;
    return NULL;
}

/* Letters, digits and `more`; a colon only with such a character behind it. */
static tn_status parse_word(parser *p, const char *more, const char *what, const char **out)
{
    skip_space(p);
    const char *end = p->at;
    while (isalnum((unsigned char)*end) || (*end && strchr(more, *end))) end++;
    while (end > p->at && end[-1] == ':') end--;
    TN_CHECK(end > p->at, TN_INVALID, "expected %s before \"%.20s\"", what, p->at);
    *out = tn_arena_text(&p->arena, p->at, (size_t)(end - p->at));
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory to read a graph");
    p->at = end;
    return NULL;
}

/* "%name", "%\"any name\"", or "_" (NULL). */
static tn_status parse_value_name(parser *p, const char **out)
{
    *out = NULL;
    if (accept(p, "_")) return NULL;
    TN_TRY(expect(p, "%"));
    if (*p->at == '"') return parse_quoted_name(p, out);
    return parse_word(p, "_./:-", "a name", out);
}

static tn_status find_value(parser *p, tn_value **out)
{
    const char *name;
    *out = NULL;
    TN_TRY(parse_value_name(p, &name));
    if (!name) return NULL;
    *out = tn_map_find(&p->graph->names, name);
    TN_CHECK(*out, TN_INVALID, "the value '%s' is not made before it is read", name);
    return NULL;
}

/* ---- Types ------------------------------------------------------------------------------------*/

/* Behind a symbol in single quotes (tn_expr_print), or the end of the text. */
static const char *skip_symbol(const char *at)
{
    for (at++; *at && *at != '\''; at++)
        if (*at == '\\' && at[1]) at++;
    return *at ? at + 1 : at;
}

/* One dim: up to a comma or bracket outside parentheses and quotes. */
static tn_status parse_dim(parser *p, tn_expr *out)
{
    skip_space(p);
    const char *end = p->at;
    for (int depth = 0; *end && *end != '\n';) {
        if (depth <= 0 && (*end == ',' || *end == ']')) break;
        depth += *end == '(' ? 1 : *end == ')' ? -1 : 0;
        end = *end == '\'' ? skip_symbol(end) : end + 1;
    }
    char *text = tn_arena_text(&p->arena, p->at, (size_t)(end - p->at));
    TN_CHECK(text, TN_OUT_OF_MEMORY, "no memory to read a graph");
    *out = TN_EXPR_NONE;
    p->at = end;
    if (!strcmp(text, "?")) return NULL;
    return tn_expr_parse(p->graph->exprs, text, out);
}

static tn_status parse_type(parser *p, tn_type *out)
{
    const char *word;
    bool optional = accept(p, "optional"), sequence = accept(p, "sequence");
    if (sequence) TN_TRY(expect(p, "of"));
    TN_TRY(parse_word(p, "", "a type", &word));
    tn_dtype dtype = tn_dtype_find(word);
    TN_CHECK(dtype != TN_DTYPE_NONE, TN_INVALID, "'%s' is no data type", word);
    *out = tn_type_of(dtype, 0, NULL);
    out->kind = optional && sequence ? TN_TYPE_OPTIONAL_SEQUENCE
                : optional           ? TN_TYPE_OPTIONAL
                : sequence           ? TN_TYPE_SEQUENCE
                                     : TN_TYPE_TENSOR;
    if (*p->at != '[') return NULL;
    p->at++;
    if (accept(p, "...")) {
        out->rank = -1;
        return expect(p, "]");
    }
    do {
        TN_CHECK(out->rank < TN_RANK_MAX, TN_UNSUPPORTED, "the rank is above the limit of %d",
                 TN_RANK_MAX);
        TN_TRY(parse_dim(p, &out->dim[out->rank++]));
    } while (accept(p, ","));
    return expect(p, "]");
}

/* ---- Attributes -------------------------------------------------------------------------------*/

static bool at_number(const parser *p)
{
    return isdigit((unsigned char)*p->at) || *p->at == '-' || *p->at == '+' ||
           !strncmp(p->at, "inf", 3) || !strncmp(p->at, "nan", 3);
}

/* An integer, or a float if it has a point, an exponent or is no number. */
static tn_status parse_number(parser *p, tn_attr_kind *kind, int64_t *i, double *f)
{
    skip_space(p);
    TN_CHECK(at_number(p), TN_INVALID, "expected a number before \"%.20s\"", p->at);
    char *end_i;
    const char *end_f = p->at;
    errno = 0;
    *i = strtoll(p->at, &end_i, 10);
    bool range = errno == ERANGE;
    TN_CHECK(tn_number_parse(&end_f, f), TN_INVALID, "expected a number before \"%.20s\"", p->at);
    *f = (double)(float)*f; /* attributes hold no finer ones, and are printed as such */
    *kind = end_f > end_i ? TN_ATTR_FLOAT : TN_ATTR_INT;
    TN_CHECK(*kind == TN_ATTR_FLOAT || !range, TN_INVALID, "the integer %.20s is out of range",
             p->at);
    p->at = *kind == TN_ATTR_FLOAT ? end_f : end_i;
    return NULL;
}

/* Lists are of one kind, told by the first element; an empty one fits any. */
static tn_status parse_list(parser *p, tn_attr *attr)
{
    tn_string *texts = NULL;
    int64_t *ints = NULL;
    float *floats = NULL;
    int64_t capacity[3] = {0, 0, 0};
    attr->kind = TN_ATTR_INTS;
    if (accept(p, "]")) return NULL;
    do {
        int64_t count = attr->count, i;
        double f;
        tn_attr_kind kind;
        TN_CHECK(count < ITEMS_MAX, TN_UNSUPPORTED, "a list has more than %d elements", ITEMS_MAX);
        skip_space(p);
        bool text = *p->at == '"';
        if (text) kind = TN_ATTR_TEXT;
        else TN_TRY(parse_number(p, &kind, &i, &f));
        tn_attr_kind list = text                  ? TN_ATTR_TEXTS
                            : kind == TN_ATTR_INT ? TN_ATTR_INTS
                                                  : TN_ATTR_FLOATS;
        if (!count) attr->kind = list;
        TN_CHECK(attr->kind == list, TN_INVALID, "a list has elements of several kinds");
        if (text) {
            TN_TRY(tn_arena_grow(&p->arena, &texts, count, &capacity[0], count + 1, sizeof *texts));
            TN_TRY(parse_quoted(p, &texts[count]));
        } else if (kind == TN_ATTR_INT) {
            TN_TRY(tn_arena_grow(&p->arena, &ints, count, &capacity[1], count + 1, sizeof *ints));
            ints[count] = i;
        } else {
            TN_TRY(
                tn_arena_grow(&p->arena, &floats, count, &capacity[2], count + 1, sizeof *floats));
            floats[count] = (float)f;
        }
        attr->count++;
    } while (accept(p, ","));
    attr->texts = texts;
    attr->ints = ints;
    attr->floats = floats;
    return expect(p, "]");
}

static tn_status parse_graph(parser *p, tn_graph **out);

static tn_status parse_attr(parser *p, tn_attr *attr)
{
    *attr = (tn_attr){0};
    TN_TRY(parse_word(p, "_", "an attribute", &attr->name));
    TN_TRY(expect(p, "="));
    skip_space(p);
    if (*p->at == '"') {
        attr->kind = TN_ATTR_TEXT;
        return parse_quoted(p, &attr->text);
    }
    if (accept(p, "[")) return parse_list(p, attr);
    if (accept(p, "graph")) {
        attr->kind = TN_ATTR_GRAPH;
        return parse_graph(p, &attr->graph);
    }
    if (at_number(p)) return parse_number(p, &attr->kind, &attr->i, &attr->f);
    bool constant;
    attr->kind = TN_ATTR_TENSOR;
    TN_TRY(tn_tensor_parse(&p->at, p->graph->arena, &attr->tensor, &constant));
    TN_CHECK(attr->tensor.data, TN_INVALID, "attribute '%s' has no data", attr->name);
    return NULL;
}

/* ---- Statements -------------------------------------------------------------------------------*/

static tn_status parse_input(parser *p)
{
    const char *name;
    tn_type type;
    tn_value *value;
    TN_TRY(parse_value_name(p, &name));
    TN_TRY(expect(p, ":"));
    TN_TRY(parse_type(p, &type));
    TN_CHECK(name, TN_INVALID, "an input has no name");
    return tn_graph_add_input(p->graph, name, type, &value);
}

static tn_status parse_const(parser *p)
{
    const char *name;
    tn_tensor tensor;
    bool constant;
    tn_value *value;
    TN_TRY(parse_value_name(p, &name));
    TN_TRY(expect(p, ":"));
    TN_CHECK(name, TN_INVALID, "a constant has no name");
    skip_space(p);
    TN_TRY(tn_tensor_parse(&p->at, p->graph->arena, &tensor, &constant));
    if (accept(p, "=")) {
        skip_space(p);
        char *end;
        TN_CHECK(*p->at == '#' && isdigit((unsigned char)p->at[1]), TN_INVALID,
                 "expected the number of the data, as in #0, before \"%.20s\"", p->at);
        errno = 0;
        int64_t index = strtoll(p->at + 1, &end, 10);
        TN_CHECK(!errno && index < p->data_count, TN_INVALID,
                 "data #%lld is not there; %lld are given", (long long)index,
                 (long long)p->data_count);
        p->at = end;
        const tn_tensor *data = &p->data[index];
        TN_CHECK(data->dtype == tensor.dtype && tn_tensor_same_shape(data, &tensor), TN_INVALID,
                 "data #%lld is of another type than constant '%s'", (long long)index, name);
        tensor = *data;
    }
    TN_CHECK(tensor.data || tn_tensor_count(&tensor) == 0, TN_INVALID, "constant '%s' has no data",
             name);
    return tn_graph_add_constant(p->graph, name, &tensor, false, &value);
}

static tn_status parse_output(parser *p)
{
    const char *name;
    tn_value *value;
    TN_TRY(parse_quoted_name(p, &name));
    TN_TRY(expect(p, "="));
    TN_TRY(find_value(p, &value));
    TN_CHECK(value, TN_INVALID, "output '%s' has no value", name);
    return tn_graph_add_output(p->graph, name, value);
}

typedef struct node_text {
    const char **out;
    tn_type *type; /* dtype NONE: left off */
    int64_t out_count, out_capacity, type_capacity;
    tn_value **in;
    int64_t in_count, in_capacity;
    tn_attr *attr;
    int64_t attr_count, attr_capacity;
} node_text;

static tn_status parse_results(parser *p, node_text *n)
{
    do {
        int64_t i = n->out_count;
        TN_CHECK(i < ITEMS_MAX, TN_UNSUPPORTED, "a node has more than %d outputs", ITEMS_MAX);
        TN_TRY(tn_arena_grow(&p->arena, &n->out, i, &n->out_capacity, i + 1, sizeof *n->out));
        TN_TRY(tn_arena_grow(&p->arena, &n->type, i, &n->type_capacity, i + 1, sizeof *n->type));
        TN_TRY(parse_value_name(p, &n->out[i]));
        if (!n->out[i]) n->out[i] = "";
        n->type[i] = (tn_type){.rank = -1};
        if (accept(p, ":")) TN_TRY(parse_type(p, &n->type[i]));
        n->out_count++;
    } while (accept(p, ","));
    return expect(p, "=");
}

static tn_status parse_arguments(parser *p, node_text *n)
{
    if (accept(p, "{") && !accept(p, "}")) {
        do {
            int64_t i = n->attr_count;
            TN_CHECK(i < ITEMS_MAX, TN_UNSUPPORTED, "a node has more than %d attributes",
                     ITEMS_MAX);
            TN_TRY(
                tn_arena_grow(&p->arena, &n->attr, i, &n->attr_capacity, i + 1, sizeof *n->attr));
            TN_TRY(parse_attr(p, &n->attr[i]));
            n->attr_count++;
        } while (accept(p, ","));
        TN_TRY(expect(p, "}"));
    }
    TN_TRY(expect(p, "("));
    if (accept(p, ")")) return NULL;
    do {
        int64_t i = n->in_count;
        TN_CHECK(i < ITEMS_MAX, TN_UNSUPPORTED, "a node has more than %d inputs", ITEMS_MAX);
        TN_TRY(tn_arena_grow(&p->arena, &n->in, i, &n->in_capacity, i + 1, sizeof *n->in));
        TN_TRY(find_value(p, &n->in[i]));
        n->in_count++;
    } while (accept(p, ","));
    return expect(p, ")");
}

static tn_status parse_node(parser *p)
{
    node_text n = {0};
    const char *full, *name = NULL;
    TN_TRY(parse_results(p, &n));
    TN_TRY(parse_word(p, "_.-", "an operator", &full));
    const char *dot = strrchr(full, '.');
    const char *domain = dot ? tn_arena_text(&p->arena, full, (size_t)(dot - full)) : NULL;
    TN_CHECK(!dot || domain, TN_OUT_OF_MEMORY, "no memory to read a graph");
    const tn_op *op = tn_op_find(domain, dot ? dot + 1 : full);
    TN_CHECK(op, TN_UNSUPPORTED, "there is no operator '%s'", full);
    TN_TRY(parse_arguments(p, &n));
    skip_space(p);
    if (*p->at == '"') TN_TRY(parse_quoted_name(p, &name));
    tn_node *node;
    TN_TRY(tn_graph_add_node(p->graph, op, name, n.in, (int)n.in_count, n.out, (int)n.out_count,
                             NULL, &node));
    for (int i = 0; i < node->out_count; i++)
        if (node->out[i]) node->out[i]->type = n.type[i];
    for (int64_t i = 0; i < n.attr_count; i++) TN_TRY(tn_node_set_attr(node, &n.attr[i]));
    TN_TRY(tn_node_lower(node));
    return tn_node_infer(node);
}

/* Behind the word "graph". Graphs inside nodes become children of the one that is being read. */
static tn_status parse_graph(parser *p, tn_graph **out)
{
    const char *name;
    tn_graph *outer = p->graph;
    *out = NULL;
    TN_TRY(parse_quoted_name(p, &name));
    TN_TRY(outer ? tn_graph_new_child(outer, name, out) : tn_graph_new(name, out));
    p->graph = *out;
    TN_TRY(expect(p, "{"));
    while (!accept(p, "}")) {
        if (accept(p, "input")) TN_TRY(parse_input(p));
        else if (accept(p, "const")) TN_TRY(parse_const(p));
        else if (accept(p, "output")) TN_TRY(parse_output(p));
        else TN_TRY(parse_node(p));
    }
    if (outer) p->graph = outer;
    return NULL;
}

static tn_status parse_text(parser *p, tn_graph **root)
{
    TN_TRY(expect(p, "graph"));
    TN_TRY(parse_graph(p, root));
    skip_space(p);
    TN_CHECK(!*p->at, TN_INVALID, "there is text after the graph: \"%.20s\"", p->at);
    return tn_graph_verify(*root);
}

static int line_of(const parser *p)
{
    int line = 1;
    for (const char *c = p->begin; c < p->at; c++) line += *c == '\n';
    return line;
}

tn_status tn_graph_parse(const char *text, size_t bytes, const tn_tensor *data, int64_t data_count,
                         tn_graph **out)
{
    *out = NULL;
    tn_graph *root = NULL;
    parser p = {.data = data, .data_count = data_count};
    tn_arena_init(&p.arena);
    p.begin = p.at = tn_arena_text(&p.arena, text, bytes);
    tn_status status = NULL;
    if (!p.begin) status = TN_ERROR(TN_OUT_OF_MEMORY, "no memory to read a graph");
    else if (bytes && memchr(text, 0, bytes))
        status = TN_ERROR(TN_INVALID, "the text has a zero byte inside");
    else status = parse_text(&p, &root);
    if (status) {
        if (p.begin) status = tn_status_note(status, "at line %d of the graph's text", line_of(&p));
        tn_graph_free(root);
    } else {
        *out = root;
    }
    tn_arena_fini(&p.arena);
    return status;
}
