#include <weir/serve/metrics_text.hpp>

#include <gtest/gtest.h>

namespace weir::metrics_text_test {
namespace {

using namespace literals;

TEST(metrics_text, families_have_help_and_type_and_samples_their_labels) {
  metrics_text out;
  out.family("weir_up", "gauge", "1 when it runs.").sample({}, std::uint64_t(1));
  out.family("weir_requests_total", "counter", "Requests.")
      .sample({{"endpoint", "submit"}, {"status", "202"}}, std::uint64_t(UINT64_MAX))
      .sample({{"endpoint", "ack"}, {"status", "204"}}, 0.5);
  EXPECT_EQ(out.take(),
            "# HELP weir_up 1 when it runs.\n"
            "# TYPE weir_up gauge\n"
            "weir_up 1\n"
            "# HELP weir_requests_total Requests.\n"
            "# TYPE weir_requests_total counter\n"
            "weir_requests_total{endpoint=\"submit\",status=\"202\"} 18446744073709551615\n"
            "weir_requests_total{endpoint=\"ack\",status=\"204\"} 0.5\n");
}

TEST(metrics_text, nobody_can_forge_a_line_by_a_label_or_help) {
  metrics_text out;
  out.family("a", "gauge", "x\ny\\\"").sample({{"l", "\"\\\n} 7"}}, std::uint64_t(1));
  EXPECT_EQ(out.take(), "# HELP a x\\ny\\\\\"\n# TYPE a gauge\na{l=\"\\\"\\\\\\n} 7\"} 1\n");
}

TEST(metrics_text, a_histogram_counts_each_length_in_all_buckets_that_hold_it) {
  metric_histogram histogram;
  histogram.record(100_us);  // a bound belongs to its bucket
  histogram.record(100'001_ns);
  histogram.record(1_s);
  histogram.record(31_s);
  histogram.record(-(5_s));
  EXPECT_EQ(histogram.count(), 5u);
  EXPECT_NEAR(histogram.sum_seconds(), 32.000200001, 1e-9);
  metrics_text out;
  out.family("t_seconds", "histogram", "Time.").sample({{"q", "a"}}, histogram);
  const std::string text = out.take();
  for (const char* line :
       {"t_seconds_bucket{q=\"a\",le=\"0.0001\"} 2\n",
        "t_seconds_bucket{q=\"a\",le=\"0.00025\"} 3\n", "t_seconds_bucket{q=\"a\",le=\"1\"} 4\n",
        "t_seconds_bucket{q=\"a\",le=\"30\"} 4\n", "t_seconds_bucket{q=\"a\",le=\"+Inf\"} 5\n",
        "t_seconds_count{q=\"a\"} 5\n"}) {
    EXPECT_NE(text.find(line), text.npos) << line << text;
  }
  EXPECT_NE(text.find("t_seconds_sum{q=\"a\"} 32.0002"), text.npos);
}

}  // namespace
}  // namespace weir::metrics_text_test
