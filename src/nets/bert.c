/* BERT as Hugging Face and bert4torch have it, with the head that the tensors are of: a classifier,
 * labels for tokens, answers in a text, masked words; or none.
 *
 * The two differ in what they are fed and give. Hugging Face: input_ids, attention_mask and
 * token_type_ids, a classifier behind the pooler, logits. bert4torch: input_ids and segment_ids,
 * padding is where the id is 0, the classifier reads the first token itself, probabilities. */
#include <inttypes.h>
#include <stdio.h>

#include "nets/inside.h"

enum { LAYERS_MAX = 1000 };
enum { STYLE_HUGGING_FACE, STYLE_BERT4TORCH, STYLE_SHORT };

typedef struct sizes {
    int64_t vocab, positions, types, hidden, layers, heads, inner, classes;
    double epsilon;
    int act; /* gelu, gelu_tanh, relu */
    bool mask_input, pooler, softmax, classifier, tokens, answers, words, next_sentence;
    const char *batch, *seq, *segments;
} sizes;

static int style_of(const tn_net_build *b)
{
    return b->names.scheme ? b->names.scheme->style : STYLE_HUGGING_FACE;
}

static int64_t size_of(tn_net_build *b, const char *setting, int rank, int axis, int64_t usual,
                       const char *key)
{
    return tn_net_int(b, setting, tn_net_dim(b, rank, axis, usual, "%s", key), 1, TN_NET_SIZE_MAX);
}

#define LAYER "bert.encoder.layer.%d"
static void find_sizes(tn_net_build *b, sizes *s)
{
    const bool face = style_of(b) == STYLE_HUGGING_FACE;
    const bool has_pooler = !b->checkpoint || tn_net_tensor(b, "bert.pooler.dense.weight");
    const char *const words = "bert.embeddings.word_embeddings.weight";
    s->vocab = size_of(b, "vocab", 2, 0, 30522, words);
    s->hidden = size_of(b, "hidden", 2, 1, 768, words);
    s->positions = size_of(b, "positions", 2, 0, 512, "bert.embeddings.position_embeddings.weight");
    s->types = size_of(b, "types", 2, 0, 2, "bert.embeddings.token_type_embeddings.weight");
    s->inner = size_of(b, "intermediate", 2, 0, 4 * s->hidden,
                       "bert.encoder.layer.0.intermediate.dense.weight");
    s->layers = b->checkpoint ? tn_net_count(b, LAYER ".attention.self.query.weight") : 12;
    s->layers = tn_net_int(b, "layers", s->layers, 1, LAYERS_MAX);
    /* No tensor tells the heads: of BERT base and large they are 64 wide, of small ones with short
     * names 32. */
    const bool usual = s->hidden >= 512;
    const int64_t each = style_of(b) == STYLE_SHORT && !usual ? 32 : 64;
    s->heads = tn_net_int(b, "heads", TN_MAX(s->hidden / each, 1), 1, 4096);
    if (!usual && b->checkpoint && !tn_net_text(b, "heads"))
        tn_log(TN_LOG_WARNING,
               "bert: no tensor tells the number of heads: %" PRId64 ", %" PRId64
               " wide each, are assumed (the setting heads=N says otherwise)",
               s->heads, each);
    TN_NET_WANT(b, b->draft.failed || s->hidden % s->heads == 0, TN_INVALID,
                "bert: %" PRId64 " heads do not divide the width %" PRId64 "; --set heads=N",
                s->heads, s->hidden);
    s->epsilon = tn_net_number(b, "eps", 1e-12);
    s->act = tn_net_choice(b, "act", "gelu|gelu_tanh|relu", 0);
    s->answers = tn_net_tensor(b, "qa_outputs.weight") != NULL;
    s->words = tn_net_tensor(b, "cls.predictions.transform.dense.weight") != NULL;
    s->next_sentence = tn_net_tensor(b, "cls.seq_relationship.weight") != NULL;
    s->classifier = !b->checkpoint || tn_net_tensor(b, "classifier.weight");
    s->tokens = s->classifier && face && !has_pooler;
    s->pooler = tn_net_choice(b, "pool", "cls|pooler", face && has_pooler);
    if (s->classifier) {
        s->classes = size_of(b, "classes", 2, 0, 2, "classifier.weight");
        s->softmax = tn_net_flag(b, "softmax", !face);
    }
    s->mask_input = tn_net_choice(b, "mask", "ids|input", face);
    s->batch = face ? "batch" : "batch_size";
    s->seq = face ? "seq" : "seq_len";
    s->segments = face ? "token_type_ids" : "segment_ids";
}

