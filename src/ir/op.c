/* Looking operators up. */
#include "ir/op.h"

#include <string.h>

static const char *domain_of(const char *domain)
{
    return !domain || !strcmp(domain, "ai.onnx") ? "" : domain;
}

/* A plain scan: a name compare mostly ends at its first letter, and a graph asks once a node. */
const tn_op *tn_op_find(const char *domain, const char *name)
{
    domain = domain_of(domain);
    for (const tn_op *const *op = tn_op_table; *op; op++)
        if (!strcmp((*op)->name, name) && !strcmp(domain_of((*op)->domain), domain)) return *op;
    return NULL;
}
