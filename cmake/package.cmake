# Debian packages, made by CPack (`./dev package`): `weir` is the server with its unit and completions, `weir-dev` what
# find_package(weir) reads. Maintainer scripts are in packaging/debian/.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME weir)
set(CPACK_PACKAGE_VENDOR "weir")
set(CPACK_PACKAGE_CONTACT "The developers of weir <weir@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_COMPONENTS_ALL server system devel)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_SERVER_PACKAGE_NAME weir)
set(CPACK_DEBIAN_SERVER_PACKAGE_SHLIBDEPS ON)
# The C library and libstdc++ come from dpkg-shlibdeps; adduser makes the user that the unit runs as.
set(CPACK_DEBIAN_SERVER_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_SERVER_DESCRIPTION "server that takes work now and delivers the result later
 weir serve keeps messages in queues on disk, hands them to workers by push or by
 lease, and delivers results as callback, long poll or event.")
set(CPACK_COMPONENT_SERVER_DESCRIPTION ${CPACK_DEBIAN_SERVER_DESCRIPTION})
set(CPACK_DEBIAN_SERVER_PACKAGE_CONTROL_EXTRA
  ${PROJECT_SOURCE_DIR}/packaging/debian/postinst ${PROJECT_SOURCE_DIR}/packaging/debian/prerm
  ${PROJECT_SOURCE_DIR}/packaging/debian/postrm)

set(CPACK_DEBIAN_DEVEL_PACKAGE_NAME weir-dev)
set(CPACK_DEBIAN_DEVEL_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVEL_PACKAGE_DEPENDS
  "libfmt-dev, libspdlog-dev, libssl-dev, libboost-json1.81-dev, liburing-dev, libc-ares-dev, pkg-config")
set(CPACK_DEBIAN_DEVEL_PACKAGE_RECOMMENDS "libgtest-dev")  # for weir::testing
set(CPACK_DEBIAN_DEVEL_DESCRIPTION "asynchronous processing for C++: headers and libraries
 Tasks, scopes, channels, sockets, HTTP and the journal of weir, for programs in C++23.")
set(CPACK_COMPONENT_DEVEL_DESCRIPTION ${CPACK_DEBIAN_DEVEL_DESCRIPTION})
include(CPack)
cpack_add_component(server GROUP server)
cpack_add_component(system GROUP server)
cpack_add_component(devel GROUP devel)
