/* Expected values by hand: rows of -1 and 1 are their own norm; keys of zero give even weights. */
#include "ir/op.h"

extern const tn_case tn_window_block_cases[];
const tn_case tn_window_block_cases[] = {
    /* v = (n0, n1) turned round: the mean over the two tokens, {0, 0}; W2 and bias2 make {5, 7}. */
    {.problem = "WindowBlock{heads=1, window=[1,2], epsilon=0} f32[1,1,2,2]={1,-1, -1,1} "
                "f32[2]={1,1} none f32[2,6]={0,0,0,0,0,1, 0,0,0,0,1,0} none none "
                "f32[2,2]={1,0, 0,1} f32[2]={5,7}",
     .expect = "f32[1,1,2,2]={6,6, 4,8}"},
    /* Windows of one token: its own v, {-1, 1} + {1, 2}; W2 sums both into the first column. */
    {.problem = "WindowBlock{heads=1, window=[1,1], epsilon=0} f32[1,1,2,2]={1,-1, -1,1} "
                "f32[2]={1,1} f32[2]={0,0} f32[2,6]={0,0,0,0,0,1, 0,0,0,0,1,0} "
                "f32[6]={0,0,0,0,1,2} none f32[2,2]={1,0, 1,0}",
     .expect = "f32[1,1,2,2]={4,-1, 2,1}"},
    {.problem = "WindowBlock{heads=3, window=[7,7], shift=[3,3], mask=-100} f32[1,14,7,96] f32[96] "
                "f32[96] f32[96,288] f32[288] f32[3,49,49] f32[96,96] f32[96]"},
    /* Swin's, of a cluster for each window. */
    {.problem = "WindowBlock{heads=1, window=[7,7]} f16[2,14,14,32] f16[32]! f16[32]! f16[32,96]! "
                "f16[96]! f16[1,1,49,49]! f16[32,32]! f16[32]!"},
    {.problem = "WindowBlock{heads=3, window=[7,7], shift=[3,3], mask=-100} f16[2,14,14,96] "
                "f16[96]! f16[96]! f16[96,288]! f16[288]! f16[3,49,49]! f16[96,96]! f16[96]!"},
    {.problem = "WindowBlock{heads=6, window=[7,7]} bf16[1,14,7,192] bf16[192]! bf16[192]! "
                "bf16[192,576]! bf16[576]! bf16[6,49,49]! bf16[192,192]! bf16[192]!",
     .tolerance = 2e-2 /* of three roundings on the way */},
    {.problem = "WindowBlock{heads=12, window=[7,7], shift=[3,3], mask=-100} f16[1,14,14,384] "
                "f16[384]! f16[384]! f16[384,1152]! f16[1152]! f16[12,49,49]! f16[384,384]! "
                "f16[384]!"},
    {.problem = "WindowBlock{heads=16, window=[4,4], shift=[1,0], mask=-100} f16[1,4,8,512] "
                "f16[512]! none f16[512,1536]! none none f16[512,512]!"},
    /* Many windows, of other sizes. */
    {.problem = "WindowBlock{heads=1, window=[8,8], shift=[4,4], mask=-100} bf16[3,40,24,32] "
                "bf16[32]! none bf16[32,96]! none bf16[1,64,64]! bf16[32,32]! bf16[32]!"},
    {.problem = "WindowBlock{heads=1, window=[2,3], shift=[1,0], mask=-100, scale=0.25} "
                "f16[40,4,6,32] f16[32]! f16[32]! f16[32,96]! f16[96]! none f16[32,32]! none"},
    {.problem = "WindowBlock{heads=2, window=[3,3], shift=[1,1], mask=-100} f16[2,3,6,64] f16[64]! "
                "f16[64]! f16[64,192]! f16[192]! f16[2,9,9]! f16[64,64]! f16[64]!"},
    /* A head of other columns. */
    {.problem = "WindowBlock{heads=2, window=[2,2]} f16[1,4,4,30] f16[30]! f16[30]! f16[30,90]! "
                "f16[90]! f16[2,4,4]! f16[30,30]! f16[30]!"},
    {.problem = "WindowBlock{heads=2, window=[2,2]} f16[0,4,4,64] f16[64]! none f16[64,192]! none "
                "none f16[64,64]!"},
    {.problem = NULL},
};
