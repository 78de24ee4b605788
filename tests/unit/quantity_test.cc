// Numbers with a unit, as they stand on command lines.
#include "drivers/quantity.h"

#include <gtest/gtest.h>

namespace limpid {
namespace {

// The value that a text is read as; nothing when it means nothing.
template <class T>
std::optional<T> read(bool (*parse)(std::string_view, T&), std::string_view text) {
  T value{};
  if (parse(text, value)) return value;
  EXPECT_EQ(value, T{}) << "a text that means nothing leaves the value alone: " << text;
  return std::nullopt;
}

TEST(Quantity, SharesAreInPartsPerMillion) {
  EXPECT_EQ(read(parse_share, "1%"), 10'000U);
  EXPECT_EQ(read(parse_share, "0.1%"), 1'000U);
  EXPECT_EQ(read(parse_share, "200ppm"), 200U);
  EXPECT_EQ(read(parse_share, "100%"), 1'000'000U);
  for (const char* wrong : {"", "1", "%", "-1%", "100.1%", "1 %", "1%%"})
    EXPECT_FALSE(read(parse_share, wrong)) << wrong;
}

TEST(Quantity, DurationsHaveAUnit) {
  EXPECT_EQ(read(parse_duration, "10ms"), Duration(10ms));
  EXPECT_EQ(read(parse_duration, "0.25ms"), Duration(250us));
  EXPECT_EQ(read(parse_duration, "2s"), Duration(2s));
  for (const char* wrong : {"", "10", "ms", "3601s", "1h"}) EXPECT_FALSE(read(parse_duration, wrong)) << wrong;
}

TEST(Quantity, RatesAreInBitsASecond) {
  EXPECT_EQ(read(parse_rate, "100mbit"), 100'000'000U);
  EXPECT_EQ(read(parse_rate, "1.5gbit"), 1'500'000'000U);
  EXPECT_EQ(read(parse_rate, "9600bit"), 9'600U);
  for (const char* wrong : {"", "0mbit", "100", "100mb"}) EXPECT_FALSE(read(parse_rate, wrong)) << wrong;
}

TEST(Quantity, SizesCountInThousandsOrInKibibytes) {
  EXPECT_EQ(read(parse_size, "1500"), 1'500U);
  EXPECT_EQ(read(parse_size, "250k"), 250'000U);
  EXPECT_EQ(read(parse_size, "64ki"), 65'536U);
  EXPECT_EQ(read(parse_size, "1.25m"), 1'250'000U);
  EXPECT_EQ(read(parse_size, "4294967295"), UINT32_MAX);
  for (const char* wrong : {"", "0", "k", "10kb", "4294967296", "4096mi"})
    EXPECT_FALSE(read(parse_size, wrong)) << wrong;
}

}  // namespace
}  // namespace limpid
