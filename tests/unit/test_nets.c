/* Networks by name: sizes, names of parameters, and what is said of tensors that do not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fault/failing_allocator.h"
#include "nets/inside.h"

enum { KEYS_MAX = 400 };

/* A network built over graph inputs, as a trainer does it: which parameters it asks for. */
typedef struct record {
    char key[KEYS_MAX][128];
    int64_t dim[KEYS_MAX][4];
    int rank[KEYS_MAX];
    int count;
    int64_t elements;
} record;
static record asked;
static float zeros[1 << 16];

static tn_value *record_parameter(tn_net_build *b, const char *key, const int64_t *dim, int rank)
{
    record *r = b->self;
    tn_expr at[4];
    int64_t elements = 1;
    assert_true(r->count < KEYS_MAX && rank <= 4);
    snprintf(r->key[r->count], sizeof(r->key[0]), "%s", key);
    for (int i = 0; i < rank; i++) {
        assert_true(dim[i] > 0);
        r->dim[r->count][i] = dim[i];
        elements *= dim[i];
        at[i] = tn_expr_const(b->draft.graph->exprs, dim[i]);
    }
    r->rank[r->count++] = rank;
    r->elements += elements;
    return tn_draft_input(&b->draft, key, tn_type_of(TN_DTYPE_F32, rank, at));
}

static tn_status build(const char *name, const char *const *setting, int setting_count,
                       tn_graph **out)
{
    asked.count = 0;
    asked.elements = 0;
    assert_null(tn_graph_new(name, out));
    tn_net_build b = {.draft = {.graph = *out},
                      .net = tn_net_find(name),
                      .setting = setting,
                      .setting_count = setting_count,
                      .parameter = record_parameter,
                      .self = &asked};
    assert_non_null(b.net);
    b.net->build(&b);
    return tn_net_end(&b);
}

/* Settings of one text, "a=1 b=2". */
static int split(char *text, const char **setting)
{
    int count = 0;
    for (char *at = strtok(text, " "); at; at = strtok(NULL, " ")) setting[count++] = at;
    return count;
}

static tn_status build_with(const char *name, const char *settings, tn_graph **out)
{
    char text[256];
    const char *setting[32];
    snprintf(text, sizeof(text), "%s", settings);
    return build(name, setting, split(text, setting), out);
}

/* Counts that PyTorch, torchvision and the papers give (running statistics of norms are 53,120 of
 * ResNet-50; the pooler of BERT is not read by the classifier of bert4torch). */
static void has_the_known_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *name, *settings, *type;
        int64_t elements;
    } table[] = {
        {"lenet", "", "f32[batch,10]", 431080},
        {"alexnet", "", "f32[batch,1000]", 61100840},
        {"resnet50", "", "f32[batch,1000]", 25557032 + 53120},
        {"swin", "", "f32[batch,1000]", 28288354},
        {"swin", "depths=2,2,18,2", "f32[batch,1000]", 49606258},
        {"swin", "depths=2,2,18,2 width=128", "f32[batch,1000]", 87768224},
        {"bert", "vocab=21128", "f32[batch,2]", 102269186},
        {"lstm", "input_size=2 hidden_size=6 num_layers=3 bidirectional=1 out_features=2",
         "f32[nBatchSize,1,2]", 2426},
        {"lstm", "input_size=2 cell=gru hidden_size=5 out_features=4 horizon=2 steps=9 states=1",
         "f32[nBatchSize,2,2]", 3 * 5 * (2 + 5 + 2) + 24},
        {"lstm", "input_size=10 hidden_size=20 num_layers=10 bidirectional=1 linear=0",
         "f32[sequence,batch,40]", 94400},
    };
    for (size_t i = 0; i < TN_COUNT(table); i++) {
        char type[160];
        tn_graph *graph;
        tn_status status = build_with(table[i].name, table[i].settings, &graph);
        if (status) fail_msg("%s: %s", table[i].name, tn_status_message(status));
        assert_null(tn_graph_verify(graph));
        assert_string_equal(
            tn_type_text(graph->exprs, &graph->output[0].value->type, type, sizeof(type)),
            table[i].type);
        assert_int_equal(asked.elements, table[i].elements);
        tn_graph_free(graph);
    }
}

