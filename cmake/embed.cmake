# A text file as a C string: cmake -DIN=softmax.cu -DOUT=softmax.cu.c -DSYMBOL=tn_cuda_source_softmax [-DNAME=softmax] -P embed.cmake
# With a name it is a kernel's source (backends/cuda/cuda.h), else a plain array of characters.
# Bytes as numbers: no escapes, no limit on the length of a literal. A .cuh beside the file that it includes stands in
# place of that line: the run-time compiler finds no files.
file(READ ${IN} hex HEX)
get_filename_component(folder ${IN} DIRECTORY)
file(STRINGS ${IN} includes REGEX "^#include \"[a-z_]+\\.cuh\"$")
foreach(line ${includes})
  string(REGEX REPLACE "^#include \"(.*)\"$" "\\1" name "${line}")
  file(READ ${folder}/${name} text HEX)
  string(HEX "${line}" line)
  string(REPLACE "${line}0a" "${text}" hex "${hex}")
endforeach()
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
if(DEFINED NAME)
  file(WRITE ${OUT}.new "#include \"backends/cuda/cuda.h\"\n\nstatic const char text[] = {\n${bytes}0};\nconst tn_cuda_source ${SYMBOL} = {\"${NAME}\", text};\n")
else()
  # Bytes above 127 are not of a signed char.
  file(WRITE ${OUT}.new "extern const unsigned char ${SYMBOL}[];\nconst unsigned char ${SYMBOL}[] = {\n${bytes}0};\n")
endif()
execute_process(COMMAND ${CMAKE_COMMAND} -E copy_if_different ${OUT}.new ${OUT})
