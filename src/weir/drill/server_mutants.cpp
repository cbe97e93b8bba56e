#include <weir/drill/server_mutants.hpp>

namespace weir::drill {

namespace {

constexpr mutant all_server_mutants[] = {
    // store
    {"journal: writes groups without a sync", "a power cut takes what was confirmed"},
    {"journal: believes a second sync", "what a failed sync has dropped counts as written"},
    {"journal: accepts a torn group", "half of a group that a crash has cut is replayed"},
    {"journal: trusts the cache when it opens", "what was read back is lost by the next power cut"},
    {"journal: gives up what no snapshot covers", "ends and leases are missing at the next start"},
    {"journal: renames without a sync of the folder", "a power cut takes the new name of a file"},
    {"journal: leaves snapshots unsynced", "after a power cut no snapshot is whole"},
    {"journal: skips the first record behind a snapshot", "one change is missing after a start"},
    {"journal: wakes one of those who wait for the disk", "confirmations wait for the next group"},
    {"journal: keeps the memory of what was read", "each delivery leaks its message"},
    // broker
    {"broker: confirms an acknowledgement that is not durable", "a done message comes back"},
    {"broker: confirms a message that is not durable", "a confirmed message is missing"},
    {"broker: takes a stale receipt", "a worker that was too slow ends another's attempt"},
    {"broker: does not count attempts", "each attempt is the first one"},
    {"broker: gives one attempt too many", "a message is tried beyond its queue's bound"},
    {"broker: gives one attempt too few", "a message dies before its last attempt"},
    {"broker: gives one message too many", "a worker gets more than it has asked for"},
    {"broker: serves low priorities first", "urgent messages wait behind all others"},
    {"broker: cuts delays to whole seconds", "a delayed message comes up to a second early"},
    {"broker: ignores the delay of a nack", "a returned message comes back at once"},
    {"broker: forgets an extension", "a lease that was extended runs out"},
    {"broker: forgets the back-off", "a failed message comes back at once"},
    {"broker: counts busy calls of a reply", "a reply is given up while its taker is busy"},
    {"broker: forgets the time to live", "a message that should expire is given out"},
    {"broker: takes only the first of several out of the queue", "others get the rest again"},
    {"broker: forgets a reply whose call failed", "who asked for a reply gets none"},
    {"broker: brings no keys back from a snapshot", "a key makes a second message"},
    {"broker: snapshots no reply that is being told", "a reply is missing after a start"},
    {"broker: sets no clock for leases", "what a dead worker held stays with it"},
    {"broker: loses the turn of who leaves the line", "messages lie beside those who wait"},
    {"broker: wakes nobody when there is room", "who waits for room hears of none"},
    {"broker: wakes nobody at the end of a message", "who waits for a result hears of it late"},
    {"broker: tells only the first event of a group", "events are missing"},
    {"broker: knows a key in all queues", "a message is taken for one of another queue"},
    {"broker: knows keys for ever", "a key is known after its window"},
    {"broker: moves no dead letter", "the queue for dead letters stays empty"},
    {"broker: brings dead letters back with their attempts", "they die again at once"},
    {"broker: keeps results for ever", "a result is known after its time"},
    {"broker: ends all leases of a snapshot", "after a start others get what a worker still has"},
    {"broker: shows what is not durable", "a crash takes back what was told"},
    {"broker: gives out what is not leased durably", "a crash makes the same attempt twice"},
    {"broker: lets one message more into a queue", "a queue holds more than its capacity"},
    {"broker: refuses the largest message", "what is just allowed is refused"},
    // serve
    {"serve: counts the attempt of a busy worker", "a message dies because its worker was busy"},
    {"serve: keeps the place of a failed call", "after some failures nothing is pushed any more"},
    {"serve: ignores Retry-After", "a busy worker is called too soon"},
    {"serve: calls again after 410", "a message that nobody wants is pushed again"},
    {"serve: makes one call too many", "a worker has more calls at once than it allows"},
    {"serve: does not wait for an end", "a wait is over at once"},
    {"serve: leaves refused messages out of an answer", "entries of a batch's answer shift"},
    {"serve: lets those wait who wait for messages at a drain", "they get no answer"},
    {"serve: keeps its old certificate at a reload", "clients are shown one that runs out"},
    {"serve: lets everybody in", "requests without a token are answered"},
    // http
    {"http: counts large bodies short", "the end of an answer is missing"},
    {"http: sends an answer beside the one before", "answers of one connection mix"},
    {"http: leaves an unread body before the next request", "a body is taken for a request"},
    {"http: drops a request that comes while one waits", "it is never answered"},
    {"http: cuts off all connections at a drain", "who waits gets no answer"},
    {"http: sends any request again", "a call that may have arrived is made twice"},
};

}  // namespace

std::span<const mutant> server_mutants() noexcept { return all_server_mutants; }

}  // namespace weir::drill
