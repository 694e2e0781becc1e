#include "passes/epilogue.h"

#include <math.h>
#include <string.h>

static bool read_bound(const tn_node *node, int index, float otherwise, float *out)
{
    double number;
    *out = otherwise;
    if (index >= node->in_count || !node->in[index]) return true;
    if (!tn_constant_number(node->in[index], &number) || isnan(number)) return false;
    *out = (float)number;
    return (double)*out == number;
}

static bool read_clip(const tn_node *node, tn_epilogue *out)
{
    out->kind = TN_EPILOGUE_CLIP;
    return read_bound(node, 1, -INFINITY, &out->alpha) && read_bound(node, 2, INFINITY, &out->beta);
}

static bool read_gated(const tn_node *gate, tn_epilogue *out)
{
    if (!strcmp(gate->op->name, "Sigmoid")) {
        out->kind = TN_EPILOGUE_SILU;
        return true;
    }
    out->kind = TN_EPILOGUE_HARD_SWISH;
    return fabs(tn_node_float_attr(gate, "alpha", 0.2) - 1.0 / 6) < 1e-7 &&
           tn_node_float_attr(gate, "beta", 0.5) == 0.5;
}

static bool is_tanh_gelu(const tn_node *node)
{
    const tn_attr *attr = tn_node_find_attr(node, "approximate");
    return attr && attr->kind == TN_ATTR_TEXT && !strcmp(attr->text.text, "tanh");
}

bool tn_epilogue_read(const tn_match *match, tn_epilogue *out)
{
    static const struct {
        const char *op;
        tn_epilogue_kind kind;
    } plain[] = {{"Relu", TN_EPILOGUE_RELU},
                 {"Tanh", TN_EPILOGUE_TANH},
                 {"Sigmoid", TN_EPILOGUE_SIGMOID},
                 {"HardSwish", TN_EPILOGUE_HARD_SWISH}};
    const tn_node *y = tn_match_node(match, "y"), *gate = tn_match_node(match, "gate");
    const char *name = y->op->name;
    *out = (tn_epilogue){.kind = TN_EPILOGUE_NONE};
    if (gate) return read_gated(gate, out);
    for (size_t i = 0; i < TN_COUNT(plain); i++)
        if (!strcmp(name, plain[i].op)) out->kind = plain[i].kind;
    if (out->kind != TN_EPILOGUE_NONE) return true;
    if (!strcmp(name, "Clip")) return read_clip(y, out);
    if (!strcmp(name, "Gelu")) {
        out->kind = is_tanh_gelu(y) ? TN_EPILOGUE_GELU_TANH : TN_EPILOGUE_GELU;
        return true;
    }
    if (!strcmp(name, "LeakyRelu")) {
        out->kind = TN_EPILOGUE_LEAKY_RELU;
        out->alpha = (float)tn_node_float_attr(y, "alpha", 0.01);
        return !isnan(out->alpha);
    }
    out->kind = TN_EPILOGUE_SILU;
    return !strcmp(name, "Swish") && tn_node_float_attr(y, "alpha", 1) == 1;
}

tn_epilogue tn_epilogue_of_node(const tn_node *node)
{
    const tn_attr *attr = tn_node_find_attr(node, "activation");
    tn_epilogue out = {.alpha = (float)tn_node_float_attr(node, "alpha", 0),
                       .beta = (float)tn_node_float_attr(node, "beta", 0)};
    if (attr && attr->kind == TN_ATTR_TEXT)
        out.kind = tn_choice_find(TN_EPILOGUES, attr->text.text, attr->text.bytes);
    return out;
}

tn_status tn_epilogue_set(tn_node *node, const tn_epilogue *epilogue)
{
    size_t bytes;
    const char *word = tn_choice_text(TN_EPILOGUES, epilogue->kind, &bytes);
    tn_attr attr = {.name = "activation", .kind = TN_ATTR_TEXT, .text = {word, bytes}};
    tn_attr alpha = {.name = "alpha", .kind = TN_ATTR_FLOAT, .f = (double)epilogue->alpha};
    tn_attr beta = {.name = "beta", .kind = TN_ATTR_FLOAT, .f = (double)epilogue->beta};
    if (epilogue->kind == TN_EPILOGUE_NONE) return NULL;
    TN_TRY(tn_node_set_attr(node, &attr));
    if (epilogue->alpha != 0) TN_TRY(tn_node_set_attr(node, &alpha));
    return epilogue->beta != 0 ? tn_node_set_attr(node, &beta) : NULL;
}

bool tn_residual_fits(const tn_value *sum, const tn_value *other, const tn_node *y)
{
    if (sum->type.rank < 0 || !tn_type_equals(&sum->type, &other->type) ||
        !tn_type_equals(&sum->type, &y->out[0]->type))
        return false;
    for (const tn_node *node = sum->producer; node && node != y; node = node->next)
        if (node == other->producer) return false;
    return true;
}

void tn_match_clear(const tn_match *match)
{
    for (int round = 0; round < match->count; round++) /* readers go before what they read */
        for (int i = 0; i < match->count; i++) {
            tn_node *node = match->bound[i].node;
            if (node && node->graph && node->out_count == 1 && !tn_value_has_users(node->out[0]))
                tn_node_remove(node);
        }
}

bool tn_epilogue_holds(const tn_match *match)
{
    tn_epilogue unused;
    return !tn_node_find_attr(tn_match_node(match, "sum"), "activation") &&
           tn_epilogue_read(match, &unused);
}

tn_status tn_epilogue_end(const tn_match *match, tn_node *node, const tn_epilogue *epilogue)
{
    TN_TRY(tn_epilogue_set(node, epilogue));
    TN_TRY(tn_node_lower(node));
    TN_TRY(tn_node_infer(node));
    TN_TRY(tn_value_replace(tn_match_node(match, "y")->out[0], node->out[0]));
    tn_match_clear(match);
    return NULL;
}

tn_status tn_epilogue_rules(tn_graph *graph, const tn_rule *rules, int count, int64_t *changed)
{
    int64_t before;
    do {
        before = *changed;
        TN_TRY(tn_rules_apply(graph, rules, count, changed));
    } while (*changed > before);
    return NULL;
}