static void asks_in_the_order_of_state_dict(void **state)
{
    (void)state;
    static const char *const want[] = {"lstm.weight_ih_l0",
                                       "lstm.weight_hh_l0",
                                       "lstm.bias_ih_l0",
                                       "lstm.bias_hh_l0",
                                       "lstm.weight_ih_l0_reverse",
                                       "lstm.weight_hh_l0_reverse",
                                       "lstm.bias_ih_l0_reverse",
                                       "lstm.bias_hh_l0_reverse",
                                       "lstm.weight_ih_l1",
                                       "lstm.weight_hh_l1",
                                       "lstm.bias_ih_l1",
                                       "lstm.bias_hh_l1",
                                       "lstm.weight_ih_l1_reverse",
                                       "lstm.weight_hh_l1_reverse",
                                       "lstm.bias_ih_l1_reverse",
                                       "lstm.bias_hh_l1_reverse",
                                       "fc.weight",
                                       "fc.bias"};
    tn_graph *graph;
    assert_null(build_with("lstm", "num_layers=2 bidirectional=1", &graph));
    assert_int_equal(asked.count, TN_COUNT(want));
    for (int i = 0; i < asked.count; i++) assert_string_equal(asked.key[i], want[i]);
    tn_graph_free(graph);
}

static void refuses_settings(void **state)
{
    (void)state;
    static const struct {
        const char *name, *settings, *says;
    } table[] = {
        {"lstm", "hidden_size=0", "hidden_size is 0; it must lie within 1"},
        {"lstm", "hidden_size=12x", "wants a whole number, not '12x'"},
        {"lstm", "hidden_size=99999999999999999999", "wants a whole number"},
        {"lstm", "hidden_size=4611686018427387904", "must lie within 1"},
        {"lstm", "num_layers=1000000", "must lie within 1 to 1000"},
        {"lstm", "bidirectional=2", "must lie within 0 to 1"},
        {"lstm", "cell=ltsm", "it can be lstm|gru|rnn"},
        {"lstm", "out_features=3 horizon=2", "3 outputs cannot be cut into a horizon of 2"},
        {"lstm", "linear=0 horizon=2", "'horizon=2' is none of this network"},
        {"lenet", "image=9", "nothing is left of an image of 9 x 9"},
        {"alexnet", "image=256", "cannot be averaged to 6 x 6"},
        {"alexnet", "image=62", "must lie within 63"},
        {"resnet50", "depths=3,4,6", "depths are 4 numbers, not 3"},
        {"resnet50", "depths=3,4,6,3000", "more than 1000 blocks"},
        {"resnet50", "depths=3,4,,3", "not '3,4,,3'"},
        {"swin", "heads=3,6,12,5", "5 heads do not divide the width 768"},
        {"swin", "heads=3,6", "heads are 2 numbers for 4 stages"},
        {"swin", "image=225", "patches of 4 do not divide the image of 225"},
        {"swin", "image=256", "windows of 7 do not divide the 64 x 64"},
        {"swin", "image=1000000", "must lie within 4 to 4096"},
        {"swin", "image=56 depths=1,1,1,1", "stage 2 cannot halve 7 x 7"},
        {"swin", "image=4096 window=64 depths=2", "attn_mask would take"},
        {"swin", "eps=0", "a number between 0 and 1"},
        {"bert", "heads=0", "heads is 0"},
        {"bert", "heads=5", "5 heads do not divide the width 768"},
        {"bert", "hidden=-64", "hidden is -64"},
        {"bert", "act=silu", "it can be gelu|gelu_tanh|relu"},
        {"bert", "colour=blue", "the setting 'colour=blue' is none of this network"},
    };
    for (size_t i = 0; i < TN_COUNT(table); i++) {
        tn_graph *graph;
        tn_status status = build_with(table[i].name, table[i].settings, &graph);
        if (!status || !strstr(tn_status_message(status), table[i].says))
            fail_msg("%s %s: %s", table[i].name, table[i].settings, tn_status_message(status));
        assert_int_equal(tn_status_code(status),
                         strstr(table[i].says, "averaged") || strstr(table[i].says, "windows")
                             ? TN_UNSUPPORTED
                             : TN_INVALID);
        tn_graph_free(graph);
    }
}

