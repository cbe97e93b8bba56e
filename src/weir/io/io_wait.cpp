#include <weir/io/io_wait.hpp>

#include <weir/core/detail/world_text.hpp>
#include <weir/core/string_sink.hpp>

#include <fmt/format.h>

#include <cerrno>
#include <exception>

namespace weir::detail {

// Who made it may have ended: its address is only compared.
[[gnu::cold]] void stop_for_other_loop(const driver* made_by, io_handle handle,
                                       const driver& here) noexcept {
  string_sink text;
  text.put("a socket or file is used on the loop that made it; between loops use weir::cross: fd ");
  text.put_number(static_cast<std::uint64_t>(handle));
  put_worlds(" of", made_by, " is used in", &here, text);
  assertion_failed(text.text.c_str(), __FILE__, __LINE__, __func__);
}

error io_error(std::int64_t outcome, const char* what, const char* about,
               std::source_location place) noexcept {
  const int number = static_cast<int>(-outcome);
  if (number == ECANCELED) return {errc::closed, "closed while waiting", place};
  if (!about) return error::from_os(number, what, place);
  try {
    return error::from_os(number, fmt::format("{} '{}'", what, about), place);
  } catch (const std::exception&) {  // no memory for the text
    return error::from_os(number, what, place);
  }
}

void describe_request(const io_request& request, text_sink& out) noexcept {
  if (request.op == io_op::wait_signal) {
    out.put_number(request.flags);
  } else if (request.path && *request.path) {
    out.put("'");
    out.put(request.path);
    out.put("'");
  } else if (request.handle >= 0) {
    out.put("fd ");
    out.put_number(static_cast<std::uint64_t>(request.handle));
  }
}

void slice_cursor::advance(std::size_t done) noexcept {
  const std::size_t of_cut = done < cut_.size ? done : cut_.size;
  cut_.data = static_cast<const char*>(cut_.data) + of_cut;
  cut_.size -= of_cut;
  done -= of_cut;
  while (done != 0) {
    const io_slice piece = *rest_;
    ++rest_;
    --count_;
    if (done < piece.size) {
      cut_ = {static_cast<const char*>(piece.data) + done, piece.size - done};
      return;
    }
    done -= piece.size;
  }
  skip_empty();
}

}  // namespace weir::detail
