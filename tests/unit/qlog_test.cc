// The event stream as qlog, read back by a JSON parser.
#include "drivers/qlog.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using Json = nlohmann::json;

std::vector<Json> read_records(const std::string& path) {
  std::ifstream in(path);
  std::vector<Json> records;
  for (std::string line; std::getline(in, line);) {
    EXPECT_EQ(line.at(0), '\x1e');  // RFC 7464
    records.push_back(Json::parse(line.substr(1)));
  }
  return records;
}

TEST(Qlog, AHandshakeAndALossAreReadBack) {
  const std::string path = testing::TempDir() + "limpid-qlog-" + std::to_string(getpid());
  {
    QlogWriter writer(path, {.host = "10.0.0.1"});
    TcpDialogue t;
    t.stack.set_trace_sink(&writer);
    const SocketId id = t.establish_actively();
    t.send(id, 1000);
    t.pass(1s);  // nobody answers: the retransmission timer expires
    t.stack.set_trace_sink(nullptr);
  }
  const std::vector<Json> records = read_records(path);
  ASSERT_GT(records.size(), 5u);
  EXPECT_EQ(records[0]["file_schema"], "urn:ietf:params:qlog:file:sequential");
  EXPECT_EQ(records[0]["trace"]["common_fields"]["time_format"], "relative_to_epoch");

  uint64_t last = 0;
  const Json* syn = nullptr;
  const Json* resent = nullptr;
  for (size_t i = 1; i < records.size(); ++i) {
    const Json& r = records[i];
    EXPECT_GT(r["n"].get<uint64_t>(), last);
    last = r["n"];
    EXPECT_TRUE(r["time"].is_number());
    if (r["name"] == "tcp:packet_sent" && r["data"]["flags"] == "SYN") syn = &r;
    if (r["name"] == "tcp:packet_sent" && r["data"]["trigger"] == "recovery.rto") resent = &r;
    const bool before_the_loss = r["name"] == "recovery:metrics_updated" && r["data"]["trigger"] == "rtt.sample";
    EXPECT_FALSE(before_the_loss && r["data"].contains("ssthresh"));  // infinity is absent
  }
  ASSERT_NE(syn, nullptr);
  EXPECT_EQ((*syn)["group_id"], "1");
  EXPECT_EQ((*syn)["tuple"].get<std::string>().substr(0, 9), "10.0.0.1:");
  EXPECT_EQ((*syn)["why"]["clause"][0], "RFC 9293 §3.10.1");
  ASSERT_NE(resent, nullptr);
  EXPECT_EQ((*resent)["data"]["len"], 1000);
  EXPECT_EQ((*resent)["data"]["seq"], 1);
  EXPECT_GT((*resent)["time"].get<double>(), 199.0);  // milliseconds
  EXPECT_TRUE((*resent).contains("cause"));
  unlink(path.c_str());
}

TEST(Qlog, AFileThatCannotBeMadeIsSaidAtOnce) {
  EXPECT_THROW(QlogWriter("/nowhere/at/all.qlog", {}), std::system_error);
}

}  // namespace
}  // namespace limpid