/* ---- Checkpoints ------------------------------------------------------------------------------*/

static tn_checkpoint *empty(void)
{
    static const char bytes[] = "\2\0\0\0\0\0\0\0{}";
    tn_checkpoint *c;
    assert_null(tn_checkpoint_read(bytes, sizeof(bytes) - 1, &c));
    return c;
}

static void put(tn_checkpoint *c, const char *name, tn_dtype dtype, const int64_t *dim, int rank)
{
    tn_tensor t = tn_tensor_of(dtype, dim, rank, zeros);
    assert_true(tn_tensor_bytes(&t) <= (int64_t)sizeof(zeros));
    assert_null(tn_checkpoint_add(c, name, strlen(name), &t));
}

/* What the last network asked for, under the names of a scheme behind a prefix. */
static tn_checkpoint *checkpoint_of(const tn_net_scheme *scheme, const char *prefix)
{
    tn_checkpoint *c = empty();
    tn_net_names names = {.scheme = scheme};
    snprintf(names.root, sizeof(names.root), "%s", prefix);
    snprintf(names.trunk, sizeof(names.trunk), "%s%s", prefix, scheme->trunk ? scheme->trunk : "");
    for (int i = 0; i < asked.count; i++) {
        char name[TN_NET_KEY_MAX];
        assert_true(tn_net_translate(&names, asked.key[i], name, sizeof(name)));
        put(c, name, TN_DTYPE_F32, asked.dim[i], asked.rank[i]);
    }
    return c;
}

static tn_status load(const tn_checkpoint *c, const char *name, const char *settings)
{
    char text[256];
    const char *setting[32];
    tn_graph *graph;
    snprintf(text, sizeof(text), "%s", settings);
    tn_status status = tn_net_load(tn_net_find(name), c, setting, split(text, setting), &graph);
    if (!status) tn_graph_free(graph);
    return status;
}

static void assert_fails(const tn_checkpoint *c, const char *name, const char *settings,
                         tn_code code, const char *says)
{
    tn_status status = load(c, name, settings);
    if (tn_status_code(status) != code || !strstr(tn_status_message(status), says))
        fail_msg("wanted %s '%s', got %s: %s", tn_code_name(code), says,
                 tn_code_name(tn_status_code(status)), tn_status_message(status));
}

/* Small ones; `load` are the settings that no tensor tells. */
static const struct {
    const char *name, *settings, *load, *has;
} small[] = {
    {"lstm", "input_size=2 hidden_size=3 num_layers=2 bidirectional=1", "", "lstm.bias_hh_l1"},
    {"lstm", "input_size=2 hidden_size=3 cell=gru bias=0", "", "lstm.weight_hh_l0"},
    {"lenet", "image=16 conv1=2 conv2=3 hidden=4", "", "fc2.bias"},
    {"resnet50", "width=2 stem=3 depths=2,1,1,1 classes=5", "", "layer1.0.downsample.1.weight"},
    {"swin", "width=4 window=2 image=32 depths=2,2 heads=1,2 classes=3", "image=32",
     "features.3.1.mlp.3.bias"},
    {"bert", "vocab=9 hidden=8 layers=2 heads=2 intermediate=6 positions=7", "heads=2",
     "encoderLayer.1.feedForward.outputDense.weight"},
};

