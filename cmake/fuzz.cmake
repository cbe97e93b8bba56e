# One libFuzzer program per x_fuzz.cpp, with a short run of each among the tests: first its corpus (the folder
# x_corpus beside it, when there is one), then new inputs. `./dev fuzz` runs them for longer.
set(WEIR_FUZZ_SECONDS 5 CACHE STRING "How long each fuzzer runs as a test")

# Coverage makes the tests a fifth to a half slower, so that only the fuzzers have it: in their own sources, and in what they
# put their inputs through (cmake/weir.cmake), once more.
add_library(weir_coverage INTERFACE)
target_compile_options(weir_coverage INTERFACE -fsanitize=fuzzer-no-link)
add_library(weir_covered STATIC ${units_fuzzed})
target_link_libraries(weir_covered PUBLIC weir PRIVATE weir_options weir_coverage fmt::fmt spdlog::spdlog OpenSSL::SSL
  OpenSSL::Crypto PkgConfig::uring PkgConfig::cares Boost::json)

file(GLOB fuzzers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/weir/*/*_fuzz.cpp)
set(programs)
foreach(fuzzer ${fuzzers})
  get_filename_component(name ${fuzzer} NAME_WE)
  string(REGEX REPLACE "_fuzz\\.cpp$" "_corpus" corpus ${fuzzer})
  add_executable(${name} ${fuzzer})
  list(APPEND programs ${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(${name} PRIVATE weir_covered weir weir_options weir_coverage fmt::fmt Boost::json)
  if(TARGET weir_sim)
    target_link_libraries(${name} PRIVATE weir_sim)
  endif()
  if(WEIR_TESTS)
    set(found ${PROJECT_BINARY_DIR}/fuzz/found/${name})
    file(MAKE_DIRECTORY ${found})
    if(NOT EXISTS ${corpus})
      set(corpus)
    endif()
    add_test(NAME fuzz.${name} COMMAND ${name} -max_total_time=${WEIR_FUZZ_SECONDS} -timeout=10 -rss_limit_mb=2048
      -print_final_stats=1 -artifact_prefix=${PROJECT_BINARY_DIR}/fuzz/ ${found} ${corpus})
  endif()
endforeach()
if(WEIR_SHARED_HEADERS)
  weir_make_library_headers(weir_covered_headers tests/shared/library_headers.cpp weir_coverage)
  weir_share_headers(weir_covered_headers tests/shared/library_headers.cpp weir_covered ${programs})
endif()
