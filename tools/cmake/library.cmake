# The library bulkhead::bulkhead, made of the three rooms, and its installation.
include(CMakePackageConfigHelpers)
include(CheckCXXSourceCompiles)

# libbacktrace comes with GCC; it gives crash reports their names and line numbers.
set(CMAKE_REQUIRED_LIBRARIES backtrace)
check_cxx_source_compiles(
  "extern \"C\" void* backtrace_create_state(const char*, int, void*, void*);
   int main() { return backtrace_create_state(nullptr, 1, nullptr, nullptr) == nullptr; }"
  BULKHEAD_HAS_LIBBACKTRACE)
unset(CMAKE_REQUIRED_LIBRARIES)
if(NOT BULKHEAD_HAS_LIBBACKTRACE)
  message(FATAL_ERROR "bulkhead needs libbacktrace, which Debian's g++-12 brings along (libgcc-12-dev)")
endif()

set(rooms serialization worker runtime)
add_library(bulkhead)
add_library(bulkhead::bulkhead ALIAS bulkhead)
foreach(room IN LISTS rooms)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${room}/include/bulkhead/*.hpp)
  list(APPEND public_headers ${headers})
  list(APPEND base_dirs ${PROJECT_SOURCE_DIR}/${room}/include)
  target_sources(bulkhead PRIVATE $<TARGET_OBJECTS:bulkhead_${room}>)
endforeach()
target_sources(bulkhead PUBLIC FILE_SET HEADERS BASE_DIRS ${base_dirs} FILES ${public_headers})
target_compile_features(bulkhead PUBLIC cxx_std_20)
# A program that logs has to have the same spdlog as the library, or its loggers are others.
target_link_libraries(bulkhead PUBLIC cereal::cereal spdlog::spdlog PRIVATE backtrace)
# A shared library must not offer the symbols of libbacktrace to the program.
target_link_options(bulkhead PRIVATE -Wl,--exclude-libs,libbacktrace.a)
set_target_properties(bulkhead PROPERTIES
  LINKER_LANGUAGE CXX
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
  VERIFY_INTERFACE_HEADER_SETS ${PROJECT_IS_TOP_LEVEL})

# Headers for users of further libraries, which these targets do not look for: whoever links one has its library.
function(bulkhead_companion name)
  add_library(bulkhead_${name} INTERFACE)
  add_library(bulkhead::${name} ALIAS bulkhead_${name})
  set(base ${PROJECT_SOURCE_DIR}/runtime/${name}/include)
  target_sources(bulkhead_${name} INTERFACE FILE_SET HEADERS
    BASE_DIRS ${base} FILES ${base}/bulkhead/${name}.hpp)
  target_link_libraries(bulkhead_${name} INTERFACE bulkhead::bulkhead)
  set_target_properties(bulkhead_${name} PROPERTIES
    EXPORT_NAME ${name} VERIFY_INTERFACE_HEADER_SETS ${PROJECT_IS_TOP_LEVEL})
  install(TARGETS bulkhead_${name} EXPORT bulkhead
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
endfunction()
bulkhead_companion(asio)
target_link_libraries(bulkhead_asio INTERFACE Threads::Threads)
bulkhead_companion(gzip)
bulkhead_companion(lz4)
bulkhead_companion(prometheus)
bulkhead_companion(zstd)

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/bulkhead)
install(TARGETS bulkhead EXPORT bulkhead
  FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT bulkhead NAMESPACE bulkhead:: FILE bulkheadTargets.cmake DESTINATION ${config_dir})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/bulkheadConfig.cmake.in
  ${PROJECT_BINARY_DIR}/bulkheadConfig.cmake INSTALL_DESTINATION ${config_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/bulkheadConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
# The installed tree may be moved, or installed to another prefix than it was configured for.
file(RELATIVE_PATH BULKHEAD_PREFIX_FROM_PC
  ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(${CMAKE_CURRENT_LIST_DIR}/bulkhead.pc.in ${PROJECT_BINARY_DIR}/bulkhead.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/bulkheadConfig.cmake
  ${PROJECT_BINARY_DIR}/bulkheadConfigVersion.cmake DESTINATION ${config_dir})
install(FILES ${PROJECT_BINARY_DIR}/bulkhead.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
