// What a send costs the processor for a MiB, with a copy and without: socket::send() beside
// send_shared(), and below them send(2), MSG_ZEROCOPY and io_uring's SEND_ZC, from memory as it is
// and from memory that the ring knows (`fixed`).
//
// The hard idea: the kernel copies after all whenever the receiver is on the same machine, so the
// rows `loopback` say nothing of a network card. The rows `device` do: a TCP connection whose
// packets leave through a device that takes whole segments and drops them (ifb, in a network
// namespace of its own), established without a handshake (TCP_REPAIR), and acknowledged by packets
// that we write ourselves (tun). Nobody ever reads the data. That needs root and ip(8).
//
//   socket --> ifb, drops all
//      ^------ tun <-- acknowledgements
#include <weir/core.hpp>
#include <weir/io/make_driver.hpp>
#include <weir/io/shared_send.hpp>
#include <weir/io/socket.hpp>

#include "measure.hpp"
#include <arpa/inet.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/errqueue.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;
constexpr std::size_t memory_bytes = 32 * mebibyte;  // sent from in turn: it leaves the cache
constexpr std::size_t unheard_bytes = mebibyte / 4;  // then the device's peer acknowledges
// Newer than the headers of Debian 12.
constexpr unsigned reports_usage = 1U << 3;
constexpr unsigned was_copied = 1U << 31;

void insist(bool is_fine, const char* what) {
  if (is_fine) return;
  std::perror(what);
  std::exit(1);
}

void set(int handle, int level, int option, int value, const char* what) {
  insist(setsockopt(handle, level, option, &value, sizeof value) == 0, what);
}

// ---- ways to send ----

/// How often the kernel has said that it was done with a piece, and how often that it had copied.
struct tally {
  std::uint64_t done = 0;
  std::uint64_t copied = 0;
};

class way {
 public:
  virtual ~way() = default;
  virtual void begin(int /*handle*/) {}
  /// Returns the bytes that the socket has taken.
  virtual std::size_t send(int handle, std::span<const char> data) = 0;
  /// Hears what the kernel is done with; waits for all of it when asked to.
  virtual void hear(int /*handle*/, bool /*all*/) {}
  tally heard;
};

class plain final : public way {
  std::size_t send(int handle, std::span<const char> data) override {
    const ssize_t sent = ::send(handle, data.data(), data.size(), MSG_NOSIGNAL);
    insist(sent > 0, "send");
    return static_cast<std::size_t>(sent);
  }
};

class by_flag final : public way {
  void begin(int handle) override {
    set(handle, SOL_SOCKET, SO_ZEROCOPY, 1, "SO_ZEROCOPY");
    heard = {};
    asked_ = 0;
  }
  std::size_t send(int handle, std::span<const char> data) override {
    for (;;) {
      const ssize_t sent = ::send(handle, data.data(), data.size(), MSG_NOSIGNAL | MSG_ZEROCOPY);
      if (sent > 0) {
        ++asked_;
        return static_cast<std::size_t>(sent);
      }
      insist(errno == ENOBUFS, "MSG_ZEROCOPY");  // too many unheard
      hear(handle, false);
    }
  }
  void hear(int handle, bool all) override {
    do {
      alignas(cmsghdr) char memory[128];
      msghdr message{};
      message.msg_control = memory;
      message.msg_controllen = sizeof memory;
      if (recvmsg(handle, &message, MSG_ERRQUEUE) < 0) {
        insist(errno == EAGAIN, "MSG_ERRQUEUE");
        if (!all) return;
        sched_yield();
        continue;
      }
      sock_extended_err told{};
      std::memcpy(&told, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof told);
      const std::uint64_t fresh = told.ee_data - told.ee_info + 1;
      heard.done += fresh;
      if ((told.ee_code & SO_EE_CODE_ZEROCOPY_COPIED) != 0) heard.copied += fresh;
    } while (all && heard.done < asked_);
  }

  std::uint64_t asked_ = 0;
};

