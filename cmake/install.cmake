# make install: library, header, command, find_package(tenon) and pkg-config.
include(CMakePackageConfigHelpers)
install(TARGETS tenon EXPORT tenonTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(TARGET tenon_tool)
  install(TARGETS tenon_tool RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  # The command by the names that scripts for TensorRT call; a trtexec that is there already stays.
  install(CODE "
    set(bin \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\")
    foreach(name trtexec tenon-trtexec)
      if(NOT EXISTS \"\${bin}/\${name}\")
        file(CREATE_LINK tenon \"\${bin}/\${name}\" SYMBOLIC)
      endif()
    endforeach()")
  install(FILES docs/man/tenon.1 docs/man/tenon-trtexec.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()
install(DIRECTORY include/tenon DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT tenonTargets NAMESPACE tenon:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/tenon)
file(WRITE ${CMAKE_BINARY_DIR}/tenonConfig.cmake "include(\"\${CMAKE_CURRENT_LIST_DIR}/tenonTargets.cmake\")\n")
write_basic_package_version_file(${CMAKE_BINARY_DIR}/tenonConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/tenonConfig.cmake ${CMAKE_BINARY_DIR}/tenonConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/tenon)
# Relative to the file itself, so that an installed tree may be moved.
file(RELATIVE_PATH TN_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/tenon.pc.in ${CMAKE_BINARY_DIR}/tenon.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/tenon.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
