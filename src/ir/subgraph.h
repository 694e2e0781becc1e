/* Graphs inside nodes: the branches of If, the bodies of Loop and Scan.
 *
 * Such a graph has expressions of its own. Its inputs are those that the operator gives, then what
 * it uses from outside ("captured"), which are inputs of the node as well:
 *
 *     If   (cond, captured ...)                           branch(captured ...)
 *     Loop (count, cond, carried ..., captured ...)       body(iteration, cond, carried ...,
 * captured ...) Scan (carried ..., scanned ..., captured ...)       body(carried ..., slices ...,
 * captured ...) SequenceMap (given ..., captured ...)               body(items ..., captured ...)
 *
 * so but for If, whose graphs lack the condition, input i of the node is input i of the graph. An
 * attribute `carried` of Loop and Scan says how many values are carried, `given` of SequenceMap how
 * many are given; without it nothing is captured.
 *
 * A dim outside that is a number is that number inside; any other becomes a symbol, the same symbol
 * for the same expression. A carried dim that the body changes gets a symbol of its own
 * (tn_value.varies). Types of such inputs are found once, when a file is imported, and stay: passes
 * make types outside sharper, never wider, so what was true stays true.
 */
#ifndef TN_IR_SUBGRAPH_H
#define TN_IR_SUBGRAPH_H

#include "ir/op.h"

/* The graphs in a node's attributes, in order; NULL beyond the last. */
tn_graph *tn_node_inside(const tn_node *node, int index);
bool tn_node_has_inside(const tn_node *node);
/* Input i of a graph inside is input i + this of the node. */
int tn_node_inside_shift(const tn_node *node);
/* How many inputs of a graph inside the operator gives; those behind them are captured. */
int tn_node_inside_given(const tn_node *node);

/* Import: the types of the inputs of all graphs inside, from those of the node's inputs. */
tn_status tn_node_enter(tn_node *node) TN_MUST_USE;
/* Import: the same, and all types inside anew, until what is carried comes out as it went in. */
tn_status tn_node_settle(tn_node *node) TN_MUST_USE;
/* For infer: seen[i] is the type of input i of a graph inside, in expressions of the node's graph;
 * checks that those fit what the graph declares, and what is carried too. */
tn_status tn_infer_inside(tn_infer *f, tn_graph *inside, tn_type **seen) TN_MUST_USE;
/* Types of a graph inside in expressions of the node's graph; a dim that only the inside knows is
 * NONE. */
tn_status tn_infer_outside(tn_infer *f, const tn_graph *inside, const tn_type *seen,
                           const tn_type *type, int count, tn_type *out) TN_MUST_USE;
/* What is true of both: dims that differ become NONE, ranks that differ -1. */
tn_status tn_type_join(const tn_type *a, const tn_type *b, tn_type *out) TN_MUST_USE;

/* Captured constants become constants inside; captured values that nobody reads are dropped. */
tn_status tn_node_trim_captured(tn_node *node, int64_t *changed) TN_MUST_USE;
/* A copy of a graph as a child of `parent`; data is shared. */
tn_status tn_graph_clone_inside(const tn_graph *graph, tn_graph *parent,
                                tn_graph **out) TN_MUST_USE;
/* The nodes of a graph inside `node`, copied before it; out[i] gets the value of its output i.
 * *done is false, and nothing changed, where the graph speaks of its symbols and so cannot move. */
tn_status tn_node_inline(tn_node *node, const tn_graph *inside, tn_value **out,
                         bool *done) TN_MUST_USE;

#endif