static void loads_every_naming(void **state)
{
    (void)state;
    for (size_t i = 0; i < TN_COUNT(small); i++) {
        const tn_net *net = tn_net_find(small[i].name);
        bool seen = false;
        for (const tn_net_scheme *s = net->scheme; s->name; s++) {
            tn_graph *graph;
            assert_null(build_with(small[i].name, small[i].settings, &graph));
            tn_graph_free(graph);
            tn_checkpoint *c = checkpoint_of(s, strcmp(s->name, "timm") ? "module." : "");
            for (int64_t k = 0; k < c->count; k++)
                seen |= tn_net_ends_in(c->tensor[k].name, small[i].has);
            assert_ptr_equal(tn_net_recognise(c), net);
            tn_status status = load(c, net->name, small[i].load);
            if (status) fail_msg("%s, %s: %s", net->name, s->name, tn_status_message(status));
            tn_checkpoint_close(c);
        }
        assert_true(seen);
    }
}

static tn_checkpoint *small_lenet(const char *without)
{
    tn_graph *graph;
    tn_checkpoint *c = empty();
    assert_null(build_with("lenet", small[2].settings, &graph));
    tn_graph_free(graph);
    for (int i = 0; i < asked.count; i++)
        if (!without || !strstr(without, asked.key[i]))
            put(c, asked.key[i], TN_DTYPE_F32, asked.dim[i], asked.rank[i]);
    return c;
}

static void tells_all_keys_at_once(void **state)
{
    (void)state;
    tn_checkpoint *c = small_lenet("conv1.bias fc1.bias fc2.bias");
    put(c, "extra.weight", TN_DTYPE_F32, TN_DIMS(2, 3));
    put(c, "a\tb", TN_DTYPE_F32, TN_DIMS(2));
    put(c, "fc2.bias", TN_DTYPE_F32, TN_DIMS(7));
    assert_fails(c, "lenet", "", TN_INVALID, "missing keys: \"conv1.bias\", \"fc1.bias\"\n");
    assert_fails(c, "lenet", "", TN_INVALID, "unexpected keys: \"extra.weight\", \"a?b\"\n");
    assert_fails(c, "lenet", "", TN_INVALID, "\"fc2.bias\" is f32[7] and should be f32[10]");
    tn_checkpoint_close(c);
    c = small_lenet(NULL);
    put(c, "extra.weight", TN_DTYPE_F32, TN_DIMS(2, 3));
    assert_fails(c, "lenet", "", TN_INVALID, "strict=0");
    assert_null(load(c, "lenet", "strict=0"));
    assert_fails(c, "lenet", "classes=11", TN_INVALID,
                 "\"fc2.weight\" is f32[10,4] and should be f32[11,4]");
    assert_fails(c, "lenet", "conv3=1", TN_INVALID, "'conv3=1' is none of this network");
    assert_fails(c, "alexnet", "", TN_INVALID, "they look like lenet");
    tn_checkpoint_close(c);
    /* More than the message holds: as many as it does, and their number. */
    c = small_lenet(NULL);
    for (int i = 0; i < 300; i++) {
        char name[64];
        snprintf(name, sizeof(name), "blocks.%d.a_name_of_some_length.weight", i);
        put(c, name, TN_DTYPE_F32, TN_DIMS(1));
    }
    assert_fails(c, "lenet", "", TN_INVALID, " and 29");
    tn_checkpoint_close(c);
    c = empty();
    assert_fails(c, "bert", "", TN_INVALID, "the file has 0 tensors");
    assert_null(tn_net_recognise(c));
    tn_checkpoint_close(c);
}

