# Benchmark programs, for tools/bench.py (which describes what they print):
#   bench/x_bench.cpp, src/weir/*/x_bench.cpp   weir's side
#   bench/x_server.cpp, bench/x_client.cpp      a server and the client that loads it and its peers
#   bench/peers/x_PEER.cpp                      the peer's side, built when the peer's library is installed
# As tests they run with small parameters: that shows that they work and that all sides compute the same.
pkg_check_modules(libuv QUIET IMPORTED_TARGET libuv)
find_package(Boost 1.81 QUIET)
set(weir_bench_folder ${PROJECT_BINARY_DIR}/bench)

# weir_peer_libraries(name out): what a peer links to; its second result says whether that is installed.
function(weir_peer_libraries peer out available)
  set(libraries weir_options Threads::Threads)
  set(found TRUE)
  if(peer STREQUAL "libuv")
    set(found ${libuv_FOUND})
    list(APPEND libraries PkgConfig::libuv)
  elseif(peer STREQUAL "asio" OR peer STREQUAL "beast")
    set(found ${Boost_FOUND})
    list(APPEND libraries Boost::headers)
  elseif(peer STREQUAL "uring")
    list(APPEND libraries PkgConfig::uring)
  endif()
  set(${out} ${libraries} PARENT_SCOPE)
  set(${available} ${found} PARENT_SCOPE)
endfunction()

function(weir_bench_program source)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${weir_bench_folder})
  target_link_libraries(${name} PRIVATE ${ARGN})
endfunction()

file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/*.cpp ${PROJECT_SOURCE_DIR}/src/weir/*/*_bench.cpp)
set(weir_benches)
foreach(source ${sources})
  weir_bench_program(${source} weir weir_options fmt::fmt Boost::headers)
  get_filename_component(name ${source} NAME_WE)
  if(name MATCHES "_(bench|server)$")
    string(REGEX REPLACE "_(bench|server)$" "" name ${name})
    list(APPEND weir_benches ${name})
  endif()
endforeach()

file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/peers/*.cpp)
foreach(source ${sources})
  get_filename_component(name ${source} NAME_WE)
  string(REGEX REPLACE "^.*_" "" peer ${name})
  weir_peer_libraries(${peer} libraries available)
  if(available)
    weir_bench_program(${source} ${libraries})
    # A peer's own headers are not ours to warn about, and Asio looks for a threading model of its own.
    target_compile_options(${name} PRIVATE -Wno-error)
  else()
    message(STATUS "weir: no benchmark ${name}: ${peer} is not installed")
  endif()
endforeach()

if(WEIR_TESTS AND WEIR_CHECKS)
  list(REMOVE_DUPLICATES weir_benches)
  foreach(name ${weir_benches})
    add_test(NAME bench.${name} COMMAND ${Python3_EXECUTABLE} -B ${PROJECT_SOURCE_DIR}/tools/bench.py ${name}
      --programs ${weir_bench_folder} --small --rounds 1)
  endforeach()
endif()
