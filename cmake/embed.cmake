# A text file as a C string: cmake -DIN=softmax.cu -DOUT=softmax.cu.c -DSYMBOL=tn_cuda_source_softmax -DNAME=softmax -P embed.cmake
# Bytes as numbers: no escapes, no limit on the length of a literal.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
file(WRITE ${OUT}.new "#include \"backends/cuda/cuda.h\"\n\nstatic const char text[] = {\n${bytes}0};\nconst tn_cuda_source ${SYMBOL} = {\"${NAME}\", text};\n")
execute_process(COMMAND ${CMAKE_COMMAND} -E copy_if_different ${OUT}.new ${OUT})
