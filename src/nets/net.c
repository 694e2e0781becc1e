/* Networks by name: the table, and their parameters from a checkpoint. See net.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nets/inside.h"

extern const tn_net tn_net_lstm, tn_net_lenet, tn_net_alexnet, tn_net_resnet50, tn_net_swin,
    tn_net_bert;

const tn_net *const tn_net_table[] = {
    &tn_net_lstm, &tn_net_lenet, &tn_net_alexnet, &tn_net_resnet50, &tn_net_swin,
    &tn_net_bert, NULL};

const tn_net *tn_net_find(const char *name)
{
    for (int i = 0; tn_net_table[i]; i++)
        if (strcmp(tn_net_table[i]->name, name) == 0) return tn_net_table[i];
    return NULL;
}

/* ---- Reporting --------------------------------------------------------------------------------*/

/* Names for one line of the report: as many as the line holds, and how many more there are. */
typedef struct tally {
    tn_text text;
    int64_t count, shown;
} tally;

static void count_in(tally *t, const char *item, size_t room)
{
    t->count++;
    if (t->text.bytes + strlen(item) > room && t->shown) return;
    tn_text_printf(&t->text, "%s%.200s", t->shown ? ", " : "", item);
    t->shown++;
}

static void print_tally(tn_text *out, const char *what, const tally *t)
{
    if (!t->count) return;
    tn_text_printf(out, "\n    %s: %s", what, t->text.at ? t->text.at : "");
    if (t->count > t->shown) tn_text_printf(out, " and %" PRId64 " more", t->count - t->shown);
}

static void quote(const char *name, char *dst, size_t room)
{
    size_t used = 0;
    dst[used++] = '"';
    for (; *name && used + 2 < room; name++)
        dst[used++] = (unsigned char)*name < 32 || *name == 127 ? '?' : *name;
    dst[used++] = '"';
    dst[used] = 0;
}

/* ---- Loading ----------------------------------------------------------------------------------*/

typedef struct loader {
    tn_net_build build;
    const tn_checkpoint *checkpoint;
    bool *used; /* which tensors of the checkpoint */
    size_t copy_left;
    tally missing, unexpected, misshapen;
} loader;

/* In place of a parameter that is not there or not of its shape, so that the rest is looked at too.
 * The graph is thrown away. */
static tn_value *stand_in(loader *l, const char *name, const int64_t *dim, int rank)
{
    tn_expr at[TN_RANK_MAX];
    const char *fresh;
    tn_draft *d = &l->build.draft;
    for (int i = 0; i < rank; i++) at[i] = tn_expr_const(d->graph->exprs, dim[i]);
    if (!tn_draft_try(d, tn_graph_fresh_name(d->graph, name, &fresh))) return NULL;
    return tn_draft_input(d, fresh, tn_type_of(TN_DTYPE_F32, rank, at));
}

static bool has_shape(const tn_tensor *t, const int64_t *dim, int rank)
{
    bool same = t->rank == rank && (TN_DTS_FLOAT >> t->dtype & 1);
    for (int i = 0; same && i < rank; i++) same = t->dim[i] == dim[i];
    return same;
}

static tn_status add_parameter(loader *l, const tn_checkpoint_tensor *found, tn_value **out)
{
    tn_graph *graph = l->build.draft.graph;
    tn_tensor t = found->view, dense;
    const char *name;
    TN_TRY(tn_graph_fresh_name(graph, found->name, &name));
    if (t.dtype == TN_DTYPE_F32 && tn_tensor_is_dense(&t)) {
        TN_TRY(tn_graph_add_constant(graph, name, &t, false, out));
        return NULL;
    }
    int64_t bytes;
    dense = tn_tensor_of(TN_DTYPE_F32, t.dim, t.rank, NULL);
    bytes = tn_tensor_bytes(&dense);
    TN_CHECK(bytes >= 0 && (uint64_t)bytes <= l->copy_left, TN_CORRUPT,
             "'%s' would take %" PRId64
             " bytes of memory: more than a file of %zu bytes is allowed "
             "to",
             found->name, bytes, l->checkpoint->byte_count);
    l->copy_left -= (size_t)bytes;
    dense.data = tn_arena_alloc(graph->arena, (size_t)bytes);
    TN_CHECK(dense.data, TN_OUT_OF_MEMORY, "no memory for %" PRId64 " bytes of '%s'", bytes,
             found->name);
    if (bytes) TN_TRY(tn_tensor_convert(&t, &dense));
    TN_TRY(tn_graph_add_constant(graph, name, &dense, false, out));
    return NULL;
}

static tn_value *take_parameter(tn_net_build *b, const char *key, const int64_t *dim, int rank)
{
    loader *l = b->self;
    char theirs[TN_NET_KEY_MAX], item[2 * TN_NET_KEY_MAX];
    const tn_checkpoint_tensor *found = tn_net_lookup(l->checkpoint, &b->names, key);
    tn_value *value = NULL;
    if (!found) {
        if (!tn_net_translate(&b->names, key, theirs, sizeof(theirs))) memcpy(theirs, "?", 2);
        quote(theirs, item, sizeof(item));
        count_in(&l->missing, item, 300);
        return stand_in(l, key, dim, rank);
    }
    l->used[found - l->checkpoint->tensor] = true;
    if (!has_shape(&found->view, dim, rank)) {
        char is[160], wanted[160], name[TN_NET_KEY_MAX];
        tn_tensor want = tn_tensor_of(TN_DTYPE_F32, dim, rank, NULL);
        quote(found->name, name, sizeof(name));
        snprintf(item, sizeof(item), "%s is %s and should be %s", name,
                 tn_tensor_type_text(&found->view, is, sizeof(is)),
                 tn_tensor_type_text(&want, wanted, sizeof(wanted)));
        count_in(&l->misshapen, item, 300);
        return stand_in(l, key, dim, rank);
    }
    tn_draft_try(&b->draft, add_parameter(l, found, &value));
    return value;
}

