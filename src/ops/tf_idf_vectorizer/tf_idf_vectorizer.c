/* TfIdfVectorizer-9: how often each n-gram of a pool comes in a row of words.
 *
 *     y[ngram_indexes[i]] = times n-gram i is found (TF), that times weights[i] (TFIDF), weights[i]
 * if it is found at all (IDF)
 *
 * The pool holds the 1-grams, then the 2-grams and so on, ngram_counts where each size begins. A
 * word of an n-gram may stand 1 to max_skip_count + 1 words behind the one before, the same
 * distance throughout. The pool and its tables are inputs behind X (ops/tables.h). */
#include "ops/tf_idf_vectorizer/tf_idf_vectorizer.h"

#include <string.h>

#include "ops/tables.h"
#include "ops/wide/wide.h"

enum { X, POOL, STARTS, COLUMNS, WEIGHTS };

#define REQUIRED(member)                                                                           \
    {                                                                                              \
        .name = #member, .kind = TN_FIELD_INT, .required = true,                                   \
        .offset = offsetof(tn_tf_idf_params, member)                                               \
    }
static const tn_field fields[] = {
    {.name = "mode",
     .kind = TN_FIELD_ENUM,
     .required = true,
     .offset = offsetof(tn_tf_idf_params, mode),
     .choices = "TF|IDF|TFIDF"},
    REQUIRED(max_skip_count),
    REQUIRED(min_gram_length),
    REQUIRED(max_gram_length),
};
static const tn_port ins[] = {
    {"X", TN_DTS_INDEX | TN_DT(STRING), 0, 0},    {"pool", TN_DT(I64) | TN_DT(STRING), 0, 0},
    {"ngram_counts", TN_DT(I64), 0, 0},           {"ngram_indexes", TN_DT(I64), 0, 0},
    {"weights", TN_DT(F32), 0, TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"Y", TN_DT(F32), 0, 0}};

static tn_status lower(const tn_node *node, void *params_out)
{
    const tn_tf_idf_params *params = params_out;
    (void)node;
    TN_CHECK(params->min_gram_length >= 1 && params->max_gram_length >= params->min_gram_length &&
                 params->max_skip_count >= 0,
             TN_INVALID, "n-grams of %lld to %lld words with %lld skipped",
             (long long)params->min_gram_length, (long long)params->max_gram_length,
             (long long)params->max_skip_count);
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_type *x = &f->in[X];
    const tn_tensor *columns = &f->data[COLUMNS];
    tn_expr dim[2], size = TN_EXPR_NONE;
    char text[128];
    TN_CHECK((x->dtype == TN_DTYPE_STRING) == (f->in[POOL].dtype == TN_DTYPE_STRING), TN_INVALID,
             "X is %s, the pool %s", tn_dtype_name(x->dtype), tn_dtype_name(f->in[POOL].dtype));
    TN_CHECK(x->rank <= 2, TN_INVALID, "X must have at most 2 axes: it is %s",
             tn_type_text(f->exprs, x, text, sizeof text));
    if (columns->data) {
        int64_t most = -1;
        for (int64_t i = 0; i < tn_tensor_count(columns); i++)
            most = TN_MAX(most, tn_load_i64(TN_DTYPE_I64, columns->data, i));
        TN_CHECK(most >= 0 && most < INT32_MAX, TN_INVALID, "the largest of ngram_indexes is %lld",
                 (long long)most);
        size = tn_expr_const(f->exprs, most + 1);
    }
    if (!size) size = tn_infer_fresh(f);
    dim[0] = x->rank == 2 ? x->dim[0] : size;
    dim[1] = size;
    tn_infer_set(f, 0, TN_DTYPE_F32, x->rank < 0 ? -1 : TN_MAX(x->rank, 1), dim);
    return NULL;
}

static bool same_word(const tn_tensor *x, int64_t at, const tn_tensor *pool, int64_t word)
{
    if (x->dtype != TN_DTYPE_STRING)
        return tn_load_i64(x->dtype, x->data, at) == tn_load_i64(pool->dtype, pool->data, word);
    const tn_string *a = (const tn_string *)x->data + at, *b = (const tn_string *)pool->data + word;
    return a->bytes == b->bytes && (a->bytes == 0 || !memcmp(a->text, b->text, a->bytes));
}

/* How often the `size` words of the pool from `word` on come in a row of x. */
static double count_gram(const tn_problem *p, int64_t begin, int64_t length, int64_t word,
                         int64_t size)
{
    const tn_tf_idf_params *params = p->params;
    int64_t found = 0, most = size > 1 ? params->max_skip_count : 0;
    for (int64_t skip = 0; skip <= most; skip++) {
        if (size > 1 && skip + 1 > (length - 1) / (size - 1)) break;
        int64_t reach = (size - 1) * (skip + 1);
        for (int64_t start = 0; start + reach < length; start++) {
            int64_t k = 0;
            while (k < size &&
                   same_word(&p->in[X], begin + start + k * (skip + 1), &p->in[POOL], word + k))
                k++;
            found += k == size;
        }
    }
    return (double)found;
}

static void add_gram(const tn_problem *p, int64_t gram, double found, float *cell)
{
    const tn_tf_idf_params *params = p->params;
    float weight = tn_wide_has(p, WEIGHTS) ? ((const float *)p->in[WEIGHTS].data)[gram] : 1;
    if (params->mode == TN_TF_IDF_TF) *cell += (float)found;
    else if (params->mode == TN_TF_IDF_TFIDF) *cell += weight * (float)found;
    else if (found > 0) *cell = weight;
}

