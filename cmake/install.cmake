# Install rules: headers, libraries, the `weir` command and the package that find_package(weir) reads. The test kit is
# the component `testing`, since it needs GoogleTest: find_package(weir COMPONENTS testing) gives weir::testing.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(weir_package ${CMAKE_INSTALL_LIBDIR}/cmake/weir)
set(kit PATTERN "testing" EXCLUDE)
if(TARGET weir_testing)
  set(kit)
  install(TARGETS weir_testing EXPORT weir-testing-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT weir-testing-targets NAMESPACE weir:: DESTINATION ${weir_package})
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/src/weir DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.hpp" PATTERN "internal" EXCLUDE PATTERN "apps" EXCLUDE ${kit})
install(TARGETS weir EXPORT weir-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET weir_sim)
  install(TARGETS weir_sim EXPORT weir-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
if(TARGET weir_app)
  install(TARGETS weir_app RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(EXPORT weir-targets NAMESPACE weir:: DESTINATION ${weir_package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/weir-config-version.cmake COMPATIBILITY SameMinorVersion)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/weir-config.cmake.in ${PROJECT_BINARY_DIR}/weir-config.cmake
  INSTALL_DESTINATION ${weir_package})
install(FILES ${PROJECT_BINARY_DIR}/weir-config.cmake ${PROJECT_BINARY_DIR}/weir-config-version.cmake
  DESTINATION ${weir_package})
