"""What a test asked of a server and what the server confirmed, on one line of time; and whether what a server
says later agrees with it.

Times are positions of a shim's log, or just a count: a fact that was confirmed at c is certain for everybody who
looks at a moment from c on, possible from the moment it was asked for, and impossible before.
"""

import hashlib
import itertools
import threading

STATES = ("ready", "delayed", "leased", "done", "dead", "expired")


def result_of(body):
    return hashlib.sha256(body.encode()).hexdigest()


class Claim:
    """Something that was asked for at `begun` and confirmed at `sure` (None: not, or not yet)."""

    __slots__ = ("value", "begun", "sure", "attempt")

    def __init__(self, value, begun, attempt=0):
        self.value, self.begun, self.sure, self.attempt = value, begun, None, attempt  # attempt: of an end

    def is_sure(self, at):
        return self.sure is not None and self.sure <= at

    def is_possible(self, at):
        return self.begun <= at


class Message:
    __slots__ = ("id", "submitted", "ends", "attempts")

    def __init__(self, id):
        self.id = id
        self.submitted = None  # Claim of its body
        self.ends = []  # Claims of results
        self.attempts = []  # (number, confirmed at)


class Books:
    def __init__(self, now=None):
        counter = itertools.count()
        self.now = now or (lambda: next(counter))
        self.lock = threading.Lock()
        self.messages = {}  # id -> Message
        self.asked = {}  # body -> Claim of its id, also where no answer came
        self.settings = []  # Claims
        self.errors = []

    def ask(self, body):
        with self.lock:
            claim = self.asked[body] = Claim(None, self.now())
            return claim

    def confirm(self, body, id):
        claim = self.asked[body]
        with self.lock:
            known = self.messages.setdefault(id, Message(id))
            if known.submitted is not None and known.submitted is not claim:
                raise AssertionError(f"the id {id} was given to two messages")
            known.submitted = claim
            claim.value, claim.sure = id, self.now()

    def taken(self, one):
        """A lease told this message."""
        with self.lock:
            known = self.messages.setdefault(one["id"], Message(one["id"]))
            claim = self.asked.get(one["body"])
            if claim is None:
                raise AssertionError(f"{one} was never submitted")
            if known.submitted not in (None, claim):
                raise AssertionError(f"{one['id']} came back with another body")
            # An older lease may be heard of late: when it is, another worker may have had the message since.
            if any(end.is_sure(self.now()) and end.attempt < one["attempt"] for end in known.ends):
                raise AssertionError(f"{one['id']} was given out again after it was done")
            known.submitted = claim
            claim.value = one["id"]
            known.attempts.append((one["attempt"], self.now()))

    def ask_end(self, id, result, attempt):
        with self.lock:
            claim = Claim(result, self.now(), attempt)
            self.messages[id].ends.append(claim)
            return claim

    def ask_setting(self, value):
        with self.lock:
            claim = Claim(value, self.now())
            self.settings.append(claim)
            return claim

    def settle(self, claim):
        with self.lock:
            claim.sure = self.now()

    # What must hold at `at`.

    def settings_possible(self, at):
        last = max((i for i, one in enumerate(self.settings) if one.is_sure(at)), default=0)
        return {one.value for one in self.settings[last:] if one.is_possible(at)}

    def check_message(self, message, answer, at):
        """`answer` is that of GET /v1/messages/{id}."""
        submitted = message.submitted
        if answer.status == 404:
            assert not submitted.is_sure(at), f"{message.id} was confirmed and is lost"
            assert not any(end.is_sure(at) for end in message.ends), f"{message.id} was completed and is lost"
            return None
        assert answer.status == 200, answer
        shown = answer.json
        assert submitted.is_possible(at), f"{message.id} is there before anybody asked for it"
        attempts = max((number for number, told in message.attempts if told <= at), default=0)
        assert shown["attempts"] >= attempts, f"{message.id} lost an attempt: {shown}"
        sure = [end.value for end in message.ends if end.is_sure(at)]
        possible = [end.value for end in message.ends if end.is_possible(at)]
        if sure:
            assert (shown["state"], shown["result"]) == ("done", sure[0]), f"{message.id} lost its completion: {shown}"
        elif shown["state"] == "done":
            assert shown["result"] in possible, f"{message.id} is done, which nobody asked for"
        return shown["state"]

    def check(self, client, at, queue="work"):
        """All of it against a server; gives the ids that are there."""
        shown = client.get(f"/v1/queues/{queue}")
        if shown.status == 404:
            assert not self.settings or not self.settings[0].is_sure(at), f"the queue {queue} was confirmed and is lost"
        else:
            assert shown.json["settings"]["lease"] in self.settings_possible(at), shown.json["settings"]
        states = dict.fromkeys(STATES, 0)
        there = set()
        messages = list(self.messages.values())
        answers = client.get_each([f"/v1/messages/{message.id}" for message in messages])
        for message, answer in zip(messages, answers):
            state = self.check_message(message, answer, at)
            if state is not None:
                states[state] += 1
                there.add(message.id)
        if shown.status == 200:
            counts = shown.json["counts"]
            for state in ("ready", "leased", "done"):
                # Messages whose confirmation was cut off are counted by the server and unknown here.
                assert counts[state] >= states[state], (counts, states)
            unknown = sum(1 for one in self.asked.values() if one.value is None and one.is_possible(at))
            counted = sum(counts[state] for state in ("ready", "delayed", "leased", "done"))
            assert counted <= len(there) + unknown, (counts, len(there), unknown)
        return there

    def forget_after(self, at, there):
        """Time goes on from `at`, where exactly the ids `there` were left: what came later did not happen, and
        what had no answer yet never gets one."""
        self.messages = {id: one for id, one in self.messages.items() if id in there}
        self.asked = {body: one for body, one in self.asked.items()
                      if one.is_possible(at) and (one.value is None or one.value in there)}
        self.settings = [one for one in self.settings if one.is_possible(at)]
        claims = list(self.asked.values()) + self.settings
        for message in self.messages.values():
            message.ends = [end for end in message.ends if end.is_possible(at)]
            message.attempts = [one for one in message.attempts if one[1] <= at]
            claims += message.ends
        for claim in claims:
            if claim.sure is not None and claim.sure > at:
                claim.sure = None

    def drain(self, client, at, queue="work"):
        """Takes what is ready: each must be a message that was asked for, with its own body, and open."""
        count = 0
        while True:
            answer = client.post(f"/v1/queues/{queue}/leases?max=500&lease=1h")
            if answer.status == 404:
                return count
            assert answer.status == 200, answer
            if not answer.json["messages"]:
                return count
            for one in answer.json["messages"]:
                count += 1
                claim = self.asked.get(one["body"])
                assert claim is not None and claim.is_possible(at), f"{one} was never submitted"
                assert claim.value in (None, one["id"]), f"{one['id']} has the body of {claim.value}"
                known = self.messages.get(one["id"])
                assert not known or not any(end.is_sure(at) for end in known.ends), f"{one['id']} was done"