class by_ring final : public way {
 public:
  by_ring(std::span<const char> memory, bool is_fixed) : is_fixed_(is_fixed) {
    constexpr unsigned flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    is_there_ = io_uring_queue_init(1'024, &ring_, flags) == 0;
    if (!is_there_) return;
    const iovec whole{const_cast<char*>(memory.data()), memory.size()};
    has_memory_ = is_fixed && io_uring_register_buffers(&ring_, &whole, 1) == 0;
  }
  by_ring(const by_ring&) = delete;
  by_ring& operator=(const by_ring&) = delete;
  ~by_ring() override {
    if (is_there_) io_uring_queue_exit(&ring_);
  }
  bool can_send() const { return is_there_ && has_memory_ == is_fixed_; }

 private:
  void begin(int) override {
    heard = {};
    unheard_ = 0;
  }
  std::size_t send(int handle, std::span<const char> data) override {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    insist(entry, "io_uring");
    io_uring_prep_send_zc(entry, handle, data.data(), data.size(), MSG_NOSIGNAL, reports_usage);
    if (is_fixed_) {
      entry->ioprio |= IORING_RECVSEND_FIXED_BUF;
      entry->buf_index = 0;
    }
    io_uring_submit_and_wait(&ring_, 1);
    sent_ = 0;
    while (sent_ == 0) take();
    insist(sent_ > 0, "SEND_ZC");
    return static_cast<std::size_t>(sent_);
  }
  void hear(int, bool all) override {
    while (all && unheard_ != 0) take();
  }
  void take() {
    io_uring_cqe* one = nullptr;
    insist(io_uring_wait_cqe(&ring_, &one) == 0, "io_uring");
    if ((one->flags & IORING_CQE_F_NOTIF) != 0) {
      --unheard_;
      ++heard.done;
      if ((static_cast<unsigned>(one->res) & was_copied) != 0) ++heard.copied;
    } else {
      sent_ = one->res;
      errno = sent_ < 0 ? -sent_ : 0;
      if ((one->flags & IORING_CQE_F_MORE) != 0) ++unheard_;
    }
    io_uring_cqe_seen(&ring_, one);
  }

  io_uring ring_{};
  bool is_fixed_;
  bool is_there_ = false;
  bool has_memory_ = false;
  int sent_ = 0;
  std::uint64_t unheard_ = 0;
};

// ---- where to ----

class path {
 public:
  virtual ~path() = default;
  int handle() const { return handle_; }
  virtual void note_sent(std::size_t /*count*/) {}
  /// Everything has been sent: how much has arrived.
  virtual std::uint64_t end() = 0;
  /// For those who close it themselves.
  int release() { return std::exchange(handle_, -1); }

 protected:
  int handle_ = -1;
};

sockaddr_in address_of(const char* host, int port) {
  sockaddr_in made{};
  made.sin_family = AF_INET;
  made.sin_port = htons(static_cast<std::uint16_t>(port));
  inet_pton(AF_INET, host, &made.sin_addr);
  return made;
}
const sockaddr* raw(const sockaddr_in& of) { return reinterpret_cast<const sockaddr*>(&of); }

/// The other end is a thread that takes all without copying it.
class loopback final : public path {
 public:
  loopback() {
    const int door = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in where = address_of("127.0.0.1", 0);
    socklen_t size = sizeof where;
    insist(bind(door, raw(where), size) == 0 && listen(door, 1) == 0, "listen");
    getsockname(door, reinterpret_cast<sockaddr*>(&where), &size);
    handle_ = socket(AF_INET, SOCK_STREAM, 0);
    insist(connect(handle_, raw(where), size) == 0, "connect");
    taker_ = std::thread([this, from = accept(door, nullptr, nullptr)] { take_all(from); });
    close(door);
  }
  loopback(const loopback&) = delete;
  loopback& operator=(const loopback&) = delete;
  ~loopback() override {
    if (handle_ >= 0) close(handle_);
  }

  std::uint64_t end() override {
    shutdown(handle_, SHUT_WR);
    taker_.join();
    return taken_;
  }

 private:
  void take_all(int from) {
    for (ssize_t size = 1; size > 0;) {
      size = recv(from, nullptr, mebibyte, MSG_TRUNC);
      if (size > 0) taken_ += static_cast<std::uint64_t>(size);
    }
    close(from);
  }

  std::uint64_t taken_ = 0;
  std::thread taker_;
};

/// A network of our own: `out0` drops what is sent, `in0` hands the kernel what we write.
class dropping_network {
 public:
  static constexpr const char* near = "10.77.0.1";
  static constexpr const char* far = "10.77.0.2";
  static constexpr int far_port = 9;

  bool open() {
    if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0) return false;
    tun_ = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    ifreq wanted{};
    wanted.ifr_flags = IFF_TUN | IFF_NO_PI;
    std::strcpy(wanted.ifr_name, "in0");
    if (tun_ < 0 || ioctl(tun_, TUNSETIFF, &wanted) != 0) return false;
    return std::system(
               "exec 2> /dev/null; ip link add out0 type ifb && ip link set out0 up && "
               "ip address add 10.77.0.1/32 dev out0 && ip link set in0 up && "
               "ip route add 10.77.0.2 dev out0 initcwnd 4000 && "
               "echo reno > /proc/sys/net/ipv4/tcp_congestion_control && "
               "echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter && "
               "echo 0 > /proc/sys/net/ipv4/conf/in0/rp_filter") == 0;
  }
  void receive(std::span<const char> packet) const {
    insist(write(tun_, packet.data(), packet.size()) > 0, "tun");
  }

