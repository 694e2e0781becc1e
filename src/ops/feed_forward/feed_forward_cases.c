/* Expected values by hand: rows of -1 and 1 are their own norm. */
#include "ir/op.h"

extern const tn_case tn_feed_forward_cases[];
const tn_case tn_feed_forward_cases[] = {
    /* norm = x; x W1 = {2, 0} or {-2, 0}; relu; W2 gives {2, 4} or nothing. */
    {.problem = "FeedForward{activation=relu, epsilon=0} f32[2,2]={1,-1, -1,1} f32[2]={1,1} none "
                "f32[2,2]={1,0, -1,0} none f32[2,2]={1,2, 5,5}",
     .expect = "f32[2,2]={3,3, -1,1}"},
    /* scale 2, shift 1: {3, -1}; W1 sums them, bias1 makes it 5; W2 {1, -1}, bias2 {10, 20}. */
    {.problem = "FeedForward{epsilon=0} f32[1,1,2]={1,-1} f32[2]={2,2} f32[2]={1,1} "
                "f32[2,1]={1,1} f32[1]={3} f32[1,2]={1,-1} f32[2]={10,20}",
     .expect = "f32[1,1,2]={16,14}"},
    /* Swin's, of one and of several blocks. */
    {.problem = "FeedForward{activation=gelu} f32[1,9,7,96] f32[96]! f32[96]! f32[96,384]! "
                "f32[384]! f32[384,96]! f32[96]!"},
    {.problem = "FeedForward{activation=gelu} f16[1,9,7,96] f16[96]! f16[96]! f16[96,384]! "
                "f16[384]! f16[384,96]! f16[96]!"},
    {.problem = "FeedForward{activation=gelu} f16[3,14,14,192] f16[192]! f16[192]! f16[192,768]! "
                "f16[768]! f16[768,192]! f16[192]!"},
    {.problem = "FeedForward{activation=gelu} bf16[1,196,384] bf16[384]! bf16[384]! "
                "bf16[384,1536]! bf16[1536]! bf16[1536,384]! bf16[384]!"},
    /* More tiles than blocks. */
    {.problem = "FeedForward{activation=gelu_tanh} f16[4500,32] f16[32]! f16[32]! f16[32,64]! "
                "f16[64]! f16[64,32]! f16[32]!"},
    {.problem = "FeedForward{activation=relu, epsilon=0.001} bf16[45,64] bf16[64]! none "
                "bf16[64,256]! none bf16[256,64]!"},
    {.problem = "FeedForward{activation=silu} f16[33,160] f16[160]! f16[160]! f16[160,96]! none "
                "f16[96,160]! f16[160]!"},
    {.problem = "FeedForward{activation=leaky_relu, alpha=0.1} f16[1,128] f16[128]! none "
                "f16[128,512]! f16[512]! f16[512,128]!"},
    {.problem = "FeedForward{activation=clip, alpha=-0.5, beta=0.5} f16[70,96] f16[96]! f16[96]! "
                "f16[96,160]! f16[160]! f16[160,96]! f16[96]!"},
    /* Widths and hidden layers that are no whole tiles. */
    {.problem = "FeedForward{activation=gelu} f16[5,30] f16[30]! f16[30]! f16[30,120]! f16[120]! "
                "f16[120,30]! f16[30]!"},
    {.problem = "FeedForward{activation=tanh} f64[3,5] f64[5] f64[5] f64[5,7] f64[7] f64[7,5] "
                "f64[5]"},
    {.problem = "FeedForward f16[0,96] f16[96]! f16[96]! f16[96,384]! f16[384]! f16[384,96]!"},
    {.problem = "FeedForward f32[3,0] f32[0] none f32[0,2] f32[2] f32[2,0]"},
    {.problem = NULL},
};
