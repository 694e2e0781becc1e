/* Products whose rows are channels of y and whose columns are PIXELS places of x, by groups of four
 * warps. */
enum {
    LINE = 128, /* bytes of 64 channels */
    EIGHTS = PIXELS / 8,
};

/* 64 channels from `column` on of a group's places from `first` on, by its tile, where the channels
 * of a pixel are a line, of which eight threads write 16 bytes each. */
static __device__ __forceinline__ void write_turned(const shape &s, float (*sum)[4],
                                                    const float *bias, char *tile, int first,
                                                    int column)
{
    int group = threadIdx.x / 128, thread = threadIdx.x % 128, lane = thread % 32, part = thread % 8;
    int own = thread / 32 * 2 + lane / 8 % 2; /* eight channels, of one line of eight pixels or two */
#pragma unroll
    for (int j = 0; j < EIGHTS; j += 2) {
        uint32 four[4];
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const float *two = &sum[min(j + e / 2, EIGHTS - 1)][e % 2 * 2];
            four[e] = pair_of(T(),
                              activate_near<ACT>(two[0] + bias[e % 2], s.act_alpha, s.act_beta),
                              activate_near<ACT>(two[1] + bias[e % 2], s.act_alpha, s.act_beta));
        }
        int line = min(j + lane / 16, EIGHTS - 1) * 8 + lane % 8;
        store_turned(tile + line * LINE + (own ^ lane % 8) * 16, four);
    }
    sync_group(group);
#pragma unroll
    for (int i = 0; i < (PIXELS + 15) / 16; i++) {
        int line = i * 16 + thread / 8, to = line < PIXELS ? row_of_y(s, first + line) : -1;
        if (to >= 0 && column + part * 8 < s.n)
            *(uint128 *)(s.y_at + (int64)to * s.n + column + part * 8) =
                *(const uint128 *)(tile + line * LINE + (part ^ line % 8) * 16);
    }
    sync_group(group);
}
