#include "ir/op.h"

/* tests/unit/test_recurrent_stack.c compares stacks with chains of LSTM and GRU, whose values are
 * checked elsewhere. */
#define LSTM_20 "f32[2,80,40]! f32[2,80,20]! f32[2,160]!"
extern const tn_case tn_recurrent_stack_cases[];
const tn_case tn_recurrent_stack_cases[] = {
    /* Saturated gates and no weight on x: c' = c + 1 in each of two layers, h' = tanh c'. */
    {.problem = "RecurrentStack{hidden_size=1, layers=2} f32[2,1,1]={5,7} none f32[2,1,1]={1,-1} "
                "f32[1,4,1]={0,0,0,0}! f32[1,4,1]={0,0,0,0}! f32[1,8]={99,99,99,99,0,0,0,0}! "
                "f32[1,4,1]={0,0,0,0}! f32[1,4,1]={0,0,0,0}! f32[1,8]={0,0,0,0,99,99,99,99}! -> 3",
     .expect = "f32[2,1,1]={0,0.7615942} f32[2,1,1]={0.9950548,0.7615942} f32[2,1,1]={3,1}"},
    /* z = 1/2, the rest 0: h halves with each step. */
    {.problem = "RecurrentStack{mode=gru, hidden_size=1, linear_before_reset=1} f32[3,2,1] "
                "f32[1,2,1]={8,-4} none f32[1,3,1]={0,0,0}! f32[1,3,1]={0,0,0}! "
                "f32[1,6]={0,0,0,0,0,0}! -> 2",
     .expect = "f32[3,2,1]={4,-2,2,-1,1,-0.5} f32[1,2,1]={1,-0.5}"},
    {.problem = "RecurrentStack{hidden_size=20, layers=3, directions=2} f32[1,3,10] f32[6,3,20] "
                "f32[6,3,20] f32[2,80,10]! f32[2,80,20]! f32[2,160]! " LSTM_20 " " LSTM_20 " -> 3"},
    {.problem = "RecurrentStack{hidden_size=20, layers=2, directions=2} f32[7,5,10] none "
                "f32[4,5,20] f32[2,80,10]! f32[2,80,20]! f32[2,160]! " LSTM_20 " -> 3"},
    {.problem = "RecurrentStack{hidden_size=6, layers=2, directions=2, batch_first=1} f32[50,9,2] "
                "none none f32[2,24,2]! f32[2,24,6]! f32[2,48]! f32[2,24,12]! f32[2,24,6]! "
                "f32[2,48]! -> 1"},
    {.problem = "RecurrentStack{hidden_size=33, layers=2, batch_first=1} f32[5,70,7] f32[2,5,33] "
                "none f32[1,132,7]! f32[1,132,33]! f32[1,264]! f32[1,132,33]! f32[1,132,33]! "
                "f32[1,264]! -> 3"},
    {.problem = "RecurrentStack{hidden_size=64} f32[9,1,3] none none f32[1,256,3]! f32[1,256,64]! "
                "f32[1,512]! -> 3"},
    {.problem = "RecurrentStack{hidden_size=1, directions=2} f32[4,9,1] none none f32[2,4,1]! "
                "f32[2,4,1]! f32[2,8]! -> 3"},
    {.problem = "RecurrentStack{hidden_size=7, layers=2, directions=2} f32[3,11,4] f32[4,11,7] "
                "f32[4,11,7] f32[2,28,4] f32[2,28,7] f32[2,56] f32[2,28,14] f32[2,28,7] f32[2,56] "
                "-> 3"},
    {.problem = "RecurrentStack{mode=gru, hidden_size=13, layers=3, directions=2, "
                "linear_before_reset=1} f32[6,5,4] f32[6,5,13] none f32[2,39,4]! f32[2,39,13]! "
                "f32[2,78]! f32[2,39,26]! f32[2,39,13]! f32[2,78]! f32[2,39,26]! f32[2,39,13]! "
                "f32[2,78]! -> 2"},
    {.problem = "RecurrentStack{mode=gru, hidden_size=35, linear_before_reset=1, batch_first=1} "
                "f32[7,40,16] none none f32[1,105,16]! f32[1,105,35]! f32[1,210]! -> 2"},
    {.problem = "RecurrentStack{mode=gru, hidden_size=23, layers=2, directions=2, "
                "linear_before_reset=1} f32[9,2,5] f32[4,2,23] none f32[2,69,5]! f32[2,69,23]! "
                "f32[2,138]! f32[2,69,46]! f32[2,69,23]! f32[2,138]! -> 2"},
    {.problem = "RecurrentStack{mode=gru, hidden_size=50, linear_before_reset=1} f32[3,7,9] none "
                "none f32[1,150,9]! f32[1,150,50]! f32[1,300]! -> 2"},
    {.problem = "RecurrentStack{mode=gru, hidden_size=3, layers=2} f64[6,2,4] f64[2,2,3] none "
                "f64[1,9,4] f64[1,9,3] f64[1,18] f64[1,9,3] f64[1,9,3] f64[1,18] -> 2"},
    {.problem = "RecurrentStack{hidden_size=3, directions=2} bf16[4,3,2] none none bf16[2,12,2] "
                "bf16[2,12,3] bf16[2,24] -> 3"},
    {.problem = "RecurrentStack{hidden_size=72, layers=2, directions=2} f16[5,9,64] none none "
                "f16[2,288,64]! f16[2,288,72]! f16[2,576]! f16[2,288,144]! f16[2,288,72]! "
                "f16[2,576]! -> 3"},
    /* More units than a cluster holds. */
    {.problem = "RecurrentStack{hidden_size=400, layers=2} f32[3,5,24] f32[2,5,400] f32[2,5,400] "
                "f32[1,1600,24]! f32[1,1600,400]! f32[1,3200]! f32[1,1600,400]! f32[1,1600,400]! "
                "f32[1,3200]! -> 3",
     .lo = -0.1,
     .hi = 0.1},
    {.problem = "RecurrentStack{mode=gru, hidden_size=448, directions=2, linear_before_reset=1} "
                "f16[3,4,40] none none f16[2,1344,40]! f16[2,1344,448]! f16[2,2688]! -> 2"},
    {.problem = "RecurrentStack{hidden_size=512, batch_first=1} f16[2,3,64] none none "
                "f16[1,2048,64]! f16[1,2048,512]! f16[1,4096]! -> 3"},
    {.problem = "RecurrentStack{hidden_size=200} f32[4,33,8] none none f32[1,800,8]! "
                "f32[1,800,200]! f32[1,1600]! -> 3"},
    {.problem = "RecurrentStack{mode=gru, hidden_size=258, linear_before_reset=1} f32[3,20,8] none "
                "none f32[1,774,8]! f32[1,774,258]! f32[1,1548]! -> 2"},
    {.problem = "RecurrentStack{mode=gru, hidden_size=126, layers=2, directions=2, "
                "linear_before_reset=1} bf16[3,10,13] bf16[4,10,126] none bf16[2,378,13]! "
                "bf16[2,378,126]! bf16[2,756]! bf16[2,378,252]! bf16[2,378,126]! bf16[2,756]! -> "
                "2"},
    {.problem = "RecurrentStack{hidden_size=256} f16[3,17,24] f16[1,17,256] f16[1,17,256] "
                "f16[1,1024,24]! f16[1,1024,256]! f16[1,2048]! -> 3"},
    {.problem = "RecurrentStack{hidden_size=32, layers=2, directions=2} f16[23,3,17] f16[4,3,32] "
                "f16[4,3,32] f16[2,128,17]! f16[2,128,32]! f16[2,256]! f16[2,128,64]! "
                "f16[2,128,32]! f16[2,256]! -> 3"},
    {.problem =
         "RecurrentStack{mode=gru, hidden_size=9, layers=2, directions=2, "
         "linear_before_reset=1, batch_first=1} f32[300,13,5] f32[4,300,9] none f32[2,27,5]! "
         "f32[2,27,9]! f32[2,54]! f32[2,27,18]! f32[2,27,9]! f32[2,54]! -> 2"},
    {.problem = "RecurrentStack{hidden_size=330} f16[2,3,8] none none f16[1,1320,8]! "
                "f16[1,1320,330]! f16[1,2640]! -> 3"},
    /* One sequence and many steps, many sequences, units of them that are not full. */
    {.problem = "RecurrentStack{hidden_size=40, layers=3, directions=2} f32[37,1,9] f32[6,1,40] "
                "f32[6,1,40] f32[2,160,9]! f32[2,160,40]! f32[2,320]! f32[2,160,80]! "
                "f32[2,160,40]! f32[2,320]! f32[2,160,80]! f32[2,160,40]! f32[2,320]! -> 3",
     .lo = -0.25,
     .hi = 0.25},
    {.problem = "RecurrentStack{hidden_size=48, layers=2, directions=2, batch_first=1} "
                "f32[35,5,33] none f32[4,35,48] f32[2,192,33]! f32[2,192,48]! f32[2,384]! "
                "f32[2,192,96]! f32[2,192,48]! f32[2,384]! -> 3",
     .lo = -0.25,
     .hi = 0.25},
    {.problem = "RecurrentStack{hidden_size=264} f32[3,5,40] f32[1,5,264] none f32[1,1056,40]! "
                "f32[1,1056,264]! f32[1,2112]! -> 2",
     .lo = -0.1,
     .hi = 0.1},
    {.problem = "RecurrentStack{mode=gru, hidden_size=65, layers=2, directions=2, "
                "linear_before_reset=1} f32[5,20,20] none none f32[2,195,20]! f32[2,195,65]! "
                "f32[2,390]! f32[2,195,130]! f32[2,195,65]! f32[2,390]! -> 2",
     .lo = -0.25,
     .hi = 0.25},
    /* What is too large or too small for kernels that multiply parts of floats, and what is none.
     */
    {.problem = "RecurrentStack{hidden_size=32} f32[3,1,2]={3e18,1,-2,0.5,nan,1} none none "
                "f32[1,128,2]! f32[1,128,32]! f32[1,256]! -> 3"},
    {.problem = "RecurrentStack{hidden_size=32, directions=2} f32[2,18,1] none none f32[2,128,1]! "
                "f32[2,128,32]! f32[2,256]! -> 3",
     .lo = -1e-17,
     .hi = 1e-17},
    {.problem = "RecurrentStack{hidden_size=32} f32[3,1,2] "
                "f32[1,1,32]={3e18,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1} "
                "none f32[1,128,2]! f32[1,128,32]! f32[1,256]! -> 3"},
    {0},
};
