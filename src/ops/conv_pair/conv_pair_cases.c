#include "ir/op.h"

extern const tn_case tn_conv_pair_cases[];
const tn_case tn_conv_pair_cases[] = {
    /* m = relu([x, -x] + [1, 1]) = {2,0} and {0,3}; y = m0 + 10 m1 + 100 */
    {.problem = "ConvPair{activation=relu} f32[1,2,1]={1,-4} f32[2,1,1]={1,-1} f32[2]={1,-1} none "
                "none none f32[1,1,2]={1,10} f32[1]={100} -> 2",
     .expect = "f32[1,2,1]={102,130} f32[1,2,2]={2,0,0,3}"},
    /* With a residual, and an activation of the second alone. */
    {.problem = "ConvPair{then_activation=relu} f32[1,1,1,1]={2} f32[1,1,1,1]={3} none "
                "f32[1,1,1,1]={-7} none none f32[2,1,1,1]={5,-5}",
     .expect = "f32[1,1,1,2]={0,5}"},
    {.problem = "ConvPair{more_strides=[2,1]} f32[1,2,1,1]={1,2} f32[1,1,1,1]={10} f32[1]={5} "
                "none f32[1,3,1,2]={1,2,3,4,5,6} f32[1,1,1,2]={100,1000} f32[1,1,1,1]={2} -> 2",
     .expect = "f32[1,2,1,1]={4230,13050} f32[1,2,1,1]={2115,6525}"},
    /* ResNet-50's: blocks inside a stage, the first of a stage, the last of one. */
    {.problem = "ConvPair{activation=relu, then_activation=relu} f16[2,14,15,64] f16[256,1,1,64]! "
                "f16[256]! f16[2,14,15,256] none none f16[64,1,1,256]! f16[64]! -> 2"},
    {.problem =
         "ConvPair{activation=relu, then_activation=relu} bf16[2,14,15,64] bf16[256,1,1,64]! "
         "bf16[256]! none bf16[2,14,15,64] bf16[256,1,1,64]! bf16[64,1,1,256]! bf16[64]! "
         "-> 2"},
    {.problem = "ConvPair{activation=relu, then_activation=relu} f16[1,20,19,64] f16[256,1,1,64]! "
                "f16[256]! f16[1,20,19,256] none none f16[128,1,1,256]! f16[128]! -> 2"},
    {.problem = "ConvPair{activation=relu, then_activation=relu} f16[1,28,28,128] "
                "f16[512,1,1,128]! f16[512]! f16[1,28,28,512] none none f16[128,1,1,512]! "
                "f16[128]! -> 2"},
    {.problem = "ConvPair{activation=relu, then_activation=relu, more_strides=[2,2]} "
                "f16[2,9,8,128] f16[512,1,1,128]! f16[512]! none f16[2,17,16,256] "
                "f16[512,1,1,256]! f16[128,1,1,512]! f16[128]! -> 2"},
    {.problem = "ConvPair{activation=relu, then_activation=relu} f16[1,14,14,128] "
                "f16[512,1,1,128]! f16[512]! f16[1,14,14,512] none none f16[256,1,1,512]! "
                "f16[256]! -> 2"},
    /* Tiles, chunks and steps that end early; nobody wants M; no biases. */
    {.problem = "ConvPair{activation=silu, then_activation=hard_swish} bf16[3,11,13,72] "
                "bf16[200,1,1,72]! none bf16[3,11,13,200] none none bf16[40,1,1,200]!"},
    {.problem = "ConvPair{then_activation=clip, then_beta=0.5} f16[1,70,1,8] f16[24,1,1,8]! "
                "f16[24]! none none none f16[136,1,1,24]! f16[136]! -> 2"},
    {.problem = "ConvPair{activation=relu} f16[2,40,64] f16[128,1,64]! f16[128]! none none none "
                "f16[64,1,128]! f16[64]! -> 2"},
    {.problem = "ConvPair{activation=relu, then_activation=relu, strides=[2,2]} f16[2,17,16,256] "
                "f16[512,1,1,256]! f16[512]! none f16[2,9,8,128] f16[512,1,1,128]! "
                "f16[128,1,1,512]! f16[128]! -> 2"},
    /* Where no kernel takes both. */
    {.problem = "ConvPair{activation=relu, pads=[1,1,1,1]} f16[1,6,6,16] f16[24,3,3,16]! f16[24]! "
                "none none none f16[8,1,1,24]! f16[8]! -> 2"},
    {.problem = "ConvPair{activation=relu} f32[1,5,6,12] f32[20,1,1,12]! f32[20]! none none none "
                "f32[7,1,1,20]! none -> 2"},
    {.problem = "ConvPair f16[0,5,6,64] f16[64,1,1,64]! f16[64]! none none none f16[64,1,1,64]! "
                "none -> 2"},
    {.problem = NULL},
};
