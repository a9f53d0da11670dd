# SPDX-License-Identifier: MIT
#
# Runs PROGRAM and compares what it prints with the lines after "// Prints:" in SOURCE.
# Usage: cmake -DPROGRAM=... -DSOURCE=... -P check_output.cmake

execute_process(
  COMMAND ${PROGRAM}
  RESULT_VARIABLE code
  OUTPUT_VARIABLE printed)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} ended with ${code}")
endif()

file(READ ${SOURCE} source)
if(NOT source MATCHES "// Prints:\n(.*)$")
  message(FATAL_ERROR "${SOURCE} has no \"// Prints:\" comment")
endif()
string(REGEX REPLACE "// ?([^\n]*\n)" "\\1" promised "${CMAKE_MATCH_1}")

if(NOT printed STREQUAL promised)
  message(FATAL_ERROR "promised:\n${promised}\nprinted:\n${printed}")
endif()
