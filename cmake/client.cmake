# Clients in other languages. weir's promise as an addon of Node.js, for the public test suite of Promises/A+; part of the
# dev preset, where the library's objects are position-independent.
find_program(WEIR_NODE NAMES node nodejs)
find_program(WEIR_NPM npm)
find_path(WEIR_NODE_INCLUDE node_api.h PATH_SUFFIXES node nodejs)
if(NOT WEIR_NODE OR NOT WEIR_NPM OR NOT WEIR_NODE_INCLUDE)
  message(STATUS "weir: without nodejs, npm and libnode-dev the suite of Promises/A+ is not run")
  return()
endif()
add_library(weir_promise_addon MODULE tests/client/promise_addon.cpp)
set_target_properties(weir_promise_addon PROPERTIES PREFIX "" SUFFIX ".node" OUTPUT_NAME weir_promise POSITION_INDEPENDENT_CODE ON)
target_include_directories(weir_promise_addon SYSTEM PRIVATE ${WEIR_NODE_INCLUDE})
target_link_libraries(weir_promise_addon PRIVATE weir weir_options fmt::fmt)
add_test(NAME client.promises_aplus COMMAND ${Python3_EXECUTABLE} -B ${PROJECT_SOURCE_DIR}/tests/client/aplus_test.py
  ${WEIR_NODE} ${WEIR_NPM} $<TARGET_FILE:weir_promise_addon> ${PROJECT_BINARY_DIR}/promises-aplus)
set_tests_properties(client.promises_aplus PROPERTIES TIMEOUT 600 SKIP_RETURN_CODE 77 LABELS alone)
