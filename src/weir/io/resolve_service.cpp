#include <weir/io/resolve_service.hpp>

#include <weir/core/loop.hpp>
#include <weir/io/internal/name_query.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace weir {

namespace {

constexpr int class_internet = 1;   // RFC 1035, section 3.2.4
constexpr int query_type_srv = 33;  // RFC 2782

class service_query final : public detail::name_query {
 public:
  explicit service_query(std::string name) : name_(std::move(name)) {}
  ~service_query() { close(); }

  std::vector<service_target>& found() noexcept { return found_; }

 private:
  void ask() override {
    found_.clear();
    ares_query(
        channel(), name_.c_str(), class_internet, query_type_srv,
        [](void* self, int status, int, unsigned char* answer, int size) {
          static_cast<service_query*>(self)->heard(status, answer, size);
        },
        this);
  }
  void heard(int status, const unsigned char* answer, int size) noexcept {
    struct ares_srv_reply* records = nullptr;
    if (status == ARES_SUCCESS) status = ares_parse_srv_reply(answer, size, &records);
    answered(status);
    try {
      for (const ares_srv_reply* one = records; one; one = one->next) keep(*one);
    } catch (...) {
      failed(std::current_exception());
    }
    if (records) ares_free_data(records);
  }
  void keep(const ares_srv_reply& one) {
    std::string host = one.host;
    if (host.empty() || host == ".") return;
    found_.push_back({.host = std::move(host),
                      .port = one.port,
                      .priority = one.priority,
                      .weight = one.weight});
  }

  std::string name_;
  std::vector<service_target> found_;
};

}  // namespace

std::vector<service_target> by_priority_and_lot(std::vector<service_target> targets,
                                                random_source& lots) {
  // Those of weight 0 in front, as the RFC asks: a lot of 0 takes them, any other passes them by.
  std::ranges::sort(targets, {}, [](const service_target& one) {
    return std::pair(one.priority, one.weight != 0);
  });
  for (auto next = targets.begin(); next != targets.end(); ++next) {
    const auto end = std::find_if(next, targets.end(), [next](const service_target& one) {
      return one.priority != next->priority;
    });
    std::uint64_t left = 0;
    for (auto one = next; one != end; ++one) left += one->weight;
    std::uint64_t lot = lots.below(left + 1);
    auto chosen = next;
    for (; chosen + 1 != end && chosen->weight < lot; ++chosen) lot -= chosen->weight;
    std::rotate(next, chosen, chosen + 1);  // the others keep their order
  }
  return targets;
}

task<std::vector<service_target>> resolve_service(std::string name, resolve_options options) {
  if (!detail::is_plausible_name(name))
    raise(error(errc::invalid_argument, fmt::format("'{}' is no service name", name)));
  service_query query(name);
  co_await query.run(options);
  if (query.found().empty())
    detail::raise_unresolved(name, query.status() == ARES_SUCCESS ? ARES_ENODATA : query.status());
  random_source lots(loop::current()->io().random());
  std::vector<service_target> all = by_priority_and_lot(std::move(query.found()), lots);
  if (all.size() > service_targets_max) all.resize(service_targets_max);
  co_return all;
}

}  // namespace weir
