# bulkhead_warnings(target): the warnings that all code of ours is free of.
function(bulkhead_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
    $<$<BOOL:${BULKHEAD_WERROR}>:-Werror>)
endfunction()
