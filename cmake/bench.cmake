# Benchmark programs, for tools/bench.py (which describes what they print):
#   bench/x_bench.cpp, src/weir/*/x_bench.cpp   weir's side
#   bench/x_server.cpp, bench/x_client.cpp      a server and the client that loads it and its peers
#   bench/peers/x_PEER.cpp                      the peer's side, built when the peer's library is installed
#   bench/peers/x_PEER.go, x_PEER.rs            the same where go or cargo is installed; target `bench_peers`
# As tests they run with small parameters: that shows that they work and that all sides compute the same.
pkg_check_modules(libuv QUIET IMPORTED_TARGET libuv)
pkg_check_modules(librabbitmq QUIET IMPORTED_TARGET librabbitmq)
# Servers that a peer starts itself; Debian keeps RabbitMQ's away from the path.
find_program(WEIR_REDIS redis-server)
find_program(WEIR_RABBITMQ rabbitmq-server PATHS /usr/lib/rabbitmq/bin NO_DEFAULT_PATH)
find_package(Boost 1.81 QUIET)
find_package(TBB QUIET)
find_library(WEIR_CAF caf_core)  # Debian's package has no CMake files
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
  elseif(peer STREQUAL "tbb")
    set(found ${TBB_FOUND})
    list(APPEND libraries TBB::tbb)
  elseif(peer STREQUAL "caf")
    set(found ${WEIR_CAF})
    set(libraries ${WEIR_CAF} Threads::Threads)  # not weir_options, which ask for C++23
  elseif(peer STREQUAL "openssl")
    list(APPEND libraries OpenSSL::SSL OpenSSL::Crypto)
  elseif(peer STREQUAL "uring")
    list(APPEND libraries PkgConfig::uring)
  elseif(peer STREQUAL "redis")
    set(found ${WEIR_REDIS})
  elseif(peer STREQUAL "rabbitmq")
    set(found ${WEIR_RABBITMQ})
    if(NOT librabbitmq_FOUND)
      set(found FALSE)
    endif()
    list(APPEND libraries PkgConfig::librabbitmq)
  endif()
  set(${out} ${libraries} PARENT_SCOPE)
  set(${available} ${found} PARENT_SCOPE)
endfunction()

function(weir_bench_program source)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${weir_bench_folder})
  target_link_libraries(${name} PRIVATE ${ARGN})
  if(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(${name} PRIVATE -O0)  # as the tests that they are there
  endif()
endfunction()

file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/*.cpp ${PROJECT_SOURCE_DIR}/src/weir/*/*_bench.cpp)
set(weir_benches)
foreach(source ${sources})
  weir_bench_program(${source} weir_sim weir weir_options fmt::fmt Boost::headers)
  get_filename_component(name ${source} NAME_WE)
  if(name MATCHES "_(bench|server)$")
    string(REGEX REPLACE "_(bench|server)$" "" name ${name})
    list(APPEND weir_benches ${name})
  endif()
endforeach()

# They start the server themselves.
foreach(name durable_bench scale_bench queues_bench)
  if(TARGET ${name} AND TARGET weir_app)
    add_dependencies(${name} weir_app)
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
    if(peer STREQUAL "caf")  # its headers need what C++20 removed
      set_target_properties(${name} PROPERTIES CXX_STANDARD 17)
    endif()
  else()
    message(STATUS "weir: no benchmark ${name}: ${peer} is not installed")
  endif()
endforeach()

# Other languages bring their own compilers. Release only: nobody compares a debug build.
find_program(WEIR_GO go)
find_program(WEIR_CARGO cargo)
set(foreign)
set(measure ${PROJECT_SOURCE_DIR}/bench/peers/measure.go)  # a part of each
file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/peers/*_go.go)
foreach(source ${sources})
  get_filename_component(name ${source} NAME_WE)
  if(WEIR_GO)
    add_custom_command(OUTPUT ${weir_bench_folder}/${name} DEPENDS ${source} ${measure} VERBATIM
      COMMAND ${CMAKE_COMMAND} -E env GO111MODULE=off ${WEIR_GO} build -o ${weir_bench_folder}/${name} ${source} ${measure})
    list(APPEND foreign ${weir_bench_folder}/${name})
  endif()
endforeach()
file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/peers/*_*.rs)
if(WEIR_CARGO AND sources)
  set(crate ${PROJECT_SOURCE_DIR}/bench/peers/Cargo.toml)
  set(outputs)
  foreach(source ${sources})
    get_filename_component(name ${source} NAME_WE)
    list(APPEND outputs ${weir_bench_folder}/${name})
    list(APPEND copies COMMAND ${CMAKE_COMMAND} -E copy ${PROJECT_BINARY_DIR}/cargo/release/${name} ${weir_bench_folder}/${name})
  endforeach()
  add_custom_command(OUTPUT ${outputs} DEPENDS ${sources} ${crate} ${PROJECT_SOURCE_DIR}/bench/peers/measure.rs VERBATIM
    COMMAND ${WEIR_CARGO} build --quiet --release --locked --manifest-path ${crate} --target-dir ${PROJECT_BINARY_DIR}/cargo ${copies})
  list(APPEND foreign ${outputs})
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_custom_target(bench_peers ALL DEPENDS ${foreign})
endif()

if(WEIR_TESTS AND WEIR_CHECKS)
  list(REMOVE_DUPLICATES weir_benches)
  foreach(name ${weir_benches})
    set(covering ${weir_benches})
    list(REMOVE_ITEM covering ${name})
    list(JOIN covering "|" covering)
    if(name MATCHES "${covering}")  # bench.py runs all whose name has the word in it: tasks and tasks_mt
      continue()
    endif()
    add_test(NAME bench.${name} COMMAND ${Python3_EXECUTABLE} -B ${PROJECT_SOURCE_DIR}/tools/bench.py ${name}
      --programs ${weir_bench_folder} --small --rounds 1)
    set_tests_properties(bench.${name} PROPERTIES LABELS alone)
  endforeach()
endif()
