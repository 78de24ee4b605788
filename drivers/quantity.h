// Numbers with a unit, as people write them on a command line. Each answers false, and leaves its result alone, when
// the text means nothing.
//
//   share      2%  0.5%  200ppm            parts per million, at most all
//   duration   200us  1.5ms  2s            at most an hour
//   rate       10mbit  1.5gbit  9600bit    bit/s, more than 0
//   count      1500                        a whole number, more than 0
//   size       1500  250k  2m  64ki        bytes; k is 1000 and ki is 1024
#pragma once

#include <cstdint>
#include <string_view>

#include "stack/base/time.h"

namespace limpid {

bool parse_share(std::string_view text, uint32_t& ppm);
bool parse_duration(std::string_view text, Duration& duration);
bool parse_rate(std::string_view text, uint64_t& rate);
bool parse_count(std::string_view text, uint32_t& count);
bool parse_size(std::string_view text, uint32_t& bytes);

}  // namespace limpid
