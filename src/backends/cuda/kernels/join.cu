/* Concat (JOIN) and Split: rows of a whole against rows of its parts, in units of UNIT, an integer or
 * uint128. */
#ifndef UNIT
#define UNIT uint32
#define JOIN 1
#endif

struct parts { /* mirrored in join.c */
    UNIT *whole;
    UNIT *part[16];
    uint32 begin[17]; /* where in a row each part begins, in units; part_count + 1 of them */
    uint32 row_units; /* of the whole */
    uint32 count;     /* units of all these parts */
    int32 part_count;
    divider columns; /* begin[part_count] - begin[0] */
};

extern "C" __global__ void __launch_bounds__(256) join(const __grid_constant__ parts p)
{
    uint32 i = blockIdx.x * 256 + threadIdx.x, column;
    tn_start_consumer();
    tn_wait_for_producer();
    if (i >= p.count) return;
    uint32 row = divide(i, p.columns, &column), k = 0;
    column += p.begin[0];
    while (column >= p.begin[k + 1]) k++;
    UNIT *whole = p.whole + row * p.row_units + column;
    UNIT *part = p.part[k] + row * (p.begin[k + 1] - p.begin[k]) + column - p.begin[k];
    if (JOIN) *whole = *part;
    else *part = *whole;
}
