/* Random graphs: what the maker hands to the checker. */
#ifndef TN_TESTS_RANDOM_GRAPHS_H
#define TN_TESTS_RANDOM_GRAPHS_H

#include "ir/graph.h"
#include "ir/op.h"

/* Every graph is run at this many sets of sizes: its symbols differ from set to set. */
enum { SETS = 3, ITEMS_MAX = 512, SYMBOLS_MAX = 24, BOUND_MAX = 512, INPUTS_MAX = 64 };

/* ---- Chance: the same numbers from the same seed on every machine
 * ------------------------------*/

typedef struct dice {
    uint64_t state;
} dice;

uint64_t roll(dice *d);
int pick(dice *d, int count); /* [0, count) */
bool chance(dice *d, int percent);
double unit(dice *d); /* [0, 1) */

/* ---- The maker
 * ---------------------------------------------------------------------------------*/

/* A value with what it holds at each set of sizes, found by the reference kernels one by one; at
 * SHAKEN, what it held when every float of a set was shaken last. */
enum { SHAKEN = SETS };
typedef struct item {
    tn_value *value;
    tn_tensor at[SETS + 1];
    bool missing; /* its node fails at some set: it can be an output, but nothing reads it */
} item;

typedef struct symbol {
    char name[24];
    int64_t at[SETS];
} symbol;

typedef struct maker {
    tn_graph *graph;
    tn_arena arena; /* of the data */
    dice dice;
    item item[ITEMS_MAX];
    int item_count;
    symbol symbol[SYMBOLS_MAX];
    int symbol_count;
    /* Run-time symbols and what they turned out to be. */
    struct {
        tn_expr expr;
        int64_t at[SETS];
    } bound[BOUND_MAX];
    int bound_count;
    struct chunk
        *chunk;       /* the memory of each tensor, apart from others: a read beyond it is seen */
    bool fails[SETS]; /* a node was kept that its reference refuses at this set */
    bool out_of_memory;
    int refused;        /* candidates that inference or their reference did not take */
    char finding[3000]; /* a promise of inference that the reference does not keep */
} maker;

/* A graph from a seed. only >= 0: nothing but the outputs of that node are outputs. */
void maker_init(maker *m, uint64_t seed);
tn_status make_graph(maker *m, int only) TN_MUST_USE;
void maker_fini(maker *m);

/* What the parts of the maker share. All give NULL where the operator does not take it. */
typedef struct draft {
    const tn_op *op;
    const void *params;  /* or NULL ... */
    const tn_node *like; /* ... for the attributes of another node */
    tn_value *in[INPUTS_MAX];
    int in_count, out_count;
} draft;

tn_node *add_node(maker *m, const draft *d);
/* "Gather", "{axis=1}": inputs NULL are absent. */
tn_value *add(maker *m, const char *op, const char *params, int in_count, ...);
tn_value *add_constant(maker *m, const tn_tensor *t);
tn_value *add_ints(maker *m, int count, const int64_t *at);
tn_value *add_int(maker *m, int64_t value); /* rank 0 */
tn_value *add_random_input(maker *m, tn_dtype dtype, int rank, const int64_t *dim,
                           int dynamic_percent, double lo, double hi);
tn_value *add_input_of(maker *m, const tn_tensor *t); /* with the data given, at every set */
const item *find_item(const maker *m, const tn_value *value);
/* The reference kernels one by one again, with rounding errors of all floats made anew at random:
 * of what is read and of what each node gives, a few units in the last place of its largest
 * element. False where a kernel fails. */
bool shake(maker *m, int set, dice *d);
/* A value that others may read, the last ones more often; NULL if there is none. rank -1: any. */
tn_value *pick_value(maker *m, tn_dtypes types, int rank);

/* Arithmetic on shapes that ends in an operator which takes a shape (make_shapes.c). */
void add_shape_chain(maker *m);
/* What optimisers look for, written as exporters do (make_patterns.c). */
void add_pattern(maker *m);
/* Recurrent layers with what exporters write around them (make_recurrent.c). */
void add_recurrent_layers(maker *m);
/* Attention from its parts (make_attention.c). */
void add_attention(maker *m);

/* ---- The checker
 * -------------------------------------------------------------------------------*/

typedef struct verdict {
    bool bad;
    bool ran, failed,
        unstable; /* some set ran; some set failed on all sides; differences that the
                     reference itself shows when its inputs change in the sixth digit */
    char text[6000];
    char *optimised; /* the engine's graph where there is one; tn_text_free */
} verdict;

void check_graph(maker *m, verdict *out);
/* The graph as text with all its constants; tn_text_free. NULL if it cannot be printed. */
char *graph_text(const tn_graph *graph);

/* ---- Memory
 * ------------------------------------------------------------------------------------*/

/* Fresh memory is full of `rubbish`, and no block is larger than a limit: what reads memory that
 * nobody wrote gives other results on the other side. */
void set_rubbish(int rubbish);

#endif
