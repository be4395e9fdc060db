#!/usr/bin/python3
"""Clients that are wrong, each in one way: granary-conformance must find it, and name the rule.

    wrong_client.py NAME

WRONG lists them: the class, the cases to be played, and the rule that it breaks.
"""
import os
import signal
import socket
import sys
import time

from client import HAS_FD, HEADER, Client, Failed, pb

WRONG = {}


def wrong(rule, *cases, claims=False):
    """Of a class: the rule that it breaks, and the cases in which that shows."""
    def register(cls):
        WRONG[cls.__name__] = (cls, rule, cases, claims)
        return cls
    return register


# ---- frames ----

@wrong("hello-first", "work")
class BeginsWithARequest(Client):
    def hello(self):
        self.write(pb.TYPE_ALLOCATE, 1, 0, pb.Allocate(terms=self.terms).SerializeToString())
        return super().hello()


@wrong("hello-version", "work")
class SpeaksVersionTwo(Client):
    def hello(self):
        hello = super().hello()
        hello.version = 2
        return hello


@wrong("hello-late", "work")
class ConnectsAndIsSilent(Client):
    def hello(self):
        time.sleep(7)
        return super().hello()


@wrong("before-welcome", "slow-welcome")
class DoesNotWaitForTheWelcome(Client):
    def connect(self):
        write = self.write

        def eager(kind, number, acked, body, fd=None):
            write(kind, number, acked, body, fd)
            if kind == pb.TYPE_HELLO:
                write(pb.TYPE_ALLOCATE, 1, 0, pb.Allocate(terms=self.terms).SerializeToString())
        self.write = eager
        super().connect()


@wrong("may-send", "work")
class SaysHelloTwice(Client):
    def welcomed(self, welcome):
        super().welcomed(welcome)
        self.write(pb.TYPE_HELLO, 0, 0, self.hello().SerializeToString())


@wrong("may-send", "work")
class SpeaksAsAnAgent(Client):
    def allocated(self, request, reply):
        super().allocated(request, reply)
        self.write(pb.TYPE_AGENT_SAMPLE, 0, 0, pb.AgentSample(in_use=1).SerializeToString())


@wrong("frame-bounds", "work")
class SendsTooMuch(Client):
    def allocated(self, request, reply):
        super().allocated(request, reply)
        self.socket.sendall(HEADER.pack((1 << 20) + 1, pb.TYPE_OFFER, 0, self.next_number, 0))


@wrong("frame-bounds", "work")
class SetsReservedFlags(Client):
    def goodbye(self):
        self.socket.sendall(HEADER.pack(0, pb.TYPE_GOODBYE, 4, 0, 0))
        super().goodbye()


@wrong("descriptor", "work", claims=True)
class LosesTheDescriptor(Client):
    def write(self, kind, number, acked, body, fd=None):
        if fd is None:
            super().write(kind, number, acked, body)
        else:
            self.socket.sendall(HEADER.pack(len(body), kind, HAS_FD, number, acked) + body)


@wrong("descriptor", "work")
class SendsADescriptorUnasked(Client):
    def goodbye(self):
        socket.send_fds(self.socket, [HEADER.pack(0, pb.TYPE_GOODBYE, 0, 0, 0)], [0])
        self.socket.close()


@wrong("body", "work")
class SendsAnUnknownField(Client):
    def write(self, kind, number, acked, body, fd=None):
        if kind == pb.TYPE_RELEASE:
            body += b"\xc0\x3e\x05"
        super().write(kind, number, acked, body, fd)


@wrong("body", "work")
class SendsATornBody(Client):
    def write(self, kind, number, acked, body, fd=None):
        super().write(kind, number, acked, b"\x08\xff" if kind == pb.TYPE_RELEASE else body, fd)


@wrong("refuse", "too-long")
class WaitsForWhateverIsAnnounced(Client):
    def frame(self):
        try:
            return super().frame()
        except Failed:
            return None


@wrong("unknown", "unknown-fields")
class DropsWhatItDoesNotWhollyKnow(Client):
    def handle(self, kind, number, body):
        if b"\xc0\x3e\x05" not in body:
            super().handle(kind, number, body)


# ---- requests ----

@wrong("number-next", "work")
class SkipsNumbers(Client):
    def request(self, kind, message, done=None, fd=None):
        super().request(kind, message, done, fd)
        self.next_number += 1


@wrong("number-reused", "work", "asked")
class UsesANumberTwice(Client):
    def request(self, kind, message, done=None, fd=None):
        if kind in (pb.TYPE_OFFER, pb.TYPE_RELEASE):
            self.next_number -= 1
        super().request(kind, message, done, fd)


