#include "ir/op.h"

/* Linear activations make the expected values a matter of pencil and paper. */
extern const tn_case tn_rnn_cases[];
const tn_case tn_rnn_cases[] = {
    {.problem = "RNN{activations=[Relu], hidden_size=1} f32[2,1,1]={1,2} f32[1,1,1]={3} "
                "f32[1,1,1]={10} f32[1,2]={0.5,0.25} -> 2",
     .expect = "f32[2,1,1,1]={3.75,44.25} f32[1,1,1]={44.25}"},
    {.problem = "RNN{activations=[Relu], direction=reverse, clip=20} f32[3,2,1]={1,5,2,6,3,7} "
                "f32[1,1,1]={1} f32[1,1,1]={10} none i32[2]={2,3} f32[1,2,1]={0.5,0} -> 2",
     .expect = "f32[3,1,2,1]={20,20,7,20,0,7} f32[1,2,1]={20,20}"},
    {.problem = "RNN{activations=[Affine,Affine], activation_alpha=[2,1], activation_beta=[0,1], "
                "direction=bidirectional, layout=1} f32[1,2,1]={1,2} f32[2,1,1]={1,1} "
                "f32[2,1,1]={1,1} -> 2",
     .expect = "f32[1,2,2,1]={2,5,8,3} f32[1,2,1]={8,5}"},
    {.problem = "RNN f32[5,3,4] f32[1,6,4]! f32[1,6,6]! f32[1,12]! none f32[1,3,6] -> 2"},
    {.problem = "RNN{direction=bidirectional, activations=[Relu,Relu], clip=1} f32[6,11,4] "
                "f32[2,33,4]! f32[2,33,33]! f32[2,66]! "
                "i32[11]={6,1,5,0,3,2,6,4,1,6,5} f32[2,11,33] -> 2"},
    {.problem = "RNN{direction=bidirectional} f16[4,2,3] f16[2,5,3] f16[2,5,5] -> 2"},
    {.problem = "RNN{activations=[Relu]} f16[9,21,8] f16[1,40,8]! f16[1,40,40]! f16[1,80]! -> 2"},
    {.problem = "RNN{direction=bidirectional, layout=1} f32[3,1,4] f32[2,6,4]! f32[2,6,6]! -> 2"},
    {0},
};

extern const tn_case tn_gru_cases[];
const tn_case tn_gru_cases[] = {
    {.problem = "GRU{activations=[Affine,Affine]} f32[2,1,1]={1,2} f32[1,3,1]={0.25,2,3} "
                "f32[1,3,1]={0,0,2} f32[1,6]={0,0,0,0,0,1} -> 2",
     .expect = "f32[2,1,1,1]={3,17} f32[1,1,1]={17}"},
    {.problem = "GRU{activations=[Affine,Affine], linear_before_reset=1} f32[2,1,1]={1,2} "
                "f32[1,3,1]={0.25,2,3} f32[1,3,1]={0,0,2} f32[1,6]={0,0,0,0,0,1} -> 2",
     .expect = "f32[2,1,1,1]={3.75,21.875} f32[1,1,1]={21.875}"},
    {.problem = "GRU{direction=bidirectional, linear_before_reset=1} f32[7,2,5] f32[2,12,5]! "
                "f32[2,12,4]! f32[2,24]! none f32[2,2,4] -> 2"},
    {.problem = "GRU{direction=bidirectional, linear_before_reset=1} f32[9,19,12] f32[2,99,12] "
                "f32[2,99,33] f32[2,198] -> 2"},
    {.problem = "GRU{direction=reverse, linear_before_reset=1, layout=1} f32[11,3,2] f32[1,15,2]! "
                "f32[1,15,5]! none none f32[11,1,5] -> 2"},
    {.problem = "GRU{direction=bidirectional, linear_before_reset=1} f32[6,10,3] f32[2,54,3]! "
                "f32[2,54,18]! f32[2,108]! i32[10]={1,6,5,0,3,2,6,4,1,6} f32[2,10,18] -> 2"},
    {.problem = "GRU{direction=bidirectional, clip=0.75} f32[6,10,3] f32[2,54,3]! f32[2,54,18]! "
                "f32[2,108]! i32[10]={1,6,5,0,3,2,6,4,1,6} f32[2,10,18] -> 2"},
    {.problem = "GRU{linear_before_reset=1} f32[6,3,9] f32[1,66,9]! f32[1,66,22]! f32[1,132]! none "
                "f32[1,3,22] -> 2"},
    {.problem = "GRU{linear_before_reset=1, direction=bidirectional} f16[6,1,8] f16[2,72,8]! "
                "f16[2,72,24]! f16[2,144]! none f16[2,1,24] -> 2"},
    {.problem = "GRU{layout=1, direction=reverse} f64[2,7,5] f64[1,12,5] f64[1,12,4] -> 2"},
    {0},
};

extern const tn_case tn_lstm_cases[];
const tn_case tn_lstm_cases[] = {
    {.problem = "LSTM{activations=[Affine,Affine,Affine]} f32[2,1,1]={1,2} f32[1,4,1]={1,2,3,4} "
                "f32[1,4,1]={1,0,0,0} -> 3",
     .expect = "f32[2,1,1,1]={8,416} f32[1,1,1]={416} f32[1,1,1]={104}"},
    {.problem = "LSTM{activations=[Affine,Affine,Affine], input_forget=1} f32[1,1,1]={1} "
                "f32[1,4,1]={3,2,9,4} f32[1,4,1]={0,0,0,0} f32[1,8]={0,0,0,0,0,1,0,0} none none "
                "f32[1,1,1]={10} f32[1,3]={0,0.5,0} -> 3",
     .expect = "f32[1,1,1,1]={8} f32[1,1,1]={8} f32[1,1,1]={-8}"},
    {.problem =
         "LSTM{direction=bidirectional} f32[7,1,10] f32[2,40,10]! f32[2,40,10]! f32[2,80]! -> 3"},
    {.problem = "LSTM{direction=bidirectional} f32[9,5,6] f32[2,132,6]! f32[2,132,33]! f32[2,264]! "
                "i32[5]={9,1,5,0,7} f32[2,5,33] f32[2,5,33] -> 3"},
    {.problem = "LSTM{direction=reverse} f32[4,3,2] f32[1,20,2] f32[1,20,5] -> 3"},
    {.problem =
         "LSTM{layout=1} f32[3,4,2] f32[1,20,2]! f32[1,20,5]! f32[1,40]! none f32[3,1,5] -> 3"},
    {.problem = "LSTM{clip=0.5, input_forget=1} f32[4,3,2] f32[1,20,2] f32[1,20,5] none none none "
                "none f32[1,15] -> 3"},
    {.problem = "LSTM f32[20,2,64] f32[1,256,64]! f32[1,256,64]! f32[1,512]! -> 1"},
    {.problem = "LSTM bf16[4,3,2] bf16[1,12,2] bf16[1,12,3] -> 3"},
    {.problem = "LSTM bf16[5,3,8] bf16[1,192,8]! bf16[1,192,48]! bf16[1,384]! none bf16[1,3,48] "
                "bf16[1,3,48] -> 3"},
    {0},
};
