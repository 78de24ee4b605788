# cmake -DSOURCE= -DBUILD= -DCOMPILER= -P build_debug.cmake: one test program in the debug flavour.
execute_process(COMMAND ${CMAKE_COMMAND} -S ${SOURCE} -B ${BUILD} -G Ninja -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_BUILD_TYPE=Debug
  "-DCMAKE_CXX_FLAGS_DEBUG=-Og -g3 -fno-optimize-sibling-calls -fno-omit-frame-pointer" OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${BUILD} --target tcp_loopback_test COMMAND_ERROR_IS_FATAL ANY)