@wrong("number-new", "release-lost", "allocate-lost")
class ResendsWithNewNumbers(Client):
    def reattached(self, welcome):
        super().reattached(welcome)
        old, self.requests = self.requests, {}
        for request in old.values():
            self.requests[self.next_number] = request
            self.next_number += 1


@wrong("resend", "release-lost")
class ForgetsWhatHasNoAnswer(Client):
    def reattached(self, welcome):
        super().reattached(welcome)
        self.requests.clear()


@wrong("acked-early", "answers-reversed")
class AcknowledgesTheLatest(Client):
    def acked(self):
        return self.next_number - 1


@wrong("acked-stuck", "many-answers")
class NeverAcknowledges(Client):
    def write(self, kind, number, acked, body, fd=None):
        super().write(kind, number, 0, body, fd)


# ---- sessions ----

@wrong("reattach", "break-calm")
class BeginsANewSession(Client):
    def hello(self):
        hello = super().hello()
        hello.session, hello.token = 0, b""
        return hello

    def welcomed(self, welcome):
        welcome.reattached = True
        super().welcomed(welcome)


@wrong("reattach-token", "break-calm")
class ForgetsTheToken(Client):
    def welcomed(self, welcome):
        super().welcomed(welcome)
        self.token = bytes(16)


@wrong("session-over", "session-over")
class GoesOnInADeadSession(Client):
    def welcomed(self, welcome):
        if self.session and not welcome.reattached:
            self.session, self.token, self.next_number = welcome.session, welcome.token, 1
            self.requests.clear()
        else:
            super().welcomed(welcome)


@wrong("goodbye", "work")
class LeavesWithoutAWord(Client):
    def goodbye(self):
        self.socket.close()


@wrong("after-goodbye", "work")
class TalksOnAfterGoodbye(Client):
    def goodbye(self):
        self.write(pb.TYPE_GOODBYE, 0, 0, b"")
        self.request(pb.TYPE_WANT, pb.Want(allocation=self.allocation, want=1))
        self.socket.close()


# ---- what is held ----

@wrong("allocation", "recall-idle")
class NamesAnotherAllocation(Client):
    def release(self, recall, host, chunks):
        self.allocation += 1
        super().release(recall, host, chunks)
        self.allocation -= 1


@wrong("not-granted", "refused-never")
class TakesErrorsForSuccess(Client):
    def allocated(self, request, reply):
        self.allocation, self.live = 7, True
        self.held[0] = self.want


@wrong("not-granted", "waits")
class DoesNotWaitForTheGrant(Client):
    def allocated(self, request, reply):
        super().allocated(request, reply)
        self.live = True
        self.held[0] = max(1, self.held[0])


@wrong("unheld", "fewer")
class RunsAsManyAsItWants(Client):
    def adopt(self, state):
        super().adopt(state)
        self.held[0] = self.want


@wrong("version-order", "old-state")
class BelievesOldStates(Client):
    def changed(self, state):
        if state.id == self.allocation:
            self.adopt(state)


@wrong("version-order", "same-version")
class BelievesASecondSet(Client):
    def changed(self, state):
        if state.id == self.allocation and state.version >= self.version:
            self.adopt(state)


@wrong("ended", "ends-under-way")
class GoesOnAfterTheEnd(Client):
    def handle(self, kind, number, body):
        if kind != pb.TYPE_ENDED:
            super().handle(kind, number, body)


@wrong("claim-held", "work", claims=True)
class ClaimsTooMuch(Client):
    def request(self, kind, message, done=None, fd=None):
        if kind == pb.TYPE_CLAIM:
            message.chunks = 2
        super().request(kind, message, done, fd)


@wrong("claim-refused", "claim-refused", claims=True)
class RunsWithoutItsClaim(Client):
    def claimed(self, request, reply, pid):
        reply.status = 0
        super().claimed(request, reply, pid)


@wrong("gate", "claim-answer-late", claims=True)
class DoesNotWaitForTheClaim(Client):
    def begin(self, host):
        before = set(self.tasks)
        super().begin(host)
        for pid in set(self.tasks) - before:
            os.write(self.tasks[pid].gate, b"g")


# ---- giving back ----

@wrong("release-held", "recall-all")
class ReleasesAllTwice(Client):
    def release(self, recall, host, chunks):
        super().release(recall, host, chunks)
        if self.stays(host) == 0:
            self.request(pb.TYPE_RELEASE, pb.Release(allocation=self.allocation,
                                                     extents=[pb.Extent(host=host, chunks=chunks)]))