/* Shapes that a file may claim: an error each, and no memory taken for them. */
static void survives_hostile_shapes(void **state)
{
    (void)state;
    static const int64_t many = INT64_C(1) << 23;
    static const struct {
        const char *key, *says;
        tn_dtype dtype;
        int rank;
        int64_t dim[5];
        tn_code code;
    } table[] = {
        {"fc2.weight", "classes is 0", TN_DTYPE_F32, 2, {0, 4}, TN_INVALID},
        {"conv1.weight", "kernel1 is 0", TN_DTYPE_F32, 4, {2, 1, 5, 0}, TN_INVALID},
        {"conv1.weight", "\"conv1.weight\" is f32[2]", TN_DTYPE_F32, 1, {2}, TN_INVALID},
        {"conv1.weight", "\"conv1.weight\" is f32[]", TN_DTYPE_F32, 0, {0}, TN_INVALID},
        {"conv1.weight",
         "\"conv1.weight\" is f32[2,1,5,5,1]",
         TN_DTYPE_F32,
         5,
         {2, 1, 5, 5, 1},
         TN_INVALID},
        {"conv1.weight",
         "f32[2,1,6,5] and should be f32[2,1,5,5]",
         TN_DTYPE_F32,
         4,
         {2, 1, 6, 5},
         TN_INVALID},
        {"conv1.weight",
         "\"conv1.weight\" is i64[2,1,5,5]",
         TN_DTYPE_I64,
         4,
         {2, 1, 5, 5},
         TN_INVALID},
        {"fc1.weight", "\"fc1.weight\" is f32[4,7] and", TN_DTYPE_F32, 2, {4, 7}, TN_INVALID},
    };
    for (size_t i = 0; i < TN_COUNT(table); i++) {
        tn_checkpoint *c = small_lenet(table[i].key);
        put(c, table[i].key, table[i].dtype, table[i].dim, table[i].rank);
        assert_fails(c, "lenet", "", table[i].code,
                     table[i].rank ? table[i].says : "\"conv1.weight\" is f32 and");
        tn_checkpoint_close(c);
    }
    /* One row of four numbers, seen 2^23 times. */
    tn_checkpoint *c = small_lenet("fc2.weight fc2.bias");
    tn_tensor rows = tn_tensor_of(TN_DTYPE_F32, TN_DIMS(many, 4), zeros);
    tn_tensor row = tn_tensor_of(TN_DTYPE_F32, TN_DIMS(many), zeros);
    rows.stride[0] = 0;
    row.stride[0] = 0;
    assert_null(tn_checkpoint_add(c, "fc2.weight", 10, &rows));
    row.dim[0] = 1 << 16;
    tn_tensor_set_dense(&row);
    assert_null(tn_checkpoint_add(c, "fc2.bias", 8, &row));
    assert_fails(c, "lenet", "", TN_CORRUPT, "more than a file of 10 bytes is allowed");
    tn_checkpoint_close(c);
    /* Rows that are no multiple of the columns; a projection; a table of no window. */
    c = empty();
    put(c, "weight_ih_l0", TN_DTYPE_F32, TN_DIMS(10, 3));
    put(c, "weight_hh_l0", TN_DTYPE_F32, TN_DIMS(10, 5));
    assert_fails(c, "lstm", "", TN_INVALID, "10 rows and 5 columns");
    tn_checkpoint_close(c);
    c = empty();
    put(c, "weight_ih_l0", TN_DTYPE_F32, TN_DIMS(8, 3));
    put(c, "weight_hh_l0", TN_DTYPE_F32, TN_DIMS(8, 2));
    put(c, "weight_hr_l0", TN_DTYPE_F32, TN_DIMS(1, 2));
    assert_fails(c, "lstm", "", TN_UNSUPPORTED, "proj_size");
    tn_checkpoint_close(c);
    c = empty();
    put(c, "layers.0.blocks.0.attn.relative_position_bias_table", TN_DTYPE_F32, TN_DIMS(10, 1));
    put(c, "head.fc.weight", TN_DTYPE_F32, TN_DIMS(10, 1));
    assert_fails(c, "swin", "", TN_INVALID, "window is 0");
    tn_checkpoint_close(c);
}