/* ---- Inputs -----------------------------------------------------------------------------------*/

static tn_value *add_ids(tn_net_build *b, const sizes *s, const char *name)
{
    return tn_net_input(b, name, TN_DTYPE_I64, (int64_t[]){-1, -1},
                        (const char *[]){s->batch, s->seq}, 2);
}

/* What is added to scores, [batch, 1, 1, seq]: 0, and where nothing is to be read a large negative
 * number, as either library has it. */
static tn_value *add_mask(tn_net_build *b, const sizes *s, tn_value *ids, tn_value *given)
{
    tn_draft *d = &b->draft;
    const tn_attr to_f32 = tn_attr_int("to", TN_DTYPE_F32);
    tn_value *x;
    if (given) {
        x = tn_draft_op(d, "Cast", NULL, TN_IN(given), &to_f32, 1);
        x = tn_net_add(b, "Sub", NULL, tn_draft_scalar(d, TN_DTYPE_F32, 1), x);
    } else {
        x = tn_net_add(b, "Equal", NULL, ids, tn_draft_scalar(d, TN_DTYPE_I64, 0));
        x = tn_draft_op(d, "Cast", NULL, TN_IN(x), &to_f32, 1);
    }
    double far = s->mask_input ? -0x1.fffffep127 : -10000;
    x = tn_net_add(b, "Mul", NULL, x, tn_draft_scalar(d, TN_DTYPE_F32, far));
    return tn_draft_op(d, "Unsqueeze", "mask", TN_IN(x, tn_draft_ints(d, (int64_t[]){1, 2}, 2)),
                       TN_PLAIN);
}

static tn_value *add_embeddings(tn_net_build *b, const sizes *s, tn_value *ids, tn_value *types,
                                tn_value **table)
{
    static const char *const at = "bert.embeddings";
    tn_draft *d = &b->draft;
    const tn_attr axis = tn_attr_int("axis", 0);
    tn_value *words =
        tn_net_parameter(b, at, "word_embeddings.weight", TN_DIMS(s->vocab, s->hidden));
    tn_value *places =
        tn_net_parameter(b, at, "position_embeddings.weight", TN_DIMS(s->positions, s->hidden));
    tn_value *kinds =
        tn_net_parameter(b, at, "token_type_embeddings.weight", TN_DIMS(s->types, s->hidden));
    const int64_t zero = 0;
    *table = words;
    tn_value *seq = tn_draft_slice(d, NULL, tn_net_add(b, "Shape", NULL, ids, NULL), 0, 1, 2);
    words = tn_draft_op(d, "Gather", "embeddings.words", TN_IN(words, ids), &axis, 1);
    kinds = tn_draft_op(d, "Gather", "embeddings.types", TN_IN(kinds, types), &axis, 1);
    tn_value *first = tn_draft_ints(d, &zero, 1);
    places =
        tn_draft_op(d, "Slice", "embeddings.positions", TN_IN(places, first, seq, first), TN_PLAIN);
    tn_value *x = tn_net_add(b, "Add", NULL, words, kinds);
    x = tn_net_add(b, "Add", NULL, x, places);
    return tn_net_add_layer_norm(b, "bert.embeddings.LayerNorm", x, s->hidden, s->epsilon);
}

/* ---- Layers -----------------------------------------------------------------------------------*/

