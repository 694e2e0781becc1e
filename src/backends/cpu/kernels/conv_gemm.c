/* Conv and FusedConv in f32 as a matrix product (conv_cut.h). DEPTH rows of panels side by side are
 * gathered on the stack and meet all output channels of a unit.
 *
 * The weights, packed as the columns of W', serve either side of a tile (tile.h):
 *
 *     positions in lanes    y[o, s]   tiles of rows of W times a panel of positions
 *     channels in lanes     y'[s, o]  tiles of positions times a panel of W', turned at the end
 *
 * The second is for planes so small that positions would leave lanes empty. Every sum runs over (c,
 * tap) in rising order. */
#include "backends/cpu/kernels/conv_cost.h"
#include "backends/cpu/kernels/conv_cut.h"
#include "backends/cpu/kernels/conv_end.h"
#include "backends/cpu/variant.h"

enum { GRAIN = 500000 }; /* multiply-adds worth a thread: waking one costs as much as some 70 us */
enum { DEPTH = TILE_DEPTH };
/* Panels side by side, and rows of all of them: what lies far apart is written so much at a time.
 */
enum { TOGETHER = 8, TOGETHER_ROWS = 4 * DEPTH };

typedef struct job {
    conv_cut cut; /* first */
    const float *packed;
    float *y, *turned; /* turned: y' of a round of samples, or NULL */
    tile_end end;
    bool simple; /* a bias, a residual and a bound are all of it, */
    const float *bias, *residual;
    float low;            /* which is that of a ReLU, 0 */
    int64_t rows;         /* of the right side, gathered at a time */
    int64_t pitch;        /* of a position in `turned` */
    int64_t together;     /* panels that are gathered side by side, at most */
    const float *weights; /* as they come, for packing */
    float *pack_to;
} job;

static void read_weights(const tn_problem *p, job *j)
{
    *j = (job){.weights = p->in[1].data};
    conv_cut_weights(p, &j->cut);
}

static int64_t packed_floats(const job *j)
{
    return j->cut.groups * tile_packed_count(j->cut.depth, j->cut.outputs);
}

static bool is_packed(const tn_problem *p)
{
    return p->in_constant & 2;
}

/* Lanes that would do work, of all. */
static double share_of_lanes(int64_t count)
{
    int64_t vectors = (count + VF32_LANES - 1) / VF32_LANES;
    return (double)count / (double)(vectors * VF32_LANES);
}

static bool is_turned(const job *j)
{
    int64_t positions = j->cut.planes.w.out_count;
    return positions <= 8 * TILE_COLUMNS &&
           share_of_lanes(positions) < 0.9 * share_of_lanes(j->cut.outputs);
}

static void read(const tn_problem *p, job *j)
{
    read_weights(p, j);
    conv_cut_read(p, &j->cut);
    int64_t passes = (j->cut.depth + DEPTH - 1) / DEPTH;
    j->rows = passes ? (j->cut.depth + passes - 1) / passes : 1;
    j->together = TN_MIN(TOGETHER, TOGETHER_ROWS / j->rows);
    /* Not a power of two, for the rows of a tile not to share a set of the cache. */
    j->pitch = (int64_t)tn_align_up((size_t)j->cut.outputs, VF32_LANES) + VF32_LANES;
    if (j->cut.planes.direct && !is_turned(j)) j->cut.round = TN_MAX(1, j->cut.samples);
}

/* Parts of the scratch memory, in order; at NULL: only counted. */
static size_t cut_scratch(const tn_problem *p, job *j, char *at)
{
    size_t used = conv_cut_scratch(&j->cut, at);
    int64_t floats[2] = {0};
    if (!is_packed(p)) floats[0] = packed_floats(j);
    if (is_turned(j))
        floats[1] = j->cut.round * j->cut.groups * j->pitch * j->cut.planes.w.out_count;
    float *part[2];
    for (int i = 0; i < 2; i++) {
        part[i] = at && floats[i] ? (float *)(void *)(at + used) : NULL;
        used += tn_align_up((size_t)floats[i] * sizeof(float), TN_ALIGNMENT);
    }
    j->pack_to = part[0];
    j->turned = part[1];
    return used;
}

static size_t scratch_bytes(const tn_problem *p)
{
    job j;
    read(p, &j);
    return cut_scratch(p, &j, NULL);
}

/* Output channels that take as long as it takes to gather for all of them. */
static int64_t cost_gather(const job *j)
{
    return j->cut.planes.direct ? 4 : 8;
}