/* Counts of one size's n-grams; *gram is the number of the first and becomes that of the next
 * size's. */
static tn_status count_size(const tn_problem *p, int64_t begin, int64_t length, int64_t size,
                            int64_t *gram, float *row, int64_t columns)
{
    const tn_tf_idf_params *params = p->params;
    const tn_tensor *starts = &p->in[STARTS], *to = &p->in[COLUMNS];
    int64_t words = tn_tensor_count(&p->in[POOL]),
            first = tn_load_i64(TN_DTYPE_I64, starts->data, size - 1);
    int64_t end =
        size < tn_tensor_count(starts) ? tn_load_i64(TN_DTYPE_I64, starts->data, size) : words;
    TN_CHECK(first >= 0 && first <= end && end <= words, TN_INVALID,
             "ngram_counts: %lld-grams from %lld to %lld of %lld words", (long long)size,
             (long long)first, (long long)end, (long long)words);
    int64_t count = (end - first) / size;
    TN_CHECK(count <= tn_tensor_count(to) - *gram, TN_INVALID,
             "there are more n-grams than the %lld ngram_indexes", (long long)tn_tensor_count(to));
    for (int64_t i = 0; i < count; i++) {
        int64_t column = tn_load_i64(TN_DTYPE_I64, to->data, *gram + i);
        if (size < params->min_gram_length || size > params->max_gram_length) continue;
        TN_CHECK(column >= 0 && column < columns, TN_INVALID,
                 "ngram_indexes has %lld; there are %lld columns", (long long)column,
                 (long long)columns);
        add_gram(p, *gram + i, count_gram(p, begin, length, first + i * size, size), &row[column]);
    }
    *gram += count;
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *x = &p->in[X], *y = &p->out[0];
    int64_t rows = x->rank == 2 ? x->dim[0] : 1, length = x->rank ? x->dim[x->rank - 1] : 1;
    int64_t columns = y->dim[y->rank - 1], sizes = tn_tensor_count(&p->in[STARTS]);
    float *row = y->data;
    TN_CHECK(!tn_wide_has(p, WEIGHTS) ||
                 tn_tensor_count(&p->in[WEIGHTS]) == tn_tensor_count(&p->in[COLUMNS]),
             TN_INVALID, "there are %lld weights for %lld n-grams",
             (long long)tn_tensor_count(&p->in[WEIGHTS]),
             (long long)tn_tensor_count(&p->in[COLUMNS]));
    for (int64_t r = 0; r < rows; r++, row += columns) {
        int64_t gram = 0;
        for (int64_t i = 0; i < columns; i++) row[i] = 0;
        for (int64_t size = 1; size <= sizes; size++)
            TN_TRY(count_size(p, r * length, length, size, &gram, row, columns));
    }
    return NULL;
}

static tn_status upgrade_tables(tn_graph *graph, tn_node *node)
{
    tn_tensor words;
    TN_TRY(tn_table_find(node, "pool_strings", &words));
    TN_TRY(tn_table_move(graph, node, words.dtype ? "pool_strings" : "pool_int64s", POOL));
    TN_TRY(tn_table_move(graph, node, "ngram_counts", STARTS));
    TN_TRY(tn_table_move(graph, node, "ngram_indexes", COLUMNS));
    TN_TRY(tn_table_move(graph, node, "weights", WEIGHTS));
    tn_table_drop(node, "pool_strings|pool_int64s");
    return NULL;
}

static tn_status restore(tn_node *node)
{
    TN_TRY(tn_table_restore(node, POOL, "pool_int64s", NULL, "pool_strings"));
    TN_TRY(tn_table_restore(node, STARTS, "ngram_counts", NULL, NULL));
    TN_TRY(tn_table_restore(node, COLUMNS, "ngram_indexes", NULL, NULL));
    return tn_table_restore(node, WEIGHTS, NULL, "weights", NULL);
}

/* The pool: 1-grams 2 and 3; 2-grams 5 4 and 5 6. */
#define POOL_TEXT "i64[6]={2,3,5,4,5,6} i64[2]={0,2} i64[4]={0,1,2,3}"
static const tn_case cases[] = {
    {.problem = "TfIdfVectorizer{mode=TF, max_skip_count=0, min_gram_length=1, max_gram_length=2} "
                "i32[6]={2,5,4,2,5,6} " POOL_TEXT,
     .expect = "f32[4]={2,0,1,1}"},
    {.problem =
         "TfIdfVectorizer{mode=TFIDF, max_skip_count=1, min_gram_length=2, max_gram_length=2} "
         "i64[2,4]={5,2,4,6,5,5,4,6} " POOL_TEXT " f32[4]={1,1,10,100}",
     .expect = "f32[2,4]={0,0,10,0,0,0,20,100}"},
    {.problem = "TfIdfVectorizer{mode=IDF, max_skip_count=0, min_gram_length=1, max_gram_length=1} "
                "string[3]={\"a\",\"b\",\"a\"} string[2]={\"a\",\"c\"} i64[1]={0} i64[2]={1,0} "
                "f32[2]={0.5,0.25}",
     .expect = "f32[2]={0,0.5}"},
    {0},
};

const tn_op tn_op_tf_idf_vectorizer = {
    .name = "TfIdfVectorizer",
    .since = 9,
    .about = "how often each n-gram of a pool comes in a row of words, counted or weighted",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_tf_idf_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .upgrade = {{TN_OPSET_EVERY, upgrade_tables}},
    .restore = restore,
    .cases = cases,
};
