# Install rules: headers, libraries, the `weir` command and the package that find_package(weir) reads. The test kit is
# the component `testing`, since it needs GoogleTest: find_package(weir COMPONENTS testing) gives weir::testing. All but
# the command is the installation component `devel`; what a machine needs to run the server is `server`.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME devel)
set(weir_package ${CMAKE_INSTALL_LIBDIR}/cmake/weir)
set(kit PATTERN "testing" EXCLUDE)
if(TARGET weir_testing)
  set(kit)
  install(TARGETS weir_testing EXPORT weir-testing-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT weir-testing-targets NAMESPACE weir:: DESTINATION ${weir_package})
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/src/weir DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.hpp" PATTERN "*_corpus" EXCLUDE PATTERN "*_test.hpp" EXCLUDE PATTERN "internal" EXCLUDE PATTERN "apps" EXCLUDE PATTERN "drill" EXCLUDE ${kit})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/weir-dev RENAME copyright)
install(FILES ${PROJECT_SOURCE_DIR}/CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/weir-dev)
install(TARGETS weir EXPORT weir-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET weir_sim)
  install(TARGETS weir_sim weir_memory_watch EXPORT weir-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
if(TARGET weir_app)
  install(TARGETS weir_app RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT server)
  install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/weir RENAME copyright COMPONENT server)
  install(FILES ${PROJECT_SOURCE_DIR}/CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/weir COMPONENT server)
  # The completions are what the command prints, so they are made when it is installed.
  foreach(shell bash zsh fish)
    set(file_bash bash-completion/completions/weir)
    set(file_zsh zsh/vendor-completions/_weir)
    set(file_fish fish/vendor_completions.d/weir.fish)
    install(CODE "
      set(out \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/${file_${shell}}\")
      cmake_path(GET out PARENT_PATH folder)
      file(MAKE_DIRECTORY \"\${folder}\")
      execute_process(COMMAND \"$<TARGET_FILE:weir_app>\" completion ${shell} OUTPUT_FILE \"\${out}\" COMMAND_ERROR_IS_FATAL ANY)"
      COMPONENT server)
  endforeach()
  # What only a package of the system may install.
  install(FILES ${PROJECT_SOURCE_DIR}/packaging/weir.service DESTINATION lib/systemd/system COMPONENT system EXCLUDE_FROM_ALL)
  install(FILES ${PROJECT_SOURCE_DIR}/packaging/weir.sysusers DESTINATION lib/sysusers.d RENAME weir.conf
    COMPONENT system EXCLUDE_FROM_ALL)
endif()
install(EXPORT weir-targets NAMESPACE weir:: DESTINATION ${weir_package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/weir-config-version.cmake COMPATIBILITY SameMinorVersion)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/weir-config.cmake.in ${PROJECT_BINARY_DIR}/weir-config.cmake
  INSTALL_DESTINATION ${weir_package})
install(FILES ${PROJECT_BINARY_DIR}/weir-config.cmake ${PROJECT_BINARY_DIR}/weir-config-version.cmake
  DESTINATION ${weir_package})