/* Rows of the right side are gathered once for all outputs, which is what few outputs pay for. */
static double estimate_ns(const tn_problem *p)
{
    job j;
    read(p, &j);
    int64_t positions = j.cut.planes.w.out_count;
    double vectors = cost_vectors(positions) * (double)j.cut.outputs;
    if (is_turned(&j)) vectors = cost_vectors(j.cut.outputs) * (double)positions;
    double gathered = cost_vectors(positions) * (double)cost_gather(&j);
    double products = (double)(j.cut.samples * j.cut.groups * j.cut.depth) * (vectors + gathered);
    return cost_ns(products, (double)packed_floats(&j));
}

/* ---- Weights ---------------------------------------------------------------------------------*/

static tn_status pack_share(void *arg, int64_t begin, int64_t end, int thread)
{
    job *j = arg;
    int64_t panels = tile_panels(j->cut.outputs);
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t group = at / panels, panel = at % panels;
        tile_pack(j->weights + group * j->cut.outputs * j->cut.depth, 1, j->cut.depth, j->cut.depth,
                  j->cut.outputs, panel, panel + 1,
                  j->pack_to + group * tile_packed_count(j->cut.depth, j->cut.outputs));
    }
    return NULL;
}

static size_t packed_bytes(const tn_problem *p)
{
    job j;
    read_weights(p, &j);
    return is_packed(p) ? tn_align_up((size_t)packed_floats(&j) * sizeof(float), TN_ALIGNMENT) : 0;
}

static tn_status pack(const tn_problem *p, void *dst)
{
    job j;
    read_weights(p, &j);
    j.pack_to = dst;
    size_t bytes = packed_bytes(p);
    if (bytes == 0) return NULL;
    memset(dst, 0, bytes); /* the padding too: the same model gives the same file */
    return pack_share(&j, 0, j.cut.groups * tile_panels(j.cut.outputs), 0);
}

static bool panels(const tn_problem *p, tn_panels *out)
{
    job j;
    read_weights(p, &j);
    *out = (tn_panels){j.cut.groups, j.cut.depth, j.cut.outputs, TILE_COLUMNS, true};
    return is_packed(p);
}

static uint64_t unused(const tn_problem *p)
{
    return is_packed(p) ? 2 : 0;
}

/* ---- Positions in lanes ----------------------------------------------------------------------*/

static const float *weights_at(const job *j, const conv_unit *u, int64_t o, int64_t row)
{
    const conv_cut *c = &j->cut;
    return j->packed + u->group * tile_packed_count(c->depth, c->outputs) + o * c->depth +
           row * TILE_COLUMNS;
}

/* A panel's positions and one packed panel of weights, from output o on; `rows` of the sum. */
static void run_positions(const job *j, const conv_unit *u, int64_t o, int64_t row, int64_t rows,
                          const float *panel)
{
    int64_t size = j->cut.planes.w.out_count, outputs = TN_MIN(TILE_COLUMNS, j->cut.outputs - o);
    float *c = j->y + (u->channel + o) * size + u->first;
    bool last = row + rows == j->cut.depth;
    tile_ends ends = {.low = j->low};
    if (j->bias) ends.bias = j->bias + u->group * j->cut.outputs + o;
    if (j->residual) ends.residual = j->residual + (c - j->y);
    tile_column_turned(outputs, u->count, rows, weights_at(j, u, o, row), TILE_COLUMNS, panel, c,
                       size, row > 0, last && j->simple ? &ends : NULL);
    if (last && !j->simple && j->end.any)
        tile_end_run(&j->end, u->group * j->cut.outputs + o, u->first, outputs, u->count, c, size);
}

/* ---- Channels in lanes -----------------------------------------------------------------------*/

static float *turned_at(const job *j, const conv_unit *u)
{
    int64_t group = u->sample * j->cut.groups + u->group;
    return j->turned + (group * j->cut.planes.w.out_count + u->first) * j->pitch;
}

static void run_channels(const job *j, const conv_unit *u, int64_t o, int64_t row, int64_t rows,
                         const float *panel)
{
    tile_column_turned(u->count, TN_MIN(TILE_COLUMNS, j->cut.outputs - o), rows, panel,
                       TILE_COLUMNS, weights_at(j, u, o, row), turned_at(j, u) + o, j->pitch,
                       row > 0, NULL);
}

/* Lanes are stored one by one: reading down the columns instead would hit the same few sets of the
 * cache again and again. */
