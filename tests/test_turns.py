"""Tests that time something run alone, all others at once."""

import threading

from turns import turn


class Taker:
    """Takes a turn in a thread of its own and holds it until it is let go."""

    def __init__(self, folder, alone):
        self.inside, self.leave = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.take, args=(folder, alone))
        self.thread.start()

    def take(self, folder, alone):
        with turn(folder, alone):
            self.inside.set()
            self.leave.wait(30)

    def end(self):
        self.leave.set()
        self.thread.join(30)


def test_turns_are_taken_at_once_but_for_who_is_alone(tmp_path):
    takers = first, second = [Taker(tmp_path, alone=False) for _ in range(2)]
    try:
        assert first.inside.wait(30) and second.inside.wait(30)
        takers.append(alone := Taker(tmp_path, alone=True))
        assert not alone.inside.wait(0.5)
        takers.append(late := Taker(tmp_path, alone=False))
        assert not late.inside.wait(0.5)  # the door is shut by who waits to be alone
        first.end()
        assert not alone.inside.wait(0.5)
        second.end()
        assert alone.inside.wait(30) and not late.inside.wait(0.5)
        alone.end()
        assert late.inside.wait(30)
    finally:
        for each in takers:
            each.end()
