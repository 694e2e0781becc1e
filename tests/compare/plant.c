/* A checkpoint with a fault in it: one tensor is multiplied by a factor, or, with an element's
 * number, that element alone. Usage: plant IN OUT NAME FACTOR [ELEMENT] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tenon/tenon.h>

static int fail(const char *what, tn_status status)
{
    fprintf(stderr, "plant: %s: %s\n", what, tn_status_message(status));
    return 1;
}

/* A dense copy of a float tensor of any strides. */
static float *scaled(const tn_tensor *t, float factor, int64_t element, tn_tensor *out)
{
    int64_t count = tn_tensor_count(t);
    float *at = malloc((size_t)count * sizeof(*at));
    for (int64_t i = 0; at && i < count; i++) {
        int64_t offset = 0, rest = i;
        for (int axis = t->rank - 1; axis >= 0; axis--) {
            offset += rest % t->dim[axis] * t->stride[axis];
            rest /= t->dim[axis];
        }
        at[i] = ((const float *)t->data)[offset] * (element < 0 || element == i ? factor : 1);
    }
    *out = tn_tensor_of(t->dtype, t->dim, t->rank, at);
    return at;
}

int main(int argc, char **argv)
{
    if (argc != 5 && argc != 6) {
        fprintf(stderr, "usage: plant IN OUT NAME FACTOR [ELEMENT]\n");
        return 2;
    }
    tn_checkpoint *checkpoint;
    tn_status status = tn_checkpoint_load(argv[1], &checkpoint);
    if (status) return fail(argv[1], status);
    int64_t count = tn_checkpoint_count(checkpoint), element = argc == 6 ? atoll(argv[5]) : -1;
    const char **names = calloc((size_t)count, sizeof(*names));
    tn_tensor *tensors = calloc((size_t)count, sizeof(*tensors));
    float *changed = NULL;
    if (!names || !tensors) return 1;
    for (int64_t i = 0; i < count; i++) {
        status = tn_checkpoint_tensor_at(checkpoint, i, &names[i], &tensors[i]);
        if (status) return fail(argv[1], status);
        if (strcmp(names[i], argv[3]) != 0 || tensors[i].dtype != TN_DTYPE_F32) continue;
        changed = scaled(&tensors[i], strtof(argv[4], NULL), element, &tensors[i]);
        if (!changed) return 1;
    }
    if (!changed) {
        fprintf(stderr, "plant: %s has no f32 tensor '%s'\n", argv[1], argv[3]);
        return 1;
    }
    status = tn_checkpoint_save(argv[2], names, tensors, count);
    if (status) return fail(argv[2], status);
    free(changed);
    free(names);
    free(tensors);
    tn_checkpoint_free(checkpoint);
    return 0;
}