 private:
  int tun_ = -1;
};

/// The Internet checksum (RFC 1071) of an even number of bytes.
std::uint16_t checksum_of(std::span<const unsigned char> data, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < data.size(); i += 2)
    sum += static_cast<std::uint32_t>(data[i] << 8 | data[i + 1]);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

class device final : public path {
 public:
  explicit device(const dropping_network& over) : over_(over) {
    static int port = 20'000;
    port_ = ++port;
    handle_ = socket(AF_INET, SOCK_STREAM, 0);
    establish();
    set(handle_, SOL_SOCKET, SO_SNDBUFFORCE, 16 << 20, "SO_SNDBUFFORCE");
    const linger at_once{.l_onoff = 1, .l_linger = 0};  // nobody would acknowledge its end
    setsockopt(handle_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  device(const device&) = delete;
  device& operator=(const device&) = delete;
  ~device() override {
    if (handle_ >= 0) close(handle_);
  }

  void note_sent(std::size_t count) override {
    sent_ += count;
    unheard_ += count;
    if (unheard_ >= unheard_bytes) acknowledge_all();
  }
  std::uint64_t end() override {
    acknowledge_all();
    return sent_;
  }

 private:
  static constexpr std::uint32_t our_first = 1'000;
  static constexpr std::uint32_t their_next = 5'000;

  void establish() {
    set(handle_, IPPROTO_TCP, TCP_REPAIR, 1, "TCP_REPAIR");
    const sockaddr_in here = address_of(over_.near, port_);
    insist(bind(handle_, raw(here), sizeof here) == 0, "bind");
    set(handle_, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE, "TCP_REPAIR_QUEUE");
    set(handle_, IPPROTO_TCP, TCP_QUEUE_SEQ, our_first, "TCP_QUEUE_SEQ");
    set(handle_, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE, "TCP_REPAIR_QUEUE");
    set(handle_, IPPROTO_TCP, TCP_QUEUE_SEQ, their_next, "TCP_QUEUE_SEQ");
    const sockaddr_in there = address_of(over_.far, over_.far_port);
    insist(connect(handle_, raw(there), sizeof there) == 0, "connect");
    const tcp_repair_opt options[] = {{2, 1'460}, {3, 14 | 14 << 16}};  // segment size, scale
    insist(setsockopt(handle_, IPPROTO_TCP, TCP_REPAIR_OPTIONS, options, sizeof options) == 0,
           "TCP_REPAIR_OPTIONS");
    const tcp_repair_window window = {.snd_wl1 = their_next,
                                      .snd_wnd = 1U << 29,
                                      .max_window = 1U << 29,
                                      .rcv_wnd = 65'535,
                                      .rcv_wup = their_next};
    insist(setsockopt(handle_, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, sizeof window) == 0,
           "TCP_REPAIR_WINDOW");
    set(handle_, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP, "TCP_REPAIR");
  }
  // What waits for a larger congestion window leaves with the next acknowledgement.
  void acknowledge_all() {
    std::uint32_t waiting = 1;
    while (waiting != 0) {
      tcp_info now{};
      socklen_t size = sizeof now;
      insist(getsockopt(handle_, IPPROTO_TCP, TCP_INFO, &now, &size) == 0, "TCP_INFO");
      waiting = now.tcpi_notsent_bytes;
      acknowledge(our_first + static_cast<std::uint32_t>(sent_ - waiting));
    }
    unheard_ = 0;
  }
  void acknowledge(std::uint32_t up_to) const {
    unsigned char packet[40] = {0x45, 0, 0, sizeof packet, 0, 0, 0x40, 0, 64, IPPROTO_TCP};
    const sockaddr_in from = address_of(over_.far, over_.far_port);
    const sockaddr_in to = address_of(over_.near, port_);
    std::memcpy(packet + 12, &from.sin_addr, 4);
    std::memcpy(packet + 16, &to.sin_addr, 4);
    put(packet + 10, checksum_of({packet, 20}));
    std::memcpy(packet + 20, &from.sin_port, 2);
    std::memcpy(packet + 22, &to.sin_port, 2);
    put(packet + 24, their_next >> 16);
    put(packet + 26, their_next & 0xffff);
    put(packet + 28, up_to >> 16);
    put(packet + 30, up_to & 0xffff);
    packet[32] = 5 << 4;
    packet[33] = 0x10;  // ACK
    put(packet + 34, 0xffff);
    put(packet + 36, checksum_of({packet + 12, 28}, IPPROTO_TCP + 20));
    over_.receive({reinterpret_cast<const char*>(packet), sizeof packet});
  }
  static void put(unsigned char* at, std::uint32_t value) {
    at[0] = static_cast<unsigned char>(value >> 8);
    at[1] = static_cast<unsigned char>(value);
  }

  const dropping_network& over_;
  int port_ = 0;
  std::uint64_t sent_ = 0;
  std::size_t unheard_ = 0;
};

// ---- what is measured ----

std::uint64_t send_all(path& to, way& by, std::span<const char> memory, std::size_t piece,
                       std::int64_t mebibytes) {
  by.begin(to.handle());
  std::size_t at = 0;
  for (std::size_t left = static_cast<std::size_t>(mebibytes) * mebibyte; left != 0;) {
    const std::size_t sent = by.send(to.handle(), memory.subspan(at, std::min(piece, left)));
    left -= sent;
    at = at + 2 * piece > memory.size() ? 0 : at + piece;
    to.note_sent(sent);
    by.hear(to.handle(), false);
  }
  const std::uint64_t arrived = to.end();
  by.hear(to.handle(), true);
  return arrived;
}

// A socket of weir in place of the path's own.
weir::task<std::uint64_t> send_by_weir(path* to, weir::driver* io, bool is_shared,
                                       std::span<const char> memory, std::size_t piece,
                                       std::int64_t mebibytes) {
  weir::socket peer(*io, to->handle());
  std::size_t at = 0;
  for (std::size_t left = static_cast<std::size_t>(mebibytes) * mebibyte; left != 0;) {
    const std::size_t now = std::min(piece, left);
    const weir::bytes view(memory.data() + at, now, nullptr);
    if (is_shared) {
      co_await weir::send_shared(peer, view);
    } else {
      co_await peer.send(view.text());
    }
    left -= now;
    at = at + 2 * piece > memory.size() ? 0 : at + piece;
    to->note_sent(now);
  }
  const std::uint64_t arrived = to->end();
  to->release();
  co_return arrived;
}

struct named_way {
  const char* name;
  std::unique_ptr<way> by;
};

template <class MakePath>
void measure_ways(const char* where, std::span<named_way> ways, std::span<const char> memory,
                  std::int64_t mebibytes, MakePath make) {
  for (const std::size_t piece : {4'096UL, 16'384UL, 65'536UL, 262'144UL, 1'048'576UL}) {
    for (const bool is_shared : {false, true}) {
      const std::string row = std::string(where) + (is_shared ? "@send_shared" : "") +
                              "/bytes=" + std::to_string(piece);
      bench::measure(row.c_str(), mebibytes, [&](std::int64_t n) {
        const std::unique_ptr<path> to = make();
        const auto io = weir::make_driver();
        return weir::run_on(*io, send_by_weir(to.get(), io.get(), is_shared, memory, piece, n));
      });
    }
    for (const auto& [name, by] : ways) {
      const std::string row = std::string(where) + name + "/bytes=" + std::to_string(piece);
      bench::measure(row.c_str(), mebibytes, [&](std::int64_t n) {
        const std::unique_ptr<path> to = make();
        return send_all(*to, *by, memory, piece, n);
      });
      if (by->heard.done != 0)
        std::printf("# %s: %lu of %lu pieces were copied\n", row.c_str(), by->heard.copied,
                    by->heard.done);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t mebibytes = bench::is_small(argc, argv) ? 2 : 256;
  void* whole =
      mmap(nullptr, memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  insist(whole != MAP_FAILED, "mmap");
  std::memset(whole, 'x', memory_bytes);
  const std::span<const char> memory(static_cast<const char*>(whole), memory_bytes);
  std::vector<named_way> ways;
  ways.push_back({"@send", std::make_unique<plain>()});
  ways.push_back({"@msg_zerocopy", std::make_unique<by_flag>()});
  for (const bool is_fixed : {false, true}) {
    auto ring = std::make_unique<by_ring>(memory, is_fixed);
    if (ring->can_send())
      ways.push_back({is_fixed ? "@send_zc_fixed" : "@send_zc", std::move(ring)});
  }
  measure_ways("loopback", ways, memory, mebibytes, [] { return std::make_unique<loopback>(); });
  dropping_network over;
  if (over.open()) {
    measure_ways("device", ways, memory, mebibytes, [&] { return std::make_unique<device>(over); });
  } else {
    std::printf("# no rows of a device: they need root, ip(8), ifb and tun\n");
  }
}
