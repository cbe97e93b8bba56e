#include <weir/serve/service_counters.hpp>

#include <weir/base/assert.hpp>

#include <algorithm>

namespace weir {

void queue_rate_book::sample(std::span<const queue_progress> queues, time_point now) {
  for (const queue_progress& queue : queues) {
    while (read_ < queues_.size() && queues_[read_].number < queue.number) ++read_;
    const bool is_known = read_ < queues_.size() && queues_[read_].number == queue.number;
    meters of = is_known ? queues_[read_++] : meters{.number = queue.number};
    of.submitted.sample(queue.totals.submitted, now);
    of.leased.sample(queue.totals.leased, now);
    of.completed.sample(queue.totals.completed, now);
    of.failed.sample(queue.totals.failed, now);
    if (written_ < read_) {
      queues_[written_] = of;
    } else {
      WEIR_ASSERT(read_ == queues_.size());
      queues_.push_back(of);
      ++read_;
    }
    ++written_;
  }
}

void queue_rate_book::end_round() {
  queues_.resize(written_);
  read_ = written_;
}

queue_rates queue_rate_book::of(const queue_view& queue) const {
  const std::span<const meters> all(queues_);
  for (const auto& part : {all.first(written_), all.subspan(read_)}) {
    const auto found = std::ranges::lower_bound(part, queue.number, {}, &meters::number);
    if (found == part.end() || found->number != queue.number) continue;
    return {found->submitted.per_second(), found->leased.per_second(),
            found->completed.per_second(), found->failed.per_second()};
  }
  return {};
}

void service_counters::count(const route* to, int status, duration length) noexcept {
  const std::size_t row = to ? static_cast<std::size_t>(to->to) : endpoints;
  const auto found = std::ranges::find(statuses, status);
  const auto column = found == statuses.end() ? statuses.size() - 1
                                              : static_cast<std::size_t>(found - statuses.begin());
  ++requests_[row][column];
  lengths_[row].record(length);
}

void service_counters::pushed(bool is_delivered, duration length) {
  ++(is_delivered ? pushes_delivered_ : pushes_failed_);
  push_.record(length);
}

void service_counters::append_to(metrics_text& out) const {
  const auto status_label = [](int status) {
    if (status == cut_off) return std::string("cut_off");
    return status == 0 ? std::string("other") : std::to_string(status);
  };
  const auto label = [](std::size_t row) {
    return row == endpoints ? std::string_view("none") : name(static_cast<endpoint>(row));
  };
  out.family("weir_http_requests_total", "counter", "Requests answered, by endpoint and status.");
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t column = 0; column < statuses.size(); ++column) {
      if (requests_[row][column] == 0) continue;
      const std::string status = status_label(statuses[column]);
      out.sample({{"endpoint", label(row)}, {"status", status}}, requests_[row][column]);
    }
  }
  out.family("weir_http_request_seconds", "histogram",
             "Time from a request's head to the end of its answer; long polls included.");
  for (std::size_t row = 0; row < rows; ++row) {
    if (lengths_[row].count() != 0) out.sample({{"endpoint", label(row)}}, lengths_[row]);
  }
  out.family("weir_http_requests_in_flight", "gauge", "Requests that are being answered.")
      .sample({}, std::uint64_t(in_flight));
  out.family("weir_confirm_seconds", "histogram",
             "Time from a submitted message to its confirmation, durable on disk.")
      .sample({}, confirm_);
  out.family("weir_push_calls_total", "counter", "Calls to workers and reply addresses.")
      .sample({{"outcome", "delivered"}}, pushes_delivered_)
      .sample({{"outcome", "failed"}}, pushes_failed_);
  out.family("weir_push_call_seconds", "histogram", "Time of calls to workers and reply addresses.")
      .sample({}, push_);
}

}  // namespace weir
