# SPDX-License-Identifier: MIT
# Tests of the house itself: what must not compile, who includes whom, whether the protocols hold, and whether a user
# can build against it.
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

# Some consumers build the library themselves, with ordinary flags: once is enough, not in sanitizer builds.
if(NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  foreach(way IN ITEMS find_package_static find_package_shared add_subdirectory pkg_config)
    add_test(NAME install.${way}
      COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/install/consume.sh ${PROJECT_SOURCE_DIR}
        ${CMAKE_CURRENT_BINARY_DIR}/install ${CMAKE_CXX_COMPILER} ${way} ${PROJECT_BINARY_DIR})
    set_tests_properties(install.${way} PROPERTIES TIMEOUT 600 LABELS install
      ENVIRONMENT "CMAKE_GENERATOR=${CMAKE_GENERATOR}")
  endforeach()
endif()

# The models of the protocols. They know nothing of how the library is built: once is enough here, too.
find_program(SPIN spin)
if(SPIN AND NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  set(check_model ${CMAKE_CURRENT_SOURCE_DIR}/model/check.py)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${check_model})
  execute_process(COMMAND ${Python3_EXECUTABLE} ${check_model} --list
    OUTPUT_VARIABLE models OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  string(REPLACE "\n" ";" models "${models}")
  foreach(model IN LISTS models)
    add_test(NAME model.${model} COMMAND Python3::Interpreter ${check_model} ${model})
    set_tests_properties(model.${model} PROPERTIES TIMEOUT 300 LABELS model ENVIRONMENT "SPIN=${SPIN}")
  endforeach()
elseif(NOT SPIN)
  message(STATUS "spin is not there (Debian: apt-get install spin): the models of the protocols are not checked")
endif()

# Each public header compiles alone: built with everything else. Sanitizers would find nothing there.
if(NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  add_custom_target(bulkhead_headers_compile_alone ALL DEPENDS bulkhead_verify_interface_header_sets)
endif()