/* [batch, seq, hidden] to [batch, heads, seq, width of a head]; of keys the last two swapped. */
static tn_value *add_heads(tn_net_build *b, const sizes *s, const char *layer, const char *what,
                           tn_value *x, bool swapped)
{
    char name[128];
    snprintf(name, sizeof(name), "%s.attention.self.%s", layer, what);
    x = tn_net_add_linear(b, name, x, s->hidden, s->hidden, true);
    x = tn_draft_reshape(&b->draft, NULL, x, TN_DIMS(0, 0, s->heads, s->hidden / s->heads));
    if (swapped) return tn_draft_transpose(&b->draft, NULL, x, TN_DIMS(0, 2, 3, 1));
    return tn_draft_transpose(&b->draft, NULL, x, TN_DIMS(0, 2, 1, 3));
}

static tn_value *add_attention(tn_net_build *b, const sizes *s, const char *layer, tn_value *x,
                               tn_value *mask)
{
    char name[128];
    tn_draft *d = &b->draft;
    double root = __builtin_sqrt((double)(s->hidden / s->heads));
    tn_value *q = add_heads(b, s, layer, "query", x, false);
    tn_value *k = add_heads(b, s, layer, "key", x, true);
    tn_value *v = add_heads(b, s, layer, "value", x, false);
    snprintf(name, sizeof(name), "%s.attention.scores", layer);
    x = tn_net_add(b, "MatMul", name, q, k);
    x = tn_net_add(b, "Div", NULL, x, tn_draft_scalar(d, TN_DTYPE_F32, root));
    x = tn_net_add(b, "Add", NULL, x, mask);
    snprintf(name, sizeof(name), "%s.attention.softmax", layer);
    x = tn_draft_op(d, "Softmax", name, TN_IN(x), TN_WITH(tn_attr_int("axis", -1)));
    snprintf(name, sizeof(name), "%s.attention.context", layer);
    x = tn_net_add(b, "MatMul", name, x, v);
    x = tn_draft_transpose(d, NULL, x, TN_DIMS(0, 2, 1, 3));
    x = tn_draft_reshape(d, NULL, x, TN_DIMS(0, 0, s->hidden));
    snprintf(name, sizeof(name), "%s.attention.output.dense", layer);
    return tn_net_add_linear(b, name, x, s->hidden, s->hidden, true);
}

static tn_value *add_activation(tn_net_build *b, const sizes *s, const char *name, tn_value *x)
{
    if (s->act == 2) return tn_net_add(b, "Relu", name, x, NULL);
    return tn_draft_op(&b->draft, "Gelu", name, TN_IN(x),
                       TN_WITH(tn_attr_text("approximate", s->act ? "tanh" : "none")));
}

static tn_value *add_residual(tn_net_build *b, const sizes *s, const char *name, tn_value *x,
                              tn_value *y)
{
    x = tn_net_add(b, "Add", NULL, y, x);
    return tn_net_add_layer_norm(b, name, x, s->hidden, s->epsilon);
}

static tn_value *add_layer(tn_net_build *b, const sizes *s, int index, tn_value *x, tn_value *mask)
{
    char layer[64], name[128];
    snprintf(layer, sizeof(layer), LAYER, index);
    tn_value *y = add_attention(b, s, layer, x, mask);
    snprintf(name, sizeof(name), "%s.attention.output.LayerNorm", layer);
    x = add_residual(b, s, name, x, y);
    snprintf(name, sizeof(name), "%s.intermediate.dense", layer);
    y = tn_net_add_linear(b, name, x, s->hidden, s->inner, true);
    snprintf(name, sizeof(name), "%s.intermediate.act", layer);
    y = add_activation(b, s, name, y);
    snprintf(name, sizeof(name), "%s.output.dense", layer);
    y = tn_net_add_linear(b, name, y, s->inner, s->hidden, true);
    snprintf(name, sizeof(name), "%s.output.LayerNorm", layer);
    return add_residual(b, s, name, x, y);
}

