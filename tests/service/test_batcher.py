"""The queue without any picture: who is worked on together, who is refused, how it ends."""

from __future__ import annotations

import threading
import time

import pytest

from dense.service.batcher import Batcher, Ticket
from dense.service.errors import BusyError, TooManyError

Groups = list[list[object]]


class Slow:
    """Notes groups; the first waits until it is let go."""

    def __init__(self) -> None:
        self.groups: Groups = []
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, group: list[Ticket[object, object]]) -> None:
        self.groups.append([ticket.item for ticket in group])
        self.begun.set()
        self.go.wait(5)
        for ticket in group:
            ticket.answer.set_result(ticket.item)


def started(work: object, **options: object) -> Batcher[object, object]:
    batcher: Batcher[object, object] = Batcher(work, **options)  # type: ignore[arg-type]
    batcher.start()
    return batcher


def test_what_waits_is_grouped_by_kind_oldest_first_up_to_the_most() -> None:
    work = Slow()
    batcher = started(work, most=3)
    batcher.put(Ticket("a", 0))
    work.begun.wait(5)
    tickets = [Ticket(kind, item) for item, kind in enumerate("abaabaa", 1)]
    for ticket in tickets:
        batcher.put(ticket)
    work.go.set()
    assert [ticket.answer.result(5) for ticket in tickets] == [1, 2, 3, 4, 5, 6, 7]
    assert work.groups == [[0], [1, 3, 4], [2, 5], [6, 7]]


def test_one_that_must_be_alone_is_and_the_others_go_on() -> None:
    work = Slow()
    batcher = started(work)
    batcher.put(Ticket("a", 0))
    work.begun.wait(5)
    for item, alone in ((1, False), (2, True), (3, False)):
        batcher.put(Ticket("a", item, alone=alone))
    last = Ticket("a", 4)
    batcher.put(last)
    work.go.set()
    last.answer.result(5)
    batcher.end(5)
    assert work.groups == [[0], [1, 3, 4], [2]]


def test_a_lone_ticket_waits_for_company_but_not_for_ever() -> None:
    work = Slow()
    work.go.set()
    batcher = started(work, most=2, wait=0.3)
    begun = time.monotonic()
    first, second = Ticket("a", 1), Ticket("a", 2)
    batcher.put(first)
    time.sleep(0.05)
    batcher.put(second)
    second.answer.result(5)
    assert work.groups == [[1, 2]] and time.monotonic() - begun < 0.25  # full: no more waiting
    alone = Ticket("a", 3)
    batcher.put(alone)
    alone.answer.result(5)
    assert time.monotonic() - alone.arrived >= 0.3


def test_too_many_are_refused_first_the_greedy_then_all() -> None:
    work = Slow()
    batcher = started(work, waiting=3, per_holder=2, most=1)
    for item in range(2):
        batcher.check_room("greedy")
        batcher.put(Ticket("a", item, holder="greedy"))
    with pytest.raises(TooManyError, match="2 pictures waiting"):
        batcher.check_room("greedy")
    batcher.check_room("modest")
    batcher.put(Ticket("a", 2, holder="modest"))
    with pytest.raises(BusyError, match="3 pictures wait"):
        batcher.check_room("another")
    assert (batcher.depth, batcher.room) == (3, 0)
    work.go.set()
    batcher.end(5)
    assert batcher.depth == 0 and batcher._held == {}


def test_an_error_goes_to_all_who_wait_for_the_group_and_the_thread_lives_on() -> None:
    def work(group: list[Ticket[object, object]]) -> None:
        if group[0].item == "bad":
            raise ValueError("broken")
        group[0].answer.set_result("fine")

    batcher = started(work)
    bad, fine = Ticket("a", "bad"), Ticket("b", "good")
    batcher.put(bad)
    batcher.put(fine)
    with pytest.raises(ValueError, match="broken"):
        bad.answer.result(5)
    assert fine.answer.result(5) == "fine"


def test_the_end_works_off_what_waits_and_hands_back_the_rest() -> None:
    work = Slow()
    batcher = started(work, most=1)
    tickets = [Ticket("a", item) for item in range(3)]
    for ticket in tickets:
        batcher.put(ticket)
    work.begun.wait(5)
    assert [ticket.item for ticket in batcher.end(0.1)] == [1, 2]  # the first never returns
    with pytest.raises(BusyError, match="being stopped"):
        tickets[2].answer.result(1)
    with pytest.raises(BusyError, match="being stopped"):
        batcher.check_room("anybody")
    work.go.set()
    assert tickets[0].answer.result(5) == 0
