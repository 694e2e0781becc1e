#include "ir/op.h"

/* Y = Y_h = 3 x + 0.5 + h * 10 + 0.25 twice over: dh of the first step is 10 dy, and so on. */
extern const tn_case tn_rnn_gradient_cases[];
const tn_case tn_rnn_gradient_cases[] = {
    {.problem = "RNNGradient{activations=[Relu], hidden_size=1} f32[2,1,1]={1,2} f32[1,1,1]={3} "
                "f32[1,1,1]={10} f32[1,2]={0.5,0.25} none none f32[2,1,1,1]={0,1} -> 5",
     .expect = "f32[2,1,1]={30,3} f32[1,1,1]={12} f32[1,1,1]={3.75} f32[1,2]={11,11} "
               "f32[1,1,1]={100}"},
    {.problem = "RNNGradient{direction=bidirectional} f32[4,2,3] f32[2,5,3] f32[2,5,5] f32[2,10] "
                "none f32[2,2,5] f32[4,2,2,5] f32[2,2,5] -> 5"},
    {.problem = "RNNGradient{direction=reverse, activations=[Softsign], clip=1} f64[3,2,4] "
                "f64[1,3,4] f64[1,3,3] none i32[2]={2,3} none f64[3,1,2,3] -> 5"},
    {0},
};

extern const tn_case tn_gru_gradient_cases[];
const tn_case tn_gru_gradient_cases[] = {
    {.problem = "GRUGradient{activations=[Affine,Affine], linear_before_reset=1} f32[1,1,1]={1} "
                "f32[1,3,1]={0.25,2,3} f32[1,3,1]={0,0,2} f32[1,6]={0,0,0,0,0,1} none "
                "f32[1,1,1]={4} none f32[1,1,1]={1} -> 5",
     .expect = "f32[1,1,1]={11.5} f32[1,3,1]={-17,6.75,0.75} f32[1,3,1]={-68,27,6} "
               "f32[1,6]={-17,6.75,0.75,-17,6.75,1.5} f32[1,1,1]={3.25}"},
    {.problem = "GRUGradient{direction=bidirectional, linear_before_reset=1} f32[7,2,5] "
                "f32[2,12,5] f32[2,12,4] f32[2,24] none f32[2,2,4] f32[7,2,2,4] f32[2,2,4] -> 5"},
    {.problem = "GRUGradient{direction=bidirectional, linear_before_reset=1} f32[9,10,12] "
                "f32[2,99,12] f32[2,99,33] none none none f32[9,2,10,33] -> 5"},
    {.problem = "GRUGradient{direction=reverse, linear_before_reset=1, layout=1} f32[11,3,2] "
                "f32[1,15,2] f32[1,15,5] f32[1,30] none none none f32[11,1,5] -> 5"},
    {.problem = "GRUGradient{layout=1, direction=reverse} f64[2,7,5] f64[1,12,5] f64[1,12,4] none "
                "none none none f64[2,1,4] -> 5"},
    {0},
};

extern const tn_case tn_lstm_gradient_cases[];
const tn_case tn_lstm_gradient_cases[] = {
    {.problem = "LSTMGradient{activations=[Affine,Affine,Affine]} f32[1,1,1]={1} "
                "f32[1,4,1]={3,2,9,4} f32[1,4,1]={0,0,0,0} none none none f32[1,1,1]={10} none "
                "f32[1,1,1,1]={1} -> 6",
     .expect = "f32[1,1,1]={432} f32[1,4,1]={8,102,20,6} f32[1,4,1]={0,0,0,0} "
               "f32[1,8]={8,102,20,6,8,102,20,6} f32[1,1,1]={0} f32[1,1,1]={18}"},
    {.problem = "LSTMGradient{direction=bidirectional} f32[9,10,12] f32[2,24,12] f32[2,24,6] "
                "f32[2,48] none none none none f32[9,2,10,6] -> 6"},
    {.problem = "LSTMGradient{direction=bidirectional} f32[9,5,6] f32[2,132,6] f32[2,132,33] "
                "f32[2,264] i32[5]={9,1,5,0,7} f32[2,5,33] f32[2,5,33] none f32[9,2,5,33] "
                "f32[2,5,33] f32[2,5,33] -> 7"},
    {.problem = "LSTMGradient{direction=reverse} f32[4,3,2] f32[1,20,2] f32[1,20,5] none none none "
                "none none f32[4,1,3,5] -> 6"},
    {.problem = "LSTMGradient{layout=1} f32[3,4,2] f32[1,20,2] f32[1,20,5] f32[1,40] none "
                "f32[3,1,5] f32[3,1,5] none f32[3,4,1,5] f32[3,1,5] -> 6"},
    {.problem = "LSTMGradient{clip=0.5, input_forget=1} f32[4,3,2] f32[1,20,2] f32[1,20,5] none "
                "none none none f32[1,15] none f32[1,3,5] f32[1,3,5] -> 7"},
    {.problem = "LSTMGradient{direction=bidirectional} f32[5,19,40] f32[2,132,40] f32[2,132,33] "
                "f32[2,264] none f32[2,19,33] f32[2,19,33] none f32[5,2,19,33] f32[2,19,33] "
                "f32[2,19,33] -> 6"},
    {.problem = "LSTMGradient f64[3,2,4] f64[1,12,4] f64[1,12,3] none none none none f64[1,9] "
                "f64[3,1,2,3] -> 7"},
    {0},
};
