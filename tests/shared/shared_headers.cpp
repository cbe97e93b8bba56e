// What nearly every test includes, parsed once: cmake/weir.cmake.
#include <weir/core.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>
