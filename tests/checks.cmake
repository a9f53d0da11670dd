# SPDX-License-Identifier: MIT
# Tests of the house itself: what must not compile, who includes whom, and whether a user can build against it.
find_package(Python3 REQUIRED COMPONENTS Interpreter)

add_test(NAME house.includes_point_one_way
  COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/check_includes.py ${PROJECT_SOURCE_DIR})
add_test(NAME house.the_table_of_behaviours_is_up_to_date
  COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/conformance.py)

file(GLOB must_not_compile CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/compile_fail/*.cpp)
foreach(file IN LISTS must_not_compile)
  get_filename_component(name ${file} NAME_WE)
  add_test(NAME compile_fail.${name}
    COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/compile_fail/check.py
      ${CMAKE_CXX_COMPILER} ${file}
      -I${PROJECT_SOURCE_DIR}/serialization/include
      -I${PROJECT_SOURCE_DIR}/worker/include
      -I${PROJECT_SOURCE_DIR}/runtime/include)
  set_tests_properties(compile_fail.${name} PROPERTIES TIMEOUT 120 LABELS compile_fail)
endforeach()

# The consumers build the library themselves, with ordinary flags: once is enough, not in sanitizer builds.
if(NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  foreach(way IN ITEMS find_package_static find_package_shared add_subdirectory pkg_config)
    add_test(NAME install.${way}
      COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/install/consume.sh ${PROJECT_SOURCE_DIR}
        ${CMAKE_CURRENT_BINARY_DIR}/install ${CMAKE_CXX_COMPILER} ${way})
    set_tests_properties(install.${way} PROPERTIES TIMEOUT 600 LABELS install
      ENVIRONMENT "CMAKE_GENERATOR=${CMAKE_GENERATOR}")
  endforeach()
endif()

# Each public header compiles alone: built with everything else.
add_custom_target(bulkhead_headers_compile_alone ALL DEPENDS bulkhead_verify_interface_header_sets)