static void converts_floats_and_strides(void **state)
{
    (void)state;
    static const double data[] = {1, 2, 3, 4};
    static uint16_t half[] = {0x3c00, 0x4000};
    const float want[] = {1, 3, 2, 4};
    tn_checkpoint *c = empty();
    tn_graph *graph;
    tn_tensor t = tn_tensor_of(TN_DTYPE_F64, TN_DIMS(2, 2), (void *)(uintptr_t)data);
    t.stride[0] = 1;
    t.stride[1] = 2;
    put(c, "weight_ih_l0", TN_DTYPE_F32, TN_DIMS(2, 1));
    assert_null(tn_checkpoint_add(c, "weight_hh_l0", 12, &t));
    t = tn_tensor_of(TN_DTYPE_F16, TN_DIMS(2), half);
    assert_null(tn_checkpoint_add(c, "bias_ih_l0", 10, &t));
    assert_null(tn_checkpoint_add(c, "bias_hh_l0", 10, &t));
    assert_null(tn_net_load(tn_net_find("lstm"), c, NULL, 0, &graph));
    const tn_value *w = tn_map_find(&graph->names, "weight_hh_l0");
    const tn_value *b = tn_map_find(&graph->names, "bias_hh_l0");
    assert_non_null(w);
    assert_non_null(b);
    assert_int_equal(w->type.dtype, TN_DTYPE_F32);
    assert_memory_equal(w->constant.data, want, sizeof(want));
    assert_true(((const float *)b->constant.data)[1] == 2);
    tn_graph_free(graph);
    tn_checkpoint_close(c);
}

/* Recognised, built, folded and described; the checkpoint goes first. */
static tn_status model_of(tn_checkpoint *c)
{
    tn_model *model;
    tn_io io;
    tn_status status = tn_model_from_checkpoint(c, NULL, NULL, 0, &model);
    if (status) return status;
    assert_null(tn_model_input(model, 0, &io));
    assert_string_equal(io.dim_name[0], "batch");
    tn_model_free(model);
    return NULL;
}

static void survives_a_lack_of_memory(void **state)
{
    (void)state;
    tn_checkpoint *c = small_lenet(NULL);
    for (int64_t n = 1; n < 100000; n++) {
        failing_install(n, n % 2 ? FAIL_ONCE : FAIL_FROM_THERE);
        tn_code code = tn_status_code(model_of(c));
        failing_counts counts = failing_remove();
        assert_int_equal(counts.live_bytes, 0);
        assert_int_equal(counts.errors, 0);
        if (!counts.failed) break;
        assert_true(code == TN_OK || code == TN_OUT_OF_MEMORY);
    }
    tn_checkpoint_close(c);
}

/* A model keeps its checkpoint. */
static void outlives_its_checkpoint(void **state)
{
    (void)state;
    const char *const wrong[] = {"classes"};
    tn_model *first, *second;
    char *text;
    tn_checkpoint *c = small_lenet(NULL);
    assert_null(tn_model_from_checkpoint(c, "lenet", NULL, 0, &first));
    tn_model_free(first);
    assert_null(tn_model_from_checkpoint(c, NULL, NULL, 0, &second));
    assert_int_equal(tn_status_code(tn_model_from_checkpoint(c, "vgg", NULL, 0, &first)),
                     TN_NOT_FOUND);
    assert_null(first);
    assert_int_equal(tn_status_code(tn_model_from_checkpoint(c, NULL, wrong, 1, &first)),
                     TN_INVALID);
    assert_string_equal(tn_checkpoint_arch(c), "lenet");
    tn_checkpoint_free(c);
    assert_null(tn_model_text(second, TN_TEXT_GRAPH, &text));
    assert_non_null(strstr(text, "fc2"));
    tn_text_free(text);
    tn_model_free(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_the_known_sizes),
        cmocka_unit_test(asks_in_the_order_of_state_dict),
        cmocka_unit_test(refuses_settings),
        cmocka_unit_test(loads_every_naming),
        cmocka_unit_test(tells_all_keys_at_once),
        cmocka_unit_test(survives_hostile_shapes),
        cmocka_unit_test(converts_floats_and_strides),
        cmocka_unit_test(survives_a_lack_of_memory),
        cmocka_unit_test(outlives_its_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
