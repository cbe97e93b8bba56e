// Misuse of tasks and awaits that must not compile. The compiler itself checks this file (clang's
// -verify): each refusal stands where the comment says so, and what has no comment is accepted.
#include <weir/core.hpp>
#include <weir/flow/mutex.hpp>
#include <weir/flow/oneshot.hpp>
#include <weir/io/datagram_socket.hpp>
#include <weir/io/file.hpp>
#include <weir/io/pipe_ends.hpp>
#include <weir/io/socket.hpp>

#include <coroutine>
#include <tuple>
#include <utility>

using namespace weir::literals;

namespace {

weir::task<int> work() {
  co_await weir::sleep(1_ms);
  co_return 1;
}

// A task is awaited once, and says so by being moved.
weir::task<> single_use() {
  weir::task<int> held = work();
  co_await std::move(held);
  weir::task<int> again = work();
  co_await again;
  // expected-error@-1 {{no member named 'await_ready'}}
  // expected-error@*:* {{a task is awaited once, so it is moved: co_await std::move(t)}}
  weir::task<int> copy = again;  // expected-error {{implicitly-deleted copy constructor}}
  co_await std::move(copy);
}

// What is spawned is called with the arguments that are given, and gives a task.
weir::task<> of_number(int) { co_return; }
void gives_nothing(int) {}
void spawned(weir::scope& tasks) {
  tasks.spawn(of_number, 5);
  tasks.spawn(of_number, 5, 6);    // expected-error {{no matching member function for call to}}
  tasks.spawn(of_number, "five");  // expected-error {{no matching member function for call to}}
  tasks.spawn(gives_nothing, 5);   // expected-error {{no matching member function for call to}}
  tasks.spawn(work());             // expected-error {{no matching member function for call to}}
}

// A task that nobody awaits has not begun; a wait that nobody awaits has not waited; a lock that
// nobody keeps is not held; a result that nobody looks at is an error that nobody hears.
weir::task<> dropped(weir::mutex& accounts, weir::socket& peer, weir::listener& door,
                     weir::file& log, weir::datagram_socket& datagrams, weir::pipe_reader& reader,
                     weir::pipe_writer& writer, weir::scope& tasks) {
  work();                    // expected-error {{ignoring return value}}
  weir::sleep(1_ms);         // expected-error {{ignoring return value}}
  co_await accounts.lock();  // expected-error {{ignoring return value}}
  peer.send("hello");        // expected-error {{ignoring return value}}
  peer.receive();            // expected-error {{ignoring return value}}
  peer.shutdown_send();      // expected-error {{ignoring return value}}
  door.accept();             // expected-error {{ignoring return value}}
  log.write_at(0, "line");   // expected-error {{ignoring return value}}
  log.sync();                // expected-error {{ignoring return value}}
  datagrams.receive();       // expected-error {{ignoring return value}}
  reader.receive();          // expected-error {{ignoring return value}}
  writer.send("hello");      // expected-error {{ignoring return value}}
  tasks.join();              // expected-error {{ignoring return value}}
  weir::with_scope([](weir::scope&) -> weir::task<> { co_return; });
  // expected-error@-1 {{ignoring return value}}
  auto held = co_await accounts.lock();
}

// What is foreign could be neither seen nor cancelled: it needs a bridge.
struct foreign {
  bool await_ready();
  void await_suspend(std::coroutine_handle<> from);
  void await_resume();
};
weir::task<> foreign_awaitable() {
  co_await foreign{};  // expected-error@*:* {{not awaitable here; use a task, a wait, or a bridge}}
                       // expected-error@*:* {{no member named 'operator co_await'}}
}

// What is no coroutine can't wait: a destructor, or a function that gives no task.
struct waits_at_its_end {
  ~waits_at_its_end() {
    co_await weir::sleep(1_ms);  // expected-error {{cannot be used in a destructor}}
  }
};
int plain_function() {  // expected-error {{this function cannot be a coroutine}}
  co_await weir::sleep(1_ms);
  return 1;
}

// A function that passes a task on without being a coroutine says so.
// expected-error@+1 {{neither a coroutine nor a coroutine wrapper}}
weir::task<int> unmarked() { return work(); }
WEIR_CORO_WRAPPER weir::task<int> marked() { return work(); }

// A select is between single waits; tasks have when_any.
weir::task<> selects() {
  co_await weir::select(weir::sleep(1_ms), weir::yield());
  co_await weir::select(work(), weir::sleep(1_ms));
  // expected-error@*:* {{select takes single waits, such as receive() or sleep(); use when_any}}
  // expected-error@*:* 0+ {{no type named 'value_type'}}
}

// Nor of waits that it would leave half done: a receive takes nothing, a send may have sent a part.
weir::task<> selects_a_send(weir::socket& peer, weir::oneshot_receiver<int>& from) {
  co_await weir::select(peer.receive(), from.receive());
  co_await weir::select(peer.send("hello"), from.receive());
  // expected-error@*:* {{would leave this one half done; put it into a task}}
}

// An awaitable says what a cancellation leaves of it.
struct says_nothing {
  void bind(weir::detail::frame_base&);
  bool await_ready();
  void await_suspend(std::coroutine_handle<> from);
  void await_resume();
};
struct says_it : says_nothing {
  static constexpr auto when_cancelled = weir::cancel_safety::nothing_happened;
};
weir::task<> awaits_both() {
  co_await says_it();
  co_await says_nothing();
  // expected-error@*:* {{an awaitable says what a cancellation leaves of it}}
}

[[maybe_unused]] auto uses() {
  return std::make_tuple(&single_use, &dropped, &foreign_awaitable, &plain_function, &unmarked,
                         &marked, &selects, &selects_a_send, &awaits_both, &spawned,
                         sizeof(waits_at_its_end));
}

}  // namespace
