/* Private to import/: how the files of the ONNX importer work together.
 *
 *     onnx_depth.c     bytes -> messages, once the bytes are known to be harmless
 *     onnx_model.c     versions, domains, the order of the steps below
 *     onnx_function.c  nodes + model-local functions -> one flat list of nodes for each graph
 *     onnx_expand.c    nodes that stand for others with graphs inside: SequenceMap, Scan of opset 8
 *     onnx_graph.c     flat list, inputs, initializers -> tn_graph
 *     onnx_inside.c    the same for graphs inside nodes
 *     onnx_type.c      TypeProto -> tn_type;  onnx_attr.c  AttributeProto -> tn_attr, Constant
 *     onnx_tensor.c    TensorProto -> tn_tensor;  onnx_external.c  data in other files
 *     onnx_text.c      messages in protobuf text format
 *
 * Unpacked messages live in the arena of the import, so graphs may point at their names and data.
 */
#ifndef TN_IMPORT_ONNX_IMPORT_H
#define TN_IMPORT_ONNX_IMPORT_H

#include "import/import.h"
#include "onnx.pb-c.h"

/* The oldest and newest versions whose meaning is known; others are tried with a warning. */
#define TN_ONNX_IR_MIN 3
#define TN_ONNX_IR_MAX 13
#define TN_ONNX_OPSET_MIN 7
#define TN_ONNX_OPSET_MAX 27

/* An attribute of a node after references to a caller's attributes are replaced. */
typedef struct tn_onnx_attr {
    const char *name;
    const TnOnnx__AttributeProto *value;
    struct tn_onnx_graph *graph; /* the value is a graph: NULL if not */
} tn_onnx_attr;

/* A node of the model or of an inlined function, with the names of values as the flat graph has
 * them. */
typedef struct tn_onnx_node {
    const char *name, *op_type, *domain;
    const char **in, **out;
    int64_t in_count, out_count;
    int64_t in_given; /* in[in_given...]: what the graphs in its attributes use from outside */
    tn_onnx_attr *attr;
    int64_t attr_count;
    int64_t opset;   /* of the node's domain where the node stands; 0: not imported */
    const tn_op *op; /* NULL for Constant */
} tn_onnx_node;

/* A graph of the file: the model's own or one in an attribute. */
typedef struct tn_onnx_graph {
    const char *name;
    const TnOnnx__GraphProto *proto; /* for initializers and declared types; NULL: it has none */
    const char **in, **out, **initializer; /* names as the flat graph has them */
    int64_t in_count, out_count;
    tn_onnx_node *node;
    int64_t node_count, node_capacity;
    const char **used; /* names from outside */
    int64_t used_count, used_capacity;
    tn_map used_names;
} tn_onnx_graph;

typedef struct tn_onnx_importer {
    tn_import *import;
    tn_arena *arena;                /* of the import */
    const tn_load_options *options; /* may be NULL */
    const char *name, *folder;
    const TnOnnx__ModelProto *model;
    tn_graph *root, *graph; /* graph: the one that is made now, of `now` */
    tn_onnx_graph *now;
    tn_map symbols;          /* dim_param -> its tn_expr in a box */
    tn_map symbol_names;     /* names given to symbols */
    int64_t differing_count; /* declared shapes that inference contradicts */
} tn_onnx_importer;

/* Unpack a message into the arena. Lengths, wire types, nesting, and what unpacking would allocate
 * are checked first. `what` is for messages: "model.onnx". */
tn_status tn_onnx_unpack(tn_arena *arena, const ProtobufCMessageDescriptor *type, const void *bytes,
                         size_t byte_count, const char *what, void **out) TN_MUST_USE;

/* Version of a domain in a list of imports; 0 if it is not there. */
int64_t tn_onnx_opset(TnOnnx__OperatorSetIdProto *const *imports, size_t count, const char *domain);
/* "" and "ai.onnx" are the same domain. */
bool tn_onnx_same_domain(const char *a, const char *b);
bool tn_onnx_is_standard(const char *domain);

/* All nodes of the graph, functions inlined, into importer->now. */
tn_status tn_onnx_flatten(tn_onnx_importer *importer) TN_MUST_USE;
/* Nodes that stand for others are replaced by those; the rest stays as it is. */
tn_status tn_onnx_expand(tn_onnx_importer *importer, tn_onnx_node *node) TN_MUST_USE;
/* Names that the nodes of a graph read and nobody in it writes: into graph->used. */
tn_status tn_onnx_find_used(tn_arena *arena, tn_onnx_graph *graph) TN_MUST_USE;
/* Behind a node's own inputs: what the graphs in its attributes use. */
tn_status tn_onnx_append_used(tn_arena *arena, tn_onnx_node *node) TN_MUST_USE;
/* importer->now -> importer->graph. */
tn_status tn_onnx_build_graph(tn_onnx_importer *importer) TN_MUST_USE;
/* The same for a graph that has its inputs already. */
tn_status tn_onnx_fill_graph(tn_onnx_importer *importer) TN_MUST_USE;
/* The graphs in the attributes of a node whose inputs have types. */
tn_status tn_onnx_build_inside(tn_onnx_importer *importer, const tn_onnx_node *source,
                               tn_node *node) TN_MUST_USE;

/* A declared type; dims that are not numbers become symbols, one for each dim_param. A dim without
 * a number or name gets a symbol of its own, called after `name`. */
tn_status tn_onnx_type(tn_onnx_importer *importer, const char *name, const TnOnnx__TypeProto *proto,
                       tn_type *out) TN_MUST_USE;
/* What inference found for a value against what the file declares. */
tn_status tn_onnx_merge_type(tn_onnx_importer *importer, tn_value *value,
                             const TnOnnx__TypeProto *proto) TN_MUST_USE;

tn_status tn_onnx_attribute(tn_onnx_importer *importer, const tn_onnx_attr *attr,
                            tn_attr *out) TN_MUST_USE;
/* The value of a Constant node, in whichever attribute it stands. */
tn_status tn_onnx_constant(tn_onnx_importer *importer, const tn_onnx_node *node,
                           tn_tensor *out) TN_MUST_USE;

/* Data of a tensor: borrowed from the message where it has the right form, else made in the arena.
 * External data comes through `importer`, which may be NULL where none is allowed. */
tn_status tn_onnx_tensor(tn_onnx_importer *importer, tn_arena *arena,
                         const TnOnnx__TensorProto *proto, tn_tensor *out) TN_MUST_USE;
/* A tensor whose type and shape are set gets its data from the file it names. */
tn_status tn_onnx_external(tn_onnx_importer *importer, const TnOnnx__TensorProto *proto,
                           tn_tensor *tensor) TN_MUST_USE;
void tn_onnx_mappings_free(struct tn_mapping_list *list);

/* A message in protobuf text format, indented by `depth` levels. */
void tn_onnx_text(const ProtobufCMessage *message, int depth, tn_text *out);

#endif
