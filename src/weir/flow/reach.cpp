#include <weir/flow/detail/reach.hpp>

#include <weir/core/loop.hpp>

namespace weir::detail {

// A wait may be gone as soon as it has been told, so what follows is read before.
void many_loops::wakes::tell() noexcept {
  for (post_node* one = first_; one;) {
    post_node* const following = one->next;
    loop* const home = static_cast<place*>(one)->home;
    if (home == loop::current()) {
      one->run(*one);
    } else {
      home->post_node(*one);
    }
    one = following;
  }
}

}  // namespace weir::detail
