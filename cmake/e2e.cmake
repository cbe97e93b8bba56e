# Tests of the real program over real sockets and a real disk. They need Python's standard library only.
# What they load into the server to move its clock, fail its file calls and cut its power. It is never
# instrumented: it stands between a sanitizer and libc.
add_library(weir_fault_shim MODULE ${PROJECT_SOURCE_DIR}/tests/shim/fault_shim.cpp)
target_compile_options(weir_fault_shim PRIVATE -Wall -Wextra -Wpedantic -Wshadow)
target_link_libraries(weir_fault_shim PRIVATE PkgConfig::uring ${CMAKE_DL_LIBS})
find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)
file(GLOB tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/e2e/*_test.py)
if(WEIR_SANITIZE STREQUAL thread)
  # ThreadSanitizer looks at the server; of the commands one has threads.
  list(FILTER tests EXCLUDE REGEX "/(cli|documents|examples|unit_file)_test\\.py$")
endif()
foreach(test ${tests})
  get_filename_component(name ${test} NAME_WE)
  add_test(NAME e2e.${name} COMMAND ${Python3_EXECUTABLE} -B ${test})
  # They take long and mostly wait: begun first, the others fill what they leave of the processors.
  set_tests_properties(e2e.${name} PROPERTIES TIMEOUT 600 COST 100 LABELS alone
    ENVIRONMENT "WEIR_APP=$<TARGET_FILE:weir_app>;WEIR_SHIM_LIBRARY=$<TARGET_FILE:weir_fault_shim>")
endforeach()
if(WEIR_SANITIZE STREQUAL thread)
  add_test(NAME e2e.cli_advise COMMAND ${Python3_EXECUTABLE} -B ${PROJECT_SOURCE_DIR}/tests/e2e/cli_test.py -k advi -k workload -k threads)
  set_tests_properties(e2e.cli_advise PROPERTIES TIMEOUT 600 COST 100 LABELS alone ENVIRONMENT "WEIR_APP=$<TARGET_FILE:weir_app>")
endif()
set_tests_properties(e2e.kill9_test PROPERTIES COST 200)
# These draw faults and keep books: a failure is a find, whatever the next draw brings.
set_tests_properties(e2e.kill9_test e2e.power_cut_test e2e.soak_test PROPERTIES LABELS books)
# The kills are the longest test of all and wait for most of their time: a second server takes half of them, beside the first.
if(WEIR_CHECKS)
  get_test_property(e2e.kill9_test ENVIRONMENT environment)
  add_test(NAME e2e.kill9_second COMMAND ${Python3_EXECUTABLE} -B ${PROJECT_SOURCE_DIR}/tests/e2e/kill9_test.py)
  set_tests_properties(e2e.kill9_second PROPERTIES TIMEOUT 600 COST 200 LABELS books ENVIRONMENT "${environment}")
endif()
