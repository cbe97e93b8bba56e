#include <weir/core/memory_pause.hpp>

#include <weir/base/error.hpp>
#include <weir/base/log.hpp>
#include <weir/base/probe.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/loop.hpp>

#include <algorithm>
#include <cerrno>
#include <new>

namespace weir {

namespace {

bool is_caused_by_it(const error& what) noexcept {
  if (what.os_code() == ENOMEM) return true;
  return what.cause() && is_caused_by_it(*what.cause());
}

}  // namespace

bool is_want_of_memory(const std::exception_ptr& raised) noexcept {
  try {
    std::rethrow_exception(raised);
  } catch (const std::bad_alloc&) {
    return true;
  } catch (const error_group& group) {
    for (std::size_t i = 0; i < group.size(); ++i) {
      if (is_want_of_memory(group[i])) return true;
    }
    return group.is_empty() && group.dropped() != 0;  // not even the list found any
  } catch (const exception& e) {
    return is_caused_by_it(e.reason());
  } catch (...) {
    return false;
  }
}

error caught_want_of_memory() {
  if (!is_want_of_memory(std::current_exception())) throw;
  // tidy-allow(probes): a drill of ten minutes seldom has so little memory
  sometimes(true, "work goes on that found no memory");
  return error::from_os(ENOMEM, "asking for memory");
}

void memory_pause::found_none() {
  if (!is_want_of_memory(std::current_exception())) throw;
  // tidy-allow(probes): a drill of ten minutes seldom has so little memory
  sometimes(true, "work goes on that found no memory");
  const time_point now = loop::current()->now();
  if (has_begun_ && now < until_) return;
  const bool is_anew = !has_begun_ || now - until_ >= calm;
  if (is_anew)
    log::error("there is no memory; it goes on in a while", {{"work", who_}, {"of", which_}});
  length_ = is_anew ? pause_first : std::min(2 * length_, pause_max);
  until_ = now + length_;
  has_begun_ = true;
}

}  // namespace weir
