# Where each rule of stack/base/rules.h is applied: scans the sources for `Rule::name` and writes one C++ initializer a
# rule, with the file and line of its first use.
#
#   cmake -DROOT=<source tree> -DOUTPUT=<rule_sites.inc> -P cmake/rule_sites.cmake

cmake_minimum_required(VERSION 3.25)

file(GLOB_RECURSE sources RELATIVE ${ROOT} ${ROOT}/stack/*.cc ${ROOT}/drivers/*.cc)
# Where a rule is decided comes before where its name is looked up for printing.
list(FILTER sources EXCLUDE REGEX "^stack/base/|/print\\.cc$|^drivers/(trace|pcapng|qlog)")
list(SORT sources)

set(seen)
set(rows "")
foreach(source IN LISTS sources)
  file(READ ${ROOT}/${source} text)
  set(line 1)
  while(TRUE)
    string(FIND "${text}" "Rule::" at)
    if(at EQUAL -1)
      break()
    endif()
    string(SUBSTRING "${text}" 0 ${at} before)
    string(REGEX REPLACE "[^\n]" "" newlines "${before}")
    string(LENGTH "${newlines}" lines)
    math(EXPR line "${line} + ${lines}")
    math(EXPR at "${at} + 6")
    string(SUBSTRING "${text}" ${at} -1 text)
    string(REGEX MATCH "^[a-z_0-9]+" rule "${text}")
    if(rule AND NOT rule STREQUAL "none" AND NOT rule STREQUAL "count_" AND NOT rule IN_LIST seen)
      list(APPEND seen ${rule})
      string(APPEND rows "{Rule::${rule}, {\"${source}\", ${line}}},\n")
    endif()
  endwhile()
endforeach()

# Written only when it differs, so that an edit that moves no line builds nothing anew.
set(content "// Written by cmake/rule_sites.cmake.\n${rows}")
set(old "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} old)
endif()
if(NOT old STREQUAL content)
  file(WRITE ${OUTPUT} "${content}")
endif()