/* ---- Heads ------------------------------------------------------------------------------------*/

/* A number for each word of the vocabulary; where the file has no weights of its own for that,
 * those of the embedding serve, as PyTorch ties them. */
static void add_words_head(tn_net_build *b, const sizes *s, tn_value *x, tn_value *table)
{
    static const char *const at = "cls.predictions";
    tn_draft *d = &b->draft;
    x = tn_net_add_linear(b, "cls.predictions.transform.dense", x, s->hidden, s->hidden, true);
    x = add_activation(b, s, "cls.predictions.transform.act", x);
    x = tn_net_add_layer_norm(b, "cls.predictions.transform.LayerNorm", x, s->hidden, s->epsilon);
    if (tn_net_tensor(b, "cls.predictions.decoder.weight"))
        table = tn_net_parameter(b, at, "decoder.weight", TN_DIMS(s->vocab, s->hidden));
    table = tn_draft_transpose(d, "cls.predictions.decoder/weight", table, TN_DIMS(1, 0));
    x = tn_net_add(b, "MatMul", "cls.predictions.decoder", x, table);
    x = tn_net_add(b, "Add", at, x, tn_net_parameter(b, at, "bias", TN_DIMS(s->vocab)));
    tn_draft_output(d, s->next_sentence ? "prediction_logits" : "logits", x);
}

static void add_answers_head(tn_net_build *b, const sizes *s, tn_value *x)
{
    static const char *const name[] = {"start_logits", "end_logits"};
    x = tn_net_add_linear(b, "qa_outputs", x, s->hidden, 2, true);
    for (int i = 0; i < 2; i++) {
        tn_value *y = tn_draft_slice(&b->draft, NULL, x, 2, i, i + 1);
        tn_draft_output(&b->draft, name[i], tn_draft_squeeze(&b->draft, NULL, y, 2));
    }
}

static tn_value *add_first_token(tn_net_build *b, const sizes *s, tn_value *x)
{
    tn_draft *d = &b->draft;
    x = tn_draft_op(d, "Gather", "first_token", TN_IN(x, tn_draft_scalar(d, TN_DTYPE_I64, 0)),
                    TN_WITH(tn_attr_int("axis", 1)));
    if (!s->pooler) return x;
    x = tn_net_add_linear(b, "bert.pooler.dense", x, s->hidden, s->hidden, true);
    return tn_net_add(b, "Tanh", "bert.pooler.act", x, NULL);
}

static void add_heads_of(tn_net_build *b, const sizes *s, tn_value *x, tn_value *table)
{
    tn_draft *d = &b->draft;
    tn_value *first = s->tokens ? x : add_first_token(b, s, x);
    if (s->classifier) {
        x = tn_net_add_linear(b, "classifier", first, s->hidden, s->classes, true);
        if (s->softmax)
            x = tn_draft_op(d, "Softmax", "softmax", TN_IN(x), TN_WITH(tn_attr_int("axis", -1)));
        tn_draft_output(d, style_of(b) == STYLE_HUGGING_FACE ? "logits" : "output", x);
        return;
    }
    if (s->answers) add_answers_head(b, s, x);
    if (s->words) add_words_head(b, s, x, table);
    if (s->next_sentence)
        tn_draft_output(d, "seq_relationship_logits",
                        tn_net_add_linear(b, "cls.seq_relationship", first, s->hidden, 2, true));
    if (s->answers || s->words || s->next_sentence) return;
    tn_draft_output(d, "last_hidden_state", x);
    if (s->pooler) tn_draft_output(d, "pooler_output", first);
}

