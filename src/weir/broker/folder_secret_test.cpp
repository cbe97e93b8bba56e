// The secret of a data folder: drawn for a new one only, and missed when it is gone or another.
#include <weir/broker/folder_secret.hpp>

#include <weir/broker/internal/broker_kit.hpp>
#include <weir/core.hpp>
#include <weir/io/file.hpp>
#include <weir/testing/test.hpp>

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

namespace weir::folder_secret_test {
namespace {

using namespace weir::literals;
using detail::small_broker;
using detail::submit_text;
using detail::tiny_broker;
using detail::with_broker;

WEIR_TEST("a folder whose secret is gone is refused, for nobody's ids would be known") {
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    co_await submit_text(b, "q", "x");
  });
  co_await remove_path("/data/secret");
  for (int i = 0; i < 2; ++i) {
    co_await testing::expect_raises(errc::corrupt, broker::open(small_broker()));
  }
}

WEIR_TEST("a secret that is gone is noticed when a snapshot holds everything") {
  co_await with_broker(tiny_broker(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    const std::string body(2'000, 'x');
    while (b.log().stats().snapshots_written == 0) {
      co_await submit_text(b, "q", body);
      co_await sleep(1_s);
    }
  });
  co_await remove_path("/data/secret");
  co_await testing::expect_raises(errc::corrupt, broker::open(tiny_broker()));
}

WEIR_TEST("a folder that holds data gets no new secret, however its opening ends") {
  co_await with_broker(small_broker(), [](broker& b) -> task<> { co_await b.put_queue("q", {}); });
  co_await remove_path("/data/secret");
  testing::world().add_fault({.op = io_op::open, .nth = 2, .code = EMFILE});
  EXPECT_FALSE(co_await as_result(broker::open(small_broker())));
  testing::world().drop_faults();
  co_await testing::expect_raises(errc::corrupt, broker::open(small_broker()));
}

WEIR_TEST("a secret of which a bit has turned is refused, for it would be another one") {
  co_await with_broker(small_broker(), [](broker& b) -> task<> { co_await b.put_queue("q", {}); });
  virtual_disk& disk = testing::world().disk();
  const std::string whole = *disk.content_of("/data/secret");
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string turned = whole;
    turned[at] = static_cast<char>(turned[at] ^ 1);
    EXPECT_EQ(disk.set_content("/data/secret", turned), 0);
    EXPECT_EQ(co_await secret_fault("/data"),
              "the folder's secret is damaged: its checksum is wrong");
    co_await testing::expect_raises(errc::corrupt, broker::open(small_broker()));
    EXPECT_EQ(*disk.content_of("/data/secret"), turned);
  }
}

WEIR_TEST("a secret without a checksum, as it was written before, gets one") {
  std::string id;
  co_await with_broker(small_broker(), [&](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    id = co_await submit_text(b, "q", "x");
  });
  virtual_disk& disk = testing::world().disk();
  const std::string whole = *disk.content_of("/data/secret");
  for (const std::size_t cut : {16u, 18u}) {
    EXPECT_EQ(disk.set_content("/data/secret", whole.substr(0, cut)), 0);
    EXPECT_EQ(co_await secret_fault("/data"), "");
    co_await with_broker(small_broker(),
                         [&](broker& b) -> task<> { EXPECT_TRUE(co_await b.message(id)); });
    EXPECT_EQ(*disk.content_of("/data/secret"), whole);
  }
}

/// A folder with one message, whose id is given.
task<std::string> make_folder(std::string dir) {
  std::string id;
  co_await with_broker(small_broker(std::move(dir)), [&](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    id = co_await submit_text(b, "q", "x");
  });
  co_return id;
}

task<> expect_known(std::string_view id, bool is_known) {
  co_await with_broker(small_broker(), [&](broker& b) -> task<> {
    EXPECT_EQ((co_await b.message(id)).has_value(), is_known);
  });
}

WEIR_TEST("the secret of another folder is refused until its mark is removed") {
  const std::string id = co_await make_folder("/data");
  co_await make_folder("/other");
  virtual_disk& disk = testing::world().disk();
  const std::string own = *disk.content_of("/data/secret");
  EXPECT_EQ(disk.set_content("/data/secret", *disk.content_of("/other/secret")), 0);
  EXPECT_EQ(co_await secret_fault("/data"),
            "the folder's secret is another one than that of its data");
  const auto refused = co_await as_result(broker::open(small_broker()));
  EXPECT_EQ(refused.error(), errc::corrupt);
  EXPECT_TRUE(refused.error().message().contains("remove '/data/secret.mark'"));
  EXPECT_EQ(disk.set_content("/data/secret", own), 0);
  co_await expect_known(id, true);
  EXPECT_EQ(disk.set_content("/data/secret", *disk.content_of("/other/secret")), 0);
  co_await remove_path("/data/secret.mark");
  co_await expect_known(id, false);
  EXPECT_EQ(*disk.content_of("/data/secret.mark"), *disk.content_of("/other/secret.mark"));
}

WEIR_TEST("a folder without a mark of its secret, or with a damaged one, gets it at its start") {
  const std::string id = co_await make_folder("/data");
  virtual_disk& disk = testing::world().disk();
  const std::string mark = *disk.content_of("/data/secret.mark");
  for (const std::string& damaged : {std::string(), mark.substr(1), 'x' + mark.substr(1)}) {
    EXPECT_EQ(disk.set_content("/data/secret.mark", damaged), 0);
    EXPECT_EQ(co_await secret_fault("/data"), "");
    co_await expect_known(id, true);
    EXPECT_EQ(*disk.content_of("/data/secret.mark"), mark);
  }
  co_await remove_path("/data/secret.mark");
  co_await expect_known(id, true);
  EXPECT_EQ(*disk.content_of("/data/secret.mark"), mark);
}

WEIR_TEST("a folder that can't get a mark of its secret is opened without it") {
  const std::string id = co_await make_folder("/data");
  co_await remove_path("/data/secret.mark");
  // Opened are the secret, the mark to be read, the mark to be written.
  testing::world().add_fault({.op = io_op::open, .nth = 3, .code = ENOSPC});
  co_await expect_known(id, true);
  EXPECT_EQ(testing::world().faults_struck(), 1u);
  EXPECT_EQ(testing::world().disk().content_of("/data/secret.mark"), nullptr);
}

WEIR_TEST("a new folder's secret replaces the mark of one that was there") {
  co_await make_folder("/data");
  for (const std::string& name : list_dir("/data")) {
    if (name != "secret.mark") co_await remove_path("/data/" + name);
  }
  const std::string id = co_await make_folder("/data");
  co_await expect_known(id, true);
}

WEIR_TEST("what is wrong with a secret is told without a change") {
  co_await with_broker(small_broker(), [](broker&) -> task<> { co_return; });
  virtual_disk& disk = testing::world().disk();
  EXPECT_EQ(co_await secret_fault("/data"), "");
  EXPECT_EQ(disk.set_content("/data/secret", std::string(16, '\0')), 0);
  EXPECT_EQ(co_await secret_fault("/data"), "the folder's secret is blank");
  EXPECT_EQ(disk.set_content("/data/secret", "too short"), 0);
  EXPECT_EQ(co_await secret_fault("/data"), "the folder's secret has the wrong length");
  EXPECT_EQ(*disk.content_of("/data/secret"), "too short");
  co_await remove_path("/data/secret");
  EXPECT_EQ(co_await secret_fault("/data"), "the folder's secret is missing");
  EXPECT_EQ(disk.content_of("/data/secret"), nullptr);
}

}  // namespace
}  // namespace weir::folder_secret_test
