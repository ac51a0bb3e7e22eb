"""A sign of life: said where nothing was said for a while, and only then."""

import pytest

from stabtest.cli.heartbeat import QUIET, Heartbeat, beating


@pytest.fixture
def beat():
    lines, now = [], [0.0]
    made = Heartbeat(lines.append, clock=lambda: now[0])
    made.lines, made.now = lines, now
    return made


def test_nothing_is_said_soon_after_a_line(beat):
    beat.began("a")
    beat.now[0] = 5 * QUIET
    beat.say("b is done")
    beat.now[0] += 0.9 * QUIET
    beat.remind()
    assert beat.lines == ["b is done"]


def test_the_longest_is_named_with_its_time_and_again_only_after_a_while(beat):
    beat.began("long")
    beat.now[0] = 60.0
    beat.began("short")
    beat.now[0] = 190.0
    beat.remind()
    beat.remind()
    assert beat.lines == ["still at it: long, for 3 min (and 1 more)"]


def test_what_has_ended_is_not_said(beat):
    beat.began("a")
    beat.ended("a")
    beat.now[0] = 10 * QUIET
    beat.remind()
    assert beat.lines == []


def test_a_block_that_is_silent_is_heard(monkeypatch):
    import threading

    monkeypatch.setattr("stabtest.cli.heartbeat.QUIET", 0.02)
    heard, before = threading.Event(), set(threading.enumerate())
    with beating(lambda line: heard.set()) as beat:
        beat.began("a")
        assert heard.wait(20)
    assert set(threading.enumerate()) <= before