static void turn(const float *src, int64_t positions, int64_t src_step, int64_t channels,
                 float *dst, int64_t dst_step)
{
    for (int64_t o = 0; o < channels; o += VF32_LANES) {
        int64_t lanes = TN_MIN(VF32_LANES, channels - o);
        for (int64_t s = 0; s < positions; s++) {
            float lane[VF32_LANES], *to = dst + o * dst_step + s;
            vf32_store(lane, vf32_load(src + s * src_step + o));
            if (lanes == VF32_LANES)
                for (int i = 0; i < VF32_LANES; i++) to[i * dst_step] = lane[i];
            else
                for (int64_t i = 0; i < lanes; i++) to[i * dst_step] = lane[i];
        }
    }
}

/* Complete sums to y. */
static void turn_back(const job *j, const conv_unit *u)
{
    int64_t size = j->cut.planes.w.out_count, outputs = u->to - u->from;
    float *y = j->y + (u->channel + u->from) * size + u->first;
    turn(turned_at(j, u) + u->from, u->count, j->pitch, outputs, y, size);
    if (j->end.any)
        tile_end_run(&j->end, u->group * j->cut.outputs + u->from, u->first, outputs, u->count, y,
                     size);
}

/* ---- All -------------------------------------------------------------------------------------*/

/* Panels side by side meet one panel of weights after the other. */
static tn_status run_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    /* A row lies between panels: what is written behind one's end. */
    _Alignas(TN_ALIGNMENT) float panels[(TOGETHER_ROWS + TOGETHER) * TILE_COLUMNS];
    float *panel[TOGETHER];
    conv_unit u[TOGETHER];
    (void)thread;
    for (int64_t at = begin, count; at < end; at += count) {
        int64_t row = 0;
        count = conv_units_together(&j->cut, at, end, j->together);
        for (int64_t i = 0; i < count; i++) {
            conv_unit_find(&j->cut, at + i, &u[i]);
            panel[i] = panels + i * (j->rows + 1) * TILE_COLUMNS;
        }
        do {
            int64_t rows = TN_MIN(j->rows, j->cut.depth - row);
            conv_gather_all(&j->cut, u, count, row, rows, panel);
            for (int64_t o = u->from; o < u->to; o += TILE_COLUMNS)
                for (int64_t i = 0; i < count; i++)
                    if (j->turned) run_channels(j, &u[i], o, row, rows, panel[i]);
                    else run_positions(j, &u[i], o, row, rows, panel[i]);
            row += j->rows;
        } while (row < j->cut.depth);
        for (int64_t i = 0; i < count && j->turned; i++) turn_back(j, &u[i]);
    }
    return NULL;
}

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    job j;
    read(p, &j);
    cut_scratch(p, &j, l->scratch);
    j.y = p->out[0].data;
    j.end = conv_end(p);
    j.simple = j.end.any && j.end.function.kind <= TN_EPILOGUE_RELU;
    j.bias = j.end.bias;
    j.residual = j.end.residual;
    j.low = j.end.function.kind == TN_EPILOGUE_RELU ? 0 : -INFINITY;
    const conv_cut *c = &j.cut;
    if (c->samples * c->outputs * c->planes.w.out_count == 0) return NULL;
    j.packed = is_packed(p) ? l->packed : j.pack_to;
    if (!is_packed(p) && c->depth) {
        int64_t grain = 1 + GRAIN / (1 + c->depth * TILE_COLUMNS);
        TN_TRY(tn_pool_run(l->pool, c->groups * tile_panels(c->outputs), grain, pack_share, &j));
    }
    double work = 1 + (double)(c->outputs * c->depth) * TILE_COLUMNS;
    return conv_cut_run(&j.cut, l->pool, GRAIN / work, cost_gather(&j), conv_fill_share, run_share);
}

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_conv_gemm)[];
#define TACTIC(op_name, text)                                                                      \
    {                                                                                              \
        .name = "cpu." text ".f32.gemm." TN_VARIANT_TEXT, .op = op_name, .revision = 4,            \
        .accepts = conv_cut_accepts, .scratch_bytes = scratch_bytes, .estimate_ns = estimate_ns,   \
        .packed_bytes = packed_bytes, .pack = pack, .panels = panels, .unused = unused,            \
        .launch = launch,                                                                          \
    }
const tn_tactic TN_VARIANT_NAME(tn_cpu_conv_gemm)[] = {
    TACTIC("Conv", "conv"),
    TACTIC("FusedConv", "fusedconv"),
    {0},
};