static bool is_buffer(const tn_net *net, const char *name)
{
    for (const char *const *end = net->buffer; end && *end; end++)
        if (tn_net_ends_in(name, *end)) return true;
    return false;
}

/* What PyTorch says as "Error(s) in loading state_dict". */
static tn_status check_keys(loader *l)
{
    const tn_checkpoint *c = l->checkpoint;
    for (int64_t i = 0; i < c->count && !l->build.lax; i++) {
        char item[TN_NET_KEY_MAX];
        if (l->used[i] || is_buffer(l->build.net, c->tensor[i].name)) continue;
        quote(c->tensor[i].name, item, sizeof(item));
        count_in(&l->unexpected, item, 200);
    }
    if (!l->missing.count && !l->unexpected.count && !l->misshapen.count) return NULL;
    tn_text text = {0};
    print_tally(&text, "missing keys", &l->missing);
    print_tally(&text, "unexpected keys", &l->unexpected);
    print_tally(&text, "other shapes", &l->misshapen);
    tn_status status =
        TN_ERROR(TN_INVALID, "the tensors do not fit the network %s (names as in %s):%s%s",
                 l->build.net->name, l->build.names.scheme->name, text.at ? text.at : "",
                 l->unexpected.count && !l->missing.count && !l->misshapen.count
                     ? "\n    (strict=0 lets unexpected keys be)"
                     : "");
    tn_text_fini(&text);
    return status;
}

/* No scheme of the network's names is in the file: say what was looked for. */
static tn_status say_unknown(const tn_net *net, const tn_checkpoint *c)
{
    const tn_net *guess = tn_net_recognise(c);
    tally have = {0};
    tn_text want = {0};
    char item[TN_NET_KEY_MAX];
    for (int64_t i = 0; i < c->count; i++) {
        quote(c->tensor[i].name, item, sizeof(item));
        count_in(&have, item, 120);
    }
    for (const tn_net_scheme *s = net->scheme; s->name; s++) {
        const tn_net_names names = {.scheme = s};
        char key[TN_NET_KEY_MAX];
        tn_text_printf(&want, "%s%s as in", s == net->scheme ? "" : "; ", s->name);
        for (const char *const *a = s->anchor; *a; a++)
            if (tn_net_translate(&names, *a, key, sizeof(key)))
                tn_text_printf(&want, " \"%s\"", key);
    }
    tn_text_printf(&have.text, "%s", have.count > have.shown ? ", ..." : "");
    tn_status status =
        TN_ERROR(TN_INVALID,
                 "the checkpoint's keys are not those of the network %s%s%s\n    names known: %s\n"
                 "    the file has %" PRId64 " tensors: %s",
                 net->name, guess ? "; they look like " : "", guess ? guess->name : "",
                 want.at ? want.at : "", c->count, have.text.at ? have.text.at : "");
    tn_text_fini(&want);
    tn_text_fini(&have.text);
    return status;
}

static tn_status build_graph(loader *l)
{
    tn_net_build *b = &l->build;
    l->used = tn_arena_alloc(b->draft.graph->arena, (size_t)l->checkpoint->count);
    TN_CHECK(l->used, TN_OUT_OF_MEMORY, "no memory to load a network");
    if (!tn_net_names_find(b->net, l->checkpoint, &b->names))
        return say_unknown(b->net, l->checkpoint);
    b->lax = !tn_net_flag(b, "strict", true);
    b->net->build(b);
    /* A network of odd tensors may have failed for want of the right ones: they are told first. */
    if (b->draft.failed && (l->missing.count || l->misshapen.count)) (void)!tn_draft_end(&b->draft);
    else TN_TRY(tn_net_end(b));
    TN_TRY(check_keys(l));
    TN_TRY(tn_graph_verify(b->draft.graph));
    return NULL;
}

tn_status tn_net_load(const tn_net *net, const tn_checkpoint *checkpoint,
                      const char *const *setting, int setting_count, tn_graph **out)
{
    enum { COPY_TIMES = 64, COPY_ANYWAY = 64 << 20 };
    loader l = {.build = {.net = net,
                          .setting = setting,
                          .setting_count = setting_count,
                          .parameter = take_parameter,
                          .checkpoint = checkpoint},
                .checkpoint = checkpoint};
    *out = NULL;
    l.build.self = &l;
    l.copy_left = checkpoint->byte_count < SIZE_MAX / 128
                      ? checkpoint->byte_count * COPY_TIMES + COPY_ANYWAY
                      : SIZE_MAX;
    TN_TRY(tn_graph_new(net->name, &l.build.draft.graph));
    tn_status status = build_graph(&l);
    tn_text_fini(&l.missing.text);
    tn_text_fini(&l.unexpected.text);
    tn_text_fini(&l.misshapen.text);
    if (status) {
        tn_graph_free(l.build.draft.graph);
        return tn_status_note(tn_status_trail(status, __FILE__, __LINE__, __func__),
                              "while building the network %s", net->name);
    }
    *out = l.build.draft.graph;
    return NULL;
}
