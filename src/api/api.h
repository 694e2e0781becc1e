/* Private to api: argument checks, and what the handles of other files hold. */
#ifndef TN_API_API_H
#define TN_API_API_H

#include "base/status.h"
#include "ir/graph.h"

#define TN_NOT_NULL(argument)                                                                      \
    TN_CHECK((argument) != NULL, TN_INVALID, "%s: " #argument " is NULL", __func__)

const tn_graph *tn_model_graph(const tn_model *model);

#endif
