/* Problems as text and as a hash. */
#include <string.h>

#include "base/bytes.h"
#include "device/device.h"

void tn_problem_print(const tn_problem *p, tn_text *out)
{
    tn_text_printf(out, "%s", p->op);
    if (p->field) tn_params_print(p->field, p->field_count, p->params, out);
    else if (p->params_bytes) /* rows are not known: tell problems apart all the same */
        tn_text_printf(out, "{#%016llx}",
                       (unsigned long long)tn_hash_bytes(p->params, p->params_bytes));
    for (int i = 0; i < p->in_count; i++) {
        tn_text_printf(out, " ");
        tn_tensor_print_type(&p->in[i], out);
        if (i < 64 && p->in_constant >> i & 1) tn_text_printf(out, "!");
    }
    for (int i = 0; i < p->out_count; i++) {
        tn_text_printf(out, "%s", i ? " " : " -> ");
        tn_tensor_print_type(&p->out[i], out);
    }
}

/* The hash so far and one more piece. */
static uint64_t mix(uint64_t hash, uint64_t piece)
{
    uint64_t both[2] = {hash, piece};
    return tn_hash_bytes(both, sizeof both);
}

static uint64_t mix_type(uint64_t hash, const tn_tensor *t)
{
    hash = mix(hash, (uint64_t)t->dtype << 32 | (uint32_t)t->rank);
    for (int axis = 0; axis < t->rank; axis++) hash = mix(hash, (uint64_t)t->dim[axis]);
    return hash;
}

uint64_t tn_problem_hash(const tn_problem *p)
{
    uint64_t hash = tn_hash_bytes(p->op, strlen(p->op));
    if (p->params_bytes) hash = mix(hash, tn_hash_bytes(p->params, p->params_bytes));
    hash = mix(hash, (uint64_t)p->in_count << 32 | (uint32_t)p->out_count);
    hash = mix(hash, p->in_constant);
    for (int i = 0; i < p->in_count; i++) hash = mix_type(hash, &p->in[i]);
    for (int i = 0; i < p->out_count; i++) hash = mix_type(hash, &p->out[i]);
    return hash;
}