static void build(tn_net_build *b)
{
    sizes s = {0};
    find_sizes(b, &s);
    if (b->draft.failed) return;
    tn_value *ids = add_ids(b, &s, "input_ids");
    tn_value *given = s.mask_input ? add_ids(b, &s, "attention_mask") : NULL;
    tn_value *types = add_ids(b, &s, s.segments);
    tn_value *mask = add_mask(b, &s, ids, given);
    tn_value *table, *x = add_embeddings(b, &s, ids, types, &table);
    for (int64_t i = 0; i < s.layers && !b->draft.failed; i++)
        x = add_layer(b, &s, (int)i, x, mask);
    add_heads_of(b, &s, x, table);
}

/* ---- Names ------------------------------------------------------------------------------------*/

#define OURS "bert.encoder.layer.*."
#define TORCH "bert.encoderLayer.{a}."
static const tn_net_rename bert4torch[] = {
    {"bert.embeddings.token_type_embeddings", "bert.embeddings.segment_embeddings"},
    {"bert.embeddings.LayerNorm", "bert.embeddings.layerNorm"},
    {OURS "attention.self.query", TORCH "multiHeadAttention.q"},
    {OURS "attention.self.key", TORCH "multiHeadAttention.k"},
    {OURS "attention.self.value", TORCH "multiHeadAttention.v"},
    {OURS "attention.output.dense", TORCH "multiHeadAttention.o"},
    {OURS "attention.output.LayerNorm", TORCH "layerNorm1"},
    {OURS "intermediate.dense", TORCH "feedForward.intermediateDense"},
    {OURS "output.dense", TORCH "feedForward.outputDense"},
    {OURS "output.LayerNorm", TORCH "layerNorm2"},
    {"bert.pooler.dense", "bert.pooler"},
    {"classifier", "dense"},
    {0},
};
static const tn_net_rename letters[] = {
    {"bert.embeddings.word_embeddings", "we"},
    {"bert.embeddings.position_embeddings", "pe"},
    {"bert.embeddings.token_type_embeddings", "se"},
    {"bert.embeddings.LayerNorm", "n"},
    {OURS "attention.self.query", "blocks.{a}.q"},
    {OURS "attention.self.key", "blocks.{a}.k"},
    {OURS "attention.self.value", "blocks.{a}.v"},
    {OURS "attention.output.dense", "blocks.{a}.o"},
    {OURS "attention.output.LayerNorm", "blocks.{a}.n1"},
    {OURS "intermediate.dense", "blocks.{a}.f1"},
    {OURS "output.dense", "blocks.{a}.f2"},
    {OURS "output.LayerNorm", "blocks.{a}.n2"},
    {"bert.pooler.dense", "pooler"},
    {"classifier", "dense"},
    {0},
};

#define ANCHOR                                                                                     \
    (const char *const[])                                                                          \
    {                                                                                              \
        "bert.embeddings.word_embeddings.weight",                                                  \
            "bert.encoder.layer.0.attention.self.query.weight", NULL                               \
    }
static const tn_net_scheme schemes[] = {
    {.name = "Hugging Face", .trunk = "bert.", .anchor = ANCHOR, .style = STYLE_HUGGING_FACE},
    {.name = "bert4torch",
     .trunk = "bert.",
     .rename = bert4torch,
     .anchor = ANCHOR,
     .style = STYLE_BERT4TORCH},
    {.name = "short names", .rename = letters, .anchor = ANCHOR, .style = STYLE_SHORT},
    {0},
};

const tn_net tn_net_bert = {
    .name = "bert",
    .about = "BERT with the head that the tensors are of: classifier, tokens, answers, words, none",
    .settings =
        "  heads (64 wide each; small ones with short names 32) eps=1e-12 act=gelu|gelu_tanh|relu "
        "pool=cls|pooler\n"
        "  mask=ids|input (padding is id 0, or an input tells) softmax=0|1; without a checkpoint:\n"
        "  vocab=30522 hidden=768 layers=12 intermediate=3072 positions=512 types=2 classes=2\n",
    .scheme = schemes,
    .buffer =
        (const char *const[]){"embeddings.position_ids", "embeddings.token_type_ids",
                              "pooler.weight", "pooler.bias", "cls.predictions.decoder.bias", NULL},
    .build = build,
};