@wrong("recall-exceeded", "recall-idle")
class ReleasesTwice(Client):
    def release(self, recall, host, chunks):
        super().release(recall, host, 1)
        super().release(recall, host, 1)
        super().release(recall, host, 1)


@wrong("recall-exceeded", "recall-parts")
class GivesMoreThanAsked(Client):
    def recalled(self, push):
        push.count += 1
        super().recalled(push)


@wrong("recall-unknown", "recall-idle")
class InventsARecall(Client):
    def release(self, recall, host, chunks):
        recall.id += 7
        super().release(recall, host, chunks)


@wrong("recall-twice", "recall-repeated-busy", "recall-repeated")
class AnswersEveryRecallAnew(Client):
    def recalled(self, push):
        self.over.discard(push.recall)
        if push.recall in self.recalls:
            self.recalls[push.recall].open += push.count
        super().recalled(push)


@wrong("recall-twice", "recall-told-anew")
class TakesTheWelcomeForNewRecalls(Client):
    def reattached(self, welcome):
        for info in welcome.recalls:
            info.released = 0
        super().reattached(welcome)


@wrong("recall-host", "recall-other-host")
class GivesAnyHostsChunk(Client):
    def recalled(self, push):
        push.any_host = True
        super().recalled(push)

    def give(self):
        for recall in self.recalls.values():
            recall.prefer.update({0: 9})
        super().give()

    def idle(self, host):
        return max(super().idle(host), 1) if host == 0 and self.recalls else super().idle(host)


@wrong("recall-id", "recall-busy")
class ReleasesWithoutTheId(Client):
    def request(self, kind, message, done=None, fd=None):
        if kind == pb.TYPE_RELEASE:
            message.recall = 0
        super().request(kind, message, done, fd)


@wrong("recall-unanswered", "recall-idle")
class NeverReleases(Client):
    def give(self):
        pass


@wrong("wanted-slot", "recall-busy")
class HandsOutWhatIsWantedBack(Client):
    def takes(self, recall, host):
        return 0


@wrong("withdrawn", "recall-withdrawn")
class IgnoresWithdrawals(Client):
    def handle(self, kind, number, body):
        if kind != pb.TYPE_WITHDRAW:
            super().handle(kind, number, body)


@wrong("preference", "preference")
class IgnoresPreferences(Client):
    def preferred(self, prefer):
        pass


@wrong("task-killed", "recall-busy")
class KillsForARecall(Client):
    def recalled(self, push):
        super().recalled(push)
        pid = next(iter(self.tasks))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self.tasks.pop(pid)
        self.give()


@wrong("task-killed", "recall-busy", claims=True)
class ClosesTheClaimOfARunningTask(Client):
    def recalled(self, push):
        super().recalled(push)
        task = next(iter(self.tasks.values()))
        self.request(pb.TYPE_CLOSE, pb.Close(claim=task.claim, kill=True))
        task.claim = 0


@wrong("offer-held", "asked")
class OffersWhatItLacks(Client):
    def items(self, host):
        return super().items(host) + [(None, 0)] * 5

    def could_go(self):
        return 100


@wrong("offer-idle", "asked")
class CallsBusyChunksIdle(Client):
    def expected_ms(self, task):
        return 0


@wrong("offer-firm", "asked")
class OffersFirmChunks(Client):
    def could_go(self):
        return sum(self.held.values())


@wrong("offer-again", "offer-again")
class OffersOnce(Client):
    def task_ended(self):
        self.give()


# ---- the driven program ----

@wrong("terms", "work")
class AsksForSomethingElse(Client):
    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.terms.chunk_size += 1


@wrong("hang", "work")
class DoesNothingWithItsChunks(Client):
    def start_tasks(self):
        pass


@wrong("crash", "unknown-names")
class DiesOfAnUnknownAllocation(Client):
    def recalled(self, push):
        if push.allocation != self.allocation:
            signal.signal(signal.SIGABRT, signal.SIG_DFL)
            os.abort()
        super().recalled(push)


@wrong("exit", "work")
class SaysItFailed(Client):
    def run(self):
        return super().run() or 3


@wrong("exit", "refused-limit")
class SaysAllWasDone(Client):
    def run(self):
        super().run()
        return 0


def main():
    cls, _, _, claims = WRONG[sys.argv[1]]
    return cls(os.environ, claims=claims).run()


if __name__ == "__main__":
    sys.exit(main())
