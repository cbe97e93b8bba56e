# Tests of the real program over real sockets and a real disk. They need Python's standard library only.
find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)
file(GLOB tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/e2e/*_test.py)
foreach(test ${tests})
  get_filename_component(name ${test} NAME_WE)
  add_test(NAME e2e.${name} COMMAND ${Python3_EXECUTABLE} -B ${test})
  set_tests_properties(e2e.${name} PROPERTIES TIMEOUT 300 ENVIRONMENT "WEIR_APP=$<TARGET_FILE:weir_app>")
endforeach()
