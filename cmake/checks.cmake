# Tests of the repository itself rather than of the library. They are part of the dev preset only.
find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)

# The rules of the code, and for each rule a test that shows it failing.
add_test(NAME tools.tidy COMMAND ${Python3_EXECUTABLE} -B ${PROJECT_SOURCE_DIR}/tools/tidy.py)
add_test(NAME tools.tidy_test COMMAND ${Python3_EXECUTABLE} -B ${PROJECT_SOURCE_DIR}/tools/tidy_test.py)

# ./dev itself, and the runners of the fuzzers and the benchmarks.
add_test(NAME tools.fuzz_test COMMAND ${Python3_EXECUTABLE} -B ${PROJECT_SOURCE_DIR}/tools/fuzz_test.py)
add_test(NAME tools.dev_test COMMAND ${Python3_EXECUTABLE} -B ${PROJECT_SOURCE_DIR}/tools/dev_test.py)
add_test(NAME tools.bench_test COMMAND ${Python3_EXECUTABLE} -B ${PROJECT_SOURCE_DIR}/tools/bench_test.py)

# An installed weir is found and used by a project of its own (tests/consumer).
add_test(NAME tools.consumer COMMAND ${PROJECT_SOURCE_DIR}/tests/consumer/check ${PROJECT_BINARY_DIR} ${CMAKE_CXX_COMPILER})

# The Debian packages are made, installed, started and removed.
find_program(WEIR_DPKG_SHLIBDEPS dpkg-shlibdeps)
if(WEIR_DPKG_SHLIBDEPS)
  add_test(NAME tools.package COMMAND ${Python3_EXECUTABLE} -B ${PROJECT_SOURCE_DIR}/tests/package/package_test.py ${PROJECT_BINARY_DIR})
  set_tests_properties(tools.package PROPERTIES TIMEOUT 600)
endif()

# A compiler that miscompiles coroutines is refused with one line that says what to install.
find_program(WEIR_OLD_GCC g++-12)
if(WEIR_OLD_GCC)
  add_test(NAME tools.gcc_12_is_refused COMMAND ${CMAKE_COMMAND} -S ${PROJECT_SOURCE_DIR}
    -B ${PROJECT_BINARY_DIR}/refused -G Ninja -DCMAKE_CXX_COMPILER=${WEIR_OLD_GCC})
  set_tests_properties(tools.gcc_12_is_refused PROPERTIES
    PASS_REGULAR_EXPRESSION "weir: GCC 12[0-9.]* miscompiles coroutines.*install[ \n]+clang-19")
endif()

# Misuse that must not compile: clang checks itself that each refusal of tests/refused/ is there, and no other.
if(CMAKE_CXX_COMPILER_ID STREQUAL Clang)
  file(GLOB refusals CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/refused/*.cpp)
  foreach(refusal ${refusals})
    get_filename_component(name ${refusal} NAME_WE)
    add_test(NAME tools.${name} COMMAND ${CMAKE_CXX_COMPILER} -std=c++23 -fsyntax-only -Wall -Wextra -Werror -I${PROJECT_SOURCE_DIR}/src
      -ferror-limit=0 -Xclang -verify -Xclang -verify-ignore-unexpected=note ${refusal})
  endforeach()
endif()

set_tests_properties(tools.tidy tools.tidy_test tools.bench_test tools.consumer PROPERTIES TIMEOUT 600)
set_tests_properties(tools.bench_test tools.fuzz_test tools.consumer PROPERTIES LABELS alone)
