#include "ir/op.h"

extern const tn_case tn_conv_last_cases[];
const tn_case tn_conv_last_cases[] = {
    {.problem = "ChannelsLastConv{activation=relu} f32[1,2,2,1]={1,2,3,4} f32[2,1,1,1]={1,-1} "
                "f32[2]={0.5,2}",
     .expect = "f32[1,2,2,2]={1.5,1,2.5,0,3.5,0,4.5,0}"},
    {.problem = "ChannelsLastConv{group=2} f32[1,2,2]={1,3,2,4} f32[2,1,1]={10,100}",
     .expect = "f32[1,2,2]={10,300,20,400}"},
    {.problem = "ChannelsLastConv f32[1,1,2,2]={1,10,2,20} f32[1,1,2,2]={1,2,3,4} none "
                "f32[1,1,1,1]={-7}",
     .expect = "f32[1,1,1,1]={100}"},
    {.problem = "ChannelsLastConv{x_first=1} f32[1,2,1,2]={1,2,10,20} f32[1,1,2,2]={1,2,3,4}",
     .expect = "f32[1,1,1,1]={107}"},
    {.problem =
         "ChannelsLastConv{more_strides=[2,1]} f32[1,2,1,1]={1,2} f32[1,1,1,1]={10} f32[1]={5} "
         "none f32[1,3,1,2]={1,2,3,4,5,6} f32[1,1,1,2]={100,1000}",
     .expect = "f32[1,2,1,1]={2115,6525}"},
    {.problem = "ChannelsLastConv{auto_pad=SAME_UPPER, strides=[2]} f32[1,4,1]={1,2,3,4} "
                "f32[1,3,1]={1,10,100}",
     .expect = "f32[1,2,1]={321,43}"},
    /* first layers */
    {.problem = "ChannelsLastConv{activation=relu, strides=[2,2], pads=[3,3,3,3], x_first=1} "
                "f32[1,3,21,19] f32[16,7,7,3]! f32[16]!"},
    {.problem = "ChannelsLastConv{activation=relu, strides=[4,4], pads=[2,2,2,2], x_first=1} "
                "f16[2,3,27,31] f16[24,11,11,3]! f16[24]!"},
    {.problem = "ChannelsLastConv{strides=[2,2], pads=[1,1,1,1]} bf16[1,12,13,3] "
                "bf16[20,3,3,3]! bf16[20]!"},
    {.problem = "ChannelsLastConv{activation=relu, strides=[2,2], pads=[3,3,3,3], x_first=1} "
                "f16[2,3,37,51] f16[72,7,7,3]! f16[72]!"},
    {.problem = "ChannelsLastConv{strides=[1,2], pads=[1,0,1,2], x_first=1} bf16[3,2,20,19] "
                "bf16[13,3,5,2]! bf16[13]!"},
    {.problem = "ChannelsLastConv{activation=relu, strides=[2,2], pads=[3,3,3,3], x_first=1} "
                "f32[2,3,37,51] f16[72,7,7,3]! f16[72]!"},
    {.problem = "ChannelsLastConv{strides=[1,1], pads=[1,1,1,1], x_first=1} f32[1,4,12,13] "
                "bf16[20,3,3,4]! bf16[20]!"},
    {.problem =
         "ChannelsLastConv{strides=[4,4], x_first=1} f16[1,3,32,32] f16[96,4,4,3]! f16[96]!"},
    {.problem = "ChannelsLastConv{activation=relu, strides=[2,2], pads=[3,3,3,3], x_first=1} "
                "f32[2,3,66,50] f16[72,7,7,3]! f16[72]!"},
    {.problem = "ChannelsLastConv{activation=silu, strides=[4,4], pads=[2,2,2,2], x_first=1} "
                "f32[1,3,64,62] bf16[64,11,11,3]! bf16[64]!"},
    {.problem = "ChannelsLastConv{strides=[3,4], pads=[0,1,2,0], x_first=1} f16[2,2,30,40] "
                "f16[13,5,6,2]! f16[13]!"},
    /* single elements: a product */
    {.problem = "ChannelsLastConv{activation=relu} f16[1,14,14,64] f16[96,1,1,64]! f16[96]! "
                "f16[1,14,14,96]"},
    {.problem = "ChannelsLastConv{activation=silu, strides=[2,2]} bf16[2,9,9,40] "
                "bf16[33,1,1,40]! none bf16[2,5,5,33]"},
    {.problem = "ChannelsLastConv f32[1,7,7,300] f32[72,1,1,300]! f32[72]! f32[1,7,7,72]"},
    {.problem = "ChannelsLastConv{activation=relu} f16[1,7,7,520] f16[136,1,1,520]! f16[136]!"},
    /* windows */
    {.problem = "ChannelsLastConv{activation=relu, pads=[1,1,1,1]} f16[1,14,14,64] "
                "f16[64,3,3,64]! f16[64]!"},
    {.problem = "ChannelsLastConv{pads=[1,1,1,1]} f16[2,7,7,136] f16[72,3,3,136]! f16[72]! "
                "f16[2,7,7,72]"},
    {.problem = "ChannelsLastConv{activation=relu, strides=[2,2], pads=[1,1,1,1]} "
                "f32[2,9,10,36] f32[40,3,3,36]! f32[40]!"},
    {.problem = "ChannelsLastConv{pads=[2,0,1,3], dilations=[2,1], strides=[1,2]} "
                "bf16[1,9,11,24] bf16[7,2,4,24]! bf16[7]!"},
    {.problem = "ChannelsLastConv{pads=[1,1,1,1], activation=hard_swish} f32[3,13,17,5] "
                "f32[9,3,3,5]! f32[9]! f32[3,13,17,9]"},
    {.problem = "ChannelsLastConv{pads=[1,1]} f16[3,50,16] f16[24,3,16]! f16[24]!"},
    {.problem = "ChannelsLastConv{pads=[1,1,1,1]} f16[2,30,30,32] f16[160,3,3,32] f16[160]"},
    /* as tensor cores of four warps take them */
    {.problem = "ChannelsLastConv{pads=[2,0,1,3], dilations=[2,1], strides=[1,2]} "
                "bf16[2,9,11,64] bf16[72,2,4,64]! bf16[72]!"},
    {.problem = "ChannelsLastConv{activation=relu, strides=[2,2], pads=[1,1,1,1]} "
                "f16[3,15,14,128] f16[264,3,3,128]! f16[264]! f16[3,8,7,264]"},
    {.problem = "ChannelsLastConv{activation=silu, pads=[0,0,-1,-1]} f16[1,6,5,192] "
                "f16[64,1,1,192]"},
    {.problem = "ChannelsLastConv{pads=[1,1]} f16[3,50,64] f16[24,3,64]! f16[24]!"},
    {.problem = "ChannelsLastConv{activation=relu} f16[9,28,28,64] f16[256,1,1,64]! f16[256]! "
                "f16[9,28,28,256]"},
    {.problem = "ChannelsLastConv{activation=relu} f16[12,28,28,64] f16[136,1,1,64]! f16[136]!"},
    {.problem = "ChannelsLastConv{pads=[1,0,0,0]} bf16[8,28,28,64] bf16[128,2,1,64]!"},
    /* all taps of a tile at once */
    {.problem = "ChannelsLastConv{activation=relu, pads=[1,1,1,1]} f16[3,56,56,64] "
                "f16[64,3,3,64]! f16[64]!"},
    {.problem = "ChannelsLastConv{activation=relu, pads=[1,1,1,1]} f16[5,14,14,128] "
                "f16[136,3,3,128]! f16[136]! f16[5,14,14,136]"},
    {.problem = "ChannelsLastConv{activation=relu, pads=[1,1,1,1]} f16[4,14,14,192] "
                "f16[256,3,3,192]! f16[256]!"},
    {.problem = "ChannelsLastConv{pads=[2,1,0,1], dilations=[2,1]} bf16[2,27,28,64] "
                "bf16[136,3,2,64]!"},
    {.problem = "ChannelsLastConv{pads=[1,1,1,1]} bf16[7,7,7,256] bf16[192,3,3,256]! bf16[192]!"},
    {.problem = "ChannelsLastConv{pads=[2,2,2,2]} f16[2,27,27,64] f16[192,5,5,64]! f16[192]!"},
    {.problem = "ChannelsLastConv{pads=[1,0,2,3], dilations=[2,1]} f16[3,20,19,64] "
                "f16[72,3,2,64]! f16[72]! f16[3,19,21,72]"},
    {.problem = "ChannelsLastConv{activation=silu} bf16[2,20,19,64] bf16[64,2,3,64] bf16[64]"},
    {.problem = "ChannelsLastConv{activation=silu, pads=[1,1,1,1]} f16[4,14,15,64] "
                "f16[64,3,3,64]! f16[64]! f16[4,14,15,64]"},
    {.problem = "ChannelsLastConv{pads=[0,1,1,1]} bf16[3,20,19,64] bf16[40,2,3,64]! none "
                "bf16[3,20,19,40]"},
    {.problem = "ChannelsLastConv{pads=[1,1,1,1]} bf16[7,13,15,128] bf16[128,3,3,128]! none "
                "bf16[7,13,15,128]"},
    {.problem = "ChannelsLastConv{pads=[2,1,0,3], dilations=[1,2]} bf16[2,30,31,64] "
                "bf16[40,3,3,64]! bf16[40]!"},
    /* two products */
    {.problem = "ChannelsLastConv{activation=relu, more_strides=[2,2]} f16[2,14,14,128] "
                "f16[264,1,1,128]! f16[264]! none f16[2,28,28,72] f16[264,1,1,72]!"},
    {.problem = "ChannelsLastConv{activation=relu, more_strides=[2,1]} f16[1,7,7,256] "
                "f16[64,1,1,256]! f16[64]! f16[1,7,7,64] f16[1,13,7,128] f16[64,1,1,128]!"},
    {.problem = "ChannelsLastConv{pads=[1,1,1,1]} bf16[2,9,9,64] bf16[40,3,3,64]! none none "
                "bf16[2,9,9,40] bf16[40,1,1,40]!"},
    {.problem = "ChannelsLastConv{more_strides=[3,2]} f32[2,5,5,6] f32[9,1,1,6]! f32[9]! none "
                "f32[2,13,10,5] f32[9,1,1,5]!"},
    /* groups */
    {.problem = "ChannelsLastConv{group=4, pads=[1,1,1,1], activation=relu} f16[1,9,9,64] "
                "f16[32,3,3,16]! f16[32]!"},
    {.problem = "ChannelsLastConv{group=3} f32[2,8,8,6] f32[9,3,3,2] f32[9]"},
    {.problem = "ChannelsLastConv{group=32, pads=[1,1,1,1], activation=hard_swish} "
                "f16[2,14,14,32] f16[32,3,3,1]! f16[32]! f16[2,14,14,32]"},
    {.problem = "ChannelsLastConv{group=12, pads=[2,2,2,2], strides=[2,2]} f32[1,11,12,12] "
                "f32[12,5,5,1]! f32[12]!"},
    {.problem = "ChannelsLastConv{group=7, dilations=[2,1]} bf16[1,9,8,7] bf16[7,3,2,1]!"},
    /* others */
    {.problem = "ChannelsLastConv{pads=[1,0,1,1,0,1]} f32[1,5,6,7,2] f32[4,3,2,3,2]! f32[4]!"},
    {.problem = "ChannelsLastConv f64[1,4,4,2] f64[3,2,2,2]"},
    {.problem = "ChannelsLastConv f32[0,4,4,2] f32[3,2,2,2]"},
    {0},
};
