# What `cmake --install` gives a stranger: the public headers, one static library, find_package(limpid) and limpid.pc.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS limpid EXPORT limpid-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/limpid DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/limpid)
install(EXPORT limpid-targets NAMESPACE limpid:: DESTINATION ${package_dir})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/limpid-config.cmake.in ${PROJECT_BINARY_DIR}/limpid-config.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/limpid-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/limpid-config.cmake ${PROJECT_BINARY_DIR}/limpid-config-version.cmake
  DESTINATION ${package_dir})

# limpid.pc finds the rest from where it lies itself, so that an installed tree can be moved.
file(RELATIVE_PATH LIMPID_PC_TO_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(${CMAKE_CURRENT_LIST_DIR}/limpid.pc.in ${PROJECT_BINARY_DIR}/limpid.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/limpid.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
