/* Private to export: which form an operator has at an opset. */
#ifndef TN_EXPORT_ONNX_FORMS_H
#define TN_EXPORT_ONNX_FORMS_H

#include "export/export.h"

/* The least opset at which a node can be written as one node, and why ("its input 3"); *why is a
 * word for messages and may be NULL. */
int64_t tn_onnx_node_opset(const tn_node *node, char *why, size_t why_bytes);
/* Today's form of a node -> that of the opset: inputs that were attributes, defaults that differed.
 * The node then only serves to be written. */
tn_status tn_onnx_node_form(tn_node *node, int64_t opset) TN_MUST_USE;

/* Is it an operator of ai.onnx (with this name, where name is not NULL). */
bool tn_onnx_is_plain(const tn_op *op, const char *name);

#endif
